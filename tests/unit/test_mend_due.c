/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is to mend: of all processes one, and not too often. */
#include "support/testing.h"

#include <pthread.h>

#include "ledger/mend.h"
#include "support/cleanup.h"
#include "support/ledgers.h"

static const struct ledger_key port = { 2, 7 }, other_port = { 3, 8 };

static bool due(const struct ledger *ledger, struct ledger_key cursor, bool may_block, uint64_t now_ms)
{
	struct mend_caller caller = { .cursor = cursor, .generation = 1, .may_block = may_block };

	return mend_due(ledger, &caller, now_ms);
}

/* Times are kept in ticks: this much either way does not count. */
#define ROUGHLY (2u << LEDGER_TICK_SHIFT)

static void a_mend_is_due_once_a_second(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(due(ledger, port, true, 5000));
	assert_false(due(ledger, port, true, 5000));
	assert_false(due(ledger, port, true, 5000 + MEND_EVERY_MS - ROUGHLY));
	assert_true(due(ledger, port, true, 5000 + MEND_EVERY_MS + ROUGHLY));
	assert_false(due(ledger, port, true, 5000 + MEND_EVERY_MS + ROUGHLY));
}

static void each_port_has_a_second_of_its_own(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(due(ledger, port, true, 5000));
	assert_false(due(ledger, other_port, true, 5000)); /* ten times a second for the pod */
	assert_false(due(ledger, other_port, true, 5000 + MEND_GAP_MS - ROUGHLY));
	assert_true(due(ledger, other_port, true, 5000 + MEND_GAP_MS + ROUGHLY));
	assert_false(due(ledger, port, true, 5000 + 3 * MEND_GAP_MS));
	assert_true(due(ledger, port, true, 5000 + MEND_EVERY_MS + ROUGHLY));
}

static void a_new_generation_is_mended_for_at_once(void **state)
{
	struct mend_caller caller = { .cursor = port, .generation = 1, .may_block = true };
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(mend_due(ledger, &caller, 5000));
	caller.generation = 2;
	assert_false(mend_due(ledger, &caller, 5000)); /* ten times a second for the pod all the same */
	assert_true(mend_due(ledger, &caller, 5000 + MEND_GAP_MS + ROUGHLY));
	assert_false(mend_due(ledger, &caller, 5000 + 2 * MEND_GAP_MS + 2 * ROUGHLY)); /* once */
	caller.generation = (1ull << 32) + 2;                                          /* only the low half is kept */
	assert_true(mend_due(ledger, &caller, 5000 + 2 * MEND_EVERY_MS));
}

static void an_older_generation_is_no_reason_to_mend_again(void **state)
{
	struct mend_caller old = { .cursor = port, .generation = 7, .may_block = true };
	struct mend_caller young = { .cursor = port, .generation = 8, .may_block = true };
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(mend_due(ledger, &old, 5000));
	assert_true(mend_due(ledger, &young, 5000 + MEND_GAP_MS + ROUGHLY));
	/* A process that still has the old table, beside one that has the new. */
	assert_false(mend_due(ledger, &old, 5000 + 3 * MEND_GAP_MS));
	assert_false(mend_due(ledger, &young, 5000 + 5 * MEND_GAP_MS));
}

static void an_endpoint_that_returns_is_mended_for_at_once(void **state)
{
	struct mend_caller caller = { .cursor = port, .generation = 1, .may_block = false, .urgent = true };
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(mend_due(ledger, &caller, 5000));
	assert_false(mend_due(ledger, &caller, 5000 + MEND_GAP_MS - ROUGHLY));
	assert_true(mend_due(ledger, &caller, 5000 + MEND_GAP_MS + ROUGHLY));
}

static void no_news_makes_an_event_loop_wait_for_a_long_mend(void **state)
{
	struct mend_caller caller = { .cursor = port, .generation = 1, .may_block = false };
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_head *head = (struct ledger_head *)(void *)ledger->base;

	(void)state;
	assert_true(mend_due(ledger, &caller, 5000));
	head->mend_us = 20000;
	caller.generation = 2;
	caller.urgent = true;
	assert_false(mend_due(ledger, &caller, 5000 + 3 * MEND_GAP_MS));
	caller.may_block = true;
	assert_true(mend_due(ledger, &caller, 5000 + 3 * MEND_GAP_MS));
}

static void a_port_that_took_the_cursor_over_has_no_past(void **state)
{
	struct ledger_key successor = { port.slot, port.tag + 1 };
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(due(ledger, port, true, 5000));
	assert_true(due(ledger, successor, true, 5000 + 2 * MEND_GAP_MS));
	assert_false(due(ledger, successor, true, 5000 + 4 * MEND_GAP_MS));
}

static void without_a_ledger_or_a_cursor_no_mend_is_due(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };

	(void)state;
	assert_false(due(&none, port, true, 5000));
	assert_false(due(ledger, (struct ledger_key){ 1000, 1 }, true, 5000));
}

/* mend_us: what the last mend took, as layout.h has it. */
static void who_may_not_block_leaves_long_mends_to_others(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_head *head = (struct ledger_head *)(void *)ledger->base;
	uint64_t now = 100000;

	(void)state;
	head->mend_us = 300;
	assert_true(due(ledger, port, false, now));
	assert_false(due(ledger, port, false, now + MEND_EVERY_MS - ROUGHLY)); /* never more often than the others */
	now += MEND_EVERY_MS + ROUGHLY;
	head->mend_us = 2900; /* short enough all the same */
	assert_true(due(ledger, port, false, now));
	head->mend_us = 13000;
	assert_false(due(ledger, port, false, now + 13000 - ROUGHLY));
	assert_true(due(ledger, port, false, now + 13000 + ROUGHLY));
	now += 13000 + ROUGHLY;
	assert_true(due(ledger, port, true, now + MEND_EVERY_MS + ROUGHLY));
	head->mend_us = UINT64_MAX; /* damage does not stop it for good */
	assert_true(due(ledger, port, false, 10000000));
}

static void a_process_whose_clock_was_read_earlier_does_not_mend_again(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(due(ledger, port, true, 5001));
	assert_false(due(ledger, port, true, 5000));
	assert_false(due(ledger, port, true, 4980));
	assert_false(due(ledger, port, true, 4900));
	assert_false(due(ledger, port, true, 5100));
}

static void a_time_in_the_far_future_does_not_stop_mending(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_head *head = (struct ledger_head *)(void *)ledger->base;

	(void)state;
	head->mended_ms = UINT64_MAX;
	assert_true(due(ledger, port, true, 5000));
	head->mended_ms = 5000 + 3600 * 1000;
	assert_true(due(ledger, other_port, true, 5000));
	assert_false(due(ledger, port, true, 5001));
	assert_true(due(ledger, port, true, 3600 * 1000));
	assert_true(due(ledger, port, true, 9000)); /* an hour ahead is damage as well */
}

static void no_mend_is_due_while_a_keeper_lives(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_keep(ledger, false, 50000);
	assert_false(due(ledger, port, true, 50000));
	assert_false(due(ledger, port, true, 50000 + LEDGER_KEPT_FOR_MS - 1));
	assert_false(due(ledger, port, true, 50000 - LEDGER_KEPT_FOR_MS + 1)); /* a clock that was read before the keeper's */
	assert_true(due(ledger, port, true, 50000 + LEDGER_KEPT_FOR_MS));
	ledger_keep(ledger, false, 60000);
	assert_false(due(ledger, port, true, 60000));
	ledger_unkeep(ledger);
	assert_true(due(ledger, port, true, 60000));
}

static void sign_of_life_from_the_future_is_none(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_keep(ledger, false, 50000 + LEDGER_KEPT_FOR_MS);
	assert_true(due(ledger, port, true, 50000));
	ledger_keep(ledger, false, UINT64_MAX);
	assert_true(due(ledger, port, true, 60000));
	ledger_keep(ledger, false, 1ull << 63);
	assert_true(due(ledger, port, true, 70000));
}

enum { ROUNDS = 300, THREADS = 6 };

static pthread_barrier_t barrier;
static unsigned winners[ROUNDS];

static void *ask_each_second(void *ledger)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		if (due(ledger, port, true, 5000 + (uint64_t)i * (MEND_EVERY_MS + ROUGHLY)))
			__atomic_add_fetch(&winners[i], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void of_many_who_ask_at_once_one_mends(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	pthread_t threads[THREADS];

	(void)state;
	memset(winners, 0, sizeof(winners));
	assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_each_second, ledger), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&barrier);
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(winners[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mend_is_due_once_a_second),
		TEST(each_port_has_a_second_of_its_own),
		TEST(a_new_generation_is_mended_for_at_once),
		TEST(an_older_generation_is_no_reason_to_mend_again),
		TEST(an_endpoint_that_returns_is_mended_for_at_once),
		TEST(no_news_makes_an_event_loop_wait_for_a_long_mend),
		TEST(a_port_that_took_the_cursor_over_has_no_past),
		TEST(without_a_ledger_or_a_cursor_no_mend_is_due),
		TEST(who_may_not_block_leaves_long_mends_to_others),
		TEST(a_process_whose_clock_was_read_earlier_does_not_mend_again),
		TEST(a_time_in_the_far_future_does_not_stop_mending),
		TEST(no_mend_is_due_while_a_keeper_lives),
		TEST(sign_of_life_from_the_future_is_none),
		TEST(of_many_who_ask_at_once_one_mends),
	};

	return RUN_TESTS(tests);
}
