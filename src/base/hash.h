/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mixing step for hashes, checksums and pseudo-random picks. Not cryptographic: the writer of the
 * table chooses the seed and bounds the probes, so nobody gains by aiming at a bucket.
 */
#ifndef FAIRDIAL_BASE_HASH_H
#define FAIRDIAL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static inline uint64_t hash_finish(uint64_t h)
{
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebu;
	h ^= h >> 31;
	return h;
}

static inline uint64_t hash_mix(uint64_t h, uint64_t word)
{
	return hash_finish((h ^ word) + 0x9e3779b97f4a7c15u);
}

static inline uint64_t hash_text(const char *text, size_t len, uint64_t seed)
{
	uint64_t h = hash_mix(seed, len);
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++) {
		word = word << 8 | (uint8_t)text[i];
		if (i % 8 == 7)
			h = hash_mix(h, word);
	}
	return hash_mix(h, word);
}

/* A number below `n` (n > 0), each as likely as the others to within n / 2^32. */
static inline uint32_t hash_below(uint64_t h, uint32_t n)
{
	return (uint32_t)(((h >> 32) * n) >> 32);
}

#endif
