/* SPDX-License-Identifier: Apache-2.0 */
#include "top/draw.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "top/choices.h"
#include "top/rates.h"
#include "view/snapshot.h"

#define SILENT_MS 5000
#define PART_SIZE 300

/* ---- numbers ---- */

struct number {
	char text[32];
};

/* In at most `room` columns: 12345, 1.23M. */
static struct number print_count(uint64_t n, int room)
{
	static const char units[] = "kMGTP";
	struct number to;
	double value = (double)n;
	int unit = -1;

	snprintf(to.text, sizeof(to.text), "%llu", (unsigned long long)n);
	if ((int)strlen(to.text) <= room)
		return to;
	for (; value >= 999.5 && units[unit + 1]; unit++)
		value /= 1000;
	if (unit < 0) /* no shorter, for a column that has no room at all */
		return to;
	snprintf(to.text, sizeof(to.text), "%.*f%c", value < 9.995 && room > 4 ? 2 : value < 99.95 && room > 4 ? 1 : 0, value,
		 units[unit]);
	return to;
}

static struct number print_rate(double rate, int room)
{
	struct number to;

	if (rate < 0)
		return (struct number){ "-" };
	if (rate >= 999.5)
		return print_count((uint64_t)(rate + 0.5), room);
	snprintf(to.text, sizeof(to.text), "%.1f", rate);
	return to;
}

static struct number print_time(uint64_t ms)
{
	struct number to;

	if (ms < 120000)
		snprintf(to.text, sizeof(to.text), "%llu s", (unsigned long long)ms / 1000);
	else if (ms < 7200000)
		snprintf(to.text, sizeof(to.text), "%llu min", (unsigned long long)ms / 60000);
	else
		snprintf(to.text, sizeof(to.text), "%llu h", (unsigned long long)ms / 3600000);
	return to;
}

/* The end of a bar's scale: a number that people read, so that bars stand still while the greatest one moves a little. */
static double scale_of(double most, double least)
{
	static const double steps[] = { 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 };
	double unit = 1;
	size_t i = 0;

	if (most < least)
		most = least;
	for (; most > 10 * unit; unit *= 10)
		;
	while (i < sizeof(steps) / sizeof(*steps) - 1 && steps[i] * unit < most)
		i++;
	return steps[i] * unit;
}

/* ---- columns ---- */

/* What is given up first where there is little room, then the next: the address stays last. */
static const enum column dispensable[] = { COL_ZONE,	 COL_DIALS, COL_RATE_BAR, COL_FAILED,
					   COL_OPEN_BAR, COL_RATE,  COL_STATE,    COL_OPEN };

static int gap_before(enum column col)
{
	return col == COL_ADDRESS || col == COL_DIALS || col == COL_STATE || col == COL_ZONE || col == COL_RATE ? 2 : 1;
}

static int used(const struct plan *plan)
{
	int sum = 0;

	for (enum column col = 0; col < COL_COUNT; col++)
		if (plan->width[col])
			sum += gap_before(col) + plan->width[col];
	return sum;
}

static void widen(struct plan *plan, enum column col, int most, int *surplus)
{
	int more = most - plan->width[col];

	if (!plan->width[col] || more <= 0 || *surplus <= 0)
		return;
	more = more < *surplus ? more : *surplus;
	plan->width[col] += more;
	*surplus -= more;
}

void draw_plan(const struct frame *f, int width, struct plan *plan)
{
	static const int least[COL_COUNT] = { 0, 5, 7, 8, 7, 6, 7, 11, 6 };
	int address = (int)f->address_width < 12 ? 12 : (int)f->address_width, surplus;

	*plan = (struct plan){ 0 };
	memcpy(plan->width, least, sizeof(least));
	plan->width[COL_ADDRESS] = address < 28 ? address : 28;
	if (!f->has_zones)
		plan->width[COL_ZONE] = 0;
	for (size_t i = 0; i < sizeof(dispensable) / sizeof(*dispensable) && used(plan) > width; i++)
		plan->width[dispensable[i]] = 0;
	surplus = width - used(plan);
	if (surplus < 0)
		plan->width[COL_ADDRESS] = width > 2 ? width - 2 : 0;
	widen(plan, COL_ADDRESS, address, &surplus);
	widen(plan, COL_STATE, 16, &surplus);
	widen(plan, COL_ZONE, 10, &surplus);
	for (int i = 0; i < 60; i++) { /* by turns, and the rest for whoever has more to say on wide screens */
		widen(plan, COL_OPEN_BAR, plan->width[COL_OPEN_BAR] + 1, &surplus);
		widen(plan, COL_RATE_BAR, plan->width[COL_RATE_BAR] + 1, &surplus);
		if (i == 12) {
			widen(plan, COL_STATE, 20, &surplus);
			widen(plan, COL_ZONE, 20, &surplus);
		}
	}
	for (int at = 0, col = 0; col < COL_COUNT; col++) {
		plan->at[col] = at + gap_before((enum column)col);
		if (plan->width[col])
			at = plan->at[col] + plan->width[col];
	}
}

static void put_left(struct canvas *c, const struct plan *plan, enum column col, enum style style, const char *text)
{
	canvas_put(c, plan->at[col], plan->width[col], style, text);
}

static void put_right(struct canvas *c, const struct plan *plan, enum column col, enum style style, const char *text)
{
	canvas_put_right(c, plan->at[col] + plan->width[col], plan->width[col], style, text);
}

/* ---- the head ---- */

static void print_freshness(const struct snapshot *s, char *buf, size_t size)
{
	const struct number age = print_time(s->age_ms);

	if (s->is_static)
		snprintf(buf, size, "static, published %s ago", age.text);
	else if (!s->alive)
		snprintf(buf, size, "agent silent for %s", age.text);
	else if (s->age_ms >= 2000) /* one that is well says so each second */
		snprintf(buf, size, "agent alive, heard %s ago", age.text);
	else
		snprintf(buf, size, "agent alive");
}

void draw_table(const struct frame *f, bool is_live, int width, struct canvas *c)
{
	const struct snapshot *s = f->snapshot;
	char text[PART_SIZE];
	int at;

	canvas_clear(c, width, STYLE_PLAIN);
	at = canvas_put(c, 0, width, STYLE_STRONG, "fairdial top");
	if (is_live && f->choices->paused)
		at = canvas_put(c, at + 2, width, STYLE_DOUBTFUL, "paused");
	print_freshness(s, text, sizeof(text));
	at = canvas_put(c, at + 2, width, s->is_static ? STYLE_PLAIN : s->alive ? STYLE_GOOD : STYLE_BAD, text);
	snprintf(text, sizeof(text), "generation %llu", (unsigned long long)s->generation);
	at = canvas_put(c, at + 2, width, STYLE_PLAIN, text);
	canvas_put(c, at + 2, width, STYLE_DIM, s->source);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

void draw_sums(const struct frame *f, int width, struct canvas *c)
{
	const struct frame_sums *sums = &f->sums;
	size_t services = f->snapshot->service_count;
	char text[PART_SIZE];
	int at;

	canvas_clear(c, width, STYLE_PLAIN);
	snprintf(text, sizeof(text), "%zu Service%s  %zu endpoint%s, %zu usable", services, plural(services), sums->endpoints,
		 plural(sums->endpoints), sums->usable);
	at = canvas_put(c, 0, width, STYLE_PLAIN, text);
	if (sums->ejected) {
		snprintf(text, sizeof(text), ", %zu ejected", sums->ejected);
		at = canvas_put(c, at, width, STYLE_BAD, text);
	}
	snprintf(text, sizeof(text), "%llu open", (unsigned long long)sums->open);
	at = canvas_put(c, at + 2, width, STYLE_STRONG, text);
	snprintf(text, sizeof(text), "%s dials/s", print_rate(sums->rate, 12).text);
	at = canvas_put(c, at + 2, width, STYLE_STRONG, text);
	snprintf(text, sizeof(text), "%llu dials, %llu failed", (unsigned long long)sums->dials,
		 (unsigned long long)sums->failures);
	canvas_put(c, at + 2, width, STYLE_PLAIN, text);
}

/* Number `i` of those that apply; "": there are no more. */
static void print_trouble(const struct snapshot *s, const struct told *told, size_t i, char *buf, size_t size)
{
	uint64_t now = clock_wall_ms();

	buf[0] = '\0';
	if (told->text[0] && i-- == 0)
		snprintf(buf, size, "%s", told->text);
	else if (s->trouble[0] && i-- == 0)
		snprintf(buf, size, "trouble for %s: %s",
			 print_time(now > s->trouble_since_ms ? now - s->trouble_since_ms : 0).text, s->trouble);
	else if (!s->is_static && s->has_note && s->silent_ms >= SILENT_MS && i-- == 0)
		snprintf(buf, size, "the agent has said nothing for %s: is it running?", print_time(s->silent_ms).text);
	else if (s->ledger_error && i-- == 0)
		snprintf(buf, size, "the ledger cannot be read (%s): no count is known", strerror(-s->ledger_error));
}

bool draw_trouble(const struct frame *f, const struct told *told, size_t i, int width, struct canvas *c)
{
	char text[TOLD_SIZE + 64];

	print_trouble(f->snapshot, told, i, text, sizeof(text));
	canvas_clear(c, width, STYLE_PLAIN);
	canvas_put(c, 0, width, STYLE_BAD, text);
	return text[0];
}

static const struct {
	const char *title;
	bool right;
	enum sort_key sort; /* SORT_COUNT: none */
} titles[COL_COUNT] = {
	[COL_ADDRESS] = { "ENDPOINT", false, SORT_NAME }, [COL_OPEN] = { "OPEN", true, SORT_OPEN },
	[COL_OPEN_BAR] = { "", false, SORT_COUNT },	  [COL_RATE] = { "DIALS/S", true, SORT_RATE },
	[COL_RATE_BAR] = { "", false, SORT_COUNT },	  [COL_DIALS] = { "DIALS", true, SORT_DIALS },
	[COL_FAILED] = { "FAILED", true, SORT_FAILURES }, [COL_STATE] = { "STATE", false, SORT_STATE },
	[COL_ZONE] = { "ZONE", false, SORT_COUNT },
};

void draw_titles(const struct frame *f, const struct plan *plan, bool is_live, int width, struct canvas *c)
{
	enum style base = is_live ? STYLE_TITLE : STYLE_DIM;

	canvas_clear(c, width, base);
	for (enum column col = 0; col < COL_COUNT; col++) {
		bool sorts = is_live && titles[col].sort == f->choices->sort;
		const char *mark = f->choices->reverse ? (c->utf8 ? "\u25b2" : "^") : c->utf8 ? "\u25bc" : "v";
		char text[32];

		snprintf(text, sizeof(text), "%s%s", titles[col].title, sorts ? mark : "");
		(titles[col].right ? put_right : put_left)(c, plan, col, sorts ? STYLE_SORTED : base, text);
	}
}

/* ---- a Service ---- */

/* What its line may say, from left to right. Those of the highest rank go first where there is little room. */
struct part {
	char text[PART_SIZE];
	enum style style;
	int rank;
};

enum { PARTS_MAX = 8 };

static void add_part(struct part *parts, size_t *count, int rank, enum style style, const char *text)
{
	struct part *p = &parts[(*count)++];

	snprintf(p->text, sizeof(p->text), "%s", text);
	p->style = style;
	p->rank = rank;
}

static void print_address(const struct frame_group *g, char *buf, size_t size)
{
	const struct snapshot_service *s = g->service;
	char text[ADDR_TEXT];
	struct addr addr;

	if (s->address_count == 0) {
		snprintf(buf, size, "headless");
	} else if (!g->port) {
		snprintf(buf, size, "%s", addr_print_ip(&s->addresses[0], text));
	} else {
		addr = s->addresses[0];
		addr_set_port(&addr, g->port->port);
		snprintf(buf, size, "%s", addr_print(&addr, text));
	}
	if (s->address_count > 1)
		snprintf(buf + strlen(buf), size - strlen(buf), " and %zu more", s->address_count - 1);
	if (g->port && (strcmp(g->port->protocol, "TCP") != 0 || s->address_count == 0))
		snprintf(buf + strlen(buf), size - strlen(buf), " %u/%s", g->port->port, g->port->protocol);
}

static void print_name(const struct frame_group *g, char *buf, size_t size)
{
	bool has_name = g->port && g->port->name[0] && g->service->port_count > 1;
	char name[FULL_NAME_SIZE];

	snprintf(buf, size, "%s%s%s", full_name(g->service, name), has_name ? " " : "", has_name ? g->port->name : "");
}

/* Without dials there is nothing to be even. */
static void add_evenness(const struct frame_group *g, struct part *parts, size_t *count)
{
	char text[64];

	if (g->sums.dials == 0 || g->sums.usable < 2)
		return;
	snprintf(text, sizeof(text), "evenness %.3f", g->evenness);
	add_part(parts, count, 2, g->evenness >= g->at_random ? STYLE_GOOD : STYLE_DOUBTFUL, text);
	snprintf(text, sizeof(text), "(random %.3f)", g->at_random);
	add_part(parts, count, 3, STYLE_DIM, text);
}

static size_t take_parts(const struct frame_group *g, struct part parts[PARTS_MAX])
{
	bool is_on = strcmp(g->service->mode, "on") == 0;
	char text[PART_SIZE];
	size_t n = 0;

	print_name(g, text, sizeof(text));
	add_part(parts, &n, 0, STYLE_STRONG, text);
	print_address(g, text, sizeof(text));
	add_part(parts, &n, 1, STYLE_PLAIN, text);
	add_part(parts, &n, is_on ? 5 : 2, is_on ? STYLE_DIM : STYLE_DOUBTFUL, g->service->mode);
	if (g->port)
		add_part(parts, &n, 4, STYLE_DIM, g->port->balance);
	add_evenness(g, parts, &n);
	if (g->service->stand_down[0]) {
		snprintf(text, sizeof(text), "stands down: %s", g->service->stand_down);
		add_part(parts, &n, 2, STYLE_DOUBTFUL, text);
	}
	return n;
}

/* The least rank that has to go, so that the others fit. */
static int rank_that_fits(const struct canvas *c, const struct part *parts, size_t n, int room)
{
	for (int most = 5;; most--) {
		int sum = -2;

		for (size_t i = 0; i < n; i++)
			if (parts[i].rank <= most)
				sum += 2 + canvas_measure(c, parts[i].text);
		if (sum <= room || most == 0)
			return most;
	}
}

static void draw_service(const struct frame_group *g, int width, struct canvas *c)
{
	struct part parts[PARTS_MAX];
	size_t n = take_parts(g, parts);
	char sums[96];
	int room, most, at = -2;

	snprintf(sums, sizeof(sums), "%s open  %s/s", print_count(g->sums.open, 7).text, print_rate(g->sums.rate, 7).text);
	room = width - (int)strlen(sums) - 2;
	if (room < 10) { /* the name says more */
		room = width;
		sums[0] = '\0';
	}
	most = rank_that_fits(c, parts, n, room);
	for (size_t i = 0; i < n; i++)
		if (parts[i].rank <= most)
			at = canvas_put(c, at + 2, room - at - 2, parts[i].style, parts[i].text);
	canvas_put_right(c, width, width, STYLE_STRONG, sums);
}

/* ---- an endpoint ---- */

static enum style style_of(enum endpoint_state state)
{
	return state == STATE_EJECTED ? STYLE_BAD : state == STATE_READY ? STYLE_GOOD :
	       state == STATE_LEFT_OUT ? STYLE_DIM : STYLE_DOUBTFUL;
}

static void draw_state(const struct snapshot_endpoint *e, const struct plan *plan, struct canvas *c)
{
	enum endpoint_state state = frame_state(e);
	char text[64];

	if (state == STATE_EJECTED)
		snprintf(text, sizeof(text), plan->width[COL_STATE] < 16 ? "out for %s" : "ejected for %s",
			 print_time(e->score.ejected_ms + 999).text);
	else if (e->weight != 1 && state == STATE_READY)
		snprintf(text, sizeof(text), "ready, weight %u", e->weight);
	else
		snprintf(text, sizeof(text), "%s", endpoint_state_name(state));
	put_left(c, plan, COL_STATE, style_of(state), text);
}

static void draw_endpoint(const struct frame *f, const struct plan *plan, const struct frame_line *line, struct canvas *c)
{
	const struct snapshot_endpoint *e = line->endpoint;
	double rate = rates_of(f->rates, e->key, e->score.dials);
	enum style base = frame_state(e) == STATE_LEFT_OUT ? STYLE_DIM : STYLE_PLAIN;
	char text[ADDR_TEXT];

	put_left(c, plan, COL_ADDRESS, base, addr_print(&e->addr, text));
	put_right(c, plan, COL_OPEN, base, print_count(e->score.active, plan->width[COL_OPEN]).text);
	canvas_bar(c, plan->at[COL_OPEN_BAR], plan->width[COL_OPEN_BAR], STYLE_OPEN_BAR,
		   e->score.active / scale_of(line->group->most_open, 4));
	put_right(c, plan, COL_RATE, base, print_rate(rate, plan->width[COL_RATE]).text);
	if (rate > 0)
		canvas_bar(c, plan->at[COL_RATE_BAR], plan->width[COL_RATE_BAR], STYLE_RATE_BAR,
			   rate / scale_of(line->group->most_rate, 4));
	put_right(c, plan, COL_DIALS, base, print_count(e->score.dials, plan->width[COL_DIALS]).text);
	put_right(c, plan, COL_FAILED, e->score.failures ? STYLE_DOUBTFUL : base,
		  print_count(e->score.failures, plan->width[COL_FAILED]).text);
	draw_state(e, plan, c);
	put_left(c, plan, COL_ZONE, base, e->zone);
}

void draw_line(const struct frame *f, const struct plan *plan, const struct frame_line *line, int width, struct canvas *c)
{
	canvas_clear(c, width, STYLE_PLAIN);
	switch (line->kind) {
	case FRAME_SERVICE:
		draw_service(line->group, width, c);
		break;
	case FRAME_ENDPOINT:
		draw_endpoint(f, plan, line, c);
		break;
	case FRAME_EMPTY:
		canvas_put(c, 2, width, STYLE_DIM, line->group->port ? "no endpoints: dials pass through" : "no ports");
		break;
	}
}
