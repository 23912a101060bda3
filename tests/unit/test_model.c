/* SPDX-License-Identifier: Apache-2.0 */
/* The model: what Services and slices say, joined. */
#include "support/testing.h"

#include <errno.h>

#include "model/model.h"
#include "support/kube_objects.h"
#include "support/models.h"

#define WEB "web.shop own 10.96.0.1\n"

/* A model with one Service, web, of these ports. */
static struct model *web_model(const char *ports)
{
	struct model *model = new_model();

	put_service(model, "web", "10.96.0.1", ports, NULL);
	return model;
}

static void assert_last(struct model *model, const char *expected)
{
	assert_spec(model, expected);
	model_free(model);
}

/* ---- joining ---- */

static void a_service_has_the_endpoints_of_its_slice(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "web-1", "web", "http:8080", "10.0.0.2 10.0.0.1");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
}

static void endpoints_are_the_union_of_all_slices_with_the_label(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "web-1", "web", "http:8080", "10.0.0.1");
	put_slice(model, "unlike-any-service", "web", "http:8080", "10.0.0.2");
	put_slice(model, "web-2", "other", "http:8080", "10.0.0.3");
	put_slice(model, "web-1.elsewhere", "web", "http:8080", "10.0.0.4");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
}

static void a_slice_without_the_label_is_ignored(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "web-1", "", "http:8080", "10.0.0.1");
	put_slice(model, "web-2", NULL, "http:8080", "10.0.0.2");
	assert_last(model, WEB "  http:80/TCP\n");
}

static void a_slice_that_changes_its_label_leaves_its_old_service(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_service(model, "api", "10.96.0.2", "http:80", NULL);
	put_slice(model, "x", "web", "http:8080", "10.0.0.1");
	put_slice(model, "x", "api", "http:8080", "10.0.0.1");
	assert_last(model, "api.shop own 10.96.0.2\n  http:80/TCP 10.0.0.1:8080*\n" WEB "  http:80/TCP\n");
}

static void a_slice_that_loses_its_label_leaves_its_service(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "x", "web", "http:8080", "10.0.0.1");
	put_slice(model, "x", "", "http:8080", "10.0.0.1");
	assert_last(model, WEB "  http:80/TCP\n");
}

static void a_slice_set_again_replaces_what_it_said(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "x", "web", "http:8080", "10.0.0.1 10.0.0.2");
	put_slice(model, "x", "web", "http:8081", "10.0.0.2 10.0.0.3");
	assert_last(model, WEB "  http:80/TCP 10.0.0.2:8081* 10.0.0.3:8081*\n");
}

static void slices_of_one_name_in_two_namespaces_are_two(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "x", "web", "http:8080", "10.0.0.1");
	put_slice(model, "x.elsewhere", "web", "http:8080", "10.0.0.2");
	model_delete_slice(model, 0, "elsewhere", "x");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080*\n");
}

static void a_deleted_slice_takes_only_its_own_endpoints(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1 10.0.0.2");
	put_slice(model, "b", "web", "http:8080", "10.0.0.2 10.0.0.3");
	model_delete_slice(model, 0, "shop", "a");
	model_delete_slice(model, 0, "shop", "unknown");
	assert_last(model, WEB "  http:80/TCP 10.0.0.2:8080* 10.0.0.3:8080*\n");
}

static void slices_may_come_before_their_service(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1");
	assert_spec(model, "");
	put_service(model, "web", "10.96.0.1", "http:80", NULL);
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080*\n");
}

static void a_deleted_service_is_gone_and_may_come_back(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1");
	model_delete_service(model, 0, "shop", "web");
	model_delete_service(model, 0, "shop", "web");
	assert_spec(model, "");
	put_service(model, "web", "10.96.0.9", "http:80", NULL);
	assert_last(model, "web.shop own 10.96.0.9\n  http:80/TCP 10.0.0.1:8080*\n");
}

static void the_placeholder_slice_of_a_service_without_pods_is_no_harm(void **state)
{
	struct model *model = web_model(":80");

	(void)state;
	put_slice(model, "web-1", "web", "", "");
	assert_last(model, WEB "  80/TCP\n");
}

static void names_that_no_table_holds_are_refused(void **state)
{
	struct kube_service service = { .namespace = "shop", .name = "" };
	struct kube_slice slice = { .namespace = "", .name = "x", .service = "web" };
	struct model *model = new_model();
	char too_long[65];

	(void)state;
	memset(too_long, 'a', 64);
	too_long[64] = '\0';
	assert_int_equal(model_set_service(model, 0, &service), -EINVAL);
	service.name = too_long;
	assert_int_equal(model_set_service(model, 0, &service), -EINVAL);
	assert_int_equal(model_set_slice(model, 0, &slice), -EINVAL);
	assert_last(model, "");
}

/* ---- ports ---- */

static void ports_join_by_name_and_keep_their_own_number(void **state)
{
	struct model *model = web_model("http:80 metrics:9100");

	(void)state;
	put_slice(model, "a", "web", "metrics:9100 http:8080", "10.0.0.1");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080*\n  metrics:9100/TCP 10.0.0.1:9100*\n");
}

static void an_unnamed_port_joins_the_empty_name(void **state)
{
	struct model *model = web_model(":80");

	(void)state;
	put_slice(model, "a", "web", ":8080", "10.0.0.1");
	put_slice(model, "b", "web", "http:8080", "10.0.0.2");
	assert_last(model, WEB "  80/TCP 10.0.0.1:8080*\n");
}

static void a_slice_port_without_name_or_number_is_ignored(void **state)
{
	struct model *model = web_model(":80");

	(void)state;
	put_slice(model, "a", "web", "?:8080", "10.0.0.1");
	put_slice(model, "b", "web", ":?", "10.0.0.2");
	assert_last(model, WEB "  80/TCP\n");
}

static void ports_join_by_protocol_too(void **state)
{
	struct model *model = web_model("dns:53/UDP dns-tcp:53 sig:53/SCTP");

	(void)state;
	put_slice(model, "a", "web", "dns:5353/UDP dns-tcp:5354 sig:5355", "10.0.0.1");
	assert_last(model, WEB "  dns:53/UDP 10.0.0.1:5353*\n  dns-tcp:53/TCP 10.0.0.1:5354*\n  sig:53/SCTP\n");
}

static void slices_of_one_service_may_have_different_ports(void **state)
{
	struct model *model = web_model("db:3306");

	(void)state;
	put_slice(model, "a", "web", "db:3306", "10.0.0.1 10.0.0.3");
	put_slice(model, "b", "web", "db:3307", "10.0.0.2");
	assert_last(model, WEB "  db:3306/TCP 10.0.0.1:3306* 10.0.0.2:3307* 10.0.0.3:3306*\n");
}

static void an_endpoint_may_serve_only_some_ports(void **state)
{
	struct model *model = web_model("http:80 admin:81");

	(void)state;
	put_slice(model, "a", "web", "http:8080 admin:8081", "10.0.0.1");
	put_slice(model, "b", "web", "http:8080", "10.0.0.2");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n  admin:81/TCP 10.0.0.1:8081*\n");
}

static void a_port_of_an_unknown_protocol_is_left_out(void **state)
{
	struct model *model = web_model("x:1/QUIC http:80");

	(void)state;
	put_slice(model, "a", "web", "x:1/QUIC http:8080", "10.0.0.1");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080*\n");
}

static void with_app_protocol(struct kube_service *service)
{
	service->ports[0].app_protocol = "kubernetes.io/h2c";
}

static void the_app_protocol_is_passed_on(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", with_app_protocol);
	assert_string_equal(resolve(model)->services[0].ports[0].app_protocol, "kubernetes.io/h2c");
	model_free(model);
}

/* ---- duplicates ---- */

static const char *node_of(struct model *model, size_t endpoint)
{
	return resolve(model)->services[0].ports[0].endpoints[endpoint].node;
}

static void one_address_and_port_is_one_endpoint(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1");
	put_slice(model, "b", "web", "http:8080", "10.0.0.1");
	put_slice(model, "c", "web", "http:9090", "10.0.0.1");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080* 10.0.0.1:9090*\n");
}

static void one_that_does_not_terminate_replaces_one_seen_before(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1,r0,s1,t1,n=old");
	put_slice(model, "b", "web", "http:8080", "10.0.0.1,r1,s1,t0,n=new");
	assert_string_equal(node_of(model, 0), "new");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080*\n");
}

static void one_that_terminates_never_replaces(void **state)
{
	struct model *model = web_model("http:80");

	(void)state;
	put_slice(model, "a", "web", "http:8080", "10.0.0.1,r0,s0,t0,n=first 10.0.0.2,r0,s1,t1,n=first");
	put_slice(model, "b", "web", "http:8080", "10.0.0.1,r0,s1,t1,n=second 10.0.0.2,r0,s0,t1,n=second");
	assert_string_equal(node_of(model, 0), "first");
	assert_string_equal(node_of(model, 1), "first");
	assert_last(model, WEB "  http:80/TCP 10.0.0.1:8080 10.0.0.2:8080*\n");
}

static void the_order_of_arrival_does_not_matter(void **state)
{
	static const char a[] = "10.0.0.1,r1 10.0.0.2,r0,s1,t1", b[] = "10.0.0.1,r0 10.0.0.2,r0,s0,t1";
	struct model *one = web_model("http:80"), *other = new_model();

	(void)state;
	put_slice(one, "a", "web", "http:8080", a);
	put_slice(one, "b", "web", "http:8080", b);
	put_slice(other, "b", "web", "http:8080", b);
	put_slice(other, "a", "web", "http:8080", a);
	put_service(other, "web", "10.96.0.1", "http:80", NULL);
	assert_last(one, WEB "  http:80/TCP 10.0.0.1:8080 10.0.0.2:8080*\n");
	assert_last(other, WEB "  http:80/TCP 10.0.0.1:8080 10.0.0.2:8080*\n");
}

/* ---- size ---- */

/* Ten endpoints of 10.0.0.0/8 a Service, no two alike. */
static void put_large(struct model *model, unsigned i)
{
	char name[16], address[32], endpoints[256];
	size_t len = 0;

	snprintf(name, sizeof(name), "s%u", i);
	snprintf(address, sizeof(address), "172.16.%u.%u", i >> 8, i & 255);
	for (unsigned j = 0; j < 10; j++)
		len += (size_t)snprintf(endpoints + len, sizeof(endpoints) - len, "10.%u.%u.%u ", j, i >> 8, i & 255);
	put_service(model, name, address, "http:80", NULL);
	put_slice(model, name, name, "http:8080", endpoints);
}

static void ten_thousand_services_with_a_hundred_thousand_endpoints_resolve(void **state)
{
	struct model *model = new_model();
	const struct spec *spec;
	size_t usable = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		put_large(model, i);
	spec = resolve(model);
	assert_int_equal(spec->service_count, 10000);
	for (size_t i = 0; i < spec->service_count; i++)
		for (size_t j = 0; j < spec->services[i].ports[0].endpoint_count; j++)
			usable += (spec->services[i].ports[0].endpoints[j].flags & ENDPOINT_USABLE) != 0;
	assert_int_equal(usable, 100000);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_has_the_endpoints_of_its_slice),
		cmocka_unit_test(endpoints_are_the_union_of_all_slices_with_the_label),
		cmocka_unit_test(a_slice_without_the_label_is_ignored),
		cmocka_unit_test(a_slice_that_changes_its_label_leaves_its_old_service),
		cmocka_unit_test(a_slice_that_loses_its_label_leaves_its_service),
		cmocka_unit_test(a_slice_set_again_replaces_what_it_said),
		cmocka_unit_test(slices_of_one_name_in_two_namespaces_are_two),
		cmocka_unit_test(a_deleted_slice_takes_only_its_own_endpoints),
		cmocka_unit_test(slices_may_come_before_their_service),
		cmocka_unit_test(a_deleted_service_is_gone_and_may_come_back),
		cmocka_unit_test(the_placeholder_slice_of_a_service_without_pods_is_no_harm),
		cmocka_unit_test(names_that_no_table_holds_are_refused),
		cmocka_unit_test(ports_join_by_name_and_keep_their_own_number),
		cmocka_unit_test(an_unnamed_port_joins_the_empty_name),
		cmocka_unit_test(a_slice_port_without_name_or_number_is_ignored),
		cmocka_unit_test(ports_join_by_protocol_too),
		cmocka_unit_test(slices_of_one_service_may_have_different_ports),
		cmocka_unit_test(an_endpoint_may_serve_only_some_ports),
		cmocka_unit_test(a_port_of_an_unknown_protocol_is_left_out),
		cmocka_unit_test(the_app_protocol_is_passed_on),
		cmocka_unit_test(one_address_and_port_is_one_endpoint),
		cmocka_unit_test(one_that_does_not_terminate_replaces_one_seen_before),
		cmocka_unit_test(one_that_terminates_never_replaces),
		cmocka_unit_test(the_order_of_arrival_does_not_matter),
		cmocka_unit_test(ten_thousand_services_with_a_hundred_thousand_endpoints_resolve),
	};

	return RUN_TESTS(tests);
}
