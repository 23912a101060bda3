/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/shim_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* To open a stranger's pipe or device could wait, or do something. */
int file_name_in(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* before Linux 5.6, or a filter that does not know the call */
		fd = openat(root, path + strspn(path, "/"), O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

static uint64_t boot_ms_of(const struct timespec *wall)
{
	int64_t then = (int64_t)wall->tv_sec * 1000 + wall->tv_nsec / 1000000;
	int64_t ago = (int64_t)clock_wall_ms() - then, now = (int64_t)clock_boot_ms();

	return ago < now ? (uint64_t)(now - ago) : 0;
}

static int open_by_name(int name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void take_kind(int name, struct shim_file *file)
{
	int fd = open_by_name(name);

	if (fd < 0)
		return;
	file->has_kind = elf_identify_fd(fd, &file->kind) == 0;
	close(fd);
}

void shim_file_look(int root, const char *path, struct shim_file *file)
{
	int name = file_name_in(root, path);
	struct statvfs mount;
	struct stat st;

	memset(file, 0, sizeof(*file));
	if (name < 0) {
		file->presence = name == -ENOENT || name == -ENOTDIR ? SHIM_MISSING : SHIM_UNTOLD;
		return;
	}
	if (fstat(name, &st) == 0) {
		file->presence = SHIM_THERE;
		file->placed_ms = boot_ms_of(&st.st_ctim);
		file->is_noexec = fstatvfs(name, &mount) == 0 && (mount.f_flag & ST_NOEXEC);
		/* A file of the kernel's, to which a stranger's link may lead, has no size; to read it may wait (/proc/kmsg). */
		if (S_ISREG(st.st_mode) && st.st_size > 0)
			take_kind(name, file);
	}
	close(name);
}

int file_identify_in(int root, const char *path, struct file_id *ret_id)
{
	int name = file_name_in(root, path), r;
	struct stat st;

	if (name < 0)
		return name;
	r = fstat(name, &st) ? -errno : 0;
	if (r == 0)
		*ret_id = (struct file_id){ st.st_dev, st.st_ino };
	close(name);
	return r;
}

int file_open_in(int root, const char *path)
{
	int name = file_name_in(root, path), r;
	struct stat st;

	if (name < 0)
		return name;
	if (fstat(name, &st) < 0)
		r = -errno;
	else
		r = S_ISREG(st.st_mode) ? open_by_name(name) : -EINVAL;
	close(name);
	return r;
}
