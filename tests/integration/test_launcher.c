/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/bin/fairdial of an installed tree by itself: what it is made of, how it finds its tree, and what it hands on. Its loader
 * here is a script that tells what it was given.
 */
#include "support/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/installed.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

enum { MISSING = 127, CANNOT = 126, LIMIT_MS = 60000, BUILD_LIMIT_MS = 600000 };

#define SCRIPT "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\n"

/* A tree with this launcher, of one set called "set"; returns its folder. */
static const char *tree_with(const char *launcher, const char *loader, size_t size)
{
	const char *dir = open_dir();

	assert_clean(run_shell(NULL, "cd %s && mkdir -p bin lib/set && cp %s bin/fairdial", dir, launcher));
	assert_int_equal(symlink("set/loader", format("%s/lib/fairdial-loader", dir)), 0);
	write_file(format("%s/lib/set/loader", dir), loader, size);
	assert_int_equal(chmod(format("%s/lib/set/loader", dir), 0755), 0);
	return dir;
}

static const char *tree(void)
{
	return tree_with(built("fairdial-launcher"), SCRIPT, strlen(SCRIPT));
}

static void assert_started_from(const struct process *p, const char *dir, const char *arguments)
{
	const char *set = format("%s/lib/set", dir);

	assert_clean(p);
	assert_string_equal(p->out_text, format("%s/loader\n--library-path\n%s\n%s/fairdial\n%s", set, set, set, arguments));
}

/* One line, of the launcher's own, that tells the remedy. */
static void assert_cannot(const struct process *p, int status, const char *why)
{
	assert_error(p, status);
	if (!strstr(p->err_text, why) || !strstr(p->err_text, "fairdial install DIR"))
		fail_msg("\"%s\" and what to do are not in: %s", why, p->err_text);
}

/* ---- what it is ---- */

static void launcher_is_static_small_and_asks_for_no_loader(void **state)
{
	const char *file = built("fairdial-launcher"), *dynamic = run(NULL, "readelf", "-dW", file, NULL)->out_text;
	const char *segments = run(NULL, "readelf", "-lW", file, NULL)->out_text;
	struct stat st;

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_in_range(st.st_size, 512, 16384);
	assert_non_null(strstr(dynamic, "There is no dynamic section"));
	assert_non_null(strstr(segments, "GNU_STACK"));
	assert_null(strstr(segments, "INTERP"));
	assert_null(strstr(segments, "RWE"));
	assert_null(strstr(segments, "TLS"));
	assert_string_equal(run_shell(NULL, "readelf -sW %s | grep UND | grep -v ' 0: '", file)->out_text, "");
}

/* ---- where it finds its tree ---- */

static void arguments_are_handed_on_as_they_are(void **state)
{
	const char *dir = tree();

	(void)state;
	assert_started_from(run(NULL, tool_in(dir), NULL), dir, "");
	assert_started_from(run(NULL, tool_in(dir), "run", "--", "a b", "", "--version", NULL), dir,
			    "run\n--\na b\n\n--version\n");
}

static void thousands_of_arguments_are_handed_on(void **state)
{
	const char *tool = tool_in(tree());
	char *rest = run_shell(NULL, "seq 20000 | xargs -n 20000 %s | tail -n +5 | cksum; seq 20000 | cksum", tool)->out_text;
	char *first = strsep(&rest, "\n");

	(void)state;
	assert_string_equal(first, strsep(&rest, "\n"));
}

static void tree_is_found_by_any_name_of_the_launcher(void **state)
{
	const char *dir = tree(), *elsewhere = open_dir();

	(void)state;
	assert_clean(run_shell(NULL, "ln -s %s %s/f && ln -s f %s/g", tool_in(dir), elsewhere, elsewhere));
	assert_started_from(run_shell(NULL, "cd %s && bin/fairdial", dir), dir, "");
	assert_started_from(run_shell(NULL, "cd %s/bin && PATH=.:$PATH && fairdial", dir), dir, "");
	assert_started_from(run_shell(NULL, "exec %s/g", elsewhere), dir, "");
	assert_started_from(run(NULL, "bash", "-c", format("exec -a other %s", tool_in(dir)), NULL), dir, "");
}

static void tree_is_found_without_proc(void **state)
{
	const char *dir = tree(), *elsewhere = open_dir();
	const char *without = "exec unshare -m sh -c 'umount -l /proc && cd %s && exec %s'";

	(void)state;
	need_mount_namespace();
	assert_clean(run_shell(NULL, "cd %s && ln -s %s f && ln -s %s up && ln -s up/f g", elsewhere, tool_in(dir), elsewhere));
	assert_started_from(run_shell(NULL, without, dir, tool_in(dir)), dir, "");
	assert_started_from(run_shell(NULL, without, format("%s/lib", dir), "../bin/fairdial"), format("%s/lib/..", dir), "");
	assert_started_from(run_shell(NULL, without, dir, "bin/fairdial"), dir, "");
	assert_started_from(run_shell(NULL, without, "/", format("%s/g", elsewhere)), dir, "");
	assert_started_from(run_shell(NULL, without, elsewhere, "./f"), dir, "");
}

static void replaced_launcher_finds_its_tree(void **state)
{
	const char *dir = tree(), *tool = tool_in(dir);

	(void)state;
	/* By the descriptor of a file that is gone: /proc/self/exe says " (deleted)". */
	assert_started_from(run_shell(NULL, "exec 9<%s && rm %s && exec /proc/self/fd/9", tool, tool), dir, "");
}

/* ---- what it keeps from the loader ---- */

#define TELL_VARIABLES "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ | grep -a 'D_'\n"

static void loader_variables_are_hidden_and_no_others(void **state)
{
	const char *dir = tree_with(built("fairdial-launcher"), TELL_VARIABLES, strlen(TELL_VARIABLES));
	const char *variables = "LD_PRELOAD=/nowhere/a.so LD_=1 OLD_X=2 LDX=3 lD_Y=4 FAIRDIAL_DIR=/LD_ LD_AUDIT=";
	struct process *p = run_shell(NULL, "exec env -i %s %s", variables, tool_in(dir));

	(void)state;
	assert_clean(p);
	assert_string_equal(p->out_text, "\1D_PRELOAD=/nowhere/a.so\n\1D_=1\nOLD_X=2\nlD_Y=4\nFAIRDIAL_DIR=/LD_\n\1D_AUDIT=\n");
}

/* As where a privileged program took out LD_ alone, and starts the tool: what is hidden is put back. */
static void variable_that_comes_hidden_is_not_put_back(void **state)
{
	const char *dir = tree_with(built("fairdial-launcher"), TELL_VARIABLES, strlen(TELL_VARIABLES));
	struct process *p = run_shell(NULL, "exec env -i '\1D_PRELOAD=/nowhere/a.so' LD_X=1 %s", tool_in(dir));

	(void)state;
	assert_clean(p);
	assert_string_equal(p->out_text, "\2D_PRELOAD=/nowhere/a.so\n\1D_X=1\n");
}

/* ---- where it cannot ---- */

static void what_is_missing_is_told(void **state)
{
	const char *dir = tree();

	(void)state;
	assert_int_equal(unlink(format("%s/lib/set/loader", dir)), 0);
	assert_cannot(run(NULL, tool_in(dir), NULL), MISSING, "lib/set/loader: not found");
	assert_int_equal(unlink(format("%s/lib/fairdial-loader", dir)), 0);
	assert_cannot(run(NULL, tool_in(dir), NULL), MISSING, "lib/fairdial-loader: not found");
	write_file(format("%s/lib/fairdial-loader", dir), "", 0);
	assert_cannot(run(NULL, tool_in(dir), NULL), CANNOT, "it is no link");
}

static void what_cannot_be_executed_is_told(void **state)
{
	const char *dir = tree_with(built("fairdial-launcher"), "\177ELF", 4), *loader = format("%s/lib/set/loader", dir);

	(void)state;
	assert_cannot(run(NULL, tool_in(dir), NULL), CANNOT, "damaged");
	assert_int_equal(chmod(loader, 0644), 0);
	assert_cannot(run(NULL, tool_in(dir), NULL), CANNOT, "permission denied");
}

static void path_that_no_list_can_name_is_told(void **state)
{
	const char *dir = tree(), *colon = format("%s:1", dir);

	(void)state;
	assert_clean(run(NULL, "cp", "-r", dir, colon, NULL));
	assert_cannot(run(NULL, tool_in(colon), NULL), CANNOT, "colon");
	assert_clean(run(NULL, "rm", "-r", colon, NULL));
}

static void launcher_outside_of_a_tree_is_told(void **state)
{
	const char *root = open_dir();

	(void)state;
	assert_clean(run(NULL, "cp", built("fairdial-launcher"), format("%s/fairdial", root), NULL));
	assert_cannot(run_in_root(root, NULL, ARGV("/fairdial")), MISSING, "not DIR/bin/fairdial");
}

/* ---- the other architecture ---- */

static void launcher_of_aarch64_does_the_same(void **state)
{
	static const char *const env[] = { "MAKEFLAGS", "MFLAGS", "MAKELEVEL", NULL };
	const char *launcher = built("aarch64/fairdial-launcher"), *dir;
	struct process *p;

	(void)state;
	if (!program_exists("qemu-aarch64-static") || !program_exists("aarch64-linux-gnu-gcc"))
		skip_because("there is no qemu-aarch64-static, or no aarch64-linux-gnu-gcc");
	root_of("arm64");
	p = process_start(&(struct start){ .argv = ARGV("make", "-C", repository(""), "aarch64"), .env = env });
	process_wait(p, BUILD_LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	dir = tree_with(launcher, SCRIPT, strlen(SCRIPT));
	assert_started_from(run(NULL, "qemu-aarch64-static", tool_in(dir), "agent", "--dir", NULL), dir, "agent\n--dir\n");
	assert_int_equal(unlink(format("%s/lib/fairdial-loader", dir)), 0);
	assert_cannot(run(NULL, "qemu-aarch64-static", tool_in(dir), NULL), MISSING, "lib/fairdial-loader: not found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(launcher_is_static_small_and_asks_for_no_loader),
		TEST(arguments_are_handed_on_as_they_are),
		TEST(thousands_of_arguments_are_handed_on),
		TEST(tree_is_found_by_any_name_of_the_launcher),
		TEST(tree_is_found_without_proc),
		TEST(replaced_launcher_finds_its_tree),
		TEST(loader_variables_are_hidden_and_no_others),
		TEST(variable_that_comes_hidden_is_not_put_back),
		TEST(what_is_missing_is_told),
		TEST(what_cannot_be_executed_is_told),
		TEST(path_that_no_list_can_name_is_told),
		TEST(launcher_outside_of_a_tree_is_told),
		TEST(launcher_of_aarch64_does_the_same),
	};

	return RUN_TESTS(tests);
}
