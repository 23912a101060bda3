/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events, as a tree is built from them. Without libyaml: one line that says how to do without it. */
#include "agent/yaml_json.h"

#include <errno.h>

#ifdef HAVE_YAML

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* More than any kubeconfig, and little enough for the stack. */
#define DEPTH_MAX 64

struct loading {
	yaml_parser_t parser;
	yaml_event_t event; /* the one at hand */
	const char *origin;
	struct report *why;
};

const char *yaml_json_version(void)
{
	return yaml_get_version_string();
}

static int refuse(struct loading *l, yaml_mark_t at, const char *reason)
{
	return report(l->why, -EINVAL, "%s:%zu:%zu: %s", l->origin, at.line + 1, at.column + 1, reason);
}

static int refuse_event(struct loading *l, const char *reason)
{
	return refuse(l, l->event.start_mark, reason);
}

static int no_memory(struct loading *l)
{
	return report(l->why, -ENOMEM, "out of memory");
}

static int next(struct loading *l)
{
	yaml_event_delete(&l->event);
	if (yaml_parser_parse(&l->parser, &l->event))
		return 0;
	if (l->parser.error == YAML_MEMORY_ERROR)
		return no_memory(l);
	/* libyaml's words are its own; none quotes the text. The reader's mistakes have an offset only. */
	return refuse(l, l->parser.error == YAML_READER_ERROR ? l->parser.mark : l->parser.problem_mark,
		      l->parser.problem ? l->parser.problem : "not good YAML");
}

/* ---- scalars ---- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

/* YAML 1.2, section 10.3.2, as far as it goes here. */
static json_t *plain(const char *text, size_t len)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };

	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	return is_one_of(text, falses) ? json_false() : json_stringn(text, len);
}

static int check_tag(struct loading *l, const yaml_char_t *tag)
{
	if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, YAML_STR_TAG) == 0)
		return 0;
	return refuse_event(l, "a tag is not understood here: leave it out");
}

static int check_scalar(struct loading *l)
{
	int err = check_tag(l, l->event.data.scalar.tag);

	if (err < 0)
		return err;
	if (l->event.data.scalar.anchor)
		return refuse_event(l, "anchors are not understood here: write the value out");
	if (memchr(l->event.data.scalar.value, '\0', l->event.data.scalar.length))
		return refuse_event(l, "a text must not hold \\0");
	return 0;
}

static int scalar(struct loading *l, json_t **ret)
{
	const char *text = (const char *)l->event.data.scalar.value;
	size_t len = l->event.data.scalar.length;
	int err = check_scalar(l);

	if (err < 0)
		return err;
	*ret = l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !l->event.data.scalar.tag
		       ? plain(text, len)
		       : json_stringn(text, len);
	return *ret ? 0 : no_memory(l);
}

/* ---- collections: each is given its first event, and leaves the event that ends it ---- */

static int node(struct loading *l, unsigned depth, json_t **ret);

static int check_collection(struct loading *l, const yaml_char_t *anchor, const yaml_char_t *tag, unsigned depth)
{
	if (anchor)
		return refuse_event(l, "anchors are not understood here: write the value out");
	if (depth >= DEPTH_MAX)
		return refuse_event(l, "nested too deep");
	return tag ? refuse_event(l, "a tag is not understood here: leave it out") : 0;
}

static int sequence(struct loading *l, unsigned depth, json_t *array)
{
	int err = check_collection(l, l->event.data.sequence_start.anchor, l->event.data.sequence_start.tag, depth);

	while (err == 0) {
		json_t *item = NULL;

		err = next(l);
		if (err < 0 || l->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		err = node(l, depth + 1, &item);
		if (err == 0 && json_array_append_new(array, item) < 0)
			err = no_memory(l);
	}
	return err;
}

/* The key of a member, from the event at hand. The caller frees `*ret`. */
static int key(struct loading *l, json_t *object, char **ret)
{
	int err;

	if (l->event.type == YAML_ALIAS_EVENT)
		return refuse_event(l, "aliases are not understood here: write the value out");
	if (l->event.type != YAML_SCALAR_EVENT)
		return refuse_event(l, "a key must be a text");
	err = check_scalar(l);
	if (err < 0)
		return err;
	if (json_object_get(object, (const char *)l->event.data.scalar.value))
		return refuse_event(l, "duplicate key");
	*ret = strdup((const char *)l->event.data.scalar.value);
	return *ret ? 0 : no_memory(l);
}

static int member(struct loading *l, unsigned depth, json_t *object)
{
	json_t *value = NULL;
	char *name = NULL;
	int err = key(l, object, &name);

	if (err == 0)
		err = next(l);
	if (err == 0)
		err = node(l, depth + 1, &value);
	if (err == 0 && json_object_set_new(object, name, value) < 0)
		err = no_memory(l);
	free(name);
	return err;
}

static int mapping(struct loading *l, unsigned depth, json_t *object)
{
	int err = check_collection(l, l->event.data.mapping_start.anchor, l->event.data.mapping_start.tag, depth);

	while (err == 0) {
		err = next(l);
		if (err < 0 || l->event.type == YAML_MAPPING_END_EVENT)
			break;
		err = member(l, depth, object);
	}
	return err;
}

static int collection(struct loading *l, unsigned depth, json_t **ret)
{
	bool is_mapping = l->event.type == YAML_MAPPING_START_EVENT;
	json_t *value = is_mapping ? json_object() : json_array();
	int err;

	if (!value)
		return no_memory(l);
	err = is_mapping ? mapping(l, depth, value) : sequence(l, depth, value);
	if (err < 0)
		json_decref(value);
	else
		*ret = value;
	return err;
}

static int node(struct loading *l, unsigned depth, json_t **ret)
{
	switch (l->event.type) {
	case YAML_SCALAR_EVENT:
		return scalar(l, ret);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return collection(l, depth, ret);
	default: /* the grammar leaves one */
		return refuse_event(l, "aliases are not understood here: write the value out");
	}
}

/* ---- the stream: a start, at most one document, an end ---- */

static int end_of_document(struct loading *l)
{
	int err = next(l); /* the document's end */

	if (err == 0)
		err = next(l);
	if (err == 0 && l->event.type != YAML_STREAM_END_EVENT)
		err = refuse_event(l, "a second document: one is expected");
	return err;
}

static int stream(struct loading *l, json_t **ret)
{
	json_t *root = NULL;
	int err = next(l);

	if (err == 0)
		err = next(l);
	if (err == 0 && l->event.type == YAML_STREAM_END_EVENT) {
		*ret = json_null();
		return 0;
	}
	if (err == 0)
		err = next(l);
	if (err == 0)
		err = node(l, 0, &root);
	if (err == 0)
		err = end_of_document(l);
	if (err < 0)
		json_decref(root);
	else
		*ret = root;
	return err;
}

int yaml_json_load(const char *origin, const char *text, size_t len, json_t **ret_root, struct report *why)
{
	struct loading l = { .origin = origin, .why = why };
	int err;

	if (!yaml_parser_initialize(&l.parser))
		return no_memory(&l);
	yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
	err = stream(&l, ret_root);
	yaml_event_delete(&l.event);
	yaml_parser_delete(&l.parser);
	return err;
}

#else

const char *yaml_json_version(void)
{
	return NULL;
}

int yaml_json_load(const char *origin, const char *text, size_t len, json_t **ret_root, struct report *why)
{
	(void)text;
	(void)len;
	(void)ret_root;
	return report(
		why, -ENOTSUP,
		"%s: YAML needs a build with libyaml: make deps, or convert it: kubectl config view --raw -o json",
		origin);
}

#endif
