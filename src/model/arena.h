/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once: copies of objects and whole specs are many small pieces with one lifetime. */
#ifndef FAIRDIAL_MODEL_ARENA_H
#define FAIRDIAL_MODEL_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* All zero is an empty arena. */
struct arena {
	struct arena_chunk *chunks;
};

/* Room for `n` things of `size` bytes, zeroed; NULL where there is no memory. Never NULL for n = 0. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);

/* A NUL-terminated copy of `len` bytes. */
char *arena_text(struct arena *arena, const char *text, size_t len);

/* The arena is empty again afterwards. */
void arena_free(struct arena *arena);

#endif
