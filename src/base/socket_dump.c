/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/socket_dump.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stddef.h>

#include "base/sys.h"

#define MAX_DATAGRAMS 16384 /* a million sockets are 10,000 */

int socket_dump_open(struct socket_dump *dump)
{
	dump->fd = sys_socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	return dump->fd < 0 ? dump->fd : 0;
}

void socket_dump_close(struct socket_dump *dump)
{
	sys_close(dump->fd);
}

static void add_port_filter(struct socket_dump_request *request, uint16_t port)
{
	/* Compares and jumps of inet_diag_bc_run: accept when exactly the end is reached, refuse when beyond. */
	const int ops = 4 * (int)sizeof(struct inet_diag_bc_op);

	request->filter.rta_type = INET_DIAG_REQ_BYTECODE;
	request->filter.rta_len = (uint16_t)(sizeof(struct rtattr) + (size_t)ops);
	request->ops[0] = (struct inet_diag_bc_op){ INET_DIAG_BC_D_GE, 8, (uint16_t)(ops + 4) };
	request->ops[1] = (struct inet_diag_bc_op){ INET_DIAG_BC_NOP, 4, port };
	request->ops[2] = (struct inet_diag_bc_op){ INET_DIAG_BC_D_LE, 8, (uint16_t)(ops - 8 + 4) };
	request->ops[3] = (struct inet_diag_bc_op){ INET_DIAG_BC_NOP, 4, port };
	request->header.nlmsg_len += request->filter.rta_len;
}

static int ask(struct socket_dump *dump, uint8_t family)
{
	struct socket_dump_request *request = &dump->request;
	long n;

	memset(request, 0, sizeof(*request));
	memset(&dump->kernel, 0, sizeof(dump->kernel));
	request->header.nlmsg_len = offsetof(struct socket_dump_request, filter);
	request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->diag.sdiag_family = family;
	request->diag.sdiag_protocol = IPPROTO_TCP;
	request->diag.idiag_states = dump->states;
	if (dump->peer_port)
		add_port_filter(request, dump->peer_port);
	dump->kernel.nl_family = AF_NETLINK;
	n = sys_sendto(dump->fd, request, request->header.nlmsg_len, 0, &dump->kernel, sizeof(dump->kernel));
	return n < 0 ? (int)n : 0;
}

/* One datagram of the answer: 1 more follow, 0 the dump is whole, or an error. */
static int take_answer(struct socket_dump *dump, size_t len)
{
	size_t at = 0;

	while (at + sizeof(struct nlmsghdr) <= len) {
		const struct nlmsghdr *header = (const void *)(dump->answer + at);

		if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > len - at)
			return -EBADMSG;
		if (header->nlmsg_type == NLMSG_DONE)
			return 0;
		if (header->nlmsg_type == NLMSG_ERROR)
			return -EPROTO;
		if (header->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EAGAIN;
		if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			dump->visit(dump->of, NLMSG_DATA(header));
		at += NLMSG_ALIGN(header->nlmsg_len);
	}
	return 1;
}

static int run_family(struct socket_dump *dump, uint8_t family)
{
	int r = ask(dump, family);

	for (int i = 0; r == 0 && i < MAX_DATAGRAMS; i++) {
		long n = sys_recv(dump->fd, dump->answer, sizeof(dump->answer), MSG_DONTWAIT);

		if (n <= 0)
			return n < 0 ? (int)n : -EPROTO;
		r = take_answer(dump, (size_t)n);
		if (r == 0)
			return 0;
		r = r == 1 ? 0 : r;
	}
	return r < 0 ? r : -E2BIG;
}

int socket_dump_run(struct socket_dump *dump)
{
	int r = run_family(dump, AF_INET);

	return r == 0 ? run_family(dump, AF_INET6) : r;
}
