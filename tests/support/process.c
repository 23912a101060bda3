/* SPDX-License-Identifier: Apache-2.0 */
#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/testing.h"

enum { RUN_LIMIT_MS = 60000, END_LIMIT_MS = 5000 };

long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *format(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	after_test(free, text);
	return text;
}

const char *repository(const char *path)
{
	const char *root = getenv("FAIRDIAL_TEST_ROOT");
	char full[PATH_MAX];

	if (!realpath(root ? root : ".", full))
		fail_msg("no repository at %s", root ? root : ".");
	return format("%s/%s", full, path);
}

const char *built(const char *path)
{
	return repository(format("build/%s", path));
}

bool program_exists(const char *name)
{
	const char *path = getenv("PATH");
	char *copy = format("%s", path ? path : "/usr/bin:/bin"), *rest = copy, *dir;

	while ((dir = strsep(&rest, ":")))
		if (access(format("%s/%s", dir, name), X_OK) == 0)
			return true;
	return false;
}

static bool is_of(const char *variable, const char *name)
{
	size_t n = strcspn(name, "=");

	return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

/* What no program of a test has from whoever runs the tests. */
static bool is_cleaned(const char *variable)
{
	static const char *const gone[] = { "LD_PRELOAD",        "FAIRDIAL",          "FAIRDIAL_DIR",
					    "FAIRDIAL_LEDGER",   "FAIRDIAL_ONLY",     "FAIRDIAL_EXCEPT",
					    "FAIRDIAL_BALANCE",  "FAIRDIAL_TRACE",    "FAIRDIAL_WAIT",
					    "FAIRDIAL_SERVICES", "http_proxy",        "https_proxy",
					    "all_proxy",         "HTTP_PROXY",        "ALL_PROXY",
					    "KUBECONFIG",        "FAIRDIAL_AUTOSTART", "LC_ALL" };

	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		if (is_of(variable, gone[i]))
			return true;
	return false;
}

static bool is_named_later(const char *variable, const char *const *env)
{
	for (; env && *env; env++)
		if (is_of(variable, *env))
			return true;
	return false;
}

/*
 * The environment of a child, for the parent to free. It is made before the fork: another thread of the test may hold the
 * allocator at that moment, and not every one (AddressSanitizer's) is usable in the child then.
 */
static char **environment_of(const char *const *env)
{
	size_t count = 0, named = 0, n = 0;
	char **made;

	while (environ[count])
		count++;
	while (env && env[named])
		named++;
	made = calloc(count + named + 2, sizeof(*made));
	assert_non_null(made);
	for (size_t i = 0; i < count; i++)
		if (!is_cleaned(environ[i]) && !is_named_later(environ[i], env))
			made[n++] = environ[i];
	if (!is_named_later("LC_ALL=C", env))
		made[n++] = (char *)"LC_ALL=C";
	for (size_t i = 0; i < named; i++)
		if (strchr(env[i], '=') && !is_named_later(env[i], env + i + 1))
			made[n++] = (char *)env[i];
	return made;
}

static void go_into(const char *root)
{
	if (chroot(root) || chdir("/"))
		_exit(126);
}

static void drop_to(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		_exit(126);
}

/* In the child, where nothing may allocate: stdin, stdout, stderr, group, user, environment; then the program. */
static void become(const struct start *start, char **environment, const int fd[3])
{
	sigset_t none;

	if (start->on_terminal) {
		setsid();
		ioctl(fd[0], TIOCSCTTY, 0);
	} else {
		setpgid(0, 0);
	}
	for (int i = 0; i < 3; i++)
		dup2(fd[i], i);
	if (start->root)
		go_into(start->root);
	if (start->uid)
		drop_to(start->uid);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	environ = environment;
	execvp(start->argv[0], (char **)start->argv);
	dprintf(2, "cannot run %s: %s\n", start->argv[0], strerror(errno));
	_exit(127);
}

void pipe_or_fail(int *reads, int *writes)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		fail_msg("pipe: %s", strerror(errno));
	*reads = fd[0];
	*writes = fd[1];
}

/* stdin of a program that is not talked to: a file in memory, so that no writer can block. */
static int input_of(const char *text)
{
	int fd;

	if (!text)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		fail_msg("input: %s", strerror(errno));
	return fd;
}

static void open_terminal(struct process *p, int theirs[3])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];

	if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
		fail_msg("no terminal: %s", strerror(errno));
	theirs[0] = theirs[1] = theirs[2] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	p->out = master;
	p->in = fcntl(master, F_DUPFD_CLOEXEC, 0);
}

static void open_pipes(struct process *p, const struct start *start, int theirs[3])
{
	if (start->interactive)
		pipe_or_fail(&theirs[0], &p->in);
	else
		theirs[0] = input_of(start->input);
	pipe_or_fail(&p->out, &theirs[1]);
	pipe_or_fail(&p->err, &theirs[2]);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void note_end(struct process *p, int status)
{
	p->ended = true;
	p->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int handle_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Asks it to end, and gives it a while. */
static void ask_to_end(struct process *p)
{
	struct pollfd ended = { handle_of(p->pid), POLLIN, 0 };

	if (p->end_with)
		kill(p->pid, p->end_with);
	else if (write(p->in, p->last_word, strlen(p->last_word)) >= 0)
		close_fd(&p->in);
	if (ended.fd >= 0)
		poll(&ended, 1, END_LIMIT_MS);
	close(ended.fd);
}

static void process_free(void *what)
{
	struct process *p = what;
	int status;

	if (!p->ended) {
		if (p->end_with || p->last_word)
			ask_to_end(p);
		kill(-p->pid, SIGKILL);
		kill(p->pid, SIGKILL);
		waitpid(p->pid, &status, 0);
	}
	close_fd(&p->in);
	close_fd(&p->out);
	close_fd(&p->err);
	free(p->out_text);
	free(p->err_text);
	free(p);
}

/* A program on these descriptors: its process, or -1. */
static pid_t fork_program(const struct start *start, const int fd[3])
{
	char **environment = environment_of(start->env);
	pid_t pid = fork();

	if (pid == 0)
		become(start, environment, fd);
	free(environment);
	return pid;
}

pid_t process_fork(const struct start *start, int out, int err)
{
	int in = input_of(start->input);
	pid_t pid = fork_program(start, (int[3]){ in, out, err });

	close(in);
	return pid;
}

struct process *process_start(const struct start *start)
{
	struct process *p = calloc(1, sizeof(*p));
	int theirs[3] = { -1, -1, -1 };

	p->in = p->out = p->err = -1;
	p->end_with = start->end_with;
	p->last_word = start->last_word;
	p->out_text = calloc(1, 1);
	p->err_text = calloc(1, 1);
	if (start->on_terminal)
		open_terminal(p, theirs);
	else
		open_pipes(p, start, theirs);
	signal(SIGPIPE, SIG_IGN); /* process_say to one that has gone */
	fflush(stdout);
	p->pid = fork_program(start, theirs);
	if (p->pid < 0)
		fail_msg("fork: %s", strerror(errno));
	if (!start->on_terminal)
		setpgid(p->pid, p->pid); /* also here: who comes first may signal the group */
	close(theirs[0]);
	if (theirs[1] != theirs[0]) {
		close(theirs[1]);
		close(theirs[2]);
	}
	after_test(process_free, p);
	return p;
}

static void drain(int *fd, char **text, size_t *length)
{
	char piece[16384];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n <= 0) { /* EIO: the last one on a terminal has gone */
		if (n == 0 || errno == EIO)
			close_fd(fd);
		return;
	}
	*text = realloc(*text, *length + (size_t)n + 1);
	memcpy(*text + *length, piece, (size_t)n);
	*length += (size_t)n;
	(*text)[*length] = '\0';
}

/* Reads what there is, once, waiting for it up to `wait_ms`; `also` is one more descriptor to wait for. */
static bool read_output(struct process *p, int also, int wait_ms)
{
	struct pollfd fd[3] = { { p->out, POLLIN, 0 }, { p->err, POLLIN, 0 }, { also, POLLIN, 0 } };
	bool any = false;

	if (poll(fd, 3, wait_ms) <= 0)
		return false;
	if (fd[0].revents && (any = true))
		drain(&p->out, &p->out_text, &p->out_length);
	if (fd[1].revents && (any = true))
		drain(&p->err, &p->err_text, &p->err_length);
	return any;
}

static void too_late(struct process *p, const char *what, int limit_ms)
{
	kill(-p->pid, SIGKILL);
	fail_msg("%s in %d ms; stdout so far:\n%s\nstderr so far:\n%s", what, limit_ms, p->out_text, p->err_text);
}

void process_wait(struct process *p, int limit_ms)
{
	int handle = handle_of(p->pid), status;
	long end = now_ms() + limit_ms;

	while (!p->ended) {
		read_output(p, handle, handle < 0 ? 5 : (int)(end - now_ms()));
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			note_end(p, status);
		else if (now_ms() >= end)
			break;
	}
	if (handle >= 0)
		close(handle);
	if (!p->ended)
		too_late(p, "did not end", limit_ms);
	while (read_output(p, -1, 0))
		;
}

bool process_has_ended(const struct process *p)
{
	siginfo_t info = { .si_pid = 0 };

	return p->ended || (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == p->pid);
}

/* The next untaken line, cut out of the text; NULL where there is none yet. */
static char *take_line(struct process *p)
{
	char *start = p->out_text + p->out_taken, *end = strchr(start, '\n');

	if (!end)
		return NULL;
	p->out_taken += (size_t)(end - start) + 1;
	return format("%.*s", (int)(end - start - (end > start && end[-1] == '\r')), start);
}

char *process_line(struct process *p, int limit_ms)
{
	long end = now_ms() + limit_ms;
	char *line;

	while (!(line = take_line(p))) {
		if (p->out < 0)
			return NULL;
		if (now_ms() >= end)
			too_late(p, "no line", limit_ms);
		read_output(p, -1, (int)(end - now_ms()));
	}
	return line;
}

void process_expect(struct process *p, const char *text, int limit_ms)
{
	long end = now_ms() + limit_ms;

	while (!strstr(p->out_text, text)) {
		if (p->out < 0 || now_ms() >= end)
			too_late(p, format("no \"%s\"", text), limit_ms);
		read_output(p, -1, (int)(end - now_ms()));
	}
}

void process_say(struct process *p, const char *text)
{
	if (write(p->in, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("cannot write to process %d: %s", (int)p->pid, strerror(errno));
}

void process_close_input(struct process *p)
{
	close_fd(&p->in);
}

void process_signal(struct process *p, int signal)
{
	if (kill(p->pid, signal))
		fail_msg("kill %d: %s", (int)p->pid, strerror(errno));
}

struct process *run_in_root(const char *root, const char *const *env, const char *const *argv)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = env, .root = root });

	process_wait(p, RUN_LIMIT_MS);
	return p;
}

struct process *run(const char *const *env, ...)
{
	const char *argv[64];
	size_t n = 0;
	va_list args;

	va_start(args, env);
	do {
		assert_true(n < 64);
		argv[n] = va_arg(args, const char *);
	} while (argv[n++]);
	va_end(args);
	return run_in_root(NULL, env, argv);
}

struct process *run_shell(const char *const *env, const char *format, ...)
{
	char *line;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		abort();
	va_end(args);
	after_test(free, line);
	return run(env, "sh", "-c", line, NULL);
}

void assert_clean(const struct process *p)
{
	if (p->exit_status || p->err_length)
		fail_msg("exit status %d, signal %d; stdout:\n%s\nstderr:\n%s", p->exit_status, p->signal, p->out_text,
			 p->err_text);
}

void assert_same_run(const struct process *native, const struct process *p)
{
	if (native->exit_status != p->exit_status || native->signal != p->signal ||
	    strcmp(native->out_text, p->out_text) || strcmp(native->err_text, p->err_text))
		fail_msg("natively, with exit status %d, signal %d:\n%s%s\nhere, with %d, signal %d:\n%s%s",
			 native->exit_status, native->signal, native->out_text, native->err_text, p->exit_status,
			 p->signal, p->out_text, p->err_text);
}

size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void assert_error(const struct process *p, int exit_status)
{
	if (p->exit_status != exit_status || lines_of(p->err_text) != 1 || p->out_length)
		fail_msg("exit status %d, not %d, and one line on stderr; stdout:\n%s\nstderr:\n%s", p->exit_status,
			 exit_status, p->out_text, p->err_text);
}

const char *const *with_env(const char *const *env, ...)
{
	const char **all = calloc(64, sizeof(*all)), *one;
	size_t n = 0;
	va_list args;

	after_test(free, all);
	for (; env && *env; env++)
		all[n++] = *env;
	va_start(args, env);
	while ((one = va_arg(args, const char *)))
		all[n++] = one;
	va_end(args);
	assert_true(n < 64);
	return all;
}
