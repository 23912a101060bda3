/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody who watches has chosen to see. */
#ifndef FAIRDIAL_TOP_CHOICES_H
#define FAIRDIAL_TOP_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sort_key { SORT_NAME, SORT_OPEN, SORT_RATE, SORT_DIALS, SORT_FAILURES, SORT_STATE, SORT_COUNT };

#define FILTER_SIZE	128
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 3600000

struct choices {
	enum sort_key sort;
	bool reverse;	/* of each key's own order: names from a to z, numbers from the greatest, states from the worst */
	bool collapsed; /* Services alone */
	bool paused;
	char filter[FILTER_SIZE]; /* part of a Service, an address or a zone, without regard to case; "": all */
	uint32_t interval_ms;
	size_t first; /* line at the top of the window; beyond the last: the last */
};

/* "rate". */
const char *sort_key_name(enum sort_key key);

/* SORT_COUNT: there is none of that name. */
enum sort_key sort_key_named(const char *name);

#endif
