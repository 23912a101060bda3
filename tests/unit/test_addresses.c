/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses for services that have none. */
#include "support/testing.h"

#include <errno.h>

#include "model/addresses.h"
#include "model/model.h"
#include "model/policy.h"
#include "support/kube_objects.h"
#include "support/models.h"

static struct addr ip(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse_ip(text, strlen(text), &addr), 0);
	return addr;
}

static struct model *new_model_with(const char *range)
{
	struct model_options options = { .address_range = range };

	return model_new(&options);
}

/* Services of the given names, each with one port and the endpoints in `endpoints` ("10.0.0.1 fd00::1"). */
static void put_file(struct model *model, const char *const *names, size_t n, const char *endpoints)
{
	struct file_service *services = calloc(n, sizeof(*services));
	struct file_port port = { "", 80, PROTOCOL_TCP };
	struct file_endpoint rows[8] = { 0 };
	struct file_services file = { .defaults = policy_defaults(), .services = services, .count = n };
	size_t rows_used = 0;
	char word[64];
	int len;

	while (sscanf(endpoints, "%63s%n", word, &len) == 1) {
		rows[rows_used] = (struct file_endpoint){ .addr = ip(word), .weight = 1, .ready = true };
		addr_set_port(&rows[rows_used++].addr, 8080);
		endpoints += len;
	}
	for (size_t i = 0; i < n; i++)
		services[i] = (struct file_service){
			.name = names[i],
			.namespace = "",
			.ports = &port,
			.port_count = 1,
			.endpoints = rows,
			.endpoint_count = rows_used,
			.policy = policy_defaults(),
		};
	assert_int_equal(model_set_file(model, &file), 0);
	free(services);
}

static const struct spec_service *find(struct model *model, const char *name)
{
	struct spec *spec = resolve(model);

	for (size_t i = 0; i < spec->service_count; i++)
		if (strcmp(spec->services[i].name, name) == 0)
			return &spec->services[i];
	fail_msg("no service %s", name);
	return NULL;
}

/* The one address of a service, as text. */
static const char *address_of(struct model *model, const char *name)
{
	static char texts[4][ADDR_TEXT];
	static unsigned turn;
	const struct spec_service *service = find(model, name);

	assert_int_equal(service->address_count, 1);
	assert_int_equal(service->addresses[0].kind, ADDRESS_ALLOCATED);
	return addr_print_ip(&service->addresses[0].addr, texts[turn++ % 4]);
}

static const char *const web[] = { "web" };
static const char *const web_and_api[] = { "web", "api" };

/* ---- ranges ---- */

static void ranges_have_defaults(void **state)
{
	struct address_ranges ranges;
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(address_ranges_parse(NULL, &ranges), 0);
	assert_string_equal(addr_print_ip(&ranges.v4.first, text), "240.0.0.0");
	assert_int_equal(ranges.v4.prefix_len, 96 + 4);
	assert_string_equal(addr_print_ip(&ranges.v6.first, text), "fd0f:a12d:1a1::");
	assert_int_equal(ranges.v6.prefix_len, 64);
}

static void a_range_of_one_family_leaves_the_other(void **state)
{
	struct address_ranges ranges;
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(address_ranges_parse("127.64.0.9/10", &ranges), 0);
	assert_string_equal(addr_print_ip(&ranges.v4.first, text), "127.64.0.0");
	assert_string_equal(addr_print_ip(&ranges.v6.first, text), "fd0f:a12d:1a1::");
	assert_int_equal(address_ranges_parse("fd00:1::/48 , 10.9.0.0/16", &ranges), 0);
	assert_string_equal(addr_print_ip(&ranges.v4.first, text), "10.9.0.0");
	assert_string_equal(addr_print_ip(&ranges.v6.first, text), "fd00:1::");
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"240.0.0.0",
		"240.0.0.0/",
		"240.0.0.0/33",
		"240.0.0.0/31",
		"0.0.0.0/0",
		"10.0.0.0/3",
		"10.0.0/8",
		"10.0.0.0/8,",
		"10.0.0.0/8x",
		"10.0.0.0/-8",
		"fd00::/127",
		"fd00::/129",
		"fd00::/4",
		"10.0.0.0/8,11.0.0.0/8",
		"fd00::/64,fd01::/64",
		"x/8",
		"10.0.0.0/8 11.0.0.0/8",
	};
	struct address_ranges ranges;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(address_ranges_parse(bad[i], &ranges), -EINVAL);
		assert_null(new_model_with(bad[i]));
	}
}

/* ---- allocating ---- */

static void a_service_without_an_address_gets_one_of_the_range(void **state)
{
	struct model *model = new_model();
	const struct spec_service *service;

	(void)state;
	put_file(model, web, 1, "10.0.0.1");
	service = find(model, "web");
	assert_int_equal(service->address_count, 1);
	assert_int_equal(service->addresses[0].kind, ADDRESS_ALLOCATED);
	assert_true(service->addresses[0].addr.is_v4);
	assert_int_equal(service->addresses[0].addr.ip[12] & 0xf0, 0xf0);
	assert_false(service->flags & SERVICE_OWN_ADDRESS);
	model_free(model);
}

static void the_address_follows_from_the_name(void **state)
{
	static const char *const reversed[] = { "api", "web" };
	struct model *one = new_model(), *other = new_model();

	(void)state;
	put_file(one, web_and_api, 2, "10.0.0.1");
	put_file(other, web, 1, "10.0.0.7");
	resolve(other);
	put_file(other, reversed, 2, "10.0.0.9");
	assert_string_equal(address_of(one, "web"), address_of(other, "web"));
	assert_string_equal(address_of(one, "api"), address_of(other, "api"));
	assert_string_not_equal(address_of(one, "api"), address_of(one, "web"));
	model_free(one);
	model_free(other);
}

static void the_address_stays_while_others_come_and_go(void **state)
{
	struct model *model = new_model_with("10.9.0.0/28");
	char before[ADDR_TEXT];

	(void)state;
	put_file(model, web, 1, "10.0.0.1");
	strcpy(before, address_of(model, "web"));
	for (int i = 0; i < 100; i++) {
		char name[16];
		const char *const names[] = { name, "web" };

		snprintf(name, sizeof(name), "s%d", i);
		put_file(model, names, 2, "10.0.0.2");
		assert_string_equal(address_of(model, "web"), before);
	}
	model_free(model);
}

static void a_service_that_comes_back_has_the_address_it_had(void **state)
{
	struct model *model = new_model();
	char before[ADDR_TEXT];

	(void)state;
	put_file(model, web, 1, "10.0.0.1");
	strcpy(before, address_of(model, "web"));
	put_file(model, NULL, 0, "");
	resolve(model);
	put_file(model, web_and_api, 2, "10.0.0.1");
	assert_string_equal(address_of(model, "web"), before);
	model_free(model);
}

static void no_address_is_given_twice(void **state)
{
	static char texts[13][16];
	const char *names[13];
	struct model *model = new_model_with("10.9.0.0/28");
	struct spec *spec;

	(void)state;
	for (int i = 0; i < 13; i++) {
		snprintf(texts[i], sizeof(texts[i]), "s%d", i);
		names[i] = texts[i];
	}
	put_file(model, names, 13, "10.0.0.1");
	spec = resolve(model);
	for (size_t i = 0; i < 13; i++) {
		assert_int_not_equal(spec->services[i].addresses[0].addr.ip[15], 0);
		assert_int_not_equal(spec->services[i].addresses[0].addr.ip[15], 15);
		for (size_t j = 0; j < i; j++)
			assert_false(
				addr_equal(&spec->services[i].addresses[0].addr, &spec->services[j].addresses[0].addr));
	}
	model_free(model);
}

static void a_range_that_is_used_up_is_reported(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	struct model *model = new_model_with("10.9.0.0/30");
	struct report report = { "" };
	struct spec *spec = NULL;

	(void)state;
	put_file(model, names, 3, "10.0.0.1");
	assert_int_equal(model_resolve(model, &spec, &report), -ENOSPC);
	assert_null(spec);
	assert_non_null(strstr(report.text, "service c"));
	put_file(model, names, 2, "10.0.0.1");
	assert_int_equal(model_resolve(model, &spec, &report), 0);
	model_free(model);
}

static void a_used_up_range_takes_from_services_that_are_gone(void **state)
{
	static const char *const first[] = { "a", "b" }, *const second[] = { "b", "c" };
	struct model *model = new_model_with("10.9.0.0/30");
	char before[ADDR_TEXT], taken[ADDR_TEXT];

	(void)state;
	put_file(model, first, 2, "10.0.0.1");
	strcpy(taken, address_of(model, "a"));
	strcpy(before, address_of(model, "b"));
	put_file(model, second, 2, "10.0.0.1");
	assert_string_equal(address_of(model, "b"), before);
	assert_string_equal(address_of(model, "c"), taken);
	model_free(model);
}

/* ---- what is not given ---- */

static void endpoints_are_not_given(void **state)
{
	struct model *model = new_model_with("10.9.0.0/29");

	(void)state;
	put_file(model, web, 1, "10.9.0.1 10.9.0.2 10.9.0.3 10.9.0.5 10.9.0.6");
	assert_string_equal(address_of(model, "web"), "10.9.0.4");
	model_free(model);
}

static void cluster_addresses_are_not_given(void **state)
{
	struct model *model = new_model_with("10.9.0.0/29");

	(void)state;
	put_service(model, "a", "10.9.0.1 10.9.0.2", ":80", NULL);
	put_service(model, "b", "10.9.0.4", ":80", NULL);
	put_service(model, "web.ns", "10.9.0.5", "", NULL); /* left out of the table, but its address is its own */
	put_file(model, web, 1, "10.9.0.6");
	assert_string_equal(address_of(model, "web"), "10.9.0.3");
	model_free(model);
}

static void addresses_that_this_host_routes_are_not_given(void **state)
{
	struct model *model = new_model_with("10.9.0.0/24");
	struct addr network = ip("10.9.0.0"), upper = ip("10.9.0.128"), host = ip("10.9.0.66");

	(void)state;
	assert_int_equal(model_avoid(model, &network, 26), 0);
	assert_int_equal(model_avoid(model, &upper, 25), 0);
	assert_int_equal(model_avoid(model, &host, 32), 0);
	assert_int_equal(model_avoid(model, &network, 33), -EINVAL);
	for (int i = 0; i < 20; i++) {
		const char *const names[] = { (const char *[]){ "a", "b", "c", "d", "e" }[i % 5] };
		unsigned last;

		put_file(model, names, 1, "10.0.0.1");
		assert_int_equal(sscanf(address_of(model, names[0]), "10.9.0.%u", &last), 1);
		assert_in_range(last, 64, 127);
		assert_int_not_equal(last, 66);
	}
	model_free(model);
}

static void large_networks_are_stepped_over_whole(void **state)
{
	struct model *model = new_model();
	struct addr lower = ip("240.0.0.0"), upper = ip("248.0.0.0");
	struct addr rest[] = { ip("248.0.0.0"), ip("252.0.0.0"), ip("254.0.0.0") };
	struct report report = { "" };
	struct spec *spec;

	(void)state;
	assert_int_equal(model_avoid(model, &lower, 5), 0);
	put_file(model, web_and_api, 2, "10.0.0.1");
	assert_true(find(model, "web")->addresses[0].addr.ip[12] >= 248);
	assert_true(find(model, "api")->addresses[0].addr.ip[12] >= 248);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(model_avoid(model, &rest[i], (unsigned)(6 + i)), 0);
	assert_int_equal(find(model, "web")->addresses[0].addr.ip[12], 255);
	assert_int_equal(model_avoid(model, &upper, 5), 0);
	assert_int_equal(model_resolve(model, &spec, &report), -ENOSPC);
	model_free(model);
}

static void an_address_that_becomes_somebody_elses_is_changed(void **state)
{
	struct model *model = new_model_with("10.9.0.0/24");
	char before[ADDR_TEXT];

	(void)state;
	put_file(model, web, 1, "10.0.0.1");
	strcpy(before, address_of(model, "web"));
	put_service(model, "late", before, ":80", NULL);
	assert_string_not_equal(address_of(model, "web"), before);
	model_free(model);
}

static void the_broadcast_address_is_not_given(void **state)
{
	struct model *model = new_model_with("255.255.255.248/29");
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct spec *spec;

	(void)state;
	put_file(model, names, 6, "10.0.0.1");
	spec = resolve(model);
	for (size_t i = 0; i < 6; i++)
		assert_in_range(spec->services[i].addresses[0].addr.ip[15], 249, 254);
	model_free(model);
}

static void multicast_is_not_given_whatever_the_range(void **state)
{
	struct model *model = new_model_with("208.0.0.0/4,fe00::/8");

	(void)state;
	model_free(model);
	model = new_model_with("224.0.0.0/4");
	put_file(model, web, 1, "10.0.0.1");
	struct report report = { "" };
	struct spec *spec;
	assert_int_equal(model_resolve(model, &spec, &report), -ENOSPC);
	model_free(model);
}

/* ---- families ---- */

static void endpoints_of_ipv6_make_an_ipv6_address(void **state)
{
	struct model *model = new_model();
	const struct spec_service *service;
	struct addr first = ip("fd0f:a12d:1a1::");

	(void)state;
	put_file(model, web, 1, "fd00::1 fd00::2");
	service = find(model, "web");
	assert_int_equal(service->address_count, 1);
	assert_false(service->addresses[0].addr.is_v4);
	assert_memory_equal(service->addresses[0].addr.ip, first.ip, 8);
	model_free(model);
}

static void endpoints_of_both_families_make_one_address_of_each(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_file(model, web, 1, "fd00::1 10.0.0.1");
	assert_spec(model, "web bare ~v4 ~v6\n  80/TCP 10.0.0.1:8080* [fd00::1]:8080*\n");
	model_free(model);
}

static void without_endpoints_the_family_stays(void **state)
{
	struct model *model = new_model();

	(void)state;
	put_file(model, web_and_api, 2, "");
	assert_spec(model, "api bare ~v4\n  80/TCP\nweb bare ~v4\n  80/TCP\n");
	put_file(model, web, 1, "");
	model_free(model);

	model = new_model();
	put_file(model, web, 1, "fd00::1");
	assert_spec(model, "web bare ~v6\n  80/TCP [fd00::1]:8080*\n");
	put_file(model, web, 1, "");
	assert_spec(model, "web bare ~v6\n  80/TCP\n");
	model_free(model);
}

static void only_unicast_addresses_can_be_dialed(void **state)
{
	static const char *const good[] = { "10.0.0.1", "127.0.0.1", "240.0.0.1", "::1", "fe80::1", "223.255.255.255" };
	static const char *const bad[] = { "0.0.0.0", "255.255.255.255", "224.0.0.1",     "239.255.255.255",
					   "::",      "ff02::1",         "::ffff:0.0.0.0" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct addr addr = ip(good[i]);

		assert_true(address_is_unicast(&addr));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct addr addr = ip(bad[i]);

		assert_false(address_is_unicast(&addr));
	}
}

static void addresses_of_the_link_are_told(void **state)
{
	static const char *const its[] = { "169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "febf:ffff::1",
					   "::ffff:169.254.20.10" };
	static const char *const others[] = { "169.253.255.255", "169.255.0.0", "10.169.254.1", "fe7f::1", "fec0::1",
					      "::a9fe:1" };

	(void)state;
	for (size_t i = 0; i < sizeof(its) / sizeof(its[0]); i++) {
		struct addr addr = ip(its[i]);

		assert_true(address_is_link_local(&addr));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct addr addr = ip(others[i]);

		assert_false(address_is_link_local(&addr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_have_defaults),
		cmocka_unit_test(a_range_of_one_family_leaves_the_other),
		cmocka_unit_test(ranges_that_make_no_sense_are_refused),
		cmocka_unit_test(a_service_without_an_address_gets_one_of_the_range),
		cmocka_unit_test(the_address_follows_from_the_name),
		cmocka_unit_test(the_address_stays_while_others_come_and_go),
		cmocka_unit_test(a_service_that_comes_back_has_the_address_it_had),
		cmocka_unit_test(no_address_is_given_twice),
		cmocka_unit_test(a_range_that_is_used_up_is_reported),
		cmocka_unit_test(a_used_up_range_takes_from_services_that_are_gone),
		cmocka_unit_test(endpoints_are_not_given),
		cmocka_unit_test(cluster_addresses_are_not_given),
		cmocka_unit_test(addresses_that_this_host_routes_are_not_given),
		cmocka_unit_test(large_networks_are_stepped_over_whole),
		cmocka_unit_test(an_address_that_becomes_somebody_elses_is_changed),
		cmocka_unit_test(the_broadcast_address_is_not_given),
		cmocka_unit_test(multicast_is_not_given_whatever_the_range),
		cmocka_unit_test(endpoints_of_ipv6_make_an_ipv6_address),
		cmocka_unit_test(endpoints_of_both_families_make_one_address_of_each),
		cmocka_unit_test(without_endpoints_the_family_stays),
		cmocka_unit_test(only_unicast_addresses_can_be_dialed),
		cmocka_unit_test(addresses_of_the_link_are_told),
	};

	return RUN_TESTS(tests);
}
