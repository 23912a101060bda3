/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a dial has changed on its socket, and what becomes of it where the thread ends in the middle: as the unwinder of a libc asks
 * for it, and with a thread that is really cancelled.
 */
#include "support/testing.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ledger/layout.h"
#include "ledger/words.h"
#include "shim/guard.h"
#include "support/cleanup.h"
#include "support/ledgers.h"

/* unwind.h */
enum { SEARCH_PHASE = 1, CLEANUP_PHASE = 2, FORCED = 8, CONTINUE_UNWIND = 8 };
enum { OWN_MS = 110000, OWN_S = 115, BOUND_MS = 3000, BOUND_S = 3, PLACES = 32 };

extern int fairdial_unwind(int version, int actions, uint64_t class, void *exception, void *context);

static const struct ledger_key key = { 3, 0xaaaa };

/* ---- a socket as a dial leaves it ---- */

struct dialed {
	int fd;
	struct guarded what;
};

static void set_timeouts(int fd, unsigned handshake_ms, long send_s)
{
	struct timeval send = { send_s, 0 };

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &handshake_ms, sizeof(handshake_ms)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)), 0);
}

static unsigned handshake_of(int fd)
{
	unsigned ms = 0;
	socklen_t size = sizeof(ms);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &size), 0);
	return ms;
}

static long send_of(int fd)
{
	struct timeval send;
	socklen_t size = sizeof(send);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, &size), 0);
	return (long)send.tv_sec;
}

static struct dialed dialed(const struct ledger *ledger)
{
	struct dialed d = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	close_after_test(d.fd);
	set_timeouts(d.fd, BOUND_MS, BOUND_S);
	d.what = (struct guarded){ d.fd, BOUND_MS, OWN_MS, { OWN_S, 0 }, true, true, ledger, key };
	ledger_claim(ledger, key);
	return d;
}

static void assert_put_back(const struct dialed *d)
{
	assert_int_equal(handshake_of(d->fd), OWN_MS);
	assert_int_equal(send_of(d->fd), OWN_S);
}

static void assert_untouched(const struct dialed *d)
{
	assert_int_equal(handshake_of(d->fd), BOUND_MS);
	assert_int_equal(send_of(d->fd), BOUND_S);
}

static uint32_t landed(const struct ledger *ledger)
{
	return word_read(&row_of(ledger, key.slot)->landed, key.tag);
}

static void unwind(void)
{
	assert_int_equal(fairdial_unwind(1, CLEANUP_PHASE | FORCED, 0, NULL, NULL), CONTINUE_UNWIND);
}

/* ---- tests ---- */

static void thread_that_ends_gives_back_what_the_dial_changed(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);

	(void)state;
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_put_back(&d);
	assert_int_equal(landed(ledger), 1);
	set_timeouts(d.fd, BOUND_MS, BOUND_S); /* once: the guard is gone with its frame */
	unwind();
	assert_untouched(&d);
	assert_int_equal(landed(ledger), 1);
}

/* The unwinder asks each frame twice, and the first time nobody has decided yet that the frame is left. */
static void nothing_is_given_back_before_the_frame_is_left(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);
	struct guard *guard = guard_enter(&d.what);

	(void)state;
	assert_int_equal(fairdial_unwind(1, SEARCH_PHASE, 0, NULL, NULL), CONTINUE_UNWIND);
	assert_int_equal(fairdial_unwind(2, CLEANUP_PHASE, 0, NULL, NULL), CONTINUE_UNWIND); /* of an ABI to come */
	assert_untouched(&d);
	assert_int_equal(landed(ledger), 0);
	guard_leave(guard);
	unwind();
	assert_untouched(&d);
	assert_int_equal(landed(ledger), 0);
}

/* A frame deeper than its caller's, as a handler's is that dials while a dial is interrupted. */
__attribute__((noinline))
static void unwind_inner(const struct dialed *outer, const struct dialed *inner)
{
	volatile char room[512] = { 0 };

	assert_non_null(guard_enter(&inner->what));
	unwind();
	assert_put_back(inner);
	assert_untouched(outer);
	assert_int_equal(room[511], 0);
}

static void of_two_dials_of_a_thread_the_inner_one_is_put_back_first(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed outer = dialed(ledger), inner = dialed(ledger);

	(void)state;
	assert_non_null(guard_enter(&outer.what));
	unwind_inner(&outer, &inner);
	assert_int_equal(landed(ledger), 1);
	unwind();
	assert_put_back(&outer);
	assert_int_equal(landed(ledger), 2);
}

static void what_was_not_changed_stays(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);

	(void)state;
	d.what.send_changed = false;
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_int_equal(handshake_of(d.fd), OWN_MS);
	assert_int_equal(send_of(d.fd), BOUND_S);
	set_timeouts(d.fd, BOUND_MS, BOUND_S);
	d.what.handshake_changed = false;
	d.what.send_changed = true;
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_int_equal(handshake_of(d.fd), BOUND_MS);
	assert_int_equal(send_of(d.fd), OWN_S);
}

/* The program, or another file that has the number by now, has set its own. */
static void socket_that_was_changed_meanwhile_is_left_alone(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);

	(void)state;
	set_timeouts(d.fd, 7000, 7);
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_int_equal(handshake_of(d.fd), 7000);
	assert_int_equal(send_of(d.fd), 7);
	d.what.fd = -1; /* closed */
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_int_equal(landed(ledger), 2); /* the dial has come to its end all the same */
}

__attribute__((noinline))
static void enter_deeper(const struct dialed *d)
{
	volatile char room[512] = { 0 };

	assert_non_null(guard_enter(&d->what));
	assert_int_equal(room[511], 0);
}

static void dials_that_were_left_by_longjmp_take_no_place(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed left = dialed(ledger), d = dialed(ledger);

	(void)state;
	for (int i = 0; i < 2 * PLACES; i++)
		enter_deeper(&left);
	assert_non_null(guard_enter(&d.what));
	unwind();
	assert_put_back(&d);
	unwind(); /* theirs is gone: nobody gives back for them */
	assert_untouched(&left);
	assert_int_equal(landed(ledger), 1);
}

/* Each deeper than the one before, as handlers that interrupt each other's dials. */
__attribute__((noinline))
static void enter_all(const struct dialed *d, int left)
{
	struct guard *guard = guard_enter(&d->what);

	if (left) {
		assert_non_null(guard);
		enter_all(d, left - 1);
	} else {
		assert_null(guard);
	}
	guard_leave(guard); /* NULL, too */
}

static void where_all_places_are_taken_there_is_no_guard(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);

	(void)state;
	for (int i = 0; i < 2; i++)
		enter_all(&d, PLACES);
	unwind();
	assert_untouched(&d);
	assert_int_equal(landed(ledger), 0);
}

/* ---- threads ---- */

static void *unwind_there(void *unused)
{
	(void)unused;
	fairdial_unwind(1, CLEANUP_PHASE, 0, NULL, NULL);
	return NULL;
}

static void thread_that_ends_leaves_the_dials_of_others_alone(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);
	struct guard *guard = guard_enter(&d.what);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, unwind_there, NULL), 0);
	pthread_join(thread, NULL);
	assert_untouched(&d);
	assert_int_equal(landed(ledger), 0);
	guard_leave(guard);
}

struct blocked {
	const struct dialed *dialed;
	int ready, never; /* ends of pipes: written once the guard is there; nothing ever comes */
};

/* As the shim's own call does it: a frame of its own between the two. */
__attribute__((noinline))
static long block_guarded(const struct blocked *b)
{
	struct guard *guard = guard_enter(&b->dialed->what);
	long n;
	char byte = 0;

	GUARD_THIS_FRAME();
	n = write(b->ready, &byte, 1);
	n += read(b->never, &byte, 1);
	guard_leave(guard);
	return n;
}

static void *block(void *what)
{
	return (void *)block_guarded(what);
}

static void thread_that_is_cancelled_unwinds_through_its_dial(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct dialed d = dialed(ledger);
	int ready[2], never[2];
	struct blocked b;
	pthread_t thread;
	void *result;
	char byte;

	(void)state;
	assert_true(pipe(ready) == 0 && pipe(never) == 0);
	for (int i = 0; i < 2; i++) {
		close_after_test(ready[i]);
		close_after_test(never[i]);
	}
	b = (struct blocked){ &d, ready[1], never[0] };
	assert_int_equal(pthread_create(&thread, NULL, block, &b), 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(pthread_cancel(thread), 0);
	pthread_join(thread, &result);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_put_back(&d);
	assert_int_equal(landed(ledger), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thread_that_ends_gives_back_what_the_dial_changed),
		TEST(nothing_is_given_back_before_the_frame_is_left),
		TEST(of_two_dials_of_a_thread_the_inner_one_is_put_back_first),
		TEST(what_was_not_changed_stays),
		TEST(socket_that_was_changed_meanwhile_is_left_alone),
		TEST(dials_that_were_left_by_longjmp_take_no_place),
		TEST(where_all_places_are_taken_there_is_no_guard),
		TEST(thread_that_ends_leaves_the_dials_of_others_alone),
		TEST(thread_that_is_cancelled_unwinds_through_its_dial),
	};

	return RUN_TESTS(tests);
}
