/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of real MySQL clients, untouched, over six servers, as test_pools.c has them of HTTP. The servers are started once for all.
 */
#include "support/testing.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/databases.h"
#include "support/pools.h"
#include "support/process.h"
#include "support/services.h"

enum { PORT = 3306 };

/* One pool over the six, from three to six to two; how many of its uses failed. */
static struct pool follow(const struct place *places, const char *kind, bool terminating, unsigned slack)
{
	const char *const argv[] = { python_with("pymysql, sqlalchemy"),
				     repository("tests/helpers/pool_mysql.py"),
				     kind,
				     SERVICE_ADDRESS,
				     format("%d", PORT),
				     format("%d", POOL_CONNECTIONS),
				     POOL_PAUSE_S,
				     NULL };
	struct pool p = { .title = kind, .port = PORT, .places = places, .count = pool_count_by_kernel, .what = places,
			  .terminating = terminating, .slack = slack };

	pool_open(&p);
	p.client = process_start(&(struct start){ .argv = argv, .env = p.s->env, .interactive = true });
	pool_follow(&p);
	printf("%s: %u moved by rebalance, %u by drain\n", kind, pool_moved(&p, "rebalance"), pool_moved(&p, "drain"));
	return p;
}

static void pools_of_mysql_clients_that_test_their_connections_follow_the_list(void **state)
{
	struct place places[POOL_SERVERS];

	(void)state;
	python_with("pymysql, sqlalchemy");
	start_mariadb(places, POOL_SERVERS);
	assert_int_equal(follow(places, "list", false, 1).failed, 0);
	assert_int_equal(follow(places, "list", true, 1).failed, 0);
	assert_int_equal(follow(places, "alchemy", false, 1).failed, 0);
	/*
	 * Who does not test them is told by the failure of a use. SQLAlchemy then opens all of its connections anew, several at a
	 * time, so that they need not be even.
	 */
	assert_true(follow(places, "list-untested", false, 1).failed > 0);
	assert_true(follow(places, "alchemy-untested", false, POOL_CONNECTIONS).failed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pools_of_mysql_clients_that_test_their_connections_follow_the_list),
	};

	return RUN_TESTS(tests);
}
