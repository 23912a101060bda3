/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters for each port of a Service, which only grow. The ledger counts for each backend, and a backend goes: a sum over those
 * that are there would fall then, and who scrapes it would take that for a new beginning. So what a backend's words have grown by
 * since the last look is added to each Service port that had it then, or has it now where it had not been anybody's; the numbers
 * of one that left since are told to those that it left, as long as nobody else has its row. All of it begins with 0: what was
 * counted before the first look is none of ours.
 *
 * A backend of several Services counts for each of them: the ledger does not know for which of them it was dialed.
 *
 * Words of the ledger are anybody's to write. One that goes back, which is damage, adds nothing; one that jumps adds less than
 * 2^31.
 *
 * Ejections have no count in the ledger. They are seen: a verdict that was not there at the last look counts one. Verdicts of one
 * backend that follow each other between two looks count one; so does none that a success has taken back by then.
 *
 * At most TALLY_SERIES Service ports have numbers of their own: those that were dialed first, before others that were not. One
 * that was dialed keeps its place while it is in the table and TALLY_GONE_MS longer, for the same one to go on where it was, and
 * for a last look at what it has come to. All others share one sum.
 *
 * Pure: the caller has the table, the ledger and the clock. Only TCP is dialed, so only that is counted.
 */
#ifndef FAIRDIAL_METRICS_TALLY_H
#define FAIRDIAL_METRICS_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/layout.h"
#include "table/layout.h"

struct ledger;
struct table;
struct tally;

#define TALLY_SERIES  1000
#define TALLY_GONE_MS 300000

struct tally_counts {
	uint64_t dials, failures, ejections;
	uint64_t moved[LEDGER_MOVE_REASONS], would_have[LEDGER_MOVE_REASONS]; /* [reason - 1] */
};

/* One Service port with numbers of its own, or all of the others together. */
struct tally_series {
	char namespace[TABLE_NAME_SIZE], service[TABLE_NAME_SIZE];
	uint16_t port;
	bool is_others;	 /* namespace "", service "_other", and no port; neither evenness nor a mode */
	bool is_present; /* else it has left the table: `counts` alone */
	bool may_move;	 /* its policy has connections closed, or some were */
	struct tally_counts counts;

	/* As of tally_read. */
	uint64_t open; /* connections */
	uint32_t usable, ejected, excluded; /* endpoints; each is one of these */
	double evenness, random;	     /* balance/evenness.h: of dials since the table was made */
	uint32_t mode;			     /* enum fairdial_mode */
};

/* NULL where there is no memory; NULL is accepted by tally_free. */
struct tally *tally_new(void);
void tally_free(struct tally *tally);

/*
 * Takes in what the ledger has come to, for the table of the last look, then the table of now. A ledger that is another one than
 * at the last look counts from 0, but for the first of all. 0; -EAGAIN where there is no table yet, or no whole one; -ENOMEM,
 * where counts are kept, and the table is the one before.
 */
int tally_look(struct tally *tally, const struct table *table, const struct ledger *ledger, uint64_t now_ms);

/* Whether a look now may see what one later would not: the table is another one, or somebody is being ejected. */
bool tally_is_due(const struct tally *tally, const struct table *table, const struct ledger *ledger, uint64_t now_ms);

/* What is true now of the table and the ledger of the last look. */
void tally_read(struct tally *tally, const struct ledger *ledger, uint64_t now_ms);

/* The next series from `*at` on, which is 0 at the beginning; the others' is the last, where there are any. NULL at the end. */
const struct tally_series *tally_next(const struct tally *tally, size_t *at);

/* Service ports of the table that have no numbers of their own; as of tally_read. */
size_t tally_folded(const struct tally *tally);

#endif
