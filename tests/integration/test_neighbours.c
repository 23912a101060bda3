/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Others in the same process: sanitizers, other allocators, other preloaded objects before and behind ours, auditors,
 * debuggers, and functions that a program finds by itself. Each row holds a conversation of support/kinds.c.
 */
#include "support/testing.h"

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kinds.h"
#include "support/process.h"
#include "support/services.h"

#define KINDS(kinds) kinds, sizeof(kinds) / sizeof(*kinds)
#define BUILD(compiler) compiler " -O1 -g -D_GNU_SOURCE -o $P $HELPERS/dialer.c -lpthread"
#define OBJECT(options, name)                                                                                        \
	"gcc -O2 -D_GNU_SOURCE -fPIC -shared " options " -o $BIN/" name ".so $HELPERS/preloaded/" name ".c"
#define DIALER "cp $HELPERS/../../build/helpers/dialer $P && "

static void need(const char *program)
{
	if (!program_exists(program))
		skip_because("%s is not installed", program);
}

/* Libraries, wherever the distribution keeps them, for sh to find. */
#define JEMALLOC "$(ls /usr/lib*/*/libjemalloc.so.2 /usr/lib*/libjemalloc.so.2 2>/dev/null)"
#define TCMALLOC "$(ls /usr/lib*/*/libtcmalloc_minimal.so.4 /usr/lib*/libtcmalloc_minimal.so.4 2>/dev/null)"
#define MALLOC_DEBUG "$(gcc -print-file-name=libc_malloc_debug.so.0)"
#define ASAN "$(gcc -print-file-name=libasan.so)"

static void need_library(const char *words)
{
	if (run_shell(NULL, "test -f %s", words)->exit_status)
		skip_because("%s finds no library", words);
}

/* Reports of errors and leaks are text on stderr and another exit status: there are none. */
static void program_under_a_sanitizer_is_spread_without_a_report(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "address, static", .build = BUILD("gcc -fsanitize=address -static-libasan"), .brief = true, .entered = true },
		{ .what = "address, clang", .build = BUILD("clang -fsanitize=address"), .brief = true, .entered = true },
		{ .what = "thread", .build = BUILD("gcc -fsanitize=thread"), .brief = true, .entered = true },
		{ .what = "thread, clang", .build = BUILD("clang -fsanitize=thread"), .brief = true, .entered = true },
		{ .what = "memory, clang", .build = BUILD("clang -fsanitize=memory"), .brief = true, .entered = true },
		{ .what = "undefined, leak", .build = BUILD("gcc -fsanitize=undefined,leak"), .brief = true, .entered = true },
	};

	(void)state;
	need("clang");
	assert_kinds(KINDS(kinds));
}

/* The shared runtime wants to be first, and refuses to run behind any preloaded object. */
static void runtime_of_a_sanitizer_goes_before_the_shim(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "address, preloaded first",
		  .build = BUILD("gcc -fsanitize=address"),
		  .before = ASAN,
		  .brief = true, .entered = true },
		{ .what = "address, told not to mind",
		  .build = BUILD("gcc -fsanitize=address"),
		  .with = "ASAN_OPTIONS=verify_asan_link_order=0",
		  .brief = true, .entered = true },
		{ .what = "address, in a program without", .before = ASAN, .brief = true, .entered = true },
	};

	(void)state;
	need_library(ASAN);
	assert_kinds(KINDS(kinds));
}

static void other_allocators_go_before_or_behind_the_shim(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "jemalloc before", .before = JEMALLOC, .entered = true },
		{ .what = "jemalloc behind", .after = JEMALLOC, .entered = true },
		{ .what = "tcmalloc before", .before = TCMALLOC, .entered = true },
		{ .what = "tcmalloc behind", .after = TCMALLOC, .entered = true },
	};

	(void)state;
	need_library(JEMALLOC);
	need_library(TCMALLOC);
	assert_kinds(KINDS(kinds));
}

/* One ends the program at a block that is not its own; the libc's own checks every block. */
static void allocator_that_checks_its_blocks_finds_nothing(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "marks before",
		  .build = DIALER OBJECT("-fno-builtin", "allocator"),
		  .before = "$BIN/allocator.so",
		  .entered = true },
		{ .what = "marks behind",
		  .build = DIALER OBJECT("-fno-builtin", "allocator"),
		  .after = "$BIN/allocator.so",
		  .entered = true },
		{ .what = "the libc's checks",
		  .before = MALLOC_DEBUG,
		  .with = "MALLOC_CHECK_=3 MALLOC_PERTURB_=165",
		  .entered = true },
	};

	(void)state;
	need_library(MALLOC_DEBUG);
	assert_kinds(KINDS(kinds));
}

static void objects_that_stand_before_the_same_functions_go_before_or_behind(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "counter before",
		  .build = DIALER OBJECT("", "counter"),
		  .before = "$BIN/counter.so",
		  .entered = true },
		{ .what = "counter behind",
		  .build = DIALER OBJECT("", "counter"),
		  .after = "$BIN/counter.so",
		  .entered = true },
		{ .what = "system call behind",
		  .build = DIALER OBJECT("-DBY_SYSCALL", "counter"),
		  .after = "$BIN/counter.so",
		  .entered = true },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

static void object_that_stands_before_dlsym_goes_before_or_behind(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "dlsym before, which jumps",
		  .build = DIALER OBJECT("", "lookups"),
		  .before = "$BIN/lookups.so",
		  .entered = true },
		{ .what = "dlsym before, which calls",
		  .build = DIALER OBJECT("-DCALLS", "lookups"),
		  .before = "$BIN/lookups.so",
		  .entered = true },
		{ .what = "dlsym behind, which calls",
		  .build = DIALER OBJECT("-DCALLS", "lookups"),
		  .after = "$BIN/lookups.so",
		  .entered = true },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

/* What a neighbour counted natively, and under the shim. */
static void assert_both_see_every_call(const struct kind *kind, const char *counted)
{
	struct stand *stand = stand_open();
	const char *counts = format("%s/counts", stand->bin);
	struct kind counting = *kind;

	counting.with = format("COUNTER=%s", counts);
	kind_build(stand, &counting);
	kind_run(stand, &counting, NULL, "$P --count 6 web $PORT");
	assert_string_equal(read_file(counts, NULL), counted);
	assert_is_spread(kind_run(stand, &counting, stand->s->dir, "$P --count 6 web $PORT"));
	assert_string_equal(read_file(counts, NULL), counted);
	end_of_test(NULL);
}

static void object_before_or_behind_sees_each_call_once(void **state)
{
	static const struct kind before = { .what = "before",
					    .build = DIALER OBJECT("", "counter"),
					    .before = "$BIN/counter.so" };
	static const struct kind behind = { .what = "behind",
					    .build = DIALER OBJECT("", "counter"),
					    .after = "$BIN/counter.so" };

	(void)state;
	assert_both_see_every_call(&before, "6 connects, 6 names\n");
	assert_both_see_every_call(&behind, "6 connects, 6 names\n");
}

#define OWN(options) "gcc -w -O1 -g -D_GNU_SOURCE " options " -o $P $HELPERS/dialer.c $HELPERS/preloaded/counter.c -lpthread"

/* The program's definition goes before all preloaded ones: where it asks the next one, that is the shim. */
static void program_with_a_connect_of_its_own_works(void **state)
{
	static const char *const numbers[] = { "$P --count 6 $HOST $PORT", "$P --count 6 --nonblocking $HOST $PORT", NULL };
	static const struct kind kinds[] = {
		{ .what = "which asks the next", .build = OWN(""), .entered = true },
		{ .what = "exported", .build = OWN("-rdynamic"), .entered = true },
		{ .what = "which asks the kernel", .build = OWN("-DBY_SYSCALL"), .dials = numbers },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

static void auditors_and_tracers_change_nothing(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "auditor",
		  .build = DIALER OBJECT("", "auditor"),
		  .with = "LD_AUDIT=$BIN/auditor.so",
		  .entered = true },
		{ .what = "strace", .under = "strace -f -o /dev/null", .entered = true },
	};

	(void)state;
	need("strace");
	assert_kinds(KINDS(kinds));
}

static void wrappers_pass_the_shim_on(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "env", .under = "env -u NOTHING", .brief = true, .entered = true },
		{ .what = "stdbuf, which preloads", .under = "stdbuf -oL", .brief = true, .entered = true },
		{ .what = "timeout", .under = "timeout 60", .brief = true, .entered = true },
		{ .what = "setarch, without randomness", .under = "setarch -R", .brief = true, .entered = true },
		{ .what = "env -i", .under = "env -i", .brief = true },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

/* Neither errors nor leaks: either would be told, and end the program with 99. */
static void memcheck_finds_nothing(void **state)
{
	static const char *const others[] = { NULL };
	static const struct kind kind = {
		.what = "memcheck",
		.under = "valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible",
		.brief = true,
		.others = others,
		.entered = true,
	};

	(void)state;
	need("valgrind");
	assert_kinds(&kind, 1);
}

#define MODULES                                                                                                      \
	"gcc -O1 -g -D_GNU_SOURCE -fPIC -shared -o $BIN/module.so $HELPERS/preloaded/module.c && "                     \
	"cp $HELPERS/../../build/helpers/modules $P"
#define SIX_TIMES(how) "sh -c 'for i in 1 2 3 4 5 6; do $P $BIN/module.so " how " $HOST $PORT || exit; done'"

static void function_that_a_program_finds_by_itself_is_ours(void **state)
{
	static const char *const dials[] = {
		SIX_TIMES("default"),	   SIX_TIMES("next"),	     SIX_TIMES("lazy+local"), SIX_TIMES("now+local"),
		SIX_TIMES("lazy+global"), SIX_TIMES("now+global"), NULL,
	};
	static const char *const none[] = { NULL };
	static const struct kind kind = {
		.what = "found by itself", .build = MODULES, .dials = dials, .others = none, .entered = true
	};

	(void)state;
	assert_kinds(&kind, 1);
}

/* It asked for what goes before all that is preloaded: the libc. */
static void module_that_is_bound_to_the_libc_reaches_the_services_own_address(void **state)
{
	static const char *const dials[] = { SIX_TIMES("lazy+local+deepbind"), SIX_TIMES("now+global+deepbind"),
					     SIX_TIMES("libc"), NULL };
	static const char *const none[] = { NULL };
	static const struct kind kind = { .what = "bound to the libc", .build = MODULES, .dials = dials, .others = none };

	(void)state;
	assert_kinds(&kind, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(program_under_a_sanitizer_is_spread_without_a_report),
		TEST(runtime_of_a_sanitizer_goes_before_the_shim),
		TEST(other_allocators_go_before_or_behind_the_shim),
		TEST(allocator_that_checks_its_blocks_finds_nothing),
		TEST(objects_that_stand_before_the_same_functions_go_before_or_behind),
		TEST(object_that_stands_before_dlsym_goes_before_or_behind),
		TEST(object_before_or_behind_sees_each_call_once),
		TEST(program_with_a_connect_of_its_own_works),
		TEST(auditors_and_tracers_change_nothing),
		TEST(wrappers_pass_the_shim_on),
		TEST(memcheck_finds_nothing),
		TEST(function_that_a_program_finds_by_itself_is_ours),
		TEST(module_that_is_bound_to_the_libc_reaches_the_services_own_address),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
