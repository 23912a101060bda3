/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soak: for TIME seconds (ten minutes; hours, if so told) an agent follows a stand-in of the API where something changes every
 * second, somebody scrapes its metrics and asks for its status as often, `fairdial top` watches, and programs dial, whose
 * connections move. What each of them takes of memory, and how long an answer takes, is printed twenty times; at the end, how
 * much memory grew, and how long answers took on average earlier and later. Nothing fails for being slow; it fails where a dial,
 * a scrape or a status does, where the list is not followed any more, or where, after a warm-up, memory grows: a line is laid
 * through its sizes (least squares), and may not rise by more than a bound from the warm-up to the end.
 */
#include "support/testing.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "chaos/sizes.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/herd.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

/* The first backend has the Service's address. */
enum { TIME_S = 600, REPORTS = 20, ENDPOINTS = 6, SERVICES = 20, DIALERS = 4, DIALS = 10, LIMIT_MS = 60000 };
/* Of the time, a third is for warming up. Growth that is none: a heap's edges. */
enum { WARM = 3, MOST_KIB = 512, MORE = 8 };
/* Of a Service: they come and go. Ever new ones would take memory: a writer remembers as many as a ledger has rows. */
enum { ADDRESSES = 8 };

/* Sums of a line through the points (time, size), and what it holds besides. */
struct growth {
	const char *name;
	pid_t pid;
	double n, t, k, tt, tk;
	long kib;
	struct held warm, now;
};

enum who { AGENT, TOP, DIALER, PEOPLE = DIALER + DIALERS };

/* Of answers, in milliseconds: the longest since the last report, and the sums of the thirds after the warm-up's. */
struct latency {
	const char *name;
	double worst, sum[WARM];
	unsigned long n[WARM];
};

enum what { SCRAPE, STATUS, DIAL, WHATS };

struct soak {
	struct backends *b;
	struct api_server *api;
	struct agent_run *agent;
	struct process *top, *dialers[DIALERS];
	struct growth growth[PEOPLE];
	const char *tool, *page;
	uint64_t random;
	struct latency latency[WHATS];
	unsigned third; /* of its time */
	char endpoints[512]; /* of `web`, as the table has to say by now */
	unsigned long dials, scrapes, changes, drawn;
};

static double ms_since(const struct timespec *begun)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begun->tv_sec) * 1e3 + (double)(now.tv_nsec - begun->tv_nsec) / 1e6;
}

static struct timespec begin(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now;
}

static void note(struct soak *k, enum what what, double ms)
{
	struct latency *latency = &k->latency[what];

	latency->worst = ms > latency->worst ? ms : latency->worst;
	latency->sum[k->third] += ms;
	latency->n[k->third]++;
}

/* ---- sizes ---- */

static void look_at(struct growth *g, double seconds, bool is_warm)
{
	g->kib = own_kib(g->pid);
	if (g->kib <= 0)
		fail_msg("%s has ended", g->name);
	g->now = held_by(g->pid);
	if (!is_warm)
		return;
	if (g->n < 1)
		g->warm = g->now;
	g->n += 1;
	g->t += seconds;
	g->k += (double)g->kib;
	g->tt += seconds * seconds;
	g->tk += seconds * (double)g->kib;
}

/* KiB for each second. */
static double slope_of(const struct growth *g)
{
	double spread = g->n * g->tt - g->t * g->t;

	return spread > 0 ? (g->n * g->tk - g->t * g->k) / spread : 0;
}

/* ---- what goes on, every second ---- */

static void change_api(struct soak *k)
{
	char text[512] = "";
	size_t length = 0, told = 0;
	unsigned which = 1 + (unsigned)(next_random(&k->random) >> 33) % ((1u << ENDPOINTS) - 1);
	unsigned other = (unsigned)(next_random(&k->random) >> 33) % SERVICES, turn = (unsigned)k->changes++;
	char name[32], service[32];

	for (unsigned i = 0; i < ENDPOINTS; i++)
		if (which >> i & 1)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", length ? " " : "",
						   backends_address(k->b, 1 + i));
	snprintf(name, sizeof(name), "http:%d", backends_port(k->b, 0));
	api_put_slice(k->api, "web-1", "web", name, text);
	for (unsigned i = 0; i < ENDPOINTS; i++)
		if (which >> i & 1)
			told += (size_t)snprintf(k->endpoints + told, sizeof(k->endpoints) - told, "%s%s:%d", told ? " " : "",
						 backends_address(k->b, 1 + i), backends_port(k->b, 0));
	snprintf(service, sizeof(service), "other-%u", other);
	snprintf(name, sizeof(name), "other-%u-1", other);
	snprintf(text, sizeof(text), "10.0.%u.%u 10.1.0.%u", other, turn % ADDRESSES + 1, other + 1);
	api_put_slice(k->api, name, service, "http:8080", text);
}

static void dial(struct soak *k)
{
	for (size_t i = 0; i < DIALERS; i++)
		for (size_t n = 0; n < DIALS; n++, k->dials++) {
			struct timespec begun = begin();
			struct process *p = k->dialers[i];
			const char *line;

			process_say(p, "\n");
			line = process_line(p, LIMIT_MS);
			if (!line || strncmp(line, "backend-", 8) != 0)
				fail_msg("dial %lu failed: %s", k->dials, line ? line : "the program has ended");
			note(k, DIAL, ms_since(&begun));
		}
}

static void scrape_metrics(struct soak *k)
{
	char text[64];
	const struct start start = { .argv = (const char *const[]){ "curl", "-sf", "-m", "50", "-o", "/dev/null", "-w",
								    "%{time_total}", k->page, NULL } };
	int status = run_quickly(&start, text, sizeof(text));

	if (status)
		fail_msg("scrape %lu: curl ends with %#x", k->scrapes, (unsigned)status);
	k->scrapes++;
	note(k, SCRAPE, atof(text) * 1000);
}

static void ask_status(struct soak *k)
{
	const struct start start = { .argv = (const char *const[]){ "sh", "-c", "exec \"$0\" status --json --dir \"$1\" >/dev/null",
								    k->tool, k->agent->dir, NULL } };
	struct timespec begun = begin();
	char text[256];
	int status = run_quickly(&start, text, sizeof(text));

	if (status)
		fail_msg("status ends with %#x: %s", (unsigned)status, text);
	note(k, STATUS, ms_since(&begun));
}

/* Nobody looks at what it draws, but it has to get rid of it. */
static void watch_top(struct soak *k)
{
	struct pollfd drawn = { .fd = k->top->out, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	while (poll(&drawn, 1, 0) > 0 && (drawn.revents & POLLIN) && (n = read(drawn.fd, buf, sizeof(buf))) > 0)
		k->drawn += (unsigned long)n;
}

/* Without what it keeps for the tests that ask: in hours that would be much. */
static void forget_requests(struct soak *k)
{
	api_forget(k->api);
}

static void one_second(struct soak *k)
{
	static void (*const parts[])(struct soak *) = { change_api, dial, scrape_metrics, watch_top, ask_status, forget_requests };
	struct timespec begun = begin();
	double ms;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		parts[i](k);
	ms = ms_since(&begun);
	poll(NULL, 0, ms < 1000 ? 1000 - (int)ms : 0);
}

/* ---- what is told ---- */

static void print_report(struct soak *k, double seconds)
{
	const struct latency *l = k->latency;

	printf("%6.0f s  KiB of agent %ld, top %ld, a program %ld; descriptors %ld, %ld, %ld; slowest scrape %.1f ms, status %.1f ms, "
	       "dial %.0f us; %lu dials\n",
	       seconds, k->growth[AGENT].kib, k->growth[TOP].kib, k->growth[DIALER].kib, k->growth[AGENT].now.files,
	       k->growth[TOP].now.files, k->growth[DIALER].now.files, l[SCRAPE].worst, l[STATUS].worst, l[DIAL].worst * 1000, k->dials);
	fflush(stdout);
	for (size_t i = 0; i < WHATS; i++)
		k->latency[i].worst = 0;
}

/* Times are told, and nobody fails for them: they are the machine's as well. */
static void print_latency(const struct latency *l)
{
	printf("%-14s took %.2f ms on average in the second third of the time, %.2f ms in the last\n", l->name,
	       l->n[1] ? l->sum[1] / (double)l->n[1] : 0, l->n[2] ? l->sum[2] / (double)l->n[2] : 0);
}

/* What it looks like is another test's; here, that something still happens. */
static void assert_all_goes_on(struct soak *k)
{
	agent_wait(k->agent, format("%s:%d", backends_address(k->b, 0), backends_port(k->b, 0)), k->endpoints);
	if (!k->drawn)
		fail_msg("top has drawn nothing since the last report");
	k->drawn = 0;
}

static void judge(const struct growth *g, double seconds)
{
	double kib = slope_of(g) * seconds;

	printf("%-14s grew by %.0f KiB in %.0f s (%.0f KiB an hour); %ld descriptors, %ld threads, %ld mappings\n", g->name, kib, seconds,
	       slope_of(g) * 3600, g->now.files, g->now.threads, g->now.maps);
	if (kib > MOST_KIB)
		fail_msg("%s grows: %.0f KiB after the warm-up, allowed are %d", g->name, kib, MOST_KIB);
	if (g->now.files > g->warm.files + MORE || g->now.threads > g->warm.threads + MORE || g->now.maps > g->warm.maps + MORE)
		fail_msg("%s had %ld descriptors, %ld threads, %ld mappings after the warm-up", g->name, g->warm.files, g->warm.threads,
			 g->warm.maps);
}

/* ---- the scene ---- */

static void put_objects(struct soak *k)
{
	api_put_service(k->api, "web", backends_address(k->b, 0), format("http:%d", backends_port(k->b, 0)));
	for (unsigned i = 0; i < SERVICES; i++)
		api_put_service(k->api, format("other-%u", i), format("10.96.1.%u", i + 1), "http:80");
	change_api(k);
}

static void add(struct soak *k, enum who who, const char *name, const struct process *p)
{
	k->growth[who].name = name;
	k->growth[who].pid = p->pid;
}

/* Every second program keeps its last connection, which may have to move: for that the shim has a thread. */
static const char *write_rules(void)
{
	static const char rules[] = "{ \"defaults\": { \"drain\": \"idle\", \"rebalance\": \"1s\", \"max_age\": \"3s\", " QUICK " } }\n";
	const char *path = format("%s/rules.json", scratch_dir());

	write_file(path, rules, strlen(rules));
	return path;
}

static void set_scene(struct soak *k)
{
	int port = unused_port();

	k->b = backends_start(1 + ENDPOINTS, ONE_PORT);
	k->api = api_start(NULL);
	put_objects(k);
	k->tool = built("fairdial");
	k->page = format("http://127.0.0.1:%d/metrics", port);
	k->agent = agent_start_as(&(struct agent_setup){ .api = k->api,
							 .log = format("%s/agent.log", scratch_dir()),
							 .more = ARGV("--services", write_rules(), "--listen",
								      format("127.0.0.1:%d", port)) });
	agent_wait_vouched(k->agent, true);
	add(k, AGENT, "the agent", k->agent->process);
	k->top = process_start(&(struct start){ .argv = ARGV(k->tool, "top", "--interval", "1s", "--dir", k->agent->dir),
						.env = ARGV("TERM=xterm"),
						.on_terminal = true });
	add(k, TOP, "top", k->top);
	for (size_t i = 0; i < DIALERS; i++) {
		k->dialers[i] = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--step",
									    i % 2 ? "--keep" : "--step", backends_address(k->b, 0),
									    format("%d", backends_port(k->b, 0))),
							       .env = k->agent->env,
							       .interactive = true });
		add(k, (enum who)(DIALER + i), i % 2 ? "one that keeps" : "a program", k->dialers[i]);
	}
}

static void nothing_grows_while_all_is_in_use(void **state)
{
	double seconds = herd_number("TIME", TIME_S), at = 0, reported = 0;
	struct soak k = { .random = herd_seed() | 1, .latency = { { .name = "a scrape" }, { .name = "status" }, { .name = "a dial" } } };
	struct timespec begun;

	(void)state;
	set_scene(&k);
	for (begun = begin(); at < seconds; at = ms_since(&begun) / 1000) {
		k.third = (unsigned)(at * WARM / seconds);
		one_second(&k);
		for (size_t i = 0; i < PEOPLE; i++)
			look_at(&k.growth[i], at, at * WARM >= seconds);
		if (at - reported < seconds / REPORTS)
			continue;
		print_report(&k, at);
		assert_all_goes_on(&k);
		reported = at;
	}
	for (size_t i = 0; i < WHATS; i++)
		print_latency(&k.latency[i]);
	for (size_t i = 0; i < PEOPLE; i++)
		judge(&k.growth[i], seconds - seconds / WARM);
	printf("flat is: in that time nobody grew by more than %d KiB, or held more than %d descriptors, threads or mappings more\n",
	       MOST_KIB, MORE);
	agent_end(k.agent, SIGTERM);
	assert_int_equal(k.agent->process->exit_status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_grows_while_all_is_in_use),
	};

	return RUN_TESTS(tests);
}
