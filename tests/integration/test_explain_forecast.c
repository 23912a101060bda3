/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What explain foretells, held against the shim: over random tables, ledgers, open connections and policies, the next pick has to
 * be whom a real dial then reaches, dial after dial. Seeds are fixed, so a case that fails is one that can be looked at again.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balance/rules.h"
#include "base/clock.h"
#include "explain/explain.h"
#include "ledger/words.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { LIMIT_MS = 60000, CASES = 80, DIALS = 6, BACKENDS = 6, HELD_MOST = 3 };

#define MINUTE_MS 60000u
#define OUT_MS	  (10 * MINUTE_MS)
#define WINDOW_MS (60 * MINUTE_MS)

/* What the cases of a test were like, all together: none is to be missing for want of luck. */
static struct {
	unsigned certain, drawn, pinned, all_in, last_resort, trials, new, excluded, passed, observed;
} seen;

struct scene {
	uint64_t random;
	bool v4;
	struct backends *backends;
	char *root;
	const char *address, *port; /* of the Service */
	int balance;		    /* enum balance of the environment; -1: the table's */
	char *dir;
	struct environment environment;
	struct process *dialer;
	int held[BACKENDS * HELD_MOST];
	size_t held_count;
	char *what; /* for who reads a failure */
};

static uint64_t below(struct scene *s, uint64_t n)
{
	return (next_random(&s->random) >> 16) % n;
}

static bool in_percent(struct scene *s, unsigned percent)
{
	return below(s, 100) < percent;
}

static struct trust own_trust(void)
{
	return (struct trust){ .euid = geteuid(), .shim_uid = geteuid() };
}

/* ---- the table ---- */

static struct table_policy random_policy(struct scene *s, const struct table_policy *preset, int balance)
{
	struct table_policy policy = *preset;

	policy.balance = (uint8_t)balance;
	policy.mode = in_percent(s, 8) ? MODE_OBSERVE : in_percent(s, 2) ? MODE_OFF : MODE_ON;
	policy.eject_percent = (uint16_t)(below(s, 3) * 50);
	policy.eject_for_ms = policy.eject_max_ms = OUT_MS;
	policy.connect_timeout_ms = 2 * MINUTE_MS; /* so long a trial lasts: none ends in between */
	policy.slow_start_ms = in_percent(s, 30) ? WINDOW_MS : 0;
	return policy;
}

/* Not usable as those that are not ready, end, or are left out. */
static uint16_t random_flags(struct scene *s)
{
	static const uint16_t out[] = { 0, ENDPOINT_READY, ENDPOINT_TERMINATING };

	return in_percent(s, 85) ? ENDPOINT_READY | ENDPOINT_SERVING | ENDPOINT_USABLE : out[below(s, 3)];
}

static void add_endpoints(struct scene *s, struct spec_port *port)
{
	bool weighted = in_percent(s, 40);
	uint64_t now = clock_boot_ms();

	for (size_t i = 0; i < BACKENDS; i++) {
		struct addr addr = addr_of(format(s->v4 ? "%s:%d" : "[%s]:%d", backends_address(s->backends, i),
						  backends_port(s->backends, i)));
		struct spec_endpoint *e;

		if (in_percent(s, 10))
			continue;
		builder_endpoint(port, &addr, (uint16_t)(weighted ? 1 + below(s, 5) : 1));
		e = &port->endpoints[port->endpoint_count - 1];
		e->flags = random_flags(s);
		e->zone = in_percent(s, 50) ? "a" : NULL;
		e->added_ms = now - below(s, now < 2 * WINDOW_MS ? now : 2 * WINDOW_MS);
	}
}

static void publish_random(struct scene *s, int balance)
{
	struct table_builder *b = builder_alloc();
	struct spec_service *service = builder_service(b, "web.shop", s->address);

	service->affinity_s = in_percent(s, 25) ? 10800 : 0;
	service->policy = random_policy(s, &service->policy, balance);
	add_endpoints(s, builder_port(b, (uint16_t)atoi(s->port), PROTOCOL_TCP, ""));
	b->spec.client_peers = in_percent(s, 50) ? 0 : in_percent(s, 20) ? CLIENT_PEERS_UNKNOWN : 1 + (uint32_t)below(s, 5);
	b->spec.client_rank = b->spec.client_peers ? (uint32_t)below(s, b->spec.client_peers < 5 ? b->spec.client_peers : 5) : 0;
	publish_alone(s->dir, b);
	builder_free(b);
}

/* ---- the ledger ---- */

/* Out; out until a while ago, so that the next dial tries it; or being tried. */
static void eject_randomly(struct scene *s, const struct ledger *ledger, struct ledger_key key,
			   const struct ledger_verdict *verdict)
{
	uint64_t now = clock_boot_ms(), then = now > 2 * OUT_MS && in_percent(s, 50) ? now - 2 * OUT_MS : now;
	enum ledger_outcome outcome = in_percent(s, 60) ? OUTCOME_REFUSED : OUTCOME_TIMED_OUT;
	uint32_t ejection;

	for (int i = 0; i < verdict->eject_timeouts_after; i++)
		ledger_report(ledger, key, outcome, verdict, then);
	ejection = ledger_load(ledger, key, now).ejection;
	if (then < now && in_percent(s, 30))
		ledger_try(ledger, key, &ejection, verdict, now);
}

static void pin_randomly(struct scene *s, const struct ledger *ledger, struct ledger_key cursor, uint32_t affinity_s, uint32_t tag)
{
	uint64_t now = clock_boot_ms();
	struct ledger_pin pin = ledger_pin(ledger, cursor, s->v4, affinity_s, now);

	ledger_set_pin(ledger, cursor, s->v4, &pin, tag, now);
}

static void fill_ledger(struct scene *s, const struct ledger *ledger, const struct table_port *port, const struct table_rows *rows)
{
	struct ledger_verdict verdict = rules_verdict(&port->policy);
	struct ledger_key cursor = { port->cursor, port->cursor_tag };
	unsigned percent = (unsigned)below(s, 3) * 45; /* none, some, most */
	uint32_t turn;

	for (uint32_t i = 0; i < rows->count; i++) {
		struct table_endpoint_brief brief = table_rows_brief(rows, i);

		if (in_percent(s, percent))
			eject_randomly(s, ledger, (struct ledger_key){ brief.slot, brief.tag }, &verdict);
	}
	for (uint64_t turns = below(s, 20); turns; turns--)
		ledger_turn(ledger, cursor, &turn);
	if (rows->count && port->affinity_s && in_percent(s, 60))
		pin_randomly(s, ledger, cursor, port->affinity_s, table_rows_brief(rows, (uint32_t)below(s, rows->count)).tag);
}

/* In some cases there is none, and the first dial makes it. */
static void make_random_ledger(struct scene *s)
{
	struct trust trust = own_trust();
	struct ledger_options options = { .mode = 0600, .trust = &trust, .opening = LEDGER_MAKE };
	struct table_view view;
	struct table_rows rows;
	struct table_port port;
	struct ledger ledger;
	struct table table;

	if (in_percent(s, 15))
		return;
	assert_int_equal(table_map(s->dir, &trust, &table, NULL), 0);
	options.rows = table_head(&table)->rows;
	options.cursors = table_head(&table)->cursors;
	assert_int_equal(ledger_open(format("%s/ledger", s->dir), &options, &ledger), 0);
	assert_true(table_begin(&table, &view));
	assert_int_equal(table_port(&view, 0, &port), 0);
	assert_int_equal(rows_of(&view, &port, s->v4, &rows), 0);
	fill_ledger(s, &ledger, &port, &rows);
	ledger_close(&ledger);
	table_unmap(&table);
}

/* ---- connections that are open: what least_conn counts ---- */

static int connect_to(const struct scene *s, size_t i)
{
	struct addr addr = addr_of(format(s->v4 ? "%s:%d" : "[%s]:%d", backends_address(s->backends, i),
					  backends_port(s->backends, i)));
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = addr.port_be };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = addr.port_be };
	int fd = socket(s->v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	memcpy(&v4.sin_addr, addr.ip + 12, 4);
	memcpy(&v6.sin6_addr, addr.ip, 16);
	r = s->v4 ? connect(fd, (struct sockaddr *)&v4, sizeof(v4)) : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	assert_int_equal(r, 0);
	return fd;
}

static void hold_randomly(struct scene *s)
{
	bool any = in_percent(s, 50);

	for (size_t i = 0; any && i < BACKENDS; i++)
		for (uint64_t n = below(s, HELD_MOST + 1); n; n--)
			s->held[s->held_count++] = connect_to(s, i);
}

static void let_go(struct scene *s)
{
	while (s->held_count)
		close(s->held[--s->held_count]);
}

/* ---- what is foretold, and what happens ---- */

struct forecast {
	struct snapshot snapshot;
	struct explanation explanation;
	const struct explain_family *family;
};

static void foretell(const struct scene *s, struct forecast *f)
{
	struct explain_place place = { .dir = s->dir, .trust = own_trust() };
	struct explain_dialer dialer = { .environment = &s->environment };
	struct explain_question question = { .one_family = true, .v4 = s->v4 };
	struct report why = { .text = "" };

	if (snapshot_take(s->dir, &place.trust, NULL, &f->snapshot, &why) < 0)
		fail_msg("%s: %s", s->what, why.text);
	question.service = &f->snapshot.services[0];
	assert_int_equal(explain_take(&place, &f->snapshot, &question, &dialer, &f->explanation), 0);
	f->family = &f->explanation.ports[0].families[0];
}

static void forget(struct forecast *f)
{
	explain_free(&f->explanation);
	snapshot_free(&f->snapshot);
}

static const struct explain_endpoint *endpoint_of(const struct scene *s, const struct explain_family *f, size_t backend)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < f->count; i++)
		if (addr_port(&f->endpoints[i].seen->addr) == backends_port(s->backends, backend) &&
		    strcmp(addr_print_ip(&f->endpoints[i].seen->addr, text), backends_address(s->backends, backend)) == 0)
			return &f->endpoints[i];
	return NULL;
}

static void fail_case(const struct scene *s, const struct explain_family *f, int dial, const char *line)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < f->count; i++)
		print_message("  %s out=%s active=%u trial=%d share=%u weight=%u%s\n",
			      addr_print(&f->endpoints[i].seen->addr, text), explain_out_row(f->endpoints[i].out)->name,
			      f->endpoints[i].score.active, f->endpoints[i].is_trial, f->endpoints[i].share,
			      f->endpoints[i].seen->weight, i == f->next ? " <- foretold" : "");
	fail_msg("%s, dial %d: %s by %d, all_in %d, pinned %d, %s: the dialer says \"%s\"", s->what, dial + 1,
		 explain_pass_row(f->pass)->name, f->balance, f->all_in, f->is_pinned, explain_sight_row(f->sight)->name, line);
}

static void count_case(const struct explain_family *f)
{
	const struct explain_endpoint *next = explain_has_next(f) ? &f->endpoints[f->next] : NULL;

	seen.certain += next != NULL;
	seen.drawn += f->pass == PASS_NO && f->sight == SIGHT_CHANCE;
	seen.pinned += f->is_pinned;
	seen.all_in += f->all_in;
	seen.last_resort += f->last_resort;
	seen.trials += next && next->is_trial;
	seen.passed += f->pass != PASS_NO;
	seen.observed += f->pass == PASS_OBSERVED;
	for (size_t i = 0; i < f->count; i++) {
		seen.new += f->endpoints[i].share != SHARE_WHOLE;
		seen.excluded += f->endpoints[i].out == OUT_EJECTED || f->endpoints[i].out == OUT_ON_TRIAL;
	}
}

/* Whether the line of a dial is what was foretold. */
static bool is_as_foretold(const struct scene *s, const struct explain_family *f, const char *line)
{
	const struct explain_endpoint *reached;

	if (f->pass != PASS_NO) /* nobody listens at the Service's own address */
		return strcmp(line, "ECONNREFUSED") == 0;
	if (strncmp(line, "backend-", 8) != 0)
		return false;
	reached = endpoint_of(s, f, (size_t)atoi(line + 8) - 1);
	if (!reached || f->sight == SIGHT_NO_LEDGER || f->sight == SIGHT_OTHER_HOST)
		return false;
	return f->sight == SIGHT_CHANCE ? reached->out == OUT_NO || f->last_resort : reached == &f->endpoints[f->next];
}

/* What passes under `observe` is counted where it would have gone. */
static void assert_counted(const struct scene *s, const struct forecast *before)
{
	const struct explain_family *f = before->family;
	struct forecast after;

	foretell(s, &after);
	if (after.family->endpoints[f->next].score.dials != f->endpoints[f->next].score.dials + 1)
		fail_case(s, f, -1, "not counted there");
	forget(&after);
}

/* When the open connections of the port were last counted anew: in ticks, as the ledger has it; 0: never. */
static uint32_t mended(const struct scene *s, const struct forecast *f)
{
	struct ledger_key cursor = f->snapshot.services[0].ports[0].cursor;
	struct trust trust = own_trust();
	struct ledger ledger;
	uint32_t when;

	if (snapshot_open_ledger(s->dir, &trust, LEDGER_COPY, &ledger) < 0)
		return 0;
	when = word_read(cursor_word(&ledger, cursor, offsetof(struct ledger_cursor, mended)), cursor.tag);
	ledger_close(&ledger);
	return when;
}

static void dial_and_compare(struct scene *s, int dial)
{
	struct forecast f;
	uint32_t before;
	const char *line;

	foretell(s, &f);
	before = mended(s, &f);
	count_case(f.family);
	process_say(s->dialer, "\n");
	line = process_line(s->dialer, LIMIT_MS);
	if (!line)
		fail_case(s, f.family, dial, "nothing");
	/* Once a second a dial counts open connections anew: that moment may have come between the two. */
	if (!is_as_foretold(s, f.family, line) && (f.family->is_mended || mended(s, &f) == before))
		fail_case(s, f.family, dial, line);
	if (f.family->pass == PASS_OBSERVED && f.family->sight == SIGHT_CERTAIN)
		assert_counted(s, &f);
	forget(&f);
}

/* ---- cases ---- */

static void start_dialer(struct scene *s, const char *policy)
{
	const char *const *env = with_env(NULL, format("LD_PRELOAD=%s", built("libfairdial.so")), format("FAIRDIAL_DIR=%s", s->dir),
					  policy, NULL);
	const char *mapped = s->v4 && in_percent(s, 25) ? "--v6mapped" : "--step";

	s->dialer = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--step", mapped, s->address, s->port), .env = env, .interactive = true });
}

static void take_environment(struct scene *s, const char *policy)
{
	assert_int_equal(environment_parse(policy ? policy : "", policy ? strlen(policy) + 1 : 0, &s->environment), 0);
}

static void run_case(struct scene *s, int number, int balance)
{
	const char *policy = NULL;

	s->what = format("case %d", number);
	s->dir = format("%s/%d", s->root, number);
	assert_int_equal(mkdir(s->dir, 0700), 0);
	if (in_percent(s, 20))
		policy = format("FAIRDIAL_BALANCE=%s", balance_policy((uint8_t)balance)->name);
	publish_random(s, policy ? (int)below(s, BALANCE_COUNT) : balance);
	make_random_ledger(s);
	hold_randomly(s);
	take_environment(s, policy);
	start_dialer(s, policy);
	for (int i = 0; i < DIALS; i++)
		dial_and_compare(s, i);
	process_close_input(s->dialer);
	process_wait(s->dialer, LIMIT_MS);
	let_go(s);
	environment_free(&s->environment);
}

static void run_cases(bool v4, int balance, uint64_t seed)
{
	struct scene s = { .random = seed, .v4 = v4, .backends = backends_start(BACKENDS, v4 ? ONE_PORT : ONE_ADDRESS_V6) };

	memset(&seen, 0, sizeof(seen));
	s.root = scratch_dir();
	s.address = v4 ? SERVICE_ADDRESS : "::1";
	s.port = v4 ? "80" : format("%d", unused_port());
	for (int i = 0; i < CASES; i++)
		run_case(&s, i, balance);
	print_message("%u certain, %u drawn, %u pinned, %u all in, %u last resorts, %u trials, %u new, %u ejected, %u passed, "
		      "%u observed\n", seen.certain, seen.drawn, seen.pinned, seen.all_in, seen.last_resort, seen.trials, seen.new,
		      seen.excluded, seen.passed, seen.observed);
	assert_true(seen.certain > CASES);
	assert_true(seen.pinned && seen.all_in && seen.excluded && seen.new && seen.passed && seen.observed);
	assert_true(clock_boot_ms() < 3 * OUT_MS || seen.trials);
}

static void least_conn_goes_where_it_is_foretold(void **state)
{
	(void)state;
	run_cases(true, BALANCE_LEAST_CONN, 1);
}

static void round_robin_goes_where_it_is_foretold(void **state)
{
	(void)state;
	run_cases(true, BALANCE_ROUND_ROBIN, 2);
}

static void hash_goes_where_it_is_foretold(void **state)
{
	(void)state;
	run_cases(true, BALANCE_HASH, 3);
}

static void random_draws_among_the_candidates(void **state)
{
	(void)state;
	run_cases(true, BALANCE_RANDOM, 4);
}

static void p2c_draws_among_the_candidates(void **state)
{
	(void)state;
	run_cases(true, BALANCE_P2C, 5);
}

static void so_does_ipv6(void **state)
{
	(void)state;
	run_cases(false, BALANCE_LEAST_CONN, 6);
}

static void so_does_ipv6_by_turns(void **state)
{
	(void)state;
	run_cases(false, BALANCE_ROUND_ROBIN, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(least_conn_goes_where_it_is_foretold),
		TEST(round_robin_goes_where_it_is_foretold),
		TEST(hash_goes_where_it_is_foretold),
		TEST(random_draws_among_the_candidates),
		TEST(p2c_draws_among_the_candidates),
		TEST(so_does_ipv6),
		TEST(so_does_ipv6_by_turns),
	};

	return RUN_TESTS(tests);
}
