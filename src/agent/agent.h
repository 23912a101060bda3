/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: follows its sources, publishes what they say into a directory, and keeps the ledger there true. One thread, one loop.
 *
 * The table's heartbeat says that the list is vouched for, not that a process lives: it goes on while every collection that was
 * ever taken is being followed, and stops when one is not. Then shims first answer no more names, and after a minute pass dials to
 * kube-proxy, which may know better. What was published stays: nothing is ever taken back because a source fell silent.
 */
#ifndef FAIRDIAL_AGENT_AGENT_H
#define FAIRDIAL_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/source_kube.h"
#include "base/addr.h"
#include "base/report.h"
#include "model/model.h"

struct agent;
struct kube_config;
struct started;

/* All texts must last as long as the agent. */
struct agent_options {
	const char *dir;
	const char *ledger;	     /* NULL: DIR/ledger */
	const char *services;	     /* a file, read again when it changes; "-FILE": it may be missing; NULL: none */
	const char *inline_services; /* NULL: none */
	const struct kube_config *config; /* NULL: no API */
	struct source_kube_options kube;
	struct model_options model;
	bool per_namespace;   /* `dir` holds a directory for each namespace (namespaces.h); and keeps_no_ledger */
	bool keeps_no_ledger; /* the pods are elsewhere: a directory for a whole node */
	bool shares_ledger;   /* the directory is the pod's own: its users share the counts (mode 0666) */
	bool shared_network;  /* hostNetwork: the kernel's list of sockets is the node's */
	bool ignores_mesh;
	uint32_t idle_ms; /* ends, and takes its table back, when nobody has used it for so long; 0: never */
	bool listens; /* for who looks at it over HTTP (exporter.h), on `listen` */
	struct addr listen;
	struct started *started; /* a program started it, which waits for what it tells there; NULL: a person, or a pod */
};

/*
 * Takes the directory; waits for another agent there to end, and goes on where that one was. 0; -EINTR where agent_stop was called
 * meanwhile; else a negative errno and a line. One that a program started waits a second at most: -EBUSY. A services file that
 * cannot be read is refused here, unless it may be missing; later on the last good one stays (services_file.h).
 */
int agent_open(const struct agent_options *options, struct agent **ret_agent, struct report *report);

/* One turn of the loop, which waits at most so long. False once agent_stop was called, or it is idle. */
bool agent_step(struct agent *agent, int timeout_ms);

/* Async-signal-safe, of every agent of the process: end; read the services file again now. */
void agent_stop(void);
void agent_reload(void);

/* The table stays, and so does the ledger. NULL is accepted. */
void agent_close(struct agent *agent);

#endif
