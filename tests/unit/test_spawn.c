/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is started from within another one: what it is given, and that the other one sees nothing of it. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim/spawn.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/refusals.h"
#include "support/services.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { LIMIT_MS = 60000 };

/* ---- a program that tells what it has ---- */

/* Its mask as a child of it has that: a shell that waits blocks signals. */
static const char tell[] =
	"{ echo \"arguments $*\"; echo \"directory $(pwd)\"; echo \"umask $(umask)\"; tr '\\0' '\\n' </proc/$$/environ | sort; "
	"for i in 0 1 2; do readlink /proc/$$/fd/$i; done; ls /proc/$$/fd | wc -l; grep ^Sig[BIP] /proc/self/status; "
	"cut -d' ' -f5-7 </proc/$$/stat; echo $$; } >\"$OUT.part\" 2>&1; mv \"$OUT.part\" \"$OUT\"";

static char *told(const char *file)
{
	for (long begun = now_ms(); access(file, F_OK) < 0; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s: the program that was started says nothing", file);
	return read_file(file, NULL);
}

static int start_shell(const char *script, const char *const *more)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, (char *)"sh", (char *)"one", NULL };

	return spawn_detached("/bin/sh", argv, (char *const *)more);
}

static void program_has_nothing_of_who_started_it(void **state)
{
	const char *out = format("%s/out", scratch_dir());
	sigset_t some, before, after;
	char *text, *sid, expected[64];

	(void)state;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigaddset(&some, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &some, &before);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMIN + 3, SIG_IGN);
	assert_int_equal(start_shell(tell, ARGV("PATH=/usr/bin:/bin", format("OUT=%s", out))), 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGRTMIN + 3, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, &after);
	assert_true(sigismember(&after, SIGUSR1) && sigismember(&after, SIGRTMAX) && !sigismember(&after, SIGUSR2));
	text = told(out);
	assert_non_null(strstr(text, "arguments one\ndirectory /\numask 0022\n"));
	assert_non_null(strstr(text, format("OUT=%s\nPATH=/usr/bin:/bin\n", out)));
	assert_null(strstr(text, "HOME="));
	assert_non_null(strstr(text, "/dev/null\n"));
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
	/* Its group and its session are its own, and it has no terminal. */
	sid = strrchr(strstr(text, "SigIgn"), '\n');
	*sid = '\0';
	sid = strrchr(text, '\n') + 1;
	snprintf(expected, sizeof(expected), "\n%s %s 0\n", sid, sid);
	assert_non_null(strstr(text, expected));
}

static void program_that_cannot_be_started_is_told_why(void **state)
{
	const char *file = format("%s/file", scratch_dir());
	char *const argv[] = { (char *)"file", NULL }, *const envp[] = { NULL };

	(void)state;
	assert_int_equal(spawn_detached(file, argv, envp), -ENOENT);
	write_file(file, "text\n", 5);
	assert_int_equal(spawn_detached(file, argv, envp), -EACCES);
	assert_int_equal(chmod(file, 0755), 0);
	assert_int_equal(spawn_detached(file, argv, envp), -ENOEXEC);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

static unsigned mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	int c;

	while ((c = fgetc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void who_starts_one_sees_nothing_of_it(void **state)
{
	unsigned maps, fds = descriptors();
	sigset_t child, before, pending;

	(void)state;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	assert_int_equal(start_shell(":", ARGV("PATH=/bin")), 0);
	maps = mappings();
	for (int i = 0; i < 50; i++) {
		errno = 4711;
		assert_int_equal(start_shell(":", ARGV("PATH=/bin")), 0);
		assert_int_equal(errno, 4711);
		assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
		assert_int_equal(errno, ECHILD);
	}
	assert_int_equal(mappings(), maps);
	assert_int_equal(descriptors(), fds);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGCHLD));
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* A thread that waits for any child gets the program's own, and none of ours. */
static void *wait_for_any(void *ret)
{
	int status;

	*(pid_t *)ret = waitpid(-1, &status, 0);
	return NULL;
}

static void thread_that_waits_for_children_gets_the_programs_own(void **state)
{
	pid_t child = fork(), found = 0;
	pthread_t thread;

	(void)state;
	if (child == 0)
		for (;;)
			pause();
	assert_int_equal(pthread_create(&thread, NULL, wait_for_any, &found), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(start_shell(":", ARGV("PATH=/bin")), 0);
	kill(child, SIGKILL);
	pthread_join(thread, NULL);
	assert_int_equal(found, child);
}

/* As the child of a program whose pid namespace is that of its own: it may have thousands. */
static void no_process_to_be_had_is_an_error(void **state)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) { /* root may have as many as it likes */
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(2);
		setrlimit(RLIMIT_NPROC, &none);
		_exit(start_shell(":", ARGV("PATH=/bin")) == -EAGAIN && waitpid(-1, NULL, WNOHANG | __WALL) == -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- a filter that hands calls to the program ---- */

/* As sandboxes do that answer for the kernel (Chromium's, for one): EPERM. */
static void answer_for_the_kernel(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)signal;
	(void)info;
#if defined(__x86_64__)
	at->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	at->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
}

static void trap(unsigned number)
{
	const struct sigaction action = { .sa_sigaction = answer_for_the_kernel, .sa_flags = SA_SIGINFO };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(125);
}

/* What a process gets that starts a shell while `number` is trapped: 0, or the error; -1: it was killed. */
static int start_with_trap(unsigned number, const char *script, const char *const *env)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		trap(number);
		_exit(-start_shell(script, env));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The kernel kills who blocks SIGSYS then. */
static void program_that_traps_calls_answers_them_and_lives(void **state)
{
	const char *out = format("%s/out", scratch_dir());
	const char *const *env = ARGV("PATH=/usr/bin:/bin", format("OUT=%s", out));

	(void)state;
	assert_int_equal(start_with_trap(SYS_clone, tell, env), EPERM);
	assert_int_equal(start_with_trap(SYS_execve, tell, env), EPERM);
	assert_int_equal(access(out, F_OK), -1);
	assert_int_equal(start_with_trap(SYS_setsid, tell, env), 0);
	assert_non_null(strstr(told(out), "arguments one\n"));
}

/* ---- kernels, and places, that have less ---- */

/* Without a call that a filter here refuses. */
static const char tell_descriptors[] =
	"i=0; while [ $i -lt 300 ]; do [ -e /proc/$$/fd/$i ] && o=\"$o $i\"; i=$((i+1)); done; "
	"echo \"$o\" >\"$OUT.part\"; readlink /proc/$$/fd/0 /proc/$$/fd/2 >>\"$OUT.part\"; mv \"$OUT.part\" \"$OUT\"";

/* What is told by a program that a process starts which has many descriptors, and was confined by `prepare`. */
static char *descriptors_after(void (*prepare)(void))
{
	const char *out = format("%s/out", scratch_dir());
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (int fd = 3; fd < 290; fd += 7)
			dup2(1, fd);
		prepare();
		_exit(-start_shell(tell_descriptors, ARGV("PATH=/usr/bin:/bin", format("OUT=%s", out))));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	return told(out);
}

static void without_close_range(void)
{
	refuse_call(SYS_close_range, ENOSYS);
}

static void with_a_proc_that_cannot_be_listed(void)
{
	without_close_range();
	refuse_call(SYS_getdents64, EPERM);
}

static void without_proc(void)
{
	without_close_range();
	refuse_call_with(SYS_openat, 2, O_RDONLY | O_DIRECTORY | O_CLOEXEC, ENOENT);
}

static void without_proc_and_with_a_lower_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 16; /* those beyond it are open all the same */
	setrlimit(RLIMIT_NOFILE, &limit);
	without_proc();
}

/* Linux before 5.9, and programs in a root of their own. */
static void descriptors_are_closed_where_the_kernel_cannot_close_all_at_once(void **state)
{
	(void)state;
	assert_string_equal(descriptors_after(without_close_range), " 0 1 2\n/dev/null\n/dev/null\n");
	assert_string_equal(descriptors_after(with_a_proc_that_cannot_be_listed), " 0 1 2\n/dev/null\n/dev/null\n");
	assert_string_equal(descriptors_after(without_proc), " 0 1 2\n/dev/null\n/dev/null\n");
	assert_string_equal(descriptors_after(without_proc_and_with_a_lower_limit), " 0 1 2\n/dev/null\n/dev/null\n");
}

static void without_dev_null(void)
{
	refuse_call_with(SYS_openat, 2, O_RDWR | O_NOCTTY, ENOENT);
}

static void where_there_is_no_dev_null_a_directory_stands_for_it(void **state)
{
	(void)state;
	assert_string_equal(descriptors_after(without_dev_null), " 0 1 2\n/\n/\n");
}

/* ---- privileges, and what is lacking ---- */

static void processor_of_its_own_is_not_handed_on(void **state)
{
	static const int policies[] = { SCHED_FIFO, SCHED_RR };
	const struct sched_param lowest = { .sched_priority = 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *out = format("%s/out", scratch_dir());
		int status;
		pid_t child = fork();

		if (child == 0) {
			if (sched_setscheduler(0, policies[i], &lowest))
				_exit(100);
			_exit(-start_shell("cut -d' ' -f40,41 /proc/$$/stat >\"$OUT.part\"; mv \"$OUT.part\" \"$OUT\"",
					   ARGV("PATH=/usr/bin:/bin", format("OUT=%s", out))));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
			skip_because("this user may not have a processor to itself");
		assert_int_equal(status, 0);
		assert_string_equal(told(out), "0 0\n"); /* no priority, SCHED_OTHER */
	}
}

/* As a user who has nothing else, and may have more and more processes: the first one, and then that one's child, lacks. */
static int start_with_growing_limit(void)
{
	uid_t user = 60000000u + (uid_t)getpid();
	struct rlimit limit;

	if (setgid(user) || setuid(user))
		return 2;
	getrlimit(RLIMIT_NPROC, &limit);
	for (limit.rlim_cur = 0; limit.rlim_cur < 5; limit.rlim_cur++) {
		int r;

		setrlimit(RLIMIT_NPROC, &limit);
		r = start_shell(":", ARGV("PATH=/bin"));
		if (waitpid(-1, NULL, WNOHANG | __WALL) != -1)
			return 3;
		if (r == 0)
			return limit.rlim_cur >= 3 ? 0 : 4;
		if (r != -EAGAIN)
			return 5;
	}
	return 6;
}

static void child_that_can_have_no_child_says_so(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid())
		skip_because("only root can become a user who has no process yet");
	child = fork();
	if (child == 0)
		_exit(start_with_growing_limit());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_has_nothing_of_who_started_it),
		TEST(program_that_cannot_be_started_is_told_why),
		TEST(who_starts_one_sees_nothing_of_it),
		TEST(thread_that_waits_for_children_gets_the_programs_own),
		TEST(no_process_to_be_had_is_an_error),
		TEST(program_that_traps_calls_answers_them_and_lives),
		TEST(descriptors_are_closed_where_the_kernel_cannot_close_all_at_once),
		TEST(where_there_is_no_dev_null_a_directory_stands_for_it),
		TEST(processor_of_its_own_is_not_handed_on),
		TEST(child_that_can_have_no_child_says_so),
	};

	return RUN_TESTS(tests);
}
