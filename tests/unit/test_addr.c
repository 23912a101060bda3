/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: the forms of inet_pton(3), RFC 5952, and the families of sockets. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/addr.h"
#include "support/table_builder.h"

static int parse_ip(const char *text, struct addr *ret_addr)
{
	return addr_parse_ip(text, strlen(text), ret_addr);
}

static int parse(const char *text, struct addr *ret_addr)
{
	return addr_parse(text, strlen(text), ret_addr);
}

static void assert_ip_prints(const char *text, const char *expected)
{
	struct addr addr;
	char buf[ADDR_TEXT];

	if (parse_ip(text, &addr) < 0)
		fail_msg("refused: %s", text);
	assert_string_equal(addr_print_ip(&addr, buf), expected);
}

/* ---- text ---- */

static void ipv6_prints_as_rfc_5952_says(void **state)
{
	(void)state;
	assert_ip_prints("2001:0db8::0001", "2001:db8::1");
	assert_ip_prints("2001:db8::", "2001:db8::");
	assert_ip_prints("2001:DB8:A:B:C:D:E:F", "2001:db8:a:b:c:d:e:f");
	assert_ip_prints("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"); /* one group is not shortened */
	assert_ip_prints("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");          /* the longest run is */
	assert_ip_prints("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");    /* of two alike, the first */
	assert_ip_prints("0:0:0:0:0:0:0:0", "::");
	assert_ip_prints("0:0:0:0:0:0:0:1", "::1");
	assert_ip_prints("1:0:0:0:0:0:0:0", "1::");
	assert_ip_prints("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::");
	assert_ip_prints("0:0:3:4:5:6:7:8", "::3:4:5:6:7:8");
}

static void a_mapped_address_is_an_ipv4_one(void **state)
{
	struct addr mapped, plain;

	(void)state;
	assert_int_equal(parse_ip("::ffff:10.0.0.1", &mapped), 0);
	assert_int_equal(parse_ip("10.0.0.1", &plain), 0);
	assert_int_equal(mapped.is_v4, 1);
	assert_true(addr_equal(&mapped, &plain));
	assert_true(addr_hash(&mapped, 7) == addr_hash(&plain, 7));
	assert_ip_prints("::ffff:a00:1", "10.0.0.1");
	assert_int_equal(parse_ip("::fffe:10.0.0.1", &mapped), 0);
	assert_int_equal(mapped.is_v4, 0);
	assert_int_equal(parse_ip("::10.0.0.1", &mapped), 0);
	assert_int_equal(mapped.is_v4, 0);
}

static void ports_are_read_and_printed(void **state)
{
	static const struct {
		const char *text, *printed;
		unsigned port;
	} good[] = {
		{ "10.0.0.1:80", "10.0.0.1:80", 80 },
		{ "0.0.0.0:1", "0.0.0.0:1", 1 },
		{ "255.255.255.255:65535", "255.255.255.255:65535", 65535 },
		{ "[::1]:443", "[::1]:443", 443 },
		{ "[::ffff:1.2.3.4]:5", "1.2.3.4:5", 5 },
	};
	char buf[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct addr addr;

		assert_int_equal(parse(good[i].text, &addr), 0);
		assert_int_equal(addr_port(&addr), good[i].port);
		assert_string_equal(addr_print(&addr, buf), good[i].printed);
	}
}

static void bad_ports_and_brackets_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		":80",
		"10.0.0.1",
		"10.0.0.1:",
		"10.0.0.1:0",
		"10.0.0.1:65536",
		"10.0.0.1:080",
		"10.0.0.1:+80",
		"10.0.0.1: 80",
		"10.0.0.1:80 ",
		"10.0.0.1:8a",
		"10.0.0.1:999999",
		"10.0.0.1:4294967376",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"::1]:80",
		"[]:80",
		"[10.0.0.1:80",
		"[[::1]]:80",
		"web:80",
		"10.0.0.1:-1",
	};
	struct addr addr = { .port_be = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &addr) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(addr.port_be, 77); /* results change only on success */
}

static void an_address_alone_has_no_port(void **state)
{
	struct addr addr = { .port_be = 77 };

	(void)state;
	assert_int_equal(parse_ip("10.0.0.1", &addr), 0);
	assert_int_equal(addr.port_be, 0);
	assert_int_equal(addr_parse_ip("10.0.0.12", 8, &addr), 0); /* the length counts, not a NUL */
	assert_int_equal(addr.ip[15], 1);
}

/* ---- against the C library ---- */

static void assert_parses_as_the_libc_does(const char *text)
{
	struct in6_addr in6;
	struct in_addr in;
	struct addr addr = { .zero = 0 };
	int r = parse_ip(text, &addr);

	if (inet_pton(AF_INET, text, &in) == 1) {
		if (r != 0 || !addr.is_v4 || memcmp(addr.ip + 12, &in, 4) != 0)
			fail_msg("IPv4 %s is read differently", text);
	} else if (inet_pton(AF_INET6, text, &in6) == 1) {
		if (r != 0 || memcmp(addr.ip, &in6, 16) != 0)
			fail_msg("IPv6 %s is read differently", text);
	} else if (r != -EINVAL) {
		fail_msg("no address, but taken: %s", text);
	}
}

static void odd_texts_are_judged_as_inet_pton_judges_them(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"1",
		"1.2",
		"1.2.3",
		"1.2.3.4",
		"1.2.3.4.",
		".1.2.3.4",
		"1..3.4",
		"01.2.3.4",
		"1.2.3.04",
		"00.0.0.0",
		"256.1.1.1",
		"1.2.3.4.5",
		"1.2.3.4 ",
		" 1.2.3.4",
		"0x1.2.3.4",
		"1.2.3.-4",
		"1000.1.1.1",
		"::",
		":",
		":::",
		"::1",
		"1::",
		":1",
		"1:",
		"1::2::3",
		"1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7::",
		"::2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8",
		"1:2:3::4:5:6:7:8",
		"12345::",
		"::12345",
		"g::",
		"::1.2.3.4",
		"1::1.2.3.4",
		"::1.2.3",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:1.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4",
		"::ffff:1.2.3.256",
		"1.2.3.4::",
		"::FFFF:1.2.3.4",
		"fe80::1%eth0",
		"[::1]",
		"::00001",
		"::0001",
		"1:2:3:4:5:6:7:",
		":1:2:3:4:5:6:7",
		"1:::2",
		"0:0:0:0:0:0:0:0",
		"::1:",
		"1.2.3.4:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_parses_as_the_libc_does(texts[i]);
}

static void random_texts_are_judged_as_inet_pton_judges_them(void **state)
{
	static const char alphabet[] = "0123456789af:::...";
	uint64_t random = 1;
	char text[24];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = next_random(&random) % (sizeof(text) - 1);

		for (size_t k = 0; k < len; k++)
			text[k] = alphabet[next_random(&random) % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		assert_parses_as_the_libc_does(text);
	}
}

/* Many zero groups, so that the shortening is met in all places. */
static void random_ip(uint64_t *random, uint8_t ip[16])
{
	uint64_t zeros = next_random(random);

	for (int i = 0; i < 16; i += 2) {
		uint64_t group = next_random(random);

		ip[i] = zeros >> i & 1 ? 0 : (uint8_t)group;
		ip[i + 1] = zeros >> i & 1 ? 0 : (uint8_t)(group >> 8);
	}
	if (zeros >> 60 == 0)
		memcpy(ip, (const uint8_t[12]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12);
}

static bool is_ipv4_compatible(const uint8_t ip[16])
{
	static const uint8_t zeros[12];

	return memcmp(ip, zeros, 12) == 0; /* the libc prints ::1.2.3.4, which RFC 5952 leaves to known prefixes */
}

static void random_addresses_print_as_inet_ntop_and_back(void **state)
{
	char libc[INET6_ADDRSTRLEN], ours[ADDR_TEXT];
	struct addr addr, again;
	uint64_t random = 2;
	uint8_t ip[16];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		random_ip(&random, ip);
		assert_non_null(inet_ntop(AF_INET6, ip, libc, sizeof(libc)));
		assert_int_equal(parse_ip(libc, &addr), 0);
		assert_memory_equal(addr.ip, ip, 16);
		if (addr.is_v4)
			assert_non_null(inet_ntop(AF_INET, ip + 12, libc, sizeof(libc)));
		addr_print_ip(&addr, ours);
		if (!is_ipv4_compatible(ip))
			assert_string_equal(ours, libc);
		addr_set_port(&addr, (uint16_t)(1 + next_random(&random) % 65535));
		assert_int_equal(parse(addr_print(&addr, ours), &again), 0);
		assert_true(addr_equal(&addr, &again));
	}
}

/* ---- order ---- */

static void ipv4_comes_before_ipv6_then_address_then_port(void **state)
{
	static const char *const sorted[] = { "0.0.0.0:1",      "9.255.255.255:2", "10.0.0.1:80", "10.0.0.1:8080",
					      "255.0.0.1:1",    "[::]:1",          "[::1]:80",    "[::1]:65535",
					      "[::fffe:0:1]:1", "[2001::]:1",      "[fe80::1]:1" };
	const size_t n = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			struct addr a = addr_of(sorted[i]), b = addr_of(sorted[k]);
			int order = addr_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
	}
}

static void hashes_differ_by_seed_address_and_port(void **state)
{
	struct addr a = addr_of("10.0.0.1:80"), b = addr_of("10.0.0.2:80"), c = addr_of("10.0.0.1:81");

	(void)state;
	assert_true(addr_hash(&a, 1) != addr_hash(&a, 2));
	assert_true(addr_hash(&a, 1) != addr_hash(&b, 1));
	assert_true(addr_hash(&a, 1) != addr_hash(&c, 1));
}

/* ---- socket addresses ---- */

static struct sockaddr_in v4_sockaddr(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80) };

	inet_pton(AF_INET, "10.0.0.1", &in.sin_addr);
	return in;
}

static struct sockaddr_in6 v6_sockaddr(const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_flowinfo = htonl(0x12345) };

	inet_pton(AF_INET6, text, &in6.sin6_addr);
	return in6;
}

static void short_and_foreign_socket_addresses_are_refused(void **state)
{
	struct sockaddr_in6 in6 = v6_sockaddr("::1");
	struct sockaddr_in in = v4_sockaddr();
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct addr addr;

	(void)state;
	assert_false(addr_from_sockaddr(&addr, NULL, sizeof(in)));
	for (uint32_t len = 0; len < sizeof(in); len++)
		assert_false(addr_from_sockaddr(&addr, (struct sockaddr *)&in, len));
	for (uint32_t len = 0; len < 24; len++)
		assert_false(addr_from_sockaddr(&addr, (struct sockaddr *)&in6, len));
	assert_false(addr_from_sockaddr(&addr, &other, sizeof(other)));
	other.sa_family = AF_UNSPEC;
	assert_false(addr_from_sockaddr(&addr, &other, sizeof(other)));
}

static void what_the_kernel_takes_is_taken(void **state)
{
	struct sockaddr_in6 in6 = v6_sockaddr("2001:db8::1");
	struct sockaddr_in in = v4_sockaddr();
	uint8_t odd[sizeof(in6) + 1]; /* at any alignment */
	struct addr addr, expected = addr_of("10.0.0.1:80");

	(void)state;
	assert_true(addr_from_sockaddr(&addr, (struct sockaddr *)&in, sizeof(in)));
	assert_true(addr_equal(&addr, &expected));
	assert_true(addr_from_sockaddr(&addr, (struct sockaddr *)&in, 128));
	expected = addr_of("[2001:db8::1]:80");
	memcpy(odd + 1, &in6, sizeof(in6));
	for (uint32_t len = 24; len <= sizeof(in6); len += 4) { /* RFC 2133 had no scope */
		assert_true(addr_from_sockaddr(&addr, (struct sockaddr *)(odd + 1), len));
		assert_true(addr_equal(&addr, &expected));
	}
}

static void a_mapped_socket_address_is_ipv4_and_goes_back_mapped(void **state)
{
	struct sockaddr_in6 in6 = v6_sockaddr("::ffff:10.0.0.1"), back;
	struct addr addr, plain = addr_of("10.0.0.1:80");

	(void)state;
	assert_true(addr_from_sockaddr(&addr, (struct sockaddr *)&in6, sizeof(in6)));
	assert_true(addr_equal(&addr, &plain));
	assert_int_equal(addr_to_sockaddr(&plain, (struct sockaddr *)&in6, &back), sizeof(back));
	assert_memory_equal(&back, &in6, sizeof(back)); /* the flow label too */
}

static void an_address_is_written_in_the_family_of_another(void **state)
{
	struct sockaddr_in in = v4_sockaddr(), out;
	struct sockaddr_in6 in6;
	struct addr v4 = addr_of("10.0.0.1:80"), v6 = addr_of("[::1]:80");

	(void)state;
	memset(&out, 0xff, sizeof(out));
	assert_int_equal(addr_to_sockaddr(&v4, (struct sockaddr *)&in, &out), sizeof(out));
	assert_memory_equal(&out, &in, sizeof(out));
	assert_int_equal(addr_to_sockaddr(&v6, (struct sockaddr *)&in, &in6), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_prints_as_rfc_5952_says),
		cmocka_unit_test(a_mapped_address_is_an_ipv4_one),
		cmocka_unit_test(ports_are_read_and_printed),
		cmocka_unit_test(bad_ports_and_brackets_are_refused),
		cmocka_unit_test(an_address_alone_has_no_port),
		cmocka_unit_test(odd_texts_are_judged_as_inet_pton_judges_them),
		cmocka_unit_test(random_texts_are_judged_as_inet_pton_judges_them),
		cmocka_unit_test(random_addresses_print_as_inet_ntop_and_back),
		cmocka_unit_test(ipv4_comes_before_ipv6_then_address_then_port),
		cmocka_unit_test(hashes_differ_by_seed_address_and_port),
		cmocka_unit_test(short_and_foreign_socket_addresses_are_refused),
		cmocka_unit_test(what_the_kernel_takes_is_taken),
		cmocka_unit_test(a_mapped_socket_address_is_ipv4_and_goes_back_mapped),
		cmocka_unit_test(an_address_is_written_in_the_family_of_another),
	};

	return RUN_TESTS(tests);
}
