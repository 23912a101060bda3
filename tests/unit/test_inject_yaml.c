/* SPDX-License-Identifier: Apache-2.0 */
/* YAML in, JSON out: what scalars become, which documents come out, and what is refused, with its place. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "inject/documents.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"
#include "support/services.h"
#include "yaml/json.h"

/* As JSON on one line, of an object that has it at `v`. */
static void becomes(const char *value, const char *expected)
{
	char *text = printed(format("v: %s\n", value)), *wanted = format("{\n    \"v\": %s\n}\n", expected);

	if (strcmp(text, wanted) != 0)
		fail_msg("%s\n  expected %s\n  got %s", value, wanted, text);
}

/* The right column is what kubectl prints (kubectl annotate --local -o json). */
static void scalars_are_what_kubectl_makes_of_them(void **state)
{
	static const char *const rows[][2] = {
		{ "0644", "420" },
		{ "0o644", "420" },
		{ "0x1F", "31" },
		{ "0X1f", "31" },
		{ "0b11", "3" },
		{ "1_000", "1000" },
		{ "089", "89" },
		{ "08.5", "8.5" },
		{ "1.50", "1.5" },
		{ "1e3", "1000" },
		{ "1e21", "1e+21" },
		{ "1e-7", "1e-7" },
		{ "1.5e-10", "1.5e-10" },
		{ "123456789012345680000", "123456789012345680000" },
		{ "18446744073709551616", "18446744073709552000" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "-9223372036854775809", "-9223372036854776000" },
		{ "1e400", "\"1e400\"" },
		{ "-0", "0" },
		{ "+7", "7" },
		{ ".5", "0.5" },
		{ "5.", "5" },
		{ "5.e2", "500" },
		{ "0.", "0" },
		{ "12e03", "12000" },
		{ "0.1", "0.1" },
		{ "100000000000000000000", "100000000000000000000" },
		{ "1000000000000000000000", "1e+21" },
		{ "123456.789e3", "123456789" },
		{ "0x", "\"0x\"" },
		{ "0b12", "\"0b12\"" },
		{ "0o8", "\"0o8\"" },
		{ "1_", "1" },
		{ "_1", "\"_1\"" },
		{ "1__0", "10" },
		{ "00", "0" },
		{ "007", "7" },
		{ "-0b11", "-3" },
		{ "-0x1f", "-31" },
		{ "+.5", "0.5" },
		{ "-.5", "-0.5" },
		{ ".", "\".\"" },
		{ "+", "\"+\"" },
		{ "1:30", "\"1:30\"" },
		{ "2001-01-01", "\"2001-01-01\"" },
		{ "2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\"" },
		{ "y", "true" },
		{ "Y", "true" },
		{ "n", "false" },
		{ "N", "false" },
		{ "yes", "true" },
		{ "Yes", "true" },
		{ "YES", "true" },
		{ "yEs", "\"yEs\"" },
		{ "no", "false" },
		{ "on", "true" },
		{ "On", "true" },
		{ "off", "false" },
		{ "true", "true" },
		{ "True", "true" },
		{ "TRUE", "true" },
		{ "tRue", "\"tRue\"" },
		{ "~", "null" },
		{ "null", "null" },
		{ "Null", "null" },
		{ "NULL", "null" },
		{ "nULL", "\"nULL\"" },
		{ "1.0", "1" },
		{ "3.0e0", "3" },
		{ "1e-5", "0.00001" },
		{ "0.000001", "0.000001" },
		{ "0.0000009", "9e-7" },
		{ "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ "5e-324", "5e-324" },
		{ "2.2250738585072014e-308", "2.2250738585072014e-308" },
		{ "0.30000000000000004", "0.30000000000000004" },
		{ "1e1_0", "10000000000" },
		{ "._5", "\"._5\"" },
		{ "0_644", "420" },
		{ "1e+5", "100000" },
		{ "1E5", "100000" },
		{ "1.e", "\"1.e\"" },
		{ "e5", "\"e5\"" },
		{ "0e0", "0" },
		{ "00.5", "0.5" },
		{ "9007199254740993", "9007199254740993" },
		{ "9007199254740993.0", "9007199254740992" },
		{ "0b", "\"0b\"" },
		{ "0o", "\"0o\"" },
		{ "0x1_F", "31" },
		{ "-0o17", "-15" },
		{ "+0o17", "15" },
		{ "0644.0", "644" },
		{ "0O17", "15" },
		{ "0B1", "1" },
		{ "0b0b1", "\"0b0b1\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		becomes(rows[i][0], rows[i][1]);
}

static void numbers_that_only_json_keeps_are_kept(void **state)
{
	(void)state;
	becomes("18446744073709551615", "18446744073709551615");
	becomes("-0.0", "-0");
	becomes("+18446744073709551615", "18446744073709552000");
	becomes(format("%0600d", 1), format("\"%0600d\"", 1));
}

static void what_is_quoted_or_tagged_is_a_text(void **state)
{
	static const char *const values[] = { "'0644'", "\"yes\"", "! 12", "!!str on", "''", "\"~\"", "'1.50'" };
	static const char *const expected[] = {
		"\"0644\"", "\"yes\"", "\"12\"", "\"on\"", "\"\"", "\"~\"", "\"1.50\""
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		becomes(values[i], expected[i]);
	becomes("|\n  8080\n", "\"8080\\n\"");
	becomes(">-\n  a\n  b\n", "\"a b\"");
}

static void keys_are_texts_as_kubectl_makes_them(void **state)
{
	(void)state;
	becomes("{on: 1, 8080: 2, 0644: 3, 1.50: 4, 'no': 5, .inf: 6}",
		"{\n        \"true\": 1,\n        \"8080\": 2,\n        \"420\": 3,\n        \"1.5\": 4,\n"
		"        \"no\": 5,\n        \".inf\": 6\n    }");
}

static void each_document_is_an_object_and_empty_ones_are_left_out(void **state)
{
	(void)state;
	assert_string_equal(printed("# a chart\n---\n---\n# Source: web.yaml\na: 1.50\n---\n\n---\nnull\n---\n{\"b\": "
				    "[2.50]}\n...\n"),
			    "---\n{\n    \"a\": 1.5\n}\n---\n{\n    \"b\": [\n        2.5\n    ]\n}\n");
	assert_string_equal(printed("---\na: {}\n---\n"), "{\n    \"a\": {}\n}\n");
	assert_string_equal(printed("---\n# nothing\n---\n"), "");
	assert_string_equal(printed("\r\n  a: b\r\n"), "{\n    \"a\": \"b\"\n}\n");
	assert_string_equal(printed("\xef\xbb\xbf"
				    "a: b\n"),
			    "{\n    \"a\": \"b\"\n}\n");
}

/* `fairdial inject | fairdial inject`: the stream that comes out goes in. */
static void what_comes_out_goes_in_again(void **state)
{
	char *text = printed("a: \"<\\n\\u2028é\\u263a/\"\nn: 18446744073709551615\n---\nb: [1e-7, 1e21, '1']\n");

	(void)state;
	assert_string_equal(printed(text), text);
}

static void every_object_of_the_tests_is_the_same_as_yaml(void **state)
{
	size_t same = 0, size;

	(void)state;
	for (char **file = object_files(); *file; file++) {
		char *text = read_file(*file, &size);

		if (strcmp(printed(format("---\n%s", text)), printed(text)) == 0)
			same++;
		else if (!strstr(text,
				 "1.50")) /* a number that stays as written in JSON, and is the double it is in YAML */
			fail_msg("%s", *file);
	}
	assert_true(same >= 20);
}

static void anchors_and_merge_keys_are_written_out(void **state)
{
	(void)state;
	assert_string_equal(printed("a: &x {k: 1.50}\nb: *x\nc: &x [2]\nd: *x\n"),
			    printed("{\"a\": {\"k\": 1.5}, \"b\": {\"k\": 1.5}, \"c\": [2], \"d\": [2]}"));
	assert_string_equal(printed("a: &x {k: 1, l: 2}\nb: {m: 3, <<: *x, l: 4}\n"),
			    printed("{\"a\": {\"k\": 1, \"l\": 2}, \"b\": {\"m\": 3, \"l\": 4, \"k\": 1}}"));
	assert_string_equal(printed("a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc:\n  <<: [*x, *y]\n"),
			    printed("{\"a\": {\"k\": 1}, \"b\": {\"k\": 2, \"l\": 3}, \"c\": {\"k\": 1, \"l\": 3}}"));
	assert_string_equal(printed("a: &x ~\nb: [*x, &y yes, *y]\n\"<<\": 1\n"),
			    printed("{\"a\": null, \"b\": [null, true, true], \"<<\": 1}"));
}

/* One may be changed, and the other is not. */
static void each_alias_is_a_copy(void **state)
{
	struct documents documents;
	struct report why;
	static const char text[] = "a: &x {k: {l: 1}}\nb: *x\nc: {<<: *x}\n";
	json_t *root;

	(void)state;
	assert_int_equal(documents_read(text, strlen(text), &documents, &why), 0);
	root = json_array_get(documents.objects, 0);
	json_object_clear(json_object_get(json_object_get(root, "a"), "k"));
	assert_int_equal(json_object_size(json_object_get(json_object_get(root, "b"), "k")), 1);
	assert_int_equal(json_object_size(json_object_get(json_object_get(root, "c"), "k")), 1);
	documents_done(&documents);
}

static void refused(const char *text, const char *expected)
{
	struct documents documents;
	struct report why = { "" };
	int err = documents_read(text, strlen(text), &documents, &why);

	if (err != -EINVAL || strncmp(why.text, expected, strlen(expected)) != 0 || strchr(why.text, '\n') ||
	    strstr(why.text, "SECRET"))
		fail_msg("%.200s\n  expected %s\n  got %d %s", text, expected, err, why.text);
}

static void what_is_wrong_is_said_with_line_and_column(void **state)
{
	static const char *const texts[][2] = {
		{ "a: b\n---\n- c\n", "standard input:3:1: no object: each document" },
		{ "a: b\n---\nc\n", "standard input:3:1: no object: each document" },
		{ "7", "standard input:1:1: no object: each document" },
		{ "a: b\nc: d: e\n", "standard input:2:5: mapping values are not allowed" },
		{ "a: b\n---\nc:\n\t- d\n", "standard input:4:1: found character that cannot start any token" },
		{ "a: [1, SECRET", "standard input:" },
		{ "a: SECRET: b", "standard input:1:" },
		{ "SECRET: 1\nSECRET: 2\n", "standard input:2:1: duplicate key" },
		{ "a: *SECRET\n", "standard input:1:4: an alias" },
		{ "a: !!SECRET b\n", "standard input:1:4: a tag" },
		{ "a: 1\nb: 2\na: 3\n", "standard input:3:1: duplicate key" },
		{ "on: 1\n'true': 2\n", "standard input:2:1: duplicate key" },
		{ "a: .inf\n", "standard input:1:4: JSON has no such number" },
		{ "a: [-.Inf]\n", "standard input:1:5: JSON has no such number" },
		{ "a: .nan\n", "standard input:1:4: JSON has no such number" },
		{ "~: 1\n", "standard input:1:1: a key must be a text" },
		{ "? [a]\n: 1\n", "standard input:1:3: a key must be a text" },
		{ "a: !!binary aGk=\n", "standard input:1:4: a tag is not understood" },
		{ "a: *x\n", "standard input:1:4: an alias of an anchor that is not above it" },
		{ "a: &x 1\n---\nb: *x\n", "standard input:3:4: an alias of an anchor" },
		{ "a: &x [*x]\n", "standard input:1:8: an alias of an anchor" },
		{ "a: &x 1\nb: {<<: *x}\n", "standard input:2:5: a merge key needs a mapping" },
		{ "a: &x 1\nb: {<<: [*x]}\n", "standard input:2:5: a merge key needs a mapping" },
		{ "&x a: 1\n", "standard input:1:1: anchors of keys" },
		{ "a: \"b\\0\"\n", "standard input:1:4: a text must not hold" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		refused(texts[i][0], texts[i][1]);
}

/* Nine lines that stand for a thousand million texts; and a chain, each link of which nests the one before. */
static void aliases_do_not_grow_without_bound(void **state)
{
	char *bomb = format("a0: &a0 laughs\n"), *chain = format("a0: &a0 [1]\n");

	(void)state;
	for (int i = 1; i < 10; i++)
		bomb = format("%sa%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", bomb, i, i, i - 1,
			      i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	refused(bomb, "standard input:7:14: aliases stand for too much");
	for (int i = 1; i < 300; i++)
		chain = format("%sa%d: &a%d [*a%d]\n", chain, i, i, i - 1);
	refused(chain, "standard input:256:");
}

static void no_text_is_too_odd(void **state)
{
	static const char text[] =
		"%YAML 1.1\n---\na: &x {b: [1.5, 'c', \"\\u00e4\"], d: |-\n    e\n  }\nf: {<<: *x, g: ~}\n"
		"---\n? h\n: - !!str i\n  - *j\n...\n";

	(void)state;
	for (size_t length = 0; length <= strlen(text); length++) {
		char *copy = malloc(length + 1);
		struct documents documents;
		struct report why;

		assert_non_null(copy);
		memcpy(copy, text, length);
		if (documents_read(copy, length, &documents, &why) == 0)
			documents_done(&documents);
		free(copy);
	}
}

static void a_build_without_libyaml_says_what_to_do(void **state)
{
	struct documents documents;
	struct report why;

	(void)state;
	assert_int_equal(documents_read("a: b", 4, &documents, &why), -ENOTSUP);
	assert_string_equal(why.text, "standard input: YAML needs a build with libyaml: make deps, or convert it: "
				      "kubectl create --dry-run=client -o json -f FILE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scalars_are_what_kubectl_makes_of_them),
		TEST(numbers_that_only_json_keeps_are_kept),
		TEST(what_is_quoted_or_tagged_is_a_text),
		TEST(keys_are_texts_as_kubectl_makes_them),
		TEST(each_document_is_an_object_and_empty_ones_are_left_out),
		TEST(what_comes_out_goes_in_again),
		TEST(every_object_of_the_tests_is_the_same_as_yaml),
		TEST(anchors_and_merge_keys_are_written_out),
		TEST(each_alias_is_a_copy),
		TEST(what_is_wrong_is_said_with_line_and_column),
		TEST(aliases_do_not_grow_without_bound),
		TEST(no_text_is_too_odd),
	};
	const struct CMUnitTest without[] = {
		TEST(a_build_without_libyaml_says_what_to_do),
	};

	return yaml_json_version() ? RUN_TESTS(tests) : RUN_TESTS(without);
}
