/* SPDX-License-Identifier: Apache-2.0 */
/* Every invariant of a table, executable: for tests, fuzzers, `fairdial status`, and a writer that continues a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/atomics.h"
#include "table/image.h"
#include "table/table.h"

struct check {
	const struct table_view *view;
	const struct table_head *head;
	struct table_area area;
	char *why;
	size_t why_size;
	uint64_t *backends; /* by slot: a hash of the address that has it; 0: none seen */
	uint8_t *taken;	    /* by row of SECTION_ENDPOINTS: belongs to a port */
};

#define WRONG(check, ...) (snprintf((check)->why, (check)->why_size, __VA_ARGS__), -EBADMSG)

static int check_sections(struct check *c)
{
	static const struct {
		const char *name;
		uint32_t min_stride;
		bool hash;
	} known[SECTION_COUNT] = {
		{ "keys", LEAST_KEY, true },
		{ "names", LEAST_NAME, true },
		{ "services", LEAST_SERVICE, false },
		{ "ports", LEAST_PORT, false },
		{ "endpoints", LEAST_ENDPOINT, false },
		{ "addresses", LEAST_ADDRESS, false },
		{ "strings", LEAST_STRING, false },
	};
	uint64_t end = c->area.head_size;

	for (int id = 0; id < SECTION_COUNT; id++) {
		const struct table_section *s = &c->area.section[id];

		if (s->stride < known[id].min_stride || s->stride % 8 || s->stride > TABLE_MAX_STRIDE)
			return WRONG(c, "%s: a row of %u bytes", known[id].name, s->stride);
		if (s->offset % 8 || s->offset < end || s->offset + (uint64_t)s->count * s->stride > c->area.size)
			return WRONG(c, "%s: beyond the area, or inside another section", known[id].name);
		if (known[id].hash && (s->count == 0 || (s->count & (s->count - 1))))
			return WRONG(c, "%s: %u slots is no power of two", known[id].name, s->count);
		end = s->offset + (uint64_t)s->count * s->stride;
	}
	return 0;
}

static int check_area(struct check *c)
{
	int r = table_area(c->view, &c->area);

	if (r < 0)
		return WRONG(c, "the head of the generation does not match its sum");
	if (c->area.size < c->area.head_size || c->area.size > c->view->table->area_size || c->area.size % 8)
		return WRONG(c, "a generation of %llu bytes", (unsigned long long)c->area.size);
	if (c->area.generation != c->head->current >> 1)
		return WRONG(c, "the area holds generation %llu, the head names %llu",
			     (unsigned long long)c->area.generation, (unsigned long long)c->head->current >> 1);
	if (c->area.mode >= MODE_COUNT)
		return WRONG(c, "mode %u", c->area.mode);
	if (c->area.client_peers && c->area.client_peers != CLIENT_PEERS_UNKNOWN && c->area.client_rank >= c->area.client_peers)
		return WRONG(c, "client rank %u of %u", c->area.client_rank, c->area.client_peers);
	if (memchr(c->area.source, '\0', sizeof(c->area.source)) == NULL)
		return WRONG(c, "the source is not terminated");
	return check_sections(c);
}

static int check_strings(struct check *c)
{
	const struct table_section *s = &c->area.section[SECTION_STRINGS];
	const uint8_t *strings = (const uint8_t *)c->view->area + s->offset;

	if (table_sum(0, strings, (size_t)s->count * s->stride / 8) != c->area.strings_sum)
		return WRONG(c, "the texts do not match their sum");
	return 0;
}

static int check_policy(struct check *c, const struct table_policy *p)
{
	if (p->mode >= MODE_COUNT || p->balance >= BALANCE_COUNT || p->headless >= HEADLESS_COUNT || p->drain >= DRAIN_COUNT)
		return WRONG(c, "a policy that is not known");
	if (p->eject_percent > 100)
		return WRONG(c, "eject_percent %u", p->eject_percent);
	return 0;
}

static int check_string(struct check *c, uint32_t offset)
{
	const struct table_section *s = &c->area.section[SECTION_STRINGS];
	const char *strings = (const char *)c->view->area + s->offset;
	size_t size = (size_t)s->count * s->stride;

	if (offset >= size || !memchr(strings + offset, '\0', size - offset))
		return WRONG(c, "a text outside the strings");
	return 0;
}

static int check_endpoint(struct check *c, const struct table_endpoint *row, const struct table_endpoint *last)
{
	struct addr addr = table_endpoint_addr(row), before;
	char text[ADDR_TEXT];
	uint64_t hash = addr_hash(&addr, 1) | 1;

	addr_print(&addr, text);
	if (last) {
		before = table_endpoint_addr(last);
		if (addr_compare(&before, &addr) >= 0)
			return WRONG(c, "endpoint %s is out of order", text);
	}
	if (row->slot >= c->head->rows)
		return WRONG(c, "endpoint %s: slot %u of %u", text, row->slot, c->head->rows);
	if (row->tag != table_tag(c->head->instance, &addr))
		return WRONG(c, "endpoint %s: a tag of another", text);
	if (c->backends[row->slot] && c->backends[row->slot] != hash)
		return WRONG(c, "endpoint %s shares slot %u with another address", text, row->slot);
	c->backends[row->slot] = hash;
	if (row->weight == 0 || row->port_be == 0 || row->is_v4 > 1)
		return WRONG(c, "endpoint %s: weight, port or family", text);
	return check_string(c, row->zone) < 0 || check_string(c, row->node) < 0 ? -EBADMSG : 0;
}

static int check_port(struct check *c, uint32_t i, uint32_t service_row, const struct table_service *service)
{
	struct table_tally v4 = { 0 }, v6 = { 0 }, of_v4, of_v6;
	struct table_endpoint rows[2];
	struct table_port row;
	int r = table_port(c->view, i, &row);

	if (r < 0)
		return WRONG(c, "port %u of service %s does not match its sum", i, service->name);
	if (row.service != service_row || row.flags != service->flags || row.stand_down != service->stand_down ||
	    row.affinity_s != service->affinity_s || memcmp(&row.policy, &service->policy, sizeof(row.policy)) != 0)
		return WRONG(c, "port %u says other things than its service %s", row.port, service->name);
	if (row.port == 0 || row.protocol == 0 || row.cursor >= c->head->cursors || row.cursor_tag == 0)
		return WRONG(c, "port %u of service %s: number, protocol or cursor", row.port, service->name);
	if (check_string(c, row.name) < 0 || check_string(c, row.app_protocol) < 0)
		return -EBADMSG;
	for (uint32_t k = 0; k < row.v4_count + row.v6_count; k++) {
		if (table_endpoint(c->view, row.first_endpoint + k, &rows[k & 1]) < 0)
			return WRONG(c, "endpoint %u of service %s does not match its check", k, service->name);
		if (c->taken[row.first_endpoint + k]++)
			return WRONG(c, "endpoint %u of service %s belongs to another port too", k, service->name);
		if (rows[k & 1].is_v4 != (k < row.v4_count))
			return WRONG(c, "endpoints of service %s are not in the order of families", service->name);
		r = check_endpoint(c, &rows[k & 1], k ? &rows[(k & 1) ^ 1] : NULL);
		if (r < 0)
			return r;
		image_tally(k < row.v4_count ? &v4 : &v6, &rows[k & 1]);
	}
	if (table_tally(c->view, i, true, &of_v4) < 0 || table_tally(c->view, i, false, &of_v6) < 0)
		return -EBADMSG;
	if (c->area.section[SECTION_PORTS].stride >= sizeof(struct table_port_row) &&
	    (memcmp(&of_v4, &v4, sizeof(v4)) != 0 || memcmp(&of_v6, &v6, sizeof(v6)) != 0))
		return WRONG(c, "port %u of service %s does not add up to its endpoints", row.port, service->name);
	return 0;
}

static int check_addresses(struct check *c, const struct table_service *service)
{
	for (uint32_t i = 0; i < service->address_count; i++) {
		struct table_address row;
		struct addr dest = { 0 };

		if (table_address(c->view, service->first_address + i, &row) < 0 || row.is_v4 > 1)
			return WRONG(c, "an address of service %s is missing", service->name);
		memcpy(dest.ip, row.ip, 16);
		dest.is_v4 = row.is_v4;
		for (uint32_t j = 0; j < service->port_count; j++) {
			struct table_port port, found;
			int at;

			if (table_port(c->view, service->first_port + j, &port) < 0)
				return WRONG(c, "a port of service %s is missing", service->name);
			addr_set_port(&dest, port.port);
			at = table_find_port(c->view, &dest, port.protocol);
			/* Another Service may have the same address; it must then be found with the same port. */
			if (at < 0 || table_port(c->view, (uint32_t)at, &found) < 0 || found.port != port.port ||
			    found.protocol != port.protocol)
				return WRONG(c, "service %s is not found by its address", service->name);
		}
	}
	return 0;
}

static int check_service(struct check *c, uint32_t i, uint32_t *next_port)
{
	struct table_service row;
	int r = table_service(c->view, i, &row);

	if (r < 0)
		return WRONG(c, "service %u does not match its sum", i);
	if (row.name[0] == '\0' || row.stand_down >= STAND_DOWN_COUNT)
		return WRONG(c, "service %u: name or state", i);
	if (row.first_port != *next_port)
		return WRONG(c, "the ports of service %s are not its own", row.name);
	*next_port += row.port_count;
	if (table_find_service(c->view, slice_of(row.name), slice_of(row.namespace)) != (int)i)
		return WRONG(c, "service %s is not found by its name", row.name);
	if ((row.flags & SERVICE_BARE_NAME) && table_find_bare(c->view, slice_of(row.name)) < 0)
		return WRONG(c, "service %s is not found by its bare name", row.name);
	r = check_policy(c, &row.policy);
	for (uint32_t j = 0; r == 0 && j < row.port_count; j++)
		r = check_port(c, row.first_port + j, i, &row);
	return r < 0 ? r : check_addresses(c, &row);
}

int table_check(const struct table *table, char *why, size_t why_size)
{
	struct table_view view;
	struct check c = { .view = &view, .head = table_head(table), .why = why, .why_size = why_size };
	uint32_t next_port = 0;
	int r;

	if (c.head->current == 0)
		return WRONG(&c, "nothing is published yet");
	if (!table_begin(table, &view))
		return WRONG(&c, "the current generation is being written");
	r = check_area(&c);
	if (r == 0)
		r = check_strings(&c);
	if (r < 0)
		return r;
	c.backends = calloc((size_t)c.head->rows + 1, sizeof(*c.backends));
	c.taken = calloc((size_t)c.area.section[SECTION_ENDPOINTS].count + 1, 1);
	if (!c.backends || !c.taken) {
		snprintf(why, why_size, "out of memory");
		r = -ENOMEM;
	}
	for (uint32_t i = 0; r == 0 && i < c.area.section[SECTION_SERVICES].count; i++)
		r = check_service(&c, i, &next_port);
	if (r == 0 && next_port != c.area.section[SECTION_PORTS].count)
		r = WRONG(&c, "ports without a service");
	free(c.backends);
	free(c.taken);
	if (r == 0 && !table_end(&view))
		r = WRONG(&c, "the generation changed meanwhile");
	return r;
}
