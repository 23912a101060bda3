/* SPDX-License-Identifier: Apache-2.0 */
/* What a changed Service costs the table's writer: published in place, and whole. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATCHES = 2000, PUBLISHES = 100 };

/* The times that publisher.c prints, in the order of their size; how many, 0 where it failed. */
static size_t measure(const struct bench *bench, const char *services, const char *kind, size_t count, double *values)
{
	char dir[BENCH_PATH + 48], number[16];
	const char *const argv[] = { bench->publisher, dir, services, kind, number, NULL };
	struct side side = { .argv = argv };
	FILE *said = tmpfile();
	size_t n = 0;

	snprintf(dir, sizeof(dir), "%s/publish-%s-%s", bench->scratch, services, kind);
	snprintf(number, sizeof(number), "%zu", count);
	if (said && ended_well(start(&side, -1, fileno(said), 2))) {
		rewind(said);
		while (n < count && fscanf(said, "%lf", &values[n]) == 1)
			n++;
	}
	if (said)
		fclose(said);
	return n == count ? n : 0;
}

static void measure_one(const struct bench *bench, const char *services, const char *kind, size_t count, double target)
{
	static double values[PATCHES];
	char title[64], last[96];
	double p99;

	snprintf(title, sizeof(title), "%s, %s Services", kind, services);
	snprintf(last, sizeof(last), "%s, 99th of 100", title);
	if (measure(bench, services, kind, count, values) == 0) {
		row_failed(title, "the publisher failed");
		return;
	}
	row(title, "-", summarize(values, count), "us", target);
	p99 = values[count * 99 / 100];
	row(last, "-", (struct summary){ p99, p99, p99 }, "us", NO_TARGET);
}

void bench_publish(const struct bench *bench)
{
	section("one changed Service of so many with 10 endpoints each, until readers can see it");
	measure_one(bench, "1000", "patch", PATCHES, 50);
	measure_one(bench, "1000", "whole", PUBLISHES, NO_TARGET);
	measure_one(bench, "10000", "patch", PATCHES, 200);
	measure_one(bench, "10000", "whole", PUBLISHES, NO_TARGET);
}
