/* SPDX-License-Identifier: Apache-2.0 */
#include "top/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "balance/evenness.h"
#include "top/choices.h"
#include "top/rates.h"
#include "view/snapshot.h"

#define MEASURED_MAX 1000 /* addresses of IPv6 that are printed to see how long they are */

/* ---- names ---- */

static const char *const sort_names[SORT_COUNT] = {
	[SORT_NAME] = "name",	[SORT_OPEN] = "open",	      [SORT_RATE] = "rate",
	[SORT_DIALS] = "dials", [SORT_FAILURES] = "failures", [SORT_STATE] = "state",
};

static const struct {
	const char *name, *word;
} states[] = {
	[STATE_READY] = { "ready", "ready" },
	[STATE_SERVING] = { "terminating, serving", "terminating-serving" },
	[STATE_TERMINATING] = { "terminating", "terminating" },
	[STATE_LEFT_OUT] = { "left out", "left-out" },
	[STATE_NOT_READY] = { "not ready", "not-ready" },
	[STATE_EJECTED] = { "ejected", "ejected" },
};

const char *sort_key_name(enum sort_key key)
{
	return sort_names[key];
}

enum sort_key sort_key_named(const char *name)
{
	enum sort_key key = 0;

	while (key < SORT_COUNT && strcmp(name, sort_names[key]) != 0)
		key++;
	return key;
}

const char *endpoint_state_name(enum endpoint_state state)
{
	return states[state].name;
}

const char *endpoint_state_word(enum endpoint_state state)
{
	return states[state].word;
}

char *full_name(const struct snapshot_service *s, char buf[FULL_NAME_SIZE])
{
	snprintf(buf, FULL_NAME_SIZE, "%.63s%s%.63s", s->name, s->namespace[0] ? "." : "", s->namespace);
	return buf;
}

enum endpoint_state frame_state(const struct snapshot_endpoint *e)
{
	if (e->score.ejected)
		return STATE_EJECTED;
	if (e->usable)
		return e->terminating ? STATE_SERVING : STATE_READY;
	return e->terminating ? STATE_TERMINATING : e->ready ? STATE_LEFT_OUT : STATE_NOT_READY;
}

/* ---- the filter ---- */

static bool has_part(const char *text, const char *part)
{
	return strcasestr(text, part);
}

static bool service_matches(const struct frame_group *g, const char *filter)
{
	char text[FULL_NAME_SIZE + ADDR_TEXT + 8];

	if (has_part(full_name(g->service, text), filter) || (g->port && has_part(g->port->name, filter)))
		return true;
	for (size_t i = 0; i < g->service->address_count; i++) {
		struct addr addr = g->service->addresses[i];

		addr_set_port(&addr, g->port ? g->port->port : 0);
		if (has_part(addr_print(&addr, text), filter))
			return true;
	}
	return false;
}

static bool endpoint_matches(const struct snapshot_endpoint *e, const char *filter)
{
	char text[ADDR_TEXT];

	return has_part(addr_print(&e->addr, text), filter) || (e->zone[0] && has_part(e->zone, filter));
}

static void apply_filter(struct frame_group *g, const char *filter)
{
	size_t n = g->port ? g->port->endpoint_count : 0;

	g->shown = n;
	if (!filter[0] || service_matches(g, filter))
		return;
	g->by_endpoint = true;
	g->shown = 0;
	for (size_t i = 0; i < n; i++)
		g->shown += endpoint_matches(&g->port->endpoints[i], filter);
}

/* ---- numbers ---- */

static void add_rate(double *sum, double rate)
{
	if (rate >= 0)
		*sum = *sum < 0 ? rate : *sum + rate;
}

static void add_endpoint(struct frame_group *g, const struct snapshot_endpoint *e, const struct rates *rates)
{
	enum endpoint_state state = frame_state(e);
	double rate = rates_of(rates, e->key, e->score.dials);

	if (e->score.active > g->most_open)
		g->most_open = e->score.active;
	if (rate > g->most_rate)
		g->most_rate = rate;
	g->sums.open += e->score.active;
	g->sums.dials += e->score.dials;
	g->sums.failures += e->score.failures;
	add_rate(&g->sums.rate, rate);
	g->sums.endpoints++;
	g->sums.usable += e->usable;
	g->sums.ejected += e->score.ejected;
	if (state > g->sums.worst)
		g->sums.worst = state;
}

static void add_group(struct frame_sums *all, const struct frame_sums *one)
{
	all->open += one->open;
	all->dials += one->dials;
	all->failures += one->failures;
	add_rate(&all->rate, one->rate);
	all->endpoints += one->endpoints;
	all->usable += one->usable;
	all->ejected += one->ejected;
	if (one->worst > all->worst)
		all->worst = one->worst;
}

static size_t digits_of(unsigned n)
{
	return n < 10 ? 1 : n < 100 ? 2 : n < 1000 ? 3 : n < 10000 ? 4 : 5;
}

/* Of IPv4 without printing it: there may be a hundred thousand. */
static void measure(struct frame *f, const struct addr *addr, size_t *measured)
{
	size_t width = 4 + digits_of(addr_port(addr));
	char text[ADDR_TEXT];

	if (addr->is_v4)
		for (size_t i = 12; i < 16; i++)
			width += digits_of(addr->ip[i]);
	else if ((*measured)++ < MEASURED_MAX)
		width = strlen(addr_print(addr, text));
	if (width > f->address_width)
		f->address_width = width;
}

static void sum_up(struct frame *f, struct frame_group *g, size_t *measured)
{
	struct evenness sums = { 0 };

	g->sums.rate = RATE_UNKNOWN;
	for (size_t i = 0; g->port && i < g->port->endpoint_count; i++) {
		const struct snapshot_endpoint *e = &g->port->endpoints[i];

		add_endpoint(g, e, f->rates);
		if (e->usable)
			evenness_add(&sums, e->score.dials);
		f->has_zones |= e->zone[0] != '\0';
		measure(f, &e->addr, measured);
	}
	g->evenness = evenness(&sums);
	g->at_random = evenness_at_random(&sums);
}

/* ---- order ---- */

static int compare_numbers(double a, double b)
{
	return (a < b) - (a > b); /* the greatest first */
}

static int compare_sums(const struct frame_sums *a, const struct frame_sums *b, enum sort_key key)
{
	switch (key) {
	case SORT_OPEN:
		return compare_numbers((double)a->open, (double)b->open);
	case SORT_RATE:
		return compare_numbers(a->rate, b->rate);
	case SORT_DIALS:
		return compare_numbers((double)a->dials, (double)b->dials);
	case SORT_FAILURES:
		return compare_numbers((double)a->failures, (double)b->failures);
	case SORT_STATE:
		return compare_numbers(a->worst, b->worst);
	default:
		return 0;
	}
}

/* The snapshot has Services in the order of their names, and endpoints in that of addresses: the addresses of rows tell it. */
static int compare_places(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

/* By name, as people look for it, where the table goes by namespace first. */
static int compare_names(const struct frame_group *a, const struct frame_group *b)
{
	int order = strcmp(a->service->name, b->service->name);

	if (order == 0)
		order = strcmp(a->service->namespace, b->service->namespace);
	if (order == 0)
		order = compare_places(a->service, b->service);
	return order ? order : compare_places(a->port, b->port);
}

static int compare_groups(const void *left, const void *right, void *of)
{
	const struct frame_group *a = left, *b = right;
	const struct choices *choices = of;
	int order = compare_sums(&a->sums, &b->sums, choices->sort);

	if (order == 0)
		order = choices->sort == SORT_NAME ? compare_names(a, b) : 0;
	if (choices->reverse)
		order = -order;
	return order ? order : compare_names(a, b);
}

struct ranked {
	const struct snapshot_endpoint *endpoint;
	struct frame_sums sums;
};

static int compare_ranked(const void *left, const void *right, void *of)
{
	const struct ranked *a = left, *b = right;
	const struct choices *choices = of;
	int order = compare_sums(&a->sums, &b->sums, choices->sort);

	if (order == 0 && choices->sort == SORT_NAME)
		order = compare_places(a->endpoint, b->endpoint);
	if (choices->reverse)
		order = -order;
	return order ? order : compare_places(a->endpoint, b->endpoint);
}

/* The endpoints of a group that the filter leaves, in order; to be freed. NULL: out of memory. */
static struct ranked *rank(const struct frame *f, const struct frame_group *g)
{
	struct ranked *ranked = malloc((g->shown + 1) * sizeof(*ranked));
	size_t n = 0;

	for (size_t i = 0; ranked && i < g->port->endpoint_count && n < g->shown; i++) {
		const struct snapshot_endpoint *e = &g->port->endpoints[i];

		if (g->by_endpoint && !endpoint_matches(e, f->choices->filter))
			continue;
		ranked[n++] = (struct ranked){ e, { .open = e->score.active, .dials = e->score.dials,
						    .failures = e->score.failures,
						    .rate = rates_of(f->rates, e->key, e->score.dials),
						    .worst = frame_state(e) } };
	}
	if (ranked && (f->choices->sort != SORT_NAME || f->choices->reverse))
		qsort_r(ranked, n, sizeof(*ranked), compare_ranked, (void *)f->choices);
	return ranked;
}

/* ---- the frame ---- */

static void add(struct frame *f, const struct snapshot_service *s, const struct snapshot_port *p, size_t *measured)
{
	struct frame_group *g = &f->groups[f->group_count];

	*g = (struct frame_group){ .service = s, .port = p };
	sum_up(f, g, measured);
	add_group(&f->sums, &g->sums);
	apply_filter(g, f->choices->filter);
	if (!g->by_endpoint || g->shown)
		f->group_count++;
}

static void number_lines(struct frame *f)
{
	for (size_t i = 0; i < f->group_count; i++) {
		struct frame_group *g = &f->groups[i];

		g->first = f->line_count;
		g->lines = f->choices->collapsed ? 1 : g->shown ? 1 + g->shown : 2;
		f->line_count += g->lines;
	}
}

int frame_make(struct frame *f, const struct snapshot *snapshot, const struct rates *rates, const struct choices *choices)
{
	size_t most = 0, measured = 0;

	*f = (struct frame){ .snapshot = snapshot, .rates = rates, .choices = choices, .sums.rate = RATE_UNKNOWN };
	for (size_t i = 0; i < snapshot->service_count; i++)
		most += snapshot->services[i].port_count ? snapshot->services[i].port_count : 1;
	f->groups = malloc((most + 1) * sizeof(*f->groups));
	if (!f->groups)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct snapshot_service *s = &snapshot->services[i];

		for (size_t j = 0; j < s->port_count; j++)
			add(f, s, &s->ports[j], &measured);
		if (s->port_count == 0)
			add(f, s, NULL, &measured);
	}
	qsort_r(f->groups, f->group_count, sizeof(*f->groups), compare_groups, (void *)choices);
	number_lines(f);
	return 0;
}

void frame_free(struct frame *f)
{
	free(f->groups);
	*f = (struct frame){ 0 };
}

/* The group that has a line of the frame. */
static size_t group_of(const struct frame *f, size_t line)
{
	size_t low = 0, high = f->group_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (f->groups[middle].first <= line)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Lines of one group from its own number `at` on; how many, or -ENOMEM. */
static int group_lines(const struct frame *f, const struct frame_group *g, size_t at, size_t count, struct frame_line *to)
{
	struct ranked *ranked = NULL;
	int n = 0;

	if (g->shown && (at + count > 1) && g->lines > 1) {
		ranked = rank(f, g);
		if (!ranked)
			return -ENOMEM;
	}
	for (; at < g->lines && (size_t)n < count; at++)
		to[n++] = (struct frame_line){ at == 0 ? FRAME_SERVICE : g->shown ? FRAME_ENDPOINT : FRAME_EMPTY, g,
					       at && g->shown ? ranked[at - 1].endpoint : NULL };
	free(ranked);
	return n;
}

int frame_lines(const struct frame *f, size_t first, size_t count, struct frame_line *ret_lines)
{
	size_t done = 0;

	if (first >= f->line_count)
		return 0;
	for (size_t i = group_of(f, first); i < f->group_count && done < count; i++) {
		const struct frame_group *g = &f->groups[i];
		int n = group_lines(f, g, first + done - g->first, count - done, ret_lines + done);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (int)done;
}
