/* SPDX-License-Identifier: Apache-2.0 */
/* A services file, alone or beside the API: what it overrides, how it is read again, and what a bad one does. */
#include "support/testing.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

/* Whole at once: nobody reads half of it. */
static void replace_text(const char *path, const char *text)
{
	const char *next = format("%s.next", path);

	write_text(next, text);
	assert_int_equal(rename(next, path), 0);
}

/* A services file of one Service at 10.96.0.7:80, with one endpoint. */
static char *file_of(int endpoint)
{
	return format("{ \"services\": [ { \"name\": \"db\", \"namespace\": \"shop\", \"addresses\": [\"10.96.0.7\"],\n"
		      "  \"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"10.0.0.%d:8080\" ] } ] }\n", endpoint);
}

static char *says_of(int endpoint)
{
	return format("10.0.0.%d:8080", endpoint);
}

static void wait_for(struct agent_run *a, int endpoint)
{
	agent_wait(a, "10.96.0.7:80", says_of(endpoint));
}

static struct agent_run *follow_file(struct services *s, const char *file)
{
	return agent_start_alone(s->dir, ARGV("--services", file));
}

/* "round_robin, file": what status says of one key of a Service. */
static char *policy_of(struct services *s, const char *name, const char *key)
{
	json_t *service, *value;
	size_t i;

	json_array_foreach(json_object_get(services_status(s), "services"), i, service)
	{
		if (strcmp(json_string_value(json_object_get(service, "name")), name))
			continue;
		value = json_object_get(json_object_get(service, "policy"), key);
		assert_true(json_is_object(value));
		return format("%s, %s", json_string_value(json_object_get(value, "value")),
			      json_string_value(json_object_get(value, "origin")));
	}
	fail_msg("status has no Service %s", name);
	return NULL;
}

static const char *text_status(struct services *s)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);

	assert_clean(p);
	return p->out_text;
}

/* ---- beside the API ---- */

static void put_annotated(struct api_server *api, const char *name, const char *address, const char *annotations)
{
	api_put_json(api, KUBE_SERVICE,
		     format("{'metadata':{'name':'%s','annotations':{%s}},'spec':{'type':'ClusterIP','clusterIP':'%s',"
			    "'clusterIPs':['%s'],'ports':[{'name':'http','port':80,'protocol':'TCP'}]}}",
			    name, annotations, address, address));
}

static void service_of_the_file_wins_whole_over_that_of_the_api(void **state)
{
	struct services *s = services_open();
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	put_annotated(api, "db", "10.96.0.1", "'fairdial.dev/balance':'random'");
	api_put_slice(api, "db-1", "db", "http:9090", "10.0.0.9");
	api_put_service(api, "web", "10.96.0.2", "http:80");
	api_put_slice(api, "web-1", "web", "http:9090", "10.0.0.8");
	write_text(s->file, file_of(1));
	a = agent_start(api, s->dir, ARGV("--services", s->file));
	agent_wait(a, "10.96.0.2:80", "10.0.0.8:9090");
	wait_for(a, 1);
	assert_string_equal(table_says(s->dir, "10.96.0.1:80"), "none");
	assert_string_equal(policy_of(s, "db", "balance"), "random, annotation"); /* the file's entry does not say */
	write_text(s->file, "{ \"services\": [] }\n");
	agent_wait(a, "10.96.0.1:80", "10.0.0.9:9090");
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), "none");
	assert_string_equal(policy_of(s, "db", "balance"), "random, annotation");
}

static void policy_is_of_the_file_then_annotations_then_its_defaults(void **state)
{
	struct services *s = services_open();
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	put_annotated(api, "web", "10.96.0.2", "'fairdial.dev/balance':'random','fairdial.dev/attempts':'5'");
	api_put_slice(api, "web-1", "web", "http:9090", "10.0.0.8");
	write_text(s->file, "{ \"defaults\": { \"balance\": \"hash\", \"connect_timeout\": \"2s\" },\n"
			    "  \"services\": [ { \"name\": \"db\", \"namespace\": \"shop\", \"addresses\": [\"10.96.0.7\"],\n"
			    "  \"balance\": \"round_robin\", \"ports\": [ { \"port\": 80 } ],\n"
			    "  \"endpoints\": [ \"10.0.0.1:8080\" ] } ] }\n");
	a = agent_start(api, s->dir, ARGV("--services", s->file));
	agent_wait(a, "10.96.0.2:80", "10.0.0.8:9090");
	wait_for(a, 1);
	assert_string_equal(policy_of(s, "web", "balance"), "random, annotation");
	assert_string_equal(policy_of(s, "web", "attempts"), "5, annotation");
	assert_string_equal(policy_of(s, "web", "connect_timeout"), "2s, file");
	assert_string_equal(policy_of(s, "web", "quiet"), "10s, default");
	assert_string_equal(policy_of(s, "db", "balance"), "round_robin, file");
	assert_string_equal(policy_of(s, "db", "connect_timeout"), "2s, file");
	assert_string_equal(policy_of(s, "db", "attempts"), "3, default");
}

static void moves_come_from_annotations_only_where_the_file_accepts_them(void **state)
{
	struct services *s = services_open();
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	put_annotated(api, "web", "10.96.0.2",
		      "'fairdial.dev/drain':'deadline:30s','fairdial.dev/rebalance':'60s','fairdial.dev/max_age':'1h',"
		      "'fairdial.dev/quiet':'3s'");
	api_put_slice(api, "web-1", "web", "http:9090", "10.0.0.8");
	write_text(s->file, file_of(1));
	a = agent_start(api, s->dir, ARGV("--services", s->file));
	agent_wait(a, "10.96.0.2:80", "10.0.0.8:9090");
	wait_for(a, 1);
	assert_string_equal(policy_of(s, "web", "drain"), "leave, annotation not accepted");
	assert_string_equal(policy_of(s, "web", "rebalance"), "off, annotation not accepted");
	assert_string_equal(policy_of(s, "web", "max_age"), "off, annotation not accepted");
	assert_string_equal(policy_of(s, "web", "quiet"), "3s, annotation");
	assert_non_null(strstr(text_status(s), "  annotation fairdial.dev/drain is not accepted: it closes connections, which the "
					       "services file has to allow by \"accept_moves\": true\n"));
	write_text(s->file, format("{ \"accept_moves\": true, %s", file_of(2) + 1));
	wait_for(a, 2);
	assert_string_equal(policy_of(s, "web", "drain"), "deadline:30s, annotation");
	assert_string_equal(policy_of(s, "web", "rebalance"), "1m, annotation");
	assert_string_equal(policy_of(s, "web", "max_age"), "1h, annotation");
}

static void variable_of_the_program_goes_before_annotation_and_file(void **state)
{
	struct services *s = services_open();
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(5, ONE_PORT);
	const char *const dialer[] = { built("helpers/dialer"), "--count", "50", SERVICE_ADDRESS, "80", NULL };
	char *endpoints = format("%s", ""), *says = endpoints;
	struct process *p;
	struct agent_run *a;
	unsigned counts[5], used = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		endpoints = format("%s%s%s", endpoints, i ? " " : "", backends_address(b, i));
		says = format("%s%s%s:%d", says, i ? " " : "", backends_address(b, i), backends_port(b, i));
	}
	put_annotated(api, "web", SERVICE_ADDRESS, "'fairdial.dev/balance':'round_robin'");
	api_put_slice(api, "web-1", "web", format("http:%d", backends_port(b, 0)), endpoints);
	write_text(s->file, format("{ \"defaults\": { \"balance\": \"random\" }, %s", file_of(1) + 1));
	a = agent_start(api, s->dir, ARGV("--services", s->file));
	wait_for(a, 1);
	agent_wait(a, SERVICE_ADDRESS ":80", says);
	p = process_start(&(struct start){ .argv = dialer, .env = s->env });
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_even_answers(p->out_text, 5, 50, 0);
	p = process_start(&(struct start){ .argv = dialer, .env = with_env(s->env, "FAIRDIAL_BALANCE=hash", NULL) });
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_int_equal(tally(p->out_text, counts, 5), 0);
	for (size_t i = 0; i < 5; i++)
		used += counts[i] > 0;
	assert_int_equal(used, 1);
}

/* ---- alone ---- */

static void file_alone_is_vouched_for(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_file(s, s->file);
	wait_for(a, 1);
	agent_wait_vouched(a, true);
	agent_wait_trouble(a, "");
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
	agent_wait_vouched(a, false);
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), says_of(1));
}

static void file_is_read_again_when_it_is_renamed_into_place_or_written_to(void **state)
{
	struct services *s = services_open();
	const char *next = format("%s/next", s->root);
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_file(s, s->file);
	wait_for(a, 1);
	for (int i = 2; i < 4; i++) {
		write_text(next, file_of(i));
		assert_int_equal(rename(next, s->file), 0);
		wait_for(a, i);
	}
	for (int i = 4; i < 6; i++) {
		write_text(s->file, file_of(i));
		wait_for(a, i);
	}
	agent_wait_trouble(a, "");
}

/* As the kubelet renews a ConfigMap: services.json is a link through ..data, and only ..data changes. */
static void file_of_a_config_map_is_read_again_when_its_link_moves(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	for (int i = 1; i < 4; i++) {
		assert_clean(run_shell(NULL, "cd %s && mkdir ..%d", s->root, i));
		write_text(format("%s/..%d/map.json", s->root, i), file_of(i));
		assert_clean(run_shell(NULL, "cd %s && ln -s ..%d ..data_tmp && mv -T ..data_tmp ..data && "
				       "ln -sfn ..data/map.json map.json",
				       s->root, i));
		if (i == 1)
			a = follow_file(s, format("%s/map.json", s->root));
		wait_for(a, i);
	}
}

static void sighup_reads_the_file_again(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_file(s, s->file);
	wait_for(a, 1);
	assert_int_equal(agent_logged(a, "was read again"), 0);
	process_signal(a->process, SIGHUP);
	agent_wait_log(a, format("%s was read again", s->file));
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), says_of(1));
}

static void bad_file_is_told_once_and_the_last_good_one_stays(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_file(s, s->file);
	wait_for(a, 1);
	for (int i = 0; i < 3; i++) { /* another bad file of the same mistake */
		replace_text(s->file, format("{ \"services\": [],\n%*s\"no_such_key\": 1 }\n", i, ""));
		process_signal(a->process, SIGHUP);
		agent_wait_trouble(a, "no_such_key");
		agent_wait_vouched(a, true);
	}
	agent_wait_log(a, "the last good one stays");
	assert_int_equal(agent_logged(a, "the last good one stays"), 1);
	assert_int_equal(agent_logged(a, format("%s:2: ", s->file)), 1);
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), says_of(1));
	assert_non_null(strstr(text_status(s), "no_such_key"));
	write_text(s->file, file_of(2));
	wait_for(a, 2);
	agent_wait_trouble(a, "");
	agent_wait_log(a, "all is well again");
}

static void deleted_file_is_told_and_what_it_said_stays(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_file(s, s->file);
	wait_for(a, 1);
	assert_int_equal(unlink(s->file), 0);
	agent_wait_trouble(a, s->file);
	agent_wait_log(a, "the last good one stays");
	process_signal(a->process, SIGHUP);
	agent_wait_vouched(a, true);
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), says_of(1));
	write_text(s->file, file_of(2));
	wait_for(a, 2);
	agent_wait_trouble(a, "");
	assert_int_equal(agent_logged(a, "the last good one stays"), 1);
}

static void bad_file_at_the_start_ends_the_agent_with_one_line(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, "{ \"services\": [],\n\"no_such_key\": 1 }\n");
	a = follow_file(s, s->file);
	process_wait(a->process, LIMIT_MS);
	assert_error(a->process, 1);
	assert_non_null(strstr(a->process->err_text, format("%s:2: ", s->file)));
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), "no table");
}

/* ---- one that may be missing ---- */

static struct agent_run *follow_optional(struct services *s, struct api_server *api, const char *file)
{
	return agent_start(api, s->dir, ARGV("--services", format("-%s", file)));
}

static struct api_server *api_of_web(void)
{
	struct api_server *api = api_start(NULL);

	api_put_service(api, "web", "10.96.0.2", "http:80");
	api_put_slice(api, "web-1", "web", "http:9090", "10.0.0.8");
	return api;
}

static void file_that_may_be_missing_comes_and_goes_with_what_it_says(void **state)
{
	struct services *s = services_open();
	struct agent_run *a = follow_optional(s, api_of_web(), s->file);

	(void)state;
	agent_wait(a, "10.96.0.2:80", "10.0.0.8:9090");
	agent_wait_trouble(a, "");
	for (int i = 1; i < 3; i++) {
		write_text(s->file, format("{ \"defaults\": { \"mode\": \"observe\" }, %s", file_of(i) + 1));
		wait_for(a, i);
		assert_string_equal(policy_of(s, "web", "mode"), "observe, file");
		assert_int_equal(unlink(s->file), 0);
		agent_wait(a, "10.96.0.7:80", "none");
		assert_string_equal(policy_of(s, "web", "mode"), "on, default");
		agent_wait_trouble(a, "");
		agent_wait_vouched(a, true);
	}
	assert_int_equal(agent_logged(a, "is gone, and what it said with it"), 2);
	process_signal(a->process, SIGHUP);
	agent_wait_vouched(a, true);
	assert_string_equal(table_says(s->dir, "10.96.0.2:80"), "10.0.0.8:9090");
}

/* Without its lists the first table says nothing of what there is: nor does the log. */
static void log_tells_a_table_of_whole_lists_from_one_of_a_beginning(void **state)
{
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:9090", "10.0.0.9");
	api_script(api, &(struct api_script){ .count = API_ALWAYS, .hold = true });
	a = agent_start(api, NULL, NULL);
	agent_wait_log(a, "published 0 services, for a beginning: the API has not told all of its lists yet\n");
	api_unscript(api);
	api_release(api);
	agent_wait_log(a, "published 1 service\n");
	agent_wait(a, "10.96.0.1:80", "10.0.0.9:9090");
	agent_end(a, SIGTERM);
	a = follow_file(services_open(), "-/nowhere/services.json");
	agent_wait_log(a, "published 0 services, as the services file is missing: it counts once it is there\n");
}

static void log_tells_each_annotation_that_makes_no_sense(void **state)
{
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	put_annotated(api, "web", "10.96.0.1",
		      "'fairdial.dev/mode':'of','fairdial.dev/quiet':'long','fairdial.dev/moed':'off'");
	a = agent_start(api, NULL, NULL);
	agent_wait_log(a, "service shop/web: annotation fairdial.dev/mode is not understood, so the Service is off: "
			  "expected on, observe or off\n");
	agent_wait_log(a, "service shop/web: annotation fairdial.dev/quiet is passed over: expected a duration");
	agent_wait_log(a, "service shop/web: annotation fairdial.dev/moed is passed over: no such key\n");
}

static void file_alone_that_may_be_missing_makes_an_empty_table_while_it_is(void **state)
{
	struct services *s = services_open();
	struct agent_run *a = follow_file(s, format("-%s", s->file));

	(void)state;
	agent_wait_vouched(a, true);
	assert_non_null(strstr(text_status(s), format("file %s (missing)\n", s->file)));
	write_text(s->file, file_of(1));
	wait_for(a, 1);
	assert_non_null(strstr(text_status(s), format("file %s\n", s->file)));
}

/* As the kubelet does with one that is deleted: ..data leads to a folder of nothing, and services.json is gone. */
static void file_of_a_config_map_that_is_deleted_is_gone(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	assert_clean(run_shell(NULL, "cd %s && mkdir ..1 ..2 && ln -s ..1 ..data && ln -s ..data/map.json map.json", s->root));
	write_text(format("%s/..1/map.json", s->root), file_of(1));
	a = follow_optional(s, api_of_web(), format("%s/map.json", s->root));
	wait_for(a, 1);
	assert_clean(run_shell(NULL, "cd %s && ln -s ..2 ..data_tmp && mv -T ..data_tmp ..data", s->root));
	agent_wait(a, "10.96.0.7:80", "none");
	agent_wait_trouble(a, "");
	assert_clean(run_shell(NULL, "cd %s && rm map.json && mkdir ..3 && ln -s ..3 ..data_tmp && mv -T ..data_tmp ..data",
			       s->root));
	write_text(format("%s/..3/map.json", s->root), file_of(3));
	assert_clean(run_shell(NULL, "cd %s && ln -s ..data/map.json map.json", s->root));
	wait_for(a, 3);
}

static void bad_one_that_may_be_missing_is_told_and_the_last_good_one_stays(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = follow_optional(s, api_of_web(), s->file);
	wait_for(a, 1);
	write_text(s->file, "{");
	agent_wait_trouble(a, "the last good one stays");
	assert_string_equal(table_says(s->dir, "10.96.0.7:80"), says_of(1));
	assert_int_equal(unlink(s->file), 0);
	agent_wait(a, "10.96.0.7:80", "none");
	agent_wait_trouble(a, "");
}

/* What waits for this sidecar is a whole pod. */
static void bad_one_that_may_be_missing_does_not_keep_the_agent_from_beginning(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, "{ \"services\": [],\n\"no_such_key\": 1 }\n");
	a = follow_optional(s, api_of_web(), s->file);
	agent_wait(a, "10.96.0.2:80", "10.0.0.8:9090");
	agent_wait_trouble(a, "going on without");
	agent_wait_vouched(a, true);
	assert_int_equal(agent_logged(a, format("%s:2: ", s->file)), 1);
	write_text(s->file, file_of(1));
	wait_for(a, 1);
	agent_wait_trouble(a, "");
	agent_wait_log(a, "all is well again");
}

/* ---- FAIRDIAL_SERVICES ---- */

static void variable_gives_services_inline(void **state)
{
	struct services *s = services_open();
	struct agent_run *a = agent_start_as(&(struct agent_setup){
		.dir = s->dir, .env = ARGV("FAIRDIAL_SERVICES=web:80=10.0.0.1:8080,10.0.0.2:8080; db.shop:3306=10.0.0.3:3306") });

	(void)state;
	agent_wait_vouched(a, true);
	assert_true(services_endpoint(s, "web", "10.0.0.1", 8080).ready);
	assert_true(services_endpoint(s, "web", "10.0.0.2", 8080).ready);
	assert_true(services_endpoint(s, "db", "10.0.0.3", 3306).ready);
	assert_non_null(strstr(text_status(s), "source     FAIRDIAL_SERVICES"));
}

static void variable_gives_the_path_of_a_file_that_is_followed(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = agent_start_as(&(struct agent_setup){ .dir = s->dir, .env = ARGV(format("FAIRDIAL_SERVICES=%s", s->file)) });
	wait_for(a, 1);
	write_text(s->file, file_of(2));
	wait_for(a, 2);
	assert_non_null(strstr(text_status(s), format("file %s", s->file)));
}

static void argument_goes_before_the_variable(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	write_text(s->file, file_of(1));
	a = agent_start_as(&(struct agent_setup){ .dir = s->dir, .more = ARGV("--services", s->file),
						  .env = ARGV("FAIRDIAL_SERVICES=db.shop:80=10.0.0.9:8080") });
	wait_for(a, 1);
	assert_int_equal(json_array_size(json_object_get(services_status(s), "services")), 1);
}

/* They choose among what the API has. */
static void choice_of_services_without_an_api_is_told_to_do_nothing(void **state)
{
	static const char *const choices[][3] = { { "--service", "web" }, { "--namespace", "shop" }, { "--all-namespaces" } };
	struct services *s = services_open();

	(void)state;
	write_file(s->file, "{}", 2);
	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		struct agent_run *a =
			agent_start_alone(scratch_dir(), ARGV("--services", s->file, choices[i][0], choices[i][1]));

		agent_wait_log(a, format("warning: %s chooses among what the API has", choices[i][0]));
		agent_end(a, SIGTERM);
	}
}

/* Programs that start look for it by its name, and the list may not change for hours. */
static void table_that_is_removed_under_the_agent_is_made_anew(void **state)
{
	struct services *s = services_open();

	(void)state;
	for (int is_empty = 0; is_empty < 2; is_empty++) {
		const char *dir = scratch_dir(), *says = is_empty ? "none" : says_of(1);
		struct agent_run *a;

		write_text(s->file, is_empty ? "{}" : file_of(1));
		a = agent_start_alone(dir, ARGV("--services", s->file));
		agent_wait(a, "10.96.0.7:80", says);
		assert_int_equal(unlink(format("%s/table", dir)), 0);
		agent_wait_log(a, format("%s/table was removed: it is made anew\n", dir));
		agent_wait(a, "10.96.0.7:80", says);
		agent_end(a, SIGTERM);
		assert_int_equal(agent_logged(a, "made anew"), 1);
	}
}

static void directory_that_is_removed_under_the_agent_is_told(void **state)
{
	struct services *s = services_open();
	const char *parent = scratch_dir(), *dir = format("%s/of-the-agent", parent);
	struct agent_run *a;

	(void)state;
	write_text(s->file, "{}");
	a = agent_start_alone(dir, ARGV("--services", s->file));
	agent_wait(a, "10.96.0.7:80", "none");
	assert_int_equal(rename(dir, format("%s/elsewhere", parent)), 0);
	agent_wait_log(a, format("%s was removed, or has another directory in its place", dir));
	assert_int_equal(rename(format("%s/elsewhere", parent), dir), 0);
	agent_wait_log(a, "all is well again");
}

/* As where the directory is emptied, and that makes a shim start a second one: two would take the table's name from each other. */
static void agent_whose_lock_another_has_by_now_says_so_and_goes_on_when_it_ends(void **state)
{
	struct services *s = services_open();
	const char *dir = scratch_dir();
	struct agent_run *first, *second;
	siginfo_t stopped;

	(void)state;
	write_text(s->file, file_of(1));
	first = agent_start_alone(dir, ARGV("--services", s->file));
	wait_for(first, 1);
	process_signal(first->process, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)first->process->pid, &stopped, WSTOPPED | WNOWAIT), 0);
	assert_int_equal(unlink(format("%s/table", dir)), 0);
	assert_int_equal(unlink(format("%s/lock", dir)), 0);
	second = agent_start_alone(dir, ARGV("--services", s->file));
	wait_for(second, 1);
	process_signal(first->process, SIGCONT);
	agent_wait_log(first, format("the lock was removed: another fairdial publishes into %s", dir));
	agent_end(second, SIGTERM);
	agent_wait_log(first, format("%s/table was removed: it is made anew\n", dir));
	agent_wait_log(first, "all is well again");
	assert_int_equal(agent_logged(second, "made anew"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table_that_is_removed_under_the_agent_is_made_anew),
		TEST(directory_that_is_removed_under_the_agent_is_told),
		TEST(agent_whose_lock_another_has_by_now_says_so_and_goes_on_when_it_ends),
		TEST(choice_of_services_without_an_api_is_told_to_do_nothing),
		TEST(service_of_the_file_wins_whole_over_that_of_the_api),
		TEST(policy_is_of_the_file_then_annotations_then_its_defaults),
		TEST(moves_come_from_annotations_only_where_the_file_accepts_them),
		TEST(variable_of_the_program_goes_before_annotation_and_file),
		TEST(file_alone_is_vouched_for),
		TEST(file_is_read_again_when_it_is_renamed_into_place_or_written_to),
		TEST(file_of_a_config_map_is_read_again_when_its_link_moves),
		TEST(sighup_reads_the_file_again),
		TEST(bad_file_is_told_once_and_the_last_good_one_stays),
		TEST(deleted_file_is_told_and_what_it_said_stays),
		TEST(bad_file_at_the_start_ends_the_agent_with_one_line),
		TEST(file_that_may_be_missing_comes_and_goes_with_what_it_says),
		TEST(log_tells_a_table_of_whole_lists_from_one_of_a_beginning),
		TEST(log_tells_each_annotation_that_makes_no_sense),
		TEST(file_alone_that_may_be_missing_makes_an_empty_table_while_it_is),
		TEST(file_of_a_config_map_that_is_deleted_is_gone),
		TEST(bad_one_that_may_be_missing_is_told_and_the_last_good_one_stays),
		TEST(bad_one_that_may_be_missing_does_not_keep_the_agent_from_beginning),
		TEST(variable_gives_services_inline),
		TEST(variable_gives_the_path_of_a_file_that_is_followed),
		TEST(argument_goes_before_the_variable),
	};

	return RUN_TESTS(tests);
}
