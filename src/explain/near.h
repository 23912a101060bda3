/* SPDX-License-Identifier: Apache-2.0 */
/* For who mistyped a name: those that are there and differ by a letter or two. */
#ifndef FAIRDIAL_EXPLAIN_NEAR_H
#define FAIRDIAL_EXPLAIN_NEAR_H

#include <stddef.h>

#include "base/text.h"
#include "view/snapshot.h"

#define NEAR_MAX 4

/* Of NAME or NAME.NAMESPACE; the nearest first. Returns how many, at most NEAR_MAX. Takes some milliseconds for 10,000 Services. */
size_t near_find(const struct snapshot *snapshot, struct slice name, const struct snapshot_service *ret_near[NEAR_MAX]);

#endif
