/* SPDX-License-Identifier: Apache-2.0 */
/* From a directory's name to a mapping, through one descriptor for each step so that nothing can be exchanged between. */
#include "table/map.h"

#include <errno.h>

#include "base/sys.h"

static bool trusted_owner(const struct trust *trust, uint32_t uid)
{
	return uid == 0 || uid == trust->euid || uid == trust->shim_uid;
}

bool trust_file(const struct trust *trust, const struct stat *st)
{
	return S_ISREG(st->st_mode) && trusted_owner(trust, st->st_uid) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

bool trust_directory(const struct trust *trust, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode) || !trusted_owner(trust, st->st_uid))
		return false;
	/* With the sticky bit others can add files, but not rename or remove this one (unlink(2), EPERM). */
	return !(st->st_mode & (S_IWGRP | S_IWOTH)) || (st->st_mode & S_ISVTX);
}

static int map_file(int fd, const struct trust *trust, struct table *ret_table, struct file_id *ret_id)
{
	struct stat st;
	void *base;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!trust_file(trust, &st))
		return -EPERM;
	if ((uint64_t)st.st_size < sizeof(struct table_head) || (uint64_t)st.st_size > TABLE_MAX_SIZE)
		return -EBADMSG;
	base = sys_mmap((size_t)st.st_size, PROT_READ, MAP_SHARED, fd);
	if (sys_mmap_failed(base))
		return (int)(long)base;
	r = table_attach(ret_table, base, (size_t)st.st_size);
	if (r < 0) {
		sys_munmap(base, (size_t)st.st_size);
		return r;
	}
	if (ret_id)
		*ret_id = (struct file_id){ st.st_dev, st.st_ino };
	return 0;
}

__attribute__((noinline)) /* what it asks need not lie on a hook's stack beside what the file is asked */
int trust_open_directory(const char *dir, const struct trust *trust)
{
	int fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (trust->no_link ? O_NOFOLLOW : 0), 0);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && !trust_directory(trust, &st))
		r = -EPERM;
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

int table_map(const char *dir, const struct trust *trust, struct table *ret_table, struct file_id *ret_id)
{
	int dir_fd = trust_open_directory(dir, trust), fd, r;

	if (dir_fd < 0)
		return dir_fd;
	/* O_NONBLOCK: a FIFO that somebody put there would wait for its writer. */
	r = fd = sys_openat(dir_fd, "table", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd >= 0) {
		r = map_file(fd, trust, ret_table, ret_id);
		sys_close(fd);
	}
	sys_close(dir_fd);
	return r;
}

bool file_is_current(const char *path, const struct file_id *id)
{
	struct stat st;
	int r = sys_stat(path, &st);

	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) /* it cannot be asked now */
		return true;
	return r == 0 && st.st_dev == id->dev && st.st_ino == id->ino;
}

void table_unmap(struct table *table)
{
	if (table->base)
		sys_munmap((void *)table->base, table->size);
	table->base = NULL;
}

void table_blank(const struct table *table)
{
	sys_mmap_zeros((void *)table->base, table->size, PROT_READ);
}
