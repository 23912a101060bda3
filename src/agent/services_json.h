/* SPDX-License-Identifier: Apache-2.0 */
/* A services file: strict, because a person writes it and wants to know where it is wrong. */
#ifndef FAIRDIAL_AGENT_SERVICES_JSON_H
#define FAIRDIAL_AGENT_SERVICES_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/json_lines.h"
#include "base/report.h"
#include "base/text.h"

struct model;

/* 0; -EINVAL, and the report names origin, line and key; -ENOMEM. Else the model is as it was. */
int services_json_load(struct model *model, const struct json_source *source, const json_t *root,
		       struct report *report);

/* RFC 1123, as Kubernetes takes it: up to 63 lower-case letters, digits and '-', neither first nor last a '-'. */
bool label_is_valid(struct slice label);

#define LABEL_EXPECTS "a name of up to 63 lower-case letters, digits and '-'"

#endif
