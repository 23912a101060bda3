/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a generation changes of the one before it: the endpoints of a few Services, in place. Tool only; nothing here writes
 * to the table. layout.h tells where the room for it is.
 */
#ifndef FAIRDIAL_TABLE_PATCH_H
#define FAIRDIAL_TABLE_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/image.h"

/* Bytes for an area, piece by piece. `at` and `size` are multiples of 8; the bytes lie one after the other. */
struct patch_piece {
	uint32_t at, size;
};
struct patch {
	struct patch_piece *pieces;
	size_t count, room;
	uint8_t *bytes;
	size_t used, size;
};

void patch_done(struct patch *patch);

/* What is known of the current generation: learnt from it when the first patch needs it, and kept up by each patch. */
struct places {
	bool known;
	struct places_block {
		uint32_t first, size; /* rows of SECTION_ENDPOINTS */
	} *blocks; /* by row of SECTION_PORTS */
	uint32_t spare, end; /* rows of SECTION_ENDPOINTS that no block has */
	struct strings strings;
	uint64_t strings_sum; /* table_sum_more of their words */
};

/* After a generation that was not made by patch_build, and after a patch that was not published. */
void places_forget(struct places *places);

/*
 * The pieces that make the next generation out of the current one of `table`, into `ret_patch`, which is emptied first. 0;
 * -ESTALE where a whole generation is needed instead, -EINVAL for a spec that breaks writer.h's rules, -ENOMEM.
 * On failure `places` are forgotten, and unless it is -ESTALE `rows` have to be restored.
 */
int patch_build(struct places *places, const struct table *table, const struct spec *spec,
		const struct image_options *options, struct slots *rows, struct patch *ret_patch, struct report *why);

#endif
