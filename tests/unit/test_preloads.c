/* SPDX-License-Identifier: Apache-2.0 */
/* What is preloaded beside the shim: lists as people write them, the file in /etc, and files that are not what they seem. */
#include "support/testing.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/preloads.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"

/* A folder that is a program's /. */
struct root {
	const char *path;
	int fd;
	struct preloads preloads;
};

static void shut(void *fd)
{
	close(*(int *)fd);
}

static struct root *root(void)
{
	struct root *r = calloc(1, sizeof(*r));

	after_test(free, r);
	r->path = scratch_dir();
	assert_int_equal(mkdir(format("%s/etc", r->path), 0755), 0);
	r->fd = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	after_test(shut, &r->fd);
	return r;
}

static const struct preload *only(struct root *r, const char *list)
{
	preloads_take(r->fd, list, &r->preloads);
	assert_int_equal(r->preloads.count, 1);
	return &r->preloads.at[0];
}

static void put(const struct root *r, const char *name, const char *text)
{
	write_file(format("%s/%s", r->path, name), text, strlen(text));
}

static void no_list_names_nothing(void **state)
{
	static const char *const lists[] = { NULL, "", ":", " ", ": \t:\n:" };
	struct root *r = root();

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		preloads_take(r->fd, lists[i], &r->preloads);
		assert_int_equal(r->preloads.count, 0);
	}
}

static void lists_are_cut_at_colons_and_blanks(void **state)
{
	static const char *const names[] = { "/a", "b", "/c/libfairdial.so", "/d" };
	struct root *r = root();

	(void)state;
	preloads_take(r->fd, ":/a  b:\t/c/libfairdial.so\n/d:", &r->preloads);
	assert_int_equal(r->preloads.count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct preload *p = &r->preloads.at[i];

		assert_string_equal(p->path, names[i]);
		assert_int_equal(p->is_shim, i == 2);
		assert_int_equal(p->is_absolute, i != 1);
		assert_int_equal(p->is_missing, i != 1);
		assert_false(p->is_of_file || p->takes_connect);
	}
}

static void shim_is_told_by_its_whole_name(void **state)
{
	struct root *r = root();

	(void)state;
	assert_true(only(r, "libfairdial.so")->is_shim);
	assert_true(only(r, "/x/$LIB/libfairdial.so")->is_shim);
	assert_false(only(r, "/x/$LIB/libfairdial.so")->is_absolute);
	assert_false(only(r, "/x/libfairdial.so.1")->is_shim);
	assert_false(only(r, "/x/my-libfairdial.so")->is_shim);
	assert_false(only(r, "/libfairdial.so/x")->is_shim);
}

static void file_in_etc_comes_behind_the_variable(void **state)
{
	struct root *r = root();

	(void)state;
	put(r, "etc/ld.so.preload", "# /no\n/a /b # /no\n\n:/c:/d");
	preloads_take(r->fd, "/first", &r->preloads);
	assert_int_equal(r->preloads.count, 5);
	assert_string_equal(r->preloads.at[0].path, "/first");
	assert_false(r->preloads.at[0].is_of_file);
	assert_string_equal(r->preloads.at[4].path, "/d");
	assert_true(r->preloads.at[4].is_of_file);
}

static void more_than_there_is_room_are_left_out(void **state)
{
	struct root *r = root();
	char *list = calloc(1, 4096), *longest = calloc(1, 4096);

	(void)state;
	after_test(free, list);
	after_test(free, longest);
	for (int i = 0; i < 1000; i++)
		strcat(list, "/x:");
	preloads_take(r->fd, list, &r->preloads);
	assert_int_equal(r->preloads.count, PRELOADS_MAX);
	memset(longest, 'y', 4000);
	longest[0] = '/';
	assert_true(strlen(only(r, longest)->path) < sizeof(r->preloads.at[0].path));
	assert_false(only(r, longest)->is_missing); /* nobody has looked for it */
	assert_true(strlen(only(r, longest)->shown) < sizeof(r->preloads.at[0].shown));
}

static void names_are_shown_without_control_characters(void **state)
{
	(void)state;
	assert_string_equal(only(root(), "/a\033[31mb")->shown, "/a?[31mb");
}

/* A pipe is not waited for; a folder, a link that leads out of the root, and a file that is none of ours tell nothing. */
static void files_of_other_kinds_do_no_harm(void **state)
{
	struct root *r = root();

	(void)state;
	assert_int_equal(mkfifo(format("%s/pipe", r->path), 0600), 0);
	assert_int_equal(mkdir(format("%s/folder", r->path), 0755), 0);
	assert_int_equal(symlink(built("libfairdial.so"), format("%s/link", r->path)), 0);
	put(r, "text", "\177ELF, and no more");
	assert_false(only(r, "/pipe")->is_missing || only(r, "/pipe")->takes_connect);
	assert_false(only(r, "/folder")->is_missing);
	assert_true(only(r, "/link")->is_missing);
	assert_false(only(r, "/text")->takes_connect);
	assert_int_equal(mkfifo(format("%s/etc/ld.so.preload", r->path), 0600), 0);
	assert_string_equal(only(r, "/text")->path, "/text");
}

static void object_that_defines_connect_takes_it(void **state)
{
	struct root *r = root();
	const char *source = format("%s/p.c", r->path), *text = "int connect(void) { return 0; } int other(void) { return 1; }";

	(void)state;
	if (!program_exists("gcc"))
		skip_because("there is no gcc");
	write_file(source, text, strlen(text));
	assert_clean(run_shell(NULL, "gcc -w -shared -fPIC -o %s/takes.so %s", r->path, source));
	assert_clean(run_shell(NULL, "gcc -w -shared -fPIC -Dconnect=calm -o %s/calm.so %s", r->path, source));
	assert_true(only(r, "/takes.so")->takes_connect);
	assert_false(only(r, "/calm.so")->takes_connect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_list_names_nothing),
		TEST(lists_are_cut_at_colons_and_blanks),
		TEST(shim_is_told_by_its_whole_name),
		TEST(file_in_etc_comes_behind_the_variable),
		TEST(more_than_there_is_room_are_left_out),
		TEST(names_are_shown_without_control_characters),
		TEST(files_of_other_kinds_do_no_harm),
		TEST(object_that_defines_connect_takes_it),
	};

	return RUN_TESTS(tests);
}
