/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that `fairdial install` made, and the versions of the tool that made them. */
#ifndef FAIRDIAL_TESTS_INSTALLED_H
#define FAIRDIAL_TESTS_INSTALLED_H

#include <stdbool.h>

struct process;

/*
 * Another version of the tool than the one that was built, which has its shim beside it: the same code, with a word behind it
 * that makes the files differ. Valid until the test ends.
 */
const char *tool_of_version(const char *word);

/* Installs; the test fails where the tool does. Returns what it did. */
struct process *install_with(const char *tool, const char *dir);

/* A scratch directory that every user may pass through; with a tree in it, of the tool that was built. */
char *open_dir(void);
const char *tree_of_build(void);

/* DIR/bin/fairdial; DIR/lib/fairdial-1.2.3-..., the set that it starts now. */
const char *tool_in(const char *dir);
const char *set_in(const char *dir);

/* Fails unless the tree is whole, and starts: of this tool, with nothing in it that is not finished. */
void assert_tree_of(const char *tool, const char *dir);

/* Fails unless it starts, whosever it is. */
void assert_tree_starts(const char *dir);

/* How many sets it holds, and how many names of files that are not finished. */
unsigned sets_in(const char *dir);
unsigned leftovers_in(const char *dir);

#endif
