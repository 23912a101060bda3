/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/kube_texts.h"

json_t *json_quoted(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *value;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	value = json_loads(copy, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!value)
		fail_msg("%s: %s", error.text, copy);
	free(copy);
	return value;
}

void set_text(struct model *model, enum kube_kind kind, const char *text)
{
	json_t *object = json_quoted(text);

	assert_int_equal(kube_json_apply(model, 0, kind, object), 0);
	json_decref(object);
}
