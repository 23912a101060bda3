/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that follow the list: lists that change under running programs, the programs (tests/helpers/pool.c), and what
 * `fairdial status --json` counts. The tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_MOVES_H
#define FAIRDIAL_TESTS_MOVES_H

#include <stdbool.h>

struct backends;
struct process;
struct services;

/* No event is slower than this. */
#define MOVES_LIMIT_MS 60000

/* What is to move within a moment has moved after it; for tests that nothing does. Debounce, look, spread and then some. */
#define MOVES_SETTLED_MS 4000

#define QUICK "\"quiet\": \"100ms\""

/* ---- lists ---- */

/*
 * A text with a letter for each backend: 'i' in the list, 't' terminating, 'n' not ready, '-' not in it. Entry `web` at
 * SERVICE_ADDRESS:80; `more` as in services_publish_web.
 */
char *list_entry(const struct backends *b, const char *list, const char *more);
void publish_list(struct services *s, const struct backends *b, const char *list, const char *more);

/* ---- programs ---- */

/* A pool of `web`, with so many connections. `env` NULL: that of the services. */
struct process *pool_start(struct services *s, const char *const *env, int connections);

/* The same of another place. `env` NULL: the test's own. */
struct process *pool_at(const char *address, int port, const char *const *env, int connections);

/* Says a line, and fails unless that is what it answers. */
void pool_do(struct process *p, const char *line, const char *answer);

/* The number behind the name of the answer: "ended 3". */
int pool_number(struct process *p, const char *line);

struct turns {
	int answered, renewed, failed;
};
struct turns pool_turns(struct process *p, const char *line);

/* How many connections it has at each of `count` backends, added to `at`. */
void pool_where(struct process *p, unsigned *at, int count);

/* Until so many of its connections have ended; nobody asks them anything. */
void pool_wait_ended(struct process *p, int count);

/* Threads that /proc lists. */
int threads_of(const struct process *p);

/* ---- what is counted ---- */

struct moves {
	long drain, cut, rebalance, max_age;
};

struct moves moved_of(struct services *s, const char *name);
struct moves would_have_moved_of(struct services *s, const char *name);
long without_thread_of(struct services *s, const char *name);

long all_moves(const struct moves *moves);

/* Until `web` counts these; fails at once where one is more, and after a while where one is less. */
void wait_moved(struct services *s, const struct moves *wanted);
void wait_would_have_moved(struct services *s, const struct moves *wanted);

/* Lets time pass in which whoever moves without a reason would have moved, and fails unless that many have. */
void assert_settled(struct services *s, const struct moves *wanted);

#endif
