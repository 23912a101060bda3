/* SPDX-License-Identifier: Apache-2.0 */
/* What of a text of somebody else's is shown, where no C library helps. */
#include "support/testing.h"

#include <errno.h>
#include <string.h>

#include "base/report.h"
#include "base/text.h"
#include "support/cleanup.h"
#include "support/process.h"

static const char *plain(const char *text)
{
	char *copy = format("%s", text);

	text_make_plain(copy, strlen(copy));
	return copy;
}

static void what_a_terminal_obeys_is_taken_out(void **state)
{
	(void)state;
	assert_string_equal(plain("a\033[31mb\a\177\n\r\tc"), "a?[31mb?????c");
	assert_string_equal(plain("\xc2\x9b" "31m\xc2\x9d" "0;x\xc2\x80\xc2\x9f"), "??31m??0;x????");	 /* CSI, OSC: C1 in UTF-8 */
	assert_string_equal(plain("\x9b" "2J\x9d"), "?2J?");						 /* the same in one byte */
}

static void what_turns_the_direction_of_writing_is_taken_out(void **state)
{
	(void)state;
	assert_string_equal(plain("a\xe2\x80\xae" "b\xe2\x80\x8f\xd8\x9c"), "a???b?????");
	assert_string_equal(plain("\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\xa8"), "?????????");
}

static void other_text_is_as_it_is(void **state)
{
	static const char *const texts[] = { "", "web.shop", "\xc3\xbc\xc3\x9b", "\xc2\xa0", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					     "a~ b" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_string_equal(plain(texts[i]), texts[i]);
}

/* One that is cut off in the middle, too long a form, a surrogate, beyond the last. */
static void what_is_no_utf8_is_taken_out(void **state)
{
	(void)state;
	assert_string_equal(plain("\xff\xc3"), "??");
	assert_string_equal(plain("a\xe2\x82"), "a??");
	assert_string_equal(plain("\xc0\x9b[\xe0\x80\x9b"), "??[???");
	assert_string_equal(plain("\xed\xa0\x80\xf4\x90\x80\x80\xf8\x88\x80\x80\x80"), "????????????");
}

static void no_byte_beyond_the_length_is_looked_at(void **state)
{
	char text[] = "\xe2\x82\xac";

	(void)state;
	text_make_plain(text, 2);
	assert_string_equal(text, "??\xac");
	text_make_plain(text, 0);
	assert_string_equal(text, "??\xac");
}

static void report_of_a_long_path_keeps_what_failed_and_why(void **state)
{
	char path[4096];
	struct report r;
	size_t limit = sizeof(r.text) - 1, more = strlen("cannot open : too long");

	(void)state;
	memset(path, 'x', sizeof(path));
	for (size_t len = limit - 30; len < limit + 10; len++) {
		assert_int_equal(report(&r, -ENAMETOOLONG, "cannot open %.*s: too long", (int)len, path), -ENAMETOOLONG);
		assert_int_equal(strlen(r.text), len + more < limit ? len + more : limit);
		assert_int_equal(strncmp(r.text, "cannot open xxx", 15), 0);
		assert_string_equal(r.text + strlen(r.text) - 11, "x: too long");
		assert_int_equal(!strstr(r.text, "x...x"), len + more <= limit);
	}
	report(&r, 0, "cannot open %.*s: too long", (int)sizeof(path), path);
	assert_string_equal(r.text + limit - 11, "x: too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(report_of_a_long_path_keeps_what_failed_and_why),
		TEST(what_a_terminal_obeys_is_taken_out),
		TEST(what_turns_the_direction_of_writing_is_taken_out),
		TEST(other_text_is_as_it_is),
		TEST(what_is_no_utf8_is_taken_out),
		TEST(no_byte_beyond_the_length_is_looked_at),
	};

	return RUN_TESTS(tests);
}
