/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One dial: which Service port a destination is, and which endpoint is next. Decides and keeps score; the hooks act.
 * Async-signal-safe; no system calls but those of a mend, of a trace, and once a second of a look at the files.
 */
#ifndef FAIRDIAL_SHIM_DIAL_H
#define FAIRDIAL_SHIM_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "balance/balance.h"
#include "balance/rules.h"
#include "base/addr.h"
#include "shim/attach.h"

struct sockaddr;
struct text;

/* Why a dial goes where it goes: as the rules say it, or because of what is not theirs. */
enum dial_reason {
	DIAL_OURS = RULES_OURS,
	DIAL_OBSERVED = RULES_OBSERVED,
	DIAL_OFF = RULES_OFF,
	DIAL_LEFT_OUT = RULES_LEFT_OUT,
	DIAL_STOOD_DOWN = RULES_STOOD_DOWN,
	DIAL_STALE = RULES_STALE,
	DIAL_NO_TABLE = RULES_ANSWERS, /* or one that is being written for too long, or damaged */
	DIAL_NOT_SERVICE,	       /* the destination is no Service's */
	DIAL_NO_ENDPOINT,
	DIAL_NOT_TCP,
	DIAL_IN_USE, /* the socket is connected, connecting or listening: the kernel ignores the address */
	DIAL_REASONS
};

struct dial {
	const struct attachment *attachment;
	const struct settings *settings;
	struct addr dest;
	bool v4; /* the family of endpoints that this socket can reach */
	bool blocking;
	uint8_t balance;
	bool observed;	   /* and the pin stays as it is */
	uint16_t attempts; /* endpoints that may still time out */
	uint16_t wait_ms;  /* how long a non-blocking dial may still wait for suspects, in all */
	uint32_t attempt;  /* endpoints chosen so far */
	uint32_t most;	   /* that may be: as many as the list has; a new one counts from there */
	uint16_t followed; /* new lists, in this dial */
	struct ledger_verdict verdict;
	uint32_t service;    /* row, for the trace */
	uint32_t affinity_s; /* not 0: dials are pinned for so long */
	uint32_t keepalive_ms; /* not 0: the kernel is to probe the connection */
	bool moves;	       /* its connection may be closed one day: drain, rebalance or max_age */
	struct ledger_pin pin; /* as the last choice found it */
	struct pick pick;
};

struct dial_choice {
	struct addr addr;
	struct ledger_key key;
	uint32_t ejection; /* what was known of it: for ledger_report_of */
	bool others;  /* more endpoints could follow this one */
	bool suspect; /* worth waiting for its answer */
	bool doubted; /* its last dial failed: success has to be seen, not assumed */
};

/*
 * Whether the destination is a Service's: all that a dial which is not ours costs. 1 or 0; -EINTR where it waited for a table,
 * and is to end (attach.h).
 */
int dial_is_service(int fd, const struct sockaddr *sa, uint32_t len);

/* Reads the Service's rules. DIAL_OURS or DIAL_OBSERVED, or why not. */
enum dial_reason dial_prepare(struct dial *ret_dial, const struct sockaddr *sa, uint32_t len);

/*
 * Sets the counts of the port's endpoints by what the kernel says, where its policy needs it and nobody has done it lately. Before
 * a dial chooses for the first time; `urgent`: after it chose one that is doubted, for the dials after this one, which tries it.
 */
void dial_mend(struct dial *dial, bool urgent);

/*
 * The next endpoint, its place claimed: each call ends in dial_landed, dial_failed, dial_left or dial_dropped. False where none is
 * left.
 */
bool dial_choose(struct dial *dial, struct dial_choice *ret_choice);

/* The dial has reached the kernel; `success`: and it is known that the endpoint answered. */
void dial_landed(struct dial *dial, const struct dial_choice *choice, bool success);

/* Its answer is not known yet, though the endpoint is in doubt: whoever sees the socket from this local port may tell it. */
void dial_await(struct dial *dial, const struct dial_choice *choice, uint16_t port_be);

/* The endpoint failed it. */
void dial_failed(struct dial *dial, const struct dial_choice *choice, enum ledger_outcome outcome);

/* The endpoint refused it, and the socket keeps that, and the endpoint's address, for the program to find. */
void dial_left(struct dial *dial, const struct dial_choice *choice);

/* It came to nothing, and nobody is to blame. */
void dial_dropped(struct dial *dial, const struct dial_choice *choice);

/*
 * For who chooses without a destination: the steps of dial_prepare and dial_choose, to be taken between table_begin and
 * table_end but for the first and the last. `blocking` and `v4` are the caller's to set, before the second.
 */

/* All zero but what the process knows. False: no table, or no settings. */
bool dial_init(struct dial *ret_dial);

/* The policy of a port, which is that row, and where its endpoints of that family are. Takes no turn, pins nothing. */
void dial_take_port(struct dial *dial, const struct table_view *view, const struct table_rules *rules, uint32_t row,
		    const struct table_port *port);

/* As dial_mend, of the endpoints in `pick.rows`. */
void dial_mend_if_due(struct dial *dial, const struct table_view *view, bool urgent);

/* One more connection to it. False where somebody was faster, and it has to be chosen anew: try number `tries`, from 0. */
bool dial_claim(struct dial *dial, const struct candidate *candidate, int tries);

/* A turn among those of this process alone. */
uint64_t dial_own_turn(void);

/* The row of the port at an address, its generation's head found whole; -ENOENT, -EBADMSG. Between table_begin and table_end. */
int dial_find_port(const struct table_view *view, const struct addr *dest, struct table_port *ret_port);

/* The most cautious of what table, Service and process say: enum fairdial_mode. */
uint8_t dial_mode(const struct table_rules *rules, const struct table_port *port, const struct settings *settings);

/* "NAME.NAMESPACE " of a row of SECTION_SERVICES, for a trace. `service`: room for the row. */
void dial_add_service(struct text *line, const struct table *table, uint32_t row, struct table_service *service);

/* A line of the trace, where it is asked for. `error`: 0 or an errno. */
void dial_trace(const struct dial *dial, const struct dial_choice *choice, enum dial_reason reason, int error);

#endif
