/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches. A watch has a place in the store's history and goes on from there whenever it is woken; what a test orders
 * is done in between, in the order given. Its own thread writes; the test's thread only queues, and waits.
 */
#include "support/testing.h"

#include "support/api_state.h"
#include "support/process.h"

enum { ORDER_LIMIT_MS = 10000, ORDERS_MAX = 256 };

/* ---- events, as text ---- */

static void add_event(struct text *out, const char *type, enum kube_kind kind, const char *object)
{
	text_printf(out, "{\"type\":\"%s\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",", type,
		    api_kinds[kind].kind, api_kinds[kind].version);
	text_puts(out, object + 1); /* behind its brace */
	text_puts(out, "}\n");
}

/* The state that a watch knew, with the version at which that ended. */
static void add_departure(const struct api_server *s, struct text *out, const struct api_object *o)
{
	json_t *json = json_deep_copy(o->before->json);
	struct text version = { 0 };
	char *text;

	version_print(s, o->born, &version);
	json_object_set_new(json_object_get(json, "metadata"), "resourceVersion", json_string(version.bytes));
	text = json_dumps(json, JSON_COMPACT);
	add_event(out, "DELETED", o->kind, text);
	free(text);
	json_decref(json);
	text_done(&version);
}

/* What a change is to somebody with this selector: an arrival, a departure, a change, or nothing. */
static void add_change(const struct api_server *s, const struct api_filter *f, const struct api_object *o,
		       struct text *out)
{
	bool was = o->before && strcmp(o->before->type, "DELETED") && filter_matches(f, o->before);
	bool is = strcmp(o->type, "DELETED") && filter_matches(f, o);

	if (is)
		add_event(out, was ? "MODIFIED" : "ADDED", o->kind, o->text);
	else if (was)
		add_departure(s, out, o);
}

/* The version behind which nothing is owed to this watch. */
static uint64_t version_reached(const struct api_store *store, const struct watch *w)
{
	return w->next < store->history.count ? store->history.at[w->next]->born - 1 : store->version;
}

static void add_bookmark(const struct api_server *s, const struct watch *w, bool initial, struct text *out)
{
	struct text object = { 0 };

	text_puts(&object, "{\"metadata\":{\"resourceVersion\":\"");
	version_print(s, initial ? w->initial_version : version_reached(&s->store, w), &object);
	text_printf(&object, "\",\"creationTimestamp\":null%s}",
		    initial ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	text_puts(&object, w->filter.kind == KUBE_SLICE ? ",\"addressType\":\"\",\"endpoints\":null,\"ports\":null}"
							: ",\"spec\":{},\"status\":{\"loadBalancer\":{}}}");
	add_event(out, "BOOKMARK", w->filter.kind, object.bytes);
	text_done(&object);
}

static void keep_last(struct watch *w, const char *line)
{
	free(w->last);
	w->last = strdup(line);
}

/* All that it has not seen, locked; the last line is kept for api_again. */
static void add_news(struct api_server *s, struct watch *w, struct text *out)
{
	size_t start = out->length;

	while (w->next < s->store.history.count) {
		const struct api_object *o = s->store.history.at[w->next++];
		size_t before = out->length;

		if (o->born > w->after)
			add_change(s, &w->filter, o, out);
		if (out->length != before)
			start = before;
	}
	if (out->length > start)
		keep_last(w, out->bytes + start);
}

/* The state at the start as arrivals, from the end: a client that takes their versions for an order is wrong. */
static void add_initial(struct api_server *s, struct watch *w, struct text *out)
{
	const struct api_rows *rows = &s->store.rows[w->filter.kind];

	for (size_t i = rows->count; i-- > 0;)
		if (store_lives(rows->at[i], w->initial_version) && filter_matches(&w->filter, rows->at[i]))
			add_event(out, "ADDED", w->filter.kind, rows->at[i]->text);
	if (w->initial_end && w->bookmarks)
		add_bookmark(s, w, true, out);
}

/* ---- where to start ---- */

struct watch_query {
	char *version, *match, *initial, *bookmarks, *timeout;
};

static bool is_true(const char *text)
{
	return text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

static void forbid_parameter(struct refusal *r, const char *field, const char *why)
{
	struct text message = { 0 };

	text_printf(&message, "Forbidden: %s", why);
	*r = (struct refusal){ .code = 422, .reason = "Invalid" };
	snprintf(r->message, sizeof(r->message), "ListOptions.meta.k8s.io \"\" is invalid: %s: %s", field,
		 message.bytes);
	r->details = json_pack("{s:s,s:s,s:[{s:s,s:s,s:s}]}", "group", "meta.k8s.io", "kind", "ListOptions", "causes",
			       "reason", "FieldValueForbidden", "message", message.bytes, "field", field);
	text_done(&message);
}

static void check_parameters(const struct api_server *s, const struct watch_query *q, struct refusal *r)
{
	if (s->options.initial == API_INITIAL_IGNORED)
		return;
	if (q->initial && (!q->match || strcmp(q->match, "NotOlderThan")))
		forbid_parameter(r, "resourceVersionMatch",
				 "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
	else if (q->initial && s->options.initial == API_INITIAL_REJECTED)
		forbid_parameter(
			r, "sendInitialEvents",
			"sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
	else if (q->match && !q->initial)
		forbid_parameter(r, "resourceVersionMatch",
				 "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
}

static size_t first_after(const struct api_store *store, uint64_t version)
{
	size_t from = 0, to = store->history.count;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (store->history.at[middle]->born <= version)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Locked. What comes first goes into `first`. */
static void find_start(struct api_server *s, const struct watch_query *q, struct watch *w, struct refusal *r,
		       struct text *first)
{
	bool initial = is_true(q->initial) && s->options.initial == API_INITIAL_SENT;
	bool synthetic = !q->version || !*q->version || strcmp(q->version, "0") == 0;
	uint64_t version = 0;

	check_parameters(s, q, r);
	if (*r->reason)
		return;
	if (!synthetic && version_parse(s, q->version, &version)) {
		*r = (struct refusal){ .code = 400,
				       .reason = "BadRequest",
				       .message = "resourceVersion: Invalid value: invalid resource version" };
	} else if (initial && version > s->store.version) {
		refusal_too_large(s, version, r);
	} else if (initial || synthetic) {
		w->initial_version = s->store.version;
		w->initial_end = initial;
		add_initial(s, w, first);
		w->next = s->store.history.count;
	} else if (version < s->store.compacted) {
		refusal_expired(s, version, r);
	} else {
		w->next = first_after(&s->store, version);
		w->after = version;
	}
}

/* ---- orders ---- */

static bool send_bytes(struct api_conn *c, const char *bytes)
{
	return send_body(c, bytes, strlen(bytes));
}

/* With what happened since before it: a bookmark may not overtake an event. */
static bool send_bookmark(struct api_conn *c, struct watch *w)
{
	struct text bookmark = { 0 };
	bool worked;

	api_lock(c->s);
	if (!w->paused)
		add_news(c->s, w, &bookmark);
	if (w->bookmarks)
		add_bookmark(c->s, w, false, &bookmark);
	api_unlock(c->s);
	worked = send_body(c, bookmark.bytes, bookmark.length);
	text_done(&bookmark);
	return worked;
}

/* Does one; false: the watch is over, and `*more` tells whether the connection is. */
static bool obey(struct api_conn *c, struct watch *w, const struct order *order, bool *more)
{
	switch (order->kind) {
	case ORDER_SAY:
		return send_bytes(c, order->bytes);
	case ORDER_AGAIN:
		return !w->last || send_bytes(c, w->last);
	case ORDER_BOOKMARK:
		return send_bookmark(c, w);
	case ORDER_END:
		*more = send_end(c);
		return false;
	case ORDER_CUT:
		wire_cut(c, order->cut);
		return false;
	}
	return false;
}

static struct order *next_order(struct api_server *s, struct watch *w)
{
	struct order *order;

	api_lock(s);
	order = w->orders;
	if (order)
		w->orders = order->next;
	api_unlock(s);
	return order;
}

static bool obey_all(struct api_conn *c, struct watch *w, bool *more)
{
	struct order *order;
	bool goes_on = true;

	while (goes_on && (order = next_order(c->s, w))) {
		goes_on = obey(c, w, order, more);
		free(order->bytes);
		free(order);
		api_lock(c->s);
		w->done++;
		if (!goes_on)
			c->watch = NULL; /* at once: who waits for the next one to open must not find this one */
		api_changed(c->s);
		api_unlock(c->s);
	}
	return goes_on;
}

/* ---- the stream ---- */

static bool send_news(struct api_conn *c, struct watch *w)
{
	size_t sent;
	bool worked;

	text_clear(&c->out);
	api_lock(c->s);
	if (!w->paused && !w->silent)
		add_news(c->s, w, &c->out);
	sent = w->next;
	api_unlock(c->s);
	worked = send_body(c, c->out.bytes, c->out.length);
	api_lock(c->s);
	w->sent = sent;
	api_changed(c->s);
	api_unlock(c->s);
	return worked;
}

static bool is_silent(struct api_conn *c, struct watch *w)
{
	bool silent;

	api_lock(c->s);
	silent = w->silent;
	api_unlock(c->s);
	return silent;
}

/* As the real one: a bookmark for the road, then a clean end. */
static bool end_in_time(struct api_conn *c, struct watch *w)
{
	return send_bookmark(c, w) && send_end(c);
}

/* True: the stream has ended, and the connection has not. */
static bool stream(struct api_conn *c, struct watch *w)
{
	bool more = false;

	for (;;) {
		if (!send_news(c, w) || !obey_all(c, w, &more))
			return more;
		if (is_silent(c, w) ? !wire_sleep(c) : !wire_wait(c, w->until_ms))
			return false;
		if (w->until_ms >= 0 && now_ms() >= w->until_ms && !is_silent(c, w))
			return end_in_time(c, w);
	}
}

static void set_open(struct api_conn *c, struct watch *w, const struct log_entry *entry)
{
	api_lock(c->s);
	c->watch = w;
	c->entry = entry;
	if (w)
		w->id = ++c->s->counts.watches;
	api_changed(c->s);
	api_unlock(c->s);
}

static void watch_done(struct watch *w)
{
	while (w->orders) {
		struct order *order = w->orders;

		w->orders = order->next;
		free(order->bytes);
		free(order);
	}
	free(w->last);
}

/* `c->out` holds what comes first. */
static bool serve_watch(struct api_conn *c, struct watch *w, const struct log_entry *entry)
{
	bool more = false;

	if (send_head(c, 200, NULL, true, 0)) {
		if (c->out.length == 0 || send_body(c, c->out.bytes, c->out.length)) {
			set_open(c, w, entry);
			more = stream(c, w);
			set_open(c, NULL, NULL);
		}
	}
	watch_done(w);
	return more;
}

static bool send_expired(struct api_conn *c, struct refusal *r)
{
	char *status = status_text(r, JSON_COMPACT);
	struct text event = { 0 };
	bool more;

	text_printf(&event, "{\"type\":\"ERROR\",\"object\":%s}\n", status);
	more = send_head(c, 200, NULL, true, 0) && send_bytes(c, event.bytes) && send_end(c);
	free(status);
	text_done(&event);
	return more;
}

static void read_query(const char *query, struct watch_query *q)
{
	q->version = query_value(query, "resourceVersion");
	q->match = query_value(query, "resourceVersionMatch");
	q->initial = query_value(query, "sendInitialEvents");
	q->bookmarks = query_value(query, "allowWatchBookmarks");
	q->timeout = query_value(query, "timeoutSeconds");
}

static void query_done(struct watch_query *q)
{
	free(q->version);
	free(q->match);
	free(q->initial);
	free(q->bookmarks);
	free(q->timeout);
}

bool answer_watch(struct api_conn *c, struct api_exchange *x)
{
	struct watch w = { .filter = x->filter, .until_ms = -1 };
	struct refusal r = { .reason = "" };
	struct watch_query q;
	bool as_event, more;

	read_query(x->entry->request.query, &q);
	w.bookmarks = is_true(q.bookmarks);
	if (q.timeout && atol(q.timeout) > 0)
		w.until_ms = now_ms() + atol(q.timeout) * 1000;
	text_clear(&c->out);
	api_lock(c->s);
	find_start(c->s, &q, &w, &r, &c->out);
	w.sent = w.next;
	as_event = r.code == 410 && c->s->options.gone == API_GONE_EVENT;
	if (!c->piece)
		c->piece = c->s->piece;
	api_unlock(c->s);
	query_done(&q);
	if (as_event)
		more = send_expired(c, &r);
	else if (*r.reason)
		more = send_refusal(c, &r);
	else
		more = serve_watch(c, &w, x->entry);
	return more;
}

/* ---- the test's side ---- */

static bool is_meant(const struct api_conn *c, const char *path)
{
	return c->watch && target_has(c->entry, path);
}

/* What was ordered of watches; one that is gone has done it. */
struct orders_sent {
	unsigned id[ORDERS_MAX], asked[ORDERS_MAX];
	size_t count;
};

static bool owes(const struct watch *w, const struct orders_sent *sent)
{
	for (size_t i = 0; i < sent->count; i++)
		if (w->id == sent->id[i] && w->done < sent->asked[i])
			return true;
	return false;
}

static bool all_done(struct api_server *s, void *data)
{
	for (struct api_conn *c = s->open; c; c = c->next)
		if (c->watch && owes(c->watch, data))
			return false;
	return true;
}

static void queue(struct watch *w, const struct order *order)
{
	struct order *copy = calloc(1, sizeof(*copy)), **end = &w->orders;

	*copy = *order;
	if (order->bytes)
		copy->bytes = strdup(order->bytes);
	while (*end)
		end = &(*end)->next;
	*end = copy;
	w->asked++;
}

static void order_all(struct api_server *s, const char *path, const struct order *order)
{
	struct orders_sent sent = { .count = 0 };
	bool may_miss;

	api_lock(s);
	may_miss = s->may_miss;
	for (struct api_conn *c = s->open; c; c = c->next) {
		if (!is_meant(c, path) || sent.count == ORDERS_MAX)
			continue;
		queue(c->watch, order);
		sent.id[sent.count] = c->watch->id;
		sent.asked[sent.count++] = c->watch->asked;
		conn_wake(c);
	}
	if (sent.count)
		wait_until(s, all_done, &sent, ORDER_LIMIT_MS, "a watch did not do as told");
	api_unlock(s);
	if (!sent.count && !may_miss)
		fail_msg("no watch is open on %s", path ? path : "anything");
}

void api_allow_no_watch(struct api_server *s)
{
	api_lock(s);
	s->may_miss = true;
	api_unlock(s);
}

void api_bookmark(struct api_server *s, const char *path)
{
	order_all(s, path, &(struct order){ .kind = ORDER_BOOKMARK });
}

void api_say(struct api_server *s, const char *path, const char *bytes)
{
	order_all(s, path, &(struct order){ .kind = ORDER_SAY, .bytes = (char *)bytes });
}

void api_error(struct api_server *s, const char *path, int code, const char *reason, const char *message)
{
	struct refusal r = { .code = code, .reason = reason };
	char *status, *line;

	snprintf(r.message, sizeof(r.message), "%s", message);
	status = status_text(&r, JSON_COMPACT);
	line = format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
	free(status);
	api_say(s, path, line);
}

void api_again(struct api_server *s, const char *path)
{
	order_all(s, path, &(struct order){ .kind = ORDER_AGAIN });
}

void api_end(struct api_server *s, const char *path)
{
	order_all(s, path, &(struct order){ .kind = ORDER_END });
}

void api_cut(struct api_server *s, const char *path, enum api_cut how)
{
	order_all(s, path, &(struct order){ .kind = ORDER_CUT, .cut = how });
}

void api_silence(struct api_server *s, const char *path)
{
	api_lock(s);
	for (struct api_conn *c = s->open; c; c = c->next)
		if (is_meant(c, path)) {
			c->watch->silent = true;
			conn_wake(c);
		}
	api_unlock(s);
}

void api_pause(struct api_server *s, const char *path, bool paused)
{
	api_lock(s);
	for (struct api_conn *c = s->open; c; c = c->next)
		if (is_meant(c, path)) {
			c->watch->paused = paused;
			conn_wake(c);
		}
	api_unlock(s);
}

/* ---- what is open ---- */

struct expected {
	const char *path;
	size_t count;
};

static size_t count_open(struct api_server *s, const char *path)
{
	size_t count = 0;

	for (struct api_conn *c = s->open; c; c = c->next)
		count += is_meant(c, path);
	return count;
}

static bool as_many_open(struct api_server *s, void *data)
{
	const struct expected *expected = data;

	return count_open(s, expected->path) == expected->count;
}

size_t api_watches(struct api_server *s, const char *path)
{
	size_t count;

	api_lock(s);
	count = count_open(s, path);
	api_unlock(s);
	return count;
}

void api_wait_watches(struct api_server *s, const char *path, size_t count, int limit_ms)
{
	struct expected expected = { path, count };

	api_lock(s);
	wait_until(s, as_many_open, &expected, limit_ms, "another number of watches is open");
	api_unlock(s);
}

static bool all_sent(struct api_server *s, void *data)
{
	(void)data;
	for (struct api_conn *c = s->open; c; c = c->next)
		if (c->watch && !c->watch->paused && !c->watch->silent && c->watch->sent < s->store.history.count)
			return false;
	return true;
}

void api_wait_sent(struct api_server *s, int limit_ms)
{
	api_lock(s);
	wait_until(s, all_sent, NULL, limit_ms, "a watch did not send all events");
	api_unlock(s);
}
