/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client begins, and whose turn it is: what keeps clients, processes and dials apart. */
#include "balance/policies.h"

#include "base/hash.h"

/*
 * k clients of known rank begin k-th parts of the places apart, so that two with one connection each do not meet; those that
 * know only their ordinal, one after the other; others where their identity says.
 */
uint32_t start_of(const struct pick *pick, uint32_t n)
{
	if (pick->peers == CLIENT_PEERS_UNKNOWN)
		return pick->rank % n;
	if (pick->peers)
		return (uint32_t)((uint64_t)(pick->rank % pick->peers) * n / pick->peers);
	return hash_below(pick->identity, n);
}

static bool is_usable(const struct pick *pick, uint32_t i)
{
	return table_rows_brief(&pick->rows, i).flags & ENDPOINT_USABLE;
}

static uint32_t count_usable(const struct pick *pick)
{
	uint32_t usable = 0;

	if (pick->usable)
		return pick->usable;
	for (uint32_t i = 0; i < pick->rows.count; i++)
		usable += is_usable(pick, i);
	return usable;
}

/*
 * Ranks are laid over the usable rows alone: were the others counted, two clients would meet at the first usable one behind
 * them. Which are ejected does not count, or a client's ledger would move its start.
 */
uint32_t start_row(const struct pick *pick)
{
	uint32_t n = pick->rows.count, usable, before;

	if (!pick->peers || pick->usable == n)
		return start_of(pick, n);
	usable = count_usable(pick);
	before = usable ? start_of(pick, usable) : 0;
	for (uint32_t i = 0; i < n; i++)
		if (is_usable(pick, i) && before-- == 0)
			return i;
	return 0;
}

uint32_t turn_of(const struct pick *pick)
{
	uint32_t turn;

	if (!pick->still && ledger_turn(pick->ledger, pick->cursor, &turn))
		return turn;
	return (uint32_t)pick->noise;
}

uint32_t turn_after(const struct pick *pick, uint32_t turn)
{
	uint32_t next;

	if (!pick->still && ledger_turn(pick->ledger, pick->cursor, &next))
		return next;
	return (uint32_t)hash_finish(turn + 1); /* not that of the next dial */
}
