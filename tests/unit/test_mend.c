/* SPDX-License-Identifier: Apache-2.0 */
/* Mending counts by the kernel's list: real sockets on loopback. In the middle of a mend: test_mend_moments.c. */
#include "support/testing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/scenes.h"

/* ---- counts ---- */

static void counts_follow_the_kernel(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 10);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 10);
	close_last(s, 4);
	assert_int_equal(active_at(s, 0), 10); /* no hook saw it */
	mend_once(s);
	assert_int_equal(active_at(s, 0), 6);
	dial(s, 0, 1);
	assert_int_equal(active_at(s, 0), 7);
	close_last(s, 7);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
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
	assert_int_equal(active_at(s, 0), 7);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 2);
	close(ready[0]);
	close(ready[1]);
}

/* Whatever a damaged note says of since when it has been on its way. */
static void claim_of_a_process_killed_before_it_dialed_is_given_up(void **state)
{
	static const uint32_t ahead[] = { 0, 1000, 100000, 0x7ffffff0, 0x80000010 };

	(void)state;
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		struct scene *s = new_scene();
		struct ledger_row *row;

		add_backend(s, "127.0.0.1", 0, 100);
		dial(s, 0, 2);
		ledger_claim(s->ledger, s->backends[0].key);
		row = row_of(s->ledger, s->backends[0].key.slot);
		if (ahead[i])
			row->unsettled_since = (uint64_t)s->backends[0].key.tag << 32 | (ledger_ticks(s->now_ms) + ahead[i]);
		mend_once(s);
		for (int k = 0; k < 4; k++)
			mend_once(s);
		if (active_at(s, 0) != 2)
			fail_msg("%u ticks ahead: %u are open", ahead[i], active_at(s, 0));
		end_of_test(NULL);
	}
}

static void sockets_that_nobody_claimed_are_counted(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	for (int i = 0; i < 3; i++)
		dial_as(s, 0, AF_INET, 0);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
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
	assert_int_equal(active_at(s, 0), 8);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 5);
}

static void a_row_that_was_another_backends_is_set_too(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 4);
	s->backends[0].key.tag = 4711;
	mend_once(s);
	assert_int_equal(active_at(s, 0), 4);
	dial(s, 0, 1);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 5);
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
	assert_int_equal(active_at(s, 0), 3);
	assert_int_equal(active_at(s, 1), 5);
	s->count = 3;
	mend_once(s);
	assert_int_equal(active_at(s, 2), 4);
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
		assert_int_equal(active_at(s, i), i < 3 ? i + 1 : 2);
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
	assert_int_equal(active_at(s, 0), 6);
	assert_int_equal(active_at(s, 1), 3);
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3);
}

static void ipv6_backends_of_one_port_are_counted(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "::1", 0, 100);
	dial(s, 0, 5);
	close_last(s, 2);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3);
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
	assert_int_equal(active_at(s, 0), 700);
	assert_int_equal(active_at(s, 1), 501);
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

/* ---- a network that others use too ---- */

static void what_nobody_claimed_is_not_counted_in_a_shared_network(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	ledger_keep(s->ledger, true, s->now_ms);
	add_backend(s, "127.0.0.1", 0, 100);
	for (int i = 0; i < 3; i++)
		dial_as(s, 0, AF_INET, 0);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
	dial(s, 0, 2);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 2);
	ledger_keep(s->ledger, false, s->now_ms);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 5);
}

static void counts_are_lowered_to_what_exists_in_a_shared_network(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	ledger_keep(s->ledger, true, s->now_ms);
	add_backend(s, "127.0.0.1", 0, 100);
	dial_as(s, 0, AF_INET, 0);
	dial(s, 0, 6);
	close_last(s, 4);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3); /* two of them, and a stranger's that stands in for one that has gone */
	close_last(s, 3);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
}

static void count_below_nothing_is_put_right_in_a_shared_network(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	ledger_keep(s->ledger, true, s->now_ms);
	add_backend(s, "127.0.0.1", 0, 100);
	ledger_release(s->ledger, s->backends[0].key); /* of a claim that a mend had counted as gone */
	dial_as(s, 0, AF_INET, 0);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
	ledger_claim(s->ledger, s->backends[0].key);
	assert_int_equal(active_at(s, 0), 1);
}

/* ---- settled ---- */

static void claim_of_before(struct scene *s)
{
	ledger_claim(s->ledger, s->backends[0].key);
}

static void row_on_which_somebody_dials_is_not_settled(void **state)
{
	struct scene *s = new_scene();
	struct ledger_key key;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	key = s->backends[0].key;
	dial(s, 0, 3);
	mend_once(s);
	assert_true(mend_has_settled(s->ledger, key));
	ledger_claim(s->ledger, key);
	assert_false(mend_has_settled(s->ledger, key));
	mend_once(s);
	assert_false(mend_has_settled(s->ledger, key));
	ledger_landed(s->ledger, key);
	assert_false(mend_has_settled(s->ledger, key)); /* it had not when the dump began */
	mend_once(s);
	assert_true(mend_has_settled(s->ledger, key));
	s->happens = claim_of_before;
	s->moment = 3; /* the dump is over, its end begins */
	mend_once(s);
	ledger_landed(s->ledger, key);
	assert_false(mend_has_settled(s->ledger, key));
	assert_true(mend_has_settled(s->ledger, (struct ledger_key){ UINT32_MAX, 1 }));
}

/* ---- two at once, and none ---- */

static void somebody_mends(struct scene *s)
{
	s->moment = -1;
	mend_once(s);
	assert_int_equal(active_at(s, 0), 2);
	s->calls = 1000;
}

static void of_a_mend_within_a_mend_the_inner_one_decides(void **state)
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
	assert_int_equal(active_at(s, 0), 2);
}

static void there_is_nothing_to_mend_without_a_ledger_or_backends(void **state)
{
	struct scene *s = new_scene();
	struct ledger real = *s->ledger;

	(void)state;
	assert_true(try_mend(s) < 0);
	add_backend(s, "127.0.0.1", 0, 100);
	s->ledger->base = NULL;
	assert_true(try_mend(s) < 0);
	*s->ledger = real;
	assert_int_equal(try_mend(s), 0);
}

/* ---- what a connection that stands says of its backend ---- */

static const struct ledger_verdict usual = { 1, 2, 5000, 300000, 1500 };

static uint16_t local_port_be(int fd)
{
	struct sockaddr_in name;
	socklen_t len = sizeof(name);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	return name.sin_port;
}

/* A dial to a backend in doubt, which nobody has waited for. */
static int dial_unanswered(struct scene *s)
{
	int fd = s->sockets[dial_as(s, 0, AF_INET, 0)];

	ledger_claim(s->ledger, s->backends[0].key);
	ledger_landed(s->ledger, s->backends[0].key);
	ledger_await(s->ledger, s->backends[0].key, local_port_be(fd));
	return fd;
}

static void a_dial_that_is_waited_for_forgives_where_it_stands(void **state)
{
	struct scene *s = new_scene();
	struct ledger_key key;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	key = s->backends[0].key;
	dial(s, 0, 1); /* it may be older than the failure */
	ledger_report(s->ledger, key, OUTCOME_TIMED_OUT, &usual, s->now_ms);
	mend_once(s);
	assert_true(ledger_doubted(s->ledger, key));
	dial_unanswered(s);
	mend_once(s);
	assert_false(ledger_doubted(s->ledger, key));
	assert_false(ledger_timed_out(s->ledger, key)); /* two lost SYNs a day apart are no two in a row */
	assert_false(ledger_suspect(s->ledger, key, s->now_ms));
}

static void a_trial_that_is_waited_for_ends_the_ejection(void **state)
{
	struct scene *s = new_scene();
	struct ledger_key key;
	uint32_t ejection;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	key = s->backends[0].key;
	dial(s, 0, 1);
	ledger_report(s->ledger, key, OUTCOME_REFUSED, &usual, s->now_ms);
	s->now_ms += 6000;
	ejection = ledger_load(s->ledger, key, s->now_ms).ejection;
	assert_true(ledger_try(s->ledger, key, &ejection, &usual, s->now_ms));
	mend_once(s);
	assert_true(ledger_load(s->ledger, key, s->now_ms).ejected);
	dial_unanswered(s);
	mend_once(s);
	assert_int_equal(ledger_load(s->ledger, key, s->now_ms).ejection, 0);
	assert_int_equal(active_at(s, 0), 2);
}

static void a_dial_that_is_waited_for_and_not_answered_forgives_nothing(void **state)
{
	struct scene *s = new_scene();
	struct ledger_key key;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 0);
	key = s->backends[0].key;
	dial(s, 0, 1);
	ledger_report(s->ledger, key, OUTCOME_TIMED_OUT, &usual, s->now_ms);
	ledger_await(s->ledger, key, local_port_be(s->sockets[dial_as(s, 0, AF_INET, SOCK_NONBLOCK)])); /* the queue is full */
	mend_once(s);
	assert_true(ledger_doubted(s->ledger, key));
}

static void a_failure_later_than_the_dial_that_is_waited_for_stands(void **state)
{
	struct scene *s = new_scene();
	struct ledger_key key;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	key = s->backends[0].key;
	ledger_report(s->ledger, key, OUTCOME_TIMED_OUT, &usual, s->now_ms);
	dial_unanswered(s);
	ledger_report(s->ledger, key, OUTCOME_TIMED_OUT, &usual, s->now_ms);
	mend_once(s);
	assert_true(ledger_load(s->ledger, key, s->now_ms).ejected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_follow_the_kernel),
		TEST(sockets_of_killed_processes_are_gone),
		TEST(claim_of_a_process_killed_before_it_dialed_is_given_up),
		TEST(sockets_that_nobody_claimed_are_counted),
		TEST(a_dial_that_is_not_answered_counts_as_open),
		TEST(a_row_that_was_another_backends_is_set_too),
		TEST(backends_of_one_port_are_told_from_others),
		TEST(backends_of_different_ports_are_counted_each),
		TEST(ipv6_and_mapped_sockets_are_counted),
		TEST(ipv6_backends_of_one_port_are_counted),
		TEST(many_sockets_fill_many_datagrams),
		TEST(a_mend_notes_how_long_it_took),
		TEST(what_nobody_claimed_is_not_counted_in_a_shared_network),
		TEST(counts_are_lowered_to_what_exists_in_a_shared_network),
		TEST(count_below_nothing_is_put_right_in_a_shared_network),
		TEST(row_on_which_somebody_dials_is_not_settled),
		TEST(of_a_mend_within_a_mend_the_inner_one_decides),
		TEST(there_is_nothing_to_mend_without_a_ledger_or_backends),
		TEST(a_dial_that_is_waited_for_forgives_where_it_stands),
		TEST(a_trial_that_is_waited_for_ends_the_ejection),
		TEST(a_dial_that_is_waited_for_and_not_answered_forgives_nothing),
		TEST(a_failure_later_than_the_dial_that_is_waited_for_stands),
	};

	return RUN_TESTS(tests);
}
