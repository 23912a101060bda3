/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of Kubernetes as the JSON that a test writes by hand: single quotes stand for double ones. */
#ifndef FAIRDIAL_TESTS_KUBE_TEXTS_H
#define FAIRDIAL_TESTS_KUBE_TEXTS_H

#include <jansson.h>

#include "kube/json.h"

#define WEB                                                                                                            \
	"{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', "                       \
	"'ports': [{'port': 80}]}}"

/* The caller releases it. The test fails where the text is no JSON. */
json_t *json_quoted(const char *text);

/* kube_json_apply of such a text, with origin 0; the test fails where it does. */
void set_text(struct model *model, enum kube_kind kind, const char *text);

#endif
