/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialer [OPTION...] HOST PORT: dials, as an ordinary program does, and prints a line for each dial: the server's
 * answer to a line, or the name of the errno (NONAME: not resolved). Exits with 0 when all dials succeeded, else 1. It
 * never waits without a bound.
 *
 *	--count N	dials in all (1); by --threads T threads
 *	--hold		keeps the connections, prints "ready", ends at the end of stdin
 *	--step		one dial for each line of stdin
 *	--keep		each connection until the next one is made
 *	--exhausted	there is no more memory and no descriptor to be had while a dial lasts
 *	--nonblocking	connect, poll, SO_ERROR
 *	--v6mapped	an AF_INET6 socket and ::ffff:HOST
 *	--fastopen	sendto with MSG_FASTOPEN
 *	--mute		no question and no answer: "ok"
 *	--timeout MS	for poll and for the answer (10000)
 *	--marks		a write to descriptor -1 before and after each connect, for strace
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "errors.h"

enum { MAX_THREADS = 64, LIMIT_S = 120 };

static struct {
	long count, threads, timeout_ms;
	bool hold, step, keep, exhausted, nonblocking, v6mapped, fastopen, mute, marks;
	const char *host, *port;
} want = { .count = 1, .threads = 1, .timeout_ms = 10000 };

/* Before glibc 2.34 these are in a library of their own; linked without it, this is a program without threads. */
#pragma weak pthread_create
#pragma weak pthread_join

static atomic_long taken, failed;

enum { NO_NAME = -1 };

static const char *name_of(int error)
{
	return error == NO_NAME ? "NONAME" : error_name(error);
}

static int resolve(struct sockaddr_storage *to, socklen_t *length)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = strchr(want.host, ':') ? AF_INET6 : AF_INET }, *list;

	if (want.v6mapped) {
		hints.ai_family = AF_INET6;
		hints.ai_flags = AI_V4MAPPED;
	}
	if (getaddrinfo(want.host, want.port, &hints, &list))
		return NO_NAME;
	memcpy(to, list->ai_addr, list->ai_addrlen);
	*length = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

static void mark(void)
{
	int saved = errno;

	if (want.marks && write(-1, "mark", 4) == 4)
		abort();
	errno = saved;
}

/* Of soft limits: what there is already stays. */
static void allow(int resource, bool more)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = more ? limit.rlim_max : 0;
	setrlimit(resource, &limit);
}

static void exhaust(bool all)
{
	if (!want.exhausted)
		return;
	allow(RLIMIT_AS, !all);
	allow(RLIMIT_NOFILE, !all);
}

static int finish_nonblocking(int fd)
{
	struct pollfd writable = { fd, POLLOUT, 0 };
	int error = 0;
	socklen_t length = sizeof(error);

	if (errno != EINPROGRESS)
		return errno;
	if (poll(&writable, 1, (int)want.timeout_ms) <= 0)
		return ETIME;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static int dial(int fd, const struct sockaddr *to, socklen_t length)
{
	int result, error;

	exhaust(true);
	mark();
	if (want.fastopen)
		result = sendto(fd, "who\n", 4, MSG_FASTOPEN | MSG_NOSIGNAL, to, length) == 4 ? 0 : -1;
	else
		result = connect(fd, to, length);
	mark();
	error = errno;
	exhaust(false);
	errno = error;
	if (result == 0)
		return 0;
	return want.nonblocking ? finish_nonblocking(fd) : errno;
}

/* The server's line, into `answer`. */
static int ask(int fd, char *answer, size_t size)
{
	struct timeval limit = { want.timeout_ms / 1000, want.timeout_ms % 1000 * 1000 };
	size_t length = 0;

	if (want.nonblocking)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!want.fastopen && send(fd, "who\n", 4, MSG_NOSIGNAL) != 4)
		return errno;
	while (length + 1 < size) {
		ssize_t n = recv(fd, answer + length, size - 1 - length, 0);

		if (n <= 0)
			return n ? errno : EPIPE;
		length += (size_t)n;
		answer[length] = '\0';
		if (answer[length - 1] == '\n')
			break;
	}
	answer[length - 1] = '\0';
	return 0;
}

static void keep(int fd)
{
	static int kept = -1;

	if (kept >= 0)
		close(kept);
	kept = fd;
}

/* One dial and its line. */
static void dial_once(void)
{
	struct sockaddr_storage to;
	socklen_t length;
	char answer[128] = "ok";
	int fd = -1, error = resolve(&to, &length);

	if (!error) {
		fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | (want.nonblocking ? SOCK_NONBLOCK : 0), 0);
		error = dial(fd, (struct sockaddr *)&to, length);
	}
	if (!error && !want.mute)
		error = ask(fd, answer, sizeof(answer));
	atomic_fetch_add(&failed, error != 0);
	printf("%s\n", error ? name_of(error) : answer);
	if (want.keep && fd >= 0)
		keep(fd);
	else if (fd >= 0 && (!want.hold || error))
		close(fd);
}

static void *dial_share(void *unused)
{
	(void)unused;
	while (atomic_fetch_add(&taken, 1) < want.count)
		dial_once();
	return NULL;
}

static void dial_by_threads(void)
{
	pthread_t thread[MAX_THREADS];

	for (long i = 0; i < want.threads; i++)
		if (!pthread_create || pthread_create(&thread[i], NULL, dial_share, NULL))
			exit(2);
	for (long i = 0; i < want.threads; i++)
		pthread_join(thread[i], NULL);
}

static void dial_by_steps(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		alarm(LIMIT_S);
		dial_once();
		fflush(stdout);
	}
}

static void hold(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: dialer [--count N] [--threads T] [--hold] [--step] [--keep] [--exhausted] [--nonblocking] [--v6mapped] [--fastopen] "
		"[--mute] [--timeout MS] [--marks] HOST PORT\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", 1, NULL, 'c' },
		{ "threads", 1, NULL, 't' },
		{ "hold", 0, NULL, 'h' },
		{ "step", 0, NULL, 's' },
		{ "keep", 0, NULL, 'p' },
		{ "exhausted", 0, NULL, 'x' },
		{ "nonblocking", 0, NULL, 'n' },
		{ "v6mapped", 0, NULL, '6' },
		{ "fastopen", 0, NULL, 'f' },
		{ "mute", 0, NULL, 'm' },
		{ "timeout", 1, NULL, 'w' },
		{ "marks", 0, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			want.count = atol(optarg);
			break;
		case 't':
			want.threads = atol(optarg);
			break;
		case 'w':
			want.timeout_ms = atol(optarg);
			break;
		case 'h':
			want.hold = true;
			break;
		case 's':
			want.step = true;
			break;
		case 'p':
			want.keep = true;
			break;
		case 'x':
			want.exhausted = true;
			break;
		case 'n':
			want.nonblocking = true;
			break;
		case '6':
			want.v6mapped = true;
			break;
		case 'f':
			want.fastopen = true;
			break;
		case 'm':
			want.mute = true;
			break;
		case 'k':
			want.marks = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2 || want.threads < 1 || want.threads > MAX_THREADS)
		usage();
	want.host = argv[optind];
	want.port = argv[optind + 1];
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	exhaust(false); /* preloaded/poor.c */
	alarm(LIMIT_S);
	if (want.step)
		dial_by_steps();
	else if (want.threads > 1)
		dial_by_threads();
	else
		dial_share(NULL);
	if (want.hold)
		hold();
	return atomic_load(&failed) ? 1 : 0;
}
