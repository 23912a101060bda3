/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs under the shim and without it, and letting several work in turns. */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct environment {
	char text[4][BENCH_PATH + 32];
	char *list[5];
};

static void set(struct environment *env, int *n, const char *name, const char *value)
{
	if (!value)
		return;
	snprintf(env->text[*n], sizeof(env->text[*n]), "%s=%s", name, value);
	env->list[*n] = env->text[*n];
	env->list[++*n] = NULL;
}

/* Nothing but what is measured: a variable more or less also moves the stack. */
static void build(struct environment *env, const struct side *side)
{
	int n = 0;

	env->list[0] = NULL;
	set(env, &n, "PATH", getenv("PATH"));
	set(env, &n, "LD_PRELOAD", side->preload);
	set(env, &n, "FAIRDIAL_DIR", side->dir);
	set(env, &n, "FAIRDIAL_BALANCE", side->balance);
}

pid_t start(const struct side *side, int in, int out, int err)
{
	const int fds[3] = { in, out, err };
	posix_spawn_file_actions_t actions;
	struct environment env;
	pid_t pid;
	int r;

	build(&env, side);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0)
			posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
		else
			posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	}
	r = posix_spawnp(&pid, side->argv[0], &actions, NULL, (char *const *)side->argv, env.list);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0 ? pid : -1;
}

bool ended_well(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool worker_start(const struct side *side, struct worker *ret_worker)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	ret_worker->pid = start(side, pair[1], pair[1], 2);
	close(pair[1]);
	if (ret_worker->pid < 0) {
		close(pair[0]);
		return false;
	}
	ret_worker->fd = pair[0];
	return true;
}

bool worker_turn(const struct worker *worker, double *ret_value)
{
	return send(worker->fd, "", 1, MSG_NOSIGNAL) == 1 &&
	       recv(worker->fd, ret_value, sizeof(*ret_value), MSG_WAITALL) == sizeof(*ret_value);
}

void worker_stop(struct worker *worker)
{
	close(worker->fd);
	ended_well(worker->pid);
}

/* One life of all sides. Every second round goes backwards, so that nobody always follows the same one. */
static bool live(const struct bench *bench, struct worker *workers, size_t n, unsigned rounds, unsigned step,
		 double *values)
{
	for (unsigned round = 0; round <= rounds; round++) {
		for (size_t k = 0; k < n; k++) {
			size_t i = round % 2 ? n - 1 - k : k;
			double value;

			if (!worker_turn(&workers[i], &value))
				return false;
			listeners_drain(bench);
			if (round > 0)
				values[i * step + round - 1] = value;
		}
	}
	return true;
}

double *alternate(const struct bench *bench, const struct side *sides, size_t n, unsigned lives, unsigned rounds)
{
	double *values = calloc(n * lives * rounds, sizeof(*values));
	bool good = values && n <= BENCH_SIDES;

	for (unsigned life = 0; good && life < lives; life++) {
		struct worker workers[BENCH_SIDES];
		size_t running = 0;

		while (running < n && worker_start(&sides[running], &workers[running]))
			running++;
		good = running == n && live(bench, workers, n, rounds, lives * rounds, values + life * rounds);
		while (running > 0)
			worker_stop(&workers[--running]);
	}
	if (good)
		return values;
	free(values);
	return NULL;
}
