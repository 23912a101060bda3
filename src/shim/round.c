/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/round.h"

#include <errno.h>

#include "balance/move.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/scratch.h"
#include "base/trace.h"
#include "ledger/moves.h"
#include "shim/attach.h"
#include "shim/book.h"
#include "shim/dial.h"
#include "shim/leave.h"

#define LOOK_MS	  500 /* where nothing is to leave soon */
#define SOON_MS	  25  /* at the least, where something is */
#define SWEEP_MS  5000 /* how often entries of connections that have ended are looked for */
#define SPREAD_MS 1000 /* connections to one endpoint do not leave it in one moment */

/* What is known of a connection from one look to the next. */
struct note {
	uint64_t cookie; /* whose it is */
	uint64_t leaving_ms;
	bool told; /* under observe: it has been counted */
};

/* What is to be shared of a port's connections. */
struct sharing {
	struct move_shares shares; /* as they were when the first of them was looked at, or the last one left */
	bool has_shares;
	bool turn_over; /* as many have moved in the window as may by now, or none may: nobody else counts, in this look */
};

/* A port as a look finds it, for all of its connections. */
struct port_now {
	bool known; /* the rest is of this address */
	struct addr dest;
	uint64_t mark;
	struct table_port row;
	struct table_rules rules;
	struct table_tally tally;
	struct table_rows rows;
	uint8_t mode;
	struct ledger_window window; /* of rebalance; `window.window` 0: none now */
	struct sharing sharing[2];   /* by the pod's numbers; of what is only observed, by this process's own */
};

/* A connection, and what it is to do. */
struct connection_now {
	int place;
	struct booked entry;
	struct note *note;
	struct move_facts facts;
	int64_t row; /* its endpoint's in the port's list; -1: it is not there */
	uint16_t weight;
	struct ledger_key key; /* of its endpoint, where that is in the list */
	enum move_reason reason;
};

struct round {
	uint64_t swept_ms, now_ms;
	const struct attachment *attachment;
	const struct settings *settings;
	bool empty, soon, sweep, gave_up;
	uint64_t second; /* of CLOCK_BOOTTIME, and how many have left in it: where no ledger counts them */
	unsigned left_in_second;
	unsigned pause_ms;
	struct table_view view;
	struct port_now port;
	struct connection_now now;
	struct table_service service; /* for the trace */
	char line[512], text[ADDR_TEXT];
	uint32_t observed_total;
	uint16_t observed[BOOK_PLACES]; /* by row of the port: connections that would be there */
	struct note notes[BOOK_PLACES];
};

struct round *round_new(void)
{
	return scratch_take(sizeof(struct round));
}

void round_free(struct round *round)
{
	scratch_give(round, sizeof(*round));
}

bool round_is_empty(const struct round *round)
{
	return round->empty;
}

/* ---- the port ---- */

/* Under `hash` a client dials the same endpoint again. */
static bool is_rebalanced(const struct round *r, const struct table_policy *policy)
{
	return policy->rebalance_ms && (r->settings->balance >= 0 ? r->settings->balance : policy->balance) != BALANCE_HASH;
}

static bool read_port(struct round *r)
{
	struct port_now *p = &r->port;
	int row = dial_find_port(&r->view, &r->now.entry.dest, &p->row);
	bool v4 = r->now.entry.peer.is_v4;

	if (row < 0)
		return false;
	p->rules = table_rules(&r->view);
	p->mode = dial_mode(&p->rules, &p->row, r->settings);
	memset(&p->tally, 0, sizeof(p->tally));
	table_tally(&r->view, (uint32_t)row, v4, &p->tally);
	p->window = (struct ledger_window){
		.cursor = { p->row.cursor, p->row.cursor_tag },
		.v4 = v4,
	};
	if (is_rebalanced(r, &p->row.policy))
		p->window.window = move_window(p->row.policy.rebalance_ms, p->tally.oldest_ms, p->tally.newest_ms, r->now_ms);
	return table_endpoint_rows(&r->view, p->row.first_endpoint + (v4 ? 0 : p->row.v4_count),
				   v4 ? p->row.v4_count : p->row.v6_count, &p->rows) == 0;
}

/* The port of the connection; false where nothing is to be done for its connections now. */
static bool open_port(struct round *r)
{
	struct port_now *p = &r->port;

	if (!p->known || p->mark != table_mark(&r->view) || !addr_equal(&p->dest, &r->now.entry.dest)) {
		p->known = false;
		if (!read_port(r) || !table_end(&r->view))
			return false;
		p->known = true;
		memset(p->sharing, 0, sizeof(p->sharing));
		p->dest = r->now.entry.dest;
		p->mark = table_mark(&r->view);
	}
	return p->mode != MODE_OFF && !p->row.stand_down && move_is_asked_for(&p->row.policy) &&
	       table_freshness(&r->attachment->table, p->rules.stale_after_ms, r->now_ms) == FRESH;
}

static bool is_observed(const struct round *r)
{
	return r->now.entry.observed || r->port.mode == MODE_OBSERVE;
}

static struct sharing *sharing_of(struct round *r)
{
	return &r->port.sharing[is_observed(r)];
}

/* ---- its endpoint ---- */

/* Rows of a family are in the order of addresses. The number of the peer's, or -1. */
static int64_t find_endpoint(const struct round *r, const struct addr *peer, struct table_endpoint *ret_row)
{
	uint32_t low = 0, high = r->port.rows.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct addr addr;
		int order;

		if (table_endpoint(&r->view, r->port.rows.first + middle, ret_row) < 0)
			return -1;
		addr = table_endpoint_addr(ret_row);
		order = addr_compare(&addr, peer);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* Whether any Service has it: looked for only when a deadline would cut it. */
static bool is_elsewhere(const struct round *r)
{
	uint32_t n = table_count(&r->view, SECTION_PORTS);

	for (uint32_t i = 0; i < n; i++) {
		struct table_port port;

		if (table_port(&r->view, i, &port) < 0)
			continue;
		for (uint32_t j = 0; j < port.v4_count + port.v6_count; j++) {
			struct table_endpoint row;
			struct addr addr;

			if (table_endpoint(&r->view, port.first_endpoint + j, &row) < 0)
				continue;
			addr = table_endpoint_addr(&row);
			if (addr_equal(&addr, &r->now.entry.peer))
				return true;
		}
	}
	return false;
}

__attribute__((noinline))
static void take_fate(struct round *r)
{
	struct connection_now *c = &r->now;
	struct table_endpoint row;

	c->key = (struct ledger_key){ UINT32_MAX, 0 };
	c->facts.others = r->port.tally.usable;
	c->facts.fate = FATE_GONE;
	c->row = find_endpoint(r, &c->entry.peer, &row);
	if (c->row < 0)
		return;
	c->key = (struct ledger_key){ row.slot, row.tag };
	c->weight = row.weight ? row.weight : 1;
	if (row.flags & ENDPOINT_USABLE)
		c->facts.others--;
	/* Where all terminate they are usable: there is nobody better to go to. */
	c->facts.fate = (row.flags & (ENDPOINT_TERMINATING | ENDPOINT_USABLE)) == ENDPOINT_TERMINATING ? FATE_TERMINATING : FATE_IN;
}

static void take_leaving(struct round *r)
{
	struct note *note = r->now.note;

	if (r->now.facts.fate == FATE_IN)
		note->leaving_ms = 0;
	else if (!note->leaving_ms)
		note->leaving_ms = r->now_ms;
	r->now.facts.leaving_ms = note->leaving_ms;
	r->soon |= note->leaving_ms != 0;
}

/* ---- rebalance ---- */

/*
 * Of a Service that is only observed: this process's own connections, once a look; those that would have moved are not with their
 * endpoint any more. Longer lists are not rebalanced in thought.
 */
__attribute__((noinline))
static void count_observed(struct round *r)
{
	struct table_endpoint row;
	struct booked entry;

	memset(r->observed, 0, sizeof(r->observed));
	r->observed_total = 0;
	if (r->port.rows.count > BOOK_PLACES)
		return;
	for (int place = book_next(0, &entry); place >= 0; place = book_next(place + 1, &entry)) {
		const struct note *note = &r->notes[place];
		int64_t i = addr_equal(&entry.dest, &r->now.entry.dest) ? find_endpoint(r, &entry.peer, &row) : -1;

		if (i < 0)
			continue;
		r->observed_total++;
		r->observed[i] += !(note->cookie == entry.cookie && note->told);
	}
}

/* One that dials go to now, and its connections. Who is ejected has no share, and gives none: its dials come back to the others. */
static bool read_sharer(const struct round *r, uint32_t i, struct table_endpoint *ret_row, uint32_t *ret_active)
{
	struct ledger_load load;

	if (table_endpoint(&r->view, r->port.rows.first + i, ret_row) < 0 || !(ret_row->flags & ENDPOINT_USABLE))
		return false;
	load = ledger_load(&r->attachment->ledger, (struct ledger_key){ ret_row->slot, ret_row->tag }, r->now_ms);
	if (load.ejected)
		return false;
	*ret_active = is_observed(r) ? r->observed[i % BOOK_PLACES] : load.active;
	return true;
}

/* What is to be shared: as many as there were when the window began, or are now. 0: nothing may move. */
static uint32_t total_of(const struct round *r, uint32_t now)
{
	uint32_t then;

	if (is_observed(r))
		return r->observed_total;
	then = ledger_window_total(&r->attachment->ledger, &r->port.window, now);
	return then && then < now ? now : then;
}

/* Both walks (move.h), with the numbers of this moment. False where they cannot be told. */
__attribute__((noinline))
static bool take_shares(struct round *r, struct move_shares *ret_shares)
{
	struct table_endpoint row;
	uint32_t total = 0, active;

	if (is_observed(r))
		count_observed(r);
	memset(ret_shares, 0, sizeof(*ret_shares));
	for (uint32_t i = 0; i < r->port.rows.count; i++) {
		if (!read_sharer(r, i, &row, &active))
			continue;
		move_weigh(ret_shares, row.weight);
		total += active;
	}
	ret_shares->total = total_of(r, total);
	for (uint32_t i = 0; i < r->port.rows.count; i++)
		if (read_sharer(r, i, &row, &active))
			move_count(ret_shares, row.weight, active);
	return ret_shares->total && table_end(&r->view);
}

/*
 * A connection of an endpoint with too many moves on behalf of the whole pod. The numbers of what has moved and of the endpoint's
 * connections are read before the shares are counted, and both are swapped for what they are then: whoever of two processes is
 * second finds one of them changed, and leaves its own where it is.
 */
static bool take_surplus(struct round *r)
{
	const struct ledger *ledger = &r->attachment->ledger;
	uint32_t moved = ledger_window_moved(ledger, &r->port.window), most;
	struct ledger_load load = ledger_load(ledger, r->now.key, r->now_ms);
	struct sharing *sharing = sharing_of(r);
	struct move_shares *shares = &sharing->shares;

	sharing->has_shares = false;
	if (load.ejected || !take_shares(r, shares) || move_surplus(shares, r->now.weight, load.active) == 0)
		return false;
	most = move_allowed(moved + move_surplus_of_all(shares), r->port.tally.newest_ms, r->port.row.policy.rebalance_ms, r->now_ms);
	sharing->turn_over = moved >= most;
	if (sharing->turn_over || !ledger_give_up_if(ledger, r->now.key, &load))
		return false;
	if (ledger_window_take_if(ledger, &r->port.window, moved))
		return true;
	ledger_take_back(ledger, r->now.key);
	return false;
}

/* A first look, by numbers that may be a moment old: take_surplus decides. */
static void take_surplus_fact(struct round *r)
{
	struct sharing *sharing = sharing_of(r);
	struct ledger_load load;
	uint32_t active;

	if (!r->port.window.window || r->now.facts.fate != FATE_IN)
		return;
	r->soon = true;
	if (sharing->turn_over)
		return;
	if (!sharing->has_shares && !take_shares(r, &sharing->shares)) {
		sharing->turn_over = true; /* a walk over the list for each of the others would take its time, and tell no more */
		return;
	}
	sharing->has_shares = true;
	load = ledger_load(&r->attachment->ledger, r->now.key, r->now_ms);
	active = is_observed(r) ? r->observed[r->now.row % BOOK_PLACES] : load.active;
	r->now.facts.surplus = !load.ejected && move_surplus(&sharing->shares, r->now.weight, active) > 0;
}

/* ---- why ---- */

static uint32_t spread_ms(uint64_t cookie)
{
	return hash_below(hash_finish(cookie), SPREAD_MS);
}

static void take_reason(struct round *r)
{
	struct connection_now *c = &r->now;

	c->facts = (struct move_facts){ .now_ms = r->now_ms, .born_ms = c->entry.born_ms, .cookie = c->entry.cookie };
	c->facts.affinity = r->port.row.affinity_s != 0;
	take_fate(r);
	take_leaving(r);
	take_surplus_fact(r);
	c->reason = move_why(&r->port.row.policy, &c->facts);
	if (c->reason == MOVE_CUT && c->facts.fate == FATE_GONE && is_elsewhere(r)) {
		c->facts.elsewhere = true;
		c->reason = move_why(&r->port.row.policy, &c->facts);
	}
	if (c->reason == MOVE_DRAIN && r->now_ms < c->facts.leaving_ms + MOVE_DEBOUNCE_MS + spread_ms(c->entry.cookie))
		c->reason = MOVE_NO;
}

/* ---- leaving ---- */

static void trace(struct round *r, const char *what)
{
	struct text line;

	if (!(r->settings->trace & TRACE_MOVE))
		return;
	line = trace_begin(r->line, sizeof(r->line), "move");
	dial_add_service(&line, &r->attachment->table, r->port.row.service, &r->service);
	text_add(&line, addr_print(&r->now.entry.dest, r->text));
	text_add(&line, " -> ");
	text_add(&line, addr_print(&r->now.entry.peer, r->text));
	text_add(&line, what);
	text_add(&line, move_reason_name(r->now.reason));
	trace_end(&line, r->settings->trace_path);
}

static void tell(struct round *r, bool observed)
{
	ledger_count_move(&r->attachment->ledger, r->port.window.cursor, r->now.reason, observed);
	trace(r, observed ? " would be closed: " : " closed: ");
}

static bool is_cut(const struct round *r)
{
	return r->now.reason == MOVE_CUT;
}

/* Without a ledger, or with an older one, each process keeps to the rate by itself. */
static bool take_rate(struct round *r)
{
	if (ledger_has_moves(&r->attachment->ledger, r->port.window.cursor))
		return ledger_rate_take(&r->attachment->ledger, r->port.window.cursor, r->now_ms);
	if (r->now_ms / 1000 != r->second) {
		r->second = r->now_ms / 1000;
		r->left_in_second = 0;
	}
	return r->left_in_second++ < LEDGER_MOVES_PER_SECOND;
}

static void give_back_rate(struct round *r)
{
	if (ledger_has_moves(&r->attachment->ledger, r->port.window.cursor))
		ledger_rate_give_back(&r->attachment->ledger, r->port.window.cursor, r->now_ms);
	else
		r->left_in_second--;
}

/*
 * A place, and in a window a right, for what is about to leave. Before it is closed: a mend in between counts it once more than
 * there are, and the next one knows better; the other way round it would count one less than are alive. The row of an endpoint that
 * is gone may be another's already.
 */
static bool take_right(struct round *r)
{
	r->gave_up = false;
	if (r->now.reason == MOVE_REBALANCE)
		return r->gave_up = take_surplus(r);
	if (r->now.facts.fate != FATE_GONE)
		r->gave_up = ledger_give_up(&r->attachment->ledger, r->now.key);
	return true;
}

static void give_back_right(struct round *r)
{
	if (r->gave_up)
		ledger_take_back(&r->attachment->ledger, r->now.key);
	if (r->now.reason == MOVE_REBALANCE)
		ledger_window_give_back(&r->attachment->ledger, &r->port.window);
}

static bool close_it(struct round *r)
{
	const struct booked *e = &r->now.entry;
	enum connection was = connection_leave(e->fd, e->cookie, &e->peer, r->port.row.policy.quiet_ms, is_cut(r));

	return was == CONNECTION_QUIET || (was == CONNECTION_BUSY && is_cut(r));
}

/* What is taken first is given back where the connection turns out to be busy, or another's, in the last moment. */
static void leave(struct round *r)
{
	if (!take_rate(r))
		return;
	if (!take_right(r)) {
		give_back_rate(r);
		return;
	}
	if (!close_it(r)) {
		give_back_right(r);
		give_back_rate(r);
		return;
	}
	tell(r, false);
	book_drop(r->now.place, r->now.entry.cookie);
}

static void report(struct round *r)
{
	if (r->now.note->told)
		return;
	r->now.note->told = true;
	sharing_of(r)->has_shares = false;
	sharing_of(r)->turn_over = r->now.reason == MOVE_REBALANCE; /* the rest is counted at the next look */
	tell(r, true);
}

/* ---- the look ---- */

static void take_note(struct round *r)
{
	r->now.note = &r->notes[r->now.place];
	if (r->now.note->cookie != r->now.entry.cookie)
		*r->now.note = (struct note){ .cookie = r->now.entry.cookie };
}

/* Who it was connected to when it was dialed. Where nobody redirected it, the Service's address. */
static const struct addr *peer_of(const struct booked *entry)
{
	return entry->observed ? &entry->dest : &entry->peer;
}

/* Whether it is there still, and if it has a reason to leave, whether it may now. */
static void look_at_socket(struct round *r)
{
	const struct booked *e = &r->now.entry;
	enum connection is = connection_look(e->fd, e->cookie, peer_of(e), r->port.row.policy.quiet_ms, NULL);

	/* A young one may be booked before its dial has begun. */
	if (is == CONNECTION_ENDED && r->now_ms - e->born_ms >= SWEEP_MS)
		book_drop(r->now.place, e->cookie);
	if (r->now.reason == MOVE_NO || is == CONNECTION_ENDED || is == CONNECTION_DIALING)
		return;
	if (is == CONNECTION_BUSY && !is_cut(r))
		return;
	if (is_observed(r))
		report(r);
	else
		leave(r);
}

static void look_at(struct round *r)
{
	uint64_t leaving_ms;

	r->now.reason = MOVE_NO;
	take_note(r);
	leaving_ms = r->now.note->leaving_ms;
	if (!table_begin(&r->attachment->table, &r->view))
		return;
	if (open_port(r))
		take_reason(r);
	else
		r->now.note->leaving_ms = 0; /* nobody watches what becomes of it */
	if (!table_end(&r->view)) {
		r->now.note->leaving_ms = leaving_ms;
		r->now.reason = MOVE_NO; /* the next look has a whole list */
	}
	if (r->now.reason == MOVE_NO && !r->sweep)
		return;
	look_at_socket(r);
}

/* Anew for each look: the window's end, and whether the list is vouched for, are a matter of time. */
static void begin(struct round *r, uint64_t now_ms)
{
	r->now_ms = now_ms;
	r->attachment = attach_current();
	r->settings = attach_settings();
	r->port.known = false;
	r->empty = true;
	r->soon = false;
	r->sweep = now_ms - r->swept_ms >= SWEEP_MS;
	if (r->sweep)
		r->swept_ms = now_ms;
	r->pause_ms = LOOK_MS;
}

static void shorten_pause(struct round *r)
{
	unsigned quarter = r->port.known ? r->port.row.policy.quiet_ms / 4 : LOOK_MS;

	if (quarter < SOON_MS)
		quarter = SOON_MS;
	if (quarter < r->pause_ms)
		r->pause_ms = quarter;
}

unsigned round_look(struct round *r, uint64_t now_ms)
{
	begin(r, now_ms);
	r->now.place = book_next(0, &r->now.entry);
	if (r->attachment)
		attach_refresh(r->attachment);
	for (; r->now.place >= 0; r->now.place = book_next(r->now.place + 1, &r->now.entry)) {
		r->empty = false;
		if (r->attachment && r->settings)
			look_at(r);
		if (r->soon || r->now.reason != MOVE_NO)
			shorten_pause(r);
	}
	return r->pause_ms;
}
