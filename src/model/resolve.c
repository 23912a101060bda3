/* SPDX-License-Identifier: Apache-2.0 */
/* From what sources said to what shims may dial: joins Services with their slices, files with the API. */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/policy.h"
#include "model/resolve.h"

/* ---- order ---- */

int resolve_compare(const char *namespace_a, const char *name_a, const char *namespace_b, const char *name_b)
{
	int order = strcmp(namespace_a, namespace_b);

	return order ? order : strcmp(name_a, name_b);
}

static int by_name(const void *a, const void *b)
{
	const struct stored *x = *(const struct stored *const *)a, *y = *(const struct stored *const *)b;

	return resolve_compare(x->namespace, x->name, y->namespace, y->name);
}

static int file_by_name(const void *a, const void *b)
{
	const struct file_service *x = *(const struct file_service *const *)a;
	const struct file_service *y = *(const struct file_service *const *)b;

	return resolve_compare(x->namespace, x->name, y->namespace, y->name);
}

static int all_services(struct resolver *r)
{
	const struct index *objects = &r->model->objects[KUBE_SERVICE];

	r->services = arena_alloc(&r->scratch, objects->count, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	for (size_t i = 0; i < objects->size; i++)
		if (objects->slots[i].key)
			r->services[r->service_count++] = objects->slots[i].value;
	return 0;
}

/* Those that are touched, but for those whose place a file takes. */
static int touched_services(struct resolver *r)
{
	size_t n = 0;

	for (const struct group *group = r->model->touched; group; group = group->touched_next)
		n++;
	r->services = arena_alloc(&r->scratch, n, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	for (const struct group *group = r->model->touched; group; group = group->touched_next)
		if (group->service && !index_get(&r->model->file_names, group->key, group->key_len))
			r->services[r->service_count++] = group->service;
	return 0;
}

static int all_files(struct resolver *r)
{
	const struct file_services *file = &r->model->file;

	r->files = arena_alloc(&r->scratch, file->count, sizeof(*r->files));
	if (!r->files)
		return -ENOMEM;
	for (size_t i = 0; i < file->count; i++)
		r->files[i] = &file->services[i];
	qsort(r->files, file->count, sizeof(*r->files), file_by_name);
	r->file_count = file->count;
	return 0;
}

/* ---- policy ---- */

static bool decides(const struct model *model, const struct table_policy *policy, const struct policy_key *key)
{
	switch (policy_origin_of(policy, key)) {
	case ORIGIN_DEFAULT:
		return false;
	case ORIGIN_ANNOTATION:
		return !key->moves || model->file.accept_moves;
	case ORIGIN_MISREAD: /* but a mode is off then */
		return key->form == FORM_MODE || policy_origin_of(&model->defaults, key) == ORIGIN_DEFAULT;
	default:
		return true;
	}
}

/* Who set it is to see why nothing moves. What the file says is no news to him, nor one that moves nothing. */
static bool is_refused(const struct model *model, const struct table_policy *annotations, const struct table_policy *policy,
		       const struct policy_key *key)
{
	char asked[POLICY_TEXT], has[POLICY_TEXT];

	return key->moves && !model->file.accept_moves && annotations &&
	       policy_origin_of(annotations, key) == ORIGIN_ANNOTATION && policy_origin_of(policy, key) == ORIGIN_DEFAULT &&
	       strcmp(policy_print(annotations, key, asked), policy_print(policy, key, has)) != 0;
}

struct table_policy resolve_policy(const struct model *model, const struct table_policy *annotations,
				   const struct table_policy *entry)
{
	struct table_policy policy = model->defaults;

	for (size_t i = 0; i < policy_key_count; i++) {
		if (annotations && decides(model, annotations, &policy_keys[i]))
			policy_take(&policy, annotations, &policy_keys[i]);
		if (entry && decides(model, entry, &policy_keys[i]))
			policy_take(&policy, entry, &policy_keys[i]);
		if (is_refused(model, annotations, &policy, &policy_keys[i]))
			policy_refuse(&policy, &policy_keys[i]);
	}
	return policy;
}

/* ---- endpoints of a port ---- */

struct candidate *resolve_candidate(struct resolver *r)
{
	if (r->candidate_count == r->candidate_room) {
		size_t room = r->candidate_room ? r->candidate_room * 2 : 256;
		struct candidate *larger = arena_alloc(&r->scratch, room, sizeof(*larger));

		if (!larger)
			return NULL;
		if (r->candidate_count)
			memcpy(larger, r->candidates, r->candidate_count * sizeof(*larger));
		r->candidates = larger;
		r->candidate_room = room;
	}
	return &r->candidates[r->candidate_count++];
}

int resolve_port(struct resolver *r, const struct place *place, struct spec_port *port)
{
	size_t n;

	for (size_t i = 0; i < r->candidate_count; i++)
		r->candidates[i].seen = i;
	n = endpoints_dedupe(r->candidates, r->candidate_count);
	endpoints_mark(r->candidates, n, place);
	r->candidate_count = 0;
	port->endpoints = arena_alloc(r->out, n, sizeof(*port->endpoints));
	if (!port->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		port->endpoints[i] = r->candidates[i].endpoint;
	port->endpoint_count = n;
	return 0;
}

/* ---- a service of a file ---- */

static int add_file_endpoints(struct resolver *r, const struct file_service *service, size_t port)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct file_endpoint *endpoint = &service->endpoints[i];
		uint16_t number = endpoint->port_numbers ? endpoint->port_numbers[port] : addr_port(&endpoint->addr);
		struct candidate *candidate;

		if (number == 0)
			continue;
		candidate = resolve_candidate(r);
		if (!candidate)
			return -ENOMEM;
		candidate_from_file(candidate, endpoint, number);
	}
	return 0;
}

static int file_ports(struct resolver *r, const struct file_service *service, struct spec_service *ret)
{
	const struct place anywhere = { NULL, NULL, false, false };

	ret->ports = arena_alloc(r->out, service->port_count, sizeof(*ret->ports));
	if (!ret->ports)
		return -ENOMEM;
	for (; ret->port_count < service->port_count; ret->port_count++) {
		const struct file_port *from = &service->ports[ret->port_count];
		struct spec_port *port = &ret->ports[ret->port_count];

		port->name = from->name;
		port->port = from->port;
		port->protocol = from->protocol;
		if (add_file_endpoints(r, service, ret->port_count) < 0 || resolve_port(r, &anywhere, port) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* `replaced` is the Service of the API that has the same name, or NULL. */
static int resolve_file(struct resolver *r, const struct file_service *service, const struct stored *replaced)
{
	struct spec_service *ret = &r->model->spec.services[r->model->spec.service_count];
	struct spec_address *addresses = arena_alloc(r->out, service->address_count, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < service->address_count; i++)
		addresses[i] = (struct spec_address){ service->addresses[i], ADDRESS_CLUSTER };
	ret->name = service->name;
	ret->namespace = service->namespace;
	ret->addresses = addresses;
	ret->address_count = service->address_count;
	ret->flags = SERVICE_BARE_NAME | (service->address_count ? SERVICE_OWN_ADDRESS : 0);
	ret->policy =
		resolve_policy(r->model, replaced ? &replaced->service.annotations : NULL, &service->policy);
	r->wanted[r->model->spec.service_count++] = service->address_count ? 0 : WANT_ANY;
	return file_ports(r, service, ret);
}

/* ---- all of them ---- */

/* Walks both in order of names. */
static int resolve_services(struct resolver *r)
{
	size_t i = 0, j = 0;
	int err = 0;

	while (err == 0 && (i < r->file_count || j < r->service_count)) {
		const struct file_service *file = i < r->file_count ? r->files[i] : NULL;
		const struct stored *kube = j < r->service_count ? r->services[j] : NULL;
		int order = !file   ? 1
			    : !kube ? -1
				    : resolve_compare(file->namespace, file->name, kube->namespace, kube->name);

		if (order <= 0)
			err = resolve_file(r, file, order == 0 ? kube : NULL);
		else
			err = resolve_kube(r, kube);
		i += order <= 0;
		j += order >= 0;
	}
	return err;
}

static void begin(struct resolver *r)
{
	struct model *model = r->model;

	arena_free(&model->spec_arena);
	model->spec = (struct spec){
		.source = "",
		.mode = model->file.has_mode ? model->file.mode : MODE_ON,
		.mesh_port = model->mesh_port,
	};
}

/* Room for all that are to be resolved, in order. */
static int prepare(struct resolver *r)
{
	struct spec *spec = &r->model->spec;
	size_t room = r->service_count + r->file_count;

	if (r->service_count > 1)
		qsort(r->services, r->service_count, sizeof(*r->services), by_name);
	spec->services = arena_alloc(r->out, room, sizeof(*spec->services));
	r->wanted = arena_alloc(&r->scratch, room, sizeof(*r->wanted));
	return spec->services && r->wanted ? 0 : -ENOMEM;
}

static int find_place(struct resolver *r, struct rank *ret_rank)
{
	r->zone = place_zone(r->model);
	return place_rank(r->model, ret_rank);
}

/* What follows holds from now on; what was touched before is in the spec. */
static void settle(struct resolver *r, struct rank rank)
{
	struct model *model = r->model;
	const char *zone = texts_hold(r->zone);

	texts_put(&model->texts, model->resolved_zone);
	model->resolved_zone = zone;
	model->resolved_rank = rank;
	model->spec.client_rank = rank.rank;
	model->spec.client_peers = rank.peers;
	groups_settle(model);
}

/* On failure nothing of the last spec is left, so that all must be resolved again. */
static int finish(struct resolver *r, int err, struct rank rank, struct spec **ret_spec, struct report *report_)
{
	arena_free(&r->scratch);
	if (err == 0) {
		settle(r, rank);
		*ret_spec = &r->model->spec;
		return 0;
	}
	model_release(r->model);
	r->model->all_touched = true;
	return err == -ENOMEM ? report(report_, err, "out of memory") : err;
}

int model_resolve(struct model *model, struct spec **ret_spec, struct report *report_)
{
	struct resolver r = { .model = model, .out = &model->spec_arena };
	struct rank rank = { 0 };
	int err;

	begin(&r);
	err = find_place(&r, &rank);
	if (err == 0)
		err = all_services(&r);
	if (err == 0)
		err = all_files(&r);
	if (err == 0)
		err = prepare(&r);
	if (err == 0)
		err = resolve_services(&r);
	if (err == 0)
		err = resolve_addresses(&r, report_);
	return finish(&r, err, rank, ret_spec, report_);
}

/* Shared texts are equal where their pointers are. */
static bool has_moved(const struct resolver *r, struct rank rank)
{
	const struct rank *was = &r->model->resolved_rank;

	return r->zone != r->model->resolved_zone || rank.rank != was->rank || rank.peers != was->peers;
}

int model_resolve_changed(struct model *model, struct spec **ret_spec, struct report *report_)
{
	struct resolver r = { .model = model, .out = &model->spec_arena };
	struct rank rank = { 0 };
	int err;

	begin(&r);
	err = model->all_touched ? -ESTALE : find_place(&r, &rank);
	if (err == 0 && has_moved(&r, rank))
		err = -ESTALE;
	if (err == 0)
		err = touched_services(&r);
	if (err == 0)
		err = prepare(&r);
	if (err == 0)
		err = resolve_services(&r);
	if (err == 0 && resolve_concerns_allocated(&r))
		err = -ESTALE;
	return finish(&r, err, rank, ret_spec, report_);
}

void model_release(struct model *model)
{
	arena_free(&model->spec_arena);
	model->spec = (struct spec){ .source = "" };
}
