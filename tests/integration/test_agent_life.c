/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents die at any time, and others take over: programs that dial meanwhile see nothing of it. Nobody listens at the
 * address of the Service, so that a dial that is not spread fails.
 */
#include "support/testing.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/map.h"

enum { BACKENDS = 5, LIMIT_MS = 60000, NOBODY = 65534, ROUNDS = 6, DIALS = 5000 };

#define OTHER_ADDRESS "127.96.0.21"

struct life {
	struct api_server *api;
	struct backends *b;
	struct services *s;
	struct agent_run *a;
	const char *web; /* what the table says of it */
};

static void put_web(struct api_server *api, const struct backends *b)
{
	char *endpoints = format("%s", "");

	for (size_t i = 0; i < BACKENDS; i++)
		endpoints = format("%s%s%s", endpoints, i ? " " : "", backends_address(b, i));
	api_put_json(api, KUBE_SERVICE,
		     "{'metadata':{'name':'web','annotations':{'fairdial.dev/balance':'round_robin'}},"
		     "'spec':{'type':'ClusterIP','clusterIP':'" SERVICE_ADDRESS "','clusterIPs':['" SERVICE_ADDRESS "'],"
		     "'ports':[{'name':'http','port':80,'protocol':'TCP'}]}}");
	api_put_slice(api, "web-1", "web", format("http:%d", backends_port(b, 0)), endpoints);
}

/* A change of another Service, so that nothing of web is any different. */
static const char *change_other(struct api_server *api, int to)
{
	api_put_slice(api, "other-1", "other", "http:8080", format("10.0.0.%d", to));
	return format("10.0.0.%d:8080", to);
}

static struct life *begin_life(void)
{
	struct life *life = calloc(1, sizeof(*life));
	char *says = format("%s", "");

	assert_non_null(life);
	after_test(free, life);
	life->api = api_start(NULL);
	life->b = backends_start(BACKENDS, ONE_PORT);
	life->s = services_open();
	put_web(life->api, life->b);
	api_put_service(life->api, "other", OTHER_ADDRESS, "http:80");
	change_other(life->api, 1);
	for (size_t i = 0; i < BACKENDS; i++)
		says = format("%s%s%s:%d", says, i ? " " : "", backends_address(life->b, i), backends_port(life->b, i));
	life->web = says;
	life->a = agent_start(life->api, life->s->dir, NULL);
	agent_wait(life->a, SERVICE_ADDRESS ":80", life->web);
	agent_wait(life->a, OTHER_ADDRESS ":80", "10.0.0.1:8080");
	return life;
}

static struct process *dial(const struct life *life, unsigned count)
{
	return process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--count", format("%u", count), "--threads", "2", SERVICE_ADDRESS, "80"),
		.env = life->s->env });
}

static void assert_dials_are_even(const struct life *life, unsigned count)
{
	struct process *p = dial(life, count);

	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, count, 1);
}

static void start_again(struct life *life)
{
	life->a = agent_start(life->api, life->s->dir, NULL);
}

static void dials_go_on_evenly_while_agents_are_killed_and_started(void **state)
{
	struct life *life = begin_life();
	char *answers = format("%s", "");

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct process *p = dial(life, DIALS);
		const char *first = process_line(p, LIMIT_MS), *other;
		long begun;

		assert_non_null(first);
		agent_end(life->a, SIGKILL);
		other = change_other(life->api, 2 + i);
		begun = now_ms();
		start_again(life);
		agent_wait(life->a, OTHER_ADDRESS ":80", other);
		printf("the next agent published a change %ld ms after its start\n", now_ms() - begun);
		process_wait(p, LIMIT_MS);
		assert_clean(p);
		answers = format("%s%s", answers, p->out_text);
	}
	assert_even_answers(answers, BACKENDS, ROUNDS * DIALS, 1);
	assert_status_matches(life->s, "web", life->b);
}

static void agent_killed_at_any_moment_of_its_start_leaves_the_old_table(void **state)
{
	struct life *life = begin_life();
	unsigned dials = 0;

	(void)state;
	for (int i = 0; i < 12; i++) {
		agent_end(life->a, SIGKILL);
		api_forget(life->api);
		start_again(life);
		if (i % 4 == 1)
			agent_wait_log(life->a, "following");
		if (i % 4 == 2)
			api_wait(life->api, "endpointslices", 1, LIMIT_MS);
		if (i % 4 == 3)
			agent_wait_log(life->a, "published");
		agent_end(life->a, SIGKILL);
		assert_string_equal(table_says(life->s->dir, SERVICE_ADDRESS ":80"), life->web);
		assert_dials_are_even(life, 50);
		dials += 50;
		start_again(life);
		agent_wait_log(life->a, "published");
	}
	for (size_t i = 0; i < BACKENDS; i++)
		assert_int_equal(services_backend(life->s, "web", life->b, i).dials, dials / BACKENDS);
}

/* Where a score lies in the ledger: the table's instance, and the rows of the endpoints of web. */
static char *places_of(const char *dir)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table_view view;
	struct table table;
	struct addr dest;
	char *text = NULL;

	assert_int_equal(addr_parse(SERVICE_ADDRESS ":80", strlen(SERVICE_ADDRESS ":80"), &dest), 0);
	assert_int_equal(table_map(dir, &trust, &table, NULL), 0);
	do {
		struct table_port port;
		int row;

		if (!table_begin(&table, &view))
			continue;
		row = table_find_port(&view, &dest, PROTOCOL_TCP);
		if (row < 0 || table_port(&view, (uint32_t)row, &port) < 0)
			continue;
		text = format("%llx %u/%x", (unsigned long long)table_head(&table)->instance, port.cursor, port.cursor_tag);
		for (uint32_t i = 0; i < port.v4_count; i++) {
			struct table_endpoint endpoint = { 0 };

			table_endpoint(&view, port.first_endpoint + i, &endpoint);
			text = format("%s %u/%x", text, endpoint.slot, endpoint.tag);
		}
	} while (!table_end(&view) || !text);
	table_unmap(&table);
	return text;
}

static void next_agent_keeps_instance_slots_and_counts(void **state)
{
	static const int signals[] = { SIGKILL, SIGTERM };
	struct life *life = begin_life();
	const char *places = places_of(life->s->dir);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_dials_are_even(life, 100);
		agent_end(life->a, signals[i]);
		start_again(life);
		agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 20 + (int)i));
		assert_string_equal(places_of(life->s->dir), places);
		for (size_t k = 0; k < BACKENDS; k++)
			assert_int_equal(services_backend(life->s, "web", life->b, k).dials, (i + 1) * 100 / BACKENDS);
	}
}

static void second_agent_waits_and_takes_over(void **state)
{
	static const int signals[] = { SIGKILL, SIGTERM };
	struct life *life = begin_life();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct agent_run *next = agent_start(life->api, life->s->dir, NULL);

		agent_wait_log(next, "another fairdial publishes into");
		agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 30 + (int)i));
		agent_end(life->a, signals[i]);
		if (signals[i] == SIGTERM)
			assert_int_equal(life->a->process->exit_status, 0);
		agent_wait(next, OTHER_ADDRESS ":80", change_other(life->api, 40 + (int)i));
		assert_int_equal(agent_logged(next, "another fairdial publishes into"), 1);
		assert_dials_are_even(life, 50);
		life->a = next;
	}
}

static void agent_that_waits_ends_by_sigterm_alone(void **state)
{
	struct life *life = begin_life();
	struct agent_run *next = agent_start(life->api, life->s->dir, NULL);

	(void)state;
	agent_wait_log(next, "waiting for it to end");
	process_signal(next->process, SIGHUP);
	agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 2));
	assert_false(next->process->ended);
	agent_end(next, SIGTERM);
	assert_int_equal(next->process->exit_status, 0);
	agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 3));
}

static void old_table_serves_until_the_lists_of_the_next_agent_are_complete(void **state)
{
	struct life *life = begin_life();

	(void)state;
	agent_end(life->a, SIGKILL);
	api_script(life->api, &(struct api_script){ .path = "endpointslices", .count = API_ALWAYS, .hold = true });
	start_again(life);
	api_wait_held(life->api, 1, LIMIT_MS);
	api_put_service(life->api, "new", "127.96.0.22", "http:80");
	assert_dials_are_even(life, 100);
	assert_string_equal(table_says(life->s->dir, SERVICE_ADDRESS ":80"), life->web);
	assert_string_equal(table_says(life->s->dir, OTHER_ADDRESS ":80"), "10.0.0.1:8080");
	assert_string_equal(table_says(life->s->dir, "127.96.0.22:80"), "none");
	api_unscript(life->api);
	api_release(life->api);
	agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 2));
	agent_wait(life->a, SERVICE_ADDRESS ":80", life->web);
	assert_string_not_equal(table_says(life->s->dir, "127.96.0.22:80"), "none");
	assert_dials_are_even(life, 100);
}

static void agent_without_api_server_keeps_the_old_table_and_does_not_vouch_for_it(void **state)
{
	struct life *life = begin_life();

	(void)state;
	agent_wait_vouched(life->a, true);
	agent_end(life->a, SIGKILL);
	api_stop_listening(life->api);
	start_again(life);
	agent_wait_log(life->a, "cannot reach");
	agent_wait_vouched(life->a, false);
	assert_string_equal(table_says(life->s->dir, SERVICE_ADDRESS ":80"), life->web);
	assert_dials_are_even(life, 50);
	api_listen(life->api);
	agent_wait_trouble(life->a, "");
	agent_wait_vouched(life->a, true);
	agent_wait(life->a, OTHER_ADDRESS ":80", change_other(life->api, 2));
}

static void agent_that_falls_silent_is_told_by_status(void **state)
{
	struct life *life = begin_life();
	long end = now_ms() + LIMIT_MS;
	struct process *p;

	(void)state;
	agent_wait_vouched(life->a, true);
	process_signal(life->a->process, SIGSTOP);
	agent_wait_vouched(life->a, false);
	assert_dials_are_even(life, 50);
	do {
		p = run(NULL, built("fairdial"), "status", "--dir", life->s->dir, NULL);
		assert_true(now_ms() < end);
	} while (!strstr(p->out_text, "agent silent for") || !strstr(p->out_text, "has said nothing for"));
	process_signal(life->a->process, SIGCONT);
	agent_wait_vouched(life->a, true);
}

/* ---- without rights ---- */

/* A mount namespace in which all is read-only but the agent's own directory, then no user, capability or way to more. */
static const char confine[] = "set -e; dir=$1; shift; mount --make-rprivate /; mount --bind $dir $dir; mount -o remount,bind,ro /; "
			      "! touch /fairdial-test 2>/dev/null; "
			      "exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- \"$@\"";

static const char *for_others(const char *room, const char *path)
{
	struct process *p = run_shell(NULL, "cp %s %s/ && chmod 755 %s %s/*", path, room, room, room);

	assert_clean(p);
	return format("%s/%s", room, strrchr(path, '/') + 1);
}

static void assert_serves_as_nobody(bool confined)
{
	struct life *life = begin_life();
	const char *room = scratch_dir(), *dir = format("%s/run", room);
	const struct api_kubeconfig config = { .namespace = "shop", .inline_data = true };
	struct agent_run *a;
	struct process *p;

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	a = agent_start_as(&(struct agent_setup){ .api = life->api, .kubeconfig = &config, .dir = dir,
						  .program = for_others(room, built("fairdial")),
						  .before = confined ? ARGV("unshare", "--mount", "sh", "-c", confine, "sh", dir)
								     : NULL,
						  .uid = confined ? 0 : NOBODY });
	agent_wait(a, SERVICE_ADDRESS ":80", life->web);
	agent_wait_vouched(a, true);
	agent_wait_trouble(a, "");
	p = process_start(&(struct start){
		.argv = ARGV(for_others(room, built("helpers/dialer")), "--count", "50", SERVICE_ADDRESS, "80"),
		.env = ARGV(format("LD_PRELOAD=%s", for_others(room, built("libfairdial.so"))), a->env[1]),
		.uid = NOBODY });
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, 50, 1);
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
}

static void any_user_may_run_an_agent(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("not root");
	assert_serves_as_nobody(false);
}

static void agent_needs_no_capability_and_no_writable_root(void **state)
{
	(void)state;
	if (geteuid() != 0 || !program_exists("setpriv") || !program_exists("unshare"))
		skip_because("needs root, setpriv and unshare");
	if (run(NULL, "unshare", "--mount", "sh", "-c", confine, "sh", scratch_dir(), "true", NULL)->exit_status)
		skip_because("no mount namespace here");
	assert_serves_as_nobody(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_go_on_evenly_while_agents_are_killed_and_started),
		TEST(agent_killed_at_any_moment_of_its_start_leaves_the_old_table),
		TEST(next_agent_keeps_instance_slots_and_counts),
		TEST(second_agent_waits_and_takes_over),
		TEST(agent_that_waits_ends_by_sigterm_alone),
		TEST(old_table_serves_until_the_lists_of_the_next_agent_are_complete),
		TEST(agent_without_api_server_keeps_the_old_table_and_does_not_vouch_for_it),
		TEST(agent_that_falls_silent_is_told_by_status),
		TEST(any_user_may_run_an_agent),
		TEST(agent_needs_no_capability_and_no_writable_root),
	};

	return RUN_TESTS(tests);
}
