/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a Kubernetes Service, from end to end: objects of the API in, the pod that a real program reaches out. */
#include "support/testing.h"

#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/kube_lists.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { DIALS = 12, REFUSED = 7 /* curl's exit status */ };

#define URL "http://" SERVICE_ADDRESS "/"
#define WEB service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL)

/* A slice of web: "1,r0 2,n=a" stands for the addresses of backends 1 and 2 with these details. */
static char *web_slice(const struct backends *b, const char *endpoints)
{
	char *list = format("%s", ""), *copy = format("%s", endpoints), *word;

	while ((word = strsep(&copy, " ")))
		list = format("%s %s%s", list, backends_address(b, (size_t)(word[0] - '1')), word + 1);
	return slice_object("web", 1, format(":%d", backends_port(b, 0)), list);
}

/* The backends that answer DIALS dials: "2 3". */
static char *who_answers(struct services *s, size_t count, const char *url)
{
	unsigned counts[BACKENDS_MAX];
	char *who = format("%s", "");
	size_t failed;
	char *answers = run_many(&(struct start){ .argv = ARGV("curl", "-sS", "-g", "--max-time", "20", url), .env = s->env }, DIALS, 4,
				 &failed);

	assert_int_equal(failed, 0);
	assert_int_equal(tally(answers, counts, count), 0);
	for (size_t i = 0; i < count; i++)
		if (counts[i])
			who = format("%s%s%zu", who, *who ? " " : "", i + 1);
	return who;
}

/* What curl does with the Service under the shim, it does without. */
static void assert_refused_as_without(struct services *s, const char *url)
{
	struct process *native = run(NULL, "curl", "-sS", "-g", url, NULL), *p = run(s->env, "curl", "-sS", "-g", url, NULL);

	assert_int_equal(native->exit_status, REFUSED);
	assert_int_equal(p->exit_status, REFUSED);
}

/* Endpoints of four backends, seen from this node and zone; `service` NULL: an ordinary one. */
static void assert_answer(const char *service, const char *endpoints, const char *node, const char *zone, const char *who)
{
	struct backends *b = backends_start(4, ONE_PORT);
	struct services *s = services_open();

	publish_objects(s, node, zone, service ? service : WEB, web_slice(b, endpoints), NULL);
	if (!*who)
		assert_refused_as_without(s, URL);
	else
		assert_string_equal(who_answers(s, 4, URL), who);
}

/* ---- where the pods are ---- */

static char *local_web(void)
{
	return service_object("web", SERVICE_ADDRESS, ":80", NULL, "'internalTrafficPolicy': 'Local'");
}

static void of_a_local_service_pods_on_the_own_node_answer(void **state)
{
	(void)state;
	assert_answer(local_web(), "1,n=a 2,n=b 3,n=b 4", "b", NULL, "2 3");
	assert_answer(local_web(), "1,n=a,r0,s1,t1 2,n=b", "a", NULL, "1"); /* terminating, but the only one here */
}

static void a_local_service_without_pods_on_the_own_node_passes_through(void **state)
{
	(void)state;
	assert_answer(local_web(), "1,n=a 2,n=b 3,n=b", "c", NULL, "");
	assert_answer(local_web(), "1,n=a 2,n=b 3,n=b", NULL, NULL, "");
}

static void zone_hints_count_when_every_ready_endpoint_has_one(void **state)
{
	(void)state;
	assert_answer(NULL, "1,hz=x 2,hz=y 3,hz=y 4,hz=x", NULL, "y", "2 3");
	assert_answer(NULL, "1,hz=x 2,hz=y 3,hz=y 4,r0", NULL, "y", "2 3"); /* that is not ready */
	assert_answer(NULL, "1,hz=x,n=a,z=x 2,hz=y 3,hz=y 4,hz=x", "a", NULL, "1 4"); /* the zone of the node's endpoint */
}

static void zone_hints_do_not_count_when_one_is_missing_or_none_is_ours(void **state)
{
	(void)state;
	assert_answer(NULL, "1,hz=x 2,hz=y 3,hz=y 4", NULL, "y", "1 2 3 4");
	assert_answer(NULL, "1,hz=x 2,hz=y 3,hz=y 4,hz=x", NULL, "z", "1 2 3 4");
	assert_answer(NULL, "1,hz=x 2,hz=y 3,hz=y 4,hz=x", NULL, NULL, "1 2 3 4");
}

static void node_hints_go_before_zone_hints(void **state)
{
	(void)state;
	assert_answer(NULL, "1,hn=a,hz=x 2,hn=b,hz=x 3,hn=b,hz=y 4,hn=c,hz=y", "b", "y", "2 3");
	assert_answer(NULL, "1,hn=a,hz=x 2,hn=b,hz=x 3,hn=b,hz=y 4,hn=c,hz=y", "d", "y", "3 4");
	assert_answer(NULL, "1,hn=a,hz=x 2,hn=b,hz=x 3,hz=y 4,hn=c,hz=y", "b", "y", "3 4");
}

static void publish_takes_node_and_zone_from_the_environment(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	const char *const env[] = { "NODE_NAME=b", "NODE_ZONE=y", NULL };

	(void)state;
	publish_objects(s, NULL, NULL, WEB, web_slice(b, "1,hz=x 2,hz=y"), NULL);
	assert_string_equal(who_answers(s, 2, URL), "1 2");
	assert_clean(run(env, built("fairdial"), "publish", "--services", s->file, "--dir", s->dir, NULL));
	assert_string_equal(who_answers(s, 2, URL), "2");
	publish_objects(s, NULL, NULL, local_web(), web_slice(b, "1,n=a 2,n=b"), NULL);
	assert_clean(run(env, built("fairdial"), "publish", "--services", s->file, "--dir", s->dir, NULL));
	assert_string_equal(who_answers(s, 2, URL), "2");
	assert_clean(run(env, built("fairdial"), "publish", "--services", s->file, "--dir", s->dir, "--node", "a", NULL));
	assert_string_equal(who_answers(s, 2, URL), "1");
}

/* ---- how they are ---- */

static void ready_endpoints_go_before_those_that_serve_and_terminate(void **state)
{
	(void)state;
	assert_answer(NULL, "1,r1 2,r0,s1,t1 3,r0,s0,t0 4", NULL, NULL, "1 4");
	assert_answer(NULL, "1,r0,s1,t0 2,r1 3,r0,s0,t1 4,r0", NULL, NULL, "2");
}

static void endpoints_that_serve_and_terminate_answer_when_none_is_ready(void **state)
{
	(void)state;
	assert_answer(NULL, "1,r0,s1,t1 2,r0,s1,t1 3,r0,s0,t1 4,r0,s0,t0", NULL, NULL, "1 2");
	assert_answer(NULL, "1,r0,s1,t1,hz=x 2,r0,s1,t1,hz=y", NULL, "y", "1 2"); /* hints are for ready ones */
}

static void endpoints_that_are_published_before_they_are_ready_answer(void **state)
{
	(void)state;
	/* The controller says ready of all of them, of those that terminate too. */
	assert_answer(service_object("web", SERVICE_ADDRESS, ":80", NULL, "'publishNotReadyAddresses': true"),
		      "1,r1,s0,t0 2,r1,s0,t1 3,r1,s1,t1 4,r1,s1,t0", NULL, NULL, "1 2 3 4");
}

static void a_service_without_endpoints_passes_through_to_its_address(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	const char *service = service_object("web", backends_address(b, 1), format(":%d", backends_port(b, 1)), NULL, NULL);
	const char *url = format("http://%s:%d/", backends_address(b, 1), backends_port(b, 1));

	(void)state;
	publish_objects(s, NULL, NULL, service, web_slice(b, "1"), NULL);
	assert_string_equal(who_answers(s, 2, url), "1");
	publish_objects(s, NULL, NULL, service, web_slice(b, "1,r0,s0,t0"), NULL);
	assert_string_equal(who_answers(s, 2, url), "2"); /* who listens at the Service's own address */
	publish_objects(s, NULL, NULL, service, slice_object("web", 1, ":1", ""), NULL);
	assert_string_equal(who_answers(s, 2, url), "2");
	publish_objects(s, NULL, NULL, WEB, web_slice(b, "1,r0"), NULL);
	assert_refused_as_without(s, URL);
}

/* ---- families and ports ---- */

static void each_family_of_a_dual_stack_service_has_its_own_endpoints(void **state)
{
	struct backends *v4 = backends_start(2, ONE_ADDRESS), *v6 = backends_start(2, ONE_ADDRESS_V6);
	struct services *s = services_open();
	char *slices[4];
	struct process *p;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		slices[i] = slice_object("web", (int)i, format(":%d", backends_port(i < 2 ? v4 : v6, i % 2)),
					 i < 2 ? "127.0.0.1" : "::1");
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS " fd00::20", ":80", NULL, NULL), slices[0], slices[1],
			slices[2], slices[3], NULL);
	assert_string_equal(who_answers(s, 2, "http://[fd00::20]/"), "1 2");
	assert_true(backends_accepted(v4, 0) + backends_accepted(v4, 1) == 0);
	assert_int_equal(backends_accepted(v6, 0), DIALS / 2);
	assert_string_equal(who_answers(s, 2, URL), "1 2");
	assert_int_equal(backends_accepted(v4, 0), DIALS / 2);
	p = run(s->env, built("helpers/dialer"), "--v6mapped", "--count", "4", SERVICE_ADDRESS, "80", NULL);
	assert_clean(p);
	assert_even_answers(p->out_text, 2, 4, 0);
	assert_int_equal(backends_accepted(v6, 0) + backends_accepted(v6, 1), DIALS);
}

static void a_port_of_a_service_is_joined_with_its_endpoints_by_name(void **state)
{
	struct backends *b = backends_start(3, ONE_ADDRESS);
	struct services *s = services_open();
	const char *first = slice_object("web", 1, format("http:%d admin:%d", backends_port(b, 0), backends_port(b, 2)), "127.0.0.1");
	/* Another group of pods, whose port of that name is another; and one that nobody asked for. */
	const char *second = slice_object("web", 2, format("other:1 http:%d", backends_port(b, 1)), "127.0.0.1");

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, "http:80 admin:81 none:82", NULL, NULL), first, second,
			NULL);
	assert_string_equal(who_answers(s, 3, URL), "1 2");
	assert_string_equal(who_answers(s, 3, "http://" SERVICE_ADDRESS ":81/"), "3");
	assert_refused_as_without(s, "http://" SERVICE_ADDRESS ":82/");
}

static void a_port_that_a_service_does_not_have_passes_through(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	const char *service = service_object("web", backends_address(b, 1), ":80", NULL, NULL);

	(void)state;
	publish_objects(s, NULL, NULL, service, web_slice(b, "1"), NULL);
	assert_string_equal(who_answers(s, 2, format("http://%s/", backends_address(b, 1))), "1");
	assert_string_equal(who_answers(s, 2, format("http://%s:%d/", backends_address(b, 1), backends_port(b, 1))), "2");
	assert_refused_as_without(s, format("http://%s:%d/", backends_address(b, 1), unused_port()));
}

/* ---- Services that are somebody else's ---- */

static void assert_stands_down(const char *service, struct backends *b, const char *name, const char *reason)
{
	struct services *s = services_open();
	struct process *p;

	publish_objects(s, NULL, NULL, service, slice_object(name, 1, format(":%d", backends_port(b, 0)), backends_address(b, 0)),
			NULL);
	assert_refused_as_without(s, URL);
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, reason));
	p = run(with_env(s->env, "FAIRDIAL_TRACE=dial", NULL), built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);
	assert_string_equal(p->out_text, "ECONNREFUSED\n");
	assert_non_null(strstr(p->err_text, "passed: the Service stands down"));
	assert_int_equal(backends_accepted(b, 0), 0);
}

static void a_service_of_another_proxy_stands_down_and_status_says_why(void **state)
{
	(void)state;
	assert_stands_down(service_object("web", SERVICE_ADDRESS, ":80",
					  "'labels': { 'service.kubernetes.io/service-proxy-name': 'other' }", NULL),
			   backends_start(1, ONE_PORT), "web",
			   "mode on  stands down: label service.kubernetes.io/service-proxy-name");
}

static void the_service_of_the_api_server_stands_down_and_status_says_why(void **state)
{
	(void)state;
	assert_stands_down(service_object("kubernetes.default", SERVICE_ADDRESS, ":80", NULL, NULL), backends_start(1, ONE_PORT),
			   "kubernetes.default", "mode on  stands down: the API server's own Service");
}

/* ---- clients apart ---- */

/* One pod: a table and a ledger of its own, its rank, and one connection. The backend that has it. */
static size_t client_of_rank(const struct backends *b, uint32_t rank, uint32_t peers)
{
	struct services *s = services_open();
	struct table_builder *t = builder_new();
	unsigned counts[BACKENDS_MAX];
	char *endpoints = format("%s", "");
	struct process *p;

	for (size_t i = 0; i < backends_count(b); i++) /* the second one is listed, but not to be dialed */
		endpoints = format("%s %s:%d%s", endpoints, backends_address(b, i), backends_port(b, i), i == 1 ? "!" : "");
	builder_service(t, "web.shop", SERVICE_ADDRESS);
	builder_port(t, 80, PROTOCOL_TCP, endpoints);
	t->spec.client_rank = rank;
	t->spec.client_peers = peers;
	publish_alone(s->dir, t);
	p = run(s->env, "curl", "-sS", URL, NULL);
	assert_clean(p);
	assert_int_equal(tally(p->out_text, counts, BACKENDS_MAX), 0);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (counts[i])
			return i;
	fail_msg("nobody answered");
	return 0;
}

static void two_clients_with_one_connection_each_never_share_one_of_five_servers(void **state)
{
	struct backends *b = backends_start(6, ONE_PORT);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_not_equal(client_of_rank(b, 0, 2), client_of_rank(b, 1, 2));
	for (uint32_t ordinal = 0; ordinal < 10; ordinal++)
		assert_int_not_equal(client_of_rank(b, ordinal, CLIENT_PEERS_UNKNOWN),
				     client_of_rank(b, ordinal + 1, CLIENT_PEERS_UNKNOWN));
}

static void five_clients_with_one_connection_each_use_all_of_five_servers(void **state)
{
	struct backends *b = backends_start(6, ONE_PORT);

	(void)state;
	for (uint32_t rank = 0; rank < 5; rank++)
		client_of_rank(b, rank, 5);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(backends_accepted(b, i), i != 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_a_local_service_pods_on_the_own_node_answer),
		TEST(a_local_service_without_pods_on_the_own_node_passes_through),
		TEST(zone_hints_count_when_every_ready_endpoint_has_one),
		TEST(zone_hints_do_not_count_when_one_is_missing_or_none_is_ours),
		TEST(node_hints_go_before_zone_hints),
		TEST(publish_takes_node_and_zone_from_the_environment),
		TEST(ready_endpoints_go_before_those_that_serve_and_terminate),
		TEST(endpoints_that_serve_and_terminate_answer_when_none_is_ready),
		TEST(endpoints_that_are_published_before_they_are_ready_answer),
		TEST(a_service_without_endpoints_passes_through_to_its_address),
		TEST(each_family_of_a_dual_stack_service_has_its_own_endpoints),
		TEST(a_port_of_a_service_is_joined_with_its_endpoints_by_name),
		TEST(a_port_that_a_service_does_not_have_passes_through),
		TEST(a_service_of_another_proxy_stands_down_and_status_says_why),
		TEST(the_service_of_the_api_server_stands_down_and_status_says_why),
		TEST(two_clients_with_one_connection_each_never_share_one_of_five_servers),
		TEST(five_clients_with_one_connection_each_use_all_of_five_servers),
	};

	return RUN_TESTS(tests);
}
