/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll-out by looking first, live: all Services observed, then one on, then none, by what a person changes, while clients go on
 * dialing that nobody starts again.
 *
 * The addresses of two Services are live servers, "backend-1" and "backend-2", in the place of kube-proxy: who answers tells
 * whether a dial was spread, and a dial that is not spread succeeds.
 */
#include "support/testing.h"

#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, ENDPOINTS = 3, BACKENDS = 2 + 2 * ENDPOINTS, DIALS = 30 };

static const char *const names[2] = { "web", "api" };

struct rollout {
	struct backends *b;
	struct services *s;
	struct api_server *api;
	struct agent_run *a;
	struct process *clients[2]; /* of web and of api: one dial for each line */
	unsigned dials;
};

/* The first endpoint of a Service; the others follow. */
static size_t first_of(size_t i)
{
	return 2 + i * ENDPOINTS;
}

/* ---- what a person does ---- */

static void annotate(const struct rollout *r, size_t i, const char *mode)
{
	const char *address = backends_address(r->b, i);

	api_put_json(r->api, KUBE_SERVICE,
		     format("{'metadata':{'name':'%s','annotations':{'fairdial.dev/balance':'round_robin'%s}},'spec':"
			    "{'type':'ClusterIP','clusterIP':'%s','clusterIPs':['%s'],"
			    "'ports':[{'name':'http','port':%d,'protocol':'TCP'}]}}",
			    names[i], mode ? format(",'fairdial.dev/mode':'%s'", mode) : "", address, address,
			    backends_port(r->b, i)));
}

/* As a mounted ConfigMap changes; NULL: it is deleted. */
static void write_map(const struct rollout *r, const char *text)
{
	static int version;

	version++;
	assert_clean(run_shell(NULL, "mkdir %s/..%d", r->s->root, version));
	if (text)
		write_file(format("%s/..%d/services.json", r->s->root, version), text, strlen(text));
	assert_clean(run_shell(NULL, "cd %s && ln -s ..%d ..data_tmp && mv -T ..data_tmp ..data && "
			       "ln -sfn ..data/services.json map.json",
			       r->s->root, version));
}

/* ---- who dials meanwhile ---- */

static struct process *client(const struct rollout *r, size_t i)
{
	const char *const argv[] = { built("helpers/dialer"), "--step", backends_address(r->b, i),
				     format("%d", backends_port(r->b, i)), NULL };

	return process_start(&(struct start){ .argv = argv, .env = r->s->env, .interactive = true });
}

/* One dial of a client that has run since the beginning: the number of who answered. */
static unsigned dial(struct rollout *r, size_t i)
{
	const char *line;
	unsigned who = 0;

	process_say(r->clients[i], "\n");
	line = process_line(r->clients[i], LIMIT_MS);
	if (!line || sscanf(line, "backend-%u", &who) != 1)
		fail_msg("dial %u, of %s, failed: %s", r->dials, names[i], line ? line : "the client has ended");
	r->dials++;
	return who;
}

/* So many dials of a Service: all by kube-proxy's place, or all spread evenly. */
static void assert_passes(struct rollout *r, size_t i)
{
	for (int n = 0; n < DIALS; n++)
		assert_int_equal(dial(r, i), i + 1);
}

static void assert_spread(struct rollout *r, size_t i)
{
	unsigned counts[BACKENDS] = { 0 };

	for (int n = 0; n < DIALS; n++)
		counts[dial(r, i) - 1]++;
	assert_even(counts + first_of(i), ENDPOINTS, DIALS, 0);
}

/* ---- what status says ---- */

static json_t *service_of(const struct rollout *r, size_t i)
{
	json_t *service;
	size_t at;

	json_array_foreach(json_object_get(services_status(r->s), "services"), at, service)
		if (strcmp(json_string_value(json_object_get(service, "name")), names[i]) == 0)
			return service;
	return NULL;
}

static const char *mode_of(const struct rollout *r, size_t i)
{
	json_t *service = service_of(r, i);

	return service ? json_string_value(json_object_get(service, "mode")) : "none";
}

/* Both clients dial all the while. */
static void wait_for_modes(struct rollout *r, const char *web, const char *api)
{
	long begun = now_ms();

	while (strcmp(mode_of(r, 0), web) != 0 || strcmp(mode_of(r, 1), api) != 0) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the modes are %s and %s, not %s and %s", mode_of(r, 0), mode_of(r, 1), web, api);
		dial(r, 0);
		dial(r, 1);
	}
}

static const char *text_of(const struct rollout *r, const char *name)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", r->s->dir, name, NULL);

	assert_clean(p);
	return p->out_text;
}

static bool is_observed(const struct rollout *r, size_t i)
{
	return json_is_true(json_object_get(service_of(r, i), "observed"));
}

/* ---- the scene ---- */

static const char *endpoints_of(const struct rollout *r, size_t i)
{
	char *text = format("%s", "");

	for (size_t j = first_of(i); j < first_of(i) + ENDPOINTS; j++)
		text = format("%s%s%s:%d", text, *text ? " " : "", backends_address(r->b, j), backends_port(r->b, j));
	return text;
}

static struct rollout *begin(const char *map, const char *mode)
{
	struct rollout *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	after_test(free, r);
	r->b = backends_start(BACKENDS, ONE_PORT);
	r->s = services_open();
	r->api = api_start(NULL);
	for (size_t i = 0; i < 2; i++) {
		size_t first = first_of(i);

		annotate(r, i, NULL);
		api_put_slice(r->api, format("%s-1", names[i]), names[i], format("http:%d", backends_port(r->b, 0)),
			      format("%s %s %s", backends_address(r->b, first), backends_address(r->b, first + 1),
				     backends_address(r->b, first + 2)));
	}
	write_map(r, map);
	r->a = agent_start(r->api, r->s->dir, ARGV("--services", format("-%s/map.json", r->s->root), "--mode", mode));
	for (size_t i = 0; i < 2; i++)
		agent_wait(r->a, format("%s:%d", backends_address(r->b, i), backends_port(r->b, i)), endpoints_of(r, i));
	agent_wait_vouched(r->a, true);
	for (size_t i = 0; i < 2; i++)
		r->clients[i] = client(r, i);
	return r;
}

static void end(struct rollout *r)
{
	for (size_t i = 0; i < 2; i++) {
		process_close_input(r->clients[i]);
		process_wait(r->clients[i], LIMIT_MS);
		assert_int_equal(r->clients[i]->exit_status, 0); /* no dial failed */
	}
}

static void assert_would_be_spread(const struct rollout *r, size_t i)
{
	unsigned counts[ENDPOINTS], dials = 0;

	for (size_t j = 0; j < ENDPOINTS; j++) {
		struct endpoint_status status = services_backend(r->s, names[i], r->b, first_of(i) + j);

		assert_int_equal(status.active, 0);
		counts[j] = (unsigned)status.dials;
		dials += counts[j];
	}
	assert_true(dials >= DIALS && is_observed(r, i));
	assert_even(counts, ENDPOINTS, dials, 1);
	assert_non_null(strstr(text_of(r, names[i]),
			       format("observed: dials pass unchanged; %u counted since the table was made, spread %u/%u/%u: "
				      "these would have been, or were while the mode was on\n", dials,
				      counts[0], counts[1], counts[2])));
}

static void all_is_observed_then_one_is_on_then_all_is_off_and_no_dial_fails(void **state)
{
	struct rollout *r = begin("{ \"defaults\": { \"mode\": \"observe\" } }", "on");
	long counted;

	(void)state;
	wait_for_modes(r, "observe", "observe");
	assert_passes(r, 0);
	assert_passes(r, 1);

	assert_would_be_spread(r, 0);
	assert_would_be_spread(r, 1);

	annotate(r, 0, "on");
	wait_for_modes(r, "on", "observe");
	assert_spread(r, 0);
	assert_passes(r, 1);
	assert_false(is_observed(r, 0));
	assert_true(is_observed(r, 1));
	assert_null(strstr(text_of(r, "web"), "observed"));

	write_map(r, "{ \"mode\": \"off\", \"defaults\": { \"mode\": \"observe\" } }");
	wait_for_modes(r, "off", "off");
	counted = services_backend(r->s, "web", r->b, 2).dials;
	assert_passes(r, 0);
	assert_passes(r, 1);
	assert_int_equal(services_backend(r->s, "web", r->b, 2).dials, counted);

	write_map(r, "{ \"defaults\": { \"mode\": \"observe\" } }");
	wait_for_modes(r, "on", "observe");
	assert_spread(r, 0);
	assert_passes(r, 1);
	end(r);
	print_message("%u dials, none failed\n", r->dials);
}

/* "on, annotation": the mode of web, and who says so. */
static const char *web_says(const struct rollout *r)
{
	json_t *mode = json_object_get(json_object_get(service_of(r, 0), "policy"), "mode");

	return format("%s, %s", json_string_value(json_object_get(mode, "value")),
		      json_string_value(json_object_get(mode, "origin")));
}

static void wait_for_web(struct rollout *r, const char *says)
{
	long begun = now_ms();

	while (!service_of(r, 0) || strcmp(web_says(r), says) != 0) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the mode of web is \"%s\", not \"%s\"", web_says(r), says);
		dial(r, 0);
	}
}

/* The file's entry, the annotation, the file's defaults, the agent's option: each goes before those that follow. */
static void mode_is_of_the_first_that_says_it(void **state)
{
	struct rollout *r = begin(NULL, "off");

	(void)state;
	wait_for_web(r, "off, option");
	assert_passes(r, 0);
	write_map(r, "{ \"defaults\": { \"mode\": \"observe\" } }");
	wait_for_web(r, "observe, file");
	assert_passes(r, 0);
	annotate(r, 0, "on");
	wait_for_web(r, "on, annotation");
	assert_spread(r, 0);
	write_map(r, format("{ \"defaults\": { \"mode\": \"observe\" },\n"
			    "  \"services\": [ { \"name\": \"web\", \"namespace\": \"shop\", \"mode\": \"off\",\n"
			    "    \"addresses\": [\"%s\"], \"ports\": [ { \"port\": %d } ], \"endpoints\": [] } ] }",
			    backends_address(r->b, 0), backends_port(r->b, 0)));
	wait_for_web(r, "off, file");
	assert_passes(r, 0);
	write_map(r, NULL);
	wait_for_web(r, "on, annotation");
	assert_spread(r, 0);
	annotate(r, 0, NULL);
	wait_for_web(r, "off, option");
	assert_passes(r, 0);
	assert_string_equal(mode_of(r, 1), "off");
	end(r);
}

/* ---- what observing counts ---- */

static void observed_dials_of_every_kind_are_counted_and_hold_nothing(void **state)
{
	static const char *const kinds[] = { "--timeout=9000", "--nonblocking", "--fastopen", "--v6mapped" };
	struct backends *b = backends_start(1 + ENDPOINTS, ONE_PORT);
	struct services *s = services_at_first(b, "\"mode\": \"observe\"");
	struct process *p;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		p = process_start(&(struct start){
			.argv = ARGV(built("helpers/dialer"), kinds[i], "--hold", "--count", "30", backends_address(b, 0),
				     format("%d", backends_port(b, 0))),
			.env = s->env,
			.interactive = true });
		process_expect(p, "ready", LIMIT_MS);
		backends_wait_open(b, 30, LIMIT_MS);
		assert_int_equal(backends_open(b, 0), 30);
		assert_int_equal(claims_in(s->ledger), 0); /* without an agent, and before anybody mends */
		for (size_t j = 1; j <= ENDPOINTS; j++)
			assert_int_equal(services_backend(s, "web", b, j).dials, 10 * (long)(i + 1));
		process_close_input(p);
		process_wait(p, LIMIT_MS);
		assert_int_equal(p->exit_status, 0);
		backends_wait_open(b, 0, LIMIT_MS);
	}
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	assert_non_null(strstr(p->out_text, "    observed: dials pass unchanged; 120 counted since the table was made, "
					    "spread 40/40/40: "));
}

static void status_of_an_observed_service_without_dials_says_so(void **state)
{
	struct backends *b = backends_start(1 + ENDPOINTS, ONE_PORT);
	struct services *s = services_at_first(b, "\"mode\": \"observe\"");
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);

	(void)state;
	assert_non_null(strstr(p->out_text, "    observed: dials pass unchanged; none was counted yet\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_observed_then_one_is_on_then_all_is_off_and_no_dial_fails),
		TEST(mode_is_of_the_first_that_says_it),
		TEST(observed_dials_of_every_kind_are_counted_and_hold_nothing),
		TEST(status_of_an_observed_service_without_dials_says_so),
	};

	return RUN_TESTS(tests);
}
