/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much stack a call takes, measured with paint: under the shim at most a kilobyte more than the C library's own way takes
 * for the same call. All figures are printed; `make integration T=stack` shows them where one is too large, the program by
 * itself always.
 */
#include "support/testing.h"

#include <unistd.h>

#include "ledger/layout.h"
#include "support/autostarts.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, MORE_BYTES = 1024 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""
#define LEAST_CONN  "\"balance\": \"least_conn\""

struct depth {
	long bytes;
	const char *answer;
};

/* A Service at the address of the first backend, over the three others. */
struct scene {
	struct backends *b;
	struct services *s;
	const char *host, *port;
	const char *libc, *program;
};

static struct scene scene_of(const char *libc, const char *program, const char *more)
{
	struct scene scene = { .b = backends_start(4, ONE_PORT), .libc = libc, .program = program };

	scene.s = services_at_first(scene.b, more);
	scene.host = backends_address(scene.b, 0);
	scene.port = format("%d", backends_port(scene.b, 0));
	return scene;
}

/* ---- one figure ---- */

/* The last line of what the helper says: the bytes, and what came of the call. */
static struct depth depth_in(const struct process *p)
{
	char *last = format("%s", p->out_text), *end = strrchr(last, '\n'), *begin;

	assert_clean(p);
	assert_non_null(end);
	*end = '\0';
	begin = strrchr(last, '\n');
	begin = begin ? begin + 1 : last;
	return (struct depth){ strtol(begin, &begin, 10), begin + strspn(begin, " ") };
}

/* Bound at start: a first call through the procedure linkage table goes through the loader, under the shim or not. */
static const char *const *bound(const char *const *env)
{
	return with_env(env, "LD_BIND_NOW=1", NULL);
}

static struct depth depth_of(const char *const *argv, const char *const *env)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = bound(env) });

	process_wait(p, LIMIT_MS);
	return depth_in(p);
}

static unsigned above; /* figures of this test that are too large */

static void compare(const char *libc, const char *what, struct depth native, struct depth here)
{
	bool too_much = here.bytes > native.bytes + MORE_BYTES;

	above += too_much;
	printf("stack: %-5s %-52s natively %5ld, here %5ld, %+ld%s\n", libc, what, native.bytes, here.bytes,
	       here.bytes - native.bytes, too_much ? ": TOO MUCH" : "");
}

static void measure_all(void (*measure)(const char *libc, const char *program))
{
	above = 0;
	measure("glibc", built("helpers/depth"));
	measure("musl", compiled_for_musl("depth", ""));
	if (above)
		fail_msg("%u calls take more than %d bytes of stack beside the C library's own", above, MORE_BYTES);
}

/* The same dial natively, which reaches the first backend. */
static struct depth natively(const struct scene *scene, const char *call)
{
	struct depth native = depth_of(ARGV(scene->program, call, scene->host, scene->port), NULL);

	assert_string_equal(native.answer, "backend-1");
	return native;
}

static void assert_redirected(struct depth here)
{
	if (strncmp(here.answer, "backend-", 8) || !strcmp(here.answer, "backend-1"))
		fail_msg("not dialed by the shim: \"%s\"", here.answer);
}

static uint64_t mends_of(const struct services *s)
{
	return ((const struct ledger_head *)read_file(s->ledger, NULL))->mends;
}

/* ---- dials that are not ours ---- */

static void measure_other(const char *libc, const char *program)
{
	struct scene scene = scene_of(libc, program, NULL);
	struct depth here;

	services_publish_web(scene.s, scene.b, NULL);
	here = depth_of(ARGV(program, "connect", scene.host, scene.port), scene.s->env);
	assert_string_equal(here.answer, "backend-1");
	compare(libc, "connect, to no Service", natively(&scene, "connect"), here);
}

static void measure_declined(const char *libc, const char *program)
{
	const struct {
		const char *what, *more, *env;
	} rows[] = {
		{ "connect, no table", NULL, "FAIRDIAL_DIR=/nowhere" },
		{ "connect, switched off", NULL, "FAIRDIAL=off" },
		{ "connect, the Service is off", "\"mode\": \"off\"", NULL },
		{ "connect, the Service is not this process's", NULL, "FAIRDIAL_EXCEPT=web" },
		{ "connect, observed", "\"mode\": \"observe\", " ROUND_ROBIN, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scene scene = scene_of(libc, program, rows[i].more);
		struct depth here = depth_of(ARGV(program, "connect", scene.host, scene.port),
					     with_env(scene.s->env, rows[i].env, NULL));

		assert_string_equal(here.answer, "backend-1");
		compare(libc, rows[i].what, natively(&scene, "connect"), here);
	}
	measure_other(libc, program);
}

static void dials_that_are_not_ours_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_declined);
}

/* ---- dials that are ---- */

static void measure_served(const char *libc, const char *program)
{
	static const char *const calls[] = { "connect", "nonblocking", "fastopen", "sendmsg" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct scene scene = scene_of(libc, program, ROUND_ROBIN);
		struct depth native = natively(&scene, calls[i]);
		struct depth first = depth_of(ARGV(program, calls[i], scene.host, scene.port), scene.s->env);
		struct depth second =
			depth_of(ARGV(program, "--before", "1", calls[i], scene.host, scene.port), scene.s->env);

		assert_redirected(first);
		assert_redirected(second);
		compare(libc, format("%s, served", calls[i]), native, first);
		compare(libc, format("%s, served once more", calls[i]), native, second);
	}
}

static void dials_that_are_ours_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_served);
}

static void measure_mended(const char *libc, const char *program)
{
	static const char *const calls[] = { "connect", "nonblocking", "fastopen", "sendmsg" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct scene scene = scene_of(libc, program, LEAST_CONN); /* its first dial mends */
		struct depth here = depth_of(ARGV(program, calls[i], scene.host, scene.port), scene.s->env);

		assert_redirected(here);
		assert_int_equal(mends_of(scene.s), 1);
		compare(libc, format("%s, with a mend due", calls[i]), natively(&scene, calls[i]), here);
	}
}

static void dials_that_mend_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_mended);
}

/* Two of three are dead: in three dials, one after the other, some go on to the next. */
static void measure_refused_by(const char *libc, const char *program, const char *call, const char *balance)
{
	struct scene scene = scene_of(libc, program, balance);
	struct depth native = natively(&scene, call), most = { 0, "" };

	backends_stop(scene.b, 1);
	backends_stop(scene.b, 2);
	for (int i = 0; i < 3; i++) {
		struct depth here = depth_of(ARGV(program, call, scene.host, scene.port), scene.s->env);

		assert_string_equal(here.answer, "backend-4");
		most = here.bytes > most.bytes ? here : most;
	}
	assert_true(services_backend(scene.s, "web", scene.b, 1).failures > 0 ||
		    services_backend(scene.s, "web", scene.b, 2).failures > 0);
	compare(libc, format("%s, refused, and the next, %s", call, balance), native, most);
}

static void measure_refused(const char *libc, const char *program)
{
	measure_refused_by(libc, program, "connect", ROUND_ROBIN);
	measure_refused_by(libc, program, "connect", LEAST_CONN);
	measure_refused_by(libc, program, "nonblocking", ROUND_ROBIN);
	measure_refused_by(libc, program, "nonblocking", LEAST_CONN);
	measure_refused_by(libc, program, "fastopen", ROUND_ROBIN);
}

static void dials_that_go_on_to_the_next_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_refused);
}

/* ---- dials that look for a table ---- */

/* The table comes, or is exchanged, between the start of the program and its call. */
static void measure_new_table(const char *libc, const char *program, const char *call, const char *before)
{
	struct scene scene = scene_of(libc, program, LEAST_CONN);
	struct depth native = natively(&scene, call), here;
	struct process *p;

	if (!strcmp(before, "0"))
		assert_int_equal(unlink(scene.s->table), 0);
	p = process_start(&(struct start){ .argv = ARGV(program, "--wait", "--before", before, call, scene.host, scene.port),
					   .env = bound(scene.s->env),
					   .interactive = true });
	process_expect(p, "ready\n", LIMIT_MS);
	unlink(scene.s->table);
	services_publish_at_first(scene.s, scene.b, LEAST_CONN);
	assert_int_equal(unlink(scene.s->ledger), 0); /* which publishing made: the dial has to */
	process_say(p, "go\n");
	process_wait(p, LIMIT_MS);
	here = depth_in(p);
	assert_redirected(here);
	assert_int_equal(access(scene.s->ledger, F_OK), 0);
	compare(libc, format("%s, %s", call, strcmp(before, "0") ? "to a new table" : "to the first table"), native, here);
}

static void measure_attached(const char *libc, const char *program)
{
	measure_new_table(libc, program, "connect", "0");
	measure_new_table(libc, program, "connect", "1");
	measure_new_table(libc, program, "nonblocking", "0");
	measure_new_table(libc, program, "nonblocking", "1");
}

static void dials_that_find_a_table_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_attached);
}

/*
 * In the constructor of an object that is initialised before the shim, whose hook does for itself what the shim's own would. That
 * asks the loader where connect is, which is the C library's own stack.
 */
static void dials_before_the_shims_constructor_take_little_stack(void **state)
{
	struct scene scene = scene_of("glibc", "true", LEAST_CONN);
	const char *early = format("%s/early.so", scene.s->root);
	const char *const *argv = ARGV("true", "connect", scene.host, scene.port);
	struct depth native, here;
	const char *const *env;

	(void)state;
	assert_clean(run(NULL, "gcc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-DEARLY", "-fPIC", "-shared", "-o", early,
			 repository("tests/helpers/depth.c"), NULL));
	env = with_env(NULL, format("LD_PRELOAD=%s", early), NULL);
	assert_string_equal(depth_of(argv, env).answer, "backend-1");
	native = depth_of(ARGV("true", "dlsym", scene.host, scene.port), env);
	assert_string_equal(native.answer, "0");
	here = depth_of(argv, with_env(NULL, format("%s:%s", scene.s->env[0], early), scene.s->env[1], NULL));
	assert_redirected(here);
	above = 0;
	compare("glibc", "connect before the constructor, dlsym natively", native, here);
	assert_int_equal(above, 0);
}

/* ---- dials that start an agent, and wait for its table ---- */

static void measure_start(const char *libc, const char *program, const char *call, bool waits)
{
	struct scene scene = scene_of(libc, program, LEAST_CONN); /* for its services file alone */
	struct autostarts *a = autostarts_open(scene.b);
	const char *const *env = waits ? autostarts_waiting(a, "30s") : a->env;
	struct depth native = natively(&scene, call), here;

	here = depth_of(ARGV(program, call, scene.host, scene.port),
			with_env(env, format("FAIRDIAL_SERVICES=%s", scene.s->file), NULL));
	autostarts_expect(a, 1);
	if (waits)
		assert_redirected(here);
	compare(libc, format("%s, starts an agent%s", call, waits ? " and waits" : ""), native, here);
}

static void measure_starts(const char *libc, const char *program)
{
	measure_start(libc, program, "connect", false);
	measure_start(libc, program, "connect", true);
	measure_start(libc, program, "nonblocking", false);
	measure_start(libc, program, "fastopen", false);
}

static void dials_that_start_an_agent_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_starts);
}

/* ---- the trace ---- */

static void measure_traced(const char *libc, const char *program)
{
	static const char *const calls[] = { "connect", "nonblocking", "fastopen", "sendmsg" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct scene scene = scene_of(libc, program, LEAST_CONN);
		const char *file = format("%s/trace", scene.s->root);
		struct depth here = depth_of(ARGV(program, calls[i], scene.host, scene.port),
					     with_env(scene.s->env, format("FAIRDIAL_TRACE=all:%s", file), NULL));

		assert_redirected(here);
		assert_non_null(strstr(read_file(file, NULL), "dial: web"));
		compare(libc, format("%s, traced", calls[i]), natively(&scene, calls[i]), here);
	}
}

static void dials_that_are_traced_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_traced);
}

/* ---- names ---- */

#define HOSTS "127.0.0.1 localhost\n127.96.0.9 other\n"

/* `hosts`: the lines of /etc/hosts. */
static void measure_name(const char *libc, const char *program, const char *name, const char *before)
{
	static const char *const calls[] = { "getaddrinfo", "gethostbyname_r" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct backends *b = backends_start(1, ONE_PORT);
		struct services *s = services_of_web(b, NULL);
		const char *line = format("%s --before %s %s %s 80", program, before, calls[i], name);
		struct depth native = depth_in(run_with_hosts(bound(NULL), HOSTS SERVICE_ADDRESS " web\n", line));
		struct depth here = depth_in(run_with_hosts(bound(s->env), HOSTS, line));

		assert_true(native.bytes > 0 && here.bytes > 0);
		assert_string_equal(native.answer, here.answer);
		compare(libc, format("%s, \"%s\"%s", calls[i], name, *before == '0' ? "" : ", once more"), native, here);
	}
}

static void measure_names(const char *libc, const char *program)
{
	measure_name(libc, program, "web", "0");
	measure_name(libc, program, "web", "1");
	measure_name(libc, program, "other", "1");
	measure_name(libc, program, "127.0.0.1", "1");
}

static void names_take_little_stack(void **state)
{
	(void)state;
	measure_all(measure_names);
}

/* The smallest stack of a thread on which the C library can answer is large enough. */
static void names_are_answered_on_the_smallest_stack(void **state)
{
	static const char *const names[] = { "web", "other" };
	const char *const programs[] = { built("helpers/handlers"), compiled_for_musl("handlers", "") };
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const char *line = format("%s smallest-stack %s 80 -", programs[i / 2], names[i % 2]);
		struct process *native = run_with_hosts(NULL, HOSTS SERVICE_ADDRESS " web\n", line);
		struct process *here = run_with_hosts(s->env, HOSTS, line);

		assert_clean(native);
		assert_clean(here);
		printf("stack: %-5s \"%s\" on a stack of %ld bytes natively, here %s", i / 2 ? "musl" : "glibc", names[i % 2],
		       atol(native->out_text), here->out_text);
		assert_true(atol(here->out_text) <= atol(native->out_text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_that_are_not_ours_take_little_stack),
		TEST(dials_that_are_ours_take_little_stack),
		TEST(dials_that_mend_take_little_stack),
		TEST(dials_that_go_on_to_the_next_take_little_stack),
		TEST(dials_that_find_a_table_take_little_stack),
		TEST(dials_before_the_shims_constructor_take_little_stack),
		TEST(dials_that_start_an_agent_take_little_stack),
		TEST(dials_that_are_traced_take_little_stack),
		TEST(names_take_little_stack),
		TEST(names_are_answered_on_the_smallest_stack),
	};

	return RUN_TESTS(tests);
}
