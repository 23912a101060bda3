/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairdial check`: real programs and processes of each kind, what is found of them, and what the answer is. Each is asked for as
 * JSON, which is held against tests/data/schemas/check.json, and as text, which has to say the same.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/agents.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/tun.h"
#include "table/layout.h"

enum { LIMIT_MS = 20000, NOBODY = 65534, MANY = 10000 };

#define PRELOAD(path) format("LD_PRELOAD=%s", path)

/* ---- JSON ---- */

static void forget(void *json)
{
	json_decref(json);
}

static json_t *parsed(const char *text, const char *what)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s: no JSON: %s\n%s", what, error.text, text);
	after_test(forget, json);
	return json;
}

/* ---- questions ---- */

struct question {
	const char *const *env;
	const char *before; /* a line before the tool's, or NULL: "unshare -m" */
	uid_t uid;
};

static const char *tool(void)
{
	return built("fairdial");
}

static struct process *ask(const struct question *q, const char *what)
{
	const char *line = format("exec %s %s check %s", q && q->before ? q->before : "", tool(), what);
	struct start start = { .argv = ARGV("sh", "-c", line), .env = q ? q->env : NULL, .uid = q ? q->uid : 0 };
	struct process *p = process_start(&start);

	process_wait(p, LIMIT_MS);
	return p;
}

/* The answer as JSON, which fits the schema; its text says the same, and so does the exit status. */
static json_t *check_as(const struct question *q, const char *what)
{
	struct process *p = ask(q, format("--json %s", what)), *text = ask(q, what);
	json_t *report, *covered;

	if (p->err_length || p->exit_status > 1)
		fail_msg("check %s: %d, %s", what, p->exit_status, p->err_text);
	report = parsed(p->out_text, what);
	assert_fits_schema("check", p->out_text);
	covered = json_object_get(report, "covered");
	assert_int_equal(p->exit_status, json_is_true(covered) ? 0 : 1);
	assert_int_equal(text->exit_status, p->exit_status);
	assert_non_null(strstr(text->out_text, json_is_true(covered)    ? ": covered\n"
					       : json_is_false(covered) ? ": not covered\n"
									: ": covered in part\n"));
	assert_null(strchr(text->out_text, '\033'));
	return report;
}

static json_t *find(json_t *report, const char *id)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(report, "findings"), i, row) {
		if (strcmp(json_string_value(json_object_get(row, "id")), id) == 0)
			return row;
	}
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static json_t *assert_found(json_t *report, const char *id, const char *severity)
{
	json_t *row = find(report, id);

	if (!row || strcmp(text_of(row, "severity"), severity) != 0)
		fail_msg("no %s of severity %s in\n%s", id, severity, json_dumps(report, JSON_INDENT(2)));
	return row;
}

static void assert_covered(json_t *report, bool covered)
{
	if (!json_is_boolean(json_object_get(report, "covered")) || json_is_true(json_object_get(report, "covered")) != covered)
		fail_msg("%s in\n%s", covered ? "not covered" : "covered, or in part", json_dumps(report, JSON_INDENT(2)));
}

static void assert_partly(json_t *report)
{
	if (strcmp(text_of(report, "covered"), "partly") != 0)
		fail_msg("not in part in\n%s", json_dumps(report, JSON_INDENT(2)));
}

/* A table of one Service, and the environment of who uses it. */
static struct services *table(void)
{
	static const struct place place = { "127.0.0.1", 9 };
	struct services *s = services_open();

	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, &place, 1, NULL));
	return s;
}

static json_t *check(const char *what)
{
	struct question q = { .env = table()->env };

	return check_as(&q, what);
}

static const char *dialer(void)
{
	return built("helpers/dialer");
}

static void need_root(void)
{
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can give files to others");
}

static const char *script(const char *text)
{
	const char *path = format("%s/script", scratch_dir());

	write_file(path, text, strlen(text));
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

/* A program of these lines of C. */
static const char *program_of(const char *compiler, const char *source, const char *flags)
{
	const char *dir = scratch_dir(), *file = format("%s/p.c", dir), *program = format("%s/p", dir);

	if (!program_exists(compiler))
		skip_because("there is no %s", compiler);
	write_file(file, source, strlen(source));
	assert_clean(run_shell(NULL, "%s -w -O1 -D_GNU_SOURCE -o %s %s %s", compiler, program, file, flags));
	return program;
}

/* ---- files ---- */

static void dynamic_program_is_covered(void **state)
{
	json_t *report = check(dialer());

	(void)state;
	assert_covered(report, true);
	assert_found(report, "dynamic", "ok");
	assert_found(report, "dials-by-libc", "ok");
	assert_found(report, "shim", "ok");
	assert_found(report, "table", "ok");
	assert_null(find(report, "preload-unset"));
	assert_string_equal(text_of(report, "subject"), dialer());
}

static void program_is_looked_up_in_path(void **state)
{
	(void)state;
	assert_non_null(strstr(text_of(check("env"), "subject"), "/env"));
}

static void program_of_musl_is_covered(void **state)
{
	json_t *report = check(compiled_for_musl("dialer", ""));

	(void)state;
	assert_covered(report, true);
	assert_non_null(strstr(text_of(assert_found(report, "dynamic", "ok"), "what"), "musl"));
}

static void static_program_is_not_covered(void **state)
{
	json_t *report = check(compiled_for_musl("dialer", "-static"));

	(void)state;
	assert_covered(report, false);
	assert_found(report, "static", "blocker");
}

static void program_of_go_is_not_covered(void **state)
{
	const char *program = format("%s/hold", scratch_dir());
	json_t *report;

	(void)state;
	if (!program_exists("go"))
		skip_because("there is no go");
	assert_clean(run_shell(NULL, "CGO_ENABLED=0 go build -o %s %s", program, repository("tests/helpers/go/hold.go")));
	report = check(program);
	assert_covered(report, false);
	assert_found(report, "go", "blocker");
}

static void program_for_another_machine_is_not_covered(void **state)
{
	const char *compiler = "aarch64-linux-gnu-gcc";
	const char *flags = "-nostdlib -shared -Wl,-dynamic-linker,/lib/x";
	json_t *report = check(program_of(compiler, "int _start(void) { return 0; }", flags));

	(void)state;
	assert_covered(report, false);
	assert_non_null(strstr(text_of(assert_found(report, "other-machine", "blocker"), "what"), "aarch64"));
}

static void setuid_and_setgid_programs_are_not_covered(void **state)
{
	static const mode_t modes[] = { 04755, 02755 };

	(void)state;
	need_root();
	for (size_t i = 0; i < 2; i++) {
		const char *program = copy_of(dialer(), "lifted", 0755);
		json_t *report;

		assert_int_equal(chown(program, 1, 1), 0);
		assert_int_equal(chmod(program, modes[i]), 0);
		report = check(program);
		assert_covered(report, false);
		assert_found(report, "privileged", "blocker");
	}
}

/* Root starts it as it is; others do not. */
static void setuid_program_of_root_is_covered_in_part_for_root(void **state)
{
	const char *program;

	(void)state;
	need_root();
	program = copy_of(dialer(), "lifted", 04755);
	assert_found(check(program), "privileged", "warning");
	assert_partly(check(program));
}

static void file_capabilities_are_found(void **state)
{
	const char *program;
	struct process *p;

	(void)state;
	need_root();
	if (!program_exists("setcap"))
		skip_because("setcap is not installed");
	program = copy_of(dialer(), "lifted", 0755);
	p = run(NULL, "setcap", "cap_net_raw+ep", program, NULL);
	if (p->exit_status)
		skip_because("this file system keeps no capabilities");
	assert_non_null(strstr(text_of(assert_found(check(program), "privileged", "warning"), "what"), "capabilities"));
}

static void program_that_cannot_be_read_is_covered_in_part(void **state)
{
	const char *program, *copy;
	struct process *p;

	(void)state;
	need_root();
	program = copy_of(dialer(), "secret", 0711);
	copy = copy_of(tool(), "fairdial", 0755);
	p = process_start(&(struct start){ .argv = ARGV(copy, "check", program), .uid = NOBODY });
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->out_text, "warning  file-unknown: "));
}

static void missing_loader_is_found(void **state)
{
	json_t *report = check(program_of("gcc", "int main(void) { return 0; }", "-Wl,-dynamic-linker,/lib/ld-nowhere.so.1"));

	(void)state;
	assert_covered(report, false);
	assert_non_null(strstr(text_of(assert_found(report, "loader-missing", "blocker"), "what"), "/lib/ld-nowhere.so.1"));
}

static void library_that_is_nowhere_is_found(void **state)
{
	const char *lib = program_of("gcc", "int f(void) { return 0; }", "-shared -fPIC -Wl,-soname,libnowhere.so.1");
	const char *source = "int f(void); int main(void) { return f(); }", *folder = format("%.*s", (int)(strlen(lib) - 2), lib);
	const char *program = program_of("gcc", source, lib), *of_musl = NULL;
	struct services *s = table();
	struct question q = { .env = s->env };

	(void)state;
	assert_clean(run_shell(NULL, "cp %s %s/libnowhere.so.1", lib, folder));
	assert_covered(check(program), false);
	assert_non_null(strstr(text_of(assert_found(check(program), "library-missing", "blocker"), "what"), "libnowhere.so.1"));
	assert_covered(check(program_of("gcc", source, format("%s -Wl,-rpath,%s", lib, folder))), true);
	assert_covered(check(program_of("gcc", source, format("%s -Wl,--disable-new-dtags,-rpath,%s", lib, folder))), true);
	q.env = with_env(s->env, format("LD_LIBRARY_PATH=/nowhere:%s", folder), NULL);
	assert_covered(check_as(&q, program), true);
	if (program_exists("musl-gcc"))
		of_musl = program_of("musl-gcc", source, lib);
	if (of_musl) {
		assert_found(check(of_musl), "library-missing", "blocker");
		assert_covered(check_as(&q, of_musl), true);
	}
}

/* What the loader of glibc finds, it says itself. */
static void library_that_the_loader_finds_is_not_missed(void **state)
{
	static const char *const origins[] = { "$ORIGIN", "${ORIGIN}/x/../.", "/nowhere:$ORIGIN/sub/.." };
	const char *lib = program_of("gcc", "int f(void) { return 0; }", "-shared -fPIC -Wl,-soname,libnowhere.so.1");
	const char *source = "int f(void); int main(void) { return f(); }";

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *program = program_of("gcc", source, format("%s '-Wl,-rpath,%s'", lib, origins[i]));
		const char *folder = format("%.*s", (int)(strlen(program) - 2), program);

		assert_clean(run_shell(NULL, "cd %s && mkdir -p sub x && cp %s libnowhere.so.1 && ./p", folder, lib));
		assert_covered(check(program), true);
	}
	assert_covered(check("curl"), true);
	assert_covered(check("python3"), true);
}

/* Its head alone: that is all there is to look at. */
static void program_of_32_bits_is_not_covered(void **state)
{
	Elf32_Ehdr head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
			    .e_machine = EM_386, .e_version = EV_CURRENT, .e_ehsize = sizeof(head) };
	const char *program = format("%s/old", scratch_dir());
	json_t *report;

	(void)state;
	write_file(program, &head, sizeof(head));
	assert_int_equal(chmod(program, 0755), 0);
	report = check(program);
	assert_covered(report, false);
	assert_non_null(strstr(text_of(assert_found(report, "other-machine", "blocker"), "what"), "x86 (32 bits)"));
}

/* setpriv(1) makes it so for what it starts: a mark on a file does nothing then, but capabilities still keep the loader off. */
static void marks_without_effect_are_notes(void **state)
{
	struct services *s = table();
	struct question q = { .env = s->env, .before = "setpriv --no-new-privs" };
	const char *program;
	json_t *report;

	(void)state;
	need_root();
	if (!program_exists("setpriv"))
		skip_because("setpriv is not installed");
	program = copy_of(dialer(), "lifted", 0755);
	assert_int_equal(chown(program, 1, 1), 0);
	assert_int_equal(chmod(program, 04755), 0);
	report = check_as(&q, program);
	assert_found(report, "no-new-privileges", "note");
	assert_covered(report, true);
}

/* The filter of container runtimes: what is not on their list is EPERM. */
static void check_works_under_a_filter_of_system_calls(void **state)
{
	struct services *s = table();
	struct question q = { .env = s->env, .before = format("%s container", built("helpers/confine")) };

	(void)state;
	assert_covered(check_as(&q, dialer()), true);
}

/* ---- how it dials ---- */

static void calls_past_the_shim_are_found(void **state)
{
	static const char bare[] = "#include <unistd.h>\nint main(int c, char **v) { return syscall(42 + c, 0, 0, 0); }";
	static const char uring[] = "int io_uring_queue_init(); int main(void) { return io_uring_queue_init(); }";
	static const char stub[] = "int io_uring_queue_init() { return 0; }";
	const char *lib = program_of("gcc", stub, "-shared -fPIC -Wl,-soname,liburing.so.2");

	(void)state;
	assert_found(check(program_of("gcc", bare, "")), "bare-calls", "warning");
	assert_partly(check(program_of("gcc", bare, "")));
	assert_found(check(program_of("gcc", uring, format("%s", lib))), "io-uring", "warning");
	assert_null(find(check(dialer()), "bare-calls"));
	assert_null(find(check(dialer()), "io-uring"));
}

static void bare_connect_in_the_code_is_found(void **state)
{
#if defined(__x86_64__)
	static const char source[] = "int main(void) { long r = 42; __asm__ volatile(\"movl $42,%%eax; syscall\" : \"=a\"(r) : "
				     "\"D\"(0L), \"S\"(0L), \"d\"(0L) : \"rcx\", \"r11\", \"memory\"); return r; }";
#else
	static const char source[] = "int main(void) { __asm__ volatile(\"mov x8,#203; svc #0\" : : : \"x8\", \"x0\", \"memory\"); "
				     "return 0; }";
#endif

	(void)state;
	assert_found(check(program_of("gcc", source, "")), "bare-connect", "warning");
}

/* However the compiler calls it, and whatever else is passed: the newline is 10 too. */
static void loading_of_objects_past_the_shim_is_found(void **state)
{
#if defined(__x86_64__)
	static const char source[] = "#include <dlfcn.h>\n#include <string.h>\n"
				     "int main(int c, char **v) { return !strchr(v[0], 10) + !dlopen(v[1], FLAGS); }";
	static const char *const ways[] = { "-O0", "-O2", "-O2 -fno-plt", "-O2 -fcf-protection=full -Wl,-z,lazy", "-no-pie" };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		json_t *deep = check(program_of("gcc", source, format("%s '-DFLAGS=RTLD_LAZY | RTLD_DEEPBIND' -ldl", ways[i])));
		json_t *plain = check(program_of("gcc", source, format("%s '-DFLAGS=RTLD_NOW | RTLD_GLOBAL' -ldl", ways[i])));

		assert_found(deep, "deepbind", "warning");
		assert_partly(deep);
		assert_found(plain, "dlopen", "note");
		assert_covered(plain, true);
	}
#else
	(void)state;
	skip_because("the flags of a call are told of x86-64 code alone");
#endif
}

static void loading_of_objects_is_noted(void **state)
{
	static const char source[] = "#include <dlfcn.h>\nint main(void) { return !dlopen(\"x\", RTLD_NOW); }";
	static const char apart[] = "#include <dlfcn.h>\nint main(void) { return !dlmopen(LM_ID_NEWLM, \"x\", RTLD_NOW); }";
	json_t *report = check(program_of("gcc", source, "-ldl"));

	(void)state;
	assert_covered(report, true);
	assert_non_null(strstr(text_of(assert_found(report, "dlopen", "note"), "what"), "RTLD_DEEPBIND"));
	assert_found(check(program_of("gcc", apart, "-ldl")), "dlmopen", "note");
}

/* ---- scripts ---- */

static void script_is_followed_to_what_runs_it(void **state)
{
	const char *path = script(format("#!%s --x\n", dialer())), *by_env = script("#!/usr/bin/env -S sh -e\n");
	json_t *report = check(path);

	(void)state;
	assert_covered(report, true);
	assert_string_equal(text_of(report, "subject"), dialer());
	assert_non_null(strstr(text_of(assert_found(report, "script", "note"), "what"), path));
	report = check(by_env);
	assert_non_null(strstr(text_of(assert_found(report, "script", "note"), "what"), "env looks up"));
	assert_found(report, "wrapper", "note");
	assert_found(check(script("true\n")), "script", "note");
}

static void script_whose_program_is_static_is_not_covered(void **state)
{
	(void)state;
	assert_found(check(script(format("#!%s\n", compiled_for_musl("dialer", "-static")))), "static", "blocker");
}

static void script_that_clears_its_environment_is_not_covered(void **state)
{
	(void)state;
	assert_covered(check(script("#!/usr/bin/env -S -i sh\n")), false);
	assert_found(check(script("#!/usr/bin/env -S -u LD_PRELOAD sh\n")), "preload-lost", "blocker");
}

static void command_of_env_is_followed(void **state)
{
	json_t *report = check(format("env A=1 -u B %s --x", dialer()));

	(void)state;
	assert_covered(report, true);
	assert_string_equal(text_of(report, "subject"), dialer());
	assert_found(report, "script", "note");
	assert_null(find(report, "wrapper"));
	assert_found(check(format("env -i %s", dialer())), "preload-lost", "blocker");
	assert_found(check(format("env - %s", dialer())), "preload-lost", "blocker");
	assert_found(check(format("env LD_PRELOAD= %s", dialer())), "preload-lost", "blocker");
	assert_null(find(check(format("env LD_PRELOAD=/x/libfairdial.so %s", dialer())), "preload-lost"));
	assert_covered(check(format("env env B=2 env %s", dialer())), true);
	assert_found(check("env"), "wrapper", "note");
	assert_error(ask(NULL, "env no-such-program"), 1);
}

/* As the kernel and env(1) have it, of one word behind the program's name, or of none. */
static void first_lines_are_read_as_they_are_run(void **state)
{
	const char *program = dialer();

	(void)state;
	assert_covered(check(script(format("#! \t%s \t-x y\n", program))), true);
	assert_covered(check(script(format("#!%s", program))), true);
	assert_covered(check(script(format("#!/usr/bin/env -S%s -x\n", program))), true);
	assert_covered(check(script(format("#!/usr/bin/env --split-string=%s -x\n", program))), true);
	assert_error(ask(NULL, script(format("#!%s\r\n", program))), 1);
	assert_error(ask(NULL, script(format("#!/usr/bin/env %s -x\n", program))), 1);
	assert_error(ask(NULL, script("#!\n")), 1);
	assert_error(ask(NULL, script(format("#!/%0300d\n", 0))), 1);
}

static void scripts_of_scripts_are_followed_as_far_as_the_kernel_goes(void **state)
{
	const char *path = dialer();

	(void)state;
	for (int i = 0; i < 4; i++)
		path = script(format("#!%s\n", path));
	assert_covered(check(path), true);
	for (int i = 0; i < 4; i++)
		path = script(format("#!%s\n", path));
	assert_error(ask(NULL, path), 1);
}

/* What a package's own starter runs is not its child, or has other files. */
static void programs_that_run_others_elsewhere_are_warned_of(void **state)
{
	static const char *const names[] = { "flatpak", "bwrap", "sudo", "docker" };
	const char *dir = scratch_dir(), *link = format("%s/app", dir);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *wrapper = copy_of(dialer(), names[i], 0755);

		assert_found(check(wrapper), "wrapper-elsewhere", "warning");
		assert_found(check(script(format("#!%s run app\n", wrapper))), "wrapper-elsewhere", "warning");
	}
	assert_int_equal(symlink(copy_of(dialer(), "snap", 0755), link), 0);
	assert_non_null(strstr(text_of(assert_found(check(link), "wrapper-elsewhere", "warning"), "what"), "snap"));
}

static void busybox_is_told_by_its_own_file(void **state)
{
	json_t *report;

	(void)state;
	if (!program_exists("busybox"))
		skip_because("busybox is not installed");
	report = check("busybox wget x");
	assert_found(report, "wrapper", "note");
	assert_true(find(report, "static") || find(report, "dynamic"));
}

static void shell_with_a_command_is_noted(void **state)
{
	(void)state;
	assert_non_null(strstr(text_of(assert_found(check("sh -c 'exec curl x'"), "wrapper", "note"), "what"), "-c exec curl x"));
}

/* ---- the shim's file ---- */

static json_t *check_with_shim(const char *shim, uid_t uid)
{
	struct services *s = table();
	struct question q = { .env = with_env(s->env, "LD_PRELOAD", NULL), .uid = uid };

	return check_as(&q, format("--shim '%s' env", shim));
}

static void shim_that_cannot_be_loaded_is_found(void **state)
{
	const char *damaged = script("not an object");

	(void)state;
	assert_found(check_with_shim("/nowhere/libfairdial.so", 0), "no-file", "blocker");
	assert_found(check_with_shim(damaged, 0), "no-object", "blocker");
	assert_found(check_with_shim(copy_of(built("libfairdial.so"), "lib fairdial.so", 0755), 0), "preload-unnameable",
		     "blocker");
	assert_found(check_with_shim(built("libfairdial.so"), 0), "preload-unset", "note");
}

static void shim_that_this_user_cannot_read_is_found(void **state)
{
	const char *shim, *copy;
	struct question q = { .uid = NOBODY };
	struct process *p;

	(void)state;
	need_root();
	shim = copy_of(built("libfairdial.so"), "libfairdial.so", 0600);
	copy = copy_of(tool(), "fairdial", 0755);
	p = process_start(&(struct start){ .argv = ARGV(copy, "check", "--shim", shim, "env"), .uid = q.uid });
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->out_text, "blocker  unreadable: "));
}

static void shim_on_a_mount_without_execution_is_found(void **state)
{
	const char *dir = scratch_dir(), *mount = format("mount -t tmpfs -o noexec none %s", dir);
	struct process *p;

	(void)state;
	if (run(NULL, "unshare", "-m", "sh", "-c", mount, NULL)->exit_status)
		skip_because("no mount of its own");
	p = run(NULL, "unshare", "-m", "sh", "-c",
		format("%s && cp %s %s && exec %s check --shim %s/libfairdial.so env", mount, built("libfairdial.so"), dir, tool(),
		       dir),
		NULL);
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->out_text, "blocker  noexec: "));
}

static void other_preloads_are_told(void **state)
{
	const char *hooks = program_of("gcc", "int connect() { return -1; }", "-shared -fPIC"), *shim = built("libfairdial.so");
	const char *calm = program_of("gcc", "int some_name;", "-shared -fPIC");
	struct services *s = table();
	struct question q = { 0 };
	json_t *report;

	(void)state;
	/* The tool itself is under these objects: it dials nobody. */
	q.env = with_env(s->env, PRELOAD(format("%s:%s", hooks, shim)), NULL);
	report = check_as(&q, dialer());
	assert_found(report, "other-preload-first", "warning");
	assert_partly(report);
	q.env = with_env(s->env, PRELOAD(format("%s:%s", shim, hooks)), NULL);
	assert_found(check_as(&q, dialer()), "other-preload-takes", "note");
	q.env = with_env(s->env, PRELOAD(format("%s %s", calm, shim)), NULL);
	report = check_as(&q, dialer());
	assert_found(report, "other-preload", "ok");
	assert_covered(report, true);
}

/* ---- the environment and the table ---- */

/* Holds a connection until the test ends. */
static struct process *held(struct services *s, const struct backends *b, const char *const *env)
{
	struct start start = { .argv = ARGV(dialer(), "--hold", s ? SERVICE_ADDRESS : backends_address(b, 0),
					    s ? "80" : format("%d", backends_port(b, 0))),
			       .env = env,
			       .interactive = true };
	struct process *p = process_start(&start);

	process_expect(p, "ready\n", LIMIT_MS);
	return p;
}

static void switches_are_found(void **state)
{
	struct services *s = table();
	struct question q = { .env = with_env(s->env, "FAIRDIAL=off", NULL) };

	(void)state;
	assert_found(check_as(&q, dialer()), "off", "blocker");
	q.env = with_env(s->env, "FAIRDIAL=observe", NULL);
	assert_found(check_as(&q, dialer()), "observe", "blocker");
	q.env = with_env(s->env, "FAIRDIAL_ONLY=web", NULL);
	assert_found(check_as(&q, dialer()), "lists", "note");
}

static void missing_and_damaged_tables_are_found(void **state)
{
	struct services *none = services_open(), *damaged = table();
	struct question q = { .env = none->env };
	json_t *report = check_as(&q, dialer());

	(void)state;
	assert_found(report, "no-table", "note"); /* whether it can be spread is another question */
	assert_covered(report, true);
	assert_true(json_is_false(json_object_get(json_object_get(report, "table"), "readable")));
	write_file(damaged->table, "damaged", 7);
	q.env = damaged->env;
	assert_found(check_as(&q, dialer()), "table-unreadable", "warning");
	assert_string_equal(text_of(json_object_get(check_as(NULL, format("--dir %s %s", none->dir, dialer())), "table"), "dir"),
			    none->dir);
}

/* As one is whose agent was killed a long time ago: its heartbeat is put back. */
static void table_whose_agent_is_silent_is_found(void **state)
{
	struct services *s = table();
	struct agent_run *a = agent_start_alone(NULL, ARGV("--services", s->file));
	struct question q = { .env = with_env(a->env, NULL) };
	const uint64_t long_ago = 1;
	int fd;

	(void)state;
	if (clock_boot_ms() < 90000)
		skip_because("this machine was started just now: nothing can be old");
	agent_wait_vouched(a, true);
	assert_covered(check_as(&q, dialer()), true);
	agent_end(a, SIGKILL);
	fd = open(format("%s/table", a->dir), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &long_ago, sizeof(long_ago), offsetof(struct table_head, heartbeat_ms)), sizeof(long_ago));
	close(fd);
	assert_found(check_as(&q, dialer()), "stale", "warning");
	assert_partly(check_as(&q, dialer()));
}

static void table_of_another_boot_is_none(void **state)
{
	struct services *s = table();
	struct question q = { .env = s->env };
	struct table_head *head;
	size_t size;
	char *bytes = read_file(s->table, &size);

	(void)state;
	head = (void *)bytes;
	head->flags &= ~(uint64_t)TABLE_STATIC;
	head->heartbeat_ms = clock_boot_ms();
	memset(head->boot_id, 1, sizeof(head->boot_id));
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	write_file(s->table, bytes, size);
	assert_found(check_as(&q, dialer()), "table-of-other-boot", "warning");
	assert_partly(check_as(&q, dialer()));
}

/* Whoever asks from elsewhere knows nothing of the connections that a ledger counts. */
static void ledger_is_left_as_it_is(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct process *p = held(s, b, s->env);
	struct question q = { .before = "unshare -n" };
	size_t size, size_after;
	char *before, *after;

	(void)state;
	before = read_file(s->ledger, &size);
	if (run(NULL, "unshare", "-n", "true", NULL)->exit_status)
		skip_because("no network namespace of its own");
	assert_found(check_as(&q, format("--pid %d", (int)p->pid)), "covered", "ok");
	assert_found(check_as(&q, format("--dir %s %s", s->dir, dialer())), "table", "ok");
	after = read_file(s->ledger, &size_after);
	assert_int_equal(size, size_after);
	assert_memory_equal(before, after, size);
}

static void table_of_many_services_is_read(void **state)
{
	static const struct place place = { "127.0.0.1", 9 };
	struct services *s = services_open();
	size_t size = 0, room = MANY * 160;
	char *entries = calloc(1, room);
	struct question q = { .env = s->env };
	json_t *report;

	(void)state;
	for (int i = 0; i < MANY; i++)
		size += (size_t)snprintf(entries + size, room - size,
					 "%s{ \"name\": \"s%d\", \"addresses\": [\"127.%d.%d.%d\"], \"ports\": [{ \"port\": 80 }], "
					 "\"endpoints\": [{ \"address\": \"%s\", \"port\": 9 }] }",
					 i ? ", " : "", i, 100 + i / 65536, i / 256 % 256, i % 256, place.address);
	services_publish(s, entries);
	free(entries);
	report = check_as(&q, dialer());
	assert_covered(report, true);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(report, "table"), "services")), MANY);
}

/* ---- processes ---- */

static json_t *check_pid(pid_t pid)
{
	return check_as(NULL, format("--pid %d", (int)pid));
}

static void process_with_the_shim_is_covered(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct process *p = held(s, b, s->env);
	json_t *report = check_pid(p->pid), *shim = json_object_get(report, "shim"), *table = json_object_get(report, "table");

	(void)state;
	assert_covered(report, true);
	assert_found(report, "covered", "ok");
	assert_true(json_is_true(json_object_get(shim, "mapped")));
	assert_string_equal(text_of(shim, "path"), built("libfairdial.so"));
	assert_non_null(strstr(text_of(shim, "version"), "."));
	assert_true(json_is_true(json_object_get(table, "mapped")));
	assert_string_equal(text_of(table, "dir"), s->dir);
	assert_true(json_integer_value(json_object_get(table, "age_ms")) >= 0);
	assert_found(check_as(NULL, format("--dir %s --pid %d", s->dir, (int)p->pid)), "table", "ok");
	assert_found(check_as(NULL, format("--dir %s --pid %d", services_of_web(b, NULL)->dir, (int)p->pid)), "other-table",
		     "blocker");
}

static void process_without_the_shim_is_not_covered(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct process *p = held(NULL, b, NULL);
	json_t *report = check_pid(p->pid);

	(void)state;
	assert_covered(report, false);
	assert_true(json_is_false(json_object_get(json_object_get(report, "shim"), "mapped")));
	assert_true(find(report, "preload-never") || find(report, "started-before-install"));
}

static void process_whose_table_is_replaced_or_gone_is_told(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct process *p = held(s, b, s->env);

	(void)state;
	assert_clean(run_shell(NULL, "cp -p %s %s.new && mv %s.new %s", s->table, s->table, s->table, s->table));
	assert_found(check_pid(p->pid), "table-replaced", "note");
	assert_int_equal(unlink(s->table), 0);
	assert_found(check_pid(p->pid), "table-removed", "blocker");
}

/* Root does not trust the table of another user, who does. */
static void process_of_another_user_is_judged_by_what_it_trusts(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s;
	struct start start;
	struct process *p;

	(void)state;
	need_root();
	s = services_of_web(b, NULL);
	assert_clean(run_shell(NULL, "chown -R %d %s && chmod 755 %s", NOBODY, s->root, s->root));
	start = (struct start){ .argv = ARGV(dialer(), "--hold", SERVICE_ADDRESS, "80"), .env = s->env, .interactive = true,
				.uid = NOBODY };
	p = process_start(&start);
	process_expect(p, "ready\n", LIMIT_MS);
	assert_found(check_pid(p->pid), "table-of-another", "note");
	assert_covered(check_pid(p->pid), true);
}

static void process_whose_shim_is_replaced_or_gone_is_told(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *shim = copy_of(built("libfairdial.so"), "libfairdial.so", 0755);
	struct process *p = held(s, b, with_env(s->env, PRELOAD(shim), NULL));

	(void)state;
	assert_clean(run_shell(NULL, "cp %s %s.new && mv %s.new %s", shim, shim, shim, shim));
	assert_found(check_pid(p->pid), "shim-replaced", "note");
	assert_int_equal(unlink(shim), 0);
	assert_found(check_pid(p->pid), "shim-removed", "note");
}

/* A copy whose note tells another version of the same length. */
static const char *shim_of_version(const char *version)
{
	static const char owner[] = "fairdial\0\0\0";
	const char *copy = copy_of(built("libfairdial.so"), "libfairdial.so", 0755);
	size_t size;
	char *bytes = read_file(copy, &size), *note = memmem(bytes, size, owner, sizeof(owner));

	assert_int_equal(strlen(version), strlen(FAIRDIAL_VERSION));
	assert_non_null(note);
	assert_string_equal(note + sizeof(owner), FAIRDIAL_VERSION);
	memcpy(note + sizeof(owner), version, strlen(version));
	write_file(copy, bytes, size);
	assert_int_equal(chmod(copy, 0755), 0);
	return copy;
}

static void version_of_the_shim_is_told_and_held_against_the_tool(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *other = shim_of_version("9.8.7"), *text;
	struct process *p = held(s, b, with_env(s->env, PRELOAD(other), NULL));
	struct question q = { .env = with_env(s->env, PRELOAD(other), NULL) };
	json_t *report = check_pid(p->pid);

	(void)state;
	assert_covered(report, true);
	assert_string_equal(text_of(json_object_get(report, "shim"), "version"), "9.8.7");
	text = text_of(assert_found(report, "other-version", "note"), "what");
	assert_non_null(strstr(text, "9.8.7"));
	assert_non_null(strstr(text, FAIRDIAL_VERSION));
	assert_non_null(strstr(ask(NULL, format("--pid %d", (int)p->pid))->out_text, ", version 9.8.7, build "));
	assert_found(check_as(&q, dialer()), "other-version", "note");
	assert_null(find(check(dialer()), "other-version"));
}

/* The file that is mapped is asked, not the one in its place: as root, whom the kernel lets. */
static void version_is_that_of_the_mapped_file(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *other = shim_of_version("9.8.7");
	struct process *p = held(s, b, with_env(s->env, PRELOAD(other), NULL));

	(void)state;
	need_root();
	if (run_shell(NULL, "cat /proc/%d/map_files/* >/dev/null", (int)p->pid)->exit_status)
		skip_because("what a process has mapped may not be opened here");
	assert_clean(run_shell(NULL, "cp %s %s.new && mv %s.new %s", built("libfairdial.so"), other, other, other));
	assert_string_equal(text_of(json_object_get(check_pid(p->pid), "shim"), "version"), "9.8.7");
	assert_int_equal(unlink(other), 0);
	assert_string_equal(text_of(json_object_get(check_pid(p->pid), "shim"), "version"), "9.8.7");
}

/* Links in its file system do not lead into ours, and its paths are its own. */
static void process_in_a_root_of_its_own_is_looked_at_there(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *root, *program = compiled_for_musl("dialer", "");
	struct start start;
	struct process *p;
	json_t *report;

	(void)state;
	need_root();
	root = format("%s/root", s->root);
	assert_clean(run_shell(NULL,
			       "set -e; cd %s; mkdir -p root/lib root/opt root/real; cp %s root/dialer; cp %s root/opt; "
			       "cp -L /lib/ld-musl-*.so.1 root/lib; cp -p %s/table root/real; ln -s /real root/link",
			       s->root, program, built("libfairdial.so"), s->dir));
	start = (struct start){ .argv = ARGV("/dialer", "--hold", SERVICE_ADDRESS, "80"),
				.env = with_env(s->env, "LD_PRELOAD=/opt/libfairdial.so", "FAIRDIAL_DIR=/link", NULL),
				.interactive = true,
				.root = root };
	p = process_start(&start);
	process_expect(p, "ready\n", LIMIT_MS);
	report = check_pid(p->pid);
	assert_string_equal(text_of(json_object_get(report, "shim"), "path"), "/opt/libfairdial.so");
	assert_true(json_is_true(json_object_get(json_object_get(report, "table"), "mapped")));
	assert_true(json_is_true(json_object_get(json_object_get(report, "table"), "readable")));
	assert_found(report, "table", "ok");
	assert_covered(report, true);
}

static void first_process_of_a_namespace_is_told(void **state)
{
	struct services *s = table();
	struct start start = { .argv = ARGV("unshare", "-pf", "--mount-proc", "sh", "-c", format("%s check --pid 1; true", tool())),
			       .env = s->env };
	struct process *p = process_start(&start);

	(void)state;
	process_wait(p, LIMIT_MS);
	if (strstr(p->err_text, "unshare"))
		skip_because("no PID namespace of its own");
	assert_non_null(strstr(p->out_text, "\nnote     pid-1: "));
}

static void listen_on(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
}

/* Of the last test: the network namespace stays. A process elsewhere is judged by its own namespace. */
static void mesh_is_found(void **state)
{
	struct services *s = table();
	struct start start = { .argv = ARGV("cat"), .env = s->env, .interactive = true };
	struct process *outside = process_start(&start), *inside;
	json_t *report;

	(void)state;
	process_say(outside, "ready\n");
	process_expect(outside, "ready\n", LIMIT_MS);
	need_network_namespace();
	listen_on(15001);
	report = check(dialer());
	assert_partly(report);
	assert_non_null(strstr(text_of(assert_found(report, "mesh", "warning"), "what"), "15001"));
	inside = process_start(&start);
	process_say(inside, "ready\n");
	process_expect(inside, "ready\n", LIMIT_MS);
	assert_found(check_pid(inside->pid), "mesh", "warning");
	report = check_pid(outside->pid);
	assert_null(find(report, "mesh"));
	assert_found(report, "covered", "ok");
}

/* ---- usage and output ---- */

static void mistakes_are_one_line(void **state)
{
	(void)state;
	assert_error(ask(NULL, ""), 2);
	assert_error(ask(NULL, "--pid"), 2);
	assert_error(ask(NULL, "--pid x"), 2);
	assert_error(ask(NULL, "--pid 0"), 2);
	assert_error(ask(NULL, "--pid 1 env"), 2);
	assert_error(ask(NULL, "--what"), 2);
	assert_error(ask(NULL, "no-such-program"), 1);
	assert_error(ask(NULL, "/dev/null"), 1);
	assert_error(ask(NULL, script("#!/nowhere/at-all\n")), 1);
	assert_error(ask(NULL, "--pid 2147483647"), 1);
}

/* A pipe is not opened: nobody writes into it. */
static void what_is_no_file_is_refused(void **state)
{
	const char *dir = scratch_dir(), *pipe = format("%s/pipe", dir);
	struct process *p;

	(void)state;
	assert_int_equal(mkfifo(pipe, 0755), 0);
	p = ask(NULL, pipe);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "no regular file"));
	p = ask(NULL, dir);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "directory"));
	p = ask(NULL, format("/usr/bin/env %s", pipe));
	assert_error(p, 1);
	assert_error(ask(NULL, copy_of(dialer(), "plain", 0644)), 1);
	assert_error(ask(NULL, "''"), 2);
	assert_error(ask(NULL, format("%s/pipe/x", dir)), 1);
}

static void pipe_in_the_place_of_a_file_is_not_waited_for(void **state)
{
	struct services *s = services_open();
	const char *pipe = format("%s/libfairdial.so", scratch_dir());
	struct question q = { .env = s->env };

	(void)state;
	assert_int_equal(mkfifo(pipe, 0755), 0);
	assert_int_equal(mkfifo(s->table, 0644), 0);
	assert_found(check_as(&q, dialer()), "table-unreadable", "warning");
	assert_found(check_with_shim(pipe, 0), "no-object", "blocker");
}

static void names_are_safe_on_a_terminal(void **state)
{
	const char *program = copy_of(dialer(), "a\033[31mb", 0755);
	struct services *s = table();
	struct process *p = process_start(&(struct start){ .argv = ARGV(tool(), "check", program), .env = s->env });

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	assert_null(strchr(p->out_text, '\033'));
	assert_non_null(strstr(p->out_text, "a?[31mb: covered\n"));
	p = ask(NULL, "\"$(printf 'x\\033[31my')\"");
	assert_error(p, 1);
	assert_null(strchr(p->err_text, '\033'));
}

static void colours_are_for_terminals(void **state)
{
	struct start start = { .argv = ARGV(tool(), "check", dialer()),
			       .env = with_env(table()->env, "TERM=xterm", "NO_COLOR", NULL),
			       .on_terminal = true };
	struct process *p = process_start(&start);

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_non_null(strstr(p->out_text, "\033[32mcovered\033[0m"));
	start.env = with_env(start.env, "NO_COLOR=1", NULL);
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	assert_null(strchr(p->out_text, '\033'));
}

static void script_whose_interpreter_is_nowhere_is_told_what_to_correct(void **state)
{
	static const char script[] = "#!/nowhere/interpreter\n";
	const char *path = format("%s/script", scratch_dir());
	struct process *p;

	(void)state;
	write_file(path, script, sizeof(script) - 1);
	assert_int_equal(chmod(path, 0755), 0);
	p = run(NULL, built("fairdial"), "check", path, NULL);
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, format("/nowhere/interpreter, which runs the script %s: there is none: install it, or correct "
						   "the first line of the script\n",
						   path)));
}

int main(int argc, char **argv)
{
	(void)argc;
	tun_need_root(argv);
	const struct CMUnitTest tests[] = {
		TEST(dynamic_program_is_covered),
		TEST(script_whose_interpreter_is_nowhere_is_told_what_to_correct),
		TEST(program_is_looked_up_in_path),
		TEST(program_of_musl_is_covered),
		TEST(static_program_is_not_covered),
		TEST(program_of_go_is_not_covered),
		TEST(program_for_another_machine_is_not_covered),
		TEST(setuid_and_setgid_programs_are_not_covered),
		TEST(setuid_program_of_root_is_covered_in_part_for_root),
		TEST(file_capabilities_are_found),
		TEST(program_that_cannot_be_read_is_covered_in_part),
		TEST(missing_loader_is_found),
		TEST(library_that_is_nowhere_is_found),
		TEST(library_that_the_loader_finds_is_not_missed),
		TEST(program_of_32_bits_is_not_covered),
		TEST(marks_without_effect_are_notes),
		TEST(check_works_under_a_filter_of_system_calls),
		TEST(calls_past_the_shim_are_found),
		TEST(bare_connect_in_the_code_is_found),
		TEST(loading_of_objects_is_noted),
		TEST(loading_of_objects_past_the_shim_is_found),
		TEST(script_is_followed_to_what_runs_it),
		TEST(script_whose_program_is_static_is_not_covered),
		TEST(script_that_clears_its_environment_is_not_covered),
		TEST(shell_with_a_command_is_noted),
		TEST(command_of_env_is_followed),
		TEST(first_lines_are_read_as_they_are_run),
		TEST(scripts_of_scripts_are_followed_as_far_as_the_kernel_goes),
		TEST(programs_that_run_others_elsewhere_are_warned_of),
		TEST(busybox_is_told_by_its_own_file),
		TEST(shim_that_cannot_be_loaded_is_found),
		TEST(shim_that_this_user_cannot_read_is_found),
		TEST(shim_on_a_mount_without_execution_is_found),
		TEST(other_preloads_are_told),
		TEST(switches_are_found),
		TEST(missing_and_damaged_tables_are_found),
		TEST(table_whose_agent_is_silent_is_found),
		TEST(table_of_many_services_is_read),
		TEST(table_of_another_boot_is_none),
		TEST(ledger_is_left_as_it_is),
		TEST(process_with_the_shim_is_covered),
		TEST(process_without_the_shim_is_not_covered),
		TEST(process_whose_table_is_replaced_or_gone_is_told),
		TEST(process_of_another_user_is_judged_by_what_it_trusts),
		TEST(process_whose_shim_is_replaced_or_gone_is_told),
		TEST(version_of_the_shim_is_told_and_held_against_the_tool),
		TEST(version_is_that_of_the_mapped_file),
		TEST(process_in_a_root_of_its_own_is_looked_at_there),
		TEST(first_process_of_a_namespace_is_told),
		TEST(mistakes_are_one_line),
		TEST(what_is_no_file_is_refused),
		TEST(pipe_in_the_place_of_a_file_is_not_waited_for),
		TEST(names_are_safe_on_a_terminal),
		TEST(colours_are_for_terminals),
		TEST(mesh_is_found),
	};

	return RUN_TESTS(tests);
}
