/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial explain` prints for people. */
#include <stdio.h>
#include <string.h>

#include "balance/balance.h"
#include "balance/move.h"
#include "explain/explain.h"
#include "model/policy.h"
#include "view/paint.h"

static void print_name(const struct snapshot_service *s)
{
	print_plain(s->name);
	if (s->namespace[0])
		putchar('.');
	print_plain(s->namespace);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- the Service ---- */

static const char *how_old(const struct snapshot *s)
{
	return s->is_static ? "static, published " : s->alive ? "agent alive, heard " : "agent silent for ";
}

static void print_data(const struct explanation *e)
{
	const struct snapshot *s = e->snapshot;

	printf("  table      generation %llu, %s", (unsigned long long)s->generation, how_old(s));
	print_age(s->age_ms);
	printf("%s", s->is_static || s->alive ? " ago" : "");
	printf(", from ");
	print_plain(s->source);
	if (e->is_stale)
		printf("; %sno longer believed%s", paint(PAINT_BAD), paint_off());
	putchar('\n');
	if (s->trouble[0]) {
		printf("  %strouble%s    ", paint(PAINT_LEAVE), paint_off());
		print_plain(s->trouble);
		putchar('\n');
	}
	if (s->ledger_error)
		printf("  ledger     cannot be read (%s): the counts are not known\n", strerror(-s->ledger_error));
}

/* Where it comes from; of the dialer's own environment, whose that is. */
static void print_setting(const struct explanation *e, const struct policy_key *key)
{
	enum policy_origin origin = policy_origin_of(&e->policy, key);
	bool given = origin != ORIGIN_DEFAULT;
	char text[POLICY_TEXT];

	printf("    %-22s %s%-14s%s %s", key->name, given ? paint(PAINT_HEAD) : "", policy_print(&e->policy, key, text),
	       given ? paint_off() : "", policy_origin_name(origin));
	if (origin == ORIGIN_ENVIRONMENT && e->dialer.pid)
		printf(" of process %d", e->dialer.pid);
	if (origin == ORIGIN_UNACCEPTED)
		printf(": the services file has to allow it by \"accept_moves\": true");
	putchar('\n');
}

static void print_policy(const struct explanation *e)
{
	puts("  policy");
	for (size_t i = 0; i < policy_key_count; i++)
		print_setting(e, &policy_keys[i]);
	if (e->balance_misread) {
		printf("    FAIRDIAL_BALANCE=");
		print_plain(e->dialer.environment->balance);
		puts(" is not understood, and passed over");
	}
}

static void print_service(const struct explanation *e)
{
	const struct snapshot_service *s = e->service;
	char text[ADDR_TEXT];

	printf("%sservice%s    ", paint(PAINT_HEAD), paint_off());
	print_name(s);
	for (size_t i = 0; i < s->address_count; i++)
		printf(" %s", addr_print_ip(&s->addresses[i], text));
	if (e->is_headless)
		printf(", headless: its name answers with its pods, the next one first");
	if (s->stand_down[0])
		printf(", stands down: %s", s->stand_down);
	putchar('\n');
	print_data(e);
	print_policy(e);
}

/* ---- the endpoints of a port ---- */

static const char *colour_of(const struct explain_endpoint *e, bool is_next)
{
	if (is_next)
		return paint(PAINT_NEXT);
	if (e->out == OUT_NO)
		return "";
	return paint(e->out == OUT_EJECTED || e->out == OUT_NOT_READY ? PAINT_BAD : PAINT_LEAVE);
}

static void print_numbers(const struct explain_endpoint *e, bool is_next)
{
	const struct ledger_score *score = &e->score;
	const char *on = colour_of(e, is_next);
	char text[ADDR_TEXT];

	printf("    %s%-28s %8u %8u %8u %7u%s", on, addr_print(&e->seen->addr, text), score->active, score->dials, score->failures,
	       e->seen->weight, on[0] ? paint_off() : "");
}

static void print_candidate(const struct explain_endpoint *e)
{
	if (e->is_trial)
		printf("  on trial: its ejection is over");
	if (e->share != SHARE_WHOLE)
		printf("  new: %u%% of its weight", e->share * 100u / SHARE_WHOLE);
	if (e->seen->zone[0]) {
		printf("  zone ");
		print_plain(e->seen->zone);
	}
}

static void print_excluded(const struct explain_endpoint *e)
{
	printf("  %s", explain_out_row(e->out)->text);
	if (e->out == OUT_EJECTED && e->score.ejected)
		printf(" for %u ms", e->score.ejected_ms);
	if ((e->out == OUT_EJECTED || e->out == OUT_ON_TRIAL) && (e->refusals || e->timeouts))
		printf(", after %u refusal%s and %u timeout%s in a row", e->refusals, plural(e->refusals), e->timeouts,
		       plural(e->timeouts));
}

static size_t count_in(const struct explain_family *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->endpoints[i].out == OUT_NO;
	return n;
}

static void print_part(const struct explain_family *f, bool in, const char *title)
{
	if (in ? count_in(f) == 0 : count_in(f) == f->count)
		return;
	printf("   %s\n", title);
	for (size_t i = 0; i < f->count; i++) {
		const struct explain_endpoint *e = &f->endpoints[i];
		bool is_next = explain_has_next(f) && i == f->next;

		if ((e->out == OUT_NO) != in)
			continue;
		print_numbers(e, is_next);
		if (in)
			print_candidate(e);
		else
			print_excluded(e);
		puts(is_next ? "  next" : "");
	}
}

/* ---- the next pick ---- */

static const char *policy_name(const struct explain_family *f)
{
	return f->affinity_s ? "pinned" : balance_policy(f->balance)->name;
}

static const char *how(const struct explain_family *f)
{
	if (f->last_resort)
		return "all are ejected: the one whose last failure is longest ago";
	if (f->is_pinned)
		return "by sessionAffinity";
	if (f->affinity_s)
		return "sessionAffinity: nobody is pinned yet, so the one that hash says";
	return balance_policy(f->balance)->help;
}

/* An endpoint, or why it cannot be told. */
static void print_next(const struct explain_family *f)
{
	char text[ADDR_TEXT];

	printf("    next       ");
	if (f->sight == SIGHT_CHANCE)
		printf("by chance, any of the %zu candidates (%s: %s)\n", count_in(f), policy_name(f), how(f));
	else if (f->sight != SIGHT_CERTAIN)
		printf("cannot be told: %s (%s)\n", explain_sight_row(f->sight)->text, policy_name(f));
	else
		printf("%s%s%s (%s: %s)\n", paint(PAINT_NEXT), addr_print(&f->endpoints[f->next].seen->addr, text), paint_off(),
		       policy_name(f), how(f));
}

static void print_why_passes(const struct explanation *e, const struct explain_family *f)
{
	if (f->pass == PASS_PROCESS)
		printf("of process %d pass by this table: %s", e->dialer.pid, e->dialer.unspread->text);
	else
		printf("pass through: %s", explain_pass_row(f->pass)->text);
	if (f->pass == PASS_STANDS_DOWN)
		printf(": %s", e->service->stand_down);
}

static void print_pass(const struct explanation *e, const struct explain_family *f)
{
	if (f->pass == PASS_NO)
		return;
	printf("    %sdials ", paint(PAINT_LEAVE));
	print_why_passes(e, f);
	printf("%s\n", paint_off());
}

static void print_family(const struct explanation *e, const struct explain_port *port, const struct explain_family *f)
{
	printf("  port %u/%s%s", port->seen->port, port->seen->protocol, port->seen->name[0] ? " " : "");
	print_plain(port->seen->name);
	printf(", %s\n", f->v4 ? "IPv4" : "IPv6");
	print_pass(e, f);
	if (f->pass == PASS_NO || f->pass == PASS_OBSERVED)
		print_next(f);
	if (f->all_in)
		puts("    all in     more are ejected than may be out, so all are in");
	if (f->count)
		printf("    %s%-28s %8s %8s %8s %7s%s\n", paint(PAINT_HEAD), "ENDPOINT", "ACTIVE", "DIALS", "FAILED", "WEIGHT",
		       paint_off());
	print_part(f, true, "candidates");
	print_part(f, false, "excluded");
}

void explain_print(const struct explanation *e)
{
	print_service(e);
	for (size_t i = 0; i < e->port_count; i++)
		for (size_t j = 0; j < e->ports[i].family_count; j++)
			print_family(e, &e->ports[i], &e->ports[i].families[j]);
}

/* ---- connections ---- */

/* An explanation of a connection is of one port and family. */
static const struct explain_family *family_of(const struct explanation *e)
{
	return &e->ports[0].families[0];
}

static void print_now(const struct explain_connection *c, const struct explanation *e)
{
	const struct explain_family *f = family_of(e);
	char text[ADDR_TEXT];

	if (f->pass != PASS_NO)
		printf("; now it would pass through (%s)",
		       f->pass == PASS_PROCESS ? e->dialer.unspread->name : explain_pass_row(f->pass)->name);
	else if (f->sight != SIGHT_CERTAIN)
		printf("; who it would be now %s", f->sight == SIGHT_CHANCE ? "is by chance" : "cannot be told");
	else if (f->endpoints[f->next].seen == c->endpoint)
		printf("; now it would be the same");
	else
		printf("; now it would be %s", addr_print(&f->endpoints[f->next].seen->addr, text));
}

static void print_connection(const struct explain_connection *c, const struct explanation *e)
{
	char text[ADDR_TEXT];

	printf("  fd %-4d    %s  ", c->fd, addr_print(&c->peer, text));
	print_name(c->service);
	printf(" port %u", c->port->port);
	if (!c->endpoint)
		printf(": the Service's own address, not spread (%s)", c->why->name);
	else if (c->why)
		printf(": an endpoint, dialed by a process that is not spread (%s)", c->why->name);
	else
		printf(": an endpoint");
	print_now(c, e);
	putchar('\n');
}

/* What is known of the choice: the policy of now, for nobody keeps the numbers of then. */
static void print_choice(const struct explain_connection *c, const struct explanation *e)
{
	const struct explain_family *f = family_of(e);
	const struct policy_key *balance = policy_find("balance", strlen("balance"));

	puts("  chosen at  not known: neither the kernel nor the ledger keeps when a connection was made");
	printf("  chosen by  ");
	if (c->why) {
		printf("not by fairdial, as things are: %s\n", c->why->text);
		if (c->why->remedy)
			printf("             %s\n", c->why->remedy);
	} else if (f->affinity_s) {
		puts("sessionAffinity, which pins all of this pod to one");
	} else {
		printf("%s (%s), if that was the policy then: %s;\n             the numbers of then are kept by nobody\n",
		       policy_name(f), policy_origin_name(policy_origin_of(&e->policy, balance)),
		       balance_policy(f->balance)->help);
	}
}

static void print_others(const struct explain_connection *c)
{
	for (size_t i = 0; i < c->other_count && i < SNAPSHOT_SHARED; i++) {
		printf("%s", i ? ", " : "  or         it was dialed through another Service with the same endpoint: ");
		print_name(c->others[i]);
	}
	if (c->other_count)
		puts(c->other_count > SNAPSHOT_SHARED ? " and more" : "");
}

static const struct explain_endpoint *endpoint_of(const struct explain_connection *c, const struct explain_family *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->endpoints[i].seen == c->endpoint)
			return &f->endpoints[i];
	return NULL;
}

/* How its endpoint stands among the others. */
static void print_standing(const struct explain_connection *c, const struct explanation *e)
{
	const struct explain_endpoint *own = endpoint_of(c, family_of(e));
	unsigned long long open = 0;

	if (!own)
		return;
	for (size_t i = 0; i < family_of(e)->count; i++)
		open += family_of(e)->endpoints[i].score.active;
	printf("  endpoint   ");
	if (e->snapshot->ledger_error || family_of(e)->sight == SIGHT_NO_LEDGER)
		printf("counts are not known");
	else
		printf("has %u of %llu open connections counted now, after %u dial%s", own->score.active, open,
		       own->score.dials, plural(own->score.dials));
	if (own->out)
		printf("; excluded now: %s", explain_out_row(own->out)->text);
	putchar('\n');
}

static bool has_another(const struct explain_connection *c, const struct explain_family *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->endpoints[i].seen != c->endpoint && f->endpoints[i].seen->usable)
			return true;
	return false;
}

/* What its endpoint, as it is now, makes of `drain` (balance/move.h has the rules). */
static const char *when_it_leaves(const struct explain_connection *c, const struct explanation *e)
{
	if (!has_another(c, family_of(e)))
		return "there is no other endpoint to go to: it stays";
	if (!c->endpoint->terminating || c->endpoint->usable || e->policy.drain == DRAIN_LEAVE)
		return "its endpoint is in, or drain leaves it alone: at quiet points only, as rebalance and max_age say";
	if (e->policy.drain == DRAIN_IDLE)
		return "its endpoint is terminating: it is closed as soon as it is quiet";
	return "its endpoint is terminating: it is closed when quiet, and at the deadline in any case";
}

/* One that may be closed: by what, and whether its time has come. */
static void print_leaving(const struct explain_connection *c, const struct explanation *e)
{
	static const char *const keys[] = { "drain", "rebalance", "max_age", "quiet" };
	char text[POLICY_TEXT];

	printf("  may move  ");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct policy_key *key = policy_find(keys[i], strlen(keys[i]));

		printf(" %s %s%s", keys[i], policy_print(&e->policy, key, text), i < 3 ? "," : "");
	}
	printf(";\n             %s\n", when_it_leaves(c, e));
}

static void print_stay(const struct explain_connection *c, const struct explanation *e)
{
	enum explain_stay stay = explain_stay_of(c, e);

	if (stay == STAY_NO)
		print_leaving(c, e);
	else
		printf("  stays      until either side closes it: %s\n", explain_stay_row(stay)->text);
}

static void print_process(const struct explain_connections *all)
{
	printf("%sprocess%s    %d", paint(PAINT_HEAD), paint_off(), all->pid);
	if (all->program[0])
		putchar(' ');
	print_plain(all->program);
}

static void print_rows(const struct explain_connections *all, const struct explanation *told)
{
	if (all->unspread)
		printf("  %snot spread by this table%s: %s\n", paint(PAINT_LEAVE), paint_off(), all->unspread->text);
	for (size_t i = 0; i < all->count; i++)
		print_connection(&all->at[i], &told[all->at[i].told]);
}

void explain_print_connections(const struct explain_connections *all, const struct explanation *told)
{
	print_process(all);
	printf(", %zu open TCP connection%s, %zu to what the table knows\n", all->open, plural(all->open), all->count);
	print_rows(all, told);
}

void explain_print_connection(const struct explain_connections *all, const struct explanation *e)
{
	print_process(all);
	putchar('\n');
	print_rows(all, e);
	print_choice(&all->at[0], e);
	print_others(&all->at[0]);
	print_standing(&all->at[0], e);
	print_stay(&all->at[0], e);
	explain_print(e);
}
