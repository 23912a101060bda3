/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairdial into the pods of Kubernetes objects, and out again: pure functions over jansson's values. What there is to say of
 * an object is collected (trouble.h).
 *
 * What a pod gets is in pod.c. It is added to an object that is first freed of what an earlier injection put there, so that
 * injecting twice is injecting once, and another version or option updates. What has to be put back is recorded in an
 * annotation of the pod (record.h). An object that is refused, left alone, or has no pod stays exactly as it was.
 *
 * Memory: callers give jansson an allocator that does not return without any (json_set_alloc_funcs), and whose memory free(3)
 * takes; nothing here looks whether there was some. Not thread-safe as far as two calls share an object.
 */
#ifndef FAIRDIAL_INJECT_INJECT_H
#define FAIRDIAL_INJECT_INJECT_H

#include <jansson.h>
#include <stdint.h>

#include "inject/trouble.h"

struct inject_options {
	const char *image;            /* of both containers */
	const char *pull_policy;      /* Always, IfNotPresent, Never; NULL: the cluster decides by the image's tag */
	const char *mode;             /* on, observe, off: of pods whose annotation does not say; NULL: the agent decides */
	uint16_t metrics;             /* the port of /metrics, likewise; 0: no pod serves them that does not say */
	const char *existing_preload; /* the LD_PRELOAD of the containers' images, which no object tells; NULL: none */
};

/* Changes the pods of `document` in place: one object, or a List, also of Lists. */
void inject_add(json_t *document, const struct inject_options *options, struct troubles *troubles);

/* Takes out what inject_add put there, and leaves what others have changed since. */
void inject_remove(json_t *document, struct troubles *troubles);

/*
 * A List of Roles and RoleBindings, for the pods of the array `documents`: what their agents may ask the API for, in each
 * namespace whose Services they follow, given to their service accounts. The caller's to free.
 */
json_t *inject_roles(const json_t *documents, struct troubles *troubles);

#endif
