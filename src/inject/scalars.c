/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/scalars.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are texts. */
#define LENGTH_MAX 512
/* Digits that tell any double from its neighbours. */
#define DIGITS_MAX 17

/* go-yaml's resolveMap. */
static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const trues[] = { "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL };
static const char *const falses[] = { "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL };
static const char *const endless[] = { ".nan",	".NaN",	 ".NAN",  ".inf",  ".Inf",  ".INF", "+.inf",
				       "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL };

static const struct words {
	const char *const *texts;
	enum scalar_kind kind;
} words[] = {
	{ nulls, SCALAR_NULL },
	{ trues, SCALAR_TRUE },
	{ falses, SCALAR_FALSE },
	{ endless, SCALAR_ENDLESS },
};

static bool is_one_of(const char *text, const char *const *texts)
{
	for (; *texts; texts++)
		if (strcmp(*texts, text) == 0)
			return true;
	return false;
}

/* ---- integers: strconv.ParseInt and ParseUint with base 0 ---- */

/* What may follow the prefix, which it steps over. */
static const char *digits_of(const char **at, int *ret_base)
{
	const char *prefix = *at;

	*ret_base = 10;
	if (prefix[0] != '0' || prefix[1] == '\0')
		return "0123456789";
	*at += isdigit((unsigned char)prefix[1]) ? 1 : 2;
	*ret_base = strchr("xX", prefix[1]) ? 16 : strchr("bB", prefix[1]) ? 2 : 8;
	if (*ret_base == 8 && *at == prefix + 2 && !strchr("oO", prefix[1]))
		return "";
	return *ret_base == 16 ? "0123456789abcdefABCDEF" : *ret_base == 2 ? "01" : "01234567";
}

static bool is_integer(const char *text, char ret[SCALAR_NUMBER_SIZE])
{
	bool is_signed = *text == '-' || *text == '+', is_negative = *text == '-';
	const char *at = text + is_signed, *digits;
	unsigned long long value;
	int base;

	digits = digits_of(&at, &base);
	if (!*at || at[strspn(at, digits)])
		return false;
	errno = 0;
	value = strtoull(at, NULL, base);
	if (errno || (is_signed && value > (unsigned long long)INT64_MAX + is_negative))
		return false;
	snprintf(ret, SCALAR_NUMBER_SIZE, "%s%llu", is_negative && value ? "-" : "", value);
	return true;
}

/* ---- others ---- */

static const char *skip_digits(const char *at)
{
	while (isdigit((unsigned char)*at))
		at++;
	return at;
}

/* go-yaml's yamlStyleFloat: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool has_form_of_float(const char *at)
{
	const char *from;

	at += *at == '-' || *at == '+';
	from = at;
	at = skip_digits(at);
	if (at == from && !(at[0] == '.' && isdigit((unsigned char)at[1])))
		return false;
	if (*at == '.')
		at = skip_digits(at + 1);
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		if (!isdigit((unsigned char)*at))
			return false;
		at = skip_digits(at);
	}
	return *at == '\0';
}

/* The fewest digits that are this double, as "-d.ddde+dd". Returns how many. */
static int shortest(double value, char ret[SCALAR_NUMBER_SIZE])
{
	int digits = 0;

	do
		snprintf(ret, SCALAR_NUMBER_SIZE, "%.*e", digits++, value);
	while (digits < DIGITS_MAX && strtod(ret, NULL) != value);
	return digits;
}

/* encoding/json's floatEncoder: an exponent below 1e-6 and from 1e21 on, of one digit where one is enough. */
static void write_double(double value, char ret[SCALAR_NUMBER_SIZE])
{
	char exact[SCALAR_NUMBER_SIZE], *e, *out = ret;
	int digits = shortest(value, exact), exponent;

	e = strchr(exact, 'e');
	exponent = atoi(e + 1);
	if (value != 0 && (exponent < -6 || exponent >= 21)) {
		snprintf(ret, SCALAR_NUMBER_SIZE, "%.*se%c%d", (int)(e - exact), exact, exponent < 0 ? '-' : '+',
			 abs(exponent));
		return;
	}
	if (exponent < digits - 1) {
		snprintf(ret, SCALAR_NUMBER_SIZE, "%.*f", digits - 1 - exponent, value);
		return;
	}
	/* All digits are in front of the point, with zeros where there are none. */
	for (const char *c = exact; c < e; c++)
		if (*c != '.')
			*out++ = *c;
	memset(out, '0', (size_t)(exponent - digits + 1));
	out[exponent - digits + 1] = '\0';
}

static bool is_float(const char *text, char ret[SCALAR_NUMBER_SIZE])
{
	double value;

	if (!has_form_of_float(text))
		return false;
	value = strtod(text, NULL);
	if (isinf(value)) /* out of range: ParseFloat's error, which leaves the text */
		return false;
	write_double(value, ret);
	return true;
}

static bool is_number(const char *text, char ret[SCALAR_NUMBER_SIZE])
{
	char plain[LENGTH_MAX];
	size_t n = 0;

	if (*text == '.')
		return strlen(text) < LENGTH_MAX && is_float(text, ret);
	if (!isdigit((unsigned char)*text) && *text != '-' && *text != '+')
		return false;
	for (; *text && n < sizeof(plain) - 1; text++)
		if (*text != '_')
			plain[n++] = *text;
	plain[n] = '\0';
	return *text == '\0' && (is_integer(plain, ret) || is_float(plain, ret));
}

enum scalar_kind scalars_kind(const char *text, char ret_number[SCALAR_NUMBER_SIZE])
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (is_one_of(text, words[i].texts))
			return words[i].kind;
	return is_number(text, ret_number) ? SCALAR_NUMBER : SCALAR_TEXT;
}
