/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/backoff.h"

void backoff_well(struct backoff *b, uint64_t now_ms)
{
	b->well_since_ms = now_ms;
}

uint32_t backoff_next(struct backoff *b, uint64_t now_ms, uint32_t random)
{
	uint32_t step_ms = b->step_ms;

	if (!step_ms || (b->well_since_ms && now_ms - b->well_since_ms >= b->healthy_ms))
		step_ms = b->first_ms;
	b->well_since_ms = 0;
	b->step_ms = step_ms >= b->longest_ms / 2 ? b->longest_ms : step_ms * 2;
	return step_ms + (uint32_t)((uint64_t)step_ms * random >> 32);
}
