/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as the kernel has them: for code that must not ask the C library, which hides two or three of the 64 and keeps its
 * own idea of the rest. Async-signal-safe.
 */
#ifndef FAIRDIAL_BASE_SIGNALS_H
#define FAIRDIAL_BASE_SIGNALS_H

#include <stdint.h>
#include <time.h>

#include "base/sys.h"

#define SIGNALS_LAST 64
#define SIGNAL_PIPE  13
#define SIGNAL_SIZE  25 /* SIGXFSZ */
#define SIGNAL_TRAP  31 /* SIGSYS */

/* glibc keeps 32 and 33 for itself, musl 34 too (pthreads(7)): a change of user is one of their uses. */
#define SIGNALS_LIBC (7ull << (32 - 1))

/*
 * All but those that nobody can block, and SIGSYS: with it a filter of system calls (seccomp(2), SECCOMP_RET_TRAP) hands a
 * call to the program's own handler. Where it is blocked the kernel does not hand over, but kills.
 */
#define SIGNALS_ALL (UINT64_MAX & ~(1ull << (SIGNAL_TRAP - 1)))

/* struct sigaction of the kernel, on x86-64 and aarch64 alike. */
struct signal_action {
	uint64_t handler; /* 0: as by default; 1: ignored */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

#define SIGNAL_DEFAULT	0u
#define SIGNAL_IGNORED	1u
#define SIGNAL_RESTARTS 0x10000000u /* SA_RESTART */

static inline uint64_t signal_bit(int number)
{
	return 1ull << (number - 1);
}

/* The thread's mask becomes `set`. What it was. */
static inline uint64_t signals_mask(uint64_t set)
{
	uint64_t before = 0;

	sys_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&set, (long)&before, sizeof(set), 0, 0);
	return before;
}

/* The thread's mask gets `more`. What it was. */
static inline uint64_t signals_block(uint64_t more)
{
	uint64_t before = 0;

	sys_call(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&more, (long)&before, sizeof(more), 0, 0);
	return before;
}

/* One of `set`, which are blocked, is as if it had never come; nobody waits where none has. */
static inline void signals_drop(uint64_t set)
{
	const struct timespec now = { 0, 0 };

	sys_call(SYS_rt_sigtimedwait, (long)&set, 0, (long)&now, sizeof(set), 0, 0);
}

/* Those that wait for this thread, or for any of the process. */
static inline uint64_t signals_pending(void)
{
	uint64_t set = 0;

	sys_call(SYS_rt_sigpending, (long)&set, sizeof(set), 0, 0, 0, 0);
	return set;
}

static inline struct signal_action signal_action(int number)
{
	struct signal_action action = { 0, 0, 0, 0 };

	sys_call(SYS_rt_sigaction, number, 0, (long)&action, sizeof(action.mask), 0, 0);
	return action;
}

static inline void signal_set_default(int number)
{
	const struct signal_action action = { 0, 0, 0, 0 };

	sys_call(SYS_rt_sigaction, number, (long)&action, 0, sizeof(action.mask), 0, 0);
}

#endif
