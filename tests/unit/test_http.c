/* SPDX-License-Identifier: Apache-2.0 */
/* The small HTTP server: who holds all of its connections, and says nothing, does not keep others out. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "metrics/http.h"
#include "support/cleanup.h"

enum { ROUNDS = 500 };

static unsigned none(void *of, const char *path, const char *accept, struct http_page **ret_page)
{
	(void)of;
	(void)path;
	(void)accept;
	*ret_page = NULL;
	return 404;
}

static struct http *open_anywhere(void)
{
	const struct http_pages pages = { NULL, none };
	struct report why = { "" };
	struct addr listen;
	struct http *h = NULL;

	assert_true(addr_parse_ip("127.0.0.1", 9, &listen) >= 0);
	addr_set_port(&listen, 0);
	if (http_open(&listen, &pages, &h, &why) < 0)
		fail_msg("%s", why.text);
	return h;
}

/* From an address of loopback: each has a part of the connections. */
static int visit(const struct http *h, const char *from)
{
	struct sockaddr_in own = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
	to.sin_port = htons(addr_port(http_address(h)));
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Rounds of a loop whose clock is ahead by so much, until there is something to read; false: there was nothing. */
static bool is_served(struct http *h, int fd, uint64_t ahead_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < ROUNDS; i++) {
		http_run(h, clock_boot_ms() + ahead_ms);
		if (poll(&p, 1, 5) > 0)
			return true;
	}
	return false;
}

static void those_who_hold_all_connections_keep_nobody_out(void **state)
{
	static const char question[] = "GET / HTTP/1.0\r\n\r\n";
	int fds[HTTP_CONNECTIONS], late;
	char answer[64] = "";
	struct http *h;

	(void)state;
	if (!http_version())
		skip_because("built without libmicrohttpd");
	h = open_anywhere();
	for (int i = 0; i < HTTP_CONNECTIONS; i++)
		fds[i] = visit(h, i < HTTP_CONNECTIONS_OF_ADDRESS ? "127.0.0.2" : "127.0.0.3");
	for (int i = 0; i < ROUNDS && http_open_count(h) < HTTP_CONNECTIONS; i++) {
		http_run(h, 0);
		poll(NULL, 0, 5);
	}
	assert_int_equal(http_open_count(h), HTTP_CONNECTIONS);
	assert_true(http_due_ms(h, 60000) <= HTTP_CROWDED_MS);
	late = visit(h, "127.0.0.4");
	assert_int_equal(write(late, question, strlen(question)), strlen(question));
	assert_true(is_served(h, late, HTTP_CROWDED_MS));
	assert_true(read(late, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, " 404 "));
	for (int i = 0; i < HTTP_CONNECTIONS; i++)
		close(fds[i]);
	close(late);
	http_close(h);
}

static void one_who_is_alone_may_take_longer(void **state)
{
	static const char question[] = "GET / HT", rest[] = "TP/1.0\r\n\r\n";
	char answer[64] = "";
	struct http *h;
	int fd;

	(void)state;
	if (!http_version())
		skip_because("built without libmicrohttpd");
	h = open_anywhere();
	fd = visit(h, "127.0.0.2");
	assert_int_equal(write(fd, question, strlen(question)), strlen(question));
	for (int i = 0; i < ROUNDS && http_open_count(h) == 0; i++) {
		http_run(h, 0);
		poll(NULL, 0, 5);
	}
	http_run(h, clock_boot_ms() + HTTP_CROWDED_MS);
	assert_int_equal(write(fd, rest, strlen(rest)), strlen(rest));
	assert_true(is_served(h, fd, 0));
	assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, " 404 "));
	close(fd);
	http_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(those_who_hold_all_connections_keep_nobody_out),
		TEST(one_who_is_alone_may_take_longer),
	};

	return RUN_TESTS(tests);
}
