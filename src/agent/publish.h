/* SPDX-License-Identifier: Apache-2.0 */
/* From a model to the table and the ledger of a directory. */
#ifndef FAIRDIAL_AGENT_PUBLISH_H
#define FAIRDIAL_AGENT_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct model;

struct published {
	uint64_t generation;
	size_t services, endpoints;
	size_t unsynced; /* services whose endpoints the source does not tell */
};

/*
 * Publishes what the model says as a static table, once, and lets go of the directory. `source` is for people. Makes
 * the ledger too, so that the first programs need not. `no_link`: the directory may not be a symbolic link. 0, or a negative errno;
 * the last table then stays.
 */
int publish_once(const char *dir, bool no_link, struct model *model, const char *source, struct published *ret_published,
		 struct report *report);

/* Tells the model which networks this host routes elsewhere than its default, from /proc/net. Missing files say nothing. */
int publish_avoid_routes(struct model *model);

#endif
