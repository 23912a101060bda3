/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How even numbers are: Jain, Chiu, Hawe, "A quantitative measure of fairness" (1984). 1 is even, 1/n is all on one of n; also 1
 * where there is nothing, for nobody has less than another then.
 *
 * And what picking at random would have given for as many, which is what kube-proxy does. Of D picks among n the expected sum of
 * squares is D^2/n + D(1 - 1/n) (a multinomial's variance is D/n (1 - 1/n) for each of n), so the index comes out near
 * D / (D + n - 1): 0.5 for five dials over six endpoints, 0.95 for a hundred. For people: the shim does without.
 */
#ifndef FAIRDIAL_BALANCE_EVENNESS_H
#define FAIRDIAL_BALANCE_EVENNESS_H

#include <stdint.h>

struct evenness {
	double sum, squares;
	uint32_t count;
};

static inline void evenness_add(struct evenness *e, double value)
{
	e->sum += value;
	e->squares += value * value;
	e->count++;
}

static inline double evenness(const struct evenness *e)
{
	return e->squares > 0 ? e->sum * e->sum / (e->count * e->squares) : 1;
}

/* Of equal endpoints: weights are not looked at. */
static inline double evenness_at_random(const struct evenness *e)
{
	return e->sum > 0 && e->count ? e->sum / (e->sum + e->count - 1) : 1;
}

#endif
