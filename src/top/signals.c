/* SPDX-License-Identifier: Apache-2.0 */
#include "top/signals.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int asking[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH };
static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

#define ENDING	4 /* of `asking`, the first */
#define ASKING	(sizeof(asking) / sizeof(*asking))
#define CRASHES (sizeof(crashes) / sizeof(*crashes))

static volatile sig_atomic_t seen[NSIG], writing;
static const struct restore *restore;
static struct sigaction before[NSIG];
static sigset_t mask_before, ends, asks;
static char crash_stack[16384]; /* a stack that has overflowed is no place for a handler */

/* ---- handlers ---- */

bool signals_own_terminal(int fd)
{
	pid_t owner = tcgetpgrp(fd);

	return owner <= 0 || owner == getpgrp();
}

static void put_back(void)
{
	const char *at = restore->bytes;
	size_t left = restore->length;
	ssize_t n;

	if (!signals_own_terminal(restore->fd))
		return;
	tcflush(restore->fd, TCOFLUSH); /* what stands before it may never be taken */
	tcflow(restore->fd, TCOOFF); /* what Ctrl-S has stopped goes on: TCOON alone is for what was stopped like this */
	tcflow(restore->fd, TCOON);
	for (; left && (n = write(restore->fd, at, left)) != 0; at += n, left -= (size_t)n) {
		if (n > 0)
			continue;
		if (errno != EINTR)
			break;
		n = 0;
	}
	tcsetattr(restore->fd, TCSANOW, &restore->modes);
}

/* Blocked while its handler runs, and so fatal when that returns. */
static void crash(int number)
{
	put_back();
	signal(number, SIG_DFL);
	raise(number);
}

static bool is_end(int number)
{
	for (size_t i = 0; i < ENDING; i++)
		if (asking[i] == number)
			return true;
	return false;
}

static void note(int number)
{
	int error = errno;

	seen[number] = 1;
	if (writing && number == SIGINT) { /* which is a key that quits */
		put_back();
		_exit(0);
	}
	if (writing && is_end(number))
		crash(number);
	errno = error;
}

/* ---- */

static void install(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&action.sa_mask);
	sigaction(number, NULL, &before[number]);
	if (before[number].sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

void signals_begin(const struct restore *how, sigset_t *ret_waiting)
{
	const stack_t stack = { .ss_sp = crash_stack, .ss_size = sizeof(crash_stack) };

	restore = how;
	sigemptyset(&asks);
	sigemptyset(&ends);
	for (size_t i = 0; i < ASKING; i++) {
		sigaddset(&asks, asking[i]);
		if (i < ENDING)
			sigaddset(&ends, asking[i]);
	}
	sigprocmask(SIG_BLOCK, &asks, &mask_before);
	*ret_waiting = mask_before;
	for (size_t i = 0; i < ASKING; i++) {
		sigdelset(ret_waiting, asking[i]);
		seen[asking[i]] = 0;
		install(asking[i], note, 0);
	}
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < CRASHES; i++)
		install(crashes[i], crash, SA_ONSTACK);
}

void signals_done(void)
{
	for (size_t i = 0; i < ASKING; i++)
		sigaction(asking[i], &before[asking[i]], NULL);
	for (size_t i = 0; i < CRASHES; i++)
		sigaction(crashes[i], &before[crashes[i]], NULL);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

bool signals_take(int number)
{
	bool was = seen[number];

	seen[number] = 0;
	return was;
}

int signals_end(void)
{
	for (size_t i = 0; i < ENDING; i++)
		if (seen[asking[i]])
			return asking[i];
	return 0;
}

void signals_enter_write(void)
{
	writing = 1;
	sigprocmask(SIG_UNBLOCK, &ends, NULL);
}

void signals_leave_write(void)
{
	sigprocmask(SIG_BLOCK, &ends, NULL);
	writing = 0;
}

/* It stays pending until it is let in: then the process stands here. */
static void die_of(int number)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

void signals_stop(void)
{
	struct sigaction ours, standard = { .sa_handler = SIG_DFL };
	const struct timespec now = { 0, 0 };
	sigset_t goes_on;

	sigemptyset(&goes_on);
	sigaddset(&goes_on, SIGCONT);
	sigemptyset(&standard.sa_mask);
	sigaction(SIGTSTP, &standard, &ours);
	die_of(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &ends, NULL);
	sigprocmask(SIG_BLOCK, &asks, NULL);
	sigtimedwait(&goes_on, NULL, &now); /* the one that ended it needs no more thought */
	sigaction(SIGTSTP, &ours, NULL);
}

_Noreturn void signals_die(int number)
{
	signal(number, SIG_DFL);
	die_of(number);
	_exit(128 + number); /* where it is 1 of a container, and nothing but a handler makes it end */
}
