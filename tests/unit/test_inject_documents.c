/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in and out: what kubectl prints comes out byte for byte, other white space straightened; what is wrong is said where. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "inject/documents.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"
#include "support/services.h"

static void what_kubectl_prints_comes_out_byte_for_byte(void **state)
{
	size_t same = 0, size;

	(void)state;
	for (char **file = object_files(); *file; file++) {
		char *text = read_file(*file, &size);

		if (strncmp(text, "{\n    ", 6) != 0) /* written by hand, with another indentation */
			continue;
		assert_string_equal(printed(text), text);
		same++;
	}
	assert_true(same >= 20);
}

static void numbers_stay_as_they_were_written(void **state)
{
	static const char *const numbers[] = { "0",
					       "-0",
					       "7",
					       "-7",
					       "1.0",
					       "1.50",
					       "-0.0",
					       "0.1",
					       "1e3",
					       "1E+2",
					       "1.5e-7",
					       "1e400",
					       "-1E400",
					       "999999999999999999",
					       "1000000000000000000",
					       "9223372036854775807",
					       "-9223372036854775808",
					       "9223372036854775808",
					       "123456789012345678901234567890",
					       "3.14159265358979323846264338" };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		assert_string_equal(printed(format("{\"a\":[%s,%s],\"b\":%s,\"c\":\"1.50 \\\"2.50\\\\\"}", numbers[i],
						   numbers[i], numbers[i])),
				    format("{\n    \"a\": [\n        %s,\n        %s\n    ],\n    \"b\": %s,\n    \"c\": "
					   "\"1.50 \\\"2.50\\\\\"\n}\n",
					   numbers[i], numbers[i], numbers[i]));
}

static void strings_are_escaped_as_go_does(void **state)
{
	(void)state;
	assert_string_equal(printed("{\"\\u003c\":\"<>&\\u003c\\u003E\\/"
				    "\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\\u0000|é\\u00e9\\u2028\\u2029\\u2030\"}"),
			    "{\n    \"\\u003c\": "
			    "\"\\u003c\\u003e\\u0026\\u003c\\u003e/"
			    "\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\\u0000|éé\\u2028\\u2029‰\"\n}\n");
}

static void empty_ones_stay_on_their_line(void **state)
{
	(void)state;
	assert_string_equal(
		printed(" {\"b\" : { } , \"a\" : [ ] , \"z\":null,\"t\":[true,false]}\n"),
		"{\n    \"b\": {},\n    \"a\": [],\n    \"z\": null,\n    \"t\": [\n        true,\n        false\n    ]\n}\n");
}

static void several_objects_come_one_behind_the_other(void **state)
{
	(void)state;
	assert_string_equal(printed("{}{\"a\":1.0}\n\n {\"b\":2.50}\t"), "{}\n{\n    \"a\": 1.0\n}\n{\n    \"b\": 2.50\n}\n");
}

static void refused(const char *text, size_t length, const char *expected)
{
	struct documents documents;
	struct report why = { "" };
	int err = documents_read(text, length, &documents, &why);

	if (err != -EINVAL || strncmp(why.text, expected, strlen(expected)) != 0 || strchr(why.text, '\n'))
		fail_msg("%s\n  expected %s\n  got %d %s", text, expected, err, why.text);
}

static void what_is_wrong_is_said_with_line_and_column(void **state)
{
	static const char *const texts[][2] = {
		{ "", "standard input is empty" },
		{ " \n", "standard input is empty" },
		{ "{\n  \"a\": 1,\n  \"b\" 2\n}", "standard input:3:8: ':' expected near '2'" },
		/* Behind numbers that are read as something else, and behind another object. */
		{ "{\"a\": [1.50, 1e400, 1.50] \"b\": 2}", "standard input:1:30: '}' expected near '\"b\"'" },
		{ "{\"a\": 1.0}\n{\"b\": 10000000000000000000 x}", "standard input:2:29: '}' expected near 'x'" },
		{ "{\"é\": x}", "standard input:1:8: invalid token near 'x'" },
		{ "{\"a\": 1", "standard input:1:8: '}' expected near end of file" },
		{ "{\"a\": \"", "standard input:1:8: premature end of input" },
		{ "{\"a\": \"\\", "standard input:1:" },
		{ "{\"a\": 1.}", "standard input:1:9: invalid token near '1.'" },
		{ "{\"a\": 01}", "standard input:1:8: invalid token near '0'" },
		{ "{\"a\": -}", "standard input:1:8: invalid token near '-'" },
		{ "{\"a\": 1e}", "standard input:1:9: invalid token near '1e'" },
		{ "{\"a\": 1, \"a\": 2}", "standard input:1:13: duplicate object key near '\"a\"'" },
		{ "{} []", "standard input:1:4: an array" },
		{ "{} 7", "standard input:1:5: '[' or '{' expected near '7'" },
		{ "{\"a\": \"\xff\"}", "standard input:1:" },
		{ "{\"a\nb\": 1}", "standard input:1:" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		refused(texts[i][0], strlen(texts[i][0]), texts[i][1]);
	refused("{}\0", 3, "standard input:1:4: ");
}

/* Whatever it is cut at, or has in it: refused, or read; memory checkers look on. */
static void no_text_is_too_odd(void **state)
{
	uint64_t random = 7;

	(void)state;
	for (int i = 0; i < 40; i++) {
		char *text = object_at_random(&random);
		size_t length = strlen(text);

		for (size_t at = 0; at < length; at += 1 + length / 50) {
			struct documents documents;
			struct report why;
			char kept = text[at];

			assert_int_equal(documents_read(text, at, &documents, &why), -EINVAL);
			text[at] = "\"{}[],:-.0eE\\\x01"[i % 14];
			if (documents_read(text, length, &documents, &why) == 0)
				documents_done(&documents);
			text[at] = kept;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_kubectl_prints_comes_out_byte_for_byte),
		TEST(numbers_stay_as_they_were_written),
		TEST(strings_are_escaped_as_go_does),
		TEST(empty_ones_stay_on_their_line),
		TEST(several_objects_come_one_behind_the_other),
		TEST(what_is_wrong_is_said_with_line_and_column),
		TEST(no_text_is_too_odd),
	};

	return RUN_TESTS(tests);
}
