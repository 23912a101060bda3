/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/record.h"

#include <stdlib.h>
#include <string.h>

#include "inject/kinds.h"

static const char *text_of(const json_t *pod)
{
	return kinds_text(json_object_get(json_object_get(pod, "metadata"), "annotations"), RECORD_ANNOTATION);
}

bool record_is_there(const json_t *pod)
{
	return text_of(pod) != NULL;
}

json_t *record_read(const json_t *pod)
{
	const char *text = text_of(pod);
	json_t *record = text ? json_loads(text, 0, NULL) : NULL;

	if (json_is_object(record))
		return record;
	json_decref(record);
	return json_null();
}

void record_write(json_t *record, json_t *pod)
{
	json_t *metadata = record_open(record, pod, "metadata", json_object());
	json_t *annotations = record_open(record, metadata, "annotations", json_object());
	char *text = json_dumps(record, JSON_COMPACT);

	json_object_set_new(annotations, RECORD_ANNOTATION, json_string(text));
	free(text);
}

void record_erase(const json_t *record, json_t *pod)
{
	json_t *metadata = json_object_get(pod, "metadata");

	json_object_del(json_object_get(metadata, "annotations"), RECORD_ANNOTATION);
	record_close(record, metadata, "annotations");
	record_close(record, pod, "metadata");
}

static void note(json_t *record, const char *what, const char *key)
{
	json_t *list = json_object_get(record, what);

	if (!list) {
		json_object_set_new(record, what, json_array());
		list = json_object_get(record, what);
	}
	json_array_append_new(list, json_string(key));
}

static bool notes(const json_t *record, const char *what, const char *key)
{
	const json_t *list = json_object_get(record, what);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *noted = json_string_value(json_array_get(list, i));

		if (noted && strcmp(noted, key) == 0)
			return true;
	}
	return false;
}

json_t *record_open(json_t *record, json_t *owner, const char *key, json_t *empty)
{
	json_t *value = json_object_get(owner, key);

	if (value && !json_is_null(value)) {
		json_decref(empty);
		return value;
	}
	note(record, value ? "null" : "absent", key);
	json_object_set_new(owner, key, empty);
	return empty;
}

static bool is_empty(const json_t *value)
{
	return (json_is_object(value) && json_object_size(value) == 0) || (json_is_array(value) && json_array_size(value) == 0);
}

void record_close(const json_t *record, json_t *owner, const char *key)
{
	if (!is_empty(json_object_get(owner, key)))
		return;
	if (notes(record, "null", key))
		json_object_set_new(owner, key, json_null());
	else if (!json_is_object(record) || notes(record, "absent", key))
		json_object_del(owner, key);
}

json_t *record_of_container(const json_t *record, const char *name)
{
	json_t *part = json_object_get(json_object_get(record, "containers"), name);

	return json_is_object(part) ? part : NULL;
}
