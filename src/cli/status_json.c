/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial status --json` prints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "balance/move.h"
#include "cli/policy_json.h"
#include "cli/print_json.h"
#include "cli/status.h"
#include "model/policy.h"
#include "view/snapshot.h"

static json_t *shared_json(const struct snapshot_endpoint *e)
{
	json_t *names = json_array();
	char name[2 * TABLE_NAME_SIZE];

	for (size_t i = 0; i < e->shared_count && i < SNAPSHOT_SHARED; i++)
		json_array_append_new(names, json_string(status_full_name(e->shared[i], name)));
	return names;
}

static json_t *endpoint_json(const struct snapshot_endpoint *e)
{
	char text[ADDR_TEXT];

	return json_pack("{s:s, s:i, s:b, s:b, s:b, s:s?, s:i, s:I, s:I, s:I, s:b, s:o}", "address",
			 addr_print_ip(&e->addr, text),
			 "port", addr_port(&e->addr), "ready", e->ready, "terminating", e->terminating, "usable", e->usable, "zone",
			 e->zone[0] ? e->zone : NULL, "weight", (int)e->weight, "active", (json_int_t)e->score.active, "dials",
			 (json_int_t)e->score.dials, "failures", (json_int_t)e->score.failures, "ejected", e->score.ejected,
			 "shared_with", shared_json(e));
}

/* Each reason with its number. */
static json_t *reasons_json(const uint32_t counts[LEDGER_MOVE_REASONS])
{
	json_t *object = json_object();

	for (int i = 0; i < LEDGER_MOVE_REASONS; i++)
		json_object_set_new(object, move_reason_name((enum move_reason)(i + 1)), json_integer((json_int_t)counts[i]));
	return object;
}

static json_t *moves_json(const struct ledger_moves *moves)
{
	return json_pack("{s:o, s:o, s:I}", "moved", reasons_json(moves->moved), "would_have_moved",
			 reasons_json(moves->would_have), "processes_without_thread", (json_int_t)moves->without_thread);
}

static json_t *port_json(const struct snapshot_port *p)
{
	json_t *endpoints = json_array();

	for (size_t i = 0; i < p->endpoint_count; i++)
		json_array_append_new(endpoints, endpoint_json(&p->endpoints[i]));
	return json_pack("{s:s, s:i, s:s, s:s, s:f, s:f, s:o, s:o}", "name", p->name, "port", p->port, "protocol", p->protocol,
			 "balance", p->balance, "evenness", p->evenness, "evenness_random",
			 random_evenness_of(p->endpoints, p->endpoint_count), "moves", moves_json(&p->moves), "endpoints",
			 endpoints);
}

/* The names of the keys. */
static json_t *misread_json(const struct table_policy *policy)
{
	json_t *names = json_array();

	for (size_t i = 0; i < policy_key_count; i++)
		if (policy_origin_of(policy, &policy_keys[i]) == ORIGIN_MISREAD)
			json_array_append_new(names, json_string(policy_keys[i].name));
	return names;
}

static json_t *service_json(const struct snapshot_service *s)
{
	json_t *addresses = json_array(), *ports = json_array();
	char text[ADDR_TEXT];
	json_t *object;

	for (size_t i = 0; i < s->address_count; i++)
		json_array_append_new(addresses, json_string(addr_print_ip(&s->addresses[i], text)));
	for (size_t i = 0; i < s->port_count; i++)
		json_array_append_new(ports, port_json(&s->ports[i]));
	object = json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "name", s->name, "namespace", s->namespace, "mode", s->mode,
			   "observed", s->observed, "policy", policy_json(&s->policy), "addresses", addresses, "ports", ports);
	json_object_set_new(object, "annotations_not_understood", misread_json(&s->policy));
	if (s->stand_down[0])
		json_object_set_new(object, "stands_down", json_string(s->stand_down));
	return object;
}

static json_t *agent_json(const struct snapshot *snapshot)
{
	bool has_delay = snapshot->has_note && snapshot->delay_ms != UINT64_MAX;

	return json_pack("{s:b, s:b, s:s, s:I, s:I, s:s?, s:o?}", "alive", snapshot->alive, "static", snapshot->is_static,
			 "source", snapshot->source, "generation", (json_int_t)snapshot->generation, "age_ms",
			 (json_int_t)snapshot->age_ms, "trouble", snapshot->trouble[0] ? snapshot->trouble : NULL, "delay_ms",
			 has_delay ? json_integer((json_int_t)snapshot->delay_ms) : NULL);
}

/* ---- one object, piece by piece ---- */

/* As json_dump_callback(3) calls it. `data`: what goes before each line but the first. A text of JSON has no line's end in it. */
static int print_piece(const char *piece, size_t len, void *data)
{
	const char *end;

	for (; (end = memchr(piece, '\n', len)); len -= (size_t)(end + 1 - piece), piece = end + 1) {
		fwrite(piece, 1, (size_t)(end + 1 - piece), stdout);
		fputs(data, stdout);
	}
	fwrite(piece, 1, len, stdout);
	return 0;
}

/* `before`, and the value, which is taken, of a line that is indented by `indent`. */
static int print_value(const char *before, json_t *value, char *indent)
{
	int r;

	fputs(before, stdout);
	r = value ? json_dump_callback(value, print_piece, indent, PRINT_JSON_FLAGS | JSON_ENCODE_ANY) : -1;
	json_decref(value);
	return r < 0 ? -ENOMEM : 0;
}

int status_print_json(const struct snapshot *snapshot)
{
	size_t n = snapshot->service_count;
	int r = print_value("{\n  \"agent\": ", agent_json(snapshot), "  ");

	if (r == 0)
		r = print_value(",\n  \"ledger_error\": ",
				snapshot->ledger_error ? json_string(strerror(-snapshot->ledger_error)) : json_null(), "  ");
	fputs(",\n  \"services\": [", stdout);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = print_value(i ? ",\n    " : "\n    ", service_json(&snapshot->services[i]), "    ");
	puts(n ? "\n  ]\n}" : "]\n}");
	return r;
}
