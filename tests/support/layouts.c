/* SPDX-License-Identifier: Apache-2.0 */
#include "support/layouts.h"

#include "support/testing.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/host.h"
#include "model/policy.h"
#include "support/process.h"
#include "support/services.h"
#include "table/table.h" /* for its sums and hashes alone */

const struct layout layout_1_0 = { 1, 0, 320, 0 };
const struct layout layout_newer = { 1, 3, 344, 16 };
const struct layout layout_2_0 = { 2, 0, 320, 0 };

enum { INSTANCE = 4711, SEED = 99, GENERATION = 5, SECTIONS = 7, AREA_SIZE = 64 * 1024, ROWS = 64 };

/* Of 1.0: bytes of the head and of each section's rows. */
enum { HEAD = 192 };
static const unsigned strides[SECTIONS] = { 32, 8, 224, 112, 56, 24, 8 };
enum { KEYS, NAMES, SERVICES, PORTS, ENDPOINTS, ADDRESSES, STRINGS };

static const char strings[16] = "\0zone-a\0node-1"; /* at 1 and 8 */

static void put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

static uint64_t get(const uint8_t *at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

/* ---- writing ---- */

struct writing {
	const struct layout *layout;
	const struct layout_service *service;
	uint8_t *area;
	unsigned offset[SECTIONS], stride[SECTIONS], count[SECTIONS];
};

static uint8_t *row(const struct writing *w, int section, unsigned i)
{
	return w->area + w->offset[section] + i * w->stride[section];
}

/* What this version knows nothing of. */
static void fill_more(const struct writing *w, uint8_t *end_of_known)
{
	memset(end_of_known, 0xa5, w->layout->more);
}

/* Bytes at the end of a port's row, since 1.2. */
static unsigned tallies(const struct layout *layout)
{
	return layout->minor >= 2 ? 64 : 0;
}

static void place_sections(struct writing *w)
{
	const unsigned counts[SECTIONS] = { 8, 8, 1, 1, (unsigned)w->service->count, 1, 0 };
	unsigned offset = w->layout->area_head;

	for (int id = 0; id < SECTIONS; id++) {
		w->offset[id] = offset;
		w->stride[id] = strides[id] + (id == PORTS ? tallies(w->layout) : 0) + w->layout->more;
		w->count[id] = id == STRINGS ? (unsigned)(sizeof(strings) + w->stride[id] - 1) / w->stride[id] : counts[id];
		offset += w->stride[id] * w->count[id];
	}
	put(w->area + 40, offset, 8);
}

static void write_key(struct writing *w)
{
	uint8_t *at = row(w, KEYS, (unsigned)addr_hash(&w->service->dest, SEED + 6) % 8);

	memcpy(at, w->service->dest.ip, 16);
	put(at + 16, w->service->dest.port_be, 2);
	put(at + 18, 6, 1);
	put(at + 19, 1, 1);
	put(at + 20, 0, 4); /* the row of its port */
	put(at + 24, (uint32_t)table_sum(0, at, 3), 4);
	fill_more(w, at + 32);
}

static void write_name(struct writing *w)
{
	uint32_t hash = table_name_hash(slice_of("web"), slice_of("shop"), SEED);
	uint8_t *at = row(w, NAMES, hash % 8);

	put(at, hash, 4);
	put(at + 4, 1, 4);
	fill_more(w, at + 8);
}

static void write_service(struct writing *w)
{
	struct table_policy policy = policy_defaults();
	uint8_t *at = row(w, SERVICES, 0), *address = row(w, ADDRESSES, 0);
	uint64_t sum;

	memcpy(address, w->service->dest.ip, 16);
	put(address + 16, 1, 1);
	fill_more(w, address + 24);
	strcpy((char *)at + 8, "web");
	strcpy((char *)at + 72, "shop");
	put(at + 140, 1, 4); /* ports */
	put(at + 148, 1, 4); /* addresses */
	memcpy(at + 168, &policy, 56);
	fill_more(w, at + 224);
	sum = table_sum(0, at + 8, w->stride[SERVICES] / 8 - 1);
	put(at, table_sum(sum, address, w->stride[ADDRESSES] / 8), 8);
}

static void write_port(struct writing *w)
{
	struct table_policy policy = policy_defaults();
	uint8_t *at = row(w, PORTS, 0);

	put(at + 24, w->service->count, 4); /* of IPv4 */
	put(at + 32, 3, 4);		    /* cursor */
	put(at + 36, 77, 4);		    /* its tag */
	put(at + 52, addr_port(&w->service->dest), 2);
	put(at + 54, 6, 1);
	memcpy(at + 56, &policy, 56);
	if (tallies(w->layout)) {
		put(at + 112, w->service->count, 8); /* their weight together */
		put(at + 120, w->service->count, 4); /* how many are usable */
		put(at + 124, 1, 4);		     /* the weight of the heaviest */
		put(at + 128, 1234, 8);		     /* since when the oldest can be dialed, and the newest */
		put(at + 136, 1234, 8);
	}
	fill_more(w, at + 112 + tallies(w->layout));
	put(at, table_sum(0, at + 8, w->stride[PORTS] / 8 - 1), 8);
}

static void write_endpoint(struct writing *w, unsigned i)
{
	const struct addr *addr = &w->service->endpoints[i];
	uint8_t *at = row(w, ENDPOINTS, i);

	memcpy(at, addr->ip, 16);
	put(at + 16, addr->port_be, 2);
	put(at + 18, 1, 1);
	put(at + 20, i, 4); /* row in the ledger */
	put(at + 24, table_tag(INSTANCE, addr), 4);
	put(at + 28, 1, 2);	    /* weight */
	put(at + 30, 1 | 2 | 8, 2); /* ready, serving, usable */
	put(at + 32, 1, 4);
	put(at + 36, 8, 4);
	put(at + 40, 1234, 8); /* since when */
	put(at + 48, 1, 4);
	fill_more(w, at + 56);
	put(at + 52, (uint32_t)table_sum(i, at, w->stride[ENDPOINTS] / 8), 4);
}

static void write_area_head(struct writing *w)
{
	uint8_t *at = w->area;

	put(at, 2, 8);
	put(at + 16, GENERATION, 8);
	put(at + 24, SEED, 8);
	put(at + 52, 60000, 4);
	put(at + 64, w->layout->area_head, 4);
	for (int id = 0; id < SECTIONS; id++) {
		put(at + 72 + 16 * id, w->offset[id], 4);
		put(at + 76 + 16 * id, w->count[id], 4);
		put(at + 80 + 16 * id, w->stride[id], 4);
	}
	strcpy((char *)at + 184, "another version");
	memcpy(row(w, STRINGS, 0), strings, sizeof(strings));
	put(at + 312, table_sum(0, row(w, STRINGS, 0), w->stride[STRINGS] * w->count[STRINGS] / 8), 8);
	if (w->layout->area_head > 320)
		put(at + 320, 15006, 4); /* 1.1: the mesh's port */
	if (w->layout->area_head > 328)
		memset(at + 328, 0xa5, w->layout->area_head - 328);
	put(at + 8, table_sum(0, at + 16, w->layout->area_head / 8 - 2), 8);
}

static void write_file_head(const struct layout *layout, uint8_t *file, unsigned area_offset, size_t size)
{
	put(file, 0x6c61696472696166u, 8);
	put(file + 8, layout->major, 2);
	put(file + 10, layout->minor, 2);
	put(file + 12, 4096 + layout->more, 4);
	put(file + 16, size, 8);
	put(file + 24, INSTANCE, 8);
	host_boot_id(file + 32);
	put(file + 48, 1, 8); /* static */
	put(file + 56, area_offset, 8);
	put(file + 64, area_offset + AREA_SIZE, 8);
	put(file + 72, AREA_SIZE, 8);
	put(file + 80, ROWS, 4);
	put(file + 84, ROWS, 4);
	put(file + 88, table_sum(0, file, 11), 8);
	put(file + 128, GENERATION << 1 | 1, 8);
	if (layout->minor > 0)
		strcpy((char *)file + 216, "a note of another version");
}

void write_layout(const char *dir, const struct layout *layout, const struct layout_service *service)
{
	unsigned area_offset = layout->more ? 4096 + 64 : 4096;
	size_t size = area_offset + 2 * AREA_SIZE;
	uint8_t *file = calloc(1, size);
	struct writing w = { .layout = layout, .service = service };
	const char *other = format("%s/table.new", dir);

	if (!file)
		abort();
	w.area = file + area_offset + AREA_SIZE;
	place_sections(&w);
	write_key(&w);
	write_name(&w);
	write_service(&w);
	write_port(&w);
	for (unsigned i = 0; i < service->count; i++)
		write_endpoint(&w, i);
	write_area_head(&w);
	write_file_head(layout, file, area_offset, size);
	write_file(other, file, size);
	free(file);
	assert_int_equal(rename(other, format("%s/table", dir)), 0);
}

/* ---- reading ---- */

static const uint8_t *old_row(const uint8_t *area, uint64_t area_size, int section, uint64_t i, unsigned *ret_stride)
{
	uint64_t offset = get(area + 72 + 16 * section, 4), count = get(area + 76 + 16 * section, 4);
	unsigned stride = (unsigned)get(area + 80 + 16 * section, 4);

	if (stride < strides[section] || offset + count * stride > area_size || i >= count)
		return NULL;
	*ret_stride = stride;
	return area + offset + i * stride;
}

static int old_find_port(const uint8_t *area, uint64_t area_size, const struct addr *dest)
{
	uint32_t slots = (uint32_t)get(area + 76, 4), at = (uint32_t)addr_hash(dest, get(area + 24, 8) + 6);

	for (int i = 0; i < 64; i++, at++) {
		unsigned stride;
		const uint8_t *key = old_row(area, area_size, KEYS, at & (slots - 1), &stride);

		if (!key || get(key + 18, 1) == 0)
			return -ENOENT;
		if (memcmp(key, dest->ip, 16) == 0 && get(key + 16, 2) == dest->port_be && get(key + 18, 1) == 6)
			return (uint32_t)table_sum(0, key, 3) == get(key + 24, 4) ? (int)get(key + 20, 4) : -EBADMSG;
	}
	return -ENOENT;
}

static int old_endpoint(const uint8_t *area, uint64_t area_size, uint64_t i, struct addr *ret_addr)
{
	unsigned stride;
	const uint8_t *at = old_row(area, area_size, ENDPOINTS, i, &stride);
	uint64_t copy[7];

	if (!at)
		return -EBADMSG;
	memcpy(copy, at, sizeof(copy));
	put((uint8_t *)copy + 52, 0, 4);
	if ((uint32_t)table_sum(i, copy, 7) != get(at + 52, 4))
		return -EBADMSG;
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(ret_addr->ip, at, 16);
	ret_addr->port_be = (uint16_t)get(at + 16, 2);
	ret_addr->is_v4 = (uint8_t)get(at + 18, 1);
	return 0;
}

static bool old_head_is_sound(const uint8_t *base, size_t size)
{
	return get(base, 8) == 0x6c61696472696166u && get(base + 8, 2) == 1 && get(base + 12, 4) >= HEAD &&
	       get(base + 16, 8) == size && table_sum(0, base, 11) == get(base + 88, 8) && get(base + 72, 8) >= 320;
}

int read_as_1_0(const uint8_t *base, size_t size, const struct addr *dest, struct addr *ret_endpoints, size_t room)
{
	uint64_t area_size = get(base + 72, 8), head, first, count;
	const uint8_t *area = base + get(base + 56 + 8 * (get(base + 128, 8) & 1), 8), *port;
	unsigned stride;
	int i;

	head = get(area + 64, 4);
	if (!old_head_is_sound(base, size) || head < 320 || table_sum(0, area + 16, head / 8 - 2) != get(area + 8, 8))
		return -EBADMSG;
	i = old_find_port(area, area_size, dest);
	if (i < 0)
		return i;
	port = old_row(area, area_size, PORTS, (uint64_t)i, &stride);
	if (!port || table_sum((uint64_t)i, port + 8, stride / 8 - 1) != get(port, 8))
		return -EBADMSG;
	first = get(port + 20, 4);
	count = get(port + 24, 4) + get(port + 28, 4);
	for (uint64_t k = 0; k < count && k < room; k++)
		if (old_endpoint(area, area_size, first + k, &ret_endpoints[k]) < 0)
			return -EBADMSG;
	return (int)count;
}
