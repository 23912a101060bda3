/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of known rank: each pod has an agent and a directory of its own, all follow one API server, and programs of
 * one connection each do not meet on a backend, though no pod knows what another one does.
 */
#include "support/testing.h"

#include <signal.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { BACKENDS = 5, LIMIT_MS = 60000 };

/*
 * All pods of a test are in one network namespace, where least_conn can count the connections of the others; round_robin knows
 * nothing but the rank.
 */
static void put_backends(struct api_server *api, const struct backends *b, const char *balance)
{
	char *endpoints = format("%s", "");

	for (size_t i = 0; i < BACKENDS; i++)
		endpoints = format("%s%s%s", endpoints, i ? " " : "", backends_address(b, i));
	api_put_json(api, KUBE_SERVICE,
		     format("{'metadata':{'name':'web','annotations':{'fairdial.dev/balance':'%s'}},"
			    "'spec':{'type':'ClusterIP','clusterIP':'" SERVICE_ADDRESS "','clusterIPs':['" SERVICE_ADDRESS "'],"
			    "'ports':[{'name':'http','port':80,'protocol':'TCP'}]}}", balance));
	api_put_slice(api, "web-1", "web", format("http:%d", backends_port(b, 0)), endpoints);
}

static char *says_of(const struct backends *b)
{
	char *says = format("%s", "");

	for (size_t i = 0; i < BACKENDS; i++)
		says = format("%s%s%s:%d", says, i ? " " : "", backends_address(b, i), backends_port(b, i));
	return says;
}

/* "app-2", or a name as a Deployment gives it. */
static char *pod_name(unsigned i, bool is_stateful)
{
	return is_stateful ? format("app-%u", i) : format("app-7d4b9c6f5-x%ck2p", 'a' + (int)(i * 7 % 11));
}

/* The clients are pods of 10.0.0.1 ..., behind a headless Service (a StatefulSet's), or one with an address. */
static void put_clients(struct api_server *api, unsigned count, bool is_stateful)
{
	char *endpoints = format("%s", "");

	for (unsigned i = 0; i < count; i++)
		endpoints = format("%s%s10.0.0.%u,p=%s%s", endpoints, i ? " " : "", i + 1, pod_name(i, is_stateful),
				   is_stateful ? format(",h=%s", pod_name(i, true)) : "");
	api_put_service(api, "app", is_stateful ? "None" : "10.96.0.3", "http:80");
	api_put_slice(api, "app-s1", "app", "http:80", endpoints);
}

static struct agent_run *start_pod(struct api_server *api, unsigned i, bool is_stateful)
{
	return agent_start_as(&(struct agent_setup){
		.api = api,
		.env = ARGV(format("POD_NAME=%s", pod_name(i, is_stateful)), format("POD_IP=10.0.0.%u", i + 1)) });
}

/* One process with one connection that it keeps. */
static struct process *hold(struct agent_run *a)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", SERVICE_ADDRESS, "80"), .env = a->env, .interactive = true });

	process_expect(p, "ready\n", LIMIT_MS);
	return p;
}

static void assert_nobody_shares(const struct backends *b, unsigned clients)
{
	unsigned sum = 0;

	for (size_t i = 0; i < BACKENDS; i++) {
		assert_true(backends_open(b, i) <= 1);
		sum += backends_open(b, i);
	}
	assert_int_equal(sum, clients);
}

static void assert_nobody_meets_under(const char *balance, unsigned clients, bool is_stateful)
{
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct agent_run *agents[BACKENDS];
	struct process *holders[BACKENDS];

	put_backends(api, b, balance);
	put_clients(api, clients, is_stateful);
	for (unsigned i = 0; i < clients; i++)
		agents[i] = start_pod(api, i, is_stateful);
	for (unsigned i = 0; i < clients; i++)
		agent_wait(agents[i], SERVICE_ADDRESS ":80", says_of(b));
	for (unsigned i = 0; i < clients; i++)
		agent_wait_vouched(agents[i], true);
	for (unsigned i = 0; i < clients; i++)
		holders[i] = hold(agents[i]);
	assert_nobody_shares(b, clients);
	for (unsigned i = 0; i < clients; i++) {
		process_close_input(holders[i]);
		process_wait(holders[i], LIMIT_MS);
		assert_clean(holders[i]);
	}
}

static void assert_clients_do_not_meet(unsigned clients, bool is_stateful)
{
	assert_nobody_meets_under("round_robin", clients, is_stateful);
	assert_nobody_meets_under("least_conn", clients, is_stateful);
}

static void two_pods_of_a_stateful_set_never_share_a_backend_of_five(void **state)
{
	(void)state;
	assert_clients_do_not_meet(2, true);
}

static void three_pods_of_a_stateful_set_never_share_a_backend_of_five(void **state)
{
	(void)state;
	assert_clients_do_not_meet(3, true);
}

static void five_pods_of_a_stateful_set_have_one_backend_of_five_each(void **state)
{
	(void)state;
	assert_clients_do_not_meet(5, true);
}

static void two_pods_of_a_deployment_never_share_a_backend_of_five(void **state)
{
	(void)state;
	assert_clients_do_not_meet(2, false);
}

static void five_pods_of_a_deployment_have_one_backend_of_five_each(void **state)
{
	(void)state;
	assert_clients_do_not_meet(5, false);
}

/* Every table of one pod starts elsewhere, whenever it was made: a client that comes back has its backend again. */
static void client_has_its_own_backend_again_after_agent_and_table_are_gone(void **state)
{
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	const char *first = NULL;

	(void)state;
	put_backends(api, b, "round_robin");
	put_clients(api, 5, true);
	for (int i = 0; i < 3; i++) {
		struct agent_run *a = start_pod(api, 3, true);
		struct process *p;

		agent_wait(a, SERVICE_ADDRESS ":80", says_of(b));
		agent_wait_vouched(a, true);
		p = run(a->env, built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);
		assert_clean(p);
		if (!first)
			first = p->out_text;
		assert_string_equal(p->out_text, first);
		agent_end(a, SIGTERM);
	}
}

static void client_that_is_added_later_goes_where_nobody_is(void **state)
{
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct agent_run *agents[BACKENDS];

	(void)state;
	put_backends(api, b, "round_robin");
	put_clients(api, 5, true); /* the StatefulSet is of five; its pods come one after the other */
	for (unsigned i = 0; i < 5; i++) {
		agents[i] = start_pod(api, i, true);
		agent_wait(agents[i], SERVICE_ADDRESS ":80", says_of(b));
		agent_wait_vouched(agents[i], true);
		hold(agents[i]);
		assert_nobody_shares(b, i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_pods_of_a_stateful_set_never_share_a_backend_of_five),
		TEST(three_pods_of_a_stateful_set_never_share_a_backend_of_five),
		TEST(five_pods_of_a_stateful_set_have_one_backend_of_five_each),
		TEST(two_pods_of_a_deployment_never_share_a_backend_of_five),
		TEST(five_pods_of_a_deployment_have_one_backend_of_five_each),
		TEST(client_has_its_own_backend_again_after_agent_and_table_are_gone),
		TEST(client_that_is_added_later_goes_where_nobody_is),
	};

	return RUN_TESTS(tests);
}
