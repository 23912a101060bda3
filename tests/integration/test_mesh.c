/* SPDX-License-Identifier: Apache-2.0 */
/* A mesh's proxy is known by where it listens, in a network namespace where nobody else does. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inspect/mesh.h"
#include "support/cleanup.h"
#include "support/tun.h"

static int listen_on(int family, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	r = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof(in)) : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	assert_int_equal(r, 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void no_mesh_is_found_where_none_listens(void **state)
{
	int other;

	(void)state;
	tun_open();
	assert_int_equal(mesh_find(), 0);
	other = listen_on(AF_INET, 15002);
	assert_int_equal(mesh_find(), 0);
	close(other);
}

static void lowest_port_of_a_mesh_is_found(void **state)
{
	int inbound, outbound, linkerd;

	(void)state;
	tun_open();
	inbound = listen_on(AF_INET, 15006);
	assert_int_equal(mesh_find(), 15006);
	outbound = listen_on(AF_INET, 15001);
	assert_int_equal(mesh_find(), 15001);
	linkerd = listen_on(AF_INET, 4143);
	assert_int_equal(mesh_find(), 4143);
	close(linkerd);
	close(outbound);
	assert_int_equal(mesh_find(), 15006);
	close(inbound);
	assert_int_equal(mesh_find(), 0);
}

static void mesh_that_listens_on_ipv6_is_found(void **state)
{
	int fd;

	(void)state;
	tun_open();
	fd = listen_on(AF_INET6, 15008);
	assert_int_equal(mesh_find(), 15008);
	close(fd);
}

static void mesh_is_found_among_many_listeners(void **state)
{
	int fd[300];

	(void)state;
	tun_open();
	for (uint16_t i = 0; i < 300; i++)
		fd[i] = listen_on(AF_INET, i == 150 ? 4140 : 20000 + i);
	assert_int_equal(mesh_find(), 4140);
	for (size_t i = 0; i < 300; i++)
		close(fd[i]);
}

static void meshes_have_names(void **state)
{
	(void)state;
	assert_string_equal(mesh_name(15001), "Istio");
	assert_string_equal(mesh_name(15006), "Istio");
	assert_string_equal(mesh_name(15008), "Istio");
	assert_string_equal(mesh_name(4140), "Linkerd");
	assert_string_equal(mesh_name(4143), "Linkerd");
	assert_null(mesh_name(80));
	assert_null(mesh_name(0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(no_mesh_is_found_where_none_listens),
		TEST(lowest_port_of_a_mesh_is_found),
		TEST(mesh_that_listens_on_ipv6_is_found),
		TEST(mesh_is_found_among_many_listeners),
		TEST(meshes_have_names),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
