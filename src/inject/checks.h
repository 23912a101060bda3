/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be injected, and what one should know of what can: each is said once, with what to do. */
#ifndef FAIRDIAL_INJECT_CHECKS_H
#define FAIRDIAL_INJECT_CHECKS_H

#include <stdbool.h>

#include "inject/wishes.h"

/* Whether the object has a pod, and all that is read and added to has the type that the API gives it. */
bool checks_shape(const struct workload *workload, struct troubles *troubles);

/* Whether what is to be added would be in the way of what is there. Needs checks_shape, and a pod with nothing of ours. */
bool checks_room(const struct workload *workload, const struct wishes *wishes, struct troubles *troubles);

/* What is done, but not as one might think. */
void checks_note(const struct workload *workload, const struct wishes *wishes, struct troubles *troubles);

#endif
