/* SPDX-License-Identifier: Apache-2.0 */
/* The pauses between tries, which tests of the agent itself could only measure. */
#include "support/testing.h"

#include "kube/backoff.h"
#include "kube/reflector.h"

static struct backoff usual(void)
{
	const struct kube_timing timing = kube_timing_defaults();

	return (struct backoff){ timing.backoff_ms, timing.backoff_max_ms, timing.healthy_ms, 0, 0 };
}

/* Back-off: start, factor, cap */
static void a_pause_is_800_ms_and_doubles_up_to_30_s(void **state)
{
	static const uint32_t expected[] = { 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000 };
	struct backoff b = usual();

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(backoff_next(&b, 1000, 0), expected[i]);
}

/* Back-off: jitter */
static void chance_adds_up_to_as_much_again(void **state)
{
	struct backoff b = usual();

	(void)state;
	assert_int_equal(backoff_next(&b, 1000, UINT32_MAX), 1599);
	assert_int_equal(backoff_next(&b, 1000, UINT32_MAX / 2 + 1), 2400);
	for (int i = 0; i < 10; i++)
		backoff_next(&b, 1000, 0);
	assert_int_equal(backoff_next(&b, 1000, UINT32_MAX), 59999);
}

/* Back-off: reset after health */
static void two_minutes_of_health_begin_anew(void **state)
{
	struct backoff b = usual();

	(void)state;
	for (int i = 0; i < 10; i++)
		backoff_next(&b, 1000, 0);
	backoff_well(&b, 2000);
	assert_int_equal(backoff_next(&b, 2000 + 119999, 0), 30000);
	backoff_well(&b, 200000);
	assert_int_equal(backoff_next(&b, 200000 + 120000, 0), 800);
	assert_int_equal(backoff_next(&b, 200000 + 120000, 0), 1600);
}

/* A popular consumer restarts its pauses when they are at their longest. */
static void the_longest_pause_is_followed_by_the_longest(void **state)
{
	struct backoff b = usual();

	(void)state;
	for (int i = 0; i < 10; i++)
		backoff_next(&b, 1000, 0);
	for (uint64_t now_ms = 1000; now_ms < 10000000; now_ms += 30000)
		assert_int_equal(backoff_next(&b, now_ms, 0), 30000);
}

/* Between a success and the next failure health is what counts, not the success. */
static void one_success_between_failures_does_not_begin_anew(void **state)
{
	struct backoff b = usual();

	(void)state;
	assert_int_equal(backoff_next(&b, 1000, 0), 800);
	backoff_well(&b, 2000);
	assert_int_equal(backoff_next(&b, 3000, 0), 1600);
	backoff_well(&b, 4000);
	assert_int_equal(backoff_next(&b, 5000, 0), 3200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_is_800_ms_and_doubles_up_to_30_s),
		cmocka_unit_test(chance_adds_up_to_as_much_again),
		cmocka_unit_test(two_minutes_of_health_begin_anew),
		cmocka_unit_test(the_longest_pause_is_followed_by_the_longest),
		cmocka_unit_test(one_success_between_failures_does_not_begin_anew),
	};

	return RUN_TESTS(tests);
}
