/* SPDX-License-Identifier: Apache-2.0 */
#include "support/generations.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/policy.h"

enum { MAX_SCALE = 64, NODES = 40 };

static struct spec_endpoint endpoints[GENERATION_ENDPOINTS * MAX_SCALE];

static unsigned count_of(uint64_t g)
{
	return 1 + (unsigned)(g % GENERATION_ENDPOINTS);
}

/* 10.B.B.I: two bytes of the generation, and the number; its port has two more. */
static struct addr address_of(uint64_t g, unsigned i)
{
	struct addr addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 10 }, .is_v4 = 1 };

	addr.ip[13] = (uint8_t)(i >> 8);
	addr.ip[14] = (uint8_t)g;
	addr.ip[15] = (uint8_t)i;
	addr_set_port(&addr, (uint16_t)(1 + g % 50000));
	return addr;
}

const struct spec *spec_of_generation(uint64_t g, unsigned scale)
{
	static struct spec_address address = {
		{ .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 96, [15] = 1 }, .is_v4 = 1 }, ADDRESS_CLUSTER
	};
	static struct spec_port port;
	static struct spec_service service;
	static struct spec spec;

	for (unsigned i = 0; i < count_of(g) * scale; i++)
		endpoints[i] =
			(struct spec_endpoint){ .addr = address_of(g, i), .flags = ENDPOINT_READY | ENDPOINT_USABLE };
	port = (struct spec_port){
		.port = 80, .protocol = PROTOCOL_TCP, .endpoints = endpoints, .endpoint_count = count_of(g) * scale
	};
	service = (struct spec_service){ .name = "web",
					 .namespace = "shop",
					 .addresses = &address,
					 .address_count = 1,
					 .ports = &port,
					 .port_count = 1,
					 .policy = policy_defaults() };
	service.affinity_s = (uint32_t)g;
	spec = (struct spec){
		.services = &service, .service_count = 1, .client_rank = (uint32_t)g, .client_peers = (uint32_t)g + 1
	};
	return &spec;
}

static const char *node_of(uint64_t g)
{
	static char names[NODES][16];
	char *name = names[g % NODES];

	snprintf(name, sizeof(names[0]), "node-%u", (unsigned)(g % NODES));
	return name;
}

const struct spec *patch_of_generation(uint64_t g)
{
	struct spec *spec = (struct spec *)spec_of_generation(g, 1);

	spec->client_rank = spec->client_peers = 0;
	spec->services[0].affinity_s = 0;
	for (size_t i = 0; i < spec->services[0].ports[0].endpoint_count; i++) {
		endpoints[i].node = node_of(g);
		endpoints[i].weight = (uint16_t)(1 + i % 2);
	}
	return spec;
}

static bool node_belongs(const struct table_view *view, const struct table_endpoint *row, uint64_t generation)
{
	char node[16], expected[16];

	snprintf(expected, sizeof(expected), "node-%u", (unsigned)(generation % NODES));
	table_string(view, row->node, node, sizeof(node));
	return row->node == 0 || strcmp(node, expected) == 0;
}

/* Whether what was read belongs to one generation; meaningless until table_end has said yes. */
static bool read_all(const struct table_view *view, uint64_t *ret_generation)
{
	struct addr dest = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 96, [15] = 1 }, .is_v4 = 1 };
	struct table_service service;
	struct table_area area;
	struct table_port port;
	uint32_t said = table_rules(view).client_rank; /* 0: patches cannot say it there */
	int i;

	addr_set_port(&dest, 80);
	if (table_area(view, &area) < 0)
		return false;
	*ret_generation = area.generation;
	i = table_find_port(view, &dest, PROTOCOL_TCP);
	if (i < 0 || table_port(view, (uint32_t)i, &port) < 0)
		return false;
	i = table_find_service(view, slice_of("web"), slice_of("shop"));
	if (i < 0 || table_service(view, (uint32_t)i, &service) < 0)
		return false;
	if (port.affinity_s != said || service.affinity_s != said || (said && said != (uint32_t)area.generation) ||
	    port.v4_count % count_of(area.generation))
		return false;
	for (uint32_t k = 0; k < port.v4_count; k++) {
		struct table_endpoint row;
		struct addr addr;

		if (table_endpoint(view, port.first_endpoint + k, &row) < 0)
			return false;
		addr = table_endpoint_addr(&row);
		if (row.ip[14] != (uint8_t)area.generation || addr_port(&addr) != 1 + area.generation % 50000 ||
		    !node_belongs(view, &row, area.generation))
			return false;
	}
	return true;
}

int64_t read_generation(const struct table *table)
{
	struct table_view view;
	uint64_t generation = 0;
	bool whole;

	if (!table_begin(table, &view))
		return 0;
	whole = read_all(&view, &generation);
	if (!table_end(&view))
		return 0;
	return whole ? (int64_t)generation : -EBADMSG;
}
