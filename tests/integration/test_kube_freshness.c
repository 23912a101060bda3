/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the table says while Services and slices arrive apart, vanish, or break off at any byte; and the conversations that were
 * recorded with a real API server. A comment above each test has the heading words of the rule.
 */
#include "support/testing.h"

#include <jansson.h>
#include <time.h>

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

/* ---- slices of one Service ---- */

/* Slices of one Service are updated in separate events: apply additions at once */
static void an_addition_in_one_slice_is_there_before_the_removal_in_another(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.1 10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "");
	api_put_slice(api, "web-3", "web", "http:8080", "10.0.0.3");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	api_delete(api, KUBE_SLICE, "web-1");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080 10.0.0.3:8080");
}

/* Slices of one Service: an endpoint can vanish from one before it appears in another: brief absence, of it alone */
static void an_endpoint_between_two_slices_is_away_by_itself(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "");
	agent_wait(a, WEB_PORT, "10.0.0.2:8080");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.1 10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
}

/* ---- Services and slices are two watches ---- */

/* Services and slices are two watches: pass through to ClusterIP until both lists are complete */
static void a_service_stands_down_until_its_slices_are_listed(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	api_script(api, &(struct api_script){ .path = "endpointslices", .hold = true });
	a = agent_start(api, NULL, NULL);
	api_wait_held(api, 1, ASK_LIMIT_MS);
	agent_wait(a, WEB_PORT, "unsynced: ");
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
}

/* Services and slices are two watches: ... and of slices alone nothing follows */
static void slices_without_their_service_are_nothing_yet(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a;

	(void)state;
	api_script(api, &(struct api_script){ .path = SERVICES, .hold = true });
	a = agent_start(api, NULL, NULL);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	agent_wait(a, WEB_PORT, "none");
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	api_put_slice(api, "new-1", "new", "http:8080", "10.0.0.9");
	api_put_service(api, "new", "10.96.0.9", "http:80");
	agent_wait(a, "10.96.0.9:80", "10.0.0.9:8080");
}

/* ---- end-to-end delay ---- */

/* `at` as RFC3339Nano. */
static char *nano_text(struct timespec at)
{
	char text[32];
	struct tm tm;

	gmtime_r(&at.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return format("%s.%09ldZ", text, at.tv_nsec);
}

static void put_caused(struct api_server *api, const char *name, const char *cause)
{
	api_put_json(
		api, KUBE_SLICE,
		format("{'metadata':{'name':'%s','namespace':'shop','labels':{'kubernetes.io/service-name':'web'},'annotations':{"
		       "'endpoints.kubernetes.io/last-change-trigger-time':'%s'}},'addressType':'IPv4','endpoints':[{"
		       "'addresses':['10.0.0.2']}],'ports':[{'name':'http','port':8080}]}",
		       name, cause));
}

/* -1: none is told. */
static long delay_told(const struct agent_run *a)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--json", "--dir", a->dir, NULL);
	json_t *status = json_loads(p->out_text, 0, NULL);
	const json_t *delay = json_object_get(json_object_get(status, "agent"), "delay_ms");
	long delay_ms = json_is_integer(delay) ? (long)json_integer_value(delay) : -1;

	if (!json_is_object(json_object_get(status, "agent")))
		fail_msg("no agent in %s%s", p->out_text, p->err_text);
	json_decref(status);
	return delay_ms;
}

/* last-change-trigger-time gives end-to-end propagation delay; ignore before own start, and what is no time */
static void the_delay_of_a_change_is_told(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	long begun = now_ms(), delay_ms;
	struct timespec now;

	(void)state;
	put_caused(api, "web-0", "2020-01-01T00:00:00.5Z");
	put_caused(api, "web-0", "yesterday");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:8080");
	assert_int_equal(delay_told(a), -1);
	clock_gettime(CLOCK_REALTIME, &now);
	put_caused(api, "web-2", nano_text(now));
	do
		delay_ms = delay_told(a);
	while (delay_ms < 0 && now_ms() - begun < 2 * ASK_LIMIT_MS);
	assert_in_range(delay_ms, 0, now_ms() - begun);
}

/* ---- empty after non-empty ---- */

/* Empty result after a non-empty one: fail open to ClusterIP. Here the ClusterIP is a server of its own, "backend-1". */
static void dials_of_a_service_that_became_empty_pass_through(void **state)
{
	struct api_server *api = api_start(NULL);
	struct backends *b = backends_start(2, ONE_PORT);
	const char *dest = format("%s:%d", backends_address(b, 0), backends_port(b, 0));
	const char *port = format("%d", backends_port(b, 0));
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", backends_address(b, 0), format("http:%s", port));
	api_put_slice(api, "web-1", "web", format("http:%s", port), backends_address(b, 1));
	a = agent_start(api, NULL, NULL);
	agent_wait(a, dest, format("%s:%s", backends_address(b, 1), port));
	assert_string_equal(run(a->env, built("helpers/dialer"), backends_address(b, 0), port, NULL)->out_text, "backend-2\n");
	api_put_slice(api, "web-1", "web", format("http:%s", port), "");
	agent_wait(a, dest, "");
	assert_string_equal(run(a->env, built("helpers/dialer"), backends_address(b, 0), port, NULL)->out_text, "backend-1\n");
	api_delete(api, KUBE_SLICE, "web-1");
	api_put_slice(api, "web-2", "web", format("http:%s", port), backends_address(b, 1));
	agent_wait(a, dest, format("%s:%s", backends_address(b, 1), port));
	assert_string_equal(run(a->env, built("helpers/dialer"), backends_address(b, 0), port, NULL)->out_text, "backend-2\n");
}

/* ---- broken off ---- */

enum { SHOPS = 32 };

/* Of the same length for every position, and of another version each: beyond those of the server, which then has nothing to add. */
static const char *event_of(int shop, unsigned position)
{
	return quoted(
		format("{'type':'MODIFIED','object':{'kind':'EndpointSlice','apiVersion':'discovery.k8s.io/v1','metadata':{"
		       "'name':'web-1','namespace':'n%d','resourceVersion':'%u','labels':{'kubernetes.io/service-name':'web'}},"
		       "'addressType':'IPv4','endpoints':[{'addresses':['10.%u.%u.7']}],'ports':[{'name':'http','port':8080}]}}\n",
		       shop, 300000 + position, 100 + position / 100, 100 + position % 100));
}

/* Its watch breaks off behind so many bytes; the next one tells the event whole, and ends in order. */
static void script_cut(struct api_server *api, int shop, unsigned position)
{
	const char *path = format("namespaces/n%d/%s", shop, SLICES_WATCH), *event = event_of(shop, position);
	struct api_script script = { .path = path, .act = API_STATUS, .status = 200, .chunked = true, .body = event };
	struct api_script cut = script;

	cut.cut = (enum api_cut)(API_CUT_TLS + position % 4);
	cut.cut_after = position;
	api_script(api, &cut);
	api_script(api, &script);
}

/* Framing: wherever a connection breaks within an event, the table becomes right. Many namespaces try a byte each at a time. */
static void an_event_may_break_off_at_any_byte(void **state)
{
	struct api_server *api = api_start(NULL);
	const char *names = "n10";
	struct agent_run *a;
	unsigned length = (unsigned)strlen(event_of(10, 0));

	(void)state;
	for (int i = 0; i < SHOPS; i++) {
		api_put_service(api, format("web.n%d", 10 + i), format("10.96.1.%d", i), "http:80");
		api_put_slice(api, format("web-1.n%d", 10 + i), "web", "http:8080", "10.0.0.1");
		names = i ? format("%s,n%d", names, 10 + i) : names;
	}
	a = agent_start(api, NULL, ARGV("--namespace", names));
	api_wait_watches(api, SLICES, SHOPS, 3 * ASK_LIMIT_MS);
	for (unsigned from = 0; from <= length; from += SHOPS) {
		unsigned count = length + 1 - from < SHOPS ? length + 1 - from : SHOPS;

		api_unscript(api);
		for (unsigned i = 0; i < count; i++)
			script_cut(api, 10 + (int)i, from + i);
		api_cut(api, SLICES, API_CUT_FIN);
		for (unsigned i = 0; i < count; i++)
			agent_wait(a, format("10.96.1.%u:80", i),
				   format("10.%u.%u.7:8080", 100 + (from + i) / 100, 100 + (from + i) % 100));
		api_wait_watches(api, SLICES, SHOPS, 3 * ASK_LIMIT_MS);
	}
}

/* The same of a list: half of one is none. */
static void a_list_may_break_off_anywhere(void **state)
{
	static const char list[] =
		"{'kind':'EndpointSliceList','apiVersion':'discovery.k8s.io/v1','metadata':{'resourceVersion':'300000'},"
		"'items':[{'metadata':{'name':'a','namespace':'shop','labels':{'kubernetes.io/service-name':'web'}},"
		"'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.66']}],'ports':[{'name':'http','port':8080}]}]}";
	struct api_server *api = api_of_web(&lists_only);
	struct agent_run *a;
	unsigned tries = 0;

	(void)state;
	for (size_t at = 0; at < strlen(list); at += 40, tries++)
		api_script(api, &(struct api_script){ .path = SLICES_LIST,
						      .act = API_STATUS,
						      .status = 200,
						      .chunked = at / 40 % 2,
						      .body = quoted(list),
						      .cut = (enum api_cut)(API_CUT_TLS + at / 40 % 4),
						      .cut_after = at });
	api_script(api, &(struct api_script){ .path = SLICES_LIST, .hold = true });
	a = agent_start(api, NULL, NULL);
	api_wait_held(api, 1, ASK_LIMIT_MS);
	agent_wait(a, WEB_PORT, "unsynced: ");
	assert_int_equal(asks(api, SLICES, ASK_LIST), tries + 1);
	api_release(api);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
}

/* ---- recorded conversations ---- */

static struct api_server *recorded(const struct api_options *options)
{
	struct api_server *api = api_start(options);

	api_put_recording(api, KUBE_SERVICE, "list-services.json");
	api_put_recording(api, KUBE_SLICE, "list-endpointslices.json");
	return api;
}

static void replay(struct api_server *api, const char *path, const char *name, size_t piece)
{
	api_script(api, &(struct api_script){ .path = path, .act = API_REPLAY, .body = name, .piece = piece });
}

/* The state at the end of the recordings. */
static void wait_recorded(struct agent_run *a)
{
	agent_wait(a, "10.96.140.171:3306", "10.244.0.12:3307 10.244.0.13:3306 10.244.0.14:3306");
	agent_wait(a, "10.96.203.109:8000", "10.244.1.11:8080 10.244.1.12:8080!");
	agent_wait(a, "10.96.203.109:80", "none");
	agent_wait(a, "10.96.203.109:9100", "10.244.1.11:9100 10.244.1.12:9100!");
	agent_wait(a, "10.96.14.90:5432", "10.244.9.1:5433 10.244.9.2:5433 10.244.9.3:5433!");
	agent_wait(a, "10.96.90.247:80", "");
	agent_wait(a, "10.96.53.12:80", "none");
}

/* Real conversations: lists, then both watches, in pieces of several sizes */
static void recorded_watches_lead_to_the_recorded_state(void **state)
{
	static const size_t pieces[] = { 0, 1, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct api_server *api = recorded(&lists_only);

		replay(api, SLICES_WATCH, "watch-endpointslices.http", pieces[i]);
		replay(api, "/services?watch=1&allowWatchBookmarks=true&resourceVersion=", "watch-services.http", pieces[i]);
		wait_recorded(agent_start(api, NULL, NULL));
		assert_asked(wait_ask(api, SLICES, ASK_WATCH, 2), "resourceVersion", "312");
		assert_asked(wait_ask(api, SERVICES, ASK_WATCH, 2), "resourceVersion", "309");
	}
}

/* Real conversations: initial events, which go on as a watch */
static void recorded_initial_events_are_taken(void **state)
{
	struct api_server *api = recorded(NULL);
	struct agent_run *a;

	(void)state;
	replay(api, "/endpointslices?", "watchlist-endpointslices.http", 7);
	a = agent_start(api, NULL, NULL);
	agent_wait(a, "10.96.140.171:3306", "10.244.0.12:3307 10.244.0.13:3306 10.244.0.14:3306");
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 1);
	assert_int_equal(asks(api, SLICES, ASK_LIST), 0);
	assert_asked(wait_ask(api, SLICES, ASK_WATCH, 1), "resourceVersion", "299");
}

/* Real conversations: an expired version */
static void a_recorded_expiry_is_listed_again(void **state)
{
	struct api_server *api = api_of_web(&lists_only);

	(void)state;
	agent_of_web(api, NULL);
	replay(api, SLICES_WATCH, "watch-expired-410.http", 0);
	api_forget(api);
	end_slices(api);
	wait_ask(api, SLICES, ASK_LIST, 1);
	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
}

/* Real conversations: refusals, each told in its own words, and over when the server changes its mind */
static void recorded_refusals_are_told_and_outlived(void **state)
{
	static const struct {
		const char *recording, *told;
	} refusals[] = {
		{ "unauthorized-401.http", "401" },
		{ "forbidden-403.http", "403" },
		{ "list-too-large-version.http", "" },
		{ "bad-continue-400.http", "continue" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct api_server *api = api_of_web(&lists_only);
		struct agent_run *a;

		replay(api, SLICES_LIST, refusals[i].recording, 0);
		api_script(api, &(struct api_script){ .path = "endpointslices?limit=", .hold = true });
		api_script(api, &(struct api_script){ .path = SLICES_LIST, .hold = true });
		a = agent_start(api, NULL, NULL);
		api_wait_held(api, 1, ASK_LIMIT_MS);
		if (refusals[i].told[0])
			agent_wait_trouble(a, refusals[i].told);
		api_release(api);
		agent_wait(a, WEB_PORT, "10.0.0.1:8080");
		agent_wait_trouble(a, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_addition_in_one_slice_is_there_before_the_removal_in_another),
		TEST(an_endpoint_between_two_slices_is_away_by_itself),
		TEST(a_service_stands_down_until_its_slices_are_listed),
		TEST(slices_without_their_service_are_nothing_yet),
		TEST(the_delay_of_a_change_is_told),
		TEST(dials_of_a_service_that_became_empty_pass_through),
		TEST(an_event_may_break_off_at_any_byte),
		TEST(a_list_may_break_off_anywhere),
		TEST(recorded_watches_lead_to_the_recorded_state),
		TEST(recorded_initial_events_are_taken),
		TEST(a_recorded_expiry_is_listed_again),
		TEST(recorded_refusals_are_told_and_outlived),
	};

	return RUN_TESTS(tests);
}
