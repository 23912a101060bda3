/* SPDX-License-Identifier: Apache-2.0 */
/* What a reflector keeps: seen by reflector*.c only. */
#ifndef FAIRDIAL_KUBE_REFLECTOR_STATE_H
#define FAIRDIAL_KUBE_REFLECTOR_STATE_H

#include <stddef.h>

#include "kube/backoff.h"
#include "kube/frames.h"
#include "kube/reflector.h"
#include "kube/trouble.h"

enum stage { STAGE_LIST, STAGE_STREAM, STAGE_WATCH };

/*
 * How fresh the next list has to be. The first may come from the server's cache, which may be behind; one after an outage may not
 * be older than what was seen; where that cannot be had, the store itself is asked; in one piece where its pages went stale before
 * the last one was read.
 */
enum list_from { FROM_CACHE, FROM_VERSION, FROM_STORE, FROM_STORE_WHOLE };

struct reflector {
	struct reflector_context context;
	struct reflector_scope scope;
	char *namespace, *label_selector, *field_selector; /* what the scope points to */

	enum stage stage; /* of the request under way, or of the next one */
	struct kube_request *request;
	uint64_t due_ms;   /* no request under way: when the next one is sent */
	uint64_t begun_ms; /* the request */
	uint64_t heard_ms; /* its last byte */
	uint64_t contact_ms; /* the last byte of any */

	bool declines_streams; /* the server does not send initial events */
	enum list_from list_from;
	char *version;	/* of the last list or event; NULL before the first */
	char *continued; /* the next page of the list under way; NULL: its first */
	struct model_list *staging;
	struct frames frames;
	size_t said; /* values in this request */
	bool begun;  /* its status line has come */
	struct kube_verdict verdict; /* of an ERROR event, or of what could not be read */
	bool has_verdict;

	bool synced, refused, forbidden;
	uint64_t failing_since_ms; /* 0: sound */
	uint64_t garbled_since_ms; /* 0: not */
	uint64_t listed_again_ms;  /* when a watch last made a new list necessary; 0: never */
	struct backoff backoff;
	uint32_t delay_ms;
	uint64_t started_wall_ms;
	uint64_t random;
	char trouble[KUBE_TROUBLE_SIZE];
};

/* ---- reflector.c ---- */

/* It is being followed: nothing is missed from now on. */
void reflector_note_sound(struct reflector *r);

/* What the next request is, and when. */
void reflector_go_on(struct reflector *r, enum stage stage, uint64_t at_ms);

/* ---- reflector_take.c ---- */

/* A list under way comes to nothing. */
void reflector_drop_staging(struct reflector *r);

/* Owned texts: replaced by a copy. 0, -ENOMEM. */
int reflector_replace(char **text, const char *with);

/* The request is to end, because what came makes no sense; returns what `take` has to return. */
int reflector_stop_garbled(struct reflector *r, const char *why);

/* Values of a list and of a watch: as struct frames calls them. */
int reflector_take_item(void *of, const char *text, size_t len);
int reflector_take_event(void *of, const char *text, size_t len);

/* A page is there whole: goes on to the next one, or to the watch. 0, or a negative errno. */
int reflector_end_page(struct reflector *r, uint64_t now_ms);

#endif
