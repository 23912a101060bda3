/* SPDX-License-Identifier: Apache-2.0 */
/* From the current generation and a few Services to the bytes that change. */
#include "table/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct patcher {
	struct places *places;
	struct table_view view;
	struct table_area area;
	const struct spec *spec;
	struct row_maker maker;
	struct patch *patch;
	struct report *why;
};

/* ---- pieces ---- */

/* `size` zero bytes for `at`; they stay where they are until the next piece. NULL: out of memory. */
static void *add_piece(struct patch *patch, uint32_t at, size_t size)
{
	if (patch->count == patch->room) {
		size_t room = patch->room ? patch->room * 2 : 16;
		struct patch_piece *pieces = realloc(patch->pieces, room * sizeof(*pieces));

		if (!pieces)
			return NULL;
		patch->pieces = pieces;
		patch->room = room;
	}
	if (size >= patch->size - patch->used) {
		size_t bigger = (patch->used + size + 64) * 2;
		uint8_t *bytes = realloc(patch->bytes, bigger);

		if (!bytes)
			return NULL;
		patch->bytes = bytes;
		patch->size = bigger;
	}
	patch->pieces[patch->count++] = (struct patch_piece){ at, (uint32_t)size };
	patch->used += size;
	return memset(patch->bytes + patch->used - size, 0, size);
}

void patch_done(struct patch *patch)
{
	free(patch->pieces);
	free(patch->bytes);
	*patch = (struct patch){ 0 };
}

/* ---- what the current generation has where ---- */

void places_forget(struct places *places)
{
	free(places->blocks);
	strings_done(&places->strings);
	*places = (struct places){ 0 };
}

struct found_block {
	uint32_t port, first, count;
};

static int compare_blocks(const void *a, const void *b)
{
	const struct found_block *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->count > y->count) - (x->count < y->count);
}

/* A block ends where the next one begins, the last one with its endpoints: all behind it is spare. */
static int learn_blocks(struct patcher *p)
{
	uint32_t ports = p->area.section[SECTION_PORTS].count, end = 0;
	struct found_block *found = calloc((size_t)ports + 1, sizeof(*found));
	struct places *places = p->places;

	places->blocks = calloc((size_t)ports + 1, sizeof(*places->blocks));
	if (!found || !places->blocks) {
		free(found);
		return report(p->why, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < ports; i++) {
		struct table_port row = { 0 };

		if (table_port(&p->view, i, &row) < 0) {
			free(found);
			return report(p->why, -ESTALE, "port %u of the table is damaged", i);
		}
		found[i] = (struct found_block){ i, row.first_endpoint, row.v4_count + row.v6_count };
	}
	qsort(found, ports, sizeof(*found), compare_blocks);
	for (uint32_t i = 0; i < ports; i++) {
		end = i + 1 < ports ? found[i + 1].first : found[i].first + found[i].count;
		places->blocks[found[i].port] = (struct places_block){ found[i].first, end - found[i].first };
	}
	free(found);
	places->spare = end;
	places->end = p->area.section[SECTION_ENDPOINTS].count;
	return 0;
}

static int learn(struct patcher *p)
{
	const struct table_section *s = &p->area.section[SECTION_STRINGS];
	struct places *places = p->places;
	int r = learn_blocks(p);

	if (r < 0)
		return r;
	if (strings_take(&places->strings, (const char *)p->view.area + s->offset, s->count * s->stride,
			 (uint32_t)(p->area.size - s->offset)) < 0)
		return report(p->why, -ENOMEM, "out of memory");
	places->strings_sum = table_sum_more(table_sum_begin(0), places->strings.bytes, (size_t)s->count * s->stride / 8);
	places->known = true;
	return 0;
}

/* ---- whether it can be done ---- */

static bool same_text(const struct patcher *p, uint32_t offset, const char *text)
{
	const struct strings *strings = &p->places->strings;

	return offset < strings->used && strcmp(strings->bytes + offset, text ? text : "") == 0;
}

static bool same_addresses(const struct patcher *p, const struct table_service *row, const struct spec_service *service)
{
	if (row->address_count != service->address_count)
		return false;
	for (uint32_t i = 0; i < row->address_count; i++) {
		const struct spec_address *wanted = &service->addresses[i];
		struct table_address address;

		if (table_address(&p->view, row->first_address + i, &address) < 0 || address.is_v4 != wanted->addr.is_v4 ||
		    address.kind != wanted->kind || memcmp(address.ip, wanted->addr.ip, 16) != 0)
			return false;
	}
	return true;
}

static bool same_ports(const struct patcher *p, const struct table_service *row, const struct spec_service *service)
{
	if (row->port_count != service->port_count)
		return false;
	for (uint32_t i = 0; i < row->port_count; i++) {
		const struct spec_port *wanted = &service->ports[i];
		struct table_port port;

		if (table_port(&p->view, row->first_port + i, &port) < 0 || port.port != wanted->port ||
		    port.protocol != wanted->protocol || !same_text(p, port.name, wanted->name) ||
		    !same_text(p, port.app_protocol, wanted->app_protocol))
			return false;
	}
	return true;
}

static int find_service(const struct patcher *p, const struct spec_service *service, struct table_service *ret_row)
{
	const char *namespace = service->namespace ? service->namespace : "";
	int i = table_find_service(&p->view, slice_of(service->name), slice_of(namespace));

	if (i < 0 || table_service(&p->view, (uint32_t)i, ret_row) < 0 || strcmp(ret_row->name, service->name) != 0 ||
	    strcmp(ret_row->namespace, namespace) != 0)
		return report(p->why, -ESTALE, "service %.80s is not in the table yet", service->name);
	return 0;
}

/* Endpoints that have no slot yet, and room for their texts. */
static int prepare_endpoints(struct patcher *p, const struct spec_port *port, size_t *fresh)
{
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct spec_endpoint *endpoint = &port->endpoints[i];
		uint32_t offset;
		int r = strings_add(&p->places->strings, endpoint->zone, &offset);

		if (r == 0)
			r = strings_add(&p->places->strings, endpoint->node, &offset);
		if (r < 0)
			return r == -ENOSPC ? report(p->why, -ESTALE, "no room for the names of more nodes") :
					      report(p->why, r, "out of memory");
		*fresh += slots_find(p->maker.rows, image_addr_key(&endpoint->addr)) == NULL;
	}
	return 0;
}

/* Its own block, or where they are too many for that, a larger one of what is spare; the last block grows where it is. */
static bool make_room(struct places *places, struct places_block *block, size_t endpoints)
{
	uint32_t first = block->first + block->size == places->spare ? block->first : places->spare;
	uint64_t size = image_block(endpoints), left = places->end - first;

	if (endpoints <= block->size)
		return true;
	if (endpoints > left)
		return false;
	*block = (struct places_block){ first, (uint32_t)(size < left ? size : left) };
	places->spare = first + block->size;
	return true;
}

static int prepare_service(struct patcher *p, const struct spec_service *service, size_t *fresh)
{
	struct table_service row;
	int r = find_service(p, service, &row);

	if (r < 0)
		return r;
	if (row.flags != service->flags || row.stand_down != service->stand_down || row.affinity_s != service->affinity_s ||
	    memcmp(&row.policy, &service->policy, sizeof(row.policy)) != 0 || !same_addresses(p, &row, service) ||
	    !same_ports(p, &row, service))
		return report(p->why, -ESTALE, "service %s differs in more than its endpoints", service->name);
	for (uint32_t i = 0; i < row.port_count; i++) {
		const struct spec_port *port = &service->ports[i];

		if (!make_room(p->places, &p->places->blocks[row.first_port + i], port->endpoint_count))
			return report(p->why, -ESTALE, "no room for the endpoints of service %s", service->name);
		r = prepare_endpoints(p, port, fresh);
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare(struct patcher *p)
{
	const struct spec *spec = p->spec;
	size_t fresh = 0;

	if (spec->service_count)
		qsort(spec->services, spec->service_count, sizeof(*spec->services), image_compare_services);
	for (size_t i = 0; i < spec->service_count; i++) {
		int r;

		if (i && image_compare_services(&spec->services[i - 1], &spec->services[i]) == 0)
			return report(p->why, -EINVAL, "service %s is named twice", spec->services[i].name);
		r = prepare_service(p, &spec->services[i], &fresh);
		if (r < 0)
			return r;
	}
	/* Who is not in the table any more may lose its slot only where all who are in it are named. */
	if (!slots_have(p->maker.rows, fresh))
		return report(p->why, -ESTALE, "no room for the scores of %zu more endpoints", fresh);
	return 0;
}

/* ---- the bytes ---- */

static uint32_t row_offset(const struct patcher *p, enum table_section_id id, uint32_t i)
{
	return p->area.section[id].offset + i * p->area.section[id].stride;
}

/* Their slots stay theirs while another row names them, and afterwards for as long as nobody needs them. */
static void drop_endpoints(struct patcher *p, const struct table_port *row)
{
	for (uint32_t i = 0; i < row->v4_count + row->v6_count; i++) {
		struct table_endpoint endpoint;

		if (table_endpoint(&p->view, row->first_endpoint + i, &endpoint) == 0)
			slots_drop(p->maker.rows, image_endpoint_key(&endpoint), image_is_in_use(row, &endpoint),
				   p->maker.options->generation);
	}
}

static int patch_port(struct patcher *p, uint32_t i, const struct spec_port *port)
{
	const struct places_block *block = &p->places->blocks[i];
	struct table_port_row row, *to;
	struct table_endpoint *rows;
	int r = table_port(&p->view, i, &row.port);

	if (r < 0)
		return report(p->why, r, "port %u of the table is damaged", i);
	drop_endpoints(p, &row.port);
	rows = add_piece(p->patch, row_offset(p, SECTION_ENDPOINTS, block->first), port->endpoint_count * sizeof(*rows));
	if (!rows)
		return report(p->why, -ENOMEM, "out of memory");
	row.port.first_endpoint = block->first;
	r = image_endpoints(&p->maker, port, &row, rows);
	if (r < 0)
		return r;
	image_seal_port(&row, i);
	to = add_piece(p->patch, row_offset(p, SECTION_PORTS, i), sizeof(*to));
	if (!to)
		return report(p->why, -ENOMEM, "out of memory");
	*to = row;
	return 0;
}

static int patch_services(struct patcher *p)
{
	for (size_t i = 0; i < p->spec->service_count; i++) {
		const struct spec_service *service = &p->spec->services[i];
		struct table_service row;
		int r = find_service(p, service, &row);

		for (uint32_t j = 0; r == 0 && j < row.port_count; j++)
			r = patch_port(p, row.first_port + j, &service->ports[j]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The texts that came, from a word's beginning on; the sum goes on from where it ended. */
static int patch_strings(struct patcher *p)
{
	struct table_section *s = &p->area.section[SECTION_STRINGS];
	struct strings *strings = &p->places->strings;
	uint32_t before = s->count * s->stride, end = strings_words_end(strings);
	void *to = add_piece(p->patch, s->offset + before, end - before);

	if (!to)
		return report(p->why, -ENOMEM, "out of memory");
	memcpy(to, strings->bytes + before, end - before);
	p->places->strings_sum = table_sum_more(p->places->strings_sum, to, (end - before) / 8);
	p->area.strings_sum = table_sum_end(p->places->strings_sum);
	strings->used = end;
	s->count = end / 8;
	return 0;
}

/* All of the area's head but its sequence number. */
static int patch_head(struct patcher *p)
{
	const uint32_t first = offsetof(struct table_area, sum);
	void *to = add_piece(p->patch, first, sizeof(p->area) - first);

	if (!to)
		return report(p->why, -ENOMEM, "out of memory");
	p->area.generation = p->maker.options->generation;
	p->area.published_ms = p->maker.options->wall_ms;
	image_seal_area(&p->area);
	memcpy(to, (uint8_t *)&p->area + first, sizeof(p->area) - first);
	return 0;
}

static int build(struct patcher *p)
{
	int r = p->places->known ? 0 : learn(p);

	if (r == 0)
		r = prepare(p);
	if (r == 0)
		r = patch_services(p);
	if (r == 0)
		r = patch_strings(p);
	if (r == 0)
		r = patch_head(p);
	return r;
}

int patch_build(struct places *places, const struct table *table, const struct spec *spec,
		const struct image_options *options, struct slots *rows, struct patch *ret_patch, struct report *why)
{
	struct patcher p = { .places = places,
			     .spec = spec,
			     .maker = { options, rows, &places->strings, why },
			     .patch = ret_patch,
			     .why = why };
	int r = -ESTALE;

	ret_patch->count = ret_patch->used = 0;
	if (table_begin(table, &p.view) && table_area(&p.view, &p.area) == 0 && image_is_ours(&p.area))
		r = build(&p);
	else
		report(why, r, "the current generation was made by another version");
	if (r < 0)
		places_forget(places);
	return r;
}
