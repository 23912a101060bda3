/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <string.h>'s memory functions, as the compiler knows them: short copies of known size are open-coded also where it is
 * told that there is no C library.
 */
#ifndef FAIRDIAL_BASE_BYTES_H
#define FAIRDIAL_BASE_BYTES_H

#include <string.h>

#undef memcpy
#undef memset
#undef memcmp
#define memcpy(to, from, n) __builtin_memcpy(to, from, n)
#define memset(to, c, n)    __builtin_memset(to, c, n)
#define memcmp(a, b, n)	    __builtin_memcmp(a, b, n)

#endif
