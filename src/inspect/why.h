/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a process is not spread, and why a connection went to a Service's own address instead of an endpoint: facts in, a reason
 * out. Pure.
 *
 * What is seen is the present; a dial is in the past. Where a process could be spread and nothing else explains a connection,
 * it is older than what is seen now, or was made past the shim (WHY_PAST_SHIM).
 */
#ifndef FAIRDIAL_INSPECT_WHY_H
#define FAIRDIAL_INSPECT_WHY_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/processes.h"

enum why {
	WHY_COVERED, /* of a process alone: its dials are spread */
	/* The Service, for whatever process */
	WHY_STANDS_DOWN,
	/* A mode, of one that would be spread */
	WHY_SERVICE_OFF,
	WHY_SERVICE_OBSERVED,
	WHY_OBSERVES, /* the process's own */
	/* The process */
	WHY_NOT_SEEN, /* of a connection alone: no process that can be seen holds it */
	WHY_HIDDEN,
	WHY_GO,
	WHY_STATIC,
	WHY_PRIVILEGED,
	WHY_OTHER_MACHINE,
	WHY_STARTED_BEFORE,
	WHY_NO_FILE,
	WHY_NOEXEC,
	WHY_NOT_LOADED,
	WHY_LOST,
	WHY_NEVER,
	WHY_OFF,
	WHY_OTHER_TABLE,
	WHY_NO_TABLE,
	WHY_LEFT_OUT, /* of a process: it leaves out all that it dials, or all that there is */
	/* Of a connection alone, whose process is covered */
	WHY_STALE,
	WHY_NO_ENDPOINT,
	WHY_PAST_SHIM,
	WHY_COUNT
};

/* One row a reason. */
struct why_row {
	const char *name;   /* for scripts: never changes */
	const char *text;   /* what is so */
	const char *remedy; /* what to do; NULL: nothing is wrong */
};

const struct why_row *why_row(enum why why);

/* What the table says of a Service, now. */
struct why_service {
	const char *name, *namespace;
	uint8_t mode; /* enum fairdial_mode, that of all Services included */
	bool stands_down, is_stale, has_endpoint;
};

/* Whether a mode alone is the reason: it would be spread, were that on. */
static inline bool why_is_mode(enum why why)
{
	return why == WHY_SERVICE_OFF || why == WHY_SERVICE_OBSERVED || why == WHY_OBSERVES;
}

/* WHY_COVERED, or why not. */
enum why why_process(const struct process_seen *process);

/*
 * A connection to a Service's own address. What the process lacks goes before the Service's mode: so that it can be seen,
 * before a mode is changed, who would be missed. `process` NULL: nobody was seen to hold it. Never WHY_COVERED.
 */
enum why why_connection(const struct process_seen *process, const struct why_service *service);

#endif
