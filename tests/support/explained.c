/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/explained.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

/* ---- what it says ---- */

static void forget(void *json)
{
	json_decref(json);
}

json_t *explained_json(const struct process *p)
{
	json_error_t error;
	json_t *json = json_loads(p->out_text, 0, &error);

	if (p->exit_status || !json)
		fail_msg("explain exits with %d, %s: %s%s", p->exit_status, error.text, p->out_text, p->err_text);
	after_test(forget, json);
	return json;
}

json_t *explained_as(const struct services *s, const char *const *env, const char *operand)
{
	return explained_json(run(env, built("fairdial"), "explain", "--json", "--dir", s->dir, operand, NULL));
}

json_t *explained(const struct services *s, const char *operand)
{
	return explained_as(s, NULL, operand);
}

const char *explained_text(const struct services *s, const char *operand)
{
	struct process *p = run(NULL, built("fairdial"), "explain", "--dir", s->dir, operand, NULL);

	assert_clean(p);
	return p->out_text;
}

json_t *explained_by_schema(const struct services *s, const char *operand)
{
	struct process *p = run(NULL, built("fairdial"), "explain", "--json", "--dir", s->dir, operand, NULL);

	assert_fits_schema("explain", p->out_text);
	return explained_json(p);
}

json_t *explained_family(const json_t *explanation)
{
	json_t *port = json_array_get(json_object_get(explanation, "ports"), 0);
	json_t *family = json_array_get(json_object_get(port, "families"), 0);

	assert_non_null(family);
	return family;
}

const char *explained_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("\"%s\" is no text", key);
	return text;
}

size_t explained_count(const json_t *family, const char *key)
{
	return json_array_size(json_object_get(family, key));
}

size_t explained_backend(const struct backends *b, const json_t *endpoint)
{
	for (size_t i = 0; i < backends_count(b); i++)
		if (strcmp(backends_address(b, i), explained_string(endpoint, "address")) == 0 &&
		    backends_port(b, i) == json_integer_value(json_object_get(endpoint, "port")))
			return i;
	fail_msg("%s is no backend", explained_string(endpoint, "address"));
	return 0;
}

size_t explained_next(const struct backends *b, const json_t *explanation)
{
	json_t *next = json_object_get(explained_family(explanation), "next");

	if (!json_is_object(next))
		fail_msg("no next pick: %s", json_dumps(explanation, JSON_INDENT(1)));
	return explained_backend(b, next);
}

void assert_explained_pass(const json_t *explanation, const char *reason)
{
	json_t *family = explained_family(explanation);

	assert_true(json_is_true(json_object_get(family, "passes_through")));
	assert_string_equal(explained_string(family, "reason"), reason);
}

void assert_explained_setting(const json_t *explanation, const char *key, const char *value, const char *origin)
{
	json_t *setting = json_object_get(json_object_get(explanation, "policy"), key);

	assert_string_equal(explained_string(setting, "value"), value);
	assert_string_equal(explained_string(setting, "origin"), origin);
}

/* ---- what happens ---- */

static size_t answered(const char *text)
{
	unsigned counts[BACKENDS_MAX];

	assert_int_equal(tally(text, counts, BACKENDS_MAX), 0);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (counts[i])
			return i;
	fail_msg("nobody answered");
	return 0;
}

size_t dial_web(const char *const *env)
{
	struct process *p = run(env, built("helpers/dialer"), SERVICE_ADDRESS, "80", NULL);

	assert_clean(p);
	return answered(p->out_text);
}

size_t dial_web_and_hold(const char *const *env, struct process **ret_process)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", SERVICE_ADDRESS, "80"), .env = env, .interactive = true });

	process_expect(p, "ready", LIMIT_MS);
	if (ret_process)
		*ret_process = p;
	return answered(process_line(p, LIMIT_MS));
}
