/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoints may be dialed, and which Services are in the table at all: the rules of kube-proxy. */
#include "support/testing.h"

#include "model/model.h"
#include "model/policy.h"
#include "support/kube_objects.h"
#include "support/models.h"

static const char *my_node, *my_zone;

/* On this node, in this zone, the endpoints of web's slice read so; a second slice may be NULL. */
static void check(const char *slice, const char *second, void (*change)(struct kube_service *), const char *expected)
{
	struct model *model = new_model_at(my_node, my_zone);
	char *text;

	put_service(model, "web", "10.96.0.1 fd00::1", ":80", change);
	put_slice(model, "a", "web", ":80", slice);
	if (second)
		put_slice(model, "b", "web", ":80", second);
	text = spec_text(resolve(model));
	assert_non_null(strchr(text, '\n'));
	assert_string_equal(strchr(text, '\n') + 1, expected);
	free(text);
	model_free(model);
}

static void i_am(const char *node, const char *zone)
{
	my_node = node;
	my_zone = zone;
}

/* ---- conditions ---- */

static void a_condition_that_is_absent_has_its_default(void **state)
{
	struct model *model = new_model();
	const struct spec_endpoint *endpoints;

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", NULL);
	put_slice(model, "a", "web", "http:8080", "10.0.0.1 10.0.0.2,r0 10.0.0.3,r0,s0,t1");
	endpoints = resolve(model)->services[0].ports[0].endpoints;
	assert_int_equal(endpoints[0].flags, ENDPOINT_READY | ENDPOINT_SERVING | ENDPOINT_USABLE);
	assert_int_equal(endpoints[1].flags, ENDPOINT_SERVING);
	assert_int_equal(endpoints[2].flags, ENDPOINT_TERMINATING);
	model_free(model);
}

static void endpoints_that_are_not_ready_are_known_but_not_usable(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,r1,s1,t0 10.0.0.2,r0,s0,t0 10.0.0.3,r0,s1,t1", NULL, NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80\n");
}

static void where_none_is_ready_those_that_serve_and_terminate_are_usable(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,r0,s1,t1 10.0.0.2,r0,s0,t0 10.0.0.3,r0,s0,t1 10.0.0.4,r0,s1,t1", NULL, NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80*\n");
}

static void serving_alone_is_not_usable(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,r0,s1,t0 10.0.0.2,r0", NULL, NULL, "  80/TCP 10.0.0.1:80 10.0.0.2:80\n");
}

static void a_published_endpoint_is_ready_though_it_terminates(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,r1,s0,t1 10.0.0.2,r1,s1,t0", NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80*\n");
}

/* ---- topology ---- */

#define IN_A "n=node-a,z=zone-a,hz=zone-a"
#define IN_B "n=node-b,z=zone-b,hz=zone-b"

static void hints_for_my_zone_are_followed(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, "10.0.0.3," IN_A, NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80*\n");
}

static void an_endpoint_may_be_hinted_for_several_zones(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1,hz=zone-c,hz=zone-a 10.0.0.2," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80\n");
}

static void one_ready_endpoint_without_hints_turns_hints_off(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, "10.0.0.3,n=node-b,z=zone-b", NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80* 10.0.0.3:80*\n");
}

static void endpoints_that_are_not_ready_need_no_hints(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B " 10.0.0.3,r0 10.0.0.4,r0,s1,t1", NULL, NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80\n");
}

static void a_hint_of_one_that_is_not_ready_does_not_count(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1,r0," IN_A " 10.0.0.2," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80 10.0.0.2:80*\n");
}

static void hints_for_other_zones_only_are_ignored(void **state)
{
	(void)state;
	i_am("node-c", "zone-c");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80*\n");
}

static void without_a_known_zone_hints_are_ignored(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80*\n");
}

static void the_zone_is_learnt_from_any_endpoint_on_my_node(void **state)
{
	struct model *model = new_model_at("node-b", NULL);

	(void)state;
	put_service(model, "web", "10.96.0.1", "http:80", NULL);
	put_slice(model, "a", "web", "http:8080", "10.0.0.1," IN_A " 10.0.0.2,hz=zone-b");
	put_slice(model, "x.elsewhere", "other", "", "10.0.9.9,r0,n=node-b,z=zone-b");
	assert_spec(model, "web.shop own 10.96.0.1\n  http:80/TCP 10.0.0.1:8080 10.0.0.2:8080*\n");
	model_free(model);
}

static void the_zone_that_was_told_goes_before_one_that_is_learnt(void **state)
{
	(void)state;
	i_am("node-b", "zone-a");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80\n");
}

#define NODE_HINTS "10.0.0.1,hz=zone-a,hn=node-a 10.0.0.2,hz=zone-a,hn=node-b 10.0.0.3,hz=zone-b,hn=node-c"

static void hints_for_my_node_go_before_those_for_my_zone(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check(NODE_HINTS, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80\n");
}

static void node_hints_for_other_nodes_leave_the_choice_to_zones(void **state)
{
	(void)state;
	i_am("node-z", "zone-a");
	check(NODE_HINTS, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80* 10.0.0.3:80\n");
}

static void node_hints_on_some_endpoints_only_leave_the_choice_to_zones(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1,hz=zone-a,hn=node-a 10.0.0.2,hz=zone-a 10.0.0.3,hz=zone-b", NULL, NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80* 10.0.0.3:80\n");
}

static void hints_do_not_count_for_the_fallback(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1,r0,s1,t1," IN_A " 10.0.0.2,r0,s1,t1," IN_B, NULL, NULL, "  80/TCP 10.0.0.1:80* 10.0.0.2:80*\n");
}

/* ---- internalTrafficPolicy: Local ---- */

static void local(struct kube_service *service)
{
	service->local = true;
}

static void local_uses_endpoints_of_my_node_only(void **state)
{
	(void)state;
	i_am("node-a", NULL);
	check("10.0.0.1,n=node-a 10.0.0.2,n=node-b 10.0.0.3", NULL, local,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80\n");
}

static void local_falls_back_to_what_terminates_on_my_node(void **state)
{
	(void)state;
	i_am("node-a", NULL);
	check("10.0.0.1,r0,s1,t1,n=node-a 10.0.0.2,n=node-b 10.0.0.3,r0,s1,t1,n=node-b", NULL, local,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 10.0.0.3:80\n");
}

static void local_without_endpoints_on_my_node_has_none(void **state)
{
	(void)state;
	i_am("node-c", NULL);
	check("10.0.0.1,n=node-a 10.0.0.2,r0,s1,t1,n=node-b", NULL, local, "  80/TCP 10.0.0.1:80 10.0.0.2:80\n");
}

static void local_on_an_unknown_node_has_none(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,n=node-a 10.0.0.2", NULL, local, "  80/TCP 10.0.0.1:80 10.0.0.2:80\n");
}

static void hints_do_not_count_for_local(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1,n=node-a,hz=zone-b 10.0.0.2,n=node-b,hz=zone-a", NULL, local,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80\n");
}

/* ---- families ---- */

static void both_families_go_into_one_port(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("fd00:1::2 fd00:1::1", "10.0.0.1", NULL, "  80/TCP 10.0.0.1:80* [fd00:1::1]:80* [fd00:1::2]:80*\n");
}

static void each_family_falls_back_for_itself(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1,r0,s1,t1 10.0.0.2,r0,s0,t0", "fd00:1::1,r1 fd00:1::2,r0,s1,t1", NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 [fd00:1::1]:80* [fd00:1::2]:80\n");
}

static void each_family_has_its_own_hints(void **state)
{
	(void)state;
	i_am("node-a", "zone-a");
	check("10.0.0.1," IN_A " 10.0.0.2," IN_B, "fd00:1::1," IN_A " fd00:1::2", NULL,
	      "  80/TCP 10.0.0.1:80* 10.0.0.2:80 [fd00:1::1]:80* [fd00:1::2]:80*\n");
}

static void an_address_of_another_family_than_its_slice_is_ignored(void **state)
{
	(void)state;
	i_am(NULL, NULL);
	check("10.0.0.1 fd00:1::1", "fd00:1::2 ::ffff:10.0.0.2", NULL, "  80/TCP 10.0.0.1:80* [fd00:1::2]:80*\n");
}

/* ---- fields of Services ---- */

static void external(struct kube_service *service)
{
	service->type = "ExternalName";
}

static void services_that_kube_proxy_skips_are_skipped(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "external", "10.96.0.1", "http:80", external);
	put_service(model, "unborn", "", "http:80", NULL);
	put_service(model, "portless", "10.96.0.2", "", NULL);
	put_service(model, "odd", "10.96.0.3", "x:1/QUIC", NULL);
	put_service(model, "web", "10.96.0.4", ":80", NULL);
	assert_spec(model, "web.shop own 10.96.0.4\n  80/TCP\n");
	model_free(model);
}

static void other_proxy(struct kube_service *service)
{
	service->other_proxy = true;
}

static void a_service_of_another_proxy_stands_down(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "web", "10.96.0.1", ":80", other_proxy);
	assert_int_equal(resolve(model)->services[0].stand_down, STAND_DOWN_OTHER_PROXY);
	model_free(model);
}

static void the_api_itself_stands_down(void **state)
{
	struct model *model = new_model();
	struct spec *spec;

	(void)state;
	put_service(model, "kubernetes.default", "10.96.0.1", "https:443", NULL);
	put_service(model, "web.default", "10.96.0.3", ":80", NULL);
	put_service(model, "kubernetes.shop", "10.96.0.2", "https:443", NULL);
	spec = resolve(model);
	assert_int_equal(spec->services[0].stand_down, STAND_DOWN_API);
	assert_int_equal(spec->services[1].stand_down, STAND_DOWN_NO);
	assert_int_equal(spec->services[2].stand_down, STAND_DOWN_NO);
	model_free(model);
}

static void services_stand_down_until_both_lists_are_complete(void **state)
{
	struct model_options options = { 0 };
	struct model *model = model_new(&options);

	(void)state;
	put_service(model, "web", "10.96.0.1", ":80", NULL);
	assert_int_equal(resolve(model)->services[0].stand_down, STAND_DOWN_UNSYNCED);
	model_set_synced(model, true, false);
	assert_int_equal(resolve(model)->services[0].stand_down, STAND_DOWN_UNSYNCED);
	model_set_synced(model, false, true);
	assert_int_equal(resolve(model)->services[0].stand_down, STAND_DOWN_NO);
	model_free(model);
}

static void sticky(struct kube_service *service)
{
	service->affinity_s = 600;
}

static void affinity_and_locality_are_passed_on(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "near", "10.96.0.2", ":80", local);
	put_service(model, "web", "10.96.0.1", ":80", sticky);
	assert_spec(model, "near.shop own local 10.96.0.2\n  80/TCP\n"
			   "web.shop own affinity=600 10.96.0.1\n  80/TCP\n");
	model_free(model);
}

/* ---- headless ---- */

static void by_address(struct kube_service *service)
{
	policy_set(&service->annotations, policy_find("headless", 8), "address", 7, ORIGIN_ANNOTATION);
}

static void a_headless_service_has_no_address(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_service(model, "db", "None", "mysql:3306", NULL);
	put_slice(model, "a", "db", "mysql:3306", "10.0.0.1 10.0.0.2,r0");
	assert_spec(model, "db.shop headless\n  mysql:3306/TCP 10.0.0.1:3306* 10.0.0.2:3306\n");
	model_free(model);
}

static void headless_names_know_no_topology(void **state)
{
	struct model *model = new_model_at("node-a", "zone-a");

	(void)state;
	put_service(model, "db", "None", "mysql:3306", local);
	put_slice(model, "a", "db", "mysql:3306", "10.0.0.1," IN_A " 10.0.0.2," IN_B);
	assert_spec(model, "db.shop headless local\n  mysql:3306/TCP 10.0.0.1:3306* 10.0.0.2:3306*\n");
	model_free(model);
}

static void a_headless_service_gets_an_address_where_its_policy_says_so(void **state)
{
	struct model *model = new_model_at("node-a", "zone-a");

	(void)state;
	put_service(model, "db", "None", "mysql:3306", by_address);
	put_slice(model, "a", "db", "mysql:3306", "10.0.0.1," IN_A " 10.0.0.2," IN_B);
	assert_spec(model, "db.shop headless ~v4\n  mysql:3306/TCP 10.0.0.1:3306* 10.0.0.2:3306\n");
	model_free(model);
}

static void a_headless_service_that_stands_down_gets_no_address(void **state)
{
	struct model_options options = { 0 };
	struct model *model = model_new(&options);

	(void)state;
	put_service(model, "db", "None", "mysql:3306", by_address);
	assert_spec(model, "db.shop headless down=4\n  mysql:3306/TCP\n");
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_condition_that_is_absent_has_its_default),
		cmocka_unit_test(endpoints_that_are_not_ready_are_known_but_not_usable),
		cmocka_unit_test(where_none_is_ready_those_that_serve_and_terminate_are_usable),
		cmocka_unit_test(serving_alone_is_not_usable),
		cmocka_unit_test(a_published_endpoint_is_ready_though_it_terminates),
		cmocka_unit_test(hints_for_my_zone_are_followed),
		cmocka_unit_test(an_endpoint_may_be_hinted_for_several_zones),
		cmocka_unit_test(one_ready_endpoint_without_hints_turns_hints_off),
		cmocka_unit_test(endpoints_that_are_not_ready_need_no_hints),
		cmocka_unit_test(a_hint_of_one_that_is_not_ready_does_not_count),
		cmocka_unit_test(hints_for_other_zones_only_are_ignored),
		cmocka_unit_test(without_a_known_zone_hints_are_ignored),
		cmocka_unit_test(the_zone_is_learnt_from_any_endpoint_on_my_node),
		cmocka_unit_test(the_zone_that_was_told_goes_before_one_that_is_learnt),
		cmocka_unit_test(hints_for_my_node_go_before_those_for_my_zone),
		cmocka_unit_test(node_hints_for_other_nodes_leave_the_choice_to_zones),
		cmocka_unit_test(node_hints_on_some_endpoints_only_leave_the_choice_to_zones),
		cmocka_unit_test(hints_do_not_count_for_the_fallback),
		cmocka_unit_test(local_uses_endpoints_of_my_node_only),
		cmocka_unit_test(local_falls_back_to_what_terminates_on_my_node),
		cmocka_unit_test(local_without_endpoints_on_my_node_has_none),
		cmocka_unit_test(local_on_an_unknown_node_has_none),
		cmocka_unit_test(hints_do_not_count_for_local),
		cmocka_unit_test(both_families_go_into_one_port),
		cmocka_unit_test(each_family_falls_back_for_itself),
		cmocka_unit_test(each_family_has_its_own_hints),
		cmocka_unit_test(an_address_of_another_family_than_its_slice_is_ignored),
		cmocka_unit_test(services_that_kube_proxy_skips_are_skipped),
		cmocka_unit_test(a_service_of_another_proxy_stands_down),
		cmocka_unit_test(the_api_itself_stands_down),
		cmocka_unit_test(services_stand_down_until_both_lists_are_complete),
		cmocka_unit_test(affinity_and_locality_are_passed_on),
		cmocka_unit_test(a_headless_service_has_no_address),
		cmocka_unit_test(headless_names_know_no_topology),
		cmocka_unit_test(a_headless_service_gets_an_address_where_its_policy_says_so),
		cmocka_unit_test(a_headless_service_that_stands_down_gets_no_address),
	};

	return RUN_TESTS(tests);
}
