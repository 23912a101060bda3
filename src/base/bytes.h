/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <string.h>'s memory functions, as the compiler knows them: short copies of known size are open-coded also where it is
 * told that there is no C library; and what a caller's pointer may be.
 */
#ifndef FAIRDIAL_BASE_BYTES_H
#define FAIRDIAL_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#undef memcpy
#undef memset
#undef memcmp
#define memcpy(to, from, n) __builtin_memcpy(to, from, n)
#define memset(to, c, n)    __builtin_memset(to, c, n)
#define memcmp(a, b, n)	    __builtin_memcmp(a, b, n)

/* NULL, or in a page at either end of the address space: EFAULT from the kernel, which alone can find out about others. */
static inline bool is_wild(const void *pointer)
{
	return (uintptr_t)pointer + 4096 < 8192;
}

#endif
