/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of other processes: their environment, their line in stat, the shim that they name. None of it is trusted. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "inspect/environment.h"
#include "inspect/proc_files.h"
#include "inspect/processes.h"
#include "inspect/shim_file.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/layout.h"

/* ---- environments ---- */

static void free_environment(void *environment)
{
	environment_free(environment);
	free(environment);
}

static struct environment *parsed(const char *bytes, size_t len)
{
	struct environment *env = calloc(1, sizeof(*env));
	char *exact = malloc(len ? len : 1);

	memcpy(exact, bytes, len);
	assert_int_equal(environment_parse(exact, len, env), 0);
	free(exact);
	after_test(free_environment, env);
	return env;
}

#define PARSED(text) parsed(text, sizeof(text))

static void environment_is_read(void **state)
{
	const struct environment *env = PARSED("PATH=/bin\0LD_PRELOAD=/opt/fairdial/libfairdial.so\0FAIRDIAL_DIR=/run/x\0"
					       "FAIRDIAL=observe\0FAIRDIAL_ONLY=web\0FAIRDIAL_EXCEPT=db");

	(void)state;
	assert_true(env->is_known && env->names_shim && env->sets_dir);
	assert_string_equal(env->shim, "/opt/fairdial/libfairdial.so");
	assert_string_equal(env->dir, "/run/x");
	assert_int_equal(env->mode, MODE_OBSERVE);
	assert_string_equal(env->only, "web");
	assert_string_equal(env->except, "db");
}

static void empty_environment_is_known_and_says_nothing(void **state)
{
	const struct environment *env = parsed("", 0);

	(void)state;
	assert_true(env->is_known);
	assert_false(env->names_shim);
	assert_int_equal(env->mode, MODE_ON);
	assert_null(env->dir);
}

static void shim_is_found_among_other_preloaded_objects(void **state)
{
	(void)state;
	assert_string_equal(PARSED("LD_PRELOAD=/a.so:/b/libfairdial.so")->shim, "/b/libfairdial.so");
	assert_string_equal(PARSED("LD_PRELOAD=/a.so /b/libfairdial.so /c.so")->shim, "/b/libfairdial.so");
	assert_false(PARSED("LD_PRELOAD=/b/libfairdial.so.1:/notlibfairdial.so")->names_shim);
	assert_false(PARSED("LD_PRELOAD=")->names_shim);
	assert_false(PARSED("LD_PRELOAD=::  :")->names_shim);
	assert_false(PARSED("XLD_PRELOAD=/b/libfairdial.so")->names_shim);
	assert_false(PARSED("LD_PRELOAD")->names_shim);
}

static void shim_that_the_loader_searches_for_has_no_path(void **state)
{
	static const char *const values[] = { "libfairdial.so", "./libfairdial.so", "/usr/$LIB/libfairdial.so" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *text = format("LD_PRELOAD=%s", values[i]);
		const struct environment *env = parsed(text, strlen(text));

		assert_true(env->names_shim);
		assert_null(env->shim);
	}
}

static void first_of_two_variables_of_one_name_counts(void **state)
{
	(void)state;
	assert_int_equal(PARSED("FAIRDIAL=off\0FAIRDIAL=observe")->mode, MODE_OFF);
	assert_int_equal(PARSED("FAIRDIAL=\0FAIRDIAL=off")->mode, MODE_ON);
}

/* As the shim does, which keeps no list of that length. */
static void list_that_is_too_long_switches_off(void **state)
{
	char text[1024] = "FAIRDIAL_EXCEPT=";
	size_t len = strlen(text);

	(void)state;
	memset(text + len, 'x', 512);
	assert_int_equal(parsed(text, len + 511)->mode, MODE_ON);
	assert_int_equal(parsed(text, len + 512)->mode, MODE_OFF);
}

static void environment_that_is_a_title_is_survived(void **state)
{
	(void)state;
	assert_false(PARSED("nginx: worker process\0\0\0\0\0=\0==\0LD_PRELOAD")->names_shim);
	for (size_t len = 0; len < 40; len++)
		parsed("LD_PRELOAD=/b/libfairdial.so\0FAIRDIAL=off", len);
}

static void lists_are_those_of_the_shim(void **state)
{
	(void)state;
	assert_false(environment_allows(PARSED("FAIRDIAL_EXCEPT=db, WEB.shop"), "web", "shop"));
	assert_true(environment_allows(PARSED("FAIRDIAL_EXCEPT=web.other"), "web", "shop"));
	assert_false(environment_allows(PARSED("FAIRDIAL_ONLY=db"), "web", "shop"));
	assert_true(environment_allows(PARSED("A=b"), "web", "shop"));
}

/* ---- stat ---- */

#define REST " S 17 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 100 200"

static void name_with_anything_in_it_does_not_mislead(void **state)
{
	static const char line[] = "42 (a) R 1 (\n\033[31m) b)" REST "\n";
	struct proc_stat stat;

	(void)state;
	assert_true(proc_parse_stat(line, strlen(line), &stat));
	assert_string_equal(stat.name, "a) R 1 (\n\033[31m) b");
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.parent, 17);
	assert_int_equal(stat.start_ms, 12345ull * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	assert_false(stat.is_kernel);
	text_sanitise(stat.name);
	assert_string_equal(stat.name, "a) R 1 (??[31m) b");
}

static void thread_of_the_kernel_is_told(void **state)
{
	static const char line[] = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0";
	struct proc_stat stat;

	(void)state;
	assert_true(proc_parse_stat(line, strlen(line), &stat));
	assert_true(stat.is_kernel);
}

static void line_that_makes_no_sense_is_refused(void **state)
{
	static const char line[] = "42 (name)" REST;
	struct proc_stat stat;

	(void)state;
	for (size_t len = 0; len < strlen(line) - strlen("12345 100 200"); len++)
		assert_false(proc_parse_stat(line, len, &stat));
	assert_false(proc_parse_stat(")(", 2, &stat));
}

static void bytes_that_are_not_ascii_do_not_reach_a_terminal(void **state)
{
	char text[] = "a\xc2\x9b"
		      "31m\x7f\t\xff z~";

	(void)state;
	text_sanitise(text);
	assert_string_equal(text, "a??31m??? z~");
}

/* ---- this process, as any other ---- */

static int own_process(void)
{
	return open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void file_is_read_up_to_its_limit(void **state)
{
	struct proc_bytes bytes = { 0 };
	int process = own_process();

	(void)state;
	assert_int_equal(proc_read(process, "maps", 100, &bytes), 0);
	assert_int_equal(bytes.len, 100);
	assert_int_equal(proc_read(process, "cmdline", 1 << 20, &bytes), 0);
	assert_true(bytes.len > 0 && bytes.len < 1 << 20);
	assert_int_equal(proc_read(process, "nothing", 100, &bytes), -ENOENT);
	free(bytes.at);
	close(process);
}

/* Of its own name alone, its code alone, and also when it was removed from disk. */
static void mapped_shim_is_found(void **state)
{
	const char *dir = scratch_dir(), *near = format("%s/libfairdial.so.tmp", dir), *name = format("%s/libfairdial.so", dir);
	int process = own_process(), fd;
	void *map;

	(void)state;
	write_file(near, "x", 1);
	fd = open(near, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(proc_has_shim(process), 0);
	assert_int_equal(rename(near, name), 0);
	assert_int_equal(proc_has_shim(process), 1);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(proc_has_shim(process), 1);
	assert_int_equal(mprotect(map, 1, PROT_READ), 0);
	assert_int_equal(proc_has_shim(process), 0);
	munmap(map, 1);
	close(fd);
	close(process);
}

/* So many lines that it is read in many pieces. */
static void mapped_shim_is_found_behind_thousands_of_others(void **state)
{
	enum { PAGES = 6000 };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const char *name = format("%s/libfairdial.so", scratch_dir());
	int process = own_process(), fd;
	char *around = mmap(NULL, PAGES * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(around, MAP_FAILED);
	for (size_t i = 0; i < PAGES; i += 2)
		assert_int_equal(mprotect(around + i * page, page, PROT_NONE), 0);
	assert_int_equal(proc_has_shim(process), 0);
	write_file(name, "x", 1);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < PAGES; i += PAGES / 7) {
		char *at = mmap(around + i * page, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);

		assert_ptr_equal(at, around + i * page);
		assert_int_equal(proc_has_shim(process), 1);
		assert_int_equal(mprotect(at, page, PROT_READ), 0);
		assert_int_equal(proc_has_shim(process), 0);
	}
	munmap(around, PAGES * page);
	close(fd);
	close(process);
}

static void ordinary_program_is_not_privileged(void **state)
{
	struct proc_bytes bytes = { 0 };
	int process = own_process();

	(void)state;
	assert_int_equal(proc_is_privileged(process, true, &bytes), 0);
	free(bytes.at);
	close(process);
}

/* ---- the shim's file ---- */

static int open_root(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct shim_file look(const char *root, const char *path)
{
	int fd = open_root(root);
	struct shim_file file;

	shim_file_look(fd, path, &file);
	close(fd);
	return file;
}

static void shim_is_looked_at(void **state)
{
	struct shim_file file = look("/", built("libfairdial.so"));

	(void)state;
	assert_int_equal(file.presence, SHIM_THERE);
	assert_true(file.has_kind);
	assert_int_equal(file.kind.linkage, ELF_LIBRARY);
	assert_int_equal(look("/", "/nowhere/libfairdial.so").presence, SHIM_MISSING);
}

/* A link leads where it leads the program, not where it leads us. */
static void links_stay_in_the_programs_own_file_system(void **state)
{
	const char *root = scratch_dir();

	(void)state;
	if (look("/", "/").presence != SHIM_THERE)
		skip_because("openat2 is not allowed here");
	assert_int_equal(symlink(built("libfairdial.so"), format("%s/libfairdial.so", root)), 0);
	assert_int_equal(symlink("/../../../../etc", format("%s/escape", root)), 0);
	assert_int_equal(look(root, "/libfairdial.so").presence, SHIM_MISSING);
	assert_int_equal(look(root, "/escape/passwd").presence, SHIM_MISSING);
	assert_int_equal(look(root, "/../../../../../etc/passwd").presence, SHIM_MISSING);
}

/* Opening it would wait for whoever writes to it, until the alarm ends the program. */
static void pipe_in_place_of_the_shim_is_not_opened(void **state)
{
	const char *root = scratch_dir();

	(void)state;
	alarm(20);
	assert_int_equal(mkfifo(format("%s/libfairdial.so", root), 0600), 0);
	assert_int_equal(look(root, "/libfairdial.so").presence, SHIM_THERE);
	assert_false(look(root, "/libfairdial.so").has_kind);
	alarm(0);
}

static void time_of_a_file_is_when_it_was_put_there(void **state)
{
	const char *root = scratch_dir(), *path = format("%s/libfairdial.so", root), *later = format("%s/later", root);
	const struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	uint64_t first;

	(void)state;
	write_file(path, "x", 1);
	write_file(later, "y", 1);
	assert_int_equal(utimensat(AT_FDCWD, later, old, 0), 0);
	first = look(root, "/libfairdial.so").placed_ms;
	assert_true(first > 0);
	assert_int_equal(rename(later, path), 0);
	/* What it says of itself is old; the two looks convert by two readings of the clocks. */
	assert_true(look(root, "/libfairdial.so").placed_ms + 2 >= first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(environment_is_read),
		TEST(empty_environment_is_known_and_says_nothing),
		TEST(shim_is_found_among_other_preloaded_objects),
		TEST(shim_that_the_loader_searches_for_has_no_path),
		TEST(first_of_two_variables_of_one_name_counts),
		TEST(list_that_is_too_long_switches_off),
		TEST(environment_that_is_a_title_is_survived),
		TEST(lists_are_those_of_the_shim),
		TEST(name_with_anything_in_it_does_not_mislead),
		TEST(thread_of_the_kernel_is_told),
		TEST(line_that_makes_no_sense_is_refused),
		TEST(bytes_that_are_not_ascii_do_not_reach_a_terminal),
		TEST(file_is_read_up_to_its_limit),
		TEST(mapped_shim_is_found),
		TEST(mapped_shim_is_found_behind_thousands_of_others),
		TEST(ordinary_program_is_not_privileged),
		TEST(shim_is_looked_at),
		TEST(links_stay_in_the_programs_own_file_system),
		TEST(pipe_in_place_of_the_shim_is_not_opened),
		TEST(time_of_a_file_is_when_it_was_put_there),
	};

	return RUN_TESTS(tests);
}
