/* SPDX-License-Identifier: Apache-2.0 */
/* Dials: not ours, ours without the kernel, and whole. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void bench_declined(const struct bench *bench)
{
	enum { LIVES = 15, ROUNDS = 30, N = LIVES * ROUNDS };
	const char *const argv[] = { bench->worker, "udp", "127.0.0.1", "9", NULL };
	const struct side sides[] = {
		{ .argv = argv },
		{ bench->shim, bench->small, NULL, argv },
		{ bench->shim, bench->large, NULL, argv },
		{ bench->shim, bench->none, NULL, argv },
		{ .argv = argv },
	};
	static const char *const names[] = { NULL, "table of 5 endpoints", "table of 100,000 endpoints", "no table",
					     "the bare call again (noise)" };
	double *values = alternate(bench, sides, COUNT(sides), LIVES, ROUNDS);
	char against[64];

	section("a dial that is not ours: UDP connect() to an address that no Service has, added time (quickest tenths)");
	if (!values) {
		row_failed("UDP connect()", "a worker failed");
		return;
	}
	snprintf(against, sizeof(against), "the bare call, %.4g ns", quick_median(values, LIVES, ROUNDS));
	for (size_t i = 1; i < COUNT(sides); i++)
		row(names[i], against, quick_difference(values + i * N, values, LIVES, ROUNDS), "ns",
		    sides[i].preload ? 30 : NO_TARGET);
	free(values);
}

static const char *const policies[] = { "round_robin", "least_conn", "random", "p2c", "hash" };

static void choose_from(const struct bench *bench, const char *dir, const char *const *argv, const char *title,
			const double *targets)
{
	enum { LIVES = 6, ROUNDS = 40, N = LIVES * ROUNDS };
	struct side sides[COUNT(policies)];
	double *values;

	for (size_t i = 0; i < COUNT(policies); i++)
		sides[i] = (struct side){ NULL, dir, policies[i], argv };
	values = alternate(bench, sides, COUNT(policies), LIVES, ROUNDS);
	for (size_t i = 0; values && i < COUNT(policies); i++) {
		struct summary s = summarize(values + i * N, N);
		char what[64];

		snprintf(what, sizeof(what), "%s, %s", policies[i], title);
		row(what, "-", (struct summary){ s.median / 1000, s.low / 1000, s.high / 1000 }, "us", targets[i]);
	}
	if (!values)
		row_failed(title, "the program that chooses failed");
	free(values);
}

void bench_choose(const struct bench *bench)
{
	static const double few[] = { 0.5, 0.5, 0.5, 0.5, 0.5 }, one[] = { 1, 1, 1, 1, 1 };
	static const double many[] = { NO_TARGET, 3, NO_TARGET, 0.5, 0.5 };
	static const double none[] = { NO_TARGET, NO_TARGET, NO_TARGET, NO_TARGET, NO_TARGET };
	const char *const again[] = { bench->choose, "1", NULL }, *const each[] = { bench->choose, "10000", NULL };
	const char *const cold[] = { bench->choose, "1", "cold", NULL };

	section("our part of a dial that is ours: found, chosen, claimed and reported; processor time, no system call");
	choose_from(bench, bench->small, again, "5 endpoints", few);
	choose_from(bench, bench->large, again, "one of 10,000", one);
	/* Not what a program does, but the worst that can be made of it: nothing is in the caches. */
	choose_from(bench, bench->large, each, "each of 10,000 in turn", none);
	choose_from(bench, bench->wide, again, "1,000 endpoints", many);
	/* What a program that does something between its dials has; two readings of the clock are in it. */
	choose_from(bench, bench->wide, cold, "1,000, caches cold", none);
}

static void whole_dial(const struct bench *bench, const char *kind, const char *title)
{
	enum { LIVES = 6, ROUNDS = 20, N = LIVES * ROUNDS };
	const char *const direct[] = { bench->worker,	kind,		 "127.0.0.1",	  bench->ports[0],
				       bench->ports[1], bench->ports[2], bench->ports[3], bench->ports[4], NULL };
	const char *const ours[] = { bench->worker, kind, "127.80.0.1", "80", NULL };
	const struct side sides[] = {
		{ .argv = direct },
		{ bench->shim, bench->small, NULL, ours },
		{ bench->shim, bench->large, NULL, ours },
	};
	static const char *const tables[] = { NULL, "5 endpoints", "100,000 endpoints" };
	double *values = alternate(bench, sides, COUNT(sides), LIVES, ROUNDS);
	char what[64], against[64];

	if (!values) {
		row_failed(title, "a worker failed");
		return;
	}
	snprintf(against, sizeof(against), "dialed directly, %.4g us", median_of(values, N) / 1000);
	for (size_t i = 1; i < COUNT(sides); i++) {
		struct summary added = difference(values + i * N, values, N);

		snprintf(what, sizeof(what), "%s, %s, ratio", title, tables[i]);
		row(what, against, ratio(values + i * N, values, N), "x", NO_TARGET);
		snprintf(what, sizeof(what), "%s, %s, added", title, tables[i]);
		added = (struct summary){ added.median / 1000, added.low / 1000, added.high / 1000 };
		row(what, against, added, "us", NO_TARGET);
	}
	free(values);
}

void bench_dial(const struct bench *bench)
{
	section("a whole TCP dial that is ours: connect() to listeners on loopback, least_conn");
	whole_dial(bench, "tcp", "blocking");
	whole_dial(bench, "tcp-nonblock", "non-blocking");
}
