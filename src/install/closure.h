/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that this process needs to be started elsewhere: its program, the libraries that the program needs (DT_NEEDED, and
 * theirs), and their loader, as the loader of this very process found them. What LD_PRELOAD put into it is no part of it.
 */
#ifndef FAIRDIAL_INSTALL_CLOSURE_H
#define FAIRDIAL_INSTALL_CLOSURE_H

#include <limits.h>
#include <stddef.h>

#include "base/report.h"

enum { CLOSURE_MAX = 128 };

struct closure_file {
	const char *name;    /* by which the loader looks for it: "libcurl.so.4" */
	char path[PATH_MAX]; /* where it lies */
};

struct closure {
	size_t count;
	struct closure_file files[CLOSURE_MAX]; /* the loader comes first, then the program, as `program_name` */
};

/*
 * `program` is the file of this process (install/self.h). Too large for a stack: the caller owns it. Names stay valid as long
 * as the process. 0, or a negative errno and why. Not thread-safe.
 */
int closure_take(const char *program, const char *program_name, struct closure *ret_closure, struct report *why);

#endif
