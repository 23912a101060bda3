/* SPDX-License-Identifier: Apache-2.0 */
/* Which of those that have failed may be picked: their time, a trial, and the share that may be out. */
#include "balance/balance.h"

#define HESITATION_MS 1000

/* Whether its verdict counts: one that would end later than this policy allows is another policy's, or damage. */
static bool is_out(const struct pick *pick, const struct ledger_load *load)
{
	return load->ejected &&
	       (!pick->eject_limit_ms || ledger_left_ms(load->ejection, pick->now_ms) <= pick->eject_limit_ms);
}

/*
 * One that timed out costs a dial a second or more, or fails it: even where all are in, it gets one dial at a time. One that
 * refused costs an instant, for the same dial goes on.
 *
 * A dial that cannot go on leaves it out, for the sake of those that may answer. Where nobody is known to, it has its turn:
 * else all such dials would wait for the same one, and none would notice that another is back.
 */
static bool is_in_with_all(const struct pick *pick, struct candidate *candidate)
{
	if (pick->nobody_in || !ledger_timed_out(pick->ledger, candidate->key))
		return true;
	candidate->trial = pick->may_try && !pick->hesitant && !ledger_is_trial(candidate->load.ejection);
	return candidate->trial;
}

/* The trial of one that timed out would fail this dial, while another may come that goes on from it. */
static bool is_left_to_others(const struct pick *pick, const struct candidate *candidate)
{
	return pick->hesitant && ledger_overdue_ms(candidate->load.ejection, pick->now_ms) < HESITATION_MS &&
	       ledger_timed_out(pick->ledger, candidate->key);
}

bool eject_lets_in(const struct pick *pick, struct candidate *candidate)
{
	const struct ledger_load *load = &candidate->load;

	if (is_out(pick, load))
		return pick->all_in && is_in_with_all(pick, candidate);
	if (!load->ejected && is_left_to_others(pick, candidate))
		return false;
	candidate->trial = pick->may_try;
	candidate->load.ejected = false;
	return true;
}

__attribute__((noinline)) /* not on the stack of the policies */
void eject_count(struct pick *pick, bool spreads)
{
	uint32_t usable = 0, out = 0;

	pick->all_in = pick->nobody_in = false;
	if (!ledger_any_ejected(pick->ledger, pick->now_ms))
		return;
	for (uint32_t i = 0; i < pick->rows.count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);
		struct ledger_load load;

		if (!(brief.flags & ENDPOINT_USABLE))
			continue;
		load = ledger_load(pick->ledger, (struct ledger_key){ brief.slot, brief.tag }, pick->now_ms);
		usable++;
		out += is_out(pick, &load);
	}
	pick->nobody_in = spreads && pick->hesitant && out == usable;
	pick->all_in = pick->nobody_in || (uint64_t)out * 100 > (uint64_t)usable * pick->eject_percent;
}
