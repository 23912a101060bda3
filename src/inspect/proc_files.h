/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one process (proc(5)), below a descriptor of /proc/PID: which stays that process's, also when its number is
 * given to another. All of them may end at any moment (-ESRCH), be forbidden (-EACCES) or be as long as a stranger likes.
 */
#ifndef FAIRDIAL_INSPECT_PROC_FILES_H
#define FAIRDIAL_INSPECT_PROC_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A buffer that is used again and again. The caller frees `at`. */
struct proc_bytes {
	char *at;
	size_t len, room;
};

/* A file, up to `limit` bytes of it. 0, or a negative errno. */
int proc_read(int process, const char *name, size_t limit, struct proc_bytes *bytes);

/* What stat says. */
struct proc_stat {
	char name[64]; /* bytes as they stand: not for a terminal */
	char state;
	int parent;        /* 0: none, or one that cannot be seen */
	bool is_kernel;    /* a thread of the kernel */
	uint64_t start_ms; /* when it was forked, not when it called exec: CLOCK_BOOTTIME, rounded down to a tick (10 ms) */
};
int proc_read_stat(int process, struct proc_stat *ret_stat);

/* Pure; false where the line makes no sense. */
bool proc_parse_stat(const char *line, size_t len, struct proc_stat *ret_stat);

/* Whether code of a file of the name libfairdial.so is mapped, removed or not: 1, 0, or a negative errno. */
int proc_has_shim(int process);

/* Whether its file gave the program more privileges than who started it has (AT_SECURE, getauxval(3)): 1, 0, negative errno. */
int proc_is_privileged(int process, bool is_64, struct proc_bytes *bytes);

#endif
