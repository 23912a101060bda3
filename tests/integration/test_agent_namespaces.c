/* SPDX-License-Identifier: Apache-2.0 */
/* One agent a node: a table for each namespace from one watch, and programs that each look into that of their own. */
#include "support/testing.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { LIMIT_MS = 60000 };

#define PER_NAMESPACE "--all-namespaces", "--per-namespace"

/* The agent, as the pods of one namespace see it. */
static struct agent_run *in(const struct agent_run *a, const char *name)
{
	struct agent_run *one = calloc(1, sizeof(*one));

	assert_non_null(one);
	after_test(free, one);
	*one = *a;
	one->dir = format("%s/%s", a->dir, name);
	return one;
}

static uint64_t generation_in(const struct agent_run *a, const char *name)
{
	return generation_of(map_table(format("%s/%s", a->dir, name)));
}

/* `web` and its slice in each of two namespaces. */
static struct api_server *api_of_two(void)
{
	struct api_server *api = api_start(NULL);

	api_put_service(api, "web.shop", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1.shop", "web", "http:8080", "10.0.0.1");
	api_put_service(api, "web.till", "10.96.0.2", "http:80");
	api_put_slice(api, "web-1.till", "web", "http:8080", "10.0.0.2");
	return api;
}

static void each_namespace_has_a_table_that_follows_its_services(void **state)
{
	struct api_server *api = api_of_two();
	struct agent_run *a = agent_start(api, NULL, ARGV(PER_NAMESPACE)), *shop = in(a, "shop"), *till = in(a, "till");
	uint64_t before;

	(void)state;
	agent_wait(shop, "10.96.0.1:80", "10.0.0.1:8080");
	agent_wait(till, "10.96.0.2:80", "10.0.0.2:8080");
	assert_string_equal(table_says(shop->dir, "10.96.0.2:80"), "none");
	assert_int_equal(api_watches(api, NULL), 2); /* whatever the number of tables */
	agent_wait_vouched(shop, true);
	agent_wait_vouched(till, true);

	before = generation_in(a, "till");
	api_put_slice(api, "web-1.shop", "web", "http:8080", "10.0.0.1 10.0.0.3");
	agent_wait(shop, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.3:8080");
	api_put_service(api, "db.shop", "10.96.0.3", "sql:3306");
	api_put_slice(api, "db-1.shop", "db", "sql:3306", "10.0.0.4");
	agent_wait(shop, "10.96.0.3:3306", "10.0.0.4:3306");
	assert_int_equal(generation_in(a, "till"), before);

	api_put_service(api, "new.fresh", "10.96.0.4", "http:80");
	agent_wait(in(a, "fresh"), "10.96.0.4:80", "");
	api_put_slice(api, "new-1.fresh", "new", "http:8080", "10.0.0.5");
	agent_wait(in(a, "fresh"), "10.96.0.4:80", "10.0.0.5:8080");

	api_delete(api, KUBE_SERVICE, "web.till");
	agent_wait(till, "10.96.0.2:80", "none");
	agent_wait_vouched(till, true);
	assert_int_equal(access(format("%s/ledger", a->dir), F_OK), -1);
	assert_int_equal(access(format("%s/ledger", shop->dir), F_OK), -1);
}

static void several_named_namespaces_have_tables_too(void **state)
{
	struct api_server *api = api_of_two();
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web.other", "10.96.0.3", "http:80");
	a = agent_start(api, NULL, ARGV("--namespace", "shop,till", "--per-namespace"));
	agent_wait(in(a, "shop"), "10.96.0.1:80", "10.0.0.1:8080");
	agent_wait(in(a, "till"), "10.96.0.2:80", "10.0.0.2:8080");
	assert_int_equal(files_in(a->dir), 2);
}

static void file_is_for_all_tables(void **state)
{
	struct services *s = services_open();
	struct api_server *api = api_of_two();
	const char *text = "{ \"defaults\": { \"balance\": \"random\" }, \"services\": [\n"
			   "  { \"name\": \"dns\", \"addresses\": [\"10.96.0.9\"], \"ports\": [ { \"port\": 53 } ],\n"
			   "    \"endpoints\": [ \"10.0.0.9:53\" ] },\n"
			   "  { \"name\": \"db\", \"namespace\": \"aside\", \"addresses\": [\"10.96.0.8\"],\n"
			   "    \"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"10.0.0.8:80\" ] } ] }\n";
	struct agent_run *a;

	(void)state;
	a = agent_start(api, s->dir, ARGV(PER_NAMESPACE, "--services", format("-%s", s->file)));
	agent_wait(in(a, "shop"), "10.96.0.1:80", "10.0.0.1:8080");
	write_file(s->file, text, strlen(text));
	agent_wait(in(a, "shop"), "10.96.0.9:53", "10.0.0.9:53");
	agent_wait(in(a, "till"), "10.96.0.9:53", "10.0.0.9:53");
	agent_wait(in(a, "aside"), "10.96.0.9:53", "10.0.0.9:53");
	agent_wait(in(a, "aside"), "10.96.0.8:80", "10.0.0.8:80");
	assert_string_equal(table_says(in(a, "shop")->dir, "10.96.0.8:80"), "none");
	assert_int_equal(unlink(s->file), 0);
	agent_wait(in(a, "till"), "10.96.0.9:53", "none");
	agent_wait(in(a, "aside"), "10.96.0.8:80", "none");
	agent_wait_vouched(in(a, "aside"), true);
}

/* Each of its processes has the table of its namespace, which it cannot write, and a ledger of its own pod elsewhere. */
static void program_is_spread_by_the_table_of_its_namespace(void **state)
{
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(4, ONE_PORT);
	const char *pod = scratch_dir(), *places = format("%s %s", backends_address(b, 2), backends_address(b, 3));
	const char *port = format("%d", backends_port(b, 0));
	struct agent_run *a;
	struct process *p;
	unsigned counts[4];

	(void)state;
	api_put_service(api, "web.shop", backends_address(b, 0), format("http:%s", port));
	api_put_slice(api, "web-1.shop", "web", format("http:%s", port), places);
	api_put_service(api, "api.till", backends_address(b, 1), format("http:%s", port));
	api_put_slice(api, "api-1.till", "api", format("http:%s", port), places);
	a = agent_start(api, NULL, ARGV(PER_NAMESPACE));
	agent_wait(in(a, "shop"), format("%s:%s", backends_address(b, 0), port),
		   format("%s:%s %s:%s", backends_address(b, 2), port, backends_address(b, 3), port));
	agent_wait_vouched(in(a, "till"), true);
	for (size_t i = 0; i < 2; i++) {
		p = run(with_env(a->env, format("FAIRDIAL_DIR=%s/shop", a->dir), format("FAIRDIAL_LEDGER=%s/ledger", pod),
				 NULL),
			built("helpers/dialer"), "--count", "10", backends_address(b, i), port, NULL);
		assert_clean(p);
		assert_int_equal(tally(p->out_text, counts, 4), 0);
		assert_int_equal(counts[i], i == 0 ? 0 : 10); /* api is of another namespace: kube-proxy's */
		assert_int_equal(counts[2], i == 0 ? 5 : 0);
		assert_int_equal(counts[3], i == 0 ? 5 : 0);
	}
}

static void one_directory_that_cannot_be_written_leaves_the_others_alone(void **state)
{
	struct api_server *api = api_of_two();
	const char *dir = scratch_dir();
	struct agent_run *a;

	(void)state;
	write_file(format("%s/till", dir), "", 0);
	a = agent_start(api, dir, ARGV(PER_NAMESPACE));
	agent_wait(in(a, "shop"), "10.96.0.1:80", "10.0.0.1:8080");
	agent_wait_log(a, "namespace till: cannot open the directory");
	agent_wait_vouched(in(a, "shop"), true);
	agent_wait_trouble(in(a, "shop"), "");
	assert_int_equal(unlink(format("%s/till", dir)), 0);
	agent_wait(in(a, "till"), "10.96.0.2:80", "10.0.0.2:8080"); /* by itself */
	agent_wait_log(a, "namespace till is well again");
	agent_wait_vouched(in(a, "till"), true);
	assert_int_equal(agent_logged(a, "namespace till: "), 1);
}

static void trouble_of_the_api_is_told_in_each_table(void **state)
{
	struct api_server *api = api_of_two();
	struct agent_run *a = agent_start(api, NULL, ARGV(PER_NAMESPACE));

	(void)state;
	agent_wait(in(a, "till"), "10.96.0.2:80", "10.0.0.2:8080");
	api_stop_listening(api);
	api_cut_all(api, API_CUT_FIN);
	agent_wait_trouble(in(a, "shop"), "cannot reach");
	agent_wait_trouble(in(a, "till"), "cannot reach");
	agent_wait_vouched(in(a, "till"), false);
	assert_string_equal(table_says(in(a, "till")->dir, "10.96.0.2:80"), "10.0.0.2:8080");
	api_listen(api);
	agent_wait_trouble(in(a, "shop"), "");
	agent_wait_trouble(in(a, "till"), "");
	agent_wait_vouched(in(a, "till"), true);
}

static void second_agent_waits_and_takes_all_tables_over(void **state)
{
	struct api_server *api = api_of_two();
	struct agent_run *a = agent_start(api, NULL, ARGV(PER_NAMESPACE)), *b;
	struct table *shop, *till;

	(void)state;
	agent_wait(in(a, "shop"), "10.96.0.1:80", "10.0.0.1:8080");
	agent_wait(in(a, "till"), "10.96.0.2:80", "10.0.0.2:8080");
	shop = map_table(in(a, "shop")->dir);
	till = map_table(in(a, "till")->dir);
	b = agent_start(api, a->dir, ARGV(PER_NAMESPACE));
	agent_wait_log(b, "waiting for it to end");
	api_script(api, &(struct api_script){ .path = "services", .count = API_ALWAYS, .hold = true });
	kill(a->process->pid, SIGKILL);
	process_wait(a->process, LIMIT_MS);
	api_wait_held(api, 1, LIMIT_MS);
	assert_string_equal(table_says(in(b, "till")->dir, "10.96.0.2:80"), "10.0.0.2:8080");
	api_delete(api, KUBE_SERVICE, "web.till");
	api_unscript(api);
	api_release(api);
	agent_wait(in(b, "till"), "10.96.0.2:80", "none");
	agent_wait_vouched(in(b, "till"), true);
	agent_wait_vouched(in(b, "shop"), true);
	assert_int_equal(table_head(shop)->retired, 0);
	assert_int_equal(table_head(till)->retired, 0);
}

/* ---- status ---- */

static void status_of_the_parent_says_what_is_there(void **state)
{
	struct api_server *api = api_of_two();
	struct agent_run *a = agent_start(api, NULL, ARGV(PER_NAMESPACE));
	struct process *p;

	(void)state;
	agent_wait(in(a, "shop"), "10.96.0.1:80", "10.0.0.1:8080");
	agent_wait(in(a, "till"), "10.96.0.2:80", "10.0.0.2:8080");
	p = run(NULL, built("fairdial"), "status", "--dir", a->dir, NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text,
			       format("%s holds the tables of 2 namespaces (shop, till): name one with --dir %s/NAMESPACE", a->dir,
				      a->dir)));
	p = run(NULL, built("fairdial"), "status", "--dir", in(a, "till")->dir, NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "web.till"));
	assert_null(strstr(p->out_text, "web.shop"));
	for (int i = 1; i < 6; i++)
		api_put_service(api, format("web.more-%d", i), format("10.96.1.%d", i), "http:80");
	for (int i = 1; i < 6; i++)
		agent_wait(in(a, format("more-%d", i)), format("10.96.1.%d:80", i), "");
	p = run(NULL, built("fairdial"), "status", "--dir", a->dir, NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "7 namespaces (more-1, more-2, more-3, more-4, ...)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_namespace_has_a_table_that_follows_its_services),
		TEST(several_named_namespaces_have_tables_too),
		TEST(file_is_for_all_tables),
		TEST(program_is_spread_by_the_table_of_its_namespace),
		TEST(one_directory_that_cannot_be_written_leaves_the_others_alone),
		TEST(trouble_of_the_api_is_told_in_each_table),
		TEST(second_agent_waits_and_takes_all_tables_over),
		TEST(status_of_the_parent_says_what_is_there),
	};

	return RUN_TESTS(tests);
}
