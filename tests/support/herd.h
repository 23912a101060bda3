/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A herd of `helpers/torture` programs and who torments it: a process of its own keeps a dozen of them alive, kills one after
 * the other with SIGKILL at random moments, alone or with all that it started (besides those that die of their own timers), stops
 * others for a while, and looks at how each of them, and of the children that they left, ended. The tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_HERD_H
#define FAIRDIAL_TESTS_HERD_H

#include <stdbool.h>
#include <stdint.h>

#include "helpers/torture.h"

struct herd_plan {
	const char *const *env;
	const char *places[12]; /* name, address, port of each; NULL at the end */
	unsigned kills;		/* at least so many */
	unsigned seconds;	/* at least so long */
	unsigned members;	/* alive at a time; 0: a dozen */
	unsigned pause_us;	/* between two torments, at most; 0: 4000 */
	uint64_t seed;
};

struct herd_result {
	unsigned kills, stops;
	unsigned crashed; /* ended by another signal than SIGKILL, or by themselves, or with an exit status */
	int last_crash;	  /* one of these, as waitpid(2) tells it */
};

struct herd;

/* Killed at the end of the test, if it has not ended. */
struct herd *herd_start(const struct herd_plan *plan);

/* Whether all is over: the kills are done, the others were told to stop, and none is left. Bounded: the test fails. */
bool herd_has_ended(struct herd *h);

const struct herd_result *herd_result(const struct herd *h);
const struct torture_counts *herd_counts(const struct herd *h);

/* Fails where a dial failed, an answer was nobody's, or one that nobody killed has crashed. */
void assert_herd_is_well(const struct herd *h);

/* SEED of the environment, else a new one, printed; KILLS and SECONDS likewise, with these where they are not set. */
uint64_t herd_seed(void);
unsigned herd_number(const char *variable, unsigned otherwise);

#endif
