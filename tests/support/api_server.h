/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for the API server of Kubernetes, for tests of who lists and watches Services and EndpointSlices: real
 * HTTPS on loopback, HTTP/1.1, a thread per connection inside the test's process. It holds objects with their whole
 * history, answers as the real one does (tests/data/kubernetes has what that said), and misbehaves as told.
 *
 * All functions are the test's own thread's. What takes a `limit_ms` waits for an event; the limit is a bound, not an
 * expectation: a test that meets it fails, and shows the requests so far. A `path` is a part of a request's path with
 * its query ("endpointslices", "watch=1", "namespaces/shop/"); NULL is all. The tests are TEST() ones: the server goes
 * when the test ends.
 */
#ifndef FAIRDIAL_TESTS_API_SERVER_H
#define FAIRDIAL_TESTS_API_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"

struct api_server;

/* What it makes of `sendInitialEvents=true`. */
enum api_initial {
	API_INITIAL_SENT,     /* as 1.32 does */
	API_INITIAL_REJECTED, /* 422: it knows the parameter, and has it switched off */
	API_INITIAL_IGNORED,  /* it does not know the parameter: a watch as any other */
};

/* How it says that a version is too old to watch from. */
enum api_gone {
	API_GONE_EVENT,  /* 200, then an ERROR event with code 410 */
	API_GONE_STATUS, /* HTTP 410 */
};

/* All zero is a server of today on 127.0.0.1 that lets everybody in. */
struct api_options {
	const char *address;        /* "127.0.0.1" (NULL) or "::1" */
	const char *version_prefix; /* versions are text: "v" makes them "v101" */
	const char *user;           /* who the client is, in refusals; NULL: "viewer" */
	enum api_initial initial;
	enum api_gone gone;
};

/* NULL: all zero. Skips the test where loopback has no such address. */
struct api_server *api_start(const struct api_options *options);

void api_set_initial(struct api_server *s, enum api_initial initial);
void api_set_gone(struct api_server *s, enum api_gone gone);

/* ---- reaching it ---- */

const char *api_url(const struct api_server *s); /* "https://127.0.0.1:41234" */
int api_port(const struct api_server *s);

/* Files: the authority of its certificate, one that has nothing to do with it, and a client's certificate and key. */
const char *api_ca_file(const struct api_server *s);
const char *api_other_ca_file(const struct api_server *s);
const char *api_client_cert_file(const struct api_server *s);
const char *api_client_key_file(const struct api_server *s);

struct api_kubeconfig {
	bool yaml;              /* else JSON, which is YAML too */
	bool inline_data;       /* certificates and key in the file itself, in base64; else as paths */
	bool client_cert;       /* with the client's certificate and key */
	bool other_ca;          /* with the authority that has nothing to do with it */
	bool decoys;            /* other clusters, users and contexts stand before the ones meant */
	const char *token;      /* NULL: none */
	const char *token_file; /* NULL: none */
	const char *namespace;  /* the context's; NULL: none */
	const char *server;     /* NULL: api_url */
};

/* NULL: all zero. */
void api_write_kubeconfig(const struct api_server *s, const char *path, const struct api_kubeconfig *options);

/* ---- objects ---- */

/*
 * Each change has the next version, and is sent to the watches that it concerns. Texts are JSON with single quotes for
 * double ones; uid and resourceVersion are filled in, and a namespace "shop" where there is none.
 */
void api_put_json(struct api_server *s, enum kube_kind kind, const char *text);

/* In the words of support/kube_objects.h: "10.96.0.1 fd00::1", "http:80 :53/UDP", "10.0.0.1,r0,s1,t1 10.0.0.2". */
void api_put_service(struct api_server *s, const char *name, const char *addresses, const char *ports);
void api_put_slice(struct api_server *s, const char *name, const char *service, const char *ports,
		   const char *endpoints);

/* "web" of "shop", or "web.other". It has to be there. */
void api_delete(struct api_server *s, enum kube_kind kind, const char *name);

/* Everything that a recorded list holds (tests/data/kubernetes/NAME). */
void api_put_recording(struct api_server *s, enum kube_kind kind, const char *name);

/* The version that it is at; valid until the test ends. */
const char *api_version(struct api_server *s);

/* Forgets what was before now: older versions are too old, for watches, pages and exact lists. */
void api_compact(struct api_server *s);

/* Lists that ask for version 0 are answered as of now (true), or as it is then (false). */
void api_freeze_cache(struct api_server *s, bool frozen);

/* ---- who may ---- */

void api_require_token(struct api_server *s, const char *token); /* NULL: anybody */
void api_require_client_cert(struct api_server *s, bool required);
void api_forbid(struct api_server *s, const char *path); /* 403 from now on; one more path a call */
void api_permit(struct api_server *s);                   /* all again */

/* ---- requests that go wrong ---- */

enum api_act {
	API_USUAL,   /* the answer that it would give anyway */
	API_STATUS,  /* `status`, `headers` and `body` */
	API_REPLAY,  /* the recorded answer tests/data/kubernetes/`body`: status, headers and body, framed anew */
	API_GARBAGE, /* `body` stands for the whole answer, head and all */
	API_HUGE,    /* a list of nothing that is `size` bytes long */
	API_NEVER,   /* no answer; the connection stays */
	API_CLOSE,   /* no answer; the connection closes, as `cut` says */
};

enum api_cut {
	API_UNCUT,
	API_CUT_TLS,    /* TLS says goodbye, HTTP does not */
	API_CUT_FIN,    /* not even TLS does */
	API_CUT_RECORD, /* in the middle of a TLS record */
	API_CUT_RST,
};

struct api_script {
	/* which requests: NULL is any */
	const char *method, *path;
	unsigned skip;  /* so many are left alone first */
	unsigned count; /* 0: one; API_ALWAYS */

	/* what happens */
	enum api_act act;
	int status;
	const char *headers; /* lines, each with \r\n; NULL: none */
	const char *body;    /* of a status: NULL makes the Status object that belongs to it */
	size_t size;         /* of the body; 0: its strlen */
	bool hold;           /* not before api_release */
	bool close;          /* "Connection: close", and closes behind it */
	bool chunked;        /* an API_STATUS in chunks */
	int length_off;      /* what Content-Length says too much, or too little */
	size_t piece;        /* bytes in one write; 0: all */
	enum api_cut cut;    /* behind `cut_after` bytes of the body, or with `cut_head` of head and body */
	bool cut_head;
	size_t cut_after;
};

enum { API_ALWAYS = ~0u };

/* For requests that come from now on; of several that match, the first one given. The texts are copied. */
void api_script(struct api_server *s, const struct api_script *script);
void api_unscript(struct api_server *s); /* all of them */

/* Lets the requests go that are held now. Returns how many that were. */
unsigned api_release(struct api_server *s);
void api_wait_held(struct api_server *s, unsigned count, int limit_ms);

/* What awaits the next `count` connections instead of a handshake. */
enum api_welcome { API_WELCOME_GARBAGE, API_WELCOME_CLOSE, API_WELCOME_SILENCE };
void api_welcome(struct api_server *s, enum api_welcome welcome, unsigned count);

/* Shows a certificate of the other authority from now on (true), or its own again. */
void api_use_other_ca(struct api_server *s, bool other);

/* Refuses connections; takes them again, on the same port. What is open stays. */
void api_stop_listening(struct api_server *s);
void api_listen(struct api_server *s);

/* Closes every connection, whatever it is at. */
void api_cut_all(struct api_server *s, enum api_cut how);

/* ---- watches that are open ---- */

/* All return when it is done, and fail after ten seconds, or where no watch is open. */
void api_bookmark(struct api_server *s, const char *path);               /* to those that allow it */
void api_say(struct api_server *s, const char *path, const char *bytes); /* as they stand, in one write */
void api_error(struct api_server *s, const char *path, int code, const char *reason, const char *message);
void api_again(struct api_server *s, const char *path); /* the last event of each once more */
void api_end(struct api_server *s, const char *path);   /* cleanly; the connection stays */
void api_cut(struct api_server *s, const char *path, enum api_cut how);
void api_silence(struct api_server *s, const char *path); /* neither reads nor writes from now on; can be cut */

/*
 * From now on an order that finds no watch is nothing. For a client that may hang up at any time: one that has read an error or
 * nonsense closes its watch some time after all was written.
 */
void api_allow_no_watch(struct api_server *s);

/* Events wait (true), or go: then all in one write. */
void api_pause(struct api_server *s, const char *path, bool paused);

/* Watches that open from now on write so many bytes at once; 0: all there is. */
void api_set_piece(struct api_server *s, size_t piece);

/* ---- seeing ---- */

struct api_request {
	const char *method, *path, *query;                                 /* query: without "?", as it came; "" */
	const char *authorization, *accept, *user_agent, *accept_encoding; /* "" where there was none */
	const char *peer;                                                  /* the client certificate's subject; "" */
	unsigned connection;                                               /* the how-manieth of the server, from 0 */
	bool watch;
};

/* The requests since api_start or api_forget; valid until the test ends. */
size_t api_request_count(struct api_server *s, const char *path);
const struct api_request *api_request(struct api_server *s, const char *path, size_t i);
void api_forget(struct api_server *s);

/* Until there were `count` requests. Returns the last of those. */
const struct api_request *api_wait(struct api_server *s, const char *path, size_t count, int limit_ms);

/* The same of those for which `is` is true; it is called with the server locked, and may not call it. */
const struct api_request *api_wait_for(struct api_server *s, bool (*is)(const struct api_request *, void *), void *data,
				       size_t count, int limit_ms);

size_t api_watches(struct api_server *s, const char *path); /* open now */
void api_wait_watches(struct api_server *s, const char *path, size_t count, int limit_ms);

/* Until every watch has written all events that concern it (paused and silent ones aside). */
void api_wait_sent(struct api_server *s, int limit_ms);

/* Whether a query has this parameter with this value ("" where it is not there and `value` is NULL). */
bool api_has(const struct api_request *request, const char *name, const char *value);

struct api_counts {
	unsigned accepted;   /* connections */
	unsigned handshakes; /* complete ones */
	unsigned resumed;    /* of them, with a ticket */
	unsigned failed;     /* handshakes that were not */
	unsigned open;       /* connections, now */
	unsigned requests;   /* also those that api_forget forgot */
	unsigned watches;    /* opened */
};

struct api_counts api_counts(struct api_server *s);
void api_wait_accepted(struct api_server *s, unsigned count, int limit_ms);
void api_wait_open(struct api_server *s, unsigned count, int limit_ms);

#endif
