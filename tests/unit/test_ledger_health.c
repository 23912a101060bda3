/* SPDX-License-Identifier: Apache-2.0 */
/* What failures do to an endpoint's score: ejections, their end, and suspicion. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/ledgers.h"

#define NOW  1000000000ull
#define TICK (1u << LEDGER_TICK_SHIFT)

static const struct ledger_key key = { 3, 0xaaaa };

static bool report_at(const struct ledger *ledger, enum ledger_outcome outcome, unsigned refusals, unsigned timeouts,
		      uint64_t now_ms)
{
	struct ledger_verdict verdict = { (uint16_t)refusals, (uint16_t)timeouts, 5000, 0, 0 };

	return ledger_report(ledger, key, outcome, &verdict, now_ms);
}

static bool is_ejected(const struct ledger *ledger, uint64_t now_ms)
{
	return ledger_load(ledger, key, now_ms).ejected;
}

/* ---- ejection ---- */

static void enough_refusals_in_a_row_eject(void **state)
{
	(void)state;
	for (unsigned after = 1; after <= 5; after++) {
		struct ledger *ledger = new_ledger(8, 8);

		for (unsigned i = 1; i < after; i++) {
			assert_false(report_at(ledger, OUTCOME_REFUSED, after, 2, NOW));
			assert_false(is_ejected(ledger, NOW));
		}
		assert_true(report_at(ledger, OUTCOME_REFUSED, after, 2, NOW)); /* this report did it */
		assert_true(is_ejected(ledger, NOW));
		assert_false(report_at(ledger, OUTCOME_REFUSED, after, 2, NOW)); /* it was already */
		assert_int_equal(ledger_score(ledger, key, NOW).failures, after + 1);
	}
}

static void enough_timeouts_in_a_row_eject(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_false(report_at(ledger, OUTCOME_TIMED_OUT, 1, 3, NOW));
	assert_false(report_at(ledger, OUTCOME_TIMED_OUT, 1, 3, NOW));
	assert_false(is_ejected(ledger, NOW));
	assert_true(report_at(ledger, OUTCOME_TIMED_OUT, 1, 3, NOW));
	assert_true(is_ejected(ledger, NOW));
}

static void refusals_and_timeouts_are_counted_apart(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_false(report_at(ledger, OUTCOME_REFUSED, 3, 2, NOW));
	assert_false(report_at(ledger, OUTCOME_REFUSED, 3, 2, NOW));
	assert_false(report_at(ledger, OUTCOME_TIMED_OUT, 3, 2, NOW));
	assert_false(is_ejected(ledger, NOW));
	assert_true(report_at(ledger, OUTCOME_REFUSED, 3, 2, NOW));
}

static void a_success_ends_the_row_and_the_ejection(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_false(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW));
		assert_false(report_at(ledger, OUTCOME_TIMED_OUT, 2, 2, NOW));
		assert_false(report_at(ledger, OUTCOME_SUCCESS, 2, 2, NOW));
	}
	assert_false(is_ejected(ledger, NOW));
	assert_false(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW));
	assert_true(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW));
	assert_true(is_ejected(ledger, NOW));
	assert_false(report_at(ledger, OUTCOME_SUCCESS, 2, 2, NOW));
	assert_false(is_ejected(ledger, NOW));
	assert_int_equal(ledger_score(ledger, key, NOW).failures, 12);
}

static void an_ejection_ends_by_itself_and_the_next_failure_renews_it(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_true(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW) == false);
	assert_true(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW));
	assert_in_range(ledger_score(ledger, key, NOW).ejected_ms, 4500 - 2 * TICK, 5500);
	assert_true(is_ejected(ledger, NOW + 4500 - 2 * TICK));
	assert_false(is_ejected(ledger, NOW + 5500));
	assert_int_equal(ledger_score(ledger, key, NOW + 5500).ejected_ms, 0);
	assert_true(report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW + 6000));
	assert_true(is_ejected(ledger, NOW + 6000));
}

static void a_threshold_of_zero_never_ejects(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_false(report_at(ledger, OUTCOME_REFUSED, 0, 0, NOW));
		assert_false(report_at(ledger, OUTCOME_TIMED_OUT, 0, 0, NOW));
	}
	assert_false(is_ejected(ledger, NOW));
	assert_int_equal(ledger_score(ledger, key, NOW).failures, 200);
}

static void very_long_rows_of_failures_do_not_overflow(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (int i = 0; i < 70000; i++)
		report_at(ledger, OUTCOME_TIMED_OUT, 1, 0, NOW);
	assert_false(is_ejected(ledger, NOW)); /* timeouts did not run over into refusals */
	for (int i = 0; i < 70000; i++)
		report_at(ledger, OUTCOME_REFUSED, 0, 65535, NOW);
	assert_true(is_ejected(ledger, NOW)); /* 65535 timeouts are remembered */
}

static void times_may_wrap(void **state)
{
	static const uint64_t nows[] = { 0, 1, 15, ((1ull << 36) - 8), ((1ull << 36) - 4000), 1ull << 36 };

	(void)state;
	for (size_t i = 0; i < sizeof(nows) / sizeof(nows[0]); i++) {
		struct ledger *ledger = new_ledger(8, 8);

		assert_true(report_at(ledger, OUTCOME_REFUSED, 1, 2, nows[i]));
		assert_true(is_ejected(ledger, nows[i] + 4400));
		assert_false(is_ejected(ledger, nows[i] + 5500));
	}
}

static void whether_anybody_is_ejected_is_known_at_a_glance(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };
	struct ledger_head *head = (struct ledger_head *)(void *)ledger->base;

	(void)state;
	assert_false(ledger_any_ejected(&none, NOW));
	assert_false(ledger_any_ejected(ledger, NOW));
	report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW);
	assert_false(ledger_any_ejected(ledger, NOW));
	report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW);
	for (uint64_t at = NOW; is_ejected(ledger, at); at += 100)
		assert_true(ledger_any_ejected(ledger, at));
	assert_false(ledger_any_ejected(ledger, NOW + 10000));
	head->ejecting_until_ms = UINT64_MAX; /* damage does not hide the next one */
	report_at(ledger, OUTCOME_REFUSED, 2, 2, NOW + 10000);
	assert_true(ledger_any_ejected(ledger, NOW + 10000));
	assert_false(ledger_any_ejected(ledger, NOW + 30000));
}

static void it_is_known_until_the_last_ejection_ends(void **state)
{
	struct ledger_verdict longer = { 1, 1, 60000, 0, 0 };
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_report(ledger, (struct ledger_key){ 5, 1 }, OUTCOME_REFUSED, &longer, NOW);
	report_at(ledger, OUTCOME_REFUSED, 1, 2, NOW + 1000);
	assert_true(ledger_any_ejected(ledger, NOW + 54000));
	assert_false(ledger_any_ejected(ledger, NOW + 66000));
}

/* ---- suspicion ---- */

static void what_never_succeeded_is_suspect(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };

	(void)state;
	assert_true(ledger_suspect(ledger, key, NOW));
	assert_true(ledger_suspect(&none, key, NOW));
	report_at(ledger, OUTCOME_REFUSED, 1, 2, NOW);
	assert_true(ledger_suspect(ledger, key, NOW));
}

static void a_success_of_the_last_ten_seconds_clears(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	report_at(ledger, OUTCOME_SUCCESS, 1, 2, NOW);
	assert_false(ledger_suspect(ledger, key, NOW));
	assert_false(ledger_suspect(ledger, key, NOW + 10000 - TICK));
	assert_true(ledger_suspect(ledger, key, NOW + 10000 + 2 * TICK));
	report_at(ledger, OUTCOME_SUCCESS, 1, 2, NOW + 20000);
	assert_false(ledger_suspect(ledger, key, NOW + 20000));
}

static void a_failure_after_the_success_makes_suspect(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW);
	report_at(ledger, OUTCOME_TIMED_OUT, 5, 5, NOW + 1000);
	assert_true(ledger_suspect(ledger, key, NOW + 1000));
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW + 2000);
	assert_false(ledger_suspect(ledger, key, NOW + 2000));
}

static void a_failure_within_the_same_moment_makes_suspect(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW);
	report_at(ledger, OUTCOME_REFUSED, 5, 5, NOW);
	assert_true(ledger_suspect(ledger, key, NOW));
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW);
	assert_false(ledger_suspect(ledger, key, NOW));
}

/* Another process may have read the clock a moment after us. */
static void what_somebody_reported_a_moment_ahead_counts(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW + TICK);
	assert_false(ledger_suspect(ledger, key, NOW));
	report_at(ledger, OUTCOME_REFUSED, 5, 5, NOW + 3 * TICK);
	assert_in_range(ledger_failure_age(ledger, key, NOW + 2 * TICK), 0, 2);
}

static void a_failure_younger_than_the_success_is_doubted(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };

	(void)state;
	assert_false(ledger_doubted(ledger, key));
	assert_false(ledger_doubted(&none, key));
	report_at(ledger, OUTCOME_REFUSED, 5, 5, NOW);
	assert_true(ledger_doubted(ledger, key));
	report_at(ledger, OUTCOME_SUCCESS, 5, 5, NOW + 1000);
	assert_false(ledger_doubted(ledger, key));
	report_at(ledger, OUTCOME_TIMED_OUT, 5, 5, NOW + 2000);
	assert_true(ledger_doubted(ledger, key)); /* and stays so, however long ago */
}

static void the_age_of_a_failure_grows(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_int_equal(ledger_failure_age(ledger, key, NOW), UINT32_MAX);
	report_at(ledger, OUTCOME_REFUSED, 1, 2, NOW);
	assert_int_equal(ledger_failure_age(ledger, key, NOW), 0);
	assert_in_range(ledger_failure_age(ledger, key, NOW + 16000), 999, 1001);
	report_at(ledger, OUTCOME_TIMED_OUT, 1, 2, NOW + 16000);
	assert_int_equal(ledger_failure_age(ledger, key, NOW + 16000), 0);
}

/* ---- failures that a keeper shall not tell again ---- */

static void failures_that_were_told_are_taken_down_one_by_one(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_keep(ledger, false, NOW);
	assert_false(ledger_take_seen(ledger, key));
	ledger_note_seen(ledger, key, NOW);
	ledger_note_seen(ledger, key, NOW);
	assert_false(ledger_take_seen(ledger, (struct ledger_key){ key.slot, key.tag + 1 })); /* not that one's */
	assert_true(ledger_take_seen(ledger, key));
	assert_true(ledger_take_seen(ledger, key));
	assert_false(ledger_take_seen(ledger, key));
}

static void without_a_keeper_nothing_is_noted_for_it(void **state)
{
	struct ledger *ledger = new_ledger(8, 8), none = { .base = NULL };

	(void)state;
	ledger_note_seen(ledger, key, NOW);
	ledger_keep(ledger, false, NOW);
	ledger_note_seen(ledger, key, NOW + LEDGER_KEPT_FOR_MS);
	assert_false(ledger_take_seen(ledger, key));
	ledger_note_seen(&none, key, NOW);
	assert_false(ledger_take_seen(&none, key));
	ledger_forget_seen(&none);
	ledger_unkeep(&none);
}

static void notes_for_a_keeper_are_bounded(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	unsigned taken = 0;

	(void)state;
	ledger_keep(ledger, false, NOW);
	for (int i = 0; i < 1000; i++)
		ledger_note_seen(ledger, key, NOW);
	while (ledger_take_seen(ledger, key))
		taken++;
	assert_int_equal(taken, LEDGER_SEEN_MAX);
	row_of(ledger, key.slot)->seen = (uint64_t)key.tag << 32 | UINT32_MAX; /* damage */
	for (taken = 0; ledger_take_seen(ledger, key); taken++)
		;
	assert_int_equal(taken, LEDGER_SEEN_MAX);
}

static void notes_for_a_keeper_end_with_a_success(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	ledger_keep(ledger, false, NOW);
	ledger_note_seen(ledger, key, NOW);
	report_at(ledger, OUTCOME_REFUSED, 1, 2, NOW);
	report_at(ledger, OUTCOME_SUCCESS, 1, 2, NOW);
	assert_false(ledger_take_seen(ledger, key));
	ledger_note_seen(ledger, key, NOW);
	ledger_forget_seen(ledger);
	assert_false(ledger_take_seen(ledger, key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enough_refusals_in_a_row_eject),
		TEST(enough_timeouts_in_a_row_eject),
		TEST(refusals_and_timeouts_are_counted_apart),
		TEST(a_success_ends_the_row_and_the_ejection),
		TEST(an_ejection_ends_by_itself_and_the_next_failure_renews_it),
		TEST(a_threshold_of_zero_never_ejects),
		TEST(very_long_rows_of_failures_do_not_overflow),
		TEST(times_may_wrap),
		TEST(whether_anybody_is_ejected_is_known_at_a_glance),
		TEST(it_is_known_until_the_last_ejection_ends),
		TEST(what_never_succeeded_is_suspect),
		TEST(a_success_of_the_last_ten_seconds_clears),
		TEST(a_failure_after_the_success_makes_suspect),
		TEST(a_failure_within_the_same_moment_makes_suspect),
		TEST(what_somebody_reported_a_moment_ahead_counts),
		TEST(a_failure_younger_than_the_success_is_doubted),
		TEST(the_age_of_a_failure_grows),
		TEST(failures_that_were_told_are_taken_down_one_by_one),
		TEST(without_a_keeper_nothing_is_noted_for_it),
		TEST(notes_for_a_keeper_are_bounded),
		TEST(notes_for_a_keeper_end_with_a_success),
	};

	return RUN_TESTS(tests);
}
