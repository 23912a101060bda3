/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a reader of the table may call. No function here locks, allocates, or writes to the table; each may be
 * called from a signal handler, from any number of threads.
 *
 *	struct table_view view;
 *
 *	for (int i = 0; i < TABLE_TRIES; i++) {
 *		if (!table_begin(&table, &view))
 *			continue;
 *		... find, copy rows, decide; failures may be due to a writer at work ...
 *		if (table_end(&view))
 *			return what was decided;
 *	}
 *	fail open;
 */
#ifndef FAIRDIAL_TABLE_TABLE_H
#define FAIRDIAL_TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/text.h"
#include "table/atomics.h"
#include "table/layout.h"

/* A mapping of the file: map.h makes one, tests make others. */
struct table {
	const uint8_t *base;
	size_t size;
	uint64_t area_offset[2], area_size; /* copied when the head was found good: they never change */
};

/* A reading in progress. */
struct table_view {
	const struct table *table;
	const struct table_area *area;
	uint64_t seq;
};

/*
 * Takes a mapping of `size` bytes at `base`. 0; -EBADMSG where it is no table, or damaged; -EPROTO where it
 * is one of another major version.
 */
int table_attach(struct table *ret_table, const void *base, size_t size);

const struct table_head *table_head(const struct table *table);

/*
 * How the writer is, for people. 0; -ENOENT where the file has no room for it (made by a writer of 1.0); -EAGAIN where it is
 * being written, or a writer was killed while it did.
 */
int table_note(const struct table *table, struct table_note *ret_note);

/* False while nothing is published, or the area is being written. */
bool table_begin(const struct table *table, struct table_view *ret_view);

/* True if all that was read since table_begin belongs to one generation. */
bool table_end(const struct table_view *view);

/* The head of the generation, its sum checked; fields that an older file has not are zero. 0, -EBADMSG. */
int table_area(const struct table_view *view, struct table_area *ret_area);

/* The same without copying: what every dial needs of it, and whether its sum holds (which may be remembered by `seq`). */
struct table_rules {
	uint32_t mode, stale_after_ms, client_rank, client_peers;
};
int table_area_verify(const struct table_view *view);
struct table_rules table_rules(const struct table_view *view);
uint64_t table_generation(const struct table_view *view);

/*
 * A number for what may be remembered of a generation: no other content has it, of this table or another, but by a chance of
 * one in 2^64. Reading must end well all the same, before what is remembered is put to use.
 */
uint64_t table_mark(const struct table_view *view);

/* The row of SECTION_PORTS for a destination; -ENOENT where there is none, -EBADMSG for a damaged slot. */
int table_find_port(const struct table_view *view, const struct addr *dest, uint8_t protocol);

/* The row of SECTION_SERVICES for a Service; without regard to case. -ENOENT, -EBADMSG. */
int table_find_service(const struct table_view *view, struct slice name, struct slice namespace);

/* The same for one that answers to its name alone. */
int table_find_bare(const struct table_view *view, struct slice name);

/* Rows, bounded; fields that an older file has not are zero. 0; -ERANGE beyond the end; -EBADMSG where the row's own sum fails. */
int table_service(const struct table_view *view, uint32_t i, struct table_service *ret_row);
int table_endpoint(const struct table_view *view, uint32_t i, struct table_endpoint *ret_row);
int table_address(const struct table_view *view, uint32_t i, struct table_address *ret_row);

/* The same; also that its endpoints lie within the table. Each of them has a check of its own. */
int table_port(const struct table_view *view, uint32_t i, struct table_port *ret_row);

/*
 * Of a port that table_port has found whole in the same view, and of one family; all zero where the file has none. 0, or as
 * above.
 */
int table_tally(const struct table_view *view, uint32_t i, bool v4, struct table_tally *ret_tally);

uint32_t table_count(const struct table_view *view, enum table_section_id id);

/* Copies a text of SECTION_STRINGS, cut to `size` - 1 bytes. Always NUL-terminated; "" beyond the end. */
void table_string(const struct table_view *view, uint32_t offset, char *buf, size_t size);

/* Endpoints that follow each other, for a walk over all of them: bounded once, then read without more checks. */
struct table_rows {
	const uint8_t *at;
	uint32_t stride, count;
	uint32_t first; /* row of SECTION_ENDPOINTS */
};
int table_endpoint_rows(const struct table_view *view, uint32_t first, uint32_t count, struct table_rows *ret_rows);

/* What a pick looks at. */
struct table_endpoint_brief {
	uint32_t slot, tag;
	uint16_t weight, flags;
};
static inline struct table_endpoint_brief table_rows_brief(const struct table_rows *rows, uint32_t i)
{
	const uint64_t *row = (const uint64_t *)(rows->at + (uint64_t)i * rows->stride);
	uint64_t slot_word = load_acquire(&row[offsetof(struct table_endpoint, slot) / 8]);
	uint64_t tag_word = load_acquire(&row[offsetof(struct table_endpoint, tag) / 8]);

	_Static_assert(offsetof(struct table_endpoint, slot) == 20, "high half of word 2");
	_Static_assert(offsetof(struct table_endpoint, tag) == 24, "low half of word 3");
	return (struct table_endpoint_brief){ (uint32_t)(slot_word >> 32), (uint32_t)tag_word, (uint16_t)(tag_word >> 32),
					      (uint16_t)(tag_word >> 48) };
}

static inline uint64_t table_rows_added_ms(const struct table_rows *rows, uint32_t i)
{
	const uint64_t *row = (const uint64_t *)(rows->at + (uint64_t)i * rows->stride);

	return load_acquire(&row[offsetof(struct table_endpoint, added_ms) / 8]);
}

/* Of the address and port of endpoint `i`: the same in every pod and process, whatever the table's instance. */
uint64_t table_rows_hash(const struct table_rows *rows, uint32_t i, uint64_t seed);

static inline struct addr table_endpoint_addr(const struct table_endpoint *row)
{
	struct addr addr;

	__builtin_memcpy(addr.ip, row->ip, sizeof(addr.ip));
	addr.port_be = row->port_be;
	addr.is_v4 = row->is_v4;
	addr.zero = 0;
	return addr;
}

/* Sums and tags, for the writer and the checker as well. `words` may be shared memory. */
uint64_t table_sum(uint64_t seed, const void *words, size_t n);
uint64_t table_sum_begin(uint64_t seed); /* the same in pieces, for what grows at its end */
uint64_t table_sum_more(uint64_t sum, const void *words, size_t n);
uint64_t table_sum_end(uint64_t sum);
uint32_t table_key_check(const struct table_key *key);
uint32_t table_endpoint_check(const struct table_endpoint *row, uint32_t i);
uint32_t table_name_hash(struct slice name, struct slice namespace, uint64_t seed);
uint32_t table_tag(uint64_t instance, const struct addr *backend);

/*
 * Every invariant of the current generation: bounds, sums, order, each key and name found by its lookup, each slot
 * one address. 0; or a negative errno with a one-line reason in `why`. Costs time in proportion to the table.
 */
int table_check(const struct table *table, char *why, size_t why_size);

#endif
