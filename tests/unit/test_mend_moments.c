/* SPDX-License-Identifier: Apache-2.0 */
/* Dials at every moment of a mend, and claims whose owners died: no mend erases what somebody has, nor counts it twice.
 */
#include "support/testing.h"

#include <sys/socket.h>

#include "ledger/moves.h"
#include "support/cleanup.h"
#include "support/scenes.h"

enum { MOMENTS = 40 }; /* more than such a mend has */

static void somebody_claims(struct scene *s)
{
	ledger_claim(s->ledger, s->backends[0].key);
}

static void somebody_dials(struct scene *s)
{
	dial(s, 0, 1);
}

static void somebody_fails(struct scene *s)
{
	ledger_claim(s->ledger, s->backends[0].key);
	ledger_release(s->ledger, s->backends[0].key);
}

static void somebody_releases(struct scene *s)
{
	ledger_release(s->ledger, s->backends[0].key);
}

static void somebody_lands(struct scene *s)
{
	dial_as(s, 0, AF_INET, 0);
	ledger_landed(s->ledger, s->backends[0].key);
}

/*
 * At each moment of a mend once: two sockets are open and three more claims are of closed ones; `before` and then, in
 * the middle, `happens`. What is open must be `open` after this mend and every later one, or more until the next.
 */
static void at_each_moment(void (*before)(struct scene *), void (*happens)(struct scene *), uint32_t open,
			   uint32_t more)
{
	for (int moment = 0; moment < MOMENTS; moment++) {
		struct scene *s = new_scene();

		add_backend(s, "127.0.0.1", 0, 100);
		add_backend(s, "127.0.0.2", 0, 100);
		dial(s, 0, 2);
		dial(s, 1, 1);
		mend_once(s);
		if (before)
			before(s);
		s->happens = happens;
		s->moment = moment;
		mend_once(s);
		if (s->calls <= moment)
			happens(s); /* this mend had fewer moments: it happens after it */
		s->moment = -1;
		assert_in_range(active_at(s, 0), open, open + more);
		mend_once(s);
		mend_once(s);
		assert_int_equal(active_at(s, 1), 1);
		if (happens != somebody_claims)
			assert_int_equal(active_at(s, 0), open);
		end_of_test(NULL);
	}
}

static void a_claim_made_at_any_moment_survives_the_mend(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_claims, 3, 0);
}

static void a_dial_at_any_moment_is_counted_once(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_dials, 3, 0);
}

static void a_failed_dial_at_any_moment_is_not_counted(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_fails, 2, 0);
}

static void a_claim_of_before_that_fails_at_any_moment_is_not_counted(void **state)
{
	(void)state;
	at_each_moment(somebody_claims, somebody_releases, 2, 0);
}

static void a_claim_of_before_that_lands_at_any_moment_is_counted_once(void **state)
{
	(void)state;
	at_each_moment(somebody_claims, somebody_lands, 3, 0);
}

/* As a connection that has to move: given up, and closed at once. */
static void somebody_moves(struct scene *s)
{
	struct ledger_load load = ledger_load(s->ledger, s->backends[0].key, s->now_ms);

	assert_true(ledger_give_up_if(s->ledger, s->backends[0].key, &load));
	assert_int_equal(shutdown(s->sockets[0], SHUT_RDWR), 0);
}

static void somebody_thinks_better_of_it(struct scene *s)
{
	assert_true(ledger_give_up(s->ledger, s->backends[0].key));
	ledger_take_back(s->ledger, s->backends[0].key);
}

static void one_that_moves_at_any_moment_is_counted_off_once(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_moves, 1, 0);
}

static void one_that_stays_after_all_at_any_moment_is_counted(void **state)
{
	(void)state;
	at_each_moment(NULL, somebody_thinks_better_of_it, 2, 0);
}

static void what_is_given_up_and_not_closed_counts_from_the_next_mend_until_it_is(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 3);
	mend_once(s);
	assert_true(ledger_give_up(s->ledger, s->backends[0].key));
	assert_int_equal(active_at(s, 0), 2);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3);
	ledger_take_back(s->ledger, s->backends[0].key); /* which the mend has done already */
	assert_int_equal(active_at(s, 0), 4);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 3);
	close_last(s, 1);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 2);
}

static void a_claim_whose_owner_died_is_settled_after_a_few_mends(void **state)
{
	struct scene *s = new_scene();
	int mends = 1;

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	dial(s, 0, 3);
	ledger_claim(s->ledger, s->backends[0].key);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 4); /* not by one */
	for (; mends < 6 && active_at(s, 0) != 3; mends++)
		mend_once(s);
	assert_in_range(mends, 2, 5);
	assert_int_equal(active_at(s, 0), 3);
	for (; mends < 30; mends++)
		mend_once(s);
	dial(s, 0, 2);
	close_last(s, 1);
	mend_once(s);
	assert_int_equal(active_at(s, 0), 4); /* at once again: everything has landed */
}

static void an_owner_that_was_only_slow_is_counted_in_the_end(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 100);
	ledger_claim(s->ledger, s->backends[0].key);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
	somebody_lands(s);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active_at(s, 0), 1);
	close_last(s, 1);
	for (int i = 0; i < 8; i++)
		mend_once(s);
	assert_int_equal(active_at(s, 0), 0);
}

static void a_backend_that_never_stands_still_is_set_all_the_same(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	add_backend(s, "127.0.0.1", 0, 200);
	dial(s, 0, 50);
	close_last(s, 45);
	for (int i = 0; i < 10; i++) {
		s->happens = somebody_dials;
		s->moment = 3 + i % 3;
		mend_once(s);
		if (s->calls <= s->moment)
			somebody_dials(s);
	}
	assert_int_equal(s->socket_count, 15);
	assert_in_range(active_at(s, 0), 14, 17);
}

static void somebody_goes_silent(struct scene *s)
{
	s->silent = true;
}

static void a_list_that_ends_in_the_middle_erases_nothing(void **state)
{
	(void)state;
	for (int moment = 0; moment < MOMENTS; moment++) {
		struct scene *s = new_scene();

		add_backend(s, "127.0.0.1", 0, 100);
		add_backend(s, "127.0.0.2", 0, 100);
		dial(s, 0, 3);
		dial(s, 1, 2);
		s->happens = somebody_goes_silent;
		s->moment = moment;
		try_mend(s);
		assert_int_equal(active_at(s, 0), 3);
		assert_int_equal(active_at(s, 1), 2);
		s->silent = false;
		s->moment = -1;
		mend_once(s);
		assert_int_equal(active_at(s, 0), 3);
		end_of_test(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_claim_made_at_any_moment_survives_the_mend),
		TEST(a_dial_at_any_moment_is_counted_once),
		TEST(a_failed_dial_at_any_moment_is_not_counted),
		TEST(a_claim_of_before_that_fails_at_any_moment_is_not_counted),
		TEST(a_claim_of_before_that_lands_at_any_moment_is_counted_once),
		TEST(one_that_moves_at_any_moment_is_counted_off_once),
		TEST(one_that_stays_after_all_at_any_moment_is_counted),
		TEST(what_is_given_up_and_not_closed_counts_from_the_next_mend_until_it_is),
		TEST(a_claim_whose_owner_died_is_settled_after_a_few_mends),
		TEST(an_owner_that_was_only_slow_is_counted_in_the_end),
		TEST(a_backend_that_never_stands_still_is_set_all_the_same),
		TEST(a_list_that_ends_in_the_middle_erases_nothing),
	};

	return RUN_TESTS(tests);
}
