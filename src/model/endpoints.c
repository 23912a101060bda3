/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoints of a port may be dialed: the rules of kube-proxy (pkg/proxy/topology.go and endpointslicecache.go).
 * kube-proxy runs one proxier a family, so every rule here looks at the endpoints of one family alone.
 */
#include "model/state.h"

#include <stdlib.h>
#include <string.h>

/* A condition that is absent has its default (api: discovery/v1 EndpointConditions). */
static bool condition(int8_t value, bool absent)
{
	return value < 0 ? absent : value > 0;
}

void candidate_from_kube(struct candidate *candidate, const struct kube_endpoint *kube, uint16_t port)
{
	struct spec_endpoint *endpoint = &candidate->endpoint;

	memset(candidate, 0, sizeof(*candidate));
	endpoint->addr = kube->addr;
	addr_set_port(&endpoint->addr, port);
	endpoint->weight = 1;
	endpoint->zone = kube->zone;
	endpoint->node = kube->node;
	endpoint->flags = (uint16_t)((condition(kube->ready, true) ? ENDPOINT_READY : 0) |
				     (condition(kube->serving, true) ? ENDPOINT_SERVING : 0) |
				     (condition(kube->terminating, false) ? ENDPOINT_TERMINATING : 0));
	candidate->kube = kube;
}

/* A file has no "serving": one that is ready and terminating is what the API calls serving and terminating. */
void candidate_from_file(struct candidate *candidate, const struct file_endpoint *file, uint16_t port)
{
	struct spec_endpoint *endpoint = &candidate->endpoint;

	memset(candidate, 0, sizeof(*candidate));
	endpoint->addr = file->addr;
	addr_set_port(&endpoint->addr, port);
	endpoint->weight = file->weight;
	endpoint->zone = file->zone;
	endpoint->flags =
		(uint16_t)((file->ready && !file->terminating ? ENDPOINT_READY : 0) |
			   (file->ready ? ENDPOINT_SERVING : 0) | (file->terminating ? ENDPOINT_TERMINATING : 0));
}

static bool is_terminating(const struct candidate *candidate)
{
	return candidate->endpoint.flags & ENDPOINT_TERMINATING;
}

/* ---- duplicates ---- */

static int by_address_then_turn(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = addr_compare(&x->endpoint.addr, &y->endpoint.addr);

	return order ? order : (x->seen > y->seen) - (x->seen < y->seen);
}

/*
 * An address and port may be in two slices while its pod moves between them, or belong to two pods when the address
 * of one that terminates is given to another. One that is not terminating replaces what was seen before it; one that is
 * replaces nothing (endpointslicecache.go: addEndpoints).
 */
size_t endpoints_dedupe(struct candidate *candidates, size_t n)
{
	size_t kept = 0;

	if (n > 1) /* none may be NULL */
		qsort(candidates, n, sizeof(*candidates), by_address_then_turn);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || !addr_equal(&candidates[kept - 1].endpoint.addr, &candidates[i].endpoint.addr))
			candidates[kept++] = candidates[i];
		else if (!is_terminating(&candidates[i]))
			candidates[kept - 1] = candidates[i];
	}
	return kept;
}

/* ---- topology ---- */

enum topology { TOPOLOGY_NONE, SAME_ZONE, SAME_NODE };

static bool equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool among(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (equal(names[i], name))
			return true;
	return false;
}

static bool hinted_here(const struct candidate *candidate, enum topology topology, const struct place *place)
{
	const struct kube_endpoint *kube = candidate->kube;

	return topology == SAME_NODE   ? among(kube->hint_nodes, kube->hint_node_count, place->node)
	       : topology == SAME_ZONE ? among(kube->hint_zones, kube->hint_zone_count, place->zone)
				       : true;
}

/* Every ready endpoint has hints of the kind, and one of them is for this place. */
static bool topology_holds(const struct candidate *candidates, size_t n, enum topology topology,
			   const struct place *place)
{
	bool here = false;

	for (size_t i = 0; i < n; i++) {
		const struct kube_endpoint *kube = candidates[i].kube;

		if (!(candidates[i].endpoint.flags & ENDPOINT_READY))
			continue;
		if (!kube || (topology == SAME_NODE ? kube->hint_node_count : kube->hint_zone_count) == 0)
			return false;
		here = here || hinted_here(&candidates[i], topology, place);
	}
	return here;
}

/* All or nothing: hints on some endpoints only, as during a roll-out, would overload those (topologyModeFromHints). */
static enum topology topology_of(const struct candidate *candidates, size_t n, const struct place *place)
{
	if (!place->hinted || place->local)
		return TOPOLOGY_NONE;
	if (topology_holds(candidates, n, SAME_NODE, place))
		return SAME_NODE;
	return topology_holds(candidates, n, SAME_ZONE, place) ? SAME_ZONE : TOPOLOGY_NONE;
}

/* ---- which may be dialed ---- */

static bool within_policy(const struct candidate *candidate, const struct place *place)
{
	return !place->local || equal(candidate->endpoint.node, place->node);
}

/* Marks those whose flags hold all of `flags`; returns how many. */
static size_t mark(struct candidate *candidates, size_t n, uint16_t flags, enum topology topology,
		   const struct place *place)
{
	size_t marked = 0;

	for (size_t i = 0; i < n; i++) {
		struct candidate *candidate = &candidates[i];

		if ((candidate->endpoint.flags & flags) != flags || !within_policy(candidate, place) ||
		    (topology != TOPOLOGY_NONE && !hinted_here(candidate, topology, place)))
			continue;
		candidate->endpoint.flags |= ENDPOINT_USABLE;
		marked++;
	}
	return marked;
}

/*
 * All that are ready, as far as topology allows; where there is none, all that still serve while they terminate, and
 * topology does not count; else none (topology.go: CategorizeEndpoints).
 */
static void mark_family(struct candidate *candidates, size_t n, const struct place *place)
{
	if (mark(candidates, n, ENDPOINT_READY, topology_of(candidates, n, place), place) == 0)
		mark(candidates, n, ENDPOINT_SERVING | ENDPOINT_TERMINATING, TOPOLOGY_NONE, place);
}

void endpoints_mark(struct candidate *candidates, size_t n, const struct place *place)
{
	size_t v4_count = 0;

	if (n == 0) /* where there may be no array */
		return;
	while (v4_count < n && candidates[v4_count].endpoint.addr.is_v4)
		v4_count++;
	mark_family(candidates, v4_count, place);
	mark_family(candidates + v4_count, n - v4_count, place);
}
