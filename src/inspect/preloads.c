/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/preloads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "inspect/elf_links.h"
#include "inspect/processes.h"
#include "inspect/shim_file.h"

#define SHIM	  "libfairdial.so"
#define LONGEST	  65536 /* of /etc/ld.so.preload */

static void look(int root, struct preload *p)
{
	struct elf_links links;
	int fd;

	p->is_absolute = p->path[0] == '/' && !strchr(p->path, '$');
	if (!p->is_absolute)
		return;
	fd = file_open_in(root, p->path);
	p->is_missing = fd == -ENOENT || fd == -ENOTDIR;
	if (fd < 0)
		return;
	p->takes_connect = !p->is_shim && elf_links_fd(fd, &links) == 0 &&
			   (links.defines & (NAME_CONNECT | NAME_GETADDRINFO));
	close(fd);
}

static void add(int root, struct slice path, bool is_of_file, struct preloads *all)
{
	struct preload *p = &all->at[all->count];
	const char *slash;

	if (path.len == 0 || all->count == PRELOADS_MAX)
		return;
	memset(p, 0, sizeof(*p));
	snprintf(p->path, sizeof(p->path), "%.*s", (int)path.len, path.at);
	text_show(p->shown, sizeof(p->shown), p->path);
	slash = strrchr(p->path, '/');
	p->is_shim = strcmp(slash ? slash + 1 : p->path, SHIM) == 0;
	p->is_of_file = is_of_file;
	if (path.len < sizeof(p->path)) /* else that is another file's name */
		look(root, p);
	all->count++;
}

/* Separated by colons or blanks. */
static void add_list(int root, struct slice list, bool is_of_file, struct preloads *all)
{
	while (list.len) {
		struct slice path = { list.at, 0 };

		while (path.len < list.len && list.at[path.len] != ':' && !text_is_space(list.at[path.len]))
			path.len++;
		add(root, path, is_of_file, all);
		list.at += path.len < list.len ? path.len + 1 : path.len;
		list.len -= path.len < list.len ? path.len + 1 : path.len;
	}
}

/* Lines, with comments behind '#'. */
static void add_file(int root, struct preloads *all)
{
	static const char name[] = "/etc/ld.so.preload";
	int fd = file_open_in(root, name);
	char bytes[LONGEST];
	struct slice rest;
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	rest = (struct slice){ bytes, n > 0 ? (size_t)n : 0 };
	while (rest.at && rest.len) {
		struct slice line = slice_cut(&rest, '\n');

		add_list(root, slice_cut(&line, '#'), true, all);
	}
}

void preloads_take(int root, const char *list, struct preloads *all)
{
	all->count = 0;
	add_list(root, slice_of(list), false, all);
	add_file(root, all);
}
