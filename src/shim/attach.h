/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's hold on table and ledger. Mapped when the object is loaded, so that a program which changes its root or its
 * user later keeps them; looked for again, once a second at most, where there is none, or where another file has their
 * name.
 *
 * Async-signal-safe. The addresses of a mapping are never given back while the process lives, because another thread may be reading
 * there; what an older one than the last eight held is, and a dial that has been under way through all of these reads zeros. How
 * many a process has in its life is bounded: with the last of them it goes on.
 */
#ifndef FAIRDIAL_SHIM_ATTACH_H
#define FAIRDIAL_SHIM_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "shim/settings.h"
#include "table/freshness.h"
#include "table/map.h"

struct attachment {
	struct table table;
	struct ledger ledger;
	struct file_id id;
	uint64_t identity; /* of this pod */
	char dir[SETTINGS_PATH]; /* of the table */
	int is_whole;		 /* set last, released */
};

/* The settings, read at the first call. NULL while another thread reads them, or a handler interrupted that. */
const struct settings *attach_settings(void);

/*
 * Looks for a table where there is none. NULL where there is still none: the dial goes through.
 *
 * `fd`: the socket that dials; ATTACH_LOOKUP: a name is looked up. Where it is asked for, a dial of TCP and a lookup start an
 * agent (autostart.h), and those that may block wait for a table that is being made: all of a process together no longer than
 * FAIRDIAL_WAIT. A signal handler without SA_RESTART ends the wait of a dial, and is to end the dial: ATTACH_INTERRUPTED.
 */
const struct attachment *attach_get(int fd);

#define ATTACH_LOOKUP	   INT32_MIN
#define ATTACH_NO_WAIT	   (INT32_MIN + 1) /* a dial of TCP that is not to wait, whatever its socket is like */
#define ATTACH_NO_SOCKET   (-1) /* a number is looked up, which starts nothing and waits for nothing: its dial does */
#define ATTACH_INTERRUPTED ((const struct attachment *)UINTPTR_MAX)

/* Neither NULL nor ATTACH_INTERRUPTED, in one comparison. */
static inline bool attach_is(const struct attachment *attachment)
{
	return (uintptr_t)attachment + 1 > 1;
}

/* What it was the last time; looks for nothing. */
const struct attachment *attach_current(void);

/* Called by dials and lookups: once a second, whether the names of table and ledger lead to other files by now. */
void attach_refresh(const struct attachment *attachment);

#endif
