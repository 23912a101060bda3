/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/proc_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000 /* linux/sched.h */

static bool make_room(struct proc_bytes *bytes)
{
	size_t room = bytes->room ? bytes->room * 2 : 8192;
	char *more;

	if (bytes->len < bytes->room)
		return true;
	more = realloc(bytes->at, room);
	if (!more)
		return false;
	bytes->at = more;
	bytes->room = room;
	return true;
}

static int read_all(int fd, size_t limit, struct proc_bytes *bytes)
{
	bytes->len = 0;
	while (bytes->len < limit) {
		ssize_t n;

		if (!make_room(bytes))
			return -ENOMEM;
		n = read(fd, bytes->at + bytes->len, bytes->room - bytes->len);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		bytes->len += (size_t)n;
	}
	bytes->len = limit;
	return 0;
}

int proc_read(int process, const char *name, size_t limit, struct proc_bytes *bytes)
{
	int fd = openat(process, name, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, limit, bytes);
	close(fd);
	return r;
}

/* ---- stat ---- */

bool proc_parse_stat(const char *line, size_t len, struct proc_stat *ret)
{
	struct proc_stat stat = { 0 };
	const char *open = memchr(line, '(', len), *shut = memrchr(line, ')', len); /* the name may have both */
	char rest[512];
	uint64_t ticks;
	unsigned flags;
	size_t n;

	if (!open || !shut || shut < open)
		return false;
	n = (size_t)(shut - open - 1);
	memcpy(stat.name, open + 1, n < sizeof(stat.name) ? n : sizeof(stat.name) - 1);
	n = len - (size_t)(shut + 1 - line);
	if (n >= sizeof(rest))
		n = sizeof(rest) - 1;
	memcpy(rest, shut + 1, n);
	rest[n] = '\0';
	/* Fields 3 state, 4 ppid, 9 flags, 22 starttime. */
	if (sscanf(rest, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &stat.state,
		   &stat.parent, &flags, &ticks) != 4)
		return false;
	stat.is_kernel = flags & PF_KTHREAD;
	stat.start_ms = ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	*ret = stat;
	return true;
}

int proc_read_stat(int process, struct proc_stat *ret_stat)
{
	int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
	char line[1024];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, line, sizeof(line));
	n = n < 0 ? -errno : n;
	close(fd);
	if (n < 0)
		return (int)n;
	return proc_parse_stat(line, (size_t)n, ret_stat) ? 0 : -EBADMSG;
}

/* ---- maps ---- */

static bool ends_with(const char *line, size_t len, const char *end)
{
	return len >= strlen(end) && memcmp(line + len - strlen(end), end, strlen(end)) == 0;
}

/*
 * "7f65-7f66 r-xp 00001000 00:27 2 /path/libfairdial.so", with " (deleted)" behind a file that was removed. Code: of an object
 * that it could not map whole, glibc leaves the first part mapped.
 */
static bool is_code_of_shim(const char *line, size_t len)
{
	const char *access = memchr(line, ' ', len);

	return access && (size_t)(line + len - access) > 3 && access[3] == 'x' &&
	       (ends_with(line, len, "/libfairdial.so") || ends_with(line, len, "/libfairdial.so (deleted)"));
}

/* Of whole lines; `*len` becomes what is left at the end, moved to the beginning. */
static bool find_code_of_shim(char *bytes, size_t *len)
{
	char *line = bytes, *end;

	while ((end = memchr(line, '\n', *len))) { /* those in paths are written as \012 */
		if (is_code_of_shim(line, (size_t)(end - line)))
			return true;
		*len -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	memmove(bytes, line, *len);
	return false;
}

int proc_has_shim(int process)
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC), found = 0;
	char bytes[32768]; /* several of the longest lines */
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (!found && len < sizeof(bytes) && (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0) {
		len += (size_t)n;
		found = find_code_of_shim(bytes, &len);
	}
	if (n < 0)
		found = -errno;
	close(fd);
	return found;
}

/* ---- auxv ---- */

/* A word of the process's own width. The kernel that answers is this one, so its byte order is ours. */
static uint64_t word_at(const char *at, bool is_64)
{
	uint64_t wide;
	uint32_t half;

	if (is_64) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&half, at, sizeof(half));
	return half;
}

int proc_is_privileged(int process, bool is_64, struct proc_bytes *bytes)
{
	size_t word = is_64 ? 8 : 4;
	int r = proc_read(process, "auxv", 4096, bytes);

	for (size_t at = 0; r == 0 && at + 2 * word <= bytes->len; at += 2 * word)
		if (word_at(bytes->at + at, is_64) == AT_SECURE)
			return word_at(bytes->at + at + word, is_64) != 0;
	return r;
}
