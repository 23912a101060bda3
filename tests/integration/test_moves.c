/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live connections follow the list, where their Service asks for it: which leave, when, how many and how fast. Programs keep their
 * connections in a pool (tests/helpers/pool.c) and dial anew what has ended. How the mover itself lives: test_movers.c.
 */
#include "support/testing.h"

#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"

#define DRAIN	  "\"drain\": \"idle\", " QUICK
#define DEADLINE  "\"drain\": \"deadline:1s\", " QUICK
#define REBALANCE "\"rebalance\": \"2s\", " QUICK

struct scene {
	struct backends *b;
	struct services *s;
	const char *more;
};

/* Backends of which these letters are in the list (moves.h). */
static struct scene scene(const char *list, const char *more)
{
	struct scene scene = { .b = backends_start(strlen(list), ONE_PORT), .s = services_open(), .more = more };

	publish_list(scene.s, scene.b, list, more);
	return scene;
}

static void change(const struct scene *scene, const char *list)
{
	publish_list(scene->s, scene->b, list, scene->more);
}

/* Connections of a pool at backend `i`, from 0 on. */
static int held_at(struct process *p, int i)
{
	unsigned at[BACKENDS_MAX] = { 0 };

	pool_where(p, at, BACKENDS_MAX);
	return (int)at[i];
}

static void assert_turns(struct process *p, const char *line, int answered, int renewed)
{
	struct turns turns = pool_turns(p, line);

	if (turns.answered != answered || turns.renewed != renewed || turns.failed)
		fail_msg("%s: %d answered, %d renewed, %d failed; wanted %d, %d, 0", line, turns.answered, turns.renewed, turns.failed,
			 answered, renewed);
}

/* ---- drain ---- */

static void assert_drained(const char *after)
{
	struct scene one = scene("iii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 12);
	int leaving = held_at(p, 2);

	assert_int_equal(leaving, 4);
	change(&one, after);
	wait_moved(one.s, &(struct moves){ .drain = leaving });
	pool_wait_ended(p, leaving);
	assert_turns(p, "turn", 12, leaving);
	assert_int_equal(held_at(p, 2), 0);
	assert_settled(one.s, &(struct moves){ .drain = leaving });
	backends_wait_open(one.b, 12, MOVES_LIMIT_MS);
	assert_int_equal(backends_open(one.b, 2), 0);
}

static void idle_connections_leave_an_endpoint_that_terminates(void **state)
{
	(void)state;
	assert_drained("iit");
}

static void idle_connections_leave_an_endpoint_that_is_gone(void **state)
{
	(void)state;
	assert_drained("ii-");
}

static void nobody_leaves_where_nothing_asks_for_it(void **state)
{
	struct scene one = scene("iii", QUICK ", \"rebalance\": \"1s\"");
	struct process *p = pool_start(one.s, NULL, 6);

	(void)state;
	change(&one, "it-");
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 6, 0);
}

static void endpoint_that_terminates_gets_no_new_connections(void **state)
{
	struct scene one = scene("iii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 3);
	unsigned before;

	(void)state;
	change(&one, "iit");
	before = backends_accepted(one.b, 2);
	pool_do(p, "open 8", "open 8");
	assert_int_equal(backends_accepted(one.b, 2), before);
}

static void connections_stay_at_an_endpoint_that_is_only_not_ready(void **state)
{
	struct scene one = scene("iii", DEADLINE);
	struct process *p = pool_start(one.s, NULL, 6);

	(void)state;
	change(&one, "iin");
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 6, 0);
}

static void nobody_leaves_where_there_is_nobody_else_to_go_to(void **state)
{
	struct scene one = scene("ii", DEADLINE);
	struct process *p = pool_start(one.s, NULL, 4);

	(void)state;
	change(&one, "tt");
	assert_settled(one.s, &(struct moves){ 0 });
	change(&one, "--");
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 4, 0);
}

/* One that vanishes from a list and is there again in the next moment was never gone. */
static void endpoint_that_comes_back_at_once_keeps_its_connections(void **state)
{
	struct scene one = scene("iii", "\"drain\": \"idle\", \"quiet\": \"3s\"");
	struct process *p = pool_start(one.s, NULL, 6);

	(void)state;
	change(&one, "ii-");
	change(&one, "iii");
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 6, 0);
}

/* A question that is half asked, one that is answered but not taken, and one that rests. */
static void who_is_busy_stays_until_the_deadline(void **state)
{
	struct scene one = scene("ii", DRAIN);
	struct process *speaking, *unread, *idle;

	(void)state;
	change(&one, "-i");
	speaking = pool_start(one.s, NULL, 2);
	unread = pool_start(one.s, NULL, 2);
	idle = pool_start(one.s, NULL, 2);
	pool_do(speaking, "speak", "speak 2");
	pool_do(unread, "ask", "ask 2");
	change(&one, "it");
	wait_moved(one.s, &(struct moves){ .drain = 2 });
	assert_settled(one.s, &(struct moves){ .drain = 2 });
	pool_do(idle, "ended", "ended 2");
	assert_turns(speaking, "finish", 2, 0);
	assert_turns(unread, "take", 2, 0);
	wait_moved(one.s, &(struct moves){ .drain = 6 });
}

static void deadline_cuts_what_is_left(const char *after)
{
	struct scene one = scene("ii", DEADLINE);
	struct process *busy, *idle;

	change(&one, "-i");
	busy = pool_start(one.s, NULL, 3);
	idle = pool_start(one.s, NULL, 0);
	pool_do(busy, "speak", "speak 3");
	change(&one, after);
	wait_moved(one.s, &(struct moves){ .cut = 3 });
	pool_wait_ended(busy, 3);
	assert_turns(busy, "renew", 3, 3);
	assert_int_equal(held_at(busy, 0), 3);
	pool_do(idle, "open 1", "open 1");
	assert_settled(one.s, &(struct moves){ .cut = 3 });
}

static void deadline_cuts_connections_to_an_endpoint_that_terminates(void **state)
{
	(void)state;
	deadline_cuts_what_is_left("it");
}

static void deadline_cuts_connections_to_an_endpoint_that_is_gone(void **state)
{
	(void)state;
	deadline_cuts_what_is_left("i-");
}

/* Backend 2 is taken out of one Service, and is an endpoint of another still. */
static void endpoint_of_another_service_is_drained_but_not_cut(void **state)
{
	struct scene one = scene("ii", DEADLINE);
	char *other = service_entry("other", "127.96.0.21", 80, backends_places(one.b) + 1, 1, NULL);
	struct process *busy, *idle;

	(void)state;
	services_publish(one.s, format("%s, %s", list_entry(one.b, "-i", DEADLINE), other));
	busy = pool_start(one.s, NULL, 2);
	idle = pool_start(one.s, NULL, 2);
	pool_do(busy, "speak", "speak 2");
	services_publish(one.s, format("%s, %s", list_entry(one.b, "i-", DEADLINE), other));
	wait_moved(one.s, &(struct moves){ .drain = 2 });
	assert_settled(one.s, &(struct moves){ .drain = 2 });
	pool_do(idle, "ended", "ended 2");
	assert_turns(busy, "finish", 2, 0);
}

/* ---- connections that cannot leave ---- */

static void assert_refuser_keeps_its_connections(const char *variable)
{
	struct scene one = scene("ii", DRAIN);
	struct process *p, *witness;

	change(&one, "-i");
	p = pool_start(one.s, with_env(one.s->env, variable, NULL), 4);
	witness = pool_start(one.s, NULL, 2);
	pool_do(p, "refuse connect", "refuse 0");
	change(&one, "it");
	wait_moved(one.s, &(struct moves){ .drain = 2 });
	assert_settled(one.s, &(struct moves){ .drain = 2 });
	pool_do(witness, "ended", "ended 2");
	assert_turns(p, "turn", 4, 0);
	assert_int_equal(services_backend(one.s, "web", one.b, 1).active, 4);
}

/* As where the socket's protocol or a sandbox does not let it be taken down. Its place at the endpoint is still taken. */
static void connection_that_the_kernel_does_not_let_go_stays(void **state)
{
	(void)state;
	assert_refuser_keeps_its_connections(NULL);
}

static void without_a_ledger_it_stays_as_well(void **state)
{
	(void)state;
	assert_refuser_keeps_its_connections("FAIRDIAL_LEDGER=/nowhere/ledger");
}

/* Its right to leave is the others' again. */
static void surplus_is_that_of_others_where_a_process_cannot_let_go(void **state)
{
	struct scene one = scene("ii", REBALANCE);
	struct process *p, *other;

	(void)state;
	change(&one, "i-");
	p = pool_start(one.s, NULL, 6);
	other = pool_start(one.s, NULL, 6);
	pool_do(p, "refuse connect", "refuse 0");
	change(&one, "ii");
	wait_moved(one.s, &(struct moves){ .rebalance = 6 });
	assert_settled(one.s, &(struct moves){ .rebalance = 6 });
	assert_turns(p, "turn", 6, 0);
	assert_turns(other, "turn", 6, 6);
	for (int i = 0; i < 2; i++)
		assert_int_equal(services_backend(one.s, "web", one.b, (size_t)i).active, 6);
}

/* An answer may be as long as the connection: who is cut off sees that it is over, if not that it was cut. */
static void who_reads_sees_an_end_where_a_connection_cannot_be_cut(void **state)
{
	struct scene one = scene("ii", DEADLINE);
	struct process *p;

	(void)state;
	change(&one, "-i");
	p = pool_start(one.s, NULL, 1);
	pool_do(p, "ignore", "ignore 0");
	pool_do(p, "speak", "speak 1");
	pool_do(p, "refuse connect", "refuse 0");
	change(&one, "it");
	pool_do(p, "read", "read EOF");
	wait_moved(one.s, &(struct moves){ .cut = 1 });
}

/* Nobody watches where the others go. */
static void connections_of_a_service_that_is_gone_stay(void **state)
{
	struct scene one = scene("ii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 4);

	(void)state;
	services_publish(one.s, service_entry("other", "127.96.0.21", 80, backends_places(one.b), 1, NULL));
	usleep(MOVES_SETTLED_MS * 1000);
	assert_turns(p, "turn", 4, 0);
	change(&one, "i-");
	wait_moved(one.s, &(struct moves){ .drain = 2 });
	assert_turns(p, "turn", 4, 2);
}

/* ---- quiet points ---- */

/* BEGIN; a pause; COMMIT. */
static void pause_shorter_than_quiet_is_never_cut(void **state)
{
	struct scene one = scene("ii", "\"drain\": \"idle\", \"max_age\": \"1s\", \"quiet\": \"4s\"");
	struct process *p;

	(void)state;
	change(&one, "-i");
	p = pool_start(one.s, NULL, 4);
	change(&one, "it");
	assert_turns(p, "talk 20 400", 80, 0);
	wait_moved(one.s, &(struct moves){ .drain = 4 });
	assert_turns(p, "turn", 4, 4);
}

static void program_with_default_sigpipe_survives(void **state)
{
	struct scene one = scene("ii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 8);

	(void)state;
	for (int turn = 0; turn < 4; turn++) {
		int leaving = held_at(p, turn % 2);
		struct moves before = moved_of(one.s, "web");

		change(&one, turn % 2 ? "it" : "ti");
		wait_moved(one.s, &(struct moves){ .drain = before.drain + leaving });
		/* It writes without having looked. */
		assert_turns(p, "turn", 8, leaving);
		change(&one, "ii");
	}
	process_say(p, "end\n");
	process_wait(p, MOVES_LIMIT_MS);
	assert_clean(p);
}

static void program_that_ignores_sigpipe_reads_the_end(void **state)
{
	struct scene one = scene("ii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 0);

	(void)state;
	change(&one, "-i");
	pool_do(p, "ignore", "ignore 0");
	pool_do(p, "open 1", "open 1");
	change(&one, "it");
	pool_do(p, "read", "read EOF");
	assert_turns(p, "turn", 1, 1);
	wait_moved(one.s, &(struct moves){ .drain = 1 });
}

static void who_waits_in_a_system_call_notices(void **state)
{
	static const char *const waits[] = { "read", "poll 3", "epoll 3" };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct scene one = scene("ii", DRAIN);
		struct process *p = pool_start(one.s, NULL, 0);
		bool ignores = i % 2;
		const char *seen;

		change(&one, "-i");
		if (ignores)
			pool_do(p, "ignore", "ignore 0");
		pool_do(p, "open 3", "open 3");
		process_say(p, format("%s\n", waits[i / 2]));
		change(&one, "it");
		seen = process_line(p, MOVES_LIMIT_MS);
		assert_non_null(seen);
		if (i / 2)
			assert_string_equal(seen, "ended 3");
		else if (ignores)
			assert_string_equal(seen, "read EOF");
		else /* EPIPE: whoever waits in the call itself, from Linux 6.7 on */
			assert_true(!strcmp(seen, "read ECONNRESET") || !strcmp(seen, "read EPIPE"));
		wait_moved(one.s, &(struct moves){ .drain = 3 });
		assert_turns(p, "turn", 3, 3);
	}
}

/* Dialed without waiting, or from an IPv4-mapped address: as any other. */
static void nonblocking_dials_are_followed_too(void **state)
{
	struct scene one = scene("ii", DRAIN);
	struct process *p = pool_start(one.s, NULL, 0);

	(void)state;
	change(&one, "-i");
	pool_do(p, "nonblocking", "nonblocking 0");
	pool_do(p, "open 3", "open 3");
	change(&one, "it");
	wait_moved(one.s, &(struct moves){ .drain = 3 });
	assert_turns(p, "turn", 3, 3);
}

static void never_more_than_fifty_a_second(void **state)
{
	enum { CONNECTIONS = 170 };
	struct scene one = scene("ii", DRAIN);
	struct process *p[2];
	struct moves moved = { 0 };
	long begun;

	(void)state;
	change(&one, "-i");
	for (int i = 0; i < 2; i++)
		p[i] = pool_start(one.s, NULL, CONNECTIONS / 2);
	begun = now_ms();
	change(&one, "it");
	while (moved.drain < CONNECTIONS) {
		long most;

		moved = moved_of(one.s, "web");
		most = 50 * ((now_ms() - begun) / 1000 + 2); /* a second at each end may be cut short */
		if (moved.drain > most)
			fail_msg("%ld have moved after %ld ms", moved.drain, now_ms() - begun);
		if (now_ms() - begun > MOVES_LIMIT_MS)
			fail_msg("only %ld have moved", moved.drain);
		usleep(20000);
	}
	for (int i = 0; i < 2; i++)
		assert_turns(p[i], "turn", CONNECTIONS / 2, CONNECTIONS / 2);
}

/* ---- sessionAffinity ---- */

static void put_service_with_affinity(struct api_server *api, const char *name, const char *address, const char *affinity)
{
	api_put_json(api, KUBE_SERVICE,
		     format("{ 'apiVersion': 'v1', 'kind': 'Service', 'metadata': { 'name': '%s' }, 'spec': { 'type': 'ClusterIP', "
			    "'clusterIP': '%s', 'clusterIPs': [ '%s' ], 'sessionAffinity': '%s', "
			    "'ports': [ { 'name': 'http', 'port': 80, 'protocol': 'TCP' } ] } }",
			    name, address, address, affinity));
}

static const char *agents_file(const char *text)
{
	char *file = format("%s/services.json", scratch_dir());

	write_file(file, text, strlen(text));
	return file;
}

/* `web` has session affinity, `other` has not, and shows that connections leave. */
static void connections_with_session_affinity_never_leave(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct api_server *api = api_start(NULL);
	const char *file = agents_file("{ \"defaults\": { \"drain\": \"deadline:1s\", \"max_age\": \"1s\", \"rebalance\": \"1s\", "
				       "\"quiet\": \"100ms\" }, \"services\": [] }"), *port = format("http:%d", backends_port(b, 0));
	struct agent_run *a;
	struct process *web, *other;

	(void)state;
	put_service_with_affinity(api, "web", SERVICE_ADDRESS, "ClientIP");
	put_service_with_affinity(api, "other", "127.96.0.21", "None");
	api_put_slice(api, "web-1", "web", port, backends_address(b, 0));
	api_put_slice(api, "other-1", "other", port, backends_address(b, 0));
	a = agent_start(api, NULL, ARGV("--services", file, "--ignore-mesh"));
	agent_wait(a, "127.96.0.21:80", format("%s:%d", backends_address(b, 0), backends_port(b, 0)));
	agent_wait(a, SERVICE_ADDRESS ":80", format("%s:%d", backends_address(b, 0), backends_port(b, 0)));
	web = pool_at(SERVICE_ADDRESS, 80, a->env, 3);
	other = pool_at("127.96.0.21", 80, a->env, 3);
	api_put_slice(api, "web-1", "web", port, format("%s,r0,s1,t1 %s", backends_address(b, 0), backends_address(b, 1)));
	api_put_slice(api, "other-1", "other", port, format("%s,r0,s1,t1 %s", backends_address(b, 0), backends_address(b, 1)));
	pool_wait_ended(other, 3);
	usleep(MOVES_SETTLED_MS * 1000);
	pool_do(web, "ended", "ended 0");
	assert_turns(web, "turn", 3, 0);
}

/* ---- rebalance ---- */

enum { PROCESSES = 4, EACH = 6, ALL = PROCESSES * EACH };

static void start_pools(const struct scene *scene, struct process **p)
{
	for (int i = 0; i < PROCESSES; i++)
		p[i] = pool_start(scene->s, NULL, EACH);
}

static void where_all(struct process **p, unsigned *at, int count)
{
	memset(at, 0, (size_t)count * sizeof(*at));
	for (int i = 0; i < PROCESSES; i++)
		pool_where(p[i], at, count);
}

/* What has ended is dialed anew. How many that were. */
static int renew_all(struct process **p)
{
	int n = 0;

	for (int i = 0; i < PROCESSES; i++) {
		struct turns turns = pool_turns(p[i], "renew");

		assert_int_equal(turns.failed, 0);
		n += turns.renewed;
	}
	return n;
}

/* Programs that dial anew at once, while the window lasts, or only when it is over. */
static void assert_surplus_moves(const char *before, const char *after, int surplus, bool at_once)
{
	struct scene one = scene(before, REBALANCE);
	int endpoints = (int)strlen(after), renewed = 0;
	struct moves wanted = { .rebalance = surplus }, moved = { 0 };
	struct process *p[PROCESSES];
	unsigned at[BACKENDS_MAX];
	long end = now_ms() + MOVES_LIMIT_MS;

	start_pools(&one, p);
	change(&one, after);
	while (moved.rebalance < surplus && now_ms() < end) {
		if (at_once)
			renewed += renew_all(p);
		moved = moved_of(one.s, "web");
		usleep(50000);
	}
	wait_moved(one.s, &wanted);
	assert_settled(one.s, &wanted);
	renewed += renew_all(p);
	assert_int_equal(renewed, surplus);
	where_all(p, at, endpoints);
	assert_even(at, (size_t)endpoints, ALL, ALL % endpoints != 0);
	backends_wait_open(one.b, ALL, MOVES_LIMIT_MS);
	assert_settled(one.s, &wanted);
}

static void exactly_the_surplus_moves_from_three_endpoints_to_six(void **state)
{
	(void)state;
	assert_surplus_moves("iii---", "iiiiii", ALL / 2, true);
}

static void surplus_is_the_same_where_programs_dial_anew_late(void **state)
{
	(void)state;
	assert_surplus_moves("iii---", "iiiiii", ALL / 2, false);
}

static void surplus_that_does_not_divide_is_the_least_that_is_even(void **state)
{
	(void)state;
	/* 24 of 6 each at four; five have 5, 5, 5, 5 and 4: one of each has to go. */
	assert_surplus_moves("iiii-", "iiiii", 4, true);
	assert_surplus_moves("i----", "iiiii", 19, true);
}

static void who_is_not_ready_has_no_share(void **state)
{
	struct scene one = scene("in-", REBALANCE);
	struct process *p = pool_start(one.s, NULL, 6);

	(void)state;
	change(&one, "ini");
	wait_moved(one.s, &(struct moves){ .rebalance = 3 });
	assert_turns(p, "turn", 6, 3);
	assert_settled(one.s, &(struct moves){ .rebalance = 3 });
	assert_int_equal(held_at(p, 2), 3);
	assert_int_equal(backends_accepted(one.b, 1), 0);
}

static void nothing_moves_where_nothing_was_added(void **state)
{
	struct scene one = scene("iii", REBALANCE);
	struct process *p[PROCESSES];

	(void)state;
	start_pools(&one, p);
	/* Uneven all the same. */
	pool_do(p[0], "close", "close 6");
	change(&one, "iii");
	assert_settled(one.s, &(struct moves){ 0 });
	change(&one, "iin");
	change(&one, "iii");
	assert_settled(one.s, &(struct moves){ 0 });
	for (int i = 1; i < PROCESSES; i++)
		assert_turns(p[i], "turn", EACH, 0);
}

static void list_that_goes_back_within_the_window_ends_the_moves(void **state)
{
	struct scene one = scene("iii---", "\"rebalance\": \"24s\", " QUICK);
	struct process *p[PROCESSES];
	struct moves moved;
	long end = now_ms() + MOVES_LIMIT_MS;

	(void)state;
	start_pools(&one, p);
	change(&one, "iiiiii");
	while ((moved = moved_of(one.s, "web")).rebalance == 0)
		if (now_ms() > end)
			fail_msg("nothing has moved");
	change(&one, "iii---");
	usleep(1000000); /* whoever has just decided */
	moved = moved_of(one.s, "web");
	assert_in_range(moved.rebalance, 1, ALL / 2 - 1);
	assert_settled(one.s, &moved);
	assert_settled(one.s, &moved);
}

static void surplus_moves_evenly_over_the_window(void **state)
{
	enum { WINDOW_S = 6 };
	struct scene one = scene("iii---", "\"rebalance\": \"6s\", " QUICK);
	struct process *p[PROCESSES];
	struct moves moved = { 0 };
	long begun;

	(void)state;
	start_pools(&one, p);
	begun = now_ms();
	change(&one, "iiiiii");
	while (moved.rebalance < ALL / 2) {
		long most;

		moved = moved_of(one.s, "web");
		most = 1 + (now_ms() - begun) * (ALL / 2) / (WINDOW_S * 850); /* the last has a while left to be quiet in */
		if (moved.rebalance > most)
			fail_msg("%ld have moved after %ld ms", moved.rebalance, now_ms() - begun);
		if (now_ms() - begun > MOVES_LIMIT_MS)
			fail_msg("only %ld have moved", moved.rebalance);
		usleep(50000);
	}
	for (int i = 0; i < PROCESSES; i++)
		pool_turns(p[i], "turn");
}

/* ---- max_age ---- */

static void connections_leave_at_their_age_and_are_young_again(void **state)
{
	struct scene one = scene("ii", "\"max_age\": \"2s\", " QUICK);
	long begun = now_ms();
	struct process *p = pool_start(one.s, NULL, 6);
	struct moves moved;

	(void)state;
	while ((moved = moved_of(one.s, "web")).max_age == 0)
		if (now_ms() - begun > MOVES_LIMIT_MS)
			fail_msg("nobody has left");
	assert_true(now_ms() - begun >= 1800);
	wait_moved(one.s, &(struct moves){ .max_age = 6 });
	pool_wait_ended(p, 6);
	assert_turns(p, "turn", 6, 6);
	wait_moved(one.s, &(struct moves){ .max_age = 12 });
	assert_turns(p, "turn", 6, 6);
}

static void who_is_alone_at_the_only_endpoint_stays_at_any_age(void **state)
{
	struct scene one = scene("i", "\"max_age\": \"1s\", " QUICK);
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 3, 0);
}

/* ---- observe, off, trace ---- */

/* Dials pass through to the first backend, and are counted for the others. */
static void observe_tells_what_would_have_moved(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	const char *more = "\"balance\": \"round_robin\", \"mode\": \"observe\", " DRAIN;
	struct services *s = services_open();
	char *entry = service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1, 2, more);
	struct process *p;

	(void)state;
	services_publish(s, entry);
	p = pool_at(backends_address(b, 0), backends_port(b, 0), s->env, 8);
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1, 1, more));
	wait_would_have_moved(s, &(struct moves){ .drain = 4 });
	assert_settled(s, &(struct moves){ 0 });
	wait_would_have_moved(s, &(struct moves){ .drain = 4 });
	assert_turns(p, "turn", 8, 0);
	assert_int_equal(backends_open(b, 0), 8);
}

static void observe_tells_what_would_have_been_rebalanced(void **state)
{
	struct backends *b = backends_start(5, ONE_PORT);
	const char *more = "\"balance\": \"round_robin\", \"mode\": \"observe\", " REBALANCE;
	struct services *s = services_open();
	struct process *p;

	(void)state;
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1, 2, more));
	p = pool_at(backends_address(b, 0), backends_port(b, 0), s->env, 8);
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1, 4, more));
	wait_would_have_moved(s, &(struct moves){ .rebalance = 4 });
	assert_settled(s, &(struct moves){ 0 });
	wait_would_have_moved(s, &(struct moves){ .rebalance = 4 });
	assert_turns(p, "turn", 8, 0);
}

/* Connections of another Service, to the same endpoints, are none of this one's. */
static void each_service_is_rebalanced_by_itself_in_thought_too(void **state)
{
	struct backends *b = backends_start(6, ONE_PORT);
	const char *more = "\"balance\": \"round_robin\", \"mode\": \"observe\", " REBALANCE;
	struct services *s = services_open();
	const char *other = service_entry("other", backends_address(b, 5), backends_port(b, 5), backends_places(b) + 1, 2, more);
	struct process *p;

	(void)state;
	services_publish(s, format("%s, %s", other, service_entry("web", backends_address(b, 0), backends_port(b, 0),
								     backends_places(b) + 1, 2, more)));
	p = pool_at(backends_address(b, 0), backends_port(b, 0), s->env, 8);
	pool_do(p, format("open 8 %s %d", backends_address(b, 5), backends_port(b, 5)), "open 8");
	services_publish(s, format("%s, %s", other, service_entry("web", backends_address(b, 0), backends_port(b, 0),
								     backends_places(b) + 1, 4, more)));
	wait_would_have_moved(s, &(struct moves){ .rebalance = 4 });
	assert_settled(s, &(struct moves){ 0 });
	wait_would_have_moved(s, &(struct moves){ .rebalance = 4 });
	assert_turns(p, "turn", 16, 0);
}

/* Their numbers are this process's own; those of the others are the pod's, and there others cannot let go. */
static void connections_that_were_only_observed_do_not_keep_others_from_moving(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	const char *at = backends_address(b, 0);
	int port = backends_port(b, 0);
	struct process *p, *other;

	(void)state;
	services_publish(s, service_entry("web", at, port, backends_places(b) + 1, 1, "\"mode\": \"observe\", " REBALANCE));
	p = pool_at(at, port, s->env, 20);
	services_publish(s, service_entry("web", at, port, backends_places(b) + 1, 1, REBALANCE));
	pool_do(p, "open 1", "open 1");
	other = pool_at(at, port, s->env, 5);
	pool_do(other, "refuse connect", "refuse 0");
	services_publish(s, service_entry("web", at, port, backends_places(b) + 1, 2, REBALANCE));
	wait_moved(s, &(struct moves){ .rebalance = 1 });
	assert_turns(p, "turn 0 20", 20, 0);
	assert_turns(p, "turn 20 1", 1, 1);
	assert_turns(other, "turn", 5, 0);
}

/* As many endpoints as would need more memory than a mover has. */
static void long_lists_are_not_rebalanced_in_thought(void **state)
{
	enum { MANY = 4100 };
	struct backends *b = backends_start(1, ONE_PORT);
	const char *more = "\"mode\": \"observe\", " REBALANCE;
	struct services *s = services_open();
	struct place *places = calloc(MANY, sizeof(*places));
	struct moves moves;
	struct process *p;

	(void)state;
	after_test(free, places);
	for (int i = 0; i < MANY; i++) {
		snprintf(places[i].address, sizeof(places[i].address), "127.98.%d.%d", i / 250, 1 + i % 250);
		places[i].port = 80;
	}
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), places, 2, more));
	p = pool_at(backends_address(b, 0), backends_port(b, 0), s->env, 8);
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), places, MANY, more));
	usleep(MOVES_SETTLED_MS * 1000);
	moves = would_have_moved_of(s, "web");
	assert_int_equal(all_moves(&moves), 0);
	assert_turns(p, "turn", 8, 0);
}

static void mode_off_ends_moves_of_running_programs(void **state)
{
	struct scene one = scene("iii", DRAIN ", \"mode\": \"on\"");
	struct process *p = pool_start(one.s, NULL, 6);

	(void)state;
	one.more = DRAIN ", \"mode\": \"off\"";
	change(&one, "iit");
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 6, 0);
	one.more = DRAIN;
	change(&one, "iit");
	wait_moved(one.s, &(struct moves){ .drain = 2 });
}

/* A Service whose connections may leave only now: those that were dialed before are not known, later ones are. */
static void keys_that_are_set_later_are_honoured(void **state)
{
	struct scene one = scene("ii", QUICK);
	struct process *p = pool_start(one.s, NULL, 2);

	(void)state;
	one.more = DRAIN;
	change(&one, "-i");
	pool_do(p, "open 2", "open 2");
	change(&one, "it");
	wait_moved(one.s, &(struct moves){ .drain = 2 });
	assert_settled(one.s, &(struct moves){ .drain = 2 });
	assert_turns(p, "turn 0 2", 2, 0);
}

static void trace_has_a_line_for_each_move(void **state)
{
	struct scene one = scene("ii", DRAIN);
	const char *path = format("%s/trace", one.s->root), *text;
	struct process *p;

	(void)state;
	change(&one, "-i");
	p = pool_start(one.s, with_env(one.s->env, format("FAIRDIAL_TRACE=move:%s", path), NULL), 3);
	change(&one, "it");
	wait_moved(one.s, &(struct moves){ .drain = 3 });
	assert_turns(p, "turn", 3, 3);
	text = read_file(path, NULL);
	assert_int_equal(lines_of(text), 3);
	assert_non_null(strstr(text, "web"));
	assert_non_null(strstr(text, "drain"));
	assert_non_null(strstr(text, backends_address(one.b, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(idle_connections_leave_an_endpoint_that_terminates),
		TEST(idle_connections_leave_an_endpoint_that_is_gone),
		TEST(nobody_leaves_where_nothing_asks_for_it),
		TEST(endpoint_that_terminates_gets_no_new_connections),
		TEST(connections_stay_at_an_endpoint_that_is_only_not_ready),
		TEST(nobody_leaves_where_there_is_nobody_else_to_go_to),
		TEST(endpoint_that_comes_back_at_once_keeps_its_connections),
		TEST(who_is_busy_stays_until_the_deadline),
		TEST(deadline_cuts_connections_to_an_endpoint_that_terminates),
		TEST(deadline_cuts_connections_to_an_endpoint_that_is_gone),
		TEST(endpoint_of_another_service_is_drained_but_not_cut),
		TEST(connection_that_the_kernel_does_not_let_go_stays),
		TEST(without_a_ledger_it_stays_as_well),
		TEST(surplus_is_that_of_others_where_a_process_cannot_let_go),
		TEST(who_reads_sees_an_end_where_a_connection_cannot_be_cut),
		TEST(connections_of_a_service_that_is_gone_stay),
		TEST(pause_shorter_than_quiet_is_never_cut),
		TEST(program_with_default_sigpipe_survives),
		TEST(program_that_ignores_sigpipe_reads_the_end),
		TEST(who_waits_in_a_system_call_notices),
		TEST(nonblocking_dials_are_followed_too),
		TEST(never_more_than_fifty_a_second),
		TEST(connections_with_session_affinity_never_leave),
		TEST(exactly_the_surplus_moves_from_three_endpoints_to_six),
		TEST(surplus_is_the_same_where_programs_dial_anew_late),
		TEST(surplus_that_does_not_divide_is_the_least_that_is_even),
		TEST(who_is_not_ready_has_no_share),
		TEST(nothing_moves_where_nothing_was_added),
		TEST(list_that_goes_back_within_the_window_ends_the_moves),
		TEST(surplus_moves_evenly_over_the_window),
		TEST(connections_leave_at_their_age_and_are_young_again),
		TEST(who_is_alone_at_the_only_endpoint_stays_at_any_age),
		TEST(observe_tells_what_would_have_moved),
		TEST(observe_tells_what_would_have_been_rebalanced),
		TEST(each_service_is_rebalanced_by_itself_in_thought_too),
		TEST(connections_that_were_only_observed_do_not_keep_others_from_moving),
		TEST(long_lists_are_not_rebalanced_in_thought),
		TEST(mode_off_ends_moves_of_running_programs),
		TEST(keys_that_are_set_later_are_honoured),
		TEST(trace_has_a_line_for_each_move),
	};

	return RUN_TESTS(tests);
}
