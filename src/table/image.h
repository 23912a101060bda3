/* SPDX-License-Identifier: Apache-2.0 */
/* One generation as bytes, ready to be stored into an area. Tool only. */
#ifndef FAIRDIAL_TABLE_IMAGE_H
#define FAIRDIAL_TABLE_IMAGE_H

#include <stdint.h>

#include "table/slots.h"
#include "table/table.h"
#include "table/writer.h"

struct image {
	uint8_t *bytes; /* malloc'ed; begins with a struct table_area whose seq does not count */
	uint64_t size;	/* a multiple of 8 */
	uint64_t generation;
};

struct image_options {
	uint64_t instance, generation;
	uint64_t boot_ms, wall_ms;
};

/* 0; -EINVAL for a spec that breaks writer.h's rules, -ENOMEM, -E2BIG. The caller frees `ret_image->bytes`. */
int image_build(const struct spec *spec, const struct image_options *options, struct slots *rows, struct slots *cursors,
		struct image *ret_image, struct report *why);

/* Whose slots the rows of an earlier generation name. */
struct slot_key image_endpoint_key(const struct table_endpoint *row);
int image_port_key(const struct table_view *view, const struct table_port *row, struct slot_key *ret_key);

#endif
