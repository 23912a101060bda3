/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table is worth to the programs that use it: its age, and how many of its Services are spread. Reads the table alone: of
 * another pod's, what this network namespace knows of connections is nothing, and its ledger must be let alone.
 */
#ifndef FAIRDIAL_INSPECT_TABLE_FACTS_H
#define FAIRDIAL_INSPECT_TABLE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trust;

/* The table that a program uses, or will. */
struct table_facts {
	const char *dir; /* for people, and fit for a terminal; the caller's */
	/* 0, or why there is none that can be used: -ENOENT, -EPERM, -EPROTO, -EBADMSG, -ESTALE for one of another boot, … */
	int error;
	bool is_static;
	bool is_stale;   /* its agent is silent, and a Service of it has an address of its own: dials go there */
	uint64_t age_ms; /* since it was vouched for, or of a static one published */
	size_t services, on, stand_down; /* how many; of these, whose mode is on; of all, that stand down */
	/* Of one that runs, for the caller to tell: */
	bool is_mapped;
	bool is_replaced; /* another one is in the place of the one that it has mapped */
	bool is_removed;  /* or none */
	bool is_other;    /* not the one that was asked for */
};

/* Of DIR/table, into the first part of `facts`, but for `dir`. */
void table_facts_take(const char *dir, const struct trust *trust, struct table_facts *facts);

#endif
