/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that the source has in it, to be read there: with ' for ". */
#ifndef FAIRDIAL_INJECT_QUOTED_H
#define FAIRDIAL_INJECT_QUOTED_H

#include <jansson.h>

/* The value of such a text, which is no user's. The caller's to free. */
json_t *quoted_json(const char *text);

#endif
