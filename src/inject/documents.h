/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out, as `kubectl get -o json` prints it: what is not touched comes out as it went in. Keys stay in their order,
 * and a number as it was written ("1.50", 2^64, "1e3"), which a double or an integer would not keep. Strings are escaped,
 * and lines indented, as Go's encoding/json does it for kubectl.
 *
 * YAML in as well, JSON out: what begins, behind white space, with '{' or '[' is JSON, and all else YAML. Its documents become
 * what kubectl makes of them (scalars.h); those with nothing in them are left out.
 */
#ifndef FAIRDIAL_INJECT_DOCUMENTS_H
#define FAIRDIAL_INJECT_DOCUMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/report.h"

struct literal; /* a number, and where it stands */

struct documents {
	json_t *objects; /* an array; a real in it is the index of a literal */
	const char *text; /* that the literals stand in */
	struct literal *literals;
	char *numbers; /* of YAML: that text, which is ours */
	bool is_yaml;
};

/*
 * All objects of a text, one behind the other. `text` has to live as long as they do. -EINVAL, with line and column counted
 * from 1, for what is neither JSON nor YAML, or no object, or has a key twice in one object, or is empty. -ENOTSUP for YAML in
 * a build without libyaml.
 */
int documents_read(const char *text, size_t length, struct documents *ret_documents, struct report *why);
void documents_done(struct documents *documents);

/*
 * One value that came from them, or was made without reals, and a newline. Of several that came as YAML, each has a line "---"
 * before it: a stream of documents stays one, which Helm cuts there again, and is one to kubectl. Errors are the stream's:
 * ferror(3).
 */
void documents_write(const struct documents *documents, const json_t *value, FILE *out);

#endif
