/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobshell PROGRAM [ARG...]: what a shell with job control does for one job. Leads the session of the terminal on its
 * stdin, runs the program in the foreground, prints "job stopped" when it stops and continues it, and at its end prints
 * "job exited N" or "job killed N".
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void start_job(char **argv)
{
	setpgid(0, 0);
	tcsetpgrp(0, getpid());
	signal(SIGTTOU, SIG_DFL);
	execvp(argv[1], argv + 1);
	_exit(127);
}

int main(int argc, char **argv)
{
	int status;
	pid_t job;

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	signal(SIGTTOU, SIG_IGN); /* for tcsetpgrp from the background */
	alarm(60);
	job = fork();
	if (job == 0)
		start_job(argv);
	setpgid(job, job);
	tcsetpgrp(0, job);
	while (waitpid(job, &status, WUNTRACED) == job) {
		if (WIFSTOPPED(status)) {
			tcsetpgrp(0, getpgrp());
			puts("job stopped");
			tcsetpgrp(0, job);
			kill(-job, SIGCONT);
			continue;
		}
		if (WIFSIGNALED(status))
			printf("job killed %d\n", WTERMSIG(status));
		else
			printf("job exited %d\n", WEXITSTATUS(status));
		return 0;
	}
	return 1;
}
