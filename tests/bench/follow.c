/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow: what it costs the agent to follow an API server, printed as the other measurements are: its private memory, the time from
 * an event to the table, and its processor time. The server is the stand-in of the tests, so the time of an event counts from
 * before that has written it. Nothing here fails for being slow.
 */
#include "support/testing.h"

#include <dirent.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "table/atomics.h"
#include "table/map.h"

enum { EVENTS = 1000, CHANGES_A_SECOND = 10, SECONDS = 10, SLICE_OF = 10 };

/* ---- the objects ---- */

static void put_service(struct api_server *api, unsigned i)
{
	api_put_service(api, format("service-%u", i), format("10.%u.%u.%u", 96 + i / 62500, i / 250 % 250, i % 250 + 1), "http:80");
}

/* The slice as it is at its `turn`: one endpoint is another each time. */
static void put_slice(struct api_server *api, unsigned i, unsigned turn)
{
	char text[1024];
	size_t len = 0;

	for (unsigned k = 0; k < SLICE_OF; k++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s10.%u.%u.%u,n=node-%u,z=zone-%u,hz=zone-%u", k ? " " : "",
					128 + k, i / 250, i % 250 + 1 - (k == 0 ? turn % 2 : 0), i % 97, i % 3, i % 3);
	api_put_slice(api, format("service-%u-abcde", i), format("service-%u", i), "http:8080", text);
}

/* ---- the agent's own account ---- */

static double number_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	double value = NAN;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = atof(line + strlen(key));
	if (file)
		fclose(file);
	return value;
}

/* Seconds of processor time so far, in user and kernel. */
static double processor_seconds(pid_t pid)
{
	FILE *file = fopen(format("/proc/%d/schedstat", (int)pid), "re");
	unsigned long long ns = 0;

	if (file) {
		if (fscanf(file, "%llu", &ns) != 1)
			ns = 0;
		fclose(file);
	}
	return (double)ns / 1e9;
}

static void row(const char *what, double value, const char *unit, const char *target)
{
	printf("  %-66s %10.3f %-6s %s\n", what, value, unit, target);
	fflush(stdout);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void wait_for_generation(const struct table *table, uint64_t after)
{
	for (long begun = now_ms(); load_acquire(&table_head(table)->current) == after;)
		if (now_ms() - begun > 10000)
			fail_msg("the table does not change");
}

static void measure_events(struct api_server *api, const struct table *table, unsigned services, const char *size)
{
	static double ms[EVENTS];

	for (unsigned i = 0; i < EVENTS; i++) {
		uint64_t before = load_acquire(&table_head(table)->current), begun;

		begun = clock_read_ns(CLOCK_MONOTONIC);
		put_slice(api, i * 7 % services, i / services + 1);
		wait_for_generation(table, before);
		ms[i] = (double)(clock_read_ns(CLOCK_MONOTONIC) - begun) / 1e6;
		poll(NULL, 0, 1); /* they do not come one on the heels of the other */
	}
	qsort(ms, EVENTS, sizeof(*ms), by_value);
	row(format("an event, from the API to the table, %s: median", size), ms[EVENTS / 2], "ms", "at most 2");
	row(format("an event, from the API to the table, %s: 99 of 100", size), ms[EVENTS * 99 / 100], "ms", "at most 10");
}

static void measure_processor(struct api_server *api, pid_t pid, unsigned services, const char *size)
{
	double before = processor_seconds(pid);
	long begun = now_ms();

	for (unsigned i = 0; i < CHANGES_A_SECOND * SECONDS; i++) {
		long until = begun + (long)(i + 1) * 1000 / CHANGES_A_SECOND, now;

		put_slice(api, i * 13 % services, i % 2 + 100);
		now = now_ms();
		if (until > now)
			poll(NULL, 0, (int)(until - now));
	}
	row(format("processor time at %d changes a second, %s", CHANGES_A_SECOND, size),
	    (processor_seconds(pid) - before) * 100 / ((double)(now_ms() - begun) / 1000), "%", "below 1");
}

static void follow(unsigned services, const char *target_mib)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	const char *size = format("%u Services of %d", services, SLICE_OF), *status;
	struct api_server *api = api_start(NULL);
	struct agent_run *a;
	struct table table;
	long begun;

	for (unsigned i = 0; i < services; i++) {
		put_service(api, i);
		put_slice(api, i, 0);
	}
	put_service(api, services);
	begun = now_ms();
	a = agent_start(api, NULL, getenv("NOL") ? ARGV("--no-ledger") : NULL);
	agent_wait(a, format("10.%u.%u.%u:80", 96 + services / 62500, services / 250 % 250, services % 250 + 1), "");
	row(format("from start to the first whole table, %s", size), (double)(now_ms() - begun), "ms", "");
	status = format("/proc/%d/status", (int)a->process->pid);
	assert_int_equal(table_map(a->dir, &trust, &table, NULL), 0);
	measure_events(api, &table, services, size);
	measure_processor(api, a->process->pid, services, size);
	table_unmap(&table);
	row(format("private memory of the agent (RssAnon), %s", size), number_in(status, "RssAnon:") / 1024, "MiB", target_mib);
	row(format("all of its memory (VmRSS), %s", size), number_in(status, "VmRSS:") / 1024, "MiB", "");
	row(format("all of its memory at the most, since its start (VmHWM), %s", size), number_in(status, "VmHWM:") / 1024, "MiB", "");
	agent_end(a, SIGTERM);
}

static void a_thousand_services(void **state)
{
	(void)state;
	follow(1000, "at most 12");
}

static void ten_thousand_services(void **state)
{
	(void)state;
	follow(10000, "at most 120");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_services),
		TEST(ten_thousand_services),
	};

	return RUN_TESTS(tests);
}
