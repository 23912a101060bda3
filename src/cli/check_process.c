/* SPDX-License-Identifier: Apache-2.0 */
/* A process that runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/check.h"
#include "inspect/mesh.h"

static bool is_mesh(uint16_t port)
{
	return mesh_name(port);
}

/* The file itself where the kernel lets us; else what its name leads to, where that is still it. */
static void take_mapped_build(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.shim;
	int fd = mapped_open(q->process, file);

	if (fd < 0 && !file->is_removed)
		fd = file_open_in(q->root, file->path);
	check_take_build(q, fd);
	if (fd >= 0)
		close(fd);
}

static void take_mapped_shim(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.shim;
	const char *path = file->is_mapped ? file->path : check_preloaded_shim(q);
	struct check_facts *c = &q->facts;
	struct file_id id;

	snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, path ? path : "");
	text_show(q->shim_shown, sizeof(q->shim_shown), q->shim);
	c->shim = c->process->shim;
	if (!file->is_mapped)
		return;
	shim_file_look(q->root, file->path, &c->shim);
	c->shim_is_removed = file_identify_in(q->root, file->path, &id) == -ENOENT;
	c->shim_is_replaced = !c->shim_is_removed && file->is_removed;
	take_mapped_build(q);
}

/* Where a process without FAIRDIAL_DIR looks, in the shim's order; else where the last of these is. */
static void find_process_dir(struct inquiry *q)
{
	const struct process_seen *p = q->facts.process;
	char places[3][PATH_MAX] = { "", "/run/fairdial", "" }, *slash;
	struct file_id id;

	snprintf(q->dir, sizeof(q->dir), "%s", places[1]);
	snprintf(places[0], PATH_MAX, "%.*s", PATH_MAX - 16, q->shim);
	slash = strrchr(places[0], '/');
	strcpy(slash ? slash : places[0], slash ? "/run" : "");
	snprintf(places[2], PATH_MAX, "/tmp/fairdial-%u", p->uid);
	for (size_t i = 0; i < 3; i++) {
		char path[PATH_MAX + 8];

		snprintf(path, sizeof(path), "%.*s/table", PATH_MAX - 1, places[i]);
		if (places[i][0] && file_identify_in(q->root, path, &id) == 0) {
			strcpy(q->dir, places[i]);
			return;
		}
	}
}

/* Where it looks: in its own file system. */
static void choose_process_dir(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.table;

	if (file->is_mapped)
		snprintf(q->dir, sizeof(q->dir), "%.*s", (int)(strlen(file->path) - strlen("/table")), file->path);
	else if (q->facts.environment.dir)
		snprintf(q->dir, sizeof(q->dir), "%s", q->facts.environment.dir);
	else
		find_process_dir(q);
}

/* By a descriptor: links in the process's file system do not lead into ours. */
static void take_process_table(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.table;
	struct table_facts *t = &q->facts.table;
	char table[PATH_MAX + 8], path[64];
	struct file_id id;
	int fd;

	choose_process_dir(q);
	snprintf(table, sizeof(table), "%s/table", q->dir);
	t->is_mapped = file->is_mapped;
	t->is_removed = file->is_mapped && file_identify_in(q->root, table, &id) == -ENOENT;
	t->is_replaced = file->is_mapped && !t->is_removed && file->is_removed;
	fd = file_name_in(q->root, q->dir[0] ? q->dir : "/");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_take_table(q, path, q->dir);
	if (fd < 0) /* what is wrong with the directory, not with that path */
		t->error = fd;
	else
		close(fd);
}

/* Whether the one in --dir is another. */
static void compare_tables(struct inquiry *q)
{
	struct file_id asked, used;
	char asked_path[PATH_MAX + 8], used_path[PATH_MAX + 8];
	struct stat st;

	if (!q->question.dir)
		return;
	snprintf(asked_path, sizeof(asked_path), "%.*s/table", PATH_MAX - 1, q->question.dir);
	snprintf(used_path, sizeof(used_path), "%s/table", q->dir);
	if (stat(asked_path, &st) < 0 || file_identify_in(q->root, used_path, &used) < 0)
		return;
	asked = (struct file_id){ st.st_dev, st.st_ino };
	q->facts.table.is_other = asked.dev != used.dev || asked.ino != used.ino;
}

static int find_process(struct inquiry *q)
{
	struct processes_context context = { .wanted = q->question.pid, .shim_path = q->own_shim[0] ? q->own_shim : NULL };
	struct sockets none = { 0 };
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", q->question.pid);
	q->process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->process < 0 && access("/proc/self/stat", F_OK) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "/proc is not mounted here: --pid looks at the process there");
	if (q->process < 0)
		return cli_fail(q->verb, EXIT_FAILED, "no process %d: it has ended, or is in another PID namespace; see ps(1)",
				q->question.pid);
	r = processes_list(&context, &none, &q->processes);
	if (r < 0)
		return cli_fail(q->verb, EXIT_FAILED, "cannot list processes: %s", strerror(-r));
	q->facts.process = processes_find(&q->processes, q->question.pid);
	if (!q->facts.process)
		return cli_fail(q->verb, EXIT_FAILED,
				"process %d cannot be checked: it has ended, is a thread, or is this tool itself: see ps(1)",
				q->question.pid);
	return 0;
}

static void take_process_file(struct inquiry *q)
{
	int fd = openat(q->process, "exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	program_file_take(fd, &q->file);
	q->facts.file = &q->file;
	/* What its marks did to it, its memory tells: why_process. */
	q->file.is_setuid = q->file.is_setgid = q->file.has_capabilities = false;
	close(fd);
}

/* The arguments behind the first of a shell's command. */
static void take_command(struct inquiry *q)
{
	const char *command = q->mapped.command, *blank = command ? strchr(command, ' ') : NULL;

	q->facts.wrapper = program_wrapper(q->facts.process->exe);
	if (blank)
		text_show(q->arguments_shown, sizeof(q->arguments_shown), blank + 1);
}

int check_process(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	int r = find_process(q);

	if (r)
		return r;
	snprintf(q->subject, sizeof(q->subject), "pid %d (%s)", q->question.pid,
		 c->process->exe[0] ? c->process->exe : c->process->name);
	if (c->process->is_hidden)
		return 0;
	if (mapped_take(q->process, is_mesh, &q->mapped) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "out of memory");
	c->mapped = &q->mapped;
	q->root = openat(q->process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	take_process_file(q);
	take_command(q);
	c->environment = c->process->environment;
	preloads_take(q->root, q->mapped.preload, &q->preloads);
	c->shim_is_named = c->environment.names_shim;
	take_mapped_shim(q);
	c->mesh_port = q->mapped.mesh_port;
	take_process_table(q);
	compare_tables(q);
	return 0;
}
