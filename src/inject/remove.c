/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial out of a pod: what is ours by name, and what the record says of the rest. */
#include "inject/pod.h"

#include <string.h>

#include "inject/names.h"
#include "inject/preload.h"
#include "inject/record.h"

static void remove_named(json_t *list, bool (*ours)(const char *name))
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const char *name = kinds_text(json_array_get(list, i), "name");

		if (name && ours(name))
			json_array_remove(list, i);
	}
}

static void remove_dir(json_t *env, const json_t *record)
{
	size_t index;
	json_t *entry = preload_entry(env, "FAIRDIAL_DIR", &index);
	const char *value = kinds_text(entry, "value");

	if (!json_object_get(record, "dir") && value && strcmp(value, TABLE_DIR) == 0)
		json_array_remove(env, index);
}

/* A container that was given something, also under another name than it had then. */
static bool was_given(const json_t *container, const json_t *record)
{
	const json_t *mounts = json_object_get(container, "volumeMounts");

	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const char *name = kinds_text(json_array_get(mounts, i), "name");

		if (name && strcmp(name, VOLUME_BIN) == 0)
			return true;
	}
	return record != NULL;
}

static void remove_from_containers(json_t *containers, const json_t *record)
{
	for (size_t i = 0; i < json_array_size(containers); i++) {
		json_t *container = json_array_get(containers, i);
		const char *name = kinds_text(container, "name");
		const json_t *part = name ? record_of_container(record, name) : NULL;

		if (!was_given(container, part))
			continue;
		preload_remove(json_object_get(container, "env"), part);
		remove_dir(json_object_get(container, "env"), part);
		/* All that mount what is gone: the pod would be refused with them. */
		remove_named(json_object_get(container, "volumeMounts"), names_our_volume);
		record_close(part, container, "env");
		record_close(part, container, "volumeMounts");
	}
}

void pod_remove(json_t *pod)
{
	json_t *spec = json_object_get(pod, "spec"), *record = record_read(pod);

	remove_from_containers(json_object_get(spec, "containers"), record);
	remove_named(json_object_get(spec, "initContainers"), names_our_container);
	remove_from_containers(json_object_get(spec, "initContainers"), record); /* one may have been moved there */
	record_close(record, spec, "initContainers");
	remove_named(json_object_get(spec, "volumes"), names_our_volume);
	record_close(record, spec, "volumes");
	record_erase(record, pod);
	json_decref(record);
}
