/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short sleep inside a call of the program that may be interrupted, as connect(2) may: whoever sleeps has to know what
 * came, because a handler that is told SA_RESTART leaves the call going on, and another ends it with EINTR. sleep(2)s do not
 * tell one from the other. So signals are held back for the length of the sleep, looked at, and let go at its end: their
 * handlers run then, before this returns.
 *
 * Async-signal-safe; errno stays. A handler may leave by longjmp(3): nothing is held then.
 */
#ifndef FAIRDIAL_SHIM_PAUSE_H
#define FAIRDIAL_SHIM_PAUSE_H

enum pause_end {
	PAUSE_OVER,	   /* also where handlers ran that restart what they interrupt */
	PAUSE_INTERRUPTED, /* by a handler that does not */
	PAUSE_WANTED,	   /* by a signal of the C library's own, which may be a cancellation: go on to where that can be */
};

/* A signal waits for so long: not for more than some milliseconds at a time. */
enum pause_end pause_ms(unsigned ms);

#endif
