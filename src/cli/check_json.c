/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "cli/check.h"
#include "cli/print_json.h"

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *bool_or_null(bool is_known, bool value)
{
	return is_known ? json_boolean(value) : json_null();
}

static json_t *findings_json(const struct findings *f)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o}", "id", f->at[i].id, "severity",
						      severity_name(f->at[i].severity), "what", f->at[i].what, "remedy",
						      text_or_null(f->at[i].remedy)));
	return rows;
}

static json_t *shim_json(const struct inquiry *q)
{
	const struct check_facts *c = &q->facts;

	return json_pack("{s:o, s:o, s:o, s:o}", "path", text_or_null(q->shim_shown), "mapped",
			 bool_or_null(c->process, c->process && c->process->is_loaded), "version",
			 text_or_null(q->shim_links.version), "build_id", text_or_null(q->shim_links.build_id));
}

static json_t *table_json(const struct inquiry *q)
{
	const struct table_facts *t = &q->facts.table;
	bool is_there = t->error == 0 && t->dir && t->dir[0];

	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "dir", text_or_null(t->dir), "readable", is_there, "mapped",
			 bool_or_null(q->facts.process, t->is_mapped), "static", bool_or_null(is_there, t->is_static), "stale",
			 bool_or_null(is_there, t->is_stale), "age_ms",
			 is_there ? json_integer((json_int_t)t->age_ms) : json_null(), "services",
			 is_there ? json_integer((json_int_t)t->services) : json_null());
}

int check_print_json(const struct inquiry *q, enum cover cover)
{
	return print_json(json_pack("{s:s, s:o, s:o, s:o, s:o}", "subject", q->subject, "covered",
				    cover == COVER_PARTLY ? json_string("partly") : json_boolean(cover == COVER_WHOLE), "findings",
				    findings_json(&q->findings), "shim", shim_json(q), "table", table_json(q)));
}
