/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process, or the kernel on behalf of it, shows in /proc: its stat line, its maps, its first environment, the objects that
 * it preloads; and all of its files, "LENGTH FILE" each, as they are opened. Which of these, the first byte says. The names and
 * texts in them are the process's to choose.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "inspect/environment.h"
#include "inspect/mapped.h"
#include "inspect/preloads.h"
#include "inspect/proc_files.h"
#include "table/layout.h"

static void read_stat(const char *line, size_t len)
{
	struct proc_stat stat;

	if (!proc_parse_stat(line, len, &stat))
		return;
	FUZZ_HOLDS(strnlen(stat.name, sizeof(stat.name)) < sizeof(stat.name));
	FUZZ_HOLDS(memchr(line, '(', len) && memchr(line, ')', len));
}

static bool ends_with(const char *path, const char *end)
{
	return strlen(path) >= strlen(end) && strcmp(path + strlen(path) - strlen(end), end) == 0;
}

static void hold_file(const struct mapped_file *file)
{
	FUZZ_HOLDS(strnlen(file->path, sizeof(file->path)) < sizeof(file->path));
	/* A NUL, which no path has, may cut it. */
	FUZZ_HOLDS(!file->is_mapped || file->path[0] == '/');
	FUZZ_HOLDS(file->is_mapped || !file->path[0]);
}

static void read_maps(const char *text, size_t len)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));
	struct slice rest = { text, len };

	if (!mapped)
		abort();
	while (rest.at && rest.len) {
		struct slice line = slice_cut(&rest, '\n');

		mapped_take_line(mapped, line.at, line.len);
	}
	if (!memchr(text, '\0', len)) {
		FUZZ_HOLDS(!mapped->shim.is_mapped || ends_with(mapped->shim.path, "/libfairdial.so"));
		FUZZ_HOLDS(!mapped->table.is_mapped || ends_with(mapped->table.path, "/table"));
	}
	hold_file(&mapped->shim);
	hold_file(&mapped->table);
	mapped_free(mapped);
	free(mapped);
}

/* As getenv(3) would find it: the first of its name. NULL: none, or an empty one. */
static char *value_of(const char *bytes, size_t len, const char *name)
{
	struct slice rest = { bytes, len };

	while (rest.at && rest.len) {
		struct slice value = slice_cut(&rest, '\0');

		if (slice_is(slice_cut(&value, '='), name) && value.at)
			return value.len ? strndup(value.at, value.len) : NULL;
	}
	return NULL;
}

static void hold_variable(const char *bytes, size_t len, const char *name, const char *read)
{
	char *value = value_of(bytes, len, name);

	FUZZ_HOLDS((!value && !read) || (value && read && strcmp(value, read) == 0));
	free(value);
}

static void read_environment(const char *bytes, size_t len)
{
	struct environment env;

	FUZZ_HOLDS(environment_parse(bytes, len, &env) == 0 && env.is_known && env.mode < MODE_COUNT);
	FUZZ_HOLDS(!env.shim || (env.names_shim && env.shim[0] == '/' && ends_with(env.shim, "libfairdial.so")));
	FUZZ_HOLDS(!env.dir || (env.sets_dir && env.dir[0] == '/'));
	FUZZ_HOLDS(!env.ledger || env.ledger[0] == '/');
	hold_variable(bytes, len, "FAIRDIAL_ONLY", env.only);
	hold_variable(bytes, len, "FAIRDIAL_EXCEPT", env.except);
	hold_variable(bytes, len, "FAIRDIAL_BALANCE", env.balance);
	FUZZ_HOLDS(env.only || env.except || environment_allows(&env, "web", "shop"));
	environment_free(&env);
}

/* In a file system where none of them is. */
static void read_preloads(const char *bytes, size_t len)
{
	int root = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct preloads *preloads = calloc(1, sizeof(*preloads));
	char *list = fuzz_copy(bytes, len, true);

	if (root < 0 || !preloads)
		abort();
	preloads_take(root, list, preloads);
	FUZZ_HOLDS(preloads->count <= PRELOADS_MAX);
	for (size_t i = 0; i < preloads->count; i++) {
		const struct preload *p = &preloads->at[i];

		FUZZ_HOLDS(p->path[0] && strnlen(p->path, sizeof(p->path)) < sizeof(p->path) && !strpbrk(p->path, ": \t\n"));
		FUZZ_HOLDS(!p->takes_connect && !p->is_of_file && (!p->is_missing || p->is_absolute));
		for (const char *at = p->shown; *at; at++)
			FUZZ_HOLDS(*at >= ' ' && *at <= '~');
	}
	free(list);
	free(preloads);
	close(root);
}

/* ---- a process whose files are the input's ---- */

enum { PROCESS = 1 << 20 }; /* no descriptor */

static struct fuzz_input files;

/* In the place of the C library's: each opening of a file of that process takes the next one. */
int openat(int dir, const char *name, int flags, ...)
{
	va_list args;
	size_t len;
	int fd, mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	if (dir != PROCESS)
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	len = (size_t)fuzz_number(&files, 2);
	len = len < files.left ? len : files.left;
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0 || write(fd, files.at, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	files.at += len;
	files.left -= len;
	return fd;
}

static bool is_mesh(uint16_t port)
{
	return port == 15001 || port < 8;
}

static void read_process(const struct fuzz_input *in)
{
	struct mapped *mapped = malloc(sizeof(*mapped));
	struct proc_bytes bytes = { 0 };
	struct proc_stat stat;
	int r;

	files = *in;
	FUZZ_HOLDS(mapped && mapped_take(PROCESS, is_mesh, mapped) == 0 && mapped->is_read);
	hold_file(&mapped->shim);
	hold_file(&mapped->table);
	FUZZ_HOLDS(mapped->mesh_port == 0 || is_mesh(mapped->mesh_port));
	FUZZ_HOLDS(!mapped->command || strlen(mapped->command) <= 4096);
	mapped_free(mapped);
	free(mapped);
	files = *in;
	r = proc_has_shim(PROCESS);
	FUZZ_HOLDS(r == 0 || r == 1);
	r = proc_is_privileged(PROCESS, true, &bytes);
	FUZZ_HOLDS(r == 0 || r == 1);
	r = proc_is_privileged(PROCESS, false, &bytes);
	FUZZ_HOLDS(r == 0 || r == 1);
	proc_read_stat(PROCESS, &stat);
	free(bytes.at);
	files = (struct fuzz_input){ NULL, 0 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t what = (uint8_t)fuzz_number(&in, 1) % 5;
	char *text = fuzz_copy(in.at, in.left, false);

	if (what == 0)
		read_stat(text, in.left);
	else if (what == 1)
		read_maps(text, in.left);
	else if (what == 2)
		read_environment(text, in.left);
	else if (what == 3)
		read_preloads(text, in.left);
	else
		read_process(&in);
	free(text);
	return 0;
}
