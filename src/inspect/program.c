/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text.h"
#include "inspect/processes.h"

#define FIRST_LINE 256 /* BINPRM_BUF_SIZE of Linux */

/* ---- the file ---- */

void program_file_take(int fd, struct program_file *ret_file)
{
	struct statvfs mount;
	struct stat st;

	memset(ret_file, 0, sizeof(*ret_file));
	if (fstat(fd, &st) < 0)
		return;
	ret_file->uid = st.st_uid;
	ret_file->gid = st.st_gid;
	ret_file->is_setuid = st.st_mode & S_ISUID;
	ret_file->is_setgid = (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	ret_file->has_capabilities = fgetxattr(fd, "security.capability", NULL, 0) > 0;
	ret_file->is_nosuid = fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID);
	ret_file->has_kind = elf_identify_fd(fd, &ret_file->kind) == 0;
	ret_file->has_links = ret_file->has_kind && elf_links_fd(fd, &ret_file->links) == 0;
}

/* ---- finding ---- */

static int try_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int program_find(const char *name, char ret_path[PATH_MAX])
{
	struct slice rest = slice_of(getenv("PATH"));
	int r = -ENOENT;

	if (!*name || strlen(name) >= PATH_MAX)
		return -ENOENT;
	if (strchr(name, '/')) {
		strcpy(ret_path, name);
		return try_path(name);
	}
	if (!rest.at)
		rest = slice_of("/bin:/usr/bin");
	while (rest.at) {
		struct slice dir = slice_cut(&rest, ':');
		char path[PATH_MAX];
		int tried;

		if (snprintf(path, sizeof(path), "%.*s%s%s", (int)dir.len, dir.at, dir.len ? "/" : "", name) >= (int)sizeof(path))
			continue;
		tried = try_path(path);
		if (tried == 0 || (tried == -EACCES && r == -ENOENT)) {
			strcpy(ret_path, path);
			r = tried;
		}
		if (tried == 0)
			break;
	}
	return r;
}

/* ---- scripts ---- */

/* A word of env(1) that is no program: an option, NAME=VALUE. Whether one more word belongs to it. */
static bool is_of_env(struct program *p, struct slice word, bool *ret_takes_more)
{
	*ret_takes_more = slice_is(word, "-u") || slice_is(word, "-C");
	if (slice_is(word, "-i") || slice_is(word, "-") || slice_is(word, "--ignore-environment") ||
	    slice_is(word, "-uLD_PRELOAD") || slice_is(word, "--unset=LD_PRELOAD") || slice_is(word, "-iS"))
		p->drops_preload = true;
	return word.at[0] == '-' || memchr(word.at, '=', word.len);
}

/* What env(1) is to run; empty where it names nothing. */
static struct slice word_behind_env(struct program *p, struct slice rest)
{
	for (;;) {
		struct slice word = slice_word(&rest);
		bool takes_more;

		if (!word.len || !is_of_env(p, word, &takes_more))
			return word;
		if (takes_more && slice_is(slice_word(&rest), "LD_PRELOAD"))
			p->drops_preload = true;
	}
}

static bool ends_with_name(struct slice path, const char *name)
{
	size_t len = strlen(name);

	return path.len >= len && memcmp(path.at + path.len - len, name, len) == 0 &&
	       (path.len == len || path.at[path.len - len - 1] == '/');
}

static bool is_text(const char *bytes, size_t len)
{
	return !memchr(bytes, '\0', len);
}

/* From a script's first bytes, the program that runs it, into p->path. 0, or why there is none. */
static int step(struct program *p, const char *bytes, size_t len)
{
	struct program_step *s = &p->steps[p->step_count];
	struct slice line = { bytes, len }, rest, word;
	char name[PATH_MAX];

	memset(s, 0, sizeof(*s));
	text_show(s->from, sizeof(s->from), p->path);
	if (len < 2 || bytes[0] != '#' || bytes[1] != '!') {
		if (!is_text(bytes, len))
			return -ENOEXEC;
		s->by_default = true;
		line = slice_of("#!/bin/sh");
	}
	rest = slice_cut(&line, '\n');
	rest.at += 2;
	rest.len -= 2;
	word = slice_word(&rest);
	if (ends_with_name(word, "env")) {
		struct slice behind = word_behind_env(p, rest);

		s->by_env = behind.len;
		word = behind.len ? behind : word;
	}
	if (!word.len)
		return -ENOEXEC;
	snprintf(name, sizeof(name), "%.*s", (int)word.len, word.at);
	text_show(s->to, sizeof(s->to), name);
	p->step_count++;
	if (!s->by_env) {
		strcpy(p->path, name);
		return try_path(name);
	}
	strcpy(p->path, name); /* what is missing is told by its name */
	return program_find(name, p->path);
}

/* 0: it is a program; 1: a script, whose program is in its place now; or a negative errno. */
static int look_once(struct program *p)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;
	char bytes[FIRST_LINE];
	ssize_t n;

	if (fd < 0 && errno == EACCES) /* may be run, not read: nothing is known of it but its marks */
		fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	program_file_take(fd, &p->file);
	n = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (p->file.has_kind || n < 0)
		return 0;
	if (n >= 4 && memcmp(bytes, "\177ELF", 4) == 0)
		return -ENOEXEC;
	if (p->step_count == PROGRAM_STEPS)
		return -ELOOP;
	r = step(p, bytes, (size_t)n);
	return r < 0 ? r : 1;
}

int program_look(const char *name, struct program *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	text_show(p->shown, sizeof(p->shown), name);
	r = program_find(name, p->path);
	if (r == 0)
		do
			r = look_once(p);
		while (r == 1);
	if (p->path[0])
		text_show(p->shown, sizeof(p->shown), p->path);
	p->lacks_loader = r == 0 && p->file.kind.linkage == ELF_DYNAMIC && access(p->file.kind.interpreter, F_OK) < 0;
	return r;
}

const char *program_wrapper(const char *path)
{
	static const char *const known[] = {
		"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox", "env", "nice", "nohup", "timeout", "xargs", "setsid",
		"setpriv", "chroot", "unshare", "nsenter", "stdbuf", "tini", "dumb-init", "catatonit",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (ends_with_name(slice_of(path), known[i]))
			return known[i];
	return NULL;
}
