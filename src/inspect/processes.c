/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "inspect/proc_files.h"

enum {
	MOST_ENVIRONMENT = 8 << 20, /* the kernel takes 6 MiB, with the arguments */
	MOST_ANCESTORS = 1024,
	CACHED = 64,
	NAMESPACE_TEXT = 64, /* "net:[4026531840]" */
};

/* Programs are few where processes are many. */
struct cached_kind {
	struct file_id id;
	bool is_elf;
	struct elf_kind kind;
};

/* One walk. */
struct walk {
	const struct processes_context *context;
	struct sockets *sockets;
	struct processes *processes;
	int self; /* whose own row nobody wants */
	int *pids;
	size_t pid_count;
	char namespace[NAMESPACE_TEXT]; /* our own network's; "": unknown */
	struct shim_file own_shim;
	struct cached_kind kinds[CACHED];
	size_t next_kind;
	struct proc_bytes bytes;
};

/* ---- one process ---- */

/* Cut where it is longer; "" where it cannot be read. */
static int read_link(int process, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(process, name, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : 0;
}

static int open_in(int process, const char *name, int flags)
{
	int fd = openat(process, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool identify(int process, struct elf_kind *ret_kind)
{
	int fd = open_in(process, "exe", O_RDONLY);
	bool is_elf;

	if (fd < 0)
		return false;
	is_elf = elf_identify_fd(fd, ret_kind) == 0;
	close(fd);
	return is_elf;
}

static void take_kind(struct walk *w, int process, struct process_seen *p)
{
	struct cached_kind *cached;
	struct stat st;

	if (fstatat(process, "exe", &st, 0) < 0)
		return;
	for (size_t i = 0; i < CACHED; i++) {
		cached = &w->kinds[i];
		if (cached->id.dev == st.st_dev && cached->id.ino == st.st_ino) {
			p->has_kind = cached->is_elf;
			p->kind = cached->kind;
			return;
		}
	}
	p->has_kind = identify(process, &p->kind);
	cached = &w->kinds[w->next_kind++ % CACHED];
	*cached = (struct cached_kind){ { st.st_dev, st.st_ino }, p->has_kind, p->kind };
}

static enum table_sight look_at_table(const struct walk *w, int root, const char *dir)
{
	char path[PATH_MAX];
	struct file_id id;
	int r;

	if (snprintf(path, sizeof(path), "%s/table", dir) >= (int)sizeof(path))
		return TABLE_UNTOLD;
	r = file_identify_in(root, path, &id);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? TABLE_NONE : TABLE_UNTOLD;
	return id.dev == w->context->table.dev && id.ino == w->context->table.ino ? TABLE_SAME : TABLE_OTHER;
}

/* Where the shim looks without FAIRDIAL_DIR, in its order; the first place that has a table. */
static enum table_sight look_at_places(const struct walk *w, int root, const struct process_seen *p)
{
	const char *shim = p->environment.shim, *slash = shim ? strrchr(shim, '/') : NULL;
	enum table_sight sight = TABLE_NONE;
	char dir[PATH_MAX];

	if (!slash || snprintf(dir, sizeof(dir), "%.*s/run", (int)(slash - shim), shim) >= (int)sizeof(dir))
		return TABLE_UNTOLD;
	sight = look_at_table(w, root, dir);
	if (sight == TABLE_NONE)
		sight = look_at_table(w, root, "/run/fairdial");
	snprintf(dir, sizeof(dir), "/tmp/fairdial-%u", p->uid);
	return sight == TABLE_NONE ? look_at_table(w, root, dir) : sight;
}

static void take_table(const struct walk *w, int process, struct process_seen *p)
{
	const struct environment *env = &p->environment;
	int root = w->context->table.ino ? open_in(process, "root", O_PATH | O_DIRECTORY) : -ENOENT;

	if (root < 0)
		return;
	if (!env->sets_dir)
		p->table = look_at_places(w, root, p);
	else if (env->dir)
		p->table = look_at_table(w, root, env->dir);
	close(root);
}

static int take_environment(struct walk *w, int process, struct process_seen *p)
{
	int r = proc_read(process, "environ", MOST_ENVIRONMENT, &w->bytes);

	return r < 0 ? (r == -ENOMEM ? r : 0) : environment_parse(w->bytes.at, w->bytes.len, &p->environment);
}

/* 1; 0: it ends, and its memory is gone already; -ENOMEM. */
static int take_inside(struct walk *w, int process, struct process_seen *p)
{
	int r;

	if (read_link(process, "exe", p->exe, sizeof(p->exe)) < 0)
		return 0;
	text_sanitise(p->exe);
	r = take_environment(w, process, p);
	if (r < 0 || p->is_elsewhere)
		return r < 0 ? r : 1;
	take_kind(w, process, p);
	p->is_privileged = proc_is_privileged(process, !p->has_kind || p->kind.is_64, &w->bytes) > 0;
	p->is_loaded = proc_has_shim(process) > 0;
	if (p->is_loaded)
		take_table(w, process, p);
	return 1;
}

/* "socket:[12345]" */
static uint32_t socket_inode(const char *link)
{
	return strncmp(link, "socket:[", 8) == 0 ? (uint32_t)strtoull(link + 8, NULL, 10) : 0;
}

/* Takes over `fd`, of /proc/PID/fd. Whether there was one among them that nobody was seen to hold. */
static bool take_sockets(struct walk *w, int fd, size_t row)
{
	DIR *dir = w->sockets->count ? fdopendir(fd) : NULL;
	struct dirent *entry;
	bool holds = false;
	char link[64];

	if (!dir) {
		close(fd);
		return false;
	}
	while ((entry = readdir(dir))) {
		struct socket_seen *socket;

		if (read_link(dirfd(dir), entry->d_name, link, sizeof(link)) < 0)
			continue;
		socket = sockets_find(w->sockets, socket_inode(link));
		if (socket && socket->holder == SOCKET_NOBODY) {
			socket->holder = row;
			holds = true;
		}
	}
	closedir(dir);
	return holds;
}

static void let_go(struct sockets *sockets, size_t row)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].holder == row)
			sockets->at[i].holder = SOCKET_NOBODY;
}

static bool is_elsewhere(const struct walk *w, int process)
{
	char namespace[NAMESPACE_TEXT];

	return read_link(process, "ns/net", namespace, sizeof(namespace)) == 0 && w->namespace[0] &&
	       strcmp(namespace, w->namespace) != 0;
}

/* What a stranger may see of it. False where there is nothing to see: it has ended, or is the kernel's. */
static bool take_outside(int process, struct process_seen *p)
{
	struct proc_stat stat;
	struct stat st;

	if (proc_read_stat(process, &stat) < 0 || stat.is_kernel || stat.state == 'Z' || stat.state == 'X' ||
	    fstat(process, &st) < 0)
		return false;
	p->parent = stat.parent;
	p->uid = st.st_uid;
	p->start_ms = stat.start_ms;
	memcpy(p->name, stat.name, sizeof(p->name));
	text_sanitise(p->name);
	return true;
}

/* As take_inside. */
static int take_process(struct walk *w, int process, struct process_seen *p)
{
	int fd, r;

	if (!take_outside(process, p))
		return 0;
	fd = open_in(process, "fd", O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		p->is_hidden = fd == -EACCES || fd == -EPERM;
		return p->is_hidden;
	}
	p->is_elsewhere = !take_sockets(w, fd, w->processes->count) && p->pid != w->context->wanted && is_elsewhere(w, process);
	r = take_inside(w, process, p);
	if (r == 0)
		let_go(w->sockets, w->processes->count);
	return r;
}

/* ---- all of them ---- */

static int compare_pids(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int add_pid(struct walk *w, int pid)
{
	int *more = w->pids;

	if ((w->pid_count & (w->pid_count - 1)) == 0) /* full at each power of two */
		more = reallocarray(w->pids, w->pid_count ? w->pid_count * 2 : 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	w->pids = more;
	w->pids[w->pid_count++] = pid;
	return 0;
}

static int list_pids(struct walk *w)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	if (access("/proc/self/stat", F_OK) < 0) { /* an empty directory: nothing is mounted there */
		closedir(proc);
		return -ENOENT;
	}
	while (r == 0 && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			r = add_pid(w, atoi(entry->d_name));
	closedir(proc);
	if (w->pid_count)
		qsort(w->pids, w->pid_count, sizeof(*w->pids), compare_pids);
	return r;
}

static int open_process(int pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int take_all(struct walk *w)
{
	struct processes *all = w->processes;
	int r = 0;

	all->at = calloc(w->pid_count + 1, sizeof(*all->at));
	if (!all->at)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < w->pid_count; i++) {
		struct process_seen *p = &all->at[all->count];
		int process = w->pids[i] == w->self ? -1 : open_process(w->pids[i]);

		if (process < 0)
			continue;
		memset(p, 0, sizeof(*p));
		p->pid = w->pids[i];
		r = take_process(w, process, p);
		close(process);
		all->count += r > 0;
	}
	return r < 0 ? r : 0;
}

struct process_seen *processes_find(const struct processes *processes, int pid)
{
	size_t low = 0, high = processes->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (processes->at[middle].pid == pid)
			return &processes->at[middle];
		if (processes->at[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- where the shim should have come from ---- */

/* The nearest one up the line whose environment names the shim, at its end PID 1, to which orphans are handed; or NULL. */
static const struct process_seen *naming_ancestor(const struct processes *all, const struct process_seen *p)
{
	const struct process_seen *first = processes_find(all, 1);

	for (int i = 0; i < MOST_ANCESTORS && p && p->parent; i++) { /* a walk takes its time: the line may have a loop */
		p = processes_find(all, p->parent);
		if (p && p->environment.names_shim)
			return p;
	}
	return first && first->environment.names_shim ? first : NULL;
}

static void look_at_shim(struct process_seen *p, const char *path)
{
	int process = open_process(p->pid), root;

	if (process < 0)
		return;
	root = open_in(process, "root", O_PATH | O_DIRECTORY);
	close(process);
	if (root < 0)
		return;
	shim_file_look(root, path, &p->shim);
	close(root);
}

static void take_shim(const struct walk *w, struct process_seen *p)
{
	const struct process_seen *from = naming_ancestor(w->processes, p);

	p->inherits = from;
	if (p->environment.names_shim)
		from = p;
	if (from && from->environment.shim)
		look_at_shim(p, from->environment.shim);
	else if (!from)
		p->shim = w->own_shim;
}

static void look_at_own_shim(struct walk *w)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return;
	if (w->context->shim_path)
		shim_file_look(root, w->context->shim_path, &w->own_shim);
	close(root);
}

int processes_list(const struct processes_context *context, struct sockets *sockets, struct processes *ret_processes)
{
	struct processes processes = { 0 };
	struct walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->context = context;
	w->sockets = sockets;
	w->processes = &processes;
	w->self = getpid();
	read_link(AT_FDCWD, "/proc/self/ns/net", w->namespace, sizeof(w->namespace));
	look_at_own_shim(w);
	r = list_pids(w);
	if (r == 0)
		r = take_all(w);
	for (size_t i = 0; r == 0 && i < processes.count; i++)
		if (!processes.at[i].is_hidden && !processes.at[i].is_elsewhere && !processes.at[i].is_loaded)
			take_shim(w, &processes.at[i]);
	free(w->bytes.at);
	free(w->pids);
	free(w);
	if (r < 0)
		processes_free(&processes);
	else
		*ret_processes = processes;
	return r;
}

void processes_free(struct processes *processes)
{
	for (size_t i = 0; i < processes->count; i++)
		environment_free(&processes->at[i].environment);
	free(processes->at);
	memset(processes, 0, sizeof(*processes));
}
