/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/exposition.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "metrics/histogram.h"

#define FIRST_SIZE 8192
#define TOTAL	   "_total"
#define INFO	   "_info"

/* ---- the Accept header ---- */

/* A weight, "0.75", in thousandths (RFC 9110, 12.4.2); what is none counts as 1, as where none is given. */
static unsigned weight_of(struct slice text)
{
	unsigned weight = 0, place = 100;

	text = slice_trim(text);
	if (!text.len || (text.at[0] != '0' && text.at[0] != '1'))
		return 1000;
	if (text.at[0] == '1' || text.len < 2)
		return text.at[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < text.len && place && text_is_digit(text.at[i]); i++, place /= 10)
		weight += place * (unsigned)(text.at[i] - '0');
	return weight;
}

/* One entry of the list: its type, its weight, and whether it asks for another version than ours. */
static void take_entry(struct slice entry, unsigned *text_weight, unsigned *open_weight)
{
	struct slice rest = entry, type = slice_trim(slice_cut(&rest, ';'));
	bool is_other_version = false;
	unsigned weight = 1000;
	unsigned *to = NULL;

	while (rest.at) {
		struct slice value = slice_cut(&rest, ';'), name = slice_trim(slice_cut(&value, '='));

		if (slice_equal_nocase(name, slice_of("q")) && value.at)
			weight = weight_of(value);
		else if (slice_equal_nocase(name, slice_of("version")) && value.at)
			is_other_version = !slice_is(slice_trim(value), "1.0.0");
	}
	if (slice_equal_nocase(type, slice_of("application/openmetrics-text")) && !is_other_version)
		to = open_weight;
	else if (slice_equal_nocase(type, slice_of("text/plain")) || slice_equal_nocase(type, slice_of("text/*")) ||
		 slice_is(type, "*/*"))
		to = text_weight;
	if (to && weight > *to)
		*to = weight;
}

enum exposition_format exposition_accepts(const char *accept)
{
	struct slice rest = slice_of(accept);
	unsigned text_weight = 0, open_weight = 0;

	while (rest.at)
		take_entry(slice_cut(&rest, ','), &text_weight, &open_weight);
	return open_weight && open_weight >= text_weight ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition_format format)
{
	return format == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						: "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- bytes ---- */

static char *room_for(struct exposition *e, size_t n)
{
	size_t size = e->size ? e->size : FIRST_SIZE;
	char *larger;

	while (size - e->len < n)
		size *= 2;
	if (e->failed || size == e->size)
		return e->failed ? NULL : e->at + e->len;
	larger = realloc(e->at, size);
	if (!larger) {
		e->failed = true;
		return NULL;
	}
	e->at = larger;
	e->size = size;
	return e->at + e->len;
}

static void put_bytes(struct exposition *e, const char *bytes, size_t n)
{
	char *to = room_for(e, n);

	if (!to)
		return;
	memcpy(to, bytes, n);
	e->len += n;
}

static void put(struct exposition *e, const char *text)
{
	put_bytes(e, text, strlen(text));
}

static void put_format(struct exposition *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_format(struct exposition *e, const char *format, ...)
{
	char number[64];
	va_list args;

	va_start(args, format);
	vsnprintf(number, sizeof(number), format, args);
	va_end(args);
	put(e, number);
}

static void put_escaped_byte(struct exposition *e, char c, bool quotes)
{
	if (c == '\n')
		put(e, "\\n");
	else if (c == '\\' || (c == '"' && quotes))
		put_bytes(e, (const char[]){ '\\', c }, 2);
	else
		put_bytes(e, &c, 1);
}

/* What a terminal obeys is taken out here too: people read this page with curl. */
static void put_escaped(struct exposition *e, const char *text, bool quotes)
{
	size_t len = strlen(text), skip;

	for (size_t i = 0; i < len; i += skip) {
		size_t n = text_plain_at(text + i, len - i, &skip);

		if (skip == 1 && (n || text[i] == '\n'))
			put_escaped_byte(e, text[i], quotes);
		else
			put_bytes(e, n ? text + i : "?", n ? n : 1);
	}
}

/* ---- families ---- */

const char *metric_type_name(enum metric_type type)
{
	static const char *const names[] = {
		[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_INFO] = "gauge", [METRIC_HISTOGRAM] = "histogram"
	};

	return names[type];
}

/* What all names of samples of the family begin with. */
static size_t family_length(const struct exposition *e)
{
	const char *ending = e->metric->type == METRIC_COUNTER ? TOTAL : e->metric->type == METRIC_INFO ? INFO : "";
	size_t len = strlen(e->metric->name);

	return e->format == EXPOSITION_OPENMETRICS ? len - strlen(ending) : len;
}

static void put_head(struct exposition *e, const char *what, const char *text)
{
	put(e, what);
	put_bytes(e, e->metric->name, family_length(e));
	put(e, " ");
	put_escaped(e, text, e->format == EXPOSITION_OPENMETRICS);
	put(e, "\n");
}

void exposition_begin(struct exposition *e, enum exposition_format format)
{
	*e = (struct exposition){ .format = format };
}

void exposition_family(struct exposition *e, const struct metric *metric)
{
	bool is_open = e->format == EXPOSITION_OPENMETRICS;

	e->metric = metric;
	put_head(e, "# HELP ", metric->help);
	put_head(e, "# TYPE ", is_open && metric->type == METRIC_INFO ? "info" : metric_type_name(metric->type));
	if (is_open && metric->unit)
		put_head(e, "# UNIT ", metric->unit);
}

/* ---- samples ---- */

static void put_sample(struct exposition *e, const char *ending, const struct label *labels, size_t n)
{
	put(e, e->metric->name);
	put(e, ending);
	for (size_t i = 0; i < n; i++) {
		put(e, i ? "," : "{");
		put(e, labels[i].name);
		put(e, "=\"");
		put_escaped(e, labels[i].value, true);
		put(e, "\"");
	}
	put(e, n ? "} " : " ");
}

void exposition_count(struct exposition *e, const struct label *labels, size_t n, uint64_t value)
{
	put_sample(e, "", labels, n);
	put_format(e, "%llu\n", (unsigned long long)value);
}

void exposition_number(struct exposition *e, const struct label *labels, size_t n, double value)
{
	put_sample(e, "", labels, n);
	put_format(e, "%.15g\n", value);
}

void exposition_histogram(struct exposition *e, const struct histogram *h)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		const struct label bound = { "le", i < HISTOGRAM_BOUNDS ? histogram_bounds[i] : "+Inf" };

		count += h->buckets[i];
		put_sample(e, "_bucket", &bound, 1);
		put_format(e, "%llu\n", (unsigned long long)count);
	}
	put_sample(e, "_sum", NULL, 0);
	put_format(e, "%.15g\n", (double)h->sum_ms / 1000);
	put_sample(e, "_count", NULL, 0);
	put_format(e, "%llu\n", (unsigned long long)count);
}

bool exposition_end(struct exposition *e)
{
	if (e->format == EXPOSITION_OPENMETRICS)
		put(e, "# EOF\n");
	return !e->failed;
}
