/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker udp ADDR PORT | tcp ADDR PORT... | tcp-nonblock ADDR PORT... | memory ADDR PORT: a turn for each byte that it
 * reads, and what it measured as a double. worker once N tcp|tcp-nonblock ADDR PORT...: N dials, for strace to watch. A
 * plain program: the same with the shim and without.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UDP_CALLS = 4000, TCP_DIALS = 101 };

static struct sockaddr_in to[8];
static int to_count;
static bool blocking = true;

static double now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Processor time: what others do to this processor meanwhile does not count. */
static double udp_turn(void)
{
	static int fd = -1;
	double begin;

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM, 0);
	begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < UDP_CALLS; i++)
		if (connect(fd, (struct sockaddr *)&to[0], sizeof(to[0])) < 0)
			fail("connect");
	return (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / UDP_CALLS;
}

/* How long one connect(2) takes. Ended by a reset, so that no port stays behind in TIME_WAIT. */
static double dial(int number)
{
	const struct linger reset = { 1, 0 };
	const struct sockaddr_in *sa = &to[number % to_count];
	int fd = socket(AF_INET, SOCK_STREAM | (blocking ? 0 : SOCK_NONBLOCK), 0);
	double begin, took;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		fail("socket");
	begin = now_ns(CLOCK_MONOTONIC);
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 && errno != EINPROGRESS)
		fail("connect");
	took = now_ns(CLOCK_MONOTONIC) - begin;
	close(fd);
	return took;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double tcp_turn(void)
{
	double took[TCP_DIALS];

	for (int i = 0; i < TCP_DIALS; i++)
		took[i] = dial(i);
	qsort(took, TCP_DIALS, sizeof(took[0]), compare);
	return took[TCP_DIALS / 2];
}

static double number_after(const char *line, const char *key)
{
	size_t len = strlen(key);

	return strncmp(line, key, len) == 0 ? strtod(line + len, NULL) : 0;
}

/*
 * KiB that this process alone holds. Mappings that are shared by nature (the table, the ledger) are left out: which of
 * their pages another process has mapped too is chance.
 */
static double private_memory(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	bool shared = false;
	double sum = 0;
	char line[512], mode[5];

	if (!file)
		fail("/proc/self/smaps");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*[0-9a-f]-%*[0-9a-f] %4s", mode) == 1)
			shared = mode[3] == 's';
		if (!shared)
			sum += number_after(line, "Private_Clean:") + number_after(line, "Private_Dirty:");
	}
	fclose(file);
	return sum;
}

static double anonymous_memory(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[512];
	double sum = 0;

	if (!file)
		fail("/proc/self/status");
	while (fgets(line, sizeof(line), file))
		sum += number_after(line, "RssAnon:");
	fclose(file);
	return sum;
}

/* The first turn: the dial. The second: private memory. The third: the anonymous part of it. */
static double memory_turn(void)
{
	static int turn;

	if (turn++ == 0)
		return dial(0);
	return turn == 2 ? private_memory() : anonymous_memory();
}

static void read_addresses(char **argv)
{
	for (int i = 1; argv[i] && to_count < 8; i++) {
		to[to_count].sin_family = AF_INET;
		to[to_count].sin_port = htons((uint16_t)atoi(argv[i]));
		if (inet_pton(AF_INET, argv[0], &to[to_count].sin_addr) != 1)
			fail(argv[0]);
		to_count++;
	}
}

int main(int argc, char **argv)
{
	double (*turn)(void) = tcp_turn;
	int dials = 0;
	char byte;

	if (argc >= 3 && strcmp(argv[1], "once") == 0) {
		dials = atoi(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 4)
		return 2;
	read_addresses(argv + 2);
	blocking = strcmp(argv[1], "tcp-nonblock") != 0;
	if (strcmp(argv[1], "udp") == 0)
		turn = udp_turn;
	if (strcmp(argv[1], "memory") == 0)
		turn = memory_turn;
	for (int i = 0; i < dials; i++)
		dial(i);
	while (dials == 0 && read(0, &byte, 1) == 1) {
		double value = turn();

		if (write(1, &value, sizeof(value)) != sizeof(value))
			return 1;
	}
	return 0;
}
