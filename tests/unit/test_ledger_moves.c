/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves as the ledger counts them: what is given up is given up once, what a window and a second allow is taken no more often than
 * that, and a ledger that is older, damaged or none allows nothing. With mends at the same time: test_mend_moments.c.
 */
#include "support/testing.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "ledger/moves.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/table_builder.h"

#define NOW 1000000000ull

enum { WORKERS = 8, HELD = 3000, SHARE = 700, ROUNDS = 200, MOST = 1000 };

static const struct ledger_key a = { 3, 0xaaaa }, b = { 3, 0xbbbb };

static uint32_t active(const struct ledger *ledger, struct ledger_key key)
{
	return ledger_load(ledger, key, NOW).active;
}

static void claim(const struct ledger *ledger, struct ledger_key key, int n)
{
	while (n--) {
		ledger_claim(ledger, key);
		ledger_landed(ledger, key);
	}
}

static struct ledger_window window_of(struct ledger_key cursor, uint32_t number, bool v4)
{
	return (struct ledger_window){ .cursor = cursor, .window = number, .v4 = v4 };
}

/* ---- many at once ---- */

struct worker {
	pthread_t thread;
	const struct ledger *ledger;
	pthread_barrier_t *together;
	uint32_t done;
};

static uint32_t by_threads(const struct ledger *ledger, void *(*work)(void *))
{
	struct worker workers[WORKERS] = { 0 };
	pthread_barrier_t together;
	uint32_t done = 0;

	assert_int_equal(pthread_barrier_init(&together, NULL, WORKERS), 0);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].ledger = ledger;
		workers[i].together = &together;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		done += workers[i].done;
	}
	pthread_barrier_destroy(&together);
	return done;
}

/* What they did, they tell by ledger_count_move. */
static uint32_t by_processes(const struct ledger *ledger, void *(*work)(void *))
{
	pid_t pids[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct worker self = { .ledger = ledger };

			work(&self);
			while (self.done--)
				ledger_count_move(ledger, a, 1, false);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	return ledger_moves(ledger, a).moved[0];
}

/* ---- what is given up ---- */

static void what_is_given_up_is_a_free_place(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load;

	(void)state;
	claim(ledger, a, 3);
	load = ledger_load(ledger, a, NOW);
	assert_true(ledger_give_up_if(ledger, a, &load));
	assert_int_equal(active(ledger, a), 2);
	assert_true(ledger_give_up(ledger, a));
	assert_int_equal(active(ledger, a), 1);
	ledger_take_back(ledger, a);
	assert_int_equal(active(ledger, a), 2);
	assert_int_equal(ledger_score(ledger, a, NOW).dials, 3); /* no dial */
}

static void nothing_is_given_up_when_the_count_has_changed(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load;

	(void)state;
	claim(ledger, a, 3);
	load = ledger_load(ledger, a, NOW);
	claim(ledger, a, 1);
	assert_false(ledger_give_up_if(ledger, a, &load));
	load = ledger_load(ledger, a, NOW);
	ledger_give_up(ledger, a);
	assert_false(ledger_give_up_if(ledger, a, &load));
	claim(ledger, a, 1); /* as many as before, but others */
	assert_false(ledger_give_up_if(ledger, a, &load));
	assert_int_equal(active(ledger, a), 4);
	load = ledger_load(ledger, a, NOW);
	ledger_give_up(ledger, a);
	ledger_take_back(ledger, a); /* the same ones */
	assert_true(ledger_give_up_if(ledger, a, &load));
}

static void no_more_is_given_up_than_there_is(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load = ledger_load(ledger, a, NOW);

	(void)state;
	assert_false(ledger_give_up_if(ledger, a, &load));
	assert_false(ledger_give_up(ledger, a));
	claim(ledger, a, 1);
	assert_true(ledger_give_up(ledger, a));
	assert_false(ledger_give_up(ledger, a));
	load = ledger_load(ledger, a, NOW);
	assert_false(ledger_give_up_if(ledger, a, &load));
	claim(ledger, a, 1);
	assert_int_equal(active(ledger, a), 1); /* nothing is owed */
}

static void counts_that_wrap_are_given_up_all_the_same(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_row *row = row_of(ledger, a.slot);

	(void)state;
	row->claims = row->landed = (uint64_t)a.tag << 32 | 2;
	row->gone = (uint64_t)a.tag << 32 | 0xfffffffe;
	for (uint32_t i = 4; i-- > 0;) {
		struct ledger_load load = ledger_load(ledger, a, NOW);

		assert_true(ledger_give_up_if(ledger, a, &load));
		assert_int_equal(active(ledger, a), i);
	}
	assert_int_equal(row->gone >> 32, a.tag);
	ledger_take_back(ledger, a);
	ledger_take_back(ledger, a);
	ledger_take_back(ledger, a);
	assert_int_equal(active(ledger, a), 3);
	assert_int_equal(row->gone >> 32, a.tag);
}

static void a_row_that_has_passed_to_another_is_left_alone(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load;

	(void)state;
	claim(ledger, a, 3);
	load = ledger_load(ledger, a, NOW);
	ledger_give_up(ledger, a);
	claim(ledger, b, 2);
	assert_false(ledger_give_up_if(ledger, a, &load));
	assert_false(ledger_give_up(ledger, a));
	ledger_take_back(ledger, a);
	assert_int_equal(active(ledger, b), 2);
	load = ledger_load(ledger, b, NOW);
	assert_true(ledger_give_up_if(ledger, b, &load));
	assert_int_equal(active(ledger, b), 1);
}

static void *give_up_one_together(void *what)
{
	struct worker *w = what;

	for (int i = 0; i < ROUNDS; i++) {
		struct ledger_load load = ledger_load(w->ledger, a, NOW);

		pthread_barrier_wait(w->together); /* all have the same count */
		w->done += ledger_give_up_if(w->ledger, a, &load);
		pthread_barrier_wait(w->together);
	}
	return NULL;
}

static void of_threads_that_decide_on_one_count_one_goes_on(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	claim(ledger, a, HELD);
	assert_int_equal(by_threads(ledger, give_up_one_together), ROUNDS);
	assert_int_equal(active(ledger, a), HELD - ROUNDS);
}

static void *give_up_the_surplus(void *what)
{
	struct worker *w = what;

	for (;;) {
		struct ledger_load load = ledger_load(w->ledger, a, NOW);

		if (load.active <= SHARE)
			return NULL;
		w->done += ledger_give_up_if(w->ledger, a, &load);
	}
}

static void the_surplus_is_given_up_once_by_threads(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	claim(ledger, a, HELD);
	assert_int_equal(by_threads(ledger, give_up_the_surplus), HELD - SHARE);
	assert_int_equal(active(ledger, a), SHARE);
}

static void the_surplus_is_given_up_once_by_processes(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	claim(ledger, a, HELD);
	assert_int_equal(by_processes(ledger, give_up_the_surplus), HELD - SHARE);
	assert_int_equal(active(ledger, a), SHARE);
}

/* As one that is chosen by others meanwhile. */
static void *give_up_and_claim(void *what)
{
	struct worker *w = what;

	for (int i = 0; i < HELD; i++) {
		struct ledger_load load = ledger_load(w->ledger, a, NOW);

		if (load.active > SHARE)
			w->done += ledger_give_up_if(w->ledger, a, &load);
		if (i % 2)
			claim(w->ledger, a, 1);
		if (i % 16 == 0 && ledger_give_up(w->ledger, a))
			ledger_take_back(w->ledger, a);
	}
	return give_up_the_surplus(w);
}

static void the_surplus_is_given_up_once_while_others_claim(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	claim(ledger, a, HELD);
	assert_int_equal(by_threads(ledger, give_up_and_claim), HELD - SHARE + WORKERS * (HELD / 2));
	assert_int_equal(active(ledger, a), SHARE);
}

/* ---- windows ---- */

/* One more, while fewer than `most` have moved; somebody else may be faster. */
static bool take(const struct ledger *ledger, const struct ledger_window *window, uint32_t most)
{
	for (;;) {
		uint32_t moved = ledger_window_moved(ledger, window);

		if (moved >= most)
			return false;
		if (ledger_window_take_if(ledger, window, moved))
			return true;
	}
}

static void the_first_who_looks_tells_the_total(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_window w = window_of(a, 77, true), v6 = window_of(a, 77, false);

	(void)state;
	assert_int_equal(ledger_window_total(ledger, &w, 0), 0); /* nothing to share: not told yet */
	assert_int_equal(ledger_window_total(ledger, &w, 120), 120);
	assert_int_equal(ledger_window_total(ledger, &w, 119), 120);
	assert_int_equal(ledger_window_total(ledger, &w, 0), 120);
	assert_int_equal(ledger_window_total(ledger, &v6, 7), 7);
	assert_int_equal(ledger_window_total(ledger, &w, 300), 120);
	assert_int_equal(ledger_window_total(ledger, &(struct ledger_window){ a, 78, true }, UINT32_MAX), LEDGER_MAX_SHARED);
}

static void *tell_a_total_together(void *what)
{
	struct worker *w = what;
	const uint32_t own = (uint32_t)(uintptr_t)w % 1000 + 1;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		struct ledger_window window = window_of(a, i, i % 2);
		uint32_t told, later;

		pthread_barrier_wait(w->together);
		told = ledger_window_total(w->ledger, &window, own);
		pthread_barrier_wait(w->together);
		later = ledger_window_total(w->ledger, &window, own + 1000);
		w->done += told && told == later;
		pthread_barrier_wait(w->together);
	}
	return NULL;
}

static void all_threads_are_told_one_total(void **state)
{
	(void)state;
	assert_int_equal(by_threads(new_ledger(8, 8), tell_a_total_together), WORKERS * ROUNDS);
}

static void a_window_is_taken_up_to_its_most_and_given_back(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_window w = window_of(a, 77, true), v6 = window_of(a, 77, false);

	(void)state;
	assert_false(take(ledger, &w, 0));
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(ledger_window_moved(ledger, &w), i);
		assert_true(take(ledger, &w, 5));
	}
	assert_false(take(ledger, &w, 5));
	assert_false(take(ledger, &w, 3));
	assert_int_equal(ledger_window_moved(ledger, &w), 5);
	ledger_window_give_back(ledger, &w);
	assert_int_equal(ledger_window_moved(ledger, &w), 4);
	assert_true(take(ledger, &w, 5));
	assert_false(take(ledger, &w, 5));
	assert_true(take(ledger, &w, 6)); /* later, more may */
	assert_int_equal(ledger_window_moved(ledger, &v6), 0);
	ledger_window_give_back(ledger, &v6);
	assert_int_equal(ledger_window_moved(ledger, &v6), 0);
	assert_true(take(ledger, &v6, 1));
	assert_int_equal(ledger_window_moved(ledger, &w), 6);
}

static void a_window_is_not_taken_when_others_have_moved(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_window w = window_of(a, 77, true);

	(void)state;
	assert_false(ledger_window_take_if(ledger, &w, 1));
	assert_true(ledger_window_take_if(ledger, &w, 0));
	assert_false(ledger_window_take_if(ledger, &w, 0));
	assert_false(ledger_window_take_if(ledger, &w, 2));
	assert_true(ledger_window_take_if(ledger, &w, 1));
	assert_int_equal(ledger_window_moved(ledger, &w), 2);
}

static void *take_one_together(void *what)
{
	struct worker *w = what;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct ledger_window window = window_of(a, 1 + i / 3, true);
		uint32_t moved = ledger_window_moved(w->ledger, &window);

		pthread_barrier_wait(w->together); /* all have seen the same */
		w->done += ledger_window_take_if(w->ledger, &window, moved);
		pthread_barrier_wait(w->together);
	}
	return NULL;
}

static void of_threads_that_saw_as_many_move_one_goes_on(void **state)
{
	(void)state;
	assert_int_equal(by_threads(new_ledger(8, 8), take_one_together), ROUNDS);
}

static void a_new_window_starts_at_zero_without_a_reset(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (uint32_t number = 1; number < 1000; number++) {
		struct ledger_window w = window_of(a, number, number % 2), other = window_of(b, number, number % 2);

		assert_int_equal(ledger_window_moved(ledger, &w), 0);
		ledger_window_give_back(ledger, &w);
		assert_int_equal(ledger_window_moved(ledger, &w), 0);
		assert_int_equal(ledger_window_total(ledger, &w, number), number);
		assert_true(take(ledger, &w, 2));
		assert_true(take(ledger, &w, 2));
		assert_false(take(ledger, &w, 2));
		assert_int_equal(ledger_window_moved(ledger, &other), 0); /* of a port that has the cursor next */
		assert_int_equal(ledger_window_total(ledger, &w, 5000), number);
	}
}

static void *take_of_a_window(void *what)
{
	struct worker *w = what;
	struct ledger_window window = window_of(a, 77, true);

	for (int i = 0; i < MOST; i++) {
		if (!take(w->ledger, &window, MOST))
			continue;
		if (i % 3 == 0)
			ledger_window_give_back(w->ledger, &window);
		else
			w->done++;
	}
	while (take(w->ledger, &window, MOST)) /* what others had taken for a moment */
		w->done++;
	return NULL;
}

static void a_window_is_never_taken_more_often_than_its_most(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_int_equal(by_threads(ledger, take_of_a_window), MOST);
	ledger = new_ledger(8, 8);
	assert_int_equal(by_processes(ledger, take_of_a_window), MOST);
}

/* ---- the rate ---- */

static uint32_t take_all(const struct ledger *ledger, uint64_t now_ms)
{
	uint32_t n = 0;

	while (n < 1000 && ledger_rate_take(ledger, a, now_ms))
		n++;
	return n;
}

static void each_second_has_its_moves(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (uint64_t second = 0; second < 70000; second += second < 10 || second > 65530 ? 1 : 503) { /* past 2^16 */
		assert_int_equal(take_all(ledger, second * 1000), LEDGER_MOVES_PER_SECOND);
		assert_int_equal(take_all(ledger, second * 1000 + 999), 0);
		ledger_rate_give_back(ledger, a, second * 1000 + 500);
		ledger_rate_give_back(ledger, a, second * 1000 + 500);
		assert_int_equal(take_all(ledger, second * 1000), 2);
	}
	assert_true(ledger_rate_take(ledger, b, 70000 * 1000ull)); /* another port, if the cursor is its now */
}

static void a_clock_that_was_read_before_the_second_began_makes_no_more(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t taken = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		taken += ledger_rate_take(ledger, a, NOW + (i % 2 ? 0 : 1000));
	assert_int_equal(taken, LEDGER_MOVES_PER_SECOND);
	ledger_rate_give_back(ledger, a, NOW); /* of a second that is over: lost */
	assert_false(ledger_rate_take(ledger, a, NOW + 1000));
	assert_int_equal(take_all(ledger, NOW + 2000), LEDGER_MOVES_PER_SECOND);
}

static void nothing_is_given_back_below_zero(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_rate_give_back(ledger, a, NOW);
	assert_true(ledger_rate_take(ledger, a, NOW));
	for (int i = 0; i < 5; i++)
		ledger_rate_give_back(ledger, a, NOW);
	assert_int_equal(take_all(ledger, NOW), LEDGER_MOVES_PER_SECOND);
}

static void *take_of_the_rate(void *what)
{
	struct worker *w = what;

	w->done = take_all(w->ledger, NOW);
	return NULL;
}

static void the_rate_is_that_of_all_together(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_int_equal(by_threads(ledger, take_of_the_rate), LEDGER_MOVES_PER_SECOND);
	ledger = new_ledger(8, 8);
	assert_int_equal(by_processes(ledger, take_of_the_rate), LEDGER_MOVES_PER_SECOND);
}

/* ---- for people ---- */

static void moves_are_counted_by_reason(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_moves moves;

	(void)state;
	for (unsigned reason = 1; reason <= LEDGER_MOVE_REASONS; reason++)
		for (unsigned i = 0; i < reason; i++) {
			ledger_count_move(ledger, a, reason, false);
			ledger_count_move(ledger, a, reason, true);
			ledger_count_move(ledger, a, reason, true);
		}
	ledger_count_move(ledger, a, 0, false);
	ledger_count_move(ledger, a, LEDGER_MOVE_REASONS + 1, false);
	ledger_count_move(ledger, a, UINT32_MAX, true);
	ledger_count_without_thread(ledger, a);
	moves = ledger_moves(ledger, a);
	for (unsigned reason = 1; reason <= LEDGER_MOVE_REASONS; reason++) {
		assert_int_equal(moves.moved[reason - 1], reason);
		assert_int_equal(moves.would_have[reason - 1], 2 * reason);
	}
	assert_int_equal(moves.without_thread, 1);
	moves = ledger_moves(ledger, b);
	for (unsigned i = 0; i < LEDGER_MOVE_REASONS; i++)
		assert_true(moves.moved[i] == 0 && moves.would_have[i] == 0);
	assert_int_equal(moves.without_thread, 0);
	assert_int_equal(ledger_cursor(ledger, a), 0); /* what was there before is as it was */
	assert_int_equal(ledger_pin(ledger, a, true, 600, NOW).word, 0);
}

/* ---- where there is no such word ---- */

static void assert_nothing_may_move(const struct ledger *ledger, struct ledger_key cursor)
{
	struct ledger_window w = window_of(cursor, 77, true), v6 = window_of(cursor, 77, false);
	struct ledger_moves moves;

	assert_int_equal(ledger_window_total(ledger, &w, 100), 0);
	assert_int_equal(ledger_window_total(ledger, &v6, 100), 0);
	assert_false(ledger_window_take_if(ledger, &w, 0));
	assert_false(ledger_window_take_if(ledger, &v6, 0));
	ledger_window_give_back(ledger, &w);
	assert_int_equal(ledger_window_moved(ledger, &w), 0);
	assert_false(ledger_rate_take(ledger, cursor, NOW));
	ledger_rate_give_back(ledger, cursor, NOW);
	for (unsigned reason = 0; reason <= LEDGER_MOVE_REASONS; reason++)
		ledger_count_move(ledger, cursor, reason, reason % 2);
	ledger_count_without_thread(ledger, cursor);
	moves = ledger_moves(ledger, cursor);
	for (unsigned i = 0; i < LEDGER_MOVE_REASONS; i++)
		assert_true(moves.moved[i] == 0 && moves.would_have[i] == 0);
	assert_int_equal(moves.without_thread, 0);
}

static void without_a_ledger_nothing_may_move(void **state)
{
	struct ledger none = { .base = NULL }, *ledger = new_ledger(8, 8);
	struct ledger_key beyond = { 8, 1 };
	struct ledger_load load = { .claims_word = 1ull << 32 | 5, .active = 5 };

	(void)state;
	assert_nothing_may_move(&none, a);
	assert_nothing_may_move(ledger, beyond);
	assert_false(ledger_give_up_if(&none, beyond, &load));
	assert_false(ledger_give_up_if(ledger, beyond, &load));
	assert_false(ledger_give_up(&none, beyond));
	assert_false(ledger_give_up(ledger, beyond));
	ledger_take_back(&none, beyond);
	ledger_take_back(ledger, beyond);
}

static void a_ledger_of_the_version_before_lets_nothing_move_and_holds_what_it_held(void **state)
{
	struct ledger *ledger = older_ledger(8, 8);
	struct ledger_load load;

	(void)state;
	assert_int_equal(ledger->cursor_size, LEDGER_CURSOR_LEAST);
	for (uint32_t i = 0; i < 8; i++) {
		ledger_set_cursor(ledger, (struct ledger_key){ i, 7 }, 100 + i);
		claim(ledger, (struct ledger_key){ i, 7 }, (int)i + 1);
	}
	for (uint32_t i = 0; i < 8; i++)
		assert_nothing_may_move(ledger, (struct ledger_key){ i, 7 });
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(ledger_cursor(ledger, (struct ledger_key){ i, 7 }), 100 + i);
		assert_int_equal(active(ledger, (struct ledger_key){ i, 7 }), i + 1);
	}
	/* Rows are what they were: connections may leave for other reasons. */
	load = ledger_load(ledger, (struct ledger_key){ 7, 7 }, NOW);
	assert_true(ledger_give_up_if(ledger, (struct ledger_key){ 7, 7 }, &load));
	assert_true(ledger_give_up(ledger, (struct ledger_key){ 7, 7 }));
}

/* ---- damage ---- */

/* Words of `cursor` with the tag of the word's owner and any value. */
static void damage_values(const struct ledger *ledger, struct ledger_key cursor, uint64_t *random)
{
	uint64_t *words = (uint64_t *)(void *)(ledger->base + ledger->cursors_offset + (size_t)cursor.slot * ledger->cursor_size);
	struct ledger_window w = window_of(cursor, 77, true), v6 = window_of(cursor, 77, false);

	ledger_window_total(ledger, &w, 1);
	ledger_window_total(ledger, &v6, 1);
	take(ledger, &w, 1);
	take(ledger, &v6, 1);
	for (size_t i = 0; i < ledger->cursor_size / sizeof(*words); i++) {
		uint64_t r = next_random(random);

		words[i] = r % 8 == 0 ? r : words[i] >> 32 << 32 | (uint32_t)(r >> r % 32);
	}
}

static void assert_bounded(const struct ledger *ledger, struct ledger_key key, uint64_t *random)
{
	uint64_t now_ms = next_random(random) >> 20;
	struct ledger_window w = window_of(key, 77, next_random(random) % 2);
	uint32_t most = (uint32_t)next_random(random) % 2000, taken = 0, total = ledger_window_total(ledger, &w, 1 + most);

	assert_in_range(total, 1, LEDGER_MAX_SHARED);
	assert_in_range(ledger_window_moved(ledger, &w), 0, LEDGER_MAX_SHARED);
	while (taken <= most && take(ledger, &w, most))
		taken++;
	assert_in_range(taken, 0, most);
	ledger_window_give_back(ledger, &w);
	assert_in_range(take_all(ledger, now_ms), 0, LEDGER_MOVES_PER_SECOND);
	ledger_rate_give_back(ledger, key, now_ms);
	assert_int_equal(take_all(ledger, now_ms + 2000), LEDGER_MOVES_PER_SECOND); /* nor are they stopped for good */
	ledger_count_move(ledger, key, 1 + (unsigned)taken % LEDGER_MOVE_REASONS, taken % 2);
	ledger_count_without_thread(ledger, key);
	ledger_moves(ledger, key);
}

static void damaged_words_are_bounded(void **state)
{
	struct ledger *ledger = guarded_ledger(8, 8);
	uint64_t random = 11;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		damage_values(ledger, a, &random);
		assert_bounded(ledger, a, &random);
	}
}

static void damaged_rows_are_given_up_within_bounds(void **state)
{
	struct ledger *ledger = guarded_ledger(8, 8);
	struct ledger_row *row = row_of(ledger, a.slot);
	uint64_t random = 12;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint64_t r = next_random(&random);
		struct ledger_load load;
		uint32_t before;

		row->claims = (uint64_t)(r % 8 ? a.tag : b.tag) << 32 | (uint32_t)(next_random(&random) >> (r >> 8) % 32);
		row->gone = (uint64_t)(r >> 4 & 7 ? a.tag : b.tag) << 32 | (uint32_t)(next_random(&random) >> (r >> 16) % 32);
		load = ledger_load(ledger, a, NOW);
		before = load.active;
		if (ledger_give_up_if(ledger, a, &load))
			assert_int_equal(active(ledger, a), --before);
		if (ledger_give_up(ledger, a)) {
			assert_int_equal(active(ledger, a), before - 1);
			ledger_take_back(ledger, a);
		}
		assert_int_equal(active(ledger, a), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_given_up_is_a_free_place),
		TEST(nothing_is_given_up_when_the_count_has_changed),
		TEST(no_more_is_given_up_than_there_is),
		TEST(counts_that_wrap_are_given_up_all_the_same),
		TEST(a_row_that_has_passed_to_another_is_left_alone),
		TEST(of_threads_that_decide_on_one_count_one_goes_on),
		TEST(the_surplus_is_given_up_once_by_threads),
		TEST(the_surplus_is_given_up_once_by_processes),
		TEST(the_surplus_is_given_up_once_while_others_claim),
		TEST(the_first_who_looks_tells_the_total),
		TEST(all_threads_are_told_one_total),
		TEST(a_window_is_taken_up_to_its_most_and_given_back),
		TEST(a_window_is_not_taken_when_others_have_moved),
		TEST(of_threads_that_saw_as_many_move_one_goes_on),
		TEST(a_new_window_starts_at_zero_without_a_reset),
		TEST(a_window_is_never_taken_more_often_than_its_most),
		TEST(each_second_has_its_moves),
		TEST(a_clock_that_was_read_before_the_second_began_makes_no_more),
		TEST(nothing_is_given_back_below_zero),
		TEST(the_rate_is_that_of_all_together),
		TEST(moves_are_counted_by_reason),
		TEST(without_a_ledger_nothing_may_move),
		TEST(a_ledger_of_the_version_before_lets_nothing_move_and_holds_what_it_held),
		TEST(damaged_words_are_bounded),
		TEST(damaged_rows_are_given_up_within_bounds),
	};

	return RUN_TESTS(tests);
}
