/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that cannot be written, or mapped: what is said of it, and that nothing is left behind; and what is too much for one. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/report.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/refusals.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "table/image.h"
#include "table/slots.h"

static const struct writer_options options = { .is_static = true };

/* A publish into `dir`, with something in its way from before or from behind the writer's opening on. */
struct attempt {
	const char *dir;
	void (*before)(void), (*behind)(const char *dir);
	const char *said; /* that the error begins with */
	struct table_builder *builder;
};

/* In a child: 0, or the errno; 124: it says something else. */
static int publish_with(void *what)
{
	const struct attempt *a = what;
	struct report why = { "" };
	struct table_writer *writer = NULL;
	int r;

	if (a->before)
		a->before();
	r = writer_open(a->dir, &options, &writer, &why);
	if (r == 0 && a->behind)
		a->behind(a->dir);
	if (r == 0)
		r = writer_publish(writer, &a->builder->spec, &why);
	writer_close(writer);
	if (r < 0 && strncmp(why.text, a->said, strlen(a->said)) != 0) {
		fprintf(stderr, "\"%s\" was expected, \"%s\" is said\n", a->said, why.text);
		fflush(stderr);
		return 124;
	}
	return -r;
}

static void assert_refused(const struct attempt *a, int error)
{
	struct attempt with = *a;

	with.builder = builder_web("10.0.0.1:80");
	assert_int_equal(in_forked_child(publish_with, &with), error);
}

/* ---- the directory ---- */

static void directory_below_a_file_cannot_be_made(void **state)
{
	const char *file = format("%s/file", scratch_dir()), *dir = format("%s/dir", file);

	(void)state;
	write_file(file, "", 0);
	assert_refused(&(struct attempt){ dir, NULL, NULL, format("cannot make the directory %s: Not a directory", dir), NULL },
		       ENOTDIR);
}

static void put_a_directory_there(const char *dir)
{
	mkdir(format("%s/table", dir), 0755);
}

static void place_of_a_table_that_is_taken_is_left_as_it_is(void **state)
{
	const char *dir = scratch_dir();
	struct stat st;

	(void)state;
	assert_refused(&(struct attempt){ dir, NULL, put_a_directory_there, format("cannot put the table into %s: ", dir), NULL },
		       EISDIR);
	assert_int_equal(files_in(dir), 1);
	assert_int_equal(stat(format("%s/table", dir), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
}

static void no_more_files(const char *dir)
{
	(void)dir;
	refuse_call_with(SYS_openat, 0, (unsigned)AT_FDCWD, EMFILE);
}

static void where_no_file_can_be_made_there_is_no_table(void **state)
{
	const char *dir = scratch_dir();

	(void)state;
	assert_refused(&(struct attempt){ dir, NULL, no_more_files, format("cannot make a file in %s: ", dir), NULL }, EMFILE);
	assert_int_equal(files_in(dir), 0);
}

static void no_modes(const char *dir)
{
	(void)dir;
	refuse_call(SYS_fchmod, EPERM);
}

static void no_shared_mappings(const char *dir)
{
	(void)dir;
	refuse_call_with(SYS_mmap, 3, MAP_SHARED, ENODEV);
}

static void file_that_cannot_be_used_does_not_stay(void **state)
{
	const char *dir = scratch_dir();

	(void)state;
	assert_refused(&(struct attempt){ dir, NULL, no_modes, "cannot set the mode of ", NULL }, EPERM);
	assert_int_equal(files_in(dir), 0);
	assert_refused(&(struct attempt){ dir, NULL, no_shared_mappings, "cannot map ", NULL }, ENODEV);
	assert_int_equal(files_in(dir), 0);
}

static void no_locks(void)
{
	refuse_call(SYS_flock, ENOLCK);
}

static void interrupted_locks(void)
{
	refuse_call(SYS_flock, EINTR);
}

static void directory_that_cannot_be_locked_gets_no_table(void **state)
{
	const char *dir = scratch_dir();

	(void)state;
	assert_refused(&(struct attempt){ dir, no_locks, NULL, format("cannot lock %s: ", dir), NULL }, ENOLCK);
	assert_refused(&(struct attempt){ dir, interrupted_locks, NULL, "interrupted while another fairdial publishes into ", NULL },
		       EINTR);
	assert_int_equal(files_in(dir), 0);
}

static void no_random(void)
{
	refuse_call(SYS_getrandom, ENOSYS);
}

static void kernel_without_random_numbers_tells_two_tables_apart(void **state)
{
	const char *dirs[] = { scratch_dir(), scratch_dir() };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_refused(&(struct attempt){ dirs[i], no_random, NULL, "", NULL }, 0);
	assert_true(table_head(map_table(dirs[0]))->instance != table_head(map_table(dirs[1]))->instance);
}

/* ---- the reader ---- */

static int map_without_mappings(void *dir)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table table;

	refuse_call_with(SYS_mmap, 3, MAP_SHARED, ENOMEM);
	return -table_map(dir, &trust, &table, NULL);
}

static void table_that_cannot_be_mapped_is_an_error(void **state)
{
	char *dir = scratch_dir();

	(void)state;
	publish_alone(dir, builder_web("10.0.0.1:80"));
	assert_int_equal(in_forked_child(map_without_mappings, dir), ENOMEM);
}

/* ---- a table that somebody else has written into ---- */

static struct table_area *area_to_write(const char *dir)
{
	const struct table *table = map_table(dir);
	FILE *file = fopen(format("%s/table", dir), "r+e");
	uint8_t *bytes = mmap(NULL, table->size, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);

	fclose(file);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	return (struct table_area *)(bytes + table->area_offset[table_head(table)->current & 1]);
}

static void damage_ports(const char *dir)
{
	struct table_area *area = area_to_write(dir);

	((uint8_t *)area)[area->section[SECTION_PORTS].offset] ^= 1;
}

/* It is published as a whole then. */
static void damaged_table_is_not_changed_in_place(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	struct report why = { "" };

	(void)state;
	for (int known = 0; known < 2; known++) { /* whether it was changed in place before */
		const char *dir = scratch_dir();
		struct table_writer *writer = open_writer(dir);

		publish(writer, b);
		if (known)
			assert_int_equal(writer_patch(writer, &b->spec, &why), 0);
		damage_ports(dir);
		assert_true(writer_patch(writer, &b->spec, &why) < 0);
		assert_string_equal(why.text, known ? "service web differs in more than its endpoints" :
						      "port 0 of the table is damaged");
		publish(writer, b);
		assert_whole(map_table(dir));
		close_writer(writer);
	}
}

static void half_written_generation_is_not_changed_in_place(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct report why = { "" };

	(void)state;
	publish(writer, b);
	area_to_write(dir)->seq |= 1;
	assert_int_equal(writer_patch(writer, &b->spec, &why), -ESTALE);
	publish(writer, b);
	assert_whole(map_table(dir));
}

/* ---- too much ---- */

static void assert_too_much(const char *dir, const struct spec *spec, const char *said)
{
	struct table_writer *writer = open_writer(dir);
	struct report why = { "" };

	assert_int_equal(writer_publish(writer, spec, &why), -E2BIG);
	assert_int_equal(strncmp(why.text, said, strlen(said)), 0);
	close_writer(writer);
	assert_int_equal(files_in(dir), 0);
}

/* Nothing of such a list is looked at: there are more than there may be. */
static void more_than_a_table_can_have_is_not_published(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80");
	struct spec_service *service = &b->spec.services[0];
	size_t before = service->ports[0].endpoint_count;

	(void)state;
	service->ports[0].endpoint_count = TABLE_MAX_SLOTS + 1;
	assert_too_much(scratch_dir(), &b->spec, "too many endpoints to publish: ");
	service->ports[0].endpoint_count = before;
	before = service->address_count;
	service->address_count = UINT32_MAX / 4 + 1ul;
	assert_too_much(scratch_dir(), &b->spec, "too many services to publish");
	service->address_count = UINT32_MAX / 64; /* each has a row; all of them have no room */
	assert_too_much(scratch_dir(), &b->spec, "too many services to publish");
	service->address_count = before;
}

/* ---- slots ---- */

static struct slot_key key_of(uint64_t n)
{
	return (struct slot_key){ n * 0x9e3779b97f4a7c15u, n };
}

static void slots_of_those_in_use_are_never_given_away(void **state)
{
	struct slots slots;
	int error = 0;
	uint32_t third;

	(void)state;
	assert_int_equal(slots_init(&slots, 3), 0);
	slots_begin(&slots, 1);
	for (uint64_t n = 1; n <= 3; n++)
		assert_non_null(slots_take(&slots, key_of(n), 1, &error));
	assert_null(slots_take(&slots, key_of(4), 1, &error));
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(slots_take(&slots, key_of(2), 1, &error)->users, 2); /* who has one keeps it */
	third = slots_find(&slots, key_of(3))->slot;
	slots_begin(&slots, 2);
	slots_keep(&slots, key_of(1), 2);
	slots_keep(&slots, key_of(2), 2);
	assert_int_equal(slots_take(&slots, key_of(4), 2, &error)->slot, third);
	assert_null(slots_find(&slots, key_of(3)));
	slots_done(&slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(directory_below_a_file_cannot_be_made),
		TEST(place_of_a_table_that_is_taken_is_left_as_it_is),
		TEST(where_no_file_can_be_made_there_is_no_table),
		TEST(file_that_cannot_be_used_does_not_stay),
		TEST(directory_that_cannot_be_locked_gets_no_table),
		TEST(kernel_without_random_numbers_tells_two_tables_apart),
		TEST(table_that_cannot_be_mapped_is_an_error),
		TEST(damaged_table_is_not_changed_in_place),
		TEST(half_written_generation_is_not_changed_in_place),
		TEST(more_than_a_table_can_have_is_not_published),
		TEST(slots_of_those_in_use_are_never_given_away),
	};

	return RUN_TESTS(tests);
}
