/* SPDX-License-Identifier: Apache-2.0 */
/* A services file: strict, because a person writes it and wants to know where it is wrong. */
#ifndef FAIRDIAL_SERVICES_JSON_H
#define FAIRDIAL_SERVICES_JSON_H

#include <jansson.h>

#include "base/report.h"
#include "services/json_lines.h"

struct model;

/* 0; -EINVAL, and the report names origin, line and key; -ENOMEM. Else the model is as it was. */
int services_json_load(struct model *model, const struct json_source *source, const json_t *root,
		       struct report *report);

#endif
