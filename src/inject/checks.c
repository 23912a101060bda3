/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/checks.h"

#include <string.h>

#include "inject/names.h"
#include "inject/preload.h"

static const char *const container_lists[] = { "initContainers", "containers", "ephemeralContainers" };
#define LISTS (sizeof(container_lists) / sizeof(*container_lists))

static const json_t *spec_of(const struct workload *w)
{
	return json_object_get(w->pod, "spec");
}

static const char *name_of(const json_t *object)
{
	const char *name = kinds_text(object, "name");

	return name ? name : "";
}

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

static bool is_variable(const json_t *entry)
{
	const json_t *value = json_object_get(entry, "value");

	return is_missing(value) || json_is_string(value);
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
					      name_of(json_array_get(env, i)));
	return true;
}

static size_t count_named(const json_t *spec, const char *name)
{
	size_t count = 0;

	for (size_t l = 0; l < LISTS; l++) {
		const json_t *list = json_object_get(spec, container_lists[l]);

		for (size_t i = 0; i < json_array_size(list); i++)
			count += strcmp(name_of(json_array_get(list, i)), name) == 0;
	}
	return count;
}

static bool check_containers(const struct workload *w, struct troubles *t)
{
	for (size_t l = 0; l < LISTS; l++) {
		const json_t *list = json_object_get(spec_of(w), container_lists[l]);

		if (!is_list(list))
			return trouble_refuse(t, w, "spec.%s is no list of objects: see kubectl explain pod.spec",
					      container_lists[l]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *name = name_of(json_array_get(list, i));

			if (!check_container(w, container_lists[l], json_array_get(list, i), t))
				return false;
			if (count_named(spec_of(w), name) > 1)
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
	const json_t *metadata = json_object_get(w->pod, "metadata"), *spec = spec_of(w);

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

static bool mount_has_room(const struct workload *w, const char *container, const json_t *mount, struct troubles *t)
{
	/* In most images /var/run is a link to /run. */
	static const char *const folders[] = { PATH_BIN, PATH_RUN, "/var" PATH_RUN };
	const char *path = kinds_text(mount, "mountPath");

	if (names_our_volume(name_of(mount)))
		return trouble_refuse(t, w, "container %s mounts a volume %s that is not fairdial's: rename it", container,
				      name_of(mount));
	for (size_t i = 0; path && i < sizeof(folders) / sizeof(*folders); i++) {
		if (is_in(path, folders[i]))
			return trouble_refuse(
				t, w,
				"container %s mounts volume %s at %s, where fairdial has to be: mount it elsewhere, "
				"or leave the container out with annotation fairdial.dev/skip-containers",
				container, name_of(mount), path);
		if (json_is_true(json_object_get(mount, "readOnly")) && contains(path, folders[i]))
			return trouble_refuse(
				t, w,
				"container %s mounts volume %s read-only at %s, so that %s cannot be made there: mount it "
				"elsewhere, or leave the container out with annotation fairdial.dev/skip-containers",
				container, name_of(mount), path, folders[i]);
	}
	return true;
}

static bool container_has_room(const struct workload *w, const json_t *container, struct troubles *t)
{
	const json_t *mounts = json_object_get(container, "volumeMounts"), *env = json_object_get(container, "env");
	const json_t *preload = preload_entry(env, PRELOAD_VARIABLE, NULL);

	for (size_t i = 0; i < json_array_size(mounts); i++)
		if (!mount_has_room(w, name_of(container), json_array_get(mounts, i), t))
			return false;
	if (json_object_get(preload, "valueFrom") && preload_entry(env, PRELOAD_BEFORE, NULL))
		return trouble_refuse(t, w, "container %s sets a variable " PRELOAD_BEFORE ", which fairdial needs: rename it",
				      name_of(container));
	return true;
}

static bool names_are_free(const struct workload *w, struct troubles *t)
{
	const json_t *spec = spec_of(w), *volumes = json_object_get(spec, "volumes");
	const char *taken = NULL;

	for (size_t i = 0; !taken && i < json_array_size(volumes); i++)
		if (names_our_volume(name_of(json_array_get(volumes, i))))
			taken = name_of(json_array_get(volumes, i));
	if (count_named(spec, NAME_INSTALL))
		taken = NAME_INSTALL;
	if (count_named(spec, NAME_AGENT))
		taken = NAME_AGENT;
	return !taken ||
	       trouble_refuse(t, w,
			      "has a container or volume %s that fairdial inject did not put there: rename it, or take it "
			      "out where it came from (an admission policy, a Kustomize component)",
			      taken);
}

bool checks_room(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *containers = json_object_get(spec_of(w), "containers");

	if (is_windows(spec_of(w)))
		return trouble_refuse(t, w, "is for Windows, where nothing can be preloaded: leave it out");
	if (!names_are_free(w, t))
		return false;
	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);

		if (!wishes_skip(wishes, name_of(container)) && !container_has_room(w, container, t))
			return false;
	}
	return true;
}

/* ---- notes ---- */

/* Whether a source of variables can hold one named LD_PRELOAD: each of its names begins with the prefix. */
static bool may_preload(const json_t *source)
{
	const char *prefix = kinds_text(source, "prefix");

	return !prefix || strncmp(PRELOAD_VARIABLE, prefix, strlen(prefix)) == 0;
}

static void note_variables(const struct workload *w, const json_t *container, struct troubles *t)
{
	const json_t *env = json_object_get(container, "env"), *sources = json_object_get(container, "envFrom");
	const json_t *preload = preload_entry(env, PRELOAD_VARIABLE, NULL);
	const char *value = kinds_text(preload, "value"), *dir = kinds_text(preload_entry(env, "FAIRDIAL_DIR", NULL), "value");
	bool unseen = false;

	for (size_t i = 0; !preload && i < json_array_size(sources); i++)
		unseen |= may_preload(json_array_get(sources, i));
	if (unseen)
		trouble_note(t, w,
			     "container %s has variables by envFrom, which cannot be seen here: if " PRELOAD_VARIABLE
			     " is one, set "
			     "it to $(" PRELOAD_VARIABLE ") in its env first",
			     name_of(container));
	if (json_object_get(preload, "valueFrom"))
		trouble_note(t, w,
			     "container %s has its " PRELOAD_VARIABLE
			     " by valueFrom, which cannot be seen here: it is kept as " PRELOAD_BEFORE
			     ", and has to be there also where it is optional",
			     name_of(container));
	if (value && preload_names_us(value) && !strstr(value, SHIM_PATH))
		trouble_note(t, w, "container %s preloads a " SHIM_FILE " of its own already, which stays", name_of(container));
	if (preload_entry(env, "FAIRDIAL_DIR", NULL) && (!dir || strcmp(dir, TABLE_DIR) != 0))
		trouble_note(t, w,
			     "container %s sets FAIRDIAL_DIR itself, so that it does not use this pod's table, in " TABLE_DIR
			     ": take the variable out",
			     name_of(container));
}

static void note_skipped(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *containers = json_object_get(spec_of(w), "containers");
	size_t left = json_array_size(containers);

	for (size_t i = 0; i < json_array_size(wishes->skipped); i++) {
		const char *name = json_string_value(json_array_get(wishes->skipped, i));
		bool found = false;

		for (size_t c = 0; c < json_array_size(containers); c++)
			found |= strcmp(name_of(json_array_get(containers, c)), name) == 0;
		if (!found)
			trouble_note(t, w,
				     "annotation fairdial.dev/skip-containers names \"%s\", and the pod has no such container",
				     name);
	}
	for (size_t c = 0; c < json_array_size(containers); c++)
		left -= wishes_skip(wishes, name_of(json_array_get(containers, c)));
	if (!left)
		trouble_note(t, w, "annotation fairdial.dev/skip-containers leaves no container to spread");
}

/* Where a change does not arrive, or does not stay. */
static void note_life(const struct workload *w, struct troubles *t)
{
	const json_t *metadata = json_object_get(w->object, "metadata"), *owners = json_object_get(metadata, "ownerReferences");
	const char *owner = kinds_text(json_array_get(owners, 0), "kind"),
		   *name = kinds_text(json_array_get(owners, 0), "name");

	if (owner)
		trouble_note(t, w, "belongs to %s/%s, which makes it anew or puts it back: inject that", owner,
			     name ? name : "?");
	else if (w->pod == w->object && json_object_get(spec_of(w), "nodeName"))
		trouble_note(t, w, "runs already, and the API takes no change of its containers: use kubectl replace --force");
	else if (strcmp(w->kind, "Job") == 0 && json_object_get(metadata, "uid"))
		trouble_note(t, w,
			     "exists already, and the API takes no change of a Job's template: inject the manifest it was made "
			     "of, or "
			     "make it anew");
}

void checks_note(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *spec = spec_of(w), *containers = json_object_get(spec, "containers");

	note_life(w, t);
	if (json_is_true(json_object_get(spec, "hostNetwork")))
		trouble_note(t, w,
			     "has hostNetwork: the sockets it sees are the node's, so that only connections which its own "
			     "programs claimed "
			     "are counted");
	note_skipped(w, wishes, t);
	for (size_t i = 0; i < json_array_size(containers); i++)
		if (!wishes_skip(wishes, name_of(json_array_get(containers, i))))
			note_variables(w, json_array_get(containers, i), t);
}
