/* SPDX-License-Identifier: Apache-2.0 */
/* What a model keeps: seen by this folder only. */
#ifndef FAIRDIAL_MODEL_STATE_H
#define FAIRDIAL_MODEL_STATE_H

#include "model/addresses.h"
#include "model/arena.h"
#include "model/index.h"
#include "model/model.h"
#include "model/texts.h"

/*
 * An object of Kubernetes, as an origin set it last: one allocation, of its exact size. Objects of one key and several
 * origins are a chain, of which the first counts.
 */
struct stored {
	struct stored *older;  /* the same object, as another origin set it before */
	struct group *group;   /* of the Service that it is, or whose slice it is; counted */
	const char *key;       /* object_key; its namespace, for what knows its length */
	size_t key_len;
	const char *namespace, *name;
	uint64_t version;      /* a hash of uid and version; 0: unknown */
	uint32_t origin;
	uint32_t seen_in;      /* the last list that named it */

	/* Of slices: */
	struct stored *next;             /* of the same Service, by name */
	const char *zone_here;           /* of its first endpoint on my node that tells it; else NULL */
	struct stored *here_next, **here_at; /* among those with zone_here */
	uint32_t hostname_count;         /* endpoints with a hostname */
	bool named, addressed;           /* an endpoint has this pod's name, or one of its addresses */
	union {
		struct kube_service service;
		struct kube_slice slice; /* without hostnames; with targets in this pod's namespace only */
	};
};

/* All of one Service. It lives while an object points to it, or until the next resolve. */
struct group {
	size_t holders;
	struct stored *service; /* NULL: there is none, or not yet */
	struct stored *slices;	/* in order of names */
	size_t endpoint_count[2]; /* by is_v4 */
	size_t hostname_count;
	size_t named_count, addressed_count; /* slices that name this pod, or hold an address of it */
	struct group *mine_next, **mine_at;  /* among those with such slices */
	bool touched;
	struct group *touched_next;
	const char *namespace, *name; /* they lie in the key */
	size_t key_len;
	char key[];
};

/* "namespace", NUL, "name": neither holds a NUL. Slices have names of up to 253 bytes. */
#define OBJECT_KEY 512

/* The length, or -EINVAL. */
int object_key(char key[OBJECT_KEY], const char *namespace, const char *name);

struct rank {
	uint32_t rank, peers; /* struct spec */
};

/* What a service of a file is dialed by: only with these can a ClusterIP clash. */
struct given {
	uint8_t ip[16];
	uint16_t port;
	uint8_t protocol, zero;
};

struct given given_of(const struct addr *addr, uint16_t port, uint8_t protocol);

struct model {
	struct arena arena;                     /* of what the options say */
	const char *node, *zone;                /* of `texts` */
	const char *namespace, *pod;
	const struct addr *addresses;
	size_t address_count;

	void (*warn)(const char *line); /* NULL: nobody is told */
	bool no_loopback;

	struct table_policy options_policy; /* of whom nobody else says anything */
	struct table_policy defaults;       /* what the file says of all, else that */
	struct arena file_arena;
	struct file_services file;
	struct index file_names; /* struct file_service by object_key */
	struct index given;      /* struct given: what they are dialed by */

	struct texts texts;
	struct index objects[KUBE_KINDS]; /* struct stored by key: the first of each chain */
	struct index groups;              /* struct group by key */
	uint32_t list;                    /* counts lists that began */

	bool synced[KUBE_KINDS];
	struct index synced_namespaces; /* struct synced_namespace by namespace */
	uint16_t mesh_port;

	struct stored *here; /* slices with zone_here */
	bool here_moved;     /* since zone_learnt was looked for */
	const char *zone_learnt;

	struct group *mine; /* those that hold this pod */
	bool mine_moved;    /* since rank was found */
	struct rank rank;

	bool all_touched;
	struct group *touched;
	const char *resolved_zone; /* held */
	struct rank resolved_rank;

	struct allocator allocator;

	struct arena spec_arena;
	struct spec spec;
};

struct synced_namespace {
	bool kinds[KUBE_KINDS];
	char namespace[];
};

/* ---- stored.c: objects and groups ---- */

/* A hash of both; 0 where one is unknown. */
uint64_t stored_version(const char *uid, const char *version);

/* Copies, whose origin and version are for the caller to set. NULL where there is no memory. */
struct stored *stored_new_service(struct model *model, const struct kube_service *service);
struct stored *stored_new_slice(struct model *model, const struct kube_slice *slice);
void stored_free(struct model *model, struct stored *stored, enum kube_kind kind);

/* Whether two stored Services are alike in all that counts. */
bool stored_service_equal(const struct kube_service *a, const struct kube_service *b);

/* Lets go of one. */
void group_put(struct model *model, struct group *group);

/* Now `now` counts, and `was` no longer; one of them may be NULL. Notes what that touches. */
void group_exchange(struct model *model, enum kube_kind kind, struct stored *was, struct stored *now);

/* Nothing is touched any more. */
void groups_settle(struct model *model);

/* ---- place.c: what follows from endpoints on my node, and from those of this pod ---- */

/* My zone, of `texts`; NULL: unknown. */
const char *place_zone(struct model *model);

/* This pod's place among its peers. 0, -ENOMEM. */
int place_rank(struct model *model, struct rank *ret_rank);

bool place_is_mine(const struct model *model, const struct addr *addr);

/* ---- endpoints.c ---- */

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
