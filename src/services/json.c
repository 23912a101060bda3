/* SPDX-License-Identifier: Apache-2.0 */
/* A services file into a model: the services and the file as a whole. */
#include "services/json.h"

#include <errno.h>
#include <string.h>

#include "model/label.h"
#include "model/policy.h"
#include "services/reader.h"

/* ---- services ---- */

static int read_name(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_label(r, at, value, &((struct file_service *)into)->name);
}

static int read_namespace(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_label(r, at, value, &((struct file_service *)into)->namespace);
}

/* What a service is dialed by must lead to it alone. */
static int check_address(struct reader *r, const struct json_path *at, const struct file_service *service,
			 const struct addr *addr)
{
	size_t self = (size_t)(service - r->file.services);

	for (size_t i = 0; i < service->port_count; i++) {
		struct {
			uint8_t ip[16];
			uint32_t port, protocol;
		} key = { .port = service->ports[i].port, .protocol = service->ports[i].protocol };
		const struct file_service *other;
		char text[ADDR_TEXT];
		int before;

		memcpy(key.ip, addr->ip, sizeof(key.ip));
		before = reader_note(r, &r->addresses, &key, sizeof(key), self + 1);
		if (before < 0)
			return before;
		if (before == 0)
			continue;
		other = &r->file.services[before - 1];
		if (other == service)
			return refuse(r, at, "duplicate address: %s is in this list already",
				      addr_print_ip(addr, text));
		return refuse(r, at, "duplicate address: %s port %u/%s is that of services \"%s%s%s\" and \"%s%s%s\"",
			      addr_print_ip(addr, text), service->ports[i].port,
			      services_protocol_name(service->ports[i].protocol), other->name,
			      other->namespace[0] ? "." : "", other->namespace, service->name,
			      service->namespace[0] ? "." : "", service->namespace);
	}
	return 0;
}

static int read_addresses(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct file_service *service = into;
	const json_t *item;
	size_t i;
	int err = reader_list(r, at, value, "a list of IP addresses", sizeof(*service->addresses), &service->addresses,
			      &service->address_count);

	if (err < 0)
		return err;
	json_array_foreach(value, i, item)
	{
		struct json_path here = { at, NULL, i };

		err = reader_ip(r, &here, item, &service->addresses[i]);
		if (err == 0)
			err = check_address(r, &here, service, &service->addresses[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Ports before what leans on them. */
static const struct field service_fields[] = {
	{ "name", read_name, LABEL_EXPECTS },
	{ "namespace", read_namespace, NULL },
	{ "ports", services_read_ports, "a list of ports such as {\"port\": 80}" },
	{ "addresses", read_addresses, NULL },
	{ "endpoints", services_read_endpoints, "a list of endpoints such as \"10.0.0.1:8080\"; it may be empty" },
	{ NULL, NULL, NULL },
};

static int check_name(struct reader *r, const struct json_path *at, const struct file_service *service)
{
	const struct json_path name_at = { at, "name", 0 };
	char key[2 * TABLE_NAME_SIZE];
	struct text text = text_into(key, sizeof(key));
	int before;

	text_add(&text, service->name);
	text_add_char(&text, '.');
	text_add(&text, service->namespace);
	before = reader_note(r, &r->names, key, text.len, at->index + 1);
	if (before > 0)
		return refuse(r, &name_at, "duplicate name: services[%d] is \"%s%s%s\" too", before - 1, service->name,
			      service->namespace[0] ? "." : "", service->namespace);
	return before;
}

static int read_services(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct file_services *file = into;
	const json_t *item;
	size_t i;
	int err =
		reader_list(r, at, value, "a list of services", sizeof(*file->services), &file->services, &file->count);

	if (err < 0)
		return err;
	json_array_foreach(value, i, item)
	{
		struct file_service *service = &file->services[i];
		struct json_path here = { at, NULL, i };

		*service = (struct file_service){ .namespace = "", .policy = policy_defaults() };
		if (!json_is_object(item))
			return reader_refuse_value(r, &here, "an object", item);
		err = reader_object(r, &here, item, service_fields, &service->policy, service);
		if (err == 0)
			err = check_name(r, &here, service);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- the file ---- */

static int read_mode(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	struct file_services *file = into;
	struct table_policy policy = { 0 };
	int err = reader_policy_key(r, at, value, &policy);

	if (err < 0)
		return err;
	file->mode = policy.mode;
	file->has_mode = true;
	return 0;
}

static int read_accept_moves(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	return reader_bool(r, at, value, &((struct file_services *)into)->accept_moves);
}

static int read_defaults(struct reader *r, const struct json_path *at, const json_t *value, void *into)
{
	static const struct field none[] = { { NULL, NULL, NULL } };
	struct file_services *file = into;

	if (!json_is_object(value))
		return reader_refuse_value(r, at, "an object of policy keys", value);
	return reader_object(r, at, value, none, &file->defaults, NULL);
}

static const struct field file_fields[] = {
	{ "mode", read_mode, NULL },
	{ "accept_moves", read_accept_moves, NULL },
	{ "defaults", read_defaults, NULL },
	{ "services", read_services, NULL },
	{ NULL, NULL, NULL },
};

int services_json_load(struct model *model, const struct json_source *source, const json_t *root,
		       struct report *report_)
{
	struct reader r = { .source = source, .report = report_, .file = { .defaults = policy_defaults() } };
	int err = json_is_object(root) ? reader_object(&r, NULL, root, file_fields, NULL, &r.file)
				       : reader_refuse_value(&r, NULL, "an object with \"services\"", root);

	if (err == 0) {
		err = model_set_file(model, &r.file);
		if (err < 0)
			reader_no_memory(&r);
	}
	index_free(&r.names);
	index_free(&r.addresses);
	arena_free(&r.arena);
	return err;
}
