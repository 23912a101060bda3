/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged tables: the checker finds what matters, readers never leave the mapping, and no damage sends a dial astray.
 * Copies lie in front of a page that may not be touched.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

/* A bit of everything; `padding` sets the length of its strings. */
static struct table_builder *small_spec(size_t padding)
{
	struct table_builder *b = builder_new();
	struct spec_port *port;

	builder_service(b, "web.shop", "10.96.0.1 fd00::1")->flags = SERVICE_BARE_NAME;
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80 10.0.0.2:80*2 [2001:db8::1]:80");
	port = builder_port(b, 53, PROTOCOL_UDP, "10.0.0.1:53 10.0.0.3:53!");
	port->name = builder_text(b, format("%0*d", (int)padding, 1));
	builder_service(b, "db.shop", "10.96.0.2");
	builder_port(b, 3306, PROTOCOL_TCP, "10.0.0.4:3306");
	builder_service(b, "none", NULL);
	return b;
}

static const struct table_area *current_area(const struct table *table)
{
	return (const void *)(table->base + table->area_offset[table_head(table)->current & 1]);
}

/*
 * The head and the current area, alone and without room between or behind, so that whatever reaches beyond a section's
 * end meets the guard soon. The padding makes the area's size a multiple of 64.
 */
static struct guarded *compact_copy(const struct table *table)
{
	const struct table_area *area = current_area(table);
	struct guarded *g = guarded_new(sizeof(struct table_head) + area->size);
	struct table_head *head = (void *)g->bytes;

	memcpy(head, table->base, sizeof(*head));
	memcpy(head + 1, area, area->size);
	head->head_size = sizeof(*head);
	head->area_offset[0] = head->area_offset[1] = sizeof(*head);
	head->area_size = area->size;
	head->file_size = g->size;
	repair_head(head);
	return g;
}

static struct guarded *compact_table(struct table_builder **ret_builder, struct table *ret_table)
{
	for (size_t padding = 1; padding < 128; padding += 8) {
		struct table_builder *b = small_spec(padding);
		struct table *table;
		const char *dir = scratch_dir();
		struct guarded *g;

		publish_alone(dir, b);
		table = map_table(dir);
		if (current_area(table)->size % 64)
			continue;
		g = compact_copy(table);
		assert_int_equal(table_attach(ret_table, g->bytes, g->size), 0);
		assert_whole(ret_table);
		*ret_builder = b;
		return g;
	}
	fail_msg("no size is a multiple of 64");
	return NULL;
}

/* ---- single bytes ---- */

static const uint8_t flips[] = { 0x01, 0x80, 0xff };

struct answers {
	char *ports, *names;
};

static struct answers ask(const struct table *table, const struct spec *spec)
{
	return (struct answers){ port_answers(table, spec), name_answers(table, spec) };
}

static void free_answers(struct answers *a)
{
	free(a->ports);
	free(a->names);
}

/* What a reader gets after byte `at` was changed, through a mapping it had before and through one of its own. */
static bool is_found_or_harmless(const struct guarded *g, const struct table *before, const struct spec *spec,
				 const struct answers *expected)
{
	struct table table = *before;
	struct answers now;
	char why[128];
	bool same;

	if (table_attach(&table, g->bytes, g->size) < 0 || table_check(&table, why, sizeof(why)) < 0)
		return true;
	now = ask(&table, spec);
	same = strcmp(now.ports, expected->ports) == 0 && strcmp(now.names, expected->names) == 0;
	free_answers(&now);
	return same;
}

static void the_checker_finds_each_flipped_byte_that_matters(void **state)
{
	struct table_builder *b;
	struct table table;
	struct guarded *g = compact_table(&b, &table);
	struct answers expected = ask(&table, &b->spec);

	(void)state;
	for (size_t at = 0; at < g->size; at++) {
		for (size_t k = 0; k < sizeof(flips); k++) {
			g->bytes[at] ^= flips[k];
			if (!is_found_or_harmless(g, &table, &b->spec, &expected))
				fail_msg("byte %zu of %zu xor %02x: the checker is content, the answers differ", at,
					 g->size, flips[k]);
			g->bytes[at] ^= flips[k];
		}
	}
	free_answers(&expected);
}

/* Without a checker: each answer is the same as before, or none. */
static void flip_each_byte(char *(*answers)(const struct table *, const struct spec *))
{
	struct table_builder *b;
	struct table table;
	struct guarded *g = compact_table(&b, &table);
	char *expected = answers(&table, &b->spec);

	for (size_t at = sizeof(struct table_head); at < g->size; at++) {
		for (size_t k = 0; k < sizeof(flips); k++) {
			char *now;

			g->bytes[at] ^= flips[k];
			now = answers(&table, &b->spec);
			if (!same_or_refused(expected, now))
				fail_msg("byte %zu of the area (of %zu) xor %02x:\n%s instead of\n%s",
					 at - sizeof(struct table_head), g->size, flips[k], now, expected);
			free(now);
			g->bytes[at] ^= flips[k];
		}
	}
	free(expected);
}

static void no_flipped_byte_sends_a_dial_to_another_endpoint(void **state)
{
	(void)state;
	flip_each_byte(port_answers);
}

static void no_flipped_byte_answers_a_name_with_another_address(void **state)
{
	(void)state;
	flip_each_byte(name_answers);
}

/* ---- readers stay inside ---- */

static void walk(const struct table_rows *rows)
{
	for (uint32_t k = 0; k < rows->count; k += 1 + rows->count / 64) {
		table_rows_brief(rows, k);
		table_rows_hash(rows, k, 1);
	}
	if (rows->count)
		table_rows_hash(rows, rows->count - 1, 1);
}

static void call_everything(const struct table *table, const struct spec *spec, uint64_t *random)
{
	struct table_endpoint endpoint;
	struct table_service service;
	struct table_address address;
	struct table_rows rows;
	struct table_port port;
	struct table_view view;
	struct answers answers;
	char text[300];

	if (!table_begin(table, &view))
		return;
	answers = ask(table, spec);
	free_answers(&answers);
	for (int i = 0; i < 12; i++) {
		uint32_t row = i < 8 ? (uint32_t)i : (uint32_t)next_random(random);

		table_service(&view, row, &service);
		table_endpoint(&view, row, &endpoint);
		table_address(&view, row, &address);
		table_string(&view, row * 7, text, sizeof(text));
		if (table_port(&view, row, &port) < 0)
			continue;
		for (int v4 = 0; v4 < 2; v4++)
			if (rows_of(&view, &port, v4, &rows) == 0)
				walk(&rows);
	}
	if (table_endpoint_rows(&view, (uint32_t)next_random(random), (uint32_t)next_random(random), &rows) == 0)
		walk(&rows);
	for (int id = 0; id < SECTION_COUNT; id++)
		table_count(&view, (enum table_section_id)id);
	table_rules(&view);
	table_end(&view);
}

/* Bytes, words, and fields of the sections set to what is likely to hurt. */
static void mutate(uint8_t *bytes, size_t size, uint64_t *random)
{
	static const uint32_t nasty[] = { 0,          1,          7,    8,  0x7fffffff, 0x80000000,
					  0xffffffff, 0xfffffff8, 4096, 64, 0x1000000 };
	size_t n = 1 + next_random(random) % 6;

	for (size_t i = 0; i < n; i++) {
		uint64_t r = next_random(random);
		size_t at = (r >> 8) % (size / 4) * 4;
		uint32_t word = nasty[(r >> 40) % (sizeof(nasty) / sizeof(nasty[0]))];

		if (r & 1)
			at = (r >> 8) % 48 * 4; /* the first words of an area: its head and sections */
		if ((r & 6) == 0)
			word = (uint32_t)next_random(random);
		if ((r & 6) == 2)
			bytes[at] ^= (uint8_t)(1 << (r >> 50) % 8);
		else
			memcpy(bytes + at, &word, sizeof(word));
	}
}

static void readers_stay_inside_ten_thousand_damaged_tables(void **state)
{
	struct table_builder *b;
	struct table table;
	struct guarded *g = compact_table(&b, &table);
	size_t head = sizeof(struct table_head), area = g->size - head;
	uint8_t *good = malloc(g->size);
	uint64_t random = 4;
	size_t read = 0;
	char why[128];

	(void)state;
	assert_non_null(good);
	memcpy(good, g->bytes, g->size);
	for (int i = 0; i < 10000; i++) {
		memcpy(g->bytes, good, g->size);
		mutate(g->bytes + head, area, &random);
		((struct table_area *)(g->bytes + head))->seq = 2;
		if (i % 2)
			repair_area(g->bytes + head);
		call_everything(&table, &b->spec, &random);
		read += table_check(&table, why, sizeof(why)) == 0;
	}
	assert_in_range(read, 0, 9999);
	free(good);
}

static void heads_of_random_fields_are_refused_or_harmless(void **state)
{
	struct table_builder *b;
	struct table table, attached;
	struct guarded *g = compact_table(&b, &table);
	struct table_head *head = (void *)g->bytes, good = *head;
	uint64_t random = 5;
	size_t taken = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		*head = good;
		mutate(g->bytes, sizeof(*head), &random);
		if (i % 2) {
			head->magic = TABLE_MAGIC;
			head->major = TABLE_MAJOR;
			repair_head(head);
		}
		if (table_attach(&attached, g->bytes, g->size) == 0) {
			taken++;
			call_everything(&attached, &b->spec, &random);
		}
	}
	assert_true(taken < 10000);
}

/* ---- versions and sizes ---- */

static void another_major_version_is_passed_over(void **state)
{
	struct table_builder *b;
	struct table table;
	struct guarded *g = compact_table(&b, &table);
	struct table_head *head = (void *)g->bytes;

	(void)state;
	head->major = TABLE_MAJOR + 1;
	assert_int_equal(table_attach(&table, g->bytes, g->size), -EPROTO);
	repair_head(head);
	assert_int_equal(table_attach(&table, g->bytes, g->size), -EPROTO);
	head->major = TABLE_MAJOR;
	head->minor = TABLE_MINOR + 7; /* appended fields do not hurt */
	repair_head(head);
	assert_int_equal(table_attach(&table, g->bytes, g->size), 0);
}

static void what_is_no_table_is_refused(void **state)
{
	struct guarded *g = guarded_new(4096);
	struct table table = { .size = 77 };

	(void)state;
	assert_int_equal(table_attach(&table, g->bytes, g->size), -EBADMSG);
	memset(g->bytes, 0xff, g->size);
	assert_int_equal(table_attach(&table, g->bytes, g->size), -EBADMSG);
	assert_int_equal(table_attach(&table, g->bytes, 0), -EBADMSG);
	assert_int_equal(table.size, 77); /* results change only on success */
}

static void a_table_cut_at_any_size_is_refused(void **state)
{
	const char *dir = scratch_dir();
	uint8_t *bytes;
	size_t size;

	(void)state;
	publish_alone(dir, small_spec(1));
	bytes = (uint8_t *)read_file(format("%s/table", dir), &size);
	for (size_t cut = 0; cut < size; cut += cut < 512 ? 8 : 4096 + 64) {
		struct guarded *g = guarded_new(cut);
		struct table table;

		memcpy(g->bytes, bytes, cut);
		assert_int_equal(table_attach(&table, g->bytes, cut), -EBADMSG);
	}
}

static void a_cut_file_is_not_mapped(void **state)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	const char *dir = scratch_dir(), *path = format("%s/table", dir);
	struct table table;
	size_t size;

	(void)state;
	publish_alone(dir, small_spec(1));
	read_file(path, &size);
	for (size_t cut = size - 1; cut; cut = cut * 3 / 4) {
		assert_int_equal(truncate(path, (off_t)cut), 0);
		assert_int_equal(table_map(dir, &trust, &table, NULL), -EBADMSG);
	}
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(table_map(dir, &trust, &table, NULL), -EBADMSG);
}

static void a_writer_replaces_a_damaged_table(void **state)
{
	const char *dir = scratch_dir(), *path = format("%s/table", dir);
	size_t size;
	char *bytes;

	(void)state;
	publish_alone(dir, small_spec(1));
	bytes = read_file(path, &size);
	for (size_t at = 0; at < 12000; at += 97) {
		bytes[at] ^= 0x55;
		write_file(path, bytes, size);
		publish_alone(dir, small_spec(1));
		assert_whole(map_table(dir));
		bytes[at] ^= 0x55;
	}
	write_file(path, "hello", 5);
	publish_alone(dir, small_spec(1));
	assert_whole(map_table(dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_checker_finds_each_flipped_byte_that_matters),
		TEST(no_flipped_byte_sends_a_dial_to_another_endpoint),
		TEST(no_flipped_byte_answers_a_name_with_another_address),
		TEST(readers_stay_inside_ten_thousand_damaged_tables),
		TEST(heads_of_random_fields_are_refused_or_harmless),
		TEST(another_major_version_is_passed_over),
		TEST(what_is_no_table_is_refused),
		TEST(a_table_cut_at_any_size_is_refused),
		TEST(a_cut_file_is_not_mapped),
		TEST(a_writer_replaces_a_damaged_table),
	};

	return RUN_TESTS(tests);
}
