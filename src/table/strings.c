/* SPDX-License-Identifier: Apache-2.0 */
#include "table/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { FIRST_SIZE = 1024, FIRST_INDEX = 64 };

static int grow_bytes(struct strings *strings, uint64_t need)
{
	uint64_t size = strings->size ? strings->size : FIRST_SIZE;
	char *bytes;

	while (size < need)
		size *= 2;
	bytes = realloc(strings->bytes, size);
	if (!bytes)
		return -ENOMEM;
	memset(bytes + strings->size, 0, size - strings->size);
	strings->bytes = bytes;
	strings->size = (uint32_t)size;
	return 0;
}

/* The place of a text: its own, or an empty one. */
static uint32_t *place_of(const struct strings *strings, uint32_t *index, uint32_t size, const char *text, size_t len)
{
	uint32_t i = (uint32_t)hash_text(text, len, 0) & (size - 1);

	while (index[i] && strcmp(strings->bytes + index[i], text) != 0)
		i = (i + 1) & (size - 1);
	return &index[i];
}

static int grow_index(struct strings *strings)
{
	uint32_t size = strings->index_size ? strings->index_size * 2 : FIRST_INDEX;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (uint32_t i = 0; i < strings->index_size; i++) {
		const char *text = strings->bytes + strings->index[i];

		if (strings->index[i])
			*place_of(strings, index, size, text, strlen(text)) = strings->index[i];
	}
	free(strings->index);
	strings->index = index;
	strings->index_size = size;
	return 0;
}

/* `text` may be one that lies in the bytes already. */
static int note(struct strings *strings, const char *text, size_t len, uint32_t offset)
{
	uint32_t *place;

	if (strings->count * 2 >= strings->index_size && grow_index(strings) < 0)
		return -ENOMEM;
	place = place_of(strings, strings->index, strings->index_size, text, len);
	if (*place == 0) {
		*place = offset;
		strings->count++;
	}
	return 0;
}

int strings_init(struct strings *strings, uint32_t limit)
{
	*strings = (struct strings){ .used = 1, .limit = limit };
	return grow_bytes(strings, FIRST_SIZE) < 0 ? -ENOMEM : grow_index(strings);
}

int strings_take(struct strings *strings, const char *section, uint32_t size, uint32_t limit)
{
	int r = strings_init(strings, limit);

	if (r == 0)
		r = grow_bytes(strings, (uint64_t)size + 8); /* and a NUL behind */
	if (r < 0)
		return r;
	memcpy(strings->bytes, section, size);
	strings->used = size > 1 ? size : 1;
	for (uint32_t at = 0; r == 0 && at < size;) {
		size_t len = strlen(strings->bytes + at);

		if (len)
			r = note(strings, strings->bytes + at, len, at);
		at += (uint32_t)len + 1;
	}
	return r;
}

void strings_done(struct strings *strings)
{
	free(strings->bytes);
	free(strings->index);
	*strings = (struct strings){ 0 };
}

int strings_add(struct strings *strings, const char *text, uint32_t *ret_offset)
{
	size_t len = text ? strlen(text) : 0;
	uint32_t known, offset = strings->used;

	if (len == 0) {
		*ret_offset = 0;
		return 0;
	}
	known = *place_of(strings, strings->index, strings->index_size, text, len);
	if (known) {
		*ret_offset = known;
		return 0;
	}
	if (len >= strings->limit - strings->used)
		return -ENOSPC;
	if ((uint64_t)offset + len + 1 > strings->size && grow_bytes(strings, (uint64_t)offset + len + 1) < 0)
		return -ENOMEM;
	memcpy(strings->bytes + offset, text, len + 1);
	if (note(strings, text, len, offset) < 0)
		return -ENOMEM;
	strings->used += (uint32_t)len + 1;
	*ret_offset = offset;
	return 0;
}
