/* SPDX-License-Identifier: Apache-2.0 */
/* What a follower asks of the stand-in API server, by what it is for. */
#ifndef FAIRDIAL_TESTS_KUBE_ASKS_H
#define FAIRDIAL_TESTS_KUBE_ASKS_H

#include <stddef.h>

struct agent_run;
struct api_options;
struct api_request;
struct api_server;

#define SLICES	 "/endpointslices"
#define SERVICES "/services"
#define WEB_PORT "10.96.0.1:80"

enum { ASK_LIMIT_MS = 10000 };

enum ask {
	ASK_LIST,
	ASK_STREAM, /* a watch that begins with the objects there are */
	ASK_WATCH,  /* any other */
};

/* How many there were of a collection, since api_forget. */
size_t asks(struct api_server *api, const char *collection, enum ask ask);

/* Until there were `count`. Returns the last of those. */
const struct api_request *wait_ask(struct api_server *api, const char *collection, enum ask ask, size_t count);

/* Fails unless a parameter has this value; NULL: it must not be there at all. */
void assert_asked(const struct api_request *request, const char *name, const char *value);

/* Service "web" of namespace "shop" with one slice "web-1": 10.96.0.1:80, which is 10.0.0.1:8080. */
struct api_server *api_of_web(const struct api_options *options);

/* An agent that follows both collections, and has said so of `web`. `more` as in agent_start. */
struct agent_run *agent_of_web(struct api_server *api, const char *const *more);

/* Sends the slices' watch a bookmark and ends it cleanly, so that the next one is due at once. */
void end_slices(struct api_server *api);

/* Fails where slices were listed, in either way, since api_forget. */
void assert_not_listed(struct api_server *api);

/* A text with double quotes for single ones; valid until the test ends. */
char *quoted(const char *text);

#endif
