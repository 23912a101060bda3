/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look of the mover at all connections of the book: why each might leave (balance/move.h), whether it may (ledger/moves.h),
 * and whether it can (leave.h). For one thread.
 */
#ifndef FAIRDIAL_SHIM_ROUND_H
#define FAIRDIAL_SHIM_ROUND_H

#include <stdbool.h>
#include <stdint.h>

/* What is remembered from one look to the next. NULL: there is no memory. */
struct round;
struct round *round_new(void);
void round_free(struct round *round); /* NULL is accepted */

/* Looks, and closes what is to be closed. How long to wait for the next look, in milliseconds. */
unsigned round_look(struct round *round, uint64_t now_ms);

/* Whether the last look found no connection. */
bool round_is_empty(const struct round *round);

#endif
