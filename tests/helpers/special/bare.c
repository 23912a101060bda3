/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare [HOW ADDRESS PORT COUNT]: a program without any C library, compiled with -nostdlib but with a loader. It prints a
 * line; with arguments, first a line for each dial: the server's answer to a line, or "failed". HOW is the function that
 * dials: connect, sendto, sendmsg or sendmmsg, whoever defines it; nobody does, unless an object is preloaded. "names" asks
 * the functions for names, which have nobody to ask. Exits with 7.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "start.h"

#pragma weak connect
#pragma weak sendto
#pragma weak sendmsg
#pragma weak sendmmsg
#pragma weak getaddrinfo
#pragma weak gethostbyname
#pragma weak gethostbyname2
#pragma weak gethostbyname_r
#pragma weak gethostbyname2_r

enum { EXIT_STATUS = 7 };

static long system_call(long n, long a, long b, long c)
{
#if defined(__x86_64__)
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

static bool is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void print(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	system_call(SYS_write, 1, (long)text, (long)length);
}

/* The number at `*text`, which is moved behind it and one more character. */
static unsigned number(const char **text)
{
	unsigned n = 0;

	while (**text >= '0' && **text <= '9')
		n = n * 10 + (unsigned)(*(*text)++ - '0');
	if (**text)
		++*text;
	return n;
}

static struct sockaddr_in destination(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	unsigned ip = 0;

	for (int i = 0; i < 4; i++)
		ip = ip << 8 | number(&address);
	to.sin_addr.s_addr = htonl(ip);
	to.sin_port = htons((unsigned short)number(&port));
	return to;
}

/* Dials and asks. */
static bool dial(const char *how, int fd, const struct sockaddr_in *to)
{
	static char question[] = "who\n";
	const size_t length = sizeof(question) - 1;
	struct iovec iov = { question, length };
	struct mmsghdr message = { .msg_hdr = { .msg_name = (void *)to, .msg_namelen = sizeof(*to), .msg_iov = &iov,
						.msg_iovlen = 1 } };

	if (is(how, "connect"))
		return connect && connect(fd, (const void *)to, sizeof(*to)) == 0 &&
		       system_call(SYS_write, fd, (long)question, (long)length) > 0;
	if (is(how, "sendto"))
		return sendto && sendto(fd, question, length, MSG_FASTOPEN, (const void *)to, sizeof(*to)) > 0;
	if (is(how, "sendmsg"))
		return sendmsg && sendmsg(fd, &message.msg_hdr, MSG_FASTOPEN) > 0;
	return sendmmsg && sendmmsg(fd, &message, 1, MSG_FASTOPEN) == 1;
}

static void dial_once(const char *how, const struct sockaddr_in *to)
{
	int fd = (int)system_call(SYS_socket, AF_INET, SOCK_STREAM, 0);
	char answer[64];
	long n = dial(how, fd, to) ? system_call(SYS_read, fd, (long)answer, sizeof(answer) - 1) : -1;

	answer[n > 0 ? n : 0] = '\0';
	print(n > 0 ? answer : "failed\n");
	system_call(SYS_close, fd, 0, 0);
}

/* One line; each that somebody defines says that it cannot. */
static void ask_for_names(const char *name)
{
	struct hostent host, *result = &host;
	struct addrinfo *list;
	char buf[256];
	int error;

	if (!getaddrinfo || !gethostbyname || !gethostbyname2 || !gethostbyname_r || !gethostbyname2_r)
		print("nobody defines them\n");
	else if (getaddrinfo(name, "80", NULL, &list) && !gethostbyname(name) && !gethostbyname2(name, AF_INET) &&
		 gethostbyname_r(name, &host, buf, sizeof(buf), &result, &error) && !result &&
		 gethostbyname2_r(name, AF_INET, &host, buf, sizeof(buf), &result, &error) && !result)
		print("none resolves\n");
	else
		print("resolved\n");
}

static void start_at(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1);

	if (argc == 5 && is(argv[1], "names"))
		ask_for_names(argv[2]);
	else if (argc == 5) {
		struct sockaddr_in to = destination(argv[2], argv[3]);
		const char *text = argv[4];

		for (unsigned n = number(&text); n; n--)
			dial_once(argv[1], &to);
	}
	print("no C library here\n");
	for (;;)
		system_call(SYS_exit_group, EXIT_STATUS, 0, 0);
}
