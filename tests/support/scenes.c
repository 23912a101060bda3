/* SPDX-License-Identifier: Apache-2.0 */
#include "support/scenes.h"

#include "support/testing.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/table_builder.h"

static void close_scene(void *what)
{
	struct scene *s = what;

	for (size_t i = 0; i < s->socket_count; i++)
		if (s->sockets[i] >= 0)
			close(s->sockets[i]);
	for (uint32_t i = 0; i < s->count; i++)
		if (s->backends[i].listener >= 0)
			close(s->backends[i].listener);
	free(s);
}

/* The kernel's list of sockets; qemu-user hands on only other protocols of netlink. */
static void need_sock_diag(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 && errno == EPROTONOSUPPORT)
		skip_because("no NETLINK_SOCK_DIAG here, of which a mend takes the kernel's sockets");
	close(fd);
}

struct scene *new_scene(void)
{
	struct scene *s;

	need_sock_diag();
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->now_ms = 1000000;
	s->moment = -1;
	after_test(close_scene, s);
	s->ledger = new_ledger(16, 16);
	return s;
}

static bool at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	struct scene *s = (struct scene *)of;

	if (s->calls++ == s->moment)
		s->happens(s);
	*ret_addr = s->backends[i].addr;
	*ret_key = s->backends[i].key;
	return !s->silent;
}

int try_mend(struct scene *s)
{
	struct mend_list list = { s, s->count, at };

	s->calls = 0;
	return mend_in_turn(s->ledger, &list, s->now_ms += 1000);
}

void mend_once(struct scene *s)
{
	int r = try_mend(s);

	if (r < 0)
		fail_msg("mend: %s", strerror(-r));
}

uint32_t active_at(const struct scene *s, uint32_t i)
{
	return ledger_load(s->ledger, s->backends[i].key, s->now_ms).active;
}

/* ---- sockets ---- */

/* Backends in the order of addr_compare, as mend.h wants them. */
static void sort_backends(struct scene *s)
{
	for (uint32_t i = 1; i < s->count; i++) {
		for (uint32_t k = i; k > 0 && addr_compare(&s->backends[k - 1].addr, &s->backends[k].addr) > 0; k--) {
			struct backend last = s->backends[k];

			s->backends[k] = s->backends[k - 1];
			s->backends[k - 1] = last;
		}
	}
}

void add_backend(struct scene *s, const char *ip, uint16_t port, int backlog)
{
	struct sockaddr_in6 like = { .sin6_family = AF_INET6 }, sa;
	struct backend *b = &s->backends[s->count];
	int on = 1, family = addr_of(ip).is_v4 ? AF_INET : AF_INET6;
	socklen_t len;

	b->addr = addr_of(ip);
	addr_set_port(&b->addr, port);
	b->key = (struct ledger_key){ s->count * 3, 100 + s->count };
	like.sin6_family = (sa_family_t)family;
	len = addr_to_sockaddr(&b->addr, (struct sockaddr *)&like, &sa);
	b->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->count++;
	setsockopt(b->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(b->listener, (struct sockaddr *)&sa, len) < 0) {
		if (family == AF_INET6)
			skip_because("no IPv6 on loopback");
		fail_msg("bind %s: %s", ip, strerror(errno));
	}
	assert_int_equal(listen(b->listener, backlog), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr(&b->addr, (struct sockaddr *)&sa, len));
	sort_backends(s);
}

size_t dial_as(struct scene *s, uint32_t i, int family, int flags)
{
	struct sockaddr_in6 like = { .sin6_family = AF_INET6 }, sa;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), r;

	assert_true(fd >= 0 && s->socket_count < MAX_SOCKETS);
	like.sin6_family = (sa_family_t)family;
	r = connect(fd, (struct sockaddr *)&sa, addr_to_sockaddr(&s->backends[i].addr, (struct sockaddr *)&like, &sa));
	if (r < 0 && errno != EINPROGRESS)
		fail_msg("connect: %s", strerror(errno));
	s->sockets[s->socket_count] = fd;
	return s->socket_count++;
}

static int own_family(const struct scene *s, uint32_t i)
{
	return s->backends[i].addr.is_v4 ? AF_INET : AF_INET6;
}

void dial(struct scene *s, uint32_t i, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		ledger_claim(s->ledger, s->backends[i].key);
		dial_as(s, i, own_family(s, i), 0);
		ledger_landed(s->ledger, s->backends[i].key);
	}
}

void close_last(struct scene *s, size_t n)
{
	while (n--)
		close(s->sockets[--s->socket_count]);
}
