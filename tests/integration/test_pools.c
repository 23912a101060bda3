/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of real HTTP clients, untouched, whose idle connections are closed under them so that they follow the list: they end evenly
 * spread, and no request fails. One without a look at its idle connections is here too: what that costs is what the README says.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/databases.h"
#include "support/pools.h"
#include "support/process.h"
#include "support/services.h"

enum { PROXY_LIMIT_MS = 30000 };

#define ALL_AT_ONCE "/together/12"
#define SERVICE_URL "http://" SERVICE_ADDRESS

static void count_open(const void *what, unsigned *open)
{
	for (size_t i = 0; i < POOL_SERVERS; i++)
		open[i] = backends_open(what, i);
}

/* Servers, and a list of the first three. */
static struct pool *new_pool(const char *title, bool terminating)
{
	struct backends *b = backends_start(POOL_SERVERS, ONE_PORT);
	struct pool *p = calloc(1, sizeof(*p));

	after_test(free, p);
	*p = (struct pool){ .title = title, .port = 80, .places = backends_places(b), .count = count_open, .what = b,
			    .terminating = terminating, .slack = 1 };
	pool_open(p);
	return p;
}

static void start_client(struct pool *p, const char *const *env, const char *const *argv)
{
	p->client = process_start(&(struct start){ .argv = argv, .env = env, .interactive = true });
}

static const char *const *python_client(const char *modules, const char *kind, const char *url)
{
	static const char *argv[7];

	argv[0] = python_with(modules);
	argv[1] = repository("tests/helpers/pool_http.py");
	argv[2] = kind;
	argv[3] = url;
	argv[4] = format("%d", POOL_CONNECTIONS);
	argv[5] = POOL_PAUSE_S;
	return argv;
}

/* Each connection beyond the first ones is in the place of one that was closed: nobody opened any for another reason. */
static void assert_moves_account_for_connections(struct pool *p)
{
	unsigned accepted = 0, rebalanced = pool_moved(p, "rebalance"), drained = pool_moved(p, "drain");

	for (size_t i = 0; i < POOL_SERVERS; i++)
		accepted += backends_accepted(p->what, i);
	printf("%s: %u moved by rebalance, %u by drain; %u connections in all\n", p->title, rebalanced, drained, accepted);
	assert_int_equal(rebalanced, POOL_CONNECTIONS / 2); /* from four each to two */
	assert_int_equal(drained, POOL_CONNECTIONS - POOL_CONNECTIONS / 3);
	assert_int_equal(accepted, POOL_CONNECTIONS + rebalanced + drained);
}

static void assert_pool_follows(struct pool *p, unsigned may_fail)
{
	pool_follow(p);
	assert_moves_account_for_connections(p);
	assert_in_range(p->failed, 0, may_fail);
}

static void assert_python_follows(const char *modules, const char *kind, const char *path, bool terminating, unsigned may_fail)
{
	const char *const *argv = python_client(modules, kind, format(SERVICE_URL "%s", path));
	struct pool *p = new_pool(kind, terminating);

	start_client(p, p->s->env, argv);
	assert_pool_follows(p, may_fail);
}

/*
 * It looks whether a connection has ended, and then writes: one that ends in between, within a ten thousandth of a second, is a
 * failed request, as where a server closes an idle connection. With fourteen that are closed, that is not seen twice.
 */
static void sessions_of_requests_follow_the_list(void **state)
{
	(void)state;
	assert_python_follows("requests", "requests", "/", false, 1);
}

static void session_of_requests_that_threads_share_follows_the_list(void **state)
{
	(void)state;
	assert_python_follows("requests", "requests-shared", ALL_AT_ONCE, false, 0);
}

static void pool_of_urllib3_follows_the_list(void **state)
{
	(void)state;
	assert_python_follows("urllib3", "urllib3", ALL_AT_ONCE, false, 0);
}

static void pool_of_urllib3_leaves_pods_that_are_terminating(void **state)
{
	(void)state;
	assert_python_follows("urllib3", "urllib3", ALL_AT_ONCE, true, 0);
}

/* ---- curl ---- */

/*
 * It looks at its idle connections once a second at most. Where one ends unseen it notices when it asks, and asks again; but before
 * 8.17 it does so five times in the life of a handle, and the sixth is a failed request.
 */
#define CURL_PAUSE_MS "1100"

static const char *curl_program(void)
{
	return compiled("cc", "special/pool_curl", "-D_GNU_SOURCE -lcurl");
}

/* While it is not at work, libcurl leaves SIGPIPE as the program has it: to die by it, unless the program says otherwise. */
static void connections_of_curl_multi_follow_the_list(void **state)
{
	const char *program = curl_program();
	struct pool *p = new_pool("curl multi", false);

	(void)state;
	start_client(p, p->s->env, ARGV(program, SERVICE_URL ALL_AT_ONCE, format("%d", POOL_CONNECTIONS), CURL_PAUSE_MS));
	assert_pool_follows(p, 0);
}

static void connections_of_curl_multi_follow_the_list_where_sigpipe_is_ignored(void **state)
{
	const char *program = curl_program();
	struct pool *p = new_pool("curl multi without SIGPIPE", false);

	(void)state;
	start_client(p, p->s->env, ARGV("sh", "-c", format("trap '' PIPE; exec %s %s %d %s", program, SERVICE_URL ALL_AT_ONCE,
							   POOL_CONNECTIONS, CURL_PAUSE_MS)));
	assert_pool_follows(p, 0);
}

/* ---- nginx ---- */

/* Where it listens. Its worker is the user that the test is: others cannot see the test's scratch directory. */
static struct place start_nginx(struct pool *p)
{
	const char *dir = scratch_dir(), *file = format("%s/nginx.conf", dir);
	long end = now_ms() + PROXY_LIMIT_MS;
	struct process *nginx;
	struct place place;
	char *text;

	unused_places(&place, 1);
	text = format("%sdaemon off; worker_processes 1; pid %s/pid; error_log stderr warn;\n"
		      "events { worker_connections 256; }\n"
		      "http {\n"
		      "access_log off;\n"
		      "client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;\n"
		      "uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;\n"
		      "upstream service { server %s:80; keepalive %d; }\n"
		      "server { listen %s:%d; location / {\n"
		      "proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }\n"
		      "}\n",
		      geteuid() ? "" : "user root; ", dir, dir, dir, dir, dir, dir, SERVICE_ADDRESS, POOL_CONNECTIONS, place.address,
		      place.port);
	write_file(file, text, strlen(text));
	nginx = process_start(&(struct start){ .argv = ARGV("nginx", "-e", "stderr", "-p", dir, "-c", file), .env = p->s->env,
					       .end_with = SIGTERM });
	while (!place_answers(&place)) {
		if (now_ms() > end)
			fail_msg("nginx does not listen: %s", nginx->err_text);
		usleep(20000);
	}
	return place;
}

static void upstream_connections_of_nginx_follow_the_list(void **state)
{
	struct place proxy;
	struct pool *p;

	(void)state;
	if (!program_exists("nginx"))
		skip_because("nginx is not installed");
	p = new_pool("nginx", false);
	proxy = start_nginx(p);
	start_client(p, NULL, python_client("http.client", "plain", format("http://%s:%d" ALL_AT_ONCE, proxy.address, proxy.port)));
	assert_pool_follows(p, 0);
}

/* ---- who does not look ---- */

/* It finds out when it asks, and asks nobody else: one request for each connection that is closed. */
static void client_that_does_not_look_at_its_idle_connection_fails_once_for_each_that_is_closed(void **state)
{
	const char *const *argv = python_client("http.client", "plain", SERVICE_URL "/");
	struct pool *p = new_pool("http.client", false);
	unsigned moved;

	(void)state;
	start_client(p, p->s->env, argv);
	pool_follow(p);
	moved = pool_moved(p, "rebalance") + pool_moved(p, "drain");
	printf("%s: %u moved\n", p->title, moved);
	assert_int_equal(p->failed, moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_of_requests_follow_the_list),
		TEST(session_of_requests_that_threads_share_follows_the_list),
		TEST(pool_of_urllib3_follows_the_list),
		TEST(pool_of_urllib3_leaves_pods_that_are_terminating),
		TEST(connections_of_curl_multi_follow_the_list),
		TEST(connections_of_curl_multi_follow_the_list_where_sigpipe_is_ignored),
		TEST(upstream_connections_of_nginx_follow_the_list),
		TEST(client_that_does_not_look_at_its_idle_connection_fails_once_for_each_that_is_closed),
	};

	return RUN_TESTS(tests);
}
