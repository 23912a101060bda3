/* SPDX-License-Identifier: Apache-2.0 */
/* What an object that was fetched must not say when it is applied again. */
#ifndef FAIRDIAL_INJECT_STRIP_H
#define FAIRDIAL_INJECT_STRIP_H

#include <jansson.h>

/*
 * What was applied before: no longer true. `kubectl apply` writes it anew from what it is given, and compares with the
 * cluster's, never with this one; others would store it as it is, and the next apply would overlook what is ours.
 */
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* Takes it out, for good. */
void strip_fetched(json_t *object);

#endif
