/* SPDX-License-Identifier: Apache-2.0 */
/* Services in one line of text: web:80=10.0.0.1:8080,10.0.0.2:8080;db.shop:3306=10.0.0.3:3306 */
#include "services/source.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "model/addresses.h"
#include "model/arena.h"
#include "model/label.h"
#include "model/model.h"
#include "model/policy.h"

#define FORM "NAME:PORT=ADDRESS:PORT,..."

/* One port of one service, as written between two ';'. */
struct clause {
	struct slice name, namespace;
	uint16_t port;
	struct addr *endpoints;
	size_t endpoint_count;
};

struct inliner {
	const char *origin;
	struct report *report;
	struct arena arena;
	struct clause *clauses;
	size_t clause_count;
};

/* A piece of the text, short enough for an error. */
#define SHOWN(s) (int)((s).len > 80 ? 80 : (s).len), (s).at

static int refuse(struct inliner *in, struct slice piece, const char *why)
{
	return report(in->report, -EINVAL, "%s: \"%.*s\": %s", in->origin, SHOWN(piece), why);
}

static int no_memory(struct inliner *in)
{
	return report(in->report, -ENOMEM, "out of memory");
}

static size_t count_of(struct slice s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == c;
	return n;
}

/* ---- a clause ---- */

/* 0 where it is none. */
static uint16_t parse_port(struct slice text)
{
	uint32_t port = 0;

	if (text.len == 0 || text.len > 5 || text.at[0] == '0')
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!text_is_digit(text.at[i]))
			return 0;
		port = port * 10 + (uint32_t)(text.at[i] - '0');
	}
	return port <= 65535 ? (uint16_t)port : 0;
}

static int parse_service(struct inliner *in, struct slice whole, struct slice text, struct clause *ret)
{
	struct slice port = text, name = slice_trim(slice_cut(&port, ':'));

	if (!port.at)
		return refuse(in, whole, "expected " FORM);
	ret->port = parse_port(slice_trim(port));
	if (!ret->port)
		return refuse(in, whole, "expected a port from 1 to 65535 before the '='");
	ret->namespace = name;
	ret->name = slice_cut(&ret->namespace, '.');
	if (!label_is_valid(ret->name))
		return refuse(in, whole, "expected " LABEL_EXPECTS);
	if (ret->namespace.at && !label_is_valid(ret->namespace))
		return refuse(in, whole, "expected NAME or NAME.NAMESPACE, each " LABEL_EXPECTS);
	return 0;
}

static int parse_endpoint(struct inliner *in, struct slice text, struct clause *clause)
{
	struct addr *addr = &clause->endpoints[clause->endpoint_count];

	if (addr_parse(text.at, text.len, addr) < 0)
		return refuse(in, text, "expected an address and a port such as 10.0.0.1:8080 or [fd00::1]:8080");
	if (!address_is_unicast(addr))
		return refuse(in, text, "expected an address that can be dialed");
	for (size_t i = 0; i < clause->endpoint_count; i++)
		if (addr_equal(&clause->endpoints[i], addr))
			return refuse(in, text, "duplicate endpoint");
	clause->endpoint_count++;
	return 0;
}

static int parse_clause(struct inliner *in, struct slice whole)
{
	struct clause *clause = &in->clauses[in->clause_count];
	struct slice rest = whole, service = slice_cut(&rest, '=');
	int err;

	if (!rest.at)
		return refuse(in, whole, "expected " FORM);
	err = parse_service(in, whole, service, clause);
	if (err < 0)
		return err;
	clause->endpoints = arena_alloc(&in->arena, count_of(rest, ',') + 1, sizeof(*clause->endpoints));
	if (!clause->endpoints)
		return no_memory(in);
	while (err == 0 && rest.at)
		err = parse_endpoint(in, slice_trim(slice_cut(&rest, ',')), clause);
	in->clause_count++;
	return err;
}

static int parse(struct inliner *in, const char *text)
{
	struct slice rest = slice_of(text);
	int err = 0;

	in->clauses = arena_alloc(&in->arena, count_of(rest, ';') + 1, sizeof(*in->clauses));
	if (!in->clauses)
		return no_memory(in);
	while (err == 0 && rest.at) {
		struct slice clause = slice_trim(slice_cut(&rest, ';'));

		if (clause.len)
			err = parse_clause(in, clause);
	}
	if (err == 0 && in->clause_count == 0)
		return report(in->report, -EINVAL, "%s: expected " FORM, in->origin);
	return err;
}

/* ---- clauses of one service, joined ---- */

static bool same_service(const struct clause *a, const struct clause *b)
{
	return slice_equal(a->name, b->name) && slice_equal(a->namespace, b->namespace);
}

/* The service of clause `first` has as many ports as there are clauses for it. */
static int add_ports(struct inliner *in, size_t first, struct file_service *ret)
{
	ret->ports = arena_alloc(&in->arena, in->clause_count - first, sizeof(*ret->ports));
	if (!ret->ports)
		return no_memory(in);
	for (size_t i = first; i < in->clause_count; i++) {
		const struct clause *clause = &in->clauses[i];

		if (!same_service(&in->clauses[first], clause))
			continue;
		for (size_t j = 0; j < ret->port_count; j++)
			if (ret->ports[j].port == clause->port)
				return report(in->report, -EINVAL, "%s: duplicate port: %.*s:%u is there twice",
					      in->origin, SHOWN(clause->name), clause->port);
		ret->ports[ret->port_count++] = (struct file_port){ "", clause->port, PROTOCOL_TCP };
		ret->endpoint_count += clause->endpoint_count;
	}
	return 0;
}

static int add_endpoint(struct inliner *in, const struct addr *addr, size_t port, size_t port_count,
			struct file_endpoint *ret)
{
	*ret = (struct file_endpoint){ .addr = *addr, .weight = 1, .ready = true };
	if (port_count == 1)
		return 0;
	ret->port_numbers = arena_alloc(&in->arena, port_count, sizeof(*ret->port_numbers));
	if (!ret->port_numbers)
		return no_memory(in);
	ret->port_numbers[port] = addr_port(addr);
	return 0;
}

static int add_endpoints(struct inliner *in, size_t first, struct file_service *ret)
{
	size_t n = 0, port = 0;

	ret->endpoints = arena_alloc(&in->arena, ret->endpoint_count, sizeof(*ret->endpoints));
	if (!ret->endpoints)
		return no_memory(in);
	for (size_t i = first; i < in->clause_count; i++) {
		const struct clause *clause = &in->clauses[i];

		if (!same_service(&in->clauses[first], clause))
			continue;
		for (size_t j = 0; j < clause->endpoint_count; j++) {
			int err = add_endpoint(in, &clause->endpoints[j], port, ret->port_count, &ret->endpoints[n++]);

			if (err < 0)
				return err;
		}
		port++;
	}
	return 0;
}

static int add_service(struct inliner *in, size_t first, struct file_services *file)
{
	const struct clause *clause = &in->clauses[first];
	struct file_service *service = &file->services[file->count];
	int err;

	for (size_t i = 0; i < first; i++)
		if (same_service(&in->clauses[i], clause))
			return 0;
	service->name = arena_text(&in->arena, clause->name.at, clause->name.len);
	service->namespace =
		arena_text(&in->arena, clause->namespace.at ? clause->namespace.at : "", clause->namespace.len);
	service->policy = policy_defaults();
	if (!service->name || !service->namespace)
		return no_memory(in);
	err = add_ports(in, first, service);
	if (err == 0)
		err = add_endpoints(in, first, service);
	file->count++;
	return err;
}

int source_load_inline(struct model *model, const char *origin, const char *text, struct report *report_)
{
	struct inliner in = { .origin = origin, .report = report_ };
	struct file_services file = { .defaults = policy_defaults() };
	int err = parse(&in, text);

	if (err == 0) {
		file.services = arena_alloc(&in.arena, in.clause_count, sizeof(*file.services));
		err = file.services ? 0 : no_memory(&in);
	}
	for (size_t i = 0; err == 0 && i < in.clause_count; i++)
		err = add_service(&in, i, &file);
	if (err == 0) {
		err = model_add_to_file(model, &file);
		if (err == -EEXIST)
			report(report_, err, "%s: one of these services is in the services file too: name it once", origin);
		else if (err < 0)
			err = no_memory(&in);
	}
	arena_free(&in.arena);
	return err;
}
