/* SPDX-License-Identifier: Apache-2.0 */
/* The trace: which parts are asked for, and one line per event with one write. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
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

static void assert_before(const char *text, const char *than, size_t len)
{
	assert_true(strncmp(text, than, len) <= 0);
}

/* The line without its time, which has to be one, and of the last hour. */
static const char *after_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	char first[TRACE_TIME], last[TRACE_TIME];
	struct text line = text_into(first, sizeof(first));

	trace_add_time(&line, clock_wall_ms() - 3600000);
	line = text_into(last, sizeof(last));
	trace_add_time(&line, clock_wall_ms());
	assert_before(first, text, strlen(first));
	assert_before(text, last, strlen(last));
	for (size_t i = 0; form[i]; i++)
		assert_true(form[i] == 'd' ? text_is_digit(text[i]) : text[i] == form[i]);
	return text + strlen(form);
}

static void the_time_is_that_of_a_calendar(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} times[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 951782399999, "2000-02-28T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 951868800001, "2000-03-01T00:00:00.001Z" },
		{ 1709251199000, "2024-02-29T23:59:59.000Z" },
		{ 1798761599090, "2026-12-31T23:59:59.090Z" },
		{ 4107542400000, "2100-03-01T00:00:00.000Z" }, /* no leap year */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		char buf[TRACE_TIME];
		struct text line = text_into(buf, sizeof(buf));

		trace_add_time(&line, times[i].ms);
		assert_string_equal(buf, times[i].text);
	}
}

static void lines_are_appended_to_the_file(void **state)
{
	char *path = format("%s/trace", scratch_dir());
	const char *text, *line = format("fairdial[%d] dial: ", getpid());
	struct stat st;

	(void)state;
	errno = 77;
	write_line(path, "one");
	write_line(path, "two");
	assert_int_equal(errno, 77);
	text = after_time(read_file(path, NULL));
	assert_int_equal(strncmp(text, format("%sone\n", line), strlen(line) + 4), 0);
	assert_string_equal(after_time(strchr(text, '\n') + 1), format("%stwo\n", line));
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
	assert_true(size <= 128);
	assert_string_equal(text + size - 5, "x...\n");
	assert_int_equal(lines_of(text), 1);
}

static void what_a_name_has_in_it_is_no_second_line(void **state)
{
	char *path = format("%s/trace", scratch_dir());

	(void)state;
	write_line(path, "one\nfairdial[1] dial: \033[2Jtwo\177\xc2\x9b" "31m");
	assert_string_equal(after_time(read_file(path, NULL)),
			    format("fairdial[%d] dial: one?fairdial[1] dial: ?[2Jtwo???31m\n", getpid()));
}

enum { WRITERS = 8, THREADS = 4, LINES = 50 };

static void *write_lines(void *path)
{
	for (int i = 0; i < LINES; i++)
		write_line(path, "one two three four five six seven eight nine ten");
	return NULL;
}

static void write_in_threads(char *path)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, write_lines, path))
			_exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void lines_of_many_processes_and_threads_stay_whole(void **state)
{
	char *path = format("%s/trace", scratch_dir()), *text;
	int status;

	(void)state;
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0)
			write_in_threads(path);
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	text = read_file(path, NULL);
	assert_int_equal(lines_of(text), WRITERS * THREADS * LINES);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_non_null(strstr(after_time(line), "] dial: one two three four five six seven eight nine ten"));
}

/* In a process of its own, where the signals are as by default: it would be killed. */
static int status_of(void (*child)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		child(path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void write_to_nobody(const char *path)
{
	int ends[2];
	sigset_t waits;

	(void)path;
	if (pipe(ends) < 0 || dup2(ends[1], 2) < 0)
		_exit(1);
	close(ends[0]);
	write_line("", "one");
	sigpending(&waits);
	if (sigismember(&waits, SIGPIPE))
		_exit(2);
}

static void write_beyond_the_limit(const char *path)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		_exit(1);
	write_line(path, "one");
}

/* What the program has blocked, and not looked at yet, is still there. */
static void write_to_nobody_with_one_waiting(const char *path)
{
	sigset_t set;
	int ends[2];

	(void)path;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	if (pipe(ends) < 0 || dup2(ends[1], 2) < 0)
		_exit(1);
	close(ends[0]);
	write_line("", "one");
	sigpending(&set);
	if (!sigismember(&set, SIGPIPE))
		_exit(2);
}

static void nobody_is_killed_by_a_line_that_nobody_takes(void **state)
{
	const char *path = format("%s/trace", scratch_dir());

	(void)state;
	assert_int_equal(status_of(write_to_nobody, path), 0);
	assert_int_equal(status_of(write_beyond_the_limit, path), 0);
	assert_int_equal(status_of(write_to_nobody_with_one_waiting, path), 0);
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
	assert_string_equal(after_time(text), format("fairdial[%d] dial: hello\n", pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parts_are_named_in_a_list),
		TEST(a_path_may_follow_the_parts),
		TEST(what_is_not_known_is_no_part),
		TEST(the_time_is_that_of_a_calendar),
		TEST(lines_are_appended_to_the_file),
		TEST(a_line_that_is_too_long_is_cut_and_still_ends),
		TEST(what_a_name_has_in_it_is_no_second_line),
		TEST(lines_of_many_processes_and_threads_stay_whole),
		TEST(nobody_is_killed_by_a_line_that_nobody_takes),
		TEST(what_cannot_be_written_is_lost_in_silence),
		TEST(without_a_path_the_line_goes_to_standard_error),
	};

	return RUN_TESTS(tests);
}
