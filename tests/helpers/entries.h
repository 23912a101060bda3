/* SPDX-License-Identifier: Apache-2.0 */
/* How many descriptors or threads a program has, as /proc lists them. */
#ifndef FAIRDIAL_TESTS_ENTRIES_H
#define FAIRDIAL_TESTS_ENTRIES_H

#include <dirent.h>

/* Without "." and ".."; -1 where the folder cannot be read. */
static int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return dir ? n - 2 : -1;
}

#endif
