/* SPDX-License-Identifier: Apache-2.0 */
/* "ports" and "endpoints" of a services file. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "model/addresses.h"
#include "services/reader.h"

/* ---- ports ---- */

static int read_port_name(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_label(r, at, value, &((struct file_port *)into)->name);
}

static int read_port_number(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_number(r, at, value, "a port", &((struct file_port *)into)->port);
}

static const struct protocol {
	const char *name;
	uint8_t number;
} protocols[] = { { "TCP", PROTOCOL_TCP }, { "UDP", PROTOCOL_UDP }, { "SCTP", PROTOCOL_SCTP } };

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static int read_protocol(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < PROTOCOLS; i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			((struct file_port *)into)->protocol = protocols[i].number;
			return 0;
		}
	}
	return reader_refuse_value(r, at, "\"TCP\", \"UDP\" or \"SCTP\"", value);
}

const char *services_protocol_name(uint8_t number)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (protocols[i].number == number)
			return protocols[i].name;
	return "?";
}

static const struct field port_fields[] = {
	{ "name", read_port_name, NULL },
	{ "port", read_port_number, "a port from 1 to 65535" },
	{ "protocol", read_protocol, NULL },
	{ NULL, NULL, NULL },
};

static int check_port(struct reader *r, const struct json_path *at, const struct file_service *service, size_t i)
{
	const struct json_path name_at = { at, "name", 0 }, port_at = { at, "port", 0 };
	const struct file_port *port = &service->ports[i];

	if (service->port_count > 1 && !port->name[0])
		return refuse(r, &name_at, "missing: each of several ports needs a name");
	for (size_t j = 0; j < i; j++) {
		const struct file_port *other = &service->ports[j];

		if (port->name[0] && strcmp(other->name, port->name) == 0)
			return refuse(r, &name_at, "duplicate name: ports[%zu] is \"%s\" too", j, port->name);
		if (other->port == port->port && other->protocol == port->protocol)
			return refuse(r, &port_at, "duplicate port: ports[%zu] is %u/%s too", j, port->port,
				      services_protocol_name(port->protocol));
	}
	return 0;
}

int services_read_ports(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	static const char expects[] = "a list of ports such as {\"port\": 80}";
	struct file_service *service = into;
	const json_t *item;
	size_t i;
	int err = reader_list(r, at, value, expects, sizeof(*service->ports), &service->ports, &service->port_count);

	if (err < 0)
		return err;
	if (service->port_count == 0)
		return refuse(r, at, "expected at least one port, got none");
	json_array_foreach(value, i, item)
	{
		struct json_path here = { at, NULL, i };

		service->ports[i] = (struct file_port){ .name = "", .protocol = PROTOCOL_TCP };
		if (!json_is_object(item))
			return reader_refuse_value(r, &here, "an object such as {\"port\": 80}", item);
		err = reader_object(r, &here, item, port_fields, NULL, &service->ports[i]);
		if (err == 0)
			err = check_port(r, &here, service, i);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- endpoints ---- */

/* An endpoint on its way: the keys that share an object lean on its service. */
struct endpoint_reader {
	const struct file_service *service;
	struct file_endpoint *endpoint;
	uint16_t port; /* 0: not given */
};

static int read_endpoint_address(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_ip(r, at, value, &((struct endpoint_reader *)into)->endpoint->addr);
}

static int refuse_several_ports(struct reader *r, const struct json_path *at)
{
	return refuse(r, at,
		      "a service of several ports needs \"ports\" here, such as "
		      "{\"address\": \"10.0.0.1\", \"ports\": {\"http\": 8080}}");
}

static int read_endpoint_port(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct endpoint_reader *e = into;

	if (e->service->port_count > 1)
		return refuse_several_ports(r, at);
	return reader_number(r, at, value, "a port", &e->port);
}

static int read_endpoint_ports(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct endpoint_reader *e = into;
	const struct file_service *service = e->service;
	const char *name;
	json_t *member;

	if (e->port)
		return refuse(r, at, "\"port\" and \"ports\" exclude each other");
	if (!json_is_object(value) || json_object_size(value) == 0)
		return reader_refuse_value(r, at, "ports by name such as {\"http\": 8080}", value);
	e->endpoint->port_numbers = arena_alloc(&r->arena, service->port_count, sizeof(uint16_t));
	if (!e->endpoint->port_numbers)
		return reader_no_memory(r);
	json_object_foreach((json_t *)value, name, member)
	{
		struct json_path here = { at, name, 0 };
		size_t i = 0;
		int err;

		while (i < service->port_count && strcmp(service->ports[i].name, name) != 0)
			i++;
		if (i == service->port_count || !name[0])
			return refuse(r, &here, "the service has no port of this name");
		err = reader_number(r, &here, member, "a port", &e->endpoint->port_numbers[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_zone(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	const char *text = json_string_value(value);

	if (!text || !text[0] || strlen(text) >= TABLE_NAME_SIZE)
		return reader_refuse_value(r, at, "a zone's name of up to 63 bytes", value);
	((struct endpoint_reader *)into)->endpoint->zone = text;
	return 0;
}

static int read_weight(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_number(r, at, value, "a weight", &((struct endpoint_reader *)into)->endpoint->weight);
}

static int read_ready(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_bool(r, at, value, &((struct endpoint_reader *)into)->endpoint->ready);
}

static int read_terminating(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_bool(r, at, value, &((struct endpoint_reader *)into)->endpoint->terminating);
}

static const struct field endpoint_fields[] = {
	{ "address", read_endpoint_address, "an IP address" },
	{ "port", read_endpoint_port, NULL },
	{ "ports", read_endpoint_ports, NULL },
	{ "zone", read_zone, NULL },
	{ "weight", read_weight, NULL },
	{ "ready", read_ready, NULL },
	{ "terminating", read_terminating, NULL },
	{ NULL, NULL, NULL },
};

static int read_endpoint_text(struct reader *r, const struct json_path *at, const json_t *value,
			      struct endpoint_reader *e)
{
	const char *text = json_string_value(value);

	if (e->service->port_count > 1)
		return refuse_several_ports(r, at);
	if (addr_parse(text, strlen(text), &e->endpoint->addr) < 0)
		return reader_refuse_value(
			r, at, "an address and a port such as \"10.0.0.1:8080\" or \"[fd00::1]:8080\"", value);
	if (!address_is_unicast(&e->endpoint->addr))
		return reader_refuse_value(r, at, "an address that can be dialed", value);
	return 0;
}

static int read_endpoint_object(struct reader *r, const struct json_path *at, const json_t *value,
				struct endpoint_reader *e)
{
	const struct json_path port_at = { at, "port", 0 };
	int err = reader_object(r, at, value, endpoint_fields, NULL, e);

	if (err < 0)
		return err;
	if (e->port)
		addr_set_port(&e->endpoint->addr, e->port);
	else if (!e->endpoint->port_numbers && e->service->port_count > 1)
		return refuse_several_ports(r, at);
	else if (!e->endpoint->port_numbers)
		return refuse(r, &port_at, "missing: expected a port from 1 to 65535");
	return 0;
}

/* One address and port serve one port of a Service once. */
static int check_endpoint(struct reader *r, const struct json_path *at, const struct file_service *service, size_t i,
			  struct index *seen)
{
	const struct file_endpoint *endpoint = &service->endpoints[i];

	for (size_t j = 0; j < service->port_count; j++) {
		struct {
			struct addr addr;
			uint32_t port;
		} key = { endpoint->addr, (uint32_t)j };
		char text[ADDR_TEXT];
		int before;

		if (endpoint->port_numbers && !endpoint->port_numbers[j])
			continue;
		if (endpoint->port_numbers)
			addr_set_port(&key.addr, endpoint->port_numbers[j]);
		before = reader_note(r, seen, &key, sizeof(key), i + 1);
		if (before > 0)
			return refuse(r, at, "duplicate endpoint: endpoints[%d] is %s too", before - 1,
				      addr_print(&key.addr, text));
		if (before < 0)
			return before;
	}
	return 0;
}

static int read_endpoint(struct reader *r, const struct json_path *at, const json_t *value,
			 const struct file_service *service, struct file_endpoint *ret)
{
	struct endpoint_reader e = { service, ret, 0 };

	*ret = (struct file_endpoint){ .weight = 1, .ready = true };
	if (json_is_string(value))
		return read_endpoint_text(r, at, value, &e);
	if (json_is_object(value))
		return read_endpoint_object(r, at, value, &e);
	return reader_refuse_value(r, at, "a text such as \"10.0.0.1:8080\", or an object", value);
}

int services_read_endpoints(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct file_service *service = into;
	struct index seen = { 0 };
	const json_t *item;
	size_t i;
	int err = reader_list(r, at, value, "a list of endpoints such as \"10.0.0.1:8080\"",
			      sizeof(*service->endpoints), &service->endpoints, &service->endpoint_count);

	if (err < 0)
		return err;
	json_array_foreach(value, i, item)
	{
		struct json_path here = { at, NULL, i };

		err = read_endpoint(r, &here, item, service, &service->endpoints[i]);
		if (err == 0)
			err = check_endpoint(r, &here, service, i, &seen);
		if (err < 0)
			break;
	}
	index_free(&seen);
	return err;
}
