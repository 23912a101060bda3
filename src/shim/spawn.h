/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program that has nothing to do with the process that starts it: no child of it, no descriptor, no terminal, no
 * signal. From within any call that a program makes, and unseen by it: no SIGCHLD, no zombie, nothing for its wait(2) to
 * find, and no other thread stops.
 *
 * Async-signal-safe; errno stays. The calling thread is held up until the program runs, or cannot: as long as an execve(2)
 * takes.
 */
#ifndef FAIRDIAL_SHIM_SPAWN_H
#define FAIRDIAL_SHIM_SPAWN_H

/*
 * 0 once it runs; a negative errno where it could not be started. What becomes of it later nobody here learns. Whoever adopts
 * it (the next subreaper above, or PID 1 of the pid namespace) gets a SIGCHLD at its end.
 */
int spawn_detached(const char *path, char *const argv[], char *const envp[]);

#endif
