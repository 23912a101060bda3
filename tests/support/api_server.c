/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life, what a test sees of it, and what it says to it. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/api_state.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { FIRST_VERSION = 100, CUT_LIMIT_MS = 10000, SHOWN = 60 };

/* ---- locking and waiting ---- */

void api_lock(struct api_server *s)
{
	pthread_mutex_lock(&s->lock);
}

void api_unlock(struct api_server *s)
{
	pthread_mutex_unlock(&s->lock);
}

void api_changed(struct api_server *s)
{
	pthread_cond_broadcast(&s->changed);
}

void wake_all(struct api_server *s)
{
	for (struct api_conn *c = s->open; c; c = c->next)
		conn_wake(c);
}

static void show_log(struct api_server *s)
{
	size_t i = s->log_count > SHOWN ? s->log_count - SHOWN : 0;

	print_error("%zu requests; %u connections open, %u accepted, %u failed handshakes\n", s->log_count,
		    s->counts.open, s->counts.accepted, s->counts.failed);
	for (; i < s->log_count; i++)
		print_error("  %u %s %s\n", s->log[i]->request.connection, s->log[i]->request.method,
			    s->log[i]->target);
}

void wait_until(struct api_server *s, bool (*is)(struct api_server *, void *), void *data, int limit_ms,
		const char *what)
{
	long end = now_ms() + limit_ms;
	struct timespec until = { end / 1000, end % 1000 * 1000000 };

	while (!is(s, data)) {
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT && !is(s, data)) {
			show_log(s);
			api_unlock(s);
			fail_msg("%s (%d ms)", what, limit_ms);
		}
	}
}

/* ---- versions ---- */

void version_print(const struct api_server *s, uint64_t version, struct text *out)
{
	text_printf(out, "%s%llu", s->prefix, (unsigned long long)version);
}

int version_parse(const struct api_server *s, const char *text, uint64_t *ret_version)
{
	size_t length = strlen(s->prefix);
	char *end;

	if (strcmp(text, "0") == 0)
		return 0;
	if (strncmp(text, s->prefix, length) || text[length] < '0' || text[length] > '9')
		return -EINVAL;
	*ret_version = strtoull(text + length, &end, 10);
	return *end ? -EINVAL : 0;
}

/* ---- connections ---- */

static struct api_conn *new_conn(struct api_server *s)
{
	struct api_conn *c = s->spare;

	if (c) {
		s->spare = c->next;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->s = s;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0)
		abort();
	return c;
}

static void free_spare(struct api_server *s)
{
	while (s->spare) {
		struct api_conn *c = s->spare;

		s->spare = c->next;
		close(c->wake);
		text_done(&c->in);
		text_done(&c->out);
		text_done(&c->frame);
		free(c);
	}
}

/* Back to the spare ones, with its buffers. */
static void retire(struct api_conn *c)
{
	struct api_server *s = c->s;
	struct api_conn **at = &s->open;

	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	text_clear(&c->in);
	api_lock(s);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->next = s->spare;
	s->spare = c;
	s->counts.open--;
	api_changed(s);
	api_unlock(s);
}

static void *serve(void *data)
{
	struct api_conn *c = data;

	conn_serve(c);
	OPENSSL_thread_stop();
	retire(c);
	return NULL;
}

static void take(struct api_server *s, int fd)
{
	struct api_conn *c;
	pthread_t thread;
	eventfd_t old;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	api_lock(s);
	c = new_conn(s);
	eventfd_read(c->wake, &old);
	c->fd = fd;
	c->number = s->counts.accepted++;
	c->cut_now = API_UNCUT;
	c->ill_met = s->welcomes && s->welcomes--; /* here, in the order of connections: their threads run in any */
	c->welcome = s->welcome;
	c->next = s->open;
	s->open = c;
	s->counts.open++;
	api_changed(s);
	api_unlock(s);
	if (pthread_create(&thread, NULL, serve, c))
		abort();
	pthread_detach(thread);
}

/* ---- listening ---- */

static bool fill_address(const struct api_server *s, int port, struct sockaddr_storage *to, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (strchr(s->address, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*length = sizeof(*v6);
		return inet_pton(AF_INET6, s->address, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	*length = sizeof(*v4);
	return inet_pton(AF_INET, s->address, &v4->sin_addr) == 1;
}

/* 0, or negative errno. */
static int open_listener(struct api_server *s)
{
	struct sockaddr_storage to;
	socklen_t length;
	int fd;

	if (!fill_address(s, s->port, &to, &length))
		return -EINVAL;
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&to, length) || listen(fd, 4096)) {
		int error = errno;

		close(fd);
		return -error;
	}
	s->listener = fd;
	return 0;
}

/* Until woken, which is to stop. */
static void *accept_all(void *data)
{
	struct api_server *s = data;
	struct pollfd fd[2] = { { s->wake, POLLIN, 0 }, { s->listener, POLLIN, 0 } };
	int taken;

	for (;;) {
		poll(fd, 2, -1);
		if (fd[0].revents)
			return NULL;
		taken = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		if (taken >= 0)
			take(s, taken);
	}
}

void api_stop_listening(struct api_server *s)
{
	eventfd_t woken;

	if (!s->accepting)
		return;
	eventfd_write(s->wake, 1);
	pthread_join(s->acceptor, NULL);
	eventfd_read(s->wake, &woken);
	shutdown(s->listener, SHUT_RDWR); /* also where a helper's child has a copy of it */
	close(s->listener);
	s->accepting = false;
}

static void start_accepting(struct api_server *s)
{
	if (pthread_create(&s->acceptor, NULL, accept_all, s))
		abort();
	s->accepting = true;
}

void api_listen(struct api_server *s)
{
	int error;

	if (s->accepting)
		return;
	error = open_listener(s);
	if (error)
		fail_msg("cannot listen on port %d again: %s", s->port, strerror(-error));
	start_accepting(s);
}

/* ---- start and end ---- */

static bool none_open(struct api_server *s)
{
	return !s->open;
}

static void end_connections(struct api_server *s)
{
	api_lock(s);
	s->ending = true;
	wake_all(s);
	while (!none_open(s))
		pthread_cond_wait(&s->changed, &s->lock);
	api_unlock(s);
}

static void free_log(struct api_server *s)
{
	for (size_t i = 0; i < s->log_count; i++) {
		for (size_t j = 0; j < sizeof(s->log[i]->texts) / sizeof(*s->log[i]->texts); j++)
			free(s->log[i]->texts[j]);
		free(s->log[i]->target);
		free(s->log[i]);
	}
	free(s->log);
}

static void free_script(struct script_entry *e)
{
	free((char *)e->plan.method);
	free((char *)e->plan.path);
	free((char *)e->plan.headers);
	free((char *)e->plan.body);
	free(e);
}

static void free_scripts(struct api_server *s)
{
	while (s->scripts) {
		struct script_entry *e = s->scripts;

		s->scripts = e->next;
		free_script(e);
	}
}

static void free_forbidden(struct api_server *s)
{
	while (s->forbidden) {
		struct forbidden *f = s->forbidden;

		s->forbidden = f->next;
		free(f->path);
		free(f);
	}
}

static void api_done(void *what)
{
	struct api_server *s = what;

	api_stop_listening(s);
	end_connections(s);
	free_spare(s);
	free_log(s);
	free_scripts(s);
	free_forbidden(s);
	store_done(&s->store);
	certs_done(&s->certs);
	close(s->wake);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->user);
	free(s->prefix);
	free(s->address);
	free(s->url);
	free(s->token);
	free(s);
}

static char *copy_or(const char *text, const char *otherwise)
{
	return strdup(text ? text : otherwise);
}

static void init_lock(struct api_server *s)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* A port that no client is given, so that a stopped server refuses, and can have it back. */
static int choose_port(struct api_server *s)
{
	int error = -EADDRINUSE;

	for (int tries = 0; tries < 100 && error == -EADDRINUSE; tries++) {
		s->port = unused_port();
		error = open_listener(s);
	}
	return error;
}

struct api_server *api_start(const struct api_options *options)
{
	static const struct api_options usual;
	struct api_server *s = calloc(1, sizeof(*s));
	int error;

	s->options = *(options ? options : &usual);
	s->user = copy_or(s->options.user, "viewer");
	s->prefix = copy_or(s->options.version_prefix, "");
	s->address = copy_or(s->options.address, "127.0.0.1");
	s->store.version = FIRST_VERSION;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	init_lock(s);
	certs_make(&s->certs, scratch_dir());
	after_test(api_done, s);
	error = choose_port(s);
	if (error)
		skip_because("cannot listen on %s: %s", s->address, strerror(-error));
	if (asprintf(&s->url, strchr(s->address, ':') ? "https://[%s]:%d" : "https://%s:%d", s->address, s->port) < 0)
		abort();
	start_accepting(s);
	return s;
}

const char *api_url(const struct api_server *s)
{
	return s->url;
}

int api_port(const struct api_server *s)
{
	return s->port;
}

const char *api_ca_file(const struct api_server *s)
{
	return s->certs.ca;
}

const char *api_other_ca_file(const struct api_server *s)
{
	return s->certs.other_ca;
}

const char *api_client_cert_file(const struct api_server *s)
{
	return s->certs.client_cert;
}

const char *api_client_key_file(const struct api_server *s)
{
	return s->certs.client_key;
}

/* ---- what a test changes ---- */

void api_set_initial(struct api_server *s, enum api_initial initial)
{
	api_lock(s);
	s->options.initial = initial;
	api_unlock(s);
}

void api_set_gone(struct api_server *s, enum api_gone gone)
{
	api_lock(s);
	s->options.gone = gone;
	api_unlock(s);
}

void api_require_token(struct api_server *s, const char *token)
{
	api_lock(s);
	free(s->token);
	s->token = token ? strdup(token) : NULL;
	api_unlock(s);
}

void api_require_client_cert(struct api_server *s, bool required)
{
	api_lock(s);
	s->need_cert = required;
	api_unlock(s);
}

void api_forbid(struct api_server *s, const char *path)
{
	struct forbidden *f = calloc(1, sizeof(*f));

	f->path = path ? strdup(path) : NULL;
	api_lock(s);
	f->next = s->forbidden;
	s->forbidden = f;
	api_unlock(s);
}

void api_permit(struct api_server *s)
{
	api_lock(s);
	free_forbidden(s);
	api_unlock(s);
}

void api_use_other_ca(struct api_server *s, bool other)
{
	api_lock(s);
	s->other_ca = other;
	api_unlock(s);
}

void api_welcome(struct api_server *s, enum api_welcome welcome, unsigned count)
{
	api_lock(s);
	s->welcome = welcome;
	s->welcomes = count;
	api_unlock(s);
}

void api_set_piece(struct api_server *s, size_t piece)
{
	api_lock(s);
	s->piece = piece;
	api_unlock(s);
}

/* ---- plans ---- */

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

static char *copy_bytes(const char *bytes, size_t size)
{
	char *copy = calloc(1, size + 1);

	memcpy(copy, bytes, size);
	return copy;
}

/* The bytes are the plan's own afterwards; a recording is read here, not by a thread. */
static void own_body(struct api_script *plan)
{
	if (plan->act == API_REPLAY)
		plan->body = read_file(repository(format("tests/data/kubernetes/%s", plan->body)), &plan->size);
	else if (plan->act != API_HUGE && plan->body && !plan->size)
		plan->size = strlen(plan->body);
	if (plan->body)
		plan->body = copy_bytes(plan->body, plan->size);
}

void api_script(struct api_server *s, const struct api_script *script)
{
	struct script_entry *e = calloc(1, sizeof(*e)), **end = &s->scripts;

	e->plan = *script;
	e->plan.method = copy_or_null(script->method);
	e->plan.path = copy_or_null(script->path);
	e->plan.headers = copy_or_null(script->headers);
	own_body(&e->plan);
	e->script = e->plan;
	if (!e->script.count)
		e->script.count = 1;
	api_lock(s);
	while (*end)
		end = &(*end)->next;
	*end = e;
	api_unlock(s);
}

/* They stay in the list, used up: a thread may be at one. */
void api_unscript(struct api_server *s)
{
	api_lock(s);
	for (struct script_entry *e = s->scripts; e; e = e->next)
		e->script.count = 0;
	api_unlock(s);
}

unsigned api_release(struct api_server *s)
{
	unsigned count = 0;

	api_lock(s);
	for (struct api_conn *c = s->open; c; c = c->next)
		if (c->held) {
			c->held = false;
			conn_wake(c);
			count++;
		}
	api_unlock(s);
	return count;
}

static bool as_many_held(struct api_server *s, void *data)
{
	unsigned count = 0;

	for (struct api_conn *c = s->open; c; c = c->next)
		count += c->held;
	return count == *(unsigned *)data;
}

void api_wait_held(struct api_server *s, unsigned count, int limit_ms)
{
	api_lock(s);
	wait_until(s, as_many_held, &count, limit_ms, "another number of requests is held");
	api_unlock(s);
}

static bool none_to_cut(struct api_server *s, void *data)
{
	(void)data;
	for (struct api_conn *c = s->open; c; c = c->next)
		if (c->cut_now != API_UNCUT)
			return false;
	return true;
}

void api_cut_all(struct api_server *s, enum api_cut how)
{
	api_lock(s);
	for (struct api_conn *c = s->open; c; c = c->next)
		c->cut_now = how;
	wake_all(s);
	wait_until(s, none_to_cut, NULL, CUT_LIMIT_MS, "a connection did not close");
	api_unlock(s);
}

/* ---- what a test sees ---- */

/* Requests that it is about. */
struct wanted {
	const char *path;
	bool (*is)(const struct api_request *, void *);
	void *data;
	size_t count;
	const struct api_request *found; /* the `count`th */
};

static size_t count_wanted(struct api_server *s, struct wanted *wanted)
{
	size_t count = 0;

	for (size_t i = s->log_start; i < s->log_count; i++) {
		const struct log_entry *e = s->log[i];

		if (wanted->is ? !wanted->is(&e->request, wanted->data) : !target_has(e, wanted->path))
			continue;
		if (++count == wanted->count)
			wanted->found = &e->request;
	}
	return count;
}

static bool has_come(struct api_server *s, void *data)
{
	struct wanted *wanted = data;

	return count_wanted(s, wanted) >= wanted->count;
}

static const struct api_request *wait_wanted(struct api_server *s, struct wanted *wanted, int limit_ms)
{
	api_lock(s);
	wait_until(s, has_come, wanted, limit_ms,
		   wanted->path ? wanted->path : "the requests that a test waited for did not come");
	api_unlock(s);
	return wanted->found;
}

const struct api_request *api_wait(struct api_server *s, const char *path, size_t count, int limit_ms)
{
	return wait_wanted(s, &(struct wanted){ .path = path, .count = count }, limit_ms);
}

const struct api_request *api_wait_for(struct api_server *s, bool (*is)(const struct api_request *, void *), void *data,
				       size_t count, int limit_ms)
{
	return wait_wanted(s, &(struct wanted){ .is = is, .data = data, .count = count }, limit_ms);
}

size_t api_request_count(struct api_server *s, const char *path)
{
	struct wanted wanted = { .path = path };
	size_t count;

	api_lock(s);
	count = count_wanted(s, &wanted);
	api_unlock(s);
	return count;
}

const struct api_request *api_request(struct api_server *s, const char *path, size_t i)
{
	struct wanted wanted = { .path = path, .count = i + 1 };

	api_lock(s);
	count_wanted(s, &wanted);
	api_unlock(s);
	if (!wanted.found)
		fail_msg("no request %zu of %s", i, path ? path : "any");
	return wanted.found;
}

void api_forget(struct api_server *s)
{
	api_lock(s);
	s->log_start = s->log_count;
	api_unlock(s);
}

bool api_has(const struct api_request *request, const char *name, const char *value)
{
	char *found = query_value(request->query, name);
	bool has = found && value ? strcmp(found, value) == 0 : !found && !value;

	free(found);
	return has;
}

struct api_counts api_counts(struct api_server *s)
{
	struct api_counts counts;

	api_lock(s);
	counts = s->counts;
	api_unlock(s);
	return counts;
}

static bool has_accepted(struct api_server *s, void *data)
{
	return s->counts.accepted >= *(unsigned *)data;
}

void api_wait_accepted(struct api_server *s, unsigned count, int limit_ms)
{
	api_lock(s);
	wait_until(s, has_accepted, &count, limit_ms, "too few connections came");
	api_unlock(s);
}

static bool as_many_connections(struct api_server *s, void *data)
{
	return s->counts.open == *(unsigned *)data;
}

void api_wait_open(struct api_server *s, unsigned count, int limit_ms)
{
	api_lock(s);
	wait_until(s, as_many_connections, &count, limit_ms, "another number of connections is open");
	api_unlock(s);
}
