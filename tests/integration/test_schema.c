/* SPDX-License-Identifier: Apache-2.0 */
/* What holds a verb's JSON against its schema: that it takes the right text, and refuses each kind of wrong one. */
#include "support/testing.h"

#include <jansson.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"

static char *text_of(json_t *json)
{
	char *dumped = json_dumps(json, 0), *text = format("%s", dumped);

	free(dumped);
	return text;
}

static void assert_refused(const char *json_text, const char *word)
{
	const char *refusal = schema_refusal("status", json_text);

	if (!refusal)
		fail_msg("was taken, in spite of %s: %s", word, json_text);
	if (!strstr(refusal, word))
		fail_msg("the refusal does not say \"%s\": %s", word, refusal);
}

static void status_fits_and_each_kind_of_mistake_is_refused(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	json_t *root = services_status(s), *agent = json_object_get(root, "agent"), *web;
	char *whole = text_of(root);

	(void)state;
	assert_fits_schema("status", whole);
	assert_refused("", "no JSON");
	assert_refused("{\"agent\": NaN}", "NaN");
	assert_refused("{\"services\": [], \"services\": []}", "services is there twice");
	assert_refused(format("%s{}", whole), "no JSON");

	json_object_set_new(root, "surplus", json_true());
	assert_refused(text_of(root), "surplus");
	json_object_del(root, "surplus");
	json_object_set_new(agent, "alive", json_string("yes"));
	assert_refused(text_of(root), "agent/alive");
	json_object_set_new(agent, "alive", json_false());
	json_object_set_new(agent, "age_ms", json_integer(-1));
	assert_refused(text_of(root), "agent/age_ms");
	json_object_set_new(agent, "age_ms", json_integer(0));

	web = json_array_get(json_object_get(root, "services"), 0);
	json_object_del(json_array_get(json_object_get(web, "ports"), 0), "evenness");
	assert_refused(text_of(root), "services/0/ports/0: 'evenness' is a required property");
	json_object_set_new(web, "mode", json_string("of"));
	assert_refused(text_of(root), "services/0/mode");
}

/* Else whatever comes would fit. */
static void schema_that_leaves_open_what_may_be_there_is_refused(void **state)
{
	static const char loose[] = "{\"type\": \"object\", \"properties\": {\"a\": {}}}";
	const char *schema = format("%s/loose.json", scratch_dir()), *tool = repository("tests/support/schema.py");
	struct process *p;

	(void)state;
	write_file(schema, loose, sizeof(loose) - 1);
	p = run_shell(NULL, "for p in python3 /usr/bin/python3; do $p -c 'import jsonschema' 2>/dev/null && exec $p -B %s %s %s; done",
		      tool, schema, schema);
	assert_int_equal(p->exit_status, 2);
	assert_non_null(strstr(p->err_text, "# leaves open what else may be there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_fits_and_each_kind_of_mistake_is_refused),
		TEST(schema_that_leaves_open_what_may_be_there_is_refused),
	};

	return RUN_TESTS(tests);
}
