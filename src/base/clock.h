/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time since boot, sleep included: the one clock that all processes and containers of a host share and that
 * nobody can set. Async-signal-safe.
 */
#ifndef FAIRDIAL_BASE_CLOCK_H
#define FAIRDIAL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/sys.h"

/* Weak: where the host has no libc, or one that keeps the function in a library it did not load. */
extern __typeof__(clock_gettime) clock_gettime __attribute__((weak));

static inline uint64_t clock_read_ns(int clock)
{
	struct timespec ts = { 0, 0 };

	/* The libc's version reads the vDSO, without a system call; it sets errno only on failure. */
	if (!clock_gettime || clock_gettime(clock, &ts) != 0)
		sys_clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Milliseconds since boot. */
static inline uint64_t clock_boot_ms(void)
{
	return clock_read_ns(CLOCK_BOOTTIME) / 1000000u;
}

/* Milliseconds since 1970, for people. */
static inline uint64_t clock_wall_ms(void)
{
	return clock_read_ns(CLOCK_REALTIME) / 1000000u;
}

#endif
