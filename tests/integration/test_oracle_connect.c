/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to dial, in every situation: what the calls return, what becomes of the socket and how long it takes is the same
 * under the shim as without it, where the destination is not ours, and where it is and the first pick is healthy. Where the
 * first pick is not, what is to be expected is written down here.
 */
#include "support/testing.h"

#include <fnmatch.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 300000, LATE_MS = 700, BOUND_MS = 1530, TRIES = 3, MANY = 4096, SHOWN = 20 };

/* ---- a network with a host of each kind ---- */

enum kind { LIVE, LATE, REFUSED, RESET, UNREACHABLE, HOLE, KINDS };

static const char *const kind_names[KINDS] = { "live", "late", "refused", "reset", "unreachable", "hole" };

#define OF(kind)  (1u << (kind))
#define ALL_KINDS (OF(KINDS) - 1)

/* Hosts of the TUN device: those that are dialed natively; their like, which are endpoints of Services, come behind them. */
enum { FIRST_HOST = 2, ENDPOINT_HOST = 8, ENDPOINTS = 2 };

struct network {
	struct tun *tun;
	struct backends *live;	 /* the first is dialed natively */
	struct backends *mortal; /* endpoints of what is refused; they live at first */
	int dead;		 /* a port of the first where nobody listens */
	int endpoints;		 /* of each Service */
	const char *form;	 /* how an address is written for the program */
};

static void behave(struct tun *t, int host, enum kind as)
{
	static const struct {
		enum tun_rule rule;
		unsigned delay_ms;
	} rules[KINDS] = {
		[LIVE] = { TUN_ACCEPT, 0 },
		[LATE] = { TUN_ACCEPT, LATE_MS },
		[REFUSED] = { TUN_REFUSE, 0 },
		[RESET] = { TUN_REFUSE, LATE_MS },
		[UNREACHABLE] = { TUN_UNREACHABLE, LATE_MS },
		[HOLE] = { TUN_DROP, 0 },
	};

	tun_set(t, host, rules[as].rule, rules[as].delay_ms * 1000);
}

static int host_of(enum kind kind)
{
	return FIRST_HOST + (int)kind;
}

static int endpoint_host(enum kind kind, int i)
{
	return ENDPOINT_HOST + (int)kind * ENDPOINTS + i;
}

#define COOKIES	   "1"	  /* net.ipv4.tcp_fastopen as it is */
#define NO_COOKIES "1543" /* 0x607: clients and servers fast-open at once */

/* A black hole ends after two SYNs, which is three seconds. */
static struct network network_open(enum backends_layout layout, const char *fast_open)
{
	struct network n = { .tun = tun_open(), .endpoints = ENDPOINTS, .form = layout == ONE_ADDRESS_V6 ? "[%s]" : "%s" };

	write_file("/proc/sys/net/ipv4/tcp_syn_retries", "1", 1);
	write_file("/proc/sys/net/ipv4/tcp_fastopen", fast_open, strlen(fast_open));
	n.live = backends_start(1 + ENDPOINTS, layout);
	n.mortal = backends_start(ENDPOINTS, layout);
	n.dead = unused_port();
	for (enum kind kind = 0; kind < KINDS; kind++) {
		behave(n.tun, host_of(kind), kind);
		for (int i = 0; i < ENDPOINTS; i++)
			behave(n.tun, endpoint_host(kind, i), kind);
	}
	return n;
}

/* Where one of that kind is natively. */
static struct place native_place(const struct network *n, enum kind kind)
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

static struct place endpoint_place(const struct network *n, enum kind kind, int i)
{
	struct place at = { .port = 80 };

	if (kind == LIVE)
		return backends_places(n->live)[1 + i];
	if (kind == REFUSED)
		return backends_places(n->mortal)[i];
	snprintf(at.address, sizeof(at.address), "%s", tun_address(endpoint_host(kind, i)));
	return at;
}

/* Services where the kinds are natively, each over others of the same kind. */
static struct services *services_of(const struct network *n, unsigned kinds, const char *more)
{
	struct services *s = services_open();
	const char *entries = "";

	for (enum kind kind = 0; kind < KINDS; kind++) {
		struct place at = native_place(n, kind), endpoints[ENDPOINTS];

		for (int i = 0; i < n->endpoints; i++)
			endpoints[i] = endpoint_place(n, kind, i);
		if (kinds & OF(kind))
			entries = format("%s%s%s", entries, *entries ? ", " : "",
					 service_entry(kind_names[kind], at.address, at.port, endpoints,
						       (size_t)n->endpoints, more));
	}
	services_publish(s, entries);
	return s;
}

/* ---- the program, and its lines ---- */

struct row {
	const char *name, *told, *kept;
	long ms;
};

struct rows {
	struct row row[MANY];
	size_t count;
};

enum { PATTERNS = 6 };

struct oracle {
	const char *argv[1 + KINDS + PATTERNS + 1]; /* the program, its places, and patterns of names; NULL behind them */
	const char *const *env;			    /* NULL for a native run */
	const char *may_change;			    /* a pattern of names: options need not be kept there */
};

/* `only`: patterns of names, NULL behind the last; none: all. */
static struct oracle oracle_of(const struct network *n, const char *program, unsigned kinds, const char *const *only)
{
	struct oracle o = { .argv = { program }, .may_change = "*, left by longjmp" }; /* which nobody is told of */
	size_t count = 1;

	for (enum kind kind = 0; kind < KINDS; kind++) {
		struct place at = native_place(n, kind);
		const char *end = strstr(n->form, "%s") + 2;

		if (kinds & OF(kind))
			o.argv[count++] = format("%s=%.*s%s%s:%d", kind_names[kind], (int)(end - 2 - n->form), n->form,
						 at.address, end, at.port);
	}
	for (; *only; only++)
		o.argv[count++] = format("only=%s", *only);
	return o;
}

static struct oracle under(const struct services *s, struct oracle o)
{
	o.env = s->env;
	return o;
}

static void rest_of(char *line, char **told, char **kept, char **ms)
{
	*told = strstr(line, " | ");
	*kept = *told ? strstr(*told + 1, " || ") : NULL;
	*ms = *kept ? strstr(*kept + 1, " || ") : NULL;
}

/* Cuts a line "NAME | TOLD || KEPT || MS"; where the process died it tells less. */
static struct row row_of(char *line)
{
	char *told, *kept, *ms;

	rest_of(line, &told, &kept, &ms);
	if (!told)
		fail_msg("no line of the oracle: %s", line);
	*told = '\0';
	if (!ms)
		return (struct row){ line, told + 3, "", 0 };
	*kept = *ms = '\0';
	return (struct row){ line, told + 3, kept + 4, atol(ms + 4) };
}

static struct rows *ask(const struct oracle *o)
{
	struct process *p = process_start(&(struct start){ .argv = o->argv, .env = o->env });
	struct rows *rows = calloc(1, sizeof(*rows));
	char *text, *line;

	after_test(free, rows);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	text = format("%s", p->out_text);
	while ((line = strsep(&text, "\n")) && *line) {
		assert_true(rows->count < MANY);
		rows->row[rows->count++] = row_of(line);
	}
	return rows;
}

static struct row ask_of_one(const struct oracle *o, const char *name)
{
	struct oracle one = *o;
	struct rows *rows;
	size_t n = 0;

	while (one.argv[n] && strncmp(one.argv[n], "only=", 5))
		n++;
	one.argv[n] = format("only=%s", name);
	one.argv[n + 1] = NULL;
	rows = ask(&one);
	assert_int_equal(rows->count, 1);
	return rows->row[0];
}

static const struct row *row_named(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (!strcmp(rows->row[i].name, name))
			return &rows->row[i];
	fail_msg("no combination is called %s", name);
	return NULL;
}

/* Wide, as the machine may be busy; yet a second more of a dial that takes one is too much. */
static bool is_about(long a, long b)
{
	long less = a < b ? a : b, more = a < b ? b : a;

	return more <= less + less / 2 + 400;
}

struct expected {
	struct row row;
	const char *as;	 /* the native combination whose time it takes; NULL: what stands in the row */
	long more_ms;	 /* than that */
};

/* A time that is wrong is taken again, of that combination alone. */
static bool takes_its_time(const struct oracle *o, const struct row *row, const struct expected *e)
{
	struct oracle native = *o;
	long taken = row->ms, due = e->row.ms;

	native.env = NULL;
	for (int i = 0; i < TRIES && !is_about(taken, due); i++) {
		taken = ask_of_one(o, row->name).ms;
		due = e->as ? ask_of_one(&native, e->as).ms + e->more_ms : due;
	}
	return is_about(taken, due);
}

static bool keeps_its_options(const struct oracle *o, const struct row *row, const struct row *expected)
{
	return !strcmp(row->kept, expected->kept) || (o->may_change && !fnmatch(o->may_change, row->name, FNM_EXTMATCH));
}

/* Whether it is as expected; if not, shown. */
static bool is_as_expected(const struct oracle *o, const struct row *row, const struct expected *e)
{
	if (!strcmp(row->told, e->row.told) && keeps_its_options(o, row, &e->row) && takes_its_time(o, row, e))
		return true;
	print_error("%s:\n  expected       %s || %s || %ld ms\n  under the shim %s || %s || %ld ms\n", row->name,
		    e->row.told, e->row.kept, e->row.ms, row->told, row->kept, row->ms);
	return false;
}

static void assert_as_natively(const struct oracle *o, const struct rows *native)
{
	const struct rows *rows = ask(o);
	size_t wrong = 0;

	assert_int_equal(rows->count, native->count);
	for (size_t i = 0; i < rows->count && wrong < SHOWN; i++) {
		const char *name = native->row[i].name;

		assert_string_equal(rows->row[i].name, name);
		wrong += !is_as_expected(o, &rows->row[i], &(struct expected){ native->row[i], name, 0 });
	}
	if (wrong)
		fail_msg("%zu combinations at least are not as natively", wrong);
}

/* What this kernel has no sockets for says so, and the reason is shown once. */
static void show_what_is_missing(const struct rows *native)
{
	for (size_t i = 0; i < native->count; i++)
		if (!strncmp(native->row[i].told, "no socket", 9) && !strncmp(native->row[i].name, "blocking", 8))
			printf("note: %s: %s\n", native->row[i].name, native->row[i].told);
}

/* ---- what is not ours, and what is healthy ---- */

#define EVERYTHING    ((const char *const[]){ NULL })
#define COMMON_MODES  ARGV("blocking, *", "non-blocking, *", "SO_SNDTIMEO, *", "TCP_FASTOPEN_CONNECT, *", "MSG_FASTOPEN, *")
#define FASTOPEN_ONLY ARGV("*FASTOPEN*, *")

static void dials_to_what_is_not_ours_are_as_natively(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), ALL_KINDS, EVERYTHING), observed;
	struct services *s = services_of(&n, ALL_KINDS, "\"mode\": \"observe\"");
	struct rows *native = ask(&o);

	(void)state;
	show_what_is_missing(native);
	assert_true(native->count > 1000);
	o = under(services_open(), o); /* no table */
	assert_as_natively(&o, native);
	o = under(services_of_web(n.live, NULL), o); /* of another Service */
	assert_as_natively(&o, native);
	observed = under(s, o);
	assert_as_natively(&observed, native);
	assert_true(services_backend(s, "live", n.live, 1).dials > 0);
	assert_int_equal(backends_accepted(n.live, 1) + backends_accepted(n.live, 2), 0);
	for (int i = 0; i < KINDS * ENDPOINTS; i++)
		assert_int_equal(tun_dials(n.tun, ENDPOINT_HOST + i), 0);
}

/* Each endpoint of a Service is as the server at its address is natively; the other kinds are not ours. */
static void assert_services_are_as_servers(const struct network *n, const struct oracle *natively, unsigned ours,
					   const char *more)
{
	struct rows *native = ask(natively);
	struct oracle o = under(services_of(n, ours, more), *natively);

	assert_as_natively(&o, native);
	for (int i = 0; i < n->endpoints; i++) {
		assert_true(backends_accepted(n->live, 1 + (size_t)i) > 0);
		assert_true(tun_dials(n->tun, endpoint_host(LATE, i)) > 0 || !(ours & OF(LATE)));
	}
}

#define SOME_KINDS (OF(LIVE) | OF(LATE) | OF(REFUSED))
#define HEALTHY	   (OF(LIVE) | OF(LATE))

static void dials_to_a_healthy_service_are_as_to_a_server(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), SOME_KINDS, EVERYTHING);

	(void)state;
	assert_services_are_as_servers(&n, &o, HEALTHY, NULL);
}

static void dials_that_open_fast_are_as_to_a_server(void **state)
{
	struct network n = network_open(ONE_PORT, NO_COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), ALL_KINDS, FASTOPEN_ONLY);

	(void)state;
	assert_services_are_as_servers(&n, &o, HEALTHY, "\"balance\": \"p2c\"");
}

static void dials_of_mapped_addresses_are_as_to_a_server(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o;

	(void)state;
	n.form = "[::ffff:%s]";
	o = oracle_of(&n, built("helpers/oracle"), SOME_KINDS, COMMON_MODES);
	assert_services_are_as_servers(&n, &o, HEALTHY, "\"balance\": \"round_robin\"");
}

static void dials_to_a_service_of_one_endpoint_are_as_to_a_server(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), SOME_KINDS, COMMON_MODES);

	(void)state;
	n.endpoints = 1;
	assert_services_are_as_servers(&n, &o, HEALTHY, NULL);
}

static void dials_of_ipv6_are_as_to_a_server(void **state)
{
	struct network n = network_open(ONE_ADDRESS_V6, COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), OF(LIVE) | OF(REFUSED), COMMON_MODES);

	(void)state;
	assert_services_are_as_servers(&n, &o, OF(LIVE), "\"balance\": \"random\"");
}

static void dials_under_musl_are_as_natively(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o = oracle_of(&n, compiled_for_musl("oracle", ""), ALL_KINDS, COMMON_MODES), other;
	struct rows *native = ask(&o);

	(void)state;
	o.may_change = "*, @(left by longjmp|cancelled|cancelled before)"; /* musl does not unwind */
	other = under(services_of_web(n.live, NULL), o);
	assert_as_natively(&other, native);
	assert_services_are_as_servers(&n, &o, HEALTHY, NULL);
}

/* ---- a first pick that fails ---- */

/* One client always tries the same endpoint first, and nobody is ejected. */
#define IN_ORDER "\"balance\": \"hash\", \"eject_after\": 1000, \"eject_timeouts_after\": 1000"

/* Which of a Service's endpoints that is: all of them live now. */
static int first_pick(const struct network *n, const struct services *s, enum kind kind)
{
	struct place at = native_place(n, kind);
	struct process *p;
	int id = 0;

	for (int i = 0; i < ENDPOINTS; i++)
		behave(n->tun, endpoint_host(kind, i), LIVE);
	p = run(s->env, built("helpers/dialer"), at.address, format("%d", at.port), NULL);
	if (kind == REFUSED && sscanf(p->out_text, "backend-%d", &id) == 1)
		return id - 1;
	assert_int_equal(sscanf(p->out_text, "tun-%d", &id), 1);
	return id - endpoint_host(kind, 0);
}

static void let_first_fail(const struct network *n, const struct services *s, enum kind kind, enum kind first, enum kind next)
{
	int pick = first_pick(n, s, kind);

	for (int i = 0; i < ENDPOINTS; i++)
		behave(n->tun, endpoint_host(kind, i), i == pick ? first : next);
	if (kind != REFUSED)
		return;
	for (int i = 0; i < ENDPOINTS; i++)
		if (i == pick || next == REFUSED)
			backends_stop(n->mortal, (size_t)i);
}

/* What to expect of the combinations whose name is like the pattern: the first one that is. */
struct expectation {
	const char *names;
	const char *told; /* a text; or that of a native dial: */
	long ms;	  /* of the text; or more than natively */
};

static const char natively[] = "as natively", as_live[] = "as natively of a live server";

/* Sets of modes. */
#define CONNECT	    "@(blocking|SO_SNDTIMEO*|TCP_*)"
#define SEND	    "MSG_FASTOPEN?( with*)"
#define SEND_MANY   "MSG_FASTOPEN by sendmmsg"
#define NONBLOCKING "non-blocking?( TCP_*)"
#define HURRIED	    "@(SO_SNDTIMEO of 200 ms|TCP_USER_TIMEOUT of 500 ms)"

/* Ends. */
#define UP		  "poll OUT epoll OUT error 0 state 1 name yes peer yes answer yes"
#define UP_AND_ANSWERED	  "poll IN OUT epoll IN OUT error 0 state 1 name yes peer yes answer yes"
#define DOWN		  "poll OUT HUP epoll OUT HUP error 0 state 7 name yes peer ENOTCONN"
#define DOWN_BY_ROUTER	  "poll OUT ERR HUP epoll OUT ERR HUP error 0 state 7 name yes peer ENOTCONN"
#define DOWN_LATER(error) "poll IN OUT ERR HUP epoll IN OUT ERR HUP error " error " state 7 name yes peer ENOTCONN"

/* What a program does to its own dial under way; and protocols that are not ours. */
#define ITS_OWN_DOING "*, @(interrupted|interrupted and dialed again|left by longjmp|cancelled|cancelled before)"
#define NOT_TCP	      "*, @(UDP|MPTCP|SCTP)"

/* The second endpoint takes connections. */
static const struct expectation next_is_alive[] = {
	{ ITS_OWN_DOING, natively, 0 },
	{ NOT_TCP, natively, 0 },
	/* What was bound to a port, which would be lost, is dialed once. */
	{ "*, bound with a port*", natively, 0 },
	/* Of a failure that comes later than that, a program that does not wait learns as of any other. */
	{ NONBLOCKING ", hole, dialed", "-1 EINPROGRESS; | " DOWN_LATER("ETIMEDOUT"), 0 },
	{ NONBLOCKING ", unreachable, dialed", "-1 EINPROGRESS; | " DOWN_LATER("EHOSTUNREACH"), 0 },
	{ NONBLOCKING ", reset, dialed", "-1 EINPROGRESS; | " DOWN_LATER("ECONNREFUSED"), 0 },
	{ NONBLOCKING ", @(reset|unreachable|hole), *", natively, 0 },
	{ "non-blocking MSG_FASTOPEN, *", natively, 0 },
	/* What a SYN carried may have been read: nobody else gets it. */
	{ "MSG_FASTOPEN?( by*), hole, dialed", "-1 ETIMEDOUT; | " DOWN, 3060 },
	{ "MSG_FASTOPEN*, hole, *", natively, 0 },
	/* The program's own time is over before ours. */
	{ "SO_SNDTIMEO of 200 ms, @(reset|unreachable|hole), *", natively, 0 },
	{ "TCP_USER_TIMEOUT of 500 ms, hole, dialed", "-1 ETIMEDOUT; | " DOWN, 1030 },
	{ "TCP_USER_TIMEOUT of 500 ms, @(reset|unreachable|hole), *", natively, 0 },
	{ "*SO_SNDTIMEO*, *, interrupted, SA_RESTART", natively, 0 },
	/* Else the second one answers, at once or when the first one's time is over. */
	{ NONBLOCKING ", refused, dialed", "-1 EINPROGRESS; | " UP, 0 },
	{ CONNECT ", refused, dialed", "0 -; | " UP, 0 },
	{ SEND ", refused, dialed", "4 -; | " UP_AND_ANSWERED, 0 },
	{ SEND_MANY ", refused, dialed", "1004 -; | " UP_AND_ANSWERED, 0 },
	{ CONNECT ", @(reset|unreachable), @(dialed|interrupted, SA_RESTART)", "0 -; | " UP, LATE_MS },
	{ SEND ", @(reset|unreachable), @(dialed|interrupted, SA_RESTART)", "4 -; | " UP_AND_ANSWERED, LATE_MS },
	{ SEND_MANY ", @(reset|unreachable), @(dialed|interrupted, SA_RESTART)", "1004 -; | " UP_AND_ANSWERED, LATE_MS },
	{ CONNECT ", hole, @(dialed|interrupted, SA_RESTART)", "0 -; | " UP, BOUND_MS },
	{ CONNECT ", reset, dialed twice", "0 -; -1 EISCONN; | " UP, LATE_MS },
	{ SEND ", reset, dialed twice", "4 -; -1 EISCONN; | " UP_AND_ANSWERED, LATE_MS },
	{ SEND_MANY ", reset, dialed twice", "1004 -; -1 EISCONN; | " UP_AND_ANSWERED, LATE_MS },
	{ CONNECT ", hole, dialed twice", "0 -; -1 EISCONN; | " UP, BOUND_MS },
	{ "*, refused, *", as_live, 0 },
	{ "*, @(reset|unreachable), *", as_live, LATE_MS },
	{ "*, hole, *", as_live, BOUND_MS },
};

/* The second endpoint fails as the first one does. */
static const struct expectation nobody_is_alive[] = {
	{ ITS_OWN_DOING, natively, 0 },
	{ NOT_TCP, natively, 0 },
	{ "*, bound with a port*", natively, 0 },
	{ "non-blocking*, *", natively, 0 },
	{ CONNECT ", refused, dialed", "-1 ECONNREFUSED; | " DOWN, 0 },
	{ "MSG_FASTOPEN*, refused, dialed", "-1 ECONNREFUSED; | " DOWN, 0 },
	{ "*, refused, *", natively, 0 },
	{ HURRIED ", *", natively, 0 },
	{ "*SO_SNDTIMEO*, *, interrupted, SA_RESTART", natively, 0 },
	{ "*, reset, dialed", "-1 ECONNREFUSED; | " DOWN, 2 * LATE_MS },
	{ "*, unreachable, dialed", "-1 EHOSTUNREACH; | " DOWN_BY_ROUTER, 2 * LATE_MS },
	{ "*, @(reset|unreachable), *", natively, LATE_MS },
	/* The attempts share the program's time: it ends when, and as, a single one would have. */
	{ "SO_SNDTIMEO, hole, dialed", "-1 EINPROGRESS; | " DOWN_LATER("ETIMEDOUT"), 2000 },
	{ "SO_SNDTIMEO, hole, dialed twice", "-1 EINPROGRESS; -1 EALREADY; | " DOWN_LATER("ETIMEDOUT"), 4000 },
	{ "SO_SNDTIMEO, hole, *", natively, 0 },
	{ "MSG_FASTOPEN*, hole, *", natively, 0 },
	{ CONNECT ", hole, dialed", "-1 ETIMEDOUT; | " DOWN, BOUND_MS + 3060 },
	{ "*, hole, *", natively, BOUND_MS },
};

/* The first refuses at once; the second is what is natively there. */
static const struct expectation as_the_next[] = {
	{ "*", natively, 0 },
};

/* The same mode and situation of a live server. */
static const struct row *live_row(const struct rows *native, const char *name)
{
	const char *kind = strstr(name, ", ") + 2, *situation = strstr(kind, ", ");

	return row_named(native, format("%.*slive%s", (int)(kind - name), name, situation));
}

static struct expected expected_of(const struct rows *native, const struct expectation *e, const char *name)
{
	struct row own = *row_named(native, name), as = e->told == as_live ? *live_row(native, name) : own;

	if (e->told != as_live && e->told != natively)
		return (struct expected){ { name, e->told, own.kept, e->ms }, NULL, 0 };
	return (struct expected){ { name, as.told, own.kept, as.ms + e->ms }, as.name, e->ms };
}

static const struct expectation *expectation_for(const struct expectation *e, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (fnmatch(e[i].names, name, FNM_EXTMATCH) == 0)
			return &e[i];
	fail_msg("nothing is expected of %s", name);
	return NULL;
}

static void assert_as_written(const struct oracle *o, const struct rows *native, const struct expectation *e, size_t count)
{
	const struct rows *rows = ask(o);
	bool used[64] = { false };
	size_t wrong = 0;

	for (size_t i = 0; i < rows->count && wrong < SHOWN; i++) {
		const struct expectation *its = expectation_for(e, count, rows->row[i].name);
		struct expected expected = expected_of(native, its, rows->row[i].name);

		used[its - e] = true;
		wrong += !is_as_expected(o, &rows->row[i], &expected);
	}
	if (wrong)
		fail_msg("%zu combinations at least are not as it is written", wrong);
	for (size_t i = 0; i < count; i++)
		if (!used[i])
			fail_msg("no combination is like %s", e[i].names);
}

#define WRITTEN(expectations) expectations, sizeof(expectations) / sizeof(*(expectations))
#define FAILING		      (OF(REFUSED) | OF(RESET) | OF(UNREACHABLE) | OF(HOLE))

static void first_pick_that_fails_is_followed_by_the_next_as_it_is_written(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle native = oracle_of(&n, built("helpers/oracle"), ALL_KINDS & ~OF(LATE), EVERYTHING);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), FAILING | OF(LIVE),
				    ARGV("*, @(refused|reset|unreachable|hole), *"));
	struct services *s = services_of(&n, FAILING, IN_ORDER);
	struct rows *rows = ask(&native);

	(void)state;
	for (enum kind kind = REFUSED; kind < KINDS; kind++)
		let_first_fail(&n, s, kind, kind, LIVE);
	o = under(s, o);
	assert_as_written(&o, rows, WRITTEN(next_is_alive));
	for (enum kind kind = RESET; kind < KINDS; kind++)
		let_first_fail(&n, s, kind, kind, kind);
	for (int i = 0; i < ENDPOINTS; i++)
		backends_stop(n.mortal, (size_t)i);
	assert_as_written(&o, rows, WRITTEN(nobody_is_alive));
}

static void second_attempt_is_as_a_first_one(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct oracle o = oracle_of(&n, built("helpers/oracle"), OF(LATE) | OF(HOLE),
				    ARGV("@(blocking|SO_*|TCP_*), *, @(dialed|interrupted*|left by longjmp|cancelled*)"));
	struct services *s = services_of(&n, OF(LATE) | OF(HOLE), IN_ORDER);
	struct rows *rows = ask(&o);

	(void)state;
	let_first_fail(&n, s, LATE, REFUSED, LATE);
	let_first_fail(&n, s, HOLE, REFUSED, HOLE);
	o = under(s, o);
	assert_as_written(&o, rows, WRITTEN(as_the_next));
}

/* What a router has said of the first lies in the socket while the second is dialed. */
static void unreachable_first_pick_is_not_held_against_the_next(void **state)
{
	struct network n = network_open(ONE_PORT, COOKIES);
	struct services *s = services_of(&n, OF(UNREACHABLE), IN_ORDER);
	struct place at = native_place(&n, UNREACHABLE);
	int first = first_pick(&n, s, UNREACHABLE);
	const char *next = tun_address(endpoint_host(UNREACHABLE, !first));

	(void)state;
	tun_set(n.tun, endpoint_host(UNREACHABLE, first), TUN_UNREACHABLE, 500);
	assert_clean(run(s->env, built("helpers/dialer"), at.address, "80", NULL)); /* from now on it is a suspect */
	run(s->env, built("helpers/dialer"), "--nonblocking", "--count", "50", at.address, "80", NULL);
	assert_true(services_endpoint(s, "unreachable", next, 80).dials > 1);
	assert_int_equal(services_endpoint(s, "unreachable", next, 80).failures, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_to_what_is_not_ours_are_as_natively),
		TEST(dials_to_a_healthy_service_are_as_to_a_server),
		TEST(dials_that_open_fast_are_as_to_a_server),
		TEST(dials_of_mapped_addresses_are_as_to_a_server),
		TEST(dials_to_a_service_of_one_endpoint_are_as_to_a_server),
		TEST(dials_of_ipv6_are_as_to_a_server),
		TEST(dials_under_musl_are_as_natively),
		TEST(first_pick_that_fails_is_followed_by_the_next_as_it_is_written),
		TEST(second_attempt_is_as_a_first_one),
		TEST(unreachable_first_pick_is_not_held_against_the_next),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
