/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/check.h"
#include "view/paint.h"

/* Columns stay in line: the colour stands outside of the field. */
static void print_severity(enum severity severity)
{
	static const enum paint paints[SEVERITIES] = { PAINT_GOOD, PAINT_COUNT, PAINT_LEAVE, PAINT_BAD };
	bool is_painted = paints[severity] != PAINT_COUNT;

	printf("%s%-8s%s ", is_painted ? paint(paints[severity]) : "", severity_name(severity), is_painted ? paint_off() : "");
}

static void print_finding(const struct finding *f)
{
	print_severity(f->severity);
	printf("%s: %s\n", f->id, f->what);
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

	if (!q->facts.process->is_loaded) {
		puts("table      none is looked for");
	} else if (t->error) {
		printf("table      %s/table, which cannot be used\n", t->dir);
	} else {
		printf("table      %s/table, %zu Service%s, %s ", t->dir, t->services, t->services == 1 ? "" : "s",
		       t->is_static ? "published" : "vouched for");
		print_age(t->age_ms);
		puts(" ago");
	}
}

static void print_answer(const struct inquiry *q, enum cover cover)
{
	static const char *const texts[] = { [COVER_NONE] = "not covered", [COVER_PARTLY] = "covered in part",
					     [COVER_WHOLE] = "covered" };
	static const enum paint paints[] = { [COVER_NONE] = PAINT_BAD, [COVER_PARTLY] = PAINT_LEAVE, [COVER_WHOLE] = PAINT_GOOD };

	printf("%s: %s%s%s\n", q->subject, paint(paints[cover]), texts[cover], paint_off());
}

void check_print_text(const struct inquiry *q, enum cover cover)
{
	print_answer(q, cover);
	if (q->facts.process && !q->facts.process->is_hidden) {
		print_shim(q);
		print_table(q);
	}
	for (int severity = SEVERITY_BLOCKER; severity >= SEVERITY_OK; severity--)
		for (size_t i = 0; i < q->findings.count; i++)
			if ((int)q->findings.at[i].severity == severity)
				print_finding(&q->findings.at[i]);
}
