/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of one connection between two memories, so that what goes to the socket is ours to cut: at a record's end, within
 * one, or with a reset. A descriptor may also be held by a child that another helper forked; so ends are told to the
 * socket (shutdown, or a disconnecting connect), never left to close.
 */
#include "support/testing.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/api_state.h"
#include "support/process.h"

void conn_wake(struct api_conn *c)
{
	eventfd_write(c->wake, 1);
}

static bool wanted_gone(struct api_conn *c)
{
	bool gone;

	api_lock(c->s);
	gone = c->s->ending || c->cut_now != API_UNCUT;
	api_unlock(c->s);
	return gone;
}

/* Waits for these events of the socket; woken is true as well. False: the server ends. */
static bool wait_ready(struct api_conn *c, short events, long until_ms)
{
	struct pollfd fd[2] = { { c->wake, POLLIN, 0 }, { c->fd, events, 0 } };
	long left = until_ms < 0 ? -1 : until_ms - now_ms();
	eventfd_t woken;

	if (until_ms >= 0 && left < 0)
		left = 0;
	poll(fd, events ? 2 : 1, (int)left);
	if (fd[0].revents)
		eventfd_read(c->wake, &woken);
	return !wanted_gone(c);
}

static bool send_raw(struct api_conn *c, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		} else if (errno != EAGAIN || !wait_ready(c, POLLOUT, -1)) {
			return false;
		}
	}
	return true;
}

/* What TLS has written, `share` of it: 1 is all. */
static bool flush_share(struct api_conn *c, size_t divisor)
{
	char *bytes;
	long size = BIO_get_mem_data(c->to_net, &bytes);
	bool worked = size <= 0 || send_raw(c, bytes, (size_t)size / divisor);

	BIO_reset(c->to_net);
	return worked;
}

bool wire_send(struct api_conn *c, const void *bytes, size_t size)
{
	ERR_clear_error();
	if (size && SSL_write(c->ssl, bytes, (int)size) != (int)size)
		return false;
	return flush_share(c, 1);
}

/* Takes what is there; false at the end of the stream. */
static bool receive_raw(struct api_conn *c)
{
	char bytes[16384];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0)
		BIO_write(c->from_net, bytes, (int)n);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* What of it makes sense by now; false at the end of the stream. */
static bool decrypt(struct api_conn *c)
{
	char bytes[16384];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(c->ssl, bytes, sizeof(bytes))) > 0)
		text_add(&c->in, bytes, (size_t)n);
	return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ && flush_share(c, 1);
}

bool wire_wait(struct api_conn *c, long until_ms)
{
	return wait_ready(c, POLLIN, until_ms) && receive_raw(c) && decrypt(c);
}

bool wire_sleep(struct api_conn *c)
{
	return wait_ready(c, 0, -1);
}

bool wire_handshake(struct api_conn *c, SSL_CTX *context)
{
	int worked;

	c->ssl = SSL_new(context);
	c->from_net = BIO_new(BIO_s_mem());
	c->to_net = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(c->from_net, -1);
	BIO_set_mem_eof_return(c->to_net, -1);
	SSL_set_bio(c->ssl, c->from_net, c->to_net);
	SSL_set_accept_state(c->ssl);
	ERR_clear_error();
	while ((worked = SSL_do_handshake(c->ssl)) != 1) {
		bool more = SSL_get_error(c->ssl, worked) == SSL_ERROR_WANT_READ;

		if (!flush_share(c, 1) || !more || !wait_ready(c, POLLIN, -1) || !receive_raw(c))
			return false;
	}
	return flush_share(c, 1) && decrypt(c); /* the first request may have come with the handshake's end */
}

/* A record that promises more than comes. */
static void send_half_record(struct api_conn *c)
{
	static const char filler[512];

	ERR_clear_error();
	SSL_write(c->ssl, filler, sizeof(filler));
	flush_share(c, 2);
}

static void reset(struct api_conn *c)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	connect(c->fd, &nobody, sizeof(nobody));
}

void wire_cut(struct api_conn *c, enum api_cut how)
{
	bool spoken = c->ssl && SSL_is_init_finished(c->ssl);

	if (how == API_CUT_TLS && spoken) {
		SSL_shutdown(c->ssl);
		flush_share(c, 1);
	} else if (how == API_CUT_RECORD && spoken) {
		send_half_record(c);
	}
	if (how == API_CUT_RST)
		reset(c);
	else
		shutdown(c->fd, SHUT_WR);
}

void wire_done(struct api_conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	ERR_clear_error();
}
