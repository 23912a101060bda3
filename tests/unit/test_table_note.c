/* SPDX-License-Identifier: Apache-2.0 */
/* How the writer is, for people: a text since when, and that it lives. None of it touches the list. */
#include "support/testing.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { KILLS = 200 };

static struct table_note note_of(const struct table *table)
{
	struct table_note note;
	int r = table_note(table, &note);

	if (r < 0)
		fail_msg("table_note: %s", strerror(-r));
	return note;
}

static void assert_note(const struct table *table, const char *text)
{
	assert_string_equal(note_of(table).text, text);
}

static void a_note_is_read_until_it_is_taken_back(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	uint64_t before = clock_wall_ms();
	const struct table *table;
	struct table_note note;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	table = writer_table(writer);
	assert_note(table, "");
	writer_note(writer, "the API server does not answer");
	note = note_of(table);
	assert_string_equal(note.text, "the API server does not answer");
	assert_in_range(note.since_ms, before, clock_wall_ms());
	writer_note(writer, "");
	assert_note(table, "");
}

static void the_same_note_again_changes_nothing(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	struct table_note first, again;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	writer_note(writer, "not allowed to list");
	first = note_of(writer_table(writer));
	while (clock_wall_ms() == first.since_ms)
		;
	writer_note(writer, "not allowed to list");
	again = note_of(writer_table(writer));
	assert_true(again.seq == first.seq);
	assert_true(again.since_ms == first.since_ms);
	writer_note(writer, "something else");
	assert_true(note_of(writer_table(writer)).since_ms > first.since_ms);
}

static void a_long_note_is_cut(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	const char *text = format("%01000d", 7);
	struct table_note note;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	writer_note(writer, text);
	note = note_of(writer_table(writer));
	assert_int_equal(strlen(note.text), TABLE_NOTE_SIZE - 1);
	assert_memory_equal(note.text, text, TABLE_NOTE_SIZE - 1);
	writer_note(writer, text);
	assert_true(note_of(writer_table(writer)).seq == note.seq);
}

static void the_life_sign_is_no_heartbeat(void **state)
{
	const struct writer_options options = { .is_static = false };
	struct table_writer *writer = open_writer_with(scratch_dir(), &options);
	uint64_t heartbeat, alive;

	(void)state;
	writer_alive(writer, UINT64_MAX); /* before anything is published */
	publish(writer, builder_web("10.0.0.1:80"));
	heartbeat = table_head(writer_table(writer))->heartbeat_ms;
	alive = note_of(writer_table(writer)).alive_ms;
	assert_in_range(alive, 1, clock_boot_ms());
	while (note_of(writer_table(writer)).alive_ms <= heartbeat)
		writer_alive(writer, UINT64_MAX);
	assert_true(table_head(writer_table(writer))->heartbeat_ms == heartbeat);
	alive = note_of(writer_table(writer)).alive_ms;
	while (table_head(writer_table(writer))->heartbeat_ms <= alive)
		writer_heartbeat(writer);
	assert_true(note_of(writer_table(writer)).alive_ms == alive);
}

static void note_and_life_sign_go_along_to_a_new_file(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_builder *large = builder_web("");
	struct table_note before, after;
	struct table *old;

	(void)state;
	writer_note(writer, "said before there was a file");
	writer_alive(writer, UINT64_MAX);
	publish(writer, builder_web("10.0.0.1:80"));
	assert_note(writer_table(writer), "said before there was a file");
	before = note_of(writer_table(writer));
	assert_true(before.alive_ms > 0);
	old = map_table(dir);
	for (unsigned i = 0; i < 3000; i++) {
		struct addr addr = addr_of(format("10.2.%u.%u:80", i >> 8, i & 255));

		builder_endpoint(&large->spec.services[0].ports[0], &addr, 1);
	}
	publish(writer, large);
	assert_true(table_head(old)->retired != 0);
	after = note_of(writer_table(writer));
	assert_string_equal(after.text, before.text);
	assert_true(after.since_ms == before.since_ms && after.alive_ms == before.alive_ms);
}

static void a_note_outlives_its_writer(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_note before;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	writer_note(writer, "something is wrong");
	before = note_of(writer_table(writer));
	close_writer(writer);
	writer = open_writer(dir);
	writer_note(writer, "something is wrong");
	assert_true(note_of(writer_table(writer)).since_ms == before.since_ms);
	assert_true(note_of(writer_table(writer)).seq == before.seq);
	writer_note(writer, "");
	assert_note(map_table(dir), "");
}

static void a_note_that_is_being_written_is_not_read(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_note *note, got = { .seq = 77 };

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	writer_note(writer, "half a no");
	note = (struct table_note *)(writer_table(writer)->base + TABLE_NOTE_OFFSET);
	note->seq |= 1;
	assert_int_equal(table_note(writer_table(writer), &got), -EAGAIN);
	assert_int_equal(got.seq, 77);
	close_writer(writer);
	writer = open_writer(dir); /* was killed there: the next one starts anew */
	assert_note(writer_table(writer), "");
}

static char texts[2][TABLE_NOTE_SIZE];

static void note_for_ever(const char *dir)
{
	struct writer_options options = { .is_static = true };
	struct table_writer *writer;
	struct report why;

	if (writer_open(dir, &options, &writer, &why) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		writer_note(writer, texts[i % 2]);
		writer_alive(writer, UINT64_MAX);
	}
}

static bool is_whole(const struct table_note *note)
{
	return note->text[0] == '\0' || strcmp(note->text, texts[0]) == 0 || strcmp(note->text, texts[1]) == 0;
}

static void notes_are_read_whole_while_writers_are_killed(void **state)
{
	const char *dir = scratch_dir();
	struct table *table;
	size_t read = 0;

	(void)state;
	memset(texts[0], 'a', 400);
	memset(texts[1], 'b', 20);
	publish_alone(dir, builder_web("10.0.0.1:80"));
	table = map_table(dir);
	for (int i = 0; i < KILLS; i++) {
		uint64_t seq = ((const struct table_note *)(table->base + TABLE_NOTE_OFFSET))->seq;
		struct table_note note = { .seq = 0 };
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			note_for_ever(dir);
		while (note.seq < seq + 20 && waitpid(pid, &status, WNOHANG) == 0) {
			if (table_note(table, &note) < 0)
				continue;
			read++;
			if (!is_whole(&note))
				break;
		}
		kill(pid, SIGKILL);
		if (status == 0)
			waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_true(is_whole(&note));
	}
	assert_true(read > KILLS);
	publish_alone(dir, builder_web("10.0.0.2:80"));
	assert_true(note_of(table).seq % 2 == 0);
	assert_whole(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_note_is_read_until_it_is_taken_back),
		TEST(the_same_note_again_changes_nothing),
		TEST(a_long_note_is_cut),
		TEST(the_life_sign_is_no_heartbeat),
		TEST(note_and_life_sign_go_along_to_a_new_file),
		TEST(a_note_outlives_its_writer),
		TEST(a_note_that_is_being_written_is_not_read),
		TEST(notes_are_read_whole_while_writers_are_killed),
	};

	return RUN_TESTS(tests);
}
