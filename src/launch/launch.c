/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/bin/fairdial of an installed tree: starts the tool with the loader and the libraries that lie beside it, in a container
 * that may have none, or others. No C library, no memory of its own, no segment that is written: a few system calls, then exec.
 */
#include "launch/launch.h"

#include <errno.h>
#include <linux/auxvec.h>
#include <stdbool.h>

#include "base/sys.h"
#include "base/text.h"

enum { PATH_SIZE = 4096, MAX_LINKS = 40 };

/* What the kernel leaves on the stack: argc, then three lists, each with a zero at its end. */
struct start {
	long argc;
	char **argv, **env;
	const unsigned long *auxv;
};

/* The kernel's stack pointer becomes the argument; the address that a debugger would go back to is zero. */
#if defined(__x86_64__)
__asm__(".globl _start\n.type _start,@function\n"
	"_start:\n\txor %ebp,%ebp\n\tmov %rsp,%rdi\n\tand $-16,%rsp\n\tcall launch\n\thlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n.type _start,%function\n"
	"_start:\n\tmov x29,#0\n\tmov x30,#0\n\tmov x0,sp\n\tbl launch\n\tbrk #0\n");
#endif

__attribute__((noreturn)) void launch(long *stack);

/* ---- saying why not ---- */

static void text_add_error(struct text *t, long error)
{
	switch (-error) {
	case ENOENT:
		text_add(t, "not found");
		break;
	case EACCES:
		text_add(t, "permission denied (a mount with noexec?)");
		break;
	case ENOEXEC:
	case ELIBBAD:
		text_add(t, "damaged, or made for another machine");
		break;
	default:
		text_add(t, "error ");
		text_add_number(t, (uint64_t)-error, 10);
	}
}

/* One line: "fairdial: cannot WHAT PATH: why; the remedy". */
__attribute__((noreturn)) static void fail(const char *what, const char *path, const char *why, long error)
{
	char line[PATH_SIZE + 256];
	struct text t = text_into(line, sizeof(line));
	bool is_missing = error == -ENOENT || error == -ENOTDIR;

	text_add(&t, "fairdial: cannot ");
	text_add(&t, what);
	text_add(&t, path);
	text_add(&t, ": ");
	if (why)
		text_add(&t, why);
	else
		text_add_error(&t, error);
	text_add(&t, "; install it anew with `fairdial install DIR`\n");
	sys_write(2, line, t.len);
	for (;;)
		sys_call(SYS_exit_group, is_missing ? LAUNCH_MISSING : LAUNCH_CANNOT, 0, 0, 0, 0, 0);
}

/* ---- where we are ---- */

static long read_link(const char *path, char ret[PATH_SIZE])
{
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)ret, PATH_SIZE - 1, 0, 0);

	if (n >= 0)
		ret[n] = '\0';
	return n;
}

/* Cuts a path at its last slash; false where it has none. */
static bool cut_name(struct text *path)
{
	while (path->len && path->buf[path->len - 1] != '/')
		path->len--;
	if (!path->len)
		return false;
	path->buf[--path->len] = '\0';
	return true;
}

static const char *auxiliary_text(const unsigned long *auxv, unsigned long type)
{
	for (; auxv[0] != AT_NULL; auxv += 2)
		if (auxv[0] == type)
			return (const char *)auxv[1];
	return NULL;
}

/* `more` as seen from the folder of `path`. */
static void follow(struct text *path, const char *more)
{
	if (more[0] == '/')
		*path = text_into(path->buf, path->size);
	else if (cut_name(path))
		text_add_char(path, '/');
	text_add(path, more);
}

/* By the name that we were executed by, through links: where there is no /proc. */
static void find_by_name(const char *name, struct text *path)
{
	char link[PATH_SIZE];

	if (name[0] != '/') {
		long n = sys_call(SYS_getcwd, (long)link, sizeof(link), 0, 0, 0, 0);

		if (n < 0 || link[0] != '/') /* "(unreachable)/..." lies outside of our root */
			fail("tell where it lies: ", name, NULL, n < 0 ? n : -ENOENT);
		text_add(path, link);
		text_add_char(path, '/');
	}
	text_add(path, name);
	for (int i = 0; i < MAX_LINKS && read_link(path->buf, link) >= 0; i++)
		follow(path, link);
}

/* The path of the tree, "" for the root itself. */
static void find_tree(const struct start *start, struct text *path)
{
	const char *name = auxiliary_text(start->auxv, AT_EXECFN);
	char self[PATH_SIZE];

	if (read_link("/proc/self/exe", self) > 0 && self[0] == '/')
		text_add(path, self); /* " (deleted)" behind it, where it was replaced since, is cut off with the name */
	else if (name)
		find_by_name(name, path);
	if (!cut_name(path) || !cut_name(path))
		fail("tell where it lies: ", path->buf, "it is not DIR/bin/fairdial", -ENOENT);
}

/* ---- the start ---- */

/* The names of the set: its folder, the loader and the tool in it. */
struct set {
	struct text folder, loader, tool;
};

/* A library path is a list, and there is no way to quote. */
static void check_path(const char *path)
{
	for (const char *c = path; *c; c++)
		if (*c == ':' || *c == ';' || *c == '\n')
			fail("run from ", path, "a library path cannot name it, for the colon or semicolon in it", -EINVAL);
}

static void find_set(struct text *tree, struct set *set)
{
	char link[PATH_SIZE];
	long n;

	text_add(&set->loader, tree->buf);
	text_add(&set->loader, "/" LAUNCH_FOLDER "/" LAUNCH_LINK);
	n = read_link(set->loader.buf, link);
	if (n < 0)
		fail("read the link ", set->loader.buf, n == -EINVAL ? "it is no link" : NULL, n);
	follow(&set->loader, link);
	text_add(&set->folder, set->loader.buf);
	cut_name(&set->folder);
	text_add(&set->tool, set->folder.buf);
	text_add(&set->tool, "/" LAUNCH_TOOL);
	if (set->tool.full || set->loader.full)
		fail("run from ", tree->buf, "its path is too long", -ENAMETOOLONG);
	check_path(set->folder.buf);
}

static bool begins_with(const char *variable, char first)
{
	return variable[0] == first && variable[1] == LAUNCH_VARIABLE[1] && variable[2] == LAUNCH_VARIABLE[2];
}

/* One that came hidden would get past whoever took LD_ out of the environment, and be put back with ours. */
static void hide_variables(char **env)
{
	for (; *env; env++)
		if (begins_with(*env, LAUNCH_VARIABLE[0]))
			(*env)[0] = LAUNCH_HIDDEN;
		else if (begins_with(*env, LAUNCH_HIDDEN))
			(*env)[0] = LAUNCH_FORGED;
}

__attribute__((noreturn)) static void start_tool(const struct start *start, const struct set *set)
{
	/* Room for argc + 4: the kernel has limited argc, to a quarter of the stack with all that belongs to it. */
	const char **argv = __builtin_alloca(((size_t)start->argc + 5) * sizeof(*argv));
	size_t n = 0;
	long r;

	argv[n++] = set->loader.buf;
	argv[n++] = "--library-path";
	argv[n++] = set->folder.buf;
	argv[n++] = set->tool.buf;
	for (long i = 1; i < start->argc; i++)
		argv[n++] = start->argv[i];
	argv[n] = NULL;
	r = sys_call(SYS_execve, (long)set->loader.buf, (long)argv, (long)start->env, 0, 0, 0);
	fail("execute ", set->loader.buf, NULL, r);
}

void launch(long *stack)
{
	char tree_room[PATH_SIZE], folder_room[PATH_SIZE], loader_room[PATH_SIZE], tool_room[PATH_SIZE];
	struct text tree = text_into(tree_room, PATH_SIZE);
	struct set set = {
		.folder = text_into(folder_room, PATH_SIZE),
		.loader = text_into(loader_room, PATH_SIZE),
		.tool = text_into(tool_room, PATH_SIZE),
	};
	struct start start = { .argc = stack[0], .argv = (char **)(stack + 1) };
	char **end;

	start.env = start.argv + start.argc + 1;
	for (end = start.env; *end; end++)
		;
	start.auxv = (const unsigned long *)(end + 1);
	find_tree(&start, &tree);
	find_set(&tree, &set);
	hide_variables(start.env);
	start_tool(&start, &set);
}
