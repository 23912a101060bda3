/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/checks.h"

#include <string.h>

#include "inject/names.h"
#include "inject/preload.h"

static const char *const container_lists[] = { "initContainers", "containers", "ephemeralContainers" };
#define LISTS (sizeof(container_lists) / sizeof(*container_lists))

/* ---- shape ---- */

static bool is_missing(const json_t *value)
{
	return !value || json_is_null(value);
}

/* A list of objects, or nothing. */
static bool is_list(const json_t *value)
{
	if (is_missing(value))
		return true;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!json_is_object(json_array_get(value, i)))
			return false;
	return json_is_array(value);
}

/* A text. In the one that is added to, no NUL: it would be cut there. */
static bool is_variable(const json_t *entry)
{
	const json_t *value = json_object_get(entry, "value");
	bool ours = strcmp(kinds_name(entry), PRELOAD_VARIABLE) == 0;

	return is_missing(value) || (ours ? kinds_text(entry, "value") != NULL : json_is_string(value));
}

static bool check_container(const struct workload *w, const char *list, const json_t *container, struct troubles *t)
{
	const json_t *env = json_object_get(container, "env");
	const char *name = kinds_text(container, "name");

	if (!name || !*name)
		return trouble_refuse(t, w, "a container in spec.%s has no name: give it one", list);
	if (!is_list(env) || !is_list(json_object_get(container, "volumeMounts")))
		return trouble_refuse(
			t, w,
			"container %s: env or volumeMounts is no list of objects: see kubectl explain pod.spec.containers",
			name);
	for (size_t i = 0; i < json_array_size(env); i++)
		if (!is_variable(json_array_get(env, i)))
			return trouble_refuse(t, w, "container %s: the value of variable %s is no text: put it in quotes", name,
					      kinds_name(json_array_get(env, i)));
	return true;
}

static size_t count_named(const json_t *spec, const char *name)
{
	size_t count = 0;

	for (size_t l = 0; l < LISTS; l++) {
		const json_t *list = json_object_get(spec, container_lists[l]);

		for (size_t i = 0; i < json_array_size(list); i++)
			count += strcmp(kinds_name(json_array_get(list, i)), name) == 0;
	}
	return count;
}

static bool check_containers(const struct workload *w, struct troubles *t)
{
	for (size_t l = 0; l < LISTS; l++) {
		const json_t *list = json_object_get(kinds_spec(w), container_lists[l]);

		if (!is_list(list))
			return trouble_refuse(t, w, "spec.%s is no list of objects: see kubectl explain pod.spec",
					      container_lists[l]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *name = kinds_name(json_array_get(list, i));

			if (!check_container(w, container_lists[l], json_array_get(list, i), t))
				return false;
			if (count_named(kinds_spec(w), name) > 1)
				return trouble_refuse(t, w, "two containers have the name %s: rename one", name);
		}
	}
	return true;
}

static bool is_map(const json_t *value)
{
	return is_missing(value) || json_is_object(value);
}

bool checks_shape(const struct workload *w, struct troubles *t)
{
	const json_t *metadata = json_object_get(w->pod, "metadata"), *spec = kinds_spec(w);

	if (!json_is_object(spec))
		return trouble_refuse(t, w, "has no pod: %s is missing",
				      w->pod == w->object ? "spec" : "the pod's template, or its spec,");
	if (!is_map(metadata) || !is_map(json_object_get(metadata, "annotations")))
		return trouble_refuse(t, w,
				      "the pod's metadata or its annotations are no object: see kubectl explain pod.metadata");
	if (!is_list(json_object_get(spec, "volumes")))
		return trouble_refuse(t, w, "spec.volumes is no list of objects: see kubectl explain pod.spec");
	if (!check_containers(w, t))
		return false;
	if (json_array_size(json_object_get(spec, "containers")) == 0)
		return trouble_refuse(t, w, "has no containers: there is nothing to inject");
	return true;
}

/* ---- room ---- */

static bool is_windows(const json_t *spec)
{
	const char *os = kinds_text(json_object_get(spec, "os"), "name");
	const char *selected = kinds_text(json_object_get(spec, "nodeSelector"), "kubernetes.io/os");

	return (os && strcmp(os, "windows") == 0) || (selected && strcmp(selected, "windows") == 0);
}

/* Whether `path` is `folder` or lies in it. */
static bool is_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Whether `folder`, ours, lies in `path`: "/", "/opt", "/opt/". */
static bool contains(const char *path, const char *folder)
{
	size_t length = strlen(path);

	while (length && path[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 && folder[length] == '/';
}

#define ELSEWHERE ": mount it elsewhere, or leave the container out with annotation fairdial.dev/skip-containers"

static bool mount_has_room(const struct workload *w, const char *container, const json_t *mount, struct troubles *t)
{
	/* In most images /var/run is a link to /run. */
	static const char *const folders[] = { PATH_BIN, PATH_RUN, ("/var" PATH_RUN) };
	const char *path = kinds_text(mount, "mountPath");

	if (names_our_volume(kinds_name(mount)))
		return trouble_refuse(t, w, "container %s mounts a volume %s that is not fairdial's: rename it", container,
				      kinds_name(mount));
	for (size_t i = 0; path && i < sizeof(folders) / sizeof(*folders); i++) {
		if (is_in(path, folders[i]))
			return trouble_refuse(t, w, "container %s mounts volume %s at %s, where fairdial has to be" ELSEWHERE,
					      container, kinds_name(mount), path);
		if (json_is_true(json_object_get(mount, "readOnly")) && contains(path, folders[i]))
			return trouble_refuse(
				t, w, "container %s mounts volume %s read-only at %s, so that %s cannot be made" ELSEWHERE,
				container, kinds_name(mount), path, folders[i]);
	}
	return true;
}

static bool container_has_room(const struct workload *w, const json_t *container, struct troubles *t)
{
	const json_t *mounts = json_object_get(container, "volumeMounts"), *env = json_object_get(container, "env");
	const json_t *preload = preload_entry(env, PRELOAD_VARIABLE, NULL);

	for (size_t i = 0; i < json_array_size(mounts); i++)
		if (!mount_has_room(w, kinds_name(container), json_array_get(mounts, i), t))
			return false;
	if (json_object_get(preload, "valueFrom") && preload_entry(env, PRELOAD_BEFORE, NULL))
		return trouble_refuse(t, w, "container %s sets a variable " PRELOAD_BEFORE ", which fairdial needs: rename it",
				      kinds_name(container));
	return true;
}

static bool names_are_free(const struct workload *w, struct troubles *t)
{
	const json_t *spec = kinds_spec(w), *volumes = json_object_get(spec, "volumes");
	const char *taken = NULL;

	for (size_t i = 0; !taken && i < json_array_size(volumes); i++)
		if (names_our_volume(kinds_name(json_array_get(volumes, i))))
			taken = kinds_name(json_array_get(volumes, i));
	if (count_named(spec, NAME_INSTALL))
		taken = NAME_INSTALL;
	if (count_named(spec, NAME_AGENT))
		taken = NAME_AGENT;
	return !taken ||
	       trouble_refuse(t, w,
			      "has a container or volume %s that fairdial inject did not put there: rename it, or take it out "
			      "where it came from (an admission policy, a Kustomize component)",
			      taken);
}

bool checks_room(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *containers = json_object_get(kinds_spec(w), "containers");

	if (is_windows(kinds_spec(w)))
		return trouble_refuse(t, w, "is for Windows, where nothing can be preloaded: leave it out");
	if (!names_are_free(w, t))
		return false;
	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);

		if (!wishes_skip(wishes, kinds_name(container)) && !container_has_room(w, container, t))
			return false;
	}
	return true;
}
