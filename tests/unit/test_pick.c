/* SPDX-License-Identifier: Apache-2.0 */
/* Who is next: each policy over the endpoints of one port, and what all of them have in common. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/picks.h"
#include "support/table_builder.h"

static const char four[] = "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80";
static const char weighted[] = "10.0.0.1:80*5 10.0.0.2:80*3 10.0.0.3:80*1 10.0.0.4:80*2";
static const unsigned weights[] = { 5, 3, 1, 2 };

static void assert_even(const unsigned *counts, unsigned n, unsigned slack)
{
	unsigned least = counts[0], most = counts[0];

	for (unsigned i = 1; i < n; i++) {
		least = counts[i] < least ? counts[i] : least;
		most = counts[i] > most ? counts[i] : most;
	}
	if (most - least > slack)
		fail_msg("between %u and %u", least, most);
}

/* ---- round_robin ---- */

static void round_robin_is_exact(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 50; n++) {
		struct picks *p = new_picks_of(n);

		pick_many(p, BALANCE_ROUND_ROBIN, false, n * 20);
		assert_even(p->counts, n, 0);
		pick_many(p, BALANCE_ROUND_ROBIN, false, n - 1);
		assert_even(p->counts, n, 1);
		end_of_test(NULL);
	}
}

static void round_robin_never_takes_one_twice_in_a_round(void **state)
{
	struct picks *p = new_picks_of(7);

	(void)state;
	for (int round = 0; round < 100; round++) {
		pick_many(p, BALANCE_ROUND_ROBIN, false, 7);
		assert_even(p->counts, 7, 0);
	}
}

static void round_robin_gives_heavy_ones_their_share_in_each_round(void **state)
{
	struct picks *p = new_picks(weighted);
	int last = -1, run = 0;

	(void)state;
	for (int round = 0; round < 50; round++) {
		pick_many(p, BALANCE_ROUND_ROBIN, false, 5 + 3 + 1 + 2);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(p->counts[i], weights[i]);
	}
	for (int i = 0; i < 110; i++) { /* the turns of the heaviest are spread over the round */
		int now = next_of(p, BALANCE_ROUND_ROBIN, false);

		run = now == last ? run + 1 : 1;
		last = now;
		assert_in_range(run, 1, 2);
	}
}

static void round_robin_of_many_weights_is_exact(void **state)
{
	uint64_t random = 11;

	(void)state;
	for (int i = 0; i < 60; i++) {
		unsigned n = 2 + (unsigned)(next_random(&random) % 8), total = 0;
		char text[400] = "";
		struct table_rows *rows;
		struct picks *p;

		for (unsigned k = 0; k < n; k++)
			sprintf(text + strlen(text), "10.0.0.%u:80*%u ", k + 1,
				1 + (unsigned)(next_random(&random) % 30));
		p = new_picks(text);
		rows = &p->pick.rows;
		for (unsigned k = 0; k < n; k++)
			total += table_rows_brief(rows, k).weight;
		pick_many(p, BALANCE_ROUND_ROBIN, false, total * 3);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(p->counts[k], table_rows_brief(rows, k).weight * 3);
		end_of_test(NULL);
	}
}

/* ---- least_conn ---- */

static void least_conn_takes_the_emptiest(void **state)
{
	struct picks *p = new_picks(four);
	static const unsigned open[] = { 3, 1, 4, 2 };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < open[i]; k++)
			ledger_claim(&p->ledger, key_of(p, i));
	assert_int_equal(next_of(p, BALANCE_LEAST_CONN, false), 1);
	pick_many(p, BALANCE_LEAST_CONN, true, 6); /* until all have four */
	assert_int_equal(p->counts[0], 1);
	assert_int_equal(p->counts[1], 3);
	assert_int_equal(p->counts[2], 0);
	assert_int_equal(p->counts[3], 2);
}

static void least_conn_stays_within_one(void **state)
{
	uint64_t random = 12;

	(void)state;
	for (unsigned n = 1; n <= 20; n++) {
		struct picks *p = new_picks_of(n);
		unsigned open[MAX_ENDPOINTS] = { 0 };

		for (int i = 0; i < 300; i++) {
			open[next_of(p, BALANCE_LEAST_CONN, true)]++;
			assert_even(open, n, 1);
		}
		for (int i = 0; i < 100; i++) { /* any one closes: its place is the next */
			unsigned k = (unsigned)(next_random(&random) % n);

			ledger_release(&p->ledger, key_of(p, k));
			open[k]--;
			open[next_of(p, BALANCE_LEAST_CONN, true)]++;
			assert_even(open, n, 1);
		}
		end_of_test(NULL);
	}
}

static void ties_of_least_conn_go_round(void **state)
{
	struct picks *p = new_picks_of(7);
	unsigned total[7] = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) { /* as short connections do: closed before the next one opens */
		int k = next_of(p, BALANCE_LEAST_CONN, true);

		ledger_release(&p->ledger, key_of(p, (unsigned)k));
		total[k]++;
	}
	assert_even(total, 7, 1);
}

static void least_conn_fills_by_weight(void **state)
{
	struct picks *p = new_picks(weighted);

	(void)state;
	for (unsigned round = 1; round <= 10; round++) {
		for (int i = 0; i < 11; i++)
			assert_true(next_of(p, BALANCE_LEAST_CONN, true) >= 0);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(p->counts[i], weights[i] * round);
	}
}

/* ---- random and p2c ---- */

static void random_takes_all_by_their_weight(void **state)
{
	struct picks *p = new_picks(weighted);

	(void)state;
	pick_many(p, BALANCE_RANDOM, false, 11000);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(p->counts[i], weights[i] * 850, weights[i] * 1150);
}

static void random_differs_between_clients(void **state)
{
	struct picks *one = new_picks_of(10), *two = new_picks_of(10);
	unsigned same = 0;

	(void)state;
	two->pick.identity = 2;
	for (int i = 0; i < 1000; i++)
		same += next_of(one, BALANCE_RANDOM, false) == next_of(two, BALANCE_RANDOM, false);
	assert_in_range(same, 50, 200);
}

static void p2c_takes_all_and_prefers_the_emptier(void **state)
{
	struct picks *p = new_picks_of(10);

	(void)state;
	pick_many(p, BALANCE_P2C, true, 1000);
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(p->counts[i], 85, 115); /* by chance alone: 70 to 130 */
	for (int i = 0; i < 500; i++)
		ledger_claim(&p->ledger, key_of(p, 4));
	pick_many(p, BALANCE_P2C, false, 1000);
	assert_in_range(p->counts[4], 0, 5);
}

static void p2c_of_two_takes_the_emptier(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	ledger_claim(&p->ledger, key_of(p, 0));
	pick_many(p, BALANCE_P2C, false, 200);
	assert_true(p->counts[1] >= 180);
}

/* ---- hash ---- */

static int hash_of(struct picks *p, uint64_t identity)
{
	p->pick.identity = identity;
	return next_of(p, BALANCE_HASH, false);
}

static void hash_keeps_each_client_where_it_is(void **state)
{
	struct picks *p = new_picks_of(10), *elsewhere = new_picks_of(10);

	(void)state;
	for (uint64_t client = 1; client <= 300; client++) {
		int first = hash_of(p, client * 0x9e3779b97f4a7c15u);

		for (int i = 0; i < 5; i++)
			assert_int_equal(hash_of(p, client * 0x9e3779b97f4a7c15u), first);
		/* The table's instance, and so slots and tags, do not count. */
		assert_int_equal(hash_of(elsewhere, client * 0x9e3779b97f4a7c15u), first);
	}
}

static void hash_spreads_clients_by_weight(void **state)
{
	struct picks *p = new_picks(weighted);
	uint64_t random = 13;

	(void)state;
	for (int i = 0; i < 11000; i++)
		hash_of(p, next_random(&random));
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(p->counts[i], weights[i] * 850, weights[i] * 1150);
}

static void hash_moves_only_the_clients_of_a_lost_endpoint(void **state)
{
	struct picks *p = new_picks_of(10);
	unsigned moved[10] = { 0 };
	uint64_t random = 14;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t client = next_random(&random);
		int before = hash_of(p, client), now;

		eject(p, 3, p->pick.now_ms);
		now = hash_of(p, client);
		assert_int_not_equal(now, 3);
		if (before == 3)
			moved[now]++;
		else
			assert_int_equal(now, before);
		ledger_report(&p->ledger, key_of(p, 3), OUTCOME_SUCCESS, &(struct ledger_verdict){ 1, 1, 5000, 0, 0 }, 0);
	}
	for (unsigned i = 0; i < 10; i++) /* about 200 over nine others */
		assert_in_range(moved[i], i == 3 ? 0 : 5, i == 3 ? 0 : 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_robin_is_exact),
		TEST(round_robin_never_takes_one_twice_in_a_round),
		TEST(round_robin_gives_heavy_ones_their_share_in_each_round),
		TEST(round_robin_of_many_weights_is_exact),
		TEST(least_conn_takes_the_emptiest),
		TEST(least_conn_stays_within_one),
		TEST(ties_of_least_conn_go_round),
		TEST(least_conn_fills_by_weight),
		TEST(random_takes_all_by_their_weight),
		TEST(random_differs_between_clients),
		TEST(p2c_takes_all_and_prefers_the_emptier),
		TEST(p2c_of_two_takes_the_emptier),
		TEST(hash_keeps_each_client_where_it_is),
		TEST(hash_spreads_clients_by_weight),
		TEST(hash_moves_only_the_clients_of_a_lost_endpoint),
	};

	return RUN_TESTS(tests);
}
