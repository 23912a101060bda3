/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that no API server would let through: they do no harm, and what stands beside them is kept. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "kube/json.h"
#include "model/model.h"
#include "support/kube_texts.h"
#include "support/models.h"
#include "support/process.h"

#define WEB_SPEC "web.shop own 10.96.0.1\n"

/* ---- wrong types, everywhere ---- */

/* What each value of an object is replaced by, one after the other. */
static json_t *wrong_values(void)
{
	static char long_text[70001];
	json_t *values = json_pack("[n, b, b, i, i, I, f, s, s, s, [], {}, [n], [[i]], [{s:n}], {s:s}, {s:{}}]", 1, 0, 0, -1,
				   (json_int_t)INT64_MAX, 1e300, "", "x", "10.0.0.9", 7, "name", "name", "x", "x");

	assert_non_null(values);
	memset(long_text, 'a', sizeof(long_text) - 1);
	json_array_append_new(values, json_string(long_text));
	json_array_append_new(values, json_stringn("we\0b", 4));
	return values;
}

struct trial {
	struct model *model;
	enum kube_kind kind;
	json_t *whole, *values;
	size_t tried;
};

/* Says it, and takes it back: only what was there before is left. */
static void try_object(struct trial *trial)
{
	struct model_list *list = model_list_begin(trial->model, trial->kind, 2);
	int one = kube_json_apply(trial->model, 1, trial->kind, trial->whole);
	int listed = kube_json_list_add(list, trial->whole);

	assert_true(one == 0 || one == -EINVAL);
	assert_int_equal(one, listed);
	assert_int_equal(model_list_commit(list), 0);
	resolve(trial->model);
	kube_json_forget(trial->model, 1, trial->kind, trial->whole);
	list = model_list_begin(trial->model, trial->kind, 2);
	assert_int_equal(model_list_commit(list), 0);
	trial->tried++;
}

static void try_below(struct trial *trial, json_t *at);

static void try_member(struct trial *trial, json_t *object, const char *key)
{
	json_t *right = json_incref(json_object_get(object, key)), *value;
	size_t i;

	json_array_foreach(trial->values, i, value)
	{
		json_object_set_new(object, key, json_deep_copy(value));
		try_object(trial);
	}
	json_object_del(object, key);
	try_object(trial);
	json_object_set(object, key, right);
	json_decref(right);
	try_below(trial, right);
}

static void try_item(struct trial *trial, json_t *array, size_t at)
{
	json_t *right = json_incref(json_array_get(array, at)), *value;
	size_t i;

	json_array_foreach(trial->values, i, value)
	{
		json_array_set_new(array, at, json_deep_copy(value));
		try_object(trial);
	}
	json_array_set(array, at, right);
	json_decref(right);
	try_below(trial, right);
}

static void try_below(struct trial *trial, json_t *at)
{
	const char *keys[64];
	size_t n = 0;
	const char *key;
	json_t *value;

	json_object_foreach(at, key, value)
	{
		assert_true(n < 64);
		keys[n++] = key;
	}
	for (size_t i = 0; i < n; i++) {
		char copy[256]; /* replacing a member may free its key */

		snprintf(copy, sizeof(copy), "%s", keys[i]);
		try_member(trial, at, copy);
	}
	for (size_t i = 0; i < json_array_size(at); i++)
		try_item(trial, at, i);
}

static const char service_text[] =
	"{'metadata': {'name': 'evil', 'namespace': 'shop', 'uid': 'u', 'resourceVersion': '1', 'labels': {'app': 'x', "
	"'service.kubernetes.io/service-proxy-name': 'y'}, 'annotations': {'fairdial.dev/balance': 'hash', "
	"'fairdial.dev/attempts': '3'}}, 'spec': {'type': 'ClusterIP', 'clusterIP': '10.96.0.66', 'clusterIPs': "
	"['10.96.0.66', 'fd00::66'], 'internalTrafficPolicy': 'Local', 'sessionAffinity': 'ClientIP', "
	"'sessionAffinityConfig': {'clientIP': {'timeoutSeconds': 600}}, 'ports': [{'name': 'a', 'port': 80, 'protocol': "
	"'TCP', 'appProtocol': 'http'}, {'name': 'b', 'port': 53, 'protocol': 'UDP'}]}}";

static const char slice_text[] =
	"{'metadata': {'name': 'evil-1', 'namespace': 'shop', 'uid': 'u', 'resourceVersion': '1', 'labels': "
	"{'kubernetes.io/service-name': 'other'}}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': 8080, 'protocol': "
	"'TCP'}], 'endpoints': [{'addresses': ['10.0.0.66', '10.0.0.67'], 'conditions': {'ready': true, 'serving': true, "
	"'terminating': false}, 'hostname': 'h', 'nodeName': 'node-a', 'zone': 'zone-a', 'targetRef': {'kind': 'Pod', "
	"'name': 'evil-0'}, 'hints': {'forZones': [{'name': 'zone-a'}, {'name': 'zone-b'}], 'forNodes': [{'name': "
	"'node-a'}]}}]}";

static void try_all(enum kube_kind kind, const char *text)
{
	struct trial trial = { .model = new_model_at("node-a", NULL), .kind = kind };

	set_text(trial.model, KUBE_SERVICE, WEB);
	set_text(trial.model, KUBE_SLICE,
		 "{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
		 "'addressType': 'IPv4', 'ports': [{'name': '', 'port': 8080}], 'endpoints': [{'addresses': ['10.0.0.1']}]}");
	trial.whole = json_quoted(text);
	trial.values = wrong_values();
	try_below(&trial, trial.whole);
	assert_true(trial.tried > 400);
	assert_spec(trial.model, WEB_SPEC "  80/TCP 10.0.0.1:8080*\n");
	json_decref(trial.whole);
	json_decref(trial.values);
	model_free(trial.model);
}

static void a_service_with_any_value_wrong_does_no_harm(void **state)
{
	(void)state;
	try_all(KUBE_SERVICE, service_text);
}

static void a_slice_with_any_value_wrong_does_no_harm(void **state)
{
	(void)state;
	try_all(KUBE_SLICE, slice_text);
}

/* ---- texts ---- */

/* Quotes as in json_quoted; "~" stands for an escaped NUL. */
static json_t *json_with_nul(const char *text)
{
	char buf[2048];
	size_t n = 0;
	json_error_t error;
	json_t *value;

	for (; *text; text++) {
		if (*text == '~')
			n += (size_t)snprintf(buf + n, sizeof(buf) - n, "\\u0000");
		else
			buf[n++] = *text == '\'' ? '"' : *text;
	}
	value = json_loadb(buf, n, JSON_ALLOW_NUL, &error);
	if (!value)
		fail_msg("%s", error.text);
	return value;
}

/* A caller that lets NUL through must not have names cut short by it: "web" is somebody else. */
static void a_text_with_a_nul_is_as_if_it_were_absent(void **state)
{
	struct model *model = new_model();
	json_t *object;

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	object = json_with_nul("{'metadata': {'name': 'web~x', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.9', "
			       "'ports': [{'port': 81}]}}");
	assert_int_equal(kube_json_apply(model, 0, KUBE_SERVICE, object), -EINVAL);
	kube_json_forget(model, 0, KUBE_SERVICE, object);
	json_decref(object);
	object = json_with_nul("{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': "
			       "'web~'}}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': 80}], 'endpoints': "
			       "[{'addresses': ['10.0.0.1']}]}");
	assert_int_equal(kube_json_apply(model, 0, KUBE_SLICE, object), 0);
	json_decref(object);
	object = json_with_nul("{'metadata': {'name': 'y', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': "
			       "'web'}}, 'addressType': 'IPv4', 'ports': [{'name': '~', 'port': 81}, {'name': '', 'port': 80}], "
			       "'endpoints': [{'addresses': ['10.0.0.2~']}, {'addresses': ['10.0.0.3'], 'nodeName': 'a~'}]}");
	assert_int_equal(kube_json_apply(model, 0, KUBE_SLICE, object), 0);
	json_decref(object);
	assert_spec(model, WEB_SPEC "  80/TCP 10.0.0.3:80*\n");
	assert_null(resolve(model)->services[0].ports[0].endpoints[0].node);
	model_free(model);
}

static void names_that_are_too_long_are_passed_over(void **state)
{
	struct model *model = new_model();
	char name[301], text[4096];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[300] = '\0';
	snprintf(text, sizeof(text),
		 "{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', 'ports': [{'name': '%s', "
		 "'port': 81}, {'port': 80, 'appProtocol': '%s'}]}}",
		 name, name);
	set_text(model, KUBE_SERVICE, text);
	snprintf(text, sizeof(text),
		 "{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
		 "'addressType': 'IPv4', 'ports': [{'name': '%s', 'port': 81}, {'name': '', 'port': 80}], 'endpoints': "
		 "[{'addresses': ['10.0.0.1'], 'nodeName': '%s', 'zone': '%s', 'hostname': '%s', 'hints': {'forZones': [{'name': "
		 "'%s'}]}}]}",
		 name, name, name, name, name);
	set_text(model, KUBE_SLICE, text);
	assert_spec(model, WEB_SPEC "  80/TCP 10.0.0.1:80*\n");
	assert_null(resolve(model)->services[0].ports[0].app_protocol);
	assert_null(resolve(model)->services[0].ports[0].endpoints[0].zone);
	snprintf(text, sizeof(text),
		 "{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': '%s'}}, "
		 "'addressType': 'IPv4'}",
		 name);
	set_text(model, KUBE_SLICE, text); /* of no Service any more */
	assert_spec(model, WEB_SPEC "  80/TCP\n");
	model_free(model);
}

/* The table finds names without regard to case, and what is no name of DNS is asked for by nobody. */
static void names_that_no_api_server_lets_through_are_passed_over(void **state)
{
	static const char *const names[][2] = { { "shop", "Web" }, { "Shop", "web" }, { "shop", "b/c" }, { "shop", "web.x" },
						{ "a/b", "c" }, { "shop", "-web" }, { "shop", "w\\u001b" } };
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *object = json_quoted(format("{'metadata': {'namespace': '%s', 'name': '%s'}, 'spec': {'clusterIP': '10.96.0.2', "
						    "'ports': [{'port': 80}]}}", names[i][0], names[i][1]));

		assert_int_equal(kube_json_apply(model, 0, KUBE_SERVICE, object), -EINVAL);
		json_decref(object);
	}
	assert_int_equal(resolve(model)->service_count, 1);
	model_free(model);
}

/* ---- sizes ---- */

static void a_slice_of_a_hundred_thousand_endpoints_is_taken(void **state)
{
	struct model *model = new_model();
	json_t *slice = json_quoted("{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': "
				    "'web'}}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': 80}], 'endpoints': []}");
	json_t *endpoints = json_object_get(slice, "endpoints");

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	for (unsigned i = 0; i < 100000; i++) {
		char address[32];

		snprintf(address, sizeof(address), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
		json_array_append_new(endpoints, json_pack("{s:[s]}", "addresses", address));
	}
	assert_int_equal(kube_json_apply(model, 1, KUBE_SLICE, slice), 0);
	assert_int_equal(resolve(model)->services[0].ports[0].endpoint_count, 100000);
	json_decref(slice);
	model_free(model);
}

static void an_endpoint_of_ten_thousand_hints_is_taken(void **state)
{
	struct model *model = new_model_at("node-a", "zone-9999");
	json_t *slice = json_quoted("{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': "
				    "'web'}}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': 80}], 'endpoints': "
				    "[{'addresses': ['10.0.0.1'], 'hints': {'forZones': []}}]}");
	json_t *zones = json_object_get(json_object_get(json_array_get(json_object_get(slice, "endpoints"), 0), "hints"),
					"forZones");

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	for (unsigned i = 0; i < 10000; i++) {
		char zone[32];

		snprintf(zone, sizeof(zone), "zone-%u", i);
		json_array_append_new(zones, json_pack("{s:s}", "name", zone));
	}
	assert_int_equal(kube_json_apply(model, 1, KUBE_SLICE, slice), 0);
	assert_spec(model, WEB_SPEC "  80/TCP 10.0.0.1:80*\n");
	kube_json_forget(model, 1, KUBE_SLICE, slice);
	assert_spec(model, WEB_SPEC "  80/TCP\n");
	json_decref(slice);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_with_any_value_wrong_does_no_harm),
		cmocka_unit_test(a_slice_with_any_value_wrong_does_no_harm),
		cmocka_unit_test(a_text_with_a_nul_is_as_if_it_were_absent),
		cmocka_unit_test(names_that_are_too_long_are_passed_over),
		cmocka_unit_test(names_that_no_api_server_lets_through_are_passed_over),
		cmocka_unit_test(a_slice_of_a_hundred_thousand_endpoints_is_taken),
		cmocka_unit_test(an_endpoint_of_ten_thousand_hints_is_taken),
	};

	return RUN_TESTS(tests);
}
