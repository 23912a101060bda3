/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of Kubernetes come and go, one by one or a list at a time; each origin takes back only what it said itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/label.h"
#include "model/state.h"

/* ---- chains: one object, as several origins said it ---- */

static struct stored *said_by(struct stored *chain, uint32_t origin)
{
	while (chain && chain->origin != origin)
		chain = chain->older;
	return chain;
}

/* Takes it out of the chain and returns it; NULL where there is none. */
static struct stored *take_out(struct stored **chain, uint32_t origin)
{
	struct stored *found;

	while (*chain && (*chain)->origin != origin)
		chain = &(*chain)->older;
	found = *chain;
	if (found)
		*chain = found->older;
	return found;
}

/* Takes over `stored`: it counts now. There is room in the index. */
static void put(struct model *model, enum kube_kind kind, struct stored *stored)
{
	struct index *objects = &model->objects[kind];
	struct stored *was = index_get(objects, stored->key, stored->key_len), *rest = was;
	struct stored *replaced = take_out(&rest, stored->origin);

	stored->older = rest;
	index_put(objects, stored->key, stored->key_len, stored);
	group_exchange(model, kind, was, stored);
	if (replaced)
		stored_free(model, replaced, kind);
}

static void drop(struct model *model, enum kube_kind kind, uint32_t origin, const char *key, size_t key_len)
{
	struct index *objects = &model->objects[kind];
	struct stored *was = index_get(objects, key, key_len), *rest = was;
	struct stored *dropped = take_out(&rest, origin);

	if (!dropped)
		return;
	if (rest)
		index_put(objects, rest->key, rest->key_len, rest);
	else
		index_remove(objects, key, key_len);
	if (rest != was)
		group_exchange(model, kind, was, rest);
	stored_free(model, dropped, kind);
}

/* ---- what is handed in ---- */

struct object {
	enum kube_kind kind;
	const struct kube_service *service; /* by kind; the other is NULL */
	const struct kube_slice *slice;
	uint64_t version;
	bool counts; /* a slice without a Service does not */
	char key[OBJECT_KEY];
	size_t key_len;
};

/* As any API server has it. The table is asked without regard to case, so two names that differ in that alone would be one. */
static bool name_fits(const char *name)
{
	return label_is_valid(slice_of(name));
}

static int set_key(struct object *object, const char *namespace, const char *name)
{
	int len = object_key(object->key, namespace, name);

	if (len < 0)
		return len;
	object->key_len = (size_t)len;
	return 0;
}

static int from_service(uint32_t origin, const struct kube_service *service, struct object *ret)
{
	*ret = (struct object){ .kind = KUBE_SERVICE, .service = service, .counts = true };
	if (!name_fits(service->namespace) || !name_fits(service->name))
		return -EINVAL;
	ret->version = origin ? stored_version(service->uid, service->version) : 0;
	return set_key(ret, service->namespace, service->name);
}

/*
 * A slice belongs to the Service that its label names (never to one that its own name or its owner suggests). One
 * whose label changes leaves the Service it was with, because there is one slice of a name in a namespace. Names of
 * slices are subdomains of up to 253 bytes; those of Services and namespaces fit the table.
 */
static int from_slice(uint32_t origin, const struct kube_slice *slice, struct object *ret)
{
	*ret = (struct object){ .kind = KUBE_SLICE, .slice = slice, .counts = name_fits(slice->service) };
	if (!name_fits(slice->namespace) || !slice->name || !slice->name[0])
		return -EINVAL;
	ret->version = origin ? stored_version(slice->uid, slice->version) : 0;
	return set_key(ret, slice->namespace, slice->name);
}

static struct stored *stored_new(struct model *model, uint32_t origin, const struct object *object)
{
	struct stored *stored = object->kind == KUBE_SERVICE ? stored_new_service(model, object->service) :
							       stored_new_slice(model, object->slice);

	if (stored) {
		stored->origin = origin;
		stored->version = object->version;
	}
	return stored;
}

/* What the origin has said of it already, in this very version; else NULL. */
static struct stored *known(const struct model *model, uint32_t origin, const struct object *object)
{
	struct stored *stored = said_by(index_get(&model->objects[object->kind], object->key, object->key_len), origin);

	return stored && object->version && stored->version == object->version ? stored : NULL;
}

/* ---- one by one ---- */

static int set(struct model *model, uint32_t origin, const struct object *object)
{
	struct stored *stored;

	if (!object->counts) {
		drop(model, object->kind, origin, object->key, object->key_len);
		return 0;
	}
	if (known(model, origin, object))
		return 0;
	stored = stored_new(model, origin, object);
	if (!stored)
		return -ENOMEM;
	if (index_reserve(&model->objects[object->kind], 1) < 0) {
		stored_free(model, stored, object->kind);
		return -ENOMEM;
	}
	put(model, object->kind, stored);
	return 0;
}

int model_set_service(struct model *model, uint32_t origin, const struct kube_service *service)
{
	struct object object;
	int err = from_service(origin, service, &object);

	return err < 0 ? err : set(model, origin, &object);
}

int model_set_slice(struct model *model, uint32_t origin, const struct kube_slice *slice)
{
	struct object object;
	int err = from_slice(origin, slice, &object);

	return err < 0 ? err : set(model, origin, &object);
}

static void delete_named(struct model *model, enum kube_kind kind, uint32_t origin, const char *namespace, const char *name)
{
	char key[OBJECT_KEY];
	int len = object_key(key, namespace, name);

	if (len >= 0)
		drop(model, kind, origin, key, (size_t)len);
}

void model_delete_service(struct model *model, uint32_t origin, const char *namespace, const char *name)
{
	delete_named(model, KUBE_SERVICE, origin, namespace, name);
}

void model_delete_slice(struct model *model, uint32_t origin, const char *namespace, const char *name)
{
	delete_named(model, KUBE_SLICE, origin, namespace, name);
}

/* ---- a list at a time ---- */

/*
 * Objects that the model lacks, or has in another version, wait in `staged`; those that it has are marked with the
 * list's number. A mark of a list that was given up says nothing to another, because no two have one number.
 */
struct model_list {
	struct model *model;
	enum kube_kind kind;
	uint32_t origin;
	uint32_t number;
	struct index staged; /* struct stored by key */
};

struct model_list *model_list_begin(struct model *model, enum kube_kind kind, uint32_t origin)
{
	struct model_list *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	if (++model->list == 0)
		++model->list; /* what was never marked has 0 */
	list->model = model;
	list->kind = kind;
	list->origin = origin;
	list->number = model->list;
	return list;
}

enum kube_kind model_list_kind(const struct model_list *list)
{
	return list->kind;
}

const struct model *model_list_model(const struct model_list *list)
{
	return list->model;
}

/* One object may come twice, where pages of a list overlap: the last word counts. */
static void unstage(struct model_list *list, const struct object *object)
{
	struct stored *stored = index_remove(&list->staged, object->key, object->key_len);

	if (stored)
		stored_free(list->model, stored, list->kind);
}

static int add(struct model_list *list, const struct object *object)
{
	struct stored *stored = known(list->model, list->origin, object);

	if (stored || !object->counts) {
		unstage(list, object);
		if (stored)
			stored->seen_in = list->number;
		return 0;
	}
	stored = stored_new(list->model, list->origin, object);
	if (!stored)
		return -ENOMEM;
	unstage(list, object);
	if (index_put(&list->staged, stored->key, stored->key_len, stored) == 0)
		return 0;
	stored_free(list->model, stored, list->kind);
	return -ENOMEM;
}

int model_list_add_service(struct model_list *list, const struct kube_service *service)
{
	struct object object;
	int err = from_service(list->origin, service, &object);

	return err < 0 ? err : add(list, &object);
}

int model_list_add_slice(struct model_list *list, const struct kube_slice *slice)
{
	struct object object;
	int err = from_slice(list->origin, slice, &object);

	return err < 0 ? err : add(list, &object);
}

/* Whether the origin had it and the list does not. */
static bool is_left_out(const struct model_list *list, const struct stored *stored)
{
	return stored && stored->seen_in != list->number && !index_get(&list->staged, stored->key, stored->key_len);
}

static void drop_left_out(struct model_list *list)
{
	struct index *objects = &list->model->objects[list->kind];

	for (size_t i = 0; i < objects->size;) {
		struct stored *stored =
			objects->slots[i].key ? said_by(objects->slots[i].value, list->origin) : NULL;

		if (!is_left_out(list, stored)) {
			i++;
			continue;
		}
		drop(list->model, list->kind, list->origin, stored->key, stored->key_len); /* another may take its slot */
	}
}

int model_list_commit(struct model_list *list)
{
	/* With room made beforehand, nothing can fail half-way. */
	if (index_reserve(&list->model->objects[list->kind], list->staged.count) < 0) {
		model_list_abort(list);
		return -ENOMEM;
	}
	drop_left_out(list);
	for (size_t i = 0; i < list->staged.size; i++)
		if (list->staged.slots[i].key)
			put(list->model, list->kind, list->staged.slots[i].value);
	index_free(&list->staged);
	free(list);
	return 0;
}

void model_list_abort(struct model_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->staged.size; i++)
		if (list->staged.slots[i].key)
			stored_free(list->model, list->staged.slots[i].value, list->kind);
	index_free(&list->staged);
	free(list);
}
