/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial status: services, endpoints, who holds how many connections, how even it is, how old the table is. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/policy.h"
#include "balance/move.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/coverage.h"
#include "cli/no_table.h"
#include "cli/policy_json.h"
#include "view/snapshot.h"

#define SILENT_MS  5000
#define SHARES_MAX 12

enum { OPT_JSON, OPT_COVERAGE, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_JSON] = { "json", NULL, "one JSON object" },
	[OPT_COVERAGE] = { "coverage", NULL, "instead: which connections and processes are not spread, and why" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks)" },
	{ 0 },
};

/* ---- JSON ---- */

/* "web.shop"; of a Service without a namespace its name. Returns `buf`. */
static const char *full_name(const struct snapshot_service *s, char buf[2 * TABLE_NAME_SIZE])
{
	snprintf(buf, 2 * TABLE_NAME_SIZE, "%s%s%s", s->name, s->namespace[0] ? "." : "", s->namespace);
	return buf;
}

static json_t *shared_json(const struct snapshot_endpoint *e)
{
	json_t *names = json_array();
	char name[2 * TABLE_NAME_SIZE];

	for (size_t i = 0; i < e->shared_count && i < SNAPSHOT_SHARED; i++)
		json_array_append_new(names, json_string(full_name(e->shared[i], name)));
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
	return json_pack("{s:s, s:i, s:s, s:s, s:f, s:o, s:o}", "name", p->name, "port", p->port, "protocol", p->protocol,
			 "balance", p->balance, "evenness", p->evenness, "moves", moves_json(&p->moves), "endpoints", endpoints);
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

static int print_json(const struct snapshot *snapshot)
{
	bool has_delay = snapshot->has_note && snapshot->delay_ms != UINT64_MAX;
	json_t *services = json_array(), *root;

	for (size_t i = 0; i < snapshot->service_count; i++)
		json_array_append_new(services, service_json(&snapshot->services[i]));
	root = json_pack("{s:{s:b, s:b, s:s, s:I, s:I, s:s?, s:o?}, s:s?, s:o}", "agent", "alive", snapshot->alive, "static",
			 snapshot->is_static, "source", snapshot->source, "generation", (json_int_t)snapshot->generation,
			 "age_ms", (json_int_t)snapshot->age_ms, "trouble",
			 snapshot->trouble[0] ? snapshot->trouble : NULL, "delay_ms",
			 has_delay ? json_integer((json_int_t)snapshot->delay_ms) : NULL, "ledger_error",
			 snapshot->ledger_error ? strerror(-snapshot->ledger_error) : NULL, "services", services);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) < 0)
		return -ENOMEM;
	putchar('\n');
	json_decref(root);
	return 0;
}

/* ---- text ---- */

static void print_age(uint64_t ms)
{
	if (ms < 10000)
		printf("%llu ms", (unsigned long long)ms);
	else if (ms < 600000)
		printf("%llu s", (unsigned long long)ms / 1000);
	else
		printf("%llu min", (unsigned long long)ms / 60000);
}

static void print_endpoint(const struct snapshot_endpoint *e)
{
	char text[ADDR_TEXT];

	printf("    %-28s %8u %8u %8u  ", addr_print(&e->addr, text), e->score.active, e->score.dials, e->score.failures);
	if (e->score.ejected)
		printf("ejected for %u ms", e->score.ejected_ms);
	else if (e->usable)
		printf("%s", e->terminating ? "terminating, serving" : "ready");
	else
		printf("%s", e->terminating ? "terminating" : e->ready ? "left out" : "not ready");
	if (e->weight != 1)
		printf(", weight %u", e->weight);
	if (e->zone[0])
		printf(", zone %s", e->zone);
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

	for (size_t i = 0; i < all.count; i++)
		printf("%s%s", i ? ", " : "    shared with ", full_name(all.at[i], name));
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
		printf("    %u %s could not make the thread that closes connections: nothing moves there\n", n,
		       n == 1 ? "process" : "processes");
}

static void print_port(const struct snapshot_port *p, bool observed)
{
	printf("  port %u/%s%s%s  %s", p->port, p->protocol, p->name[0] ? " " : "", p->name, p->balance);
	if (has_dials(p))
		printf("  evenness %.3f", p->evenness);
	putchar('\n');
	if (p->endpoint_count == 0)
		puts("    no endpoints: dials pass through");
	else
		printf("    %-28s %8s %8s %8s  %s\n", "ENDPOINT", "ACTIVE", "DIALS", "FAILED", "STATE");
	for (size_t i = 0; i < p->endpoint_count; i++)
		print_endpoint(&p->endpoints[i]);
	print_shared(p);
	if (observed && p->endpoint_count)
		print_observed(p);
	print_moves(&p->moves);
}

/* The agent's log, or `publish`, has told those too that are of no key at all. */
static void print_misread(const struct table_policy *policy)
{
	for (size_t i = 0; i < policy_key_count; i++)
		if (policy_origin_of(policy, &policy_keys[i]) == ORIGIN_MISREAD)
			printf("  annotation fairdial.dev/%s is not understood%s: expected %s\n", policy_keys[i].name,
			       policy_keys[i].form == FORM_MODE ? ", so the Service is off" : ", and passed over",
			       policy_keys[i].expects);
}

static void print_service(const struct snapshot_service *s)
{
	char text[ADDR_TEXT], name[2 * TABLE_NAME_SIZE];

	printf("\n%s ", full_name(s, name));
	for (size_t i = 0; i < s->address_count; i++)
		printf(" %s", addr_print_ip(&s->addresses[i], text));
	if (s->address_count == 0)
		printf(" headless");
	printf("  mode %s", s->mode);
	if (s->stand_down[0])
		printf("  stands down: %s", s->stand_down);
	putchar('\n');
	print_misread(&s->policy);
	for (size_t i = 0; i < s->port_count; i++)
		print_port(&s->ports[i], s->observed);
}

/* What the agent says of itself: the log says the same. */
static void print_trouble(const struct snapshot *snapshot)
{
	if (snapshot->has_note && snapshot->silent_ms >= SILENT_MS)
		printf("agent      has said nothing for %llu s: is it running?\n", (unsigned long long)snapshot->silent_ms / 1000);
	if (snapshot->has_note && snapshot->delay_ms != UINT64_MAX)
		printf("delay      %llu ms from the last change's cause to the table\n", (unsigned long long)snapshot->delay_ms);
	if (!snapshot->trouble[0])
		return;
	printf("trouble    for ");
	print_age(clock_wall_ms() > snapshot->trouble_since_ms ? clock_wall_ms() - snapshot->trouble_since_ms : 0);
	printf(": %s\n", snapshot->trouble);
}

static int print_text(const struct snapshot *snapshot)
{
	printf("table      generation %llu, %s", (unsigned long long)snapshot->generation,
	       snapshot->is_static ? "static, published " : snapshot->alive ? "agent alive, heard " : "agent silent for ");
	print_age(snapshot->age_ms);
	printf("%s\nsource     %s\n", snapshot->is_static || snapshot->alive ? " ago" : "", snapshot->source);
	print_trouble(snapshot);
	if (snapshot->ledger_error)
		printf("ledger     cannot be read (%s): the counts below are not known, and programs of this user choose\n"
		       "           each for itself\n",
		       strerror(-snapshot->ledger_error));
	for (size_t i = 0; i < snapshot->service_count; i++)
		print_service(&snapshot->services[i]);
	return 0;
}

/* ---- the verb ---- */

static int run(const struct verb *verb, int argc, char **argv)
{
	const char *given = NULL, *name = NULL;
	struct trust trust = cli_trust();
	struct snapshot snapshot;
	char dir[PATH_MAX];
	struct report why;
	bool json = false, coverage = false;
	int r, option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			json = true;
		else if (option == OPT_COVERAGE)
			coverage = true;
		else
			given = optarg;
	}
	if (optind < argc)
		name = argv[optind++];
	if (optind < argc)
		return cli_fail(verb, EXIT_USAGE, "unexpected argument '%s'", argv[optind]);
	cli_table_dir(given, dir);
	why.text[0] = '\0';
	r = snapshot_take(dir, &trust, name, &snapshot, &why);
	if (r < 0)
		return no_table_fail(verb, dir, r, why.text);
	if (name && snapshot.service_count == 0) {
		cli_fail(verb, EXIT_FAILED, "no service '%s' in %s/table, whose source is %s%s%s", name, dir, snapshot.source,
			 snapshot.trouble[0] ? "; " : "", snapshot.trouble);
		snapshot_free(&snapshot);
		return EXIT_FAILED;
	}
	if (coverage)
		r = coverage_report(dir, &snapshot, json);
	else
		r = json ? print_json(&snapshot) : print_text(&snapshot);
	snapshot_free(&snapshot);
	if (r < 0 && coverage && access("/proc/self/stat", F_OK) < 0)
		return cli_fail(verb, EXIT_FAILED, "/proc is not mounted here: --coverage looks at processes there");
	if (r < 0 && coverage)
		return cli_fail(verb, EXIT_FAILED, "cannot look at sockets and processes: %s", strerror(-r));
	if (r < 0 || fflush(stdout) != 0)
		return cli_fail(verb, EXIT_FAILED, "cannot write: %s", r < 0 ? "out of memory" : strerror(errno));
	return EXIT_DONE;
}

const struct verb status_verb = {
	.name = "status",
	.usage = "[--json] [--coverage] [--dir DIR] [NAME[.NAMESPACE]]",
	.summary = "services, endpoints, who holds how many connections, how even it is, how old the table is",
	.more = "ACTIVE counts open connections of this pod, DIALS and FAILED all dials since the table was made. They count by\n"
	"the address of the endpoint, whichever Service it was dialed through: Services with the same pods show each\n"
	"other's dials (\"shared with\": the first four). Evenness is Jain's index of the dials over the usable endpoints:\n"
	"1 is even, 1/n is all on one of n.\n\n"
	"Of a Service in mode observe a dial is counted where it would have gone, and passes unchanged; what was counted\n"
	"while its mode was on stays in DIALS. Where kube-proxy takes them cannot be seen, so ACTIVE is 0 unless programs dial its\n"
	"pods.\n\n"
	"\"moved\" counts connections that were closed at a quiet point, or cut, for the program to dial again, by the reason,\n"
	"since the table was made; of a Service in mode observe, those that would have been.\n\n"
	"--coverage looks at the open TCP connections of this network namespace, and at the processes that can be seen here:\n"
	"what goes through a Service's own address instead of straight to an endpoint, whose it is, and why. A process's own\n"
	"reason comes first: service-observe, service-off and observe are left for those that would be spread. It exits\n"
	"with 0 also where something is not covered: what is to be covered, a script knows (--json).",
	.options = options,
	.operands = OPERANDS_SERVICE,
	.run = run,
};
