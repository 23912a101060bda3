/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors. */
#include "support/testing.h"

#include "support/api_state.h"

/* One condition of a selector: "key", "!key", "key=value", "key!=value", "key in (a,b)", "key notin (a,b)". */
struct condition {
	char key[256], values[512]; /* values: "a,b" */
	enum { HAS, HAS_NOT, IN, NOT_IN } test;
};

static size_t span_of_key(const char *text)
{
	return strcspn(text, " ,=!()");
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " ");
}

static void copy_span(char *to, size_t size, const char *from, size_t length)
{
	snprintf(to, size, "%.*s", (int)length, from);
}

/* The set behind "in"; NULL where it is none. */
static const char *read_set(const char *text, struct condition *c)
{
	const char *end = *text == '(' ? strchr(text, ')') : NULL;

	if (!end)
		return NULL;
	copy_span(c->values, sizeof(c->values), text + 1, (size_t)(end - text - 1));
	return end + 1;
}

/* Reads one; returns what is behind it and its comma, NULL where it makes no sense. */
static const char *read_condition(const char *text, struct condition *c)
{
	size_t length;

	text = skip_blanks(text);
	c->test = *text == '!' ? HAS_NOT : HAS;
	text += c->test == HAS_NOT;
	length = span_of_key(text);
	copy_span(c->key, sizeof(c->key), text, length);
	text = skip_blanks(text + length);
	if (!length)
		return NULL;
	if (strncmp(text, "in ", 3) == 0 || strncmp(text, "in(", 3) == 0) {
		c->test = IN;
		text = read_set(skip_blanks(text + 2), c);
	} else if (strncmp(text, "notin ", 6) == 0 || strncmp(text, "notin(", 6) == 0) {
		c->test = NOT_IN;
		text = read_set(skip_blanks(text + 5), c);
	} else if (*text == '=' || (text[0] == '!' && text[1] == '=')) {
		c->test = *text == '=' ? IN : NOT_IN;
		text = skip_blanks(text + 1 + (text[1] == '='));
		length = strcspn(text, " ,");
		copy_span(c->values, sizeof(c->values), text, length);
		text += length;
	}
	if (!text)
		return NULL;
	text = skip_blanks(text);
	return *text == ',' ? text + 1 : *text ? NULL : text;
}

static bool is_among(const char *value, const char *values)
{
	for (;; values++) {
		const char *item = skip_blanks(values);
		size_t length = strcspn(item, ",");

		values = item + length;
		while (length && item[length - 1] == ' ')
			length--;
		if (length == strlen(value) && memcmp(item, value, length) == 0)
			return true;
		if (!*values)
			return false;
	}
}

/* `value` NULL: it has none. */
static bool condition_holds(const struct condition *c, const char *value)
{
	switch (c->test) {
	case HAS:
		return value;
	case HAS_NOT:
		return !value;
	case IN:
		return value && is_among(value, c->values);
	case NOT_IN:
		return !value || !is_among(value, c->values);
	}
	return false;
}

static const char *label_of(const struct api_object *o, const char *key)
{
	json_t *labels = json_object_get(json_object_get(o->json, "metadata"), "labels");

	return json_string_value(json_object_get(labels, key));
}

static bool field_is_known(enum kube_kind kind, const char *key)
{
	return !strcmp(key, "metadata.name") || !strcmp(key, "metadata.namespace") ||
	       (kind == KUBE_SERVICE && (!strcmp(key, "spec.clusterIP") || !strcmp(key, "spec.type")));
}

/* Of "spec.clusterIP"; a field that is not there is empty. */
static const char *field_of(const struct api_object *o, const char *key)
{
	const char *dot = strchr(key, '.'), *value;
	char first[32];

	copy_span(first, sizeof(first), key, (size_t)(dot - key));
	value = json_string_value(json_object_get(json_object_get(o->json, first), dot + 1));
	return value ? value : "";
}

static bool labels_match(const struct api_filter *f, const struct api_object *o)
{
	struct condition c;

	for (const char *text = f->labels; text && *text;) {
		text = read_condition(text, &c);
		if (!condition_holds(&c, label_of(o, c.key)))
			return false;
	}
	return true;
}

static bool fields_match(const struct api_filter *f, const struct api_object *o)
{
	struct condition c;

	for (const char *text = f->fields; text && *text;) {
		text = read_condition(text, &c);
		if (!condition_holds(&c, field_of(o, c.key)))
			return false;
	}
	return true;
}

bool filter_matches(const struct api_filter *f, const struct api_object *o)
{
	return o->kind == f->kind && (!f->namespace || !strcmp(o->namespace, f->namespace)) && labels_match(f, o) &&
	       fields_match(f, o);
}

static bool labels_are_valid(const char *text, struct text *problem)
{
	struct condition c;

	while (text && *text) {
		const char *rest = read_condition(text, &c);

		if (!rest) {
			text_printf(problem, "unable to parse requirement: found '%s'", text);
			return false;
		}
		text = rest;
	}
	return true;
}

static bool fields_are_valid(enum kube_kind kind, const char *text, struct text *problem)
{
	struct condition c;

	while (text && *text) {
		const char *rest = read_condition(text, &c);

		if (!rest || c.test == HAS || c.test == HAS_NOT) {
			text_printf(problem, "invalid selector: '%s'; can't understand '%s'", text, text);
			return false;
		}
		if (!field_is_known(kind, c.key)) {
			text_printf(problem, "field label not supported: %s", c.key);
			return false;
		}
		text = rest;
	}
	return true;
}

bool filter_is_valid(const struct api_filter *f, struct text *problem)
{
	return labels_are_valid(f->labels, problem) && fields_are_valid(f->kind, f->fields, problem);
}

void filter_done(struct api_filter *f)
{
	free(f->namespace);
	free(f->labels);
	free(f->fields);
	*f = (struct api_filter){ 0 };
}
