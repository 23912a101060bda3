/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; removal shifts back what follows, so that there are no tombstones. */
#include "model/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define SIZE_MIN 16

/* The slot of the key, or the empty one where it belongs. */
static struct index_slot *find(const struct index *index, uint64_t hash, const void *key, size_t len)
{
	size_t i = hash & (index->size - 1);

	for (;; i = (i + 1) & (index->size - 1)) {
		struct index_slot *slot = &index->slots[i];

		if (!slot->key || (slot->hash == hash && slot->len == len && memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

static int grow(struct index *index)
{
	struct index larger = { .size = index->size ? index->size * 2 : SIZE_MIN, .count = index->count };

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < index->size; i++) {
		struct index_slot *slot = &index->slots[i];

		if (slot->key)
			*find(&larger, slot->hash, slot->key, slot->len) = *slot;
	}
	free(index->slots);
	*index = larger;
	return 0;
}

void *index_get(const struct index *index, const void *key, size_t len)
{
	return index->size ? find(index, hash_text(key, len, 0), key, len)->value : NULL;
}

/* At most three quarters full: there is always an empty slot to end a search. */
int index_reserve(struct index *index, size_t n)
{
	while ((index->count + n) * 4 > index->size * 3)
		if (grow(index) < 0)
			return -ENOMEM;
	return 0;
}

int index_put(struct index *index, const void *key, size_t len, void *value)
{
	uint64_t hash = hash_text(key, len, 0);
	struct index_slot *slot = index->size ? find(index, hash, key, len) : NULL;

	if (!slot || !slot->key) {
		if (index_reserve(index, 1) < 0)
			return -ENOMEM;
		slot = find(index, hash, key, len);
		index->count++;
	}
	*slot = (struct index_slot){ key, len, hash, value };
	return 0;
}

/* Moves back each slot behind the hole that a search would no longer reach across it. */
static void close_hole(struct index *index, size_t hole)
{
	size_t mask = index->size - 1;

	for (size_t i = (hole + 1) & mask; index->slots[i].key; i = (i + 1) & mask) {
		size_t home = index->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			index->slots[hole] = index->slots[i];
			hole = i;
		}
	}
	memset(&index->slots[hole], 0, sizeof(index->slots[hole]));
}

void *index_remove(struct index *index, const void *key, size_t len)
{
	struct index_slot *slot;
	void *value;

	if (!index->size)
		return NULL;
	slot = find(index, hash_text(key, len, 0), key, len);
	if (!slot->key)
		return NULL;
	value = slot->value;
	index->count--;
	close_hole(index, (size_t)(slot - index->slots));
	return value;
}

void index_free(struct index *index)
{
	free(index->slots);
	*index = (struct index){ 0 };
}
