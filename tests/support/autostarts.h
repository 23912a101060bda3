/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An installation of its own: a copy of the shim with a `bin/fairdial` beside it, which notes each start and then becomes the
 * real one; and the environment of programs that may start it. Agents that were started end with the test. For TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_AUTOSTARTS_H
#define FAIRDIAL_TESTS_AUTOSTARTS_H

#include <sys/types.h>

struct backends;

struct autostarts {
	char *root;   /* a scratch directory that all may enter */
	char *bin;    /* root/bin */
	char *binary; /* root/bin/fairdial */
	char *dir;    /* root/run: FAIRDIAL_DIR */
	char *log;    /* a line for each start: its pid */
	const char *const *env; /* FAIRDIAL_AUTOSTART=1, no wait, and Service `web`, port 80, over the backends by round_robin */
};

/* Nothing has been started yet, and there is no `dir`. */
struct autostarts *autostarts_open(const struct backends *b);

/* The same environment with a FAIRDIAL_WAIT. */
const char *const *autostarts_waiting(const struct autostarts *a, const char *wait);

/* Another program takes the place of bin/fairdial: this line of sh, after the start was noted. */
void autostarts_become(const struct autostarts *a, const char *line);

/* Fails unless there were so many starts. The last one is waited for: it may just be on its way to the log. */
void autostarts_expect(const struct autostarts *a, unsigned count);

/* The pid of the agent that holds a directory; 0: none. */
pid_t autostarts_agent(const char *dir);

/* Until one does, or until that one does no more. Bounded: the test fails. */
pid_t autostarts_wait(const char *dir);
void autostarts_wait_gone(const char *dir, pid_t agent);

#endif
