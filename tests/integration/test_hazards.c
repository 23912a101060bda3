/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in which objects that stand between a program and its connect(2) have hurt programs, where no other test has the case:
 * tests/HAZARDS.md is the list.
 */
#include "support/testing.h"

#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { DIALS = 30 };

/* `web` over four backends of which the first `dead` have stopped. */
static struct services *web_with_dead(struct backends **ret_b, size_t dead)
{
	struct backends *b = *ret_b = backends_start(4, ONE_PORT);

	for (size_t i = 0; i < dead; i++)
		backends_stop(b, i);
	return services_of_web(b, "\"balance\": \"round_robin\", \"eject_after\": 1000");
}

static const char *dial_again(const struct services *s, const char *way)
{
	struct process *p = run(s->env, built("helpers/again"), way, SERVICE_ADDRESS, "80", format("%d", DIALS), NULL);

	assert_clean(p);
	return p->out_text;
}

static size_t count_lines(const char *text, const char *line)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, line)); at += strlen(line))
		n++;
	return n;
}

/* Dead endpoints are met and left before connect(2) returns, so that one thread sees the last one's state alone. */
static void assert_one_end_is_seen(const char *way)
{
	struct backends *b;
	struct services *s = web_with_dead(&b, 2);
	const char *text = dial_again(s, way);

	if (count_lines(text, "saw OUT, error 0, the same socket\n") != DIALS)
		fail_msg("not every dial saw OUT alone:\n%s", text);
	assert_int_equal(count_lines(text, "backend-3\n") + count_lines(text, "backend-4\n"), DIALS);
	assert_true(services_backend(s, "web", b, 0).failures > 0);
}

static void epoll_that_watched_before_the_dial_sees_one_end_of_it(void **state)
{
	(void)state;
	assert_one_end_is_seen("level");
}

static void edge_triggered_epoll_sees_one_end_of_it_too(void **state)
{
	(void)state;
	assert_one_end_is_seen("edge");
}

static void dial_that_is_made_again_until_it_is_connected_blames_nobody(void **state)
{
	struct backends *b;
	struct services *s = web_with_dead(&b, 0);
	const char *text = dial_again(s, "idiom");

	(void)state;
	assert_int_equal(count_lines(text, "ends with EISCONN\n"), DIALS);
	for (size_t i = 0; i < 4; i++) {
		struct endpoint_status e = services_backend(s, "web", b, i);

		assert_int_equal(e.failures, 0);
		assert_false(e.ejected);
		assert_in_range(e.dials, DIALS / 4, DIALS / 4 + 1);
	}
}

static void dial_by_system_call_reaches_the_services_own_address(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_open();
	struct process *p;

	(void)state;
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1, 2, NULL));
	p = run(s->env, built("helpers/again"), "syscall", backends_address(b, 0), format("%d", backends_port(b, 0)), NULL);
	assert_clean(p);
	assert_string_equal(p->out_text, "connected\nbackend-1\n");
	assert_int_equal(services_backend(s, "web", b, 1).dials + services_backend(s, "web", b, 2).dials, 0);
}

/* Milliseconds that a poll(2) or ppoll(2) in a line of strace may wait; -1: none. */
static long wait_of(const char *line)
{
	const char *list = strstr(line, "poll([{fd="), *seconds = strstr(line, "tv_sec="), *rest = list ? strstr(list, "], ") : NULL;
	long ms = -1;

	if (list && seconds)
		return strtol(seconds + 7, NULL, 10) * 1000 + strtol(strstr(seconds, "tv_nsec=") + 8, NULL, 10) / 1000000;
	if (rest && sscanf(rest, "], %*d, %ld", &ms) != 1)
		fail_msg("what does this line say? %s", line);
	return ms;
}

/* strace sees what the shim does within a connect; a call between two marks of the dialer is the program's. */
static void nonblocking_dial_is_not_made_to_wait(void **state)
{
	struct backends *b;
	struct services *s = web_with_dead(&b, 3);
	char *log = format("%s/trace", s->root), *text, *line;
	bool within = false;
	long waits = 0;
	struct process *p;

	(void)state;
	p = run(s->env, "strace", "-o", log, "-e", "trace=poll,ppoll,fcntl,ioctl,write", built("helpers/dialer"), "--nonblocking",
		"--marks", "--count", "8", SERVICE_ADDRESS, "80", NULL);
	if (p->exit_status == -1 || access(log, R_OK))
		skip_because("no strace, or it may not trace here");
	text = read_file(log, NULL);
	while ((line = strsep(&text, "\n"))) {
		if (strncmp(line, "write(-1", 8) == 0)
			within = !within;
		if (!within)
			continue;
		assert_true(wait_of(line) <= 3);
		waits += wait_of(line) >= 0;
		if (strstr(line, "F_SETFL") || strstr(line, "FIONBIO"))
			fail_msg("the socket's flags were changed: %s", line);
	}
	assert_true(waits >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(epoll_that_watched_before_the_dial_sees_one_end_of_it),
		TEST(edge_triggered_epoll_sees_one_end_of_it_too),
		TEST(dial_that_is_made_again_until_it_is_connected_blames_nobody),
		TEST(dial_by_system_call_reaches_the_services_own_address),
		TEST(nonblocking_dial_is_not_made_to_wait),
	};

	return RUN_TESTS(tests);
}
