/* SPDX-License-Identifier: Apache-2.0 */
/* Evenness over all processes together: what each policy promises, counted by the servers and by `fairdial status`. */
#include "support/testing.h"

#include <signal.h>
#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { BACKENDS = 7, LIMIT_MS = 60000 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""
#define LEAST_CONN  "\"balance\": \"least_conn\""

static const char *const curl_web[] = { "curl", "-sS", "--max-time", "20", "http://web/", NULL };

/* Runs `argv` many times under the shim; none may fail. */
static char *run_under(struct services *s, const char *const *argv, size_t count, size_t at_once)
{
	size_t failed;
	char *answers = run_many(&(struct start){ .argv = argv, .env = s->env }, count, at_once, &failed);

	assert_int_equal(failed, 0);
	return answers;
}

/* The helper that dials web, with at most eight more arguments. */
static const char *const *dialer(const char *const *more)
{
	static const char *argv[16];
	size_t n = 0;

	argv[n++] = built("helpers/dialer");
	while (*more)
		argv[n++] = *more++;
	argv[n++] = "web";
	argv[n++] = "80";
	argv[n] = NULL;
	return argv;
}

#define DIALER(...) dialer((const char *const[]){ __VA_ARGS__, NULL })

static void thousand_curl_processes_twenty_at_a_time_are_142_or_143_each_under_round_robin(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	assert_even_answers(run_under(s, curl_web, 1000, 20), BACKENDS, 1000, 1);
	assert_status_matches(s, "web", b);
}

static void thousand_curl_processes_in_a_row_are_within_two_of_each_other_under_least_conn(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LEAST_CONN);

	(void)state;
	assert_even_answers(run_under(s, curl_web, 1000, 1), BACKENDS, 1000, 2);
	assert_status_matches(s, "web", b);
}

static void thousand_blocking_processes_in_a_row_are_within_two_of_each_other_under_least_conn(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LEAST_CONN);

	(void)state;
	assert_even_answers(run_under(s, DIALER("--count", "1"), 1000, 1), BACKENDS, 1000, 2);
	assert_status_matches(s, "web", b);
}

static void assert_fifty_holders_are_even(const char *const *argv)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LEAST_CONN);
	struct process *holder[50];
	unsigned open[BACKENDS];

	for (size_t i = 0; i < 50; i++)
		holder[i] = process_start(&(struct start){ .argv = argv, .env = s->env, .interactive = true });
	for (size_t i = 0; i < 50; i++)
		process_expect(holder[i], "ready\n", LIMIT_MS);
	for (size_t i = 0; i < BACKENDS; i++)
		open[i] = backends_open(b, i);
	assert_even(open, BACKENDS, 350, 0);
	for (size_t i = 0; i < BACKENDS; i++)
		assert_int_equal(services_backend(s, "web", b, i).active, 50);
}

static void fifty_processes_that_hold_seven_connections_hold_fifty_on_each_backend(void **state)
{
	(void)state;
	assert_fifty_holders_are_even(DIALER("--count", "7", "--hold"));
}

static void fifty_processes_that_do_not_block_hold_fifty_on_each_backend_too(void **state)
{
	(void)state;
	assert_fifty_holders_are_even(DIALER("--count", "7", "--hold", "--nonblocking"));
}

static void ten_thousand_dials_of_eight_threads_are_exact_under_round_robin(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *argv = DIALER("--count", "10000", "--threads", "8");

	(void)state;
	assert_even_answers(run_under(s, argv, 1, 1), BACKENDS, 10000, 1);
	assert_status_matches(s, "web", b);
}

static void dials_by_name_and_by_address_blocking_or_not_are_one_turn(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);

	(void)state;
	struct process *p =
		run_shell(s->env,
			  "d=%s; for i in 1 2 3 4 5 6 7; do $d web 80; $d --nonblocking %s 80; $d --v6mapped web 80; "
			  "$d --fastopen web 80; done",
			  built("helpers/dialer"), SERVICE_ADDRESS);

	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, 28, 0);
	assert_status_matches(s, "web", b);
}

static void weights_are_kept_under_round_robin(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	unsigned counts[2];

	(void)state;
	services_publish(s, format("{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS
				   "\"], \"ports\": [{ \"port\": 80 }], "
				   "\"balance\": \"round_robin\", \"endpoints\": [ "
				   "{ \"address\": \"%s\", \"port\": %d, \"weight\": 3 }, \"%s:%d\" ] }",
				   backends_address(b, 0), backends_port(b, 0), backends_address(b, 1),
				   backends_port(b, 1)));
	assert_int_equal(tally(run_under(s, DIALER("--count", "400"), 1, 1), counts, 2), 0);
	assert_int_equal(counts[0], 300);
	assert_int_equal(counts[1], 100);
}

/* Each is published by a process of its own, so the second one has to find out who is new. */
static void a_new_backend_has_a_tenth_of_a_share_when_its_slow_start_begins(void **state)
{
	static const char *const policies[] = {
		"\"slow_start\": \"24h\", \"balance\": \"round_robin\"",
		"\"slow_start\": \"24h\", \"balance\": \"least_conn\"",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++, end_of_test(NULL)) {
		struct backends *b = backends_start(BACKENDS, ONE_PORT);
		struct services *s = services_open();
		unsigned open[BACKENDS];
		struct process *p;

		services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), BACKENDS - 1, policies[i]));
		services_publish_web(s, b, policies[i]);
		p = process_start(&(struct start){
			.argv = DIALER("--count", "610", "--hold"), .env = s->env, .interactive = true });
		process_expect(p, "ready\n", LIMIT_MS);
		for (size_t k = 0; k < BACKENDS; k++)
			open[k] = backends_open(b, k);
		assert_even(open, BACKENDS - 1, 610 - open[BACKENDS - 1], 1);
		assert_in_range(open[BACKENDS - 1], 9, 11);
	}
}

static void random_reaches_every_backend_and_loses_no_dial(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"random\"");
	unsigned counts[BACKENDS];

	(void)state;
	/* That one of seven is never drawn in 700 has a probability below 1e-45. */
	assert_int_equal(tally(run_under(s, DIALER("--count", "70"), 10, 2), counts, BACKENDS), 0);
	assert_even(counts, BACKENDS, 700, 699);
	for (size_t i = 0; i < BACKENDS; i++)
		assert_true(counts[i] > 0);
	assert_status_matches(s, "web", b);
}

static void p2c_levels_connections_that_are_held(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"p2c\"");
	struct process *p = process_start(
		&(struct start){ .argv = DIALER("--count", "350", "--hold"), .env = s->env, .interactive = true });
	unsigned open[BACKENDS];

	(void)state;
	process_expect(p, "ready\n", LIMIT_MS);
	for (size_t i = 0; i < BACKENDS; i++)
		open[i] = backends_open(b, i);
	/* Two choices keep the largest within log log n of the mean; one choice would be some 20 away. */
	assert_even(open, BACKENDS, 350, 12);
}

static void hash_keeps_one_client_on_one_backend(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	unsigned counts[BACKENDS], used = 0;

	(void)state;
	assert_int_equal(tally(run_under(s, DIALER("--count", "5"), 10, 2), counts, BACKENDS), 0);
	for (size_t i = 0; i < BACKENDS; i++)
		used += counts[i] > 0;
	assert_int_equal(used, 1);
}

/* Whether status agrees with the servers about what is open. */
static bool active_is_true(struct services *s, const struct backends *b)
{
	for (size_t i = 0; i < BACKENDS; i++)
		if (services_backend(s, "web", b, i).active != (long)backends_open(b, i))
			return false;
	return true;
}

static struct process *hold(struct services *s, const char *count)
{
	struct process *p = process_start(
		&(struct start){ .argv = DIALER("--count", count, "--hold"), .env = s->env, .interactive = true });

	process_expect(p, "ready\n", LIMIT_MS);
	return p;
}

static void kill_and_wait(struct process *p)
{
	process_signal(p, SIGKILL);
	process_wait(p, LIMIT_MS);
}

/* Dials, two by two that stay, until the counts are true. */
static void assert_counts_become_true(struct services *s, const struct backends *b)
{
	long end = now_ms() + 3000; /* the bound is the requirement */

	do {
		hold(s, "2");
		if (active_is_true(s, b))
			return;
	} while (now_ms() < end);
	for (size_t i = 0; i < BACKENDS; i++)
		printf("backend %zu: %ld active, %u open\n", i + 1, services_backend(s, "web", b, i).active,
		       backends_open(b, i));
	fail_msg("three seconds later the counts are still wrong");
}

static void killed_process_gives_its_hundred_connections_back_within_three_seconds_of_dials(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LEAST_CONN);
	struct process *p = hold(s, "100");

	(void)state;
	assert_true(active_is_true(s, b));
	kill_and_wait(p);
	backends_wait_open(b, 0, LIMIT_MS);
	assert_counts_become_true(s, b);
}

static void processes_killed_in_the_middle_of_dials_leave_no_count_behind(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, LEAST_CONN);
	struct process *p[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		p[i] = process_start(&(struct start){ .argv = DIALER("--count", "100000", "--threads", "4",
								     i % 2 ? "--nonblocking" : "--timeout=9999"),
						      .env = s->env });
	for (size_t i = 0; i < 8; i++)
		process_line(p[i], LIMIT_MS);
	for (size_t i = 0; i < 8; i++)
		kill_and_wait(p[i]);
	backends_wait_open(b, 0, LIMIT_MS);
	assert_counts_become_true(s, b);
}

/* Thirty connections of a killed process on each of three backends: only who knows that they are gone dials those. */
static void places_of_a_killed_process_are_given_out_again(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_open();
	unsigned open[BACKENDS];
	struct process *p;
	long end;

	(void)state;
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 3, LEAST_CONN));
	p = hold(s, "90");
	services_publish_web(s, b, LEAST_CONN);
	kill_and_wait(p);
	backends_wait_open(b, 0, LIMIT_MS);
	end = now_ms() + 3000;
	do {
		p = hold(s, "7");
		for (size_t i = 0; i < BACKENDS; i++)
			open[i] = backends_open(b, i);
		if (open[0] == 1 && open[1] == 1 && open[2] == 1)
			break;
		kill_and_wait(p);
		backends_wait_open(b, 0, LIMIT_MS);
	} while (now_ms() < end);
	assert_even(open, BACKENDS, 7, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thousand_curl_processes_twenty_at_a_time_are_142_or_143_each_under_round_robin),
		TEST(thousand_curl_processes_in_a_row_are_within_two_of_each_other_under_least_conn),
		TEST(thousand_blocking_processes_in_a_row_are_within_two_of_each_other_under_least_conn),
		TEST(fifty_processes_that_hold_seven_connections_hold_fifty_on_each_backend),
		TEST(fifty_processes_that_do_not_block_hold_fifty_on_each_backend_too),
		TEST(ten_thousand_dials_of_eight_threads_are_exact_under_round_robin),
		TEST(dials_by_name_and_by_address_blocking_or_not_are_one_turn),
		TEST(weights_are_kept_under_round_robin),
		TEST(a_new_backend_has_a_tenth_of_a_share_when_its_slow_start_begins),
		TEST(random_reaches_every_backend_and_loses_no_dial),
		TEST(p2c_levels_connections_that_are_held),
		TEST(hash_keeps_one_client_on_one_backend),
		TEST(killed_process_gives_its_hundred_connections_back_within_three_seconds_of_dials),
		TEST(processes_killed_in_the_middle_of_dials_leave_no_count_behind),
		TEST(places_of_a_killed_process_are_given_out_again),
	};

	return RUN_TESTS(tests);
}
