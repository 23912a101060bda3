/* SPDX-License-Identifier: Apache-2.0 */
#include "support/compile.h"

#include <glob.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

const char *compiled(const char *compiler, const char *name, const char *flags)
{
	const char *folder = strrchr(name, '/'), *source = repository(format("tests/helpers/%s.c", name));
	char *program = format("%s/%s", scratch_dir(), folder ? folder + 1 : name);

	if (!program_exists(compiler))
		skip_because("there is no %s", compiler);
	assert_clean(run_shell(NULL, "%s -std=gnu11 -O2 -Wall -Wextra -o %s %s %s", compiler, program, source, flags));
	return program;
}

const char *compiled_for_musl(const char *name, const char *flags)
{
	return compiled("musl-gcc", name, format("-D_GNU_SOURCE %s", flags));
}

/* Where the root has its C library; the name of the folder is that of the architecture. */
static const char *library_folder(const char *root)
{
	char *found;
	glob_t all;

	if (glob(format("%s/lib/*-linux-gnu*/libc.so.6", root), 0, NULL, &all))
		fail_msg("%s has no C library", root);
	found = format("%s", all.gl_pathv[0]);
	globfree(&all);
	*strrchr(found, '/') = '\0';
	return found;
}

const char *compiled_for_root(const char *root, const char *name, const char *libraries, const char *flags)
{
	const char *folder = library_folder(root);
	char *rest = format("%s", libraries), *library;

	flags = format("%s -nodefaultlibs -Wl,--no-as-needed -Wl,-rpath-link,%s", flags, folder);
	/* Without _GNU_SOURCE: with it, this machine's headers may ask for functions that are newer than the root. */
	while ((library = strsep(&rest, " ")))
		flags = format("%s %s/%s", flags, folder, library);
	return compiled("cc", name, flags);
}
