/* SPDX-License-Identifier: Apache-2.0 */
/* What a process pays for being preloaded: its start, its memory, and the object on disk. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

void bench_start(const struct bench *bench)
{
	enum { ROUNDS = 500, STARTS = 5 };
	static const char *const argv[] = { "/bin/true", NULL };
	const struct side sides[STARTS] = {
		{ bench->empty, NULL, NULL, argv },
		{ bench->shim, bench->none, NULL, argv },
		{ bench->shim, bench->small, NULL, argv },
		{ bench->shim, bench->large, NULL, argv },
		{ NULL, NULL, NULL, argv },
	};
	static const char *const names[STARTS] = { NULL, "no table", "table of 5 endpoints", "table of 100,000 endpoints",
						  "nothing preloaded" };
	static double took[STARTS][ROUNDS];
	char against[64];

	section("starting /bin/true with LD_PRELOAD=libfairdial.so, added time");
	for (int round = 0; round < ROUNDS; round++) {
		for (int k = 0; k < STARTS; k++) {
			int i = (k + round) % STARTS;
			double begin = now_ms();

			if (!ended_well(start(&sides[i], -1, -1, -1))) {
				row_failed("start", "/bin/true failed");
				return;
			}
			took[i][round] = now_ms() - begin;
		}
	}
	snprintf(against, sizeof(against), "an empty object, %.3g ms", median_of(took[0], ROUNDS));
	for (int i = 1; i < STARTS; i++)
		row(names[i], against, difference(took[i], took[0], ROUNDS), "ms", i < STARTS - 1 ? 0.15 : NO_TARGET);
}

/* Two processes of each kind live at once, so that what they share is not counted as private. */
enum { TWINS = 2, REPEATS = 25, SIDES = 3 };

struct weights {
	double first_us[SIDES][REPEATS], private[SIDES][REPEATS], anonymous[SIDES][REPEATS];
};

static bool weigh(const struct bench *bench, const struct side *side, double *ret_first_us, double *ret_private,
		  double *ret_anonymous)
{
	struct worker twins[TWINS];
	double first[TWINS];
	bool good = true;
	int n = 0;

	while (n < TWINS && worker_start(side, &twins[n]))
		n++;
	for (int i = 0; i < n; i++)
		good = good && worker_turn(&twins[i], &first[i]);
	good = good && n == TWINS && worker_turn(&twins[0], ret_private) && worker_turn(&twins[0], ret_anonymous);
	while (n > 0)
		worker_stop(&twins[--n]);
	listeners_drain(bench);
	*ret_first_us = good ? first[TWINS - 1] / 1000 : 0;
	return good;
}

static void print_size(const struct bench *bench)
{
	char path[BENCH_PATH + 32];
	struct stat st;

	snprintf(path, sizeof(path), "%s/bench/libfairdial-stripped.so", bench->build);
	if (stat(path, &st) < 0) {
		row_failed("libfairdial.so, stripped", "strip failed");
		return;
	}
	double size = (double)st.st_size / 1024;

	row("libfairdial.so on disk, stripped", "-", (struct summary){ size, size, size }, "KiB", 100);
}

static void print_first_dials(const struct weights *w, const char *const *tables)
{
	char against[64];

	section("the first dial of a process, added time: its pages of table and ledger are not mapped yet");
	snprintf(against, sizeof(against), "dialed directly, %.4g us", median_of(w->first_us[0], REPEATS));
	for (int i = 1; i < SIDES; i++)
		row(tables[i], against, difference(w->first_us[i], w->first_us[0], REPEATS), "us", NO_TARGET);
}

static void print_memory(const struct weights *w, const char *const *tables)
{
	char what[64];

	section("private memory of a process after one dial, added (table and ledger are shared); the object on disk");
	for (int i = 1; i < SIDES; i++) {
		snprintf(what, sizeof(what), "private, %s", tables[i]);
		row(what, "nothing preloaded", difference(w->private[i], w->private[0], REPEATS), "KiB", 64);
		snprintf(what, sizeof(what), "of it anonymous, %s", tables[i]);
		row(what, "nothing preloaded", difference(w->anonymous[i], w->anonymous[0], REPEATS), "KiB", 64);
	}
}

void bench_memory(const struct bench *bench)
{
	const char *const direct[] = { bench->worker, "memory", "127.0.0.1", bench->ports[0], NULL };
	const char *const ours[] = { bench->worker, "memory", "127.80.0.1", "80", NULL };
	const struct side sides[SIDES] = {
		{ .argv = direct },
		{ bench->shim, bench->small, NULL, ours },
		{ bench->shim, bench->large, NULL, ours },
	};
	static const char *const tables[SIDES] = { NULL, "5 endpoints", "100,000 endpoints" };
	static struct weights w;

	for (int r = 0; r < REPEATS; r++)
		for (int i = 0; i < SIDES; i++)
			if (!weigh(bench, &sides[i], &w.first_us[i][r], &w.private[i][r], &w.anonymous[i][r])) {
				row_failed("memory", "a worker failed");
				return;
			}
	print_first_dials(&w, tables);
	print_memory(&w, tables);
	print_size(bench);
}
