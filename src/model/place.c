/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this pod is: its zone, which any endpoint on its node tells, and its rank among the pods of a Service that
 * selects it. Both are kept, and looked for again only when a slice that tells of them changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/resolve.h"

/* ---- the zone ---- */

/* Any order does that does not depend on who came first. */
static bool goes_before(const struct stored *a, const struct stored *b)
{
	int order = resolve_compare(a->namespace, a->slice.service, b->namespace, b->slice.service);

	return order < 0 || (order == 0 && strcmp(a->name, b->name) < 0);
}

const char *place_zone(struct model *model)
{
	const struct stored *first = model->here;

	if (model->zone)
		return model->zone;
	if (model->here_moved) {
		for (const struct stored *slice = first; slice; slice = slice->here_next)
			if (goes_before(slice, first))
				first = slice;
		model->zone_learnt = first ? first->zone_here : NULL;
		model->here_moved = false;
	}
	return model->zone_learnt;
}

/* ---- ordinals ---- */

#define ORDINAL_DIGITS 5

struct ordinal {
	struct slice prefix;
	uint32_t number;
};

/* "db-0": how a StatefulSet names its pods, without leading zeros. */
static bool ordinal_of(const char *name, struct ordinal *ret)
{
	const char *dash = strrchr(name, '-'), *digits = dash ? dash + 1 : NULL;
	size_t n = dash ? strlen(digits) : 0;
	uint32_t number = 0;

	if (!dash || dash == name || n == 0 || n > ORDINAL_DIGITS || (n > 1 && digits[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!text_is_digit(digits[i]))
			return false;
		number = number * 10 + (uint32_t)(digits[i] - '0');
	}
	*ret = (struct ordinal){ { name, (size_t)(dash - name) }, number };
	return true;
}

/* ---- peers: the pods of one Service ---- */

struct peer {
	const char *name; /* NULL: not known, and its address stands for it */
	struct addr addr; /* the first of them, in the order of addresses */
	struct ordinal ordinal;
	bool named, addressed; /* this pod, by its name, or by an address */
};

struct peers {
	struct peer *peers;
	size_t count;
};

bool place_is_mine(const struct model *model, const struct addr *addr)
{
	for (size_t i = 0; i < model->address_count; i++)
		if (memcmp(model->addresses[i].ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	return false;
}

static struct peer peer_of(const struct model *model, const struct kube_endpoint *endpoint)
{
	struct peer peer = { .name = endpoint->target, .addr = endpoint->addr };

	peer.addr.port_be = 0;
	peer.named = peer.name && model->pod && strcmp(peer.name, model->pod) == 0;
	peer.addressed = place_is_mine(model, &endpoint->addr);
	return peer;
}

/* One that terminates dials no longer for long, unless it is the one that asks. */
static void add_peers(const struct model *model, const struct kube_slice *slice, struct peers *peers)
{
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		struct peer peer = peer_of(model, &slice->endpoints[i]);

		if (slice->endpoints[i].addr.is_v4 == slice->is_v4 &&
		    (slice->endpoints[i].terminating <= 0 || peer.named || peer.addressed))
			peers->peers[peers->count++] = peer;
	}
}

static int compare_names(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) : (a == NULL) - (b == NULL);
}

static int by_pod(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;
	int order = compare_names(x->name, y->name);

	return order ? order : addr_compare(&x->addr, &y->addr);
}

static bool is_same_pod(const struct peer *a, const struct peer *b)
{
	return compare_names(a->name, b->name) == 0 && (a->name || addr_equal(&a->addr, &b->addr));
}

/* A pod is there with each of its addresses, and in several slices while it moves between them. */
static void merge_pods(struct peers *peers)
{
	size_t kept = 0;

	qsort(peers->peers, peers->count, sizeof(*peers->peers), by_pod);
	for (size_t i = 0; i < peers->count; i++) {
		const struct peer *peer = &peers->peers[i];

		if (kept == 0 || !is_same_pod(&peers->peers[kept - 1], peer)) {
			peers->peers[kept++] = *peer;
			continue;
		}
		peers->peers[kept - 1].named |= peer->named;
		peers->peers[kept - 1].addressed |= peer->addressed;
	}
	peers->count = kept;
}

static int by_ordinal(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;

	return (x->ordinal.number > y->ordinal.number) - (x->ordinal.number < y->ordinal.number);
}

static int by_address(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	return order ? order : compare_names(x->name, y->name);
}

/* Whether all are pods of one StatefulSet. */
static bool have_ordinals(struct peers *peers)
{
	for (size_t i = 0; i < peers->count; i++) {
		struct peer *peer = &peers->peers[i];

		if (!peer->name || !ordinal_of(peer->name, &peer->ordinal) ||
		    !slice_equal(peer->ordinal.prefix, peers->peers[0].ordinal.prefix))
			return false;
	}
	return true;
}

/* By its name, else by an address: one that terminates may still have the address that is now this pod's. */
static struct rank find_me(const struct peers *peers)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->peers[i].named)
			return (struct rank){ (uint32_t)i, (uint32_t)peers->count };
	for (size_t i = 0; i < peers->count; i++)
		if (peers->peers[i].addressed)
			return (struct rank){ (uint32_t)i, (uint32_t)peers->count };
	return (struct rank){ 0 };
}

static int rank_among(const struct model *model, const struct group *group, struct rank *ret_rank)
{
	struct peers peers = { calloc(group->endpoint_count[0] + group->endpoint_count[1], sizeof(*peers.peers)), 0 };

	if (!peers.peers)
		return -ENOMEM;
	for (const struct stored *slice = group->slices; slice; slice = slice->next)
		add_peers(model, &slice->slice, &peers);
	merge_pods(&peers);
	qsort(peers.peers, peers.count, sizeof(*peers.peers), have_ordinals(&peers) ? by_ordinal : by_address);
	*ret_rank = find_me(&peers);
	free(peers.peers);
	return 0;
}

/* ---- the Service whose pods are the peers ---- */

static size_t larger_family(const struct group *group)
{
	size_t v4_count = group->endpoint_count[1], v6_count = group->endpoint_count[0];

	return v4_count > v6_count ? v4_count : v6_count;
}

/*
 * Each pod asks this of the Services that it is in, and as many as can be should answer alike: so it looks only at what
 * all pods of a Service see alike. One that governs a StatefulSet (its endpoints have hostnames) goes first, then
 * one of more endpoints, then the first name. A Service that has this pod by its name goes before one that has only
 * an address of it: on the host's network, other pods have the same.
 */
static bool is_better(const struct group *a, const struct group *b)
{
	if ((a->named_count > 0) != (b->named_count > 0))
		return a->named_count > 0;
	if ((a->hostname_count > 0) != (b->hostname_count > 0))
		return a->hostname_count > 0;
	if (larger_family(a) != larger_family(b))
		return larger_family(a) > larger_family(b);
	return strcmp(a->name, b->name) < 0;
}

static int find_rank(const struct model *model, struct rank *ret_rank)
{
	const struct group *best = model->mine;
	struct ordinal ordinal;

	for (const struct group *group = best; group; group = group->mine_next)
		if (is_better(group, best))
			best = group;
	if (best)
		return rank_among(model, best, ret_rank);
	*ret_rank = model->pod && ordinal_of(model->pod, &ordinal) ?
			    (struct rank){ ordinal.number, CLIENT_PEERS_UNKNOWN } :
			    (struct rank){ 0 };
	return 0;
}

int place_rank(struct model *model, struct rank *ret_rank)
{
	if (model->mine_moved) {
		if (find_rank(model, &model->rank) < 0)
			return -ENOMEM;
		model->mine_moved = false;
	}
	*ret_rank = model->rank;
	return 0;
}
