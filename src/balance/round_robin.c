/* SPDX-License-Identifier: Apache-2.0 */
/* One after the other, over all processes of the pod: a turn is a place on a line that the candidates share by weight. */
#include "balance/policies.h"

#define TURNS_MAX 64 /* that come to nothing */

struct line measure_line(const struct pick *pick)
{
	uint64_t total = pick->weight;
	uint32_t heaviest = pick->heaviest;

	for (uint32_t i = 0; !pick->usable && i < pick->rows.count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);

		if (!(brief.flags & ENDPOINT_USABLE))
			continue;
		total += brief.weight;
		heaviest = brief.weight > heaviest ? brief.weight : heaviest;
	}
	return (struct line){ total < UINT32_MAX ? (uint32_t)total : UINT32_MAX, heaviest }; /* who is beyond has no turn */
}

/* The row at that point; the number of rows where there is none. */
static uint32_t row_at_point(const struct pick *pick, uint32_t at)
{
	uint32_t i;

	for (i = 0; i < pick->rows.count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);

		if (!(brief.flags & ENDPOINT_USABLE))
			continue;
		if (at < brief.weight)
			break;
		at -= brief.weight;
	}
	return i;
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

/* One that is new takes some of its turns, by its share. */
static bool takes_turn(const struct line *line, uint32_t turn, const struct candidate *owner)
{
	/* A step of the golden section each round, which fills the range of numbers evenly; of each endpoint by itself. */
	uint32_t at = turn / line->total * 0x9e3779b9u + owner->index * 0x85ebca6bu;

	return owner->share == SHARE_WHOLE || ((uint64_t)at * SHARE_WHOLE >> 32) < owner->share;
}

bool owner_of_turn(const struct pick *pick, const struct line *line, uint32_t turn, struct candidate *ret_owner)
{
	uint32_t at = turn % line->total;

	if (line->heaviest > 1)
		at = (uint32_t)((uint64_t)at * stride_for(line->total) % line->total);
	/* As many points as rows: each has its own. */
	if (line->heaviest > 1 || line->total != pick->rows.count)
		at = row_at_point(pick, at);
	return at < pick->rows.count && pick_candidate(pick, at, ret_owner) && takes_turn(line, turn, ret_owner);
}

static bool any_from(const struct pick *pick, uint32_t first, struct candidate *ret_chosen)
{
	uint32_t n = pick->rows.count;

	for (uint32_t k = 0; k < n; k++)
		if (pick_candidate(pick, (uint32_t)(((uint64_t)first + k) % n), ret_chosen))
			return true;
	return false;
}

/* A turn that comes to nothing is followed by the next one, so that all others keep theirs. */
bool round_robin(const struct pick *pick, struct candidate *ret_chosen)
{
	struct line line = measure_line(pick);
	uint32_t turn, start;

	if (line.total == 0)
		return false;
	start = start_of(pick, line.total);
	turn = turn_of(pick);
	for (int turns = 0; turns < TURNS_MAX; turns++) {
		if (owner_of_turn(pick, &line, turn + start, ret_chosen))
			return true;
		turn = turn_after(pick, turn);
	}
	return any_from(pick, turn + start, ret_chosen);
}
