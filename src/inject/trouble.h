/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say about objects: a line for each thing, which names the object, what it is about, and what to do. */
#ifndef FAIRDIAL_INJECT_TROUBLE_H
#define FAIRDIAL_INJECT_TROUBLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct workload;

struct troubles {
	json_t *lines;  /* an array of texts: "Deployment/shop/web: ..."; none has a control character */
	size_t pods;    /* objects that have a pod, refused ones too */
	size_t refused; /* of them */
};

void troubles_init(struct troubles *troubles);
void troubles_done(struct troubles *troubles);

/* Something to know; the work goes on. */
void trouble_note(struct troubles *troubles, const struct workload *workload, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The object cannot be worked on. Returns false, for a caller to return. */
bool trouble_refuse(struct troubles *troubles, const struct workload *workload, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
