/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life in somebody else's process: what calls return, what sockets look like afterwards and what names answer is the
 * same under the shim as without it, where the Service's address is that of a server as well.
 */
#include "support/testing.h"

#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 60000 };

/*
 * A Service at the first backend's address over `count` others; and one on a port where nobody listens, whose endpoints
 * are as dead.
 */
static struct services *services_of_two(const struct backends *b, size_t count, int dead, const char *more)
{
	struct services *s = services_open();
	struct place places[BACKENDS_MAX];

	memcpy(places, backends_places(b), sizeof(*places) * (count + 1));
	for (size_t i = 0; i <= count; i++)
		places[i].port = dead;
	services_publish(s, format("%s, %s",
				   service_entry("web", backends_address(b, 0), backends_port(b, 0),
						 backends_places(b) + 1, count, more),
				   service_entry("dead", backends_address(b, 0), dead, places + 1, count, more)));
	return s;
}

static void assert_oddities_are_the_same(const char *program, size_t endpoints, const char *more)
{
	struct backends *b = backends_start(endpoints + 1, ONE_PORT);
	int dead = unused_port();
	struct services *s = services_of_two(b, endpoints, dead, more);
	const char *port = format("%d", backends_port(b, 0)), *dead_port = format("%d", dead);
	const char *host = backends_address(b, 0);
	struct process *native = run(NULL, program, host, port, dead_port, NULL);

	assert_clean(native);
	assert_same_run(native, run(s->env, program, host, port, dead_port, NULL));
	assert_true(services_backend(s, "web", b, 1).dials > 0);
}

static void odd_calls_return_the_same_over_three_endpoints(void **state)
{
	(void)state;
	assert_oddities_are_the_same(built("helpers/oddities"), 3, "\"balance\": \"round_robin\"");
	assert_oddities_are_the_same(built("helpers/oddities"), 3, "\"balance\": \"least_conn\"");
}

static void odd_calls_return_the_same_over_one_endpoint(void **state)
{
	(void)state;
	assert_oddities_are_the_same(built("helpers/oddities"), 1, NULL);
}

static void odd_calls_return_the_same_when_observed(void **state)
{
	(void)state;
	assert_oddities_are_the_same(built("helpers/oddities"), 2, "\"mode\": \"observe\"");
}

static void odd_calls_return_the_same_under_musl(void **state)
{
	(void)state;
	assert_oddities_are_the_same(compiled_for_musl("oddities", ""), 3, NULL);
}

/* Hosts 2 and 3 are the addresses of the Services; the others are their endpoints, and behave alike. */
static void calls_that_take_a_while_end_the_same(void **state)
{
	struct tun *t = tun_open();
	struct services *s = services_open();
	struct place holes[2] = { { .port = 80 }, { .port = 80 } }, late[2] = { { .port = 80 }, { .port = 80 } };
	const char *program = built("helpers/patience");
	struct process *native;

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(holes[i].address, sizeof(holes[i].address), "%s", tun_address(4 + i));
		snprintf(late[i].address, sizeof(late[i].address), "%s", tun_address(6 + i));
		tun_set(t, 4 + i, TUN_DROP, 0);
		tun_set(t, 6 + i, TUN_ACCEPT, 400000);
	}
	tun_set(t, 2, TUN_DROP, 0);
	tun_set(t, 3, TUN_ACCEPT, 400000);
	services_publish(s, format("%s, %s", service_entry("hole", tun_address(2), 80, holes, 2, NULL),
				   service_entry("late", tun_address(3), 80, late, 2, NULL)));
	native = run(NULL, program, tun_address(2), tun_address(3), "80", NULL);
	assert_clean(native);
	assert_true(tun_dials(t, 4) + tun_dials(t, 6) == 0);
	assert_same_run(native, run(s->env, program, tun_address(2), tun_address(3), "80", NULL));
	assert_true(tun_dials(t, 4) > 0 && tun_dials(t, 6) > 0);
}

/* Without the lines about IPv6: where a name has no such address, another source of names is asked in vain. */
static char *without_ipv6(const char *text)
{
	char *kept = format("%s", ""), *copy = format("%s", text), *line;

	while ((line = strsep(&copy, "\n")))
		if (!strstr(line, "IPv6:"))
			kept = format("%s%s\n", kept, line);
	return kept;
}

static void service_name_answers_as_a_name_in_etc_hosts_does(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *hosts = "127.0.0.1 localhost\n" SERVICE_ADDRESS " web\n";
	struct process *native = run_with_hosts(NULL, hosts, format("%s web", built("helpers/resolver")));
	struct process *p = run(s->env, built("helpers/resolver"), "web", NULL);

	(void)state;
	assert_clean(native);
	assert_clean(p);
	assert_string_equal(without_ipv6(native->out_text), without_ipv6(p->out_text));
	assert_non_null(strstr(p->out_text, "\nIPv6: error -2\n")); /* EAI_NONAME */
}

static void other_names_answer_as_without(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *const names[] = { "localhost", "127.0.0.1", "::1", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_same_run(run(NULL, built("helpers/resolver"), names[i], NULL),
				  run(s->env, built("helpers/resolver"), names[i], NULL));
}

static void etc_hosts_goes_before_a_service(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();

	(void)state;
	services_publish(s, service_entry("localhost", SERVICE_ADDRESS, 80, backends_places(b), 1, NULL));
	assert_same_run(run(NULL, built("helpers/resolver"), "localhost", NULL),
			  run(s->env, built("helpers/resolver"), "localhost", NULL));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(odd_calls_return_the_same_over_three_endpoints),
		TEST(odd_calls_return_the_same_over_one_endpoint),
		TEST(odd_calls_return_the_same_when_observed),
		TEST(odd_calls_return_the_same_under_musl),
		TEST(calls_that_take_a_while_end_the_same),
		TEST(service_name_answers_as_a_name_in_etc_hosts_does),
		TEST(other_names_answer_as_without),
		TEST(etc_hosts_goes_before_a_service),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
