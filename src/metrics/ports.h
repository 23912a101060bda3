/* SPDX-License-Identifier: Apache-2.0 */
/* What a table says of the ports that are dialed, as far as counting needs it: it outlives the generation that it was read from. */
#ifndef FAIRDIAL_METRICS_PORTS_H
#define FAIRDIAL_METRICS_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

struct table;

/* An endpoint's row in the ledger. */
struct member {
	uint32_t slot : 31, usable : 1;
	uint32_t tag;
};

struct port {
	uint64_t id;	 /* of namespace, name and number */
	uint32_t names;	 /* in `names`: the namespace, a NUL, the name, a NUL */
	uint32_t first, count; /* in `members` */
	uint32_t series; /* tally.c's */
	struct ledger_key cursor;
	uint16_t port;
	uint8_t mode; /* enum fairdial_mode, the more cautious of the table's and its own */
	bool may_move;
};

struct ports {
	struct port *ports;
	size_t count;
	struct member *members;
	size_t member_count;
	char *names;
	size_t names_len;
	uint64_t mark; /* table_mark of what was read; 0: nothing yet */
};

/* Reads TCP ports. 0, and it is ports_done's; -EAGAIN, -EBADMSG, -ENOMEM, and nothing is. */
int ports_read(const struct table *table, struct ports *ret_ports);
void ports_done(struct ports *ports);

static inline const char *port_namespace(const struct ports *all, const struct port *port)
{
	return all->names + port->names;
}

const char *port_service(const struct ports *all, const struct port *port);

/* table_mark of the table as it is; 0 where none is published. */
uint64_t ports_mark(const struct table *table);

#endif
