/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dials per second, from two readings of the ledger. What an endpoint had before is found by its ledger key, so that a slot
 * which passes on to another endpoint is no jump. Pure but for memory.
 */
#ifndef FAIRDIAL_TOP_RATES_H
#define FAIRDIAL_TOP_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

struct snapshot;
struct rates_slot;

/* The former reading; all zero: there was none. */
struct rates {
	struct rates_slot *slots; /* open addressing, 2^n */
	size_t capacity;
	uint64_t taken_ns;  /* CLOCK_MONOTONIC */
	double elapsed_s; /* from it to the reading that is shown; 0: no rate is known */
};

#define RATE_UNKNOWN (-1.0)

/* Remembers a reading, in place of the one before it. 0, or -ENOMEM, and then nothing is known. */
int rates_keep(struct rates *rates, const struct snapshot *snapshot, uint64_t taken_ns);

/* The reading that follows it was taken then. */
void rates_until(struct rates *rates, uint64_t taken_ns);

/* Dials per second of an endpoint that has this many now; RATE_UNKNOWN where it was not there before, or counts anew. */
double rates_of(const struct rates *rates, struct ledger_key key, uint32_t dials);

void rates_free(struct rates *rates);

#endif
