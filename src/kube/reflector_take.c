/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says: values, one by one, into the model or the list under way. */
#include "kube/reflector_state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "kube/delays.h"
#include "kube/json.h"

#define INITIAL_EVENTS_END "k8s.io/initial-events-end"
#define TRIGGER_TIME	   "endpoints.kubernetes.io/last-change-trigger-time"
#define LONGEST_TOKEN	   2048 /* that fits a request line, into which it is put again; the longest names make one of 600 bytes */

static const char *const object_kinds[KUBE_KINDS] = {
	[KUBE_SERVICE] = "Service",
	[KUBE_SLICE] = "EndpointSlice",
};

int reflector_replace(char **text, const char *with)
{
	char *copy = with ? strdup(with) : NULL;

	if (with && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* ---- values that came ---- */

void reflector_drop_staging(struct reflector *r)
{
	model_list_abort(r->staging);
	r->staging = NULL;
	reflector_replace(&r->continued, NULL);
}

static int stop_with(struct reflector *r, struct kube_verdict verdict)
{
	r->verdict = verdict;
	r->has_verdict = true;
	return -ECANCELED;
}

int reflector_stop_garbled(struct reflector *r, const char *why)
{
	struct kube_verdict verdict = { .outcome = KUBE_GARBLED, .status = 200 };

	snprintf(verdict.text, sizeof(verdict.text), "%s", why);
	return stop_with(r, verdict);
}

static json_t *parse(struct reflector *r, const char *text, size_t len, int *ret_error)
{
	/* A NUL is passed over where it is (json.c): one annotation of one tenant must not blind everybody. */
	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	char why[200];

	if (value)
		return value;
	if (json_error_code(&error) == json_error_out_of_memory) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	snprintf(why, sizeof(why), "%s at byte %d of an object of %zu", error.text, error.position, len);
	*ret_error = reflector_stop_garbled(r, why);
	return NULL;
}

int reflector_take_item(void *of, const char *text, size_t len)
{
	struct reflector *r = of;
	int error = 0;
	json_t *item = parse(r, text, len, &error);

	if (!item)
		return error;
	r->said++;
	error = kube_json_list_add(r->staging, item);
	json_decref(item);
	return error == -ENOMEM ? error : 0;
}

/* "2026-11-24T10:00:00.123456789Z" as milliseconds since 1970; 0 where it is none. */
static uint64_t wall_ms_of(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	unsigned ms = 0;
	time_t seconds;

	if (!rest)
		return 0;
	if (*rest == '.')
		for (unsigned place = 100; place && text_is_digit(*++rest); place /= 10)
			ms += place * (unsigned)(*rest - '0');
	seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds * 1000 + ms : 0;
}

/* Not of what happened before we began: that is how long we were away. */
static void note_delay(struct reflector *r, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");
	uint64_t caused_ms = wall_ms_of(kube_json_text(json_object_get(meta, "annotations"), TRIGGER_TIME)), now_ms = clock_wall_ms();

	if (caused_ms < r->started_wall_ms || caused_ms > now_ms || now_ms - caused_ms >= UINT32_MAX)
		return;
	r->delay_ms = (uint32_t)(now_ms - caused_ms);
	delays_note(r->context.delays, caused_ms, now_ms);
}

/* One that could never be handed back would be tried for good. */
static bool is_too_long(const char *token)
{
	return token && strlen(token) > LONGEST_TOKEN;
}

/* ADDED, MODIFIED and DELETED; an object of another kind, a Status above all, is none of ours. */
static int take_change(struct reflector *r, const char *type, const json_t *object)
{
	static const struct kube_verdict gone_meanwhile = { .outcome = KUBE_FAILED, .text = "an object went while all were listed" };
	const char *kind = kube_json_text(object, "kind");
	int error = 0;

	r->context.counts->events += r->stage == STAGE_WATCH;
	if (!json_is_object(object) || (kind && strcmp(kind, object_kinds[r->scope.kind]) != 0)) {
		model_warn(r->context.model, "passed over: an event %s with an object of kind %s", type, kind ? kind : "none");
		return 0;
	}
	if (r->stage == STAGE_STREAM && strcmp(type, "DELETED") == 0)
		return stop_with(r, gone_meanwhile); /* a list in one piece, then */
	if (r->stage == STAGE_STREAM) {
		error = kube_json_list_add(r->staging, object);
	} else if (strcmp(type, "DELETED") == 0) {
		kube_json_forget(r->context.model, r->scope.origin, r->scope.kind, object);
	} else {
		error = kube_json_apply(r->context.model, r->scope.origin, r->scope.kind, object);
		if (r->scope.kind == KUBE_SLICE)
			note_delay(r, object);
	}
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
	const char *value = kube_json_text(annotations, INITIAL_EVENTS_END);

	return value && strcmp(value, "true") == 0;
}

static int take_typed(struct reflector *r, const char *type, const json_t *object)
{
	const char *version = kube_json_text(json_object_get(object, "metadata"), "resourceVersion");
	int error = 0;

	if (strcmp(type, "ERROR") == 0)
		return stop_with(r, kube_verdict_of_status(object));
	if (is_too_long(version))
		return reflector_stop_garbled(r, "a version longer than any of Kubernetes");
	if (strcmp(type, "BOOKMARK") == 0) {
		if (r->stage == STAGE_STREAM && ends_initial_events(object)) {
			error = commit(r);
			if (error == 0) {
				r->stage = STAGE_WATCH;
				reflector_note_sound(r);
			}
		}
	} else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0 || strcmp(type, "DELETED") == 0) {
		error = take_change(r, type, object);
	} else {
		model_warn(r->context.model, "passed over: an event of type %s", type);
		return 0;
	}
	/* Initial events come in no order of versions: only their end says where the watch stands. */
	if (error == 0 && version && version[0] && r->stage == STAGE_WATCH)
		error = reflector_replace(&r->version, version);
	return error;
}

int reflector_take_event(void *of, const char *text, size_t len)
{
	struct reflector *r = of;
	int error = 0;
	json_t *event = parse(r, text, len, &error);
	const char *type = kube_json_text(event, "type");

	if (!event)
		return error;
	r->said++;
	if (type)
		error = take_typed(r, type, json_object_get(event, "object"));
	else
		error = reflector_stop_garbled(r, "an event without a type");
	json_decref(event);
	return error;
}

/* ---- a page ---- */

/* Everything of a list but its items: whether it is one, and where it goes on. */
static int read_envelope(struct reflector *r, json_t **ret_envelope)
{
	char wanted[32];
	json_t *envelope, *items;
	const char *kind, *version;
	int error = 0;

	if (frames_end(&r->frames) < 0)
		return reflector_stop_garbled(r, "a list that ends too soon");
	envelope = parse(r, r->frames.envelope.at, r->frames.envelope.len, &error);
	if (!envelope)
		return error;
	snprintf(wanted, sizeof(wanted), "%sList", object_kinds[r->scope.kind]);
	items = json_object_get(envelope, "items");
	kind = kube_json_text(envelope, "kind");
	version = kube_json_text(json_object_get(envelope, "metadata"), "resourceVersion");
	if (!kind || strcmp(kind, wanted) != 0 || json_array_size(items) || !(json_is_array(items) || json_is_null(items)) ||
	    !version || is_too_long(version) || is_too_long(kube_json_text(json_object_get(envelope, "metadata"), "continue"))) {
		json_decref(envelope);
		return reflector_stop_garbled(r, "not the list that was asked for");
	}
	*ret_envelope = envelope;
	return 0;
}

int reflector_end_page(struct reflector *r, uint64_t now_ms)
{
	const char *more, *version;
	json_t *envelope = NULL;
	int error = read_envelope(r, &envelope);

	if (error < 0)
		return error;
	version = kube_json_text(json_object_get(envelope, "metadata"), "resourceVersion");
	more = kube_json_text(json_object_get(envelope, "metadata"), "continue");
	if (more && more[0]) {
		error = reflector_replace(&r->continued, more);
	} else {
		error = reflector_replace(&r->version, version);
		if (error == 0)
			error = commit(r);
		if (error == 0)
			reflector_drop_staging(r);
	}
	json_decref(envelope);
	if (error < 0)
		return error;
	reflector_go_on(r, r->continued ? STAGE_LIST : STAGE_WATCH, now_ms);
	return 0;
}
