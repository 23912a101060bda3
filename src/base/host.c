/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/host.h"

#include <sys/utsname.h>

#include "base/hash.h"
#include "base/sys.h"
#include "base/text.h"

/* What a file of /proc says, without its newline. Empty where it cannot be read. */
static struct slice read_proc(const char *path, char *buf, size_t size)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? 0 : sys_read(fd, buf, size);

	if (fd >= 0)
		sys_close(fd);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	return (struct slice){ buf, n > 0 ? (size_t)n : 0 };
}

void host_boot_id(uint8_t ret_id[16])
{
	char buf[40];
	struct slice text = read_proc("/proc/sys/kernel/random/boot_id", buf, sizeof(buf));
	size_t nibbles = 0;

	memset(ret_id, 0, 16);
	for (size_t i = 0; i < text.len && nibbles < 32; i++) {
		char c = text_lower(text.at[i]);
		int digit = text_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			continue;
		ret_id[nibbles / 2] = (uint8_t)(ret_id[nibbles / 2] << 4 | digit);
		nibbles++;
	}
}

__attribute__((noinline)) /* 390 bytes that a hook's stack need not have where there is /proc */
static uint64_t identity_by_uname(void)
{
	struct utsname name;

	return sys_uname(&name) == 0 ? hash_text(name.nodename, text_len(name.nodename), 0) : 1;
}

uint64_t host_identity(void)
{
	char buf[65]; /* HOST_NAME_MAX, and the newline */
	struct slice name = read_proc("/proc/sys/kernel/hostname", buf, sizeof(buf));
	uint64_t hash = name.len ? hash_text(name.at, name.len, 0) : identity_by_uname();

	return hash ? hash : 1;
}
