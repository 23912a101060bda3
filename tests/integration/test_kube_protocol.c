/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIST and WATCH as the agent speaks them: what it asks for, what it makes of the answers, and what it does where they are
 * refusals. A comment above each test has the heading words of the rule. What is tried again, and when, is in test_kube_retries.c.
 */
#include "support/testing.h"

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/kube_asks.h"
#include "support/process.h"

#define SLICES_WATCH "endpointslices?watch=1&allowWatchBookmarks=true&resourceVersion="
#define SLICES_LIST  "endpointslices?resourceVersion="
#define SLICES_STORE "endpointslices?limit="

static const struct api_options lists_only = { .initial = API_INITIAL_REJECTED };

/* Its watch finds the version too old, and says so. */
static void expire_slices(struct api_server *api)
{
	api_pause(api, SLICES, true);
	api_put_slice(api, "away", "", "http:1", "10.9.9.9");
	api_delete(api, KUBE_SLICE, "away");
	api_compact(api);
	api_forget(api);
	api_cut(api, SLICES, API_CUT_FIN);
}

/* ---- 1 ---- */

/* Initial: WATCH with sendInitialEvents */
static void the_first_request_asks_for_initial_events(void **state)
{
	struct api_server *api = api_of_web(NULL);
	const struct api_request *request;

	(void)state;
	agent_of_web(api, NULL);
	request = wait_ask(api, SLICES, ASK_STREAM, 1);
	assert_asked(request, "watch", "1");
	assert_asked(request, "resourceVersionMatch", "NotOlderThan");
	assert_asked(request, "allowWatchBookmarks", "true");
	assert_asked(request, "resourceVersion", "");
	assert_int_equal(asks(api, SLICES, ASK_LIST) + asks(api, SERVICES, ASK_LIST), 0);
}

/* Initial: apply atomically as a Replace */
static void initial_events_take_away_what_was_deleted_during_an_outage(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	api_pause(api, SLICES, true);
	api_delete(api, KUBE_SLICE, "web-2");
	expire_slices(api);
	wait_ask(api, SLICES, ASK_STREAM, 1);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
}

/* Initial: atomically, not incrementally */
static void initial_events_that_break_off_change_nothing(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *half = "{'type':'ADDED','object':{'kind':'EndpointSlice','metadata':{'name':'web-1','namespace':'shop',"
			   "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':"
			   "[{'addresses':['10.0.0.66']}],'ports':[{'name':'http','port':8080}]}}\n";

	(void)state;
	api_script(api, &(struct api_script){ .path = "sendInitialEvents",
					      .act = API_STATUS,
					      .status = 200,
					      .chunked = true,
					      .body = quoted(half),
					      .cut = API_CUT_FIN,
					      .cut_after = strlen(half) });
	api_script(api, &(struct api_script){ .path = "sendInitialEvents", .hold = true });
	expire_slices(api);
	api_wait_held(api, 1, ASK_LIMIT_MS);
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.3");
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.3:8080");
}

/* Initial: an old server rejects the parameters */
static void a_server_that_rejects_initial_events_is_asked_for_lists_from_then_on(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 1);
	assert_int_equal(asks(api, SLICES, ASK_LIST), 1);
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	expire_slices(api);
	wait_ask(api, SLICES, ASK_LIST, 1);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 0);
}

/* Initial: ... or ignores them (the one test that waits for the agent's five seconds) */
static void a_server_that_ignores_initial_events_is_asked_for_lists(void **state)
{
	struct api_server *api = api_of_web(&(struct api_options){ .initial = API_INITIAL_IGNORED });
	struct agent_run *a = agent_start(api, NULL, NULL);

	(void)state;
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", "0");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	wait_ask(api, SLICES, ASK_WATCH, 1);
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 1);
}

/* ---- 2 ---- */

/* LIST: first "0", then last seen, then "" after an expiry */
static void lists_are_asked_of_the_cache_then_of_the_last_version_then_of_the_store(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const struct api_request *request;
	const char *version;

	(void)state;
	agent_of_web(api, NULL);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", "0");
	api_bookmark(api, SLICES);
	version = api_version(api);
	api_script(api, &(struct api_script){ .path = SLICES_LIST, .act = API_STATUS, .status = 410 });
	expire_slices(api);
	request = wait_ask(api, SLICES, ASK_LIST, 2);
	assert_asked(request, "resourceVersion", NULL);
	assert_asked(request, "limit", "500");
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", version);
}

/* LIST: resourceVersion=0 may be served stale */
static void a_stale_first_list_is_mended_by_its_watch(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a;
	const char *old;

	(void)state;
	api_freeze_cache(api, true);
	old = api_version(api);
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	api_script(api, &(struct api_script){ .path = SLICES_WATCH, .hold = true });
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	api_wait_held(api, 1, ASK_LIMIT_MS);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", old);
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
}

/* ---- 3 ---- */

/* What makes the agent read the store: it answers that the cache's version is too old. */
static void refuse_first_list(struct api_server *api)
{
	api_script(api, &(struct api_script){ .path = SLICES_LIST, .act = API_STATUS, .status = 410 });
}

/* limit/continue: constant version, neither resourceVersion nor match with continue; limit is ignored for version 0 */
static void a_list_of_pages_is_read_to_its_end(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const struct api_request *request;
	struct agent_run *a;
	const char *version;

	(void)state;
	for (int i = 0; i < 1001; i++) /* of no Service */
		api_put_slice(api, format("other-%d", i), "", "http:1", "10.9.9.9");
	api_put_slice(api, "z", "web", "http:8080", "10.0.0.2");
	version = api_version(api);
	refuse_first_list(api);
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "limit", NULL);
	request = wait_ask(api, SLICES, ASK_LIST, 2);
	assert_asked(request, "limit", "500");
	assert_asked(request, "continue", NULL);
	for (size_t page = 3; page <= 4; page++) {
		request = wait_ask(api, SLICES, ASK_LIST, page);
		assert_non_null(strstr(request->query, "continue="));
		assert_asked(request, "limit", "500");
		assert_asked(request, "resourceVersion", NULL);
		assert_asked(request, "resourceVersionMatch", NULL);
	}
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", version);
	assert_int_equal(asks(api, SLICES, ASK_LIST), 4);
}

/* A list of nothing, or with one slice of `web`; `next`: "" ends it. */
static void script_page(struct api_server *api, const char *path, const char *address, const char *next)
{
	const char *item = !address ? ""
				    : format("{'metadata':{'name':'page-%s','namespace':'shop','labels':{"
					     "'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':[{"
					     "'addresses':['%s']}],'ports':[{'name':'http','port':8080}]}",
					     next, address);
	const char *list = format("{'kind':'EndpointSliceList','apiVersion':'discovery.k8s.io/v1','metadata':{"
				  "'resourceVersion':'100000','continue':'%s'},'items':[%s]}",
				  next, item);

	api_script(api, &(struct api_script){ .path = path, .act = API_STATUS, .status = 200, .body = quoted(list) });
}

/* limit/continue: only an empty continue ends the list; a page may be empty */
static void an_empty_page_does_not_end_a_list(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a;

	(void)state;
	refuse_first_list(api);
	script_page(api, "endpointslices?limit=500&continue=one", NULL, "two");
	script_page(api, "endpointslices?limit=500&continue=two", "10.0.0.5", "");
	script_page(api, SLICES_STORE, "10.0.0.4", "one");
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.4:8080 10.0.0.5:8080");
	assert_int_equal(asks(api, SLICES, ASK_LIST), 4);
}

/* limit/continue: the token expires, HTTP 410: restart the list whole (without limit, as client-go) */
static void an_expired_continue_token_begins_the_list_anew_in_one_piece(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const struct api_request *request;
	struct agent_run *a;

	(void)state;
	refuse_first_list(api);
	api_script(api, &(struct api_script){ .path = "continue=one", .act = API_STATUS, .status = 410, .hold = true });
	script_page(api, SLICES_STORE, "10.0.0.66", "one");
	a = agent_start(api, NULL, NULL);
	api_wait_held(api, 1, ASK_LIMIT_MS);
	agent_wait(a, WEB_PORT, "unsynced: "); /* half a list is none */
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	request = wait_ask(api, SLICES, ASK_LIST, 4);
	assert_asked(request, "continue", NULL);
	assert_asked(request, "limit", NULL);
	assert_asked(request, "resourceVersion", NULL);
}

/* ---- 4 ---- */

/* resourceVersion is opaque: store the last one seen; a bookmark, a change, a deletion */
static void versions_are_handed_back_as_they_came(void **state)
{
	struct api_server *api = api_of_web(&(struct api_options){ .version_prefix = "v/+ " });
	struct agent_run *a = agent_of_web(api, NULL);
	const char *version;

	(void)state;
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 1);
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	version = api_version(api);
	api_forget(api);
	api_cut(api, SLICES, API_CUT_FIN);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", version);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	api_delete(api, KUBE_SLICE, "web-2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	version = api_version(api);
	api_cut(api, SLICES, API_CUT_FIN);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 2), "resourceVersion", version);
	assert_not_listed(api);
}

/* resourceVersion: never compare */
static void a_version_that_looks_older_is_taken_all_the_same(void **state)
{
	static const char event[] =
		"{'type':'MODIFIED','object':{'kind':'EndpointSlice','metadata':{'name':'web-1','namespace':'shop',"
		"'uid':'u','resourceVersion':'%s','labels':{'kubernetes.io/service-name':'web'}},"
		"'addressType':'IPv4','endpoints':[{'addresses':['%s']}],'ports':[{'name':'http','port':8080}]}}\n";
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_forget(api);
	api_say(api, SLICES, quoted(format(event, "900000000000000000000", "10.0.0.7")));
	agent_wait(a, WEB_PORT, "10.0.0.7:8080");
	api_say(api, SLICES, quoted(format(event, "2", "10.0.0.8")));
	agent_wait(a, WEB_PORT, "10.0.0.8:8080");
	api_cut(api, SLICES, API_CUT_FIN);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", "2");
}

/* resourceVersion: never from a single object inside the list, nor from synthetic ADDEDs */
static void a_watch_begins_at_the_lists_version_not_at_an_items(void **state)
{
	static const struct api_options kinds[] = { { .initial = API_INITIAL_SENT }, { .initial = API_INITIAL_REJECTED } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct api_server *api = api_of_web(&kinds[i]);
		const char *version;

		for (int j = 0; j < 5; j++) /* newer than every slice */
			api_put_service(api, "other", "10.96.0.9", "http:80");
		version = api_version(api);
		agent_of_web(api, NULL);
		api_cut(api, SLICES, API_CUT_FIN);
		assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", version);
	}
}

/* ---- 5 ---- */

/* Event types: unknown: log and skip */
static void an_unknown_type_of_event_is_passed_over(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_forget(api);
	api_say(api, SLICES, quoted("{'type':'SURPRISE','object':{'metadata':{'resourceVersion':'1'}}}\n"));
	agent_wait_log(a, "SURPRISE");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	assert_int_equal(api_request_count(api, SLICES), 0); /* on the same watch */
}

/* Event types: with a label selector, an object that stops matching comes as DELETED */
static void a_slice_that_leaves_the_selection_is_gone(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;
	const struct api_request *request;

	(void)state;
	api_put_service(api, "other", "10.96.0.9", "http:80");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	a = agent_start(api, NULL, ARGV("--service", "web"));
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	assert_string_equal(table_says(a->dir, "10.96.0.9:80"), "none");
	request = wait_ask(api, SLICES, ASK_STREAM, 1);
	assert_asked(request, "labelSelector", "kubernetes.io/service-name in (web)");
	assert_asked(wait_ask(api, SERVICES, ASK_STREAM, 1), "fieldSelector", "metadata.name=web");
	api_put_slice(api, "web-2", "other", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
}

/* ---- 6 ---- */

/* BOOKMARK: only metadata.resourceVersion is set. That it may never come is what the tests without one show. */
static void a_bookmark_moves_the_version_and_nothing_else(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *before = api_version(api), *version;

	(void)state;
	api_put_service(api, "other", "10.96.0.9", "http:80");
	version = api_version(api);
	assert_string_not_equal(before, version);
	api_forget(api);
	api_bookmark(api, SLICES);
	api_cut(api, SLICES, API_CUT_FIN);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", version);
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
	assert_not_listed(api);
}

/* ---- 7 ---- */

/* It does not fit a request line: whoever kept it could ask for nothing any more, however good the server is again. */
static void a_version_too_long_to_be_handed_back_is_not_kept(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_say(api, SLICES, quoted(format("{'type':'BOOKMARK','object':{'kind':'EndpointSlice','apiVersion':'discovery.k8s.io/v1',"
					   "'metadata':{'resourceVersion':'%017000d'}}}\n", 7)));
	agent_wait_log(a, "a version longer than any of Kubernetes");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
}

/* 410 comes in two shapes; keep serving the old data until the new list is complete; relist first with its last version */
static void an_expired_version_is_listed_again_while_the_old_list_serves(void **state)
{
	static const enum api_gone shapes[] = { API_GONE_EVENT, API_GONE_STATUS };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct api_server *api = api_of_web(&lists_only);
		struct agent_run *a = agent_of_web(api, NULL);
		const char *version = api_version(api);

		api_set_gone(api, shapes[i]);
		api_script(api, &(struct api_script){ .path = SLICES_LIST, .hold = true });
		api_pause(api, SLICES, true);
		api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
		expire_slices(api);
		api_wait_held(api, 1, ASK_LIMIT_MS);
		assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", version);
		assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
		api_release(api);
		agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	}
}

/* 410: reasons "Expired" and (<=1.17) "Gone" are the same */
static void an_expiry_is_one_by_either_name(void **state)
{
	static const char *const reasons[] = { "Expired", "Gone" };
	struct api_server *api = api_of_web(&lists_only);

	(void)state;
	agent_of_web(api, NULL);
	for (size_t i = 0; i < 2; i++) {
		api_forget(api);
		api_error(api, SLICES, 410, reasons[i], "too old resource version");
		wait_ask(api, SLICES, ASK_LIST, 1);
		api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	}
	api_forget(api);
	api_say(api, SLICES, quoted("{'type':'ERROR','object':{'kind':'Status','reason':'Gone'}}\n"));
	wait_ask(api, SLICES, ASK_LIST, 1);
}

/* ---- 8 ---- */

static void list_after_504(const char *body)
{
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a = agent_of_web(api, NULL);
	const char *version = api_version(api);

	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	version = api_version(api);
	api_script(api, &(struct api_script){ .path = SLICES_LIST, .act = API_STATUS, .status = 504, .body = quoted(body) });
	expire_slices(api);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 2), "resourceVersion", NULL);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", version);
}

/* Too large resource version: cause ResourceVersionTooLarge; older servers only say it in the message */
static void a_version_that_the_server_has_not_reached_is_dropped(void **state)
{
	(void)state;
	list_after_504("{'kind':'Status','status':'Failure','reason':'Timeout','message':'wait','code':504,'details':{"
		       "'causes':[{'reason':'ResourceVersionTooLarge','message':'x'}],'retryAfterSeconds':1}}");
	list_after_504("{'kind':'Status','status':'Failure','reason':'Timeout','code':504,"
		       "'message':'Timeout: Too large resource version: 9, current: 5'}");
}

/* Too large resource version: of initial events, as recorded */
static void initial_events_of_a_version_too_large_are_asked_of_the_store(void **state)
{
	struct api_server *api = api_of_web(NULL);

	(void)state;
	agent_of_web(api, NULL);
	api_script(api,
		   &(struct api_script){ .path = "sendInitialEvents", .act = API_REPLAY, .body = "list-too-large-version.http" });
	expire_slices(api);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 1), "resourceVersion", NULL);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
}

/* Too large resource version: any other 504 is none */
static void a_timeout_for_another_reason_keeps_the_version(void **state)
{
	struct api_server *api = api_of_web(&lists_only);
	const char *version;

	(void)state;
	agent_of_web(api, NULL);
	version = api_version(api);
	api_script(api, &(struct api_script){ .path = SLICES_LIST, .act = API_STATUS, .status = 504 });
	expire_slices(api);
	assert_asked(wait_ask(api, SLICES, ASK_LIST, 2), "resourceVersion", version);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_request_asks_for_initial_events),
		TEST(initial_events_take_away_what_was_deleted_during_an_outage),
		TEST(initial_events_that_break_off_change_nothing),
		TEST(a_server_that_rejects_initial_events_is_asked_for_lists_from_then_on),
		TEST(a_server_that_ignores_initial_events_is_asked_for_lists),
		TEST(lists_are_asked_of_the_cache_then_of_the_last_version_then_of_the_store),
		TEST(a_stale_first_list_is_mended_by_its_watch),
		TEST(a_list_of_pages_is_read_to_its_end),
		TEST(an_empty_page_does_not_end_a_list),
		TEST(an_expired_continue_token_begins_the_list_anew_in_one_piece),
		TEST(versions_are_handed_back_as_they_came),
		TEST(a_version_that_looks_older_is_taken_all_the_same),
		TEST(a_watch_begins_at_the_lists_version_not_at_an_items),
		TEST(an_unknown_type_of_event_is_passed_over),
		TEST(a_slice_that_leaves_the_selection_is_gone),
		TEST(a_bookmark_moves_the_version_and_nothing_else),
		TEST(a_version_too_long_to_be_handed_back_is_not_kept),
		TEST(an_expired_version_is_listed_again_while_the_old_list_serves),
		TEST(an_expiry_is_one_by_either_name),
		TEST(a_version_that_the_server_has_not_reached_is_dropped),
		TEST(initial_events_of_a_version_too_large_are_asked_of_the_store),
		TEST(a_timeout_for_another_reason_keeps_the_version),
	};

	return RUN_TESTS(tests);
}
