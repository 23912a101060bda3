/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/coverage.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/print_json.h"
#include "inspect/coverage.h"
#include "view/paint.h"
#include "view/snapshot.h"

#define NAMES_TEXT   72 /* of the programs that share a reason; more are counted */
#define NUMBERED_MAX 8  /* so many are told with their numbers */

/* All that is asked and answered. */
struct inquiry {
	const struct snapshot *snapshot;
	struct why_service *services;
	struct coverage_question question;
	struct coverage answer;
	char shim[PATH_MAX];
};

/* ---- the question ---- */

static bool has_usable(const struct snapshot_service *s)
{
	for (size_t i = 0; i < s->port_count; i++)
		for (size_t j = 0; j < s->ports[i].endpoint_count; j++)
			if (s->ports[i].endpoints[j].usable)
				return true;
	return false;
}

static uint8_t mode_of(const struct snapshot_service *s)
{
	if (strcmp(s->mode, "on") == 0)
		return MODE_ON;
	return strcmp(s->mode, "observe") == 0 ? MODE_OBSERVE : MODE_OFF;
}

static struct why_service service_facts(const struct snapshot *snapshot, const struct snapshot_service *s)
{
	return (struct why_service){
		.name = s->name,
		.namespace = s->namespace,
		.mode = mode_of(s),
		.stands_down = s->stand_down[0],
		.is_stale = !snapshot->is_static && s->has_own_address && snapshot->age_ms > snapshot->stale_after_ms,
		.has_endpoint = has_usable(s),
	};
}

static void add_target(struct coverage_question *q, const struct addr *addr, uint16_t port, bool is_endpoint, size_t service)
{
	struct coverage_target *target = &q->targets[q->target_count++];

	*target = (struct coverage_target){ *addr, is_endpoint, service };
	if (!is_endpoint)
		addr_set_port(&target->addr, port);
}

/* Of a Service without an address of its own nothing can go another way: its connections say nothing. */
static bool counts(const struct snapshot_service *s, const struct snapshot_port *p)
{
	return s->address_count && strcmp(p->protocol, "TCP") == 0;
}

static void add_port(struct inquiry *r, size_t service, const struct snapshot_port *p)
{
	const struct snapshot_service *s = &r->snapshot->services[service];

	for (size_t i = 0; i < s->address_count; i++)
		add_target(&r->question, &s->addresses[i], p->port, false, service);
	for (size_t i = 0; i < p->endpoint_count; i++)
		add_target(&r->question, &p->endpoints[i].addr, 0, true, service);
}

static size_t room_of(const struct snapshot *snapshot)
{
	size_t room = 1;

	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++)
			room += snapshot->services[i].address_count + snapshot->services[i].ports[j].endpoint_count;
	return room;
}

static int ask_about_services(struct inquiry *r)
{
	const struct snapshot *snapshot = r->snapshot;

	r->services = calloc(snapshot->service_count + 1, sizeof(*r->services));
	r->question.targets = calloc(room_of(snapshot), sizeof(*r->question.targets));
	if (!r->services || !r->question.targets)
		return -ENOMEM;
	r->question.services = r->services;
	r->question.service_count = snapshot->service_count;
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct snapshot_service *s = &snapshot->services[i];

		r->services[i] = service_facts(snapshot, s);
		for (size_t j = 0; j < s->port_count; j++)
			if (counts(s, &s->ports[j]))
				add_port(r, i, &s->ports[j]);
	}
	return 0;
}

static void ask_about_files(struct inquiry *r, const char *dir)
{
	struct processes_context *context = &r->question.context;
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/table", dir) < (int)sizeof(path) && stat(path, &st) == 0)
		context->table = (struct file_id){ st.st_dev, st.st_ino };
	if (cli_shim_path(r->shim) == 0)
		context->shim_path = r->shim;
}

/* ---- what both forms print ---- */

static const struct snapshot_service *service_of(const struct inquiry *r, const struct coverage_through *t)
{
	return &r->snapshot->services[t->target->service];
}

/* What is particular to this one; "": nothing. */
static const char *detail_of(const struct inquiry *r, const struct coverage_through *t)
{
	switch (t->why) {
	case WHY_STANDS_DOWN:
		return service_of(r, t)->stand_down;
	case WHY_OTHER_MACHINE:
		return elf_machine_name(&t->process->kind);
	default:
		return "";
	}
}

/* Agents, and other tools of ours: they dial the API, not what they spread. */
static bool is_ours(const struct process_seen *p)
{
	return strcmp(p->name, "fairdial") == 0;
}

static bool has_connections(const struct process_seen *p)
{
	return p->direct + p->through;
}

/* Whether it is one of those that are told: with connections to known Services, or without. */
static bool is_among(const struct process_seen *p, bool connected)
{
	return !p->is_elsewhere && !is_ours(p) && has_connections(p) == connected;
}

/* How many of them there are for a reason; WHY_COUNT: for any. */
static size_t count_processes(const struct processes *all, bool connected, enum why why)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += is_among(&all->at[i], connected) && (why == WHY_COUNT || why_process(&all->at[i]) == why);
	return n;
}

/* Whether a connection, or a process that has one, has this reason. */
static bool is_told(const struct coverage *c, enum why why)
{
	for (size_t i = 0; i < c->through_count; i++)
		if (c->through[i].why == why)
			return true;
	return count_processes(&c->processes, true, why) > 0;
}

/* ---- JSON ---- */

static json_t *through_json(const struct inquiry *r, const struct coverage_through *t)
{
	const struct snapshot_service *s = service_of(r, t);
	const char *detail = detail_of(r, t);
	char text[ADDR_TEXT];

	return json_pack("{s:s, s:s, s:s, s:i, s:o, s:s?, s:I, s:s, s:b, s:s?}", "service", s->name, "namespace", s->namespace,
			 "address", addr_print_ip(&t->target->addr, text), "port", addr_port(&t->target->addr), "pid",
			 t->process ? json_integer(t->process->pid) : json_null(), "program",
			 t->process ? t->process->name : NULL, "open", (json_int_t)t->open, "reason", why_row(t->why)->name,
			 "would_be_spread", why_is_mode(t->why), "detail", detail[0] ? detail : NULL);
}

static json_t *process_json(const struct process_seen *p)
{
	enum why why = why_process(p);

	return json_pack("{s:i, s:I, s:s, s:s?, s:b, s:s, s:I, s:I}", "pid", p->pid, "uid", (json_int_t)p->uid, "program",
			 p->name, "exe", p->exe[0] ? p->exe : NULL, "covered", why == WHY_COVERED, "reason", why_row(why)->name,
			 "direct", (json_int_t)p->direct, "through", (json_int_t)p->through);
}

/* Those with connections first; all others behind them. */
static json_t *processes_json(const struct processes *all)
{
	json_t *rows = json_array();

	for (int connected = 1; connected >= 0; connected--)
		for (size_t i = 0; i < all->count; i++)
			if (is_among(&all->at[i], connected))
				json_array_append_new(rows, process_json(&all->at[i]));
	return rows;
}

/* Those that are named above, with what they mean. */
static json_t *reasons_json(const struct coverage *c)
{
	json_t *reasons = json_object();

	for (enum why why = 0; why < WHY_COUNT; why++)
		if (is_told(c, why) || count_processes(&c->processes, false, why))
			json_object_set_new(reasons, why_row(why)->name,
					    json_pack("{s:s, s:s?}", "text", why_row(why)->text, "remedy",
						      why_row(why)->remedy));
	return reasons;
}

static int print_coverage_json(const struct inquiry *r)
{
	const struct coverage *c = &r->answer;
	json_int_t open = (json_int_t)(c->direct + c->through_open);
	json_t *through = json_array();

	for (size_t i = 0; i < c->through_count; i++)
		json_array_append_new(through, through_json(r, &c->through[i]));
	return print_json(json_pack("{s:{s:I, s:I, s:I, s:I}, s:o, s:o, s:o}", "connections", "open", open, "direct",
				    (json_int_t)c->direct, "through", (json_int_t)c->through_open, "would_be_spread",
				    (json_int_t)c->would_be, "through", through, "processes", processes_json(&c->processes),
				    "reasons", reasons_json(c)));
}

/* ---- text ---- */

static void print_through(const struct inquiry *r, const struct coverage_through *t)
{
	const struct snapshot_service *s = service_of(r, t);
	char name[2 * TABLE_NAME_SIZE], address[ADDR_TEXT], pid[16] = "-";
	const char *detail = detail_of(r, t);

	snprintf(name, sizeof(name), "%s%s%s", s->name, s->namespace[0] ? "." : "", s->namespace);
	if (t->process)
		snprintf(pid, sizeof(pid), "%d", t->process->pid);
	text_sanitise(name);
	printf("%-24s %-24s %6zu %8s  %-16s %s%s%s", name, addr_print(&t->target->addr, address), t->open, pid,
	       t->process ? t->process->name : "-", paint(why_is_mode(t->why) ? PAINT_LEAVE : PAINT_BAD), why_row(t->why)->name,
	       detail[0] ? ": " : "");
	print_plain(detail);
	printf("%s\n", paint_off());
}

static void print_connections(const struct inquiry *r)
{
	const struct coverage *c = &r->answer;
	size_t open = c->direct + c->through_open;

	if (open == 0) {
		puts("connections  none is open to a known Service");
		return;
	}
	printf("connections  %zu of %zu to known Services go straight to an endpoint, %zu through a Service's own address",
	       c->direct, open, c->through_open);
	if (c->would_be)
		printf(";\n             %zu of these would be spread, were the mode on", c->would_be);
	putchar('\n');
	if (c->through_count)
		printf("\n%s%-24s %-24s %6s %8s  %-16s %s%s\n", paint(PAINT_HEAD), "SERVICE", "ADDRESS", "OPEN", "PID", "PROGRAM",
		       "WHY", paint_off());
	for (size_t i = 0; i < c->through_count; i++)
		print_through(r, &c->through[i]);
}

/* Whether a list separated by ", " has it. */
static bool has_name(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = names; (at = strstr(at, name)); at += len)
		if ((at == names || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

/* "sh, sleep and 3 more"; each name once, or, where they are few, each process with its number: "sh 12, sleep 13". */
static void print_names(const struct processes *all, enum why why, bool numbered)
{
	char names[NAMES_TEXT] = "", name[96];
	size_t more = 0;

	for (size_t i = 0; i < all->count; i++) {
		const struct process_seen *p = &all->at[i];
		size_t len = strlen(names);

		if (!is_among(p, true) || why_process(p) != why || !p->name[0])
			continue;
		snprintf(name, sizeof(name), numbered ? "%s %d" : "%s", p->name, p->pid);
		if (has_name(names, name))
			continue;
		if (len + 2 + strlen(name) < sizeof(names))
			strcat(strcat(names, len ? ", " : ""), name);
		else
			more++;
	}
	printf("%s", names);
	if (more)
		printf(" and %zu more", more);
	putchar('\n');
}

static void print_connected(const struct processes *all)
{
	size_t covered = count_processes(all, true, WHY_COVERED), n = count_processes(all, true, WHY_COUNT);

	if (n == 0)
		return;
	printf("\nprocesses  %zu of %zu that have connections to known Services %s covered\n", covered, n,
	       n == 1 ? "is" : "are");
	for (enum why why = 0; why < WHY_COUNT; why++) {
		n = count_processes(all, true, why);
		if (n == 0)
			continue;
		printf("  %-22s %8zu  ", why_row(why)->name, n);
		print_names(all, why, n <= NUMBERED_MAX);
	}
}

/* Most are shells and helpers, of which nobody wants a Service to be spread. */
static void print_others(const struct processes *all)
{
	size_t n = count_processes(all, false, WHY_COUNT), told = 0;

	if (n == 0)
		return;
	printf("\nothers     %zu without such connections (--json names them): ", n);
	for (enum why why = 0; why < WHY_COUNT; why++)
		if (count_processes(all, false, why))
			printf("%s%s %zu", told++ ? ", " : "", why_row(why)->name, count_processes(all, false, why));
	putchar('\n');
}

/* What the reasons mean, each once. */
static void print_reasons(const struct coverage *c)
{
	for (enum why why = WHY_COVERED + 1; why < WHY_COUNT; why++) {
		const struct why_row *row = why_row(why);

		if (is_told(c, why))
			printf("\n%s%s%s: %s\n  %s\n", paint(PAINT_HEAD), row->name, paint_off(), row->text, row->remedy);
	}
}

/* ---- the whole ---- */

int coverage_report(const char *dir, const struct snapshot *snapshot, bool as_json)
{
	struct inquiry *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return -ENOMEM;
	r->snapshot = snapshot;
	ask_about_files(r, dir);
	result = ask_about_services(r);
	if (result == 0)
		result = coverage_take(&r->question, &r->answer);
	if (result == 0 && as_json) {
		result = print_coverage_json(r);
	} else if (result == 0) {
		print_connections(r);
		print_connected(&r->answer.processes);
		print_others(&r->answer.processes);
		print_reasons(&r->answer);
	}
	coverage_free(&r->answer);
	free(r->question.targets);
	free(r->services);
	free(r);
	return result;
}
