/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent does without rights, without an API server, and with what it cannot trust: programs dial as without
 * fairdial, the log tells it once, `fairdial status` tells the same, and both tell that it is over. A server listens at
 * the address of the Service, "backend-1", as kube-proxy would: who answers tells whether a dial was passed through.
 */
#include "support/testing.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, TRIES = 12 };

#define TOKEN	  "first-bearer-of-this-test-0123456789"
#define NEXT	  "second-bearer-of-this-test-abcdefghi"

struct trouble {
	struct api_server *api;
	struct backends *b;
	struct services *s;
	struct agent_run *a;
	const char *dest; /* the Service */
	const char *web;  /* what a table says of it, once it is there */
};

/* An API server with one Service, and no agent yet. */
static struct trouble *prepare(void)
{
	struct trouble *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	after_test(free, t);
	t->api = api_start(NULL);
	t->b = backends_start(3, ONE_PORT);
	t->s = services_open();
	t->dest = format("%s:%d", backends_address(t->b, 0), backends_port(t->b, 0));
	t->web = format("%s:%d %s:%d", backends_address(t->b, 1), backends_port(t->b, 1), backends_address(t->b, 2),
			backends_port(t->b, 2));
	api_put_service(t->api, "web", backends_address(t->b, 0), format("http:%d", backends_port(t->b, 0)));
	api_put_slice(t->api, "web-1", "web", format("http:%d", backends_port(t->b, 0)),
		      format("%s %s", backends_address(t->b, 1), backends_address(t->b, 2)));
	return t;
}

static void follow(struct trouble *t, const struct api_kubeconfig *config, const char *const *more)
{
	t->a = agent_start_as(&(struct agent_setup){ .api = t->api, .kubeconfig = config, .dir = t->s->dir, .more = more });
}

static struct process *curl(const struct trouble *t, const char *const *env)
{
	return run(env, "curl", "-sS", "--max-time", "20", format("http://%s/", t->dest), NULL);
}

static void assert_passes_through(const struct trouble *t)
{
	struct process *natively = curl(t, NULL), *p = curl(t, t->s->env);

	assert_clean(natively);
	assert_clean(p);
	assert_string_equal(natively->out_text, "backend-1\n");
	assert_string_equal(p->out_text, natively->out_text);
}

static void assert_spreads(const struct trouble *t)
{
	struct process *p = curl(t, t->s->env);

	assert_clean(p);
	assert_string_not_equal(p->out_text, "backend-1\n");
}

/* The log says it once, however often it happens; status says it both ways. */
static void assert_told(struct trouble *t, const char *text, const char *remedy)
{
	struct process *p;
	const char *trouble;

	agent_wait_trouble(t->a, text);
	agent_wait_log(t->a, text);
	if (agent_logged(t->a, text) != 1)
		fail_msg("the log says \"%s\" %u times:\n%s", text, agent_logged(t->a, text), t->a->process->err_text);
	agent_wait_log(t->a, remedy);
	p = run(NULL, built("fairdial"), "status", "--dir", t->s->dir, NULL);
	assert_int_equal(p->exit_status, 0);
	assert_non_null(strstr(p->out_text, text));
	assert_non_null(strstr(p->out_text, remedy));
	trouble = json_string_value(json_object_get(json_object_get(services_status(t->s), "agent"), "trouble"));
	if (!trouble)
		trouble = json_string_value(json_object_get(services_status(t->s), "trouble"));
	assert_non_null(trouble);
	assert_non_null(strstr(trouble, text));
	assert_non_null(strstr(trouble, remedy));
}

static void assert_recovers(struct trouble *t)
{
	agent_wait(t->a, t->dest, t->web);
	agent_wait_trouble(t->a, "");
	agent_wait_log(t->a, "all is well again");
	agent_wait_vouched(t->a, true);
	assert_null(strstr(run(NULL, built("fairdial"), "status", "--dir", t->s->dir, NULL)->out_text, "trouble"));
	assert_spreads(t);
}

/* ---- rights ---- */

static void agent_without_rights_passes_dials_through_and_names_the_command(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_forbid(t->api, "namespaces/shop/");
	follow(t, NULL, NULL);
	api_wait(t->api, NULL, TRIES, LIMIT_MS);
	assert_told(t, "not allowed to list and watch services and endpointslices in namespace shop (403, viewer)",
		    "kubectl -n shop create role fairdial --verb=list,watch "
		    "--resource=services,endpointslices.discovery.k8s.io && kubectl -n shop create rolebinding fairdial "
		    "--role=fairdial --user='viewer'");
	agent_wait_vouched(t->a, false);
	assert_passes_through(t);
	api_permit(t->api);
	assert_recovers(t);
}

static void service_account_is_named_in_the_command(void **state)
{
	struct trouble *t = prepare();
	struct api_server *api = api_start(&(struct api_options){ .user = "system:serviceaccount:shop:app" });

	(void)state;
	t->api = api;
	api_forbid(api, "services");
	follow(t, NULL, NULL);
	assert_told(t, "not allowed to list", "--role=fairdial --serviceaccount=shop:app");
}

static void user_whom_a_shell_would_take_for_more_is_not_in_the_command(void **state)
{
	struct trouble *t = prepare();
	struct api_server *api = api_start(&(struct api_options){ .user = "x'; rm -rf $HOME; '" });

	(void)state;
	t->api = api;
	api_forbid(api, "services");
	follow(t, NULL, NULL);
	assert_told(t, "not allowed to list", "--role=fairdial --user='WHO'");
	assert_int_equal(agent_logged(t->a, "rm -rf"), 0);
}

static void forbidden_namespace_leaves_the_others_served_and_vouched_for(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_forbid(t->api, "namespaces/vault/");
	follow(t, NULL, ARGV("--namespace", "vault,shop"));
	agent_wait(t->a, t->dest, t->web);
	api_wait(t->api, "namespaces/vault/", TRIES, LIMIT_MS);
	assert_told(t, "in namespace vault (403", "kubectl -n vault create role fairdial");
	agent_wait_vouched(t->a, true);
	assert_spreads(t);
	api_put_service(t->api, "safe.vault", "127.96.0.9", "http:80");
	api_permit(t->api);
	agent_wait(t->a, "127.96.0.9:80", "");
	assert_recovers(t);
}

static void forbidden_cluster_narrows_to_the_own_namespace(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_forbid(t->api, "/api/v1/services");
	api_forbid(t->api, "/apis/discovery.k8s.io/v1/endpointslices");
	api_put_service(t->api, "far.other", "127.96.0.9", "http:80");
	follow(t, NULL, ARGV("--all-namespaces"));
	agent_wait(t->a, t->dest, t->web);
	agent_wait_log(t->a, "following namespace shop alone");
	assert_int_equal(agent_logged(t->a, "in all namespaces (403"), 1);
	agent_wait_vouched(t->a, true);
	agent_wait_trouble(t->a, "");
	assert_spreads(t);
	assert_string_equal(table_says(t->s->dir, "127.96.0.9:80"), "none");
	assert_non_null(strstr(run(NULL, built("fairdial"), "status", "--dir", t->s->dir, NULL)->out_text, "namespace shop"));
}

static void api_that_is_not_there_is_told(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_script(t->api, &(struct api_script){ .count = API_ALWAYS, .act = API_STATUS, .status = 404 });
	follow(t, NULL, NULL);
	api_wait(t->api, NULL, TRIES, LIMIT_MS);
	assert_told(t, "has no services or no endpointslices of discovery.k8s.io/v1 (404)", "it needs Kubernetes 1.21");
	assert_passes_through(t);
	api_unscript(t->api);
	assert_recovers(t);
}

/* ---- the way there ---- */

static void api_server_that_does_not_listen_is_told(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_stop_listening(t->api);
	follow(t, NULL, NULL);
	assert_told(t, "cannot reach https://", "check that the API server is up");
	agent_wait_vouched(t->a, false);
	assert_passes_through(t);
	api_listen(t->api);
	assert_recovers(t);
}

static void api_server_that_goes_away_leaves_the_table_and_ends_the_heartbeat(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	follow(t, NULL, NULL);
	agent_wait(t->a, t->dest, t->web);
	agent_wait_vouched(t->a, true);
	api_stop_listening(t->api);
	api_cut_all(t->api, API_CUT_RST);
	agent_wait_vouched(t->a, false);
	assert_told(t, "Connection refused", "check that the API server is up");
	assert_string_equal(table_says(t->s->dir, t->dest), t->web);
	assert_spreads(t);
	api_listen(t->api);
	assert_recovers(t);
}

static void wrong_authority_is_told_and_nothing_is_taken_from_there(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	follow(t, &(struct api_kubeconfig){ .namespace = "shop", .other_ca = true, .token = TOKEN }, NULL);
	api_wait_accepted(t->api, TRIES, LIMIT_MS);
	assert_told(t, "cannot trust https://", "check that its certificate is signed by the authority of");
	assert_int_equal(api_counts(t->api).requests, 0); /* and no token was shown to it */
	assert_passes_through(t);
	api_use_other_ca(t->api, true);
	assert_recovers(t);
}

/* ---- tokens ---- */

/* As the kubelet renews a projected volume: a link to another directory, put in place by rename(2). */
static void project(const char *dir, int version, const char *name, const char *text)
{
	struct process *p = run_shell(NULL, "cd %s && mkdir ..%d && printf %%s '%s' > ..%d/%s && ln -s ..%d ..data_tmp && "
				      "mv -T ..data_tmp ..data && ln -sfn ..data/%s %s",
				      dir, version, text, version, name, version, name, name);

	assert_clean(p);
}

static void token_that_is_renewed_is_taken_up(void **state)
{
	struct trouble *t = prepare();
	const char *volume = scratch_dir();

	(void)state;
	project(volume, 1, "token", TOKEN);
	api_require_token(t->api, TOKEN);
	follow(t, &(struct api_kubeconfig){ .namespace = "shop", .token_file = format("%s/token", volume) }, NULL);
	agent_wait(t->a, t->dest, t->web);
	api_require_token(t->api, NEXT);
	api_cut_all(t->api, API_CUT_FIN);
	assert_told(t, "does not accept the token in", "it is read again at each try");
	assert_spreads(t);
	project(volume, 2, "token", NEXT);
	assert_recovers(t);
	assert_int_equal(agent_logged(t->a, TOKEN), 0);
	assert_int_equal(agent_logged(t->a, NEXT), 0);
}

static void expired_token_passes_dials_through(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	api_require_token(t->api, NEXT);
	follow(t, &(struct api_kubeconfig){ .namespace = "shop", .token = TOKEN }, NULL);
	api_wait(t->api, NULL, TRIES, LIMIT_MS);
	assert_told(t, "does not accept the credentials of", "kubectl create token");
	assert_passes_through(t);
	api_require_token(t->api, NULL);
	assert_recovers(t);
}

static void assert_holds_no_part(const char *text, size_t size, const char *secret)
{
	for (size_t i = 0; i + 14 <= strlen(secret); i++)
		if (memmem(text, size, secret + i, 14))
			fail_msg("\"%.14s\" is in:\n%.*s", secret + i, (int)(size < 2000 ? size : 2000), text);
}

/* The long one is cut by the limit of a message. */
static void bearer_token_is_told_to_nobody_even_if_the_server_says_it_back(void **state)
{
	static const int statuses[] = { 401, 403, 400, 500, 503, 404, 200 };
	static const char *const told[] = { "(401)",       "(403",  "answers 400",  "answers 500",
					    "answers 503", "(404)", "no API server" };
	struct trouble *t = prepare();
	char secret[1200], *body;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(secret); i++)
		secret[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[(i * i * 7 + i * 3 + i / 64) % 64];
	secret[sizeof(secret) - 1] = '\0';
	body = format("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"code\":500,\"reason\":\"%s\","
		      "\"message\":\"User \\\"%s\\\" is not Bearer %s\"}",
		      secret, secret, secret);
	follow(t, &(struct api_kubeconfig){ .namespace = "shop", .token = secret }, NULL);
	agent_wait(t->a, t->dest, t->web);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		struct process *p;
		size_t size;
		char *table;

		api_unscript(t->api);
		api_forget(t->api);
		api_script(t->api, &(struct api_script){ .count = API_ALWAYS, .act = API_STATUS,
							 .status = statuses[i], .body = body,
							 .headers = format("X-Echo: %s\r\n", secret) });
		api_cut_all(t->api, API_CUT_FIN);
		api_wait(t->api, NULL, TRIES, LIMIT_MS);
		agent_wait_trouble(t->a, told[i]);
		p = run(NULL, built("fairdial"), "status", "--json", "--dir", t->s->dir, NULL);
		table = read_file(t->s->table, &size);
		assert_holds_no_part(p->out_text, p->out_length, secret);
		assert_holds_no_part(table, size, secret);
	}
	api_unscript(t->api);
	assert_recovers(t);
	api_error(t->api, "watch=1", 500, "InternalError", format("no %s", secret));
	agent_wait_log(t->a, "answers 500");
	agent_end(t->a, SIGTERM);
	assert_holds_no_part(t->a->process->err_text, t->a->process->err_length, secret);
}

/* ---- where it does not look ---- */

static void service_of_another_namespace_passes_through_and_status_says_what_is_followed(void **state)
{
	struct trouble *t = prepare();
	struct process *p;

	(void)state;
	api_put_service(t->api, "far.other", backends_address(t->b, 0), format("http:%d", backends_port(t->b, 0)));
	api_delete(t->api, KUBE_SERVICE, "web");
	api_put_service(t->api, "near", "127.96.0.9", "http:80");
	follow(t, NULL, NULL);
	agent_wait(t->a, "127.96.0.9:80", "");
	assert_passes_through(t);
	p = run(NULL, built("fairdial"), "status", "--dir", t->s->dir, "far.other", NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "no service 'far.other'"));
	assert_non_null(strstr(p->err_text, "namespace shop"));
}

/* Endpoints still come, but of the Services nobody knows: no event may pass for a sign that all is true. */
static void changes_of_one_collection_do_not_vouch_for_another(void **state)
{
	struct trouble *t = prepare();

	(void)state;
	follow(t, NULL, NULL);
	agent_wait(t->a, t->dest, t->web);
	agent_wait_vouched(t->a, true);
	api_forbid(t->api, "/services");
	api_cut(t->api, "/services", API_CUT_RST);
	agent_wait_vouched(t->a, false);
	api_put_slice(t->api, "more", "web", "http:9", "10.0.0.9");
	agent_wait(t->a, t->dest, format("%s %s", "10.0.0.9:9", t->web));
	agent_wait_vouched(t->a, false);
	api_delete(t->api, KUBE_SLICE, "more");
	api_permit(t->api);
	assert_recovers(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(agent_without_rights_passes_dials_through_and_names_the_command),
		TEST(service_account_is_named_in_the_command),
		TEST(user_whom_a_shell_would_take_for_more_is_not_in_the_command),
		TEST(forbidden_namespace_leaves_the_others_served_and_vouched_for),
		TEST(forbidden_cluster_narrows_to_the_own_namespace),
		TEST(api_that_is_not_there_is_told),
		TEST(api_server_that_does_not_listen_is_told),
		TEST(api_server_that_goes_away_leaves_the_table_and_ends_the_heartbeat),
		TEST(wrong_authority_is_told_and_nothing_is_taken_from_there),
		TEST(token_that_is_renewed_is_taken_up),
		TEST(expired_token_passes_dials_through),
		TEST(bearer_token_is_told_to_nobody_even_if_the_server_says_it_back),
		TEST(service_of_another_namespace_passes_through_and_status_says_what_is_followed),
		TEST(changes_of_one_collection_do_not_vouch_for_another),
	};

	return RUN_TESTS(tests);
}
