/* SPDX-License-Identifier: Apache-2.0 */
#include "support/table_builder.h"

#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "model/policy.h"
#include "support/cleanup.h"

static void *grow(void *array, size_t count, size_t size)
{
	void *bigger = array;

	if ((count & (count - 1)) == 0) { /* 0, 1, 2, 4, ...: the array is full */
		bigger = realloc(array, (count ? count * 2 : 1) * size);
		if (!bigger)
			abort();
	}
	memset((char *)bigger + count * size, 0, size);
	return bigger;
}

/* ---- the spec ---- */

struct table_builder *builder_alloc(void)
{
	struct table_builder *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->spec.source = "a test";
	return b;
}

static void free_builder(void *b)
{
	builder_free(b);
}

struct table_builder *builder_new(void)
{
	struct table_builder *b = builder_alloc();

	after_test(free_builder, b);
	return b;
}

void builder_free(struct table_builder *b)
{
	for (size_t i = 0; i < b->spec.service_count; i++) {
		struct spec_service *s = &b->spec.services[i];

		for (size_t j = 0; j < s->port_count; j++)
			free(s->ports[j].endpoints);
		free(s->ports);
		free((void *)s->addresses);
	}
	for (size_t i = 0; i < b->text_count; i++)
		free(b->texts[i]);
	free(b->texts);
	free(b->spec.services);
	free(b);
}

const char *builder_text(struct table_builder *b, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	b->texts = grow(b->texts, b->text_count, sizeof(*b->texts));
	b->texts[b->text_count++] = copy;
	return copy;
}

struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, strlen(text), &addr) < 0 && addr_parse_ip(text, strlen(text), &addr) < 0)
		fail_msg("no address: %s", text);
	return addr;
}

static void add_address(struct spec_service *service, const char *text)
{
	struct spec_address *addresses = (struct spec_address *)service->addresses;

	addresses = grow(addresses, service->address_count, sizeof(*addresses));
	addresses[service->address_count++] = (struct spec_address){ addr_of(text), ADDRESS_CLUSTER };
	service->addresses = addresses;
}

struct spec_service *builder_service(struct table_builder *b, const char *name, const char *addresses)
{
	struct slice namespace = slice_of(name), label = slice_cut(&namespace, '.');
	struct spec_service *service;
	char text[256], *rest, *word;

	b->spec.services = grow(b->spec.services, b->spec.service_count, sizeof(*service));
	service = &b->spec.services[b->spec.service_count++];
	snprintf(text, sizeof(text), "%.*s", (int)label.len, label.at);
	service->name = builder_text(b, text);
	snprintf(text, sizeof(text), "%.*s", (int)namespace.len, namespace.at ? namespace.at : "");
	service->namespace = builder_text(b, text);
	service->policy = policy_defaults();
	snprintf(text, sizeof(text), "%s", addresses ? addresses : "");
	for (rest = text; (word = strtok_r(NULL, " ", &rest));)
		add_address(service, word);
	return service;
}

void builder_endpoint(struct spec_port *port, const struct addr *addr, uint16_t weight)
{
	port->endpoints = grow(port->endpoints, port->endpoint_count, sizeof(*port->endpoints));
	port->endpoints[port->endpoint_count++] = (struct spec_endpoint){
		.addr = *addr, .weight = weight, .flags = ENDPOINT_READY | ENDPOINT_SERVING | ENDPOINT_USABLE
	};
}

static void add_endpoint(struct spec_port *port, char *text)
{
	size_t len = strlen(text);
	char *star = strchr(text, '*');
	bool out = len && text[len - 1] == '!';
	struct addr addr;

	if (out)
		text[len - 1] = '\0';
	if (star)
		*star = '\0';
	addr = addr_of(text);
	builder_endpoint(port, &addr, (uint16_t)(star ? atoi(star + 1) : 1));
	if (out)
		port->endpoints[port->endpoint_count - 1].flags = 0;
}

struct spec_port *builder_port(struct table_builder *b, uint16_t number, uint8_t protocol, const char *endpoints)
{
	struct spec_service *service = &b->spec.services[b->spec.service_count - 1];
	char *copy = strdup(endpoints), *rest = copy, *word;
	struct spec_port *port;

	if (!copy)
		abort();
	service->ports = grow(service->ports, service->port_count, sizeof(*service->ports));
	port = &service->ports[service->port_count++];
	port->port = number;
	port->protocol = protocol;
	while ((word = strtok_r(NULL, " ", &rest)))
		add_endpoint(port, word);
	free(copy);
	return port;
}

struct table_builder *builder_web(const char *endpoints)
{
	struct table_builder *b = builder_new();

	builder_service(b, "web.shop", "10.96.0.1");
	builder_port(b, 80, PROTOCOL_TCP, endpoints);
	return b;
}

/* ---- files ---- */

static struct table_writer *open_writers[8];

static void close_any(void *slot)
{
	struct table_writer **writer = slot;

	writer_close(*writer);
	*writer = NULL;
}

struct table_writer *open_writer(const char *dir)
{
	const struct writer_options options = { .is_static = true };

	return open_writer_with(dir, &options);
}

struct table_writer *open_writer_with(const char *dir, const struct writer_options *options)
{
	struct report why = { "" };

	for (size_t i = 0; i < sizeof(open_writers) / sizeof(open_writers[0]); i++) {
		if (open_writers[i])
			continue;
		if (writer_open(dir, options, &open_writers[i], &why) < 0)
			fail_msg("writer_open: %s", why.text);
		after_test(close_any, &open_writers[i]);
		return open_writers[i];
	}
	fail_msg("too many writers");
	return NULL;
}

void close_writer(struct table_writer *writer)
{
	for (size_t i = 0; i < sizeof(open_writers) / sizeof(open_writers[0]); i++)
		if (writer && open_writers[i] == writer)
			close_any(&open_writers[i]);
}

void publish(struct table_writer *writer, const struct table_builder *b)
{
	struct report why = { "" };

	if (writer_publish(writer, &b->spec, &why) < 0)
		fail_msg("writer_publish: %s", why.text);
}

void publish_alone(const char *dir, const struct table_builder *b)
{
	struct table_writer *writer = open_writer(dir);

	publish(writer, b);
	close_writer(writer);
}

static void unmap(void *table)
{
	table_unmap(table);
	free(table);
}

struct table *map_table(const char *dir)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		abort();
	r = table_map(dir, &trust, table, NULL);
	if (r < 0) {
		free(table);
		fail_msg("table_map: %s", strerror(-r));
	}
	after_test(unmap, table);
	return table;
}

size_t files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	if (!d)
		fail_msg("cannot list %s: %s", dir, strerror(errno));
	while ((entry = readdir(d)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && strcmp(entry->d_name, WRITER_LOCK) != 0;
	closedir(d);
	return n;
}

uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}
