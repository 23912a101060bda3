/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are to be spread evenly: what they print says who answered. */
#ifndef FAIRDIAL_TESTS_SPREAD_H
#define FAIRDIAL_TESTS_SPREAD_H

#include <stddef.h>

struct backends;
struct place;
struct process;
struct services;
struct start;

#define ROUND_ROBIN "\"balance\": \"round_robin\""

/*
 * Starts a program `runs` times, which dials Service `web` `dials` times in each: all answers together are even to the last
 * one, and status counts as many dials as the backends took connections.
 */
void assert_runs_spread(struct services *s, const struct backends *b, size_t runs, unsigned dials,
			const struct start *start);

/* The same of one run, with what it wrote: it ended with this status. Nobody but backends answered. */
void assert_run_spread(struct services *s, const struct backends *b, unsigned dials, const struct process *p,
		       int exit_status);

/*
 * A dialer (tests/helpers/dialer.c), compiled for whatever libc: blocking and not, by name and by address, with symbols
 * bound when called and all at once. It runs in `root` unless that is NULL.
 */
void assert_dialer_is_spread(const char *root, const char *dialer);

/*
 * Service `name` over three real servers; the program prints "backend-N" for the one that it reached. `start` needs no
 * environment. It is run thirty times.
 */
void assert_database_is_spread(const struct place *places, const char *name, int port, const struct start *start);

/* The mysql CLI of `root`, or of this machine where that is NULL: by name and by address. */
void assert_mysql_is_spread(const char *root, const struct place *places);

#endif
