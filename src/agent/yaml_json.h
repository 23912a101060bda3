/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as far as a kubeconfig needs it, turned into the tree that JSON would have given: mappings, sequences and
 * scalars of one document. Of the core schema null, true and false are known where they stand plain; all other scalars
 * are texts. Anchors, aliases, tags other than !!str, keys that are no texts, duplicate keys and deep nesting are
 * refused.
 */
#ifndef FAIRDIAL_AGENT_YAML_JSON_H
#define FAIRDIAL_AGENT_YAML_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/report.h"

/* libyaml's version; NULL in a build without it. */
const char *yaml_json_version(void);

/*
 * The caller decrefs `*ret_root`, a JSON null for an empty document. 0; -EINVAL, reported as "ORIGIN:LINE:COLUMN: ..."
 * without a word of the text, which may be secret; -ENOMEM; -ENOTSUP in a build without libyaml.
 */
int yaml_json_load(const char *origin, const char *text, size_t len, json_t **ret_root, struct report *why);

#endif
