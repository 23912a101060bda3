/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/sockets.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/socket_dump.h"

#define TRIES 4

/* One listing. */
struct listing {
	const struct sockets_filter *filter;
	struct sockets *sockets;
	bool is_full; /* out of memory */
	struct socket_dump dump;
};

static bool make_room(struct sockets *s)
{
	size_t room = s->room ? s->room * 2 : 256;
	struct socket_seen *more;

	if (s->count < s->room)
		return true;
	more = reallocarray(s->at, room, sizeof(*more));
	if (!more)
		return false;
	s->at = more;
	s->room = room;
	return true;
}

static void take_socket(void *of, const struct inet_diag_msg *socket)
{
	struct listing *l = of;
	struct addr peer;
	long target;

	if (!addr_from_bytes(&peer, socket->idiag_family, socket->id.idiag_dst, socket->id.idiag_dport))
		return;
	target = l->filter->find(l->filter->of, &peer);
	if (target < 0)
		return;
	l->is_full = l->is_full || !make_room(l->sockets);
	if (!l->is_full)
		l->sockets->at[l->sockets->count++] =
			(struct socket_seen){ socket->idiag_inode, (size_t)target, SOCKET_NOBODY };
}

static int compare(const void *a, const void *b)
{
	uint32_t left = ((const struct socket_seen *)a)->inode, right = ((const struct socket_seen *)b)->inode;

	return (left > right) - (left < right);
}

/* The kernel goes on while it lists: a list that it calls torn is asked for again. */
static int list_whole(struct listing *l)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < TRIES; i++) {
		l->sockets->count = 0;
		r = socket_dump_open(&l->dump);
		if (r < 0)
			return r;
		r = socket_dump_run(&l->dump);
		socket_dump_close(&l->dump);
	}
	return l->is_full ? -ENOMEM : r;
}

int sockets_list(const struct sockets_filter *filter, struct sockets *ret_sockets)
{
	struct sockets sockets = { 0 };
	struct listing *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->filter = filter;
	l->sockets = &sockets;
	l->dump.states = 1u << TCP_ESTABLISHED;
	l->dump.visit = take_socket;
	l->dump.of = l;
	r = list_whole(l);
	free(l);
	if (r < 0) {
		sockets_free(&sockets);
		return r;
	}
	if (sockets.count)
		qsort(sockets.at, sockets.count, sizeof(*sockets.at), compare);
	*ret_sockets = sockets;
	return 0;
}

void sockets_free(struct sockets *sockets)
{
	free(sockets->at);
	memset(sockets, 0, sizeof(*sockets));
}

struct socket_seen *sockets_find(const struct sockets *sockets, uint32_t inode)
{
	struct socket_seen wanted = { .inode = inode };

	return sockets->count && inode ? bsearch(&wanted, sockets->at, sockets->count, sizeof(*sockets->at), compare) : NULL;
}
