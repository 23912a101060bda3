/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/exporter.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper.h"
#include "agent/log.h"
#include "agent/shelf.h"
#include "agent/source_kube.h"
#include "base/clock.h"
#include "base/text.h"
#include "metrics/exposition.h"
#include "metrics/http.h"
#include "metrics/metrics.h"
#include "metrics/tally.h"
#include "table/table.h"

#define FORMATS	      2
#define KEEP_FACTOR   20
#define CROWD	      4 /* connections */
#define CROWD_KEEP_US 2000000
#define LOOK_FACTOR   100 /* times as long as the last look took: it may take a hundredth of a processor */
#define LOOK_GAP_MS   100

/* An answer that may be told again. */
struct kept {
	struct http_page *page; /* NULL: none */
	uint64_t made_us, for_us;
};

struct exporter {
	struct exporter_of of;
	struct http *http;
	struct tally *tally; /* made when there is a keeper; NULL also where there was no memory */
	uint64_t started_wall_ms, started_ms;
	uint64_t look_ms; /* no look before */
	struct kept metrics[FORMATS];
	struct http_page *ok, *last; /* `last`: of what is told once */
};

static uint64_t now_us(void)
{
	return clock_read_ns(CLOCK_MONOTONIC) / 1000;
}

static uint64_t worked_us(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

/* ---- where ---- */

int exporter_parse(const char *text, struct addr *ret_listen)
{
	const char *colon = strrchr(text, ':');
	struct slice ip = { text, colon ? (size_t)(colon - text) : 0 };
	struct addr addr;
	char *end;
	unsigned long port;

	if (!colon || !text_is_digit(colon[1]) || strlen(colon + 1) > 5)
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
		return -EINVAL;
	if (ip.len == 0)
		ip = slice_of("[::]");
	if (ip.at[0] == '[' && ip.at[ip.len - 1] == ']')
		ip = (struct slice){ ip.at + 1, ip.len - 2 };
	else if (memchr(ip.at, ':', ip.len))
		return -EINVAL; /* an IPv6 address and a port, without brackets: ambiguous */
	if (addr_parse_ip(ip.at, ip.len, &addr) < 0)
		return -EINVAL;
	addr_set_port(&addr, (uint16_t)port);
	*ret_listen = addr;
	return 0;
}

const char *exporter_library(void)
{
	return http_version();
}

/* ---- what is counted between requests ---- */

static const struct table *table_of(const struct exporter_sight *sight)
{
	return sight->shelf ? shelf_table(sight->shelf) : NULL;
}

static void look(struct exporter *e, const struct exporter_sight *sight, uint64_t now_ms)
{
	uint64_t begun_us = worked_us(), gap_ms;

	tally_look(e->tally, table_of(sight), keeper_ledger(sight->keeper), now_ms);
	gap_ms = (worked_us() - begun_us) * LOOK_FACTOR / 1000;
	e->look_ms = now_ms + (gap_ms > LOOK_GAP_MS ? gap_ms : LOOK_GAP_MS);
}

static bool has_tally(struct exporter *e, const struct exporter_sight *sight)
{
	if (sight->keeper && !e->tally)
		e->tally = tally_new();
	return sight->keeper && e->tally;
}

static void look_if_due(struct exporter *e, uint64_t now_ms)
{
	struct exporter_sight sight = { 0 };

	if (!e->tally || now_ms < e->look_ms)
		return;
	e->of.look(e->of.agent, &sight);
	if (sight.keeper && tally_is_due(e->tally, table_of(&sight), keeper_ledger(sight.keeper), now_ms))
		look(e, &sight, now_ms);
}

/* ---- /metrics ---- */

static void count_table(void *of, const struct table *table)
{
	struct metrics_facts *facts = of;
	struct table_view view;
	struct table_port port;

	if (!table_begin(table, &view))
		return;
	facts->has_table = true;
	facts->generation += table_generation(&view);
	facts->services += table_count(&view, SECTION_SERVICES);
	for (uint32_t i = 0; i < table_count(&view, SECTION_PORTS); i++)
		if (table_port(&view, i, &port) == 0)
			facts->endpoints += (uint64_t)port.v4_count + port.v6_count;
}

static struct metrics_api api_of(const struct source_kube *source, enum kube_kind kind, uint64_t now_ms)
{
	const struct kube_standing s = source_kube_standing(source, kind);

	return (struct metrics_api){ s.watching, s.counts.lists, s.counts.watches, s.counts.events, s.counts.failures,
				     now_ms > s.contact_ms ? now_ms - s.contact_ms : 0 };
}

static struct metrics_facts facts_of(const struct exporter *e, const struct exporter_sight *sight, uint64_t now_ms)
{
	uint64_t since_ms = sight->vouched_ms ? sight->vouched_ms : e->started_ms;
	struct metrics_facts facts = {
		.started_ms = e->started_wall_ms,
		.waits = !sight->shelf,
		.age_ms = now_ms > since_ms ? now_ms - since_ms : 0,
		.wholes = sight->wholes,
		.patches = sight->patches,
		.publish_failures = sight->publish_failures,
		.has_trouble = sight->has_trouble,
	};

	if (sight->shelf)
		shelf_each(sight->shelf, count_table, &facts);
	return facts;
}

static struct http_page *make_metrics(struct exporter *e, enum exposition_format format)
{
	uint64_t now_ms = clock_boot_ms();
	struct exporter_sight sight = { 0 };
	struct metrics_api api[METRICS_RESOURCES];
	struct metrics_facts facts;
	struct exposition text;

	e->of.look(e->of.agent, &sight);
	facts = facts_of(e, &sight, now_ms);
	if (sight.source) {
		api[METRICS_SERVICES] = api_of(sight.source, KUBE_SERVICE, now_ms);
		api[METRICS_SLICES] = api_of(sight.source, KUBE_SLICE, now_ms);
		facts.api = api;
		facts.delays = source_kube_delays(sight.source);
	}
	if (has_tally(e, &sight)) {
		look(e, &sight, now_ms);
		tally_read(e->tally, keeper_ledger(sight.keeper), now_ms);
		facts.tally = e->tally;
	}
	if (!metrics_write(&text, format, &facts)) {
		free(text.at);
		return NULL;
	}
	return http_page_new(text.at, text.len, exposition_content_type(format));
}

static bool may_tell_again(const struct exporter *e, const struct kept *kept)
{
	uint64_t for_us = kept->for_us;

	if (http_open_count(e->http) > CROWD && for_us < CROWD_KEEP_US)
		for_us = CROWD_KEEP_US;
	return kept->page && now_us() - kept->made_us < for_us;
}

static struct http_page *metrics_page(struct exporter *e, enum exposition_format format)
{
	struct kept *kept = &e->metrics[format];
	uint64_t begun_us = worked_us();

	if (may_tell_again(e, kept))
		return kept->page;
	http_page_free(kept->page);
	kept->page = make_metrics(e, format);
	kept->made_us = now_us();
	kept->for_us = (worked_us() - begun_us) * KEEP_FACTOR;
	return kept->page;
}

/* ---- the others ---- */

static struct http_page *line_page(const char *line)
{
	size_t len = strlen(line);
	char *text = malloc(len + 2);

	if (!text)
		return NULL;
	memcpy(text, line, len);
	text_make_plain(text, len); /* whatever an API server has said */
	text[len] = '\n';
	return http_page_new(text, len + 1, "text/plain; charset=utf-8");
}

static unsigned ready(struct exporter *e, struct http_page **ret_page)
{
	struct exporter_sight sight = { 0 };

	e->of.look(e->of.agent, &sight);
	if (sight.is_ready) {
		*ret_page = e->ok;
		return 200;
	}
	http_page_free(e->last);
	*ret_page = e->last = line_page(sight.why_not);
	return 503;
}

static unsigned get(void *of, const char *path, const char *accept, struct http_page **ret_page)
{
	struct exporter *e = of;

	if (strcmp(path, "/metrics") == 0) {
		*ret_page = metrics_page(e, exposition_accepts(accept));
		return *ret_page ? 200 : 503;
	}
	if (strcmp(path, "/readyz") == 0)
		return ready(e, ret_page);
	if (strcmp(path, "/healthz") != 0)
		return 404;
	*ret_page = e->ok;
	return 200;
}

/* ---- beginning and end ---- */

int exporter_open(const struct addr *listen, const struct exporter_of *of, struct exporter **ret_exporter, struct report *why)
{
	struct exporter *e = calloc(1, sizeof(*e));
	const struct http_pages pages = { e, get };
	char where[ADDR_TEXT];
	int r;

	if (!e)
		return report(why, -ENOMEM, "out of memory");
	e->of = *of;
	e->started_ms = clock_boot_ms();
	e->started_wall_ms = clock_wall_ms();
	r = http_open(listen, &pages, &e->http, why);
	if (r == 0) {
		e->ok = line_page("ok");
		r = e->ok ? 0 : report(why, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		exporter_close(e);
		return r;
	}
	log_line("serving /metrics, /healthz and /readyz on %s", addr_print(http_address(e->http), where));
	*ret_exporter = e;
	return 0;
}

void exporter_close(struct exporter *e)
{
	if (!e)
		return;
	http_close(e->http);
	for (size_t i = 0; i < FORMATS; i++)
		http_page_free(e->metrics[i].page);
	http_page_free(e->ok);
	http_page_free(e->last);
	tally_free(e->tally);
	free(e);
}

void exporter_begin(struct exporter *e)
{
	struct exporter_sight sight = { 0 };

	if (!e)
		return;
	e->of.look(e->of.agent, &sight);
	if (has_tally(e, &sight))
		look(e, &sight, clock_boot_ms());
	e->look_ms = 0; /* the first table is looked at as soon as it is there */
}

/* ---- the loop's side ---- */

int exporter_fd(const struct exporter *e)
{
	return e ? http_fd(e->http) : -1;
}

int exporter_due_ms(const struct exporter *e, int timeout_ms)
{
	return e ? http_due_ms(e->http, timeout_ms) : timeout_ms;
}

void exporter_run(struct exporter *e, uint64_t now_ms)
{
	if (!e)
		return;
	look_if_due(e, now_ms);
	http_run(e->http, now_ms);
}
