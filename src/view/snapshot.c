/* SPDX-License-Identifier: Apache-2.0 */
#include "view/snapshot.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "balance/balance.h"
#include "balance/evenness.h"
#include "base/clock.h"
#include "inspect/mesh.h"
#include "ledger/mend.h"
#include "model/policy.h"
#include "table/freshness.h"
#include "table/map.h"
#include "table/table.h"
#include "view/paint.h"

static const char *const stand_down_reasons[STAND_DOWN_COUNT] = {
	[STAND_DOWN_MESH] = "a mesh sidecar in this pod must see the ClusterIP",
	[STAND_DOWN_OTHER_PROXY] = "label service.kubernetes.io/service-proxy-name",
	[STAND_DOWN_API] = "the API server's own Service",
	[STAND_DOWN_UNSYNCED] = "not all of its endpoints are known yet",
};

static const char *protocol_name(uint8_t protocol)
{
	return protocol == PROTOCOL_UDP ? "UDP" : protocol == PROTOCOL_SCTP ? "SCTP" : "TCP";
}

static struct evenness sums_of(const struct snapshot_endpoint *endpoints, size_t count)
{
	struct evenness sums = { 0 };

	for (size_t i = 0; i < count; i++)
		if (endpoints[i].usable)
			evenness_add(&sums, endpoints[i].score.dials);
	return sums;
}

double evenness_of(const struct snapshot_endpoint *endpoints, size_t count)
{
	const struct evenness sums = sums_of(endpoints, count);

	return evenness(&sums);
}

double random_evenness_of(const struct snapshot_endpoint *endpoints, size_t count)
{
	const struct evenness sums = sums_of(endpoints, count);

	return evenness_at_random(&sums);
}

/* A text that had to be cut may end within a character (RFC 3629), which JSON does not take, nor what else is no UTF-8. */
static void cut_whole_characters(char *text)
{
	size_t len = strlen(text), at = len;
	unsigned char lead;

	while (at && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0)
		return;
	lead = (unsigned char)text[--at];
	if (len - at < (size_t)(lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1))
		text[at] = '\0';
	make_utf8(text);
}

/* ---- copying ---- */

static int take_endpoints(const struct table_view *view, const struct table_port *row, struct snapshot_port *port)
{
	size_t n = (size_t)row->v4_count + row->v6_count;

	port->endpoints = calloc(n + 1, sizeof(*port->endpoints));
	if (!port->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct snapshot_endpoint *to = &port->endpoints[port->endpoint_count++];
		struct table_endpoint from;

		if (table_endpoint(view, row->first_endpoint + (uint32_t)i, &from) < 0)
			return -EBADMSG;
		to->addr = table_endpoint_addr(&from);
		to->ready = from.flags & ENDPOINT_READY;
		to->terminating = from.flags & ENDPOINT_TERMINATING;
		to->usable = from.flags & ENDPOINT_USABLE;
		to->weight = from.given_weight;
		to->key = (struct ledger_key){ from.slot, from.tag };
		table_string(view, from.zone, to->zone, sizeof(to->zone));
		make_utf8(to->zone);
	}
	return 0;
}

static int take_port(const struct table_view *view, uint32_t i, struct snapshot_port *port)
{
	const struct balance_policy *policy;
	struct table_port row;
	int r = table_port(view, i, &row);

	if (r < 0)
		return r;
	policy = balance_policy(row.policy.balance);
	port->port = row.port;
	port->protocol = protocol_name(row.protocol);
	port->balance = policy ? policy->name : "?";
	port->cursor = (struct ledger_key){ row.cursor, row.cursor_tag };
	table_string(view, row.name, port->name, sizeof(port->name));
	make_utf8(port->name);
	return take_endpoints(view, &row, port);
}

/* The most cautious of both, as the shim takes it. */
static uint32_t mode_of(uint32_t all, uint32_t own)
{
	uint32_t mode = all > own ? all : own;

	return mode < MODE_COUNT ? mode : MODE_OFF;
}

/* Of a mesh, what was seen: the port tells whose it is. */
static void print_stand_down(const struct table_area *area, uint32_t reason, char *buf, size_t size)
{
	const char *mesh = reason == STAND_DOWN_MESH ? mesh_name((uint16_t)area->mesh_port) : NULL;

	if (mesh)
		snprintf(buf, size, "%s listens on port %u of this pod and must see the ClusterIP", mesh, area->mesh_port);
	else
		snprintf(buf, size, "%s",
			 reason < STAND_DOWN_COUNT && stand_down_reasons[reason] ? stand_down_reasons[reason] : "");
}

static int take_service(const struct table_view *view, const struct table_area *area, const struct table_service *row,
			struct snapshot_service *to)
{
	int r = 0;

	memcpy(to->name, row->name, sizeof(to->name));
	memcpy(to->namespace, row->namespace, sizeof(to->namespace));
	make_utf8(to->name);
	make_utf8(to->namespace);
	to->mode = mode_names[mode_of(area->mode, row->policy.mode)];
	to->observed = mode_of(area->mode, row->policy.mode) == MODE_OBSERVE && !row->stand_down;
	to->policy = row->policy;
	to->has_own_address = row->flags & SERVICE_OWN_ADDRESS;
	print_stand_down(area, row->stand_down, to->stand_down, sizeof(to->stand_down));
	to->addresses = calloc((size_t)row->address_count + 1, sizeof(*to->addresses));
	to->ports = calloc((size_t)row->port_count + 1, sizeof(*to->ports));
	if (!to->addresses || !to->ports)
		return -ENOMEM;
	for (uint32_t i = 0; i < row->address_count; i++) {
		struct table_address address;

		if (table_address(view, row->first_address + i, &address) < 0)
			return -EBADMSG;
		memcpy(to->addresses[i].ip, address.ip, 16);
		to->addresses[i].is_v4 = address.is_v4;
		to->address_count++;
	}
	for (uint32_t i = 0; r == 0 && i < row->port_count; i++)
		r = take_port(view, row->first_port + i, &to->ports[to->port_count++]);
	return r;
}

static bool is_wanted(const struct table_service *row, const char *name)
{
	struct slice rest, head;

	if (!name)
		return true;
	rest = slice_of(name);
	head = slice_cut(&rest, '.');
	return slice_equal_nocase(head, slice_of(row->name)) &&
	       (!rest.at || slice_equal_nocase(rest, slice_of(row->namespace)));
}

static int take_view(const struct table_view *view, const char *name, struct snapshot *to)
{
	struct table_area area;
	int r = table_area(view, &area);
	uint32_t n = table_count(view, SECTION_SERVICES);

	if (r < 0)
		return r;
	to->generation = area.generation;
	to->stale_after_ms = area.stale_after_ms;
	memcpy(to->source, area.source, sizeof(to->source));
	to->source[sizeof(to->source) - 1] = '\0';
	cut_whole_characters(to->source);
	to->mark = table_mark(view);
	to->published_ms = area.published_ms;
	to->services = calloc((size_t)n + 1, sizeof(*to->services));
	if (!to->services)
		return -ENOMEM;
	for (int wanted = 1; wanted >= 0; wanted--) {
		for (uint32_t i = 0; r == 0 && i < n; i++) {
			struct table_service row;

			r = table_service(view, i, &row);
			if (r < 0 || is_wanted(&row, name) != wanted)
				continue;
			if (to->all_count == n) /* a writer came by between the two walks: table_end tells */
				return -EAGAIN;
			r = take_service(view, &area, &row, &to->services[to->all_count++]);
		}
		if (wanted)
			to->service_count = to->all_count;
	}
	return r;
}

static int take_table(const struct table *table, const char *name, struct snapshot *to)
{
	for (int i = 0; i < 1000; i++) { /* a writer that publishes without a pause would make it start again and again */
		struct table_view view;
		int r;

		if (!table_begin(table, &view))
			continue;
		r = take_view(&view, name, to);
		if (table_end(&view))
			return r;
		snapshot_free(to);
	}
	return table_head(table)->current ? -EAGAIN : -ENOENT;
}

/* ---- scores ---- */

struct endpoint_of {
	struct snapshot_endpoint *endpoint;
	const struct snapshot_service *service;
};

struct endpoint_list {
	struct endpoint_of *at;
	size_t count;
};

size_t snapshot_endpoints(const struct snapshot_service *services, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < services[i].port_count; j++)
			n += services[i].ports[j].endpoint_count;
	return n;
}

/* By address, then in the order of Services. */
static int compare_endpoints(const void *a, const void *b)
{
	const struct endpoint_of *left = a, *right = b;
	int order = addr_compare(&left->endpoint->addr, &right->endpoint->addr);

	return order ? order : (left->service > right->service) - (left->service < right->service);
}

static int collect_endpoints(struct snapshot *snapshot, struct endpoint_list *list)
{
	list->at = calloc(snapshot_endpoints(snapshot->services, snapshot->all_count) + 1, sizeof(*list->at));
	if (!list->at)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->all_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++) {
			struct snapshot_port *port = &snapshot->services[i].ports[j];

			for (size_t k = 0; k < port->endpoint_count; k++)
				list->at[list->count++] =
					(struct endpoint_of){ &port->endpoints[k], &snapshot->services[i] };
		}
	qsort(list->at, list->count, sizeof(*list->at), compare_endpoints);
	return 0;
}

static void share(struct snapshot_endpoint *e, const struct snapshot_service *with)
{
	if (e->shared_count < SNAPSHOT_SHARED)
		e->shared[e->shared_count] = with;
	e->shared_count++;
}

/* Tells each of those with one address of the other Services; thousands of them are not told one by one. */
static void share_among(const struct endpoint_of *first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n && first[i].endpoint->shared_count <= SNAPSHOT_SHARED; j++)
			if (first[j].service != first[i].service && (j == 0 || first[j].service != first[j - 1].service))
				share(first[i].endpoint, first[j].service);
}

static void find_shared(const struct endpoint_list *list)
{
	for (size_t i = 0, n; i < list->count; i += n) {
		for (n = 1; i + n < list->count && addr_equal(&list->at[i].endpoint->addr, &list->at[i + n].endpoint->addr);)
			n++;
		share_among(&list->at[i], n);
	}
}

/* Backends of several Services once: the mend's list has no two alike, and the order of addresses. */
static int keep_backends(struct snapshot *snapshot, const struct endpoint_list *list)
{
	size_t n = 0;

	snapshot->backends = calloc(list->count + 1, sizeof(*snapshot->backends));
	if (!snapshot->backends)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (n == 0 || !addr_equal(&snapshot->backends[n - 1]->addr, &list->at[i].endpoint->addr))
			snapshot->backends[n++] = list->at[i].endpoint;
	snapshot->backend_count = n;
	return 0;
}

/* Who shares what with whom, and who is to be mended: as long as the table stays the same. */
static int relate_endpoints(struct snapshot *snapshot)
{
	struct endpoint_list list = { 0 };
	int r = collect_endpoints(snapshot, &list);

	if (r == 0) {
		find_shared(&list);
		r = keep_backends(snapshot, &list);
	}
	free(list.at);
	return r;
}

static bool backend_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	struct snapshot_endpoint *const *backends = of;

	*ret_addr = backends[i]->addr;
	*ret_key = backends[i]->key;
	return true;
}

static void mend_counts(const struct ledger *ledger, const struct snapshot *snapshot)
{
	struct mend_list list = { snapshot->backends, (uint32_t)snapshot->backend_count, backend_at };

	mend(ledger, &list, clock_boot_ms());
}

int snapshot_ledger_path(const char *dir, char ret_path[PATH_MAX])
{
	const char *given = getenv("FAIRDIAL_LEDGER");
	int n = snprintf(ret_path, PATH_MAX, "%s%s", given && *given ? given : dir, given && *given ? "" : "/ledger");

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int snapshot_open_ledger(const char *dir, const struct trust *trust, enum ledger_opening opening, struct ledger *ret_ledger)
{
	struct ledger_options options = { .trust = trust, .opening = opening };
	char path[PATH_MAX];
	int r = snapshot_ledger_path(dir, path);

	return r < 0 ? r : ledger_open(path, &options, ret_ledger);
}

/*
 * Mended in a copy of our own: the one of the programs is for those to mend who live in their network namespace, and whoever looks
 * may live in another, with other sockets. A keeper has done it already.
 */
static void take_scores(const char *dir, const struct trust *trust, struct snapshot *snapshot)
{
	struct ledger ledger = { 0 };
	int r = snapshot_open_ledger(dir, trust, LEDGER_COPY, &ledger); /* without one all numbers are 0 */

	snapshot->ledger_error = r == -ENOENT ? 0 : r;
	if (r == 0 && !ledger_is_kept(&ledger, clock_boot_ms()))
		mend_counts(&ledger, snapshot);
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++) {
			struct snapshot_port *port = &snapshot->services[i].ports[j];

			for (size_t k = 0; k < port->endpoint_count; k++)
				port->endpoints[k].score = ledger_score(&ledger, port->endpoints[k].key, clock_boot_ms());
			port->evenness = evenness_of(port->endpoints, port->endpoint_count);
			port->moves = ledger_moves(&ledger, port->cursor);
		}
	ledger_close(&ledger);
}

/* ---- the whole ---- */

static void take_note(const struct table *table, struct snapshot *to)
{
	uint64_t now = clock_boot_ms();
	struct table_note note;

	to->has_note = false;
	to->trouble[0] = '\0';
	if (table_note(table, &note) < 0 || note.alive_ms == 0)
		return;
	to->has_note = true;
	to->silent_ms = now > note.alive_ms ? now - note.alive_ms : 0;
	to->delay_ms = note.delay_ms;
	to->trouble_since_ms = note.since_ms;
	memcpy(to->trouble, note.text, sizeof(to->trouble));
	cut_whole_characters(to->trouble);
}

static void take_head(const struct table *table, struct snapshot *to)
{
	const struct table_head *head = table_head(table);
	uint64_t now = clock_boot_ms(), wall = clock_wall_ms();

	to->is_static = head->flags & TABLE_STATIC;
	to->age_ms = wall > to->published_ms ? wall - to->published_ms : 0;
	if (to->is_static)
		return;
	to->age_ms = now > head->heartbeat_ms ? now - head->heartbeat_ms : 0;
	to->alive = to->age_ms < 5000;
	take_note(table, to);
}

/* A writer at work meanwhile is no damage: the next generation is checked then. */
static int check_whole(const struct table *table, struct report *why)
{
	int r = -EAGAIN;

	for (int i = 0; i < 16 && r < 0; i++) {
		uint64_t before = table_head(table)->current;

		r = table_check(table, why->text, sizeof(why->text));
		if (table_head(table)->current == before)
			break;
	}
	if (r == 0)
		why->text[0] = '\0';
	return r;
}

int snapshot_take(const char *dir, const struct trust *trust, const char *name, struct snapshot *to, struct report *why)
{
	struct table table;
	int r = table_map(dir, trust, &table, NULL);

	if (r < 0)
		return r;
	memset(to, 0, sizeof(*to));
	r = table_is_of_boot(&table) ? check_whole(&table, why) : -ESTALE;
	if (r == 0)
		r = take_table(&table, name, to);
	if (r == 0)
		r = relate_endpoints(to);
	if (r == 0) {
		take_head(&table, to);
		take_scores(dir, trust, to);
	}
	table_unmap(&table);
	if (r < 0)
		snapshot_free(to);
	return r;
}

static bool says_the_same(const struct table *table, const struct snapshot *snapshot)
{
	struct table_view view;

	return table_begin(table, &view) && table_mark(&view) == snapshot->mark && table_end(&view);
}

int snapshot_renew(const char *dir, const struct trust *trust, const char *name, struct snapshot *snapshot, struct report *why)
{
	struct snapshot newer;
	struct table table;
	int r = table_map(dir, trust, &table, NULL);
	bool is_same;

	if (r < 0)
		return r;
	is_same = says_the_same(&table, snapshot);
	if (is_same) {
		take_head(&table, snapshot);
		take_scores(dir, trust, snapshot);
	}
	table_unmap(&table);
	if (is_same)
		return 0;
	r = snapshot_take(dir, trust, name, &newer, why);
	if (r < 0)
		return r;
	snapshot_free(snapshot);
	*snapshot = newer;
	return 1;
}

void snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->all_count; i++) {
		struct snapshot_service *service = &snapshot->services[i];

		for (size_t j = 0; j < service->port_count; j++)
			free(service->ports[j].endpoints);
		free(service->ports);
		free(service->addresses);
	}
	free(snapshot->services);
	free(snapshot->backends);
	memset(snapshot, 0, sizeof(*snapshot));
}
