/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs have in common that live in some way and dial meanwhile: LIFE ADDRESS PORT REPORT. What they have to tell goes
 * to the end of the file REPORT, or to stdout where that is "-"; the text is the same under the shim as without it.
 */
#ifndef HELPERS_LIFE_H
#define HELPERS_LIFE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	const char *address, *port, *file;
	struct sockaddr_in to;
} life;

struct life {
	const char *name;
	void (*live)(void);
};

static inline void report(const char *format, ...)
{
	char text[4096];
	va_list args;
	int fd = strcmp(life.file, "-") ? open(life.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : 1, n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		_exit(9);
	if (fd != 1 || strcmp(life.file, "-"))
		close(fd);
}

/* Poll is interrupted by every signal, whatever SA_RESTART says. */
static inline bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, 20000);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

/* Connects and asks, with calls that a signal handler may make. Whether the server answered. */
static inline bool ask(int fd, bool nonblocking)
{
	char line[64];
	int error = 0;
	socklen_t length = sizeof(error);

	if (connect(fd, (const struct sockaddr *)&life.to, sizeof(life.to)) < 0 && (!nonblocking || errno != EINPROGRESS))
		return false;
	if (nonblocking && (!is_ready(fd, POLLOUT) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) || error))
		return false;
	return send(fd, "who\n", 4, MSG_NOSIGNAL) == 4 && is_ready(fd, POLLIN) && recv(fd, line, sizeof(line), 0) > 0;
}

static inline int stream(bool nonblocking)
{
	return socket(AF_INET, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);
}

static inline bool dial(bool nonblocking)
{
	int fd = stream(nonblocking), saved = errno;
	bool answered = fd >= 0 && ask(fd, nonblocking);

	if (fd >= 0)
		close(fd);
	errno = saved;
	return answered;
}

static inline int live(const struct life *lives, int argc, char **argv)
{
	if (argc != 5)
		return 2;
	life.address = argv[2];
	life.port = argv[3];
	life.file = argv[4];
	life.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(life.port)) };
	inet_pton(AF_INET, life.address, &life.to.sin_addr);
	for (; lives->name; lives++) {
		if (strcmp(lives->name, argv[1]))
			continue;
		lives->live();
		return 0;
	}
	return 2;
}

#endif
