/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml/anchors.h"

#include <errno.h>
#include <string.h>

/* More than any manifest has twice, and little memory. */
#define COPIED_MAX ((size_t)16 << 20)
/* What a value takes beside its text. */
#define VALUE_SIZE 64

int yaml_anchors_init(struct yaml_anchors *anchors)
{
	*anchors = (struct yaml_anchors){ .values = json_object() };
	return anchors->values ? 0 : -ENOMEM;
}

void yaml_anchors_done(struct yaml_anchors *anchors)
{
	json_decref(anchors->values);
}

int yaml_anchors_set(struct yaml_anchors *anchors, const char *name, json_t *value)
{
	return json_object_set(anchors->values, name, value) < 0 ? -ENOMEM : 0;
}

void yaml_anchors_forget(struct yaml_anchors *anchors)
{
	json_object_clear(anchors->values);
}

/* Adds up what a copy takes; how many collections are nested in it, itself too: no more than the loader allows. */
static unsigned measure(const json_t *value, size_t *size)
{
	unsigned depth = 0;
	const char *key;
	json_t *item;

	*size += VALUE_SIZE + json_string_length(value);
	for (size_t i = 0; i < json_array_size(value); i++) {
		unsigned below = measure(json_array_get(value, i), size);

		depth = below > depth ? below : depth;
	}
	json_object_foreach((json_t *)value, key, item)
	{
		unsigned below = measure(item, size);

		*size += strlen(key);
		depth = below > depth ? below : depth;
	}
	return depth + (json_is_object(value) || json_is_array(value));
}

int yaml_anchors_get(struct yaml_anchors *anchors, const char *name, unsigned depth, json_t **ret)
{
	json_t *value = json_object_get(anchors->values, name), *copy;
	size_t size = 0;

	if (!value)
		return -ENOENT;
	if (measure(value, &size) > depth || size > COPIED_MAX - anchors->copied)
		return -E2BIG;
	copy = json_deep_copy(value);
	if (!copy)
		return -ENOMEM;
	anchors->copied += size;
	*ret = copy;
	return 0;
}
