/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates, and the policies that choose among them. */
#include "balance/balance.h"

#include "base/hash.h"

static bool was_tried(const struct pick *pick, uint32_t i)
{
	return i < PICK_MAX_TRIED && (pick->tried[i / 64] >> (i % 64) & 1);
}

void pick_mark_tried(struct pick *pick, uint32_t index)
{
	if (index < PICK_MAX_TRIED)
		pick->tried[index / 64] |= 1ull << (index % 64);
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

/*
 * Which of n places is this client's first: k clients of known rank begin k-th parts of them apart, so that two with one
 * connection each do not meet; those that know only their ordinal, one after the other; others where their identity says.
 */
static uint32_t start_of(const struct pick *pick, uint32_t n)
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

/*
 * The row at which it begins. Ranks are laid over the usable rows alone: were the others counted, two clients would meet
 * at the first usable one behind them. Which are ejected does not count, or a client's ledger would move its start.
 */
static uint32_t start_row(const struct pick *pick)
{
	uint32_t n = pick->rows.count, usable = 0, before;

	if (!pick->peers)
		return start_of(pick, n);
	for (uint32_t i = 0; i < n; i++)
		usable += is_usable(pick, i);
	before = usable ? start_of(pick, usable) : 0;
	for (uint32_t i = 0; i < n; i++)
		if (is_usable(pick, i) && before-- == 0)
			return i;
	return 0;
}

/* The turn of this dial among all of the pod; without a ledger, among those of this process and by chance. */
static uint32_t turn_of(const struct pick *pick)
{
	uint32_t turn;

	if (!pick->still && ledger_turn(pick->ledger, pick->cursor, &turn))
		return turn;
	return (uint32_t)pick->noise;
}

static uint32_t total_weight(const struct pick *pick, uint32_t *ret_heaviest)
{
	struct candidate candidate;
	uint32_t total = 0;

	*ret_heaviest = 0;
	for (uint32_t i = 0; i < pick->rows.count; i++) {
		if (!pick_candidate(pick, i, &candidate))
			continue;
		total += candidate.weight;
		if (candidate.weight > *ret_heaviest)
			*ret_heaviest = candidate.weight;
	}
	return total;
}

/*
 * The candidate that owns point `at` of the line on which each is as long as it is heavy; the last one where the line has
 * become shorter since it was measured.
 */
static bool by_weight(const struct pick *pick, uint32_t at, struct candidate *ret_chosen)
{
	struct candidate candidate;
	bool found = false;

	for (uint32_t i = 0; i < pick->rows.count; i++) {
		if (!pick_candidate(pick, i, &candidate))
			continue;
		*ret_chosen = candidate;
		found = true;
		if (at < candidate.weight)
			break;
		at -= candidate.weight;
	}
	return found;
}

static uint32_t greatest_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* A step that visits every point of the line once a round, and spreads the turns of a heavy one. */
static uint32_t stride_for(uint32_t total)
{
	uint32_t stride = (uint32_t)((uint64_t)total * 618 / 1000); /* near the golden section */

	while (stride > 1 && greatest_divisor(total, stride) != 1)
		stride--;
	return stride ? stride : 1;
}

static bool round_robin(const struct pick *pick, struct candidate *ret_chosen)
{
	uint32_t heaviest, total = total_weight(pick, &heaviest), turn;

	if (total == 0)
		return false;
	turn = (turn_of(pick) + start_of(pick, total)) % total;
	if (heaviest > 1)
		turn = (uint32_t)((uint64_t)turn * stride_for(total) % total);
	return by_weight(pick, turn, ret_chosen);
}

/*
 * (a.active + 1) / a.weight < (b.active + 1) / b.weight, without dividing. One that is ejected, and in all the same, has few
 * connections for that reason, and neither wins nor loses by them.
 */
static bool is_less_loaded(const struct candidate *a, const struct candidate *b)
{
	if (a->load.ejected || b->load.ejected)
		return false;
	return ((uint64_t)a->load.active + 1) * b->weight < ((uint64_t)b->load.active + 1) * a->weight;
}

static bool least_conn(const struct pick *pick, struct candidate *ret_chosen)
{
	uint32_t n = pick->rows.count, start, first;
	bool found = false;

	if (n == 0)
		return false;
	start = start_row(pick);
	/* Ties go round: the search begins after the last one chosen. */
	first = (uint32_t)(((uint64_t)ledger_cursor(pick->ledger, pick->cursor) + start) % n);
	if (!pick->ledger->base)
		first = (uint32_t)(pick->noise % n);
	for (uint32_t k = 0, i = first; k < n; k++, i = i + 1 == n ? 0 : i + 1) {
		struct candidate candidate;

		if (!pick_candidate(pick, i, &candidate))
			continue;
		if (!found || is_less_loaded(&candidate, ret_chosen))
			*ret_chosen = candidate;
		found = true;
	}
	if (found && !pick->still)
		ledger_set_cursor(pick->ledger, pick->cursor, ret_chosen->index + 1 + n - start);
	return found;
}

/* Random, yet different for every dial of all processes: a turn, mixed. */
static uint64_t random_of(const struct pick *pick)
{
	return hash_mix(pick->identity ^ pick->cursor.tag, turn_of(pick));
}

static bool random_pick(const struct pick *pick, struct candidate *ret_chosen)
{
	uint32_t heaviest, total = total_weight(pick, &heaviest);

	return total && by_weight(pick, hash_below(random_of(pick), total), ret_chosen);
}

/* Of two random ones the less loaded (Mitzenmacher, The power of two choices, 2001). */
static bool p2c(const struct pick *pick, struct candidate *ret_chosen)
{
	uint32_t heaviest, total = total_weight(pick, &heaviest);
	uint64_t random;
	struct candidate other;

	if (total == 0)
		return false;
	random = random_of(pick);
	if (!by_weight(pick, hash_below(random, total), ret_chosen))
		return false;
	other = *ret_chosen;
	for (int i = 0; i < 4; i++) { /* another one, if chance allows */
		random = hash_finish(random + 1);
		if (by_weight(pick, hash_below(random, total), &other) && other.index != ret_chosen->index)
			break;
	}
	if (is_less_loaded(&other, ret_chosen))
		*ret_chosen = other;
	return true;
}

/*
 * Rendezvous hashing (Thaler and Ravishankar, 1998): each client ranks the endpoints by a hash of both, so the loss
 * of one moves only its own clients. Weights as in Schindelhauer and Schomaker (2005), -weight / ln(hash), with
 * the logarithm in fixed point.
 */
static uint32_t log2_fixed(uint32_t x) /* of x / 2^32 below 1, negated, times 2^16 */
{
	uint32_t bits = x ? (uint32_t)__builtin_clz(x) : 32;
	uint64_t mantissa = x ? (uint64_t)x << bits : 1u << 31; /* in [2^31, 2^32) */
	uint32_t fraction = 0;

	for (int i = 15; i >= 0; i--) {
		mantissa = mantissa * mantissa >> 31;
		if (mantissa >> 32) {
			fraction |= 1u << i;
			mantissa >>= 1;
		}
	}
	return (bits << 16) + 65536 - fraction;
}

static bool rendezvous(const struct pick *pick, struct candidate *ret_chosen)
{
	uint64_t best = 0;
	bool found = false;

	for (uint32_t i = 0; i < pick->rows.count; i++) {
		struct candidate candidate;
		uint64_t score;

		if (!pick_candidate(pick, i, &candidate))
			continue;
		score = ((uint64_t)candidate.weight << 40) /
			log2_fixed((uint32_t)(table_rows_hash(&pick->rows, i, pick->identity) >> 32));
		if (!found || score > best) {
			best = score;
			*ret_chosen = candidate;
		}
		found = true;
	}
	return found;
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

bool pick_next(struct pick *pick, uint8_t balance, struct candidate *ret_chosen)
{
	const struct balance_policy *policy = balance_policy(balance);

	if (!policy)
		policy = &policies[BALANCE_LEAST_CONN];
	pick->all_in = !has_tried(pick) && eject_too_many(pick);
	return policy->next(pick, ret_chosen) || longest_healthy(pick, ret_chosen);
}

bool pick_pinned(struct pick *pick, uint32_t pinned, struct candidate *ret_chosen)
{
	pick->all_in = !has_tried(pick) && eject_too_many(pick);
	for (uint32_t i = 0; pinned && i < pick->rows.count; i++)
		if (table_rows_brief(&pick->rows, i).tag == pinned && pick_candidate(pick, i, ret_chosen))
			return true;
	return pick_next(pick, BALANCE_HASH, ret_chosen);
}
