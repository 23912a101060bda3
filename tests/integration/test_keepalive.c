/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that vanish: with `keepalive` a program that waits for one sees an error soon, and one that has its own ways keeps them. */
#include "support/testing.h"

#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum {
	BOUND_MS = 4000, /* of "1s": three probes, a second apart */
	MORE_MS = 20000, /* of a busy machine; natively it is hours, or a quarter of one */
	HOST = 3,
};

/* ---- a host that stops answering after the connection stands ---- */

/* A pool of the one connection that Service `web` at host 2 has to host 3. */
static struct process *pool_at_host(struct tun *t, const char *more)
{
	struct services *s = services_open();
	struct place place = { .port = 80 };

	snprintf(place.address, sizeof(place.address), "%s", tun_address(HOST));
	tun_set(t, HOST, TUN_ACCEPT, 0);
	services_publish(s, service_entry("web", tun_address(2), 80, &place, 1, more));
	return pool_at(tun_address(2), 80, s->env, 1);
}

static void assert_error_within_bound(struct process *p, const char *line, const char *answer)
{
	long begun = now_ms();

	pool_do(p, line, answer);
	if (now_ms() - begun > BOUND_MS + MORE_MS)
		fail_msg("\"%s\" took %ld ms", line, now_ms() - begun);
}

static void who_waits_for_a_peer_that_vanished_sees_an_error(void **state)
{
	struct tun *t = tun_open();
	struct process *p = pool_at_host(t, "\"keepalive\": \"1s\"");

	(void)state;
	tun_set(t, HOST, TUN_VANISH, 0);
	assert_error_within_bound(p, "read", "read ETIMEDOUT");
}

static void who_polls_for_a_peer_that_vanished_sees_an_end(void **state)
{
	struct tun *t = tun_open();
	struct process *p = pool_at_host(t, "\"keepalive\": \"1s\"");

	(void)state;
	tun_set(t, HOST, TUN_VANISH, 0);
	assert_error_within_bound(p, "epoll 1", "ended 1");
}

/* Its question is never acknowledged: no probes are sent then. */
static void who_asks_a_peer_that_vanished_sees_an_error(void **state)
{
	struct tun *t = tun_open();
	struct process *p = pool_at_host(t, "\"keepalive\": \"1s\"");

	(void)state;
	tun_set(t, HOST, TUN_VANISH, 0);
	pool_do(p, "speak", "speak 1");
	assert_error_within_bound(p, "read", "read ETIMEDOUT");
}

/* A peer that says nothing, but lives. */
static void connection_to_a_silent_peer_stays(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"keepalive\": \"1s\"");
	struct process *p = pool_start(s, NULL, 4);

	(void)state;
	usleep(2 * BOUND_MS * 1000);
	pool_do(p, "ended", "ended 0");
	pool_do(p, "turn", "turn 4 0 0");
}

/* ---- options ---- */

static void assert_options(const char *more, const char *before, const char *wanted)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, more);
	const char *const ways[] = { NULL, "nonblocking" };

	for (int i = 0; i < 2; i++) {
		struct process *p = pool_start(s, NULL, 0);

		if (ways[i])
			pool_do(p, ways[i], "nonblocking 0");
		if (before)
			pool_do(p, before, format("%s 0", before));
		pool_do(p, "open 1", "open 1");
		pool_do(p, "options", format("options %s", wanted));
		assert_int_equal(threads_of(p), 1); /* the kernel does it all */
	}
}

static void keepalive_is_three_probes_and_a_bound_for_what_is_sent(void **state)
{
	(void)state;
	assert_options("\"keepalive\": \"1s\"", NULL, "1 1 1 3 4000");
	assert_options("\"keepalive\": \"30s\"", NULL, "1 30 10 3 60000");
}

static void keepalive_of_the_program_is_left_alone(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct process *p = pool_at(backends_address(b, 0), backends_port(b, 0), NULL, 0);
	const char *native;

	(void)state;
	pool_do(p, "keepalive", "keepalive 0");
	pool_do(p, "open 1", "open 1");
	process_say(p, "options\n");
	native = process_line(p, MOVES_LIMIT_MS);
	assert_options("\"keepalive\": \"1s\"", "keepalive", native + strlen("options "));
}

static void keepalive_is_off_where_nobody_asks(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct process *p = pool_at(backends_address(b, 0), backends_port(b, 0), NULL, 0);
	const char *native;

	(void)state;
	pool_do(p, "open 1", "open 1");
	process_say(p, "options\n");
	native = process_line(p, MOVES_LIMIT_MS);
	assert_options(NULL, NULL, native + strlen("options "));
	assert_options("\"mode\": \"on\", \"keepalive\": \"off\"", NULL, native + strlen("options "));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_for_a_peer_that_vanished_sees_an_error),
		TEST(who_polls_for_a_peer_that_vanished_sees_an_end),
		TEST(who_asks_a_peer_that_vanished_sees_an_error),
		TEST(connection_to_a_silent_peer_stays),
		TEST(keepalive_is_three_probes_and_a_bound_for_what_is_sent),
		TEST(keepalive_of_the_program_is_left_alone),
		TEST(keepalive_is_off_where_nobody_asks),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
