/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `fairdial explain` finds out: where a dial of a Service's port would go now, and why. Gathered by explain_pick.c and
 * explain_process.c, printed by explain_text.c and explain_json.c.
 */
#ifndef FAIRDIAL_CLI_EXPLAIN_H
#define FAIRDIAL_CLI_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "view/snapshot.h"
#include "inspect/environment.h"
#include "inspect/processes.h"

/* Why a dial goes past us, in the order in which the shim asks. */
enum explain_pass {
	PASS_NO,
	PASS_NOT_TCP,
	PASS_PROCESS_OFF,
	PASS_SERVICE_OFF,
	PASS_LISTS,
	PASS_STANDS_DOWN,
	PASS_STALE,
	PASS_OBSERVED, /* counted, and passes */
	PASS_NO_ENDPOINT,
	PASS_COUNT
};

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

/* One row a reason. */
struct explain_row {
	const char *name; /* for scripts: never changes */
	const char *text; /* what is so */
};
const struct explain_row *explain_pass_row(enum explain_pass pass);
const struct explain_row *explain_out_row(enum explain_out out);

struct explain_endpoint {
	const struct snapshot_endpoint *seen;
	enum explain_out out;
	uint32_t refusals, timeouts; /* in a row */
	bool is_trial;		     /* its ejection is over: the next dial finds out */
	uint16_t share;		     /* of its weight, in SHARE_WHOLE parts: slow_start */
};

/* How far the next pick can be told. */
enum explain_sight {
	SIGHT_CERTAIN,
	SIGHT_CHANCE,	 /* the policy draws */
	SIGHT_NO_LEDGER, /* each process chooses for itself */
	SIGHT_OTHER_HOST, /* it hashes a host name that is not ours */
};

/* A dial to one family of a port. */
struct explain_family {
	bool v4;
	enum explain_pass pass;
	uint8_t balance;     /* that decides */
	uint32_t affinity_s; /* not 0: pinned for so long, whatever the policy */
	bool is_pinned;	     /* now */
	bool all_in;	     /* more are ejected than may be out: all are in */
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
	int pid; /* 0: one of the caller's environment */
	const struct environment *environment;
	bool other_host; /* its host name is not ours */
};

struct explanation {
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct explain_dialer dialer;
	struct table_policy policy; /* with what the environment has to say */
	bool is_headless, is_stale;
	struct explain_port *ports;
	size_t port_count;
};

/* Which of its ports and families. */
struct explain_question {
	const struct snapshot_service *service;
	const struct snapshot_port *port; /* NULL: all */
	bool one_family, v4;
};

/*
 * 0, or a negative errno; -EAGAIN where the table is no longer the one of the snapshot: take another. Nothing is claimed, no
 * turn taken and no pin moved: the pick is made with a copy of the ledger. The caller frees it.
 */
int explain_take(const char *dir, const struct snapshot *snapshot, const struct explain_question *question,
		 const struct explain_dialer *dialer, struct explanation *ret_explanation);
void explain_free(struct explanation *explanation);

/* ---- the connections of a process ---- */

struct explain_connection {
	int fd;
	uint32_t inode;
	struct addr peer;
	const struct snapshot_service *service; /* the first that has it; NULL: none has */
	const struct snapshot_port *port;
	const struct snapshot_endpoint *endpoint; /* NULL: it goes to the Service's own address */
	const struct snapshot_service *others[SNAPSHOT_SHARED]; /* with the same endpoint: it may have been through these */
	size_t other_count;
	size_t told; /* which explanation is its: those to one port and family share one */
	const char *why, *why_text, *remedy; /* inspect/why.h: why it was not spread; NULL: it may have been */
};

struct explain_connections {
	int pid;
	char program[64];
	struct explain_connection *at; /* in the order of descriptors */
	size_t count;
	size_t open; /* of all TCP connections */
};

/*
 * The established TCP connections of a process; only of descriptor `fd` where that is not -1, and only those to what the table
 * knows where it is. 0; -ESRCH: no such process; -EACCES: not ours to see; -EBADF: no such descriptor; -ENOTCONN: it is no open
 * TCP connection of this network namespace; else a negative errno. The caller frees it.
 */
int explain_connections(const char *dir, const struct snapshot *snapshot, int pid, int fd, struct explain_connections *ret);
void explain_connections_free(struct explain_connections *connections);

/* ---- printing; `told`: what the `told` of connections counts ---- */

void explain_print(const struct explanation *explanation);
void explain_print_connections(const struct explain_connections *connections, const struct explanation *told);
/* The only one, in full. */
void explain_print_connection(const struct explain_connections *connections, const struct explanation *explanation);

/* 0, or -ENOMEM. */
int explain_print_json(const struct explanation *explanation);
int explain_print_connections_json(const struct explain_connections *connections, const struct explanation *told);

#endif
