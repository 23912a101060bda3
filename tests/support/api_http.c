/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: handshake, requests, what a test has planned for them, and the frames around the answers. */
#include "support/testing.h"

#include <sys/socket.h>
#include <time.h>

#include "support/api_state.h"

static const struct api_script nothing_planned;

/* ---- frames ---- */

static bool send_pieces(struct api_conn *c, const char *bytes, size_t size)
{
	size_t piece = c->piece ? c->piece : size;

	while (size) {
		size_t n = piece < size ? piece : size;

		if (!wire_send(c, bytes, n))
			return false;
		bytes += n;
		size -= n;
	}
	return true;
}

/* `counts`: of these bytes the plan's `cut_after` speaks. */
static bool say(struct api_conn *c, const char *bytes, size_t size, bool counts)
{
	if (c->plan->cut == API_UNCUT || !(counts || c->plan->cut_head))
		return send_pieces(c, bytes, size);
	if (size < c->cut_left) {
		c->cut_left -= size;
		return send_pieces(c, bytes, size);
	}
	if (send_pieces(c, bytes, c->cut_left))
		wire_cut(c, c->plan->cut);
	return false;
}

static void add_date(struct text *head)
{
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	text_printf(head, "Date: %s\r\n", date);
}

static bool send_head_as(struct api_conn *c, const char *head, bool chunked, size_t length)
{
	c->chunked = chunked;
	text_clear(&c->frame);
	text_puts(&c->frame, head);
	add_date(&c->frame);
	if (c->last)
		text_puts(&c->frame, "Connection: close\r\n");
	if (chunked)
		text_puts(&c->frame, "Transfer-Encoding: chunked\r\n\r\n");
	else
		text_printf(&c->frame, "Content-Length: %zu\r\n\r\n", length + (size_t)c->plan->length_off);
	return say(c, c->frame.bytes, c->frame.length, false);
}

bool send_head(struct api_conn *c, int status, const char *headers, bool chunked, size_t length)
{
	struct text head = { 0 };
	bool more;

	text_printf(&head,
		    "HTTP/1.1 %d %s\r\nAudit-Id: 00000000-0000-4000-8000-%012u\r\n"
		    "Cache-Control: no-cache, private\r\nContent-Type: application/json\r\n%s",
		    status, status_words(status), c->number, headers ? headers : "");
	more = send_head_as(c, head.bytes, chunked, length);
	text_done(&head);
	return more;
}

static bool send_piece(struct api_conn *c, const char *bytes, size_t size)
{
	char frame[32];
	int length;

	if (!c->chunked)
		return say(c, bytes, size, true);
	length = snprintf(frame, sizeof(frame), "%zx\r\n", size);
	if (c->plan->cut != API_UNCUT) /* in three, to count but the middle one */
		return say(c, frame, (size_t)length, false) && say(c, bytes, size, true) && say(c, "\r\n", 2, false);
	text_clear(&c->frame);
	text_add(&c->frame, frame, (size_t)length);
	text_add(&c->frame, bytes, size);
	text_puts(&c->frame, "\r\n");
	return say(c, c->frame.bytes, c->frame.length, false);
}

bool send_body(struct api_conn *c, const char *bytes, size_t size)
{
	size_t piece = c->piece ? c->piece : size;

	while (size) {
		size_t n = piece < size ? piece : size;

		if (!send_piece(c, bytes, n))
			return false;
		bytes += n;
		size -= n;
	}
	return true;
}

bool send_end(struct api_conn *c)
{
	if (c->chunked && !say(c, "0\r\n\r\n", 5, false))
		return false;
	if (c->last)
		wire_cut(c, API_CUT_TLS);
	return !c->last;
}

bool send_json(struct api_conn *c, int status, const char *headers, const char *body, size_t size)
{
	return send_head(c, status, headers, false, size) && send_body(c, body, size) && send_end(c);
}

/* ---- requests ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static char *decode(const char *text, size_t length)
{
	char *out = malloc(length + 1), *at = out;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
			*at++ = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
			i += 2;
		} else {
			*at++ = text[i] == '+' ? ' ' : text[i];
		}
	}
	*at = '\0';
	return out;
}

char *query_value(const char *query, const char *name)
{
	size_t length = strlen(name);

	while (*query) {
		size_t size = strcspn(query, "&");

		if (strncmp(query, name, length) == 0 && (query[length] == '=' || length == size))
			return length == size ? strdup("") : decode(query + length + 1, size - length - 1);
		query += size + (query[size] == '&');
	}
	return NULL;
}

/* A header's value out of a head, to be freed; "" where it is not there. */
static char *header_value(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
		const char *value = line + 2 + length + 1;

		if (strncasecmp(line + 2, name, length) || value[-1] != ':')
			continue;
		value += strspn(value, " ");
		return strndup(value, strcspn(value, "\r"));
	}
	return strdup("");
}

static bool is_watch(const char *query)
{
	char *value = query_value(query, "watch");
	bool watch = value && strcmp(value, "0") && strcmp(value, "false");

	free(value);
	return watch;
}

static struct log_entry *entry_of(const struct api_conn *c, const char *head)
{
	struct log_entry *e = calloc(1, sizeof(*e));
	size_t method = strcspn(head, " \r"), target;
	const char *question;
	char **text = e->texts;

	*text++ = strndup(head, method);
	head += method + (head[method] == ' ');
	target = strcspn(head, " \r");
	e->target = strndup(head, target);
	question = strchr(e->target, '?');
	*text++ = question ? strndup(e->target, (size_t)(question - e->target)) : strdup(e->target);
	*text++ = header_value(head, "Authorization");
	*text++ = header_value(head, "Accept");
	*text++ = header_value(head, "User-Agent");
	*text++ = header_value(head, "Accept-Encoding");
	*text++ = strdup(c->peer);
	e->request = (struct api_request){
		.method = e->texts[0],
		.path = e->texts[1],
		.query = question ? question + 1 : "",
		.authorization = e->texts[2],
		.accept = e->texts[3],
		.user_agent = e->texts[4],
		.accept_encoding = e->texts[5],
		.peer = e->texts[6],
		.connection = c->number,
		.watch = question && is_watch(question + 1),
	};
	return e;
}

static void consume(struct text *in, size_t size)
{
	memmove(in->bytes, in->bytes + size, in->length - size + 1);
	in->length -= size;
}

static bool read_at_least(struct api_conn *c, size_t size)
{
	while (c->in.length < size)
		if (!wire_wait(c, -1))
			return false;
	return true;
}

/* The next request; NULL: none comes any more. Its body, if any, is thrown away. */
static struct log_entry *read_request(struct api_conn *c)
{
	struct log_entry *entry;
	char *end, *length, *connection;
	size_t body;

	while (!c->in.bytes || !(end = strstr(c->in.bytes, "\r\n\r\n")))
		if (!wire_wait(c, -1))
			return NULL;
	end[2] = '\0';
	entry = entry_of(c, c->in.bytes);
	length = header_value(c->in.bytes, "Content-Length");
	connection = header_value(c->in.bytes, "Connection");
	c->last = strcasecmp(connection, "close") == 0;
	body = strtoul(length, NULL, 10);
	free(length);
	free(connection);
	consume(&c->in, (size_t)(end + 4 - c->in.bytes));
	if (read_at_least(c, body))
		consume(&c->in, body);
	return entry;
}

static void log_entry(struct api_server *s, struct log_entry *entry)
{
	if (s->log_count == s->log_room) {
		s->log_room = s->log_room ? s->log_room * 2 : 256;
		s->log = realloc(s->log, s->log_room * sizeof(*s->log));
		if (!s->log)
			abort();
	}
	s->log[s->log_count++] = entry;
	s->counts.requests++;
	api_changed(s);
}

bool target_has(const struct log_entry *entry, const char *path)
{
	return !path || strstr(entry->target, path);
}

static const struct api_script *plan_for(struct api_server *s, const struct log_entry *entry)
{
	for (struct script_entry *e = s->scripts; e; e = e->next) {
		if (!e->script.count || !target_has(entry, e->script.path) ||
		    (e->script.method && strcmp(e->script.method, entry->request.method)))
			continue;
		if (e->script.skip) {
			e->script.skip--;
			continue;
		}
		if (e->script.count != API_ALWAYS)
			e->script.count--;
		return &e->plan;
	}
	return &nothing_planned;
}

/* ---- what is planned ---- */

/* False when the client has gone meanwhile. */
static bool hold(struct api_conn *c)
{
	bool here = true, held;

	api_lock(c->s);
	c->held = true;
	api_changed(c->s);
	api_unlock(c->s);
	do {
		here = wire_wait(c, -1);
		api_lock(c->s);
		held = c->held;
		api_unlock(c->s);
	} while (here && held);
	api_lock(c->s);
	c->held = false;
	api_changed(c->s);
	api_unlock(c->s);
	return here;
}

static bool answer_planned_status(struct api_conn *c)
{
	const struct api_script *plan = c->plan;
	struct refusal r = { .code = plan->status, .reason = status_words(plan->status), .headers = plan->headers };
	size_t size = plan->size ? plan->size : plan->body ? strlen(plan->body) : 0;

	if (!plan->body) {
		snprintf(r.message, sizeof(r.message), "planned: %s", r.reason);
		return send_refusal(c, &r);
	}
	return send_head(c, plan->status, plan->headers, plan->chunked, size) && send_body(c, plan->body, size) &&
	       send_end(c);
}

/* The lines of a recorded head that are not about frames. */
static void add_recorded_head(struct text *head, const char *recorded, const char *end, bool *ret_chunked)
{
	*ret_chunked = false;
	while (recorded < end) {
		const char *next = strstr(recorded, "\r\n") + 2;

		if (strncasecmp(recorded, "Transfer-Encoding:", 18) == 0)
			*ret_chunked = true;
		else if (strncasecmp(recorded, "Content-Length:", 15) && strncasecmp(recorded, "Date:", 5))
			text_add(head, recorded, (size_t)(next - recorded));
		recorded = next;
	}
}

static bool answer_recording(struct api_conn *c)
{
	const char *recorded = c->plan->body, *end = strstr(recorded, "\r\n\r\n") + 2, *body = end + 2;
	size_t size = c->plan->size - (size_t)(body - recorded);
	struct text head = { 0 };
	bool chunked, more;

	add_recorded_head(&head, recorded, end, &chunked);
	more = send_head_as(c, head.bytes, chunked, size) && send_body(c, body, size) && send_end(c);
	text_done(&head);
	return more;
}

/* Valid JSON, most of it blanks: no memory on this side says how much it is. */
static bool answer_huge(struct api_conn *c)
{
	static const char start[] = "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"1\"},"
				    "\"items\":[",
			  end[] = "]}\n";
	size_t left = c->plan->size - (sizeof(start) - 1) - (sizeof(end) - 1);
	char blanks[16384];

	memset(blanks, ' ', sizeof(blanks));
	if (!send_head(c, 200, c->plan->headers, true, 0) || !send_body(c, start, sizeof(start) - 1))
		return false;
	while (left) {
		size_t n = left < sizeof(blanks) ? left : sizeof(blanks);

		if (!send_body(c, blanks, n))
			return false;
		left -= n;
	}
	return send_body(c, end, sizeof(end) - 1) && send_end(c);
}

static bool answer_never(struct api_conn *c)
{
	while (wire_wait(c, -1))
		;
	return false;
}

static bool close_unanswered(struct api_conn *c)
{
	wire_cut(c, c->plan->cut == API_UNCUT ? API_CUT_FIN : c->plan->cut);
	return false;
}

/* ---- the usual ---- */

static bool may_enter(struct api_conn *c, const struct log_entry *entry)
{
	struct api_server *s = c->s;
	const char *authorization = entry->request.authorization;

	if (!s->token && !s->need_cert)
		return true;
	if (s->need_cert && c->verified)
		return true;
	return s->token && strncmp(authorization, "Bearer ", 7) == 0 && strcmp(authorization + 7, s->token) == 0;
}

static bool is_forbidden(struct api_server *s, const struct log_entry *entry)
{
	for (struct forbidden *f = s->forbidden; f; f = f->next)
		if (target_has(entry, f->path))
			return true;
	return false;
}

/* "/api/v1" or "/apis/GROUP/v1", with "/namespaces/NS" or not, and the plural. */
static bool route(const char *path, enum kube_kind kind, struct api_filter *filter)
{
	const char *start = kind == KUBE_SERVICE ? "/api/v1/" : "/apis/discovery.k8s.io/v1/", *slash;

	if (strncmp(path, start, strlen(start)))
		return false;
	path += strlen(start);
	if (strncmp(path, "namespaces/", 11) == 0 && (slash = strchr(path + 11, '/'))) {
		filter->namespace = decode(path + 11, (size_t)(slash - path - 11));
		path = slash + 1;
	}
	filter->kind = kind;
	return strcmp(path, api_kinds[kind].plural) == 0;
}

static bool find_route(struct api_exchange *x)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if (route(x->entry->request.path, (enum kube_kind)kind, &x->filter))
			return true;
		filter_done(&x->filter);
	}
	return false;
}

/* What the server has against it, without looking at what it asks for; the reason is "" where it has nothing. */
static void find_objection(struct api_conn *c, struct api_exchange *x, struct refusal *r)
{
	struct text problem = { 0 };

	*r = (struct refusal){ .reason = "" };
	api_lock(c->s);
	if (!may_enter(c, x->entry))
		*r = (struct refusal){ .code = 401, .reason = "Unauthorized", .message = "Unauthorized" };
	else if (!find_route(x))
		*r = (struct refusal){ .code = 404,
				       .reason = "NotFound",
				       .message = "the server could not find the requested resource" };
	else if (is_forbidden(c->s, x->entry))
		refusal_forbidden(c->s, x, r);
	else if (strcmp(x->entry->request.method, "GET"))
		*r = (struct refusal){ .code = 405,
				       .reason = "MethodNotAllowed",
				       .message = "the server does not allow this method on the requested resource" };
	api_unlock(c->s);
	if (*r->reason)
		return;
	x->filter.labels = query_value(x->entry->request.query, "labelSelector");
	x->filter.fields = query_value(x->entry->request.query, "fieldSelector");
	if (!filter_is_valid(&x->filter, &problem)) {
		*r = (struct refusal){ .code = 400, .reason = "BadRequest" };
		snprintf(r->message, sizeof(r->message), "%s", problem.bytes);
	}
	text_done(&problem);
}

static bool answer_usual(struct api_conn *c, struct log_entry *entry)
{
	struct api_exchange x = { .entry = entry };
	struct refusal r;
	bool more;

	find_objection(c, &x, &r);
	if (*r.reason)
		more = send_refusal(c, &r);
	else if (entry->request.watch)
		more = answer_watch(c, &x);
	else
		more = answer_list(c, &x);
	filter_done(&x.filter);
	return more;
}

static bool answer(struct api_conn *c, struct log_entry *entry)
{
	const struct api_script *plan;

	api_lock(c->s);
	log_entry(c->s, entry);
	plan = c->plan = plan_for(c->s, entry);
	api_unlock(c->s);
	c->piece = plan->piece;
	c->cut_left = plan->cut_after;
	c->last |= plan->close;
	if (plan->hold && !hold(c))
		return false;
	switch (plan->act) {
	case API_USUAL:
		return answer_usual(c, entry);
	case API_STATUS:
		return answer_planned_status(c);
	case API_REPLAY:
		return answer_recording(c);
	case API_GARBAGE:
		c->chunked = false;
		return send_body(c, plan->body, plan->size) && send_end(c);
	case API_HUGE:
		return answer_huge(c);
	case API_NEVER:
		return answer_never(c);
	case API_CLOSE:
		return close_unanswered(c);
	}
	return false;
}

/* ---- a connection ---- */

/* Another greeting than TLS's, where one is owed; false: there was one. */
static bool welcome(struct api_conn *c)
{
	static const char garbage[] = "SSH-2.0-OpenSSH_9.2\r\n";

	if (!c->ill_met)
		return true;
	if (c->welcome == API_WELCOME_GARBAGE)
		send(c->fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL);
	if (c->welcome == API_WELCOME_SILENCE)
		while (wire_sleep(c))
			;
	return false;
}

static void note_peer(struct api_conn *c)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);

	c->verified = cert && SSL_get_verify_result(c->ssl) == X509_V_OK;
	c->peer[0] = '\0';
	if (cert)
		X509_NAME_oneline(X509_get_subject_name(cert), c->peer, sizeof(c->peer));
	X509_free(cert);
}

static bool shake_hands(struct api_conn *c)
{
	struct api_server *s = c->s;
	SSL_CTX *context;
	bool worked;

	api_lock(s);
	context = s->other_ca ? s->certs.other : s->certs.own;
	api_unlock(s);
	worked = wire_handshake(c, context);
	api_lock(s);
	if (worked)
		s->counts.handshakes++;
	else
		s->counts.failed++;
	if (worked && SSL_session_reused(c->ssl))
		s->counts.resumed++;
	api_changed(s);
	api_unlock(s);
	return worked;
}

/* A test that wants connections gone finds all of them here, whatever they were at. */
static void cut_as_told(struct api_conn *c)
{
	enum api_cut how;

	api_lock(c->s);
	how = c->cut_now;
	api_unlock(c->s);
	if (how != API_UNCUT)
		wire_cut(c, how);
}

void conn_serve(struct api_conn *c)
{
	struct log_entry *entry;

	c->plan = &nothing_planned;
	if (welcome(c) && shake_hands(c)) {
		note_peer(c);
		while ((entry = read_request(c)) && answer(c, entry))
			;
	}
	cut_as_told(c);
	wire_done(c);
}
