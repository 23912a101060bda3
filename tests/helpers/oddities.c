/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oddities HOST PORT DEAD: calls connect(2) and its like in ways that programs do, well or badly, and prints a line
 * for each: what came back, and what the socket is afterwards. HOST:PORT answers, HOST:DEAD refuses. The lines are the
 * same under the shim as without it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entries.h"

static struct sockaddr_in live, dead;

#define ADDRESS(a) ((const struct sockaddr *)&(a)), sizeof(a)

static int stream(int flags)
{
	return socket(AF_INET, SOCK_STREAM | flags, 0);
}

/* What a call returned, and errno where it failed, or whether errno was left alone where it did not. */
static void tell(const char *what, long result)
{
	int error = errno;

	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(error) : error == 77 ? "" : "(errno changed)");
}

static void try_connect(const char *what, int fd, const struct sockaddr *address, socklen_t length)
{
	errno = 77;
	tell(what, connect(fd, address, length));
}

static bool answers(int fd)
{
	char line[64];

	return send(fd, "who\n", 4, MSG_NOSIGNAL) == 4 && recv(fd, line, sizeof(line), 0) > 0;
}

static void bad_arguments(void)
{
	struct sockaddr_un nowhere = { .sun_family = AF_UNIX, .sun_path = "/nowhere/socket" };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				    .sin6_port = dead.sin_port };
	struct sockaddr_in strange = live;
	int file = open("/dev/null", O_RDONLY), fd = stream(0), local = socket(AF_UNIX, SOCK_STREAM, 0);

	try_connect("no descriptor", -1, ADDRESS(live));
	try_connect("a closed descriptor", 1000, ADDRESS(live));
	try_connect("no socket", file, ADDRESS(live));
	try_connect("no address", fd, NULL, 0);
	try_connect("no address, but a length", fd, NULL, sizeof(live));
	try_connect("a short address", fd, (struct sockaddr *)&live, 8);
	try_connect("two bytes of an address", fd, (struct sockaddr *)&live, 2);
	try_connect("an address of another family", fd, ADDRESS(six));
	strange.sin_family = 999;
	try_connect("an address of no family", fd, ADDRESS(strange));
	try_connect("a local socket to an internet address", local, ADDRESS(live));
	try_connect("a local socket to nowhere", local, ADDRESS(nowhere));
	try_connect("and after all that", fd, ADDRESS(live));
	printf("it answers: %d\n", answers(fd));
}

static void datagrams(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	try_connect("a datagram socket", fd, ADDRESS(live));
	getpeername(fd, (struct sockaddr *)&peer, &length);
	printf("its peer is whom it dialed: %d\n",
	       peer.sin_addr.s_addr == live.sin_addr.s_addr && peer.sin_port == live.sin_port);
}

static int user_timeout(int fd)
{
	int value = -1;
	socklen_t length = sizeof(value);

	getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &length);
	return value;
}

static void blocking(void)
{
	int fd = stream(0), flags = fcntl(fd, F_GETFL), given = 5000;

	try_connect("blocking", fd, ADDRESS(live));
	printf("flags are the same: %d, TCP_USER_TIMEOUT %d\n", fcntl(fd, F_GETFL) == flags, user_timeout(fd));
	try_connect("connected", fd, ADDRESS(live));
	try_connect("connected, to elsewhere", fd, ADDRESS(dead));
	printf("it answers: %d\n", answers(fd));
	fd = stream(0);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &given, sizeof(given));
	try_connect("with a timeout", fd, ADDRESS(live));
	printf("TCP_USER_TIMEOUT %d\n", user_timeout(fd));
	fd = stream(0);
	try_connect("refused", fd, ADDRESS(dead));
	try_connect("refused, and again", fd, ADDRESS(dead));
	try_connect("refused, and then not", fd, ADDRESS(live));
	printf("it answers: %d\n", answers(fd));
}

static int pending_error(int fd)
{
	struct pollfd writable = { fd, POLLOUT, 0 };
	int error = -1;
	socklen_t length = sizeof(error);

	poll(&writable, 1, 10000);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static void nonblocking(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = stream(SOCK_NONBLOCK), flags = fcntl(fd, F_GETFL);
	struct pollfd writable = { .events = POLLOUT };

	try_connect("non-blocking", fd, ADDRESS(live));
	printf("pending: %d, flags are the same: %d\n", pending_error(fd), fcntl(fd, F_GETFL) == flags);
	try_connect("non-blocking, again", fd, ADDRESS(live));
	try_connect("left", fd, &none, sizeof(none));
	try_connect("left and dialed", fd, ADDRESS(live));
	printf("pending: %d\n", pending_error(fd));
	fd = stream(SOCK_NONBLOCK);
	try_connect("non-blocking, refused", fd, ADDRESS(dead));
	printf("pending: %d\n", pending_error(fd));
	fd = stream(SOCK_NONBLOCK);
	try_connect("refused, learned by connect", fd, ADDRESS(dead));
	writable.fd = fd;
	poll(&writable, 1, 10000);
	try_connect("the second", fd, ADDRESS(live));
	try_connect("the third", fd, ADDRESS(live));
	printf("pending: %d\n", pending_error(fd));
	fd = stream(SOCK_NONBLOCK);
	try_connect("done, learned by connect", fd, ADDRESS(live));
	printf("pending: %d\n", pending_error(fd));
	try_connect("the second", fd, ADDRESS(live));
	printf("it answers: %d\n", fcntl(fd, F_SETFL, 0) == 0 && answers(fd));
}

static int port_of(int fd)
{
	struct sockaddr_in name = { 0 };
	socklen_t length = sizeof(name);

	getsockname(fd, (struct sockaddr *)&name, &length);
	return ntohs(name.sin_port);
}

static void bound(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = stream(0), port, listener = stream(0);

	bind(fd, ADDRESS(here));
	port = port_of(fd);
	try_connect("bound", fd, ADDRESS(live));
	printf("its port is the same: %d; it answers: %d\n", port && port_of(fd) == port, answers(fd));
	fd = stream(0);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
	bind(fd, ADDRESS(here));
	try_connect("bound without a port", fd, ADDRESS(live));
	printf("it answers: %d\n", answers(fd));
	bind(listener, ADDRESS(here));
	listen(listener, 1);
	try_connect("listening", listener, ADDRESS(live));
	printf("it still listens: %d\n", port_of(listener) > 0);
}

static void fast_open(void)
{
	struct sockaddr_in to = live;
	struct iovec iov = { "who\n", 4 };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };
	struct msghdr before = msg;
	int fd = stream(0);
	char line[64];

	errno = 77;
	tell("sendto", sendto(fd, "who\n", 4, MSG_FASTOPEN, ADDRESS(live)));
	printf("it answers: %d\n", recv(fd, line, sizeof(line), 0) > 0);
	errno = 77;
	tell("sendto, connected", sendto(fd, "who\n", 4, MSG_FASTOPEN | MSG_NOSIGNAL, ADDRESS(live)));
	fd = stream(0);
	errno = 77;
	tell("sendmsg", sendmsg(fd, &msg, MSG_FASTOPEN));
	printf("it answers: %d; the message is as it was: %d\n", recv(fd, line, sizeof(line), 0) > 0,
	       !memcmp(&msg, &before, sizeof(msg)) && !memcmp(&to, &live, sizeof(to)));
	fd = stream(0);
	errno = 77;
	tell("sendto, refused", sendto(fd, "who\n", 4, MSG_FASTOPEN, ADDRESS(dead)));
	errno = 77;
	tell("sendto, not connected", sendto(stream(0), "who\n", 4, MSG_NOSIGNAL, ADDRESS(live)));
	errno = 77;
	tell("sendto, no descriptor", sendto(-1, "who\n", 4, MSG_FASTOPEN, ADDRESS(live)));
	errno = 77;
	tell("sendto, no text", sendto(stream(0), (void *)8, 4, MSG_FASTOPEN, ADDRESS(live)));
}

static int one_dial(void)
{
	int fd = stream(0), good = connect(fd, ADDRESS(live)) == 0 && answers(fd);

	close(fd);
	return good;
}

static void *dial_in_thread(void *good)
{
	*(int *)good = one_dial();
	return NULL;
}

static void small_stack(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int good = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	if (pthread_create(&thread, &attr, dial_in_thread, &good) == 0)
		pthread_join(thread, NULL);
	printf("from a thread with a small stack: %d\n", good);
}

static volatile sig_atomic_t dialed;

static void dial_in_handler(int signal)
{
	(void)signal;
	dialed = one_dial();
}

static void in_handler(void)
{
	struct sigaction action = { .sa_handler = dial_in_handler };

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	printf("from a signal handler: %d\n", dialed);
}

static void in_child(const char *what, int (*then)(void))
{
	pid_t pid;
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(then());
	waitpid(pid, &status, 0);
	printf("%s: %x\n", what, (unsigned)status);
}

static int without_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	return one_dial();
}

static int without_environment(void)
{
	clearenv();
	return one_dial();
}

static int elsewhere_as_somebody_else(void)
{
	if (geteuid() == 0 && (chdir("/proc/self/fdinfo") || chroot(".") || setgid(65534) || setuid(65534)))
		return 9;
	return one_dial();
}

static int twice_forked(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setsid() > 0 ? one_dial() : 9);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int descriptors, threads;

	if (argc != 4)
		return 2;
	alarm(60);
	setvbuf(stdout, NULL, _IOLBF, 0);
	live.sin_family = AF_INET;
	inet_pton(AF_INET, argv[1], &live.sin_addr);
	dead = live;
	live.sin_port = htons((uint16_t)atoi(argv[2]));
	dead.sin_port = htons((uint16_t)atoi(argv[3]));

	descriptors = entries_of("/proc/self/fd");
	threads = entries_of("/proc/self/task");
	printf("a dial: %d\n", one_dial());
	printf("more descriptors: %d, more threads: %d\n", entries_of("/proc/self/fd") - descriptors,
	       entries_of("/proc/self/task") - threads);
	bad_arguments();
	datagrams();
	blocking();
	nonblocking();
	bound();
	fast_open();
	small_stack();
	in_handler();
	in_child("in a child", one_dial);
	in_child("in a daemon", twice_forked);
	in_child("without descriptors", without_descriptors);
	in_child("without an environment", without_environment);
	in_child("in another root, as somebody else", elsewhere_as_somebody_else);
	return 0;
}
