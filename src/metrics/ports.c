/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balance/move.h"
#include "base/hash.h"
#include "table/table.h"

/* An array that grows. */
static void *grow(void *at, size_t count, size_t more, size_t size)
{
	size_t before = count ? (size_t)1 << (63 - __builtin_clzll(count)) : 0;

	if (count == 0 || (count & (count - 1)) == 0 || count + more > 2 * before) {
		size_t room = 16;

		while (room < count + more)
			room *= 2;
		return realloc(at, room * size);
	}
	return at;
}

static int add_names(struct ports *all, const struct table_service *row, uint32_t *ret_names)
{
	size_t namespace = strnlen(row->namespace, TABLE_NAME_SIZE - 1), name = strnlen(row->name, TABLE_NAME_SIZE - 1);
	char *larger = grow(all->names, all->names_len, namespace + name + 2, 1);

	if (!larger)
		return -ENOMEM;
	all->names = larger;
	*ret_names = (uint32_t)all->names_len;
	memcpy(larger + all->names_len, row->namespace, namespace);
	larger[all->names_len + namespace] = '\0';
	memcpy(larger + all->names_len + namespace + 1, row->name, name);
	larger[all->names_len + namespace + 1 + name] = '\0';
	all->names_len += namespace + name + 2;
	return 0;
}

static int add_members(struct ports *all, const struct table_view *view, const struct table_port *row)
{
	uint32_t n = row->v4_count + row->v6_count;
	struct table_rows rows;
	struct member *larger;
	int r = table_endpoint_rows(view, row->first_endpoint, n, &rows);

	if (r < 0)
		return r;
	larger = grow(all->members, all->member_count, n, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	all->members = larger;
	for (uint32_t i = 0; i < rows.count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(&rows, i);

		larger[all->member_count++] = (struct member){ brief.slot & (uint32_t)INT32_MAX,
							       (brief.flags & ENDPOINT_USABLE) != 0, brief.tag };
	}
	return 0;
}

static uint64_t id_of(const char *namespace, const char *name, uint16_t port)
{
	return hash_text(name, strlen(name), hash_text(namespace, strlen(namespace), port));
}

static uint8_t mode_of(uint32_t all, uint32_t own)
{
	uint32_t mode = all > own ? all : own;

	return (uint8_t)(mode < MODE_COUNT ? mode : MODE_OFF);
}

static int add_port(struct ports *all, const struct table_view *view, uint32_t i, uint32_t names)
{
	struct port port = { .names = names, .first = (uint32_t)all->member_count };
	struct table_port row;
	struct port *larger;
	int r = table_port(view, i, &row);

	if (r < 0 || row.protocol != PROTOCOL_TCP)
		return r;
	larger = grow(all->ports, all->count, 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	all->ports = larger;
	r = add_members(all, view, &row);
	if (r < 0)
		return r;
	port.count = (uint32_t)all->member_count - port.first;
	port.cursor = (struct ledger_key){ row.cursor, row.cursor_tag };
	port.port = row.port;
	port.mode = mode_of(table_rules(view).mode, row.policy.mode);
	port.may_move = move_is_asked_for(&row.policy);
	port.id = id_of(port_namespace(all, &port), port_service(all, &port), port.port);
	larger[all->count++] = port;
	return 0;
}

static int add_service(struct ports *all, const struct table_view *view, uint32_t i)
{
	struct table_service row;
	uint32_t names;
	int r = table_service(view, i, &row);

	if (r == 0)
		r = add_names(all, &row, &names);
	for (uint32_t p = 0; r == 0 && p < row.port_count; p++)
		r = add_port(all, view, row.first_port + p, names);
	return r;
}

/* Its writer is this very process, which is not writing now: the end of the reading is looked at all the same. */
int ports_read(const struct table *table, struct ports *ret)
{
	struct ports all = { 0 };
	struct table_view view;
	uint32_t n;
	int r;

	if (!table || !table_begin(table, &view))
		return -EAGAIN;
	r = table_area_verify(&view);
	n = r < 0 ? 0 : table_count(&view, SECTION_SERVICES);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = add_service(&all, &view, i);
	all.mark = table_mark(&view);
	if (r == 0 && !table_end(&view))
		r = -EAGAIN;
	if (r < 0)
		ports_done(&all);
	else
		*ret = all;
	return r;
}

void ports_done(struct ports *all)
{
	free(all->ports);
	free(all->members);
	free(all->names);
	*all = (struct ports){ 0 };
}

const char *port_service(const struct ports *all, const struct port *port)
{
	const char *namespace = port_namespace(all, port);

	return namespace + strlen(namespace) + 1;
}

uint64_t ports_mark(const struct table *table)
{
	struct table_view view;

	return table && table_begin(table, &view) ? table_mark(&view) : 0;
}
