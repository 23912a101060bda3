/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mover's life in programs that start others, close what they did not open, reuse numbers and end their threads; what it costs
 * where nobody asked for it; and programs that cannot have one. Which connections leave: test_moves.c.
 */
#include "support/testing.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/moves.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

#define DRAIN "\"drain\": \"idle\", " QUICK
#define OFF                                                                                                                    \
	"\"drain\": \"leave\", \"rebalance\": \"off\", \"max_age\": \"off\", \"keepalive\": \"off\", \"quiet\": \"100ms\""

struct scene {
	struct backends *b; /* two; in the beginning only the second is in the list */
	struct services *s;
};

static struct scene scene(void)
{
	struct scene scene = { .b = backends_start(2, ONE_PORT), .s = services_open() };

	publish_list(scene.s, scene.b, "-i", DRAIN);
	return scene;
}

static void terminate(const struct scene *scene)
{
	publish_list(scene->s, scene->b, "it", DRAIN);
}

static void assert_turns(struct process *p, const char *line, int answered, int renewed)
{
	struct turns turns = pool_turns(p, line);

	if (turns.answered != answered || turns.renewed != renewed || turns.failed)
		fail_msg("%s: %d answered, %d renewed, %d failed; wanted %d, %d, 0", line, turns.answered, turns.renewed, turns.failed,
			 answered, renewed);
}

static void end_cleanly(struct process *p, const char *line)
{
	process_say(p, line);
	process_wait(p, MOVES_LIMIT_MS);
	assert_clean(p);
}

/* Exactly these leave, and nobody after them. */
static void assert_drains(const struct scene *scene, int count)
{
	terminate(scene);
	wait_moved(scene->s, &(struct moves){ .drain = count });
	assert_settled(scene->s, &(struct moves){ .drain = count });
}

/* ---- the thread ---- */

/* The line of /proc/PID/task/TID/status that begins so, of the thread of that name; NULL where there is none now. */
static const char *find_status(const struct process *p, const char *name, const char *line)
{
	DIR *dir = opendir(format("/proc/%d/task", (int)p->pid));
	const char *found = NULL;
	struct dirent *entry;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir))) {
		const char *text;

		if (*entry->d_name == '.')
			continue;
		text = run(NULL, "cat", format("/proc/%d/task/%s/status", (int)p->pid, entry->d_name), NULL)->out_text;
		if (strstr(text, format("Name:\t%s\n", name)))
			found = strstr(text, line);
	}
	closedir(dir);
	return found;
}

/* What stands behind it. A thread that has just been made does not have its name yet. */
static const char *status_of_thread(const struct process *p, const char *name, const char *line)
{
	long end = now_ms() + MOVES_LIMIT_MS;
	const char *found;

	while (!(found = find_status(p, name, line))) {
		if (now_ms() > end)
			fail_msg("no thread \"%s\" with \"%s\"", name, line);
		usleep(10000);
	}
	return found + strlen(line);
}

static void mover_is_made_at_the_first_dial_that_asks_for_it(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 0);

	(void)state;
	services_publish(one.s, format("%s, %s", list_entry(one.b, "-i", DRAIN),
				       service_entry("other", "127.96.0.21", 80, backends_places(one.b), 1, NULL)));
	pool_do(p, "open 2 127.96.0.21 80", "open 2");
	assert_int_equal(threads_of(p), 1);
	pool_do(p, "open 1", "open 1");
	assert_int_equal(threads_of(p), 2);
	pool_do(p, "open 5", "open 5");
	assert_int_equal(threads_of(p), 2);
	end_cleanly(p, "end\n");
}

/* But those of the C library, and that of a filter of system calls, which kills where it is blocked. */
static void mover_has_all_signals_blocked(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 1);
	unsigned long long blocked = strtoull(status_of_thread(p, "fairdial-mover", "SigBlk:\t"), NULL, 16);

	(void)state;
	for (int signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && (signal < SIGSYS || signal > 34) && !(blocked >> (signal - 1) & 1))
			fail_msg("signal %d is not blocked: %llx", signal, blocked);
	/* Those of the program's own thread are as they were. */
	assert_int_equal(strtoull(status_of_thread(p, "pool", "SigBlk:\t"), NULL, 16), 0);
}

static void mover_ends_when_there_is_nobody_left_to_follow(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);
	long end = now_ms() + 2L * MOVES_LIMIT_MS;

	(void)state;
	assert_int_equal(threads_of(p), 2);
	pool_do(p, "close", "close 3");
	while (threads_of(p) > 1) {
		if (now_ms() > end)
			fail_msg("it has not ended");
		usleep(100000);
	}
	pool_do(p, "open 2", "open 2");
	assert_int_equal(threads_of(p), 2);
	assert_drains(&one, 2);
	assert_turns(p, "turn", 2, 2);
	end_cleanly(p, "end\n");
}

static void process_ends_with_its_first_thread_if_there_is_no_other(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	end_cleanly(p, "leave\n");
}

static void process_goes_on_while_another_thread_does_and_ends_with_that(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	pool_do(p, "hand", "hand 0");
	assert_turns(p, "turn", 3, 0);
	assert_drains(&one, 3);
	assert_turns(p, "turn", 3, 3);
	end_cleanly(p, "end\n");
}

static void all_threads_may_change_their_user(void **state)
{
	struct scene one = scene();
	struct process *p;

	(void)state;
	if (geteuid())
		skip_because("only root can become another user");
	if (chmod(one.s->root, 0755))
		fail_msg("chmod");
	p = pool_start(one.s, NULL, 2);
	pool_do(p, "user", "user 0");
	assert_int_equal(strtol(status_of_thread(p, "fairdial-mover", "Uid:\t"), NULL, 10), 65534);
	assert_drains(&one, 2);
	assert_turns(p, "turn", 2, 2);
}

/* ---- other processes ---- */

static void child_has_no_mover_until_it_dials_and_leaves_alone_what_it_inherited(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	pool_do(p, "orphan", "orphan 0");
	pool_do(p, "tasks", "tasks 1");
	pool_do(p, "open 2", "open 2");
	pool_do(p, "tasks", "tasks 2");
	assert_drains(&one, 2);
	pool_do(p, "ended 0 3", "ended 0");
	pool_do(p, "ended 3 2", "ended 2");
	assert_turns(p, "turn", 5, 2);
}

/* Both have a mover, and the parent's goes on after its child has ended. */
static void parent_and_child_follow_their_own(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 2);

	(void)state;
	pool_do(p, "fork", "fork 0");
	pool_do(p, "open 2", "open 2");
	pool_do(p, "tasks", "tasks 2");
	assert_drains(&one, 4); /* what the child inherited is its parent's to close */
	assert_turns(p, "turn", 4, 4);
	pool_do(p, "up", "up 0");
	pool_do(p, "ended", "ended 2");
	assert_turns(p, "renew", 2, 2); /* the error that a write would see, the child's has seen */
	end_cleanly(p, "end\n");
}

static void child_of_vfork_dials_and_its_parent_is_as_before(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 0);

	(void)state;
	pool_do(p, "vfork", "vfork 0");
	assert_int_equal(threads_of(p), 1);
	pool_do(p, "open 2", "open 2");
	assert_int_equal(threads_of(p), 2);
	for (int i = 0; i < 20; i++)
		pool_do(p, "vfork", "vfork 0");
	assert_int_equal(threads_of(p), 2);
	assert_drains(&one, 2);
	assert_turns(p, "turn", 2, 2);
	end_cleanly(p, "end\n");
}

static void program_that_is_executed_leaves_alone_what_it_inherited(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	pool_do(p, "exec", "exec 3");
	pool_do(p, "tasks", "tasks 1");
	pool_do(p, "open 2", "open 2");
	pool_do(p, "tasks", "tasks 2");
	assert_drains(&one, 2);
	pool_do(p, "ended 0 3", "ended 0");
	assert_turns(p, "turn", 5, 2);
	end_cleanly(p, "end\n");
}

/* ---- programs that cannot have what a mover needs ---- */

static void program_that_may_not_make_threads_says_so_and_its_connections_stay(void **state)
{
	struct scene one = scene();
	const char *trace = format("%s/trace", one.s->root);
	struct process *p = pool_start(one.s, with_env(one.s->env, format("FAIRDIAL_TRACE=move:%s", trace), NULL), 0), *silent;

	(void)state;
	pool_do(p, "refuse clone", "refuse 0");
	pool_do(p, "open 3", "open 3");
	assert_int_equal(threads_of(p), 1);
	assert_int_equal(without_thread_of(one.s, "web"), 1);
	assert_int_equal(lines_of(read_file(trace, NULL)), 1);
	assert_non_null(strstr(read_file(trace, NULL), "connections stay where they are: no thread can be made"));
	silent = pool_start(one.s, NULL, 0);
	pool_do(silent, "refuse clone", "refuse 0");
	pool_do(silent, "open 2", "open 2");
	assert_int_equal(without_thread_of(one.s, "web"), 2);
	terminate(&one);
	assert_settled(one.s, &(struct moves){ 0 });
	assert_turns(p, "turn", 3, 0);
	assert_turns(silent, "turn", 2, 0);
	end_cleanly(p, "end\n");
	end_cleanly(silent, "end\n");
}

/* A child has the stack of its parent's mover for its own, and so a thread, but nothing for it to write in. */
static void mover_that_finds_no_memory_is_made_again_by_a_later_dial(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 1);

	(void)state;
	pool_do(p, "fork", "fork 0");
	pool_do(p, "tight 2", "tight 2");
	pool_do(p, "tasks", "tasks 1");
	assert_int_equal(without_thread_of(one.s, "web"), 0);
	pool_do(p, "open 1", "open 1");
	pool_do(p, "tasks", "tasks 2");
	assert_drains(&one, 4); /* the parent's, and those that were dialed in need as well */
	assert_turns(p, "turn 1 3", 3, 3);
	pool_do(p, "up", "up 0");
	end_cleanly(p, "end\n");
}

/* ---- descriptors ---- */

static void program_that_closes_all_descriptors_is_followed_on(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 4);

	(void)state;
	pool_do(p, "clear", "close 4");
	pool_do(p, "open 2", "open 2");
	assert_drains(&one, 2);
	pool_do(p, "clear", "close 2");
	pool_do(p, "open 2", "open 2");
	assert_turns(p, "turn", 2, 0);
	end_cleanly(p, "end\n");
}

/* At the same endpoint, but by its own address. A witness shows that the time to leave has come. */
static void number_that_is_another_sockets_by_now_is_not_touched(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 6), *witness = pool_start(one.s, NULL, 2);

	(void)state;
	pool_do(p, format("reuse %s %d", backends_address(one.b, 1), backends_port(one.b, 1)), "reuse 6");
	assert_turns(p, "turn", 6, 0);
	assert_drains(&one, 2);
	pool_do(witness, "ended", "ended 2");
	pool_do(p, "ended", "ended 0");
	assert_turns(p, "turn", 6, 0);
}

static void both_numbers_of_a_connection_see_its_end(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	pool_do(p, "double", "double 3");
	assert_drains(&one, 3);
	pool_do(p, "ended", "ended 3");
	assert_turns(p, "turn", 3, 3);
}

/* Where the number that was dialed is closed, or another connection's, the one that lives on under another number is not known. */
static void number_that_was_given_away_is_no_danger(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);

	(void)state;
	pool_do(p, "shift", "shift 3");
	/* With the numbers of before. */
	pool_do(p, format("open 3 %s %d", backends_address(one.b, 1), backends_port(one.b, 1)), "open 3");
	pool_do(p, "open 2", "open 2");
	assert_drains(&one, 2);
	pool_do(p, "ended 0 6", "ended 0");
	assert_turns(p, "turn", 8, 2);
}

static void no_descriptor_is_left_behind(void **state)
{
	struct scene one = scene();
	struct process *p = pool_start(one.s, NULL, 3);
	const char *list = format("/proc/%d/fd", (int)p->pid), *before;

	(void)state;
	before = run(NULL, "ls", list, NULL)->out_text;
	assert_drains(&one, 3);
	/* A duplicate lives for a moment, and only while somebody is to leave. */
	for (int i = 0; strcmp(run(NULL, "ls", list, NULL)->out_text, before); i++)
		assert_true(i < 100);
}

/* ---- where nobody asked ---- */

/* Permissions, size and name of each mapping; how far heap and stack have grown is a matter of chance. */
static char *mappings_of(const struct process *p)
{
	char *rest = run(NULL, "cat", format("/proc/%d/maps", (int)p->pid), NULL)->out_text, *line, *all = format("%s", "");

	rest = format("%s", rest);
	while ((line = strsep(&rest, "\n"))) {
		unsigned long from, to;
		char mode[8], name[256] = "";

		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, mode, name) < 3)
			continue;
		if (!strcmp(name, "[stack]") || !strcmp(name, "[heap]"))
			from = to;
		name[0] = strstr(name, "/run/") ? '\0' : name[0];
		all = format("%s%s %lx %s\n", all, mode, to - from, name);
	}
	return all;
}

static struct process *pool_with(const char *more, struct services **ret_services)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct process *p;

	*ret_services = services_open();
	publish_list(*ret_services, b, "ii", more);
	p = pool_start(*ret_services, NULL, 8);
	assert_turns(p, "turn", 8, 0);
	return p;
}

static void program_that_did_not_ask_has_no_thread_and_no_other_mapping(void **state)
{
	struct services *s;
	struct process *without = pool_with(NULL, &s), *off = pool_with(OFF, &s);

	(void)state;
	assert_int_equal(threads_of(without), 1);
	assert_int_equal(threads_of(off), 1);
	assert_string_equal(mappings_of(off), mappings_of(without));
	assert_int_equal(without_thread_of(s, "web"), 0);
}

/* The names of the calls between two marks, for each dial, once every backend has answered. */
static const char *calls_of_dials(const char *more)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	char *file = format("%s/strace", s->root), *line, *rest, *all = format("%s", "");
	bool inside = false;
	struct process *p;
	int dials = 0;

	publish_list(s, b, "ii", more);
	p = run(s->env, "strace", "-o", file, "-e", "trace=all", built("helpers/dialer"), "--marks", "--mute", "--count", "12",
		SERVICE_ADDRESS, "80", NULL);
	assert_int_equal(p->exit_status, 0);
	rest = read_file(file, NULL);
	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, "write(-1, \"mark\"", 16)) {
			inside = !inside;
			dials += inside;
		} else if (inside && dials > 6) {
			all = format("%s%d %.*s\n", all, dials, (int)strcspn(line, "("), line);
		}
	}
	assert_int_equal(dials, 12);
	return all;
}

static void dial_of_a_program_that_did_not_ask_makes_the_same_system_calls(void **state)
{
	static const char *const policies[] = { "\"balance\": \"round_robin\"", "\"balance\": \"hash\"" };

	(void)state;
	if (run(NULL, "strace", "-o", "/dev/null", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(calls_of_dials(format("%s, %s", policies[i], OFF)), calls_of_dials(policies[i]));
}

/* ---- other C libraries ---- */

/* A dialer that holds three connections. */
static struct process *hold_three(const struct scene *one, const char *root, const char *dialer, const char *trace)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(dialer, "--count", "3", "--hold", SERVICE_ADDRESS, "80"),
		.env = with_env(one->s->env, format("FAIRDIAL_TRACE=move:%s", trace), NULL),
		.root = root,
		.interactive = true });

	process_expect(p, "ready\n", MOVES_LIMIT_MS);
	return p;
}

static void assert_follows(const char *root, const char *dialer)
{
	struct scene one = scene();
	struct process *p = hold_three(&one, root, dialer, format("%s/trace", one.s->root));

	assert_int_equal(threads_of(p), 2);
	assert_drains(&one, 3);
	assert_int_equal(without_thread_of(one.s, "web"), 0);
	process_close_input(p);
	process_wait(p, MOVES_LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
}

static void program_of_musl_is_followed(void **state)
{
	(void)state;
	assert_follows(NULL, compiled_for_musl("dialer", ""));
}

static void program_of_glibc_2_31_is_followed(void **state)
{
	const char *root = furnished_root("bullseye");

	(void)state;
	assert_follows(root, compiled_for_root(root, "dialer", "libpthread.so.0 libdl.so.2 libc.so.6", ""));
}

static void program_of_the_newest_glibc_is_followed(void **state)
{
	(void)state;
	assert_follows(furnished_root("newest"), built("helpers/dialer"));
}

static void program_of_glibc_2_31_without_threads_says_that_it_cannot(void **state)
{
	const char *root = furnished_root("bullseye"), *dialer = compiled_for_root(root, "dialer", "libc.so.6", ""), *trace;
	struct scene one = scene();
	struct process *p;

	(void)state;
	trace = format("%s/trace", one.s->root);
	p = hold_three(&one, root, dialer, trace);
	assert_int_equal(threads_of(p), 1);
	assert_int_equal(without_thread_of(one.s, "web"), 1);
	assert_int_equal(lines_of(read_file(trace, NULL)), 1);
	assert_non_null(strstr(read_file(trace, NULL), "no thread"));
	terminate(&one);
	assert_settled(one.s, &(struct moves){ 0 });
	assert_int_equal(backends_open(one.b, 1), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mover_is_made_at_the_first_dial_that_asks_for_it),
		TEST(mover_has_all_signals_blocked),
		TEST(mover_ends_when_there_is_nobody_left_to_follow),
		TEST(process_ends_with_its_first_thread_if_there_is_no_other),
		TEST(process_goes_on_while_another_thread_does_and_ends_with_that),
		TEST(all_threads_may_change_their_user),
		TEST(child_has_no_mover_until_it_dials_and_leaves_alone_what_it_inherited),
		TEST(parent_and_child_follow_their_own),
		TEST(child_of_vfork_dials_and_its_parent_is_as_before),
		TEST(program_that_is_executed_leaves_alone_what_it_inherited),
		TEST(program_that_may_not_make_threads_says_so_and_its_connections_stay),
		TEST(mover_that_finds_no_memory_is_made_again_by_a_later_dial),
		TEST(program_that_closes_all_descriptors_is_followed_on),
		TEST(number_that_is_another_sockets_by_now_is_not_touched),
		TEST(both_numbers_of_a_connection_see_its_end),
		TEST(number_that_was_given_away_is_no_danger),
		TEST(no_descriptor_is_left_behind),
		TEST(program_that_did_not_ask_has_no_thread_and_no_other_mapping),
		TEST(dial_of_a_program_that_did_not_ask_makes_the_same_system_calls),
		TEST(program_of_musl_is_followed),
		TEST(program_of_glibc_2_31_is_followed),
		TEST(program_of_the_newest_glibc_is_followed),
		TEST(program_of_glibc_2_31_without_threads_says_that_it_cannot),
	};

	return RUN_TESTS(tests);
}
