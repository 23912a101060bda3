/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a dial, or the name of a Service, is ours: the rules that shim and explain share, and how long a table is believed. */
#include "support/testing.h"

#include "balance/rules.h"
#include "base/clock.h"
#include "base/host.h"
#include "support/cleanup.h"
#include "table/freshness.h"

enum { NOW_MS = 100000000, STALE_AFTER_MS = 60000 };

/* A head that was heard of so long ago; and what is read of it. */
struct heard {
	struct table_head head;
	struct table table;
	struct table_view view;
	struct table_rules rules;
};

static struct heard *heard_ago(struct heard *h, uint64_t ms)
{
	memset(h, 0, sizeof(*h));
	h->head.heartbeat_ms = NOW_MS - ms;
	h->table.base = (const uint8_t *)&h->head;
	h->table.size = sizeof(h->head);
	h->view.table = &h->table;
	h->rules.stale_after_ms = STALE_AFTER_MS;
	return h;
}

static enum rules_answer judged(const struct heard *h, const struct table_port *port, uint8_t mode, bool left_out)
{
	return rules_judge(&h->view, &h->rules, port, mode, left_out, NOW_MS);
}

static enum rules_answer judged_name(const struct heard *h, uint32_t stand_down, uint8_t mode, bool left_out)
{
	return rules_judge_names(&h->view, &h->rules, stand_down, mode, left_out, NOW_MS);
}

static void the_most_cautious_mode_counts(void **state)
{
	(void)state;
	for (uint32_t all = 0; all < MODE_COUNT; all++)
		for (uint32_t service = 0; service < MODE_COUNT; service++)
			for (uint32_t process = 0; process < MODE_COUNT; process++) {
				uint8_t mode = rules_mode(all, service, process);

				assert_true(mode >= all && mode >= service && mode >= process);
				assert_true(mode == all || mode == service || mode == process);
			}
	assert_int_equal(rules_mode(77, MODE_ON, MODE_ON), MODE_OFF);
	assert_int_equal(rules_mode(MODE_ON, UINT32_MAX, MODE_ON), MODE_OFF);
}

static void a_dial_is_ours_unless_something_forbids_it(void **state)
{
	struct table_port port = { .flags = SERVICE_OWN_ADDRESS }, down = { .stand_down = STAND_DOWN_MESH };
	struct heard heard;

	(void)state;
	heard_ago(&heard, 0);
	assert_int_equal(judged(&heard, &port, MODE_ON, false), RULES_OURS);
	assert_int_equal(judged(&heard, &port, MODE_OBSERVE, false), RULES_OBSERVED);
	assert_int_equal(judged(&heard, &port, MODE_OFF, false), RULES_OFF);
	assert_int_equal(judged(&heard, &port, MODE_ON, true), RULES_LEFT_OUT);
	assert_int_equal(judged(&heard, &down, MODE_OBSERVE, false), RULES_STOOD_DOWN);
	assert_int_equal(judged(&heard, &down, MODE_OFF, false), RULES_OFF);
}

static void an_old_list_is_the_last_word_on_a_service_that_only_we_know(void **state)
{
	struct table_port own = { .flags = SERVICE_OWN_ADDRESS }, ours = { 0 };
	struct heard heard;

	(void)state;
	heard_ago(&heard, STALE_AFTER_MS);
	assert_int_equal(judged(&heard, &own, MODE_ON, false), RULES_OURS);
	heard_ago(&heard, STALE_AFTER_MS + 1);
	assert_int_equal(judged(&heard, &own, MODE_ON, false), RULES_STALE);
	assert_int_equal(judged(&heard, &ours, MODE_ON, false), RULES_OURS);
	heard.head.flags = TABLE_STATIC;
	assert_int_equal(judged(&heard, &own, MODE_ON, false), RULES_OURS);
}

static void a_name_is_believed_for_five_seconds(void **state)
{
	struct heard heard;

	(void)state;
	heard_ago(&heard, TABLE_QUIET_AFTER_MS);
	assert_int_equal(judged_name(&heard, STAND_DOWN_NO, MODE_ON, false), RULES_OURS);
	assert_int_equal(judged_name(&heard, STAND_DOWN_NO, MODE_OBSERVE, false), RULES_OBSERVED);
	assert_int_equal(judged_name(&heard, STAND_DOWN_API, MODE_ON, false), RULES_STOOD_DOWN);
	assert_int_equal(judged_name(&heard, STAND_DOWN_NO, MODE_OFF, false), RULES_OFF);
	assert_int_equal(judged_name(&heard, STAND_DOWN_NO, MODE_ON, true), RULES_LEFT_OUT);
	heard_ago(&heard, TABLE_QUIET_AFTER_MS + 1);
	assert_int_equal(judged_name(&heard, STAND_DOWN_NO, MODE_ON, false), RULES_STALE);
}

static void the_process_has_its_own_policy_or_that_of_the_service(void **state)
{
	struct table_port port = { .policy.balance = BALANCE_P2C };

	(void)state;
	assert_int_equal(rules_balance(&port, -1), BALANCE_P2C);
	assert_int_equal(rules_balance(&port, BALANCE_LEAST_CONN), BALANCE_LEAST_CONN);
}

static void freshness_ends_in_two_steps(void **state)
{
	struct heard heard;

	(void)state;
	assert_int_equal(table_freshness(&heard_ago(&heard, 0)->table, STALE_AFTER_MS, NOW_MS), FRESH);
	assert_int_equal(table_freshness(&heard_ago(&heard, 5001)->table, STALE_AFTER_MS, NOW_MS), QUIET);
	assert_int_equal(table_freshness(&heard_ago(&heard, 60001)->table, STALE_AFTER_MS, NOW_MS), STALE);
	heard.head.heartbeat_ms = NOW_MS + 100000; /* by a clock that was read later */
	assert_int_equal(table_freshness(&heard.table, STALE_AFTER_MS, NOW_MS), FRESH);
}

static void a_table_is_of_one_boot(void **state)
{
	struct heard heard;

	(void)state;
	heard_ago(&heard, 0);
	host_boot_id(heard.head.boot_id);
	assert_true(table_is_of_boot(&heard.table));
	heard.head.boot_id[3] ^= 1;
	assert_false(table_is_of_boot(&heard.table));
	heard.head.flags = TABLE_STATIC;
	assert_true(table_is_of_boot(&heard.table));
}

static void without_a_boot_id_a_time_that_has_not_come_is_of_another_boot(void **state)
{
	struct heard heard;

	(void)state;
	heard_ago(&heard, 0);
	heard.head.heartbeat_ms = clock_boot_ms();
	assert_true(table_is_of_boot(&heard.table));
	heard.head.heartbeat_ms = clock_boot_ms() + 2 * TABLE_QUIET_AFTER_MS + 60000;
	assert_false(table_is_of_boot(&heard.table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_most_cautious_mode_counts),
		TEST(a_dial_is_ours_unless_something_forbids_it),
		TEST(an_old_list_is_the_last_word_on_a_service_that_only_we_know),
		TEST(a_name_is_believed_for_five_seconds),
		TEST(the_process_has_its_own_policy_or_that_of_the_service),
		TEST(freshness_ends_in_two_steps),
		TEST(a_table_is_of_one_boot),
		TEST(without_a_boot_id_a_time_that_has_not_come_is_of_another_boot),
	};

	return RUN_TESTS(tests);
}
