/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "chaos/sizes.h"

#include "support/table_builder.h"

long own_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0, n;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "Anonymous: %ld", &n) == 1 || sscanf(line, "Swap: %ld", &n) == 1)
			kib += n;
	if (in)
		fclose(in);
	return kib;
}

static long mapped_files(const char *path)
{
	FILE *in = fopen(path, "re");
	char line[512];
	long n = 0;

	while (in && fgets(line, sizeof(line), in))
		n += strchr(line, '/') != NULL;
	if (in)
		fclose(in);
	return n;
}

struct held held_by(pid_t pid)
{
	char path[64];
	struct held held;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	held.files = (long)files_in(path);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	held.threads = (long)files_in(path);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	held.maps = mapped_files(path);
	return held;
}
