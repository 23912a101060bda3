/* SPDX-License-Identifier: Apache-2.0 */
#include "model/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "table/layout.h"

/* Reserved for "future use" since 1989 (RFC 1112), routed nowhere; and a unique local prefix (RFC 4193). */
#define DEFAULT_V4 "240.0.0.0/4"
#define DEFAULT_V6 "fd0f:a12d:1a1::/64"

/* Enough to start anywhere in; more bits of an IPv6 range are left at zero. */
#define MAX_COUNT ((uint64_t)1 << 62)

/* Never given out, whatever the range. */
static const char *const never[] = { "0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8" };

struct allocation {
	const char *key;
	struct addr addr[2]; /* by is_v4 */
	bool has[2];
	uint32_t turn;
};

#define NAME_KEY (2 * TABLE_NAME_SIZE)

bool address_is_unicast(const struct addr *addr)
{
	static const uint8_t zero[16];

	if (addr->is_v4)
		return memcmp(addr->ip + 12, zero, 4) != 0 && (addr->ip[12] & 0xf0) != 0xe0 &&
		       memcmp(addr->ip + 12, "\xff\xff\xff\xff", 4) != 0;
	return memcmp(addr->ip, zero, 16) != 0 && addr->ip[0] != 0xff;
}

bool address_is_link_local(const struct addr *addr)
{
	if (addr->is_v4)
		return addr->ip[12] == 169 && addr->ip[13] == 254;
	return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

bool address_is_loopback(const struct addr *addr)
{
	static const uint8_t one[16] = { [15] = 1 };

	return addr->is_v4 ? addr->ip[12] == 127 : memcmp(addr->ip, one, 16) == 0;
}

/* ---- addresses as numbers: the range of one family lies within one upper half ---- */

static uint64_t half(const struct addr *addr, size_t from)
{
	uint64_t value = 0;

	for (size_t i = from; i < from + 8; i++)
		value = value << 8 | addr->ip[i];
	return value;
}

static void set_low(struct addr *addr, uint64_t low)
{
	for (size_t i = 16; i > 8; i--, low >>= 8)
		addr->ip[i - 1] = (uint8_t)low;
}

static uint64_t host_mask(const struct address_network *network)
{
	return network->prefix_len <= 64    ? UINT64_MAX
	       : network->prefix_len >= 128 ? 0
					    : UINT64_MAX >> (network->prefix_len - 64);
}

static void clear_host_bits(struct address_network *network)
{
	for (unsigned bit = network->prefix_len; bit < 128; bit++)
		network->first.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static bool contains(const struct address_network *network, const struct addr *addr)
{
	struct address_network other = { *addr, network->prefix_len };

	clear_host_bits(&other);
	return addr->is_v4 == network->first.is_v4 && memcmp(other.first.ip, network->first.ip, 16) == 0;
}

/* `prefix_len` as people count it: of 32 bits for IPv4. */
static int network_make(const struct addr *addr, unsigned prefix_len, struct address_network *ret)
{
	if (prefix_len > (addr->is_v4 ? 32 : 128))
		return -EINVAL;
	ret->first = *addr;
	ret->first.port_be = 0;
	ret->prefix_len = prefix_len + (addr->is_v4 ? 96 : 0);
	clear_host_bits(ret);
	return 0;
}

static int network_parse(struct slice text, struct address_network *ret)
{
	struct slice rest = text, ip = slice_cut(&rest, '/');
	unsigned prefix_len = 0;
	struct addr addr;

	if (!rest.at || rest.len == 0 || rest.len > 3 || addr_parse_ip(ip.at, ip.len, &addr) < 0)
		return -EINVAL;
	for (size_t i = 0; i < rest.len; i++) {
		if (!text_is_digit(rest.at[i]))
			return -EINVAL;
		prefix_len = prefix_len * 10 + (unsigned)(rest.at[i] - '0');
	}
	return network_make(&addr, prefix_len, ret);
}

/* ---- ranges ---- */

static int range_set(struct slice text, struct address_ranges *ranges, bool *v4_given, bool *v6_given)
{
	struct address_network network;
	bool *given;

	if (network_parse(slice_word(&text), &network) < 0 || slice_word(&text).len > 0)
		return -EINVAL;
	/* At least two addresses besides the first and the last; at most what a loopback or private range would be. */
	if (network.prefix_len > 126 || network.prefix_len < (network.first.is_v4 ? 96 + 4 : 8))
		return -EINVAL;
	given = network.first.is_v4 ? v4_given : v6_given;
	if (*given)
		return -EINVAL;
	*given = true;
	*(network.first.is_v4 ? &ranges->v4 : &ranges->v6) = network;
	return 0;
}

int address_ranges_parse(const char *text, struct address_ranges *ret_ranges)
{
	struct slice rest = slice_of(text);
	struct address_ranges ranges;
	bool v4_given = false, v6_given = false;

	network_parse(slice_of(DEFAULT_V4), &ranges.v4);
	network_parse(slice_of(DEFAULT_V6), &ranges.v6);
	while (rest.at) {
		int err = range_set(slice_cut(&rest, ','), &ranges, &v4_given, &v6_given);

		if (err < 0)
			return err;
	}
	*ret_ranges = ranges;
	return 0;
}

/* ---- the allocator ---- */

int allocator_init(struct allocator *allocator, const char *ranges)
{
	int err;

	memset(allocator, 0, sizeof(*allocator));
	err = address_ranges_parse(ranges, &allocator->ranges);
	for (size_t i = 0; err == 0 && i < sizeof(never) / sizeof(never[0]); i++) {
		struct address_network network;

		network_parse(slice_of(never[i]), &network);
		err = allocator_avoid(allocator, &network.first, network.prefix_len - (network.first.is_v4 ? 96 : 0));
	}
	if (err < 0)
		allocator_done(allocator);
	return err;
}

void allocator_done(struct allocator *allocator)
{
	free(allocator->avoided);
	index_free(&allocator->by_name);
	index_free(&allocator->by_address);
	arena_free(&allocator->arena);
	memset(allocator, 0, sizeof(*allocator));
}

int allocator_avoid(struct allocator *allocator, const struct addr *network, unsigned prefix_len)
{
	struct address_network avoided, *larger;

	if (network_make(network, prefix_len, &avoided) < 0)
		return -EINVAL;
	for (size_t i = 0; i < allocator->avoided_count; i++)
		if (allocator->avoided[i].prefix_len <= avoided.prefix_len &&
		    contains(&allocator->avoided[i], &avoided.first))
			return 0;
	larger = realloc(allocator->avoided, (allocator->avoided_count + 1) * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	larger[allocator->avoided_count++] = avoided;
	allocator->avoided = larger;
	return 0;
}

static const struct address_network *avoided_of(const struct allocator *allocator, const struct addr *addr)
{
	for (size_t i = 0; i < allocator->avoided_count; i++)
		if (contains(&allocator->avoided[i], addr))
			return &allocator->avoided[i];
	return NULL;
}

static size_t name_key(char key[NAME_KEY], const char *name, const char *namespace)
{
	struct text text = text_into(key, NAME_KEY);

	text_add(&text, name);
	text_add_char(&text, '.');
	text_add(&text, namespace);
	return text.len;
}

static struct allocation *find(const struct allocator *allocator, const char *name, const char *namespace)
{
	char key[NAME_KEY];

	return index_get(&allocator->by_name, key, name_key(key, name, namespace));
}

static struct allocation *find_or_add(struct allocator *allocator, const char *name, const char *namespace)
{
	struct allocation *allocation = find(allocator, name, namespace);
	char key[NAME_KEY];
	size_t len = name_key(key, name, namespace);

	if (allocation)
		return allocation;
	allocation = arena_alloc(&allocator->arena, 1, sizeof(*allocation));
	if (!allocation)
		return NULL;
	allocation->key = arena_text(&allocator->arena, key, len);
	if (!allocation->key || index_put(&allocator->by_name, allocation->key, len, allocation) < 0)
		return NULL;
	return allocation;
}

void allocator_begin(struct allocator *allocator)
{
	allocator->turn++;
}

void allocator_keep(struct allocator *allocator, const char *name, const char *namespace)
{
	struct allocation *allocation = find(allocator, name, namespace);

	if (allocation)
		allocation->turn = allocator->turn;
}

bool allocator_has(const struct allocator *allocator, const char *name, const char *namespace, bool is_v4)
{
	const struct allocation *allocation = find(allocator, name, namespace);

	return allocation && allocation->has[is_v4];
}

bool allocator_is_given(const struct allocator *allocator, const struct addr *addr)
{
	return index_get(&allocator->by_address, addr->ip, sizeof(addr->ip)) != NULL;
}

static void take_back(struct allocator *allocator, struct allocation *allocation, bool is_v4)
{
	index_remove(&allocator->by_address, allocation->addr[is_v4].ip, 16);
	allocation->has[is_v4] = false;
}

/*
 * Looks at each address of the range once, from the place that the name gives; avoided networks are stepped over
 * whole. With `evict`, one that nobody has kept this turn counts as free.
 */
static int search(const struct allocator *allocator, const struct address_network *range, uint64_t hash,
		  const struct index *taken, bool evict, struct addr *ret_addr)
{
	uint64_t low = half(&range->first, 8), mask = host_mask(range);
	uint64_t count = mask >= MAX_COUNT ? MAX_COUNT : mask + 1;
	uint64_t start = hash % count;
	struct addr addr = range->first;

	for (uint64_t step = 0; step < count; step++) {
		uint64_t i = (start + step) % count;
		const struct address_network *avoided;
		const struct allocation *other;

		set_low(&addr, low + i);
		avoided = avoided_of(allocator, &addr);
		if (avoided) {
			uint64_t left_in_network = host_mask(avoided) - ((low + i) & host_mask(avoided));

			step += left_in_network < count - 1 - i ? left_in_network : count - 1 - i;
			continue;
		}
		if (i == 0 || i == mask || index_get(taken, addr.ip, 16))
			continue;
		other = index_get(&allocator->by_address, addr.ip, 16);
		if (!other || (evict && other->turn != allocator->turn)) {
			*ret_addr = addr;
			return 0;
		}
	}
	return -ENOSPC;
}

int allocator_get(struct allocator *allocator, const char *name, const char *namespace, bool is_v4,
		  const struct index *taken, struct addr *ret_addr)
{
	const struct address_network *range = is_v4 ? &allocator->ranges.v4 : &allocator->ranges.v6;
	struct allocation *allocation = find_or_add(allocator, name, namespace), *evicted;
	struct addr *addr;
	uint64_t hash;
	int err;

	if (!allocation)
		return -ENOMEM;
	addr = &allocation->addr[is_v4];
	allocation->turn = allocator->turn;
	if (allocation->has[is_v4] && (index_get(taken, addr->ip, 16) || avoided_of(allocator, addr)))
		take_back(allocator, allocation, is_v4);
	if (!allocation->has[is_v4]) {
		hash = hash_text(allocation->key, text_len(allocation->key), 0);
		err = search(allocator, range, hash, taken, false, addr);
		if (err == -ENOSPC)
			err = search(allocator, range, hash, taken, true, addr);
		if (err < 0)
			return err;
		evicted = index_get(&allocator->by_address, addr->ip, 16);
		if (evicted)
			take_back(allocator, evicted, is_v4);
		if (index_put(&allocator->by_address, addr->ip, 16, allocation) < 0)
			return -ENOMEM;
		allocation->has[is_v4] = true;
	}
	*ret_addr = *addr;
	return 0;
}
