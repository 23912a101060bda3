/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/findings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inspect/why.h"
#include "table/layout.h"

const char *severity_name(enum severity severity)
{
	static const char *const names[SEVERITIES] = { "ok", "note", "warning", "blocker" };

	return names[severity];
}

/* `remedy` NULL: none is needed. What does not fit is cut. */
__attribute__((format(printf, 5, 6))) static void add(struct findings *f, const char *id, enum severity severity,
						      const char *remedy, const char *what, ...)
{
	struct finding *finding = &f->at[f->count];
	va_list args;

	if (f->count == FINDINGS_MAX)
		return;
	f->count++;
	finding->id = id;
	finding->severity = severity;
	va_start(args, what);
	vsnprintf(finding->what, sizeof(finding->what), what, args);
	va_end(args);
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy ? remedy : "");
}

static void add_why(struct findings *f, enum why why, enum severity severity)
{
	const struct why_row *row = why_row(why);

	add(f, row->name, severity, row->remedy, "%s", row->text);
}

/* ---- how it is started ---- */

static void judge_steps(const struct check_facts *c, struct findings *f)
{
	for (size_t i = 0; c->program && i < c->program->step_count; i++) {
		const struct program_step *s = &c->program->steps[i];

		if (s->by_command)
			add(f, "script", SEVERITY_NOTE, NULL, "%s runs %s, which it looks up in PATH: that is checked", s->from, s->to);
		else if (s->by_default)
			add(f, "script", SEVERITY_NOTE, NULL, "%s is a text without #!, which shells give to %s: that is checked",
			    s->from, s->to);
		else
			add(f, "script", SEVERITY_NOTE, NULL, "%s is a script, run by %s%s: that is checked", s->from, s->to,
			    s->by_env ? ", which env looks up in PATH" : "");
	}
	if (c->program && c->program->drops_preload)
		add(f, why_row(WHY_LOST)->name, SEVERITY_BLOCKER, "take that out, or set LD_PRELOAD behind it: env -i LD_PRELOAD=… PROGRAM",
		    "LD_PRELOAD is lost on the way: env is told to clear or to replace it");
	if (c->wrapper && c->wrapper->is_elsewhere)
		add(f, "wrapper-elsewhere", SEVERITY_WARNING,
		    "see that LD_PRELOAD, FAIRDIAL_DIR and the files that they name are there too, and check with --pid what runs",
		    "%s runs other programs with other files, or in an environment of their own: LD_PRELOAD does not get there by "
		    "itself%s%s",
		    c->wrapper->name, c->arguments[0] ? ": " : "", c->arguments);
	else if (c->wrapper)
		add(f, "wrapper", SEVERITY_NOTE, "check the programs that it starts too: by name, or by --pid when they run",
		    "%s runs other programs, which inherit LD_PRELOAD, and are not checked here%s%s", c->wrapper->name,
		    c->arguments[0] ? ": " : "", c->arguments);
}

/* ---- its file ---- */

static void judge_linkage(const struct check_facts *c, struct findings *f)
{
	const struct elf_kind *kind = &c->file->kind;
	char loader[ELF_INTERPRETER_SIZE];

	memcpy(loader, kind->interpreter, sizeof(loader));
	text_sanitise(loader);
	if (kind->linkage == ELF_STATIC || kind->linkage == ELF_STATIC_PIE)
		add_why(f, WHY_STATIC, SEVERITY_BLOCKER);
	else if (kind->linkage == ELF_NO_PROGRAM)
		add(f, "no-program", SEVERITY_BLOCKER, "name the program that is linked from it",
		    "it is an object file or a core, and cannot be run");
	else if (kind->linkage == ELF_LIBRARY)
		add(f, "loader", SEVERITY_NOTE, "check the program that it is given",
		    "it is a shared object, such as a loader, which runs the program that it is given");
	else if (c->program && c->program->lacks_loader)
		add(f, "loader-missing", SEVERITY_BLOCKER,
		    "install the C library that it was built for, or run it in the image that has that",
		    "its loader %s is not there: it cannot start", loader);
	else
		add(f, "dynamic", SEVERITY_OK, NULL, "a dynamic program for %s, whose loader %s reads LD_PRELOAD",
		    elf_machine_name(kind), loader);
}

static void judge_machine(const struct check_facts *c, struct findings *f)
{
	const struct elf_kind *kind = &c->file->kind;

	if (c->shim.has_kind && !elf_is_same_machine(kind, &c->shim.kind))
		add(f, why_row(WHY_OTHER_MACHINE)->name, SEVERITY_BLOCKER, why_row(WHY_OTHER_MACHINE)->remedy,
		    "a program for %s, where libfairdial.so is for %s", elf_machine_name(kind), elf_machine_name(&c->shim.kind));
}

static void judge_libraries(const struct check_facts *c, struct findings *f)
{
	const struct libraries *l = c->libraries;

	if (l && l->missing)
		add(f, "library-missing", SEVERITY_BLOCKER, "install it, or name its folder in LD_LIBRARY_PATH",
		    "it needs %s, which its loader finds nowhere: it cannot start", l->names);
}

/* A mark that gives what the caller has already lifts nothing: the loader then reads LD_PRELOAD (getauxval(3), AT_SECURE). */
static void judge_marks(const struct check_facts *c, struct findings *f)
{
	const struct program_file *file = c->file;
	const struct why_row *row = why_row(WHY_PRIVILEGED);
	bool is_for_others = c->euid == 0 && !file->is_setgid && (!file->is_setuid || file->uid == 0);
	const char *mark = file->is_setuid ? "setuid" : file->is_setgid ? "setgid" : "with capabilities";

	if (!file->is_setuid && !file->is_setgid && !file->has_capabilities)
		return;
	if (c->gains_no_privileges && !file->has_capabilities)
		add(f, "no-new-privileges", SEVERITY_NOTE, NULL,
		    "its file is %s, which does nothing for what is started from here (no_new_privs)", mark);
	else if (file->is_nosuid)
		add(f, "nosuid", SEVERITY_NOTE, NULL, "its file is %s, on a mount where that does nothing (nosuid)", mark);
	else if (is_for_others)
		add(f, row->name, SEVERITY_WARNING, row->remedy,
		    "its file is %s: it is not lifted when root starts it, and is left alone when another user does", mark);
	else
		add(f, row->name, SEVERITY_BLOCKER, row->remedy, "its file is %s: the loader, or the shim, leaves it alone", mark);
}

static void judge_calls(const struct check_facts *c, struct findings *f)
{
	const struct elf_links *links = &c->file->links;
	bool by_libc = links->imports & NAME_CONNECT;

	if (c->file->kind.is_go || c->file->kind.linkage != ELF_DYNAMIC)
		return;
	if (!c->file->has_links || !links->has_names) {
		if (!c->shim.has_kind || elf_is_same_machine(&c->file->kind, &c->shim.kind))
			add(f, "names-unknown", SEVERITY_NOTE, NULL,
			    "its file does not tell which functions it calls: how it dials cannot be seen from here");
		return;
	}
	if (by_libc)
		add(f, "dials-by-libc", SEVERITY_OK, NULL, "it calls connect of the C library, which the shim stands in for");
	if (links->imports & NAME_IO_URING || links->needs_uring || links->has_bare_uring)
		add(f, "io-uring", SEVERITY_WARNING, "make it dial by connect(2): most such programs have a switch for that",
		    "it uses io_uring: what it dials through that goes past the shim");
	if (links->has_bare_connect)
		add(f, "bare-connect", SEVERITY_WARNING,
		    "spread in the program, or by a proxy, unless its dials show in `fairdial status`",
		    "its code enters the kernel for connect by itself: what it dials so goes past the shim");
	else if (links->imports & NAME_SYSCALL && !by_libc)
		add(f, "bare-calls", SEVERITY_WARNING,
		    "run it, and see whether `fairdial status --coverage` finds its connections past the shim",
		    "it calls syscall(2) and not connect: if it dials so itself, and not by a library, that goes past the shim");
	if (links->imports & NAME_DLMOPEN)
		add(f, "dlmopen", SEVERITY_NOTE, "if a plugin's dials are not spread, link the plugin, or preload it",
		    "it can load objects into a namespace of their own (dlmopen), where the shim is not");
	else if (links->imports & NAME_DLOPEN)
		add(f, "dlopen", SEVERITY_NOTE, "if a plugin's dials are not spread, load it without RTLD_DEEPBIND",
		    "it loads objects while it runs: any that it loads with RTLD_DEEPBIND calls the C library past the shim, "
		    "which its file does not tell");
}

static void judge_file(const struct check_facts *c, struct findings *f)
{
	if (!c->file || !c->file->has_kind) {
		add(f, "file-unknown", SEVERITY_WARNING, "ask as root, or as its owner",
		    "its file cannot be read: what kind of program it is cannot be told");
	} else {
		if (c->file->kind.is_go)
			add_why(f, WHY_GO, SEVERITY_BLOCKER);
		judge_linkage(c, f);
		judge_libraries(c, f);
		judge_machine(c, f);
		judge_calls(c, f);
	}
	if (c->file)
		judge_marks(c, f);
}

/* ---- the shim that it would be given ---- */

static void judge_shim_file(const struct check_facts *c, struct findings *f)
{
	const struct why_row *missing = why_row(WHY_NO_FILE), *noexec = why_row(WHY_NOEXEC);

	if (!c->shim_shown[0]) {
		add(f, missing->name, SEVERITY_BLOCKER, "build or install it, or name it with --shim",
		    "there is no libfairdial.so beside the tool, and LD_PRELOAD names none");
		return;
	}
	if (strpbrk(c->shim_path, ": \t\n"))
		add(f, "preload-unnameable", SEVERITY_BLOCKER, "install it elsewhere",
		    "LD_PRELOAD cannot name %s, for the space or colon in it", c->shim_shown);
	else if (c->shim_path[0] != '/')
		add(f, "preload-relative", SEVERITY_WARNING, "give LD_PRELOAD the whole path",
		    "LD_PRELOAD names %s, which depends on where a program is started", c->shim_shown);
	else if (c->shim.presence == SHIM_MISSING)
		add(f, missing->name, SEVERITY_BLOCKER, missing->remedy, "%s is not there", c->shim_shown);
	else if (c->shim.presence == SHIM_UNTOLD || !c->shim_is_readable)
		add(f, "unreadable", SEVERITY_BLOCKER, "make it, and its folders, readable: chmod a+rX",
		    "%s cannot be read by this user: the loader passes it over", c->shim_shown);
	else if (c->shim.is_noexec)
		add(f, noexec->name, SEVERITY_BLOCKER, noexec->remedy, "%s is on a mount of which no code may be run (noexec)",
		    c->shim_shown);
	else if (!c->shim.has_kind || c->shim.kind.linkage != ELF_LIBRARY)
		add(f, "no-object", SEVERITY_BLOCKER, "install it anew", "%s is no shared object, or damaged", c->shim_shown);
	else
		add(f, "shim", SEVERITY_OK, NULL, "%s can be loaded", c->shim_shown);
	if (!c->shim_is_named)
		add(f, "preload-unset", SEVERITY_NOTE, "start it by `fairdial run`, or with LD_PRELOAD set to that path",
		    "LD_PRELOAD does not name it here");
}

/* Versions one apart work together, table and shim, both ways (table/layout.h, "Compatibility"). */
static void judge_build(const struct check_facts *c, struct findings *f)
{
	const char *remedy = c->process ? "start it again after an upgrade" : "install the two that belong together";

	if (c->shim_version[0] && strcmp(c->shim_version, FAIRDIAL_VERSION) != 0)
		add(f, "other-version", SEVERITY_NOTE, remedy,
		    "%s is version %s, and this tool " FAIRDIAL_VERSION ": versions one apart work together", c->shim_shown,
		    c->shim_version);
	else if (c->shim_is_same_build == 0)
		add(f, "other-build", SEVERITY_NOTE, remedy,
		    "%s is another build%s%s than the one of this tool (" FAIRDIAL_VERSION ")", c->shim_shown,
		    c->shim_version[0] ? " of version " : "", c->shim_version);
}

/* ---- the shim in a process ---- */

static enum severity severity_of(enum why why)
{
	return why == WHY_COVERED ? SEVERITY_OK : SEVERITY_BLOCKER;
}

/* What the file has told is not told twice. */
static bool is_told(const struct findings *f, const char *id)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->at[i].id, id) == 0)
			return true;
	return false;
}

static void judge_process(const struct check_facts *c, struct findings *f)
{
	struct process_seen seen = *c->process;
	enum why why;

	seen.table = TABLE_UNTOLD; /* what it has mapped says more: judge_table */
	why = why_process(&seen);
	if (c->process->is_hidden || !is_told(f, why_row(why)->name))
		add_why(f, why, severity_of(why));
	if (c->shim_is_removed)
		add(f, "shim-removed", SEVERITY_NOTE, "install it again: programs started from now on would be without it",
		    "the libfairdial.so that it has mapped is not in its place any more");
	else if (c->shim_is_replaced)
		add(f, "shim-replaced", SEVERITY_NOTE, "start it again to have the new one",
		    "another libfairdial.so is in the place of the one that it has mapped, and goes on with");
	if (c->mapped && c->mapped->is_first)
		add(f, "pid-1", SEVERITY_NOTE, "let a sidecar or the node's agent make the table",
		    "it is PID 1 of its PID namespace: its dials are spread as any other's, but it never starts an agent");
}

/* ---- other preloads ---- */

static void judge_preloads(const struct check_facts *c, struct findings *f)
{
	bool before = true;
	size_t shims = 0;

	for (size_t i = 0; i < c->preloads->count; i++) {
		const struct preload *p = &c->preloads->at[i];

		if (p->is_shim) {
			before = false;
			shims++;
		} else if (p->is_missing) {
			add(f, "other-preload-missing", SEVERITY_NOTE, "take it out of LD_PRELOAD, or install it",
			    "LD_PRELOAD names %s, which is not there: the loader says so at each start", p->shown);
		} else if (p->takes_connect && before && c->shim_is_named && !p->is_of_file) {
			add(f, "other-preload-first", SEVERITY_WARNING, "put libfairdial.so before it in LD_PRELOAD",
			    "%s stands in for connect or the lookups too, and is called before the shim: what it does not pass "
			    "on is not spread",
			    p->shown);
		} else if (p->takes_connect) {
			add(f, "other-preload-takes", SEVERITY_NOTE, NULL,
			    "%s stands in for connect or the lookups too: the shim calls it", p->shown);
		} else {
			add(f, "other-preload", SEVERITY_OK, NULL, "%s is preloaded too: that does not disturb", p->shown);
		}
	}
	if (shims > 1)
		add(f, "shim-twice", SEVERITY_WARNING, "name one", "LD_PRELOAD names %zu files libfairdial.so", shims);
}

/* ---- what it is told, and where it is ---- */

static void judge_switches(const struct check_facts *c, struct findings *f)
{
	const struct environment *env = &c->environment;

	if (env->mode == MODE_OFF && !is_told(f, why_row(WHY_OFF)->name))
		add_why(f, WHY_OFF, SEVERITY_BLOCKER);
	else if (env->mode == MODE_OBSERVE && !is_told(f, why_row(WHY_OBSERVES)->name))
		add_why(f, WHY_OBSERVES, SEVERITY_BLOCKER);
	if (env->only || env->except)
		add(f, "lists", SEVERITY_NOTE, NULL,
		    "FAIRDIAL_ONLY or FAIRDIAL_EXCEPT is set: Services that these leave out are not spread");
}

static void judge_mesh(const struct check_facts *c, struct findings *f)
{
	if (c->mesh_port)
		add(f, "mesh", SEVERITY_WARNING,
		    "nothing, where the mesh spreads; else --ignore-mesh of the agent",
		    "a service mesh listens on port %u here (%s): the agent stands down for it, and the mesh's proxy spreads",
		    c->mesh_port, c->mesh_name ? c->mesh_name : "of an unknown kind");
}

/* ---- the table ---- */

static const char *why_no_table(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		return "there is none";
	case -EPERM:
		return "it, or its directory, belongs to another user or may be changed by one";
	case -EPROTO:
		return "it was made by another version of fairdial";
	case -EBADMSG:
		return "it is damaged";
	case -ESTALE:
		return "it is of another boot of this machine: programs pass it over";
	default:
		return strerror(-error);
	}
}

static const char *remedy_of_table(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		return "run `fairdial agent`, or `fairdial publish`; mount its directory where the program runs; or name it with "
		       "FAIRDIAL_DIR";
	case -EPERM:
		return "make both its user's, and chmod go-w them; or ask as that user";
	case -EACCES:
		return "ask as root, or as the user of the program";
	case -ESTALE:
		return "start the agent that made it: nobody has looked after it since the machine was started";
	default:
		return "publish it anew, or let the agent of this version do so";
	}
}

/* What a program to be started lacks may be there by then, and what this user may not see may be there now. */
static enum severity severity_of_table(const struct check_facts *c)
{
	switch (c->process ? c->table.error : 0) {
	case -ENOENT:
	case -ENOTDIR:
	case -ESTALE:
	case -EBADMSG:
		return SEVERITY_BLOCKER;
	default:
		return SEVERITY_WARNING;
	}
}

static void judge_no_table(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;
	bool is_none = t->error == -ENOENT || t->error == -ENOTDIR;
	const char *remedy = remedy_of_table(t->error);

	if (is_none && c->autostarts)
		add(f, "no-table", SEVERITY_NOTE, NULL, "%s/table: there is none yet; the first dial starts an agent", t->dir);
	else if (is_none && c->process && t->is_removed)
		add(f, "table-removed", SEVERITY_BLOCKER, remedy,
		    "%s/table is not there any more: what it has mapped is looked after by nobody", t->dir);
	else if (t->error == -EPERM && t->is_mapped) /* whom it trusts is known best by the shim */
		add(f, "table-of-another", SEVERITY_NOTE, "ask as the user of the process to see how old it is",
		    "%s/table is one that this user does not trust, and the process does", t->dir);
	else
		add(f, is_none ? "no-table" : t->error == -ESTALE ? "table-of-other-boot" : "table-unreadable",
		    severity_of_table(c), remedy, "%s/table: %s", t->dir, why_no_table(t->error));
}

static void judge_age(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;
	unsigned long long age_s = t->age_ms / 1000;

	if (t->is_static)
		add(f, "table", SEVERITY_OK, NULL, "%s/table has %zu Services, published %llu s ago, once", t->dir, t->services,
		    age_s);
	else if (t->is_stale)
		add(f, why_row(WHY_STALE)->name, SEVERITY_WARNING, why_row(WHY_STALE)->remedy,
		    "%s/table has %zu Services, but its agent has been silent for %llu s: dials go to their own addresses",
		    t->dir, t->services, age_s);
	else
		add(f, "table", SEVERITY_OK, NULL, "%s/table has %zu Services, vouched for %llu s ago", t->dir, t->services,
		    age_s);
}

static void judge_services(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;

	if (t->services == 0)
		add(f, "no-services", SEVERITY_WARNING, "`fairdial status` says what the agent follows", "%s/table has no Services",
		    t->dir);
	else if (t->stand_down == t->services)
		add(f, why_row(WHY_STANDS_DOWN)->name, SEVERITY_WARNING, "`fairdial status` says why, of each",
		    "fairdial stands down for all Services of %s/table", t->dir);
	else if (t->on == 0)
		add(f, why_row(WHY_SERVICE_OFF)->name, SEVERITY_WARNING, "set the mode of those to be spread to on",
		    "no Service of %s/table has the mode on", t->dir);
}

static void judge_table(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;

	if (t->error) {
		judge_no_table(c, f);
		return;
	}
	if (t->is_other)
		add_why(f, WHY_OTHER_TABLE, SEVERITY_BLOCKER);
	judge_age(c, f);
	judge_services(c, f);
	if (c->process && c->process->is_loaded && !t->is_mapped)
		add(f, "table-unmapped", SEVERITY_NOTE, NULL,
		    "it has not mapped the table: it has not dialed yet, or not since the table is there");
	if (t->is_replaced)
		add(f, "table-replaced", SEVERITY_NOTE, NULL,
		    "another table is in the place of the one that it has mapped: its next dial finds it");
}

/* ---- the whole ---- */

void findings_make(const struct check_facts *c, struct findings *f)
{
	f->count = 0;
	judge_steps(c, f);
	if (!c->process || !c->process->is_hidden)
		judge_file(c, f);
	if (c->process)
		judge_process(c, f);
	else
		judge_shim_file(c, f);
	judge_build(c, f);
	judge_preloads(c, f);
	judge_switches(c, f);
	judge_mesh(c, f);
	if (!c->process || c->process->is_loaded)
		judge_table(c, f);
}

enum cover findings_cover(const struct findings *f)
{
	enum severity worst = SEVERITY_OK;

	for (size_t i = 0; i < f->count; i++)
		if (f->at[i].severity > worst)
			worst = f->at[i].severity;
	return worst == SEVERITY_BLOCKER ? COVER_NONE : worst == SEVERITY_WARNING ? COVER_PARTLY : COVER_WHOLE;
}
