/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial.dev/... of a pod: what there is, and what somebody may have meant. */
#ifndef FAIRDIAL_INJECT_ANNOTATIONS_H
#define FAIRDIAL_INJECT_ANNOTATIONS_H

#include "inject/kinds.h"

#define ANNOTATION_PREFIX "fairdial.dev/"

/* Says of each annotation of ours that no pod has what it is: another one misspelt, or a Service's. */
void annotations_note_unknown(const struct workload *workload, struct troubles *troubles);

#endif
