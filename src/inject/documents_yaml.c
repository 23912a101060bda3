/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars by Kubernetes' rules; numbers that jansson does not keep are literals in a text of their own. */
#include "inject/documents_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inject/literals.h"
#include "inject/scalars.h"
#include "yaml/json.h"

struct numbers {
	FILE *out;
	size_t length; /* of what was written to it */
	struct literals literals;
};

static int number(struct numbers *numbers, const char *text, json_t **ret)
{
	size_t length = strlen(text), index = numbers->literals.count;
	int err = 0;

	if (!literals_needed(text, length)) {
		*ret = json_integer(strtoll(text, NULL, 10));
		return *ret ? 0 : -ENOMEM;
	}
	err = literals_add(&numbers->literals, (struct literal){ .at = numbers->length, .length = length });
	if (err < 0)
		return err;
	fwrite(text, 1, length, numbers->out);
	numbers->length += length;
	*ret = json_real((double)index);
	return *ret ? 0 : -ENOMEM;
}

static int value(void *context, const char *text, size_t length, json_t **ret)
{
	char as_number[SCALAR_NUMBER_SIZE];

	switch (scalars_kind(text, as_number)) {
	case SCALAR_NULL:
		*ret = json_null();
		return 0;
	case SCALAR_TRUE:
		*ret = json_true();
		return 0;
	case SCALAR_FALSE:
		*ret = json_false();
		return 0;
	case SCALAR_NUMBER:
		return number(context, as_number, ret);
	case SCALAR_ENDLESS:
		return -EINVAL;
	case SCALAR_TEXT:
		break;
	}
	*ret = json_stringn(text, length);
	return *ret ? 0 : -ENOMEM;
}

/* sigs.k8s.io/yaml: keys become texts, `8080:` and `on:` too, but null is none. */
static int key(void *context, const char *text, char **ret)
{
	char as_number[SCALAR_NUMBER_SIZE];

	(void)context;
	switch (scalars_kind(text, as_number)) {
	case SCALAR_NULL:
		return -EINVAL;
	case SCALAR_TRUE:
		*ret = strdup("true");
		break;
	case SCALAR_FALSE:
		*ret = strdup("false");
		break;
	case SCALAR_NUMBER:
		*ret = strdup(as_number);
		break;
	case SCALAR_ENDLESS:
	case SCALAR_TEXT:
		*ret = strdup(text);
		break;
	}
	return *ret ? 0 : -ENOMEM;
}

int documents_read_yaml(const char *text, size_t length, struct documents *ret_documents, struct report *why)
{
	char *written = NULL;
	size_t size;
	struct numbers numbers = { .out = open_memstream(&written, &size) };
	const struct yaml_scalars scalars = { value, key, &numbers };
	json_t *objects = NULL;
	int err = numbers.out ? yaml_json_objects("standard input", text, length, &scalars, &objects, why)
			      : report(why, -ENOMEM, "out of memory");

	if (numbers.out && fclose(numbers.out) != 0 && err == 0)
		err = report(why, -ENOMEM, "out of memory");
	if (err == 0) {
		*ret_documents = (struct documents){ .objects = objects,
						     .text = written,
						     .literals = numbers.literals.list,
						     .numbers = written,
						     .is_yaml = true };
		return 0;
	}
	json_decref(objects);
	free(numbers.literals.list);
	free(written);
	return err;
}
