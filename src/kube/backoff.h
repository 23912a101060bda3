/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait after a failure: longer each time, and by chance, so that who failed together does not come back together. */
#ifndef FAIRDIAL_KUBE_BACKOFF_H
#define FAIRDIAL_KUBE_BACKOFF_H

#include <stdint.h>

/* Begins with its first three set and the rest zero. */
struct backoff {
	uint32_t first_ms, longest_ms; /* without the chance, which adds up to as much again */
	uint32_t healthy_ms;	       /* so long without a failure: the next one begins anew */

	uint32_t step_ms;	/* of the next pause; 0: the first */
	uint64_t well_since_ms; /* 0: the last thing that happened was a failure */
};

/* It works, since now at the latest. */
void backoff_well(struct backoff *backoff, uint64_t now_ms);

/* It failed: the pause, of one step to less than two. `random` is any number. */
uint32_t backoff_next(struct backoff *backoff, uint64_t now_ms, uint32_t random);

#endif
