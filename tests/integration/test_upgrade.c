/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade and its way back, live: shim and agent are each exchanged for those of the next version (tests/next.sh) and back,
 * in all four pairs, while programs dial. Some have run since the beginning and keep the shim that they were started with;
 * short ones are started all the while. Nobody listens at the addresses of the Services, so that a dial that is not spread
 * fails.
 *
 * What a policy promises holds all the while: of round_robin, that all dials together are even to the last one; of least_conn,
 * that open connections differ by one at most. So its clients keep theirs.
 */
#include "support/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/versions.h"
#include "table/map.h"

enum { LIMIT_MS = 60000, ENDPOINTS = 3, SERVICES = 2, ROUNDS = 15, VERSIONS = 2, SHORT = 2 };

static const struct {
	const char *name, *address, *balance;
	bool holds; /* connections stay open, and there are no short programs */
} kinds[SERVICES] = { { "turns", "127.96.0.20", "round_robin", false }, { "load", "127.96.0.21", "least_conn", true } };

struct upgrade {
	struct backends *b;
	struct services *s;
	struct api_server *api;
	struct agent_run *a;
	const char *shim; /* where it is installed */
	const char *const *env;
	struct process *clients[VERSIONS][SERVICES]; /* by the shim that they were started with */
	unsigned counts[SERVICES][ENDPOINTS];
	unsigned dials;
};

/* ---- what is exchanged ---- */

static void dial_all(struct upgrade *u);

static bool is_written_by(const struct upgrade *u, enum version version, uint64_t since_ms)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table table;
	bool is;

	if (table_map(u->s->dir, &trust, &table, NULL) < 0)
		return false;
	is = table_head(&table)->minor == TABLE_MINOR + (version == NEXT) && table_head(&table)->current &&
	     table_head(&table)->heartbeat_ms >= since_ms;
	table_unmap(&table);
	return is;
}

static void start_agent(struct upgrade *u, enum version version)
{
	u->a = agent_start_as(
		&(struct agent_setup){ .api = u->api, .dir = u->s->dir, .program = version_file(version, "fairdial") });
}

/* Until the other one has the table; programs dial meanwhile. */
static void exchange_agent(struct upgrade *u, enum version version)
{
	uint64_t since_ms = table_head(map_table(u->s->dir))->heartbeat_ms + 1;
	long begun = now_ms();

	kill(u->a->process->pid, SIGTERM);
	start_agent(u, version);
	while (!is_written_by(u, version, since_ms)) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the other version's agent has not taken over");
		dial_all(u);
	}
}

/* ---- who dials ---- */

static void count(struct upgrade *u, size_t service, const char *line)
{
	unsigned who = 0;

	if (!line || sscanf(line, "backend-%u", &who) != 1 || (who - 1) / ENDPOINTS != service)
		fail_msg("dial %u, of %s, failed: %s", u->dials, kinds[service].name, line ? line : "the client has ended");
	u->counts[service][(who - 1) % ENDPOINTS]++;
	u->dials++;
}

static void start_clients(struct upgrade *u, enum version version)
{
	for (size_t i = 0; i < SERVICES; i++)
		u->clients[version][i] = process_start(&(struct start){
			.argv = kinds[i].holds ? ARGV(built("helpers/dialer"), "--step", "--hold", kinds[i].address, "80") :
						 ARGV(built("helpers/dialer"), "--step", kinds[i].address, "80"),
			.env = u->env,
			.interactive = true });
}

static void dial_long(struct upgrade *u, size_t service)
{
	for (size_t v = 0; v < VERSIONS; v++) {
		if (!u->clients[v][service])
			continue;
		process_say(u->clients[v][service], "\n");
		count(u, service, process_line(u->clients[v][service], LIMIT_MS));
	}
}

static void dial_short(struct upgrade *u, size_t service)
{
	char text[256];
	const struct start start = { .argv = ARGV(built("helpers/dialer"), kinds[service].address, "80"), .env = u->env };

	assert_int_equal(run_quickly(&start, text, sizeof(text)), 0);
	count(u, service, text);
}

static void dial_all(struct upgrade *u)
{
	for (size_t i = 0; i < SERVICES; i++) {
		dial_long(u, i);
		for (size_t n = 0; n < SHORT && !kinds[i].holds; n++)
			dial_short(u, i);
	}
}

/* So many rounds, after all that was dialed while the last change went on: even from the beginning on. */
static void dial_phase(struct upgrade *u, const char *what)
{
	for (size_t n = 0; n < ROUNDS; n++)
		dial_all(u);
	for (size_t i = 0; i < SERVICES; i++) {
		unsigned *c = u->counts[i], total = c[0] + c[1] + c[2];

		print_message("%-28s %-12s %4u dials so far, 0 failed: %u/%u/%u\n", what, kinds[i].balance, total, c[0], c[1],
			      c[2]);
		assert_even(c, ENDPOINTS, total, 1);
		for (size_t j = 0; kinds[i].holds && j < ENDPOINTS; j++)
			assert_int_equal(backends_open(u->b, i * ENDPOINTS + j), c[j]);
	}
}

/* ---- the scene ---- */

/* "127.1.2.3:8080 ...": the endpoints of a Service, which are its own; in a table `tail` is the port, in a slice nothing. */
static char *endpoints_of(const struct upgrade *u, size_t service, const char *tail)
{
	char *text = format("%s", "");

	for (size_t i = service * ENDPOINTS; i < (service + 1) * ENDPOINTS; i++)
		text = format("%s%s%s%s", text, *text ? " " : "", backends_address(u->b, i), tail);
	return text;
}

static void put_services(const struct upgrade *u)
{
	for (size_t i = 0; i < SERVICES; i++) {
		api_put_json(u->api, KUBE_SERVICE,
			     format("{'metadata':{'name':'%s','annotations':{'fairdial.dev/balance':'%s'}},'spec':"
				    "{'type':'ClusterIP','clusterIP':'%s','clusterIPs':['%s'],"
				    "'ports':[{'name':'http','port':80,'protocol':'TCP'}]}}",
				    kinds[i].name, kinds[i].balance, kinds[i].address, kinds[i].address));
		api_put_slice(u->api, format("%s-1", kinds[i].name), kinds[i].name, format("http:%d", backends_port(u->b, 0)),
			      endpoints_of(u, i, ""));
	}
}

static struct upgrade *begin(void)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	assert_non_null(u);
	after_test(free, u);
	u->b = backends_start(SERVICES * ENDPOINTS, ONE_PORT);
	u->s = services_open();
	u->api = api_start(NULL);
	u->shim = format("%s/libfairdial.so", u->s->root);
	u->env = with_env((const char *const[]){ NULL }, format("LD_PRELOAD=%s", u->shim),
			  format("FAIRDIAL_DIR=%s", u->s->dir), NULL);
	put_services(u);
	version_install(NOW, u->shim);
	start_agent(u, NOW);
	for (size_t i = 0; i < SERVICES; i++)
		agent_wait(u->a, format("%s:80", kinds[i].address), endpoints_of(u, i, format(":%d", backends_port(u->b, 0))));
	return u;
}

static void end_clients(struct upgrade *u)
{
	for (size_t v = 0; v < VERSIONS; v++)
		for (size_t i = 0; i < SERVICES; i++) {
			process_close_input(u->clients[v][i]);
			process_wait(u->clients[v][i], LIMIT_MS);
			assert_clean(u->clients[v][i]);
		}
}

static void no_dial_fails_while_shim_and_agent_go_a_version_up_and_down(void **state)
{
	struct upgrade *u = begin();

	(void)state;
	start_clients(u, NOW);
	dial_phase(u, "shim now,  agent now");
	version_install(NEXT, u->shim);
	start_clients(u, NEXT);
	dial_phase(u, "shim next, agent now");
	exchange_agent(u, NEXT);
	dial_phase(u, "shim next, agent next");
	version_install(NOW, u->shim);
	dial_phase(u, "shim now,  agent next");
	exchange_agent(u, NOW);
	dial_phase(u, "shim now,  agent now again");
	/* The agent first, as where the image of the sidecar is the older one for a while. */
	exchange_agent(u, NEXT);
	version_install(NEXT, u->shim);
	dial_phase(u, "shim next, agent next again");
	exchange_agent(u, NOW);
	dial_phase(u, "shim next, agent now again");
	end_clients(u);
	print_message("%u dials, 0 failed\n", u->dials);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_dial_fails_while_shim_and_agent_go_a_version_up_and_down),
	};

	return RUN_TESTS(tests);
}
