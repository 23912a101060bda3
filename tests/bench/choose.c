/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose SERVICES [cold | ours COUNT | declined COUNT]: what the shim itself computes for a dial, without the kernel's part:
 * its own objects, all but the hooks, called as the hook calls them. Dials the first SERVICES Services of the table in an
 * order that caches cannot guess; by turns as worker.c does, or COUNT times for callgrind to count `one_dial` or
 * `one_decline`. `cold`: the two nearer caches are full of other things before each dial.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/dial.h"

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
		else if (!one_decline((struct sockaddr *)&other))
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
