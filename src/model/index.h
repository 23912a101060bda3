/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from bytes to pointers. It owns neither: keys lie in what they lead to, or in an arena, and must stay
 * where they are while they are in.
 */
#ifndef FAIRDIAL_MODEL_INDEX_H
#define FAIRDIAL_MODEL_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index_slot {
	const void *key; /* NULL: empty */
	size_t len;
	uint64_t hash;
	void *value;
};

/* All zero is an empty index. To walk it, look at each slot below `size` that has a key, in no order. */
struct index {
	struct index_slot *slots;
	size_t size, count; /* size: 0, or a power of two */
};

/* NULL where there is none. */
void *index_get(const struct index *index, const void *key, size_t len);

/* Adds, or replaces key and value of an equal key. 0; -ENOMEM, never where it replaces or room was made. */
int index_put(struct index *index, const void *key, size_t len, void *value);

/* Makes room for `n` more. 0, -ENOMEM. */
int index_reserve(struct index *index, size_t n);

/* Takes it out and returns its value; NULL where there is none. */
void *index_remove(struct index *index, const void *key, size_t len);

/* The index is empty again afterwards. */
void index_free(struct index *index);

#endif
