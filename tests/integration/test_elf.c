/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/check_elf.sh names what is wrong with a shared object: each one here is sound but for one thing, and each rule is
 * broken at least once.
 */
#include "support/testing.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { CANNOT_READ = 2, MOST_ROWS = 64 };

#define RULE_KIND	 "a shared object: ELF64, little-endian, of the machine it was built for"
#define RULE_NAME	 "its name for the loader is libfairdial.so"
#define RULE_BUILD_ID	 "it has a build-id"
#define RULE_VERSION	 "it tells its version without being run"
#define RULE_NEEDS	 "it needs no library"
#define RULE_PATH	 "it has no search path"
#define RULE_ASKS	 "it asks for no version of a symbol"
#define RULE_GIVES	 "it gives its own symbols no version, which a host that asks for the libc's would not take"
#define RULE_HASH	 "every loader finds its symbols (both styles of hash)"
#define RULE_RELR	 "old loaders relocate it (no DT_RELR)"
#define RULE_TLS	 "it has no thread-local storage, and uses none"
#define RULE_IFUNC	 "it has no indirect functions and no unique symbols"
#define RULE_STACK	 "its stack is not executable"
#define RULE_WRITTEN	 "no part of it is both written and run"
#define RULE_RELRO	 "it is bound at once and then read-only (full RELRO)"
#define RULE_PAGES	 "every kernel's pages suit it"
#define RULE_TEXT	 "its code is not relocated"
#define RULE_CONSTRUCTOR "a constructor of it runs when a program starts"
#define RULE_DESTRUCTOR	 "nothing of it runs when a program ends"
#define RULE_UNWIND	 "what it exports can be unwound"
#define RULE_WEAK	 "what it takes from the host is weak"
#define RULE_IMPORTS	 "and is what the list of imports says"
#define RULE_EXPORTS	 "it exports what the list of exports says"
#define RULE_FUNCTIONS	 "and nothing but functions"
#define RULE_ROWS	 "the rows of the shim's table of symbols are the same"
#define RULE_MAP	 "and the names of the linker's map"
#define RULE_UNWANTED	 "no printf, malloc, exit, thread or signal handler is in it or wanted by it"

#if defined(__aarch64__)
#define MACHINE	      "aarch64"
#define OTHER_MACHINE "x86_64"
#else
#define MACHINE	      "x86_64"
#define OTHER_MACHINE "aarch64"
#endif

/* A small object that keeps every rule, of lists of its own: `dial` is exported, `helper` is imported. */
static const char sound_source[] =
	"#ifndef HELPER\n"
	"#define HELPER extern int helper(void) __attribute__((weak));\n"
	"#endif\n"
	"#ifndef DIAL\n"
	"#define DIAL int dial(void) { return helper ? helper() : 0; }\n"
	"#endif\n"
	"#ifndef START\n"
	"#define START __attribute__((constructor)) static void start(void) { __asm__ volatile(\"\"); }\n"
	"#endif\n"
	"#ifndef NOTE\n"
	"#define NOTE __asm__(\".section .note.fairdial,\\\"a\\\",%note\\n.balign 4\\n.long 9,2,1\\n\" \\\n"
	"\".asciz \\\"fairdial\\\"\\n.balign 4\\n.asciz \\\"1\\\"\\n.balign 4\\n.previous\");\n"
	"#endif\n"
	"HELPER DIAL START NOTE\n"
	"static int inner(void) { return 1; }\n"
	"int (*volatile const inners[])(void) __attribute__((visibility(\"hidden\"))) = { inner, inner };\n";

static const char sound_imports[] = "# weak\nhelper\n", sound_exports[] = "dial\n";
static const char sound_rows[] = "#define SYMBOLS(row) \\\n\trow(dial)\n";
static const char sound_map[] = "{\nglobal:\n\tdial;\nlocal:\n\t*;\n};\n";

struct breach {
	const char *name;     /* of the test */
	const char *rules[3]; /* that are broken */
	const char *source;   /* goes before the sound one */
	const char *flags;    /* go behind those of a sound one; %s is the scratch directory */
	const char *map;      /* that the linker follows, instead of the sound one */
	const char *imports, *exports, *rows, *checked_map; /* the lists that it is held against */
	const char *machine;
	bool is_executable; /* says the head of the file */
	const char *compiler;
};

static const struct breach breaches[] = {
	{ .name = "another_machine_is_named", .rules = { RULE_KIND }, .machine = MACHINE, .compiler = OTHER_MACHINE },
	{ .name = "a_file_that_is_no_shared_object_is_named", .rules = { RULE_KIND }, .is_executable = true },
	{ .name = "another_soname_is_named", .rules = { RULE_NAME }, .flags = "-Wl,-soname,libother.so" },
	{ .name = "no_build_id_is_named", .rules = { RULE_BUILD_ID }, .flags = "-Wl,--build-id=none" },
	{ .name = "no_version_is_named", .rules = { RULE_VERSION }, .source = "#define NOTE\n" },
	{ .name = "a_library_that_is_needed_is_named", .rules = { RULE_NEEDS }, .flags = "-Wl,--no-as-needed %s/libneeded.so" },
	{ .name = "a_filter_is_named", .rules = { RULE_NEEDS }, .flags = "-Wl,-f,libneeded.so" },
	{ .name = "a_search_path_is_named", .rules = { RULE_PATH }, .flags = "-Wl,-rpath,/nowhere" },
	{ .name = "an_old_search_path_is_named", .rules = { RULE_PATH }, .flags = "-Wl,--disable-new-dtags,-rpath,/nowhere" },
	{ .name = "a_version_that_is_asked_for_is_named",
	  .rules = { RULE_NEEDS, RULE_ASKS, RULE_WEAK },
	  .source = "#define HELPER extern int helper(void);\n",
	  .flags = "%s/libversioned.so" },
	{ .name = "a_version_of_its_own_is_named", .rules = { RULE_GIVES }, .map = "OURS {\nglobal: dial;\nlocal: *;\n};\n" },
	{ .name = "no_old_hash_is_named", .rules = { RULE_HASH }, .flags = "-Wl,--hash-style=gnu" },
	{ .name = "no_new_hash_is_named", .rules = { RULE_HASH }, .flags = "-Wl,--hash-style=sysv" },
	{ .name = "packed_relocations_are_named",
	  .rules = { RULE_RELR },
	  .flags = "-Wl,-z,pack-relative-relocs",
	  .machine = "x86_64", /* the linker of aarch64 has learned them later */
	  .compiler = "x86_64" },
	{ .name = "thread_local_storage_is_named",
	  .rules = { RULE_TLS },
	  .source = "static __thread int own __attribute__((tls_model(\"initial-exec\")));\n"
		    "#define DIAL int dial(void) { return own++ + (helper ? helper() : 0); }\n" },
	{ .name = "thread_local_storage_of_the_host_is_named",
	  .rules = { RULE_TLS },
	  .source = "extern __thread int helper __attribute__((tls_model(\"initial-exec\"), weak));\n"
		    "#define HELPER\n"
		    "#define DIAL int dial(void) { return helper; }\n" },
	{ .name = "an_indirect_function_is_named",
	  .rules = { RULE_IFUNC },
	  .source = "static void *choose(void) { return choose; }\n"
		    "static int chosen(void) __attribute__((ifunc(\"choose\")));\n"
		    "#define DIAL int dial(void) { return chosen() + (helper ? helper() : 0); }\n" },
	{ .name = "an_executable_stack_is_named", .rules = { RULE_STACK }, .flags = "-Wl,-z,execstack" },
	{ .name = "a_part_that_is_written_and_run_is_named",
	  .rules = { RULE_WRITTEN },
	  .source = "__asm__(\".section .both,\\\"awx\\\",%progbits\\n.byte 0\\n.previous\");\n",
	  .flags = "-Wl,--no-warn-rwx-segments" },
	{ .name = "late_binding_is_named", .rules = { RULE_RELRO }, .flags = "-Wl,-z,lazy" },
	{ .name = "no_relro_is_named", .rules = { RULE_RELRO }, .flags = "-Wl,-z,norelro" },
	{ .name = "pages_that_are_too_small_are_named", .rules = { RULE_PAGES },
	  .flags = "-Wl,-z,max-page-size=2048,-z,common-page-size=2048" },
	{ .name = "pages_of_4_kib_are_too_small_for_aarch64",
	  .rules = { RULE_PAGES },
	  .flags = "-Wl,-z,max-page-size=4096",
	  .machine = "aarch64",
	  .compiler = "aarch64" },
	{ .name = "relocated_code_is_named",
	  .rules = { RULE_TEXT },
	  .source = "__asm__(\".text\\n.balign 8\\n.quad inners\");\n",
	  .flags = "-Wl,-z,notext" },
	{ .name = "no_constructor_is_named", .rules = { RULE_CONSTRUCTOR }, .source = "#define START\n" },
	{ .name = "a_destructor_is_named",
	  .rules = { RULE_DESTRUCTOR },
	  .source = "__attribute__((destructor)) static void stop(void) { __asm__ volatile(\"\"); }\n" },
	{ .name = "frames_that_cannot_be_unwound_are_named",
	  .rules = { RULE_UNWIND },
	  .flags = "-fno-asynchronous-unwind-tables -fno-unwind-tables" },
	{ .name = "frames_for_the_debugger_alone_are_named",
	  .rules = { RULE_UNWIND },
	  .flags = "-g -fno-asynchronous-unwind-tables -fno-unwind-tables" },
	{ .name = "no_index_of_frames_is_named", .rules = { RULE_UNWIND }, .flags = "-Wl,--no-eh-frame-hdr" },
	{ .name = "a_strong_undefined_symbol_is_named",
	  .rules = { RULE_WEAK },
	  .source = "#define HELPER extern int helper(void);\n",
	  .flags = "-Wl,-z,undefs" },
	{ .name = "an_import_of_no_list_is_named",
	  .rules = { RULE_IMPORTS },
	  .source = "extern int other(void) __attribute__((weak));\n"
		    "#define DIAL int dial(void) { return other ? other() : helper ? helper() : 0; }\n" },
	{ .name = "an_import_that_nobody_wants_is_named", .rules = { RULE_IMPORTS }, .imports = "helper\nother\n" },
	{ .name = "an_extra_export_is_named",
	  .rules = { RULE_EXPORTS },
	  .source = "int other(void) { return 1; }\n",
	  .map = "{\nglobal: dial; other;\nlocal: *;\n};\n" },
	{ .name = "a_missing_export_is_named", .rules = { RULE_EXPORTS }, .map = "{\nlocal: *;\n};\n" },
	{ .name = "an_export_of_data_is_named",
	  .rules = { RULE_FUNCTIONS },
	  .source = "#define DIAL int dial = 1; int (*inner_helper(void))(void) { return helper; }\n" },
	{ .name = "a_row_too_many_is_named", .rules = { RULE_ROWS }, .rows = "\trow(dial)\n\trow(other)\n" },
	{ .name = "a_missing_row_is_named", .rules = { RULE_ROWS }, .rows = "none\n" },
	{ .name = "a_map_with_another_name_is_named",
	  .rules = { RULE_MAP },
	  .checked_map = "{\nglobal:\n\tdial;\n\tother;\nlocal:\n\t*;\n};\n" },
	{ .name = "a_list_of_exports_that_differs_from_all_is_named",
	  .rules = { RULE_EXPORTS, RULE_ROWS, RULE_MAP },
	  .exports = "dial\nother\n" },
	{ .name = "a_libc_function_of_its_own_is_named",
	  .rules = { RULE_UNWANTED },
	  .source = "__attribute__((used, noinline)) static int puts(void) { return 1; }\n" },
	{ .name = "a_libc_function_that_is_wanted_is_named",
	  .rules = { RULE_UNWANTED },
	  .source = "extern int __printf_chk(void) __attribute__((weak));\n"
		    "#define DIAL int dial(void) { return helper ? helper() : __printf_chk ? 1 : 0; }\n",
	  .imports = "helper\n__printf_chk\n" },
};

enum { BREACHES = sizeof(breaches) / sizeof(*breaches) };

/* ---- making one ---- */

static void write_text(const char *dir, const char *name, const char *text)
{
	write_file(format("%s/%s", dir, name), text, strlen(text));
}

static const char *or_else(const char *text, const char *sound)
{
	return text ? text : sound;
}

/* The compiler for a machine; skips the test where there is none. */
static const char *compiler_for(const char *machine)
{
	const char *cross = format("%s-linux-gnu-gcc", machine);

	if (!machine || !strcmp(machine, MACHINE))
		return "gcc";
	if (!program_exists(cross))
		skip_because("there is no %s", cross);
	return cross;
}

/* Two libraries to link with: one that is merely needed, and one whose `helper` has a version. */
static void make_libraries(const char *dir)
{
	write_text(dir, "versioned.c", "int helper(void) { return 1; }\n");
	write_text(dir, "versioned.map", "THEIRS {\nglobal: helper;\n};\n");
	assert_clean(run_shell(NULL, "cd %s && gcc -shared -nostdlib -x c -o libneeded.so /dev/null && "
				     "gcc -shared -nostdlib -Wl,--version-script=versioned.map -o libversioned.so versioned.c",
			       dir));
}

/* The object with its one fault, and the lists beside it. Returns the object's path. */
static const char *make(const char *dir, const struct breach *breach)
{
	const char *so = format("%s/lib.so", dir), *flags = or_else(breach->flags, "");

	write_text(dir, "lib.c", format("%s%s", or_else(breach->source, ""), sound_source));
	write_text(dir, "link.map", or_else(breach->map, sound_map));
	write_text(dir, "imports", or_else(breach->imports, sound_imports));
	write_text(dir, "exports", or_else(breach->exports, sound_exports));
	write_text(dir, "rows", or_else(breach->rows, sound_rows));
	write_text(dir, "map", or_else(breach->checked_map, sound_map));
	if (strstr(flags, "%s")) {
		const char *at = strstr(flags, "%s");

		make_libraries(dir);
		flags = format("%.*s%s%s", (int)(at - flags), flags, dir, at + 2);
	}
	assert_clean(run_shell(NULL,
			       "%s -O2 -ffreestanding -fno-builtin -fPIC -fno-stack-protector -w -shared -nostdlib "
			       "-Wl,--hash-style=both,-z,now,-z,relro,-z,noexecstack,-z,defs "
			       "-Wl,-soname,libfairdial.so,--build-id,--version-script=%s/link.map -o %s %s/lib.c %s",
			       compiler_for(breach->compiler), dir, so, dir, flags));
	return so;
}

/* The type in the ELF header, at byte 16: 2 is an executable. */
static void call_executable(const char *so)
{
	int fd = open(so, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "\2", 1, 16), 1);
	close(fd);
}

static struct process *check(const char *so, const char *dir, const char *machine)
{
	return run(NULL, "sh", repository("tests/check_elf.sh"), so, or_else(machine, MACHINE), format("%s/imports", dir),
		   format("%s/exports", dir), format("%s/rows", dir), format("%s/map", dir), NULL);
}

/* ---- what the script says ---- */

/* Its lines that begin with `word`, of `text`: without it. */
static size_t rows_of(const char *text, const char *word, char **rows)
{
	char *copy = format("%s", text), *line;
	size_t n = 0;

	while ((line = strsep(&copy, "\n")))
		if (!strncmp(line, word, strlen(word)) && n < MOST_ROWS)
			rows[n++] = line + strlen(word);
	return n;
}

static bool is_among(const char *rule, const char *const *rules, size_t count)
{
	for (size_t i = 0; i < count && rules[i]; i++)
		if (!strcmp(rule, rules[i]))
			return true;
	return false;
}

static void only_what_is_broken_is_named(void **state)
{
	const struct breach *breach = *state;
	const char *dir = scratch_dir(), *so = make(dir, breach);
	char *failed[MOST_ROWS];
	struct process *p;
	size_t n, wanted = 0;

	if (breach->is_executable)
		call_executable(so);
	p = check(so, dir, breach->machine);
	n = rows_of(p->out_text, "FAIL  ", failed);
	while (wanted < 3 && breach->rules[wanted])
		wanted++;
	for (size_t i = 0; i < n; i++)
		if (!is_among(failed[i], breach->rules, 3))
			fail_msg("\"%s\" is not what is broken:\n%s", failed[i], p->out_text);
	if (n != wanted || p->exit_status != 1 || p->err_length)
		fail_msg("exit status %d, %zu of %zu named:\n%s%s", p->exit_status, n, wanted, p->out_text, p->err_text);
}

static void sound_object_breaks_no_rule(void **state)
{
	const char *dir = scratch_dir(), *so = make(dir, &(struct breach){ .name = NULL });
	struct process *p = check(so, dir, NULL);

	(void)state;
	assert_clean(p);
	assert_null(strstr(p->out_text, "FAIL"));
}

static void every_rule_is_broken_by_one_of_these(void **state)
{
	const char *dir = scratch_dir(), *so = make(dir, &(struct breach){ .name = NULL });
	char *rules[MOST_ROWS];
	size_t n = rows_of(check(so, dir, NULL)->out_text, "ok    ", rules), broken;

	(void)state;
	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		broken = 0;
		for (size_t k = 0; k < BREACHES; k++)
			broken += is_among(rules[i], breaches[k].rules, 3);
		if (!broken)
			fail_msg("no object breaks \"%s\"", rules[i]);
	}
}

static void stripped_object_keeps_the_rules(void **state)
{
	const char *dir = scratch_dir(), *so = make(dir, &(struct breach){ .name = NULL });

	(void)state;
	assert_clean(run(NULL, "strip", so, NULL));
	assert_clean(check(so, dir, NULL));
}

static void what_cannot_be_checked_is_an_error(void **state)
{
	const char *dir = scratch_dir(), *so = make(dir, &(struct breach){ .name = NULL });

	(void)state;
	assert_error(check(format("%s/nowhere.so", dir), dir, NULL), CANNOT_READ);
	assert_error(check(so, dir, "vax"), CANNOT_READ);
	assert_error(check(format("%s/lib.c", dir), dir, NULL), CANNOT_READ);
}

int main(void)
{
	struct CMUnitTest tests[BREACHES + 4] = {
		TEST(sound_object_breaks_no_rule),
		TEST(every_rule_is_broken_by_one_of_these),
		TEST(stripped_object_keeps_the_rules),
		TEST(what_cannot_be_checked_is_an_error),
	};

	for (size_t i = 0; i < BREACHES; i++)
		tests[4 + i] = (struct CMUnitTest){ breaches[i].name, only_what_is_broken_is_named, NULL, end_of_test,
						    (void *)&breaches[i] };
	return RUN_TESTS(tests);
}
