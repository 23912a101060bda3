/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a table for reading, if it may be trusted, and keeps no descriptor. Used by shim and tool alike; plain system
 * calls, no allocation, async-signal-safe.
 */
#ifndef FAIRDIAL_TABLE_MAP_H
#define FAIRDIAL_TABLE_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "table/table.h"

/* Whose files are believed, besides root's: whoever these are can run code in the process anyway. */
struct trust {
	uint32_t euid;
	uint32_t shim_uid; /* the owner of libfairdial.so; the same as euid where it is not known */
	bool no_link;	   /* the directory itself may not be a symbolic link: it lies where anybody can make one */
};

/* Owned by somebody trusted, and written by nobody else. A directory with the sticky bit may be open to all. */
bool trust_file(const struct trust *trust, const struct stat *st);
bool trust_directory(const struct trust *trust, const struct stat *st);

/* A descriptor of such a directory, for the caller to close; -EPERM for another; else an error of open(2). */
int trust_open_directory(const char *dir, const struct trust *trust);

/*
 * Maps DIR/table. 0; -ENOENT and other errors of open(2); -EPERM where it is not trusted; -EBADMSG, -EPROTO
 * (another version) as table_attach. `ret_id`, which may be NULL, tells the file from a later one of its name.
 */
struct file_id {
	uint64_t dev, ino;
};
int table_map(const char *dir, const struct trust *trust, struct table *ret_table, struct file_id *ret_id);

/* Whether the file at `path` is still the one that was mapped, as far as can be told: it takes a descriptor. */
bool file_is_current(const char *path, const struct file_id *id);

void table_unmap(struct table *table);

/* In its place there is nothing but zeros from now on, a table without generation: for who may still be reading it. */
void table_blank(const struct table *table);

#endif
