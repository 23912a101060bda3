/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend PORT ADDRESS...: one process that is the server behind all of these addresses. It answers HTTP requests that stay on
 * their connection with the address that they came to, and counts connections by address. That it is one process, and does
 * next to nothing, is on purpose: what a request costs does then not depend on where it went, and what lies on its way shows.
 *
 * Commands on standard input, each answered by a line: "counts" (for each address "OPEN/ACCEPTED"), "stop ADDRESS" (closes
 * its listener and its connections), "go ADDRESS" (listens again), "spin" (from now on it asks for events without rest: waking an
 * idle processor takes longer than a dial, on a virtual machine, and whether it is idle is luck), "rest" (it waits for them
 * again). It ends with standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLACES = 64, EVENTS = 256, PAIRS = 4 /* of letters that end a request */ };

struct place {
	const char *address;
	int listener; /* -1: stopped */
	unsigned open, accepted;
	char answer[128];
	size_t answer_len;
};

struct connection {
	int fd;
	struct place *place; /* NULL: free */
	unsigned matched;    /* letters of "\r\n\r\n" so far */
};

static struct place places[PLACES];
static int place_count, queue, patience_ms = -1;
static uint16_t port;
static struct connection *connections; /* by descriptor */
static size_t connection_count;

static void fail(const char *what)
{
	fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

static void start_place(struct place *place)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || inet_pton(AF_INET, place->address, &sa.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 4096) < 0)
		fail(place->address);
	place->listener = fd;
	watch(fd);
}

static void add_place(const char *address)
{
	struct place *place = &places[place_count++];
	int len;

	place->address = address;
	len = snprintf(place->answer, sizeof(place->answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s\n",
		       strlen(address) + 1, address);
	place->answer_len = (size_t)len;
	start_place(place);
}

static struct place *find_place(const char *address)
{
	for (int i = 0; i < place_count; i++)
		if (strcmp(places[i].address, address) == 0)
			return &places[i];
	return NULL;
}

static struct place *listening_at(int fd)
{
	for (int i = 0; i < place_count; i++)
		if (places[i].listener == fd)
			return &places[i];
	return NULL;
}

static void forget(struct connection *c)
{
	c->place->open--;
	c->place = NULL;
	close(c->fd);
}

static void make_room(size_t fd)
{
	size_t count = connection_count;

	while (fd >= count)
		count = count ? count * 2 : 1024;
	if (count == connection_count)
		return;
	connections = realloc(connections, count * sizeof(*connections));
	if (!connections)
		fail("realloc");
	memset(connections + connection_count, 0, (count - connection_count) * sizeof(*connections));
	connection_count = count;
}

static void accept_all(struct place *place)
{
	int fd, one = 1;

	while ((fd = accept4(place->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		make_room((size_t)fd);
		connections[fd] = (struct connection){ .fd = fd, .place = place };
		place->open++;
		place->accepted++;
		watch(fd);
	}
}

static unsigned requests_in(struct connection *c, const char *bytes, size_t n)
{
	unsigned requests = 0;

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == "\r\n\r\n"[c->matched])
			c->matched++;
		else
			c->matched = bytes[i] == '\r';
		if (c->matched == PAIRS) {
			c->matched = 0;
			requests++;
		}
	}
	return requests;
}

/* Nobody here sends more requests than the kernel has room for answers. */
static void serve(struct connection *c)
{
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		forget(c);
		return;
	}
	for (unsigned left = requests_in(c, bytes, (size_t)n); left > 0; left--)
		if (send(c->fd, c->place->answer, c->place->answer_len, MSG_NOSIGNAL) < 0) {
			forget(c);
			return;
		}
}

static void stop_place(struct place *place)
{
	close(place->listener);
	place->listener = -1;
	for (size_t i = 0; i < connection_count; i++)
		if (connections[i].place == place)
			forget(&connections[i]);
}

static void say_counts(void)
{
	for (int i = 0; i < place_count; i++)
		printf("%s%u/%u", i ? " " : "", places[i].open, places[i].accepted);
	putchar('\n');
}

static bool take_command(void)
{
	static char line[128];
	struct place *place;

	if (!fgets(line, sizeof(line), stdin))
		return false;
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "counts") == 0) {
		say_counts();
	} else if (strcmp(line, "spin") == 0 || strcmp(line, "rest") == 0) {
		patience_ms = *line == 's' ? 0 : -1;
		puts("so be it");
	} else if (strncmp(line, "stop ", 5) == 0 && (place = find_place(line + 5)) && place->listener >= 0) {
		stop_place(place);
		puts("stopped");
	} else if (strncmp(line, "go ", 3) == 0 && (place = find_place(line + 3)) && place->listener < 0) {
		start_place(place);
		puts("going");
	} else {
		puts("what?");
	}
	fflush(stdout);
	return true;
}

static void take_event(int fd)
{
	struct place *place = listening_at(fd);

	if (place)
		accept_all(place);
	else if ((size_t)fd < connection_count && connections[fd].place)
		serve(&connections[fd]);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];

	if (argc < 3 || argc - 2 > PLACES) {
		fprintf(stderr, "usage: backend PORT ADDRESS...\n");
		return 2;
	}
	queue = epoll_create1(EPOLL_CLOEXEC);
	port = (uint16_t)atoi(argv[1]);
	for (int i = 2; i < argc; i++)
		add_place(argv[i]);
	setvbuf(stdin, NULL, _IONBF, 0); /* a command that was read ahead would wait for the next event */
	watch(STDIN_FILENO);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(queue, events, EVENTS, patience_ms);
		bool commanded = false;

		/* What came before a command is counted before it is answered. */
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == STDIN_FILENO)
				commanded = true;
			else
				take_event(events[i].data.fd);
		}
		if (commanded && !take_command())
			return 0;
	}
}
