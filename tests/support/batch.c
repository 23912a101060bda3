/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a test runs by the hundred: what process.h promises, without a struct process for each. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/testing.h"

enum { LIMIT_S = 120 };

int run_quickly(const struct start *start, char *text, size_t size)
{
	int reads, writes, status = -1;
	size_t length = 0;
	ssize_t n;
	pid_t pid;

	pipe_or_fail(&reads, &writes);
	pid = process_fork(start, writes, writes);
	close(writes);
	while (length + 1 < size && (n = read(reads, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(reads);
	waitpid(pid, &status, 0);
	return status;
}

static void reap_one(size_t *failed)
{
	int status;

	if (waitpid(-1, &status, 0) < 0)
		_exit(1);
	if (status)
		++*failed;
}

static char *whole_file(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	if (pread(fd, text, (size_t)size, 0) != size)
		fail_msg("cannot read what was written");
	close(fd);
	after_test(free, text);
	return text;
}

/* In a child of its own, whose only children they are. It tells the failures through `result`. */
static void run_batch(const struct start *start, size_t count, size_t at_once, int out, int result)
{
	size_t failed = 0, running = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIMIT_S);
	for (size_t i = 0; i < count; i++, running++) {
		if (running == at_once) {
			reap_one(&failed);
			running--;
		}
		if (process_fork(start, out, 2) < 0)
			_exit(1);
	}
	while (running--)
		reap_one(&failed);
	_exit(write(result, &failed, sizeof(failed)) != sizeof(failed));
}

char *run_many(const struct start *start, size_t count, size_t at_once, size_t *failed)
{
	int out = memfd_create("output", MFD_CLOEXEC), reads, writes, status;
	pid_t pid;

	fcntl(out, F_SETFL, O_APPEND);
	pipe_or_fail(&reads, &writes);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_batch(start, count, at_once, out, writes);
	close(writes);
	waitpid(pid, &status, 0);
	if (read(reads, failed, sizeof(*failed)) != sizeof(*failed))
		fail_msg("%zu runs of %s did not end in %d s", count, start->argv[0], LIMIT_S);
	close(reads);
	return whole_file(out);
}
