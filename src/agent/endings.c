/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/endings.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 20)

/* An older kernel's tcp_info is shorter, and one without the counters (before 4.2) says nothing of the host. */
static void take_info(const uint8_t *bytes, size_t len, struct ending *ending)
{
	struct tcp_info info;

	if (len < offsetof(struct tcp_info, tcpi_segs_in) + sizeof(info.tcpi_segs_in))
		return;
	memset(&info, 0, sizeof(info));
	memcpy(&info, bytes, len < sizeof(info) ? len : sizeof(info));
	ending->quiet_ms = info.tcpi_last_ack_recv;
	if (info.tcpi_bytes_acked)
		ending->kind = ENDING_ANSWERED;
	else if (info.tcpi_segs_in)
		ending->kind = ENDING_REFUSED;
	else if (info.tcpi_total_retrans)
		ending->kind = ENDING_TIMED_OUT;
	if (ending->kind == ENDING_TIMED_OUT)
		ending->least_ms = 1000u * (info.tcpi_total_retrans < 127 ? info.tcpi_total_retrans : 127);
}

/* The attributes behind a socket's message, one of which is its tcp_info. */
static void take_attributes(const uint8_t *bytes, size_t len, struct ending *ending)
{
	struct rtattr attribute;

	while (len >= sizeof(attribute)) {
		memcpy(&attribute, bytes, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > len)
			return;
		if (attribute.rta_type == INET_DIAG_INFO)
			take_info(bytes + sizeof(attribute), attribute.rta_len - sizeof(attribute), ending);
		if (RTA_ALIGN(attribute.rta_len) >= len)
			return;
		len -= RTA_ALIGN(attribute.rta_len);
		bytes += RTA_ALIGN(attribute.rta_len);
	}
}

static bool take_message(const uint8_t *bytes, const struct nlmsghdr *header, struct ending *ret_ending)
{
	struct ending ending = { .kind = ENDING_UNTOLD };
	struct inet_diag_msg socket;
	size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(socket));

	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len < NLMSG_HDRLEN + sizeof(socket))
		return false;
	memcpy(&socket, bytes + NLMSG_HDRLEN, sizeof(socket));
	if (!addr_from_bytes(&ending.peer, socket.idiag_family, socket.id.idiag_dst, socket.id.idiag_dport))
		return false;
	ending.port_be = socket.id.idiag_sport;
	if (header->nlmsg_len > head)
		take_attributes(bytes + head, header->nlmsg_len - head, &ending);
	*ret_ending = ending;
	return true;
}

bool endings_next(const void *datagram, size_t len, size_t *at, struct ending *ret_ending)
{
	while (*at < len && len - *at >= sizeof(struct nlmsghdr)) {
		const uint8_t *bytes = (const uint8_t *)datagram + *at;
		struct nlmsghdr header;

		memcpy(&header, bytes, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len - *at)
			break;
		*at += NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (take_message(bytes, &header, ret_ending))
			return true;
	}
	*at = len;
	return false;
}

int endings_open(void)
{
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1),
	};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	int bytes = BUFFER_BYTES, r;

	if (fd < 0)
		return -errno;
	/* As much as it may have; where that is too little, events are lost, and all rows are mended instead. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}
