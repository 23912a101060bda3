/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reflector_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/sys.h"
#include "kube/config.h"
#include "kube/http.h"
#include "kube/query.h"

#define PAGE_SIZE	 500
#define WATCH_GRACE_MS	 30000 /* without a status line, or beyond what the server was asked for: then it has forgotten us */

struct kube_timing kube_timing_defaults(void)
{
	return (struct kube_timing){
		.backoff_ms = 800,
		.backoff_max_ms = 30000,
		.healthy_ms = 120000,
		.watch_ms = 300000,
		.short_watch_ms = 1000,
		.stream_silence_ms = 5000,
		.list_silence_ms = 30000,
		.garbled_ms = 60000,
	};
}

/* ---- chance ---- */

/* A number below `n`, for jitter; 0 where n is 0. */
static uint32_t chance(struct reflector *r, uint32_t n)
{
	r->random = hash_finish(r->random + 0x9e3779b97f4a7c15u);
	return n ? hash_below(r->random, n) : 0;
}

/* ---- how it stands ---- */

void reflector_note_sound(struct reflector *r)
{
	r->trouble[0] = '\0';
	r->refused = r->forbidden = false;
	r->failing_since_ms = 0;
	backoff_well(&r->backoff, clock_boot_ms());
}

static void note_trouble(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	if (!r->failing_since_ms)
		r->failing_since_ms = now_ms;
	r->forbidden = verdict->outcome == KUBE_FORBIDDEN;
	r->refused = r->forbidden || verdict->outcome == KUBE_UNAUTHORIZED || verdict->outcome == KUBE_MISSING;
	if (verdict->outcome == KUBE_EXPIRED || verdict->outcome == KUBE_TOO_LARGE)
		return;
	r->context.counts->failures++;
	kube_trouble_print(verdict, r->context.config, r->namespace, r->trouble);
	kube_http_hide_secrets(r->context.http, r->trouble);
}

/* The pause before the next try: not shorter than the server wants it. */
static uint32_t next_pause(struct reflector *r, uint32_t at_least_ms, uint64_t now_ms)
{
	uint32_t pause = backoff_next(&r->backoff, now_ms, chance(r, UINT32_MAX));

	return at_least_ms ? at_least_ms + chance(r, r->backoff.first_ms) : pause;
}

/*
 * A watch that makes a new list necessary, soon after it was last so: a server whose lists are too old to watch from would be asked
 * for one after the other. The first is made at once but for the chance that keeps many clients apart.
 */
static uint32_t relist_pause(struct reflector *r, uint64_t now_ms)
{
	bool again = r->listed_again_ms && now_ms - r->listed_again_ms < r->backoff.healthy_ms;

	r->listed_again_ms = now_ms;
	return again ? next_pause(r, 0, now_ms) : chance(r, r->backoff.first_ms);
}

void reflector_go_on(struct reflector *r, enum stage stage, uint64_t at_ms)
{
	r->stage = stage;
	r->due_ms = at_ms;
}

/* ---- requests ---- */

static void on_begun(void *of)
{
	struct reflector *r = of;

	r->begun = true;
	r->contact_ms = clock_boot_ms();
	if (r->stage == STAGE_WATCH)
		reflector_note_sound(r);
}

static int on_bytes(void *of, const char *bytes, size_t n)
{
	struct reflector *r = of;
	int error = frames_feed(&r->frames, bytes, n);

	r->heard_ms = r->contact_ms = clock_boot_ms();
	if (error == -E2BIG)
		return reflector_stop_garbled(r, "an object larger or deeper than any of Kubernetes");
	if (error == -EBADMSG)
		return reflector_stop_garbled(r, "not JSON");
	return error;
}

static void on_done(void *of, const struct kube_answer *answer);

static const struct kube_request_ops ops = { on_begun, on_bytes, on_done };

/* The request could not even be made. */
static void note_unsent(struct reflector *r, bool is_too_long, uint64_t now_ms)
{
	struct kube_verdict verdict = { .outcome = KUBE_GARBLED };

	note_trouble(r, &verdict, now_ms);
	snprintf(r->trouble, sizeof(r->trouble), "cannot ask %s for what is wanted: %s", r->context.config->server,
		 is_too_long ? "too many Services are named with --service" : "out of memory");
	r->due_ms = now_ms + r->context.timing->backoff_max_ms;
}

static void begin_request(struct reflector *r, const struct text *query, struct kube_get get, uint64_t now_ms)
{
	bool is_list = r->stage == STAGE_LIST;

	get.path = query->buf;
	r->begun_ms = r->heard_ms = now_ms;
	r->context.counts->lists += r->stage == STAGE_STREAM || (is_list && !r->continued);
	r->context.counts->watches += !is_list;
	r->said = 0;
	r->begun = r->has_verdict = false;
	frames_done(&r->frames);
	frames_init(&r->frames, is_list ? FRAMES_LIST : FRAMES_EVENTS, is_list ? reflector_take_item : reflector_take_event, r);
	if (r->stage != STAGE_WATCH && !r->staging)
		r->staging = model_list_begin(r->context.model, r->scope.kind, r->scope.origin);
	if (!query->full && (r->stage == STAGE_WATCH || r->staging))
		r->request = kube_http_get(r->context.http, &get, &ops, r);
	if (!r->request)
		note_unsent(r, query->full, now_ms);
}

/* A page is asked for where the store is read; what the cache holds comes whole. A continued list says no version again. */
static void send_list(struct reflector *r, uint64_t now_ms)
{
	const struct kube_get get = { .silence_ms = r->context.timing->list_silence_ms, .compressed = true };
	char path[KUBE_QUERY_SIZE];
	struct text query = text_into(path, sizeof(path));
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", PAGE_SIZE);
	kube_query_begin(&query, r->scope.kind, r->namespace, r->label_selector, r->field_selector);
	if (r->continued) {
		kube_query_add(&query, "limit", limit);
		kube_query_add(&query, "continue", r->continued);
	} else if (r->list_from == FROM_STORE) {
		kube_query_add(&query, "limit", limit);
	} else if (r->list_from != FROM_STORE_WHOLE) {
		kube_query_add(&query, "resourceVersion", r->list_from == FROM_VERSION && r->version ? r->version : "0");
	}
	begin_request(r, &query, get, now_ms);
}

static void send_watch(struct reflector *r, uint64_t now_ms)
{
	uint32_t lasts_ms = r->context.timing->watch_ms + chance(r, r->context.timing->watch_ms);
	const struct kube_get get = { .timeout_ms = lasts_ms + WATCH_GRACE_MS };
	bool is_stream = r->stage == STAGE_STREAM;
	char path[KUBE_QUERY_SIZE];
	struct text query = text_into(path, sizeof(path));
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", lasts_ms / 1000);
	kube_query_begin(&query, r->scope.kind, r->namespace, r->label_selector, r->field_selector);
	kube_query_add(&query, "watch", "1");
	kube_query_add(&query, "allowWatchBookmarks", "true");
	if (is_stream) {
		kube_query_add(&query, "sendInitialEvents", "true");
		kube_query_add(&query, "resourceVersionMatch", "NotOlderThan");
	}
	kube_query_add(&query, "resourceVersion", is_stream && r->list_from != FROM_VERSION ? "" : r->version ? r->version : "");
	kube_query_add(&query, "timeoutSeconds", seconds);
	begin_request(r, &query, get, now_ms);
}

/* ---- what follows from how a request ended ---- */

static enum stage stage_of_list(const struct reflector *r)
{
	return r->declines_streams ? STAGE_LIST : STAGE_STREAM;
}

/* Lists again. What is there serves until the list is complete. */
static void list_again(struct reflector *r, enum list_from from, uint64_t at_ms)
{
	reflector_drop_staging(r);
	r->list_from = from;
	reflector_go_on(r, stage_of_list(r), at_ms);
}

/* The one that was held back by the server, or could not be sent: again, as it was. */
static void try_again(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	/* A page that failed is asked for again; initial events begin anew. */
	if (r->stage == STAGE_STREAM)
		reflector_drop_staging(r);
	reflector_go_on(r, r->stage, now_ms + next_pause(r, verdict->retry_after_ms, now_ms));
}

/* A token that was renewed meanwhile is worth a try at once. */
static bool may_retry_at_once(struct reflector *r, const struct kube_verdict *verdict)
{
	return verdict->outcome == KUBE_UNAUTHORIZED && kube_http_has_new_credentials(r->context.http);
}

static void list_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	bool was_first = !r->continued, was_last_resort;

	switch (verdict->outcome) {
	case KUBE_EXPIRED: /* the continue token, or a version that the store has forgotten: all of it, from the store */
	case KUBE_TOO_LARGE:
		was_last_resort = r->list_from == FROM_STORE_WHOLE || (was_first && r->list_from == FROM_STORE);
		list_again(r, was_first ? FROM_STORE : FROM_STORE_WHOLE, now_ms + (was_last_resort ? next_pause(r, 0, now_ms) : 0));
		r->stage = STAGE_LIST;
		return;
	case KUBE_GARBLED:
	case KUBE_REJECTED:
		list_again(r, FROM_STORE, now_ms + next_pause(r, 0, now_ms));
		return;
	case KUBE_BROKEN:
	case KUBE_FAILED:
		reflector_drop_staging(r); /* cut within a page: half of it is staged already */
		try_again(r, verdict, now_ms);
		return;
	default:
		if (may_retry_at_once(r, verdict))
			reflector_go_on(r, r->stage, now_ms);
		else
			try_again(r, verdict, now_ms);
	}
}

/*
 * Nothing is wrong with a server that does not send initial events, or not now: it is asked for a list. False: it is something
 * else.
 */
static bool list_instead(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	bool is_silent = verdict->error == -ETIME;

	switch (verdict->outcome) {
	case KUBE_BROKEN:
		if (!is_silent || (r->list_from != FROM_VERSION && !r->begun))
			return false;
		break;
	case KUBE_FAILED:
	case KUBE_EXPIRED:
	case KUBE_TOO_LARGE:
	case KUBE_REJECTED:
	case KUBE_GARBLED:
		break;
	default:
		return false;
	}
	/* Silence may mean that it is behind the version that it was asked for, which a list would say at once. */
	if (verdict->outcome == KUBE_REJECTED || verdict->outcome == KUBE_GARBLED || (is_silent && r->list_from != FROM_VERSION)) {
		r->declines_streams = true;
		list_again(r, r->list_from, now_ms);
	} else {
		list_again(r, is_silent ? FROM_VERSION : FROM_STORE, now_ms);
		r->stage = STAGE_LIST; /* this time */
	}
	return true;
}

/* A refusal that a list would meet as well is waited out. */
static void stream_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	if (may_retry_at_once(r, verdict))
		list_again(r, r->list_from, now_ms);
	else
		try_again(r, verdict, now_ms);
}

static void watch_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	switch (verdict->outcome) {
	case KUBE_EXPIRED:
		list_again(r, FROM_VERSION, now_ms + relist_pause(r, now_ms));
		return;
	case KUBE_TOO_LARGE:
		list_again(r, FROM_STORE, now_ms + relist_pause(r, now_ms));
		return;
	case KUBE_REJECTED:
		list_again(r, FROM_STORE, now_ms + next_pause(r, 0, now_ms));
		return;
	case KUBE_FAILED:
	case KUBE_GARBLED:
		if (!r->garbled_since_ms)
			r->garbled_since_ms = now_ms;
		if (now_ms - r->garbled_since_ms >= r->context.timing->garbled_ms) {
			r->garbled_since_ms = 0;
			list_again(r, FROM_VERSION, now_ms + next_pause(r, 0, now_ms));
			return;
		}
		break;
	default:
		break;
	}
	if (may_retry_at_once(r, verdict))
		reflector_go_on(r, STAGE_WATCH, now_ms);
	else
		try_again(r, verdict, now_ms);
}

static void request_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	if (r->stage == STAGE_STREAM && list_instead(r, verdict, now_ms))
		return;
	note_trouble(r, verdict, now_ms);
	if (r->stage == STAGE_LIST)
		list_failed(r, verdict, now_ms);
	else if (r->stage == STAGE_STREAM)
		stream_failed(r, verdict, now_ms);
	else
		watch_failed(r, verdict, now_ms);
}

static bool was_very_short(const struct reflector *r, uint64_t now_ms)
{
	return r->said == 0 && now_ms - r->begun_ms < r->context.timing->short_watch_ms;
}

/* The server ended a watch in order. */
static void end_watch(struct reflector *r, uint64_t now_ms)
{
	const struct kube_verdict too_short = { .outcome = KUBE_BROKEN, .text = "it ends each watch at once" };

	if (r->stage == STAGE_STREAM) { /* its initial events never ended: it did not know what was asked */
		r->declines_streams = true;
		list_again(r, r->list_from, now_ms);
	} else if (was_very_short(r, now_ms)) {
		request_failed(r, &too_short, now_ms);
	} else {
		r->garbled_since_ms = 0;
		reflector_go_on(r, STAGE_WATCH, now_ms);
	}
}

/* How the request under way ended, with what its contents say. */
static struct kube_verdict judge(struct reflector *r, const struct kube_answer *answer, uint64_t now_ms)
{
	struct kube_verdict verdict = kube_verdict_of(answer);

	if (r->has_verdict)
		return r->verdict;
	if (verdict.outcome != KUBE_OK)
		return verdict;
	if (r->stage != STAGE_LIST)
		return frames_end(&r->frames) == 0 ? verdict
						   : (struct kube_verdict){ .outcome = KUBE_BROKEN,
									    .error = -ECONNRESET,
									    .text = "it ends a watch within an event" };
	if (reflector_end_page(r, now_ms) == 0)
		return verdict;
	return r->has_verdict ? r->verdict : (struct kube_verdict){ .outcome = KUBE_GARBLED, .text = "out of memory here" };
}

static void on_done(void *of, const struct kube_answer *answer)
{
	struct reflector *r = of;
	enum stage stage = r->stage;
	uint64_t now_ms = clock_boot_ms();
	struct kube_verdict verdict;

	r->request = NULL;
	verdict = judge(r, answer, now_ms);
	if (stage == STAGE_WATCH && verdict.outcome == KUBE_BROKEN && r->begun && !was_very_short(r, now_ms))
		verdict.outcome = KUBE_OK; /* cut off, as idle connections are on their way: it has ended, and nothing is missed */
	if (verdict.outcome != KUBE_OK)
		request_failed(r, &verdict, now_ms);
	else if (stage != STAGE_LIST)
		end_watch(r, now_ms);
	frames_done(&r->frames);
}

/* ---- what callers see ---- */

struct reflector *reflector_new(const struct reflector_context *context, const struct reflector_scope *scope)
{
	struct reflector *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->context = *context;
	r->scope = *scope;
	r->backoff.first_ms = context->timing->backoff_ms;
	r->backoff.longest_ms = context->timing->backoff_max_ms;
	r->backoff.healthy_ms = context->timing->healthy_ms;
	r->delay_ms = UINT32_MAX;
	r->started_wall_ms = clock_wall_ms();
	r->contact_ms = clock_boot_ms();
	if (sys_getrandom(&r->random, sizeof(r->random)) != sizeof(r->random))
		r->random = clock_read_ns(CLOCK_MONOTONIC);
	if (reflector_replace(&r->namespace, scope->namespace) < 0 || reflector_replace(&r->label_selector, scope->label_selector) < 0 ||
	    reflector_replace(&r->field_selector, scope->field_selector) < 0) {
		reflector_free(r);
		return NULL;
	}
	r->scope.namespace = r->namespace;
	r->scope.label_selector = r->label_selector;
	r->scope.field_selector = r->field_selector;
	r->stage = STAGE_STREAM;
	return r;
}

void reflector_free(struct reflector *r)
{
	if (!r)
		return;
	kube_http_cancel(r->request);
	model_list_abort(r->staging);
	frames_done(&r->frames);
	free(r->namespace);
	free(r->label_selector);
	free(r->field_selector);
	free(r->version);
	free(r->continued);
	free(r);
}

/*
 * When a request that says nothing is given up: initial events before their end, as those of a server that does not know the word,
 * to which it is an ordinary watch; and a watch that has not begun. UINT64_MAX: it may be silent.
 */
static uint64_t silent_at_ms(const struct reflector *r)
{
	if (r->stage == STAGE_STREAM)
		return r->heard_ms + r->context.timing->stream_silence_ms;
	return r->stage == STAGE_WATCH && !r->begun ? r->begun_ms + WATCH_GRACE_MS : UINT64_MAX;
}

static void give_up(struct reflector *r, uint64_t now_ms)
{
	const struct kube_verdict silent = { .outcome = KUBE_BROKEN, .error = -ETIME, .text = "it does not answer" };

	kube_http_cancel(r->request);
	r->request = NULL;
	request_failed(r, &silent, now_ms);
}

void reflector_run(struct reflector *r, uint64_t now_ms)
{
	if (r->request && now_ms >= silent_at_ms(r))
		give_up(r, now_ms);
	if (r->request || now_ms < r->due_ms)
		return;
	if (r->stage == STAGE_LIST)
		send_list(r, now_ms);
	else
		send_watch(r, now_ms);
}

uint64_t reflector_due_ms(const struct reflector *r)
{
	return r->request ? silent_at_ms(r) : r->due_ms;
}

const struct reflector_scope *reflector_scope(const struct reflector *r)
{
	return &r->scope;
}

bool reflector_is_synced(const struct reflector *r)
{
	return r->synced;
}

bool reflector_is_sound(const struct reflector *r)
{
	return r->synced && !r->failing_since_ms;
}

bool reflector_is_refused(const struct reflector *r)
{
	return r->refused;
}

bool reflector_is_forbidden(const struct reflector *r)
{
	return r->forbidden;
}

const char *reflector_trouble(const struct reflector *r)
{
	return r->trouble;
}

uint64_t reflector_contact_ms(const struct reflector *r)
{
	return r->contact_ms;
}

uint32_t reflector_delay_ms(const struct reflector *r)
{
	return r->delay_ms;
}
