/* SPDX-License-Identifier: Apache-2.0 */
/* What a herd of `torture` programs counts, in a file that all of them and the test have mapped. */
#ifndef FAIRDIAL_HELPERS_TORTURE_H
#define FAIRDIAL_HELPERS_TORTURE_H

#include <stdatomic.h>

enum { TORTURE_BACKENDS = 16, TORTURE_ERRORS = 256 };

struct torture_counts {
	atomic_int stop;			      /* not 0: end after this turn */
	atomic_ulong begun;			      /* dials */
	atomic_ulong answers[TORTURE_BACKENDS];	      /* of "backend-1" … */
	atomic_ulong strange;			      /* answers that are no backend's */
	atomic_ulong failures[TORTURE_ERRORS];	      /* dials, by errno; 0: the name was not found */
	atomic_ulong crashed;			      /* children that ended by a signal, or with an exit status */
	atomic_ulong threads, forks, vforks, spawns;  /* made */
};

#endif
