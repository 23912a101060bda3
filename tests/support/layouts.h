/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables as other versions write and read them: bytes at offsets, without layout.h. One Service `web.shop`, one address and
 * TCP port, and its endpoints, all IPv4.
 */
#ifndef FAIRDIAL_TESTS_LAYOUTS_H
#define FAIRDIAL_TESTS_LAYOUTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct layout {
	unsigned major, minor;
	unsigned area_head; /* bytes: 320 in 1.0 */
	unsigned more;	    /* bytes that the head and each row have at their end beyond those of 1.0, none of them zero */
};

extern const struct layout layout_1_0, layout_newer, layout_2_0;

/* What a Service of such a table is. */
struct layout_service {
	struct addr dest; /* address and port */
	const struct addr *endpoints; /* in the order of addresses */
	size_t count;
};

/* Writes DIR/table whole, as generation 5 of an instance, with rows 0, 1, ... of the ledger for the endpoints. */
void write_layout(const char *dir, const struct layout *layout, const struct layout_service *service);

/*
 * Reads a mapped table as 1.0 did: the endpoints of a TCP destination, at most `room`. Their number, -ENOENT where there is
 * none, -EBADMSG where a sum fails.
 */
int read_as_1_0(const uint8_t *base, size_t size, const struct addr *dest, struct addr *ret_endpoints, size_t room);

#endif
