/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chaos: for TIME seconds all at once goes wrong that may, under programs that look at every reply they get. Agents die, stop, are
 * of the next version, or live by another clock; shims are exchanged; lists change, endpoints refuse and listen again; the disk is
 * full, the ledger is lost, or somebody writes random words into it; programs are killed, or may have few descriptors and little
 * memory.
 *
 * At the Services' own addresses there is always a server, and in every list an endpoint that listens: natively no dial would
 * fail, so none may. Afterwards no reply was lost or doubled, the ledger counts what is there, and nothing was left behind:
 * descriptors, threads, memory, files.
 *
 * All that is done, and in which order, follows from SEED, which is printed; how far it comes in that time, and whom it meets
 * where, is up to the machine. LOUD=1 prints each act. It is all in namespaces of its own.
 */
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/herd.h"
#include "support/keeping.h"
#include "support/moves.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/tun.h"
#include "support/versions.h"

/* The first two backends have the addresses of the Services `web` and `turns`. */
enum { NATIVE = 2, ENDPOINTS = 5, ALL = NATIVE + ENDPOINTS, EACH = 6, LIMIT_MS = 60000 };
/* Of Service `numbers`: its own address, one endpoint that always listens, and others. */
enum { STEADY = 1, PLACES = 6, NUMBERS = 4 << 20 };
enum { HERD = 4, HERD_PAUSE_US = 40000, ASKERS = 3, CONNECTIONS = 10, QUESTIONS = 200, WATCHERS = 2, TIME_S = 20 };
enum { PAUSE_MS = 150, MOST_WORDS = 200, AGENT_FILES = 40, MORE_MAPS = 36, MORE_KIB = 4096 };

/* Of an agent. */
enum { BORN_ELSEWHEN = 1, MOVED, POOR };

/* What is done, drawn as a whole, so that no act draws more or less than another. */
struct step {
	unsigned what, a, b;
	int pause_ms;
};

/* A program that dials once at a line, from the beginning to the end. */
struct watcher {
	struct process *p;
	size_t files, threads, maps;
	long kib;
};

struct stage {
	struct backends *b;
	struct services *s;
	const char *shim, *clock;
	uint64_t random;
	bool has_next, full;
	struct agent_run *agent;
	const char *log; /* of this agent */
	bool agent_stopped, agent_excused;
	unsigned agents;
	struct place places[PLACES];
	struct process *server, *asking[ASKERS];
	bool closed[PLACES], asker_stopped[ASKERS];
	int next_number;
	unsigned answered, finished;
	struct watcher watchers[WATCHERS];
	struct herd *herd;
};

static struct step draw(uint64_t *random)
{
	struct step step = { .what = (unsigned)(next_random(random) >> 33) };

	step.a = (unsigned)(next_random(random) >> 33);
	step.b = (unsigned)(next_random(random) >> 33);
	step.pause_ms = (int)((next_random(random) >> 33) % PAUSE_MS);
	return step;
}

static size_t entries_of(pid_t pid, const char *what)
{
	return files_in(format("/proc/%d/%s", (int)pid, what)) ;
}

static long number_of(pid_t pid, const char *file, const char *key)
{
	FILE *in = fopen(format("/proc/%d/%s", (int)pid, file), "re");
	char line[512];
	long n = 0;

	while (in && fgets(line, sizeof(line), in)) {
		if (!key)
			n++;
		else if (strncmp(line, key, strlen(key)) == 0)
			n = atol(line + strlen(key));
	}
	if (in)
		fclose(in);
	return n;
}

/* ---- lists ---- */

static char *entry_of(const char *name, const struct place *own, const char *endpoints, const char *more)
{
	return format("{ \"name\": \"%s\", \"addresses\": [\"%s\"], \"ports\": [ { \"port\": %d } ], \"endpoints\": [ %s ], %s }",
		      name, own->address, own->port, endpoints, more);
}

/* Of each place two bits say what it is: in the list, with twice the weight, terminating or not there. The first one is. */
static char *endpoints_of(const struct place *places, size_t count, unsigned what)
{
	char *list = format("%s", "");

	for (size_t i = 0; i < count; i++) {
		static const char *const more[] = { "", ", \"weight\": 2", ", \"terminating\": true" };
		unsigned it = i ? what >> 2 * i & 3 : 0;

		if (it < 3)
			list = format("%s%s{ \"address\": \"%s\", \"port\": %d%s }", list, *list ? ", " : "", places[i].address,
				      places[i].port, more[it]);
	}
	return list;
}

#define EJECTS "\"eject_for\": \"200ms\", \"eject_max\": \"1s\""

/* What all zero makes is all of them. */
static void write_list(const struct stage *stage, unsigned web, unsigned numbers)
{
	const struct place *places = backends_places(stage->b);
	char *temporary = format("%s.new", stage->s->file), *text;

	text = format("{ \"services\": [ %s, %s, %s ] }\n",
		      entry_of("web", &places[0], endpoints_of(places + NATIVE, ENDPOINTS, web),
			       "\"balance\": \"least_conn\", " EJECTS),
		      entry_of("turns", &places[1], endpoints_of(places + NATIVE, ENDPOINTS, web ^ numbers << 3),
			       "\"balance\": \"round_robin\", " EJECTS),
		      entry_of("numbers", &stage->places[0], endpoints_of(stage->places + STEADY, PLACES - STEADY, numbers),
			       "\"balance\": \"p2c\", \"drain\": \"idle\", \"rebalance\": \"1s\", \"max_age\": \"3s\", " QUICK
			       ", " EJECTS));
	write_file(temporary, text, strlen(text));
	assert_int_equal(rename(temporary, stage->s->file), 0);
}

static void change_list(struct stage *stage, const struct step *step)
{
	write_list(stage, step->a, step->b);
}

static void flap(struct stage *stage, const struct step *step)
{
	unsigned i = STEADY + 1 + step->a % (PLACES - STEADY - 1);
	char *line = format("%s %u", stage->closed[i] ? "open" : "close", i + 1);

	process_say(stage->server, format("%s\n", line));
	assert_string_equal(process_line(stage->server, LIMIT_MS), line);
	stage->closed[i] = !stage->closed[i];
}

/* ---- agents ---- */

static const char *const *words_before_agent(unsigned peculiar)
{
	switch (peculiar % 4) {
	case BORN_ELSEWHEN:
		return with_env(NULL, "unshare", "-T", peculiar / 4 % 2 ? "--boottime=1000000" : "--boottime=100", NULL);
	case POOR:
		return with_env(NULL, "sh", "-c", format("ulimit -n %u; exec \"$@\"", 6 + peculiar / 4 % 12), "sh", NULL);
	default:
		return NULL;
	}
}

/* As usual, or with a clock that began at another time, a wall clock that jumps, few descriptors. */
static void start_agent(struct stage *stage, unsigned version, unsigned peculiar)
{
	static const char *const jumps[] = { "CLOCK_JUMP=86400", "CLOCK_JUMP=-1000000" };

	stage->log = format("%s/agent-%u.log", stage->s->root, stage->agents++);
	stage->agent = agent_start_as(&(struct agent_setup){
		.dir = stage->s->dir,
		.program = version_file(stage->has_next && version % 2 ? NEXT : NOW, "fairdial"),
		.before = words_before_agent(peculiar),
		.more = ARGV("--services", stage->s->file),
		.log = stage->log,
		.env = peculiar % 4 == MOVED ? ARGV(format("LD_PRELOAD=%s", stage->clock), jumps[peculiar / 4 % 2]) : NULL });
	stage->agent_stopped = false;
	stage->agent_excused = stage->full || peculiar % 4 == POOR;
}

static const char *said_by(const struct stage *stage)
{
	return access(stage->log, F_OK) ? "" : read_file(stage->log, NULL);
}

/* With a list, which the programs may go by. */
static void wait_for_agent(struct stage *stage)
{
	long end = now_ms() + LIMIT_MS;

	while (!strstr(said_by(stage), "published")) {
		if (now_ms() > end)
			fail_msg("an agent in peace has published nothing for a minute: %s", said_by(stage));
		poll(NULL, 0, 20);
	}
	agent_wait_vouched(stage->agent, true);
}

static bool has_ended(const struct process *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == p->pid;
}

/* One that never had room for its table, or too few descriptors, may give up, but not crash. */
static void end_agent(struct stage *stage, int signal)
{
	struct agent_run *a = stage->agent;
	bool ended = has_ended(a->process);
	size_t files = ended ? 0 : entries_of(a->process->pid, "fd");

	if (files > AGENT_FILES)
		fail_msg("an agent has %zu descriptors", files);
	kill(-a->process->pid, SIGCONT);
	kill(-a->process->pid, signal);
	process_wait(a->process, LIMIT_MS);
	if (ended && (a->process->signal || !stage->agent_excused))
		fail_msg("an agent ended by itself, with exit status %d, signal %d: %s", a->process->exit_status,
			 a->process->signal, said_by(stage));
	if (!ended && a->process->signal != signal && a->process->exit_status)
		fail_msg("an agent ended with exit status %d, signal %d: %s", a->process->exit_status, a->process->signal,
			 said_by(stage));
}

static void replace_agent(struct stage *stage, const struct step *step)
{
	end_agent(stage, step->a % 3 ? SIGKILL : SIGTERM);
	start_agent(stage, step->b, step->b / 2);
}

static void stop_agent(struct stage *stage, const struct step *step)
{
	(void)step;
	if (!has_ended(stage->agent->process))
		kill(-stage->agent->process->pid, stage->agent_stopped ? SIGCONT : SIGSTOP);
	stage->agent_stopped = !stage->agent_stopped;
}

/* From when on it also knows what SIGHUP means. */
static void hang_up(struct stage *stage, const struct step *step)
{
	(void)step;
	if (strstr(said_by(stage), "published"))
		kill(-stage->agent->process->pid, SIGHUP);
}

/* ---- the shim, the disk and the ledger ---- */

static void exchange_shim(struct stage *stage, const struct step *step)
{
	version_install(stage->has_next && step->a % 2 ? NEXT : NOW, stage->shim);
}

static void fill_disk(struct stage *stage, const struct step *step)
{
	const char *path = format("%s/fill", stage->s->dir);
	struct statvfs disk;
	int fd;

	(void)step;
	stage->full = !stage->full;
	if (!stage->full) {
		unlink(path);
		return;
	}
	stage->agent_excused = true;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	do { /* others take of it, too */
		assert_int_equal(statvfs(path, &disk), 0);
	} while (disk.f_bfree && fallocate(fd, 0, 0, (off_t)(disk.f_bfree * disk.f_bsize)) && errno == ENOSPC);
	close(fd);
}

/* Anywhere: counts, times, cursors, its head. Its size stays, and its first word: without that it is a stranger's file. */
static void scribble(struct stage *stage, const struct step *step)
{
	uint64_t random = step->a | 1;
	int fd = open(stage->s->ledger, O_WRONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	assert_int_equal(fstat(fd, &st), 0);
	for (unsigned i = step->b % MOST_WORDS; i && st.st_size > 8; i--) {
		/* Few rows are used, and those are at the beginning. */
		uint64_t at = next_random(&random), words = (uint64_t)st.st_size / 8, word = next_random(&random);

		words = (at & 1 && words > 512 ? 512 : words) - 1;
		assert_int_equal(pwrite(fd, &word, 8, (off_t)((1 + (at >> 8) % words) * 8)), 8);
	}
	close(fd);
}

static void lose_ledger(struct stage *stage, const struct step *step)
{
	(void)step;
	unlink(stage->s->ledger);
}

/* ---- programs ---- */

static void start_asker(struct stage *stage, size_t i)
{
	stage->asking[i] = process_start(&(struct start){
		.argv = ARGV(built("helpers/turns"), "ask", stage->places[0].address, format("%d", stage->places[0].port),
			     format("%d", CONNECTIONS), format("%d", QUESTIONS), format("%d", stage->next_number), "ignore"),
		.env = stage->s->env });
	stage->next_number += QUESTIONS;
	stage->asker_stopped[i] = false;
	assert_true(stage->next_number < NUMBERS);
}

static void judge_asker(struct stage *stage, size_t i)
{
	struct process *p = stage->asking[i];
	int answered = 0, again = 0, lost = 0, cut = 0, wrong = 0, stray = 0, renewed = 0;

	process_wait(p, LIMIT_MS);
	if (p->exit_status || sscanf(p->out_text, "answered %d again %d lost %d cut %d wrong %d stray %d renewed %d", &answered, &again,
				     &lost, &cut, &wrong, &stray, &renewed) != 7)
		fail_msg("an asker ended with exit status %d, signal %d: %s%s", p->exit_status, p->signal, p->out_text, p->err_text);
	if (answered != QUESTIONS || lost || cut || wrong || stray)
		fail_msg("an asker: %s", p->out_text);
	stage->answered += (unsigned)answered;
	stage->finished++;
}

static void look_at_askers(struct stage *stage)
{
	for (size_t i = 0; i < ASKERS; i++)
		if (has_ended(stage->asking[i])) {
			judge_asker(stage, i);
			start_asker(stage, i);
		}
}

static void kill_asker(struct stage *stage, const struct step *step)
{
	size_t i = step->a % ASKERS;

	kill(stage->asking[i]->pid, SIGKILL);
	process_wait(stage->asking[i], LIMIT_MS);
	if (!stage->asking[i]->signal)
		judge_asker(stage, i);
	start_asker(stage, i);
}

static void stop_asker(struct stage *stage, const struct step *step)
{
	size_t i = step->a % ASKERS;

	kill(stage->asking[i]->pid, stage->asker_stopped[i] ? SIGCONT : SIGSTOP);
	stage->asker_stopped[i] = !stage->asker_stopped[i];
}

static struct process *dial_within(const struct stage *stage, const char *limit, bool shimmed)
{
	const char *env = shimmed ? format("env %s %s ", stage->s->env[0], stage->s->env[1]) : "env ";

	return run_shell(NULL, "%s %s%s %s %d", limit, env, built("helpers/dialer"), backends_address(stage->b, 0),
			 backends_port(stage->b, 0));
}

/* With few descriptors, no file to be written, another clock, or little memory: of that the shim may take some. */
static void dial_in_want(struct stage *stage, const struct step *step)
{
	unsigned n = step->b % 10;
	const char *limit, *native;
	struct process *p;

	if (step->a % 4 == 0)
		limit = native = format("ulimit -n %u; exec", 4 + n);
	else if (step->a % 4 == 1)
		limit = native = format("ulimit -f %u; exec", n / 2 * 8);
	else if (step->a % 4 == 2)
		limit = native = format("exec unshare -T --boottime=%u", n * n * 1000);
	else
		native = format("ulimit -v %u; exec", 3000 + 700 * n), limit = format("ulimit -v %u; exec", 3000 + 700 * n + MORE_KIB);
	p = dial_within(stage, native, false);
	if (p->exit_status || p->signal)
		return;
	p = dial_within(stage, limit, true);
	if (p->exit_status || p->signal || strncmp(p->out_text, "backend-", 8) != 0)
		fail_msg("under \"%s\" a dial ends with exit status %d, signal %d: %s%s", limit, p->exit_status, p->signal,
			 p->out_text, p->err_text);
}

static void ask_tool(struct stage *stage, const struct step *step)
{
	static const char *const verbs[] = { "status", "status --json", "explain web", "status --coverage", "explain --json turns" };
	const char *verb = verbs[step->b % 5], *tool = version_file(stage->has_next && step->a % 2 ? NEXT : NOW, "fairdial");
	struct process *p = run_shell(NULL, "exec %s %s --dir %s", tool, verb, stage->s->dir);

	if (p->signal || p->exit_status > 1 || (p->exit_status == 1 && lines_of(p->err_text) != 1))
		fail_msg("%s: exit status %d, signal %d: %s%s", verb, p->exit_status, p->signal, p->out_text, p->err_text);
}

/* ---- programs that stay ---- */

static const char *dial_once(struct watcher *w)
{
	const char *line;

	process_say(w->p, "\n");
	line = process_line(w->p, LIMIT_MS);
	if (!line || strncmp(line, "backend-", 8) != 0)
		fail_msg("a dial of a program that stays failed: %s", line ? line : "it has ended");
	return line;
}

static void start_watcher(struct stage *stage, size_t i)
{
	struct watcher *w = &stage->watchers[i];

	w->p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--step", backends_address(stage->b, i),
							   format("%d", backends_port(stage->b, i))),
					      .env = stage->s->env,
					      .interactive = true });
	dial_once(w);
	w->files = entries_of(w->p->pid, "fd");
	w->threads = entries_of(w->p->pid, "task");
	w->maps = (size_t)number_of(w->p->pid, "maps", NULL);
	w->kib = number_of(w->p->pid, "status", "VmRSS:");
}

/* A shim keeps what it had of up to sixteen tables and ledgers, one after the other: somebody may be reading there. */
static void assert_nothing_leaks(const struct watcher *w)
{
	size_t files = entries_of(w->p->pid, "fd"), threads = entries_of(w->p->pid, "task");
	size_t maps = (size_t)number_of(w->p->pid, "maps", NULL);
	long kib = number_of(w->p->pid, "status", "VmRSS:");

	printf("  a program that stayed: %zu descriptors, %zu threads, %zu mappings (%zu at first), %ld KiB (%ld)\n", files, threads,
	       maps, w->maps, kib, w->kib);
	if (files != w->files || threads != w->threads || maps > w->maps + MORE_MAPS || kib > w->kib + MORE_KIB)
		fail_msg("at its beginning it had %zu descriptors, %zu threads, %zu mappings, %ld KiB", w->files, w->threads, w->maps,
			 w->kib);
}

/* ---- the play ---- */

static const struct act {
	const char *name;
	void (*act)(struct stage *stage, const struct step *step);
	unsigned weight;
} acts[] = {
	{ "change the list", change_list, 6 },	 { "flap", flap, 6 },		{ "replace the agent", replace_agent, 4 },
	{ "stop the agent", stop_agent, 2 },	 { "hang up", hang_up, 4 },	{ "exchange the shim", exchange_shim, 2 },
	{ "fill the disk", fill_disk, 2 },	 { "scribble", scribble, 6 },	{ "lose the ledger", lose_ledger, 1 },
	{ "kill an asker", kill_asker, 2 },	 { "stop an asker", stop_asker, 2 }, { "dial in want", dial_in_want, 4 },
	{ "ask the tool", ask_tool, 3 },
};
enum { ACTS = sizeof(acts) / sizeof(*acts) };

static size_t act_of(unsigned what)
{
	unsigned all = 0, i = 0;

	for (size_t k = 0; k < ACTS; k++)
		all += acts[k].weight;
	for (what %= all; what >= acts[i].weight; i++)
		what -= acts[i].weight;
	return i;
}

static void play(struct stage *stage, long seconds)
{
	unsigned done[ACTS] = { 0 }, count = 0;
	long end = now_ms() + seconds * 1000;

	for (; now_ms() < end; count++) {
		struct step step = draw(&stage->random);
		size_t i = act_of(step.what);

		if (getenv("LOUD"))
			fprintf(stderr, "%u: %s %u %u\n", count, acts[i].name, step.a, step.b);
		acts[i].act(stage, &step);
		done[i]++;
		dial_once(&stage->watchers[count % WATCHERS]);
		look_at_askers(stage);
		poll(NULL, 0, step.pause_ms);
	}
	printf("%u acts:", count);
	for (size_t i = 0; i < ACTS; i++)
		printf(" %s %u%s", acts[i].name, done[i], i + 1 < ACTS ? "," : "\n");
	fflush(stdout);
}

static void leave_disk(void *dir)
{
	umount2(dir, MNT_DETACH);
}

/* Small, and not that of others; with room for all the tables and ledgers that one process holds, whose files are gone. */
static void need_small_disk(const struct stage *stage)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("chaos", stage->s->dir, "tmpfs", 0, "size=64m,mode=0755"))
		skip_because("no file system of its own: %s", strerror(errno));
	after_test(leave_disk, stage->s->dir);
}

static void start_server(struct stage *stage)
{
	const char *argv[PLACES + 5] = { built("helpers/turns"), "serve", format("%d", NUMBERS) };

	unused_places(stage->places, PLACES);
	argv[3] = format("%d", stage->places[0].port);
	for (size_t i = 0; i < PLACES; i++)
		argv[4 + i] = stage->places[i].address;
	stage->server = process_start(&(struct start){ .argv = argv, .interactive = true });
	assert_string_equal(process_line(stage->server, LIMIT_MS), "ready");
}

static void set_stage(struct stage *stage)
{
	stage->b = backends_start(ALL, ONE_PORT);
	stage->s = services_open();
	need_small_disk(stage);
	stage->shim = format("%s/libfairdial.so", stage->s->root);
	stage->s->env[0] = format("LD_PRELOAD=%s", stage->shim);
	stage->clock = compiled("cc", "preloaded/clock", "-shared -fPIC");
	stage->has_next = access(version_file(NEXT, "fairdial"), X_OK) == 0;
	if (!stage->has_next)
		printf("without the next version, which `make next` builds\n");
	version_install(NOW, stage->shim);
	start_server(stage);
	write_list(stage, 0, 0);
	start_agent(stage, NOW, 0);
	wait_for_agent(stage);
}

static void start_programs(struct stage *stage, uint64_t seed, unsigned seconds)
{
	static struct herd_plan plan;

	for (size_t i = 0; i < WATCHERS; i++)
		start_watcher(stage, i);
	for (size_t i = 0; i < ASKERS; i++)
		start_asker(stage, i);
	plan = (struct herd_plan){
		.env = stage->s->env,
		.places = { backends_address(stage->b, 0), backends_address(stage->b, 0), format("%d", backends_port(stage->b, 0)),
			    backends_address(stage->b, 1), backends_address(stage->b, 1), format("%d", backends_port(stage->b, 1)) },
		.kills = 1,
		.seconds = seconds,
		.members = HERD,
		.pause_us = HERD_PAUSE_US,
		.seed = seed,
	};
	stage->herd = herd_start(&plan);
}

/* ---- what has to be true afterwards ---- */

static void end_askers(struct stage *stage)
{
	const char *line;

	for (size_t i = 0; i < ASKERS; i++) {
		kill(stage->asking[i]->pid, SIGCONT);
		judge_asker(stage, i);
	}
	process_say(stage->server, "report\n");
	line = process_line(stage->server, LIMIT_MS);
	printf("  %u answers to %u askers, none lost; %s\n", stage->answered, stage->finished, line);
	if (!line || !strstr(line, " doubled 0"))
		fail_msg("the server was asked twice");
}

static void end_herd(struct stage *stage)
{
	const struct torture_counts *counts = herd_counts(stage->herd);
	const struct herd_result *result = herd_result(stage->herd);
	unsigned long spread = 0;

	while (!herd_has_ended(stage->herd))
		poll(NULL, 0, 20);
	for (size_t i = NATIVE; i < ALL; i++)
		spread += counts->answers[i];
	printf("  %lu dials of a herd, %lu answered by endpoints, %lu at the Services' own addresses; %u kills, %u stops\n", counts->begun,
	       spread, counts->answers[0] + counts->answers[1], result->kills, result->stops);
	assert_herd_is_well(stage->herd);
	assert_true(spread > 0);
}

/* An agent of this version, alone and in peace, takes over what is there. */
static void make_peace(struct stage *stage)
{
	struct step none = { 0 };

	for (size_t i = 0; i < PLACES; i++)
		if (stage->closed[i])
			flap(stage, &(struct step){ .a = (unsigned)i - STEADY - 1 });
	if (stage->full)
		fill_disk(stage, &none);
	end_agent(stage, SIGKILL);
	write_list(stage, 0, 0);
	version_install(NOW, stage->shim);
	start_agent(stage, NOW, 0);
	wait_for_agent(stage);
}

static void assert_no_file_is_left(const struct stage *stage)
{
	if (files_in(stage->s->dir) != 2)
		fail_msg("more than table and ledger is left: %s", run(NULL, "ls", "-la", stage->s->dir, NULL)->out_text);
}

static void no_program_sees_a_failure_in_chaos_and_all_heals(void **state)
{
	uint64_t seed = herd_seed();
	unsigned seconds = herd_number("TIME", TIME_S);
	struct stage stage = { .random = (seed + 1) * 2654435761u | 1 };

	(void)state;
	need_network_namespace();
	set_stage(&stage);
	start_programs(&stage, seed, seconds);
	play(&stage, seconds);
	make_peace(&stage);
	end_askers(&stage);
	end_herd(&stage);
	for (size_t i = 0; i < WATCHERS; i++) {
		printf("  the last answer to a program that stayed: %s\n", dial_once(&stage.watchers[i]));
		assert_nothing_leaks(&stage.watchers[i]);
	}
	assert_whole(map_table(stage.s->dir));
	assert_ledger_healed(stage.s, stage.b, NATIVE, EACH);
	assert_no_file_is_left(&stage);
	end_agent(&stage, SIGTERM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(no_program_sees_a_failure_in_chaos_and_all_heals),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
