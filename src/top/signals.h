/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of a program that owns a terminal. Those that ask for something (to end, to stop, a new size) are blocked but while
 * it waits, or writes, and only noted. Those that tell of a crash put the terminal back first, by what is async-signal-safe.
 */
#ifndef FAIRDIAL_TOP_SIGNALS_H
#define FAIRDIAL_TOP_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

/* What puts the terminal back. */
struct restore {
	int fd;
	struct termios modes;
	size_t length;
	char bytes[512];
};

/*
 * From now on; `restore` has to stay valid. What is ignored stays ignored (nohup). `ret_waiting` is the mask for ppoll(2), under
 * which they arrive.
 */
void signals_begin(const struct restore *restore, sigset_t *ret_waiting);

/* As it was before. */
void signals_done(void);

/* Whether it has arrived since the last time. */
bool signals_take(int number);

/* The first that has arrived of those that end a program: SIGINT, SIGTERM, SIGHUP, SIGQUIT; 0: none. */
int signals_end(void);

/*
 * Around a write to the terminal, which may never come back where its output is stopped: meanwhile such a signal puts the
 * terminal back and ends the program at once.
 */
void signals_enter_write(void);
void signals_leave_write(void);

/* Stops this process as SIGTSTP does; comes back when it goes on. What came meanwhile is noted. */
void signals_stop(void);

/* False in the background, where a terminal belongs to others, and who changes its modes is stopped (SIGTTOU). */
bool signals_own_terminal(int fd);

/* Ends this process by this signal. */
_Noreturn void signals_die(int number);

#endif
