/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/host.h"

#include <sys/utsname.h>

#include "base/hash.h"
#include "base/sys.h"
#include "base/text.h"

void host_boot_id(uint8_t ret_id[16])
{
	char text[40];
	size_t nibbles = 0;
	int fd = sys_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0);
	long n = fd < 0 ? 0 : sys_read(fd, text, sizeof(text));

	if (fd >= 0)
		sys_close(fd);
	memset(ret_id, 0, 16);
	for (long i = 0; i < n && nibbles < 32; i++) {
		char c = text_lower(text[i]);
		int digit = text_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			continue;
		ret_id[nibbles / 2] = (uint8_t)(ret_id[nibbles / 2] << 4 | digit);
		nibbles++;
	}
}

uint64_t host_identity(void)
{
	struct utsname name;
	uint64_t hash = 1;

	if (sys_uname(&name) == 0)
		hash = hash_text(name.nodename, text_len(name.nodename), 0);
	return hash ? hash : 1;
}
