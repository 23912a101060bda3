/* SPDX-License-Identifier: Apache-2.0 */
/* Ledgers for tests: made by the real ledger_open in a scratch directory. The tests are TEST() ones. */
#ifndef FAIRDIAL_TESTS_LEDGERS_H
#define FAIRDIAL_TESTS_LEDGERS_H

#include "ledger/ledger.h"

/* Shared with children that are forked; unmapped at the end of the test. */
struct ledger *new_ledger(uint32_t rows, uint32_t cursors);

/* The same bytes in memory that ends where touching more is fatal. */
struct ledger *guarded_ledger(uint32_t rows, uint32_t cursors);

/*
 * As version 1.0 made them: cursors of LEDGER_CURSOR_LEAST bytes. Written to `path`, which is opened then as anybody does who
 * would make one; `ret_ledger` is closed by the caller. Or one as new_ledger.
 */
void open_older_ledger(const char *path, uint32_t rows, struct ledger *ret_ledger);
struct ledger *older_ledger(uint32_t rows, uint32_t cursors);

/* For trust in what the test itself makes. */
int open_ledger(const char *path, uint32_t rows, enum ledger_opening opening, struct ledger *ret_ledger);

/* Open connections that all rows of a ledger's file claim, as they stand there: nobody mends them first. */
uint32_t claims_in(const char *path);

struct ledger_row *row_of(const struct ledger *ledger, uint32_t slot);

#endif
