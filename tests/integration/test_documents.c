/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages and README say what tool, shim and sources say: verbs, options, keys, variables, metrics, trace; and examples run.
 */
#include "support/testing.h"

#include <ctype.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "model/policy.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, MOST = 64 };

static char *page(const char *name)
{
	return read_file(repository(format("src/man/%s", name)), NULL);
}

static char *readme(void)
{
	return read_file(repository("README.md"), NULL);
}

/* ---- texts ---- */

struct words {
	char *at[MOST * 4];
	size_t count;
};

static void add_word(struct words *words, const char *text, size_t len)
{
	assert_true(words->count < MOST * 4);
	words->at[words->count++] = format("%.*s", (int)len, text);
}

static bool has_word(const struct words *words, const char *text)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->at[i], text) == 0)
			return true;
	return false;
}

/* Fails, and says what is where, unless both have the same words. */
static void assert_same_words(const struct words *a, const char *in_a, const struct words *b, const char *in_b)
{
	for (size_t i = 0; i < a->count; i++)
		if (!has_word(b, a->at[i]))
			fail_msg("%s is in %s, and not in %s", a->at[i], in_a, in_b);
	for (size_t i = 0; i < b->count; i++)
		if (!has_word(a, b->at[i]))
			fail_msg("%s is in %s, and not in %s", b->at[i], in_b, in_a);
	assert_true(a->count > 0);
}

/* The words that follow `before` at the beginning of a line, of these letters and '-'. */
static struct words words_after(const char *text, const char *before)
{
	struct words words = { .count = 0 };

	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t n = 0;

		line += *line == '\n';
		if (strncmp(line, before, strlen(before)) != 0)
			continue;
		while (islower((unsigned char)line[strlen(before) + n]) || line[strlen(before) + n] == '-')
			n++;
		if (n)
			add_word(&words, line + strlen(before), n);
	}
	return words;
}

/* From the line `from` on to the next line that begins with one of `ends` (NULL behind the last), or the end. */
static char *part_of(const char *text, const char *from, const char *const *ends)
{
	const char *start = strstr(text, format("\n%s\n", from)), *end;

	if (!start)
		fail_msg("there is no line \"%s\"", from);
	start += strlen(from) + 1;
	end = start + strlen(start);
	for (; *ends; ends++) {
		const char *found = strstr(start, format("\n%s", *ends));

		if (found && found < end)
			end = found;
	}
	return format("%.*s", (int)(end - start), start);
}

/* ---- verbs and options ---- */

static struct words verbs_of_the_tool(void)
{
	const char *help = run(NULL, built("fairdial"), "--help", NULL)->out_text, *end = strstr(help, "\n\n  fairdial ");

	assert_non_null(end);
	return words_after(format("%.*s", (int)(end - help), help), "  ");
}

static void every_verb_is_in_the_manual_and_the_readme(void **state)
{
	struct words verbs = verbs_of_the_tool(), told = words_after(part_of(page("fairdial.1"), ".Sh VERBS", ARGV(".Sh")), ".Ss ");
	const char *text = readme();

	(void)state;
	assert_same_words(&verbs, "fairdial --help", &told, "fairdial(1)");
	for (size_t i = 0; i < verbs.count; i++)
		if (!strstr(text, format("| `fairdial %s ", verbs.at[i])) && !strstr(text, format("| `fairdial %s`", verbs.at[i])))
			fail_msg("%s is not in the README", verbs.at[i]);
}

static void every_option_is_in_the_manual_and_no_other(void **state)
{
	struct words verbs = verbs_of_the_tool();
	const char *manual = page("fairdial.1");

	(void)state;
	for (size_t i = 0; i < verbs.count; i++) {
		const char *help = run(NULL, built("fairdial"), verbs.at[i], "--help", NULL)->out_text;
		struct words has = words_after(part_of(help, "Options:", ARGV(NULL)), "  --");
		struct words told = words_after(part_of(manual, format(".Ss %s", verbs.at[i]), ARGV(".Ss", ".Sh")), ".It Fl -");

		add_word(&told, "help", 4); /* of all of them, said once */
		assert_same_words(&has, format("fairdial %s --help", verbs.at[i]), &told, "fairdial(1)");
	}
}

/* ---- policies ---- */

static bool is_in_row(const char *row, const char *text)
{
	const char *end = row + strcspn(row, "\n");
	size_t n = strlen(text);

	for (const char *at = strstr(row, text); at && at < end; at = strstr(at + 1, text))
		if (!isalnum((unsigned char)at[-1]) && !isalnum((unsigned char)at[n]))
			return true;
	return false;
}

static void assert_in_readme(const char *text, const struct policy_key *key)
{
	for (const char *row = strstr(text, "\n| `"); row; row = strstr(row + 1, "\n| `")) {
		const char *first_end = strchr(row + 3, '|'), *name = strstr(row, format("`%s`", key->name)), *last;

		if (!name || name > first_end)
			continue;
		last = row + 1 + strcspn(row + 1, "\n");
		while (last[-2] != '|')
			last--;
		if (is_in_row(last - 1, key->preset))
			return;
	}
	fail_msg("README.md has no row of %s with its default %s", key->name, key->preset);
}

static void every_policy_is_in_the_manual_and_the_readme_with_its_default(void **state)
{
	const char *policies = part_of(page("fairdial-services.5"), ".Sh POLICIES", ARGV(".Sh")), *text = readme();
	struct words told = words_after(policies, ".It Cm ");

	(void)state;
	assert_int_equal(told.count, policy_key_count);
	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];
		const char *part = part_of(policies, format(".It Cm %s", key->name), ARGV(".It", ".El"));

		if (!strstr(part, format("\nDefault:\n.Cm %s", key->preset)))
			fail_msg("fairdial-services(5) does not say of %s: Default: %s", key->name, key->preset);
		for (const char *const *choice = key->choices; choice && *choice; choice++)
			if (!strstr(part, format(".Cm %s", *choice)))
				fail_msg("fairdial-services(5) does not say of %s: %s", key->name, *choice);
		assert_in_readme(text, key);
	}
}

/* ---- variables ---- */

static void add_variables(struct words *words, const char *text)
{
	for (const char *at = strstr(text, "\"FAIRDIAL"); at; at = strstr(at + 1, "\"FAIRDIAL")) {
		size_t n = 1;

		while (isupper((unsigned char)at[n]) || at[n] == '_')
			n++;
		if (!has_word(words, format("%.*s", (int)n - 1, at + 1)))
			add_word(words, at + 1, n - 1);
	}
}

/* Those that stand in a text of any source. */
static struct words variables_of_the_sources(void)
{
	struct words words = { .count = 0 };
	glob_t found;

	assert_int_equal(glob(repository("src/*/*.c"), 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		add_variables(&words, read_file(found.gl_pathv[i], NULL));
	globfree(&found);
	return words;
}

/* ".It Ev ONE , TWO" */
static void add_told(struct words *words, const char *text)
{
	for (const char *line = strstr(text, "\n.It Ev "); line; line = strstr(line + 1, "\n.It Ev ")) {
		const char *end = line + 1 + strcspn(line + 1, "\n"), *at = strstr(line, "FAIRDIAL");

		for (; at && at < end; at = strstr(at + 1, "FAIRDIAL")) {
			char *name = format("%.*s", (int)strcspn(at, " \n"), at);

			if (!has_word(words, name))
				add_word(words, name, strlen(name));
		}
	}
}

static void every_variable_is_in_a_manual_and_the_readme(void **state)
{
	struct words has = variables_of_the_sources(), told = { .count = 0 };
	const char *text = readme();

	(void)state;
	add_told(&told, page("fairdial.1"));
	add_told(&told, page("libfairdial.7"));
	assert_same_words(&has, "the sources", &told, "a manual");
	for (size_t i = 0; i < has.count; i++)
		if (!strstr(text, format("`%s`", has.at[i])))
			fail_msg("%s is not in the README", has.at[i]);
}

/* ---- metrics ---- */

static void every_metric_is_in_the_manual_and_no_other(void **state)
{
	const char *part = part_of(page("fairdial.1"), ".Sh METRICS", ARGV(".Sh"));
	size_t told = 0;

	(void)state;
	for (size_t i = 0; i < metrics_family_count; i++)
		if (!strstr(part, format("\n.It Li %s\n", metrics_families[i].name)))
			fail_msg("%s is not in fairdial(1)", metrics_families[i].name);
	for (const char *at = strstr(part, "\n.It Li "); at; at = strstr(at + 1, "\n.It Li "))
		told++;
	assert_int_equal(told, metrics_family_count);
}

/* ---- the trace ---- */

static bool is_address(const char *word)
{
	size_t dots = 0;

	for (const char *c = word; *c; c++)
		dots += *c == '.';
	return dots == 3 && strspn(word, "0123456789.:") == strlen(word);
}

/* A word without what differs from run to run, or from one Service to another. */
static const char *plain_word(const char *word)
{
	for (const char *const *balance = balance_names; *balance; balance++)
		if (strcmp(word, *balance) == 0)
			return "POLICY";
	if (is_address(word))
		return "ADDRESS";
	if (strspn(word, "0123456789") == strlen(word))
		return "NUMBER";
	if (strcmp(word, "web.shop") == 0)
		return "web";
	return *word == '/' && strrchr(word, '/')[1] ? strrchr(word, '/') : word;
}

/* The line from its part on, in such words; NULL: no line of a trace. */
static char *plain(const char *line)
{
	char *text = "", *copy;

	line += strspn(line, " ");
	copy = format("%.*s", (int)strcspn(line, "\n"), line);
	if (strncmp(copy, "20", 2) != 0 || !strstr(copy, "Z fairdial["))
		return NULL;
	for (char *word = strtok(strchr(copy, ']') + 1, " "); word; word = strtok(NULL, " "))
		text = format("%s %s", text, plain_word(word));
	return text;
}

static void add_lines(struct words *words, const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n')) {
		char *form = plain(line);

		if (form && !has_word(words, form))
			add_word(words, form, strlen(form));
	}
}

struct stage {
	struct services *s;
	struct backends *b;
	char *trace;
};

static char *entry(const char *name, const char *address, const char *endpoints, const char *more)
{
	return format("{ \"name\": \"%s\", \"addresses\": [%s], \"ports\": [{ \"port\": 80 }], \"endpoints\": [%s]%s }", name,
		      *address ? format("\"%s\"", address) : "", endpoints, more);
}

static void set_stage(struct stage *t, const char *moving)
{
	char *live = format("\"%s:%d\"", backends_address(t->b, 0), backends_port(t->b, 0));
	char *dead = format("\"%s:%d\"", backends_address(t->b, 1), backends_port(t->b, 1));

	services_publish(t->s, format("%s, %s, %s, %s, %s, %s",
				      entry("web", "127.96.0.20", format("%s, %s", live, dead),
					    ", \"namespace\": \"shop\", \"balance\": \"round_robin\""),
				      entry("seen", "127.96.0.21", live, ", \"mode\": \"observe\""),
				      entry("idle", "127.96.0.22", live, ", \"mode\": \"off\""),
				      entry("none", "127.96.0.23", "", ""),
				      entry("moving", "127.96.0.24", moving, ", \"drain\": \"idle\", \"quiet\": \"100ms\""),
				      entry("mysql", "", live, "")));
}

/* `more`: of the environment. However the dial ends: what counts is what is written. */
static void trace_dial(const struct stage *t, const char *const *more, const char *const *arguments)
{
	const char *argv[12] = { built("helpers/dialer") };
	const char *const *env = with_env(t->s->env, format("FAIRDIAL_TRACE=all:%s", t->trace), NULL);

	for (; *more; more++)
		env = with_env(env, *more, NULL);
	for (size_t n = 1; *arguments; arguments++)
		argv[n++] = *arguments;
	process_wait(process_start(&(struct start){ .argv = argv, .env = env }), LIMIT_MS);
}

/* A connection to an endpoint that goes, until the trace tells that it was closed. */
static void trace_a_move(struct stage *t)
{
	char *here = format("{ \"address\": \"%s\", \"port\": %d }", backends_address(t->b, 2), backends_port(t->b, 2));
	struct process *dialer;

	set_stage(t, here);
	dialer = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--hold", "127.96.0.24", "80"),
						.env = with_env(t->s->env, format("FAIRDIAL_TRACE=move:%s", t->trace), NULL),
						.interactive = true });
	process_expect(dialer, "ready\n", LIMIT_MS);
	set_stage(t, format("\"%s:%d\", { \"address\": \"%s\", \"port\": %d, \"terminating\": true }", backends_address(t->b, 0),
			    backends_port(t->b, 0), backends_address(t->b, 2), backends_port(t->b, 2)));
	for (long begun = now_ms(); access(t->trace, F_OK) < 0 || !strstr(read_file(t->trace, NULL), " closed: ");) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("nothing moves");
		usleep(1000);
	}
	process_close_input(dialer);
	process_wait(dialer, LIMIT_MS);
}

/* What a shim says in each of the cases that the manual shows. */
static char *traced(void)
{
	struct stage t = { services_open(), backends_start(3, ONE_PORT), NULL };
	char *empty = format("FAIRDIAL_DIR=%s/empty", t.s->root), *open = format("FAIRDIAL_DIR=%s/open", t.s->root);

	t.trace = format("%s/trace", t.s->root);
	trace_a_move(&t);
	backends_stop(t.b, 1);
	trace_dial(&t, ARGV(NULL), ARGV("--count", "2", "127.96.0.20", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("--nonblocking", "127.96.0.20", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("127.96.0.21", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("127.96.0.22", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("127.96.0.23", "80"));
	trace_dial(&t, ARGV("FAIRDIAL_EXCEPT=web"), ARGV("127.96.0.20", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("mysql", "80"));
	trace_dial(&t, ARGV(NULL), ARGV("localhost", format("%d", backends_port(t.b, 0))));
	assert_int_equal(mkdir(format("%s/empty", t.s->root), 0700), 0);
	trace_dial(&t, ARGV(empty, "FAIRDIAL_WAIT=50ms"), ARGV("127.96.0.20", "80"));
	assert_int_equal(rename(t.s->dir, format("%s/open", t.s->root)), 0);
	assert_int_equal(chmod(format("%s/open", t.s->root), 0777), 0);
	trace_dial(&t, ARGV(open), ARGV("127.96.0.20", "80"));
	trace_dial(&t, ARGV("FAIRDIAL=observ"), ARGV("127.96.0.20", "80"));
	return read_file(t.trace, NULL);
}

static void assert_written(const char *document, const char *in, size_t at_least, const char *trace)
{
	struct words said = { .count = 0 }, told = { .count = 0 };

	add_lines(&said, trace);
	add_lines(&told, document);
	if (told.count < at_least)
		fail_msg("%s has %zu lines of a trace", in, told.count);
	for (size_t i = 0; i < told.count; i++)
		if (!has_word(&said, told.at[i]))
			fail_msg("%s has \"%s\", and no such line was written in\n%s", in, told.at[i], trace);
}

static void every_line_of_trace_in_the_documents_is_one_that_the_shim_writes(void **state)
{
	const char *trace = traced();

	(void)state;
	assert_written(part_of(page("libfairdial.7"), ".Sh TRACE", ARGV(".Sh")), "libfairdial(7)", 14, trace);
	assert_written(readme(), "README.md", 1, trace);
}

/* ---- examples ---- */

/* The text of the first literal display behind `*at`, which becomes its end; NULL: none. */
static char *next_display(const char **at)
{
	const char *start = strstr(*at, "\n.Bd -literal"), *end = start ? strstr(start, "\n.Ed") : NULL;
	char *text, *to;

	if (!end)
		return NULL;
	start = strchr(start + 1, '\n') + 1;
	*at = end;
	text = to = format("%.*s", (int)(end - start), start);
	for (const char *from = text; *from; from++) {
		if (strncmp(from, "\\e", 2) == 0) /* is a backslash */
			from++, *to++ = '\\';
		else
			*to++ = *from;
	}
	*to = '\0';
	return text;
}

static void every_services_file_of_the_manual_is_one(void **state)
{
	const char *at = page("fairdial-services.5");
	size_t count = 0;

	(void)state;
	for (char *text = next_display(&at); text; text = next_display(&at)) {
		struct process *p;

		if (*text != '{')
			continue;
		p = services_try(services_open(), text);
		if (p->exit_status != 0)
			fail_msg("%s\nis refused: %s", text, p->err_text);
		count++;
	}
	assert_true(count >= 4);
}

/* Of the trace that the manual itself shows. */
static void every_recipe_of_the_manual_finds_something(void **state)
{
	const char *manual = page("libfairdial.7"), *at = part_of(manual, ".Sh EXAMPLES", ARGV(".Sh"));
	const char *lines = part_of(manual, ".Sh TRACE", ARGV(".Sh")), *file = format("%s/trace", scratch_dir());
	size_t count = 0;

	(void)state;
	write_file(file, lines, strlen(lines));
	for (char *text = next_display(&at); text; text = next_display(&at)) {
		char *path = strstr(text, "/tmp/trace");
		struct process *p;

		if (!path)
			continue;
		p = run_shell(NULL, "%.*s%s%s", (int)(path - text), text, file, path + strlen("/tmp/trace"));
		assert_clean(p);
		if (lines_of(p->out_text) == 0)
			fail_msg("finds nothing: %s", text);
		count++;
	}
	assert_true(count >= 4);
}

/* The paths and servers of an example, with those that are here in their places. */
static char *at_home(const char *text, const struct services *s, const struct backends *b)
{
	const char *const places[][2] = {
		{ "/tmp/shop", format("%s/shop", s->root) },
		{ "/usr/local/lib/libfairdial.so", built("libfairdial.so") },
		{ "examples/services.json", s->file },
		{ "127.0.0.1:8080,127.0.0.2:8080", format("%s:%d", backends_address(b, 0), backends_port(b, 0)) },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		for (const char *at = strstr(text, places[i][0]); at; at = strstr(text, places[i][0]))
			text = format("%.*s%s%s", (int)(at - text), text, places[i][1], at + strlen(places[i][0]));
	return format("%s", text);
}

/* What it takes is not here: a cluster, a database, a trace. */
static bool is_of_elsewhere(const char *text)
{
	return strstr(text, "kubectl") || strstr(text, "mysqldump") || strstr(text, "/tmp/trace");
}

static size_t run_examples(const char *name)
{
	const char *at = part_of(page(name), ".Sh EXAMPLES", ARGV(".Sh"));
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *const *env = ARGV(format("PATH=%s:%s", built(""), getenv("PATH")), format("FAIRDIAL_DIR=%s", s->dir));
	size_t count = 0;

	for (char *text = next_display(&at); text; text = next_display(&at)) {
		struct process *p;

		if (is_of_elsewhere(text))
			continue;
		p = run_shell(env, "set -e\n%s", at_home(text, s, b));
		if (p->exit_status != 0)
			fail_msg("%s(exit status %d) %s%s", text, p->exit_status, p->out_text, p->err_text);
		count++;
	}
	return count;
}

static void every_example_of_the_manuals_runs(void **state)
{
	(void)state;
	assert_true(run_examples("fairdial.1") >= 4);
	assert_true(run_examples("libfairdial.7") >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_verb_is_in_the_manual_and_the_readme),
		TEST(every_option_is_in_the_manual_and_no_other),
		TEST(every_policy_is_in_the_manual_and_the_readme_with_its_default),
		TEST(every_variable_is_in_a_manual_and_the_readme),
		TEST(every_metric_is_in_the_manual_and_no_other),
		TEST(every_line_of_trace_in_the_documents_is_one_that_the_shim_writes),
		TEST(every_services_file_of_the_manual_is_one),
		TEST(every_example_of_the_manuals_runs),
		TEST(every_recipe_of_the_manual_finds_something),
	};

	return RUN_TESTS(tests);
}
