/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/findings_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "table/layout.h"

const char *severity_name(enum severity severity)
{
	static const char *const names[SEVERITIES] = { "ok", "note", "warning", "blocker" };

	return names[severity];
}

void finding_add(struct findings *f, const char *id, enum severity severity, const char *remedy, const char *what, ...)
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

void finding_add_why(struct findings *f, enum why why, enum severity severity)
{
	const struct why_row *row = why_row(why);

	finding_add(f, row->name, severity, row->remedy, "%s", row->text);
}

/* ---- how it is started ---- */

static void judge_steps(const struct check_facts *c, struct findings *f)
{
	for (size_t i = 0; c->program && i < c->program->step_count; i++) {
		const struct program_step *s = &c->program->steps[i];

		if (s->by_command)
			finding_add(f, "script", SEVERITY_NOTE, NULL,
				    "%s runs %s, which it looks up in PATH: that is checked", s->from, s->to);
		else if (s->by_default)
			finding_add(f, "script", SEVERITY_NOTE, NULL,
				    "%s is a text without #!, which shells give to %s: that is checked",
				    s->from, s->to);
		else
			finding_add(f, "script", SEVERITY_NOTE, NULL,
				    "%s is a script, run by %s%s: that is checked", s->from, s->to,
				    s->by_env ? ", which env looks up in PATH" : "");
	}
	if (c->program && c->program->drops_preload)
		finding_add(f, why_row(WHY_LOST)->name, SEVERITY_BLOCKER,
			    "take that out, or set LD_PRELOAD behind it: env -i LD_PRELOAD=… PROGRAM",
			    "LD_PRELOAD is lost on the way: env is told to clear or to replace it");
	if (c->wrapper && c->wrapper->is_elsewhere)
		finding_add(f, "wrapper-elsewhere", SEVERITY_WARNING,
			    "see that LD_PRELOAD, FAIRDIAL_DIR and what these name are there too, and check with --pid what runs",
			    "%s runs other programs with other files, or in an environment of their own: LD_PRELOAD does not get "
			    "there by itself%s%s",
			    c->wrapper->name, c->arguments[0] ? ": " : "", c->arguments);
	else if (c->wrapper)
		finding_add(f, "wrapper", SEVERITY_NOTE,
			    "check the programs that it starts too: by name, or by --pid when they run",
			    "%s runs other programs, which inherit LD_PRELOAD, and are not checked here%s%s", c->wrapper->name,
			    c->arguments[0] ? ": " : "", c->arguments);
}

/* ---- the shim in a process ---- */

static enum severity severity_of(enum why why)
{
	return why == WHY_COVERED ? SEVERITY_OK : SEVERITY_BLOCKER;
}

bool findings_tell(const struct findings *f, const char *id)
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
	if (c->process->is_hidden || !findings_tell(f, why_row(why)->name))
		finding_add_why(f, why, severity_of(why));
	if (c->shim_is_removed)
		finding_add(f, "shim-removed", SEVERITY_NOTE, "install it again: programs started from now on would be without it",
			    "the libfairdial.so that it has mapped is not in its place any more");
	else if (c->shim_is_replaced)
		finding_add(f, "shim-replaced", SEVERITY_NOTE, "start it again to have the new one",
			    "another libfairdial.so is in the place of the one that it has mapped, and goes on with");
	if (c->mapped && c->mapped->is_first)
		finding_add(f, "pid-1", SEVERITY_NOTE, "let a sidecar or the node's agent make the table",
			    "it is PID 1 of its PID namespace: its dials are spread as any other's, but it never starts an agent");
}

/* ---- what it is told, and where it is ---- */

static void judge_switches(const struct check_facts *c, struct findings *f)
{
	const struct environment *env = &c->environment;

	if (env->mode == MODE_OFF && !findings_tell(f, why_row(WHY_OFF)->name))
		finding_add_why(f, WHY_OFF, SEVERITY_BLOCKER);
	else if (env->mode == MODE_OBSERVE && !findings_tell(f, why_row(WHY_OBSERVES)->name))
		finding_add_why(f, WHY_OBSERVES, SEVERITY_BLOCKER);
	if (env->only || env->except)
		finding_add(f, "lists", SEVERITY_NOTE, NULL,
			    "FAIRDIAL_ONLY or FAIRDIAL_EXCEPT is set: Services that these leave out are not spread");
}

static void judge_mesh(const struct check_facts *c, struct findings *f)
{
	if (c->mesh_port)
		finding_add(f, "mesh", SEVERITY_WARNING,
			    "nothing, where the mesh spreads; else --ignore-mesh of the agent",
			    "a service mesh listens on port %u here (%s): the agent stands down for it, and the mesh's proxy "
			    "spreads",
			    c->mesh_port, c->mesh_name ? c->mesh_name : "of an unknown kind");
}

/* ---- the whole ---- */

void findings_make(const struct check_facts *c, struct findings *f)
{
	f->count = 0;
	judge_steps(c, f);
	if (!c->process || !c->process->is_hidden)
		findings_of_file(c, f);
	if (c->process)
		judge_process(c, f);
	else
		findings_of_shim_file(c, f);
	findings_of_build(c, f);
	findings_of_preloads(c, f);
	judge_switches(c, f);
	judge_mesh(c, f);
	if (!c->process || c->process->is_loaded)
		findings_of_table(c, f);
}

enum cover findings_cover(const struct findings *f)
{
	enum severity worst = SEVERITY_OK;

	for (size_t i = 0; i < f->count; i++)
		if (f->at[i].severity > worst)
			worst = f->at[i].severity;
	return worst == SEVERITY_BLOCKER ? COVER_NONE : worst == SEVERITY_WARNING ? COVER_PARTLY : COVER_WHOLE;
}
