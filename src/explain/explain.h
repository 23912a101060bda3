/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `fairdial explain` finds out: where a dial of a Service's port would go now, and why (forecast.c); and what the connections
 * of a process are, why each went where it goes, and what will become of it (connections.c). Printed by explain_text.c and by the
 * verb.
 */
#ifndef FAIRDIAL_EXPLAIN_EXPLAIN_H
#define FAIRDIAL_EXPLAIN_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/environment.h"
#include "inspect/why.h"
#include "table/map.h"
#include "view/snapshot.h"

/* ---- reasons.c: one row a reason ---- */

struct explain_row {
	const char *name; /* for scripts: never changes */
	const char *text; /* what is so */
};

/* Why a dial goes past us, in the order in which it is asked. */
enum explain_pass {
	PASS_NO,
	PASS_NOT_TCP,
	PASS_PROCESS, /* what it lacks: `unspread` of its dialer */
	PASS_PROCESS_OFF,
	PASS_SERVICE_OFF,
	PASS_LISTS,
	PASS_STANDS_DOWN,
	PASS_STALE,
	PASS_QUIET,    /* of a headless Service: its names are left to DNS */
	PASS_OBSERVED, /* counted, and passes */
	PASS_NO_ENDPOINT,
	PASS_COUNT
};
const struct explain_row *explain_pass_row(enum explain_pass pass);

/* Why an endpoint is no candidate. */
enum explain_out {
	OUT_NO,
	OUT_NOT_READY,
	OUT_TERMINATING,
	OUT_LEFT_OUT,
	OUT_EJECTED,
	OUT_ON_TRIAL,
	OUT_OTHER_FAMILY,
	OUT_COUNT
};
const struct explain_row *explain_out_row(enum explain_out out);

/* How far the next pick can be told. */
enum explain_sight {
	SIGHT_CERTAIN,
	SIGHT_CHANCE,	  /* the policy draws */
	SIGHT_NO_LEDGER,  /* each process chooses for itself */
	SIGHT_OTHER_HOST, /* it follows from a host name that is not ours */
	SIGHT_COUNT
};
const struct explain_row *explain_sight_row(enum explain_sight sight);

/* Whether a connection may be closed for another to be dialed in its place (drain, rebalance, max_age), and if not, why. */
enum explain_stay {
	STAY_NO, /* it may be */
	STAY_NOT_ASKED,
	STAY_AFFINITY,
	STAY_NOT_SPREAD,
	STAY_OWN_ADDRESS,
	STAY_HEADLESS,
	STAY_OBSERVED,
	STAY_PASSES,
	STAY_COUNT
};
const struct explain_row *explain_stay_row(enum explain_stay stay);

/* ---- forecast.c ---- */

struct explain_endpoint {
	const struct snapshot_endpoint *seen;
	struct ledger_score score; /* as the dial would find it */
	enum explain_out out;
	uint32_t refusals, timeouts; /* in a row */
	bool is_trial;		     /* its ejection is over: the next dial finds out */
	uint16_t share;		     /* of its weight, in SHARE_WHOLE parts: slow_start */
};

/* A dial to one family of a port. */
struct explain_family {
	bool v4;
	enum explain_pass pass;
	uint8_t balance;     /* that decides */
	uint32_t affinity_s; /* not 0: pinned for so long, whatever the policy */
	bool is_pinned;	     /* now */
	bool all_in;	     /* more are ejected than may be out: all are in */
	bool is_mended;	     /* open connections were counted anew first, as a dial would have it now */
	bool last_resort;    /* nobody is in: the next one is the one whose failure is longest ago */
	enum explain_sight sight;
	struct explain_endpoint *endpoints;
	size_t count, next; /* next: `count` where there is none */
};

struct explain_port {
	const struct snapshot_port *seen;
	struct explain_family families[2];
	size_t family_count;
};

/* Whose dial it would be. */
struct explain_dialer {
	int pid; /* 0: one of the caller's environment, in which the shim is loaded */
	const struct environment *environment;
	uint32_t uid; /* of one that runs: its user, who may not have our ledger */
	bool other_host; /* its host name is not ours */
	const struct why_row *unspread; /* why none of its dials is spread by this table; NULL: its environment alone decides */
};

struct explanation {
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct explain_dialer dialer;
	struct table_policy policy; /* with what the environment has to say */
	bool is_headless; /* its names answer with its pods, in the order of the policy; nothing is redirected */
	bool is_stale; /* too old for a dial of it to be ours */
	bool balance_misread; /* FAIRDIAL_BALANCE makes no sense, and is passed over */
	struct explain_port *ports;
	size_t port_count;
};

/* Which of its ports and families. */
struct explain_question {
	const struct snapshot_service *service;
	const struct snapshot_port *port; /* NULL: all */
	bool one_family, v4;
};

/* Where table and ledger are, and whom the caller believes. */
struct explain_place {
	const char *dir;
	struct trust trust;
	const char *shim_path; /* the tool's own libfairdial.so; NULL: there is none */
};

/*
 * 0, or a negative errno; -EAGAIN where the table is no longer the one of the snapshot: take another. Nothing is claimed, no
 * turn taken and no pin moved: the pick is made with a copy of the ledger. The caller frees it, before the snapshot.
 */
int explain_take(const struct explain_place *place, const struct snapshot *snapshot, const struct explain_question *question,
		 const struct explain_dialer *dialer, struct explanation *ret_explanation);
void explain_free(struct explanation *explanation);

/* Whether a dial would be counted and go to `next`, or would, but for the mode. */
static inline bool explain_has_next(const struct explain_family *f)
{
	return (f->pass == PASS_NO || f->pass == PASS_OBSERVED) && f->sight == SIGHT_CERTAIN && f->next < f->count;
}

/* ---- connections.c ---- */

struct explain_connection {
	int fd;
	uint32_t inode;
	struct addr peer;
	const struct snapshot_service *service; /* the first that has it; NULL: none has */
	const struct snapshot_port *port;
	const struct snapshot_endpoint *endpoint; /* NULL: it goes to the Service's own address */
	const struct snapshot_service *others[SNAPSHOT_SHARED]; /* with the same endpoint: it may have been through these */
	size_t other_count; /* one more than that: there are more */
	size_t told; /* which explanation is its: those to one port and family share one */
	const struct why_row *why; /* why it was not spread; NULL: it may have been */
};

struct explain_connections {
	int pid;
	char program[64]; /* fit for a terminal; "": not known */
	const struct why_row *unspread; /* as in struct explain_dialer */
	struct explain_connection *at; /* in the order of descriptors */
	size_t count;
	bool is_one; /* of one descriptor alone */
	size_t open; /* TCP connections in all; of one descriptor: 1 */
};

/*
 * The established TCP connections of a process; only of descriptor `fd` where that is not -1, and only those to what the table
 * knows where it is. 0; -ESRCH: no such process; -EACCES: not ours to see; -EBADF: no such descriptor; -ENOTSOCK: it is no socket;
 * -ENOTCONN: it is no open TCP connection of this network namespace; else a negative errno. The caller frees it, before the
 * snapshot.
 */
int explain_connections(const struct explain_place *place, const struct snapshot *snapshot, int pid, int fd,
			struct explain_connections *ret_connections);
void explain_connections_free(struct explain_connections *connections);

/* `now`: what is said of its port and family. Pure. */
enum explain_stay explain_stay_of(const struct explain_connection *connection, const struct explanation *now);

/* ---- explain_text.c, for people; `told`: what the `told` of connections counts ---- */

void explain_print(const struct explanation *explanation);
void explain_print_connections(const struct explain_connections *connections, const struct explanation *told);
/* The only one, in full. */
void explain_print_connection(const struct explain_connections *connections, const struct explanation *explanation);

#endif
