/* SPDX-License-Identifier: Apache-2.0 */
/* What a Service and a namespace may be called. */
#ifndef FAIRDIAL_MODEL_LABEL_H
#define FAIRDIAL_MODEL_LABEL_H

#include <stdbool.h>

#include "base/text.h"

/* RFC 1123, as Kubernetes takes it: up to 63 lower-case letters, digits and '-', neither first nor last a '-'. */
bool label_is_valid(struct slice label);

#define LABEL_EXPECTS "a name of up to 63 lower-case letters, digits and '-'"

#endif
