/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a JSON text something is: the parser keeps no lines, and errors must name them. */
#ifndef FAIRDIAL_SERVICES_JSON_LINES_H
#define FAIRDIAL_SERVICES_JSON_LINES_H

#include <stddef.h>

#include "base/report.h"

/* A text that parsed, and its name in errors. */
struct json_source {
	const char *origin, *text;
	size_t len;
};

/* A way into the text, from the value up; NULL is the whole. */
struct json_path {
	const struct json_path *up;
	const char *key; /* NULL: `index` counts */
	size_t index;
};

/*
 * The line, from 1, of the key or the element that the path leads to; where there is none, of the last thing on the
 * way that there is.
 */
size_t json_lines_find(const char *text, size_t len, const struct json_path *path);

/* "services[0].ports[1].port"; a key with other bytes than names have is written as JSON: services[0]["a b"]. */
char *json_path_print(const struct json_path *path, char *buf, size_t size);

/* Reports "ORIGIN:LINE: PATH: ..." and returns -EINVAL. */
int json_refuse(const struct json_source *source, const struct json_path *at, struct report *report, const char *format,
		...) __attribute__((format(printf, 4, 5)));

#endif
