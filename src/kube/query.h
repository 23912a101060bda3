/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the API's collections, with their queries. */
#ifndef FAIRDIAL_KUBE_QUERY_H
#define FAIRDIAL_KUBE_QUERY_H

#include "base/text.h"
#include "model/model.h"

/* Room for the selectors of many Services, and for a continue token. */
#define KUBE_QUERY_SIZE 16384

/*
 * "/api/v1/namespaces/shop/services"; `namespace` NULL: of all. Selectors as kube_query_add takes them. `out->full` tells of no
 * room.
 */
void kube_query_begin(struct text *out, enum kube_kind kind, const char *namespace, const char *label_selector,
		      const char *field_selector);

/* A parameter, its value percent-encoded (RFC 3986 section 2.1). NULL: left out. */
void kube_query_add(struct text *out, const char *name, const char *value);

#endif
