/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headless Services, from end to end: objects of the API and a DNS server in, the pods that real programs reach out. By default
 * their names answer the pods in the order of the policy; with `headless: address` they are Services as any other.
 */
#include "support/testing.h"

#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kube_lists.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"

enum { PODS = 3, DIALS = 12, LIMIT_MS = 30000 };

#define WEB "web.shop.svc.cluster.local"

struct scene {
	struct backends *pods;
	struct services *services;
	struct dns *dns;
	const char *port;
};

static char *annotations(const char *list)
{
	return format("'annotations': { %s }", list);
}

static char *policy(const char *key, const char *value)
{
	return annotations(format("'fairdial.dev/%s': '%s'", key, value));
}

/* "A,r0 B C": pods 1, 2 and 3 with their details, for a slice; `details` as in "1,r0 2 3". */
static char *endpoints_of(const struct backends *b, const char *details)
{
	char *list = format("%s", ""), *copy = format("%s", details), *word;

	while ((word = strsep(&copy, " ")))
		list = format("%s %s%s", list, backends_address(b, (size_t)(word[0] - '1')), word + 1);
	return list;
}

static char *addresses_of(const struct backends *b)
{
	char *list = format("%s", backends_address(b, 0));

	for (size_t i = 1; i < backends_count(b); i++)
		list = format("%s %s", list, backends_address(b, i));
	return list;
}

static void publish_web(const struct scene *s, const char *metadata, const char *details)
{
	const char *port = format(":%s", s->port);

	publish_objects(s->services, NULL, NULL, service_object("web", "None", port, metadata, NULL),
			slice_object("web", 1, port, endpoints_of(s->pods, details)), NULL);
}

/* The headless Service web over three pods, which DNS knows as well. */
static struct scene open_scene(const char *metadata)
{
	struct scene s = { .dns = dns_start(), .pods = backends_start(PODS, ONE_PORT), .services = services_open() };

	s.port = format("%d", backends_port(s.pods, 0));
	dns_set(s.dns, "web", addresses_of(s.pods));
	publish_web(&s, metadata, "1 2 3");
	return s;
}

/* ---- what programs reach ---- */

static void assert_spread(const struct scene *s, const char *const *argv, size_t count, size_t at_once, unsigned slack)
{
	size_t failed;
	char *answers = run_many(&(struct start){ .argv = argv, .env = s->services->env }, count, at_once, &failed);

	assert_int_equal(failed, 0);
	assert_even_answers(answers, PODS, (unsigned)lines_of(answers), slack);
}

static void each_program_is_spread(const char *balance)
{
	struct scene s = open_scene(policy("balance", balance));
	const char *python = repository("tests/helpers/clients.py"), *node = repository("tests/helpers/clients.js");
	const char *url = format("http://web:%s/", s.port);
	unsigned slack = strcmp(balance, "round_robin") == 0 ? 0 : 1;

	assert_spread(&s, ARGV("curl", "-sS", "--max-time", "20", url), DIALS, 1, slack);
	assert_spread(&s, ARGV("curl", "-sS", "--max-time", "20", format("http://" WEB ":%s/", s.port)), DIALS, 1, slack);
	assert_spread(&s, ARGV("python3", python, "socket", "web.shop", s.port, "12"), 1, 1, slack);
	if (program_exists("node"))
		assert_spread(&s, ARGV("node", node, "net", "web", s.port, "12"), 1, 1, slack);
	assert_status_matches(s.services, "web", s.pods);
	/* gethostbyname_ex looks up twice, and each time counts; over three pods that is even all the same. */
	assert_spread(&s, ARGV("python3", python, "host", WEB, s.port, "12"), 1, 1, slack);
	assert_true(dns_answered(s.dns) >= 4 * DIALS); /* nobody but DNS says who the pods are */
}

static void lookups_and_dials_of_each_program_go_round(void **state)
{
	(void)state;
	each_program_is_spread("round_robin");
}

static void lookups_and_dials_of_each_program_are_even_by_load(void **state)
{
	(void)state;
	each_program_is_spread("least_conn");
}

static void many_processes_at_once_go_round_exactly(void **state)
{
	struct scene s = open_scene(policy("balance", "round_robin"));

	(void)state;
	assert_spread(&s, ARGV(built("helpers/dialer"), "web", s.port), 60, 8, 0);
}

static void connections_that_stay_open_are_even(void **state)
{
	struct scene s = open_scene(NULL);
	struct process *p[7];

	(void)state;
	for (size_t i = 0; i < 7; i++)
		p[i] = process_start(&(struct start){
			.argv = ARGV(built("helpers/dialer"), "--hold", "web", s.port),
			.env = s.services->env,
			.interactive = true,
		});
	for (size_t i = 0; i < 7; i++)
		process_expect(p[i], "ready", LIMIT_MS);
	for (size_t i = 0; i < PODS; i++)
		assert_in_range(backends_open(s.pods, i), 2, 3);
}

static void a_program_of_musl_is_spread(void **state)
{
	struct scene s = open_scene(policy("balance", "round_robin"));
	char *program = format("%s/dialer", scratch_dir());

	(void)state;
	if (!program_exists("musl-gcc"))
		skip_because("there is no musl-gcc");
	assert_clean(run(NULL, "musl-gcc", "-D_GNU_SOURCE", "-o", program, repository("tests/helpers/dialer.c"), NULL));
	assert_spread(&s, ARGV(program, "web", s.port), DIALS, 1, 0);
	assert_spread(&s, ARGV(program, WEB, s.port), DIALS, 1, 0);
}

/* ---- what lookups answer ---- */

/* The addresses of getent's lines, each once, in their order: "127.0.0.1 127.0.0.2". */
static char *order_in(const char *text)
{
	char *order = format("%s", ""), *copy = format("%s", text), *line;

	while ((line = strsep(&copy, "\n"))) {
		char *address = strsep(&line, " ");

		if (*address && !strstr(format(" %s ", order), format(" %s ", address)))
			order = format("%s%s%s", order, *order ? " " : "", address);
	}
	return order;
}

static struct process *getent(const char *const *env, const char *database, const char *name)
{
	struct process *p = run(env, "getent", database, name, NULL);

	assert_clean(p);
	return p;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a text, sorted. */
static char *sorted(const char *text)
{
	char *words[256], *copy = format("%s", text), *word, *all = format("%s", "");
	size_t n = 0;

	while ((word = strsep(&copy, " \n")))
		if (*word && n < 256)
			words[n++] = word;
	qsort(words, n, sizeof(*words), by_text);
	for (size_t i = 0; i < n; i++)
		all = format("%s%s ", all, words[i]);
	return all;
}

static void the_pod_with_the_fewest_connections_is_first(void **state)
{
	struct scene s = open_scene(NULL);
	static const size_t loads[] = { 1, 2, 0 };

	(void)state;
	for (size_t i = 0; i < PODS; i++) {
		const char *count = format("%zu", loads[i]), *address = backends_address(s.pods, i);

		if (loads[i])
			process_expect(process_start(&(struct start){
					       .argv = ARGV(built("helpers/dialer"), "--hold", "--count", count, address, s.port),
					       .interactive = true,
				       }),
				       "ready", LIMIT_MS);
	}
	/* Nobody has told the ledger: the lookup itself asks the kernel. */
	assert_string_equal(order_in(getent(s.services->env, "ahostsv4", "web")->out_text),
			    format("%s %s %s", backends_address(s.pods, 2), backends_address(s.pods, 0),
				   backends_address(s.pods, 1)));
}

static void by_hash_the_order_is_always_the_same(void **state)
{
	struct scene s = open_scene(policy("balance", "hash"));
	const char *order = order_in(getent(s.services->env, "ahosts", "web")->out_text);

	(void)state;
	assert_string_equal(sorted(order), sorted(addresses_of(s.pods)));
	for (int i = 0; i < 4; i++)
		assert_string_equal(order_in(getent(s.services->env, "ahosts", "web")->out_text), order);
}

static void every_address_becomes_the_first(const struct scene *s, const char *database, const char *name)
{
	struct process *native = getent(NULL, database, name);
	bool was_first[PODS] = { false };

	for (int i = 0; i < PODS; i++) {
		struct process *p = getent(s->services->env, database, name);
		const char *order = order_in(p->out_text);

		/* Types, protocols and the canonical name in their places, and the same addresses. */
		assert_string_equal(sorted(p->out_text), sorted(native->out_text));
		for (size_t k = 0; k < PODS; k++)
			was_first[k] |= strncmp(order, format("%s ", backends_address(s->pods, k)),
						strlen(backends_address(s->pods, k)) + 1) == 0;
	}
	for (size_t k = 0; k < PODS; k++)
		assert_true(was_first[k]);
}

static void nothing_is_lost_and_the_canonical_name_stays(void **state)
{
	struct scene s = open_scene(policy("balance", "round_robin"));

	(void)state;
	every_address_becomes_the_first(&s, "ahosts", "web");
	every_address_becomes_the_first(&s, "ahostsv4", WEB);
	every_address_becomes_the_first(&s, "ahostsv4", WEB ".");
	assert_non_null(strstr(getent(s.services->env, "ahosts", "web")->out_text, WEB));
	assert_non_null(strstr(getent(s.services->env, "hosts", "web")->out_text, WEB));
}

/* What the resolver helper says, with and without the shim: the same but for the order. */
static void every_way_to_ask_gets_the_same_addresses(void **state)
{
	struct scene s = open_scene(NULL);
	struct process *native = run(NULL, built("helpers/resolver"), "web", NULL);

	(void)state;
	assert_clean(native);
	for (int i = 0; i < 3; i++) {
		struct process *p = run(s.services->env, built("helpers/resolver"), "web", NULL);

		assert_clean(p);
		assert_string_equal(sorted(p->out_text), sorted(native->out_text));
	}
}

static void a_dual_stack_service_is_in_order_in_both_families(void **state)
{
	struct scene s = open_scene(NULL);
	const char *port = format(":%s", s.port), *all = format("%s fd00::1 fd00::2 fd00::3", addresses_of(s.pods));
	struct process *native, *p;

	(void)state;
	dns_set(s.dns, "dual", all);
	publish_objects(s.services, NULL, NULL, service_object("dual", "None", port, policy("balance", "round_robin"), NULL),
			slice_object("dual", 1, port, addresses_of(s.pods)),
			slice_object("dual", 2, port, "fd00::1,r0 fd00::2 fd00::3,r0"), NULL);
	if (run(NULL, "getent", "ahostsv6", "dual", NULL)->exit_status)
		skip_because("there is no IPv6");
	every_address_becomes_the_first(&s, "ahostsv4", "dual");
	assert_string_equal(sorted(getent(s.services->env, "ahosts", "dual")->out_text),
			    sorted(getent(NULL, "ahosts", "dual")->out_text));
	native = getent(NULL, "ahostsv6", "dual");
	p = getent(s.services->env, "ahostsv6", "dual");
	assert_string_equal(sorted(p->out_text), sorted(native->out_text));
	assert_int_equal(strncmp(native->out_text, "fd00::1 ", 8), 0);
	assert_int_equal(strncmp(p->out_text, "fd00::2 ", 8), 0);
}

static void a_pod_that_is_not_ready_is_last(void **state)
{
	struct scene s = open_scene(NULL);

	(void)state;
	publish_web(&s, policy("balance", "round_robin"), "1,r0 2 3");
	for (int i = 0; i < 6; i++) {
		const char *order = order_in(getent(s.services->env, "ahosts", "web")->out_text);

		assert_string_equal(strrchr(order, ' ') + 1, backends_address(s.pods, 0));
		assert_string_equal(sorted(order), sorted(addresses_of(s.pods)));
	}
}

static void a_pod_that_dns_does_not_know_is_not_made_up(void **state)
{
	struct scene s = open_scene(NULL);
	const char *port = format(":%s", s.port), *two = format("%s %s", backends_address(s.pods, 0), backends_address(s.pods, 1));

	(void)state;
	dns_set(s.dns, "late", two);
	publish_objects(s.services, NULL, NULL, service_object("late", "None", port, policy("balance", "round_robin"), NULL),
			slice_object("late", 1, port, addresses_of(s.pods)), NULL);
	for (int i = 0; i < 6; i++)
		assert_string_equal(sorted(order_in(getent(s.services->env, "ahosts", "late")->out_text)), sorted(two));
	assert_int_equal(services_backend(s.services, "late", s.pods, 2).dials, 0);
	assert_int_equal(services_backend(s.services, "late", s.pods, 0).dials +
				 services_backend(s.services, "late", s.pods, 1).dials,
			 6);
}

/* ---- what is left alone ---- */

/* Looked up often, it stays as DNS has it. */
static void assert_untouched(const char *const *env, const char *name)
{
	const char *native = getent(NULL, "ahosts", name)->out_text;

	for (int i = 0; i < 5; i++) {
		assert_string_equal(getent(env, "ahosts", name)->out_text, native);
		assert_string_equal(getent(env, "hosts", name)->out_text, getent(NULL, "hosts", name)->out_text);
	}
}

static void names_of_pods_and_names_in_hosts_are_untouched(void **state)
{
	struct scene s = open_scene(policy("balance", "round_robin"));
	const char *port = format(":%s", s.port);

	(void)state;
	dns_set(s.dns, "web-0.web.shop.svc.cluster.local", addresses_of(s.pods));
	assert_untouched(s.services->env, "web-0.web");
	assert_untouched(s.services->env, "web-0.web.shop.svc.cluster.local");
	publish_objects(s.services, NULL, NULL, service_object("hosted", "None", port, NULL, NULL),
			slice_object("hosted", 1, port, addresses_of(s.pods)), NULL);
	assert_untouched(s.services->env, "hosted.shop.svc.cluster.local");
	for (size_t i = 0; i < PODS; i++)
		assert_int_equal(services_backend(s.services, "hosted", s.pods, i).dials, 0);
}

static void who_switched_it_off_gets_what_dns_says(void **state)
{
	struct scene s = open_scene(policy("balance", "round_robin"));

	(void)state;
	assert_untouched(with_env(s.services->env, "FAIRDIAL=off", NULL), "web");
	assert_untouched(with_env(s.services->env, "FAIRDIAL_EXCEPT=web", NULL), "web");
	assert_untouched(with_env(s.services->env, "FAIRDIAL_ONLY=other", NULL), "web");
	publish_web(&s, policy("mode", "off"), "1 2 3");
	assert_untouched(s.services->env, "web");
	publish_web(&s, annotations("'fairdial.dev/balance': 'round_robin'"), "1 2 3");
	every_address_becomes_the_first(&s, "ahosts", "web");
}

/* Dials of all pods. */
static long counted(const struct scene *s)
{
	long dials = 0;

	for (size_t i = 0; i < 3; i++)
		dials += services_backend(s->services, "web", s->pods, i).dials;
	return dials;
}

static void an_observed_name_is_untouched_counted_and_traced(void **state)
{
	struct scene s = open_scene(policy("mode", "observe"));
	struct process *p;
	long before;

	(void)state;
	assert_untouched(s.services->env, "web");
	p = run(with_env(s.services->env, "FAIRDIAL_TRACE=names", NULL), "getent", "ahosts", "web", NULL);
	assert_string_equal(p->out_text, getent(NULL, "ahosts", "web")->out_text);
	assert_non_null(strstr(p->err_text, "names: " WEB " passed: mode observe, first would be "));
	before = counted(&s);
	for (int i = 0; i < 30; i++)
		getent(s.services->env, "ahosts", "web");
	assert_int_equal(claims_in(s.services->ledger), 0); /* before status mends them */
	assert_int_equal(counted(&s), before + 30);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(services_backend(s.services, "web", s.pods, i).dials, before / 3 + 9, before + 11);
	publish_web(&s, NULL, "1 2 3");
	before = counted(&s);
	p = run(with_env(s.services->env, "FAIRDIAL_TRACE=names", "FAIRDIAL=observe", NULL), "getent", "ahosts", "web", NULL);
	assert_non_null(strstr(p->err_text, "names: " WEB " passed: mode observe, first would be "));
	assert_int_equal(counted(&s), before + 1);
	p = run(with_env(s.services->env, "FAIRDIAL_TRACE=names", NULL), "getent", "ahosts", "web", NULL);
	assert_non_null(strstr(p->err_text, "names: " WEB " -> in order, first "));
	assert_non_null(strstr(p->err_text, " least_conn"));
}

/* ---- headless: address ---- */

static void with_headless_address_it_is_a_service_as_any_other(void **state)
{
	struct scene s = open_scene(annotations("'fairdial.dev/headless': 'address', 'fairdial.dev/balance': 'round_robin'"));
	unsigned before = dns_answered(s.dns);
	struct process *p = getent(s.services->env, "ahostsv4", "web");

	(void)state;
	assert_in_range(atoi(p->out_text), 240, 255); /* allocated */
	assert_null(strchr(order_in(p->out_text), ' '));
	assert_spread(&s, ARGV("curl", "-sS", "--max-time", "20", format("http://web:%s/", s.port)), DIALS, 4, 0);
	assert_spread(&s, ARGV(built("helpers/dialer"), "--count", "6", WEB, s.port), 2, 1, 0);
	assert_status_matches(s.services, "web", s.pods);
	assert_int_equal(dns_answered(s.dns), before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(lookups_and_dials_of_each_program_go_round),
		TEST(lookups_and_dials_of_each_program_are_even_by_load),
		TEST(many_processes_at_once_go_round_exactly),
		TEST(connections_that_stay_open_are_even),
		TEST(a_program_of_musl_is_spread),
		TEST(the_pod_with_the_fewest_connections_is_first),
		TEST(by_hash_the_order_is_always_the_same),
		TEST(nothing_is_lost_and_the_canonical_name_stays),
		TEST(every_way_to_ask_gets_the_same_addresses),
		TEST(a_dual_stack_service_is_in_order_in_both_families),
		TEST(a_pod_that_is_not_ready_is_last),
		TEST(a_pod_that_dns_does_not_know_is_not_made_up),
		TEST(names_of_pods_and_names_in_hosts_are_untouched),
		TEST(who_switched_it_off_gets_what_dns_says),
		TEST(an_observed_name_is_untouched_counted_and_traced),
		TEST(with_headless_address_it_is_a_service_as_any_other),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
