/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server for whoever looks at this agent, by libmicrohttpd: GET and HEAD of a few pages. It has no thread: the loop
 * that polls its descriptor runs it, and nothing here waits.
 *
 * Who asks is not trusted. A connection is for one request and lasts HTTP_LONGEST_MS, however slowly its other end reads or
 * writes; there are HTTP_CONNECTIONS of them at most, of one address a part of these, and others wait in the kernel's queue. While
 * all are taken each lasts HTTP_CROWDED_MS alone: a few who hold them open, and say nothing, do not keep who looks whether this
 * agent is alive from getting a turn. Each has a few kilobytes for its request, and none may send a body.
 */
#ifndef FAIRDIAL_METRICS_HTTP_H
#define FAIRDIAL_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/report.h"

#define HTTP_CONNECTIONS	     24
#define HTTP_CONNECTIONS_OF_ADDRESS  12
#define HTTP_LONGEST_MS		     10000
#define HTTP_CROWDED_MS		     500
#define HTTP_BACKLOG		     64

struct http;
struct http_page; /* an answer, which any number of requests may be given */

/*
 * For a GET or HEAD of `path`; `accept` is the request's header, or NULL. Sets the page, which stays the callee's own, and returns
 * the status; 404 where there is none of that path, 503 with a page, or with NULL where there was no memory for one.
 */
struct http_pages {
	void *of;
	unsigned (*get)(void *of, const char *path, const char *accept, struct http_page **ret_page);
};

/* The version of the library; NULL: this was built without. */
const char *http_version(void);

/*
 * Listens; port 0 is any, and [::] is every address, of IPv4 too. 0; a negative errno with a line in `why`: -ENOSYS without the
 * library. `pages->of` must last.
 */
int http_open(const struct addr *listen, const struct http_pages *pages, struct http **ret_http, struct report *why);

/* NULL is accepted. */
void http_close(struct http *http);

/* Where it listens, with the port that it has. */
const struct addr *http_address(const struct http *http);

/* To be polled for reading. */
int http_fd(const struct http *http);

/* In how many milliseconds http_run has something to do, whatever the descriptor says; at most `timeout_ms`. */
int http_due_ms(const struct http *http, int timeout_ms);

/* Does what can be done without waiting. */
void http_run(struct http *http, uint64_t now_ms);

/* Connections that are open. */
unsigned http_open_count(const struct http *http);

/*
 * An answer of this content. `text` is malloc'ed, and the page's from then on, also where there is no memory for it (NULL). A page
 * that is freed is sent whole to those who were given it.
 */
struct http_page *http_page_new(char *text, size_t len, const char *content_type);
void http_page_free(struct http_page *page);

#endif
