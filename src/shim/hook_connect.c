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
#include "base/sys.h"
#include "shim/dial.h"
#include "shim/next.h"

#define HOOK __attribute__((visibility("default")))

#define SUSPECT_WAIT_MS 3
#define SOCKADDR_SIZE	28 /* struct sockaddr_in6 */

struct target {
	int fd;
	const struct sockaddr *sa; /* the caller's */
	bool fresh;		   /* never dialed nor bound: may dial again on failure */
};

/* ---- the socket ---- */

static bool is_unconnected(int fd)
{
	uint8_t state = 0; /* the first byte of struct tcp_info */
	uint32_t len = sizeof(state);

	return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 && state == TCP_CLOSE;
}

static enum dial_reason look_at_socket(struct target *target, struct dial *dial)
{
	union {
		struct sockaddr_in in; /* the port lies at the same place in both families */
		struct sockaddr_in6 in6;
	} name;
	uint32_t len = sizeof(name);
	int protocol, flags;

	if (sys_getsockopt_int(target->fd, SOL_SOCKET, SO_PROTOCOL, &protocol) < 0 || protocol != IPPROTO_TCP)
		return DIAL_NOT_TCP;
	name.in.sin_port = 0;
	if (sys_getsockname(target->fd, &name, &len) < 0)
		return DIAL_NOT_TCP;
	target->fresh = name.in.sin_port == 0;
	if (!target->fresh && !is_unconnected(target->fd))
		return DIAL_IN_USE;
	flags = sys_fcntl_getfl(target->fd);
	dial->blocking = flags >= 0 && !(flags & O_NONBLOCK);
	return DIAL_OURS;
}

/* ---- what an error says of the endpoint ---- */

enum blame { BLAME_NOBODY, BLAME_REFUSED, BLAME_TIMED_OUT };

static enum blame blame_for(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
		return BLAME_REFUSED;
	case ETIMEDOUT:
		return BLAME_TIMED_OUT;
	default:
		return BLAME_NOBODY;
	}
}

static enum ledger_outcome outcome_of(enum blame blame)
{
	return blame == BLAME_TIMED_OUT ? OUTCOME_TIMED_OUT : OUTCOME_REFUSED;
}

/* The kernel goes on with the dial by itself. */
static bool is_under_way(int error)
{
	return error == EINPROGRESS || error == EINTR || error == EALREADY;
}

static int call_connect(const struct target *target, const struct dial_choice *choice)
{
	char sa[SOCKADDR_SIZE] __attribute__((aligned(8)));
	uint32_t len = addr_to_sockaddr(&choice->addr, target->sa, sa);

	return next_connect(target->fd, (const struct sockaddr *)sa, len) == 0 ? 0 : errno_get();
}

/* ---- blocking ---- */

struct timeout_guard {
	int fd;
	unsigned own; /* what the program had set */
	bool changed;
};

/* TCP_USER_TIMEOUT bounds the handshake too, and unlike SO_SNDTIMEO ends it: tcp(7), and RFC 5482. */
static void bound_handshake(struct timeout_guard *guard, int fd, unsigned timeout_ms)
{
	int own = 0;

	*guard = (struct timeout_guard){ fd, 0, false };
	if (timeout_ms == 0 || sys_getsockopt_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &own) < 0)
		return;
	guard->own = (unsigned)own;
	if (guard->own && guard->own <= timeout_ms)
		return;
	guard->changed = sys_setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) == 0;
}

static void unbound_handshake(const struct timeout_guard *guard)
{
	if (guard->changed)
		sys_setsockopt(guard->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &guard->own, sizeof(guard->own));
}

/* One endpoint after the other until one answers. 0, or the error of the last. */
static int dial_in_turn(struct dial *dial, const struct target *target, struct dial_choice *choice)
{
	unsigned timeouts = 0;

	for (;;) {
		int error = call_connect(target, choice);
		enum blame blame = blame_for(error);

		dial_trace(dial, choice, DIAL_OURS, error);
		if (error == 0 || is_under_way(error)) {
			dial_landed(dial, choice, error == 0);
			return error;
		}
		if (blame == BLAME_NOBODY) {
			dial_dropped(dial, choice);
			return error;
		}
		dial_failed(dial, choice, outcome_of(blame));
		if (blame == BLAME_TIMED_OUT && ++timeouts >= dial->attempts)
			return error;
		if (!target->fresh || !dial_choose(dial, choice))
			return error;
	}
}

static int dial_blocking(struct dial *dial, const struct target *target, struct dial_choice *choice)
{
	struct timeout_guard guard = { target->fd, 0, false };
	int error;

	/* With nobody to go on to, the kernel's own patience is the better one. */
	if (target->fresh && choice->others)
		bound_handshake(&guard, target->fd, dial->connect_timeout_ms);
	error = dial_in_turn(dial, target, choice);
	unbound_handshake(&guard);
	return error;
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

/* Takes the socket back to where it can dial again. The error it had. */
static int leave_failed_dial(int fd)
{
	struct sockaddr none;
	int error = 0;

	sys_getsockopt_int(fd, SOL_SOCKET, SO_ERROR, &error);
	memset(&none, 0, sizeof(none));
	none.sa_family = AF_UNSPEC;
	sys_connect(fd, &none, sizeof(none));
	return error;
}

/* What became of a dial under way. True if it failed and the next endpoint is to be dialed. */
static bool failed_at_once(struct dial *dial, const struct target *target, const struct dial_choice *choice, int *error)
{
	bool can_follow = target->fresh && choice->others;
	enum answer answer = look_for_answer(target->fd, can_follow && choice->suspect ? SUSPECT_WAIT_MS : 0);
	enum blame blame;

	if (answer != ANSWER_NO) {
		dial_landed(dial, choice, answer == ANSWER_YES);
		return false;
	}
	if (!can_follow) { /* the program reads the error itself */
		dial_failed(dial, choice, OUTCOME_REFUSED);
		return false;
	}
	*error = leave_failed_dial(target->fd);
	blame = blame_for(*error);
	if (blame == BLAME_NOBODY)
		dial_dropped(dial, choice);
	else
		dial_failed(dial, choice, outcome_of(blame));
	return blame != BLAME_NOBODY;
}

static int dial_nonblocking(struct dial *dial, const struct target *target, struct dial_choice *choice)
{
	for (;;) {
		int error = call_connect(target, choice);
		enum blame blame = blame_for(error);

		dial_trace(dial, choice, DIAL_OURS, error);
		if (error == 0) {
			dial_landed(dial, choice, true);
			return 0;
		}
		if (is_under_way(error)) {
			if (!failed_at_once(dial, target, choice, &error))
				return error;
			dial_trace(dial, choice, DIAL_OURS, error);
		} else if (blame == BLAME_NOBODY || !target->fresh || error == ECONNREFUSED || error == ETIMEDOUT) {
			/* A synchronous refusal belongs to an earlier dial of this socket: blame nobody. */
			dial_dropped(dial, choice);
			return error;
		} else {
			dial_failed(dial, choice, outcome_of(blame)); /* no route: known without a packet */
		}
		if (!dial_choose(dial, choice))
			return error;
	}
}

/* ---- the hook ---- */

/* True if the dial is ours and its first endpoint is chosen; else it is the caller's own. */
static bool begin(struct dial *dial, struct target *target, struct dial_choice *choice, uint32_t len)
{
	enum dial_reason reason = dial_prepare(dial, target->sa, len);
	enum dial_reason socket;

	if (reason == DIAL_OURS || reason == DIAL_OBSERVED) {
		socket = look_at_socket(target, dial);
		if (socket != DIAL_OURS)
			reason = socket;
		else if (!dial_choose(dial, choice))
			reason = DIAL_NO_ENDPOINT;
	}
	if (reason == DIAL_OBSERVED)
		dial_dropped(dial, choice); /* the place is given back, the count stays */
	if (reason == DIAL_OURS)
		return true;
	dial_trace(dial, reason == DIAL_OBSERVED ? choice : NULL, reason, 0);
	return false;
}

__attribute__((noinline)) /* keeps its stack out of the dials that are not ours */
static int connect_service(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct target target = { fd, sa, false };
	struct dial_choice choice;
	struct dial dial;
	int before = errno_get(), error;

	if (!begin(&dial, &target, &choice, len))
		return next_connect(fd, sa, len);
	if (dial.blocking)
		error = dial_blocking(&dial, &target, &choice);
	else
		error = dial_nonblocking(&dial, &target, &choice);
	errno_set(error ? error : before);
	return error ? -1 : 0;
}

HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (!dial_is_service(sa, len))
		return next_connect(fd, sa, len);
	return connect_service(fd, sa, len);
}

/* ---- MSG_FASTOPEN ---- */

/* The caller's message, to another address. -1 and errno. */
static ssize_t send_to(const struct target *target, const struct dial_choice *choice, const struct msghdr *msg, int flags)
{
	char sa[SOCKADDR_SIZE] __attribute__((aligned(8)));
	struct msghdr copy = *msg;

	copy.msg_namelen = addr_to_sockaddr(&choice->addr, target->sa, sa);
	copy.msg_name = sa;
	return next_sendmsg(target->fd, &copy, flags);
}

__attribute__((noinline))
static ssize_t fastopen_service(int fd, const struct msghdr *msg, int flags)
{
	struct target target = { fd, msg->msg_name, false };
	struct dial_choice choice;
	struct dial dial;
	int before = errno_get();

	if (!begin(&dial, &target, &choice, msg->msg_namelen))
		return next_sendmsg(fd, msg, flags);
	for (;;) {
		ssize_t n = send_to(&target, &choice, msg, flags);
		int error = n < 0 ? errno_get() : 0;
		enum blame blame = blame_for(error);

		dial_trace(&dial, &choice, DIAL_OURS, error);
		if (error == 0 || is_under_way(error) || error == EAGAIN) {
			dial_landed(&dial, &choice, false); /* the data may wait for a handshake that is not over */
			errno_set(error ? error : before);
			return n;
		}
		if (blame == BLAME_NOBODY)
			dial_dropped(&dial, &choice);
		else
			dial_failed(&dial, &choice, outcome_of(blame));
		/* After a timeout the data in the SYN may have been processed: only a refusal is dialed again. */
		if (blame != BLAME_REFUSED || !dial.blocking || !target.fresh || !dial_choose(&dial, &choice)) {
			errno_set(error);
			return -1;
		}
	}
}

static bool dials(const void *sa, uint32_t len, int flags)
{
	return (flags & MSG_FASTOPEN) && sa && dial_is_service(sa, len);
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
	return fastopen_service(fd, &msg, flags);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (!(flags & MSG_FASTOPEN) || !msg || !dials(msg->msg_name, msg->msg_namelen, flags))
		return next_sendmsg(fd, msg, flags);
	return fastopen_service(fd, msg, flags);
}

HOOK int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	ssize_t first;
	int rest, before;

	if (!(flags & MSG_FASTOPEN) || !msgs || n == 0 ||
	    !dials(msgs[0].msg_hdr.msg_name, msgs[0].msg_hdr.msg_namelen, flags))
		return next_sendmmsg(fd, msgs, n, flags);
	first = fastopen_service(fd, &msgs[0].msg_hdr, flags);
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
