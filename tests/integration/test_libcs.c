/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one shim of the build, in programs of other C libraries: glibc 2.31, which has dlsym and threads in libraries of their
 * own, the newest glibc, this machine's, and two of musl.
 */
#include "support/testing.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger/mend.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/databases.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"
#include "support/spread.h"
#include "support/tun.h"
#include "view/snapshot.h"

#define DIAL_TIMEOUT_S "60"

enum { BACKENDS = 5, LIMIT_MS = 60000 };

#define OLD_GLIBC "bullseye"
#define NEWEST    "newest"

/* By name and by address, with symbols bound when called and all at once. */
static void assert_curl_is_spread(const char *root)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *const envs[] = { s->env, with_env(s->env, "LD_BIND_NOW=1", NULL) };
	const char *const urls[] = { "http://web/", "http://" SERVICE_ADDRESS "/" };

	for (size_t i = 0; i < 4; i++) {
		const char *const *argv = ARGV("curl", "-sS", urls[i % 2]);

		assert_runs_spread(s, b, BACKENDS, 1,
				   &(struct start){ .argv = argv, .env = envs[i / 2], .root = root });
	}
}

static void curl_of_glibc_2_31_is_spread_by_name_and_by_address(void **state)
{
	(void)state;
	assert_curl_is_spread(furnished_root(OLD_GLIBC));
}

static void curl_of_the_newest_glibc_is_spread_by_name_and_by_address(void **state)
{
	(void)state;
	assert_curl_is_spread(furnished_root(NEWEST));
}

static void mysql_cli_of_glibc_2_31_is_spread_over_three_mariadb_servers(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);
	struct place places[3];

	(void)state;
	start_mariadb(places, 3);
	assert_mysql_is_spread(root, places);
}

static void python_of_glibc_2_31_is_spread_by_socket_http_client_and_asyncio(void **state)
{
	const char *root = furnished_root(OLD_GLIBC), *script = repository("tests/helpers/clients.py");
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const kinds[] = { "socket", "http", "host", "asyncio" };
	const char *const hosts[] = { "web", SERVICE_ADDRESS };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		const char *const *argv = ARGV("python3", "-B", script, kinds[i / 2], hosts[i % 2], "80", "10");

		assert_run_spread(s, b, 10, run_in_root(root, s->env, argv), 0);
	}
}

/* ---- programs of glibc 2.31 that have few libraries ---- */

static char *files_mapped_by(const struct process *p)
{
	return run(NULL, "cat", format("/proc/%d/maps", (int)p->pid), NULL)->out_text;
}

/* Fails unless a program that dials, with the shim, has this library loaded, or has it not. */
static void assert_has_library(const char *root, const char *dialer, const char *library, bool wanted)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	struct process *p = process_start(&(struct start){ .argv = ARGV(dialer, "--count", "5", "--hold", "web", "80"),
							   .env = s->env,
							   .root = root,
							   .interactive = true });
	const char *maps;

	process_expect(p, "ready\n", LIMIT_MS);
	maps = files_mapped_by(p);
	assert_non_null(strstr(maps, "/libfairdial.so"));
	if (!strstr(maps, library) == wanted)
		fail_msg("%s is %sloaded:\n%s", library, wanted ? "not " : "", maps);
}

static const char *dialer_without_libdl(const char *root)
{
	const char *dialer = compiled_for_root(root, "dialer", "libc.so.6", "");

	assert_has_library(root, dialer, "/libdl-", false);
	assert_has_library(root, dialer, "/libpthread-", false);
	return dialer;
}

static void program_of_glibc_2_31_is_spread(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);
	const char *dialer = compiled_for_root(root, "dialer", "libpthread.so.0 libdl.so.2 libc.so.6", "");

	(void)state;
	assert_has_library(root, dialer, "/libdl-", true);
	assert_dialer_is_spread(root, dialer);
}

static void program_of_glibc_2_31_that_has_no_libdl_and_no_libpthread_is_spread(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);

	(void)state;
	assert_dialer_is_spread(root, dialer_without_libdl(root));
}

/* Where the shim lies beside a folder with a table, and no variable says so. It is preloaded by this name. */
static void assert_table_beside_is_found(const char *root, const char *dialer, const char *preload)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *env =
		with_env(NULL, format("LD_PRELOAD=%s%s", *preload == '/' ? s->root : "", preload),
			 format("LD_LIBRARY_PATH=%s", s->root), NULL);

	assert_clean(run(NULL, "cp", built("libfairdial.so"), s->root, NULL));
	assert_run_spread(s, b, 10, run_in_root(root, env, ARGV(dialer, "--count", "10", "web", "80")), 0);
}

static void table_beside_the_shim_is_found_by_each_c_library(void **state)
{
	const char *old = furnished_root(OLD_GLIBC), *newest = furnished_root(NEWEST);
	const char *musl = compiled_for_musl("dialer", "");
	const char *whole = compiled_for_root(old, "dialer", "libpthread.so.0 libdl.so.2 libc.so.6", "");
	const struct {
		const char *root, *dialer;
	} of[] = { { NULL, built("helpers/dialer") }, { old, whole }, { newest, built("helpers/dialer") },
		   { NULL, musl },                    { newest, musl } };

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		assert_table_beside_is_found(of[i].root, of[i].dialer, "/libfairdial.so");
		assert_table_beside_is_found(of[i].root, of[i].dialer, "libfairdial.so");
	}
}

static void table_beside_the_shim_is_found_without_libdl(void **state)
{
	const char *root = furnished_root(OLD_GLIBC), *dialer = dialer_without_libdl(root);

	(void)state;
	assert_table_beside_is_found(root, dialer, "/libfairdial.so");
	assert_table_beside_is_found(root, dialer, "libfairdial.so");
}

/* ---- other C libraries ---- */

static void program_is_spread_under_the_newest_glibc(void **state)
{
	(void)state;
	assert_dialer_is_spread(furnished_root(NEWEST), built("helpers/dialer"));
}

static void program_of_musl_is_spread_under_this_machines(void **state)
{
	(void)state;
	assert_dialer_is_spread(NULL, compiled_for_musl("dialer", ""));
}

static void program_of_musl_is_spread_under_the_newest(void **state)
{
	(void)state;
	assert_dialer_is_spread(furnished_root(NEWEST), compiled_for_musl("dialer", ""));
}

/* ---- cancellation ---- */

/* The Service is host 2; its endpoints 3 and 4 are black holes, of which one is enough for the test. */
static struct services *service_of_holes(struct tun *t)
{
	struct services *s = services_open();
	struct place holes[2] = { { .port = 80 }, { .port = 80 } };

	for (int i = 0; i < 2; i++) {
		snprintf(holes[i].address, sizeof(holes[i].address), "%s", tun_address(3 + i));
		tun_set(t, 3 + i, TUN_DROP, 0);
	}
	tun_set(t, 2, TUN_DROP, 0);
	services_publish(s, service_entry("hole", tun_address(2), 80, holes, 2, "\"connect_timeout\": \"" DIAL_TIMEOUT_S "s\""));
	return s;
}

static void wait_for_dial(const struct tun *t, int first, int last)
{
	for (long end = now_ms() + LIMIT_MS; now_ms() < end; usleep(2000)) /* shared memory tells nobody */
		for (int host = first; host <= last; host++)
			if (tun_dials(t, host))
				return;
	fail_msg("no dial came");
}

/* Starts it, and cancels its dial when that is under way. What it then says. */
static const char *cancel_dial(const struct start *start, const struct tun *t, int first, int last)
{
	struct process *p = process_start(start);

	wait_for_dial(t, first, last);
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	return p->out_text;
}

static bool backend_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	const struct snapshot *snapshot = of;

	*ret_addr = snapshot->backends[i]->addr;
	*ret_key = snapshot->backends[i]->key;
	return true;
}

/* As the next blocking dial would, which here would wait for somebody who does not answer. */
static void mend_ledger(struct services *s)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct mend_list list = { .at = backend_at };
	struct snapshot snapshot;
	struct ledger ledger;
	struct report why;

	assert_int_equal(snapshot_take(s->dir, &trust, NULL, &snapshot, &why), 0);
	assert_int_equal(snapshot_open_ledger(s->dir, &trust, LEDGER_EXISTING, &ledger), 0);
	list.of = &snapshot;
	list.count = (uint32_t)snapshot.backend_count;
	assert_int_equal(mend(&ledger, &list, clock_boot_ms()), 0);
	ledger_close(&ledger);
	snapshot_free(&snapshot);
}

/* At once, or where the dial could not say that it ended, when it has been on its way for longer than a dial is. */
static void wait_until_nobody_counts(struct services *s, const char *address)
{
	long begun = now_ms();

	while (services_endpoint(s, "hole", address, 80).active > 0) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("a connection to %s still counts", address);
		mend_ledger(s);
		usleep(50000);
	}
}

/*
 * First without the shim: that is what it is to be like. Only a libc that `unwinds` the stack of the thread has the shim put
 * TCP_USER_TIMEOUT back; else the socket keeps that of the dial.
 */
static void assert_dial_is_left_as_natively(const char *root, const char *program, bool unwinds)
{
	struct tun *t = tun_open();
	struct services *s = service_of_holes(t);
	struct start start = { .argv = ARGV(program, tun_address(2), "80"), .root = root, .interactive = true };
	const char *native = cancel_dial(&start, t, 2, 2);

	assert_int_equal(strncmp(native, "cancelled\n", 10), 0);
	start.env = s->env;
	if (!unwinds)
		native = "cancelled\nhandshake " DIAL_TIMEOUT_S "000 ms, send 115 s\n";
	assert_string_equal(cancel_dial(&start, t, 3, 4), native);
	assert_int_equal(tun_dials(t, 2), 1);
	for (int host = 3; host <= 4; host++)
		wait_until_nobody_counts(s, tun_address(host));
}

static void assert_dial_can_be_cancelled(const char *root, const char *program)
{
	assert_dial_is_left_as_natively(root, program, true);
}

static void dial_can_be_cancelled_under_this_machines_glibc(void **state)
{
	(void)state;
	assert_dial_can_be_cancelled(NULL, built("helpers/cancelled"));
}

static void dial_can_be_cancelled_under_glibc_2_31(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);

	(void)state;
	assert_dial_can_be_cancelled(root,
				     compiled_for_root(root, "cancelled", "libpthread.so.0 libdl.so.2 libc.so.6", ""));
}

static void dial_can_be_cancelled_under_glibc_2_31_without_libdl(void **state)
{
	const char *root = furnished_root(OLD_GLIBC);

	(void)state;
	assert_dial_can_be_cancelled(root, compiled_for_root(root, "cancelled", "libpthread.so.0 libc.so.6", ""));
}

static void dial_can_be_cancelled_under_the_newest_glibc(void **state)
{
	(void)state;
	assert_dial_can_be_cancelled(furnished_root(NEWEST), built("helpers/cancelled"));
}

static void dial_can_be_cancelled_under_musl(void **state)
{
	const char *program = compiled_for_musl("cancelled", "");

	(void)state;
	assert_dial_is_left_as_natively(NULL, program, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_of_glibc_2_31_is_spread_by_name_and_by_address),
		TEST(curl_of_the_newest_glibc_is_spread_by_name_and_by_address),
		TEST(mysql_cli_of_glibc_2_31_is_spread_over_three_mariadb_servers),
		TEST(python_of_glibc_2_31_is_spread_by_socket_http_client_and_asyncio),
		TEST(program_of_glibc_2_31_is_spread),
		TEST(program_of_glibc_2_31_that_has_no_libdl_and_no_libpthread_is_spread),
		TEST(table_beside_the_shim_is_found_by_each_c_library),
		TEST(table_beside_the_shim_is_found_without_libdl),
		TEST(program_is_spread_under_the_newest_glibc),
		TEST(program_of_musl_is_spread_under_this_machines),
		TEST(program_of_musl_is_spread_under_the_newest),
		TEST(dial_can_be_cancelled_under_this_machines_glibc),
		TEST(dial_can_be_cancelled_under_glibc_2_31),
		TEST(dial_can_be_cancelled_under_glibc_2_31_without_libdl),
		TEST(dial_can_be_cancelled_under_the_newest_glibc),
		TEST(dial_can_be_cancelled_under_musl),
	};

	return RUN_TESTS(tests);
}
