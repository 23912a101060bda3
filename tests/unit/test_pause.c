/* SPDX-License-Identifier: Apache-2.0 */
/* A pause in a dial, with signals that come while it lasts: a timer sends one each millisecond. */
#include "support/testing.h"

#include <signal.h>
#include <time.h>

#include "shim/pause.h"
#include "support/cleanup.h"

enum { SIGNAL = SIGURG /* which does nothing by default */, PAUSE_MS = 100 };

static volatile sig_atomic_t handled;

static void count(int signal)
{
	(void)signal;
	handled++;
}

static void set_action(void (*handler)(int), int flags)
{
	const struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	assert_int_equal(sigaction(SIGNAL, &action, NULL), 0);
}

static timer_t timer;

static void stop(void *unused)
{
	(void)unused;
	timer_delete(timer);
	set_action(SIG_DFL, 0);
}

static void send_many(void (*handler)(int), int flags)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL };
	const struct itimerspec each_ms = { { 0, 1000000 }, { 0, 1000000 } };

	set_action(handler, flags);
	handled = 0;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	after_test(stop, NULL);
	assert_int_equal(timer_settime(timer, 0, &each_ms, NULL), 0);
}

/* How it ended. As the program has it, no signal is blocked before and after it. */
static enum pause_end pause_once(void)
{
	enum pause_end end = pause_ms(PAUSE_MS);
	sigset_t now;

	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &now), 0);
	assert_false(sigismember(&now, SIGNAL));
	return end;
}

static void signals_that_do_nothing_do_not_end_it(void **state)
{
	(void)state;
	send_many(SIG_DFL, 0);
	assert_int_equal(pause_once(), PAUSE_OVER);
	set_action(SIG_IGN, 0);
	assert_int_equal(pause_once(), PAUSE_OVER);
}

static void handler_that_interrupts_calls_ends_it(void **state)
{
	(void)state;
	send_many(count, 0);
	assert_int_equal(pause_once(), PAUSE_INTERRUPTED);
	assert_true(handled > 0);
}

static void handler_that_restarts_calls_runs_behind_it(void **state)
{
	(void)state;
	send_many(count, SA_RESTART);
	assert_int_equal(pause_once(), PAUSE_OVER);
	assert_true(handled > 0);
}

static void unblock(void *set)
{
	sigprocmask(SIG_UNBLOCK, set, NULL);
}

static void signals_that_the_program_blocks_stay_blocked(void **state)
{
	static sigset_t some;
	sigset_t pending, now;

	(void)state;
	sigemptyset(&some);
	sigaddset(&some, SIGNAL);
	send_many(count, 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, &some, NULL), 0);
	after_test(unblock, &some);
	assert_int_equal(pause_ms(PAUSE_MS), PAUSE_OVER);
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGNAL));
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_true(sigismember(&now, SIGNAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signals_that_do_nothing_do_not_end_it),
		TEST(handler_that_interrupts_calls_ends_it),
		TEST(handler_that_restarts_calls_runs_behind_it),
		TEST(signals_that_the_program_blocks_stay_blocked),
	};

	return RUN_TESTS(tests);
}
