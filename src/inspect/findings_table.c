/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "inspect/findings_parts.h"

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

/*
 * That a program can be spread does not depend on a table, and one that is to be started may find it by then. What this user may
 * not see may be there now.
 */
static enum severity severity_of_table(const struct check_facts *c)
{
	switch (c->table.error) {
	case -ENOENT:
	case -ENOTDIR:
		return c->process ? SEVERITY_BLOCKER : SEVERITY_NOTE;
	case -ESTALE:
	case -EBADMSG:
		return c->process ? SEVERITY_BLOCKER : SEVERITY_WARNING;
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
		finding_add(f, "no-table", SEVERITY_NOTE, NULL,
			    "%s/table: there is none yet; the first dial starts an agent", t->dir);
	else if (is_none && c->process && t->is_removed)
		finding_add(f, "table-removed", SEVERITY_BLOCKER, remedy,
			    "%s/table is not there any more: what it has mapped is looked after by nobody", t->dir);
	else if (t->error == -EPERM && t->is_mapped) /* whom it trusts is known best by the shim */
		finding_add(f, "table-of-another", SEVERITY_NOTE, "ask as the user of the process to see how old it is",
			    "%s/table is one that this user does not trust, and the process does", t->dir);
	else
		finding_add(f, is_none ? "no-table" : t->error == -ESTALE ? "table-of-other-boot" : "table-unreadable",
			    severity_of_table(c), remedy, "%s/table: %s", t->dir, why_no_table(t->error));
}

static void judge_age(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;
	unsigned long long age_s = t->age_ms / 1000;
	const char *s = t->services == 1 ? "" : "s";

	if (t->is_static)
		finding_add(f, "table", SEVERITY_OK, NULL, "%s/table has %zu Service%s, published %llu s ago, once", t->dir,
			    t->services, s, age_s);
	else if (t->is_stale)
		finding_add(f, why_row(WHY_STALE)->name, SEVERITY_WARNING, why_row(WHY_STALE)->remedy,
			    "%s/table has %zu Service%s, but its agent has been silent for %llu s: dials go to their own addresses",
			    t->dir, t->services, s, age_s);
	else
		finding_add(f, "table", SEVERITY_OK, NULL, "%s/table has %zu Service%s, vouched for %llu s ago", t->dir,
			    t->services, s, age_s);
}

static void judge_services(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;

	if (t->services == 0)
		finding_add(f, "no-services", SEVERITY_WARNING, "`fairdial status` says what the agent follows",
			    "%s/table has no Services", t->dir);
	else if (t->stand_down == t->services)
		finding_add(f, why_row(WHY_STANDS_DOWN)->name, SEVERITY_WARNING, "`fairdial status` says why, of each",
			    "fairdial stands down for all Services of %s/table", t->dir);
	else if (t->on == 0)
		finding_add(f, why_row(WHY_SERVICE_OFF)->name, SEVERITY_WARNING, "set the mode of those to be spread to on",
			    "no Service of %s/table has the mode on", t->dir);
}

void findings_of_table(const struct check_facts *c, struct findings *f)
{
	const struct table_facts *t = &c->table;

	if (t->error) {
		judge_no_table(c, f);
		return;
	}
	if (t->is_other)
		finding_add_why(f, WHY_OTHER_TABLE, SEVERITY_BLOCKER);
	judge_age(c, f);
	judge_services(c, f);
	if (c->process && c->process->is_loaded && !t->is_mapped)
		finding_add(f, "table-unmapped", SEVERITY_NOTE, NULL,
			    "it has not mapped the table: it has not dialed yet, or not since the table is there");
	if (t->is_replaced)
		finding_add(f, "table-replaced", SEVERITY_NOTE, NULL,
			    "another table is in the place of the one that it has mapped: its next dial finds it");
}
