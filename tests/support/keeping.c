/* SPDX-License-Identifier: Apache-2.0 */
#include "support/keeping.h"

#include "support/testing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/table_builder.h"

/* All rows are looked at no sooner than the one, and no later than the other. */
enum { LIMIT_MS = 30000, SWEEP_EVERY_MS = 1000, SWEEP_SELDOM_MS = 60000 };

static const struct table *the_table(const void *of)
{
	return of;
}

static void end_keeping(void *what)
{
	struct keeping *k = what;

	keeper_close(k->keeper);
	ledger_close(&k->ledger);
	free(k);
}

static struct keeping *new_keeping(struct services *s)
{
	struct keeping *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	after_test(end_keeping, k);
	k->s = s;
	k->table = map_table(s->dir);
	return k;
}

static void map_ledger(struct keeping *k)
{
	int r = open_ledger(k->s->ledger, 1, LEDGER_EXISTING, &k->ledger);

	if (r < 0)
		fail_msg("ledger_open: %s", strerror(-r));
}

struct keeping *watch_ledger(struct services *s)
{
	struct keeping *k = new_keeping(s);

	map_ledger(k);
	k->now_ms = clock_boot_ms();
	return k;
}

static struct keeper *open_keeper(const struct services *s, const struct table *table, bool shared_network)
{
	const struct keeper_rows rows = { table, the_table };
	struct keeper *keeper;
	struct report why;

	if (keeper_open(&rows, s->ledger, 0600, shared_network, &keeper, &why) < 0)
		fail_msg("%s", why.text);
	return keeper;
}

static uint64_t mends(const struct keeping *k)
{
	return k->ledger.base ? ((const struct ledger_head *)(const void *)k->ledger.base)->mends : 0;
}

/* Runs what is due before the next sweep. */
static void run_due(struct keeping *k)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t due_ms = k->now_ms + (uint64_t)keeper_due_ms(k->keeper, k->now_ms);

		if (due_ms >= k->sweep_ms)
			return;
		k->now_ms = due_ms;
		keeper_run(k->keeper, k->now_ms);
	}
	fail_msg("the keeper never has enough");
}

/*
 * On a slow machine the rests between its mends may fill the second. Then the next one begins, but only where it did
 * mend, as one that ignores events would not have.
 */
static void begin_second_if_spent(struct keeping *k)
{
	if (mends(k) == k->mends_at_sweep || k->now_ms + (uint64_t)SWEEP_EVERY_MS / 2 < k->sweep_ms)
		return;
	k->now_ms = k->sweep_ms;
	keeper_run(k->keeper, k->now_ms);
	k->sweep_ms = k->now_ms + SWEEP_EVERY_MS;
	k->mends_at_sweep = mends(k);
}

void keep_sweep(struct keeping *k)
{
	if (k->sweep_ms)
		k->now_ms += SWEEP_SELDOM_MS;
	keeper_read(k->keeper, k->now_ms);
	keeper_run(k->keeper, k->now_ms);
	k->sweep_ms = k->now_ms + SWEEP_EVERY_MS;
	run_due(k);
	k->mends_at_sweep = mends(k);
}

struct keeping *keep_by_hand(struct services *s, bool shared_network)
{
	struct keeping *k = new_keeping(s);

	k->keeper = open_keeper(s, k->table, shared_network);
	if (keeper_fd(k->keeper) < 0)
		skip_because("the kernel tells of no sockets that end");
	k->now_ms = clock_boot_ms();
	keep_sweep(k);
	map_ledger(k);
	k->mends_at_sweep = mends(k);
	return k;
}

static bool wait_for_event(struct keeping *k, int wait_ms)
{
	struct pollfd p = { keeper_fd(k->keeper), POLLIN, 0 };

	return poll(&p, 1, wait_ms) > 0;
}

void keep_one_event(struct keeping *k)
{
	if (!wait_for_event(k, LIMIT_MS))
		fail_msg("no event");
	keeper_read(k->keeper, k->now_ms);
	run_due(k);
}

void keep_until(struct keeping *k, bool (*holds)(struct keeping *k, const void *what), const void *what, const char *name)
{
	long end = now_ms() + LIMIT_MS;

	while (!holds(k, what)) {
		if (now_ms() > end)
			fail_msg("not in %d ms: %s", LIMIT_MS, name);
		if (!wait_for_event(k, 20))
			begin_second_if_spent(k);
		keeper_read(k->keeper, k->now_ms);
		run_due(k);
	}
}

/* ---- in a child ---- */

static void keep_forever(struct services *s, bool shared_network)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct keeper *keeper;
	struct table table;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (table_map(s->dir, &trust, &table, NULL) < 0)
		_exit(1);
	keeper = open_keeper(s, &table, shared_network);
	for (;;) {
		struct pollfd p = { keeper_fd(keeper), POLLIN, 0 };

		if (poll(&p, 1, keeper_due_ms(keeper, clock_boot_ms())) > 0)
			keeper_read(keeper, clock_boot_ms());
		keeper_run(keeper, clock_boot_ms());
	}
}

static void end_child(void *what)
{
	pid_t *pid = what;

	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	free(pid);
}

pid_t keep_in_child(struct services *s, bool shared_network)
{
	struct keeping *watch = watch_ledger(s);
	pid_t *pid = calloc(1, sizeof(*pid));
	long end = now_ms() + LIMIT_MS;

	fflush(stdout);
	*pid = fork();
	if (*pid == 0)
		keep_forever(s, shared_network);
	after_test(end_child, pid);
	while (!ledger_is_kept(&watch->ledger, clock_boot_ms())) {
		if (now_ms() > end)
			fail_msg("no sign of life");
		poll(NULL, 0, 1);
	}
	return *pid;
}

/* ---- what is counted ---- */

const char *place_of(const char *address, int port)
{
	return format("%s:%d", address, port);
}

struct ledger_key key_at(const struct keeping *k, const char *place)
{
	struct table_endpoint row = endpoint_at(k->table, SERVICE_ADDRESS ":80", place);

	return (struct ledger_key){ row.slot, row.tag };
}

struct ledger_score score_at(const struct keeping *k, const char *place)
{
	return ledger_score(&k->ledger, key_at(k, place), k->now_ms);
}

struct expected {
	const char *place;
	uint32_t active;
};

static bool counts(struct keeping *k, const void *what)
{
	const struct expected *e = what;

	return score_at(k, e->place).active == e->active;
}

void expect_active(struct keeping *k, const char *place, uint32_t active)
{
	const struct expected e = { place, active };

	keep_until(k, counts, &e, format("%s counts %u, not %u", place, score_at(k, place).active, active));
}

int dial_place(const char *place, int family, int flags)
{
	struct addr addr = addr_of(place);
	struct sockaddr_in6 like = { .sin6_family = (sa_family_t)family }, sa;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (connect(fd, (struct sockaddr *)&sa, addr_to_sockaddr(&addr, (struct sockaddr *)&like, &sa)) && errno != EINPROGRESS)
		fail_msg("connect %s: %s", place, strerror(errno));
	return fd;
}

static uint32_t listed_in(const char *path, const char *peer)
{
	FILE *file = fopen(path, "re");
	char line[512], remote[64];
	unsigned state;
	uint32_t n = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " %*d: %*s %63s %x", remote, &state) == 2 && !strcmp(remote, peer) &&
		    (state == TCP_ESTABLISHED || state == TCP_SYN_SENT))
			n++;
	if (file)
		fclose(file);
	return n;
}

uint32_t listed_at(const char *place)
{
	struct addr addr = addr_of(place);
	uint32_t word;

	memcpy(&word, addr.ip + 12, sizeof(word)); /* the file shows it as a number of this machine's */
	return listed_in("/proc/net/tcp", format("%08X:%04X", word, addr_port(&addr))) +
	       listed_in("/proc/net/tcp6", format("0000000000000000FFFF0000%08X:%04X", word, addr_port(&addr)));
}

/* ---- what is true again ---- */

static bool all_count(struct services *s, const struct backends *b, size_t first, long each)
{
	for (size_t i = first; i < backends_count(b); i++) {
		struct endpoint_status e = services_backend(s, "web", b, i);

		if (e.ejected || e.active != each || e.active != (long)listed_at(place_of(backends_address(b, i), backends_port(b, i))))
			return false;
	}
	return true;
}

/*
 * In the ledger itself: the claim of who was killed, which `status` takes out of its copy, still weighs on the next choice. Where no
 * agent keeps it, the next dial mends before it chooses, and the claim of the last one stays until then.
 */
static bool none_is_claimed(struct services *s, const struct table *table, const struct backends *b, size_t first)
{
	const char *service = place_of(backends_address(b, 0), backends_port(b, 0));
	struct ledger ledger;
	uint32_t claimed = 0;

	if (open_ledger(s->ledger, 1, LEDGER_EXISTING, &ledger) < 0) /* damaged: another one will be there */
		return false;
	for (size_t i = first; i < backends_count(b) && ledger_is_kept(&ledger, clock_boot_ms()); i++) {
		struct table_endpoint row = endpoint_at(table, service, place_of(backends_address(b, i), backends_port(b, i)));

		claimed += ledger_score(&ledger, (struct ledger_key){ row.slot, row.tag }, clock_boot_ms()).active;
	}
	ledger_close(&ledger);
	return claimed == 0;
}

/*
 * An agent mends, or a blocking dial does, once a second. What was killed between its claim and the kernel is given back by the
 * second or third mend; `status`, which mends a copy, does not tell of it before.
 */
static void wait_until_all_count(struct services *s, const struct backends *b, size_t first, long each)
{
	const char *port = format("%d", backends_port(b, 0));
	const struct table *table = map_table(s->dir);
	long end = now_ms() + 2 * LIMIT_MS;

	while (!all_count(s, b, first, each) || (each == 0 && !none_is_claimed(s, table, b, first))) {
		assert_clean(run(s->env, built("helpers/dialer"), backends_address(b, 0), port, NULL));
		if (now_ms() > end)
			fail_msg("not every endpoint counts %ld:\n%s", each,
				 run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL)->out_text);
		poll(NULL, 0, 20);
	}
}

void assert_ledger_healed(struct services *s, const struct backends *b, size_t first, unsigned each)
{
	const char *count = format("%zu", each * (backends_count(b) - first)), *port = format("%d", backends_port(b, 0));
	struct process *p;

	wait_until_all_count(s, b, first, 0);
	p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", "--count", count, backends_address(b, 0), port),
		.env = s->env,
		.interactive = true,
	});
	process_expect(p, "ready", LIMIT_MS);
	wait_until_all_count(s, b, first, each);
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	wait_until_all_count(s, b, first, 0);
}
