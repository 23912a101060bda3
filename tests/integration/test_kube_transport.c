/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Below LIST and WATCH: connections, frames, encodings, rights, credentials and addresses. A comment above each test has the
 * heading words of the rule.
 */
#include "support/testing.h"

#include <signal.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/kube_asks.h"
#include "support/process.h"
#include "support/services.h"

#define SLICES_WATCH "endpointslices?watch=1&allowWatchBookmarks=true&resourceVersion="
#define SLICES_LIST  "endpointslices?resourceVersion="

static const struct api_options lists_only = { .initial = API_INITIAL_REJECTED };

/* ---- 12 ---- */

/* Half-open detection: TCP_USER_TIMEOUT and keepalive (30/5/3). That they work is the kernel's business, and takes its time. */
static void connections_find_a_peer_that_has_gone(void **state)
{
	static const char *const options[] = { "SO_KEEPALIVE, [1]", "TCP_KEEPIDLE, [30]", "TCP_KEEPINTVL, [5]", "TCP_KEEPCNT, [3]",
					       "TCP_USER_TIMEOUT, [30000]" };
	struct api_server *api = api_of_web(NULL);
	char *dir = scratch_dir(), *kubeconfig = format("%s/kubeconfig", dir), *log = format("%s/log", dir);
	char *text;
	size_t size;

	(void)state;
	if (!program_exists("strace") || run_shell(NULL, "strace -o %s true", log)->exit_status != 0)
		skip_because("no strace, or it may not trace here");
	api_write_kubeconfig(api, kubeconfig, &(struct api_kubeconfig){ .namespace = "shop" });
	process_start(&(struct start){ .argv = ARGV("strace", "-f", "-e", "trace=setsockopt", "-o", log, built("fairdial"), "agent",
						    "--dir", dir, "--kubeconfig", kubeconfig),
				       .end_with = SIGTERM });
	api_wait_watches(api, NULL, 2, 2 * ASK_LIMIT_MS);
	text = read_file(log, &size);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strstr(text, options[i]))
			fail_msg("no %s in:\n%s", options[i], text);
}

/* ---- 13 ---- */

/* Connection: close is normal: open a new connection, do not relist */
static void a_connection_that_closes_behind_an_answer_is_replaced(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const struct api_request *before, *after;

	(void)state;
	api_script(api, &(struct api_script){ .path = SLICES_WATCH, .count = 2, .close = true });
	before = wait_ask(api, SLICES, ASK_STREAM, 1);
	for (size_t i = 1; i <= 3; i++) {
		end_slices(api);
		after = wait_ask(api, SLICES, ASK_WATCH, i);
		api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	}
	assert_int_not_equal(before->connection, after->connection);
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 1);
	assert_int_equal(asks(api, SLICES, ASK_LIST), 0);
	assert_int_equal(agent_logged(a, "cannot reach"), 0);
}

/* ---- 14 ---- */

/* Framing: an event may span reads */
static void events_may_come_byte_by_byte(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	api_set_piece(api, 1);
	a = agent_of_web(api, NULL);
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_delete(api, KUBE_SLICE, "web-1");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
}

/* Framing: one read may hold many */
static void many_events_may_come_in_one_write(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_pause(api, SLICES, true);
	for (int i = 0; i < 200; i++)
		api_put_slice(api, format("web-%d", i % 7), "web", "http:8080", format("10.0.1.%d", i));
	api_delete(api, KUBE_SLICE, "web-0");
	api_delete(api, KUBE_SLICE, "web-1");
	api_pause(api, SLICES, false);
	agent_wait(a, WEB_PORT, "10.0.1.193:8080 10.0.1.194:8080 10.0.1.195:8080 10.0.1.198:8080 10.0.1.199:8080");
}

/* Of more than a megabyte: blanks would not survive the server's own parser. */
static void put_large_slice(struct api_server *api, const char *address)
{
	size_t size = 1300000;
	char *pad = malloc(size + 1), *text;

	assert_non_null(pad);
	memset(pad, 'x', size);
	pad[size] = '\0';
	text = format("{'metadata':{'name':'web-1','namespace':'shop','labels':{'kubernetes.io/service-name':'web'},"
		      "'annotations':{'pad':'%s'}},'addressType':'IPv4','endpoints':[{'addresses':['%s']}],"
		      "'ports':[{'name':'http','port':8080}]}",
		      pad, address);
	free(pad);
	api_put_json(api, KUBE_SLICE, text);
}

/* Framing: objects can be >1 MB */
static void objects_may_be_larger_than_a_megabyte(void **state)
{
	static const struct api_options kinds[] = { { .initial = API_INITIAL_SENT }, { .initial = API_INITIAL_REJECTED } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct api_server *api = api_of_web(&kinds[i]);
		struct agent_run *a;

		put_large_slice(api, "10.0.0.1");
		a = agent_of_web(api, NULL);
		put_large_slice(api, "10.0.0.2");
		agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	}
}

/* LIST may be gzip if you accept it; ask for application/json explicitly */
static void lists_may_be_compressed_and_watches_not(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const struct api_request *list, *watch;

	(void)state;
	agent_of_web(api, NULL);
	list = wait_ask(api, SLICES, ASK_LIST, 1);
	watch = wait_ask(api, SLICES, ASK_WATCH, 1);
	assert_string_equal(list->accept_encoding, "gzip");
	assert_string_equal(watch->accept_encoding, "");
	assert_string_equal(list->accept, "application/json");
	assert_string_equal(watch->accept, "application/json");
	assert_non_null(strstr(watch->user_agent, "fairdial/"));
}

/* LIST may be gzip */
static void a_compressed_list_is_read(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	char *path = format("%s/list", scratch_dir()), *bytes;
	const char *list = quoted("{'kind':'EndpointSliceList','apiVersion':'discovery.k8s.io/v1','metadata':{"
				  "'resourceVersion':'100000'},'items':[{'metadata':{'name':'z','namespace':'shop','labels':{"
				  "'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':[{"
				  "'addresses':['10.0.0.77']}],'ports':[{'name':'http','port':8080}]}]}");
	size_t size;

	(void)state;
	if (!program_exists("gzip"))
		skip_because("no gzip");
	write_file(path, list, strlen(list));
	assert_int_equal(run_shell(NULL, "gzip %s", path)->exit_status, 0);
	bytes = read_file(format("%s.gz", path), &size);
	api_script(api, &(struct api_script){ .path = SLICES_LIST,
					      .act = API_STATUS,
					      .status = 200,
					      .body = bytes,
					      .size = size,
					      .headers = "Content-Encoding: gzip\r\n" });
	agent_wait(agent_start(api, NULL, NULL), WEB_PORT, "10.0.0.77:8080");
}

/* ---- 15 ---- */

/* RBAC: endpointslices list,watch; services list,watch */
static void only_two_collections_are_ever_read(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_compact(api);
	api_cut_all(api, API_CUT_FIN);
	wait_ask(api, SLICES, ASK_WATCH, 2);
	api_wait_watches(api, NULL, 2, ASK_LIMIT_MS);
	agent_end(a, SIGTERM);
	for (size_t i = 0; i < api_request_count(api, NULL); i++) {
		const struct api_request *request = api_request(api, NULL, i);

		assert_string_equal(request->method, "GET");
		if (strcmp(request->path, "/api/v1/namespaces/shop/services") != 0)
			assert_string_equal(request->path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices");
	}
}

/* RBAC: 403 on cluster scope: try namespace scope */
static void the_own_namespace_is_tried_where_the_cluster_is_forbidden(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	api_forbid(api, "/api/v1/services");
	api_forbid(api, "/apis/discovery.k8s.io/v1/endpointslices");
	a = agent_of_web(api, ARGV("--all-namespaces"));
	agent_wait_log(a, "following namespace shop alone");
	agent_wait_trouble(a, "");
}

/* ---- 15 and 16: credentials ---- */

struct account {
	char *dir, *token, *kubeconfig;
};

static void set_token(const struct account *account, const char *token)
{
	char *text = format("%s\n", token), *next = format("%s.next", account->token);

	write_file(next, text, strlen(text));
	assert_int_equal(rename(next, account->token), 0);
}

static struct account *account_new(struct api_server *api)
{
	static struct account account;

	account.dir = scratch_dir();
	account.token = format("%s/token", account.dir);
	account.kubeconfig = format("%s/kubeconfig", account.dir);
	api_write_kubeconfig(api, account.kubeconfig, &(struct api_kubeconfig){ .namespace = "shop", .token_file = account.token });
	set_token(&account, "one");
	api_require_token(api, "one");
	return &account;
}

/* 401: re-read token at once. It was renewed while the request was under way, and no pause of a minute is waited out. */
static void a_refused_token_is_read_again_at_once(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct account *account = account_new(api);
	const struct api_request *request;

	(void)state;
	agent_of_web(api, ARGV("--kubeconfig", account->kubeconfig, "--backoff", "60s"));
	api_script(api, &(struct api_script){ .path = SLICES_WATCH, .hold = true });
	end_slices(api);
	api_wait_held(api, 1, ASK_LIMIT_MS);
	set_token(account, "two");
	api_require_token(api, "two");
	api_release(api);
	request = wait_ask(api, SLICES, ASK_WATCH, 2);
	assert_string_equal(request->authorization, "Bearer two");
	assert_string_equal(wait_ask(api, SLICES, ASK_WATCH, 1)->authorization, "Bearer one");
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
}

/* Token: re-read (at each request); keep the old one if reading fails */
static void a_token_outlives_its_file_for_a_moment(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct account *account = account_new(api);

	(void)state;
	agent_of_web(api, ARGV("--kubeconfig", account->kubeconfig));
	assert_int_equal(unlink(account->token), 0);
	end_slices(api);
	assert_string_equal(wait_ask(api, SLICES, ASK_WATCH, 1)->authorization, "Bearer one");
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	set_token(account, "");
	end_slices(api);
	assert_string_equal(wait_ask(api, SLICES, ASK_WATCH, 2)->authorization, "Bearer one");
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	set_token(account, "two");
	end_slices(api);
	assert_string_equal(wait_ask(api, SLICES, ASK_WATCH, 3)->authorization, "Bearer two");
}

/* Token: projected volumes change by symlink swap */
static void a_token_behind_a_swapped_link_is_read(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct account *account = account_new(api);

	(void)state;
	assert_int_equal(run_shell(NULL,
				   "cd %s && mkdir v1 v2 && mv token v1/token && echo two >v2/token && ln -s v1 ..data && "
				   "ln -s ..data/token token",
				   account->dir)
				 ->exit_status,
			 0);
	agent_of_web(api, ARGV("--kubeconfig", account->kubeconfig));
	assert_int_equal(run_shell(NULL, "cd %s && ln -s v2 ..next && mv -T ..next ..data", account->dir)->exit_status, 0);
	end_slices(api);
	assert_string_equal(wait_ask(api, SLICES, ASK_WATCH, 1)->authorization, "Bearer two");
}

/* Token: one that expires during a watch does not end the watch */
static void a_watch_goes_on_when_its_token_has_expired(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct account *account = account_new(api);
	struct agent_run *a = agent_of_web(api, ARGV("--kubeconfig", account->kubeconfig));

	(void)state;
	api_require_token(api, "two");
	api_forget(api);
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	assert_int_equal(api_request_count(api, NULL), 0);
}

/* CA: ca.crt also rotates */
static void a_renewed_authority_is_trusted_at_the_next_connection(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	size_t size;
	char *other = read_file(api_other_ca_file(api), &size);

	(void)state;
	api_use_other_ca(api, true);
	api_cut_all(api, API_CUT_FIN);
	agent_wait_trouble(a, "cannot trust");
	write_file(api_ca_file(api), other, size);
	api_wait_watches(api, NULL, 2, ASK_LIMIT_MS);
	agent_wait_trouble(a, "");
}

/* ---- 17 ---- */

/* Address of the apiserver: IPv6 needs brackets */
static void an_api_server_may_have_an_ipv6_address(void **state)
{
	struct api_server *api = api_of_web(&(struct api_options){ .address = "::1" });

	(void)state;
	assert_non_null(strstr(api_url(api), "https://[::1]:"));
	agent_of_web(api, NULL);
}

/* Address of the apiserver: KUBERNETES_SERVICE_HOST/PORT, in a mount namespace that has a service account where pods have it */
static void a_pod_finds_the_api_server_by_its_environment(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "::1" };
	static const char script[] = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && "
				     "cd /run/secrets/kubernetes.io/serviceaccount && cp \"$1\" ca.crt && echo pod >token && "
				     "echo -n shop >namespace && cd / && exec \"$2\" agent --dir \"$3\"";

	(void)state;
	if (run_shell(NULL, "[ /var/run -ef /run ] && unshare -m mount -t tmpfs none /run")->exit_status != 0)
		skip_because("no mount namespace to be had");
	for (size_t i = 0; i < 2; i++) {
		struct api_server *api = api_of_web(&(struct api_options){ .address = addresses[i] });

		api_require_token(api, "pod");
		process_start(&(struct start){
			.argv = ARGV("unshare", "-m", "sh", "-c", script, "sh", api_ca_file(api), built("fairdial"), scratch_dir()),
			.env = ARGV(format("KUBERNETES_SERVICE_HOST=%s", addresses[i]),
				    format("KUBERNETES_SERVICE_PORT=%d", api_port(api))) });
		api_wait_watches(api, "/namespaces/shop/", 2, ASK_LIMIT_MS);
	}
}

/* Address of the apiserver: the agent must not be balanced by its own shim */
static void the_agents_own_dials_are_not_spread(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct services *s = services_open();
	struct place nowhere;
	char *kubeconfig = format("%s/kubeconfig", s->root);

	(void)state;
	unused_places(&nowhere, 1);
	services_publish(s, service_entry("api", "127.0.0.1", api_port(api), &nowhere, 1, NULL));
	api_write_kubeconfig(api, kubeconfig, &(struct api_kubeconfig){ .namespace = "shop" });
	process_start(&(struct start){ .argv = ARGV(built("fairdial"), "agent", "--dir", scratch_dir(), "--kubeconfig", kubeconfig),
				       .env = s->env });
	api_wait_watches(api, NULL, 2, ASK_LIMIT_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connections_find_a_peer_that_has_gone),
		TEST(a_connection_that_closes_behind_an_answer_is_replaced),
		TEST(events_may_come_byte_by_byte),
		TEST(many_events_may_come_in_one_write),
		TEST(objects_may_be_larger_than_a_megabyte),
		TEST(lists_may_be_compressed_and_watches_not),
		TEST(a_compressed_list_is_read),
		TEST(only_two_collections_are_ever_read),
		TEST(the_own_namespace_is_tried_where_the_cluster_is_forbidden),
		TEST(a_refused_token_is_read_again_at_once),
		TEST(a_token_outlives_its_file_for_a_moment),
		TEST(a_token_behind_a_swapped_link_is_read),
		TEST(a_watch_goes_on_when_its_token_has_expired),
		TEST(a_renewed_authority_is_trusted_at_the_next_connection),
		TEST(an_api_server_may_have_an_ipv6_address),
		TEST(a_pod_finds_the_api_server_by_its_environment),
		TEST(the_agents_own_dials_are_not_spread),
	};

	return RUN_TESTS(tests);
}
