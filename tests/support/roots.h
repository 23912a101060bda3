/* SPDX-License-Identifier: Apache-2.0 */
/* Other systems, unpacked into folders: for programs of another C library or architecture. */
#ifndef FAIRDIAL_TESTS_ROOTS_H
#define FAIRDIAL_TESTS_ROOTS_H

/*
 * The folder of the root that tests/roots.sh calls `name`, unpacked now where it is not yet (half a minute, once a build
 * folder). Skips the test where it cannot be; valid until the test ends.
 */
const char *root_of(const char *name);

/*
 * The same, fit for programs that run inside it (struct start's `root`): they find this machine's /proc and /dev there, and
 * the repository and all scratch directories under the names that these have here. For that the test program moves into a
 * mount namespace of its own, for good; skips the test where that is not allowed.
 */
const char *furnished_root(const char *name);

/* The mount namespace alone. */
void need_mount_namespace(void);

/*
 * For a program whose tests write much, before the first of them: its scratch directories are in memory, where mounting is allowed,
 * instead of waiting for a disk. Not for one that uses furnished_root.
 */
void scratch_in_memory(void);

#endif
