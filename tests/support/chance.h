/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether counts are what a theory says, for tests of what goes by chance. Their seeds are fixed, so that each of them always
 * passes, or never.
 */
#ifndef FAIRDIAL_TESTS_CHANCE_H
#define FAIRDIAL_TESTS_CHANCE_H

/*
 * Pearson's chi-square test: fails the test, and names it by `what`, where `counts` are further from what `shares` make likely
 * than in one case of a thousand, or nearer. Shares are relative; who has 0 must have none.
 */
void assert_by_chance(const char *what, const unsigned *counts, const double *shares, unsigned n);

/* Counts that are within `percent` of their shares. */
void assert_near(const char *what, const unsigned *counts, const double *shares, unsigned n, double percent);

#endif
