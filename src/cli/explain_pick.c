/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a dial would go now: the choice of src/balance over the rows of the table, as the shim makes it, but with a copy of the
 * ledger. So the turns and pins that it takes are nobody's, and what follows from a turn that comes to nothing is the same too.
 */
#include "cli/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy.h"
#include "balance/balance.h"
#include "base/clock.h"
#include "base/host.h"
#include "cli/cli.h"
#include "ledger/words.h"
#include "table/mode.h"

#define QUIET_MS 5000

/* One look at table and ledger. */
struct look {
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct explain_dialer dialer;
	struct table table;
	struct table_view view;
	struct table_rules rules;
	struct ledger ledger; /* as it is; base NULL: there is none */
	struct ledger copy;
	int balance; /* enum balance of the environment; -1: as the table says */
	uint64_t now_ms;
};

/* ---- the ledger, copied ---- */

/* As the first dial would make it. */
static int make_ledger(struct look *l)
{
	const struct table_head *head = table_head(&l->table);
	struct ledger *copy = &l->copy;

	*copy = (struct ledger){ .cursors = head->cursors, .rows = head->rows, .cursor_size = sizeof(struct ledger_cursor),
				 .row_size = sizeof(struct ledger_row), .cursors_offset = sizeof(struct ledger_head) };
	copy->rows_offset = copy->cursors_offset + (uint64_t)copy->cursors * copy->cursor_size;
	copy->size = copy->rows_offset + (uint64_t)copy->rows * copy->row_size;
	copy->base = calloc(1, copy->size);
	return copy->base ? 0 : -ENOMEM;
}

static int copy_ledger(struct look *l)
{
	if (!l->ledger.base)
		return l->snapshot->ledger_error ? 0 : make_ledger(l);
	l->copy = l->ledger;
	l->copy.base = malloc(l->ledger.size);
	if (!l->copy.base)
		return -ENOMEM;
	load_words(l->copy.base, l->ledger.base, l->ledger.size / sizeof(uint64_t));
	return 0;
}

static void drop_copy(struct look *l)
{
	free(l->copy.base);
	l->copy.base = NULL;
}

/* ---- the pick: as dial_take_port (shim/dial.c) has it ---- */

static struct ledger_verdict verdict_of(const struct table_policy *policy)
{
	return (struct ledger_verdict){ policy->eject_after, policy->eject_timeouts_after, policy->eject_for_ms,
					policy->eject_max_ms, policy->connect_timeout_ms };
}

static int make_pick(struct look *l, uint32_t row, const struct table_port *port, bool v4, struct pick *ret_pick)
{
	const struct ledger_verdict verdict = verdict_of(&port->policy);
	struct table_tally tally = { 0 };
	struct pick pick = {
		.ledger = &l->copy,
		.cursor = { port->cursor, port->cursor_tag },
		.now_ms = l->now_ms,
		.identity = host_identity(),
		.eject_limit_ms = ledger_ejection_limit_ms(&verdict),
		.eject_percent = port->policy.eject_percent,
		.rank = l->rules.client_rank,
		.peers = l->rules.client_peers,
		.may_try = true,
	};
	int r = table_endpoint_rows(&l->view, port->first_endpoint + (v4 ? 0 : port->v4_count),
				    v4 ? port->v4_count : port->v6_count, &pick.rows);

	if (r < 0)
		return r;
	table_tally(&l->view, row, v4, &tally);
	pick_take_tally(&pick, &tally, port->policy.slow_start_ms);
	*ret_pick = pick;
	return 0;
}

/* ---- whether it is ours ---- */

static uint8_t most_cautious(uint32_t a, uint32_t b)
{
	uint32_t mode = a > b ? a : b;

	return mode < MODE_COUNT ? (uint8_t)mode : MODE_OFF;
}

/* Such a table the shim passes over (shim/attach.c). By the heartbeat, where either side does not know its boot. */
static bool is_of_other_boot(const struct look *l)
{
	static const uint8_t unknown[16];
	const struct table_head *head = table_head(&l->table);
	uint8_t boot_id[16];

	host_boot_id(boot_id);
	if (memcmp(boot_id, unknown, 16) == 0 || memcmp(head->boot_id, unknown, 16) == 0)
		return load_relaxed(&head->heartbeat_ms) > l->now_ms + QUIET_MS;
	return memcmp(head->boot_id, boot_id, 16) != 0;
}

static bool is_stale(const struct look *l)
{
	const struct snapshot *s = l->snapshot;

	if (s->is_static)
		return false;
	return is_of_other_boot(l) || (l->service->has_own_address && s->age_ms > s->stale_after_ms);
}

static enum explain_pass judge(const struct look *l, const struct table_port *port)
{
	const struct environment *env = l->dialer.environment;
	uint8_t mode = most_cautious(l->rules.mode, port->policy.mode);

	if (port->protocol != PROTOCOL_TCP)
		return PASS_NOT_TCP;
	if (env->mode == MODE_OFF)
		return PASS_PROCESS_OFF;
	if (mode == MODE_OFF)
		return PASS_SERVICE_OFF;
	if (!environment_allows(env, l->service->name, l->service->namespace))
		return PASS_LISTS;
	if (port->stand_down)
		return PASS_STANDS_DOWN;
	if (is_stale(l))
		return PASS_STALE;
	return mode == MODE_OBSERVE || env->mode == MODE_OBSERVE ? PASS_OBSERVED : PASS_NO;
}

/* ---- one family ---- */

static enum explain_out out_of(const struct snapshot_endpoint *e)
{
	if (e->usable)
		return OUT_NO;
	return e->terminating ? OUT_TERMINATING : e->ready ? OUT_LEFT_OUT : OUT_NOT_READY;
}

/* What the pick thinks of one that the table lets in. */
static void look_at_row(const struct look *l, const struct pick *pick, uint32_t i, struct explain_endpoint *e)
{
	const struct ledger_row *row = ledger_row(&l->copy, e->seen->key);
	uint32_t streak = row ? word_read(&row->streak, e->seen->key.tag) : 0;
	struct candidate candidate = { .share = SHARE_WHOLE };

	e->refusals = streak >> 16;
	e->timeouts = streak & 0xffff;
	if (e->out == OUT_NO && !pick_candidate(pick, i, &candidate))
		e->out = ledger_is_trial(ledger_load(&l->copy, e->seen->key, l->now_ms).ejection) ? OUT_ON_TRIAL : OUT_EJECTED;
	e->is_trial = e->out == OUT_NO && candidate.trial;
	e->share = candidate.share;
}

static bool choose(const struct look *l, struct pick *pick, struct explain_family *f, struct candidate *ret_chosen)
{
	struct ledger_pin pin;

	if (!f->affinity_s)
		return pick_next(pick, f->balance, ret_chosen);
	pin = ledger_pin(pick->ledger, pick->cursor, f->v4, f->affinity_s, l->now_ms);
	if (!pick_pinned(pick, pin.tag, ret_chosen))
		return false;
	f->is_pinned = pin.tag && ret_chosen->key.tag == pin.tag;
	return true;
}

/* By what a choice depends on that is not to be seen from here. */
static enum explain_sight sight_of(const struct look *l, const struct explain_family *f, const struct pick *pick)
{
	bool hashes = f->balance == BALANCE_HASH, asks_name = hashes || !pick->peers;

	if (f->affinity_s && f->is_pinned)
		return SIGHT_CERTAIN;
	if (l->dialer.other_host && asks_name)
		return SIGHT_OTHER_HOST;
	if (hashes)
		return SIGHT_CERTAIN;
	if (!l->copy.base || pick->cursor.slot >= l->copy.cursors)
		return SIGHT_NO_LEDGER;
	return f->balance == BALANCE_RANDOM || f->balance == BALANCE_P2C ? SIGHT_CHANCE : SIGHT_CERTAIN;
}

/* Endpoints of the other family too, where no dial of this Service would be one of theirs. */
static int take_family(struct look *l, uint32_t row, const struct table_port *port, const struct snapshot_port *seen, bool v4,
		       bool with_others, struct explain_family *f)
{
	uint32_t first = v4 ? 0 : port->v4_count, n = v4 ? port->v4_count : port->v6_count;
	struct candidate chosen;
	struct pick pick;
	bool found;
	int r;

	f->endpoints = calloc(seen->endpoint_count + 1, sizeof(*f->endpoints));
	if (!f->endpoints)
		return -ENOMEM;
	f->v4 = v4;
	f->pass = judge(l, port);
	f->affinity_s = port->affinity_s;
	f->balance = l->balance >= 0 ? (uint8_t)l->balance : port->policy.balance;
	if (f->balance >= BALANCE_COUNT)
		f->balance = BALANCE_LEAST_CONN;
	if (f->affinity_s)
		f->balance = BALANCE_HASH;
	drop_copy(l);
	r = copy_ledger(l);
	if (r == 0)
		r = make_pick(l, row, port, v4, &pick);
	if (r < 0)
		return r;
	pick.may_try = f->pass != PASS_OBSERVED;
	found = choose(l, &pick, f, &chosen);
	f->all_in = pick.all_in;
	f->sight = sight_of(l, f, &pick);
	f->count = n;
	f->next = found ? chosen.index : n;
	for (uint32_t i = 0; i < n; i++) {
		f->endpoints[i] = (struct explain_endpoint){ .seen = &seen->endpoints[first + i],
							     .out = out_of(&seen->endpoints[first + i]), };
		look_at_row(l, &pick, i, &f->endpoints[i]);
	}
	for (size_t i = 0; with_others && i < seen->endpoint_count; i++)
		if (seen->endpoints[i].addr.is_v4 != v4)
			f->endpoints[f->count++] =
				(struct explain_endpoint){ .seen = &seen->endpoints[i], .out = OUT_OTHER_FAMILY };
	if (!found) {
		f->next = f->count;
		f->pass = f->pass == PASS_NO || f->pass == PASS_OBSERVED ? PASS_NO_ENDPOINT : f->pass;
	}
	return 0;
}

/* ---- a port, and all of them ---- */

/* Which families a dial can have: those of the Service's addresses, or of a headless one's endpoints. */
static bool has_family(const struct snapshot_service *s, const struct table_port *port, bool v4)
{
	for (size_t i = 0; i < s->address_count; i++)
		if (s->addresses[i].is_v4 == v4)
			return true;
	return s->address_count == 0 && (v4 ? port->v4_count || !port->v6_count : port->v6_count);
}

static int take_port(struct look *l, uint32_t row, const struct snapshot_port *seen, const struct explain_question *q,
		     struct explain_port *to)
{
	struct table_port port;
	int r = table_port(&l->view, row, &port);
	bool has[2];

	if (r < 0)
		return r;
	if (seen->endpoint_count != (size_t)port.v4_count + port.v6_count)
		return -EAGAIN;
	to->seen = seen;
	for (int v4 = 0; v4 < 2; v4++)
		has[v4] = q->one_family ? q->v4 == v4 : has_family(q->service, &port, v4);
	for (int v4 = 1; r == 0 && v4 >= 0; v4--)
		if (has[v4])
			r = take_family(l, row, &port, seen, v4, !has[!v4], &to->families[to->family_count++]);
	return r;
}

/* What the process says goes before what the table says. */
static void take_policy(struct look *l, struct explanation *to)
{
	static const char balance[] = "balance", mode[] = "mode";
	const struct environment *env = l->dialer.environment;
	uint8_t table_mode = most_cautious(l->rules.mode, l->service->policy.mode);

	to->policy = l->service->policy;
	l->balance = -1;
	for (int i = 0; env->balance && i < BALANCE_COUNT; i++)
		if (strcmp(env->balance, balance_policy((uint8_t)i)->name) == 0)
			l->balance = i;
	if (l->balance >= 0)
		policy_set(&to->policy, policy_find(balance, strlen(balance)), env->balance, strlen(env->balance),
			   ORIGIN_ENVIRONMENT);
	if (env->mode > table_mode)
		policy_set(&to->policy, policy_find(mode, strlen(mode)), mode_names[env->mode], strlen(mode_names[env->mode]),
			   ORIGIN_ENVIRONMENT);
	else if (table_mode > l->service->policy.mode)
		policy_set(&to->policy, policy_find(mode, strlen(mode)), mode_names[table_mode], strlen(mode_names[table_mode]),
			   ORIGIN_OPTION);
}

static int take_all(struct look *l, const struct explain_question *q, struct explanation *to)
{
	const struct snapshot_service *s = q->service;
	struct table_service service;
	int row = table_find_service(&l->view, slice_of(s->name), slice_of(s->namespace));
	int r = row < 0 ? row : table_service(&l->view, (uint32_t)row, &service);

	if (r < 0 || service.port_count != s->port_count)
		return r < 0 && r != -ENOENT ? r : -EAGAIN;
	to->is_headless = service.flags & SERVICE_HEADLESS;
	to->is_stale = is_stale(l);
	for (uint32_t i = 0; r == 0 && i < service.port_count; i++)
		if (!q->port || q->port == &s->ports[i])
			r = take_port(l, service.first_port + i, &s->ports[i], q, &to->ports[to->port_count++]);
	return r;
}

static int take_generation(struct look *l, const struct explain_question *q, struct explanation *to)
{
	int r;

	if (!table_begin(&l->table, &l->view) || table_generation(&l->view) != l->snapshot->generation)
		return -EAGAIN;
	l->rules = table_rules(&l->view);
	take_policy(l, to);
	r = take_all(l, q, to);
	return table_end(&l->view) ? r : -EAGAIN;
}

int explain_take(const char *dir, const struct snapshot *snapshot, const struct explain_question *question,
		 const struct explain_dialer *dialer, struct explanation *to)
{
	struct look l = { .snapshot = snapshot, .service = question->service, .dialer = *dialer, .now_ms = clock_boot_ms() };
	struct trust trust = cli_trust();
	int r = table_map(dir, &trust, &l.table, NULL);

	if (r < 0)
		return r;
	memset(to, 0, sizeof(*to));
	to->snapshot = snapshot;
	to->service = question->service;
	to->dialer = *dialer;
	to->ports = calloc(question->service->port_count + 1, sizeof(*to->ports));
	if (to->ports && snapshot_open_ledger(dir, &trust, LEDGER_COPY, &l.ledger) < 0)
		l.ledger.base = NULL;
	r = to->ports ? take_generation(&l, question, to) : -ENOMEM;
	drop_copy(&l);
	ledger_close(&l.ledger);
	table_unmap(&l.table);
	if (r < 0)
		explain_free(to);
	return r;
}

void explain_free(struct explanation *e)
{
	for (size_t i = 0; i < e->port_count; i++)
		for (size_t j = 0; j < e->ports[i].family_count; j++)
			free(e->ports[i].families[j].endpoints);
	free(e->ports);
	memset(e, 0, sizeof(*e));
}
