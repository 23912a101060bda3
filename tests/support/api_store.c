/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every version of every object is kept until the server goes: what was true at a version is then a question of who
 * was born before it and had not ended, and pages, stale caches and watches from anywhere are all the same to it.
 */
#include "support/testing.h"

#include "support/api_state.h"
#include "support/cleanup.h"
#include "support/kube_texts.h"
#include "support/process.h"
#include "support/services.h"

const struct api_kind api_kinds[KUBE_KINDS] = {
	[KUBE_SERVICE] = { "services", "", "Service", "v1" },
	[KUBE_SLICE] = { "endpointslices", "discovery.k8s.io", "EndpointSlice", "discovery.k8s.io/v1" },
};

static void insert(struct api_rows *rows, size_t at, struct api_object *o)
{
	if (rows->count == rows->room) {
		rows->room = rows->room ? rows->room * 2 : 64;
		rows->at = realloc(rows->at, rows->room * sizeof(*rows->at));
		if (!rows->at)
			abort();
	}
	memmove(rows->at + at + 1, rows->at + at, (rows->count - at) * sizeof(*rows->at));
	rows->at[at] = o;
	rows->count++;
}

static int compare_names(const struct api_object *o, const char *namespace, const char *name)
{
	int order = strcmp(o->namespace, namespace);

	return order ? order : strcmp(o->name, name);
}

/* Behind all of that name. */
static size_t place_of(const struct api_rows *rows, const char *namespace, const char *name)
{
	size_t from = 0, to = rows->count;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (compare_names(rows->at[middle], namespace, name) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

bool store_lives(const struct api_object *o, uint64_t version)
{
	return o->born <= version && (!o->ended || o->ended > version);
}

struct api_object *store_find(struct api_store *store, enum kube_kind kind, const char *namespace, const char *name)
{
	struct api_rows *rows = &store->rows[kind];
	size_t place = place_of(rows, namespace, name);
	struct api_object *last = place ? rows->at[place - 1] : NULL;

	return last && compare_names(last, namespace, name) == 0 && !last->ended ? last : NULL;
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void set_text_unless_there(json_t *object, const char *key, const char *text)
{
	if (!*text_of(object, key))
		json_object_set_new(object, key, json_string(text));
}

/* Stamps the next version into the object, and keeps it as what is there from now on. Takes the object over. */
static void record(struct api_server *s, enum kube_kind kind, const char *type, json_t *json, struct api_object *before)
{
	json_t *metadata = json_object_get(json, "metadata");
	struct api_object *o = calloc(1, sizeof(*o));
	struct text version = { 0 };

	o->kind = kind;
	o->type = type;
	o->born = ++s->store.version;
	o->before = before;
	version_print(s, o->born, &version);
	json_object_set_new(metadata, "resourceVersion", json_string(version.bytes));
	text_done(&version);
	o->namespace = strdup(text_of(metadata, "namespace"));
	o->name = strdup(text_of(metadata, "name"));
	o->json = json;
	o->text = json_dumps(json, JSON_COMPACT);
	if (before)
		before->ended = o->born;
	if (strcmp(type, "DELETED"))
		insert(&s->store.rows[kind], place_of(&s->store.rows[kind], o->namespace, o->name), o);
	insert(&s->store.history, s->store.history.count, o);
	wake_all(s);
	api_changed(s);
}

/* As in a list: what kind it is stands beside it. */
static json_t *object_in_order(json_t *json)
{
	json_t *copy = json_object(), *metadata = json_object_get(json, "metadata");

	assert_true(json_is_object(metadata) && *text_of(metadata, "name"));
	json_object_set(copy, "metadata", metadata);
	json_object_update(copy, json);
	json_object_del(copy, "kind");
	json_object_del(copy, "apiVersion");
	return copy;
}

static void put(struct api_server *s, enum kube_kind kind, json_t *json)
{
	json_t *object = object_in_order(json), *metadata = json_object_get(object, "metadata");
	struct api_object *before;
	char uid[64];

	api_lock(s);
	set_text_unless_there(metadata, "namespace", "shop");
	before = store_find(&s->store, kind, text_of(metadata, "namespace"), text_of(metadata, "name"));
	snprintf(uid, sizeof(uid), "%08x-0000-4000-8000-%012llx", (unsigned)kind,
		 (unsigned long long)s->store.version + 1);
	set_text_unless_there(metadata, "uid",
			      before ? text_of(json_object_get(before->json, "metadata"), "uid") : uid);
	record(s, kind, before ? "MODIFIED" : "ADDED", object, before);
	api_unlock(s);
}

void api_put_json(struct api_server *s, enum kube_kind kind, const char *text)
{
	json_t *json = json_quoted(text);

	put(s, kind, json);
	json_decref(json);
}

void api_put_recording(struct api_server *s, enum kube_kind kind, const char *name)
{
	char *path = format("tests/data/kubernetes/%s", name);
	json_error_t error;
	json_t *list = json_load_file(repository(path), 0, &error), *item;
	size_t i;

	if (!list)
		fail_msg("%s: %s", path, error.text);
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		json_t *copy = json_deep_copy(item);

		put(s, kind, copy);
		json_decref(copy);
	}
	json_decref(list);
}

void api_delete(struct api_server *s, enum kube_kind kind, const char *name)
{
	const char *dot = strchr(name, '.'), *namespace = dot ? dot + 1 : "shop";
	char *bare = format("%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
	struct api_object *before;

	api_lock(s);
	before = store_find(&s->store, kind, namespace, bare);
	if (before)
		record(s, kind, "DELETED", json_deep_copy(before->json), before);
	api_unlock(s);
	if (!before)
		fail_msg("no %s %s to delete", api_kinds[kind].kind, name);
}

void api_compact(struct api_server *s)
{
	api_lock(s);
	s->store.compacted = ++s->store.version;
	api_unlock(s);
}

void api_freeze_cache(struct api_server *s, bool frozen)
{
	api_lock(s);
	s->store.frozen = frozen ? s->store.version : 0;
	api_unlock(s);
}

const char *api_version(struct api_server *s)
{
	struct text version = { 0 };

	api_lock(s);
	version_print(s, s->store.version, &version);
	api_unlock(s);
	after_test(free, version.bytes);
	return version.bytes;
}

void store_done(struct api_store *store)
{
	for (size_t i = 0; i < store->history.count; i++) {
		struct api_object *o = store->history.at[i];

		free(o->namespace);
		free(o->name);
		free(o->text);
		json_decref(o->json);
		free(o);
	}
	free(store->history.at);
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		free(store->rows[kind].at);
}
