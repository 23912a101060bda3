/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial check: whether one program, or one process, is covered, what is not, and what to do. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mesh.h"
#include "cli/cli.h"
#include "cli/print_json.h"
#include "view/snapshot.h"
#include "inspect/findings.h"
#include "table/mode.h"

enum { OPT_PID, OPT_JSON, OPT_SHIM, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_PID] = { "pid", "PID", "check a running process" },
	[OPT_JSON] = { "json", NULL, "one JSON object" },
	[OPT_SHIM] = { "shim", "PATH", "the libfairdial.so to load (default: what LD_PRELOAD names, else what belongs to this "
				       "tool)" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks; of a process: where it "
				    "looks)" },
	{ 0 },
};

struct arguments {
	const char *shim, *dir, *pid_text;
	char **program; /* with its own arguments */
	int pid;
	bool json;
};

/* All that is found out. */
struct inquiry {
	const struct verb *verb;
	struct arguments a;
	struct check_facts facts;
	struct findings findings;
	struct program program;
	struct program_file file;
	struct preloads preloads;
	struct processes processes;
	struct mapped mapped;
	int process, root; /* descriptors of /proc/PID and of its /; -1 */
	char shim[PATH_MAX], own_shim[PATH_MAX]; /* own: the tool's; "": there is none */
	char dir[PATH_MAX];
	char shim_shown[256], dir_shown[256], arguments_shown[128], subject[400];
	char shim_build[sizeof(((struct elf_links *)0)->build_id)];
};

/* ---- arguments ---- */

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			a->json = true;
		else if (option == OPT_PID)
			a->pid_text = optarg;
		else if (option == OPT_SHIM)
			a->shim = optarg;
		else
			a->dir = optarg;
	}
	a->program = argv + optind;
	if (!a->pid_text && optind >= argc)
		return cli_fail(verb, EXIT_USAGE, "which program? fairdial check PROGRAM, or --pid PID");
	if (a->pid_text && optind < argc)
		return cli_fail(verb, EXIT_USAGE, "a program and --pid exclude each other");
	if (a->pid_text) {
		char *end, shown[64];
		long pid = strtol(a->pid_text, &end, 10);

		text_show(shown, sizeof(shown), a->pid_text);
		if (*end || end == a->pid_text || pid < 1 || pid > INT_MAX)
			return cli_fail(verb, EXIT_USAGE, "--pid %s: expected the number of a process, as ps(1) shows it", shown);
		a->pid = (int)pid;
	}
	return 0;
}

/* ---- the shim's file ---- */

static void take_build(int root, const char *path, char build[])
{
	struct elf_links links;
	int fd = file_open_in(root, path);

	if (fd >= 0 && elf_links_fd(fd, &links) == 0)
		strcpy(build, links.build_id);
	if (fd >= 0)
		close(fd);
}

static void compare_builds(struct inquiry *q, const char *path)
{
	char own[sizeof(q->shim_build)] = "";
	int here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	take_build(q->root, path, q->shim_build);
	if (here >= 0 && q->own_shim[0])
		take_build(here, q->own_shim, own);
	if (here >= 0)
		close(here);
	q->facts.shim_is_same_build = q->shim_build[0] && own[0] ? strcmp(q->shim_build, own) == 0 : -1;
}

/* The one that LD_PRELOAD names, in `preloads`; NULL: none. */
static const char *preloaded_shim(const struct preloads *preloads)
{
	for (size_t i = 0; i < preloads->count; i++)
		if (preloads->at[i].is_shim)
			return preloads->at[i].path;
	return NULL;
}

static void take_shim(struct inquiry *q)
{
	const char *preloaded = preloaded_shim(&q->preloads), *path = q->a.shim ? q->a.shim : preloaded ? preloaded : q->own_shim;
	struct check_facts *c = &q->facts;

	snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, path);
	if (q->a.shim) { /* whoever sets LD_PRELOAD to it would write the whole path */
		char *whole = realpath(path, NULL);

		if (whole)
			snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, whole);
		free(whole);
	}
	c->shim_is_named = preloaded && (!q->a.shim || strcmp(preloaded, q->a.shim) == 0 || strcmp(preloaded, q->shim) == 0);
	text_show(q->shim_shown, sizeof(q->shim_shown), q->shim);
	c->shim_shown = q->shim_shown;
	c->shim_path = q->shim;
	if (q->shim[0] == '/' || q->a.shim)
		shim_file_look(q->root, q->shim, &c->shim);
	c->shim_is_readable = access(q->shim, R_OK) == 0;
	compare_builds(q, q->shim);
}

/* ---- the table ---- */

/* What nobody else serves goes on by the list as it was. */
static void take_services(struct table_facts *t, const struct snapshot *snapshot)
{
	bool is_silent = !snapshot->is_static && snapshot->age_ms > snapshot->stale_after_ms;

	t->services = snapshot->service_count;
	for (size_t i = 0; i < snapshot->service_count; i++) {
		t->on += strcmp(snapshot->services[i].mode, "on") == 0;
		t->stand_down += snapshot->services[i].stand_down[0] != '\0';
		t->is_stale |= is_silent && snapshot->services[i].has_own_address;
	}
}

/* `path` leads there from here; `dir` is how its users call it. */
static void take_table(struct inquiry *q, const char *path, const char *dir)
{
	struct table_facts *t = &q->facts.table;
	struct trust trust = cli_trust();
	struct snapshot snapshot;
	struct report why;

	text_show(q->dir_shown, sizeof(q->dir_shown), dir);
	t->dir = q->dir_shown;
	t->error = snapshot_take(path, &trust, NULL, &snapshot, &why);
	if (t->error)
		return;
	t->is_static = snapshot.is_static;
	t->is_alive = snapshot.alive;
	t->age_ms = snapshot.age_ms;
	take_services(t, &snapshot);
	snapshot_free(&snapshot);
}

/* ---- a program that is to be started ---- */

/* The environment of this process, as the program's would be. */
static int take_own_environment(struct inquiry *q)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&bytes, &len);
	int r;

	if (!stream)
		return -ENOMEM;
	for (char **variable = environ; variable && *variable; variable++)
		fprintf(stream, "%s%c", *variable, '\0');
	r = fclose(stream) ? -ENOMEM : environment_parse(bytes, len, &q->facts.environment);
	free(bytes);
	return r;
}

static const char *why_no_program(int error)
{
	switch (error) {
	case -ENOENT:
		return "there is none in PATH or at that path: name it by its whole path";
	case -EACCES:
		return "it may not be executed by this user: chmod a+x it, or ask as its owner";
	case -ENOEXEC:
		return "it is neither a program nor a script: name the file that is run";
	case -ELOOP:
		return "scripts run scripts, more than the kernel follows: name the program that they run";
	default:
		return strerror(-error);
	}
}

/* The one that a failure is about, and how it came to that. */
static int fail_without_program(struct inquiry *q, int error)
{
	const struct program *p = &q->program;
	const char *from = p->step_count ? p->steps[p->step_count - 1].from : NULL;

	return cli_fail(q->verb, EXIT_FAILED, "%s%s%s: %s", p->shown, from ? ", which runs the script " : "", from ? from : "",
			why_no_program(error));
}

static void take_arguments(struct inquiry *q, char *const *more)
{
	char text[512] = "";
	size_t len = 0;

	for (; *more && len < sizeof(text) - 1; more++) {
		int n = snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", *more);

		len += n < (int)(sizeof(text) - len) ? (size_t)n : sizeof(text) - 1 - len;
	}
	text_show(q->arguments_shown, sizeof(q->arguments_shown), text);
}

static int look_at_program(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	int r = program_look(q->a.program[0], &q->program), mesh;

	if (r < 0)
		return fail_without_program(q, r);
	q->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (take_own_environment(q) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "out of memory");
	c->program = &q->program;
	c->file = &q->program.file;
	c->wrapper = program_wrapper(q->program.path);
	take_arguments(q, q->a.program + 1);
	preloads_take(q->root, getenv("LD_PRELOAD"), &q->preloads);
	take_shim(q);
	mesh = mesh_find();
	c->mesh_port = (uint16_t)(mesh > 0 ? mesh : 0);
	cli_table_dir(q->a.dir, q->dir);
	take_table(q, q->dir, q->dir);
	c->autostarts = mode_word_is_yes(slice_of(getenv("FAIRDIAL_AUTOSTART")));
	text_show(q->subject, sizeof(q->subject), q->program.shown);
	return 0;
}

/* ---- a process ---- */

static bool is_mesh(uint16_t port)
{
	return mesh_name(port);
}

static void take_mapped_shim(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.shim;
	struct check_facts *c = &q->facts;
	struct file_id id;

	if (!file->is_mapped) {
		const char *path = preloaded_shim(&q->preloads);

		snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, path ? path : "");
		c->shim = c->process->shim;
	} else {
		snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, file->path);
		shim_file_look(q->root, file->path, &c->shim);
		c->shim_is_removed = file_identify_in(q->root, file->path, &id) == -ENOENT;
		c->shim_is_replaced = !c->shim_is_removed && file->is_removed;
		if (!file->is_removed)
			compare_builds(q, file->path);
	}
	text_show(q->shim_shown, sizeof(q->shim_shown), q->shim);
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

/* The one that it has mapped, else the one that it would. */
static void take_process_table(struct inquiry *q)
{
	const struct mapped_file *file = &q->mapped.table;
	struct table_facts *t = &q->facts.table;
	char path[PATH_MAX + 64], table[PATH_MAX + 8];
	struct file_id id;

	if (file->is_mapped)
		snprintf(q->dir, sizeof(q->dir), "%.*s", (int)(strlen(file->path) - strlen("/table")), file->path);
	else if (q->facts.environment.dir)
		snprintf(q->dir, sizeof(q->dir), "%s", q->facts.environment.dir);
	else
		find_process_dir(q);
	snprintf(table, sizeof(table), "%s/table", q->dir);
	t->is_mapped = file->is_mapped;
	t->is_removed = file->is_mapped && file_identify_in(q->root, table, &id) == -ENOENT;
	t->is_replaced = file->is_mapped && !t->is_removed && file->is_removed;
	snprintf(path, sizeof(path), "/proc/%d/root%s", q->a.pid, q->dir);
	take_table(q, path, q->dir);
}

/* Whether the one in --dir is another. */
static void compare_tables(struct inquiry *q)
{
	struct file_id asked, used;
	char asked_path[PATH_MAX + 8], used_path[PATH_MAX + 8];
	struct stat st;

	if (!q->a.dir)
		return;
	snprintf(asked_path, sizeof(asked_path), "%.*s/table", PATH_MAX - 1, q->a.dir);
	snprintf(used_path, sizeof(used_path), "%s/table", q->dir);
	if (stat(asked_path, &st) < 0 || file_identify_in(q->root, used_path, &used) < 0)
		return;
	asked = (struct file_id){ st.st_dev, st.st_ino };
	q->facts.table.is_other = asked.dev != used.dev || asked.ino != used.ino;
}

static int find_process(struct inquiry *q)
{
	struct processes_context context = { .wanted = q->a.pid, .shim_path = q->own_shim[0] ? q->own_shim : NULL };
	struct sockets none = { 0 };
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", q->a.pid);
	q->process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->process < 0 && access("/proc/self/stat", F_OK) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "/proc is not mounted here: --pid looks at the process there");
	if (q->process < 0)
		return cli_fail(q->verb, EXIT_FAILED, "no process %d: it has ended, or is in another PID namespace; see ps(1)",
				q->a.pid);
	r = processes_list(&context, &none, &q->processes);
	if (r < 0)
		return cli_fail(q->verb, EXIT_FAILED, "cannot list processes: %s", strerror(-r));
	q->facts.process = processes_find(&q->processes, q->a.pid);
	if (!q->facts.process)
		return cli_fail(q->verb, EXIT_FAILED,
				"process %d cannot be checked: it has ended, is a thread of the kernel, or is this tool itself",
				q->a.pid);
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

static int look_at_process(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	int r = find_process(q);

	if (r)
		return r;
	snprintf(q->subject, sizeof(q->subject), "pid %d (%s)", q->a.pid, c->process->exe[0] ? c->process->exe : c->process->name);
	c->shim_shown = q->shim_shown;
	c->shim_path = q->shim;
	c->table.dir = q->dir_shown;
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
	if (q->root >= 0)
		take_process_table(q);
	compare_tables(q);
	return 0;
}

/* ---- JSON ---- */

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *bool_or_null(bool is_known, bool value)
{
	return is_known ? json_boolean(value) : json_null();
}

static json_t *findings_json(const struct findings *f)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o}", "id", f->at[i].id, "severity",
						      severity_name(f->at[i].severity), "what", f->at[i].what, "remedy",
						      text_or_null(f->at[i].remedy)));
	return rows;
}

static json_t *shim_json(const struct inquiry *q)
{
	const struct check_facts *c = &q->facts;

	return json_pack("{s:o, s:o, s:o, s:o}", "path", text_or_null(q->shim_shown), "mapped",
			 bool_or_null(c->process, c->process && c->process->is_loaded), "version",
			 c->shim_is_same_build == 1 ? json_string(FAIRDIAL_VERSION) : json_null(), "build_id",
			 text_or_null(q->shim_build));
}

static json_t *table_json(const struct inquiry *q)
{
	const struct table_facts *t = &q->facts.table;
	bool is_there = t->error == 0 && t->dir && t->dir[0];

	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "dir", text_or_null(t->dir), "readable", is_there, "mapped",
			 bool_or_null(q->facts.process, t->is_mapped), "static", bool_or_null(is_there, t->is_static), "stale",
			 bool_or_null(is_there, t->is_stale), "age_ms",
			 is_there ? json_integer((json_int_t)t->age_ms) : json_null(), "services",
			 is_there ? json_integer((json_int_t)t->services) : json_null());
}

static int print_answer_json(const struct inquiry *q, enum cover cover)
{
	return print_json(json_pack("{s:s, s:o, s:o, s:o, s:o}", "subject", q->subject, "covered",
				    cover == COVER_PARTLY ? json_string("partly") : json_boolean(cover == COVER_WHOLE), "findings",
				    findings_json(&q->findings), "shim", shim_json(q), "table", table_json(q)));
}

/* ---- text ---- */

static const char *colour(enum severity severity)
{
	static const char *const colours[SEVERITIES] = { "\033[32m", "", "\033[33m", "\033[31m" };
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || (no_colour && *no_colour) || (terminal && strcmp(terminal, "dumb") == 0))
		return "";
	return colours[severity];
}

static void print_finding(const struct finding *f)
{
	const char *begin = colour(f->severity);

	printf("%s%-8s%s %s: %s\n", begin, severity_name(f->severity), *begin ? "\033[0m" : "", f->id, f->what);
	if (f->remedy[0])
		printf("         %s\n", f->remedy);
}

static void print_process(const struct inquiry *q)
{
	const struct check_facts *c = &q->facts;

	if (!c->process || c->process->is_hidden)
		return;
	printf("shim       %s", c->process->is_loaded ? q->shim_shown : "not mapped");
	if (c->process->is_loaded && q->shim_build[0])
		printf(", %s%s, build %.12s", c->shim_is_same_build == 1 ? "version " : "of another build",
		       c->shim_is_same_build == 1 ? FAIRDIAL_VERSION : "", q->shim_build);
	printf("\ntable      ");
	if (!c->process->is_loaded)
		puts("none is looked for");
	else if (c->table.error)
		printf("%s/table, which cannot be read\n", c->table.dir);
	else
		printf("%s/table, %zu Services, %s %llu s ago\n", c->table.dir, c->table.services,
		       c->table.is_static ? "published" : "vouched for", (unsigned long long)c->table.age_ms / 1000);
}

static int print_text(const struct inquiry *q, enum cover cover)
{
	static const char *const covers[] = { [COVER_NONE] = "not covered", [COVER_PARTLY] = "covered in part",
					      [COVER_WHOLE] = "covered" };
	static const enum severity severities[] = { [COVER_NONE] = SEVERITY_BLOCKER, [COVER_PARTLY] = SEVERITY_WARNING,
						    [COVER_WHOLE] = SEVERITY_OK };
	const char *begin = colour(severities[cover]);

	printf("%s: %s%s%s\n", q->subject, begin, covers[cover], *begin ? "\033[0m" : "");
	print_process(q);
	for (int severity = SEVERITY_BLOCKER; severity >= SEVERITY_OK; severity--)
		for (size_t i = 0; i < q->findings.count; i++)
			if ((int)q->findings.at[i].severity == severity)
				print_finding(&q->findings.at[i]);
	return 0;
}

/* ---- the verb ---- */

static int answer(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	enum cover cover;
	int r;

	c->mesh_name = c->mesh_port ? mesh_name(c->mesh_port) : NULL;
	findings_make(c, &q->findings);
	cover = findings_cover(&q->findings);
	r = q->a.json ? print_answer_json(q, cover) : print_text(q, cover);
	if (r < 0)
		return cli_fail(q->verb, EXIT_FAILED, "cannot write: out of memory");
	return cli_finish(q->verb, cover == COVER_WHOLE ? EXIT_DONE : EXIT_FAILED);
}

static void done(struct inquiry *q)
{
	if (!q->facts.process) /* else they are its own */
		environment_free(&q->facts.environment);
	processes_free(&q->processes);
	mapped_free(&q->mapped);
	if (q->process >= 0)
		close(q->process);
	if (q->root >= 0)
		close(q->root);
	free(q);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct inquiry *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return cli_fail(verb, EXIT_FAILED, "out of memory");
	q->verb = verb;
	q->process = q->root = -1;
	q->facts.euid = geteuid();
	q->facts.preloads = &q->preloads;
	q->facts.arguments = q->arguments_shown;
	q->facts.shim_is_same_build = -1;
	r = parse(verb, argc, argv, &q->a);
	if (r == 0 && cli_shim_path(q->own_shim) < 0)
		q->own_shim[0] = '\0';
	if (r == 0)
		r = q->a.pid ? look_at_process(q) : look_at_program(q);
	if (r == 0)
		r = answer(q);
	done(q);
	return r;
}

const struct verb check_verb = {
	.name = "check",
	.usage = "[--json] [--shim PATH] [--dir DIR] PROGRAM [ARG...] | --pid PID",
	.summary = "tells whether a program, or a process, is covered, what of it is not, and what to do",
	.more = "PROGRAM is looked up in PATH, and a script is followed to what runs it; nothing is started. A blocker means that\n"
	"no dial is spread, a warning that some may not be, a note is for the reader. Exit status: 0 covered, 1 not, or in\n"
	"part, or it cannot be told, 2 usage.",
	.options = options,
	.run = run,
	.takes_program = true,
};
