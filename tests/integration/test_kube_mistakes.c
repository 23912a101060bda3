/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a popular consumer of EndpointSlices gets wrong, point by point: a comment above each test has the words of the mistake.
 * (8), that pauses begin anew at their longest, is in tests/unit/test_backoff.c; what Retry-After does is in test_kube_retries.c.
 */
#include "support/testing.h"

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/kube_asks.h"
#include "support/process.h"

/* "10.0.COUNT.0 ..." in a row: as an endpoint list, and as what the table says of them in order. */
static char *row_of(int third, int count, const char *port)
{
	char *text = format("%s", "");

	for (int i = 0; i < count; i++)
		text = format("%s%s10.0.%d.%d%s", text, i ? " " : "", third, 10 + i, port);
	return text;
}

/* (1) handle(slice) replaces the whole list by that one slice: >100 endpoints */
static void a_hundred_endpoints_of_two_slices_are_all_there(void **state)
{
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", row_of(1, 100, ""));
	api_put_slice(api, "web-2", "web", "http:8080", row_of(2, 30, ""));
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, format("%s %s", row_of(1, 100, ":8080"), row_of(2, 30, ":8080")));
	api_put_slice(api, "web-2", "web", "http:8080", row_of(2, 31, ""));
	agent_wait(a, WEB_PORT, format("%s %s", row_of(1, 100, ":8080"), row_of(2, 31, ":8080")));
	api_delete(api, KUBE_SLICE, "web-2");
	agent_wait(a, WEB_PORT, row_of(1, 100, ":8080"));
}

/* (1) ... or dual stack */
static void both_families_of_a_service_are_there(void **state)
{
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", "10.96.0.1 fd00::1", "http:80");
	api_put_slice(api, "web-4", "web", "http:8080", "10.0.0.1");
	api_put_slice(api, "web-6", "web", "http:8080", "fd01::1");
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 [fd01::1]:8080");
	agent_wait(a, "[fd00::1]:80", "10.0.0.1:8080 [fd01::1]:8080");
	api_put_slice(api, "web-6", "web", "http:8080", "fd01::2");
	agent_wait(a, "[fd00::1]:80", "10.0.0.1:8080 [fd01::2]:8080");
}

/* (2) DELETED goes through the same path */
static void a_deleted_slice_takes_its_own_endpoints_away(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_delete(api, KUBE_SLICE, "web-2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
}

/* (2) ERROR goes through the same path: a Status parses as an empty slice */
static void a_status_is_no_slice(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *status =
		"{'type':'%s','object':{'kind':'Status','apiVersion':'v1','metadata':{'name':'web-1','namespace':'shop'},"
		"'status':'Failure','code':500}}\n";

	(void)state;
	api_say(api, SLICES, quoted(format(status, "MODIFIED")));
	agent_wait_log(a, "kind Status");
	api_say(api, SLICES, quoted(format(status, "ADDED")));
	api_say(api, SLICES, quoted(format(status, "DELETED")));
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2"); /* the one behind them */
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_forget(api);
	api_say(api, SLICES, quoted(format(status, "ERROR")));
	wait_ask(api, SLICES, ASK_WATCH, 1);
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080 10.0.0.2:8080");
}

/* (2) ... and ports[0] panics */
static void a_slice_without_ports_or_endpoints_does_no_harm(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *slice = "{'metadata':{'name':'%s','namespace':'shop','labels':{'kubernetes.io/service-name':'web'}},"
			    "'addressType':'IPv4','endpoints':%s,'ports':%s}";

	(void)state;
	api_put_json(api, KUBE_SLICE, format(slice, "web-2", "null", "null"));
	api_put_json(api, KUBE_SLICE, format(slice, "web-3", "[{'addresses':['10.0.0.3']}]", "[]"));
	api_put_json(api, KUBE_SLICE,
		     format(slice, "web-4", "[{'addresses':[]},{'addresses':null},{}]", "[{'name':'http','port':8080}]"));
	api_put_slice(api, "web-5", "web", "http:8080", "10.0.0.5"); /* the one behind them */
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.5:8080");
}

/* (3) Ready == nil treated as not ready */
static void an_endpoint_that_says_nothing_is_ready(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_json(api, KUBE_SLICE,
		     "{'metadata':{'name':'web-1','namespace':'shop','labels':{'kubernetes.io/service-name':'web'}},"
		     "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':null}},"
		     "{'addresses':['10.0.0.2']},{'addresses':['10.0.0.3'],'conditions':{'ready':false}}],"
		     "'ports':[{'name':'http','port':8080}]}");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080!");
}

/* (4) a numeric port is used as the pod port, Services are never read */
static void the_pods_port_is_found_by_the_services_port_name(void **state)
{
	struct api_server *api = api_start(NULL);
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80 metrics:9100");
	api_put_slice(api, "web-1", "web", "metrics:80 http:8080", "10.0.0.1");
	api_put_slice(api, "web-2", "web", "http:8081", "10.0.0.2"); /* its pods lack the other port */
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8081");
	agent_wait(a, "10.96.0.1:9100", "10.0.0.1:80");
	assert_string_equal(table_says(a->dir, "10.96.0.1:8080"), "none");
	api_put_service(api, "web", "10.96.0.1", "http:81 metrics:9100");
	agent_wait(a, "10.96.0.1:81", "10.0.0.1:8080 10.0.0.2:8081");
	agent_wait(a, WEB_PORT, "none");
}

/* (5) all addresses[] used */
static void the_first_address_of_an_endpoint_counts(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_json(api, KUBE_SLICE,
		     "{'metadata':{'name':'web-1','namespace':'shop','labels':{'kubernetes.io/service-name':'web'}},"
		     "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.7','10.0.0.8','10.0.0.9']}],"
		     "'ports':[{'name':'http','port':8080}]}");
	agent_wait(a, WEB_PORT, "10.0.0.7:8080");
}

/* (6) no resourceVersion, no bookmarks: a BOOKMARK would end the stream */
static void a_bookmark_is_asked_for_and_does_not_end_the_watch(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const struct api_request *request;

	(void)state;
	api_forget(api);
	api_bookmark(api, NULL);
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	assert_int_equal(api_request_count(api, NULL), 0);
	end_slices(api);
	request = wait_ask(api, SLICES, ASK_WATCH, 1);
	assert_asked(request, "allowWatchBookmarks", "true");
	assert_asked(request, "resourceVersion", api_version(api));
	assert_int_equal(agent_logged(a, "passed over"), 0);
}

/* (7) list failure leaves old state (good) */
static void a_list_that_fails_leaves_what_was(void **state)
{
	struct api_server *api = api_of_web(&(struct api_options){ .initial = API_INITIAL_REJECTED });
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_script(api,
		   &(struct api_script){ .path = "endpointslices?resourceVersion", .count = 3, .act = API_STATUS, .status = 500 });
	api_script(api, &(struct api_script){ .path = "endpointslices?resourceVersion", .hold = true });
	api_error(api, SLICES, 410, "Expired", "too old resource version");
	api_wait_held(api, 1, ASK_LIMIT_MS);
	agent_wait_trouble(a, "500");
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
	api_release(api);
	agent_wait_trouble(a, "");
}

/* (7) an empty list is ignored for ever (stale) */
static void an_empty_list_empties_the_table(void **state)
{
	static const enum api_initial kinds[] = { API_INITIAL_SENT, API_INITIAL_REJECTED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct api_server *api = api_of_web(&(struct api_options){ .initial = kinds[i] });
		struct agent_run *a = agent_of_web(api, NULL);

		api_pause(api, NULL, true);
		api_delete(api, KUBE_SLICE, "web-1");
		api_compact(api);
		api_cut(api, SLICES, API_CUT_FIN);
		agent_wait(a, WEB_PORT, "");
		api_delete(api, KUBE_SERVICE, "web");
		api_compact(api);
		api_cut(api, SERVICES, API_CUT_FIN);
		agent_wait(a, WEB_PORT, "none");
	}
}

/* (9) deprecated /watch/ path prefix */
static void no_request_has_the_old_watch_path(void **state)
{
	struct api_server *api = api_of_web(NULL);

	(void)state;
	agent_of_web(api, NULL);
	end_slices(api);
	wait_ask(api, SLICES, ASK_WATCH, 1);
	for (size_t i = 0; i < api_request_count(api, NULL); i++)
		assert_null(strstr(api_request(api, NULL, i)->path, "/watch"));
}

/* (10) one watch per target per process */
static void two_watches_serve_any_number_of_services(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	for (int i = 0; i < 50; i++) {
		api_put_service(api, format("s%d", i), format("10.96.1.%d", i), "http:80");
		api_put_slice(api, format("s%d-1", i), format("s%d", i), "http:8080", format("10.0.1.%d", i));
	}
	a = agent_of_web(api, NULL);
	for (int i = 0; i < 50; i++)
		agent_wait(a, format("10.96.1.%d:80", i), format("10.0.1.%d:8080", i));
	assert_int_equal(api_watches(api, NULL), 2);
	assert_int_equal(api_request_count(api, NULL), 2);
	assert_int_equal(api_counts(api).accepted, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hundred_endpoints_of_two_slices_are_all_there),
		TEST(both_families_of_a_service_are_there),
		TEST(a_deleted_slice_takes_its_own_endpoints_away),
		TEST(a_status_is_no_slice),
		TEST(a_slice_without_ports_or_endpoints_does_no_harm),
		TEST(an_endpoint_that_says_nothing_is_ready),
		TEST(the_pods_port_is_found_by_the_services_port_name),
		TEST(the_first_address_of_an_endpoint_counts),
		TEST(a_bookmark_is_asked_for_and_does_not_end_the_watch),
		TEST(a_list_that_fails_leaves_what_was),
		TEST(an_empty_list_empties_the_table),
		TEST(no_request_has_the_old_watch_path),
		TEST(two_watches_serve_any_number_of_services),
	};

	return RUN_TESTS(tests);
}
