/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose SERVICES [cold | ours COUNT | declined COUNT | names COUNT]: what the shim itself computes for a dial, without the
 * kernel's part: its own objects, all but the hooks, called as the hook calls them. Dials the first SERVICES Services of the table
 * in an order that caches cannot guess; by turns as worker.c does, or COUNT times for callgrind to count `one_dial`, `one_decline`
 * or `one_name`: the way of a name, but that the two files which are read for it are here the same everywhere. `cold`: the two
 * nearer caches are full of other things before each dial.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/dial.h"
#include "shim/names.h"

enum { DIALS = 2000, COLD_DIALS = 20 };

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The address of a Service, as tables.c writes it. */
static struct sockaddr_in service(unsigned i)
{
	uint32_t ip = 127u << 24 | 80u << 16 | (i / 250) << 8 | (i % 250 + 1);

	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(ip) };
}

__attribute__((noinline)) static bool one_dial(const struct sockaddr *sa)
{
	struct dial_choice choice;
	struct dial dial;

	if (!dial_is_service(-1, sa, sizeof(struct sockaddr_in)) ||
	    dial_prepare(&dial, sa, sizeof(struct sockaddr_in)) != DIAL_OURS || !dial_choose(&dial, &choice))
		return false;
	dial_landed(&dial, &choice, true);
	return true;
}

__attribute__((noinline)) static bool one_decline(const struct sockaddr *sa)
{
	return !dial_is_service(-1, sa, sizeof(struct sockaddr_in));
}

/* ---- a name, as a pod looks it up ---- */

static const char resolv_conf[] = "search bench.svc.cluster.local svc.cluster.local cluster.local\n"
				  "nameserver 10.96.0.10\noptions ndots:5\n";
static const char hosts[] = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
			    "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n10.244.1.7\tweb-0\n";

struct hosts_search {
	struct slice host;
	bool found;
};

static void take_hosts_line(void *to, struct slice line)
{
	struct hosts_search *search = to;

	search->found = search->found || hosts_line_names(line, search->host);
}

static void read_text(const char *text, size_t n, void (*take)(void *to, struct slice line), void *to)
{
	static struct line_reader reader;

	reader.len = 0;
	reader.cut = false;
	reader.take = take;
	reader.to = to;
	lines_feed(&reader, text, n);
	lines_end(&reader);
}

__attribute__((noinline)) static bool one_name(const struct table *table, const char *name)
{
	static struct resolv resolv;
	static char canonical[NAMES_MAX];
	struct hosts_search search = { .host = { name, strlen(name) } };
	struct table_view view;
	int row;

	resolv_init(&resolv);
	read_text(resolv_conf, sizeof(resolv_conf) - 1, resolv_take_line, &resolv);
	resolv_done(&resolv);
	if (!table_begin(table, &view))
		return false;
	row = names_find(&view, &resolv, search.host, canonical);
	if (!table_end(&view) || row < 0)
		return false;
	read_text(hosts, sizeof(hosts) - 1, take_hosts_line, &search);
	return !search.found;
}

static bool look_up_next(void)
{
	const struct attachment *attachment = attach_get(ATTACH_LOOKUP);

	return attach_is(attachment) && one_name(&attachment->table, "s0");
}

static void dial_next(unsigned services)
{
	static unsigned at;
	struct sockaddr_in sa = service(at);

	at = (at + 6151) % services;
	if (!one_dial((struct sockaddr *)&sa)) {
		fprintf(stderr, "choose: that dial is not ours\n");
		exit(1);
	}
}

static double turn(unsigned services)
{
	double begin = now_ns();

	for (int i = 0; i < DIALS; i++)
		dial_next(services);
	return (now_ns() - begin) / DIALS;
}

/* More than any processor has in its second cache. */
static void fill_caches(void)
{
	static volatile char others[8u << 20];

	for (size_t i = 0; i < sizeof(others); i += 64)
		others[i]++;
}

static double cold_turn(unsigned services)
{
	double sum = 0;

	for (int i = 0; i < COLD_DIALS; i++) {
		double begin;

		fill_caches();
		begin = now_ns();
		dial_next(services);
		sum += now_ns() - begin;
	}
	return sum / COLD_DIALS;
}

static int count(unsigned services, const char *what, int times)
{
	struct sockaddr_in other = service(1);

	other.sin_port = htons(9);
	for (int i = 0; i < times; i++) {
		if (strcmp(what, "ours") == 0)
			dial_next(services);
		else if (strcmp(what, "names") == 0 ? !look_up_next() : !one_decline((struct sockaddr *)&other))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned services = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
	char byte;

	if (services == 0)
		return 2;
	if (argc == 4)
		return count(services, argv[2], atoi(argv[3]));
	while (read(0, &byte, 1) == 1) {
		double value = argc == 3 ? cold_turn(services) : turn(services);

		if (write(1, &value, sizeof(value)) != sizeof(value))
			return 1;
	}
	return 0;
}
