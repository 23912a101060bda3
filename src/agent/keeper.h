/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the ledger true from within the pod's network namespace: mends the counts of backends whose sockets ended, and tells
 * the failures that a program met after its dial had returned.
 *
 * For one thread and its loop on poll(2): no function blocks, and each does a bounded amount of work. It may be killed at
 * any moment; shims mend again when its sign of life is three seconds old, and a successor on the same ledger goes on where
 * it was.
 *
 * `now_ms` is CLOCK_BOOTTIME in milliseconds (clock_boot_ms), as everywhere in the ledger.
 */
#ifndef FAIRDIAL_AGENT_KEEPER_H
#define FAIRDIAL_AGENT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/report.h"
#include "table/table.h"

struct keeper;
struct ledger;

/* Where the backends come from: the table as it is now. It may become another one, or NULL while there is none. */
struct keeper_rows {
	const void *of;
	const struct table *(*table)(const void *of);
};

/*
 * `ledger_path` and `ledger_mode` are those of the ledger, which is made if there is none as soon as there is a table;
 * `shared_network`: the network namespace is the node's (hostNetwork). 0; or -ENAMETOOLONG, -ENOMEM, with a line in `why`. A
 * ledger that cannot be had is tried for again each second. keeper_close frees it.
 */
int keeper_open(const struct keeper_rows *rows, const char *ledger_path, unsigned ledger_mode, bool shared_network,
		struct keeper **ret, struct report *why);

/* To be polled for reading; -1: the kernel tells of no events, and the counts are mended once a second alone. */
int keeper_fd(const struct keeper *keeper);

/* Takes what the kernel has told. Some may be left for the next call. */
void keeper_read(struct keeper *keeper, uint64_t now_ms);

/* In how many milliseconds keeper_run has something to do; 0: now. Changes with every keeper_read and every new table. */
int keeper_due_ms(const struct keeper *keeper, uint64_t now_ms);

/* Does what is due: its sign of life, the ledger opened anew where it became too small or another file, mends. */
void keeper_run(struct keeper *keeper, uint64_t now_ms);

/* The ledger as it is now; `base` is NULL while there is none. Valid until keeper_run. */
const struct ledger *keeper_ledger(const struct keeper *keeper);

/*
 * Whether anybody has used the backends since the last call: dialed one, or holds a connection to one now. True also where that
 * cannot be told, there being no ledger.
 */
bool keeper_was_used(struct keeper *keeper);

/* The shims mend again from now on. NULL is accepted. */
void keeper_close(struct keeper *keeper);

#endif
