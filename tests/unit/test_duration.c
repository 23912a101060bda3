/* SPDX-License-Identifier: Apache-2.0 */
/* Durations: read and printed as users write them. */
#include "support/testing.h"

#include <errno.h>

#include "base/duration.h"
#include "support/table_builder.h"

static int parse(const char *text, uint32_t *ret_ms)
{
	return duration_parse(text, strlen(text), ret_ms);
}

static void every_form_is_read(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "0ms", 0 },
		{ "1ms", 1 },
		{ "500ms", 500 },
		{ "1s", 1000 },
		{ "1.5s", 1500 },
		{ "0.25s", 250 },
		{ "2m", 120000 },
		{ "1.5m", 90000 },
		{ "1h", 3600000 },
		{ "0.5h", 1800000 },
		{ "1.001s", 1001 },
		{ "010s", 10000 },
		{ "596h", 2145600000u },
		{ "2147483647ms", 2147483647u },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint32_t ms = 12345;

		if (parse(good[i].text, &ms) != 0 || ms != good[i].ms)
			fail_msg("%s is read as %u ms", good[i].text, ms);
	}
}

static void other_forms_are_refused(void **state)
{
	static const char *const bad[] = { "",    "1",     "5",    "s",      "ms",   ".5s", "1.s",  "1. s",
					   "1 s", " 1s",   "1s ",  "-1s",    "+1s",  "1S",  "1sec", "1d",
					   "1us", "1m30s", "1,5s", "1.5.5s", "1e3s", "off", "0x1s" };
	uint32_t ms = 12345;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &ms) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(ms, 12345);
}

static void what_is_too_long_is_out_of_range(void **state)
{
	static const char *const bad[] = { "2147483648ms",
					   "2147484s",
					   "597h",
					   "4294967296ms",
					   "18446744073709551616ms",
					   "99999999999999999999999h",
					   "35791.4m" };
	uint32_t ms = 12345;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &ms) != -ERANGE)
			fail_msg("not out of range: %s", bad[i]);
	assert_int_equal(ms, 12345);
}

static void the_length_counts_and_not_a_nul(void **state)
{
	uint32_t ms;

	(void)state;
	assert_int_equal(duration_parse("15s", 1, &ms), -EINVAL);
	assert_int_equal(duration_parse("1ms5", 3, &ms), 0);
	assert_int_equal(ms, 1);
}

static void whole_units_are_printed_as_such(void **state)
{
	char buf[DURATION_TEXT];

	(void)state;
	assert_string_equal(duration_print(0, buf), "0");
	assert_string_equal(duration_print(1, buf), "1ms");
	assert_string_equal(duration_print(1000, buf), "1s");
	assert_string_equal(duration_print(1500, buf), "1500ms");
	assert_string_equal(duration_print(90000, buf), "90s");
	assert_string_equal(duration_print(300000, buf), "5m");
	assert_string_equal(duration_print(7200000, buf), "2h");
}

static void what_is_printed_is_read_back_exactly(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t ms = (uint32_t)(next_random(&random) >> 33) >> next_random(&random) % 31, again = ms + 1;
		char buf[DURATION_TEXT];

		if (parse(duration_print(ms, buf), &again) != 0 || again != ms)
			fail_msg("%u ms becomes %s becomes %u", ms, buf, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_read),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(what_is_too_long_is_out_of_range),
		cmocka_unit_test(the_length_counts_and_not_a_nul),
		cmocka_unit_test(whole_units_are_printed_as_such),
		cmocka_unit_test(what_is_printed_is_read_back_exactly),
	};

	return RUN_TESTS(tests);
}
