/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of one generation, each kept once: the bytes of SECTION_STRINGS, and where each text is. Tool only. */
#ifndef FAIRDIAL_TABLE_STRINGS_H
#define FAIRDIAL_TABLE_STRINGS_H

#include <stddef.h>
#include <stdint.h>

struct strings {
	char *bytes;	 /* malloc'ed; zero from `used` to `size` */
	uint32_t used;	 /* bytes; grows only */
	uint32_t size;	 /* a multiple of 8 */
	uint32_t limit;	 /* `used` is never above this */
	uint32_t *index; /* open addressing, 2^n: offsets of texts; 0: empty */
	uint32_t index_size, count;
};

/* Only the empty text, at offset 0. 0, -ENOMEM. strings_done in any case. */
int strings_init(struct strings *strings, uint32_t limit);

/* The texts of a section of `size` bytes (a multiple of 8), followed by what is added. 0, -ENOMEM. strings_done in any case. */
int strings_take(struct strings *strings, const char *section, uint32_t size, uint32_t limit);

void strings_done(struct strings *strings);

/* Where a text is; it is added where it was not known. NULL is the empty one. -ENOSPC beyond `limit`, -ENOMEM. */
int strings_add(struct strings *strings, const char *text, uint32_t *ret_offset);

/* Bytes up to the end of the last word. */
static inline uint32_t strings_words_end(const struct strings *strings)
{
	return (strings->used + 7) / 8 * 8;
}

#endif
