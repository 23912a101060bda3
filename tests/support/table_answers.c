/* SPDX-License-Identifier: Apache-2.0 */
/* What a table answers, as text; and copies of it that end where touching more is fatal. */
#include "support/table_builder.h"

#include "support/testing.h"

#include <sys/mman.h>
#include <unistd.h>

#include "support/cleanup.h"

void assert_whole(const struct table *table)
{
	char why[256] = "";

	if (table_check(table, why, sizeof(why)) < 0)
		fail_msg("table_check: %s", why);
}

struct table_view view_of(const struct table *table)
{
	struct table_view view;

	if (!table_begin(table, &view))
		fail_msg("no generation can be read");
	return view;
}

uint64_t generation_of(const struct table *table)
{
	struct table_view view = view_of(table);
	struct table_area area;

	assert_int_equal(table_area(&view, &area), 0);
	return area.generation;
}

int find_port(const struct table *table, const char *dest, uint8_t protocol)
{
	struct table_view view = view_of(table);
	struct addr addr = addr_of(dest);

	return table_find_port(&view, &addr, protocol);
}

static int read_port(const struct table_view *view, const struct addr *dest, uint8_t protocol,
		     struct table_port *ret_port)
{
	int i = table_find_port(view, dest, protocol);

	return i < 0 ? i : table_port(view, (uint32_t)i, ret_port);
}

static int read_endpoint(const struct table_view *view, const struct table_port *port, uint32_t k,
			 struct table_endpoint *ret)
{
	return table_endpoint(view, port->first_endpoint + k, ret);
}

int rows_of(const struct table_view *view, const struct table_port *port, bool v4, struct table_rows *ret_rows)
{
	return table_endpoint_rows(view, port->first_endpoint + (v4 ? 0 : port->v4_count),
				   v4 ? port->v4_count : port->v6_count, ret_rows);
}

char *endpoints_at(const struct table *table, const char *dest, uint8_t protocol)
{
	struct table_view view = view_of(table);
	struct addr to = addr_of(dest);
	struct table_endpoint row;
	struct table_port port;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (read_port(&view, &to, protocol, &port) < 0)
		return NULL;
	out = open_memstream(&text, &size);
	for (uint32_t k = 0; k < port.v4_count + port.v6_count && read_endpoint(&view, &port, k, &row) == 0; k++) {
		struct addr addr = table_endpoint_addr(&row);
		char buf[ADDR_TEXT];

		fprintf(out, "%s%s", k ? " " : "", addr_print(&addr, buf));
		if (row.weight != 1)
			fprintf(out, "*%u", row.weight);
	}
	fclose(out);
	return text;
}

struct table_endpoint endpoint_at(const struct table *table, const char *dest, const char *endpoint)
{
	struct addr to = addr_of(dest), wanted = addr_of(endpoint);
	struct table_view view = view_of(table);
	struct table_endpoint row = { .slot = 0 };
	struct table_port port;

	assert_int_equal(read_port(&view, &to, PROTOCOL_TCP, &port), 0);
	for (uint32_t k = 0; read_endpoint(&view, &port, k, &row) == 0; k++) {
		struct addr addr = table_endpoint_addr(&row);

		if (addr_equal(&addr, &wanted))
			return row;
	}
	fail_msg("%s is no endpoint of %s", endpoint, dest);
	return row;
}

static void print_policy(FILE *out, const struct table_policy *policy)
{
	const uint8_t *bytes = (const uint8_t *)policy;

	for (size_t i = 0; i < sizeof(*policy); i++)
		fprintf(out, "%02x", bytes[i]);
}

/* What a table says of one whoever published it, whichever slot it has. */
static void print_plain_endpoint(FILE *out, const struct table_view *view, const struct table_endpoint *row)
{
	struct addr addr = table_endpoint_addr(row);
	char buf[ADDR_TEXT], zone[64], node[64];

	table_string(view, row->zone, zone, sizeof(zone));
	table_string(view, row->node, node, sizeof(node));
	fprintf(out, " %s*%u(%u)+%x@%s/%s", addr_print(&addr, buf), row->weight, row->given_weight, row->flags, zone, node);
}

static void print_plain_port(FILE *out, const struct table_view *view, const struct addr *dest, uint8_t protocol)
{
	char buf[ADDR_TEXT], name[64], app_protocol[64];
	struct table_endpoint row;
	struct table_port port;

	if (read_port(view, dest, protocol, &port) < 0) {
		fprintf(out, "refused\n");
		return;
	}
	table_string(view, port.name, name, sizeof(name));
	table_string(view, port.app_protocol, app_protocol, sizeof(app_protocol));
	fprintf(out, "%s/%u %s/%s %u %u ", addr_print(dest, buf), protocol, name, app_protocol, port.flags, port.stand_down);
	print_policy(out, &port.policy);
	for (uint32_t k = 0; k < port.v4_count + port.v6_count; k++) {
		if (read_endpoint(view, &port, k, &row) < 0)
			fprintf(out, " refused");
		else
			print_plain_endpoint(out, view, &row);
	}
	fprintf(out, "\n");
}

static void print_port(FILE *out, const struct table_view *view, const struct addr *dest, uint8_t protocol)
{
	struct table_endpoint row;
	struct table_port port;
	char buf[ADDR_TEXT];

	if (read_port(view, dest, protocol, &port) < 0) {
		fprintf(out, "refused\n");
		return;
	}
	fprintf(out, "%s/%u %u %u %u %u ", addr_print(dest, buf), protocol, port.cursor, port.cursor_tag, port.flags,
		port.stand_down);
	print_policy(out, &port.policy);
	for (uint32_t k = 0; k < port.v4_count + port.v6_count; k++) {
		struct addr addr = { .zero = 0 };

		if (read_endpoint(view, &port, k, &row) < 0) {
			fprintf(out, " refused");
			continue;
		}
		addr = table_endpoint_addr(&row);
		fprintf(out, " %s-%u/%u*%u+%x", addr_print(&addr, buf), row.slot, row.tag, row.weight, row.flags);
	}
	fprintf(out, "\n");
}

static void print_service(FILE *out, const struct table_view *view, int i)
{
	struct table_service row;

	if (i < 0 || table_service(view, (uint32_t)i, &row) < 0) {
		fprintf(out, "refused\n");
		return;
	}
	fprintf(out, "%s.%s %u %u", row.name, row.namespace, row.flags, row.stand_down);
	for (uint32_t k = 0; k < row.address_count; k++) {
		struct table_address address;

		if (table_address(view, row.first_address + k, &address) < 0)
			break;
		fprintf(out, " %s", address.is_v4 ? "v4" : "v6");
		for (size_t j = 0; j < sizeof(address.ip); j++)
			fprintf(out, "%02x", address.ip[j]);
	}
	fprintf(out, "\n");
}

static char *answers_of_ports(const struct table *table, const struct spec *spec,
			      void (*print)(FILE *, const struct table_view *, const struct addr *, uint8_t))
{
	struct table_view view;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool readable = table_begin(table, &view) && table_area_verify(&view) == 0;

	for (size_t i = 0; i < spec->service_count; i++) {
		const struct spec_service *s = &spec->services[i];

		for (size_t j = 0; j < s->address_count * s->port_count; j++) {
			const struct spec_port *port = &s->ports[j % s->port_count];
			struct addr dest = s->addresses[j / s->port_count].addr;

			addr_set_port(&dest, port->port);
			if (readable)
				print(out, &view, &dest, port->protocol);
			else
				fprintf(out, "refused\n");
		}
	}
	fclose(out);
	return text;
}

char *port_answers(const struct table *table, const struct spec *spec)
{
	return answers_of_ports(table, spec, print_port);
}

char *plain_answers(const struct table *table, const struct spec *spec)
{
	return answers_of_ports(table, spec, print_plain_port);
}

char *name_answers(const struct table *table, const struct spec *spec)
{
	struct table_view view;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool readable = table_begin(table, &view) && table_area_verify(&view) == 0;

	for (size_t i = 0; i < spec->service_count; i++) {
		const struct spec_service *s = &spec->services[i];
		struct slice name = slice_of(s->name);

		print_service(out, &view, readable ? table_find_service(&view, name, slice_of(s->namespace)) : -1);
		if (s->flags & SERVICE_BARE_NAME)
			print_service(out, &view, readable ? table_find_bare(&view, name) : -1);
	}
	fclose(out);
	return text;
}

static bool same_words(struct slice was, struct slice is)
{
	struct slice a, b;

	do {
		a = slice_word(&was);
		b = slice_word(&is);
		if (!slice_equal(a, b) && !(a.len && slice_is(b, "refused")))
			return false;
	} while (a.len);
	return true;
}

bool same_or_refused(const char *before, const char *now)
{
	struct slice was = slice_of(before), is = slice_of(now);

	while (was.at && is.at) {
		struct slice a = slice_cut(&was, '\n'), b = slice_cut(&is, '\n');

		if (!slice_is(b, "refused") && !same_words(a, b))
			return false;
	}
	return !was.at && !is.at;
}

/* ---- guarded copies ---- */

static void free_guarded(void *what)
{
	struct guarded *g = what;

	munmap(g->map, g->map_size);
	free(g);
}

struct guarded *guarded_new(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (size + page - 1) / page * page;
	struct guarded *g = calloc(1, sizeof(*g));

	if (!g)
		abort();
	g->size = size;
	g->map_size = inside + 2 * page;
	g->map = mmap(NULL, g->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->map != MAP_FAILED);
	if (inside)
		assert_int_equal(mprotect((uint8_t *)g->map + page, inside, PROT_READ | PROT_WRITE), 0);
	g->bytes = (uint8_t *)g->map + page + inside - size;
	after_test(free_guarded, g);
	return g;
}

void repair_head(void *at)
{
	struct table_head *head = at;

	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
}

void repair_area(void *at)
{
	struct table_area *area = at;
	const size_t first = offsetof(struct table_area, generation);

	area->sum = table_sum(0, (uint8_t *)at + first, (sizeof(*area) - first) / 8);
}
