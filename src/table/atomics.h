/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file that names memory orders. Everything shared between processes is made of aligned 64-bit words
 * (and a few 32-bit ones), read and written whole.
 *
 *   load_acquire / store_release   the pair that publishes: what was stored before the release is seen after
 *                                  the acquire that read it.
 *   load_relaxed                   for a value that decides nothing about other memory: a statistic, or the
 *                                  first guess of a compare-and-swap.
 *   swap_if                        compare-and-swap, acquire and release both: a claim orders what the claimer
 *                                  read before it and does after it.
 *   swap_from                      the same for a loop: what stood there instead comes back, so that the next try
 *                                  reads no second time, in which another would be faster.
 *
 * Why the bytes under a sequence lock are themselves read with acquire and written with release, instead of
 * relaxed with fences around them: it is correct by the same argument (Boehm, "Can seqlocks get along with
 * programming language memory models?", MSPC 2012, section 4), costs nothing on x86, one ldar per word on
 * aarch64, and ThreadSanitizer understands it, which it does not of fences.
 *
 * tests/model has the protocols that use these under a weak memory, and what breaks where an order is weaker (`make check-model`).
 */
#ifndef FAIRDIAL_TABLE_ATOMICS_H
#define FAIRDIAL_TABLE_ATOMICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t load_acquire(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint8_t load_acquire_byte(const void *p)
{
	return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
}

static inline uint64_t load_relaxed(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void store_release(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static inline void store_relaxed(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static inline bool swap_if(uint64_t *p, uint64_t expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline bool swap_from(uint64_t *p, uint64_t *before, uint64_t desired)
{
	return __atomic_compare_exchange_n(p, before, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline uint64_t add_relaxed(uint64_t *p, uint64_t n)
{
	return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

static inline int load_acquire_int(const int *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store_release_int(int *p, int value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static inline bool swap_if_int(int *p, int expected, int desired)
{
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline void *load_acquire_ptr(void *const *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store_release_ptr(void **p, void *value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* Copies out of and into memory that another process may be writing or reading. `n` is in words. */
static inline void load_words(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint64_t *)to)[i] = load_acquire((const uint64_t *)from + i);
}

static inline void store_words(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_release((uint64_t *)to + i, ((const uint64_t *)from)[i]);
}

#endif
