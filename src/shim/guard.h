/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a blocking dial has changed on its socket is put back also where the thread ends in the middle of it. glibc unwinds the
 * stack of a thread that is cancelled, or that calls pthread_exit in a signal handler, as C++ does for an exception, and on its way
 * asks each frame's personality routine (Itanium C++ ABI, level 1). Ours is called for the frame of the connect alone, so nothing
 * is registered anywhere, and a frame that is left in another way (longjmp, setcontext, a vfork child that is killed) leaves
 * nothing behind that anybody would call; only the socket keeps what was changed, as under musl, which does not unwind.
 *
 * Async-signal-safe. What is kept is copied: of several threads, and of handlers that interrupt a dial, each has a place
 * of its own; where all are taken there is no guard.
 */
#ifndef FAIRDIAL_SHIM_GUARD_H
#define FAIRDIAL_SHIM_GUARD_H

#include <stdbool.h>
#include <sys/time.h>

#include "ledger/ledger.h"

struct guarded {
	int fd;
	unsigned bound_ms, handshake_ms;    /* TCP_USER_TIMEOUT: as it was set, and as the program had it */
	struct timeval send;		    /* SO_SNDTIMEO as the program had it */
	bool handshake_changed, send_changed;
	const struct ledger *ledger;	    /* where its place is claimed */
	struct ledger_key key;
};

/* A place for it; NULL: there is none, or this libc does not unwind. */
struct guard;
struct guard *guard_enter(const struct guarded *guarded);
void guard_leave(struct guard *guard); /* NULL is accepted */

/* In the function that calls connect between the two, which must not be inlined. 0x1b: relative, four bytes, signed. */
#define GUARD_THIS_FRAME() __asm__ volatile(".cfi_personality 0x1b, fairdial_unwind")

#endif
