/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps one collection of the API in the model: lists it, watches it from there, and starts again where that breaks off (what
 * client-go calls a reflector: tools/cache/reflector.go, whose rules and numbers these are unless a comment says otherwise).
 *
 *	        ┌──────────── 410, 504 too large, garbled for a minute ───────────┐
 *	        ▼                                                                 │
 *	 WAIT ─▶ LIST ─ page by page ─▶ committed ─▶ WATCH ─ EOF ─▶ WATCH ─ ... ──┤
 *	   ▲  └▶ STREAM ─ "initial-events-end" ─▶ ───┘│                           │
 *	   └───────────── failed: back-off ◀──────────┴───────────────────────────┘
 *
 * The list may itself be the beginning of a watch (STREAM: sendInitialEvents, KEP-3157), which spares the server from building it
 * whole; a server that declines, or does not know the word, is asked for a list from then on.
 *
 * What a list says is staged and replaces what was there in one step, when it is complete: until then the old objects serve.
 * Versions are opaque: kept, handed back, never compared or counted with.
 */
#ifndef FAIRDIAL_KUBE_REFLECTOR_H
#define FAIRDIAL_KUBE_REFLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

struct kube_config;
struct kube_http;
struct reflector;

/* Times in milliseconds. Tests have shorter ones. */
struct kube_timing {
	uint32_t backoff_ms;	   /* the first pause after a failure; doubled each time, and up to as much again by chance */
	uint32_t backoff_max_ms;
	uint32_t healthy_ms;	   /* so long without a failure: the next one begins anew */
	uint32_t watch_ms;	   /* a watch lasts so long, and up to as much again by chance */
	uint32_t short_watch_ms;   /* one that ends sooner, with nothing said, is a failure */
	uint32_t stream_silence_ms; /* initial events that stop coming before their end */
	uint32_t list_silence_ms;
	uint32_t garbled_ms;	   /* a watch that has failed by its contents for so long is listed again */
};
struct kube_timing kube_timing_defaults(void);

struct reflector_scope {
	enum kube_kind kind;
	uint32_t origin;	    /* of its objects in the model; not 0 */
	const char *namespace;	    /* NULL: all */
	const char *label_selector; /* NULL: none */
	const char *field_selector; /* NULL: none */
};

/* What was asked and heard, by all reflectors of a kind: these only grow, whichever of them come and go. */
struct kube_counts {
	uint64_t lists;	   /* asked for: first pages, and watches that begin with all there is */
	uint64_t watches;  /* asked for, the latter among them */
	uint64_t events;   /* changes that watches told, beyond what there was at their beginning */
	uint64_t failures; /* of requests; but not that a version has become too old, which is in the nature of things */
};

struct delays;

struct reflector_context {
	struct kube_http *http;
	const struct kube_config *config;
	struct model *model;
	const struct kube_timing *timing;
	struct kube_counts *counts; /* of its kind */
	struct delays *delays;
};

/* What the context points to must last. NULL where there is no memory. */
struct reflector *reflector_new(const struct reflector_context *context, const struct reflector_scope *scope);
void reflector_free(struct reflector *reflector);

/* Starts what is due. */
void reflector_run(struct reflector *reflector, uint64_t now_ms);

/* When it has something to do by itself, at the latest; UINT64_MAX: when the server speaks. */
uint64_t reflector_due_ms(const struct reflector *reflector);

/* What it is for, and how it stands. */
const struct reflector_scope *reflector_scope(const struct reflector *reflector);
bool reflector_is_synced(const struct reflector *reflector);  /* a whole list has been taken, once */
bool reflector_is_sound(const struct reflector *reflector);   /* and since then nothing is known to have been missed */
bool reflector_is_refused(const struct reflector *reflector); /* the last try was answered 401, 403 or 404 */
bool reflector_is_forbidden(const struct reflector *reflector); /* the last try was answered 403 */
const char *reflector_trouble(const struct reflector *reflector); /* for people; "" when sound */

/* When the server last said something; before it has, when the reflector began. CLOCK_BOOTTIME. */
uint64_t reflector_contact_ms(const struct reflector *reflector);

/*
 * How long the last change took from its cause to here, by the annotation endpoints.kubernetes.io/last-change-trigger-time;
 * UINT32_MAX: none has said.
 */
uint32_t reflector_delay_ms(const struct reflector *reflector);

#endif
