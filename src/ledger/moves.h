/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of a pod tell each other of connections that they close: the surplus of an endpoint, which is given away
 * once; how many have moved in a window; a rate; and counts for people. But for the surplus, which is a matter of the row's
 * `gone`, these are words at the end of the port's cursor (struct ledger_cursor). A ledger of an older version has none of
 * them: numbers are 0 then, nothing may be taken, and so nothing is rebalanced.
 *
 * As ledger.h: nothing locks, allocates or fails; any thread, any handler.
 */
#ifndef FAIRDIAL_LEDGER_MOVES_H
#define FAIRDIAL_LEDGER_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"

/*
 * A connection of this backend is given up by whoever holds it, and is about to be closed: its place is free, as after a close
 * (`gone` grows by one). Only if nobody has claimed or given up one since `load` was read: of several who decided on one count,
 * one goes on. False also where there is none to give up, or no row.
 */
bool ledger_give_up_if(const struct ledger *ledger, struct ledger_key key, const struct ledger_load *load);

/*
 * The same whatever the count is: for connections that leave in any case. False where none is counted, and nothing is given up:
 * that keeps nobody from leaving.
 */
bool ledger_give_up(const struct ledger *ledger, struct ledger_key key);

/* After either of them has said true: it was not closed after all, and its place is taken again. */
void ledger_take_back(const struct ledger *ledger, struct ledger_key key);

/* ---- a window of rebalance ---- */

/* `window` names it (balance/move.h), and is not 0. IPv4 and IPv6 have one each. */
struct ledger_window {
	struct ledger_key cursor;
	uint32_t window;
	bool v4;
};

/*
 * Connections that were to be shared when the window began, as whoever looked first has told; `now` is what this caller counts,
 * and comes back where it is the first. 0: there was nothing to share, or there is no place for the number (an older ledger, or
 * none), and nothing may move. At most LEDGER_MAX_SHARED.
 */
uint32_t ledger_window_total(const struct ledger *ledger, const struct ledger_window *window, uint32_t now);

/* How many have moved in it; at most LEDGER_MAX_SHARED. */
uint32_t ledger_window_moved(const struct ledger *ledger, const struct ledger_window *window);

/*
 * Takes the right to move one more, only if still as many have moved as when the caller read it, before it counted the shares;
 * gives it back where nothing came of it. Of several who decided on one number, one goes on.
 */
bool ledger_window_take_if(const struct ledger *ledger, const struct ledger_window *window, uint32_t moved);
void ledger_window_give_back(const struct ledger *ledger, const struct ledger_window *window);

/* Whether there are words for what follows. */
bool ledger_has_moves(const struct ledger *ledger, struct ledger_key cursor);

/* ---- a rate ---- */

#define LEDGER_MOVES_PER_SECOND 50 /* of a port, for all processes of the pod together */

/*
 * The right to close one in this second (CLOCK_BOOTTIME); given back, with the same `now_ms`, where nothing came of it. What is
 * given back when its second is over, is lost: there are others in the next one.
 */
bool ledger_rate_take(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms);
void ledger_rate_give_back(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms);

/* ---- for people ---- */

struct ledger_moves {
	uint32_t moved[LEDGER_MOVE_REASONS];	  /* [reason - 1] */
	uint32_t would_have[LEDGER_MOVE_REASONS]; /* likewise, under mode observe */
	uint32_t without_thread; /* processes that dialed for a Service whose connections may move, and could not make a thread */
};

/* `reason`: enum move_reason; another is not counted. `observed`: it would have moved. */
void ledger_count_move(const struct ledger *ledger, struct ledger_key cursor, unsigned reason, bool observed);
void ledger_count_without_thread(const struct ledger *ledger, struct ledger_key cursor);
struct ledger_moves ledger_moves(const struct ledger *ledger, struct ledger_key cursor);

#endif
