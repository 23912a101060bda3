/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and turns: each one compare-and-swap on one tagged word. Failures: health.c. */
#include "ledger/ledger.h"

#include "ledger/words.h"

struct ledger_load ledger_load(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	struct ledger_load load = { 0 };
	const struct ledger_row *row = ledger_row(ledger, key);

	if (!row)
		return load;
	/* Acquire: a claim that is seen brings with it what its maker had seen. */
	load.claims_word = load_acquire(&row->claims);
	load.active = active_of(word_value(load.claims_word, key.tag), word_read(&row->gone, key.tag));
	/* Acquire: with a verdict, the end of it in the head. */
	load.ejection = word_value(load_acquire(&row->ejected_until), key.tag);
	load.ejected = load.ejection && time_left_ms(load.ejection, now_ms) > 0;
	return load;
}

/* The first claim of a backend on a row that was another's: what an earlier tenancy of its own left is worth nothing. */
static void begin_tenancy(struct ledger_row *row, uint64_t claims_word, uint32_t tag)
{
	uint64_t gone, landed;

	if (claims_word >> 32 == tag)
		return;
	/* Only if they are still as they were while the row was another's: another process may have begun meanwhile. */
	gone = load_acquire(&row->gone);
	landed = load_acquire(&row->landed);
	if (load_acquire(&row->claims) != claims_word)
		return;
	swap_if(&row->gone, gone, word_make(tag, 0));
	swap_if(&row->landed, landed, word_make(tag, 0));
}

bool ledger_claim_if(const struct ledger *ledger, struct ledger_key key, const struct ledger_load *load)
{
	struct ledger_row *row = ledger_row(ledger, key);

	if (row)
		begin_tenancy(row, load->claims_word, key.tag);
	return !row || swap_if(&row->claims, load->claims_word,
			       word_make(key.tag, word_value(load->claims_word, key.tag) + 1));
}

void ledger_claim(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	if (!row)
		return;
	begin_tenancy(row, load_relaxed(&row->claims), key.tag);
	word_count(&row->claims, key.tag, 1);
}

void ledger_landed(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	if (row)
		word_count(&row->landed, key.tag, 1);
}

void ledger_release(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	if (!row)
		return;
	/* In this order: a mend that sees it landed must not still count it. */
	word_count(&row->gone, key.tag, 1);
	word_count(&row->landed, key.tag, 1);
}

/* ---- the keeper ---- */

void ledger_note_seen(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	struct ledger_row *row = ledger_row(ledger, key);

	/* Two at once may go beyond the bound by one each: it need not be exact. */
	if (row && ledger_is_kept(ledger, now_ms) && word_read(&row->seen, key.tag) < LEDGER_SEEN_MAX)
		word_count(&row->seen, key.tag, 1);
}

bool ledger_take_seen(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_row *row = ledger_row(ledger, key);

	for (int i = 0; row && i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(&row->seen);
		uint32_t seen = word_value(before, key.tag);

		if (seen == 0)
			return false;
		if (swap_if(&row->seen, before, word_make(key.tag, (seen < LEDGER_SEEN_MAX ? seen : LEDGER_SEEN_MAX) - 1)))
			return true;
	}
	return false;
}

void ledger_forget_seen(const struct ledger *ledger)
{
	for (uint32_t slot = 0; slot < ledger->rows; slot++) {
		struct ledger_row *row = ledger_row(ledger, (struct ledger_key){ slot, 0 });

		if (row && load_relaxed(&row->seen))
			store_relaxed(&row->seen, 0);
	}
}

bool ledger_is_kept(const struct ledger *ledger, uint64_t now_ms)
{
	uint64_t kept_ms = ledger->base ? load_relaxed(&((const struct ledger_head *)ledger->base)->kept_ms) : 0;
	int64_t age_ms = (int64_t)(now_ms - kept_ms);

	/* Signed: a dial may have read its clock before the keeper did. */
	return kept_ms && age_ms < LEDGER_KEPT_FOR_MS && age_ms > -LEDGER_KEPT_FOR_MS;
}

bool ledger_is_shared(const struct ledger *ledger)
{
	return ledger->base && (load_relaxed(&((const struct ledger_head *)ledger->base)->flags) & LEDGER_SHARED_NETWORK);
}

void ledger_keep(const struct ledger *ledger, bool shared_network, uint64_t now_ms)
{
	struct ledger_head *head = (struct ledger_head *)ledger->base;

	if (!head)
		return;
	store_relaxed(&head->flags, shared_network ? LEDGER_SHARED_NETWORK : 0);
	store_relaxed(&head->kept_ms, now_ms ? now_ms : 1);
}

void ledger_unkeep(const struct ledger *ledger)
{
	/* The flags stay: the network is what it was, and the shims mend in it from now on. */
	if (ledger->base)
		store_relaxed(&((struct ledger_head *)ledger->base)->kept_ms, 0);
}

struct ledger_score ledger_score(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	struct ledger_load load = ledger_load(ledger, key, now_ms);
	struct ledger_score score = { 0 };

	if (!row)
		return score;
	score.dials = word_value(load.claims_word, key.tag);
	score.active = load.active;
	score.failures = word_read(&row->failures, key.tag);
	score.ejected = load.ejected;
	score.ejected_ms = ledger_left_ms(load.ejection, now_ms);
	return score;
}

bool ledger_turn(const struct ledger *ledger, struct ledger_key cursor, uint32_t *ret_turn)
{
	uint64_t *word = cursor_word(ledger, cursor, offsetof(struct ledger_cursor, next));

	return word && word_add(word, cursor.tag, 1, ret_turn);
}

uint32_t ledger_cursor(const struct ledger *ledger, struct ledger_key cursor)
{
	const uint64_t *word = cursor_word(ledger, cursor, offsetof(struct ledger_cursor, next));

	return word ? word_read(word, cursor.tag) : 0;
}

void ledger_set_cursor(const struct ledger *ledger, struct ledger_key cursor, uint32_t next)
{
	uint64_t *word = cursor_word(ledger, cursor, offsetof(struct ledger_cursor, next));

	if (word)
		word_write(word, cursor.tag, next);
}

/* ---- pins ---- */

#define MAX_PIN_S (24u * 3600) /* as long as a Service may ask for; a time further ahead is damage */

static uint64_t *pin_word(const struct ledger *ledger, struct ledger_key cursor, bool v4)
{
	return cursor_word(ledger, cursor, v4 ? offsetof(struct ledger_cursor, pin_v4) : offsetof(struct ledger_cursor, pin_v6));
}

static uint32_t seconds_to_ticks(uint32_t s)
{
	return (uint32_t)((uint64_t)(s < MAX_PIN_S ? s : MAX_PIN_S) * 1000 >> LEDGER_TICK_SHIFT);
}

struct ledger_pin ledger_pin(const struct ledger *ledger, struct ledger_key cursor, bool v4, uint32_t max_age_s, uint64_t now_ms)
{
	const uint64_t *word = pin_word(ledger, cursor, v4);
	struct ledger_pin pin = { 0, 0 };
	int64_t age;

	if (!word)
		return pin;
	pin.word = load_relaxed(word);
	/* A little ahead is a process that read its clock after us. */
	age = (int32_t)(ledger_ticks(now_ms) - (uint32_t)pin.word);
	if ((uint32_t)pin.word && age <= seconds_to_ticks(max_age_s) && age >= -(int64_t)seconds_to_ticks(MAX_PIN_S))
		pin.tag = (uint32_t)(pin.word >> 32) ^ cursor.tag;
	return pin;
}

bool ledger_set_pin(const struct ledger *ledger, struct ledger_key cursor, bool v4, const struct ledger_pin *before, uint32_t tag,
		    uint64_t now_ms)
{
	uint64_t *word = pin_word(ledger, cursor, v4);
	uint32_t time = time_word(now_ms);
	uint64_t after;

	if (before->tag == tag && (int32_t)((uint32_t)before->word - time) > 0)
		time = (uint32_t)before->word;
	after = word_make(tag ^ cursor.tag, time);
	return !word || after == before->word || swap_if(word, before->word, after);
}
