/* SPDX-License-Identifier: Apache-2.0 */
/* What one should know of an object that is injected: where it is done, but not as one might think. */
#ifndef FAIRDIAL_INJECT_NOTES_H
#define FAIRDIAL_INJECT_NOTES_H

#include "inject/wishes.h"

/* Needs a pod that passed checks.h, before anything is added, and the object as it was fetched. */
void notes_say(const struct workload *workload, const struct wishes *wishes, struct troubles *troubles);

/* The same where fairdial is taken out: the object as it was fetched. */
void notes_say_of_removal(const struct workload *workload, struct troubles *troubles);

#endif
