/* SPDX-License-Identifier: Apache-2.0 */
/* A frame for scripts. Its form: tests/data/schemas/top.json. */
#ifndef FAIRDIAL_TOP_JSON_H
#define FAIRDIAL_TOP_JSON_H

struct frame;
struct json_t;

/* NULL: out of memory. */
struct json_t *top_json(const struct frame *f);

#endif
