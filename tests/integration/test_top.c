/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairdial top`, on real terminals: what it shows while dials go on and tables come and go, what keys do, that any size of a
 * terminal will do, and that it is put back however the program ends. And one frame in a pipe, as text and as JSON.
 */
#include "support/testing.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/installed.h"
#include "support/panes.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { LIMIT_MS = 60000 };

#define TAKES_SCREEN "\033[?1049h"
#define LEAVES_SCREEN "\033[?1049l"
#define SHOWS_CURSOR "\033[?25h"

static const char *top_line(const char *dir, const char *more)
{
	return format("TERM=screen-256color LC_ALL=C.UTF-8 %s top --interval 100ms --dir %s %s", built("fairdial"), dir, more);
}

static bool has_curses(void)
{
	return strstr(run(NULL, built("fairdial"), "--version", NULL)->out_text, "ncurses");
}

static void need_curses(void)
{
	if (!has_curses())
		skip_because("built without ncurses");
}

static struct pane *watch(const struct services *s, int columns, int rows)
{
	struct pane *p;

	need_curses();
	p = pane_open(columns, rows, top_line(s->dir, ""));
	pane_expect(p, "fairdial top");
	return p;
}

static void quit(struct pane *p)
{
	pane_keys(p, "q", NULL);
	pane_expect(p, "ended: 0");
	assert_null(strstr(pane_text(p), "fairdial top"));
}

/* ---- what it shows ---- */

static void frame_follows_the_dials(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct pane *p = watch(s, 100, 24);
	struct process *holder;
	const char *shown;

	(void)state;
	shown = pane_expect(p, "0 dials, 0 failed");
	assert_non_null(strstr(shown, "1 Service  3 endpoints, 3 usable  0 open"));
	assert_non_null(strstr(shown, "web  " SERVICE_ADDRESS ":80  on  least_conn"));
	assert_non_null(strstr(shown, format("%s:%d", backends_address(b, 2), backends_port(b, 2))));
	assert_null(strstr(shown, "\u2588"));
	holder = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", "--count", "6", SERVICE_ADDRESS, "80"),
		.env = s->env,
		.interactive = true });
	process_expect(holder, "ready", LIMIT_MS);
	shown = pane_expect(p, "6 open");
	shown = pane_expect(p, "6 dials, 0 failed");
	assert_non_null(strstr(shown, "evenness 1.000  (random 0.750)"));
	assert_non_null(strstr(shown, "    2 \u2588\u2588\u2588"));
	process_close_input(holder);
	pane_expect(p, "0 open");
	quit(p);
}

static void table_that_goes_and_comes_back_is_told(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct pane *p = watch(s, 100, 24);

	(void)state;
	pane_expect(p, "generation 1 ");
	assert_int_equal(rename(s->table, format("%s.away", s->table)), 0);
	pane_expect(p, "the table is gone, and what it said last is shown");
	pane_expect(p, SERVICE_ADDRESS);
	services_publish(s, service_entry("another", SERVICE_ADDRESS, 81, backends_places(b), 1, NULL));
	pane_expect(p, "another");
	pane_expect_no(p, "is gone");
	assert_null(strstr(pane_text(p), "web"));
	services_publish(s, service_entry("third", SERVICE_ADDRESS, 81, backends_places(b), 1, NULL));
	pane_expect(p, "third");
	write_file(s->table, "nonsense", 8);
	pane_expect(p, "the table is damaged");
	quit(p);
}

/* ---- keys ---- */

static void keys_do_what_the_help_says(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	const struct place *places = backends_places(b);
	struct services *s = services_open();
	struct pane *p;

	(void)state;
	services_publish(s, format("%s, %s", service_entry("web", SERVICE_ADDRESS, 80, places, 2, NULL),
				   service_entry("api", SERVICE_ADDRESS, 81, places, 2, NULL)));
	p = watch(s, 100, 30);
	pane_expect(p, "ENDPOINT\u25bc");
	pane_keys(p, ">", NULL);
	pane_expect(p, "OPEN\u25bc");
	pane_keys(p, "r", NULL);
	pane_expect(p, "OPEN\u25b2");
	pane_keys(p, "F6", NULL);
	pane_expect(p, "sort: rate");
	pane_keys(p, "Space", NULL);
	pane_expect(p, "paused");
	pane_keys(p, "p", NULL);
	pane_expect_no(p, "paused");
	pane_keys(p, "/", "w", "e", "b", NULL);
	pane_expect(p, "Filter (Enter: keep, Esc: all): web");
	pane_expect_no(p, "api");
	pane_keys(p, "Enter", NULL);
	pane_expect(p, "/ filter: web  <>");
	assert_null(strstr(pane_text(p), "api"));
	pane_keys(p, "Escape", NULL);
	pane_expect(p, "api");
	pane_keys(p, "-", NULL);
	pane_expect(p, "1-2 of 2");
	pane_keys(p, "+", NULL);
	pane_expect(p, "1-6 of 6");
	pane_keys(p, "s", "3", "h", "Enter", NULL);
	pane_expect(p, "from 100ms to 1h");
	pane_keys(p, "C-u", "1", ".", "5", "s", "Enter", NULL);
	pane_expect(p, "s every 1500ms");
	pane_keys(p, "F1", NULL);
	pane_expect(p, "Any key goes back.");
	pane_keys(p, "x", NULL);
	pane_expect(p, "1-6 of 6");
	pane_keys(p, "C-l", NULL);
	pane_keys(p, "F10", NULL);
	pane_expect(p, "ended: 0");
}

static void ten_thousand_services_scroll(void **state)
{
	struct table_builder *b = builder_new();
	struct services *s = services_open();
	struct pane *p;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		builder_service(b, format("svc-%05u.ns", i), format("10.96.%u.%u", i / 250, i % 250 + 1));
		builder_port(b, 80, PROTOCOL_TCP, format("10.1.%u.%u:80", i / 250, i % 250 + 1));
	}
	publish_alone(s->dir, b);
	p = watch(s, 100, 30);
	pane_expect(p, "svc-00000.ns");
	pane_keys(p, "End", NULL);
	pane_expect(p, "of 20000");
	pane_expect(p, "svc-09999.ns");
	pane_keys(p, "PPage", NULL);
	pane_expect_no(p, "svc-09999.ns");
	pane_keys(p, "NPage", NULL);
	pane_expect(p, "svc-09999.ns");
	pane_keys(p, "Home", NULL);
	pane_expect(p, "svc-00000.ns");
	pane_keys(p, "Down", NULL);
	pane_expect_no(p, "svc-00000.ns");
	pane_keys(p, "/", "4", "3", "2", "1", ".", "Enter", NULL);
	pane_expect(p, "1-2 of 2");
	pane_expect(p, "svc-04321.ns");
	pane_keys(p, "Escape", NULL);
	quit(p);
}

/* ---- sizes, and being stopped ---- */

static void any_size_of_the_terminal_will_do(void **state)
{
	static const int sizes[][2] = { { 20, 5 }, { 300, 60 }, { 20, 60 }, { 300, 5 }, { 41, 8 }, { 100, 24 } };
	struct backends *b = backends_start(4, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct pane *p = watch(s, 100, 24);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int columns = sizes[i][0], rows = sizes[i][1];
		const char *shown;

		pane_resize(p, columns, rows);
		pane_expect(p, columns >= 40 ? "web  " SERVICE_ADDRESS : "\nweb");
		shown = pane_expect(p, columns == 300 ? "DIALS/S" : "fairdial top");
		for (const char *line = shown; *line; line += strcspn(line, "\n") + 1)
			assert_true(strcspn(line, "\n") <= 4 * (size_t)columns);
		if (columns >= 40 && rows >= 8)
			pane_expect(p, "q quit  h help");
		pane_keys(p, "h", NULL);
		pane_expect(p, "fairdial top: who h");
		pane_keys(p, "x", NULL);
		pane_expect(p, "\nweb");
	}
	quit(p);
}

/* The new size comes from ncurses as a key, which nobody has pressed: the next one would be a key too many. */
static void new_size_is_no_key(void **state)
{
	const struct winsize wide = { .ws_row = 30, .ws_col = 120 };
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *p;

	(void)state;
	need_curses();
	p = process_start(&(struct start){ .argv = ARGV(built("fairdial"), "top", "--dir", s->dir),
					   .env = ARGV("TERM=xterm", "COLUMNS", "LINES"),
					   .on_terminal = true });
	process_expect(p, "q quit", LIMIT_MS);
	process_say(p, "h");
	process_expect(p, "Any key goes back.", LIMIT_MS);
	assert_null(strstr(p->out_text, "its scale ends a"));
	assert_int_equal(ioctl(p->in, TIOCSWINSZ, &wide), 0);
	process_expect(p, "its scale ends a", LIMIT_MS);
	process_say(p, "q");
	process_say(p, "/");
	process_expect(p, "Filter (Enter", LIMIT_MS);
	process_say(p, "\rq");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
}

static void being_stopped_gives_the_terminal_back_for_a_while(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct pane *p;

	(void)state;
	need_curses();
	if (!program_exists("bash"))
		skip_because("no bash, whose jobs can be stopped");
	p = pane_open(100, 24, "PS1='prompt> ' bash --norc --noprofile -i");
	pane_expect(p, "prompt>");
	pane_keys(p, "-l", top_line(s->dir, ""), NULL);
	pane_keys(p, "Enter", NULL);
	pane_expect(p, "q quit  h help");
	for (int round = 0; round < 2; round++) {
		pane_keys(p, "C-z", NULL);
		pane_expect(p, "Stopped");
		pane_expect_no(p, "q quit  h help");
		pane_keys(p, "-l", format("echo s\"a\"id-%d", round), NULL);
		pane_keys(p, "Enter", NULL);
		pane_expect(p, format("said-%d", round));
		pane_keys(p, "-l", "fg", NULL);
		pane_keys(p, "Enter", NULL);
		pane_expect(p, "q quit  h help");
		pane_expect_no(p, "said-");
	}
	pane_keys(p, "q", NULL);
	pane_keys(p, "-l", "echo st\"a\"tus-$?", NULL);
	pane_keys(p, "Enter", NULL);
	pane_expect(p, "status-0");
}

/* The terminal is the shell's then, and who changes its modes from behind is stopped again. */
static void one_that_is_stopped_or_behind_can_be_ended(void **state)
{
	static const char *const lines[] = { "kill %1", "bg; kill %1" };
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct pane *p;

	(void)state;
	need_curses();
	if (!program_exists("bash"))
		skip_because("no bash, whose jobs can be stopped");
	p = pane_open(100, 24, "PS1='prompt> ' bash --norc --noprofile -i");
	pane_expect(p, "prompt>");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		pane_keys(p, "-l", format("clear; %s", top_line(s->dir, "")), NULL);
		pane_keys(p, "Enter", NULL);
		pane_expect(p, "q quit  h help");
		pane_keys(p, "C-z", NULL);
		pane_expect(p, "Stopped");
		pane_keys(p, "-l", format("%s; while kill -0 %%1 2>&-; do sleep 0.1; done; echo go\"n\"e", lines[i]), NULL);
		pane_keys(p, "Enter", NULL);
		pane_expect(p, "\ngone");
		pane_keys(p, "-l", "echo st\"i\"ll", NULL);
		pane_keys(p, "Enter", NULL);
		pane_expect(p, "\nstill");
	}
}

/* ---- however it ends ---- */

static struct process *start_on_terminal(const char *const *env, const char *const *argv, struct termios *ret_before)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = env, .on_terminal = true });

	if (ret_before)
		assert_int_equal(tcgetattr(p->in, ret_before), 0);
	return p;
}

static bool is_last(const char *text, const char *later, const char *earlier)
{
	const char *at_later = NULL, *at_earlier = NULL;

	for (const char *at = text; (at = strstr(at, later)); at++)
		at_later = at;
	for (const char *at = text; (at = strstr(at, earlier)); at++)
		at_earlier = at;
	return at_later && at_earlier && at_later > at_earlier;
}

static void assert_put_back(struct process *p, const struct termios *before)
{
	struct termios after;

	if (!is_last(p->out_text, LEAVES_SCREEN, TAKES_SCREEN) || !is_last(p->out_text, SHOWS_CURSOR, "\033[?25l"))
		fail_msg("the screen is not put back: %.200s", p->out_text + (p->out_length > 200 ? p->out_length - 200 : 0));
	assert_int_equal(tcgetattr(p->in, &after), 0);
	assert_int_equal(after.c_lflag, before->c_lflag);
	assert_int_equal(after.c_iflag, before->c_iflag);
	assert_int_equal(after.c_oflag, before->c_oflag);
	assert_true(after.c_lflag & ECHO && after.c_lflag & ICANON);
}

static void terminal_is_put_back_however_it_ends(void **state)
{
	static const struct {
		const char *keys; /* or */
		int number;
		int dies_of; /* 0: exits with 0 */
	} ends[] = {
		{ "q", 0, 0 },		      { "\033[21~", 0, 0 },		{ "\003", 0, 0 },
		{ NULL, SIGINT, 0 },	      { NULL, SIGTERM, SIGTERM },	{ NULL, SIGHUP, SIGHUP },
		{ NULL, SIGQUIT, SIGQUIT },   { "\034", 0, SIGQUIT },		{ NULL, SIGSEGV, SIGSEGV },
		{ NULL, SIGBUS, SIGBUS },     { NULL, SIGABRT, SIGABRT },
	};
	const struct rlimit no_core = { 0, 0 };
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	const char *const env[] = { "TERM=xterm-256color", "NO_COLOR", NULL };

	(void)state;
	need_curses();
	assert_int_equal(setrlimit(RLIMIT_CORE, &no_core), 0);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct termios before, meanwhile;
		struct process *p = start_on_terminal(env, ARGV(built("fairdial"), "top", "--dir", s->dir), &before);

		process_expect(p, "q quit", LIMIT_MS);
		assert_int_equal(tcgetattr(p->in, &meanwhile), 0);
		assert_false(meanwhile.c_lflag & (ECHO | ICANON));
		if (ends[i].keys)
			process_say(p, ends[i].keys);
		else
			process_signal(p, ends[i].number);
		process_wait(p, LIMIT_MS);
		if (p->signal != ends[i].dies_of || (p->signal == 0 && p->exit_status != 0))
			fail_msg("way %zu: exit status %d, signal %d", i, p->exit_status, p->signal);
		assert_put_back(p, &before);
	}
}

/* By SIGSTOP, of which nobody is told: the shell that takes the terminal meanwhile may leave it in any mode. */
static void being_stopped_without_a_word_is_noticed_when_it_goes_on(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *p;
	struct termios before, meanwhile;

	(void)state;
	need_curses();
	p = start_on_terminal(ARGV("TERM=xterm"), ARGV(built("fairdial"), "top", "--dir", s->dir), &before);
	process_expect(p, "q quit", LIMIT_MS);
	process_signal(p, SIGSTOP);
	assert_int_equal(tcsetattr(p->in, TCSANOW, &before), 0);
	process_signal(p, SIGCONT);
	process_expect(p, LEAVES_SCREEN, LIMIT_MS);
	process_say(p, "h"); /* without the end of a line */
	process_expect(p, "Any key goes back.", LIMIT_MS);
	assert_int_equal(tcgetattr(p->in, &meanwhile), 0);
	assert_false(meanwhile.c_lflag & (ECHO | ICANON));
	process_say(p, "xq");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	assert_put_back(p, &before);
}

/* Whether a process waits in this system call. */
static bool waits_in(const struct process *p, long call)
{
	char text[64] = "";
	FILE *f = fopen(format("/proc/%d/syscall", (int)p->pid), "r");

	if (f && fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	if (f)
		fclose(f);
	return text[0] >= '0' && text[0] <= '9' && atol(text) == call;
}

/* Nobody reads what it draws: of a terminal whose line hangs, or whose output Ctrl-S has stopped. */
static void terminal_that_takes_no_more_does_not_keep_it(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	const struct winsize large = { .ws_row = 200, .ws_col = 300 };
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);

	(void)state;
	need_curses();
	if (access("/proc/self/syscall", R_OK))
		skip_because("no /proc/PID/syscall here");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct termios before;
		struct process *p = start_on_terminal(ARGV("TERM=xterm"), ARGV(built("fairdial"), "top", "--dir", s->dir), &before);
		long end = now_ms() + LIMIT_MS;

		process_expect(p, "q quit", LIMIT_MS);
		assert_int_equal(ioctl(p->in, TIOCSWINSZ, &large), 0);
		while (!waits_in(p, SYS_write)) {
			process_say(p, "h\014x\014");
			assert_true(now_ms() < end);
			poll(NULL, 0, 10);
		}
		process_signal(p, numbers[i]);
		process_wait(p, LIMIT_MS);
		assert_int_equal(p->signal, numbers[i] == SIGINT ? 0 : numbers[i]);
		assert_put_back(p, &before);
	}
}

/* By a person, who ends it from elsewhere: while it writes a frame, and while it shows the cursor. */
static void output_that_was_stopped_does_not_keep_it(void **state)
{
	static const char *const keys[] = { "h", "/" };
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);

	(void)state;
	need_curses();
	if (access("/proc/self/syscall", R_OK))
		skip_because("no /proc/PID/syscall here");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct process *p = start_on_terminal(ARGV("TERM=xterm"),
						      ARGV(built("fairdial"), "top", "--interval", "1h", "--dir", s->dir), NULL);
		long end = now_ms() + LIMIT_MS;
		struct termios modes;

		process_expect(p, "q quit", LIMIT_MS);
		assert_int_equal(tcgetattr(p->in, &modes), 0);
		assert_true(modes.c_iflag & IXON);
		process_say(p, "\023");
		process_say(p, keys[i]);
		while (!waits_in(p, SYS_write)) {
			assert_true(now_ms() < end);
			poll(NULL, 0, 10);
		}
		process_signal(p, SIGTERM);
		process_wait(p, LIMIT_MS);
		assert_int_equal(p->signal, SIGTERM);
		assert_true(is_last(p->out_text, LEAVES_SCREEN, TAKES_SCREEN));
	}
}

/* What is ignored from the start stays so: nohup. */
static void signal_that_is_ignored_stays_ignored(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	const char *line = format("trap '' HUP; exec %s top --interval 100ms --dir %s", built("fairdial"), s->dir);
	struct process *p;

	(void)state;
	need_curses();
	p = start_on_terminal(ARGV("TERM=xterm"), ARGV("sh", "-c", line), NULL);
	process_expect(p, "q quit", LIMIT_MS);
	process_signal(p, SIGHUP);
	process_say(p, "h");
	process_expect(p, "Any key goes back.", LIMIT_MS);
	process_say(p, "xq");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
}

static void lost_terminal_ends_it(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	const char *line = format("trap '' HUP; exec %s top --dir %s", built("fairdial"), s->dir);
	struct process *p;

	(void)state;
	need_curses();
	p = start_on_terminal(ARGV("TERM=xterm"), ARGV("sh", "-c", line), NULL);
	process_expect(p, "q quit", LIMIT_MS);
	close(p->out);
	p->out = -1;
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
}

/* ---- colours, and what must not arrive ---- */

static char *shown_with(const char *const *env, const char *dir)
{
	struct process *p = start_on_terminal(env, ARGV(built("fairdial"), "top", "--dir", dir), NULL);

	process_expect(p, "q quit", LIMIT_MS);
	process_say(p, "q");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	return p->out_text;
}

static void colours_only_where_they_are_wanted(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);

	(void)state;
	need_curses();
	assert_non_null(strstr(shown_with(ARGV("TERM=xterm-256color", "NO_COLOR"), s->dir), "\033[30m\033[42m"));
	assert_null(strstr(shown_with(ARGV("TERM=xterm-256color", "NO_COLOR=1"), s->dir), "\033[42m"));
	assert_null(strstr(shown_with(ARGV("TERM=xterm-256color", "NO_COLOR=1"), s->dir), "\033[32m"));
	assert_null(strstr(shown_with(ARGV("TERM=vt100", "NO_COLOR"), s->dir), "\033[42m"));
}

/* A table may say anything: its writer is trusted with dials, and not with this terminal. */
static void hostile_names_do_not_reach_the_terminal(void **state)
{
	struct table_builder *b = builder_new();
	struct services *s = services_open();
	const char *shown;
	json_t *json;
	struct process *p;

	(void)state;
	builder_service(b, "\033[31mred\a", "10.96.0.1")->namespace = builder_text(b, "n\x9bs\r\n");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80")->endpoints[0].zone = builder_text(b, "\033]0;owned\a");
	b->spec.source = builder_text(b, "\033[6nsource\xff");
	publish_alone(s->dir, b);
	p = run(ARGV("LC_ALL=C.UTF-8"), built("fairdial"), "top", "--once", "--dir", s->dir, "--interval", "100ms", NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "?[31mred?.n?s??"));
	for (const char *at = p->out_text; *at; at++)
		assert_true(*at == '\n' || (unsigned char)*at >= ' ');
	p = run(NULL, built("fairdial"), "top", "--once", "--json", "--dir", s->dir, "--interval", "100ms", NULL);
	assert_clean(p);
	json = json_loads(p->out_text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	json_decref(json);
	assert_fits_schema("top", p->out_text);
	if (!has_curses())
		return;
	shown = shown_with(ARGV("TERM=xterm", "LC_ALL=C.UTF-8", "NO_COLOR=1"), s->dir);
	assert_non_null(strstr(shown, "?[31mred?"));
	assert_null(strstr(shown, "\033[31m"));
	assert_null(strstr(shown, "\033]0;"));
	assert_null(strstr(shown, "\033[6n"));
	assert_null(strstr(shown, "\x9bs"));
	assert_null(strchr(shown, '\a'));
}

/* ---- terminals that will not do ---- */

static void assert_refuses_terminal(const char *const *env, const char *dir, const char *why)
{
	struct process *p = start_on_terminal(env, ARGV(built("fairdial"), "top", "--dir", dir), NULL);

	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
	if (!strstr(p->out_text, why) || !strstr(p->out_text, "fairdial top --once") || lines_of(p->out_text) != 1)
		fail_msg("does not say \"%s\" in one line: %s", why, p->out_text);
	assert_null(strchr(p->out_text, '\033'));
}

static void terminal_that_cannot_be_drawn_on_is_told_in_one_line(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);

	(void)state;
	need_curses();
	assert_refuses_terminal(ARGV("TERM"), s->dir, "TERM is not set");
	assert_refuses_terminal(ARGV("TERM="), s->dir, "TERM is not set");
	assert_refuses_terminal(ARGV("TERM=non\033[31msense"), s->dir, "no terminal of the kind 'non?[31msense' (TERM) is known");
	assert_refuses_terminal(ARGV("TERM=dumb"), s->dir, "a terminal of the kind 'dumb' (TERM) cannot be drawn on");
}

static void without_a_terminal_it_names_the_way(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *p = run(NULL, built("fairdial"), "top", "--dir", s->dir, NULL);

	(void)state;
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "is not a terminal: see one frame with `fairdial top --once`"));
}

static void without_a_table_it_says_what_status_says(void **state)
{
	const char *dir = scratch_dir();
	struct process *p = run(NULL, built("fairdial"), "top", "--once", "--dir", dir, NULL);

	(void)state;
	assert_error(p, 1);
	assert_string_equal(strchr(p->err_text, ':'),
			    strchr(run(NULL, built("fairdial"), "status", "--dir", dir, NULL)->err_text, ':'));
	if (!has_curses())
		return;
	p = start_on_terminal(ARGV("TERM=xterm"), ARGV(built("fairdial"), "top", "--dir", dir), NULL);
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
	assert_int_equal(lines_of(p->out_text), 1);
	assert_null(strchr(p->out_text, '\033'));
}

/* An image of nothing but the tree: no description of any terminal, but those that came along. */
static void installed_tool_draws_where_there_is_nothing_else(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	const char *root = tree_of_build();
	struct process *p;

	(void)state;
	need_curses();
	assert_clean(run(NULL, built("fairdial"), "publish", "--services", s->file, "--dir", format("%s/pod", root), NULL));
	p = process_start(&(struct start){ .argv = ARGV("/bin/fairdial", "top", "--dir", "/pod"),
					   .env = ARGV("TERM=xterm-256color", "FAIRDIAL_DIR"),
					   .root = root,
					   .on_terminal = true });
	process_expect(p, "q quit", LIMIT_MS);
	process_say(p, "q");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	p = process_start(&(struct start){
		.argv = ARGV("/bin/fairdial", "top", "--dir", "/pod"),
		.env = ARGV("TERM=vt52"),
		.root = root,
		.on_terminal = true });
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->out_text, "try TERM=xterm"));
}

/* ---- one frame ---- */

static struct process *once(const char *const *env, const struct services *s, const char *more)
{
	struct process *p = run(env, built("fairdial"), "top", "--once", "--interval", "100ms", "--dir", s->dir, more, NULL);

	assert_clean(p);
	return p;
}

static size_t widest(const char *text)
{
	size_t most = 0;

	while (*text) {
		size_t n = 0;

		for (; *text && *text != '\n'; text++)
			n += ((unsigned char)*text & 0xc0) != 0x80;
		text += *text == '\n';
		most = n > most ? n : most;
	}
	return most;
}

static void one_frame_is_plain_text_of_a_given_width(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct process *p, *holder = process_start(&(struct start){
				   .argv = ARGV(built("helpers/dialer"), "--hold", "--count", "9", SERVICE_ADDRESS, "80"),
				   .env = s->env,
				   .interactive = true });

	(void)state;
	process_expect(holder, "ready", LIMIT_MS);
	p = once(ARGV("LC_ALL=C.UTF-8", "COLUMNS"), s, NULL);
	assert_int_equal(widest(p->out_text), 100);
	assert_non_null(strstr(p->out_text, "    3 \u2588\u2588"));
	assert_non_null(strstr(p->out_text, "9 open"));
	assert_null(strchr(p->out_text, '\033'));
	assert_null(strstr(p->out_text, " \n"));
	p = once(ARGV("LC_ALL=C", "COLUMNS=80"), s, NULL);
	assert_int_equal(widest(p->out_text), 80);
	assert_non_null(strstr(p->out_text, "    3 ##"));
	for (const char *at = p->out_text; *at; at++)
		assert_true((unsigned char)*at < 0x80);
	assert_true(widest(once(ARGV("LC_ALL=C", "COLUMNS=20"), s, NULL)->out_text) <= 20);
	assert_non_null(strstr(once(ARGV("LC_ALL=C", "COLUMNS=2147483647"), s, NULL)->out_text, "9 dials, 0 failed"));
	assert_error(run(NULL, built("fairdial"), "top", "--once", "--dir", s->dir, "nobody", NULL), 1);
}

/* A process whose dials go on: rates are above nothing then, and each number is what status says, or more. */
static void one_frame_as_json_fits_its_schema_and_has_rates(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	json_t *json, *row, *endpoint;
	struct process *p, *dialer;
	double rate = 0;

	(void)state;
	dialer = process_start(&(struct start){
		.argv = ARGV("sh", "-c", format("while %s --count 20 " SERVICE_ADDRESS " 80 >/dev/null; do :; done",
						built("helpers/dialer"))),
		.env = s->env });
	for (int i = 0; rate <= 0 && i < 100; i++) {
		p = once(NULL, s, "--json");
		assert_fits_schema("top", p->out_text);
		json = json_loads(p->out_text, 0, NULL);
		row = json_array_get(json_object_get(json, "rows"), 0);
		endpoint = json_array_get(json_object_get(row, "endpoints"), 1);
		assert_string_equal(json_string_value(json_object_get(row, "service")), "web");
		assert_string_equal(json_string_value(json_object_get(endpoint, "state")), "ready");
		rate = json_number_value(json_object_get(json_object_get(json, "totals"), "dials_per_second"));
		json_decref(json);
	}
	process_signal(dialer, SIGKILL);
	assert_true(rate > 0);
}

int main(void)
{
	static const int usual[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU };
	const struct CMUnitTest tests[] = {
		TEST(frame_follows_the_dials),
		TEST(table_that_goes_and_comes_back_is_told),
		TEST(keys_do_what_the_help_says),
		TEST(ten_thousand_services_scroll),
		TEST(any_size_of_the_terminal_will_do),
		TEST(new_size_is_no_key),
		TEST(being_stopped_gives_the_terminal_back_for_a_while),
		TEST(one_that_is_stopped_or_behind_can_be_ended),
		TEST(being_stopped_without_a_word_is_noticed_when_it_goes_on),
		TEST(terminal_is_put_back_however_it_ends),
		TEST(terminal_that_takes_no_more_does_not_keep_it),
		TEST(output_that_was_stopped_does_not_keep_it),
		TEST(signal_that_is_ignored_stays_ignored),
		TEST(lost_terminal_ends_it),
		TEST(colours_only_where_they_are_wanted),
		TEST(hostile_names_do_not_reach_the_terminal),
		TEST(terminal_that_cannot_be_drawn_on_is_told_in_one_line),
		TEST(without_a_terminal_it_names_the_way),
		TEST(without_a_table_it_says_what_status_says),
		TEST(installed_tool_draws_where_there_is_nothing_else),
		TEST(one_frame_is_plain_text_of_a_given_width),
		TEST(one_frame_as_json_fits_its_schema_and_has_rates),
	};

	/* As a terminal's programs have them: under nohup(1), or in the background of a script, some are ignored. */
	for (size_t n = 0; n < sizeof(usual) / sizeof(usual[0]); n++)
		signal(usual[n], SIG_DFL);

	return RUN_TESTS(tests);
}
