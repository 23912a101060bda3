/* SPDX-License-Identifier: Apache-2.0 */
/* A port of a table to pick from, and what was picked, counted. The tests are TEST() ones. */
#ifndef FAIRDIAL_TESTS_PICKS_H
#define FAIRDIAL_TESTS_PICKS_H

#include "balance/balance.h"
#include "support/table_builder.h"

enum { MAX_ENDPOINTS = 1024 };

struct picks {
	struct table *table;
	struct ledger ledger; /* base NULL after picks_forget_ledger */
	struct pick pick;
	struct table_tally tally;
	uint64_t mark;
	unsigned counts[MAX_ENDPOINTS]; /* by place in the list */
};

/*
 * Endpoints as in builder_port, all IPv4; places are in the order of addresses. With a ledger of its own; identity 1,
 * rank unknown, and all may be ejected.
 */
struct picks *new_picks(const char *endpoints);

/* The same with `count` endpoints of weight 1; or as heavy as `weight_of` says. 10.1.0.0:80 and so on. */
struct picks *new_picks_of(unsigned count);
struct picks *new_picks_by(unsigned count, uint16_t (*weight_of)(unsigned i));

/* Of the first port of the first Service. */
struct picks *new_picks_from(const struct table_builder *b);

void picks_forget_ledger(struct picks *p);

/* The next one by this policy, counted; -1: none. It is claimed and landed, as a dial does, where `claim`. */
int next_of(struct picks *p, uint8_t balance, bool claim);

/* Calls next_of so often; counts begin at zero. The test fails where none is picked. */
void pick_many(struct picks *p, uint8_t balance, bool claim, unsigned n);

struct ledger_key key_of(const struct picks *p, unsigned i);

/* Ejects one, as a dial would: refused at this time. */
void eject(struct picks *p, unsigned i, uint64_t now_ms);

#endif
