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
		{ .what = "at a fixed address", .build = BUILD("gcc -no-pie -fno-pie"), .entered = true },
		{ .what = "bound at the start", .build = BUILD("gcc -Wl,-z,relro,-z,now"), .entered = true },
		{ .what = "bound at the first call", .build = BUILD("gcc -Wl,-z,lazy"), .entered = true },
		{ .what = "without a PLT", .build = BUILD("gcc -fno-plt"), .entered = true },
		{ .what = "bound to itself", .build = BUILD("gcc -Wl,-Bsymbolic -rdynamic"), .entered = true },
		{ .what = "with the old hash table", .build = BUILD("gcc -Wl,--hash-style=sysv"), .entered = true },
		{ .what = "fortified", .build = BUILD("gcc -D_FORTIFY_SOURCE=2 -fstack-protector-all"), .entered = true },
		{ .what = "stripped", .build = BUILD("gcc -s"), .entered = true },
		{ .what = "by clang", .build = BUILD("clang"), .entered = true },
		{ .what = "LD_BIND_NOW", .with = "LD_BIND_NOW=1", .entered = true },
		{ .what = "LD_BIND_NOT", .with = "LD_BIND_NOT=1", .entered = true },
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(dynamic_program_is_spread_however_it_was_built),
		TEST(static_program_reaches_the_services_own_address),
		TEST(program_of_musl_is_spread_unless_static),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
