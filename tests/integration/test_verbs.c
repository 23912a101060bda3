/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for every verb of the tool alike: help, mistakes in usage, and a standard output that is full, closed, or read by
 * nobody. The verbs are those that `fairdial --help` names: one that is new and in no row below is a failure.
 */
#include "support/testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/tables.h"
#include "support/verbs.h"

enum { LIMIT_MS = 60000 };

static void assert_usage(const struct process *p, const char *words)
{
	if (p->exit_status != 2 || lines_of(p->err_text) != 1 || p->out_length)
		fail_msg("fairdial %s: exit status %d, stdout \"%s\", stderr \"%s\"", words, p->exit_status, p->out_text, p->err_text);
	assert_plain(p->err_text);
}

/* ---- help ---- */

/* Each that --help tells, of any verb. Returns how many. */
static size_t all_options(const char *const *verbs, size_t verb_count, const char *all[VERBS_MAX * OPTIONS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < verb_count; i++) {
		const char *options[OPTIONS_MAX];
		size_t count = options_of_help(verbs[i], options);

		for (size_t j = 0; j < count; j++) {
			size_t k = 0;

			while (k < n && strcmp(all[k], options[j]) != 0)
				k++;
			if (k == n)
				all[n++] = options[j];
		}
	}
	return n;
}

/* Such a one, or the beginning of one, as getopt_long(3) takes it. */
static bool has_option(const char *const *options, size_t count, const char *option)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(options[i], option, strlen(option)) == 0)
			return true;
	return false;
}

/* `--OPTION=x` and then one that is none: the verb stops there whatever the first is, and says which it does not know. */
static void help_names_every_option_that_a_verb_takes_and_no_other(void **state)
{
	const char *verbs[VERBS_MAX], *all[VERBS_MAX * OPTIONS_MAX];
	size_t verb_count = verbs_of_help(verbs), all_count = all_options(verbs, verb_count, all);

	(void)state;
	assert_true(verb_count >= 8 && all_count >= 20);
	for (size_t i = 0; i < verb_count; i++) {
		const char *options[OPTIONS_MAX];
		size_t count = options_of_help(verbs[i], options);

		assert_true(has_option(options, count, "help"));
		for (size_t j = 0; j < all_count; j++) {
			const char *words = format("%s --%s=x --nonsense", verbs[i], all[j]);
			struct process *p;

			if (strcmp(all[j], "help") == 0)
				continue;
			p = fairdial(NULL, "%s", words);
			assert_usage(p, words);
			if (!strstr(p->err_text, format("unknown option --%s=x", all[j])) != has_option(options, count, all[j]))
				fail_msg("fairdial %s: its help %s --%s, and it says: %s", verbs[i],
					 has_option(options, count, all[j]) ? "names" : "does not name", all[j], p->err_text);
		}
	}
}

static void help_of_every_verb_is_plain_and_goes_to_stdout(void **state)
{
	const char *verbs[VERBS_MAX];
	size_t n = verbs_of_help(verbs);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct process *p = fairdial(NULL, "%s --help", verbs[i]);

		assert_clean(p);
		assert_plain(p->out_text);
		assert_true(strncmp(p->out_text, format("Usage: fairdial %s ", verbs[i]), strlen(verbs[i]) + 17) == 0);
		assert_string_equal(fairdial(NULL, "%s -h", verbs[i])->out_text, p->out_text);
	}
}

/* ---- usage ---- */

static void mistakes_that_every_verb_can_be_asked_with_are_one_line(void **state)
{
	static const char *const mistakes[] = { "--nonsense", "-x", "-xy", "--nonsense=1", "\"$(printf '\\033[31mx\\ny')\" -x" };
	const char *verbs[VERBS_MAX];
	size_t n = verbs_of_help(verbs);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < sizeof(mistakes) / sizeof(*mistakes); j++) {
			const char *words = format("%s %s", verbs[i], mistakes[j]);

			if (j == 4 && (strcmp(verbs[i], "run") == 0 || strcmp(verbs[i], "check") == 0))
				continue; /* a program, whose option that is */
			assert_usage(fairdial(NULL, "%s", words), words);
		}
	assert_non_null(strstr(fairdial(NULL, "status -xy")->err_text, "unknown option -x "));
}

/* Those of run, publish and status with options that they lack are in test_tool.c. */
static void mistakes_of_each_verb_are_one_line(void **state)
{
	static const char *const lines[] = {
		"", "''", "\"$(printf 'a\\033b\\nc')\"", "-x", "help nonsense",
		"status --json=1", "status --dir", "status a b", "status --coverage a b",
		"publish --services", "publish --json", "publish --services x --dir ''", "publish --services x --dir y --json=1",
		"publish --services x --dir y --address-range nonsense",
		"agent --dir", "agent surplus", "agent --backoff never", "agent --backoff 2h", "agent --exit-when-idle 1ms",
		"agent --mode of", "agent --namespace ''", "agent --namespace a --all-namespaces", "agent --address-range nonsense",
		"agent --per-namespace --share-ledger", "agent --no-ledger --share-ledger", "agent --no-ledger --exit-when-idle 10m",
		"agent --autostarted --no-ledger",
		"install", "install a b", "install --json --verbose a", "install --json=1 a",
		"inject surplus", "inject --remove --role", "inject --mode of", "inject --image ''", "inject --metrics 80",
		"inject --image-pull-policy Sometimes", "inject --remove --mode on",
		"explain", "explain a b", "explain --pid", "explain --pid 0", "explain --pid nonsense",
		"check", "check ''", "check --pid", "check --pid 1 true",
		"run --balance", "run --service web:80=10.0.0.1:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_usage(fairdial(ARGV("FAIRDIAL_DIR", "FAIRDIAL_SERVICES"), "%s", lines[i]), lines[i]);
}

static void assert_usage_says(const char *words, const char *text)
{
	const struct process *p = fairdial(ARGV("FAIRDIAL_DIR", "FAIRDIAL_SERVICES"), "%s", words);

	assert_usage(p, words);
	if (!strstr(p->err_text, text))
		fail_msg("fairdial %s: \"%s\" does not say \"%s\"", words, p->err_text, text);
}

/* `--dir "$UNSET"`: the default would be another place than the one that is meant. */
static void place_that_is_empty_is_no_default(void **state)
{
	static const char *const lines[] = { "status --dir ''", "status --dir=", "top --once --dir ''", "explain --dir '' web",
					     "check --dir '' sh", "agent --services x --dir ''", "publish --services x --dir ''" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_usage_says(lines[i], "--dir is empty: say one, or leave it out");
	assert_usage_says("publish --dir x --services ''", "--services is empty: ");
	assert_usage_says("run --services '' -- true", "--services is empty: ");
	assert_usage_says("agent --kubeconfig ''", "--kubeconfig is empty: ");
	assert_usage_says("check --shim '' sh", "--shim is empty: ");
}

static void mistakes_name_what_they_are_and_where_help_is(void **state)
{
	(void)state;
	assert_usage_says("--dir d status", "unknown option '--dir': a verb comes first");
	assert_usage_says("run --serv web:80=10.0.0.1:80 -- true", "--serv may be one of several options: write it out");
	assert_usage_says("agent --n=x", "--n=x may be one of several options");
	assert_usage_says("agent --nx", "unknown option --nx ");
	assert_usage_says("status -V", "unknown option -V ");
	assert_usage_says("-V", "unknown option '-V'");
	assert_usage_says("publish services.json", "unexpected argument 'services.json' (see fairdial publish --help)");
	assert_usage_says("explain web db", "unexpected argument 'db' (see fairdial explain --help)");
	assert_usage_says("explain --pid 0", "--pid '0': expected the number of a process");
	assert_usage_says("explain --pid 1 --fd x", "--fd 'x': expected the number of a descriptor");
	assert_string_equal(fairdial(NULL, "help --help")->out_text, fairdial(NULL, "--help")->out_text);
}

static void empty_variable_is_as_none(void **state)
{
	const struct process *p = fairdial(ARGV("FAIRDIAL_DIR=", "FAIRDIAL_SERVICES="), "publish");

	(void)state;
	assert_usage(p, "publish");
	assert_non_null(strstr(p->err_text, "which services?"));
}

static void each_form_of_inject_has_a_line_in_its_usage(void **state)
{
	static const char usage[] = "Usage: fairdial inject [OPTION...]\n"
				    "       fairdial inject --remove\n"
				    "       fairdial inject --role\n\n";

	(void)state;
	assert_int_equal(strncmp(fairdial(NULL, "inject --help")->out_text, usage, sizeof(usage) - 1), 0);
}

/* ---- where it is printed to ---- */

/* A line for each that prints, at DIR and of FILE, which is a services file. */
static const char *const printing[] = {
	"--help", "help status", "--version", "status --help",
	"status --dir DIR", "status --json --dir DIR", "status --coverage --dir DIR", "status --coverage --json --dir DIR",
	"status --dir DIR web", "explain --dir DIR web", "explain --json --dir DIR web",
	"check --dir DIR sh", "check --json --dir DIR sh",
	"publish --services FILE --dir DIR", "publish --json --services FILE --dir DIR",
	"install DIR/installed", "install --json DIR/installed", "inject < FILE",
	"top --once --interval 100ms --dir DIR", "top --once --json --interval 100ms --dir DIR",
};

#define PRINTING (sizeof(printing) / sizeof(*printing))

/* Of which nothing more is to be asked here. */
static bool prints_nothing(const char *verb)
{
	return strcmp(verb, "agent") == 0 || strcmp(verb, "run") == 0;
}

static char *replaced(const char *text, const char *what, const char *by)
{
	char *all = format("%s", text);

	for (char *at; (at = strstr(all, what));)
		all = format("%.*s%s%s", (int)(at - all), all, by, at + strlen(what));
	return all;
}

/* A line of `printing` for sh; NULL where the verb is of another build. */
static const char *printing_line(size_t i, const char *dir)
{
	const char *file = format("%s/services.json", dir);
	static const char services[] = "{\"services\": [{\"name\": \"web\", \"addresses\": [\"10.96.0.1\"], "
				       "\"ports\": [{\"port\": 80}], \"endpoints\": [\"10.244.0.1:80\"]}]}";

	if (strncmp(printing[i], "top", 3) == 0 && !verb_exists("top"))
		return NULL;
	write_file(file, services, sizeof(services) - 1);
	return replaced(replaced(printing[i], "DIR", dir), "FILE", file);
}

static void every_verb_that_prints_is_in_the_list(void **state)
{
	const char *verbs[VERBS_MAX];
	size_t n = verbs_of_help(verbs);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < PRINTING && (strncmp(printing[j], verbs[i], strlen(verbs[i])) != 0 ||
					printing[j][strlen(verbs[i])] != ' '))
			j++;
		if (j == PRINTING && !prints_nothing(verbs[i]))
			fail_msg("%s: a verb without a line in `printing`", verbs[i]);
	}
}

/* Exit status 1 and why, on one line. A warning may come before it. */
static void assert_not_written(const struct process *p, const char *line, const char *why)
{
	if (p->exit_status != 1 || !strstr(p->err_text, format(": cannot write to standard output: %s\n", why)))
		fail_msg("fairdial %s: exit status %d, stderr \"%s\"", line, p->exit_status, p->err_text);
}

static void what_cannot_be_written_is_told_by_every_verb(void **state)
{
	const char *dir = table_dir();

	(void)state;
	for (size_t i = 0; i < PRINTING; i++) {
		const char *line = printing_line(i, dir);

		if (!line)
			continue;
		assert_not_written(fairdial(NULL, "%s >/dev/full", line), line, "No space left on device");
		assert_not_written(fairdial(NULL, "%s >&-", line), line, "Bad file descriptor");
	}
}

/* What is printed could go into it: its number is free. */
static void closed_streams_are_nothing_that_a_table_is_written_into(void **state)
{
	const char *dir = table_dir(), *line = printing_line(13, dir);

	(void)state;
	fairdial(NULL, "%s <&- >&- 2>&-", line);
	assert_clean(fairdial(NULL, "status --dir %s", dir));
	assert_int_equal(fairdial(NULL, "status --dir %s 2>&- <&-", dir)->exit_status, 0);
	/* A program of `run` finds closed what was closed. */
	assert_string_equal(fairdial(NULL, "run --service web:80=10.244.0.1:80 -- sh -c '[ -e /proc/$$/fd/0 ] && echo open; "
					   "echo end' <&-")->out_text, "end\n");
}

/* Runs it with a stdout whose reader has gone. What it said on stderr is in `text`; returns its status. */
static int run_unread(const char *const *argv, char *text, size_t size)
{
	int unread[2], said[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	pipe_or_fail(&unread[0], &unread[1]);
	pipe_or_fail(&said[0], &said[1]);
	close(unread[0]);
	pid = process_fork(&(struct start){ .argv = argv }, unread[1], said[1]);
	close(unread[1]);
	close(said[1]);
	while ((n = read(said[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(said[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* As with `fairdial status | head`. */
static void reader_that_has_gone_ends_every_verb_quietly(void **state)
{
	const char *dir = table_dir();
	char said[4096];

	(void)state;
	for (size_t i = 0; i < PRINTING; i++) {
		const char *line = printing_line(i, dir), *command;
		int status;

		if (!line)
			continue;
		command = format("exec %s %s", built("fairdial"), line);
		status = run_unread(ARGV("sh", "-c", command), said, sizeof(said));
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGPIPE || strstr(said, "cannot write"))
			fail_msg("fairdial %s: status 0x%x, stderr \"%s\"", line, status, said);
		status = run_unread(ARGV("sh", "-c", format("trap '' PIPE; %s", command)), said, sizeof(said));
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(said, "cannot write"))
			fail_msg("fairdial %s, SIGPIPE ignored: status 0x%x, stderr \"%s\"", line, status, said);
	}
}

/* ---- JSON ---- */

static void json_of_publish_and_install_fits(void **state)
{
	const char *dir = table_dir(), *odd = format("%s/\xff\xfe.json", dir);
	static const char list[] = "{\"kind\": \"List\", \"items\": [{\"kind\": \"Service\", \"metadata\": {\"name\": \"web\", "
				   "\"namespace\": \"shop\", \"annotations\": {\"fairdial.dev/quiet\": \"long\"}}, "
				   "\"spec\": {\"clusterIP\": \"10.96.0.1\", \"ports\": [{\"port\": 80}]}}]}";
	struct process *p;

	(void)state;
	p = fairdial(NULL, "%s", printing_line(14, dir));
	assert_clean(p);
	assert_fits_schema("publish", p->out_text);
	assert_non_null(strstr(p->out_text, "\"services\": 1,\n  \"endpoints\": 1,\n"));
	assert_non_null(strstr(p->out_text, "\"warnings\": []"));

	write_file(odd, list, sizeof(list) - 1);
	p = fairdial(NULL, "publish --json --services '%s' --dir %s", odd, dir);
	assert_int_equal(p->exit_status, 0);
	assert_fits_schema("publish", p->out_text);
	assert_int_equal(lines_of(p->err_text), 2); /* they are told as well as listed */
	assert_non_null(strstr(p->out_text, "fairdial.dev/quiet is passed over"));
	assert_non_null(strstr(p->out_text, "\"services_without_slices\": 1,"));
	assert_non_null(strstr(p->out_text, "?" "?.json has no EndpointSlices"));
	assert_fits_schema("status", fairdial(NULL, "status --json --dir %s", dir)->out_text);

	p = fairdial(NULL, "install --json %s/installed", dir);
	assert_clean(p);
	assert_fits_schema("install", p->out_text);
}

/* In a directory whose table stays. */
static void publish_that_fails_prints_no_json(void **state)
{
	const char *dir = table_dir();

	(void)state;
	write_file(format("%s/bad", dir), "{", 1);
	assert_error(fairdial(NULL, "publish --json --services %s/bad --dir %s", dir, dir), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(help_names_every_option_that_a_verb_takes_and_no_other),
		TEST(help_of_every_verb_is_plain_and_goes_to_stdout),
		TEST(mistakes_that_every_verb_can_be_asked_with_are_one_line),
		TEST(mistakes_of_each_verb_are_one_line),
		TEST(place_that_is_empty_is_no_default),
		TEST(mistakes_name_what_they_are_and_where_help_is),
		TEST(empty_variable_is_as_none),
		TEST(each_form_of_inject_has_a_line_in_its_usage),
		TEST(every_verb_that_prints_is_in_the_list),
		TEST(what_cannot_be_written_is_told_by_every_verb),
		TEST(closed_streams_are_nothing_that_a_table_is_written_into),
		TEST(reader_that_has_gone_ends_every_verb_quietly),
		TEST(json_of_publish_and_install_fits),
		TEST(publish_that_fails_prints_no_json),
	};

	return RUN_TESTS(tests);
}
