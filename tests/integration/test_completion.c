/* SPDX-License-Identifier: Apache-2.0 */
/* TAB in real shells on a terminal: what they make of what the tool offers, and that nothing on a line is run by it. */
#include "support/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { LIMIT_MS = 60000 };

#define BASH_COMPLETION "/usr/share/bash-completion/bash_completion"
#define SHOW		"\017" /* ctrl-o: the shell writes the line between << and >> */
#define CLEAR		"\025"

/* ---- shells ---- */

static struct services *shop(void)
{
	struct services *s = services_open();

	services_publish(s, "{ \"name\": \"web\", \"namespace\": \"shop\", \"addresses\": [\"" SERVICE_ADDRESS "\"], \"ports\": "
			    "[{ \"port\": 9104 }], \"endpoints\": [\"127.0.0.1:1\"] }");
	return s;
}

static char *path_with_the_tool(void)
{
	return format("PATH=%s:%s", built(""), getenv("PATH"));
}

static struct process *start_shell(const struct services *s, const char *const *argv, const char *ready)
{
	struct process *p = process_start(&(struct start){
		.argv = argv,
		.env = ARGV(format("FAIRDIAL_DIR=%s", s->dir), path_with_the_tool(), format("HOME=%s", s->root),
			    "INPUTRC=/dev/null", "TERM=dumb", format("ZDOTDIR=%s", s->root), "PS1=$ ", "LC_ALL=C", "COLUMNS=200"),
		.on_terminal = true,
		.interactive = true });

	process_say(p, ready);
	process_expect(p, "ready 1", LIMIT_MS);
	return p;
}

static struct process *start_bash(const struct services *s, bool with_bash_completion)
{
	const char *file = format("%s/bashrc", s->root);
	const char *text = format("%s%s\nsource %s\nbind 'set bell-style none'\nbind 'set show-all-if-ambiguous on'\n"
				  "bind 'set enable-bracketed-paste off'\nbind -x '\"\\C-o\": echo \"<<$READLINE_LINE>>\"'\n",
				  with_bash_completion ? "source " : "", with_bash_completion ? BASH_COMPLETION : "",
				  repository("src/completion/fairdial.bash"));

	write_file(file, text, strlen(text));
	return start_shell(s, ARGV("bash", "--noprofile", "--rcfile", file, "-i"), "echo ready $((0 + 1))\n");
}

/* TAB is to complete, and not, as by default, to expand first, which runs what is in $(...) whatever program the line is for. */
static struct process *start_zsh(const struct services *s)
{
	const char *text = format("PS1='$ '\nunsetopt menu_complete auto_menu\nfpath=(%s $fpath)\nautoload -Uz compinit\n"
				  "compinit -u -d %s/dump\nshow() { print -r -- \"<<$BUFFER>>\" }\nzle -N show\n"
				  "bindkey -e\nbindkey '^O' show\nbindkey '^I' complete-word\n",
				  repository("src/completion"), s->root);

	write_file(format("%s/.zshrc", s->root), text, strlen(text));
	return start_shell(s, ARGV("zsh", "-i"), "echo ready $((0 + 1))\n");
}

/* ---- lines ---- */

/* What the line is after a TAB at its end. */
static void assert_becomes(struct process *p, const char *line, const char *becomes)
{
	process_say(p, format("%s\t" SHOW, line));
	process_expect(p, format("<<%s>>", becomes), LIMIT_MS);
	process_say(p, CLEAR);
}

/* The shell shows these below it; none of them is on the line. */
static void assert_shows(struct process *p, const char *line, const char *const *words)
{
	process_say(p, format("%s\t", line));
	for (; *words; words++)
		process_expect(p, *words, LIMIT_MS);
	process_say(p, CLEAR);
}

static void assert_completes(struct process *p, const struct services *s)
{
	const char *odd = format("%s/one two", s->root);

	assert_int_equal(mkdir(odd, 0700), 0);
	assert_becomes(p, "fairdial st", "fairdial status ");
	assert_shows(p, "fairdial status --", ARGV("--coverage", "--dir", "--json", "--help"));
	assert_becomes(p, "fairdial status --cov", "fairdial status --coverage ");
	assert_becomes(p, "fairdial explain we", "fairdial explain web.shop ");
	assert_becomes(p, "fairdial explain web.shop:", "fairdial explain web.shop:9104 ");
	assert_becomes(p, "fairdial explain \"we", "fairdial explain \"web.shop\" ");
	assert_becomes(p, "fairdial run --balance ro", "fairdial run --balance round_robin ");
	assert_becomes(p, "fairdial run --balance=ro", "fairdial run --balance=round_robin ");
	assert_becomes(p, "fairdial run --service=a:1=b --ba", "fairdial run --service=a:1=b --balance ");
	assert_becomes(p, "fairdial top --sort ra", "fairdial top --sort rate ");
	assert_becomes(p, "fairdial top we", "fairdial top web.shop ");
	assert_becomes(p, "fairdial agent --mode ob", "fairdial agent --mode observe ");
	assert_becomes(p, format("fairdial run --services %s/serv", s->root), format("fairdial run --services %s ", s->file));
	assert_becomes(p, format("fairdial run --services=%s/serv", s->root), format("fairdial run --services=%s ", s->file));
	assert_becomes(p, format("fairdial status --dir %s/on", s->root), format("fairdial status --dir %s/one\\ two/", s->root));
	assert_becomes(p, format("fairdial run -- cat %s/nowher", s->root), format("fairdial run -- cat %s/nowher", s->root));
	assert_becomes(p, "fairdial run -- mkfif", "fairdial run -- mkfifo ");
	assert_becomes(p, format("fairdial run -- ls %s/serv", s->root), format("fairdial run -- ls %s ", s->file));
	assert_becomes(p, "fairdial nonsense s", "fairdial nonsense s");
}

static void bash_alone_completes(void **state)
{
	struct services *s = shop();

	(void)state;
	assert_completes(start_bash(s, false), s);
}

static void bash_with_bash_completion_completes_the_programs_line_too(void **state)
{
	struct services *s = shop();
	struct process *p;

	(void)state;
	if (access(BASH_COMPLETION, R_OK) < 0)
		skip_because("there is no %s", BASH_COMPLETION);
	p = start_bash(s, true);
	assert_completes(p, s);
	assert_becomes(p, "fairdial run -- ls --almost-a", "fairdial run -- ls --almost-all ");
}

static void zsh_completes(void **state)
{
	struct services *s = shop();

	(void)state;
	if (!program_exists("zsh"))
		skip_because("there is no zsh");
	assert_completes(start_zsh(s), s);
}

/* ---- what must not happen ---- */

static void assert_runs_nothing(struct process *p, const char *mark)
{
	const char *const lines[] = { format("fairdial status $(touch %s)", mark),
				      format("fairdial status --dir `touch %s` ", mark),
				      format("fairdial explain --dir '$(touch %s)' w", mark),
				      format("fairdial run --services=$(touch %s)", mark) };

	for (int i = 0; i < 4; i++) {
		process_say(p, format("%s\t" CLEAR "echo asked $((%d + 1))\n", lines[i], i));
		process_expect(p, format("asked %d", i + 1), LIMIT_MS);
	}
	assert_int_equal(access(mark, F_OK), -1);
}

static void nothing_on_the_line_is_run(void **state)
{
	struct services *s = shop();

	(void)state;
	assert_runs_nothing(start_bash(s, false), format("%s/mark", s->root));
	if (program_exists("zsh"))
		assert_runs_nothing(start_zsh(s), format("%s/mark", s->root));
}

/* What `fairdial __complete` offers to these words. */
static const char *offered(const char *const *env, const char *const *words)
{
	const char *argv[16] = { built("fairdial"), "__complete" };
	struct process *p;

	for (size_t n = 2; *words; words++)
		argv[n++] = *words;
	p = process_start(&(struct start){ .argv = argv, .env = env });
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	return p->out_text;
}

static void names_that_mean_something_to_a_shell_are_not_offered(void **state)
{
	static const char *const names[] = { "$(touch mark)", "`id`",	   "two words",	 "semi;colon",
					     "tab\tular",	  "new\nline", "esc\033[2J", "q'uote" };
	struct table_builder *b = builder_new();
	const char *dir = scratch_dir();

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		builder_service(b, names[i], format("127.96.1.%zu", i + 1));
	builder_service(b, "plain", "127.96.1.99");
	publish_alone(dir, b);
	assert_string_equal(offered(NULL, ARGV("status", "--dir", dir, "")), "plain\tService\n:words\n");
	assert_string_equal(offered(NULL, ARGV("explain", format("--dir=%s", dir), "")), "plain\tService\n:words\n");
}

static void without_a_table_nothing_is_offered_or_said(void **state)
{
	const char *dir = scratch_dir();
	const char *const *env = ARGV(format("FAIRDIAL_DIR=%s", dir));

	(void)state;
	assert_string_equal(offered(env, ARGV("status", "")), ":words\n");
	assert_string_equal(offered(env, ARGV("explain", "web:")), ":words\n");
	write_file(format("%s/table", dir), "nonsense", 8);
	assert_string_equal(offered(env, ARGV("status", "")), ":words\n");
	assert_string_equal(offered(env, ARGV("nonsense", "")), ":words\n");
	assert_string_equal(offered(env, ARGV("status", "--nonsense", "x", "--js")), "--json\tone JSON object\n:words\n");
	assert_string_equal(offered(env, ARGV(NULL)), "");
}

static void what_is_hidden_is_not_in_the_help(void **state)
{
	(void)state;
	assert_null(strstr(run(NULL, built("fairdial"), "--help", NULL)->out_text, "__complete"));
	assert_null(strstr(offered(NULL, ARGV("_")), "__complete"));
}

static void processes_are_offered_by_their_number_and_name(void **state)
{
	const char *pid = format("%d", getpid());

	(void)state;
	assert_non_null(strstr(offered(NULL, ARGV("explain", "--pid", pid)), format("%s\ttest_completion\n", pid)));
	assert_non_null(strstr(offered(NULL, ARGV("check", format("--pid=%s", pid))), format("--pid=%s\ttest_completion\n", pid)));
}

static void pull_policies_are_offered(void **state)
{
	(void)state;
	assert_string_equal(offered(NULL, ARGV("inject", "--image-pull-policy", "")),
			    "Always\tpull policy\nIfNotPresent\tpull policy\nNever\tpull policy\n:words\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bash_alone_completes),
		TEST(bash_with_bash_completion_completes_the_programs_line_too),
		TEST(zsh_completes),
		TEST(nothing_on_the_line_is_run),
		TEST(names_that_mean_something_to_a_shell_are_not_offered),
		TEST(without_a_table_nothing_is_offered_or_said),
		TEST(what_is_hidden_is_not_in_the_help),
		TEST(processes_are_offered_by_their_number_and_name),
		TEST(pull_policies_are_offered),
	};

	return RUN_TESTS(tests);
}
