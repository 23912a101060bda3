/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curl side of talking to an API server: one multi handle, any number of GET requests under way, one thread.
 *
 * HTTP/1.1, one connection for each request that is under way: a watch that stalls holds up no other. A peer that has gone without
 * a word is found by TCP itself: keepalive probes after 30 s of silence, five seconds apart, three of them; TCP_USER_TIMEOUT for
 * what was sent and not acknowledged (golang's HTTP/2 pings do it for kubectl: kubernetes#87615). Credentials are read again for
 * each request where they lie in files, because they change there; they are never part of a text that is handed out.
 */
#ifndef FAIRDIAL_KUBE_HTTP_H
#define FAIRDIAL_KUBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct kube_config;
struct kube_http;
struct kube_request;
struct pollfd;

/* How a request ended. The texts last until `done` returns. */
struct kube_answer {
	int error;	     /* 0: there was a response, and it ended as it should; else a negative errno */
	long status;	     /* of HTTP; 0: none came */
	uint32_t retry_after_ms; /* 0: the server did not say */
	const char *body;    /* of a response that is not 200, as far as it was kept; else "" */
	size_t body_len;
	const char *reason;  /* for people: "connection refused", "the certificate is not of a known authority" */
};

struct kube_request_ops {
	/* The status line has come, and it is 200. May be NULL. */
	void (*begun)(void *of);
	/* Bytes of its body. A negative errno ends the request, with that error. */
	int (*take)(void *of, const char *bytes, size_t n);
	/* Once, at the end, unless it was cancelled; the request is gone then. May start others. */
	void (*done)(void *of, const struct kube_answer *answer);
};

struct kube_get {
	const char *path;	/* with its query: "/api/v1/services?watch=1"; copied */
	uint32_t timeout_ms;	/* for the whole; 0: none but for silence */
	uint32_t silence_ms;	/* without a byte for so long: over; 0: none */
	bool compressed;	/* gzip is welcome: for lists */
};

/* The configuration stays the caller's, and must last. 0, -ENOMEM, -EINVAL. */
int kube_http_new(const struct kube_config *config, struct kube_http **ret_http, struct report *report);

/* Cancels what is under way. NULL is accepted. */
void kube_http_free(struct kube_http *http);

/* NULL where there is no memory. `ops` must last; `of` is handed to it. */
struct kube_request *kube_http_get(struct kube_http *http, const struct kube_get *get, const struct kube_request_ops *ops,
				   void *of);

/* No more calls for it. Not from within `take`. NULL is accepted. */
void kube_http_cancel(struct kube_request *request);

/* Waits until a connection or one of `fds` (their revents are set) has something to say, at most so long. 0, -EINTR, -EIO. */
int kube_http_wait(struct kube_http *http, struct pollfd *fds, unsigned n, int timeout_ms);

/* Does what can be done without waiting: bytes in, `take` and `done` called. */
void kube_http_run(struct kube_http *http);

/* Whether the credentials would be others by now: a token file that was renewed. */
bool kube_http_has_new_credentials(struct kube_http *http);

/* Puts asterisks over whatever in the text was sent as a token, whole or in part: a server may say it back. */
void kube_http_hide_secrets(const struct kube_http *http, char *text);

#endif
