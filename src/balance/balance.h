/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: pure functions over the candidates of one Service port and the ledger's numbers. Nothing here claims,
 * waits or writes, but for the cursor of the policies that take turns.
 */
#ifndef FAIRDIAL_BALANCE_BALANCE_H
#define FAIRDIAL_BALANCE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "table/table.h"

#define PICK_MAX_TRIED 256

/* What a pick knows. Candidates are numbered by their place in the port's list. */
struct pick {
	struct table_rows rows; /* the endpoints of one family */
	const struct ledger *ledger;
	struct ledger_key cursor;
	uint64_t now_ms;
	uint64_t identity; /* of this client, for `hash` and where no rank is known */
	uint32_t eject_limit_ms; /* an ejection that would end later than this is not believed; 0: any is */
	uint16_t eject_percent; /* at most this share may be out */
	bool all_in : 1;	/* set by pick_next: those that are ejected are in now */
	bool may_try : 1;	/* a candidate may be a trial, for which ledger_try has to say yes */
	bool hesitant : 1;	/* this dial could not go on from one that does not answer */
	bool still : 1;		/* no cursor is moved, and `noise` is the turn */
	uint32_t rank, peers; /* this client's place among its peers; peers 0: unknown, CLIENT_PEERS_UNKNOWN: their number is */
	uint64_t noise;	      /* where no ledger gives turns: the turn among the dials of this process, from a place of its own */
	uint64_t tried[PICK_MAX_TRIED / 64]; /* bit i: candidate i has failed in this dial */
};

struct candidate {
	uint32_t index;
	struct ledger_key key;
	uint16_t weight;
	bool trial; /* its ejection is over, and one dial may find out: ledger_try */
	struct ledger_load load; /* as it was when it was picked: for ledger_claim_if */
};

struct balance_policy {
	const char *name, *help;
	/* Of those for which pick_candidate says yes. False where there are none. */
	bool (*next)(const struct pick *pick, struct candidate *ret_chosen);
};

/* By enum balance. */
const struct balance_policy *balance_policy(uint8_t balance);

/*
 * The next endpoint by a policy: usable, not tried in this dial, not ejected. One whose ejection is over is a candidate as any
 * other, but as a trial: whoever is told so asks ledger_try, and picks anew where that says no. One that timed out is left to
 * dials that are not hesitant first: for a second.
 *
 * Where more than eject_percent of the usable ones are ejected, the first attempt of a dial takes all to be in (too many
 * verdicts say more of the judge): each gets its turn, but does not win for having no connections. One that timed out gets it
 * as a trial, so that one dial at a time waits for it, and not every dial; with `hesitant`, or without `may_try`, it stays
 * out. Later attempts go to those that are not ejected first, and where all of them have been tried, to the others,
 * healthiest first: the one whose last failure is longest ago. False where every usable one has been tried, or none is
 * usable.
 */
bool pick_next(struct pick *pick, uint8_t balance, struct candidate *ret_chosen);

/*
 * The same for a Service with sessionAffinity: ClientIP: the endpoint with the tag `pinned`, if it is one that pick_next could
 * choose. Else (0: nobody is pinned) the one that `hash` says, so that processes without a ledger agree with those that
 * have one; whoever dials it pins it.
 */
bool pick_pinned(struct pick *pick, uint32_t pinned, struct candidate *ret_chosen);

/* For policies: candidate `i` if it may be picked now. */
bool pick_candidate(const struct pick *pick, uint32_t i, struct candidate *ret_candidate);

/* For it: whether a candidate that the ledger has a verdict on is in now, and if so, whether as a trial. May set `trial`. */
bool eject_lets_in(const struct pick *pick, struct candidate *candidate);

/* Whether more are out than may be. */
bool eject_too_many(const struct pick *pick);

void pick_mark_tried(struct pick *pick, uint32_t index);

/* Whether a usable candidate has not been tried, ejected or not. */
bool pick_has_left(const struct pick *pick);

#endif
