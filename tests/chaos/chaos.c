/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chaos: for TIME seconds all at once goes wrong that may, under programs that look at every reply they get. Agents die, stop, are
 * of the next version, or live by another clock; shims are exchanged; lists change, endpoints refuse and listen again; the disk is
 * full, the ledger is lost, or somebody writes into it what its readers believe; programs are killed, or have few descriptors and
 * little memory, or none.
 *
 * At the Services' own addresses there is always a server, and in every list an endpoint that listens: natively no dial would
 * fail, so none may. Afterwards no reply was lost or doubled, the ledger counts what is there, and nothing was left behind:
 * descriptors, threads, memory, files.
 *
 * What the shim takes of memory shows in programs that stay, which dial a few hundred times more in peace; only pages of their own
 * count. What the agent takes is looked at over some lists in peace, and by soak.c over hours.
 *
 * All that is done, and in which order, follows from SEED, which is printed; how far it comes in that time, and whom it meets
 * where, is up to the machine. LOUD=1 prints each act. It is all in namespaces of its own.
 */
#include "support/testing.h"

#include "chaos/chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/herd.h"
#include "support/keeping.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/tun.h"
#include "support/versions.h"

enum { EACH = 6, HERD = 4, HERD_PAUSE_US = 40000, TIME_S = 20, PAUSE_MS = 150, LISTS = 20, LAST_SCRIBBLES = 4 };

static struct step draw(uint64_t *random)
{
	struct step step = { .what = (unsigned)(next_random(random) >> 33) };

	step.a = (unsigned)(next_random(random) >> 33);
	step.b = (unsigned)(next_random(random) >> 33);
	step.pause_ms = (int)((next_random(random) >> 33) % PAUSE_MS);
	return step;
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

/* Not that of others, so that it may be full. */
static void need_own_disk(const struct stage *stage)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("chaos", stage->s->dir, "tmpfs", 0, format("size=%d,mode=0755", DISK_BYTES)))
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

/* An agent may make it after its first table. */
static void read_head(struct stage *stage)
{
	long end = now_ms() + LIMIT_MS;
	int fd;

	while ((fd = open(stage->s->ledger, O_RDONLY | O_CLOEXEC)) < 0) {
		if (now_ms() > end)
			fail_msg("there is no ledger: %s", said_by_agent(stage));
		poll(NULL, 0, 5);
	}
	assert_int_equal(read(fd, &stage->ledger, sizeof(stage->ledger)), sizeof(stage->ledger));
	close(fd);
}

static void set_stage(struct stage *stage)
{
	stage->b = backends_start(ALL, ONE_PORT);
	stage->s = services_open();
	need_own_disk(stage);
	stage->shim = format("%s/libfairdial.so", stage->s->root);
	stage->s->env[0] = format("LD_PRELOAD=%s", stage->shim);
	stage->clock = compiled("cc", "preloaded/clock", "-shared -fPIC");
	stage->poor = compiled("cc", "preloaded/poor", "-shared -fPIC");
	stage->has_next = access(version_file(NEXT, "fairdial"), X_OK) == 0;
	if (!stage->has_next)
		printf("without the next version, which `make next` builds\n");
	version_install(NOW, stage->shim);
	start_server(stage);
	write_list(stage, 0, 0);
	start_agent(stage, NOW, 0);
	wait_for_agent(stage);
	read_head(stage);
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
		.places = { backends_address(stage->b, WEB), backends_address(stage->b, WEB),
			    format("%d", backends_port(stage->b, WEB)), backends_address(stage->b, TURNS),
			    backends_address(stage->b, TURNS), format("%d", backends_port(stage->b, TURNS)) },
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
	       spread, counts->answers[WEB] + counts->answers[TURNS], result->kills, result->stops);
	assert_herd_is_well(stage->herd);
	assert_true(spread > 0);
}

/* What they hold is counted, too. */
static void end_watchers(struct stage *stage)
{
	for (size_t i = 0; i < WATCHERS; i++) {
		process_close_input(stage->watchers[i].p);
		process_wait(stage->watchers[i].p, LIMIT_MS);
		if (stage->watchers[i].p->exit_status)
			fail_msg("%s ended with exit status %d, signal %d: %s", stage->watchers[i].name,
				 stage->watchers[i].p->exit_status, stage->watchers[i].p->signal, stage->watchers[i].p->err_text);
	}
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
	/* Of this instance's ledger; whatever was damaged before may have been another's. */
	for (int i = 0; i < LAST_SCRIBBLES; i++) {
		struct step step = draw(&stage->random);

		scribble(stage, &step);
		dial_once(&stage->watchers[i % WATCHERS]);
	}
}

static bool count_nothing(struct stage *stage)
{
	for (size_t i = STEADY; i < PLACES; i++) {
		struct endpoint_status e = services_endpoint(stage->s, "numbers", stage->places[i].address, stage->places[i].port);

		if (e.active || e.ejected)
			return false;
	}
	return true;
}

/* Of those that flapped, whose connections are all closed by now. */
static void assert_places_are_free(struct stage *stage)
{
	long end = now_ms() + LIMIT_MS;

	while (!count_nothing(stage)) {
		if (now_ms() > end)
			fail_msg("not every endpoint of \"numbers\" counts 0: %s",
				 run(NULL, built("fairdial"), "status", "--dir", stage->s->dir, NULL)->out_text);
		poll(NULL, 0, 50);
	}
}

static void publish_another(struct stage *stage, unsigned n)
{
	long before = services_generation(stage->s), end = now_ms() + LIMIT_MS;

	write_list(stage, n % 2 ? 0 : 0xc, 0);
	kill(-stage->agent->process->pid, SIGHUP);
	while (services_generation(stage->s) == before) {
		if (now_ms() > end)
			fail_msg("in peace a list is not published: %s", said_by_agent(stage));
		poll(NULL, 0, 5);
	}
}

/* Its life in chaos is too short for what it loses at each list to be many. What it has open for a moment is none. */
static void assert_agent_keeps_nothing(struct stage *stage)
{
	struct held before = held_by(stage->agent->process->pid), after;

	for (unsigned n = 0; n < LISTS; n++)
		publish_another(stage, n);
	after = held_by(stage->agent->process->pid);
	printf("  the agent: %ld descriptors, %ld threads, %ld files mapped\n", after.files, after.threads, after.maps);
	if (after.files > before.files + LISTS / 2 || after.threads > before.threads + LISTS / 2 || after.maps > before.maps + LISTS / 2)
		fail_msg("%d lists ago it had %ld descriptors, %ld threads, %ld files mapped", LISTS, before.files, before.threads,
			 before.maps);
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
		assert_it_follows(&stage.watchers[i], seconds);
		assert_nothing_leaks(&stage.watchers[i]);
	}
	end_watchers(&stage);
	assert_whole(map_table(stage.s->dir));
	assert_ledger_healed(stage.s, stage.b, NATIVE, EACH);
	assert_places_are_free(&stage);
	assert_agent_keeps_nothing(&stage);
	assert_no_file_is_left(&stage);
	end_agent(&stage, SIGTERM);
	printf("  of %u agents %u found the disk full, %u had too few descriptors\n", stage.agents,
	       agents_that_said(&stage, strerror(ENOSPC)), agents_that_said(&stage, strerror(EMFILE)));
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
