/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `fairdial install` does: a tree (launch/launch.h) that runs in a container which has no C library, or another one.
 *
 * The tool, its libraries and their loader fit each other and no others, so they are one set, a folder whose name follows from
 * what is in it. It appears whole, by one rename; after it descriptions of terminals (terminfo.h), which fit any set; then the
 * link that says which set is the current one, then the launcher, which needs the link; the shim is last, because whoever
 * preloads it may start what lies beside it. Each step leaves a tree that works, so a process that starts in between, or after
 * an install that was killed, has the old set or the new one.
 *
 * The set that was current stays until another one is installed: processes may be about to load from it. Older ones go, and
 * who runs from one keeps what is mapped. Who installs into one folder at the same time waits for the other (flock(2)).
 */
#ifndef FAIRDIAL_INSTALL_TREE_H
#define FAIRDIAL_INSTALL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct install {
	const char *dir;  /* made where there is none, with its parents */
	const char *tool; /* the file of this program: install/self.h */
	const char *shim; /* libfairdial.so */
	const char *version;
	void (*tell)(const char *name, bool is_new); /* NULL, or called for each file of the tree when it is in place */
};

struct installed {
	size_t files, changed;
	uint64_t bytes; /* of the files, not of those that stay of a former set */
};

/* 0, or a negative errno and why: then what was there before is there still, and works. Not thread-safe. */
int install_tree(const struct install *install, struct installed *ret_installed, struct report *why);

#endif
