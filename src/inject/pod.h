/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod gets: volumes, a container that installs and one that follows the API, and in each of its containers the shim.
 *
 *   fairdial-install   an init container: puts the shim into a volume, once
 *   fairdial-agent     a native sidecar (an init container with restartPolicy Always, KEP-753; Kubernetes 1.29): keeps the
 *                      table in another volume, in memory, from before the pod's own containers start until after they end
 *
 * Both pass the Pod Security Standard "restricted" as they are; what the pod says in its own securityContext holds for the
 * rest. Containers are added in front of the pod's own init containers, all else behind what is there.
 */
#ifndef FAIRDIAL_INJECT_POD_H
#define FAIRDIAL_INJECT_POD_H

#include "inject/inject.h"
#include "inject/wishes.h"

/* Into a pod that has nothing of ours, and whose shape is known to be right (checks.h). Writes its record. */
void pod_add(json_t *pod, const struct wishes *wishes, const struct inject_options *options);

/* Out of it, by its record; anything of the pod may have been edited since. */
void pod_remove(json_t *pod);

#endif
