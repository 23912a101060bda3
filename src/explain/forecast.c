/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a dial would go now: the rules and the choice of src/balance over the rows of the table, as the shim asks them, but with a
 * copy of the ledger. So the turns and pins that it takes are nobody's, and what follows from a turn that comes to nothing is the
 * same too.
 */
#include "explain/explain.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balance/rules.h"
#include "base/clock.h"
#include "base/host.h"
#include "explain/ledger_copy.h"
#include "ledger/mend.h"
#include "ledger/words.h"
#include "model/policy.h"
#include "table/freshness.h"

/* One look at table and ledger. */
struct look {
	const struct explain_place *place;
	const struct snapshot *snapshot;
	const struct explain_question *question;
	struct explain_dialer dialer;
	struct explanation *to;
	struct table table;
	struct table_view view;
	struct table_rules rules;
	struct ledger ledger; /* as it is; base NULL: there is none */
	struct ledger copy;
	bool makes_ledger; /* there is none yet, and the first dial makes it */
	int balance; /* enum balance of the environment; -1: as the table says */
	uint64_t now_ms;
};

/* A port of it, in the table and in the snapshot. */
struct looked_port {
	uint32_t row;
	struct table_port port;
	const struct snapshot_port *seen;
};

/* ---- whether it is ours ---- */

static uint8_t mode_of(const struct look *l, uint8_t process)
{
	return rules_mode(l->rules.mode, l->question->service->policy.mode, process);
}

static enum explain_pass pass_of(const struct look *l, enum rules_answer answer)
{
	switch (answer) {
	case RULES_OURS:
		return PASS_NO;
	case RULES_OBSERVED:
		return PASS_OBSERVED;
	case RULES_STOOD_DOWN:
		return PASS_STANDS_DOWN;
	case RULES_STALE:
		return l->to->is_headless ? PASS_QUIET : PASS_STALE;
	default:
		break;
	}
	if (l->dialer.environment->mode == MODE_OFF)
		return PASS_PROCESS_OFF;
	return mode_of(l, MODE_ON) == MODE_OFF ? PASS_SERVICE_OFF : PASS_LISTS;
}

static enum explain_pass judge(const struct look *l, const struct table_port *port)
{
	const struct snapshot_service *s = l->question->service;
	const struct environment *env = l->dialer.environment;
	uint8_t mode = mode_of(l, env->mode);
	bool left_out = !environment_allows(env, s->name, s->namespace);

	if (port->protocol != PROTOCOL_TCP)
		return PASS_NOT_TCP;
	if (l->dialer.unspread)
		return PASS_PROCESS;
	if (l->to->is_headless)
		return pass_of(l, rules_judge_names(&l->view, &l->rules, port->stand_down, mode, left_out, l->now_ms));
	return pass_of(l, rules_judge(&l->view, &l->rules, port, mode, left_out, l->now_ms));
}

/* ---- the pick ---- */

/* Of a port the endpoints of IPv4 come first. */
static const struct snapshot_endpoint *first_of(const struct looked_port *p, bool v4)
{
	return p->seen->endpoints + (v4 ? 0 : p->port.v4_count);
}

static int copy_ledger(struct look *l)
{
	ledger_copy_free(&l->copy);
	return l->ledger.base || l->makes_ledger ? ledger_copy(&l->ledger, &l->table, &l->copy) : 0;
}

/* Of a blocking dial, which may go on from one that does not answer. */
static int make_pick(struct look *l, const struct looked_port *p, const struct explain_family *f, struct pick *pick)
{
	struct ledger_verdict verdict = rules_verdict(&p->port.policy);

	memset(pick, 0, sizeof(*pick));
	pick->ledger = &l->copy;
	pick->now_ms = l->now_ms;
	pick->identity = host_identity();
	pick->may_try = f->pass != PASS_OBSERVED && !l->to->is_headless;
	rules_take_policy(pick, &l->rules, &p->port, &verdict);
	rules_take_endpoints(pick, &l->view, p->row, &p->port, f->v4);
	return table_endpoint_rows(&l->view, pick->rows.first, pick->rows.count, &pick->rows);
}

struct backends {
	const struct snapshot_endpoint *at;
};

static bool backend_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	const struct backends *backends = of;

	*ret_addr = backends->at[i].addr;
	*ret_key = backends->at[i].key;
	return true;
}

/* Where the dial would count the open connections first, because nobody has done it lately: so does the copy. */
static void mend_as_dial(struct look *l, const struct looked_port *p, struct explain_family *f, const struct pick *pick)
{
	struct backends backends = { first_of(p, f->v4) };
	struct mend_caller caller = { pick->cursor, l->snapshot->generation, true, false };
	struct mend_list list = { &backends, pick->rows.count, backend_at };

	f->is_mended = rules_by_load(f->balance) && mend_due(&l->copy, &caller, l->now_ms) &&
		       mend_in_turn(&l->copy, &list, l->now_ms) == 0;
}

static void take_balance(const struct look *l, const struct table_port *port, struct explain_family *f)
{
	/* Names that are put in order are not pinned. */
	f->affinity_s = l->to->is_headless ? 0 : port->affinity_s;
	f->balance = f->affinity_s ? RULES_PINNED : rules_balance(port, l->balance);
	if (f->balance >= BALANCE_COUNT)
		f->balance = BALANCE_LEAST_CONN;
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

/* ---- the endpoints of one family ---- */

static enum explain_out out_of(const struct snapshot_endpoint *e)
{
	if (e->usable)
		return OUT_NO;
	return e->terminating ? OUT_TERMINATING : e->ready ? OUT_LEFT_OUT : OUT_NOT_READY;
}

/* What the pick, after it has chosen, thinks of one that the table lets in. */
static void look_at_row(const struct look *l, const struct pick *pick, uint32_t i, struct explain_endpoint *e)
{
	const struct ledger_row *row = ledger_row(&l->copy, e->seen->key);
	uint32_t streak = row ? word_read(&row->streak, e->seen->key.tag) : 0;
	struct candidate candidate = { .share = SHARE_WHOLE };

	e->out = out_of(e->seen);
	e->score = ledger_score(&l->copy, e->seen->key, l->now_ms);
	e->refusals = streak >> 16;
	e->timeouts = streak & 0xffff;
	if (e->out == OUT_NO && !pick_candidate(pick, i, &candidate))
		e->out = ledger_is_trial(ledger_load(&l->copy, e->seen->key, l->now_ms).ejection) ? OUT_ON_TRIAL : OUT_EJECTED;
	e->is_trial = e->out == OUT_NO && candidate.trial;
	e->share = candidate.share;
}

/* Those of the other family too, where no dial of this Service would go to one of them. */
static int take_endpoints(const struct look *l, const struct looked_port *p, const struct pick *pick, bool with_others,
			  struct explain_family *f)
{
	const struct snapshot_endpoint *seen = p->seen->endpoints, *first = first_of(p, f->v4);

	f->endpoints = calloc(p->seen->endpoint_count + 1, sizeof(*f->endpoints));
	if (!f->endpoints)
		return -ENOMEM;
	for (; f->count < pick->rows.count; f->count++) {
		f->endpoints[f->count].seen = &first[f->count];
		look_at_row(l, pick, (uint32_t)f->count, &f->endpoints[f->count]);
		if (l->copy.base && !rules_by_load(f->balance)) /* nobody's dial counts them anew: as status has them */
			f->endpoints[f->count].score.active = first[f->count].score.active;
	}
	for (size_t i = 0; with_others && i < p->seen->endpoint_count; i++)
		if (seen[i].addr.is_v4 != f->v4)
			f->endpoints[f->count++] = (struct explain_endpoint){ .seen = &seen[i], .score = seen[i].score,
									      .out = OUT_OTHER_FAMILY, .share = SHARE_WHOLE };
	return 0;
}

static int take_family(struct look *l, const struct looked_port *p, bool v4, bool with_others, struct explain_family *f)
{
	struct candidate chosen;
	struct ledger_pin pin = { 0 };
	struct pick pick;
	bool found;
	int r = copy_ledger(l);

	*f = (struct explain_family){ .v4 = v4, .pass = judge(l, &p->port) };
	take_balance(l, &p->port, f);
	if (r == 0)
		r = make_pick(l, p, f, &pick);
	if (r < 0)
		return r;
	mend_as_dial(l, p, f, &pick);
	found = rules_next(&pick, f->balance, f->affinity_s, v4, &pin, &chosen);
	f->is_pinned = found && pin.tag && pin.tag == chosen.key.tag;
	f->all_in = pick.all_in;
	f->sight = sight_of(l, f, &pick);
	r = take_endpoints(l, p, &pick, with_others, f);
	if (r < 0)
		return r;
	f->next = found ? chosen.index : f->count;
	f->last_resort = found && f->endpoints[f->next].out != OUT_NO;
	if (!found && (f->pass == PASS_NO || f->pass == PASS_OBSERVED))
		f->pass = PASS_NO_ENDPOINT;
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

static int take_port(struct look *l, uint32_t row, const struct snapshot_port *seen, struct explain_port *to)
{
	const struct explain_question *q = l->question;
	struct looked_port p = { .row = row, .seen = seen };
	int r = table_port(&l->view, row, &p.port);
	bool has[2];

	if (r < 0)
		return r;
	if (seen->endpoint_count != (size_t)p.port.v4_count + p.port.v6_count)
		return -EAGAIN;
	to->seen = seen;
	for (int v4 = 0; v4 < 2; v4++)
		has[v4] = q->one_family ? q->v4 == v4 : has_family(q->service, &p.port, v4);
	for (int v4 = 1; r == 0 && v4 >= 0; v4--)
		if (has[v4])
			r = take_family(l, &p, v4, !has[!v4], &to->families[to->family_count++]);
	return r;
}

/* ---- the Service ---- */

static int balance_of(const char *text)
{
	for (int i = 0; text && i < BALANCE_COUNT; i++)
		if (strcmp(text, balance_policy((uint8_t)i)->name) == 0)
			return i;
	return -1;
}

static void set(struct table_policy *policy, const char *key, const char *value, enum policy_origin origin)
{
	policy_set(policy, policy_find(key, strlen(key)), value, strlen(value), origin);
}

/* What the process says goes before what the table says; of modes the most cautious, and a file has one for all. */
static void take_policy(struct look *l)
{
	const struct environment *env = l->dialer.environment;
	struct explanation *to = l->to;
	uint8_t own = to->service->policy.mode, table = mode_of(l, MODE_ON);

	to->policy = to->service->policy;
	l->balance = balance_of(env->balance);
	to->balance_misread = env->balance && l->balance < 0;
	if (l->balance >= 0)
		set(&to->policy, "balance", env->balance, ORIGIN_ENVIRONMENT);
	if (table != own)
		set(&to->policy, "mode", mode_names[table], ORIGIN_FILE);
	if (env->mode > table)
		set(&to->policy, "mode", mode_names[env->mode], ORIGIN_ENVIRONMENT);
}

static void take_age(struct look *l, const struct table_service *service)
{
	enum freshness freshness = table_freshness(&l->table, l->rules.stale_after_ms, l->now_ms);

	l->to->is_headless = (service->flags & SERVICE_HEADLESS) && service->address_count == 0;
	l->to->is_stale = (l->to->is_headless && freshness != FRESH) ||
			  ((service->flags & SERVICE_OWN_ADDRESS) && freshness == STALE);
}

static int take_service(struct look *l)
{
	const struct snapshot_service *s = l->question->service;
	struct explanation *to = l->to;
	struct table_service service;
	int row = table_find_service(&l->view, slice_of(s->name), slice_of(s->namespace));
	int r = row < 0 ? row : table_service(&l->view, (uint32_t)row, &service);

	if (r < 0 || service.port_count != s->port_count)
		return r < 0 && r != -ENOENT ? r : -EAGAIN;
	take_age(l, &service);
	take_policy(l);
	for (uint32_t i = 0; r == 0 && i < service.port_count; i++)
		if (!l->question->port || l->question->port == &s->ports[i])
			r = take_port(l, service.first_port + i, &s->ports[i], &to->ports[to->port_count++]);
	return r;
}

/* What fails while a writer is at work may be due to that. */
static int take_generation(struct look *l)
{
	int r;

	if (!table_begin(&l->table, &l->view) || table_generation(&l->view) != l->snapshot->generation)
		return -EAGAIN;
	l->rules = table_rules(&l->view);
	r = take_service(l);
	return table_end(&l->view) ? r : -EAGAIN;
}

/* ---- the whole ---- */

static bool may_write(const struct look *l, const char *path)
{
	uint32_t uid = l->dialer.pid ? l->dialer.uid : geteuid();
	struct stat st;

	if (uid == geteuid())
		return access(path, W_OK) == 0;
	return stat(path, &st) == 0 && (uid == 0 || (st.st_mode & (st.st_uid == uid ? S_IWUSR : S_IWOTH)));
}

/* Whether that user's shim would take it, too: whoever asks may see more. */
static bool is_its_own(const struct look *l, const char *path)
{
	struct stat st;

	if (!l->dialer.pid || l->dialer.uid == geteuid())
		return true;
	return may_write(l, path) && stat(path, &st) == 0 &&
	       (st.st_uid == l->dialer.uid || st.st_uid == 0 || st.st_uid == l->place->trust.shim_uid);
}

static void open_ledger(struct look *l)
{
	char path[PATH_MAX];
	int r = snapshot_ledger_path(l->place->dir, path);

	if (r == 0)
		r = snapshot_open_ledger(l->place->dir, &l->place->trust, LEDGER_COPY, &l->ledger);
	if (r == 0 && !is_its_own(l, path)) {
		ledger_close(&l->ledger);
		r = -EACCES;
	}
	if (r < 0)
		l->ledger.base = NULL;
	l->makes_ledger = r == -ENOENT && may_write(l, dirname(path));
}

static int look(struct look *l)
{
	int r;

	l->to->ports = calloc(l->question->service->port_count + 1, sizeof(*l->to->ports));
	if (!l->to->ports)
		return -ENOMEM;
	open_ledger(l);
	r = take_generation(l);
	ledger_copy_free(&l->copy);
	ledger_close(&l->ledger);
	return r;
}

int explain_take(const struct explain_place *place, const struct snapshot *snapshot, const struct explain_question *question,
		 const struct explain_dialer *dialer, struct explanation *to)
{
	struct look l = { .place = place, .snapshot = snapshot, .question = question, .dialer = *dialer, .to = to,
			  .now_ms = clock_boot_ms() };
	int r = table_map(place->dir, &place->trust, &l.table, NULL);

	if (r < 0)
		return r;
	*to = (struct explanation){ .snapshot = snapshot, .service = question->service, .dialer = *dialer };
	r = look(&l);
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
