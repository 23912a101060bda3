/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depth [OPTION...] CALL ADDRESS|NAME PORT: makes one call on a stack that was painted before, and prints how many bytes of
 * it were touched, and what came of the call: "176 backend-2".
 *
 *	CALL		connect, nonblocking, fastopen (sendto), sendmsg (likewise), getaddrinfo, gethostbyname_r, dlsym
 *	--before N	calls of the same kind before the one that is measured (0)
 *	--wait		first prints "ready", waits for a line on stdin, and then for more than a second
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STACK_SIZE = 1 << 20 };

#define PAINT 0xa5c3a5c3a5c3a5c3u

static uint64_t *stack;

static const char *name, *port;
static struct sockaddr_in to;
static int fd, result, error;
static struct addrinfo *list;
static struct hostent host, *found;
static char buffer[4096];

/* ---- the calls: as little beside them on the stack as may be ---- */

__attribute__((noinline)) static void call_connect(void)
{
	result = connect(fd, (const struct sockaddr *)&to, sizeof(to));
}

__attribute__((noinline)) static void call_fastopen(void)
{
	result = (int)sendto(fd, "who\n", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
}

__attribute__((noinline)) static void call_sendmsg(void)
{
	static struct iovec iov = { (void *)"who\n", 4 };
	static const struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };

	result = (int)sendmsg(fd, &msg, MSG_FASTOPEN | MSG_NOSIGNAL);
}

__attribute__((noinline)) static void call_getaddrinfo(void)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET };

	result = getaddrinfo(name, port, &hints, &list);
}

__attribute__((noinline)) static void call_gethostbyname_r(void)
{
	result = gethostbyname_r(name, &host, buffer, sizeof(buffer), &found, &error);
}

/* What any object that stands before the C library's functions has to call once. */
__attribute__((noinline)) static void call_dlsym(void)
{
	result = dlsym(RTLD_NEXT, "connect") ? 0 : -1;
}

/* ---- before and after them ---- */

static void open_blocking(void)
{
	fd = socket(AF_INET, SOCK_STREAM, 0);
}

static void open_nonblocking(void)
{
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void answer(bool asked)
{
	char line[64] = "";
	ssize_t n = 0;

	if (result < 0 && error != EINPROGRESS) {
		printf("%s\n", strerror(error));
	} else {
		poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 10000);
		if (asked || send(fd, "who\n", 4, MSG_NOSIGNAL) == 4) {
			poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 10000);
			n = recv(fd, line, sizeof(line) - 1, 0);
		}
		printf("%s", n > 0 ? line : "no answer\n");
	}
	close(fd);
}

static void answer_unasked(void)
{
	answer(false);
}

static void answer_asked(void)
{
	answer(true);
}

static void show_list(void)
{
	char text[INET_ADDRSTRLEN] = "none";

	if (result == 0) {
		inet_ntop(AF_INET, &((struct sockaddr_in *)list->ai_addr)->sin_addr, text, sizeof(text));
		freeaddrinfo(list);
	}
	printf("%d %s\n", result, text);
}

static void show_host(void)
{
	char text[INET_ADDRSTRLEN] = "none";

	if (found)
		inet_ntop(AF_INET, found->h_addr_list[0], text, sizeof(text));
	printf("%d %s\n", result, text);
}

static void show_result(void)
{
	printf("%d\n", result);
}

static void nothing(void)
{
}

static const struct kind {
	const char *name;
	void (*prepare)(void), (*call)(void), (*show)(void);
} kinds[] = {
	{ "connect", open_blocking, call_connect, answer_unasked },
	{ "nonblocking", open_nonblocking, call_connect, answer_unasked },
	{ "fastopen", open_blocking, call_fastopen, answer_asked },
	{ "sendmsg", open_blocking, call_sendmsg, answer_asked },
	{ "dlsym", nothing, call_dlsym, show_result },
	{ "getaddrinfo", nothing, call_getaddrinfo, show_list },
	{ "gethostbyname_r", nothing, call_gethostbyname_r, show_host },
};

static const struct kind *kind;
static long before;
static bool waits;

/* ---- the stack ---- */

/* Where the next call's stack begins: whoever calls something else keeps nothing of its own below. */
static inline __attribute__((always_inline)) uint64_t *stack_pointer(void)
{
	uint64_t *sp;

#if defined(__x86_64__)
	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(sp));
#endif
	return sp;
}

/* Bytes from here down to the lowest that the call touched. */
__attribute__((noinline)) static size_t depth_of(void (*call)(void))
{
	volatile uint64_t *end = stack_pointer(), *at;

	for (at = stack; at < end; at++)
		*at = PAINT;
	call();
	error = errno;
	for (at = stack; at < end && *at == PAINT; at++)
		;
	return (size_t)(end - at) * sizeof(*at);
}

static size_t once(void)
{
	kind->prepare();
	return depth_of(kind->call);
}

static void wait_for_word(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(2);
	usleep(1100000);
}

static void *measure(void *unused)
{
	size_t depth;

	(void)unused;
	for (long i = 0; i < before; i++) {
		once();
		printf("before: ");
		kind->show();
	}
	if (waits)
		wait_for_word();
	depth = once();
	printf("%zu ", depth);
	kind->show();
	return NULL;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = { { "before", 1, NULL, 'b' }, { "wait", 0, NULL, 'w' }, { NULL, 0, NULL, 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'b')
			before = atol(optarg);
		waits |= option == 'w';
	}
	if (argc - optind != 3)
		exit(2);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, argv[optind]))
			kind = &kinds[i];
	name = argv[optind + 1];
	port = argv[optind + 2];
	to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	inet_pton(AF_INET, name, &to.sin_addr);
}

static int run(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;

	parse(argc, argv);
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!kind || stack == MAP_FAILED)
		return 2;
	alarm(60);
	pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, stack, STACK_SIZE) || pthread_create(&thread, &attr, measure, NULL))
		return 2;
	pthread_join(thread, NULL);
	fflush(stdout);
	return 0;
}

/* As a preloaded object, which the loader initialises before those that were named before it (glibc). */
#ifdef EARLY
__attribute__((constructor)) static void run_early(int argc, char **argv, char **envp)
{
	(void)envp;
	_exit(run(argc, argv));
}
#endif

int main(int argc, char **argv)
{
	return run(argc, argv);
}
