/* SPDX-License-Identifier: Apache-2.0 */
/* `fairdial run`: as transparent as a shell's exec, and nothing stays behind. */
#include "support/testing.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

static const char *service_of(const struct backends *b)
{
	char *text = format("web:80=");

	for (size_t i = 0; i < backends_count(b); i++)
		text = format("%s%s%s:%d", text, i ? "," : "", backends_address(b, i), backends_port(b, i));
	return text;
}

static void run_spreads_what_it_is_given(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct process *p = run(NULL, built("fairdial"), "run", "--service", service_of(b), "--balance", "round_robin",
				"--", built("helpers/dialer"), "--count", "30", "web", "80", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 3, 30, 0);
}

static void run_spreads_over_all_processes_of_the_program(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct process *p = run(NULL, built("fairdial"), "run", "--service", service_of(b), "--", "sh", "-c",
				"for i in 1 2 3 4 5 6 7 8 9; do curl -sS http://web/ || exit 1; done", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 3, 9, 1);
}

static void run_takes_a_services_file(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	char *text = format("{ \"services\": [ %s ] }", service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 3,
								      "\"balance\": \"round_robin\""));

	(void)state;
	write_file(s->file, text, strlen(text));
	struct process *p = run(NULL, built("fairdial"), "run", "--services", s->file, "--", built("helpers/dialer"),
				"--count", "9", SERVICE_ADDRESS, "80", NULL);

	assert_clean(p);
	assert_even_answers(p->out_text, 3, 9, 0);
}

static void run_takes_services_from_the_environment(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	const char *const *env =
		with_env(NULL, format("FAIRDIAL_SERVICES=%s", service_of(b)), "FAIRDIAL_BALANCE=round_robin", NULL);
	struct process *p =
		run(env, built("fairdial"), "run", "--", built("helpers/dialer"), "--count", "9", "web", "80", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 3, 9, 0);
}

static void run_uses_the_directory_that_is_set_and_leaves_the_table_there(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	const char *const *env = with_env(NULL, s->env[1], NULL);
	struct process *p = run(env, built("fairdial"), "run", "--service", service_of(b), "--balance", "round_robin",
				"--", built("helpers/dialer"), "--count", "9", "web", "80", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 3, 9, 0);
	assert_status_matches(s, "web", b);
}

static void run_hands_on_the_exit_status(void **state)
{
	(void)state;
	for (int status = 0; status < 256; status += 51) {
		struct process *p = run(NULL, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "sh",
					"-c", format("exit %d", status), NULL);

		assert_int_equal(p->exit_status, status);
		assert_string_equal(p->err_text, "");
	}
}

/* As env(1), nohup(1) and timeout(1) tell it. */
static void run_of_no_program_ends_with_127_and_of_none_that_can_be_run_with_126(void **state)
{
	struct services *s = services_open();
	const char *const *env = with_env(NULL, format("FAIRDIAL_DIR=%s", s->dir), NULL);

	(void)state;
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, NULL, 0, NULL));
	write_file(s->file, "no program", 10);
	for (int with = 0; with < 2; with++) { /* as this process, and as its child */
		const char *service = with ? "web:80=127.0.0.1:9" : NULL;
		const char *const *how = with ? NULL : env;
		struct process *p;

		p = service ? run(how, built("fairdial"), "run", "--service", service, "--", "/nowhere/program", NULL)
			    : run(how, built("fairdial"), "run", "--", "/nowhere/program", NULL);
		assert_error(p, 127);
		p = service ? run(how, built("fairdial"), "run", "--service", service, "--", s->file, NULL)
			    : run(how, built("fairdial"), "run", "--", s->file, NULL);
		assert_error(p, 126);
	}
}

/* execvp(3) has one errno for both; a venv that was moved has such scripts. */
static void run_tells_a_script_without_its_interpreter_from_no_program(void **state)
{
	static const char script[] = "#!/nowhere/interpreter\n";
	const char *dir = scratch_dir(), *path = format("%s/fairdial-test-script", dir);

	(void)state;
	write_file(path, script, sizeof(script) - 1);
	assert_int_equal(chmod(path, 0755), 0);
	for (int by_path = 0; by_path < 2; by_path++) {
		const char *const *env = with_env(NULL, format("PATH=%s:/usr/bin:/bin", dir), NULL);
		struct process *p = run(env, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--",
					by_path ? path : "fairdial-test-script", NULL);

		assert_error(p, 126);
		assert_non_null(strstr(p->err_text, "interpreter"));
		assert_null(strstr(p->err_text, "no such program"));
	}
}

static void run_of_an_empty_name_says_whose(void **state)
{
	struct process *p = run(NULL, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "", NULL);

	(void)state;
	assert_error(p, 127);
	assert_non_null(strstr(p->err_text, "cannot run '': "));
}

/* With a table that is there, and with one that is published. */
static void directory_that_is_named_from_here_is_found_by_a_program_that_goes_elsewhere(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	const char *dir = scratch_dir();

	(void)state;
	for (int published = 0; published < 2; published++) {
		const char *service = published ? "" : format("--service '%s' ", service_of(b));
		struct process *p = run(NULL, "sh", "-c",
					format("cd %s && FAIRDIAL_DIR=table-of-it exec %s run %s-- sh -c 'cd / && exec %s --count 1 web 80'",
					       dir, built("fairdial"), service, built("helpers/dialer")),
					NULL);

		assert_clean(p);
		assert_even_answers(p->out_text, 1, 1, 0);
	}
}

static void run_without_anything_to_spread_says_so(void **state)
{
	const char *dir = scratch_dir();
	const char *const *env = with_env(NULL, format("FAIRDIAL_DIR=%s", dir), NULL);
	struct process *p = run(env, built("fairdial"), "run", "--", "echo", "hello", NULL);

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(p->out_text, "hello\n");
	assert_int_equal(lines_of(p->err_text), 1);
	assert_non_null(strstr(p->err_text, format("warning: there is nothing to spread: no --service or --services is "
						   "given, and %s/table is not there", dir)));
	/* One is to come. */
	assert_clean(run(with_env(env, "FAIRDIAL_AUTOSTART=yes", NULL), built("fairdial"), "run", "--", "true", NULL));
	assert_clean(run(with_env(env, "FAIRDIAL_WAIT=1s", NULL), built("fairdial"), "run", "--", "true", NULL));
}

/* Else it would look as if the Service were at fault; who writes "off" knows. */
static void run_warns_of_a_switch_that_is_not_understood(void **state)
{
	static const char *const values[] = { "observ", "off", "observe", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const char *const *env = with_env(NULL, format("FAIRDIAL=%s", values[i]), NULL);
		struct process *p = run(env, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "true", NULL);

		assert_int_equal(p->exit_status, 0);
		if (i == 0)
			assert_non_null(strstr(p->err_text, "warning: nothing will be spread: FAIRDIAL=observ is not understood"));
		assert_int_equal(lines_of(p->err_text), i == 0);
	}
}

static void run_hands_on_arguments_stdin_stdout_and_stderr(void **state)
{
	struct process *p = process_start(
		&(struct start){ .argv = ARGV(built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "sh",
					      "-c", "cat; echo \"$1|$2\" >&2", "sh", "--help", "a b"),
				 .input = "one\ntwo" });

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(p->out_text, "one\ntwo");
	assert_string_equal(p->err_text, "--help|a b\n");
}

static struct process *catcher_under_run(void)
{
	struct process *p =
		process_start(&(struct start){ .argv = ARGV(built("fairdial"), "run", "--service", "web:80=127.0.0.1:9",
							    "--", built("helpers/catcher")),
					       .interactive = true });

	process_expect(p, "ready\n", LIMIT_MS);
	return p;
}

static void run_hands_on_sigterm(void **state)
{
	struct process *p = catcher_under_run();

	(void)state;
	process_signal(p, SIGTERM);
	process_wait(p, LIMIT_MS);
	assert_string_equal(p->out_text, "ready\nSIGTERM\n");
	assert_int_equal(p->exit_status, 43);
}

static void run_dies_of_the_signal_that_its_program_died_of(void **state)
{
	const int signals[] = { SIGKILL, SIGTERM, SIGSEGV };

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct process *p = run(NULL, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "sh",
					"-c", format("ulimit -c 0; kill -%d $$", signals[i]), NULL);

		assert_int_equal(p->signal, signals[i]);
	}
}

static struct process *catcher_on_a_terminal(void)
{
	struct process *p = process_start(
		&(struct start){ .argv = ARGV(built("helpers/jobshell"), built("fairdial"), "run", "--service",
					      "web:80=127.0.0.1:9", "--", built("helpers/catcher")),
				 .on_terminal = true });

	process_expect(p, "ready", LIMIT_MS);
	return p;
}

static void interrupt_key_reaches_the_program_once_and_its_exit_status_counts(void **state)
{
	struct process *p = catcher_on_a_terminal();
	const char *first;

	(void)state;
	process_say(p, "\x03");
	process_expect(p, "job exited 42", LIMIT_MS);
	process_wait(p, LIMIT_MS);
	first = strstr(p->out_text, "SIGINT");
	assert_non_null(first);
	assert_null(strstr(first + 1, "SIGINT"));
}

static void job_stops_and_goes_on(void **state)
{
	struct process *p = catcher_on_a_terminal();

	(void)state;
	process_say(p, "\x1a");
	process_expect(p, "job stopped", LIMIT_MS);
	process_expect(p, "SIGCONT", LIMIT_MS); /* jobshell sends it to the group */
	process_say(p, "still here\n");
	for (int seen = 0; seen < 2;) /* the terminal's echo, and the program's */
		seen += !strcmp(process_line(p, LIMIT_MS), "still here");
	process_say(p, "\x03");
	process_expect(p, "job exited 42", LIMIT_MS);
}

/* ---- what run leaves behind ---- */

static size_t entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* Whether any process has this text in its environment. */
static bool somebody_has(const char *text)
{
	char *command = format("grep -lzF '%s' /proc/[0-9]*/environ 2>/dev/null | grep -v -e /self/ | head -1", text);

	return run(NULL, "sh", "-c", command, NULL)->out_length > 0;
}

static void assert_nothing_left(const char *dir, const char *tmpdir)
{
	assert_true(strlen(dir) > 1);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(entries_of(tmpdir), 0);
	assert_false(somebody_has(format("FAIRDIAL_DIR=%s", dir)));
}

static void run_leaves_no_file_and_no_process(void **state)
{
	const char *tmpdir = scratch_dir(), *const *env = with_env(NULL, format("TMPDIR=%s", tmpdir), NULL);
	const char *const ends[] = { "true", "exit 3", "kill -9 $$" };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct process *p =
			run(env, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "sh", "-c",
			    format("echo $FAIRDIAL_DIR; test -f $FAIRDIAL_DIR/table || exit 9; %s", ends[i]), NULL);

		assert_int_not_equal(p->exit_status, 9);
		assert_nothing_left(process_line(p, 0), tmpdir);
	}
}

static void run_that_is_terminated_leaves_no_file_and_no_process(void **state)
{
	const char *tmpdir = scratch_dir(), *const *env = with_env(NULL, format("TMPDIR=%s", tmpdir), NULL);
	struct process *p =
		process_start(&(struct start){ .argv = ARGV(built("fairdial"), "run", "--service", "web:80=127.0.0.1:9",
							    "--", "sh", "-c", "echo $FAIRDIAL_DIR; exec sleep 60"),
					       .env = env });
	const char *dir = process_line(p, LIMIT_MS);

	(void)state;
	process_signal(p, SIGTERM);
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->signal, SIGTERM);
	assert_nothing_left(dir, tmpdir);
}

static void run_leaves_no_file_when_the_program_cannot_be_started(void **state)
{
	const char *tmpdir = scratch_dir(), *const *env = with_env(NULL, format("TMPDIR=%s", tmpdir), NULL);
	struct process *p =
		run(env, built("fairdial"), "run", "--service", "web:80=127.0.0.1:9", "--", "/nowhere/program", NULL);

	(void)state;
	assert_true(p->exit_status > 0);
	assert_int_equal(lines_of(p->err_text), 1);
	assert_non_null(strstr(p->err_text, "/nowhere/program"));
	assert_int_equal(entries_of(tmpdir), 0);
}

static void run_keeps_another_preload(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct process *p =
		run(with_env(NULL, format("LD_PRELOAD=%s", built("libfairdial.so")), NULL), built("fairdial"), "run",
		    "--service", service_of(b), "--", built("helpers/dialer"), "--count", "2", "web", "80", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 1, 2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(run_spreads_what_it_is_given),
		TEST(run_spreads_over_all_processes_of_the_program),
		TEST(run_takes_a_services_file),
		TEST(run_takes_services_from_the_environment),
		TEST(run_uses_the_directory_that_is_set_and_leaves_the_table_there),
		TEST(run_hands_on_the_exit_status),
		TEST(run_of_no_program_ends_with_127_and_of_none_that_can_be_run_with_126),
		TEST(run_tells_a_script_without_its_interpreter_from_no_program),
		TEST(run_of_an_empty_name_says_whose),
		TEST(directory_that_is_named_from_here_is_found_by_a_program_that_goes_elsewhere),
		TEST(run_without_anything_to_spread_says_so),
		TEST(run_warns_of_a_switch_that_is_not_understood),
		TEST(run_hands_on_arguments_stdin_stdout_and_stderr),
		TEST(run_hands_on_sigterm),
		TEST(run_dies_of_the_signal_that_its_program_died_of),
		TEST(interrupt_key_reaches_the_program_once_and_its_exit_status_counts),
		TEST(job_stops_and_goes_on),
		TEST(run_leaves_no_file_and_no_process),
		TEST(run_that_is_terminated_leaves_no_file_and_no_process),
		TEST(run_leaves_no_file_when_the_program_cannot_be_started),
		TEST(run_keeps_another_preload),
	};

	return RUN_TESTS(tests);
}
