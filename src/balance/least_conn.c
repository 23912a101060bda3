/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one with the fewest open connections for its weight, all endpoints compared. Ties go round, and by weight (as nginx's
 * least_conn): where connections are short, nobody has any, and turns are all that there is.
 */
#include "balance/policies.h"

#include "ledger/words.h"

#define TURNS_MAX 64 /* that come to nothing */

/* Where the search begins, and so who wins a tie. */
struct search {
	uint32_t first;	 /* row */
	bool by_weight;	 /* the row that has `turn`; else the one after the last that was chosen */
	uint32_t turn, start;
};

/* Rows by equal weight: the search goes on behind the last one chosen. */
static void begin_at_cursor(const struct pick *pick, struct search *search)
{
	uint32_t n = pick->rows.count;

	search->start = start_row(pick);
	search->first = (uint32_t)(((uint64_t)ledger_cursor(pick->ledger, pick->cursor) + search->start) % n);
	if (!pick->ledger->base)
		search->first = (uint32_t)(pick->noise % n);
}

/* By weight, or while some are new: where round_robin would. */
static void begin_at_turn(const struct pick *pick, const struct line *line, struct search *search)
{
	struct candidate owner;

	search->by_weight = true;
	search->turn = pick->ledger->base ? ledger_cursor(pick->ledger, pick->cursor) : (uint32_t)pick->noise;
	search->start = start_of(pick, line->total);
	for (int turns = 0; turns < TURNS_MAX; turns++, search->turn++) {
		if (owner_of_turn(pick, line, search->turn + search->start, &owner)) {
			search->first = owner.index;
			break;
		}
	}
}

static bool begin(const struct pick *pick, struct search *search)
{
	struct line line;

	*search = (struct search){ 0 };
	if (pick->rows.count == 0)
		return false;
	if (!pick->slow_start_ms && pick->tally.heaviest == 1) {
		begin_at_cursor(pick, search);
		return true;
	}
	line = measure_line(pick);
	if (line.total == 0)
		return false;
	if (pick->slow_start_ms || line.heaviest > 1)
		begin_at_turn(pick, &line, search);
	else
		begin_at_cursor(pick, search);
	return true;
}

static void end(const struct pick *pick, const struct search *search, uint32_t chosen)
{
	uint32_t n = pick->rows.count;

	if (!pick->still)
		ledger_set_cursor(pick->ledger, pick->cursor,
				  search->by_weight ? search->turn + 1 : chosen + 1 + n - search->start);
}

static bool is_idle(const struct candidate *candidate)
{
	return candidate->load.active == 0 && !candidate->load.ejected;
}

/* Any candidates, one by one: while some are new, or in although they are ejected. */
static bool compare_candidates(const struct pick *pick, uint32_t first, struct candidate *ret_chosen)
{
	uint32_t n = pick->rows.count;
	struct candidate candidate;
	bool found = false;

	for (uint32_t k = 0, i = first; k < n; k++, i = i + 1 == n ? 0 : i + 1) {
		if (!pick_candidate(pick, i, &candidate))
			continue;
		if (!found || is_less_loaded(&candidate, ret_chosen))
			*ret_chosen = candidate;
		found = true;
		if (is_idle(ret_chosen))
			break;
	}
	return found;
}

/* The emptiest so far of a walk. */
struct emptiest {
	uint32_t active, weight, index;
	uint64_t claims_word;
};

/*
 * As ledger_load has it, where nobody is ejected. One subtraction tells nearly always: two words of this backend differ by no more. (A
 * word of a stranger whose tag is the one before ours, one in 2^32, makes us look as much fuller as it says.)
 */
static inline uint32_t active_at(const struct ledger_row *row, uint64_t claims_word, uint32_t tag)
{
	uint64_t gone_word = load_relaxed(&row->gone), more = claims_word - gone_word;

	if (claims_word >> 32 == tag && more <= LEDGER_MAX_ACTIVE)
		return (uint32_t)more;
	return active_of(word_value(claims_word, tag), word_value(gone_word, tag));
}

/* True: nobody can be emptier. A step for each of a thousand endpoints: what can be known before is, and tests are few. */
static bool compare_rows(const struct pick *pick, uint32_t from, uint32_t to, struct emptiest *best)
{
	const struct ledger *ledger = pick->ledger;
	const uint8_t *ledger_rows = ledger->base + ledger->rows_offset;
	const struct table_rows rows = pick->rows;
	uint64_t size = ledger->row_size;
	uint32_t known = ledger->base ? ledger->rows : 0;
	bool some_are_out = !all_are_candidates(pick);
	struct emptiest now = *best;
	struct candidate candidate;

	for (uint32_t i = from; i < to; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&rows, i);
		uint64_t claims_word = 0;
		uint32_t active = 0;

		if (!(brief.flags & ENDPOINT_USABLE))
			continue;
		if (brief.slot < known) {
			const struct ledger_row *row = (const void *)(ledger_rows + brief.slot * size);

			claims_word = load_acquire(&row->claims); /* as in ledger_load */
			active = active_at(row, claims_word, brief.tag);
		}
		if ((uint64_t)active * now.weight >= (uint64_t)now.active * brief.weight ||
		    (some_are_out && !pick_candidate(pick, i, &candidate)))
			continue;
		now = (struct emptiest){ active, brief.weight, i, claims_word };
		if (active == 0)
			break;
	}
	*best = now;
	return now.active == 0;
}

/* The same for nearly every dial, where a candidate is one that is not ejected, and of its whole weight. */
static bool compare_all(const struct pick *pick, uint32_t first, struct candidate *ret_chosen)
{
	struct emptiest best = { UINT32_MAX, 1, pick->rows.count, 0 }; /* nobody yet */

	if (!compare_rows(pick, first, pick->rows.count, &best))
		compare_rows(pick, 0, first, &best);
	if (best.index == pick->rows.count || !pick_candidate(pick, best.index, ret_chosen))
		return false;
	/* As it was when it was compared: a claim that came meanwhile must not pass for one that was seen. */
	ret_chosen->load.claims_word = best.claims_word;
	ret_chosen->load.active = best.active;
	return true;
}

bool least_conn(const struct pick *pick, struct candidate *ret_chosen)
{
	struct search search;
	bool found = false;

	if (!begin(pick, &search))
		return false;
	if (!pick->slow_start_ms && !pick->all_in)
		found = compare_all(pick, search.first, ret_chosen);
	if (!found)
		found = compare_candidates(pick, search.first, ret_chosen);
	if (found)
		end(pick, &search, ret_chosen->index);
	return found;
}
