/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the Kubernetes API: recorded ones, and what a list replaces and completes. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "kube/json.h"
#include "model/model.h"
#include "model/policy.h"
#include "services/source.h"
#include "support/kube_texts.h"
#include "support/models.h"

static void load_recording(struct model *model, const char *name)
{
	const char *root = getenv("FAIRDIAL_TEST_ROOT");
	struct report report = { "" };
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/data/kubernetes/%s", root ? root : ".", name);
	if (source_load_file(model, path, &report) < 0)
		fail_msg("%s", report.text);
}

static struct model *model_of(const char *node)
{
	struct model_options options = { .node = node };

	return model_new(&options);
}

static void load(struct model *model, const char *text)
{
	json_t *list = json_quoted(text);

	assert_int_equal(kube_json_load(model, list), 0);
	json_decref(list);
}

/* ---- recordings ---- */

static const char recorded_on_a[] = "empty.shop own 10.96.90.247\n"
				    "  80/TCP\n"
				    "headless.shop headless\n"
				    "  mysql:3306/TCP 10.244.0.11:3306* 10.244.0.12:3307* 10.244.0.13:3306*\n"
				    "manual.shop own 10.96.14.90\n"
				    "  db:5432/TCP 10.244.9.1:5433* 10.244.9.2:5433* 10.244.9.3:5433\n"
				    "mysql.shop own 10.96.140.171\n"
				    "  mysql:3306/TCP 10.244.0.11:3306* 10.244.0.12:3307* 10.244.0.13:3306\n"
				    "sticky.shop own local affinity=600 10.96.53.12\n"
				    "  80/TCP 10.244.1.11:8080* 10.244.1.12:8080\n"
				    "web.shop own 10.96.203.109\n"
				    "  http:80/TCP 10.244.1.11:8080* 10.244.1.12:8080\n"
				    "  metrics:9100/TCP 10.244.1.11:9100* 10.244.1.12:9100\n";

static void recorded_lists_make_these_services_on_node_a(void **state)
{
	struct model *model = model_of("node-a");

	(void)state;
	load_recording(model, "list-services.json");
	load_recording(model, "list-endpointslices.json");
	assert_spec(model, recorded_on_a);
	model_free(model);
}

static void recorded_lists_may_come_in_the_other_order(void **state)
{
	struct model *model = model_of("node-a");

	(void)state;
	load_recording(model, "list-endpointslices.json");
	load_recording(model, "list-services.json");
	assert_spec(model, recorded_on_a);
	model_free(model);
}

static void recorded_lists_loaded_again_change_nothing(void **state)
{
	struct model *model = model_of("node-a");

	(void)state;
	for (int i = 0; i < 3; i++) {
		load_recording(model, "list-services.json");
		load_recording(model, "list-endpointslices.json");
		assert_spec(model, recorded_on_a);
	}
	model_free(model);
}

static void recorded_lists_make_others_usable_on_node_b(void **state)
{
	struct model *model = model_of("node-b");
	char *text;

	(void)state;
	load_recording(model, "list-services.json");
	load_recording(model, "list-endpointslices.json");
	text = spec_text(resolve(model));
	assert_non_null(strstr(text, "  80/TCP 10.244.1.11:8080 10.244.1.12:8080*\n"));
	assert_non_null(strstr(text, "  http:80/TCP 10.244.1.11:8080 10.244.1.12:8080*\n"));
	assert_non_null(strstr(text, "  metrics:9100/TCP 10.244.1.11:9100 10.244.1.12:9100*\n"));
	free(text);
	model_free(model);
}

static void recorded_lists_on_an_unknown_node_know_no_zone_and_nothing_local(void **state)
{
	struct model *model = model_of(NULL);
	char *text;

	(void)state;
	load_recording(model, "list-services.json");
	load_recording(model, "list-endpointslices.json");
	text = spec_text(resolve(model));
	assert_non_null(strstr(text, "  80/TCP 10.244.1.11:8080 10.244.1.12:8080\n"));
	assert_non_null(strstr(text, "  http:80/TCP 10.244.1.11:8080* 10.244.1.12:8080*\n"));
	free(text);
	model_free(model);
}

static void recorded_annotations_and_protocols_are_read(void **state)
{
	struct model *model = model_of("node-a");
	const struct policy_key *key = policy_find("balance", 7);
	const struct spec *spec;

	(void)state;
	load_recording(model, "list-services.json");
	load_recording(model, "list-endpointslices.json");
	spec = resolve(model);
	assert_string_equal(spec->services[3].name, "mysql");
	assert_int_equal(spec->services[3].policy.balance, BALANCE_ROUND_ROBIN);
	assert_int_equal(policy_origin_of(&spec->services[3].policy, key), ORIGIN_ANNOTATION);
	assert_string_equal(spec->services[5].ports[0].app_protocol, "http");
	assert_null(spec->services[5].ports[1].app_protocol);
	assert_string_equal(spec->services[5].ports[0].endpoints[1].node, "node-b");
	assert_string_equal(spec->services[5].ports[0].endpoints[1].zone, "zone-b");
	assert_int_equal(spec->services[0].policy.balance, BALANCE_LEAST_CONN);
	model_free(model);
}

static void services_alone_stand_down_for_want_of_slices(void **state)
{
	struct model *model = model_of("node-a");
	const struct spec *spec;

	(void)state;
	load_recording(model, "list-services.json");
	spec = resolve(model);
	assert_int_equal(spec->service_count, 6);
	for (size_t i = 0; i < spec->service_count; i++)
		assert_int_equal(spec->services[i].stand_down, STAND_DOWN_UNSYNCED);
	model_free(model);
}

/* ---- lists ---- */

#define LIST(items) "{'kind': 'List', 'apiVersion': 'v1', 'items': [" items "]}"
#define TYPED_WEB                                                                                                      \
	"{'kind': 'Service', 'apiVersion': 'v1', 'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': "           \
	"{'clusterIP': '10.96.0.1', 'ports': [{'port': 80}]}}"
#define TYPED_SLICE                                                                                                    \
	"{'kind': 'EndpointSlice', 'apiVersion': 'discovery.k8s.io/v1', 'metadata': {'name': 'web-1', 'namespace': "   \
	"'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, 'addressType': 'IPv4', 'ports': [{'name': '', "     \
	"'port': 8080}], 'endpoints': [{'addresses': ['10.0.0.1']}]}"

static void a_mixed_list_tells_kinds_apart_and_ignores_others(void **state)
{
	struct model *model = model_of(NULL);

	(void)state;
	load(model, LIST("{'kind': 'Endpoints', 'apiVersion': 'v1', 'metadata': {'name': 'web', 'namespace': 'shop'}, "
			 "'subsets': [{'addresses': [{'ip': '10.9.9.9'}], 'ports': [{'port': 1}]}]}, " TYPED_SLICE
			 ", {'kind': 'Pod', 'metadata': {'name': 'web'}}, " TYPED_WEB
			 ", {'kind': 'Service', 'apiVersion': 'serving.knative.dev/v1', 'metadata': {'name': 'x', "
			 "'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.7', 'ports': [{'port': 80}]}}"));
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void a_mixed_list_with_an_item_of_no_kind_is_refused(void **state)
{
	static const char *const items[] = { "7", "null", "{}", "{'metadata': {'name': 'web'}}" };
	struct model *model = model_of(NULL);

	(void)state;
	load(model, LIST(TYPED_WEB ", " TYPED_SLICE));
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		char text[256];
		json_t *list;

		snprintf(text, sizeof(text), "{'kind': 'List', 'items': [%s]}", items[i]);
		list = json_quoted(text);
		assert_int_equal(kube_json_load(model, list), -EINVAL);
		json_decref(list);
	}
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void a_list_of_services_only_stands_down(void **state)
{
	struct model *model = model_of(NULL);

	(void)state;
	load(model, LIST(TYPED_WEB));
	assert_spec(model, "web.shop own down=4 10.96.0.1\n  80/TCP\n");
	load(model, LIST(TYPED_WEB ", " TYPED_SLICE));
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void a_list_loaded_again_deletes_what_it_no_longer_names(void **state)
{
	struct model *model = model_of(NULL);

	(void)state;
	load(model, LIST(TYPED_WEB ", " TYPED_SLICE));
	load(model, LIST(TYPED_WEB));
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	load(model, LIST(""));
	assert_spec(model, "");
	model_free(model);
}

static void a_page_of_a_list_neither_deletes_nor_completes(void **state)
{
	struct model *model = model_of(NULL);

	(void)state;
	load(model, LIST(TYPED_SLICE));
	load(model,
	     "{'kind': 'ServiceList', 'metadata': {'continue': 'x', 'remainingItemCount': 1}, 'items': [" WEB "]}");
	assert_spec(model, "web.shop own down=4 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	load(model, "{'kind': 'ServiceList', 'metadata': {'continue': ''}, 'items': [" WEB "]}");
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void a_list_whose_items_are_null_is_empty(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	load(model, "{'kind': 'ServiceList', 'items': null}");
	assert_spec(model, "");
	model_free(model);
}

static void a_single_object_is_a_list_of_one(void **state)
{
	struct model *model = new_model();

	(void)state;
	load(model, TYPED_WEB);
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	model_free(model);
}

static void other_kinds_are_refused(void **state)
{
	struct model *model = new_model();
	json_t *pods = json_quoted("{'kind': 'PodList', 'items': []}"), *broken = json_quoted("{'kind': 'List', 'items': 7}");

	(void)state;
	set_text(model, KUBE_SERVICE, WEB);
	assert_int_equal(kube_json_load(model, pods), -ENOENT);
	assert_int_equal(kube_json_load(model, broken), -EINVAL);
	assert_spec(model, "web.shop own 10.96.0.1\n  80/TCP\n");
	json_decref(pods);
	json_decref(broken);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_lists_make_these_services_on_node_a),
		cmocka_unit_test(recorded_lists_may_come_in_the_other_order),
		cmocka_unit_test(recorded_lists_loaded_again_change_nothing),
		cmocka_unit_test(recorded_lists_make_others_usable_on_node_b),
		cmocka_unit_test(recorded_lists_on_an_unknown_node_know_no_zone_and_nothing_local),
		cmocka_unit_test(recorded_annotations_and_protocols_are_read),
		cmocka_unit_test(services_alone_stand_down_for_want_of_slices),
		cmocka_unit_test(a_mixed_list_tells_kinds_apart_and_ignores_others),
		cmocka_unit_test(a_mixed_list_with_an_item_of_no_kind_is_refused),
		cmocka_unit_test(a_list_of_services_only_stands_down),
		cmocka_unit_test(a_list_loaded_again_deletes_what_it_no_longer_names),
		cmocka_unit_test(a_page_of_a_list_neither_deletes_nor_completes),
		cmocka_unit_test(a_list_whose_items_are_null_is_empty),
		cmocka_unit_test(a_single_object_is_a_list_of_one),
		cmocka_unit_test(other_kinds_are_refused),
	};

	return RUN_TESTS(tests);
}
