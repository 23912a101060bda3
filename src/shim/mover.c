/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/mover.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/signals.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/trace.h"
#include "ledger/moves.h"
#include "shim/book.h"
#include "shim/dial.h"
#include "shim/next.h"
#include "shim/round.h"
#include "table/atomics.h"

/* Of which a few pages are ever touched; thread-local storage of the program's libraries lies in it too. */
#define STACK	      (128 << 10)
#define IDLE_MS	      30000
#define LAST_LOOK_MS  1000

/*
 * The word of book_life. Both sides change it by compare-and-swap alone, so that of a mover that is about to end and a dial that
 * has just booked an entry, whichever comes second sees what the first one did: the dial finds MOVER_NONE and makes another, or the
 * mover's swap to it, which acquires what the dial's released, is followed by a look at the book that finds the entry.
 */
enum life { MOVER_NONE, MOVER_STARTS, MOVER_RUNS, MOVER_CANNOT };

/* ---- the end ---- */

/*
 * The first thread has ended, and no other is left but this one. Asked without a descriptor, whose number the program could close
 * and be given meanwhile: /proc/self/exe leads nowhere once the first thread has left its memory, and /proc/self/task counts the
 * threads, the ended first one included, among its links (fs/proc/base.c, proc_task_getattr).
 */
static bool is_last_thread(void)
{
	char target[8];
	struct stat task;

	if (sys_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)target, sizeof(target), 0, 0) != -ENOENT)
		return false;
	return sys_stat("/proc/self/task", &task) == 0 && task.st_nlink <= 2 + 2;
}

static bool may_end(uint64_t *life)
{
	struct booked entry;

	if (!swap_if(life, MOVER_RUNS, MOVER_NONE))
		return true;
	return book_next(0, &entry) < 0 || !swap_if(life, MOVER_NONE, MOVER_RUNS);
}

/* ---- the thread ---- */

static void name_thread(void)
{
	sys_call(SYS_prctl, 15 /* PR_SET_NAME */, (long)"fairdial-mover", 0, 0, 0, 0);
}

static void *run(void *arg)
{
	uint64_t *life = arg;
	struct round *round = round_new();
	uint64_t idle_since_ms = 0, looked_ms = 0;

	name_thread();
	if (!round)
		swap_if(life, MOVER_RUNS, MOVER_NONE); /* no memory now: the next dial tries again */
	while (round) {
		uint64_t now_ms = clock_boot_ms();
		unsigned pause_ms = round_look(round, now_ms);
		bool idle = round_is_empty(round);

		if (!idle || !idle_since_ms)
			idle_since_ms = now_ms;
		if (now_ms - looked_ms >= LAST_LOOK_MS) {
			looked_ms = now_ms;
			if (is_last_thread())
				break;
		}
		if (idle && now_ms - idle_since_ms >= IDLE_MS && may_end(life))
			break;
		sys_poll(NULL, 0, (int)pause_ms);
	}
	round_free(round);
	return NULL;
}

/* ---- making it ---- */

/*
 * Weak, and bound when the program starts: a search for a name that nobody has would end a program of glibc before 2.34 that does
 * not load libdl (_dl_sym does not return then).
 */
extern __typeof__(pthread_create) pthread_create __attribute__((weak));
extern __typeof__(pthread_attr_init) pthread_attr_init __attribute__((weak));
extern __typeof__(pthread_attr_setstacksize) pthread_attr_setstacksize __attribute__((weak));
extern __typeof__(pthread_attr_setdetachstate) pthread_attr_setdetachstate __attribute__((weak));
extern __typeof__(pthread_attr_destroy) pthread_attr_destroy __attribute__((weak));

static bool can_make(void)
{
	return pthread_create && pthread_attr_init && pthread_attr_setstacksize && pthread_attr_setdetachstate &&
	       pthread_attr_destroy;
}

/* `stack`: 0 for the usual one. */
static bool make_with(size_t stack, uint64_t *life)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack)
		pthread_attr_setstacksize(&attr, stack);
	error = pthread_create(&thread, &attr, run, life);
	pthread_attr_destroy(&attr);
	return error == 0;
}

/*
 * The thread has the mask of whoever makes it. With the small stack, or, where the libraries of the program have more thread-local
 * storage than that, with the usual one.
 */
static bool make(uint64_t *life)
{
	uint64_t mask;
	bool made;

	if (!can_make())
		return false;
	mask = signals_mask(SIGNALS_ALL & ~SIGNALS_LIBC);
	made = make_with(STACK, life) || make_with(0, life);
	signals_mask(mask);
	return made;
}

__attribute__((noinline))
static void tell_cannot(const struct dial *dial)
{
	char buf[128];
	struct text line;

	ledger_count_without_thread(dial->pick.ledger, dial->pick.cursor);
	if (!(dial->settings->trace & TRACE_MOVE))
		return;
	line = trace_begin(buf, sizeof(buf), "move");
	text_add(&line, "connections stay where they are: no thread can be made");
	trace_end(&line, dial->settings->trace_path);
}

__attribute__((noinline))
static void make_mover(const struct dial *dial, uint64_t *life)
{
	int before = errno_get();

	/* Runs before it is made: where it looks at the word, it finds what it is to find. */
	store_release(life, MOVER_RUNS);
	if (!make(life)) {
		store_release(life, MOVER_CANNOT);
		tell_cannot(dial);
	}
	errno_set(before);
}

extern const char *gnu_get_libc_version(void) __attribute__((weak));

bool mover_is_vfork_child(void)
{
	void *head = NULL;
	size_t len = 0;

	/* Before 2.34 it is libpthread that has the list; without it there is no thread to be made either. */
	return gnu_get_libc_version && can_make() && sys_call(SYS_get_robust_list, 0, (long)&head, (long)&len, 0, 0, 0) == 0 && !head;
}

void mover_wake(const struct dial *dial)
{
	uint64_t *life = book_life();

	if (!life || swap_if(life, MOVER_RUNS, MOVER_RUNS))
		return;
	if (swap_if(life, MOVER_NONE, MOVER_STARTS))
		make_mover(dial, life);
}
