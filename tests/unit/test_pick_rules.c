/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be picked, whatever the policy: not those that are out, not one twice in a dial, and clients apart. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/picks.h"
#include "support/table_builder.h"

static const char four[] = "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80";

static void those_that_are_not_usable_are_never_picked(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80! 10.0.0.3:80 10.0.0.4:80!");

	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		pick_many(p, balance, false, 200);
		assert_int_equal(p->counts[1] + p->counts[3], 0);
		if (balance != BALANCE_HASH)
			assert_true(p->counts[0] && p->counts[2]);
	}
	p = new_picks("10.0.0.1:80! 10.0.0.2:80!");
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
		assert_int_equal(next_of(p, balance, false), -1);
	assert_false(pick_has_left(&p->pick));
}

static void those_that_are_ejected_are_skipped(void **state)
{
	struct picks *p = new_picks_of(5);

	(void)state;
	eject(p, 0, p->pick.now_ms);
	eject(p, 3, p->pick.now_ms);
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		pick_many(p, balance, false, 300);
		assert_int_equal(p->counts[0] + p->counts[3], 0);
		if (balance == BALANCE_ROUND_ROBIN || balance == BALANCE_LEAST_CONN)
			assert_int_equal(p->counts[1], 100);
	}
	p->pick.now_ms += 6000; /* their time is over */
	pick_many(p, BALANCE_ROUND_ROBIN, false, 500);
	assert_int_equal(p->counts[0], 100);
}

static void each_is_tried_once_in_a_dial(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks_of(20);

		for (int i = 0; i < 20; i++) {
			int k = next_of(p, balance, false);

			assert_true(k >= 0);
			assert_true(pick_has_left(&p->pick));
			pick_mark_tried(&p->pick, (uint32_t)k);
			eject(p, (unsigned)k, p->pick.now_ms);
		}
		for (unsigned k = 0; k < 20; k++)
			assert_int_equal(p->counts[k], 1);
		assert_int_equal(next_of(p, balance, false), -1);
		assert_false(pick_has_left(&p->pick));
		end_of_test(NULL);
	}
}

static void a_dial_remembers_as_many_as_it_says(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks_of(PICK_MAX_TRIED);

		for (unsigned n = 0; n < PICK_MAX_TRIED; n++) {
			int k = next_of(p, balance, false);

			assert_true(k >= 0);
			pick_mark_tried(&p->pick, (uint32_t)k);
			eject(p, (unsigned)k, p->pick.now_ms);
		}
		for (unsigned k = 0; k < PICK_MAX_TRIED; k++)
			assert_int_equal(p->counts[k], 1);
		assert_int_equal(next_of(p, balance, false), -1);
		assert_false(pick_has_left(&p->pick));
		end_of_test(NULL);
	}
}

static void one_that_cannot_be_remembered_is_picked_all_the_same(void **state)
{
	struct picks *p = new_picks_of(MAX_ENDPOINTS);

	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
		pick_many(p, balance, false, 600);
	for (uint32_t i = 0; i < MAX_ENDPOINTS; i++)
		pick_mark_tried(&p->pick, i);
	pick_mark_tried(&p->pick, UINT32_MAX);
	assert_true(next_of(p, BALANCE_ROUND_ROBIN, false) >= PICK_MAX_TRIED);
}

/* No turn of another dial comes between, and nobody is ejected. */
static void without_a_ledger_a_dial_goes_on_to_another_of_many(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks_of(MAX_ENDPOINTS);
		struct candidate chosen;

		picks_forget_ledger(p);
		p->pick.noise = 700;
		for (unsigned n = 0; n < PICK_MAX_TRIED; n++) {
			assert_true(pick_has_left(&p->pick));
			assert_true(pick_next(&p->pick, balance, &chosen));
			if (p->counts[chosen.index]++)
				fail_msg("%s: attempt %u is at endpoint %u again", balance_policy(balance)->name, n, chosen.index);
			pick_mark_tried(&p->pick, chosen.index);
		}
		end_of_test(NULL);
	}
}

static void beyond_the_share_that_may_be_out_all_are_in(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks(four);

		if (balance == BALANCE_HASH)
			continue;
		p->pick.eject_percent = 50;
		eject(p, 0, p->pick.now_ms);
		eject(p, 1, p->pick.now_ms);
		pick_many(p, balance, false, 100);
		assert_int_equal(p->counts[0] + p->counts[1], 0);
		eject(p, 2, p->pick.now_ms); /* three of four: the judge is at fault */
		pick_many(p, balance, false, 400);
		for (unsigned i = 0; i < 4; i++)
			assert_true(p->counts[i] > 0);
		p->pick.now_ms += 6000;
		pick_many(p, balance, false, 400);
		assert_true(p->counts[3] < 200);
		end_of_test(NULL);
	}
}

static void a_dial_that_failed_once_goes_on_to_one_that_is_in(void **state)
{
	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks(four);

		p->pick.eject_percent = 50;
		for (unsigned i = 0; i < 3; i++)
			eject(p, i, p->pick.now_ms);
		pick_mark_tried(&p->pick, 1);
		assert_int_equal(next_of(p, balance, false), 3);
		end_of_test(NULL);
	}
}

static void those_that_timed_out_stay_out_while_there_are_others(void **state)
{
	struct ledger_verdict verdict = { 1, 1, 5000, 0, 0 };

	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks(four);

		p->pick.eject_percent = 50;
		for (unsigned i = 0; i < 3; i++)
			ledger_report(&p->ledger, key_of(p, i), OUTCOME_TIMED_OUT, &verdict, p->pick.now_ms);
		pick_many(p, balance, false, 100);
		assert_int_equal(p->counts[3], 100);
		ledger_report(&p->ledger, key_of(p, 3), OUTCOME_TIMED_OUT, &verdict, p->pick.now_ms);
		assert_true(next_of(p, balance, false) >= 0); /* one of them, rather than none */
		end_of_test(NULL);
	}
}

static void one_that_is_ejected_does_not_win_for_having_no_connections(void **state)
{
	struct picks *p = new_picks(four);

	(void)state;
	p->pick.eject_percent = 50;
	pick_many(p, BALANCE_LEAST_CONN, true, 40);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 10; k++)
			ledger_release(&p->ledger, key_of(p, i));
		eject(p, i, p->pick.now_ms);
	}
	pick_many(p, BALANCE_LEAST_CONN, false, 400);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(p->counts[i], 50, 200);
}

static void of_those_that_are_not_usable_none_counts_for_the_share(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80! 10.0.0.4:80!");

	(void)state;
	p->pick.eject_percent = 50;
	eject(p, 0, p->pick.now_ms);
	eject(p, 2, p->pick.now_ms);
	pick_many(p, BALANCE_ROUND_ROBIN, false, 100);
	assert_int_equal(p->counts[1], 100); /* one of two is out */
	eject(p, 1, p->pick.now_ms);
	pick_many(p, BALANCE_ROUND_ROBIN, false, 100);
	assert_int_equal(p->counts[0], 50);
	p->pick.eject_percent = 0; /* nobody may ever be out */
	pick_many(p, BALANCE_ROUND_ROBIN, false, 100);
	assert_int_equal(p->counts[0], 50);
}

static void when_all_are_ejected_the_one_that_failed_longest_ago_is_first(void **state)
{
	static const unsigned order[] = { 2, 0, 3, 1 };

	(void)state;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		struct picks *p = new_picks(four);

		p->pick.now_ms = 1000000;
		for (unsigned i = 0; i < 4; i++)
			eject(p, order[i], p->pick.now_ms - 1000 + i * 100);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(next_of(p, balance, false), order[i]);
			pick_mark_tried(&p->pick, order[i]);
		}
		assert_int_equal(next_of(p, balance, false), -1);
		end_of_test(NULL);
	}
}

static void of_no_endpoints_none_is_picked(void **state)
{
	struct picks *p = new_picks("");

	(void)state;
	for (int ledger = 0; ledger < 2; ledger++) {
		for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
			assert_int_equal(next_of(p, balance, false), -1);
		assert_false(pick_has_left(&p->pick));
		picks_forget_ledger(p);
	}
}

static void of_one_endpoint_it_is_picked(void **state)
{
	struct picks *p = new_picks("10.0.0.1:80*7");

	(void)state;
	for (int ledger = 0; ledger < 2; ledger++) {
		for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
			pick_many(p, balance, false, 10);
		picks_forget_ledger(p);
	}
	assert_int_equal(p->counts[0], 10);
}

static void a_policy_that_nobody_knows_picks_all_the_same(void **state)
{
	struct picks *p = new_picks(four);

	(void)state;
	assert_null(balance_policy(BALANCE_COUNT));
	assert_null(balance_policy(255));
	pick_many(p, 255, false, 40);
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
		assert_true(balance_policy(balance)->name[0] && balance_policy(balance)->help[0]);
}

static void without_a_ledger_dials_still_spread(void **state)
{
	struct picks *p = new_picks_of(8);

	(void)state;
	picks_forget_ledger(p);
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++) {
		if (balance == BALANCE_HASH)
			continue;
		pick_many(p, balance, false, 1600);
		for (unsigned i = 0; i < 8; i++)
			assert_in_range(p->counts[i], 140, 260);
	}
}

/* ---- clients apart ---- */

static bool is_usable(const struct picks *p, unsigned i)
{
	return table_rows_brief(&p->pick.rows, i).flags & ENDPOINT_USABLE;
}

/* Each of `clients` pods has a ledger of its own, and opens one connection. Where `peers` is not known, `first` is an ordinal. */
static void clients_start_apart(uint8_t balance, unsigned clients, uint32_t first, uint32_t peers, struct picks *p)
{
	unsigned servers = 0;

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		servers += is_usable(p, i);
	memset(p->counts, 0, sizeof(p->counts));
	for (unsigned rank = 0; rank < clients; rank++) {
		memset(p->ledger.base + p->ledger.cursors_offset, 0, p->ledger.size - p->ledger.cursors_offset);
		p->pick.rank = first + rank;
		p->pick.peers = peers;
		p->pick.identity = rank * 7919 + 1;
		assert_true(next_of(p, balance, true) >= 0);
	}
	for (unsigned i = 0; i < p->pick.rows.count; i++) {
		unsigned least = is_usable(p, i) ? clients / servers : 0;
		unsigned most = is_usable(p, i) ? (clients + servers - 1) / servers : 0;

		if (p->counts[i] < least || p->counts[i] > most)
			fail_msg("policy %u: of %u clients from %u on, server %u of %u has %u", balance, clients, first, i,
				 servers, p->counts[i]);
	}
}

static void clients_of_each_kind_start_apart(unsigned clients, struct picks *p)
{
	static const uint8_t in_turn[] = { BALANCE_LEAST_CONN, BALANCE_ROUND_ROBIN };

	for (size_t i = 0; i < sizeof(in_turn); i++) {
		clients_start_apart(in_turn[i], clients, 0, clients, p);
		clients_start_apart(in_turn[i], clients, 0, CLIENT_PEERS_UNKNOWN, p);
		clients_start_apart(in_turn[i], clients, 1000003, CLIENT_PEERS_UNKNOWN, p); /* only those that follow each other */
	}
}

static void clients_of_known_rank_meet_only_when_they_must(void **state)
{
	(void)state;
	for (unsigned servers = 1; servers <= 50; servers++) {
		struct picks *p = new_picks_of(servers);

		for (unsigned clients = 1; clients <= 50; clients++)
			clients_of_each_kind_start_apart(clients, p);
		end_of_test(NULL);
	}
}

/* `usable` endpoints, and others among them that are not: by `pattern`, in front, in the middle or behind. */
static struct picks *picks_with_holes(unsigned usable, unsigned pattern)
{
	char text[4096] = "";
	unsigned n = 0;

	for (unsigned i = 0; i < usable; i++) {
		for (unsigned k = 0; k < (i * pattern + pattern) % 4; k++, n++)
			sprintf(text + strlen(text), "10.0.0.%u:80! ", n + 1);
		sprintf(text + strlen(text), "10.0.0.%u:80 ", ++n);
	}
	if (pattern == 2)
		sprintf(text + strlen(text), "10.0.0.%u:80! 10.0.0.%u:80!", n + 1, n + 2);
	return new_picks(text);
}

static void endpoints_that_are_not_usable_do_not_make_clients_meet(void **state)
{
	(void)state;
	for (unsigned usable = 1; usable <= 50; usable++) {
		for (unsigned pattern = 1; pattern <= 3; pattern++) {
			struct picks *p = picks_with_holes(usable, pattern);

			for (unsigned clients = 1; clients <= 50; clients++)
				clients_of_each_kind_start_apart(clients, p);
			end_of_test(NULL);
		}
	}
}

/* Of a table that does not tell it, as that of an older version. */
static void usable_endpoints_are_counted_where_their_number_is_not_known(void **state)
{
	(void)state;
	for (unsigned usable = 1; usable <= 8; usable++) {
		for (unsigned pattern = 0; pattern < 3; pattern++) {
			struct picks *p = picks_with_holes(usable, pattern);

			p->pick.usable = p->pick.weight = 0;
			p->pick.heaviest = 0;
			for (unsigned clients = 1; clients <= 20; clients++)
				clients_of_each_kind_start_apart(clients, p);
			end_of_test(NULL);
		}
	}
}

static void clients_of_unknown_rank_start_by_their_identity(void **state)
{
	struct picks *p = new_picks_of(10);
	uint64_t random = 15;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		memset(p->ledger.base + p->ledger.cursors_offset, 0, p->ledger.size - p->ledger.cursors_offset);
		p->pick.identity = next_random(&random);
		next_of(p, BALANCE_LEAST_CONN, true);
	}
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(p->counts[i], 60, 140);
}

static void a_rank_beyond_the_peers_does_no_harm(void **state)
{
	struct picks *p = new_picks(four);

	(void)state;
	p->pick.rank = UINT32_MAX;
	p->pick.peers = 3;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
		pick_many(p, balance, false, 100);
	p->pick.peers = CLIENT_PEERS_UNKNOWN;
	for (uint8_t balance = 0; balance < BALANCE_COUNT; balance++)
		pick_many(p, balance, false, 100);
	assert_true(p->counts[0] + p->counts[1] + p->counts[2] + p->counts[3] == 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(those_that_are_not_usable_are_never_picked),
		TEST(those_that_are_ejected_are_skipped),
		TEST(each_is_tried_once_in_a_dial),
		TEST(a_dial_remembers_as_many_as_it_says),
		TEST(one_that_cannot_be_remembered_is_picked_all_the_same),
		TEST(without_a_ledger_a_dial_goes_on_to_another_of_many),
		TEST(beyond_the_share_that_may_be_out_all_are_in),
		TEST(a_dial_that_failed_once_goes_on_to_one_that_is_in),
		TEST(those_that_timed_out_stay_out_while_there_are_others),
		TEST(one_that_is_ejected_does_not_win_for_having_no_connections),
		TEST(of_those_that_are_not_usable_none_counts_for_the_share),
		TEST(when_all_are_ejected_the_one_that_failed_longest_ago_is_first),
		TEST(of_no_endpoints_none_is_picked),
		TEST(of_one_endpoint_it_is_picked),
		TEST(a_policy_that_nobody_knows_picks_all_the_same),
		TEST(without_a_ledger_dials_still_spread),
		TEST(clients_of_known_rank_meet_only_when_they_must),
		TEST(endpoints_that_are_not_usable_do_not_make_clients_meet),
		TEST(usable_endpoints_are_counted_where_their_number_is_not_known),
		TEST(clients_of_unknown_rank_start_by_their_identity),
		TEST(a_rank_beyond_the_peers_does_no_harm),
	};

	return RUN_TESTS(tests);
}
