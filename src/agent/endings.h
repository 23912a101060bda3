/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of a TCP socket that has ended (sock_diag(7), SKNLGRP_INET_TCP_DESTROY and its IPv6 twin; no
 * privilege is needed to join), and what that says of the host it had dialed. From bytes, which are bounded: no trust in
 * them.
 *
 * Seen on Linux 6.18. An event comes when the last reference to a socket goes: after close(2), and after the FIN has been
 * acknowledged. Its state is always CLOSE; what became of the dial is told by its counters:
 *
 *	refused, however late	segs_in 1, bytes_acked 0
 *	never answered		segs_in 0, total_retrans 1 or more: closed by the program, or given up by the kernel
 *	closed before that	segs_in 0, total_retrans 0: nobody's fault. An ICMP "unreachable" looks the same
 *	established		bytes_acked 1 (the SYN), 2 with its FIN, more with data; whoever closed it, RST or not, and
 *				also if its first SYN was lost (then with total_retrans 1)
 *	disconnected		port 0, the address kept, all counters 0: after connect(AF_UNSPEC), after a close with
 *				SO_LINGER 0 (an established one too), and after a connect(2) that returned the error itself:
 *				a blocking one that failed, or another one on a non-blocking socket. So what the caller of
 *				a blocking connect(2) was told is never told again here
 */
#ifndef FAIRDIAL_AGENT_ENDINGS_H
#define FAIRDIAL_AGENT_ENDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum ending_kind {
	ENDING_UNTOLD,	  /* says nothing of the host */
	ENDING_ANSWERED,  /* was established */
	ENDING_REFUSED,
	ENDING_TIMED_OUT,
};

struct ending {
	struct addr peer; /* IPv4 also where it was mapped; port 0: the socket was disconnected before it ended */
	uint16_t port_be;     /* the local one */
	enum ending_kind kind;
	uint32_t quiet_ms; /* answered: since the peer last acknowledged anything */
	uint32_t least_ms; /* timed out: it was dialed so long ago at the least, a second for each SYN that was sent again */
};

/* The next ending in a datagram from `*at` on, which moves on. False at its end, and where the rest makes no sense. */
bool endings_next(const void *datagram, size_t len, size_t *at, struct ending *ret_ending);

/* A socket that does not block and is told of every TCP socket that ends in this network namespace; a negative errno. */
int endings_open(void);

#endif
