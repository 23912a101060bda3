/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mistakes WAY ADDRESS PORT [DEAD_PORT]: a dial of ADDRESS:PORT of which an error comes back that says nothing of who was
 * dialed, or seems to. Prints the name of the errno ("0": none). 127.0.0.1:DEAD_PORT refuses.
 *
 *	stale		by a socket whose non-blocking dial of the dead port failed, and which nobody asked for its error
 *	stale-blocking	the same, made blocking before it dials again
 *	stale-read	the same, its error read
 *	stale-fastopen	the same, by MSG_FASTOPEN
 *	connected	a second time
 *	already		a second time while the first one goes on
 *	interrupted	a signal comes
 *	impatient	SO_SNDTIMEO of 100 ms
 *	short		with a length that is none
 *	elsewhere	by a socket that is bound to an address that does not lead there
 *	bound		by a socket that is bound to a port
 *	reset		non-blocking; waits for its end
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "errors.h"

static struct sockaddr_in to = { .sin_family = AF_INET }, dead = { .sin_family = AF_INET };

static int dial(int fd)
{
	return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static void wait_for_end(int fd)
{
	poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 10000);
}

static int error_of(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static int failed_before(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&dead, sizeof(dead));
	wait_for_end(fd);
	return fd;
}

static int stale(const char *way)
{
	int fd = failed_before();

	if (!strcmp(way, "stale-read"))
		error_of(fd);
	if (strcmp(way, "stale"))
		fcntl(fd, F_SETFL, 0);
	if (!strcmp(way, "stale-fastopen"))
		return (int)sendto(fd, "who\n", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
	return dial(fd);
}

static int twice(int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	dial(fd);
	return dial(fd);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static int interrupted(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	return dial(socket(AF_INET, SOCK_STREAM, 0));
}

static int impatient(void)
{
	struct timeval limit = { 0, 100000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return dial(fd);
}

static int bound(const char *address)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &own.sin_addr);
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		exit(2);
	return dial(fd);
}

static int reset(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error;

	if (dial(fd) && errno != EINPROGRESS)
		return -1;
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000);
	error = error_of(fd);
	close(fd);
	errno = error;
	return error ? -1 : 0;
}

static int go(const char *way)
{
	if (!strncmp(way, "stale", 5))
		return stale(way);
	if (!strcmp(way, "connected"))
		return twice(0);
	if (!strcmp(way, "already"))
		return twice(SOCK_NONBLOCK);
	if (!strcmp(way, "interrupted"))
		return interrupted();
	if (!strcmp(way, "impatient"))
		return impatient();
	if (!strcmp(way, "short"))
		return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, 8);
	if (!strcmp(way, "elsewhere"))
		return bound("127.0.0.1");
	if (!strcmp(way, "bound"))
		return bound("0.0.0.0");
	if (!strcmp(way, "reset"))
		return reset();
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc < 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	dead.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	dead.sin_port = htons((uint16_t)(argc > 4 ? atoi(argv[4]) : 1));
	alarm(60);
	printf("%s\n", go(argv[1]) < 0 ? error_name(errno) : "0");
	return 0;
}
