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
static const struct word {
	const char *text;
	enum scalar_kind kind;
} words[] = {
	{ "", SCALAR_NULL },	  { "~", SCALAR_NULL },	      { "null", SCALAR_NULL },	  { "Null", SCALAR_NULL },
	{ "NULL", SCALAR_NULL },  { "y", SCALAR_TRUE },	      { "Y", SCALAR_TRUE },	  { "yes", SCALAR_TRUE },
	{ "Yes", SCALAR_TRUE },	  { "YES", SCALAR_TRUE },     { "true", SCALAR_TRUE },	  { "True", SCALAR_TRUE },
	{ "TRUE", SCALAR_TRUE },  { "on", SCALAR_TRUE },      { "On", SCALAR_TRUE },	  { "ON", SCALAR_TRUE },
	{ "n", SCALAR_FALSE },	  { "N", SCALAR_FALSE },      { "no", SCALAR_FALSE },	  { "No", SCALAR_FALSE },
	{ "NO", SCALAR_FALSE },	  { "false", SCALAR_FALSE },  { "False", SCALAR_FALSE },  { "FALSE", SCALAR_FALSE },
	{ "off", SCALAR_FALSE },  { "Off", SCALAR_FALSE },    { "OFF", SCALAR_FALSE },	  { ".nan", SCALAR_ENDLESS },
	{ ".NaN", SCALAR_ENDLESS }, { ".NAN", SCALAR_ENDLESS }, { ".inf", SCALAR_ENDLESS }, { ".Inf", SCALAR_ENDLESS },
	{ ".INF", SCALAR_ENDLESS }, { "+.inf", SCALAR_ENDLESS }, { "+.Inf", SCALAR_ENDLESS }, { "+.INF", SCALAR_ENDLESS },
	{ "-.inf", SCALAR_ENDLESS }, { "-.Inf", SCALAR_ENDLESS }, { "-.INF", SCALAR_ENDLESS },
};

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
		snprintf(ret, SCALAR_NUMBER_SIZE, "%.*se%c%d", (int)(e - exact), exact, exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	if (exponent < digits - 1) {
		snprintf(ret, SCALAR_NUMBER_SIZE, "%.*f", digits - 1 - exponent, value);
		return;
	}
	for (const char *c = exact; c < e; c++) /* all in front of the point, with zeros where the double has no digits */
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
		if (strcmp(words[i].text, text) == 0)
			return words[i].kind;
	return is_number(text, ret_number) ? SCALAR_NUMBER : SCALAR_TEXT;
}
