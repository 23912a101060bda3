/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial status` prints for people. */
#include <stdio.h>
#include <string.h>

#include "balance/move.h"
#include "base/clock.h"
#include "cli/status.h"
#include "model/policy.h"
#include "view/paint.h"
#include "view/snapshot.h"

#define SILENT_MS  5000
#define SHARES_MAX 12

const char *status_full_name(const struct snapshot_service *s, char buf[2 * TABLE_NAME_SIZE])
{
	snprintf(buf, 2 * TABLE_NAME_SIZE, "%s%s%s", s->name, s->namespace[0] ? "." : "", s->namespace);
	return buf;
}

/* ---- endpoints ---- */

static void print_painted(enum paint what, const char *text)
{
	printf("%s%s%s", paint(what), text, paint_off());
}

static void print_state(const struct snapshot_endpoint *e)
{
	if (e->score.ejected)
		printf("%sejected for %u ms%s", paint(PAINT_BAD), e->score.ejected_ms, paint_off());
	else if (e->terminating)
		print_painted(PAINT_LEAVE, e->usable ? "terminating, serving" : "terminating");
	else if (e->usable)
		fputs("ready", stdout);
	else if (e->ready)
		fputs("left out", stdout);
	else
		print_painted(PAINT_BAD, "not ready");
}

static void print_endpoint(const struct snapshot_endpoint *e)
{
	char text[ADDR_TEXT];

	printf("    %-28s %8u %8u %8u  ", addr_print(&e->addr, text), e->score.active, e->score.dials, e->score.failures);
	print_state(e);
	if (e->weight != 1)
		printf(", weight %u", e->weight);
	if (e->zone[0]) {
		fputs(", zone ", stdout);
		print_plain(e->zone);
	}
	putchar('\n');
}

static bool has_dials(const struct snapshot_port *p)
{
	for (size_t i = 0; i < p->endpoint_count; i++)
		if (p->endpoints[i].score.dials)
			return true;
	return false;
}

/* The dials of those that may be dialed: each, or the range of many. */
static void print_shares(const struct snapshot_port *p)
{
	uint32_t least = UINT32_MAX, most = 0;
	size_t n = 0;

	for (size_t i = 0; i < p->endpoint_count; i++) {
		uint32_t dials = p->endpoints[i].score.dials;

		if (!p->endpoints[i].usable)
			continue;
		least = dials < least ? dials : least;
		most = dials > most ? dials : most;
		if (p->endpoint_count <= SHARES_MAX)
			printf("%s%u", n ? "/" : "", dials);
		n++;
	}
	if (p->endpoint_count > SHARES_MAX && n)
		printf("%u to %u over %zu endpoints", least, most, n);
}

/*
 * Where kube-proxy took these connections cannot be seen from here: their sockets know the Service's address alone. The counts
 * run since the table was made: they are also those of a time when the mode was on.
 */
static void print_observed(const struct snapshot_port *p)
{
	unsigned long long dials = 0;

	for (size_t i = 0; i < p->endpoint_count; i++)
		dials += p->endpoints[i].score.dials;
	if (!has_dials(p)) {
		puts("    observed: dials pass unchanged; none was counted yet");
		return;
	}
	printf("    observed: dials pass unchanged; %llu counted since the table was made, spread ", dials);
	print_shares(p);
	puts(": these would have been, or were while the mode was on");
}

/* The other Services that have endpoints of a port: the first of them. */
struct sharers {
	const struct snapshot_service *at[SNAPSHOT_SHARED];
	size_t count, endpoints;
	bool has_more;
};

static void add_sharer(struct sharers *all, const struct snapshot_service *s)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i] == s)
			return;
	if (all->count == SNAPSHOT_SHARED)
		all->has_more = true;
	else
		all->at[all->count++] = s;
}

static struct sharers sharers_of(const struct snapshot_port *p)
{
	struct sharers all = { .count = 0 };

	for (size_t i = 0; i < p->endpoint_count; i++) {
		const struct snapshot_endpoint *e = &p->endpoints[i];

		for (size_t j = 0; j < e->shared_count && j < SNAPSHOT_SHARED; j++)
			add_sharer(&all, e->shared[j]);
		all.endpoints += e->shared_count > 0;
		all.has_more |= e->shared_count > SNAPSHOT_SHARED;
	}
	return all;
}

/* The counts are of addresses: what another Service with the same pods was dialed for is among them. */
static void print_shared(const struct snapshot_port *p)
{
	const struct sharers all = sharers_of(p);
	char name[2 * TABLE_NAME_SIZE];

	for (size_t i = 0; i < all.count; i++) {
		fputs(i ? ", " : "    shared with ", stdout);
		print_plain(status_full_name(all.at[i], name));
	}
	if (all.count)
		printf("%s: %zu of %zu endpoints, whose counts are of dials through any of these\n",
		       all.has_more ? " and others" : "", all.endpoints, p->endpoint_count);
}

/* "12: drain 4, rebalance 8", between `before` and `after`; nothing where all are 0. */
static void print_reasons(const char *before, const char *after, const uint32_t counts[LEDGER_MOVE_REASONS])
{
	unsigned long long all = 0;
	const char *sep = "";

	for (int i = 0; i < LEDGER_MOVE_REASONS; i++)
		all += counts[i];
	if (all == 0)
		return;
	printf("    %s%llu%s: ", before, all, after);
	for (int i = 0; i < LEDGER_MOVE_REASONS; i++)
		if (counts[i]) {
			printf("%s%s %u", sep, move_reason_name((enum move_reason)(i + 1)), counts[i]);
			sep = ", ";
		}
	putchar('\n');
}

static void print_moves(const struct ledger_moves *moves)
{
	uint32_t n = moves->without_thread;

	print_reasons("moved ", "", moves->moved);
	print_reasons("observed: ", " would have moved", moves->would_have);
	if (n)
		printf("    %s%u %s could not make the thread that closes connections: nothing moves there%s\n", paint(PAINT_BAD),
		       n, n == 1 ? "process" : "processes", paint_off());
}

static void print_port(const struct snapshot_port *p, bool observed)
{
	printf("  port %u/%s%s", p->port, p->protocol, p->name[0] ? " " : "");
	print_plain(p->name);
	printf("  %s", p->balance);
	if (has_dials(p))
		printf("  evenness %.3f, at random about %.3f", p->evenness, random_evenness_of(p->endpoints, p->endpoint_count));
	putchar('\n');
	if (p->endpoint_count == 0)
		printf("    %sno endpoints: dials pass through%s\n", paint(PAINT_LEAVE), paint_off());
	else
		printf("    %s%-28s %8s %8s %8s  %s%s\n", paint(PAINT_HEAD), "ENDPOINT", "ACTIVE", "DIALS", "FAILED", "STATE",
		       paint_off());
	for (size_t i = 0; i < p->endpoint_count; i++)
		print_endpoint(&p->endpoints[i]);
	print_shared(p);
	if (observed && p->endpoint_count)
		print_observed(p);
	print_moves(&p->moves);
}

/*
 * The agent's log, or `publish`, has told those too that are of no key at all. And who may write the Service may not have the
 * connections of others closed: the owner of the agent's file says so, or not.
 */
static void print_annotation(const struct table_policy *policy, const struct policy_key *key)
{
	enum policy_origin origin = policy_origin_of(policy, key);

	if (origin == ORIGIN_MISREAD)
		printf("  %sannotation fairdial.dev/%s is not understood%s: expected %s%s\n", paint(PAINT_LEAVE), key->name,
		       key->form == FORM_MODE ? ", so the Service is off" : ", and passed over", key->expects, paint_off());
	if (origin == ORIGIN_UNACCEPTED)
		printf("  %sannotation fairdial.dev/%s is not accepted%s: it closes connections, which the services file has to "
		       "allow by \"accept_moves\": true\n",
		       paint(PAINT_LEAVE), key->name, paint_off());
}

/* Whatever is not the usual shows. */
static void print_mode(const struct snapshot_service *s)
{
	bool is_on = strcmp(s->mode, "on") == 0;

	printf("  mode %s%s%s", is_on ? "" : paint(PAINT_LEAVE), s->mode, is_on ? "" : paint_off());
	if (!s->stand_down[0])
		return;
	printf("  %sstands down: ", paint(PAINT_LEAVE));
	print_plain(s->stand_down);
	fputs(paint_off(), stdout);
}

static void print_service(const struct snapshot_service *s)
{
	char text[ADDR_TEXT], name[2 * TABLE_NAME_SIZE];

	printf("\n%s", paint(PAINT_HEAD));
	print_plain(status_full_name(s, name));
	printf("%s ", paint_off());
	for (size_t i = 0; i < s->address_count; i++)
		printf(" %s", addr_print_ip(&s->addresses[i], text));
	if (s->address_count == 0)
		printf(" headless");
	print_mode(s);
	putchar('\n');
	for (size_t i = 0; i < policy_key_count; i++)
		print_annotation(&s->policy, &policy_keys[i]);
	for (size_t i = 0; i < s->port_count; i++)
		print_port(&s->ports[i], s->observed);
}

/* What the agent says of itself: the log says the same. */
static void print_trouble(const struct snapshot *snapshot)
{
	if (snapshot->has_note && snapshot->silent_ms >= SILENT_MS)
		printf("agent      %shas said nothing for %llu s: is it running?%s\n", paint(PAINT_BAD),
		       (unsigned long long)snapshot->silent_ms / 1000, paint_off());
	if (snapshot->has_note && snapshot->delay_ms != UINT64_MAX)
		printf("delay      %llu ms from the last change's cause to the table\n", (unsigned long long)snapshot->delay_ms);
	if (!snapshot->trouble[0])
		return;
	printf("trouble    %sfor ", paint(PAINT_BAD));
	print_age(clock_wall_ms() > snapshot->trouble_since_ms ? clock_wall_ms() - snapshot->trouble_since_ms : 0);
	fputs(": ", stdout);
	print_plain(snapshot->trouble);
	printf("%s\n", paint_off());
}

static void print_table(const struct snapshot *snapshot)
{
	bool is_silent = !snapshot->is_static && !snapshot->alive;

	printf("table      generation %llu, %s%s", (unsigned long long)snapshot->generation, is_silent ? paint(PAINT_BAD) : "",
	       snapshot->is_static ? "static, published " : is_silent ? "agent silent for " : "agent alive, heard ");
	print_age(snapshot->age_ms);
	printf("%s\nsource     ", is_silent ? paint_off() : " ago");
	print_plain(snapshot->source);
	putchar('\n');
}

void status_print(const struct snapshot *snapshot)
{
	print_table(snapshot);
	print_trouble(snapshot);
	if (snapshot->ledger_error)
		printf("ledger     %scannot be read (%s): the counts below are not known, and programs of this user choose\n"
		       "           each for itself%s\n",
		       paint(PAINT_BAD), strerror(-snapshot->ledger_error), paint_off());
	for (size_t i = 0; i < snapshot->service_count; i++)
		print_service(&snapshot->services[i]);
}
