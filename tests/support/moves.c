/* SPDX-License-Identifier: Apache-2.0 */
#include "support/moves.h"

#include <dirent.h>
#include <jansson.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

enum { LOOK_MS = 50 };

/* ---- lists ---- */

char *list_entry(const struct backends *b, const char *list, const char *more)
{
	char *endpoints = format("%s", "");

	for (size_t i = 0; list[i]; i++) {
		assert_true(i < backends_count(b));
		if (list[i] == '-')
			continue;
		endpoints = format("%s%s{ \"address\": \"%s\", \"port\": %d%s }", endpoints, *endpoints ? ", " : "",
				   backends_address(b, i), backends_port(b, i),
				   list[i] == 't' ? ", \"terminating\": true" : list[i] == 'n' ? ", \"ready\": false" : "");
	}
	return format("{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\"], \"ports\": [ { \"port\": 80 } ], "
		      "\"endpoints\": [ %s ]%s%s }",
		      endpoints, more ? ", " : "", more ? more : "");
}

void publish_list(struct services *s, const struct backends *b, const char *list, const char *more)
{
	services_publish(s, list_entry(b, list, more));
}

/* ---- programs ---- */

/* Its last words are its end, and not a signal: what it has done is counted then (tests/coverage.sh). */
struct process *pool_at(const char *address, int port, const char *const *env, int connections)
{
	struct process *p = process_start(&(struct start){ .argv = ARGV(built("helpers/pool"), address, format("%d", port)),
							   .env = env,
							   .interactive = true,
							   .last_word = "end\n" });

	if (connections)
		pool_do(p, format("open %d", connections), format("open %d", connections));
	return p;
}

struct process *pool_start(struct services *s, const char *const *env, int connections)
{
	return pool_at(SERVICE_ADDRESS, 80, env ? env : s->env, connections);
}

static const char *say(struct process *p, const char *line)
{
	const char *answer;

	process_say(p, format("%s\n", line));
	answer = process_line(p, MOVES_LIMIT_MS);
	if (!answer) {
		process_wait(p, MOVES_LIMIT_MS);
		fail_msg("at \"%s\" the pool ended: exit status %d, signal %d", line, p->exit_status, p->signal);
	}
	return answer;
}

void pool_do(struct process *p, const char *line, const char *answer)
{
	const char *said = say(p, line);

	if (strcmp(said, answer))
		fail_msg("at \"%s\" the pool says \"%s\", not \"%s\"", line, said, answer);
}

int pool_number(struct process *p, const char *line)
{
	const char *said = say(p, line), *blank = strchr(said, ' ');

	if (!blank)
		fail_msg("at \"%s\" the pool says \"%s\"", line, said);
	return atoi(blank);
}

struct turns pool_turns(struct process *p, const char *line)
{
	const char *said = say(p, line);
	struct turns turns;

	if (sscanf(said, "%*s %d %d %d", &turns.answered, &turns.renewed, &turns.failed) != 3)
		fail_msg("at \"%s\" the pool says \"%s\"", line, said);
	return turns;
}

void pool_where(struct process *p, unsigned *at, int count)
{
	const char *said = say(p, "where");

	for (int i = 0; i < count; i++) {
		said = strchr(said, ' ');
		assert_non_null(said);
		at[i] += (unsigned)atoi(++said);
	}
}

void pool_wait_ended(struct process *p, int count)
{
	long end = now_ms() + MOVES_LIMIT_MS;
	int ended;

	while ((ended = pool_number(p, "ended")) < count) {
		if (now_ms() > end)
			fail_msg("%d connections have ended, not %d", ended, count);
		usleep(LOOK_MS * 1000);
	}
	assert_int_equal(ended, count);
}

int threads_of(const struct process *p)
{
	DIR *dir = opendir(format("/proc/%d/task", (int)p->pid));
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* ---- what is counted ---- */

static json_t *moves_object(struct services *s, const char *name)
{
	json_t *service, *moves;
	size_t i;

	json_array_foreach(json_object_get(services_status(s), "services"), i, service)
	{
		if (strcmp(json_string_value(json_object_get(service, "name")), name))
			continue;
		moves = json_object_get(json_array_get(json_object_get(service, "ports"), 0), "moves");
		if (!json_is_object(moves))
			fail_msg("status has no \"moves\" for the port of %s", name);
		return moves;
	}
	fail_msg("status has no Service %s", name);
	return NULL;
}

static long count_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("status: \"%s\" is no number", key);
	return (long)json_integer_value(value);
}

static struct moves moves_in(struct services *s, const char *name, const char *which)
{
	const json_t *counts = json_object_get(moves_object(s, name), which);

	return (struct moves){ count_of(counts, "drain"), count_of(counts, "cut"), count_of(counts, "rebalance"),
			       count_of(counts, "max_age") };
}

struct moves moved_of(struct services *s, const char *name)
{
	return moves_in(s, name, "moved");
}

struct moves would_have_moved_of(struct services *s, const char *name)
{
	return moves_in(s, name, "would_have_moved");
}

long without_thread_of(struct services *s, const char *name)
{
	return count_of(moves_object(s, name), "processes_without_thread");
}

long all_moves(const struct moves *moves)
{
	return moves->drain + moves->cut + moves->rebalance + moves->max_age;
}

static void fail_with(const struct moves *are, const struct moves *wanted)
{
	fail_msg("moved: drain %ld, cut %ld, rebalance %ld, max_age %ld; wanted %ld, %ld, %ld, %ld", are->drain, are->cut, are->rebalance,
		 are->max_age, wanted->drain, wanted->cut, wanted->rebalance, wanted->max_age);
}

static bool is_reached(const struct moves *are, const struct moves *wanted)
{
	if (are->drain > wanted->drain || are->cut > wanted->cut || are->rebalance > wanted->rebalance || are->max_age > wanted->max_age)
		fail_with(are, wanted);
	return all_moves(are) == all_moves(wanted);
}

static void wait_counts(struct services *s, const char *which, const struct moves *wanted)
{
	long end = now_ms() + MOVES_LIMIT_MS;

	for (;;) {
		struct moves are = moves_in(s, "web", which);

		if (is_reached(&are, wanted))
			return;
		if (now_ms() > end)
			fail_with(&are, wanted);
		usleep(LOOK_MS * 1000); /* shared memory tells nobody */
	}
}

void wait_moved(struct services *s, const struct moves *wanted)
{
	wait_counts(s, "moved", wanted);
}

void wait_would_have_moved(struct services *s, const struct moves *wanted)
{
	wait_counts(s, "would_have_moved", wanted);
}

void assert_settled(struct services *s, const struct moves *wanted)
{
	struct moves are;

	usleep(MOVES_SETTLED_MS * 1000);
	are = moved_of(s, "web");
	if (memcmp(&are, wanted, sizeof(are)))
		fail_with(&are, wanted);
}
