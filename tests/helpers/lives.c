/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lives LIFE ADDRESS PORT REPORT (see life.h): programs that close their descriptors, become daemons, give up their root or
 * their user, and look at themselves.
 */
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "entries.h"
#include "life.h"

/* Any longer, and what is done once a second is due again. */
static void wait_a_second(void)
{
	usleep(1100000);
}

/* ---- descriptors ---- */

/* In the order of their numbers, with what they lead to. */
static void list_descriptors(const char *when)
{
	char text[2048], path[64], to[256];
	size_t used = 0;

	text[0] = '\0';
	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to) - 1);
		if (n < 0)
			continue;
		to[n] = '\0';
		if (strchr(to, ':')) /* "socket:[4711]" */
			*strchr(to, ':') = '\0';
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %d %s", fd, to);
	}
	report("%s:%s\n", when, text);
}

/* Dials in all ways, and shows what is open before, meanwhile and after. */
static void dial_and_list(void)
{
	int fd;

	list_descriptors("before");
	fd = stream(false);
	report("answered: %d\n", ask(fd, false));
	list_descriptors("connected");
	report("answered: %d\n", dial(true));
	close(fd);
	wait_a_second();
	report("answered: %d\n", dial(false));
	list_descriptors("after");
}

static void open_some(void)
{
	struct rlimit few = { 64, 64 };

	setrlimit(RLIMIT_NOFILE, &few);
	for (int i = 0; i < 5; i++)
		if (open("/dev/zero", O_RDONLY) < 0)
			_exit(9);
	list_descriptors("opened");
}

static void close_in_loop(void)
{
	open_some();
	for (int fd = (int)sysconf(_SC_OPEN_MAX); --fd >= 3;)
		close(fd);
	dial_and_list();
}

static void close_from(void)
{
	open_some();
#ifdef __GLIBC__
	closefrom(3);
#else
	syscall(SYS_close_range, 3, ~0u, 0);
#endif
	dial_and_list();
}

static void close_others(void)
{
	open_some();
	syscall(SYS_close_range, 3, ~0u, 0);
	dial_and_list();
}

static void close_all(void)
{
	open_some();
	syscall(SYS_close_range, 0, ~0u, 0);
	dial_and_list();
}

/* Its first sockets get 0, 1 and 2. */
static void dial_on_the_first(void)
{
	int fd[3];

	for (int i = 0; i < 3; i++)
		close(i);
	for (int i = 0; i < 3; i++)
		fd[i] = stream(false);
	for (int i = 0; i < 3; i++)
		report("%d answers: %d\n", fd[i], ask(fd[i], false));
	wait_a_second();
	report("and another: %d\n", dial(true));
	for (int i = 0; i < 3; i++)
		close(i);
}

/* What 0, 1 and 2 lead to has something to read, and would take whatever is written. */
static void keep_the_first(void)
{
	char text[16];
	int pair[2];

	for (int i = 0; i < 3; i++)
		close(i);
	for (int i = 0; i < 3; i++) { /* the lowest that is free, and the one after it */
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) || pair[0] != i || dup2(pair[1], 10 + i) < 0)
			_exit(9);
		close(pair[1]);
		if (send(10 + i, "unread", 6, 0) != 6)
			_exit(9);
	}
	for (int i = 0; i < 3; i++) {
		report("answered: %d\n", dial(i % 2));
		wait_a_second();
	}
	for (int i = 0; i < 3; i++) {
		report("%d was read: %d, ", i, recv(i, text, sizeof(text), 0) != 6);
		report("written: %d\n", recv(10 + i, text, sizeof(text), 0) >= 0);
	}
}

/* ---- a daemon ---- */

static void become_daemon(void)
{
	if (fork())
		_exit(0);
	setsid();
	if (fork())
		_exit(0);
	if (chdir("/"))
		_exit(9);
	umask(0);
	for (int fd = (int)sysconf(_SC_OPEN_MAX); --fd >= 0;)
		close(fd);
	if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		_exit(9);
}

/* The first process is only there to wait until the daemon has ended. */
static void live_as_daemon(void)
{
	int status = -1, pids = 0;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0) {
		become_daemon();
		dial_and_list();
		_exit(7);
	}
	while (wait(&status) > 0)
		pids++;
	report("%d processes, the last ended with %x\n", pids, (unsigned)status);
}

/* ---- another root, another user ---- */

static void leave_root(void)
{
	char empty[] = "/tmp/empty-XXXXXX";

	if (!mkdtemp(empty) || chdir(empty) || rmdir(empty) || chroot(".") || chdir("/"))
		_exit(9);
}

static void leave_user(void)
{
	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		_exit(9);
}

static void dial_later(void)
{
	bool first = dial(false), second = dial(true);

	wait_a_second();
	report("answers: %d %d %d %d\n", first, second, dial(false), dial(true));
}

static void dial_as_somebody_else(void)
{
	leave_user();
	dial_later();
}

/* As servers do on behalf of a user: root again afterwards. */
static void dial_as_a_user_for_a_moment(void)
{
	bool before = dial(false), meanwhile;

	wait_a_second();
	if (seteuid(65534))
		_exit(9);
	meanwhile = dial(false);
	wait_a_second();
	meanwhile |= dial(true);
	if (seteuid(0))
		_exit(9);
	report("answers: %d %d %d\n", before, meanwhile, dial(false));
}

static void dial_in_another_root(void)
{
	leave_root();
	dial_later();
}

static void dial_elsewhere_as_somebody_else(void)
{
	leave_root();
	leave_user();
	dial_later();
}

/* ---- what it sees of itself ---- */

static volatile sig_atomic_t children_ended;

static void on_child(int signal)
{
	(void)signal;
	children_ended++;
}

static void show_status(void)
{
	static const char *const lines[] = { "Umask", "Threads", "SigPnd",     "ShdPnd",  "SigBlk", "SigIgn",
					     "SigCgt", "CapEff",  "NoNewPrivs", "Seccomp", "Groups" };
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
			if (!strncmp(line, lines[i], strlen(lines[i])))
				report("%s", line);
	if (status)
		fclose(status);
}

static void show_timers(void)
{
	static const int kinds[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
	struct itimerval timer;
	int fd = open("/proc/self/timers", O_RDONLY);
	char text[64];

	for (int i = 0; i < 3; i++) {
		getitimer(kinds[i], &timer);
		report("timer: %ld %ld\n", (long)timer.it_value.tv_sec, (long)timer.it_value.tv_usec);
	}
	report("timers: %zd\n", read(fd, text, sizeof(text)));
	close(fd);
}

static void look_at_itself(void)
{
	int status;

	signal(SIGCHLD, on_child);
	for (int i = 0; i < 6; i++)
		report("answered: %d\n", dial(i % 2));
	wait_a_second();
	report("answered: %d\n", dial(false));
	show_status();
	show_timers();
	errno = 0;
	status = waitpid(-1, NULL, WNOHANG);
	report("children: %d %s, %d ended\n", status, strerror(errno), (int)children_ended);
	report("threads: %d\n", entries_of("/proc/self/task"));
	list_descriptors("descriptors");
}

/* The same where there may be no /proc. */
static void live_simply(void)
{
	int status;

	for (int i = 0; i < 6; i++)
		report("answered: %d\n", dial(i % 2));
	errno = 0;
	status = waitpid(-1, NULL, WNOHANG);
	report("process %d, children: %d %s\n", getpid() == 1, status, strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct life lives[] = {
		{ "close-in-loop", close_in_loop },
		{ "close-from", close_from },
		{ "close-others", close_others },
		{ "close-all", close_all },
		{ "dial-on-the-first", dial_on_the_first },
		{ "keep-the-first", keep_the_first },
		{ "daemon", live_as_daemon },
		{ "another-user", dial_as_somebody_else },
		{ "user-for-a-moment", dial_as_a_user_for_a_moment },
		{ "another-root", dial_in_another_root },
		{ "another-root-and-user", dial_elsewhere_as_somebody_else },
		{ "look", look_at_itself },
		{ "simple", live_simply },
		{ NULL, NULL },
	};

	return live(lives, argc, argv);
}
