/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over loopback that are closed for whoever holds them: when, and what both ends see of it. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/tcp_told.h"
#include "shim/leave.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/refusals.h"

enum { LIMIT_MS = 60000, QUIET_MS = 20, TICKS_US = 25000 /* more than two ticks of the slowest kernel */, PAIRS = 200, RACES = 25 };

/* ---- connections ---- */

struct pair {
	int client, server;
	uint64_t cookie; /* the client's */
};

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

static int listener(int backlog, struct sockaddr_in *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)ret, sizeof(*ret)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
	return fd;
}

static struct pair unkept_pair(void)
{
	struct sockaddr_in where;
	int listening = listener(1, &where);
	struct pair p = { .client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	assert_int_equal(connect(p.client, (struct sockaddr *)&where, sizeof(where)), 0);
	p.server = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p.server >= 0);
	close(listening);
	p.cookie = cookie_of(p.client);
	return p;
}

static struct pair connected(void)
{
	struct pair p = unkept_pair();

	close_after_test(p.client);
	close_after_test(p.server);
	return p;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void hear(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(buf, text);
}

static void hear_end(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 0);
}

/* A request whose answer comes ticks later: nobody can mistake which was last. */
static void slow_exchange(const struct pair *p)
{
	say(p->client, "ask\n");
	hear(p->server, "ask\n");
	usleep(TICKS_US);
	say(p->server, "answer\n");
	hear(p->client, "answer\n");
}

static enum connection look(const struct pair *p)
{
	return connection_look(p->client, p->cookie, NULL, QUIET_MS, NULL);
}

static void wait_until(const struct pair *p, enum connection what)
{
	for (long begun = now_ms(); look(p) != what; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("a connection is %d for ever, not %d", look(p), what);
}

static struct pair quiet_one(void)
{
	struct pair p = connected();

	slow_exchange(&p);
	wait_until(&p, CONNECTION_QUIET);
	return p;
}

/* Until nothing has moved for longer than an ACK is ever delayed. */
static void let_rest(const struct pair *p)
{
	uint32_t rest_ms = 0;

	for (long begun = now_ms(); rest_ms < 250; usleep(1000)) {
		connection_look(p->client, p->cookie, NULL, QUIET_MS, &rest_ms);
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("a connection never rests");
	}
}

static enum connection leave(const struct pair *p, bool cut)
{
	return connection_leave(p->client, p->cookie, NULL, QUIET_MS, cut);
}

static void default_again(void *unused)
{
	(void)unused;
	signal(SIGPIPE, SIG_DFL);
}

static void ignore_sigpipe(void)
{
	after_test(default_again, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void set_option(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- a look ---- */

static void connection_that_nobody_has_used_is_quiet_after_its_time(void **state)
{
	struct pair p = connected();
	uint32_t rest_ms = 0;

	(void)state;
	assert_int_equal(connection_look(p.client, p.cookie, NULL, 3600 * 1000, &rest_ms), CONNECTION_BUSY);
	wait_until(&p, CONNECTION_QUIET);
	assert_int_equal(connection_look(p.client, p.cookie, NULL, QUIET_MS, &rest_ms), CONNECTION_QUIET);
	assert_true(rest_ms >= QUIET_MS);
}

static void connection_whose_server_spoke_first_is_quiet_when_that_was_read(void **state)
{
	struct pair p = connected();

	(void)state;
	say(p.server, "220 ready\n");
	let_rest(&p);
	assert_int_equal(look(&p), CONNECTION_BUSY);
	hear(p.client, "220 ready\n");
	assert_int_equal(look(&p), CONNECTION_QUIET);
}

static void answered_connection_is_quiet_when_the_answer_was_read(void **state)
{
	struct pair p = connected();

	(void)state;
	say(p.client, "ask\n");
	hear(p.server, "ask\n");
	usleep(TICKS_US);
	say(p.server, "answer\n");
	let_rest(&p);
	assert_int_equal(look(&p), CONNECTION_BUSY);
	hear(p.client, "answer\n");
	assert_int_equal(look(&p), CONNECTION_QUIET);
	assert_int_equal(connection_look(p.client, p.cookie, NULL, 3600 * 1000, NULL), CONNECTION_BUSY);
}

/* What is asked within the tick of the answer before has the same time as that: the kernel's other sign tells them apart. */
static void connection_that_waits_for_an_answer_is_never_quiet(void **state)
{
	struct pair p[PAIRS];
	struct rlimit files = { 1024, 1024 };

	(void)state;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < PAIRS; i++) {
		p[i] = connected();
		for (int n = 0; n < i % 4; n++) { /* as the first request, and as a later one */
			say(p[i].client, "ask\n");
			hear(p[i].server, "ask\n");
			say(p[i].server, "answer\n");
			hear(p[i].client, "answer\n");
		}
		say(p[i].client, "more\n");
		hear(p[i].server, "more\n");
	}
	let_rest(&p[PAIRS - 1]);
	for (int looks = 0; looks < 10; looks++)
		for (int i = 0; i < PAIRS; i++)
			assert_int_equal(look(&p[i]), CONNECTION_BUSY);
	for (int i = 0; i < PAIRS; i++) {
		say(p[i].server, "answer\n");
		hear(p[i].client, "answer\n");
	}
	for (int i = 0; i < PAIRS; i++)
		wait_until(&p[i], CONNECTION_QUIET);
}

/* What the server says last does not help bytes that it has not taken. */
static void connection_whose_bytes_are_not_taken_is_never_quiet(void **state)
{
	static const char bytes[65536];
	struct pair p = connected();

	(void)state;
	while (send(p.client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	usleep(TICKS_US);
	say(p.server, "wait\n");
	hear(p.client, "wait\n");
	for (int i = 0; i < 20; i++) {
		usleep(TICKS_US);
		assert_int_equal(look(&p), CONNECTION_BUSY);
	}
}

static void connection_that_is_not_established_is_being_dialed(void **state)
{
	struct sockaddr_in where;
	int listening = close_after_test(listener(0, &where)), fd = -1;

	(void)state;
	for (int i = 0; i < 8; i++) { /* nobody accepts: soon the queue is full, and a SYN is not answered */
		fd = close_after_test(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
		connect(fd, (struct sockaddr *)&where, sizeof(where));
	}
	assert_true(listening >= 0);
	assert_int_equal(connection_look(fd, cookie_of(fd), NULL, 0, NULL), CONNECTION_DIALING);
	assert_int_equal(connection_leave(fd, cookie_of(fd), NULL, 0, true), CONNECTION_DIALING);
	assert_int_equal(connection_look(fd, cookie_of(fd), NULL, 0, NULL), CONNECTION_DIALING);
}

static void what_is_no_connection_any_more_has_ended(void **state)
{
	struct pair p = connected(), other = quiet_one();
	int udp = close_after_test(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close_after_test(ends[0]);
	close_after_test(ends[1]);
	assert_int_equal(connection_look(-1, 1, NULL, 0, NULL), CONNECTION_ENDED);
	assert_int_equal(connection_look(9999, 1, NULL, 0, NULL), CONNECTION_ENDED);
	assert_int_equal(connection_look(ends[0], 1, NULL, 0, NULL), CONNECTION_ENDED);
	assert_int_equal(connection_look(udp, cookie_of(udp), NULL, 0, NULL), CONNECTION_ENDED);
	assert_int_equal(connection_look(p.client, p.cookie + 1, NULL, 0, NULL), CONNECTION_ENDED);
	assert_int_equal(shutdown(p.server, SHUT_WR), 0);
	hear_end(p.client);
	assert_int_equal(look(&p), CONNECTION_ENDED);
	assert_int_equal(leave(&p, true), CONNECTION_ENDED);
	say(p.client, "still there\n");
	hear(p.server, "still there\n");
	/* The number is another connection's now. */
	assert_true(dup3(other.client, p.client, O_CLOEXEC) >= 0);
	assert_int_equal(look(&p), CONNECTION_ENDED);
	assert_int_equal(leave(&p, false), CONNECTION_ENDED);
	assert_int_equal(leave(&p, true), CONNECTION_ENDED);
	slow_exchange(&other);
	wait_until(&other, CONNECTION_QUIET);
}

/* ---- kernels whose connections become interactive in another way ---- */

#define IPV4_SETTINGS "/proc/sys/net/ipv4"

/* An answer that was read within the tick of its question. */
static struct pair tied(void)
{
	long end = now_ms() + LIMIT_MS;

	while (now_ms() < end) {
		struct pair p = connected();
		struct tcp_told told = { 0 };
		socklen_t len = sizeof(told);

		say(p.client, "ask\n");
		hear(p.server, "ask\n");
		say(p.server, "answer\n");
		hear(p.client, "answer\n");
		let_rest(&p);
		assert_int_equal(getsockopt(p.client, IPPROTO_TCP, TCP_INFO, &told, &len), 0);
		if (told.last_data_sent_ms == told.last_data_recv_ms && option(p.client, IPPROTO_TCP, TCP_QUICKACK) == 1)
			return p;
	}
	fail_msg("no answer comes within the tick of its question");
	return (struct pair){ 0 };
}

/* For this process alone: the setting has this text, or is not there. */
static void set_threshold(const char *text)
{
	FILE *f;

	if (mount("none", IPV4_SETTINGS, "tmpfs", 0, NULL))
		_exit(101);
	if (!text)
		return;
	f = fopen(IPV4_SETTINGS "/tcp_pingpong_thresh", "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		_exit(102);
}

struct kernel {
	const struct pair *pair;
	const char *threshold;
};

static int look_under(void *what)
{
	const struct kernel *kernel = what;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 100;
	set_threshold(kernel->threshold);
	if (!kernel->threshold && personality(UNAME26) < 0)
		return 103;
	return (int)look(kernel->pair);
}

/* What a connection is said to be under a kernel with that setting; without the setting, under an old one. */
static enum connection is_under(const struct pair *p, const char *threshold)
{
	int is = in_forked_child(look_under, &(struct kernel){ p, threshold });

	if (is == 100)
		skip_because("only root may have a /proc of its own");
	return (enum connection)is;
}

/* Where that takes more than one answer, what came first within a tick cannot be told, and the connection stays. */
static void tie_is_taken_for_an_answer_only_where_the_first_answer_counts(void **state)
{
	struct pair p = tied();

	(void)state;
	assert_int_equal(is_under(&p, "1\n"), CONNECTION_QUIET);
	assert_int_equal(is_under(&p, "3\n"), CONNECTION_BUSY);
	assert_int_equal(is_under(&p, "11\n"), CONNECTION_BUSY);
	assert_int_equal(is_under(&p, NULL), CONNECTION_QUIET);
}

/* ---- leaving where SIGPIPE is ignored ---- */

static void program_that_ignores_sigpipe_sees_the_servers_end(void **state)
{
	struct pair p = quiet_one();

	(void)state;
	ignore_sigpipe();
	assert_int_equal(leave(&p, false), CONNECTION_QUIET);
	hear_end(p.server);
	say(p.server, "bye\n");
	close(p.server);
	hear(p.client, "bye\n");
	hear_end(p.client);
	assert_int_equal(write(p.client, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(leave(&p, false), CONNECTION_ENDED);
}

static void busy_connection_stays(void **state)
{
	struct pair p = quiet_one();

	(void)state;
	say(p.client, "ask\n");
	hear(p.server, "ask\n");
	let_rest(&p);
	assert_int_equal(leave(&p, false), CONNECTION_BUSY);
	ignore_sigpipe();
	assert_int_equal(leave(&p, false), CONNECTION_BUSY);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_CORK), 0);
	say(p.server, "answer\n");
	hear(p.client, "answer\n");
}

/* ---- a program that asks while its connection is closed ---- */

struct race {
	struct pair pair;
	pthread_t server, client;
	unsigned received, answered; /* requests, at either end */
	int error;                   /* what ended the client: an errno; 0: the end */
	bool lost;                   /* a request had been written, and was not answered */
};

static void *serve_slowly(void *what)
{
	struct race *race = what;
	char c;

	while (read(race->pair.server, &c, 1) == 1) {
		race->received++;
		usleep(TICKS_US / 5 * 3);
		send(race->pair.server, &c, 1, MSG_NOSIGNAL);
	}
	shutdown(race->pair.server, SHUT_RDWR);
	return NULL;
}

/* Its pauses are of all lengths up to a few looks. */
static void *ask_on_and_on(void *what)
{
	struct race *race = what;
	char c = 'x';

	for (unsigned i = 0;; i++) {
		ssize_t n = write(race->pair.client, &c, 1);

		race->lost = n == 1;
		if (n == 1)
			n = read(race->pair.client, &c, 1);
		if (n != 1) {
			race->error = n < 0 ? errno : 0;
			return NULL;
		}
		race->answered++;
		usleep(i * 37 % 400);
	}
}

static void run_race(struct race *race)
{
	enum connection was = CONNECTION_BUSY;

	*race = (struct race){ .pair = connected() };
	assert_int_equal(pthread_create(&race->server, NULL, serve_slowly, race), 0);
	assert_int_equal(pthread_create(&race->client, NULL, ask_on_and_on, race), 0);
	for (long begun = now_ms(); was == CONNECTION_BUSY && now_ms() - begun < LIMIT_MS; usleep(50))
		was = connection_leave(race->pair.client, race->pair.cookie, NULL, 0, false);
	if (was == CONNECTION_BUSY) /* so that the threads end */
		shutdown(race->pair.server, SHUT_RDWR);
	assert_int_equal(pthread_join(race->client, NULL), 0);
	assert_int_equal(pthread_join(race->server, NULL), 0);
	assert_int_equal(was, CONNECTION_QUIET);
	assert_int_equal(option(race->pair.client, IPPROTO_TCP, TCP_CORK), 0);
}

static void request_that_slips_in_is_answered(void **state)
{
	(void)state;
	ignore_sigpipe();
	for (int i = 0; i < RACES; i++) {
		struct race race;

		run_race(&race);
		assert_false(race.lost);
		assert_int_equal(race.error, EPIPE);
		assert_int_equal(race.received, race.answered);
	}
}

/* It may fail, but never after the server has had it: whoever asks again elsewhere asks once. SIGPIPE would kill this test. */
static void request_that_fails_has_not_been_heard(void **state)
{
	(void)state;
	for (int i = 0; i < RACES; i++) {
		struct race race;

		run_race(&race);
		if (race.error != ECONNRESET && race.error != EPIPE)
			fail_msg("the client ended with %d", race.error);
		assert_int_equal(race.received, race.answered);
	}
}

/* ---- leaving where it is not ---- */

static void await(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	if (status)
		fail_msg("a child ended with status 0x%x", (unsigned)status);
}

static void write_and_read(int fd)
{
	char c;

	if (write(fd, "x", 1) != -1 || errno != ECONNRESET)
		_exit(2);
	if (read(fd, &c, 1) != 0 || read(fd, &c, 1) != 0)
		_exit(3);
	_exit(0);
}

static void read_twice(int fd)
{
	char c;

	if (read(fd, &c, 1) != -1 || errno != ECONNRESET)
		_exit(2);
	if (read(fd, &c, 1) != 0)
		_exit(3);
	_exit(0);
}

static void handle(int signal)
{
	(void)signal;
	_exit(4);
}

static void leave_and(void (*disposition)(int), void (*then)(int))
{
	struct pair p = quiet_one();
	pid_t child = fork();

	if (child == 0) {
		signal(SIGPIPE, disposition);
		if (leave(&p, false) != CONNECTION_QUIET)
			_exit(1);
		then(p.client);
	}
	await(child);
	assert_int_equal(recv(p.server, &child, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void program_that_sigpipe_would_kill_survives_its_next_call(void **state)
{
	(void)state;
	leave_and(SIG_DFL, write_and_read);
	leave_and(SIG_DFL, read_twice);
	leave_and(handle, write_and_read);
}

static void cork_is_as_the_program_left_it(void **state)
{
	struct pair p = quiet_one(), corked = quiet_one();

	(void)state;
	set_option(corked.client, IPPROTO_TCP, TCP_CORK, 1);
	assert_int_equal(leave(&p, false), CONNECTION_QUIET);
	assert_int_equal(leave(&corked, false), CONNECTION_QUIET);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_CORK), 0);
	assert_int_equal(option(corked.client, IPPROTO_TCP, TCP_CORK), 1);
}

static void every_descriptor_of_a_connection_sees_its_end(void **state)
{
	struct pair p = quiet_one();
	int twin = close_after_test(fcntl(p.client, F_DUPFD_CLOEXEC, 0));
	char c;

	(void)state;
	close(p.client);
	assert_int_equal(leave(&p, false), CONNECTION_ENDED);
	p.client = twin;
	assert_int_equal(leave(&p, false), CONNECTION_QUIET);
	assert_int_equal(recv(twin, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	hear_end(twin);
}

static void who_polls_is_told(bool ignoring)
{
	struct pair p = quiet_one();
	int epoll = close_after_test(epoll_create1(EPOLL_CLOEXEC));
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct pollfd poller = { .fd = p.client, .events = POLLIN };

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, p.client, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(leave(&p, false), CONNECTION_QUIET);
	if (ignoring) { /* then the server's end is what they see */
		hear_end(p.server);
		close(p.server);
	}
	assert_int_equal(poll(&poller, 1, LIMIT_MS), 1);
	assert_true(poller.revents & POLLIN);
	assert_int_equal(epoll_wait(epoll, &event, 1, LIMIT_MS), 1);
	assert_true(event.events & EPOLLIN);
	assert_true(event.events & EPOLLRDHUP);
}

static void who_polls_a_connection_is_told_of_its_end(void **state)
{
	(void)state;
	who_polls_is_told(false);
	ignore_sigpipe();
	who_polls_is_told(true);
}

/* ---- the calls by which a connection is taken down: a request in the moment before one, and one that is refused ---- */

static struct moment {
	long number;
	unsigned length_at, length; /* of its arguments the one that is a length, and what that is */
	int client;
	unsigned met;
} moment;

/* The program asks; then the call is made as it was meant, with a longer length, which the filter lets pass. */
static void ask_then_call(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	long result;
#if defined(__x86_64__)
	const long long *r = at->uc_mcontext.gregs;
	long a[] = { r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8] };
#elif defined(__aarch64__)
	const unsigned long long *r = at->uc_mcontext.regs;
	long a[] = { (long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4] };
#endif

	(void)signal;
	(void)info;
	if (moment.met++ == 0 && write(moment.client, "slip\n", 5) != 5)
		_exit(124);
	a[moment.length_at] += 4;
	result = syscall(moment.number, a[0], a[1], a[2], a[3], a[4]);
	if (result < 0)
		result = -errno;
#if defined(__x86_64__)
	at->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	at->uc_mcontext.regs[0] = (unsigned long long)result;
#endif
}

static void trap_moment(void)
{
	const struct sigaction action = { .sa_sigaction = ask_then_call, .sa_flags = SA_SIGINFO };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)moment.number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + moment.length_at * 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, moment.length, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(125);
}

static const struct moment corking = { .number = SYS_setsockopt, .length_at = 4, .length = sizeof(int) };
static const struct moment disconnecting = { .number = SYS_connect, .length_at = 2, .length = sizeof(struct sockaddr) };

static void leave_in(const struct pair *p, const struct moment *when, enum connection expected)
{
	pid_t child = fork();

	if (child == 0) {
		moment = *when;
		moment.client = p->client;
		trap_moment();
		_exit(leave(p, false) != expected || moment.met == 0);
	}
	await(child);
}

static void request_before_the_cork_keeps_the_connection(void **state)
{
	struct pair p = quiet_one();

	(void)state;
	leave_in(&p, &corking, CONNECTION_BUSY);
	hear(p.server, "slip\n");
	say(p.server, "answer\n");
	hear(p.client, "answer\n");
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_CORK), 0);
}

static void request_after_the_last_look_never_reaches_the_server(void **state)
{
	struct pair p = quiet_one();
	struct tcp_told told = { 0 };
	socklen_t len = sizeof(told);
	char c;

	(void)state;
	leave_in(&p, &disconnecting, CONNECTION_QUIET);
	assert_int_equal(read(p.client, &c, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	hear_end(p.client);
	assert_int_equal(option(p.server, SOL_SOCKET, SO_ERROR), ECONNRESET);
	assert_int_equal(getsockopt(p.server, IPPROTO_TCP, TCP_INFO, &told, &len), 0);
	assert_int_equal(told.data_segs_in, 1); /* that of slow_exchange */
}

struct refused {
	const struct moment *call;
	const struct pair *pair;
	bool cut;
};

static int leave_where_it_is_refused(void *what)
{
	const struct refused *r = what;

	refuse_call_with((unsigned)r->call->number, r->call->length_at, r->call->length, EOPNOTSUPP);
	return (int)leave(r->pair, r->cut);
}

/* In a process that may not make the call, as under a sandbox's filter, or with a protocol that refuses. */
static void leave_without(const struct moment *call, const struct pair *p, bool cut, enum connection expected)
{
	assert_int_equal(in_forked_child(leave_where_it_is_refused, &(struct refused){ call, p, cut }), expected);
}

static void assert_goes_on(const struct pair *p)
{
	say(p->client, "ask\n");
	hear(p->server, "ask\n");
	say(p->server, "answer\n");
	hear(p->client, "answer\n");
	assert_int_equal(option(p->client, IPPROTO_TCP, TCP_CORK), 0);
}

static void connection_that_cannot_be_taken_down_goes_on(void **state)
{
	struct pair p = quiet_one(), other = quiet_one();

	(void)state;
	leave_without(&corking, &p, false, CONNECTION_BUSY);
	assert_goes_on(&p);
	leave_without(&disconnecting, &other, false, CONNECTION_BUSY);
	assert_goes_on(&other);
}

/* The server is told of it only by a program whom its own next write does not kill. */
static void who_is_cut_off_reads_an_end_where_disconnecting_is_refused(void **state)
{
	struct pair p = quiet_one(), other = quiet_one();

	(void)state;
	say(p.client, "ask\n");
	leave_without(&disconnecting, &p, true, CONNECTION_BUSY);
	hear_end(p.client);
	hear(p.server, "ask\n");
	say(p.client, "more\n");
	hear(p.server, "more\n");
	ignore_sigpipe();
	say(other.client, "ask\n");
	leave_without(&disconnecting, &other, true, CONNECTION_BUSY);
	hear_end(other.client);
	hear(other.server, "ask\n");
	hear_end(other.server);
}

/* ---- threads that wait in a call ---- */

struct waiter {
	pthread_t thread;
	int fd;
	pid_t tid;
	bool writes;
	int error; /* 0: the end */
};

static void *wait_in_a_call(void *what)
{
	static const char bytes[65536];
	struct waiter *waiter = what;
	char c;
	ssize_t n;

	__atomic_store_n(&waiter->tid, gettid(), __ATOMIC_RELEASE);
	do
		n = waiter->writes ? write(waiter->fd, bytes, sizeof(bytes)) : read(waiter->fd, &c, 1);
	while (n > 0);
	waiter->error = n < 0 ? errno : 0;
	return NULL;
}

/* Until it sleeps: proc(5), stat. */
static void start_waiter(struct waiter *waiter, int fd, bool writes)
{
	char text[512], *state = NULL;
	int sleeps = 0;

	*waiter = (struct waiter){ .fd = fd, .writes = writes };
	assert_int_equal(pthread_create(&waiter->thread, NULL, wait_in_a_call, waiter), 0);
	for (long begun = now_ms(); sleeps < 20 && now_ms() - begun < LIMIT_MS; usleep(1000)) {
		pid_t tid = __atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE);
		FILE *file = tid ? fopen(format("/proc/self/task/%d/stat", (int)tid), "re") : NULL;

		if (!file)
			continue;
		state = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
		fclose(file);
		sleeps = state && state[2] == 'S' ? sleeps + 1 : 0;
	}
}

static void who_waits_in_a_read_is_woken(void **state)
{
	struct pair p = quiet_one();
	struct waiter waiter;
	enum connection was;

	(void)state;
	start_waiter(&waiter, p.client, false);
	was = leave(&p, false);
	if (was != CONNECTION_QUIET)
		close(p.server);
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	if (was == CONNECTION_BUSY)
		skip_because("this kernel disconnects nobody who waits in a call");
	assert_int_equal(was, CONNECTION_QUIET);
	if (waiter.error != ECONNRESET && waiter.error != EPIPE)
		fail_msg("who waited was told %d", waiter.error);
}

static void who_waits_in_a_read_sees_the_servers_end(void **state)
{
	struct pair p = quiet_one();
	struct waiter waiter;

	(void)state;
	ignore_sigpipe();
	start_waiter(&waiter, p.client, false);
	assert_int_equal(leave(&p, false), CONNECTION_QUIET);
	hear_end(p.server);
	close(p.server);
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	assert_int_equal(waiter.error, 0);
}

/* ---- cutting ---- */

static void cut_while(bool writes)
{
	struct pair p = connected();
	struct waiter waiter;

	start_waiter(&waiter, p.client, writes);
	say(p.server, "half an ans");
	if (!writes) {
		say(p.client, "x"); /* and waits for the other half */
		hear(p.server, "x");
	}
	assert_int_equal(leave(&p, true), CONNECTION_BUSY);
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	if (waiter.error != ECONNRESET && waiter.error != EPIPE)
		fail_msg("who waited was told %d", waiter.error);
}

static void answer_that_is_cut_short_is_an_error(void **state)
{
	(void)state;
	cut_while(false);
	cut_while(true); /* SIGPIPE would kill this test */
	ignore_sigpipe();
	cut_while(false);
	cut_while(true);
}

static void quiet_connection_is_cut_as_one_that_leaves(void **state)
{
	struct pair p = quiet_one(), other = quiet_one();
	char c;

	(void)state;
	assert_int_equal(leave(&p, true), CONNECTION_QUIET);
	assert_int_equal(recv(p.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	hear_end(p.client);
	ignore_sigpipe();
	assert_int_equal(leave(&other, true), CONNECTION_QUIET);
	hear_end(other.server);
	say(other.server, "bye\n");
	hear(other.client, "bye\n");
}

/* ---- descriptors ---- */

static void no_descriptor_is_left(void **state)
{
	struct pair p = quiet_one(), busy = connected(), cut = connected();
	unsigned before;

	(void)state;
	say(busy.client, "ask\n");
	say(cut.client, "ask\n");
	before = descriptors();
	look(&p);
	connection_look(p.client, p.cookie + 1, NULL, 0, NULL);
	connection_leave(p.client, p.cookie + 1, NULL, 0, true);
	leave(&p, false);
	leave(&p, false);
	leave(&busy, false);
	leave(&cut, true);
	assert_int_equal(descriptors(), before);
}

static void few_descriptors_are_enough(void **state)
{
	struct pair p = quiet_one();
	struct rlimit before, few;
	enum connection is, was;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){ 64, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	is = look(&p);
	was = leave(&p, false);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(is, CONNECTION_QUIET);
	assert_int_equal(was, CONNECTION_QUIET);
	assert_int_equal(option(p.server, SOL_SOCKET, SO_ERROR), ECONNRESET);
}

static void where_no_descriptor_is_left_nothing_is_known_and_nothing_ended(void **state)
{
	struct pair p = quiet_one();
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		while (dup(0) >= 0)
			;
		_exit(errno != EMFILE || look(&p) != CONNECTION_BUSY || leave(&p, false) != CONNECTION_BUSY ||
		      leave(&p, true) != CONNECTION_ENDED);
	}
	await(child);
	slow_exchange(&p);
}

/* ---- keepalive ---- */

static void idle_connection_is_probed(void **state)
{
	struct pair p = connected();

	(void)state;
	connection_keep_alive(p.client, 30000);
	assert_int_equal(option(p.client, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
	assert_int_equal(connection_keep_alive_bound_ms(30000), 60000);
}

static void probes_are_a_second_apart_at_the_least(void **state)
{
	struct pair p = connected();

	(void)state;
	connection_keep_alive(p.client, 1500);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPIDLE), 2);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
	assert_int_equal(connection_keep_alive_bound_ms(1500), 5000);
	assert_int_equal(connection_keep_alive_bound_ms(1000), 4000);
	assert_int_equal(connection_keep_alive_bound_ms(32767u * 1000), (32767 + 3 * 10923) * 1000);
	connection_keep_alive(p.server, 32767u * 1000);
	assert_int_equal(option(p.server, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
	assert_int_equal(option(p.server, IPPROTO_TCP, TCP_KEEPINTVL), 10923);
}

static void probes_of_the_program_are_left_alone(void **state)
{
	struct pair p = connected();
	int idle = option(p.client, IPPROTO_TCP, TCP_KEEPIDLE);

	(void)state;
	set_option(p.client, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(p.server, IPPROTO_TCP, TCP_USER_TIMEOUT, 77000);
	connection_keep_alive(p.client, 30000);
	connection_keep_alive(p.server, 30000);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_KEEPIDLE), idle);
	assert_int_equal(option(p.client, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	assert_int_equal(option(p.server, IPPROTO_TCP, TCP_USER_TIMEOUT), 77000);
	assert_int_equal(option(p.server, SOL_SOCKET, SO_KEEPALIVE), 0);
}

int main(void)
{
	const struct CMUnitTest leave_tests[] = {
		TEST(connection_that_nobody_has_used_is_quiet_after_its_time),
		TEST(connection_whose_server_spoke_first_is_quiet_when_that_was_read),
		TEST(answered_connection_is_quiet_when_the_answer_was_read),
		TEST(connection_that_waits_for_an_answer_is_never_quiet),
		TEST(connection_whose_bytes_are_not_taken_is_never_quiet),
		TEST(connection_that_is_not_established_is_being_dialed),
		TEST(what_is_no_connection_any_more_has_ended),
		TEST(tie_is_taken_for_an_answer_only_where_the_first_answer_counts),
		TEST(program_that_ignores_sigpipe_sees_the_servers_end),
		TEST(busy_connection_stays),
		TEST(request_that_slips_in_is_answered),
		TEST(request_that_fails_has_not_been_heard),
		TEST(program_that_sigpipe_would_kill_survives_its_next_call),
		TEST(request_before_the_cork_keeps_the_connection),
		TEST(request_after_the_last_look_never_reaches_the_server),
		TEST(connection_that_cannot_be_taken_down_goes_on),
		TEST(who_is_cut_off_reads_an_end_where_disconnecting_is_refused),
		TEST(cork_is_as_the_program_left_it),
		TEST(every_descriptor_of_a_connection_sees_its_end),
		TEST(who_polls_a_connection_is_told_of_its_end),
		TEST(who_waits_in_a_read_is_woken),
		TEST(who_waits_in_a_read_sees_the_servers_end),
		TEST(answer_that_is_cut_short_is_an_error),
		TEST(quiet_connection_is_cut_as_one_that_leaves),
		TEST(no_descriptor_is_left),
		TEST(few_descriptors_are_enough),
		TEST(where_no_descriptor_is_left_nothing_is_known_and_nothing_ended),
		TEST(idle_connection_is_probed),
		TEST(probes_are_a_second_apart_at_the_least),
		TEST(probes_of_the_program_are_left_alone),
	};

	return RUN_TESTS(leave_tests);
}
