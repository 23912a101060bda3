/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial explain: what it says is next is whom the next real dial takes; who is excluded, and why; and what goes past us. */
#include "support/testing.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/host.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/explained.h"
#include "support/kube_lists.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "table/layout.h"
#include "table/table.h"

enum { LIMIT_MS = 60000, BACKENDS = 4, DIALS = 10 };

#define WEB SERVICE_ADDRESS ":80"

static json_t *excluded(const struct backends *b, const json_t *explanation, size_t i)
{
	json_t *endpoint;
	size_t k;

	json_array_foreach(json_object_get(explained_family(explanation), "excluded"), k, endpoint)
		if (explained_backend(b, endpoint) == i)
			return endpoint;
	fail_msg("backend %zu is not excluded", i + 1);
	return NULL;
}

/*
 * Connections are kept: those that were closed count for a second, until a dial counts anew, and of that second the end may come
 * between what is told and the dial.
 */
static void assert_next_is_dialed(const struct services *s, const struct backends *b, const char *const *env)
{
	for (int i = 0; i < DIALS; i++) {
		size_t next = explained_next(b, explained_as(s, env, WEB));

		assert_int_equal(explained_next(b, explained_as(s, env, WEB)), next); /* asking takes no turn */
		assert_int_equal(dial_web_and_hold(env, NULL), next);
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
		json_t *family = explained_family(explained(s, WEB));

		assert_string_equal(explained_string(family, "told"), "by-chance");
		assert_string_equal(explained_string(family, "balance"), policies[i]);
		assert_true(json_is_null(json_object_get(family, "next")));
		assert_int_equal(explained_count(family, "candidates"), BACKENDS);
		assert_non_null(strstr(explained_text(s, WEB), "by chance, any of the 4 candidates"));
	}
}

/* ---- the schema ---- */

static void json_fits_its_schema(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);

	(void)state;
	explained_by_schema(s, "web");
	backends_stop(b, 1);
	for (int i = 0; i < 2; i++)
		dial_web(s->env);
	assert_int_equal(explained_count(explained_family(explained_by_schema(s, "web")), "excluded"), 1);
	services_publish(s, "{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\", \"fd00::20\"], \"ports\": [ { "
			    "\"name\": \"dns\", \"port\": 80, \"protocol\": \"UDP\" } ], \"endpoints\": [] }");
	assert_explained_pass(explained_by_schema(s, "web:dns"), "not-tcp");
	publish_objects(s, NULL, NULL, service_object("db", "None", ":80", NULL, NULL),
			slice_object("db", 1, ":81", "127.0.0.2 127.0.0.3,r0,s1,t1 127.0.0.4,r0"), NULL);
	assert_int_equal(explained_count(explained_family(explained_by_schema(s, "db")), "excluded"), 2);
}

/* ---- where settings come from ---- */

static void settings_say_where_they_come_from(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	json_t *root = explained(s, WEB);

	(void)state;
	assert_explained_setting(root, "balance", "hash", "file");
	assert_explained_setting(root, "attempts", "3", "default");
	publish_objects(s, NULL, NULL,
			service_object("web", SERVICE_ADDRESS, ":80", "'annotations': { 'fairdial.dev/balance': 'random' }", NULL),
			slice_object("web", 1, ":81", "127.0.0.1"), NULL);
	assert_explained_setting(explained(s, "web"), "balance", "random", "annotation");
}

static void the_environment_goes_before_the_table(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	const char *const *env = with_env(s->env, "FAIRDIAL_BALANCE=round_robin", NULL);
	struct process *p;

	(void)state;
	assert_explained_setting(explained_as(s, env, WEB), "balance", "round_robin", "environment");
	assert_next_is_dialed(s, b, env);
	assert_explained_pass(explained_as(s, with_env(NULL, "FAIRDIAL=off", NULL), WEB), "process-off");
	assert_explained_setting(explained_as(s, with_env(NULL, "FAIRDIAL=off", NULL), WEB), "mode", "off", "environment");
	assert_explained_pass(explained_as(s, with_env(NULL, "FAIRDIAL_EXCEPT=web", NULL), WEB), "left-out");
	assert_explained_pass(explained_as(s, with_env(NULL, "FAIRDIAL_ONLY=db", NULL), WEB), "left-out");
	assert_explained_pass(explained_as(s, with_env(NULL, "FAIRDIAL=observe", NULL), WEB), "observed");
	assert_explained_setting(explained_as(s, with_env(NULL, "FAIRDIAL_BALANCE=fairly", NULL), WEB), "balance", "hash", "file");
	p = run(with_env(NULL, "FAIRDIAL_BALANCE=f\033airly", NULL), built("fairdial"), "explain", "--dir", s->dir, WEB, NULL);
	assert_non_null(strstr(p->out_text, "FAIRDIAL_BALANCE=f?airly is not understood"));
}

static void the_mode_of_a_file_is_for_all(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	char *entry = service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 2, NULL);

	(void)state;
	assert_int_equal(services_try(s, format("{ \"mode\": \"observe\", \"services\": [ %s ] }", entry))->exit_status, 0);
	assert_explained_pass(explained(s, WEB), "observed");
	assert_explained_setting(explained(s, WEB), "mode", "observe", "file");
	assert_true(json_is_object(json_object_get(explained_family(explained(s, WEB)), "next"))); /* where it would be counted */
	assert_non_null(strstr(explained_text(s, WEB), "mode observe: counted, and not changed"));
	assert_int_equal(services_try(s, format("{ \"mode\": \"off\", \"services\": [ %s ] }", entry))->exit_status, 0);
	assert_explained_pass(explained(s, WEB), "service-off");
}

static json_int_t active(const json_t *explanation)
{
	json_t *candidates = json_object_get(explained_family(explanation), "candidates"), *one;
	json_int_t sum = 0;
	size_t i;

	json_array_foreach(candidates, i, one)
		sum += json_integer_value(json_object_get(one, "active"));
	return sum;
}

/* No dial by turns asks the kernel which connections have ended: whoever explains it does. */
static void connections_that_have_ended_are_not_open(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), "\"balance\": \"round_robin\"");

	(void)state;
	for (int i = 0; i < 3; i++)
		dial_web(s->env);
	assert_int_equal(active(explained(s, WEB)), 0);
	dial_web_and_hold(s->env, NULL);
	assert_int_equal(active(explained(s, WEB)), 1);
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
		dial_web(s->env);
	e = excluded(b, explained(s, WEB), 2);
	assert_string_equal(explained_string(e, "reason"), "ejected");
	assert_true(json_integer_value(json_object_get(e, "ejected_ms")) > 0);
	assert_int_equal(json_integer_value(json_object_get(e, "refusals")), 1);
	assert_non_null(strstr(explained_text(s, WEB), "ejected for "));
	assert_non_null(strstr(explained_text(s, WEB), "after 1 refusal and 0 timeouts in a row"));
	assert_next_is_dialed(s, b, s->env); /* and turns that come to nothing are followed by the next one */
}

static void where_all_are_out_the_one_that_is_next_is_told(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"eject_percent\": 100, \"eject_for\": \"10m\", \"eject_max\": \"10m\"");
	json_t *root;
	size_t next;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		backends_stop(b, i);
	run(s->env, built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);
	for (size_t i = 0; i < 2; i++)
		backends_restart(b, i);
	root = explained_by_schema(s, WEB);
	next = explained_next(b, root);
	assert_int_equal(explained_count(explained_family(root), "excluded"), 2);
	assert_true(json_is_true(json_object_get(json_object_get(explained_family(root), "next"), "last_resort")));
	assert_non_null(strstr(explained_text(s, WEB), "all are ejected: the one whose last failure is longest ago"));
	assert_int_equal(dial_web(s->env), next);
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
	assert_string_equal(explained_string(excluded(b, root, 1), "reason"), "not-ready");
	assert_string_equal(explained_string(excluded(b, root, 2), "reason"), "terminating");
	assert_int_equal(explained_count(explained_family(root), "candidates"), 2);
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
	assert_string_equal(explained_string(excluded(b, explained(s, WEB), 1), "reason"), "left-out");
	assert_int_equal(explained_next(b, explained(s, WEB)), 0);
}

static void a_service_without_endpoints_passes(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			service_object("db", "127.96.0.22", ":80", NULL, NULL), slice_object("db", 1, ":81", "127.0.0.2"), NULL);
	assert_explained_pass(explained(s, WEB), "no-endpoint");
	assert_non_null(strstr(explained_text(s, WEB), "no endpoint can be dialed"));
}

static void without_a_ledger_nobody_knows_who_is_next(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	json_t *root;

	(void)state;
	write_file(s->ledger, "no ledger", 9);
	root = explained_by_schema(s, WEB);
	assert_string_equal(explained_string(explained_family(root), "told"), "no-ledger");
	assert_true(json_is_null(json_object_get(explained_family(root), "next")));
	assert_non_null(json_string_value(json_object_get(json_object_get(root, "table"), "ledger_error")));
	assert_non_null(strstr(explained_text(s, WEB), "the counts are not known"));
	assert_non_null(strstr(explained_text(s, WEB), "cannot be told: without a ledger each process chooses for itself"));
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
	one = explained_next(b, explained(s, WEB));
	assert_true(json_is_false(json_object_get(explained_family(explained(s, WEB)), "pinned")));
	assert_int_equal(dial_web(s->env), one);
	family = explained_family(explained(s, WEB));
	assert_true(json_is_true(json_object_get(family, "pinned")));
	assert_int_equal(json_integer_value(json_object_get(family, "affinity_s")), 10800);
	backends_stop(b, one);
	assert_int_not_equal(dial_web(s->env), one);
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
	assert_int_equal(explained_count(explained_family(root), "candidates"), 2);
	assert_true(json_is_object(json_object_get(explained_family(root), "next")));
}

/* Its names answer with whom was foretold in front, whom a program then dials by its own address. */
static void who_comes_first_in_the_names_of_a_headless_service_is_told(void **state)
{
	static const char *const policies[] = { "round_robin", "least_conn", "hash" };
	struct dns *dns = dns_start();
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	const char *port = format("%d", backends_port(b, 0));
	const char *pods = format("%s %s %s", backends_address(b, 0), backends_address(b, 1), backends_address(b, 2));

	(void)state;
	dns_set(dns, "web", pods);
	for (size_t i = 0; i < 3; i++) {
		publish_objects(s, NULL, NULL,
				service_object("web", "None", format(":%s", port),
					       format("'annotations': { 'fairdial.dev/balance': '%s' }", policies[i]), NULL),
				slice_object("web", 1, format(":%s", port), pods), NULL);
		for (int dials = 0; dials < 5; dials++) {
			size_t next = explained_next(b, explained_as(s, s->env, "web"));
			struct process *p = process_start(&(struct start){
				.argv = ARGV(built("helpers/dialer"), "--hold", "web", port), .env = s->env, .interactive = true });

			process_expect(p, "ready", LIMIT_MS);
			assert_string_equal(process_line(p, LIMIT_MS), format("backend-%zu", next + 1));
		}
	}
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
	assert_string_equal(explained_string(explained_family(explained(s, "[fd00::20]:80")), "family"), "ipv6");
	port = json_array_get(json_object_get(explained_family(explained(s, WEB)), "excluded"), 0);
	assert_string_equal(explained_string(port, "reason"), "other-family");
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
	assert_says(s, "fd00::2", 2, "which port? [fd00::2]:PORT");
	assert_says(s, "127.0.0.2:65536", 2, "expected ADDR:PORT");
	assert_says(s, "[fd00::2]:http", 2, "expected ADDR:PORT");
	assert_says(s, SERVICE_ADDRESS ":0", 2, "expected ADDR:PORT");
	assert_says(s, "[fd00::2]:80", 1, "no Service has this address");
	assert_says(s, "db:0x50", 1, "has no port 0x50");
	assert_says(s, "db:+80", 1, "has no port +80");
	assert_says(s, "db:ht\033tp", 1, "has no port ht?tp");
	assert_says(s, "\033]0;x\007:80\033", 1, "?]0;x?");
	assert_says(s, ":80", 2, "expected NAME");
	assert_says(s, "db:", 2, "expected NAME");
	assert_says(s, "", 2, "expected NAME");
}

static void a_mistyped_name_is_answered_with_those_that_are_near(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("payments", SERVICE_ADDRESS, ":80", NULL, NULL),
			service_object("payment", "127.96.0.21", ":80", NULL, NULL),
			service_object("db", "127.96.0.22", ":80", NULL, NULL), slice_object("db", 1, ":81", "127.0.0.2"), NULL);
	assert_says(s, "paymnets", 1, "is payments.shop, payment.shop meant?");
	assert_says(s, "paymentz", 1, "is payment.shop, payments.shop meant?");
	assert_says(s, "Payments.shpo", 1, "no Service 'Payments.shpo', but there is payments.shop");
	assert_says(s, "bd", 1, "is db.shop meant?");
	assert_says(s, "da", 1, "is db.shop meant?");
	assert_says(s, "x", 1, "`fairdial status` lists those there are");
	assert_says(s, format("%0200d", 0), 1, "`fairdial status` lists those there are");
}

static void a_name_without_a_namespace_is_one_of_its_own(void **state)
{
	struct services *s = services_open();

	(void)state;
	services_publish(s, "{ \"name\": \"web\", \"addresses\": [\"127.96.0.21\"], \"ports\": [ { \"port\": 80 } ], "
			    "\"endpoints\": [ \"127.0.0.1:81\" ] }, { \"name\": \"web\", \"namespace\": \"shop\", \"addresses\": "
			    "[\"127.96.0.22\"], \"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"127.0.0.1:82\" ] }");
	assert_string_equal(explained_string(explained(s, "web"), "namespace"), "");
	assert_string_equal(explained_string(explained(s, "web.shop"), "namespace"), "shop");
	assert_string_equal(explained_string(explained(s, "WEB.shop.svc.cluster.local.:80"), "namespace"), "shop");
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

/* As an agent left it that was heard at this time, of this boot or (`boot` not 0) of another; of one that is not known: -1. */
static void make_heard(const struct services *s, uint64_t heartbeat_ms, int boot)
{
	size_t size;
	char *bytes = read_file(s->table, &size);
	struct table_head *head = (void *)bytes;

	head->flags &= ~(uint64_t)TABLE_STATIC;
	host_boot_id(head->boot_id);
	if (boot)
		memset(head->boot_id, boot < 0 ? 0 : boot, sizeof(head->boot_id));
	head->heartbeat_ms = heartbeat_ms;
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	write_file(s->table, bytes, size);
}

static void assert_dial_says(const struct services *s, const char *text)
{
	struct process *p = run(with_env(s->env, "FAIRDIAL_TRACE=all", NULL), built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);

	if (!strstr(p->err_text, text))
		fail_msg("the trace does not say \"%s\": %s", text, p->err_text);
}

static bool is_stale(const json_t *root)
{
	return json_is_true(json_object_get(json_object_get(root, "table"), "stale"));
}

static void a_stale_table_is_not_believed(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			slice_object("web", 1, ":81", "127.0.0.2"), NULL);
	make_heard(s, 1, -1);
	if (clock_boot_ms() < 120000)
		skip_because("the machine runs for less than two minutes: no agent has been silent for longer");
	assert_explained_pass(explained_by_schema(s, WEB), "stale");
	assert_true(is_stale(explained(s, WEB)));
	assert_non_null(strstr(explained_text(s, WEB), "agent silent for "));
	assert_non_null(strstr(explained_text(s, WEB), "no longer believed"));
	assert_dial_says(s, "the table is too old");
}

static void a_table_of_another_boot_is_passed_over(void **state)
{
	struct services *s = services_open();

	(void)state;
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			slice_object("web", 1, ":81", "127.0.0.2"), NULL);
	make_heard(s, clock_boot_ms(), 1);
	assert_says(s, WEB, 1, "table: it is of an earlier boot of this machine");
	assert_dial_says(s, "of another boot");
}

/* Five seconds are enough for names to be left to DNS, and a minute for dials. */
static void names_are_believed_for_less_long_than_addresses(void **state)
{
	struct services *s = services_open();

	(void)state;
	if (clock_boot_ms() < 20000)
		skip_because("the machine runs for less than twenty seconds");
	publish_objects(s, NULL, NULL, service_object("web", SERVICE_ADDRESS, ":80", NULL, NULL),
			slice_object("web", 1, ":81", "127.0.0.2"), service_object("db", "None", ":80", NULL, NULL),
			slice_object("db", 1, ":81", "127.0.0.3"), NULL);
	make_heard(s, clock_boot_ms() - 10000, 0);
	assert_explained_pass(explained_by_schema(s, "db"), "quiet");
	assert_true(is_stale(explained(s, "db")));
	assert_false(is_stale(explained(s, "web")));
	assert_true(json_is_false(json_object_get(explained_family(explained(s, "web")), "passes_through")));
}

/* ---- ten thousand ---- */

static void one_of_ten_thousand_services_is_told(void **state)
{
	enum { SERVICES = 10000 };
	struct services *s = services_open();
	char *text = malloc((size_t)SERVICES * 160), *at = text;
	json_t *next;

	(void)state;
	after_test(free, text);
	for (int i = 0; i < SERVICES; i++)
		at += sprintf(at, "%s{ \"name\": \"web%d\", \"addresses\": [\"127.97.%d.%d\"], \"ports\": [ { \"port\": 80 } ], "
				  "\"endpoints\": [ \"127.98.%d.%d:81\" ] }",
			      i ? ", " : "", i, i / 250, i % 250 + 1, i / 250, i % 250 + 1);
	services_publish(s, text);
	next = json_object_get(explained_family(explained(s, "web7777:80")), "next");
	assert_string_equal(explained_string(next, "address"), "127.98.31.28");
	assert_string_equal(explained_string(explained(s, "127.97.39.250:80"), "service"), "web9999");
}

/* ---- pipes and terminals ---- */

static const char *on_terminal(const struct services *s, const char *const *env)
{
	struct process *p = process_start(&(struct start){ .argv = ARGV(built("fairdial"), "explain", "--dir", s->dir, "web"),
							   .env = env, .on_terminal = true });

	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	return p->out_text;
}

/* Without what colours a text, and a terminal's carriage returns. */
static char *plain_of(const char *text)
{
	char *plain = format("%s", text), *to = plain;

	for (; *text; text++) {
		if (*text == '\033')
			text += strcspn(text, "m");
		else if (*text != '\r')
			*to++ = *text;
	}
	*to = '\0';
	return plain;
}

static void colours_are_for_terminals_alone(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	const char *coloured = on_terminal(s, with_env(NULL, "TERM=xterm", "NO_COLOR", NULL)), *plain = explained_text(s, "web");

	(void)state;
	assert_non_null(strstr(coloured, "\033[1;32m"));
	assert_null(strchr(plain, '\033'));
	assert_string_equal(strstr(plain_of(coloured), "  policy"), strstr(plain, "  policy")); /* before that is the age */
	assert_null(strchr(on_terminal(s, with_env(NULL, "TERM=dumb", "NO_COLOR", NULL)), '\033'));
	assert_null(strchr(on_terminal(s, with_env(NULL, "TERM=xterm", "NO_COLOR=1", NULL)), '\033'));
	assert_int_equal(run_shell(NULL, "%s explain --dir %s web >/dev/full", built("fairdial"), s->dir)->exit_status, 1);
	assert_int_equal(run_shell(NULL, "%s explain --json --dir %s web >/dev/full", built("fairdial"), s->dir)->exit_status, 1);
}

static void nothing_is_cut_off(void **state)
{
	enum { ENDPOINTS = 300 };
	struct services *s = services_open();
	char *endpoints = malloc(ENDPOINTS * 32), *at = endpoints, name[TABLE_NAME_SIZE];
	const char *text;

	(void)state;
	after_test(free, endpoints);
	memset(name, 'w', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < ENDPOINTS; i++)
		at += sprintf(at, "%s\"127.98.%d.%d:81\"", i ? ", " : "", i / 200, i % 200 + 1);
	services_publish(s, format("{ \"name\": \"%s\", \"namespace\": \"%s\", \"addresses\": [\"" SERVICE_ADDRESS "\"], "
				   "\"ports\": [ { \"port\": 80 } ], \"endpoints\": [ %s ] }", name, name, endpoints));
	text = explained_text(s, WEB);
	for (int i = 0; i < ENDPOINTS; i++)
		assert_non_null(strstr(text, format("    127.98.%d.%d:81 ", i / 200, i % 200 + 1)));
	assert_non_null(strstr(text, format("%s.%s", name, name)));
}

/* Whoever may write a table may write these: the checker of names is the agent's. */
static void texts_of_a_table_are_not_obeyed(void **state)
{
	struct services *s = services_open();
	struct table_builder *b = builder_new();
	struct spec_port *port;
	const char *text;

	(void)state;
	builder_service(b, "w\033]0;x\007\n\xc2\x9b" "eb.na\rme", SERVICE_ADDRESS);
	port = builder_port(b, 80, PROTOCOL_TCP, "127.0.0.1:81");
	port->name = "ht\033[2Jtp";
	port->endpoints[0].zone = "a\033[31m\n\xff";
	b->spec.source = "file \033[2J/x";
	publish_alone(s->dir, b);
	text = explained_text(s, WEB);
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' && *at != '\n')
			fail_msg("byte %#x: %s", *at, text);
	assert_null(strstr(text, "\xc2\x9b"));
	assert_null(strstr(text, "\nme"));
	assert_non_null(strstr(text, "zone a?[31m??"));
	explained_by_schema(s, WEB);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_turn_of_round_robin_is_told),
		TEST(the_emptiest_by_least_conn_is_told),
		TEST(the_one_that_hash_says_is_told),
		TEST(weights_are_followed),
		TEST(policies_that_draw_are_said_to),
		TEST(json_fits_its_schema),
		TEST(settings_say_where_they_come_from),
		TEST(the_environment_goes_before_the_table),
		TEST(the_mode_of_a_file_is_for_all),
		TEST(connections_that_have_ended_are_not_open),
		TEST(one_that_refused_is_ejected_and_the_next_is_another),
		TEST(where_all_are_out_the_one_that_is_next_is_told),
		TEST(those_that_are_not_ready_or_end_are_excluded),
		TEST(those_of_another_node_are_left_out),
		TEST(a_service_without_endpoints_passes),
		TEST(without_a_ledger_nobody_knows_who_is_next),
		TEST(a_pin_is_told),
		TEST(a_headless_service_is_told_by_name),
		TEST(who_comes_first_in_the_names_of_a_headless_service_is_told),
		TEST(both_families_are_told_each_by_itself),
		TEST(what_is_nearest_is_named),
		TEST(a_mistyped_name_is_answered_with_those_that_are_near),
		TEST(a_name_without_a_namespace_is_one_of_its_own),
		TEST(usage_errors_are_one_line),
		TEST(without_a_table_it_says_so),
		TEST(a_stale_table_is_not_believed),
		TEST(a_table_of_another_boot_is_passed_over),
		TEST(names_are_believed_for_less_long_than_addresses),
		TEST(one_of_ten_thousand_services_is_told),
		TEST(colours_are_for_terminals_alone),
		TEST(nothing_is_cut_off),
		TEST(texts_of_a_table_are_not_obeyed),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
