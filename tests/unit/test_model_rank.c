/* SPDX-License-Identifier: Apache-2.0 */
/* This pod's place among the pods that do the same work. */
#include "support/testing.h"

#include <errno.h>

#include "model/model.h"
#include "support/kube_objects.h"
#include "support/models.h"

static struct model *pod_with(const char *pod, const char *address, const char *second)
{
	struct addr addresses[2];
	struct model_options options = { .namespace = "shop", .pod = pod, .addresses = addresses };
	struct model *model;

	if (address)
		assert_int_equal(addr_parse_ip(address, strlen(address), &addresses[options.address_count++]), 0);
	if (second)
		assert_int_equal(addr_parse_ip(second, strlen(second), &addresses[options.address_count++]), 0);
	model = model_new(&options);
	assert_non_null(model);
	model_set_synced(model, true, true);
	return model;
}

static void assert_rank(struct model *model, uint32_t rank, uint32_t peers)
{
	const struct spec *spec = resolve(model);

	assert_int_equal(spec->client_rank, rank);
	assert_int_equal(spec->client_peers, peers);
}

/* That this pod has this rank, with these endpoints of one Service. */
static void check(const char *pod, const char *address, const char *endpoints, uint32_t rank, uint32_t peers)
{
	struct model *model = pod_with(pod, address, NULL);

	put_slice(model, "a", "clients", ":80", endpoints);
	assert_rank(model, rank, peers);
	model_free(model);
}

/* ---- among the pods of a Service ---- */

static void two_clients_of_a_stateful_set_are_0_and_1_of_2(void **state)
{
	static const char both[] = "10.0.0.9,p=client-0,h=client-0 10.0.0.1,p=client-1,h=client-1";

	(void)state;
	check("client-0", "10.0.0.9", both, 0, 2);
	check("client-1", "10.0.0.1", both, 1, 2);
}

static void ordinals_go_by_number_and_may_have_gaps(void **state)
{
	static const char pods[] = "10.0.0.1,p=c-10 10.0.0.2,p=c-2 10.0.0.3,p=c-0";

	(void)state;
	check("c-0", NULL, pods, 0, 3);
	check("c-2", NULL, pods, 1, 3);
	check("c-10", NULL, pods, 2, 3);
}

static void pods_of_a_deployment_go_by_address(void **state)
{
	static const char pods[] = "10.0.0.10,p=web-7d9f8c-abcde 10.0.0.9,p=web-7d9f8c-fghij 10.0.0.100,p=web-7d9f8c-aaaaa";

	(void)state;
	check("web-7d9f8c-fghij", "10.0.0.9", pods, 0, 3);
	check("web-7d9f8c-abcde", "10.0.0.10", pods, 1, 3);
	check("web-7d9f8c-aaaaa", "10.0.0.100", pods, 2, 3);
}

static void pods_of_two_stateful_sets_go_by_address(void **state)
{
	static const char pods[] = "10.0.0.3,p=a-0 10.0.0.2,p=b-1 10.0.0.1,p=b-01";

	(void)state;
	check("a-0", NULL, pods, 2, 3);
	check("b-1", NULL, pods, 1, 3);
}

static void a_pod_is_found_by_its_address_where_no_name_is_known(void **state)
{
	(void)state;
	check(NULL, "10.0.0.2", "10.0.0.1 10.0.0.2 10.0.0.3", 1, 3);
	check("web-x", "10.0.0.2", "10.0.0.1,p=web-a 10.0.0.2,p=web-b", 1, 2);
}

static void a_pod_is_found_by_its_name_before_its_address(void **state)
{
	(void)state;
	check("web-b", "10.0.0.1", "10.0.0.1,p=web-a,t1 10.0.0.2,p=web-b 10.0.0.3,p=web-c", 1, 3);
}

static void a_pod_of_two_families_counts_once(void **state)
{
	static const char *const names[] = { "web-a", "web-b" };

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct model *model = pod_with(names[i], i ? "10.0.0.2" : "10.0.0.1", i ? "fd00:1::1" : "fd00:1::2");

		put_slice(model, "a", "clients", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b");
		put_slice(model, "b", "clients", ":80", "fd00:1::2,p=web-a fd00:1::1,p=web-b");
		assert_rank(model, i, 2);
		model_free(model);
	}
}

static void a_pod_in_two_slices_counts_once(void **state)
{
	struct model *model = pod_with("web-b", NULL, NULL);

	(void)state;
	put_slice(model, "a", "clients", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b,t1");
	put_slice(model, "b", "clients", ":81", "10.0.0.2,p=web-b 10.0.0.1,p=web-a,r0");
	assert_rank(model, 1, 2);
	model_free(model);
}

static void pods_that_are_not_ready_count_and_those_that_terminate_do_not(void **state)
{
	static const char pods[] = "10.0.0.1,p=c-0,r0 10.0.0.2,p=c-1,t1 10.0.0.3,p=c-2";

	(void)state;
	check("c-2", NULL, pods, 1, 2);
	check("c-1", NULL, pods, 1, 3); /* for itself, it is there to the end */
}

static void a_pod_that_no_service_selects_has_no_rank(void **state)
{
	(void)state;
	check("web-7d9f8c-abcde", "10.0.0.9", "10.0.0.1,p=web-7d9f8c-fghij", 0, 0);
	check(NULL, NULL, "10.0.0.1", 0, 0);
}

static void slices_of_another_namespace_say_nothing_of_this_pod(void **state)
{
	struct model *model = pod_with("web-a", "10.0.0.1", NULL);

	(void)state;
	put_slice(model, "a.other", "clients", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b");
	assert_rank(model, 0, 0);
	model_free(model);
}

/* ---- which Service ---- */

static void of_two_services_the_one_that_governs_a_stateful_set_is_taken(void **state)
{
	struct model *model = pod_with("c-1", NULL, NULL);

	(void)state;
	put_slice(model, "a", "all", ":80", "10.0.0.1,p=c-0 10.0.0.2,p=c-1 10.0.0.3,p=x-7 10.0.0.4,p=x-8");
	put_slice(model, "b", "governing", "", "10.0.0.1,p=c-0,h=c-0 10.0.0.2,p=c-1,h=c-1");
	assert_rank(model, 1, 2);
	model_free(model);
}

static void of_two_services_the_larger_is_taken(void **state)
{
	struct model *model = pod_with("web-b", NULL, NULL);

	(void)state;
	put_slice(model, "a", "all", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b 10.0.0.3,p=web-c");
	put_slice(model, "b", "some", ":80", "10.0.0.2,p=web-b 10.0.0.3,p=web-c");
	assert_rank(model, 1, 3);
	put_slice(model, "c", "some", ":80", "10.0.0.4,p=web-d 10.0.0.5,p=web-e");
	assert_rank(model, 0, 4);
	model_free(model);
}

static void of_two_services_of_one_size_the_first_name_is_taken(void **state)
{
	struct model *model = pod_with("web-b", NULL, NULL);

	(void)state;
	put_slice(model, "a", "second", ":80", "10.0.0.2,p=web-b 10.0.0.3,p=web-c");
	put_slice(model, "b", "first", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b");
	assert_rank(model, 1, 2);
	model_free(model);
}

static void a_service_of_two_families_is_not_larger_for_it(void **state)
{
	struct model *model = pod_with("web-b", NULL, NULL);

	(void)state;
	put_slice(model, "a", "dual", ":80", "10.0.0.2,p=web-b 10.0.0.3,p=web-c");
	put_slice(model, "b", "dual", ":80", "fd00:1::2,p=web-b fd00:1::3,p=web-c");
	put_slice(model, "c", "single", ":80", "10.0.0.1,p=web-a 10.0.0.2,p=web-b 10.0.0.3,p=web-c");
	assert_rank(model, 1, 3);
	model_free(model);
}

static void a_service_that_has_only_the_address_goes_behind(void **state)
{
	struct model *model = pod_with("web-b", "192.168.0.1", NULL);

	(void)state;
	put_slice(model, "a", "other", ":80", "192.168.0.1,p=other-a 192.168.0.2,p=other-b 192.168.0.3,p=other-c");
	put_slice(model, "b", "web", ":80", "192.168.0.0,p=web-a 192.168.0.1,p=web-b");
	assert_rank(model, 1, 2);
	model_free(model);
}

/* ---- ordinals without a Service ---- */

static void an_ordinal_is_known_without_a_service(void **state)
{
	static const struct {
		const char *pod;
		uint32_t rank, peers;
	} samples[] = {
		{ "db-0", 0, CLIENT_PEERS_UNKNOWN },
		{ "my-db-17", 17, CLIENT_PEERS_UNKNOWN },
		{ "db-99999", 99999, CLIENT_PEERS_UNKNOWN },
		{ "db-100000", 0, 0 },
		{ "db-00", 0, 0 },
		{ "db-01", 0, 0 },
		{ "db-", 0, 0 },
		{ "-1", 0, 0 },
		{ "db", 0, 0 },
		{ "7", 0, 0 },
		{ "", 0, 0 },
		{ "web-7d9f8c-abcde", 0, 0 },
		{ "web-7d9f8c-2b4c5", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct model *model = pod_with(samples[i].pod, NULL, NULL);

		assert_rank(model, samples[i].rank, samples[i].peers);
		model_free(model);
	}
}

/* ---- changes ---- */

static int changed(struct model *model)
{
	struct report report;
	struct spec *spec;

	return model_resolve_changed(model, &spec, &report);
}

static void a_change_of_rank_touches_all(void **state)
{
	struct model *model = pod_with("c-1", NULL, NULL);

	(void)state;
	put_slice(model, "a", "clients", ":80", "10.0.0.1,p=c-0 10.0.0.2,p=c-1");
	assert_rank(model, 1, 2);
	put_slice(model, "b", "clients", ":80", "10.0.0.3,p=c-2");
	assert_int_equal(changed(model), -ESTALE);
	assert_int_equal(changed(model), -ESTALE);
	assert_rank(model, 1, 3);
	put_slice(model, "b", "clients", ":80", "10.0.0.3,p=c-2,r0");
	put_slice(model, "c", "others", ":80", "10.0.0.4,p=x-2");
	assert_int_equal(changed(model), 0);
	model_delete_slice(model, 0, "shop", "a");
	assert_int_equal(changed(model), -ESTALE);
	assert_rank(model, 1, CLIENT_PEERS_UNKNOWN);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_clients_of_a_stateful_set_are_0_and_1_of_2),
		cmocka_unit_test(ordinals_go_by_number_and_may_have_gaps),
		cmocka_unit_test(pods_of_a_deployment_go_by_address),
		cmocka_unit_test(pods_of_two_stateful_sets_go_by_address),
		cmocka_unit_test(a_pod_is_found_by_its_address_where_no_name_is_known),
		cmocka_unit_test(a_pod_is_found_by_its_name_before_its_address),
		cmocka_unit_test(a_pod_of_two_families_counts_once),
		cmocka_unit_test(a_pod_in_two_slices_counts_once),
		cmocka_unit_test(pods_that_are_not_ready_count_and_those_that_terminate_do_not),
		cmocka_unit_test(a_pod_that_no_service_selects_has_no_rank),
		cmocka_unit_test(slices_of_another_namespace_say_nothing_of_this_pod),
		cmocka_unit_test(of_two_services_the_one_that_governs_a_stateful_set_is_taken),
		cmocka_unit_test(of_two_services_the_larger_is_taken),
		cmocka_unit_test(of_two_services_of_one_size_the_first_name_is_taken),
		cmocka_unit_test(a_service_of_two_families_is_not_larger_for_it),
		cmocka_unit_test(a_service_that_has_only_the_address_goes_behind),
		cmocka_unit_test(an_ordinal_is_known_without_a_service),
		cmocka_unit_test(a_change_of_rank_touches_all),
	};

	return RUN_TESTS(tests);
}
