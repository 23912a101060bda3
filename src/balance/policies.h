/* SPDX-License-Identifier: Apache-2.0 */
/* What the policies share, each of which is a file of its own; for src/balance alone. */
#ifndef FAIRDIAL_BALANCE_POLICIES_H
#define FAIRDIAL_BALANCE_POLICIES_H

#include "balance/balance.h"

bool least_conn(const struct pick *pick, struct candidate *ret_chosen);
bool round_robin(const struct pick *pick, struct candidate *ret_chosen);
bool random_pick(const struct pick *pick, struct candidate *ret_chosen);
bool p2c(const struct pick *pick, struct candidate *ret_chosen);
bool rendezvous(const struct pick *pick, struct candidate *ret_chosen);

/* What it has of the dials, next to what others have. */
static inline uint32_t weigh(const struct candidate *candidate)
{
	return (uint32_t)candidate->weight * candidate->share;
}

/*
 * a.active / a.weight < b.active / b.weight, without dividing. Those without a connection are equal, however heavy: they go by
 * turns, which are by weight. One that is ejected, and in all the same, has few connections for that reason, and neither wins
 * nor loses by them.
 */
static inline bool is_less_loaded(const struct candidate *a, const struct candidate *b)
{
	if (a->load.ejected || b->load.ejected)
		return false;
	return (uint64_t)a->load.active * weigh(b) < (uint64_t)b->load.active * weigh(a);
}

/* ---- start.c ---- */

/* Which of n places is this client's first. */
uint32_t start_of(const struct pick *pick, uint32_t n);

/* The row at which it begins. */
uint32_t start_row(const struct pick *pick);

/* The turn of this dial among all of the pod; without a ledger, among those of this process and by chance. */
uint32_t turn_of(const struct pick *pick);

/* The next one, where that one came to nothing. */
uint32_t turn_after(const struct pick *pick, uint32_t turn);

/* ---- round_robin.c ---- */

/* The usable endpoints one after the other, each as long as it is heavy. */
struct line {
	uint32_t total; /* 0: nobody */
	uint32_t heaviest;
};
struct line measure_line(const struct pick *pick);

/* Whose turn that is. False where it comes to nothing: the owner is no candidate, or new, and gives this turn of its own up. */
bool owner_of_turn(const struct pick *pick, const struct line *line, uint32_t turn, struct candidate *ret_owner);

#endif
