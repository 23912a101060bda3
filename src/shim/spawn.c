/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program becomes the child of a child that ends at once, so that it is nobody's whom we know. Both are made by clone(2)
 * with these:
 *	exit signal 0	the end of one sends no signal, and only a wait with __WALL or __WCLONE sees it
 *	CLONE_VM	nothing is copied, however large the process is, and no page of it becomes read-only for a fork's sake
 *	CLONE_VFORK	this thread sleeps until the child has a memory of its own, or has ended: the stack and the strings stay
 *
 * Signals are blocked meanwhile: a handler of the program must not run in a child that shares its memory. The one that can is
 * that of SIGSYS, for a call of the child itself which a filter traps, as it would for one of the program's own. What the
 * children change is theirs alone (no CLONE_FILES, CLONE_FS or CLONE_SIGHAND): descriptors, directory, umask, what signals
 * do. They call nothing but the kernel, so the libc's thread pointer, which they share with the thread that sleeps, is not
 * used.
 *
 * The first child is a zombie between its end and our wait, a few instructions. A thread that waits for anybody's child by
 * __WALL may find it there; then ours is told that there is none, and goes on.
 */
#include "shim/spawn.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "base/scratch.h"
#include "base/signals.h"
#include "base/sys.h"
#include "base/text.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define STACK	 16384
#define FDS_MOST 65536 /* where neither the kernel nor /proc tells which are open */

struct room {
	const char *path;
	char *const *argv;
	char *const *envp;
	int error; /* a negative errno, of whichever step failed */
	char entries[1024] __attribute__((aligned(8))); /* of /proc/self/fd */
	char stacks[2][STACK] __attribute__((aligned(16)));
};

/* ---- clone ---- */

/*
 * The child runs `run(room)` on a stack of its own, and ends with what that returns. It must not return from here: its caller's
 * frame is another stack's.
 */
#if defined(__x86_64__)
static long clone_vm(char *stack_end, int (*run)(struct room *), struct room *room)
{
	register long flags __asm__("rdi") = CLONE_VM | CLONE_VFORK;
	register char *sp __asm__("rsi") = stack_end;
	register long parent_tid __asm__("rdx") = 0;
	register long child_tid __asm__("r10") = 0;
	register struct room *arg __asm__("r8") = room; /* the place of a thread pointer, which these flags do not ask for */
	register int (*function)(struct room *) __asm__("r9") = run;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r8, %%rdi\n\t"
			 "call *%%r9\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret), "+r"(flags), "+r"(sp), "+r"(parent_tid), "+r"(child_tid), "+r"(arg), "+r"(function)
			 : "a"((long)SYS_clone), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}
#elif defined(__aarch64__)
static long clone_vm(char *stack_end, int (*run)(struct room *), struct room *room)
{
	register long number __asm__("x8") = SYS_clone;
	register long flags __asm__("x0") = CLONE_VM | CLONE_VFORK;
	register char *sp __asm__("x1") = stack_end;
	register long parent_tid __asm__("x2") = 0;
	register long thread_pointer __asm__("x3") = 0;
	register long child_tid __asm__("x4") = 0;
	register struct room *arg __asm__("x5") = room;
	register int (*function)(struct room *) __asm__("x6") = run;

	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x30, xzr\n\t"
			 "mov x0, x5\n\t"
			 "blr x6\n\t"
			 "mov x8, %[exit]\n\t"
			 "svc 0\n\t"
			 "brk 1\n"
			 "1:"
			 : "+r"(flags)
			 : "r"(number), "r"(sp), "r"(parent_tid), "r"(thread_pointer), "r"(child_tid), "r"(arg), "r"(function),
			   [exit] "i"(SYS_exit_group)
			 : "memory", "cc");
	return flags;
}
#endif

/* ---- the second child, which becomes the program ---- */

/*
 * An ignored signal would stay ignored, a handler would not: all are set, also those that a libc keeps for itself. But SIGSYS,
 * where it is handled: what a filter traps is its handler's as far as exec.
 */
static void reset_signals(void)
{
	for (int number = 1; number <= SIGNALS_LAST; number++)
		if (number != SIGNAL_TRAP || signal_action(number).handler == SIGNAL_IGNORED)
			signal_set_default(number);
}

/* What linux_dirent64 begins with: the number of a descriptor is its name. */
struct entry {
	uint64_t ino, off;
	uint16_t size;
	uint8_t type;
	char name[];
};

static void close_entry(const struct entry *entry, int but)
{
	int fd = 0;

	if (!text_is_digit(entry->name[0]))
		return;
	for (const char *digit = entry->name; *digit; digit++)
		fd = fd * 10 + (*digit - '0');
	if (fd != but)
		sys_close(fd);
}

static bool close_listed(struct room *room)
{
	int dir = sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	long n;

	if (dir < 0)
		return false;
	while ((n = sys_call(SYS_getdents64, dir, (long)room->entries, sizeof(room->entries), 0, 0, 0)) > 0)
		for (long at = 0; at < n; at += ((const struct entry *)(room->entries + at))->size)
			close_entry((const struct entry *)(room->entries + at), dir);
	sys_close(dir);
	return n == 0;
}

static void close_up_to_limit(void)
{
	struct {
		uint64_t soft, hard;
	} limit = { FDS_MOST, FDS_MOST };

	/* The hard one: those that were opened before the soft one was lowered are still there. */
	sys_call(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, (long)&limit, 0, 0);
	for (int fd = 0; fd < FDS_MOST && (uint64_t)fd < limit.hard; fd++)
		sys_close(fd);
}

static void close_all(struct room *room)
{
	if (sys_call(SYS_close_range, 0, UINT32_MAX, 0, 0, 0, 0) == 0)
		return;
	sys_close(0); /* so that there is a free one */
	if (!close_listed(room))
		close_up_to_limit();
}

/*
 * 0, 1 and 2. They have to be something, or the program's first sockets would be what it logs to. Where there is no
 * /dev/null, a directory, which neither gives nor takes anything.
 */
static void open_standard(void)
{
	int fd = sys_openat(AT_FDCWD, "/dev/null", O_RDWR | O_NOCTTY, 0);

	if (fd < 0)
		fd = sys_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
	for (int i = fd; fd >= 0 && i < 2; i++)
		sys_call(SYS_dup, fd, 0, 0, 0, 0, 0);
}

/* A program with a processor to itself (SCHED_FIFO, SCHED_RR) does not share that privilege with its helpers. */
static void reset_scheduling(void)
{
	static const int none; /* struct sched_param of SCHED_OTHER, which is 0 */
	long policy = sys_call(SYS_sched_getscheduler, 0, 0, 0, 0, 0, 0);

	if (policy == 1 || policy == 2)
		sys_call(SYS_sched_setscheduler, 0, 0, (long)&none, 0, 0, 0);
}

static int become(struct room *room)
{
	sys_call(SYS_setsid, 0, 0, 0, 0, 0, 0);
	reset_scheduling();
	reset_signals();
	close_all(room);
	open_standard();
	sys_call(SYS_chdir, (long)"/", 0, 0, 0, 0, 0);
	sys_call(SYS_umask, 022, 0, 0, 0, 0, 0);
	signals_mask(0);
	room->error = (int)sys_call(SYS_execve, (long)room->path, (long)room->argv, (long)room->envp, 0, 0, 0);
	return 127;
}

/* ---- the first child, which ends when the second is on its way ---- */

static int leave(struct room *room)
{
	long pid = clone_vm(room->stacks[1] + STACK, become, room);

	if (pid < 0)
		room->error = (int)pid;
	return 0;
}

/* ---- here ---- */

static int start(struct room *room)
{
	long pid = clone_vm(room->stacks[0] + STACK, leave, room);

	if (pid < 0)
		return (int)pid;
	while (sys_call(SYS_wait4, pid, 0, __WALL, 0, 0, 0) == -EINTR)
		;
	return room->error;
}

int spawn_detached(const char *path, char *const argv[], char *const envp[])
{
	struct room *room = scratch_take(sizeof(*room));
	uint64_t mask;
	int r;

	if (!room)
		return -ENOMEM;
	room->path = path;
	room->argv = argv;
	room->envp = envp;
	mask = signals_mask(SIGNALS_ALL);
	r = start(room);
	signals_mask(mask);
	scratch_give(room, sizeof(*room));
	return r;
}
