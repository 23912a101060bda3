/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hundred thousand questions over a hundred connections, while the list changes every second and connections leave for every
 * reason: no answer is lost, cut or somebody else's, and no question is answered twice (tests/helpers/turns.c).
 *
 * SEED=… repeats the lists of a run.
 */
#include "support/testing.h"

#include <sys/wait.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/herd.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { SERVERS = 6, PROCESSES = 4, CONNECTIONS = 100, TURNS = 100000, LIMIT_MS = 300000 };

#define MOVES "\"drain\": \"idle\", \"rebalance\": \"1s\", \"max_age\": \"3s\", " QUICK

struct scene {
	struct services *s;
	struct place places[SERVERS];
	struct process *server, *asking[PROCESSES];
	uint64_t random;
};

/* One at least is there and stays. */
static void change_list(struct scene *scene)
{
	size_t one = (size_t)(next_random(&scene->random) % SERVERS);
	char *endpoints = format("%s", "");

	for (size_t i = 0; i < SERVERS; i++) {
		unsigned what = i == one ? 0 : (unsigned)(next_random(&scene->random) % 4);

		if (what == 3)
			continue;
		endpoints = format("%s%s{ \"address\": \"%s\", \"port\": %d%s }", endpoints, *endpoints ? ", " : "",
				   scene->places[i].address, scene->places[i].port, what == 2 ? ", \"terminating\": true" : "");
	}
	services_publish(scene->s, format("{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\"], "
					  "\"ports\": [ { \"port\": 80 } ], \"endpoints\": [ %s ], " MOVES " }",
					  endpoints));
}

static void start_server(struct scene *scene)
{
	const char *argv[SERVERS + 5] = { built("helpers/turns"), "serve", format("%d", TURNS) };

	unused_places(scene->places, SERVERS);
	argv[3] = format("%d", scene->places[0].port);
	for (size_t i = 0; i < SERVERS; i++)
		argv[4 + i] = scene->places[i].address;
	scene->server = process_start(&(struct start){ .argv = argv, .interactive = true });
	process_expect(scene->server, "ready\n", MOVES_LIMIT_MS);
	process_line(scene->server, MOVES_LIMIT_MS);
}

/* Every second one ignores SIGPIPE. */
static void start_asking(struct scene *scene)
{
	for (int i = 0; i < PROCESSES; i++)
		scene->asking[i] = process_start(&(struct start){
			.argv = ARGV(built("helpers/turns"), "ask", SERVICE_ADDRESS, "80", format("%d", CONNECTIONS / PROCESSES),
				     format("%d", TURNS / PROCESSES), format("%d", i * (TURNS / PROCESSES)), i % 2 ? "ignore" : NULL),
			.env = scene->s->env });
}

static bool has_ended(const struct process *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == p->pid;
}

static bool all_have_ended(const struct scene *scene)
{
	for (int i = 0; i < PROCESSES; i++)
		if (!has_ended(scene->asking[i]))
			return false;
	return true;
}

static void assert_all_answered(struct process *p)
{
	int answered = 0, again = 0, lost = 0, cut = 0, wrong = 0, stray = 0, renewed = 0;

	process_wait(p, LIMIT_MS);
	if (p->exit_status || sscanf(p->out_text, "answered %d again %d lost %d cut %d wrong %d stray %d renewed %d", &answered, &again,
				     &lost, &cut, &wrong, &stray, &renewed) != 7)
		fail_msg("exit status %d, signal %d: %s%s", p->exit_status, p->signal, p->out_text, p->err_text);
	if (answered != TURNS / PROCESSES || lost || cut || wrong || stray)
		fail_msg("%s", p->out_text);
	printf("%s", p->out_text);
}

static void no_answer_is_lost_cut_or_doubled_while_the_list_changes_every_second(void **state)
{
	struct scene scene = { .s = services_open(), .random = herd_seed() | 1 };
	struct moves moved;
	long end = now_ms() + LIMIT_MS;

	(void)state;
	start_server(&scene);
	change_list(&scene);
	start_asking(&scene);
	while (!all_have_ended(&scene) && now_ms() < end) {
		sleep(1);
		change_list(&scene);
	}
	moved = moved_of(scene.s, "web");
	for (int i = 0; i < PROCESSES; i++)
		assert_all_answered(scene.asking[i]);
	process_say(scene.server, "report\n");
	assert_string_equal(process_line(scene.server, MOVES_LIMIT_MS), format("seen %d doubled 0", TURNS));
	printf("moved: drain %ld, rebalance %ld, max_age %ld\n", moved.drain, moved.rebalance, moved.max_age);
	/* Else it has shown nothing. */
	assert_true(moved.drain > CONNECTIONS && moved.max_age > 0);
	assert_int_equal(moved.cut, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_answer_is_lost_cut_or_doubled_while_the_list_changes_every_second),
	};

	return RUN_TESTS(tests);
}
