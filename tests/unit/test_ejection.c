/* SPDX-License-Identifier: Apache-2.0 */
/* How long an endpoint is out, who finds out whether it is back, and how many may be out at once. */
#include "support/testing.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/picks.h"
#include "support/table_builder.h"
#include "table/atomics.h"

#define NOW    1000000000ull
#define TICK   (1u << LEDGER_TICK_SHIFT)
#define DAY_MS (24u * 3600 * 1000)

static const struct ledger_key key = { 3, 0xaaaa };
static const struct ledger_verdict usual = {
	.eject_after = 1, .eject_timeouts_after = 2, .eject_for_ms = 5000, .eject_max_ms = 300000, .handshake_ms = 1500
};

static struct ledger_load load_at(const struct ledger *ledger, uint64_t now_ms)
{
	return ledger_load(ledger, key, now_ms);
}

static uint32_t left_ms(const struct ledger *ledger, uint64_t now_ms)
{
	return ledger_left_ms(load_at(ledger, now_ms).ejection, now_ms);
}

static bool refuse(const struct ledger *ledger, uint64_t now_ms)
{
	return ledger_report(ledger, key, OUTCOME_REFUSED, &usual, now_ms);
}

static void succeed(const struct ledger *ledger, uint64_t now_ms)
{
	ledger_report(ledger, key, OUTCOME_SUCCESS, &usual, now_ms);
}

/* The first moment at which it is no longer out. */
static uint64_t end_of(const struct ledger *ledger, uint64_t now_ms)
{
	return now_ms + left_ms(ledger, now_ms) + TICK;
}

/* Fails as a trial, as soon as it may. The moment. */
static uint64_t fail_trial(const struct ledger *ledger, uint64_t now_ms)
{
	uint64_t due_ms = end_of(ledger, now_ms);
	uint32_t ejection = load_at(ledger, due_ms).ejection;

	assert_false(load_at(ledger, due_ms).ejected);
	assert_true(ledger_try(ledger, key, &ejection, &usual, due_ms));
	assert_true(ledger_report_of(ledger, key, ejection, OUTCOME_REFUSED, &usual, due_ms));
	return due_ms;
}

/* Nobody else knows of it, or it is out no more: whoever asks may dial. */
static void who_is_not_ejected_needs_no_right_to_a_trial(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };
	uint32_t ejection = 0, other = 7;

	(void)state;
	assert_true(ledger_try(ledger, key, &ejection, &usual, NOW));
	assert_true(ledger_try(ledger, key, &ejection, &usual, NOW));
	assert_int_equal(ejection, 0);
	assert_true(ledger_try(&none, key, &other, &usual, NOW));
	assert_int_equal(other, 7);
}

/* ---- how long ---- */

static void assert_about(uint32_t ms, uint32_t middle_ms)
{
	assert_in_range(ms, middle_ms - middle_ms / 10 - 2 * TICK, middle_ms + middle_ms / 10);
}

static void first_ejection_lasts_as_said_within_a_tenth(void **state)
{
	uint32_t least = UINT32_MAX, most = 0;

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		struct ledger *ledger = new_ledger(8, 8);
		struct ledger_key one = { i % 8, i * 7919 + 1 };
		uint32_t ms;

		assert_true(ledger_report(ledger, one, OUTCOME_REFUSED, &usual, NOW));
		ms = ledger_left_ms(ledger_load(ledger, one, NOW).ejection, NOW);
		assert_about(ms, 5000);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		end_of_test(NULL);
	}
	assert_true(most - least > 800); /* those that failed together do not return together */
}

static void each_further_ejection_doubles_the_time_up_to_the_most(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now_ms = NOW;
	uint32_t middle_ms = 5000;

	(void)state;
	assert_true(refuse(ledger, now_ms));
	for (int i = 0; i < 40; i++) {
		assert_about(left_ms(ledger, now_ms), middle_ms);
		assert_in_range(left_ms(ledger, now_ms), 0, 300000);
		now_ms = fail_trial(ledger, now_ms);
		middle_ms = middle_ms * 2 < 300000 * 10 / 11 ? middle_ms * 2 : 300000 * 10 / 11;
	}
	assert_int_equal(middle_ms, 300000 * 10 / 11);
}

static void ejection_of_any_policy_is_no_longer_than_it_allows(void **state)
{
	uint64_t random = 21;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct ledger_verdict v = { .eject_after = 1,
					    .eject_for_ms = 100 + (uint32_t)(next_random(&random) % 3600000),
					    .eject_max_ms = 100 + (uint32_t)(next_random(&random) % DAY_MS) };
		struct ledger *ledger = new_ledger(8, 8);
		uint64_t now_ms = NOW + next_random(&random) % 100000;

		row_of(ledger, key.slot)->ejections = (uint64_t)key.tag << 32 | (uint32_t)next_random(&random);
		assert_true(ledger_report(ledger, key, OUTCOME_REFUSED, &v, now_ms));
		assert_in_range(left_ms(ledger, now_ms), 0, v.eject_max_ms);
		assert_in_range(ledger_ejection_limit_ms(&v), v.eject_max_ms, v.eject_max_ms + 1000);
		end_of_test(NULL);
	}
}

static void health_takes_the_doublings_back(void **state)
{
	/* Ejected for 5, 10, 20 and 40 s; then 40 s of health take back the last doubling, and 20 more the one before. */
	static const struct { uint32_t healthy_ms, then_ms; } rows[] = {
		{ 0, 80000 }, { 30000, 80000 }, { 41000, 40000 }, { 61000, 20000 }, { 71000, 10000 }, { 76000, 5000 }, { DAY_MS, 5000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ledger *ledger = new_ledger(8, 8);
		uint64_t now_ms = NOW;

		assert_true(refuse(ledger, now_ms));
		for (int k = 0; k < 3; k++)
			now_ms = fail_trial(ledger, now_ms);
		assert_about(left_ms(ledger, now_ms), 40000);
		succeed(ledger, now_ms + 44000);
		now_ms += 40000 + rows[i].healthy_ms;
		assert_true(refuse(ledger, now_ms < NOW ? NOW : now_ms));
		assert_about(left_ms(ledger, now_ms), rows[i].then_ms);
		end_of_test(NULL);
	}
}

static void failures_that_eject_nobody_keep_what_health_has_taken_back(void **state)
{
	struct ledger_verdict patient = usual;
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now_ms = NOW;

	(void)state;
	patient.eject_after = 2;
	assert_true(refuse(ledger, now_ms));
	now_ms = fail_trial(ledger, fail_trial(ledger, now_ms));
	succeed(ledger, now_ms + 22000);
	now_ms += 3600000;
	assert_false(ledger_report(ledger, key, OUTCOME_REFUSED, &patient, now_ms));
	assert_true(ledger_report(ledger, key, OUTCOME_REFUSED, &patient, now_ms + 100));
	assert_about(left_ms(ledger, now_ms + 100), 5000);
}

static void time_alone_takes_nothing_back(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(refuse(ledger, NOW));
	fail_trial(ledger, NOW);
	assert_true(refuse(ledger, NOW + 10 * 3600000)); /* nobody dialed meanwhile: it has not been in */
	assert_about(left_ms(ledger, NOW + 10 * 3600000), 20000);
}

/* ---- the trial ---- */

enum { CROWD = 4, ROUNDS = 5000 };

/* In memory that processes share: rounds, each of which is a race of all for one row. */
struct crowd {
	uint64_t round, arrived, won;
	uint32_t ejection; /* as all of them find it in this round */
	struct ledger *ledger;
};

static void *race(void *what)
{
	struct crowd *c = what;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint32_t ejection;

		while (load_acquire(&c->round) < round)
			sched_yield();
		ejection = c->ejection;
		if (ledger_try(c->ledger, key, &ejection, &usual, NOW + 6000))
			add_relaxed(&c->won, 1);
		__atomic_fetch_add(&c->arrived, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void unmap_crowd(void *crowd)
{
	munmap(crowd, sizeof(struct crowd));
}

static struct crowd *new_crowd(void)
{
	struct crowd *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(c != MAP_FAILED);
	after_test(unmap_crowd, c);
	c->ledger = new_ledger(8, 8);
	refuse(c->ledger, NOW);
	return c;
}

static void let_them_race(struct crowd *c)
{
	uint64_t *word = &row_of(c->ledger, key.slot)->ejected_until, due = *word;

	assert_false(load_at(c->ledger, NOW + 6000).ejected);
	c->ejection = load_at(c->ledger, NOW + 6000).ejection;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		*word = due;
		store_release(&c->round, round);
		while (load_acquire(&c->arrived) < CROWD * round)
			sched_yield();
		assert_int_equal(c->won, round);
		assert_true(load_at(c->ledger, NOW + 6000).ejected); /* nobody else picks it */
	}
}

static void of_many_threads_one_tries(void **state)
{
	struct crowd *c = new_crowd();
	pthread_t threads[CROWD];

	(void)state;
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, c), 0);
	let_them_race(c);
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
}

static void of_many_processes_one_tries(void **state)
{
	struct crowd *c = new_crowd();
	pid_t pids[CROWD];

	(void)state;
	fflush(stdout);
	for (int i = 0; i < CROWD; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			race(c);
			_exit(0);
		}
	}
	let_them_race(c);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
}

static void trial_that_is_never_told_is_over_in_time_and_the_next_one_tries(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now_ms = NOW;

	(void)state;
	refuse(ledger, NOW);
	for (int i = 0; i < 5; i++) {
		uint64_t due_ms = end_of(ledger, now_ms);
		uint32_t found = load_at(ledger, due_ms).ejection, ejection = found;
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			ledger_try(ledger, key, &ejection, &usual, due_ms);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_false(ledger_try(ledger, key, &ejection, &usual, due_ms));
		assert_true(ledger_is_trial(load_at(ledger, due_ms).ejection));
		assert_about(left_ms(ledger, due_ms), 5000); /* as long as it was out: it has not failed */
		now_ms = due_ms;
	}
}

static void trial_has_the_time_that_a_dial_needs(void **state)
{
	struct ledger_verdict brief = { .eject_after = 1, .eject_for_ms = 100, .eject_max_ms = 200, .handshake_ms = 1500 };
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t ejection;

	(void)state;
	ledger_report(ledger, key, OUTCOME_REFUSED, &brief, NOW);
	ejection = load_at(ledger, NOW + 300).ejection;
	assert_true(ledger_try(ledger, key, &ejection, &brief, NOW + 300));
	assert_in_range(left_ms(ledger, NOW + 300), 3000 - 3 * TICK, 3000 + 2 * TICK);
	assert_true(left_ms(ledger, NOW + 300) <= ledger_ejection_limit_ms(&brief));
}

/* A dial that was stopped between its look at the clock and its look at the row. */
static void trial_is_another_dials_also_to_one_whose_clock_is_late(void **state)
{
	struct picks *p = new_picks_of(4);
	struct ledger_verdict brief = { .eject_after = 1, .eject_for_ms = 200, .eject_max_ms = 800, .handshake_ms = 1500 };
	struct candidate chosen;

	(void)state;
	p->pick.may_try = true;
	p->pick.eject_limit_ms = ledger_ejection_limit_ms(&brief);
	ledger_report(&p->ledger, key_of(p, 1), OUTCOME_REFUSED, &brief, p->pick.now_ms);
	p->pick.now_ms += 1000;
	chosen.load = ledger_load(&p->ledger, key_of(p, 1), p->pick.now_ms);
	assert_true(ledger_try(&p->ledger, key_of(p, 1), &chosen.load.ejection, &brief, p->pick.now_ms));
	for (int late_ms = 0; late_ms < 900; late_ms += 7) {
		p->pick.now_ms -= 7;
		pick_many(p, BALANCE_ROUND_ROBIN, false, 4);
		assert_int_equal(p->counts[1], 0);
	}
}

static void trial_that_succeeds_ends_the_ejection(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t due_ms;
	uint32_t ejection;

	(void)state;
	refuse(ledger, NOW);
	due_ms = end_of(ledger, NOW);
	ejection = load_at(ledger, due_ms).ejection;
	assert_true(ledger_try(ledger, key, &ejection, &usual, due_ms));
	ledger_report_of(ledger, key, ejection, OUTCOME_SUCCESS, &usual, due_ms + 10);
	assert_int_equal(load_at(ledger, due_ms + 10).ejection, 0);
	assert_false(ledger_doubted(ledger, key));
}

static void trial_that_fails_ejects_for_twice_as_long(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now_ms;

	(void)state;
	refuse(ledger, NOW);
	now_ms = fail_trial(ledger, NOW);
	assert_about(left_ms(ledger, now_ms), 10000);
	assert_false(ledger_is_trial(load_at(ledger, now_ms).ejection));
}

static void trial_whose_answer_is_late_ends_that_of_another(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now_ms;
	uint32_t first, second;

	(void)state;
	refuse(ledger, NOW);
	now_ms = end_of(ledger, NOW);
	first = load_at(ledger, now_ms).ejection;
	assert_true(ledger_try(ledger, key, &first, &usual, now_ms));
	now_ms = end_of(ledger, now_ms);
	second = load_at(ledger, now_ms).ejection;
	assert_true(ledger_try(ledger, key, &second, &usual, now_ms));
	assert_false(ledger_report_of(ledger, key, first, OUTCOME_REFUSED, &usual, now_ms)); /* the second one knows better */
	assert_int_equal(load_at(ledger, now_ms).ejection, second);
	ledger_report_of(ledger, key, first, OUTCOME_SUCCESS, &usual, now_ms);
	assert_int_equal(load_at(ledger, now_ms).ejection, 0);
}

/* ---- what a dial tells that began before the verdict ---- */

static void success_from_before_a_verdict_does_not_end_it(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t before = load_at(ledger, NOW).ejection, trial;
	uint64_t due_ms;

	(void)state;
	refuse(ledger, NOW);
	ledger_report_of(ledger, key, before, OUTCOME_SUCCESS, &usual, NOW + 5);
	assert_true(load_at(ledger, NOW + 5).ejected);
	assert_true(ledger_doubted(ledger, key));
	due_ms = end_of(ledger, NOW);
	trial = load_at(ledger, due_ms).ejection;
	assert_true(ledger_try(ledger, key, &trial, &usual, due_ms));
	ledger_report_of(ledger, key, before, OUTCOME_SUCCESS, &usual, due_ms);
	assert_int_equal(load_at(ledger, due_ms).ejection, trial);
}

static void failures_from_before_a_verdict_do_not_lengthen_it(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t before = load_at(ledger, NOW).ejection, trial;
	uint64_t due_ms;

	(void)state;
	refuse(ledger, NOW);
	trial = load_at(ledger, NOW).ejection;
	for (uint32_t i = 0; i < 20; i++)
		assert_false(ledger_report_of(ledger, key, before, OUTCOME_REFUSED, &usual, NOW + i));
	assert_int_equal(load_at(ledger, NOW).ejection, trial);
	due_ms = end_of(ledger, NOW);
	assert_false(ledger_report_of(ledger, key, before, OUTCOME_REFUSED, &usual, due_ms));
	assert_true(ledger_try(ledger, key, &trial, &usual, due_ms));
	assert_false(ledger_report_of(ledger, key, before, OUTCOME_REFUSED, &usual, due_ms));
	assert_int_equal(load_at(ledger, due_ms).ejection, trial); /* still that one's to tell */
}

/* ---- dials whose answer is not waited for ---- */

static void dial_that_is_waited_for_is_known_by_its_port_until_the_next_failure(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };

	(void)state;
	assert_false(ledger_awaits(ledger, key, 0));
	refuse(ledger, NOW);
	ledger_await(ledger, key, 4711);
	assert_true(ledger_awaits(ledger, key, 4711));
	assert_false(ledger_awaits(ledger, key, 4712));
	assert_false(ledger_awaits(ledger, (struct ledger_key){ key.slot, key.tag + 1 }, 4711));
	ledger_await(ledger, key, 0); /* no port is known: as it was */
	assert_true(ledger_awaits(ledger, key, 4711));
	fail_trial(ledger, NOW);
	assert_false(ledger_awaits(ledger, key, 4711));
	ledger_await(&none, key, 4711);
	assert_false(ledger_awaits(&none, key, 4711));
}

static void port_that_is_waited_for_does_not_lengthen_an_ejection(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_await(ledger, key, 0xffff);
	assert_true(refuse(ledger, NOW));
	assert_about(left_ms(ledger, NOW), 5000);
}

/* ---- shims one version apart ---- */

static void verdict_of_a_shim_that_knows_no_trials_counts_until_its_time(void **state)
{
	(void)state;
	for (uint32_t odd = 0; odd < 2; odd++) { /* its times have no flag */
		struct ledger *ledger = new_ledger(8, 8);
		struct ledger_row *row = row_of(ledger, key.slot);
		uint32_t ejection;

		row->streak = (uint64_t)key.tag << 32 | 1 << 16;
		row->ejected_until = (uint64_t)key.tag << 32 | ((ledger_ticks(NOW + 5000) & ~1u) + odd);
		assert_true(load_at(ledger, NOW).ejected);
		ejection = load_at(ledger, NOW + 6000).ejection;
		assert_false(load_at(ledger, NOW + 6000).ejected);
		assert_true(ledger_try(ledger, key, &ejection, &usual, NOW + 6000));
		row->ejected_until = (uint64_t)key.tag << 32; /* its success */
		assert_int_equal(load_at(ledger, NOW + 6000).ejection, 0);
		assert_false(ledger_report_of(ledger, key, ejection, OUTCOME_SUCCESS, &usual, NOW + 6000));
		assert_true(refuse(ledger, NOW + 7000));
	}
}

/* ---- damage ---- */

static void no_word_puts_an_endpoint_out_for_longer_than_the_policy(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80");
	struct ledger_row *row = row_of(&p->ledger, key_of(p, 0).slot);
	uint64_t random = 22;

	(void)state;
	p->pick.eject_limit_ms = ledger_ejection_limit_ms(&usual);
	for (int i = 0; i < 20000; i++) {
		uint32_t until = (uint32_t)next_random(&random), ms;

		if (i % 2)
			until = ledger_ticks(p->pick.now_ms) + until % (2 * DAY_MS >> LEDGER_TICK_SHIFT);
		row->ejected_until = (uint64_t)key_of(p, 0).tag << 32 | until;
		ms = ledger_left_ms(ledger_load(&p->ledger, key_of(p, 0), p->pick.now_ms).ejection, p->pick.now_ms);
		assert_in_range(ms, 0, DAY_MS);
		assert_in_range(p->pick.eject_limit_ms, usual.eject_max_ms, usual.eject_max_ms + 1000);
		pick_many(p, BALANCE_ROUND_ROBIN, false, 2);
		assert_int_equal(p->counts[0], ms && ms <= p->pick.eject_limit_ms ? 0 : 1);
	}
}

static void damaged_verdict_is_overruled_by_the_next_failure(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	row_of(ledger, key.slot)->ejected_until = (uint64_t)key.tag << 32 | (ledger_ticks(NOW + DAY_MS - 100000) & ~1u);
	row_of(ledger, key.slot)->ejections = (uint64_t)key.tag << 32 | UINT32_MAX;
	assert_true(refuse(ledger, NOW));
	assert_in_range(left_ms(ledger, NOW), 1, usual.eject_max_ms);
}

/* Nor does one keep it from dials that leave a trial to others first, for longer than they do. */
static void no_word_keeps_dials_that_hesitate_away(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80");
	struct ledger_row *row = row_of(&p->ledger, key_of(p, 0).slot);
	uint64_t random = 23;

	(void)state;
	p->pick.eject_limit_ms = ledger_ejection_limit_ms(&usual);
	p->pick.may_try = p->pick.hesitant = true;
	row->streak = (uint64_t)key_of(p, 0).tag << 32 | 1; /* a timeout */
	for (int i = 0; i < 20000; i++) {
		uint32_t until = (uint32_t)next_random(&random), now = ledger_ticks(p->pick.now_ms), left = until - now;
		bool out = (int32_t)left > 0 && left <= p->pick.eject_limit_ms >> LEDGER_TICK_SHIFT;
		bool just_over = now - until < 1000 >> LEDGER_TICK_SHIFT;

		row->ejected_until = (uint64_t)key_of(p, 0).tag << 32 | until;
		pick_many(p, BALANCE_ROUND_ROBIN, false, 2);
		if (until && p->counts[0] != !(out || just_over))
			fail_msg("%u ticks from now: dialed %u times", left, p->counts[0]);
	}
}

/* One number that is far ahead makes each dial wait, or ask the kernel, until the next one that is answered. */
static void failure_that_is_yet_to_come_is_forgotten_with_a_success(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_row *row = row_of(ledger, key.slot);

	(void)state;
	row->last_failure = (uint64_t)key.tag << 32 | ledger_ticks(NOW + DAY_MS);
	assert_true(ledger_doubted(ledger, key));
	succeed(ledger, NOW);
	assert_false(ledger_doubted(ledger, key));
	assert_false(ledger_suspect(ledger, key, NOW));
	row->last_failure = (uint64_t)key.tag << 32 | ledger_ticks(NOW + 2 * TICK); /* somebody read its clock after us */
	succeed(ledger, NOW);
	assert_true(ledger_doubted(ledger, key));
	row->last_failure = 0;
	succeed(ledger, 0xc0000000ull << LEDGER_TICK_SHIFT); /* never is not ahead of anything */
	assert_int_equal(ledger_failure_age(ledger, key, NOW), UINT32_MAX);
}

static void damaged_head_does_not_make_dials_count_for_good(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	((struct ledger_head *)ledger->base)->ejecting_until_ms = UINT64_MAX;
	assert_false(ledger_any_ejected(ledger, NOW));
	assert_true(refuse(ledger, NOW));
	assert_true(ledger_any_ejected(ledger, NOW));
}

/* One dial: chooses until it has a place, and tells. The number of choices it took. */
static unsigned dial_once(struct picks *p, enum ledger_outcome outcome)
{
	struct candidate chosen;
	unsigned choices = 1;

	while (assert_true(pick_next(&p->pick, BALANCE_ROUND_ROBIN, &chosen)),
	       chosen.trial && !ledger_try(&p->ledger, chosen.key, &chosen.load.ejection, &usual, p->pick.now_ms))
		choices++;
	ledger_claim(&p->ledger, chosen.key);
	if (outcome == OUTCOME_SUCCESS)
		ledger_landed(&p->ledger, chosen.key);
	else
		ledger_release(&p->ledger, chosen.key);
	ledger_report_of(&p->ledger, chosen.key, chosen.load.ejection, outcome, &usual, p->pick.now_ms);
	p->counts[chosen.index]++;
	return choices;
}

static uint64_t hostile_word(uint64_t *random, uint32_t tag, uint64_t now_ms)
{
	static const uint32_t edges[] = { 0, 1, 2, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX - 1, UINT32_MAX };
	uint64_t r = next_random(random), edge = edges[(r >> 8) % (sizeof(edges) / sizeof(edges[0]))];

	switch (r % 5) {
	case 0:
		return next_random(random);
	case 1:
		return (uint64_t)tag << 32 | edge;
	case 2:
		return (uint64_t)tag << 32 | (uint32_t)(ledger_ticks(now_ms) + edge);
	case 3:
		return (uint64_t)tag << 32 | (ledger_ticks(now_ms) + (uint32_t)(r >> 8) % (2 * DAY_MS >> LEDGER_TICK_SHIFT));
	default:
		return (uint64_t)tag << 32 | (uint32_t)next_random(random);
	}
}

/* Whatever all words of a row are: dials of either kind reach somebody at once, and it within the limit and a second. */
static void no_row_keeps_an_endpoint_out_for_good(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	struct ledger_row *row = row_of(&p->ledger, key_of(p, 0).slot);
	uint64_t random = 24;

	(void)state;
	p->pick.eject_limit_ms = ledger_ejection_limit_ms(&usual);
	p->pick.eject_percent = 50;
	p->pick.may_try = true;
	for (int i = 0; i < 20000; i++) {
		p->pick.hesitant = i % 2;
		for (size_t word = 0; word < sizeof(*row) / 8; word++)
			((uint64_t *)row)[word] = hostile_word(&random, key_of(p, 0).tag, p->pick.now_ms);
		memset(p->counts, 0, sizeof(p->counts));
		for (int dial = 0; dial < 6; dial++)
			assert_in_range(dial_once(p, (next_random(&random) >> 8) % 3), 1, 3);
		p->pick.now_ms += p->pick.eject_limit_ms + 1000 + 2 * TICK;
		memset(p->counts, 0, sizeof(p->counts));
		for (int dial = 0; dial < 3; dial++)
			dial_once(p, OUTCOME_SUCCESS);
		assert_true(p->counts[0] > 0);
		assert_int_equal(ledger_load(&p->ledger, key_of(p, 0), p->pick.now_ms).ejection, 0);
		assert_false(ledger_doubted(&p->ledger, key_of(p, 0)));
	}
}

/* ---- the share ---- */

/* With `out` of `n` ejected: the first attempt of many dials goes to all, or to none that is out. */
static void check_share(unsigned n, unsigned out, uint16_t percent)
{
	struct picks *p = new_picks_of(n);
	bool all_in = out * 100 > n * percent;
	unsigned to_those = 0;

	p->pick.eject_percent = percent;
	p->pick.may_try = true;
	for (unsigned i = 0; i < out; i++)
		eject(p, i, p->pick.now_ms);
	pick_many(p, BALANCE_ROUND_ROBIN, false, n * 4);
	for (unsigned i = 0; i < out; i++)
		to_those += p->counts[i] > 0;
	if (to_those != (all_in || out == n ? (all_in ? out : 1) : 0))
		fail_msg("of %u endpoints %u are ejected, %u %% may be out: %u of those are dialed", n, out, percent, to_those);
	end_of_test(NULL);
}

static void share_that_may_be_out_is_never_exceeded(void **state)
{
	static const uint16_t percents[] = { 0, 1, 10, 33, 34, 49, 50, 51, 66, 67, 99, 100 };

	(void)state;
	for (unsigned n = 1; n <= 8; n++)
		for (unsigned out = 0; out <= n; out++)
			for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
				check_share(n, out, percents[i]);
}

static void one_of_two_may_be_out_and_one_of_one_not(void **state)
{
	(void)state;
	check_share(2, 1, 50);
	check_share(1, 1, 50);
}

static void where_all_are_in_one_that_timed_out_gets_one_dial_at_a_time(void **state)
{
	struct picks *p = new_picks_of(4);
	struct candidate chosen;
	unsigned trials = 0;

	(void)state;
	p->pick.eject_percent = 50;
	p->pick.may_try = true;
	for (unsigned i = 0; i < 3; i++)
		for (int k = 0; k < 2; k++)
			ledger_report(&p->ledger, key_of(p, i), OUTCOME_TIMED_OUT, &usual, p->pick.now_ms);
	for (int dial = 0; dial < 400; dial++) {
		do
			assert_true(pick_next(&p->pick, BALANCE_ROUND_ROBIN, &chosen));
		while (chosen.trial && !ledger_try(&p->ledger, chosen.key, &chosen.load.ejection, &usual, p->pick.now_ms));
		trials += chosen.trial;
		assert_int_equal(chosen.index == 3, !chosen.trial);
	}
	assert_int_equal(trials, 3); /* none of them has told yet */
}

/* Nobody is known to answer: dials that cannot go on are spread, or all of them would wait for one. */
static void where_all_are_out_dials_that_hesitate_go_to_each(void **state)
{
	static const uint16_t percents[] = { 0, 50, 100 };

	(void)state;
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		for (uint8_t balance = 0; balance < BALANCE_HASH; balance++) {
			struct picks *p = new_picks_of(4);

			p->pick.eject_percent = percents[i];
			p->pick.may_try = p->pick.hesitant = true;
			eject(p, 0, p->pick.now_ms);
			for (unsigned k = 1; k < 4; k++)
				for (int n = 0; n < 2; n++)
					ledger_report(&p->ledger, key_of(p, k), OUTCOME_TIMED_OUT, &usual, p->pick.now_ms + k * 100);
			p->pick.now_ms += 1000;
			pick_many(p, balance, false, 200);
			for (unsigned k = 0; k < 4; k++)
				if (p->counts[k] < 20)
					fail_msg("%s, %u %%: %u of 200 dials go to endpoint %u", balance_policy(balance)->name,
						 percents[i], p->counts[k], k);
			end_of_test(NULL);
		}
	}
}

/* One that has a single endpoint for this client leaves it for the one that failed longest ago. */
static void where_all_are_out_hash_does_not_insist(void **state)
{
	struct picks *p = new_picks_of(4);
	int chosen;

	(void)state;
	p->pick.eject_percent = 50;
	p->pick.may_try = p->pick.hesitant = true;
	for (unsigned k = 0; k < 4; k++)
		for (int n = 0; n < 2; n++)
			ledger_report(&p->ledger, key_of(p, k), OUTCOME_TIMED_OUT, &usual, p->pick.now_ms);
	chosen = next_of(p, BALANCE_HASH, false);
	p->pick.now_ms += 1000;
	ledger_report(&p->ledger, key_of(p, (unsigned)chosen), OUTCOME_TIMED_OUT, &usual, p->pick.now_ms);
	assert_int_not_equal(next_of(p, BALANCE_HASH, false), chosen);
}

/* Such a dial would fail, while a blocking one goes on from it. */
static void trial_of_one_that_timed_out_is_left_to_dials_that_can_go_on(void **state)
{
	struct picks *p = new_picks_of(3);

	(void)state;
	p->pick.may_try = p->pick.hesitant = true;
	for (int k = 0; k < 2; k++)
		ledger_report(&p->ledger, key_of(p, 0), OUTCOME_TIMED_OUT, &usual, p->pick.now_ms);
	eject(p, 1, p->pick.now_ms);
	p->pick.now_ms += 5500;
	pick_many(p, BALANCE_ROUND_ROBIN, false, 9);
	assert_int_equal(p->counts[0], 0);
	assert_true(p->counts[1] > 0); /* of a refusal it learns at once */
	p->pick.hesitant = false;
	pick_many(p, BALANCE_ROUND_ROBIN, false, 9);
	assert_true(p->counts[0] > 0);
	p->pick.hesitant = true;
	p->pick.now_ms += 1100; /* nobody came */
	pick_many(p, BALANCE_ROUND_ROBIN, false, 9);
	assert_true(p->counts[0] > 0);
}

static void endpoint_whose_time_is_over_is_a_candidate_on_trial(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks_of(4);
		struct candidate chosen;
		unsigned trials = 0;

		p->pick.may_try = true;
		eject(p, 2, p->pick.now_ms);
		p->pick.now_ms += 6000;
		for (int dial = 0; dial < 200; dial++) {
			assert_true(pick_next(&p->pick, balance, &chosen));
			if (!chosen.trial)
				continue;
			assert_int_equal(chosen.index, 2);
			trials += ledger_try(&p->ledger, chosen.key, &chosen.load.ejection, &usual, p->pick.now_ms);
		}
		assert_true(trials == 1 || balance == BALANCE_HASH); /* which may prefer another */
		end_of_test(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_not_ejected_needs_no_right_to_a_trial),
		TEST(first_ejection_lasts_as_said_within_a_tenth),
		TEST(each_further_ejection_doubles_the_time_up_to_the_most),
		TEST(ejection_of_any_policy_is_no_longer_than_it_allows),
		TEST(health_takes_the_doublings_back),
		TEST(failures_that_eject_nobody_keep_what_health_has_taken_back),
		TEST(time_alone_takes_nothing_back),
		TEST(of_many_threads_one_tries),
		TEST(of_many_processes_one_tries),
		TEST(trial_that_is_never_told_is_over_in_time_and_the_next_one_tries),
		TEST(trial_has_the_time_that_a_dial_needs),
		TEST(trial_is_another_dials_also_to_one_whose_clock_is_late),
		TEST(trial_that_succeeds_ends_the_ejection),
		TEST(trial_that_fails_ejects_for_twice_as_long),
		TEST(trial_whose_answer_is_late_ends_that_of_another),
		TEST(success_from_before_a_verdict_does_not_end_it),
		TEST(failures_from_before_a_verdict_do_not_lengthen_it),
		TEST(dial_that_is_waited_for_is_known_by_its_port_until_the_next_failure),
		TEST(port_that_is_waited_for_does_not_lengthen_an_ejection),
		TEST(verdict_of_a_shim_that_knows_no_trials_counts_until_its_time),
		TEST(no_word_puts_an_endpoint_out_for_longer_than_the_policy),
		TEST(damaged_verdict_is_overruled_by_the_next_failure),
		TEST(no_word_keeps_dials_that_hesitate_away),
		TEST(failure_that_is_yet_to_come_is_forgotten_with_a_success),
		TEST(damaged_head_does_not_make_dials_count_for_good),
		TEST(no_row_keeps_an_endpoint_out_for_good),
		TEST(share_that_may_be_out_is_never_exceeded),
		TEST(one_of_two_may_be_out_and_one_of_one_not),
		TEST(where_all_are_in_one_that_timed_out_gets_one_dial_at_a_time),
		TEST(where_all_are_out_dials_that_hesitate_go_to_each),
		TEST(where_all_are_out_hash_does_not_insist),
		TEST(trial_of_one_that_timed_out_is_left_to_dials_that_can_go_on),
		TEST(endpoint_whose_time_is_over_is_a_candidate_on_trial),
	};

	return RUN_TESTS(tests);
}
