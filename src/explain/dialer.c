/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/proc_files.h"

#define MOST_ENVIRONMENT (8 << 20) /* the kernel takes 6 MiB, with the arguments */
#define LINK_TEXT	 64

extern char **environ;

int dialer_of_caller(struct environment *environment, struct explain_dialer *ret_dialer)
{
	size_t len = 0, at = 0;
	char *bytes;
	int r;

	for (char **entry = environ; entry && *entry; entry++)
		len += strlen(*entry) + 1;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOMEM;
	for (char **entry = environ; entry && *entry; entry++) {
		memcpy(bytes + at, *entry, strlen(*entry) + 1);
		at += strlen(*entry) + 1;
	}
	r = environment_parse(bytes, at, environment);
	free(bytes);
	*ret_dialer = (struct explain_dialer){ .environment = environment };
	return r;
}

/* Another host name than ours: its hashes are not ours either. What cannot be read is taken to be the same. */
static bool has_other_host(int process)
{
	char own[LINK_TEXT] = "", its[LINK_TEXT] = "";
	ssize_t n = readlink("/proc/self/ns/uts", own, sizeof(own) - 1), m = readlinkat(process, "ns/uts", its, sizeof(its) - 1);

	return n > 0 && m > 0 && strcmp(own, its) != 0;
}

static int read_environment(int process, struct environment *environment)
{
	struct proc_bytes bytes = { 0 };
	int r = proc_read(process, "environ", MOST_ENVIRONMENT, &bytes);

	if (r >= 0)
		r = environment_parse(bytes.at, bytes.len, environment);
	free(bytes.at);
	return r;
}

int dialer_of_process(int pid, struct environment *environment, struct explain_dialer *ret_dialer)
{
	char path[32];
	struct stat st;
	int process, r;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = fstat(process, &st) < 0 ? -errno : read_environment(process, environment);
	*ret_dialer = (struct explain_dialer){ .pid = pid, .environment = environment, .other_host = has_other_host(process) };
	if (r == 0)
		ret_dialer->uid = st.st_uid;
	close(process);
	return r;
}
