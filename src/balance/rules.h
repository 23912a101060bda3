/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a dial to a port of a Service is ours, and by what it chooses: what the table, the Service and the process say, together.
 * One for both the shim, which dials so, and whoever tells beforehand where a dial would go. No clock, and nothing is claimed; the
 * table's rows are read between table_begin and table_end. Async-signal-safe.
 */
#ifndef FAIRDIAL_BALANCE_RULES_H
#define FAIRDIAL_BALANCE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "balance/balance.h"
#include "table/freshness.h"

/* The most cautious of what the table says for all, the Service for itself, and the process: enum fairdial_mode. */
static inline uint8_t rules_mode(uint32_t all, uint32_t service, uint32_t process)
{
	uint32_t mode = all > service ? all : service;

	if (process > mode)
		mode = process;
	return mode < MODE_COUNT ? (uint8_t)mode : MODE_OFF;
}

enum rules_answer {
	RULES_OURS,
	RULES_OBSERVED,	  /* counted, not redirected */
	RULES_OFF,	  /* mode, FAIRDIAL */
	RULES_LEFT_OUT,	  /* FAIRDIAL_ONLY or FAIRDIAL_EXCEPT */
	RULES_STOOD_DOWN, /* the table says why */
	RULES_STALE,	  /* the agent has been silent for too long, and the address works without us */
	RULES_ANSWERS
};

/* `mode`: rules_mode; `left_out`: by the lists of the process; `now_ms`: CLOCK_BOOTTIME. */
static inline enum rules_answer rules_judge(const struct table_view *view, const struct table_rules *rules,
					    const struct table_port *port, uint8_t mode, bool left_out, uint64_t now_ms)
{
	if (mode == MODE_OFF)
		return RULES_OFF;
	if (left_out)
		return RULES_LEFT_OUT;
	if (port->stand_down)
		return RULES_STOOD_DOWN;
	if ((port->flags & SERVICE_OWN_ADDRESS) && table_freshness(view->table, rules->stale_after_ms, now_ms) == STALE)
		return RULES_STALE;
	return mode == MODE_OBSERVE ? RULES_OBSERVED : RULES_OURS;
}

/* enum balance; `own`: the process's, or -1. */
static inline uint8_t rules_balance(const struct table_port *port, int own)
{
	return own >= 0 ? (uint8_t)own : port->policy.balance;
}

/* Of a dial (a list of names is not pinned) whom sessionAffinity pins: it is not spread, whatever policy the process has. */
#define RULES_PINNED BALANCE_HASH

static inline struct ledger_verdict rules_verdict(const struct table_policy *policy)
{
	return (struct ledger_verdict){
		.eject_after = policy->eject_after,
		.eject_timeouts_after = policy->eject_timeouts_after,
		.eject_for_ms = policy->eject_for_ms,
		.eject_max_ms = policy->eject_max_ms,
		.handshake_ms = policy->connect_timeout_ms,
	};
}

/* What of a port decides a pick, but for its endpoints; `noise`, where it is needed, is the caller's. */
static inline void rules_take_policy(struct pick *pick, const struct table_rules *rules, const struct table_port *port,
				     const struct ledger_verdict *verdict)
{
	pick->eject_limit_ms = ledger_ejection_limit_ms(verdict);
	pick->eject_percent = port->policy.eject_percent;
	pick->cursor = (struct ledger_key){ port->cursor, port->cursor_tag };
	pick->rank = rules->client_rank;
	pick->peers = rules->client_peers;
}

/* What the table knows of the endpoints of a family together (pick_take_tally), by the window in pick->slow_start_ms. */
void rules_take_tally(struct pick *pick, const struct table_view *view, uint32_t row, bool v4);

/* Where they are, and that: `rows` are the caller's to open (table_endpoint_rows). */
static inline void rules_take_endpoints(struct pick *pick, const struct table_view *view, uint32_t row,
					const struct table_port *port, bool v4)
{
	pick->mark = table_mark(view);
	pick->rows.first = port->first_endpoint + (v4 ? 0 : port->v4_count);
	pick->rows.count = v4 ? port->v4_count : port->v6_count;
	pick->slow_start_ms = port->policy.slow_start_ms;
	rules_take_tally(pick, view, row, v4);
}

/* Of a dial to one family; affinity_s 0: nobody is pinned, and `ret_pin` stays as it is. As pick_next, pick_pinned. */
static inline bool rules_next(struct pick *pick, uint8_t balance, uint32_t affinity_s, bool v4, struct ledger_pin *ret_pin,
			      struct candidate *ret_chosen)
{
	if (!affinity_s)
		return pick_next(pick, balance, ret_chosen);
	*ret_pin = ledger_pin(pick->ledger, pick->cursor, v4, affinity_s, pick->now_ms);
	return pick_pinned(pick, ret_pin->tag, ret_chosen);
}

#endif
