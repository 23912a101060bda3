/* SPDX-License-Identifier: Apache-2.0 */
/* Counts that an agent keeps: programs with and without the shim dial, close and die, and the ledger is what the kernel has. */
#include "support/testing.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/process.h"
#include "support/tun.h"

enum { BACKENDS = 4, LIMIT_MS = 30000, MANY = 400 };

static const char *place(const struct backends *b, size_t i)
{
	return place_of(backends_address(b, i), backends_port(b, i));
}

/* A program that holds `count` connections until its stdin ends. */
static struct process *hold(const char *const *env, const char *count, const char *host, int port)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", "--count", count, host, format("%d", port)),
		.env = env,
		.interactive = true,
	});

	process_expect(p, "ready", LIMIT_MS);
	return p;
}

static void let_go(struct process *p)
{
	process_close_input(p);
	process_wait(p, LIMIT_MS);
}

/* ---- by a process of its own ---- */

static bool is_exact(const struct keeping *k, const struct backends *b, uint32_t *ret_total)
{
	bool exact = true;

	*ret_total = 0;
	for (size_t i = 0; i < backends_count(b); i++) {
		uint32_t active = score_at(k, place(b, i)).active;

		*ret_total += active;
		exact = exact && active == listed_at(place(b, i));
	}
	return exact;
}

/* Until every count is the kernel's, and their sum this. */
static void wait_until_exact(struct keeping *k, const struct backends *b, uint32_t total)
{
	long end = now_ms() + LIMIT_MS;
	uint32_t sum;

	while (!is_exact(k, b, &sum) || sum != total) {
		if (now_ms() > end)
			fail_msg("%u are counted, not %u", sum, total);
		poll(NULL, 0, 1);
	}
}

static void two_hundred_connections_of_programs_with_and_without_the_shim_are_counted(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct process *with, *without[BACKENDS];
	struct keeping *k;
	size_t failed;

	(void)state;
	keep_in_child(s, false);
	k = watch_ledger(s);
	with = hold(s->env, "100", "web", 80);
	for (size_t i = 0; i < BACKENDS; i++)
		without[i] = hold(NULL, "25", backends_address(b, i), backends_port(b, i));
	wait_until_exact(k, b, 200);
	run_many(&(struct start){ .argv = ARGV("curl", "-sSf", "-H", "Connection: close", "http://web/[1-25]"),
				  .env = s->env },
		 4, 4, &failed);
	assert_int_equal(failed, 0);
	if (program_exists("python3")) {
		const char *clients = repository("tests/helpers/clients.py");

		run_many(&(struct start){ .argv = ARGV("python3", clients, "asyncio", "web", "80", "50"), .env = s->env },
			 2, 2, &failed);
		assert_int_equal(failed, 0);
	}
	wait_until_exact(k, b, 200);
	let_go(with);
	wait_until_exact(k, b, 100);
	process_signal(without[0], SIGKILL);
	process_wait(without[0], LIMIT_MS);
	wait_until_exact(k, b, 75);
	for (size_t i = 1; i < BACKENDS; i++)
		let_go(without[i]);
	wait_until_exact(k, b, 0);
}

/* Mends that have begun on this ledger, by whomever. */
static uint64_t mends(const struct keeping *k)
{
	return ((const struct ledger_head *)(const void *)k->ledger.base)->mends;
}

static void shims_mend_again_when_the_keeper_was_killed(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	pid_t keeper = keep_in_child(s, false);
	struct keeping *k = watch_ledger(s);
	struct process *p;
	uint64_t before;

	(void)state;
	kill(keeper, SIGKILL);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	p = hold(s->env, "6", "web", 80);
	process_signal(p, SIGKILL);
	process_wait(p, LIMIT_MS);
	while (ledger_is_kept(&k->ledger, clock_boot_ms())) /* three seconds */
		poll(NULL, 0, 10);
	before = mends(k);
	assert_clean(run(s->env, built("helpers/dialer"), "--count", "1", "web", "80", NULL));
	assert_true(mends(k) > before);
	assert_true(score_at(k, place(b, 0)).active + score_at(k, place(b, 1)).active <= 1);
}

/* ---- by a keeper whose clock stands still ---- */

static void shims_leave_mending_to_a_keeper(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	uint64_t before = mends(k);

	(void)state;
	ledger_keep(&k->ledger, false, clock_boot_ms());
	assert_clean(run(k->s->env, built("helpers/dialer"), "--count", "3", "web", "80", NULL));
	assert_int_equal(mends(k), before);
	keeper_close(k->keeper);
	k->keeper = NULL;
	assert_clean(run(k->s->env, built("helpers/dialer"), "--count", "1", "web", "80", NULL));
	assert_true(mends(k) > before);
}

static void connections_that_close_are_seen_at_once(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, "\"balance\": \"round_robin\""), false);
	struct process *p = hold(k->s->env, "20", "web", 80), *q = hold(k->s->env, "10", "web", 80);

	(void)state;
	expect_active(k, place(b, 0), 15);
	expect_active(k, place(b, 1), 15);
	let_go(p);
	expect_active(k, place(b, 0), 5);
	expect_active(k, place(b, 1), 5);
	process_signal(q, SIGKILL);
	process_wait(q, LIMIT_MS);
	expect_active(k, place(b, 0), 0);
	expect_active(k, place(b, 1), 0);
}

static void mapped_and_reset_connections_are_seen_at_once(void **state)
{
	struct backends *b = backends_start(2, ONE_ADDRESS);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	struct linger reset = { 1, 0 };
	int mapped = dial_place(place(b, 0), AF_INET6, 0), other = dial_place(place(b, 1), AF_INET, 0);

	(void)state;
	keep_sweep(k); /* nobody claimed them */
	assert_int_equal(score_at(k, place(b, 0)).active, 1);
	assert_int_equal(score_at(k, place(b, 1)).active, 1);
	close(mapped);
	expect_active(k, place(b, 0), 0);
	assert_int_equal(setsockopt(other, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(other); /* its event has no port */
	expect_active(k, place(b, 1), 0);
}

static void events_that_are_lost_make_it_look_at_all_rows(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	int fd[MANY], little = 1;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		fd[i] = dial_place(place(b, i < MANY - 4 ? 0 : 1), AF_INET, 0);
	keep_sweep(k);
	assert_int_equal(score_at(k, place(b, 0)).active, MANY - 4);
	assert_int_equal(score_at(k, place(b, 1)).active, 4);
	assert_int_equal(setsockopt(keeper_fd(k->keeper), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
	for (size_t i = 0; i < MANY; i++)
		close(fd[i]);
	while (listed_at(place(b, 0)) + listed_at(place(b, 1)))
		poll(NULL, 0, 1);
	expect_active(k, place(b, 0), 0);
	expect_active(k, place(b, 1), 0);
}

static void claims_of_nobody_are_given_back(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);

	(void)state;
	for (int i = 0; i < 3; i++)
		ledger_claim(&k->ledger, key_at(k, place(b, 0))); /* killed before connect(2) */
	assert_int_equal(score_at(k, place(b, 0)).active, 3);
	for (int i = 0; i < 3; i++)
		keep_sweep(k);
	assert_int_equal(score_at(k, place(b, 0)).active, 0);
}

static void new_table_is_mended_for_at_once(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_open();
	struct keeping *k;
	int fd;

	(void)state;
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 1, NULL));
	k = keep_by_hand(s, false);
	fd = dial_place(place(b, 1), AF_INET, 0);
	services_publish_web(s, b, NULL);
	expect_active(k, place(b, 1), 1);
	close(fd);
	expect_active(k, place(b, 1), 0);
}

/* ---- the ledger's file ---- */

static void ledger_that_was_replaced_is_opened_again(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	struct keeping *again;
	int fd = dial_place(place(b, 0), AF_INET, 0);

	(void)state;
	assert_int_equal(unlink(k->s->ledger), 0);
	keep_sweep(k); /* looks, and makes it */
	again = watch_ledger(k->s);
	assert_true(ledger_is_kept(&again->ledger, k->now_ms));
	assert_int_equal(score_at(again, place(b, 0)).active, 1);
	close(fd);
}

static void successor_goes_on_with_the_counts(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct keeping *first = keep_by_hand(s, false), *second;
	struct process *p = hold(s->env, "10", "web", 80);
	uint32_t dials;

	(void)state;
	dials = score_at(first, place(b, 0)).dials;
	ledger_note_seen(&first->ledger, key_at(first, place(b, 0)), first->now_ms);
	second = keep_by_hand(s, false);
	keeper_close(first->keeper);
	first->keeper = NULL;
	keep_sweep(second);
	assert_int_equal(score_at(second, place(b, 0)).dials, dials);
	assert_int_equal(score_at(second, place(b, 0)).active, 5);
	assert_true(ledger_take_seen(&second->ledger, key_at(second, place(b, 0))));
	let_go(p);
	expect_active(second, place(b, 0), 0);
	expect_active(second, place(b, 1), 0);
}

static void ledger_of_a_shim_is_opened_to_all_who_shall_have_it(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	const struct keeper_rows none = { NULL, NULL };
	struct report why;
	struct stat st;
	char long_name[8192];
	struct keeper *keeper = NULL;

	(void)state;
	assert_int_equal(stat(k->s->ledger, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(chmod(k->s->ledger, 0644), 0);
	keep_by_hand(k->s, false);
	assert_int_equal(stat(k->s->ledger, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_true(keeper_open(&none, long_name, 0600, false, &keeper, &why) < 0);
	assert_null(keeper);
}

static const struct table *no_table(const void *of)
{
	(void)of;
	return NULL;
}

static void keeper_without_a_table_waits_for_one(void **state)
{
	const struct keeper_rows rows = { NULL, no_table };
	char *path = format("%s/ledger", scratch_dir());
	struct keeper *keeper;
	struct report why;

	(void)state;
	assert_int_equal(keeper_open(&rows, path, 0600, false, &keeper, &why), 0);
	keeper_read(keeper, 1000000);
	keeper_run(keeper, 1000000);
	assert_int_equal(keeper_due_ms(keeper, 1000000), 1000);
	assert_int_not_equal(access(path, F_OK), 0);
	keeper_close(keeper);
}

/* ---- a network that others use too ---- */

static void connections_of_strangers_in_a_shared_network_are_not_counted(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), true);
	const char *web = place(b, 0);
	struct process *ours;
	int strangers[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		strangers[i] = dial_place(web, AF_INET, 0);
	keep_sweep(k);
	assert_int_equal(score_at(k, web).active, 0);
	ours = hold(k->s->env, "3", "web", 80);
	keep_sweep(k);
	assert_int_equal(score_at(k, web).active, 3);
	for (int i = 0; i < 5; i++)
		close(strangers[i]);
	keep_sweep(k);
	assert_int_equal(score_at(k, web).active, 3);
	let_go(ours);
	expect_active(k, web, 0);
}

/* ---- use, by which an agent ends that nobody needs ---- */

static void dial_and_open_connection_are_use(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct keeping *k = keep_by_hand(services_of_web(b, NULL), false);
	struct ledger_key key = key_at(k, place(b, 0));
	int fd;

	(void)state;
	assert_false(keeper_was_used(k->keeper));
	/* One that has come and gone between two looks, or came to nothing. */
	ledger_claim(&k->ledger, key);
	ledger_release(&k->ledger, key);
	assert_int_equal(score_at(k, place(b, 0)).active, 0);
	assert_true(keeper_was_used(k->keeper));
	assert_false(keeper_was_used(k->keeper));
	/* One that nobody has counted, of a program without the shim. */
	fd = dial_place(place(b, 0), AF_INET, 0);
	keep_sweep(k);
	assert_true(keeper_was_used(k->keeper));
	assert_true(keeper_was_used(k->keeper));
	close(fd);
	expect_active(k, place(b, 0), 0);
	assert_false(keeper_was_used(k->keeper));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(two_hundred_connections_of_programs_with_and_without_the_shim_are_counted),
		TEST(shims_mend_again_when_the_keeper_was_killed),
		TEST(shims_leave_mending_to_a_keeper),
		TEST(connections_that_close_are_seen_at_once),
		TEST(mapped_and_reset_connections_are_seen_at_once),
		TEST(events_that_are_lost_make_it_look_at_all_rows),
		TEST(claims_of_nobody_are_given_back),
		TEST(new_table_is_mended_for_at_once),
		TEST(ledger_that_was_replaced_is_opened_again),
		TEST(successor_goes_on_with_the_counts),
		TEST(ledger_of_a_shim_is_opened_to_all_who_shall_have_it),
		TEST(keeper_without_a_table_waits_for_one),
		TEST(connections_of_strangers_in_a_shared_network_are_not_counted),
		TEST(dial_and_open_connection_are_use),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
