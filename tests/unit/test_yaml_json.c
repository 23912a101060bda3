/* SPDX-License-Identifier: Apache-2.0 */
/* YAML into a tree: what it becomes, and what is refused. */
#include "support/testing.h"

#include <errno.h>

#include "yaml/json.h"

static int load(const char *text, size_t len, char **ret, struct report *why)
{
	json_t *root = NULL;
	int err = yaml_json_load("x.yaml", text, len, &root, why);

	if (err == 0) {
		*ret = json_dumps(root, JSON_ENCODE_ANY | JSON_COMPACT);
		json_decref(root);
	} else {
		assert_null(root);
	}
	return err;
}

static void becomes(const char *text, const char *expected)
{
	struct report why = { "" };
	char *got = NULL;

	if (load(text, strlen(text), &got, &why) < 0)
		fail_msg("%s\n%s", text, why.text);
	assert_string_equal(got, expected);
	free(got);
}

static void check_refused(const char *text, size_t len, const char *expected)
{
	struct report why = { "" };
	char *got = NULL;
	int err = load(text, len, &got, &why);

	if (err != -EINVAL || !strstr(why.text, expected))
		fail_msg("%s\n  expected %s\n  got %d %s", text, expected, err, err < 0 ? why.text : got);
	assert_int_equal(strncmp(why.text, "x.yaml:", 7), 0);
	if (strstr(why.text, "SECRET"))
		fail_msg("%s", why.text);
}

#define refused(text, expected) check_refused(text, strlen(text), expected)

static void a_kubeconfig_in_yaml_becomes_the_tree_of_the_one_in_json(void **state)
{
	(void)state;
	becomes("apiVersion: v1\n"
		"kind: Config\n"
		"clusters:\n"
		"- cluster:\n"
		"    server: https://127.0.0.1:6443\n"
		"    insecure-skip-tls-verify: true\n"
		"  name: kind\n"
		"preferences: {}\n"
		"users:   # comment\n"
		"  - {name: dev, user: {token: \"a b\", exec: null}}\n",
		"{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"clusters\":[{\"cluster\":{\"server\":"
		"\"https://127.0.0.1:6443\",\"insecure-skip-tls-verify\":true},\"name\":\"kind\"}],\"preferences\":{},"
		"\"users\":[{\"name\":\"dev\",\"user\":{\"token\":\"a b\",\"exec\":null}}]}");
}

static void plain_null_true_and_false_are_what_they_say(void **state)
{
	(void)state;
	becomes("[null, ~, Null, NULL, true, True, TRUE, false, False, FALSE]",
		"[null,null,null,null,true,true,true,false,false,false]");
	becomes("a:\nb:", "{\"a\":null,\"b\":null}");
}

static void all_other_scalars_are_texts(void **state)
{
	(void)state;
	becomes("['null', \"true\", !!str true, ! false, yes, on, 12, 0x1f, 1e3, .inf, 2020-01-01]",
		"[\"null\",\"true\",\"true\",\"false\",\"yes\",\"on\",\"12\",\"0x1f\",\"1e3\",\".inf\",\"2020-01-01\"]");
	becomes("a: |\n  b\n  c\nd: >-\n  e\n  f\n", "{\"a\":\"b\\nc\\n\",\"d\":\"e f\"}");
	becomes("\"\\u00e4\"", "\"\xc3\xa4\"");
}

static void an_empty_document_is_null(void **state)
{
	(void)state;
	becomes("", "null");
	becomes("# nothing\n", "null");
	becomes("---\n...\n", "null");
}

static void what_could_surprise_is_refused_with_its_place(void **state)
{
	(void)state;
	refused("a: &x SECRET\nb: c\n", "x.yaml:1:4: anchors are not");
	refused("a: 1\nb: *x\n", "x.yaml:2:4: aliases are not");
	refused("&x a: 1\n", "x.yaml:1:1: anchors are not");
	refused("a: &x [1]\n", "anchors are not");
	refused("a: &x {b: 1}\n", "anchors are not");
	refused("*x : 1\n", "aliases are not");
	refused("a: !!binary SECRET\n", "x.yaml:1:4: a tag is not");
	refused("a: !!int 1\n", "a tag is not");
	refused("a: !mine {b: c}\n", "a tag is not");
	refused("a: !!set [b]\n", "a tag is not");
	refused("a: 1\nb: 2\na: SECRET\n", "x.yaml:3:1: duplicate key");
	refused("{a: {b: 1, b: 2}}", "duplicate key");
	refused("? [a]\n: b\n", "a key must be a text");
	refused("? {a: b}\n: c\n", "a key must be a text");
	refused("a: b\n---\nc: d\n", "x.yaml:2:1: a second document");
	refused("a: \"SECRET\\0\"\n", "must not hold");
	refused("\"a\\0\": 1\n", "must not hold");
}

static void what_is_no_yaml_is_refused_without_its_words(void **state)
{
	(void)state;
	refused("a: [SECRET", "x.yaml:");
	refused("a: b: SECRET", "x.yaml:1:");
	refused("\tSECRET: b", "x.yaml:1:1");
	refused("a: \"SECRET", "x.yaml:");
	refused("a: 'SECRET", "x.yaml:");
	refused("}", "x.yaml:1:1");
	refused("a: %SECRET", "x.yaml:1:4");
	refused("a: @SECRET", "x.yaml:1:4");
	refused("a: \xff\xfeSECRET", "x.yaml:");
	refused("a: \xed\xa0\x80", "x.yaml:");
	refused("a: \"\\ud800\"", "x.yaml:");
	refused("%YAML 3.0\n---\na: b\n", "x.yaml:1:");
	check_refused("a: b\0c", 6, "x.yaml:");
}

static void repeat(char *text, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * strlen(what), what, strlen(what));
	text[n * strlen(what)] = '\0';
}

static void deep_nesting_is_refused_before_it_hurts(void **state)
{
	char *text = malloc(400001);

	(void)state;
	assert_non_null(text);
	repeat(text, "[", 200000);
	refused(text, "x.yaml:");
	repeat(text, "{a: ", 100000);
	refused(text, "x.yaml:");
	repeat(text, "- ", 200000);
	refused(text, "x.yaml:");
	repeat(text, "[", 65);
	repeat(text + 65, "]", 65);
	refused(text, "nested too deep");
	repeat(text, "[", 64);
	repeat(text + 64, "]", 64);
	becomes(text, text);
	free(text);
}

static void every_start_of_a_text_is_taken_or_refused_but_never_trips(void **state)
{
	static const char text[] = "a: [b, {c: 'd', \"e\": |-\n   f}]\n? g\n: - h\n  - !!str i\n  - &j k\n  - *j\n...\n";

	(void)state;
	for (size_t len = 0; len <= strlen(text); len++) {
		char *copy = malloc(len + 1), *got = NULL; /* exactly as long: a sanitizer sees one step beyond */
		struct report why;

		assert_non_null(copy);
		memcpy(copy, text, len);
		if (load(copy, len, &got, &why) == 0)
			free(got);
		free(copy);
	}
}

static void a_build_without_libyaml_says_what_to_do(void **state)
{
	struct report why;
	char *got;

	(void)state;
	assert_int_equal(load("a: b", 4, &got, &why), -ENOTSUP);
	assert_string_equal(why.text, "x.yaml: YAML needs a build with libyaml: make deps, or convert it: "
				      "kubectl config view --raw -o json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kubeconfig_in_yaml_becomes_the_tree_of_the_one_in_json),
		cmocka_unit_test(plain_null_true_and_false_are_what_they_say),
		cmocka_unit_test(all_other_scalars_are_texts),
		cmocka_unit_test(an_empty_document_is_null),
		cmocka_unit_test(what_could_surprise_is_refused_with_its_place),
		cmocka_unit_test(what_is_no_yaml_is_refused_without_its_words),
		cmocka_unit_test(deep_nesting_is_refused_before_it_hurts),
		cmocka_unit_test(every_start_of_a_text_is_taken_or_refused_but_never_trips),
	};
	const struct CMUnitTest without[] = {
		cmocka_unit_test(a_build_without_libyaml_says_what_to_do),
	};

	return yaml_json_version() ? RUN_TESTS(tests) : RUN_TESTS(without);
}
