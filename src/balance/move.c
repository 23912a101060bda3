/* SPDX-License-Identifier: Apache-2.0 */
#include "balance/move.h"

#include "base/hash.h"

static const char *const reason_names[] = {
	[MOVE_DRAIN] = "drain",
	[MOVE_CUT] = "cut",
	[MOVE_REBALANCE] = "rebalance",
	[MOVE_AGE] = "max_age",
};

_Static_assert(sizeof(reason_names) / sizeof(reason_names[0]) == MOVE_REASONS, "a name for each reason");

const char *move_reason_name(enum move_reason reason)
{
	return (unsigned)reason < MOVE_REASONS ? reason_names[reason] : NULL;
}

/* Who read its clock before another did may see a time that is yet to come. */
static uint64_t age_of(uint64_t since_ms, uint64_t now_ms)
{
	return since_ms < now_ms ? now_ms - since_ms : 0;
}

/* ---- why ---- */

static enum move_reason why_drain(const struct table_policy *policy, const struct move_facts *facts)
{
	uint64_t age_ms = age_of(facts->leaving_ms, facts->now_ms);

	if (policy->drain == DRAIN_LEAVE || facts->fate == FATE_IN || facts->leaving_ms == 0 || age_ms < MOVE_DEBOUNCE_MS)
		return MOVE_NO;
	if (policy->drain == DRAIN_DEADLINE && age_ms >= policy->drain_deadline_ms && !facts->elsewhere)
		return MOVE_CUT;
	return MOVE_DRAIN;
}

static bool is_surplus(const struct table_policy *policy, const struct move_facts *facts)
{
	return policy->rebalance_ms && facts->surplus && facts->fate == FATE_IN;
}

static bool is_old(const struct table_policy *policy, const struct move_facts *facts)
{
	return policy->max_age_ms &&
	       age_of(facts->born_ms, facts->now_ms) >= move_max_age_ms(policy->max_age_ms, facts->cookie);
}

enum move_reason move_why(const struct table_policy *policy, const struct move_facts *facts)
{
	enum move_reason drain;

	if (facts->affinity || facts->others == 0)
		return MOVE_NO;
	drain = why_drain(policy, facts);
	if (drain != MOVE_NO)
		return drain;
	if (is_surplus(policy, facts))
		return MOVE_REBALANCE;
	return is_old(policy, facts) ? MOVE_AGE : MOVE_NO;
}

bool move_is_asked_for(const struct table_policy *policy)
{
	return policy->drain != DRAIN_LEAVE || policy->rebalance_ms || policy->max_age_ms;
}

uint32_t move_max_age_ms(uint32_t max_age_ms, uint64_t cookie)
{
	uint32_t tenth = max_age_ms / 10;
	uint64_t age_ms = (uint64_t)max_age_ms - tenth + hash_below(hash_mix(cookie, max_age_ms), 2 * tenth + 1);

	return age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX;
}

/* ---- shares ---- */

static uint32_t weight_of(uint16_t weight)
{
	return weight ? weight : 1;
}

static uint32_t whole_share(const struct move_shares *shares, uint16_t weight)
{
	return shares->weight ? (uint32_t)((uint64_t)shares->total * weight_of(weight) / shares->weight) : 0;
}

/* As many endpoints as this may have one more than their whole share. */
static uint32_t left_over(const struct move_shares *shares)
{
	return shares->whole < shares->total ? shares->total - shares->whole : 0;
}

void move_weigh(struct move_shares *shares, uint16_t weight)
{
	shares->weight += weight_of(weight);
}

void move_count(struct move_shares *shares, uint16_t weight, uint32_t active)
{
	uint32_t whole = whole_share(shares, weight);

	shares->whole += whole;
	if (!shares->least_weight || (uint64_t)active * shares->least_weight < (uint64_t)shares->least * weight_of(weight)) {
		shares->least = active;
		shares->least_weight = (uint16_t)weight_of(weight);
	}
	if (active <= whole)
		return;
	shares->above++;
	shares->excess += active - whole;
}

/* Whoever dials again goes to the least loaded one: with what is left here, this one must not be it. */
static bool is_worth_it(const struct move_shares *shares, uint16_t weight, uint32_t active)
{
	return (uint64_t)(active - 1) * shares->least_weight > (uint64_t)shares->least * weight_of(weight);
}

uint32_t move_surplus(const struct move_shares *shares, uint16_t weight, uint32_t active)
{
	uint32_t whole = whole_share(shares, weight);

	if (active <= whole || !is_worth_it(shares, weight, active))
		return 0;
	return active - whole - (shares->above <= left_over(shares));
}

uint32_t move_surplus_of_all(const struct move_shares *shares)
{
	uint32_t kept = left_over(shares);

	return shares->excess - (kept < shares->above ? kept : shares->above);
}

/* ---- the window ---- */

uint32_t move_window(uint32_t rebalance_ms, uint64_t oldest_ms, uint64_t newest_ms, uint64_t now_ms)
{
	uint64_t age_ms = age_of(newest_ms, now_ms);
	uint32_t name;

	if (newest_ms <= oldest_ms || age_ms < MOVE_DEBOUNCE_MS || age_ms >= rebalance_ms)
		return 0;
	name = (uint32_t)hash_finish(newest_ms);
	return name ? name : 1;
}

uint32_t move_allowed(uint32_t all, uint64_t begun_ms, uint32_t window_ms, uint64_t now_ms)
{
	uint64_t age_ms = age_of(begun_ms, now_ms);
	uint64_t last_ms = (uint64_t)window_ms * 9 / 10; /* a last one that is not quiet at once has the rest of the window */

	if (all == 0 || age_ms < MOVE_DEBOUNCE_MS)
		return 0;
	if (age_ms >= last_ms)
		return all;
	return 1 + (uint32_t)((all - 1) * (age_ms - MOVE_DEBOUNCE_MS) / (last_ms - MOVE_DEBOUNCE_MS));
}
