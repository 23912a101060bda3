/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/kinds.h"

#include <string.h>

/* One row a kind; its group tells it from an operator's own kind of the same name. */
static const struct kind {
	const char *name, *group; /* "": the core's, whose apiVersion is "v1" */
	const char *path[4];      /* of the pod; none: the object is one */
} kinds[] = {
	{ "Pod", "", { NULL } },
	{ "PodTemplate", "", { "template" } },
	{ "ReplicationController", "", { "spec", "template" } },
	{ "Deployment", "apps", { "spec", "template" } },
	{ "ReplicaSet", "apps", { "spec", "template" } },
	{ "StatefulSet", "apps", { "spec", "template" } },
	{ "DaemonSet", "apps", { "spec", "template" } },
	{ "Job", "batch", { "spec", "template" } },
	{ "CronJob", "batch", { "spec", "jobTemplate", "spec", "template" } },
};

const char *kinds_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *kinds_name(const json_t *object)
{
	const char *name = kinds_text(object, "name");

	return name ? name : "";
}

json_t *kinds_spec(const struct workload *workload)
{
	return json_object_get(workload->pod, "spec");
}

/* "apps/v1" is of the group "apps", "v1" of the core's. */
static bool is_of_group(const char *version, const char *group)
{
	const char *slash = strchr(version, '/');
	size_t length = slash ? (size_t)(slash - version) : 0;

	return strlen(group) == length && strncmp(version, group, length) == 0;
}

static const struct kind *find(const char *version, const char *kind, size_t kind_length)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strlen(kinds[i].name) == kind_length && strncmp(kinds[i].name, kind, kind_length) == 0 &&
		    is_of_group(version, kinds[i].group))
			return &kinds[i];
	return NULL;
}

static json_t *pod_of(json_t *object, const struct kind *kind)
{
	for (size_t i = 0; i < sizeof(kind->path) / sizeof(*kind->path) && kind->path[i]; i++)
		object = json_object_get(object, kind->path[i]);
	return json_is_object(object) ? object : NULL;
}

static struct workload workload_of(json_t *object, const struct kind *kind)
{
	json_t *metadata = json_object_get(object, "metadata");
	const char *name = kinds_text(metadata, "name");

	if (!name)
		name = kinds_text(metadata, "generateName");
	return (struct workload){ .object = object,
				  .pod = pod_of(object, kind),
				  .kind = kind->name,
				  .namespace = kinds_text(metadata, "namespace"),
				  .name = name ? name : "(no name)" };
}

struct workload kinds_same(const struct workload *workload, json_t *copy)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, workload->kind) == 0)
			return workload_of(copy, &kinds[i]);
	return *workload;
}

/* "List", and "DeploymentList" for the items of which "Deployment" may be left out. */
static bool is_list(const char *kind, size_t *ret_item_length)
{
	size_t length = strlen(kind);

	if (length < 4 || strcmp(kind + length - 4, "List") != 0)
		return false;
	*ret_item_length = length - 4;
	return true;
}

/* `version` and `kind` are those of the list it is in, for an object that does not say its own. */
static void walk(json_t *object, const char *version, const char *kind, size_t kind_length,
		 void (*visit)(const struct workload *, void *), void *context)
{
	const char *own_version = kinds_text(object, "apiVersion"), *own_kind = kinds_text(object, "kind");
	json_t *items = json_object_get(object, "items");
	const struct kind *row;
	size_t item_length;

	version = own_version ? own_version : version;
	if (own_kind) {
		kind = own_kind;
		kind_length = strlen(own_kind);
	}
	row = find(version, kind, kind_length);
	if (row) {
		struct workload workload = workload_of(object, row);

		visit(&workload, context);
	} else if (own_kind && is_list(own_kind, &item_length) && json_is_array(items)) {
		for (size_t i = 0; i < json_array_size(items); i++)
			walk(json_array_get(items, i), version, own_kind, item_length, visit, context);
	}
}

void kinds_each(json_t *document, void (*visit)(const struct workload *workload, void *context), void *context)
{
	walk(document, "", "", 0, visit, context);
}
