/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/follow.h"

#include "shim/book.h"
#include "shim/dial.h"
#include "shim/leave.h"
#include "shim/mover.h"

#include "base/sys.h"

__attribute__((noinline)) /* not on the stack of every dial */
static void book(int fd, const struct dial *dial, const struct dial_choice *choice, bool observed)
{
	struct booked entry = {
		.born_ms = dial->pick.now_ms,
		.dest = dial->dest,
		.peer = choice->addr,
		.fd = fd,
		.observed = observed,
	};
	uint32_t len = sizeof(entry.cookie);

	if (mover_is_vfork_child())
		return;
	if (sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &entry.cookie, &len) == 0 && book_add(&entry))
		mover_wake(dial);
}

void follow_landed(int fd, const struct dial *dial, const struct dial_choice *choice)
{
	if (dial->keepalive_ms)
		connection_keep_alive(fd, dial->keepalive_ms);
	if (dial->moves)
		book(fd, dial, choice, false);
}

void follow_observed(int fd, const struct dial *dial, const struct dial_choice *choice)
{
	book(fd, dial, choice, true);
}
