/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fairdial into objects and out again: what comes back is what went in, of objects as clusters print them and of objects made
 * up at random (SEED=N makes others), and also of what somebody has edited in between.
 */
#include "support/testing.h"

#include <jansson.h>

#include "inject/inject.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"
#include "support/services.h"

enum { OBJECTS = 200 };

static uint64_t seed(void)
{
	const char *given = getenv("SEED");
	uint64_t state = given ? strtoull(given, NULL, 0) : 20251107;

	printf("SEED=%llu\n", (unsigned long long)state);
	return state ? state : 1;
}

static char *text_of(const char *file)
{
	size_t size;

	return read_file(file, &size);
}

static void assert_same(const char *what, const char *input, const char *expected, const char *got)
{
	if (strcmp(expected, got) != 0)
		fail_msg("%s\n---- input\n%s\n---- expected\n%s\n---- got\n%s", what, input, expected, got);
}

/* ---- identity ---- */

static void comes_back(const char *text)
{
	struct injection in = injected(text, NULL), out = removed(in.text);

	if (in.refused || out.refused)
		fail_msg("refused: %s%s\n%s", in.said, out.said, text);
	/* What was left alone was not changed at all, and there is nothing to take out. */
	if (strstr(in.said, "left alone"))
		assert_same("left alone", text, printed(text), in.text);
	else
		assert_same("inject, then remove", text, stripped(text), out.text);
}

static void what_a_cluster_prints_comes_back(void **state)
{
	size_t count = 0;

	(void)state;
	for (char **file = object_files(); *file; file++, count++)
		comes_back(text_of(*file));
	assert_true(count >= 20);
}

static void objects_made_up_at_random_come_back(void **state)
{
	uint64_t random = seed();

	(void)state;
	for (int i = 0; i < OBJECTS; i++)
		comes_back(object_at_random(&random));
}

/* ---- twice ---- */

static void twice_is_once(const char *text)
{
	static const struct inject_options other = { .image = "registry.example.com/fairdial:9",
						     .pull_policy = "Always",
						     .existing_preload = "/lib/other.so" };
	char *once = injected(text, NULL).text, *otherwise = injected(text, &other).text;

	assert_same("inject twice", text, once, injected(once, NULL).text);
	assert_same("other options, then these", text, once, injected(otherwise, NULL).text);
	assert_same("these, then other options", text, otherwise, injected(once, &other).text);
}

static void injecting_twice_is_injecting_once(void **state)
{
	uint64_t random = seed();

	(void)state;
	for (char **file = object_files(); *file; file++)
		twice_is_once(text_of(*file));
	for (int i = 0; i < OBJECTS / 4; i++)
		twice_is_once(object_at_random(&random));
}

/* ---- edited in between ---- */

#define HEAD "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"template\":"
#define WEB  HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"nginx\"}]}}}}"

/* The text with `from` replaced by `to`; it has to be there. */
static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (!at)
		fail_msg("no %s in %s", from, text);
	return format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void an_edit_of_their_own_stays(void **state)
{
	char *in = injected(WEB, NULL).text, *out;

	(void)state;
	in = edited(in, "\"image\": \"nginx\"", "\"image\": \"nginx:2\"");
	in = edited(in, "\"env\": [", "\"env\": [{\"name\":\"THEIRS\",\"value\":\"1\"},");
	in = edited(in, "\"volumes\": [", "\"volumes\": [{\"name\":\"theirs\",\"emptyDir\":{}},");
	in = edited(in, "\"initContainers\": [", "\"initContainers\": [{\"name\":\"theirs\",\"image\":\"i\"},");
	in = edited(in, "\"annotations\": {", "\"annotations\": {\"theirs\":\"yes\",");
	out = removed(in).text;
	assert_same("edited", in,
		    printed(HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"nginx:2\","
				 "\"env\":[{\"name\":\"THEIRS\",\"value\":\"1\"}]}],"
				 "\"initContainers\":[{\"name\":\"theirs\",\"image\":\"i\"}],"
				 "\"volumes\":[{\"name\":\"theirs\",\"emptyDir\":{}}]},"
				 "\"metadata\":{\"annotations\":{\"theirs\":\"yes\"}}}}}"),
		    out);
}

static void of_a_preload_list_that_was_edited_ours_goes(void **state)
{
	static const char *const edits[][2] = {
		{ "/opt/fairdial/libfairdial.so:/lib/new.so", "/lib/new.so" },
		{ "/lib/new.so:/opt/fairdial/libfairdial.so", "/lib/new.so" },
		{ "/lib/a.so /opt/fairdial/libfairdial.so /lib/b.so", "/lib/a.so /lib/b.so" },
		{ "/lib/new.so", "/lib/new.so" },
		{ "/opt/fairdial/libfairdial.so.bak", "/opt/fairdial/libfairdial.so.bak" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		char *in = edited(injected(WEB, NULL).text, "\"/opt/fairdial/libfairdial.so\"", format("\"%s\"", edits[i][0]));
		json_t *env = value_at(removed(in).text, "spec/template/spec/containers/0/env");

		assert_int_equal(json_array_size(env), 1);
		assert_string_equal(json_string_value(json_object_get(json_array_get(env, 0), "value")), edits[i][1]);
	}
}

static void a_preload_from_elsewhere_gets_its_name_back(void **state)
{
	static const char from[] = "{\"name\":\"LD_PRELOAD\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}}";
	static const char overridden[] = "{\"name\":\"LD_PRELOAD\",\"value\":\"/lib/overridden.so\"}";
	char *one = format(HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":[%s]}]}}}}", from);
	char *in = injected(one, NULL).text;
	json_t *env;

	(void)state;
	comes_back(one);
	comes_back(format(HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":[%s,%s]}]}}}}", overridden, from));
	/* With a list of their own that still refers to it, it has to keep its new one. */
	in = edited(in, "$(LD_PRELOAD_BEFORE_FAIRDIAL):", "/lib/new.so:$(LD_PRELOAD_BEFORE_FAIRDIAL):");
	env = value_at(removed(in).text, "spec/template/spec/containers/0/env");
	assert_string_equal(json_string_value(json_object_get(json_array_get(env, 0), "name")), "LD_PRELOAD_BEFORE_FAIRDIAL");
	assert_string_equal(json_string_value(json_object_get(json_array_get(env, 1), "value")),
			    "/lib/new.so:$(LD_PRELOAD_BEFORE_FAIRDIAL)");
}

static void a_container_that_was_renamed_is_freed_too(void **state)
{
	char *in = edited(injected(WEB, NULL).text, "\"name\": \"web\",\n                        \"image\"",
			  "\"name\": \"renamed\",\n                        \"image\"");

	(void)state;
	assert_same("renamed", in, printed(edited(WEB, "{\"name\":\"web\",\"image\"", "{\"name\":\"renamed\",\"image\"")),
		    removed(in).text);
}

static void a_container_that_became_a_sidecar_is_freed_too(void **state)
{
	static const char two[] = HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\"},{\"name\":\"log\"}]}}}}";
	json_t *object = json_loads(injected(two, NULL).text, 0, NULL), *pod, *containers;
	char *moved, *out;

	(void)state;
	pod = json_object_get(json_object_get(json_object_get(object, "spec"), "template"), "spec");
	containers = json_object_get(pod, "containers");
	json_array_append(json_object_get(pod, "initContainers"), json_array_get(containers, 1));
	json_array_remove(containers, 1);
	moved = json_dumps(object, 0);
	out = removed(moved).text;
	assert_same("moved", moved,
		    printed(HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\"}],\"initContainers\":[{\"name\":\"log\"}]}}}}"),
		    out);
	free(moved);
	json_decref(object);
}

static void a_variable_of_ours_that_was_changed_is_theirs(void **state)
{
	char *in = edited(injected(WEB, NULL).text, "\"value\": \"/run/fairdial/pod\"", "\"value\": \"/mine\"");

	(void)state;
	assert_string_equal(json_string_value(value_at(removed(in).text, "spec/template/spec/containers/0/env/0/value")),
			    "/mine");
}

static void a_record_that_cannot_be_read_still_frees_the_pod(void **state)
{
	static const char *const records[] = { "nonsense",
					       "",
					       "[]",
					       "{\\\"containers\\\": 7, \\\"absent\\\": {}}",
					       "{\\\"containers\\\": {\\\"web\\\": []}}",
					       "{\\\"containers\\\": {\\\"web\\\": {\\\"preload\\\": 1, \\\"dir\\\": []}}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
		char *in = injected(WEB, NULL).text, *value = strstr(in, "\"{\\\"version"), *out;

		assert_non_null(value);
		in = format("%.*s\"%s\"%s", (int)(value - in), in, records[i], strchr(value, '\n'));
		out = removed(in).text;
		assert_null(strstr(out, "fairdial-"));
		assert_null(strstr(out, "fairdial.dev"));
	}
}

/* Anybody may write the annotation: what is put back is text, or nothing. */
static void a_record_of_another_type_puts_nothing_back(void **state)
{
	static const char *const values[] = { "1234567.5", "1e300", "7", "{}", "[]", "true", "null" };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char *in = injected(WEB, NULL).text, *value = strstr(in, "\"{\\\"version");
		json_t *entry;

		assert_non_null(value);
		in = format("%.*s\"{\\\"containers\\\":{\\\"web\\\":{\\\"preload\\\":{\\\"value\\\":%s}}}}\"%s",
			    (int)(value - in), in, values[i], strchr(value, '\n'));
		entry = value_at(removed(in).text, "spec/template/spec/containers/0/env/0");
		assert_string_equal(json_string_value(json_object_get(entry, "name")), "LD_PRELOAD");
		assert_true(!json_object_get(entry, "value") || json_is_null(json_object_get(entry, "value")));
	}
}

static void what_comes_back_sorted_from_a_cluster_is_found(void **state)
{
	(void)state;
	for (char **file = object_files(); *file; file++) {
		char *text = text_of(*file), *sorted, *in = injected(text, NULL).text;
		json_t *object = json_loads(in, 0, NULL), *expected = json_loads(stripped(text), 0, NULL), *got;

		if (strstr(text, "\"fairdial.dev/inject\": \"false\"")) {
			json_decref(object);
			json_decref(expected);
			continue;
		}
		sorted = json_dumps(object, JSON_SORT_KEYS);
		got = json_loads(removed(sorted).text, 0, NULL);
		assert_true(json_equal(expected, got));
		free(sorted);
		json_decref(object);
		json_decref(expected);
		json_decref(got);
	}
}

static void what_was_never_injected_is_said_and_stays(void **state)
{
	struct injection out = removed(WEB);

	(void)state;
	assert_string_equal(out.said, "Deployment/web: was not injected: it stays as it is\n");
	assert_string_equal(out.text, printed(WEB));
	assert_int_equal(out.refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_cluster_prints_comes_back),
		TEST(objects_made_up_at_random_come_back),
		TEST(injecting_twice_is_injecting_once),
		TEST(an_edit_of_their_own_stays),
		TEST(of_a_preload_list_that_was_edited_ours_goes),
		TEST(a_container_that_became_a_sidecar_is_freed_too),
		TEST(a_preload_from_elsewhere_gets_its_name_back),
		TEST(a_container_that_was_renamed_is_freed_too),
		TEST(a_variable_of_ours_that_was_changed_is_theirs),
		TEST(a_record_that_cannot_be_read_still_frees_the_pod),
		TEST(a_record_of_another_type_puts_nothing_back),
		TEST(what_comes_back_sorted_from_a_cluster_is_found),
		TEST(what_was_never_injected_is_said_and_stays),
	};

	return RUN_TESTS(tests);
}
