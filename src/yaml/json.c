/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events, as a tree is built from them. Without libyaml: one line that says how to do without it. */
#include "yaml/json.h"

#include <errno.h>

#ifdef HAVE_YAML

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "yaml/anchors.h"

/* More than any kubeconfig, more than any object (the schemas of a CustomResourceDefinition), little enough for the stack. */
#define DEPTH_CONFIG  64
#define DEPTH_OBJECTS 256

struct loading {
	yaml_parser_t parser;
	yaml_event_t event; /* the one at hand */
	const char *origin;
	struct report *why;
	unsigned depth_max;
	const struct yaml_scalars *scalars; /* NULL: a kubeconfig's */
	struct yaml_anchors anchors;
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

static int check_anchor(struct loading *l, const yaml_char_t *anchor)
{
	return anchor && !l->scalars ? refuse_event(l, "anchors are not understood here: write the value out") : 0;
}

static int check_scalar(struct loading *l)
{
	int err = check_tag(l, l->event.data.scalar.tag);

	if (err == 0)
		err = check_anchor(l, l->event.data.scalar.anchor);
	if (err == 0 && memchr(l->event.data.scalar.value, '\0', l->event.data.scalar.length))
		err = refuse_event(l, "a text must not hold \\0");
	return err;
}

static bool is_plain(const struct loading *l)
{
	return l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !l->event.data.scalar.tag;
}

static const char *scalar_text(const struct loading *l)
{
	return (const char *)l->event.data.scalar.value;
}

/* By the reader's rules. */
static int ruled(struct loading *l, json_t **ret)
{
	int err = l->scalars->value(l->scalars->context, scalar_text(l), l->event.data.scalar.length, ret);

	if (err == -EINVAL)
		return refuse_event(l, "JSON has no such number: put it in quotes if it is a text");
	return err < 0 ? no_memory(l) : 0;
}

static int scalar(struct loading *l, json_t **ret)
{
	int err = check_scalar(l);

	if (err < 0)
		return err;
	if (is_plain(l) && l->scalars)
		return ruled(l, ret);
	*ret = is_plain(l) ? plain(scalar_text(l), l->event.data.scalar.length)
			   : json_stringn(scalar_text(l), l->event.data.scalar.length);
	return *ret ? 0 : no_memory(l);
}

static int alias(struct loading *l, unsigned depth, json_t **ret)
{
	int err;

	if (!l->scalars)
		return refuse_event(l, "aliases are not understood here: write the value out");
	err = yaml_anchors_get(&l->anchors, (const char *)l->event.data.alias.anchor, l->depth_max - depth, ret);
	if (err == -ENOENT)
		return refuse_event(l, "an alias of an anchor that is not above it");
	if (err == -E2BIG)
		return refuse_event(l, "aliases stand for too much, or nest it too deep: write the value out");
	return err < 0 ? no_memory(l) : 0;
}

/* ---- collections: each is given its first event, and leaves the event that ends it ---- */

static int node(struct loading *l, unsigned depth, json_t **ret);

static int check_collection(struct loading *l, const yaml_char_t *anchor, const yaml_char_t *tag, unsigned depth)
{
	int err = check_anchor(l, anchor);

	if (err < 0)
		return err;
	if (depth >= l->depth_max)
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

/* The key of a member, as a text for free(3). */
static int key_text(struct loading *l, char **ret)
{
	int err = 0;

	if (is_plain(l) && l->scalars) {
		err = l->scalars->key(l->scalars->context, scalar_text(l), ret);
		if (err == -EINVAL)
			return refuse_event(l, "a key must be a text: put it in quotes");
	} else {
		*ret = strdup(scalar_text(l));
	}
	return err < 0 || !*ret ? no_memory(l) : 0;
}

/* From the event at hand. The caller frees `*ret`. */
static int key(struct loading *l, json_t *object, char **ret)
{
	char *text = NULL;
	int err;

	if (l->event.type == YAML_ALIAS_EVENT)
		return refuse_event(l, "aliases are not understood here: write the value out");
	if (l->event.type != YAML_SCALAR_EVENT)
		return refuse_event(l, "a key must be a text");
	err = check_scalar(l);
	if (err == 0 && l->event.data.scalar.anchor)
		err = refuse_event(l, "anchors of keys are not understood here: leave it out");
	if (err == 0)
		err = key_text(l, &text);
	if (err == 0 && json_object_get(object, text))
		err = refuse_event(l, "duplicate key");
	if (err < 0)
		free(text);
	else
		*ret = text;
	return err;
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

/* ---- merge keys (yaml.org/type/merge): of several mappings the earlier goes first, and before all what is said itself ---- */

static bool is_merge(const struct loading *l)
{
	return l->scalars && l->event.type == YAML_SCALAR_EVENT && is_plain(l) && strcmp(scalar_text(l), "<<") == 0;
}

static bool append_mappings(json_t *merged, json_t *value)
{
	bool good = json_is_object(value) ? json_array_append(merged, value) == 0 : json_is_array(value);

	for (size_t i = 0; good && i < json_array_size(value); i++)
		good = json_is_object(json_array_get(value, i)) && json_array_append(merged, json_array_get(value, i)) == 0;
	return good;
}

/* Notes in `merged` what the mapping is to have beside its own. */
static int merge(struct loading *l, unsigned depth, json_t *merged)
{
	yaml_mark_t at = l->event.start_mark;
	json_t *value = NULL;
	int err = next(l);

	if (err == 0)
		err = node(l, depth + 1, &value);
	if (err == 0 && !append_mappings(merged, value))
		err = refuse(l, at, "a merge key needs a mapping, or a list of mappings");
	json_decref(value);
	return err;
}

static int merge_all(struct loading *l, json_t *object, const json_t *merged)
{
	for (size_t i = 0; i < json_array_size(merged); i++)
		if (json_object_update_missing(object, json_array_get(merged, i)) < 0)
			return no_memory(l);
	return 0;
}

static int members(struct loading *l, unsigned depth, json_t *object, json_t *merged)
{
	int err = 0;

	while (err == 0) {
		err = next(l);
		if (err < 0 || l->event.type == YAML_MAPPING_END_EVENT)
			break;
		err = is_merge(l) ? merge(l, depth, merged) : member(l, depth, object);
	}
	return err;
}

static int mapping(struct loading *l, unsigned depth, json_t *object)
{
	int err = check_collection(l, l->event.data.mapping_start.anchor, l->event.data.mapping_start.tag, depth);
	json_t *merged;

	if (err < 0)
		return err;
	merged = json_array();
	err = merged ? members(l, depth, object, merged) : no_memory(l);
	if (err == 0)
		err = merge_all(l, object, merged);
	json_decref(merged);
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

static int value(struct loading *l, unsigned depth, json_t **ret)
{
	switch (l->event.type) {
	case YAML_SCALAR_EVENT:
		return scalar(l, ret);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return collection(l, depth, ret);
	default: /* the grammar leaves one */
		return alias(l, depth, ret);
	}
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* An anchor stands for its value once that is whole: it cannot hold itself. */
static int node(struct loading *l, unsigned depth, json_t **ret)
{
	const yaml_char_t *anchor = anchor_of(&l->event);
	char *name = anchor ? strdup((const char *)anchor) : NULL;
	json_t *made = NULL;
	int err = anchor && !name ? no_memory(l) : value(l, depth, &made);

	if (err == 0 && name && yaml_anchors_set(&l->anchors, name, made) < 0)
		err = no_memory(l);
	free(name);
	if (err < 0)
		json_decref(made);
	else
		*ret = made;
	return err;
}

/* ---- the stream: a start, documents, an end ---- */

/* At the first event of a document, or the end of the stream. */
static int start(struct loading *l)
{
	int err = next(l);

	return err < 0 ? err : next(l);
}

static int end_of_document(struct loading *l)
{
	int err = next(l); /* the document's end */

	return err < 0 ? err : next(l);
}

/* At most one. */
static int document(struct loading *l, json_t **ret)
{
	json_t *root = NULL;
	int err = start(l);

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
	if (err == 0 && l->event.type != YAML_STREAM_END_EVENT)
		err = refuse_event(l, "a second document: one is expected");
	if (err < 0)
		json_decref(root);
	else
		*ret = root;
	return err;
}

/* One of several, into `objects` unless it is empty; to the start of the next, or the end. */
static int object(struct loading *l, json_t *objects)
{
	json_t *root = NULL;
	yaml_mark_t at;
	int err = next(l);

	if (err < 0)
		return err;
	at = l->event.start_mark;
	yaml_anchors_forget(&l->anchors);
	err = node(l, 0, &root);
	if (err == 0 && !json_is_null(root) && !json_is_object(root))
		err = refuse(l, at, "no object: each document is expected to be one, with apiVersion and kind");
	if (err == 0 && json_is_object(root) && json_array_append(objects, root) < 0)
		err = no_memory(l);
	json_decref(root);
	return err < 0 ? err : end_of_document(l);
}

static int stream(struct loading *l, json_t **ret)
{
	json_t *objects = json_array();
	int err = objects ? start(l) : no_memory(l);

	while (err == 0 && l->event.type != YAML_STREAM_END_EVENT)
		err = object(l, objects);
	if (err < 0)
		json_decref(objects);
	else
		*ret = objects;
	return err;
}

static int load(struct loading *l, const char *text, size_t len, int (*read)(struct loading *l, json_t **ret), json_t **ret)
{
	int err;

	if (yaml_anchors_init(&l->anchors) < 0)
		return no_memory(l);
	if (!yaml_parser_initialize(&l->parser)) {
		yaml_anchors_done(&l->anchors);
		return no_memory(l);
	}
	yaml_parser_set_input_string(&l->parser, (const unsigned char *)text, len);
	err = read(l, ret);
	yaml_event_delete(&l->event);
	yaml_parser_delete(&l->parser);
	yaml_anchors_done(&l->anchors);
	return err;
}

int yaml_json_load(const char *origin, const char *text, size_t len, json_t **ret_root, struct report *why)
{
	struct loading l = { .origin = origin, .why = why, .depth_max = DEPTH_CONFIG };

	return load(&l, text, len, document, ret_root);
}

int yaml_json_objects(const char *origin, const char *text, size_t len, const struct yaml_scalars *scalars,
		      json_t **ret_objects, struct report *why)
{
	struct loading l = { .origin = origin, .why = why, .depth_max = DEPTH_OBJECTS, .scalars = scalars };

	return load(&l, text, len, stream, ret_objects);
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

int yaml_json_objects(const char *origin, const char *text, size_t len, const struct yaml_scalars *scalars,
		      json_t **ret_objects, struct report *why)
{
	(void)text;
	(void)len;
	(void)scalars;
	(void)ret_objects;
	return report(why, -ENOTSUP,
		      "%s: YAML needs a build with libyaml: make deps, or convert it: "
		      "kubectl create --dry-run=client -o json -f FILE",
		      origin);
}

#endif
