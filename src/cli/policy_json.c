/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_json.h"

#include <jansson.h>

const char *policy_origin_name(enum policy_origin origin)
{
	static const char *const names[ORIGIN_COUNT] = {
		[ORIGIN_DEFAULT] = "default",
		[ORIGIN_ANNOTATION] = "annotation",
		[ORIGIN_FILE] = "file",
		[ORIGIN_ENVIRONMENT] = "environment",
		[ORIGIN_OPTION] = "option",
		[ORIGIN_MISREAD] = "annotation not understood",
	};

	return origin < ORIGIN_COUNT ? names[origin] : "?";
}

json_t *policy_json(const struct table_policy *policy)
{
	json_t *object = json_object();
	char text[POLICY_TEXT];

	for (size_t i = 0; i < policy_key_count; i++)
		json_object_set_new(object, policy_keys[i].name,
				    json_pack("{s:s, s:s}", "value", policy_print(policy, &policy_keys[i], text), "origin",
					      policy_origin_name(policy_origin_of(policy, &policy_keys[i]))));
	return object;
}
