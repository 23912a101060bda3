/* SPDX-License-Identifier: Apache-2.0 */
/* The Services that FAIRDIAL_ONLY and FAIRDIAL_EXCEPT name: NAME or NAME.NAMESPACE, comma-separated. Pure; async-signal-safe.
 */
#ifndef FAIRDIAL_BASE_SERVICE_LIST_H
#define FAIRDIAL_BASE_SERVICE_LIST_H

#include <stdbool.h>

#include "base/text.h"

/* The longest list that the shim keeps, with its NUL. Of a process that has a longer one nothing is spread. */
#define SERVICE_LIST_SIZE 512

/* Whether a process of these two lists, either of which may be empty, spreads a Service. */
bool service_list_allow(struct slice only, struct slice except, struct slice name, struct slice namespace);

#endif
