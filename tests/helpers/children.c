/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children LIFE ADDRESS PORT REPORT (see life.h): programs that start others, by every way that there is. As the life "child" it is
 * the program that they start.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "life.h"

enum { THREADS = 3, DIALS_OF_THREAD = 100, FORKS = 300, FORKS_OF_HANDLER = 50, DIALS_MEANWHILE = 200 };

extern char **environ;

/* ---- the program itself, as a child ---- */

static char self[512];

static char **arguments_of_child(void)
{
	static char *argv[6];

	argv[0] = self;
	argv[1] = (char *)"child";
	argv[2] = (char *)life.address;
	argv[3] = (char *)life.port;
	argv[4] = (char *)"-";
	return argv;
}

/* Two dials, one line, and an exit status that says that both were answered. */
static void be_child(void)
{
	bool first = dial(false), second = dial(true);

	report("child: %d %d\n", first, second);
	_exit(first && second ? 5 : 6);
}

static void await(const char *what, pid_t pid)
{
	int status = -1;
	pid_t ended = waitpid(pid, &status, 0);

	report("%s: %d, status %x\n", what, pid > 0 && ended == pid, (unsigned)status);
}

/* ---- fork ---- */

static void *dial_often(void *good)
{
	for (int i = 0; i < DIALS_OF_THREAD; i++)
		*(int *)good += dial(i % 2);
	return NULL;
}

/* Forks, the child dials and tells by its exit status. */
static bool fork_and_dial(bool nonblocking)
{
	int status = -1;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		_exit(getppid() == parent && dial(nonblocking) ? 5 : 6);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5;
}

static void fork_while_threads_dial(void)
{
	pthread_t thread[THREADS];
	int good[THREADS] = { 0 }, children = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, dial_often, &good[i]);
	for (int i = 0; i < FORKS; i++)
		children += fork_and_dial(i % 2);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		report("thread: %d\n", good[i]);
	}
	report("children: %d\n", children);
}

static volatile sig_atomic_t forked, forked_well;

static void fork_in_handler(int signal)
{
	int saved = errno;

	(void)signal;
	if (forked < FORKS_OF_HANDLER) {
		forked++;
		forked_well += fork_and_dial(forked % 2);
	}
	errno = saved;
}

static void fork_from_handler(void)
{
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	int good = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < DIALS_MEANWHILE; i++)
		good += dial(false);
	while (forked < FORKS_OF_HANDLER)
		pause(); /* the next is a millisecond away */
	setitimer(ITIMER_REAL, &never, NULL);
	report("dials: %d, children: %d\n", good, (int)forked_well);
}

/* ---- vfork ---- */

static void vfork_and_exec(void)
{
	char **argv = arguments_of_child();
	pid_t pid = vfork();

	if (pid == 0) {
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		dup2(1, 2);
		execve(self, argv, environ);
		_exit(127);
	}
	await("vfork and exec", pid);
}

static void vfork_and_dial(void)
{
	static volatile int answers;
	char **argv = arguments_of_child();
	pid_t pid = vfork();

	if (pid == 0) {
		answers += dial(false);
		answers += dial(true);
		_exit(4);
	}
	await("vfork and dial", pid);
	pid = vfork();
	if (pid == 0) {
		answers += dial(false);
		execve(self, argv, environ);
		_exit(127);
	}
	await("vfork, dial and exec", pid);
	report("dials: %d, and one more: %d\n", answers, dial(false));
}

/* ---- others ---- */

static void spawn_child(void)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid = -1;
	sigset_t all;
	int error;

	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, 0);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigdefault(&attr, &all);
	error = posix_spawn(&pid, self, &actions, &attr, arguments_of_child(), environ);
	await("spawned", pid); /* who has its say in the meantime */
	report("posix_spawn: %d\n", error);
	report("posix_spawnp, nowhere: %d\n", posix_spawnp(&pid, "/nowhere/program", NULL, NULL, arguments_of_child(), environ));
}

static void call_shell(void)
{
	char command[1024], line[64] = "";
	FILE *output;

	snprintf(command, sizeof(command), "%s child %s %s -", self, life.address, life.port);
	report("system: %x\n", (unsigned)system(command));
	report("system, exit: %x\n", (unsigned)system("exit 3"));
	report("system, killed: %x\n", (unsigned)system("kill -9 $$"));
	output = popen(command, "r");
	report("popen: %s", output && fgets(line, sizeof(line), output) ? line : "nothing\n");
	report("pclose: %x\n", (unsigned)pclose(output));
}

int main(int argc, char **argv)
{
	static const struct life lives[] = {
		{ "child", be_child },
		{ "fork", fork_while_threads_dial },
		{ "fork-in-handler", fork_from_handler },
		{ "vfork", vfork_and_exec },
		{ "vfork-dial", vfork_and_dial },
		{ "spawn", spawn_child },
		{ "shell", call_shell },
		{ NULL, NULL },
	};

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 2;
	return live(lives, argc, argv);
}
