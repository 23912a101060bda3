/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next definition of each hooked function: the libc's, or that of another preloaded object behind us. Found
 * through weak references alone, so that the object loads under any C library and under none.
 */
#ifndef FAIRDIAL_SHIM_NEXT_H
#define FAIRDIAL_SHIM_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/symbols.h"

/* Each is NULL where nobody defines it; those with a system call of their own name have a function below. */
struct next {
#define row(name) __typeof__(name) *name;
	SHIM_SYMBOLS(row)
#undef row
};

/* Looked up at the first call: dlsym(3) is not async-signal-safe, so the constructor calls it before anybody dials. */
const struct next *next_functions(void);

/* The next function, or, without one, the system call; errno set as the libc sets it. Cancellation points as theirs. */
int next_connect(int fd, const struct sockaddr *sa, socklen_t len);
ssize_t next_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len);
ssize_t next_sendmsg(int fd, const struct msghdr *msg, int flags);
int next_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

/* The first three for dials of ours, with the kernel's result: a negative errno, also in a program that has no errno. */
int next_dial(int fd, const struct sockaddr *sa, socklen_t len);
ssize_t next_send_flat(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len);
ssize_t next_send(int fd, const struct msghdr *msg, int flags);

/*
 * A cancellation point, where connect is one: does not return to a thread that is cancelled. A connect without a socket, which
 * comes to nothing; glibc sends a thread no signal as long as it is in none.
 */
void next_test_cancel(void);

/* The caller's errno, where there is a libc to keep one. */
int errno_get(void);
void errno_set(int value);

/* Whether the program has more rights than who started it (AT_SECURE): then the environment is not to be believed. */
bool next_is_privileged(void);

/* The effective user as the program was started, if the libc tells, which costs no system call; else as it is now. */
uint32_t next_start_euid(void);

/* The text of a variable, or NULL; belongs to the environment. */
const char *next_getenv(const char *name);

/* The file that holds this shim, as the loader names it, or NULL. */
const char *next_shim_path(void);

#endif
