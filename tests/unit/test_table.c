/* SPDX-License-Identifier: Apache-2.0 */
/* What is published is found: by address, port and protocol, and by name. */
#include "support/testing.h"

#include <errno.h>

#include "support/cleanup.h"
#include "support/services.h"
#include "support/table_builder.h"

static void assert_endpoints(const struct table *table, const char *dest, uint8_t protocol, const char *expected)
{
	char *text = endpoints_at(table, dest, protocol);

	if (!text)
		fail_msg("%s is not found", dest);
	assert_string_equal(text, expected);
	free(text);
}

static struct table *publish_and_map(const struct table_builder *b)
{
	const char *dir = scratch_dir();
	struct table *table;

	publish_alone(dir, b);
	table = map_table(dir);
	assert_whole(table);
	return table;
}

/* ---- by address ---- */

static void a_service_is_found_by_address_and_port(void **state)
{
	struct table *table = publish_and_map(builder_web("10.0.0.1:8080 10.0.0.2:8080"));

	(void)state;
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "10.0.0.1:8080 10.0.0.2:8080");
	assert_int_equal(find_port(table, "10.96.0.1:81", PROTOCOL_TCP), -ENOENT);
	assert_int_equal(find_port(table, "10.96.0.2:80", PROTOCOL_TCP), -ENOENT);
	assert_int_equal(find_port(table, "10.96.0.1:80", PROTOCOL_UDP), -ENOENT);
	assert_int_equal(find_port(table, "10.0.0.1:8080", PROTOCOL_TCP), -ENOENT); /* a pod's own address */
}

static void tcp_and_udp_of_one_number_are_two_ports(void **state)
{
	struct table_builder *b = builder_new();
	struct table *table;

	(void)state;
	builder_service(b, "dns.kube-system", "10.96.0.10");
	builder_port(b, 53, PROTOCOL_UDP, "10.0.0.1:53");
	builder_port(b, 53, PROTOCOL_TCP, "10.0.0.2:1053");
	table = publish_and_map(b);
	assert_endpoints(table, "10.96.0.10:53", PROTOCOL_UDP, "10.0.0.1:53");
	assert_endpoints(table, "10.96.0.10:53", PROTOCOL_TCP, "10.0.0.2:1053");
	assert_int_equal(find_port(table, "10.96.0.10:53", PROTOCOL_SCTP), -ENOENT);
}

static void both_families_are_found_and_mapped_is_ipv4(void **state)
{
	struct table_builder *b = builder_new();
	struct table *table;

	(void)state;
	builder_service(b, "web.shop", "10.96.0.1 fd00::1");
	builder_port(b, 80, PROTOCOL_TCP, "[2001:db8::1]:8080 10.0.0.1:8080");
	table = publish_and_map(b);
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "10.0.0.1:8080 [2001:db8::1]:8080");
	assert_endpoints(table, "[fd00::1]:80", PROTOCOL_TCP, "10.0.0.1:8080 [2001:db8::1]:8080");
	assert_endpoints(table, "[::ffff:10.96.0.1]:80", PROTOCOL_TCP, "10.0.0.1:8080 [2001:db8::1]:8080");
	assert_int_equal(find_port(table, "[::10.96.0.1]:80", PROTOCOL_TCP), -ENOENT);
}

static void the_endpoints_of_each_family_lie_together(void **state)
{
	struct table *table = publish_and_map(builder_web("[::2]:1 10.0.0.9:1 [::1]:1 10.0.0.1:1 10.0.0.1:2"));
	struct table_view view = view_of(table);
	struct table_port port;
	struct table_rows rows;

	(void)state;
	assert_int_equal(table_port(&view, (uint32_t)find_port(table, "10.96.0.1:80", PROTOCOL_TCP), &port), 0);
	assert_int_equal(port.v4_count, 3);
	assert_int_equal(port.v6_count, 2);
	for (int v4 = 0; v4 < 2; v4++) {
		assert_int_equal(rows_of(&view, &port, v4, &rows), 0);
		assert_int_equal(rows.count, v4 ? 3 : 2);
		for (uint32_t i = 0; i < rows.count; i++) {
			struct table_endpoint_brief brief = table_rows_brief(&rows, i);
			struct table_endpoint row;

			assert_int_equal(table_endpoint(&view, rows.first + i, &row), 0);
			assert_int_equal(row.is_v4, v4);
			assert_int_equal(brief.slot, row.slot);
			assert_int_equal(brief.tag, row.tag);
			assert_int_equal(brief.weight, row.weight);
			assert_int_equal(brief.flags, row.flags);
		}
	}
}

static void endpoints_come_in_the_order_of_addresses(void **state)
{
	struct table *table = publish_and_map(builder_web("10.0.0.10:80 [::1]:80 10.0.0.9:80 10.0.0.9:79 9.0.0.1:80"));

	(void)state;
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP,
			 "9.0.0.1:80 10.0.0.9:79 10.0.0.9:80 10.0.0.10:80 [::1]:80");
}

static void a_port_without_endpoints_is_found_and_empty(void **state)
{
	struct table *table = publish_and_map(builder_web(""));

	(void)state;
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "");
}

static void a_table_without_services_answers_nothing(void **state)
{
	struct table *table = publish_and_map(builder_new());
	struct table_view view = view_of(table);

	(void)state;
	assert_int_equal(find_port(table, "10.96.0.1:80", PROTOCOL_TCP), -ENOENT);
	assert_int_equal(table_find_service(&view, slice_of("web"), slice_of("shop")), -ENOENT);
	assert_int_equal(table_count(&view, SECTION_SERVICES), 0);
}

/* ---- by name ---- */

static int by_name(const struct table *table, const char *name, const char *namespace)
{
	struct table_view view = view_of(table);

	return table_find_service(&view, slice_of(name), slice_of(namespace));
}

static int by_bare_name(const struct table *table, const char *name)
{
	struct table_view view = view_of(table);

	return table_find_bare(&view, slice_of(name));
}

static void names_are_found_in_any_case(void **state)
{
	struct table *table = publish_and_map(builder_web("10.0.0.1:80"));
	struct table_view view = view_of(table);
	struct table_service row;

	(void)state;
	assert_true(by_name(table, "web", "shop") >= 0);
	assert_int_equal(by_name(table, "WEB", "Shop"), by_name(table, "web", "shop"));
	assert_int_equal(by_name(table, "web", "shop2"), -ENOENT);
	assert_int_equal(by_name(table, "web", ""), -ENOENT);
	assert_int_equal(by_name(table, "we", "bshop"), -ENOENT);
	assert_int_equal(by_name(table, "", ""), -ENOENT);
	assert_int_equal(table_service(&view, (uint32_t)by_name(table, "web", "shop"), &row), 0);
	assert_string_equal(row.name, "web");
	assert_string_equal(row.namespace, "shop");
}

static void only_those_with_the_flag_answer_to_their_bare_name(void **state)
{
	struct table_builder *b = builder_new();
	struct table *table;

	(void)state;
	builder_service(b, "web.shop", NULL)->flags = SERVICE_BARE_NAME;
	builder_service(b, "db.shop", NULL);
	builder_service(b, "cache", NULL)->flags = SERVICE_BARE_NAME;
	table = publish_and_map(b);
	assert_int_equal(by_bare_name(table, "WEB"), by_name(table, "web", "shop"));
	assert_true(by_bare_name(table, "web") >= 0);
	assert_int_equal(by_bare_name(table, "db"), -ENOENT);
	assert_true(by_bare_name(table, "cache") >= 0);
	assert_int_equal(by_bare_name(table, "cache"), by_name(table, "cache", ""));
}

static void one_name_in_two_namespaces_is_two_services(void **state)
{
	struct table_builder *b = builder_new();
	struct table *table;
	int bare;

	(void)state;
	builder_service(b, "web.shop", NULL)->flags = SERVICE_BARE_NAME;
	builder_service(b, "web.blog", NULL)->flags = SERVICE_BARE_NAME;
	table = publish_and_map(b);
	assert_int_not_equal(by_name(table, "web", "shop"), by_name(table, "web", "blog"));
	bare = by_bare_name(table, "web");
	assert_true(bare == by_name(table, "web", "shop") || bare == by_name(table, "web", "blog"));
}

static void services_come_in_the_order_of_namespace_and_name(void **state)
{
	static const char *const sorted[] = { "alone", "a", "b", "b" };
	struct table_builder *b = builder_new();
	struct table_service row;
	struct table_view view;
	struct table *table;

	(void)state;
	builder_service(b, "b.y", NULL);
	builder_service(b, "b.x", NULL);
	builder_service(b, "a.x", NULL);
	builder_service(b, "alone", NULL);
	table = publish_and_map(b);
	view = view_of(table);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(table_service(&view, i, &row), 0);
		assert_string_equal(row.name, sorted[i]);
	}
	assert_int_equal(table_service(&view, 4, &row), -ERANGE);
}

/* ---- rows ---- */

static void weights_lose_their_common_divisor_and_keep_what_was_given(void **state)
{
	struct table *table = publish_and_map(builder_web("10.0.0.1:80*6 10.0.0.2:80*9 10.0.0.3:80*3"));

	(void)state;
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "10.0.0.1:80*2 10.0.0.2:80*3 10.0.0.3:80");
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.2:80").given_weight, 9);
	table = publish_and_map(builder_web("10.0.0.1:80*0 10.0.0.2:80*4"));
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "10.0.0.1:80 10.0.0.2:80*4");
	table = publish_and_map(builder_web("10.0.0.1:80*65535 10.0.0.2:80*65535"));
	assert_endpoints(table, "10.96.0.1:80", PROTOCOL_TCP, "10.0.0.1:80 10.0.0.2:80");
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.2:80").given_weight, 65535);
}

static void texts_are_kept(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	struct spec_port *port = &b->spec.services[0].ports[0];
	struct table_endpoint row;
	struct table_port port_row;
	struct table_view view;
	struct table *table;
	char text[8];

	(void)state;
	port->name = "http";
	port->app_protocol = "kubernetes.io/h2c";
	port->endpoints[0].zone = "zone-a";
	port->endpoints[1].node = "node-1";
	table = publish_and_map(b);
	view = view_of(table);
	assert_int_equal(table_port(&view, 0, &port_row), 0);
	table_string(&view, port_row.name, text, sizeof(text));
	assert_string_equal(text, "http");
	table_string(&view, port_row.app_protocol, text, sizeof(text));
	assert_string_equal(text, "kuberne"); /* cut to what fits */
	row = endpoint_at(table, "10.96.0.1:80", "10.0.0.1:80");
	table_string(&view, row.zone, text, sizeof(text));
	assert_string_equal(text, "zone-a");
	table_string(&view, row.node, text, sizeof(text));
	assert_string_equal(text, "");
	table_string(&view, UINT32_MAX, text, sizeof(text));
	assert_string_equal(text, "");
}

static void rules_and_policy_reach_the_reader(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80");
	struct spec_service *service = &b->spec.services[0];
	struct table_rules rules;
	struct table_port port;
	struct table_view view;
	struct table *table;

	(void)state;
	b->spec.mode = MODE_OBSERVE;
	b->spec.client_rank = 2;
	b->spec.client_peers = 5;
	service->policy.balance = BALANCE_HASH;
	service->flags = SERVICE_OWN_ADDRESS;
	service->stand_down = STAND_DOWN_MESH;
	service->affinity_s = 10800;
	table = publish_and_map(b);
	view = view_of(table);
	rules = table_rules(&view);
	assert_int_equal(rules.mode, MODE_OBSERVE);
	assert_int_equal(rules.stale_after_ms, 60000);
	assert_int_equal(rules.client_rank, 2);
	assert_int_equal(rules.client_peers, 5);
	assert_int_equal(table_port(&view, 0, &port), 0);
	assert_memory_equal(&port.policy, &service->policy, sizeof(port.policy));
	assert_int_equal(port.flags, SERVICE_OWN_ADDRESS);
	assert_int_equal(port.stand_down, STAND_DOWN_MESH);
	assert_int_equal(port.affinity_s, 10800);
}

static void a_rank_among_peers_of_unknown_number_is_any_ordinal(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80");
	struct table *table;
	struct table_view view;

	(void)state;
	b->spec.client_rank = 1000;
	b->spec.client_peers = CLIENT_PEERS_UNKNOWN;
	table = publish_and_map(b);
	view = view_of(table);
	assert_int_equal(table_rules(&view).client_rank, 1000);
	assert_int_equal(table_rules(&view).client_peers, CLIENT_PEERS_UNKNOWN);
	assert_whole(table);
}

static void an_address_that_two_services_claim_goes_to_one_of_them(void **state)
{
	struct table_builder *b = builder_new();
	struct table *table;
	char *text;

	(void)state;
	builder_service(b, "one.shop", "10.96.0.1");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80");
	builder_service(b, "two.shop", "10.96.0.1");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.2:80");
	builder_port(b, 81, PROTOCOL_TCP, "10.0.0.2:81");
	table = publish_and_map(b);
	text = endpoints_at(table, "10.96.0.1:80", PROTOCOL_TCP);
	assert_true(strcmp(text, "10.0.0.1:80") == 0 || strcmp(text, "10.0.0.2:80") == 0);
	free(text);
	assert_endpoints(table, "10.96.0.1:81", PROTOCOL_TCP, "10.0.0.2:81");
}

/* ---- many ---- */

enum { SERVICES = 10000, ENDPOINTS = 10 };

static struct addr numbered(uint32_t base, unsigned i, uint16_t port)
{
	struct addr addr = { .ip = { [10] = 0xff, [11] = 0xff }, .is_v4 = 1 };
	uint32_t ip = __builtin_bswap32(base + i);

	memcpy(addr.ip + 12, &ip, sizeof(ip));
	addr_set_port(&addr, port);
	return addr;
}

static struct table_builder *builder_of_many(void)
{
	struct table_builder *b = builder_new();
	char name[32], address[ADDR_TEXT];

	for (unsigned i = 0; i < SERVICES; i++) {
		struct addr cluster = numbered(0x0a600000, i, 80);
		struct spec_port *port;

		snprintf(name, sizeof(name), "service-%u.ns-%u", i, i % 7);
		builder_service(b, name, addr_print_ip(&cluster, address))->flags = SERVICE_BARE_NAME;
		port = builder_port(b, 80, PROTOCOL_TCP, "");
		for (unsigned k = 0; k < ENDPOINTS; k++) {
			struct addr endpoint = numbered(0x0af00000, i * ENDPOINTS + k, 8080);

			builder_endpoint(port, &endpoint, 1);
		}
	}
	return b;
}

static void assert_found(const struct table_view *view, unsigned i)
{
	struct addr dest = numbered(0x0a600000, i, 80), first = numbered(0x0af00000, i * ENDPOINTS, 8080), addr;
	int row = table_find_port(view, &dest, PROTOCOL_TCP), service;
	struct table_endpoint endpoint;
	struct table_port port;
	char name[32], namespace[32];

	assert_true(row >= 0);
	assert_int_equal(table_port(view, (uint32_t)row, &port), 0);
	assert_int_equal(port.v4_count, ENDPOINTS);
	assert_int_equal(table_endpoint(view, port.first_endpoint, &endpoint), 0);
	addr = table_endpoint_addr(&endpoint);
	assert_true(addr_equal(&addr, &first));
	snprintf(name, sizeof(name), "SERVICE-%u", i);
	snprintf(namespace, sizeof(namespace), "ns-%u", i % 7);
	service = table_find_service(view, slice_of(name), slice_of(namespace));
	assert_true(service >= 0);
	assert_int_equal(port.service, service);
	assert_int_equal(table_find_bare(view, slice_of(name)), service);
}

static void ten_thousand_services_are_all_found(void **state)
{
	const char *dir = scratch_dir();
	struct table_builder *b = builder_of_many();
	struct table_writer *writer = open_writer(dir);
	struct table *table;

	(void)state;
	for (int generation = 0; generation < 3; generation++)
		publish(writer, b);
	table = map_table(dir);
	assert_whole(table);
	for (unsigned i = 0; i < SERVICES; i++) {
		struct table_view view = view_of(table);
		struct addr missing = numbered(0x0a600000, i, 81);

		assert_found(&view, i);
		assert_int_equal(table_find_port(&view, &missing, PROTOCOL_TCP), -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_found_by_address_and_port),
		TEST(tcp_and_udp_of_one_number_are_two_ports),
		TEST(both_families_are_found_and_mapped_is_ipv4),
		TEST(the_endpoints_of_each_family_lie_together),
		TEST(endpoints_come_in_the_order_of_addresses),
		TEST(a_port_without_endpoints_is_found_and_empty),
		TEST(a_table_without_services_answers_nothing),
		TEST(names_are_found_in_any_case),
		TEST(only_those_with_the_flag_answer_to_their_bare_name),
		TEST(one_name_in_two_namespaces_is_two_services),
		TEST(services_come_in_the_order_of_namespace_and_name),
		TEST(weights_lose_their_common_divisor_and_keep_what_was_given),
		TEST(texts_are_kept),
		TEST(rules_and_policy_reach_the_reader),
		TEST(a_rank_among_peers_of_unknown_number_is_any_ordinal),
		TEST(an_address_that_two_services_claim_goes_to_one_of_them),
		TEST(ten_thousand_services_are_all_found),
	};

	return RUN_TESTS(tests);
}
