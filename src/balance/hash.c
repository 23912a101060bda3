/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rendezvous hashing (Thaler and Ravishankar, Using Name-Based Mappings to Increase Hit Rates, 1998): each client ranks the
 * endpoints by a hash of both, so the loss of one moves only its own clients, and a new one takes from each its share. Weights
 * as in Schindelhauer and Schomaker (Weighted Distributed Hash Tables, 2005): by weight / -ln(hash), with the logarithm in
 * fixed point.
 *
 * Who comes first of a generation's usable endpoints does not depend on the ledger, so a process remembers the first few, for
 * each client and list that it dials. No lock and no order is needed for that: a ranking's check is a hash of whose it is and
 * of its rows, so that one which two threads have written at once, or a signal handler in between, is no ranking at all. What
 * is remembered of a list that was being overwritten meanwhile has the mark of that reading, which ends badly for everybody.
 */
#include "balance/policies.h"

#include "base/hash.h"

#define NO_ROW UINT32_MAX

struct hash_ranking hash_memory[HASH_MEMORY];

struct score {
	uint64_t hash;
	uint32_t log; /* log2_fixed of its high half */
	uint32_t weight;
	uint32_t row;
};

static uint32_t log2_fixed(uint32_t x) /* of x / 2^32 below 1, negated, times 2^16; 1 or more */
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

/* A logarithm that is no greater, and costs a multiplication: -ln(1 - y) >= y. */
static inline uint32_t least_log(uint32_t x)
{
	return (uint32_t)((uint64_t)~x * 94548 >> 32); /* 2^16 / ln 2 */
}

static inline bool is_better(const struct score *a, const struct score *b)
{
	uint64_t left = (uint64_t)a->weight * b->log, right = (uint64_t)b->weight * a->log;

	return left != right ? left > right : a->hash > b->hash;
}

/* Certainly not: told without the logarithm. */
static inline bool is_worse(uint64_t hash, uint32_t weight, const struct score *than)
{
	return (uint64_t)weight * than->log < (uint64_t)than->weight * least_log((uint32_t)(hash >> 32));
}

static void put(struct score *best, uint32_t room, uint32_t *count, const struct score *score)
{
	uint32_t at;

	if (*count == room && !is_better(score, &best[room - 1]))
		return;
	if (*count < room)
		++*count;
	for (at = *count - 1; at > 0 && is_better(score, &best[at - 1]); at--)
		best[at] = best[at - 1];
	best[at] = *score;
}

/* The first `room` of the usable ones, or of those that are candidates: how many there are. */
static uint32_t rank(const struct pick *pick, bool candidates, struct score *best, uint32_t room)
{
	struct candidate candidate;
	uint32_t count = 0;

	for (uint32_t i = 0; i < pick->rows.count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);
		struct score score = { .weight = brief.weight ? brief.weight : 1, .row = i };

		if (!(brief.flags & ENDPOINT_USABLE))
			continue;
		score.hash = table_rows_hash(&pick->rows, i, pick->identity);
		if ((count == room && is_worse(score.hash, score.weight, &best[room - 1])) ||
		    (candidates && !pick_candidate(pick, i, &candidate)))
			continue;
		score.log = log2_fixed((uint32_t)(score.hash >> 32));
		put(best, room, &count, &score);
	}
	return count;
}

/* ---- what is remembered ---- */

static uint64_t whose(const struct pick *pick)
{
	return hash_mix(hash_mix(pick->mark, pick->identity), (uint64_t)pick->rows.first << 32 | pick->rows.count);
}

static struct hash_ranking *place_of(uint64_t owner)
{
	return &hash_memory[owner % HASH_MEMORY];
}

static uint64_t check_of(uint64_t owner, const uint64_t *rows)
{
	for (int i = 0; i < HASH_RANKING / 2; i++)
		owner = hash_mix(owner, rows[i]);
	return owner;
}

/* Relaxed: the check tells whether these words belong together. */
static bool recall(uint64_t owner, uint64_t *ret_rows)
{
	const struct hash_ranking *ranking = place_of(owner);

	for (int i = 0; i < HASH_RANKING / 2; i++)
		ret_rows[i] = load_relaxed(&ranking->rows[i]);
	return load_relaxed(&ranking->check) == check_of(owner, ret_rows);
}

static void remember(uint64_t owner, const uint64_t *rows)
{
	struct hash_ranking *ranking = place_of(owner);

	for (int i = 0; i < HASH_RANKING / 2; i++)
		store_relaxed(&ranking->rows[i], rows[i]);
	store_relaxed(&ranking->check, check_of(owner, rows));
}

__attribute__((noinline)) /* not on the stack of every dial */
static void rank_rows(const struct pick *pick, uint64_t *ret_rows)
{
	struct score best[HASH_RANKING];
	uint32_t count = rank(pick, false, best, HASH_RANKING);

	for (uint32_t i = 0; i < HASH_RANKING; i += 2)
		ret_rows[i / 2] = (uint64_t)(i + 1 < count ? best[i + 1].row : NO_ROW) << 32 |
				  (i < count ? best[i].row : NO_ROW);
}

/* The best of the few that are remembered, if any of them is a candidate. */
static bool choose_known(const struct pick *pick, struct candidate *ret_chosen)
{
	uint64_t rows[HASH_RANKING / 2], owner = whose(pick);

	if (!recall(owner, rows)) {
		rank_rows(pick, rows);
		remember(owner, rows);
	}
	for (int i = 0; i < HASH_RANKING; i++) {
		uint32_t row = (uint32_t)(rows[i / 2] >> i % 2 * 32);

		if (row < pick->rows.count && pick_candidate(pick, row, ret_chosen))
			return true;
	}
	return false;
}

bool rendezvous(const struct pick *pick, struct candidate *ret_chosen)
{
	struct score best;

	if (pick->mark && choose_known(pick, ret_chosen))
		return true;
	return rank(pick, true, &best, 1) && pick_candidate(pick, best.row, ret_chosen);
}
