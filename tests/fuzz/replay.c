/* SPDX-License-Identifier: Apache-2.0 */
/* replay FILE-OR-FOLDER...: a fuzz target on inputs that are there, without libFuzzer. The last line tells their number. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

static unsigned long inputs;

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = NULL, buffer[65536];
	size_t size = 0, n;
	FILE *memory = open_memstream(&bytes, &size);

	while (file && memory && (n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		fwrite(buffer, 1, n, memory);
	if (!file || !memory || ferror(file) || fclose(memory) != 0) {
		fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
		return 1;
	}
	fclose(file);
	fprintf(stderr, "%s\n", path); /* the last one is whose it was, if this ends here */
	LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
	free(bytes);
	inputs++;
	return 0;
}

static int replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n, r = 0;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return replay_file(path);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *below = NULL;

		if (names[i]->d_name[0] != '.' && asprintf(&below, "%s/%s", path, names[i]->d_name) >= 0)
			r |= replay(below);
		free(below);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return r | (n < 0);
}

int main(int argc, char **argv)
{
	int r = argc < 2;

	for (int i = 1; i < argc; i++)
		r |= replay(argv[i]);
	printf("%lu inputs\n", inputs);
	return r | (inputs == 0);
}
