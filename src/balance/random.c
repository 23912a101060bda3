/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By chance: one, or of two the one with fewer open connections (Mitzenmacher, The Power of Two Choices in Randomized Load
 * Balancing, 2001). A row is drawn among all, and taken with the probability that its weight is of the heaviest one's:
 * so a draw costs the same however many there are. Where chance, or the weights, do not favour that, all are added up instead.
 */
#include "balance/policies.h"

#include "base/hash.h"

#define DRAWS_MAX   16
#define DRAWS_WORTH 8 /* as many as are expected, at most */
#define NOBODY	    UINT32_MAX

/* Yet different for every dial of all processes: a turn, mixed. */
static uint64_t random_of(const struct pick *pick)
{
	return hash_mix(hash_mix(pick->identity, pick->cursor.tag), turn_of(pick));
}

static uint64_t below(uint64_t random, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random * n >> 64);
}

static bool is_worth_drawing(const struct pick *pick)
{
	return pick->weight && (uint64_t)pick->rows.count * pick->heaviest <= (uint64_t)pick->weight * DRAWS_WORTH;
}

static bool draw(const struct pick *pick, uint32_t except, uint64_t *random, struct candidate *ret_chosen)
{
	uint64_t heaviest = (uint64_t)pick->heaviest * SHARE_WHOLE;

	for (int i = 0; i < DRAWS_MAX; i++) {
		uint32_t row;

		*random = hash_finish(*random + 0x9e3779b97f4a7c15u);
		row = hash_below(*random, pick->rows.count); /* by its high half; the low one says whether it is taken */
		if (row != except && pick_candidate(pick, row, ret_chosen) &&
		    ((uint64_t)(uint32_t)*random * heaviest >> 32) < weigh(ret_chosen))
			return true;
	}
	return false;
}

static uint64_t total_but(const struct pick *pick, uint32_t except)
{
	struct candidate candidate;
	uint64_t total = 0;

	for (uint32_t i = 0; i < pick->rows.count; i++)
		if (i != except && pick_candidate(pick, i, &candidate))
			total += weigh(&candidate);
	return total;
}

/* The last one where others have become fewer since they were added up. */
static bool add_up(const struct pick *pick, uint32_t except, uint64_t *random, struct candidate *ret_chosen)
{
	uint64_t at;
	struct candidate candidate;
	bool found = false;

	*random = hash_finish(*random + 0x9e3779b97f4a7c15u);
	at = below(*random, total_but(pick, except));
	for (uint32_t i = 0; i < pick->rows.count; i++) {
		if (i == except || !pick_candidate(pick, i, &candidate))
			continue;
		*ret_chosen = candidate;
		found = true;
		if (at < weigh(&candidate))
			break;
		at -= weigh(&candidate);
	}
	return found;
}

static bool choose(const struct pick *pick, uint32_t except, uint64_t *random, struct candidate *ret_chosen)
{
	if (is_worth_drawing(pick) && draw(pick, except, random, ret_chosen))
		return true;
	return add_up(pick, except, random, ret_chosen);
}

bool random_pick(const struct pick *pick, struct candidate *ret_chosen)
{
	uint64_t random = random_of(pick);

	return choose(pick, NOBODY, &random, ret_chosen);
}

bool p2c(const struct pick *pick, struct candidate *ret_chosen)
{
	uint64_t random = random_of(pick);
	struct candidate other;

	if (!choose(pick, NOBODY, &random, ret_chosen))
		return false;
	if (choose(pick, ret_chosen->index, &random, &other) && is_less_loaded(&other, ret_chosen))
		*ret_chosen = other;
	return true;
}
