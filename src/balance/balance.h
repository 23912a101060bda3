/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: pure functions over the candidates of one Service port and the ledger's numbers. Nothing here claims, waits or
 * writes, but for the cursor of the policies that take turns, and what `hash` remembers. Each may be called from a signal
 * handler, from any number of threads.
 */
#ifndef FAIRDIAL_BALANCE_BALANCE_H
#define FAIRDIAL_BALANCE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "table/table.h"

#define PICK_MAX_TRIED 256
#define SHARE_WHOLE    1000u

/* What a pick knows. Candidates are numbered by their place in the port's list. */
struct pick {
	struct table_rows rows; /* the endpoints of one family */
	uint64_t mark; /* table_mark of their generation; 0: nothing is remembered of them */
	/* By pick_take_tally: of those that are usable their number (0: not known), and their weights. */
	uint32_t usable, weight;
	uint16_t heaviest;
	uint16_t oldest_share; /* what the oldest would have for its age alone, in SHARE_WHOLE parts */
	uint32_t slow_start_ms; /* not 0: the share of those that are new grows for so long */
	const struct ledger *ledger;
	struct ledger_key cursor;
	uint64_t now_ms;
	uint64_t identity; /* of this client, for `hash` and where no rank is known */
	uint32_t eject_limit_ms; /* an ejection that would end later than this is not believed; 0: any is */
	uint16_t eject_percent; /* at most this share may be out */
	bool all_in : 1;	/* set by pick_next: those that are ejected are in now */
	bool nobody_in : 1;	/* likewise: there are no others, for a dial with `hesitant` */
	bool may_try : 1;	/* a candidate may be a trial, for which ledger_try has to say yes */
	bool hesitant : 1;	/* this dial could not go on from one that does not answer */
	bool still : 1;		/* no cursor is moved, and `noise` is the turn */
	uint32_t rank, peers; /* this client's place among its peers; peers 0: unknown, CLIENT_PEERS_UNKNOWN: their number is */
	uint64_t noise;	      /* where no ledger gives turns: the turn among the dials of this process, from a place of its own */
	uint64_t tried[PICK_MAX_TRIED / 64]; /* bit i: candidate i has failed in this dial; pick.c has those beyond */
};

struct candidate {
	uint32_t index;
	struct ledger_key key;
	uint16_t weight;
	uint16_t share : 15; /* of its weight, in SHARE_WHOLE parts: slow_start */
	bool trial : 1;	     /* its ejection is over, and one dial may find out: ledger_try */
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
 * out. But where every usable one is out, whatever eject_percent says, dials with `hesitant` go to each in its turn, as they
 * would without us (not with `hash`, which has no turns). Later attempts go to those that are not ejected first, and where
 * all of them have been tried, to the others, healthiest first: the one whose last failure is longest ago. False where every
 * usable one has been tried, or none is usable.
 */
bool pick_next(struct pick *pick, uint8_t balance, struct candidate *ret_chosen);

/*
 * The same for a Service with sessionAffinity: ClientIP: the endpoint with the tag `pinned`, if it is one that pick_next could
 * choose. Else (0: nobody is pinned) the one that `hash` says, so that processes without a ledger agree with those that
 * have one; whoever dials it pins it.
 */
bool pick_pinned(struct pick *pick, uint32_t pinned, struct candidate *ret_chosen);

/*
 * What the table knows of these endpoints together, and the window of slow_start, which counts only where somebody is new, and
 * not all are alike. For every choice; the time is pick->now_ms.
 *
 * Of a new endpoint's weight counts what its age is of the window, a tenth at least (as Envoy's slow start does, with its
 * defaults). Shares are relative: where even the oldest endpoint is new, it has its whole weight, and the others what their
 * age is of its own. `hash` takes no notice: a client of it has one endpoint, not a share of it.
 */
void pick_take_tally(struct pick *pick, const struct table_tally *tally, uint32_t slow_start_ms);

/* What an endpoint has of its weight, in SHARE_WHOLE parts, 1 or more. */
uint16_t slow_start_share(const struct pick *pick, uint32_t i);

/*
 * What `hash` remembers: of the clients and generations that this process has dialed for, who comes first. Shared by all
 * threads and signal handlers of a process without a lock: hash.c says why that holds. All zero is empty.
 */
#define HASH_MEMORY  16
#define HASH_RANKING 4
struct hash_ranking {
	uint64_t check; /* of whose it is, and of the words that follow */
	uint64_t rows[HASH_RANKING / 2]; /* two a word, best first */
	uint64_t zero;
};
extern struct hash_ranking hash_memory[HASH_MEMORY];

/* For policies: candidate `i` if it may be picked now. */
bool pick_candidate(const struct pick *pick, uint32_t i, struct candidate *ret_candidate);

/* For it: whether a candidate that the ledger has a verdict on is in now, and if so, whether as a trial. May set `trial`. */
bool eject_lets_in(const struct pick *pick, struct candidate *candidate);

/* How many are out, and what follows for a first attempt: `all_in`, and `nobody_in` if the policy spreads dials. */
void eject_count(struct pick *pick, bool spreads);

void pick_mark_tried(struct pick *pick, uint32_t index);

/* Whether a usable candidate has not been tried, ejected or not. */
bool pick_has_left(const struct pick *pick);

#endif
