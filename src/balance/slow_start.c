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
static uint32_t grown(uint64_t added_ms, uint64_t now_ms, uint32_t window_ms)
{
	uint64_t age_ms = age_of(added_ms, now_ms);
	uint32_t share;

	if (age_ms >= window_ms)
		return SHARE_WHOLE;
	share = (uint32_t)(age_ms * SHARE_WHOLE / window_ms);
	return share > SHARE_LEAST ? share : SHARE_LEAST;
}

uint32_t slow_start_window(uint32_t window_ms, const struct table_tally *tally, uint64_t now_ms)
{
	/* An age that no clock of this boot can tell is damage, and does not slow anybody down for ever. */
	if (tally->newest_ms == tally->oldest_ms || tally->newest_ms > now_ms + window_ms)
		return 0;
	return age_of(tally->newest_ms, now_ms) < window_ms ? window_ms : 0;
}

uint16_t slow_start_share(const struct pick *pick, uint32_t i)
{
	uint32_t own, oldest;

	if (!pick->slow_start_ms)
		return SHARE_WHOLE;
	own = grown(table_rows_added_ms(&pick->rows, i), pick->now_ms, pick->slow_start_ms);
	oldest = grown(pick->tally.oldest_ms, pick->now_ms, pick->slow_start_ms);
	return (uint16_t)(own < oldest ? own * SHARE_WHOLE / oldest : SHARE_WHOLE);
}
