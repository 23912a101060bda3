/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which slot of the ledger belongs to whom, across generations: the writer's memory. Tool only; not thread-safe.
 */
#ifndef FAIRDIAL_TABLE_SLOTS_H
#define FAIRDIAL_TABLE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two independent 64-bit hashes of what the slot is for; a chance of 2^-128 to mistake one for another. */
struct slot_key {
	uint64_t a, b;
};

struct slot_entry {
	struct slot_key key;
	uint64_t added_ms;   /* CLOCK_BOOTTIME since when it is in use, as slots_use was told */
	uint64_t added;	     /* the generation that said so */
	uint64_t last_used;  /* a generation that had it in use, noted when it is built anew; 0: none */
	uint64_t generation; /* that last kept or took it */
	uint32_t slot;
	uint32_t uses; /* rows of the current generation that have it in use */
	uint32_t users : 31; /* rows of the current generation that name it */
	uint32_t used : 1;
};

struct slots {
	struct slot_entry *entries; /* open addressing, 2^n */
	size_t size, count;
	uint32_t limit; /* slots are below this */
	uint32_t *free; /* released slots, the next at the end */
	uint32_t free_count, next;
};

int slots_init(struct slots *slots, uint32_t limit);
void slots_done(struct slots *slots);

/* Notes a slot that a row of the current generation names. -EEXIST where the slot is taken, -ERANGE, -ENOMEM. */
int slots_restore(struct slots *slots, struct slot_key key, uint32_t slot, bool in_use, uint64_t added_ms);

/* After the last slots_restore: the slots between those that were noted are free. 0, -ENOMEM. */
int slots_restored(struct slots *slots);

/* A whole generation follows: no row names any slot yet. */
void slots_begin(struct slots *slots, uint64_t generation);

/* Marks the entry of a key, if it has one, as used in this generation: before the first slots_take of it. */
void slots_keep(struct slots *slots, struct slot_key key, uint64_t generation);

/*
 * The entry of a key, old or new, for one more row of this generation; NULL with `*error` -ENOSPC where every slot is in
 * use now, or -ENOMEM. Slots that this generation does not keep are given away only when no other is left.
 */
struct slot_entry *slots_take(struct slots *slots, struct slot_key key, uint64_t generation, int *error);

/* Whether the generation before this one had it in use. */
bool slots_was_used(const struct slot_entry *entry, uint64_t generation);

/* That row of this generation has it in use: since `now_ms`, unless it was in use before. */
void slots_use(struct slot_entry *entry, uint64_t generation, uint64_t now_ms);

/*
 * A row of the generation before this one, which may have had it in use, is not in this one; the key keeps its slot while
 * there are others.
 */
void slots_drop(struct slots *slots, struct slot_key key, bool in_use, uint64_t generation);

/* The entry of a key, NULL where it has none. */
const struct slot_entry *slots_find(const struct slots *slots, struct slot_key key);

/* Whether so many new keys can have a slot without taking it from another key. */
bool slots_have(const struct slots *slots, size_t count);

/* More slots than before; never fewer. */
void slots_raise_limit(struct slots *slots, uint32_t limit);

#endif
