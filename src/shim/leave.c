/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/leave.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/utsname.h>

#include "base/addr.h"
#include "base/signals.h"
#include "base/sys.h"
#include "base/tcp_told.h"
#include "base/text.h"

#define LEAST_FD 3 /* a program that has closed one of 0 to 2 may count on getting it next */
#define HIGH_FD 512 /* a program that closes all and opens anew meanwhile begins at the low ones */

/* ---- a duplicate ---- */

/*
 * The socket that had this cookie, or a negative errno: -EBADF, or -ESTALE where the number is another socket's. A child that
 * another thread forks meanwhile has the duplicate too, as it has the program's own.
 */
static int duplicate(int fd, uint64_t cookie)
{
	int own = (int)sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGH_FD, 0, 0, 0);
	uint64_t is = 0;
	uint32_t len = sizeof(is);

	if (own == -EINVAL || own == -EMFILE) /* a low limit */
		own = (int)sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LEAST_FD, 0, 0, 0);
	if (own < 0)
		return own;
	if (sys_getsockopt(own, SOL_SOCKET, SO_COOKIE, &is, &len) == 0 && is == cookie)
		return own;
	sys_close(own);
	return -ESTALE;
}

/* What it is where there is no duplicate: nothing is known where there are no numbers left. */
static enum connection without_duplicate(int error)
{
	return error == -EMFILE || error == -ENFILE ? CONNECTION_BUSY : CONNECTION_ENDED;
}

/* ---- who spoke last ---- */

static bool read_threshold(int *ret)
{
	char buf[8];
	int fd = sys_openat(AT_FDCWD, "/proc/sys/net/ipv4/tcp_pingpong_thresh", O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return false;
	n = sys_read(fd, buf, sizeof(buf));
	sys_close(fd);
	*ret = n == 2 && text_is_digit(buf[0]) ? buf[0] - '0' : 0;
	return true;
}

/* 5.15 as 5015. 0: it cannot be told. */
__attribute__((noinline))
static unsigned kernel_release(void)
{
	struct utsname name;
	unsigned number[2] = { 0, 0 };
	const char *at = name.release;

	if (sys_uname(&name) < 0)
		return 0;
	for (int i = 0; i < 2; i++) {
		for (; text_is_digit(*at) && number[i] < 1000; at++)
			number[i] = number[i] * 10 + (unsigned)(*at - '0');
		if (*at == '.')
			at++;
	}
	return number[0] * 1000 + number[1];
}

/*
 * Whether the first answer in time makes a connection interactive. Linux 5.1 to 5.18 wants three, and counts none that is sent
 * within a tick of the last; from 6.7 on it is a setting.
 */
static bool first_answer_counts(void)
{
	unsigned release;
	int threshold;

	if (read_threshold(&threshold))
		return threshold == 1;
	release = kernel_release();
	return release && (release < 5001 || (release >= 5019 && release < 6007));
}

/*
 * The last bytes went out and the last bytes came in within one tick of the kernel. A connection that answers what it has received
 * within the time for which an ACK may be delayed, which is longer than a tick, becomes interactive ("pingpong":
 * net/ipv4/tcp_output.c, tcp_event_data_sent), and is that no more when something it has received was not answered in that time
 * (tcp_timer.c, tcp_delack_timer_handler). One that is not interactive has therefore not sent after it received. One that is may be
 * either: the ACK of a long answer is sent at once, and leaves the connection as it was.
 *
 * Two things deceive this: a program that sets TCP_QUICKACK between its request and the answer, and a segment that comes a second
 * time there, and both only where that request followed the answer before within the tick.
 */
static bool tie_came_in_last(int fd)
{
	int quick;

	return sys_getsockopt_int(fd, IPPROTO_TCP, TCP_QUICKACK, &quick) == 0 && quick == 1 && first_answer_counts();
}

/* Also where nothing was ever said. A request that went with the SYN has the time of the handshake: the counter alone tells. */
static bool came_in_last(int fd, const struct tcp_told *told)
{
	if (!told->data_segs_out)
		return true;
	if (!told->data_segs_in)
		return false;
	if (told->last_data_recv_ms == told->last_data_sent_ms)
		return tie_came_in_last(fd);
	return told->last_data_recv_ms < told->last_data_sent_ms;
}

/* ---- a look ---- */

static uint32_t rest_of(const struct tcp_told *told)
{
	return told->last_data_sent_ms < told->last_data_recv_ms ? told->last_data_sent_ms : told->last_data_recv_ms;
}

static bool is_empty(int fd, unsigned queue)
{
	int bytes = 1;

	return sys_call(SYS_ioctl, fd, queue, (long)&bytes, 0, 0, 0) == 0 && bytes == 0;
}

/* The queues are looked at after the times: what moves meanwhile is in one of them, or has come and gone in a blink. */
static bool is_quiet(int fd, const struct tcp_told *told, uint32_t quiet_ms)
{
	return !told->unacked && !told->notsent_bytes && rest_of(told) >= quiet_ms && came_in_last(fd, told) &&
	       is_empty(fd, SIOCOUTQ) && is_empty(fd, SIOCINQ);
}

/* connect(AF_UNSPEC), or a dial that failed, and the program may dial elsewhere with the same socket: not a Service's, maybe. */
__attribute__((noinline))
static bool is_peer(int own, const struct addr *peer)
{
	struct sockaddr_in6 name;
	uint32_t len = sizeof(name);
	struct addr is;

	if (!peer)
		return true;
	return sys_getpeername(own, &name, &len) == 0 && addr_from_sockaddr(&is, (const struct sockaddr *)&name, len) &&
	       addr_equal(&is, peer);
}

/* Of a duplicate. */
static enum connection look(int own, const struct addr *peer, uint32_t quiet_ms, uint32_t *ret_rest_ms)
{
	struct tcp_told told = { 0 };
	uint32_t len = sizeof(told);

	if (sys_getsockopt(own, IPPROTO_TCP, TCP_INFO, &told, &len) < 0)
		return CONNECTION_ENDED;
	if (told.state == TCP_SYN_SENT || told.state == TCP_SYN_RECV)
		return CONNECTION_DIALING;
	if (told.state != TCP_ESTABLISHED || !is_peer(own, peer))
		return CONNECTION_ENDED;
	if (ret_rest_ms)
		*ret_rest_ms = rest_of(&told);
	if (len < sizeof(told)) /* before Linux 4.6 */
		return CONNECTION_BUSY;
	return is_quiet(own, &told, quiet_ms) ? CONNECTION_QUIET : CONNECTION_BUSY;
}

enum connection connection_look(int fd, uint64_t cookie, const struct addr *peer, uint32_t quiet_ms, uint32_t *ret_rest_ms)
{
	int own = duplicate(fd, cookie);
	enum connection is;

	if (own < 0)
		return without_duplicate(own);
	is = look(own, peer, quiet_ms, ret_rest_ms);
	sys_close(own);
	return is;
}

/* ---- the end ---- */

static int close_half(int own, int how)
{
	return (int)sys_call(SYS_shutdown, own, how, 0, 0, 0, 0);
}

static int set_cork(int own, int cork)
{
	return sys_setsockopt(own, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork));
}

/* RST to the peer, and ECONNRESET to the next call of the program (net/ipv4/tcp.c, tcp_disconnect), or to one that waits. */
static int disconnect(int own)
{
	const struct sockaddr sa = { .sa_family = AF_UNSPEC };

	return sys_connect(own, &sa, sizeof(sa));
}

/* Last, for disconnecting takes it back: the kernel says ENOTCONN, and does it. */
static void show_end(int own)
{
	close_half(own, SHUT_RD);
}

/*
 * The way of a program that does not ignore SIGPIPE. Its protocol may refuse to be disconnected (TLS in the kernel; any, while
 * a thread waits in a call, from Linux 6.4 to 6.6): then the connection stays.
 */
static enum connection take_down(int own, const struct addr *peer, uint32_t quiet_ms)
{
	int corked = 0;
	enum connection is;

	if (sys_getsockopt_int(own, IPPROTO_TCP, TCP_CORK, &corked) < 0 || set_cork(own, 1) < 0)
		return CONNECTION_BUSY;
	is = look(own, peer, quiet_ms, NULL);
	if (is == CONNECTION_QUIET && disconnect(own) < 0)
		is = CONNECTION_BUSY;
	if (is == CONNECTION_QUIET)
		show_end(own);
	if (!corked)
		set_cork(own, 0);
	return is;
}

/*
 * Whatever moves on it, and whatever the program does about SIGPIPE: an answer that is cut short is to be an error, and by
 * SHUT_RDWR it would be an end, which where an answer is as long as the connection lives is taken for a whole one. Calls that wait
 * return with an error. Where the kernel refuses (take_down), at least the end is shown to who reads.
 */
static void cut_off(int own, bool ignores)
{
	if (disconnect(own) < 0 && ignores)
		close_half(own, SHUT_WR);
	show_end(own);
}

static enum connection end(int own, const struct addr *peer, uint32_t quiet_ms, bool cut)
{
	bool ignores = signal_action(SIGNAL_PIPE).handler == SIGNAL_IGNORED;
	enum connection is = look(own, peer, quiet_ms, NULL);

	if (cut && (is == CONNECTION_BUSY || (is == CONNECTION_QUIET && !ignores))) {
		cut_off(own, ignores);
		return is;
	}
	if (is != CONNECTION_QUIET)
		return is;
	if (!ignores)
		return take_down(own, peer, quiet_ms);
	return close_half(own, SHUT_WR) < 0 ? CONNECTION_ENDED : is;
}

enum connection connection_leave(int fd, uint64_t cookie, const struct addr *peer, uint32_t quiet_ms, bool cut)
{
	int own = duplicate(fd, cookie);
	enum connection was;

	if (own < 0) /* nothing was ended, which BUSY does not say of a cut */
		return cut ? CONNECTION_ENDED : without_duplicate(own);
	was = end(own, peer, quiet_ms, cut);
	sys_close(own);
	return was;
}

/* ---- keepalive ---- */

#define PROBES 3

/* The kernel's seconds; the longer ones where they do not come out even. */
static uint32_t idle_s(uint32_t idle_ms)
{
	return idle_ms < 1000 ? 1 : (idle_ms + 999) / 1000;
}

static uint32_t interval_s(uint32_t idle_ms)
{
	return (idle_s(idle_ms) + PROBES - 1) / PROBES;
}

uint32_t connection_keep_alive_bound_ms(uint32_t idle_ms)
{
	return (idle_s(idle_ms) + PROBES * interval_s(idle_ms)) * 1000;
}

static void set(int fd, int level, int name, uint32_t value)
{
	sys_setsockopt(fd, level, name, &value, sizeof(value));
}

/* Whether it is 0 for sure. */
static bool is_unset(int fd, int level, int name)
{
	int value;

	return sys_getsockopt_int(fd, level, name, &value) == 0 && value == 0;
}

void connection_keep_alive(int fd, uint32_t idle_ms)
{
	if (!is_unset(fd, SOL_SOCKET, SO_KEEPALIVE) || !is_unset(fd, IPPROTO_TCP, TCP_USER_TIMEOUT))
		return;
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s(idle_ms));
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s(idle_ms));
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, connection_keep_alive_bound_ms(idle_ms));
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}
