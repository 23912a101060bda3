/* SPDX-License-Identifier: Apache-2.0 */
/* What is preloaded: the shim, and others. */
#include <string.h>

#include "inspect/findings_parts.h"

/* ---- the shim that it would be given ---- */

void findings_of_shim_file(const struct check_facts *c, struct findings *f)
{
	const struct why_row *missing = why_row(WHY_NO_FILE), *noexec = why_row(WHY_NOEXEC);

	if (!c->shim_shown[0]) {
		finding_add(f, missing->name, SEVERITY_BLOCKER, "build or install it, or name it with --shim",
			    "there is no libfairdial.so beside the tool, and LD_PRELOAD names none");
		return;
	}
	if (strpbrk(c->shim_path, ": \t\n"))
		finding_add(f, "preload-unnameable", SEVERITY_BLOCKER, "install it elsewhere",
			    "LD_PRELOAD cannot name %s, for the space or colon in it", c->shim_shown);
	else if (c->shim_path[0] != '/')
		finding_add(f, "preload-relative", SEVERITY_WARNING, "give LD_PRELOAD the whole path",
			    "LD_PRELOAD names %s, which depends on where a program is started", c->shim_shown);
	else if (c->shim.presence == SHIM_MISSING)
		finding_add(f, missing->name, SEVERITY_BLOCKER, missing->remedy, "%s is not there", c->shim_shown);
	else if (c->shim.presence == SHIM_UNTOLD || !c->shim_is_readable)
		finding_add(f, "unreadable", SEVERITY_BLOCKER, "make it, and its folders, readable: chmod a+rX",
			    "%s cannot be read by this user: the loader passes it over", c->shim_shown);
	else if (c->shim.is_noexec)
		finding_add(f, noexec->name, SEVERITY_BLOCKER, noexec->remedy,
			    "%s is on a mount of which no code may be run (noexec)",
			    c->shim_shown);
	else if (!c->shim.has_kind || c->shim.kind.linkage != ELF_LIBRARY)
		finding_add(f, "no-object", SEVERITY_BLOCKER, "install it anew",
			    "%s is no shared object, or damaged", c->shim_shown);
	else
		finding_add(f, "shim", SEVERITY_OK, NULL, "%s can be loaded", c->shim_shown);
	if (!c->shim_is_named)
		finding_add(f, "preload-unset", SEVERITY_NOTE, "start it by `fairdial run`, or with LD_PRELOAD set to that path",
			    "LD_PRELOAD does not name it here");
}

/* Versions one apart work together, table and shim, both ways (table/layout.h, "Compatibility"). */
void findings_of_build(const struct check_facts *c, struct findings *f)
{
	const char *remedy = c->process ? "start it again after an upgrade" : "install the two that belong together";

	if (c->shim_version[0] && strcmp(c->shim_version, FAIRDIAL_VERSION) != 0)
		finding_add(f, "other-version", SEVERITY_NOTE, remedy,
			    "%s is version %s, and this tool " FAIRDIAL_VERSION ": versions one apart work together", c->shim_shown,
			    c->shim_version);
	else if (c->shim_is_same_build == 0)
		finding_add(f, "other-build", SEVERITY_NOTE, remedy,
			    "%s is another build%s%s than the one of this tool (" FAIRDIAL_VERSION ")", c->shim_shown,
			    c->shim_version[0] ? " of version " : "", c->shim_version);
}

/* ---- other preloads ---- */

void findings_of_preloads(const struct check_facts *c, struct findings *f)
{
	bool before = true;
	size_t shims = 0;

	for (size_t i = 0; i < c->preloads->count; i++) {
		const struct preload *p = &c->preloads->at[i];

		if (p->is_shim) {
			before = false;
			shims++;
		} else if (p->is_missing) {
			finding_add(f, "other-preload-missing", SEVERITY_NOTE, "take it out of LD_PRELOAD, or install it",
				    "LD_PRELOAD names %s, which is not there: the loader says so at each start", p->shown);
		} else if (p->takes_connect && before && c->shim_is_named && !p->is_of_file) {
			finding_add(f, "other-preload-first", SEVERITY_WARNING, "put libfairdial.so before it in LD_PRELOAD",
				    "%s stands in for connect or the lookups too, and is called before the shim: what it does "
				    "not pass on is not spread",
				    p->shown);
		} else if (p->takes_connect) {
			finding_add(f, "other-preload-takes", SEVERITY_NOTE, NULL,
				    "%s stands in for connect or the lookups too: the shim calls it", p->shown);
		} else {
			finding_add(f, "other-preload", SEVERITY_OK, NULL, "%s is preloaded too: that does not disturb", p->shown);
		}
	}
	if (shims > 1)
		finding_add(f, "shim-twice", SEVERITY_WARNING, "name one", "LD_PRELOAD names %zu files libfairdial.so", shims);
}
