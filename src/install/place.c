/* SPDX-License-Identifier: Apache-2.0 */
#include "install/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED_PREFIX ".fairdial-"
#define UNFINISHED_SUFFIX ".tmp"

enum { CHUNK = 1 << 16 };

/* ---- bytes ---- */

int bytes_map(const char *path, struct bytes *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	struct stat st;
	void *at;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (st.st_size == 0) {
		r = -ENODATA;
		goto out;
	}
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		r = -errno;
	else
		*ret_bytes = (struct bytes){ at, (size_t)st.st_size };
out:
	close(fd);
	return r;
}

void bytes_unmap(struct bytes *bytes)
{
	if (bytes->at)
		munmap((void *)bytes->at, bytes->size);
	*bytes = (struct bytes){ 0 };
}

/* Read, not mapped: it may be cut off by somebody while we look. */
static bool reads_same(int fd, const struct bytes *bytes)
{
	static char chunk[CHUNK];
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		if ((size_t)n > bytes->size - done || memcmp(chunk, (const char *)bytes->at + done, (size_t)n) != 0)
			return false;
		done += (size_t)n;
	}
	return n == 0 && done == bytes->size;
}

bool place_holds(int folder, const char *name, const struct bytes *bytes, mode_t mode)
{
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == mode &&
	       (size_t)st.st_size == bytes->size && reads_same(fd, bytes);
	close(fd);
	return same;
}

/* ---- names that say that something is not finished ---- */

static int name_unfinished(char ret_name[PLACE_NAME_SIZE])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(ret_name, PLACE_NAME_SIZE, UNFINISHED_PREFIX "%016llx" UNFINISHED_SUFFIX, (unsigned long long)number);
	return 0;
}

static bool is_unfinished(const char *name)
{
	size_t n = strlen(name), prefix = strlen(UNFINISHED_PREFIX), suffix = strlen(UNFINISHED_SUFFIX);

	return n == prefix + 16 + suffix && strncmp(name, UNFINISHED_PREFIX, prefix) == 0 &&
	       strcmp(name + n - suffix, UNFINISHED_SUFFIX) == 0 && strspn(name + prefix, "0123456789abcdef") == 16;
}

/* Some file systems know no fsync of a folder: what they keep of it after a crash is up to them. */
static int sync_folder(int folder)
{
	return fsync(folder) == 0 || errno == EINVAL || errno == EBADF || errno == ENOTSUP ? 0 : -errno;
}

static int rename_into_place(int folder, const char *unfinished, const char *name)
{
	if (renameat(folder, unfinished, folder, name) == 0)
		return sync_folder(folder);
	return -errno;
}

/* ---- a file ---- */

static int write_all(int fd, const struct bytes *bytes)
{
	for (size_t done = 0; done < bytes->size;) {
		ssize_t n = write(fd, (const char *)bytes->at + done, bytes->size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int place_new(int folder, const char *name, const struct bytes *bytes, mode_t mode)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, bytes);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (close(fd) < 0 && r == 0) /* where the file system tells only now that it is full (NFS) */
		r = -errno;
	return r;
}

int place_file(int folder, const char *name, const struct bytes *bytes, mode_t mode, bool *ret_changed)
{
	char unfinished[PLACE_NAME_SIZE];
	int r;

	if (place_holds(folder, name, bytes, mode))
		return 0;
	r = name_unfinished(unfinished);
	if (r < 0)
		return r;
	r = place_new(folder, unfinished, bytes, mode);
	if (r == 0)
		r = rename_into_place(folder, unfinished, name);
	if (r < 0)
		unlinkat(folder, unfinished, 0);
	else
		*ret_changed = true;
	return r;
}

/* ---- a link ---- */

static bool holds_link(int folder, const char *name, const char *target)
{
	char found[256];
	ssize_t n = readlinkat(folder, name, found, sizeof(found));

	return n >= 0 && (size_t)n == strlen(target) && memcmp(found, target, (size_t)n) == 0;
}

int place_link(int folder, const char *name, const char *target, bool *ret_changed)
{
	char unfinished[PLACE_NAME_SIZE];
	int r;

	if (holds_link(folder, name, target))
		return 0;
	r = name_unfinished(unfinished);
	if (r < 0)
		return r;
	if (symlinkat(target, folder, unfinished) < 0)
		return -errno;
	r = rename_into_place(folder, unfinished, name);
	if (r < 0)
		unlinkat(folder, unfinished, 0);
	else
		*ret_changed = true;
	return r;
}

/* ---- a folder ---- */

static int open_folder(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_folder(int folder, const char *name, mode_t mode)
{
	mode_t mask = umask(0);
	int r = mkdirat(folder, name, mode) < 0 ? -errno : 0;

	umask(mask);
	return r;
}

int place_folder(int folder, const char *name)
{
	int r = make_folder(folder, name, 0755), fd;

	fd = open_folder(folder, name); /* also where it could not be made, but is there: on a read-only mount */
	return fd >= 0 || r == 0 || r == -EEXIST ? fd : r;
}

int place_begin(int folder, char ret_name[PLACE_NAME_SIZE])
{
	int r = name_unfinished(ret_name), fd;

	if (r < 0)
		return r;
	r = make_folder(folder, ret_name, 0700);
	if (r < 0)
		return r;
	fd = open_folder(folder, ret_name);
	if (fd < 0)
		unlinkat(folder, ret_name, AT_REMOVEDIR);
	return fd;
}

int place_publish(int folder, const char *unfinished, int fd, const char *name)
{
	int r;

	if (fchmod(fd, 0755) < 0)
		return -errno;
	r = sync_folder(fd);
	if (r == 0)
		r = rename_into_place(folder, unfinished, name);
	return r == -ENOTEMPTY ? -EEXIST : r;
}

/* ---- removing ---- */

static void remove_entries(int folder)
{
	DIR *d = fdopendir(folder);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(folder, entry->d_name, 0);
	if (d)
		closedir(d);
	else
		close(folder);
}

int place_remove(int folder, const char *name)
{
	int fd;

	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	remove_entries(fd);
	return unlinkat(folder, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

void place_sweep(int folder)
{
	int fd = open_folder(folder, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d && fd >= 0)
		close(fd);
	while (d && (entry = readdir(d)))
		if (is_unfinished(entry->d_name))
			place_remove(folder, entry->d_name);
	if (d)
		closedir(d);
}
