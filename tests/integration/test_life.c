/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How programs live: they close what they did not open, become daemons, start others, dial where a signal interrupts them. Each
 * runs natively, where the Service's address is that of a server, and under the shim, which spreads the same dials over others;
 * what it tells and how it ends is the same. Under glibc and under musl.
 */
#include "support/testing.h"

#include <unistd.h>

#include "ledger/layout.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, ENDPOINTS = 3, MAX_LIVES = 8 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""
#define LEAST_CONN  "\"balance\": \"least_conn\""

/* ---- a life, natively and under the shim ---- */

struct life {
	const char *name, *policy;
	unsigned dials;
	bool on_stdout; /* what it has to tell; else in a file */
	bool traced;
	unsigned dead; /* endpoints that refuse */
};

struct scene {
	const struct life *life;
	struct backends *b;
	struct services *s;
	const char *trace;
	struct process *native, *here;
	const char *native_report, *report; /* files, where they are not "-" */
};

static struct process *start(const struct scene *scene, const char *program, const char *const *env, const char *report)
{
	const char *port = format("%d", backends_port(scene->b, 0)), *host = backends_address(scene->b, 0);

	return process_start(&(struct start){ .argv = ARGV(program, scene->life->name, host, port, report), .env = env });
}

static const char *report_file(const struct scene *scene, const char *name)
{
	return scene->life->on_stdout ? "-" : format("%s/%s", scene->s->root, name);
}

/* Natively and under the shim at the same time: they have nothing in common but the servers' process. */
static struct scene begin(const struct life *life, const char *program)
{
	struct scene scene = { .life = life, .b = backends_start(1 + ENDPOINTS, ONE_PORT) };
	const char *const *env;

	scene.s = services_at_first(scene.b, life->policy);
	scene.trace = format("%s/trace", scene.s->root);
	env = life->traced ? with_env(scene.s->env, format("FAIRDIAL_TRACE=all:%s", scene.trace), NULL) : scene.s->env;
	for (unsigned i = 0; i < life->dead; i++)
		backends_stop(scene.b, ENDPOINTS - i);
	scene.native_report = report_file(&scene, "native");
	scene.report = report_file(&scene, "report");
	scene.native = start(&scene, program, NULL, scene.native_report);
	scene.here = start(&scene, program, env, scene.report);
	return scene;
}

/* All dials went to the endpoints that live, evenly: by turns exactly, by load as far as it was known. */
static void assert_spread(const struct scene *scene)
{
	unsigned counts[ENDPOINTS], alive = ENDPOINTS - scene->life->dead, total = scene->life->dials;
	bool exact = !strcmp(scene->life->policy, ROUND_ROBIN) && !scene->life->dead;

	for (unsigned i = 0; i < alive; i++)
		counts[i] = backends_accepted(scene->b, 1 + i);
	assert_even(counts, alive, total, exact ? 1 : total - 1);
	assert_int_equal(backends_accepted(scene->b, 0), total); /* the native ones */
}

static const char *told(const struct scene *scene, const struct process *p, const char *file)
{
	const char *text = scene->life->on_stdout ? p->out_text : read_file(file, NULL);

	assert_true(*text != '\0');
	return text;
}

static void end(const struct scene *scene)
{
	const char *native, *here;

	process_wait(scene->native, LIMIT_MS);
	process_wait(scene->here, LIMIT_MS);
	assert_clean(scene->native);
	assert_same_run(scene->native, scene->here);
	native = told(scene, scene->native, scene->native_report);
	here = told(scene, scene->here, scene->report);
	if (strcmp(native, here))
		fail_msg("%s natively:\n%s\nunder the shim:\n%s", scene->life->name, native, here);
	assert_spread(scene);
	if (scene->life->traced)
		assert_non_null(strstr(read_file(scene->trace, NULL), "dial: web"));
	if (!strcmp(scene->life->policy, LEAST_CONN))
		assert_true(((const struct ledger_head *)read_file(scene->s->ledger, NULL))->mends > 0);
}

/* All at once: some wait for a second. */
static void assert_lives_are_the_same(const char *helper, const struct life *lives, size_t count)
{
	const char *const programs[] = { built(format("helpers/%s", helper)), compiled_for_musl(helper, "") };
	struct scene scenes[2 * MAX_LIVES];

	assert_true(count <= MAX_LIVES);
	for (size_t i = 0; i < 2 * count; i++)
		scenes[i] = begin(&lives[i / 2], programs[i % 2]);
	for (size_t i = 0; i < 2 * count; i++)
		end(&scenes[i]);
}

#define ASSERT_LIVES_ARE_THE_SAME(helper, lives) \
	assert_lives_are_the_same(helper, lives, sizeof(lives) / sizeof(*(lives)))

/* ---- descriptors ---- */

static void programs_that_close_all_descriptors_see_none_of_the_shims(void **state)
{
	static const struct life lives[] = {
		{ .name = "close-in-loop", .policy = LEAST_CONN, .dials = 3 },
		{ .name = "close-in-loop", .policy = LEAST_CONN, .dials = 3, .traced = true },
		{ .name = "close-from", .policy = LEAST_CONN, .dials = 3 },
		{ .name = "close-others", .policy = LEAST_CONN, .dials = 3, .traced = true },
		{ .name = "close-all", .policy = LEAST_CONN, .dials = 3 },
		{ .name = "close-all", .policy = LEAST_CONN, .dials = 3, .traced = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("lives", lives);
}

static void descriptors_0_to_2_may_be_sockets(void **state)
{
	static const struct life lives[] = {
		{ .name = "dial-on-the-first", .policy = LEAST_CONN, .dials = 4 },
		{ .name = "dial-on-the-first", .policy = LEAST_CONN, .dials = 4, .traced = true },
		{ .name = "keep-the-first", .policy = LEAST_CONN, .dials = 3 },
		{ .name = "keep-the-first", .policy = LEAST_CONN, .dials = 3, .traced = true },
		{ .name = "keep-the-first", .policy = LEAST_CONN, .dials = 3, .traced = true, .dead = 2 },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("lives", lives);
}

/* ---- daemons, other roots, other users ---- */

static void daemons_dial(void **state)
{
	static const struct life lives[] = {
		{ .name = "daemon", .policy = ROUND_ROBIN, .dials = 3 },
		{ .name = "daemon", .policy = LEAST_CONN, .dials = 3, .traced = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("lives", lives);
}

static void programs_that_leave_their_root_or_user_dial_on(void **state)
{
	static const struct life lives[] = {
		{ .name = "another-user", .policy = ROUND_ROBIN, .dials = 4, .on_stdout = true },
		{ .name = "another-root", .policy = ROUND_ROBIN, .dials = 4, .on_stdout = true },
		{ .name = "another-root-and-user", .policy = ROUND_ROBIN, .dials = 4, .on_stdout = true },
		{ .name = "another-root-and-user", .policy = LEAST_CONN, .dials = 4, .on_stdout = true, .dead = 2 },
	};

	(void)state;
	if (geteuid())
		skip_because("only root can become another user");
	ASSERT_LIVES_ARE_THE_SAME("lives", lives);
}

static void programs_that_look_at_themselves_see_no_trace_of_the_shim(void **state)
{
	static const struct life lives[] = {
		{ .name = "look", .policy = ROUND_ROBIN, .dials = 7 },
		{ .name = "look", .policy = LEAST_CONN, .dials = 7, .dead = 2 },
		{ .name = "look", .policy = LEAST_CONN, .dials = 7, .traced = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("lives", lives);
}

/* ---- children ---- */

static void children_of_fork_dial_while_threads_do(void **state)
{
	static const struct life lives[] = {
		{ .name = "fork", .policy = ROUND_ROBIN, .dials = 600 },
		{ .name = "fork", .policy = LEAST_CONN, .dials = 600, .dead = 1 },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("children", lives);
}

static void children_that_a_signal_handler_forks_dial(void **state)
{
	static const struct life lives[] = {
		{ .name = "fork-in-handler", .policy = ROUND_ROBIN, .dials = 250, .on_stdout = true },
		{ .name = "fork-in-handler", .policy = LEAST_CONN, .dials = 250, .on_stdout = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("children", lives);
}

static void programs_that_are_started_in_other_ways_dial(void **state)
{
	static const struct life lives[] = {
		{ .name = "vfork", .policy = ROUND_ROBIN, .dials = 2, .on_stdout = true },
		{ .name = "vfork-dial", .policy = ROUND_ROBIN, .dials = 6, .on_stdout = true },
		{ .name = "vfork-dial", .policy = LEAST_CONN, .dials = 6, .on_stdout = true, .dead = 2 },
		{ .name = "spawn", .policy = ROUND_ROBIN, .dials = 2, .on_stdout = true },
		{ .name = "shell", .policy = ROUND_ROBIN, .dials = 4, .on_stdout = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("children", lives);
}

/* ---- signal handlers and small stacks ---- */

static void signal_handlers_dial_whatever_they_interrupt(void **state)
{
	static const struct life lives[] = {
		{ .name = "interrupt-malloc", .policy = ROUND_ROBIN, .dials = 150 },
		{ .name = "interrupt-dials", .policy = ROUND_ROBIN, .dials = 450 },
		{ .name = "interrupt-dials", .policy = LEAST_CONN, .dials = 450 },
		{ .name = "interrupt-dials", .policy = LEAST_CONN, .dials = 450, .dead = 2 },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("handlers", lives);
}

static void small_stacks_are_large_enough(void **state)
{
	static const struct life lives[] = {
		{ .name = "small-stack", .policy = ROUND_ROBIN, .dials = 6 },
		{ .name = "small-stack", .policy = LEAST_CONN, .dials = 6 },
		{ .name = "small-stack", .policy = LEAST_CONN, .dials = 6, .dead = 2, .traced = true },
		{ .name = "signal-stack", .policy = ROUND_ROBIN, .dials = 6 },
		{ .name = "signal-stack", .policy = LEAST_CONN, .dials = 6 },
		{ .name = "signal-stack", .policy = LEAST_CONN, .dials = 6, .dead = 2, .traced = true },
	};

	(void)state;
	ASSERT_LIVES_ARE_THE_SAME("handlers", lives);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(programs_that_close_all_descriptors_see_none_of_the_shims),
		TEST(descriptors_0_to_2_may_be_sockets),
		TEST(daemons_dial),
		TEST(programs_that_leave_their_root_or_user_dial_on),
		TEST(programs_that_look_at_themselves_see_no_trace_of_the_shim),
		TEST(children_of_fork_dial_while_threads_do),
		TEST(children_that_a_signal_handler_forks_dial),
		TEST(programs_that_are_started_in_other_ways_dial),
		TEST(signal_handlers_dial_whatever_they_interrupt),
		TEST(small_stacks_are_large_enough),
	};

	return RUN_TESTS(tests);
}
