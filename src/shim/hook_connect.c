/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect(2), and sendto, sendmsg and sendmmsg where MSG_FASTOPEN makes them dial.
 *
 * A dial that is not ours is the caller's own call, and nothing else. One that is ours is the caller's call with another
 * address; where the endpoint fails it, the same descriptor dials the next one. What may be dialed again, and how, follows
 * from what Linux does (net/ipv4/af_inet.c, __inet_stream_connect):
 *	- a blocking connect that failed leaves the socket as it was, and it may connect again at once;
 *	- a non-blocking one keeps its error until SO_ERROR is read, and is left with connect(AF_UNSPEC);
 *	- a socket that was bound without a port gets another one then, so a socket that already has one is dialed once.
 *
 * "Has a port" includes sockets whose earlier connect failed, which keep theirs.
 *
 * Extra system calls of a healthy dial: SO_PROTOCOL, getsockname and F_GETFL; blocking: TCP_USER_TIMEOUT got, set and set
 * back; non-blocking: one poll. At most six.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/sys.h"
#include "shim/dial.h"
#include "shim/follow.h"
#include "shim/guard.h"
#include "shim/next.h"

#define HOOK __attribute__((visibility("default")))

#define SOCKADDR_SIZE 28 /* struct sockaddr_in6 */

/* What a blocking dial changes on the socket for its own time, and puts back. */
struct patience {
	uint64_t begun_ns;
	struct timeval send;	  /* SO_SNDTIMEO as the program had set it */
	unsigned handshake_ms;	  /* TCP_USER_TIMEOUT likewise */
	bool handshake_changed, send_changed;
};

/* A dial of the program, from its first endpoint to its last. */
struct call {
	int fd;
	uint32_t len;
	const struct sockaddr *sa; /* the caller's */
	bool fresh;		   /* never dialed nor bound: may dial again on failure */
	bool landed;		   /* the last attempt is the kernel's now */
	bool stale;		   /* has the error of an earlier dial, which the next call will be told */
	int16_t error;		   /* of the last attempt; 0: connected */
	struct dial_choice choice;
	struct patience patience;
	struct dial dial;
};

/* ---- the socket ---- */

static int tcp_state(int fd)
{
	uint8_t state = 0; /* the first byte of struct tcp_info */
	uint32_t len = sizeof(state);

	return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 ? state : -1;
}

/* The local port; 0: it has none yet. It lies at the same place in both families. */
__attribute__((noinline))
static bool local_port(int fd, uint16_t *ret_port_be)
{
	struct sockaddr_in6 name;
	uint32_t len = sizeof(name);

	name.sin6_port = 0;
	if (sys_getsockname(fd, &name, &len) < 0)
		return false;
	*ret_port_be = name.sin6_port;
	return true;
}

/*
 * Whether the handshake was over when the socket failed: its SYN was acknowledged. Kernels before 4.2 do not tell. An RST in
 * the handshake is ECONNREFUSED, and one after it is no failed dial (net/ipv4/tcp_input.c, tcp_reset).
 */
__attribute__((noinline))
static bool was_established(int fd)
{
	struct {
		uint64_t before[15]; /* struct tcp_info up to tcpi_bytes_acked */
		uint64_t bytes_acked;
	} info;
	uint32_t len = sizeof(info);

	return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && len == sizeof(info) && info.bytes_acked;
}

static bool has_error(int fd)
{
	struct pollfd p = { .fd = fd };

	return sys_poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

__attribute__((noinline))
static enum dial_reason look_at_socket(struct call *c)
{
	int protocol, flags;
	uint16_t port_be;

	if (sys_getsockopt_int(c->fd, SOL_SOCKET, SO_PROTOCOL, &protocol) < 0 || protocol != IPPROTO_TCP)
		return DIAL_NOT_TCP;
	if (!local_port(c->fd, &port_be))
		return DIAL_NOT_TCP;
	c->fresh = port_be == 0;
	if (!c->fresh && tcp_state(c->fd) != TCP_CLOSE)
		return DIAL_IN_USE;
	c->stale = !c->fresh && has_error(c->fd);
	flags = sys_fcntl_getfl(c->fd);
	c->dial.blocking = flags >= 0 && !(flags & O_NONBLOCK);
	c->dial.pick.hesitant = !c->dial.blocking || !c->fresh;
	return DIAL_OURS;
}

/* ---- what an error says of the endpoint ---- */

enum blame {
	BLAME_NOBODY,
	BLAME_ROUTE, /* not the endpoint, which has not been asked or has answered; but the next one may serve */
	BLAME_REFUSED,
	BLAME_TIMED_OUT,
};

static enum blame blame_for(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return BLAME_REFUSED;
	case ENETUNREACH: /* this socket, or this host, has no way there */
	case ECONNRESET:  /* after the handshake, before the caller woke */
		return BLAME_ROUTE;
	case ETIMEDOUT:
		return BLAME_TIMED_OUT;
	default:
		return BLAME_NOBODY;
	}
}

/* Of what the call itself was told: nobody, if an earlier dial of the socket had left something to tell. */
static enum blame blame_of(const struct call *c)
{
	return c->stale ? BLAME_NOBODY : blame_for(c->error);
}

/* The dial is the kernel's. Where nobody has seen its success, and the endpoint failed the last one, somebody shall look. */
static void land(struct call *c, bool success)
{
	uint16_t port_be;

	dial_landed(&c->dial, &c->choice, success);
	c->landed = true;
	if (!success && c->choice.doubted && local_port(c->fd, &port_be))
		dial_await(&c->dial, &c->choice, port_be);
}

/* When all that the dial changed on the socket is as it was. */
static void follow(const struct call *c)
{
	if (c->landed && (c->dial.moves || c->dial.keepalive_ms))
		follow_landed(c->fd, &c->dial, &c->choice);
}

/* Ends a choice that came to nothing. */
static void end_failed(struct call *c, enum blame blame)
{
	if (blame == BLAME_REFUSED || blame == BLAME_TIMED_OUT)
		dial_failed(&c->dial, &c->choice, blame == BLAME_TIMED_OUT ? OUTCOME_TIMED_OUT : OUTCOME_REFUSED);
	else
		dial_dropped(&c->dial, &c->choice);
}

/* A connect that returned 0. With TCP_FASTOPEN_CONNECT it may not have sent anything yet. */
static bool is_answered(const struct call *c)
{
	return !c->choice.doubted || tcp_state(c->fd) == TCP_ESTABLISHED;
}

/* The kernel goes on with the dial by itself. */
static bool is_under_way(int error)
{
	return error == EINPROGRESS || error == EINTR || error == EALREADY;
}

static void trace(const struct call *c, int error)
{
	dial_trace(&c->dial, &c->choice, DIAL_OURS, error);
}

/* The caller's call to the chosen endpoint. 0, or its errno. */
static int call_connect(const struct call *c)
{
	char sa[SOCKADDR_SIZE] __attribute__((aligned(8)));

	memset(sa, 0, sizeof(sa));
	addr_to_sockaddr(&c->choice.addr, c->sa, sa);
	/* The caller's length: a wrong one has an error of its own. */
	return -next_dial(c->fd, (const struct sockaddr *)sa, c->len < sizeof(sa) ? c->len : sizeof(sa));
}

/* ---- blocking ---- */

/* TCP_USER_TIMEOUT bounds the handshake too, and unlike SO_SNDTIMEO ends it: tcp(7), and RFC 5482. */
__attribute__((noinline))
static void bound_handshake(struct call *c)
{
	struct patience *patience = &c->patience;
	unsigned timeout_ms = c->fresh && c->choice.others ? c->dial.verdict.handshake_ms : 0;
	int own = 0;

	patience->begun_ns = clock_read_ns(CLOCK_MONOTONIC);
	patience->handshake_changed = patience->send_changed = false;
	patience->handshake_ms = 0;
	if (timeout_ms == 0 || sys_getsockopt_int(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &own) < 0)
		return;
	patience->handshake_ms = (unsigned)own;
	if (own && patience->handshake_ms <= timeout_ms)
		return;
	patience->handshake_changed =
		sys_setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) == 0;
}

static void unbound_handshake(struct call *c)
{
	const unsigned *own = &c->patience.handshake_ms;

	if (c->patience.handshake_changed)
		sys_setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, own, sizeof(*own));
	c->patience.handshake_changed = false;
}

static void put_back(struct call *c)
{
	unbound_handshake(c);
	if (c->patience.send_changed)
		sys_setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &c->patience.send, sizeof(c->patience.send));
	c->patience.send_changed = false;
}

/*
 * After a failure: whether the program's own patience allows another attempt. With SO_SNDTIMEO the attempts share its
 * time, so that the last one ends when, and as, a single one would have; a TCP_USER_TIMEOUT shorter than ours is used up.
 */
static bool may_go_on(struct call *c, enum blame blame)
{
	struct patience *patience = &c->patience;
	const struct timeval *own = &patience->send;
	struct timeval left;
	uint32_t len = sizeof(patience->send);
	uint64_t own_us, spent_us;

	spent_us = (clock_read_ns(CLOCK_MONOTONIC) - patience->begun_ns) / 1000u;
	if (patience->handshake_ms &&
	    (spent_us >= patience->handshake_ms * 1000ull || (blame == BLAME_TIMED_OUT && !patience->handshake_changed)))
		return false;
	if (!patience->send_changed && sys_getsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience->send, &len) < 0)
		return true;
	own_us = (uint64_t)own->tv_sec * 1000000u + (uint64_t)own->tv_usec;
	if (own_us == 0)
		return true;
	if (spent_us >= own_us)
		return false;
	left.tv_sec = (time_t)((own_us - spent_us) / 1000000u);
	left.tv_usec = (suseconds_t)((own_us - spent_us) % 1000000u);
	patience->send_changed |= sys_setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) == 0;
	return true;
}

/* As call_connect, which is where a thread may end: guard.h. */
__attribute__((noinline))
static int call_connect_guarded(struct call *c)
{
	const struct patience *p = &c->patience;
	struct guarded what = {
		.fd = c->fd,
		.bound_ms = c->dial.verdict.handshake_ms,
		.handshake_ms = p->handshake_ms,
		.send = p->send,
		.handshake_changed = p->handshake_changed,
		.send_changed = p->send_changed,
		.ledger = c->dial.pick.ledger,
		.key = c->choice.key,
	};
	struct guard *guard = guard_enter(&what);
	int error;

	GUARD_THIS_FRAME();
	error = call_connect(c);
	guard_leave(guard);
	return error;
}

/* One endpoint. True if it failed the dial, and the next one is to be tried. */
__attribute__((noinline))
static bool try_blocking(struct call *c)
{
	enum blame blame;
	int error;

	if (!c->choice.others) /* nobody to go on to: the kernel's own patience is the better one */
		unbound_handshake(c);
	error = call_connect_guarded(c);
	c->error = (int16_t)error;
	blame = blame_of(c);
	trace(c, error);
	if (error == 0 || is_under_way(error)) {
		land(c, error == 0 && is_answered(c));
		return false;
	}
	end_failed(c, blame);
	if (blame == BLAME_NOBODY || !c->fresh)
		return false;
	if (blame == BLAME_TIMED_OUT && --c->dial.attempts == 0)
		return false;
	return may_go_on(c, blame);
}

/* ---- non-blocking ---- */

enum answer { ANSWER_NONE, ANSWER_YES, ANSWER_NO };

static enum answer look_for_answer(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (sys_poll(&p, 1, wait_ms) <= 0)
		return ANSWER_NONE;
	if (p.revents & (POLLERR | POLLHUP))
		return ANSWER_NO;
	return p.revents & POLLOUT ? ANSWER_YES : ANSWER_NONE;
}

/* Once without waiting; longer only for a suspect, and only as long as the dial has not waited for others. */
static enum answer wait_for_answer(struct dial *dial, int fd, bool patient)
{
	uint64_t begun_ns, spent_ms;
	enum answer answer;

	if (!patient || dial->wait_ms == 0)
		return look_for_answer(fd, 0);
	begun_ns = clock_read_ns(CLOCK_MONOTONIC);
	answer = look_for_answer(fd, (int)dial->wait_ms);
	spent_ms = (clock_read_ns(CLOCK_MONOTONIC) - begun_ns + 500000) / 1000000u;
	dial->wait_ms -= spent_ms < dial->wait_ms ? (uint16_t)spent_ms : dial->wait_ms;
	return answer;
}

/* Takes the socket back to where it can dial again. The error it had. */
static int leave_failed_dial(int fd)
{
	struct sockaddr none;
	int error = 0;

	sys_getsockopt_int(fd, SOL_SOCKET, SO_ERROR, &error);
	memset(&none, 0, sizeof(none));
	none.sa_family = AF_UNSPEC;
	sys_connect(fd, &none, sizeof(none));
	return error ? error : ECONNABORTED; /* another thread has read it */
}

/* What became of a dial under way. True if it failed and the next endpoint is to be dialed. */
static bool failed_at_once(struct call *c)
{
	bool can_follow = c->fresh && c->choice.others;
	enum answer answer = wait_for_answer(&c->dial, c->fd, can_follow && c->choice.suspect);
	enum blame blame;

	if (answer == ANSWER_NO && was_established(c->fd))
		answer = ANSWER_YES; /* and reset since, which is the program's to see */
	if (answer != ANSWER_NO) {
		land(c, answer == ANSWER_YES);
		return false;
	}
	if (!can_follow) { /* the program reads the error itself */
		dial_left(&c->dial, &c->choice);
		return false;
	}
	c->error = (int16_t)leave_failed_dial(c->fd);
	blame = blame_for(c->error);
	end_failed(c, blame);
	if (blame != BLAME_NOBODY)
		trace(c, c->error);
	return blame != BLAME_NOBODY;
}

/* As try_blocking. */
__attribute__((noinline))
static bool try_nonblocking(struct call *c)
{
	int error = call_connect(c);
	enum blame blame;

	c->error = (int16_t)error;
	blame = blame_of(c);
	trace(c, error);
	if (error == 0) {
		land(c, is_answered(c));
		return false;
	}
	if (is_under_way(error))
		return failed_at_once(c);
	if (blame == BLAME_NOBODY || !c->fresh || error == ECONNREFUSED || error == ETIMEDOUT) {
		/* A synchronous refusal belongs to an earlier dial of this socket: blame nobody. */
		dial_dropped(&c->dial, &c->choice);
		return false;
	}
	end_failed(c, blame); /* no way there: known without a packet */
	return true;
}

/* ---- the hook ---- */

__attribute__((noinline))
static bool choose_first(struct call *c)
{
	dial_mend(&c->dial, false);
	if (!dial_choose(&c->dial, &c->choice))
		return false;
	if (c->choice.doubted)
		dial_mend(&c->dial, true);
	return true;
}

/* True if the dial is ours and its first endpoint is chosen; else it is the caller's own. */
static inline bool begin(struct call *c, int fd, const struct sockaddr *sa, uint32_t len)
{
	enum dial_reason reason = dial_prepare(&c->dial, sa, len);
	enum dial_reason socket;

	c->fd = fd;
	c->sa = sa;
	c->len = len;
	c->stale = false;
	c->landed = false;
	if (reason == DIAL_OURS || reason == DIAL_OBSERVED) {
		socket = look_at_socket(c);
		if (socket != DIAL_OURS)
			reason = socket;
		else if (!choose_first(c))
			reason = DIAL_NO_ENDPOINT;
	}
	if (reason == DIAL_OBSERVED) {
		dial_dropped(&c->dial, &c->choice); /* the place is given back, the count stays */
		if (c->dial.moves)
			follow_observed(fd, &c->dial, &c->choice);
	}
	if (reason == DIAL_OURS)
		return true;
	dial_trace(&c->dial, reason == DIAL_OBSERVED ? &c->choice : NULL, reason, 0);
	return false;
}

/*
 * What a router answered to the attempt that failed stays in the socket's queue of errors, and would look like the next one's to
 * whoever polls.
 */
static void forget_errors(int fd)
{
	char byte;

	for (int i = 0; i < 8 && sys_recv(fd, &byte, 1, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0; i++)
		;
}

/* After an attempt that failed: its error is the program's to see only where nobody is left. */
static bool choose_next(struct call *c)
{
	if (!dial_choose(&c->dial, &c->choice))
		return false;
	forget_errors(c->fd);
	return true;
}

__attribute__((noinline)) /* keeps its stack out of the dials that are not ours */
static int connect_service(int fd, const struct sockaddr *sa, socklen_t len)
{
	int before = errno_get();
	struct call c;

	if (!begin(&c, fd, sa, len))
		return next_connect(fd, sa, len);
	if (c.dial.blocking) {
		bound_handshake(&c);
		while (try_blocking(&c) && choose_next(&c))
			;
		put_back(&c);
	} else {
		while (try_nonblocking(&c) && choose_next(&c))
			;
	}
	follow(&c);
	errno_set(c.error ? c.error : before);
	return c.error ? -1 : 0;
}

/*
 * A handler without SA_RESTART ran while the dial waited for a table, before the kernel had heard of it. To the program that is
 * a dial which was interrupted: it fails with EINTR, and the connection comes about all the same (connect(2)), for which the
 * program may wait now. So the request is sent, with the least patience that there is: the kernel's own clock has it back at once.
 */
__attribute__((noinline))
static int connect_interrupted(int fd, const struct sockaddr *sa, socklen_t len)
{
	static const struct timeval least = { .tv_usec = 1 };
	struct timeval none = { 0, 0 };
	int before = errno_get(), error;

	/* Only a dial without a bound of its own has waited: none is put back. */
	if (sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &least, sizeof(least)) < 0)
		return next_connect(fd, sa, len);
	error = -next_dial(fd, sa, len);
	sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	if (error == EINPROGRESS)
		error = EINTR;
	errno_set(error ? error : before);
	return error ? -1 : 0;
}

HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	int service = dial_is_service(fd, sa, len);

	if (service > 0)
		return connect_service(fd, sa, len);
	if (service < 0)
		return connect_interrupted(fd, sa, len);
	return next_connect(fd, sa, len);
}

/* ---- MSG_FASTOPEN ---- */

/* What the caller wants to send, and how. */
struct message {
	const struct msghdr *msg;
	int flags;
	bool flat; /* by sendto(2): a name and one piece, and nothing else */
};

/* The caller's own call. */
static ssize_t send_as_called(int fd, const struct message *m)
{
	const struct msghdr *msg = m->msg;

	if (m->flat)
		return next_sendto(fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len, m->flags, msg->msg_name, msg->msg_namelen);
	return next_sendmsg(fd, msg, m->flags);
}

/* The same to the chosen endpoint. The bytes that went, or a negative errno. */
__attribute__((noinline))
static ssize_t send_to_choice(const struct call *c, const struct message *m)
{
	char sa[SOCKADDR_SIZE] __attribute__((aligned(8)));
	struct msghdr copy = *m->msg;

	memset(sa, 0, sizeof(sa));
	addr_to_sockaddr(&c->choice.addr, c->sa, sa);
	if (copy.msg_namelen > sizeof(sa))
		copy.msg_namelen = sizeof(sa);
	if (m->flat)
		return next_send_flat(c->fd, copy.msg_iov->iov_base, copy.msg_iov->iov_len, m->flags, (const struct sockaddr *)sa,
				      copy.msg_namelen);
	copy.msg_name = sa;
	return next_send(c->fd, &copy, m->flags);
}

/* As try_blocking, of a message. `*ret_n`: the bytes that went, or -1. */
__attribute__((noinline))
static bool try_sending(struct call *c, const struct message *m, ssize_t *ret_n)
{
	ssize_t n = send_to_choice(c, m);
	int error = n < 0 ? (int)-n : 0;
	enum blame blame;

	c->error = (int16_t)error;
	blame = blame_of(c);
	*ret_n = n < 0 ? -1 : n;
	trace(c, error);
	if (error == 0 || is_under_way(error) || error == EAGAIN) {
		land(c, false); /* the data may wait for a handshake that is not over */
		return false;
	}
	end_failed(c, blame);
	/* After a timeout the data in the SYN may have been processed: only a refusal is dialed again. */
	return blame != BLAME_NOBODY && blame != BLAME_TIMED_OUT && c->dial.blocking && c->fresh;
}

__attribute__((noinline))
static ssize_t fastopen_service(int fd, const struct message *m)
{
	int before = errno_get();
	struct call c;
	ssize_t n;

	if (!begin(&c, fd, m->msg->msg_name, m->msg->msg_namelen))
		return send_as_called(fd, m);
	while (try_sending(&c, m, &n) && choose_next(&c))
		;
	follow(&c);
	errno_set(c.error ? c.error : before);
	return n;
}

static bool dials(const void *sa, uint32_t len, int flags)
{
	return (flags & MSG_FASTOPEN) && sa && dial_is_service(ATTACH_NO_WAIT, sa, len) > 0;
}

HOOK ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
	if (!dials(sa, len, flags))
		return next_sendto(fd, buf, n, flags, sa, len);

	struct iovec iov = { (void *)buf, n };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	msg.msg_name = (void *)sa;
	msg.msg_namelen = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	return fastopen_service(fd, &(struct message){ &msg, flags, true });
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (!(flags & MSG_FASTOPEN) || is_wild(msg) || !dials(msg->msg_name, msg->msg_namelen, flags))
		return next_sendmsg(fd, msg, flags);
	return fastopen_service(fd, &(struct message){ msg, flags, false });
}

HOOK int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	ssize_t first;
	int rest, before;

	if (!(flags & MSG_FASTOPEN) || is_wild(msgs) || n == 0 ||
	    !dials(msgs[0].msg_hdr.msg_name, msgs[0].msg_hdr.msg_namelen, flags))
		return next_sendmmsg(fd, msgs, n, flags);
	first = fastopen_service(fd, &(struct message){ &msgs[0].msg_hdr, flags, false });
	if (first < 0)
		return -1;
	msgs[0].msg_len = (unsigned)first;
	if (n == 1)
		return 1;
	/* The first message has dialed; what the kernel says of the others stands, and of an error it tells next time. */
	before = errno_get();
	rest = next_sendmmsg(fd, msgs + 1, n - 1, flags);
	if (rest < 0)
		errno_set(before);
	return rest < 0 ? 1 : 1 + rest;
}
