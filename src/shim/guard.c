/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/guard.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "table/atomics.h"

#define GUARDS 32

/* glibc's: no other libc that this object meets unwinds, and of one that is there the thread pointer may be read. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

struct guard {
	int taken;	 /* swapped to 1 by whoever gets it, and released by 0 */
	uint64_t thread; /* whose it is; 0 while it is written */
	uint64_t number; /* of two of one thread, the later one is of the inner frame */
	const char *frame;
	struct guarded guarded;
};

static struct guard guards[GUARDS];
static uint64_t numbers;

static uint64_t this_thread(void)
{
	uint64_t pointer;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

void guard_leave(struct guard *guard)
{
	if (!guard)
		return;
	store_relaxed(&guard->thread, 0);
	store_release_int(&guard->taken, 0);
}

/*
 * Those of this thread whose frames lie as deep as ours or deeper are of dials that were left in another way: a loop that does so
 * dials from the same depth each time. On another stack that may be wrong, and costs a dial its guard.
 */
static void drop_left_ones(uint64_t thread, const char *frame)
{
	for (int i = 0; i < GUARDS; i++)
		if (load_relaxed(&guards[i].thread) == thread && guards[i].frame <= frame)
			guard_leave(&guards[i]);
}

struct guard *guard_enter(const struct guarded *guarded)
{
	const char *frame = __builtin_frame_address(0);
	uint64_t thread;

	if (!gnu_get_libc_version)
		return NULL;
	thread = this_thread();
	drop_left_ones(thread, frame);
	for (int i = 0; i < GUARDS; i++) {
		struct guard *guard = &guards[i];

		if (!swap_if_int(&guard->taken, 0, 1))
			continue;
		guard->guarded = *guarded;
		guard->frame = frame;
		guard->number = add_relaxed(&numbers, 1);
		/* Read by this thread alone, also in a handler that interrupts it: whole before it says whose it is. */
		__asm__ volatile("" ::: "memory");
		store_relaxed(&guard->thread, thread);
		return guard;
	}
	return NULL;
}

static struct guard *innermost(uint64_t thread)
{
	struct guard *last = NULL;

	for (int i = 0; i < GUARDS; i++)
		if (load_relaxed(&guards[i].thread) == thread && (!last || guards[i].number > last->number))
			last = &guards[i];
	return last;
}

/* Only where the socket still has what the dial set: the number may be another file's by now. */
static void put_back(const struct guarded *g)
{
	int now = 0;

	if (g->handshake_changed &&
	    (sys_getsockopt_int(g->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &now) < 0 || (unsigned)now != g->bound_ms))
		return;
	if (g->handshake_changed)
		sys_setsockopt(g->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &g->handshake_ms, sizeof(g->handshake_ms));
	if (g->send_changed)
		sys_setsockopt(g->fd, SOL_SOCKET, SO_SNDTIMEO, &g->send, sizeof(g->send));
}

enum { UNWIND_CLEANUP_PHASE = 2, UNWIND_CONTINUE = 8 }; /* unwind.h: _UA_CLEANUP_PHASE, _URC_CONTINUE_UNWIND */

/* The personality routine. The kernel goes on with the dial, which counts from now on by what it says. */
__attribute__((used)) int fairdial_unwind(int version, int actions, uint64_t class, void *exception, void *context);

int fairdial_unwind(int version, int actions, uint64_t class, void *exception, void *context)
{
	struct guard *guard;

	(void)class, (void)exception, (void)context;
	if (version != 1 || !(actions & UNWIND_CLEANUP_PHASE))
		return UNWIND_CONTINUE;
	guard = innermost(this_thread());
	if (!guard)
		return UNWIND_CONTINUE;
	put_back(&guard->guarded);
	ledger_landed(guard->guarded.ledger, guard->guarded.key);
	guard_leave(guard);
	return UNWIND_CONTINUE;
}
