/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reflector.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/backoff.h"
#include "agent/kube_config.h"
#include "agent/kube_frames.h"
#include "agent/kube_http.h"
#include "agent/kube_json.h"
#include "agent/kube_trouble.h"
#include "agent/log.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/sys.h"

#define PAGE_SIZE	 500
#define WATCH_GRACE_MS	 30000 /* without a status line, or beyond what the server was asked for: then it has forgotten us */
#define INITIAL_EVENTS_END "k8s.io/initial-events-end"
#define TRIGGER_TIME	 "endpoints.kubernetes.io/last-change-trigger-time"

enum stage { STAGE_LIST, STAGE_STREAM, STAGE_WATCH };

/*
 * How fresh the next list has to be. The first may come from the server's cache, which may be behind; one after an outage may not be
 * older than what was seen; where that cannot be had, the store itself is asked; in one piece where its pages went stale before
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

	bool synced, failed, forbidden;
	uint64_t failing_since_ms; /* 0: sound */
	uint64_t garbled_since_ms; /* 0: not */
	uint64_t listed_again_ms;  /* when a watch last made a new list necessary; 0: never */
	struct backoff backoff;
	uint32_t delay_ms;
	uint64_t started_wall_ms;
	uint64_t random;
	char trouble[KUBE_TROUBLE_SIZE];
};

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

/* ---- texts ---- */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int replace(char **text, const char *with)
{
	char *copy = with ? strdup(with) : NULL;

	if (with && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static const char *const paths[KUBE_KINDS] = {
	[KUBE_SERVICE] = "/api/v1",
	[KUBE_SLICE] = "/apis/discovery.k8s.io/v1",
};

static const char *const plurals[KUBE_KINDS] = {
	[KUBE_SERVICE] = "services",
	[KUBE_SLICE] = "endpointslices",
};

static const char *const object_kinds[KUBE_KINDS] = {
	[KUBE_SERVICE] = "Service",
	[KUBE_SLICE] = "EndpointSlice",
};

struct query {
	char text[4096];
	size_t len;
	bool full;
};

static void add_text(struct query *query, const char *text)
{
	size_t n = strlen(text);

	if (query->len + n >= sizeof(query->text)) {
		query->full = true;
		return;
	}
	memcpy(query->text + query->len, text, n + 1);
	query->len += n;
}

/* A parameter, its value percent-encoded (RFC 3986 section 2.1). NULL: left out. */
static void add_parameter(struct query *query, const char *name, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	if (!value)
		return;
	add_text(query, strchr(query->text, '?') ? "&" : "?");
	add_text(query, name);
	add_text(query, "=");
	for (const char *c = value; *c; c++) {
		char encoded[4];

		snprintf(encoded, sizeof(encoded), strchr(plain, *c) ? "%c" : "%%%02X", (unsigned char)*c);
		add_text(query, encoded);
	}
}

static void begin_query(const struct reflector *r, struct query *query)
{
	query->len = 0;
	query->full = false;
	query->text[0] = '\0';
	add_text(query, paths[r->scope.kind]);
	if (r->namespace) {
		add_text(query, "/namespaces/");
		add_text(query, r->namespace);
	}
	add_text(query, "/");
	add_text(query, plurals[r->scope.kind]);
	add_parameter(query, "labelSelector", r->label_selector);
	add_parameter(query, "fieldSelector", r->field_selector);
}

/* ---- chance ---- */

/* A number below `n`, for jitter; 0 where n is 0. */
static uint32_t chance(struct reflector *r, uint32_t n)
{
	r->random = hash_finish(r->random + 0x9e3779b97f4a7c15u);
	return n ? hash_below(r->random, n) : 0;
}

/* ---- how it stands ---- */

static void note_sound(struct reflector *r)
{
	r->trouble[0] = '\0';
	r->failed = r->forbidden = false;
	r->failing_since_ms = 0;
	backoff_well(&r->backoff, clock_boot_ms());
}

static void note_trouble(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	if (!r->failing_since_ms)
		r->failing_since_ms = now_ms;
	r->failed = true;
	r->forbidden = verdict->outcome == KUBE_FORBIDDEN;
	if (verdict->outcome == KUBE_EXPIRED || verdict->outcome == KUBE_TOO_LARGE)
		return;
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

static void go_on(struct reflector *r, enum stage stage, uint64_t at_ms)
{
	r->stage = stage;
	r->due_ms = at_ms;
}

/* ---- values that came ---- */

static void drop_staging(struct reflector *r)
{
	model_list_abort(r->staging);
	r->staging = NULL;
	replace(&r->continued, NULL);
}

static int stop_with(struct reflector *r, struct kube_verdict verdict)
{
	r->verdict = verdict;
	r->has_verdict = true;
	return -ECANCELED;
}

static int stop_garbled(struct reflector *r, const char *why)
{
	struct kube_verdict verdict = { .outcome = KUBE_GARBLED, .status = 200 };

	snprintf(verdict.text, sizeof(verdict.text), "%s", why);
	return stop_with(r, verdict);
}

static json_t *parse(struct reflector *r, const char *text, size_t len, int *ret_error)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	char why[200];

	if (value)
		return value;
	if (json_error_code(&error) == json_error_out_of_memory) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	snprintf(why, sizeof(why), "%s at byte %d of an object of %zu", error.text, error.position, len);
	*ret_error = stop_garbled(r, why);
	return NULL;
}

static int take_item(void *of, const char *text, size_t len)
{
	struct reflector *r = of;
	struct report warning = { "" };
	int error = 0;
	json_t *item = parse(r, text, len, &error);

	if (!item)
		return error;
	r->said++;
	error = kube_json_list_add(r->staging, item, &warning);
	json_decref(item);
	if (warning.text[0])
		log_line("%s", warning.text);
	return error == -ENOMEM ? error : 0;
}

/* "2026-11-24T10:00:00.123456789Z" as milliseconds since 1970; 0 where it is none. */
static uint64_t wall_ms_of(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	double fraction = 0;

	if (!rest)
		return 0;
	if (*rest == '.')
		fraction = strtod(rest, NULL);
	return (uint64_t)timegm(&tm) * 1000 + (uint64_t)(fraction * 1000);
}

/* Not of what happened before we began: that is how long we were away. */
static void note_delay(struct reflector *r, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");
	uint64_t caused_ms = wall_ms_of(text_of(json_object_get(meta, "annotations"), TRIGGER_TIME)), now_ms = clock_wall_ms();

	if (caused_ms >= r->started_wall_ms && caused_ms <= now_ms && now_ms - caused_ms < UINT32_MAX)
		r->delay_ms = (uint32_t)(now_ms - caused_ms);
}

/* ADDED, MODIFIED and DELETED; an object of another kind, a Status above all, is none of ours. */
static int take_change(struct reflector *r, const char *type, const json_t *object)
{
	static const struct kube_verdict gone_meanwhile = { .outcome = KUBE_FAILED, .text = "an object went while all were listed" };
	const char *kind = text_of(object, "kind");
	struct report warning = { "" };
	int error = 0;

	if (!json_is_object(object) || (kind && strcmp(kind, object_kinds[r->scope.kind]) != 0)) {
		log_line("passed over: an event %s with an object of kind %s", type, kind ? kind : "none");
		return 0;
	}
	if (r->stage == STAGE_STREAM && strcmp(type, "DELETED") == 0)
		return stop_with(r, gone_meanwhile); /* a list in one piece, then */
	if (r->stage == STAGE_STREAM) {
		error = kube_json_list_add(r->staging, object, &warning);
	} else if (strcmp(type, "DELETED") == 0) {
		kube_json_forget(r->context.model, r->scope.origin, r->scope.kind, object);
	} else {
		error = kube_json_apply(r->context.model, r->scope.origin, r->scope.kind, object, &warning);
		if (r->scope.kind == KUBE_SLICE)
			note_delay(r, object);
	}
	if (warning.text[0])
		log_line("%s", warning.text);
	return error == -ENOMEM ? error : 0;
}

/* The staged list is the truth from now on. */
static int commit(struct reflector *r)
{
	int error = model_list_commit(r->staging);

	r->staging = NULL;
	if (error < 0)
		return error;
	r->synced = true;
	r->list_from = FROM_VERSION;
	model_set_namespace_synced(r->context.model, r->namespace, r->scope.kind);
	return 0;
}

static bool ends_initial_events(const json_t *object)
{
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	const char *value = text_of(annotations, INITIAL_EVENTS_END);

	return value && strcmp(value, "true") == 0;
}

static int take_typed(struct reflector *r, const char *type, const json_t *object)
{
	const char *version = text_of(json_object_get(object, "metadata"), "resourceVersion");
	int error = 0;

	if (strcmp(type, "ERROR") == 0)
		return stop_with(r, kube_verdict_of_status(object));
	if (strcmp(type, "BOOKMARK") == 0) {
		if (r->stage == STAGE_STREAM && ends_initial_events(object)) {
			error = commit(r);
			if (error == 0) {
				r->stage = STAGE_WATCH;
				note_sound(r);
			}
		}
	} else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0 || strcmp(type, "DELETED") == 0) {
		error = take_change(r, type, object);
	} else {
		log_line("passed over: an event of type %s", type);
		return 0;
	}
	/* Initial events come in no order of versions: only their end says where the watch stands. */
	if (error == 0 && version && version[0] && r->stage == STAGE_WATCH)
		error = replace(&r->version, version);
	return error;
}

static int take_event(void *of, const char *text, size_t len)
{
	struct reflector *r = of;
	int error = 0;
	json_t *event = parse(r, text, len, &error);
	const char *type = text_of(event, "type");

	if (!event)
		return error;
	r->said++;
	if (type)
		error = take_typed(r, type, json_object_get(event, "object"));
	else
		error = stop_garbled(r, "an event without a type");
	json_decref(event);
	return error;
}

/* ---- requests ---- */

static void on_begun(void *of)
{
	struct reflector *r = of;

	r->begun = true;
	if (r->stage == STAGE_WATCH)
		note_sound(r);
}

static int on_bytes(void *of, const char *bytes, size_t n)
{
	struct reflector *r = of;
	int error = frames_feed(&r->frames, bytes, n);

	r->heard_ms = clock_boot_ms();
	if (error == -E2BIG)
		return stop_garbled(r, "an object larger or deeper than any of Kubernetes");
	if (error == -EBADMSG)
		return stop_garbled(r, "not JSON");
	return error;
}

static void on_done(void *of, const struct kube_answer *answer);

static const struct kube_request_ops ops = { on_begun, on_bytes, on_done };

static void begin_request(struct reflector *r, struct query *query, struct kube_get get, uint64_t now_ms)
{
	bool is_list = r->stage == STAGE_LIST;

	get.path = query->text;
	r->begun_ms = r->heard_ms = now_ms;
	r->said = 0;
	r->begun = r->has_verdict = false;
	frames_done(&r->frames);
	frames_init(&r->frames, is_list ? FRAMES_LIST : FRAMES_EVENTS, is_list ? take_item : take_event, r);
	if (r->stage != STAGE_WATCH && !r->staging)
		r->staging = model_list_begin(r->context.model, r->scope.kind, r->scope.origin);
	if (!query->full && (r->stage == STAGE_WATCH || r->staging))
		r->request = kube_http_get(r->context.http, &get, &ops, r);
	if (!r->request)
		r->due_ms = now_ms + r->context.timing->backoff_max_ms; /* no memory now */
}

/* A page is asked for where the store is read; what the cache holds comes whole. A continued list says no version again. */
static void send_list(struct reflector *r, uint64_t now_ms)
{
	const struct kube_get get = { .silence_ms = r->context.timing->list_silence_ms, .compressed = true };
	struct query query;
	char limit[16];

	snprintf(limit, sizeof(limit), "%d", PAGE_SIZE);
	begin_query(r, &query);
	if (r->continued) {
		add_parameter(&query, "limit", limit);
		add_parameter(&query, "continue", r->continued);
	} else if (r->list_from == FROM_STORE) {
		add_parameter(&query, "limit", limit);
	} else if (r->list_from != FROM_STORE_WHOLE) {
		add_parameter(&query, "resourceVersion", r->list_from == FROM_VERSION && r->version ? r->version : "0");
	}
	begin_request(r, &query, get, now_ms);
}

static void send_watch(struct reflector *r, uint64_t now_ms)
{
	uint32_t lasts_ms = r->context.timing->watch_ms + chance(r, r->context.timing->watch_ms);
	const struct kube_get get = { .timeout_ms = lasts_ms + WATCH_GRACE_MS };
	bool is_stream = r->stage == STAGE_STREAM;
	struct query query;
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", lasts_ms / 1000);
	begin_query(r, &query);
	add_parameter(&query, "watch", "1");
	add_parameter(&query, "allowWatchBookmarks", "true");
	if (is_stream) {
		add_parameter(&query, "sendInitialEvents", "true");
		add_parameter(&query, "resourceVersionMatch", "NotOlderThan");
	}
	add_parameter(&query, "resourceVersion", is_stream && r->list_from != FROM_VERSION ? "" : r->version ? r->version : "");
	add_parameter(&query, "timeoutSeconds", seconds);
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
	drop_staging(r);
	r->list_from = from;
	go_on(r, stage_of_list(r), at_ms);
}

/* The one that was held back by the server, or could not be sent: again, as it was. */
static void try_again(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	/* A page that failed is asked for again; initial events begin anew. */
	if (r->stage == STAGE_STREAM)
		drop_staging(r);
	go_on(r, r->stage, now_ms + next_pause(r, verdict->retry_after_ms, now_ms));
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
		was_last_resort = r->list_from == (was_first ? FROM_STORE : FROM_STORE_WHOLE);
		list_again(r, was_first ? FROM_STORE : FROM_STORE_WHOLE, now_ms + (was_last_resort ? next_pause(r, 0, now_ms) : 0));
		r->stage = STAGE_LIST;
		return;
	case KUBE_GARBLED:
	case KUBE_REJECTED:
		list_again(r, FROM_STORE, now_ms + next_pause(r, 0, now_ms));
		return;
	case KUBE_BROKEN:
	case KUBE_FAILED:
		drop_staging(r); /* cut within a page: half of it is staged already */
		try_again(r, verdict, now_ms);
		return;
	default:
		if (may_retry_at_once(r, verdict))
			go_on(r, r->stage, now_ms);
		else
			try_again(r, verdict, now_ms);
	}
}

/* A refusal that a list would meet as well is waited out; anything else is the server's way of not knowing such a watch. */
static void stream_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	switch (verdict->outcome) {
	case KUBE_UNAUTHORIZED:
	case KUBE_FORBIDDEN:
	case KUBE_MISSING:
	case KUBE_BUSY:
		if (may_retry_at_once(r, verdict))
			list_again(r, r->list_from, now_ms);
		else
			try_again(r, verdict, now_ms);
		return;
	case KUBE_BROKEN:
		if (verdict->error != -ETIME) {
			try_again(r, verdict, now_ms);
			return;
		}
		if (r->list_from == FROM_VERSION) { /* perhaps it is behind that version, which a list would say at once */
			list_again(r, FROM_VERSION, now_ms);
			r->stage = STAGE_LIST;
			return;
		}
		break; /* it went silent */
	case KUBE_FAILED:
	case KUBE_EXPIRED:
	case KUBE_TOO_LARGE:
		list_again(r, FROM_STORE, now_ms);
		r->stage = STAGE_LIST; /* this time */
		return;
	default:
		break;
	}
	r->declines_streams = true;
	list_again(r, r->list_from, now_ms);
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
		go_on(r, STAGE_WATCH, now_ms);
	else
		try_again(r, verdict, now_ms);
}

static void request_failed(struct reflector *r, const struct kube_verdict *verdict, uint64_t now_ms)
{
	note_trouble(r, verdict, now_ms);
	if (r->stage == STAGE_LIST)
		list_failed(r, verdict, now_ms);
	else if (r->stage == STAGE_STREAM)
		stream_failed(r, verdict, now_ms);
	else
		watch_failed(r, verdict, now_ms);
}

/* Everything of a list but its items: whether it is one, and where it goes on. */
static int read_envelope(struct reflector *r, json_t **ret_envelope)
{
	char wanted[32];
	json_t *envelope, *items;
	const char *kind;
	int error = 0;

	if (frames_end(&r->frames) < 0)
		return stop_garbled(r, "a list that ends too soon");
	envelope = parse(r, r->frames.envelope.at, r->frames.envelope.len, &error);
	if (!envelope)
		return error;
	snprintf(wanted, sizeof(wanted), "%sList", object_kinds[r->scope.kind]);
	items = json_object_get(envelope, "items");
	kind = text_of(envelope, "kind");
	if (!kind || strcmp(kind, wanted) != 0 || json_array_size(items) || !(json_is_array(items) || json_is_null(items)) ||
	    !text_of(json_object_get(envelope, "metadata"), "resourceVersion")) {
		json_decref(envelope);
		return stop_garbled(r, "not the list that was asked for");
	}
	*ret_envelope = envelope;
	return 0;
}

static int end_page(struct reflector *r, uint64_t now_ms)
{
	const char *more, *version;
	json_t *envelope = NULL;
	int error = read_envelope(r, &envelope);

	if (error < 0)
		return error;
	version = text_of(json_object_get(envelope, "metadata"), "resourceVersion");
	more = text_of(json_object_get(envelope, "metadata"), "continue");
	if (more && more[0]) {
		error = replace(&r->continued, more);
	} else {
		error = replace(&r->version, version);
		if (error == 0)
			error = commit(r);
		if (error == 0)
			drop_staging(r);
	}
	json_decref(envelope);
	if (error < 0)
		return error;
	go_on(r, r->continued ? STAGE_LIST : STAGE_WATCH, now_ms);
	return 0;
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
		go_on(r, STAGE_WATCH, now_ms);
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
	if (end_page(r, now_ms) == 0)
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
	if (sys_getrandom(&r->random, sizeof(r->random)) != sizeof(r->random))
		r->random = clock_read_ns(CLOCK_MONOTONIC);
	if (replace(&r->namespace, scope->namespace) < 0 || replace(&r->label_selector, scope->label_selector) < 0 ||
	    replace(&r->field_selector, scope->field_selector) < 0) {
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
 * When a request that says nothing is given up: initial events before their end, as those of a server that does not know the word, to
 * which it is an ordinary watch; and a watch that has not begun. UINT64_MAX: it may be silent.
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
	if (r->stage == STAGE_STREAM)
		stream_failed(r, &silent, now_ms);
	else
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

bool reflector_has_failed(const struct reflector *r)
{
	return r->failed;
}

bool reflector_is_forbidden(const struct reflector *r)
{
	return r->forbidden;
}

const char *reflector_trouble(const struct reflector *r)
{
	return r->trouble;
}

uint32_t reflector_delay_ms(const struct reflector *r)
{
	return r->delay_ms;
}
