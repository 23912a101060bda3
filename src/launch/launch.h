/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher of an installed tree, the tool that it starts and `fairdial install` have to agree on. DIR is the folder
 * that `fairdial install DIR` was given:
 *
 *	DIR/bin/fairdial                the launcher
 *	DIR/lib/fairdial-loader         a symbolic link, SET/LOADER: which set is the current one
 *	DIR/lib/SET/LOADER              the loader of the C library that the tool was linked with,
 *	DIR/lib/SET/fairdial            the tool,
 *	DIR/lib/SET/...                 and the libraries that it needs
 *	DIR/lib/terminfo/x/xterm, ...   descriptions of terminals, for `fairdial top`
 *	DIR/libfairdial.so              the shim
 *
 * The launcher reads the link once and starts SET/LOADER --library-path SET SET/fairdial ARG..., so that a process has all its
 * files from one set, also where the link is replaced meanwhile.
 */
#ifndef FAIRDIAL_LAUNCH_LAUNCH_H
#define FAIRDIAL_LAUNCH_LAUNCH_H

#define LAUNCH_FOLDER "lib"
#define LAUNCH_LINK   "fairdial-loader"
#define LAUNCH_TOOL   "fairdial"

/*
 * Variables that begin with LD_ are meant for the programs of the container, whose C library may be another one: a loader that
 * obeyed them would crash, or complain. The launcher overwrites the first letter by a character that no variable's name begins
 * with, and the tool puts it back before it does anything else (install/self.h).
 */
#define LAUNCH_VARIABLE "LD_"
#define LAUNCH_HIDDEN	'\1'
#define LAUNCH_FORGED	'\2' /* of one that came with LAUNCH_HIDDEN: it stays so */

/* Exit statuses, those of env(1) and POSIX's "command not found": the tool, which has statuses of its own, has not run. */
enum launch_exit {
	LAUNCH_CANNOT = 126, /* it is there, and cannot be executed */
	LAUNCH_MISSING = 127,
};

#endif
