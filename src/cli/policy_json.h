/* SPDX-License-Identifier: Apache-2.0 */
/* How a Service is dialed, as the verbs that show it print it. */
#ifndef FAIRDIAL_CLI_POLICY_JSON_H
#define FAIRDIAL_CLI_POLICY_JSON_H

#include "model/policy.h"

struct json_t;

/* Each key with its value, as a user would write it, and where that comes from. The caller frees it. */
struct json_t *policy_json(const struct table_policy *policy);

#endif
