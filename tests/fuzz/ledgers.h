/* SPDX-License-Identifier: Apache-2.0 */
/* Ledgers whose bytes an input has changed. */
#ifndef FAIRDIAL_TESTS_FUZZ_LEDGERS_H
#define FAIRDIAL_TESTS_FUZZ_LEDGERS_H

#include "fuzz/fuzz.h"
#include "ledger/ledger.h"

#define LEDGERS_ROWS 4

struct ledgers_file {
	uint8_t *bytes; /* the caller's to free */
	size_t size;
};

/* A good one with so many rows and cursors, all zero. */
struct ledgers_file ledgers_good_file(void);

/* `count` changes: a place, and a word for there. The highest bit of the place says that the word gets the tag. */
void ledgers_change(struct ledgers_file *file, struct fuzz_input *in, size_t count, uint32_t tag);

/* Makes the head's sum right, as a hostile writer would. */
void ledgers_mend_head(struct ledgers_file *file);

int ledgers_attach(struct ledger *ret_ledger, const struct ledgers_file *file);

#endif
