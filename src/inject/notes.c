/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/notes.h"

#include <string.h>

#include "inject/names.h"
#include "inject/preload.h"
#include "inject/record.h"
#include "inject/strip.h"

/* NULL: kubectl apply knows nothing of it. */
static const char *last_applied(const struct workload *w)
{
	return kinds_text(json_object_get(json_object_get(w->object, "metadata"), "annotations"), LAST_APPLIED);
}

static bool is_live(const struct workload *w)
{
	return json_object_get(json_object_get(w->object, "metadata"), "uid") != NULL;
}

/* Whether a source of variables can hold one named LD_PRELOAD: each of its names begins with the prefix. */
static bool may_preload(const json_t *source)
{
	const char *prefix = kinds_text(source, "prefix");

	return !prefix || strncmp(PRELOAD_VARIABLE, prefix, strlen(prefix)) == 0;
}

/* That $(LD_PRELOAD) is what envFrom said is the kubelet's rule: variables by envFrom come first, env may refer to them. */
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
			     "container %s has variables by envFrom, which cannot be seen here: if LD_PRELOAD is one, set it "
			     "to $(LD_PRELOAD) in its env first",
			     kinds_name(container));
	if (json_object_get(preload, "valueFrom"))
		trouble_note(
			t, w,
			"container %s has its LD_PRELOAD by valueFrom, which cannot be seen here: it is kept as " PRELOAD_BEFORE
			", and has to be there also where it is optional%s",
			kinds_name(container),
			!is_live(w) || last_applied(w) ? ""
						       : "; kubectl apply leaves valueFrom beside our value, which the "
							 "API refuses: use kubectl replace");
	if (value && preload_names_us(value) && !strstr(value, SHIM_PATH))
		trouble_note(t, w, "container %s preloads a " SHIM_FILE " of its own already, which stays",
			     kinds_name(container));
	if (preload_entry(env, "FAIRDIAL_DIR", NULL) && (!dir || strcmp(dir, TABLE_DIR) != 0))
		trouble_note(t, w,
			     "container %s sets FAIRDIAL_DIR itself, so that it does not use this pod's table, in " TABLE_DIR
			     ": take the variable out",
			     kinds_name(container));
}

static void note_skipped(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *containers = json_object_get(kinds_spec(w), "containers");
	size_t left = json_array_size(containers);

	for (size_t i = 0; i < json_array_size(wishes->skipped); i++) {
		const char *name = json_string_value(json_array_get(wishes->skipped, i));
		bool found = false;

		for (size_t c = 0; c < json_array_size(containers); c++)
			found |= strcmp(kinds_name(json_array_get(containers, c)), name) == 0;
		if (!found)
			trouble_note(t, w,
				     "annotation fairdial.dev/skip-containers names \"%s\", and the pod has no such container",
				     name);
	}
	for (size_t c = 0; c < json_array_size(containers); c++)
		left -= wishes_skip(wishes, kinds_name(json_array_get(containers, c)));
	if (!left)
		trouble_note(t, w, "annotation fairdial.dev/skip-containers leaves no container to spread");
}

/* Where a change does not arrive, or does not stay. */
static void note_life(const struct workload *w, struct troubles *t)
{
	const json_t *metadata = json_object_get(w->object, "metadata"), *owners = json_object_get(metadata, "ownerReferences");
	const char *owner = kinds_text(json_array_get(owners, 0), "kind");

	if (owner)
		trouble_note(t, w, "belongs to %s/%s, which makes it anew or puts it back: inject that", owner,
			     kinds_name(json_array_get(owners, 0)));
	else if (w->pod == w->object && json_object_get(kinds_spec(w), "nodeName"))
		trouble_note(t, w, "runs already, and the API takes no change of its containers: use kubectl replace --force");
	else if (strcmp(w->kind, "Job") == 0 && json_object_get(metadata, "uid"))
		trouble_note(t, w,
			     "exists already, and the API takes no change of a Job's template: inject the manifest it was made "
			     "of, or make it anew");
}

/* ---- what kubectl apply knows ---- */

/*
 * An autoscaler sets the number of a workload that was applied without one. Applied once with it, kubectl takes the field out
 * again when it is next applied without, and the API puts its default in: 1.
 */
static void note_replicas(const struct workload *w, struct troubles *t)
{
	const char *text = last_applied(w);
	json_t *applied = text ? json_loads(text, 0, NULL) : NULL;
	const json_t *replicas = json_object_get(json_object_get(w->object, "spec"), "replicas");

	if (applied && replicas && !json_object_get(json_object_get(applied, "spec"), "replicas"))
		trouble_note(t, w,
			     "was applied without replicas, which an autoscaler may set: if this is applied, the next kubectl "
			     "apply without them makes it 1; inject the manifest that was applied, not what the cluster has");
	json_decref(applied);
}

/* "How apply calculates differences and merges changes" (Kubernetes): it takes out what it has applied, and nothing else. */
void notes_say_of_removal(const struct workload *w, struct troubles *t)
{
	const char *applied = last_applied(w);

	if (is_live(w) && !(applied && strstr(applied, RECORD_ANNOTATION)))
		trouble_note(t, w,
			     "was not injected by kubectl apply, which therefore takes nothing out of it: use kubectl replace");
}

/* ---- what the kubelet makes of it ---- */

static bool is_guaranteed(const json_t *containers)
{
	static const char *const both[] = { "cpu", "memory" };

	for (size_t i = 0; i < 2 * json_array_size(containers); i++) {
		const json_t *resources = json_object_get(json_array_get(containers, i / 2), "resources");
		const json_t *limit = json_object_get(json_object_get(resources, "limits"), both[i % 2]);
		const json_t *request = json_object_get(json_object_get(resources, "requests"), both[i % 2]);

		if (!limit || (request && !json_equal(request, limit)))
			return false;
	}
	return true;
}

/* GetPodQOS (kubectl's and the kubelet's): of all containers, also those that have ended; or of the pod's own resources. */
static void note_class(const struct workload *w, struct troubles *t)
{
	const json_t *spec = kinds_spec(w);

	if (!json_object_get(spec, "resources") && is_guaranteed(json_object_get(spec, "initContainers")) &&
	    is_guaranteed(json_object_get(spec, "containers")))
		trouble_note(t, w,
			     "has the QoS class Guaranteed, and Burstable with fairdial's containers, whose limits are above "
			     "their requests: it gets no CPUs of its own any more, and is evicted before others");
}

void notes_say(const struct workload *w, const struct wishes *wishes, struct troubles *t)
{
	const json_t *spec = kinds_spec(w), *containers = json_object_get(spec, "containers");

	note_life(w, t);
	note_replicas(w, t);
	note_class(w, t);
	if (json_is_true(json_object_get(spec, "hostNetwork")))
		trouble_note(t, w,
			     "has hostNetwork: the sockets it sees are the node's, so that only connections which its own "
			     "programs claimed are counted");
	note_skipped(w, wishes, t);
	for (size_t i = 0; i < json_array_size(containers); i++)
		if (!wishes_skip(wishes, kinds_name(json_array_get(containers, i))))
			note_variables(w, json_array_get(containers, i), t);
}
