/* SPDX-License-Identifier: Apache-2.0 */
#include "services/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/addresses.h"
#include "model/label.h"
#include "model/policy.h"

int reader_no_memory(struct reader *r)
{
	return report(r->report, -ENOMEM, "out of memory");
}

/* ---- values ---- */

#define GOT_TEXT 64

/* What somebody wrote, short enough for an error. */
static const char *got(const json_t *value, char buf[GOT_TEXT])
{
	struct text out = text_into(buf, GOT_TEXT - 3);
	char *written;

	if (json_is_object(value))
		return "an object";
	if (json_is_array(value))
		return "a list";
	written = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
	text_add(&out, written ? written : "?");
	free(written);
	if (out.full)
		memcpy(buf + out.len, "...", 4);
	return buf;
}

int reader_refuse_value(struct reader *r, const struct json_path *at, const char *expects, const json_t *value)
{
	char buf[GOT_TEXT];

	return refuse(r, at, "expected %s, got %s", expects, got(value, buf));
}

int reader_bool(struct reader *r, const struct json_path *at, const json_t *value, bool *ret)
{
	if (!json_is_boolean(value))
		return reader_refuse_value(r, at, "true or false", value);
	*ret = json_is_true(value);
	return 0;
}

int reader_number(struct reader *r, const struct json_path *at, const json_t *value, const char *what, uint16_t *ret)
{
	json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
	char expects[64];

	if (number < 1 || number > 65535) {
		snprintf(expects, sizeof(expects), "%s from 1 to 65535", what);
		return reader_refuse_value(r, at, expects, value);
	}
	*ret = (uint16_t)number;
	return 0;
}

int reader_label(struct reader *r, const struct json_path *at, const json_t *value, const char **ret)
{
	const char *text = json_string_value(value);

	if (!text || !label_is_valid(slice_of(text)))
		return reader_refuse_value(r, at, LABEL_EXPECTS, value);
	*ret = text;
	return 0;
}

int reader_ip(struct reader *r, const struct json_path *at, const json_t *value, struct addr *ret)
{
	const char *text = json_string_value(value);

	if (!text || addr_parse_ip(text, strlen(text), ret) < 0)
		return reader_refuse_value(r, at, "an IP address", value);
	if (!address_is_unicast(ret))
		return reader_refuse_value(r, at, "an address that can be dialed", value);
	return 0;
}

/* ---- objects and lists ---- */

static const struct field *find_field(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

int reader_policy_key(struct reader *r, const struct json_path *at, const json_t *value, struct table_policy *policy)
{
	const struct policy_key *key = policy_find(at->key, strlen(at->key));
	const char *text = json_string_value(value);
	char number[24];

	if (!key)
		return -ENOENT;
	if (json_is_integer(value) &&
	    (key->form == FORM_NUMBER || (key->form == FORM_DURATION_OR_OFF && json_integer_value(value) == 0))) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		text = number;
	} else if (key->form == FORM_NUMBER) {
		text = NULL;
	}
	if (!text || policy_set(policy, key, text, strlen(text), ORIGIN_FILE) < 0)
		return reader_refuse_value(r, at, key->expects, value);
	return 0;
}

int reader_object(struct reader *r, const struct json_path *at, const json_t *value, const struct field *fields,
		  struct table_policy *policy, void *into)
{
	const char *name;
	json_t *member;
	int err;

	json_object_foreach((json_t *)value, name, member)
	{
		struct json_path here = { at, name, 0 };

		if (find_field(fields, name))
			continue;
		err = policy ? reader_policy_key(r, &here, member, policy) : -ENOENT;
		if (err == -ENOENT)
			return refuse(r, &here, "unknown key");
		if (err < 0)
			return err;
	}
	for (; fields->name; fields++) {
		struct json_path here = { at, fields->name, 0 };

		member = json_object_get(value, fields->name);
		if (!member && fields->required)
			return refuse(r, &here, "missing: expected %s", fields->required);
		err = member ? fields->read(r, &here, member, into) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

int reader_list(struct reader *r, const struct json_path *at, const json_t *value, const char *expects, size_t size,
		void *ret_array, size_t *ret_count)
{
	size_t n = json_array_size(value);
	void *array;

	if (!json_is_array(value))
		return reader_refuse_value(r, at, expects, value);
	array = arena_alloc(&r->arena, n, size);
	if (!array)
		return reader_no_memory(r);
	memcpy(ret_array, &array, sizeof(array));
	*ret_count = n;
	return 0;
}

int reader_note(struct reader *r, struct index *index, const void *key, size_t len, size_t element)
{
	void *before = index_get(index, key, len), *copy;

	if (before)
		return (int)(uintptr_t)before;
	copy = arena_text(&r->arena, key, len);
	if (!copy || index_put(index, copy, len, (void *)(uintptr_t)element) < 0)
		return reader_no_memory(r);
	return 0;
}
