/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables whose bytes an input has changed: "HOW CHANGES". HOW says whether the rest is the file itself or changes to a good one,
 * and whether the sums are made right afterwards, as a hostile writer would.
 */
#ifndef FAIRDIAL_TESTS_FUZZ_TABLES_H
#define FAIRDIAL_TESTS_FUZZ_TABLES_H

#include "base/addr.h"
#include "fuzz/fuzz.h"

#define TABLES_SLOTS	64
#define TABLES_INSTANCE 7

struct tables_file {
	uint8_t *bytes; /* the caller's to free */
	size_t size;
};

/* Takes all of the input, or `most` bytes of changes. */
struct tables_file tables_file(struct fuzz_input *in, size_t most);

/* 10.0.0.LAST. The good table has endpoints 0 to 4, and the Services web at 200 and mysql.shop at 201. */
struct addr tables_address(uint8_t last, uint16_t port);

#endif
