/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is made of; services given by hand. Objects of Kubernetes: objects.c. */
#include "model/model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/policy.h"
#include "model/state.h"

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

/* What objects are compared with is a shared text, as theirs are. */
static bool own_options(struct model *model, const struct model_options *options)
{
	struct arena *arena = &model->arena;

	model->namespace = options->namespace;
	model->pod = options->pod;
	model->addresses = options->addresses;
	model->address_count = options->address_count;
	model->node = options->node ? texts_get(&model->texts, options->node) : NULL;
	model->zone = options->zone ? texts_get(&model->texts, options->zone) : NULL;
	return (model->node || !options->node) && (model->zone || !options->zone) && own_text(arena, &model->namespace) &&
	       own_text(arena, &model->pod) && OWN(arena, model->addresses, model->address_count);
}

/* Of a key that the file's "defaults" leave out the options decide. */
static void settle_defaults(struct model *model)
{
	model->defaults = model->file.defaults;
	for (size_t i = 0; i < policy_key_count; i++)
		if (policy_origin_of(&model->defaults, &policy_keys[i]) == ORIGIN_DEFAULT)
			policy_take(&model->defaults, &model->options_policy, &policy_keys[i]);
}

struct model *model_new(const struct model_options *options)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->file.defaults = policy_defaults();
	model->warn = options->warn;
	model->no_loopback = options->no_loopback;
	model->options_policy = options->policy ? *options->policy : model->file.defaults;
	settle_defaults(model);
	model->all_touched = true;
	model->mine_moved = true;
	if (allocator_init(&model->allocator, options->address_range) < 0 || !own_options(model, options)) {
		model_free(model);
		return NULL;
	}
	return model;
}

void model_warn(const struct model *model, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!model->warn)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	model->warn(line);
}

static void free_chain(struct model *model, struct stored *stored, enum kube_kind kind)
{
	while (stored) {
		struct stored *older = stored->older;

		stored_free(model, stored, kind);
		stored = older;
	}
}

static void free_objects(struct model *model)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		for (size_t i = 0; i < model->objects[kind].size; i++)
			if (model->objects[kind].slots[i].key)
				free_chain(model, model->objects[kind].slots[i].value, (enum kube_kind)kind);
		index_free(&model->objects[kind]);
	}
	groups_settle(model);
	index_free(&model->groups);
}

void model_free(struct model *model)
{
	if (!model)
		return;
	free_objects(model);
	texts_put(&model->texts, model->resolved_zone);
	texts_put(&model->texts, model->node);
	texts_put(&model->texts, model->zone);
	texts_done(&model->texts);
	for (size_t i = 0; i < model->synced_namespaces.size; i++)
		free(model->synced_namespaces.slots[i].value);
	index_free(&model->synced_namespaces);
	allocator_done(&model->allocator);
	arena_free(&model->spec_arena);
	index_free(&model->file_names);
	index_free(&model->given);
	arena_free(&model->file_arena);
	arena_free(&model->arena);
	free(model);
}

int model_avoid(struct model *model, const struct addr *network, unsigned prefix_len)
{
	model->all_touched = true;
	return allocator_avoid(&model->allocator, network, prefix_len);
}

void model_touch_all(struct model *model)
{
	model->all_touched = true;
}

bool model_is_touched(const struct model *model)
{
	return model->all_touched || model->touched;
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

struct given given_of(const struct addr *addr, uint16_t port, uint8_t protocol)
{
	struct given given = { .port = port, .protocol = protocol };

	memcpy(given.ip, addr->ip, sizeof(given.ip));
	return given;
}

/* A file's services by name, and by what they are dialed by. */
struct file_indexes {
	struct index names, given;
};

static bool index_name(struct arena *arena, struct index *names, struct file_service *service)
{
	char key[OBJECT_KEY], *copy;
	int len = object_key(key, service->namespace, service->name);

	if (len < 0)
		return true; /* no Service of the API has such a name */
	copy = arena_text(arena, key, (size_t)len);
	return copy && index_put(names, copy, (size_t)len, service) == 0;
}

static bool index_given(struct arena *arena, struct index *given, const struct file_service *service)
{
	for (size_t k = 0; k < service->address_count * service->port_count; k++) {
		const struct file_port *port = &service->ports[k % service->port_count];
		struct given *key = arena_alloc(arena, 1, sizeof(*key));

		if (!key)
			return false;
		*key = given_of(&service->addresses[k / service->port_count], port->port, port->protocol);
		if (index_put(given, key, sizeof(*key), key) < 0)
			return false;
	}
	return true;
}

int model_set_file(struct model *model, const struct file_services *file)
{
	struct file_services copy = *file;
	struct file_indexes indexes = { 0 };
	struct arena arena = { 0 };
	bool owned = OWN(&arena, copy.services, copy.count);

	for (size_t i = 0; owned && i < copy.count; i++)
		owned = own_file_service(&arena, &copy.services[i]) &&
			index_name(&arena, &indexes.names, &copy.services[i]) &&
			index_given(&arena, &indexes.given, &copy.services[i]);
	if (!owned) {
		index_free(&indexes.names);
		index_free(&indexes.given);
		arena_free(&arena);
		return -ENOMEM;
	}
	index_free(&model->file_names);
	index_free(&model->given);
	arena_free(&model->file_arena);
	model->file_arena = arena;
	model->file = copy;
	model->file_names = indexes.names;
	model->given = indexes.given;
	settle_defaults(model);
	model->all_touched = true;
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

/* ---- what counts for all ---- */

void model_set_synced(struct model *model, bool services, bool slices)
{
	if (services)
		model_set_namespace_synced(model, NULL, KUBE_SERVICE);
	if (slices)
		model_set_namespace_synced(model, NULL, KUBE_SLICE);
}

static struct synced_namespace *synced_namespace(struct model *model, const char *namespace)
{
	size_t len = strlen(namespace);
	struct synced_namespace *synced = index_get(&model->synced_namespaces, namespace, len);

	if (synced)
		return synced;
	synced = calloc(1, sizeof(*synced) + len + 1);
	if (!synced)
		return NULL;
	memcpy(synced->namespace, namespace, len);
	if (index_put(&model->synced_namespaces, synced->namespace, len, synced) == 0)
		return synced;
	free(synced);
	return NULL;
}

void model_set_namespace_synced(struct model *model, const char *namespace, enum kube_kind kind)
{
	struct synced_namespace *synced = namespace ? synced_namespace(model, namespace) : NULL;
	bool *flag = !namespace ? &model->synced[kind] : synced ? &synced->kinds[kind] : NULL;

	if (!flag || *flag)
		return;
	*flag = true;
	model->all_touched = true;
}

void model_set_mesh(struct model *model, uint16_t port)
{
	model->all_touched = model->all_touched || port != model->mesh_port;
	model->mesh_port = port;
}
