/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as they are written. jansson has 64-bit integers and doubles; one that neither keeps as it was is a real in the tree
 * instead, whose value is the index of what was written.
 */
#ifndef FAIRDIAL_INJECT_LITERALS_H
#define FAIRDIAL_INJECT_LITERALS_H

#include <stdbool.h>
#include <stddef.h>

struct literal {
	size_t at, length; /* in the text that it stands in */
	size_t hidden_end; /* of JSON: behind it, in the text that jansson is given */
};

struct literals {
	struct literal *list; /* for free(3) */
	size_t count;
};

/* RFC 8259 section 6. Whether all of it is a number, and one that an integer does not keep. */
bool literals_needed(const char *text, size_t length);

/* Its index is what the count was. -ENOMEM. */
int literals_add(struct literals *literals, struct literal literal);

#endif
