/* SPDX-License-Identifier: Apache-2.0 */
/* DIR/autostart: when an agent may be started, what is believed of the file, and who holds it. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/mark.h"
#include "table/table.h"

#define NOW 1000000u

/* ---- what follows from it ---- */

static struct mark started(uint32_t tries, enum mark_state state)
{
	return (struct mark){ .time_ms = NOW, .tries = tries, .state = state };
}

static void starts_that_fail_are_further_and_further_apart(void **state)
{
	static const uint32_t pauses_s[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60 };

	(void)state;
	for (uint32_t tries = 0; tries < sizeof(pauses_s) / sizeof(*pauses_s); tries++) {
		struct mark mark = started(tries, MARK_FAILED);

		assert_int_equal(mark_pause_ms(&mark), pauses_s[tries] * 1000);
		assert_true(mark_is_due(&mark, false, NOW + pauses_s[tries] * 1000));
		if (tries)
			assert_false(mark_is_due(&mark, false, NOW + pauses_s[tries] * 1000 - 1));
	}
	assert_int_equal(mark_pause_ms(&(struct mark){ .tries = UINT32_MAX }), 60000);
}

static void one_that_is_on_its_way_is_given_time(void **state)
{
	struct mark mark = started(1, MARK_STARTED), late = started(7, MARK_STARTED);

	(void)state;
	assert_int_equal(mark_pause_ms(&mark), MARK_GRACE_MS);
	assert_int_equal(mark_pause_ms(&late), 60000);
	assert_false(mark_has_failed(&mark, false, NOW + MARK_GRACE_MS - 1));
	assert_true(mark_has_failed(&mark, false, NOW + MARK_GRACE_MS));
	assert_false(mark_has_failed(&mark, true, NOW + MARK_GRACE_MS));
}

static void none_is_started_while_one_lives(void **state)
{
	(void)state;
	for (int s = MARK_NONE; s < MARK_STATES; s++) {
		struct mark mark = started(0, s);

		assert_false(mark_is_due(&mark, true, NOW + 1000000));
		assert_true(mark_is_due(&mark, false, NOW));
	}
}

static void time_that_has_not_come_is_no_pause(void **state)
{
	struct mark mark = started(9, MARK_FAILED);

	(void)state;
	assert_true(mark_is_due(&mark, false, NOW - 1));
	assert_true(mark_is_due(&mark, false, 0));
	mark.state = MARK_STARTED;
	assert_true(mark_has_failed(&mark, false, NOW - 1));
}

static void notes_keep_count(void **state)
{
	struct mark mark = { 0 };

	(void)state;
	mark_note_start(&mark, NOW);
	mark_note_start(&mark, NOW + 1);
	assert_int_equal(mark.tries, 2);
	assert_int_equal(mark.time_ms, NOW + 1);
	assert_int_equal(mark.state, MARK_STARTED);
	mark_note(&mark, MARK_FAILED, format("%0600d", 1));
	assert_int_equal(strlen(mark.text), MARK_TEXT - 1);
	assert_int_equal(mark.tries, 2);
	mark_note(&mark, MARK_RUNNING, "");
	assert_string_equal(mark.text, "");
	mark_note(&mark, MARK_ENDED, "");
	assert_int_equal(mark.tries, 0);
}

/* One that publishes, and is killed at once (out of memory, say), would ask the API for everything each time. */
static void agents_that_publish_and_die_are_further_apart_too(void **state)
{
	struct mark mark = { 0 };
	uint64_t now = NOW;

	(void)state;
	mark_note_start(&mark, now);
	mark_note(&mark, MARK_RUNNING, "");
	assert_true(mark_is_due(&mark, false, now)); /* the first is replaced at once */
	for (uint32_t pause_s = 1; pause_s <= 32; pause_s *= 2) {
		mark_note_start(&mark, now);
		mark_note(&mark, MARK_RUNNING, "");
		assert_false(mark_is_due(&mark, false, now + pause_s * 1000 - 1));
		assert_false(mark_has_failed(&mark, false, now + pause_s * 1000 - 1));
		now += pause_s * 1000;
		assert_true(mark_is_due(&mark, false, now));
	}
	mark_note_start(&mark, now);
	mark_note(&mark, MARK_RUNNING, "");
	mark_note_start(&mark, now + MARK_LONGEST_MS); /* that one was well for a minute */
	assert_int_equal(mark.tries, 1);
}

/* ---- the file ---- */

static const struct trust *own(void)
{
	static struct trust trust;

	trust = (struct trust){ geteuid(), geteuid(), false };
	return &trust;
}

static int folder_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int opened(const char *dir, enum mark_opening opening)
{
	int folder = folder_of(dir), fd = mark_open(folder, own(), opening);

	close(folder);
	return fd;
}

static int opened_new(const char *dir)
{
	int fd = opened(dir, MARK_MAKE);

	assert_true(fd >= 0);
	return fd;
}

static void what_is_written_is_read(void **state)
{
	const char *dir = scratch_dir();
	int fd = opened_new(dir);
	struct mark mark, read;

	(void)state;
	assert_int_equal(mark_read(fd, &read), 0);
	assert_int_equal(read.state, MARK_NONE);
	memset(&mark, 0, sizeof(mark));
	mark_note_start(&mark, NOW);
	mark_note(&mark, MARK_FAILED, "no such luck");
	assert_int_equal(mark_write(fd, &mark), 0);
	close(fd);
	fd = opened(dir, MARK_READ);
	assert_int_equal(mark_read(fd, &read), 0);
	assert_memory_equal(&mark, &read, sizeof(mark));
	close(fd);
}

/* One that says nothing puts nothing off. */
static void damaged_or_of_another_boot_is_as_none(void **state)
{
	static const size_t at[] = { offsetof(struct mark, boot_id), offsetof(struct mark, time_ms),
				     offsetof(struct mark, state),   offsetof(struct mark, tries),
				     offsetof(struct mark, text),    offsetof(struct mark, sum) };
	const char *dir = scratch_dir(), *path = format("%s/" MARK_NAME, dir);
	int fd = opened_new(dir);

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		struct mark mark = { 0 };

		mark_note_start(&mark, NOW);
		assert_int_equal(mark_write(fd, &mark), 0);
		((char *)&mark)[at[i]] ^= 1;
		assert_int_equal(pwrite(fd, &mark, sizeof(mark), 0), sizeof(mark));
		assert_int_equal(mark_read(fd, &mark), 0);
		assert_int_equal(mark.state, MARK_NONE);
		assert_int_equal(mark.tries, 0);
	}
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(mark_read(fd, &(struct mark){ 0 }), 0);
	close(fd);
}

/* Whole, and of a machine that has been started anew since. */
static void one_of_another_boot_says_nothing(void **state)
{
	int fd = opened_new(scratch_dir());
	struct mark mark = { 0 };

	(void)state;
	mark_note_start(&mark, NOW);
	assert_int_equal(mark_write(fd, &mark), 0);
	mark.boot_id[0] ^= 1;
	mark.sum = table_sum(0, &mark, offsetof(struct mark, sum) / 8);
	assert_int_equal(pwrite(fd, &mark, sizeof(mark), 0), sizeof(mark));
	assert_int_equal(mark_read(fd, &mark), 0);
	assert_int_equal(mark.state, MARK_NONE);
	assert_int_equal(mark.tries, 0);
	mark_note_start(&mark, NOW); /* who cannot tell the boot is believed */
	assert_int_equal(mark_write(fd, &mark), 0);
	memset(mark.boot_id, 0, sizeof(mark.boot_id));
	mark.sum = table_sum(0, &mark, offsetof(struct mark, sum) / 8);
	assert_int_equal(pwrite(fd, &mark, sizeof(mark), 0), sizeof(mark));
	assert_int_equal(mark_read(fd, &mark), 0);
	assert_int_equal(mark.state, MARK_STARTED);
	close(fd);
}

static void what_cannot_be_read_or_written_is_an_error(void **state)
{
	const char *dir = scratch_dir();
	struct mark mark = { 0 };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(mark_read(fd, &mark), -EISDIR);
	close(fd);
	close(opened_new(dir));
	fd = opened(dir, MARK_READ);
	assert_true(fd >= 0);
	assert_int_equal(mark_write(fd, &mark), -EBADF);
	close(fd);
}

static void something_else_is_not_written_over(void **state)
{
	const char *dir = scratch_dir();
	struct mark mark;
	int fd;

	(void)state;
	write_file(format("%s/" MARK_NAME, dir), "#!/bin/sh\n", 10);
	fd = opened_new(dir);
	assert_int_equal(mark_read(fd, &mark), -EINVAL);
	close(fd);
}

static void file_of_others_or_with_another_name_is_not_opened(void **state)
{
	const char *dir = scratch_dir(), *path = format("%s/" MARK_NAME, dir), *other = format("%s/other", dir);

	(void)state;
	assert_int_equal(opened(dir, MARK_READ), -ENOENT);
	assert_int_equal(opened(dir, MARK_WRITE), -ENOENT);
	write_file(other, "", 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(opened(dir, MARK_MAKE), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(other, path), 0);
	assert_int_equal(opened(dir, MARK_MAKE), -EPERM);
	assert_int_equal(unlink(other), 0);
	close(opened_new(dir));
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(opened(dir, MARK_MAKE), -EPERM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(opened(dir, MARK_MAKE), -EPERM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(opened(dir, MARK_MAKE) < 0);
	if (geteuid())
		return;
	assert_int_equal(rmdir(path), 0);
	close(opened_new(dir));
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(opened(dir, MARK_MAKE), -EPERM);
}

/* SIGXFSZ kills who writes beyond the limit. */
static void who_may_not_write_is_not_killed_for_it(void **state)
{
	int fd = opened_new(scratch_dir()), status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		const struct rlimit none = { 100, 100 };
		struct mark mark = { 0 };

		setrlimit(RLIMIT_FSIZE, &none);
		_exit(mark_write(fd, &mark) == -EFBIG ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

static void one_of_those_that_decide_does(void **state)
{
	const char *dir = scratch_dir();
	int first = opened_new(dir), second = opened_new(dir);

	(void)state;
	assert_int_equal(mark_lock(first), 0);
	assert_int_equal(mark_lock(second), -EAGAIN);
	mark_unlock(first); /* also where a child has the descriptor by then */
	assert_int_equal(mark_lock(second), 0);
	close(first);
	close(second);
}

/* A process that holds it until its stdin ends. */
static void holder_is_known_until_it_ends(void **state)
{
	const char *dir = scratch_dir();
	int fd = opened_new(dir), begin[2], end[2], status;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(mark_holder(fd), 0);
	assert_true(pipe(begin) == 0 && pipe(end) == 0);
	child = fork();
	if (child == 0) {
		int own_fd = opened(dir, MARK_MAKE);

		close(end[1]);
		if (mark_hold(own_fd) == 0 && write(begin[1], "", 1) == 1 && read(end[0], &byte, 1) == 0)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(read(begin[0], &byte, 1), 1);
	assert_int_equal(mark_holder(fd), child);
	assert_int_equal(mark_hold(fd), -EAGAIN);
	assert_int_equal(mark_lock(fd), 0); /* the other lock has nothing to do with it */
	close(end[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(mark_holder(fd), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(starts_that_fail_are_further_and_further_apart),
		TEST(one_that_is_on_its_way_is_given_time),
		TEST(none_is_started_while_one_lives),
		TEST(time_that_has_not_come_is_no_pause),
		TEST(notes_keep_count),
		TEST(agents_that_publish_and_die_are_further_apart_too),
		TEST(what_is_written_is_read),
		TEST(damaged_or_of_another_boot_is_as_none),
		TEST(one_of_another_boot_says_nothing),
		TEST(what_cannot_be_read_or_written_is_an_error),
		TEST(something_else_is_not_written_over),
		TEST(file_of_others_or_with_another_name_is_not_opened),
		TEST(who_may_not_write_is_not_killed_for_it),
		TEST(one_of_those_that_decide_does),
		TEST(holder_is_known_until_it_ends),
	};

	return RUN_TESTS(tests);
}
