/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the ledger, with which a pick can be tried: the turns and pins that it takes are nobody's. */
#ifndef FAIRDIAL_EXPLAIN_LEDGER_COPY_H
#define FAIRDIAL_EXPLAIN_LEDGER_COPY_H

#include "ledger/ledger.h"
#include "table/table.h"

/*
 * Of `ledger`, if it has a base; else an empty one, as the first dial would make it for this table. 0; -ENOMEM. The caller ends it
 * with ledger_copy_free, which takes one whose base is NULL.
 */
int ledger_copy(const struct ledger *ledger, const struct table *table, struct ledger *ret_copy);
void ledger_copy_free(struct ledger *copy);

#endif
