/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chaos, in parts: what is on its stage (chaos.c, with the play and what has to be true afterwards), what goes wrong in the world
 * around programs (world.c), and the programs themselves (programs.c). The tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_CHAOS_H
#define FAIRDIAL_TESTS_CHAOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chaos/sizes.h"
#include "ledger/layout.h"
#include "support/backends.h"

struct agent_run;
struct herd;
struct process;
struct services;

/* The first backends have the addresses of the Services `web`, `turns` and `moved`. */
enum { WEB, TURNS, MOVED, NATIVE, ENDPOINTS = 5, ALL = NATIVE + ENDPOINTS, LIMIT_MS = 60000 };
/* Of Service `numbers`: its own address, one endpoint that always listens, and others. */
enum { STEADY = 1, PLACES = 6, NUMBERS = 4 << 20 };
enum { ASKERS = 3, WATCHERS = 4 };
/*
 * Room for all the tables and ledgers that so many processes may hold, whose files are gone: three and a half MiB, eight times
 * each.
 */
enum { DISK_BYTES = 1 << 30 };

/* What is done, drawn as a whole, so that no act draws more or less than another. */
struct step {
	unsigned what, a, b;
	int pause_ms;
};

/* A program that dials once at a line, from the beginning to the end. */
struct watcher {
	const char *name;
	struct process *p;
	struct held held;
	long kib, more_kib;
	bool follows;
};

struct stage {
	struct backends *b;
	struct services *s;
	const char *shim, *clock, *poor;
	uint64_t random;
	bool has_next, full;
	struct agent_run *agent;
	const char *log; /* of this agent */
	bool agent_stopped, agent_excused;
	unsigned agents;
	struct ledger_head ledger; /* before anybody damaged it */
	struct place places[PLACES];
	struct process *server, *asking[ASKERS];
	bool closed[PLACES], asker_stopped[ASKERS];
	int next_number;
	unsigned answered, finished;
	struct watcher watchers[WATCHERS];
	struct herd *herd;
};

/* ---- world.c ---- */

/* Of each endpoint two bits say what it is; 0: all are there. */
void write_list(const struct stage *stage, unsigned web, unsigned numbers);

/* `version`: odd is the next one, where it was built. `peculiar` 0: as usual. */
void start_agent(struct stage *stage, unsigned version, unsigned peculiar);

/* Until it has published a list, which the programs may go by. */
void wait_for_agent(struct stage *stage);

/* Fails where it had ended by itself without a reason, ends otherwise than it is told to, or holds more than an agent needs. */
void end_agent(struct stage *stage, int signal);

/* The log of this one. */
const char *said_by_agent(const struct stage *stage);

/* How many agents have said this. */
unsigned agents_that_said(const struct stage *stage, const char *text);

/* Acts. */
void change_list(struct stage *stage, const struct step *step);
void flap(struct stage *stage, const struct step *step);
void replace_agent(struct stage *stage, const struct step *step);
void stop_agent(struct stage *stage, const struct step *step);
void hang_up(struct stage *stage, const struct step *step);
void exchange_shim(struct stage *stage, const struct step *step);
void fill_disk(struct stage *stage, const struct step *step);
void scribble(struct stage *stage, const struct step *step);
void lose_ledger(struct stage *stage, const struct step *step);

/* ---- programs.c ---- */

void start_asker(struct stage *stage, size_t i);

/* Waits for its end; fails where an answer was lost, cut, wrong or nobody's. */
void judge_asker(struct stage *stage, size_t i);

/* Those that have ended are judged, and begin anew. */
void look_at_askers(struct stage *stage);

void start_watcher(struct stage *stage, size_t i);

/* Its answer. */
const char *dial_once(struct watcher *w);

/* Fails where it has more now than when it began. */
void assert_it_follows(struct watcher *w, unsigned seconds);
void assert_nothing_leaks(struct watcher *w);

/* Acts. */
void kill_asker(struct stage *stage, const struct step *step);
void stop_asker(struct stage *stage, const struct step *step);
void dial_in_want(struct stage *stage, const struct step *step);
void ask_tool(struct stage *stage, const struct step *step);

#endif
