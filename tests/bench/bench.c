/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench BUILD [PART...]: measures what fairdial costs and prints one table. Timings never fail it; what cannot be
 * measured does. Parts: declined choose instructions calls dial start memory publish; and only where it is named, baseline.
 */
#include "bench.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*run)(const struct bench *bench);
} parts[] = {
	{ "declined", bench_declined },
	{ "choose", bench_choose },
	{ "instructions", bench_instructions },
	{ "calls", bench_calls },
	{ "dial", bench_dial },
	{ "start", bench_start },
	{ "memory", bench_memory },
	{ "publish", bench_publish },
	{ "baseline", bench_baseline },
};

static void path_to(char *path, const char *dir, const char *name)
{
	if (snprintf(path, BENCH_PATH, "%s/%s", dir, name) >= BENCH_PATH)
		abort();
}

/* In memory where that is possible, as in a pod. */
static bool make_scratch(char *path)
{
	static const char *const places[] = { "/dev/shm", "/tmp" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		path_to(path, places[i], "fairdial-bench-XXXXXX");
		if (mkdtemp(path))
			return true;
	}
	return false;
}

static void remove_scratch(const char *path)
{
	const char *const argv[] = { "rm", "-rf", path, NULL };
	struct side side = { .argv = argv };

	ended_well(start(&side, -1, -1, 2));
}

static bool prepare(struct bench *bench, const char *build)
{
	if (!realpath(build, bench->build) || !make_scratch(bench->scratch))
		return false;
	path_to(bench->shim, bench->build, "libfairdial.so");
	path_to(bench->tool, bench->build, "fairdial");
	path_to(bench->empty, bench->build, "bench/empty.so");
	path_to(bench->worker, bench->build, "bench/worker");
	path_to(bench->choose, bench->build, "bench/choose");
	path_to(bench->publisher, bench->build, "bench/publisher");
	path_to(bench->none, bench->scratch, "none");
	path_to(bench->small, bench->scratch, "small");
	path_to(bench->large, bench->scratch, "large");
	path_to(bench->wide, bench->scratch, "wide");
	return mkdir(bench->none, 0700) == 0 && listeners_open(bench) && publish(bench, bench->small, 1) &&
	       publish(bench, bench->large, 10000) && publish_wide(bench, bench->wide, 1000);
}

/* All sides on one processor: none is the one that another program disturbs, and none has the colder caches. */
static void stay_on_one_processor(void)
{
	int here = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(here < 0 ? 0 : here, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static bool is_wanted(const char *name, char **wanted)
{
	if (!*wanted)
		return strcmp(name, "baseline") != 0;
	for (; *wanted; wanted++)
		if (strcmp(*wanted, name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool good;

	if (argc < 2) {
		fprintf(stderr, "usage: bench BUILD [PART...]\n");
		return 2;
	}
	good = prepare(&bench, argv[1]);
	stay_on_one_processor();
	if (good)
		table_heading();
	else
		fprintf(stderr, "bench: cannot prepare the tables\n");
	for (size_t i = 0; good && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (is_wanted(parts[i].name, argv + 2))
			parts[i].run(&bench);
	if (bench.scratch[0])
		remove_scratch(bench.scratch);
	return good && !any_failed() ? 0 : 1;
}
