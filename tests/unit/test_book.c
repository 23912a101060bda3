/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has dialed: by place, whole or not at all, and each process its own. For SAN=thread too. */
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/book.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/refusals.h"

enum { WRITERS = 3, ADDS = 20000, STACK = 256 << 10 };

/* Every word of it follows from one number. */
static struct booked entry_of(int fd, uint64_t n)
{
	struct booked entry = { .cookie = n, .born_ms = n * 3, .fd = fd, .observed = n & 1 };

	for (int i = 0; i < 16; i++) {
		entry.dest.ip[i] = (uint8_t)(n + (unsigned)i);
		entry.peer.ip[i] = (uint8_t)(n * 5 + (unsigned)i);
	}
	entry.dest.port_be = (uint16_t)n;
	entry.peer.port_be = (uint16_t)(n * 7);
	return entry;
}

static bool is_whole(const struct booked *entry)
{
	struct booked expected = entry_of(entry->fd, entry->cookie);

	return memcmp(&expected, entry, sizeof(expected)) == 0;
}

/* ---- in a process of its own, for there is one book in each: the status is the number of what went wrong ---- */

#define SHALL(condition)                                                                                             \
	do {                                                                                                         \
		if (!(condition))                                                                                    \
			return __LINE__;                                                                             \
	} while (0)

static void assert_child(pid_t child)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, __WALL), child);
	if (status)
		fail_msg("a child ended with status 0x%x", (unsigned)status);
}

static int tell(int line)
{
	if (line)
		fprintf(stderr, "%s:%d does not hold\n", __FILE__, line);
	fflush(stderr);
	return line != 0;
}

static void in_child(int (*what)(void))
{
	pid_t child = fork();

	if (child == 0)
		_exit(tell(what()));
	assert_child(child);
}

/* The same from within a child. */
static bool holds_in(int (*how)(int (*)(void *), void *), int (*what)(void *), void *arg)
{
	int pid = how(what, arg), status = -1;

	return pid > 0 && waitpid(pid, &status, __WALL) == pid && status == 0;
}

static int by_fork(int (*what)(void *), void *arg)
{
	int pid = fork();

	if (pid == 0)
		_exit(what(arg));
	return pid;
}

/* As vfork(2) does it, but with a stack of its own. */
static int by_vfork(int (*what)(void *), void *arg)
{
	static char stack[STACK] __attribute__((aligned(16)));

	return clone(what, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
}

/* ---- tests ---- */

static int entries(void)
{
	struct booked entry = entry_of(7, 1), got;

	SHALL(!book_life());
	SHALL(book_next(0, &got) == -1);
	book_drop(7, 1);
	SHALL(book_add(&entry));
	SHALL(book_life() && *book_life() == 0);
	SHALL(book_next(0, &got) == 7);
	SHALL(memcmp(&got, &entry, sizeof(got)) == 0);
	SHALL(book_next(8, &got) == -1);
	SHALL(book_next(-1, &got) == -1);
	SHALL(book_next(BOOK_PLACES, &got) == -1);
	entry = entry_of(9, 2);
	SHALL(book_add(&entry));
	SHALL(book_next(8, &got) == 9 && got.cookie == 2 && is_whole(&got));
	book_drop(7, 2);
	SHALL(book_next(0, &got) == 7);
	book_drop(7, 1);
	SHALL(book_next(0, &got) == 9);
	book_drop(-1, 2);
	book_drop(BOOK_PLACES, 2);
	book_drop(9, 2);
	SHALL(book_next(0, &got) == -1);
	return 0;
}

static void entries_are_found_until_they_are_dropped(void **state)
{
	(void)state;
	in_child(entries);
}

static int shared_place(void)
{
	struct booked early = entry_of(3, 1), late = entry_of(3 + BOOK_PLACES, 2), got;

	SHALL(book_add(&early));
	SHALL(book_add(&late));
	SHALL(book_next(0, &got) == 3);
	SHALL(memcmp(&got, &late, sizeof(got)) == 0);
	book_drop(3, 1);
	SHALL(book_next(0, &got) == 3);
	return 0;
}

static void of_two_with_one_place_the_later_one_has_it(void **state)
{
	(void)state;
	in_child(shared_place);
}

static int full_book(void)
{
	struct booked got;
	int n = 0;

	for (int fd = 0; fd < BOOK_PLACES; fd++) {
		struct booked entry = entry_of(fd, (uint64_t)fd + 1);

		SHALL(book_add(&entry));
	}
	for (int place = book_next(0, &got); place >= 0; place = book_next(place + 1, &got)) {
		SHALL(place == n && got.fd == n && is_whole(&got));
		n++;
	}
	SHALL(n == BOOK_PLACES);
	return 0;
}

static void every_place_has_room(void **state)
{
	(void)state;
	in_child(full_book);
}

static int finds_nothing(void *arg)
{
	struct booked got, entry = entry_of(5, 5);
	uint64_t *life = book_life();

	(void)arg;
	SHALL(life && *life == 0);
	SHALL(book_next(0, &got) == -1);
	SHALL(book_add(&entry));
	*life = 3;
	SHALL(book_next(0, &got) == 5);
	return 0;
}

static int inheritance(void)
{
	struct booked entry = entry_of(4, 4), got;
	int again = 0;

	SHALL(book_add(&entry));
	*book_life() = 2;
	SHALL(holds_in(by_fork, finds_nothing, &again));
	SHALL(*book_life() == 2);
	SHALL(book_next(0, &got) == 4 && book_next(5, &got) == -1);
	return 0;
}

static void child_of_fork_begins_with_an_empty_one(void **state)
{
	(void)state;
	in_child(inheritance);
}

static int has_none(void *arg)
{
	struct booked got, entry = entry_of(5, 5);

	(void)arg;
	return book_life() || book_add(&entry) || book_next(0, &got) != -1 || (book_drop(4, 4), false);
}

static int sharing(void)
{
	struct booked entry = entry_of(4, 4), got;

	SHALL(book_add(&entry));
	SHALL(holds_in(by_vfork, has_none, NULL));
	SHALL(book_life());
	SHALL(book_next(0, &got) == 4 && book_next(5, &got) == -1);
	return 0;
}

static void child_of_vfork_books_nothing(void **state)
{
	(void)state;
	in_child(sharing);
}

/* ---- threads ---- */

struct writer {
	pthread_t thread;
	uint64_t number, added;
};

static uint64_t writers_left;
static uint64_t started;

static void wait_for_all(void)
{
	__atomic_fetch_add(&started, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) < WRITERS)
		sched_yield();
}

/* All of them write to a few places. */
static void *add_for_long(void *what)
{
	struct writer *writer = what;

	wait_for_all();
	for (uint64_t i = 0; i < ADDS; i++) {
		struct booked entry = entry_of((int)(i % 4), (i * WRITERS + writer->number) + 1);

		writer->added += book_add(&entry);
		if (i % 7 == 0)
			book_drop((int)(i % 4), entry.cookie);
	}
	__atomic_fetch_sub(&writers_left, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

static int threads(void)
{
	struct writer writers[WRITERS] = { 0 };
	uint64_t looks = 0;
	struct booked got;

	writers_left = WRITERS;
	started = 0;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		SHALL(pthread_create(&writers[i].thread, NULL, add_for_long, &writers[i]) == 0);
	}
	while (__atomic_load_n(&writers_left, __ATOMIC_ACQUIRE) || !looks) {
		for (int place = book_next(0, &got); place >= 0; place = book_next(place + 1, &got))
			SHALL(place < 4 && got.fd == place && is_whole(&got));
		looks++;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		SHALL(pthread_join(writers[i].thread, NULL) == 0);
	for (unsigned i = 0; i < WRITERS; i++)
		SHALL(writers[i].added > 0);
	for (int fd = 0; fd < 4; fd++) { /* none is left taken */
		struct booked entry = entry_of(fd, 1);

		SHALL(book_add(&entry));
		SHALL(book_next(fd, &got) == fd && got.cookie == 1 && is_whole(&got));
	}
	return 0;
}

static void copies_are_whole_while_threads_write(void **state)
{
	(void)state;
	in_child(threads);
}

static unsigned wiped_mappings(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " wf") != NULL; /* wiped on fork: proc(5) */
	if (file)
		fclose(file);
	return n;
}

static void *add_one(void *what)
{
	struct writer *writer = what;
	struct booked entry = entry_of((int)writer->number, writer->number + 1);

	wait_for_all();
	writer->added += book_add(&entry);
	return NULL;
}

static int race_to_make(void)
{
	struct writer writers[WRITERS] = { 0 };
	unsigned before = wiped_mappings();
	struct booked got;
	int place = -1;

	started = 0;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		SHALL(pthread_create(&writers[i].thread, NULL, add_one, &writers[i]) == 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		SHALL(pthread_join(writers[i].thread, NULL) == 0);
	for (int i = 0; i < WRITERS; i++) {
		SHALL(writers[i].added == 1);
		place = book_next(place + 1, &got);
		SHALL(place == i && is_whole(&got));
	}
	SHALL(wiped_mappings() == before + 1);
	return 0;
}

static void threads_that_make_it_at_once_share_one(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		in_child(race_to_make);
}

/* ---- where there is none to be had ---- */

/* Linux before 4.14, which a child of fork would inherit it from. */
static int no_book(void)
{
	struct booked entry = entry_of(7, 1), got;
	unsigned before = wiped_mappings();

	refuse_call_with(SYS_madvise, 2, 18 /* MADV_WIPEONFORK */, EINVAL);
	SHALL(!book_add(&entry));
	SHALL(!book_add(&entry)); /* nor is it asked for again */
	SHALL(!book_life());
	SHALL(book_next(0, &got) == -1);
	book_drop(7, 1);
	SHALL(wiped_mappings() == before);
	return 0;
}

static void kernel_that_cannot_wipe_it_on_fork_has_none(void **state)
{
	(void)state;
	in_child(no_book);
}

int main(void)
{
	const struct CMUnitTest book_tests[] = {
		TEST(entries_are_found_until_they_are_dropped),
		TEST(of_two_with_one_place_the_later_one_has_it),
		TEST(every_place_has_room),
		TEST(child_of_fork_begins_with_an_empty_one),
		TEST(child_of_vfork_books_nothing),
		TEST(copies_are_whole_while_threads_write),
		TEST(threads_that_make_it_at_once_share_one),
		TEST(kernel_that_cannot_wipe_it_on_fork_has_none),
	};

	return RUN_TESTS(book_tests);
}
