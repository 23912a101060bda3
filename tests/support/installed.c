/* SPDX-License-Identifier: Apache-2.0 */
#include "support/installed.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

const char *tool_of_version(const char *word)
{
	const char *dir = open_dir();

	assert_clean(run(NULL, "cp", built("fairdial"), built("libfairdial.so"), dir, NULL));
	assert_clean(run_shell(NULL, "cd %s && echo %s | tee -a fairdial >>libfairdial.so", dir, word));
	return format("%s/fairdial", dir);
}

struct process *install_with(const char *tool, const char *dir)
{
	struct process *p = run(NULL, tool, "install", dir, NULL);

	assert_clean(p);
	return p;
}

char *open_dir(void)
{
	char *dir = scratch_dir();

	assert_int_equal(chmod(dir, 0755), 0);
	return dir;
}

const char *tree_of_build(void)
{
	const char *dir = open_dir();

	install_with(built("fairdial"), dir);
	return dir;
}

const char *tool_in(const char *dir)
{
	return format("%s/bin/fairdial", dir);
}

const char *set_in(const char *dir)
{
	char link[PATH_MAX];
	ssize_t n = readlink(format("%s/lib/fairdial-loader", dir), link, sizeof(link) - 1);

	if (n < 0)
		fail_msg("%s has no link to a loader: %s", dir, strerror(errno));
	link[n] = '\0';
	*strchr(link, '/') = '\0';
	return format("%s/lib/%s", dir, link);
}

void assert_tree_starts(const char *dir)
{
	struct process *p = run(NULL, tool_in(dir), "--version", NULL);

	assert_clean(p);
	assert_string_equal(p->out_text, run(NULL, built("fairdial"), "--version", NULL)->out_text);
}

void assert_tree_of(const char *tool, const char *dir)
{
	const char *beside = format("%.*s", (int)(strrchr(tool, '/') - tool), tool);

	assert_tree_starts(dir);
	assert_clean(run(NULL, "cmp", tool, format("%s/fairdial", set_in(dir)), NULL));
	assert_clean(run(NULL, "cmp", format("%s/libfairdial.so", beside), format("%s/libfairdial.so", dir), NULL));
	assert_clean(run(NULL, "cmp", built("fairdial-launcher"), tool_in(dir), NULL));
	assert_int_equal(leftovers_in(dir), 0);
}

unsigned sets_in(const char *dir)
{
	return (unsigned)lines_of(run_shell(NULL, "find %s/lib -mindepth 1 -maxdepth 1 -type d -name 'fairdial-*'", dir)->out_text);
}

unsigned leftovers_in(const char *dir)
{
	return (unsigned)lines_of(run_shell(NULL, "find %s -name '.fairdial*'", dir)->out_text);
}
