/* SPDX-License-Identifier: Apache-2.0 */
/* One whole generation of a table with its ledger's numbers, copied, for the verbs that show it. */
#ifndef FAIRDIAL_VIEW_SNAPSHOT_H
#define FAIRDIAL_VIEW_SNAPSHOT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/report.h"
#include "ledger/moves.h"
#include "table/layout.h"

#define SNAPSHOT_SHARED 4

struct snapshot_service;

struct snapshot_endpoint {
	struct addr addr;
	bool ready, terminating, usable;
	uint32_t weight;
	char zone[TABLE_NAME_SIZE];
	struct ledger_key key;
	struct ledger_score score; /* of the address, whichever Service it was dialed through: */
	const struct snapshot_service *shared[SNAPSHOT_SHARED]; /* the first of the other Services that have it */
	size_t shared_count; /* one more than that: there are more */
};

struct snapshot_port {
	char name[TABLE_NAME_SIZE];
	uint16_t port;
	const char *protocol, *balance;
	double evenness;
	struct ledger_key cursor;
	struct ledger_moves moves; /* connections that were closed for others to be dialed in their place */
	struct snapshot_endpoint *endpoints;
	size_t endpoint_count;
};

struct snapshot_service {
	char name[TABLE_NAME_SIZE], namespace[TABLE_NAME_SIZE];
	const char *mode;
	bool observed; /* its dials are counted and pass: the numbers are what would have been */
	char stand_down[96]; /* "": it does not */
	bool has_own_address; /* somebody else serves it too: a dial can be passed through */
	struct table_policy policy;
	struct addr *addresses;
	size_t address_count;
	struct snapshot_port *ports;
	size_t port_count;
};

struct snapshot {
	bool is_static, alive; /* alive: its list is vouched for */
	uint64_t generation, age_ms, stale_after_ms;
	uint64_t mark, published_ms; /* for snapshot_renew */
	bool has_note;	   /* the writer tells of itself: */
	uint64_t silent_ms; /* since the process last said that it lives */
	uint64_t delay_ms;  /* of the last change, from its cause to the table; UINT64_MAX: unknown */
	uint64_t trouble_since_ms; /* CLOCK_REALTIME */
	char trouble[TABLE_NOTE_SIZE]; /* "" where all is well */
	char source[TABLE_SOURCE_SIZE];
	int ledger_error; /* 0, or why there are no counts; a ledger that nobody has made yet is none */
	struct snapshot_service *services;
	size_t service_count; /* those that were asked for */
	size_t all_count;     /* behind them, the others of the table */
	struct snapshot_endpoint **backends; /* of all, each address once, in their order: for snapshot_renew */
	size_t backend_count;
};

/*
 * Reads DIR/table and DIR/ledger (or FAIRDIAL_LEDGER), of whose counts of open connections a copy is mended by the sockets that can
 * be seen here: both files stay as they are. `trust`: whose table counts (cli_trust). `name`, which may be NULL, is NAME or
 * NAME.NAMESPACE. 0, or a negative errno; -ESTALE where no shim believes it, as it is of an earlier boot; -EBADMSG with a reason
 * where a check of the whole table fails. The caller frees the snapshot.
 */
int snapshot_take(const char *dir, const struct trust *trust, const char *name, struct snapshot *ret_snapshot,
		  struct report *report);
void snapshot_free(struct snapshot *snapshot);

/* How many endpoints so many Services have; one that several have is counted for each. */
size_t snapshot_endpoints(const struct snapshot_service *services, size_t count);

/*
 * Makes a snapshot of the same `dir`, `trust` and `name` a newer one. While the table says what it said, which a look at its head
 * tells, its numbers alone are read again: 0. Otherwise it is taken anew, with a check of the whole: 1. A negative errno as
 * above: then it stays as it was.
 */
int snapshot_renew(const char *dir, const struct trust *trust, const char *name, struct snapshot *snapshot, struct report *report);

/* Where the ledger is that belongs to a table in `dir`: beside it, or FAIRDIAL_LEDGER. 0; -ENAMETOOLONG. */
int snapshot_ledger_path(const char *dir, char ret_path[PATH_MAX]);

/* That one. As ledger_open. */
int snapshot_open_ledger(const char *dir, const struct trust *trust, enum ledger_opening opening, struct ledger *ret_ledger);

/* Of the dials of those that may be dialed (balance/evenness.h). */
double evenness_of(const struct snapshot_endpoint *endpoints, size_t count);

/* What picking at random would have given for as many. */
double random_evenness_of(const struct snapshot_endpoint *endpoints, size_t count);

#endif
