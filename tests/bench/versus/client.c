/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that dial: plain C, nothing of the project in them.
 *
 * client dial COUNT ADDRESS PORT              dials so often; prints for each the ns until connect() returned, and until the
 *                                             first answer was there
 * client start COUNT PRELOAD ADDRESS PORT     starts `client dial 1` so often; prints the ns that each lived
 * client herd COUNT PRELOAD ADDRESS PORT      starts so many `client hold` at once, says "ready" when all are served, and
 *                                             ends them when standard input ends; "try" on it is answered by "served" when each
 *                                             has been served once more
 * client hold ADDRESS PORT                    one connection that is dialed again when it ends
 * client until ADDRESS PORT                   for each address on standard input: dials until one is connected to that address;
 *                                             prints the ns of CLOCK_MONOTONIC at that moment
 *
 * PRELOAD is the LD_PRELOAD of those that it starts, or "-".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in place(char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };

	if (inet_pton(AF_INET, argv[0], &sa.sin_addr) != 1)
		fail(argv[0]);
	return sa;
}

static bool ask(int fd, int flags)
{
	char answer[512];
	ssize_t n;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) <= 0)
		return false;
	do
		n = recv(fd, answer, sizeof(answer), flags);
	while (n < 0 && errno == EAGAIN);
	return n > 0;
}

/* Ended by a reset, so that no port stays behind in TIME_WAIT. */
static int dial(const struct sockaddr_in *to, double *ret_connected)
{
	const struct linger reset = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double begun;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		fail("socket");
	begun = now_ns();
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		close(fd);
		return -1;
	}
	*ret_connected = now_ns() - begun;
	return fd;
}

static int dial_often(int count, const struct sockaddr_in *to, bool quiet)
{
	for (int i = 0; i < count; i++) {
		double begun = now_ns(), connected;
		int fd = dial(to, &connected);

		/* Without rest, as the server does meanwhile: see backend.c. */
		if (fd < 0 || !ask(fd, MSG_DONTWAIT))
			fail("dial");
		if (!quiet)
			printf("%.0f %.0f\n", connected, now_ns() - begun);
		close(fd);
	}
	return 0;
}

/* ---- one that holds ---- */

static int dial_until_served(const struct sockaddr_in *to)
{
	alarm(60);
	for (int tries = 0; tries < 3000; tries++) {
		double connected;
		int fd = dial(to, &connected);

		if (fd >= 0 && ask(fd, 0)) {
			alarm(0);
			return fd;
		}
		if (fd >= 0)
			close(fd);
		poll(NULL, 0, 10);
	}
	fail("no server");
	return -1;
}

/* A byte on standard input: be served once more. A byte on standard output: served. */
static int hold(const struct sockaddr_in *to)
{
	int fd = dial_until_served(to);
	char byte;

	if (write(STDOUT_FILENO, "", 1) != 1)
		return 1;
	for (;;) {
		struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

		poll(fds, 2, -1);
		if (fds[1].revents) {
			close(fd);
			fd = dial_until_served(to);
		}
		if (!fds[0].revents)
			continue;
		if (read(STDIN_FILENO, &byte, 1) != 1)
			return 0;
		if (!ask(fd, 0)) {
			close(fd);
			fd = dial_until_served(to);
		}
		if (write(STDOUT_FILENO, "", 1) != 1)
			return 1;
	}
}

/* ---- one that waits for a server ---- */

static bool is_connected_to(int fd, const char *address)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char text[INET_ADDRSTRLEN];

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text)) &&
	       strcmp(text, address) == 0;
}

static void dial_until(const struct sockaddr_in *to, const char *address)
{
	for (;;) {
		double connected, now;
		int fd = dial(to, &connected);
		bool there;

		if (fd < 0)
			fail("dial");
		now = now_ns();
		there = is_connected_to(fd, address);
		close(fd);
		if (there) {
			printf("%.0f\n", now);
			fflush(stdout);
			return;
		}
	}
}

static int until(const struct sockaddr_in *to)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		dial_until(to, line);
	}
	return 0;
}

/* ---- those that start others ---- */

static pid_t spawn(char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	r = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r) {
		errno = r;
		fail("posix_spawn");
	}
	return pid;
}

static int start_often(int count, char **to)
{
	char *argv[] = { "client", "once", "1", to[0], to[1], NULL };

	for (int i = 0; i < count; i++) {
		double begun = now_ns();
		pid_t pid = spawn(argv, -1, -1);
		int status;

		if (waitpid(pid, &status, 0) != pid || status)
			return 1;
		printf("%.0f\n", now_ns() - begun);
	}
	return 0;
}

static void wait_for(int fd, int count)
{
	char bytes[4096];

	alarm(60); /* where nobody answers it ends, and with it those that it started */
	while (count > 0) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n <= 0)
			fail("one of the herd");
		count -= (int)n;
	}
	alarm(0);
}

/* Each holder has its own way in, so that a byte is not another's. */
static int herd(int count, char **to)
{
	char *argv[] = { "client", "hold", to[0], to[1], NULL }, line[16];
	int served[2], *ways = calloc((size_t)count, sizeof(*ways));

	if (!ways || pipe2(served, O_CLOEXEC) < 0)
		fail("pipe");
	for (int i = 0; i < count; i++) {
		int way[2];

		if (pipe2(way, O_CLOEXEC) < 0)
			fail("pipe");
		spawn(argv, way[0], served[1]);
		close(way[0]);
		ways[i] = way[1];
	}
	close(served[1]);
	wait_for(served[0], count);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 0; i < count; i++)
			if (write(ways[i], "", 1) != 1)
				fail("one of the herd");
		wait_for(served[0], count);
		puts("served");
		fflush(stdout);
	}
	for (int i = 0; i < count; i++)
		close(ways[i]);
	while (wait(NULL) > 0)
		;
	free(ways);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct sockaddr_in to;

	if (argc == 4 && strcmp(verb, "hold") == 0) {
		to = place(argv + 2);
		return hold(&to);
	}
	if (argc == 4 && strcmp(verb, "until") == 0) {
		to = place(argv + 2);
		return until(&to);
	}
	if (argc == 5 && (strcmp(verb, "dial") == 0 || strcmp(verb, "once") == 0)) {
		to = place(argv + 3);
		return dial_often(atoi(argv[2]), &to, strcmp(verb, "once") == 0);
	}
	if (argc == 6 && (strcmp(verb, "start") == 0 || strcmp(verb, "herd") == 0)) {
		if (strcmp(argv[3], "-") != 0)
			setenv("LD_PRELOAD", argv[3], 1);
		return strcmp(verb, "start") == 0 ? start_often(atoi(argv[2]), argv + 4) : herd(atoi(argv[2]), argv + 4);
	}
	fprintf(stderr, "usage: client dial|start|herd|hold|until ...\n");
	return 2;
}
