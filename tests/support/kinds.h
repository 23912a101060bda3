/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of programs, each run natively and under the shim: without a table, with one of other Services, and with one of
 * its own. What it prints, how it ends and what it leaves behind is the same, but for who answers it.
 *
 * The address of the Service `web` is that of a live server, "backend-1", which is no endpoint of it: so it is reached
 * natively, and by a program that the shim does not enter. DNS knows `web` too. The Service `phantom` of the same
 * endpoints has no address of its own, and its name is known to its table alone.
 */
#ifndef FAIRDIAL_TESTS_KINDS_H
#define FAIRDIAL_TESTS_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct backends;
struct process;
struct services;

/*
 * Lines for sh may name: $P, the program; $HELPERS, where helpers' sources are; $BIN, a folder to build in; $HOST and $PORT
 * of `web`; $DEAD, a port of $HOST that refuses; $SHIM. They run in a folder that is empty, and stays so.
 */
struct stand {
	struct backends *b;
	struct services *s;
	const char *shim; /* a copy that every user can read */
	const char *bin, *work; /* folders that every user can read; `work` can be written too */
	const char *no_table, *other_table; /* in place of s->dir */
	const char *const *env; /* the variables above */
};

/* For main: kinds need the namespaces of dns_need_namespaces. */
struct stand *stand_open(void);

struct kind {
	const char *what;
	const char *build;	    /* a line that makes $P, and fails without a word on stdout; NULL: $P is helpers/dialer */
	const char *with;	    /* assignments before the program, or NULL */
	const char *under;	    /* a program, with arguments, that runs it, or NULL */
	const char *before, *after; /* other preloaded objects around the shim, or NULL; there natively as well */
	bool entered;		    /* by the shim: its dials are spread */
	bool brief;		    /* fewer of the dialer's lines */
	uid_t uid;		    /* who starts it; 0: the test's */
	const char *const *dials;   /* lines of SIX answers each when spread, NULL at the end; NULL: dialer's */
	const char *const *others;  /* lines that come out the same, NULL at the end; NULL: dialer's */
};

/* Dials of each line. */
#define SIX 6

/* Makes $P. Skips the test where the compiler is not there. */
void kind_build(const struct stand *stand, const struct kind *kind);

/* Runs a line as this kind; `dir`: FAIRDIAL_DIR under the shim, NULL: natively. */
struct process *kind_run(const struct stand *stand, const struct kind *kind, const char *dir, const char *line);

/* All of it, for kinds of programs that dial, each at a stand of its own. */
void assert_kinds(const struct kind *kinds, size_t count);

/* Whether a line's answers are six of `web`'s endpoints, evenly; else the test fails. */
void assert_is_spread(const struct process *p);

/* Fails unless the line comes out the same natively, without a table, and with the one that has `web`. */
void assert_is_the_same(const struct stand *stand, const struct kind *kind, const char *line);

/* Whether the shim is in the memory of a process. */
bool is_shimmed(pid_t pid);

/* Fails unless the folder that programs run in is empty. */
void assert_nothing_left(const struct stand *stand);

#endif
