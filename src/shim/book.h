/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process has dialed for Services whose connections may be closed (drain, rebalance, max_age): descriptor, socket cookie,
 * endpoint, time. Nobody hooks close(2): an entry is a hint, and whoever acts on one asks the kernel first (leave.h). One that is
 * wrong is dropped by whoever finds out.
 *
 * Its memory is mapped at the first entry, so a program that asks for none of these has none of it, and a child of fork(2)
 * begins with an empty one (MADV_WIPEONFORK): what it inherits is its parent's to close. A child of vfork(2) shares its parent's
 * memory, and books nothing.
 */
#ifndef FAIRDIAL_SHIM_BOOK_H
#define FAIRDIAL_SHIM_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define BOOK_PLACES 4096 /* by descriptor, modulo this: of two descriptors with one place the later dial has it */

struct booked {
	uint64_t cookie; /* SO_COOKIE: no two sockets of a boot share one */
	uint64_t born_ms; /* CLOCK_BOOTTIME, of the dial */
	struct addr dest; /* the Service's address, as it was dialed */
	struct addr peer; /* the endpoint; where `observed`, the one that would have been */
	int32_t fd;
	uint32_t observed; /* 1: the dial passed unchanged (mode observe) */
};

/*
 * The mover's life in this process: one word, beside the entries. 0: none; what the others are is mover.c's. NULL: there is no
 * memory, or none that a child of fork would find empty (Linux before 4.14), or this is a child of vfork; or nobody
 * has booked anything yet.
 */
uint64_t *book_life(void);

/*
 * Writes an entry over what its place had. False: not written, because there is no memory (above), or another thread, or the call
 * that a signal handler interrupted, is writing there; that connection stays where it is. Async-signal-safe: no locks; one mmap(2)
 * and one madvise(2) in the life of the process.
 */
bool book_add(const struct booked *entry);

/* The first entry at place `from` or behind it: its place, and a whole copy. -1: there is none. For the mover's thread. */
int book_next(int from, struct booked *ret_entry);

/* Empties a place, if it still has this socket. */
void book_drop(int place, uint64_t cookie);

#endif
