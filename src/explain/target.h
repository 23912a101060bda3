/* SPDX-License-Identifier: Apache-2.0 */
/* Which Service, port and family is meant. */
#ifndef FAIRDIAL_EXPLAIN_TARGET_H
#define FAIRDIAL_EXPLAIN_TARGET_H

#include <stddef.h>

#include "explain/explain.h"

/*
 * By NAME[.NAMESPACE][:PORT], where a port may be a number or a name, or by ADDR:PORT. 0; -ENOENT and a line in `why` that names
 * the nearest thing there is, with texts of others as they stand; -EINVAL likewise for what makes no sense.
 */
int target_find(const char *operand, const struct snapshot *snapshot, struct explain_question *ret_question, char *why,
		size_t why_size);

#endif
