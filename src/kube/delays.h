/* SPDX-License-Identifier: Apache-2.0 */
/* How long changes take from their cause to the table: noted when they are heard of, counted when they are published. */
#ifndef FAIRDIAL_KUBE_DELAYS_H
#define FAIRDIAL_KUBE_DELAYS_H

#include <stddef.h>
#include <stdint.h>

#include "metrics/histogram.h"

#define DELAYS_PENDING 1024 /* more that come at once are counted when they are heard of */

/* All zero at the beginning. */
struct delays {
	struct histogram histogram;
	uint64_t caused_ms[DELAYS_PENDING]; /* CLOCK_REALTIME */
	size_t pending;
};

static inline void delays_count(struct delays *d, uint64_t caused_ms, uint64_t now_ms)
{
	histogram_add(&d->histogram, now_ms > caused_ms ? now_ms - caused_ms : 0);
}

static inline void delays_note(struct delays *d, uint64_t caused_ms, uint64_t now_ms)
{
	if (d->pending < DELAYS_PENDING)
		d->caused_ms[d->pending++] = caused_ms;
	else
		delays_count(d, caused_ms, now_ms);
}

/* The table has all of them. */
static inline void delays_settle(struct delays *d, uint64_t now_ms)
{
	for (size_t i = 0; i < d->pending; i++)
		delays_count(d, d->caused_ms[i], now_ms);
	d->pending = 0;
}

#endif
