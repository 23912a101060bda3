/* SPDX-License-Identifier: Apache-2.0 */
#include "top/keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "base/duration.h"

#define CTRL(c) ((c) & 0x1f)

const char *const keys_help[] = {
	"fairdial top: who holds how many connections, how many dials go where, how even it is",
	"",
	"  q  F10  ^C            quit                      space  p            pause, and go on",
	"  <  >  F6              the column that sorts     r  I                the other way round",
	"  /  F3  F4  \\          show only what has a text: a Service, an address, a zone; Esc: all",
	"  up  down  PgUp  PgDn  Home  End                 scroll",
	"  -  +                  Services alone, and with their endpoints",
	"  d  s                  how often to look         ^L                  draw all anew",
	"",
	"OPEN counts open connections of this pod, DIALS and FAILED all dials since the table was made,",
	"by the address of the endpoint. A bar compares the endpoints of one Service: its scale ends a",
	"little above the busiest one. Evenness is Jain's index of the dials over the usable endpoints:",
	"1 is even. \"random\" is what picking at random would have given for as many dials.",
	"",
	"Any key goes back.",
	NULL,
};

/* ---- typing ---- */

static void add_character(char *text, size_t size, uint32_t character)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	size_t n = wcrtomb(bytes, (wchar_t)character, &state), len = strlen(text);

	if (n == (size_t)-1 || len + n >= size)
		return;
	memcpy(text + len, bytes, n);
	text[len + n] = '\0';
}

static void drop_character(char *text)
{
	size_t len = strlen(text);

	while (len && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
		len--;
	text[len ? len - 1 : 0] = '\0';
}

/* True where the key was one that types. */
static bool type(char *text, size_t size, uint32_t press)
{
	if (press == PRESS_BACKSPACE || press == 127 || press == CTRL('h'))
		drop_character(text);
	else if (press == CTRL('u'))
		text[0] = '\0';
	else if (press >= ' ' && press < PRESS_UP)
		add_character(text, size, press);
	else
		return false;
	return true;
}

static bool is_enter(uint32_t press)
{
	return press == PRESS_ENTER || press == '\n' || press == '\r';
}

/* What is typed is looked for at once. */
static enum keys_outcome press_filter(struct keys *k, struct choices *c, uint32_t press)
{
	if (press == PRESS_ESCAPE)
		c->filter[0] = '\0';
	else if (type(c->filter, sizeof(c->filter), press))
		c->first = 0;
	if (press == PRESS_ESCAPE || is_enter(press))
		k->mode = KEYS_WATCH;
	return KEYS_CHANGED;
}

static void take_interval(struct keys *k, struct choices *c)
{
	uint32_t ms;

	if (k->input[0] == '\0') {
		k->mode = KEYS_WATCH;
		return;
	}
	if (duration_parse(k->input, strlen(k->input), &ms) < 0) {
		k->said = "a duration such as 500ms, 2s or 1m is wanted";
	} else if (ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS) {
		k->said = "from 100ms to 1h";
	} else {
		c->interval_ms = ms;
		k->mode = KEYS_WATCH;
	}
}

static enum keys_outcome press_interval(struct keys *k, struct choices *c, uint32_t press)
{
	k->said = NULL;
	if (press == PRESS_ESCAPE)
		k->mode = KEYS_WATCH;
	else if (is_enter(press))
		take_interval(k, c);
	else
		type(k->input, sizeof(k->input), press);
	return KEYS_CHANGED;
}

/* ---- watching ---- */

static void scroll(struct choices *c, bool down, size_t by, size_t page, size_t line_count)
{
	size_t last = line_count > page ? line_count - page : 0;

	if (c->first > last)
		c->first = last;
	if (down)
		c->first = last - c->first > by ? c->first + by : last;
	else
		c->first = c->first > by ? c->first - by : 0;
}

static enum keys_outcome press_scroll(struct choices *c, uint32_t press, size_t page, size_t line_count)
{
	size_t leaf = page > 1 ? page - 1 : 1;

	switch (press) {
	case PRESS_UP:
	case 'k':
		scroll(c, false, 1, page, line_count);
		return KEYS_SCROLLED;
	case PRESS_DOWN:
	case 'j':
		scroll(c, true, 1, page, line_count);
		return KEYS_SCROLLED;
	case PRESS_PAGE_UP:
	case CTRL('b'):
		scroll(c, false, leaf, page, line_count);
		return KEYS_SCROLLED;
	case PRESS_PAGE_DOWN:
	case CTRL('f'):
		scroll(c, true, leaf, page, line_count);
		return KEYS_SCROLLED;
	case PRESS_HOME:
	case 'g':
		scroll(c, false, SIZE_MAX, page, line_count);
		return KEYS_SCROLLED;
	case PRESS_END:
	case 'G':
		scroll(c, true, SIZE_MAX, page, line_count);
		return KEYS_SCROLLED;
	default:
		return KEYS_NOTHING;
	}
}

static void turn_sort(struct choices *c, int by)
{
	c->sort = (enum sort_key)(((int)c->sort + by + SORT_COUNT) % SORT_COUNT);
	c->first = 0;
}

static enum keys_outcome press_choice(struct keys *k, struct choices *c, uint32_t press)
{
	switch (press) {
	case ' ':
	case 'p':
		c->paused = !c->paused;
		return KEYS_CHANGED;
	case '<':
	case PRESS_LEFT:
		turn_sort(c, -1);
		return KEYS_CHANGED;
	case '>':
	case PRESS_RIGHT:
	case PRESS_F6:
		turn_sort(c, 1);
		return KEYS_CHANGED;
	case 'r':
	case 'I':
		c->reverse = !c->reverse;
		return KEYS_CHANGED;
	case '-':
	case '+':
	case '=':
		c->collapsed = press == '-';
		c->first = 0;
		return KEYS_CHANGED;
	case '/':
	case '\\':
	case PRESS_F3:
	case PRESS_F4:
		k->mode = KEYS_FILTER;
		return KEYS_CHANGED;
	case PRESS_ESCAPE:
		c->filter[0] = '\0';
		return KEYS_CHANGED;
	case 'd':
	case 's':
		k->mode = KEYS_INTERVAL;
		k->input[0] = '\0';
		k->said = NULL;
		return KEYS_CHANGED;
	case 'h':
	case '?':
	case PRESS_F1:
		k->mode = KEYS_HELP;
		return KEYS_CHANGED;
	default:
		return KEYS_NOTHING;
	}
}

enum keys_outcome keys_press(struct keys *k, struct choices *c, uint32_t press, size_t page, size_t line_count)
{
	enum keys_outcome outcome;

	if (press == CTRL('l'))
		return KEYS_REDRAW;
	if (press == PRESS_F10 || press == CTRL('c'))
		return KEYS_QUIT;
	switch (k->mode) {
	case KEYS_FILTER:
		return press_filter(k, c, press);
	case KEYS_INTERVAL:
		return press_interval(k, c, press);
	case KEYS_HELP:
		k->mode = KEYS_WATCH;
		return KEYS_CHANGED;
	default:
		break;
	}
	if (press == 'q')
		return KEYS_QUIT;
	outcome = press_scroll(c, press, page, line_count);
	return outcome == KEYS_NOTHING ? press_choice(k, c, press) : outcome;
}

/* ---- the foot ---- */

void keys_print_foot(const struct keys *k, const struct choices *c, char *buf, size_t size)
{
	char every[DURATION_TEXT];

	switch (k->mode) {
	case KEYS_FILTER:
		snprintf(buf, size, "Filter (Enter: keep, Esc: all): %s", c->filter);
		break;
	case KEYS_INTERVAL:
		snprintf(buf, size, "%s%sInterval, now %s: %s", k->said ? k->said : "", k->said ? ". " : "",
			 duration_print(c->interval_ms, every), k->input);
		break;
	default:
		snprintf(buf, size, "q quit  h help  / filter%s%s  <> sort: %s  space %s  -+ fold  s every %s",
			 c->filter[0] ? ": " : "", c->filter, sort_key_name(c->sort), c->paused ? "go on" : "pause",
			 duration_print(c->interval_ms, every));
		break;
	}
}
