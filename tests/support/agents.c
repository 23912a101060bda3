/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/agents.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/map.h"

enum { LIMIT_MS = 30000, MAX_ARGUMENTS = 32 };

/* The variables that would tell an agent where it is; each is taken out, or given by the test. */
static const char *const *environment_of(const char *const *more)
{
	static const char *env[MAX_ARGUMENTS];
	static const char *const usual[] = { "LD_PRELOAD", "KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_IP", "NODE_NAME", NULL };
	size_t n = 0;

	for (size_t i = 0; usual[i]; i++)
		env[n++] = usual[i];
	for (size_t i = 0; more && more[i]; i++) {
		assert_true(n + 1 < MAX_ARGUMENTS);
		env[n++] = more[i];
	}
	env[n] = NULL;
	return env;
}

struct arguments {
	const char *at[MAX_ARGUMENTS];
	size_t count;
};

static void add(struct arguments *a, const char *argument)
{
	assert_true(a->count + 1 < MAX_ARGUMENTS);
	a->at[a->count++] = argument;
}

static void add_all(struct arguments *a, const char *const *more)
{
	while (more && *more)
		add(a, *more++);
}

struct agent_run *agent_start_as(const struct agent_setup *setup)
{
	static const struct api_kubeconfig usual = { .namespace = "shop" };
	struct agent_run *a = calloc(1, sizeof(*a));
	struct arguments argv = { 0 };

	assert_non_null(a);
	after_test(free, a);
	a->dir = format("%s", setup->dir ? setup->dir : scratch_dir());
	if (setup->log)
		add_all(&argv, ARGV("sh", "-c", "exec \"$@\" 2>\"$0\"", setup->log));
	add_all(&argv, setup->before);
	add_all(&argv, ARGV(setup->program ? setup->program : built("fairdial"), "agent", "--backoff", "1ms", "--dir", a->dir));
	if (setup->api) {
		const char *room = scratch_dir();

		assert_int_equal(chmod(room, 0755), 0); /* the agent may be another user */
		a->kubeconfig = format("%s/kubeconfig", room);
		api_write_kubeconfig(setup->api, a->kubeconfig, setup->kubeconfig ? setup->kubeconfig : &usual);
		add_all(&argv, ARGV("--kubeconfig", a->kubeconfig));
	}
	add_all(&argv, setup->more);
	a->process = process_start(&(struct start){ .argv = argv.at, .env = environment_of(setup->env), .uid = setup->uid });
	a->env[0] = format("LD_PRELOAD=%s", built("libfairdial.so"));
	a->env[1] = format("FAIRDIAL_DIR=%s", a->dir);
	return a;
}

struct agent_run *agent_start(const struct api_server *api, const char *dir, const char *const *more)
{
	return agent_start_as(&(struct agent_setup){ .api = api, .dir = dir, .more = more });
}

struct agent_run *agent_start_alone(const char *dir, const char *const *more)
{
	return agent_start_as(&(struct agent_setup){ .dir = dir, .more = more });
}

void agent_end(struct agent_run *a, int signal)
{
	kill(a->process->pid, signal);
	process_wait(a->process, LIMIT_MS);
}

/* ---- the table ---- */

static const char *const reasons[STAND_DOWN_COUNT] = { "", "mesh: ", "other proxy: ", "API: ", "unsynced: " };

static int print_endpoints(FILE *out, const struct table_view *view, const struct table_port *port)
{
	for (uint32_t i = 0; i < port->v4_count + port->v6_count; i++) {
		struct table_endpoint endpoint;
		char buf[ADDR_TEXT];
		struct addr addr;

		if (table_endpoint(view, port->first_endpoint + i, &endpoint) < 0)
			return -1;
		addr = table_endpoint_addr(&endpoint);
		fprintf(out, "%s%s%s", i ? " " : "", addr_print(&addr, buf), endpoint.flags & ENDPOINT_USABLE ? "" : "!");
	}
	return 0;
}

static char *describe(const struct table_view *view, const struct addr *dest)
{
	int row = table_find_port(view, dest, PROTOCOL_TCP);
	struct table_port port;
	char *text = NULL, *kept;
	size_t size = 0;
	FILE *out;

	if (row < 0 || table_port(view, (uint32_t)row, &port) < 0)
		return format("none");
	out = open_memstream(&text, &size);
	assert_non_null(out);
	fputs(reasons[port.stand_down], out);
	if (print_endpoints(out, view, &port) < 0)
		fputs("damaged", out);
	fclose(out);
	kept = format("%s", text);
	free(text);
	return kept;
}

/* Whoever the directory belongs to. */
static bool open_table(const char *dir, struct table *table)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct stat st;

	if (stat(dir, &st) == 0)
		trust.euid = st.st_uid;
	return table_map(dir, &trust, table, NULL) == 0;
}

const char *table_says(const char *dir, const char *dest_text)
{
	struct table_view view;
	const char *text = NULL;
	struct table table;
	struct addr dest;

	assert_int_equal(addr_parse(dest_text, strlen(dest_text), &dest), 0);
	if (!open_table(dir, &table))
		return "no table";
	for (int i = 0; i < 1000 && !text; i++) {
		if (!table_begin(&table, &view))
			continue;
		text = describe(&view, &dest);
		if (!table_end(&view))
			text = NULL;
	}
	table_unmap(&table);
	return text ? text : "no table";
}

/* ---- waiting ---- */

/* The agent's output is read meanwhile, or a full pipe would stop it. */
static void pass_a_moment(struct agent_run *a)
{
	char buf[4096];
	struct pollfd p = { .fd = a->process->err, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 2) <= 0 || !(p.revents & POLLIN)) {
		if (p.revents)
			poll(NULL, 0, 2);
		return;
	}
	n = read(a->process->err, buf, sizeof(buf));
	if (n <= 0)
		return;
	a->process->err_text = realloc(a->process->err_text, a->process->err_length + (size_t)n + 1);
	assert_non_null(a->process->err_text);
	memcpy(a->process->err_text + a->process->err_length, buf, (size_t)n);
	a->process->err_length += (size_t)n;
	a->process->err_text[a->process->err_length] = '\0';
}

static const char *log_of(const struct agent_run *a)
{
	return a->process->err_text ? a->process->err_text : "";
}

void agent_wait(struct agent_run *a, const char *dest, const char *says)
{
	long begun = now_ms();
	const char *now;

	while (strcmp(now = table_says(a->dir, dest), says) != 0) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s is \"%s\", not \"%s\"; the agent's log:\n%s", dest, now, says, log_of(a));
		pass_a_moment(a);
	}
}

void agent_wait_vouched(struct agent_run *a, bool vouched)
{
	long begun = now_ms();
	struct table table;

	for (;;) {
		bool is_vouched = false;

		if (open_table(a->dir, &table)) {
			is_vouched = table_head(&table)->current && clock_boot_ms() - table_head(&table)->heartbeat_ms < 1500;
			table_unmap(&table);
		}
		if (is_vouched == vouched)
			return;
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the table is %svouched for; the agent's log:\n%s", is_vouched ? "" : "not ", log_of(a));
		pass_a_moment(a);
	}
}

void agent_wait_log(struct agent_run *a, const char *text)
{
	long begun = now_ms();

	while (!strstr(log_of(a), text)) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the agent's log does not say \"%s\":\n%s", text, log_of(a));
		pass_a_moment(a);
	}
}

void agent_wait_trouble(struct agent_run *a, const char *text)
{
	long begun = now_ms();
	struct table_note note;
	struct table table;

	for (;;) {
		note.text[0] = '\0';
		if (open_table(a->dir, &table)) {
			if (table_note(&table, &note) < 0)
				note.text[0] = '\0';
			table_unmap(&table);
			if (text[0] ? strstr(note.text, text) != NULL : note.text[0] == '\0')
				return;
		}
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the trouble is \"%s\", not \"%s\"; the agent's log:\n%s", note.text, text, log_of(a));
		pass_a_moment(a);
	}
}

unsigned agent_logged(struct agent_run *a, const char *text)
{
	unsigned n = 0;

	for (const char *at = log_of(a); (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}
