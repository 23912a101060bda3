/* SPDX-License-Identifier: Apache-2.0 */
#include "top/live.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "top/choices.h"
#include "top/draw.h"
#include "top/keys.h"
#include "top/rates.h"
#include "top/screen.h"
#include "top/signals.h"
#include "view/snapshot.h"

enum { WINDOW_MAX = 1024, TROUBLES_MAX = 3 };

struct live {
	const struct live_source *source;
	struct snapshot *snapshot;
	uint64_t taken_ns, due_ns; /* CLOCK_MONOTONIC */
	struct rates rates;
	struct choices choices;
	struct keys keys;
	struct told told;
	struct frame frame; /* of what was drawn last */
	bool is_stale;	    /* what it is made of has changed */
	size_t page;	    /* lines that it had room for */
	struct canvas canvas;
	struct frame_line lines[WINDOW_MAX];
	struct plan plan;
};

/* ---- looking ---- */

static void tell(struct live *l, int error, const char *why)
{
	struct told *told = &l->told;

	switch (-error) {
	case ENOENT:
		snprintf(told->text, TOLD_SIZE, "the table is gone, and what it said last is shown: waiting for another one");
		break;
	case EBADMSG:
		snprintf(told->text, TOLD_SIZE, "the table is damaged, and what it said last is shown: %s", why);
		break;
	case EPROTO:
		snprintf(told->text, TOLD_SIZE, "the table is of another version now, and what it said last is shown");
		break;
	case ESTALE:
		snprintf(told->text, TOLD_SIZE, "the table is of an earlier boot, and what it said last is shown: no shim believes it");
		break;
	case EPERM:
		snprintf(told->text, TOLD_SIZE, "the table may be changed by another user now, and what it said last is shown");
		break;
	default:
		snprintf(told->text, TOLD_SIZE, "the table cannot be read (%s), and what it said last is shown", strerror(-error));
		break;
	}
}

/* Rates are of the time between two looks that went well. */
static void look(struct live *l)
{
	const struct live_source *s = l->source;
	bool knew = l->told.text[0] == '\0';
	struct report why = { "" };
	uint64_t now;
	int r;

	l->is_stale = true;
	if (knew)
		rates_keep(&l->rates, l->snapshot, l->taken_ns);
	r = snapshot_renew(s->dir, s->trust, s->name, l->snapshot, &why);
	now = clock_read_ns(CLOCK_MONOTONIC);
	if (r < 0) {
		tell(l, r, why.text);
	} else {
		l->told.text[0] = '\0';
		l->taken_ns = now;
		if (knew)
			rates_until(&l->rates, now);
	}
	l->due_ns = now + l->choices.interval_ms * 1000000ull;
}

/* ---- drawing ---- */

/* Which part of a screen of `height` lines has how many: what is below needs what is above it less. */
struct layout {
	int table, sums, troubles, titles, foot;
};

static struct layout lay_out(int height, int troubles)
{
	struct layout l = { .table = height >= 2, .foot = height >= 8 };

	l.sums = height >= 6;
	l.titles = height >= 5;
	l.troubles = troubles < height / 3 ? troubles : height / 3;
	return l;
}

static int count_troubles(struct live *l)
{
	int n = 0;

	while (n < TROUBLES_MAX && draw_trouble(&l->frame, &l->told, (size_t)n, 1, &l->canvas))
		n++;
	return n;
}

/* The prompt of a filter or an interval takes the last line, also of a screen that has no foot otherwise. */
static int draw_foot(struct live *l, int y, int width)
{
	size_t last = l->choices.first + l->page;
	bool asks = l->keys.mode == KEYS_FILTER || l->keys.mode == KEYS_INTERVAL;
	char text[FILTER_SIZE + 200], place[64];
	int end;

	keys_print_foot(&l->keys, &l->choices, text, sizeof(text));
	snprintf(place, sizeof(place), " %zu-%zu of %zu", l->frame.line_count ? l->choices.first + 1 : 0,
		 last < l->frame.line_count ? last : l->frame.line_count, l->frame.line_count);
	canvas_clear(&l->canvas, width, STYLE_KEY);
	end = canvas_put(&l->canvas, 0, asks ? width - 1 : width - (int)strlen(place), STYLE_KEY, text);
	if (!asks)
		canvas_put_right(&l->canvas, width, width, STYLE_KEY, place);
	screen_line(y, &l->canvas);
	return asks ? end : -1;
}

static void draw_help(struct live *l, int height, int width)
{
	const char *const *text = keys_help;

	for (int y = 0; y < height; y++) {
		canvas_clear(&l->canvas, width, STYLE_PLAIN);
		if (*text)
			canvas_put(&l->canvas, 0, width, y ? STYLE_PLAIN : STYLE_STRONG, *text++);
		screen_line(y, &l->canvas);
	}
	screen_show(0, -1);
}

static void put_line(struct live *l, int *y)
{
	screen_line((*y)++, &l->canvas);
}

static int draw_head(struct live *l, const struct layout *layout, int width)
{
	int y = 0;

	if (layout->table) {
		draw_table(&l->frame, true, width, &l->canvas);
		put_line(l, &y);
	}
	if (layout->sums) {
		draw_sums(&l->frame, width, &l->canvas);
		put_line(l, &y);
	}
	for (int i = 0; i < layout->troubles; i++) {
		draw_trouble(&l->frame, &l->told, (size_t)i, width, &l->canvas);
		put_line(l, &y);
	}
	draw_plan(&l->frame, width, &l->plan);
	if (layout->titles) {
		draw_titles(&l->frame, &l->plan, true, width, &l->canvas);
		put_line(l, &y);
	}
	return y;
}

static int draw_body(struct live *l, int y, int width)
{
	size_t last;
	int n;

	last = l->frame.line_count > l->page ? l->frame.line_count - l->page : 0;
	if (l->choices.first > last)
		l->choices.first = last;
	n = frame_lines(&l->frame, l->choices.first, l->page, l->lines);
	for (int i = 0; i < (int)l->page; i++) {
		if (i < n)
			draw_line(&l->frame, &l->plan, &l->lines[i], width, &l->canvas);
		else
			canvas_clear(&l->canvas, width, STYLE_PLAIN);
		put_line(l, &y);
	}
	return n;
}

static int make(struct live *l)
{
	frame_free(&l->frame);
	l->is_stale = false;
	return frame_make(&l->frame, l->snapshot, &l->rates, &l->choices);
}

static int draw(struct live *l)
{
	int height = screen_height(), width = screen_width() < CANVAS_MAX ? screen_width() : CANVAS_MAX, y, x = -1, r;
	bool asks = l->keys.mode == KEYS_FILTER || l->keys.mode == KEYS_INTERVAL;
	struct layout layout;

	r = l->is_stale ? make(l) : 0;
	if (r < 0)
		return r;
	if (l->keys.mode == KEYS_HELP) {
		draw_help(l, height, width);
		return 0;
	}
	layout = lay_out(height, count_troubles(l));
	layout.foot |= asks;
	y = draw_head(l, &layout, width);
	l->page = height > y + layout.foot ? (size_t)(height - y - layout.foot) : 0;
	l->page = l->page < WINDOW_MAX ? l->page : WINDOW_MAX;
	r = draw_body(l, y, width);
	if (layout.foot)
		x = draw_foot(l, height - 1, width);
	screen_show(height - 1, x);
	return r < 0 ? r : 0;
}

/* ---- waiting ---- */

/* Until a key, a signal, or the next look is due: then 0. POLLIN: a key; -EIO: the terminal is gone. */
static int wait_for_something(const struct live *l, const sigset_t *waiting)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t now = clock_read_ns(CLOCK_MONOTONIC), left = l->due_ns > now ? l->due_ns - now : 0;
	struct timespec limit = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
	int bytes = 0, r = ppoll(&keys, 1, l->choices.paused ? NULL : &limit, waiting);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r && (keys.revents & (POLLHUP | POLLERR | POLLNVAL) || ioctl(STDIN_FILENO, FIONREAD, &bytes) < 0 || bytes == 0))
		return -EIO; /* readable without a key: at its end */
	return r ? POLLIN : 0;
}

/* All that were pressed, then one frame. True: one of them quits. */
static bool take_keys(struct live *l, bool *ret_draw)
{
	uint32_t press;

	while ((press = screen_key())) {
		bool was_paused = l->choices.paused;

		switch (keys_press(&l->keys, &l->choices, press, l->page, l->frame.line_count)) {
		case KEYS_QUIT:
			return true;
		case KEYS_REDRAW:
			screen_forget();
			*ret_draw = true;
			break;
		case KEYS_CHANGED:
			l->is_stale = true;
			*ret_draw = true;
			break;
		case KEYS_SCROLLED:
			*ret_draw = true;
			break;
		case KEYS_NOTHING:
			break;
		}
		if (was_paused && !l->choices.paused)
			l->due_ns = 0;
	}
	return false;
}

static bool take_signals(void)
{
	bool draw_again = false;

	if (signals_take(SIGTSTP)) {
		screen_stop();
		draw_again = true;
	}
	if (signals_take(SIGCONT)) {
		screen_resumed();
		draw_again = true;
	}
	if (signals_take(SIGWINCH)) {
		screen_resized();
		draw_again = true;
	}
	return draw_again;
}

static int watch(struct live *l, const sigset_t *waiting)
{
	bool draw_again = true;

	for (;;) {
		uint32_t interval_ms = l->choices.interval_ms;
		int r = draw_again ? draw(l) : 0;

		draw_again = false;
		if (r == 0)
			r = wait_for_something(l, waiting);
		if (signals_end())
			return signals_end();
		if (r < 0 || (r == POLLIN && take_keys(l, &draw_again)))
			return r < 0 ? r : 0;
		draw_again |= take_signals();
		if (signals_end()) /* while it was stopped */
			return signals_end();
		if (interval_ms != l->choices.interval_ms)
			l->due_ns = l->taken_ns + l->choices.interval_ms * 1000000ull;
		if (!l->choices.paused && clock_read_ns(CLOCK_MONOTONIC) >= l->due_ns) {
			look(l);
			draw_again = true;
		}
	}
}

int live_watch(const struct live_source *source, struct snapshot *snapshot, const struct choices *choices, const sigset_t *waiting)
{
	static struct live l; /* too large for a stack */
	int r;

	l = (struct live){ .source = source, .snapshot = snapshot, .choices = *choices, .is_stale = true };
	screen_canvas(&l.canvas);
	l.taken_ns = clock_read_ns(CLOCK_MONOTONIC);
	l.due_ns = l.taken_ns + choices->interval_ms * 1000000ull;
	r = watch(&l, waiting);
	frame_free(&l.frame);
	rates_free(&l.rates);
	return r == SIGINT ? 0 : r;
}
