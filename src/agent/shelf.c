/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shelf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/namespaces.h"
#include "table/table.h"
#include "table/writer.h"

#define RESERVE ((size_t)1 << 20) /* 2,000 Services of 10 endpoints, in place of a first table that is empty */

/* One of the two. */
struct shelf {
	struct table_writer *writer;
	struct namespaces *namespaces;
};

int shelf_open(const char *dir, bool per_namespace, struct shelf **ret_shelf, struct report *why)
{
	const struct writer_options options = { .reserve = RESERVE };
	struct shelf *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return report(why, -ENOMEM, "out of memory");
	r = per_namespace ? namespaces_open(dir, &s->namespaces, why) : writer_open(dir, &options, &s->writer, why);
	if (r < 0)
		shelf_close(s);
	else
		*ret_shelf = s;
	return r;
}

void shelf_close(struct shelf *s)
{
	if (!s)
		return;
	writer_close(s->writer);
	namespaces_close(s->namespaces);
	free(s);
}

const char *shelf_describe(const struct shelf *s, char buf[SHELF_TEXT])
{
	size_t n = s->namespaces ? namespaces_count(s->namespaces) : 0;

	buf[0] = '\0';
	if (s->namespaces)
		snprintf(buf, SHELF_TEXT, "%zu table%s", n, n == 1 ? "" : "s");
	return buf;
}

bool shelf_has_services(const struct shelf *s)
{
	const struct table *table = shelf_table(s);
	struct table_view view;

	if (s->namespaces)
		return namespaces_have_services(s->namespaces);
	return table && table_begin(table, &view) && table_count(&view, SECTION_SERVICES) > 0;
}

int shelf_publish(struct shelf *s, const struct spec *spec, struct report *why)
{
	return s->writer ? writer_publish(s->writer, spec, why) : namespaces_publish(s->namespaces, spec, why);
}

int shelf_patch(struct shelf *s, const struct spec *spec, struct report *why)
{
	return s->writer ? writer_patch(s->writer, spec, why) : namespaces_patch(s->namespaces, spec, why);
}

bool shelf_is_due(const struct shelf *s, uint64_t now_ms)
{
	return s->namespaces && namespaces_are_due(s->namespaces, now_ms);
}

bool shelf_has_directory(const struct shelf *s)
{
	return !s->writer || writer_has_directory(s->writer);
}

int shelf_keep_lock(const struct shelf *s, struct report *why)
{
	return s->writer ? writer_keep_lock(s->writer, why) : 0;
}

bool shelf_was_removed(const struct shelf *s)
{
	return s->writer && writer_was_removed(s->writer);
}

void shelf_note(struct shelf *s, const char *text)
{
	if (s->writer)
		writer_note(s->writer, text);
	else
		namespaces_note(s->namespaces, text);
}

void shelf_alive(struct shelf *s, uint64_t delay_ms)
{
	if (s->writer)
		writer_alive(s->writer, delay_ms);
	else
		namespaces_alive(s->namespaces, delay_ms);
}

void shelf_heartbeat(struct shelf *s)
{
	if (s->writer)
		writer_heartbeat(s->writer);
	else
		namespaces_heartbeat(s->namespaces);
}

void shelf_retire(struct shelf *s)
{
	if (s->writer)
		writer_retire(s->writer);
}

void shelf_each(const struct shelf *s, void (*each)(void *of, const struct table *table), void *of)
{
	const struct table *table = shelf_table(s);

	if (s->namespaces)
		namespaces_each(s->namespaces, each, of);
	else if (table)
		each(of, table);
}

const struct table *shelf_table(const struct shelf *s)
{
	return s->writer ? writer_table(s->writer) : NULL;
}
