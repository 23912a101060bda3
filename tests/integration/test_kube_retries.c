/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tries again, what it does not list again for it, and how long its watches last. A comment above each test has the
 * heading words of the rule. The back-off's numbers are in tests/unit/test_backoff.c: here they could only be measured.
 */
#include "support/testing.h"

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/kube_asks.h"
#include "support/process.h"

#define SLICES_WATCH         "endpointslices?watch=1&allowWatchBookmarks=true&resourceVersion="
#define SLICES_LIST          "endpointslices?resourceVersion="
#define NEVER_PAUSES_BRIEFLY "60s" /* a try within the limit of a test was made without a pause */

static const struct api_options lists_only = { .initial = API_INITIAL_REJECTED };

/* ---- 9 ---- */

/* 429: wait >= Retry-After, on a list. Only the lower bound is of the agent; slow machines are later. */
static void a_list_waits_as_long_as_the_server_says(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	long begun = now_ms();

	(void)state;
	api_script(api,
		   &(struct api_script){ .path = SLICES_LIST, .act = API_STATUS, .status = 429, .headers = "Retry-After: 1\r\n" });
	agent_of_web(api, NULL);
	assert_true(now_ms() - begun >= 1000);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 2), "resourceVersion", "0");
	assert_int_equal(asks(api, SLICES, ASK_LIST), 2);
}

/* 429 with Connection: close on shutdown: retry the same version without relisting */
static void a_watch_that_is_put_off_asks_for_the_same_version_again(void **state)
{
	struct api_server *api = api_of_web(NULL);
	long begun;

	(void)state;
	agent_of_web(api, NULL);
	api_script(
		api,
		&(struct api_script){
			.path = SLICES_WATCH, .act = API_STATUS, .status = 429, .close = true, .headers = "Retry-After: 1\r\n" });
	api_forget(api);
	begun = now_ms();
	end_slices(api);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 2), "resourceVersion", api_version(api));
	assert_true(now_ms() - begun >= 1000);
	assert_not_listed(api);
}

/* 429 in a stream: ERROR with code 429 likewise */
static void an_event_that_puts_off_asks_for_the_same_version_again(void **state)
{
	struct api_server *api = api_of_web(NULL);
	long begun = now_ms();

	(void)state;
	agent_of_web(api, NULL);
	api_forget(api);
	api_say(api, SLICES,
		quoted("{'type':'ERROR','object':{'kind':'Status','code':429,'reason':'TooManyRequests',"
		       "'message':'later','details':{'retryAfterSeconds':1}}}\n"));
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", api_version(api));
	assert_true(now_ms() - begun >= 1000);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	assert_not_listed(api);
}

/* The same for ECONNREFUSED */
static void refused_connections_do_not_make_a_new_list(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *version = api_version(api);

	(void)state;
	api_stop_listening(api);
	api_forget(api);
	api_cut_all(api, API_CUT_RST);
	agent_wait_trouble(a, "cannot reach");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
	api_listen(api);
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", version);
	assert_not_listed(api);
	agent_wait_trouble(a, "");
}

/* ERROR 500 InternalError: retry watch */
static void an_internal_error_within_a_watch_is_watched_again(void **state)
{
	struct api_server *api = api_of_web(NULL);

	(void)state;
	agent_of_web(api, NULL);
	api_forget(api);
	api_error(api, SLICES, 500, "InternalError", "etcdserver: no leader");
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", api_version(api));
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	assert_not_listed(api);
}

/* ERROR 500: up to 1 min (75 of the first pauses), then relist */
static void internal_errors_that_do_not_end_make_a_new_list(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_script(api, &(struct api_script){ .path = SLICES_WATCH, .count = API_ALWAYS, .act = API_STATUS, .status = 500 });
	api_forget(api);
	end_slices(api);
	wait_ask(api, SLICES, ASK_LIST, 1);
	assert_true(asks(api, SLICES, ASK_WATCH) >= 2);
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
}

/*
 * A server whose lists are always too old to watch from. Twelve lists have pauses of 1, 2, 4 ... ms and more between them, unless
 * so much time passes anyway that they count as unrelated: 150 ms. A slow machine only takes longer.
 */
static void lists_that_chase_each_other_pause(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const char *expired = quoted("{'type':'ERROR','object':{'kind':'Status','code':410,'reason':'Expired'}}\n");
	long begun;

	(void)state;
	agent_of_web(api, NULL);
	api_script(api, &(struct api_script){ .path = SLICES_WATCH,
					      .count = API_ALWAYS,
					      .act = API_STATUS,
					      .status = 200,
					      .chunked = true,
					      .body = expired });
	api_forget(api);
	begun = now_ms();
	api_error(api, SLICES, 410, "Expired", "too old resource version");
	wait_ask(api, SLICES, ASK_LIST, 12);
	assert_true(now_ms() - begun >= 150);
}

/* ---- 10 ---- */

static long seconds_asked(const struct api_request *request)
{
	const char *at = strstr(request->query, "timeoutSeconds=");

	assert_non_null(at);
	return strtol(at + strlen("timeoutSeconds="), NULL, 10);
}

/* Timeouts: send timeoutSeconds random in [300,600) */
static void watches_last_five_to_ten_minutes_by_chance(void **state)
{
	enum { WATCHES = 40 };
	struct api_server *api = api_of_web(NULL);
	bool differ = false;
	long first;

	(void)state;
	agent_of_web(api, NULL);
	first = seconds_asked(wait_ask(api, SLICES, ASK_STREAM, 1));
	for (size_t i = 1; i <= WATCHES; i++) {
		long seconds;

		end_slices(api);
		seconds = seconds_asked(wait_ask(api, SLICES, ASK_WATCH, i));
		api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
		assert_in_range(seconds, 300, 599);
		differ |= seconds != first;
	}
	assert_in_range(first, 300, 599);
	assert_true(differ);
}

/* Timeouts: normal end = clean EOF: re-watch at the last version at once */
static void a_watch_that_ends_in_order_goes_on_at_once(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, ARGV("--backoff", NEVER_PAUSES_BRIEFLY));

	(void)state;
	api_forget(api);
	api_put_service(api, "other", "10.96.0.9", "http:80");
	end_slices(api);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", api_version(api));
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	assert_not_listed(api);
}

/* Timeouts: a watch that ends within 1 s with no event counts as failure */
static void a_very_short_watch_counts_as_a_failure(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, ARGV("--backoff", NEVER_PAUSES_BRIEFLY));

	(void)state;
	api_script(api,
		   &(struct api_script){ .path = SLICES_WATCH, .act = API_STATUS, .status = 200, .body = "", .chunked = true });
	end_slices(api);
	agent_wait_trouble(a, "ends each watch at once");
}

/* A watch that was cut while it ran has ended: a balancer on the way does so to idle connections. Nothing is wrong. */
static void a_watch_that_is_cut_while_it_runs_goes_on_at_once(void **state)
{
	static const enum api_cut cuts[] = { API_CUT_TLS, API_CUT_FIN, API_CUT_RST };
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, ARGV("--backoff", NEVER_PAUSES_BRIEFLY));

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		api_bookmark(api, "endpointslices"); /* it has said something: it is no very short watch */
		api_forget(api);
		api_cut(api, "endpointslices", cuts[i]);
		wait_ask(api, SLICES, ASK_WATCH, 1);
		api_wait_watches(api, "endpointslices", 1, 10000);
		assert_not_listed(api);
	}
	assert_int_equal(agent_logged(a, "cannot reach"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_waits_as_long_as_the_server_says),
		TEST(a_watch_that_is_put_off_asks_for_the_same_version_again),
		TEST(an_event_that_puts_off_asks_for_the_same_version_again),
		TEST(refused_connections_do_not_make_a_new_list),
		TEST(an_internal_error_within_a_watch_is_watched_again),
		TEST(internal_errors_that_do_not_end_make_a_new_list),
		TEST(lists_that_chase_each_other_pause),
		TEST(watches_last_five_to_ten_minutes_by_chance),
		TEST(a_watch_that_ends_in_order_goes_on_at_once),
		TEST(a_very_short_watch_counts_as_a_failure),
		TEST(a_watch_that_is_cut_while_it_runs_goes_on_at_once),
	};

	return RUN_TESTS(tests);
}
