/* SPDX-License-Identifier: Apache-2.0 */
/* What does not depend on the clock: instructions, counted by callgrind, and system calls, counted by strace. */
#include "bench.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	char buf[BENCH_PATH];

	for (; path && *path; path += strcspn(path, ":"), path += *path == ':') {
		snprintf(buf, sizeof(buf), "%.*s/%s", (int)strcspn(path, ":"), path, program);
		if (access(buf, X_OK) == 0)
			return true;
	}
	return false;
}

/* ---- instructions ---- */

/* Runs choose.c `times` times under callgrind: the instructions that it collected in all, or -1. */
static double collected(const struct bench *bench, const char *dir, const char *balance, const char *what, const char *times)
{
	const char *const argv[] = { "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
				     strcmp(what, "ours") == 0 ? "--toggle-collect=one_dial" : "--toggle-collect=one_decline",
				     bench->choose, "1", what, times, NULL };
	struct side side = { NULL, dir, balance, argv };
	FILE *said = tmpfile();
	double count = -1;
	char line[512];

	if (!said || !ended_well(start(&side, -1, -1, fileno(said)))) {
		if (said)
			fclose(said);
		return -1;
	}
	rewind(said);
	while (fgets(line, sizeof(line), said)) {
		const char *at = strstr(line, "Collected :");

		if (at)
			count = strtod(at + strlen("Collected :"), NULL);
	}
	fclose(said);
	return count;
}

/* Of one call, when the first ones are over. */
static void count_one(const struct bench *bench, const char *dir, const char *balance, const char *what, const char *title)
{
	double few = collected(bench, dir, balance, what, "100"), many = collected(bench, dir, balance, what, "1100");
	double each = (many - few) / 1000;

	if (few < 0 || many < 0)
		row_failed(title, "valgrind failed");
	else
		row(title, "-", (struct summary){ each, each, each }, "instr", NO_TARGET);
}

void bench_instructions(const struct bench *bench)
{
	static const char *const policies[] = { "round_robin", "least_conn", "random" };
	char title[64];

	section("instructions of the same (reading the clock counts as one)");
	if (!is_installed("valgrind")) {
		row_not_installed("instructions", "valgrind");
		return;
	}
	count_one(bench, bench->small, NULL, "declined", "not ours, 5 endpoints");
	count_one(bench, bench->large, NULL, "declined", "not ours, 100,000 endpoints");
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		snprintf(title, sizeof(title), "%s, 5 endpoints", policies[i]);
		count_one(bench, bench->small, policies[i], "ours", title);
	}
}

/* ---- system calls ---- */

#define DIALS 60

/* Between socket(2) and close(2) of each dial, which are the program's own. */
struct calls {
	double of_dial[DIALS];
	size_t dials;
	char names[256]; /* of the last dial */
};

static void take_line(struct calls *calls, const char *line, bool *inside)
{
	size_t at = strspn(line, "0123456789 "), len = strcspn(line + at, "("), used = strlen(calls->names);

	if (strncmp(line + at, "socket(AF_INET, SOCK_STREAM", 27) == 0 && calls->dials < DIALS) {
		calls->of_dial[calls->dials] = 0;
		calls->names[0] = '\0';
		*inside = true;
	} else if (*inside && strncmp(line + at, "close(", 6) == 0) {
		calls->dials++;
		*inside = false;
	} else if (*inside && islower((unsigned char)line[at])) {
		calls->of_dial[calls->dials]++;
		snprintf(calls->names + used, sizeof(calls->names) - used, "%s%.*s", used ? " " : "", (int)len, line + at);
	}
}

static bool watch(const struct bench *bench, const char *preload, const char *kind, struct calls *ret_calls)
{
	char path[BENCH_PATH + 16], number[8], var[BENCH_PATH + 16];
	const char *const argv[] = { "strace", "-f", "-qq", "-E", var, "-o", path, bench->worker, "once", number, kind,
				     preload ? "127.80.0.1" : "127.0.0.1", preload ? "80" : bench->ports[0], NULL };
	struct side side = { NULL, bench->small, NULL, argv };
	bool inside = false;
	char line[512];
	FILE *file;

	memset(ret_calls, 0, sizeof(*ret_calls));
	snprintf(path, sizeof(path), "%s/strace", bench->scratch);
	snprintf(number, sizeof(number), "%d", DIALS);
	snprintf(var, sizeof(var), "LD_PRELOAD=%s", preload ? preload : "");
	if (!ended_well(start(&side, -1, -1, 2)) || !(file = fopen(path, "re")))
		return false;
	while (fgets(line, sizeof(line), file))
		take_line(ret_calls, line, &inside);
	fclose(file);
	listeners_drain(bench);
	return ret_calls->dials == DIALS;
}

static void count_calls(const struct bench *bench, const char *kind, const char *title)
{
	struct calls direct, ours;
	struct summary own, s;
	char what[64], against[64];

	if (!watch(bench, NULL, kind, &direct) || !watch(bench, bench->shim, kind, &ours)) {
		row_failed(title, "strace failed");
		return;
	}
	own = summarize(direct.of_dial, DIALS);
	snprintf(against, sizeof(against), "dialed directly, %g calls", own.median);
	s = summarize(ours.of_dial, DIALS);
	snprintf(what, sizeof(what), "%s, added", title);
	row(what, against, (struct summary){ s.median - own.median, s.low - own.median, s.high - own.median }, "calls", 6);
	snprintf(what, sizeof(what), "%s, most of %d dials", title, DIALS);
	s.median = s.low = s.high = ours.of_dial[DIALS - 1] - own.median;
	row(what, "once a second: looks, and mends", s, "calls", NO_TARGET);
	printf("    %s\n", ours.names);
}

void bench_calls(const struct bench *bench)
{
	section("system calls of a dial that is ours, between socket() and close(), least_conn");
	if (!is_installed("strace")) {
		row_not_installed("system calls", "strace");
		return;
	}
	count_calls(bench, "tcp", "blocking");
	count_calls(bench, "tcp-nonblock", "non-blocking");
}
