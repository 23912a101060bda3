/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of an older and of a newer minor version are read, those of another major one are not; older readers read ours. */
#include "support/testing.h"

#include <errno.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/layouts.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static const char *written(const struct layout *layout)
{
	const struct addr endpoints[] = { addr_of("10.0.0.1:80"), addr_of("10.0.0.2:80"), addr_of("10.0.0.3:8080") };
	const struct layout_service service = { addr_of("10.96.0.1:80"), endpoints, 3 };
	const char *dir = scratch_dir();

	write_layout(dir, layout, &service);
	return dir;
}

static struct table_area area_of(const struct table *table)
{
	struct table_view view = view_of(table);
	struct table_area area;

	memset(&area, 0xff, sizeof(area)); /* what the file has not must be made zero */
	assert_int_equal(table_area(&view, &area), 0);
	return area;
}

static void assert_reads(const struct table *table)
{
	struct table_view view = view_of(table);
	char *endpoints = endpoints_at(table, "10.96.0.1:80", PROTOCOL_TCP), text[16];
	struct table_endpoint row = endpoint_at(table, "10.96.0.1:80", "10.0.0.3:8080");
	struct table_service service;
	int i = table_find_service(&view, slice_of("web"), slice_of("shop"));

	assert_non_null(endpoints);
	assert_string_equal(endpoints, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:8080");
	free(endpoints);
	assert_int_equal(row.slot, 2);
	table_string(&view, row.zone, text, sizeof(text));
	assert_string_equal(text, "zone-a");
	table_string(&view, row.node, text, sizeof(text));
	assert_string_equal(text, "node-1");
	assert_int_equal(i, 0);
	assert_int_equal(table_service(&view, 0, &service), 0);
	assert_string_equal(service.namespace, "shop");
	assert_true(table_end(&view));
	assert_whole(table);
}

/* Its tally of IPv4 endpoints: all zero where the file has none. */
static void assert_tally(const struct table *table, uint32_t usable, uint64_t newest_ms)
{
	struct table_view view = view_of(table);
	struct table_tally tally;

	assert_int_equal(table_tally(&view, 0, true, &tally), 0);
	assert_int_equal(tally.usable, usable);
	assert_int_equal(tally.weight, usable);
	assert_int_equal(tally.newest_ms, newest_ms);
	assert_int_equal(table_tally(&view, 0, false, &tally), 0);
	assert_int_equal(tally.usable, 0);
	assert_int_equal(tally.weight, 0);
}

static void a_table_of_1_0_is_read(void **state)
{
	struct table *table = map_table(written(&layout_1_0));
	struct table_note note;

	(void)state;
	assert_reads(table);
	assert_int_equal(area_of(table).mesh_port, 0);
	assert_string_equal(area_of(table).source, "another version");
	assert_int_equal(table_note(table, &note), -ENOENT);
	assert_tally(table, 0, 0);
}

static void a_table_of_a_newer_minor_version_is_read(void **state)
{
	struct table *table = map_table(written(&layout_newer));
	struct table_note note;

	(void)state;
	assert_reads(table);
	assert_int_equal(area_of(table).mesh_port, 15006);
	assert_int_equal(area_of(table).zero3, 0);
	assert_tally(table, 3, 1234);
	assert_int_equal(table_note(table, &note), 0);
	assert_string_equal(note.text, "a note of another version");
}

/* Its own fields are part of the sums, whoever reads. */
static void damage_to_what_is_not_known_is_found(void **state)
{
	struct table *table = map_table(written(&layout_newer));
	const struct table_head *head = table_head(table);
	const struct table_area *area;
	size_t size = (size_t)head->file_size;
	struct guarded *g = guarded_new(size);
	struct table copy;
	char why[128];

	(void)state;
	memcpy(g->bytes, table->base, size);
	assert_int_equal(table_attach(&copy, g->bytes, size), 0);
	assert_whole(&copy);
	area = (const void *)(g->bytes + copy.area_offset[head->current & 1]);
	for (int id = SECTION_SERVICES; id <= SECTION_ADDRESSES; id++) {
		uint8_t *last = (uint8_t *)area + area->section[id].offset + area->section[id].stride - 1;

		*last ^= 1;
		assert_int_equal(table_check(&copy, why, sizeof(why)), -EBADMSG);
		*last ^= 1;
	}
	((uint8_t *)area)[area->head_size - 1] ^= 1;
	assert_int_equal(table_check(&copy, why, sizeof(why)), -EBADMSG);
}

static void a_table_of_another_major_version_is_not_mapped(void **state)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table table;

	(void)state;
	assert_int_equal(table_map(written(&layout_2_0), &trust, &table, NULL), -EPROTO);
}

/* Not a byte of the old file is written but that it is retired. */
static void continue_in_a_new_file(const struct layout *layout)
{
	const char *dir = written(layout);
	struct table *old = map_table(dir), *table;
	struct table_builder *b = builder_web("10.0.0.2:80 10.0.0.3:8080 10.0.0.4:80");
	size_t size;
	char *before = read_file(format("%s/table", dir), &size);
	struct table_writer *writer = open_writer(dir);
	struct report why = { "" };

	assert_int_equal(writer_patch(writer, &b->spec, &why), -ESTALE);
	writer_note(writer, "not in the old one");
	writer_alive(writer, UINT64_MAX);
	assert_memory_equal(old->base, before, size);
	publish(writer, b);
	assert_true(table_head(old)->retired != 0);
	table = map_table(dir);
	assert_int_equal(table_head(table)->minor, TABLE_MINOR);
	assert_true(table_head(table)->instance == table_head(old)->instance);
	assert_int_equal(generation_of(table), 6);
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.3:8080").slot, 2);
	assert_true(endpoint_at(table, "10.96.0.1:80", "10.0.0.3:8080").added_ms == 1234);
	assert_whole(table);
	assert_int_equal(writer_patch(writer, &b->spec, &why), 0);
	assert_int_equal(generation_of(table), 7);
}

static void a_writer_continues_an_older_table_in_a_file_of_its_own(void **state)
{
	(void)state;
	continue_in_a_new_file(&layout_1_0);
}

static void a_writer_continues_a_newer_table_in_a_file_of_its_own(void **state)
{
	(void)state;
	continue_in_a_new_file(&layout_newer);
}

static void assert_read_as_1_0(const struct table *table, const char *dest, const char *const *expected, int count)
{
	struct addr to = addr_of(dest), got[8];
	char buf[ADDR_TEXT];

	assert_int_equal(read_as_1_0(table->base, table->size, &to, got, 8), count);
	for (int i = 0; i < count; i++)
		assert_string_equal(addr_print(&got[i], buf), expected[i]);
}

static void a_reader_of_1_0_reads_what_is_published_and_patched(void **state)
{
	static const char *const one[] = { "10.0.0.1:80", "[2001:db8::1]:80" };
	static const char *const other[] = { "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:80" };
	static const char *const db[] = { "10.0.0.9:3306" };
	struct table_builder *b = builder_web("10.0.0.1:80 [2001:db8::1]:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct addr nobody = addr_of("10.96.0.1:81"), got[1];
	struct report why = { "" };
	struct table *table;

	(void)state;
	builder_service(b, "db.shop", "10.96.0.2");
	builder_port(b, 3306, PROTOCOL_TCP, "10.0.0.9:3306");
	publish(writer, b);
	table = map_table(dir);
	assert_read_as_1_0(table, "10.96.0.1:80", one, 2);
	assert_read_as_1_0(table, "10.96.0.2:3306", db, 1);
	b = builder_web("10.0.0.2:80 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80");
	assert_int_equal(writer_patch(writer, &b->spec, &why), 0);
	assert_read_as_1_0(table, "10.96.0.1:80", other, 4);
	assert_read_as_1_0(table, "10.96.0.2:3306", db, 1);
	assert_int_equal(read_as_1_0(table->base, table->size, &nobody, got, 1), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table_of_1_0_is_read),
		TEST(a_table_of_a_newer_minor_version_is_read),
		TEST(damage_to_what_is_not_known_is_found),
		TEST(a_table_of_another_major_version_is_not_mapped),
		TEST(a_writer_continues_an_older_table_in_a_file_of_its_own),
		TEST(a_writer_continues_a_newer_table_in_a_file_of_its_own),
		TEST(a_reader_of_1_0_reads_what_is_published_and_patched),
	};

	return RUN_TESTS(tests);
}
