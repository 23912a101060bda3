/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/check.h"

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

static void print_shim(const struct inquiry *q)
{
	const struct elf_links *links = &q->shim_links;

	printf("shim       %s", q->facts.process->is_loaded ? q->shim_shown : "not mapped");
	if (q->facts.process->is_loaded && links->version[0])
		printf(", version %s", links->version);
	if (q->facts.process->is_loaded && links->build_id[0])
		printf(", build %.12s", links->build_id);
	putchar('\n');
}

static void print_table(const struct inquiry *q)
{
	const struct table_facts *t = &q->facts.table;
	unsigned long long age_s = t->age_ms / 1000;

	if (!q->facts.process->is_loaded)
		puts("table      none is looked for");
	else if (t->error)
		printf("table      %s/table, which cannot be read\n", t->dir);
	else
		printf("table      %s/table, %zu Service%s, %s %llu s ago\n", t->dir, t->services, t->services == 1 ? "" : "s",
		       t->is_static ? "published" : "vouched for", age_s);
}

int check_print_text(const struct inquiry *q, enum cover cover)
{
	static const char *const covers[] = { [COVER_NONE] = "not covered", [COVER_PARTLY] = "covered in part",
					      [COVER_WHOLE] = "covered" };
	static const enum severity severities[] = { [COVER_NONE] = SEVERITY_BLOCKER, [COVER_PARTLY] = SEVERITY_WARNING,
						    [COVER_WHOLE] = SEVERITY_OK };
	const char *begin = colour(severities[cover]);

	printf("%s: %s%s%s\n", q->subject, begin, covers[cover], *begin ? "\033[0m" : "");
	if (q->facts.process && !q->facts.process->is_hidden) {
		print_shim(q);
		print_table(q);
	}
	for (int severity = SEVERITY_BLOCKER; severity >= SEVERITY_OK; severity--)
		for (size_t i = 0; i < q->findings.count; i++)
			if ((int)q->findings.at[i].severity == severity)
				print_finding(&q->findings.at[i]);
	return 0;
}
