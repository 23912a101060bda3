/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's side of the table: bounds first, then sums. See layout.h for the protocol. */
#include <errno.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "table/atomics.h"
#include "table/table.h"

#define WORDS(type) (sizeof(type) / sizeof(uint64_t))

/* Bytes at an offset of an area whose sections have been bounded: always within the mapping. */
static const void *area_at(const struct table_view *view, uint64_t offset)
{
	return (const uint8_t *)view->area + offset;
}

uint64_t table_sum_begin(uint64_t seed)
{
	return seed ^ 0x9e3779b97f4a7c15u;
}

uint64_t table_sum_more(uint64_t sum, const void *words, size_t n)
{
	const uint64_t *p = words;

	/* Position counts (the rotation), and one changed bit changes half of the result (the multiplication). */
	for (size_t i = 0; i < n; i++) {
		sum = (sum ^ load_acquire(&p[i])) * 0xff51afd7ed558ccdu;
		sum = sum << 29 | sum >> 35;
	}
	return sum;
}

uint64_t table_sum_end(uint64_t sum)
{
	return hash_finish(sum);
}

uint64_t table_sum(uint64_t seed, const void *words, size_t n)
{
	return table_sum_end(table_sum_more(table_sum_begin(seed), words, n));
}

uint32_t table_key_check(const struct table_key *key)
{
	uint64_t words[3];

	memcpy(words, key, sizeof(words)); /* all before `check` */
	return (uint32_t)table_sum(0, words, 3);
}

/*
 * Over all of the table's row but `check` itself: `known` words of it are in `row`, fewer than this reader knows where the
 * writer is an older one; `n` words at `more` follow them where it is a newer one.
 */
static uint32_t endpoint_check(const struct table_endpoint *row, uint32_t i, size_t known, const void *more, size_t n)
{
	const size_t at = offsetof(struct table_endpoint, check) / 8;
	const uint64_t *words = (const uint64_t *)row;
	uint64_t sum = table_sum_begin(i), word;

	_Static_assert(offsetof(struct table_endpoint, check) % 8 == 4, "high half of its word");
	word = load_acquire(&words[at]) & UINT32_MAX;
	sum = table_sum_more(sum, words, at);
	sum = table_sum_more(sum, &word, 1);
	sum = table_sum_more(sum, words + at + 1, known - at - 1);
	return (uint32_t)table_sum_end(table_sum_more(sum, more, n));
}

uint32_t table_endpoint_check(const struct table_endpoint *row, uint32_t i)
{
	return endpoint_check(row, i, WORDS(*row), NULL, 0);
}

uint32_t table_tag(uint64_t instance, const struct addr *backend)
{
	uint32_t tag = (uint32_t)addr_hash(backend, instance);

	return tag ? tag : 1;
}

uint32_t table_name_hash(struct slice name, struct slice namespace, uint64_t seed)
{
	uint64_t h = hash_mix(seed, name.len);

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (uint8_t)text_lower(name.at[i])) * 0x100000001b3u;
	h = hash_mix(h, namespace.len);
	for (size_t i = 0; i < namespace.len; i++)
		h = (h ^ (uint8_t)text_lower(namespace.at[i])) * 0x100000001b3u;
	return (uint32_t)hash_finish(h);
}

const struct table_head *table_head(const struct table *table)
{
	return (const struct table_head *)table->base;
}

static bool head_is_sound(const struct table_head *head, size_t size)
{
	if (head->file_size != size || head->head_size < sizeof(*head) || head->head_size > size ||
	    head->rows > TABLE_MAX_SLOTS || head->cursors > TABLE_MAX_SLOTS)
		return false;
	for (int i = 0; i < 2; i++)
		if (head->area_offset[i] % 64 || head->area_offset[i] < head->head_size ||
		    head->area_offset[i] > size || head->area_size > size - head->area_offset[i])
			return false;
	return head->area_size >= LEAST_AREA;
}

int table_attach(struct table *ret_table, const void *base, size_t size)
{
	const struct table_head *head = base;

	if (size < sizeof(*head) || size > TABLE_MAX_SIZE || head->magic != TABLE_MAGIC)
		return -EBADMSG;
	if (head->major != TABLE_MAJOR)
		return -EPROTO;
	if (table_sum(0, head, offsetof(struct table_head, sum) / 8) != head->sum || !head_is_sound(head, size))
		return -EBADMSG;

	ret_table->base = base;
	ret_table->size = size;
	ret_table->area_offset[0] = head->area_offset[0];
	ret_table->area_offset[1] = head->area_offset[1];
	ret_table->area_size = head->area_size;
	return 0;
}

bool table_begin(const struct table *table, struct table_view *ret_view)
{
	/* Pairs with the writer's step 4: the area it names is whole. */
	uint64_t current = load_acquire(&table_head(table)->current);

	if (current == 0)
		return false;
	ret_view->table = table;
	ret_view->area = (const struct table_area *)(table->base + table->area_offset[current & 1]);
	/* Pairs with the writer's step 3: even, the bytes after it are of that generation or of a later one. */
	ret_view->seq = load_acquire(&ret_view->area->seq);
	return (ret_view->seq & 1) == 0;
}

bool table_end(const struct table_view *view)
{
	/* After the acquires of every word that was read: see atomics.h. */
	return load_relaxed(&view->area->seq) == view->seq;
}

/* A section whose rows lie within the area and are no smaller than `stride`, the least that this reader needs. */
static int section_of(const struct table_view *view, enum table_section_id id, uint32_t min_stride,
		      struct table_section *ret_section)
{
	struct table_section s;

	load_words(&s, &view->area->section[id], WORDS(s));
	if (s.stride < min_stride || s.stride % 8 || s.stride > TABLE_MAX_STRIDE || s.offset % 8 ||
	    s.offset + (uint64_t)s.count * s.stride > view->table->area_size)
		return -EBADMSG;
	*ret_section = s;
	return 0;
}

/* Where row `i` begins, once its section is bounded. */
static int row_at(const struct table_view *view, enum table_section_id id, uint32_t min_stride, uint32_t i,
		  const void **ret_row, uint32_t *ret_stride)
{
	struct table_section s;
	int r = section_of(view, id, min_stride, &s);

	if (r < 0)
		return r;
	if (i >= s.count)
		return -ERANGE;
	*ret_row = area_at(view, s.offset + (uint64_t)i * s.stride);
	*ret_stride = s.stride;
	return 0;
}

/* As much of a row or head as both the file and this reader have. */
static inline void load_row(void *to, size_t size, const void *row, size_t stride)
{
	if (stride >= size) {
		load_words(to, row, size / sizeof(uint64_t)); /* of a size that is known: without a loop */
		return;
	}
	load_words(to, row, stride / sizeof(uint64_t));
	memset((uint8_t *)to + stride, 0, size - stride);
}

uint32_t table_count(const struct table_view *view, enum table_section_id id)
{
	struct table_section s;

	return section_of(view, id, 8, &s) < 0 ? 0 : s.count;
}

static int verify_area(const struct table_view *view, uint32_t *ret_head_size)
{
	const uint64_t first = offsetof(struct table_area, generation);
	uint32_t head_size = (uint32_t)load_acquire((const uint64_t *)&view->area->head_size);

	_Static_assert(offsetof(struct table_area, head_size) % 8 == 0, "low half of a word");
	if (head_size < LEAST_AREA || head_size > view->table->area_size || head_size % 8)
		return -EBADMSG;
	if (table_sum(0, area_at(view, first), (head_size - first) / 8) != load_acquire(&view->area->sum))
		return -EBADMSG;
	*ret_head_size = head_size;
	return 0;
}

int table_area_verify(const struct table_view *view)
{
	uint32_t head_size;

	return verify_area(view, &head_size);
}

int table_area(const struct table_view *view, struct table_area *ret_area)
{
	uint32_t head_size;
	int r = verify_area(view, &head_size);

	if (r == 0)
		load_row(ret_area, sizeof(*ret_area), view->area, head_size);
	return r;
}

struct table_rules table_rules(const struct table_view *view)
{
	struct table_rules rules;

	_Static_assert(offsetof(struct table_area, mode) % 8 == 0, "whole words");
	_Static_assert(offsetof(struct table_area, client_peers) == offsetof(struct table_area, mode) + 12, "in this order");
	load_words(&rules, &view->area->mode, WORDS(rules));
	return rules;
}

uint64_t table_generation(const struct table_view *view)
{
	return load_acquire(&view->area->generation);
}

uint64_t table_mark(const struct table_view *view)
{
	/*
	 * The sequence number too: a writer that died before it named its generation leaves it to be read, and its successor
	 * gives the same number to another one, in the same area, whose sequence number goes on.
	 */
	return hash_mix(hash_mix(table_head(view->table)->instance, table_generation(view)), view->seq) | 1;
}

/* Both hash sections are walked alike: 2^n slots, from the hash onwards, until an empty one. */
struct probe {
	const void *slots;
	uint32_t stride, mask, at, left;
};

static int probe_begin(const struct table_view *view, enum table_section_id id, uint32_t min_stride, uint32_t hash,
		       struct probe *ret_probe)
{
	struct table_section s;
	int r = section_of(view, id, min_stride, &s);

	if (r < 0)
		return r;
	if (s.count == 0)
		return -ENOENT;
	if (s.count & (s.count - 1))
		return -EBADMSG;
	*ret_probe = (struct probe){ area_at(view, s.offset), s.stride, s.count - 1, hash, TABLE_MAX_PROBES };
	return 0;
}

static const void *probe_next(struct probe *probe)
{
	if (probe->left == 0)
		return NULL;
	probe->left--;
	return (const uint8_t *)probe->slots + (uint64_t)(probe->at++ & probe->mask) * probe->stride;
}

_Static_assert(offsetof(struct table_key, port_be) == 16 && offsetof(struct table_key, protocol) == 18, "word 2");

int table_find_port(const struct table_view *view, const struct addr *dest, uint8_t protocol)
{
	uint64_t want[2];
	uint64_t hash = addr_hash(dest, load_acquire(&view->area->seed) + protocol);
	const struct table_key *slot;
	struct probe probe;
	int r = probe_begin(view, SECTION_KEYS, LEAST_KEY, (uint32_t)hash, &probe);

	if (r < 0)
		return r;
	memcpy(want, dest->ip, sizeof(want));
	while ((slot = probe_next(&probe))) {
		const uint64_t *words = (const uint64_t *)slot;
		uint64_t rest = load_acquire(&words[2]); /* port_be, protocol and what follows */
		struct table_key key;

		if ((rest >> 16 & 0xff) == 0)
			return -ENOENT;
		if ((uint16_t)rest != dest->port_be || (rest >> 16 & 0xff) != protocol ||
		    load_acquire(&words[0]) != want[0] || load_acquire(&words[1]) != want[1])
			continue;
		load_words(&key, slot, WORDS(key));
		return key.check == table_key_check(&key) && key.port <= INT32_MAX ? (int)key.port : -EBADMSG;
	}
	return -ENOENT;
}

static int find_name(const struct table_view *view, struct slice name, struct slice namespace, uint32_t bare)
{
	uint32_t hash = table_name_hash(name, namespace, load_acquire(&view->area->seed) + bare);
	const struct table_name *slot;
	struct probe probe;
	int r = probe_begin(view, SECTION_NAMES, LEAST_NAME, hash, &probe);

	if (r < 0)
		return r;
	while ((slot = probe_next(&probe))) {
		struct table_service row;
		struct table_name entry;
		uint32_t i;

		load_words(&entry, slot, WORDS(entry));
		if (entry.service == 0)
			return -ENOENT;
		if (entry.hash != hash || (entry.service & TABLE_NAME_BARE) != bare)
			continue;
		i = (entry.service & ~TABLE_NAME_BARE) - 1;
		r = table_service(view, i, &row);
		if (r < 0)
			return -EBADMSG;
		if (slice_equal_nocase(slice_of(row.name), name) &&
		    (bare || slice_equal_nocase(slice_of(row.namespace), namespace)))
			return (int)i;
	}
	return -ENOENT;
}

int table_find_service(const struct table_view *view, struct slice name, struct slice namespace)
{
	return find_name(view, name, namespace, 0);
}

int table_find_bare(const struct table_view *view, struct slice name)
{
	return find_name(view, name, (struct slice){ "", 0 }, TABLE_NAME_BARE);
}

int table_service(const struct table_view *view, uint32_t i, struct table_service *ret_row)
{
	struct table_section addresses;
	const void *row;
	uint32_t stride;
	uint64_t sum;
	int r = row_at(view, SECTION_SERVICES, LEAST_SERVICE, i, &row, &stride);

	if (r == 0)
		r = section_of(view, SECTION_ADDRESSES, LEAST_ADDRESS, &addresses);
	if (r < 0)
		return r;
	load_row(ret_row, sizeof(*ret_row), row, stride);
	if ((uint64_t)ret_row->first_address + ret_row->address_count > addresses.count)
		return -EBADMSG;
	sum = table_sum(i, (const uint64_t *)row + 1, stride / 8 - 1);
	sum = table_sum(sum, area_at(view, addresses.offset + (uint64_t)ret_row->first_address * addresses.stride),
			(uint64_t)ret_row->address_count * addresses.stride / 8);
	if (ret_row->sum != sum)
		return -EBADMSG;
	ret_row->name[TABLE_NAME_SIZE - 1] = '\0';
	ret_row->namespace[TABLE_NAME_SIZE - 1] = '\0';
	return 0;
}

int table_port(const struct table_view *view, uint32_t i, struct table_port *ret_row)
{
	struct table_section endpoints;
	const void *row;
	uint32_t stride;
	int r = row_at(view, SECTION_PORTS, LEAST_PORT, i, &row, &stride);

	if (r == 0)
		r = section_of(view, SECTION_ENDPOINTS, LEAST_ENDPOINT, &endpoints);
	if (r < 0)
		return r;
	load_row(ret_row, sizeof(*ret_row), row, stride);
	if ((uint64_t)ret_row->first_endpoint + ret_row->v4_count + ret_row->v6_count > endpoints.count ||
	    ret_row->sum != table_sum(i, (const uint64_t *)row + 1, stride / 8 - 1))
		return -EBADMSG;
	return 0;
}

int table_tally(const struct table_view *view, uint32_t i, bool v4, struct table_tally *ret_tally)
{
	const struct table_port_row *row;
	uint32_t stride;
	int r = row_at(view, SECTION_PORTS, LEAST_PORT, i, (const void **)&row, &stride);

	if (r < 0)
		return r;
	memset(ret_tally, 0, sizeof(*ret_tally));
	if (stride >= sizeof(*row))
		load_words(ret_tally, v4 ? &row->v4 : &row->v6, WORDS(*ret_tally));
	return 0;
}

int table_endpoint(const struct table_view *view, uint32_t i, struct table_endpoint *ret_row)
{
	size_t known, more;
	const void *row;
	uint32_t stride;
	int r = row_at(view, SECTION_ENDPOINTS, LEAST_ENDPOINT, i, &row, &stride);

	if (r < 0)
		return r;
	load_row(ret_row, sizeof(*ret_row), row, stride);
	known = (stride < sizeof(*ret_row) ? stride : sizeof(*ret_row)) / sizeof(uint64_t);
	more = stride / sizeof(uint64_t) - known;
	return ret_row->check == endpoint_check(ret_row, i, known, (const uint64_t *)row + known, more) ? 0 : -EBADMSG;
}

int table_endpoint_rows(const struct table_view *view, uint32_t first, uint32_t count, struct table_rows *ret_rows)
{
	struct table_section s;
	int r = section_of(view, SECTION_ENDPOINTS, LEAST_ENDPOINT, &s);

	if (r < 0)
		return r;
	if ((uint64_t)first + count > s.count)
		return -EBADMSG;
	*ret_rows = (struct table_rows){ area_at(view, s.offset + (uint64_t)first * s.stride), s.stride, count, first };
	return 0;
}

uint64_t table_rows_hash(const struct table_rows *rows, uint32_t i, uint64_t seed)
{
	const uint64_t *row = (const uint64_t *)(rows->at + (uint64_t)i * rows->stride);
	uint64_t h = hash_mix(hash_mix(seed, load_acquire(&row[0])), load_acquire(&row[1]));

	return hash_mix(h, (uint16_t)load_acquire(&row[2]));
}

int table_address(const struct table_view *view, uint32_t i, struct table_address *ret_row)
{
	const void *row;
	uint32_t stride;
	int r = row_at(view, SECTION_ADDRESSES, LEAST_ADDRESS, i, &row, &stride);

	if (r == 0)
		load_row(ret_row, sizeof(*ret_row), row, stride);
	return r;
}

void table_string(const struct table_view *view, uint32_t offset, char *buf, size_t size)
{
	struct text out = text_into(buf, size);
	struct table_section s;
	const char *bytes;

	if (section_of(view, SECTION_STRINGS, LEAST_STRING, &s) < 0)
		return;
	bytes = area_at(view, s.offset);
	for (uint64_t i = offset; i < (uint64_t)s.count * s.stride; i++) {
		char c = (char)load_acquire_byte(&bytes[i]);

		if (c == '\0' || out.full)
			return;
		text_add_char(&out, c);
	}
}
