/* SPDX-License-Identifier: Apache-2.0 */
/* Which file beside the shim may be started: it, and each folder above it, is of somebody trusted, and nobody else's. */
#include "support/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/autostart.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/map.h"

enum { STRANGER = 54321 };

/* A folder in a folder, and a program in it. */
struct place {
	const char *above, *folder, *program;
};

static struct place place_of(void)
{
	struct place place = { .above = scratch_dir() };

	place.folder = format("%s/bin", place.above);
	place.program = format("%s/fairdial", place.folder);
	assert_int_equal(mkdir(place.folder, 0755), 0);
	write_file(place.program, "#!/bin/sh\n", 10);
	assert_int_equal(chmod(place.program, 0755), 0);
	return place;
}

static int check(const char *path)
{
	return autostart_check_binary(path, &(struct trust){ geteuid(), geteuid(), false });
}

static void program_that_nobody_else_can_change_may_be_started(void **state)
{
	struct place place = place_of();

	(void)state;
	assert_int_equal(check(place.program), 0);
	assert_int_equal(check(format("/%s", place.program)), 0);
	assert_int_equal(check(format("%s/../bin/./fairdial", place.folder)), 0);
}

static void what_is_missing_is_told_from_what_is_not_trusted(void **state)
{
	struct place place = place_of();

	(void)state;
	assert_int_equal(check(format("%s/other", place.folder)), -ENOENT);
	assert_int_equal(check(format("%s/fairdial", place.program)), -EPERM); /* a folder that is none */
	assert_int_equal(check(place.folder), -EPERM);
	assert_int_equal(check(format("%s/", place.program)), -EPERM);
	assert_int_equal(check(""), -ENOENT);
	assert_int_equal(check("/"), -ENOENT);
	assert_int_equal(check(format("%s/%0300d", place.folder, 0)), -ENOENT); /* no name is so long */
}

static void program_that_others_can_write_is_not_started(void **state)
{
	struct place place = place_of();

	(void)state;
	assert_int_equal(chmod(place.program, 0775), 0);
	assert_int_equal(check(place.program), -EPERM);
	assert_int_equal(chmod(place.program, 0757), 0);
	assert_int_equal(check(place.program), -EPERM);
}

static void program_with_rights_of_its_own_is_not_started(void **state)
{
	struct place place = place_of();

	(void)state;
	assert_int_equal(chmod(place.program, 04755), 0);
	assert_int_equal(check(place.program), -EPERM);
	assert_int_equal(chmod(place.program, 02755), 0);
	assert_int_equal(check(place.program), -EPERM);
}

static void file_that_is_no_program_is_not_started(void **state)
{
	struct place place = place_of();

	(void)state;
	assert_int_equal(chmod(place.program, 0644), 0);
	assert_int_equal(check(place.program), -EACCES);
	assert_int_equal(unlink(place.program), 0);
	assert_int_equal(mkfifo(place.program, 0755), 0);
	assert_int_equal(check(place.program), -EPERM);
}

static void folder_that_others_can_write_hides_nothing_trusted(void **state)
{
	struct place place = place_of();
	const char *const folders[] = { place.folder, place.above };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(folders[i], 0775), 0);
		assert_int_equal(check(place.program), -EPERM);
		assert_int_equal(chmod(folders[i], 0757), 0);
		assert_int_equal(check(place.program), -EPERM);
		assert_int_equal(chmod(folders[i], 01777), 0); /* others cannot rename what is in it */
		assert_int_equal(check(place.program), 0);
		assert_int_equal(chmod(folders[i], 0755), 0);
	}
}

static void symbolic_links_are_not_followed(void **state)
{
	struct place place = place_of();
	const char *link = format("%s/link", place.above), *program = format("%s/program", place.folder);

	(void)state;
	assert_int_equal(symlink(place.folder, link), 0);
	assert_int_equal(check(format("%s/fairdial", link)), -EPERM);
	assert_int_equal(symlink(place.program, program), 0);
	assert_int_equal(check(program), -EPERM);
}

static void what_a_stranger_owns_is_not_started(void **state)
{
	struct place place = place_of();

	(void)state;
	if (geteuid())
		skip_because("only root can give files away");
	assert_int_equal(chown(place.program, STRANGER, STRANGER), 0);
	assert_int_equal(check(place.program), -EPERM);
	/* Unless he owns the shim, or is the user. */
	assert_int_equal(autostart_check_binary(place.program, &(struct trust){ 0, STRANGER, false }), 0);
	assert_int_equal(autostart_check_binary(place.program, &(struct trust){ STRANGER, 0, false }), 0);
	assert_int_equal(chown(place.program, 0, 0), 0);
	assert_int_equal(chown(place.folder, STRANGER, STRANGER), 0);
	assert_int_equal(check(place.program), -EPERM);
	assert_int_equal(chown(place.folder, 0, 0), 0);
	assert_int_equal(chown(place.above, STRANGER, STRANGER), 0);
	assert_int_equal(check(place.program), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_that_nobody_else_can_change_may_be_started),
		TEST(what_is_missing_is_told_from_what_is_not_trusted),
		TEST(program_that_others_can_write_is_not_started),
		TEST(program_with_rights_of_its_own_is_not_started),
		TEST(file_that_is_no_program_is_not_started),
		TEST(folder_that_others_can_write_hides_nothing_trusted),
		TEST(symbolic_links_are_not_followed),
		TEST(what_a_stranger_owns_is_not_started),
	};

	return RUN_TESTS(tests);
}
