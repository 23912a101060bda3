/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs print to a terminal and to a pipe: colours on the one, none in the other and else the same text; and of names that
 * would lead a terminal astray, nothing that it obeys. Whatever the locale says.
 */
#include "support/testing.h"

#include <jansson.h>
#include <signal.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/tables.h"
#include "support/verbs.h"

enum { LIMIT_MS = 60000 };

static const char *const plain_env[] = { "KUBERNETES_SERVICE_HOST", "FAIRDIAL_DIR", "FAIRDIAL_LEDGER", "NO_COLOR", "TERM=xterm",
					 NULL };

/* All that a user reads, of a table in DIR. */
static const char *const shown[] = {
	"status --dir DIR", "status --json --dir DIR", "status --coverage --dir DIR", "status --coverage --json --dir DIR",
	"explain 10.96.0.1:80 --dir DIR", "explain --json 10.96.0.1:80 --dir DIR", "check --dir DIR sh", "check --json --dir DIR sh",
	"top --once --interval 100ms --dir DIR", "top --once --json --interval 100ms --dir DIR",
};

#define SHOWN (sizeof(shown) / sizeof(*shown))

/* With its words for sh; NULL where the verb is of another build. */
static const char *shown_line(size_t i, const char *dir)
{
	const char *at = strstr(shown[i], "DIR");

	if (strncmp(shown[i], "top", 3) == 0 && !verb_exists("top"))
		return NULL;
	return format("%.*s%s%s", (int)(at - shown[i]), shown[i], dir, at + 3);
}

/* ---- terminals ---- */

/* What a terminal is sent, its lines ended as in a pipe. */
static char *on_terminal(const char *const *env, const char *words)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV("sh", "-c", format("exec %s %s", built("fairdial"), words)), .env = env, .on_terminal = true });
	char *from = p->out_text, *to;

	process_wait(p, LIMIT_MS);
	for (from = to = p->out_text; *from; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	return format("%s", p->out_text);
}

/* "\033[...m" alone is taken out. */
static char *without_colours(const char *text)
{
	char *all = format("%s", text), *to = all;

	for (const char *at = all; *at;) {
		size_t len = at[0] == '\033' && at[1] == '[' ? strspn(at + 2, "0123456789;") : 0;

		if (len && at[2 + len] == 'm')
			at += 2 + len + 1;
		else
			*to++ = *at++;
	}
	*to = '\0';
	return all;
}

/* A table of whose endpoints each is in another state, with a mode and a port that are not the usual. */
static const char *table_of_states(void)
{
	const char *dir = scratch_dir();
	struct table_builder *b = builder_web("10.244.0.1:80 10.244.0.2:80! 10.244.0.3:80! 10.244.0.4:80 10.244.0.5:80");
	struct spec_port *port = b->spec.services[0].ports;
	struct spec_service *quiet;

	port->endpoints[2].flags = ENDPOINT_TERMINATING;
	port->endpoints[3].flags |= ENDPOINT_TERMINATING;
	quiet = builder_service(b, "quiet.shop", "10.96.0.2");
	quiet->policy.mode = MODE_OFF;
	quiet->stand_down = STAND_DOWN_API;
	builder_port(b, 80, PROTOCOL_TCP, "");
	publish_alone(dir, b);
	return dir;
}

static const char *status_of(const char *dir)
{
	return format("status --dir %s", dir);
}

static void status_on_a_terminal_has_colours_for_what_is_not_well(void **state)
{
	static const char *const painted[] = {
		"\033[1mweb.shop\033[0m", "\033[1mENDPOINT ", "STATE\033[0m", "\033[31mnot ready\033[0m",
		"\033[33mterminating\033[0m", "\033[33mterminating, serving\033[0m", "mode \033[33moff\033[0m",
		"\033[33mstands down: ", "\033[33mno endpoints: dials pass through\033[0m",
	};
	char *text = on_terminal(plain_env, status_of(table_of_states()));

	(void)state;
	for (size_t i = 0; i < sizeof(painted) / sizeof(*painted); i++)
		if (!strstr(text, painted[i]))
			fail_msg("\"%s\" is not in\n%s", painted[i] + 1, text);
	assert_null(strstr(text, "\033[31mready")); /* what is well is left alone */
	text = on_terminal(plain_env, status_of(aged_table_dir(20000, 10000)));
	assert_non_null(strstr(text, "\033[31magent silent for 2"));
}

/* But for the first line, which tells the age. */
static void text_on_a_terminal_is_that_of_a_pipe_but_for_the_colours(void **state)
{
	const char *dir = table_of_states(), *words = status_of(dir);
	char *there = on_terminal(plain_env, words), *piped = fairdial(plain_env, "%s", words)->out_text;

	(void)state;
	assert_non_null(strchr(there, '\033'));
	assert_string_equal(strchr(without_colours(there), '\n'), strchr(piped, '\n'));
}

static void colours_are_not_for_pipes_nor_where_they_are_not_wanted(void **state)
{
	const char *dir = table_of_states();

	(void)state;
	for (size_t i = 0; i < SHOWN; i++) {
		const char *line = shown_line(i, dir);

		if (!line)
			continue;
		assert_plain(fairdial(plain_env, "%s", line)->out_text);
		assert_plain(on_terminal(with_env(plain_env, "NO_COLOR=1", NULL), line));
		assert_plain(on_terminal(with_env(plain_env, "TERM=dumb", NULL), line));
	}
	assert_plain(on_terminal(with_env(plain_env, "TERM", NULL), status_of(dir)));
	assert_non_null(strchr(on_terminal(with_env(plain_env, "NO_COLOR=", NULL), status_of(dir)), '\033'));
}

/* JSON has none on a terminal either. */
static void json_is_the_same_on_a_terminal(void **state)
{
	const char *words = format("status --json --dir %s", table_of_states());
	char *text = on_terminal(plain_env, words);

	(void)state;
	assert_plain(text);
	assert_fits_schema("status", text);
}

/* ---- names ---- */

/* As no API gives them, but a table could have them. */
static const char *hostile_table(void)
{
	const char *dir = scratch_dir();
	struct table_builder *b = builder_new();
	struct spec_service *service;
	struct spec_port *port;

	service = builder_service(b, "w\033]0;owned\007b.sh\nop", "10.96.0.1");
	service->policy.balance = BALANCE_ROUND_ROBIN;
	port = builder_port(b, 80, PROTOCOL_TCP, "10.244.0.1:80 10.244.0.2:80");
	port->name = builder_text(b, "p\xc2\x9b" "31m");
	port->endpoints[0].zone = builder_text(b, "\xff\xfe\x9b" "2J");
	service = builder_service(b, "\x1b[2J\r\xe2\x80\xae", "10.96.0.2");
	port = builder_port(b, 80, PROTOCOL_TCP, "10.244.0.1:80 10.244.0.2:80");
	b->spec.source = builder_text(b, "file /tmp/\033[31m\xc3\xbc\xc3");
	publish_alone(dir, b);
	return dir;
}

static void names_of_a_table_are_nothing_that_a_terminal_obeys(void **state)
{
	const char *dir = hostile_table();

	(void)state;
	for (size_t i = 0; i < SHOWN; i++) {
		const char *line = shown_line(i, dir);
		struct process *p;

		if (!line)
			continue;
		p = fairdial(plain_env, "%s", line);
		if ((p->exit_status != 0 && strncmp(line, "check", 5) != 0) || p->out_length == 0)
			fail_msg("fairdial %s: exit status %d: %s", line, p->exit_status, p->err_text);
		assert_plain(p->out_text);
		assert_plain(p->err_text);
		assert_plain(without_colours(on_terminal(plain_env, line)));
	}
	assert_non_null(strstr(fairdial(plain_env, "status --dir %s", dir)->out_text, "w?]0;owned?b.sh?op"));
	assert_non_null(strstr(fairdial(plain_env, "status --dir %s", dir)->out_text, "source     file /tmp/?[31m\xc3\xbc"));
}

static void json_of_hostile_names_is_json(void **state)
{
	const char *dir = hostile_table();
	struct process *p = fairdial(plain_env, "status --json --dir %s", dir);

	(void)state;
	assert_clean(p);
	assert_fits_schema("status", p->out_text);
	assert_non_null(strstr(p->out_text, "\"w\\u001B]0;owned\\u0007b\"")); /* as it is: nobody is to take it for another */
	assert_fits_schema("coverage", fairdial(plain_env, "status --coverage --json --dir %s", dir)->out_text);
}

/* What a user types, or a script hands on. */
static void arguments_are_nothing_that_a_terminal_obeys(void **state)
{
	static const char *const lines[] = { "\"$ODD\"", "--\"$ODD\"", "status --\"$ODD\"", "status \"$ODD\"", "status --dir \"$ODD\"",
					     "explain \"$ODD\"", "publish --services \"$ODD\" --dir DIR",
					     "publish --services x --dir x --address-range \"$ODD\"", "agent --mode \"$ODD\"",
					     "agent --services \"$ODD\" --dir DIR", "run -- \"$ODD\"",
					     "run --service \"$ODD\" -- true", "install \"$ODD\"", "inject --mode \"$ODD\"",
					     "check \"$ODD\"" };
	const char *dir = table_dir();
	const char *const *env = with_env(plain_env, "ODD=a\033[31m\nb\xff\xc2\x9b" "5m\xe2\x80\xae",
					  format("FAIRDIAL_DIR=%s", dir), NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *at = strstr(lines[i], "DIR");
		const char *line = at ? format("%.*s%s%s", (int)(at - lines[i]), lines[i], dir, at + 3) : lines[i];
		struct process *p = fairdial(env, "%s", line);

		if (p->exit_status == 0 || lines_of(p->err_text) != 1)
			fail_msg("fairdial %s: exit status %d, stderr \"%s\"", line, p->exit_status, p->err_text);
		assert_plain(p->err_text);
	}
}

#define FILE_OF_WEB "{\"services\": [{\"name\": \"web\", \"ports\": [{\"port\": 80}], \"endpoints\": [\"10.0.0.1:80\"]}]}"

/* Also where all goes well; and by an agent, which speaks of its files for as long as it runs. */
static void directories_with_such_names_are_told_plainly(void **state)
{
	const char *place = format("%s/a\033[31mb\xc2\x9b" "5m", scratch_dir());
	const char *const *env = with_env(plain_env, format("PLACE=%s", place), NULL);
	static const char *const lines[] = { "publish --services \"$PLACE.json\" --dir \"$PLACE\"", "status --dir \"$PLACE\"",
					     "install \"$PLACE\"", "install \"$PLACE\"" };
	struct process *p;

	(void)state;
	write_file(format("%s.json", place), FILE_OF_WEB, strlen(FILE_OF_WEB));
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		p = fairdial(env, "%s", lines[i]);
		assert_int_equal(p->exit_status, 0);
		assert_true(p->out_length > 0);
		assert_plain(p->out_text);
		assert_plain(p->err_text);
	}
	p = process_start(&(struct start){
		.argv = ARGV("sh", "-c",
			     format("exec %s agent --services \"$PLACE.json\" --dir \"$PLACE-2\" 2>&1", built("fairdial"))),
		.env = env });
	process_expect(p, "published 1 service", LIMIT_MS);
	write_file(format("%s.json", place), "{", 1);
	process_signal(p, SIGHUP);
	process_expect(p, "the last good one stays", LIMIT_MS);
	process_signal(p, SIGTERM);
	process_wait(p, LIMIT_MS);
	assert_non_null(strstr(p->out_text, "a?[31mb??5m.json"));
	assert_plain(p->out_text);
}

/* ---- locales ---- */

/* "1.000" and never "1,000"; names as they are. Of what is the same each time. */
static void text_is_the_same_in_every_locale(void **state)
{
	static const char *const locales[] = { "LC_ALL=C", "LC_ALL=C.UTF-8", "LC_ALL=de_DE.UTF-8", "LC_ALL=nonsense" };
	const char *dir = hostile_table();

	(void)state;
	for (size_t i = 0; i < sizeof(locales) / sizeof(*locales); i++) {
		const char *const *env = with_env(plain_env, locales[i], NULL);

		assert_string_equal(strchr(fairdial(env, "status --dir %s", dir)->out_text, '\n'),
				    strchr(fairdial(plain_env, "status --dir %s", dir)->out_text, '\n'));
		assert_string_equal(fairdial(env, "--help")->out_text, fairdial(plain_env, "--help")->out_text);
		assert_string_equal(fairdial(env, "explain --json 10.96.0.1:80 --dir /nowhere")->err_text,
				    fairdial(plain_env, "explain --json 10.96.0.1:80 --dir /nowhere")->err_text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_on_a_terminal_has_colours_for_what_is_not_well),
		TEST(text_on_a_terminal_is_that_of_a_pipe_but_for_the_colours),
		TEST(colours_are_not_for_pipes_nor_where_they_are_not_wanted),
		TEST(json_is_the_same_on_a_terminal),
		TEST(names_of_a_table_are_nothing_that_a_terminal_obeys),
		TEST(json_of_hostile_names_is_json),
		TEST(arguments_are_nothing_that_a_terminal_obeys),
		TEST(directories_with_such_names_are_told_plainly),
		TEST(text_is_the_same_in_every_locale),
	};

	return RUN_TESTS(tests);
}
