/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancelled HOST PORT: a thread dials, and is cancelled when stdin ends. Prints "cancelled" where it ended by that, else what
 * connect returned; and then what the socket has of the timeouts that were set before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LIMIT_S = 120, HANDSHAKE_MS = 110000, SEND_S = 115 };

static struct sockaddr_in to = { .sin_family = AF_INET };
static int fd;

static void open_socket(void)
{
	struct timeval send = { SEND_S, 0 };
	unsigned handshake_ms = HANDSHAKE_MS;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &handshake_ms, sizeof(handshake_ms));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send));
}

static void show_socket(void)
{
	struct timeval send = { 0, 0 };
	unsigned handshake_ms = 0;
	socklen_t size = sizeof(handshake_ms);

	getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &handshake_ms, &size);
	size = sizeof(send);
	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, &size);
	printf("handshake %u ms, send %ld s\n", handshake_ms, (long)send.tv_sec);
}

static void *dial(void *unused)
{
	(void)unused;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? strerror(errno) : "connected";
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *result;
	char byte;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[2]));
	alarm(LIMIT_S);
	open_socket();
	if (pthread_create(&thread, NULL, dial, NULL))
		return 2;
	while (read(0, &byte, 1) > 0)
		;
	if (pthread_cancel(thread) || pthread_join(thread, &result))
		return 2;
	puts(result == PTHREAD_CANCELED ? "cancelled" : (const char *)result);
	show_socket();
	return 0;
}
