/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random conversations between the agent and an API server that misbehaves: whatever was said, cut off, said twice or forgotten,
 * the table comes to be what a plain computation makes of the objects as they are at the end.
 *
 * SEED=… repeats a run, CONVERSATIONS=… makes it shorter or longer.
 */
#include "support/testing.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum {
	CONVERSATIONS = 10000,
	FOR_ONE_AGENT = 100, /* then another one begins with a list */
	SERVICES = 4,
	SLICES = 8,
	HOSTS = 12,
	WORLDS = 10,
};

/* ---- the objects, as they are ---- */

struct endpoint {
	int host; /* of 10.0.0.0/24 */
	int ready, serving, terminating; /* -1: absent */
};

struct slice_object {
	bool there;
	int service, port;
	struct endpoint endpoints[6];
	size_t count;
};

struct world {
	struct api_server *api;
	struct agent_run *agent;
	bool services[SERVICES];
	struct slice_object slices[SLICES];
	uint64_t random;
};

static unsigned chance(struct world *w, unsigned n)
{
	return (unsigned)(next_random(&w->random) % n);
}

/* ---- what the table should say, computed as a person would ---- */

static bool is_terminating(const struct endpoint *e)
{
	return e->terminating == 1;
}

static bool is_ready(const struct endpoint *e)
{
	return e->ready != 0;
}

static bool serves_while_it_terminates(const struct endpoint *e)
{
	return e->serving != 0 && e->terminating == 1;
}

/*
 * Of one address and port: the first one seen, unless a later one is not terminating. Slices are seen in the order of their names.
 */
static const struct endpoint *endpoint_of(const struct world *w, int service, int host, int port)
{
	const struct endpoint *found = NULL;

	for (size_t i = 0; i < SLICES; i++) {
		const struct slice_object *s = &w->slices[i];

		if (!s->there || s->service != service || s->port != port)
			continue;
		for (size_t k = 0; k < s->count; k++)
			if (s->endpoints[k].host == host && (!found || !is_terminating(&s->endpoints[k])))
				found = &s->endpoints[k];
	}
	return found;
}

static char *expected(const struct world *w, int service)
{
	const struct endpoint *all[HOSTS][2];
	char *text = format("%s", "");
	bool any_ready = false;

	if (!w->services[service])
		return format("none");
	for (int host = 0; host < HOSTS; host++)
		for (int port = 0; port < 2; port++) {
			all[host][port] = endpoint_of(w, service, host, 8080 + port);
			any_ready = any_ready || (all[host][port] && is_ready(all[host][port]));
		}
	for (int host = 0; host < HOSTS; host++)
		for (int port = 0; port < 2; port++) {
			const struct endpoint *e = all[host][port];

			if (!e)
				continue;
			text = format("%s%s10.0.0.%d:%d%s", text, text[0] ? " " : "", host + 1, 8080 + port,
				      (any_ready ? is_ready(e) : serves_while_it_terminates(e)) ? "" : "!");
		}
	return text;
}

/* ---- what happens ---- */

static const char *service_name(int service)
{
	static const char *const names[SERVICES] = { "web", "db", "queue", "cache" };

	return names[service];
}

static void put_service_object(struct world *w)
{
	int service = (int)chance(w, SERVICES);

	w->services[service] = true;
	api_put_service(w->api, service_name(service), format("10.96.0.%d", service + 1), "http:80");
}

static void delete_service_object(struct world *w)
{
	int service = (int)chance(w, SERVICES);

	if (!w->services[service])
		return;
	w->services[service] = false;
	api_delete(w->api, KUBE_SERVICE, service_name(service));
}

static void send_slice(struct world *w, size_t i)
{
	const struct slice_object *s = &w->slices[i];
	char *endpoints = format("%s", "");

	for (size_t k = 0; k < s->count; k++) {
		const struct endpoint *e = &s->endpoints[k];

		endpoints = format("%s%s10.0.0.%d%s%s%s", endpoints, k ? " " : "", e->host + 1,
				   e->ready < 0 ? "" : e->ready ? ",r1" : ",r0", e->serving < 0 ? "" : e->serving ? ",s1" : ",s0",
				   e->terminating < 0 ? "" : e->terminating ? ",t1" : ",t0");
	}
	api_put_slice(w->api, format("slice-%zu", i), service_name(s->service), format("http:%d", s->port), endpoints);
}

static void put_slice_object(struct world *w)
{
	size_t i = chance(w, SLICES);
	struct slice_object *s = &w->slices[i];

	s->there = true;
	s->service = (int)chance(w, SERVICES);
	s->port = 8080 + (chance(w, 4) == 0);
	s->count = chance(w, 6);
	for (size_t k = 0; k < s->count; k++)
		s->endpoints[k] = (struct endpoint){ (int)chance(w, HOSTS), (int)chance(w, 4) - 1, (int)chance(w, 4) - 1,
						     (int)chance(w, 4) - 1 };
	for (size_t k = 0; k < s->count; k++) { /* twos are threes: most are true */
		struct endpoint *e = &s->endpoints[k];

		e->ready = e->ready > 1 ? 1 : e->ready;
		e->serving = e->serving > 1 ? 1 : e->serving;
		e->terminating = e->terminating > 1 ? 0 : e->terminating;
	}
	send_slice(w, i);
}

static void move_slice_object(struct world *w)
{
	size_t i = chance(w, SLICES);

	if (!w->slices[i].there)
		return;
	w->slices[i].service = (int)chance(w, SERVICES);
	send_slice(w, i);
}

static void delete_slice_object(struct world *w)
{
	size_t i = chance(w, SLICES);

	if (!w->slices[i].there)
		return;
	w->slices[i].there = false;
	api_delete(w->api, KUBE_SLICE, format("slice-%zu", i));
}

static const char *a_path(struct world *w)
{
	static const char *const paths[] = { "/services", "endpointslices", NULL };

	return paths[chance(w, 3)];
}

static enum api_cut a_cut(struct world *w)
{
	return API_CUT_TLS + chance(w, 4);
}

static void cut(struct world *w)
{
	const char *path = a_path(w);

	api_cut(w->api, path, a_cut(w));
}

static void cut_all(struct world *w)
{
	api_cut_all(w->api, a_cut(w));
}

static void end_watches(struct world *w)
{
	api_end(w->api, a_path(w));
}

/* The history is gone, and who watches has to begin again: told in either shape. */
static void forget_history(struct world *w)
{
	api_set_gone(w->api, chance(w, 2) ? API_GONE_EVENT : API_GONE_STATUS);
	api_cut(w->api, NULL, a_cut(w));
	put_slice_object(w);
	api_compact(w->api);
}

static void say_again(struct world *w)
{
	api_again(w->api, a_path(w));
}

static void say_bookmark(struct world *w)
{
	api_bookmark(w->api, a_path(w));
}

static void say_error(struct world *w)
{
	static const struct {
		int code;
		const char *reason;
	} errors[] = { { 500, "InternalError" }, { 429, "TooManyRequests" }, { 410, "Expired" }, { 410, "Gone" } };
	unsigned i = chance(w, 4);
	const char *path = a_path(w);

	api_error(w->api, path, errors[i].code, errors[i].reason, "of the test");
}

static void say_nonsense(struct world *w)
{
	static const char *const texts[] = {
		"{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Status\",\"metadata\":{}}}\n",
		"{\"type\":\"EXPLODED\",\"object\":{\"kind\":\"Service\"}}\n",
		"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"name\":\"\"}}}\n",
		"{\"type\":\"ADDED\",\"object\":null}\n",
		"\n\n",
		"{\"typ",
		"]",
		"{\"type\":\"ADDED\",\"type\":\"DELETED\",\"object\":{}}\n",
	};
	const char *path = a_path(w);

	api_say(w->api, path, texts[chance(w, sizeof(texts) / sizeof(texts[0]))]);
}

/* The next requests are not answered as they should be. */
static void spoil_requests(struct world *w)
{
	static const int codes[] = { 500, 429, 401, 403, 410, 504, 404 };
	struct api_script script = { .path = a_path(w), .count = 1 + chance(w, 3), .skip = chance(w, 2) };

	if (chance(w, 2)) {
		script.act = API_STATUS;
		script.status = codes[chance(w, sizeof(codes) / sizeof(codes[0]))];
	} else {
		script.act = API_USUAL;
		script.cut = a_cut(w);
		script.cut_after = chance(w, 3000);
	}
	api_script(w->api, &script);
}

static void change_initial(struct world *w)
{
	api_set_initial(w->api, chance(w, 8) ? API_INITIAL_SENT : API_INITIAL_REJECTED);
}

static void change_pieces(struct world *w)
{
	api_set_piece(w->api, chance(w, 3) ? 0 : 1 + chance(w, 200));
}

static void hang_up(struct world *w)
{
	api_stop_listening(w->api);
	cut_all(w);
	put_slice_object(w);
	api_listen(w->api);
}

static void hold_and_let_go(struct world *w)
{
	api_pause(w->api, NULL, true);
	put_slice_object(w);
	delete_slice_object(w);
	put_slice_object(w);
	api_pause(w->api, NULL, false);
}

static void (*const happenings[])(struct world *) = {
	put_service_object, put_service_object, delete_service_object, put_slice_object, put_slice_object, put_slice_object,
	put_slice_object, move_slice_object, move_slice_object, delete_slice_object, delete_slice_object, cut, cut_all, end_watches,
	forget_history, say_again, say_bookmark, say_error, say_nonsense, spoil_requests, change_initial, change_pieces, hang_up,
	hold_and_let_go,
};

/* ---- an agent that listens ---- */

/*
 * The last word of a conversation: a Service and a slice that say its number. What the table says of them tells that all before has
 * been heard, of both kinds.
 */
static void say_marker(struct world *w, unsigned number)
{
	api_put_service(w->api, "marker", "10.96.1.1", format("m:%u", 1000 + number));
	api_put_slice(w->api, "marker", "marker", "m:9090", format("10.1.%u.%u", number / 250, number % 250 + 1));
}

static void assert_as_expected(struct world *w, unsigned number)
{
	for (int service = 0; service < SERVICES; service++) {
		char *want = expected(w, service);
		const char *says = table_says(w->agent->dir, format("10.96.0.%d:80", service + 1));

		if (strcmp(want, says) != 0)
			fail_msg("conversation %u: %s is \"%s\", not \"%s\"; the agent's log:\n%s", number, service_name(service), says,
				 want, w->agent->process->err_text);
	}
}

static void talk(struct world *w, unsigned number)
{
	unsigned count = 1 + chance(w, 5);

	for (unsigned i = 0; i < count; i++)
		happenings[chance(w, sizeof(happenings) / sizeof(happenings[0]))](w);
	api_unscript(w->api);
	say_marker(w, number);
}

static void listen_to_the_end(struct world *w, unsigned number)
{
	agent_wait(w->agent, format("10.96.1.1:%u", 1000 + number), format("10.1.%u.%u:9090", number / 250, number % 250 + 1));
	assert_as_expected(w, number);
}

/* Killed, and followed by one that finds its table. */
static void begin_anew(struct world *w)
{
	char *dir = w->agent ? w->agent->dir : NULL;

	if (w->agent)
		agent_end(w->agent, SIGKILL);
	w->agent = agent_start(w->api, dir, ARGV("--no-ledger", "--ignore-mesh"));
}

/* Several at once: most of a conversation is waiting. */
static void ten_thousand_random_conversations_end_with_the_table_that_the_objects_make(void **state)
{
	const char *seed = getenv("SEED"), *conversations = getenv("CONVERSATIONS");
	unsigned rounds = (conversations ? (unsigned)atoi(conversations) : CONVERSATIONS) / WORLDS;
	uint64_t random = seed && *seed ? strtoull(seed, NULL, 10) | 1 : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
	struct world worlds[WORLDS] = { 0 };

	(void)state;
	printf("SEED=%llu CONVERSATIONS=%u\n", (unsigned long long)random, rounds * WORLDS);
	fflush(stdout);
	for (int k = 0; k < WORLDS; k++) {
		worlds[k].random = random + (uint64_t)k * 2;
		worlds[k].api = api_start(NULL);
		api_allow_no_watch(worlds[k].api);
	}
	for (unsigned i = 0; i < rounds; i++) {
		for (int k = 0; k < WORLDS; k++) {
			if (i % FOR_ONE_AGENT == 0)
				begin_anew(&worlds[k]);
			talk(&worlds[k], i);
		}
		for (int k = 0; k < WORLDS; k++)
			listen_to_the_end(&worlds[k], i);
	}
	for (int k = 0; k < WORLDS; k++)
		agent_end(worlds[k].agent, SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ten_thousand_random_conversations_end_with_the_table_that_the_objects_make),
	};

	return RUN_TESTS(tests);
}
