/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in for the API server: what other tests rely on, seen by libcurl and by the curl program. */
#include "support/testing.h"

#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>

#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

#define SERVICES      "/api/v1/services"
#define SHOP_SERVICES "/api/v1/namespaces/shop/services"
#define SLICES        "/apis/discovery.k8s.io/v1/endpointslices"
#define SHOP_SLICES   "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
#define WATCH_LIST    "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

static const char *const recordings[] = {
	"bad-continue-400.http",         "forbidden-403.http",    "list-paged-1.http",
	"list-too-large-version.http",   "unauthorized-401.http", "watch-endpointslices.http",
	"watch-expired-410.http",        "watch-services.http",   "watch-too-large-version.http",
	"watchlist-endpointslices.http",
};

enum { RECORDINGS = sizeof(recordings) / sizeof(*recordings) };

/* ---- a client ---- */

struct reply {
	CURLcode result;
	long status;
	char *body, *headers;
	size_t size;
};

struct client {
	struct api_server *server;
	CURL *curl;
	struct curl_slist *headers;
};

struct growing {
	char *bytes;
	size_t size, room;
};

static size_t grow(char *bytes, size_t one, size_t size, void *data)
{
	struct growing *g = data;

	(void)one;
	if (g->size + size >= g->room) {
		g->room = (g->size + size + 1) * 2;
		g->bytes = realloc(g->bytes, g->room);
	}
	memcpy(g->bytes + g->size, bytes, size);
	g->size += size;
	g->bytes[g->size] = '\0';
	return size;
}

static void client_close(void *what)
{
	struct client *c = what;

	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->headers);
	free(c);
}

static struct client *client_of(struct api_server *s)
{
	struct client *c = calloc(1, sizeof(*c));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->server = s;
	c->curl = curl_easy_init();
	curl_easy_setopt(c->curl, CURLOPT_CAINFO, api_ca_file(s));
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, grow);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, grow);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)LIMIT_MS);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
	after_test(client_close, c);
	return c;
}

static void add_header(struct client *c, const char *line)
{
	c->headers = curl_slist_append(c->headers, line);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
}

static struct reply get(struct client *c, const char *target)
{
	struct growing body = { calloc(1, 1), 0, 1 }, headers = { calloc(1, 1), 0, 1 };
	struct reply reply = { .status = 0 };

	curl_easy_setopt(c->curl, CURLOPT_URL, format("%s%s", api_url(c->server), target));
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, &headers);
	reply.result = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &reply.status);
	reply.body = body.bytes;
	reply.size = body.size;
	reply.headers = headers.bytes;
	after_test(free, body.bytes);
	after_test(free, headers.bytes);
	return reply;
}

static void release_json(void *json)
{
	json_decref(json);
}

static json_t *json_of(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s: %s", error.text, text);
	after_test(release_json, json);
	return json;
}

static json_t *list(struct client *c, const char *target)
{
	struct reply reply = get(c, target);

	if (reply.result || reply.status != 200)
		fail_msg("%s: %s, status %ld: %s", target, curl_easy_strerror(reply.result), reply.status, reply.body);
	return json_of(reply.body);
}

static const char *metadata(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(object, "metadata"), key));

	return text ? text : "";
}

/* "a b c": the names of a list's items. */
static const char *names(json_t *list)
{
	const char *all = "";
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item) all =
		format("%s%s%s", all, *all ? " " : "", metadata(item, "name"));
	return all;
}

static const char *names_at(struct client *c, const char *target)
{
	return names(list(c, target));
}

static void assert_refused(struct client *c, const char *target, long status, const char *reason, const char *words)
{
	struct reply reply = get(c, target);
	json_t *object;

	assert_int_equal(reply.result, CURLE_OK);
	assert_int_equal(reply.status, status);
	object = json_of(reply.body);
	assert_string_equal(json_string_value(json_object_get(object, "kind")), "Status");
	assert_string_equal(json_string_value(json_object_get(object, "reason")), reason);
	assert_int_equal(json_integer_value(json_object_get(object, "code")), status);
	if (!strstr(json_string_value(json_object_get(object, "message")), words))
		fail_msg("no \"%s\" in %s", words, reply.body);
}

/* A recording's body. */
static const char *recorded(const char *name, size_t *size)
{
	const char *all = read_file(repository(format("tests/data/kubernetes/%s", name)), size),
		   *body = strstr(all, "\r\n\r\n") + 4;

	*size -= (size_t)(body - all);
	return body;
}

static void put_three(struct api_server *s)
{
	api_put_service(s, "a", "10.96.0.1", "http:80");
	api_put_service(s, "b.other", "10.96.0.2 fd00::2", ":53/UDP");
	api_put_service(s, "c", "None", ":80");
}

/* ---- watches, by the curl program ---- */

static struct process *watch(struct api_server *s, const char *target)
{
	const char *url = format("%s%s", api_url(s), target);

	return process_start(&(struct start){ .argv = ARGV("curl", "-sSN", "--cacert", api_ca_file(s), url) });
}

/* "ADDED web v103": the next event. */
static const char *event(struct process *p)
{
	char *line = process_line(p, LIMIT_MS);
	json_t *event, *object;

	if (!line)
		return "end";
	event = json_of(line);
	object = json_object_get(event, "object");
	return format("%s %s %s", json_string_value(json_object_get(event, "type")), metadata(object, "name"),
		      metadata(object, "resourceVersion"));
}

static void assert_end(struct process *p, int exit_status)
{
	assert_string_equal(event(p), "end");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, exit_status);
}

/* ---- lists ---- */

static void list_holds_what_was_put_with_the_version_it_is_at(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	json_t *all;

	(void)state;
	assert_string_equal(names_at(c, SERVICES), "");
	put_three(s);
	all = list(c, SERVICES);
	assert_string_equal(names(all), "b a c");
	assert_string_equal(metadata(all, "resourceVersion"), api_version(s));
	assert_string_equal(json_string_value(json_object_get(all, "kind")), "ServiceList");
	assert_string_equal(names_at(c, SHOP_SERVICES), "a c");
	assert_string_equal(names_at(c, SLICES), "");
	api_delete(s, KUBE_SERVICE, "a");
	api_delete(s, KUBE_SERVICE, "b.other");
	assert_string_equal(names_at(c, SERVICES), "c");
}

static void objects_carry_uid_and_version_and_keep_the_uid(void **state)
{
	struct api_server *s = api_start(&(struct api_options){ .version_prefix = "v" });
	struct client *c = client_of(s);
	const char *uid;
	json_t *item;

	(void)state;
	api_put_slice(s, "web-1", "web", "http:8080", "10.0.0.1,r1,t0,n=node-a,z=zone-a,hz=zone-a 10.0.0.2");
	item = json_array_get(json_object_get(list(c, SLICES), "items"), 0);
	uid = metadata(item, "uid");
	assert_int_equal(strlen(uid), 36);
	assert_string_equal(metadata(item, "resourceVersion"), "v101");
	assert_int_equal(json_array_size(json_object_get(item, "endpoints")), 2);
	api_put_slice(s, "web-1", "web", "http:8080", "10.0.0.2");
	item = json_array_get(json_object_get(list(c, SLICES), "items"), 0);
	assert_string_equal(metadata(item, "uid"), uid);
	assert_string_equal(metadata(item, "resourceVersion"), "v102");
	assert_int_equal(json_array_size(json_object_get(item, "endpoints")), 1);
}

static void recorded_list_comes_back_as_it_was(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	json_t *item;
	size_t i;

	(void)state;
	api_put_recording(s, KUBE_SLICE, "list-endpointslices.json");
	json_array_foreach(json_object_get(list(c, SLICES), "items"), i, item)
		assert_string_equal(metadata(item, "namespace"), "shop");
	assert_int_equal(i, 8);
}

static void pages_have_one_version_while_the_world_goes_on(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	const char *version, *token;
	json_t *page;

	(void)state;
	put_three(s);
	version = api_version(s);
	page = list(c, SERVICES "?limit=2");
	assert_string_equal(names(page), "b a");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(page, "metadata"), "remainingItemCount")),
			 1);
	token = curl_easy_escape(c->curl, metadata(page, "continue"), 0);
	after_test((void (*)(void *))curl_free, (void *)token);
	api_delete(s, KUBE_SERVICE, "c");
	api_put_service(s, "d", "10.96.0.4", ":80");
	page = list(c, format(SERVICES "?limit=2&continue=%s", token));
	assert_string_equal(names(page), "c");
	assert_string_equal(metadata(page, "resourceVersion"), version);
	assert_string_equal(metadata(page, "continue"), "");
	assert_refused(c, format(SERVICES "?continue=%s&resourceVersion=%s", token, version), 400, "BadRequest",
		       "not allowed when using continue");
}

static void page_that_is_too_old_says_how_to_go_on(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	char *token, *next;
	struct reply reply;

	(void)state;
	put_three(s);
	token = curl_easy_escape(c->curl, metadata(list(c, SERVICES "?limit=1"), "continue"), 0);
	api_delete(s, KUBE_SERVICE, "a");
	api_compact(s);
	assert_refused(c, format(SERVICES "?continue=%s", token), 410, "Expired", "too old to display");
	reply = get(c, format(SERVICES "?continue=%s", token));
	next = curl_easy_escape(c->curl, metadata(json_of(reply.body), "continue"), 0);
	assert_string_equal(names_at(c, format(SERVICES "?continue=%s", next)), "c");
	curl_free(token);
	curl_free(next);
}

static void cache_ignores_the_limit_and_may_be_stale(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	const char *then;

	(void)state;
	put_three(s);
	assert_string_equal(names_at(c, SERVICES "?limit=1&resourceVersion=0"), "b a c");
	then = api_version(s);
	api_freeze_cache(s, true);
	api_delete(s, KUBE_SERVICE, "a");
	assert_string_equal(names_at(c, SERVICES "?resourceVersion=0"), "b a c");
	assert_string_equal(metadata(list(c, SERVICES "?resourceVersion=0"), "resourceVersion"), then);
	assert_string_equal(names_at(c, SERVICES), "b c");
	assert_string_equal(names_at(c, format(SERVICES "?resourceVersion=%s&resourceVersionMatch=Exact", then)),
			    "b a c");
	api_freeze_cache(s, false);
	assert_string_equal(names_at(c, SERVICES "?resourceVersion=0"), "b c");
}

static void selectors_choose_by_label_and_by_field(void **state)
{
	static const struct {
		const char *selector, *names;
	} cases[] = {
		{ "labelSelector=app", "one two" },
		{ "labelSelector=%21app", "three" },
		{ "labelSelector=app%3Dx", "one" },
		{ "labelSelector=app%3D%3Dx", "one" },
		{ "labelSelector=app%21%3Dx", "three two" },
		{ "labelSelector=app+in+%28x,y%29", "one two" },
		{ "labelSelector=app%20in%20(%20y%20,z)", "two" },
		{ "labelSelector=app+notin+%28x%29", "three two" },
		{ "labelSelector=app,tier%3Dback", "two" },
		{ "labelSelector=app%3Dx,tier%3Dback", "" },
		{ "labelSelector=", "one three two" },
		{ "fieldSelector=metadata.name%3Done", "one" },
		{ "fieldSelector=spec.clusterIP%21%3DNone", "one two" },
		{ "fieldSelector=spec.clusterIP%21%3DNone,metadata.name%21%3Done", "two" },
		{ "fieldSelector=spec.clusterIP%21%3DNone&labelSelector=tier", "two" },
	};
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	api_put_json(s, KUBE_SERVICE,
		     "{'metadata':{'name':'one','labels':{'app':'x'}},'spec':{'clusterIP':'10.96.0.1'}}");
	api_put_json(s, KUBE_SERVICE,
		     "{'metadata':{'name':'two','labels':{'app':'y','tier':'back'}},'spec':{'clusterIP':'10.96.0.2'}}");
	api_put_json(s, KUBE_SERVICE, "{'metadata':{'name':'three'},'spec':{'clusterIP':'None'}}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(names_at(c, format(SERVICES "?%s", cases[i].selector)), cases[i].names);
	assert_refused(c, SLICES "?fieldSelector=spec.clusterIP%21%3DNone", 400, "BadRequest", "not supported");
	assert_refused(c, SERVICES "?labelSelector=%3Dx", 400, "BadRequest", "unable to parse");
}

/* ---- refusals, byte for byte as the real one's ---- */

static void assert_same_body(struct client *c, const char *target, const char *recording)
{
	struct reply reply = get(c, target);
	size_t size;
	const char *body = recorded(recording, &size);

	assert_int_equal(reply.status, atoi(recording + strcspn(recording, "0123456789")));
	assert_string_equal(reply.body, format("%.*s", (int)size, body));
}

static void refusals_are_the_recorded_ones(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	api_require_token(s, "secret");
	assert_same_body(c, SERVICES, "unauthorized-401.http");
	add_header(c, "Authorization: Bearer secret");
	assert_same_body(c, SERVICES "?limit=2&continue=nonsense", "bad-continue-400.http");
	api_forbid(s, "shop/endpointslices");
	assert_same_body(c, SHOP_SLICES, "forbidden-403.http");
}

static void token_can_be_changed_and_is_logged(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	api_require_token(s, "first");
	add_header(c, "Authorization: Bearer first");
	list(c, SERVICES);
	assert_string_equal(api_request(s, NULL, 0)->authorization, "Bearer first");
	api_require_token(s, "second");
	assert_refused(c, SERVICES, 401, "Unauthorized", "Unauthorized");
	api_require_token(s, NULL);
	list(c, SERVICES);
}

static void forbidden_names_user_verb_resource_and_place(void **state)
{
	struct api_server *s = api_start(&(struct api_options){ .user = "system:serviceaccount:shop:agent" });
	struct client *c = client_of(s);

	(void)state;
	api_forbid(s, SERVICES);
	assert_refused(c, SERVICES "?watch=1", 403, "Forbidden",
		       "services is forbidden: User \"system:serviceaccount:shop:agent\" cannot watch resource "
		       "\"services\" in API group \"\" at the cluster scope");
	list(c, SHOP_SERVICES);
	api_permit(s);
	list(c, SERVICES);
}

static void version_from_the_future_is_too_large(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct reply reply = get(c, SERVICES "?resourceVersion=99999999");
	json_t *details = json_object_get(json_of(reply.body), "details"),
	       *cause = json_array_get(json_object_get(details, "causes"), 0);

	(void)state;
	assert_refused(c, SERVICES "?resourceVersion=99999999", 504, "Timeout",
		       "Timeout: Too large resource version: 99999999, current: 100");
	assert_string_equal(json_string_value(json_object_get(cause, "reason")), "ResourceVersionTooLarge");
	assert_non_null(strstr(reply.headers, "Retry-After: 1\r\n"));
}

static void other_paths_and_methods_are_refused(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	assert_refused(c, "/api/v1/pods", 404, "NotFound", "could not find");
	assert_refused(c, "/", 404, "NotFound", "could not find");
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "{}");
	assert_refused(c, SERVICES, 405, "MethodNotAllowed", "does not allow");
}

/* ---- watches ---- */

static void watch_follows_from_the_version_it_is_given(void **state)
{
	struct api_server *s = api_start(NULL);
	const char *version;
	struct process *p;

	(void)state;
	api_put_service(s, "old", "10.96.0.1", ":80");
	version = api_version(s);
	api_put_service(s, "missed", "10.96.0.2", ":80");
	p = watch(s, format(SERVICES "?watch=1&resourceVersion=%s", version));
	assert_string_equal(event(p), "ADDED missed 102");
	api_put_service(s, "old", "10.96.0.1", ":81");
	assert_string_equal(event(p), "MODIFIED old 103");
	api_put_slice(s, "old-1", "old", ":80", "10.0.0.1");
	api_delete(s, KUBE_SERVICE, "old");
	assert_string_equal(event(p), "DELETED old 105");
	api_put_service(s, "old", "10.96.0.1", ":81");
	assert_string_equal(event(p), "ADDED old 106");
	api_end(s, NULL);
	assert_end(p, 0);
}

static void watch_without_a_version_begins_with_all_in_no_order(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p;

	(void)state;
	put_three(s);
	p = watch(s, SERVICES "?watch=true");
	assert_string_equal(event(p), "ADDED c 103");
	assert_string_equal(event(p), "ADDED a 101");
	assert_string_equal(event(p), "ADDED b 102");
	api_wait_watches(s, SERVICES, 1, LIMIT_MS);
	api_bookmark(s, NULL); /* it did not allow any */
	api_delete(s, KUBE_SERVICE, "c");
	assert_string_equal(event(p), "DELETED c 104");
}

static void watch_list_ends_its_initial_events_with_a_bookmark(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p;
	char *line;

	(void)state;
	api_put_slice(s, "web-1", "web", ":80", "10.0.0.1");
	p = watch(s, SLICES "?watch=1&resourceVersion=" WATCH_LIST);
	assert_string_equal(event(p), "ADDED web-1 101");
	line = process_line(p, LIMIT_MS);
	assert_non_null(strstr(line, "\"type\":\"BOOKMARK\""));
	assert_non_null(strstr(line, "\"k8s.io/initial-events-end\":\"true\""));
	api_put_slice(s, "web-2", "web", ":80", "10.0.0.2");
	assert_string_equal(event(p), "ADDED web-2 102");
	api_wait_watches(s, SLICES, 1, LIMIT_MS);
	api_bookmark(s, "endpointslices");
	assert_string_equal(event(p), "BOOKMARK  102");
}

static void older_servers_reject_or_ignore_initial_events(void **state)
{
	struct api_server *s = api_start(&(struct api_options){ .initial = API_INITIAL_REJECTED });
	struct client *c = client_of(s);
	struct process *p;

	(void)state;
	api_put_service(s, "a", "10.96.0.1", ":80");
	assert_refused(c, SERVICES "?watch=1" WATCH_LIST, 422, "Invalid", "sendInitialEvents is forbidden");
	assert_refused(c, SERVICES "?watch=1&resourceVersionMatch=NotOlderThan", 422, "Invalid",
		       "resourceVersionMatch is forbidden for watch");
	api_set_initial(s, API_INITIAL_IGNORED);
	p = watch(s, SERVICES "?watch=1" WATCH_LIST);
	assert_string_equal(event(p), "ADDED a 101");
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	api_end(s, NULL);
	assert_end(p, 0);
}

static void watch_with_a_selector_sees_arrivals_and_departures(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p;
	char *line;

	(void)state;
	api_put_slice(s, "x", "web", ":80", "10.0.0.1");
	p = watch(s, SLICES "?watch=1&resourceVersion=0&labelSelector=kubernetes.io/service-name%3Dweb");
	assert_string_equal(event(p), "ADDED x 101");
	api_put_slice(s, "y", "db", ":80", "10.0.0.2");
	api_put_slice(s, "y", "web", ":80", "10.0.0.2");
	assert_string_equal(event(p), "ADDED y 103");
	api_put_slice(s, "x", "db", ":80", "10.0.0.9");
	line = process_line(p, LIMIT_MS);
	assert_non_null(strstr(line, "\"type\":\"DELETED\""));
	assert_non_null(strstr(line, "\"resourceVersion\":\"104\""));
	assert_non_null(strstr(line, "10.0.0.1")); /* what it last knew */
	api_delete(s, KUBE_SLICE, "x");
	api_delete(s, KUBE_SLICE, "y");
	assert_string_equal(event(p), "DELETED y 106");
}

static void watch_ends_cleanly_at_its_timeout(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=100&timeoutSeconds=1&allowWatchBookmarks=true");

	(void)state;
	assert_string_equal(event(p), "BOOKMARK  100");
	assert_end(p, 0);
}

static void watch_of_the_future_is_silent(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=102");

	(void)state;
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	put_three(s);
	assert_string_equal(event(p), "ADDED c 103");
}

static void version_that_is_too_old_comes_in_both_shapes(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	const char *then = api_version(s);
	struct reply reply;
	json_t *object;

	(void)state;
	put_three(s);
	api_compact(s);
	reply = get(c, format(SERVICES "?watch=1&resourceVersion=%s", then));
	assert_int_equal(reply.status, 200);
	assert_string_equal(json_string_value(json_object_get(json_of(reply.body), "type")), "ERROR");
	object = json_object_get(json_of(reply.body), "object");
	assert_int_equal(json_integer_value(json_object_get(object, "code")), 410);
	assert_string_equal(json_string_value(json_object_get(object, "message")),
			    "too old resource version: 100 (104)");
	api_set_gone(s, API_GONE_STATUS);
	assert_refused(c, format(SERVICES "?watch=1&resourceVersion=%s", then), 410, "Expired",
		       "too old resource version");
}

static void live_watches_are_told_what_to_say(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=100"), *q;

	(void)state;
	api_wait_watches(s, SERVICES, 1, LIMIT_MS);
	api_put_service(s, "a", "10.96.0.1", ":80");
	assert_string_equal(event(p), "ADDED a 101");
	api_again(s, NULL);
	assert_string_equal(event(p), "ADDED a 101");
	api_say(s, NULL, "{\"type\":\"WHATEVER\",\"object\":{}}\n");
	assert_string_equal(event(p), "WHATEVER  ");
	api_error(s, NULL, 429, "TooManyRequests", "later");
	assert_string_equal(
		process_line(p, LIMIT_MS),
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
		"\"status\":\"Failure\",\"message\":\"later\",\"reason\":\"TooManyRequests\",\"code\":429}}");
	q = watch(s, SLICES "?watch=1&resourceVersion=100");
	api_wait_watches(s, "endpointslices", 1, LIMIT_MS);
	api_cut(s, "services", API_CUT_RST);
	assert_end(p, 56);
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	api_cut(s, NULL, API_CUT_FIN);
	assert_string_equal(event(q), "end");
	api_wait_open(s, 0, LIMIT_MS);
}

static void paused_watch_brings_all_at_once_when_it_goes_on(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=100&allowWatchBookmarks=true");

	(void)state;
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	api_pause(s, NULL, true);
	put_three(s);
	api_bookmark(s, NULL);
	assert_string_equal(event(p), "BOOKMARK  100"); /* not beyond what waits */
	api_pause(s, NULL, false);
	assert_string_equal(event(p), "ADDED a 101");
	assert_string_equal(event(p), "ADDED b 102");
	assert_string_equal(event(p), "ADDED c 103");
	api_wait_sent(s, LIMIT_MS);
	api_bookmark(s, NULL);
	assert_string_equal(event(p), "BOOKMARK  103");
}

static void events_may_come_in_pieces(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p;

	(void)state;
	api_set_piece(s, 3);
	p = watch(s, SERVICES "?watch=1&resourceVersion=100");
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	put_three(s);
	assert_string_equal(event(p), "ADDED a 101");
	assert_string_equal(event(p), "ADDED b 102");
	assert_string_equal(event(p), "ADDED c 103");
}

static void silent_watch_neither_speaks_nor_closes_until_it_is_cut(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=100"), *q;

	(void)state;
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	api_silence(s, NULL);
	api_put_service(s, "a", "10.96.0.1", ":80");
	q = watch(s, SERVICES "?watch=1&resourceVersion=100");
	assert_string_equal(event(q), "ADDED a 101");
	assert_int_equal(api_watches(s, NULL), 2);
	api_cut(s, NULL, API_CUT_RST);
	assert_end(p, 56);
	assert_int_equal(p->out_length, 0);
}

/* A client that goes away is noticed without anything being written. */
static void watch_closes_when_its_client_goes(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p = watch(s, SERVICES "?watch=1&resourceVersion=100");

	(void)state;
	api_wait_watches(s, NULL, 1, LIMIT_MS);
	process_signal(p, SIGKILL);
	api_wait_watches(s, NULL, 0, LIMIT_MS);
	api_wait_open(s, 0, LIMIT_MS);
}

/* ---- faults ---- */

static void recordings_are_replayed_byte_for_byte(void **state)
{
	static const size_t pieces[] = { 0, 1000, 1 };
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	for (size_t i = 0; i < RECORDINGS; i++)
		for (size_t j = 0; j < 3; j++) {
			size_t size;
			const char *body = recorded(recordings[i], &size);
			struct reply reply;

			api_script(s, &(struct api_script){
					      .act = API_REPLAY, .body = recordings[i], .piece = pieces[j] });
			reply = get(c, SERVICES "?watch=1");
			assert_int_equal(reply.result, CURLE_OK);
			assert_int_equal(reply.size, size);
			assert_memory_equal(reply.body, body, size);
			assert_non_null(strstr(reply.headers, "Audit-Id: "));
		}
	assert_int_equal(api_counts(s).accepted, 1); /* all on one connection: the frames were right */
}

static void planned_status_comes_to_the_requests_it_is_meant_for(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct reply reply;

	(void)state;
	api_script(s, &(struct api_script){ .path = SLICES,
					    .skip = 1,
					    .count = 2,
					    .act = API_STATUS,
					    .status = 429,
					    .headers = "Retry-After: 5\r\n",
					    .close = true });
	api_script(s, &(struct api_script){ .method = "POST", .act = API_CLOSE });
	api_script(s,
		   &(struct api_script){
			   .path = "limit=7", .count = API_ALWAYS, .act = API_STATUS, .status = 500, .body = "oops" });
	list(c, SERVICES);
	list(c, SLICES);
	reply = get(c, SLICES);
	assert_int_equal(reply.status, 429);
	assert_non_null(strstr(reply.headers, "Retry-After: 5\r\n"));
	assert_non_null(strstr(reply.headers, "Connection: close\r\n"));
	assert_refused(c, SLICES, 429, "Too Many Requests", "planned");
	list(c, SLICES);
	assert_string_equal(get(c, SERVICES "?limit=7").body, "oops");
	assert_string_equal(get(c, SERVICES "?limit=7").body, "oops");
	api_unscript(s);
	list(c, SERVICES "?limit=7");
	assert_int_equal(api_counts(s).accepted, 3);
}

static void answer_can_be_held_until_it_is_released(void **state)
{
	struct api_server *s = api_start(NULL);
	struct process *p;

	(void)state;
	put_three(s);
	api_script(s, &(struct api_script){ .path = "services", .hold = true });
	p = watch(s, SERVICES);
	api_wait_held(s, 1, LIMIT_MS);
	assert_int_equal(p->out_length, 0);
	assert_int_equal(api_release(s), 1);
	assert_non_null(strstr(process_line(p, LIMIT_MS), "ServiceList"));
	api_script(s, &(struct api_script){ .act = API_NEVER });
	p = watch(s, SERVICES);
	api_wait(s, SERVICES, 2, LIMIT_MS);
	process_signal(p, SIGKILL);
	api_wait_open(s, 0, LIMIT_MS);
}

static void assert_cut(struct client *c, const struct api_script *script, const char *body)
{
	struct reply reply;

	api_script(c->server, script);
	reply = get(c, SERVICES);
	assert_int_not_equal(reply.result, CURLE_OK);
	assert_int_equal(reply.size, script->cut_after);
	assert_memory_equal(reply.body, body, reply.size);
}

static void answers_are_cut_behind_every_byte_of_the_body(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	const char *body = "{\"kind\":\"ServiceList\",\"metadata\":{}}\n";
	struct api_script script = { .act = API_STATUS, .status = 200, .body = body };

	(void)state;
	for (script.cut = API_CUT_TLS; script.cut <= API_CUT_RST; script.cut++)
		for (int chunked = 0; chunked < 2; chunked++) {
			script.chunked = chunked;
			for (script.cut_after = 0; script.cut_after < strlen(body); script.cut_after++)
				assert_cut(c, &script, body);
		}
	list(c, SERVICES);
}

static void answers_are_cut_behind_every_byte_of_the_head(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct api_script script = { .act = API_STATUS, .status = 200, .body = "{}" };
	size_t length;

	(void)state;
	api_script(s, &script);
	length = strlen(get(c, SERVICES).headers);
	curl_easy_setopt(c->curl, CURLOPT_FRESH_CONNECT, 1L); /* on a kept one it would just ask again */
	script.cut = API_CUT_FIN;
	script.cut_head = true;
	for (script.cut_after = 0; script.cut_after < length; script.cut_after++) {
		struct reply reply;

		api_script(s, &script);
		reply = get(c, SERVICES); /* which libcurl may call a success, without headers or body */
		assert_int_equal(reply.size, 0);
		assert_true(strlen(reply.headers) <= script.cut_after);
	}
}

static void lengths_may_lie(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct api_script script = { .act = API_STATUS, .status = 200, .body = "{\"a\":1}", .close = true };

	(void)state;
	script.length_off = 1;
	api_script(s, &script);
	assert_int_equal(get(c, SERVICES).result, CURLE_PARTIAL_FILE);
	script.length_off = -1;
	api_script(s, &script);
	assert_string_equal(get(c, SERVICES).body, "{\"a\":1");
}

static void answers_may_be_garbage_or_huge_or_nothing(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct reply reply;

	(void)state;
	api_script(s,
		   &(struct api_script){ .act = API_GARBAGE, .body = "\1\2\3 no HTTP at all\r\n\r\n", .close = true });
	assert_int_not_equal(get(c, SERVICES).result, CURLE_OK);
	api_script(s, &(struct api_script){ .act = API_HUGE, .size = 5000000 });
	reply = get(c, SERVICES);
	assert_int_equal(reply.result, CURLE_OK);
	assert_int_equal(reply.size, 5000000);
	assert_int_equal(json_array_size(json_object_get(json_of(reply.body), "items")), 0);
	api_script(s, &(struct api_script){ .act = API_CLOSE, .cut = API_CUT_TLS, .count = 2 });
	curl_easy_setopt(c->curl, CURLOPT_FRESH_CONNECT, 1L);
	assert_int_equal(get(c, SERVICES).result, CURLE_GOT_NOTHING);
}

static void connections_may_be_welcomed_badly(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct process *p;
	unsigned before;

	(void)state;
	api_welcome(s, API_WELCOME_GARBAGE, 1);
	assert_int_equal(get(c, SERVICES).result, CURLE_SSL_CONNECT_ERROR);
	api_welcome(s, API_WELCOME_CLOSE, 1);
	assert_int_equal(get(c, SERVICES).result, CURLE_SSL_CONNECT_ERROR);
	before = api_counts(s).accepted; /* a client may have tried twice */
	api_welcome(s, API_WELCOME_SILENCE, 1);
	p = watch(s, SERVICES);
	api_wait_accepted(s, before + 1, LIMIT_MS);
	list(c, SERVICES);
	assert_int_equal(api_counts(s).handshakes, 1);
	api_cut_all(s, API_CUT_RST);
	process_wait(p, LIMIT_MS);
	if (p->exit_status != 7) /* of one that did not run meanwhile: it takes the reset for an answer to its connect(2) */
		assert_int_equal(p->exit_status, 35);
}

static void server_that_stops_refuses_and_comes_back_on_its_port(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	list(c, SERVICES);
	api_stop_listening(s);
	list(c, SERVICES); /* what is open stays */
	api_cut_all(s, API_CUT_FIN);
	api_wait_open(s, 0, LIMIT_MS);
	assert_int_equal(get(c, SERVICES).result, CURLE_COULDNT_CONNECT);
	api_listen(s);
	list(c, SERVICES);
}

/* ---- TLS ---- */

static void certificate_is_good_for_its_names_and_its_authority_only(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	list(c, SERVICES);
	curl_easy_setopt(c->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CAINFO, api_other_ca_file(s));
	assert_int_equal(get(c, SERVICES).result, CURLE_PEER_FAILED_VERIFICATION);
	api_use_other_ca(s, true);
	list(c, SERVICES);
	api_use_other_ca(s, false);
	assert_int_equal(get(c, SERVICES).result, CURLE_PEER_FAILED_VERIFICATION);
}

static void server_may_be_on_ipv6(void **state)
{
	struct api_server *s = api_start(&(struct api_options){ .address = "::1" });

	(void)state;
	assert_non_null(strstr(api_url(s), "https://[::1]:"));
	list(client_of(s), SERVICES);
}

static void client_certificate_is_asked_for_and_seen(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);

	(void)state;
	api_require_client_cert(s, true);
	assert_refused(c, SERVICES, 401, "Unauthorized", "Unauthorized");
	c = client_of(s);
	curl_easy_setopt(c->curl, CURLOPT_SSLCERT, api_client_cert_file(s));
	curl_easy_setopt(c->curl, CURLOPT_SSLKEY, api_client_key_file(s));
	list(c, SERVICES);
	assert_string_equal(api_request(s, NULL, 1)->peer, "/CN=viewer");
}

static void cut_connections_come_back_with_a_ticket(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	struct api_counts counts;

	(void)state;
	for (int i = 0; i < 20; i++) {
		list(c, SERVICES);
		api_cut_all(s, API_CUT_FIN);
	}
	counts = api_counts(s);
	assert_int_equal(counts.handshakes, 20);
	assert_int_equal(counts.resumed, 19);
	assert_int_equal(counts.failed, 0);
}

/* ---- seeing ---- */

static bool is_watch_with_bookmarks(const struct api_request *request, void *data)
{
	return request->watch && api_has(request, "allowWatchBookmarks", data);
}

static void requests_are_logged_and_waited_for(void **state)
{
	struct api_server *s = api_start(NULL);
	struct client *c = client_of(s);
	const struct api_request *request;

	(void)state;
	add_header(c, "Accept: application/json");
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "test/1");
	list(c, SERVICES "?limit=500");
	watch(s, SLICES "?watch=1&allowWatchBookmarks=true");
	request = api_wait_for(s, is_watch_with_bookmarks, "true", 1, LIMIT_MS);
	assert_string_equal(request->path, SLICES);
	assert_int_equal(request->connection, 1);
	request = api_wait(s, "limit=500", 1, LIMIT_MS);
	assert_string_equal(request->method, "GET");
	assert_string_equal(request->path, SERVICES);
	assert_string_equal(request->query, "limit=500");
	assert_string_equal(request->accept, "application/json");
	assert_string_equal(request->user_agent, "test/1");
	assert_true(api_has(request, "limit", "500"));
	assert_true(api_has(request, "continue", NULL));
	assert_int_equal(api_request_count(s, NULL), 2);
	api_forget(s);
	assert_int_equal(api_request_count(s, NULL), 0);
	assert_int_equal(api_counts(s).requests, 2);
}

/* ---- kubeconfig: what kubectl would do with it is done by hand ---- */

static void kubeconfig_in_json_names_server_authority_and_token(void **state)
{
	struct api_server *s = api_start(NULL);
	const char *path = format("%s/config", scratch_dir()), *cluster, *user;
	json_t *config;

	(void)state;
	api_write_kubeconfig(s, path,
			     &(struct api_kubeconfig){ .token = "secret", .namespace = "shop", .decoys = true });
	config = json_of(read_file(path, NULL));
	assert_string_equal(json_string_value(json_object_get(config, "current-context")), "here");
	assert_int_equal(json_unpack(json_object_get(config, "clusters"), "[o,{s:{s:s}}]", &(json_t *){ NULL },
				     "cluster", "server", &cluster),
			 0);
	assert_string_equal(cluster, api_url(s));
	assert_int_equal(json_unpack(json_object_get(config, "users"), "[o,{s:{s:s}}]", &(json_t *){ NULL }, "user",
				     "token", &user),
			 0);
	assert_string_equal(user, "secret");
}

static void kubeconfig_in_yaml_is_as_kubectl_writes_it(void **state)
{
	struct api_server *s = api_start(NULL);
	const char *path = format("%s/config", scratch_dir());

	(void)state;
	api_write_kubeconfig(s, path, &(struct api_kubeconfig){ .yaml = true, .token_file = "/some/token" });
	assert_string_equal(read_file(path, NULL), format("apiVersion: v1\n"
							  "clusters:\n"
							  "- name: test-cluster\n"
							  "  cluster:\n"
							  "    certificate-authority: %s\n"
							  "    server: %s\n"
							  "contexts:\n"
							  "- name: here\n"
							  "  context:\n"
							  "    cluster: test-cluster\n"
							  "    user: test-user\n"
							  "current-context: here\n"
							  "kind: Config\n"
							  "users:\n"
							  "- name: test-user\n"
							  "  user:\n"
							  "    tokenFile: /some/token\n",
							  api_ca_file(s), api_url(s)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_holds_what_was_put_with_the_version_it_is_at),
		TEST(objects_carry_uid_and_version_and_keep_the_uid),
		TEST(recorded_list_comes_back_as_it_was),
		TEST(pages_have_one_version_while_the_world_goes_on),
		TEST(page_that_is_too_old_says_how_to_go_on),
		TEST(cache_ignores_the_limit_and_may_be_stale),
		TEST(selectors_choose_by_label_and_by_field),
		TEST(refusals_are_the_recorded_ones),
		TEST(token_can_be_changed_and_is_logged),
		TEST(forbidden_names_user_verb_resource_and_place),
		TEST(version_from_the_future_is_too_large),
		TEST(other_paths_and_methods_are_refused),
		TEST(watch_follows_from_the_version_it_is_given),
		TEST(watch_without_a_version_begins_with_all_in_no_order),
		TEST(watch_list_ends_its_initial_events_with_a_bookmark),
		TEST(older_servers_reject_or_ignore_initial_events),
		TEST(watch_with_a_selector_sees_arrivals_and_departures),
		TEST(watch_ends_cleanly_at_its_timeout),
		TEST(watch_of_the_future_is_silent),
		TEST(version_that_is_too_old_comes_in_both_shapes),
		TEST(live_watches_are_told_what_to_say),
		TEST(paused_watch_brings_all_at_once_when_it_goes_on),
		TEST(events_may_come_in_pieces),
		TEST(silent_watch_neither_speaks_nor_closes_until_it_is_cut),
		TEST(watch_closes_when_its_client_goes),
		TEST(recordings_are_replayed_byte_for_byte),
		TEST(planned_status_comes_to_the_requests_it_is_meant_for),
		TEST(answer_can_be_held_until_it_is_released),
		TEST(answers_are_cut_behind_every_byte_of_the_body),
		TEST(answers_are_cut_behind_every_byte_of_the_head),
		TEST(lengths_may_lie),
		TEST(answers_may_be_garbage_or_huge_or_nothing),
		TEST(connections_may_be_welcomed_badly),
		TEST(server_that_stops_refuses_and_comes_back_on_its_port),
		TEST(certificate_is_good_for_its_names_and_its_authority_only),
		TEST(server_may_be_on_ipv6),
		TEST(client_certificate_is_asked_for_and_seen),
		TEST(cut_connections_come_back_with_a_ticket),
		TEST(requests_are_logged_and_waited_for),
		TEST(kubeconfig_in_json_names_server_authority_and_token),
		TEST(kubeconfig_in_yaml_is_as_kubectl_writes_it),
	};

	return RUN_TESTS(tests);
}
