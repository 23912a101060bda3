/* SPDX-License-Identifier: Apache-2.0 */
/* Programs on the stage: those that ask questions, those that dial in want, the tool, and those that stay. */
#include "support/testing.h"

#include "chaos/chaos.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "support/process.h"
#include "support/services.h"
#include "support/versions.h"

enum { CONNECTIONS = 10, QUESTIONS = 200, MORE_MAPS = 2 * 8, MORE_KIB = 4096, FIRST_DIALS = 10, LAST_DIALS = 200,
       NOTED_KIB = 112 /* what a shim notes of 128 tables */ };

/* ---- programs ---- */

/* What ends a connection in a pause is another call where the program does not ignore SIGPIPE. */
void start_asker(struct stage *stage, size_t i)
{
	stage->asking[i] = process_start(&(struct start){
		.argv = ARGV(built("helpers/turns"), "ask", stage->places[0].address, format("%d", stage->places[0].port),
			     format("%d", CONNECTIONS), format("%d", QUESTIONS), format("%d", stage->next_number), i % 2 ? NULL : "ignore"),
		.env = stage->s->env });
	stage->next_number += QUESTIONS;
	stage->asker_stopped[i] = false;
	assert_true(stage->next_number < NUMBERS);
}

void judge_asker(struct stage *stage, size_t i)
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

void look_at_askers(struct stage *stage)
{
	for (size_t i = 0; i < ASKERS; i++)
		if (process_has_ended(stage->asking[i])) {
			judge_asker(stage, i);
			start_asker(stage, i);
		}
}

/* The last one is never killed: with it, an answer that it waits for in vain would be forgotten. */
void kill_asker(struct stage *stage, const struct step *step)
{
	size_t i = step->a % (ASKERS - 1);

	kill(stage->asking[i]->pid, SIGKILL);
	process_wait(stage->asking[i], LIMIT_MS);
	if (!stage->asking[i]->signal)
		judge_asker(stage, i);
	start_asker(stage, i);
}

void stop_asker(struct stage *stage, const struct step *step)
{
	size_t i = step->a % ASKERS;

	kill(stage->asking[i]->pid, stage->asker_stopped[i] ? SIGCONT : SIGSTOP);
	stage->asker_stopped[i] = !stage->asker_stopped[i];
}

/* How a program is started (NULL: natively as with the shim), what is preloaded too, and more of its environment. */
struct want {
	const char *before, *native, *more, *environment, *option;
};

static struct process *dial_within(const struct stage *stage, const struct want *want, bool shimmed)
{
	const char *preload = shimmed ? format("%s %s", stage->s->env[0], want->more) : format("LD_PRELOAD=%s", want->more);

	return run_shell(NULL, "%s env \"%s\" %s %s %s %s %s %d", !shimmed && want->native ? want->native : want->before, preload,
			 stage->s->env[1], want->environment, built("helpers/dialer"), want->option, backends_address(stage->b, WEB),
			 backends_port(stage->b, WEB));
}

/*
 * Little, and what the shim maps besides; or none, and no descriptor, from when it is loaded on, but for the program's own calls.
 */
static void choose_little_memory(const struct stage *stage, unsigned n, bool none, struct want *want)
{
	if (none) {
		want->more = stage->poor;
		want->option = "--exhausted";
		return;
	}
	want->native = format("ulimit -v %u; exec", 3000 + 700 * n);
	want->before = format("ulimit -v %u; exec", 3000 + 700 * n + MORE_KIB);
}

static void choose_clock(const struct stage *stage, unsigned n, bool jumps, struct want *want)
{
	want->before = format("exec unshare -T --boottime=%u", n * n * 1000);
	if (!jumps)
		return;
	want->more = stage->clock;
	want->environment = n % 2 ? "CLOCK_JUMP=86400" : "CLOCK_JUMP=-1000000";
}

static struct want choose_want(const struct stage *stage, const struct step *step)
{
	struct want want = { "exec", NULL, "", "", "" };
	unsigned n = step->b % 10;
	bool other = step->b / 10 % 2;

	if (step->a % 4 == 0)
		want.before = format("ulimit -n %u; exec", 4 + n);
	else if (step->a % 4 == 1)
		want.before = format("ulimit -f %u; exec", n / 2 * 8);
	else if (step->a % 4 == 2)
		choose_clock(stage, n, other, &want);
	else
		choose_little_memory(stage, n, other, &want);
	return want;
}

/* With few descriptors, no file to be written, another clock, or little memory. It also says no more than natively. */
void dial_in_want(struct stage *stage, const struct step *step)
{
	struct want want = choose_want(stage, step);
	struct process *native = dial_within(stage, &want, false), *p;

	if (native->exit_status || native->signal)
		return;
	p = dial_within(stage, &want, true);
	if (p->exit_status || p->signal || strncmp(p->out_text, "backend-", 8) != 0 || strcmp(p->err_text, native->err_text) != 0)
		fail_msg("under \"%s\" with \"%s\" a dial ends with exit status %d, signal %d: %s%s", want.before, want.more,
			 p->exit_status, p->signal, p->out_text, p->err_text);
}

void ask_tool(struct stage *stage, const struct step *step)
{
	static const char *const verbs[] = { "status", "status --json", "explain web", "status --coverage", "explain --json turns" };
	const char *verb = verbs[step->b % 5], *tool = version_file(stage->has_next && step->a % 2 ? NEXT : NOW, "fairdial");
	struct process *p = run_shell(NULL, "exec %s %s --dir %s", tool, verb, stage->s->dir);

	if (p->signal || p->exit_status > 1 || (p->exit_status == 1 && lines_of(p->err_text) != 1))
		fail_msg("%s: exit status %d, signal %d: %s%s", verb, p->exit_status, p->signal, p->out_text, p->err_text);
}

/* ---- programs that stay ---- */

/* Which Service, and how; the last one always has a connection that may have to move, and so the shim a thread in it. */
static const struct {
	const char *name, *option;
	size_t service;
	long more_kib; /* than at first, beside NOTED_KIB: the thread may not have all of its memory then */
	bool follows;  /* can open a table that comes later */
} watched[WATCHERS] = {
	{ "a program", "--step", WEB, 16, true },
	{ "one that does not wait", "--nonblocking", TURNS, 16, true },
	{ "one without memory and descriptors", "--exhausted", WEB, 16, false },
	{ "one whose connections move", "--keep", MOVED, 48, true },
};

const char *dial_once(struct watcher *w)
{
	const char *line;

	process_say(w->p, "\n");
	line = process_line(w->p, LIMIT_MS);
	if (!line || strncmp(line, "backend-", 8) != 0)
		fail_msg("a dial of %s, which stays, failed: %s", w->name, line ? line : "it has ended");
	return line;
}

void start_watcher(struct stage *stage, size_t i)
{
	struct watcher *w = &stage->watchers[i];
	size_t service = watched[i].service;

	w->name = watched[i].name;
	w->more_kib = watched[i].more_kib;
	w->follows = watched[i].follows;
	w->p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--step", watched[i].option,
							   backends_address(stage->b, service),
							   format("%d", backends_port(stage->b, service))),
					      .env = stage->s->env,
					      .interactive = true });
	for (int n = 0; n < FIRST_DIALS; n++)
		dial_once(w);
	w->held = held_by(w->p->pid);
	w->kib = own_kib(w->p->pid);
}

static bool has_as_much(struct held *now, const struct watcher *w)
{
	*now = held_by(w->p->pid);
	return now->files == w->held.files && now->threads == w->held.threads;
}

/* It looks for another table once a second at most, and keeps up with 128 in its life. */
void assert_it_follows(struct watcher *w, unsigned seconds)
{
	long end = now_ms() + LIMIT_MS;

	if (!w->follows || seconds > 120) {
		printf("  whether %s follows is not asked: %s\n", w->name, w->follows ? "there may have been too many tables" : "it may not");
		return;
	}
	while (atoi(dial_once(w) + strlen("backend-")) <= NATIVE) {
		if (now_ms() > end)
			fail_msg("dials of %s, which stays, are not spread any more", w->name);
		poll(NULL, 0, 20);
	}
}

/*
 * A shim has the last eight tables and ledgers, one after the other: somebody may be reading there. A thread of it that looks at
 * connections has a duplicate of one at times.
 */
void assert_nothing_leaks(struct watcher *w)
{
	long end = now_ms() + LIMIT_MS, kib;
	struct held now;

	for (int n = 0; n < LAST_DIALS; n++)
		dial_once(w);
	while (!has_as_much(&now, w) && now_ms() < end)
		poll(NULL, 0, 10);
	kib = own_kib(w->p->pid);
	printf("  %s that stayed, last answered by %s: %ld descriptors, %ld threads, %ld files mapped (%ld at first), %ld KiB (%ld)\n",
	       w->name, dial_once(w), now.files, now.threads, now.maps, w->held.maps, kib, w->kib);
	if (now.files != w->held.files || now.threads != w->held.threads || now.maps > w->held.maps + MORE_MAPS ||
	    kib > w->kib + NOTED_KIB + w->more_kib)
		fail_msg("at its beginning %s had %ld descriptors, %ld threads, %ld files mapped, %ld KiB", w->name, w->held.files,
			 w->held.threads, w->held.maps, w->kib);
}
