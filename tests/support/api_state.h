/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the API server share (api_server.h is for tests). One mutex guards all of struct api_server, and of
 * a connection what its comment says; `changed` is signalled whenever something changed that a test may wait for. A
 * thread sleeps in poll on its socket and on its eventfd, which the test's thread writes after it changed something.
 */
#ifndef FAIRDIAL_TESTS_API_STATE_H
#define FAIRDIAL_TESTS_API_STATE_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/types.h>

#include "support/api_server.h"

/* ---- api_text.c: bytes that grow ---- */

struct text {
	char *bytes; /* NUL-terminated where not NULL */
	size_t length, room;
};

void text_add(struct text *t, const void *bytes, size_t size);
void text_puts(struct text *t, const char *text);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *t);
void text_done(struct text *t);

/* ---- api_tls.c ---- */

struct api_certs {
	SSL_CTX *own, *other;
	char ca[128], other_ca[128], client_cert[128], client_key[128]; /* paths */
};

void certs_make(struct api_certs *certs, const char *dir);
void certs_done(struct api_certs *certs);

/* ---- api_wire.c: a connection's TLS, with records in hand ---- */

struct api_conn;

/* All but conn_wake are the connection's own thread's. They return false when the connection is at its end. */
bool wire_handshake(struct api_conn *c, SSL_CTX *context);
bool wire_send(struct api_conn *c, const void *bytes, size_t size);
void wire_cut(struct api_conn *c, enum api_cut how);
void wire_done(struct api_conn *c);

/*
 * Waits for the socket, the eventfd, or `until_ms` of now_ms (-1: for ever); what was read is added to `c->in`. False
 * when the peer has closed or the server ends.
 */
bool wire_wait(struct api_conn *c, long until_ms);

/* Sleeps until woken, and leaves the socket alone; false when the server ends. */
bool wire_sleep(struct api_conn *c);

void conn_wake(struct api_conn *c); /* from any thread */

/* ---- api_store.c: every version of every object ---- */

struct api_object {
	enum kube_kind kind;
	const char *type; /* of the event that made it */
	char *namespace, *name, *text;
	json_t *json;
	uint64_t born, ended; /* versions; ended 0: it is what counts now */
	struct api_object *before;
};

struct api_rows {
	struct api_object **at;
	size_t count, room;
};

struct api_store {
	uint64_t version, compacted, frozen; /* frozen 0: not */
	struct api_rows rows[KUBE_KINDS];    /* by namespace, name and born; without deletions */
	struct api_rows history;             /* by born */
};

/* Both with the server locked. */
bool store_lives(const struct api_object *o, uint64_t version);
struct api_object *store_find(struct api_store *store, enum kube_kind kind, const char *namespace, const char *name);
void store_done(struct api_store *store);

extern const struct api_kind {
	const char *plural, *group, *kind, *version;
} api_kinds[KUBE_KINDS];

/* ---- api_select.c: which objects a request is about ---- */

struct api_filter {
	enum kube_kind kind;
	char *namespace; /* NULL: all */
	char *labels, *fields;
};

bool filter_matches(const struct api_filter *f, const struct api_object *o);
bool filter_is_valid(const struct api_filter *f, struct text *problem);
void filter_done(struct api_filter *f);

/* ---- requests ---- */

struct log_entry {
	struct api_request request;
	char *target; /* path?query */
	char *texts[8];
};

/* A request that is being answered. */
struct api_exchange {
	struct log_entry *entry;
	struct api_filter filter;
};

/* The value of a parameter, decoded, which the caller frees; NULL where it is not there. */
char *query_value(const char *query, const char *name);

/* ---- connections ---- */

/* What a test tells a watch to do; the queue is guarded by the server's mutex. */
enum order_kind { ORDER_SAY, ORDER_BOOKMARK, ORDER_AGAIN, ORDER_END, ORDER_CUT };

struct order {
	enum order_kind kind;
	char *bytes;
	enum api_cut cut;
	struct order *next;
};

struct watch {
	/* its own thread's */
	struct api_filter filter; /* the request's */
	bool bookmarks;
	bool initial_end; /* a bookmark is owed behind the first events */
	uint64_t initial_version;
	char *last;     /* the last event's line; NULL: none */
	long until_ms;  /* of now_ms; -1: no end */
	size_t next;    /* of the history */
	uint64_t after; /* the version it began behind, which may be one to come */

	/* guarded by the mutex */
	unsigned id; /* from 1 */
	size_t sent; /* `next`, when all before it was written */
	bool paused, silent;
	struct order *orders;
	unsigned asked, done; /* orders */
};

struct api_conn {
	struct api_server *s;
	struct api_conn *next; /* of all that are open; or spare */
	unsigned number;
	int fd, wake;
	SSL *ssl;
	BIO *from_net, *to_net;
	struct text in, out, frame; /* its own thread's; in: read and not consumed; out: to be sent */

	/* how the answer at hand goes out: its own thread's */
	const struct api_script *plan; /* never NULL */
	bool chunked, last;            /* last: the client, or the plan, wants the connection closed behind it */
	size_t piece, cut_left;
	bool verified; /* the client's certificate */
	char peer[128];

	/* guarded by the mutex */
	enum api_cut cut_now; /* the test wants it gone */
	bool ill_met;	      /* greeted by `welcome` instead of a handshake */
	enum api_welcome welcome;
	bool held;
	struct watch *watch;           /* NULL: it answers none */
	const struct log_entry *entry; /* of that watch */
};

struct api_server {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct api_options options;
	char *user, *prefix, *address, *url, *token;
	int port, listener, wake;
	pthread_t acceptor;
	bool accepting, ending;
	struct api_certs certs;
	bool other_ca, need_cert;
	struct api_conn *open, *spare;
	struct api_counts counts;

	struct api_store store;

	struct log_entry **log;
	size_t log_count, log_room, log_start;

	struct script_entry *scripts;
	struct forbidden *forbidden;
	enum api_welcome welcome;
	unsigned welcomes;
	size_t piece;
	bool may_miss; /* an order may find no watch: api_allow_no_watch */
};

/* `script` counts down; `plan` is what happens, and stays as it is, also when the test takes the script back. */
struct script_entry {
	struct api_script script, plan;
	struct script_entry *next;
};

struct forbidden {
	char *path;
	struct forbidden *next;
};

/* Locks; a test's wait that takes too long unlocks, shows the log and fails. */
void api_lock(struct api_server *s);
void api_unlock(struct api_server *s);
void api_changed(struct api_server *s); /* locked */
void wake_all(struct api_server *s);    /* locked */

/* Waits (locked) until `is(s, data)`; fails after `limit_ms`, saying `what`. */
void wait_until(struct api_server *s, bool (*is)(struct api_server *, void *), void *data, int limit_ms,
		const char *what);

/* "v101", and back: 0, or -EINVAL. */
void version_print(const struct api_server *s, uint64_t version, struct text *out);
int version_parse(const struct api_server *s, const char *text, uint64_t *ret_version);

/* ---- api_http.c: a connection's life, and the frames around an answer ---- */

void conn_serve(struct api_conn *c);

/* False when the connection is at its end, or was cut as planned. */
bool send_head(struct api_conn *c, int status, const char *headers, bool chunked, size_t length);
bool send_body(struct api_conn *c, const char *bytes, size_t size);
bool send_end(struct api_conn *c);
bool send_json(struct api_conn *c, int status, const char *headers, const char *body, size_t size);

/* ---- api_status.c: Status objects, as the real one words them ---- */

struct refusal {
	int code;
	const char *reason;
	char message[768];
	json_t *details;       /* stolen */
	const char *headers;   /* NULL: none */
	const char *next_page; /* metadata.continue; NULL: none */
};

const char *status_words(int code);
char *status_text(struct refusal *r, size_t flags); /* the caller frees; releases the details */
bool send_refusal(struct api_conn *c, struct refusal *r);
void refusal_too_large(const struct api_server *s, uint64_t version, struct refusal *r);
void refusal_expired(const struct api_server *s, uint64_t version, struct refusal *r);
void refusal_forbidden(const struct api_server *s, const struct api_exchange *x, struct refusal *r);

/* ---- api_list.c, api_watch.c ---- */

bool answer_list(struct api_conn *c, struct api_exchange *x);
bool answer_watch(struct api_conn *c, struct api_exchange *x);

bool target_has(const struct log_entry *entry, const char *path);

#endif
