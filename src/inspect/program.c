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
	char path[64];

	memset(ret_file, 0, sizeof(*ret_file));
	if (fstat(fd, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* also of one that is open as a name alone */
	ret_file->uid = st.st_uid;
	ret_file->gid = st.st_gid;
	ret_file->is_setuid = st.st_mode & S_ISUID;
	ret_file->is_setgid = (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	ret_file->has_capabilities = getxattr(path, "security.capability", NULL, 0) > 0;
	ret_file->is_nosuid = fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID);
	ret_file->has_kind = elf_identify_fd(fd, &ret_file->kind) == 0;
	ret_file->has_links = ret_file->has_kind && elf_links_fd(fd, &ret_file->links) == 0;
}

/* ---- finding ---- */

static int try_path(const char *path)
{
	struct stat st;

	struct statvfs mount;

	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (access(path, X_OK) == 0)
		return 0;
	return statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOEXEC) ? -EROFS : -EACCES;
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
		if (tried == 0 || (tried != -ENOENT && r == -ENOENT)) {
			strcpy(ret_path, path);
			r = tried;
		}
		if (tried == 0)
			break;
	}
	return r;
}

/* ---- scripts ---- */

/* The words of a command, as far as they are looked at. */
struct words {
	struct slice at[64];
	size_t count;
};

/* A word of env(1) that is no program: an option, NAME=VALUE. Whether one more word belongs to it. */
static bool is_of_env(struct program *p, struct slice word, bool *ret_takes_more)
{
	static const char *const clear[] = { "-i", "-", "--ignore-environment", "-uLD_PRELOAD", "--unset=LD_PRELOAD" };
	static const char preload[] = "LD_PRELOAD=";

	*ret_takes_more = slice_is(word, "-u") || slice_is(word, "-C") || slice_is(word, "--unset") || slice_is(word, "--chdir");
	for (size_t i = 0; i < sizeof(clear) / sizeof(*clear); i++)
		p->drops_preload |= slice_is(word, clear[i]);
	if (word.len >= sizeof(preload) - 1 && memcmp(word.at, preload, sizeof(preload) - 1) == 0)
		p->drops_preload = !memmem(word.at, word.len, "libfairdial.so", 14); /* the last one counts */
	return word.len && (word.at[0] == '-' || memchr(word.at, '=', word.len));
}

/* What env(1) is to run: the word's number, or how many there are where it names nothing. */
static size_t word_behind_env(struct program *p, const struct words *words)
{
	size_t i = 0;
	bool takes_more;

	for (; i < words->count && is_of_env(p, words->at[i], &takes_more); i++) {
		if (!takes_more || i + 1 == words->count)
			continue;
		i++;
		p->drops_preload |= words->at[i - 1].at[1] != 'C' && slice_is(words->at[i], "LD_PRELOAD");
	}
	return i;
}

/* What stands behind an option that has env split it: -S, --split-string=; else NULL. */
static const char *split_string(struct slice word)
{
	static const char *const names[] = { "-S", "-vS", "-iS", "-ivS", "--split-string=", "--split-string" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t len = strlen(names[i]);

		if (word.len >= len && memcmp(word.at, names[i], len) == 0)
			return word.at + len;
	}
	return NULL;
}

/* A script's first line gives env(1) one word, which it splits where it is told to. */
static void words_of_line(struct program *p, struct slice line, struct words *words)
{
	struct slice rest = slice_trim(line);
	const char *split = split_string(rest);

	words->count = 0;
	if (!split) {
		words->at[words->count] = rest;
		words->count += rest.len > 0;
		return;
	}
	p->drops_preload |= rest.at[1] == 'i';
	rest = (struct slice){ split, rest.len - (size_t)(split - rest.at) };
	while (words->count < sizeof(words->at) / sizeof(*words->at) && (words->at[words->count] = slice_word(&rest)).len)
		words->count++;
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

/* What comes next, by its path or looked up by env(1), into p->path. 0, or why there is none. */
static int take_step(struct program *p, const struct program_step *how, const char *name)
{
	struct program_step *s = &p->steps[p->step_count];

	if (p->step_count == sizeof(p->steps) / sizeof(*p->steps))
		return -ELOOP;
	*s = *how;
	text_show(s->from, sizeof(s->from), p->path);
	text_show(s->to, sizeof(s->to), name);
	p->step_count++;
	strcpy(p->path, name); /* what is missing is told by its name */
	return s->by_env ? program_find(name, p->path) : try_path(name);
}

/* The kernel's separators: a carriage return is part of the name, and such scripts do not start. */
static struct slice kernel_word(struct slice *rest)
{
	struct slice word;

	while (rest->len && strchr(" \t", rest->at[0])) {
		rest->at++;
		rest->len--;
	}
	word = (struct slice){ rest->at, 0 };
	while (word.len < rest->len && word.at[word.len] != ' ' && word.at[word.len] != '\t')
		word.len++;
	rest->at += word.len;
	rest->len -= word.len;
	return word;
}

/* From a script's first bytes, the program that runs it. 0, or why there is none. */
static int step(struct program *p, const char *bytes, size_t len)
{
	struct program_step how = { .by_env = false };
	struct slice line = { bytes, len }, rest, word;
	struct words words;
	char name[PATH_MAX];

	if (len < 2 || bytes[0] != '#' || bytes[1] != '!') {
		if (!is_text(bytes, len))
			return -ENOEXEC;
		how.by_default = true;
		line = slice_of("#!/bin/sh");
	}
	rest = slice_cut(&line, '\n');
	rest.at += 2;
	rest.len -= 2;
	word = kernel_word(&rest);
	if (ends_with_name(word, "env")) {
		size_t i;

		words_of_line(p, rest, &words);
		i = word_behind_env(p, &words);
		how.by_env = i < words.count;
		word = how.by_env ? words.at[i] : word;
	}
	if (!word.len)
		return -ENOEXEC;
	snprintf(name, sizeof(name), "%.*s", (int)word.len, word.at);
	return take_step(p, &how, name);
}

/* 0: it is a program; 1: a script, whose program is in its place now; or a negative errno. */
static int look_once(struct program *p)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;
	char bytes[FIRST_LINE];
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == EACCES) /* may be run, not read: nothing is known of it but its marks */
		fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) { /* it was when it was found */
		close(fd);
		return -EINVAL;
	}
	program_file_take(fd, &p->file);
	n = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (p->file.has_kind || n < 0)
		return 0;
	if (n >= 4 && memcmp(bytes, "\177ELF", 4) == 0)
		return -ENOEXEC;
	if (p->scripts++ == PROGRAM_STEPS)
		return -ELOOP;
	r = step(p, bytes, (size_t)n);
	return r < 0 ? r : 1;
}

static int look_through_scripts(struct program *p)
{
	int r;

	p->scripts = 0;
	do
		r = look_once(p);
	while (r == 1);
	return r;
}

/* Of one that the command itself names. 1: what it runs is in its place now, and so are the arguments; 0: there is none; or why. */
static int step_of_env(struct program *p)
{
	struct words words = { .count = 0 };
	size_t i;
	int r;

	if (!ends_with_name(slice_of(p->path), "env") || (p->step_count && !p->steps[p->step_count - 1].by_command))
		return 0;
	for (char *const *word = p->arguments; *word && words.count < sizeof(words.at) / sizeof(*words.at); word++)
		words.at[words.count++] = slice_of(*word);
	i = word_behind_env(p, &words);
	if (i == words.count || words.at[i].len == 0 || words.at[i].len >= PATH_MAX)
		return 0;
	r = take_step(p, &(struct program_step){ .by_env = true, .by_command = true }, words.at[i].at);
	p->arguments += i + 1;
	return r < 0 ? r : 1;
}

int program_look(char *const *command, struct program *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	text_show(p->shown, sizeof(p->shown), command[0]);
	r = program_find(command[0], p->path);
	p->arguments = command + 1;
	if (r == 0)
		do
			r = look_through_scripts(p);
		while (r == 0 && (r = step_of_env(p)) == 1);
	if (p->path[0])
		text_show(p->shown, sizeof(p->shown), p->path);
	p->lacks_loader = r == 0 && p->file.kind.linkage == ELF_DYNAMIC && access(p->file.kind.interpreter, F_OK) < 0;
	return r;
}

const struct program_wrapper *program_wrapper(const char *path)
{
	static const struct program_wrapper known[] = {
		{ "sh", false }, { "bash", false }, { "dash", false }, { "ash", false }, { "ksh", false }, { "zsh", false },
		{ "busybox", false }, { "env", false }, { "nice", false }, { "nohup", false }, { "timeout", false },
		{ "xargs", false }, { "setsid", false }, { "setpriv", false }, { "stdbuf", false }, { "tini", false },
		{ "dumb-init", false }, { "catatonit", false }, { "strace", false }, { "gdb", false },
		{ "unshare", false }, { "runuser", false },
		{ "chroot", true }, { "nsenter", true }, { "bwrap", true }, { "flatpak", true },
		{ "snap", true }, { "firejail", true }, { "sudo", true }, { "su", true }, { "doas", true },
		{ "docker", true }, { "podman", true }, { "nerdctl", true }, { "crictl", true }, { "kubectl", true },
		{ "systemd-run", true }, { "ssh", true },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (ends_with_name(slice_of(path), known[i].name))
			return &known[i];
	return NULL;
}
