/* SPDX-License-Identifier: Apache-2.0 */
/* One file, link or folder put into its place; what a process needs to be started elsewhere; how it was started. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install/closure.h"
#include "install/launcher.h"
#include "install/place.h"
#include "install/self.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

static void close_folder(void *fd)
{
	close((int)(intptr_t)fd);
}

static int open_scratch(const char **ret_path)
{
	const char *path = scratch_dir();
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	after_test(close_folder, (void *)(intptr_t)fd);
	*ret_path = path;
	return fd;
}

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* 1 where it was written, 0 where it was the same, else the error. */
static int put(int folder, const char *name, const char *text, mode_t mode)
{
	struct bytes bytes = bytes_of(text);
	bool changed = false;
	int r = place_file(folder, name, &bytes, mode, &changed);

	return r < 0 ? r : changed;
}

static unsigned entries(const char *path)
{
	return (unsigned)lines_of(run(NULL, "ls", "-A", path, NULL)->out_text);
}

/* ---- files ---- */

static void file_is_written_only_where_it_differs(void **state)
{
	const char *path;
	int folder = open_scratch(&path);
	struct stat st;

	(void)state;
	assert_int_equal(put(folder, "f", "text", 0644), 1);
	assert_int_equal(put(folder, "f", "text", 0644), 0);
	assert_int_equal(put(folder, "f", "test", 0644), 1);
	assert_int_equal(put(folder, "f", "tes", 0644), 1);
	assert_int_equal(put(folder, "f", "test", 0644), 1);
	assert_int_equal(put(folder, "f", "test", 0755), 1);
	assert_int_equal(fstatat(folder, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_string_equal(read_file(format("%s/f", path), NULL), "test");
	assert_int_equal(entries(path), 1);
}

static void who_has_a_file_open_keeps_it_as_it_was(void **state)
{
	const char *path;
	int folder = open_scratch(&path), fd;
	char text[8] = "";

	(void)state;
	assert_int_equal(put(folder, "f", "old", 0644), 1);
	fd = openat(folder, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(put(folder, "f", "new", 0644), 1);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	close(fd);
	assert_string_equal(text, "old");
	assert_string_equal(read_file(format("%s/f", path), NULL), "new");
}

static void link_is_replaced_and_not_followed(void **state)
{
	const char *path;
	int folder = open_scratch(&path);

	(void)state;
	write_file(format("%s/other", path), "text", 4);
	assert_int_equal(symlinkat("other", folder, "f"), 0);
	assert_int_equal(put(folder, "f", "text", 0644), 1);
	assert_int_equal(put(folder, "f", "mine", 0644), 1);
	assert_string_equal(read_file(format("%s/other", path), NULL), "text");
}

static void failure_leaves_nothing(void **state)
{
	const char *path;
	int folder = open_scratch(&path);

	(void)state;
	assert_int_equal(mkdirat(folder, "f", 0755), 0);
	assert_int_equal(put(folder, "f", "text", 0644), -EISDIR);
	assert_int_equal(place_link(folder, "f", "target", &(bool){ false }), -EISDIR);
	assert_int_equal(entries(path), 1);
}

static void link_is_made_only_where_it_differs(void **state)
{
	const char *path;
	int folder = open_scratch(&path);
	bool changed[4] = { false };

	(void)state;
	assert_int_equal(place_link(folder, "l", "a/b", &changed[0]), 0);
	assert_int_equal(place_link(folder, "l", "a/b", &changed[1]), 0);
	assert_int_equal(place_link(folder, "l", "a/bc", &changed[2]), 0);
	assert_int_equal(place_link(folder, "l", "a/b", &changed[3]), 0);
	assert_true(changed[0] && !changed[1] && changed[2] && changed[3]);
	assert_int_equal(entries(path), 1);
}

static void bytes_of_a_file_are_mapped_and_an_empty_one_is_refused(void **state)
{
	const char *dir = scratch_dir(), *file = format("%s/f", dir);
	struct bytes bytes = { 0 };

	(void)state;
	assert_int_equal(bytes_map(file, &bytes), -ENOENT);
	write_file(file, "", 0);
	assert_int_equal(bytes_map(file, &bytes), -ENODATA);
	assert_null(bytes.at);
	write_file(file, "text", 4);
	assert_int_equal(bytes_map(file, &bytes), 0);
	assert_int_equal(bytes.size, 4);
	assert_memory_equal(bytes.at, "text", 4);
	bytes_unmap(&bytes);
	bytes_unmap(&bytes);
}

/* ---- folders ---- */

static void folder_appears_whole_and_only_once(void **state)
{
	char unfinished[2][PLACE_NAME_SIZE];
	struct bytes bytes = bytes_of("text");
	int folder, fds[2];
	const char *path;
	struct stat st;

	(void)state;
	folder = open_scratch(&path);
	for (int i = 0; i < 2; i++) {
		fds[i] = place_begin(folder, unfinished[i]);
		assert_true(fds[i] >= 0);
		assert_int_equal(place_new(fds[i], "f", &bytes, 0644), 0);
	}
	assert_int_equal(place_publish(folder, unfinished[0], fds[0], "set"), 0);
	assert_int_equal(place_publish(folder, unfinished[1], fds[1], "set"), -EEXIST);
	assert_int_equal(fstatat(folder, "set", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(entries(path), 2);
	place_sweep(folder);
	assert_int_equal(entries(path), 1);
	close(fds[0]);
	close(fds[1]);
}

static void sweep_takes_what_is_unfinished_and_no_more(void **state)
{
	static const char *const names[] = {
		".fairdial-0123456789abcdef.tmp", ".fairdial-0123456789abcdef",	   ".fairdial-.tmp", "f.tmp",
		".fairdial-0123456789abcdeg.tmp", "fairdial-0123456789abcdef.tmp", ".fairdial-0123456789abcdef0.tmp",
	};
	const char *path;
	int folder = open_scratch(&path);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		write_file(format("%s/%s", path, names[i]), "", 0);
	assert_int_equal(symlinkat("/", folder, ".fairdial-1123456789abcdef.tmp"), 0);
	place_sweep(folder);
	assert_int_equal(entries(path), sizeof(names) / sizeof(*names) - 1);
	assert_int_equal(faccessat(folder, names[0], F_OK, 0), -1);
}

static void folder_is_opened_or_made_with_its_mode(void **state)
{
	const char *path;
	int folder = open_scratch(&path), fd;
	mode_t mask = umask(0777);
	struct stat st;

	(void)state;
	fd = place_folder(folder, "d");
	umask(mask);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	close(fd);
	assert_int_equal(fchmodat(folder, "d", 0700, 0), 0);
	fd = place_folder(folder, "d");
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700); /* it is not ours */
	close(fd);
	write_file(format("%s/f", path), "", 0);
	assert_int_equal(place_folder(folder, "f"), -ENOTDIR);
	assert_int_equal(place_folder(folder, "a/b"), -ENOENT);
}

/* ---- this process ---- */

static void process_that_was_started_by_the_kernel_knows_its_file(void **state)
{
	char path[PATH_MAX], real[PATH_MAX];

	(void)state;
	assert_false(self_is_launched());
	assert_int_equal(self_path(path), 0);
	assert_non_null(realpath("/proc/self/exe", real));
	assert_string_equal(path, real);
}

static void nothing_is_put_back_where_nothing_was_hidden(void **state)
{
	char *argv[] = { "other", NULL }, variable[] = "\1D_TEST=1", before[16], after[16];

	(void)state;
	assert_int_equal(putenv(variable), 0);
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	self_begin(argv);
	assert_int_equal(prctl(PR_GET_NAME, after), 0);
	assert_string_equal(variable, "\1D_TEST=1");
	assert_string_equal(before, after);
	unsetenv("\1D_TEST");
}

static void closure_is_what_the_loader_loaded_for_this_program(void **state)
{
	struct closure *closure = calloc(1, sizeof(*closure));
	struct report why = { "" };
	char self[PATH_MAX];
	bool has_libc = false, has_cmocka = false;

	(void)state;
	after_test(free, closure);
	assert_int_equal(self_path(self), 0);
	assert_int_equal(closure_take(self, "program", closure, &why), 0);
	assert_true(closure->count > 3);
	assert_true(!strncmp(closure->files[0].name, "ld-", 3));
	assert_string_equal(closure->files[1].name, "program");
	assert_string_equal(closure->files[1].path, self);
	for (size_t i = 0; i < closure->count; i++) {
		assert_int_equal(closure->files[i].path[0], '/');
		assert_null(strchr(closure->files[i].name, '/'));
		has_libc |= !strncmp(closure->files[i].name, "libc.so", 7);
		has_cmocka |= !strncmp(closure->files[i].name, "libcmocka.so", 12);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(closure->files[i].name, closure->files[k].name);
	}
	assert_true(has_cmocka);
	assert_true(has_libc != !strncmp(closure->files[0].name, "ld-musl-", 8)); /* there the loader is the libc */
}

static void launcher_is_carried_as_it_was_built(void **state)
{
	size_t size;
	const char *file = read_file(built("fairdial-launcher"), &size);

	(void)state;
	assert_int_equal(launcher_end - launcher_begin, size);
	assert_memory_equal(launcher_begin, file, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(file_is_written_only_where_it_differs),
		TEST(who_has_a_file_open_keeps_it_as_it_was),
		TEST(link_is_replaced_and_not_followed),
		TEST(failure_leaves_nothing),
		TEST(link_is_made_only_where_it_differs),
		TEST(bytes_of_a_file_are_mapped_and_an_empty_one_is_refused),
		TEST(folder_appears_whole_and_only_once),
		TEST(sweep_takes_what_is_unfinished_and_no_more),
		TEST(folder_is_opened_or_made_with_its_mode),
		TEST(process_that_was_started_by_the_kernel_knows_its_file),
		TEST(nothing_is_put_back_where_nothing_was_hidden),
		TEST(closure_is_what_the_loader_loaded_for_this_program),
		TEST(launcher_is_carried_as_it_was_built),
	};

	return RUN_TESTS(tests);
}
