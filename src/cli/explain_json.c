/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial explain` prints for scripts. Names never change; new ones may come. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "balance/balance.h"
#include "cli/explain.h"
#include "cli/policy_json.h"
#include "cli/print_json.h"

static const char *const sights[] = {
	[SIGHT_CERTAIN] = "certain",
	[SIGHT_CHANCE] = "by-chance",
	[SIGHT_NO_LEDGER] = "no-ledger",
	[SIGHT_OTHER_HOST] = "other-host-name",
};

/* Of what is no UTF-8, which JSON does not take, the bytes that are ASCII. */
static json_t *text_json(const char *text)
{
	char clean[TABLE_NOTE_SIZE];
	json_t *json = json_string(text);

	if (json)
		return json;
	snprintf(clean, sizeof(clean), "%s", text);
	text_sanitise(clean);
	return json_string(clean);
}

static json_t *endpoint_json(const struct explain_endpoint *e)
{
	const struct ledger_score *score = &e->seen->score;
	char text[ADDR_TEXT];
	json_t *object = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:o?}", "address", addr_print_ip(&e->seen->addr, text), "port",
				   addr_port(&e->seen->addr), "weight", (json_int_t)e->seen->weight, "active",
				   (json_int_t)score->active, "dials", (json_int_t)score->dials, "failures",
				   (json_int_t)score->failures, "zone", e->seen->zone[0] ? text_json(e->seen->zone) : NULL);

	if (e->out == OUT_NO) {
		json_object_set_new(object, "trial", json_boolean(e->is_trial));
		json_object_set_new(object, "share", json_real((double)e->share / SHARE_WHOLE));
		return object;
	}
	json_object_set_new(object, "reason", json_string(explain_out_row(e->out)->name));
	json_object_set_new(object, "text", json_string(explain_out_row(e->out)->text));
	if (e->out == OUT_EJECTED || e->out == OUT_ON_TRIAL) {
		json_object_set_new(object, "ejected_ms", json_integer((json_int_t)score->ejected_ms));
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
			json_array_append_new(array, endpoint_json(&f->endpoints[i]));
	return array;
}

/* null: it passes through, or cannot be told. */
static json_t *next_json(const struct explain_family *f)
{
	char text[ADDR_TEXT];

	if ((f->pass != PASS_NO && f->pass != PASS_OBSERVED) || f->sight != SIGHT_CERTAIN)
		return json_null();
	return json_pack("{s:s, s:i, s:b}", "address", addr_print_ip(&f->endpoints[f->next].seen->addr, text), "port",
			 addr_port(&f->endpoints[f->next].seen->addr), "trial", f->endpoints[f->next].is_trial);
}

static json_t *family_json(const struct explain_family *f)
{
	const struct explain_row *pass = explain_pass_row(f->pass);

	return json_pack("{s:s, s:b, s:s?, s:s?, s:s, s:b, s:I, s:b, s:s, s:o, s:o, s:o}", "family", f->v4 ? "ipv4" : "ipv6",
			 "passes_through", f->pass != PASS_NO, "reason", f->pass ? pass->name : NULL, "text",
			 f->pass ? pass->text : NULL, "balance", balance_policy(f->balance)->name, "all_in", f->all_in,
			 "affinity_s", (json_int_t)f->affinity_s, "pinned", f->is_pinned, "told", sights[f->sight], "next",
			 next_json(f), "candidates", endpoints_json(f, true), "excluded", endpoints_json(f, false));
}

static json_t *port_json(const struct explain_port *p)
{
	json_t *families = json_array();

	for (size_t i = 0; i < p->family_count; i++)
		json_array_append_new(families, family_json(&p->families[i]));
	return json_pack("{s:o, s:i, s:s, s:o}", "name", text_json(p->seen->name), "port", p->seen->port, "protocol",
			 p->seen->protocol, "families", families);
}

static json_t *table_json(const struct explanation *e)
{
	const struct snapshot *s = e->snapshot;

	return json_pack("{s:o, s:I, s:I, s:b, s:b, s:b, s:s?}", "source", text_json(s->source), "generation",
			 (json_int_t)s->generation, "age_ms", (json_int_t)s->age_ms, "static", s->is_static, "alive", s->alive,
			 "stale", e->is_stale, "ledger_error", s->ledger_error ? strerror(-s->ledger_error) : NULL);
}

static json_t *explanation_json(const struct explanation *e)
{
	const struct snapshot_service *s = e->service;
	json_t *addresses = json_array(), *ports = json_array();
	char text[ADDR_TEXT];

	for (size_t i = 0; i < s->address_count; i++)
		json_array_append_new(addresses, json_string(addr_print_ip(&s->addresses[i], text)));
	for (size_t i = 0; i < e->port_count; i++)
		json_array_append_new(ports, port_json(&e->ports[i]));
	return json_pack("{s:o, s:o, s:o, s:b, s:s?, s:o, s:o, s:o}", "service", text_json(s->name), "namespace",
			 text_json(s->namespace), "addresses", addresses, "headless", e->is_headless || s->address_count == 0,
			 "stands_down", s->stand_down[0] ? s->stand_down : NULL, "table", table_json(e), "policy",
			 policy_json(&e->policy), "ports", ports);
}

int explain_print_json(const struct explanation *e)
{
	return print_json(explanation_json(e));
}

static json_t *others_json(const struct explain_connection *c)
{
	json_t *names = json_array();

	for (size_t i = 0; i < c->other_count; i++)
		json_array_append_new(names, json_pack("{s:o, s:o}", "service", text_json(c->others[i]->name), "namespace",
						       text_json(c->others[i]->namespace)));
	return names;
}

static json_t *connection_json(const struct explain_connection *c, const struct explanation *e)
{
	char text[ADDR_TEXT];

	return json_pack("{s:i, s:s, s:i, s:b, s:s?, s:s?, s:s?, s:n, s:o, s:o}", "fd", c->fd, "address",
			 addr_print_ip(&c->peer, text), "port", addr_port(&c->peer), "endpoint", c->endpoint != NULL, "reason",
			 c->why, "text", c->why_text, "remedy", c->remedy, "chosen_at", "or_through", others_json(c), "now",
			 explanation_json(e));
}

int explain_print_connections_json(const struct explain_connections *all, const struct explanation *told)
{
	json_t *connections = json_array();

	for (size_t i = 0; i < all->count; i++)
		json_array_append_new(connections, connection_json(&all->at[i], &told[all->at[i].told]));
	return print_json(json_pack("{s:i, s:o, s:I, s:o}", "pid", all->pid, "program", text_json(all->program), "open",
			      (json_int_t)all->open, "connections", connections));
}
