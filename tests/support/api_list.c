/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and their pages. */
#include "support/testing.h"

#include <openssl/evp.h>

#include "support/api_state.h"

/* What a request asks of a list. */
struct list_query {
	char *version, *match, *page, *limit_text;
	size_t limit; /* 0: all */
	uint64_t at;  /* the version to answer from */
	char *start;  /* NULL, or the name that the page begins behind: "NAMESPACE/NAME" */
};

static void bad_request(struct refusal *r, const char *message)
{
	*r = (struct refusal){ .code = 400, .reason = "BadRequest" };
	snprintf(r->message, sizeof(r->message), "%s", message);
}

/* ---- continue tokens: base64 of what the real one has in it; the client has no business to look ---- */

static char *page_make(uint64_t version, const struct api_object *last)
{
	struct text start = { 0 };
	json_t *token;
	char *plain, *out;

	text_printf(&start, "%s/%s", last->namespace, last->name);
	token = json_pack("{s:s,s:I,s:s}", "v", "meta.k8s.io/v1", "rv", (json_int_t)version, "start", start.bytes);
	plain = json_dumps(token, JSON_COMPACT);
	out = malloc(strlen(plain) * 2 + 8);
	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)plain, (int)strlen(plain));
	free(plain);
	json_decref(token);
	text_done(&start);
	return out;
}

static bool page_read(const char *text, json_int_t *ret_version, char **ret_start)
{
	unsigned char *plain = calloc(1, strlen(text) + 4);
	json_t *token = NULL;
	const char *start = NULL;

	if (EVP_DecodeBlock(plain, (const unsigned char *)text, (int)strlen(text)) > 0)
		token = json_loads((const char *)plain, 0, NULL);
	if (json_unpack(token, "{s:I,s:s}", "rv", ret_version, "start", &start) == 0)
		*ret_start = strdup(start);
	json_decref(token);
	free(plain);
	return start;
}

/* ---- which version ---- */

/* The token that a too old one is answered with goes on from now, without the first pages' truth. */
static void page_expired(struct list_query *q, struct refusal *r, char **ret_next)
{
	char *slash = strchr(q->start, '/');
	struct api_object last = { .namespace = strndup(q->start, (size_t)(slash - q->start)), .name = slash + 1 };

	*ret_next = page_make(0, &last);
	*r = (struct refusal){
		.code = 410,
		.reason = "Expired",
		.message = "The provided continue parameter is too old to display a consistent list result. You can "
			   "start a new "
			   "list without the continue parameter, or use the continue token in this response to "
			   "retrieve the "
			   "remainder of the results. Continuing with the provided token results in an inconsistent "
			   "list - "
			   "objects that were created, modified, or deleted between the time the first chunk was "
			   "returned and "
			   "now may show up in the list.",
		.next_page = *ret_next,
	};
	free(last.namespace);
}

static void find_page(struct api_server *s, struct list_query *q, struct refusal *r, char **ret_next)
{
	json_int_t version = 0;

	if (*q->version && strcmp(q->version, "0")) {
		bad_request(r, "specifying resource version is not allowed when using continue");
	} else if (!page_read(q->page, &version, &q->start) || !strchr(q->start, '/')) {
		bad_request(r,
			    "invalid continue token: continue key is not valid: invalid character 'o' in literal null "
			    "(expecting 'u')");
	} else {
		q->at = version ? (uint64_t)version : s->store.version;
		if (q->at < s->store.compacted)
			page_expired(q, r, ret_next);
	}
}

static void find_version(struct api_server *s, struct list_query *q, struct refusal *r)
{
	uint64_t version = 0;

	q->at = s->store.version;
	if (*q->version && version_parse(s, q->version, &version)) {
		bad_request(r, "resourceVersion: Invalid value: invalid resource version");
	} else if (version > s->store.version) {
		refusal_too_large(s, version, r);
	} else if (strcmp(q->match, "Exact") == 0) {
		q->at = version;
		if (version < s->store.compacted)
			refusal_expired(s, version, r);
	} else if (strcmp(q->version, "0") == 0) {
		q->limit = 0; /* the cache knows no pages */
		if (s->store.frozen)
			q->at = s->store.frozen;
	}
}

/* ---- the list ---- */

static bool is_behind(const struct api_object *o, const char *start)
{
	const char *slash = strchr(start, '/');
	size_t length = (size_t)(slash - start);
	int order = strncmp(o->namespace, start, length);

	if (!order)
		order = o->namespace[length] ? 1 : strcmp(o->name, slash + 1);
	return order > 0;
}

/* Items into `items`; the last one where there are more behind it, which `ret_left` counts. */
static const struct api_object *collect(struct api_server *s, const struct api_filter *filter,
					const struct list_query *q, struct text *items, size_t *ret_left)
{
	const struct api_rows *rows = &s->store.rows[filter->kind];
	const struct api_object *last = NULL;
	size_t count = 0;

	*ret_left = 0;
	for (size_t i = 0; i < rows->count; i++) {
		const struct api_object *o = rows->at[i];

		if (!store_lives(o, q->at) || (q->start && !is_behind(o, q->start)) || !filter_matches(filter, o))
			continue;
		if (q->limit && count == q->limit) {
			++*ret_left;
			continue;
		}
		if (count++)
			text_puts(items, ",");
		text_puts(items, o->text);
		last = o;
	}
	return *ret_left ? last : NULL;
}

static void write_list(struct api_server *s, const struct api_filter *filter, const struct list_query *q,
		       struct text *out)
{
	const struct api_kind *kind = &api_kinds[filter->kind];
	struct text items = { 0 };
	const struct api_object *last;
	size_t left;
	char *token;

	last = collect(s, filter, q, &items, &left);
	text_clear(out);
	text_printf(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"", kind->kind,
		    kind->version);
	version_print(s, q->at, out);
	text_puts(out, "\"");
	if (last) {
		token = page_make(q->at, last);
		text_printf(out, ",\"continue\":\"%s\"", token);
		free(token);
		if (!filter->labels && !filter->fields)
			text_printf(out, ",\"remainingItemCount\":%zu", left);
	}
	text_puts(out, "},\"items\":[");
	if (items.length)
		text_add(out, items.bytes, items.length);
	text_puts(out, "]}\n");
	text_done(&items);
}

static char *value_or_empty(const char *query, const char *name)
{
	char *value = query_value(query, name);

	return value ? value : strdup("");
}

bool answer_list(struct api_conn *c, struct api_exchange *x)
{
	const char *query = x->entry->request.query;
	struct list_query q = {
		.version = value_or_empty(query, "resourceVersion"),
		.match = value_or_empty(query, "resourceVersionMatch"),
		.page = value_or_empty(query, "continue"),
		.limit_text = value_or_empty(query, "limit"),
	};
	struct refusal r = { .reason = "" };
	char *next = NULL;
	bool more;

	q.limit = strtoul(q.limit_text, NULL, 10);
	api_lock(c->s);
	if (*q.page)
		find_page(c->s, &q, &r, &next);
	else
		find_version(c->s, &q, &r);
	if (!*r.reason)
		write_list(c->s, &x->filter, &q, &c->out);
	api_unlock(c->s);
	more = *r.reason ? send_refusal(c, &r) : send_json(c, 200, NULL, c->out.bytes, c->out.length);
	free(q.version);
	free(q.match);
	free(q.page);
	free(q.limit_text);
	free(q.start);
	free(next);
	return more;
}
