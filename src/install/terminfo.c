/* SPDX-License-Identifier: Apache-2.0 */
#include "install/terminfo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const entries[] = { "d/dumb",  "l/linux",	      "s/screen", "s/screen-256color", "t/tmux", "t/tmux-256color",
				       "v/vt100", "x/xterm", "x/xterm-256color" };

/* Of Debian, of Alpine, of Fedora. */
static const char *const folders[] = { "/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo" };

int terminfo_beside(const char *tool, char ret_path[PATH_MAX])
{
	const char *slash = strrchr(tool, '/');
	int n = snprintf(ret_path, PATH_MAX, "%.*s/../" TERMINFO_FOLDER, slash ? (int)(slash - tool) : 1, slash ? tool : ".");

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

const char *terminfo_entry(size_t i)
{
	return i < sizeof(entries) / sizeof(*entries) ? entries[i] : NULL;
}

static int find_in(const char *folder, const char *entry, char ret_path[PATH_MAX])
{
	return snprintf(ret_path, PATH_MAX, "%s/%s", folder, entry) < PATH_MAX && access(ret_path, R_OK) == 0 ? 0 : -ENOENT;
}

int terminfo_find(const char *tool, const char *entry, char ret_path[PATH_MAX])
{
	char beside[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		if (find_in(folders[i], entry, ret_path) == 0)
			return 0;
	return terminfo_beside(tool, beside) < 0 ? -ENOENT : find_in(beside, entry, ret_path);
}
