/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of the usual terminals, for `fairdial top` in an image that has none (terminfo(5)): lib/terminfo in an installed
 * tree. They are those of this system, or of the tree that this tool was installed in; what neither has is left out.
 */
#ifndef FAIRDIAL_INSTALL_TERMINFO_H
#define FAIRDIAL_INSTALL_TERMINFO_H

#include <limits.h>
#include <stddef.h>

#define TERMINFO_FOLDER "terminfo" /* in LAUNCH_FOLDER */

/* The one beside the tool's set: `tool` is its file. 0, or -ENAMETOOLONG. */
int terminfo_beside(const char *tool, char ret_path[PATH_MAX]);

/* Number `i` of those that are carried along, as "x/xterm"; NULL behind the last. */
const char *terminfo_entry(size_t i);

/* Where that one lies here. 0, or -ENOENT. */
int terminfo_find(const char *tool, const char *entry, char ret_path[PATH_MAX]);

#endif
