/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which live connections leave, why and when: pure functions over a Service's policy, what became of a connection's endpoint, and
 * the ledger's numbers. No clock, no memory of its own; may be called from anywhere.
 */
#ifndef FAIRDIAL_BALANCE_MOVE_H
#define FAIRDIAL_BALANCE_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "table/layout.h"

enum move_reason {
	MOVE_NO,
	MOVE_DRAIN,	/* its endpoint is terminating or gone, and it is quiet */
	MOVE_CUT,	/* the same, and the deadline has come: quiet or not */
	MOVE_REBALANCE, /* its endpoint has more than its share since others were added, and it is quiet */
	MOVE_AGE,	/* it is older than max_age, and quiet */
	MOVE_REASONS
};

/* "drain", "cut", "rebalance", "max_age": for status, trace and metrics. NULL for MOVE_NO. */
const char *move_reason_name(enum move_reason reason);

/* What became of a connection's endpoint, in the Service's port that was dialed. */
enum endpoint_fate {
	FATE_IN,	  /* usable; or there, but neither usable nor terminating: connections stay, as kube-proxy leaves them */
	FATE_TERMINATING,
	FATE_GONE,	  /* not in the port's list any more */
};

struct move_facts {
	uint64_t now_ms, born_ms; /* CLOCK_BOOTTIME */
	uint64_t leaving_ms;	  /* since when its fate is known not to be FATE_IN, by this process; 0: it is FATE_IN */
	uint64_t cookie;	  /* what jitter is made of: the same connection always has the same */
	uint32_t others;	  /* usable endpoints of the port, beside its own */
	enum endpoint_fate fate;
	bool elsewhere; /* FATE_GONE, and its address and port are an endpoint of another Service or port of the table */
	bool affinity;	/* sessionAffinity: ClientIP: it never leaves */
	bool surplus;	/* move_surplus says so, and its turn in the window has come */
};

#define MOVE_DEBOUNCE_MS 100 /* an endpoint may vanish from one slice before it is in another: KUBERNETES, EndpointSlice updates */

/*
 * Why a connection is to leave now. Drain goes before rebalance, rebalance before max_age. All but MOVE_CUT only at a quiet point,
 * which the caller looks for. Nobody leaves where there is no other usable endpoint, or with affinity. That an endpoint is leaving
 * is believed when it has lasted MOVE_DEBOUNCE_MS. The deadline of drain counts from `leaving_ms`; who is `elsewhere` is not cut by
 * it, and still leaves when quiet. A time that is yet to come is now.
 */
enum move_reason move_why(const struct table_policy *policy, const struct move_facts *facts);

/* Whether any connection of such a Service may ever leave. */
bool move_is_asked_for(const struct table_policy *policy);

/* max_age with up to a tenth more or less, by `cookie`: connections that were made together do not end together. */
uint32_t move_max_age_ms(uint32_t max_age_ms, uint64_t cookie);

/* ---- rebalance ---- */

/*
 * The usable endpoints of one family of a port, together, in two walks over them: move_weigh for each; then `total` is set; then
 * move_count for each. All zero at the beginning. A weight of 0 is 1, as for a dial.
 */
struct move_shares {
	uint64_t weight; /* of all */
	uint32_t total;	 /* the caller's: connections that were to be shared when the window began, or are now: whichever is more */
	uint32_t whole;	 /* sum of the whole shares: what is left of `total` is one more for as many endpoints */
	uint32_t above;	 /* endpoints that have more than their whole share */
	uint32_t excess; /* connections above it, of all */
	uint32_t least;	 /* connections of the endpoint that has the fewest for its weight, where dials go */
	uint16_t least_weight; /* and its weight; 0: nobody was counted */
};

void move_weigh(struct move_shares *shares, uint16_t weight);
void move_count(struct move_shares *shares, uint16_t weight, uint32_t active);

/*
 * How many connections an endpoint has to give, after both walks, with the `active` that was counted for it: what it has above its
 * whole share (total * weight / all, rounded down), less one that it keeps while no more endpoints than total - whole are above
 * theirs. Where more are, each of them may give its last one: who is first does (ledger_give_up_if), and everybody counts anew.
 *
 * None where this endpoint, with one less, would be the least loaded: least_conn would bring the connection back, and so on until
 * the window ends. That happens with weights only: where shares have fractions, who has the fewest for its weight need not be who
 * lacks most of its share. Nobody is left with more than one above its whole share.
 */
uint32_t move_surplus(const struct move_shares *shares, uint16_t weight, uint32_t active);

/*
 * All that has to move: the fewest moves after which every endpoint has its whole share or one more, where each goes to one that
 * lacks it. (With equal weights least_conn sees to that.)
 */
uint32_t move_surplus_of_all(const struct move_shares *shares);

/*
 * The window of rebalance: from MOVE_DEBOUNCE_MS after the newest usable endpoint was added (struct table_tally) until rebalance_ms
 * after. The table alone says so, to every process alike, and where that endpoint goes again the window is over with it. A number
 * that names it; 0: there is none now. There never is where all are equally old, for nobody was added beside others.
 */
uint32_t move_window(uint32_t rebalance_ms, uint64_t oldest_ms, uint64_t newest_ms, uint64_t now_ms);

/*
 * How many of `all` may have moved by now: the first when the window begins, the last at nine tenths of it, the others evenly in
 * between. `begun_ms` is newest_ms. All of them from then on, for it is move_window that ends.
 */
uint32_t move_allowed(uint32_t all, uint64_t begun_ms, uint32_t window_ms, uint64_t now_ms);

#endif
