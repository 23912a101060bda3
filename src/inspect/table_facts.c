/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/table_facts.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/host.h"
#include "table/map.h"
#include "table/table.h"

enum {
	PATIENCE = 1000,  /* a writer that publishes without a pause would have us start again and again */
	AHEAD_MS = 5000, /* a heartbeat so much later than now is of a time that has not come yet */
};

/* Such a one the shim passes over (shim/attach.c). By the heartbeat, where either side does not know its boot. */
static bool is_of_other_boot(const struct table_head *head)
{
	static const uint8_t unknown[16];
	uint8_t boot_id[16];

	if (head->flags & TABLE_STATIC)
		return false;
	host_boot_id(boot_id);
	if (memcmp(boot_id, unknown, 16) == 0 || memcmp(head->boot_id, unknown, 16) == 0)
		return load_relaxed(&head->heartbeat_ms) > clock_boot_ms() + AHEAD_MS;
	return memcmp(head->boot_id, boot_id, 16) != 0;
}

static void take_age(const struct table_head *head, const struct table_area *area, struct table_facts *facts)
{
	uint64_t since, now;

	facts->is_static = head->flags & TABLE_STATIC;
	since = facts->is_static ? area->published_ms : load_relaxed(&head->heartbeat_ms);
	now = facts->is_static ? clock_wall_ms() : clock_boot_ms();
	facts->age_ms = now > since ? now - since : 0;
}

static int take_services(const struct table_view *view, const struct table_area *area, struct table_facts *facts)
{
	bool is_silent = !facts->is_static && facts->age_ms > area->stale_after_ms;
	struct table_service row;
	int r = 0;

	facts->services = table_count(view, SECTION_SERVICES);
	for (uint32_t i = 0; r == 0 && i < facts->services; i++) {
		r = table_service(view, i, &row);
		facts->on += area->mode == MODE_ON && row.policy.mode == MODE_ON;
		facts->stand_down += row.stand_down != 0;
		facts->is_stale |= is_silent && (row.flags & SERVICE_OWN_ADDRESS);
	}
	return r;
}

static int take_view(const struct table *table, const struct table_view *view, struct table_facts *facts)
{
	struct table_area area;
	int r = table_area(view, &area);

	facts->is_stale = false;
	facts->on = facts->stand_down = 0;
	if (r < 0)
		return r;
	take_age(table_head(table), &area, facts);
	return take_services(view, &area, facts);
}

static int take_table(const struct table *table, struct table_facts *facts)
{
	for (int i = 0; i < PATIENCE; i++) {
		struct table_view view;
		int r;

		if (!table_begin(table, &view))
			continue;
		r = take_view(table, &view, facts);
		if (table_end(&view))
			return r;
	}
	return table_head(table)->current ? -EAGAIN : -ENOENT;
}

/* A writer at work meanwhile is no damage: the next generation is checked then. */
static int check_whole(const struct table *table)
{
	char why[256];
	int r = -EAGAIN;

	for (int i = 0; i < TABLE_TRIES && r < 0; i++) {
		uint64_t before = load_acquire(&table_head(table)->current);

		r = table_check(table, why, sizeof(why));
		if (load_acquire(&table_head(table)->current) == before)
			break;
	}
	return r;
}

void table_facts_take(const char *dir, const struct trust *trust, struct table_facts *facts)
{
	struct table table;
	int r = table_map(dir, trust, &table, NULL);

	facts->error = r;
	if (r < 0)
		return;
	r = is_of_other_boot(table_head(&table)) ? -ESTALE : check_whole(&table);
	facts->error = r < 0 ? r : take_table(&table, facts);
	table_unmap(&table);
}
