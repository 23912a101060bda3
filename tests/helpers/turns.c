/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions that have numbers, so that none can be lost, cut or answered twice without being seen.
 *
 *	turns serve COUNT PORT ADDRESS...	answers the line "17" with "17 3" on the third address; one answer of fifty is late, by up to
 *						a quarter of a second. Prints "ready"; at a line of stdin "seen N doubled N": how many numbers
 *						below COUNT it was asked, and how many more than once. At the lines "close 3" and "open 3" the third
 *						address refuses, or listens again; connections that were taken stay. It repeats such a line.
 *	turns ask ADDRESS PORT CONNECTIONS COUNT FIRST [ignore]
 *						asks FIRST to FIRST + COUNT - 1, in bursts and pauses of random length, over so many
 *						connections. Every second one is looked at in a pause, and dialed anew where it has ended; of the
 *						others that is seen by the next question. A number whose connection ended before any byte of its
 *						answer came is asked again. With "ignore" SIGPIPE is. Prints "answered N again N lost N cut N
 *						wrong N stray N renewed N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_ADDRESSES = 16, LIMIT_S = 600, TRIES = 50 };
enum { BURST = 12, PAUSE_MS = 40, PAUSE_MORE_MS = 200, LATE_MS = 250 };

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int until(long due, long now, int otherwise)
{
	long rest = due > now ? due - now : 0;

	return rest < otherwise ? (int)rest : otherwise;
}

static struct sockaddr_in place(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, address, &to.sin_addr);
	return to;
}

/* ---- the server ---- */

struct served {
	int fd; /* -1: none */
	int backend;
	bool ending; /* the client has said its last */
	size_t length, late_length;
	long due;
	char text[256], late[64];
};

static struct {
	int listeners[MAX_ADDRESSES], addresses, numbers, seen, doubled;
	unsigned char *times;
	struct served clients[MAX_CONNECTIONS];
} server;

static int listen_on(const char *address, const char *port)
{
	struct sockaddr_in at = place(address, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4096))
		exit(2);
	return fd;
}

static void accept_all(int backend)
{
	int fd;

	while ((fd = accept(server.listeners[backend], NULL, NULL)) >= 0) {
		int i = 0;

		while (i < MAX_CONNECTIONS && server.clients[i].fd >= 0)
			i++;
		if (i == MAX_CONNECTIONS)
			exit(2);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		server.clients[i] = (struct served){ .fd = fd, .backend = backend + 1 };
	}
}

static void hang_up(struct served *c)
{
	close(c->fd);
	c->fd = -1;
}

static void count_number(int n)
{
	if (n < 0 || n >= server.numbers)
		exit(2);
	server.seen += server.times[n] == 0;
	server.doubled += server.times[n] == 1;
	server.times[n] += server.times[n] < 2;
}

static void answer(struct served *c, const char *question)
{
	int n = atoi(question), length;
	char text[64];

	count_number(n);
	length = snprintf(text, sizeof(text), "%d %d\n", n, c->backend);
	if (random() % 50) {
		send(c->fd, text, (size_t)length, MSG_NOSIGNAL);
		return;
	}
	memcpy(c->late, text, (size_t)length);
	c->late_length = (size_t)length;
	c->due = now_ms() + random() % LATE_MS;
}

static void send_late(struct served *c)
{
	send(c->fd, c->late, c->late_length, MSG_NOSIGNAL);
	c->late_length = 0;
}

static void read_some(struct served *c)
{
	ssize_t n = recv(c->fd, c->text + c->length, sizeof(c->text) - 1 - c->length, 0);
	char *end;

	if (n < 0) {
		hang_up(c);
		return;
	}
	c->ending = n == 0;
	c->length += (size_t)n;
	c->text[c->length] = '\0';
	while ((end = strchr(c->text, '\n'))) {
		*end = '\0';
		answer(c, c->text);
		c->length -= (size_t)(end + 1 - c->text);
		memmove(c->text, end + 1, c->length + 1);
	}
}

static void look_after(struct served *c, short revents, long now)
{
	if (c->fd >= 0 && !c->ending && revents)
		read_some(c);
	if (c->fd >= 0 && c->late_length && c->due <= now)
		send_late(c);
	if (c->fd >= 0 && c->ending && !c->late_length)
		hang_up(c);
}

static int wait_for_clients(struct pollfd *p)
{
	long now = now_ms();
	int wait_ms = -1, n = 0;

	p[n++] = (struct pollfd){ 0, POLLIN, 0 };
	for (int i = 0; i < server.addresses; i++)
		p[n++] = (struct pollfd){ server.listeners[i], POLLIN, 0 };
	for (int i = 0; i < MAX_CONNECTIONS; i++) {
		const struct served *c = &server.clients[i];

		p[n++] = (struct pollfd){ c->ending ? -1 : c->fd, POLLIN, 0 };
		if (c->fd >= 0 && c->late_length)
			wait_ms = until(c->due, now, wait_ms < 0 ? LATE_MS : wait_ms);
	}
	return poll(p, (nfds_t)n, wait_ms);
}

static void close_listener(int i)
{
	if (server.listeners[i] < 0)
		return;
	accept_all(i);
	close(server.listeners[i]);
	server.listeners[i] = -1;
}

static void obey(const char *line, char **addresses, const char *port)
{
	bool closes = strncmp(line, "close ", 6) == 0, opens = strncmp(line, "open ", 5) == 0;
	int i = closes || opens ? atoi(strchr(line, ' ')) - 1 : -1;

	if (i < 0 || i >= server.addresses) {
		dprintf(1, "seen %d doubled %d\n", server.seen, server.doubled);
		return;
	}
	if (closes)
		close_listener(i);
	else if (server.listeners[i] < 0)
		server.listeners[i] = listen_on(addresses[i], port);
	dprintf(1, "%s %d\n", closes ? "close" : "open", i + 1);
}

static void serve(char **addresses, const char *port)
{
	static struct pollfd p[1 + MAX_ADDRESSES + MAX_CONNECTIONS];
	char line[17] = "";
	ssize_t n;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
		server.clients[i].fd = -1;
	for (; addresses[server.addresses] && server.addresses < MAX_ADDRESSES; server.addresses++)
		server.listeners[server.addresses] = listen_on(addresses[server.addresses], port);
	dprintf(1, "ready\n");
	while (wait_for_clients(p) >= 0) {
		/* Whoever is new is looked at in the next turn: `p` does not have it yet. */
		for (int i = 0; i < MAX_CONNECTIONS; i++)
			look_after(&server.clients[i], p[1 + server.addresses + i].revents, now_ms());
		for (int i = 0; i < server.addresses; i++)
			if (p[1 + i].revents)
				accept_all(i);
		if (!p[0].revents)
			continue;
		n = read(0, line, sizeof(line) - 1);
		if (n <= 0)
			return;
		line[n] = '\0';
		obey(line, addresses, port);
	}
}

/* ---- the client ---- */

struct asking {
	int fd, left, burst, number, tries;
	bool waits; /* for the answer to `number` */
	size_t length;
	long due; /* of the next question */
	char text[64];
};

static struct {
	struct sockaddr_in to;
	int connections, next, answered, again, lost, cut, wrong, stray, renewed;
	struct asking all[MAX_CONNECTIONS];
} client;

static void dial(struct asking *a)
{
	a->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(a->fd, (struct sockaddr *)&client.to, sizeof(client.to))) {
		dprintf(2, "a dial failed: %s\n", strerror(errno));
		exit(3);
	}
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	a->length = 0;
}

static void dial_anew(struct asking *a)
{
	close(a->fd);
	dial(a);
	client.renewed++;
}

static void be_done(struct asking *a)
{
	a->waits = false;
	a->length = 0;
	a->left--;
	a->due = now_ms();
	if (--a->burst > 0)
		return;
	a->burst = 1 + (int)random() % (2 * BURST);
	a->due += PAUSE_MS + random() % PAUSE_MORE_MS;
}

static void send_number(struct asking *a)
{
	char line[16];
	int length = snprintf(line, sizeof(line), "%d\n", a->number);

	while (write(a->fd, line, (size_t)length) != length) {
		if (++a->tries > TRIES) {
			client.lost++;
			be_done(a);
			return;
		}
		client.again++;
		dial_anew(a);
	}
	a->waits = true;
}

static void ask_next(struct asking *a)
{
	a->number = client.next++;
	a->tries = 0;
	send_number(a);
}

/* Before any byte of the answer, or in the middle of it. */
static void end_early(struct asking *a)
{
	bool begun = a->length;

	dial_anew(a);
	if (begun) {
		client.cut++;
		be_done(a);
		return;
	}
	client.again++;
	if (++a->tries <= TRIES) {
		send_number(a);
		return;
	}
	client.lost++;
	be_done(a);
}

static void take_some(struct asking *a)
{
	ssize_t n = read(a->fd, a->text + a->length, sizeof(a->text) - 1 - a->length);
	char *end;

	if (n <= 0) {
		end_early(a);
		return;
	}
	a->length += (size_t)n;
	a->text[a->length] = '\0';
	end = strchr(a->text, '\n');
	if (!end)
		return;
	client.stray += end[1] != '\0';
	client.wrong += atoi(a->text) != a->number;
	client.answered++;
	be_done(a);
}

/* In a pause: there is nothing that could come but the end. */
static void look_at_idle(struct asking *a)
{
	char byte;

	if (read(a->fd, &byte, 1) > 0)
		client.stray++;
	else
		dial_anew(a);
}

static bool is_watched(const struct asking *a)
{
	return a->waits || (a->left && (a - client.all) % 2 == 0);
}

/* False: all is done. */
static bool wait_for_answers(struct pollfd *p)
{
	long now = now_ms();
	int wait_ms = 1000;
	bool any = false;

	for (int i = 0; i < client.connections; i++) {
		const struct asking *a = &client.all[i];

		p[i] = (struct pollfd){ is_watched(a) ? a->fd : -1, POLLIN, 0 };
		any |= a->left > 0;
		if (a->left && !a->waits)
			wait_ms = until(a->due, now, wait_ms);
	}
	if (any)
		poll(p, (nfds_t)client.connections, wait_ms);
	return any;
}

static void go_on(struct asking *a, short revents)
{
	if (revents && a->waits)
		take_some(a);
	else if (revents)
		look_at_idle(a);
	if (a->left && !a->waits && a->due <= now_ms())
		ask_next(a);
}

static void ask_all(int count)
{
	static struct pollfd p[MAX_CONNECTIONS];

	for (int i = 0; i < client.connections; i++) {
		client.all[i] = (struct asking){ .left = count / client.connections, .burst = 1 + i % BURST, .due = now_ms() };
		dial(&client.all[i]);
	}
	while (wait_for_answers(p))
		for (int i = 0; i < client.connections; i++)
			go_on(&client.all[i], p[i].revents);
	dprintf(1, "answered %d again %d lost %d cut %d wrong %d stray %d renewed %d\n", client.answered, client.again, client.lost,
		client.cut, client.wrong, client.stray, client.renewed);
}

int main(int argc, char **argv)
{
	alarm(LIMIT_S);
	srandom((unsigned)getpid());
	if (argc > 4 && !strcmp(argv[1], "serve")) {
		server.numbers = atoi(argv[2]);
		server.times = calloc((size_t)server.numbers, 1);
		serve(argv + 4, argv[3]);
		return 0;
	}
	if (argc < 7 || strcmp(argv[1], "ask"))
		return 2;
	client.to = place(argv[2], argv[3]);
	client.connections = atoi(argv[4]);
	client.next = atoi(argv[6]);
	if (argc > 7)
		signal(SIGPIPE, SIG_IGN);
	ask_all(atoi(argv[5]));
	return 0;
}
