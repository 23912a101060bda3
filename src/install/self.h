/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How this process was started, and where its file is: by the kernel, or by a loader that was run as a program, which is how
 * the launcher of an installed tree does it (launch/launch.h). Not thread-safe; no hook calls any of it.
 */
#ifndef FAIRDIAL_INSTALL_SELF_H
#define FAIRDIAL_INSTALL_SELF_H

#include <limits.h>
#include <stdbool.h>

/*
 * First of all in main(): puts back the variables that the launcher hid, and names the process after the tool instead of the
 * loader (for ps(1)). `argv` has to stay valid. May be called again.
 */
void self_begin(char **argv);

/* Whether a loader that was run as a program started this one. */
bool self_is_launched(void);

/* Whether a library of this file name is in this process. */
bool self_has_loaded(const char *name);

/* Executes this program anew, as it was started, with the environment as it is now. Returns only a negative errno. */
int self_execute(char **argv);

/* The file of this program, absolute; also without /proc. 0, or a negative errno. */
int self_path(char ret_path[PATH_MAX]);

#endif
