/* SPDX-License-Identifier: Apache-2.0 */
/* One generation as bytes, ready to be stored into an area. Tool only. */
#ifndef FAIRDIAL_TABLE_IMAGE_H
#define FAIRDIAL_TABLE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "table/slots.h"
#include "table/strings.h"
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

/* What rows are made with, alike in a whole generation and in a patch of one. */
struct row_maker {
	const struct image_options *options;
	struct slots *rows;
	struct strings *strings;
	struct report *why;
};

/*
 * The rows of a port's endpoints, which are sorted in place, as those from row->port.first_endpoint on; `row` gets their
 * counts and tallies. 0; -EINVAL for one that is named twice, -ENOSPC, -ENOMEM.
 */
int image_endpoints(const struct row_maker *maker, const struct spec_port *port, struct table_port_row *row,
		    struct table_endpoint *ret_rows);

/* Whether a row makes its endpoint an old one, for slow_start: one that may be dialed, of a list that is whole. */
bool image_is_in_use(const struct table_port *port, const struct table_endpoint *row);

/* One more endpoint of its family. */
void image_tally(struct table_tally *tally, const struct table_endpoint *row);

/* The rows that so many endpoints of a port are given, so that a few more find room. */
uint64_t image_block(uint64_t endpoints);

/* For qsort(3): the order of SECTION_SERVICES. */
int image_compare_services(const void *a, const void *b);

/* Sums, once all else is in place. */
void image_seal_port(struct table_port_row *row, uint32_t i);
void image_seal_area(struct table_area *area);

/* Whether heads and rows of that generation have the sizes that are made here. */
bool image_is_ours(const struct table_area *area);

/* Whose slots an endpoint has, and whose the rows of an earlier generation name. */
struct slot_key image_addr_key(const struct addr *addr);
struct slot_key image_endpoint_key(const struct table_endpoint *row);
int image_port_key(const struct table_view *view, const struct table_port *row, struct slot_key *ret_key);

#endif
