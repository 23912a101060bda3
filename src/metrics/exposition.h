/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is measured, as text for who scrapes it: Prometheus's format 0.0.4, or OpenMetrics 1.0 for those that ask for it. The two
 * differ in how a family is named (a counter's without its "_total"), in UNIT, and in the line at the end.
 *
 *	exposition_begin(&e, exposition_accepts(accept));
 *	exposition_family(&e, &metric);
 *	exposition_count(&e, labels, n, 7);	as many samples as there are; all of a family together
 *	...
 *	exposition_end(&e);			false where the memory ran out
 *
 * Texts of labels are other people's: they are escaped, and what is no UTF-8 in them (RFC 3629) becomes '?', because a scraper
 * refuses the whole answer for one such byte.
 */
#ifndef FAIRDIAL_METRICS_EXPOSITION_H
#define FAIRDIAL_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct histogram;

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_INFO, METRIC_HISTOGRAM };

/* A family: one row each in metrics.c. */
struct metric {
	const char *name; /* of its samples: "fairdial_service_dials_total" */
	enum metric_type type;
	const char *unit;   /* "seconds", which is the end of the name; NULL: none */
	const char *labels; /* "namespace,service,port", for people and tests; NULL: none */
	const char *help;
};

struct label {
	const char *name, *value;
};

/* The text is `at`, of `len` bytes and with no NUL behind it; whoever wants it frees it. */
struct exposition {
	enum exposition_format format;
	const struct metric *metric;
	char *at;
	size_t len, size;
	bool failed; /* no memory; what follows is left out */
};

/* By an Accept header as it came; NULL: there was none. The plain text, unless the other is named and wanted as much. */
enum exposition_format exposition_accepts(const char *accept);
const char *exposition_content_type(enum exposition_format format);

/* "counter", as the plain text has it. */
const char *metric_type_name(enum metric_type type);

void exposition_begin(struct exposition *e, enum exposition_format format);
void exposition_family(struct exposition *e, const struct metric *metric);
void exposition_count(struct exposition *e, const struct label *labels, size_t n, uint64_t value);
void exposition_number(struct exposition *e, const struct label *labels, size_t n, double value);
void exposition_histogram(struct exposition *e, const struct histogram *histogram);
bool exposition_end(struct exposition *e);

#endif
