/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool ADDRESS PORT [FD,FD...]: holds connections as a program with a pool does, and does with them what stdin says, a line each;
 * for each line it prints one. A turn is a line to the server and its answer ("backend-3"). A connection that has ended before a
 * byte of the answer came is dialed anew, and the turn made again, once. With FDs it has those connections: it was executed.
 *
 *	open N [ADDRESS PORT]	dials N more, here or elsewhere, and makes a turn on each	"open N"
 *	turn [FIRST [COUNT]]	a turn on each of these (all)			"turn ANSWERED RENEWED FAILED"
 *	talk TURNS MS		so many turns on each, with a pause before each	as turn, of all of them
 *	renew			dials anew those that have ended; without a word to the others	as turn
 *	ended [FIRST [COUNT]]	how many of these have ended, without a word to them	"ended N"
 *	poll N, epoll N		waits in it until so many have			"ended N"
 *	read			waits in read(2) on the first connection		"read EOF", "read ECONNRESET"
 *	where			how many are at each backend			"where 3 3 0 ..."
 *	speak			begins a question on all			"speak N"
 *	finish			ends it, and takes the answer			as turn
 *	ask, take		a question whose answer is not read yet; reads it	"ask N"; as turn
 *	ignore			SIGPIPE is ignored from now on			"ignore 0"
 *	nonblocking		later dials are					"nonblocking 0"
 *	keepalive		later sockets have SO_KEEPALIVE before they dial	"keepalive 0"
 *	options			what the first has				"options KEEPALIVE IDLE INTERVAL COUNT USER_TIMEOUT"
 *	tasks			threads						"tasks N"
 *	reuse ADDRESS PORT	each number is closed, and dialed with elsewhere	"reuse N"
 *	redial ADDRESS PORT	each socket is taken back, and dials there	"redial N"
 *	shift			each gets another number by dup2(2), the old one is closed	"shift N"
 *	double			each gets another number beside its own		"double N"
 *	close, clear		closes the connections; closes all descriptors above 2	"close N"
 *	fork			a child goes on; its parent waits for it		"fork 0"
 *	up			the child ends, and its parent goes on		"up 0"
 *	orphan			a child goes on, its parent ends			"orphan 0"
 *	vfork			a child that shares the memory dials and asks	"vfork STATUS"
 *	exec			goes on as a new program with these connections	"exec N"
 *	tight N			as open, with no memory to be had until threads that it made have ended	"tight N"
 *	refuse connect, clone	the kernel refuses that call from now on, in all threads	"refuse 0"
 *	user			gives up its user and its group, in all threads		"user 0"
 *	hand			a thread goes on, the first one ends		"hand 0"
 *	leave			the first thread ends, and is the only one
 *	end			ends, or ends the thread that has been handed the rest
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entries.h"
#include "errors.h"

enum { MAX_CONNECTIONS = 1024, BACKENDS = 16, LIMIT_S = 300 };

struct connection {
	int fd, backend; /* from 1 on; 0: it has not answered yet */
	struct sockaddr_in to;
};

static struct connection connections[MAX_CONNECTIONS];
static int count;
static const char *program, *own_address, *own_port;
static bool keepalive, nonblocking;

struct turns {
	int answered, renewed, failed;
};

/* Of a command, with the number behind its name and what follows. */
static char *words[4];

static int number(int i, int otherwise)
{
	return words[i] ? atoi(words[i]) : otherwise;
}

static struct sockaddr_in place(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, address, &to.sin_addr);
	return to;
}

static void say(const char *what, int n)
{
	dprintf(1, "%s %d\n", what, n);
}

/* ---- one connection ---- */

static int connect_as_wanted(int fd, const struct sockaddr_in *to)
{
	int error = 0, flags = fcntl(fd, F_GETFL);
	socklen_t length = sizeof(error);

	if (!nonblocking)
		return connect(fd, (const struct sockaddr *)to, sizeof(*to));
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS)
		return -1;
	poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	fcntl(fd, F_SETFL, flags);
	errno = error;
	return error ? -1 : 0;
}

static int dial(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (keepalive)
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
	if (connect_as_wanted(fd, to) == 0)
		return fd;
	close(fd);
	return -1;
}

enum outcome { ANSWERED, ENDED, BROKEN }; /* ended: before any byte of the answer */

static enum outcome take_answer(struct connection *c)
{
	char line[64] = "";
	size_t length = 0;

	while (length < sizeof(line) - 1) {
		ssize_t n = read(c->fd, line + length, sizeof(line) - 1 - length);

		if (n <= 0)
			return length ? BROKEN : ENDED;
		length += (size_t)n;
		if (line[length - 1] == '\n')
			break;
	}
	return sscanf(line, "backend-%d", &c->backend) == 1 || !strncmp(line, "tun-", 4) ? ANSWERED : BROKEN;
}

/* write(2), not send(2) without a signal: that is how most programs ask. */
static enum outcome ask(struct connection *c, const char *question)
{
	if (write(c->fd, question, strlen(question)) < 0)
		return ENDED;
	return take_answer(c);
}

static bool dial_anew(struct connection *c)
{
	close(c->fd);
	c->fd = dial(&c->to);
	return c->fd >= 0 && ask(c, "x\n") == ANSWERED;
}

static void note(struct turns *turns, struct connection *c, enum outcome outcome)
{
	if (outcome == ENDED && dial_anew(c)) {
		turns->renewed++;
		outcome = ANSWERED;
	}
	*(outcome == ANSWERED ? &turns->answered : &turns->failed) += 1;
}

/* Nothing is read: an error that waits for the program goes on waiting. */
static bool has_ended(const struct connection *c)
{
	struct pollfd p = { c->fd, POLLRDHUP, 0 };

	return poll(&p, 1, 0) == 1;
}

/* ---- all of them ---- */

static void say_turns(const char *what, const struct turns *turns)
{
	dprintf(1, "%s %d %d %d\n", what, turns->answered, turns->renewed, turns->failed);
}

static int first(void)
{
	return number(1, 0);
}

static int behind_last(void)
{
	return words[2] ? first() + atoi(words[2]) : count;
}

static int open_connections(void)
{
	struct sockaddr_in to = words[2] && words[3] ? place(words[2], words[3]) : place(own_address, own_port);
	int opened = 0;

	for (int n = number(1, 1); n && count < MAX_CONNECTIONS; n--) {
		struct connection *c = &connections[count];

		*c = (struct connection){ .fd = dial(&to), .to = to };
		if (c->fd < 0 || ask(c, "x\n") != ANSWERED)
			break;
		opened++;
		count++;
	}
	return opened;
}

static void open_more(void)
{
	say("open", open_connections());
}

static void turn_all(struct turns *turns, const char *question)
{
	for (int i = first(); i < behind_last(); i++)
		note(turns, &connections[i], ask(&connections[i], question));
}

static void turn(void)
{
	struct turns turns = { 0 };

	turn_all(&turns, "x\n");
	say_turns("turn", &turns);
}

static void talk(void)
{
	int rounds = number(1, 1), pause_ms = number(2, 0);
	struct turns turns = { 0 };

	words[1] = words[2] = NULL;
	while (rounds--) {
		usleep((useconds_t)pause_ms * 1000);
		turn_all(&turns, "x\n");
	}
	say_turns("talk", &turns);
}

static void renew(void)
{
	struct turns turns = { 0 };

	for (int i = first(); i < behind_last(); i++)
		if (has_ended(&connections[i]))
			note(&turns, &connections[i], ENDED);
	say_turns("renew", &turns);
}

static int count_ended(void)
{
	int n = 0;

	for (int i = first(); i < behind_last(); i++)
		n += has_ended(&connections[i]);
	return n;
}

static void ended(void)
{
	say("ended", count_ended());
}

/* Blocks for as long as none of those that are still watched has ended. */
static void wait_in_poll(void)
{
	struct pollfd p[MAX_CONNECTIONS];
	int n = 0, wanted = number(1, 1);

	for (int i = 0; i < count; i++)
		p[i] = (struct pollfd){ connections[i].fd, POLLIN, 0 };
	while (n < wanted) {
		poll(p, (nfds_t)count, -1);
		for (int i = 0; i < count; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			p[i].fd = -1;
			n++;
		}
	}
	say("ended", n);
}

static void wait_in_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int n = 0, wanted = number(1, 1), ep = epoll_create1(EPOLL_CLOEXEC);
	bool seen[MAX_CONNECTIONS] = { false };

	for (int i = 0; i < count; i++) {
		event.data.fd = i;
		epoll_ctl(ep, EPOLL_CTL_ADD, connections[i].fd, &event);
	}
	while (n < wanted && epoll_wait(ep, &event, 1, -1) >= 0) {
		n += !seen[event.data.fd];
		seen[event.data.fd] = true;
	}
	close(ep);
	say("ended", n);
}

static void wait_in_read(void)
{
	char byte;
	ssize_t n = read(connections[0].fd, &byte, 1);

	dprintf(1, "read %s\n", n > 0 ? "data" : n == 0 ? "EOF" : error_name(errno));
}

static void where(void)
{
	int at[BACKENDS + 1] = { 0 };
	char text[256] = "where";
	size_t used = 5;

	for (int i = 0; i < count; i++)
		at[connections[i].backend >= 0 && connections[i].backend <= BACKENDS ? connections[i].backend : 0]++;
	for (int i = 1; i <= BACKENDS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %d", at[i]);
	dprintf(1, "%s\n", text);
}

/* ---- questions in two parts ---- */

static void say_to_all(const char *what, const char *text)
{
	int n = 0;

	for (int i = first(); i < behind_last(); i++)
		n += write(connections[i].fd, text, strlen(text)) > 0;
	say(what, n);
}

static void speak(void)
{
	say_to_all("speak", "half");
}

static void finish(void)
{
	struct turns turns = { 0 };

	turn_all(&turns, "\n");
	say_turns("finish", &turns);
}

/* Its answers have come, and wait, when it has said so. */
static void ask_only(void)
{
	say_to_all("ask", "x\n");
	for (int i = first(); i < behind_last(); i++)
		poll(&(struct pollfd){ connections[i].fd, POLLIN, 0 }, 1, -1);
}

static void take(void)
{
	struct turns turns = { 0 };

	for (int i = first(); i < behind_last(); i++)
		note(&turns, &connections[i], take_answer(&connections[i]));
	say_turns("take", &turns);
}

/* ---- how it is ---- */

static void ignore(void)
{
	signal(SIGPIPE, SIG_IGN);
	say("ignore", 0);
}

static void dial_nonblocking(void)
{
	nonblocking = true;
	say("nonblocking", 0);
}

static void keep_alive(void)
{
	keepalive = true;
	say("keepalive", 0);
}

static int option(int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	getsockopt(connections[0].fd, level, name, &value, &length);
	return value;
}

static void options(void)
{
	dprintf(1, "options %d %d %d %d %d\n", option(SOL_SOCKET, SO_KEEPALIVE), option(IPPROTO_TCP, TCP_KEEPIDLE),
		option(IPPROTO_TCP, TCP_KEEPINTVL), option(IPPROTO_TCP, TCP_KEEPCNT), option(IPPROTO_TCP, TCP_USER_TIMEOUT));
}

static void tasks(void)
{
	say("tasks", entries_of("/proc/self/task"));
}

/* ---- numbers ---- */

static void reuse(void)
{
	struct sockaddr_in to = place(words[1], words[2]);

	for (int i = 0; i < count; i++) {
		struct connection *c = &connections[i];
		int number = c->fd, fd;

		close(number);
		fd = dial(&to);
		if (fd != number) {
			dup2(fd, number);
			close(fd);
		}
		*c = (struct connection){ .fd = number, .to = to };
	}
	words[1] = words[2] = NULL;
	say("reuse", count);
}

static void redial(void)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in to = place(words[1], words[2]);
	int n = 0;

	for (int i = 0; i < count; i++) {
		connections[i].to = to;
		n += connect(connections[i].fd, &none, sizeof(none)) == 0 &&
		     connect(connections[i].fd, (struct sockaddr *)&to, sizeof(to)) == 0 && ask(&connections[i], "x\n") == ANSWERED;
	}
	words[1] = words[2] = NULL;
	say("redial", n);
}

static void give_other_numbers(bool close_old)
{
	for (int i = 0; i < count; i++) {
		int fd = fcntl(connections[i].fd, F_DUPFD, 500);

		if (close_old)
			close(connections[i].fd);
		connections[i].fd = fd;
	}
}

static void shift(void)
{
	give_other_numbers(true);
	say("shift", count);
}

static void twice(void)
{
	give_other_numbers(false);
	say("double", count);
}

static void close_connections(void)
{
	for (int i = 0; i < count; i++)
		close(connections[i].fd);
	say("close", count);
	count = 0;
}

static void clear(void)
{
	syscall(SYS_close_range, 3, ~0u, 0);
	say("close", count);
	count = 0;
}

/* ---- processes and threads ---- */

static void fork_on(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		alarm(LIMIT_S);
		say("fork", 0);
		return;
	}
	waitpid(pid, &status, 0);
	say("up", status);
}

static void up(void)
{
	exit(0);
}

static void orphan(void)
{
	pid_t parent = getpid();

	if (fork())
		_exit(0);
	alarm(LIMIT_S);
	while (getppid() == parent)
		usleep(1000);
	say("orphan", 0);
}

static void vfork_one(void)
{
	struct sockaddr_in to = place(own_address, own_port);
	int status = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		char line[64];

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || write(fd, "x\n", 2) != 2 || read(fd, line, sizeof(line)) <= 0)
			_exit(1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	say("vfork", status);
}

static void exec_on(void)
{
	char list[MAX_CONNECTIONS * 5] = "";
	size_t used = 0;

	for (int i = 0; i < count; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%d,", connections[i].fd);
	execl(program, program, own_address, own_port, list, (char *)NULL);
	say("exec", -1);
}

static void inherit(char *list)
{
	char *fd;

	while ((fd = strsep(&list, ",")))
		if (*fd)
			connections[count++] = (struct connection){ .fd = atoi(fd), .to = place(own_address, own_port) };
	say("exec", count);
}

/* ---- what it may not have ---- */

/* What it has already stays. */
static void allow_memory(bool more)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = more ? limit.rlim_max : 0;
	setrlimit(RLIMIT_AS, &limit);
}

/* By the links of a folder, which takes no memory: its own two, and one of each thread. */
static void wait_for_threads(void)
{
	struct stat task;

	while (stat("/proc/self/task", &task) == 0 && task.st_nlink > 2 + 1)
		usleep(1000);
}

static void open_without_memory(void)
{
	int opened = 0;

	allow_memory(false);
	for (int n = number(1, 1); n; n--) { /* the stack of one that has ended is the next one's */
		words[1] = "1";
		opened += open_connections();
		wait_for_threads();
	}
	allow_memory(true);
	say("tight", opened);
}

static void refuse_calls(unsigned first, unsigned second, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog rules = { sizeof(filter) / sizeof(*filter), filter };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	say("refuse", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &rules));
}

static void refuse(void)
{
	if (words[1] && !strcmp(words[1], "clone"))
		refuse_calls(SYS_clone, SYS_clone3, EAGAIN);
	else
		refuse_calls(SYS_connect, SYS_connect, EOPNOTSUPP);
}

static void give_up_user(void)
{
	say("user", setgid(65534) || setuid(65534));
}

static void obey(void);

static void *go_on(void *unused)
{
	(void)unused;
	say("hand", 0);
	obey();
	return NULL;
}

static void hand(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, go_on, NULL) == 0)
		pthread_exit(NULL);
	say("hand", -1);
}

static void leave(void)
{
	pthread_exit(NULL);
}

/* ---- what it is told ---- */

static const struct command {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "open", open_more }, { "turn", turn }, { "talk", talk }, { "renew", renew }, { "ended", ended }, { "poll", wait_in_poll },
	{ "epoll", wait_in_epoll }, { "read", wait_in_read }, { "where", where }, { "speak", speak }, { "finish", finish },
	{ "ask", ask_only }, { "take", take }, { "ignore", ignore }, { "nonblocking", dial_nonblocking }, { "keepalive", keep_alive },
	{ "options", options }, { "tasks", tasks }, { "reuse", reuse }, { "redial", redial },
	{ "shift", shift }, { "double", twice },
	{ "close", close_connections }, { "clear", clear }, { "fork", fork_on }, { "up", up }, { "orphan", orphan },
	{ "vfork", vfork_one }, { "exec", exec_on }, { "tight", open_without_memory }, { "refuse", refuse },
	{ "user", give_up_user },
	{ "hand", hand }, { "leave", leave },
};

/* Without a buffer that a child or another program would not have. False at the end. */
static bool read_line(char *line, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && read(0, line + length, 1) == 1) {
		if (line[length] == '\n') {
			line[length] = '\0';
			return true;
		}
		length++;
	}
	return false;
}

static void split(char *line)
{
	for (size_t i = 0; i < 4; i++) {
		words[i] = line ? strsep(&line, " ") : NULL;
		if (words[i] && !*words[i])
			words[i] = NULL;
	}
}

static void obey(void)
{
	static char line[256];

	while (read_line(line, sizeof(line))) {
		split(line);
		if (!words[0] || !strcmp(words[0], "end"))
			return;
		for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
			if (!strcmp(words[0], commands[i].name)) {
				commands[i].run();
				break;
			}
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	alarm(LIMIT_S);
	program = argv[0];
	own_address = argv[1];
	own_port = argv[2];
	if (argc > 3)
		inherit(argv[3]);
	obey();
	return 0;
}
