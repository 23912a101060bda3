/* SPDX-License-Identifier: Apache-2.0 */
/* sock_diag in, counts out. */
#include "base/bytes.h"
#include "ledger/mend.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "base/scratch.h"
#include "base/socket_dump.h"
#include "ledger/words.h"

#define MEND_SELDOM_MS 60000
#define MEND_SHORT_US	3000
#define ABANDONED_AFTER_MS 900

static bool is_short(const struct ledger_head *head, bool may_block)
{
	return may_block || load_relaxed(&head->mend_us) <= MEND_SHORT_US;
}

static uint64_t interval_of(const struct ledger_head *head, bool may_block)
{
	uint64_t took_us = load_relaxed(&head->mend_us); /* a thousand times as long: as many milliseconds */

	if (is_short(head, may_block))
		return MEND_EVERY_MS;
	return took_us < MEND_SELDOM_MS ? took_us : MEND_SELDOM_MS;
}

/*
 * Not long ago; or a moment ahead, as seen by a caller that read its clock before the other did. A time far ahead is damage,
 * and must not stop mending for good.
 */
static bool is_within(int64_t age_ms, uint64_t interval_ms)
{
	return age_ms < (int64_t)interval_ms && age_ms > -(int64_t)interval_ms;
}

bool mend_due(const struct ledger *ledger, const struct mend_caller *caller, uint64_t now_ms)
{
	struct ledger_head *head = (struct ledger_head *)ledger->base;
	uint64_t *mended = cursor_word(ledger, caller->cursor, offsetof(struct ledger_cursor, mended));
	uint64_t *generation = cursor_word(ledger, caller->cursor, offsetof(struct ledger_cursor, generation));
	uint32_t tag = caller->cursor.tag, now = ledger_ticks(now_ms), own;
	uint64_t last, before;
	bool newer;

	if (!head || !mended || ledger_is_kept(ledger, now_ms))
		return false;
	last = load_relaxed(&head->mended_ms);
	before = load_relaxed(mended);
	own = word_value(before, tag);
	if (is_within((int64_t)(now_ms - last), MEND_GAP_MS))
		return false;
	newer = (int32_t)((uint32_t)caller->generation - word_read(generation, tag)) > 0;
	if (own && !((newer || caller->urgent) && is_short(head, caller->may_block)) &&
	    is_within((int64_t)(int32_t)(now - own) * (1 << LEDGER_TICK_SHIFT), interval_of(head, caller->may_block)))
		return false;
	if (!swap_if(&head->mended_ms, last, now_ms) || !swap_if(mended, before, word_make(tag, now ? now : 1)))
		return false;
	if (newer)
		word_write(generation, tag, (uint32_t)caller->generation);
	return true;
}

/* One mend from its beginning to its end: too much for the stack of a hook. */
struct mending {
	const struct ledger *ledger;
	const struct mend_list *list;
	uint32_t number; /* tags its notes */
	bool shared;	 /* others' sockets are among those that the kernel lists */
	uint64_t now_ms;
	struct addr peer; /* of the socket that is counted */
	struct socket_dump dump;
};

/* ---- the notes in the rows ---- */

static void begin_row(const struct mending *m, struct ledger_row *row, uint32_t tag)
{
	/* In this order: if all claims have landed, what was released is in `gone` (see ledger_release). */
	uint32_t landed = word_value(load_acquire(&row->landed), tag);
	uint32_t claims = word_value(load_acquire(&row->claims), tag);
	uint32_t gone = word_value(load_acquire(&row->gone), tag);

	word_write(&row->mend_landed, m->number, landed);
	word_write(&row->mend_claims, m->number, claims);
	word_write(&row->mend_gone, m->number, gone);
	word_write(&row->mend_found, m->number, 0);
}

/*
 * Claims on their way to the kernel: of processes that are between the two instructions, or were killed there. As many as
 * there were at the least at every mend of a second are dead ones (one that waits in connect(2) is in the kernel's list, and
 * counts by that), and are taken to have landed. More landings than claims is what such a verdict on a living one leaves.
 */
static uint32_t on_their_way(struct ledger_row *row, uint32_t tag, uint32_t claims, uint32_t landed, uint64_t now_ms)
{
	uint32_t waiting = claims - landed, now = ledger_ticks(now_ms) | 1;
	uint32_t since = word_read(&row->unsettled_since, tag), least = word_read(&row->unsettled_least, tag);

	if ((int32_t)waiting <= 0) {
		if (waiting)
			word_write(&row->landed, tag, claims);
		if (since)
			word_write(&row->unsettled_since, tag, 0);
		return 0;
	}
	if (since && (int32_t)(now - since) < -(ABANDONED_AFTER_MS >> LEDGER_TICK_SHIFT)) /* yet to come: damage */
		since = 0;
	if (!since || waiting < least) {
		least = waiting;
		word_write(&row->unsettled_least, tag, least);
	}
	if (!since)
		word_write(&row->unsettled_since, tag, now);
	if (!since || (int32_t)(now - since) <= ABANDONED_AFTER_MS >> LEDGER_TICK_SHIFT)
		return waiting;
	word_add(&row->landed, tag, least, &landed);
	word_write(&row->unsettled_since, tag, 0);
	return waiting - least;
}

/* Whether the four notes of a row are still this mend's: another one writes its own over them. */
static bool notes_are(const struct ledger_row *row, uint32_t number)
{
	return load_acquire(&row->mend_claims) >> 32 == number && load_acquire(&row->mend_landed) >> 32 == number &&
	       load_acquire(&row->mend_gone) >> 32 == number && load_acquire(&row->mend_found) >> 32 == number;
}

/*
 * The kernel listed `found`; `waiting` claims had not reached it when the dump began, and `made` were made since. Each of those may
 * or may not be among the found. A count that can be true stays: of a row on which nothing was closed it is exact. One that
 * cannot be is set as high as it may be, so that no claim is forgotten; the next mend knows better.
 */
static void end_row(const struct mending *m, struct ledger_row *row, uint32_t tag)
{
	uint32_t claims = word_read(&row->mend_claims, m->number), landed = word_read(&row->mend_landed, m->number);
	uint32_t gone = word_read(&row->mend_gone, m->number), found = word_read(&row->mend_found, m->number);
	uint32_t waiting, made, active;
	uint64_t before;

	if (!notes_are(row, m->number))
		return;
	waiting = on_their_way(row, tag, claims, landed, m->now_ms);
	made = word_value(load_acquire(&row->claims), tag) - claims;
	active = claims + made - gone;
	if (m->shared && (found > active || active > LEDGER_MAX_ACTIVE)) /* what is more than was claimed is others' */
		found = active_of(claims + made, gone);
	if (active >= found && active - found <= waiting + made)
		return;
	/* Fails if something was released meanwhile: next time. Against what was read, whatever its tag. */
	before = load_relaxed(&row->gone);
	if (word_value(before, tag) == gone)
		swap_if(&row->gone, before, word_make(tag, claims - found - waiting));
}

bool mend_has_settled(const struct ledger *ledger, struct ledger_key key)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	uint32_t claims, landed, then;

	if (!row)
		return true;
	landed = word_value(load_acquire(&row->landed), key.tag);
	claims = word_value(load_acquire(&row->claims), key.tag);
	then = (uint32_t)load_relaxed(&row->mend_claims); /* whosever mend it was: it saw no other claims */
	return (int32_t)(claims - landed) <= 0 && claims == then &&
	       (int32_t)(then - (uint32_t)load_relaxed(&row->mend_landed)) <= 0;
}

static void for_each_row(const struct mending *m,
			 void (*visit)(const struct mending *, struct ledger_row *, uint32_t))
{
	for (uint32_t i = 0; i < m->list->count; i++) {
		struct ledger_row *row;
		struct ledger_key key;
		struct addr addr;

		if (!m->list->at(m->list->of, i, &addr, &key))
			return;
		row = ledger_row(m->ledger, key);
		if (row)
			visit(m, row, key.tag);
	}
}

/* Only onto this mend's own note. */
static void count_found(struct ledger_row *row, uint32_t number)
{
	for (int i = 0; i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(&row->mend_found);

		if (before >> 32 != number || swap_if(&row->mend_found, before, before + 1))
			return;
	}
}

/*
 * One that stands is as good a sign of life as a dial that was answered, unless a dial has failed since, and it may be older:
 * then only the one that is waited for, which was dialed later.
 */
static void note_established(const struct mending *m, struct ledger_row *row, struct ledger_key key, uint16_t port_be)
{
	uint32_t now = ledger_ticks(m->now_ms) | 1;
	uint32_t success = word_read(&row->last_success, key.tag), failure = word_read(&row->last_failure, key.tag);

	if (ledger_awaits(m->ledger, key, port_be) && ledger_doubted(m->ledger, key))
		ledger_report(m->ledger, key, OUTCOME_SUCCESS, NULL, m->now_ms);
	else if (success != now && (!failure || (success && (int32_t)(success - failure) >= 0)))
		word_write(&row->last_success, key.tag, now);
}

/* `port_be`: the local one of a socket that is established; 0: it is not. */
static void count_socket(const struct mending *m, uint16_t port_be)
{
	uint32_t low = 0, high = m->list->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct ledger_row *row;
		struct ledger_key key;
		struct addr addr;
		int order;

		if (!m->list->at(m->list->of, middle, &addr, &key))
			return;
		order = addr_compare(&addr, &m->peer);
		if (order == 0) {
			row = ledger_row(m->ledger, key);
			if (row)
				count_found(row, m->number);
			if (row && port_be)
				note_established(m, row, key, port_be);
			return;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
}

/* ---- the kernel's side ---- */

/* Peers of one port only, where all backends share it: the kernel then copies nothing else. */
static uint16_t common_port(const struct mend_list *list)
{
	struct ledger_key key;
	struct addr addr;
	uint16_t port = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		if (!list->at(list->of, i, &addr, &key) || (port && addr_port(&addr) != port))
			return 0;
		port = addr_port(&addr);
	}
	return port;
}

static void take_socket(void *of, const struct inet_diag_msg *socket)
{
	struct mending *m = of;

	if (addr_from_bytes(&m->peer, socket->idiag_family, socket->id.idiag_dst, socket->id.idiag_dport))
		count_socket(m, socket->idiag_state == TCP_ESTABLISHED ? socket->id.idiag_sport : 0);
}

static int mend_by_dump(struct mending *m)
{
	int r = socket_dump_open(&m->dump);

	if (r < 0)
		return r;
	for_each_row(m, begin_row);
	r = socket_dump_run(&m->dump);
	socket_dump_close(&m->dump);
	if (r == 0)
		for_each_row(m, end_row);
	return r;
}

int mend(const struct ledger *ledger, const struct mend_list *list, uint64_t now_ms)
{
	struct mending *m;
	int r;

	if (!ledger->base || list->count == 0)
		return -ENOENT;
	m = scratch_take(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ledger = ledger;
	m->list = list;
	m->now_ms = now_ms;
	m->shared = ledger_is_shared(ledger);
	/* Never 0, and never that of a mend at the same time. */
	m->number = (uint32_t)add_relaxed(&((struct ledger_head *)ledger->base)->mends, 1) | 1u << 31;
	m->dump.states = 1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT;
	m->dump.peer_port = common_port(list);
	m->dump.visit = take_socket;
	m->dump.of = m;
	r = mend_by_dump(m);
	scratch_give(m, sizeof(*m));
	return r;
}

int mend_in_turn(const struct ledger *ledger, const struct mend_list *list, uint64_t now_ms)
{
	uint64_t begun_ns = clock_read_ns(CLOCK_MONOTONIC);
	int r = mend(ledger, list, now_ms);

	if (r == 0)
		store_relaxed(&((struct ledger_head *)ledger->base)->mend_us,
			      (clock_read_ns(CLOCK_MONOTONIC) - begun_ns) / 1000);
	return r;
}
