/* SPDX-License-Identifier: Apache-2.0 */
#include "support/backends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/testing.h"

enum { FIRST_PORT = 12000, PORT_COUNT = 18000, MAX_FDS = 8192, REQUEST_SIZE = 4096 };

struct counts {
	atomic_uint accepted, open, requests;
};

struct backends {
	size_t count;
	struct place place[BACKENDS_MAX];
	struct counts *counts; /* shared with the child */
	int control;           /* a socket to it: commands there, one byte back when done */
	pid_t pid;
};

struct command {
	int restart;
	size_t index;
};

/* What the child knows of a descriptor. */
struct connection {
	size_t backend;
	bool listens, open, http;
	bool waits; /* for others to ask, for "/together" */
	size_t length;
	char text[REQUEST_SIZE];
};

struct server {
	struct backends *b;
	int epoll;
	int listener[BACKENDS_MAX];
	struct connection *connection; /* by descriptor */
	unsigned waiting;
};

static int listen_on(const struct place *place)
{
	bool is_v6 = strchr(place->address, ':');
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)place->port) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)place->port) };
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){ 64 }, sizeof(int));
	inet_pton(is_v6 ? AF_INET6 : AF_INET, place->address, is_v6 ? (void *)&to6.sin6_addr : &to.sin_addr);
	if (bind(fd, is_v6 ? (const void *)&to6 : &to, is_v6 ? sizeof(to6) : sizeof(to)) == 0 && listen(fd, 4096) == 0)
		return fd;
	close(fd);
	return -1;
}

static int random_port(void)
{
	static bool seeded;

	if (!seeded)
		srandom((unsigned)getpid() ^ (unsigned)now_ms());
	seeded = true;
	return FIRST_PORT + (int)(random() % PORT_COUNT);
}

/* Child: epoll's side of one descriptor. */
static void watch(struct server *s, int fd, size_t backend, bool listens)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd >= MAX_FDS)
		_exit(1);
	s->connection[fd] = (struct connection){ .backend = backend, .listens = listens, .open = true };
	epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void hang_up(struct server *s, int fd)
{
	struct connection *c = &s->connection[fd];

	s->waiting -= c->waits;
	c->open = c->waits = false;
	close(fd);
	if (!c->listens)
		atomic_fetch_sub(&s->b->counts[c->backend].open, 1);
}

static void accept_all(struct server *s, int listener)
{
	size_t backend = s->connection[listener].backend;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		atomic_fetch_add(&s->b->counts[backend].accepted, 1);
		atomic_fetch_add(&s->b->counts[backend].open, 1);
		watch(s, fd, backend, false);
	}
}

static void answer(struct server *s, int fd, const char *text)
{
	atomic_fetch_add(&s->b->counts[s->connection[fd].backend].requests, 1);
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		shutdown(fd, SHUT_RDWR);
}

static void reply(struct server *s, int fd, bool last, bool head)
{
	char id[32], text[256];

	snprintf(id, sizeof(id), "backend-%zu\n", s->connection[fd].backend + 1);
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s", strlen(id),
		 last ? "Connection: close\r\n" : "", head ? "" : id);
	answer(s, fd, text);
	if (last)
		shutdown(fd, SHUT_WR);
}

static void wait_together(struct server *s, int fd, unsigned count)
{
	s->connection[fd].waits = true;
	if (++s->waiting < count)
		return;
	s->waiting = 0;
	for (int i = 0; i < MAX_FDS; i++) {
		if (!s->connection[i].waits)
			continue;
		s->connection[i].waits = false;
		reply(s, i, false, false);
	}
}

static void answer_http(struct server *s, int fd, const char *request)
{
	unsigned count;

	if (sscanf(request, "GET /together/%u ", &count) == 1)
		wait_together(s, fd, count);
	else
		reply(s, fd, strcasestr(request, "\nConnection: close") || strstr(request, "HTTP/1.0"), !strncmp(request, "HEAD", 4));
}

static void answer_line(struct server *s, int fd)
{
	char id[32];

	snprintf(id, sizeof(id), "backend-%zu\n", s->connection[fd].backend + 1);
	answer(s, fd, id);
}

/* Answers all that is whole in the text, and keeps the rest. */
static void answer_text(struct server *s, int fd)
{
	struct connection *c = &s->connection[fd];
	char *at = c->text, *end;

	while (*at) {
		bool http = !strncmp(at, "GET ", 4) || !strncmp(at, "HEAD ", 5) || !strncmp(at, "POST ", 5);

		end = http ? strstr(at, "\r\n\r\n") : strchr(at, '\n');
		if (!end)
			break;
		*end = '\0';
		if (http)
			answer_http(s, fd, at);
		else
			answer_line(s, fd);
		at = end + (http ? 4 : 1);
	}
	c->length -= (size_t)(at - c->text);
	memmove(c->text, at, c->length + 1);
}

static void read_some(struct server *s, int fd)
{
	struct connection *c = &s->connection[fd];
	ssize_t n = recv(fd, c->text + c->length, sizeof(c->text) - 1 - c->length, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(s, fd);
		return;
	}
	c->length += (size_t)n;
	c->text[c->length] = '\0';
	answer_text(s, fd);
}

static void stop_one(struct server *s, size_t index)
{
	for (int fd = 0; fd < MAX_FDS; fd++)
		if (s->connection[fd].open && s->connection[fd].backend == index)
			hang_up(s, fd);
}

static void obey(struct server *s)
{
	struct command command;

	if (read(s->b->control, &command, sizeof(command)) != sizeof(command))
		_exit(0);
	stop_one(s, command.index);
	if (command.restart) {
		int fd = listen_on(&s->b->place[command.index]);

		if (fd < 0)
			_exit(1);
		watch(s, fd, command.index, true);
	}
	if (write(s->b->control, "", 1) != 1)
		_exit(0);
}

/* What the test had open is not this child's: a pipe that it kept would never end. */
static void close_others(const struct server *s)
{
	for (int fd = 3; fd < 1024; fd++) {
		bool ours = fd == s->b->control;

		for (size_t i = 0; i < s->b->count; i++)
			ours |= fd == s->listener[i];
		if (!ours)
			close(fd);
	}
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void serve(struct server *s)
{
	struct epoll_event events[64], control = { .events = EPOLLIN, .data.fd = s->b->control };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	allow_descriptors();
	close_others(s);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->connection = calloc(MAX_FDS, sizeof(*s->connection));
	epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->b->control, &control);
	for (size_t i = 0; i < s->b->count; i++)
		watch(s, s->listener[i], i, true);
	for (;;) {
		int n = epoll_wait(s->epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == s->b->control)
				obey(s);
			else if (s->connection[fd].open && s->connection[fd].listens)
				accept_all(s, fd);
			else if (s->connection[fd].open)
				read_some(s, fd);
		}
	}
}

static void choose_places(struct place *place, size_t count, enum backends_layout layout)
{
	int port = random_port(), second = 1 + (int)(random() % 60), third = (int)(random() % 256);

	for (size_t i = 0; i < count; i++) {
		if (layout == ONE_PORT)
			snprintf(place[i].address, sizeof(place[i].address), "127.%d.%d.%zu", second, third, i + 1);
		else
			snprintf(place[i].address, sizeof(place[i].address), layout == ONE_ADDRESS ? "127.0.0.1" : "::1");
		place[i].port = layout == ONE_PORT ? port : random_port();
	}
}

/* Listens on all, or on none of them. */
static bool listen_all(const struct place *place, int *listener, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		listener[i] = listen_on(&place[i]);
		if (listener[i] < 0) {
			while (i--)
				close(listener[i]);
			return false;
		}
	}
	return true;
}

static void listen_somewhere(struct place *place, int *listener, size_t count, enum backends_layout layout)
{
	for (int turns = 20; turns; turns--) {
		choose_places(place, count, layout);
		if (listen_all(place, listener, count))
			return;
	}
	if (layout == ONE_ADDRESS_V6 && errno != EADDRINUSE)
		skip_because("no IPv6 on loopback: %s", strerror(errno));
	fail_msg("no ports for %zu servers: %s", count, strerror(errno));
}

void unused_places(struct place *places, size_t count)
{
	int listener[BACKENDS_MAX];

	listen_somewhere(places, listener, count, ONE_PORT);
	for (size_t i = 0; i < count; i++)
		close(listener[i]);
}

int unused_port(void)
{
	struct place place;

	unused_places(&place, 1);
	return place.port;
}

static void backends_end(void *what)
{
	struct backends *b = what;
	int status;

	kill(b->pid, SIGKILL);
	waitpid(b->pid, &status, 0);
	close(b->control);
	munmap(b->counts, BACKENDS_MAX * sizeof(*b->counts));
	free(b);
}

struct backends *backends_start(size_t count, enum backends_layout layout)
{
	struct backends *b = calloc(1, sizeof(*b));
	struct server s = { .b = b };
	int pair[2];

	assert_true(count <= BACKENDS_MAX);
	b->count = count;
	listen_somewhere(b->place, s.listener, count, layout);
	b->counts = mmap(NULL, BACKENDS_MAX * sizeof(*b->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	if (b->counts == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail_msg("backends: %s", strerror(errno));
	fflush(stdout);
	b->pid = fork();
	b->control = pair[b->pid == 0];
	if (b->pid == 0) {
		close(pair[0]);
		serve(&s);
	}
	close(pair[1]);
	for (size_t i = 0; i < count; i++)
		close(s.listener[i]);
	after_test(backends_end, b);
	return b;
}

static void order(struct backends *b, size_t index, int restart)
{
	struct command command = { restart, index };
	char done;

	if (write(b->control, &command, sizeof(command)) != sizeof(command) || read(b->control, &done, 1) != 1)
		fail_msg("backend %zu cannot be %s", index + 1, restart ? "started again" : "stopped");
}

void backends_stop(struct backends *b, size_t i)
{
	order(b, i, 0);
}

void backends_restart(struct backends *b, size_t i)
{
	order(b, i, 1);
}

size_t backends_count(const struct backends *b)
{
	return b->count;
}

const struct place *backends_places(const struct backends *b)
{
	return b->place;
}

const char *backends_address(const struct backends *b, size_t i)
{
	return b->place[i].address;
}

int backends_port(const struct backends *b, size_t i)
{
	return b->place[i].port;
}

unsigned backends_accepted(const struct backends *b, size_t i)
{
	return atomic_load(&b->counts[i].accepted);
}

unsigned backends_open(const struct backends *b, size_t i)
{
	return atomic_load(&b->counts[i].open);
}

unsigned backends_requests(const struct backends *b, size_t i)
{
	return atomic_load(&b->counts[i].requests);
}

void backends_wait_open(const struct backends *b, unsigned total, int limit_ms)
{
	long end = now_ms() + limit_ms;
	unsigned open;

	do {
		open = 0;
		for (size_t i = 0; i < b->count; i++)
			open += backends_open(b, i);
		if (open == total)
			return;
		usleep(2000); /* shared memory tells nobody; the condition decides, not the time */
	} while (now_ms() < end);
	fail_msg("%u connections are open, not %u", open, total);
}

size_t tally(const char *text, unsigned *counts, size_t count)
{
	size_t others = 0;

	memset(counts, 0, count * sizeof(*counts));
	while (*text) {
		size_t length = strcspn(text, "\n"), used = 0;
		unsigned id = 0;
		int n = 0;

		if (sscanf(text, "backend-%u%n", &id, &n) == 1)
			used = (size_t)n;
		if (used && used == length && id >= 1 && id <= count)
			counts[id - 1]++;
		else
			others++;
		text += length + (text[length] == '\n');
	}
	return others;
}

void assert_even(const unsigned *counts, size_t count, unsigned total, unsigned slack)
{
	unsigned sum = 0, least = UINT32_MAX, most = 0;
	char *shown = format("%s", "");

	for (size_t i = 0; i < count; i++) {
		sum += counts[i];
		least = counts[i] < least ? counts[i] : least;
		most = counts[i] > most ? counts[i] : most;
		shown = format("%s %u", shown, counts[i]);
	}
	if (sum != total || most - least > slack)
		fail_msg("spread:%s; wanted %u in all, no two further apart than %u", shown, total, slack);
}

void assert_even_answers(const char *text, size_t count, unsigned total, unsigned slack)
{
	unsigned counts[BACKENDS_MAX];
	size_t others = tally(text, counts, count);

	if (others)
		fail_msg("%zu lines are no backend's: %.2000s", others, text);
	assert_even(counts, count, total, slack);
}
