/* SPDX-License-Identifier: Apache-2.0 */
/* Moves: what is given up, once; what a window and a second still allow; and counts. Each is one compare-and-swap on one word. */
#include "ledger/moves.h"

#include "base/hash.h"
#include "ledger/words.h"

/* ---- one that is given up ---- */

/*
 * The count that the caller decided on is claims - gone, of which `load` has the one and, by the difference, the other. Two
 * words cannot be swapped as one, so `claims` is compared first, and then `gone` is swapped against what it was.
 *
 * Of all who decided on one count one goes on, because the swap makes `gone` another. A claim that comes between the comparison
 * and the swap is not seen: at worst one leaves although the backend has more connections than it was decided on, which is all
 * the more reason to leave it. A release there changes `gone`, and the swap fails. Fewer than it was decided on, it never has.
 *
 * A mend at the same time. One that began before swaps `gone` only if it is what it was at its beginning, so it leaves this
 * alone. One that begins after it, and whose dump is over before the socket is closed, finds the socket, and takes the giving
 * up back; the next mend finds it gone. Until then the count is one too high, and on it one more may be given up than should.
 * So whoever is told true closes it at once. (The other way round, closed and then given up, a mend in between would count it off
 * twice, and the count would be one too low: then a dial goes there that should not.)
 */
bool ledger_give_up_if(const struct ledger *ledger, struct ledger_key key, const struct ledger_load *load)
{
	struct ledger_row *row = ledger_row(ledger, key);
	uint32_t gone = word_value(load->claims_word, key.tag) - load->active;
	uint64_t before;

	if (!row || load->active == 0 || load->claims_word >> 32 != key.tag)
		return false;
	/* Acquire, and in this order: a release that is seen brings the claim that it undoes. */
	before = load_acquire(&row->gone);
	return word_value(before, key.tag) == gone && load_acquire(&row->claims) == load->claims_word &&
	       swap_if(&row->gone, before, word_make(key.tag, gone + 1));
}

/* Of no more than there are: one that was dialed before there was this ledger, and that no mend has found yet, has no place. */
bool ledger_give_up(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	for (int i = 0; row && i < WORD_TRIES; i++) {
		uint64_t before = load_acquire(&row->gone);
		uint32_t gone = word_value(before, key.tag);

		if (active_of(word_value(load_acquire(&row->claims), key.tag), gone) == 0)
			return false;
		if (swap_if(&row->gone, before, word_make(key.tag, gone + 1)))
			return true;
	}
	return false;
}

/* Not on a row that has passed to another backend. After a mend that took it back already it is one too many, until the next. */
void ledger_take_back(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	for (int i = 0; row && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(&row->gone);

		if (before >> 32 != key.tag || swap_if(&row->gone, before, word_make(key.tag, (uint32_t)before - 1)))
			return;
	}
}

/* ---- a window of rebalance ---- */

/* That another window of the port has the same is a chance of one in 2^32. */
static uint32_t tag_of(const struct ledger_window *window)
{
	return (uint32_t)(hash_mix(hash_mix(window->cursor.tag, window->window), window->v4 ? 4 : 6) >> 32);
}

static uint64_t *total_word(const struct ledger *ledger, const struct ledger_window *window)
{
	return cursor_word(ledger, window->cursor,
			   window->v4 ? offsetof(struct ledger_cursor, window_total_v4) :
					offsetof(struct ledger_cursor, window_total_v6));
}

static uint64_t *moved_word(const struct ledger *ledger, const struct ledger_window *window)
{
	return cursor_word(ledger, window->cursor,
			   window->v4 ? offsetof(struct ledger_cursor, window_moved_v4) :
					offsetof(struct ledger_cursor, window_moved_v6));
}

/*
 * Whoever still looks at an older table may put the last window's word in the place of this one's. Then the next one tells
 * anew, of as many connections but for those that came or went meanwhile; and what had moved counts from 0 again, so that as
 * many more may move, of those that are still too many. More than there can be is damage, and told anew as well.
 */
uint32_t ledger_window_total(const struct ledger *ledger, const struct ledger_window *window, uint32_t now)
{
	uint64_t *word = total_word(ledger, window);
	uint32_t tag = tag_of(window);

	if (now > LEDGER_MAX_SHARED)
		now = LEDGER_MAX_SHARED;
	for (int i = 0; word && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(word);
		uint32_t total = word_value(before, tag);

		if (total && total <= LEDGER_MAX_SHARED)
			return total;
		if (now == 0 || swap_if(word, before, word_make(tag, now)))
			return now;
	}
	return 0;
}

uint32_t ledger_window_moved(const struct ledger *ledger, const struct ledger_window *window)
{
	const uint64_t *word = moved_word(ledger, window);
	uint32_t moved = word ? word_read(word, tag_of(window)) : 0;

	return moved < LEDGER_MAX_SHARED ? moved : LEDGER_MAX_SHARED;
}

bool ledger_window_take_if(const struct ledger *ledger, const struct ledger_window *window, uint32_t moved)
{
	uint64_t *word = moved_word(ledger, window);
	uint32_t tag = tag_of(window);
	uint64_t before = word ? load_relaxed(word) : 0;

	return word && moved < LEDGER_MAX_SHARED && word_value(before, tag) == moved &&
	       swap_if(word, before, word_make(tag, moved + 1));
}

void ledger_window_give_back(const struct ledger *ledger, const struct ledger_window *window)
{
	uint64_t *word = moved_word(ledger, window);
	uint32_t tag = tag_of(window);

	for (int i = 0; word && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(word);
		uint32_t moved = word_value(before, tag);

		if (moved == 0 || swap_if(word, before, word_make(tag, moved - 1)))
			return;
	}
}

/* ---- a rate ---- */

static uint64_t *rate_word(const struct ledger *ledger, struct ledger_key cursor)
{
	return cursor_word(ledger, cursor, offsetof(struct ledger_cursor, rate));
}

bool ledger_has_moves(const struct ledger *ledger, struct ledger_key cursor)
{
	return rate_word(ledger, cursor) != NULL;
}

static uint16_t second_of(uint64_t now_ms)
{
	return (uint16_t)(now_ms / 1000);
}

/*
 * Who read the clock just before another began the next second is counted in that one: else the two would take turns in beginning
 * their seconds anew. Any other second is over, or damage.
 */
bool ledger_rate_take(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms)
{
	uint64_t *word = rate_word(ledger, cursor);

	for (int i = 0; word && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(word);
		uint32_t value = word_value(before, cursor.tag), ahead = (uint16_t)((value >> 16) - second_of(now_ms));

		if (ahead > 1)
			value = (uint32_t)second_of(now_ms) << 16;
		if ((value & 0xffff) >= LEDGER_MOVES_PER_SECOND)
			return false;
		if (swap_if(word, before, word_make(cursor.tag, value + 1)))
			return true;
	}
	return false;
}

void ledger_rate_give_back(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms)
{
	uint64_t *word = rate_word(ledger, cursor);

	for (int i = 0; word && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(word);
		uint32_t value = word_value(before, cursor.tag);

		if (value >> 16 != second_of(now_ms) || (value & 0xffff) == 0 ||
		    swap_if(word, before, word_make(cursor.tag, value - 1)))
			return;
	}
}

/* ---- for people ---- */

static void count(const struct ledger *ledger, struct ledger_key cursor, size_t offset)
{
	uint64_t *word = cursor_word(ledger, cursor, offset);

	if (word)
		word_count(word, cursor.tag, 1);
}

static uint32_t count_at(const struct ledger *ledger, struct ledger_key cursor, size_t offset)
{
	const uint64_t *word = cursor_word(ledger, cursor, offset);

	return word ? word_read(word, cursor.tag) : 0;
}

static size_t offset_of(unsigned reason, bool observed)
{
	size_t all = observed ? offsetof(struct ledger_cursor, would_have) : offsetof(struct ledger_cursor, moved);

	return all + (reason - 1) * sizeof(uint64_t);
}

void ledger_count_move(const struct ledger *ledger, struct ledger_key cursor, unsigned reason, bool observed)
{
	if (reason >= 1 && reason <= LEDGER_MOVE_REASONS)
		count(ledger, cursor, offset_of(reason, observed));
}

void ledger_count_without_thread(const struct ledger *ledger, struct ledger_key cursor)
{
	count(ledger, cursor, offsetof(struct ledger_cursor, without_thread));
}

struct ledger_moves ledger_moves(const struct ledger *ledger, struct ledger_key cursor)
{
	struct ledger_moves moves;

	for (unsigned reason = 1; reason <= LEDGER_MOVE_REASONS; reason++) {
		moves.moved[reason - 1] = count_at(ledger, cursor, offset_of(reason, false));
		moves.would_have[reason - 1] = count_at(ledger, cursor, offset_of(reason, true));
	}
	moves.without_thread = count_at(ledger, cursor, offsetof(struct ledger_cursor, without_thread));
	return moves;
}
