/* SPDX-License-Identifier: Apache-2.0 */
/*
 * again WAY ADDRESS PORT [COUNT]: dials in ways that need care of whoever stands between program and kernel, and prints a line
 * of what it saw for each dial, then the server's answer.
 *
 *	level, edge	a descriptor that epoll watched before it dialed
 *	idiom		a non-blocking dial, and the same call again until it says EISCONN (as hiredis does)
 *	syscall		connect(2) by syscall(2)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in to = { .sin_family = AF_INET };

static uint64_t cookie(int fd)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &len);
	return value;
}

static void print_answer(int fd)
{
	char answer[64];
	ssize_t n;

	if (send(fd, "who\n", 4, MSG_NOSIGNAL) != 4)
		return;
	while ((n = read(fd, answer, sizeof(answer))) < 0 && errno == EAGAIN)
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
	if (n > 0)
		fwrite(answer, 1, (size_t)n, stdout);
}

static const char *event_text(unsigned events)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s", events & EPOLLOUT ? " OUT" : "", events & EPOLLIN ? " IN" : "",
		 events & EPOLLERR ? " ERR" : "", events & EPOLLHUP ? " HUP" : "");
	return text;
}

static void dial_watched(int fd, unsigned edge)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLIN | edge };
	int ep = epoll_create1(EPOLL_CLOEXEC), error = -1;
	uint64_t before = cookie(fd);
	socklen_t len = sizeof(error);

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	if (epoll_wait(ep, &event, 1, -1) == 1)
		printf("saw%s", event_text(event.events));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	printf(", error %d, %s socket\n", error, cookie(fd) == before ? "the same" : "another");
	close(ep);
}

static void dial_until_connected(int fd)
{
	int error = 0;

	for (int i = 0; i < 100 && error != EISCONN; i++) {
		error = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
		if (error && error != EINPROGRESS && error != EALREADY && error != EISCONN)
			break;
		poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
	}
	printf("ends with %s\n", error == EISCONN ? "EISCONN" : strerror(error));
}

static void dial_by_number(int fd)
{
	long r = syscall(SYS_connect, fd, &to, sizeof(to));

	printf("%s\n", r == 0 ? "connected" : strerror(errno));
}

int main(int argc, char **argv)
{
	const char *way = argc > 3 ? argv[1] : "";
	int count = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (strcmp(way, "syscall") ? SOCK_NONBLOCK : 0), 0);

		if (strcmp(way, "idiom") == 0)
			dial_until_connected(fd);
		else if (strcmp(way, "syscall") == 0)
			dial_by_number(fd);
		else
			dial_watched(fd, strcmp(way, "edge") ? 0 : EPOLLET);
		print_answer(fd);
		close(fd);
	}
	return 0;
}
