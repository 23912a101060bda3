/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial explain` prints for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/policy.h"
#include "balance/balance.h"
#include "cli/explain.h"
#include "cli/policy_json.h"

static const struct explain_row passes[PASS_COUNT] = {
	[PASS_NO] = { "no", "" },
	[PASS_NOT_TCP] = { "not-tcp", "only TCP is spread" },
	[PASS_PROCESS_OFF] = { "process-off", "FAIRDIAL, or a list that is too long, switches this process off" },
	[PASS_SERVICE_OFF] = { "service-off", "the mode of the Service, or of all, is off" },
	[PASS_LISTS] = { "left-out", "FAIRDIAL_ONLY or FAIRDIAL_EXCEPT leaves this Service out" },
	[PASS_STANDS_DOWN] = { "stands-down", "the Service stands down" },
	[PASS_STALE] = { "stale", "the table is too old to be believed: its agent is silent, or of an earlier boot" },
	[PASS_OBSERVED] = { "observed", "mode observe: counted, and not changed" },
	[PASS_NO_ENDPOINT] = { "no-endpoint", "no endpoint can be dialed" },
};

static const struct explain_row outs[OUT_COUNT] = {
	[OUT_NO] = { "candidate", "" },
	[OUT_NOT_READY] = { "not-ready", "not ready" },
	[OUT_TERMINATING] = { "terminating", "terminating" },
	[OUT_LEFT_OUT] = { "left-out", "left out: other endpoints go before it, by topology or weight" },
	[OUT_EJECTED] = { "ejected", "ejected" },
	[OUT_ON_TRIAL] = { "on-trial", "ejected; one dial tries it at this moment" },
	[OUT_OTHER_FAMILY] = { "other-family", "of the other address family" },
};

const struct explain_row *explain_pass_row(enum explain_pass pass)
{
	return &passes[pass < PASS_COUNT ? pass : PASS_NO];
}

const struct explain_row *explain_out_row(enum explain_out out)
{
	return &outs[out < OUT_COUNT ? out : OUT_NO];
}

/* ---- colours ---- */

#define NEXT_ON "\033[1;32m"
#define OUT_ON	"\033[33m"
#define OFF	"\033[0m"

static bool has_colours(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

static const char *colour(const char *on)
{
	return has_colours() ? on : "";
}

/* Texts of the table come from whoever may write Services: no byte of them is a terminal's to obey. */
static void print_clean(const char *text)
{
	for (; *text; text++)
		putchar(*text >= ' ' && *text <= '~' ? *text : '?');
}

static void print_name(const struct snapshot_service *s)
{
	print_clean(s->name);
	if (s->namespace[0])
		putchar('.');
	print_clean(s->namespace);
}

/* ---- the Service ---- */

static void print_age(uint64_t ms)
{
	if (ms < 10000)
		printf("%llu ms", (unsigned long long)ms);
	else if (ms < 600000)
		printf("%llu s", (unsigned long long)ms / 1000);
	else
		printf("%llu min", (unsigned long long)ms / 60000);
}

static void print_data(const struct explanation *e)
{
	const struct snapshot *s = e->snapshot;

	printf("  table      generation %llu, %s", (unsigned long long)s->generation,
	       s->is_static ? "static, published " : s->alive ? "agent alive, heard " : "agent silent for ");
	print_age(s->age_ms);
	printf("%s, from ", s->is_static || s->alive ? " ago" : "");
	print_clean(s->source);
	if (e->is_stale)
		printf("; too old: no longer believed");
	putchar('\n');
	if (s->ledger_error)
		printf("  ledger     cannot be read (%s): the counts are not known\n", strerror(-s->ledger_error));
}

/* Where it comes from; of the dialer's own environment, whose that is. */
static void print_policy(const struct explanation *e)
{
	char text[POLICY_TEXT];

	puts("  policy");
	for (size_t i = 0; i < policy_key_count; i++) {
		enum policy_origin origin = policy_origin_of(&e->policy, &policy_keys[i]);

		printf("    %-22s %-14s %s", policy_keys[i].name, policy_print(&e->policy, &policy_keys[i], text),
		       policy_origin_name(origin));
		if (origin == ORIGIN_ENVIRONMENT && e->dialer.pid)
			printf(" of process %d", e->dialer.pid);
		putchar('\n');
	}
}

static void print_service(const struct explanation *e)
{
	const struct snapshot_service *s = e->service;
	char text[ADDR_TEXT];

	printf("service    ");
	print_name(s);
	for (size_t i = 0; i < s->address_count; i++)
		printf(" %s", addr_print_ip(&s->addresses[i], text));
	if (e->is_headless || s->address_count == 0)
		printf(" headless");
	if (s->stand_down[0])
		printf(", stands down: %s", s->stand_down);
	putchar('\n');
	print_data(e);
	print_policy(e);
}

/* ---- a port ---- */

static void print_numbers(const struct explain_endpoint *e, bool is_next)
{
	const struct ledger_score *score = &e->seen->score;
	char text[ADDR_TEXT];

	printf("    %s%-28s %8u %8u %8u %7u%s", is_next ? colour(NEXT_ON) : e->out ? colour(OUT_ON) : "",
	       addr_print(&e->seen->addr, text), score->active, score->dials, score->failures, e->seen->weight,
	       is_next || e->out ? colour(OFF) : "");
}

static void print_candidate(const struct explain_endpoint *e, bool is_next)
{
	print_numbers(e, is_next);
	if (e->is_trial)
		printf("  on trial: its ejection is over");
	if (e->share != SHARE_WHOLE)
		printf("  new: %u%% of its weight", e->share * 100u / SHARE_WHOLE);
	if (e->seen->zone[0]) {
		printf("  zone ");
		print_clean(e->seen->zone);
	}
	printf("%s\n", is_next ? "  next" : "");
}

static void print_excluded(const struct explain_endpoint *e)
{
	print_numbers(e, false);
	printf("  %s", explain_out_row(e->out)->text);
	if (e->out == OUT_EJECTED && e->seen->score.ejected)
		printf(" for %u ms", e->seen->score.ejected_ms);
	if ((e->out == OUT_EJECTED || e->out == OUT_ON_TRIAL) && (e->refusals || e->timeouts))
		printf(", after %u refusal%s and %u timeout%s in a row", e->refusals, e->refusals == 1 ? "" : "s", e->timeouts,
		       e->timeouts == 1 ? "" : "s");
	putchar('\n');
}

static size_t count_in(const struct explain_family *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->endpoints[i].out == OUT_NO;
	return n;
}

static const char *how(const struct explain_family *f)
{
	if (f->is_pinned)
		return "pinned by sessionAffinity";
	if (f->affinity_s)
		return "sessionAffinity: nobody is pinned yet, so the one that hash says";
	return balance_policy(f->balance)->help;
}

/* An endpoint, or why it cannot be told. */
static void print_next(const struct explain_family *f)
{
	const char *name = f->affinity_s ? "pinned" : balance_policy(f->balance)->name;
	char text[ADDR_TEXT];

	printf("    next       ");
	if (f->sight == SIGHT_CHANCE)
		printf("by chance, any of the %zu candidates (%s: %s)\n", count_in(f), name, how(f));
	else if (f->sight == SIGHT_NO_LEDGER)
		printf("cannot be told: without a ledger each process chooses for itself (%s)\n", name);
	else if (f->sight == SIGHT_OTHER_HOST)
		printf("cannot be told: it follows from the host name of that process, which is not ours (%s)\n", name);
	else
		printf("%s%s%s (%s: %s)\n", colour(NEXT_ON), addr_print(&f->endpoints[f->next].seen->addr, text), colour(OFF), name,
		       how(f));
}

static void print_family(const struct explanation *e, const struct explain_port *port, const struct explain_family *f)
{
	bool certain = f->sight == SIGHT_CERTAIN && (f->pass == PASS_NO || f->pass == PASS_OBSERVED);
	size_t in = count_in(f);

	printf("  port %u/%s%s", port->seen->port, port->seen->protocol, port->seen->name[0] ? " " : "");
	print_clean(port->seen->name);
	printf(", %s\n", f->v4 ? "IPv4" : "IPv6");
	if (f->pass != PASS_NO) {
		printf("    a dial passes through: %s", explain_pass_row(f->pass)->text);
		if (f->pass == PASS_STANDS_DOWN)
			printf(": %s", e->service->stand_down);
		putchar('\n');
	}
	if (f->pass == PASS_NO || f->pass == PASS_OBSERVED)
		print_next(f);
	if (f->all_in)
		puts("    all in     more are ejected than may be out, so all are in");
	if (f->count)
		printf("    %-28s %8s %8s %8s %7s\n", "ENDPOINT", "ACTIVE", "DIALS", "FAILED", "WEIGHT");
	if (in)
		printf("   candidates\n");
	for (size_t i = 0; i < f->count; i++)
		if (f->endpoints[i].out == OUT_NO)
			print_candidate(&f->endpoints[i], certain && i == f->next);
	if (in < f->count)
		printf("   excluded\n");
	for (size_t i = 0; i < f->count; i++)
		if (f->endpoints[i].out != OUT_NO)
			print_excluded(&f->endpoints[i]);
}

void explain_print(const struct explanation *e)
{
	print_service(e);
	for (size_t i = 0; i < e->port_count; i++)
		for (size_t j = 0; j < e->ports[i].family_count; j++)
			print_family(e, &e->ports[i], &e->ports[i].families[j]);
}

/* ---- connections ---- */

static void print_now(const struct explain_connection *c, const struct explanation *e)
{
	const struct explain_family *f = e->port_count && e->ports[0].family_count ? &e->ports[0].families[0] : NULL;
	char text[ADDR_TEXT];

	(void)c;
	if (!f)
		return;
	if (f->pass != PASS_NO)
		printf("; now it would pass through: %s", explain_pass_row(f->pass)->text);
	else if (f->sight == SIGHT_CERTAIN)
		printf("; now it would be %s", addr_print(&f->endpoints[f->next].seen->addr, text));
	else
		printf("; who it would be now %s", f->sight == SIGHT_CHANCE ? "is by chance" : "cannot be told");
}

static void print_connection(const struct explain_connection *c, const struct explanation *e)
{
	char text[ADDR_TEXT];

	printf("  fd %-4d  %s  ", c->fd, addr_print(&c->peer, text));
	print_name(c->service);
	printf(" port %u", c->port->port);
	if (!c->endpoint)
		printf(": the Service's own address, not spread: %s", c->why);
	else if (c->why)
		printf(": an endpoint, dialed by a process that is not spread (%s)", c->why);
	else
		printf(": an endpoint");
	print_now(c, e);
	putchar('\n');
}

/* What is known of the choice: the policy of now, for nobody keeps the numbers of then. */
static void print_choice(const struct explain_connection *c, const struct explanation *e)
{
	const struct explain_family *f = e->port_count && e->ports[0].family_count ? &e->ports[0].families[0] : NULL;

	printf("  chosen at  unknown: neither the kernel nor the ledger keeps when a connection was made\n");
	if (c->why)
		printf("  chosen by  not by us: %s\n             %s\n", c->why_text, c->remedy ? c->remedy : "");
	else if (f)
		printf("  chosen by  %s, if the policy was then what it is now: %s; the numbers of then are kept by nobody\n",
		       f->affinity_s ? "sessionAffinity" : balance_policy(f->balance)->name, balance_policy(f->balance)->help);
	for (size_t i = 0; i < c->other_count; i++) {
		printf("%s", i ? ", " : "  or         it was dialed through another Service with the same endpoint: ");
		print_name(c->others[i]);
	}
	if (c->other_count)
		putchar('\n');
}

void explain_print_connections(const struct explain_connections *all, const struct explanation *told)
{
	printf("process    %d", all->pid);
	if (all->program[0])
		putchar(' ');
	print_clean(all->program);
	printf(", %zu open TCP connection%s, %zu to what the table knows\n", all->open, all->open == 1 ? "" : "s", all->count);
	for (size_t i = 0; i < all->count; i++)
		print_connection(&all->at[i], &told[all->at[i].told]);
}

void explain_print_connection(const struct explain_connections *all, const struct explanation *e)
{
	explain_print_connections(all, e);
	print_choice(&all->at[0], e);
	explain_print(e);
}
