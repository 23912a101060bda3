/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to dial, in every situation: what the calls return, what becomes of the socket and how long it takes is the same
 * under the shim as without it, where the destination is not ours, and where it is and the first pick is healthy. Where the
 * first pick is not, what is to be expected is written down here.
 */
#include "support/testing.h"

#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/musl.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 300000, LATE_US = 800000, ROUTER_US = 20000, TRIES = 3, MANY = 4096, SHOWN = 200 };

/* ---- a network with a host of each kind ---- */

enum kind { LIVE, LATE, REFUSED, RESET, UNREACHABLE, HOLE, KINDS };

static const char *const kind_names[KINDS] = { "live", "late", "refused", "reset", "unreachable", "hole" };

/* Hosts of the TUN device: those that are dialed natively; their like, which are endpoints of Services, come behind them. */
enum { FIRST_HOST = 2, ENDPOINT_HOST = 8, ENDPOINTS = 2 };

struct network {
	struct tun *tun;
	struct backends *live; /* the first is dialed natively */
	int dead;	       /* a port of theirs where nobody listens */
};

static void behave(struct tun *t, int host, enum kind as)
{
	static const struct {
		enum tun_rule rule;
		unsigned delay_us;
	} rules[KINDS] = {
		[LIVE] = { TUN_ACCEPT, 0 },	   [LATE] = { TUN_ACCEPT, LATE_US },
		[REFUSED] = { TUN_REFUSE, 0 },	   [RESET] = { TUN_REFUSE, LATE_US },
		[UNREACHABLE] = { TUN_UNREACHABLE, ROUTER_US }, [HOLE] = { TUN_DROP, 0 },
	};

	tun_set(t, host, rules[as].rule, rules[as].delay_us);
}

static int host_of(enum kind kind)
{
	return FIRST_HOST + (int)kind;
}

static int endpoint_host(enum kind kind, int i)
{
	return ENDPOINT_HOST + (int)kind * ENDPOINTS + i;
}

/* A black hole ends after two SYNs, which is three seconds. `fast_open`: net.ipv4.tcp_fastopen. */
static struct network network_open(const char *fast_open)
{
	struct network n = { .tun = tun_open() };

	write_file("/proc/sys/net/ipv4/tcp_syn_retries", "1", 1);
	write_file("/proc/sys/net/ipv4/tcp_fastopen", fast_open, strlen(fast_open));
	n.live = backends_start(1 + ENDPOINTS, ONE_PORT);
	n.dead = unused_port();
	for (enum kind kind = 0; kind < KINDS; kind++) {
		behave(n.tun, host_of(kind), kind);
		for (int i = 0; i < ENDPOINTS; i++)
			behave(n.tun, endpoint_host(kind, i), kind);
	}
	return n;
}

/* Where a place is natively. */
static struct place address_of(const struct network *n, enum kind kind)
{
	struct place at = { .port = 80 };

	if (kind == LIVE || kind == REFUSED) {
		at = backends_places(n->live)[0];
		at.port = kind == LIVE ? at.port : n->dead;
	} else {
		snprintf(at.address, sizeof(at.address), "%s", tun_address(host_of(kind)));
	}
	return at;
}

/* A Service at that address, over others of the same kind. */
static char *service_of(const struct network *n, enum kind kind, const char *more)
{
	struct place at = address_of(n, kind), endpoints[ENDPOINTS];

	for (int i = 0; i < ENDPOINTS; i++) {
		endpoints[i] = (struct place){ .port = 80 };
		snprintf(endpoints[i].address, sizeof(endpoints[i].address), "%s", tun_address(endpoint_host(kind, i)));
		if (kind == LIVE)
			endpoints[i] = backends_places(n->live)[1 + i];
	}
	return service_entry(kind_names[kind], at.address, at.port, endpoints, ENDPOINTS, more);
}

/* ---- the program, and its lines ---- */

struct row {
	const char *name, *told;
	long ms;
};

struct oracle {
	const char *program;
	const char *places[KINDS + 1]; /* its arguments */
};

/* `form`: how an address is written, "%s" or "[::ffff:%s]". */
static struct oracle oracle_of(const struct network *n, const char *program, const char *form)
{
	struct oracle o = { .program = program };

	for (enum kind kind = 0; kind < KINDS; kind++) {
		struct place at = address_of(n, kind);
		const char *prefix = strstr(form, "ffff") ? "[::ffff:" : "", *end = *prefix ? "]" : "";

		o.places[kind] = format("%s=%s%s%s:%d", kind_names[kind], prefix, at.address, end, at.port);
	}
	return o;
}

/* Cuts a line "NAME | CALLS | REST | KEPT | MS"; a child that died tells less. */
static struct row row_of(char *line)
{
	char *told = strstr(line, " |"), *ms = strrchr(line, '|');

	if (!told)
		fail_msg("no line of the oracle: %s", line);
	*told = '\0';
	if (ms > told + 1)
		*ms = '\0';
	return (struct row){ line, told + 2, ms > told + 1 ? atol(ms + 1) : 0 };
}

static size_t rows_of(const struct process *p, struct row *rows)
{
	char *text = format("%s", p->out_text), *line;
	size_t count = 0;

	while ((line = strsep(&text, "\n")) && *line) {
		assert_true(count < MANY);
		rows[count++] = row_of(line);
	}
	return count;
}

/* `only`: NULL, or the name of a combination. */
static struct process *ask(const struct oracle *o, const char *const *env, const char *only)
{
	const char *argv[KINDS + 3] = { o->program };
	struct process *p;
	size_t n = 1;

	for (size_t i = 0; o->places[i]; i++)
		argv[n++] = o->places[i];
	if (only)
		argv[n++] = format("only=%s", only);
	p = process_start(&(struct start){ .argv = argv, .env = env });
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	return p;
}

/* Wide, as the machine may be busy. */
static bool is_another_time(long a, long b)
{
	long less = a < b ? a : b, more = a < b ? b : a;

	return more > less + less / 2 + 400;
}

/* A time that differs is taken again, of that combination alone. */
static bool is_another_time_again(const struct oracle *o, const char *const *env, const char *name)
{
	struct row native, row;

	for (int i = 0; i < TRIES; i++) {
		assert_int_equal(rows_of(ask(o, NULL, name), &native), 1);
		assert_int_equal(rows_of(ask(o, env, name), &row), 1);
		if (!is_another_time(native.ms, row.ms))
			return false;
	}
	return true;
}

static bool differs(const struct oracle *o, const char *const *env, const struct row *native, const struct row *row)
{
	return strcmp(native->told, row->told) ||
	       (is_another_time(native->ms, row->ms) && is_another_time_again(o, env, row->name));
}

static void assert_same_rows(const struct oracle *o, const struct process *native, const char *const *env)
{
	static struct row expected[MANY], rows[MANY];
	size_t count = rows_of(native, expected), others = 0;

	assert_true(count > 100);
	assert_int_equal(rows_of(ask(o, env, NULL), rows), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(rows[i].name, expected[i].name);
		if (!differs(o, env, &expected[i], &rows[i]) || ++others > SHOWN)
			continue;
		print_error("%s:\n  natively      %s, %ld ms\n  under the shim%s, %ld ms\n", rows[i].name, expected[i].told,
			    expected[i].ms, rows[i].told, rows[i].ms);
	}
	if (others)
		fail_msg("%zu of %zu combinations differ", others, count);
}

/* ---- tests ---- */

#define NO_FAST_OPEN_WITHOUT_COOKIE "1"
#define FAST_OPEN_WITHOUT_COOKIE    "1543" /* 0x607: both sides, and without cookies */

static void dials_to_what_is_not_ours_are_the_same(void **state)
{
	struct network n = network_open(NO_FAST_OPEN_WITHOUT_COOKIE);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), "%s");
	struct services *other = services_of_web(n.live, NULL), *none = services_open();
	struct process *native = ask(&o, NULL, NULL);

	(void)state;
	assert_same_rows(&o, native, other->env);
	assert_same_rows(&o, native, none->env);
}

static void dials_that_are_observed_are_the_same(void **state)
{
	struct network n = network_open(NO_FAST_OPEN_WITHOUT_COOKIE);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), "%s");
	struct services *s = services_open();
	const char *entries = "", *more = "\"mode\": \"observe\"";

	(void)state;
	for (enum kind kind = 0; kind < KINDS; kind++)
		entries = format("%s%s%s", entries, kind ? ", " : "", service_of(&n, kind, more));
	services_publish(s, entries);
	assert_same_rows(&o, ask(&o, NULL, NULL), s->env);
	assert_true(services_backend(s, "live", n.live, 1).dials > 0);
	assert_int_equal(backends_accepted(n.live, 1) + backends_accepted(n.live, 2), 0);
	for (int i = 0; i < KINDS * ENDPOINTS; i++)
		assert_int_equal(tun_dials(n.tun, ENDPOINT_HOST + i), 0);
}

/* The live and the late are Services: each endpoint does as their address does natively. */
static void assert_healthy_services_are_as_servers(const char *program, const char *form, const char *fast_open)
{
	struct network n = network_open(fast_open);
	struct oracle o = oracle_of(&n, program, form);
	struct services *s = services_open();
	struct process *native = ask(&o, NULL, NULL);
	unsigned before = tun_dials(n.tun, host_of(LATE));

	services_publish(s, format("%s, %s", service_of(&n, LIVE, NULL), service_of(&n, LATE, NULL)));
	assert_same_rows(&o, native, s->env);
	assert_true(tun_dials(n.tun, host_of(LATE)) == before);
	for (int i = 0; i < ENDPOINTS; i++) {
		assert_true(backends_accepted(n.live, 1 + (size_t)i) > 0);
		assert_true(tun_dials(n.tun, endpoint_host(LATE, i)) > 0);
	}
}

static void dials_to_a_healthy_service_are_as_to_a_server(void **state)
{
	(void)state;
	assert_healthy_services_are_as_servers(built("helpers/oracle"), "%s", NO_FAST_OPEN_WITHOUT_COOKIE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_to_what_is_not_ours_are_the_same),
		TEST(dials_that_are_observed_are_the_same),
		TEST(dials_to_a_healthy_service_are_as_to_a_server),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
