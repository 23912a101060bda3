/* SPDX-License-Identifier: Apache-2.0 */
/* One thread publishes, others read: every view that table_end accepts is of one generation. For SAN=thread too. */
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>

#include "support/cleanup.h"
#include "support/generations.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { READERS = 4, GENERATIONS = 2000, LEAST_VIEWS = 200 };

struct reader {
	pthread_t thread;
	const struct table *table;
	uint64_t views, torn, wrong, backwards;
};

static uint64_t stop;

static void *read_for_ever(void *what)
{
	struct reader *reader = what;
	int64_t last = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE) || reader->views < LEAST_VIEWS) {
		int64_t generation = read_generation(reader->table);

		if (generation == 0) {
			reader->torn++;
			continue;
		}
		if (generation < 0) {
			reader->wrong++;
			break;
		}
		reader->views++;
		reader->backwards += generation < last;
		last = generation;
	}
	return NULL;
}

static int publish_whole(struct table_writer *writer, uint64_t g)
{
	struct report why;

	return writer_publish(writer, spec_of_generation(g, 1), &why);
}

static int patch_or_publish(struct table_writer *writer, uint64_t g)
{
	const struct spec *spec = patch_of_generation(g);
	struct report why;
	int r = writer_patch(writer, spec, &why);

	return r == -ESTALE ? writer_publish(writer, spec, &why) : r;
}

static void run_readers(struct table_writer *writer, struct reader *readers,
			int (*next)(struct table_writer *, uint64_t), bool beats)
{

	stop = 0;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_for_ever, &readers[i]), 0);
	for (uint64_t g = 2; g <= GENERATIONS; g++) {
		if (next(writer, g) < 0)
			break;
		if (beats)
			writer_heartbeat(writer);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
}

static void views_of_threads_are_of_one_generation(void **state)
{
	struct reader readers[READERS] = { 0 };
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct report why;

	(void)state;
	assert_int_equal(writer_publish(writer, spec_of_generation(1, 1), &why), 0);
	for (int i = 0; i < READERS; i++)
		readers[i].table = map_table(dir);
	run_readers(writer, readers, publish_whole, true);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(readers[i].wrong, 0);
		assert_int_equal(readers[i].backwards, 0);
		assert_true(readers[i].views >= LEAST_VIEWS);
	}
	assert_int_equal(generation_of(readers[0].table), GENERATIONS);
}

/* The sanitizer knows that two mappings are two memories: here the readers look at the writer's own. */
static void read_the_writers_own(int (*next)(struct table_writer *, uint64_t))
{
	const struct writer_options roomy = { .is_static = true, .reserve = 4 << 20 };
	struct reader readers[READERS] = { 0 };
	struct table_writer *writer = open_writer_with(scratch_dir(), &roomy);
	struct table table;

	assert_int_equal(next(writer, 1), 0);
	table = *writer_table(writer);
	for (int i = 0; i < READERS; i++)
		readers[i].table = &table;
	run_readers(writer, readers, next, false);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(readers[i].wrong, 0);
		assert_int_equal(readers[i].backwards, 0);
		assert_true(readers[i].views >= LEAST_VIEWS);
	}
	assert_int_equal(generation_of(&table), GENERATIONS);
}

static void views_of_the_writers_own_mapping_are_of_one_generation(void **state)
{
	(void)state;
	read_the_writers_own(publish_whole);
}

static void views_of_patched_generations_are_of_one(void **state)
{
	(void)state;
	read_the_writers_own(patch_or_publish);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(views_of_threads_are_of_one_generation),
		TEST(views_of_the_writers_own_mapping_are_of_one_generation),
		TEST(views_of_patched_generations_are_of_one),
	};

	return RUN_TESTS(tests);
}
