/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found, of facts: each case is a covered program, or process, but for one thing; and what the answer is. What keeps dials
 * from being spread says what to do.
 */
#include "support/testing.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>

#include "inspect/findings.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "table/layout.h"

/* All that facts point to. */
struct scene {
	struct check_facts facts;
	struct program program;
	struct process_seen process;
	struct mapped mapped;
	struct preloads preloads;
	struct libraries libraries;
	struct findings findings;
};

static const struct elf_kind own_kind = { .is_64 = true, .machine = EM_X86_64, .linkage = ELF_LIBRARY };
static char empty[] = "";
static struct program_wrapper sh = { "sh", false }, sudo = { "sudo", true };

static struct scene *scene(void)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct check_facts *c = &s->facts;

	after_test(free, s);
	s->program.file = (struct program_file){ .has_kind = true, .has_links = true, .kind = own_kind };
	s->program.file.kind.linkage = ELF_DYNAMIC;
	strcpy(s->program.file.kind.interpreter, "/lib/ld.so");
	s->program.file.links.has_names = true;
	s->program.file.links.imports = NAME_CONNECT;
	*c = (struct check_facts){ .euid = 1000, .program = &s->program, .file = &s->program.file, .arguments = "",
				   .preloads = &s->preloads, .libraries = &s->libraries, .shim_shown = "/x/libfairdial.so",
				   .shim_path = "/x/libfairdial.so", .shim_is_readable = true, .shim_is_named = true,
				   .shim_version = FAIRDIAL_VERSION, .shim_is_same_build = 1 };
	c->shim = (struct shim_file){ .presence = SHIM_THERE, .has_kind = true, .kind = own_kind };
	c->table = (struct table_facts){ .dir = "/run/fairdial", .services = 2, .on = 2 };
	c->environment = (struct environment){ .is_known = true, .names_shim = true, .mode = MODE_ON };
	return s;
}

static struct scene *running(void)
{
	struct scene *s = scene();
	struct process_seen *p = &s->process;

	s->facts.program = NULL;
	s->facts.process = p;
	s->facts.mapped = &s->mapped;
	s->facts.table.is_mapped = true;
	*p = (struct process_seen){ .pid = 7, .has_kind = true, .is_loaded = true, .kind = s->program.file.kind,
				    .environment = s->facts.environment, .shim = s->facts.shim };
	return s;
}

static enum cover cover(struct scene *s)
{
	findings_make(&s->facts, &s->findings);
	return findings_cover(&s->findings);
}

static const struct finding *find(const struct scene *s, const char *id)
{
	for (size_t i = 0; i < s->findings.count; i++)
		if (strcmp(s->findings.at[i].id, id) == 0)
			return &s->findings.at[i];
	return NULL;
}

/* ---- one thing each ---- */

/* Of the file. */
static void go(struct scene *s) { s->program.file.kind.is_go = true; }
static void no_loader(struct scene *s) { s->program.file.kind.linkage = ELF_STATIC; }
static void no_loader_pie(struct scene *s) { s->program.file.kind.linkage = ELF_STATIC_PIE; }
static void object_file(struct scene *s) { s->program.file.kind.linkage = ELF_NO_PROGRAM; }
static void loader_itself(struct scene *s) { s->program.file.kind.linkage = ELF_LIBRARY; }
static void lost_loader(struct scene *s) { s->program.lacks_loader = true; }
static void other_machine(struct scene *s) { s->program.file.kind.machine = EM_S390; }
static void of_32_bits(struct scene *s) { s->program.file.kind.is_64 = false; }
static void unreadable_file(struct scene *s) { s->program.file = (struct program_file){ .has_kind = false }; }
static void setuid_file(struct scene *s) { s->program.file.is_setuid = true; }
static void setgid_file(struct scene *s) { s->program.file.is_setgid = true; }
static void capable_file(struct scene *s) { s->program.file.has_capabilities = true; }
static void setuid_of_root_by_root(struct scene *s) { setuid_file(s); s->facts.euid = 0; }
static void setuid_of_another_by_root(struct scene *s) { setuid_of_root_by_root(s); s->program.file.uid = 5; }
static void setuid_without_effect(struct scene *s) { setuid_file(s); s->program.file.is_nosuid = true; }
static void setuid_without_new_privileges(struct scene *s) { setuid_file(s); s->facts.gains_no_privileges = true; }
static void capable_without_new_privileges(struct scene *s) { capable_file(s); s->facts.gains_no_privileges = true; }
static void lacks_a_library(struct scene *s) { s->libraries = (struct libraries){ 1, "libx.so.1" }; }
static void without_names(struct scene *s) { s->program.file.links.has_names = false; }
static void by_uring(struct scene *s) { s->program.file.links.imports |= NAME_IO_URING; }
static void needs_uring(struct scene *s) { s->program.file.links.needs_uring = true; }
static void bare_uring(struct scene *s) { s->program.file.links.has_bare_uring = true; }
static void bare_connect(struct scene *s) { s->program.file.links.has_bare_connect = true; }
static void by_syscall(struct scene *s) { s->program.file.links.imports = NAME_SYSCALL; }
static void loads_objects(struct scene *s) { s->program.file.links.imports |= NAME_DLOPEN; }
static void loads_deep(struct scene *s) { loads_objects(s); s->program.file.links.loads_deep = true; }
static void loads_deep_for_musl(struct scene *s) { loads_deep(s); strcpy(s->program.file.kind.interpreter, "/lib/ld-musl.so"); }
static void loads_apart(struct scene *s) { s->program.file.links.imports |= NAME_DLMOPEN; }
/* Of the way to it. */
static void a_script(struct scene *s) { s->program.step_count = 1; }
static void clears_environment(struct scene *s) { s->program.drops_preload = true; }
static void a_shell(struct scene *s) { s->facts.wrapper = &sh; }
static void a_sudo(struct scene *s) { s->facts.wrapper = &sudo; }
/* Of the shim. */
static void no_shim(struct scene *s) { s->facts.shim_shown = s->facts.shim_path = ""; }
static void shim_missing(struct scene *s) { s->facts.shim.presence = SHIM_MISSING; }
static void shim_untold(struct scene *s) { s->facts.shim.presence = SHIM_UNTOLD; }
static void shim_unreadable(struct scene *s) { s->facts.shim_is_readable = false; }
static void shim_noexec(struct scene *s) { s->facts.shim.is_noexec = true; }
static void shim_damaged(struct scene *s) { s->facts.shim.has_kind = false; }
static void shim_with_blank(struct scene *s) { s->facts.shim_path = "/x y/libfairdial.so"; }
static void shim_with_colon(struct scene *s) { s->facts.shim_path = "/x:y/libfairdial.so"; }
static void shim_relative(struct scene *s) { s->facts.shim_path = "libfairdial.so"; }
static void shim_unnamed(struct scene *s) { s->facts.shim_is_named = false; }
static void shim_of_other_version(struct scene *s) { s->facts.shim_version = "9.9.9"; }
static void shim_of_other_build(struct scene *s) { s->facts.shim_is_same_build = 0; }
/* Of what is set. */
static void switched_off(struct scene *s) { s->facts.environment.mode = s->process.environment.mode = MODE_OFF; }
static void observes(struct scene *s) { s->facts.environment.mode = s->process.environment.mode = MODE_OBSERVE; }
static void has_lists(struct scene *s) { s->facts.environment.only = empty; }
static void in_a_mesh(struct scene *s) { s->facts.mesh_port = 15001; s->facts.mesh_name = "Istio"; }
/* Of the table. */
static void no_table(struct scene *s) { s->facts.table.error = -ENOENT; }
static void no_table_yet(struct scene *s) { no_table(s); s->facts.autostarts = true; }
static void damaged_table(struct scene *s) { s->facts.table.error = -EBADMSG; }
static void foreign_table(struct scene *s) { s->facts.table.error = -EPERM; }
static void other_boot(struct scene *s) { s->facts.table.error = -ESTALE; }
static void stale_table(struct scene *s) { s->facts.table.is_stale = true; s->facts.table.age_ms = 3600000; }
static void empty_table(struct scene *s) { s->facts.table.services = s->facts.table.on = 0; }
static void standing_down(struct scene *s) { s->facts.table.stand_down = 2; }
static void modes_off(struct scene *s) { s->facts.table.on = 0; }
static void static_table(struct scene *s) { s->facts.table.is_static = true; }
/* Of a process. */
static void hidden(struct scene *s) { s->process.is_hidden = true; }
static void unloaded(struct scene *s) { s->process.is_loaded = false; }
static void lifted(struct scene *s) { s->process.is_privileged = true; }
static void process_of_go(struct scene *s) { go(s); s->process.kind.is_go = true; }
static void lost_preload(struct scene *s) { unloaded(s); s->process.environment.names_shim = false; s->process.inherits = true; }
static void first(struct scene *s) { s->mapped.is_first = true; }
static void shim_removed(struct scene *s) { s->facts.shim_is_removed = true; }
static void shim_replaced(struct scene *s) { s->facts.shim_is_replaced = true; }
static void table_unmapped(struct scene *s) { s->facts.table.is_mapped = false; }
static void table_replaced(struct scene *s) { s->facts.table.is_replaced = true; }
static void table_removed(struct scene *s) { no_table(s); s->facts.table.is_removed = true; }
static void table_other(struct scene *s) { s->facts.table.is_other = true; }
static void nothing(struct scene *s) { (void)s; }

static struct preload *add_preload(struct scene *s, const char *path)
{
	struct preload *p = &s->preloads.at[s->preloads.count++];

	strcpy(p->path, path);
	strcpy(p->shown, path);
	p->is_shim = strstr(path, "libfairdial.so");
	return p;
}

static void taker_before(struct scene *s) { add_preload(s, "/t.so")->takes_connect = true; add_preload(s, "/x/libfairdial.so"); }
static void taker_behind(struct scene *s) { add_preload(s, "/x/libfairdial.so"); add_preload(s, "/t.so")->takes_connect = true; }
static void calm_preload(struct scene *s) { add_preload(s, "/c.so"); }
static void missing_preload(struct scene *s) { add_preload(s, "/m.so")->is_missing = true; }
static void two_shims(struct scene *s) { add_preload(s, "/x/libfairdial.so"); add_preload(s, "/y/libfairdial.so"); }

struct row {
	void (*make)(struct scene *s);
	const char *id;
	enum severity severity;
};

static const struct row of_programs[] = {
	{ nothing, "dynamic", SEVERITY_OK },
	{ nothing, "dials-by-libc", SEVERITY_OK },
	{ nothing, "shim", SEVERITY_OK },
	{ nothing, "table", SEVERITY_OK },
	{ go, "go", SEVERITY_BLOCKER },
	{ no_loader, "static", SEVERITY_BLOCKER },
	{ no_loader_pie, "static", SEVERITY_BLOCKER },
	{ object_file, "no-program", SEVERITY_BLOCKER },
	{ loader_itself, "loader", SEVERITY_NOTE },
	{ lost_loader, "loader-missing", SEVERITY_BLOCKER },
	{ other_machine, "other-machine", SEVERITY_BLOCKER },
	{ of_32_bits, "other-machine", SEVERITY_BLOCKER },
	{ unreadable_file, "file-unknown", SEVERITY_WARNING },
	{ setuid_file, "privileged", SEVERITY_BLOCKER },
	{ setgid_file, "privileged", SEVERITY_BLOCKER },
	{ capable_file, "privileged", SEVERITY_BLOCKER },
	{ setuid_of_root_by_root, "privileged", SEVERITY_WARNING },
	{ setuid_of_another_by_root, "privileged", SEVERITY_BLOCKER },
	{ setuid_without_effect, "nosuid", SEVERITY_NOTE },
	{ setuid_without_new_privileges, "no-new-privileges", SEVERITY_NOTE },
	{ capable_without_new_privileges, "privileged", SEVERITY_BLOCKER },
	{ lacks_a_library, "library-missing", SEVERITY_BLOCKER },
	{ without_names, "names-unknown", SEVERITY_NOTE },
	{ by_uring, "io-uring", SEVERITY_WARNING },
	{ needs_uring, "io-uring", SEVERITY_WARNING },
	{ bare_uring, "io-uring", SEVERITY_WARNING },
	{ bare_connect, "bare-connect", SEVERITY_WARNING },
	{ by_syscall, "bare-calls", SEVERITY_WARNING },
	{ loads_objects, "dlopen", SEVERITY_NOTE },
	{ loads_deep, "deepbind", SEVERITY_WARNING },
	{ loads_deep_for_musl, "dlopen", SEVERITY_NOTE },
	{ loads_apart, "dlmopen", SEVERITY_NOTE },
	{ a_script, "script", SEVERITY_NOTE },
	{ clears_environment, "preload-lost", SEVERITY_BLOCKER },
	{ a_shell, "wrapper", SEVERITY_NOTE },
	{ a_sudo, "wrapper-elsewhere", SEVERITY_WARNING },
	{ no_shim, "no-file", SEVERITY_BLOCKER },
	{ shim_missing, "no-file", SEVERITY_BLOCKER },
	{ shim_untold, "unreadable", SEVERITY_BLOCKER },
	{ shim_unreadable, "unreadable", SEVERITY_BLOCKER },
	{ shim_noexec, "noexec", SEVERITY_BLOCKER },
	{ shim_damaged, "no-object", SEVERITY_BLOCKER },
	{ shim_with_blank, "preload-unnameable", SEVERITY_BLOCKER },
	{ shim_with_colon, "preload-unnameable", SEVERITY_BLOCKER },
	{ shim_relative, "preload-relative", SEVERITY_WARNING },
	{ shim_unnamed, "preload-unset", SEVERITY_NOTE },
	{ shim_of_other_version, "other-version", SEVERITY_NOTE },
	{ shim_of_other_build, "other-build", SEVERITY_NOTE },
	{ taker_before, "other-preload-first", SEVERITY_WARNING },
	{ taker_behind, "other-preload-takes", SEVERITY_NOTE },
	{ calm_preload, "other-preload", SEVERITY_OK },
	{ missing_preload, "other-preload-missing", SEVERITY_NOTE },
	{ two_shims, "shim-twice", SEVERITY_WARNING },
	{ switched_off, "off", SEVERITY_BLOCKER },
	{ observes, "observe", SEVERITY_BLOCKER },
	{ has_lists, "lists", SEVERITY_NOTE },
	{ in_a_mesh, "mesh", SEVERITY_WARNING },
	{ no_table, "no-table", SEVERITY_NOTE },
	{ no_table_yet, "no-table", SEVERITY_NOTE },
	{ damaged_table, "table-unreadable", SEVERITY_WARNING },
	{ foreign_table, "table-unreadable", SEVERITY_WARNING },
	{ other_boot, "table-of-other-boot", SEVERITY_WARNING },
	{ stale_table, "stale", SEVERITY_WARNING },
	{ empty_table, "no-services", SEVERITY_WARNING },
	{ standing_down, "stands-down", SEVERITY_WARNING },
	{ modes_off, "service-off", SEVERITY_WARNING },
	{ static_table, "table", SEVERITY_OK },
};

static const struct row of_processes[] = {
	{ nothing, "covered", SEVERITY_OK },
	{ hidden, "hidden", SEVERITY_BLOCKER },
	{ unloaded, "not-loaded", SEVERITY_BLOCKER },
	{ lost_preload, "preload-lost", SEVERITY_BLOCKER },
	{ lifted, "privileged", SEVERITY_BLOCKER },
	{ process_of_go, "go", SEVERITY_BLOCKER },
	{ first, "pid-1", SEVERITY_NOTE },
	{ shim_removed, "shim-removed", SEVERITY_NOTE },
	{ shim_replaced, "shim-replaced", SEVERITY_NOTE },
	{ shim_of_other_version, "other-version", SEVERITY_NOTE },
	{ switched_off, "off", SEVERITY_BLOCKER },
	{ observes, "observe", SEVERITY_BLOCKER },
	{ no_table, "no-table", SEVERITY_BLOCKER },
	{ damaged_table, "table-unreadable", SEVERITY_BLOCKER },
	{ other_boot, "table-of-other-boot", SEVERITY_BLOCKER },
	{ foreign_table, "table-of-another", SEVERITY_NOTE },
	{ table_unmapped, "table-unmapped", SEVERITY_NOTE },
	{ table_replaced, "table-replaced", SEVERITY_NOTE },
	{ table_removed, "table-removed", SEVERITY_BLOCKER },
	{ table_other, "other-table", SEVERITY_BLOCKER },
};

static void assert_row(struct scene *s, const struct row *row)
{
	enum cover answer;
	const struct finding *found;

	row->make(s);
	answer = cover(s);
	found = find(s, row->id);
	if (!found || found->severity != row->severity)
		fail_msg("%s: %s", row->id, found ? severity_name(found->severity) : "not found");
	assert_int_equal(answer, row->severity == SEVERITY_BLOCKER   ? COVER_NONE
				 : row->severity == SEVERITY_WARNING ? COVER_PARTLY
								     : COVER_WHOLE);
}

static void every_lack_of_a_program_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(of_programs) / sizeof(*of_programs); i++)
		assert_row(scene(), &of_programs[i]);
}

static void every_lack_of_a_process_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(of_processes) / sizeof(*of_processes); i++)
		assert_row(running(), &of_processes[i]);
}

static void no_finding_is_without_its_cause(void **state)
{
	static const char *const always[] = { "dynamic", "dials-by-libc", "shim", "table" };
	struct scene *s = scene();

	(void)state;
	assert_int_equal(cover(s), COVER_WHOLE);
	assert_int_equal(s->findings.count, sizeof(always) / sizeof(*always));
	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		assert_non_null(find(s, always[i]));
}

static void warnings_and_blockers_say_what_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(of_programs) / sizeof(*of_programs); i++) {
		const struct row *row = &of_programs[i];
		struct scene *s = scene();

		row->make(s);
		cover(s);
		if (row->severity >= SEVERITY_WARNING && !find(s, row->id)->remedy[0])
			fail_msg("%s says not what to do", row->id);
	}
}

/* One line each, whole, and no marks of a terminal. */
static void texts_are_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(of_programs) / sizeof(*of_programs); i++) {
		struct scene *s = scene();

		of_programs[i].make(s);
		cover(s);
		for (size_t k = 0; k < s->findings.count; k++) {
			const struct finding *f = &s->findings.at[k];

			assert_true(strlen(f->what) && strlen(f->what) < sizeof(f->what) - 1);
			assert_true(strlen(f->remedy) < sizeof(f->remedy) - 1);
			for (const char *at = f->what; *at; at++)
				assert_false(iscntrl((unsigned char)*at));
		}
	}
}

/* It looks at the process's own table then: what is told of the file is told once. */
static void one_cause_is_told_once(void **state)
{
	struct scene *s = running();
	size_t told = 0;

	(void)state;
	process_of_go(s);
	switched_off(s);
	cover(s);
	for (size_t i = 0; i < s->findings.count; i++)
		for (size_t k = 0; k < i; k++)
			told += strcmp(s->findings.at[i].id, s->findings.at[k].id) == 0;
	assert_int_equal(told, 0);
}

static void more_findings_than_there_is_room_are_cut(void **state)
{
	struct scene *s = scene();

	(void)state;
	for (size_t i = 0; i < PRELOADS_MAX; i++)
		add_preload(s, "/m.so")->is_missing = true;
	s->program.step_count = sizeof(s->program.steps) / sizeof(*s->program.steps);
	go(s);
	setuid_file(s);
	lacks_a_library(s);
	in_a_mesh(s);
	by_uring(s);
	assert_int_equal(cover(s), COVER_NONE);
	assert_true(s->findings.count <= FINDINGS_MAX);
}

static void long_texts_are_cut(void **state)
{
	struct scene *s = scene();
	char *longest = format("%0*d", 4000, 0);

	(void)state;
	s->facts.shim_shown = s->facts.table.dir = longest;
	s->facts.arguments = longest;
	a_shell(s);
	assert_int_equal(cover(s), COVER_WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_lack_of_a_program_is_found),
		TEST(every_lack_of_a_process_is_found),
		TEST(no_finding_is_without_its_cause),
		TEST(warnings_and_blockers_say_what_to_do),
		TEST(texts_are_lines),
		TEST(one_cause_is_told_once),
		TEST(more_findings_than_there_is_room_are_cut),
		TEST(long_texts_are_cut),
	};

	return RUN_TESTS(tests);
}
