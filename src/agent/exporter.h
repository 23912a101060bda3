/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent shows to those who look at it over HTTP, in its own loop:
 *
 *	/metrics	metrics/metrics.h
 *	/healthz	200 while the loop turns
 *	/readyz		200 while a table is published and vouched for; else 503, and why in one line
 *
 * An agent that waits for another one to end listens meanwhile, and is not ready: it is alive, so nobody is to restart it for that,
 * and its list serves nobody yet, so a roll-out is to wait with the next one.
 *
 * However often it is asked, the loop goes on: an answer is told again for as long as making it took, times twenty, and for
 * two seconds where many ask at once.
 */
#ifndef FAIRDIAL_AGENT_EXPORTER_H
#define FAIRDIAL_AGENT_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/report.h"

struct exporter;
struct keeper;
struct shelf;
struct source_kube;

/* The agent as it is now. */
struct exporter_sight {
	const struct shelf *shelf;	  /* NULL: it has no directory yet */
	const struct source_kube *source; /* NULL: no API */
	const struct keeper *keeper;	  /* NULL: no ledger */
	uint64_t wholes, patches, publish_failures;
	uint64_t vouched_ms; /* CLOCK_BOOTTIME; 0: not yet */
	bool has_trouble, is_ready;
	char why_not[640]; /* a line, where it is not ready */
};

struct exporter_of {
	const void *agent;
	void (*look)(const void *agent, struct exporter_sight *ret_sight);
};

/* "127.0.0.1:9898", "[::1]:9898", or ":9898", which is [::]: every address. Port 0 is any. 0, or -EINVAL. */
int exporter_parse(const char *text, struct addr *ret_listen);

/* Of the library; NULL: this fairdial was built without. */
const char *exporter_library(void);

/* As http_open; `of` must last. What was counted until now by a ledger that is there is passed over. */
int exporter_open(const struct addr *listen, const struct exporter_of *of, struct exporter **ret_exporter, struct report *why);
void exporter_close(struct exporter *exporter); /* NULL is accepted here, and by all that follow */

/* The agent has its directory, and nothing is published by it yet: counting begins here. */
void exporter_begin(struct exporter *exporter);

int exporter_fd(const struct exporter *exporter); /* to be polled for reading; -1: none */
int exporter_due_ms(const struct exporter *exporter, int timeout_ms); /* exporter_run has something to do then, at the latest */
void exporter_run(struct exporter *exporter, uint64_t now_ms);

#endif
