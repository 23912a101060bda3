/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "kube/config.h"

#define CONNECT_TIMEOUT_MS 10000
#define KEEPALIVE_IDLE_S   30
#define KEEPALIVE_EVERY_S  5
#define KEEPALIVE_PROBES   3
#define USER_TIMEOUT_MS	   30000
#define BODY_MAX	   ((size_t)64 << 10) /* of a response that is no success: a Status and its message */
#define TOKEN_MAX	   ((size_t)16 << 10)
#define RETRY_AFTER_MAX_S  3600

struct kube_http {
	const struct kube_config *config;
	CURLM *multi;
	char *base;		       /* of every URL */
	struct curl_slist *connect_to; /* where its name leads, if elsewhere than the DNS says */
	struct kube_request *requests; /* under way */
	char *sent[2];		       /* tokens: the last one, and the one before, which may be under way still; NULL: none */
};

struct kube_request {
	struct kube_http *http;
	struct kube_request *next, **link;
	const struct kube_request_ops *ops;
	void *of;
	CURL *easy;
	struct curl_slist *headers;
	char *url;
	char error_text[CURL_ERROR_SIZE];
	char *body;
	size_t body_len;
	int take_error;
	bool begun;
};

/* ---- credentials ---- */

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* The token without the newline that files end with; NULL where there is none. */
static char *read_token(const struct kube_config *config)
{
	char *token;
	ssize_t n;
	int fd;

	if (config->token)
		return strdup(config->token);
	if (!config->token_file)
		return NULL;
	fd = open(config->token_file, O_RDONLY | O_CLOEXEC);
	token = fd < 0 ? NULL : malloc(TOKEN_MAX);
	n = token ? read(fd, token, TOKEN_MAX - 1) : -1;
	if (fd >= 0)
		close(fd);
	while (n > 0 && text_is_space(token[n - 1]))
		n--;
	if (n <= 0) {
		free(token);
		return NULL;
	}
	token[n] = '\0';
	return token;
}

bool kube_http_has_new_credentials(struct kube_http *http)
{
	char *token = read_token(http->config);
	bool is_new = token && (!http->sent[0] || strcmp(token, http->sent[0]) != 0);

	wipe(token);
	return is_new;
}

static bool add_header(struct kube_request *request, const char *name, const char *value)
{
	char *line;
	struct curl_slist *longer;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	longer = curl_slist_append(request->headers, line);
	wipe(line);
	if (!longer)
		return false;
	request->headers = longer;
	return true;
}

/* Takes the token over. */
static void remember_sent(struct kube_http *http, char *token)
{
	if (http->sent[0] && strcmp(token, http->sent[0]) == 0) {
		wipe(token);
		return;
	}
	wipe(http->sent[1]);
	http->sent[1] = http->sent[0];
	http->sent[0] = token;
}

/* A part of a secret is as good as all of it where so many bytes are alike: no word of a message is by accident. */
#define SECRET_PART ((size_t)12)

static void hide(char *text, const char *secret)
{
	size_t len = strlen(text), secret_len = strlen(secret), part = secret_len < SECRET_PART ? secret_len : SECRET_PART;
	char *hidden = part ? calloc(len + 1, 1) : NULL;

	for (size_t i = 0; hidden && i + part <= len; i++)
		if (memmem(secret, secret_len, text + i, part))
			memset(hidden + i, 1, part);
	for (size_t i = 0; i < len; i++)
		if (!hidden || hidden[i])
			text[i] = '*';
	free(hidden);
}

void kube_http_hide_secrets(const struct kube_http *http, char *text)
{
	for (size_t i = 0; i < sizeof(http->sent) / sizeof(http->sent[0]); i++)
		if (http->sent[i])
			hide(text, http->sent[i]);
}

static bool add_headers(struct kube_request *request)
{
	struct kube_http *http = request->http;
	bool ok = add_header(request, "Accept", "application/json");
	char *bearer, *token;

	/* While the file cannot be read, as in the moment in which it is replaced, the last token serves. */
	token = read_token(http->config);
	if (token)
		remember_sent(http, token);
	if (!ok || !http->sent[0])
		return ok;
	if (asprintf(&bearer, "Bearer %s", http->sent[0]) < 0)
		return false;
	ok = add_header(request, "Authorization", bearer);
	wipe(bearer);
	return ok;
}

/* ---- a connection ---- */

static int tune_socket(void *of, curl_socket_t fd, curlsocktype purpose)
{
	unsigned user_timeout = USER_TIMEOUT_MS;
	int probes = KEEPALIVE_PROBES;

	(void)of;
	(void)purpose;
	/* A socket that cannot be tuned is as good as one that was not. */
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
	return CURL_SOCKOPT_OK;
}

static struct curl_blob blob_of(void *data, size_t size)
{
	return (struct curl_blob){ data, size, CURL_BLOB_NOCOPY };
}

static void set_trust(CURL *easy, const struct kube_config *config)
{
	struct curl_blob ca = blob_of(config->ca_data, config->ca_size);
	struct curl_blob cert = blob_of(config->cert_data, config->cert_size);
	struct curl_blob key = blob_of(config->key_data, config->key_size);

	if (config->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	/* A file is read for each connection: it is renewed in place when the authority is. */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	if (config->ca_data)
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
	else if (config->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	if (config->ca_data || config->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* these and no others */
	if (config->cert_data)
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
	else if (config->cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file);
	if (config->key_data)
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
	else if (config->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
}

/* ---- what curl tells ---- */

static long status_of(const struct kube_request *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int keep_body(struct kube_request *request, const char *bytes, size_t n)
{
	if (!request->body)
		request->body = malloc(BODY_MAX + 1);
	if (!request->body)
		return -ENOMEM;
	if (n > BODY_MAX - request->body_len)
		n = BODY_MAX - request->body_len; /* the rest says nothing that is shown */
	memcpy(request->body + request->body_len, bytes, n);
	request->body_len += n;
	request->body[request->body_len] = '\0';
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *of)
{
	struct kube_request *request = of;
	size_t n = size * count;

	if (status_of(request) != 200)
		request->take_error = keep_body(request, bytes, n);
	else
		request->take_error = request->ops->take(request->of, bytes, n);
	return request->take_error < 0 ? CURL_WRITEFUNC_ERROR : n;
}

/* The empty line that ends the headers; those of an interim response (1xx) come with a status of their own. */
static size_t on_header(char *line, size_t size, size_t count, void *of)
{
	struct kube_request *request = of;
	size_t n = size * count;

	if (n <= 2 && (n == 0 || line[0] == '\r' || line[0] == '\n') && status_of(request) == 200 && !request->begun) {
		request->begun = true;
		if (request->ops->begun)
			request->ops->begun(request->of);
	}
	return n;
}

static int error_of(const struct kube_request *request, CURLcode code)
{
	long os_error = 0;

	if (request->take_error < 0)
		return request->take_error;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_error);
		return os_error > 0 ? (int)-os_error : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	default:
		return -ECONNRESET;
	}
}

/* In other words than curl's where those hold times and sizes: a trouble that is told once has to read the same each time. */
static const char *reason_of(const struct kube_request *request, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return strerror(-error_of(request, code));
	case CURLE_OPERATION_TIMEDOUT:
		return "no answer in time";
	case CURLE_PARTIAL_FILE:
		return "the answer was cut short";
	default:
		return request->error_text[0] ? request->error_text : curl_easy_strerror(code);
	}
}

static uint32_t retry_after_ms(const struct kube_request *request)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds < 0)
		seconds = 0;
	return (uint32_t)(seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds) * 1000;
}

/* ---- requests ---- */

static void request_free(struct kube_request *request)
{
	if (request->easy) {
		curl_multi_remove_handle(request->http->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	for (struct curl_slist *line = request->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data)); /* one of them is the token */
	curl_slist_free_all(request->headers);
	if (request->link) {
		*request->link = request->next;
		if (request->next)
			request->next->link = request->link;
	}
	free(request->url);
	free(request->body);
	free(request);
}

static void link_request(struct kube_http *http, struct kube_request *request)
{
	request->next = http->requests;
	request->link = &http->requests;
	if (request->next)
		request->next->link = &request->next;
	http->requests = request;
}

static void set_options(struct kube_request *request, const struct kube_get *get)
{
	const struct kube_config *config = request->http->config;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "fairdial/" FAIRDIAL_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A name that takes long to resolve is given up without waiting for the thread that asks for it: the loop has other work. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)get->timeout_ms);
	if (get->silence_ms) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(get->silence_ms + 999) / 1000);
	}
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_EVERY_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, tune_socket);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error_text);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	if (get->compressed)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (config->proxy_url)
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url);
	if (request->http->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->http->connect_to);
	set_trust(easy, config);
}

struct kube_request *kube_http_get(struct kube_http *http, const struct kube_get *get, const struct kube_request_ops *ops,
				   void *of)
{
	struct kube_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = http;
	request->ops = ops;
	request->of = of;
	request->easy = curl_easy_init();
	if (asprintf(&request->url, "%s%s", http->base, get->path) < 0)
		request->url = NULL;
	if (!request->easy || !request->url || !add_headers(request))
		goto fail;
	set_options(request, get);
	if (curl_multi_add_handle(http->multi, request->easy) != CURLM_OK)
		goto fail;
	link_request(http, request);
	return request;
fail:
	request_free(request);
	return NULL;
}

void kube_http_cancel(struct kube_request *request)
{
	if (request)
		request_free(request);
}

/* ---- the client ---- */

/* A copy of what curl gave out, which has an allocator of its own. */
static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
	char *value, *copy = NULL;

	if (curl_url_get(url, part, &value, flags) != CURLUE_OK)
		return NULL;
	copy = strdup(value);
	curl_free(value);
	return copy;
}

/*
 * Where the certificate is for another name than the one that is dialed, the URL gets that name, and the connection goes
 * where the URL went before (curl's "connect to").
 */
static int rename_server(struct kube_http *http, const char *name)
{
	CURLU *url = curl_url();
	char *host = NULL, *port = NULL, *line = NULL;
	int r = -EINVAL;

	if (url && curl_url_set(url, CURLUPART_URL, http->config->server, 0) == CURLUE_OK) {
		host = url_part(url, CURLUPART_HOST, 0);
		port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	}
	if (host && port && asprintf(&line, "%s:%s:%s:%s", name, port, host, port) >= 0 &&
	    curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK) {
		http->connect_to = curl_slist_append(NULL, line);
		http->base = url_part(url, CURLUPART_URL, 0);
		r = http->connect_to && http->base ? 0 : -ENOMEM;
	}
	if (r == 0 && http->base[strlen(http->base) - 1] == '/')
		http->base[strlen(http->base) - 1] = '\0';
	free(host);
	free(port);
	free(line);
	curl_url_cleanup(url);
	return r;
}

int kube_http_new(const struct kube_config *config, struct kube_http **ret_http, struct report *why)
{
	struct kube_http *http = calloc(1, sizeof(*http));
	int r = -ENOMEM;

	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(http);
		return report(why, r, "out of memory");
	}
	http->config = config;
	http->multi = curl_multi_init();
	if (http->multi && config->tls_server_name)
		r = rename_server(http, config->tls_server_name);
	else if (http->multi && (http->base = strdup(config->server)))
		r = 0;
	if (r < 0) {
		kube_http_free(http);
		return report(why, r, r == -EINVAL ? "%s: no URL of a server that can be dialed" : "out of memory", config->server);
	}
	*ret_http = http;
	return 0;
}

void kube_http_free(struct kube_http *http)
{
	if (!http)
		return;
	while (http->requests)
		request_free(http->requests);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->connect_to);
	free(http->base);
	wipe(http->sent[0]);
	wipe(http->sent[1]);
	free(http);
	curl_global_cleanup();
}

int kube_http_wait(struct kube_http *http, struct pollfd *fds, unsigned n, int timeout_ms)
{
	struct curl_waitfd waits[8];
	int count;
	CURLMcode code;

	if (n > sizeof(waits) / sizeof(waits[0]))
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		waits[i] = (struct curl_waitfd){ .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
		fds[i].revents = 0;
	}
	code = curl_multi_poll(http->multi, waits, n, timeout_ms, &count);
	for (unsigned i = 0; i < n; i++)
		if (waits[i].revents)
			fds[i].revents = POLLIN;
	return code == CURLM_OK ? 0 : -EIO;
}

static void finish(struct kube_request *request, CURLcode code)
{
	const struct kube_request_ops *ops = request->ops;
	void *of = request->of;
	struct kube_answer answer = {
		.error = error_of(request, code),
		.status = status_of(request),
		.retry_after_ms = retry_after_ms(request),
		.body = request->body ? request->body : "",
		.body_len = request->body_len,
		.reason = reason_of(request, code),
	};

	ops->done(of, &answer);
	request_free(request);
}

void kube_http_run(struct kube_http *http)
{
	CURLMsg *message;
	int running, left;

	curl_multi_perform(http->multi, &running);
	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct kube_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		finish(request, message->data.result);
	}
}
