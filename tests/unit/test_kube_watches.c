/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded watches told to a model that has the recorded lists; and what of objects must not count. */
#include "support/testing.h"

#include <errno.h>
#include <jansson.h>

#include "kube/json.h"
#include "model/model.h"
#include "support/kube_texts.h"
#include "support/models.h"

/* ---- recordings ---- */

static char *read_recording(const char *name, size_t *ret_len)
{
	const char *root = getenv("FAIRDIAL_TEST_ROOT");
	char path[4096], *text = malloc(1 << 20);
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/data/kubernetes/%s", root ? root : ".", name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("no %s", path);
	*ret_len = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

/* The next object at `*at`; NULL at the end. */
static json_t *next_object(const char **at, const char *end)
{
	json_error_t error;
	json_t *object;

	while (*at < end && (**at == '\n' || **at == '\r' || **at == ' '))
		++*at;
	if (*at == end)
		return NULL;
	object = json_loadb(*at, (size_t)(end - *at), JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
	if (!object)
		fail_msg("%s", error.text);
	*at += error.position;
	return object;
}

static void list_recording(struct model *model, const char *name, enum kube_kind kind)
{
	size_t len, i;
	char *text = read_recording(name, &len);
	const char *at = text;
	struct model_list *list = model_list_begin(model, kind, 1);
	json_t *object = next_object(&at, text + len), *item;

	json_array_foreach(json_object_get(object, "items"), i, item)
		assert_int_equal(kube_json_list_add(list, item), 0);
	assert_int_equal(model_list_commit(list), 0);
	model_set_namespace_synced(model, "shop", kind);
	json_decref(object);
	free(text);
}

static void tell_event(struct model *model, enum kube_kind kind, const json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	const json_t *object = json_object_get(event, "object");

	if (strcmp(type, "BOOKMARK") == 0)
		return;
	if (strcmp(type, "DELETED") == 0)
		kube_json_forget(model, 1, kind, object);
	else
		assert_int_equal(kube_json_apply(model, 1, kind, object), 0);
}

/* Tells every event; returns after how many all had to be resolved. */
static unsigned watch_recording(struct model *model, const char *name, enum kube_kind kind)
{
	size_t len;
	char *text = read_recording(name, &len);
	const char *at = strstr(text, "\r\n\r\n");
	unsigned whole = 0;
	json_t *event;

	assert_non_null(at);
	while ((event = next_object(&at, text + len))) {
		struct report report;
		struct spec *spec;

		tell_event(model, kind, event);
		if (model_resolve_changed(model, &spec, &report) == -ESTALE) {
			whole++;
			resolve(model);
		}
		json_decref(event);
	}
	free(text);
	return whole;
}

static struct model *recorded_model(const char *pod, const char *address)
{
	struct addr addr;
	struct model_options options = { .node = "node-a", .namespace = "shop", .pod = pod, .addresses = &addr };
	struct model *model;

	if (address)
		assert_int_equal(addr_parse_ip(address, strlen(address), &addr), 0);
	options.address_count = address != NULL;
	model = model_new(&options);
	list_recording(model, "list-services.json", KUBE_SERVICE);
	list_recording(model, "list-endpointslices.json", KUBE_SLICE);
	resolve(model);
	return model;
}

static void a_recorded_watch_of_slices_touches_single_services(void **state)
{
	struct model *model = recorded_model(NULL, NULL);
	char *text;

	(void)state;
	assert_int_equal(watch_recording(model, "watch-endpointslices.http", KUBE_SLICE), 0);
	text = spec_text(resolve(model));
	assert_non_null(strstr(text, "  mysql:3306/TCP 10.244.0.12:3307* 10.244.0.13:3306* 10.244.0.14:3306*\n"));
	assert_non_null(strstr(text, "  http:80/TCP 10.244.1.11:8080* 10.244.1.12:8080\n"));
	assert_non_null(strstr(text, "sticky.shop own local affinity=600 10.96.53.12\n  80/TCP\n"));
	assert_null(strstr(text, "10.244.0.11"));
	free(text);
	model_free(model);
}

static void a_recorded_watch_of_services_touches_all(void **state)
{
	struct model *model = recorded_model(NULL, NULL);
	char *text;

	(void)state;
	assert_true(watch_recording(model, "watch-services.http", KUBE_SERVICE) > 0);
	text = spec_text(resolve(model));
	assert_null(strstr(text, "sticky"));
	assert_non_null(strstr(text, "mysql.shop"));
	free(text);
	model_free(model);
}

/* Of the Services before "sticky": what came after is not in the streamed recording. */
static char *first_services(struct model *model)
{
	char *text = spec_text(resolve(model)), *end = strstr(text, "sticky");

	assert_non_null(end);
	*end = '\0';
	return text;
}

/* A streamed list says again what the list said, in the same versions; the rest is the watch's. */
static void a_recorded_streamed_list_says_what_list_and_watch_say(void **state)
{
	struct model *model = recorded_model(NULL, NULL), *streamed = recorded_model(NULL, NULL);
	char *expected, *text;

	(void)state;
	watch_recording(model, "watch-endpointslices.http", KUBE_SLICE);
	list_recording(streamed, "list-services.json", KUBE_SERVICE);
	assert_false(model_is_touched(streamed));
	assert_int_equal(watch_recording(streamed, "watchlist-endpointslices.http", KUBE_SLICE), 0);
	expected = first_services(model);
	text = first_services(streamed);
	assert_string_equal(text, expected);
	free(expected);
	free(text);
	model_free(model);
	model_free(streamed);
}

static void recorded_pods_have_their_ordinals_as_ranks(void **state)
{
	struct model *model = recorded_model("mysql-1", "10.244.0.12");
	const struct spec *spec = resolve(model);

	(void)state;
	assert_int_equal(spec->client_rank, 1);
	assert_int_equal(spec->client_peers, 3);
	/* One is added, and the first goes. */
	assert_int_equal(watch_recording(model, "watch-endpointslices.http", KUBE_SLICE), 2);
	spec = resolve(model);
	assert_int_equal(spec->client_rank, 0);
	assert_int_equal(spec->client_peers, 3);
	model_free(model);
}

/* ---- what does not count ---- */

#define SERVICE(rest)                                                                                                \
	"{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', 'ports': [{'port': " \
	"80}]" rest "}}"
#define SLICE(meta, rest)                                                                                          \
	"{'metadata': {'name': 'web-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}" meta \
	"}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': 8080}], 'endpoints': [" rest "]}"

static void check(const char *service, const char *slice, const char *expected)
{
	struct model *model = new_model_at("node-a", "zone-a");

	set_text(model, KUBE_SERVICE, service);
	set_text(model, KUBE_SLICE, slice);
	assert_spec(model, expected);
	model_free(model);
}

static void a_slice_is_not_of_the_service_that_owns_it(void **state)
{
	(void)state;
	check(SERVICE(""),
	      "{'metadata': {'name': 'web-abcde', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'other'}, "
	      "'ownerReferences': [{'kind': 'Service', 'name': 'web'}]}, 'addressType': 'IPv4', 'ports': [{'name': '', 'port': "
	      "8080}], 'endpoints': [{'addresses': ['10.0.0.1']}]}",
	      "web.shop own 10.96.0.1\n  80/TCP\n");
	check(SERVICE(""), SLICE(", 'ownerReferences': [{'kind': 'Endpoints', 'name': 'x'}]", "{'addresses': ['10.0.0.1']}"),
	      "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
}

static void a_mirrored_slice_tells_only_who_is_ready(void **state)
{
	(void)state;
	check(SERVICE(""),
	      SLICE("", "{'addresses': ['10.0.0.1'], 'conditions': {'ready': true}}, {'addresses': ['10.0.0.2'], "
			"'conditions': {'ready': false}}"),
	      "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080\n");
}

static void hints_count_and_never_the_field_that_asks_for_them(void **state)
{
	static const char hinted[] =
		SLICE("", "{'addresses': ['10.0.0.1'], 'zone': 'zone-a', 'hints': {'forZones': [{'name': 'zone-a'}]}}, "
			  "{'addresses': ['10.0.0.2'], 'zone': 'zone-b', 'hints': {'forZones': [{'name': 'zone-b'}]}}");
	static const char plain[] = SLICE("", "{'addresses': ['10.0.0.1'], 'zone': 'zone-a'}, "
					      "{'addresses': ['10.0.0.2'], 'zone': 'zone-b'}");

	(void)state;
	check(SERVICE(""), hinted, "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080\n");
	check(SERVICE(", 'trafficDistribution': 'PreferSameZone'"), plain,
	      "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
}

static void external_policies_and_addresses_do_not_count(void **state)
{
	(void)state;
	check(SERVICE(", 'type': 'LoadBalancer', 'externalTrafficPolicy': 'Local', 'externalIPs': ['192.0.2.1'], "
		      "'loadBalancerIP': '192.0.2.2'"),
	      SLICE("", "{'addresses': ['10.0.0.1'], 'nodeName': 'node-b'}"),
	      "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
}

static void a_protocol_that_is_absent_is_tcp(void **state)
{
	(void)state;
	check("{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', 'ports': [{'name': 'a', "
	      "'port': 53, 'protocol': null}, {'name': 'b', 'port': 53, 'protocol': 'UDP'}]}}",
	      "{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, 'addressType': "
	      "'IPv4', 'ports': [{'name': 'a', 'port': 5353}, {'name': 'b', 'port': 5353}, {'name': 'b', 'port': 5354, "
	      "'protocol': 'UDP'}], 'endpoints': [{'addresses': ['10.0.0.1']}]}",
	      "web.shop own 10.96.0.1\n  a:53/TCP 10.0.0.1:5353*\n  b:53/UDP 10.0.0.1:5354*\n");
}

static void one_address_and_port_may_serve_several_ports_of_a_service(void **state)
{
	(void)state;
	check("{'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.1', 'ports': [{'name': 'a', "
	      "'port': 80}, {'name': 'b', 'port': 81}]}}",
	      "{'metadata': {'name': 'x', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'web'}}, 'addressType': "
	      "'IPv4', 'ports': [{'name': 'a', 'port': 8080}, {'name': 'b', 'port': 8080}], 'endpoints': [{'addresses': "
	      "['10.0.0.1']}]}",
	      "web.shop own 10.96.0.1\n  a:80/TCP 10.0.0.1:8080*\n  b:81/TCP 10.0.0.1:8080*\n");
}

static void services_may_share_pods(void **state)
{
	struct model *model = new_model();

	(void)state;
	set_text(model, KUBE_SERVICE, SERVICE(""));
	set_text(model, KUBE_SERVICE,
		 "{'metadata': {'name': 'api', 'namespace': 'shop'}, 'spec': {'clusterIP': '10.96.0.2', 'ports': [{'port': 80}]}}");
	set_text(model, KUBE_SLICE, SLICE("", "{'addresses': ['10.0.0.1']}"));
	set_text(model, KUBE_SLICE,
		 "{'metadata': {'name': 'api-1', 'namespace': 'shop', 'labels': {'kubernetes.io/service-name': 'api'}}, "
		 "'addressType': 'IPv4', 'ports': [{'name': '', 'port': 8080}], 'endpoints': [{'addresses': ['10.0.0.1'], "
		 "'conditions': {'ready': false}}]}");
	assert_spec(model, "api.shop own 10.96.0.2\n  80/TCP 10.0.0.1:8080\n"
			   "web.shop own 10.96.0.1\n  80/TCP 10.0.0.1:8080*\n");
	model_free(model);
}

static void only_a_pod_that_is_referred_to_gives_its_name(void **state)
{
	struct model_options options = { .namespace = "shop", .pod = "web-a" };
	struct model *model = model_new(&options);

	(void)state;
	set_text(model, KUBE_SLICE,
		 SLICE("", "{'addresses': ['10.0.0.1'], 'targetRef': {'kind': 'Node', 'name': 'web-a'}}, {'addresses': "
			   "['10.0.0.2'], 'targetRef': {'kind': 'Pod', 'name': 'web-b'}}"));
	assert_int_equal(resolve(model)->client_peers, 0);
	set_text(model, KUBE_SLICE,
		 SLICE("", "{'addresses': ['10.0.0.1'], 'targetRef': {'kind': 'Pod', 'name': 'web-a'}}, {'addresses': "
			   "['10.0.0.2'], 'targetRef': {'kind': 'Pod', 'name': 'web-b'}}"));
	assert_int_equal(resolve(model)->client_peers, 2);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_watch_of_slices_touches_single_services),
		cmocka_unit_test(a_recorded_watch_of_services_touches_all),
		cmocka_unit_test(a_recorded_streamed_list_says_what_list_and_watch_say),
		cmocka_unit_test(recorded_pods_have_their_ordinals_as_ranks),
		cmocka_unit_test(a_slice_is_not_of_the_service_that_owns_it),
		cmocka_unit_test(a_mirrored_slice_tells_only_who_is_ready),
		cmocka_unit_test(hints_count_and_never_the_field_that_asks_for_them),
		cmocka_unit_test(external_policies_and_addresses_do_not_count),
		cmocka_unit_test(a_protocol_that_is_absent_is_tcp),
		cmocka_unit_test(one_address_and_port_may_serve_several_ports_of_a_service),
		cmocka_unit_test(services_may_share_pods),
		cmocka_unit_test(only_a_pod_that_is_referred_to_gives_its_name),
	};

	return RUN_TESTS(tests);
}
