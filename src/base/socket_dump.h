/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP sockets of the network namespace, as the kernel lists them (sock_diag(7); no privilege is needed): those of IPv4,
 * then those of IPv6, among which are the v4-mapped ones. No trust in the answer's lengths.
 *
 * System calls only: async-signal-safe. One caller at a time for each struct, which is too large for the stack of a hook.
 */
#ifndef FAIRDIAL_BASE_SOCKET_DUMP_H
#define FAIRDIAL_BASE_SOCKET_DUMP_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>

struct socket_dump_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
	struct rtattr filter;
	struct inet_diag_bc_op ops[4];
};

struct socket_dump {
	/* The caller's: */
	uint32_t states;    /* 1u << TCP_ESTABLISHED and so on */
	uint16_t peer_port; /* host order: only sockets whose peer has it, the kernel copies no others; 0: all */
	void (*visit)(void *of, const struct inet_diag_msg *socket);
	void *of;

	int fd;
	struct socket_dump_request request;
	struct sockaddr_nl kernel;
	char answer[16384] __attribute__((aligned(8))); /* a datagram of the dump */
};

/* 0, or a negative errno. What was opened is closed by the caller. */
int socket_dump_open(struct socket_dump *dump);
void socket_dump_close(struct socket_dump *dump);

/*
 * Visits each socket. 0 where the list was whole; else a negative errno, -EAGAIN where it changed too much meanwhile, and some
 * have been visited all the same. Does not block: the kernel answers at once.
 */
int socket_dump_run(struct socket_dump *dump);

#endif
