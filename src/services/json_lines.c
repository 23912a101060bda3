/* SPDX-License-Identifier: Apache-2.0 */
/* A scanner that knows where values of a good JSON text end, and nothing of what they are. */
#include "services/json_lines.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct scan {
	const char *at, *end;
	size_t line;
};

static char peek(const struct scan *scan)
{
	return scan->at < scan->end ? *scan->at : '\0';
}

static void step(struct scan *scan)
{
	if (scan->at < scan->end && *scan->at++ == '\n')
		scan->line++;
}

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && (text_is_space(*scan->at) || *scan->at == ',' || *scan->at == ':'))
		step(scan);
}

/* From its quote on; the piece with both quotes. */
static struct slice skip_string(struct scan *scan)
{
	const char *start = scan->at;

	for (step(scan); scan->at < scan->end && *scan->at != '"'; step(scan))
		if (*scan->at == '\\')
			step(scan);
	step(scan);
	return (struct slice){ start, (size_t)(scan->at - start) };
}

static void skip_value(struct scan *scan)
{
	size_t depth = 0;

	do {
		char c = peek(scan);

		if (c == '"') {
			skip_string(scan);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && depth-- == 0)
			return; /* a bare word that ends with what it is in */
		step(scan);
		if ((c == '}' || c == ']') && depth == 0)
			return;
	} while (scan->at < scan->end && (depth > 0 || (!text_is_space(peek(scan)) && peek(scan) != ',')));
}

/* Whether a key as it is written, with quotes and perhaps escapes, is this one. */
static bool key_is(struct slice written, const char *key)
{
	json_t *value;
	bool same;

	if (written.len < 2)
		return false;
	if (!memchr(written.at, '\\', written.len))
		return slice_is((struct slice){ written.at + 1, written.len - 2 }, key);
	value = json_loadb(written.at, written.len, JSON_DECODE_ANY, NULL);
	same = value && json_is_string(value) && strcmp(json_string_value(value), key) == 0;
	json_decref(value);
	return same;
}

/* Into the member of an object, or the element of an array. False where there is none; the scan is then anywhere. */
static bool enter(struct scan *scan, const struct json_path *path, size_t *ret_line)
{
	skip_space(scan);
	if (peek(scan) != (path->key ? '{' : '['))
		return false;
	step(scan);
	for (size_t i = 0;; i++) {
		struct slice key = { NULL, 0 };
		size_t line;

		skip_space(scan);
		line = scan->line;
		if (scan->at == scan->end || peek(scan) == '}' || peek(scan) == ']')
			return false;
		if (path->key) {
			key = skip_string(scan);
			skip_space(scan);
		}
		if (path->key ? key_is(key, path->key) : i == path->index) {
			*ret_line = line;
			return true;
		}
		skip_value(scan);
	}
}

/* Recursion as deep as the path, which callers build by hand. */
static bool walk(struct scan *scan, const struct json_path *path, size_t *ret_line)
{
	if (!path) {
		skip_space(scan);
		*ret_line = scan->line;
		return true;
	}
	return walk(scan, path->up, ret_line) && enter(scan, path, ret_line);
}

size_t json_lines_find(const char *text, size_t len, const struct json_path *path)
{
	struct scan scan = { text, text + len, 1 };
	size_t line = 1;

	walk(&scan, path, &line);
	return line;
}

/* ---- paths ---- */

static bool is_plain(const char *key)
{
	for (const char *c = key; *c; c++)
		if (!text_is_digit(*c) && !(text_lower(*c) >= 'a' && text_lower(*c) <= 'z') && *c != '_' && *c != '-')
			return false;
	return key[0] != '\0';
}

static void print(const struct json_path *path, struct text *out)
{
	if (!path)
		return;
	print(path->up, out);
	if (!path->key) {
		text_add_char(out, '[');
		text_add_number(out, path->index, 10);
		text_add_char(out, ']');
	} else if (is_plain(path->key)) {
		if (out->len)
			text_add_char(out, '.');
		text_add(out, path->key);
	} else {
		text_add(out, "[\"");
		text_add(out, path->key);
		text_add(out, "\"]");
	}
}

char *json_path_print(const struct json_path *path, char *buf, size_t size)
{
	struct text out = text_into(buf, size);

	print(path, &out);
	return buf;
}

int json_refuse(const struct json_source *source, const struct json_path *at, struct report *report_,
		const char *format, ...)
{
	char path[200], reason[400];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	json_path_print(at, path, sizeof(path));
	return report(report_, -EINVAL, "%s:%zu: %s%s%s", source->origin,
		      json_lines_find(source->text, source->len, at), path, path[0] ? ": " : "", reason);
}
