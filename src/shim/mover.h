/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mover: the one thread of a process that has connections to follow. Made at the first dial that books one, and in a child of
 * fork(2) at its own first; it ends when there has been none for half a minute, and when it is the last thread of the process,
 * whose end it must not hold up.
 *
 * It is made by the C library's own pthread_create, bound as the program's is: a library that counts threads,
 * changes the user of all of them (nptl(7)) or watches them (a sanitizer) knows of this one too. All signals are blocked in it but
 * those that C libraries keep for themselves. Where there is no pthread_create (glibc before 2.34, in a program that does not load
 * libpthread) nothing is closed, and the trace and `fairdial status` say so.
 */
#ifndef FAIRDIAL_SHIM_MOVER_H
#define FAIRDIAL_SHIM_MOVER_H

#include <stdbool.h>

struct dial;

/*
 * Whether this is a child of vfork(2), which has its parent's memory: it books nothing, and makes no thread there. Told by the list
 * of robust locks, which the kernel takes from any child (get_robust_list(2)), and glibc gives back to one of fork alone. musl has
 * none in most programs: there it is never said.
 */
bool mover_is_vfork_child(void);

/* An entry has been booked: there is to be a mover. Keeps errno. */
void mover_wake(const struct dial *dial);

#endif
