/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_json.h"

#include <jansson.h>

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
