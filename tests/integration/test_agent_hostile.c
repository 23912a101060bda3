/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an API server may say, or somebody in its place: too much, too deep, of the wrong kind, or byte by byte. The agent
 * lives, its memory is bounded, the last good table stays, and what is well said afterwards is published.
 */
#include "support/testing.h"

#include <signal.h>
#include <sys/wait.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, MEMORY_MAX_KB = 64 << 10, TRIES = 3 };

#define WEB	 "10.96.0.1:80"
#define WEB_SAYS "10.0.0.1:8080 10.0.0.2:8080"

static struct api_server *api_of_web(void)
{
	struct api_server *api = api_start(NULL);

	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1 10.0.0.2");
	return api;
}

static struct agent_run *follow(struct api_server *api)
{
	struct agent_run *a = agent_start(api, NULL, NULL);

	agent_wait(a, WEB, WEB_SAYS);
	api_wait_watches(api, NULL, 2, LIMIT_MS);
	return a;
}

/* The most that it ever had, in KiB. */
static long memory_of(const struct agent_run *a)
{
	struct process *p = run(NULL, "sed", "-n", "s/^VmHWM:[[:space:]]*\\([0-9]*\\) kB/\\1/p",
				format("/proc/%d/status", (int)a->process->pid), NULL);

	assert_clean(p);
	return atol(p->out_text);
}

static void assert_lives(struct agent_run *a)
{
	long memory_kb = memory_of(a); /* there is none of a process that ended */

	if (memory_kb <= 0 || memory_kb >= MEMORY_MAX_KB)
		fail_msg("the agent had %ld KiB; its log:\n%s", memory_kb, a->process->err_text ? a->process->err_text : "");
}

static void assert_recovers(struct api_server *api, struct agent_run *a)
{
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.7");
	agent_wait(a, WEB, "10.0.0.7:8080");
	agent_wait_trouble(a, "");
	agent_wait_vouched(a, true);
	assert_lives(a);
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
}

/* What is said on the watch of slices; then that the watch is begun again, and nothing else has changed. */
static void assert_refuses(const char *bytes)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	api_forget(api);
	api_say(api, "endpointslices", bytes);
	api_wait(api, "endpointslices", 1, LIMIT_MS);
	api_wait_watches(api, NULL, 2, LIMIT_MS);
	assert_string_equal(table_says(a->dir, WEB), WEB_SAYS);
	assert_lives(a);
	assert_recovers(api, a);
}

/* The same of what is well-formed, and no object of these: it is passed over, or refused; nothing of it counts. */
static void assert_stays(const char *bytes)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	api_say(api, "endpointslices", bytes);
	api_put_service(api, "next", "10.96.0.2", "http:80");
	agent_wait(a, "10.96.0.2:80", "");
	assert_string_equal(table_says(a->dir, WEB), WEB_SAYS);
	assert_lives(a);
	assert_recovers(api, a);
}

static char *repeated(const char *head, char c, size_t count, const char *tail)
{
	size_t before = strlen(head), after = strlen(tail);
	char *text = malloc(before + count + after + 1);

	assert_non_null(text);
	after_test(free, text);
	memcpy(text, head, before);
	memset(text + before, c, count);
	memcpy(text + before + count, tail, after + 1);
	return text;
}

#define SLICE_HEAD                                                                                                            \
	"{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{" \
	"\"name\":\"web-1\",\"namespace\":\"shop\",\"resourceVersion\":\"9999\",\"uid\":\"u\",\"labels\":{"                   \
	"\"kubernetes.io/service-name\":\"web\"}},\"addressType\":\"IPv4\","

/* ---- much ---- */

static void object_of_a_megabyte_is_taken(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	(void)state;
	api_put_json(api, KUBE_SLICE,
		     repeated("{'metadata':{'name':'web-2','labels':{'kubernetes.io/service-name':'web'},'annotations':{'a':'", 'x',
			      1 << 20,
			      "'}},'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.3']}],"
			      "'ports':[{'name':'http','port':8080,'protocol':'TCP'}]}"));
	agent_wait(a, WEB, WEB_SAYS " 10.0.0.3:8080");
	api_delete(api, KUBE_SLICE, "web-2");
	agent_wait(a, WEB, WEB_SAYS);
	assert_recovers(api, a);
}

static void slice_of_a_thousand_endpoints_is_taken(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);
	char *endpoints = malloc(1 << 16), *says = malloc(1 << 16), *at = endpoints, *say = says;

	(void)state;
	after_test(free, endpoints);
	after_test(free, says);
	for (int i = 0; i < 1000; i++) {
		at += sprintf(at, "%s10.1.%d.%d", i ? " " : "", i / 250, i % 250);
		say += sprintf(say, "%s10.1.%d.%d:8080", i ? " " : "", i / 250, i % 250);
	}
	api_put_slice(api, "web-1", "web", "http:8080", endpoints);
	agent_wait(a, WEB, says);
	assert_recovers(api, a);
}

/* Behind all that was said on the watch of slices before: what this waits for is published with it, or later. */
static void mark(struct api_server *api, struct agent_run *a, int port)
{
	api_put_slice(api, "mark-1", "mark", format("http:%d", port), "10.0.0.1");
	agent_wait(a, "10.97.0.1:80", format("10.0.0.1:%d", port));
}

static void ten_thousand_slices_of_one_service_are_taken(void **state)
{
	struct api_server *api = api_start(NULL);
	struct services *s = services_open();
	struct agent_run *a;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_service(api, "mark", "10.97.0.1", "http:80");
	for (int i = 0; i < 10000; i++)
		api_put_slice(api, format("web-%05d", i), "web", "http:8080", format("10.2.%d.%d", i / 250, i % 250));
	a = agent_start(api, s->dir, NULL);
	agent_wait_vouched(a, true);
	mark(api, a, 1);
	assert_true(services_endpoint(s, "web", "10.2.0.0", 8080).ready);
	assert_true(services_endpoint(s, "web", "10.2.39.249", 8080).ready);
	api_put_slice(api, "web-05000", "web", "http:9090", "10.2.20.0");
	mark(api, a, 2);
	assert_true(services_endpoint(s, "web", "10.2.20.0", 9090).ready);
	assert_lives(a);
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
}

static void event_of_64_mebibytes_is_refused(void **state)
{
	(void)state;
	assert_refuses(repeated(SLICE_HEAD "\"x\":\"", 'x', (size_t)64 << 20, "\",\"endpoints\":[]}}\n"));
}

static void event_that_never_ends_is_refused(void **state)
{
	(void)state;
	assert_refuses(repeated("{\"type\":\"", ' ', (size_t)64 << 20, ""));
}

static void list_of_64_mebibytes_of_nothing_takes_no_memory(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a;

	(void)state;
	api_set_initial(api, API_INITIAL_REJECTED);
	api_script(api, &(struct api_script){ .path = "?resourceVersion=", .act = API_HUGE, .size = (size_t)64 << 20, .count = 2 });
	a = agent_start(api, NULL, NULL);
	api_wait(api, "?resourceVersion=", 2, LIMIT_MS);
	api_wait_watches(api, NULL, 2, LIMIT_MS);
	api_unscript(api);
	assert_lives(a);
	api_put_service(api, "web", "10.96.0.1", "http:80");
	assert_recovers(api, a);
}

/* ---- odd ---- */

static void event_of_a_hundred_thousand_levels_is_refused(void **state)
{
	(void)state;
	assert_refuses(repeated(SLICE_HEAD "\"x\":", '[', 100000, ""));
	assert_refuses(format("%s%s", repeated(SLICE_HEAD "\"x\":", '[', 100000, ""),
			      repeated("", ']', 100000, ",\"endpoints\":[]}}\n")));
}

static void event_with_a_key_twice_is_refused(void **state)
{
	(void)state;
	assert_refuses(SLICE_HEAD "\"endpoints\":[],\"endpoints\":[{\"addresses\":[\"10.0.0.66\"]}],\"ports\":[]}}\n");
}

static void a_text_with_a_nul_is_none_and_what_stands_beside_it_counts(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	(void)state;
	api_say(api, "endpointslices",
		SLICE_HEAD "\"endpoints\":[{\"addresses\":[\"10.0.0.66\\u0000\"]},{\"addresses\":[\"10.0.0.5\"]}],"
			   "\"ports\":[{\"name\":\"http\",\"port\":8080}]}}\n");
	agent_wait(a, WEB, "10.0.0.5:8080");
	assert_recovers(api, a);
}

static void bytes_that_are_no_json_are_refused(void **state)
{
	(void)state;
	assert_refuses("{\"type\":\"MODIFIED\",\"object\":nothing}\n");
	assert_refuses("<html>not here</html>\n");
	assert_refuses("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":\"\xff\xfe\"}}\n");
}

static void fields_of_the_wrong_type_change_nothing(void **state)
{
	(void)state;
	assert_stays("{\"type\":\"MODIFIED\",\"object\":[]}\n");
	assert_stays("{\"type\":7,\"object\":{}}\n");
	assert_stays("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":[],\"namespace\":{}}}}\n");
	assert_stays("{\"type\":\"DELETED\",\"object\":{\"kind\":\"Status\",\"code\":\"410\"}}\n");
	assert_stays("{\"type\":\"BOOKMARK\",\"object\":7}\n");
	assert_stays("{\"type\":\"ERROR\",\"object\":\"no\"}\n");
	assert_stays("[]\n");
	assert_stays("null\n");
}

/* ---- slow ---- */

static void answers_that_come_byte_by_byte_are_taken(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a;

	(void)state;
	api_set_piece(api, 1);
	api_script(api, &(struct api_script){ .count = API_ALWAYS, .piece = 1 });
	a = agent_start(api, NULL, NULL);
	agent_wait(a, WEB, WEB_SAYS);
	api_set_initial(api, API_INITIAL_REJECTED);
	api_cut_all(api, API_CUT_RST);
	assert_recovers(api, a);
}

/* A watch that stops in the middle of an event holds up no other. */
static void half_an_event_holds_nothing_up(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	(void)state;
	api_say(api, "endpointslices", SLICE_HEAD);
	api_put_service(api, "next", "10.96.0.2", "http:80");
	agent_wait(a, "10.96.0.2:80", "");
	assert_string_equal(table_says(a->dir, WEB), WEB_SAYS);
	api_cut(api, "endpointslices", API_CUT_FIN);
	assert_recovers(api, a);
}

/* ---- over and over ---- */

static void server_that_breaks_off_again_and_again_is_not_flooded_in_the_log(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	(void)state;
	api_forget(api);
	api_script(api, &(struct api_script){ .count = API_ALWAYS, .act = API_GARBAGE, .body = "\x16\x03garbage\r\n\r\n" });
	api_cut_all(api, API_CUT_FIN);
	api_wait(api, NULL, 8 * TRIES, LIMIT_MS);
	agent_wait_trouble(a, "https://");
	assert_true(lines_of(a->process->err_text) <= 6);
	assert_string_equal(table_says(a->dir, WEB), WEB_SAYS);
	api_unscript(api);
	assert_recovers(api, a);
}

/* The API takes any text for an annotation: one of one tenant must not blind all others. */
static void a_nul_in_an_annotation_hides_nothing(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a;

	(void)state;
	api_put_json(api, KUBE_SERVICE,
		     "{'kind':'Service','apiVersion':'v1','metadata':{'name':'odd','annotations':{'a':'\\u0000b'}},"
		     "'spec':{'clusterIP':'10.96.0.2','clusterIPs':['10.96.0.2'],'type':'ClusterIP','ports':[{'name':'http','port':80,"
		     "'protocol':'TCP'}]}}");
	a = follow(api);
	agent_wait(a, "10.96.0.2:80", "");
	assert_recovers(api, a);
}

/* Status of code 200 in an ERROR event: neither an error nor an end. */
static void an_error_that_says_all_is_well_is_waited_out(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = follow(api);

	(void)state;
	api_error(api, "endpointslices", 200, "OK", "all is well");
	assert_recovers(api, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(object_of_a_megabyte_is_taken),
		TEST(slice_of_a_thousand_endpoints_is_taken),
		TEST(ten_thousand_slices_of_one_service_are_taken),
		TEST(event_of_64_mebibytes_is_refused),
		TEST(event_that_never_ends_is_refused),
		TEST(list_of_64_mebibytes_of_nothing_takes_no_memory),
		TEST(event_of_a_hundred_thousand_levels_is_refused),
		TEST(event_with_a_key_twice_is_refused),
		TEST(a_text_with_a_nul_is_none_and_what_stands_beside_it_counts),
		TEST(bytes_that_are_no_json_are_refused),
		TEST(fields_of_the_wrong_type_change_nothing),
		TEST(answers_that_come_byte_by_byte_are_taken),
		TEST(half_an_event_holds_nothing_up),
		TEST(server_that_breaks_off_again_and_again_is_not_flooded_in_the_log),
		TEST(a_nul_in_an_annotation_hides_nothing),
		TEST(an_error_that_says_all_is_well_is_waited_out),
	};

	return RUN_TESTS(tests);
}
