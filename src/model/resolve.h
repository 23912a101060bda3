/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of resolving a model, shared by resolve.c, kube.c and allocate.c. */
#ifndef FAIRDIAL_MODEL_RESOLVE_H
#define FAIRDIAL_MODEL_RESOLVE_H

#include "model/state.h"

struct resolver {
	struct model *model;
	struct arena *out;    /* the spec and what it points to */
	struct arena scratch; /* what is of no use afterwards */
	const char *zone;

	const struct stored **services; /* in order */
	size_t service_count;
	const struct file_service **files; /* in order */
	size_t file_count;

	struct candidate *candidates; /* of the port at hand */
	size_t candidate_count, candidate_room;

	uint8_t *wanted; /* by service of the spec: addresses to allocate */
};

enum wanted { WANT_V4 = 1, WANT_V6 = 2, WANT_ANY = 4 };

/* By namespace, then name. */
int resolve_compare(const char *namespace_a, const char *name_a, const char *namespace_b, const char *name_b);

/* The file's entry, else the annotations, else the file's defaults, else the options', else ours. NULL: there is none. */
struct table_policy resolve_policy(const struct model *model, const struct table_policy *annotations,
				   const struct table_policy *entry);

/* The next candidate of the port at hand, for the caller to fill; NULL where there is no memory. */
struct candidate *resolve_candidate(struct resolver *r);

/* Puts the candidates into the spec and forgets them. 0, -ENOMEM. */
int resolve_port(struct resolver *r, const struct place *place, struct spec_port *port);

/* Appends a Service of the API, unless it is one to skip. 0, -ENOMEM. */
int resolve_kube(struct resolver *r, const struct stored *stored);

/* Gives addresses to the services of `wanted`. 0, -ENOSPC, -ENOMEM. */
int resolve_addresses(struct resolver *r, struct report *report);

/* Whether Services were given addresses, or would be, that depend on what is in the spec. */
bool resolve_concerns_allocated(const struct resolver *r);

#endif
