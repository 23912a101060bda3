/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a program comes to run and what it brings with it: other preloaded objects before and behind the shim, dials before any
 * constructor has run, no C library at all, and a shim that cannot be loaded.
 */
#include "support/testing.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"
#include "support/spread.h"

enum { BACKENDS = 5, DIALS = 10, BARE_STATUS = 7 };

#define OLD_GLIBC "bullseye"
#define NEWEST    "newest"

static const char *loader_of_musl(void)
{
	struct process *p = run_shell(NULL, "readelf -p .interp %s | grep -o '/[^ ]*'", compiled_for_musl("dialer", ""));

	assert_clean(p);
	return process_line(p, 0);
}

/* ---- other preloaded objects ---- */

static const char *counter(const char *name)
{
	return compiled("cc", "special/counter", format("-shared -fPIC -nostdlib -DNAME='\"%s\"'", name));
}

/* What the object of this name counted, at its end. */
static void read_counts(const struct process *p, const char *name, int *ret_connects, int *ret_lookups)
{
	const char *line = strstr(p->err_text, format("%s: ", name));

	if (!line || sscanf(line + strlen(name), ": %d connects, %d lookups", ret_connects, ret_lookups) != 2)
		fail_msg("nothing of \"%s\" on stderr:\n%s", name, p->err_text);
}

/* Every dial passes all three; and every lookup, of which the one behind sees what the shim asks for. */
static void assert_stay_in_chain(const char *root, const char *dialer)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *env = with_env(s->env, format("LD_PRELOAD=%s:%s:%s", counter("before"),
							 built("libfairdial.so"), counter("behind")), NULL);
	struct process *p = run_in_root(root, env, ARGV(dialer, "--count", format("%d", DIALS), "web", "80"));
	int connects, lookups;

	assert_run_spread(s, b, DIALS, p, 0);
	read_counts(p, "before", &connects, &lookups);
	assert_int_equal(connects, DIALS);
	assert_int_equal(lookups, DIALS);
	read_counts(p, "behind", &connects, &lookups);
	assert_int_equal(connects, DIALS);
	assert_int_equal(lookups, DIALS);
}

static void preloads_before_and_behind_stay_in_the_chain(void **state)
{
	(void)state;
	assert_stay_in_chain(NULL, built("helpers/dialer"));
	assert_stay_in_chain(furnished_root(NEWEST), built("helpers/dialer"));
}

static void preloads_stay_in_the_chain_under_glibc_2_31_with_libdl_and_without(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);

	(void)state;
	assert_stay_in_chain(root, compiled_for_root(root, "dialer", "libdl.so.2 libc.so.6", ""));
	assert_stay_in_chain(root, compiled_for_root(root, "dialer", "libc.so.6", ""));
}

static void preloads_stay_in_the_chain_under_musl(void **state)
{
	const char *dialer = compiled_for_musl("dialer", "");

	(void)state;
	assert_stay_in_chain(NULL, dialer);
	assert_stay_in_chain(furnished_root(NEWEST), dialer);
}

/* ---- before constructors ---- */

/* Another object may be preloaded before the shim, or behind it. */
static void assert_early_dials_are_spread(const char *root, const char *program, const char *before, const char *behind)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *env = with_env(s->env, format("LD_PRELOAD=%s %s %s", before, built("libfairdial.so"), behind),
					  NULL);
	const char *const hosts[] = { SERVICE_ADDRESS, "web" };

	for (size_t i = 0; i < 2; i++) {
		const char *const *argv = ARGV(program, "--count", format("%d", DIALS), hosts[i], "80");
		struct process *p = run_in_root(root, env, argv);

		assert_run_spread(s, b, DIALS, p, 0);
		assert_int_equal(p->err_length, 0);
	}
}

static void dial_before_any_constructor_is_spread(void **state)
{
	const char *program = compiled("cc", "special/early", "-D_GNU_SOURCE -DBEFORE_CONSTRUCTORS");
	const char *old = furnished_root(OLD_GLIBC);

	(void)state;
	assert_early_dials_are_spread(NULL, program, "", "");
	assert_early_dials_are_spread(furnished_root(NEWEST), program, "", "");
	program = compiled_for_root(old, "special/early", "libc.so.6", "-DBEFORE_CONSTRUCTORS");
	assert_early_dials_are_spread(old, program, "", "");
}

static void dial_of_another_preloads_constructor_is_spread(void **state)
{
	const char *early = compiled("cc", "special/early", "-shared -fPIC -DIN_CONSTRUCTOR");

	(void)state;
	/* One of the two runs before the shim's own. */
	assert_early_dials_are_spread(NULL, built("helpers/idle"), early, "");
	assert_early_dials_are_spread(NULL, built("helpers/idle"), "", early);
}

static void dial_of_another_preloads_constructor_is_spread_under_musl(void **state)
{
	const char *early = compiled_for_musl("special/early", "-shared -fPIC -DIN_CONSTRUCTOR");
	const char *idle = compiled_for_musl("idle", "");

	(void)state;
	assert_early_dials_are_spread(NULL, idle, early, "");
	assert_early_dials_are_spread(NULL, idle, "", early);
}

static void dial_of_a_program_of_musl_that_runs_no_constructor_is_spread(void **state)
{
	const char *program = compiled_for_musl("special/early", "-nostartfiles -DWITHOUT_LIBC_START");

	(void)state;
	assert_early_dials_are_spread(NULL, program, "", "");
	assert_early_dials_are_spread(furnished_root(NEWEST), program, "", "");
}

/* ---- no C library ---- */

static const char *bare(const char *loader)
{
	const char *flags = "-D_GNU_SOURCE -ffreestanding -fno-stack-protector -fPIE -pie -nostdlib -Wl,-z,dynamic-undefined-weak";

	return compiled("cc", "special/bare", format("-O1 %s %s%s", flags, loader ? "-Wl,--dynamic-linker=" : "",
						    loader ? loader : ""));
}

static void take_away(void *path)
{
	umount(path);
}

/* Nothing tells such a program where its table is: it lies where a program without variables looks for it. */
static struct services *services_in_run(const struct backends *b)
{
	struct services *s = services_of_web(b, ROUND_ROBIN);

	need_mount_namespace();
	if (mount("none", "/run", "tmpfs", 0, "mode=755"))
		fail_msg("cannot mount a file system at /run: %s", strerror(errno));
	after_test(take_away, "/run");
	if (mkdir("/run/fairdial", 0755) || mount(s->dir, "/run/fairdial", NULL, MS_BIND, NULL))
		fail_msg("cannot show %s as /run/fairdial: %s", s->dir, strerror(errno));
	after_test(take_away, "/run/fairdial");
	return s;
}

static struct process *run_bare(const struct services *s, const char *program, const char *how)
{
	const char *const *env = with_env(NULL, s->env[0], NULL);

	return run(env, program, how, SERVICE_ADDRESS, "80", format("%d", DIALS), NULL);
}

static const char *dialed_lines(const struct process *p)
{
	const char *last = strstr(p->out_text, "no C library here\n");

	assert_non_null(last);
	return format("%.*s", (int)(last - p->out_text), p->out_text);
}

static void assert_bare_program_runs(const char *program)
{
	struct process *native = run(NULL, program, NULL);
	struct process *p = run(with_env(NULL, format("LD_PRELOAD=%s", built("libfairdial.so")), NULL), program, NULL);

	assert_int_equal(native->exit_status, BARE_STATUS);
	assert_int_equal(p->exit_status, BARE_STATUS);
	assert_string_equal(native->out_text, "no C library here\n");
	assert_string_equal(p->out_text, native->out_text);
	assert_int_equal(p->err_length, 0);
}

static void assert_bare_program_is_spread(const char *program)
{
	const char *const ways[] = { "connect", "sendto", "sendmsg", "sendmmsg" };

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct backends *b = backends_start(BACKENDS, ONE_PORT);
		struct services *s = services_in_run(b);
		struct process *p = run_bare(s, program, ways[i]);

		assert_int_equal(p->exit_status, BARE_STATUS);
		assert_int_equal(p->err_length, 0);
		assert_even_answers(dialed_lines(p), BACKENDS, DIALS, 0);
		assert_status_matches(s, "web", b);
	}
}

/* The program has no errno, and the shim must go on all the same. */
static void assert_bare_program_does_not_notice_dead_backends(const char *program)
{
	const char *const ways[] = { "connect", "sendto", "sendmsg", "sendmmsg" };
	unsigned counts[BACKENDS];

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct backends *b = backends_start(BACKENDS, ONE_PORT);
		struct services *s = services_in_run(b);

		backends_stop(b, 1);
		backends_stop(b, 3);
		assert_int_equal(tally(dialed_lines(run_bare(s, program, ways[i])), counts, BACKENDS), 0);
		assert_even(counts, BACKENDS, DIALS, DIALS);
		assert_true(services_backend(s, "web", b, 1).failures > 0);
	}
}

static void assert_bare_program_learns_that_all_refuse(const char *program)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_in_run(b);
	struct process *p;

	backends_stop(b, 0);
	p = run_bare(s, program, "connect");
	assert_int_equal(p->exit_status, BARE_STATUS);
	assert_int_equal(lines_of(dialed_lines(p)), DIALS);
	assert_null(strstr(p->out_text, "backend"));
	assert_true(services_backend(s, "web", b, 0).failures > 0);
}

static void assert_bare_program_resolves_nothing(const char *program)
{
	struct services *s = services_in_run(backends_start(1, ONE_PORT));

	assert_string_equal(dialed_lines(run(NULL, program, "names", "web", "80", "1", NULL)), "nobody defines them\n");
	assert_string_equal(dialed_lines(run_bare(s, program, "names")), "none resolves\n");
}

static void program_without_a_c_library_runs_as_without(void **state)
{
	(void)state;
	assert_bare_program_runs(bare(NULL));
	assert_bare_program_runs(bare(loader_of_musl()));
}

static void program_without_a_c_library_is_spread_by_each_function_that_dials(void **state)
{
	(void)state;
	assert_bare_program_is_spread(bare(NULL));
	assert_bare_program_is_spread(bare(loader_of_musl()));
}

static void program_without_a_c_library_does_not_notice_dead_backends(void **state)
{
	(void)state;
	assert_bare_program_does_not_notice_dead_backends(bare(NULL));
	assert_bare_program_does_not_notice_dead_backends(bare(loader_of_musl()));
}

static void program_without_a_c_library_learns_that_all_refuse(void **state)
{
	(void)state;
	assert_bare_program_learns_that_all_refuse(bare(NULL));
	assert_bare_program_learns_that_all_refuse(bare(loader_of_musl()));
}

static void program_without_a_c_library_resolves_nothing(void **state)
{
	(void)state;
	assert_bare_program_resolves_nothing(bare(NULL));
	assert_bare_program_resolves_nothing(bare(loader_of_musl()));
}

/* ---- no shim ---- */

/* The loader of glibc says that it goes on without it, musl's says nothing; neither says it to the program. */
static void assert_runs_without_shim(const char *root, const char *dialer, const char *shim, bool loader_tells)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct start start = { .argv = ARGV(dialer, "--count", "2", backends_address(b, 0),
					    format("%d", backends_port(b, 0))),
			       .env = ARGV(format("LD_PRELOAD=%s", shim)),
			       .root = root,
			       .uid = geteuid() ? 0 : 65534 };
	struct process *p = process_start(&start);

	process_wait(p, 60000);
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(p->out_text, "backend-1\nbackend-1\n");
	assert_int_equal(lines_of(p->err_text), loader_tells);
	if (loader_tells)
		assert_non_null(strstr(p->err_text, format("object '%s' from LD_PRELOAD cannot be preloaded", shim)));
}

/* For a user who may not read everything: copies of the dialer, and of the shim that he may not. */
static const char *copy_for_others(const char *dialer)
{
	const char *dir = scratch_dir();

	assert_clean(run_shell(NULL, "cp %s %s/dialer && cp %s %s && chmod 755 %s %s/dialer && chmod 0 %s/libfairdial.so",
			       dialer, dir, built("libfairdial.so"), dir, dir, dir, dir));
	return dir;
}

static void assert_absent_or_unreadable_shim_is_harmless(const char *root, const char *dialer, bool loader_tells)
{
	const char *dir = copy_for_others(dialer);

	dialer = format("%s/dialer", dir);
	assert_runs_without_shim(root, dialer, format("%s/libfairdial.so", dir), loader_tells);
	assert_runs_without_shim(root, dialer, format("%s/nowhere/libfairdial.so", dir), loader_tells);
}

static void absent_or_unreadable_shim_is_harmless_under_each_c_library(void **state)
{
	const char *old = furnished_root(OLD_GLIBC), *newest = furnished_root(NEWEST);
	const char *musl = compiled_for_musl("dialer", "");

	(void)state;
	assert_absent_or_unreadable_shim_is_harmless(NULL, built("helpers/dialer"), true);
	assert_absent_or_unreadable_shim_is_harmless(old, compiled_for_root(old, "dialer", "libc.so.6", ""), true);
	assert_absent_or_unreadable_shim_is_harmless(newest, built("helpers/dialer"), true);
	assert_absent_or_unreadable_shim_is_harmless(NULL, musl, false);
	assert_absent_or_unreadable_shim_is_harmless(newest, musl, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(preloads_before_and_behind_stay_in_the_chain),
		TEST(preloads_stay_in_the_chain_under_glibc_2_31_with_libdl_and_without),
		TEST(preloads_stay_in_the_chain_under_musl),
		TEST(dial_before_any_constructor_is_spread),
		TEST(dial_of_another_preloads_constructor_is_spread),
		TEST(dial_of_another_preloads_constructor_is_spread_under_musl),
		TEST(dial_of_a_program_of_musl_that_runs_no_constructor_is_spread),
		TEST(program_without_a_c_library_runs_as_without),
		TEST(program_without_a_c_library_is_spread_by_each_function_that_dials),
		TEST(program_without_a_c_library_does_not_notice_dead_backends),
		TEST(program_without_a_c_library_learns_that_all_refuse),
		TEST(program_without_a_c_library_resolves_nothing),
		TEST(absent_or_unreadable_shim_is_harmless_under_each_c_library),
	};

	return RUN_TESTS(tests);
}
