/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <unistd.h>

#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

enum { UNPACK_LIMIT_MS = 300000, CANNOT = 77, ROOTS_MAX = 4 };

const char *root_of(const char *name)
{
	const char *dir = built(format("roots/%s", name));
	struct start start = { .argv = ARGV("sh", repository("tests/roots.sh"), dir, name) };
	struct process *p = process_start(&start);

	process_wait(p, UNPACK_LIMIT_MS);
	if (p->exit_status == CANNOT)
		skip_because("%s", p->err_text);
	if (p->exit_status != 0)
		fail_msg("tests/roots.sh %s: exit status %d, signal %d\n%s", name, p->exit_status, p->signal, p->err_text);
	return dir;
}

static bool enter_mount_namespace(void)
{
	static bool done;

	done = done || (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	return done;
}

void need_mount_namespace(void)
{
	if (!enter_mount_namespace())
		skip_because("no mount namespace of its own: %s", strerror(errno));
}

static char memory[64];

static void give_memory_back(void)
{
	umount2(memory, MNT_DETACH);
	rmdir(memory);
}

void scratch_in_memory(void)
{
	snprintf(memory, sizeof(memory), "%.32s/fairdial-test-XXXXXX", scratch_base());
	if (!enter_mount_namespace() || !mkdtemp(memory))
		return;
	if (mount("none", memory, "tmpfs", 0, "mode=1777")) {
		rmdir(memory);
		return;
	}
	setenv("TMPDIR", memory, 1);
	atexit(give_memory_back);
}

/* The folder `path` of this machine, in `root` too. */
static void show_in(const char *root, const char *path)
{
	const char *there = format("%s%s", root, path);

	assert_clean(run(NULL, "mkdir", "-p", there, NULL));
	if (mount(path, there, NULL, MS_BIND, NULL))
		fail_msg("cannot mount %s at %s: %s", path, there, strerror(errno));
}

/* True for the first call with this name. */
static bool is_new(const char *name)
{
	static char known[ROOTS_MAX][32];

	for (size_t i = 0; i < ROOTS_MAX; i++) {
		if (!strcmp(known[i], name))
			return false;
		if (!known[i][0])
			return snprintf(known[i], sizeof(known[i]), "%s", name) > 0;
	}
	fail_msg("more than %d roots", ROOTS_MAX);
	return false;
}

const char *furnished_root(const char *name)
{
	const char *root = root_of(name);

	need_mount_namespace();
	if (is_new(name)) {
		show_in(root, "/proc");
		show_in(root, "/dev");
		show_in(root, scratch_base());
		show_in(root, repository("."));
	}
	return root;
}
