/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is held against an endpoint and what is not: whatever a connect(2) returns, only a handshake that fails is its
 * failure.
 */
#include "support/testing.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { HOST = 2 };

/* Whoever fails once is out for long. */
#define STRICT "\"eject_after\": 1, \"eject_timeouts_after\": 1, \"eject_for\": \"60s\""

/* `web` over these many hosts, from HOST on. */
static struct services *services_of_hosts(struct tun *t, int count, enum tun_rule rule)
{
	struct services *s = services_open();
	struct place places[2];

	for (int i = 0; i < count; i++) {
		tun_set(t, HOST + i, rule, 0);
		snprintf(places[i].address, sizeof(places[i].address), "%s", tun_address(HOST + i));
		places[i].port = 80;
	}
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, places, (size_t)count, STRICT));
	return s;
}

static const char *make_mistake(struct services *s, const char *way)
{
	struct process *p = run(s->env, built("helpers/mistakes"), way, SERVICE_ADDRESS, "80", format("%d", unused_port()), NULL);

	assert_clean(p);
	return p->out_text;
}

/* The error that comes back natively comes back, and the endpoint is as good as before. */
static void assert_nobody_is_blamed(const char *way, enum tun_rule rule, const char *error)
{
	struct tun *t = tun_open();
	struct services *s = services_of_hosts(t, 1, rule);
	struct endpoint_status e;

	assert_string_equal(make_mistake(s, way), error);
	e = services_endpoint(s, "web", tun_address(HOST), 80);
	if (e.failures || e.ejected)
		fail_msg("%s: %ld failures are held against the endpoint", way, e.failures);
}

static void error_of_an_earlier_dial_is_not_the_endpoints(void **state)
{
	(void)state;
	assert_nobody_is_blamed("stale", TUN_ACCEPT, "ECONNREFUSED\n");
}

static void error_of_an_earlier_dial_is_not_that_of_a_blocking_one(void **state)
{
	(void)state;
	assert_nobody_is_blamed("stale-blocking", TUN_ACCEPT, "ECONNREFUSED\n");
}

static void error_of_an_earlier_dial_that_was_read_is_nobodys(void **state)
{
	(void)state;
	assert_nobody_is_blamed("stale-read", TUN_ACCEPT, "ECONNABORTED\n");
}

static void error_of_an_earlier_dial_is_not_that_of_a_fast_open(void **state)
{
	(void)state;
	assert_nobody_is_blamed("stale-fastopen", TUN_ACCEPT, "ECONNREFUSED\n");
}

static void socket_that_is_connected_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("connected", TUN_ACCEPT, "EISCONN\n");
}

static void dial_that_goes_on_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("already", TUN_DROP, "EALREADY\n");
}

static void dial_that_a_signal_interrupts_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("interrupted", TUN_DROP, "EINTR\n");
}

static void dial_of_an_impatient_program_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("impatient", TUN_DROP, "EINPROGRESS\n");
}

static void length_that_is_wrong_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("short", TUN_ACCEPT, "EINVAL\n");
}

static void address_of_ones_own_that_does_not_lead_there_blames_nobody(void **state)
{
	(void)state;
	assert_nobody_is_blamed("elsewhere", TUN_ACCEPT, "EINVAL\n");
}

/* That the others blame nobody is not because a socket that has a port never does. */
static void refusal_of_a_socket_that_has_a_port_is_the_endpoints(void **state)
{
	struct tun *t = tun_open();
	struct services *s = services_of_hosts(t, 1, TUN_REFUSE);

	(void)state;
	assert_string_equal(make_mistake(s, "bound"), "ECONNREFUSED\n");
	assert_true(services_endpoint(s, "web", tun_address(HOST), 80).ejected);
}

/* ---- after the handshake ---- */

static void assert_none_failed(struct services *s)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(services_endpoint(s, "web", tun_address(HOST + i), 80).failures, 0);
}

static void resets_after_the_handshake_are_no_failed_dials(void **state)
{
	struct tun *t = tun_open();
	struct services *s = services_of_hosts(t, 2, TUN_RESET);

	(void)state;
	/* The shim waits for both, which are suspects: no success is seen in them. The program sees the reset, as without the shim. */
	for (int i = 0; i < 20; i++)
		assert_string_equal(make_mistake(s, "reset"), "ECONNRESET\n");
	assert_int_equal(tun_dials(t, HOST) + tun_dials(t, HOST + 1), 20);
	assert_none_failed(s);
	for (int i = 0; i < 20; i++)
		run(s->env, built("helpers/dialer"), "web", "80", NULL);
	assert_none_failed(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(error_of_an_earlier_dial_is_not_the_endpoints),
		TEST(error_of_an_earlier_dial_is_not_that_of_a_blocking_one),
		TEST(error_of_an_earlier_dial_that_was_read_is_nobodys),
		TEST(error_of_an_earlier_dial_is_not_that_of_a_fast_open),
		TEST(socket_that_is_connected_blames_nobody),
		TEST(dial_that_goes_on_blames_nobody),
		TEST(dial_that_a_signal_interrupts_blames_nobody),
		TEST(dial_of_an_impatient_program_blames_nobody),
		TEST(length_that_is_wrong_blames_nobody),
		TEST(address_of_ones_own_that_does_not_lead_there_blames_nobody),
		TEST(refusal_of_a_socket_that_has_a_port_is_the_endpoints),
		TEST(resets_after_the_handshake_are_no_failed_dials),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
