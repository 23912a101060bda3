/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses change places inside a list: each class of entries by itself, and nothing else changes. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netdb.h>
#include <stdbool.h>
#include <unistd.h>

#include "shim/names.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { ENTRIES = 64 };

static char *dir; /* of the only table that this process ever attaches to */

static const struct answer of_db = { .canonical = "db.shop.svc.cluster.local" };

/* The headless Service db, round_robin, with these endpoints on ports 5432 and 9999. */
static void publish_db(const char *endpoints, const char *others)
{
	struct table_builder *b = builder_new();
	struct spec_service *service = builder_service(b, "db.shop", NULL);

	service->flags = SERVICE_HEADLESS;
	service->policy.balance = BALANCE_ROUND_ROBIN;
	builder_port(b, 5432, PROTOCOL_TCP, endpoints);
	if (others)
		builder_port(b, 9999, PROTOCOL_TCP, others);
	publish_alone(dir, b);
}

/* A list as a libc makes it. */
struct list {
	struct addrinfo entry[ENTRIES];
	struct sockaddr_storage addr[ENTRIES];
	size_t count;
};

/* "10.0.0.1 ::ffff:10.0.0.2 fd00::1", each `type` and on this port. */
static void add_entries(struct list *l, const char *addresses, int type, uint16_t port)
{
	char *copy = format("%s", addresses), *word;

	while ((word = strsep(&copy, " "))) {
		struct addrinfo *ai = &l->entry[l->count];
		struct sockaddr_in *in = (struct sockaddr_in *)&l->addr[l->count];
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&l->addr[l->count];
		bool is_v6 = strchr(word, ':') != NULL;

		*ai = (struct addrinfo){ .ai_family = is_v6 ? AF_INET6 : AF_INET,
					 .ai_socktype = type,
					 .ai_addr = (struct sockaddr *)in,
					 .ai_addrlen = is_v6 ? sizeof(*in6) : sizeof(*in) };
		in->sin_family = (sa_family_t)ai->ai_family;
		in->sin_port = htons(port);
		assert_int_equal(inet_pton(ai->ai_family, word, is_v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr), 1);
		if (l->count++)
			ai[-1].ai_next = ai;
	}
}

/* The addresses of a type in their order. */
static char *show(const struct list *l, int type)
{
	char *all = format("%s", ""), text[INET6_ADDRSTRLEN];

	for (const struct addrinfo *ai = l->entry; ai; ai = ai->ai_next) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ai->ai_addr;
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ai->ai_addr;

		assert_int_equal(in->sin_family, ai->ai_family);
		if (ai->ai_socktype != type)
			continue;
		inet_ntop(ai->ai_family, ai->ai_family == AF_INET ? (const void *)&in->sin_addr : &in6->sin6_addr, text,
			  sizeof(text));
		all = format("%s%s%s", all, *all ? " " : "", text);
	}
	return all;
}

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static void each_type_of_socket_is_in_the_same_order(void **state)
{
	bool was_first[4] = { false };

	(void)state;
	publish_db("10.0.0.1:5432 10.0.0.2:5432 10.0.0.3:5432", NULL);
	for (int i = 0; i < 3; i++) {
		struct list l = { .count = 0 };

		add_entries(&l, "10.0.0.1 10.0.0.2 10.0.0.3", SOCK_STREAM, 5432);
		add_entries(&l, "10.0.0.1 10.0.0.2 10.0.0.3", SOCK_DGRAM, 5432);
		names_order_list(&of_db, l.entry);
		assert_string_equal(show(&l, SOCK_STREAM), show(&l, SOCK_DGRAM));
		for (int k = 1; k <= 3; k++)
			was_first[k] |= begins_with(show(&l, SOCK_STREAM), format("10.0.0.%d ", k));
	}
	assert_true(was_first[1] && was_first[2] && was_first[3]);
}

static void mapped_addresses_stay_among_themselves(void **state)
{
	(void)state;
	publish_db("10.0.0.1:5432! 10.0.0.2:5432 [fd00::1]:5432! [fd00::2]:5432", NULL);
	for (int i = 0; i < 4; i++) {
		struct list l = { .count = 0 };

		add_entries(&l, "fd00::1 fd00::2 ::ffff:10.0.0.1 ::ffff:10.0.0.2", SOCK_STREAM, 0);
		names_order_list(&of_db, l.entry);
		assert_string_equal(show(&l, SOCK_STREAM), "fd00::2 fd00::1 ::ffff:10.0.0.2 ::ffff:10.0.0.1");
	}
}

static void addresses_that_are_not_usable_keep_their_order_behind(void **state)
{
	(void)state;
	publish_db("10.0.0.3:5432! 10.0.0.5:5432", NULL);
	for (int i = 0; i < 3; i++) {
		struct list l = { .count = 0 };

		add_entries(&l, "10.0.0.9 10.0.0.3 10.0.0.5 10.0.0.1 10.0.0.9 10.0.0.5", SOCK_STREAM, 5432);
		names_order_list(&of_db, l.entry);
		assert_string_equal(show(&l, SOCK_STREAM), "10.0.0.5 10.0.0.9 10.0.0.3 10.0.0.1 10.0.0.9 10.0.0.5");
	}
}

static void the_port_that_was_asked_for_has_its_own_endpoints(void **state)
{
	static const uint16_t ports[] = { 5432, 9999, 0, 80 };
	static const char *const first[] = { "10.0.0.2", "10.0.0.3", "10.0.0.2", "10.0.0.2" };

	(void)state;
	publish_db("10.0.0.2:5432", "10.0.0.3:9999");
	for (size_t i = 0; i < 4; i++) {
		struct list l = { .count = 0 };

		add_entries(&l, "10.0.0.1 10.0.0.2 10.0.0.3", SOCK_STREAM, ports[i]);
		names_order_list(&of_db, l.entry);
		assert_true(begins_with(show(&l, SOCK_STREAM), first[i]));
		assert_int_equal(((struct sockaddr_in *)l.entry[0].ai_addr)->sin_port, htons(ports[i]));
	}
}

static void a_list_without_streams_is_left_alone(void **state)
{
	struct list l = { .count = 0 };

	(void)state;
	publish_db("10.0.0.2:5432", NULL);
	add_entries(&l, "10.0.0.1 10.0.0.2", SOCK_DGRAM, 53);
	names_order_list(&of_db, l.entry);
	assert_string_equal(show(&l, SOCK_DGRAM), "10.0.0.1 10.0.0.2");
}

static void a_name_that_is_gone_meanwhile_is_left_alone(void **state)
{
	const struct answer of_gone = { .canonical = "gone.shop.svc.cluster.local" };
	struct list l = { .count = 0 };

	(void)state;
	publish_db("10.0.0.2:5432", NULL);
	add_entries(&l, "10.0.0.1 10.0.0.2", SOCK_STREAM, 5432);
	names_order_list(&of_gone, l.entry);
	assert_string_equal(show(&l, SOCK_STREAM), "10.0.0.1 10.0.0.2");
}

static void the_list_of_gethostbyname_is_permuted_in_place(void **state)
{
	(void)state;
	publish_db("10.0.0.1:5432! 10.0.0.3:5432", NULL);
	for (int i = 0; i < 3; i++) {
		uint8_t bytes[3][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 }, { 10, 0, 0, 3 } };
		char *list[] = { (char *)bytes[0], (char *)bytes[1], (char *)bytes[2], NULL };
		struct hostent host = { .h_addrtype = AF_INET, .h_length = 4, .h_addr_list = list };

		names_order_host(&of_db, &host);
		assert_int_equal(bytes[0][3], 3);
		assert_int_equal(bytes[1][3], 1);
		assert_int_equal(bytes[2][3], 2);
		assert_ptr_equal(list[0], bytes[0]);
	}
}

static void the_list_of_gethostbyname2_is_permuted_by_whole_addresses(void **state)
{
	(void)state;
	publish_db("[fd00::1]:5432! [fd00::3]:5432", NULL);
	for (int i = 0; i < 3; i++) {
		uint8_t bytes[3][16] = { { 0xfd, [15] = 1 }, { 0xfd, [15] = 2 }, { 0xfd, [15] = 3 } };
		char *list[] = { (char *)bytes[0], (char *)bytes[1], (char *)bytes[2], NULL };
		struct hostent host = { .h_addrtype = AF_INET6, .h_length = 16, .h_addr_list = list };

		names_order_host(&of_db, &host);
		assert_int_equal(bytes[0][15], 3);
		assert_int_equal(bytes[1][15], 1);
		assert_int_equal(bytes[2][15], 2);
		assert_int_equal(bytes[1][0], 0xfd);
	}
}

static void host_without_addresses_has_none_behind(void **state)
{
	char *none[] = { NULL };
	struct hostent host = { .h_addrtype = AF_INET, .h_length = 4, .h_addr_list = none };

	(void)state;
	publish_db("10.0.0.1:5432", NULL);
	names_order_host(&of_db, &host);
	assert_null(none[0]);
	host.h_addr_list = NULL;
	names_order_host(&of_db, &host);
	assert_null(host.h_addr_list);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

/* The process looks for its table when it starts, before main, and then once a second: the table is there before that. */
__attribute__((constructor(101))) static void publish_first(void)
{
	static char scratch[] = "/tmp/fairdial-order-XXXXXX";

	dir = mkdtemp(scratch);
	publish_db("10.0.0.1:5432", NULL);
	setenv("FAIRDIAL_DIR", dir, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_type_of_socket_is_in_the_same_order),
		TEST(mapped_addresses_stay_among_themselves),
		TEST(addresses_that_are_not_usable_keep_their_order_behind),
		TEST(the_port_that_was_asked_for_has_its_own_endpoints),
		TEST(a_list_without_streams_is_left_alone),
		TEST(a_name_that_is_gone_meanwhile_is_left_alone),
		TEST(the_list_of_gethostbyname_is_permuted_in_place),
		TEST(the_list_of_gethostbyname2_is_permuted_by_whole_addresses),
		TEST(host_without_addresses_has_none_behind),
	};
	int failed = RUN_TESTS(tests);

	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return failed;
}
