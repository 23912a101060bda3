/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <stdio.h>

#include "balance/move.h"
#include "metrics/tally.h"

#define OF_SERVICE "namespace,service,port"

enum family {
	BUILD_INFO, START_TIME, GENERATION, AGE, SERVICES, ENDPOINTS, PUBLISHED, PUBLISH_FAILURES, TROUBLE,
	WATCHING, LISTS, WATCHES, EVENTS, API_FAILURES, LAST_CONTACT, DELAY,
	DIALS, FAILURES, EJECTIONS, MOVES, WOULD_HAVE_MOVED, OPEN, EVENNESS, RANDOM, SERVICE_ENDPOINTS, MODE, FOLDED,
	FAMILIES
};

const struct metric metrics_families[] = {
	[BUILD_INFO] = { "fairdial_build_info", METRIC_INFO, NULL, "version", "The version of this agent" },
	[START_TIME] = { "fairdial_agent_start_time_seconds", METRIC_GAUGE, "seconds", NULL, "When this agent began, since 1970" },
	[GENERATION] = { "fairdial_table_generation", METRIC_GAUGE, NULL, NULL,
			 "The generation that is published; of one table a namespace, the sum" },
	[AGE] = { "fairdial_table_age_seconds", METRIC_GAUGE, "seconds", NULL,
		  "Since the list was last vouched for, or this agent began" },
	[SERVICES] = { "fairdial_table_services", METRIC_GAUGE, NULL, NULL, "Services in the table" },
	[ENDPOINTS] = { "fairdial_table_endpoints", METRIC_GAUGE, NULL, NULL,
			"Endpoints in the table; one of several Service ports counts for each" },
	[PUBLISHED] = { "fairdial_table_published_total", METRIC_COUNTER, NULL, "kind",
			"Generations that were published, written whole or by patching the one before" },
	[PUBLISH_FAILURES] = { "fairdial_table_publish_failures_total", METRIC_COUNTER, NULL, NULL,
			       "Generations that could not be published" },
	[TROUBLE] = { "fairdial_trouble", METRIC_GAUGE, NULL, NULL,
		      "1 while the agent lacks something, which fairdial status tells" },

	[WATCHING] = { "fairdial_api_watching", METRIC_GAUGE, NULL, "resource",
		       "1 while all collections of the resource are followed" },
	[LISTS] = { "fairdial_api_lists_total", METRIC_COUNTER, NULL, "resource",
		    "Lists that were asked for, as pages or as a watch that begins with all there is" },
	[WATCHES] = { "fairdial_api_watches_total", METRIC_COUNTER, NULL, "resource",
		      "Watches that were asked for, those that begin with all there is among them" },
	[EVENTS] = { "fairdial_api_events_total", METRIC_COUNTER, NULL, "resource",
		     "Changes that watches told, beyond what there was at their beginning" },
	[API_FAILURES] = { "fairdial_api_failures_total", METRIC_COUNTER, NULL, "resource",
			   "Requests that failed; a version that has become too old is no failure" },
	[LAST_CONTACT] = { "fairdial_api_last_contact_seconds", METRIC_GAUGE, "seconds", "resource",
			   "Since the server last said something, of the collection that has been silent for longest" },
	[DELAY] = { "fairdial_propagation_delay_seconds", METRIC_HISTOGRAM, "seconds", NULL,
		    "From what changed endpoints, by the time that the cluster noted for it, to the table" },

	[DIALS] = { "fairdial_service_dials_total", METRIC_COUNTER, NULL, OF_SERVICE, "Dials of the endpoints of a Service port" },
	[FAILURES] = { "fairdial_service_failures_total", METRIC_COUNTER, NULL, OF_SERVICE, "Dials that an endpoint did not take" },
	[EJECTIONS] = { "fairdial_service_ejections_total", METRIC_COUNTER, NULL, OF_SERVICE,
			"Times that an endpoint was put aside because dials failed, as far as they were seen" },
	[MOVES] = { "fairdial_service_moves_total", METRIC_COUNTER, NULL, OF_SERVICE ",reason",
		    "Connections that were closed for others to be dialed in their place" },
	[WOULD_HAVE_MOVED] = { "fairdial_service_would_have_moved_total", METRIC_COUNTER, NULL, OF_SERVICE ",reason",
			       "Connections that would have been, in mode observe" },
	[OPEN] = { "fairdial_service_open_connections", METRIC_GAUGE, NULL, OF_SERVICE,
		   "Connections to the endpoints of a Service port" },
	[EVENNESS] = { "fairdial_service_evenness_ratio", METRIC_GAUGE, "ratio", OF_SERVICE,
		       "How even the dials of its usable endpoints are since the table was made (Jain): 1 is even" },
	[RANDOM] = { "fairdial_service_evenness_random_ratio", METRIC_GAUGE, "ratio", OF_SERVICE,
		     "How even as many dials would be if each picked at random" },
	[SERVICE_ENDPOINTS] = { "fairdial_service_endpoints", METRIC_GAUGE, NULL, OF_SERVICE ",state",
				"Endpoints of a Service port, each in one state" },
	[MODE] = { "fairdial_service_mode", METRIC_GAUGE, NULL, OF_SERVICE ",mode", "1 for the mode that a Service has" },
	[FOLDED] = { "fairdial_services_folded", METRIC_GAUGE, NULL, NULL,
		     "Service ports that have no series of their own, and are summed in service=\"_other\"" },
};

const size_t metrics_family_count = FAMILIES;

_Static_assert(sizeof(metrics_families) / sizeof(metrics_families[0]) == FAMILIES, "a row for each family");

/* ---- without a Service ---- */

static void begin(struct exposition *e, enum family family)
{
	exposition_family(e, &metrics_families[family]);
}

static void put_one_count(struct exposition *e, enum family family, uint64_t value)
{
	begin(e, family);
	exposition_count(e, NULL, 0, value);
}

static void put_seconds(struct exposition *e, enum family family, uint64_t ms)
{
	begin(e, family);
	exposition_number(e, NULL, 0, (double)ms / 1000);
}

static void write_agent(struct exposition *e, const struct metrics_facts *facts)
{
	begin(e, BUILD_INFO);
	exposition_count(e, &(struct label){ "version", FAIRDIAL_VERSION }, 1, 1);
	put_seconds(e, START_TIME, facts->started_ms);
	if (facts->has_table)
		put_one_count(e, GENERATION, facts->generation);
	if (!facts->waits)
		put_seconds(e, AGE, facts->age_ms);
	if (facts->has_table) {
		put_one_count(e, SERVICES, facts->services);
		put_one_count(e, ENDPOINTS, facts->endpoints);
	}
	begin(e, PUBLISHED);
	exposition_count(e, &(struct label){ "kind", "whole" }, 1, facts->wholes);
	exposition_count(e, &(struct label){ "kind", "patch" }, 1, facts->patches);
	put_one_count(e, PUBLISH_FAILURES, facts->publish_failures);
	put_one_count(e, TROUBLE, facts->has_trouble);
}

static const struct label resources[METRICS_RESOURCES] = {
	[METRICS_SERVICES] = { "resource", "services" },
	[METRICS_SLICES] = { "resource", "endpointslices" },
};

static void put_of_api(struct exposition *e, enum family family, uint64_t services, uint64_t slices)
{
	begin(e, family);
	exposition_count(e, &resources[METRICS_SERVICES], 1, services);
	exposition_count(e, &resources[METRICS_SLICES], 1, slices);
}

static void write_api(struct exposition *e, const struct metrics_facts *facts)
{
	const struct metrics_api *services = &facts->api[METRICS_SERVICES], *slices = &facts->api[METRICS_SLICES];

	put_of_api(e, WATCHING, services->watching, slices->watching);
	put_of_api(e, LISTS, services->lists, slices->lists);
	put_of_api(e, WATCHES, services->watches, slices->watches);
	put_of_api(e, EVENTS, services->events, slices->events);
	put_of_api(e, API_FAILURES, services->failures, slices->failures);
	begin(e, LAST_CONTACT);
	for (size_t i = 0; i < METRICS_RESOURCES; i++)
		exposition_number(e, &resources[i], 1, (double)facts->api[i].silent_ms / 1000);
	begin(e, DELAY);
	exposition_histogram(e, facts->delays);
}

/* ---- of Services ---- */

/* namespace, service, port, and room for one more. */
struct service_labels {
	struct label at[4];
	char port[8];
};

static void name_service(struct service_labels *labels, const struct tally_series *s)
{
	snprintf(labels->port, sizeof(labels->port), "%u", (unsigned)s->port);
	labels->at[0] = (struct label){ "namespace", s->namespace };
	labels->at[1] = (struct label){ "service", s->service };
	labels->at[2] = (struct label){ "port", s->is_others ? "" : labels->port };
}

static void put_dials(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	exposition_count(e, labels->at, 3, s->counts.dials);
}

static void put_failures(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	exposition_count(e, labels->at, 3, s->counts.failures);
}

static void put_ejections(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	exposition_count(e, labels->at, 3, s->counts.ejections);
}

/* Of Services that have their connections moved, all reasons; of others only what there is, which is nothing. */
static void put_reasons(struct exposition *e, struct service_labels *labels, const uint64_t *counts, bool all)
{
	for (unsigned reason = 1; reason <= LEDGER_MOVE_REASONS; reason++) {
		labels->at[3] = (struct label){ "reason", move_reason_name(reason) };
		if (all || counts[reason - 1])
			exposition_count(e, labels->at, 4, counts[reason - 1]);
	}
}

static void put_moves(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	put_reasons(e, labels, s->counts.moved, s->may_move);
}

static void put_would_have_moved(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	put_reasons(e, labels, s->counts.would_have, s->may_move);
}

static void put_open(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	if (s->is_present)
		exposition_count(e, labels->at, 3, s->open);
}

static void put_evenness(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	if (s->is_present && !s->is_others)
		exposition_number(e, labels->at, 3, s->evenness);
}

static void put_random(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	if (s->is_present && !s->is_others)
		exposition_number(e, labels->at, 3, s->random);
}

static void put_state(struct exposition *e, struct service_labels *labels, const char *state, uint32_t n)
{
	labels->at[3] = (struct label){ "state", state };
	exposition_count(e, labels->at, 4, n);
}

static void put_endpoints(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	if (!s->is_present)
		return;
	put_state(e, labels, "usable", s->usable);
	put_state(e, labels, "ejected", s->ejected);
	put_state(e, labels, "excluded", s->excluded);
}

static void put_mode(struct exposition *e, struct service_labels *labels, const struct tally_series *s)
{
	static const char *const names[MODE_COUNT] = { [MODE_ON] = "on", [MODE_OBSERVE] = "observe", [MODE_OFF] = "off" };

	labels->at[3] = (struct label){ "mode", names[s->mode] };
	if (s->is_present && !s->is_others)
		exposition_count(e, labels->at, 4, 1);
}

static const struct {
	enum family family;
	void (*put)(struct exposition *e, struct service_labels *labels, const struct tally_series *s);
} of_series[] = {
	{ DIALS, put_dials },
	{ FAILURES, put_failures },
	{ EJECTIONS, put_ejections },
	{ MOVES, put_moves },
	{ WOULD_HAVE_MOVED, put_would_have_moved },
	{ OPEN, put_open },
	{ EVENNESS, put_evenness },
	{ RANDOM, put_random },
	{ SERVICE_ENDPOINTS, put_endpoints },
	{ MODE, put_mode },
};

static void write_services(struct exposition *e, const struct tally *tally)
{
	for (size_t i = 0; i < sizeof(of_series) / sizeof(of_series[0]); i++) {
		const struct tally_series *s;
		size_t at = 0;

		begin(e, of_series[i].family);
		while ((s = tally_next(tally, &at))) {
			struct service_labels labels;

			name_service(&labels, s);
			of_series[i].put(e, &labels, s);
		}
	}
	put_one_count(e, FOLDED, tally_folded(tally));
}

bool metrics_write(struct exposition *e, enum exposition_format format, const struct metrics_facts *facts)
{
	exposition_begin(e, format);
	write_agent(e, facts);
	if (facts->api)
		write_api(e, facts);
	if (facts->tally)
		write_services(e, facts->tally);
	return exposition_end(e);
}
