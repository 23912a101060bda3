/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates, and which policy chooses among them. */
#include "balance/policies.h"

/*
 * Those beyond the last bit: a ledger has the turn of each attempt, and ejects who has failed. Without one they share the bits
 * of others: some are left out, rather than one being dialed again and again.
 */
static bool has_bit(const struct pick *pick, uint32_t i)
{
	return i < PICK_MAX_TRIED || !pick->ledger->base;
}

static bool was_tried(const struct pick *pick, uint32_t i)
{
	return has_bit(pick, i) && (pick->tried[i % PICK_MAX_TRIED / 64] >> (i % 64) & 1);
}

void pick_mark_tried(struct pick *pick, uint32_t index)
{
	if (has_bit(pick, index))
		pick->tried[index % PICK_MAX_TRIED / 64] |= 1ull << (index % 64);
}

/* Usable and not tried, ejected or not. */
static bool is_left(const struct pick *pick, uint32_t i, struct candidate *ret_candidate)
{
	struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);

	if (!(brief.flags & ENDPOINT_USABLE) || was_tried(pick, i))
		return false;
	ret_candidate->index = i;
	ret_candidate->key = (struct ledger_key){ brief.slot, brief.tag };
	ret_candidate->weight = brief.weight ? brief.weight : 1;
	ret_candidate->share = slow_start_share(pick, i);
	return true;
}

bool pick_candidate(const struct pick *pick, uint32_t i, struct candidate *ret_candidate)
{
	if (!is_left(pick, i, ret_candidate))
		return false;
	ret_candidate->load = ledger_load(pick->ledger, ret_candidate->key, pick->now_ms);
	ret_candidate->trial = false;
	return !ret_candidate->load.ejection || eject_lets_in(pick, ret_candidate);
}

bool pick_has_left(const struct pick *pick)
{
	struct candidate candidate;

	for (uint32_t i = 0; i < pick->rows.count; i++)
		if (is_left(pick, i, &candidate))
			return true;
	return false;
}

static const struct balance_policy policies[BALANCE_COUNT] = {
	[BALANCE_LEAST_CONN] = { "least_conn", "the endpoint with the fewest open connections; ties go round", least_conn },
	[BALANCE_ROUND_ROBIN] = { "round_robin", "one after the other, over all processes of the pod", round_robin },
	[BALANCE_RANDOM] = { "random", "any, by chance", random_pick },
	[BALANCE_P2C] = { "p2c", "of two by chance, the one with fewer open connections", p2c },
	[BALANCE_HASH] = { "hash", "always the same one for this client (rendezvous hashing)", rendezvous },
};

const struct balance_policy *balance_policy(uint8_t balance)
{
	return balance < BALANCE_COUNT ? &policies[balance] : NULL;
}

/* All that are in have been tried: of the others, healthiest first. */
__attribute__((noinline)) /* not on the stack of the policies */
static bool longest_healthy(const struct pick *pick, struct candidate *ret_chosen)
{
	uint32_t best = 0;
	bool found = false;

	for (uint32_t i = 0; i < pick->rows.count; i++) {
		struct candidate candidate;
		uint32_t age;

		if (!is_left(pick, i, &candidate))
			continue;
		age = ledger_failure_age(pick->ledger, candidate.key, pick->now_ms);
		if (found && age <= best)
			continue;
		candidate.load = ledger_load(pick->ledger, candidate.key, pick->now_ms);
		candidate.trial = false;
		best = age;
		*ret_chosen = candidate;
		found = true;
	}
	return found;
}

static bool has_tried(const struct pick *pick)
{
	for (int i = 0; i < PICK_MAX_TRIED / 64; i++)
		if (pick->tried[i])
			return true;
	return false;
}

static void count_out(struct pick *pick, bool spreads)
{
	if (has_tried(pick))
		pick->all_in = pick->nobody_in = false;
	else
		eject_count(pick, spreads);
}

bool pick_next(struct pick *pick, uint8_t balance, struct candidate *ret_chosen)
{
	const struct balance_policy *policy = balance_policy(balance);

	if (!policy)
		policy = &policies[BALANCE_LEAST_CONN];
	count_out(pick, policy != &policies[BALANCE_HASH]);
	return policy->next(pick, ret_chosen) || longest_healthy(pick, ret_chosen);
}

bool pick_pinned(struct pick *pick, uint32_t pinned, struct candidate *ret_chosen)
{
	count_out(pick, false);
	for (uint32_t i = 0; pinned && i < pick->rows.count; i++)
		if (table_rows_brief(&pick->rows, i).tag == pinned && pick_candidate(pick, i, ret_chosen))
			return true;
	return pick_next(pick, BALANCE_HASH, ret_chosen);
}
