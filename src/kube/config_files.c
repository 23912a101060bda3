/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "yaml/json.h"

/* Hundreds of clusters with their certificates are a tenth of it. */
#define TEXT_MAX ((size_t)4 << 20)

static const char *const kinds[] = { "context", "cluster", "user" };

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int no_memory(struct report *why)
{
	return report(why, -ENOMEM, "out of memory");
}

static const char *kind_of_value(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	default:
		return "a number";
	}
}

/* ---- reading ---- */

/* Up to `room` bytes of a file, a pipe too. */
static ssize_t read_all(int fd, char *text, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = read(fd, text + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int refuse_json(const char *path, const json_error_t *error, struct report *why)
{
	static const struct {
		enum json_error_code code;
		const char *reason;
	} reasons[] = { { json_error_duplicate_key, "duplicate key" },
			{ json_error_premature_end_of_input, "ends too early" },
			{ json_error_end_of_input_expected, "more text behind its end" },
			{ json_error_stack_overflow, "nested too deep" },
			{ json_error_invalid_utf8, "not UTF-8" },
			{ json_error_null_character, "a text must not hold \\u0000" } };
	const char *reason = "not good JSON"; /* the parser's own words may quote a secret */

	if (json_error_code(error) == json_error_out_of_memory)
		return no_memory(why);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (json_error_code(error) == reasons[i].code)
			reason = reasons[i].reason;
	return report(why, -EINVAL, "%s:%d:%d: %s", path, error->line > 0 ? error->line : 1,
		      error->column > 0 ? error->column : 1, reason);
}

static int parse(const char *path, const char *text, size_t len, json_t **ret_root, struct report *why)
{
	json_error_t error;
	size_t start = 0;

	while (start < len && text_is_space(text[start]))
		start++;
	if (start == len) {
		*ret_root = json_null();
		return 0;
	}
	if (text[start] != '{')
		return yaml_json_load(path, text, len, ret_root, why);
	*ret_root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	return *ret_root ? 0 : refuse_json(path, &error, why);
}

/* -ENOENT only where the file itself is not there. */
static int read_file(const char *path, json_t **ret_root, struct report *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	char *text;
	ssize_t len;

	if (fd < 0) {
		err = -errno;
		return report(why, err, "cannot open %s: %s", path, strerror(-err));
	}
	text = malloc(TEXT_MAX + 1);
	len = text ? read_all(fd, text, TEXT_MAX + 1) : -ENOMEM;
	close(fd);
	if (len < 0)
		err = report(why, (int)len, "cannot read %s: %s", path, strerror((int)-len));
	else if ((size_t)len > TEXT_MAX)
		err = report(why, -EFBIG, "%s: larger than %zu MiB", path, TEXT_MAX >> 20);
	else
		err = parse(path, text, (size_t)len, ret_root, why);
	if (len > 0)
		explicit_bzero(text, (size_t)len);
	free(text);
	return err;
}

/* ---- the form of a file ---- */

static int check_entry(const struct config_file *file, const char *kind, size_t i, const json_t *entry, json_t *names,
		       struct report *why)
{
	const char *name = json_string_value(json_object_get(entry, "name"));
	const json_t *object = json_object_get(entry, kind);

	if (!json_is_object(entry))
		return report(why, -EINVAL, "%s: %ss[%zu]: expected an object with \"name\" and \"%s\", got %s",
			      file->path, kind, i, kind, kind_of_value(entry));
	if (!name)
		return report(why, -EINVAL, "%s: %ss[%zu].name: expected a text", file->path, kind, i);
	if (object && !json_is_object(object) && !json_is_null(object))
		return report(why, -EINVAL, "%s: %s %s: expected an object, got %s", file->path, kind, name,
			      kind_of_value(object));
	if (json_object_get(names, name))
		return report(why, -EINVAL, "%s: %s %s is there twice", file->path, kind, name);
	return json_object_set_new(names, name, json_true()) < 0 ? no_memory(why) : 0;
}

static int check_list(const struct config_file *file, const char *kind, const json_t *list, struct report *why)
{
	json_t *names = json_object();
	const json_t *entry;
	size_t i;
	int err = names ? 0 : no_memory(why);

	if (err == 0 && !json_is_array(list))
		err = report(why, -EINVAL, "%s: %ss: expected a list, got %s", file->path, kind, kind_of_value(list));
	if (err == 0) {
		json_array_foreach(list, i, entry)
		{
			err = check_entry(file, kind, i, entry, names, why);
			if (err < 0)
				break;
		}
	}
	json_decref(names);
	return err;
}

static const json_t *list_of(const struct config_file *file, const char *kind)
{
	char key[16];

	snprintf(key, sizeof(key), "%ss", kind);
	return json_object_get(file->root, key);
}

static int check_form(const struct config_file *file, struct report *why)
{
	const json_t *kind = json_object_get(file->root, "kind");
	int err = 0;

	if (json_is_null(file->root))
		return 0;
	if (!json_is_object(file->root))
		return report(why, -EINVAL, "%s: expected a kubeconfig, got %s", file->path, kind_of_value(file->root));
	if (json_is_string(kind) && strcmp(json_string_value(kind), "Config") != 0 && json_string_length(kind) > 0)
		return report(why, -EINVAL, "%s: kind: expected Config: this is no kubeconfig", file->path);
	for (size_t i = 0; i < KINDS && err == 0; i++) {
		const json_t *list = list_of(file, kinds[i]);

		if (list && !json_is_null(list))
			err = check_list(file, kinds[i], list, why);
	}
	return err;
}

/* ---- the files ---- */

static int add_file(struct config_files *files, struct slice path, struct report *why)
{
	struct config_file file = { .path = strndup(path.at, path.len) };
	int err = file.path ? read_file(file.path, &file.root, why) : no_memory(why);

	if (err == 0)
		err = check_form(&file, why);
	if (err < 0) {
		json_decref(file.root);
		free(file.path);
		return err;
	}
	files->at[files->count++] = file;
	return 0;
}

/* An empty piece means nothing, as to kubectl. */
static int add_listed(struct config_files *files, struct slice list, struct report *why)
{
	while (list.at) {
		struct slice path = slice_cut(&list, ':');
		int err = path.len > 0 ? add_file(files, path, why) : 0;

		if (err < 0 && err != -ENOENT)
			return err;
	}
	if (files->count == 0)
		return report(why, -ENOENT, "%s: none of these files is there", files->given);
	return 0;
}

static size_t count_listed(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == ':';
	return n;
}

int config_files_open(const char *path, struct config_files *ret_files, struct report *why)
{
	struct config_files files = { .given = path };
	int err;

	if (!*path)
		return report(why, -ENOENT, "no kubeconfig is named");
	files.at = calloc(count_listed(path), sizeof(*files.at));
	if (!files.at)
		return no_memory(why);
	if (!strchr(path, ':') || access(path, F_OK) == 0)
		err = add_file(&files, slice_of(path), why);
	else
		err = add_listed(&files, slice_of(path), why);
	if (err < 0)
		config_files_close(&files);
	else
		*ret_files = files;
	return err;
}

/* As deep as a parser went: two thousand levels at most. */
static void wipe(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		explicit_bzero((char *)json_string_value(value), json_string_length(value));
	json_object_foreach(value, key, member) wipe(member);
	json_array_foreach(value, i, member) wipe(member);
}

void config_files_close(struct config_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		wipe(files->at[i].root);
		json_decref(files->at[i].root);
		free(files->at[i].path);
	}
	free(files->at);
	*files = (struct config_files){ 0 };
}

/* ---- looking up ---- */

int config_files_current(const struct config_files *files, const char **ret_name, struct report *why)
{
	for (size_t i = 0; i < files->count; i++) {
		const json_t *name = json_object_get(files->at[i].root, "current-context");

		if (!name || json_is_null(name))
			continue;
		if (!json_is_string(name))
			return report(why, -EINVAL, "%s: current-context: expected a text, got %s", files->at[i].path,
				      kind_of_value(name));
		if (json_string_length(name) == 0)
			continue;
		*ret_name = json_string_value(name);
		return 0;
	}
	return report(why, -EINVAL, "%s: current-context is not set: kubectl config use-context NAME", files->given);
}

static const json_t *find_named(const json_t *list, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
			return entry;
	}
	return NULL;
}

int config_files_find(const struct config_files *files, const char *kind, const char *name,
		      struct config_entry *ret_entry, struct report *why)
{
	for (size_t i = 0; i < files->count; i++) {
		const json_t *entry = find_named(list_of(&files->at[i], kind), name);
		struct config_entry found = { &files->at[i], kind, name, json_object_get(entry, kind) };

		if (!entry)
			continue;
		if (!json_is_object(found.object))
			return config_refuse(&found, NULL, why, "is empty");
		*ret_entry = found;
		return 0;
	}
	return -ENOENT;
}

int config_refuse(const struct config_entry *entry, const char *key, struct report *why, const char *format, ...)
{
	char reason[400];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return report(why, -EINVAL, "%s: %s %s: %s%s%s", entry->file->path, entry->kind, entry->name, key ? key : "",
		      key ? ": " : "", reason);
}

int config_text(const struct config_entry *entry, const char *key, const char **ret_text, struct report *why)
{
	const json_t *value = json_object_get(entry->object, key);

	if (value && !json_is_null(value) && !json_is_string(value))
		return config_refuse(entry, key, why, "expected a text, got %s", kind_of_value(value));
	*ret_text = json_string_length(value) > 0 ? json_string_value(value) : NULL;
	return 0;
}

int config_bool(const struct config_entry *entry, const char *key, bool *ret, struct report *why)
{
	const json_t *value = json_object_get(entry->object, key);

	if (value && !json_is_null(value) && !json_is_boolean(value))
		return config_refuse(entry, key, why, "expected true or false, got %s", kind_of_value(value));
	*ret = json_is_true(value);
	return 0;
}

bool config_has(const struct config_entry *entry, const char *key)
{
	const json_t *value = json_object_get(entry->object, key);

	return value && !json_is_null(value) && !(json_is_string(value) && json_string_length(value) == 0) &&
	       !(json_is_array(value) && json_array_size(value) == 0) &&
	       !(json_is_object(value) && json_object_size(value) == 0);
}
