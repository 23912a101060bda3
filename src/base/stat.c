/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "base/sys.h"
#include "base/text.h"

extern const char *gnu_get_libc_version(void) __attribute__((weak));

/* glibc 2.33 to 2.38 have fstat(3) ask by newfstatat(2), all others by fstat(2). */
static bool asks_by_newfstatat(void)
{
	const char *version = gnu_get_libc_version ? gnu_get_libc_version() : "";
	unsigned minor = 0;

	if (version[0] != '2' || version[1] != '.')
		return false;
	for (version += 2; text_is_digit(*version); version++)
		minor = minor * 10 + (unsigned)(*version - '0');
	return minor >= 33 && minor <= 38;
}

int sys_fstat(int fd, struct stat *ret)
{
	if (asks_by_newfstatat())
		return (int)sys_call(SYS_newfstatat, fd, (long)"", (long)ret, AT_EMPTY_PATH, 0, 0);
	return (int)sys_call(SYS_fstat, fd, (long)ret, 0, 0, 0, 0);
}

int sys_stat(const char *path, struct stat *ret)
{
	int fd = sys_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0), r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, ret);
	sys_close(fd);
	return r;
}
