/* SPDX-License-Identifier: Apache-2.0 */
/* Which Kubernetes objects have a pod in them, and where. */
#ifndef FAIRDIAL_INJECT_KINDS_H
#define FAIRDIAL_INJECT_KINDS_H

#include <jansson.h>

#include "inject/trouble.h"

/* An object with a pod. The texts belong to it. */
struct workload {
	json_t *object;
	json_t *pod; /* what has the pod's "metadata" and "spec": a template, or the object itself. NULL: it is missing */
	const char *kind;
	const char *namespace; /* NULL: it says none */
	const char *name;
};

/* The text at `key`; NULL where there is none, or another type, or a text with a NUL, which would be cut there. */
const char *kinds_text(const json_t *object, const char *key);

/* The text at "name"; "" where there is none. */
const char *kinds_name(const json_t *object);

/* The pod's "spec"; NULL: none. */
json_t *kinds_spec(const struct workload *workload);

/*
 * Calls `visit` for each object with a pod: `document` itself, or of a List, and of Lists in it, each item. Items of a typed
 * list (DeploymentList) need no kind of their own. The order is that of the document.
 */
void kinds_each(json_t *document, void (*visit)(const struct workload *workload, void *context), void *context);

/* The same object in a copy of it. */
struct workload kinds_same(const struct workload *workload, json_t *copy);

#endif
