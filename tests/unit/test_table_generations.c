/* SPDX-License-Identifier: Apache-2.0 */
/* One generation after the other: in place where it fits, in a new file where it does not, and slots that stay. */
#include "support/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static ino_t inode_of(const char *dir)
{
	struct stat st;

	assert_int_equal(stat(format("%s/table", dir), &st), 0);
	return st.st_ino;
}

static void assert_web(const struct table *table, const char *expected)
{
	char *text = endpoints_at(table, "10.96.0.1:80", PROTOCOL_TCP);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

/* `count` endpoints from 10.1.0.0 + `first` on, all of port 80. */
static struct table_builder *web_of(unsigned first, unsigned count)
{
	struct table_builder *b = builder_web("");
	struct spec_port *port = &b->spec.services[0].ports[0];

	for (unsigned i = first; i < first + count; i++) {
		struct addr addr = addr_of(format("10.1.%u.%u:80", i >> 8, i & 255));

		builder_endpoint(port, &addr, 1);
	}
	return b;
}

static struct table_endpoint nth(const struct table *table, unsigned i)
{
	return endpoint_at(table, "10.96.0.1:80", format("10.1.%u.%u:80", i >> 8, i & 255));
}

/* ---- in place ---- */

static void the_next_generation_is_seen_through_the_old_mapping(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table *table;
	ino_t inode;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	inode = inode_of(dir);
	table = map_table(dir);
	for (int i = 2; i < 20; i++) {
		char *expected = format("10.0.0.%d:80", i);

		publish(writer, builder_web(expected));
		assert_web(table, expected);
		assert_whole(table);
		assert_int_equal(generation_of(table), i);
	}
	assert_true(inode_of(dir) == inode);
	assert_int_equal(table_head(table)->retired, 0);
}

static void a_table_that_somebody_removed_is_there_again(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table *old;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	old = map_table(dir);
	assert_int_equal(unlink(format("%s/table", dir)), 0);
	publish(writer, builder_web("10.0.0.2:80"));
	assert_web(map_table(dir), "10.0.0.2:80");
	assert_int_equal(table_head(old)->retired, 1);
}

/* As who empties the directory does. */
static void remove_table_and_lock(const char *dir)
{
	assert_int_equal(unlink(format("%s/table", dir)), 0);
	assert_int_equal(unlink(format("%s/" WRITER_LOCK, dir)), 0);
}

static void a_lock_that_was_removed_with_the_table_is_taken_again(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir), *other;
	struct report why;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	remove_table_and_lock(dir);
	assert_true(writer_was_removed(writer));
	publish(writer, builder_web("10.0.0.2:80"));
	assert_web(map_table(dir), "10.0.0.2:80");
	assert_int_equal(writer_open(dir, &(struct writer_options){ 0 }, &other, &why), -EBUSY);
}

static void a_table_of_another_writer_is_left_to_it_until_it_ends(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir), *other;
	struct table *old;
	struct report why;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	old = map_table(dir);
	remove_table_and_lock(dir);
	other = open_writer(dir);
	publish(other, builder_web("10.0.0.2:80"));
	assert_int_equal(writer_keep_lock(writer, &why), -EBUSY);
	assert_false(writer_was_removed(writer));
	publish(writer, builder_web("10.0.0.3:80"));
	writer_retire(writer);
	assert_web(old, "10.0.0.3:80");
	assert_web(map_table(dir), "10.0.0.2:80");
	close_writer(other);
	assert_true(writer_was_removed(writer));
	publish(writer, builder_web("10.0.0.4:80"));
	assert_web(map_table(dir), "10.0.0.4:80");
}

static void a_reading_across_two_generations_is_told(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_view view;
	struct table *table;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	table = map_table(dir);
	view = view_of(table);
	assert_true(table_end(&view));
	publish(writer, builder_web("10.0.0.2:80"));
	assert_true(table_end(&view)); /* the other area was written: what was read is still of one generation */
	publish(writer, builder_web("10.0.0.3:80"));
	assert_false(table_end(&view));
}

static void the_writer_shows_what_it_published(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());

	(void)state;
	assert_null(writer_table(writer));
	publish(writer, builder_web("10.0.0.1:80"));
	assert_non_null(writer_table(writer));
	assert_web(writer_table(writer), "10.0.0.1:80");
}

static void a_new_writer_continues_the_file(void **state)
{
	const char *dir = scratch_dir();
	struct table *table;
	uint64_t instance;
	ino_t inode;

	(void)state;
	publish_alone(dir, builder_web("10.0.0.1:80"));
	inode = inode_of(dir);
	table = map_table(dir);
	instance = table_head(table)->instance;
	publish_alone(dir, builder_web("10.0.0.2:80"));
	assert_true(inode_of(dir) == inode);
	assert_true(table_head(table)->instance == instance);
	assert_int_equal(generation_of(table), 2);
	assert_web(table, "10.0.0.2:80");
}

static void what_cannot_be_published_leaves_the_last_generation(void **state)
{
	struct table_builder *twice = builder_web("10.0.0.2:80 10.0.0.2:80"), *doubled = builder_web("10.0.0.2:80");
	struct table_builder *long_name = builder_web("10.0.0.2:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct report why = { "" };
	struct table *table;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	table = map_table(dir);
	builder_service(doubled, "web.shop", NULL);
	long_name->spec.services[0].name = format("%064d", 1);
	assert_int_equal(writer_publish(writer, &twice->spec, &why), -EINVAL);
	assert_non_null(strstr(why.text, "10.0.0.2:80"));
	assert_int_equal(writer_publish(writer, &doubled->spec, &why), -EINVAL);
	assert_non_null(strstr(why.text, "web"));
	assert_int_equal(writer_publish(writer, &long_name->spec, &why), -EINVAL);
	assert_web(table, "10.0.0.1:80");
	assert_int_equal(generation_of(table), 1);
	publish(writer, builder_web("10.0.0.3:80"));
	assert_web(table, "10.0.0.3:80");
	assert_whole(table);
}

/* ---- slots ---- */

static void slots_and_times_stay_while_others_come_and_go(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_endpoint before, after;
	struct table *table;

	(void)state;
	publish(writer, builder_web("10.0.0.4:80"));
	publish(writer, builder_web("10.0.0.4:80 10.0.0.5:80"));
	table = map_table(dir);
	before = endpoint_at(table, "10.96.0.1:80", "10.0.0.5:80");
	assert_true(before.added_ms > 0);
	for (int i = 6; i < 40; i++) {
		publish(writer, builder_web(format("10.0.0.1:80 10.0.0.5:80 10.0.0.%d:80", i)));
		after = endpoint_at(table, "10.96.0.1:80", "10.0.0.5:80");
		assert_int_equal(after.slot, before.slot);
		assert_int_equal(after.tag, before.tag);
		assert_true(after.added_ms == before.added_ms);
	}
	assert_whole(table);
}

static void slots_stay_with_a_new_writer(void **state)
{
	const char *dir = scratch_dir();
	uint32_t slots[40], tags[40], cursor;
	struct table_view view;
	struct table_port port;
	struct table *table;

	(void)state;
	publish_alone(dir, web_of(0, 40));
	table = map_table(dir);
	view = view_of(table);
	assert_int_equal(table_port(&view, 0, &port), 0);
	cursor = port.cursor;
	for (unsigned i = 0; i < 40; i++) {
		slots[i] = nth(table, i).slot;
		tags[i] = nth(table, i).tag;
	}
	publish_alone(dir, web_of(10, 40));
	for (unsigned i = 10; i < 40; i++) {
		assert_int_equal(nth(table, i).slot, slots[i]);
		assert_int_equal(nth(table, i).tag, tags[i]);
	}
	view = view_of(table);
	assert_int_equal(table_port(&view, 0, &port), 0);
	assert_int_equal(port.cursor, cursor);
	assert_whole(table);
}

static void an_endpoint_that_comes_back_has_its_old_slot(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_endpoint before;
	struct table *table;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	table = map_table(dir);
	before = endpoint_at(table, "10.96.0.1:80", "10.0.0.1:80");
	publish(writer, builder_web("10.0.0.2:80 10.0.0.3:80"));
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"));
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.1:80").slot, before.slot);
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.1:80").tag, before.tag);
}

static void one_backend_of_two_services_has_one_slot(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	const char *dir = scratch_dir();
	struct table *table;

	(void)state;
	builder_service(b, "other.shop", "10.96.0.2");
	builder_port(b, 81, PROTOCOL_TCP, "10.0.0.2:80 10.0.0.2:81");
	publish_alone(dir, b);
	table = map_table(dir);
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.2:80").slot,
			 endpoint_at(table, "10.96.0.2:81", "10.0.0.2:80").slot);
	assert_int_not_equal(endpoint_at(table, "10.96.0.2:81", "10.0.0.2:80").slot,
			     endpoint_at(table, "10.96.0.2:81", "10.0.0.2:81").slot);
}

static void slots_stay_when_every_one_of_them_is_in_use(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	uint32_t rows, before[4096];
	struct table *table;

	(void)state;
	publish(writer, web_of(1, 10));
	rows = table_head(writer_table(writer))->rows;
	assert_in_range(rows, 10, sizeof(before) / sizeof(before[0]));
	publish(writer, web_of(1, rows)); /* as many as the ledger has rows */
	table = map_table(dir);
	rows = table_head(table)->rows < rows ? table_head(table)->rows : rows;
	for (unsigned i = 1; i < rows; i++)
		before[i] = nth(table, i).slot;
	publish(writer, web_of(0, rows)); /* the last one goes, another comes, first in order */
	table = map_table(dir);
	assert_whole(table);
	for (unsigned i = 1; i < rows; i++)
		assert_int_equal(nth(table, i).slot, before[i]);
}

static void slots_are_not_lost_when_writers_follow_each_other(void **state)
{
	const char *dir = scratch_dir();
	uint32_t rows;

	(void)state;
	publish_alone(dir, web_of(0, 60));
	rows = table_head(map_table(dir))->rows;
	for (unsigned i = 0; i < 20; i++) { /* all but the last one go, then others come */
		publish_alone(dir, web_of(i * 59 + 59, 1));
		publish_alone(dir, web_of(i * 59 + 59, 60));
		assert_whole(map_table(dir));
	}
	assert_int_equal(table_head(map_table(dir))->rows, rows);
}

static void tags_differ_by_instance(void **state)
{
	const char *one = scratch_dir(), *other = scratch_dir();
	struct table *a, *b;

	(void)state;
	publish_alone(one, builder_web("10.0.0.1:80"));
	publish_alone(other, builder_web("10.0.0.1:80"));
	a = map_table(one);
	b = map_table(other);
	assert_true(table_head(a)->instance != table_head(b)->instance);
	assert_int_not_equal(endpoint_at(a, "10.96.0.1:80", "10.0.0.1:80").tag,
			     endpoint_at(b, "10.96.0.1:80", "10.0.0.1:80").tag);
}

/* ---- growth ---- */

static void growth_makes_a_new_file_and_retires_the_old(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_endpoint before;
	struct table *old, *table;
	ino_t inode;

	(void)state;
	publish(writer, web_of(0, 50));
	inode = inode_of(dir);
	old = map_table(dir);
	before = nth(old, 7);
	publish(writer, web_of(0, 5000));
	assert_true(inode_of(dir) != inode);
	assert_true(table_head(old)->retired != 0);
	assert_whole(old);
	assert_int_equal(generation_of(old), 1);
	table = map_table(dir);
	assert_whole(table);
	assert_int_equal(table_head(table)->retired, 0);
	assert_true(table_head(table)->instance == table_head(old)->instance);
	assert_int_equal(generation_of(table), 2);
	assert_int_equal(nth(table, 7).slot, before.slot);
	assert_int_equal(nth(table, 7).tag, before.tag);
	assert_true(nth(table, 7).added_ms == before.added_ms);
	assert_true(table_head(table)->rows >= 5000);
	assert_int_equal(files_in(dir), 1);
}

static void what_grew_is_published_in_place_from_then_on(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table *table;
	ino_t inode;

	(void)state;
	publish(writer, web_of(0, 3000));
	inode = inode_of(dir);
	table = map_table(dir);
	for (unsigned n = 3000; n <= 3300; n += 100) /* a little more each time does not need a new file each time */
		publish(writer, web_of(0, n));
	assert_true(inode_of(dir) == inode);
	assert_int_equal(generation_of(table), 5);
	publish(writer, web_of(0, 5));
	assert_true(inode_of(dir) == inode);
	assert_whole(table);
}

static void a_reserve_is_room_for_the_first_real_list(void **state)
{
	const struct writer_options options = { .is_static = true, .reserve = 1 << 20 };
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer_with(dir, &options);
	struct table *table;
	ino_t inode;

	(void)state;
	publish(writer, builder_new());
	inode = inode_of(dir);
	table = map_table(dir);
	assert_true(table_head(table)->area_size >= options.reserve);
	publish(writer, web_of(0, 5000));
	assert_true(inode_of(dir) == inode);
	assert_int_equal(table_head(table)->retired, 0);
	assert_whole(table);
	close_writer(writer);
	writer = open_writer_with(dir, &options); /* and its successor stays in that file */
	publish(writer, web_of(0, 5001));
	assert_true(inode_of(dir) == inode);
	assert_int_equal(generation_of(table), 3);
}

/* ---- the end ---- */

static void a_table_that_is_taken_back_is_found_by_nobody(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table *table;

	(void)state;
	writer_retire(writer); /* there is none yet */
	publish(writer, web_of(0, 5));
	table = map_table(dir);
	writer_retire(writer);
	assert_int_equal(files_in(dir), 0);
	assert_true(table_head(table)->retired != 0);
	assert_whole(table); /* who has it may use it */
	close_writer(writer);
	publish(open_writer(dir), web_of(0, 3));
	assert_true(table_head(map_table(dir))->instance != table_head(table)->instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_generation_is_seen_through_the_old_mapping),
		TEST(a_table_that_somebody_removed_is_there_again),
		TEST(a_lock_that_was_removed_with_the_table_is_taken_again),
		TEST(a_table_of_another_writer_is_left_to_it_until_it_ends),
		TEST(a_reading_across_two_generations_is_told),
		TEST(the_writer_shows_what_it_published),
		TEST(a_new_writer_continues_the_file),
		TEST(what_cannot_be_published_leaves_the_last_generation),
		TEST(slots_and_times_stay_while_others_come_and_go),
		TEST(slots_stay_with_a_new_writer),
		TEST(an_endpoint_that_comes_back_has_its_old_slot),
		TEST(one_backend_of_two_services_has_one_slot),
		TEST(slots_stay_when_every_one_of_them_is_in_use),
		TEST(slots_are_not_lost_when_writers_follow_each_other),
		TEST(tags_differ_by_instance),
		TEST(growth_makes_a_new_file_and_retires_the_old),
		TEST(what_grew_is_published_in_place_from_then_on),
		TEST(a_reserve_is_room_for_the_first_real_list),
		TEST(a_table_that_is_taken_back_is_found_by_nobody),
	};

	return RUN_TESTS(tests);
}
