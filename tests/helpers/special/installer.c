/* SPDX-License-Identifier: Apache-2.0 */
/*
 * installer DIR SHIM: installs itself, as the tool does, but needs nothing other than a C library. Without arguments it says
 * how it was started, and which variable of the loader it sees. To be compiled with the sources of src/install.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "install/self.h"
#include "install/tree.h"

/* Before glibc 2.33 it is in a part of the libc that is linked in, and this machine's may be without it. */
int fstat(int fd, struct stat *ret)
{
	return (int)syscall(SYS_fstat, fd, ret);
}

int main(int argc, char **argv)
{
	const char *variable;
	struct installed done;
	struct report why;
	char self[PATH_MAX];

	self_begin(argv);
	variable = getenv("LD_TEST");
	if (self_path(self) < 0)
		return 1;
	if (argc < 3) {
		printf("%s, LD_TEST=%s\n", self_is_launched() ? "launched" : "started", variable ? variable : "");
		return 0;
	}
	if (install_tree(&(struct install){ .dir = argv[1], .tool = self, .shim = argv[2], .version = "1" }, &done, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	printf("%zu of %zu\n", done.changed, done.files);
	return 0;
}
