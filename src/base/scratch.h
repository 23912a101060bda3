/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the length of one call, where a hook needs more than may lie on a stack that can be as small as 16 KiB: mapped, and
 * given back before the hook returns. Async-signal-safe, and safe in a child of fork. What
 * a signal handler that never returns leaves behind stays mapped, and what a child of vfork that is killed does, in its parent.
 */
#ifndef FAIRDIAL_BASE_SCRATCH_H
#define FAIRDIAL_BASE_SCRATCH_H

#include <stddef.h>

#include "base/sys.h"

/* Zeroed; NULL where there is none to be had, and the caller does without what it was for. */
static inline void *scratch_take(size_t size)
{
	void *at = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	return sys_mmap_failed(at) ? NULL : at;
}

/* Of the size that it was taken with; NULL is accepted. */
static inline void scratch_give(void *at, size_t size)
{
	if (at)
		sys_munmap(at, size);
}

#endif
