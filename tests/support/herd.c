/* SPDX-License-Identifier: Apache-2.0 */
#include "support/herd.h"

#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { MOST_MEMBERS = 12, LIMIT_S = 240, PAUSE_US = 4000, END_PAUSE_US = 10000, MOST_REAPED = 100 };

struct herd {
	struct torture_counts *counts;
	struct herd_result *result; /* both shared with the child */
	pid_t pid;
	long end_ms;
	bool ended;
};

/* ---- in the child ---- */

struct tormentor {
	const struct herd_plan *plan;
	struct herd_result *result;
	struct torture_counts *counts;
	const char *argv[16];
	char seed[24];
	uint64_t random;
	int count, nowhere; /* a descriptor for what they print */
	pid_t members[MOST_MEMBERS];
	bool stopped[MOST_MEMBERS], killed[MOST_MEMBERS];
};

static unsigned chance(struct tormentor *t, unsigned n)
{
	return (unsigned)(next_random(&t->random) >> 33) % n;
}

static void start_member(struct tormentor *t, int i)
{
	const struct start start = { .argv = t->argv, .env = t->plan->env };

	snprintf(t->seed, sizeof(t->seed), "%u", 1 + chance(t, 1u << 30));
	t->members[i] = process_fork(&start, t->nowhere, 2);
	if (t->members[i] < 0)
		_exit(3);
	setpgid(t->members[i], t->members[i]); /* also here: who comes first may signal the group */
	t->stopped[i] = t->killed[i] = false;
}

static void go_on(struct tormentor *t, int i)
{
	if (t->stopped[i])
		kill(-t->members[i], SIGCONT);
	t->stopped[i] = false;
}

static void stop_member(struct tormentor *t, int i)
{
	if (t->stopped[i] || t->killed[i])
		return;
	kill(chance(t, 2) ? t->members[i] : -t->members[i], SIGSTOP);
	t->stopped[i] = true;
	t->result->stops++;
}

/* Alone, so that its children live on without it, or all of them. */
static void kill_member(struct tormentor *t, int i)
{
	bool all = chance(t, 3) == 0;

	if (t->killed[i])
		return;
	kill(all ? -t->members[i] : t->members[i], SIGKILL);
	t->killed[i] = true;
	go_on(t, i);
}

static int member_of(const struct tormentor *t, pid_t pid)
{
	for (int i = 0; i < t->count; i++)
		if (t->members[i] == pid)
			return i;
	return -1;
}

/* A member that nobody killed has to be there until it is told to stop. A child that it left may end as it likes, but not crash. */
static void judge(struct tormentor *t, int i, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		t->result->kills++;
	} else if (status || (i >= 0 && !atomic_load(&t->counts->stop))) {
		t->result->crashed++;
		t->result->last_crash = status;
	}
}

/* False where nobody is left. Not all at once, or where they die faster than they are started it would have no end. */
static bool reap(struct tormentor *t)
{
	int status, i;
	pid_t pid;

	for (int n = 0; n < MOST_REAPED; n++) {
		siginfo_t info = { .si_pid = 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) < 0)
			return errno == EINTR;
		if (info.si_pid == 0)
			return true;
		pid = info.si_pid;
		i = member_of(t, pid);
		if (i >= 0)
			go_on(t, i); /* its children, while its number is still its own */
		waitpid(pid, &status, 0);
		judge(t, i, status);
		if (i >= 0 && !atomic_load(&t->counts->stop))
			start_member(t, i);
		else if (i >= 0)
			t->members[i] = 0;
	}
	return true;
}

static void one_torment(struct tormentor *t)
{
	int i = (int)chance(t, (unsigned)t->count);

	if (chance(t, 5) == 0)
		stop_member(t, i);
	else
		kill_member(t, i);
	i = (int)chance(t, (unsigned)t->count);
	go_on(t, i);
}

/*
 * A stop that meets a fork is kept for the child, and a continuation that follows at once does not take it back there
 * (kernel/signal.c, prepare_signal: SIGCONT counts as ignored, and the children to come do not hear of it). Whoever has lost
 * his parent then stays stopped, and his group has no member here any more.
 */
static void let_all_go_on(void)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	pid_t pid, group;

	while (children && fscanf(children, "%d", &pid) == 1) {
		group = getpgid(pid);
		if (group > 0 && group != getpgrp())
			kill(-group, SIGCONT);
	}
	if (children)
		fclose(children);
}

static void torment(struct tormentor *t)
{
	long until_ms = now_ms() + 1000L * t->plan->seconds;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	t->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < t->count; i++)
		start_member(t, i);
	while (t->result->kills < t->plan->kills || now_ms() < until_ms) {
		one_torment(t);
		usleep(chance(t, t->plan->pause_us ? t->plan->pause_us : PAUSE_US));
		reap(t);
	}
	atomic_store(&t->counts->stop, 1);
	for (int i = 0; i < t->count; i++)
		go_on(t, i);
	while (reap(t)) {
		let_all_go_on();
		usleep(END_PAUSE_US);
	}
	_exit(0);
}

/* ---- in the test ---- */

static void end_herd(void *what)
{
	struct herd *h = what;

	if (!h->ended) {
		atomic_store(&h->counts->stop, 1); /* who is left ends by himself */
		kill(h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
	}
	munmap(h->counts, sizeof(*h->counts));
	munmap(h->result, sizeof(*h->result));
	free(h);
}

static void *share(size_t size, int fd)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (at == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	return at;
}

static struct torture_counts *share_counts(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct torture_counts *counts;

	if (fd < 0 || ftruncate(fd, sizeof(*counts)))
		fail_msg("cannot make %s: %s", path, strerror(errno));
	counts = share(sizeof(*counts), fd);
	close(fd);
	return counts;
}

struct herd *herd_start(const struct herd_plan *plan)
{
	struct tormentor t = { .plan = plan, .random = plan->seed | 1 };
	struct herd *h = calloc(1, sizeof(*h));
	char *path = format("%s/counts", scratch_dir());
	size_t n = 3;

	if (!h)
		abort();
	t.count = plan->members && plan->members < MOST_MEMBERS ? (int)plan->members : MOST_MEMBERS;
	h->counts = t.counts = share_counts(path);
	h->result = t.result = share(sizeof(*h->result), -1);
	h->end_ms = now_ms() + 1000L * (LIMIT_S + plan->seconds);
	t.argv[0] = built("helpers/torture");
	t.argv[1] = path;
	t.argv[2] = t.seed;
	for (size_t i = 0; plan->places[i]; i++)
		t.argv[n++] = plan->places[i];
	fflush(stdout);
	h->pid = fork();
	if (h->pid == 0)
		torment(&t);
	after_test(end_herd, h);
	return h;
}

/* What each of them is doing, down to those whose parents are left, too. */
static const char *who_is_left(const struct herd *h)
{
	return run_shell(NULL,
			 "show() { grep -E '^(Name|State|Pid|PPid|Threads|SigQ|SigPnd|ShdPnd|SigBlk)' /proc/$1/status | tr '\\n\\t' '; '; "
			 "echo \"in $(cat /proc/$1/wchan), $(cat /proc/$1/syscall)\"; }; "
			 "kids() { for p in $(cat /proc/$1/task/*/children); do show $p; kids $p; done; }; "
			 "show %d; kids %d",
			 (int)h->pid, (int)h->pid)
		->out_text;
}

bool herd_has_ended(struct herd *h)
{
	int status;

	if (!h->ended && waitpid(h->pid, &status, WNOHANG) == h->pid) {
		h->ended = true;
		if (status)
			fail_msg("the tormentor ended with %#x", (unsigned)status);
	}
	if (!h->ended && now_ms() > h->end_ms)
		fail_msg("after %u kills and %u crashes, the last with %#x, the herd still is not gone%s:\n%s", h->result->kills,
			 h->result->crashed, (unsigned)h->result->last_crash,
			 atomic_load(&h->counts->stop) ? "" : ", nor told to", who_is_left(h));
	return h->ended;
}

const struct herd_result *herd_result(const struct herd *h)
{
	return h->result;
}

const struct torture_counts *herd_counts(const struct herd *h)
{
	return h->counts;
}

void assert_herd_is_well(const struct herd *herd)
{
	const struct torture_counts *counts = herd->counts;
	const struct herd_result *result = herd->result;

	for (int i = 0; i < TORTURE_ERRORS; i++)
		if (counts->failures[i])
			fail_msg("%lu dials failed: %s", counts->failures[i], i ? strerror(i) : "the name was not found");
	if (counts->strange)
		fail_msg("%lu answers were nobody's", counts->strange);
	if (result->crashed || counts->crashed)
		fail_msg("%u programs and %lu children of programs crashed; one with %#x", result->crashed, counts->crashed,
			 (unsigned)result->last_crash);
}

uint64_t herd_seed(void)
{
	const char *given = getenv("SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
	printf("SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

unsigned herd_number(const char *variable, unsigned otherwise)
{
	const char *given = getenv(variable);

	return given ? (unsigned)strtoul(given, NULL, 10) : otherwise;
}
