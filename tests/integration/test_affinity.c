/* SPDX-License-Identifier: Apache-2.0 */
/* sessionAffinity: ClientIP. All dials of the pod, of whatever process, go to one endpoint of each port and family. */
#include "support/testing.h"

#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/kube_lists.h"
#include "support/process.h"
#include "support/services.h"

enum { BACKENDS = 7 };

#define STICKY "'sessionAffinity': 'ClientIP'"
#define URL    "http://" SERVICE_ADDRESS "/"

/* Endpoints `from` to `to` of the backends, which share a port. */
static char *slice_of_some(const struct backends *b, size_t from, size_t to)
{
	char *endpoints = format("%s", "");

	for (size_t i = from; i <= to; i++)
		endpoints = format("%s %s", endpoints, backends_address(b, i));
	return slice_object("web", 1, format(":%d", backends_port(b, 0)), endpoints);
}

static void publish_some(struct services *s, const struct backends *b, size_t from, size_t to)
{
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, STICKY), slice_of_some(b, from, to),
			NULL);
}

static struct services *sticky_web(const struct backends *b)
{
	struct services *s = services_open();

	publish_some(s, b, 0, backends_count(b) - 1);
	return s;
}

/* The only backend that answered, all `total` times. */
static size_t only_one(const char *answers, unsigned total)
{
	unsigned counts[BACKENDS_MAX];

	assert_int_equal(tally(answers, counts, BACKENDS_MAX), 0);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (counts[i] == total)
			return i;
	fail_msg("not one backend for all %u dials: %s", total, answers);
	return 0;
}

static size_t dial_one(const char *const *env, const char *url)
{
	struct process *p = run(env, "curl", "-sS", "-g", "--max-time", "20", url, NULL);

	assert_clean(p);
	return only_one(p->out_text, 1);
}

static size_t dial_many(const char *const *env, const char *const *argv, size_t count, size_t at_once, unsigned answers)
{
	size_t failed;
	char *text = run_many(&(struct start){ .argv = argv, .env = env }, count, at_once, &failed);

	assert_int_equal(failed, 0);
	return only_one(text, answers);
}

static void two_hundred_curl_processes_and_a_python_of_eight_threads_reach_one_pod(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = sticky_web(b);
	static const char threads[] = "import threading, urllib.request\n"
				      "def dial():\n"
				      "    for i in range(10):\n"
				      "        print(urllib.request.urlopen('" URL "', timeout=20).read().decode(), end='')\n"
				      "all = [threading.Thread(target=dial) for i in range(8)]\n"
				      "for t in all: t.start()\n"
				      "for t in all: t.join()\n";
	size_t one = dial_many(s->env, ARGV("curl", "-sS", "--max-time", "20", URL), 200, 20, 200);

	(void)state;
	assert_int_equal(dial_many(s->env, ARGV("python3", "-uc", threads), 1, 1, 80), one);
	assert_int_equal(dial_many(s->env, ARGV(built("helpers/dialer"), "--nonblocking", "--count", "50", SERVICE_ADDRESS, "80"),
				   4, 4, 200), one);
}

static void fifty_processes_that_race_for_the_first_dial_share_one_pin(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);

	(void)state;
	/* With one that refuses: the pin is moved in the race. */
	for (size_t dead = 0; dead < BACKENDS; dead++) {
		struct services *s = sticky_web(b);
		size_t one;

		backends_stop(b, dead);
		one = dial_many(s->env, ARGV(built("helpers/dialer"), SERVICE_ADDRESS, "80"), 50, 50, 50);
		assert_int_equal(dial_one(s->env, URL), one);
		backends_restart(b, dead);
	}
}

static void the_policy_of_a_process_does_not_count(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = sticky_web(b);
	size_t one = dial_one(s->env, URL);

	(void)state;
	assert_int_equal(dial_many(with_env(s->env, "FAIRDIAL_BALANCE=round_robin", NULL), ARGV("curl", "-sS", URL), 20, 4, 20),
			 one);
}

static void a_pin_survives_endpoints_that_are_added(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);

	(void)state;
	for (size_t i = 0; i < BACKENDS; i++) { /* whichever the hash would choose of all */
		struct services *s = services_open();

		publish_some(s, b, i, i);
		assert_int_equal(dial_one(s->env, URL), i);
		publish_some(s, b, 0, BACKENDS - 1);
		assert_int_equal(dial_many(s->env, ARGV("curl", "-sS", URL), 10, 1, 10), i);
	}
}

static void a_pin_moves_when_its_endpoint_goes_and_stays_when_it_comes_back(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();

	(void)state;
	publish_some(s, b, 0, 1);
	publish_some(s, b, 0, 0);
	assert_int_equal(dial_one(s->env, URL), 0);
	publish_some(s, b, 1, 1);
	assert_int_equal(dial_one(s->env, URL), 1);
	publish_some(s, b, 0, 1);
	assert_int_equal(dial_many(s->env, ARGV("curl", "-sS", URL), 10, 1, 10), 1);
}

static void a_refusal_moves_the_pin_within_the_dial(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = sticky_web(b);
	size_t one = dial_one(s->env, URL), next;

	(void)state;
	backends_stop(b, one);
	next = dial_one(s->env, URL);
	assert_int_not_equal(next, one);
	backends_restart(b, one);
	assert_int_equal(dial_many(s->env, ARGV("curl", "-sS", URL), 10, 2, 10), next);
}

static void two_ports_of_a_service_are_pinned_apart(void **state)
{
	struct backends *b = backends_start(4, ONE_ADDRESS);
	struct services *s = services_open();
	const char *service = service_object("web", SERVICE_ADDRESS, "a:80 b:81", NULL, STICKY);
	char *slices[4];
	size_t a, other;

	(void)state;
	for (int i = 0; i < 4; i++) /* a: 1 and 2; b: 3 and 4 */
		slices[i] = slice_object("web", i, format("%c:%d", i < 2 ? 'a' : 'b', backends_port(b, (size_t)i)), "127.0.0.1");
	publish_objects(s, NULL, NULL, service, slices[0], slices[1], slices[2], slices[3], NULL);
	a = dial_one(s->env, URL);
	other = dial_one(s->env, "http://" SERVICE_ADDRESS ":81/");
	assert_true(a < 2 && other >= 2);
	backends_stop(b, a);
	assert_int_equal(dial_one(s->env, URL), 1 - a);
	backends_restart(b, a);
	assert_int_equal(dial_many(s->env, ARGV("curl", "-sS", URL), 5, 1, 5), 1 - a);
	assert_int_equal(dial_many(s->env, ARGV("curl", "-sS", "http://" SERVICE_ADDRESS ":81/"), 5, 1, 5), other);
}

static void ipv6_and_ipv4_are_pinned_apart(void **state)
{
	struct backends *v4 = backends_start(2, ONE_ADDRESS), *v6 = backends_start(2, ONE_ADDRESS_V6);
	struct services *s = services_open();
	const char *service = service_object("web", SERVICE_ADDRESS " fd00::20", ":80", NULL, STICKY);
	char *slices[4];
	size_t one, six;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		slices[i] = slice_object("web", (int)i, format(":%d", backends_port(i < 2 ? v4 : v6, i % 2)),
					 i < 2 ? "127.0.0.1" : "::1");
	publish_objects(s, NULL, NULL, service, slices[0], slices[1], slices[2], slices[3], NULL);
	one = dial_one(s->env, URL);
	six = dial_one(s->env, "http://[fd00::20]/");
	assert_true(backends_accepted(v4, one) == 1 && backends_accepted(v6, six) == 1);
	backends_stop(v4, one);
	assert_int_equal(dial_one(s->env, URL), 1 - one);
	assert_int_equal(dial_one(s->env, "http://[fd00::20]/"), six);
	/* An IPv4 address on an IPv6 socket is one of IPv4. */
	assert_int_equal(dial_many(s->env, ARGV(built("helpers/dialer"), "--v6mapped", SERVICE_ADDRESS, "80"), 5, 1, 5), 1 - one);
}

static void observing_takes_no_pin(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	size_t hashed = dial_one(sticky_web(b)->env, URL), other = hashed ? 0 : 1;
	struct services *s = services_open();
	struct process *p;

	(void)state;
	publish_some(s, b, other, other);
	p = run(with_env(s->env, "FAIRDIAL=observe", NULL), "curl", "-s", URL, NULL);
	assert_int_equal(p->exit_status, 7); /* nobody listens at the Service's own address */
	publish_some(s, b, 0, BACKENDS - 1);
	assert_int_equal(dial_one(s->env, URL), hashed); /* a pin would have kept the other one */
}

static void the_trace_says_pinned(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = sticky_web(b);
	struct process *p = run(with_env(s->env, "FAIRDIAL_TRACE=dial", NULL), built("helpers/dialer"), SERVICE_ADDRESS, "80",
				NULL);

	(void)state;
	assert_int_equal(only_one(p->out_text, 1), 0);
	assert_non_null(strstr(p->err_text,
			       format("web.shop " SERVICE_ADDRESS ":80 -> %s:%d pinned\n", backends_address(b, 0), backends_port(b, 0))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_hundred_curl_processes_and_a_python_of_eight_threads_reach_one_pod),
		TEST(fifty_processes_that_race_for_the_first_dial_share_one_pin),
		TEST(the_policy_of_a_process_does_not_count),
		TEST(a_pin_survives_endpoints_that_are_added),
		TEST(a_pin_moves_when_its_endpoint_goes_and_stays_when_it_comes_back),
		TEST(a_refusal_moves_the_pin_within_the_dial),
		TEST(two_ports_of_a_service_are_pinned_apart),
		TEST(ipv6_and_ipv4_are_pinned_apart),
		TEST(observing_takes_no_pin),
		TEST(the_trace_says_pinned),
	};

	return RUN_TESTS(tests);
}
