/* SPDX-License-Identifier: Apache-2.0 */
#include "support/chance.h"

#include "support/testing.h"

#define Z 3.09 /* of a normal distribution, one case of a thousand is beyond */

struct sums {
	double counts, shares;
	unsigned free; /* degrees of freedom */
};

static struct sums add_up(const char *what, const unsigned *counts, const double *shares, unsigned n)
{
	struct sums sums = { 0, 0, 0 };

	for (unsigned i = 0; i < n; i++) {
		sums.counts += counts[i];
		sums.shares += shares[i];
		sums.free += shares[i] > 0;
		if (counts[i] && shares[i] <= 0)
			fail_msg("%s: %u times number %u, which has no share", what, counts[i], i);
	}
	sums.free--;
	return sums;
}

static double root(double x)
{
	double y = x > 1 ? x : 1;

	for (int i = 0; i < 60; i++)
		y = (y + x / y) / 2;
	return y;
}

/* Wilson and Hilferty's approximation (1931): the cube root of chi-square per degree is nearly normal. */
static double quantile(unsigned k, double z)
{
	double x = 1 - 2.0 / (9.0 * k) + z * root(2.0 / (9.0 * k));

	return x > 0 ? k * x * x * x : 0;
}

void assert_by_chance(const char *what, const unsigned *counts, const double *shares, unsigned n)
{
	struct sums sums = add_up(what, counts, shares, n);
	double chi = 0;

	for (unsigned i = 0; i < n; i++) {
		double expected = sums.counts * shares[i] / sums.shares;

		if (shares[i] > 0)
			chi += (counts[i] - expected) * (counts[i] - expected) / expected;
	}
	if (chi > quantile(sums.free, Z) || chi < quantile(sums.free, -Z))
		fail_msg("%s: chi-square %.1f with %u degrees of freedom, expected %.1f to %.1f", what, chi, sums.free,
			 quantile(sums.free, -Z), quantile(sums.free, Z));
}

void assert_near(const char *what, const unsigned *counts, const double *shares, unsigned n, double percent)
{
	struct sums sums = add_up(what, counts, shares, n);

	for (unsigned i = 0; i < n; i++) {
		double expected = sums.counts * shares[i] / sums.shares, off = counts[i] - expected;

		if (off * 100 > expected * percent || off * 100 < -expected * percent)
			fail_msg("%s: number %u has %u, expected %.1f within %g %%", what, i, counts[i], expected, percent);
	}
}
