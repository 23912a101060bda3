/* SPDX-License-Identifier: Apache-2.0 */
/* The trace: which parts are asked for, and one line per event with one write. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/trace.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

static void assert_parses(const char *text, unsigned parts, const char *path)
{
	struct slice found;

	assert_int_equal(trace_parse(slice_of(text), &found), parts);
	assert_true(slice_is(found, path));
}

static void parts_are_named_in_a_list(void **state)
{
	(void)state;
	assert_parses("dial", TRACE_DIAL, "");
	assert_parses("dial,names", TRACE_DIAL | TRACE_NAMES, "");
	assert_parses("move,attach", TRACE_MOVE | TRACE_ATTACH, "");
	assert_parses("all", TRACE_ALL, "");
	assert_parses("names,all", TRACE_ALL, "");
}

static void a_path_may_follow_the_parts(void **state)
{
	(void)state;
	assert_parses("dial:/tmp/x", TRACE_DIAL, "/tmp/x");
	assert_parses("all:/tmp/a:b,c", TRACE_ALL, "/tmp/a:b,c");
	assert_parses("dial:", TRACE_DIAL, "");
}

static void what_is_not_known_is_no_part(void **state)
{
	(void)state;
	assert_parses("", 0, "");
	assert_parses("1", 0, "");
	assert_parses("Dial", 0, "");
	assert_parses("dials", 0, "");
	assert_parses("dial,nothing", TRACE_DIAL, "");
	assert_parses("nothing:/tmp/x", 0, "/tmp/x");
	assert_parses(NULL, 0, "");
}

static void write_line(const char *path, const char *text)
{
	char buf[128];
	struct text line = trace_begin(buf, sizeof(buf), "dial");

	text_add(&line, text);
	trace_end(&line, path);
}

static void lines_are_appended_to_the_file(void **state)
{
	char *path = format("%s/trace", scratch_dir()), *text;
	struct stat st;
	size_t size;

	(void)state;
	errno = 77;
	write_line(path, "one");
	write_line(path, "two");
	assert_int_equal(errno, 77);
	text = read_file(path, &size);
	assert_string_equal(text, format("fairdial[%d] dial: one\nfairdial[%d] dial: two\n", getpid(), getpid()));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

static void a_line_that_is_too_long_is_cut_and_still_ends(void **state)
{
	char *path = format("%s/trace", scratch_dir()), *text, longer[400];
	size_t size;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	write_line(path, longer);
	text = read_file(path, &size);
	assert_true(size <= 128 && text[size - 1] == '\n');
	assert_int_equal(lines_of(text), 1);
}

static void what_cannot_be_written_is_lost_in_silence(void **state)
{
	char *dir = scratch_dir(), *fifo = format("%s/fifo", dir);

	(void)state;
	errno = 77;
	write_line(format("%s/missing/trace", dir), "one");
	write_line(dir, "one");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_line(fifo, "one"); /* nobody reads it, and nobody waits */
	assert_int_equal(errno, 77);
}

static void without_a_path_the_line_goes_to_standard_error(void **state)
{
	char text[128] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 2);
		write_line("", "hello");
		_exit(0);
	}
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_string_equal(text, format("fairdial[%d] dial: hello\n", pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parts_are_named_in_a_list),
		TEST(a_path_may_follow_the_parts),
		TEST(what_is_not_known_is_no_part),
		TEST(lines_are_appended_to_the_file),
		TEST(a_line_that_is_too_long_is_cut_and_still_ends),
		TEST(what_cannot_be_written_is_lost_in_silence),
		TEST(without_a_path_the_line_goes_to_standard_error),
	};

	return RUN_TESTS(tests);
}
