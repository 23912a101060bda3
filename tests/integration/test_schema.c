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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_fits_and_each_kind_of_mistake_is_refused),
	};

	return RUN_TESTS(tests);
}
