/* SPDX-License-Identifier: Apache-2.0 */
/* How a frame of `fairdial top` becomes lines: at any width, with any text in it, and with bars that tell the truth. */
#include "support/testing.h"

#include <locale.h>
#include <wctype.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/tops.h"
#include "top/choices.h"
#include "top/draw.h"
#include "top/rates.h"
#include "view/snapshot.h"

static void use_utf8(struct canvas *c)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8") && !setlocale(LC_CTYPE, "en_US.UTF-8"))
		skip_because("no locale of UTF-8 is installed");
	assert_true(canvas_locale_is_utf8());
	c->utf8 = true;
	c->bar_steps = 8;
}

static void use_ascii(struct canvas *c)
{
	assert_non_null(setlocale(LC_CTYPE, "C"));
	assert_false(canvas_locale_is_utf8());
	c->utf8 = false;
}

/* Without the blanks at its end, as multibyte characters. */
static char *text_of(const struct canvas *c)
{
	char buf[4 * CANVAS_MAX + 1];
	size_t n = wcstombs(buf, c->text, sizeof(buf));

	assert_true(n < sizeof(buf));
	while (n && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
	return format("%s", buf);
}

static void assert_put(struct canvas *c, const char *text, int room, const char *expected)
{
	canvas_clear(c, 40, STYLE_PLAIN);
	canvas_put(c, 0, room, STYLE_PLAIN, text);
	assert_string_equal(text_of(c), expected);
}

/* ---- texts of others ---- */

static void text_arrives_without_what_a_terminal_obeys(void **state)
{
	struct canvas c = { 0 };

	(void)state;
	use_ascii(&c);
	assert_put(&c, "web", 40, "web");
	assert_put(&c, "\033[31mred\r\n\a\x7f", 40, "?[31mred????");
	assert_put(&c, "\xc2\x9b" "31m", 40, "??31m");
	assert_put(&c, "\x9b" "31m", 40, "?31m");
	use_utf8(&c);
	assert_put(&c, "\033[31mred\r\n\a\x7f", 40, "?[31mred????");
	assert_put(&c, "\xc2\x9b" "31m", 40, "?31m");	     /* CSI as one character */
	assert_put(&c, "\x9b" "31m\xff\xc0\x80", 40, "?31m???"); /* no UTF-8 */
	assert_put(&c, "a\u202eb\u200bc\u0301", 40, "a?b?c?");  /* the other way round; no width; onto the one before */
	assert_put(&c, "\u4e2d", 40, "?");		     /* two columns */
	assert_put(&c, "\u00fcber", 40, "\u00fcber");
	assert_put(&c, "cut \xc3", 40, "cut ?");
}

static void text_that_is_cut_says_so(void **state)
{
	struct canvas c = { 0 };

	(void)state;
	use_ascii(&c);
	assert_put(&c, "12345", 5, "12345");
	assert_put(&c, "123456", 5, "1234~");
	assert_put(&c, "123456", 0, "");
	assert_put(&c, "123456", -3, "");
	use_utf8(&c);
	assert_put(&c, "123456", 5, "1234\u2026");
	canvas_clear(&c, 4, STYLE_PLAIN);
	canvas_put(&c, 2, 40, STYLE_PLAIN, "abc");
	assert_string_equal(text_of(&c), "  a\u2026");
	canvas_put(&c, 4, 40, STYLE_PLAIN, "abc");
	canvas_put(&c, -1, 40, STYLE_PLAIN, "abc");
	assert_string_equal(text_of(&c), "  a\u2026");
}

/* ---- bars ---- */

static void assert_bar(struct canvas *c, double share, const char *expected)
{
	canvas_clear(c, 10, STYLE_PLAIN);
	canvas_bar(c, 1, 8, STYLE_PLAIN, share);
	assert_string_equal(text_of(c), expected);
}

static void bar_is_as_long_as_its_share(void **state)
{
	struct canvas c = { 0 };

	(void)state;
	use_ascii(&c);
	assert_bar(&c, 0, "");
	assert_bar(&c, 0.0001, " #");
	assert_bar(&c, 0.5, " ####");
	assert_bar(&c, 1, " ########");
	assert_bar(&c, 7, " ########");
	assert_bar(&c, -1, "");
	assert_bar(&c, 0.0 / 0.0, "");
	use_utf8(&c);
	assert_bar(&c, 0.0001, " \u258f");
	assert_bar(&c, 0.5, " \u2588\u2588\u2588\u2588");
	assert_bar(&c, 0.5 + 3.0 / 64, " \u2588\u2588\u2588\u2588\u258d");
	assert_bar(&c, 1, " \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588");
	c.bar_steps = 2;
	assert_bar(&c, 0.5 + 1.0 / 16, " \u2588\u2588\u2588\u2588\u258c");
}

/* ---- columns ---- */

static void columns_follow_each_other_at_every_width(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct choices choices = { 0 };
	struct rates rates = { 0 };
	struct frame frame;

	(void)state;
	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	for (int width = 1; width <= 400; width++) {
		struct plan plan;
		int end = 0;

		draw_plan(&frame, width, &plan);
		for (int col = 0; col < COL_COUNT; col++) {
			if (!plan.width[col])
				continue;
			assert_true(plan.width[col] > 0 && plan.at[col] > end - (end == 0));
			end = plan.at[col] + plan.width[col];
		}
		if (width >= 4)
			assert_true(end <= width);
		assert_true(width < 20 || plan.width[COL_ADDRESS] >= 12);
		assert_true(width < 60 || (plan.width[COL_OPEN] && plan.width[COL_RATE]));
		if (width >= 100)
			for (int col = 0; col < COL_COUNT; col++)
				assert_true(plan.width[col]);
	}
	frame_free(&frame);
}

static void assert_fit_to_print(const struct canvas *c, int width)
{
	assert_int_equal(c->width, width);
	assert_int_equal(wcslen(c->text), width);
	for (int i = 0; i < width; i++)
		if (!iswprint((wint_t)c->text[i]) || wcwidth(c->text[i]) != 1 || c->style[i] >= STYLE_COUNT)
			fail_msg("column %d of %d: U+%04X", i, width, (unsigned)c->text[i]);
}

static void draw_everything(const struct frame *f, int width, struct canvas *c)
{
	static const struct told told = { "gone\033[2J" };
	struct frame_line lines[64];
	int n = frame_lines(f, 0, 64, lines);
	struct plan plan;
	size_t i = 0;

	draw_table(f, true, width, c);
	assert_fit_to_print(c, width);
	draw_sums(f, width, c);
	assert_fit_to_print(c, width);
	for (; draw_trouble(f, &told, i, width, c); i++)
		assert_fit_to_print(c, width);
	assert_int_equal(i, 4);
	draw_plan(f, width, &plan);
	draw_titles(f, &plan, true, width, c);
	assert_fit_to_print(c, width);
	for (int line = 0; line < n; line++) {
		draw_line(f, &plan, &lines[line], width, c);
		assert_fit_to_print(c, width);
	}
}

static void hostile_names_leave_every_line_whole_at_every_width(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct snapshot_service *web = &s->services[3];
	struct choices choices = { .paused = true };
	struct canvas c = { .bar_steps = 8 };
	struct rates rates = { 0 };
	struct frame frame;

	(void)state;
	memset(web->name, '\033', sizeof(web->name)); /* without an end, too */
	snprintf(web->namespace, sizeof(web->namespace), "\x9b\x32J\u202e\u4e2d\r\n");
	snprintf(web->ports[0].endpoints[0].zone, TABLE_NAME_SIZE, "\033]0;title\a");
	snprintf(web->stand_down, sizeof(web->stand_down), "\033c");
	snprintf(s->source, sizeof(s->source), "\033[6n");
	snprintf(s->trouble, sizeof(s->trouble), "\033P$q\033\\");
	s->is_static = false;
	s->has_note = true;
	s->silent_ms = 60000;
	s->ledger_error = -13;
	web->ports[0].endpoints[1].score =
		(struct ledger_score){ .dials = UINT32_MAX, .active = UINT32_MAX, .failures = UINT32_MAX };
	for (int utf8 = 0; utf8 < 2; utf8++) {
		(utf8 ? use_utf8 : use_ascii)(&c);
		assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
		for (int width = 1; width <= 300; width += width < 130 ? 1 : 17)
			draw_everything(&frame, width, &c);
		frame_free(&frame);
	}
}

static char *service_line(const struct frame *f, size_t line, int width, struct canvas *c)
{
	struct frame_line l;
	struct plan plan;

	draw_plan(f, width, &plan);
	assert_int_equal(frame_lines(f, line, 1, &l), 1);
	draw_line(f, &plan, &l, width, c);
	return text_of(c);
}

/* What stands at the left end of the first line, and at its right end. */
static void assert_service_line(const struct frame *f, int width, struct canvas *c, const char *left, const char *right)
{
	const char *line = service_line(f, 0, width, c);
	int blanks = width - (int)strlen(left) - (int)strlen(right);

	assert_string_equal(line, format("%s%*s%s", left, *right ? blanks : 0, "", right));
}

static void service_says_less_where_there_is_less_room(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct choices choices = { .sort = SORT_STATE };
	struct canvas c = { 0 };
	struct rates rates = { 0 };
	struct frame frame;

	(void)state;
	use_ascii(&c);
	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	assert_service_line(&frame, 100, &c, "web.shop  10.96.0.1:80  on  least_conn  evenness 0.563  (random 0.972)",
			    "10 open  -/s");
	assert_service_line(&frame, 80, &c, "web.shop  10.96.0.1:80  least_conn  evenness 0.563  (random 0.972)", "10 open  -/s");
	assert_service_line(&frame, 60, &c, "web.shop  10.96.0.1:80  evenness 0.563", "10 open  -/s");
	assert_service_line(&frame, 40, &c, "web.shop  10.96.0.1:80", "10 open  -/s");
	assert_service_line(&frame, 26, &c, "web.shop", "10 open  -/s");
	assert_string_equal(service_line(&frame, 0, 5, &c), "web.~");
	assert_string_equal(service_line(&frame, 1, 100, &c),
			    "  10.0.0.4:80       0                     -                  0       3  ejected for 12 s  zone-b");
	frame_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_arrives_without_what_a_terminal_obeys),
		TEST(text_that_is_cut_says_so),
		TEST(bar_is_as_long_as_its_share),
		TEST(columns_follow_each_other_at_every_width),
		TEST(hostile_names_leave_every_line_whole_at_every_width),
		TEST(service_says_less_where_there_is_less_room),
	};

	return RUN_TESTS(tests);
}
