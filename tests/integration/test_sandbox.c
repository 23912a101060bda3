/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that may do less than others, or see less: filters of system calls, a PID namespace of their own, a root that is
 * read-only, mounts from which nothing may be executed, no /proc. They run as they do natively.
 */
#include "support/testing.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/layout.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { SYSTEM_CALLS = 512, NATIVE_RUNS = 2, ARGUMENTS = 32, LIMIT_MS = 60000 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""
#define LEAST_CONN  "\"balance\": \"least_conn\""

/* ---- a program, natively and under the shim, in a sandbox ---- */

struct scene {
	struct backends *b; /* the first is at the address of the Service, the others are its endpoints */
	struct services *s;
	const char *host, *port;
};

static struct scene scene_of(const char *more)
{
	struct scene scene = { .b = backends_start(4, ONE_PORT) };

	scene.s = services_at_first(scene.b, more);
	scene.host = backends_address(scene.b, 0);
	scene.port = format("%d", backends_port(scene.b, 0));
	return scene;
}

static unsigned redirected(const struct scene *scene)
{
	return backends_accepted(scene->b, 1) + backends_accepted(scene->b, 2) + backends_accepted(scene->b, 3);
}

/* Two lists of arguments, and the environment of the shim between them. */
static const char *const *joined(const char *const *first, const char *const *env, const char *const *second)
{
	const char *const *const parts[] = { first, env, second };
	const char **all = calloc(ARGUMENTS, sizeof(*all));
	size_t n = 0;

	after_test(free, all);
	for (size_t i = 0; i < 3; i++)
		for (const char *const *one = parts[i]; one && *one; one++) {
			assert_true(n + 1 < ARGUMENTS);
			all[n++] = *one;
		}
	return all;
}

static struct process *run_list(const char *const *argv)
{
	struct process *p = process_start(&(struct start){ .argv = argv });

	process_wait(p, LIMIT_MS);
	return p;
}

/* The programs; each says who answered its last dial. The first one dials again when what is done once a second is due. */
static const char python[] = "import socket, sys, time\n"
			     "for i in range(2):\n"
			     "    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)\n"
			     "    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n"
			     "    s.getsockname()\n"
			     "    s.sendall(b'who\\n')\n"
			     "    answer = s.recv(64).decode()\n"
			     "    time.sleep(1.1 * (1 - i))\n"
			     "print(answer, end='')\n";
static const char blocking_python[] = "import fcntl, select, socket, sys\n"
				      "s = socket.socket()\n"
				      "s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n"
				      "s.connect((sys.argv[1], int(sys.argv[2])))\n"
				      "s.getsockname(), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)\n"
				      "fcntl.fcntl(s, fcntl.F_GETFL)\n"
				      "s.sendall(b'who\\n')\n"
				      "print(s.recv(64).decode(), end='')\n";

enum { CURL, PYTHON, BLOCKING_PYTHON, DIALER, NONBLOCKING_DIALER, PROGRAMS };

static const char *const *program_of(const struct scene *scene, int which)
{
	const char *const *const programs[PROGRAMS] = {
		[CURL] = ARGV("curl", "-sS", "--max-time", "20", format("http://%s:%s/", scene->host, scene->port)),
		[PYTHON] = ARGV("python3", "-IS", "-c", python, scene->host, scene->port),
		[BLOCKING_PYTHON] = ARGV("python3", "-IS", "-c", blocking_python, scene->host, scene->port),
		[DIALER] = ARGV(built("helpers/dialer"), scene->host, scene->port),
		[NONBLOCKING_DIALER] = ARGV(built("helpers/dialer"), "--nonblocking", scene->host, scene->port),
	};

	return joined(programs[which], NULL, NULL);
}

/* ---- what container runtimes allow ---- */

static void containers_filter_of_system_calls_is_not_noticed(void **state)
{
	(void)state;
	for (int i = 0; i < PROGRAMS; i++) {
		struct scene scene = scene_of(i % 2 ? LEAST_CONN : ROUND_ROBIN);
		const char *const *confine = ARGV(built("helpers/confine"), "container");
		struct process *native = run_list(joined(confine, NULL, program_of(&scene, i)));

		assert_clean(native);
		assert_string_equal(native->out_text, "backend-1\n");
		for (int n = 0; n < 3; n++)
			assert_clean(run_list(joined(confine, scene.s->env, program_of(&scene, i))));
		assert_int_equal(redirected(&scene), i == PYTHON ? 6 : 3);
		if (i % 2)
			assert_true(((const struct ledger_head *)read_file(scene.s->ledger, NULL))->mends > 0);
	}
}

/* ---- no other system calls than those that the program makes anyway ---- */

struct calls {
	char name[SYSTEM_CALLS][24]; /* by number; empty: not made */
};

/* What strace saw: lines "4711 [ 42] connect(…". */
static void note_calls(struct calls *calls, const char *log)
{
	char *rest = read_file(log, NULL), *line, name[24];
	int number;

	while ((line = strsep(&rest, "\n"))) {
		line = strchr(line, '[');
		if (line && sscanf(line, "[ %d] %23[a-z0-9_]", &number, name) == 2 && number >= 0 && number < SYSTEM_CALLS)
			memcpy(calls->name[number], name, sizeof(name));
	}
}

static void trace_calls(struct calls *calls, const char *const *env, const char *const *program)
{
	const char *log = format("%s/log", scratch_dir());
	const char *const *strace = joined(ARGV("strace", "-f", "-n", "-o", log), NULL, NULL);

	for (; env && *env; env++)
		strace = joined(strace, ARGV("-E", *env), NULL);
	run_list(joined(strace, NULL, program));
	note_calls(calls, log);
}

static const char *numbers_of(const struct calls *calls)
{
	const char *list = "";

	for (int i = 0; i < SYSTEM_CALLS; i++)
		if (*calls->name[i])
			list = format("%s%s%d", list, *list ? "," : "", i);
	return list;
}

/* For the message of a test that fails. */
static const char *others(const struct calls *native, const struct calls *calls)
{
	const char *list = "";

	for (int i = 0; i < SYSTEM_CALLS; i++)
		if (*calls->name[i] && !*native->name[i])
			list = format("%s %s", list, calls->name[i]);
	return list;
}

static struct process *run_confined_to(const struct calls *calls, const char *const *env, const char *const *program)
{
	return run_list(joined(ARGV(built("helpers/confine"), numbers_of(calls)), env, program));
}

/* What a program makes natively. Not made anew by every test: it is the same in every scene. */
static const struct calls *native_calls(const struct scene *scene, int which)
{
	static struct calls all[PROGRAMS];
	struct calls *calls = &all[which];
	struct process *p;

	if (*numbers_of(calls))
		return calls;
	for (int i = 0; i < NATIVE_RUNS; i++) /* who waits for whom differs from run to run */
		trace_calls(calls, NULL, program_of(scene, which));
	p = run_confined_to(calls, NULL, program_of(scene, which));
	assert_clean(p);
	assert_string_equal(p->out_text, "backend-1\n");
	return calls;
}

static bool is_answer(const char *text, bool ours)
{
	unsigned counts[4];

	return tally(text, counts, 4) == 0 && counts[0] == !ours && counts[1] + counts[2] + counts[3] == ours;
}

/* True where the program ran as natively; else it is printed why, so that one row does not hide the next. */
static bool runs_confined(const struct scene *scene, int which, const char *what, const char *const *env, bool ours)
{
	const struct calls *native = native_calls(scene, which);
	const char *const *program = program_of(scene, which);
	struct process *p = run_confined_to(native, env, program);
	struct calls here = { { "" } };

	if (p->exit_status == 0 && p->err_length == 0 && is_answer(p->out_text, ours))
		return true;
	trace_calls(&here, env, program);
	printf("program %d, %s: exit status %d, signal %d, \"%s%s\"; other system calls than natively:%s\n", which, what,
	       p->exit_status, p->signal, p->out_text, p->err_text, others(native, &here));
	fflush(stdout);
	return false;
}

static void need_strace(void)
{
	if (run(NULL, "strace", "-n", "-o", "/dev/null", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
}

struct confined {
	const char *what, *policy;
	const char *const *(*prepare)(struct scene *); /* makes the environment of the shim */
};

static void assert_run_confined(const struct confined *rows, size_t count, bool ours, int programs)
{
	int failures = 0;

	need_strace();
	for (size_t row = 0; row < count; row++)
		for (int i = 0; i < programs; i++) {
			struct scene scene = scene_of(rows[row].policy);

			failures += !runs_confined(&scene, i, rows[row].what, rows[row].prepare(&scene), ours);
		}
	if (failures)
		fail_msg("%d programs make system calls that they do not make natively", failures);
}

static const char *const *without_table(struct scene *scene)
{
	return with_env(scene->s->env, "FAIRDIAL_DIR=/nowhere", NULL);
}

static const char *const *without_directory(struct scene *scene)
{
	return with_env(NULL, scene->s->env[0], NULL);
}

static const char *const *with_other_services(struct scene *scene)
{
	assert_int_equal(unlink(scene->s->table), 0);
	services_publish_web(scene->s, scene->b, NULL);
	return scene->s->env;
}

static const char *const *with_ledger(struct scene *scene)
{
	assert_clean(run(scene->s->env, built("helpers/dialer"), scene->host, scene->port, NULL));
	return scene->s->env;
}

/* As publishing made it: the first dial mends. */
static const char *const *with_new_ledger(struct scene *scene)
{
	return scene->s->env;
}

static const char *const *switched_off(struct scene *scene)
{
	return with_env(scene->s->env, "FAIRDIAL=off", NULL);
}

static void no_other_system_calls_for_dials_that_are_not_ours(void **state)
{
	static const struct confined rows[] = {
		{ "switched off", ROUND_ROBIN, switched_off },
		{ "no table", ROUND_ROBIN, without_table },
		{ "no directory", ROUND_ROBIN, without_directory },
		{ "no Service", ROUND_ROBIN, with_other_services },
	};

	(void)state;
	assert_run_confined(rows, sizeof(rows) / sizeof(*rows), false, PROGRAMS);
}

/* The last two programs make neither getsockopt nor getsockname, without which nobody can know what they dial. */
static void no_other_system_calls_for_dials_that_are_ours(void **state)
{
	static const struct confined rows[] = {
		{ "by turns", ROUND_ROBIN, with_ledger },
		{ "by load", LEAST_CONN, with_new_ledger },
	};

	(void)state;
	assert_run_confined(rows, sizeof(rows) / sizeof(*rows), true, DIALER);
}

/* ---- namespaces and mounts ---- */

/*
 * The life "simple" of helpers/lives: six dials and a look for children. `setting` is a line for sh in which "$@" is the program;
 * it runs natively and under the shim.
 */
static void assert_simple_life_is_the_same(const struct scene *scene, const char *setting, const char *const *env)
{
	const char *const *program = ARGV("sh", "-c", setting, "sh", "env");
	const char *const *lives = ARGV(built("helpers/lives"), "simple", scene->host, scene->port, "-");
	struct process *native = run_list(joined(program, NULL, lives));
	unsigned before = redirected(scene), native_dials = backends_accepted(scene->b, 0);

	assert_clean(native);
	assert_same_run(native, run_list(joined(program, env, lives)));
	assert_int_equal(backends_accepted(scene->b, 0), native_dials);
	assert_int_equal(redirected(scene), before + 6);
}

static void need_mounts(void)
{
	if (geteuid() || run_shell(NULL, "unshare -m mount -t tmpfs none /mnt")->exit_status)
		skip_because("only root, with CAP_SYS_ADMIN, can mount");
}

static void first_process_of_a_pid_namespace_has_no_strange_children(void **state)
{
	struct scene scene = scene_of(LEAST_CONN);

	(void)state;
	need_mounts();
	assert_simple_life_is_the_same(&scene, "exec unshare -pf --mount-proc \"$@\"", scene.s->env);
	assert_true(((const struct ledger_head *)read_file(scene.s->ledger, NULL))->mends > 0);
}

static void readonly_root_is_not_noticed(void **state)
{
	const char *setting = "exec unshare -m sh -c 'mount -o remount,bind,ro / && exec \"$@\"' sh \"$@\"";
	struct scene scene = scene_of(ROUND_ROBIN);

	(void)state;
	need_mounts();
	assert_simple_life_is_the_same(&scene, setting, scene.s->env);
	assert_int_equal(unlink(scene.s->ledger), 0);
	assert_simple_life_is_the_same(&scene, setting, scene.s->env);
	assert_int_equal(access(scene.s->ledger, F_OK), -1); /* there was no place to make it */
}

static uint64_t dials_of(const struct scene *scene)
{
	uint64_t dials = 0;

	for (size_t i = 1; i < 4; i++)
		dials += (uint64_t)services_backend(scene->s, "web", scene->b, i).dials;
	return dials;
}

/* And who has none shares the ledger with those who have one. */
static void missing_proc_is_not_noticed(void **state)
{
	struct scene scene = scene_of(ROUND_ROBIN);
	const char *const dial = built("helpers/dialer");
	struct stat before, after;

	(void)state;
	need_mounts();
	assert_clean(run(scene.s->env, dial, scene.host, scene.port, NULL));
	assert_int_equal(stat(scene.s->ledger, &before), 0);
	assert_int_equal(redirected(&scene), 1);
	assert_simple_life_is_the_same(&scene, "exec unshare -m sh -c 'umount -l /proc && exec \"$@\"' sh \"$@\"",
				       scene.s->env);
	assert_clean(run(scene.s->env, dial, scene.host, scene.port, NULL));
	assert_int_equal(stat(scene.s->ledger, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(dials_of(&scene), 8);
}

/* On a small file system of its own, from which nothing may be executed. */
static const char *on_noexec(const struct scene *scene, const char *copied)
{
	return format("exec unshare -m sh -c 'mount -t tmpfs -o noexec,mode=755 none /mnt && cp %s /mnt && exec \"$@\"' sh \"$@\"",
		      copied ? copied : scene->s->table);
}

static void table_on_a_noexec_mount_is_used(void **state)
{
	struct scene scene = scene_of(ROUND_ROBIN);

	(void)state;
	need_mounts();
	assert_simple_life_is_the_same(&scene, on_noexec(&scene, NULL),
				       with_env(NULL, scene.s->env[0], "FAIRDIAL_DIR=/mnt", NULL));
}

/* Without what the loader says of the file's name, and why. */
static const char *before_reason(const char *text, const char *name)
{
	const char *at = strstr(text, name), *end = strstr(text, " cannot be preloaded (");

	assert_non_null(at);
	assert_non_null(end);
	return format("%.*s%.*s", (int)(at - text), text, (int)(end - at) - (int)strlen(name), at + strlen(name));
}

static void shim_on_a_noexec_mount_is_as_a_missing_one(void **state)
{
	struct scene scene = scene_of(ROUND_ROBIN);
	const char *setting = on_noexec(&scene, built("libfairdial.so"));
	const char *const *shell = ARGV("sh", "-c", setting, "sh", "env");
	const char *const *lives = ARGV(built("helpers/lives"), "simple", scene.host, scene.port, "-");
	struct process *missing = run_list(joined(shell, ARGV("LD_PRELOAD=/mnt/no.so", scene.s->env[1]), lives));
	struct process *p = run_list(joined(shell, ARGV("LD_PRELOAD=/mnt/libfairdial.so", scene.s->env[1]), lives));

	(void)state;
	need_mounts();
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(missing->exit_status, 0);
	assert_string_equal(p->out_text, missing->out_text);
	assert_int_equal(lines_of(p->err_text), lines_of(missing->err_text));
	assert_string_equal(before_reason(p->err_text, "libfairdial.so"), before_reason(missing->err_text, "no.so"));
	assert_int_equal(backends_accepted(scene.b, 0), 12);
	assert_int_equal(redirected(&scene), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(containers_filter_of_system_calls_is_not_noticed),
		TEST(no_other_system_calls_for_dials_that_are_not_ours),
		TEST(no_other_system_calls_for_dials_that_are_ours),
		TEST(first_process_of_a_pid_namespace_has_no_strange_children),
		TEST(readonly_root_is_not_noticed),
		TEST(missing_proc_is_not_noticed),
		TEST(table_on_a_noexec_mount_is_used),
		TEST(shim_on_a_noexec_mount_is_as_a_missing_one),
	};

	return RUN_TESTS(tests);
}
