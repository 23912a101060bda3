/* SPDX-License-Identifier: Apache-2.0 */
/* Mending counts by the kernel's list: real sockets on loopback, and dials at every moment of a mend. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/mend.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/table_builder.h"

enum { MAX_BACKENDS = 4, MAX_SOCKETS = 1500, MOMENTS = 40 };

struct backend {
	struct addr addr;
	struct ledger_key key;
	int listener;
};

/* The scene of a test; what happens at the `moment`th call of the list's callback is up to it. */
struct scene {
	struct ledger *ledger;
	struct backend backends[MAX_BACKENDS];
	uint32_t count;
	int sockets[MAX_SOCKETS];
	size_t socket_count;
	uint64_t now_ms;
	int calls, moment; /* moment -1: nothing happens */
	void (*happens)(struct scene *);
	bool silent; /* the list no longer answers */
};

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

static struct scene *new_scene(void)
{
	struct scene *s = calloc(1, sizeof(*s));

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

static int try_mend(struct scene *s)
{
	struct mend_list list = { s, s->count, at };

	s->calls = 0;
	return mend(s->ledger, &list, s->now_ms += 1000);
}

static void mend_once(struct scene *s)
{
	int r = try_mend(s);

	if (r < 0)
		fail_msg("mend: %s", strerror(-r));
}

static uint32_t active(const struct scene *s, uint32_t i)
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

static void add_backend(struct scene *s, const char *ip, uint16_t port, int backlog)
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

/* Dials without a word to the ledger. The socket's place in the scene. */
static size_t dial_as(struct scene *s, uint32_t i, int family, int flags)
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

/* As the shim dials. */
static void dial(struct scene *s, uint32_t i, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		ledger_claim(s->ledger, s->backends[i].key);
		dial_as(s, i, own_family(s, i), 0);
		ledger_landed(s->ledger, s->backends[i].key);
	}
}

/* As programs close: nobody is told. */
static void close_last(struct scene *s, size_t n)
{
	while (n--)
		close(s->sockets[--s->socket_count]);
}

/* ---- counts ---- */

static void counts_follow_the_kernel(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 10);
	mend_once(s);
	assert_int_equal(active(s, 0), 10);
	close_last(s, 4);
	assert_int_equal(active(s, 0), 10); /* no hook saw it */
	mend_once(s);
	assert_int_equal(active(s, 0), 6);
	dial(s, 0, 1);
	assert_int_equal(active(s, 0), 7);
	close_last(s, 7);
	mend_once(s);
	assert_int_equal(active(s, 0), 0);
}

static void sockets_of_killed_processes_are_gone(void **state)
{
	struct scene *s = new_scene();
	char byte;
	int ready[2];
	pid_t pid;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 2);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		dial(s, 0, 5);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	mend_once(s);
	assert_int_equal(active(s, 0), 7);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mend_once(s);
	assert_int_equal(active(s, 0), 2);
	close(ready[0]);
	close(ready[1]);
}

static void sockets_that_nobody_claimed_are_counted(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	for (int i = 0; i < 3; i++)
		dial_as(s, 0, AF_INET, 0);
	mend_once(s);
	assert_int_equal(active(s, 0), 3);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active(s, 0), 0);
}

static void a_dial_that_is_not_answered_counts_as_open(void **state)
{
	struct scene *s = new_scene();
	struct tcp_info info;
	socklen_t len = sizeof(info);

	(void)state;
	add_backend(s, "127.0.0.1", 0, 0);
	for (int i = 0; i < 8; i++) { /* the queue is full after the first ones: SYNs are dropped */
		ledger_claim(s->ledger, s->backends[0].key);
		dial_as(s, 0, AF_INET, SOCK_NONBLOCK);
		ledger_landed(s->ledger, s->backends[0].key);
	}
	assert_int_equal(getsockopt(s->sockets[7], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_state, TCP_SYN_SENT);
	mend_once(s);
	assert_int_equal(active(s, 0), 8);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active(s, 0), 5);
}

static void a_row_that_was_another_backends_is_set_too(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 4);
	s->backends[0].key.tag = 4711;
	mend_once(s);
	assert_int_equal(active(s, 0), 4);
	dial(s, 0, 1);
	mend_once(s);
	assert_int_equal(active(s, 0), 5);
}

/* ---- who is counted ---- */

static void backends_of_one_port_are_told_from_others(void **state)
{
	struct scene *s = new_scene();
	uint16_t port;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	port = addr_port(&s->backends[0].addr);
	add_backend(s, "127.0.0.2", port, 100);
	add_backend(s, "127.0.0.9", port, 100);
	dial(s, 0, 3);
	dial(s, 1, 5);
	s->count = 2; /* the third is nobody's: its sockets have the right port, and no row */
	for (int i = 0; i < 4; i++)
		dial_as(s, 2, AF_INET, 0);
	s->moment = -1;
	mend_once(s);
	assert_int_equal(active(s, 0), 3);
	assert_int_equal(active(s, 1), 5);
	s->count = 3;
	mend_once(s);
	assert_int_equal(active(s, 2), 4);
}

static void backends_of_different_ports_are_counted_each(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	for (int i = 0; i < 4; i++)
		add_backend(s, i % 2 ? "127.0.0.1" : "127.0.0.2", 0, 100);
	for (uint32_t i = 0; i < 4; i++)
		dial(s, i, i + 1);
	close_last(s, 2);
	mend_once(s);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(active(s, i), i < 3 ? i + 1 : 2);
}

static void ipv6_and_mapped_sockets_are_counted(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	add_backend(s, "::1", 0, 100);
	dial(s, 0, 2);
	dial(s, 1, 3);
	for (int i = 0; i < 4; i++) { /* Java dials so */
		ledger_claim(s->ledger, s->backends[0].key);
		dial_as(s, 0, AF_INET6, 0);
		ledger_landed(s->ledger, s->backends[0].key);
	}
	mend_once(s);
	assert_int_equal(active(s, 0), 6);
	assert_int_equal(active(s, 1), 3);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active(s, 0), 3);
}

static void ipv6_backends_of_one_port_are_counted(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "::1", 0, 100);
	dial(s, 0, 5);
	close_last(s, 2);
	mend_once(s);
	assert_int_equal(active(s, 0), 3);
}

static void many_sockets_fill_many_datagrams(void **state)
{
	struct rlimit limit;
	struct scene *s = new_scene();

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < MAX_SOCKETS + 100) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < MAX_SOCKETS + 100)
		skip_because("too few descriptors");
	add_backend(s, "127.0.0.1", 0, MAX_SOCKETS);
	add_backend(s, "127.0.0.2", 0, MAX_SOCKETS);
	dial(s, 0, 700);
	dial(s, 1, 600);
	close_last(s, 99);
	mend_once(s);
	assert_int_equal(active(s, 0), 700);
	assert_int_equal(active(s, 1), 501);
}

/* ---- dials in the middle of a mend ---- */

static void somebody_claims(struct scene *s)
{
	ledger_claim(s->ledger, s->backends[0].key);
}

static void somebody_dials(struct scene *s)
{
	dial(s, 0, 1);
}

static void somebody_fails(struct scene *s)
{
	ledger_claim(s->ledger, s->backends[0].key);
	ledger_release(s->ledger, s->backends[0].key);
}

static void somebody_releases(struct scene *s)
{
	ledger_release(s->ledger, s->backends[0].key);
}

static void somebody_lands(struct scene *s)
{
	dial_as(s, 0, AF_INET, 0);
	ledger_landed(s->ledger, s->backends[0].key);
}

/*
 * At each moment of a mend once: two sockets are open and three more claims are of closed ones; `before` and then, in
 * the middle, `happens`. What is open must be `open` after this mend and every later one, or more until the next.
 */
static void at_each_moment(void (*before)(struct scene *), void (*happens)(struct scene *), uint32_t open, uint32_t more)
{
	for (int moment = 0; moment < MOMENTS; moment++) {
		struct scene *s = new_scene();

		add_backend(s, "127.0.0.1", 0, 100);
		add_backend(s, "127.0.0.2", 0, 100);
		dial(s, 0, 2);
		dial(s, 1, 1);
		mend_once(s);
		if (before)
			before(s);
		s->happens = happens;
		s->moment = moment;
		mend_once(s);
		if (s->calls <= moment)
			happens(s); /* this mend had fewer moments: it happens after it */
		s->moment = -1;
		assert_in_range(active(s, 0), open, open + more);
		mend_once(s);
		mend_once(s);
		assert_int_equal(active(s, 1), 1);
		if (happens != somebody_claims)
			assert_int_equal(active(s, 0), open);
		end_of_test(NULL);
	}
}

static void a_claim_made_at_any_moment_survives_the_mend(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_claims, 3, 0);
}

static void a_dial_at_any_moment_is_counted_once(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_dials, 3, 0);
}

static void a_failed_dial_at_any_moment_is_not_counted(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_fails, 2, 0);
}

static void a_claim_of_before_that_fails_at_any_moment_is_not_counted(void **state)
{
	(void)state;
	at_each_moment(somebody_claims, somebody_releases, 2, 0);
}

static void a_claim_of_before_that_lands_at_any_moment_is_counted_once(void **state)
{
	(void)state;
	at_each_moment(somebody_claims, somebody_lands, 3, 0);
}

static void a_claim_whose_owner_died_is_settled_after_a_few_mends(void **state)
{
	struct scene *s = new_scene();
	int mends = 1;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 3);
	ledger_claim(s->ledger, s->backends[0].key);
	mend_once(s);
	assert_int_equal(active(s, 0), 4); /* not by one */
	for (; mends < 6 && active(s, 0) != 3; mends++)
		mend_once(s);
	assert_in_range(mends, 2, 5);
	assert_int_equal(active(s, 0), 3);
	for (; mends < 30; mends++)
		mend_once(s);
	dial(s, 0, 2);
	close_last(s, 1);
	mend_once(s);
	assert_int_equal(active(s, 0), 4); /* at once again: everything has landed */
}

static void an_owner_that_was_only_slow_is_counted_in_the_end(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	ledger_claim(s->ledger, s->backends[0].key);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active(s, 0), 0);
	somebody_lands(s);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active(s, 0), 1);
	close_last(s, 1);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active(s, 0), 0);
}

static void a_backend_that_never_stands_still_is_set_all_the_same(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 200);
	dial(s, 0, 50);
	close_last(s, 45);
	for (int i = 0; i < 10; i++) {
		s->happens = somebody_dials;
		s->moment = 3 + i % 3;
		mend_once(s);
		if (s->calls <= s->moment)
			somebody_dials(s);
	}
	assert_int_equal(s->socket_count, 15);
	assert_in_range(active(s, 0), 14, 17);
}

static void a_mend_notes_how_long_it_took(void **state)
{
	struct scene *s = new_scene();
	struct ledger_head *head = (struct ledger_head *)(void *)s->ledger->base;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	head->mend_us = UINT64_MAX;
	mend_once(s);
	assert_in_range(head->mend_us, 1, 10000000);
}

/* ---- refusals ---- */

static void somebody_mends(struct scene *s)
{
	s->moment = -1;
	assert_int_equal(try_mend(s), -EBUSY);
	s->calls = 1000;
}

static void a_mend_within_a_mend_is_refused(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 3);
	close_last(s, 1);
	s->happens = somebody_mends;
	s->moment = 1;
	mend_once(s);
	assert_int_equal(s->calls >= 1000, 1);
	mend_once(s);
	assert_int_equal(active(s, 0), 2);
}

static void somebody_goes_silent(struct scene *s)
{
	s->silent = true;
}

static void a_list_that_ends_in_the_middle_erases_nothing(void **state)
{
	(void)state;
	for (int moment = 0; moment < MOMENTS; moment++) {
		struct scene *s = new_scene();

		add_backend(s, "127.0.0.1", 0, 100);
		add_backend(s, "127.0.0.2", 0, 100);
		dial(s, 0, 3);
		dial(s, 1, 2);
		s->happens = somebody_goes_silent;
		s->moment = moment;
		try_mend(s);
		assert_int_equal(active(s, 0), 3);
		assert_int_equal(active(s, 1), 2);
		s->silent = false;
		s->moment = -1;
		mend_once(s);
		assert_int_equal(active(s, 0), 3);
		end_of_test(NULL);
	}
}

static void there_is_nothing_to_mend_without_a_ledger_or_backends(void **state)
{
	struct ledger none = { .base = NULL };
	struct scene *s = new_scene();
	struct mend_list empty = { s, 0, at };

	(void)state;
	assert_true(mend(s->ledger, &empty, 5000) < 0);
	add_backend(s, "127.0.0.1", 0, 100);
	assert_true(mend(&none, &(struct mend_list){ s, 1, at }, 5000) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_follow_the_kernel),
		TEST(sockets_of_killed_processes_are_gone),
		TEST(sockets_that_nobody_claimed_are_counted),
		TEST(a_dial_that_is_not_answered_counts_as_open),
		TEST(a_row_that_was_another_backends_is_set_too),
		TEST(backends_of_one_port_are_told_from_others),
		TEST(backends_of_different_ports_are_counted_each),
		TEST(ipv6_and_mapped_sockets_are_counted),
		TEST(ipv6_backends_of_one_port_are_counted),
		TEST(many_sockets_fill_many_datagrams),
		TEST(a_claim_made_at_any_moment_survives_the_mend),
		TEST(a_dial_at_any_moment_is_counted_once),
		TEST(a_failed_dial_at_any_moment_is_not_counted),
		TEST(a_claim_of_before_that_fails_at_any_moment_is_not_counted),
		TEST(a_claim_of_before_that_lands_at_any_moment_is_counted_once),
		TEST(a_claim_whose_owner_died_is_settled_after_a_few_mends),
		TEST(an_owner_that_was_only_slow_is_counted_in_the_end),
		TEST(a_backend_that_never_stands_still_is_set_all_the_same),
		TEST(a_mend_notes_how_long_it_took),
		TEST(a_mend_within_a_mend_is_refused),
		TEST(a_list_that_ends_in_the_middle_erases_nothing),
		TEST(there_is_nothing_to_mend_without_a_ledger_or_backends),
	};

	return RUN_TESTS(tests);
}
