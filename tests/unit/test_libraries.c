/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that a program's file names, where its loader would look for them: of files that name few, none, and far too many. */
#include "support/testing.h"

#include <string.h>

#include "inspect/libraries.h"
#include "inspect/preloads.h"
#include "inspect/program.h"
#include "support/cleanup.h"

/* A program that names a library so many times, and folders that are not there. */
static struct program_file program_naming(const char *name, size_t times, const char *folder, size_t folders)
{
	struct program_file file = { .has_kind = true, .has_links = true };
	struct elf_links *links = &file.links;
	size_t size = strlen(name) + 1;

	strcpy(file.kind.interpreter, "/lib/ld-linux.so.2");
	for (size_t i = 0; i < times; i++, links->needed_len += size)
		memcpy(links->needed + links->needed_len, name, size);
	for (size_t i = 0; i < folders; i++)
		strcat(links->search, folder);
	return file;
}

static size_t count_missing(const char *name, size_t times, const char *folder, size_t folders)
{
	static const struct preloads none;
	struct program_file file = program_naming(name, times, folder, folders);
	struct libraries libraries;

	libraries_find_missing("/proc/self/exe", &file, &none, &libraries);
	assert_true(strlen(libraries.names) < sizeof(libraries.names));
	return libraries.missing;
}

static void library_that_is_nowhere_is_missing(void **state)
{
	(void)state;
	assert_int_equal(count_missing("libnowhere.so.1", 1, "", 0), 1);
	assert_int_equal(count_missing("libnowhere.so.1", 3, "/nowhere:", 2), 3);
	assert_int_equal(count_missing("libnowhere.so.1", 0, "/nowhere:", 2), 0);
}

static void folder_that_only_the_loader_knows_tells_nothing(void **state)
{
	(void)state;
	assert_int_equal(count_missing("libnowhere.so.1", 1, "/nowhere/$PLATFORM", 1), 0);
}

/* A file of 40 kB could keep who asks busy for minutes. */
static void more_names_and_folders_than_can_be_looked_at_tell_nothing(void **state)
{
	(void)state;
	assert_int_equal(count_missing("n", 2040, "x:", 500), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(library_that_is_nowhere_is_missing),
		TEST(folder_that_only_the_loader_knows_tells_nothing),
		TEST(more_names_and_folders_than_can_be_looked_at_tell_nothing),
	};

	return RUN_TESTS(tests);
}
