/* SPDX-License-Identifier: Apache-2.0 */
/* What the keys of `fairdial top` do. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "top/keys.h"

enum { PAGE = 10, LINES_SHOWN = 25 };

static enum keys_outcome press(struct keys *k, struct choices *c, uint32_t key)
{
	return keys_press(k, c, key, PAGE, LINES_SHOWN);
}

static void type(struct keys *k, struct choices *c, const char *text)
{
	while (*text)
		assert_int_equal(press(k, c, (uint32_t)*text++), KEYS_CHANGED);
}

static void keys_that_quit_do(void **state)
{
	struct choices c = { 0 };
	struct keys k = { 0 };

	(void)state;
	assert_int_equal(press(&k, &c, 'q'), KEYS_QUIT);
	assert_int_equal(press(&k, &c, PRESS_F10), KEYS_QUIT);
	assert_int_equal(press(&k, &c, 3), KEYS_QUIT);
	assert_int_equal(press(&k, &c, 'Z'), KEYS_NOTHING);
	assert_int_equal(press(&k, &c, PRESS_OTHER), KEYS_NOTHING);
	assert_int_equal(press(&k, &c, 12), KEYS_REDRAW);
}

static void scrolling_stays_within_the_lines(void **state)
{
	static const struct {
		uint32_t key;
		size_t first;
	} steps[] = {
		{ PRESS_UP, 0 },	 { PRESS_DOWN, 1 },    { PRESS_PAGE_DOWN, 10 }, { PRESS_PAGE_DOWN, 15 },
		{ PRESS_DOWN, 15 },	 { PRESS_PAGE_UP, 6 }, { PRESS_HOME, 0 },	{ PRESS_END, 15 },
		{ PRESS_UP, 14 },	 { 'k', 13 },	       { 'j', 14 },		{ 'g', 0 },
		{ 'G', 15 },
	};
	struct choices c = { 0 };
	struct keys k = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		assert_int_equal(press(&k, &c, steps[i].key), KEYS_SCROLLED);
		assert_int_equal(c.first, steps[i].first);
	}
	c.first = 1000; /* there were more lines before */
	assert_int_equal(press(&k, &c, PRESS_UP), KEYS_SCROLLED);
	assert_int_equal(c.first, 14);
	assert_int_equal(keys_press(&k, &c, PRESS_PAGE_DOWN, 0, 0), KEYS_SCROLLED);
	assert_int_equal(c.first, 0);
}

static void columns_take_turns_in_sorting(void **state)
{
	struct choices c = { 0 };
	struct keys k = { 0 };

	(void)state;
	assert_int_equal(press(&k, &c, '>'), KEYS_CHANGED);
	assert_int_equal(c.sort, SORT_OPEN);
	press(&k, &c, PRESS_F6);
	assert_int_equal(c.sort, SORT_RATE);
	press(&k, &c, '<');
	press(&k, &c, '<');
	press(&k, &c, '<');
	assert_int_equal(c.sort, SORT_STATE);
	press(&k, &c, PRESS_RIGHT);
	assert_int_equal(c.sort, SORT_NAME);
	press(&k, &c, 'r');
	assert_true(c.reverse);
	press(&k, &c, 'I');
	assert_false(c.reverse);
	press(&k, &c, '-');
	assert_true(c.collapsed);
	press(&k, &c, '+');
	assert_false(c.collapsed);
	press(&k, &c, ' ');
	assert_true(c.paused);
	press(&k, &c, 'p');
	assert_false(c.paused);
}

static void filter_is_typed_kept_and_cleared(void **state)
{
	const uint32_t begins[] = { '/', '\\', PRESS_F3, PRESS_F4 };
	struct choices c = { .first = 9 };
	struct keys k = { 0 };
	char foot[300];

	(void)state;
	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
		press(&k, &c, begins[i]);
		assert_int_equal(k.mode, KEYS_FILTER);
		type(&k, &c, "q r/x");
		press(&k, &c, PRESS_BACKSPACE);
		press(&k, &c, 127);
		assert_string_equal(c.filter, "q r");
		assert_int_equal(c.first, 0);
		keys_print_foot(&k, &c, foot, sizeof(foot));
		assert_non_null(strstr(foot, ": q r"));
		press(&k, &c, '\r');
		assert_int_equal(k.mode, KEYS_WATCH);
		assert_string_equal(c.filter, "q r");
		press(&k, &c, PRESS_ESCAPE);
		assert_string_equal(c.filter, "");
	}
	press(&k, &c, '/');
	for (int i = 0; i < 500; i++)
		type(&k, &c, "x");
	assert_int_equal(strlen(c.filter), FILTER_SIZE - 1);
	press(&k, &c, 'U' & 0x1f);
	assert_string_equal(c.filter, "");
	press(&k, &c, PRESS_BACKSPACE);
	type(&k, &c, "y");
	press(&k, &c, PRESS_ESCAPE);
	assert_string_equal(c.filter, "");
	assert_int_equal(k.mode, KEYS_WATCH);
	press(&k, &c, '/');
	assert_int_equal(press(&k, &c, PRESS_F10), KEYS_QUIT);
}

static void interval_is_asked_for_until_it_is_one(void **state)
{
	struct choices c = { .interval_ms = 1000 };
	struct keys k = { 0 };
	char foot[300];

	(void)state;
	press(&k, &c, 's');
	assert_int_equal(k.mode, KEYS_INTERVAL);
	type(&k, &c, "soon");
	press(&k, &c, PRESS_ENTER);
	assert_int_equal(k.mode, KEYS_INTERVAL);
	keys_print_foot(&k, &c, foot, sizeof(foot));
	assert_non_null(strstr(foot, "a duration such as 500ms, 2s or 1m is wanted"));
	press(&k, &c, 'U' & 0x1f);
	type(&k, &c, "1ms");
	press(&k, &c, '\n');
	keys_print_foot(&k, &c, foot, sizeof(foot));
	assert_non_null(strstr(foot, "from 100ms to 1h"));
	press(&k, &c, 'U' & 0x1f);
	type(&k, &c, "2.5s");
	press(&k, &c, '\n');
	assert_int_equal(k.mode, KEYS_WATCH);
	assert_int_equal(c.interval_ms, 2500);
	press(&k, &c, 'd');
	type(&k, &c, "1h");
	press(&k, &c, PRESS_ESCAPE);
	assert_int_equal(c.interval_ms, 2500);
	press(&k, &c, 'd');
	press(&k, &c, '\r');
	assert_int_equal(k.mode, KEYS_WATCH);
	assert_int_equal(c.interval_ms, 2500);
}

static void help_goes_away_with_any_key(void **state)
{
	const uint32_t begins[] = { 'h', '?', PRESS_F1 };
	struct choices c = { 0 };
	struct keys k = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
		press(&k, &c, begins[i]);
		assert_int_equal(k.mode, KEYS_HELP);
		assert_int_equal(press(&k, &c, 'q'), KEYS_CHANGED);
		assert_int_equal(k.mode, KEYS_WATCH);
	}
	for (const char *const *line = keys_help; *line; line++)
		assert_true(strlen(*line) <= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_that_quit_do),
		TEST(scrolling_stays_within_the_lines),
		TEST(columns_take_turns_in_sorting),
		TEST(filter_is_typed_kept_and_cleared),
		TEST(interval_is_asked_for_until_it_is_one),
		TEST(help_goes_away_with_any_key),
	};

	return RUN_TESTS(tests);
}
