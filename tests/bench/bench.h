/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the measurements share. Two sides of a comparison are two processes that work in turns, a few milliseconds
 * each, so that whatever else the machine does meets both; a row says the median and the quartiles of the differences.
 */
#ifndef FAIRDIAL_BENCH_H
#define FAIRDIAL_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PATH	4096
#define BENCH_ENDPOINTS 5 /* of the Service that is dialed: listeners of this process */
#define BENCH_SIDES	8

/* Where things are; made by bench.c before the first measurement. */
struct bench {
	char build[BENCH_PATH]; /* absolute */
	char shim[BENCH_PATH], tool[BENCH_PATH], empty[BENCH_PATH], worker[BENCH_PATH], choose[BENCH_PATH];
	char publisher[BENCH_PATH];
	char scratch[BENCH_PATH];
	/* FAIRDIAL_DIR: without a table, and with */
	char none[BENCH_PATH], small[BENCH_PATH], large[BENCH_PATH], wide[BENCH_PATH];
	int listeners[BENCH_ENDPOINTS];
	char ports[BENCH_ENDPOINTS][8];
};

/* ---- stats.c ---- */

struct summary {
	double median, low, high; /* the quartiles */
};
struct summary summarize(double *values, size_t n); /* sorts them */
double median_of(const double *values, size_t n); /* leaves them */
struct summary difference(const double *of, const double *from, size_t n);
struct summary ratio(const double *of, const double *to, size_t n);

/*
 * The same, for a difference that is small beside what the machine does meanwhile, which only ever adds: of each life
 * the quickest tenth of either side.
 */
struct summary quick_difference(const double *of, const double *from, size_t lives, size_t rounds);
double quick_median(const double *values, size_t lives, size_t rounds);

#define NO_TARGET (-1.0)

void table_heading(void);
void section(const char *title);
void row(const char *what, const char *against, struct summary value, const char *unit, double target);
void row_not_installed(const char *what, const char *program);
void row_failed(const char *what, const char *why);
bool any_failed(void);

/* ---- run.c ---- */

struct side {
	const char *preload, *dir, *balance; /* NULL: unset */
	const char *const *argv;
};

/* Starts it with standard input, output and error at these descriptors (-1: /dev/null). The pid, or -1. */
pid_t start(const struct side *side, int in, int out, int err);
bool ended_well(pid_t pid);

/* A program that does one turn for each byte it is sent, and answers with a double. */
struct worker {
	pid_t pid;
	int fd;
};
bool worker_start(const struct side *side, struct worker *ret_worker);
bool worker_turn(const struct worker *worker, double *ret_value);
void worker_stop(struct worker *worker);

/*
 * `rounds` turns of each side, one after the other, after one that does not count; `lives` times with new processes,
 * because where a process lies in memory moves its times too. values[side * lives * rounds + turn]; the caller frees
 * it. NULL on failure.
 */
double *alternate(const struct bench *bench, const struct side *sides, size_t n, unsigned lives, unsigned rounds);

/* ---- tables.c ---- */

bool listeners_open(struct bench *bench);
void listeners_drain(const struct bench *bench);

/*
 * Publishes `services` Services with 10 endpoints each, but the first, 127.80.0.1:80, which has those of this process.
 * The second makes up for it.
 */
bool publish(const struct bench *bench, const char *dir, unsigned services);

/* One Service, at 127.80.0.1:80, with so many endpoints where nobody listens. */
bool publish_wide(const struct bench *bench, const char *dir, unsigned endpoints);

/* ---- bench_*.c ---- */

void bench_declined(const struct bench *bench);
void bench_choose(const struct bench *bench);
void bench_instructions(const struct bench *bench);
void bench_baseline(const struct bench *bench);
void bench_calls(const struct bench *bench);
void bench_dial(const struct bench *bench);
void bench_start(const struct bench *bench);
void bench_memory(const struct bench *bench);
void bench_publish(const struct bench *bench);

#endif
