/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/documents.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "inject/documents_yaml.h"
#include "inject/literals.h"

struct hiding {
	FILE *out;
	size_t length; /* of what was written to it */
	struct literals literals;
};

/* ---- numbers ---- */

static void copy(struct hiding *h, const char *at, size_t length)
{
	fwrite(at, 1, length, h->out);
	h->length += length;
}

static int hide(struct hiding *h, size_t at, size_t length)
{
	h->length += (size_t)fprintf(h->out, "%zu.0", h->literals.count);
	return literals_add(&h->literals, (struct literal){ at, length, h->length });
}

/* To behind the quote that ends it. */
static size_t string_length(const char *text, size_t at, size_t length)
{
	size_t end = at + 1;

	while (end < length && text[end] != '"')
		end += text[end] == '\\' ? 2 : 1;
	return (end < length ? end + 1 : length) - at;
}

static size_t number_length(const char *text, size_t at, size_t length)
{
	size_t end = at;

	while (end < length && text[end] && strchr("+-.0123456789eE", text[end]))
		end++;
	return end - at;
}

static int hide_all(struct hiding *h, const char *text, size_t length)
{
	int err = 0;

	for (size_t at = 0, n; at < length && err == 0; at += n) {
		if (text[at] == '"') {
			n = string_length(text, at, length);
			copy(h, text + at, n);
		} else if (text[at] == '-' || isdigit((unsigned char)text[at])) {
			n = number_length(text, at, length);
			if (literals_needed(text + at, n))
				err = hide(h, at, n);
			else
				copy(h, text + at, n);
		} else {
			n = 1;
			copy(h, text + at, n);
		}
	}
	return err;
}

/* ---- in ---- */

/* A place in the text that jansson was given, in the one that came. */
static size_t came_from(const struct hiding *h, size_t hidden)
{
	for (size_t i = h->literals.count; i-- > 0;) {
		const struct literal *literal = &h->literals.list[i];

		if (literal->hidden_end <= hidden)
			return literal->at + literal->length + hidden - literal->hidden_end;
	}
	return hidden;
}

static int refuse(const char *text, size_t at, struct report *why, const char *what)
{
	size_t line = 1, column = 1;
	int err;

	for (size_t i = 0; i < at; i++) {
		line += text[i] == '\n';
		column = text[i] == '\n' ? 1 : column + ((text[i] & 0xc0) != 0x80);
	}
	err = report(why, -EINVAL, "standard input:%zu:%zu: %s: expected objects in JSON, as kubectl get -o json prints them",
		     line, column, what);
	for (char *c = why->text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return err;
}

static int read_all(const struct hiding *h, const char *hidden, const char *text, json_t *objects, struct report *why)
{
	for (size_t at = 0;;) {
		json_error_t error;
		json_t *object;

		while (at < h->length && strchr(" \t\r\n", hidden[at]) && hidden[at])
			at++;
		if (at == h->length)
			return 0;
		object = json_loadb(hidden + at, h->length - at,
				    JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
		if (!object)
			return refuse(text, came_from(h, at + (size_t)error.position), why, error.text);
		if (!json_is_object(object)) {
			json_decref(object);
			return refuse(text, came_from(h, at), why, "an array");
		}
		json_array_append_new(objects, object);
		at += (size_t)error.position;
	}
}

static int read_json(const char *text, size_t length, struct documents *ret_documents, struct report *why)
{
	char *hidden = NULL;
	size_t hidden_length;
	struct hiding h = { .out = open_memstream(&hidden, &hidden_length) };
	json_t *objects = json_array();
	int err = h.out ? hide_all(&h, text, length) : -ENOMEM;

	if (h.out && fclose(h.out) != 0)
		err = -ENOMEM;
	if (err == 0)
		err = read_all(&h, hidden, text, objects, why);
	else
		report(why, err, "out of memory");
	free(hidden);
	if (err == 0) {
		*ret_documents = (struct documents){ .objects = objects, .text = text, .literals = h.literals.list };
		return 0;
	}
	free(h.literals.list);
	json_decref(objects);
	return err;
}

int documents_read(const char *text, size_t length, struct documents *ret_documents, struct report *why)
{
	size_t at = 0;

	while (at < length && text_is_space(text[at]))
		at++;
	if (at == length)
		return report(why, -EINVAL,
			      "standard input is empty: pipe an object into it, as in "
			      "kubectl get deployment web -o yaml | fairdial inject");
	if (text[at] == '{' || text[at] == '[')
		return read_json(text, length, ret_documents, why);
	return documents_read_yaml(text, length, ret_documents, why);
}

void documents_done(struct documents *documents)
{
	json_decref(documents->objects);
	free(documents->literals);
	free(documents->numbers);
}

/* ---- out ---- */

/* Two characters that JSON allows in a string and JavaScript does not: U+2028 and U+2029. */
static bool is_line_separator(const unsigned char *at, size_t left)
{
	return left >= 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

static void write_string(const char *text, size_t length, FILE *out)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const unsigned char *at = (const unsigned char *)text;

	putc('"', out);
	for (size_t i = 0; i < length; i++) {
		const char *escape = at[i] ? strchr(plain, at[i]) : NULL;

		if (escape)
			fprintf(out, "\\%c", letters[escape - plain]);
		else if (at[i] < ' ' || strchr("<>&", at[i]))
			fprintf(out, "\\u%04x", at[i]);
		else if (is_line_separator(at + i, length - i))
			fprintf(out, "\\u202%x", at[i += 2] & 0xf);
		else
			putc(at[i], out);
	}
	putc('"', out);
}

static void new_line(unsigned depth, FILE *out)
{
	fprintf(out, "\n%*s", (int)(4 * depth), "");
}

static void write_value(const struct documents *d, const json_t *value, unsigned depth, FILE *out);

static void write_object(const struct documents *d, const json_t *object, unsigned depth, FILE *out)
{
	const char *key, *before = "";
	json_t *value;

	putc('{', out);
	json_object_foreach((json_t *)object, key, value)
	{
		fputs(before, out);
		before = ",";
		new_line(depth + 1, out);
		write_string(key, strlen(key), out);
		fputs(": ", out);
		write_value(d, value, depth + 1, out);
	}
	if (*before)
		new_line(depth, out);
	putc('}', out);
}

static void write_array(const struct documents *d, const json_t *array, unsigned depth, FILE *out)
{
	putc('[', out);
	for (size_t i = 0; i < json_array_size(array); i++) {
		fputs(i ? "," : "", out);
		new_line(depth + 1, out);
		write_value(d, json_array_get(array, i), depth + 1, out);
	}
	if (json_array_size(array))
		new_line(depth, out);
	putc(']', out);
}

static void write_literal(const struct documents *d, size_t index, FILE *out)
{
	fwrite(d->text + d->literals[index].at, 1, d->literals[index].length, out);
}

static void write_value(const struct documents *d, const json_t *value, unsigned depth, FILE *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		write_object(d, value, depth, out);
		break;
	case JSON_ARRAY:
		write_array(d, value, depth, out);
		break;
	case JSON_STRING:
		write_string(json_string_value(value), json_string_length(value), out);
		break;
	case JSON_INTEGER:
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		write_literal(d, (size_t)json_real_value(value), out);
		break;
	case JSON_TRUE:
		fputs("true", out);
		break;
	case JSON_FALSE:
		fputs("false", out);
		break;
	case JSON_NULL:
		fputs("null", out);
		break;
	}
}

void documents_write(const struct documents *documents, const json_t *value, FILE *out)
{
	if (documents->is_yaml && json_array_size(documents->objects) > 1)
		fputs("---\n", out);
	write_value(documents, value, 0, out);
	putc('\n', out);
}
