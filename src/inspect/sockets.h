/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open TCP connections of this network namespace to destinations of interest. Open is what the kernel calls established:
 * not one that is still being dialed, nor one that either side has begun to close. Which process has it, the list does not say:
 * that is found by the inode, the number in "socket:[N]" of /proc/PID/fd.
 */
#ifndef FAIRDIAL_INSPECT_SOCKETS_H
#define FAIRDIAL_INSPECT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define SOCKET_NOBODY SIZE_MAX

struct socket_seen {
	uint32_t inode; /* 0: a socket that no descriptor holds any more */
	size_t target;  /* what `find` said of its peer */
	size_t holder;  /* a row of the processes, the first that was seen to hold it; SOCKET_NOBODY: none was */
};

struct sockets {
	struct socket_seen *at; /* in the order of inodes */
	size_t count, room;
};

/* Which destinations are of interest: their number, or a negative errno. IPv4 peers are IPv4, however the socket calls them. */
struct sockets_filter {
	long (*find)(const void *of, const struct addr *peer);
	const void *of;
};

/* 0, or a negative errno. The caller frees it. */
int sockets_list(const struct sockets_filter *filter, struct sockets *ret_sockets);
void sockets_free(struct sockets *sockets);

/* The socket with this inode; NULL: it is not among them. */
struct socket_seen *sockets_find(const struct sockets *sockets, uint32_t inode);

#endif
