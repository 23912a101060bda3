/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file, link or folder put into its place, so that at any moment, also after a crash, whoever looks finds the old one or
 * the new one whole: made under another name in the same folder, written out (fsync), and renamed. Nothing is written where the
 * place holds the same already. A file that programs have mapped is never written to (mmap(2) leaves open what they would see).
 *
 * Folders are open descriptors; functions return 0 or a negative errno, and leave nothing behind when they fail. Modes are
 * exact, whatever the umask, which is changed for a moment: not thread-safe.
 */
#ifndef FAIRDIAL_INSTALL_PLACE_H
#define FAIRDIAL_INSTALL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bytes {
	const void *at;
	size_t size;
};

/* A file's bytes, mapped; to be given back. An empty file is -ENODATA. */
int bytes_map(const char *path, struct bytes *ret_bytes);
void bytes_unmap(struct bytes *bytes);

/* Whether the folder holds a plain file of this name with these bytes and this mode. */
bool place_holds(int folder, const char *name, const struct bytes *bytes, mode_t mode);

/* `*ret_changed` becomes true where something had to be written, and is left alone otherwise. */
int place_file(int folder, const char *name, const struct bytes *bytes, mode_t mode, bool *ret_changed);
int place_link(int folder, const char *name, const char *target, bool *ret_changed);

/* Opens a folder inside another one, which is made (0755) where there is none; a descriptor. */
int place_folder(int folder, const char *name);

/*
 * For a whole folder that appears at once: a new empty one under a name that says it is not finished, and its descriptor; files
 * that are made there by their own names, and may be left unfinished by a failure; then the folder into place. place_publish is
 * -EEXIST where another one has that name.
 */
#define PLACE_NAME_SIZE 40
int place_begin(int folder, char ret_name[PLACE_NAME_SIZE]);
int place_new(int folder, const char *name, const struct bytes *bytes, mode_t mode);
int place_publish(int folder, const char *unfinished, int fd, const char *name);

/* With what is in it, folders in it excepted. What is not there is no error. */
int place_remove(int folder, const char *name);

/* What an earlier call that was killed has left in this folder. Nobody else may be at work in it. */
void place_sweep(int folder);

#endif
