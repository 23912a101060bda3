/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a program: follows an API server and publishes; beside a mesh; under its own shim; and how it is called. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 20000 };

static struct api_server *api_of_web(void)
{
	struct api_server *api = api_start(NULL);

	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1 10.0.0.2");
	return api;
}

static void changes_of_endpoints_are_published_as_they_come(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = agent_start(api, NULL, NULL);

	(void)state;
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1 10.0.0.2 10.0.0.3");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1,r0 10.0.0.3");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080! 10.0.0.3:8080");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.9");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080! 10.0.0.3:8080 10.0.0.9:8080");
	api_delete(api, KUBE_SLICE, "web-1");
	agent_wait(a, "10.96.0.1:80", "10.0.0.9:8080");
	api_delete(api, KUBE_SERVICE, "web");
	agent_wait(a, "10.96.0.1:80", "none");
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
}

/* ---- a mesh in the pod ---- */

static int listen_on(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static const char *status_of(const struct agent_run *a)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", a->dir, NULL);

	assert_clean(p);
	return p->out_text;
}

static void services_stand_down_while_a_mesh_listens(void **state)
{
	struct api_server *api;
	struct agent_run *a;
	int fd;

	(void)state;
	tun_open();
	api = api_of_web();
	fd = listen_on(15001);
	a = agent_start(api, NULL, NULL);
	agent_wait(a, "10.96.0.1:80", "mesh: 10.0.0.1:8080 10.0.0.2:8080");
	agent_wait_log(a, "Istio listens on port 15001 of this pod and must see the ClusterIP");
	assert_non_null(strstr(status_of(a), "stands down: Istio listens on port 15001 of this pod and must see the ClusterIP"));
	assert_non_null(strstr(run(NULL, built("fairdial"), "status", "--json", "--dir", a->dir, NULL)->out_text,
			       "\"stands_down\": \"Istio listens on port 15001 of this pod and must see the ClusterIP\""));
	close(fd);
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080");
	assert_null(strstr(status_of(a), "stands down"));
	fd = listen_on(4143);
	close_after_test(fd);
	agent_wait(a, "10.96.0.1:80", "mesh: 10.0.0.1:8080 10.0.0.2:8080");
	assert_non_null(strstr(status_of(a), "Linkerd listens on port 4143 of this pod"));
}

static void mesh_is_ignored_where_that_is_asked_for(void **state)
{
	struct agent_run *a;

	(void)state;
	tun_open();
	close_after_test(listen_on(15001));
	a = agent_start(api_of_web(), NULL, ARGV("--ignore-mesh"));
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080");
	agent_wait_vouched(a, true);
	assert_string_equal(table_says(a->dir, "10.96.0.1:80"), "10.0.0.1:8080 10.0.0.2:8080");
	assert_null(strstr(status_of(a), "stands down"));
}

/* ---- under its own shim ---- */

/* The API server's own address is a Service, of whose endpoints none is an API server. */
static void agent_under_the_shim_is_not_spread_itself(void **state)
{
	struct api_server *api = api_of_web();
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	const char *dest = format("127.0.0.1:%d", api_port(api));
	struct agent_run *a;
	struct process *p;

	(void)state;
	api_put_service(api, "trap", "127.0.0.1", format("http:%d", api_port(api)));
	api_put_slice(api, "trap-1", "trap", format("http:%d", backends_port(b, 0)), backends_address(b, 0));
	a = agent_start_as(&(struct agent_setup){ .api = api, .dir = s->dir, .env = s->env });
	agent_wait(a, dest, format("%s:%d", backends_address(b, 0), backends_port(b, 0)));
	p = run(s->env, "curl", "-sS", "--max-time", "20", format("http://%s/", dest), NULL);
	assert_clean(p);
	assert_string_equal(p->out_text, "backend-1\n");
	for (int i = 3; i < 6; i++) {
		api_cut_all(api, API_CUT_FIN);
		api_put_slice(api, "web-1", "web", "http:8080", format("10.0.0.%d", i));
		agent_wait(a, "10.96.0.1:80", format("10.0.0.%d:8080", i));
	}
	assert_int_equal(backends_accepted(b, 0), 1); /* curl */
}

/* ---- how it is called ---- */

static void usage_errors_are_one_line_that_names_the_mistake(void **state)
{
	static const struct {
		const char *arguments[6], *says;
	} wrong[] = {
		{ { "--no-such-option" }, "no-such-option" },
		{ { "--dir" }, "dir" },
		{ { "shop" }, "unexpected argument 'shop'" },
		{ { "--namespace", "," }, "--namespace: name 1 to 64" },
		{ { "--service", "" }, "--service: name 1 to 64" },
		{ { "--namespace", "shop, till" }, "--namespace ' till': expected a name of up to 63 lower-case letters" },
		{ { "--namespace", "shop/../till" }, "--namespace 'shop/../till': expected a name" },
		{ { "--namespace", "web.shop" }, "--namespace 'web.shop': expected a name" },
		{ { "--service", "web,Till" }, "--service 'Till': expected NAME or NAME.NAMESPACE" },
		{ { "--service", "web, db" }, "--service ' db': expected NAME or NAME.NAMESPACE" },
		{ { "--service", "shop/web" }, "--service 'shop/web': expected NAME or NAME.NAMESPACE" },
		{ { "--all-namespaces", "--namespace", "shop" }, "--all-namespaces and --namespace exclude each other" },
		{ { "--address-range", "10.0.0.0" }, "--address-range 10.0.0.0: expected a prefix" },
		{ { "--address-range", "10.0.0.0/33" }, "--address-range 10.0.0.0/33: expected a prefix" },
		{ { "--backoff", "soon" }, "--backoff soon: expected a duration" },
		{ { "--backoff", "0ms" }, "--backoff 0ms: expected a duration" },
		{ { "--backoff", "2m" }, "--backoff 2m: expected a duration" },
		{ { "--mode", "maybe" }, "--mode maybe: expected on, observe or off" },
		{ { "--per-namespace", "--share-ledger" }, "--per-namespace and --share-ledger exclude each other" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const char *argv[8] = { built("fairdial"), "agent" };
		struct process *p;

		memcpy(argv + 2, wrong[i].arguments, sizeof(wrong[i].arguments));
		p = process_start(&(struct start){ .argv = argv });
		process_wait(p, LIMIT_MS);
		assert_error(p, 2);
		if (!strstr(p->err_text, wrong[i].says))
			fail_msg("\"%s\" does not say \"%s\"", p->err_text, wrong[i].says);
	}
}

static void help_names_every_option_and_the_rights_that_it_needs(void **state)
{
	static const char *const words[] = { "--kubeconfig", "--namespace", "--all-namespaces", "--service", "--services", "--dir",
					     "--ignore-mesh", "--address-range", "--mode", "--per-namespace", "-FILE", "SIGHUP",
					     "SIGTERM",
					     "--verb=list,watch --resource=services,endpointslices.discovery.k8s.io",
				      "kubectl create rolebinding fairdial --role=fairdial" };
	struct process *p = run(NULL, built("fairdial"), "agent", "--help", NULL);

	(void)state;
	assert_clean(p);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strstr(p->out_text, words[i]))
			fail_msg("--help does not name %s", words[i]);
}

static void agent_that_cannot_begin_says_why_in_one_line(void **state)
{
	const char *dir = scratch_dir(), *bad = format("%s/kubeconfig", dir);
	const char *const nowhere[] = { "KUBERNETES_SERVICE_HOST", "KUBECONFIG", "FAIRDIAL_SERVICES", format("HOME=%s", dir),
					NULL };
	struct process *p = run(nowhere, built("fairdial"), "agent", "--dir", dir, NULL);

	(void)state;
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "--kubeconfig FILE, or --services FILE"));
	p = run(nowhere, built("fairdial"), "agent", "--dir", dir, "--kubeconfig", format("%s/none", dir), NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, format("%s/none", dir)));
	write_file(bad, "{", 1);
	p = run(nowhere, built("fairdial"), "agent", "--dir", dir, "--kubeconfig", bad, NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, bad));
	p = run(with_env(nowhere, "FAIRDIAL_SERVICES=web:80=10.0.0.1:80", NULL), built("fairdial"), "agent", "--dir", bad, NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, bad));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_of_endpoints_are_published_as_they_come),
		TEST(services_stand_down_while_a_mesh_listens),
		TEST(mesh_is_ignored_where_that_is_asked_for),
		TEST(agent_under_the_shim_is_not_spread_itself),
		TEST(usage_errors_are_one_line_that_names_the_mistake),
		TEST(help_names_every_option_and_the_rights_that_it_needs),
		TEST(agent_that_cannot_begin_says_why_in_one_line),
	};

	return RUN_TESTS(tests);
}
