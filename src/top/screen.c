/* SPDX-License-Identifier: Apache-2.0 */
#include "top/screen.h"

#include <errno.h>

#ifdef HAVE_CURSES

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "top/canvas.h"
#include "top/keys.h"
#include "top/signals.h"

#define ESCAPE_DELAY_MS 100 /* ncurses waits a second for what might follow Esc */

static struct restore restore;
static SCREEN *screen;
static attr_t attributes[STYLE_COUNT];
static short pairs[STYLE_COUNT];

const char *screen_version(void)
{
	const char *text = curses_version(), *blank = strchr(text, ' ');

	return blank ? blank + 1 : text;
}

/* ---- which terminal ---- */

static void add_terminfo(const char *folder)
{
	const char *given = getenv("TERMINFO_DIRS");
	char *all;

	if (!folder || asprintf(&all, "%s:%s", given ? given : "", folder) < 0) /* an empty one is the system's own */
		return;
	setenv("TERMINFO_DIRS", all, 1);
	free(all);
}

#define ELSE "or see one frame with `fairdial top --once`"

static int check_terminal(struct report *why)
{
	const char *term = getenv("TERM");
	char shown[48];
	int error = 0;

	if (!term || !*term)
		return report(why, -ENOTTY, "TERM is not set: say what terminal this is, as in TERM=xterm, " ELSE);
	text_show(shown, sizeof(shown), term);
	if (setupterm(NULL, STDOUT_FILENO, &error) == OK) {
		bool can_move = cursor_address != NULL;

		del_curterm(cur_term);
		return can_move ? 0 : report(why, -ENOTTY, "a terminal of the kind '%s' (TERM) cannot be drawn on: try "
							   "TERM=xterm, " ELSE, shown);
	}
	if (error == 0)
		return report(why, -ENOTTY, "no terminal of the kind '%s' (TERM) is known here: try TERM=xterm, " ELSE, shown);
	return report(why, -ENOTTY, "no descriptions of terminals (terminfo) are here: install ncurses-base, name their folder in "
				    "TERMINFO, " ELSE);
}

/* ---- putting it back ---- */

static int collect(int c)
{
	if (restore.length < sizeof(restore.bytes))
		restore.bytes[restore.length++] = (char)c;
	return c;
}

static void collect_all(void)
{
	const char *const all[] = { exit_attribute_mode, orig_pair, keypad_local, cursor_normal, exit_ca_mode };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i])
			tputs(all[i], 1, collect);
}

/* ---- */

static const struct {
	attr_t plain, coloured;
	short ink, paper; /* -1: the terminal's own */
} styles[STYLE_COUNT] = {
	[STYLE_PLAIN] = { 0, 0, -1, -1 },
	[STYLE_STRONG] = { A_BOLD, A_BOLD, -1, -1 },
	[STYLE_DIM] = { 0, A_DIM, -1, -1 },
	[STYLE_TITLE] = { A_REVERSE, 0, COLOR_BLACK, COLOR_GREEN },
	[STYLE_SORTED] = { A_REVERSE | A_BOLD, 0, COLOR_BLACK, COLOR_CYAN },
	[STYLE_GOOD] = { 0, 0, COLOR_GREEN, -1 },
	[STYLE_DOUBTFUL] = { 0, 0, COLOR_YELLOW, -1 },
	[STYLE_BAD] = { A_BOLD, A_BOLD, COLOR_RED, -1 },
	[STYLE_OPEN_BAR] = { 0, 0, COLOR_GREEN, -1 },
	[STYLE_RATE_BAR] = { 0, 0, COLOR_CYAN, -1 },
	[STYLE_KEY] = { A_REVERSE, 0, COLOR_BLACK, COLOR_CYAN },
};

static void mix_colours(bool wanted)
{
	bool coloured = wanted && has_colors() && start_color() == OK && use_default_colors() == OK;

	for (short i = 0; i < STYLE_COUNT; i++) {
		bool is_own = styles[i].ink < 0 && styles[i].paper < 0;

		attributes[i] = coloured ? styles[i].coloured : styles[i].plain;
		pairs[i] = coloured && !is_own ? (short)(i + 1) : 0;
		if (pairs[i])
			init_pair(pairs[i], styles[i].ink, styles[i].paper);
	}
}

static void set_modes(void)
{
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	leaveok(stdscr, FALSE);
	curs_set(0);
}

int screen_open(const char *terminfo, bool colours, sigset_t *ret_waiting, struct report *why)
{
	int r;

	add_terminfo(terminfo);
	r = check_terminal(why);
	if (r < 0)
		return r;
	restore.fd = STDOUT_FILENO;
	if (tcgetattr(restore.fd, &restore.modes) < 0)
		return report(why, -errno, "cannot ask the terminal for its modes: %s", strerror(errno));
	if (!getenv("ESCDELAY"))
		set_escdelay(ESCAPE_DELAY_MS);
	restore.length = 0;
	signals_begin(&restore, ret_waiting); /* ncurses leaves alone what somebody handles */
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		signals_done();
		return report(why, -ENOTTY, "cannot draw on this terminal: try TERM=xterm, " ELSE);
	}
	collect_all();
	mix_colours(colours);
	signals_enter_write();
	set_modes();
	signals_leave_write();
	return 0;
}

/* In the background others have it already. */
static void give_back(void)
{
	signals_enter_write();
	if (signals_own_terminal(restore.fd)) {
		if (!isendwin()) {
			curs_set(1);
			endwin();
		}
		tcsetattr(restore.fd, TCSANOW, &restore.modes);
	}
	signals_leave_write();
}

void screen_close(void)
{
	if (!screen)
		return;
	give_back();
	delscreen(screen);
	screen = NULL;
	signals_done();
}

int screen_height(void)
{
	return LINES;
}

int screen_width(void)
{
	return COLS;
}

/* A console of Linux has halves of blocks in its font, and no eighths. */
void screen_canvas(struct canvas *c)
{
	const char *term = getenv("TERM");

	c->utf8 = canvas_locale_is_utf8();
	c->bar_steps = term && strncmp(term, "linux", 5) == 0 ? 2 : 8;
}

void screen_line(int y, const struct canvas *c)
{
	for (int at = 0, n; at < c->width; at += n) {
		uint8_t style = c->style[at];

		for (n = 1; at + n < c->width && c->style[at + n] == style; n++)
			;
		attr_set(attributes[style], pairs[style], NULL);
		mvaddnwstr(y, at, c->text + at, n);
	}
	attr_set(A_NORMAL, 0, NULL);
}

void screen_show(int y, int x)
{
	move(x >= 0 ? y : LINES - 1, x < 0 ? 0 : x < COLS ? x : COLS - 1);
	signals_enter_write();
	curs_set(x >= 0); /* which is written at once */
	refresh();
	signals_leave_write();
}

void screen_forget(void)
{
	clearok(curscr, TRUE);
}

static uint32_t press_of(wint_t code)
{
	static const struct {
		wint_t code;
		enum press press;
	} all[] = {
		{ KEY_UP, PRESS_UP },	      { KEY_DOWN, PRESS_DOWN },	      { KEY_LEFT, PRESS_LEFT },
		{ KEY_RIGHT, PRESS_RIGHT },   { KEY_PPAGE, PRESS_PAGE_UP },   { KEY_NPAGE, PRESS_PAGE_DOWN },
		{ KEY_HOME, PRESS_HOME },     { KEY_END, PRESS_END },	      { KEY_ENTER, PRESS_ENTER },
		{ KEY_BACKSPACE, PRESS_BACKSPACE }, { KEY_F(1), PRESS_F1 },   { KEY_F(3), PRESS_F3 },
		{ KEY_F(4), PRESS_F4 },	      { KEY_F(6), PRESS_F6 },	      { KEY_F(10), PRESS_F10 },
		{ KEY_FIND, PRESS_HOME },     { KEY_SELECT, PRESS_END },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].code == code)
			return all[i].press;
	return PRESS_OTHER;
}

uint32_t screen_key(void)
{
	wint_t code;
	int r;

	do
		r = get_wch(&code);
	while (r == KEY_CODE_YES && code == KEY_RESIZE); /* by resizeterm: nobody has pressed it */
	if (r == ERR)
		return PRESS_NONE;
	return r == KEY_CODE_YES ? press_of(code) : code ? code : (uint32_t)PRESS_OTHER;
}

void screen_resized(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
	clearok(curscr, TRUE);
}

/* It may have been stopped by SIGSTOP, of which nobody is told: then a shell has taken the terminal as it was. */
void screen_resumed(void)
{
	signals_enter_write();
	endwin();
	signals_leave_write();
	screen_resized();
}

void screen_stop(void)
{
	give_back();
	signals_stop();
	screen_resized();
}

#else

const char *screen_version(void)
{
	return NULL;
}

int screen_open(const char *terminfo, bool colours, sigset_t *ret_waiting, struct report *why)
{
	(void)terminfo, (void)colours, (void)ret_waiting;
	return report(why, -ENOTSUP, "this fairdial was built without ncurses: see one frame with `fairdial top --once`");
}

void screen_close(void)
{
}

int screen_height(void)
{
	return 0;
}

int screen_width(void)
{
	return 0;
}

void screen_canvas(struct canvas *c)
{
	(void)c;
}

void screen_line(int y, const struct canvas *c)
{
	(void)y, (void)c;
}

void screen_show(int y, int x)
{
	(void)y, (void)x;
}

void screen_forget(void)
{
}

uint32_t screen_key(void)
{
	return 0;
}

void screen_resized(void)
{
}

void screen_resumed(void)
{
}

void screen_stop(void)
{
}

#endif
