/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing a connection for the program that holds it. Its descriptor stays open, and is the program's to close; what it reads
 * is the end, as if the server had closed.
 *
 * Every function here acts on a private duplicate (F_DUPFD_CLOEXEC, above 2), whose SO_COOKIE is compared first, and which is
 * closed before the function returns: a number that was closed and given to another socket meanwhile is never touched.
 * Nor is a socket that was dialed again since (it keeps its cookie): `peer` is who it must be connected to; NULL: whoever it is.
 * System calls only; for the mover's thread.
 */
#ifndef FAIRDIAL_SHIM_LEAVE_H
#define FAIRDIAL_SHIM_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

struct addr;

enum connection {
	CONNECTION_ENDED,   /* closed, or another socket's number, or to another peer, or not established any more: nothing to follow */
	CONNECTION_DIALING, /* SYN_SENT: not a connection yet */
	CONNECTION_BUSY,    /* something is in flight, or moved not long enough ago, or it cannot be told who spoke last */
	CONNECTION_QUIET,   /* the last bytes came in, both queues are empty, nothing is unacknowledged or unsent, for `quiet_ms` */
};

/*
 * What a descriptor is now. `*ret_rest_ms`, where it is not NULL, is set to how long nothing has moved on a connection that is
 * busy or quiet.
 */
enum connection connection_look(int fd, uint64_t cookie, const struct addr *peer, uint32_t quiet_ms, uint32_t *ret_rest_ms);

/*
 * Ends a connection if it is CONNECTION_QUIET still; `cut`: whatever moves on it. Returns what it was: it was ended, unless that is
 * CONNECTION_ENDED or CONNECTION_DIALING, or CONNECTION_BUSY without `cut`.
 *
 * By SHUT_WR, where the program ignores SIGPIPE: a request that slips in before still gets its reply. Otherwise its next write
 * would kill it, and the connection is taken down instead (TCP_CORK, so that a request which slips in now stays here; a last
 * look; connect(AF_UNSPEC); SHUT_RD): the next call of the program fails once with ECONNRESET, and then reads the end. One that
 * waits in a call meanwhile gets ECONNRESET from it, or EPIPE without the signal (Linux 6.7). Where the kernel disconnects nobody,
 * as while a thread waits (Linux 6.4 to 6.6) or under TLS of its own, it is CONNECTION_BUSY.
 *
 * A cut of one that is busy takes it down without a look, also where SIGPIPE is ignored: half an answer is to be an error, not an
 * end.
 */
enum connection connection_leave(int fd, uint64_t cookie, const struct addr *peer, uint32_t quiet_ms, bool cut);

/*
 * `keepalive` of a Service: probes after `idle_ms` without traffic, three of them, each a third of that apart, in whole seconds,
 * rounded up, and TCP_USER_TIMEOUT (RFC 5482) to the same bound, so that bytes which nobody acknowledges end no later. Nothing
 * where the program has set SO_KEEPALIVE or TCP_USER_TIMEOUT itself. For the hook that has just dialed, on the program's own
 * descriptor.
 */
void connection_keep_alive(int fd, uint32_t idle_ms);

/* After so long a peer that is gone is an error to the program at the latest. */
uint32_t connection_keep_alive_bound_ms(uint32_t idle_ms);

#endif
