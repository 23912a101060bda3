/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How `fairdial install` writes: what is in use is replaced and never changed, what is the same is left alone, and whatever
 * goes wrong, the tree that was there before still starts.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/installed.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

enum { NOBODY = 65532, LIMIT_MS = 60000, ROUNDS = 6, STARTERS = 2 };

/* Ends before the test goes on; `uid` as in struct start. */
static struct process *install_as(uid_t uid, const char *const *argv)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .uid = uid });

	process_wait(p, LIMIT_MS);
	return p;
}

static void forget(void *json)
{
	json_decref(json);
}

static json_t *install_as_json(const char *tool, const char *dir)
{
	struct process *p = run(NULL, tool, "install", "--json", dir, NULL);
	json_t *json = json_loads(p->out_text, 0, NULL);

	assert_clean(p);
	assert_non_null(json);
	after_test(forget, json);
	return json;
}

static long number(const json_t *json, const char *key)
{
	return (long)json_integer_value(json_object_get(json, key));
}

/* An error that names this, and has left nothing that is not finished. */
static void assert_refused(const struct process *p, const char *dir, const char *why)
{
	assert_error(p, 1);
	if (!strstr(p->err_text, why))
		fail_msg("\"%s\" is not in: %s", why, p->err_text);
	assert_int_equal(leftovers_in(dir), 0);
}

/* ---- what it writes ---- */

static void tree_holds_shim_launcher_and_one_set(void **state)
{
	const char *dir = format("%s/a/b", open_dir());
	struct process *p = run(NULL, built("fairdial"), "install", dir, NULL);

	(void)state;
	assert_clean(p);
	assert_non_null(strstr(p->out_text, format("installed " FAIRDIAL_VERSION " into %s (", dir)));
	assert_tree_of(built("fairdial"), dir);
	assert_int_equal(sets_in(dir), 1);
}

static void json_and_verbose_tell_what_was_done(void **state)
{
	const char *dir = open_dir();
	json_t *json = install_as_json(built("fairdial"), dir);
	struct process *p = run(NULL, built("fairdial"), "install", "--verbose", dir, NULL);
	struct process *files = run_shell(NULL, "find %s -type f -o -type l", dir);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(json, "dir")), dir);
	assert_int_equal(number(json, "files"), lines_of(files->out_text));
	assert_int_equal(number(json, "changed"), number(json, "files"));
	assert_int_equal(lines_of(p->out_text), number(json, "files") + 1);
	assert_non_null(strstr(p->out_text, "same  bin/fairdial\n"));
	assert_int_equal(number(install_as_json(built("fairdial"), dir), "changed"), 0);
}

static void mistakes_of_usage_are_told(void **state)
{
	(void)state;
	assert_error(run(NULL, built("fairdial"), "install", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "install", "/a", "/b", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "install", "--json", "--verbose", "/a", NULL), 2);
	assert_error(run(NULL, built("fairdial"), "install", "--fast", "/a", NULL), 2);
	assert_clean(run(NULL, built("fairdial"), "install", "--help", NULL));
}

static const char *modes_in(const char *dir)
{
	return run_shell(NULL, "cd %s && find . -printf '%%m %%y %%P\\n' | sort", dir)->out_text;
}

static void modes_and_names_are_the_same_whatever_the_umask_and_the_user(void **state)
{
	const char *dir = tree_of_build(), *other = open_dir(), *others = format("%s/in", other);
	struct process *p;

	(void)state;
	assert_int_equal(chown(other, NOBODY, NOBODY), 0);
	p = install_as(NOBODY, ARGV("sh", "-c", format("umask 0777; exec %s install %s", built("fairdial"), others)));
	assert_clean(p);
	assert_string_equal(modes_in(others), modes_in(dir));
	assert_tree_of(built("fairdial"), others);
}

static void preloaded_strangers_are_not_copied(void **state)
{
	const char *dir = open_dir(), *stranger = compiled("cc", "preloaded/counter", "-shared -fPIC");
	const char *const *env = with_env(NULL, format("LD_PRELOAD=%s:%s", stranger, built("libfairdial.so")), NULL);

	(void)state;
	assert_clean(run(env, built("fairdial"), "install", dir, NULL));
	assert_clean(run(NULL, "diff", "-r", dir, tree_of_build(), NULL));
}

/* Which would end on an older one by an instruction that it does not know. */
static void libraries_for_this_processor_are_not_copied(void **state)
{
	const char *dir = open_dir(), *libraries = open_dir(), *caps = format("%s/glibc-hwcaps/x86-64-v2", libraries);
	const char *const *env = with_env(NULL, format("LD_LIBRARY_PATH=%s", libraries), NULL);
	struct process *p;

	(void)state;
	assert_clean(run_shell(NULL,
			       "mkdir -p %s && cp -L $(ldd %s | grep -o '/[^ ]*/libjansson[^ ]*') %s && "
			       "cp %s/libjansson* %s && echo for this processor >>%s/libjansson.so.4",
			       caps, built("fairdial"), libraries, libraries, caps, caps));
	p = run(with_env(env, "LD_DEBUG=files", NULL), built("fairdial"), "--version", NULL);
	if (!strstr(p->err_text, "/glibc-hwcaps/"))
		skip_because("this machine's loader, or its processor, knows no x86-64-v2");
	assert_clean(run(env, built("fairdial"), "install", dir, NULL));
	assert_clean(run(NULL, "diff", "-r", dir, tree_of_build(), NULL));
}

/* ---- what it leaves alone ---- */

/* Number, time and all of every file. */
static const char *state_of(const char *dir)
{
	return run_shell(NULL, "find %s -printf '%%p %%i %%T@ %%C@ %%m %%s %%l\\n' | sort", dir)->out_text;
}

static void equal_tree_is_not_written_to(void **state)
{
	const char *dir = tree_of_build(), *before = state_of(dir);
	struct process *p = run(NULL, built("fairdial"), "install", dir, NULL);

	(void)state;
	assert_clean(p);
	assert_non_null(strstr(p->out_text, format("%s is up to date: " FAIRDIAL_VERSION, dir)));
	assert_string_equal(state_of(dir), before);
	install_with(tool_in(dir), dir);
	assert_string_equal(state_of(dir), before);
}

static void tree_copies_itself(void **state)
{
	const char *dir = tree_of_build(), *other = open_dir();

	(void)state;
	install_with(tool_in(dir), other);
	assert_clean(run(NULL, "diff", "-r", "--no-dereference", dir, other, NULL));
	assert_string_equal(modes_in(other), modes_in(dir));
}

/* As `make install PREFIX=` has laid it out. */
static void prefix_makes_the_same_tree(void **state)
{
	const char *prefix = open_dir(), *dir = open_dir();

	(void)state;
	assert_clean(run_shell(NULL, "cd %s && mkdir bin lib && cp %s bin && cp %s lib", prefix, built("fairdial"),
			       built("libfairdial.so")));
	install_with(tool_in(prefix), dir);
	assert_clean(run(NULL, "diff", "-r", "--no-dereference", tree_of_build(), dir, NULL));
}

static void what_else_is_in_the_folder_stays(void **state)
{
	const char *dir = tree_of_build();

	(void)state;
	assert_clean(run_shell(NULL, "cd %s && mkdir run lib/fairdial-plugins lib/python3", dir));
	assert_clean(run_shell(NULL, "cd %s && touch run/table bin/other lib/other.so", dir));
	install_with(tool_of_version("second"), dir);
	install_with(tool_of_version("third"), dir);
	assert_clean(run_shell(NULL, "cd %s && ls run/table bin/other lib/other.so lib/python3 lib/fairdial-plugins", dir));
}

/* ---- what it replaces ---- */

static void former_set_stays_until_the_next_install(void **state)
{
	const char *dir = tree_of_build(), *first = set_in(dir), *second, *tool = tool_of_version("second");

	(void)state;
	install_with(tool, dir);
	second = set_in(dir);
	assert_tree_of(tool, dir);
	assert_int_equal(access(first, F_OK), 0);
	install_with(tool, dir);
	assert_int_equal(access(first, F_OK), 0);
	tool = tool_of_version("third");
	install_with(tool, dir);
	assert_tree_of(tool, dir);
	assert_int_equal(access(first, F_OK), -1);
	assert_int_equal(access(second, F_OK), 0);
	assert_int_equal(sets_in(dir), 2);
}

static void former_version_can_come_back(void **state)
{
	const char *dir = tree_of_build();

	(void)state;
	install_with(tool_of_version("second"), dir);
	install_with(built("fairdial"), dir);
	assert_tree_of(built("fairdial"), dir);
	assert_int_equal(sets_in(dir), 2);
}

/* Each by a line for sh, in the folder of the tree. */
static void damage_is_mended(void **state)
{
	static const char *const damages[] = {
		"truncate -s 4096 $SET/libc.so.6",
		"rm $SET/libcurl.so.4",
		"chmod 600 $SET/fairdial",
		"mv $SET/libc.so.6 c && ln -s ../../c $SET/libc.so.6",
		"rm lib/fairdial-loader",
		"ln -sfn /nowhere/loader lib/fairdial-loader",
		"rm lib/fairdial-loader && cp /bin/true lib/fairdial-loader",
		"echo >>bin/fairdial",
		"rm bin/fairdial && mkfifo bin/fairdial",
		"chmod u-r,a+w libfairdial.so",
		"rm libfairdial.so && ln -s nowhere libfairdial.so",
	};
	const char *dir = tree_of_build();
	const char *const *env = with_env(NULL, format("SET=%s", set_in(dir)), NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		assert_clean(run_shell(env, "cd %s && %s", dir, damages[i]));
		assert_int_equal(number(install_as_json(built("fairdial"), dir), "changed"), 1);
		assert_tree_of(built("fairdial"), dir);
		assert_int_equal(number(install_as_json(built("fairdial"), dir), "changed"), 0);
	}
}

/* What a process has mapped is another file then, which nobody writes to. */
static void process_that_has_the_old_shim_goes_on(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *const tools[] = { tool_of_version("second"), built("fairdial") };
	const char *dir = tree_of_build(), *maps;
	const char *const *env = with_env(NULL, format("LD_PRELOAD=%s/libfairdial.so", dir), s->env[1], NULL);
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--count", format("%d", ROUNDS * 2), "--step", "web", "80"),
		.env = env, .interactive = true });

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		for (int dial = 0; dial < 2; dial++) {
			process_say(p, "\n");
			assert_non_null(strstr(process_line(p, LIMIT_MS), "backend-"));
		}
		if (i == 1) {
			maps = run_shell(NULL, "grep libfairdial /proc/%d/maps", p->pid)->out_text;
			assert_non_null(strstr(maps, "(deleted)"));
		}
		install_with(tools[i % 2], dir);
	}
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_int_equal(backends_accepted(b, 0) + backends_accepted(b, 1), ROUNDS * 2);
}

/* Two of them start it, one after the other, as fast as they can, until a file says that it is enough. */
static struct process *start_again_and_again(const char *dir, const char *enough)
{
	const char *line = format("while [ ! -e %s ]; do %s --version >/dev/null || exit 1; echo; done", enough, tool_in(dir));

	return process_start(&(struct start){ .argv = ARGV("sh", "-c", line) });
}

static void process_started_in_between_has_one_set_or_the_other(void **state)
{
	const char *const tools[] = { tool_of_version("second"), built("fairdial") };
	const char *dir = tree_of_build(), *enough = format("%s/enough", open_dir());
	struct process *starters[STARTERS];

	(void)state;
	for (int i = 0; i < STARTERS; i++) {
		starters[i] = start_again_and_again(dir, enough);
		assert_non_null(process_line(starters[i], LIMIT_MS));
	}
	for (int i = 0; i < ROUNDS * 2; i++)
		install_with(tools[i % 2], dir);
	write_file(enough, "", 0);
	for (int i = 0; i < STARTERS; i++) {
		process_wait(starters[i], LIMIT_MS);
		assert_clean(starters[i]);
	}
	assert_tree_of(built("fairdial"), dir);
}

/* ---- several at once, and killed ---- */

static void installs_at_once_wait_for_each_other(void **state)
{
	const char *const tools[] = { built("fairdial"), tool_of_version("second"), tool_of_version("third") };
	struct process *p[6];

	(void)state;
	for (int round = 0; round < 3; round++) {
		const char *dir = open_dir();

		for (int i = 0; i < 6; i++)
			p[i] = process_start(&(struct start){ .argv = ARGV(tools[i % 3], "install", dir) });
		for (int i = 0; i < 6; i++) {
			process_wait(p[i], LIMIT_MS);
			assert_clean(p[i]);
		}
		assert_tree_starts(dir);
		assert_int_equal(leftovers_in(dir), 0);
		install_with(tools[0], dir);
		assert_tree_of(tools[0], dir);
	}
}

static void need_strace(void)
{
	if (run(NULL, "strace", "-e", "inject=fsync:signal=KILL:when=65535", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
}

/* Killed by the kernel as it makes its n-th call of this name. False where it ended before. */
static bool install_is_killed_at(const char *tool, const char *dir, const char *call, long n)
{
	struct process *p = run(NULL, "strace", "-o", "/dev/null", "-e", format("trace=%s", call), "-e",
				format("inject=%s:signal=KILL:when=%ld", call, n), tool, "install", dir, NULL);

	return p->signal == SIGKILL;
}

/* Where it is about to begin, to write a file, to publish the set, to make the link, to publish that, and the shim. */
static void killed_install_leaves_a_tree_that_starts_and_the_next_one_cleans_up(void **state)
{
	const char *const tools[] = { tool_of_version("second"), tool_of_version("third"), built("fairdial") };
	const char *dir = tree_of_build(); /* of two sets it keeps, one is never the next */
	static const struct {
		const char *call;
		long n;
	} moments[] = {
		{ "flock", 1 },	   { "fchmod", 1 },    { "fsync", 1 },	  { "fsync", 9 },
		{ "renameat", 1 }, { "symlinkat", 1 }, { "renameat", 2 }, { "renameat", 3 },
	};

	(void)state;
	need_strace();
	for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
		if (!install_is_killed_at(tools[i % 3], dir, moments[i].call, moments[i].n))
			fail_msg("there is no %s number %ld", moments[i].call, moments[i].n);
		assert_tree_starts(dir);
		install_with(tools[i % 3], dir);
		assert_tree_of(tools[i % 3], dir);
		assert_true(sets_in(dir) <= 2);
	}
}

static void killed_first_install_is_completed_by_the_next(void **state)
{
	static const char *const calls[] = { "mkdirat", "flock", "symlinkat", "renameat" };

	(void)state;
	need_strace();
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const char *dir = format("%s/tree", open_dir());

		assert_true(install_is_killed_at(built("fairdial"), dir, calls[i], 1));
		install_with(built("fairdial"), dir);
		assert_tree_of(built("fairdial"), dir);
		assert_clean(run(NULL, "diff", "-r", "--no-dereference", tree_of_build(), dir, NULL));
	}
}

/* ---- where it cannot ---- */

static void unmount(void *dir)
{
	umount2(dir, MNT_DETACH);
}

static const char *mounted(const char *options)
{
	char *dir = open_dir();

	need_mount_namespace();
	if (mount("none", dir, "tmpfs", 0, options))
		fail_msg("cannot mount a tmpfs at %s: %s", dir, strerror(errno));
	after_test(unmount, dir);
	return dir;
}

static void remount(const char *dir, unsigned long flags, const char *options)
{
	if (mount("none", dir, NULL, MS_REMOUNT | flags, options))
		fail_msg("cannot remount %s: %s", dir, strerror(errno));
}

static void full_file_system_is_told_and_the_old_tree_starts(void **state)
{
	const char *dir = mounted("mode=755,size=30m"), *tool = tool_of_version("second");

	(void)state;
	install_with(built("fairdial"), dir);
	assert_refused(run(NULL, tool, "install", dir, NULL), dir, "no space left");
	assert_tree_of(built("fairdial"), dir);
	install_with(built("fairdial"), dir);
	remount(dir, 0, "size=60m");
	install_with(tool, dir);
	assert_tree_of(tool, dir);
}

static void readonly_mount_is_told_unless_nothing_has_to_be_written(void **state)
{
	const char *dir = mounted("mode=755"), *tool = tool_of_version("second");

	(void)state;
	install_with(built("fairdial"), dir);
	remount(dir, MS_RDONLY, NULL);
	assert_refused(run(NULL, tool, "install", dir, NULL), dir, "mounted read-only");
	install_with(built("fairdial"), dir);
	assert_tree_of(built("fairdial"), dir);
}

static void noexec_mount_is_refused_before_anything_is_written(void **state)
{
	const char *dir = mounted("mode=755");

	(void)state;
	remount(dir, MS_NOEXEC, NULL);
	assert_refused(run(NULL, built("fairdial"), "install", dir, NULL), dir, "mounted noexec");
	assert_refused(run(NULL, built("fairdial"), "install", format("%s/a/b", dir), NULL), dir, "mounted noexec");
	assert_string_equal(run(NULL, "ls", "-A", dir, NULL)->out_text, "");
}

static void folder_of_another_user_is_told(void **state)
{
	const char *dir = open_dir();

	(void)state;
	assert_refused(install_as(NOBODY, ARGV(built("fairdial"), "install", dir)), dir, "permission denied for user 65532");
	assert_refused(install_as(NOBODY, ARGV(built("fairdial"), "install", format("%s/a/b", dir))), dir, "permission denied");
	assert_string_equal(run(NULL, "ls", "-A", dir, NULL)->out_text, "");
	install_with(built("fairdial"), dir);
	assert_refused(install_as(NOBODY, ARGV(tool_of_version("second"), "install", dir)), dir, "permission denied");
	assert_clean(install_as(NOBODY, ARGV(built("fairdial"), "install", dir)));
	assert_tree_of(built("fairdial"), dir);
}

static void what_is_no_folder_is_told(void **state)
{
	const char *dir = open_dir(), *file = format("%s/file", dir);

	(void)state;
	write_file(file, "text\n", 5);
	assert_refused(run(NULL, built("fairdial"), "install", file, NULL), dir, "a file of another kind");
	assert_refused(run(NULL, built("fairdial"), "install", format("%s/a", file), NULL), dir, "a file of another kind");
	assert_string_equal(read_file(file, NULL), "text\n");
}

static void name_that_no_preload_can_have_is_refused(void **state)
{
	const char *dir = open_dir();

	(void)state;
	assert_refused(run(NULL, built("fairdial"), "install", format("%s/my tree", dir), NULL), dir, "LD_PRELOAD");
	assert_refused(run(NULL, built("fairdial"), "install", format("%s/a:b", dir), NULL), dir, "LD_PRELOAD");
	assert_string_equal(run(NULL, "ls", "-A", dir, NULL)->out_text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tree_holds_shim_launcher_and_one_set),
		TEST(json_and_verbose_tell_what_was_done),
		TEST(mistakes_of_usage_are_told),
		TEST(modes_and_names_are_the_same_whatever_the_umask_and_the_user),
		TEST(preloaded_strangers_are_not_copied),
		TEST(libraries_for_this_processor_are_not_copied),
		TEST(equal_tree_is_not_written_to),
		TEST(tree_copies_itself),
		TEST(prefix_makes_the_same_tree),
		TEST(what_else_is_in_the_folder_stays),
		TEST(former_set_stays_until_the_next_install),
		TEST(former_version_can_come_back),
		TEST(damage_is_mended),
		TEST(process_that_has_the_old_shim_goes_on),
		TEST(process_started_in_between_has_one_set_or_the_other),
		TEST(installs_at_once_wait_for_each_other),
		TEST(killed_install_leaves_a_tree_that_starts_and_the_next_one_cleans_up),
		TEST(killed_first_install_is_completed_by_the_next),
		TEST(full_file_system_is_told_and_the_old_tree_starts),
		TEST(readonly_mount_is_told_unless_nothing_has_to_be_written),
		TEST(noexec_mount_is_refused_before_anything_is_written),
		TEST(folder_of_another_user_is_told),
		TEST(what_is_no_folder_is_told),
		TEST(name_that_no_preload_can_have_is_refused),
	};

	scratch_in_memory();
	return RUN_TESTS(tests);
}
