/* SPDX-License-Identifier: Apache-2.0 */
#include "install/self.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launch/launch.h"

static const char *given_name = "";

/* The kernel tells a program where it put its interpreter (getauxval(3)); a loader that was run as a program has none. */
bool self_is_launched(void)
{
	return getauxval(AT_BASE) == 0;
}

static void restore_variables(void)
{
	static const char rest[] = { LAUNCH_VARIABLE[1], LAUNCH_VARIABLE[2], '\0' };

	for (char **variable = environ; variable && *variable; variable++)
		if ((*variable)[0] == LAUNCH_HIDDEN && strncmp(&(*variable)[1], rest, sizeof(rest) - 1) == 0)
			(*variable)[0] = LAUNCH_VARIABLE[0];
}

void self_begin(char **argv)
{
	given_name = argv[0] ? argv[0] : "";
	if (!self_is_launched())
		return;
	restore_variables();
	prctl(PR_SET_NAME, LAUNCH_TOOL);
}

static int has_name(struct dl_phdr_info *info, size_t size, void *name)
{
	const char *slash = strrchr(info->dlpi_name, '/');

	(void)size;
	return strcmp(slash ? slash + 1 : info->dlpi_name, name) == 0;
}

bool self_has_loaded(const char *name)
{
	return dl_iterate_phdr(has_name, (void *)name) != 0;
}

/* Both loaders, glibc's and musl's, leave in argv[0] the name of what they loaded; /proc/self/exe is theirs. */
static int path_of_launched(char ret_path[PATH_MAX])
{
	if (!strchr(given_name, '/'))
		return -ENOENT;
	return realpath(given_name, ret_path) ? 0 : -errno;
}

int self_path(char ret_path[PATH_MAX])
{
	const char *by_kernel = (const char *)getauxval(AT_EXECFN);
	ssize_t n;

	if (self_is_launched())
		return path_of_launched(ret_path);
	n = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
	if (n >= 0) {
		ret_path[n] = '\0';
		return 0;
	}
	return by_kernel && realpath(by_kernel, ret_path) ? 0 : -errno;
}

/* DIR/bin/fairdial of the tree in which this is DIR/lib/SET/fairdial. */
static int launcher_path(char ret_path[PATH_MAX])
{
	int r = self_path(ret_path);

	for (int i = 0; i < 3 && r == 0; i++) {
		char *slash = strrchr(ret_path, '/');

		if (!slash)
			return -ENOENT;
		*slash = '\0';
	}
	if (r == 0 && strlen(ret_path) + sizeof("/bin/" LAUNCH_TOOL) > PATH_MAX)
		return -ENAMETOOLONG;
	if (r == 0)
		strcat(ret_path, "/bin/" LAUNCH_TOOL);
	return r;
}

int self_execute(char **argv)
{
	char path[PATH_MAX];
	int r;

	if (!self_is_launched())
		execv("/proc/self/exe", argv); /* also where the file was replaced since */
	r = self_is_launched() ? launcher_path(path) : self_path(path);
	if (r == 0)
		execv(path, argv);
	return r ? r : -errno;
}
