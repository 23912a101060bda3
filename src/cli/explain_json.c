/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "balance/balance.h"
#include "cli/policy_json.h"
#include "cli/print_json.h"
#include "explain/explain.h"

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

/* ---- a port ---- */

static json_t *endpoint_json(const struct explain_endpoint *e)
{
	const struct ledger_score *score = &e->score;
	char text[ADDR_TEXT];

	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:o}", "address", addr_print_ip(&e->seen->addr, text), "port",
			 addr_port(&e->seen->addr), "weight", (json_int_t)e->seen->weight, "active", (json_int_t)score->active,
			 "dials", (json_int_t)score->dials, "failures", (json_int_t)score->failures, "zone",
			 text_or_null(e->seen->zone));
}

static json_t *candidate_json(const struct explain_endpoint *e)
{
	json_t *object = endpoint_json(e);

	json_object_set_new(object, "trial", json_boolean(e->is_trial));
	json_object_set_new(object, "share", json_real((double)e->share / SHARE_WHOLE));
	return object;
}

static json_t *excluded_json(const struct explain_endpoint *e)
{
	const struct explain_row *row = explain_out_row(e->out);
	json_t *object = endpoint_json(e);

	json_object_set_new(object, "reason", json_string(row->name));
	json_object_set_new(object, "text", json_string(row->text));
	if (e->out == OUT_EJECTED || e->out == OUT_ON_TRIAL) {
		json_object_set_new(object, "ejected_ms", json_integer((json_int_t)e->score.ejected_ms));
		json_object_set_new(object, "refusals", json_integer((json_int_t)e->refusals));
		json_object_set_new(object, "timeouts", json_integer((json_int_t)e->timeouts));
	}
	return object;
}

static json_t *endpoints_json(const struct explain_family *f, bool in)
{
	json_t *array = json_array();

	for (size_t i = 0; i < f->count; i++)
		if ((f->endpoints[i].out == OUT_NO) == in)
			json_array_append_new(array, in ? candidate_json(&f->endpoints[i]) : excluded_json(&f->endpoints[i]));
	return array;
}

/* null: it passes through, or cannot be told. */
static json_t *next_json(const struct explain_family *f)
{
	const struct explain_endpoint *next = &f->endpoints[f->next];
	char text[ADDR_TEXT];

	if (!explain_has_next(f))
		return json_null();
	return json_pack("{s:s, s:i, s:b, s:b}", "address", addr_print_ip(&next->seen->addr, text), "port",
			 addr_port(&next->seen->addr), "trial", next->is_trial, "last_resort", f->last_resort);
}

/* What is particular to this one goes before what its reason says of all. */
static const char *pass_text(const struct explanation *e, const struct explain_family *f)
{
	if (f->pass == PASS_STANDS_DOWN && e->service->stand_down[0])
		return e->service->stand_down;
	return f->pass == PASS_PROCESS ? e->dialer.unspread->text : explain_pass_row(f->pass)->text;
}

static json_t *family_json(const struct explanation *e, const struct explain_family *f)
{
	bool passes = f->pass != PASS_NO;

	return json_pack("{s:s, s:b, s:s?, s:s?, s:s, s:b, s:I, s:b, s:s, s:o, s:o, s:o}", "family", f->v4 ? "ipv4" : "ipv6",
			 "passes_through", passes, "reason", passes ? explain_pass_row(f->pass)->name : NULL, "text",
			 passes ? pass_text(e, f) : NULL, "balance", balance_policy(f->balance)->name, "all_in", f->all_in,
			 "affinity_s", (json_int_t)f->affinity_s, "pinned", f->is_pinned, "told",
			 explain_sight_row(f->sight)->name, "next", next_json(f), "candidates", endpoints_json(f, true), "excluded",
			 endpoints_json(f, false));
}

static json_t *port_json(const struct explanation *e, const struct explain_port *p)
{
	json_t *families = json_array();

	for (size_t i = 0; i < p->family_count; i++)
		json_array_append_new(families, family_json(e, &p->families[i]));
	return json_pack("{s:s, s:i, s:s, s:o}", "name", p->seen->name, "port", p->seen->port, "protocol",
			 p->seen->protocol, "families", families);
}

/* ---- a Service ---- */

static json_t *table_json(const struct explanation *e)
{
	const struct snapshot *s = e->snapshot;

	return json_pack("{s:s, s:I, s:I, s:b, s:b, s:b, s:o, s:s?}", "source", s->source, "generation",
			 (json_int_t)s->generation, "age_ms", (json_int_t)s->age_ms, "static", s->is_static, "alive",
			 s->alive, "stale", e->is_stale, "trouble", text_or_null(s->trouble), "ledger_error",
			 s->ledger_error ? strerror(-s->ledger_error) : NULL);
}

static json_t *ignored_json(const struct explanation *e)
{
	json_t *names = json_array();

	if (e->balance_misread)
		json_array_append_new(names, json_string("FAIRDIAL_BALANCE"));
	return names;
}

static json_t *explanation_json(const struct explanation *e)
{
	const struct snapshot_service *s = e->service;
	json_t *addresses = json_array(), *ports = json_array();
	char text[ADDR_TEXT];

	for (size_t i = 0; i < s->address_count; i++)
		json_array_append_new(addresses, json_string(addr_print_ip(&s->addresses[i], text)));
	for (size_t i = 0; i < e->port_count; i++)
		json_array_append_new(ports, port_json(e, &e->ports[i]));
	return json_pack("{s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "service", s->name, "namespace", s->namespace,
			 "addresses", addresses, "headless", e->is_headless, "stands_down", text_or_null(s->stand_down), "table",
			 table_json(e), "policy", policy_json(&e->policy), "environment_ignored", ignored_json(e), "ports", ports);
}

int explain_print_json(const struct explanation *e)
{
	return print_json(explanation_json(e));
}

/* ---- connections ---- */

static json_t *others_json(const struct explain_connection *c)
{
	json_t *names = json_array();

	for (size_t i = 0; i < c->other_count && i < SNAPSHOT_SHARED; i++)
		json_array_append_new(names, json_pack("{s:s, s:s}", "service", c->others[i]->name, "namespace",
						       c->others[i]->namespace));
	return names;
}

static json_t *moves_json(const struct explain_connection *c, const struct explanation *e)
{
	enum explain_stay stay = explain_stay_of(c, e);
	const struct explain_row *row = explain_stay_row(stay);

	return json_pack("{s:b, s:s?, s:s?}", "may_move", stay == STAY_NO, "reason", stay ? row->name : NULL, "text",
			 stay ? row->text : NULL);
}

static json_t *connection_json(const struct explain_connection *c, const struct explanation *e)
{
	const struct why_row *why = c->why;
	char text[ADDR_TEXT];

	return json_pack("{s:i, s:s, s:i, s:b, s:s?, s:s?, s:s?, s:n, s:o, s:o, s:o}", "fd", c->fd, "address",
			 addr_print_ip(&c->peer, text), "port", addr_port(&c->peer), "endpoint", c->endpoint != NULL, "reason",
			 why ? why->name : NULL, "text", why ? why->text : NULL, "remedy", why ? why->remedy : NULL, "chosen_at",
			 "or_through", others_json(c), "moves", moves_json(c, e), "now", explanation_json(e));
}

int explain_print_connections_json(const struct explain_connections *all, const struct explanation *told)
{
	json_t *connections = json_array();

	for (size_t i = 0; i < all->count; i++)
		json_array_append_new(connections, connection_json(&all->at[i], &told[all->at[i].told]));
	return print_json(json_pack("{s:i, s:o, s:s?, s:o, s:o}", "pid", all->pid, "program", text_or_null(all->program),
				    "not_spread", all->unspread ? all->unspread->name : NULL, "open",
				    all->is_one ? json_null() : json_integer((json_int_t)all->open), "connections", connections));
}
