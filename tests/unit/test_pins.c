/* SPDX-License-Identifier: Apache-2.0 */
/* Pins of a Service with sessionAffinity: whom they name, for how long, and who wins a race for one. Times are given. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/picks.h"

enum { TIMEOUT_S = 600, NOW_MS = 1000000 };

static const struct ledger_key cursor = { 3, 0x11223344 };

static void pin_to(const struct ledger *ledger, bool v4, uint32_t tag, uint64_t now_ms)
{
	struct ledger_pin before = ledger_pin(ledger, cursor, v4, TIMEOUT_S, now_ms);

	assert_true(ledger_set_pin(ledger, cursor, v4, &before, tag, now_ms));
}

static uint32_t pinned(const struct ledger *ledger, bool v4, uint64_t now_ms)
{
	return ledger_pin(ledger, cursor, v4, TIMEOUT_S, now_ms).tag;
}

static void a_new_ledger_has_no_pin(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_int_equal(pinned(ledger, true, NOW_MS), 0);
	assert_int_equal(pinned(ledger, false, NOW_MS), 0);
}

static void a_pin_ends_when_nobody_dials_for_its_timeout(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	pin_to(ledger, true, 77, NOW_MS);
	assert_int_equal(pinned(ledger, true, NOW_MS + TIMEOUT_S * 1000), 77);
	assert_int_equal(pinned(ledger, true, NOW_MS + TIMEOUT_S * 1000 + 32), 0);
}

static void each_dial_makes_a_pin_last_longer(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t now = NOW_MS;

	(void)state;
	pin_to(ledger, true, 77, now);
	for (int i = 0; i < 100; i++) {
		now += TIMEOUT_S * 1000 - 100;
		assert_int_equal(pinned(ledger, true, now), 77);
		pin_to(ledger, true, 77, now);
	}
	assert_int_equal(pinned(ledger, true, now + TIMEOUT_S * 1000 + 32), 0);
}

static void a_timeout_may_be_a_day(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	const uint64_t day_ms = 86400000;

	(void)state;
	pin_to(ledger, true, 77, NOW_MS);
	assert_int_equal(ledger_pin(ledger, cursor, true, 86400, NOW_MS + day_ms).tag, 77);
	assert_int_equal(ledger_pin(ledger, cursor, true, 86400, NOW_MS + day_ms + 32).tag, 0);
}

static void times_that_wrap_are_compared_all_the_same(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t end = 1ull << 36; /* the last tick of 32 bits ends here, in milliseconds */

	(void)state;
	pin_to(ledger, true, 77, end - 1000);
	assert_int_equal(pinned(ledger, true, end + 1000), 77);
	pin_to(ledger, true, 78, end); /* a time of 0, which would be no pin */
	assert_int_equal(pinned(ledger, true, end), 78);
	assert_int_equal(pinned(ledger, true, end + TIMEOUT_S * 1000 + 64), 0);
}

static void a_process_whose_clock_was_read_earlier_keeps_the_later_time(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	pin_to(ledger, true, 77, NOW_MS);
	pin_to(ledger, true, 77, NOW_MS - 60000);
	assert_int_equal(pinned(ledger, true, NOW_MS + TIMEOUT_S * 1000), 77);
	assert_int_equal(pinned(ledger, true, NOW_MS - 60000), 77);
}

static void a_time_far_ahead_is_damage(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	pin_to(ledger, true, 77, NOW_MS + 2ull * 86400000);
	assert_int_equal(pinned(ledger, true, NOW_MS), 0);
}

static void families_and_ports_are_pinned_apart(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_key other = { 4, 0x55667788 };

	(void)state;
	pin_to(ledger, true, 77, NOW_MS);
	assert_int_equal(pinned(ledger, false, NOW_MS), 0);
	assert_int_equal(ledger_pin(ledger, other, true, TIMEOUT_S, NOW_MS).tag, 0);
	pin_to(ledger, false, 99, NOW_MS);
	assert_int_equal(pinned(ledger, true, NOW_MS), 77);
	assert_int_equal(pinned(ledger, false, NOW_MS), 99);
}

static void of_two_who_saw_the_same_pin_one_moves_it(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_pin one = ledger_pin(ledger, cursor, true, TIMEOUT_S, NOW_MS), two = one;

	(void)state;
	assert_true(ledger_set_pin(ledger, cursor, true, &one, 77, NOW_MS));
	assert_false(ledger_set_pin(ledger, cursor, true, &two, 78, NOW_MS));
	assert_int_equal(pinned(ledger, true, NOW_MS), 77);
}

static void without_a_ledger_nothing_is_pinned_and_nothing_lost(void **state)
{
	struct ledger none = { .base = NULL };
	struct ledger_pin pin = ledger_pin(&none, cursor, true, TIMEOUT_S, NOW_MS);

	(void)state;
	assert_int_equal(pin.tag, 0);
	assert_true(ledger_set_pin(&none, cursor, true, &pin, 77, NOW_MS));
}

/* ---- the choice ---- */

static int choose(struct picks *p, uint32_t tag)
{
	struct candidate chosen;

	return pick_pinned(&p->pick, tag, &chosen) ? (int)chosen.index : -1;
}

static void the_pinned_endpoint_is_chosen(void **state)
{
	struct picks *p = new_picks_of(10);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(choose(p, key_of(p, i).tag), i);
}

static void without_a_pin_the_hash_chooses_as_for_a_process_without_a_ledger(void **state)
{
	struct picks *p = new_picks_of(10);

	(void)state;
	for (uint64_t identity = 1; identity < 100; identity++) {
		int with;

		p->pick.identity = identity;
		with = choose(p, 0);
		assert_int_equal(with, next_of(p, BALANCE_HASH, false));
	}
	for (uint64_t identity = 1; identity < 100; identity++) {
		struct ledger none = { .base = NULL };
		int with;

		p->pick.identity = identity;
		with = choose(p, 0);
		p->pick.ledger = &none;
		assert_int_equal(choose(p, 0), with);
		p->pick.ledger = &p->ledger;
	}
}

static void a_pin_to_no_endpoint_of_the_port_is_no_pin(void **state)
{
	struct picks *p = new_picks_of(10);
	int hashed = choose(p, 0);

	(void)state;
	for (uint32_t tag = 1; tag < 200; tag++)
		assert_int_equal(choose(p, tag), hashed);
}

static void a_pin_to_one_that_is_out_tried_or_not_usable_is_dropped(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80! 10.0.0.3:80 10.0.0.4:80");

	(void)state;
	assert_int_not_equal(choose(p, key_of(p, 1).tag), 1);
	p->pick.eject_percent = 50;
	eject(p, 0, p->pick.now_ms);
	assert_int_not_equal(choose(p, key_of(p, 0).tag), 0);
	pick_mark_tried(&p->pick, 2);
	assert_int_equal(choose(p, key_of(p, 2).tag), 3);
	pick_mark_tried(&p->pick, 3);
	assert_int_equal(choose(p, key_of(p, 2).tag), 0); /* the last that is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_ledger_has_no_pin),
		TEST(a_pin_ends_when_nobody_dials_for_its_timeout),
		TEST(each_dial_makes_a_pin_last_longer),
		TEST(a_timeout_may_be_a_day),
		TEST(times_that_wrap_are_compared_all_the_same),
		TEST(a_process_whose_clock_was_read_earlier_keeps_the_later_time),
		TEST(a_time_far_ahead_is_damage),
		TEST(families_and_ports_are_pinned_apart),
		TEST(of_two_who_saw_the_same_pin_one_moves_it),
		TEST(without_a_ledger_nothing_is_pinned_and_nothing_lost),
		TEST(the_pinned_endpoint_is_chosen),
		TEST(without_a_pin_the_hash_chooses_as_for_a_process_without_a_ledger),
		TEST(a_pin_to_no_endpoint_of_the_port_is_no_pin),
		TEST(a_pin_to_one_that_is_out_tried_or_not_usable_is_dropped),
	};

	return RUN_TESTS(tests);
}
