/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML turned into the tree that JSON would have given: mappings, sequences and scalars. Of a kubeconfig, one document of
 * few forms; of a stream of objects, all that people write by hand. What a plain scalar is, is the reader's to say.
 *
 * Refused in both: tags other than !!str, keys that are no texts, duplicate keys, \0 and deep nesting.
 */
#ifndef FAIRDIAL_YAML_JSON_H
#define FAIRDIAL_YAML_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/report.h"

/* libyaml's version; NULL in a build without it. */
const char *yaml_json_version(void);

/*
 * One document, as far as a kubeconfig needs it. Of the core schema null, true and false are known where they stand plain;
 * all other scalars are texts. Anchors and aliases are refused.
 *
 * The caller decrefs `*ret_root`, a JSON null for an empty document. 0; -EINVAL, reported as "ORIGIN:LINE:COLUMN: ..."
 * without a word of the text, which may be secret; -ENOMEM; -ENOTSUP in a build without libyaml.
 */
int yaml_json_load(const char *origin, const char *text, size_t len, json_t **ret_root, struct report *why);

/* What scalars are that are neither quoted nor tagged. Texts are UTF-8, without \0. */
struct yaml_scalars {
	/* The value, the caller's to free. -EINVAL: JSON has none for it; -ENOMEM. */
	int (*value)(void *context, const char *text, size_t len, json_t **ret);
	/* The same as the key of an object, for free(3). -EINVAL: it is none; -ENOMEM. */
	int (*key)(void *context, const char *text, char **ret);
	void *context;
};

/*
 * All objects of a stream of documents, as an array. Documents with nothing in them, or null, are left out; one that is no
 * mapping is refused. Anchors, aliases, and merge keys ("<<": what a mapping does not say itself it has from there) are
 * understood. Errors are those of yaml_json_load.
 */
int yaml_json_objects(const char *origin, const char *text, size_t len, const struct yaml_scalars *scalars,
		      json_t **ret_objects, struct report *why);

#endif
