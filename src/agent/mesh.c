/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/mesh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_DATAGRAMS 1024

static const struct {
	uint16_t port;
	const char *name;
} meshes[] = {
	{ 4140, "Linkerd" }, /* outbound */
	{ 4143, "Linkerd" }, /* inbound */
	{ 15001, "Istio" },  /* outbound; ambient: ztunnel's, in the pod's namespace */
	{ 15006, "Istio" },  /* inbound */
	{ 15008, "Istio" },  /* HBONE */
};

const char *mesh_name(uint16_t port)
{
	for (size_t i = 0; i < sizeof(meshes) / sizeof(*meshes); i++)
		if (meshes[i].port == port)
			return meshes[i].name;
	return NULL;
}

static bool ask_for_listeners(int fd, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 diag;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.diag = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1u << TCP_LISTEN },
	};
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) == sizeof(request);
}

/* 1: more follows; 0: the end of the answer; -EPROTO where it makes no sense. */
static int take_listeners(const char *bytes, size_t len, uint16_t *lowest)
{
	size_t at = 0;

	while (at < len && len - at >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *header = (const void *)(bytes + at);
		const struct inet_diag_msg *socket = NLMSG_DATA(header);

		if (header->nlmsg_type == NLMSG_DONE)
			return 0;
		if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)) || header->nlmsg_len > len - at ||
		    header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			return -EPROTO;
		if (mesh_name(ntohs(socket->id.idiag_sport)) && (!*lowest || ntohs(socket->id.idiag_sport) < *lowest))
			*lowest = ntohs(socket->id.idiag_sport);
		at += NLMSG_ALIGN((size_t)header->nlmsg_len);
	}
	return 1;
}

static int find_in_family(int fd, uint8_t family, uint16_t *lowest)
{
	static char answer[16384] __attribute__((aligned(8)));
	int r = 1;

	if (!ask_for_listeners(fd, family))
		return -EIO;
	for (int i = 0; r > 0 && i < MAX_DATAGRAMS; i++) {
		ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT); /* the kernel answers at once */

		r = n > 0 ? take_listeners(answer, (size_t)n, lowest) : -EIO;
	}
	return r > 0 ? -E2BIG : r;
}

int mesh_find(void)
{
	uint16_t lowest = 0;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), r;

	if (fd < 0)
		return -errno;
	r = find_in_family(fd, AF_INET, &lowest);
	if (r == 0)
		r = find_in_family(fd, AF_INET6, &lowest);
	close(fd);
	return r < 0 ? r : lowest;
}
