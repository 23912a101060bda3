/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outage blocking|nonblocking FILE SLOT HOST PORT: dials a server again and again, until FILE says that it is over, and
 * prints a line for each failure, "failed BEGUN_MS PHASE PHASE ERRNO": CLOCK_BOOTTIME when the dial began, the phases in
 * which it began and ended, and why; and at the end "dials N". FILE begins with the phase, a 32-bit number of which 255 is
 * the end; 64-bit counters of dials that are over follow from byte 8 on, SLOT being ours. outage.py is the same by asyncio.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"

enum { OVER = 255, PATIENCE_MS = 2500, PAUSE_US = 2000, LIMIT_S = 240 };

struct board {
	uint32_t phase, unused;
	uint64_t over[];
};

static unsigned long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static int wait_for_answer(int fd)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	int error = 0;
	socklen_t length = sizeof(error);

	if (poll(&p, 1, PATIENCE_MS) <= 0)
		return ETIME;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

/* 0, or an errno. It is closed by a reset, so that no port has to wait. */
static int dial(const struct addrinfo *to, int blocking)
{
	const struct linger reset = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
	int error = connect(fd, to->ai_addr, to->ai_addrlen) ? errno : 0;

	if (!blocking && error == EINPROGRESS)
		error = wait_for_answer(fd);
	if (!error)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	return error;
}

static uint32_t phase_of(const struct board *board)
{
	return __atomic_load_n(&board->phase, __ATOMIC_ACQUIRE);
}

static void dial_on(struct board *board, uint64_t *over, const struct addrinfo *to, int blocking)
{
	uint32_t phase;

	while ((phase = phase_of(board)) != OVER) {
		unsigned long begun_ms = now_ms();
		int error = dial(to, blocking);

		if (error)
			printf("failed %lu %u %u %s\n", begun_ms, phase, phase_of(board), error_name(error));
		__atomic_fetch_add(over, 1, __ATOMIC_RELEASE);
		usleep(PAUSE_US);
	}
	printf("dials %lu\n", (unsigned long)*over);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *to;
	struct board *board;
	int fd;

	if (argc != 6 || getaddrinfo(argv[4], argv[5], &hints, &to))
		return 2;
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || board == MAP_FAILED)
		return 2;
	alarm(LIMIT_S);
	dial_on(board, &board->over[atoi(argv[3])], to, !strcmp(argv[1], "blocking"));
	return 0;
}
