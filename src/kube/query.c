/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/query.h"

#include <string.h>

static const char *const paths[KUBE_KINDS] = {
	[KUBE_SERVICE] = "/api/v1",
	[KUBE_SLICE] = "/apis/discovery.k8s.io/v1",
};

static const char *const plurals[KUBE_KINDS] = {
	[KUBE_SERVICE] = "services",
	[KUBE_SLICE] = "endpointslices",
};

void kube_query_add(struct text *out, const char *name, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	if (!value)
		return;
	text_add_char(out, strchr(out->buf, '?') ? '&' : '?');
	text_add(out, name);
	text_add_char(out, '=');
	for (const char *c = value; *c; c++) {
		if (strchr(plain, *c)) {
			text_add_char(out, *c);
			continue;
		}
		text_add_char(out, '%');
		text_add_char(out, "0123456789ABCDEF"[(unsigned char)*c >> 4]);
		text_add_char(out, "0123456789ABCDEF"[(unsigned char)*c & 15]);
	}
}

void kube_query_begin(struct text *out, enum kube_kind kind, const char *namespace, const char *label_selector,
		      const char *field_selector)
{
	text_add(out, paths[kind]);
	if (namespace) {
		text_add(out, "/namespaces/");
		text_add(out, namespace);
	}
	text_add_char(out, '/');
	text_add(out, plurals[kind]);
	kube_query_add(out, "labelSelector", label_selector);
	kube_query_add(out, "fieldSelector", field_selector);
}
