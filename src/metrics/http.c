/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/http.h"

#include <errno.h>
#include <stdlib.h>

#ifdef HAVE_HTTPD

#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define REQUEST_SIZE 8192

/* A connection, by its place in the table of them. */
struct visitor {
	int fd; /* -1: free */
	uint64_t since_ms;
};

struct http {
	struct http_pages pages;
	struct MHD_Daemon *daemon;
	struct addr address;
	struct http_page *not_found, *not_allowed, *failed;
	struct visitor visitors[HTTP_CONNECTIONS + 1];
	unsigned open;
};

const char *http_version(void)
{
	return MHD_get_version();
}

/* ---- pages: a response of the library, which counts who has it ---- */

struct http_page *http_page_new(char *text, size_t len, const char *content_type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(text);
		return NULL;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) != MHD_YES ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES) {
		MHD_destroy_response(response);
		return NULL;
	}
	return (struct http_page *)response;
}

void http_page_free(struct http_page *page)
{
	if (page)
		MHD_destroy_response((struct MHD_Response *)page);
}

static struct http_page *page_of(const char *text)
{
	char *copy = strdup(text);

	return copy ? http_page_new(copy, strlen(copy), "text/plain; charset=utf-8") : NULL;
}

/* ---- requests ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct http_page *page)
{
	return page ? MHD_queue_response(connection, status, (struct MHD_Response *)page) : MHD_NO; /* it is closed then */
}

static enum MHD_Result on_request(void *of, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **context)
{
	struct http *h = of;
	struct http_page *page = NULL;
	unsigned status;

	(void)version;
	(void)data;
	(void)size;
	(void)context; /* answered at once, before a body could come */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, h->not_allowed);
	status = h->pages.get(h->pages.of, url,
			      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT), &page);
	if (!page)
		page = status == MHD_HTTP_NOT_FOUND ? h->not_found : h->failed;
	return answer(connection, status, page);
}

/* ---- connections ---- */

static void on_connection(void *of, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *h = of;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct visitor *visitor = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		h->open--;
		if (visitor)
			visitor->fd = -1;
		return;
	}
	h->open++;
	for (size_t i = 0; i <= HTTP_CONNECTIONS && info; i++) {
		visitor = &h->visitors[i];
		if (visitor->fd >= 0)
			continue;
		*visitor = (struct visitor){ info->connect_fd, clock_boot_ms() };
		*context = visitor;
		return;
	}
}

static uint64_t longest_ms(const struct http *h)
{
	return h->open < HTTP_CONNECTIONS ? HTTP_LONGEST_MS : HTTP_CROWDED_MS;
}

/* The library looks for silence alone: who sends a byte a second is never silent. It finds the connection over, and closes it. */
static void end_visits(struct http *h, uint64_t now_ms)
{
	for (size_t i = 0; i <= HTTP_CONNECTIONS && h->open; i++)
		if (h->visitors[i].fd >= 0 && now_ms >= h->visitors[i].since_ms + longest_ms(h))
			shutdown(h->visitors[i].fd, SHUT_RDWR);
}

/* ---- listening ---- */

static socklen_t address_of(const struct addr *addr, bool is_v4, struct sockaddr_in6 *ret)
{
	struct sockaddr_in6 like = { .sin6_family = is_v4 ? AF_INET : AF_INET6 };

	return addr_to_sockaddr(addr, (struct sockaddr *)&like, ret);
}

static bool is_any_v6(const struct addr *addr)
{
	return !addr->is_v4 && memcmp(addr->ip, &in6addr_any, sizeof(addr->ip)) == 0;
}

static int listen_at(const struct addr *addr, struct addr *ret_address)
{
	struct sockaddr_in6 sa = { 0 };
	socklen_t len = address_of(addr, addr->is_v4, &sa), size = sizeof(sa);
	int fd = socket(addr->is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	const int one = 1, only = !is_any_v6(addr);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!addr->is_v4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, HTTP_BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &size) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	addr_from_sockaddr(ret_address, (struct sockaddr *)&sa, size);
	return fd;
}

/* Every address: of IPv4 alone where the kernel has no other. */
static int listen_anywhere(const struct addr *addr, struct addr *ret_address)
{
	int fd = listen_at(addr, ret_address);
	struct addr any_v4;

	if (!is_any_v6(addr) || (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL))
		return fd;
	addr_parse_ip("0.0.0.0", 7, &any_v4);
	any_v4.port_be = addr->port_be;
	return listen_at(&any_v4, ret_address);
}

static int start(struct http *h, int fd)
{
	h->not_found = page_of("not found: there are /metrics, /healthz and /readyz\n");
	h->not_allowed = page_of("only GET and HEAD\n");
	h->failed = page_of("out of memory\n");
	if (!h->not_found || !h->not_allowed || !h->failed ||
	    MHD_add_response_header((struct MHD_Response *)h->not_allowed, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") != MHD_YES)
		return -ENOMEM;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				     (unsigned)HTTP_CONNECTIONS_OF_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT, HTTP_LONGEST_MS / 1000u,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_SIZE, MHD_OPTION_NOTIFY_CONNECTION,
				     on_connection, h, MHD_OPTION_END);
	return h->daemon ? 0 : -EIO;
}

static const char *remedy(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "; --listen names another, and port 0 any";
	case -EADDRNOTAVAIL:
		return ", which is no address of this machine: --listen names one, and :PORT is every one";
	case -EACCES:
		return "; ports below 1024 are for root: --listen names a higher one";
	default:
		return "";
	}
}

int http_open(const struct addr *listen, const struct http_pages *pages, struct http **ret_http, struct report *why)
{
	struct http *h = calloc(1, sizeof(*h));
	char where[ADDR_TEXT];
	int fd, r;

	if (!h)
		return report(why, -ENOMEM, "out of memory");
	h->pages = *pages;
	for (size_t i = 0; i <= HTTP_CONNECTIONS; i++)
		h->visitors[i].fd = -1;
	fd = listen_anywhere(listen, &h->address);
	if (fd < 0) {
		free(h);
		return report(why, fd, "cannot listen on %s: %s%s", addr_print(listen, where), strerror(-fd), remedy(fd));
	}
	r = start(h, fd);
	if (r < 0) {
		close(fd); /* the library's only from its start on */
		http_close(h);
		return report(why, r, "cannot serve %s: %s", addr_print(listen, where),
			      r == -ENOMEM ? "out of memory" : "libmicrohttpd does not start");
	}
	*ret_http = h;
	return 0;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	http_page_free(h->not_found);
	http_page_free(h->not_allowed);
	http_page_free(h->failed);
	free(h);
}

/* ---- the loop's side ---- */

const struct addr *http_address(const struct http *h)
{
	return &h->address;
}

int http_fd(const struct http *h)
{
	return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

/* Until the oldest has had its time, where all are taken: no new one wakes the loop then. */
static int turn_ms(const struct http *h, int timeout_ms)
{
	uint64_t now_ms = clock_boot_ms();

	for (size_t i = 0; i <= HTTP_CONNECTIONS && h->open >= HTTP_CONNECTIONS; i++) {
		uint64_t end_ms = h->visitors[i].since_ms + HTTP_CROWDED_MS;

		if (h->visitors[i].fd >= 0 && end_ms < now_ms + (unsigned)timeout_ms)
			timeout_ms = end_ms > now_ms ? (int)(end_ms - now_ms) : 0;
	}
	return timeout_ms;
}

int http_due_ms(const struct http *h, int timeout_ms)
{
	MHD_UNSIGNED_LONG_LONG due_ms;

	timeout_ms = turn_ms(h, timeout_ms);
	if (MHD_get_timeout(h->daemon, &due_ms) != MHD_YES || due_ms >= (unsigned)timeout_ms)
		return timeout_ms;
	return (int)due_ms;
}

void http_run(struct http *h, uint64_t now_ms)
{
	end_visits(h, now_ms);
	MHD_run(h->daemon);
}

unsigned http_open_count(const struct http *h)
{
	return h->open;
}

#else

const char *http_version(void)
{
	return NULL;
}

int http_open(const struct addr *listen, const struct http_pages *pages, struct http **ret_http, struct report *why)
{
	(void)listen;
	(void)pages;
	(void)ret_http;
	return report(why, -ENOSYS,
		      "--listen: this fairdial was built without libmicrohttpd; build it where that is, or do without");
}

void http_close(struct http *h)
{
	(void)h;
}

const struct addr *http_address(const struct http *h)
{
	(void)h;
	return NULL;
}

int http_fd(const struct http *h)
{
	(void)h;
	return -1;
}

int http_due_ms(const struct http *h, int timeout_ms)
{
	(void)h;
	return timeout_ms;
}

void http_run(struct http *h, uint64_t now_ms)
{
	(void)h;
	(void)now_ms;
}

unsigned http_open_count(const struct http *h)
{
	(void)h;
	return 0;
}

struct http_page *http_page_new(char *text, size_t len, const char *content_type)
{
	(void)len;
	(void)content_type;
	free(text);
	return NULL;
}

void http_page_free(struct http_page *page)
{
	(void)page;
}

#endif
