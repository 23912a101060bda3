/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a table is believed: of which boot it is, and when its agent was last heard. Shared by the shim, which goes by it, and
 * by who tells beforehand what the shim would do. Async-signal-safe.
 */
#ifndef FAIRDIAL_TABLE_FRESHNESS_H
#define FAIRDIAL_TABLE_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "table/table.h"

#define TABLE_QUIET_AFTER_MS 5000

enum freshness {
	FRESH,	   /* use it for all */
	QUIET,	   /* no heartbeat for five seconds: no names */
	STALE,	   /* none for stale_after: only Services without an address of their own */
};

/* `stale_after_ms`: of its rules; `now_ms`: CLOCK_BOOTTIME. A static table is always FRESH. Pure. */
enum freshness table_freshness(const struct table *table, uint32_t stale_after_ms, uint64_t now_ms);

/*
 * A table with a heartbeat is of one boot. Where either side cannot tell which (no /proc), the heartbeat has to do: one of a time
 * that has not come yet is of an earlier boot. Asks the kernel, so not for every dial.
 */
bool table_is_of_boot(const struct table *table);

#endif
