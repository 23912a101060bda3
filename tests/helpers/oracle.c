/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle PLACE=ADDRESS... [only=PATTERN]...: dials in every mode and situation that there is, as programs do, well or badly, and
 * prints a line for each combination. The lines are the same under the shim as without it.
 *
 *	live=127.0.0.1:80	takes connections, and answers a line with a line
 *	late=10.0.0.1:80	the same, but its handshake takes a while
 *	refused=[::1]:81	has no listener; `reset` says so after a while
 *	unreachable=...		is not there, as a router says
 *	hole=...		never answers
 *
 * A line has five parts: the name, "MODE, PLACE, SITUATION"; what each call returned; what the socket is and does when it has
 * come to rest; its flags and options right after the last call, with what they were before where that differs; and how
 * many milliseconds the calls took: "NAME | CALLS | REST || KEPT || MS". Situations whose place is not given are left out,
 * and with patterns (fnmatch(3)) those whose name is like none of them.
 *
 * Each combination is a process of its own, and they wait side by side.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "entries.h"
#include "errors.h"

#ifndef FNM_EXTMATCH
#define FNM_EXTMATCH 0
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { LIMIT_MS = 20000, STEADY_MS = 60, AT_ONCE = 400, UNTOUCHED = 77, PART = 1024, LINE = 4 * PART };

/* ---- where to ---- */

enum place { LIVE, LATE, REFUSED, RESET, UNREACHABLE, HOLE, PLACES };

static const char *const place_names[PLACES] = { "live", "late", "refused", "reset", "unreachable", "hole" };

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		char bytes[256]; /* more than the kernel takes */
	};
	socklen_t length; /* 0: not given */
};

static struct address places[PLACES];

static bool parse_address(char *text, struct address *to)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	to->in.sin_port = htons((uint16_t)atoi(colon + 1)); /* the port lies at the same place in both families */
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		to->sa.sa_family = AF_INET6;
		to->length = sizeof(to->in6);
		return inet_pton(AF_INET6, text + 1, &to->in6.sin6_addr) == 1;
	}
	to->sa.sa_family = AF_INET;
	to->length = sizeof(to->in);
	return inet_pton(AF_INET, text, &to->in.sin_addr) == 1;
}

/* ---- what the socket keeps ---- */

static const struct {
	const char *name;
	int level, number;
} options[] = {
	{ "SO_TYPE", SOL_SOCKET, SO_TYPE },
	{ "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL },
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE },
	{ "SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO },
	{ "SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO },
	{ "SO_LINGER", SOL_SOCKET, SO_LINGER },
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR },
	{ "SO_PRIORITY", SOL_SOCKET, SO_PRIORITY },
	{ "SO_MARK", SOL_SOCKET, SO_MARK },
	{ "SO_BROADCAST", SOL_SOCKET, SO_BROADCAST },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY },
	{ "TCP_CORK", IPPROTO_TCP, TCP_CORK },
	{ "TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT },
	{ "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ "TCP_FASTOPEN_CONNECT", IPPROTO_TCP, TCP_FASTOPEN_CONNECT },
	{ "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE },
	{ "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL },
	{ "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT },
	{ "TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ "IP_TOS", IPPROTO_IP, IP_TOS },
	{ "IP_TTL", IPPROTO_IP, IP_TTL },
	{ "IP_FREEBIND", IPPROTO_IP, IP_FREEBIND },
	{ "IP_BIND_ADDRESS_NO_PORT", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
};

enum { TYPE, PROTOCOL }; /* the first two */
enum { OPTIONS = sizeof(options) / sizeof(*options), STATUS_FLAGS = OPTIONS, DESCRIPTOR_FLAGS, VALUES };

/* ---- a combination, while it is played ---- */

struct mode;
struct situation;

struct play {
	const struct mode *mode;
	const struct situation *situation;
	struct address *to;
	char *line; /* for whoever prints it: shared */
	char calls[PART], rest[PART], kept[PART];
	int fd, epoll, port; /* port: that was bound, in network order */
	long before[VALUES];
	double spent_ms;
	int error;  /* of the last call; 0: none */
	bool asked; /* the dial has sent the question as well */
	bool missed; /* the call was over before it was caught waiting */
	pthread_t thread;
	atomic_int tid;
	atomic_bool over;
	sigjmp_buf left;
};

struct mode {
	const char *name;
	int flags; /* for socket(2) */
	long send_timeout_ms;
	int user_timeout_ms;
	bool fast_connect, many_options;
	long (*call)(int fd, const void *sa, socklen_t length);
	bool sends; /* the call returns what it has sent */
};

struct situation {
	const char *name;
	unsigned places; /* bits of enum place */
	void (*act)(struct play *p);
	long detail;
	int (*open)(const struct play *p); /* NULL: a TCP socket */
	bool blocks; /* is one only where the call may block */
	bool to_live; /* dials `live` too */
};

__attribute__((format(printf, 2, 3))) static void tell(char part[PART], const char *format, ...)
{
	size_t used = strlen(part);
	va_list args;

	va_start(args, format);
	vsnprintf(part + used, PART - used, format, args);
	va_end(args);
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- modes ---- */

static long by_connect(int fd, const void *sa, socklen_t length)
{
	return connect(fd, sa, length);
}

static long by_sendto(int fd, const void *sa, socklen_t length)
{
	return sendto(fd, "who\n", 4, MSG_FASTOPEN | MSG_NOSIGNAL, sa, length);
}

static long by_sendmsg(int fd, const void *sa, socklen_t length)
{
	struct iovec iov[2] = { { "wh", 2 }, { "o\n", 2 } };
	struct msghdr msg = { .msg_name = (void *)sa, .msg_namelen = length, .msg_iov = iov, .msg_iovlen = 2 };
	struct msghdr before = msg;
	long result = sendmsg(fd, &msg, MSG_FASTOPEN | MSG_NOSIGNAL);

	return memcmp(&msg, &before, sizeof(msg)) ? 1000 : result; /* it is the program's, and stays as it was */
}

static long by_sendmmsg(int fd, const void *sa, socklen_t length)
{
	struct iovec iov = { "who\n", 4 };
	struct msghdr msg = { .msg_name = (void *)sa, .msg_namelen = length, .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr msgs[2] = { { msg, 0 }, { msg, 0 } };
	long result = sendmmsg(fd, msgs, 2, MSG_FASTOPEN | MSG_NOSIGNAL);

	if (result == 1)
		errno = UNTOUCHED; /* musl leaves that of the second there */
	return result > 0 ? result * 1000 + msgs[0].msg_len : result;
}

static const struct mode modes[] = {
	{ "blocking", .call = by_connect },
	{ "non-blocking", .flags = SOCK_NONBLOCK, .call = by_connect },
	{ "SO_SNDTIMEO", .send_timeout_ms = 2000, .call = by_connect },
	{ "SO_SNDTIMEO of 200 ms", .send_timeout_ms = 200, .call = by_connect },
	{ "TCP_USER_TIMEOUT of 500 ms", .user_timeout_ms = 500, .call = by_connect },
	{ "TCP_USER_TIMEOUT of 5 s", .user_timeout_ms = 5000, .flags = SOCK_CLOEXEC, .many_options = true, .call = by_connect },
	{ "TCP_FASTOPEN_CONNECT", .fast_connect = true, .call = by_connect },
	{ "non-blocking TCP_FASTOPEN_CONNECT", .fast_connect = true, .flags = SOCK_NONBLOCK, .call = by_connect },
	{ "MSG_FASTOPEN", .call = by_sendto, .sends = true },
	{ "MSG_FASTOPEN with SO_SNDTIMEO", .send_timeout_ms = 2000, .call = by_sendmsg, .sends = true },
	{ "MSG_FASTOPEN by sendmmsg", .call = by_sendmmsg, .sends = true },
	{ "non-blocking MSG_FASTOPEN", .flags = SOCK_NONBLOCK, .call = by_sendmsg, .sends = true },
};

static void set(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

/* Where the socket has no such option, it goes without. */
static void dress(const struct play *p)
{
	const struct mode *mode = p->mode;
	struct timeval limit = { mode->send_timeout_ms / 1000, mode->send_timeout_ms % 1000 * 1000 };

	if (mode->send_timeout_ms)
		setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (mode->user_timeout_ms)
		set(p->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, mode->user_timeout_ms);
	if (mode->fast_connect)
		set(p->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	if (!mode->many_options)
		return;
	set(p->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(p->fd, SOL_SOCKET, SO_PRIORITY, 3);
	set(p->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(p->fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set(p->fd, IPPROTO_TCP, TCP_SYNCNT, 2);
	set(p->fd, IPPROTO_IP, IP_TTL, 63);
}

/* ---- flags and options ---- */

/* A time in milliseconds, else the first word; -1: the socket has no such option. */
static long option_value(int fd, size_t i)
{
	long value[2] = { 0 };
	socklen_t length = sizeof(value);

	if (getsockopt(fd, options[i].level, options[i].number, value, &length))
		return -1;
	return length == sizeof(struct timeval) ? value[0] * 1000 + value[1] / 1000 : value[0];
}

static void look(int fd, long values[VALUES])
{
	for (size_t i = 0; i < OPTIONS; i++)
		values[i] = option_value(fd, i);
	values[STATUS_FLAGS] = fcntl(fd, F_GETFL);
	values[DESCRIPTOR_FLAGS] = fcntl(fd, F_GETFD);
}

static void tell_kept(struct play *p)
{
	long now[VALUES];

	look(p->fd, now);
	for (size_t i = 0; i < VALUES; i++) {
		const char *name = i < OPTIONS ? options[i].name : i == STATUS_FLAGS ? "F_GETFL" : "F_GETFD";

		if (now[i] != p->before[i])
			tell(p->kept, " %s=%ld>%ld", name, p->before[i], now[i]);
		else if (now[i] > 0)
			tell(p->kept, " %s=%ld", name, now[i]);
	}
	tell(p->kept, " descriptors=%d threads=%d", entries_of("/proc/self/fd"), entries_of("/proc/self/task"));
}

/* ---- the socket when it has come to rest ---- */

static int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) ? -1 : info.tcpi_state;
}

/* A raw socket also reads what others are sent. */
static short events_of(const struct play *p)
{
	return p->before[TYPE] == SOCK_STREAM ? POLLIN | POLLOUT : POLLOUT;
}

/* An error that an earlier dial has left behind is not what is waited for. Its readiness then. */
static int wait_until(const struct play *p, int wanted)
{
	double end = now_ms() + LIMIT_MS;
	struct pollfd ready = { p->fd, events_of(p) & (short)wanted, 0 };

	while (poll(&ready, 1, LIMIT_MS) > 0 && !(ready.revents & wanted) && now_ms() < end)
		usleep(2000);
	return ready.revents;
}

/* Until a dial that is under way has ended. Its readiness then. */
static int wait_for_end(const struct play *p)
{
	struct pollfd ready = { p->fd, events_of(p), 0 };

	if (tcp_state(p->fd) == TCP_SYN_SENT || p->error == EINPROGRESS || p->error == EALREADY)
		wait_until(p, POLLOUT | POLLHUP);
	poll(&ready, 1, 0);
	return ready.revents;
}

static int pending_error(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? errno : error;
}

static const char *error_or_0(int error)
{
	return error ? error_name(error) : "0";
}

static bool is_tcp(const struct play *p)
{
	return p->before[TYPE] == SOCK_STREAM && p->before[PROTOCOL] == IPPROTO_TCP;
}

/* Whom TCP has dialed is not hidden, and so not told. */
static void tell_names(struct play *p)
{
	struct address name = { .length = sizeof(name.bytes) }, peer = { .length = sizeof(peer.bytes) };

	if (getsockname(p->fd, &name.sa, &name.length))
		tell(p->rest, " name %s", error_name(errno));
	else if (p->port)
		tell(p->rest, " name %s", name.in.sin_port == p->port ? "as bound" : "another than bound");
	else
		tell(p->rest, " name %s", name.in.sin_port ? "yes" : "no port");
	if (getpeername(p->fd, &peer.sa, &peer.length))
		tell(p->rest, " peer %s", error_name(errno));
	else if (is_tcp(p))
		tell(p->rest, " peer %s", peer.length == p->to->length ? "yes" : "of another family");
	else
		tell(p->rest, " peer %s", memcmp(peer.bytes, p->to->bytes, 8) ? "another" : "as dialed");
}

static void tell_events(struct play *p, const char *what, int events)
{
	tell(p->rest, " %s%s%s%s%s%s%s", what, events & POLLIN ? " IN" : "", events & POLLOUT ? " OUT" : "",
	     events & POLLERR ? " ERR" : "", events & POLLHUP ? " HUP" : "", events & POLLNVAL ? " NVAL" : "",
	     events ? "" : " nothing");
}

/*
 * Whether the question is on its way, or there, though the call that sent it told of no byte: one that was interrupted, or left.
 * The SYN counts as one byte that was acknowledged.
 */
static bool has_asked(int fd)
{
	struct {
		uint64_t before[15]; /* struct tcp_info up to tcpi_bytes_acked, which not every C library knows */
		uint64_t bytes_acked;
	} info = { 0 };
	socklen_t length = sizeof(info);
	int queued = 0;

	/* In this order: what leaves the queue in between has been acknowledged. */
	return (ioctl(fd, TIOCOUTQ, &queued) == 0 && queued > 0) ||
	       (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.bytes_acked > 1);
}

/* True where it is a stream that can be written. */
static bool tell_readiness(struct play *p)
{
	struct epoll_event event = { 0 };
	int ready = wait_for_end(p);

	p->asked |= p->mode->sends && is_tcp(p) && has_asked(p->fd);
	if (p->asked && p->before[TYPE] == SOCK_STREAM) { /* the answer is on its way */
		wait_until(p, POLLIN | POLLHUP);
		ready = wait_for_end(p);
	}
	tell_events(p, "poll", ready);
	epoll_wait(p->epoll, &event, 1, 0);
	tell_events(p, "epoll", (int)event.events);
	tell(p->rest, " error %s", error_or_0(pending_error(p->fd)));
	tell(p->rest, " state %d", tcp_state(p->fd));
	tell_names(p);
	return p->before[TYPE] == SOCK_STREAM && ready & POLLOUT && !(ready & POLLHUP);
}

/* A line for a line. */
static void tell_answer(struct play *p)
{
	char line[64];
	ssize_t n = -1;

	if (!p->asked && send(p->fd, "who\n", 4, MSG_NOSIGNAL) != 4) {
		tell(p->rest, " send %s", error_name(errno));
		return;
	}
	if (wait_until(p, POLLIN | POLLHUP))
		n = recv(p->fd, line, sizeof(line), MSG_DONTWAIT);
	tell(p->rest, " answer %s", n < 0 ? error_name(errno) : n > 0 && line[n - 1] == '\n' ? "yes" : "cut");
}

/* ---- calls ---- */

static const char *outcome(const struct play *p)
{
	if (p->error)
		return error_name(p->error);
	return errno == UNTOUCHED ? "-" : "errno-changed";
}

static void call(struct play *p, const void *sa, socklen_t length)
{
	double begun = now_ms();
	long result;

	errno = UNTOUCHED;
	result = p->mode->call(p->fd, sa, length);
	p->error = result < 0 ? errno : 0;
	tell(p->calls, " %ld %s;", result, outcome(p));
	p->spent_ms += now_ms() - begun;
	p->asked |= p->mode->sends && result > 0;
}

static void dial(struct play *p, const struct address *to)
{
	call(p, to->bytes, to->length);
}

static int open_socket(const struct play *p, int family, int type, int protocol)
{
	return socket(family, type | p->mode->flags, protocol);
}

static int open_tcp(const struct play *p)
{
	return open_socket(p, p->to->sa.sa_family, SOCK_STREAM, 0);
}

/* ---- situations ---- */

static void once(struct play *p)
{
	dial(p, p->to);
}

static void twice(struct play *p)
{
	dial(p, p->to);
	dial(p, p->to);
}

/* As those do who learn from connect(2) what became of it. */
static void until_known(struct play *p)
{
	dial(p, p->to);
	for (int i = 0; i < 2; i++) {
		wait_for_end(p);
		dial(p, p->to);
	}
}

static void then_live(struct play *p)
{
	for (int i = 0; i < 3; i++) {
		dial(p, i ? &places[LIVE] : p->to);
		wait_for_end(p);
	}
}

static void read_error_then_live(struct play *p)
{
	dial(p, p->to);
	wait_for_end(p);
	tell(p->calls, " %s;", error_or_0(pending_error(p->fd)));
	dial(p, &places[LIVE]);
	wait_for_end(p);
	dial(p, &places[LIVE]);
}

static void leave(struct play *p)
{
	call(p, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr));
}

static void leave_then_live(struct play *p)
{
	dial(p, p->to);
	leave(p);
	dial(p, &places[LIVE]);
	wait_for_end(p);
}

static void elsewhere(struct play *p)
{
	dial(p, p->to);
	wait_for_end(p);
	dial(p, &places[REFUSED]);
}

/* Bad arguments; and then good ones. */

static void no_address(struct play *p)
{
	call(p, NULL, (socklen_t)p->situation->detail);
	dial(p, p->to);
}

static void nowhere_in_memory(struct play *p)
{
	call(p, (void *)p->situation->detail, p->to->length);
	dial(p, p->to);
}

static void with_length(struct play *p)
{
	call(p, p->to->bytes, (socklen_t)p->situation->detail);
	wait_for_end(p);
	dial(p, p->to);
}

static void at_odd_address(struct play *p)
{
	char bytes[64];

	memcpy(bytes + 1, p->to->bytes, p->to->length);
	call(p, bytes + 1, p->to->length);
}

static void with_family(struct play *p)
{
	struct address to = *p->to;

	to.sa.sa_family = (sa_family_t)p->situation->detail;
	dial(p, &to);
	dial(p, p->to);
}

/* The same address, written in the other family. */
static void in_other_family(struct play *p)
{
	struct address to = { .length = sizeof(to.in6) };

	to.in.sin_port = p->to->in.sin_port;
	to.sa.sa_family = p->to->sa.sa_family == AF_INET ? AF_INET6 : AF_INET;
	if (to.sa.sa_family == AF_INET) {
		memcpy(&to.in.sin_addr, &p->to->in6.sin6_addr.s6_addr[12], 4);
	} else {
		memset(&to.in6.sin6_addr.s6_addr[10], 0xff, 2);
		memcpy(&to.in6.sin6_addr.s6_addr[12], &p->to->in.sin_addr, 4);
	}
	dial(p, &to);
	to.length = sizeof(to.in);
	dial(p, &to);
	dial(p, p->to);
}

static void other_descriptor(struct play *p)
{
	close(p->fd);
	p->fd = p->situation->detail ? (int)p->situation->detail : open("/dev/null", O_RDONLY);
	dial(p, p->to);
}

static void listening(struct play *p)
{
	listen(p->fd, 1);
	dial(p, p->to);
}

/* Other protocols. */

static int open_udp(const struct play *p)
{
	return open_socket(p, p->to->sa.sa_family, SOCK_DGRAM, 0);
}

static int open_raw(const struct play *p)
{
	return open_socket(p, p->to->sa.sa_family, SOCK_RAW, IPPROTO_TCP);
}

static int open_mptcp(const struct play *p)
{
	return open_socket(p, p->to->sa.sa_family, SOCK_STREAM, IPPROTO_MPTCP);
}

static int open_sctp(const struct play *p)
{
	return open_socket(p, p->to->sa.sa_family, SOCK_STREAM, IPPROTO_SCTP);
}

static int open_local(const struct play *p)
{
	return open_socket(p, AF_UNIX, SOCK_STREAM, 0);
}

static int open_v6only(const struct play *p)
{
	int fd = open_tcp(p);

	set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return fd;
}

static void to_local(struct play *p)
{
	struct address here = { .un = { .sun_family = AF_UNIX }, .length = sizeof(here.un) };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	bind(listener, &here.sa, sizeof(sa_family_t)); /* to a name of the kernel's choice */
	listen(listener, 1);
	getsockname(listener, &here.sa, &here.length);
	dial(p, &here);
	strcpy(here.un.sun_path, "/nowhere/socket");
	dial(p, &here);
}

/* Bound sockets. */

/* Whence a datagram would go there. */
static struct address address_towards(const struct address *to)
{
	struct address from = { .length = sizeof(from.bytes) };
	int fd = socket(to->sa.sa_family, SOCK_DGRAM, 0);

	connect(fd, &to->sa, to->length);
	getsockname(fd, &from.sa, &from.length);
	close(fd);
	from.in.sin_port = 0;
	return from;
}

static void bind_there(struct play *p, struct address *from)
{
	struct address name = { .length = sizeof(name.bytes) };

	if (bind(p->fd, &from->sa, from->length))
		tell(p->calls, " bind %s;", error_name(errno));
	getsockname(p->fd, &name.sa, &name.length);
	p->port = name.in.sin_port;
}

static void bound(struct play *p)
{
	struct address from = address_towards(p->to);

	bind_there(p, &from);
	dial(p, p->to);
}

static void bound_without_port(struct play *p)
{
	set(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	look(p->fd, p->before);
	bound(p);
}

static void bound_to_any(struct play *p)
{
	struct address any = { .length = p->to->length };

	any.sa.sa_family = p->to->sa.sa_family;
	bind_there(p, &any);
	dial(p, p->to);
}

/* Threads and signals. */

static void nothing(int signal)
{
	(void)signal;
}

static struct play *in_handler_of; /* the one play of this process */

static void leave_call(int signal)
{
	(void)signal;
	siglongjmp(in_handler_of->left, 1);
}

static void on_signal(void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
}

static void *dial_in_thread(void *play)
{
	struct play *p = play;

	atomic_store(&p->tid, (int)syscall(SYS_gettid));
	if (sigsetjmp(p->left, 1))
		tell(p->calls, " left;");
	else
		dial(p, p->to);
	atomic_store(&p->over, true);
	return NULL;
}

static void start_dialing(struct play *p, size_t stack_size)
{
	pthread_attr_t attr;

	in_handler_of = p;
	pthread_attr_init(&attr);
	if (stack_size)
		pthread_attr_setstacksize(&attr, stack_size);
	if (pthread_create(&p->thread, &attr, dial_in_thread, p))
		tell(p->calls, " no thread;");
}

/* A thread that was joined may still be on its way out of the kernel's list. */
static void wait_for_exit(const struct play *p)
{
	double end = now_ms() + LIMIT_MS;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", atomic_load(&p->tid));
	while (access(path, F_OK) == 0 && now_ms() < end)
		usleep(1000);
}

static void end_dialing(struct play *p)
{
	void *end = NULL;

	pthread_join(p->thread, &end);
	wait_for_exit(p);
	if (end == PTHREAD_CANCELED)
		tell(p->calls, " cancelled;");
}

/* The system call that the thread sleeps in, and its first argument: -1 where it runs. */
static void where_it_sleeps(const struct play *p, char text[PART], long *descriptor)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&p->tid));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, PART - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%*d 0x%lx", (unsigned long *)descriptor) != 1)
		*descriptor = -1;
}

/* Until the thread waits in its call, for good as it seems. False where the call is over before: at once, or missed. */
static bool waits_in_call(struct play *p)
{
	char now[PART], before[PART] = "";
	double since = now_ms(), end = since + LIMIT_MS;
	long descriptor;

	while (!atomic_load(&p->over) && now_ms() < end) {
		where_it_sleeps(p, now, &descriptor);
		if (descriptor != p->fd || strcmp(now, before))
			since = now_ms();
		else if (now_ms() - since > STEADY_MS)
			return true;
		strcpy(before, now);
		usleep(20000);
	}
	p->missed = p->spent_ms > STEADY_MS;
	return false;
}

static void interrupted(struct play *p)
{
	on_signal(nothing, (int)p->situation->detail);
	start_dialing(p, 0);
	if (waits_in_call(p))
		pthread_kill(p->thread, SIGUSR1);
	end_dialing(p);
}

static void interrupted_and_again(struct play *p)
{
	interrupted(p);
	dial(p, p->to);
}

static void left_by_longjmp(struct play *p)
{
	on_signal(leave_call, 0);
	start_dialing(p, 0);
	if (waits_in_call(p))
		pthread_kill(p->thread, SIGUSR1);
	end_dialing(p);
}

static void cancelled(struct play *p)
{
	start_dialing(p, 0);
	if (waits_in_call(p))
		pthread_cancel(p->thread);
	end_dialing(p);
}

/* A cancellation that waits for the call. */
static void *cancel_and_dial(void *play)
{
	struct play *p = play;

	atomic_store(&p->tid, (int)syscall(SYS_gettid));
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	if (!p->situation->detail)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	dial(p, p->to);
	return NULL;
}

static void cancelled_before(struct play *p)
{
	pthread_create(&p->thread, NULL, cancel_and_dial, p);
	end_dialing(p);
}

static void on_small_stack(struct play *p)
{
	start_dialing(p, 16384);
	end_dialing(p);
}

static void dial_in_handler(int signal)
{
	(void)signal;
	dial(in_handler_of, in_handler_of->to);
}

static void in_handler(struct play *p)
{
	in_handler_of = p;
	on_signal(dial_in_handler, 0);
	raise(SIGUSR1);
}

/* The process. */

static void as_daemon(struct play *p)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid) {
			waitpid(pid, NULL, 0);
			_exit(0);
		}
		setsid();
	}
	dial(p, p->to);
}

static void without_descriptors(struct play *p)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	p->fd = open_tcp(p);
	dress(p);
	dial(p, p->to);
}

static void without_environment(struct play *p)
{
	clearenv();
	dial(p, p->to);
}

static void elsewhere_as_somebody_else(struct play *p)
{
	if (chdir("/proc/self/fdinfo") || chroot(".") || setgid(65534) || setuid(65534))
		tell(p->calls, " %s;", error_name(errno));
	dial(p, p->to);
}

#define AT(place) (1u << (place))
#define ANYWHERE  (AT(PLACES) - 1)
#define WAITING	  (AT(LATE) | AT(RESET) | AT(HOLE))

static const struct situation situations[] = {
	{ "dialed", ANYWHERE, .act = once },
	{ "dialed twice", WAITING, .act = twice },
	{ "dialed until it is known what became of it", ANYWHERE & ~AT(HOLE), .act = until_known },
	{ "then another", ANYWHERE, .act = then_live, .to_live = true },
	{ "its error read, then another", ANYWHERE, .act = read_error_then_live, .to_live = true },
	{ "left with AF_UNSPEC, then another", ANYWHERE & ~AT(UNREACHABLE), .act = leave_then_live, .to_live = true },
	{ "then one that refuses", AT(LIVE), .act = elsewhere },
	{ "after AF_UNSPEC", AT(LIVE), .act = with_family, .detail = AF_UNSPEC },
	{ "after an address of no family", AT(LIVE), .act = with_family, .detail = 999 },
	{ "after AF_UNIX", AT(LIVE), .act = with_family, .detail = AF_UNIX },
	{ "after the other family", AT(LIVE), .act = in_other_family },
	{ "after no address", AT(LIVE), .act = no_address },
	{ "after no address but a length", AT(LIVE), .act = no_address, .detail = sizeof(struct sockaddr_in6) },
	{ "after an address in no memory, (void *)8", AT(LIVE), .act = nowhere_in_memory, .detail = 8 },
	{ "after an address in no memory, (void *)-1", AT(LIVE), .act = nowhere_in_memory, .detail = -1 },
	{ "after a length of 0", AT(LIVE), .act = with_length },
	{ "after a length of 2", AT(LIVE), .act = with_length, .detail = 2 },
	{ "after a length of 15", AT(LIVE), .act = with_length, .detail = 15 },
	{ "after a length of 16", AT(LIVE), .act = with_length, .detail = 16 },
	{ "after a length of 17", AT(LIVE), .act = with_length, .detail = 17 },
	{ "after a length of 23", AT(LIVE), .act = with_length, .detail = 23 },
	{ "after a length of 24", AT(LIVE), .act = with_length, .detail = 24 },
	{ "after a length of 28", AT(LIVE), .act = with_length, .detail = 28 },
	{ "after a length of 128", AT(LIVE), .act = with_length, .detail = 128 },
	{ "after a length of 129", AT(LIVE), .act = with_length, .detail = 129 },
	{ "after a length of -1", AT(LIVE), .act = with_length, .detail = -1 },
	{ "at an odd address", AT(LIVE), .act = at_odd_address },
	{ "no descriptor", AT(LIVE), .act = other_descriptor, .detail = -1 },
	{ "a closed descriptor", AT(LIVE), .act = other_descriptor, .detail = 1000 },
	{ "no socket", AT(LIVE), .act = other_descriptor },
	{ "listening", AT(LIVE), .act = listening },
	{ "UDP", AT(LIVE) | AT(REFUSED), .act = once, .open = open_udp },
	{ "raw", AT(LIVE), .act = once, .open = open_raw },
	{ "MPTCP", AT(LIVE) | AT(REFUSED), .act = until_known, .open = open_mptcp },
	{ "SCTP", AT(LIVE) | AT(REFUSED), .act = until_known, .open = open_sctp },
	{ "IPV6_V6ONLY", AT(LIVE), .act = once, .open = open_v6only },
	{ "a local socket", AT(LIVE), .act = once, .open = open_local },
	{ "a local socket to local ones", AT(LIVE), .act = to_local, .open = open_local },
	{ "bound with a port", ANYWHERE, .act = bound },
	{ "bound without a port", ANYWHERE, .act = bound_without_port },
	{ "bound with a port alone", ANYWHERE, .act = bound_to_any },
	{ "interrupted", WAITING, .act = interrupted, .blocks = true },
	{ "interrupted, SA_RESTART", WAITING, .act = interrupted, .detail = SA_RESTART, .blocks = true },
	{ "interrupted and dialed again", WAITING, .act = interrupted_and_again, .blocks = true },
	{ "left by longjmp", WAITING, .act = left_by_longjmp, .blocks = true },
	{ "cancelled", WAITING, .act = cancelled, .blocks = true },
	{ "cancelled before", AT(LIVE) | WAITING, .act = cancelled_before },
	{ "not to be cancelled", AT(LIVE) | AT(LATE), .act = cancelled_before, .detail = 1 },
	{ "on a small stack", AT(LIVE), .act = on_small_stack },
	{ "in a signal handler", AT(LIVE), .act = in_handler },
	{ "in a daemon", AT(LIVE), .act = as_daemon },
	{ "without descriptors", AT(LIVE), .act = without_descriptors },
	{ "without an environment", AT(LIVE), .act = without_environment },
	{ "in another root, as somebody else", AT(LIVE), .act = elsewhere_as_somebody_else },
};

/* ---- all of them ---- */

static void watch(struct play *p)
{
	struct epoll_event event = { .events = (uint32_t)events_of(p) | EPOLLET }; /* its bits are poll's */

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->fd, &event);
}

static void conclude(struct play *p)
{
	tell_kept(p);
	if (tell_readiness(p) && p->situation->open != open_local)
		tell_answer(p);
	snprintf(p->line, LINE, "%s |%s ||%s || %.0f", p->calls, p->rest, p->kept, p->spent_ms);
}

/* False: to be played again, on a machine that is less busy. */
static bool play_it(struct play *p)
{
	p->fd = p->situation->open ? p->situation->open(p) : open_tcp(p);
	if (p->fd < 0) {
		snprintf(p->line, LINE, " no socket: %s", error_name(errno));
		return true;
	}
	dress(p);
	look(p->fd, p->before);
	watch(p);
	p->situation->act(p);
	if (!p->missed)
		conclude(p);
	close(p->fd);
	close(p->epoll);
	return !p->missed;
}

struct combination {
	const struct mode *mode;
	const struct situation *situation;
	enum place place;
	char *line;
	pid_t pid;
};

static void name_of(const struct combination *c, char name[PART])
{
	snprintf(name, PART, "%s, %s, %s", c->mode->name, place_names[c->place], c->situation->name);
}

/* In its call, while it waits. */
static bool may_be_caught(const struct mode *mode)
{
	return !(mode->flags & SOCK_NONBLOCK) && (!mode->send_timeout_ms || mode->send_timeout_ms > 1000);
}

static bool is_possible(const struct combination *c)
{
	if (!(c->situation->places & AT(c->place)) || !places[c->place].length)
		return false;
	if (c->situation->to_live && !places[LIVE].length)
		return false;
	return !c->situation->blocks || may_be_caught(c->mode);
}

/* Any, or those whose names are like one of the patterns. */
static bool is_asked_for(const struct combination *c, char *const *patterns)
{
	char name[PART];

	name_of(c, name);
	for (size_t i = 0; patterns[i]; i++)
		if (fnmatch(patterns[i], name, FNM_EXTMATCH) == 0)
			return true;
	return !patterns[0];
}

static bool play_once(const struct combination *c)
{
	struct play p = { .mode = c->mode, .situation = c->situation, .to = &places[c->place], .line = c->line };

	return play_it(&p);
}

static void start(struct combination *c)
{
	c->pid = fork();
	if (c->pid)
		return;
	alarm(60);
	for (int i = 0; i < 20 && !play_once(c); i++)
		;
	/* So that lines are counted (tests/coverage.sh), which under another root or user says that it cannot. */
	close(2);
	exit(0);
}

/* Until one of them ends; -1: there is none. */
static int end_one(struct combination *all, size_t count)
{
	int status;
	pid_t pid = wait(&status);

	for (size_t i = 0; i < count; i++)
		if (all[i].pid == pid && WIFSIGNALED(status))
			snprintf(all[i].line, LINE, " ended by signal %d", WTERMSIG(status));
	return pid > 0 ? 0 : -1;
}

static void play_all(struct combination *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i >= AT_ONCE)
			end_one(all, i);
		start(&all[i]);
	}
	while (end_one(all, count) == 0)
		;
}

static size_t list(struct combination *all, char *const *patterns)
{
	size_t count = 0;

	for (int place = PLACES - 1; place >= 0; place--) /* those that take long begin first */
		for (size_t i = 0; i < sizeof(situations) / sizeof(*situations); i++)
			for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
				struct combination c = { &modes[m], &situations[i], (enum place)place, NULL, 0 };

				if (is_possible(&c) && is_asked_for(&c, patterns))
					all[count++] = c;
			}
	return count;
}

static bool take_place(const char *name, char *address)
{
	for (enum place place = 0; place < PLACES; place++)
		if (!strcmp(name, place_names[place]))
			return parse_address(address, &places[place]);
	return false;
}

/* The patterns come to stand at the front of argv, which ends with NULL. */
static char **parse(char **argv)
{
	size_t patterns = 0;

	for (size_t i = 1; argv[i]; i++) {
		char *name = argv[i], *value = strchr(name, '=');

		if (!value)
			exit(2);
		*value++ = '\0';
		if (!strcmp(name, "only"))
			argv[patterns++] = value;
		else if (!take_place(name, value))
			exit(2);
	}
	argv[patterns] = NULL;
	return argv;
}

int main(int argc, char **argv)
{
	enum { MOST = sizeof(situations) / sizeof(*situations) * PLACES * (sizeof(modes) / sizeof(*modes)) };
	static struct combination all[MOST];
	size_t count = list(all, parse(argv));
	char *lines = mmap(NULL, MOST * LINE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), name[PART];

	(void)argc;
	for (size_t i = 0; i < count; i++)
		all[i].line = lines + i * LINE;
	play_all(all, count);
	for (size_t i = 0; i < count; i++) {
		name_of(&all[i], name);
		printf("%s |%s\n", name, all[i].line);
	}
	return 0;
}
