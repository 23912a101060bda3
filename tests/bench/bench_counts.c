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
static double collected(const struct bench *bench, const char *dir, const char *balance, const char *what,
			const char *times)
{
	/* With a letter more where the compiler made a copy for the arguments that there are. */
	const char *toggle = strcmp(what, "ours") == 0	 ? "--toggle-collect=one_dial*" :
			     strcmp(what, "names") == 0 ? "--toggle-collect=one_name*" :
							  "--toggle-collect=one_decline*";
	const char *const argv[] = { "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
				     toggle, bench->choose, "1", what, times, NULL };
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

/* Of one call, when the first ones are over. Negative: valgrind failed, or did not see it. */
static double count_each(const struct bench *bench, const char *dir, const char *balance, const char *what)
{
	double few = collected(bench, dir, balance, what, "100"), many = collected(bench, dir, balance, what, "1100");

	return few <= 0 || many <= few ? -1 : (many - few) / 1000;
}

static void count_one(const struct bench *bench, const char *dir, const char *balance, const char *what,
		      const char *title)
{
	double each = count_each(bench, dir, balance, what);

	if (each < 0)
		row_failed(title, "valgrind failed");
	else
		row(title, "-", (struct summary){ each, each, each }, "instr", NO_TARGET);
}

void bench_instructions(const struct bench *bench)
{
	static const char *const policies[] = { "round_robin", "least_conn", "random", "p2c", "hash" };
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
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		snprintf(title, sizeof(title), "%s, 1,000 endpoints", policies[i]);
		count_one(bench, bench->wide, policies[i], "ours", title);
	}
	count_one(bench, bench->large, NULL, "ours", "least_conn, table of 100,000 endpoints");
	count_one(bench, bench->small, NULL, "names", "a name, 5 endpoints");
	count_one(bench, bench->large, NULL, "names", "a name, 100,000 endpoints");
}

/* "count NAME INSTRUCTIONS" for what instructions.sh compares with its baseline. */
void bench_baseline(const struct bench *bench)
{
	const struct {
		const char *name, *dir, *what;
	} rows[] = {
		{ "declined-5", bench->small, "declined" },    { "declined-100000", bench->large, "declined" },
		{ "served-5", bench->small, "ours" },	       { "served-100000", bench->large, "ours" },
		{ "served-wide-1000", bench->wide, "ours" },   { "name-5", bench->small, "names" },
		{ "name-100000", bench->large, "names" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double each = is_installed("valgrind") ? count_each(bench, rows[i].dir, NULL, rows[i].what) : -1;

		if (each < 0)
			row_failed(rows[i].name, "valgrind is not installed, or failed");
		else
			printf("count %s %.1f\n", rows[i].name, each);
		fflush(stdout);
	}
}

/* ---- system calls ---- */

#define DIALS 60

/* Between socket(2) and close(2) of each dial, which are the program's own. */
struct calls {
	double of_dial[DIALS], longest;
	size_t dials;
	int fd; /* -1: between two dials */
	char names[512], longest_names[512]; /* of the last dial; of the one with most */
};

static void end_dial(struct calls *calls)
{
	if (calls->of_dial[calls->dials] > calls->longest) {
		calls->longest = calls->of_dial[calls->dials];
		strcpy(calls->longest_names, calls->names);
	}
	calls->dials++;
	calls->fd = -1;
}

/* A line of strace -f: "123 connect(3, {...}, 16) = 0". */
static void take_line(struct calls *calls, const char *line)
{
	const char *call = line + strspn(line, "0123456789 "), *result = strrchr(call, '=');
	size_t used = strlen(calls->names);
	int fd;

	if (calls->fd < 0 && strncmp(call, "socket(AF_INET, SOCK_STREAM", 27) == 0 && result && calls->dials < DIALS) {
		calls->of_dial[calls->dials] = 0;
		calls->names[0] = '\0';
		calls->fd = atoi(result + 1);
	} else if (calls->fd >= 0 && sscanf(call, "close(%d)", &fd) == 1 && fd == calls->fd) {
		end_dial(calls);
	} else if (calls->fd >= 0 && islower((unsigned char)*call)) {
		calls->of_dial[calls->dials]++;
		snprintf(calls->names + used, sizeof(calls->names) - used, "%s%.*s", used ? " " : "",
			 (int)strcspn(call, "("), call);
	}
}

static bool watch(const struct bench *bench, const char *preload, const char *kind, struct calls *ret_calls)
{
	char path[BENCH_PATH + 16], number[8], var[BENCH_PATH + 16];
	const char *const argv[] = { "strace", "-f", "-qq", "-E", var, "-o", path, bench->worker, "once", number, kind,
				     preload ? "127.80.0.1" : "127.0.0.1", preload ? "80" : bench->ports[0], NULL };
	struct side side = { NULL, bench->small, NULL, argv };
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	*ret_calls = (struct calls){ .fd = -1 };
	snprintf(path, sizeof(path), "%s/strace", bench->scratch);
	snprintf(number, sizeof(number), "%d", DIALS);
	snprintf(var, sizeof(var), "LD_PRELOAD=%s", preload ? preload : "");
	if (!ended_well(start(&side, -1, -1, 2)) || !(file = fopen(path, "re")))
		return false;
	while (getline(&line, &size, file) >= 0)
		take_line(ret_calls, line);
	free(line);
	fclose(file);
	listeners_drain(bench);
	return ret_calls->dials == DIALS;
}

static void count_calls(const struct bench *bench, const char *kind, const char *title)
{
	static struct calls direct, ours;
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
	s.median = s.low = s.high = ours.longest - own.median;
	row(what, against, s, "calls", NO_TARGET);
	printf("    usual: %s\n", ours.names);
	if (strcmp(ours.names, ours.longest_names) != 0)
		printf("    most:  %s\n", ours.longest_names);
}

void bench_calls(const struct bench *bench)
{
	section("system calls of a dial that is ours, from socket() to close(), the first setsockopt its own");
	if (!is_installed("strace")) {
		row_not_installed("system calls", "strace");
		return;
	}
	count_calls(bench, "tcp", "blocking");
	count_calls(bench, "tcp-nonblock", "non-blocking");
}
