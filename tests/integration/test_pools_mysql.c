/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of real MySQL clients, untouched, over six servers, as test_pools.c has them of HTTP. The servers are started once for all.
 */
#include "support/testing.h"

#include <arpa/inet.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/databases.h"
#include "support/pools.h"
#include "support/process.h"
#include "support/services.h"

enum { ESTABLISHED = 1, PORT = 3306 };

static void count_one(const struct place *places, unsigned long address, unsigned long port, unsigned *open)
{
	struct in_addr wanted;

	for (size_t i = 0; i < POOL_SERVERS; i++) {
		inet_pton(AF_INET, places[i].address, &wanted);
		open[i] += address == wanted.s_addr && port == (unsigned long)places[i].port;
	}
}

/* What the kernel has of connections that a server accepted, and that neither side has closed. */
static void count_open(const void *what, unsigned *open)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	unsigned long address, state, port;
	char line[256];

	if (!f)
		fail_msg("no /proc/net/tcp");
	memset(open, 0, POOL_SERVERS * sizeof(*open));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*[^:]: %lx:%lx %*[^ ] %lx", &address, &port, &state) == 3 && state == ESTABLISHED)
			count_one(what, address, port, open);
	fclose(f);
}

/* One pool over the six, from three to six to two; how many of its uses failed. */
static struct pool follow(const struct place *places, const char *kind, bool terminating)
{
	const char *const argv[] = { python_with("pymysql, sqlalchemy"),
				     repository("tests/helpers/pool_mysql.py"),
				     kind,
				     SERVICE_ADDRESS,
				     format("%d", PORT),
				     format("%d", POOL_CONNECTIONS),
				     POOL_PAUSE_S,
				     NULL };
	struct pool p = { .title = kind, .s = services_open(), .port = PORT, .places = places, .count = count_open, .what = places,
			  .terminating = terminating };

	pool_publish(&p, 0, 3);
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
	assert_int_equal(follow(places, "list", false).failed, 0);
	assert_int_equal(follow(places, "list", true).failed, 0);
	assert_int_equal(follow(places, "alchemy", false).failed, 0);
	/* Who does not test them is told by the failure of a use: one for each connection that was closed, at most. */
	assert_true(follow(places, "list-untested", false).failed > 0);
	assert_true(follow(places, "alchemy-untested", false).failed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pools_of_mysql_clients_that_test_their_connections_follow_the_list),
	};

	return RUN_TESTS(tests);
}
