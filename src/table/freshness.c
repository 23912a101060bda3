/* SPDX-License-Identifier: Apache-2.0 */
#include "table/freshness.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/host.h"

enum freshness table_freshness(const struct table *table, uint32_t stale_after_ms, uint64_t now_ms)
{
	const struct table_head *head = table_head(table);
	uint64_t heartbeat;

	if (head->flags & TABLE_STATIC)
		return FRESH;
	heartbeat = load_relaxed(&head->heartbeat_ms);
	if (heartbeat + TABLE_QUIET_AFTER_MS >= now_ms)
		return FRESH;
	return heartbeat + stale_after_ms >= now_ms ? QUIET : STALE;
}

bool table_is_of_boot(const struct table *table)
{
	static const uint8_t unknown[16];
	const struct table_head *head = table_head(table);
	uint8_t boot_id[16];

	if (head->flags & TABLE_STATIC)
		return true;
	host_boot_id(boot_id);
	if (memcmp(boot_id, unknown, 16) == 0 || memcmp(head->boot_id, unknown, 16) == 0)
		return load_relaxed(&head->heartbeat_ms) <= clock_boot_ms() + TABLE_QUIET_AFTER_MS;
	return memcmp(head->boot_id, boot_id, 16) == 0;
}
