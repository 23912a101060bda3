/* SPDX-License-Identifier: Apache-2.0 */
#include "install/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/hash.h"
#include "install/closure.h"
#include "install/launcher.h"
#include "install/place.h"
#include "install/terminfo.h"
#include "launch/launch.h"

#define SET_PREFIX "fairdial-"

enum { LOADER, TOOL }; /* of a closure: what comes first */
enum { WAIT_LIMIT_MS = 30000, WAIT_STEP_MS = 20 };

/* All that an install has open. */
struct work {
	const struct install *install;
	struct installed done;
	struct report *why;
	struct closure closure;
	struct bytes contents[CLOSURE_MAX], shim; /* of the closure's files */
	char set[96], link[NAME_MAX + 96];
	int dir, bin, lib; /* -1: not open */
};

/* ---- what is to be installed ---- */

static uint64_t hash_bytes(uint64_t h, const struct bytes *bytes)
{
	const char *at = bytes->at, *end = at + bytes->size;
	uint64_t word;

	h = hash_mix(h, bytes->size);
	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, 8);
		h = hash_mix(h, word);
	}
	return hash_mix(h, hash_text(at, (size_t)(end - at), 0));
}

static void name_set(struct work *w)
{
	uint64_t h = 0;

	for (size_t i = 0; i < w->closure.count; i++) {
		h = hash_text(w->closure.files[i].name, strlen(w->closure.files[i].name), h);
		h = hash_bytes(h, &w->contents[i]);
	}
	snprintf(w->set, sizeof(w->set), SET_PREFIX "%.32s-%016llx", w->install->version, (unsigned long long)h);
	snprintf(w->link, sizeof(w->link), "%s/%s", w->set, w->closure.files[LOADER].name);
}

static int map(struct work *w, const char *path, struct bytes *ret_bytes)
{
	int r = bytes_map(path, ret_bytes);

	return r < 0 ? report(w->why, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int take_sources(struct work *w)
{
	int r = closure_take(w->install->tool, LAUNCH_TOOL, &w->closure, w->why);

	for (size_t i = 0; i < w->closure.count && r == 0; i++)
		r = map(w, w->closure.files[i].path, &w->contents[i]);
	if (r == 0)
		r = map(w, w->install->shim, &w->shim);
	if (r == 0)
		name_set(w);
	return r;
}

/* ---- where to ---- */

/* Of a file in the tree, or of the folder itself (""). */
static int refuse(const struct work *w, int error, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", w->install->dir, *name ? "/" : "", name);
	switch (-error) {
	case EROFS:
		return report(w->why, error, "cannot write %s: it is mounted read-only: install where it is writable", path);
	case ENOSPC:
	case EDQUOT:
		return report(w->why, error, "cannot write %s: no space left: make room for %llu MiB", path,
			      (unsigned long long)(w->done.bytes >> 20) + 1);
	case EACCES:
	case EPERM:
		return report(w->why, error, "cannot write %s: permission denied for user %u: let it write there", path,
			      (unsigned)geteuid());
	case ENOTDIR:
	case EEXIST:
	case EISDIR:
		return report(w->why, error, "cannot write %s: a file of another kind is in its place: remove it", path);
	default:
		return report(w->why, error, "cannot write %s: %s", path, strerror(-error));
	}
}

/* The environment of programs names it, in lists that cannot quote: LD_PRELOAD, and the library path. */
static int check_name(const struct work *w)
{
	const char *dir = w->install->dir;

	if (!*dir)
		return report(w->why, -EINVAL, "the directory's name is empty: fairdial install DIR");
	if (strpbrk(dir, ":; \t\n"))
		return report(w->why, -EINVAL, "LD_PRELOAD cannot name %s, for the space or colon in it: choose another", dir);
	return 0;
}

static void cut_name(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(path, ".");
	else
		slash[slash == path] = '\0';
}

/* Before anything is made in it: of the folder itself, or of the one that it would be made in. */
static int check_mount(const struct work *w)
{
	char path[PATH_MAX];
	struct statvfs fs;
	int r;

	if (snprintf(path, sizeof(path), "%s", w->install->dir) >= PATH_MAX)
		return refuse(w, -ENAMETOOLONG, "");
	while ((r = statvfs(path, &fs)) < 0 && errno == ENOENT && strcmp(path, ".") != 0)
		cut_name(path);
	if (r == 0 && fs.f_flag & ST_NOEXEC)
		return report(w->why, -EACCES, "%s is mounted noexec, and nothing could run from it: choose another",
			      w->install->dir);
	return 0;
}

static int make_parents(const struct work *w)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", w->install->dir);
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		int fd;

		*slash = '\0';
		fd = place_folder(AT_FDCWD, path);
		if (fd < 0 && access(path, F_OK) < 0) /* one may pass through a folder that one cannot list */
			return refuse(w, fd, "");
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int open_folder(struct work *w, int in, const char *path, const char *name, int *ret_fd)
{
	int fd = place_folder(in, path);

	if (fd < 0)
		return refuse(w, fd, name);
	*ret_fd = fd;
	return 0;
}

/* An install that is killed gives its lock back. Where there are no locks (some NFS) there is no waiting either. */
static int wait_for_others(struct work *w)
{
	for (int waited = 0; flock(w->lib, LOCK_EX | LOCK_NB) < 0; waited += WAIT_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		if (waited >= WAIT_LIMIT_MS)
			return report(w->why, -EBUSY, "another install is at work in %s, for %d s now: try again later",
				      w->install->dir, WAIT_LIMIT_MS / 1000);
		usleep(WAIT_STEP_MS * 1000);
	}
	place_sweep(w->dir);
	place_sweep(w->bin);
	place_sweep(w->lib);
	return 0;
}

static int open_target(struct work *w)
{
	int r = check_name(w);

	if (r == 0)
		r = check_mount(w);
	if (r == 0)
		r = make_parents(w);
	if (r == 0)
		r = open_folder(w, AT_FDCWD, w->install->dir, "", &w->dir);
	if (r == 0)
		r = open_folder(w, w->dir, LAUNCH_FOLDER, LAUNCH_FOLDER, &w->lib);
	if (r == 0)
		r = open_folder(w, w->dir, "bin", "bin", &w->bin);
	return r ? r : wait_for_others(w);
}

/* ---- the set ---- */

static mode_t mode_of(size_t file)
{
	return file == LOADER || file == TOOL ? 0755 : 0644;
}

static void note(struct work *w, const char *name, bool is_new)
{
	w->done.changed += is_new;
	if (w->install->tell)
		w->install->tell(name, is_new);
}

/* Into a folder that nobody sees yet, or over a set that was damaged after it was installed. */
static int put_in_set(struct work *w, int set, size_t i, bool is_unseen)
{
	const char *base = w->closure.files[i].name;
	bool is_new = is_unseen;
	char name[PATH_MAX];
	int r;

	if (is_unseen)
		r = place_new(set, base, &w->contents[i], mode_of(i));
	else
		r = place_file(set, base, &w->contents[i], mode_of(i), &is_new);
	snprintf(name, sizeof(name), LAUNCH_FOLDER "/%s/%s", w->set, base);
	if (r < 0)
		return refuse(w, r, name);
	note(w, name, is_new);
	return 0;
}

static int fill_set(struct work *w, int set, bool is_unseen)
{
	int r = 0;

	for (size_t i = 0; i < w->closure.count && r == 0; i++)
		r = put_in_set(w, set, i, is_unseen);
	return r;
}

static bool is_set(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, SET_PREFIX, strlen(SET_PREFIX)) == 0 && n > strlen(SET_PREFIX) + 17 && name[n - 17] == '-' &&
	       strspn(name + n - 16, "0123456789abcdef") == 16;
}

/* Sets that were current once: all but the one that the launcher starts now. */
static void remove_old_sets(const struct work *w)
{
	char current[NAME_MAX + 96] = "";
	int fd = openat(w->lib, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (readlinkat(w->lib, LAUNCH_LINK, current, sizeof(current) - 1) > 0)
		current[strcspn(current, "/")] = '\0';
	while (d && (entry = readdir(d)))
		if (is_set(entry->d_name) && strcmp(entry->d_name, current) != 0)
			place_remove(w->lib, entry->d_name);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

static int make_set(struct work *w)
{
	char unfinished[PLACE_NAME_SIZE];
	int r, set = place_begin(w->lib, unfinished);

	if (set < 0)
		return refuse(w, set, LAUNCH_FOLDER);
	r = fill_set(w, set, true);
	if (r == 0) {
		r = place_publish(w->lib, unfinished, set, w->set);
		if (r < 0 && r != -EEXIST) /* of another install at the same time, where there are no locks: it is the same */
			r = refuse(w, r, LAUNCH_FOLDER);
	}
	close(set);
	if (r < 0)
		place_remove(w->lib, unfinished);
	return r == -EEXIST ? 0 : r;
}

static int put_set(struct work *w)
{
	int set = openat(w->lib, w->set, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;

	if (set < 0) {
		remove_old_sets(w); /* first, or there would be three for a while */
		return make_set(w);
	}
	place_sweep(set);
	r = fill_set(w, set, false);
	close(set);
	return r;
}

/* ---- the rest ---- */

static int put_link(struct work *w)
{
	bool is_new = false;
	int r = place_link(w->lib, LAUNCH_LINK, w->link, &is_new);

	if (r < 0)
		return refuse(w, r, LAUNCH_FOLDER "/" LAUNCH_LINK);
	note(w, LAUNCH_FOLDER "/" LAUNCH_LINK, is_new);
	return 0;
}

static int put_file(struct work *w, int folder, const char *base, const char *name, const struct bytes *bytes, mode_t mode)
{
	bool is_new = false;
	int r = place_file(folder, base, bytes, mode, &is_new);

	if (r < 0)
		return refuse(w, r, name);
	note(w, name, is_new);
	return 0;
}

/* ---- descriptions of terminals ---- */

/* Into a folder of its first letter, as ncurses looks for it. */
static int put_terminal(struct work *w, int terminfo, const char *entry, const char *from)
{
	const char letter[] = { entry[0], '\0' };
	int folder = place_folder(terminfo, letter), r;
	char name[PATH_MAX];
	struct bytes bytes;

	snprintf(name, sizeof(name), LAUNCH_FOLDER "/" TERMINFO_FOLDER "/%s", entry);
	if (folder < 0)
		return refuse(w, folder, name);
	r = map(w, from, &bytes);
	if (r == 0) {
		place_sweep(folder);
		r = put_file(w, folder, entry + 2, name, &bytes, 0644);
		w->done.files++;
		w->done.bytes += bytes.size;
		bytes_unmap(&bytes);
	}
	close(folder);
	return r;
}

static int put_terminals(struct work *w)
{
	int terminfo = -1, r = 0;
	const char *entry;

	for (size_t i = 0; r == 0 && (entry = terminfo_entry(i)); i++) {
		char from[PATH_MAX];

		if (terminfo_find(w->install->tool, entry, from) < 0)
			continue;
		if (terminfo < 0)
			r = open_folder(w, w->lib, TERMINFO_FOLDER, LAUNCH_FOLDER "/" TERMINFO_FOLDER, &terminfo);
		if (r == 0)
			r = put_terminal(w, terminfo, entry, from);
	}
	if (terminfo >= 0)
		close(terminfo);
	return r;
}

static int put_all(struct work *w)
{
	const struct bytes launcher = { launcher_begin, (size_t)(launcher_end - launcher_begin) };
	int r;

	w->done.files = w->closure.count + 3;
	w->done.bytes = launcher.size + w->shim.size;
	for (size_t i = 0; i < w->closure.count; i++)
		w->done.bytes += w->contents[i].size;
	r = put_set(w);
	if (r == 0)
		r = put_terminals(w);
	if (r == 0)
		r = put_link(w);
	if (r == 0)
		r = put_file(w, w->bin, "fairdial", "bin/fairdial", &launcher, 0755);
	if (r == 0)
		r = put_file(w, w->dir, "libfairdial.so", "libfairdial.so", &w->shim, 0644);
	return r;
}

static void done(struct work *w)
{
	const int fds[] = { w->lib, w->bin, w->dir };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < w->closure.count; i++)
		bytes_unmap(&w->contents[i]);
	bytes_unmap(&w->shim);
	free(w);
}

int install_tree(const struct install *install, struct installed *ret_installed, struct report *why)
{
	struct work *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return report(why, -ENOMEM, "out of memory");
	w->install = install;
	w->why = why;
	w->dir = w->bin = w->lib = -1;
	r = take_sources(w);
	if (r == 0)
		r = open_target(w);
	if (r == 0)
		r = put_all(w);
	if (r == 0)
		*ret_installed = w->done;
	done(w);
	return r;
}
