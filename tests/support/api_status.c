/* SPDX-License-Identifier: Apache-2.0 */
/* Status objects, in the words of the real API server. */
#include "support/testing.h"

#include "support/api_state.h"

const char *status_words(int code)
{
	static const struct {
		int code;
		const char *words;
	} known[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 410, "Gone" },
		{ 422, "Unprocessable Entity" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].code == code)
			return known[i].words;
	return "Whatever";
}

char *status_text(struct refusal *r, size_t flags)
{
	json_t *metadata = json_object(), *status = json_object();
	char *text;

	if (r->next_page)
		json_object_set_new(metadata, "continue", json_string(r->next_page));
	json_object_set_new(status, "kind", json_string("Status"));
	json_object_set_new(status, "apiVersion", json_string("v1"));
	json_object_set_new(status, "metadata", metadata);
	json_object_set_new(status, "status", json_string("Failure"));
	json_object_set_new(status, "message", json_string(r->message));
	json_object_set_new(status, "reason", json_string(r->reason));
	if (r->details)
		json_object_set_new(status, "details", r->details);
	json_object_set_new(status, "code", json_integer(r->code));
	text = json_dumps(status, flags);
	json_decref(status);
	return text;
}

bool send_refusal(struct api_conn *c, struct refusal *r)
{
	char *text = status_text(r, JSON_INDENT(2));
	bool more = send_json(c, r->code, r->headers, text, strlen(text));

	free(text);
	return more;
}

void refusal_too_large(const struct api_server *s, uint64_t version, struct refusal *r)
{
	struct text asked = { 0 }, current = { 0 };

	version_print(s, version, &asked);
	version_print(s, s->store.version, &current);
	*r = (struct refusal){ .code = 504, .reason = "Timeout", .headers = "Retry-After: 1\r\n" };
	snprintf(r->message, sizeof(r->message), "Timeout: Too large resource version: %s, current: %s", asked.bytes,
		 current.bytes);
	r->details = json_pack("{s:[{s:s,s:s}],s:i}", "causes", "reason", "ResourceVersionTooLarge", "message",
			       "Too large resource version", "retryAfterSeconds", 1);
	text_done(&asked);
	text_done(&current);
}

void refusal_expired(const struct api_server *s, uint64_t version, struct refusal *r)
{
	struct text asked = { 0 }, oldest = { 0 };

	version_print(s, version, &asked);
	version_print(s, s->store.compacted, &oldest);
	*r = (struct refusal){ .code = 410, .reason = "Expired" };
	snprintf(r->message, sizeof(r->message), "too old resource version: %s (%s)", asked.bytes, oldest.bytes);
	text_done(&asked);
	text_done(&oldest);
}

void refusal_forbidden(const struct api_server *s, const struct api_exchange *x, struct refusal *r)
{
	const struct api_kind *kind = &api_kinds[x->filter.kind];
	struct text where = { 0 };

	if (x->filter.namespace)
		text_printf(&where, "in the namespace \"%s\"", x->filter.namespace);
	else
		text_puts(&where, "at the cluster scope");
	*r = (struct refusal){ .code = 403, .reason = "Forbidden", .headers = "X-Content-Type-Options: nosniff\r\n" };
	snprintf(r->message, sizeof(r->message),
		 "%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s", kind->plural,
		 *kind->group ? "." : "", kind->group, s->user, x->entry->request.watch ? "watch" : "list",
		 kind->plural, kind->group, where.bytes);
	r->details = json_object();
	if (*kind->group)
		json_object_set_new(r->details, "group", json_string(kind->group));
	json_object_set_new(r->details, "kind", json_string(kind->plural));
	text_done(&where);
}
