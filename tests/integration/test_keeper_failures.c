/* SPDX-License-Identifier: Apache-2.0 */
/* Failures that a program meets after its dial has returned: what the keeper tells of them, and what it does not. */
#include "support/testing.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/table_builder.h"
#include "support/tun.h"

enum { HOST = 2, LIMIT_MS = 30000 };

/* Dials, waits for an error, and closes. */
static const char asyncio_client[] = "import asyncio\n"
				     "async def main():\n"
				     "    try:\n"
				     "        await asyncio.open_connection('" SERVICE_ADDRESS "', 80)\n"
				     "    except OSError as e:\n"
				     "        print(type(e).__name__)\n"
				     "asyncio.run(main())\n";

/* `web` over this host alone. */
static struct services *services_of_host(int host, const char *more)
{
	struct services *s = services_open();
	struct place one;

	snprintf(one.address, sizeof(one.address), "%s", tun_address(host));
	one.port = 80;
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, &one, 1, more));
	return s;
}

static const char *host_place(void)
{
	return place_of(tun_address(HOST), 80);
}

/* As a program whose non-blocking dial failed: waits for the error, and closes. */
static void dial_and_fail(const char *place)
{
	struct pollfd p = { dial_place(place, AF_INET, SOCK_NONBLOCK), POLLOUT, 0 };

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	assert_true(p.revents & POLLERR);
	close(p.fd);
}

/* As one that gives up when its SYN has been sent `syns` times in all. */
static void dial_and_give_up(const struct tun *t, const char *place, unsigned syns)
{
	int fd = dial_place(place, AF_INET, SOCK_NONBLOCK);
	long end = now_ms() + LIMIT_MS;

	while (tun_syns(t, HOST) < syns && now_ms() < end)
		poll(NULL, 0, 1);
	close(fd);
}

static void dial_and_succeed(const char *place)
{
	struct pollfd p = { dial_place(place, AF_INET, SOCK_NONBLOCK), POLLOUT, 0 };

	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	assert_int_equal(p.revents, POLLOUT);
	close(p.fd);
}

static void late_refusal_of_an_event_loop_ejects_the_endpoint(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), false);
	struct process *p;

	(void)state;
	if (!program_exists("python3"))
		skip_because("no python3");
	tun_set(t, HOST, TUN_REFUSE, 100000); /* long after the shim has let go of it */
	p = run(k->s->env, "python3", "-c", asyncio_client, NULL);
	assert_string_equal(p->out_text, "ConnectionRefusedError\n");
	assert_int_equal(score_at(k, host_place()).failures, 0);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 1);
	assert_true(score_at(k, host_place()).ejected);
	assert_int_equal(score_at(k, host_place()).active, 0);
}

static bool nothing_is_seen(struct keeping *k, const void *what)
{
	return (uint32_t)row_of(&k->ledger, key_at(k, what).slot)->seen == 0;
}

static bool has_failed_twice(struct keeping *k, const void *what)
{
	return score_at(k, what).failures == 2;
}

static void refusal_that_the_shim_has_told_is_not_told_again(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	const char *web = place_of(backends_address(b, 0), backends_port(b, 0));
	struct process *p;

	(void)state;
	backends_stop(b, 0);
	ledger_keep(&k->ledger, false, clock_boot_ms());
	p = run(k->s->env, built("helpers/dialer"), "--nonblocking", "--count", "1", "web", "80", NULL);
	assert_string_equal(p->out_text, "ECONNREFUSED\n");
	assert_int_equal(score_at(k, web).failures, 1);
	assert_false(nothing_is_seen(k, web));
	keep_until(k, nothing_is_seen, web, "the end of the socket");
	assert_int_equal(score_at(k, web).failures, 1);
	dial_and_fail(web); /* that one nobody has told */
	keep_until(k, has_failed_twice, web, "a failure");
}

static void refusal_of_a_blocking_dial_is_not_told_again(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	const char *web = place_of(backends_address(b, 0), backends_port(b, 0));

	(void)state;
	backends_stop(b, 0);
	run(k->s->env, built("helpers/dialer"), "--count", "1", "web", "80", NULL);
	assert_int_equal(score_at(k, web).failures, 1);
	dial_and_fail(web); /* its end comes behind that of the other */
	keep_until(k, has_failed_twice, web, "a failure");
	assert_true(nothing_is_seen(k, web));
}

static void black_hole_is_ejected_after_two_timeouts(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), false);

	(void)state;
	tun_set(t, HOST, TUN_DROP, 0);
	dial_and_give_up(t, host_place(), 2);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 1);
	assert_false(score_at(k, host_place()).ejected);
	dial_and_give_up(t, host_place(), 4);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 2);
	assert_true(score_at(k, host_place()).ejected);
}

static void dial_that_was_closed_early_is_nobodys_fault(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), false);

	(void)state;
	tun_set(t, HOST, TUN_DROP, 0);
	for (unsigned i = 1; i <= 3; i++) {
		dial_and_give_up(t, host_place(), i);
		keep_one_event(k);
	}
	assert_int_equal(score_at(k, host_place()).failures, 0);
}

static void lost_syn_and_a_connection_that_ends_are_no_failures(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), false);
	struct linger reset = { 1, 0 };
	int fd;

	(void)state;
	tun_set(t, HOST, TUN_DROP_FIRST, 0);
	dial_and_succeed(host_place());
	keep_one_event(k);
	tun_set(t, HOST, TUN_ACCEPT, 0);
	dial_and_succeed(host_place());
	keep_one_event(k);
	fd = dial_place(host_place(), AF_INET, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 0);
}

static void connections_that_stood_are_no_timeouts_in_a_row(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), false);

	(void)state;
	tun_set(t, HOST, TUN_DROP, 0);
	dial_and_give_up(t, host_place(), 2);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 1);
	keep_sweep(k); /* its clock moves on: the failure is an old one */
	tun_set(t, HOST, TUN_ACCEPT, 0);
	dial_and_succeed(host_place());
	keep_one_event(k);
	tun_set(t, HOST, TUN_DROP, 0);
	dial_and_give_up(t, host_place(), 5);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 2);
	assert_false(score_at(k, host_place()).ejected);
}

static void connections_that_end_beside_a_failure_do_not_excuse_it(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, "\"eject_after\": 2"), false);

	(void)state;
	tun_set(t, HOST, TUN_REFUSE, 0);
	dial_and_fail(host_place());
	keep_one_event(k);
	tun_set(t, HOST, TUN_ACCEPT, 0);
	dial_and_succeed(host_place());
	keep_one_event(k);
	tun_set(t, HOST, TUN_REFUSE, 0);
	dial_and_fail(host_place());
	keep_one_event(k);
	assert_true(score_at(k, host_place()).ejected);
}

static unsigned ejections_at(struct keeping *k, const char *place)
{
	return (uint32_t)row_of(&k->ledger, key_at(k, place).slot)->ejections & 0xffff;
}

static void dials_from_before_a_verdict_do_not_renew_it(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, "\"eject_for\": \"500ms\""), false);
	int fds[3];

	(void)state;
	tun_set(t, HOST, TUN_DROP, 0);
	for (int i = 0; i < 3; i++)
		fds[i] = dial_place(host_place(), AF_INET, SOCK_NONBLOCK);
	while (tun_syns(t, HOST) < 6)
		poll(NULL, 0, 1);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		keep_one_event(k);
	}
	assert_int_equal(ejections_at(k, host_place()), 1);
	k->now_ms += 600; /* the time of that is over */
	assert_false(score_at(k, host_place()).ejected);
	close(fds[2]);
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 3);
	assert_int_equal(ejections_at(k, host_place()), 1);
	assert_false(score_at(k, host_place()).ejected);
}

static void late_end_of_a_trial_is_told_by_its_port(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, "\"eject_for\": \"100ms\""), false);
	struct ledger_verdict verdict = { 1, 2, 100, 1000, 30000 };
	struct ledger_key key = key_at(k, host_place());
	struct sockaddr_in name;
	socklen_t length = sizeof(name);
	uint32_t ejection;
	int fd;

	(void)state;
	tun_set(t, HOST, TUN_REFUSE, 0);
	dial_and_fail(host_place());
	keep_one_event(k);
	keep_sweep(k);
	ejection = ledger_load(&k->ledger, key, k->now_ms).ejection;
	assert_true(ledger_try(&k->ledger, key, &ejection, &verdict, k->now_ms));
	fd = dial_place(host_place(), AF_INET, SOCK_NONBLOCK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	ledger_await(&k->ledger, key, name.sin_port);
	dial_and_fail(host_place()); /* somebody else's, who may have begun before */
	keep_one_event(k);
	assert_int_equal(ledger_load(&k->ledger, key, k->now_ms).ejection, ejection);
	close(fd);
	keep_one_event(k);
	assert_int_equal(ejections_at(k, host_place()), 2);
	assert_false(ledger_is_trial(ledger_load(&k->ledger, key, k->now_ms).ejection));
}

static void most_cautious_of_two_services_judges(void **state)
{
	struct tun *t = tun_open();
	struct services *s = services_open();
	struct keeping *k;
	struct place one = { .port = 80 };

	(void)state;
	snprintf(one.address, sizeof(one.address), "%s", tun_address(HOST));
	services_publish(s, format("%s, %s", service_entry("web", SERVICE_ADDRESS, 80, &one, 1, "\"eject_after\": 1"),
				   service_entry("api", "127.96.0.21", 80, &one, 1, "\"eject_after\": 3")));
	k = keep_by_hand(s, false);
	tun_set(t, HOST, TUN_REFUSE, 0);
	for (int i = 1; i <= 3; i++) {
		dial_and_fail(host_place());
		keep_one_event(k);
		assert_int_equal(score_at(k, host_place()).ejected, i == 3);
	}
}

static void failures_of_strangers_in_a_shared_network_teach_nothing(void **state)
{
	struct tun *t = tun_open();
	struct keeping *k = keep_by_hand(services_of_host(HOST, NULL), true);
	struct ledger_key key = key_at(k, host_place());

	(void)state;
	tun_set(t, HOST, TUN_REFUSE, 0);
	dial_and_fail(host_place());
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 0);
	ledger_claim(&k->ledger, key);
	ledger_landed(&k->ledger, key);
	dial_and_fail(host_place()); /* perhaps that one's */
	keep_one_event(k);
	assert_int_equal(score_at(k, host_place()).failures, 1);
	assert_int_equal(score_at(k, host_place()).active, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(late_refusal_of_an_event_loop_ejects_the_endpoint),
		TEST(refusal_that_the_shim_has_told_is_not_told_again),
		TEST(refusal_of_a_blocking_dial_is_not_told_again),
		TEST(black_hole_is_ejected_after_two_timeouts),
		TEST(dial_that_was_closed_early_is_nobodys_fault),
		TEST(lost_syn_and_a_connection_that_ends_are_no_failures),
		TEST(connections_that_stood_are_no_timeouts_in_a_row),
		TEST(connections_that_end_beside_a_failure_do_not_excuse_it),
		TEST(dials_from_before_a_verdict_do_not_renew_it),
		TEST(late_end_of_a_trial_is_told_by_its_port),
		TEST(most_cautious_of_two_services_judges),
		TEST(failures_of_strangers_in_a_shared_network_teach_nothing),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
