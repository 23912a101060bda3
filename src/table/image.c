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
	struct strings strings;
	struct report *why;
	uint8_t *bytes; /* up to the strings, which follow when all of them are known */
	struct table_section section[SECTION_COUNT]; /* capacities first; `count` then grows as rows are added */
	uint32_t capacity[SECTION_COUNT];
	uint64_t seed;
};

static const uint32_t strides[SECTION_COUNT] = {
	[SECTION_KEYS] = sizeof(struct table_key),
	[SECTION_NAMES] = sizeof(struct table_name),
	[SECTION_SERVICES] = sizeof(struct table_service),
	[SECTION_PORTS] = sizeof(struct table_port_row),
	[SECTION_ENDPOINTS] = sizeof(struct table_endpoint),
	[SECTION_ADDRESSES] = sizeof(struct table_address),
	[SECTION_STRINGS] = 8,
};

bool image_is_ours(const struct table_area *area)
{
	for (int id = 0; id < SECTION_COUNT; id++)
		if (area->section[id].stride != strides[id])
			return false;
	return area->head_size == sizeof(*area);
}

static struct slice text_of(const char *s)
{
	return slice_of(s ? s : "");
}

struct slot_key image_addr_key(const struct addr *addr)
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

	return image_addr_key(&addr);
}

int image_port_key(const struct table_view *view, const struct table_port *row, struct slot_key *ret_key)
{
	struct table_service service;
	int r = table_service(view, row->service, &service);

	if (r == 0)
		*ret_key = port_key(slice_of(service.name), slice_of(service.namespace), row->port, row->protocol);
	return r;
}

int image_compare_services(const void *a, const void *b)
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

uint64_t image_block(uint64_t endpoints)
{
	return endpoints + endpoints / 8 + 1;
}

/* For ports that outgrow their blocks, and for texts that come. */
static uint64_t spare_endpoints(uint64_t endpoints)
{
	return endpoints / 8 + 16;
}

static uint64_t spare_strings(uint64_t bytes)
{
	return bytes / 4 + 512;
}

static int measure(struct builder *b, const struct spec *spec)
{
	uint64_t services = spec->service_count, ports = 0, endpoints = 0, blocks = 0, addresses = 0, keys = 0;
	uint64_t offset = sizeof(struct table_area);

	for (size_t i = 0; i < services; i++) {
		const struct spec_service *s = &spec->services[i];

		ports += s->port_count;
		addresses += s->address_count;
		keys += s->port_count * s->address_count;
		for (size_t j = 0; j < s->port_count; j++) {
			endpoints += s->ports[j].endpoint_count;
			blocks += image_block(s->ports[j].endpoint_count);
		}
	}
	blocks += spare_endpoints(endpoints);
	if (services > UINT32_MAX / 4 || keys > UINT32_MAX / 4 || blocks > UINT32_MAX / 4)
		return report(b->why, -E2BIG, "too many services to publish");

	b->capacity[SECTION_KEYS] = hash_slots(keys);
	b->capacity[SECTION_NAMES] = hash_slots(services * 2);
	b->capacity[SECTION_SERVICES] = (uint32_t)services;
	b->capacity[SECTION_PORTS] = (uint32_t)ports;
	b->capacity[SECTION_ENDPOINTS] = (uint32_t)blocks;
	b->capacity[SECTION_ADDRESSES] = (uint32_t)addresses;
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

/* The same text twice in a row, as zones of neighbours are, need not be looked up. */
static int add_string(const struct row_maker *maker, const char *text, uint32_t last, uint32_t *ret_offset)
{
	int r;

	if (last && text && strcmp(maker->strings->bytes + last, text) == 0) {
		*ret_offset = last;
		return 0;
	}
	r = strings_add(maker->strings, text, ret_offset);
	return r < 0 ? report(maker->why, r, "no room for the text %.64s", text) : 0;
}

bool image_is_in_use(const struct table_port *port, const struct table_endpoint *row)
{
	return (row->flags & ENDPOINT_USABLE) && port->stand_down != STAND_DOWN_UNSYNCED;
}

/* Whether there is anyone beside whom the others are new. Else they were there before anybody looked, or are all alike. */
static bool has_old_one(const struct row_maker *maker, const struct spec_port *port)
{
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct slot_entry *entry = slots_find(maker->rows, image_addr_key(&port->endpoints[i].addr));

		if (entry && (port->endpoints[i].flags & ENDPOINT_USABLE) && slots_was_used(entry, maker->options->generation))
			return true;
	}
	return false;
}

void image_tally(struct table_tally *tally, const struct table_endpoint *row)
{
	if (!(row->flags & ENDPOINT_USABLE))
		return;
	if (tally->usable == 0 || row->added_ms < tally->oldest_ms)
		tally->oldest_ms = row->added_ms;
	if (row->added_ms > tally->newest_ms)
		tally->newest_ms = row->added_ms;
	if (row->weight > tally->heaviest)
		tally->heaviest = row->weight;
	tally->weight += row->weight;
	tally->usable++;
}

int image_endpoints(const struct row_maker *maker, const struct spec_port *port, struct table_port_row *row,
		    struct table_endpoint *ret_rows)
{
	const struct image_options *options = maker->options;
	uint16_t divisor = divisor_of_weights(port);
	uint64_t since_ms = has_old_one(maker, port) ? options->boot_ms : 0;
	uint32_t zone = 0, node = 0;

	if (port->endpoint_count)
		qsort(port->endpoints, port->endpoint_count, sizeof(*port->endpoints), compare_endpoints);
	row->port.v4_count = row->port.v6_count = 0;
	row->v4 = row->v6 = (struct table_tally){ 0 };
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct spec_endpoint *from = &port->endpoints[i];
		struct table_endpoint *to = &ret_rows[i];
		struct slot_entry *entry;
		char text[ADDR_TEXT];
		int error = 0;

		if (i && compare_endpoints(from - 1, from) == 0)
			return report(maker->why, -EINVAL, "endpoint %s is named twice", addr_print(&from->addr, text));
		entry = slots_take(maker->rows, image_addr_key(&from->addr), options->generation, &error);
		if (!entry)
			return report(maker->why, error, "no room for the scores of endpoint %s",
				      addr_print(&from->addr, text));
		*to = (struct table_endpoint){ .flags = from->flags };
		if (image_is_in_use(&row->port, to))
			slots_use(entry, options->generation, since_ms);
		error = add_string(maker, from->zone, zone, &zone);
		if (error == 0)
			error = add_string(maker, from->node, node, &node);
		if (error < 0)
			return error;
		*to = (struct table_endpoint){ .port_be = from->addr.port_be,
					       .is_v4 = from->addr.is_v4,
					       .slot = entry->slot,
					       .tag = table_tag(options->instance, &from->addr),
					       .weight = (uint16_t)((from->weight ? from->weight : 1) / divisor),
					       .flags = from->flags,
					       .zone = zone,
					       .node = node,
					       .added_ms = from->added_ms ? from->added_ms : entry->added_ms,
					       .given_weight = from->weight ? from->weight : 1 };
		memcpy(to->ip, from->addr.ip, 16);
		to->check = table_endpoint_check(to, row->port.first_endpoint + (uint32_t)i);
		if (to->is_v4)
			row->port.v4_count++;
		else
			row->port.v6_count++;
		image_tally(to->is_v4 ? &row->v4 : &row->v6, to);
	}
	return 0;
}

void image_seal_port(struct table_port_row *row, uint32_t i)
{
	row->port.sum = table_sum(i, (uint64_t *)row + 1, sizeof(*row) / 8 - 1);
}

static int add_port(struct builder *b, const struct spec_service *service, uint32_t service_row,
		    const struct spec_port *port)
{
	struct slot_key key = port_key(slice_of(service->name), text_of(service->namespace), port->port, port->protocol);
	uint32_t i = b->section[SECTION_PORTS].count;
	struct table_port_row *whole = add_row(b, SECTION_PORTS);
	struct table_port *row = &whole->port;
	struct row_maker maker = { b->options, b->rows, &b->strings, b->why };
	struct slot_entry *entry;
	int r, error = 0;

	entry = slots_take(b->cursors, key, b->options->generation, &error);
	if (!entry)
		return report(b->why, error, "no room for the cursor of service %s", service->name);
	row->service = service_row;
	r = add_string(&maker, port->name, 0, &row->name);
	if (r == 0)
		r = add_string(&maker, port->app_protocol, 0, &row->app_protocol);
	if (r < 0)
		return r;
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
	row->first_endpoint = b->section[SECTION_ENDPOINTS].count;
	r = image_endpoints(&maker, port, whole, row_at(b, SECTION_ENDPOINTS, row->first_endpoint));
	if (r < 0)
		return r;
	b->section[SECTION_ENDPOINTS].count += (uint32_t)image_block(port->endpoint_count);
	image_seal_port(whole, i);
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
	slots_begin(b->rows, b->options->generation);
	slots_begin(b->cursors, b->options->generation);
	for (size_t i = 0; i < spec->service_count; i++) {
		const struct spec_service *s = &spec->services[i];

		for (size_t j = 0; j < s->port_count; j++) {
			const struct spec_port *p = &s->ports[j];

			slots_keep(b->cursors, port_key(slice_of(s->name), text_of(s->namespace), p->port, p->protocol),
				   b->options->generation);
			for (size_t k = 0; k < p->endpoint_count; k++)
				slots_keep(b->rows, image_addr_key(&p->endpoints[k].addr), b->options->generation);
		}
	}
}

static int add_services(struct builder *b, const struct spec *spec)
{
	int r = 0;

	if (spec->service_count)
		qsort(spec->services, spec->service_count, sizeof(*spec->services), image_compare_services);
	for (size_t i = 0; r == 0 && i < spec->service_count; i++) {
		if (i && image_compare_services(&spec->services[i - 1], &spec->services[i]) == 0)
			r = report(b->why, -EINVAL, "service %s is named twice", spec->services[i].name);
		else
			r = add_service(b, &spec->services[i]);
	}
	return r;
}

/* All of them are known: they follow the other sections, and room for more of them follows. */
static int place_strings(struct builder *b, uint64_t *ret_size)
{
	uint64_t offset = b->section[SECTION_STRINGS].offset, used = strings_words_end(&b->strings);
	uint64_t size = (offset + used + spare_strings(used) + 63) / 64 * 64;
	uint8_t *bytes = realloc(b->bytes, size);

	if (!bytes)
		return report(b->why, -ENOMEM, "out of memory");
	b->bytes = bytes;
	memcpy(bytes + offset, b->strings.bytes, used);
	memset(bytes + offset + used, 0, size - offset - used);
	b->section[SECTION_STRINGS].count = (uint32_t)used / 8;
	*ret_size = size;
	return 0;
}

void image_seal_area(struct table_area *area)
{
	const size_t first = offsetof(struct table_area, generation);

	area->sum = table_sum(0, (uint8_t *)area + first, (sizeof(*area) - first) / 8);
}

static void fill_area(struct builder *b, const struct spec *spec, uint64_t size)
{
	struct table_area *area = (struct table_area *)b->bytes;

	b->section[SECTION_KEYS].count = b->capacity[SECTION_KEYS];
	b->section[SECTION_NAMES].count = b->capacity[SECTION_NAMES];
	b->section[SECTION_ENDPOINTS].count = b->capacity[SECTION_ENDPOINTS];
	area->generation = b->options->generation;
	area->seed = b->seed;
	area->published_ms = b->options->wall_ms;
	area->size = size;
	area->mode = spec->mode;
	area->stale_after_ms = spec->stale_after_ms ? spec->stale_after_ms : 60000;
	area->client_rank = spec->client_rank;
	area->client_peers = spec->client_peers;
	area->head_size = sizeof(*area);
	area->mesh_port = spec->mesh_port;
	memcpy(area->section, b->section, sizeof(area->section));
	strncpy(area->source, spec->source ? spec->source : "", sizeof(area->source) - 1);
	area->strings_sum = table_sum(0, row_at(b, SECTION_STRINGS, 0), b->section[SECTION_STRINGS].count);
	image_seal_area(area);
}

int image_build(const struct spec *spec, const struct image_options *options, struct slots *rows, struct slots *cursors,
		struct image *ret_image, struct report *why)
{
	struct builder b = { .options = options, .rows = rows, .cursors = cursors, .why = why };
	uint64_t size = 0;
	int r = measure(&b, spec);

	if (r == 0 && strings_init(&b.strings, UINT32_MAX / 8) < 0)
		r = report(why, -ENOMEM, "out of memory");
	if (r == 0) {
		keep_slots(&b, spec);
		r = add_services(&b, spec);
	}
	if (r == 0)
		r = hash_everything(&b);
	if (r == 0)
		r = place_strings(&b, &size);
	if (r == 0) {
		fill_area(&b, spec, size);
		*ret_image = (struct image){ b.bytes, size, options->generation };
	} else {
		free(b.bytes);
	}
	strings_done(&b.strings);
	return r;
}
