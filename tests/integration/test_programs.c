/* SPDX-License-Identifier: Apache-2.0 */
/* Programs as they are, by name and by address: each is spread evenly, and each of its dials is counted. */
#include "support/testing.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/databases.h"
#include "support/process.h"
#include "support/services.h"
#include "support/spread.h"

enum { BACKENDS = 7 };

static void need(const char *program)
{
	if (!program_exists(program))
		skip_because("%s is not installed", program);
}

/* Runs a program `runs` times, which dials `dials` times in each; all answers together are even to the last one. */
static void assert_spread(struct services *s, const struct backends *b, size_t runs, unsigned dials,
			  const char *const *argv)
{
	assert_runs_spread(s, b, runs, dials, &(struct start){ .argv = argv, .env = s->env });
}

/* The same where one program is tried alone, against backends of its own. */
static void assert_program_is_spread(size_t runs, unsigned dials, const char *const *argv)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);

	assert_spread(services_of_web(b, ROUND_ROBIN), b, runs, dials, argv);
}

static void curl_is_spread_by_name_and_by_address(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	need("curl");
	assert_spread(s, b, 14, 1, ARGV("curl", "-sS", "http://web/"));
	assert_spread(s, b, 14, 1, ARGV("curl", "-sS", "http://" SERVICE_ADDRESS "/"));
}

static void curl_is_spread_whatever_its_flags(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	need("curl");
	assert_spread(s, b, 7, 1, ARGV("curl", "-sS", "-4", "http://web/"));
	assert_spread(s, b, 7, 1, ARGV("curl", "-sS", "--http1.1", "http://web/"));
	assert_spread(s, b, 7, 1, ARGV("curl", "-sS", "--http1.0", "http://web/"));
	assert_spread(s, b, 7, 1, ARGV("curl", "-sS", "--tcp-fastopen", "http://web/"));
	assert_spread(s, b, 7, 1, ARGV("curl", "-sS", "--tcp-nodelay", "--connect-timeout", "5", "http://web/"));
	assert_spread(s, b, 7, 1,
		      ARGV("curl", "-sS", "--connect-to", "shop.example:80:web:80", "http://shop.example/"));
	assert_spread(s, b, 7, 1,
		      ARGV("curl", "-sS", "--resolve", "shop.example:80:" SERVICE_ADDRESS, "http://shop.example/"));
	assert_spread(s, b, 1, 14, ARGV("curl", "-sS", "-H", "Connection: close", "http://web/[1-14]"));
	assert_spread(s, b, 1, 14,
		      ARGV("curl", "-sSZ", "--no-progress-meter", "-H", "Connection: close", "http://web/[1-14]"));
}

static void curl_keeps_to_one_backend_while_it_keeps_its_connection(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	unsigned counts[BACKENDS], accepted = 0;
	struct process *p;

	(void)state;
	need("curl");
	p = run(s->env, "curl", "-sS", "http://web/[1-20]", NULL);
	assert_clean(p);
	assert_int_equal(tally(p->out_text, counts, BACKENDS), 0);
	assert_even(counts, BACKENDS, 20, 20);
	for (size_t i = 0; i < BACKENDS; i++)
		accepted += backends_accepted(b, i);
	assert_int_equal(accepted, 1);
	assert_status_matches(s, "web", b);
}

static void wget_is_spread(void **state)
{
	(void)state;
	need("wget");
	assert_program_is_spread(14, 1, ARGV("wget", "-qO-", "-T", "10", "-t", "1", "http://web/"));
}

/* The interpreter itself: what PATH has may be a script that looks for it. */
static const char *python(void)
{
	struct process *p;

	need("python3");
	p = run(NULL, "python3", "-c", "import sys; print(sys.executable)", NULL);
	assert_clean(p);
	return process_line(p, 0);
}

static void python_is_spread_by_socket_http_client_and_asyncio(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *script = repository("tests/helpers/clients.py"), *interpreter = python();

	(void)state;
	assert_spread(s, b, 1, 14, ARGV(interpreter, script, "socket", "web", "80", "14"));
	assert_spread(s, b, 1, 14, ARGV(interpreter, script, "http", "web", "80", "14"));
	assert_spread(s, b, 1, 70, ARGV(interpreter, script, "asyncio", "web", "80", "70"));
	assert_spread(s, b, 1, 14, ARGV(interpreter, script, "socket", SERVICE_ADDRESS, "80", "14"));
}

static void node_is_spread_by_net_http_and_fetch(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *script = repository("tests/helpers/clients.js");

	(void)state;
	need("node");
	assert_spread(s, b, 1, 14, ARGV("node", script, "net", "web", "80", "14"));
	assert_spread(s, b, 1, 14, ARGV("node", script, "http", "web", "80", "14"));
	assert_spread(s, b, 7, 1, ARGV("node", script, "fetch", "web", "80", "1"));
	assert_spread(s, b, 1, 14, ARGV("node", script, "net", SERVICE_ADDRESS, "80", "14"));
}

static void java_is_spread_by_socket_channel_and_http_client(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *source = repository("tests/helpers/Clients.java");

	(void)state;
	need("javac");
	assert_spread(s, b, 1, 21, ARGV("java", "-XX:TieredStopAtLevel=1", source, "web", "80", "7"));
	assert_spread(s, b, 1, 21, ARGV("java", "-XX:TieredStopAtLevel=1", source, SERVICE_ADDRESS, "80", "7"));
}

static void bash_is_spread_by_dev_tcp(void **state)
{
	const char *line =
		"for i in 1 2 3 4 5 6 7; do exec 3<>/dev/tcp/web/80; echo who >&3; read -r -t 10 id <&3; echo $id; "
		"exec 3<&-; done";

	(void)state;
	need("bash");
	assert_program_is_spread(2, 7, ARGV("bash", "-c", line));
}

static void perl_is_spread_by_io_socket_inet(void **state)
{
	const char *line = "use IO::Socket::INET; for (1..7) { my $s = IO::Socket::INET->new(PeerAddr => 'web', "
			   "PeerPort => 80, Timeout => 10) or die $@; print $s \"who\\n\"; print scalar <$s>; }";

	(void)state;
	need("perl");
	assert_program_is_spread(2, 7, ARGV("perl", "-e", line));
}

static void mysql_cli_is_spread_over_three_mariadb_servers(void **state)
{
	struct place places[3];

	(void)state;
	need("mysql");
	start_mariadb(places, 3);
	assert_mysql_is_spread(NULL, places);
}

static void psql_is_spread_over_three_postgres_servers(void **state)
{
	struct place places[3];

	(void)state;
	need("psql");
	start_postgres(places, 3);
	assert_database_is_spread(places, "pg", 5432,
				  &(struct start){ .argv = ARGV("psql", "-X", "-h", "pg", "-p", "5432", "-U", "postgres",
								"-Atc", "show cluster_name") });
}

static void redis_cli_is_spread_over_three_redis_servers(void **state)
{
	struct place places[3];

	(void)state;
	need("redis-cli");
	start_redis(places, 3);
	assert_database_is_spread(
		places, "cache", 6379,
		&(struct start){ .argv = ARGV("redis-cli", "-h", "cache", "-p", "6379", "get", "id") });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_is_spread_by_name_and_by_address),
		TEST(curl_is_spread_whatever_its_flags),
		TEST(curl_keeps_to_one_backend_while_it_keeps_its_connection),
		TEST(wget_is_spread),
		TEST(python_is_spread_by_socket_http_client_and_asyncio),
		TEST(node_is_spread_by_net_http_and_fetch),
		TEST(java_is_spread_by_socket_channel_and_http_client),
		TEST(bash_is_spread_by_dev_tcp),
		TEST(perl_is_spread_by_io_socket_inet),
		TEST(mysql_cli_is_spread_over_three_mariadb_servers),
		TEST(psql_is_spread_over_three_postgres_servers),
		TEST(redis_cli_is_spread_over_three_redis_servers),
	};

	return RUN_TESTS(tests);
}
