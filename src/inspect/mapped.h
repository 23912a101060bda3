/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of fairdial a process has in its memory (/proc/PID/maps, proc(5)), and what it is in its namespaces. */
#ifndef FAIRDIAL_INSPECT_MAPPED_H
#define FAIRDIAL_INSPECT_MAPPED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/proc_files.h"

/* A file as it was when it was mapped. */
struct mapped_file {
	bool is_mapped;
	bool is_removed; /* no name leads to it any more: it was deleted, or another one was put in its place */
	uint64_t inode;
	uint64_t begin, end; /* addresses of the part that was seen */
	char path[PATH_MAX]; /* in the process's file system; not fit for a terminal */
};

struct mapped {
	struct mapped_file shim, table;
	bool is_first;       /* PID 1 of a PID namespace */
	bool is_read;        /* maps could be read: else nothing is known of the files */
	char *preload;       /* LD_PRELOAD as it was started with; NULL: none, or not known */
	char *command;       /* its arguments, a blank between two; NULL: not known; not fit for a terminal */
	uint16_t mesh_port;  /* asked for: the lowest on which TCP listens in its network namespace; 0: none */
};

/* `process` is a descriptor of /proc/PID; `is_mesh` tells a mesh's port. What cannot be read stays empty. 0, or -ENOMEM. */
int mapped_take(int process, bool (*is_mesh)(uint16_t port), struct mapped *ret);
void mapped_free(struct mapped *mapped);

/*
 * The very file that is mapped, also where another one is in its place; for reading. A descriptor, which the caller closes, or a
 * negative errno: -EPERM without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE on the host.
 */
int mapped_open(int process, const struct mapped_file *file);

/* Pure: one line of maps, without its newline. */
void mapped_take_line(struct mapped *mapped, const char *line, size_t len);

#endif
