/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that a program names and its loader would not find: such a program cannot start. Nothing is run.
 *
 * To call a library missing that is there would be a lie, so whatever may find one counts: all folders of ld.so(8) and of musl's
 * ld.so, the whole ld.so.cache by names alone, and folders of all processors. Nothing is said where that is not enough to know: of
 * a loader in a place of its own, whose folders are built into it; where LD_AUDIT or another preloaded object may find it; of
 * $PLATFORM in a search path; where names and folders are so many that looking would take seconds. Nor of what libraries need in
 * turn.
 */
#ifndef FAIRDIAL_INSPECT_LIBRARIES_H
#define FAIRDIAL_INSPECT_LIBRARIES_H

#include <stddef.h>

struct preloads;
struct program_file;

struct libraries {
	size_t missing; /* how many */
	char names[256]; /* of the first of them, with ", " between two; fit for a terminal, and cut where they are longer */
};

/* Of the file at `path`, to be started from here with this process's environment. */
void libraries_find_missing(const char *path, const struct program_file *file, const struct preloads *preloads,
			    struct libraries *ret);

#endif
