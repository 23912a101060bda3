/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that refuse, vanish or come back: what the program sees of it, and who is dialed in the meantime. */
#include "support/testing.h"

#include <poll.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { BACKENDS = 5, LIMIT_MS = 60000 };

#define ROUND_ROBIN    "\"balance\": \"round_robin\""
#define LONG_EJECTION  ROUND_ROBIN ", \"eject_for\": \"60s\""
#define SHORT_EJECTION ROUND_ROBIN ", \"eject_for\": \"300ms\""

/* Runs a program under the shim; it must succeed every time, and only live backends answer, `total` times in all. */
static void assert_no_failure(struct services *s, size_t runs, unsigned total, const char *const *argv)
{
	size_t failed;
	char *answers = run_many(&(struct start){ .argv = argv, .env = s->env }, runs, 4, &failed);

	assert_int_equal(failed, 0);
	assert_even_answers(answers, BACKENDS, total, total);
}

/* Every backend but the dead one took part, and it none. */
static void assert_only_dead(const struct backends *b, size_t dead)
{
	for (size_t i = 0; i < BACKENDS; i++)
		assert_int_equal(backends_accepted(b, i) > 0, i != dead);
}

static void two_thousand_curl_dials_do_not_notice_one_dead_backend_of_five(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	backends_stop(b, 2);
	assert_no_failure(s, 8, 2000, ARGV("curl", "-sSf", "-H", "Connection: close", "http://web/[1-250]"));
	assert_only_dead(b, 2);
	assert_true(services_backend(s, "web", b, 2).failures > 0);
}

static void two_thousand_blocking_dials_do_not_notice_one_dead_backend_of_five(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	backends_stop(b, 4);
	assert_no_failure(s, 8, 2000, ARGV(built("helpers/dialer"), "--count", "250", "web", "80"));
	assert_only_dead(b, 4);
}

static void two_thousand_nonblocking_dials_do_not_notice_one_dead_backend_of_five(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	backends_stop(b, 0);
	assert_no_failure(s, 8, 2000, ARGV(built("helpers/dialer"), "--nonblocking", "--count", "250", "web", "80"));
	assert_only_dead(b, 0);
}

static void four_dead_backends_of_five_leave_the_fifth(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	for (size_t i = 1; i < BACKENDS; i++)
		backends_stop(b, i);
	assert_no_failure(s, 4, 200, ARGV(built("helpers/dialer"), "--count", "50", "web", "80"));
	assert_no_failure(s, 4, 200, ARGV(built("helpers/dialer"), "--nonblocking", "--count", "50", "web", "80"));
	assert_int_equal(backends_accepted(b, 0), 400);
}

static void five_dead_backends_of_five_are_connection_refused(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	struct process *p;

	(void)state;
	for (size_t i = 0; i < BACKENDS; i++)
		backends_stop(b, i);
	p = run(s->env, built("helpers/dialer"), "--count", "3", "web", "80", NULL);
	assert_string_equal(p->out_text, "ECONNREFUSED\nECONNREFUSED\nECONNREFUSED\n");
	p = run(s->env, built("helpers/dialer"), "--count", "2", "--nonblocking", "web", "80", NULL);
	assert_string_equal(p->out_text, "ECONNREFUSED\nECONNREFUSED\n");
	p = run(s->env, "curl", "-s", "http://web/", NULL);
	assert_int_equal(p->exit_status, 7); /* curl's word for it */
}

static void failure_that_one_process_sees_is_avoided_by_the_next(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LONG_EJECTION);
	struct endpoint_status before, after;

	(void)state;
	backends_stop(b, 3);
	assert_no_failure(s, 1, 5, ARGV(built("helpers/dialer"), "--count", "5", "web", "80"));
	before = services_backend(s, "web", b, 3);
	assert_true(before.ejected);
	assert_int_equal(before.failures, 1);
	assert_no_failure(s, 8, 40, ARGV(built("helpers/dialer"), "--count", "5", "web", "80"));
	assert_no_failure(s, 8, 8, ARGV("curl", "-sSf", "http://web/"));
	after = services_backend(s, "web", b, 3);
	assert_true(after.ejected);
	assert_int_equal(after.failures, 1);
}

/* Waits for a condition that only time brings about. */
static void wait_until_not_ejected(struct services *s, const char *address, int port)
{
	long end = now_ms() + LIMIT_MS;

	while (services_endpoint(s, "web", address, port).ejected)
		if (now_ms() > end)
			fail_msg("%s:%d stays ejected", address, port);
}

static void backend_that_comes_back_is_dialed_again_after_its_ejection(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, SHORT_EJECTION);
	unsigned before;

	(void)state;
	backends_stop(b, 1);
	assert_no_failure(s, 1, 10, ARGV(built("helpers/dialer"), "--count", "10", "web", "80"));
	assert_true(services_backend(s, "web", b, 1).failures > 0);
	backends_restart(b, 1);
	wait_until_not_ejected(s, backends_address(b, 1), backends_port(b, 1));
	before = backends_accepted(b, 1);
	assert_no_failure(s, 1, 50, ARGV(built("helpers/dialer"), "--count", "50", "web", "80"));
	assert_true(backends_accepted(b, 1) >= before + 9);
}

static void backend_killed_between_two_dials_of_a_program_is_not_noticed(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--step", "--nonblocking", "web", "80"),
		.env = s->env,
		.interactive = true,
	});

	(void)state;
	for (int i = 0; i < 4; i++) {
		process_say(p, "\n");
		assert_non_null(strstr(process_line(p, LIMIT_MS), "backend-"));
	}
	backends_stop(b, 0);
	for (int i = 0; i < 4; i++) {
		process_say(p, "\n");
		assert_string_equal(process_line(p, LIMIT_MS), "backend-2");
	}
}

/* web over live backends in the test's own network, and a host of the TUN device behind them. */
static struct services *services_with_host(const struct backends *b, int host, const char *more)
{
	struct services *s = services_open();
	struct place places[BACKENDS_MAX];
	size_t live = backends_count(b);

	memcpy(places, backends_places(b), live * sizeof(*places));
	snprintf(places[live].address, sizeof(places[live].address), "%s", tun_address(host));
	places[live].port = 80;
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, places, live + 1, more));
	return s;
}

static void refusal_that_comes_late_is_seen_once_per_ejection_at_most(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(4, ONE_PORT);
	struct services *s = services_with_host(b, 2, LONG_EJECTION);
	struct process *p;
	unsigned counts[4];

	(void)state;
	tun_set(t, 2, TUN_REFUSE, 1000);
	p = run(s->env, built("helpers/dialer"), "--nonblocking", "--count", "1000", "web", "80", NULL);
	if (tally(p->out_text, counts, 4) > 1)
		fail_msg("more than one failure in one ejection; %u dials of the dead host", tun_dials(t, 2));
	assert_true(tun_dials(t, 2) > 0);
	assert_true(services_endpoint(s, "web", tun_address(2), 80).ejected);
}

static void refusal_that_comes_late_is_not_seen_by_blocking_dials(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(4, ONE_PORT);
	struct services *s = services_with_host(b, 2, LONG_EJECTION);

	(void)state;
	tun_set(t, 2, TUN_REFUSE, 1000);
	assert_no_failure(s, 4, 1000, ARGV(built("helpers/dialer"), "--count", "250", "web", "80"));
	assert_true(tun_dials(t, 2) >= 1 && tun_dials(t, 2) <= 4);
	assert_true(services_endpoint(s, "web", tun_address(2), 80).ejected);
}

static void unreachable_host_is_followed_by_the_others(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(4, ONE_PORT);
	struct services *s = services_with_host(b, 3, LONG_EJECTION);

	(void)state;
	tun_set(t, 3, TUN_UNREACHABLE, 500);
	assert_no_failure(s, 1, 100, ARGV(built("helpers/dialer"), "--count", "100", "web", "80"));
	assert_int_equal(tun_dials(t, 3), 1);
}

/* One dial of a stepping client; it must reach a live backend. */
static void step(struct process *p)
{
	process_say(p, "\n");
	if (strncmp(process_line(p, LIMIT_MS), "backend-", 8))
		fail_msg("a dial failed: %s", p->out_text);
}

/* Dials until the host has seen `dials`; in turn, so three dials suffice each time. */
static void step_until(struct process *p, const struct tun *t, int host, unsigned dials)
{
	for (int i = 0; i < 9 && tun_dials(t, host) < dials; i++)
		step(p);
	assert_int_equal(tun_dials(t, host), dials);
}

static void black_hole_is_left_after_two_timeouts_until_its_ejection_ends(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_with_host(b, 4, ROUND_ROBIN);
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--step", "web", "80"), .env = s->env, .interactive = true });
	const char *hole = tun_address(4);
	long begun_ms;

	(void)state;
	tun_set(t, 4, TUN_DROP, 0);
	step_until(p, t, 4, 1);
	/* The first SYN and the one that the kernel sends after a second, none after three: it went on in between. */
	assert_int_equal(tun_syns(t, 4), 2);
	assert_false(services_endpoint(s, "web", hole, 80).ejected);
	begun_ms = now_ms();
	step_until(p, t, 4, 2);
	assert_true(services_endpoint(s, "web", hole, 80).ejected);
	while (tun_dials(t, 4) < 3 && now_ms() - begun_ms < LIMIT_MS)
		step(p);
	assert_int_equal(tun_dials(t, 4), 3);
	assert_true(now_ms() - begun_ms >= 4500); /* five seconds, and a tenth less */
}

static void one_lost_syn_is_no_verdict(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_with_host(b, 5, ROUND_ROBIN);
	struct process *p;

	(void)state;
	tun_set(t, 5, TUN_DROP_FIRST, 0);
	p = run(s->env, built("helpers/dialer"), "--count", "4", "web", "80", NULL);
	assert_clean(p);
	assert_int_equal(tun_dials(t, 5), 2);
	assert_int_equal(tun_syns(t, 5), 4);
	assert_non_null(strstr(p->out_text, "tun-5\n"));
	assert_int_equal(services_endpoint(s, "web", tun_address(5), 80).failures, 0);
	assert_false(services_endpoint(s, "web", tun_address(5), 80).ejected);
}

/* An event loop whose answers come after the shim has let go of its dials, in a pod without an agent. */
static void slow_endpoint_that_failed_once_is_forgiven(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_with_host(b, 6, SHORT_EJECTION);
	const char *program = built("helpers/dialer");
	struct process *p = process_start(&(struct start){
		.argv = ARGV(program, "--step", "--nonblocking", "--hold", "web", "80"),
		.env = s->env,
		.interactive = true,
	});
	struct keeping *watch;
	struct ledger_key key;
	long end = now_ms() + LIMIT_MS;

	(void)state;
	tun_set(t, 6, TUN_REFUSE, 0);
	assert_clean(run(s->env, program, "--count", "2", "web", "80", NULL));
	assert_int_equal(tun_dials(t, 6), 1);
	tun_set(t, 6, TUN_ACCEPT, 20000);
	watch = watch_ledger(s);
	key = key_at(watch, place_of(tun_address(6), 80));
	assert_true(ledger_doubted(&watch->ledger, key));
	while (ledger_doubted(&watch->ledger, key) && now_ms() < end) {
		process_say(p, "\n");
		assert_non_null(process_line(p, LIMIT_MS)); /* by either */
		poll(NULL, 0, 10);
	}
	assert_null(strstr(p->out_text, "E"));
	assert_false(ledger_doubted(&watch->ledger, key));
	assert_int_equal(ledger_load(&watch->ledger, key, clock_boot_ms()).ejection, 0);
}

/* The list of a moment ago had one endpoint, which was tried; that of now has another. */
static void endpoint_that_takes_the_place_of_the_one_being_dialed_is_dialed_too(void **state)
{
	struct tun *t = tun_open();
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	struct place dead = { .port = 80 };
	struct process *p;
	long end = now_ms() + LIMIT_MS;

	(void)state;
	snprintf(dead.address, sizeof(dead.address), "%s", tun_address(2));
	tun_set(t, 2, TUN_DROP, 0);
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, &dead, 1, "\"connect_timeout\": \"60s\""));
	p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "web", "80"), .env = s->env });
	while (tun_syns(t, 2) == 0) {
		if (now_ms() > end)
			fail_msg("nobody dials");
		poll(NULL, 0, 10);
	}
	services_publish_web(s, b, NULL);
	tun_set(t, 2, TUN_REFUSE, 0); /* the next SYN */
	process_wait(p, LIMIT_MS);
	assert_string_equal(p->out_text, "backend-1\n");
	assert_clean(p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(two_thousand_curl_dials_do_not_notice_one_dead_backend_of_five),
		TEST(two_thousand_blocking_dials_do_not_notice_one_dead_backend_of_five),
		TEST(two_thousand_nonblocking_dials_do_not_notice_one_dead_backend_of_five),
		TEST(four_dead_backends_of_five_leave_the_fifth),
		TEST(five_dead_backends_of_five_are_connection_refused),
		TEST(failure_that_one_process_sees_is_avoided_by_the_next),
		TEST(backend_that_comes_back_is_dialed_again_after_its_ejection),
		TEST(backend_killed_between_two_dials_of_a_program_is_not_noticed),
		TEST(refusal_that_comes_late_is_seen_once_per_ejection_at_most),
		TEST(refusal_that_comes_late_is_not_seen_by_blocking_dials),
		TEST(unreachable_host_is_followed_by_the_others),
		TEST(endpoint_that_takes_the_place_of_the_one_being_dialed_is_dialed_too),
		TEST(black_hole_is_left_after_two_timeouts_until_its_ejection_ends),
		TEST(one_lost_syn_is_no_verdict),
		TEST(slow_endpoint_that_failed_once_is_forgiven),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
