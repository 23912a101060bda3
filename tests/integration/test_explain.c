/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial explain: what it says is next is whom the next real dial takes; who is excluded, and why; and what goes past us. */
#include "support/testing.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/kube_lists.h"
#include "support/process.h"
#include "support/services.h"
#include "table/layout.h"
#include "table/table.h"

enum { LIMIT_MS = 60000, BACKENDS = 4, DIALS = 20 };

#define WEB SERVICE_ADDRESS ":80"

/* ---- what it says ---- */

static void forget(void *json)
{
	json_decref(json);
}

static json_t *parse(const struct process *p)
{
	json_error_t error;
	json_t *json = json_loads(p->out_text, 0, &error);

	if (p->exit_status || !json)
		fail_msg("explain exits with %d, %s: %s%s", p->exit_status, error.text, p->out_text, p->err_text);
	after_test(forget, json);
	return json;
}

/* As a process of this environment would dial; it may be that of a preloaded one. */
static json_t *explain_as(const struct services *s, const char *const *env, const char *operand)
{
	return parse(run(env, built("fairdial"), "explain", "--json", "--dir", s->dir, operand, NULL));
}

static json_t *explained(const struct services *s, const char *operand)
{
	return explain_as(s, NULL, operand);
}

static const char *explained_text(const struct services *s, const char *operand)
{
	struct process *p = run(NULL, built("fairdial"), "explain", "--dir", s->dir, operand, NULL);

	assert_clean(p);
	return p->out_text;
}

/* Of the first port and family. */
static json_t *family_of(const json_t *explanation)
{
	json_t *port = json_array_get(json_object_get(explanation, "ports"), 0);
	json_t *family = json_array_get(json_object_get(port, "families"), 0);

	assert_non_null(family);
	return family;
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("\"%s\" is no text", key);
	return text;
}

static size_t count_of(const json_t *family, const char *key)
{
	return json_array_size(json_object_get(family, key));
}

static size_t backend_at(const struct backends *b, const json_t *endpoint)
{
	for (size_t i = 0; i < backends_count(b); i++)
		if (strcmp(backends_address(b, i), string_of(endpoint, "address")) == 0 &&
		    backends_port(b, i) == json_integer_value(json_object_get(endpoint, "port")))
			return i;
	fail_msg("%s is no backend", string_of(endpoint, "address"));
	return 0;
}

/* Which backend is next; the test fails where none is. */
static size_t next_of(const struct backends *b, const json_t *explanation)
{
	json_t *next = json_object_get(family_of(explanation), "next");

	if (!json_is_object(next))
		fail_msg("no next pick: %s", json_dumps(explanation, JSON_INDENT(1)));
	return backend_at(b, next);
}

static json_t *excluded(const struct backends *b, const json_t *explanation, size_t i)
{
	json_t *endpoint;
	size_t k;

	json_array_foreach(json_object_get(family_of(explanation), "excluded"), k, endpoint)
		if (backend_at(b, endpoint) == i)
			return endpoint;
	fail_msg("backend %zu is not excluded", i + 1);
	return NULL;
}

static void assert_passes(const json_t *explanation, const char *reason)
{
	json_t *family = family_of(explanation);

	assert_true(json_is_true(json_object_get(family, "passes_through")));
	assert_string_equal(string_of(family, "reason"), reason);
}

/* ---- what happens ---- */

static size_t answered(const char *text)
{
	unsigned counts[BACKENDS_MAX];

	assert_int_equal(tally(text, counts, BACKENDS_MAX), 0);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (counts[i])
			return i;
	fail_msg("nobody answered");
	return 0;
}

static size_t dial(const char *const *env)
{
	struct process *p = run(env, built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);

	assert_clean(p);
	return answered(p->out_text);
}

/* One that keeps its connection. */
static size_t dial_and_hold(const struct services *s, struct process **ret)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", SERVICE_ADDRESS, "80"), .env = s->env, .interactive = true });

	process_expect(p, "ready", LIMIT_MS);
	if (ret)
		*ret = p;
	return answered(process_line(p, LIMIT_MS));
}

static void assert_next_is_dialed(const struct services *s, const struct backends *b, const char *const *env)
{
	for (int i = 0; i < DIALS; i++) {
		size_t next = next_of(b, explain_as(s, env, WEB));

		assert_int_equal(next_of(b, explain_as(s, env, WEB)), next); /* asking takes no turn */
		assert_int_equal(dial(env), next);
	}
}

/* ---- each policy ---- */

static void the_next_turn_of_round_robin_is_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");

	(void)state;
	assert_next_is_dialed(s, b, s->env);
}

static void the_emptiest_by_least_conn_is_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"least_conn\"");

	(void)state;
	assert_next_is_dialed(s, b, s->env);
	for (int i = 0; i < DIALS; i++) {
		size_t next = next_of(b, explained(s, WEB));

		assert_int_equal(dial_and_hold(s, NULL), next);
	}
}

static void the_one_that_hash_says_is_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");

	(void)state;
	assert_next_is_dialed(s, b, s->env);
}

static void weights_are_followed(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	char *endpoints = format("%s", "");

	(void)state;
	for (size_t i = 0; i < 3; i++)
		endpoints = format("%s%s{ \"address\": \"%s\", \"port\": %d, \"weight\": %zu }", endpoints, i ? ", " : "",
				   backends_address(b, i), backends_port(b, i), i + 1);
	for (int i = 0; i < 2; i++) {
		services_publish(s, format("{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\"], \"ports\": [ { "
					   "\"port\": 80 } ], \"endpoints\": [ %s ], \"balance\": \"%s\" }",
					   endpoints, i ? "least_conn" : "round_robin"));
		assert_next_is_dialed(s, b, s->env);
	}
}

static void policies_that_draw_are_said_to(void **state)
{
	static const char *const policies[] = { "random", "p2c" };
	struct backends *b = backends_start(BACKENDS, ONE_PORT);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct services *s = services_of_web(b, format("\"balance\": \"%s\"", policies[i]));
		json_t *family = family_of(explained(s, WEB));

		assert_string_equal(string_of(family, "told"), "by-chance");
		assert_string_equal(string_of(family, "balance"), policies[i]);
		assert_true(json_is_null(json_object_get(family, "next")));
		assert_int_equal(count_of(family, "candidates"), BACKENDS);
		assert_non_null(strstr(explained_text(s, WEB), "by chance, any of the 4 candidates"));
	}
}

/* ---- the schema ---- */

static void assert_keys(const json_t *object, const char *const *keys)
{
	size_t n = 0;

	for (; keys[n]; n++)
		if (!json_object_get(object, keys[n]))
			fail_msg("no \"%s\" in %s", keys[n], json_dumps(object, JSON_INDENT(1)));
	assert_int_equal(json_object_size(object), n);
}

static void json_has_these_names(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	json_t *root = explained(s, "web"), *port = json_array_get(json_object_get(root, "ports"), 0), *family = family_of(root);

	(void)state;
	assert_keys(root, ARGV("service", "namespace", "addresses", "headless", "stands_down", "table", "policy", "ports"));
	assert_keys(json_object_get(root, "table"),
		    ARGV("source", "generation", "age_ms", "static", "alive", "stale", "ledger_error"));
	assert_keys(port, ARGV("name", "port", "protocol", "families"));
	assert_keys(family, ARGV("family", "passes_through", "reason", "text", "balance", "all_in", "affinity_s", "pinned", "told",
				 "next", "candidates", "excluded"));
	assert_keys(json_object_get(family, "next"), ARGV("address", "port", "trial"));
	assert_keys(json_array_get(json_object_get(family, "candidates"), 0),
		    ARGV("address", "port", "weight", "active", "dials", "failures", "zone", "trial", "share"));
	assert_keys(json_object_get(json_object_get(root, "policy"), "balance"), ARGV("value", "origin"));
}

/* ---- where settings come from ---- */

static void assert_setting(const json_t *root, const char *key, const char *value, const char *origin)
{
	json_t *setting = json_object_get(json_object_get(root, "policy"), key);

	assert_string_equal(string_of(setting, "value"), value);
	assert_string_equal(string_of(setting, "origin"), origin);
}

static void settings_say_where_they_come_from(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	json_t *root = explained(s, WEB);

	(void)state;
	assert_setting(root, "balance", "hash", "file");
	assert_setting(root, "attempts", "3", "default");
	publish_objects(s, NULL, NULL,
			service_object("web", SERVICE_ADDRESS, ":80", "'annotations': { 'fairdial.dev/balance': 'random' }", NULL),
			slice_object("web", 1, ":81", "127.0.0.1"), NULL);
	assert_setting(explained(s, "web"), "balance", "random", "annotation");
}

static void the_environment_goes_before_the_table(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	const char *const *env = with_env(s->env, "FAIRDIAL_BALANCE=round_robin", NULL);

	(void)state;
	assert_setting(explain_as(s, env, WEB), "balance", "round_robin", "environment");
	assert_next_is_dialed(s, b, env);
	assert_passes(explain_as(s, with_env(NULL, "FAIRDIAL=off", NULL), WEB), "process-off");
	assert_setting(explain_as(s, with_env(NULL, "FAIRDIAL=off", NULL), WEB), "mode", "off", "environment");
	assert_passes(explain_as(s, with_env(NULL, "FAIRDIAL_EXCEPT=web", NULL), WEB), "left-out");
	assert_passes(explain_as(s, with_env(NULL, "FAIRDIAL_ONLY=db", NULL), WEB), "left-out");
	assert_passes(explain_as(s, with_env(NULL, "FAIRDIAL=observe", NULL), WEB), "observed");
	assert_setting(explain_as(s, with_env(NULL, "FAIRDIAL_BALANCE=fairly", NULL), WEB), "balance", "hash", "file");
}

/* ---- who is excluded ---- */

static void one_that_refused_is_ejected_and_the_next_is_another(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\", \"eject_for\": \"10m\", \"eject_max\": \"10m\"");
	json_t *e;

	(void)state;
	backends_stop(b, 2);
	for (int i = 0; i < BACKENDS; i++)
		dial(s->env);
	e = excluded(b, explained(s, WEB), 2);
	assert_string_equal(string_of(e, "reason"), "ejected");
	assert_true(json_integer_value(json_object_get(e, "ejected_ms")) > 0);
	assert_int_equal(json_integer_value(json_object_get(e, "refusals")), 1);
	assert_non_null(strstr(explained_text(s, WEB), "ejected for "));
	assert_non_null(strstr(explained_text(s, WEB), "after 1 refusal and 0 timeouts in a row"));
	assert_next_is_dialed(s, b, s->env); /* and turns that come to nothing are followed by the next one */
}

static void those_that_are_not_ready_or_end_are_excluded(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_open();
	json_t *root;

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			slice_object("web", 1, format(":%d", backends_port(b, 0)),
				     format("%s %s,r0 %s,r0,s1,t1 %s", backends_address(b, 0), backends_address(b, 1),
					    backends_address(b, 2), backends_address(b, 3))),
			NULL);
	root = explained(s, "web.shop:80");
	assert_string_equal(string_of(excluded(b, root, 1), "reason"), "not-ready");
	assert_string_equal(string_of(excluded(b, root, 2), "reason"), "terminating");
	assert_int_equal(count_of(family_of(root), "candidates"), 2);
	assert_next_is_dialed(s, b, s->env);
}

static void those_of_another_node_are_left_out(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();

	(void)state;
	publish_objects(s, "node-a", NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, "'internalTrafficPolicy': 'Local'"),
			slice_object("web", 1, format(":%d", backends_port(b, 0)),
				     format("%s,n=node-a %s,n=node-b", backends_address(b, 0), backends_address(b, 1))),
			NULL);
	assert_string_equal(string_of(excluded(b, explained(s, WEB), 1), "reason"), "left-out");
	assert_int_equal(next_of(b, explained(s, WEB)), 0);
}

static void a_service_without_endpoints_passes(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			service_object("db", "127.96.0.22", ":80", NULL, NULL), slice_object("db", 1, ":81", "127.0.0.2"), NULL);
	assert_passes(explained(s, WEB), "no-endpoint");
	assert_non_null(strstr(explained_text(s, WEB), "no endpoint can be dialed"));
}

/* ---- pins, names ---- */

static void a_pin_is_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_open();
	json_t *family;
	size_t one;

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, "'sessionAffinity': 'ClientIP'"),
			slice_object("web", 1, format(":%d", backends_port(b, 0)),
				     format("%s %s %s %s", backends_address(b, 0), backends_address(b, 1), backends_address(b, 2),
					    backends_address(b, 3))),
			NULL);
	one = next_of(b, explained(s, WEB));
	assert_true(json_is_false(json_object_get(family_of(explained(s, WEB)), "pinned")));
	assert_int_equal(dial(s->env), one);
	family = family_of(explained(s, WEB));
	assert_true(json_is_true(json_object_get(family, "pinned")));
	assert_int_equal(json_integer_value(json_object_get(family, "affinity_s")), 10800);
	backends_stop(b, one);
	assert_int_not_equal(dial(s->env), one);
	assert_next_is_dialed(s, b, s->env);
}

static void a_headless_service_is_told_by_name(void **state)
{
	struct services *s = services_open();
	json_t *root;

	(void)state;
	publish_objects(s, NULL, NULL, service_object("db", "None", ":80", NULL, NULL),
			slice_object("db", 1, ":81", "127.0.0.2 127.0.0.3"), NULL);
	root = explained(s, "db.shop.svc.cluster.local:80");
	assert_true(json_is_true(json_object_get(root, "headless")));
	assert_int_equal(count_of(family_of(root), "candidates"), 2);
	assert_true(json_is_object(json_object_get(family_of(root), "next")));
}

static void both_families_are_told_each_by_itself(void **state)
{
	struct services *s = services_open();
	json_t *port;

	(void)state;
	services_publish(s, "{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\", \"fd00::20\"], \"ports\": [ { "
			    "\"port\": 80 } ], \"endpoints\": [ \"127.0.0.1:81\", \"[::1]:81\" ] }");
	port = json_array_get(json_object_get(explained(s, "web"), "ports"), 0);
	assert_int_equal(json_array_size(json_object_get(port, "families")), 2);
	assert_string_equal(string_of(family_of(explained(s, "[fd00::20]:80")), "family"), "ipv6");
	port = json_array_get(json_object_get(family_of(explained(s, WEB)), "excluded"), 0);
	assert_string_equal(string_of(port, "reason"), "other-family");
}

/* ---- what is no Service's ---- */

static void assert_says(const struct services *s, const char *operand, int exit_status, const char *text)
{
	struct process *p = run(NULL, built("fairdial"), "explain", "--dir", s->dir, operand, NULL);

	assert_error(p, exit_status);
	if (!strstr(p->err_text, text))
		fail_msg("'%s': \"%s\" does not say \"%s\"", operand, p->err_text, text);
}

static void what_is_nearest_is_named(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			service_object("web.test", "127.96.0.21", ":80", NULL, NULL),
			service_object("db", "127.96.0.22", ":80", NULL, NULL), slice_object("web", 1, ":81", "127.0.0.2"), NULL);
	assert_says(s, SERVICE_ADDRESS ":81", 1, SERVICE_ADDRESS " is Service web.shop, but it has no port 81");
	assert_says(s, "127.0.0.2:81", 1, "an endpoint of web.shop");
	assert_says(s, "127.0.0.9:81", 1, "no Service has this address");
	assert_says(s, "web", 1, "name one of web.shop, web.test");
	assert_says(s, "db.test", 1, "no Service 'db.test', but there is db.shop");
	assert_says(s, "db:81", 1, "has no port 81: its ports: 80");
	assert_says(s, "nothing\033[2J", 1, "no Service 'nothing?[2J'");
	assert_says(s, "127.0.0.2", 2, "which port?");
	assert_says(s, ":80", 2, "expected NAME");
}

static void usage_errors_are_one_line(void **state)
{
	(void)state;
	assert_error(run(NULL, built("fairdial"), "explain", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "explain", "web", "db", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "explain", "web", "--pid", "1", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "explain", "--pid", "x", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "explain", "--pid", "0", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "explain", "web", "--fd", "3", NULL), 2);
}

static void without_a_table_it_says_so(void **state)
{
	struct services *s = services_open();

	(void)state;
	assert_says(s, "web", 1, "table: there is none");
}

/* As an agent left it that has been silent since the machine was started, or was there before that (`boot` not 0). */
static void make_stale(const struct services *s, int boot)
{
	size_t size;
	char *bytes = read_file(s->table, &size);
	struct table_head *head = (void *)bytes;

	head->flags &= ~(uint64_t)TABLE_STATIC;
	memset(head->boot_id, boot, sizeof(head->boot_id));
	head->heartbeat_ms = 1;
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	write_file(s->table, bytes, size);
}

static void a_stale_table_is_not_believed(void **state)
{
	struct services *s = services_open();
	struct process *p;

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			slice_object("web", 1, ":81", "127.0.0.2"), NULL);
	make_stale(s, 1);
	assert_says(s, "web", 1, "table: it is of an earlier boot of this machine");
	make_stale(s, 0);
	assert_passes(explained(s, WEB), "stale");
	assert_non_null(strstr(explained_text(s, WEB), "agent silent for "));
	p = run(with_env(s->env, "FAIRDIAL_TRACE=dial", NULL), built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);
	assert_non_null(strstr(p->err_text, "the table is too old"));
}

/* ---- ten thousand ---- */

static void one_of_ten_thousand_services_is_told(void **state)
{
	enum { SERVICES = 10000 };
	struct services *s = services_open();
	char *text = malloc((size_t)SERVICES * 160), *at = text;

	(void)state;
	after_test(free, text);
	for (int i = 0; i < SERVICES; i++)
		at += sprintf(at, "%s{ \"name\": \"web%d\", \"addresses\": [\"127.97.%d.%d\"], \"ports\": [ { \"port\": 80 } ], "
				  "\"endpoints\": [ \"127.98.%d.%d:81\" ] }",
			      i ? ", " : "", i, i / 250, i % 250 + 1, i / 250, i % 250 + 1);
	services_publish(s, text);
	assert_string_equal(string_of(json_object_get(family_of(explained(s, "web7777:80")), "next"), "address"), "127.98.31.28");
	assert_string_equal(string_of(explained(s, "127.97.39.250:80"), "service"), "web9999");
}

/* ---- processes ---- */

static struct process *explain_pid(const struct services *s, const struct process *of, const char *fd, bool json)
{
	const char *pid = format("%d", (int)of->pid), *json_or_end = json ? "--json" : NULL, *tool = built("fairdial");

	if (!fd)
		return run(NULL, tool, "explain", "--dir", s->dir, "--pid", pid, json_or_end, NULL);
	return run(NULL, tool, "explain", "--dir", s->dir, "--pid", pid, "--fd", fd, json_or_end, NULL);
}

static void connections_of_a_process_are_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	struct process *p, *text;
	size_t one = dial_and_hold(s, &p);
	json_t *connection = json_array_get(json_object_get(parse(explain_pid(s, p, NULL, true)), "connections"), 0);
	const char *fd;

	(void)state;
	assert_keys(connection, ARGV("fd", "address", "port", "endpoint", "reason", "text", "remedy", "chosen_at", "or_through",
				     "now"));
	assert_int_equal(backend_at(b, connection), one);
	assert_true(json_is_true(json_object_get(connection, "endpoint")));
	assert_true(json_is_null(json_object_get(connection, "reason")));
	assert_true(json_is_null(json_object_get(connection, "chosen_at")));
	assert_int_equal(next_of(b, json_object_get(connection, "now")), next_of(b, explained(s, WEB)));
	fd = format("%d", (int)json_integer_value(json_object_get(connection, "fd")));
	text = explain_pid(s, p, NULL, false);
	assert_clean(text);
	assert_non_null(strstr(text->out_text, format("fd %s", fd)));
	assert_int_equal(lines_of(text->out_text), 2);
	text = explain_pid(s, p, fd, false);
	assert_clean(text);
	assert_non_null(strstr(text->out_text, "chosen at  unknown"));
	assert_non_null(strstr(text->out_text, "chosen by  round_robin"));
	assert_non_null(strstr(text->out_text, "candidates"));
	assert_error(explain_pid(s, p, "0", false), 1); /* a pipe */
	assert_error(explain_pid(s, p, "99", false), 1);
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_error(run(NULL, built("fairdial"), "explain", "--dir", s->dir, "--pid", "4194304", NULL), 1);
}

static void a_connection_past_the_shim_says_why(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_at_first(b, NULL);
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", backends_address(b, 0), format("%d", backends_port(b, 0))),
		.env = with_env(s->env, "FAIRDIAL=off", NULL), .interactive = true });
	json_t *connection;

	(void)state;
	process_expect(p, "ready", LIMIT_MS);
	connection = json_array_get(json_object_get(parse(explain_pid(s, p, NULL, true)), "connections"), 0);
	assert_true(json_is_false(json_object_get(connection, "endpoint")));
	assert_non_null(json_string_value(json_object_get(connection, "reason")));
	assert_passes(json_object_get(connection, "now"), "process-off");
	assert_setting(json_object_get(connection, "now"), "mode", "off", "environment");
	process_close_input(p);
	process_wait(p, LIMIT_MS);
}

/* ---- pipes and terminals ---- */

static void colours_are_for_terminals_alone(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *const *argv = ARGV(built("fairdial"), "explain", "--dir", s->dir, "web");
	struct process *p = process_start(&(struct start){ .argv = argv, .env = with_env(NULL, "TERM=xterm", "NO_COLOR", NULL),
							   .on_terminal = true });

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	assert_non_null(strstr(p->out_text, "\033[1;32m"));
	assert_null(strchr(explained_text(s, "web"), '\033'));
	p = process_start(&(struct start){ .argv = argv, .env = with_env(NULL, "TERM=dumb", NULL), .on_terminal = true });
	process_wait(p, LIMIT_MS);
	assert_null(strchr(p->out_text, '\033'));
	assert_int_equal(run_shell(NULL, "%s explain --dir %s web >/dev/full", built("fairdial"), s->dir)->exit_status, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_turn_of_round_robin_is_told),
		TEST(the_emptiest_by_least_conn_is_told),
		TEST(the_one_that_hash_says_is_told),
		TEST(weights_are_followed),
		TEST(policies_that_draw_are_said_to),
		TEST(json_has_these_names),
		TEST(settings_say_where_they_come_from),
		TEST(the_environment_goes_before_the_table),
		TEST(one_that_refused_is_ejected_and_the_next_is_another),
		TEST(those_that_are_not_ready_or_end_are_excluded),
		TEST(those_of_another_node_are_left_out),
		TEST(a_service_without_endpoints_passes),
		TEST(a_pin_is_told),
		TEST(a_headless_service_is_told_by_name),
		TEST(both_families_are_told_each_by_itself),
		TEST(what_is_nearest_is_named),
		TEST(usage_errors_are_one_line),
		TEST(without_a_table_it_says_so),
		TEST(a_stale_table_is_not_believed),
		TEST(one_of_ten_thousand_services_is_told),
		TEST(connections_of_a_process_are_told),
		TEST(a_connection_past_the_shim_says_why),
		TEST(colours_are_for_terminals_alone),
	};

	return RUN_TESTS(tests);
}
