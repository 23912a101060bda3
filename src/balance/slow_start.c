/* SPDX-License-Identifier: Apache-2.0 */
/* The share of an endpoint that is new: its program may have caches to fill, and code to compile. */
#include "balance/balance.h"

#define SHARE_LEAST (SHARE_WHOLE / 10)

/* 0: before anybody looked. Who read its clock before the writer did may see one that is yet to come. */
static uint64_t age_of(uint64_t added_ms, uint64_t now_ms)
{
	if (added_ms == 0)
		return UINT64_MAX;
	return added_ms < now_ms ? now_ms - added_ms : 0;
}

/* By its age alone. */
static uint16_t grown(uint64_t added_ms, uint64_t now_ms, uint32_t window_ms)
{
	uint64_t age_ms = age_of(added_ms, now_ms);
	uint32_t share;

	if (age_ms >= window_ms)
		return SHARE_WHOLE;
	share = (uint32_t)(age_ms * SHARE_WHOLE / window_ms);
	return (uint16_t)(share > SHARE_LEAST ? share : SHARE_LEAST);
}

static bool is_anyone_new(const struct table_tally *tally, uint64_t now_ms, uint32_t window_ms)
{
	/* A time that is yet to come is damage, and does not slow anybody down until then. */
	if (tally->newest_ms == tally->oldest_ms || tally->newest_ms > now_ms + window_ms)
		return false;
	return age_of(tally->newest_ms, now_ms) < window_ms;
}

void pick_take_tally(struct pick *pick, const struct table_tally *tally, uint32_t slow_start_ms)
{
	/* Of more than there are rows, a damaged table or one that is being written may tell: what is then drawn must be a row. */
	bool known = tally->weight < UINT32_MAX && tally->usable && tally->usable <= pick->rows.count;

	pick->usable = known ? tally->usable : 0;
	pick->weight = known ? (uint32_t)tally->weight : 0;
	pick->heaviest = known ? (uint16_t)tally->heaviest : 0;
	pick->slow_start_ms = is_anyone_new(tally, pick->now_ms, slow_start_ms) ? slow_start_ms : 0;
	pick->oldest_share = SHARE_WHOLE;
	if (pick->slow_start_ms)
		pick->oldest_share = grown(tally->oldest_ms, pick->now_ms, slow_start_ms);
}

uint16_t slow_start_share(const struct pick *pick, uint32_t i)
{
	uint32_t own;

	if (!pick->slow_start_ms)
		return SHARE_WHOLE;
	own = grown(table_rows_added_ms(&pick->rows, i), pick->now_ms, pick->slow_start_ms);
	return (uint16_t)(own < pick->oldest_share ? own * SHARE_WHOLE / pick->oldest_share : SHARE_WHOLE);
}
