/* SPDX-License-Identifier: Apache-2.0 */
/* Medians, and the table that is printed. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool failed;

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct summary summarize(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return (struct summary){ values[n / 2], values[n / 4], values[n - 1 - n / 4] };
}

/* Of a[i] - b[i], or a[i] / b[i]; `step` 0: the same b for all. */
static struct summary combine(const double *a, const double *b, size_t n, size_t step, bool divide)
{
	double *values = calloc(n, sizeof(*values));
	struct summary s = { NAN, NAN, NAN };

	if (!values)
		return s;
	for (size_t i = 0; i < n; i++)
		values[i] = divide ? a[i] / b[i * step] : a[i] - b[i * step];
	s = summarize(values, n);
	free(values);
	return s;
}

double median_of(const double *values, size_t n)
{
	double zero = 0;

	return combine(values, &zero, n, 0, false).median;
}

struct summary difference(const double *of, const double *from, size_t n)
{
	return combine(of, from, n, 1, false);
}

struct summary ratio(const double *of, const double *to, size_t n)
{
	return combine(of, to, n, 1, true);
}

static double quickest_tenth(const double *values, size_t n)
{
	double *sorted = malloc(n * sizeof(*sorted));
	double quick = NAN;

	if (!sorted)
		return quick;
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	quick = sorted[n / 10];
	free(sorted);
	return quick;
}

struct summary quick_difference(const double *of, const double *from, size_t lives, size_t rounds)
{
	double *values = calloc(lives, sizeof(*values));
	struct summary s = { NAN, NAN, NAN };

	if (!values)
		return s;
	for (size_t i = 0; i < lives; i++)
		values[i] = quickest_tenth(of + i * rounds, rounds) - quickest_tenth(from + i * rounds, rounds);
	s = summarize(values, lives);
	free(values);
	return s;
}

double quick_median(const double *values, size_t lives, size_t rounds)
{
	double *zero = calloc(lives * rounds, sizeof(*zero));
	double median = zero ? quick_difference(values, zero, lives, rounds).median : NAN;

	free(zero);
	return median;
}

void table_heading(void)
{
	printf("%-43s %-27s %13s  %-19s %s\n", "what", "compared with", "median", "quartiles", "target");
}

void section(const char *title)
{
	printf("\n%s\n", title);
}

void row(const char *what, const char *against, struct summary value, const char *unit, double target)
{
	char median[32], spread[48];

	snprintf(median, sizeof(median), "%.4g %s", value.median, unit);
	snprintf(spread, sizeof(spread), "%.4g to %.4g", value.low, value.high);
	if (value.low == value.high)
		snprintf(spread, sizeof(spread), "the same");
	printf("  %-41s %-27s %13s  %-19s", what, against, median, spread);
	if (target == NO_TARGET)
		printf(" -");
	else
		printf(" <= %-4g %s", target, value.median <= target ? "ok" : "over");
	putchar('\n');
	fflush(stdout);
}

void row_not_installed(const char *what, const char *program)
{
	printf("  %-41s %s is not installed\n", what, program);
}

void row_failed(const char *what, const char *why)
{
	printf("  %-41s not measured: %s\n", what, why);
	failed = true;
}

bool any_failed(void)
{
	return failed;
}
