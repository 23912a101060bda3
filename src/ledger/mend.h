/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's word on open connections. A mend dumps the TCP sockets of the network namespace that dial one of the listed
 * backends (sock_diag(7), filtered in the kernel by state and port, no privilege needed), and sets the backends' counts by
 * it.
 *
 * A claim becomes visible to the kernel some instructions after it was made, and a mend must neither count that dial twice
 * nor forget it. Claims that had not landed when the dump began, or were made while it went on, make the truth a range; a
 * count within it stays, one beyond it is set to its upper end.
 *
 * Where the network is shared (hostNetwork), the list also has the sockets of others, who claim nothing. A mend then lowers
 * a count to what exists, and never raises one: what is counted was claimed, though a stranger's connection may stand in for
 * one that has closed.
 */
#ifndef FAIRDIAL_LEDGER_MEND_H
#define FAIRDIAL_LEDGER_MEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "ledger/ledger.h"

#define MEND_EVERY_MS 1000 /* the endpoints of one port */
#define MEND_GAP_MS   100  /* any in the pod */

/* Backends in the order of addr_compare. False where number `i` can no longer be told. */
struct mend_list {
	const void *of;
	uint32_t count;
	bool (*at)(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key);
};

struct mend_caller {
	struct ledger_key cursor; /* the port whose endpoints it would mend */
	uint64_t generation;	  /* of the table; a new one is mended for at once: new endpoints meet old counts */
	bool may_block;		  /* false: it would hold up an event loop */
	bool urgent;		  /* an endpoint returns: what was counted while it was out would bring it every dial */
};

/*
 * True for the one caller of all processes whose turn it is to mend the endpoints of a port now: once a second for a port, sooner
 * where it is urgent or the list is new, and never more than ten times for the pod. A caller that may not block leaves it alone
 * where the last mend took more than three milliseconds, until a thousand times as long has passed. Never true while a keeper
 * lives, who mends for all.
 */
bool mend_due(const struct ledger *ledger, const struct mend_caller *caller, uint64_t now_ms);

/*
 * Mends. 0, or a negative errno where the kernel would not say, and nothing changed. Takes 0.3 ms with few sockets, 13 ms
 * with 19,000. Async-signal-safe. Of two at the same time, the one that began last decides about the rows of both.
 */
int mend(const struct ledger *ledger, const struct mend_list *list, uint64_t now_ms);

/* The same for a caller to whom mend_due said so: notes how long it took, by which others judge whether to. */
int mend_in_turn(const struct ledger *ledger, const struct mend_list *list, uint64_t now_ms);

/* After a mend: whether its row has an exact count, none being claimed since or on its way to the kernel. */
bool mend_has_settled(const struct ledger *ledger, struct ledger_key key);

#endif
