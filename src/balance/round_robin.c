/* SPDX-License-Identifier: Apache-2.0 */
/* One after the other, over all processes of the pod: a turn is a place on a line that the candidates share by weight. */
#include "balance/policies.h"

#define REFUSALS_MAX 64 /* of those that are new: enough for a round of them */

static void add_to_line(struct line *line, uint32_t weight)
{
	uint64_t total = (uint64_t)line->total + weight;

	line->total = total < UINT32_MAX ? (uint32_t)total : UINT32_MAX; /* who is beyond that has no turn */
	if (weight > line->heaviest)
		line->heaviest = weight;
}

struct line measure_line(const struct pick *pick)
{
	struct line line = { 0, 0 };
	struct candidate candidate;

	if (pick->tally.usable && pick->tally.weight < UINT32_MAX && all_are_candidates(pick))
		return (struct line){ (uint32_t)pick->tally.weight, pick->tally.heaviest };
	for (uint32_t i = 0; i < pick->rows.count; i++)
		if (pick_candidate(pick, i, &candidate))
			add_to_line(&line, candidate.weight);
	return line;
}

/* The candidate at that point; the last one where the line has become shorter since it was measured. */
static bool at_point(const struct pick *pick, uint32_t at, struct candidate *ret_owner)
{
	struct candidate candidate;
	bool found = false;

	for (uint32_t i = 0; i < pick->rows.count; i++) {
		if (!pick_candidate(pick, i, &candidate))
			continue;
		*ret_owner = candidate;
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

bool owner_of_turn(const struct pick *pick, const struct line *line, uint32_t turn, struct candidate *ret_owner)
{
	uint32_t at = turn % line->total;

	if (line->heaviest > 1)
		at = (uint32_t)((uint64_t)at * stride_for(line->total) % line->total);
	/* As many points as rows: each has its own. */
	if (line->heaviest == 1 && line->total == pick->rows.count)
		return pick_candidate(pick, at, ret_owner) || at_point(pick, at, ret_owner);
	return at_point(pick, at, ret_owner);
}

bool takes_turn(const struct line *line, uint32_t turn, const struct candidate *owner)
{
	/* Multiples of the golden section, which fill the range of numbers evenly, a step a round; of each endpoint by itself. */
	uint32_t at = turn / line->total * 0x9e3779b9u + owner->index * 0x85ebca6bu;

	return owner->share == SHARE_WHOLE || ((uint64_t)at * SHARE_WHOLE >> 32) < owner->share;
}

/* Who is new gives up some of its turns, and the dial takes the next one: so all others keep theirs. */
bool round_robin(const struct pick *pick, struct candidate *ret_chosen)
{
	struct line line = measure_line(pick);
	uint32_t turn, start;

	if (line.total == 0)
		return false;
	start = start_of(pick, line.total);
	turn = turn_of(pick);
	for (int refusals = 0; refusals < REFUSALS_MAX; refusals++) {
		if (!owner_of_turn(pick, &line, turn + start, ret_chosen))
			return false;
		if (takes_turn(&line, turn + start, ret_chosen))
			break;
		turn = turn_after(pick, turn);
	}
	return true;
}
