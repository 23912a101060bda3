/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 0: nothing is published, or the table is being written. */
static uint64_t generation_of(const struct table *table)
{
	struct table_view view;

	return table && table_begin(table, &view) ? table_generation(&view) : 0;
}

bool census_is_old(const struct census *census, const struct table *table)
{
	uint64_t generation = generation_of(table);

	return generation && (census->of != table->base || census->generation != generation);
}

/* 0 stands for never, which is the most cautious of all. */
static uint16_t later(uint16_t a, uint16_t b)
{
	return a == 0 || b == 0 ? 0 : a > b ? a : b;
}

static uint32_t shorter(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void be_as_cautious(struct ledger_verdict *verdict, const struct ledger_verdict *other)
{
	verdict->eject_after = later(verdict->eject_after, other->eject_after);
	verdict->eject_timeouts_after = later(verdict->eject_timeouts_after, other->eject_timeouts_after);
	verdict->eject_for_ms = shorter(verdict->eject_for_ms, other->eject_for_ms);
	verdict->eject_max_ms = shorter(verdict->eject_max_ms, other->eject_max_ms);
}

static int add_port(const struct table_view *view, const struct table_port *port, struct census *census)
{
	const struct table_policy *policy = &port->policy;
	uint32_t count = port->v4_count + port->v6_count;

	for (uint32_t i = 0; i < count && census->count < census->capacity; i++) {
		struct table_endpoint row;
		int r = table_endpoint(view, port->first_endpoint + i, &row);

		if (r < 0)
			return r;
		census->entries[census->count++] = (struct census_entry){
			.addr = table_endpoint_addr(&row),
			.key = { row.slot, row.tag },
			.verdict = { policy->eject_after, policy->eject_timeouts_after, policy->eject_for_ms,
				     policy->eject_max_ms, 0 },
		};
	}
	return 0;
}

static int add_ports(const struct table_view *view, struct census *census)
{
	for (uint32_t i = 0; i < table_count(view, SECTION_PORTS); i++) {
		struct table_port port;
		int r = table_port(view, i, &port);

		if (r == 0 && port.protocol == PROTOCOL_TCP)
			r = add_port(view, &port, census);
		if (r < 0)
			return r;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	return addr_compare(&((const struct census_entry *)a)->addr, &((const struct census_entry *)b)->addr);
}

static void put_in_order(struct census *census)
{
	uint32_t kept = 0;

	qsort(census->entries, census->count, sizeof(*census->entries), by_address);
	for (uint32_t i = 0; i < census->count; i++) {
		if (kept && addr_equal(&census->entries[kept - 1].addr, &census->entries[i].addr))
			be_as_cautious(&census->entries[kept - 1].verdict, &census->entries[i].verdict);
		else
			census->entries[kept++] = census->entries[i];
	}
	census->count = kept;
}

static int make_room(struct census *census, uint32_t capacity)
{
	struct census_entry *entries = calloc(capacity ? capacity : 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	*census = (struct census){ .entries = entries, .capacity = capacity };
	return 0;
}

int census_take(struct census *census, const struct table *table)
{
	struct census taken;
	struct table_view view;
	int r = -EAGAIN;

	for (int i = 0; i < TABLE_TRIES && r == -EAGAIN; i++) {
		if (!table_begin(table, &view))
			continue;
		r = make_room(&taken, table_count(&view, SECTION_ENDPOINTS));
		if (r < 0)
			break;
		taken.of = table->base;
		taken.generation = table_generation(&view);
		r = add_ports(&view, &taken);
		if (!table_end(&view))
			r = -EAGAIN;
		if (r < 0)
			census_done(&taken);
	}
	if (r < 0)
		return r;
	put_in_order(&taken);
	census_done(census);
	*census = taken;
	return 0;
}

/* The first entry that does not come before this address and port. */
static uint32_t first_from(const struct census *census, const struct addr *addr)
{
	uint32_t low = 0, high = census->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (addr_compare(&census->entries[middle].addr, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct census_entry *census_find(const struct census *census, const struct addr *addr)
{
	uint32_t i = first_from(census, addr);

	return i < census->count && addr_equal(&census->entries[i].addr, addr) ? &census->entries[i] : NULL;
}

uint32_t census_first(const struct census *census, const struct addr *addr)
{
	struct addr lowest = *addr;

	addr_set_port(&lowest, 0);
	return first_from(census, &lowest);
}

void census_done(struct census *census)
{
	free(census->entries);
	memset(census, 0, sizeof(*census));
}
