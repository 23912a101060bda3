/* SPDX-License-Identifier: Apache-2.0 */
/* Events of sockets that ended, from bytes: those that a kernel sends, and those that none would. */
#include "support/testing.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "agent/endings.h"
#include "support/cleanup.h"
#include "support/table_builder.h"

/* As Linux 6.18 lays an event out: the socket, its protocol, its tcp_info. */
struct event {
	struct nlmsghdr header;
	struct inet_diag_msg socket;
	struct rtattr protocol;
	uint8_t tcp, pad[3];
	struct rtattr info;
	struct tcp_info tcp_info;
} __attribute__((packed));

_Static_assert(sizeof(struct event) == 88 + 8 + 4 + sizeof(struct tcp_info), "attributes lie on multiples of four");

static struct event event_of(const char *peer)
{
	struct addr addr = addr_of(peer);
	struct event e = {
		.header = { .nlmsg_len = sizeof(e), .nlmsg_type = SOCK_DIAG_BY_FAMILY },
		.socket = { .idiag_family = addr.is_v4 ? AF_INET : AF_INET6, .idiag_state = 7, .id.idiag_dport = addr.port_be },
		.protocol = { .rta_len = sizeof(struct rtattr) + 1, .rta_type = INET_DIAG_PROTOCOL },
		.tcp = IPPROTO_TCP,
		.info = { .rta_len = sizeof(struct rtattr) + sizeof(struct tcp_info), .rta_type = INET_DIAG_INFO },
	};

	memcpy(e.socket.id.idiag_dst, addr.is_v4 ? addr.ip + 12 : addr.ip, addr.is_v4 ? 4 : 16);
	return e;
}

/* From memory that ends where touching more is fatal. */
static size_t read_all(const void *bytes, size_t size, struct ending *endings, size_t max)
{
	struct guarded *g = guarded_new(size);
	size_t at = 0, n = 0;
	struct ending one;

	memcpy(g->bytes, bytes, size);
	while (endings_next(g->bytes, size, &at, &one)) {
		if (n < max)
			endings[n] = one;
		n++;
	}
	assert_int_equal(at, size);
	return n;
}

static enum ending_kind kind_of(const struct event *e)
{
	struct ending ending;

	assert_int_equal(read_all(e, sizeof(*e), &ending, 1), 1);
	return ending.kind;
}

static void counters_tell_what_became_of_a_dial(void **state)
{
	struct event e = event_of("10.0.0.1:80");

	(void)state;
	assert_int_equal(kind_of(&e), ENDING_UNTOLD);
	e.tcp_info.tcpi_segs_out = 1;
	assert_int_equal(kind_of(&e), ENDING_UNTOLD);
	e.tcp_info.tcpi_total_retrans = 1;
	assert_int_equal(kind_of(&e), ENDING_TIMED_OUT);
	e.tcp_info.tcpi_segs_in = 1; /* refused in the end */
	assert_int_equal(kind_of(&e), ENDING_REFUSED);
	e.tcp_info.tcpi_total_retrans = 0;
	assert_int_equal(kind_of(&e), ENDING_REFUSED);
	e.tcp_info.tcpi_bytes_acked = 1; /* reset later */
	assert_int_equal(kind_of(&e), ENDING_ANSWERED);
	e.tcp_info.tcpi_total_retrans = 3;
	assert_int_equal(kind_of(&e), ENDING_ANSWERED);
}

static void peers_are_told_in_one_form(void **state)
{
	static const char *const peers[] = { "10.0.0.1:80", "[fd00::1]:8080", "10.9.8.7:65535" };
	struct event mapped = event_of("10.0.0.2:3306");
	struct ending ending;
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct event e = event_of(peers[i]);

		assert_int_equal(read_all(&e, sizeof(e), &ending, 1), 1);
		addr = addr_of(peers[i]);
		assert_true(addr_equal(&ending.peer, &addr));
	}
	addr = addr_of("10.0.0.2:3306");
	mapped.socket.idiag_family = AF_INET6;
	memcpy(mapped.socket.id.idiag_dst, addr.ip, 16);
	assert_int_equal(read_all(&mapped, sizeof(mapped), &ending, 1), 1);
	assert_true(addr_equal(&ending.peer, &addr));
}

static void several_events_of_a_datagram_are_told_each(void **state)
{
	struct event e[3] = { event_of("10.0.0.1:80"), event_of("10.0.0.2:80"), event_of("10.0.0.3:80") };
	struct ending endings[3];

	(void)state;
	e[1].header.nlmsg_type = NLMSG_NOOP; /* not one */
	assert_int_equal(read_all(e, sizeof(e), endings, 3), 2);
	assert_int_equal(endings[1].peer.ip[15], 3);
	e[1].header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	e[1].socket.idiag_family = AF_UNIX;
	assert_int_equal(read_all(e, sizeof(e), endings, 3), 2);
}

static void truncated_events_tell_no_more_than_they_hold(void **state)
{
	struct event e = event_of("10.0.0.1:80");
	struct ending ending;

	(void)state;
	e.tcp_info.tcpi_segs_in = 1;
	for (size_t size = 0; size < sizeof(e); size++) {
		e.header.nlmsg_len = sizeof(e); /* longer than the datagram */
		assert_int_equal(read_all(&e, size, &ending, 1), 0);
		e.header.nlmsg_len = (uint32_t)size; /* as long: the socket may be whole, its tcp_info is not */
		if (read_all(&e, size, &ending, 1))
			assert_int_equal(ending.kind, ENDING_UNTOLD);
	}
}

static void shorter_tcp_info_of_an_older_kernel_is_read(void **state)
{
	struct event e = event_of("10.0.0.1:80");
	size_t enough = offsetof(struct tcp_info, tcpi_segs_in) + sizeof(e.tcp_info.tcpi_segs_in);

	(void)state;
	e.tcp_info.tcpi_segs_in = 1;
	e.info.rta_len = (uint16_t)(sizeof(e.info) + enough);
	assert_int_equal(kind_of(&e), ENDING_REFUSED);
	e.info.rta_len--;
	assert_int_equal(kind_of(&e), ENDING_UNTOLD);
}

static void hostile_lengths_end_the_reading(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 3, 15, 16, 17, 88, 0x7fffffff, 0x80000000, 0xfffffff0, UINT32_MAX };
	struct event e[2] = { event_of("10.0.0.1:80"), event_of("10.0.0.2:80") };
	struct ending endings[2];

	(void)state;
	e[0].tcp_info.tcpi_segs_in = 1;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct event changed[2] = { e[0], e[1] };

		changed[0].header.nlmsg_len = lengths[i];
		assert_true(read_all(changed, sizeof(changed), endings, 2) <= 1);
		changed[0] = e[0];
		changed[0].protocol.rta_len = (uint16_t)lengths[i];
		assert_int_equal(read_all(changed, sizeof(changed), endings, 2), 2);
		changed[0] = e[0];
		changed[0].info.rta_len = (uint16_t)lengths[i];
		assert_int_equal(read_all(changed, sizeof(changed), endings, 2), 2);
		assert_int_equal(endings[0].kind, ENDING_UNTOLD);
	}
}

static void random_bytes_are_survived(void **state)
{
	struct event e = event_of("10.0.0.1:80");
	struct guarded *g = guarded_new(sizeof(e));
	uint64_t random = 4711;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct event changed = e;
		struct ending ending;
		size_t at = 0;

		for (int k = 0; k < 3; k++)
			((uint8_t *)&changed)[next_random(&random) % 120] = (uint8_t)next_random(&random);
		memcpy(g->bytes, &changed, sizeof(changed));
		while (endings_next(g->bytes, sizeof(changed), &at, &ending))
			assert_in_range(ending.kind, ENDING_UNTOLD, ENDING_TIMED_OUT);
		assert_int_equal(at, sizeof(changed));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_tell_what_became_of_a_dial),
		TEST(peers_are_told_in_one_form),
		TEST(several_events_of_a_datagram_are_told_each),
		TEST(truncated_events_tell_no_more_than_they_hold),
		TEST(shorter_tcp_info_of_an_older_kernel_is_read),
		TEST(hostile_lengths_end_the_reading),
		TEST(random_bytes_are_survived),
	};

	return RUN_TESTS(tests);
}
