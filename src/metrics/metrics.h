/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The families that an agent tells of itself, one row each in metrics.c: names, types, units, labels and help come from the rows.
 *
 * There is one series for each port of a Service, never one for each endpoint or process; tally.h says how many at most.
 */
#ifndef FAIRDIAL_METRICS_METRICS_H
#define FAIRDIAL_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/exposition.h"

struct histogram;
struct tally;

enum metrics_resource { METRICS_SERVICES, METRICS_SLICES, METRICS_RESOURCES };

/* Of all collections of one resource together. The numbers only grow. */
struct metrics_api {
	bool watching; /* all are followed */
	uint64_t lists, watches, events, failures;
	uint64_t silent_ms; /* since the server last said something of the one of which it has said nothing for longest */
};

struct metrics_facts {
	uint64_t started_ms; /* CLOCK_REALTIME */
	bool has_table;
	uint64_t generation, services, endpoints;
	bool waits; /* for another agent to end: the list is that one's to vouch for */
	uint64_t age_ms;
	uint64_t wholes, patches, publish_failures;
	bool has_trouble;
	const struct metrics_api *api;	/* METRICS_RESOURCES of them; NULL: no API is followed */
	const struct histogram *delays; /* likewise */
	const struct tally *tally;	/* after tally_read; NULL: there is no ledger */
};

/* All families, in the order in which they are told. */
extern const struct metric metrics_families[];
extern const size_t metrics_family_count;

/* All that these facts have something to say to, from exposition_begin to exposition_end, which returns. */
bool metrics_write(struct exposition *e, enum exposition_format format, const struct metrics_facts *facts);

#endif
