/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that follow the list, where a dial is not like others: a socket that dialed twice, and one whose dial was bounded. */
#include "support/testing.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"

#define DRAIN "\"drain\": \"idle\", " QUICK
#define KEEP  "\"keepalive\": \"30s\""

/* The same socket, and so the same cookie, but no connection of the Service any more. */
static void socket_that_has_dialed_elsewhere_since_is_left_alone(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	struct process *p;
	struct turns turns;

	(void)state;
	publish_list(s, b, "-i", DRAIN);
	p = pool_start(s, NULL, 3);
	pool_do(p, format("redial %s %d", backends_address(b, 2), backends_port(b, 2)), "redial 3");
	publish_list(s, b, "it", DRAIN);
	assert_settled(s, &(struct moves){ 0 });
	turns = pool_turns(p, "turn");
	assert_int_equal(turns.answered, 3);
	assert_int_equal(turns.renewed, 0);
}

/* Where others could follow, a blocking dial has TCP_USER_TIMEOUT of ours for its own time: that is not the program's. */
static void blocking_dial_among_several_endpoints_is_kept_alive(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();

	(void)state;
	publish_list(s, b, "iii", KEEP);
	pool_do(pool_start(s, NULL, 1), "options", "options 1 30 10 3 60000");
}

static void nonblocking_dial_is_kept_alive(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	struct process *p;

	(void)state;
	publish_list(s, b, "iii", KEEP);
	p = pool_start(s, NULL, 0);
	pool_do(p, "nonblocking", "nonblocking 0");
	pool_do(p, "open 1", "open 1");
	pool_do(p, "options", "options 1 30 10 3 60000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(socket_that_has_dialed_elsewhere_since_is_left_alone),
		TEST(blocking_dial_among_several_endpoints_is_kept_alive),
		TEST(nonblocking_dial_is_kept_alive),
	};

	return RUN_TESTS(tests);
}
