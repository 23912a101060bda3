/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum {
	MOST_MAPS = 64 << 20,
	MOST_LIST = 64 << 20,
	MOST_ENVIRONMENT = 8 << 20,
	MOST_COMMAND = 4096,
	MOST_STATUS = 1 << 20, /* the groups of a user may be many, and stand before what we look for */
	LISTENS = 0x0a, /* TCP_LISTEN, as /proc/net/tcp writes it */
};

#define REMOVED " (deleted)"

/* ---- maps ---- */

static bool ends_with(struct slice path, const char *end)
{
	size_t len = strlen(end);

	return path.len >= len && memcmp(path.at + path.len - len, end, len) == 0;
}

/* Digits up to a byte that is none; no sign, no blank. */
static uint64_t number_of(struct slice digits, unsigned base)
{
	char text[24];

	snprintf(text, sizeof(text), "%.*s", (int)(digits.len < sizeof(text) ? digits.len : sizeof(text) - 1), digits.at);
	return strtoull(text, NULL, (int)base);
}

static void take_file(struct mapped_file *file, struct slice range, struct slice inode, struct slice path, bool is_removed)
{
	struct slice end = range, begin = slice_cut(&end, '-');

	if (path.len >= sizeof(file->path) || !end.at)
		return;
	file->is_mapped = true;
	file->is_removed = is_removed;
	file->begin = number_of(begin, 16);
	file->end = number_of(end, 16);
	file->inode = number_of(inode, 10);
	snprintf(file->path, sizeof(file->path), "%.*s", (int)path.len, path.at);
}

/*
 * "7f65-7f66 r-xp 00001000 00:27 2 /path/libfairdial.so". A table is shared, and only read. One that was replaced may stay mapped
 * beside the one in its place: that one counts.
 */
void mapped_take_line(struct mapped *mapped, const char *line, size_t len)
{
	struct slice rest = { line, len }, range = slice_word(&rest), access = slice_word(&rest), inode, path;
	bool is_removed;

	slice_word(&rest);
	slice_word(&rest);
	inode = slice_word(&rest);
	path = slice_trim(rest);
	if (access.len < 4 || path.len == 0 || path.at[0] != '/')
		return;
	is_removed = ends_with(path, REMOVED);
	if (is_removed)
		path.len -= strlen(REMOVED);
	if (access.at[2] == 'x' && ends_with(path, "/libfairdial.so"))
		take_file(&mapped->shim, range, inode, path, is_removed);
	if (access.at[3] == 's' && ends_with(path, "/table") && (!mapped->table.is_mapped || !is_removed))
		take_file(&mapped->table, range, inode, path, is_removed);
}

/* The kernel writes paths as they are for who reads them: of a process in a chroot with that folder in front. */
static void strip_root(struct mapped_file *file, const char *root)
{
	size_t len = strlen(root);

	if (len > 1 && strncmp(file->path, root, len) == 0 && file->path[len] == '/')
		memmove(file->path, file->path + len, strlen(file->path + len) + 1);
}

static void strip_roots(int process, struct mapped *mapped)
{
	char root[PATH_MAX];
	ssize_t n = readlinkat(process, "root", root, sizeof(root) - 1);

	root[n < 0 ? 0 : n] = '\0';
	strip_root(&mapped->shim, root);
	strip_root(&mapped->table, root);
}

int mapped_open(int process, const struct mapped_file *file)
{
	char name[64];
	int fd;

	if (!file->is_mapped)
		return -ENOENT;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, file->begin, file->end);
	fd = openat(process, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void take_lines(struct proc_bytes *bytes, void (*take)(struct mapped *, const char *, size_t), struct mapped *mapped)
{
	struct slice rest = { bytes->at, bytes->len };

	while (rest.at && rest.len) {
		struct slice line = slice_cut(&rest, '\n');

		take(mapped, line.at, line.len);
	}
}

/* ---- namespaces ---- */

/* "NSpid:\t4242\t1": the last number is its own namespace's. */
static void take_status_line(struct mapped *mapped, const char *line, size_t len)
{
	if (len > 6 && memcmp(line, "NSpid:", 6) == 0)
		mapped->is_first = line[len - 1] == '1' && (line[len - 2] == '\t' || line[len - 2] == ' ');
}

/* "  0: 00000000:3A99 00000000:0000 0A …" */
static uint16_t listening_port(const char *line, size_t len)
{
	char text[256];
	unsigned port, state;

	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), line);
	if (sscanf(text, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) != 2 || state != LISTENS)
		return 0;
	return (uint16_t)port;
}

static void take_mesh(struct proc_bytes *bytes, bool (*is_mesh)(uint16_t port), struct mapped *mapped)
{
	struct slice rest = { bytes->at, bytes->len };

	while (rest.at && rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		uint16_t port = listening_port(line.at, line.len);

		if (port && is_mesh(port) && (!mapped->mesh_port || port < mapped->mesh_port))
			mapped->mesh_port = port;
	}
}

/* ---- arguments and environment ---- */

static bool take_preload(struct proc_bytes *bytes, struct mapped *mapped)
{
	struct slice rest = { bytes->at, bytes->len };

	while (rest.at && rest.len) {
		struct slice value = slice_cut(&rest, '\0');

		if (slice_is(slice_cut(&value, '='), "LD_PRELOAD") && value.at) {
			mapped->preload = strndup(value.at, value.len);
			return mapped->preload;
		}
	}
	return true;
}

static bool take_command(struct proc_bytes *bytes, struct mapped *mapped)
{
	size_t len = bytes->len;

	while (len && bytes->at[len - 1] == '\0')
		len--;
	if (len == 0)
		return true;
	mapped->command = malloc(len + 1);
	if (!mapped->command)
		return false;
	for (size_t i = 0; i < len; i++)
		mapped->command[i] = bytes->at[i] ? bytes->at[i] : ' ';
	mapped->command[len] = '\0';
	return true;
}

int mapped_take(int process, bool (*is_mesh)(uint16_t port), struct mapped *mapped)
{
	struct proc_bytes bytes = { 0 };
	bool kept = true;

	memset(mapped, 0, sizeof(*mapped));
	mapped->is_read = proc_read(process, "maps", MOST_MAPS, &bytes) == 0;
	if (mapped->is_read)
		take_lines(&bytes, mapped_take_line, mapped);
	strip_roots(process, mapped);
	if (proc_read(process, "status", MOST_STATUS, &bytes) == 0)
		take_lines(&bytes, take_status_line, mapped);
	if (proc_read(process, "net/tcp", MOST_LIST, &bytes) == 0)
		take_mesh(&bytes, is_mesh, mapped);
	if (proc_read(process, "net/tcp6", MOST_LIST, &bytes) == 0)
		take_mesh(&bytes, is_mesh, mapped);
	if (proc_read(process, "environ", MOST_ENVIRONMENT, &bytes) == 0)
		kept = take_preload(&bytes, mapped);
	if (kept && proc_read(process, "cmdline", MOST_COMMAND, &bytes) == 0)
		kept = take_command(&bytes, mapped);
	free(bytes.at);
	if (kept)
		return 0;
	mapped_free(mapped);
	return -ENOMEM;
}

void mapped_free(struct mapped *mapped)
{
	free(mapped->preload);
	free(mapped->command);
	memset(mapped, 0, sizeof(*mapped));
}
