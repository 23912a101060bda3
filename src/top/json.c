/* SPDX-License-Identifier: Apache-2.0 */
#include "top/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top/choices.h"
#include "top/frame.h"
#include "top/rates.h"
#include "view/snapshot.h"

/* JSON is UTF-8: of a text that is not, what is not ASCII becomes '?'. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *ascii;

	if (json)
		return json;
	ascii = strdup(text);
	for (char *at = ascii; at && *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	json = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return json;
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? text_json(text) : json_null();
}

/* To a thousandth: what was counted is not more exact. */
static json_t *rate_json(double rate)
{
	return rate < 0 ? json_null() : json_real((double)(uint64_t)(rate * 1000 + 0.5) / 1000);
}

static json_t *endpoint_json(const struct frame *f, const struct snapshot_endpoint *e)
{
	json_t *ejected = e->score.ejected ? json_integer((json_int_t)e->score.ejected_ms) : json_null();
	char text[ADDR_TEXT];

	return json_pack("{s:s, s:i, s:o, s:s, s:o, s:I, s:I, s:I, s:o, s:I}", "address", addr_print_ip(&e->addr, text), "port",
			 addr_port(&e->addr), "zone", text_or_null(e->zone), "state", endpoint_state_word(frame_state(e)),
			 "ejected_for_ms", ejected, "weight", (json_int_t)e->weight, "active",
			 (json_int_t)e->score.active, "dials", (json_int_t)e->score.dials, "dials_per_second",
			 rate_json(rates_of(f->rates, e->key, e->score.dials)), "failures", (json_int_t)e->score.failures);
}

static json_t *addresses_json(const struct snapshot_service *s)
{
	json_t *addresses = json_array();
	char text[ADDR_TEXT];

	for (size_t i = 0; i < s->address_count; i++)
		json_array_append_new(addresses, json_string(addr_print_ip(&s->addresses[i], text)));
	return addresses;
}

/* Takes over the second one, too. */
static json_t *joined(json_t *object, json_t *more)
{
	json_object_update(object, more);
	json_decref(more);
	return object;
}

static json_t *sums_json(const struct frame_sums *sums)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:I}", "active", (json_int_t)sums->open, "dials", (json_int_t)sums->dials,
			 "failures", (json_int_t)sums->failures, "dials_per_second", rate_json(sums->rate), "usable",
			 (json_int_t)sums->usable);
}

static json_t *group_json(const struct frame_group *g)
{
	const struct snapshot_service *s = g->service;
	const struct snapshot_port *p = g->port;
	json_t *object, *port;

	object = json_pack("{s:o, s:o, s:o, s:s, s:o}", "service", text_json(s->name), "namespace", text_json(s->namespace),
			   "addresses", addresses_json(s), "mode", s->mode, "stands_down", text_or_null(s->stand_down));
	port = json_pack("{s:o, s:o, s:s?, s:s?, s:f, s:f}", "port", p ? json_integer(p->port) : json_null(), "port_name",
			 p ? text_or_null(p->name) : json_null(), "protocol", p ? p->protocol : NULL, "balance",
			 p ? p->balance : NULL, "evenness", g->evenness, "evenness_random", g->at_random);
	object = joined(joined(object, port), sums_json(&g->sums));
	json_object_set_new(object, "endpoints", json_array());
	return object;
}

/* An endpoint belongs to the Service above it. */
static json_t *lines_json(const struct frame *f, const struct frame_line *lines, int n)
{
	json_t *rows = json_array(), *endpoints = NULL;

	for (int i = 0; i < n; i++) {
		if (lines[i].kind == FRAME_SERVICE) {
			json_t *group = group_json(lines[i].group);

			json_array_append_new(rows, group);
			endpoints = json_object_get(group, "endpoints");
		} else if (lines[i].kind == FRAME_ENDPOINT) {
			json_array_append_new(endpoints, endpoint_json(f, lines[i].endpoint));
		}
	}
	return rows;
}

/* All lines of the frame in their order, at once: for each part of a Service its endpoints would be put in order again. */
static json_t *rows_json(const struct frame *f)
{
	struct frame_line *lines = malloc((f->line_count + 1) * sizeof(*lines));
	int n = lines ? frame_lines(f, 0, f->line_count, lines) : -ENOMEM;
	json_t *rows = n < 0 ? NULL : lines_json(f, lines, n);

	free(lines);
	return rows;
}

static json_t *table_json(const struct snapshot *s)
{
	return json_pack("{s:I, s:o, s:b, s:b, s:I, s:o}", "generation", (json_int_t)s->generation, "source",
			 text_json(s->source), "static", s->is_static, "alive", s->alive, "age_ms",
			 (json_int_t)s->age_ms, "trouble", text_or_null(s->trouble));
}

struct json_t *top_json(const struct frame *f)
{
	json_t *sums = json_pack("{s:I, s:I, s:I}", "services", (json_int_t)f->snapshot->service_count, "endpoints",
				 (json_int_t)f->sums.endpoints, "ejected", (json_int_t)f->sums.ejected);

	sums = joined(sums, sums_json(&f->sums));
	return json_pack("{s:o, s:s?, s:I, s:s, s:o, s:o}", "table", table_json(f->snapshot), "ledger_error",
			 f->snapshot->ledger_error ? strerror(-f->snapshot->ledger_error) : NULL, "interval_ms",
			 (json_int_t)(f->rates->elapsed_s * 1000), "sort", sort_key_name(f->choices->sort), "totals", sums, "rows",
			 rows_json(f));
}
