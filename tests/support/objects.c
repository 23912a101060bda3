/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include <glob.h>
#include <jansson.h>

#include "inject/documents.h"
#include "inject/inject.h"
#include "inject/kinds.h"
#include "inject/strip.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"

static void free_files(void *files)
{
	globfree(files);
	free(files);
}

char **object_files(void)
{
	glob_t *files = calloc(1, sizeof(*files));

	if (!files || glob(repository("tests/data/kubernetes/objects/*.json"), 0, NULL, files))
		fail_msg("no objects in %s", repository("tests/data/kubernetes/objects"));
	after_test(free_files, files);
	return files->gl_pathv;
}

/* ---- what is done with them ---- */

static void keep_all(struct documents *documents, struct troubles *troubles)
{
	(void)documents;
	(void)troubles;
}

static void strip_one(const struct workload *workload, void *context)
{
	(void)context;
	strip_fetched(workload->object);
}

static void strip_all(struct documents *documents, struct troubles *troubles)
{
	(void)troubles;
	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		kinds_each(json_array_get(documents->objects, i), strip_one, NULL);
}

static void remove_all(struct documents *documents, struct troubles *troubles)
{
	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		inject_remove(json_array_get(documents->objects, i), troubles);
}

static const struct inject_options *add_options;

static void add_all(struct documents *documents, struct troubles *troubles)
{
	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		inject_add(json_array_get(documents->objects, i), add_options, troubles);
}

/* The open stream's text, kept until the test ends. */
static char *kept(FILE *memory, char **text)
{
	assert_int_equal(fclose(memory), 0);
	after_test(free, *text);
	return *text;
}

static struct injection through(const char *text, void (*work)(struct documents *, struct troubles *))
{
	char *out = NULL, *said = NULL;
	size_t size;
	FILE *out_file = open_memstream(&out, &size), *said_file = open_memstream(&said, &size);
	struct documents documents;
	struct troubles troubles;
	struct injection result;
	struct report why;

	if (documents_read(text, strlen(text), &documents, &why) < 0)
		fail_msg("%s\n%s", why.text, text);
	troubles_init(&troubles);
	work(&documents, &troubles);
	for (size_t i = 0; i < json_array_size(documents.objects); i++)
		documents_write(&documents, json_array_get(documents.objects, i), out_file);
	for (size_t i = 0; i < json_array_size(troubles.lines); i++)
		fprintf(said_file, "%s\n", json_string_value(json_array_get(troubles.lines, i)));
	result.text = kept(out_file, &out);
	result.said = kept(said_file, &said);
	result.refused = troubles.refused;
	troubles_done(&troubles);
	documents_done(&documents);
	return result;
}

struct injection injected(const char *text, const struct inject_options *options)
{
	static const struct inject_options usual = { .image = "fairdial:test" };

	add_options = options ? options : &usual;
	return through(text, add_all);
}

struct injection removed(const char *text)
{
	return through(text, remove_all);
}

char *printed(const char *text)
{
	return through(text, keep_all).text;
}

char *stripped(const char *text)
{
	return through(text, strip_all).text;
}

static void free_value(void *value)
{
	json_decref(value);
}

json_t *value_at(const char *text, const char *path)
{
	json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL), *value = root;
	char key[256];

	assert_non_null(root);
	after_test(free_value, root);
	while (value && sscanf(path, "%255[^/]", key) == 1) {
		value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
		path += strlen(key);
		path += *path == '/';
	}
	return value;
}
