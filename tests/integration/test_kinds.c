/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program built in many ways, and programs of other languages: those that the loader lets us into are spread, and the
 * others reach the Service's own address; all of them do what else they do as without us. One row a kind.
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

static void need(const char *program)
{
	if (!program_exists(program))
		skip_because("%s is not installed", program);
}

static void dynamic_program_is_spread_however_it_was_built(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "as usual", .build = BUILD("gcc"), .entered = true },
		{ .what = "at a fixed address", .build = BUILD("gcc -no-pie -fno-pie"), .brief = true, .entered = true },
		{ .what = "bound at the start", .build = BUILD("gcc -Wl,-z,relro,-z,now"), .brief = true, .entered = true },
		{ .what = "bound at the first call", .build = BUILD("gcc -Wl,-z,lazy"), .brief = true, .entered = true },
		{ .what = "without a PLT", .build = BUILD("gcc -fno-plt"), .brief = true, .entered = true },
		{ .what = "bound to itself", .build = BUILD("gcc -Wl,-Bsymbolic -rdynamic"), .brief = true, .entered = true },
		{ .what = "with the old hash table", .build = BUILD("gcc -Wl,--hash-style=sysv"), .brief = true, .entered = true },
		{ .what = "fortified", .build = BUILD("gcc -D_FORTIFY_SOURCE=2 -fstack-protector-all"), .brief = true, .entered = true },
		{ .what = "stripped", .build = BUILD("gcc -s"), .brief = true, .entered = true },
		{ .what = "by clang", .build = BUILD("clang"), .brief = true, .entered = true },
		{ .what = "LD_BIND_NOW", .with = "LD_BIND_NOW=1", .brief = true, .entered = true },
		{ .what = "LD_BIND_NOT", .with = "LD_BIND_NOT=1", .brief = true, .entered = true },
	};

	(void)state;
	need("clang");
	assert_kinds(KINDS(kinds));
}

static void static_program_reaches_the_services_own_address(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "static", .build = BUILD("gcc -w -static") },
		{ .what = "static, at any address", .build = BUILD("gcc -w -static-pie") },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

static void program_of_musl_is_spread_unless_static(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "musl", .build = BUILD("musl-gcc"), .entered = true },
		{ .what = "musl, at a fixed address", .build = BUILD("musl-gcc -no-pie -fno-pie"), .entered = true },
		{ .what = "musl, static", .build = BUILD("musl-gcc -static") },
	};

	(void)state;
	need("musl-gcc");
	assert_kinds(KINDS(kinds));
}

/* ---- what a program sees of itself ---- */

#define TRAITS(compiler) compiler " -O1 -g -D_GNU_SOURCE -o $P $HELPERS/traits.c"

static const char *const none[] = { NULL };
static const char *const traits[] = { "$P $HOST $PORT web", "$P $HOST $DEAD nobody", NULL };

static void program_sees_itself_as_without(void **state)
{
	static const struct kind kinds[] = {
		{ .what = "traits", .build = TRAITS("gcc"), .dials = none, .others = traits, .entered = true },
		{ .what = "traits, bound at the start",
		  .build = TRAITS("gcc"),
		  .with = "LD_BIND_NOW=1",
		  .dials = none,
		  .others = traits,
		  .entered = true },
		{ .what = "traits, static", .build = TRAITS("gcc -w -static"), .dials = none, .others = traits },
		{ .what = "traits, musl", .build = TRAITS("musl-gcc"), .dials = none, .others = traits, .entered = true },
	};

	(void)state;
	need("musl-gcc");
	assert_kinds(KINDS(kinds));
}

static void odd_calls_are_the_same_however_the_program_was_built(void **state)
{
	static const char *const oddities[] = { "$P $HOST $PORT $DEAD", NULL };
#define ODDITIES(options) "gcc -w -O1 -D_GNU_SOURCE " options " -o $P $HELPERS/oddities.c -lpthread"
	static const struct kind kinds[] = {
		{ .what = "oddities, at a fixed address",
		  .build = ODDITIES("-no-pie -fno-pie -fno-plt"),
		  .dials = none,
		  .others = oddities,
		  .entered = true },
		{ .what = "oddities, static", .build = ODDITIES("-static"), .dials = none, .others = oddities },
	};

	(void)state;
	assert_kinds(KINDS(kinds));
}

/* ---- other languages and shells ---- */

#define GO                                                                                                           \
	"GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= GOPATH=$BIN/go GOCACHE=$(realpath $HELPERS/../../build)/go-cache " \
	"go build -o $P $HELPERS/go/dial.go"

static const char *const go_dials[] = { "$P $HOST $PORT 6", "$P web $PORT 6", NULL };

/* Go makes its system calls itself. */
static void go_program_reaches_the_services_own_address(void **state)
{
	static const char *const others[] = { "$P $HOST $DEAD 2", "$P nobody $PORT 1", "$P phantom $PORT 1", NULL };
	static const struct kind kind = {
		.what = "Go", .build = "CGO_ENABLED=0 " GO, .dials = go_dials, .others = others
	};

	(void)state;
	need("go");
	assert_kinds(&kind, 1);
}

static void go_program_that_resolves_through_the_libc_reaches_the_services_own_address(void **state)
{
	static const char *const others[] = { "$P $HOST $DEAD 2", "$P nobody $PORT 1", NULL };
	static const struct kind kinds[] = {
		{ .what = "cgo", .build = "CGO_ENABLED=1 " GO, .dials = go_dials, .others = others },
		{ .what = "cgo, names by the libc",
		  .build = "CGO_ENABLED=1 " GO,
		  .with = "GODEBUG=netdns=cgo",
		  .dials = go_dials,
		  .others = others },
	};

	(void)state;
	need("go");
	assert_kinds(KINDS(kinds));
}

/* The libc's lookup is ours, Go's dial is not: it fails in another way than natively, where the name is unknown. */
static void go_program_that_resolves_through_the_libc_cannot_reach_a_made_up_address(void **state)
{
	static const struct kind kind = { .what = "cgo, made-up address",
					  .build = "CGO_ENABLED=1 " GO,
					  .with = "GODEBUG=netdns=cgo" };
	struct stand *stand;
	struct process *native, *p;

	(void)state;
	need("go");
	stand = stand_open();
	kind_build(stand, &kind);
	native = kind_run(stand, &kind, NULL, "$P phantom $PORT 1");
	p = kind_run(stand, &kind, stand->s->dir, "$P phantom $PORT 1");
	assert_string_equal(native->out_text, "NONAME\n");
	assert_non_null(strstr(p->out_text, "not connected: dial tcp 2"));
	assert_int_equal(native->exit_status, p->exit_status);
	assert_string_equal(native->err_text, p->err_text);
}

#define SIX_TIMES(line) "busybox sh -c 'for i in 1 2 3 4 5 6; do " line " || exit; done'"

static void busybox_is_spread_unless_static(void **state)
{
	static const char *const dials[] = { SIX_TIMES("busybox wget -qO- http://$HOST:$PORT/"),
					     SIX_TIMES("busybox wget -qO- http://web:$PORT/"),
					     SIX_TIMES("echo who | busybox nc $HOST $PORT"), NULL };
	static const char *const others[] = { "busybox wget -qO- http://$HOST:$DEAD/",
					      "busybox wget -qO- http://nobody:$PORT/", "busybox ls $HELPERS", NULL };
	struct kind kind = { .what = "busybox", .dials = dials, .others = others };

	(void)state;
	need("busybox");
	need("readelf");
	kind.entered = run_shell(NULL, "readelf -l $(command -v busybox) | grep -q INTERP")->exit_status == 0;
	assert_kinds(&kind, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(dynamic_program_is_spread_however_it_was_built),
		TEST(static_program_reaches_the_services_own_address),
		TEST(program_of_musl_is_spread_unless_static),
		TEST(program_sees_itself_as_without),
		TEST(odd_calls_are_the_same_however_the_program_was_built),
		TEST(go_program_reaches_the_services_own_address),
		TEST(go_program_that_resolves_through_the_libc_reaches_the_services_own_address),
		TEST(go_program_that_resolves_through_the_libc_cannot_reach_a_made_up_address),
		TEST(busybox_is_spread_unless_static),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
