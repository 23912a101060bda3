/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starter HOW HOST PORT: a program that dials once, and looks at itself. Prints one line: what came of the dial (the server's
 * answer, or the name of the errno; NONAME: not resolved), how many milliseconds name and dial took, and "clean", or what it
 * has seen of other people's children.
 *
 *	watch		SIGCHLD is blocked, and must not wait; no child is to be found
 *	reap		a thread waits for any child meanwhile, and is to get the program's own
 *	forks		16 children dial at once: how many of them were answered, "16 of 16"
 *	subreaper	it adopts orphans (PR_SET_CHILD_SUBREAPER)
 *	udp		connects a datagram socket: "udp"
 *	interrupt	a handler without SA_RESTART runs in the middle; the connection comes about all the same: "EINTR backend-1"
 *	close		and it closes the socket that is dialed: "EBADF"
 *	restart		the handler has SA_RESTART: "handled backend-1"
 *	leave		the handler of SIGUSR1 leaves the dial by siglongjmp: "left", if nothing but the socket stays open
 *	cancel		the thread that dials is cancelled: "cancelled"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"

#ifndef __WALL
#define __WALL 0x40000000
#endif

enum { LIMIT_S = 120, SIGNAL_AFTER_US = 100000, CHILDREN = 16 };

static const char *how, *host, *port;
static long begun_ms, took_ms;
static volatile sig_atomic_t handled, dialing = -1;

static bool is(const char *what)
{
	return !strcmp(how, what);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- the dial ---- */

static bool resolve(struct sockaddr_in *to)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *list;

	if (getaddrinfo(host, port, &hints, &list))
		return false;
	memcpy(to, list->ai_addr, sizeof(*to));
	freeaddrinfo(list);
	return true;
}

static const char *ask(int fd)
{
	static char answer[64];
	ssize_t n = send(fd, "who\n", 4, MSG_NOSIGNAL) == 4 ? recv(fd, answer, sizeof(answer) - 1, 0) : -1;

	if (n <= 0)
		return "no answer";
	answer[strcspn(answer, "\n")] = '\0';
	return answer;
}

/* As connect(2) says: the connection is established asynchronously. */
static int finish(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = -1;

	if (poll(&p, 1, LIMIT_S * 1000) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

static const char *dial(void)
{
	int fd = socket(AF_INET, (is("udp") ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), r;
	struct sockaddr_in to;
	const char *before = "";
	static char text[128];

	dialing = fd;
	begun_ms = now_ms();
	if (!resolve(&to))
		return "NONAME";
	r = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	took_ms = now_ms() - begun_ms;
	if (is("close"))
		return error_name(r);
	if (r == EINTR) {
		before = "EINTR ";
		r = finish(fd);
	} else if (handled) {
		before = "handled ";
	}
	snprintf(text, sizeof(text), "%s%s", before, r ? error_name(r) : is("udp") ? "udp" : ask(fd));
	close(fd);
	return text;
}

/* ---- what it sees ---- */

static const char *look(void)
{
	sigset_t pending;

	sigpending(&pending);
	if (sigismember(&pending, SIGCHLD))
		return "SIGCHLD";
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
		return "a child";
	return "clean";
}

static void *wait_for_any(void *ret)
{
	*(pid_t *)ret = waitpid(-1, NULL, 0);
	return NULL;
}

static const char *reap_meanwhile(const char **ret_answer)
{
	pid_t child = fork(), found = 0;
	pthread_t thread;

	if (child == 0)
		for (;;)
			pause();
	pthread_create(&thread, NULL, wait_for_any, &found);
	*ret_answer = dial();
	kill(child, SIGKILL);
	pthread_join(thread, NULL);
	return found == child ? "clean" : "a stranger was reaped";
}

/* Each child tells by its exit status; and there are no other children than these. */
static const char *fork_and_dial(void)
{
	static char text[32];
	int good = 0, status;
	sigset_t child;

	for (int i = 0; i < CHILDREN; i++)
		if (fork() == 0)
			_exit(strncmp(dial(), "backend-", 8) ? 1 : 0);
	for (int i = 0; i < CHILDREN; i++)
		good += waitpid(-1, &status, 0) > 0 && status == 0;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigwait(&child, &status); /* its own children's */
	snprintf(text, sizeof(text), "%d of %d", good, CHILDREN);
	return text;
}

static void on_alarm(int number)
{
	(void)number;
	handled = 1;
	if (is("close"))
		close(dialing);
}

static void send_a_signal_later(void)
{
	const struct itimerval once = { .it_value.tv_usec = SIGNAL_AFTER_US };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = is("restart") ? SA_RESTART : 0 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
}

static void *dial_in_thread(void *unused)
{
	(void)unused;
	return (void *)dial();
}

static const char *dial_and_be_cancelled(void)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, dial_in_thread, NULL);
	usleep(SIGNAL_AFTER_US);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	took_ms = now_ms() - begun_ms;
	return result == PTHREAD_CANCELED ? "cancelled" : result;
}

static sigjmp_buf before_the_dial;

static void leave(int number)
{
	(void)number;
	siglongjmp(before_the_dial, 1);
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static const char *dial_and_be_left(void)
{
	const int before = descriptors();

	signal(SIGUSR1, leave);
	if (sigsetjmp(before_the_dial, 1) == 0)
		return dial();
	took_ms = now_ms() - begun_ms;
	return descriptors() == before + 1 ? "left" : "left with more open";
}

int main(int argc, char **argv)
{
	const char *answer = NULL, *seen = NULL;
	sigset_t child;

	if (argc != 4)
		return 2;
	how = argv[1];
	host = argv[2];
	port = argv[3];
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (is("subreaper") && prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 2;
	if (is("interrupt") || is("close") || is("restart"))
		send_a_signal_later();
	if (is("reap"))
		seen = reap_meanwhile(&answer);
	else if (is("forks"))
		answer = fork_and_dial();
	else if (is("leave"))
		answer = dial_and_be_left();
	else
		answer = is("cancel") ? dial_and_be_cancelled() : dial();
	printf("%s %ld %s\n", answer, took_ms, seen ? seen : look());
	return 0;
}
