/* SPDX-License-Identifier: Apache-2.0 */
/* How long things took, counted by how long. */
#ifndef FAIRDIAL_METRICS_HISTOGRAM_H
#define FAIRDIAL_METRICS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 10

/* Upper bounds: as they are compared, and as they are written. A number that is whole has a ".0", as OpenMetrics has it. */
static const uint64_t histogram_bounds_ms[HISTOGRAM_BOUNDS] = { 1, 5, 10, 50, 100, 500, 1000, 5000, 10000, 60000 };
static const char *const histogram_bounds[HISTOGRAM_BOUNDS] = { "0.001", "0.005", "0.01", "0.05", "0.1",
								"0.5",	 "1.0",	  "5.0",  "10.0", "60.0" };

/* All zero at the beginning. */
struct histogram {
	uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* each for itself, the last without a bound */
	uint64_t sum_ms;
};

static inline void histogram_add(struct histogram *h, uint64_t took_ms)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && took_ms > histogram_bounds_ms[i])
		i++;
	h->buckets[i]++;
	h->sum_ms += took_ms;
}

#endif
