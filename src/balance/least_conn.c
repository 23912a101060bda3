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
__attribute__((noinline)) /* as others here: one after the other on the stack of a dial, not side by side */
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
	if (!pick->slow_start_ms && pick->heaviest == 1) {
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
__attribute__((noinline))
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

/*
 * As ledger_load has it. One subtraction tells nearly always: two words of this backend differ by no more. (A word of a
 * stranger whose tag is the one before ours, one in 2^32, makes us look as much fuller as it says.)
 */
static inline uint32_t active_of_words(uint64_t claims_word, uint64_t gone_word, uint32_t tag)
{
	uint64_t more = claims_word - gone_word;

	if (claims_word >> 32 == tag && more <= LEDGER_MAX_ACTIVE)
		return (uint32_t)more;
	return active_of(word_value(claims_word, tag), word_value(gone_word, tag));
}

struct emptiest {
	uint64_t claims_word;
	uint32_t active, weight, row;
};

/*
 * Of the rows before `end`. A step for each of a thousand endpoints, so tests are few: that it is a candidate is asked of one
 * that would be the emptiest.
 */
static inline void compare_rows(const struct pick *pick, uint32_t i, uint32_t end, struct emptiest *best,
				struct candidate *scratch)
{
	const struct ledger *ledger = pick->ledger;

	for (; i < end && best->active; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&pick->rows, i);
		const struct ledger_row *row = ledger_row(ledger, (struct ledger_key){ brief.slot, brief.tag });
		uint64_t claims_word = row ? load_acquire(&row->claims) : 0; /* as in ledger_load */
		uint32_t active = row ? active_of_words(claims_word, load_relaxed(&row->gone), brief.tag) : 0;

		if ((brief.flags & ENDPOINT_USABLE) &&
		    (uint64_t)active * best->weight < (uint64_t)best->active * brief.weight && pick_candidate(pick, i, scratch))
			*best = (struct emptiest){ claims_word, active, brief.weight, i };
	}
}

/* The same for nearly every dial, where a candidate is one that is not ejected, and of its whole weight. */
__attribute__((noinline))
static bool compare_all(const struct pick *pick, uint32_t first, struct candidate *ret_chosen)
{
	struct emptiest best = { 0, UINT32_MAX, 1, pick->rows.count }; /* nobody yet */

	for (int half = 0; half < 2; half++)
		compare_rows(pick, half ? 0 : first, half ? first : pick->rows.count, &best, ret_chosen);
	if (best.row == pick->rows.count || !pick_candidate(pick, best.row, ret_chosen))
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
