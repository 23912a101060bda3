/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of Kubernetes as the model keeps them. A cluster has hundreds of thousands of endpoints: an object is one
 * allocation of its exact size, and texts that many share are kept once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "model/state.h"

int object_key(char key[OBJECT_KEY], const char *namespace, const char *name)
{
	size_t namespace_len = strlen(namespace), name_len = strlen(name);

	if (namespace_len + name_len + 2 > OBJECT_KEY)
		return -EINVAL;
	memcpy(key, namespace, namespace_len + 1);
	memcpy(key + namespace_len + 1, name, name_len + 1);
	return (int)(namespace_len + 1 + name_len);
}

/* ---- groups: a Service and its slices ---- */

/* NULL where there is no memory. The key is known to fit. */
static struct group *group_get(struct model *model, const char *namespace, const char *name)
{
	char key[OBJECT_KEY];
	size_t len = (size_t)object_key(key, namespace, name);
	struct group *group = index_get(&model->groups, key, len);

	if (!group) {
		group = calloc(1, sizeof(*group) + len + 1);
		if (!group)
			return NULL;
		memcpy(group->key, key, len);
		group->key_len = len;
		group->namespace = group->key;
		group->name = group->key + strlen(namespace) + 1;
		if (index_put(&model->groups, group->key, len, group) < 0) {
			free(group);
			return NULL;
		}
	}
	group->holders++;
	return group;
}

static void group_free_unused(struct model *model, struct group *group)
{
	if (group->holders > 0 || group->touched)
		return;
	index_remove(&model->groups, group->key, group->key_len);
	free(group);
}

void group_put(struct model *model, struct group *group)
{
	group->holders--;
	group_free_unused(model, group);
}

static void touch(struct model *model, struct group *group)
{
	if (group->touched)
		return;
	group->touched = true;
	group->touched_next = model->touched;
	model->touched = group;
}

void groups_settle(struct model *model)
{
	while (model->touched) {
		struct group *group = model->touched;

		model->touched = group->touched_next;
		group->touched = false;
		group_free_unused(model, group);
	}
	model->all_touched = false;
}

static bool is_mine(const struct group *group)
{
	return group->named_count + group->addressed_count > 0;
}

/* Puts the group among those that hold this pod, or takes it out. */
static void note_mine(struct model *model, struct group *group)
{
	if (is_mine(group) && !group->mine_at) {
		group->mine_at = &model->mine;
		group->mine_next = model->mine;
		if (group->mine_next)
			group->mine_next->mine_at = &group->mine_next;
		model->mine = group;
	} else if (!is_mine(group) && group->mine_at) {
		*group->mine_at = group->mine_next;
		if (group->mine_next)
			group->mine_next->mine_at = group->mine_at;
		group->mine_at = NULL;
	}
}

static void note_here(struct model *model, struct stored *slice, bool comes)
{
	if (!slice->zone_here)
		return;
	model->here_moved = true;
	if (comes) {
		slice->here_at = &model->here;
		slice->here_next = model->here;
		if (slice->here_next)
			slice->here_next->here_at = &slice->here_next;
		model->here = slice;
	} else {
		*slice->here_at = slice->here_next;
		if (slice->here_next)
			slice->here_next->here_at = slice->here_at;
	}
}

static void slice_comes(struct model *model, struct stored *slice)
{
	struct group *group = slice->group;
	struct stored **at = &group->slices;

	while (*at && strcmp((*at)->name, slice->name) < 0)
		at = &(*at)->next;
	slice->next = *at;
	*at = slice;
	group->endpoint_count[slice->slice.is_v4] += slice->slice.endpoint_count;
	group->hostname_count += slice->hostname_count;
	group->named_count += slice->named;
	group->addressed_count += slice->addressed;
	note_mine(model, group);
	note_here(model, slice, true);
	model->mine_moved |= is_mine(group);
	touch(model, group);
}

static void slice_goes(struct model *model, struct stored *slice)
{
	struct group *group = slice->group;
	struct stored **at = &group->slices;

	while (*at != slice)
		at = &(*at)->next;
	*at = slice->next;
	model->mine_moved |= is_mine(group);
	group->endpoint_count[slice->slice.is_v4] -= slice->slice.endpoint_count;
	group->hostname_count -= slice->hostname_count;
	group->named_count -= slice->named;
	group->addressed_count -= slice->addressed;
	note_mine(model, group);
	note_here(model, slice, false);
	touch(model, group);
}

void group_exchange(struct model *model, enum kube_kind kind, struct stored *was, struct stored *now)
{
	if (kind == KUBE_SLICE) {
		if (was)
			slice_goes(model, was);
		if (now)
			slice_comes(model, now);
		return;
	}
	(now ? now : was)->group->service = now;
	model->all_touched = model->all_touched || !was || !now || !stored_service_equal(&was->service, &now->service);
}

/* ---- copying: what an object needs beside itself lies behind it ---- */

static void *carve(char **at, size_t n, size_t size)
{
	void *piece = *at;

	*at += n * size;
	return piece;
}

static char *carve_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(carve(at, size, 1), text, size);
}

/* Replaces a text by the shared copy; NULL stays NULL. False where there is no memory, and then it is NULL. */
static bool share(struct model *model, const char **text)
{
	const char *given = *text;

	*text = given ? texts_get(&model->texts, given) : NULL;
	return *text || !given;
}

uint64_t stored_version(const char *uid, const char *version)
{
	uint64_t hash;

	if (!uid || !version || !uid[0] || !version[0])
		return 0;
	hash = hash_text(version, strlen(version), hash_text(uid, strlen(uid), 0));
	return hash ? hash : 1;
}

static bool equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* ---- Services ---- */

static bool copy_service_ports(struct model *model, struct kube_service *copy, const struct kube_service *service)
{
	bool owned = true;

	for (size_t i = 0; i < service->port_count; i++) {
		struct kube_service_port *port = &copy->ports[i];

		*port = service->ports[i];
		owned = share(model, &port->name) && owned;
		owned = share(model, &port->app_protocol) && owned;
	}
	return owned;
}

struct stored *stored_new_service(struct model *model, const struct kube_service *service)
{
	size_t size = sizeof(struct stored) + service->port_count * sizeof(*service->ports) +
		      service->cluster_ip_count * sizeof(*service->cluster_ips);
	struct stored *stored = calloc(1, size);
	struct kube_service *copy;
	char *at;
	bool owned;

	if (!stored)
		return NULL;
	copy = &stored->service;
	at = (char *)(stored + 1);
	*copy = *service;
	copy->ports = carve(&at, service->port_count, sizeof(*copy->ports));
	copy->cluster_ips = carve(&at, service->cluster_ip_count, sizeof(*copy->cluster_ips));
	for (size_t i = 0; i < service->cluster_ip_count; i++)
		copy->cluster_ips[i] = service->cluster_ips[i];
	owned = copy_service_ports(model, copy, service);
	owned = share(model, &copy->type) && owned;
	copy->uid = copy->version = NULL;
	stored->group = group_get(model, service->namespace, service->name);
	if (!owned || !stored->group) {
		stored_free(model, stored, KUBE_SERVICE);
		return NULL;
	}
	stored->key = stored->group->key;
	stored->key_len = stored->group->key_len;
	stored->namespace = copy->namespace = stored->group->namespace;
	stored->name = copy->name = stored->group->name;
	return stored;
}

static void service_done(struct model *model, struct kube_service *service)
{
	for (size_t i = 0; i < service->port_count; i++) {
		texts_put(&model->texts, service->ports[i].name);
		texts_put(&model->texts, service->ports[i].app_protocol);
	}
	texts_put(&model->texts, service->type);
}

/* Shared texts are equal where their pointers are. */
bool stored_service_equal(const struct kube_service *a, const struct kube_service *b)
{
	if (a->type != b->type || a->cluster_ip_count != b->cluster_ip_count || a->headless != b->headless ||
	    a->other_proxy != b->other_proxy || a->local != b->local || a->affinity_s != b->affinity_s ||
	    a->port_count != b->port_count || memcmp(&a->annotations, &b->annotations, sizeof(a->annotations)) != 0)
		return false;
	for (size_t i = 0; i < a->cluster_ip_count; i++)
		if (!addr_equal(&a->cluster_ips[i], &b->cluster_ips[i]))
			return false;
	for (size_t i = 0; i < a->port_count; i++)
		if (a->ports[i].name != b->ports[i].name || a->ports[i].app_protocol != b->ports[i].app_protocol ||
		    a->ports[i].port != b->ports[i].port || a->ports[i].protocol != b->ports[i].protocol)
			return false;
	return true;
}

/* ---- slices ---- */

/* Most hints are for the endpoint's own zone or node: they need no room. */
static bool is_own(const char *const *names, size_t n, const char *own)
{
	return n == 1 && equal(names[0], own);
}

static size_t hints_size(const struct kube_endpoint *endpoint)
{
	return sizeof(char *) *
	       ((is_own(endpoint->hint_zones, endpoint->hint_zone_count, endpoint->zone) ? 0 : endpoint->hint_zone_count) +
		(is_own(endpoint->hint_nodes, endpoint->hint_node_count, endpoint->node) ? 0 : endpoint->hint_node_count));
}

/* Who a target is counts only among peers, and those are of one namespace. */
static bool keeps_targets(const struct model *model, const struct kube_slice *slice)
{
	return equal(slice->namespace, model->namespace);
}

static size_t slice_size(const struct model *model, const struct kube_slice *slice)
{
	size_t size = sizeof(struct stored) + slice->endpoint_count * sizeof(*slice->endpoints) +
		      slice->port_count * sizeof(*slice->ports) + strlen(slice->namespace) + strlen(slice->name) + 2;

	for (size_t i = 0; i < slice->endpoint_count; i++) {
		const char *target = slice->endpoints[i].target;

		size += hints_size(&slice->endpoints[i]);
		if (target && keeps_targets(model, slice))
			size += strlen(target) + 1;
	}
	return size;
}

/* `own` is where the copy's zone or node is. */
static bool copy_hints(struct model *model, char **at, const char *const **hints, size_t n, bool are_own,
		       const char *const *own)
{
	const char *const *given = *hints;
	const char **copy;
	bool owned = true;

	if (are_own) {
		*hints = own;
		return true;
	}
	copy = carve(at, n, sizeof(*copy));
	for (size_t i = 0; i < n; i++) {
		copy[i] = given[i];
		owned = share(model, &copy[i]) && owned;
	}
	*hints = copy;
	return owned;
}

static bool copy_endpoint(struct model *model, char **at, struct kube_endpoint *copy)
{
	bool zones_are_own = is_own(copy->hint_zones, copy->hint_zone_count, copy->zone);
	bool nodes_are_own = is_own(copy->hint_nodes, copy->hint_node_count, copy->node);
	bool owned = share(model, &copy->node);

	owned = share(model, &copy->zone) && owned;
	owned = copy_hints(model, at, &copy->hint_zones, copy->hint_zone_count, zones_are_own, &copy->zone) && owned;
	owned = copy_hints(model, at, &copy->hint_nodes, copy->hint_node_count, nodes_are_own, &copy->node) && owned;
	copy->hostname = NULL;
	return owned;
}

/* What of this endpoint counts for its slice as a whole. */
static void note_endpoint(const struct model *model, struct stored *stored, const struct kube_endpoint *endpoint)
{
	const struct kube_slice *slice = &stored->slice;

	stored->hostname_count += endpoint->hostname && endpoint->hostname[0];
	if (keeps_targets(model, slice)) {
		stored->named = stored->named || equal(endpoint->target, model->pod);
		stored->addressed = stored->addressed || place_is_mine(model, &endpoint->addr);
	}
}

static bool copy_slice(struct model *model, struct stored *stored, const struct kube_slice *slice)
{
	struct kube_slice *copy = &stored->slice;
	char *at = (char *)(stored + 1);
	bool owned = true;

	*copy = *slice;
	copy->endpoints = carve(&at, slice->endpoint_count, sizeof(*copy->endpoints));
	copy->ports = carve(&at, slice->port_count, sizeof(*copy->ports));
	for (size_t i = 0; i < slice->port_count; i++) {
		copy->ports[i] = slice->ports[i];
		owned = share(model, &copy->ports[i].name) && owned;
	}
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		note_endpoint(model, stored, &slice->endpoints[i]);
		copy->endpoints[i] = slice->endpoints[i];
		owned = copy_endpoint(model, &at, &copy->endpoints[i]) && owned;
	}
	stored->key = at;
	copy->namespace = carve_text(&at, slice->namespace);
	copy->name = carve_text(&at, slice->name);
	stored->key_len = (size_t)(at - stored->key) - 1;
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		const char *target = slice->endpoints[i].target;

		copy->endpoints[i].target = target && keeps_targets(model, slice) ? carve_text(&at, target) : NULL;
	}
	return owned;
}

/* Asked for no permission to read nodes: an endpoint on the same node tells its zone. */
static const char *zone_here(const struct model *model, const struct kube_slice *slice)
{
	for (size_t i = 0; model->node && i < slice->endpoint_count; i++)
		if (slice->endpoints[i].node == model->node && slice->endpoints[i].zone)
			return slice->endpoints[i].zone;
	return NULL;
}

struct stored *stored_new_slice(struct model *model, const struct kube_slice *slice)
{
	struct stored *stored = calloc(1, slice_size(model, slice));
	bool owned;

	if (!stored)
		return NULL;
	owned = copy_slice(model, stored, slice);
	stored->namespace = stored->slice.namespace;
	stored->name = stored->slice.name;
	stored->slice.uid = stored->slice.version = NULL;
	stored->group = group_get(model, slice->namespace, slice->service);
	if (!owned || !stored->group) {
		stored_free(model, stored, KUBE_SLICE);
		return NULL;
	}
	stored->slice.service = stored->group->name;
	stored->zone_here = zone_here(model, &stored->slice);
	return stored;
}

static void hints_done(struct model *model, const char *const *hints, size_t n, const char *const *own)
{
	for (size_t i = 0; hints != own && i < n; i++)
		texts_put(&model->texts, hints[i]);
}

static void slice_done(struct model *model, struct kube_slice *slice)
{
	for (size_t i = 0; i < slice->port_count; i++)
		texts_put(&model->texts, slice->ports[i].name);
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		const struct kube_endpoint *endpoint = &slice->endpoints[i];

		hints_done(model, endpoint->hint_zones, endpoint->hint_zone_count, &endpoint->zone);
		hints_done(model, endpoint->hint_nodes, endpoint->hint_node_count, &endpoint->node);
		texts_put(&model->texts, endpoint->node);
		texts_put(&model->texts, endpoint->zone);
	}
}

/* ---- freeing ---- */

void stored_free(struct model *model, struct stored *stored, enum kube_kind kind)
{
	if (kind == KUBE_SERVICE)
		service_done(model, &stored->service);
	else
		slice_done(model, &stored->slice);
	if (stored->group)
		group_put(model, stored->group);
	free(stored);
}
