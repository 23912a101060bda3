/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of a pod tell each other of connections that they close: the surplus of an endpoint, which is given away once;
 * how many have moved in a window; a rate; and counts for people. Words of the port's cursor (struct ledger_cursor), appended to it:
 * a ledger of an older version has none of them, numbers are zero then and nothing is rebalanced.
 *
 * As ledger.h: nothing locks, allocates or fails; any thread, any handler.
 */
#ifndef FAIRDIAL_LEDGER_MOVES_H
#define FAIRDIAL_LEDGER_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"

/*
 * A connection of this backend is given up by whoever holds it: its place is free, as after a close (`gone` grows by one). Only if
 * nobody has claimed or given up one since `load` was read: of several who decided on one count, one goes on. False also without a row.
 */
bool ledger_give_up_if(const struct ledger *ledger, struct ledger_key key, const struct ledger_load *load);

/* The same unconditionally: for connections that leave whatever the counts are. */
void ledger_give_up(const struct ledger *ledger, struct ledger_key key);

/* It was not closed after all: the place is taken again. */
void ledger_take_back(const struct ledger *ledger, struct ledger_key key);

/* ---- a window of rebalance ---- */

/* `window` names it (balance/move.h), and is not 0. IPv4 and IPv6 have one each. */
struct ledger_window {
	struct ledger_key cursor;
	uint32_t window;
	bool v4;
};

/*
 * Connections that were to be shared when the window began, as whoever looked first has told; `now` is what this caller counts, and
 * is that number where it is the first. 0: there is no place for it (an older ledger, or none), and nothing may move.
 */
uint32_t ledger_window_total(const struct ledger *ledger, const struct ledger_window *window, uint32_t now);

/* How many have moved in it. */
uint32_t ledger_window_moved(const struct ledger *ledger, const struct ledger_window *window);

/* One more has moved, if `moved` have until now; gives it back where nothing came of it. */
bool ledger_window_take_if(const struct ledger *ledger, const struct ledger_window *window, uint32_t moved);
void ledger_window_give_back(const struct ledger *ledger, const struct ledger_window *window);

/* ---- a rate ---- */

#define LEDGER_MOVES_PER_SECOND 50 /* of a port, for all processes of the pod together */

/* The right to close one in this second. Given back where nothing came of it. */
bool ledger_rate_take(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms);
void ledger_rate_give_back(const struct ledger *ledger, struct ledger_key cursor, uint64_t now_ms);

/* ---- for people ---- */

#define LEDGER_MOVE_REASONS 4 /* balance/move.h: enum move_reason, from 1 on */

struct ledger_moves {
	uint32_t moved[LEDGER_MOVE_REASONS];	   /* [reason - 1] */
	uint32_t would_have[LEDGER_MOVE_REASONS];  /* likewise, under mode observe */
	uint32_t without_thread; /* processes that dialed for a Service whose connections may move, and could not make a thread */
};

void ledger_count_move(const struct ledger *ledger, struct ledger_key cursor, unsigned reason, bool observed);
void ledger_count_without_thread(const struct ledger *ledger, struct ledger_key cursor);
struct ledger_moves ledger_moves(const struct ledger *ledger, struct ledger_key cursor);

#endif
