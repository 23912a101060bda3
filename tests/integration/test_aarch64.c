/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim built for aarch64, in programs of aarch64 that qemu-user runs: curl of that system and the helpers. Tables are
 * written, and servers run, by this machine, and the ledger is shared with its own programs.
 */
#include "support/testing.h"

#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

#define EMULATOR "qemu-aarch64-static"

enum { BACKENDS = 7, BUILD_LIMIT_MS = 600000, LIMIT_MS = 300000, EACH = 3, DIALS = 7 * 40, HELD = 7 };

/* `make aarch64`, once: what it makes is newer than its sources the next time. */
static void need_aarch64(void)
{
	static const char *const env[] = { "MAKEFLAGS", "MFLAGS", "MAKELEVEL", NULL };
	static bool is_built;
	struct process *p;

	if (!program_exists(EMULATOR))
		skip_because("there is no " EMULATOR);
	if (!program_exists("aarch64-linux-gnu-gcc"))
		skip_because("there is no aarch64-linux-gnu-gcc");
	root_of("arm64");
	if (is_built)
		return;
	p = process_start(&(struct start){ .argv = ARGV("make", "-C", repository(""), "aarch64"), .env = env });
	process_wait(p, BUILD_LIMIT_MS);
	if (p->exit_status)
		fail_msg("make aarch64: exit status %d\n%s%s", p->exit_status, p->out_text, p->err_text);
	is_built = true;
}

/* For a program of aarch64 without the shim, and for one under it. The emulator hands its environment on. */
static const char *const *plain(void)
{
	return with_env(NULL, format("QEMU_LD_PREFIX=%s", root_of("arm64")), NULL);
}

static const char *const *shimmed(const struct services *s)
{
	return with_env(plain(), format("LD_PRELOAD=%s", built("aarch64/libfairdial.so")), s->env[1], NULL);
}

static const char *dialer(void)
{
	return built("aarch64/helpers/dialer");
}

static struct services *services_and_aarch64(struct backends **b, const char *more)
{
	need_aarch64();
	*b = backends_start(BACKENDS, ONE_PORT);
	return services_of_web(*b, more);
}

static void assert_run_is_even(const struct process *p, unsigned total)
{
	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, total, 0);
}

/* ---- spread ---- */

static void curl_is_spread_by_name_and_by_address(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"round_robin\"");
	const char *curl = format("%s/usr/bin/curl", root_of("arm64"));
	const char *const hosts[] = { "web", SERVICE_ADDRESS };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_run_is_even(run(shimmed(s), EMULATOR, curl, "-sS", "--max-time", "50", "-H", "Connection: close",
				       format("http://%s/[1-%d]", hosts[i], BACKENDS), NULL),
				   BACKENDS);
	assert_status_matches(s, "web", b);
}

static void processes_of_curl_are_one_turn(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"round_robin\"");
	const char *const argv[] = { EMULATOR, format("%s/usr/bin/curl", root_of("arm64")), "-sS", "--max-time", "50",
				     "http://web/", NULL };
	size_t failed;
	char *text = run_many(&(struct start){ .argv = argv, .env = shimmed(s) }, BACKENDS, 2, &failed);

	(void)state;
	assert_int_equal(failed, 0);
	assert_even_answers(text, BACKENDS, BACKENDS, 0);
}

static void dials_of_every_kind_are_spread(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"round_robin\"");
	const char *const *const kinds[] = {
		ARGV("--count", "70"),
		ARGV("--count", "70", "--nonblocking"),
		ARGV("--count", "70", "--v6mapped"),
		ARGV("--count", "70", "--fastopen"),
		ARGV("--count", "70", "--threads", "8"),
		ARGV("--count", "70", "--threads", "8", "--nonblocking"),
	};
	const char *const hosts[] = { "web", SERVICE_ADDRESS };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (size_t k = 0; k < 2; k++) {
			const char *argv[16] = { EMULATOR, dialer() };
			size_t n = 2;
			struct process *p;

			for (const char *const *word = kinds[i]; *word; word++)
				argv[n++] = *word;
			argv[n++] = hosts[k];
			argv[n++] = "80";
			p = process_start(&(struct start){ .argv = argv, .env = shimmed(s) });
			process_wait(p, LIMIT_MS);
			assert_run_is_even(p, 70);
		}
	assert_status_matches(s, "web", b);
}

static void dead_endpoints_are_passed_over(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"round_robin\"");
	unsigned counts[BACKENDS];

	(void)state;
	backends_stop(b, 2);
	for (size_t i = 0; i < 2; i++) {
		struct process *p = run(shimmed(s), EMULATOR, dialer(), "--count", "42", i ? "--nonblocking" : "--v6mapped",
					SERVICE_ADDRESS, "80", NULL);

		assert_clean(p);
		assert_int_equal(tally(p->out_text, counts, BACKENDS), 0);
		assert_int_equal(counts[2], 0);
	}
	assert_true(services_backend(s, "web", b, 2).failures > 0);
}

/* ---- one ledger for both ---- */

/* As many processes of this machine as of aarch64, all at once. */
static void start_both(struct process **p, const struct services *s, const char *count, bool hold)
{
	const char *last = hold ? "--hold" : "--nonblocking";

	for (size_t i = 0; i < EACH; i++) {
		struct start native = { .argv = ARGV(built("helpers/dialer"), "--count", count, "--threads", "4", last, "web", "80"),
					.env = s->env,
					.interactive = hold };
		struct start emulated = { .argv = ARGV(EMULATOR, dialer(), "--count", count, "--threads", "4", last, "web", "80"),
					  .env = shimmed(s),
					  .interactive = hold };

		p[2 * i] = process_start(&emulated);
		p[2 * i + 1] = process_start(&native);
	}
}

static void turns_are_exact_among_processes_of_two_machines(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"round_robin\"");
	struct process *p[2 * EACH];
	char *all = format("%s", "");

	(void)state;
	start_both(p, s, format("%d", DIALS), false);
	for (size_t i = 0; i < 2 * EACH; i++) {
		process_wait(p[i], LIMIT_MS);
		assert_clean(p[i]);
		all = format("%s%s", all, p[i]->out_text);
	}
	assert_even_answers(all, BACKENDS, 2 * EACH * DIALS, 0);
	assert_status_matches(s, "web", b);
}

static void connections_that_are_held_are_even_among_processes_of_two_machines(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, "\"balance\": \"least_conn\"");
	struct process *p[2 * EACH];
	unsigned open[BACKENDS];

	(void)state;
	start_both(p, s, format("%d", HELD), true);
	for (size_t i = 0; i < 2 * EACH; i++)
		process_expect(p[i], "ready\n", LIMIT_MS);
	for (size_t i = 0; i < BACKENDS; i++)
		open[i] = backends_open(b, i);
	assert_even(open, BACKENDS, 2 * EACH * HELD, 0);
	for (size_t i = 0; i < 2 * EACH; i++) {
		process_close_input(p[i]);
		process_wait(p[i], LIMIT_MS);
	}
}

/* ---- what is not ours, and what is odd ---- */

static void assert_same(const struct process *one, const struct process *other)
{
	if (one->exit_status != other->exit_status || strcmp(one->out_text, other->out_text) ||
	    strcmp(one->err_text, other->err_text))
		fail_msg("exit status %d:\n%s%s\nbut %d:\n%s%s", one->exit_status, one->out_text, one->err_text,
			 other->exit_status, other->out_text, other->err_text);
}

static void dials_that_are_not_ours_are_as_on_this_machine_without_the_shim(void **state)
{
	struct backends *b;
	struct services *s = services_and_aarch64(&b, NULL);
	const char *first = backends_address(b, 0), *port = format("%d", backends_port(b, 0)), *dead = format("%d", unused_port());
	const char *const *const off = with_env(shimmed(s), "FAIRDIAL=off", NULL);
	const char *const *const nowhere = with_env(shimmed(s), format("FAIRDIAL_DIR=%s/nowhere", s->root), NULL);

	(void)state;
	assert_same(run(NULL, built("helpers/dialer"), "--count", "3", first, port, NULL),
		    run(shimmed(s), EMULATOR, dialer(), "--count", "3", first, port, NULL));
	assert_same(run(NULL, built("helpers/dialer"), "--nonblocking", first, dead, NULL),
		    run(shimmed(s), EMULATOR, dialer(), "--nonblocking", first, dead, NULL));
	assert_same(run(NULL, built("helpers/dialer"), "--fastopen", first, dead, NULL),
		    run(shimmed(s), EMULATOR, dialer(), "--fastopen", first, dead, NULL));
	assert_same(run(NULL, built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL),
		    run(off, EMULATOR, dialer(), SERVICE_ADDRESS, "80", NULL));
	assert_same(run(NULL, built("helpers/dialer"), "--nonblocking", SERVICE_ADDRESS, "80", NULL),
		    run(nowhere, EMULATOR, dialer(), "--nonblocking", SERVICE_ADDRESS, "80", NULL));
}

static void odd_calls_return_the_same(void **state)
{
	struct backends *b;
	struct services *s;
	const char *program, *host, *port, *dead = format("%d", unused_port());
	struct process *native;

	(void)state;
	need_aarch64();
	program = built("aarch64/helpers/oddities");
	b = backends_start(4, ONE_PORT);
	host = backends_address(b, 0);
	port = format("%d", backends_port(b, 0));
	s = services_open();
	services_publish(s, service_entry("web", host, backends_port(b, 0), backends_places(b) + 1, 3, NULL));
	native = run(plain(), EMULATOR, program, host, port, dead, NULL);
	assert_clean(native);
	assert_same(native, run(shimmed(s), EMULATOR, program, host, port, dead, NULL));
	assert_true(services_backend(s, "web", b, 1).dials > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_is_spread_by_name_and_by_address),
		TEST(processes_of_curl_are_one_turn),
		TEST(dials_of_every_kind_are_spread),
		TEST(dead_endpoints_are_passed_over),
		TEST(turns_are_exact_among_processes_of_two_machines),
		TEST(connections_that_are_held_are_even_among_processes_of_two_machines),
		TEST(dials_that_are_not_ours_are_as_on_this_machine_without_the_shim),
		TEST(odd_calls_return_the_same),
	};

	return RUN_TESTS(tests);
}
