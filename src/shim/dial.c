/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/dial.h"

#include <errno.h>
#include <sys/socket.h>

#include "balance/move.h"
#include "balance/rules.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/trace.h"
#include "ledger/mend.h"
#include "table/atomics.h"

#define CLAIM_TRIES	32
#define TRIAL_TRIES	1024 /* each that is lost is one endpoint less to lose, unless somebody plays with the ledger */
#define SUSPECT_WAIT_MS 3
#define MOST_FOLLOWED	8 /* new lists in one dial; of those after them it chooses no more than are left to it */

/* ---- finding the port ---- */

/*
 * The generation whose head has been found whole: its sum need not be computed for every dial. Two threads may overwrite
 * each other's note, which costs a computation.
 */
static bool head_is_whole(const struct table_view *view)
{
	static uint64_t whole;
	uint64_t note = hash_mix(view->seq, (uintptr_t)view->area) | 1;

	if (load_relaxed(&whole) == note)
		return true;
	if (table_area_verify(view) < 0)
		return false;
	store_relaxed(&whole, note);
	return true;
}

int dial_find_port(const struct table_view *view, const struct addr *dest, struct table_port *ret_port)
{
	int row = table_find_port(view, dest, PROTOCOL_TCP);
	int r = row < 0 ? row : table_port(view, (uint32_t)row, ret_port);

	if (r < 0)
		return r;
	return head_is_whole(view) && ret_port->port == addr_port(dest) ? row : -EBADMSG;
}

/* A dial that finds nothing: another file may have it by now. Not worth a look at the clock each time. */
static void count_miss(const struct attachment *attachment)
{
	static uint64_t misses;
	uint64_t n = load_relaxed(&misses) + 1;

	store_relaxed(&misses, n); /* two threads may count one: it is a hint */
	if (n % 16 == 0)
		attach_refresh(attachment);
}

int dial_is_service(int fd, const struct sockaddr *sa, uint32_t len)
{
	const struct attachment *attachment;
	struct table_view view;
	struct addr dest;

	/* In this order: where there is no table, not even the caller's address is looked at, which may be a bad one. */
	attachment = attach_get(fd);
	if (!attach_is(attachment))
		return attachment ? -EINTR : 0;
	if (!addr_from_sockaddr(&dest, sa, len))
		return 0;
	for (int i = 0; i < TABLE_TRIES; i++) {
		int r;

		if (!table_begin(&attachment->table, &view))
			continue;
		r = table_find_port(&view, &dest, PROTOCOL_TCP);
		if (!table_end(&view))
			continue;
		if (r < 0)
			count_miss(attachment);
		else
			attach_refresh(attachment);
		return r >= 0;
	}
	count_miss(attachment);
	return 0;
}

/* ---- its rules ---- */

__attribute__((noinline)) /* its row is not for the stack of every dial */
static bool is_allowed(const struct table_view *view, const struct settings *settings, const struct table_port *port)
{
	struct table_service service;

	return table_service(view, port->service, &service) == 0 &&
	       settings_allow(settings, slice_of(service.name), slice_of(service.namespace));
}

uint8_t dial_mode(const struct table_rules *rules, const struct table_port *port, const struct settings *settings)
{
	return rules_mode(rules->mode, port->policy.mode, settings->mode);
}

/*
 * Where no ledger gives turns: a number that goes up by one with each dial of this process, from a place that no other
 * process is likely to share.
 */
uint64_t dial_own_turn(void)
{
	static uint64_t base, turn;

	if (!load_relaxed(&base))
		swap_if(&base, 0, clock_read_ns(CLOCK_MONOTONIC) | 1);
	return hash_finish(load_relaxed(&base) ^ (uint64_t)sys_getpid() << 32) + add_relaxed(&turn, 1);
}

static void take_rules(struct dial *d, const struct table_rules *rules, const struct table_port *port)
{
	const struct table_policy *policy = &port->policy;

	d->balance = rules_balance(port, d->settings->balance);
	d->attempts = policy->attempts ? policy->attempts : 1;
	d->verdict = rules_verdict(policy);
	d->service = port->service;
	d->keepalive_ms = policy->keepalive_ms;
	d->moves = move_is_asked_for(policy) && !port->affinity_s;
	rules_take_policy(&d->pick, rules, port, &d->verdict);
	if (!d->pick.ledger->base || port->cursor >= d->pick.ledger->cursors)
		d->pick.noise = dial_own_turn();
}

void dial_take_port(struct dial *d, const struct table_view *view, const struct table_rules *rules, uint32_t row,
		    const struct table_port *port)
{
	take_rules(d, rules, port);
	rules_take_endpoints(&d->pick, view, row, port, d->v4);
	d->most = d->pick.rows.count;
}

/* Where a process chooses among Services at all, which few do. */
static bool is_left_out(const struct dial *d, const struct table_view *view, const struct table_port *port)
{
	return settings_choose(d->settings) && !is_allowed(view, d->settings, port);
}

static enum dial_reason judge(struct dial *d, const struct table_view *view)
{
	struct table_rules rules;
	struct table_port port;
	enum rules_answer answer;
	uint8_t mode;
	int r = dial_find_port(view, &d->dest, &port);

	if (r < 0)
		return r == -ENOENT ? DIAL_NOT_SERVICE : DIAL_NO_TABLE;
	rules = table_rules(view);
	d->service = port.service;
	mode = dial_mode(&rules, &port, d->settings);
	answer = rules_judge(view, &rules, &port, mode, mode != MODE_OFF && is_left_out(d, view, &port), d->pick.now_ms);
	if (answer != RULES_OURS && answer != RULES_OBSERVED)
		return (enum dial_reason)answer;
	dial_take_port(d, view, &rules, (uint32_t)r, &port);
	if (answer == RULES_OBSERVED)
		d->observed = true;
	else
		d->pick.may_try = true;
	if (port.affinity_s) {
		d->affinity_s = port.affinity_s;
		d->balance = RULES_PINNED;
	}
	return (enum dial_reason)answer;
}

bool dial_init(struct dial *d)
{
	memset(d, 0, sizeof(*d));
	d->attachment = attach_current();
	d->settings = attach_settings();
	if (!d->attachment || !d->settings)
		return false;
	d->pick.now_ms = clock_boot_ms();
	d->wait_ms = SUSPECT_WAIT_MS;
	d->pick.ledger = &d->attachment->ledger;
	d->pick.identity = d->attachment->identity;
	return true;
}

__attribute__((noinline)) /* what it reads is not for the stack of the attempts */
enum dial_reason dial_prepare(struct dial *d, const struct sockaddr *sa, uint32_t len)
{
	if (!dial_init(d) || !addr_from_sockaddr(&d->dest, sa, len))
		return DIAL_NO_TABLE;
	d->v4 = d->dest.is_v4;
	for (int i = 0; i < TABLE_TRIES; i++) {
		struct table_view view;
		enum dial_reason reason;

		if (!table_begin(&d->attachment->table, &view))
			continue;
		reason = judge(d, &view);
		if (table_end(&view))
			return reason;
	}
	return DIAL_NO_TABLE;
}

/* ---- choosing ---- */

struct backends {
	const struct table_view *view;
	const struct table_rows *rows;
};

static bool backend_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	const struct backends *backends = of;
	struct table_endpoint row;

	if (table_endpoint(backends->view, backends->rows->first + i, &row) < 0 || !table_end(backends->view))
		return false;
	*ret_addr = table_endpoint_addr(&row);
	*ret_key = (struct ledger_key){ row.slot, row.tag };
	return true;
}

/*
 * By whoever's turn it is in the pod. Non-blocking programs too: in a pod that has no others, every connection that was
 * ever closed would count, and a new endpoint would get all dials until it had caught up with the past.
 */
static bool is_mend_due(const struct dial *d, const struct table_view *view, bool urgent)
{
	struct mend_caller caller = { d->pick.cursor, table_generation(view), d->blocking, urgent };

	/* A non-blocking dial also learns from it who is alive, whatever its policy. */
	return (rules_by_load(d->balance) || !d->blocking) && mend_due(d->pick.ledger, &caller, d->pick.now_ms);
}

__attribute__((noinline))
static void mend_rows(const struct dial *d, const struct table_view *view)
{
	struct backends backends = { view, &d->pick.rows };
	struct mend_list list = { &backends, d->pick.rows.count, backend_at };

	mend_in_turn(d->pick.ledger, &list, d->pick.now_ms);
}

void dial_mend_if_due(struct dial *d, const struct table_view *view, bool urgent)
{
	if (is_mend_due(d, view, urgent))
		mend_rows(d, view);
}

/*
 * The places of those that were tried hold for one generation. Whoever failed may just have left the list, and the others are fewer
 * then than the attempts so far: all of them may still be tried.
 */
__attribute__((noinline)) /* its row is not for the stack of every dial */
static int follow_generation(struct dial *d, const struct table_view *view)
{
	struct table_port port;
	int r = dial_find_port(view, &d->dest, &port);

	if (r < 0)
		return r;
	memset(d->pick.tried, 0, sizeof(d->pick.tried));
	rules_take_endpoints(&d->pick, view, (uint32_t)r, &port, d->v4);
	if (d->followed < MOST_FOLLOWED) {
		d->followed++;
		d->most = d->attempt + d->pick.rows.count;
	}
	return 0;
}

/* The endpoints as they are now. */
static int open_rows(struct dial *d, const struct table_view *view)
{
	int r = 0;

	if (table_mark(view) != d->pick.mark)
		r = follow_generation(d, view);
	if (r < 0)
		return r;
	return table_endpoint_rows(view, d->pick.rows.first, d->pick.rows.count, &d->pick.rows);
}

bool dial_claim(struct dial *d, const struct candidate *candidate, int tries)
{
	if (rules_by_load(d->balance) && tries < CLAIM_TRIES)
		return ledger_claim_if(d->pick.ledger, candidate->key, &candidate->load);
	ledger_claim(d->pick.ledger, candidate->key);
	return true;
}

static bool next(struct dial *d, struct candidate *ret_chosen)
{
	return rules_next(&d->pick, d->balance, d->affinity_s, d->v4, &d->pin, ret_chosen);
}

/*
 * Only a choice from a whole list moves the pin. Whoever loses to another process takes what that one has pinned; by the last
 * try they are many, and agree but for the time.
 */
static bool pin(struct dial *d, const struct candidate *candidate, int tries)
{
	return !d->affinity_s || d->observed || tries >= CLAIM_TRIES ||
	       ledger_set_pin(d->pick.ledger, d->pick.cursor, d->v4, &d->pin, candidate->key.tag, d->pick.now_ms);
}

/* The right to a trial, and then its place. */
__attribute__((noinline)) /* not on the stack of every dial */
static bool take_trial(struct dial *d, struct candidate *candidate)
{
	if (!ledger_try(d->pick.ledger, candidate->key, &candidate->load.ejection, &d->verdict, d->pick.now_ms))
		return false;
	ledger_claim(d->pick.ledger, candidate->key); /* whoever claimed it meanwhile: nobody else may try it */
	return true;
}

static bool take(struct dial *d, struct candidate *candidate, int tries)
{
	return candidate->trial && tries < TRIAL_TRIES ? take_trial(d, candidate) : dial_claim(d, candidate, tries);
}

__attribute__((noinline)) /* its row is not for the stack of every dial */
static bool read_address(const struct table_view *view, uint32_t i, struct addr *ret_addr)
{
	struct table_endpoint row;

	if (table_endpoint(view, i, &row) < 0)
		return false;
	*ret_addr = table_endpoint_addr(&row);
	return true;
}

void dial_mend(struct dial *d, bool urgent)
{
	struct table_view view;

	if (table_begin(&d->attachment->table, &view) && open_rows(d, &view) == 0)
		dial_mend_if_due(d, &view, urgent);
}

bool dial_choose(struct dial *d, struct dial_choice *ret_choice)
{
	int torn = 0;

	d->pick.now_ms = clock_boot_ms();
	for (int tries = 0; torn < TABLE_TRIES; tries++) {
		struct candidate candidate;
		struct table_view view;
		bool found = false;

		if (!table_begin(&d->attachment->table, &view)) {
			torn++;
			continue;
		}
		/* As many attempts as there are endpoints, and an end, however often the list changes meanwhile. */
		if (open_rows(d, &view) == 0 && d->attempt < d->most && next(d, &candidate))
			found = read_address(&view, d->pick.rows.first + candidate.index, &ret_choice->addr);
		if (!table_end(&view)) {
			torn++;
			continue;
		}
		if (!found)
			return false;
		if (!pin(d, &candidate, tries) || !take(d, &candidate, tries))
			continue; /* somebody took that place: count again */
		d->attempt++;
		pick_mark_tried(&d->pick, candidate.index);
		ret_choice->key = candidate.key;
		ret_choice->ejection = candidate.load.ejection;
		ret_choice->others = d->attempt < d->most && pick_has_left(&d->pick);
		ret_choice->suspect = ledger_suspect(d->pick.ledger, candidate.key, d->pick.now_ms);
		ret_choice->doubted = ledger_doubted(d->pick.ledger, candidate.key);
		return true;
	}
	return false;
}

void dial_landed(struct dial *d, const struct dial_choice *choice, bool success)
{
	ledger_landed(d->pick.ledger, choice->key);
	if (success)
		ledger_report_of(d->pick.ledger, choice->key, choice->ejection, OUTCOME_SUCCESS, &d->verdict, clock_boot_ms());
}

void dial_await(struct dial *d, const struct dial_choice *choice, uint16_t port_be)
{
	ledger_await(d->pick.ledger, choice->key, port_be);
}

void dial_failed(struct dial *d, const struct dial_choice *choice, enum ledger_outcome outcome)
{
	ledger_release(d->pick.ledger, choice->key);
	ledger_report_of(d->pick.ledger, choice->key, choice->ejection, outcome, &d->verdict, clock_boot_ms());
}

void dial_left(struct dial *d, const struct dial_choice *choice)
{
	/* Before connect(2) returns, and so before the socket can end. */
	ledger_note_seen(d->pick.ledger, choice->key, clock_boot_ms());
	dial_failed(d, choice, OUTCOME_REFUSED);
}

void dial_dropped(struct dial *d, const struct dial_choice *choice)
{
	ledger_release(d->pick.ledger, choice->key);
}

/* ---- the trace ---- */

static const char *const reasons[DIAL_REASONS] = {
	[DIAL_OURS] = "",
	[DIAL_OBSERVED] = "passed: mode observe, would be",
	[DIAL_NO_TABLE] = "passed: no table",
	[DIAL_NOT_SERVICE] = "passed: no Service",
	[DIAL_OFF] = "passed: the mode of the Service, or of all, is off",
	[DIAL_LEFT_OUT] = "passed: FAIRDIAL_ONLY or FAIRDIAL_EXCEPT leaves this Service out",
	[DIAL_STOOD_DOWN] = "passed: the Service stands down",
	[DIAL_STALE] = "passed: the table is too old",
	[DIAL_NO_ENDPOINT] = "passed: no endpoint can be dialed",
	[DIAL_NOT_TCP] = "passed: only TCP is spread",
	[DIAL_IN_USE] = "passed: the socket is in use",
};

/* What a line takes: too much for the stack of a hook. */
struct trace_room {
	struct table_service service;
	char line[512], addr[ADDR_TEXT];
};

void dial_add_service(struct text *line, const struct table *table, uint32_t row, struct table_service *service)
{
	struct table_view view;

	if (!table_begin(table, &view) || table_service(&view, row, service) < 0 || !table_end(&view))
		return;
	text_add(line, service->name);
	if (service->namespace[0]) {
		text_add(line, ".");
		text_add(line, service->namespace);
	}
	text_add(line, " ");
}

static const struct trace_word outcomes[] = {
	{ EINPROGRESS, "in progress" }, { ECONNREFUSED, "refused" },	{ ETIMEDOUT, "timed out" },
	{ EHOSTUNREACH, "unreachable" }, { ENETUNREACH, "unreachable" }, { EINTR, "interrupted" },
	{ 0, NULL },
};

static const char *policy_name(const struct dial *d)
{
	const struct balance_policy *policy = balance_policy(d->balance);

	if (d->affinity_s)
		return "pinned";
	return policy ? policy->name : "?";
}

static void write_trace(const struct dial *d, struct trace_room *room, const struct dial_choice *choice,
			enum dial_reason reason, int error)
{
	struct text line = trace_begin(room->line, sizeof(room->line), "dial");

	if (reason != DIAL_NO_TABLE && reason != DIAL_NOT_SERVICE)
		dial_add_service(&line, &d->attachment->table, d->service, &room->service);
	text_add(&line, addr_print(&d->dest, room->addr));
	text_add(&line, reason == DIAL_OURS ? " ->" : " ");
	text_add(&line, reasons[reason]);
	if (choice) {
		text_add(&line, " ");
		text_add(&line, addr_print(&choice->addr, room->addr));
		text_add(&line, " ");
		text_add(&line, policy_name(d));
	}
	if (error) {
		text_add(&line, " ");
		trace_add_error(&line, outcomes, error);
	}
	trace_end(&line, d->settings->trace_path);
}

void dial_trace(const struct dial *d, const struct dial_choice *choice, enum dial_reason reason, int error)
{
	struct trace_room *room;

	if (!d->settings || !(d->settings->trace & TRACE_DIAL))
		return;
	room = scratch_take(sizeof(*room));
	if (room)
		write_trace(d, room, choice, reason, error);
	scratch_give(room, sizeof(*room));
}
