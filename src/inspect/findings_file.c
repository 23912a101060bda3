/* SPDX-License-Identifier: Apache-2.0 */
/* What a program's own file tells: whether a loader runs, for which machine, and how it dials. */
#include <string.h>

#include "base/text.h"
#include "inspect/findings_parts.h"

static void judge_linkage(const struct check_facts *c, struct findings *f)
{
	const struct elf_kind *kind = &c->file->kind;
	char loader[ELF_INTERPRETER_SIZE];

	memcpy(loader, kind->interpreter, sizeof(loader));
	text_sanitise(loader);
	if (kind->linkage == ELF_STATIC || kind->linkage == ELF_STATIC_PIE)
		finding_add_why(f, WHY_STATIC, SEVERITY_BLOCKER);
	else if (kind->linkage == ELF_NO_PROGRAM)
		finding_add(f, "no-program", SEVERITY_BLOCKER, "name the program that is linked from it",
			    "it is an object file or a core, and cannot be run");
	else if (kind->linkage == ELF_LIBRARY)
		finding_add(f, "loader", SEVERITY_NOTE, "check the program that it is given",
			    "it is a shared object, such as a loader, which runs the program that it is given");
	else if (c->program && c->program->lacks_loader)
		finding_add(f, "loader-missing", SEVERITY_BLOCKER,
			    "install the C library that it was built for, or run it in the image that has that",
			    "its loader %s is not there: it cannot start", loader);
	else
		finding_add(f, "dynamic", SEVERITY_OK, NULL, "a dynamic program for %s, whose loader %s reads LD_PRELOAD",
			    elf_machine_name(kind), loader);
}

static void judge_machine(const struct check_facts *c, struct findings *f)
{
	const struct elf_kind *kind = &c->file->kind;

	if (c->shim.has_kind && !elf_is_same_machine(kind, &c->shim.kind))
		finding_add(f, why_row(WHY_OTHER_MACHINE)->name, SEVERITY_BLOCKER, why_row(WHY_OTHER_MACHINE)->remedy,
			    "a program for %s, where libfairdial.so is for %s", elf_machine_name(kind),
			    elf_machine_name(&c->shim.kind));
}

static void judge_libraries(const struct check_facts *c, struct findings *f)
{
	const struct libraries *l = c->libraries;

	if (l && l->missing)
		finding_add(f, "library-missing", SEVERITY_BLOCKER, "install it, or name its folder in LD_LIBRARY_PATH",
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
		finding_add(f, "no-new-privileges", SEVERITY_NOTE, NULL,
			    "its file is %s, which does nothing for what is started from here (no_new_privs)", mark);
	else if (file->is_nosuid)
		finding_add(f, "nosuid", SEVERITY_NOTE, NULL, "its file is %s, on a mount where that does nothing (nosuid)", mark);
	else if (is_for_others)
		finding_add(f, row->name, SEVERITY_WARNING, row->remedy,
			    "its file is %s: it is not lifted when root starts it, and is left alone when another user does", mark);
	else
		finding_add(f, row->name, SEVERITY_BLOCKER, row->remedy,
			    "its file is %s: the loader, or the shim, leaves it alone", mark);
}

static void judge_calls(const struct check_facts *c, struct findings *f)
{
	const struct elf_links *links = &c->file->links;
	bool by_libc = links->imports & NAME_CONNECT;

	if (c->file->kind.is_go || c->file->kind.linkage != ELF_DYNAMIC)
		return;
	if (!c->file->has_links || !links->has_names) {
		if (!c->shim.has_kind || elf_is_same_machine(&c->file->kind, &c->shim.kind))
			finding_add(f, "names-unknown", SEVERITY_NOTE, NULL,
				    "its file does not tell which functions it calls: how it dials cannot be seen from here");
		return;
	}
	if (by_libc)
		finding_add(f, "dials-by-libc", SEVERITY_OK, NULL,
			    "it calls connect of the C library, which the shim stands in for");
	if (links->imports & NAME_IO_URING || links->needs_uring || links->has_bare_uring)
		finding_add(f, "io-uring", SEVERITY_WARNING,
			    "make it dial by connect(2): most such programs have a switch for that",
			    "it uses io_uring: what it dials through that goes past the shim");
	if (links->has_bare_connect)
		finding_add(f, "bare-connect", SEVERITY_WARNING,
			    "spread in the program, or by a proxy, unless its dials show in `fairdial status`",
			    "its code enters the kernel for connect by itself: what it dials so goes past the shim");
	else if (links->imports & NAME_SYSCALL && !by_libc)
		finding_add(f, "bare-calls", SEVERITY_WARNING,
			    "run it, and see whether `fairdial status --coverage` finds its connections past the shim",
			    "it calls syscall(2) and not connect: if it dials so itself, and not by a library, that goes past the "
			    "shim");
	if (links->imports & NAME_DLMOPEN)
		finding_add(f, "dlmopen", SEVERITY_NOTE, "if a plugin's dials are not spread, link the plugin, or preload it",
			    "it can load objects into a namespace of their own (dlmopen), where the shim is not");
	if (links->loads_deep && !strstr(c->file->kind.interpreter, "musl")) /* to which it says nothing */
		finding_add(f, "deepbind", SEVERITY_WARNING, "load them without RTLD_DEEPBIND, or link them to it",
			    "it loads objects with RTLD_DEEPBIND: what these dial calls the C library past the shim");
	else if (links->imports & NAME_DLOPEN && !(links->imports & NAME_DLMOPEN))
		finding_add(f, "dlopen", SEVERITY_NOTE, "if a plugin's dials are not spread, load it without RTLD_DEEPBIND",
			    "it loads objects while it runs: any that it loads with RTLD_DEEPBIND calls the C library past the "
			    "shim; its file shows no such flag");
}

void findings_of_file(const struct check_facts *c, struct findings *f)
{
	if (!c->file || !c->file->has_kind) {
		finding_add(f, "file-unknown", SEVERITY_WARNING, "ask as root, or as its owner",
			    "its file cannot be read: what kind of program it is cannot be told");
	} else {
		if (c->file->kind.is_go)
			finding_add_why(f, WHY_GO, SEVERITY_BLOCKER);
		judge_linkage(c, f);
		judge_libraries(c, f);
		judge_machine(c, f);
		judge_calls(c, f);
	}
	if (c->file)
		judge_marks(c, f);
}
