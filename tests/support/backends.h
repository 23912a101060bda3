/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers to dial. Each says who it is: it answers an HTTP/1.1 request with the body "backend-3\n" (keep-alive unless
 * the client says close), and any other line with the line "backend-3\n", as often as asked. Requests for "/together/12"
 * are answered when there are twelve of them, at whichever server: so many connections are in use at once. One child
 * process serves them all; what it counts is in shared memory, and may be read at any time.
 */
#ifndef FAIRDIAL_TESTS_BACKENDS_H
#define FAIRDIAL_TESTS_BACKENDS_H

#include <stddef.h>

enum { BACKENDS_MAX = 16 };

enum backends_layout {
	ONE_ADDRESS, /* 127.0.0.1, each with a port of its own */
	ONE_PORT,    /* each with an address of its own in 127.0.0.0/8 */
	ONE_ADDRESS_V6, /* ::1, each with a port of its own; skips the test where loopback has none */
};

struct backends;

/* Ports are outside the range from which clients get theirs, so a stopped one refuses. Stopped when the test ends. */
struct backends *backends_start(size_t count, enum backends_layout layout);

/* Where something listens. */
struct place {
	char address[48];
	int port;
};

size_t backends_count(const struct backends *b);
const struct place *backends_places(const struct backends *b);
const char *backends_address(const struct backends *b, size_t i);
int backends_port(const struct backends *b, size_t i);

unsigned backends_accepted(const struct backends *b, size_t i);
unsigned backends_open(const struct backends *b, size_t i);
unsigned backends_requests(const struct backends *b, size_t i);

/* Closes the port and every connection of one; starts it again there. Both return when it is done. */
void backends_stop(struct backends *b, size_t i);
void backends_restart(struct backends *b, size_t i);

/* Waits until what is open at all of them is `total` (bounded: the test fails). */
void backends_wait_open(const struct backends *b, unsigned total, int limit_ms);

/* Counts the lines "backend-1" … of a text into `counts`; returns how many lines are something else. */
size_t tally(const char *text, unsigned *counts, size_t count);

/* Fails, and shows the counts, unless their sum is `total` and the largest exceeds the least by `slack` at most. */
void assert_even(const unsigned *counts, size_t count, unsigned total, unsigned slack);

/* assert_even of the answers in `text`, which may hold nothing else. */
void assert_even_answers(const char *text, size_t count, unsigned total, unsigned slack);

/* `count` places in 127.0.0.0/8, each with an address of its own and all of one port, where nobody listens. */
void unused_places(struct place *places, size_t count);

/* A port of 127.0.0.0/8 that nobody listens on and that no client is given. */
int unused_port(void);

#endif
