/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the Kubernetes API as JSON: what is read of them, and what is odd about objects that others write. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "kube/json.h"
#include "model/model.h"
#include "model/policy.h"
#include "support/kube_texts.h"
#include "support/models.h"

#define WEB_SLICE(rest)                                                                                                \
	"{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "       \
	"'addressType': 'IPv4', " rest "}"

/* A model with WEB and a slice of it. */
static struct model *web_model(const char *slice)
{
	struct model *model = new_model();

	set_text(model, KUBE_SERVICE, WEB);
	set_text(model, KUBE_SLICE, slice);
	return model;
}

/* ---- single objects ---- */

static void kinds_are_told_by_kind_and_group(void **state)
{
	static const struct {
		const char *text;
		int kind;
	} samples[] = {
		{ "{'kind': 'Service', 'apiVersion': 'v1'}", KUBE_SERVICE },
		{ "{'kind': 'Service'}", KUBE_SERVICE },
		{ "{'kind': 'EndpointSlice', 'apiVersion': 'discovery.k8s.io/v1'}", KUBE_SLICE },
		{ "{'kind': 'EndpointSlice', 'apiVersion': 'discovery.k8s.io/v1beta1'}", KUBE_SLICE },
		{ "{'kind': 'EndpointSlice', 'apiVersion': 'v1'}", -ENOENT },
		{ "{'kind': 'Service', 'apiVersion': 'serving.knative.dev/v1'}", -ENOENT },
		{ "{'kind': 'Endpoints', 'apiVersion': 'v1'}", -ENOENT },
		{ "{'kind': 'Status', 'apiVersion': 'v1', 'code': 410}", -ENOENT },
		{ "{'kind': 7}", -ENOENT },
		{ "{}", -ENOENT },
		{ "[]", -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		json_t *object = json_quoted(samples[i].text);

		assert_int_equal(kube_json_kind(object), samples[i].kind);
		json_decref(object);
	}
}

static void an_object_is_deleted_by_its_name(void **state)
{
	struct model *model = web_model(
		WEB_SLICE("'ports': [{'name': '', 'port': 8080}], 'endpoints': [{'addresses': ['10.0.0.1']}]"));
	json_t *slice = json_quoted("{'metadata': {'name': 'web-1', 'namespace': 'shop'}}"), *service = json_quoted(WEB);
	json_t *nothing = json_quoted("{}");

	(void)state;
	kube_json_forget(model, 0, KUBE_SLICE, nothing);
	kube_json_forget(model, 0, KUBE_SLICE, slice);
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	kube_json_forget(model, 0, KUBE_SERVICE, service);
	assert_spec(model, "");
	json_decref(slice);
	json_decref(service);
	json_decref(nothing);
	model_free(model);
}

static void an_object_without_a_name_is_refused(void **state)
{
	static const char *const bad[] = { "{}",
					   "[]",
					   "{'metadata': null}",
					   "{'metadata': {'namespace': 'shop'}}",
					   "{'metadata': {'name': '', 'namespace': 'shop'}}",
					   "{'metadata': {'name': 7, 'namespace': 'shop'}}",
					   "{'metadata': {'name': 'web', 'namespace': ''}}" };
	struct model *model = new_model();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *object = json_quoted(bad[i]);

		assert_int_equal(kube_json_apply(model, 0, KUBE_SERVICE, object), -EINVAL);
		assert_int_equal(kube_json_apply(model, 0, KUBE_SLICE, object), -EINVAL);
		json_decref(object);
	}
	assert_spec(model, "");
	model_free(model);
}

static void a_slice_without_endpoints_or_ports_is_legal(void **state)
{
	struct model *model = web_model(WEB_SLICE("'ports': null, 'endpoints': null"));

	(void)state;
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	set_text(model, KUBE_SLICE, WEB_SLICE("'x': 1"));
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	model_free(model);
}

static void only_the_first_address_of_an_endpoint_counts(void **state)
{
	struct model *model = web_model(WEB_SLICE("'ports': [{'name': '', 'port': 8080}], "
						  "'endpoints': [{'addresses': ['10.0.0.1', '10.0.0.2']}]"));

	(void)state;
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void bad_endpoints_are_passed_over_and_the_rest_is_kept(void **state)
{
	struct model *model = web_model(WEB_SLICE(
		"'ports': [{'name': '', 'port': 8080}, {'name': '', 'port': 0}, {'name': '', 'port': 70000}, {'port': "
		"1}, "
		"{'name': null, 'port': 2}, {'name': '', 'port': '80'}, {'name': '', 'protocol': 'QUIC', 'port': 3}, "
		"7], "
		"'endpoints': [{'addresses': ['10.0.0.1']}, {'addresses': []}, {'addresses': null}, {}, null, 'x', "
		"{'addresses': ['pod-1']}, {'addresses': [7]}, {'addresses': ['0.0.0.0']}, {'addresses': ['fd00::1']}, "
		"{'addresses': ['10.0.0.2'], 'conditions': null, 'nodeName': null, 'zone': 7, 'hints': {'forZones': "
		"[null, {'name': 7}]}}]"));

	(void)state;
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
	model_free(model);
}

/* What the API refuses to put into a slice: here it did not (ValidateNonSpecialIP of Kubernetes). */
static void endpoints_that_can_be_no_pods_are_passed_over(void **state)
{
	struct model *model = web_model(WEB_SLICE(
		"'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['169.254.169.254']}, {'addresses': ['169.254.20.10']}, "
		"{'addresses': ['224.0.0.1']}, {'addresses': ['255.255.255.255']}, {'addresses': ['0.0.0.0']}, "
		"{'addresses': ['10.0.0.1']}]"));

	(void)state;
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:80*\n");
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'addressType': 'IPv6', 'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['fe80::1']}, "
	    "{'addresses': ['::']}, {'addresses': ['ff02::1']}, {'addresses': ['::ffff:169.254.169.254']}, {'addresses': ['fd00::1']}]}");
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP [fd00::1]:80*\n");
	model_free(model);
}

/* It would be the pod that dials. Where the API itself is on loopback, servers may be. */
static void endpoints_on_loopback_are_for_an_api_that_is_there(void **state)
{
	const char *slice = WEB_SLICE("'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['127.0.0.1']}, "
				      "{'addresses': ['127.255.255.255']}, {'addresses': ['10.0.0.1']}]");
	struct model *model = model_new(&(struct model_options){ .no_loopback = true });

	(void)state;
	model_set_synced(model, true, true);
	set_text(model, KUBE_SERVICE, WEB);
	set_text(model, KUBE_SLICE, slice);
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:80*\n");
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'addressType': 'IPv6', 'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['::1']}]}");
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	model_free(model);
	model = web_model(slice);
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:80* 127.0.0.1:80* 127.255.255.255:80*\n");
	model_free(model);
}

static void addresses_with_leading_zeros_are_read(void **state)
{
	struct model *model = web_model(
		WEB_SLICE("'ports': [{'name': '', 'port': 8080}], 'endpoints': [{'addresses': ['010.000.00.001']}, "
			  "{'addresses': ['10.0.0.1']}, {'addresses': ['10.20.0.100']}]"));

	(void)state;
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080* 10.20.0.100:8080*\n");
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'addressType': 'IPv6', 'ports': [{'name': '', 'port': 8080}], 'endpoints': [{'addresses': "
	    "['0fd0:0000:0:00::0a']}, {'addresses': ['FD00::1']}]}");
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP [fd0::a]:8080* [fd00::1]:8080*\n");
	model_free(model);
}

static void slices_of_names_or_of_unknown_types_are_ignored(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'addressType': 'FQDN', 'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['10.0.0.1']}]}");
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-2', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'addressType': 'IPv7', 'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['10.0.0.1']}]}");
	set_text(model, KUBE_SLICE,
	    "{'metadata': {'name': 'web-3', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, "
	    "'ports': [{'name': '', 'port': 80}], 'endpoints': [{'addresses': ['10.0.0.1']}]}");
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	model_free(model);
}

static void fields_of_services_are_read(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'dual', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.2', 'clusterIPs': "
	    "['10.96.0.2', 'fd00::2'], 'sessionAffinity': 'ClientIP', 'internalTrafficPolicy': 'Local', 'ports': "
	    "[{'name': 'dns', 'port': 53, 'protocol': 'UDP'}, {'name': 'tcp', 'port': 53, 'protocol': 'TCP'}, "
	    "{'name': 'x', 'port': 0}, {'name': 'y', 'port': 54, 'protocol': 'x'}]}}");
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'none', 'namespace': 'shop'}, 'spec': {'clusterIP': 'None', 'ports': [{'port': "
	    "1}]}}");
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'proxied', 'namespace': 'shop', 'labels': {'service.kubernetes.io/"
	    "service-proxy-name': ''}}, 'spec': {'clusterIPs': ['10.96.0.3', 'junk'], 'sessionAffinity': 'None', "
	    "'sessionAffinityConfig': {'clientIP': {'timeoutSeconds': 5}}, 'ports': [{'port': 1}]}}");
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'unborn', 'namespace': 'shop'}, 'spec': {'clusterIP': '', 'ports': [{'port': 1}]}}");
	assert_spec(model, "dual.shop own local affinity=10800 10.96.0.2 fd00::2\n  dns:53/UDP\n  tcp:53/TCP\n"
			   "none.shop headless\n  1/TCP\n"
			   "proxied.shop own down=2 10.96.0.3\n  1/TCP\n");
	model_free(model);
}

/* A Service must not be able to take an address that is somebody else's (CVE-2020-8554). */
static void addresses_beyond_the_cluster_are_never_claimed(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.2', 'type': 'LoadBalancer', "
	    "'externalIPs': ['192.0.2.1'], 'loadBalancerIP': '192.0.2.2', 'ports': [{'port': 1, 'nodePort': 30001}]}, "
	    "'status': {'loadBalancer': {'ingress': [{'ip': '192.0.2.3', 'ipMode': 'VIP'}]}}}");
	assert_spec(model, "web.shop own 10.96.0.2\n  1/TCP\n");
	model_free(model);
}

static void an_affinity_out_of_bounds_has_the_default_timeout(void **state)
{
	static const char *const timeouts[] = { "0", "86401", "-1", "'600'", "null" };
	struct model *model = new_model();
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		snprintf(
			text, sizeof(text),
			"{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', "
			"'sessionAffinity': 'ClientIP', 'sessionAffinityConfig': {'clientIP': {'timeoutSeconds': %s}}, "
			"'ports': [{'port': 80}]}}",
			timeouts[i]);
		set_text(model, KUBE_SERVICE, text);
		assert_int_equal(resolve(model)->services[0].affinity_s, 10800);
	}
	model_free(model);
}

static void an_object_without_a_namespace_is_in_default(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE,
	    "{'metadata': {'name': 'web'}, 'spec': {'clusterIP': '10.96.0.1', 'ports': [{'port': 80}]}}");
	assert_spec(model, "web.default own 10.96.0.1\n  80/TCP\n");
	model_free(model);
}

/* ---- annotations ---- */

#define ANNOTATED(annotations)                                                                                         \
	"{'metadata': {'name': 'web', 'namespace': 'shop', 'annotations': {" annotations "}}, 'spec': "                \
	"{'clusterIP': '10.96.0.1', 'ports': [{'port': 80}]}}"

static void annotations_set_policy(void **state)
{
	struct model *model = new_model();
	const struct table_policy *policy;

	(void)state;
	set_text(model, KUBE_SERVICE,
	    ANNOTATED("'fairdial.dev/balance': 'hash', 'fairdial.dev/attempts': '7', 'fairdial.dev/keepalive': 'off', "
		      "'other.dev/balance': 'random', 'fairdial.dev/mode': 'observe'"));
	policy = &resolve(model)->services[0].policy;
	assert_int_equal(policy->balance, BALANCE_HASH);
	assert_int_equal(policy->attempts, 7);
	assert_int_equal(policy->mode, MODE_OBSERVE);
	assert_int_equal(policy_origin_of(policy, policy_find("attempts", 8)), ORIGIN_ANNOTATION);
	assert_int_equal(policy_origin_of(policy, policy_find("quiet", 5)), ORIGIN_DEFAULT);
	model_free(model);
}

static char warned[2048];

static void note_warning(const char *line)
{
	size_t len = strlen(warned);

	snprintf(warned + len, sizeof(warned) - len, "%s\n", line);
}

static struct model *warning_model(void)
{
	const struct model_options options = { .warn = note_warning };
	struct model *model = model_new(&options);

	assert_non_null(model);
	model_set_synced(model, true, true);
	warned[0] = '\0';
	return model;
}

static void bad_annotations_are_passed_over_and_told(void **state)
{
	static const struct {
		const char *annotation, *expected;
	} bad[] = {
		{ "'fairdial.dev/balance': 'Hash'", "service shop/web: annotation fairdial.dev/balance is passed over: "
						    "expected least_conn, round_robin, random, p2c or hash" },
		{ "'fairdial.dev/attempts': '0'", "expected a number from 1 to 100" },
		{ "'fairdial.dev/attempts': 3", "annotation fairdial.dev/attempts is passed over: expected a number" },
		{ "'fairdial.dev/balanse': 'hash'", "annotation fairdial.dev/balanse is passed over: no such key" },
		{ "'fairdial.dev/': 'hash'", "no such key" },
	};
	struct model *model = warning_model();
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *object;

		warned[0] = '\0';
		snprintf(text, sizeof(text), ANNOTATED("%s, 'fairdial.dev/quiet': '7s'"), bad[i].annotation);
		object = json_quoted(text);
		assert_int_equal(kube_json_apply(model, 0, KUBE_SERVICE, object), 0);
		assert_non_null(strstr(warned, bad[i].expected));
		assert_int_equal(resolve(model)->services[0].policy.balance, BALANCE_LEAST_CONN);
		assert_int_equal(resolve(model)->services[0].policy.attempts, 3);
		assert_int_equal(resolve(model)->services[0].policy.quiet_ms, 7000);
		json_decref(object);
	}
	model_free(model);
}

/* A mistyped switch must not do more than was meant. */
static void a_mode_that_is_not_understood_makes_its_service_off(void **state)
{
	static const char *const texts[] = { "'disabled'", "'of'", "''", "false", "'on, please'" };
	struct model *model = warning_model();
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct table_policy *policy;

		warned[0] = '\0';
		snprintf(text, sizeof(text), ANNOTATED("'fairdial.dev/mode': %s"), texts[i]);
		set_text(model, KUBE_SERVICE, text);
		policy = &resolve(model)->services[0].policy;
		assert_int_equal(policy->mode, MODE_OFF);
		assert_int_equal(policy_origin_of(policy, policy_find("mode", 4)), ORIGIN_MISREAD);
		assert_string_equal(warned, "service shop/web: annotation fairdial.dev/mode is not understood, so the Service "
					    "is off: expected on, observe or off\n");
	}
	set_text(model, KUBE_SERVICE, ANNOTATED("'fairdial.dev/mode': ' Observe'"));
	assert_int_equal(resolve(model)->services[0].policy.mode, MODE_OBSERVE);
	model_free(model);
}

static void all_bad_annotations_are_told(void **state)
{
	struct model *model = warning_model();
	const struct table_policy *policy;

	(void)state;
	set_text(model, KUBE_SERVICE,
		 ANNOTATED("'fairdial.dev/balance': 'fair', 'fairdial.dev/attempts': '7', 'fairdial.dev/mode': 'Of', "
			   "'fairdial.dev/quiet': 'no', 'fairdial.dev/moed': 'off'"));
	assert_non_null(strstr(warned, "fairdial.dev/balance is passed over"));
	assert_non_null(strstr(warned, "fairdial.dev/mode is not understood"));
	assert_non_null(strstr(warned, "fairdial.dev/quiet is passed over"));
	assert_non_null(strstr(warned, "fairdial.dev/moed is passed over: no such key"));
	assert_null(strstr(warned, "attempts"));
	policy = &resolve(model)->services[0].policy;
	assert_int_equal(policy->attempts, 7);
	assert_int_equal(policy->quiet_ms, 10000);
	assert_int_equal(policy_origin_of(policy, policy_find("quiet", 5)), ORIGIN_MISREAD);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_told_by_kind_and_group),
		cmocka_unit_test(an_object_is_deleted_by_its_name),
		cmocka_unit_test(an_object_without_a_name_is_refused),
		cmocka_unit_test(a_slice_without_endpoints_or_ports_is_legal),
		cmocka_unit_test(only_the_first_address_of_an_endpoint_counts),
		cmocka_unit_test(bad_endpoints_are_passed_over_and_the_rest_is_kept),
		cmocka_unit_test(endpoints_that_can_be_no_pods_are_passed_over),
		cmocka_unit_test(endpoints_on_loopback_are_for_an_api_that_is_there),
		cmocka_unit_test(addresses_with_leading_zeros_are_read),
		cmocka_unit_test(slices_of_names_or_of_unknown_types_are_ignored),
		cmocka_unit_test(fields_of_services_are_read),
		cmocka_unit_test(addresses_beyond_the_cluster_are_never_claimed),
		cmocka_unit_test(an_affinity_out_of_bounds_has_the_default_timeout),
		cmocka_unit_test(an_object_without_a_namespace_is_in_default),
		cmocka_unit_test(annotations_set_policy),
		cmocka_unit_test(bad_annotations_are_passed_over_and_told),
		cmocka_unit_test(a_mode_that_is_not_understood_makes_its_service_off),
		cmocka_unit_test(all_bad_annotations_are_told),
	};

	return RUN_TESTS(tests);
}
