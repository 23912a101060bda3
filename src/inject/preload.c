/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/preload.h"

#include <string.h>

#include "inject/kinds.h"
#include "inject/names.h"

#define SEPARATORS ": "

json_t *preload_entry(const json_t *env, const char *name, size_t *ret_index)
{
	for (size_t i = json_array_size(env); i-- > 0;) {
		json_t *entry = json_array_get(env, i);
		const char *its = kinds_text(entry, "name");

		if (its && strcmp(its, name) == 0) {
			if (ret_index)
				*ret_index = i;
			return entry;
		}
	}
	return NULL;
}

bool preload_names_us(const char *value)
{
	while (*value) {
		size_t length = strcspn(value, SEPARATORS), file = length;

		while (file > 0 && value[file - 1] != '/')
			file--;
		if (length - file == strlen(SHIM_FILE) && strncmp(value + file, SHIM_FILE, length - file) == 0)
			return true;
		value += length + (value[length] != '\0');
	}
	return false;
}

/* What a list becomes. */
static json_t *with_us(const char *value)
{
	if (!value || !*value)
		return json_string(SHIM_PATH);
	return preload_names_us(value) ? json_string(value) : json_sprintf("%s:%s", value, SHIM_PATH);
}

/* A list that somebody has edited since: without our file, and one separator beside it. */
static json_t *without_us(const char *value)
{
	const char *at = value, *from, *to;

	while ((at = strstr(at, SHIM_PATH)) != NULL) {
		from = at;
		to = at + strlen(SHIM_PATH);
		if ((from == value || strchr(SEPARATORS, from[-1])) && (!*to || strchr(SEPARATORS, *to)))
			break;
		at = to;
	}
	if (!at)
		return json_string(value);
	if (from > value)
		from--;
	else if (*to)
		to++;
	return json_sprintf("%.*s%s", (int)(from - value), value, to);
}

static bool equals_and_free(json_t *made, const char *value)
{
	bool equal = value && strcmp(json_string_value(made), value) == 0;

	json_decref(made);
	return equal;
}

/* ---- in ---- */

static json_t *variable(const char *name, json_t *value)
{
	return json_pack("{s:s, s:o}", "name", name, "value", value);
}

/* What it says comes from elsewhere: that stays, under another name, and ours comes next. */
static void refer(json_t *env, size_t index, json_t *entry, json_t *record)
{
	json_object_set_new(entry, "name", json_string(PRELOAD_BEFORE));
	json_array_insert_new(env, index + 1, variable(PRELOAD_VARIABLE, with_us("$(" PRELOAD_BEFORE ")")));
	json_object_set_new(record, "preload", json_string("valueFrom"));
}

static void extend(json_t *entry, json_t *record)
{
	json_t *value = json_object_get(entry, "value"), *was = json_object();

	if (value)
		json_object_set(was, "value", value);
	json_object_set_new(record, "preload", was);
	json_object_set_new(entry, "value", with_us(json_string_value(value)));
}

void preload_add(json_t *env, const char *existing, json_t *record)
{
	size_t index;
	json_t *entry = preload_entry(env, PRELOAD_VARIABLE, &index);
	const char *value = kinds_text(entry, "value");

	if (!entry) {
		json_array_append_new(env, variable(PRELOAD_VARIABLE, with_us(existing)));
		if (existing)
			json_object_set_new(record, "existing", json_string(existing));
	} else if (json_is_object(json_object_get(entry, "valueFrom"))) {
		refer(env, index, entry, record);
	} else if (value && preload_names_us(value)) {
		json_object_set_new(record, "preload", json_string("kept"));
	} else {
		extend(entry, record);
	}
}

/* ---- out ---- */

/* Puts back what was, where the entry is as we left it; else takes our file out of it. True: nothing is left of it. */
static bool restore(json_t *entry, const char *was, const json_t *ret_was)
{
	const char *value = kinds_text(entry, "value");

	if (!value)
		return false;
	if (equals_and_free(with_us(was), value)) {
		if (ret_was)
			json_object_set(entry, "value", (json_t *)ret_was);
		else
			json_object_del(entry, "value");
		return true;
	}
	json_object_set_new(entry, "value", without_us(value));
	return *json_string_value(json_object_get(entry, "value")) == '\0';
}

static void remove_added(json_t *env, const char *existing)
{
	size_t index;
	json_t *entry = preload_entry(env, PRELOAD_VARIABLE, &index);

	if (entry && restore(entry, existing, NULL))
		json_array_remove(env, index);
}

/* Its old name back, unless somebody has put an LD_PRELOAD behind it that may refer to the new one. */
static void remove_reference(json_t *env)
{
	size_t before_index, index;
	json_t *before, *entry;

	remove_added(env, "$(" PRELOAD_BEFORE ")");
	before = preload_entry(env, PRELOAD_BEFORE, &before_index);
	entry = preload_entry(env, PRELOAD_VARIABLE, &index);
	if (before && (!entry || index < before_index))
		json_object_set_new(before, "name", json_string(PRELOAD_VARIABLE));
}

void preload_remove(json_t *env, const json_t *record)
{
	const json_t *was = json_object_get(record, "preload"), *value = json_object_get(was, "value");
	json_t *entry = preload_entry(env, PRELOAD_VARIABLE, NULL);

	/* Of an annotation that anybody may write; a real among the objects is another thing (documents.h). */
	if (!json_is_string(value) && !json_is_null(value))
		value = NULL;
	if (json_is_object(was)) {
		if (entry)
			restore(entry, json_string_value(value), value);
	} else if (!was) {
		remove_added(env, kinds_text(record, "existing"));
	} else if (strcmp(json_string_value(was) ? json_string_value(was) : "", "valueFrom") == 0) {
		remove_reference(env);
	}
}
