/* SPDX-License-Identifier: Apache-2.0 */
/* What a model keeps: seen by model*.c only. */
#ifndef FAIRDIAL_AGENT_MODEL_STATE_H
#define FAIRDIAL_AGENT_MODEL_STATE_H

#include "agent/addresses.h"
#include "agent/arena.h"
#include "agent/index.h"
#include "agent/model.h"

/* An object of Kubernetes, as it was last set. It lies, with all its parts, in its own arena. */
struct stored {
	struct arena arena;
	uint32_t set_in; /* model.list when it was set */
	const char *key; /* "namespace/name" */
	size_t key_len;
	const char *namespace, *name;
	union {
		struct kube_service service;
		struct kube_slice slice;
	};
};

struct model {
	struct arena arena; /* of the options' texts */
	const char *node, *zone;

	struct arena file_arena;
	struct file_services file;

	struct index objects[KUBE_KINDS]; /* struct stored by key */
	uint32_t list;                    /* counts lists that began */
	bool synced[KUBE_KINDS];

	struct allocator allocator;

	struct arena spec_arena;
	struct spec spec;
};

/* ---- model_endpoints.c ---- */

/* An endpoint of one port, on its way into the spec. */
struct candidate {
	struct spec_endpoint endpoint;    /* its flags without ENDPOINT_USABLE, until endpoints_mark */
	const struct kube_endpoint *kube; /* its node and hints; NULL for one of a file */
	size_t seen;                      /* its turn, where several speak of one address and port */
};

/* Where the dials come from. */
struct place {
	const char *node, *zone; /* NULL: unknown */
	bool local;              /* only endpoints on the node */
	bool hinted;             /* hints count */
};

void candidate_from_kube(struct candidate *candidate, const struct kube_endpoint *kube, uint16_t port);
void candidate_from_file(struct candidate *candidate, const struct file_endpoint *file, uint16_t port);

/* Sorts by address and leaves one of each address and port; returns how many. */
size_t endpoints_dedupe(struct candidate *candidates, size_t n);

/* Marks which may be dialed, for each family apart. Sorted by address. */
void endpoints_mark(struct candidate *candidates, size_t n, const struct place *place);

#endif
