/* SPDX-License-Identifier: Apache-2.0 */
/* Writers that are killed: whatever they were doing, the last whole generation stays, and the successor goes on. */
#include "support/testing.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/generations.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { KILLS = 300 };

/* What the writers of a test do. */
enum writing {
	IN_PLACE,
	GROWING, /* now and then a larger file */
	PATCHING,
};

/* Shared by the test and its children. */
struct shared {
	uint64_t published;          /* by the writer, before each publish: the number it is about to give */
	uint64_t views, torn, wrong; /* by the reader */
	uint64_t stop;
};

static struct shared *shared;

static void unmap_shared(void *what)
{
	munmap(what, sizeof(struct shared));
}

static void share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	after_test(unmap_shared, shared);
}

static uint64_t get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void add(uint64_t *word, uint64_t n)
{
	__atomic_fetch_add(word, n, __ATOMIC_ACQ_REL);
}

static int map_quietly(const char *dir, struct table *table)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };

	return table_map(dir, &trust, table, NULL);
}

static int write_next(struct table_writer *writer, enum writing writing, uint64_t g)
{
	unsigned scale = writing == GROWING && g % 16 == 0 ? 64 : 1;
	const struct spec *spec = writing == PATCHING ? patch_of_generation(g) : spec_of_generation(g, scale);
	struct report why;
	int r = writing == PATCHING ? writer_patch(writer, spec, &why) : -ESTALE;

	return r == -ESTALE ? writer_publish(writer, spec, &why) : r;
}

/* Publishes for ever, generation g as spec_of_generation(g) or patch_of_generation(g) says. */
static void write_for_ever(const char *dir, enum writing writing)
{
	/* Patches find room in the ledger for a while. */
	struct writer_options options = { .is_static = true, .reserve = writing == PATCHING ? 1 << 20 : 0 };
	struct table_writer *writer;
	struct report why;
	uint64_t g = 0;

	if (writer_open(dir, &options, &writer, &why) < 0)
		_exit(2);
	if (writer_table(writer))
		g = (uint64_t)table_head(writer_table(writer))->current >> 1;
	for (;;) {
		__atomic_store_n(&shared->published, ++g, __ATOMIC_RELEASE);
		if (write_next(writer, writing, g) < 0)
			_exit(3);
	}
}

static void spin(uint64_t turns)
{
	for (volatile uint64_t i = 0; i < turns; i++)
		;
}

/* A writer that lives until it has begun a few generations more, and a random moment longer. */
static void write_and_kill(const char *dir, enum writing writing, uint64_t *random)
{
	uint64_t begun = get(&shared->published) + 2 + next_random(random) % 8;
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		write_for_ever(dir, writing);
	while (get(&shared->published) < begun && waitpid(pid, &status, WNOHANG) == 0)
		sched_yield();
	if (status)
		fail_msg("the writer ended by itself: %x", status);
	spin(next_random(random) % 20000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static uint64_t assert_survivor(const char *dir)
{
	struct table table;
	int64_t generation;
	int r = map_quietly(dir, &table);

	if (r < 0)
		fail_msg("table_map: %s", strerror(-r));
	assert_whole(&table);
	generation = read_generation(&table);
	assert_true(generation > 0);
	table_unmap(&table);
	return (uint64_t)generation;
}

static void kill_many(enum writing writing)
{
	uint64_t random = 6, last = 0;
	const char *dir = scratch_dir();

	share();
	for (int i = 0; i < KILLS; i++) {
		uint64_t generation;

		write_and_kill(dir, writing, &random);
		generation = assert_survivor(dir);
		assert_true(generation >= last);
		assert_true(generation + 1 >= get(&shared->published)); /* nothing that was whole is lost */
		/* The next writer counts on from the survivor. */
		__atomic_store_n(&shared->published, generation, __ATOMIC_RELEASE);
		last = generation;
	}
	assert_true(last >= KILLS);
}

static void a_killed_writer_leaves_the_last_whole_generation(void **state)
{
	(void)state;
	kill_many(IN_PLACE);
}

static void a_writer_killed_while_it_makes_a_larger_file_does_too(void **state)
{
	(void)state;
	kill_many(GROWING);
}

static void a_writer_killed_while_it_patches_does_too(void **state)
{
	(void)state;
	kill_many(PATCHING);
}

/* ---- with readers ---- */

static void read_until_told(const char *dir)
{
	struct table table = { .base = NULL };
	int64_t last = 0;

	while (!get(&shared->stop)) {
		int64_t generation;

		if (!table.base && map_quietly(dir, &table) < 0)
			continue;
		generation = read_generation(&table);
		add(generation > 0 ? &shared->views : generation == 0 ? &shared->torn : &shared->wrong, 1);
		if (generation > 0 && generation < last)
			add(&shared->wrong, 1);
		if (generation > 0)
			last = generation;
		if (table_head(&table)->retired)
			table_unmap(&table);
	}
	_exit(0);
}

static void read_while_writers_die(enum writing even, enum writing odd)
{
	const char *dir = scratch_dir();
	uint64_t random = 7;
	pid_t readers[2];
	int status;

	share();
	for (int i = 0; i < 2; i++) {
		readers[i] = fork();
		if (readers[i] == 0)
			read_until_told(dir);
	}
	for (int i = 0; i < KILLS / 2; i++) {
		write_and_kill(dir, i % 2 ? odd : even, &random);
		__atomic_store_n(&shared->published, assert_survivor(dir), __ATOMIC_RELEASE);
	}
	while (get(&shared->views) < 1000 && !get(&shared->wrong))
		sched_yield();
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(get(&shared->wrong), 0);
}

static void readers_see_whole_generations_while_writers_die(void **state)
{
	(void)state;
	read_while_writers_die(IN_PLACE, GROWING);
}

static void readers_see_whole_generations_while_patching_writers_die(void **state)
{
	(void)state;
	read_while_writers_die(PATCHING, PATCHING);
}

/* ---- what is left behind ---- */

static void the_successor_clears_away_what_a_killed_writer_left(void **state)
{
	struct rlimit small = { 4096, 4096 };
	const char *dir = scratch_dir();
	int status;
	pid_t pid;

	(void)state;
	publish_alone(dir, builder_web("10.0.0.1:80"));
	share();
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_FSIZE, &small); /* SIGXFSZ in the middle of making a larger file */
		write_for_ever(dir, GROWING);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_whole(map_table(dir));
	publish_alone(dir, builder_web("10.0.0.2:80"));
	assert_whole(map_table(dir));
	assert_int_equal(files_in(dir), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_killed_writer_leaves_the_last_whole_generation),
		TEST(a_writer_killed_while_it_makes_a_larger_file_does_too),
		TEST(a_writer_killed_while_it_patches_does_too),
		TEST(readers_see_whole_generations_while_writers_die),
		TEST(readers_see_whole_generations_while_patching_writers_die),
		TEST(the_successor_clears_away_what_a_killed_writer_left),
	};

	return RUN_TESTS(tests);
}
