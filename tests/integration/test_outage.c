/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outage from beginning to end, as many clients of three kinds see it: endpoints that refuse, are black holes, flap, are
 * all down, are slow, or lose SYNs. The clients dial all the while; each step waits for what the ledger says, and for every
 * client to have ended the dials that it had begun before. The figures are printed.
 */
#include "support/testing.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/tun.h"
#include "table/atomics.h"

enum { FIRST = 2, HOSTS = 5, LIMIT_MS = 60000, OVER = 255, ENOUGH_DIALS = 30000 };

enum kind { BLOCKING, NONBLOCKING, ASYNCIO, KINDS };
static const char *const kind_names[KINDS] = { "blocking", "non-blocking", "asyncio" };

/* Programs of each kind, and the dials that one of them has under way at most. */
static const struct { int programs, dials; } crowd[KINDS] = { { 3, 1 }, { 3, 1 }, { 1, 4 } };
enum { PROGRAMS = 7, SLOTS = 10, WINDOWS = 32, PHASES = 16 };

/* What may fail whom. */
enum mercy { NONE_FAILS, ALL_MAY_FAIL, BLOCKING_DO_NOT_FAIL };

struct phase {
	const char *name;
	enum mercy mercy;
	uint64_t dials;		  /* begun before its end, in all of the test; then in it */
	unsigned failed[KINDS];
	unsigned failed_late[KINDS]; /* of those that began when the verdict was spoken */
	unsigned trials, periods; /* dials that the dead saw after the verdict, and ejections that ended meanwhile */
};

/* From a verdict, or the last one of several, until the dead are back. */
struct window {
	uint64_t from_ms, to_ms;
	unsigned trials; /* that there may have been in it: one for each ejection that began, and for each that it began with */
	unsigned late;	 /* dials that began in it and failed */
};

struct board {
	uint32_t phase, unused;
	uint64_t over[SLOTS];
};

struct outage {
	struct tun *tun;
	struct services *s;
	struct keeping *watch;
	struct board *board;
	char *path;
	struct process *programs[PROGRAMS];
	enum kind kinds[PROGRAMS];
	int count;
	struct phase phases[PHASES];
	struct window windows[WINDOWS];
	int window_count;
};

/* ---- what the ledger says ---- */

static struct ledger_key key_of_host(const struct outage *o, int host)
{
	return key_at(o->watch, place_of(tun_address(host), 80));
}

static bool is_out(const struct outage *o, int host)
{
	return ledger_load(&o->watch->ledger, key_of_host(o, host), clock_boot_ms()).ejected;
}

static bool is_in(const struct outage *o, int host)
{
	return ledger_load(&o->watch->ledger, key_of_host(o, host), clock_boot_ms()).ejection == 0;
}

static unsigned ejections(const struct outage *o, int host)
{
	return (uint32_t)load_acquire(&row_of(&o->watch->ledger, key_of_host(o, host).slot)->ejections) & 0xffff;
}

static unsigned failures(const struct outage *o, int host)
{
	return ledger_score(&o->watch->ledger, key_of_host(o, host), clock_boot_ms()).failures;
}

/* ---- the clients ---- */

static void unmap_board(void *board)
{
	munmap(board, 4096);
}

static void open_board(struct outage *o)
{
	char zeros[4096] = { 0 };
	int fd;

	o->path = format("%s/board", o->s->root);
	write_file(o->path, zeros, sizeof(zeros));
	fd = open(o->path, O_RDWR | O_CLOEXEC);
	o->board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(o->board != MAP_FAILED);
	close(fd);
	after_test(unmap_board, o->board);
}

static char *answers_of(const struct outage *o, int program)
{
	return format("%s/client-%d", o->s->root, program);
}

static const char *command_of(const struct outage *o, enum kind kind, int slot)
{
	if (kind == ASYNCIO)
		return format("python3 %s %s %d %d web 80", repository("tests/helpers/outage.py"), o->path, slot, crowd[kind].dials);
	return format("%s %s %s %d web 80", built("helpers/outage"), kind == BLOCKING ? "blocking" : "nonblocking", o->path, slot);
}

static void start_clients(struct outage *o)
{
	int slot = 0;

	for (enum kind kind = 0; kind < KINDS; kind++) {
		for (int i = 0; i < crowd[kind].programs; i++, slot += crowd[kind].dials) {
			const char *line = format("exec %s >%s", command_of(o, kind, slot), answers_of(o, o->count));

			o->kinds[o->count] = kind;
			o->programs[o->count++] =
				process_start(&(struct start){ .argv = ARGV("sh", "-c", line), .env = o->s->env });
		}
	}
	assert_int_equal(slot, SLOTS);
}

static uint64_t dials_so_far(const struct outage *o)
{
	uint64_t n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += load_acquire(&o->board->over[i]);
	return n;
}

static void look_again(const struct outage *o, uint64_t *end_ms, const char *what)
{
	if (!*end_ms)
		*end_ms = clock_boot_ms() + LIMIT_MS;
	if (clock_boot_ms() > *end_ms)
		fail_msg("%s: waited for too long in phase %u", what, o->board->phase);
	poll(NULL, 0, 1);
}

#define wait_until(o, condition)                                                                                     \
	do {                                                                                                         \
		uint64_t end_ms = 0;                                                                                 \
		while (!(condition))                                                                                 \
			look_again(o, &end_ms, #condition);                                                          \
	} while (0)

/* Until everybody has ended `n` dials more: with two, none is under way that had begun before. */
static void let_all_dial(const struct outage *o, uint64_t n)
{
	struct board before = *o->board;

	for (int i = 0; i < SLOTS; i++)
		wait_until(o, load_acquire(&o->board->over[i]) >= before.over[i] + n);
}

/* ---- the script ---- */

static struct phase *phase_now(struct outage *o)
{
	return &o->phases[o->board->phase];
}

static void begin_phase(struct outage *o, const char *name, enum mercy mercy)
{
	uint32_t next = o->board->phase + 1;

	phase_now(o)->dials = dials_so_far(o);
	assert_true(next < PHASES);
	o->phases[next] = (struct phase){ .name = name, .mercy = mercy };
	__atomic_store_n(&o->board->phase, next, __ATOMIC_RELEASE);
}

/* `count` hosts from `host` on. */
static void set_hosts(struct outage *o, int host, int count, enum tun_rule rule, unsigned delay_us)
{
	for (int i = 0; i < count; i++)
		tun_set(o->tun, host + i, rule, delay_us);
}

static unsigned all_ejections(const struct outage *o, int host, int count)
{
	unsigned n = 0;

	for (int i = 0; i < count; i++)
		n += ejections(o, host + i);
	return n;
}

static struct window *begin_window(struct outage *o, int host, int count)
{
	struct window *w = &o->windows[o->window_count++];

	assert_true(o->window_count <= WINDOWS);
	for (int i = 0; i < count; i++)
		wait_until(o, is_out(o, host + i));
	w->trials = all_ejections(o, host, count);
	w->from_ms = clock_boot_ms();
	return w;
}

static void end_window(struct outage *o, struct window *w, int host, int count)
{
	w->to_ms = clock_boot_ms();
	set_hosts(o, host, count, TUN_ACCEPT, 0);
	w->trials = all_ejections(o, host, count) - w->trials + (unsigned)count;
}

/* One of the dead, for two periods of its ejection: a dial for each, and perhaps one that has not been told yet. */
static void count_trials(struct outage *o, int host)
{
	unsigned ejected = ejections(o, host), dials = tun_dials(o->tun, host), trials, periods;

	wait_until(o, ejections(o, host) >= ejected + 2);
	trials = tun_dials(o->tun, host) - dials;
	periods = ejections(o, host) - ejected;
	phase_now(o)->trials += trials;
	phase_now(o)->periods += periods;
	if (trials > periods + 1)
		fail_msg("%s: %u dials to %s in %u periods of its ejection", phase_now(o)->name, trials, tun_address(host), periods);
}

static void play_dead(struct outage *o, const char *name, int host, int count, enum tun_rule rule)
{
	struct window *w;

	begin_phase(o, name, NONE_FAILS);
	set_hosts(o, host, count, rule, 0);
	w = begin_window(o, host, count);
	let_all_dial(o, 2);
	for (int i = 0; i < count; i++)
		count_trials(o, host + i);
	end_window(o, w, host, count);
	for (int i = 0; i < count; i++)
		wait_until(o, is_in(o, host + i));
}

static void play_flapping(struct outage *o, int host)
{
	begin_phase(o, "flapping", NONE_FAILS);
	for (int i = 0; i < 5; i++) {
		struct window *w;

		tun_set(o->tun, host, TUN_REFUSE, 0);
		w = begin_window(o, host, 1);
		end_window(o, w, host, 1);
		wait_until(o, is_in(o, host));
	}
}

static void play_all_down(struct outage *o)
{
	begin_phase(o, "all down", ALL_MAY_FAIL);
	set_hosts(o, FIRST, HOSTS, TUN_REFUSE, 0);
	let_all_dial(o, 20);
	tun_set(o->tun, FIRST, TUN_ACCEPT, 0);
	begin_phase(o, "one is back", BLOCKING_DO_NOT_FAIL);
	let_all_dial(o, 20);
	set_hosts(o, FIRST, HOSTS, TUN_ACCEPT, 0);
	begin_phase(o, "all are back", BLOCKING_DO_NOT_FAIL);
	for (int i = 0; i < HOSTS; i++)
		wait_until(o, is_in(o, FIRST + i));
	let_all_dial(o, 2);
}

/* More than may be out, and as many black holes as a dial goes on from. */
static void play_one_of_five(struct outage *o)
{
	begin_phase(o, "one of five answers", BLOCKING_DO_NOT_FAIL);
	set_hosts(o, FIRST, 2, TUN_DROP, 0);
	set_hosts(o, FIRST + 2, 2, TUN_REFUSE, 0);
	let_all_dial(o, 4);
	set_hosts(o, FIRST, HOSTS, TUN_ACCEPT, 0);
	begin_phase(o, "all are back", BLOCKING_DO_NOT_FAIL);
	for (int i = 0; i < HOSTS; i++)
		wait_until(o, is_in(o, FIRST + i));
	let_all_dial(o, 2);
}

/* Nobody is to blame. */
static void play_slow(struct outage *o, const char *name, int host, enum tun_rule rule, unsigned delay_us)
{
	unsigned failed = failures(o, host), dials = tun_dials(o->tun, host);

	begin_phase(o, name, NONE_FAILS);
	tun_set(o->tun, host, rule, delay_us);
	wait_until(o, tun_dials(o->tun, host) >= dials + 6);
	let_all_dial(o, 4);
	assert_true(is_in(o, host));
	assert_int_equal(failures(o, host), failed);
	tun_set(o->tun, host, TUN_ACCEPT, 0);
	let_all_dial(o, 2);
}

static void play_healthy(struct outage *o)
{
	begin_phase(o, "healthy", NONE_FAILS);
	wait_until(o, dials_so_far(o) >= ENOUGH_DIALS);
	phase_now(o)->dials = dials_so_far(o);
}

/* ---- the figures ---- */

/* A dial that began behind a verdict and failed: it was one of the trials, which end with a verdict of their own. */
static void count_late(struct outage *o, struct phase *phase, enum kind kind, uint64_t begun_ms)
{
	for (int i = 0; i < o->window_count; i++) {
		struct window *w = &o->windows[i];

		if (begun_ms <= w->from_ms || begun_ms >= w->to_ms)
			continue;
		phase->failed_late[kind]++;
		if (++w->late > w->trials)
			fail_msg("%s: %u dials that began after the verdict have failed; there were %u trials", phase->name,
				 w->late, w->trials);
	}
}

static void judge_failure(struct outage *o, enum kind kind, uint64_t begun_ms, unsigned from, unsigned to, const char *why)
{
	enum mercy began = o->phases[from].mercy, ended = o->phases[to].mercy;
	struct phase *phase = &o->phases[from];

	phase->failed[kind]++;
	if (began == ALL_MAY_FAIL || ended == ALL_MAY_FAIL)
		return;
	if (kind == BLOCKING)
		fail_msg("%s: a blocking dial failed: %s", phase->name, why);
	if (began == NONE_FAILS)
		count_late(o, phase, kind, begun_ms);
}

static uint64_t take_answers(struct outage *o, int program)
{
	char *text = read_file(answers_of(o, program), NULL), *rest = NULL, why[32];
	unsigned long begun_ms, dials = 0;
	unsigned from, to;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "failed %lu %u %u %31s", &begun_ms, &from, &to, why) == 4) {
			if (to == OVER)
				to = from;
			assert_true(from < PHASES && to < PHASES);
			judge_failure(o, o->kinds[program], begun_ms, from, to, why);
		} else {
			assert_int_equal(sscanf(line, "dials %lu", &dials), 1);
		}
	}
	return dials;
}

static void print_figures(const struct outage *o, const uint64_t *dials)
{
	printf("%-22s %8s   failed:%9s %13s %8s   %s\n", "", "dials", kind_names[0], kind_names[1], kind_names[2],
	       "dials to the dead / periods");
	for (uint32_t i = 1; i < PHASES && o->phases[i].name; i++) {
		const struct phase *p = &o->phases[i];

		printf("%-22s %8lu %18u %7u (%u) %6u (%u)   ", p->name, (unsigned long)(p->dials - o->phases[i - 1].dials),
		       p->failed[BLOCKING], p->failed[NONBLOCKING], p->failed_late[NONBLOCKING], p->failed[ASYNCIO],
		       p->failed_late[ASYNCIO]);
		if (p->periods)
			printf("%u / %u", p->trials, p->periods);
		putchar('\n');
	}
	printf("dials in all: %lu blocking, %lu non-blocking, %lu asyncio; (n): of these, begun after the verdict\n",
	       (unsigned long)dials[BLOCKING], (unsigned long)dials[NONBLOCKING], (unsigned long)dials[ASYNCIO]);
	fflush(stdout);
}

static void end_clients(struct outage *o)
{
	uint64_t dials[KINDS] = { 0 };

	__atomic_store_n(&o->board->phase, OVER, __ATOMIC_RELEASE);
	for (int i = 0; i < o->count; i++) {
		process_wait(o->programs[i], LIMIT_MS);
		assert_clean(o->programs[i]);
		dials[o->kinds[i]] += take_answers(o, i);
	}
	print_figures(o, dials);
	assert_true(dials[BLOCKING] + dials[NONBLOCKING] + dials[ASYNCIO] >= ENOUGH_DIALS);
}

static struct services *services_of_hosts(const char *more)
{
	struct services *s = services_open();
	struct place places[HOSTS];

	for (int i = 0; i < HOSTS; i++) {
		snprintf(places[i].address, sizeof(places[i].address), "%s", tun_address(FIRST + i));
		places[i].port = 80;
	}
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, places, HOSTS, more));
	return s;
}

/* ---- a verdict of all ---- */

enum { SHARERS = 20 };

/* Every one of them dials once. How many did not reach somebody who lives: no blocking one. */
static unsigned step_all(struct process *const *sharers)
{
	unsigned failed = 0;

	for (int i = 0; i < SHARERS; i++)
		process_say(sharers[i], "\n");
	for (int i = 0; i < SHARERS; i++) {
		const char *line = process_line(sharers[i], LIMIT_MS);

		if (line && !strncmp(line, "tun-", 4))
			continue;
		if (!line || i % 2 == 0)
			fail_msg("a dial failed: %s", line);
		failed++;
	}
	return failed;
}

static void start_sharers(const struct services *s, struct process **sharers)
{
	for (int i = 0; i < SHARERS; i++) {
		const char *program = built("helpers/dialer");
		const char *const *argv = i % 2 ? ARGV(program, "--step", "--nonblocking", "web", "80")
						: ARGV(program, "--step", "web", "80");

		sharers[i] = process_start(&(struct start){ .argv = argv, .env = s->env, .interactive = true });
	}
}

static void twenty_processes_share_a_verdict_until_its_time_is_up(void **state)
{
	struct outage o = { .tun = tun_open() };
	struct process *sharers[SHARERS];
	unsigned before, rounds = 0, failed = 0;
	uint32_t verdict;

	(void)state;
	set_hosts(&o, FIRST, HOSTS, TUN_ACCEPT, 0);
	o.s = services_of_hosts("\"balance\": \"round_robin\", \"eject_for\": \"3s\"");
	start_sharers(o.s, sharers);
	assert_int_equal(step_all(sharers), 0);
	o.watch = watch_ledger(o.s);
	tun_set(o.tun, FIRST, TUN_REFUSE, 0);
	while (!is_out(&o, FIRST)) { /* by a blocking one, which tells of it before it goes on */
		process_say(sharers[0], "\n");
		assert_non_null(process_line(sharers[0], LIMIT_MS));
	}
	before = tun_dials(o.tun, FIRST);
	verdict = ledger_load(&o.watch->ledger, key_of_host(&o, FIRST), clock_boot_ms()).ejection;
	for (;; rounds++) {
		failed += step_all(sharers);
		if (!is_out(&o, FIRST) || ledger_load(&o.watch->ledger, key_of_host(&o, FIRST), clock_boot_ms()).ejection != verdict)
			break;
		assert_int_equal(tun_dials(o.tun, FIRST), before);
	}
	assert_true(rounds > 0);
	while (tun_dials(o.tun, FIRST) == before)
		failed += step_all(sharers);
	assert_int_equal(tun_dials(o.tun, FIRST), before + 1); /* of twenty, one tried */
	assert_in_range(failed, 0, 1);			       /* if its answer was late, that one */
	printf("verdict of twenty processes: %u dials, none to the dead, then one trial\n", rounds * SHARERS);
}

static void outage_is_not_noticed_while_somebody_answers(void **state)
{
	struct outage *o = calloc(1, sizeof(*o));

	(void)state;
	after_test(free, o);
	if (!program_exists("python3"))
		skip_because("no python3");
	o->tun = tun_open();
	set_hosts(o, FIRST, HOSTS, TUN_ACCEPT, 0);
	o->s = services_of_hosts("\"balance\": \"round_robin\", \"eject_for\": \"200ms\", \"eject_max\": \"800ms\"");
	keep_in_child(o->s, false);
	o->watch = watch_ledger(o->s);
	open_board(o);
	begin_phase(o, "before", NONE_FAILS);
	start_clients(o);
	let_all_dial(o, 20);
	play_dead(o, "one refuses", FIRST, 1, TUN_REFUSE);
	play_dead(o, "two are black holes", FIRST + 1, 2, TUN_DROP);
	play_flapping(o, FIRST + 3);
	play_all_down(o);
	play_one_of_five(o);
	play_slow(o, "one is slow", FIRST + 4, TUN_ACCEPT, 30000);
	play_slow(o, "one loses SYNs", FIRST + 4, TUN_DROP_FIRST, 0);
	play_healthy(o);
	end_clients(o);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(twenty_processes_share_a_verdict_until_its_time_is_up),
		TEST(outage_is_not_noticed_while_somebody_answers),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
