/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publisher DIR SERVICES patch|whole COUNT: what the table's writer takes for one Service that changed, of SERVICES with 10
 * endpoints each, published in place or whole. Prints COUNT times in microseconds, a line each. Each time one of the ten
 * pods is another one, as in a rolling update, and it runs on a node that is known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "table/writer.h"

enum { ENDPOINTS = 10, NODES = 1000, UNCOUNTED = 3 };

static struct spec_endpoint *endpoints;
static char nodes[NODES][32];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct addr address(unsigned net, unsigned i, uint16_t port)
{
	struct addr addr = { .ip = { [10] = 0xff, [11] = 0xff, [12] = (uint8_t)net }, .is_v4 = 1 };

	addr.ip[13] = (uint8_t)(i >> 16);
	addr.ip[14] = (uint8_t)(i >> 8);
	addr.ip[15] = (uint8_t)i;
	addr_set_port(&addr, port);
	return addr;
}

static struct spec_endpoint pod(unsigned i)
{
	return (struct spec_endpoint){ .addr = address(10, i, 8080),
				       .flags = ENDPOINT_READY | ENDPOINT_SERVING | ENDPOINT_USABLE,
				       .node = nodes[i % NODES],
				       .zone = i % 3 ? i % 3 == 1 ? "zone-a" : "zone-b" : "zone-c" };
}

/* The arrays stay for the life of the process. */
static struct spec make_spec(unsigned services)
{
	struct spec spec = { .source = "a benchmark", .service_count = services };
	struct spec_address *addresses = calloc(services, sizeof(*addresses));
	struct spec_port *ports = calloc(services, sizeof(*ports));
	char *names = calloc(services, 16);

	spec.services = calloc(services, sizeof(*spec.services));
	endpoints = calloc((size_t)services * ENDPOINTS, sizeof(*endpoints));
	if (!addresses || !ports || !names || !spec.services || !endpoints)
		abort();
	for (unsigned i = 0; i < NODES; i++)
		snprintf(nodes[i], sizeof(nodes[i]), "node-%u.example.internal", i);
	for (unsigned i = 0; i < services; i++) {
		for (unsigned k = 0; k < ENDPOINTS; k++)
			endpoints[i * ENDPOINTS + k] = pod(i * ENDPOINTS + k);
		snprintf(names + 16 * i, 16, "s%05u", i); /* in the order of names */
		addresses[i] = (struct spec_address){ address(100, i, 0), ADDRESS_CLUSTER };
		ports[i] = (struct spec_port){ .port = 80,
					       .protocol = PROTOCOL_TCP,
					       .endpoints = &endpoints[i * ENDPOINTS],
					       .endpoint_count = ENDPOINTS };
		spec.services[i] = (struct spec_service){ .name = names + 16 * i,
							  .namespace = "bench",
							  .addresses = &addresses[i],
							  .address_count = 1,
							  .ports = &ports[i],
							  .port_count = 1 };
	}
	return spec;
}

int main(int argc, char **argv)
{
	const struct writer_options options = { .is_static = true };
	unsigned services = argc == 5 ? (unsigned)atoi(argv[2]) : 0, count = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
	unsigned next = services * ENDPOINTS;
	bool whole = argc == 5 && strcmp(argv[3], "whole") == 0;
	struct table_writer *writer;
	struct report why;
	struct spec spec;

	if (services == 0 || writer_open(argv[1], &options, &writer, &why) < 0)
		return 2;
	spec = make_spec(services);
	if (writer_publish(writer, &spec, &why) < 0)
		goto fail;
	for (unsigned i = 0; i < count + UNCOUNTED; i++) {
		struct spec_service *changed = &spec.services[(uint64_t)i * 6151 % services];
		struct spec one = { .services = changed, .service_count = 1 };
		double begin;
		int r;

		changed->ports[0].endpoints[i % ENDPOINTS] = pod(next++);
		begin = now_us();
		r = whole ? writer_publish(writer, &spec, &why) : writer_patch(writer, &one, &why);
		if (r < 0)
			goto fail;
		if (i >= UNCOUNTED) /* the first ones learn, and copy all */
			printf("%.3f\n", now_us() - begin);
	}
	writer_close(writer);
	return 0;
fail:
	fprintf(stderr, "publisher: %s\n", why.text);
	return 1;
}
