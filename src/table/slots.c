/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table that never moves a slot; entries of vanished endpoints are kept while there is room. */
#include "table/slots.h"

#include <errno.h>
#include <stdlib.h>

int slots_init(struct slots *slots, uint32_t limit)
{
	*slots = (struct slots){ .size = 64, .limit = limit };
	slots->entries = calloc(slots->size, sizeof(*slots->entries));
	return slots->entries ? 0 : -ENOMEM;
}

void slots_done(struct slots *slots)
{
	free(slots->entries);
	free(slots->free);
	*slots = (struct slots){ 0 };
}

static struct slot_entry *find(struct slot_entry *entries, size_t size, struct slot_key key)
{
	size_t i = key.a & (size - 1);

	while (entries[i].used && (entries[i].key.a != key.a || entries[i].key.b != key.b))
		i = (i + 1) & (size - 1);
	return &entries[i];
}

/* Copies the entries into a table of `size` places, and releases the slots of those that no recent generation used. */
static int rebuild(struct slots *slots, size_t size, uint64_t oldest_generation)
{
	struct slot_entry *entries = calloc(size, sizeof(*entries));
	uint32_t *released = realloc(slots->free, (slots->free_count + slots->count + 1) * sizeof(*released));
	size_t count = 0;

	if (released)
		slots->free = released;
	if (!entries || !released) {
		free(entries);
		return -ENOMEM;
	}
	for (size_t i = 0; i < slots->size; i++) {
		const struct slot_entry *entry = &slots->entries[i];

		if (!entry->used)
			continue;
		if (entry->generation < oldest_generation) {
			slots->free[slots->free_count++] = entry->slot;
			continue;
		}
		*find(entries, size, entry->key) = *entry;
		count++;
	}
	free(slots->entries);
	slots->entries = entries;
	slots->size = size;
	slots->count = count;
	return 0;
}

static struct slot_entry *insert(struct slots *slots, struct slot_key key, uint32_t slot, int *error)
{
	struct slot_entry *entry;

	if (slots->count * 2 >= slots->size) {
		*error = rebuild(slots, slots->size * 2, 0);
		if (*error < 0)
			return NULL;
	}
	entry = find(slots->entries, slots->size, key);
	*entry = (struct slot_entry){ .key = key, .slot = slot, .used = 1 };
	slots->count++;
	return entry;
}

int slots_restore(struct slots *slots, struct slot_key key, uint32_t slot, bool in_use, uint64_t added_ms)
{
	struct slot_entry *entry = find(slots->entries, slots->size, key);
	int error = 0;

	if (slot >= slots->limit)
		return -ERANGE;
	if (entry->used && entry->slot != slot)
		return -EEXIST;
	if (!entry->used)
		entry = insert(slots, key, slot, &error);
	if (!entry)
		return error;
	entry->users++;
	entry->uses += in_use;
	if (in_use)
		entry->added_ms = added_ms;
	if (slot >= slots->next)
		slots->next = slot + 1;
	return 0;
}

int slots_restored(struct slots *slots)
{
	uint8_t *taken = calloc((size_t)slots->next + 1, 1);
	uint32_t *released = calloc((size_t)slots->next + 1, sizeof(*released));

	if (!taken || !released) {
		free(taken);
		free(released);
		return -ENOMEM;
	}
	for (size_t i = 0; i < slots->size; i++)
		if (slots->entries[i].used)
			taken[slots->entries[i].slot] = 1;
	free(slots->free);
	slots->free = released;
	slots->free_count = 0;
	for (uint32_t slot = slots->next; slot-- > 0;) /* the lowest is given out first */
		if (!taken[slot])
			slots->free[slots->free_count++] = slot;
	free(taken);
	return 0;
}

static bool free_slot(struct slots *slots, uint32_t *ret_slot)
{
	if (slots->next < slots->limit) {
		*ret_slot = slots->next++;
		return true;
	}
	if (slots->free_count == 0)
		return false;
	*ret_slot = slots->free[--slots->free_count];
	return true;
}

void slots_begin(struct slots *slots, uint64_t generation)
{
	for (size_t i = 0; i < slots->size; i++) {
		struct slot_entry *entry = &slots->entries[i];

		if (entry->uses)
			entry->last_used = generation - 1;
		entry->users = entry->uses = 0;
	}
}

void slots_keep(struct slots *slots, struct slot_key key, uint64_t generation)
{
	struct slot_entry *entry = find(slots->entries, slots->size, key);

	if (entry->used)
		entry->generation = generation;
}

struct slot_entry *slots_take(struct slots *slots, struct slot_key key, uint64_t generation, int *error)
{
	struct slot_entry *entry = find(slots->entries, slots->size, key);
	uint32_t slot;

	if (!entry->used) {
		if (!free_slot(slots, &slot)) {
			*error = rebuild(slots, slots->size, generation);
			if (*error < 0)
				return NULL;
			if (!free_slot(slots, &slot)) {
				*error = -ENOSPC;
				return NULL;
			}
		}
		entry = insert(slots, key, slot, error);
		if (!entry)
			return NULL;
	}
	entry->generation = generation;
	entry->users++;
	return entry;
}

bool slots_was_used(const struct slot_entry *entry, uint64_t generation)
{
	return (entry->last_used && entry->last_used == generation - 1) || (entry->uses && entry->added != generation);
}

void slots_use(struct slot_entry *entry, uint64_t generation, uint64_t now_ms)
{
	if (entry->uses == 0 && !slots_was_used(entry, generation)) {
		entry->added_ms = now_ms;
		entry->added = generation;
	}
	entry->uses++;
}

void slots_drop(struct slots *slots, struct slot_key key, bool in_use, uint64_t generation)
{
	struct slot_entry *entry = find(slots->entries, slots->size, key);

	if (!entry->used)
		return;
	if (entry->users)
		entry->users--;
	if (in_use && entry->uses) {
		entry->uses--;
		entry->last_used = generation - 1;
	}
}

const struct slot_entry *slots_find(const struct slots *slots, struct slot_key key)
{
	const struct slot_entry *entry = find(slots->entries, slots->size, key);

	return entry->used ? entry : NULL;
}

bool slots_have(const struct slots *slots, size_t count)
{
	return count <= (size_t)(slots->limit - slots->next) + slots->free_count;
}

void slots_raise_limit(struct slots *slots, uint32_t limit)
{
	if (limit > slots->limit)
		slots->limit = limit;
}
