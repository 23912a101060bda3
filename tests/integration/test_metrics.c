/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tells over HTTP: numbers of real dials, exact; the health of its watches; whether it is ready; and that no client
 * can hold it up. Those who read it are Prometheus itself, promtool, and the parser of its Python client.
 */
#include "support/testing.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "metrics/http.h"
#include "metrics/metrics.h"
#include "metrics/tally.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/moves.h"
#include "support/pools.h"
#include "support/process.h"
#include "support/scrapes.h"
#include "support/services.h"
#include "support/spread.h"

enum { LIMIT_MS = 60000 };

#define LONG_EJECTION ROUND_ROBIN ", \"eject_for\": \"5m\""

/* ---- an agent over a services file ---- */

struct shop {
	struct services *s;
	struct backends *b;
	struct agent_run *a;
	int port;
};

/* Whole at once: the agent reads no half of it. */
static void write_entries(struct services *s, const char *entries)
{
	const char *text = format("{ \"services\": [ %s ] }\n", entries), *next = format("%s.next", s->file);

	write_file(next, text, strlen(text));
	assert_int_equal(rename(next, s->file), 0);
}

static void follow(struct shop *shop)
{
	shop->a = agent_start_alone(shop->s->dir, ARGV("--services", shop->s->file, LISTEN_ANY));
	shop->port = listen_port(shop->a);
	wait_page(shop->port, "/readyz", 200);
}

static struct shop open_shop(const char *list, const char *more)
{
	struct shop shop = { .s = services_open(), .b = backends_start(strlen(list), ONE_PORT) };

	write_entries(shop.s, list_entry(shop.b, list, more));
	follow(&shop);
	return shop;
}

/* Returns when the table has it. */
static void change(struct shop *shop, const char *list, const char *more)
{
	double before = sample_of(scrape(shop->port), "fairdial_table_generation");

	write_entries(shop->s, list_entry(shop->b, list, more));
	wait_sample_above(shop->port, "fairdial_table_generation", before);
}

static void dial(struct shop *shop, int times)
{
	for (int i = 0; i < times; i++)
		assert_clean(run(shop->s->env, "curl", "-sS", "--max-time", "30", "http://" SERVICE_ADDRESS "/", NULL));
}

static double web(struct shop *shop, const char *name, const char *label)
{
	return sample_of(scrape(shop->port), web_sample(name, label));
}

static void dials_are_counted_exactly_and_only_grow(void **state)
{
	struct shop shop = open_shop("iii", ROUND_ROBIN);

	(void)state;
	assert_true(web(&shop, "dials_total", NULL) == 0);
	dial(&shop, 12);
	assert_true(web(&shop, "dials_total", NULL) == 12);
	assert_true(web(&shop, "failures_total", NULL) == 0);
	assert_true(web(&shop, "evenness_ratio", NULL) == 1);
	assert_true(web(&shop, "evenness_random_ratio", NULL) < 0.9);
	wait_sample(shop.port, web_sample("open_connections", NULL), 0);
	change(&shop, "i--", ROUND_ROBIN);
	assert_true(web(&shop, "dials_total", NULL) == 12); /* of which eight were of those that left */
	assert_true(web(&shop, "endpoints", "state=\"usable\"") == 1);
	dial(&shop, 6);
	assert_true(web(&shop, "dials_total", NULL) == 18);
	change(&shop, "in-", ROUND_ROBIN ", \"mode\": \"observe\"");
	assert_true(web(&shop, "endpoints", "state=\"excluded\"") == 1);
	assert_true(web(&shop, "mode", "mode=\"observe\"") == 1);
	assert_false(has_sample(scrape(shop.port), web_sample("mode", "mode=\"on\"")));
	assert_true(web(&shop, "dials_total", NULL) == 18);
}

static void failures_and_ejections_are_counted(void **state)
{
	struct shop shop = open_shop("iii", LONG_EJECTION);

	(void)state;
	backends_stop(shop.b, 1);
	dial(&shop, 9);
	wait_sample(shop.port, web_sample("ejections_total", NULL), 1);
	assert_true(web(&shop, "dials_total", NULL) == 10);
	assert_true(web(&shop, "failures_total", NULL) == 1);
	assert_true(web(&shop, "endpoints", "state=\"ejected\"") == 1);
	assert_true(web(&shop, "endpoints", "state=\"usable\"") == 2);
	dial(&shop, 2);
	assert_true(web(&shop, "ejections_total", NULL) == 1);
	assert_true(web(&shop, "failures_total", NULL) == 1);
}

static void open_connections_and_moves_are_counted(void **state)
{
	static const char more[] = "\"drain\": \"idle\", " QUICK;
	struct shop shop = open_shop("ii", more);
	struct process *p = pool_start(shop.s, NULL, 6);

	(void)state;
	assert_true(web(&shop, "open_connections", NULL) == 6);
	assert_true(web(&shop, "moves_total", "reason=\"drain\"") == 0);
	change(&shop, "it", more);
	wait_sample(shop.port, web_sample("moves_total", "reason=\"drain\""), 3);
	pool_wait_ended(p, 3);
	wait_sample(shop.port, web_sample("open_connections", NULL), 3);
	assert_true(web(&shop, "moves_total", "reason=\"rebalance\"") == 0);
	assert_true(web(&shop, "would_have_moved_total", "reason=\"drain\"") == 0);
}

static void an_agent_that_follows_another_begins_with_nothing(void **state)
{
	struct shop shop = open_shop("iii", ROUND_ROBIN);

	(void)state;
	dial(&shop, 6);
	assert_true(web(&shop, "dials_total", NULL) == 6);
	agent_end(shop.a, SIGTERM);
	dial(&shop, 3);
	follow(&shop);
	assert_true(web(&shop, "dials_total", NULL) == 0);
	assert_true(web(&shop, "evenness_ratio", NULL) == 1); /* of all nine */
	dial(&shop, 3);
	assert_true(web(&shop, "dials_total", NULL) == 3);
}

static void an_agent_without_a_ledger_tells_of_its_list_alone(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;
	const char *text;
	int port;

	(void)state;
	write_entries(s, "{ \"name\": \"web\", \"namespace\": \"shop\", \"addresses\": [\"10.96.0.1\"], "
			 "\"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"10.0.0.1:80\", \"10.0.0.2:80\" ] }");
	for (int i = 0; i < 2; i++) {
		a = agent_start_alone(scratch_dir(),
				      ARGV("--services", s->file, i ? "--no-ledger" : "--per-namespace", LISTEN_ANY));
		port = listen_port(a);
		wait_page(port, "/readyz", 200);
		text = scrape(port);
		assert_true(sample_of(text, "fairdial_table_services") == 1);
		assert_true(sample_of(text, "fairdial_table_endpoints") == 2);
		assert_true(sample_of(text, "fairdial_table_generation") == 1);
		assert_true(sample_of(text, "fairdial_table_published_total{kind=\"whole\"}") == 1);
		assert_int_equal(samples_of(text, "fairdial_service"), 0);
		agent_end(a, SIGTERM);
	}
}

enum { MANY = 10000 };

static void write_many(struct services *s)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (unsigned i = 0; i < MANY; i++)
		fprintf(out,
			"%s{ \"name\": \"s%05u\", \"namespace\": \"shop\", \"addresses\": [\"10.96.%u.%u\"], "
			"\"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"10.0.%u.%u:80\" ] }",
			i ? ",\n" : "", i, i / 250, i % 250, i / 250, i % 250);
	assert_int_equal(fclose(out), 0);
	write_entries(s, text);
	free(text);
}

static const char one_service[] = "{ \"name\": \"a\", \"ports\": [ { \"port\": 80 } ], \"endpoints\": [ \"10.0.0.1:80\" ] }";

/* Files may not have more than four megabytes, as on a volume that is full. */
static void what_cannot_be_published_is_counted_and_makes_it_not_ready(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;
	struct answer answer;
	int port;

	(void)state;
	write_entries(s, one_service);
	a = agent_start_as(&(struct agent_setup){
		.dir = s->dir,
		.before = ARGV("bash", "-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "bash"),
		.more = ARGV("--services", s->file, LISTEN_ANY) });
	port = listen_port(a);
	wait_page(port, "/readyz", 200);
	assert_true(sample_of(scrape(port), "fairdial_table_publish_failures_total") == 0);
	write_many(s);
	answer = wait_page(port, "/readyz", 503);
	assert_non_null(strstr(answer.body, "the last table stays"));
	assert_true(sample_of(scrape(port), "fairdial_table_publish_failures_total") >= 1);
	assert_true(sample_of(scrape(port), "fairdial_table_services") == 1);
	assert_true(sample_of(scrape(port), "fairdial_trouble") == 1);
	write_entries(s, one_service);
	wait_page(port, "/readyz", 200);
	wait_sample(port, "fairdial_trouble", 0);
}

/* ---- the API ---- */

static const char *of_slices(const char *name)
{
	return format("fairdial_api_%s{resource=\"endpointslices\"}", name);
}

static const char *of_services(const char *name)
{
	return format("fairdial_api_%s{resource=\"services\"}", name);
}

static int follow_api(struct api_server *api, const char *dir, struct agent_run **ret_agent)
{
	*ret_agent = agent_start(api, dir, ARGV(LISTEN_ANY));
	return listen_port(*ret_agent);
}

static void watches_and_readiness_go_and_come_with_the_api(void **state)
{
	struct api_server *api = api_start(NULL);
	struct services *s = services_open();
	struct answer answer;
	struct agent_run *a;
	int port;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1");
	port = follow_api(api, s->dir, &a);
	wait_page(port, "/readyz", 200);
	assert_true(sample_of(scrape(port), of_slices("watching")) == 1);
	assert_true(sample_of(scrape(port), of_services("watching")) == 1);
	assert_true(sample_of(scrape(port), of_slices("lists_total")) == 1);
	assert_true(sample_of(scrape(port), of_slices("failures_total")) == 0);
	assert_true(sample_of(scrape(port), of_slices("last_contact_seconds")) < LIMIT_MS / 1000.0);
	assert_true(sample_of(scrape(port), "fairdial_trouble") == 0);

	api_forbid(api, "endpointslices");
	api_cut(api, "endpointslices", API_CUT_RST);
	answer = wait_page(port, "/readyz", 503);
	assert_int_equal(lines_of(answer.body), 1);
	wait_sample(port, "fairdial_trouble", 1);
	answer = wait_page(port, "/readyz", 503);
	assert_non_null(strstr(answer.body, "403"));
	assert_true(sample_of(scrape(port), of_slices("watching")) == 0);
	assert_true(sample_of(scrape(port), of_services("watching")) == 1);
	assert_true(sample_of(scrape(port), of_slices("failures_total")) > 0);
	assert_true(sample_of(scrape(port), of_services("failures_total")) == 0);
	assert_int_equal(scrape_send(port, "GET", "/healthz", NULL).status, 200);

	api_permit(api);
	answer = wait_page(port, "/readyz", 200);
	assert_string_equal(answer.body, "ok\n");
	wait_sample(port, "fairdial_trouble", 0);
	assert_true(sample_of(scrape(port), of_slices("watching")) == 1);
	assert_true(sample_of(scrape(port), of_slices("watches_total")) > 1);
}

static void an_agent_that_may_not_list_is_alive_and_not_ready(void **state)
{
	struct api_server *api = api_start(NULL);
	struct services *s = services_open();
	struct agent_run *a;
	const char *text;
	int port;

	(void)state;
	api_forbid(api, "namespaces/shop/");
	port = follow_api(api, s->dir, &a);
	agent_wait_trouble(a, "403");
	assert_non_null(strstr(wait_page(port, "/readyz", 503).body, "403"));
	assert_int_equal(scrape_send(port, "GET", "/healthz", NULL).status, 200);
	text = scrape(port);
	assert_true(sample_of(text, of_services("watching")) == 0);
	assert_true(sample_of(text, "fairdial_trouble") == 1);
}

static void put_slice_caused_at(struct api_server *api, const char *name, time_t caused, const char *address)
{
	char text[64];
	struct tm tm;

	assert_non_null(gmtime_r(&caused, &tm));
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	api_put_json(api, KUBE_SLICE,
		     format("{'metadata':{'name':'%s','labels':{'kubernetes.io/service-name':'web'},'annotations':{"
			    "'endpoints.kubernetes.io/last-change-trigger-time':'%s'}},'addressType':'IPv4','endpoints':[{"
			    "'addresses':['%s'],'conditions':{'ready':true}}],'ports':[{'name':'http','port':8080,'protocol':'TCP'}]}",
			    name, text, address));
}

static void changes_are_counted_and_timed_from_their_cause_to_the_table(void **state)
{
	struct api_server *api = api_start(NULL);
	struct services *s = services_open();
	struct agent_run *a;
	const char *text;
	double events, sum;
	int port;

	(void)state;
	api_put_service(api, "web", "10.96.0.1", "http:80");
	put_slice_caused_at(api, "web-1", time(NULL) - 1000, "10.0.0.1");
	port = follow_api(api, s->dir, &a);
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080");
	wait_page(port, "/readyz", 200);
	text = scrape(port);
	assert_true(sample_of(text, "fairdial_propagation_delay_seconds_count") == 0);
	events = sample_of(text, of_slices("events_total"));
	poll(NULL, 0, 1100); /* the annotation has whole seconds, and what happened before the agent began is not counted */
	put_slice_caused_at(api, "web-1", time(NULL), "10.0.0.2");
	wait_sample(port, "fairdial_propagation_delay_seconds_count", 1);
	text = scrape(port);
	assert_true(sample_of(text, of_slices("events_total")) == events + 1);
	assert_true(sample_of(text, of_services("events_total")) == 0);
	assert_true(sample_of(text, "fairdial_propagation_delay_seconds_bucket{le=\"+Inf\"}") == 1);
	assert_true(sample_of(text, "fairdial_propagation_delay_seconds_bucket{le=\"60.0\"}") == 1);
	sum = sample_of(text, "fairdial_propagation_delay_seconds_sum");
	assert_true(sum >= 0 && sum < LIMIT_MS / 1000.0);
	assert_string_equal(table_says(s->dir, "10.96.0.1:80"), "10.0.0.2:8080");
	assert_true(sample_of(text, "fairdial_table_published_total{kind=\"patch\"}") +
			    sample_of(text, "fairdial_table_published_total{kind=\"whole\"}") >= 2);
}

/* ---- HTTP ---- */

static void other_paths_and_methods_are_refused(void **state)
{
	struct shop shop = open_shop("i", NULL);
	struct answer get = scrape_send(shop.port, "GET", "/metrics", NULL);
	struct answer head = scrape_send(shop.port, "HEAD", "/metrics", NULL);
	struct answer other;

	(void)state;
	assert_int_equal(get.status, 200);
	assert_non_null(strstr(get.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
	assert_non_null(strstr(get.head, "Connection: close"));
	assert_int_equal(head.status, 200);
	assert_int_equal(head.size, 0);
	assert_non_null(strstr(head.head, "Content-Length: "));
	assert_true(atoi(strstr(head.head, "Content-Length: ") + 16) > 1000);
	assert_int_equal(scrape_send(shop.port, "GET", "/", NULL).status, 404);
	assert_int_equal(scrape_send(shop.port, "GET", "/metrics/", NULL).status, 404);
	assert_int_equal(scrape_send(shop.port, "GET", "/../metrics", NULL).status, 404);
	assert_int_equal(scrape_send(shop.port, "GET", "/metrics?name=x", NULL).status, 200);
	other = scrape_send(shop.port, "POST", "/metrics", "Content-Length: 0\r\n");
	assert_int_equal(other.status, 405);
	assert_non_null(strstr(other.head, "Allow: GET, HEAD"));
	assert_int_equal(scrape_send(shop.port, "DELETE", "/healthz", NULL).status, 405);
	assert_int_equal(scrape_send(shop.port, "PUT", "/readyz", "Content-Length: 1000000000\r\n").status, 405);
	assert_true(scrape_send(shop.port, "GET", "/metrics", format("X: %s\r\n", format("%020000d", 1))).status >= 400);
	assert_string_equal(scrape_send(shop.port, "GET", "/healthz", NULL).body, "ok\n");
	agent_end(shop.a, SIGTERM);
	assert_int_equal(shop.a->process->exit_status, 0);
}

static void version_names_the_library(void **state)
{
	struct process *p = run(NULL, built("fairdial"), "--version", NULL);

	(void)state;
	assert_clean(p);
	assert_non_null(strstr(p->out_text, format(", libmicrohttpd %s", http_version())));
}

static void open_metrics_is_told_to_who_asks_for_it(void **state)
{
	struct shop shop = open_shop("i", NULL);
	struct answer answer = scrape_send(shop.port, "GET", "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");

	(void)state;
	assert_non_null(strstr(answer.head, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
	assert_true(answer.size > 6);
	assert_string_equal(answer.body + answer.size - 6, "# EOF\n");
}

/* From another address of loopback than ours: one address has a part of the connections. */
static void slow_clients_hold_up_nobody_and_are_ended(void **state)
{
	struct shop shop = open_shop("i", NULL);
	int fds[HTTP_CONNECTIONS_OF_ADDRESS];
	long begun;

	(void)state;
	for (size_t i = 0; i < HTTP_CONNECTIONS_OF_ADDRESS; i++) {
		fds[i] = scrape_connect(shop.port, "127.0.0.2");
		scrape_write(fds[i], i % 2 ? "GET /metrics HTTP/1.1\r\nHost: agent\r\nX: " : "GET /met");
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(scrape_send(shop.port, "GET", "/metrics", NULL).status, 200);
	change(&shop, "n", NULL);
	assert_string_equal(table_says(shop.s->dir, SERVICE_ADDRESS ":80"), format("%s:%d!", backends_address(shop.b, 0),
										    backends_port(shop.b, 0)));
	begun = now_ms();
	for (size_t i = 0; i < HTTP_CONNECTIONS_OF_ADDRESS; i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };

		/* Never silent for as long as a second: that alone ends nobody's visit. */
		while (poll(&p, 1, 250) == 0) {
			if (now_ms() - begun > LIMIT_MS)
				fail_msg("connection %zu is still open", i);
			for (size_t j = i; j < HTTP_CONNECTIONS_OF_ADDRESS; j++)
				send(fds[j], "x", 1, MSG_NOSIGNAL);
		}
	}
	assert_int_equal(scrape_send(shop.port, "GET", "/metrics", NULL).status, 200);
}

static void readers_that_do_not_read_hold_up_nobody(void **state)
{
	struct shop shop = open_shop("i", NULL);
	const int small = 1;

	(void)state;
	for (size_t i = 0; i < HTTP_CONNECTIONS_OF_ADDRESS; i++) {
		int fd = scrape_connect(shop.port, "127.0.0.2");

		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		scrape_write(fd, "GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n");
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(scrape_send(shop.port, "GET", "/metrics", NULL).status, 200);
	change(&shop, "n", NULL);
}

/* ---- starting ---- */

static void assert_refused(const char *listen, const char *file, int status, const char *says)
{
	struct process *p = run(NULL, built("fairdial"), "agent", "--services", file, "--dir", scratch_dir(), "--listen", listen,
				NULL);

	assert_error(p, status);
	if (!strstr(p->err_text, says))
		fail_msg("--listen %s: \"%s\" does not say \"%s\"", listen, p->err_text, says);
}

static void addresses_that_cannot_be_are_refused_in_one_line(void **state)
{
	static const char *const bad[] = { "", "9898", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1",
					   "127.0.0.1:80x", "::1:9898", "[::1]", "localhost:9898", "[127.0.0.1]:x", "[:9898" };
	struct shop shop = open_shop("i", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], shop.s->file, 2, format("--listen %s: expected ADDR:PORT", bad[i]));
	assert_refused(format("127.0.0.1:%d", shop.port), shop.s->file, 1, format("cannot listen on 127.0.0.1:%d", shop.port));
	assert_refused("192.0.2.1:0", shop.s->file, 1, ", which is no address of this machine: --listen names one");
}

static void ipv6_is_written_in_brackets(void **state)
{
	struct services *s = services_open();
	struct process *p;
	struct agent_run *a;

	(void)state;
	write_entries(s, "");
	if (run_shell(NULL, "grep -q '^0*1 .* lo$' /proc/net/if_inet6")->exit_status)
		skip_because("loopback has no ::1");
	a = agent_start_alone(s->dir, ARGV("--services", s->file, "--listen", "[::1]:0"));
	agent_wait_log(a, "/readyz on [::1]:");
	agent_wait_log(a, "\n");
	p = run(NULL, "curl", "-sS", "--max-time", "30", "--noproxy", "*",
		format("http://[::1]:%d/healthz", atoi(strstr(a->process->err_text, "on [::1]:") + 9)), NULL);
	assert_clean(p);
	assert_string_equal(p->out_text, "ok\n");
}

static void every_address_is_also_one_of_ipv4(void **state)
{
	struct services *s = services_open();
	struct agent_run *a;
	const char *says;
	int port;

	(void)state;
	write_entries(s, "");
	a = agent_start_alone(s->dir, ARGV("--services", s->file, "--listen", ":0"));
	agent_wait_log(a, "/readyz on ");
	agent_wait_log(a, "\n");
	says = strstr(a->process->err_text, "/readyz on ") + 11;
	assert_true(strncmp(says, "[::]:", 5) == 0 || strncmp(says, "0.0.0.0:", 8) == 0);
	port = atoi(strstr(says, *says == '[' ? "]:" : "0:") + 2);
	assert_int_equal(wait_page(port, "/readyz", 200).status, 200);
}

static void an_agent_that_waits_for_another_is_alive_and_not_ready(void **state)
{
	struct shop shop = open_shop("i", NULL);
	struct agent_run *next = agent_start_alone(shop.s->dir, ARGV("--services", shop.s->file, LISTEN_ANY));
	int port = listen_port(next);
	struct answer answer = wait_page(port, "/readyz", 503);

	(void)state;
	assert_string_equal(answer.body, format("another fairdial publishes into %s: waiting for it to end\n", shop.s->dir));
	assert_string_equal(scrape_send(port, "GET", "/healthz", NULL).body, "ok\n");
	assert_false(has_sample(scrape(port), "fairdial_table_generation"));
	assert_false(has_sample(scrape(port), "fairdial_table_age_seconds")); /* nobody is to be called for a list that is not its own */
	agent_end(shop.a, SIGTERM);
	wait_page(port, "/readyz", 200);
	assert_true(sample_of(scrape(port), web_sample("endpoints", "state=\"usable\"")) == 1);
}

/* ---- many Services ---- */

static void ten_thousand_services_make_a_bounded_answer(void **state)
{
	struct services *s = services_open();
	struct answer answer;
	struct agent_run *a;
	int port;

	(void)state;
	write_many(s);
	a = agent_start_alone(s->dir, ARGV("--services", s->file, LISTEN_ANY));
	port = listen_port(a);
	wait_page(port, "/readyz", 200);
	answer = scrape_send(port, "GET", "/metrics", NULL);
	assert_int_equal(answer.status, 200);
	assert_int_equal(samples_of(answer.body, "fairdial_service_dials_total{"), TALLY_SERIES + 1);
	assert_int_equal(samples_of(answer.body, "fairdial_service_mode{"), TALLY_SERIES);
	assert_true(sample_of(answer.body, "fairdial_services_folded") == MANY - TALLY_SERIES);
	assert_true(sample_of(answer.body, "fairdial_table_services") == MANY);
	assert_true(sample_of(answer.body, "fairdial_service_endpoints{namespace=\"\",service=\"_other\",port=\"\","
					   "state=\"usable\"}") == MANY - TALLY_SERIES);
	assert_true(answer.size < 2 << 20);
}

/* ---- those who read it ---- */

/* With something of everything: an API and a file, names that must be escaped, dials, and moves that may be. */
static int open_everything(struct api_server *api, struct shop *shop)
{
	shop->s = services_open();
	shop->b = backends_start(2, ONE_PORT);
	api_put_service(api, "api", "10.96.0.1", "http:80");
	api_put_slice(api, "api-1", "api", "http:8080", "10.0.0.1");
	write_entries(shop->s, list_entry(shop->b, "ii", ROUND_ROBIN ", \"drain\": \"idle\""));
	shop->a = agent_start(api, shop->s->dir, ARGV("--services", shop->s->file, LISTEN_ANY));
	shop->port = listen_port(shop->a);
	wait_page(shop->port, "/readyz", 200);
	dial(shop, 4);
	return shop->port;
}

static void promtool_finds_nothing_to_say_about_the_plain_text(void **state)
{
	struct shop shop = { 0 };
	struct process *p;
	const char *text;

	(void)state;
	if (!program_exists("promtool"))
		skip_because("promtool is not installed: make deps");
	text = scrape(open_everything(api_start(NULL), &shop));
	p = process_start(&(struct start){ .argv = ARGV("promtool", "check", "metrics"), .input = text });
	process_wait(p, LIMIT_MS);
	if (p->exit_status || p->err_length || p->out_length)
		fail_msg("promtool ends with %d: %s%s", p->exit_status, p->out_text, p->err_text);
}

static void the_python_client_parses_both_formats(void **state)
{
	static const char program[] =
		"import sys\n"
		"from prometheus_client import parser\n"
		"from prometheus_client.openmetrics import parser as openmetrics\n"
		"p = openmetrics if sys.argv[1] == 'open' else parser\n"
		"for f in p.text_string_to_metric_families(sys.stdin.read()):\n"
		"    for s in f.samples:\n"
		"        if s.name == 'fairdial_service_dials_total' and s.labels['service'] == 'web':\n"
		"            print(f.type, s.labels['port'], int(s.value))\n";
	const char *python = python_with("prometheus_client.openmetrics.parser");
	struct shop shop = { 0 };
	int port = open_everything(api_start(NULL), &shop);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct process *p = process_start(&(struct start){ .argv = ARGV(python, "-c", program, i ? "open" : "plain"),
								   .input = i ? scrape_open_metrics(port) : scrape(port) });

		process_wait(p, LIMIT_MS);
		assert_clean(p);
		assert_string_equal(p->out_text, "counter 80 4\n");
	}
}

/* What a query answers: "4"; "" where there is nothing yet. */
static const char *prometheus_says(int port, const char *query)
{
	struct process *p = run(NULL, "curl", "-sS", "-G", "--max-time", "30", "--data-urlencode", format("query=%s", query),
				format("http://127.0.0.1:%d/api/v1/query", port), NULL);
	const char *value = p->exit_status == 0 ? strstr(p->out_text, "\"value\":[") : NULL;
	const char *begin = value ? strstr(value, ",\"") : NULL;

	return begin ? format("%.*s", (int)strcspn(begin + 2, "\""), begin + 2) : "";
}

static void wait_prometheus(struct process *prometheus, int port, const char *query, const char *value)
{
	long begun = now_ms();
	const char *now;

	while (strcmp(now = prometheus_says(port, query), value) != 0) {
		if (now_ms() - begun > 2 * LIMIT_MS) {
			process_signal(prometheus, SIGTERM);
			process_wait(prometheus, LIMIT_MS);
			fail_msg("%s is \"%s\", not \"%s\"; the log of prometheus:\n%s", query, now, value, prometheus->err_text);
		}
		poll(NULL, 0, 200);
	}
}

static void prometheus_scrapes_it_and_answers_with_its_numbers(void **state)
{
	struct shop shop = { 0 };
	struct process *prometheus;
	const char *dir, *config;
	int agent, port;

	(void)state;
	if (!program_exists("prometheus"))
		skip_because("prometheus is not installed: make deps");
	agent = open_everything(api_start(NULL), &shop);
	dir = scratch_dir();
	port = unused_port();
	config = format("global: { scrape_interval: 1s }\n"
			"scrape_configs: [ { job_name: fairdial, static_configs: [ { targets: [ '127.0.0.1:%d' ] } ] } ]\n",
			agent);
	write_file(format("%s/prometheus.yml", dir), config, strlen(config));
	prometheus = process_start(&(struct start){
		.argv = ARGV("prometheus", format("--config.file=%s/prometheus.yml", dir), format("--storage.tsdb.path=%s/data", dir),
			     format("--web.listen-address=127.0.0.1:%d", port), "--log.level=warn"),
		.end_with = SIGTERM });
	wait_prometheus(prometheus, port, "up{job=\"fairdial\"}", "1");
	wait_prometheus(prometheus, port, "fairdial_service_dials_total{service=\"web\",port=\"80\"}", "4");
	dial(&shop, 5);
	wait_prometheus(prometheus, port, "fairdial_service_dials_total{service=\"web\"}", "9");
	wait_prometheus(prometheus, port, "fairdial_api_watching{resource=\"services\"}", "1");
	wait_prometheus(prometheus, port, "count({__name__=~\"fairdial_propagation_delay_seconds_bucket\"})", "11");
}

/* ---- names ---- */

/* "namespace,service,port" of "name{namespace=\"\",service=\"web\",port=\"80\"} 1"; what is in the texts has none of these. */
static void collect_labels(const char *line, char *buf, size_t size)
{
	const char *end = line + strcspn(line, "}\n");

	buf[0] = '\0';
	for (const char *at = strchr(line, '{'); at && at < end; at = strstr(at + 1, "\",")) {
		const char *name = at + (*at == '{' ? 1 : 2), *equals = strchr(name, '=');

		if (!equals || equals > end)
			break;
		if (strncmp(name, "le=", 3) != 0)
			snprintf(buf + strlen(buf), size - strlen(buf), "%s%.*s", buf[0] ? "," : "", (int)(equals - name), name);
	}
}

/* A line each: name, type, labels. */
static const char *families_of(const char *text)
{
	const char *all = "", *line = strstr(text, "# TYPE ");

	for (; line; line = strstr(line + 1, "# TYPE ")) {
		char name[128], type[32], labels[128] = "";
		const char *sample;

		assert_int_equal(sscanf(line, "# TYPE %127s %31s", name, type), 2);
		sample = strchr(line, '\n') + 1;
		assert_memory_equal(sample, name, strlen(name));
		if (strncmp(sample, name, strlen(name)) == 0)
			collect_labels(sample, labels, sizeof(labels));
		all = format("%s%s %s%s%s\n", all, name, type, labels[0] ? " " : "", labels);
	}
	return all;
}

static void families_are_those_that_are_written_down(void **state)
{
	struct shop shop = { 0 };
	const char *rows = "", *served = families_of(scrape(open_everything(api_start(NULL), &shop)));
	char *written = read_file(repository("tests/data/metrics.txt"), NULL);

	(void)state;
	for (size_t i = 0; i < metrics_family_count; i++) {
		const struct metric *m = &metrics_families[i];

		rows = format("%s%s %s%s%s\n", rows, m->name, metric_type_name(m->type), m->labels ? " " : "",
			      m->labels ? m->labels : "");
		assert_true(m->help[0] && m->help[strlen(m->help) - 1] != '.');
	}
	assert_string_equal(served, rows);
	assert_string_equal(served, written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_are_counted_exactly_and_only_grow),
		TEST(failures_and_ejections_are_counted),
		TEST(open_connections_and_moves_are_counted),
		TEST(an_agent_that_follows_another_begins_with_nothing),
		TEST(an_agent_without_a_ledger_tells_of_its_list_alone),
		TEST(what_cannot_be_published_is_counted_and_makes_it_not_ready),
		TEST(watches_and_readiness_go_and_come_with_the_api),
		TEST(an_agent_that_may_not_list_is_alive_and_not_ready),
		TEST(changes_are_counted_and_timed_from_their_cause_to_the_table),
		TEST(other_paths_and_methods_are_refused),
		TEST(version_names_the_library),
		TEST(open_metrics_is_told_to_who_asks_for_it),
		TEST(slow_clients_hold_up_nobody_and_are_ended),
		TEST(readers_that_do_not_read_hold_up_nobody),
		TEST(addresses_that_cannot_be_are_refused_in_one_line),
		TEST(ipv6_is_written_in_brackets),
		TEST(every_address_is_also_one_of_ipv4),
		TEST(an_agent_that_waits_for_another_is_alive_and_not_ready),
		TEST(ten_thousand_services_make_a_bounded_answer),
		TEST(promtool_finds_nothing_to_say_about_the_plain_text),
		TEST(the_python_client_parses_both_formats),
		TEST(prometheus_scrapes_it_and_answers_with_its_numbers),
		TEST(families_are_those_that_are_written_down),
	};

	return RUN_TESTS(tests);
}
