/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture COUNTS SEED PLACES...: dials in every way at once until it is killed or COUNTS says stop: threads, children of fork
 * that dial, children of vfork that dial or become another program, programs that posix_spawn starts; blocking or not, by
 * name and by address; each connection asks a question, is held for a moment and closed. Before some dials a timer is set that
 * kills the process some microseconds later, in the middle of it. A place is three words: name, address, port. With SEED 0 it
 * dials once and ends. What became of each dial is counted in the file COUNTS.
 */
#include "torture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, LIMIT_S = 60, LIMIT_MS = 50000, MAX_PLACES = 4, FATAL = 12, FATAL_US = 60 };

static struct torture_counts *counts;
static char **own_argv, *once_argv[3 + 3 * MAX_PLACES + 1];
extern char **environ;

static struct {
	const char *name, *port;
	struct sockaddr_in to;
} places[MAX_PLACES];
static unsigned place_count;

/* xorshift64: one state for each thread or process, never 0. */
static unsigned chance(uint64_t *random, unsigned n)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (unsigned)(*random >> 33) % n;
}

/* ---- one dial ---- */

struct way {
	unsigned place;
	bool by_name, nonblocking, reset;
	unsigned hold_us;
	unsigned fatal_ns; /* 0: it is not */
};

static struct way choose_way(uint64_t *random, bool may_resolve)
{
	struct way way = { .place = chance(random, place_count) };

	way.by_name = chance(random, 3) == 0 && may_resolve;
	way.nonblocking = chance(random, 2);
	way.reset = chance(random, 4) == 0;
	way.hold_us = chance(random, 4) ? 0 : chance(random, 4000);
	way.fatal_ns = chance(random, FATAL) ? 0 : 1 + chance(random, FATAL_US * 1000);
	return way;
}

static bool resolve(const struct way *way, struct sockaddr_in *to)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *list;

	if (!way->by_name) {
		*to = places[way->place].to;
		return true;
	}
	if (getaddrinfo(places[way->place].name, places[way->place].port, &hints, &list))
		return false;
	memcpy(to, list->ai_addr, sizeof(*to));
	freeaddrinfo(list);
	return true;
}

/* 0 or an errno. */
static int finish(int fd)
{
	struct pollfd writable = { fd, POLLOUT, 0 };
	int error = 0;
	socklen_t length = sizeof(error);

	while (poll(&writable, 1, LIMIT_MS) < 0)
		if (errno != EINTR)
			return errno;
	if (!writable.revents)
		return ETIME;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static int ask(int fd, char *answer, size_t size)
{
	size_t length = 0;

	if (send(fd, "who\n", 4, MSG_NOSIGNAL) != 4)
		return errno;
	while (length + 1 < size && !memchr(answer, '\n', length)) {
		struct pollfd readable = { fd, POLLIN, 0 };
		ssize_t n;

		if (poll(&readable, 1, LIMIT_MS) == 0)
			return ETIME;
		n = recv(fd, answer + length, size - 1 - length, MSG_DONTWAIT);
		if (n == 0)
			return EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno;
		length += n > 0 ? (size_t)n : 0;
	}
	answer[length] = '\0';
	return 0;
}

static void count_answer(const char *answer)
{
	/* No sscanf: this also runs in children of vfork. */
	unsigned id = 0;
	const char *at = answer + 8;

	if (strncmp(answer, "backend-", 8) == 0)
		while (*at >= '0' && *at <= '9')
			id = id * 10 + (unsigned)(*at++ - '0');
	if (id >= 1 && id <= TORTURE_BACKENDS && *at == '\n')
		atomic_fetch_add(&counts->answers[id - 1], 1);
	else
		atomic_fetch_add(&counts->strange, 1);
}

static void fail_dial(int error)
{
	atomic_fetch_add(&counts->failures[error < TORTURE_ERRORS ? error : TORTURE_ERRORS - 1], 1);
}

static void talk(int fd, const struct way *way)
{
	const struct linger reset = { 1, 0 };
	char answer[64];
	int error = ask(fd, answer, sizeof(answer));

	if (error)
		fail_dial(error);
	else
		count_answer(answer);
	if (way->hold_us)
		usleep(way->hold_us);
	if (way->reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* System calls, not the libc's functions: this also runs in children of vfork. */
static void set_fatal_timer(unsigned ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec when = { .it_value.tv_nsec = ns };
	int timer;

	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0)
		syscall(SYS_timer_settime, timer, 0, &when, NULL);
}

static void dial(const struct way *way)
{
	struct sockaddr_in to;
	int fd, error = 0;

	atomic_fetch_add(&counts->begun, 1);
	if (!resolve(way, &to)) {
		fail_dial(0);
		return;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (way->nonblocking ? SOCK_NONBLOCK : 0), 0);
	if (way->fatal_ns)
		set_fatal_timer(way->fatal_ns);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS))
		error = errno;
	else if (way->nonblocking)
		error = finish(fd);
	if (error)
		fail_dial(error);
	else
		talk(fd, way);
	if (fd >= 0)
		close(fd);
}

/* ---- others that dial ---- */

static void wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return;
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		atomic_fetch_add(&counts->crashed, 1);
}

static void *dial_in_thread(void *seed)
{
	uint64_t random = (uint64_t)(uintptr_t)seed | 1;

	for (unsigned i = 1 + chance(&random, 4); i; i--) {
		struct way way = choose_way(&random, true);

		dial(&way);
	}
	return NULL;
}

static void fork_one(uint64_t *random)
{
	uint64_t own = *random ^ 0x9e3779b97f4a7c15u;
	pid_t pid = fork();

	atomic_fetch_add(&counts->forks, 1);
	if (pid == 0) {
		alarm(LIMIT_S);
		for (unsigned i = 1 + chance(&own, 3); i; i--) {
			/* Of a process with threads: names are the libc's business, which may not be in order here. */
			struct way way = choose_way(&own, false);

			dial(&way);
		}
		_exit(0);
	}
	wait_for(pid);
}

/* The child has this process's memory, and dials itself or becomes another program. */
static void vfork_one(uint64_t *random)
{
	struct way way = choose_way(random, false);
	bool dials = chance(random, 2);
	pid_t pid;

	atomic_fetch_add(&counts->vforks, 1);
	pid = vfork();
	if (pid == 0) {
		if (dials)
			dial(&way);
		else
			execve("/proc/self/exe", once_argv, environ);
		_exit(dials ? 0 : 126);
	}
	wait_for(pid);
}

static void spawn_one(void)
{
	pid_t pid;

	atomic_fetch_add(&counts->spawns, 1);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, once_argv, environ) == 0)
		wait_for(pid);
}

static void one_turn(uint64_t *random)
{
	struct way way = choose_way(random, true);
	pthread_t thread[THREADS];
	int started = 0;

	alarm(LIMIT_S);
	if (chance(random, 2))
		while (started < THREADS &&
		       pthread_create(&thread[started], NULL, dial_in_thread,
				      (void *)(uintptr_t)(*random + (uint64_t)started * 2654435761u)) == 0)
			started++;
	atomic_fetch_add(&counts->threads, (unsigned)started);
	switch (chance(random, 8)) {
	case 0:
		fork_one(random);
		break;
	case 1:
		vfork_one(random);
		break;
	case 2:
		spawn_one();
		break;
	default:
		dial(&way);
	}
	while (started--)
		pthread_join(thread[started], NULL);
}

/* ---- the program ---- */

static void read_places(char **words)
{
	for (; words[0] && words[1] && words[2] && place_count < MAX_PLACES; words += 3, place_count++) {
		places[place_count].name = words[0];
		places[place_count].port = words[2];
		places[place_count].to.sin_family = AF_INET;
		places[place_count].to.sin_port = htons((uint16_t)atoi(words[2]));
		inet_pton(AF_INET, words[1], &places[place_count].to.sin_addr);
	}
}

static void prepare_once(int argc)
{
	for (int i = 0; i < argc && i < 3 + 3 * MAX_PLACES; i++)
		once_argv[i] = own_argv[i];
	once_argv[2] = (char *)"0";
}

static void *map_counts(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *at = mmap(NULL, sizeof(struct torture_counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
	uint64_t random;

	if (argc < 6 || !(counts = map_counts(argv[1])))
		return 2;
	own_argv = argv;
	prepare_once(argc);
	read_places(argv + 3);
	random = strtoull(argv[2], NULL, 10);
	alarm(LIMIT_S);
	if (random == 0) {
		random = (uint64_t)getpid() * 2654435761u | 1;
		struct way way = choose_way(&random, true);

		dial(&way);
		return 0;
	}
	while (!atomic_load(&counts->stop))
		one_turn(&random);
	return 0;
}
