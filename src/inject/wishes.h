/* SPDX-License-Identifier: Apache-2.0 */
/* What the annotations of a pod ask for. */
#ifndef FAIRDIAL_INJECT_WISHES_H
#define FAIRDIAL_INJECT_WISHES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "inject/kinds.h"

struct wishes {
	bool left_alone;  /* fairdial.dev/inject says no */
	const char *mode; /* for --mode; NULL: not said. The text belongs to the pod. */
	uint16_t metrics; /* the port for --listen; 0: not said */
	json_t *services; /* NULL, or a text for --service: names with commas between, no spaces */
	json_t *skipped;  /* names of containers; empty: none */
};

/* False, and said, where a value makes no sense. wishes_done is due in any case. */
bool wishes_read(const struct workload *workload, struct wishes *wishes, struct troubles *troubles);
void wishes_done(struct wishes *wishes);

/* A port as people write it, which a process without privileges may listen on: 1024 to 65535. 0: it is none. */
uint16_t wishes_port(const char *text);

/* Whether this container of the pod is to be left out. */
bool wishes_skip(const struct wishes *wishes, const char *container);

#endif
