/* SPDX-License-Identifier: Apache-2.0 */
/* The libfairdial.so that a program names, in the file system of that program: is it there, can it be loaded, since when. */
#ifndef FAIRDIAL_INSPECT_SHIM_FILE_H
#define FAIRDIAL_INSPECT_SHIM_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/elf.h"
#include "table/map.h"

enum shim_presence {
	SHIM_UNTOLD, /* nobody says where, or we may not look */
	SHIM_MISSING,
	SHIM_THERE,
};

struct shim_file {
	enum shim_presence presence;
	bool is_noexec; /* on a mount that maps no code (MS_NOEXEC) */
	bool has_kind;
	struct elf_kind kind;
	/*
	 * Since when it has been there, in CLOCK_BOOTTIME: its ctime, which a rename into place sets and a copy cannot keep
	 * (inode(7)). A chmod or another link sets it too, so it may be later than the truth. As precise as the kernel's tick,
	 * a few milliseconds; off by as much as the wall clock was set since.
	 */
	uint64_t placed_ms;
};

/*
 * `path` is absolute and looked up below `root`, a descriptor of a folder that is that program's /: its symbolic links do
 * not lead out of it. Opens nothing but a regular file.
 */
void shim_file_look(int root, const char *path, struct shim_file *ret_file);

/* A name for what is there, of whatever kind, and no more (O_PATH): a descriptor, which the caller closes, or a negative errno. */
int file_name_in(int root, const char *path);

/* A file there by device and inode; 0, or a negative errno. Opens nothing. */
int file_identify_in(int root, const char *path, struct file_id *ret_id);

/* The same file for reading, where it is a regular one; a descriptor, or a negative errno. */
int file_open_in(int root, const char *path);

#endif
