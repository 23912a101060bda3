/* SPDX-License-Identifier: Apache-2.0 */
/* Policy keys: names, forms, defaults, bounds, origins. */
#include "support/testing.h"

#include <errno.h>

#include "model/policy.h"

struct sample {
	const char *key, *text, *printed;
};

static const struct policy_key *key_of(const char *name)
{
	const struct policy_key *key = policy_find(name, strlen(name));

	assert_non_null(key);
	return key;
}

static int set(struct table_policy *policy, const char *name, const char *text, enum policy_origin origin)
{
	return policy_set(policy, key_of(name), text, strlen(text), origin);
}

static void assert_prints(const struct table_policy *policy, const char *name, const char *expected)
{
	char buf[POLICY_TEXT];

	assert_string_equal(policy_print(policy, key_of(name), buf), expected);
}

static void every_key_of_the_design_is_there_with_its_default(void **state)
{
	static const struct sample samples[] = {
		{ "mode", NULL, "on" },          { "balance", NULL, "least_conn" },
		{ "attempts", NULL, "3" },       { "connect_timeout", NULL, "1500ms" },
		{ "eject_after", NULL, "1" },    { "eject_timeouts_after", NULL, "2" },
		{ "eject_for", NULL, "5s" },     { "eject_max", NULL, "5m" },
		{ "eject_percent", NULL, "50" }, { "slow_start", NULL, "0" },
		{ "drain", NULL, "leave" },      { "rebalance", NULL, "off" },
		{ "max_age", NULL, "off" },      { "quiet", NULL, "10s" },
		{ "keepalive", NULL, "off" },    { "headless", NULL, "order" },
	};
	struct table_policy policy = policy_defaults();

	(void)state;
	assert_int_equal(policy_key_count, sizeof(samples) / sizeof(samples[0]));
	for (size_t i = 0; i < policy_key_count; i++)
		assert_prints(&policy, samples[i].key, samples[i].printed);
}

static void defaults_are_values_of_the_struct(void **state)
{
	struct table_policy policy = policy_defaults();

	(void)state;
	assert_int_equal(policy.mode, MODE_ON);
	assert_int_equal(policy.balance, BALANCE_LEAST_CONN);
	assert_int_equal(policy.headless, HEADLESS_ORDER);
	assert_int_equal(policy.drain, DRAIN_LEAVE);
	assert_int_equal(policy.attempts, 3);
	assert_int_equal(policy.eject_percent, 50);
	assert_int_equal(policy.eject_after, 1);
	assert_int_equal(policy.eject_timeouts_after, 2);
	assert_int_equal(policy.connect_timeout_ms, 1500);
	assert_int_equal(policy.eject_for_ms, 5000);
	assert_int_equal(policy.eject_max_ms, 300000);
	assert_int_equal(policy.slow_start_ms, 0);
	assert_int_equal(policy.drain_deadline_ms, 0);
	assert_int_equal(policy.rebalance_ms, 0);
	assert_int_equal(policy.max_age_ms, 0);
	assert_int_equal(policy.quiet_ms, 10000);
	assert_int_equal(policy.keepalive_ms, 0);
	assert_int_equal(policy.origin, 0);
}

static const struct sample good[] = {
	{ "mode", "observe", "observe" },
	{ "mode", "off", "off" },
	{ "balance", "least_conn", "least_conn" },
	{ "balance", "round_robin", "round_robin" },
	{ "balance", "random", "random" },
	{ "balance", "p2c", "p2c" },
	{ "balance", "hash", "hash" },
	{ "attempts", "1", "1" },
	{ "attempts", "100", "100" },
	{ "connect_timeout", "1s", "1s" },
	{ "connect_timeout", "1000ms", "1s" },
	{ "connect_timeout", "2.5s", "2500ms" },
	{ "eject_after", "7", "7" },
	{ "eject_timeouts_after", "1000", "1000" },
	{ "eject_for", "100ms", "100ms" },
	{ "eject_max", "1h", "1h" },
	{ "eject_percent", "0", "0" },
	{ "eject_percent", "100", "100" },
	{ "slow_start", "0", "0" },
	{ "slow_start", "off", "0" },
	{ "slow_start", "30s", "30s" },
	{ "drain", "idle", "idle" },
	{ "drain", "deadline:30s", "deadline:30s" },
	{ "drain", "deadline:1.5s", "deadline:1500ms" },
	{ "rebalance", "60s", "1m" },
	{ "max_age", "480h", "480h" },
	{ "quiet", "100ms", "100ms" },
	{ "keepalive", "30s", "30s" },
	{ "keepalive", "0s", "off" },
	{ "headless", "address", "address" },
};

static void values_print_as_a_user_would_write_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct table_policy policy = policy_defaults();

		assert_int_equal(set(&policy, good[i].key, good[i].text, ORIGIN_FILE), 0);
		assert_prints(&policy, good[i].key, good[i].printed);
	}
}

static void what_is_printed_can_be_set_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct table_policy policy = policy_defaults(), again = policy_defaults();

		set(&policy, good[i].key, good[i].text, ORIGIN_FILE);
		assert_int_equal(set(&again, good[i].key, good[i].printed, ORIGIN_FILE), 0);
		assert_memory_equal(&policy, &again, sizeof(policy));
	}
}

static void values_that_make_no_sense_are_refused_and_change_nothing(void **state)
{
	static const struct {
		const char *key, *text;
		int error;
	} bad[] = {
		{ "mode", "", -EINVAL },
		{ "mode", "onn", -EINVAL },
		{ "mode", "o n", -EINVAL },
		{ "balance", "Hash", -EINVAL },
		{ "balance", "hash ", -EINVAL },
		{ "balance", "least-conn", -EINVAL },
		{ "attempts", "0", -ERANGE },
		{ "attempts", "101", -ERANGE },
		{ "attempts", "99999999999999999999", -ERANGE },
		{ "attempts", "-1", -EINVAL },
		{ "attempts", "3s", -EINVAL },
		{ "attempts", "", -EINVAL },
		{ "attempts", " 3", -EINVAL },
		{ "connect_timeout", "999ms", -ERANGE },
		{ "connect_timeout", "0", -ERANGE },
		{ "connect_timeout", "11m", -ERANGE },
		{ "connect_timeout", "1500", -EINVAL },
		{ "connect_timeout", "off", -EINVAL },
		{ "eject_after", "0", -ERANGE },
		{ "eject_timeouts_after", "1001", -ERANGE },
		{ "eject_for", "99ms", -ERANGE },
		{ "eject_max", "25h", -ERANGE },
		{ "eject_percent", "101", -ERANGE },
		{ "slow_start", "soon", -EINVAL },
		{ "slow_start", "25h", -ERANGE },
		{ "drain", "deadline", -EINVAL },
		{ "drain", "deadline:", -EINVAL },
		{ "drain", "deadline:30", -EINVAL },
		{ "drain", "deadline:500ms", -ERANGE },
		{ "drain", "idle:30s", -EINVAL },
		{ "drain", "leave:", -EINVAL },
		{ "drain", ":30s", -EINVAL },
		{ "rebalance", "500ms", -ERANGE },
		{ "max_age", "481h", -ERANGE },
		{ "max_age", "never", -EINVAL },
		{ "quiet", "0", -ERANGE },
		{ "keepalive", "10h", -ERANGE },
		{ "headless", "orders", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct table_policy policy = policy_defaults(), before = policy;

		assert_int_equal(set(&policy, bad[i].key, bad[i].text, ORIGIN_FILE), bad[i].error);
		assert_memory_equal(&policy, &before, sizeof(policy));
	}
}

/* A switch that is not taken for a blank stays on. */
static void case_and_blanks_do_not_count_for_modes(void **state)
{
	static const struct {
		const char *text, *printed;
	} samples[] = { { "Off", "off" },
			{ "OFF", "off" },
			{ "observe ", "observe" },
			{ "\t Observe\n", "observe" },
			{ " ON", "on" } };

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct table_policy policy = policy_defaults();

		assert_int_equal(set(&policy, "mode", samples[i].text, ORIGIN_ANNOTATION), 0);
		assert_prints(&policy, "mode", samples[i].printed);
	}
}

static void what_is_misread_leaves_the_value_but_makes_a_mode_off(void **state)
{
	const struct table_policy defaults = policy_defaults();

	(void)state;
	for (size_t i = 0; i < policy_key_count; i++) {
		struct table_policy policy = defaults;
		char buf[POLICY_TEXT];

		policy_misread(&policy, &policy_keys[i]);
		assert_int_equal(policy_origin_of(&policy, &policy_keys[i]), ORIGIN_MISREAD);
		assert_prints(&policy, policy_keys[i].name,
			      key_of("mode") == &policy_keys[i] ? "off" : policy_print(&defaults, &policy_keys[i], buf));
	}
}

static void leaving_a_deadline_forgets_it(void **state)
{
	struct table_policy policy = policy_defaults();

	(void)state;
	set(&policy, "drain", "deadline:30s", ORIGIN_FILE);
	assert_int_equal(policy.drain, DRAIN_DEADLINE);
	assert_int_equal(policy.drain_deadline_ms, 30000);
	set(&policy, "drain", "idle", ORIGIN_FILE);
	assert_int_equal(policy.drain, DRAIN_IDLE);
	assert_int_equal(policy.drain_deadline_ms, 0);
}

static void keys_are_found_by_their_whole_name_only(void **state)
{
	(void)state;
	assert_null(policy_find("ejec", 4));
	assert_null(policy_find("mode ", 5));
	assert_null(policy_find("", 0));
	assert_string_equal(policy_find("mode and more", 4)->name, "mode");
}

static void every_key_says_what_it_expects_and_is_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_key_count; i++) {
		assert_true(policy_keys[i].expects[0] != '\0');
		assert_true(policy_keys[i].help[0] != '\0');
	}
}

static void only_keys_that_close_connections_are_moves(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_key_count; i++) {
		const char *name = policy_keys[i].name;

		assert_int_equal(policy_keys[i].moves, strcmp(name, "drain") == 0 || strcmp(name, "rebalance") == 0 ||
							       strcmp(name, "max_age") == 0);
	}
}

static void each_key_notes_where_it_came_from(void **state)
{
	struct table_policy policy = policy_defaults();

	(void)state;
	for (size_t i = 0; i < policy_key_count; i++)
		policy_set(&policy, &policy_keys[i], policy_keys[i].preset, strlen(policy_keys[i].preset),
			   (enum policy_origin)(i % 4));
	for (size_t i = 0; i < policy_key_count; i++)
		assert_int_equal(policy_origin_of(&policy, &policy_keys[i]), i % 4);
}

static void merging_takes_what_has_a_higher_origin(void **state)
{
	struct table_policy policy = policy_defaults(), from = policy_defaults();

	(void)state;
	set(&policy, "balance", "hash", ORIGIN_FILE);
	set(&policy, "attempts", "9", ORIGIN_ANNOTATION);
	set(&from, "balance", "random", ORIGIN_ANNOTATION);
	set(&from, "attempts", "5", ORIGIN_FILE);
	set(&from, "drain", "deadline:7s", ORIGIN_ANNOTATION);
	policy_merge(&policy, &from);
	assert_prints(&policy, "balance", "hash");
	assert_prints(&policy, "attempts", "5");
	assert_prints(&policy, "drain", "deadline:7s");
	assert_prints(&policy, "mode", "on");
	assert_int_equal(policy_origin_of(&policy, key_of("attempts")), ORIGIN_FILE);
	assert_int_equal(policy_origin_of(&policy, key_of("drain")), ORIGIN_ANNOTATION);
}

static void taking_a_key_brings_its_origin_and_nothing_else(void **state)
{
	struct table_policy policy = policy_defaults(), from = policy_defaults();

	(void)state;
	set(&policy, "balance", "hash", ORIGIN_FILE);
	set(&from, "balance", "random", ORIGIN_ANNOTATION);
	set(&from, "mode", "off", ORIGIN_ANNOTATION);
	policy_take(&policy, &from, key_of("balance"));
	assert_prints(&policy, "balance", "random");
	assert_prints(&policy, "mode", "on");
	assert_int_equal(policy_origin_of(&policy, key_of("balance")), ORIGIN_ANNOTATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_of_the_design_is_there_with_its_default),
		cmocka_unit_test(defaults_are_values_of_the_struct),
		cmocka_unit_test(values_print_as_a_user_would_write_them),
		cmocka_unit_test(what_is_printed_can_be_set_again),
		cmocka_unit_test(values_that_make_no_sense_are_refused_and_change_nothing),
		cmocka_unit_test(case_and_blanks_do_not_count_for_modes),
		cmocka_unit_test(what_is_misread_leaves_the_value_but_makes_a_mode_off),
		cmocka_unit_test(leaving_a_deadline_forgets_it),
		cmocka_unit_test(keys_are_found_by_their_whole_name_only),
		cmocka_unit_test(every_key_says_what_it_expects_and_is_for),
		cmocka_unit_test(only_keys_that_close_connections_are_moves),
		cmocka_unit_test(each_key_notes_where_it_came_from),
		cmocka_unit_test(merging_takes_what_has_a_higher_origin),
		cmocka_unit_test(taking_a_key_brings_its_origin_and_nothing_else),
	};

	return RUN_TESTS(tests);
}
