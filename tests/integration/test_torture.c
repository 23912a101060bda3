/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are killed by the thousand in the middle of dials, while threads dial, processes fork and vfork, and the table
 * changes a hundred times a second: none of the others sees a failure, and afterwards every count is right.
 *
 * Every backend lives all the time, and so do the servers that have the Services' own addresses: natively no dial would fail.
 *
 * SEED=n repeats what was done to whom (when it meets them is up to the machine); KILLS=n and SECONDS=n make it last longer.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/herd.h"
#include "support/keeping.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

/*
 * The first two backends have the addresses of the Services `web` and `turns`; the others are the endpoints of both. `all`,
 * which nobody dials, always has all of them: a successor knows the rows of those alone that are in the table it finds, and
 * gives the others new ones, which count from 0.
 */
enum { NATIVE = 2, ENDPOINTS = 7, ALL = NATIVE + ENDPOINTS, EACH = 10, LIMIT_MS = 60000 };
enum { KILLS_ALONE = 1500, KILLS_UNDER_AN_AGENT = 700, TICK_MS = 10, LEDGERS = 200 };

struct stage {
	struct backends *b;
	struct services *s;
	struct addr addr[ENDPOINTS];
	uint64_t random;
	unsigned long *published; /* shared with the publisher */
};

static unsigned chance(uint64_t *random, unsigned n)
{
	return (unsigned)(next_random(random) >> 33) % n;
}

static const char *place(const struct stage *stage, size_t i)
{
	return place_of(backends_address(stage->b, i), backends_port(stage->b, i));
}

static void unshare_number(void *what)
{
	munmap(what, sizeof(unsigned long));
}

static struct stage set_stage(uint64_t seed)
{
	struct stage stage = { .b = backends_start(ALL, ONE_PORT), .s = services_open(), .random = seed | 1 };

	stage.published = mmap(NULL, sizeof(unsigned long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stage.published != MAP_FAILED);
	after_test(unshare_number, stage.published);
	for (size_t i = 0; i < ENDPOINTS; i++)
		stage.addr[i] = addr_of(place(&stage, NATIVE + i));
	return stage;
}

/* `by_name`: else the names are those that need no table. */
static struct herd *let_loose(const struct stage *stage, uint64_t seed, unsigned kills, bool by_name)
{
	const char *web = backends_address(stage->b, 0), *turns = backends_address(stage->b, 1);
	static struct herd_plan plan;

	plan = (struct herd_plan){
		.env = stage->s->env,
		.places = { by_name ? "web" : web, web, format("%d", backends_port(stage->b, 0)),
			    by_name ? "turns" : turns, turns, format("%d", backends_port(stage->b, 1)) },
		.kills = herd_number("KILLS", kills),
		.seconds = herd_number("SECONDS", 0),
		.seed = seed,
	};
	return herd_start(&plan);
}

/* ---- the lists ---- */

/* Some of the endpoints, never none; bit i: endpoint i. */
static unsigned some(uint64_t *random)
{
	return 1 + chance(random, (1u << ENDPOINTS) - 1);
}

static void add_endpoints(const struct stage *stage, struct spec_port *port, unsigned which, uint64_t *random)
{
	for (size_t i = 0; i < ENDPOINTS; i++)
		if (which >> i & 1)
			builder_endpoint(port, &stage->addr[i], (uint16_t)(random ? 1 + chance(random, 3) : 1));
}

static void add_service(const struct stage *stage, struct table_builder *b, const char *name, size_t native, unsigned which,
			uint64_t *random)
{
	struct spec_service *service = builder_service(b, name, backends_address(stage->b, native));

	service->flags = SERVICE_BARE_NAME;
	service->policy.balance = native == 0 ? BALANCE_LEAST_CONN : BALANCE_ROUND_ROBIN;
	add_endpoints(stage, builder_port(b, (uint16_t)backends_port(stage->b, native), PROTOCOL_TCP, ""), which, random);
}

static void add_services(const struct stage *stage, struct table_builder *b, uint64_t *random)
{
	const unsigned all = (1u << ENDPOINTS) - 1;

	add_service(stage, b, "web", 0, random ? some(random) : all, random);
	add_service(stage, b, "turns", 1, random ? some(random) : all, random);
	builder_service(b, "all", "127.96.0.21");
	add_endpoints(stage, builder_port(b, 80, PROTOCOL_TCP, ""), all, NULL);
}

/* ---- a publisher, which is killed too ---- */

static void tick(struct timespec *next)
{
	next->tv_nsec += TICK_MS * 1000000L;
	if (next->tv_nsec >= 1000000000L) {
		next->tv_sec++;
		next->tv_nsec -= 1000000000L;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

/* Room for all, so that neither the table nor the ledger is ever replaced by a larger one. */
static const struct writer_options roomy = { .is_static = true, .reserve = 256 << 10 };

static void publish_for_ever(const struct stage *stage, uint64_t random)
{
	struct table_writer *writer;
	struct report why;
	struct timespec next;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (writer_open(stage->s->dir, &roomy, &writer, &why) < 0)
		_exit(2);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;; tick(&next)) {
		struct table_builder *b = builder_alloc();
		int r = -ESTALE;

		add_services(stage, b, &random);
		if (chance(&random, 4))
			r = writer_patch(writer, &b->spec, &why);
		if (r == -ESTALE)
			r = writer_publish(writer, &b->spec, &why);
		if (r < 0)
			_exit(3);
		builder_free(b);
		__atomic_add_fetch(stage->published, 1, __ATOMIC_RELAXED);
	}
}

static pid_t start_publisher(struct stage *stage)
{
	uint64_t random = next_random(&stage->random) | 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		publish_for_ever(stage, random);
	return pid;
}

static void kill_publisher(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the publisher ended by itself: %#x", (unsigned)status);
}

/* Until the herd is gone; a new publisher takes over every second or so. */
static unsigned publish_until_it_is_over(struct stage *stage, struct herd *herd)
{
	pid_t publisher = start_publisher(stage);
	unsigned long until = *stage->published + 1 + chance(&stage->random, 200);
	unsigned publishers = 1;

	while (!herd_has_ended(herd)) {
		usleep(1000 + chance(&stage->random, 1000));
		if (__atomic_load_n(stage->published, __ATOMIC_RELAXED) < until)
			continue;
		kill_publisher(publisher);
		publisher = start_publisher(stage);
		publishers++;
		until = *stage->published + 1 + chance(&stage->random, 200);
	}
	kill_publisher(publisher);
	return publishers;
}

static void publish_all(const struct stage *stage)
{
	struct table_writer *writer = open_writer_with(stage->s->dir, &roomy);
	struct table_builder *b = builder_new();

	add_services(stage, b, NULL);
	publish(writer, b);
	close_writer(writer);
}

/* ---- what has to be true afterwards ---- */

static unsigned long answered(const struct torture_counts *counts, size_t first, size_t n)
{
	unsigned long sum = 0;

	for (size_t i = first; i < first + n; i++)
		sum += counts->answers[i];
	return sum;
}

/*
 * Every connection that an endpoint took was claimed before, and every answer came over one. A claim beyond them is that of a
 * program that was killed on its way, of which each kill ends a few at most.
 */
static void assert_all_were_claimed(const struct stage *stage, const struct herd *herd)
{
	const struct torture_counts *counts = herd_counts(herd);
	unsigned long dials = 0, accepted = 0;

	for (size_t i = NATIVE; i < ALL; i++) {
		struct endpoint_status e = services_backend(stage->s, "web", stage->b, i);

		if (e.dials < (long)backends_accepted(stage->b, i) || backends_accepted(stage->b, i) < counts->answers[i])
			fail_msg("backend %zu answered %lu times, took %u connections, and counts %ld dials", i + 1,
				 counts->answers[i], backends_accepted(stage->b, i), e.dials);
		dials += (unsigned long)e.dials;
		accepted += backends_accepted(stage->b, i);
	}
	if (dials - accepted > herd_result(herd)->kills * 8ul)
		fail_msg("%lu dials were counted, and %lu connections taken", dials, accepted);
	printf("%lu dials counted, %lu connections taken, ", dials, accepted);
}

/* Passed through is a dial that found no list in time: it is answered all the same, and not spread. */
static void tell(const struct stage *stage, const struct herd *herd, unsigned publishers)
{
	const struct torture_counts *counts = herd_counts(herd);
	const struct herd_result *result = herd_result(herd);
	unsigned long ours = answered(counts, NATIVE, ENDPOINTS), passed = answered(counts, 0, NATIVE);

	printf("%lu answered, %lu of %lu begun passed through; %u kills, %u stops, %lu threads, %lu forks, %lu vforks, %lu spawns, "
	       "%lu generations by %u publishers\n",
	       ours, passed, counts->begun, result->kills, result->stops, counts->threads, counts->forks, counts->vforks,
	       counts->spawns, *stage->published, publishers);
	assert_true(counts->threads && counts->forks && counts->vforks && counts->spawns && result->stops);
	assert_true(ours > result->kills);
	if (passed)
		fail_msg("%lu dials passed through", passed);
}

static void assert_healed(const struct stage *stage)
{
	assert_whole(map_table(stage->s->dir));
	assert_ledger_healed(stage->s, stage->b, NATIVE, EACH);
	assert_int_equal(files_in(stage->s->dir), 2); /* table and ledger, and nothing that somebody left behind */
}

static void programs_killed_by_the_thousand_leave_every_count_right(void **state)
{
	uint64_t seed = herd_seed();
	struct stage stage = set_stage(seed);
	struct herd *herd;
	unsigned publishers;

	(void)state;
	publish_all(&stage);
	herd = let_loose(&stage, seed, KILLS_ALONE, true);
	publishers = publish_until_it_is_over(&stage, herd);
	publish_all(&stage);
	assert_herd_is_well(herd);
	assert_all_were_claimed(&stage, herd);
	tell(&stage, herd, publishers);
	assert_healed(&stage);
}

/* ---- under an agent, which is killed too ---- */

static char *entry_of(const struct stage *stage, const char *name, size_t native, unsigned which, uint64_t *random)
{
	char *list = format("%s", "");

	for (size_t i = 0; i < ENDPOINTS; i++)
		if (which >> i & 1)
			list = format("%s%s{ \"address\": \"%s\", \"port\": %d, \"weight\": %u }", list, *list ? ", " : "",
				      backends_address(stage->b, NATIVE + i), backends_port(stage->b, NATIVE + i),
				      random ? 1 + chance(random, 3) : 1);
	return format("{ \"name\": \"%s\", \"addresses\": [\"%s\"], \"ports\": [ { \"port\": %d } ], \"balance\": \"%s\", "
		      "\"endpoints\": [ %s ] }",
		      name, backends_address(stage->b, native), backends_port(stage->b, native),
		      native ? "round_robin" : "least_conn", list);
}

static void write_services(const struct stage *stage, uint64_t *random)
{
	const unsigned all = (1u << ENDPOINTS) - 1;
	char *temporary = format("%s.new", stage->s->file);
	char *text = format("{ \"services\": [ %s, %s ] }\n", entry_of(stage, "web", 0, random ? some(random) : all, random),
			    entry_of(stage, "turns", 1, random ? some(random) : all, random));

	write_file(temporary, text, strlen(text));
	assert_int_equal(rename(temporary, stage->s->file), 0);
}

static bool lists_all(struct json_t *status)
{
	json_t *services = json_object_get(status, "services"), *service;
	size_t i;

	json_array_foreach(services, i, service) {
		json_t *port = json_array_get(json_object_get(service, "ports"), 0);

		if (json_array_size(json_object_get(port, "endpoints")) != ENDPOINTS)
			return false;
	}
	return json_array_size(services) == 2;
}

/* The agent that is left looks at its file once a second. */
static void wait_until_all_are_listed(const struct stage *stage)
{
	long end = now_ms() + LIMIT_MS;

	while (!lists_all(services_status(stage->s))) {
		if (now_ms() > end)
			fail_msg("the last list was not published");
		poll(NULL, 0, 20);
	}
}

static struct agent_run *start_agent(const struct stage *stage)
{
	return agent_start_alone(stage->s->dir, ARGV("--services", stage->s->file));
}

/* Kills it, which it must not have anticipated. */
static struct agent_run *replace_agent(const struct stage *stage, struct agent_run *agent)
{
	agent_end(agent, SIGKILL);
	if (agent->process->signal != SIGKILL)
		fail_msg("an agent ended by itself, with exit status %d: %s", agent->process->exit_status,
			 agent->process->err_text);
	return start_agent(stage);
}

/* The file changes a hundred times a second, and the agent is told so; another one takes over every second or so. */
static unsigned change_until_it_is_over(struct stage *stage, struct herd *herd, struct agent_run *agent)
{
	long until = now_ms() + chance(&stage->random, 3000);
	struct timespec next;
	unsigned agents = 1;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!herd_has_ended(herd)) {
		write_services(stage, &stage->random);
		kill(agent->process->pid, SIGHUP);
		tick(&next);
		if (now_ms() < until)
			continue;
		agent = replace_agent(stage, agent);
		agent_wait_log(agent, "published"); /* from when on it also knows what SIGHUP means */
		agents++;
		until = now_ms() + chance(&stage->random, 3000);
	}
	return agents;
}

static void programs_killed_by_the_hundred_while_agents_die_do_too(void **state)
{
	uint64_t seed = herd_seed();
	struct stage stage = set_stage(seed);
	struct agent_run *agent;
	struct herd *herd;
	unsigned agents;

	(void)state;
	write_services(&stage, NULL);
	agent = start_agent(&stage);
	agent_wait_log(agent, "published");
	/* After five seconds without an agent names are left to the DNS, and on a slow machine a new one needs its time. */
	herd = let_loose(&stage, seed, KILLS_UNDER_AN_AGENT, false);
	agents = change_until_it_is_over(&stage, herd, agent);
	write_services(&stage, NULL);
	wait_until_all_are_listed(&stage);
	*stage.published = (unsigned long)services_generation(stage.s);
	assert_herd_is_well(herd);
	tell(&stage, herd, agents);
	assert_healed(&stage);
}

/* ---- the making of a ledger ---- */

/* A directory with the table alone, which a program finds there as the first of its pod. */
static struct services *fresh_services(const struct stage *stage)
{
	struct services *s = services_open();

	if (link(stage->s->table, s->table))
		fail_msg("cannot link %s: %s", s->table, strerror(errno));
	return s;
}

/* What is there is a table and, or not, a whole ledger; the next dial makes and uses it. */
static void assert_next_one_finds_all_in_order(const struct stage *stage, struct services *s)
{
	const char *port = format("%d", backends_port(stage->b, 0));
	struct process *p;

	if (access(s->ledger, F_OK) == 0)
		assert_int_equal(files_in(s->dir), 2);
	else
		assert_int_equal(files_in(s->dir), 1);
	p = run(s->env, built("helpers/dialer"), backends_address(stage->b, 0), port, NULL);
	assert_clean(p);
	assert_int_equal(files_in(s->dir), 2);
	assert_true(services_backend(s, "web", stage->b, NATIVE).dials <= 2);
}

/* strace kills it at the call, or lets the call fail ("error=ENOENT"). True if it lived. */
static bool dial_with(const struct stage *stage, struct services *s, const char *calls)
{
	const char *port = format("%d", backends_port(stage->b, 0));
	char *env = format("-E%s", s->env[0]); /* of the program, not of strace */
	struct process *p = run(with_env(NULL, s->env[1], NULL), "strace", env, "-o", format("%s/log", s->root), "-e",
				format("inject=%s", calls), built("helpers/dialer"), backends_address(stage->b, 0), port, NULL);

	if (p->exit_status && p->signal != SIGKILL)
		fail_msg("strace exits with %d: %s", p->exit_status, p->err_text);
	return p->signal == 0;
}

static void need_strace(void)
{
	if (!program_exists("strace") || run(NULL, "strace", "-o", "/dev/null", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
}

static void one_that_is_killed_while_it_makes_the_ledger_leaves_nothing_behind(void **state)
{
	static const char *const calls[] = { "fallocate", "pwrite64", "fchmod", "linkat" };
	struct stage stage = set_stage(1);
	int killed = 0;

	(void)state;
	need_strace();
	publish_all(&stage);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct services *s = fresh_services(&stage);

		assert_false(dial_with(&stage, s, format("%s:signal=KILL:when=1", calls[i])));
		assert_next_one_finds_all_in_order(&stage, s);
		killed++;
	}
	assert_int_equal(killed, 4);
}

static void damage_ledger(const struct services *s)
{
	const uint64_t word = 0x5555555555555555u;
	int fd = open(s->ledger, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &word, sizeof(word), offsetof(struct ledger_head, rows_offset)), sizeof(word));
	close(fd);
}

/* Nor does one that puts a new one in the place of one that is damaged. */
static void one_that_is_killed_while_it_replaces_the_ledger_leaves_nothing_behind(void **state)
{
	static const char *const calls[] = { "flock", "fallocate", "pwrite64", "fchmod", "linkat" };
	struct stage stage = set_stage(1);

	(void)state;
	need_strace();
	publish_all(&stage);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct services *s = fresh_services(&stage);

		assert_true(dial_with(&stage, s, "linkat:error=ENOENT:when=9"));
		damage_ledger(s);
		assert_false(dial_with(&stage, s, format("%s:signal=KILL:when=1", calls[i])));
		assert_next_one_finds_all_in_order(&stage, s);
	}
}

/* Two attempts to give a name to a file that has none; then it is made with a temporary one. */
static void ledger_is_made_where_files_need_names(void **state)
{
	struct stage stage = set_stage(1);
	struct services *s;

	(void)state;
	need_strace();
	publish_all(&stage);
	s = fresh_services(&stage);
	assert_true(dial_with(&stage, s, "linkat:error=ENOENT:when=1"));
	assert_int_equal(files_in(s->dir), 2);
	s = fresh_services(&stage);
	assert_true(dial_with(&stage, s, "linkat:error=ENOENT:when=1..2"));
	assert_int_equal(files_in(s->dir), 2);
	assert_next_one_finds_all_in_order(&stage, s);
	s = fresh_services(&stage);
	assert_true(dial_with(&stage, s, "linkat:error=ENOENT")); /* nor can that be done: without a ledger */
	assert_int_equal(files_in(s->dir), 1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* How it ended, as waitpid(2) tells it. */
static int dial_and_die(const struct stage *stage, const struct services *s, unsigned after_us)
{
	const char *const *argv = ARGV(built("helpers/dialer"), backends_address(stage->b, 0),
				       format("%d", backends_port(stage->b, 0)));
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	pid_t pid = process_fork(&(struct start){ .argv = argv, .env = s->env }, null, 2);

	assert_true(pid > 0);
	if (after_us) {
		usleep(after_us);
		kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(null);
	return status;
}

/* Each in a directory of its own, at a moment between its start and its end. */
static void hundreds_that_are_killed_where_there_is_no_ledger_leave_nothing_behind(void **state)
{
	uint64_t seed = herd_seed(), begun_us;
	struct stage stage = set_stage(seed);
	unsigned killed = 0, made = 0, whole_us;

	(void)state;
	publish_all(&stage);
	begun_us = now_us();
	assert_int_equal(dial_and_die(&stage, fresh_services(&stage), 0), 0);
	whole_us = (unsigned)(now_us() - begun_us);
	for (int i = 0; i < LEDGERS; i++) {
		struct services *s = fresh_services(&stage);
		int status = dial_and_die(&stage, s, 1 + chance(&stage.random, whole_us));
		bool has_ledger = access(s->ledger, F_OK) == 0;

		assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0);
		killed += WIFSIGNALED(status);
		made += has_ledger;
		if (files_in(s->dir) != (has_ledger ? 2 : 1))
			fail_msg("number %d left %zu files", i, files_in(s->dir));
	}
	printf("%u of %u were killed; %u ledgers were made\n", killed, LEDGERS, made);
	assert_true(killed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(programs_killed_by_the_thousand_leave_every_count_right),
		TEST(programs_killed_by_the_hundred_while_agents_die_do_too),
		TEST(one_that_is_killed_while_it_makes_the_ledger_leaves_nothing_behind),
		TEST(one_that_is_killed_while_it_replaces_the_ledger_leaves_nothing_behind),
		TEST(ledger_is_made_where_files_need_names),
		TEST(hundreds_that_are_killed_where_there_is_no_ledger_leave_nothing_behind),
	};

	return RUN_TESTS(tests);
}
