/* SPDX-License-Identifier: Apache-2.0 */
/* Every backend that a table's TCP ports lead to, once, in the order of addresses: whose row in the ledger, under which rules. */
#ifndef FAIRDIAL_AGENT_CENSUS_H
#define FAIRDIAL_AGENT_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "ledger/ledger.h"
#include "table/table.h"

struct census_entry {
	struct addr addr;
	struct ledger_key key;
	struct ledger_verdict verdict; /* of several Services, the most cautious one */
};

/* All zero is one of nobody. */
struct census {
	struct census_entry *entries; /* in the order of addr_compare */
	uint32_t count, capacity;
	const uint8_t *of; /* the table it was taken of, and which generation */
	uint64_t generation;
};

/* Whether the table has another generation by now. `table` may be NULL: then there is nothing to take. */
bool census_is_old(const struct census *census, const struct table *table);

/* Takes it anew. 0; -EAGAIN, -EBADMSG or -ENOMEM, and it is as it was. */
int census_take(struct census *census, const struct table *table);

/* NULL: no backend. */
struct census_entry *census_find(const struct census *census, const struct addr *addr);

/* The first entry of an address, whatever its port, or where it would be. */
uint32_t census_first(const struct census *census, const struct addr *addr);

void census_done(struct census *census);

#endif
