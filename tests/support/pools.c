/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pools.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>

#include "support/agents.h"
#include "support/backends.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

enum { LIMIT_MS = 60000, STABLE_ROUNDS = 4, ESTABLISHED = 1 };

/* ---- the list ---- */

static const char *endpoint_of(const struct pool *p, size_t i)
{
	return format("%s:%d", p->places[i].address, p->places[i].port);
}

static const char *entry_of(const struct pool *p, size_t i, bool is_in)
{
	return format("{ \"address\": \"%s\", \"port\": %d%s }", p->places[i].address, p->places[i].port,
		      is_in ? "" : ", \"ready\": false, \"terminating\": true");
}

/* `count` of the places, from `from` on; at once, so that nobody reads half a list. */
static void write_list(struct pool *p, size_t from, size_t count)
{
	char *endpoints = format("%s", ""), *new = format("%s.new", p->s->file), *text;

	for (size_t i = 0; i < POOL_SERVERS; i++) {
		bool is_in = i >= from && i < from + count;

		if (is_in || p->terminating)
			endpoints = format("%s%s%s", endpoints, *endpoints ? ", " : "", entry_of(p, i, is_in));
	}
	text = format("{ \"services\": [ { \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\"], "
		      "\"ports\": [ { \"port\": %d } ], \"balance\": \"least_conn\", \"drain\": \"idle\", %s, "
		      "\"endpoints\": [ %s ] } ] }\n",
		      p->port, p->pace ? p->pace : "\"rebalance\": \"4s\", \"quiet\": \"100ms\"", endpoints);
	write_file(new, text, strlen(text));
	if (rename(new, p->s->file))
		fail_msg("cannot rename %s: %s", new, strerror(errno));
}

void pool_open(struct pool *p)
{
	const char *says = endpoint_of(p, 0);

	for (size_t i = 1; i < (p->terminating ? POOL_SERVERS : 3); i++)
		says = format("%s %s%s", says, endpoint_of(p, i), i < 3 ? "" : "!");
	p->s = services_open();
	write_list(p, 0, 3);
	p->agent = agent_start_alone(p->s->dir, ARGV("--services", p->s->file));
	agent_wait(p->agent, format(SERVICE_ADDRESS ":%d", p->port), says);
}

unsigned pool_moved(struct pool *p, const char *reason)
{
	json_t *service = json_array_get(json_object_get(services_status(p->s), "services"), 0);
	json_t *port = json_array_get(json_object_get(service, "ports"), 0);
	json_t *count = json_object_get(json_object_get(json_object_get(port, "moves"), "moved"), reason);

	if (!json_is_integer(count))
		fail_msg("status counts no \"%s\"", reason);
	return (unsigned)json_integer_value(count);
}

/* ---- connections ---- */

static void count_one(const struct place *places, unsigned long address, unsigned long port, unsigned *open)
{
	struct in_addr wanted;

	for (size_t i = 0; i < POOL_SERVERS; i++) {
		inet_pton(AF_INET, places[i].address, &wanted);
		open[i] += address == wanted.s_addr && port == (unsigned long)places[i].port;
	}
}

static void count_once(const void *places, unsigned *open)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	unsigned long address, state, port;
	char line[256];

	if (!f)
		fail_msg("no /proc/net/tcp");
	memset(open, 0, POOL_SERVERS * sizeof(*open));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*[^:]: %lx:%lx %*[^ ] %lx", &address, &port, &state) == 3 && state == ESTABLISHED)
			count_one(places, address, port, open);
	fclose(f);
}

/* The kernel's list may miss one, or have it twice, where others come and go between two pages of it: what is told twice is so. */
void pool_count_by_kernel(const void *places, unsigned *open)
{
	unsigned before[POOL_SERVERS];

	count_once(places, open);
	do {
		memcpy(before, open, sizeof(before));
		count_once(places, open);
	} while (memcmp(before, open, sizeof(before)));
}

/* ---- the load ---- */

static bool is_among(const char *line, size_t from, size_t count)
{
	unsigned id;

	return sscanf(line, "backend-%u", &id) == 1 && id > from && id <= from + count;
}

static void count_line(struct pool *p, const char *line)
{
	if (!strncmp(line, "backend-", 8)) {
		p->answers++;
		return;
	}
	p->failed++;
	p->failures = format("%s%s\n", p->failures ? p->failures : "", line);
}

static const char *shown(struct pool *p)
{
	char *text = format("%s:", p->title);
	unsigned open[POOL_SERVERS];

	p->count(p->what, open);
	for (size_t i = 0; i < POOL_SERVERS; i++)
		text = format("%s %u", text, open[i]);
	return format("%s open; %u answers, %u failed", text, p->answers, p->failed);
}

/* Who is in has its share; who is not has none. */
static bool is_even(struct pool *p, size_t from, size_t count)
{
	unsigned least = POOL_CONNECTIONS, most = 0, all = 0, in = 0, open[POOL_SERVERS];

	p->count(p->what, open);
	for (size_t i = 0; i < POOL_SERVERS; i++) {
		all += open[i];
		if (i < from || i >= from + count)
			continue;
		in += open[i];
		least = open[i] < least ? open[i] : least;
		most = open[i] > most ? open[i] : most;
	}
	return all == POOL_CONNECTIONS && in == all && most - least <= p->slack;
}

/* A request of every connection; whether they were answered by who is in alone. */
static bool take_round(struct pool *p, size_t from, size_t count)
{
	bool among = true;

	for (size_t i = 0; i < POOL_CONNECTIONS; i++) {
		const char *line = process_line(p->client, LIMIT_MS);

		if (!line)
			fail_msg("the client has ended: %s\n%s", shown(p), p->client->err_text);
		count_line(p, line);
		among &= is_among(line, from, count);
	}
	return among;
}

/* Until it has been even for some rounds. */
static void wait_even(struct pool *p, size_t from, size_t count)
{
	long end = now_ms() + LIMIT_MS;

	for (unsigned even_for = 0; even_for < STABLE_ROUNDS;) {
		even_for = take_round(p, from, count) && is_even(p, from, count) ? even_for + 1 : 0;
		if (now_ms() > end)
			fail_msg("not even over %zu from %zu on: %s\n%s%s", count, from + 1, shown(p), p->failures ? p->failures : "",
				 p->client->err_text);
	}
	printf("%s\n", shown(p));
}

static void end_load(struct pool *p)
{
	const char *line;

	process_close_input(p->client);
	while ((line = process_line(p->client, LIMIT_MS)))
		count_line(p, line);
	process_wait(p->client, LIMIT_MS);
	printf("%s%s", p->failures ? p->failures : "", p->client->err_text);
	assert_int_equal(p->client->exit_status, 0);
}

void pool_follow(struct pool *p)
{
	wait_even(p, 0, 3);
	write_list(p, 0, POOL_SERVERS);
	wait_even(p, 0, POOL_SERVERS);
	write_list(p, 2, 2);
	wait_even(p, 2, 2);
	end_load(p);
}

/* ---- who has the modules ---- */

const char *python_with(const char *modules)
{
	const char *const pythons[] = { "python3", "/usr/bin/python3" };

	for (size_t i = 0; i < 2; i++) {
		/* The interpreter itself: what PATH has may be a script that looks for it. */
		struct process *p = run_shell(NULL, "%s -c 'import %s, sys; print(sys.executable)'", pythons[i], modules);

		if (p->exit_status == 0)
			return process_line(p, 0);
	}
	skip_because("no python3 here has %s: make deps", modules);
	return NULL;
}
