/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what sources said. Everything handed in is copied; an object lies in one arena and goes with it. */
#include "agent/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/model_state.h"
#include "agent/policy.h"
#include "base/text.h"

/* Replaces a text by its copy; NULL stays NULL. False where there is no memory. */
static bool own_text(struct arena *arena, const char **text)
{
	if (!*text)
		return true;
	*text = arena_text(arena, *text, text_len(*text));
	return *text != NULL;
}

static void *own_array(struct arena *arena, const void *array, size_t n, size_t size)
{
	void *copy = arena_alloc(arena, n, size);

	if (copy && n)
		memcpy(copy, array, n * size);
	return copy;
}

/* Replaces an array by its copy. False where there is no memory. */
#define OWN(arena, array, n) (((array) = own_array(arena, array, n, sizeof(*(array)))) != NULL)

struct model *model_new(const struct model_options *options)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->node = options->node;
	model->zone = options->zone;
	model->file.defaults = policy_defaults();
	if (allocator_init(&model->allocator, options->address_range) < 0 || !own_text(&model->arena, &model->node) ||
	    !own_text(&model->arena, &model->zone)) {
		model_free(model);
		return NULL;
	}
	return model;
}

static void stored_free(struct stored *stored)
{
	struct arena arena = stored->arena; /* it lies in what it frees */

	arena_free(&arena);
}

void model_free(struct model *model)
{
	if (!model)
		return;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		for (size_t i = 0; i < model->objects[kind].size; i++)
			if (model->objects[kind].slots[i].key)
				stored_free(model->objects[kind].slots[i].value);
		index_free(&model->objects[kind]);
	}
	allocator_done(&model->allocator);
	arena_free(&model->spec_arena);
	arena_free(&model->file_arena);
	arena_free(&model->arena);
	free(model);
}

int model_avoid(struct model *model, const struct addr *network, unsigned prefix_len)
{
	return allocator_avoid(&model->allocator, network, prefix_len);
}

/* ---- a services file ---- */

static bool own_file_service(struct arena *arena, struct file_service *service)
{
	if (!own_text(arena, &service->name) || !own_text(arena, &service->namespace) ||
	    !OWN(arena, service->addresses, service->address_count) ||
	    !OWN(arena, service->ports, service->port_count) ||
	    !OWN(arena, service->endpoints, service->endpoint_count))
		return false;
	for (size_t i = 0; i < service->port_count; i++)
		if (!own_text(arena, &service->ports[i].name))
			return false;
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct file_endpoint *endpoint = &service->endpoints[i];

		if (!own_text(arena, &endpoint->zone) ||
		    (endpoint->port_numbers && !OWN(arena, endpoint->port_numbers, service->port_count)))
			return false;
	}
	return true;
}

int model_set_file(struct model *model, const struct file_services *file)
{
	struct file_services copy = *file;
	struct arena arena = { 0 };
	bool owned = OWN(&arena, copy.services, copy.count);

	for (size_t i = 0; owned && i < copy.count; i++)
		owned = own_file_service(&arena, &copy.services[i]);
	if (!owned) {
		arena_free(&arena);
		return -ENOMEM;
	}
	arena_free(&model->file_arena);
	model->file_arena = arena;
	model->file = copy;
	return 0;
}

static bool has_file_service(const struct file_services *file, const struct file_service *service)
{
	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->services[i].name, service->name) == 0 &&
		    strcmp(file->services[i].namespace, service->namespace) == 0)
			return true;
	return false;
}

int model_add_to_file(struct model *model, const struct file_services *more)
{
	struct file_services all = model->file;
	int err;

	for (size_t i = 0; i < more->count; i++)
		if (has_file_service(&model->file, &more->services[i]))
			return -EEXIST;
	all.services = calloc(all.count + more->count + 1, sizeof(*all.services));
	if (!all.services)
		return -ENOMEM;
	for (size_t i = 0; i < model->file.count; i++)
		all.services[i] = model->file.services[i];
	for (size_t i = 0; i < more->count; i++)
		all.services[all.count++] = more->services[i];
	err = model_set_file(model, &all);
	free(all.services);
	return err;
}

/* ---- objects of Kubernetes ---- */

static bool own_service(struct arena *arena, struct kube_service *service)
{
	if (!own_text(arena, &service->namespace) || !own_text(arena, &service->name) ||
	    !own_text(arena, &service->type) || !OWN(arena, service->cluster_ips, service->cluster_ip_count) ||
	    !OWN(arena, service->ports, service->port_count))
		return false;
	for (size_t i = 0; i < service->port_count; i++)
		if (!own_text(arena, &service->ports[i].name) || !own_text(arena, &service->ports[i].app_protocol))
			return false;
	return true;
}

static bool own_names(struct arena *arena, const char *const **names, size_t n)
{
	const char **copy = own_array(arena, *names, n, sizeof(*copy));

	*names = copy;
	for (size_t i = 0; copy && i < n; i++)
		if (!own_text(arena, &copy[i]))
			return false;
	return copy != NULL;
}

static bool own_endpoint(struct arena *arena, struct kube_endpoint *endpoint)
{
	return own_text(arena, &endpoint->node) && own_text(arena, &endpoint->zone) &&
	       own_names(arena, &endpoint->hint_zones, endpoint->hint_zone_count) &&
	       own_names(arena, &endpoint->hint_nodes, endpoint->hint_node_count);
}

static bool own_slice(struct arena *arena, struct kube_slice *slice)
{
	if (!own_text(arena, &slice->namespace) || !own_text(arena, &slice->name) ||
	    !own_text(arena, &slice->service) || !OWN(arena, slice->ports, slice->port_count) ||
	    !OWN(arena, slice->endpoints, slice->endpoint_count))
		return false;
	for (size_t i = 0; i < slice->port_count; i++)
		if (!own_text(arena, &slice->ports[i].name))
			return false;
	for (size_t i = 0; i < slice->endpoint_count; i++)
		if (!own_endpoint(arena, &slice->endpoints[i]))
			return false;
	return true;
}

static bool name_fits(const char *name)
{
	return name && name[0] && text_len(name) < TABLE_NAME_SIZE;
}

/* Names of slices are subdomains of up to 253 bytes; those of Services and namespaces fit the table. */
#define OBJECT_KEY 512

static int object_key(char key[OBJECT_KEY], const char *namespace, const char *name)
{
	struct text text = text_into(key, OBJECT_KEY);

	text_add(&text, namespace);
	text_add_char(&text, '/');
	text_add(&text, name);
	return text.full ? -EINVAL : (int)text.len;
}

static struct stored *stored_new(const char *namespace, const char *name)
{
	char key[OBJECT_KEY];
	int len = object_key(key, namespace, name);
	struct arena arena = { 0 };
	struct stored *stored = arena_alloc(&arena, 1, sizeof(*stored));

	if (!stored)
		return NULL;
	stored->arena = arena;
	stored->key = arena_text(&stored->arena, key, (size_t)len);
	stored->key_len = (size_t)len;
	if (!stored->key) {
		stored_free(stored);
		return NULL;
	}
	return stored;
}

/* Takes over `stored` on success, in place of an older one. */
static int put(struct model *model, enum kube_kind kind, struct stored *stored)
{
	struct stored *older = index_get(&model->objects[kind], stored->key, stored->key_len);

	stored->set_in = model->list;
	if (index_put(&model->objects[kind], stored->key, stored->key_len, stored) < 0)
		return -ENOMEM;
	if (older)
		stored_free(older);
	return 0;
}

static void delete (struct model *model, enum kube_kind kind, const char *namespace, const char *name)
{
	char key[OBJECT_KEY];
	int len = object_key(key, namespace, name);
	struct stored *stored = len < 0 ? NULL : index_remove(&model->objects[kind], key, (size_t)len);

	if (stored)
		stored_free(stored);
}

int model_set_service(struct model *model, const struct kube_service *service)
{
	struct stored *stored;

	if (!name_fits(service->namespace) || !name_fits(service->name))
		return -EINVAL;
	stored = stored_new(service->namespace, service->name);
	if (!stored)
		return -ENOMEM;
	stored->service = *service;
	if (!own_service(&stored->arena, &stored->service))
		goto fail;
	stored->namespace = stored->service.namespace;
	stored->name = stored->service.name;
	if (put(model, KUBE_SERVICE, stored) == 0)
		return 0;
fail:
	stored_free(stored);
	return -ENOMEM;
}

void model_delete_service(struct model *model, const char *namespace, const char *name)
{
	delete (model, KUBE_SERVICE, namespace, name);
}

/*
 * A slice belongs to the Service that its label names (never to one that its own name or its owner suggests). One
 * whose label changes leaves the Service it was with, because there is one slice of a name in a namespace.
 */
int model_set_slice(struct model *model, const struct kube_slice *slice)
{
	struct stored *stored;
	char key[OBJECT_KEY];

	if (!name_fits(slice->namespace) || !slice->name || !slice->name[0] ||
	    object_key(key, slice->namespace, slice->name) < 0)
		return -EINVAL;
	if (!slice->service || !slice->service[0]) {
		model_delete_slice(model, slice->namespace, slice->name);
		return 0;
	}
	stored = stored_new(slice->namespace, slice->name);
	if (!stored)
		return -ENOMEM;
	stored->slice = *slice;
	if (!own_slice(&stored->arena, &stored->slice))
		goto fail;
	stored->namespace = stored->slice.namespace;
	stored->name = stored->slice.name;
	if (put(model, KUBE_SLICE, stored) == 0)
		return 0;
fail:
	stored_free(stored);
	return -ENOMEM;
}

void model_delete_slice(struct model *model, const char *namespace, const char *name)
{
	delete (model, KUBE_SLICE, namespace, name);
}

uint32_t model_list_begin(struct model *model)
{
	return ++model->list;
}

static bool is_left_out(const struct stored *stored, const char *namespace, uint32_t begun)
{
	return (int32_t)(stored->set_in - begun) < 0 && (!namespace || strcmp(stored->namespace, namespace) == 0);
}

void model_list_end(struct model *model, enum kube_kind kind, const char *namespace, uint32_t begun)
{
	struct index *objects = &model->objects[kind];

	for (size_t i = 0; i < objects->size;) {
		struct stored *stored = objects->slots[i].key ? objects->slots[i].value : NULL;

		if (!stored || !is_left_out(stored, namespace, begun)) {
			i++;
			continue;
		}
		index_remove(objects, stored->key, stored->key_len); /* and another may take its slot */
		stored_free(stored);
	}
}

void model_set_synced(struct model *model, bool services, bool slices)
{
	model->synced[KUBE_SERVICE] |= services;
	model->synced[KUBE_SLICE] |= slices;
}
