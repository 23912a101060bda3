/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience HOLE LATE PORT: dials that take a while, and what happens to them meanwhile; a line for each. HOLE never
 * answers, LATE does so after some hundred milliseconds. The lines are the same under the shim as without it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct sockaddr_in hole, late;

static int stream(int flags)
{
	return socket(AF_INET, SOCK_STREAM | flags, 0);
}

static void try_connect(const char *what, int fd, const struct sockaddr_in *to)
{
	int result;

	errno = 77;
	result = connect(fd, (const struct sockaddr *)to, sizeof(*to));
	printf("%s: %d %s\n", what, result, result < 0 ? strerror(errno) : errno == 77 ? "" : "(errno changed)");
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void alarm_in(long ms, int flags)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void send_timeout(void)
{
	int fd = stream(0);
	struct timeval limit = { 0, 200000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	try_connect("SO_SNDTIMEO", fd, &hole);
	try_connect("and again", fd, &hole);
	close(fd);
}

static void interrupted(void)
{
	int fd = stream(0);

	alarm_in(200, 0);
	try_connect("interrupted", fd, &hole);
	alarm_in(200, 0);
	try_connect("and again", fd, &hole);
	close(fd);
	fd = stream(0);
	alarm_in(100, SA_RESTART);
	try_connect("interrupted, to go on", fd, &late);
	close(fd);
	fd = stream(0);
	alarm_in(100, 0);
	try_connect("interrupted, while it would have succeeded", fd, &late);
	poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 10000);
	poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 10000);
	try_connect("and it has", fd, &late);
	close(fd);
}

static void *dial_hole(void *unused)
{
	int fd = stream(0);

	(void)unused;
	connect(fd, (const struct sockaddr *)&hole, sizeof(hole));
	return NULL;
}

static void cancelled(void)
{
	pthread_t thread;
	void *end = NULL;

	pthread_create(&thread, NULL, dial_hole, NULL);
	usleep(100000); /* into connect; a thread that is not there yet is cancelled on its way */
	pthread_cancel(thread);
	pthread_join(thread, &end);
	printf("cancelled: %d\n", end == PTHREAD_CANCELED);
}

static void under_way(void)
{
	int fd = stream(SOCK_NONBLOCK), error = -1;
	socklen_t length = sizeof(error);

	try_connect("non-blocking", fd, &late);
	try_connect("non-blocking, too early", fd, &late);
	poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 10000);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	printf("pending: %d\n", error);
	try_connect("non-blocking, in time", fd, &late);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	hole.sin_family = late.sin_family = AF_INET;
	hole.sin_port = late.sin_port = htons((uint16_t)atoi(argv[3]));
	inet_pton(AF_INET, argv[1], &hole.sin_addr);
	inet_pton(AF_INET, argv[2], &late.sin_addr);
	send_timeout();
	interrupted();
	cancelled();
	under_way();
	return 0;
}
