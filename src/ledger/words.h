/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged words: the only way in which the ledger's memory is read and written. See layout.h. */
#ifndef FAIRDIAL_LEDGER_WORDS_H
#define FAIRDIAL_LEDGER_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "table/atomics.h"

/*
 * Tries of a compare-and-swap. Each failure means that another process succeeded. Processes that do nothing else have been seen
 * to lose 64 in a row to each other, and on a machine of many processors, emulated, all of these; so a caller has to have another
 * way (see ledger_turn), and a hostile process can cost no more than these.
 */
#define WORD_TRIES 4096

static inline uint64_t word_make(uint32_t tag, uint32_t value)
{
	return (uint64_t)tag << 32 | value;
}

static inline uint32_t word_value(uint64_t word, uint32_t tag)
{
	return word >> 32 == tag ? (uint32_t)word : 0;
}

/* Relaxed: a number that is used alone, and bounded. What depends on order goes through swap_if. */
static inline uint32_t word_read(const uint64_t *word, uint32_t tag)
{
	return word_value(load_relaxed(word), tag);
}

static inline void word_write(uint64_t *word, uint32_t tag, uint32_t value)
{
	store_relaxed(word, word_make(tag, value));
}

/* Adds; false where the tries ran out. The value before comes back. */
static inline bool word_add(uint64_t *word, uint32_t tag, uint32_t n, uint32_t *ret_before)
{
	uint64_t before = load_relaxed(word);

	for (int i = 0; i < WORD_TRIES; i++) {
		if (swap_from(word, &before, word_make(tag, word_value(before, tag) + n))) {
			*ret_before = word_value(before, tag);
			return true;
		}
	}
	return false;
}

/* The same where nobody asks: what is given up after WORD_TRIES, a mend counts anew. */
static inline void word_count(uint64_t *word, uint32_t tag, uint32_t n)
{
	uint32_t before;

	word_add(word, tag, n, &before);
}

/* 0 means never, so a time that happens to be 0 is told as the one after. */
static inline uint32_t time_word(uint64_t now_ms)
{
	uint32_t ticks = ledger_ticks(now_ms);

	return ticks ? ticks : 1;
}

/* Another process may have read its clock a little after us. */
static inline uint32_t age_of(uint32_t then, uint32_t now)
{
	return (int32_t)(now - then) > 0 ? now - then : 0;
}

/* Until a time of the ledger, in milliseconds; 0: it is over, or further ahead than any ejection may end, which is damage. */
static inline uint32_t time_left_ms(uint32_t until, uint64_t now_ms)
{
	uint32_t left = until - ledger_ticks(now_ms);

	return (int32_t)left > 0 && left <= LEDGER_MAX_EJECTION_MS >> LEDGER_TICK_SHIFT ? left << LEDGER_TICK_SHIFT : 0;
}

static inline struct ledger_row *ledger_row(const struct ledger *ledger, struct ledger_key key)
{
	if (!ledger->base || key.slot >= ledger->rows)
		return NULL;
	return (struct ledger_row *)(ledger->base + ledger->rows_offset + (uint64_t)key.slot * ledger->row_size);
}

/* A word of a port's cursor; NULL also where the ledger is of a version that did not have it. */
static inline uint64_t *cursor_word(const struct ledger *ledger, struct ledger_key cursor, size_t offset)
{
	if (!ledger->base || cursor.slot >= ledger->cursors || offset + sizeof(uint64_t) > ledger->cursor_size)
		return NULL;
	return (uint64_t *)(ledger->base + ledger->cursors_offset + (uint64_t)cursor.slot * ledger->cursor_size + offset);
}

/* Of two counters that only grow and of their damage. */
static inline uint32_t active_of(uint32_t claims, uint32_t gone)
{
	uint32_t active = claims - gone;

	return active <= LEDGER_MAX_ACTIVE ? active : 0;
}

#endif
