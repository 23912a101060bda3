/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancelled HOST PORT: a thread dials, and is cancelled when stdin ends. Prints "cancelled" where it ended by that, else what
 * connect returned.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_S = 120 };

static struct sockaddr_in to = { .sin_family = AF_INET };

static void *dial(void *unused)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

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
	if (pthread_create(&thread, NULL, dial, NULL))
		return 2;
	while (read(0, &byte, 1) > 0)
		;
	if (pthread_cancel(thread) || pthread_join(thread, &result))
		return 2;
	puts(result == PTHREAD_CANCELED ? "cancelled" : (const char *)result);
	return 0;
}
