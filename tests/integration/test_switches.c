/* SPDX-License-Identifier: Apache-2.0 */
/* What switches, narrows or explains spreading: the table's mode, live, and the variables of one process. */
#include "support/testing.h"

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, EXTRA_CALLS = 6 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""

/*
 * Two Services whose addresses are live servers of their own, "backend-1" and "backend-2", and whose endpoints are the
 * others: who answers tells whether a dial was passed through.
 */
struct scene {
	struct backends *b;
	struct services *s;
	const char *web[2], *api[2]; /* host and port */
};

static char *entry(const struct scene *scene, size_t i, const char *more)
{
	return service_entry(i ? "api" : "web", backends_address(scene->b, i), backends_port(scene->b, i),
			     backends_places(scene->b) + 2, 2, more);
}

static void publish(const struct scene *scene, const char *more)
{
	services_publish(scene->s, format("%s, %s", entry(scene, 0, more), entry(scene, 1, more)));
}

static struct scene scene(const char *more)
{
	struct scene scene = { .b = backends_start(4, ONE_PORT), .s = services_open() };

	scene.web[0] = backends_address(scene.b, 0);
	scene.web[1] = format("%d", backends_port(scene.b, 0));
	scene.api[0] = backends_address(scene.b, 1);
	scene.api[1] = format("%d", backends_port(scene.b, 1));
	publish(&scene, more);
	return scene;
}

static char *dial(const char *const *env, const char *const target[2], const char *count)
{
	struct process *p = run(env, built("helpers/dialer"), "--count", count, target[0], target[1], NULL);

	assert_clean(p);
	return p->out_text;
}

static bool is_spread(const char *const *env, const char *const target[2])
{
	unsigned counts[4];

	assert_int_equal(tally(dial(env, target, "4"), counts, 4), 0);
	if (counts[2] + counts[3] == 4)
		return true;
	assert_int_equal(counts[0] + counts[1], 4);
	return false;
}

static struct process *stepper(const struct scene *scene)
{
	const char *argv[] = { built("helpers/dialer"), "--step", scene->web[0], scene->web[1], NULL };

	return process_start(&(struct start){ .argv = argv, .env = scene->s->env, .interactive = true });
}

/* Whether the next dial of a running client is spread. */
static bool next_is_spread(struct process *p)
{
	const char *line;

	process_say(p, "\n");
	line = process_line(p, LIMIT_MS);
	return strcmp(line, "backend-1") != 0;
}

static void mode_of_a_service_is_honoured_at_the_next_dial_of_a_running_program(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	struct process *p = stepper(&one);

	(void)state;
	for (int turn = 0; turn < 3; turn++) {
		assert_true(next_is_spread(p));
		publish(&one, ROUND_ROBIN ", \"mode\": \"off\"");
		assert_false(next_is_spread(p));
		publish(&one, ROUND_ROBIN ", \"mode\": \"on\"");
	}
}

static void mode_of_everything_is_honoured_at_the_next_dial_of_a_running_program(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	struct process *p = stepper(&one);

	(void)state;
	assert_true(next_is_spread(p));
	assert_clean(services_try(one.s,
				  format("{ \"mode\": \"off\", \"services\": [ %s ] }", entry(&one, 0, ROUND_ROBIN))));
	assert_false(next_is_spread(p));
	assert_clean(
		services_try(one.s, format("{ \"mode\": \"on\", \"services\": [ %s ] }", entry(&one, 0, ROUND_ROBIN))));
	assert_true(next_is_spread(p));
}

static void endpoints_published_under_a_running_program_are_dialed_next(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	struct process *p = stepper(&one);

	(void)state;
	assert_true(next_is_spread(p));
	for (size_t i = 1; i < 4; i++) {
		services_publish(one.s, service_entry("web", one.web[0], backends_port(one.b, 0),
						      backends_places(one.b) + i, 1, ROUND_ROBIN));
		process_say(p, "\n");
		assert_string_equal(process_line(p, LIMIT_MS), format("backend-%zu", i + 1));
	}
}

static long dials_counted(const struct scene *scene)
{
	return services_backend(scene->s, "web", scene->b, 2).dials +
	       services_backend(scene->s, "web", scene->b, 3).dials;
}

static void observe_changes_nothing_but_counts(void **state)
{
	struct scene one = scene(ROUND_ROBIN ", \"mode\": \"observe\"");

	(void)state;
	assert_false(is_spread(one.s->env, one.web));
	assert_int_equal(dials_counted(&one), 4);
	assert_int_equal(services_backend(one.s, "web", one.b, 2).active, 0);
	publish(&one, ROUND_ROBIN);
	assert_false(is_spread(with_env(one.s->env, "FAIRDIAL=observe", NULL), one.web));
	assert_int_equal(dials_counted(&one), 8);
	assert_true(is_spread(one.s->env, one.web));
}

static void off_turns_it_off_for_a_process_and_its_children(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	struct process *p = run_shell(with_env(one.s->env, "FAIRDIAL=off", NULL), "sh -c '%s %s %s'; true",
				      built("helpers/dialer"), one.web[0], one.web[1]);

	(void)state;
	assert_clean(p);
	assert_string_equal(p->out_text, "backend-1\n");
	assert_int_equal(dials_counted(&one), 0);
}

static void only_names_what_is_spread(void **state)
{
	struct scene one = scene(ROUND_ROBIN);

	(void)state;
	assert_true(is_spread(with_env(one.s->env, "FAIRDIAL_ONLY=web", NULL), one.web));
	assert_false(is_spread(with_env(one.s->env, "FAIRDIAL_ONLY=web", NULL), one.api));
	assert_true(is_spread(with_env(one.s->env, "FAIRDIAL_ONLY=other,api", NULL), one.api));
	assert_true(is_spread(with_env(one.s->env, "FAIRDIAL_ONLY=", NULL), one.api));
}

static void except_names_what_is_not_spread(void **state)
{
	struct scene one = scene(ROUND_ROBIN);

	(void)state;
	assert_false(is_spread(with_env(one.s->env, "FAIRDIAL_EXCEPT=web", NULL), one.web));
	assert_true(is_spread(with_env(one.s->env, "FAIRDIAL_EXCEPT=web", NULL), one.api));
	assert_false(is_spread(with_env(one.s->env, "FAIRDIAL_EXCEPT=other,api", NULL), one.api));
}

static void balance_of_the_process_goes_before_that_of_the_table(void **state)
{
	struct scene one = scene("\"balance\": \"hash\"");
	const char *const *env = with_env(one.s->env, "FAIRDIAL_BALANCE=round_robin", NULL);
	unsigned counts[4];

	(void)state;
	tally(dial(one.s->env, one.web, "10"), counts, 4);
	assert_true(counts[2] == 10 || counts[3] == 10);
	tally(dial(env, one.web, "10"), counts, 4);
	assert_int_equal(counts[2], 5);
	assert_int_equal(counts[3], 5);
}

static void trace_writes_one_line_for_each_dial(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	const char *path = format("%s/trace", one.s->root);
	const char *const *env = with_env(one.s->env, format("FAIRDIAL_TRACE=dial:%s", path), NULL);
	char *text;

	(void)state;
	dial(env, one.web, "5");
	text = read_file(path, NULL);
	assert_int_equal(lines_of(text), 5);
	assert_non_null(strstr(text, "web"));
	assert_non_null(strstr(text, backends_address(one.b, 2)));
	assert_non_null(strstr(text, backends_address(one.b, 3)));
}

static void trace_without_a_path_goes_to_stderr(void **state)
{
	struct scene one = scene(ROUND_ROBIN);
	struct process *p = run(with_env(one.s->env, "FAIRDIAL_TRACE=dial", NULL), built("helpers/dialer"), "--count",
				"3", one.web[0], one.web[1], NULL);

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(lines_of(p->out_text), 3);
	assert_int_equal(lines_of(p->err_text), 3);
}

/* ---- what a dial costs ---- */

enum { DIALS = 20, SETTLED = 6 };

struct calls {
	long usual, most;
};

static int ascending(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* System calls between the two marks of a dial, once every backend has answered. */
static struct calls calls_of_a_dial(const struct scene *scene, const char *const *env, const char *flag)
{
	char *file = format("%s/strace", scene->s->root), *line, *rest;
	struct process *p = run(env, "strace", "-o", file, "-e", "trace=all", built("helpers/dialer"), "--marks",
				"--mute", "--count", format("%d", DIALS), flag, scene->web[0], scene->web[1], NULL);
	long calls[DIALS], since = 0, marks = 0;

	assert_int_equal(p->exit_status, 0);
	rest = read_file(file, NULL);
	while ((line = strsep(&rest, "\n"))) {
		since++;
		if (strncmp(line, "write(-1, \"mark\"", 16))
			continue;
		assert_true(marks < 2 * DIALS);
		if (marks++ % 2)
			calls[marks / 2 - 1] = since - 1;
		since = 0;
	}
	assert_int_equal(marks, 2 * DIALS);
	qsort(calls + SETTLED, DIALS - SETTLED, sizeof(*calls), ascending);
	return (struct calls){ calls[(SETTLED + DIALS) / 2], calls[DIALS - 1] };
}

static void assert_cheap(const char *balance, const char *flag, bool mends)
{
	struct scene one = scene(format("\"balance\": \"%s\"", balance));
	struct calls with = calls_of_a_dial(&one, one.s->env, flag), without = calls_of_a_dial(&one, NULL, flag);
	long extra = (mends ? with.usual : with.most) - without.usual;

	if (extra > EXTRA_CALLS)
		fail_msg("%s with %s: a dial makes %ld more system calls", balance, flag, extra);
	assert_true(extra > 0); /* else it was not ours */
}

static void need_strace(void)
{
	if (run(NULL, "strace", "-o", "/dev/null", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
}

static void dial_costs_at_most_six_more_system_calls(void **state)
{
	const char *const policies[] = { "round_robin", "random", "p2c", "hash", "least_conn" };

	(void)state;
	need_strace();
	for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		/* Once a second, one dial of those that go by load looks at the kernel's list as well. */
		bool mends = !strcmp(policies[i], "least_conn") || !strcmp(policies[i], "p2c");

		assert_cheap(policies[i], "--count=20", mends);
		assert_cheap(policies[i], "--v6mapped", mends);
		assert_cheap(policies[i], "--nonblocking", mends);
	}
}

static void dial_that_is_no_services_costs_no_system_call(void **state)
{
	struct scene one = scene(ROUND_ROBIN);

	(void)state;
	need_strace();
	one.web[0] = backends_address(one.b, 3); /* an endpoint itself */
	assert_int_equal(calls_of_a_dial(&one, one.s->env, "--nonblocking").most, 1);
	assert_int_equal(calls_of_a_dial(&one, one.s->env, "--count=20").most, 1);
}

/* A trial is one dial's for as long as it takes: of one that is not redirected nobody would ever hear. */
static void observing_takes_no_trial(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\", \"eject_for\": \"100ms\"");
	struct keeping *k;
	struct ledger_key key;
	uint64_t word;

	(void)state;
	backends_stop(b, 0);
	run(s->env, built("helpers/dialer"), "--count", "2", SERVICE_ADDRESS, "80", NULL);
	k = watch_ledger(s);
	key = key_at(k, place_of(backends_address(b, 0), backends_port(b, 0)));
	word = row_of(&k->ledger, key.slot)->ejected_until;
	assert_true((uint32_t)word);
	while (ledger_load(&k->ledger, key, clock_boot_ms()).ejected)
		poll(NULL, 0, 1);
	run(with_env(s->env, "FAIRDIAL=observe", NULL), built("helpers/dialer"), "--count", "4", SERVICE_ADDRESS, "80", NULL);
	assert_true(row_of(&k->ledger, key.slot)->ejected_until == word);
	run(s->env, built("helpers/dialer"), "--count", "2", SERVICE_ADDRESS, "80", NULL);
	assert_true(row_of(&k->ledger, key.slot)->ejected_until != word);
}

/* The table's own path, say, in place of its directory's. */
static void trace_tells_of_a_file_where_the_directory_is_to_be(void **state)
{
	struct scene one = scene(NULL);
	const char *const *env = with_env(one.s->env, format("FAIRDIAL_DIR=%s", one.s->table), "FAIRDIAL_TRACE=attach", NULL);
	struct process *p = run(env, built("helpers/dialer"), "--count", "1", one.web[0], one.web[1], NULL);

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_non_null(strstr(p->err_text, format("attach: %s/table passed over: there is a file where its directory is to be\n",
						   one.s->table)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trace_tells_of_a_file_where_the_directory_is_to_be),
		TEST(observing_takes_no_trial),
		TEST(mode_of_a_service_is_honoured_at_the_next_dial_of_a_running_program),
		TEST(mode_of_everything_is_honoured_at_the_next_dial_of_a_running_program),
		TEST(endpoints_published_under_a_running_program_are_dialed_next),
		TEST(observe_changes_nothing_but_counts),
		TEST(off_turns_it_off_for_a_process_and_its_children),
		TEST(only_names_what_is_spread),
		TEST(except_names_what_is_not_spread),
		TEST(balance_of_the_process_goes_before_that_of_the_table),
		TEST(trace_writes_one_line_for_each_dial),
		TEST(trace_without_a_path_goes_to_stderr),
		TEST(dial_costs_at_most_six_more_system_calls),
		TEST(dial_that_is_no_services_costs_no_system_call),
	};

	return RUN_TESTS(tests);
}
