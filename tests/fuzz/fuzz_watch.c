/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collection of the API as the agent follows it, from a server that says anything: "HOW (STATUS ERROR PIECE LENGTH BODY)...",
 * one in brackets for each request: a list, page by page, initial events, a watch with its bookmarks and errors. Each ends well:
 * what is asked for next is a path that fits a request line, the trouble is a text that ends, and once the server is a good one
 * again, it is listed anew, and the model is what it says. The connection here is the input.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/models.h"
#include "kube/config.h"
#include "kube/delays.h"
#include "kube/http.h"
#include "kube/reflector.h"

#define MOST_REQUESTS 32
#define MOST_TRIES    64

enum { SLICES = 1, ALL_NAMESPACES = 2, GOOD_STREAMS = 4 };

/* ---- the connection: in the place of kube_http.c ---- */

struct kube_request {
	const struct kube_request_ops *ops;
	void *of;
	char *path;
};

static struct kube_request *under_way;

static void forget(void)
{
	if (under_way)
		free(under_way->path);
	free(under_way);
	under_way = NULL;
}

static bool fits_request_line(const char *path)
{
	return path[0] == '/' && strlen(path) < 32768 &&
	       strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/?&=%-._~") == strlen(path);
}

struct kube_request *kube_http_get(struct kube_http *http, const struct kube_get *get, const struct kube_request_ops *ops, void *of)
{
	(void)http;
	FUZZ_HOLDS(!under_way && fits_request_line(get->path));
	under_way = malloc(sizeof(*under_way));
	if (!under_way)
		abort();
	*under_way = (struct kube_request){ ops, of, strdup(get->path) };
	return under_way;
}

void kube_http_cancel(struct kube_request *request)
{
	FUZZ_HOLDS(!request || request == under_way);
	if (request)
		forget();
}

bool kube_http_has_new_credentials(struct kube_http *http)
{
	(void)http;
	return false;
}

void kube_http_hide_secrets(const struct kube_http *http, char *text)
{
	(void)http;
	(void)text;
}

/* ---- answers ---- */

struct response {
	int error;
	long status;
	size_t piece; /* the body comes in pieces of so many bytes */
	const char *body;
	size_t len;
};

static int take_pieces(const struct kube_request *request, const struct response *response)
{
	int r = 0;

	for (size_t at = 0, n; r == 0 && at < response->len; at += n) {
		char *copy;

		n = response->piece < response->len - at ? response->piece : response->len - at;
		copy = fuzz_copy(response->body + at, n, false);
		r = request->ops->take(request->of, copy, n);
		free(copy);
	}
	return r;
}

/* As kube_http.c does it: the request is gone when it is told that it has ended. */
static void answer(const struct response *response)
{
	struct kube_request request = *under_way;
	struct kube_answer told = { .error = response->error, .status = response->status, .body = "", .reason = "" };
	char *kept = NULL;

	if (response->status == 200) {
		int r;

		request.ops->begun(request.of);
		r = take_pieces(&request, response);
		told.error = r < 0 ? r : response->error;
	} else if (response->status) {
		told.body = kept = fuzz_copy(response->body, response->len, true);
		told.body_len = response->len;
	}
	if (told.error)
		told.reason = "it said so";
	forget();
	request.ops->done(request.of, &told);
	free(kept);
}

static const long statuses[] = { 200, 200, 200, 200, 200, 200, 0, 400, 401, 403, 404, 410, 429, 500, 504, 999 };
static const int errors[] = { 0, 0, 0, 0, -ECONNRESET, -ETIME, -EKEYREJECTED, -ENOMEM };

static struct response response_of(struct fuzz_input *in)
{
	struct response r = { .status = statuses[fuzz_number(in, 1) % 16], .error = errors[fuzz_number(in, 1) % 8],
			      .piece = 1 + (size_t)fuzz_number(in, 1) };

	r.len = (size_t)fuzz_number(in, 2);
	r.len = r.len < in->left ? r.len : in->left;
	r.body = (const char *)in->at;
	in->at += r.len;
	in->left -= r.len;
	if (r.status == 0 && r.error == 0)
		r.error = -ECONNREFUSED;
	return r;
}

/* ---- a server that is good ---- */

#define SERVICE                                                                                                              \
	"\"metadata\":{\"name\":\"good\",\"namespace\":\"shop\",\"resourceVersion\":\"7\"},\"spec\":{\"clusterIP\":" \
	"\"10.96.0.7\",\"ports\":[{\"port\":80}]}"
#define SLICE                                                                                                                \
	"\"metadata\":{\"name\":\"good-x\",\"namespace\":\"shop\",\"resourceVersion\":\"7\",\"labels\":{"                       \
	"\"kubernetes.io/service-name\":\"good\"}},\"addressType\":\"IPv4\",\"endpoints\":[]"
#define END                                                                                                                  \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{"                             \
	"\"k8s.io/initial-events-end\":\"true\"}}}}"

static struct response good_list(bool slices)
{
	static const char services[] = "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{" SERVICE "}]}",
			  all_slices[] = "{\"kind\":\"EndpointSliceList\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{" SLICE "}]}";
	const char *body = slices ? all_slices : services;

	return (struct response){ .status = 200, .piece = 50, .body = body, .len = strlen(body) };
}

static struct response good_stream(bool slices)
{
	static const char services[] = "{\"type\":\"ADDED\",\"object\":{" SERVICE "}}\n" END,
			  all_slices[] = "{\"type\":\"ADDED\",\"object\":{" SLICE "}}\n" END;
	const char *body = slices ? all_slices : services;

	return (struct response){ .status = 200, .piece = 50, .body = body, .len = strlen(body) };
}

/* The first watch is told that its version is too old, so that there is a new list, whatever came before. */
static struct response good_answer(uint8_t how, bool *listed)
{
	bool is_watch = strstr(under_way->path, "watch=1"), is_stream = strstr(under_way->path, "sendInitialEvents=true");

	if (is_watch && !is_stream)
		return (struct response){ .status = 410, .body = "" };
	if (is_stream && !(how & GOOD_STREAMS))
		return (struct response){ .status = 400, .body = "" };
	*listed = true;
	return is_stream ? good_stream(how & SLICES) : good_list(how & SLICES);
}

/* ---- the whole ---- */

/* Whatever is due is done; the input's time is that of the reflector, which never waits for long. */
static void go_on(struct reflector *reflector, uint64_t *now_ms)
{
	uint64_t due_ms = reflector_due_ms(reflector);

	if (due_ms != UINT64_MAX && due_ms > *now_ms)
		*now_ms = due_ms;
	reflector_run(reflector, *now_ms);
	FUZZ_HOLDS(strlen(reflector_trouble(reflector)) < 512);
}

static void hold_good(struct model *model, uint8_t how)
{
	struct report why;
	struct spec *spec;

	FUZZ_HOLDS(model_resolve(model, &spec, &why) == 0);
	FUZZ_HOLDS(how & SLICES || (spec->service_count == 1 && strcmp(spec->services[0].name, "good") == 0));
	FUZZ_HOLDS(!(how & SLICES) || spec->service_count == 0);
	model_release(model);
}

static void recover(struct reflector *reflector, struct model *model, uint8_t how, uint64_t now_ms)
{
	bool listed = false;

	for (int i = 0; i < MOST_TRIES && !(listed && reflector_is_sound(reflector)); i++) {
		go_on(reflector, &now_ms);
		if (under_way) {
			struct response response = good_answer(how, &listed);

			answer(&response);
		}
	}
	/* A list is whole, and the watch after it has begun or is due. */
	FUZZ_HOLDS(listed && reflector_is_synced(reflector));
	hold_good(model, how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1);
	struct kube_config config = { .server = (char *)"https://fuzz", .description = (char *)"fuzz" };
	struct kube_timing timing = kube_timing_defaults();
	struct kube_counts counts = { 0 };
	struct delays *delays = calloc(1, sizeof(*delays));
	struct model *model = fuzz_model();
	struct reflector_context context = { NULL, &config, model, &timing, &counts, delays };
	struct reflector_scope scope = { .kind = how & SLICES ? KUBE_SLICE : KUBE_SERVICE, .origin = 1,
					 .namespace = how & ALL_NAMESPACES ? NULL : "shop" };
	struct reflector *reflector = reflector_new(&context, &scope);
	uint64_t now_ms = 1;

	if (!delays || !reflector)
		abort();
	for (int i = 0; i < MOST_REQUESTS && in.left; i++) {
		go_on(reflector, &now_ms);
		if (under_way) {
			struct response response = response_of(&in);

			answer(&response);
		}
	}
	fuzz_publish(model);
	recover(reflector, model, how, now_ms);
	reflector_free(reflector);
	FUZZ_HOLDS(!under_way);
	model_free(model);
	free(delays);
	return 0;
}
