/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be injected: the first thing that is in the way is said, with what to do. */
#ifndef FAIRDIAL_INJECT_CHECKS_H
#define FAIRDIAL_INJECT_CHECKS_H

#include <stdbool.h>

#include "inject/wishes.h"

/* Whether the object has a pod, and all that is read and added to has the type that the API gives it. */
bool checks_shape(const struct workload *workload, struct troubles *troubles);

/* Whether what is to be added would be in the way of what is there. Needs checks_shape, and a pod with nothing of ours. */
bool checks_room(const struct workload *workload, const struct wishes *wishes, struct troubles *troubles);

#endif
