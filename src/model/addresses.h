/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for Services that have none of their own: from a range, at a place that follows from the name, so that two
 * processes given the same services allocate alike.
 */
#ifndef FAIRDIAL_MODEL_ADDRESSES_H
#define FAIRDIAL_MODEL_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "model/arena.h"
#include "model/index.h"

/* One that a connection can be made to: not unspecified, multicast or the broadcast address. */
bool address_is_unicast(const struct addr *addr);

/* Of one link: 169.254.0.0/16 and fe80::/10. There a node answers for its own (a cloud's metadata, a cache of the DNS). */
bool address_is_link_local(const struct addr *addr);
bool address_is_loopback(const struct addr *addr); /* 127.0.0.0/8, ::1 */

struct address_network {
	struct addr first;
	unsigned prefix_len; /* of all 128 bits: IPv4's /8 is 104 here */
};

struct address_ranges {
	struct address_network v4, v6;
};

/*
 * "240.0.0.0/4", "fd00:1::/64", or one of each with a comma between; a family that is not named, and all where
 * `text` is NULL, has its default. 0; -EINVAL for another form or a prefix too long to hold an address or too short.
 */
int address_ranges_parse(const char *text, struct address_ranges *ret_ranges);

struct allocator {
	struct address_ranges ranges;
	struct address_network *avoided;
	size_t avoided_count;
	struct index by_name, by_address; /* struct allocation */
	struct arena arena;
	uint32_t turn;
};

/* 0, -EINVAL as above, -ENOMEM. */
int allocator_init(struct allocator *allocator, const char *ranges);
void allocator_done(struct allocator *allocator);

/* No address of this network is given out from now on. 0, -EINVAL, -ENOMEM. */
int allocator_avoid(struct allocator *allocator, const struct addr *network, unsigned prefix_len);

/*
 * A turn: begin; keep for each service that is still there; then get for each that wants an address. `taken` holds
 * addresses (their `ip`) that are somebody's. One that was given before is given again, unless it has been taken or
 * avoided since; one whose service was not kept is given to another only where the range is used up.
 */
void allocator_begin(struct allocator *allocator);
void allocator_keep(struct allocator *allocator, const char *name, const char *namespace);

/* 0; -ENOSPC where the range is used up; -ENOMEM. */
int allocator_get(struct allocator *allocator, const char *name, const char *namespace, bool is_v4,
		  const struct index *taken, struct addr *ret_addr);

/* Whether the service was ever given one of that family. */
bool allocator_has(const struct allocator *allocator, const char *name, const char *namespace, bool is_v4);

/* Whether any service has been given this address. */
bool allocator_is_given(const struct allocator *allocator, const struct addr *addr);

#endif
