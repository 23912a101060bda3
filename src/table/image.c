/* SPDX-License-Identifier: Apache-2.0 */
/* From a spec to the bytes of one generation. */
#include "table/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct builder {
	const struct image_options *options;
	struct slots *rows, *cursors;
	struct report *why;
	uint8_t *bytes;
	struct table_section section[SECTION_COUNT]; /* capacities first; `count` then grows as rows are added */
	uint32_t capacity[SECTION_COUNT];
	uint64_t seed;
};

static const uint32_t strides[SECTION_COUNT] = {
	[SECTION_KEYS] = sizeof(struct table_key),
	[SECTION_NAMES] = sizeof(struct table_name),
	[SECTION_SERVICES] = sizeof(struct table_service),
	[SECTION_PORTS] = sizeof(struct table_port),
	[SECTION_ENDPOINTS] = sizeof(struct table_endpoint),
	[SECTION_ADDRESSES] = sizeof(struct table_address),
	[SECTION_STRINGS] = 8,
};

static struct slice text_of(const char *s)
{
	return slice_of(s ? s : "");
}

static struct slot_key addr_key(const struct addr *addr)
{
	return (struct slot_key){ addr_hash(addr, 1), addr_hash(addr, 2) };
}

static struct slot_key port_key(struct slice name, struct slice namespace, uint16_t port, uint8_t protocol)
{
	struct slot_key key;

	key.a = hash_text(name.at, name.len, (uint64_t)port << 8 | protocol);
	key.a = hash_text(namespace.at, namespace.len, key.a);
	key.b = hash_text(namespace.at, namespace.len, ~key.a);
	return key;
}

struct slot_key image_endpoint_key(const struct table_endpoint *row)
{
	struct addr addr = table_endpoint_addr(row);

	return addr_key(&addr);
}

int image_port_key(const struct table_view *view, const struct table_port *row, struct slot_key *ret_key)
{
	struct table_service service;
	int r = table_service(view, row->service, &service);

	if (r == 0)
		*ret_key = port_key(slice_of(service.name), slice_of(service.namespace), row->port, row->protocol);
	return r;
}

static int compare_services(const void *a, const void *b)
{
	const struct spec_service *x = a, *y = b;
	int order = strcmp(x->namespace ? x->namespace : "", y->namespace ? y->namespace : "");

	return order ? order : strcmp(x->name, y->name);
}

static int compare_endpoints(const void *a, const void *b)
{
	return addr_compare(&((const struct spec_endpoint *)a)->addr, &((const struct spec_endpoint *)b)->addr);
}

/* ---- sizes ---- */

static uint32_t hash_slots(uint64_t entries)
{
	uint32_t n = 8;

	while (n < entries * 2)
		n *= 2;
	return n;
}

static uint64_t string_room(const char *s)
{
	return s && *s ? strlen(s) + 1 : 0;
}

static int measure(struct builder *b, const struct spec *spec)
{
	uint64_t services = spec->service_count, ports = 0, endpoints = 0, addresses = 0, keys = 0, strings = 8;
	uint64_t offset = sizeof(struct table_area);

	for (size_t i = 0; i < services; i++) {
		const struct spec_service *s = &spec->services[i];

		ports += s->port_count;
		addresses += s->address_count;
		keys += s->port_count * s->address_count;
		for (size_t j = 0; j < s->port_count; j++) {
			const struct spec_port *p = &s->ports[j];

			strings += string_room(p->name) + string_room(p->app_protocol);
			endpoints += p->endpoint_count;
			for (size_t k = 0; k < p->endpoint_count; k++)
				strings += string_room(p->endpoints[k].zone) + string_room(p->endpoints[k].node);
		}
	}
	if (services > UINT32_MAX / 4 || keys > UINT32_MAX / 4 || endpoints > UINT32_MAX / 4 || strings > UINT32_MAX / 4)
		return report(b->why, -E2BIG, "too many services to publish");

	b->capacity[SECTION_KEYS] = hash_slots(keys);
	b->capacity[SECTION_NAMES] = hash_slots(services * 2);
	b->capacity[SECTION_SERVICES] = (uint32_t)services;
	b->capacity[SECTION_PORTS] = (uint32_t)ports;
	b->capacity[SECTION_ENDPOINTS] = (uint32_t)endpoints;
	b->capacity[SECTION_ADDRESSES] = (uint32_t)addresses;
	b->capacity[SECTION_STRINGS] = (uint32_t)((strings + 7) / 8);
	for (int id = 0; id < SECTION_COUNT; id++) {
		b->section[id] = (struct table_section){ (uint32_t)offset, 0, strides[id], 0 };
		offset += (uint64_t)b->capacity[id] * strides[id];
		if (offset > UINT32_MAX / 2)
			return report(b->why, -E2BIG, "too many services to publish");
	}
	b->bytes = calloc(1, offset);
	return b->bytes ? 0 : report(b->why, -ENOMEM, "out of memory");
}

static void *row_at(struct builder *b, enum table_section_id id, uint32_t i)
{
	return b->bytes + b->section[id].offset + (uint64_t)i * b->section[id].stride;
}

static void *add_row(struct builder *b, enum table_section_id id)
{
	return row_at(b, id, b->section[id].count++);
}

/* A text's offset. The same text twice in a row (zones of neighbours) is kept once. */
static uint32_t add_string(struct builder *b, const char *s, uint32_t last)
{
	char *strings = row_at(b, SECTION_STRINGS, 0);
	uint32_t at = b->section[SECTION_STRINGS].count; /* in bytes until the end of image_build */

	if (!s || !*s)
		return 0;
	if (last && strcmp(strings + last, s) == 0)
		return last;
	strcpy(strings + at, s);
	b->section[SECTION_STRINGS].count += (uint32_t)strlen(s) + 1;
	return at;
}

/* ---- rows ---- */

static uint16_t divisor_of_weights(const struct spec_port *port)
{
	unsigned d = 0;

	for (size_t i = 0; i < port->endpoint_count; i++) {
		unsigned x = port->endpoints[i].weight ? port->endpoints[i].weight : 1;

		while (x) {
			unsigned rest = d % x;

			d = x;
			x = rest;
		}
	}
	return d ? (uint16_t)d : 1;
}

static int add_endpoints(struct builder *b, const struct spec_port *port, struct table_port *row)
{
	uint16_t divisor = divisor_of_weights(port);
	uint32_t zone = 0, node = 0;

	if (port->endpoint_count)
		qsort(port->endpoints, port->endpoint_count, sizeof(*port->endpoints), compare_endpoints);
	row->first_endpoint = b->section[SECTION_ENDPOINTS].count;
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct spec_endpoint *from = &port->endpoints[i];
		struct table_endpoint *to = add_row(b, SECTION_ENDPOINTS);
		struct slot_entry *entry;
		char text[ADDR_TEXT];
		int error = 0;

		if (i && compare_endpoints(from - 1, from) == 0)
			return report(b->why, -EINVAL, "endpoint %s is named twice", addr_print(&from->addr, text));
		entry = slots_take(b->rows, addr_key(&from->addr), b->options->generation, b->options->boot_ms, &error);
		if (!entry)
			return report(b->why, error, "no room for the scores of endpoint %s", addr_print(&from->addr, text));
		memcpy(to->ip, from->addr.ip, 16);
		to->port_be = from->addr.port_be;
		to->is_v4 = from->addr.is_v4;
		to->slot = entry->slot;
		to->tag = table_tag(b->options->instance, &from->addr);
		to->weight = (uint16_t)((from->weight ? from->weight : 1) / divisor);
		to->given_weight = from->weight ? from->weight : 1;
		to->flags = from->flags;
		zone = to->zone = add_string(b, from->zone, zone);
		node = to->node = add_string(b, from->node, node);
		to->added_ms = from->added_ms ? from->added_ms : entry->added_ms;
		to->check = table_endpoint_check(to, row->first_endpoint + (uint32_t)i);
		if (to->is_v4)
			row->v4_count++;
		else
			row->v6_count++;
	}
	return 0;
}

static int add_port(struct builder *b, const struct spec_service *service, uint32_t service_row,
		    const struct spec_port *port)
{
	struct slot_key key = port_key(slice_of(service->name), text_of(service->namespace), port->port, port->protocol);
	uint32_t i = b->section[SECTION_PORTS].count;
	struct table_port *row = add_row(b, SECTION_PORTS);
	struct slot_entry *entry;
	int r, error = 0;

	entry = slots_take(b->cursors, key, b->options->generation, b->options->boot_ms, &error);
	if (!entry)
		return report(b->why, error, "no room for the cursor of service %s", service->name);
	row->service = service_row;
	row->name = add_string(b, port->name, 0);
	row->app_protocol = add_string(b, port->app_protocol, 0);
	row->cursor = entry->slot;
	row->cursor_tag = (uint32_t)hash_mix(b->options->instance, key.a);
	if (row->cursor_tag == 0)
		row->cursor_tag = 1;
	row->flags = service->flags;
	row->stand_down = service->stand_down;
	row->affinity_s = service->affinity_s;
	row->port = port->port;
	row->protocol = port->protocol;
	row->policy = service->policy;
	r = add_endpoints(b, port, row);
	if (r < 0)
		return r;
	row->sum = table_sum(i, (uint64_t *)row + 1, sizeof(*row) / 8 - 1);
	return 0;
}

static int add_service(struct builder *b, const struct spec_service *service)
{
	uint32_t i = b->section[SECTION_SERVICES].count;
	struct table_service *row = add_row(b, SECTION_SERVICES);

	if (strlen(service->name) >= TABLE_NAME_SIZE || text_of(service->namespace).len >= TABLE_NAME_SIZE)
		return report(b->why, -EINVAL, "service %.80s: a name has at most %d bytes", service->name,
			      TABLE_NAME_SIZE - 1);
	strcpy(row->name, service->name);
	strcpy(row->namespace, text_of(service->namespace).at);
	row->first_port = b->section[SECTION_PORTS].count;
	row->port_count = (uint32_t)service->port_count;
	row->first_address = b->section[SECTION_ADDRESSES].count;
	row->address_count = (uint32_t)service->address_count;
	row->flags = service->flags;
	row->stand_down = service->stand_down;
	row->affinity_s = service->affinity_s;
	row->policy = service->policy;
	for (size_t j = 0; j < service->address_count; j++) {
		struct table_address *address = add_row(b, SECTION_ADDRESSES);

		memcpy(address->ip, service->addresses[j].addr.ip, 16);
		address->is_v4 = service->addresses[j].addr.is_v4;
		address->kind = service->addresses[j].kind;
	}
	row->sum = table_sum(i, (uint64_t *)row + 1, sizeof(*row) / 8 - 1);
	row->sum = table_sum(row->sum, row_at(b, SECTION_ADDRESSES, row->first_address),
			     (uint64_t)row->address_count * sizeof(struct table_address) / 8);
	for (size_t j = 0; j < service->port_count; j++) {
		int r = add_port(b, service, i, &service->ports[j]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the two hashes ---- */

/* False where the probe would be longer than readers look: another seed then. */
static bool add_key(struct builder *b, const struct addr *address, const struct table_port *port, uint32_t port_row)
{
	struct addr dest = *address;
	uint32_t mask = b->capacity[SECTION_KEYS] - 1, at;

	addr_set_port(&dest, port->port);
	at = (uint32_t)addr_hash(&dest, b->seed + port->protocol);
	for (int i = 0; i < TABLE_MAX_PROBES; i++, at++) {
		struct table_key *key = row_at(b, SECTION_KEYS, at & mask);

		if (key->protocol == 0) {
			memcpy(key->ip, dest.ip, 16);
			key->port_be = dest.port_be;
			key->protocol = port->protocol;
			key->is_v4 = dest.is_v4;
			key->port = port_row;
			key->check = table_key_check(key);
			return true;
		}
		if (memcmp(key->ip, dest.ip, 16) == 0 && key->port_be == dest.port_be && key->protocol == port->protocol)
			return true; /* two Services claim one address: the first in order has it */
	}
	return false;
}

static bool add_name(struct builder *b, const struct table_service *service, uint32_t row, uint32_t bare)
{
	struct slice namespace = bare ? (struct slice){ "", 0 } : slice_of(service->namespace);
	uint32_t hash = table_name_hash(slice_of(service->name), namespace, b->seed + bare);
	uint32_t mask = b->capacity[SECTION_NAMES] - 1, at = hash;

	for (int i = 0; i < TABLE_MAX_PROBES; i++, at++) {
		struct table_name *name = row_at(b, SECTION_NAMES, at & mask);

		if (name->service == 0) {
			name->hash = hash;
			name->service = (row + 1) | bare;
			return true;
		}
		if (bare && name->hash == hash && (name->service & TABLE_NAME_BARE)) {
			const struct table_service *other =
				row_at(b, SECTION_SERVICES, (name->service & ~TABLE_NAME_BARE) - 1);

			if (slice_equal_nocase(slice_of(other->name), slice_of(service->name)))
				return true; /* the same name in two namespaces: the first in order has it */
		}
	}
	return false;
}

static bool fill_hashes(struct builder *b)
{
	memset(row_at(b, SECTION_KEYS, 0), 0, (size_t)b->capacity[SECTION_KEYS] * sizeof(struct table_key));
	memset(row_at(b, SECTION_NAMES, 0), 0, (size_t)b->capacity[SECTION_NAMES] * sizeof(struct table_name));
	for (uint32_t i = 0; i < b->section[SECTION_SERVICES].count; i++) {
		const struct table_service *service = row_at(b, SECTION_SERVICES, i);

		if (!add_name(b, service, i, 0) || ((service->flags & SERVICE_BARE_NAME) && !add_name(b, service, i, TABLE_NAME_BARE)))
			return false;
		for (uint32_t j = 0; j < service->address_count; j++) {
			const struct table_address *row = row_at(b, SECTION_ADDRESSES, service->first_address + j);
			struct addr address = { .is_v4 = row->is_v4 };

			memcpy(address.ip, row->ip, 16);
			for (uint32_t k = service->first_port; k < service->first_port + service->port_count; k++)
				if (!add_key(b, &address, row_at(b, SECTION_PORTS, k), k))
					return false;
		}
	}
	return true;
}

static int hash_everything(struct builder *b)
{
	b->seed = b->options->instance ^ b->options->generation;
	for (int i = 0; i < 64; i++, b->seed = hash_mix(b->seed, (uint64_t)i))
		if (fill_hashes(b))
			return 0;
	return report(b->why, -E2BIG, "cannot index the services: too many of them share a hash");
}

/* Before any slot is given out: who has one keeps it, also where new endpoints come first. */
static void keep_slots(struct builder *b, const struct spec *spec)
{
	for (size_t i = 0; i < spec->service_count; i++) {
		const struct spec_service *s = &spec->services[i];

		for (size_t j = 0; j < s->port_count; j++) {
			const struct spec_port *p = &s->ports[j];

			slots_keep(b->cursors, port_key(slice_of(s->name), text_of(s->namespace), p->port, p->protocol),
				   b->options->generation);
			for (size_t k = 0; k < p->endpoint_count; k++)
				slots_keep(b->rows, addr_key(&p->endpoints[k].addr), b->options->generation);
		}
	}
}

static void fill_area(struct builder *b, const struct spec *spec, uint64_t size)
{
	struct table_area *area = (struct table_area *)b->bytes;
	const size_t first = offsetof(struct table_area, generation);

	area->generation = b->options->generation;
	area->seed = b->seed;
	area->published_ms = b->options->wall_ms;
	area->size = size;
	area->mode = spec->mode;
	area->stale_after_ms = spec->stale_after_ms ? spec->stale_after_ms : 60000;
	area->client_rank = spec->client_rank;
	area->client_peers = spec->client_peers;
	area->head_size = sizeof(*area);
	memcpy(area->section, b->section, sizeof(area->section));
	strncpy(area->source, spec->source ? spec->source : "", sizeof(area->source) - 1);
	area->strings_sum = table_sum(0, row_at(b, SECTION_STRINGS, 0), b->section[SECTION_STRINGS].count);
	area->sum = table_sum(0, b->bytes + first, (sizeof(*area) - first) / 8);
}

int image_build(const struct spec *spec, const struct image_options *options, struct slots *rows, struct slots *cursors,
		struct image *ret_image, struct report *why)
{
	struct builder b = { .options = options, .rows = rows, .cursors = cursors, .why = why };
	uint64_t size;
	int r = measure(&b, spec);

	if (r < 0)
		return r;
	keep_slots(&b, spec);
	if (spec->service_count)
		qsort(spec->services, spec->service_count, sizeof(*spec->services), compare_services);
	b.section[SECTION_STRINGS].count = 1; /* offset 0 is the empty text */
	for (size_t i = 0; r == 0 && i < spec->service_count; i++) {
		if (i && compare_services(&spec->services[i - 1], &spec->services[i]) == 0)
			r = report(why, -EINVAL, "service %s is named twice", spec->services[i].name);
		else
			r = add_service(&b, &spec->services[i]);
	}
	if (r == 0)
		r = hash_everything(&b);
	if (r < 0) {
		free(b.bytes);
		return r;
	}
	b.section[SECTION_KEYS].count = b.capacity[SECTION_KEYS];
	b.section[SECTION_NAMES].count = b.capacity[SECTION_NAMES];
	b.section[SECTION_STRINGS].count = (b.section[SECTION_STRINGS].count + 7) / 8;
	size = b.section[SECTION_STRINGS].offset + (uint64_t)b.section[SECTION_STRINGS].count * 8;
	fill_area(&b, spec, size);
	*ret_image = (struct image){ b.bytes, size, options->generation };
	return 0;
}
