/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairdial run: a program under the shim. Where nothing has to be removed afterwards, it becomes the program. Else it stays as the
 * program's parent, in its process group: what the terminal sends reaches both, what another process sends to `run` is handed
 * on (so a signal to the whole group reaches the program twice, as with sudo(8)), and the end of the program, by status or
 * signal, becomes its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/publish.h"
#include "balance/balance.h"
#include "cli/cli.h"
#include "cli/no_table.h"
#include "inspect/program.h"
#include "model/model.h"
#include "model/policy.h"
#include "services/source.h"
#include "table/freshness.h"
#include "table/mode.h"

#define PRIVATE_PREFIX "fairdial-run-"

enum { OPT_SERVICE, OPT_SERVICES, OPT_BALANCE };

static const struct cli_option options[] = {
	[OPT_SERVICE] = { "service", "NAME:PORT=ADDR:PORT,...", "a Service, given here; may be repeated, and stand beside --services" },
	[OPT_SERVICES] = { "services", "FILE", "a services file, or a Kubernetes List (default: $FAIRDIAL_SERVICES)" },
	[OPT_BALANCE] = { "balance", "POLICY", "least_conn, round_robin, random, p2c or hash, over the services' own" },
	{ 0 },
};

struct arguments {
	char *inline_services;
	const char *file, *balance;
	char **program;
};

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_SERVICE && !cli_join(&a->inline_services, optarg))
			return cli_fail(verb, EXIT_FAILED, "out of memory");
		if (option == OPT_SERVICES)
			a->file = optarg;
		if (option == OPT_BALANCE)
			a->balance = optarg;
	}
	if (optind >= argc)
		return cli_fail(verb, EXIT_USAGE, "which program? fairdial run [OPTION...] -- PROGRAM [ARG...]");
	a->program = argv + optind;
	if (a->balance) {
		for (int i = 0; i < BALANCE_COUNT; i++)
			if (strcmp(a->balance, balance_policy((uint8_t)i)->name) == 0)
				return 0;
		return cli_fail(verb, EXIT_USAGE, "--balance %s: expected least_conn, round_robin, random, p2c or hash",
				a->balance);
	}
	return 0;
}

static bool has_services(const struct arguments *a)
{
	const char *fallback = getenv("FAIRDIAL_SERVICES");

	return a->inline_services || a->file || (fallback && *fallback);
}

static void warn(const char *line)
{
	cli_fail(&run_verb, EXIT_DONE, "warning: %s", line);
}

/* A private directory that is a link by now: somebody who can rename in $TMPDIR would have us write elsewhere. */
static int publish(const struct arguments *a, const char *dir, bool is_private, struct report *why)
{
	const struct model_options model_options = { .warn = warn };
	struct model *model = model_new(&model_options);
	struct published published;
	char source[TABLE_SOURCE_SIZE] = "--service";
	int r = 0;

	if (!model)
		return report(why, -ENOMEM, "out of memory");
	if (a->file) {
		cli_describe_file(a->file, source, sizeof(source));
		r = source_load_file(model, a->file, why);
	} else if (!a->inline_services) {
		snprintf(source, sizeof(source), "FAIRDIAL_SERVICES");
		r = source_load_any(model, "FAIRDIAL_SERVICES", getenv("FAIRDIAL_SERVICES"), why);
	}
	if (r == 0 && a->inline_services)
		r = source_load_inline(model, "--service", a->inline_services, why);
	if (r == 0)
		r = publish_once(dir, is_private, model, source, &published, why);
	model_free(model);
	return r;
}

/* ---- the environment of the program ---- */

static bool is_preloaded(const char *list, const char *path)
{
	size_t n = strlen(path);

	for (const char *at = list; (at = strstr(at, path)); at++)
		if ((at == list || strchr(": ", at[-1])) && (at[n] == '\0' || strchr(": ", at[n])))
			return true;
	return false;
}

/* Behind what is there already: another preload may have to come first (AddressSanitizer's does). */
static int preload(const char *shim)
{
	const char *existing = getenv("LD_PRELOAD");
	char *list;
	int r;

	if (!existing || !*existing)
		return setenv("LD_PRELOAD", shim, 1);
	if (is_preloaded(existing, shim))
		return 0;
	if (asprintf(&list, "%s:%s", existing, shim) < 0)
		return -1;
	r = setenv("LD_PRELOAD", list, 1);
	free(list);
	return r;
}

/* What the program starts in another directory is to find the same; a shim reads a path from where its own process is. */
static int make_absolute(const char *name)
{
	const char *given = getenv(name);
	char here[PATH_MAX], path[PATH_MAX];

	if (!given || !*given || *given == '/' || !getcwd(here, sizeof(here)) ||
	    snprintf(path, sizeof(path), "%s/%s", here, given) >= (int)sizeof(path))
		return 0;
	return setenv(name, path, 1);
}

static int prepare_environment(const struct arguments *a, const char *shim, const char *dir)
{
	if (preload(shim) < 0 || (a->balance && setenv("FAIRDIAL_BALANCE", a->balance, 1) < 0) ||
	    (dir && setenv("FAIRDIAL_DIR", dir, 1) < 0) || make_absolute("FAIRDIAL_DIR") < 0 || make_absolute("FAIRDIAL_LEDGER") < 0)
		return -errno;
	return 0;
}

/* As of env(1), nohup(1) and timeout(1), so that a caller can tell them from most programs' own. */
static int become(const struct verb *verb, char **program)
{
	const char *name = *program[0] ? program[0] : "''";
	char path[PATH_MAX];
	int error;

	execvp(program[0], program);
	error = errno;
	if (error == ENOENT && program_find(program[0], path) == 0)
		return cli_fail(verb, EXIT_NOT_RUN,
				"cannot run %s: it is there, but the interpreter or loader that it names is not: `fairdial check %s` "
				"tells which",
				name, name);
	return cli_fail(verb, error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN, "cannot run %s: %s", name,
			error == ENOENT ? "no such program" : strerror(error));
}

/* ---- the private directory ---- */

static const char *scratch_place(void)
{
	const char *place = getenv("TMPDIR");

	return place && *place ? place : "/tmp";
}

/* Where others can rename in $TMPDIR, the name may lead elsewhere by now: not through a link, nor into what is not ours. */
static DIR *open_private(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	DIR *d = NULL;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid())
		d = fdopendir(fd);
	if (fd >= 0 && !d)
		close(fd);
	return d;
}

static void remove_private(const char *dir)
{
	DIR *d = open_private(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

/* What a `run` that was killed left: of this user, a minute old, and held by nobody. */
static void sweep(void)
{
	DIR *d = opendir(scratch_place());
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[PATH_MAX];
		struct stat st;
		int fd;

		if (strncmp(entry->d_name, PRIVATE_PREFIX, strlen(PRIVATE_PREFIX)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", scratch_place(), entry->d_name) >= (int)sizeof(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && time(NULL) - st.st_mtime > 60 &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0)
			remove_private(path);
		close(fd);
	}
	if (d)
		closedir(d);
}

/* Made, and its lock (which tells a sweep that it is in use) returned; the writer needs it free, so it is taken later. */
static int make_private(char ret_dir[PATH_MAX])
{
	sweep();
	if (snprintf(ret_dir, PATH_MAX, "%s/" PRIVATE_PREFIX "XXXXXX", scratch_place()) >= PATH_MAX)
		return -ENAMETOOLONG;
	return mkdtemp(ret_dir) ? 0 : -errno;
}

static int hold_private(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_SH | LOCK_NB);
	return fd;
}

/* ---- the program as a child ---- */

/* All but what tells of ourselves: our child's state, and our own mistakes. */
static void handed_on(sigset_t *set)
{
	sigfillset(set);
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGABRT);
	sigdelset(set, SIGTRAP);
	sigdelset(set, SIGSYS);
}

static pid_t start(const struct verb *verb, char **program, const sigset_t *mask, const struct sigaction *child_action)
{
	pid_t parent = getpid(), child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* who kills `run` with SIGKILL means the program */
	if (getppid() != parent && getppid() != 0) /* 0: in another pid namespace than ours */
		_exit(EXIT_FAILED);
	sigaction(SIGCHLD, child_action, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	_exit(become(verb, program));
}

/* Ctrl-Z, or a background job that wants the terminal: the shell, which watches us, is to see us stop as well. */
static bool is_job_control(int sig)
{
	return (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) && getpid() != 1;
}

/* True when the program has ended. As PID 1 of a container we are also parent to whatever its programs leave behind. */
static bool has_ended(pid_t child, int *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != child)
			continue;
		if (!WIFSTOPPED(status)) {
			*ret_status = status;
			return true;
		}
		if (is_job_control(WSTOPSIG(status))) {
			raise(SIGSTOP);
			kill(child, SIGCONT);
		}
	}
	return false;
}

static int wait_for(pid_t child, const sigset_t *set)
{
	int status = 0;

	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(set, &info);

		if (sig == SIGCHLD && has_ended(child, &status))
			return status;
		/* The kernel's own (Ctrl-C, a hang-up, a resized window) went to the whole process group. */
		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0 && info.si_pid != child)
			kill(child, sig);
	}
}

/* Ends as the program ended: by the same signal, without a second core. */
static int end_as(int status)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t one;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	raise(WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	return 128 + WTERMSIG(status);
}

static int run_child(const struct verb *verb, const struct arguments *a, const char *dir)
{
	int status, lock = hold_private(dir);
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction child_action;
	sigset_t set, before;
	pid_t child;

	handed_on(&set);
	sigaction(SIGCHLD, &by_default, &child_action); /* ignored, as some start us, there would be nothing to wait for */
	sigprocmask(SIG_BLOCK, &set, &before);
	child = start(verb, a->program, &before, &child_action);
	if (child < 0) {
		status = errno;
		remove_private(dir);
		return cli_fail(verb, EXIT_FAILED, "cannot start a process: %s", strerror(status));
	}
	status = wait_for(child, &set);
	remove_private(dir);
	if (lock >= 0)
		close(lock);
	return end_as(status);
}

static int run_with_services(const struct verb *verb, const struct arguments *a, const char *shim)
{
	const char *given = getenv("FAIRDIAL_DIR");
	char private[PATH_MAX];
	bool is_private = !given || !*given;
	struct report why;
	int r;

	if (is_private) {
		r = make_private(private);
		if (r < 0)
			return cli_fail(verb, EXIT_FAILED, "cannot make a directory in %s: %s", scratch_place(), strerror(-r));
	}
	r = publish(a, is_private ? private : given, is_private, &why);
	if (r == 0 && prepare_environment(a, shim, is_private ? private : given) < 0)
		r = report(&why, -ENOMEM, "out of memory");
	if (r < 0) {
		if (is_private)
			remove_private(private);
		return cli_fail(verb, EXIT_FAILED, "%s", why.text);
	}
	return is_private ? run_child(verb, a, private) : become(verb, a->program);
}

/* 0, or why the shim will pass it over. */
static int look_at_table(const char *dir)
{
	const struct trust trust = cli_trust();
	struct table table;
	int r = table_map(dir, &trust, &table, NULL);

	if (r < 0)
		return r;
	r = table_is_of_boot(&table) ? 0 : -ESTALE;
	table_unmap(&table);
	return r;
}

/* It would be a program under a shim that does nothing. Where one is to start an agent, or to wait, a table is to come. */
static void warn_without_services(void)
{
	const char *autostart = getenv("FAIRDIAL_AUTOSTART"), *wait = getenv("FAIRDIAL_WAIT");
	char dir[PATH_MAX];
	int r;

	if (mode_word_is_yes(slice_of(autostart)) || (wait && *wait))
		return;
	cli_table_dir(NULL, dir);
	r = look_at_table(dir);
	if (r == -ENOENT || r == -EACCES)
		cli_fail(&run_verb, EXIT_DONE,
			 "warning: there is nothing to spread: no --service or --services is given, and %s/table is not there, "
			 "or not to be read",
			 dir);
	else if (r < 0)
		cli_fail(&run_verb, EXIT_DONE, "warning: nothing will be spread: %s/table: %s", dir, no_table_why(r));
}

/* As little as without a table; who wrote "off" knows. */
static void warn_of_a_switch_without_sense(void)
{
	const char *value = getenv("FAIRDIAL");
	bool understood;

	mode_of_variable(slice_of(value ? value : ""), &understood);
	if (!understood)
		cli_fail(&run_verb, EXIT_DONE,
			 "warning: nothing will be spread: FAIRDIAL=%s is not understood, and taken as off: expected on, observe or "
			 "off",
			 value);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { 0 };
	char shim[PATH_MAX];
	int r = parse(verb, argc, argv, &a);

	if (r)
		return r;
	if (cli_shim_path(shim) < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot find libfairdial.so beside the tool (looked for %s): build or install it",
				shim);
	if (strpbrk(shim, ": \t\n"))
		return cli_fail(verb, EXIT_FAILED, "LD_PRELOAD cannot name %s, for the space or colon in it: install it elsewhere",
				shim);
	warn_of_a_switch_without_sense();
	if (has_services(&a))
		return run_with_services(verb, &a, shim);
	warn_without_services();
	if (prepare_environment(&a, shim, NULL) < 0)
		return cli_fail(verb, EXIT_FAILED, "out of memory");
	return become(verb, a.program);
}

const struct verb run_verb = {
	.name = "run",
	.usage = "[--service 'web:80=10.0.0.1:8080,10.0.0.2:8080'] [--services FILE] [--balance POLICY] -- PROGRAM [ARG...]",
	.summary = "runs a program under the shim, with services given here or published before",
	.more = "Services given here are published first: into $FAIRDIAL_DIR where it is set, else into a private directory\n"
	"that is removed when the program ends. The exit status is the program's own; 127 where there is no such program, 126\n"
	"where it cannot be run, 1 where `run` itself fails before that, 2 for its usage.",
	.options = options,
	.run = run,
	.takes_program = true,
};
