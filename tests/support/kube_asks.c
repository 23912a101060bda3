/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/kube_asks.h"

#include "support/agents.h"
#include "support/api_server.h"
#include "support/process.h"

struct kind_of_ask {
	const char *collection;
	enum ask ask;
};

/* No call back into the server: it is locked where this is asked. */
static bool is_ask(const struct api_request *request, void *data)
{
	const struct kind_of_ask *wanted = data;
	enum ask ask = !request->watch ? ASK_LIST : strstr(request->query, "sendInitialEvents=true") ? ASK_STREAM : ASK_WATCH;

	return ask == wanted->ask && strstr(request->path, wanted->collection);
}

size_t asks(struct api_server *api, const char *collection, enum ask ask)
{
	struct kind_of_ask wanted = { collection, ask };
	size_t n = 0, count = api_request_count(api, NULL);

	for (size_t i = 0; i < count; i++)
		n += is_ask(api_request(api, NULL, i), &wanted);
	return n;
}

const struct api_request *wait_ask(struct api_server *api, const char *collection, enum ask ask, size_t count)
{
	struct kind_of_ask wanted = { collection, ask };

	return api_wait_for(api, is_ask, &wanted, count, ASK_LIMIT_MS);
}

void assert_asked(const struct api_request *request, const char *name, const char *value)
{
	if (!api_has(request, name, value))
		fail_msg("%s is not \"%s\" in %s?%s", name, value ? value : "(absent)", request->path, request->query);
}

struct api_server *api_of_web(const struct api_options *options)
{
	struct api_server *api = api_start(options);

	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1");
	return api;
}

struct agent_run *agent_of_web(struct api_server *api, const char *const *more)
{
	struct agent_run *a = agent_start(api, NULL, more);

	api_wait_watches(api, SLICES, 1, ASK_LIMIT_MS);
	api_wait_watches(api, SERVICES, 1, ASK_LIMIT_MS);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	return a;
}

void end_slices(struct api_server *api)
{
	api_bookmark(api, SLICES);
	api_end(api, SLICES);
}

void assert_not_listed(struct api_server *api)
{
	assert_int_equal(asks(api, SLICES, ASK_LIST), 0);
	assert_int_equal(asks(api, SLICES, ASK_STREAM), 0);
}

char *quoted(const char *text)
{
	char *copy = format("%s", text);

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}
