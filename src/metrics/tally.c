/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/evenness.h"
#include "ledger/moves.h"
#include "ledger/words.h"
#include "metrics/ports.h"

#define NONE	 UINT32_MAX
#define PLACES	 (TALLY_SERIES + 1) /* the last one is the others' */
#define MAP_SIZE 4096		    /* of series by id: a power of two, and not half full */

/* A backend's words as they were at the last look, with their tags; and what they have grown by in this one. */
struct seen {
	uint64_t claims, failures, ejected;
	uint32_t dials_more, failures_more, ejections_more;
	uint32_t look;
};

struct seen_moves {
	uint64_t moved[LEDGER_MOVE_REASONS], would_have[LEDGER_MOVE_REASONS];
};

struct place {
	uint64_t id;
	bool is_taken, was_dialed;
	uint64_t gone_ms; /* 0: it is in the table */
	struct tally_series series;
	struct evenness sums;
};

struct tally {
	struct ports ports; /* of the last look */
	struct seen *rows;
	struct seen_moves *cursors;
	uint32_t row_count, cursor_count;
	struct file_id ledger; /* whose these are */
	bool has_begun, has_ledger;
	uint32_t look;
	uint64_t ejecting_until_ms; /* as the ledger had it */
	struct place places[PLACES];
	size_t folded;
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->places[TALLY_SERIES].series = (struct tally_series){ .is_others = true, .service = "_other" };
	return t;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	ports_done(&t->ports);
	free(t->rows);
	free(t->cursors);
	free(t);
}

/* ---- words ---- */

/*
 * What a word has grown by since it was seen, where it is its owner's; then it is seen as it is now. A word that is somebody
 * else's is left to that one: its owner's begins with 0 when it is written next.
 */
static uint32_t growth(const uint64_t *word, uint32_t tag, uint64_t *seen)
{
	uint64_t now = load_relaxed(word);
	uint32_t more;

	if (now >> 32 != tag)
		return 0;
	more = (uint32_t)now - word_value(*seen, tag);
	*seen = now;
	return more <= INT32_MAX ? more : 0;
}

/* One where there is a verdict that was not there: an even time. An odd one is a trial. */
static uint32_t verdicts(const uint64_t *word, uint32_t tag, uint64_t *seen)
{
	uint64_t now = load_relaxed(word);
	uint32_t before = word_value(*seen, tag), value = (uint32_t)now;

	if (now >> 32 != tag)
		return 0;
	*seen = now;
	return value && !(value & 1) && value != before;
}

static uint64_t ejecting_until(const struct ledger *ledger)
{
	return load_relaxed(&((const struct ledger_head *)ledger->base)->ejecting_until_ms);
}

/* ---- the ledger, and another one ---- */

static void see_row(const struct ledger *ledger, uint32_t slot, struct seen *seen)
{
	const struct ledger_row *row = ledger_row(ledger, (struct ledger_key){ slot, 0 });

	seen->claims = load_relaxed(&row->claims);
	seen->failures = load_relaxed(&row->failures);
	seen->ejected = load_relaxed(&row->ejected_until);
}

static void see_cursor(const struct ledger *ledger, uint32_t slot, struct seen_moves *seen)
{
	const struct ledger_key key = { slot, 0 };

	for (size_t i = 0; i < LEDGER_MOVE_REASONS; i++) {
		const uint64_t *moved = cursor_word(ledger, key, offsetof(struct ledger_cursor, moved) + 8 * i);
		const uint64_t *would_have = cursor_word(ledger, key, offsetof(struct ledger_cursor, would_have) + 8 * i);

		seen->moved[i] = moved ? load_relaxed(moved) : 0;
		seen->would_have[i] = would_have ? load_relaxed(would_have) : 0;
	}
}

static bool is_known(const struct tally *t, const struct ledger *ledger)
{
	return t->has_ledger && t->ledger.dev == ledger->id.dev && t->ledger.ino == ledger->id.ino &&
	       t->row_count == ledger->rows && t->cursor_count == ledger->cursors;
}

/* What is in the first one was there before us; another that comes later was made meanwhile. */
static int take_ledger(struct tally *t, const struct ledger *ledger)
{
	struct seen *rows = calloc((size_t)ledger->rows + 1, sizeof(*rows));
	struct seen_moves *cursors = calloc((size_t)ledger->cursors + 1, sizeof(*cursors));

	if (!rows || !cursors) {
		free(rows);
		free(cursors);
		return -ENOMEM;
	}
	for (uint32_t i = 0; !t->has_begun && i < ledger->rows; i++)
		see_row(ledger, i, &rows[i]);
	for (uint32_t i = 0; !t->has_begun && i < ledger->cursors; i++)
		see_cursor(ledger, i, &cursors[i]);
	free(t->rows);
	free(t->cursors);
	t->rows = rows;
	t->cursors = cursors;
	t->row_count = ledger->rows;
	t->cursor_count = ledger->cursors;
	t->ledger = ledger->id;
	t->has_ledger = true;
	return 0;
}

/* ---- places ---- */

static void fill_place(struct place *place, const struct ports *all, const struct port *port)
{
	*place = (struct place){ .id = port->id, .is_taken = true };
	strcpy(place->series.namespace, port_namespace(all, port));
	strcpy(place->series.service, port_service(all, port));
	place->series.port = port->port;
	place->series.is_present = true;
}

static struct place *place_of(struct tally *t, const struct port *port)
{
	return port->series != NONE && t->places[port->series].id == port->id ? &t->places[port->series] : NULL;
}

/* A free one; for a port that was dialed, else one of a port that was not. NONE: there is none. */
static uint32_t find_place(const struct tally *t, bool is_dialed)
{
	uint32_t found = NONE;

	for (uint32_t i = 0; i < TALLY_SERIES; i++) {
		if (!t->places[i].is_taken)
			return i;
		if (is_dialed && !t->places[i].was_dialed)
			found = i;
	}
	return found;
}

static struct place *give_place(struct tally *t, const struct ports *all, struct port *port, bool is_dialed)
{
	uint32_t i = find_place(t, is_dialed);

	if (i == NONE)
		return NULL;
	port->series = i;
	fill_place(&t->places[i], all, port);
	return &t->places[i];
}

/* True where that has made room. */
static bool forget_gone(struct tally *t, uint64_t now_ms)
{
	bool has = false;

	for (size_t i = 0; i < TALLY_SERIES; i++) {
		struct place *place = &t->places[i];

		if (place->gone_ms && (!place->was_dialed || now_ms - place->gone_ms >= TALLY_GONE_MS)) {
			*place = (struct place){ 0 };
			has = true;
		}
	}
	return has;
}

/* ---- counting ---- */

static bool is_nothing(const struct tally_counts *more)
{
	static const struct tally_counts none;

	return memcmp(more, &none, sizeof(none)) == 0;
}

static void add_counts(struct tally_counts *to, const struct tally_counts *more)
{
	to->dials += more->dials;
	to->failures += more->failures;
	to->ejections += more->ejections;
	for (size_t i = 0; i < LEDGER_MOVE_REASONS; i++) {
		to->moved[i] += more->moved[i];
		to->would_have[i] += more->would_have[i];
	}
}

/* Each backend once, of however many Services it is. */
static void see_growth(struct tally *t, const struct ledger *ledger, const struct ports *all)
{
	t->look++;
	for (size_t i = 0; i < all->member_count; i++) {
		const struct member *member = &all->members[i];
		const struct ledger_row *row = ledger_row(ledger, (struct ledger_key){ member->slot, member->tag });
		struct seen *seen = row ? &t->rows[member->slot] : NULL;

		if (!seen || seen->look == t->look)
			continue;
		seen->look = t->look;
		seen->dials_more = growth(&row->claims, member->tag, &seen->claims);
		seen->failures_more = growth(&row->failures, member->tag, &seen->failures);
		seen->ejections_more = verdicts(&row->ejected_until, member->tag, &seen->ejected);
	}
}

static void count_moves(struct tally *t, const struct ledger *ledger, const struct port *port, struct tally_counts *more)
{
	for (size_t i = 0; port->cursor.slot < t->cursor_count && i < LEDGER_MOVE_REASONS; i++) {
		struct seen_moves *seen = &t->cursors[port->cursor.slot];
		const uint64_t *moved = cursor_word(ledger, port->cursor, offsetof(struct ledger_cursor, moved) + 8 * i);
		const uint64_t *would_have = cursor_word(ledger, port->cursor, offsetof(struct ledger_cursor, would_have) + 8 * i);

		more->moved[i] += moved ? growth(moved, port->cursor.tag, &seen->moved[i]) : 0;
		more->would_have[i] += would_have ? growth(would_have, port->cursor.tag, &seen->would_have[i]) : 0;
	}
}

static void count_port(struct tally *t, const struct ledger *ledger, const struct ports *all, struct port *port)
{
	struct place *place = place_of(t, port);
	struct tally_counts more = { 0 };

	for (uint32_t i = port->first; i < port->first + port->count; i++) {
		const struct seen *seen = all->members[i].slot < t->row_count ? &t->rows[all->members[i].slot] : NULL;

		more.dials += seen ? seen->dials_more : 0;
		more.failures += seen ? seen->failures_more : 0;
		more.ejections += seen ? seen->ejections_more : 0;
	}
	count_moves(t, ledger, port, &more);
	if (is_nothing(&more))
		return;
	if (!place)
		place = give_place(t, all, port, true);
	if (!place)
		place = &t->places[TALLY_SERIES];
	place->was_dialed = true;
	add_counts(&place->series.counts, &more);
}

static void count(struct tally *t, const struct ledger *ledger, const struct ports *all)
{
	see_growth(t, ledger, all);
	for (size_t i = 0; i < all->count; i++)
		count_port(t, ledger, all, &all->ports[i]);
}

/* ---- the table, and another one ---- */

/* Series by id: open addressing, 0 is empty, else the place and 1. */
static void map_places(const struct tally *t, uint16_t map[MAP_SIZE])
{
	memset(map, 0, MAP_SIZE * sizeof(*map));
	for (size_t i = 0; i < TALLY_SERIES; i++) {
		size_t at = t->places[i].id & (MAP_SIZE - 1);

		if (!t->places[i].is_taken)
			continue;
		while (map[at])
			at = (at + 1) & (MAP_SIZE - 1);
		map[at] = (uint16_t)(i + 1);
	}
}

static uint32_t find_mapped(const struct tally *t, const uint16_t map[MAP_SIZE], uint64_t id)
{
	for (size_t at = id & (MAP_SIZE - 1); map[at]; at = (at + 1) & (MAP_SIZE - 1))
		if (t->places[map[at] - 1].id == id)
			return map[at] - 1u;
	return NONE;
}

static void find_places(struct tally *t, struct ports *all)
{
	uint16_t map[MAP_SIZE];

	map_places(t, map);
	for (size_t i = 0; i < TALLY_SERIES; i++)
		t->places[i].series.is_present = false;
	for (size_t i = 0; i < all->count; i++) {
		all->ports[i].series = find_mapped(t, map, all->ports[i].id);
		if (all->ports[i].series != NONE)
			t->places[all->ports[i].series].series.is_present = true;
	}
}

/* Ports that had a place have it still; those that left leave theirs, in time; new ones have one if there is room. */
static void settle_places(struct tally *t, struct ports *all, uint64_t now_ms)
{
	find_places(t, all);
	for (size_t i = 0; i < TALLY_SERIES; i++) {
		struct place *place = &t->places[i];

		if (place->series.is_present)
			place->gone_ms = 0;
		else if (place->is_taken && !place->gone_ms)
			place->gone_ms = now_ms ? now_ms : 1;
	}
	forget_gone(t, now_ms);
	for (size_t i = 0; i < all->count; i++)
		if (all->ports[i].series == NONE && !give_place(t, all, &all->ports[i], false))
			break;
}

static int follow_table(struct tally *t, const struct table *table, uint64_t now_ms)
{
	struct ports next;
	int r = ports_read(table, &next);

	if (r < 0)
		return r == -ENOMEM ? r : -EAGAIN;
	settle_places(t, &next, now_ms);
	ports_done(&t->ports);
	t->ports = next;
	return 0;
}

int tally_look(struct tally *t, const struct table *table, const struct ledger *ledger, uint64_t now_ms)
{
	bool counts = ledger && ledger->base;
	int r = counts && !is_known(t, ledger) ? take_ledger(t, ledger) : 0;

	if (r < 0)
		return r;
	t->has_begun = true;
	if (forget_gone(t, now_ms))
		settle_places(t, &t->ports, now_ms);
	if (counts) {
		t->ejecting_until_ms = ejecting_until(ledger);
		count(t, ledger, &t->ports);
	}
	if (t->ports.mark && t->ports.mark == ports_mark(table))
		return 0;
	r = follow_table(t, table, now_ms);
	if (r == 0 && counts)
		count(t, ledger, &t->ports);
	return r;
}

bool tally_is_due(const struct tally *t, const struct table *table, const struct ledger *ledger, uint64_t now_ms)
{
	if (ports_mark(table) != t->ports.mark)
		return true;
	if (!ledger || !ledger->base)
		return false;
	return !is_known(t, ledger) || ejecting_until(ledger) != t->ejecting_until_ms || ledger_any_ejected(ledger, now_ms);
}

/* ---- what is true now ---- */

static void clear_gauges(struct tally *t)
{
	t->folded = 0;
	for (size_t i = 0; i < PLACES; i++) {
		struct tally_series *s = &t->places[i].series;

		s->open = s->usable = s->ejected = s->excluded = 0;
		t->places[i].sums = (struct evenness){ 0 };
	}
}

static void read_member(const struct ledger *ledger, const struct member *member, uint64_t now_ms, struct place *to)
{
	const struct ledger_load load = ledger_load(ledger, (struct ledger_key){ member->slot, member->tag }, now_ms);

	to->series.open += load.active;
	if (member->usable)
		evenness_add(&to->sums, word_value(load.claims_word, member->tag));
	if (!member->usable)
		to->series.excluded++;
	else if (load.ejected)
		to->series.ejected++;
	else
		to->series.usable++;
}

static void read_port(struct tally *t, const struct ledger *ledger, const struct port *port, uint64_t now_ms)
{
	struct place *place = place_of(t, port);

	if (!place) {
		place = &t->places[TALLY_SERIES];
		t->folded++;
	}
	for (uint32_t i = port->first; i < port->first + port->count; i++)
		read_member(ledger, &t->ports.members[i], now_ms, place);
	place->series.mode = port->mode;
	place->series.may_move |= port->may_move;
	place->series.evenness = evenness(&place->sums);
	place->series.random = evenness_at_random(&place->sums);
}

void tally_read(struct tally *t, const struct ledger *ledger, uint64_t now_ms)
{
	static const struct ledger none;

	clear_gauges(t);
	for (size_t i = 0; i < t->ports.count; i++)
		read_port(t, ledger ? ledger : &none, &t->ports.ports[i], now_ms);
	t->places[TALLY_SERIES].is_taken |= t->folded > 0 || t->places[TALLY_SERIES].was_dialed;
	t->places[TALLY_SERIES].series.is_present = t->folded > 0;
}

const struct tally_series *tally_next(const struct tally *t, size_t *at)
{
	while (*at < PLACES)
		if (t->places[(*at)++].is_taken)
			return &t->places[*at - 1].series;
	return NULL;
}

size_t tally_folded(const struct tally *t)
{
	return t->folded;
}
