/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that a test starts: each in a process group of its own, with its output kept, bounded in time, and killed at
 * the end of the test. Where something cannot be started or does not end in time, the test fails.
 */
#ifndef FAIRDIAL_TESTS_PROCESS_H
#define FAIRDIAL_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct start {
	const char *const *argv; /* looked up in PATH; NULL at the end */
	const char *const *env;  /* NULL, or added to the test's own, NULL at the end; "NAME" alone takes one out */
	const char *input;       /* what its stdin gives; NULL: nothing */
	bool interactive;        /* stdin stays open for process_say */
	bool on_terminal;        /* in, out and err are a terminal that it controls */
	uid_t uid;               /* 0: that of the test */
	const char *root;        /* NULL, or the folder that is its / (roots.h) */
	int end_with;            /* a signal that ends it tidily at the end of the test; 0: SIGKILL at once */
	const char *last_word;   /* what ends an interactive one so, before its input ends; a literal, NULL: nothing is said */
};

struct process {
	pid_t pid;
	int in, out, err;          /* the test's ends; -1: closed */
	char *out_text, *err_text; /* what was read so far, NUL-terminated */
	size_t out_length, err_length;
	size_t out_taken; /* of it, what process_line has handed out */
	bool ended;
	int end_with;
	const char *last_word;
	int exit_status; /* -1: a signal ended it */
	int signal;      /* 0: it exited */
};

/* The owner is the test: freed, and killed where it still runs, at its end. */
struct process *process_start(const struct start *start);

/* Until it ends. `limit_ms` is a bound, not an expectation: a test that meets it fails. */
void process_wait(struct process *p, int limit_ms);

/* Whether it has, by itself or not; it is still there to be waited for. */
bool process_has_ended(const struct process *p);

/* The next line of its output without the newline; NULL where it ended before one. Valid until the test ends. */
char *process_line(struct process *p, int limit_ms);

void process_say(struct process *p, const char *text);
void process_close_input(struct process *p);
void process_signal(struct process *p, int signal);

/* Until a whole output holds `text`. */
void process_expect(struct process *p, const char *text, int limit_ms);

/* A list of arguments: the program first, NULL behind the last. */
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Starts and waits. `env` as in struct start; the arguments end with NULL. */
struct process *run(const char *const *env, ...) __attribute__((sentinel));

/* The same for a list of arguments, in `root` unless that is NULL. */
struct process *run_in_root(const char *root, const char *const *env, const char *const *argv);

/* The same of a line for sh. */
struct process *run_shell(const char *const *env, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails with all that is known about it unless it exited with 0 and wrote nothing on stderr. */
void assert_clean(const struct process *p);

/* Fails, and shows both, unless `p` ended as one that ran natively did, and wrote the same to stdout and stderr. */
void assert_same_run(const struct process *native, const struct process *p);

/* Fails unless it exited with this status, wrote one line on stderr and nothing on stdout. */
void assert_error(const struct process *p, int exit_status);

size_t lines_of(const char *text);

/* `env` and more, NULL at the end of both; valid until the test ends. */
const char *const *with_env(const char *const *env, ...) __attribute__((sentinel));

/*
 * Runs a program `count` times, at most `at_once` at a time. Returns what all of them wrote to stdout, in one text that
 * is valid until the test ends; `*failed` counts those that did not exit with 0. stderr goes to the test's own.
 */
char *run_many(const struct start *start, size_t count, size_t at_once, size_t *failed);

/*
 * Runs a program and forgets it: for tests that run thousands. What it writes to stdout and stderr goes into `text`.
 * Returns its status as waitpid(2) tells it.
 */
int run_quickly(const struct start *start, char *text, size_t size);

/* For batch.c: starts a program with these for stdout and stderr, and keeps no account of it. -1: it cannot. */
pid_t process_fork(const struct start *start, int out, int err);
void pipe_or_fail(int *reads, int *writes);

/* A path in the repository and in its build folder; valid until the test ends. */
const char *repository(const char *path);
const char *built(const char *path);

/* Whether a program of that name is in PATH. */
bool program_exists(const char *name);

/* Milliseconds of CLOCK_MONOTONIC. */
long now_ms(void);

/* printf into a text that is valid until the test ends. */
char *format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
