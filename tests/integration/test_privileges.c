/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs with more rights than who starts them: setuid, setgid, with capabilities. The loader keeps LD_PRELOAD out of
 * them; through /etc/ld.so.preload the shim is in them, and does nothing: no redirection, no file, no word.
 */
#include "support/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kinds.h"
#include "support/process.h"
#include "support/services.h"

enum { NOBODY = 65534, LIMIT_MS = 60000 };

/* Of the dialer, which is $P, and of what tells its traits. */
#define BUILD(rights)                                                                                                \
	"for F in $BIN/dialer $BIN/traits; do cp $HELPERS/../../build/helpers/${F##*/} $F && " rights " || exit; done; " \
	"ln $BIN/dialer $P"

static const struct kind privileged[] = {
	{ .what = "setuid", .build = BUILD("chown 1 $F && chmod 4755 $F"), .uid = NOBODY },
	{ .what = "setuid, to root", .build = BUILD("chmod 4755 $F"), .uid = NOBODY },
	{ .what = "setgid", .build = BUILD("chgrp 1 $F && chmod 2755 $F"), .uid = NOBODY },
	{ .what = "capability", .build = BUILD("setcap cap_net_raw+ep $F"), .uid = NOBODY },
};

enum { PRIVILEGED = sizeof(privileged) / sizeof(*privileged) };

static void need_root(void)
{
	if (chown(scratch_dir(), NOBODY, NOBODY))
		skip_because("only root can give files to others");
	if (!program_exists("setcap"))
		skip_because("setcap is not installed");
}

static void privileged_program_is_not_entered(void **state)
{
	(void)state;
	need_root();
	assert_kinds(privileged, PRIVILEGED);
}

/* The same, started by another user: it is the privilege that keeps us out. */
static void unprivileged_program_of_another_user_is_spread(void **state)
{
	static const struct kind kind = { .what = "another user", .uid = NOBODY, .entered = true };
	struct stand *stand = stand_open();

	(void)state;
	need_root();
	kind_build(stand, &kind);
	/* Not counted: the ledger is root's. */
	for (int i = 0; i < 3; i++)
		assert_null(strstr(kind_run(stand, &kind, stand->s->dir, "$P --count 6 web $PORT")->out_text, "backend-1"));
	assert_nothing_left(stand);
}

/* ---- /etc/ld.so.preload ---- */

/* What programs need of /etc, and that file. */
static void make_etc(const struct stand *stand)
{
	assert_clean(run_shell(stand->env,
			       "mkdir $BIN/etc && cd /etc && cp passwd group hosts resolv.conf nsswitch.conf ld.so.cache $BIN/etc && "
			       "echo $SHIM >$BIN/etc/ld.so.preload"));
}

/* With that folder over /etc, for the program alone. The variables name files that must not come to be. */
static struct process *start_under_etc(const struct stand *stand, const char *table, uid_t uid, const char *line,
				       bool interactive)
{
	const char *text = format("cd %s && exec unshare -m sh -c 'mount --bind $BIN/etc /etc && "
				  "exec setpriv --reuid %d --regid %d --clear-groups "
				  "env FAIRDIAL_DIR=%s FAIRDIAL_LEDGER=%s/ledger FAIRDIAL_TRACE=all:%s/trace %s'",
				  stand->work, (int)uid, (int)uid, table, stand->work, stand->work, line);
	struct start start = { .argv = ARGV("sh", "-c", text), .env = stand->env, .interactive = interactive };

	printf("%s\n", text);
	return process_start(&start);
}

static struct process *run_under_etc(const struct stand *stand, const char *table, uid_t uid, const char *line)
{
	struct process *p = start_under_etc(stand, table, uid, line, false);

	process_wait(p, LIMIT_MS);
	return p;
}

static struct process *run_natively(const struct stand *stand, const char *line)
{
	return kind_run(stand, &(struct kind){ .what = "natively", .uid = NOBODY }, NULL, line);
}

static void assert_shimmed_and_idle(const struct stand *stand)
{
	static const char *const lines[] = { "$P --count 6 $HOST $PORT", "$P --count 6 --nonblocking web $PORT",
					     "$P --fastopen $HOST $PORT", "$P $HOST $DEAD", "$P phantom $PORT",
					     "$BIN/traits $HOST $PORT web" };
	struct process *p;

	make_etc(stand);
	p = start_under_etc(stand, stand->s->dir, NOBODY, "$P --hold $HOST $PORT", true);

	process_expect(p, "ready", LIMIT_MS);
	assert_true(is_shimmed(p->pid));
	assert_string_equal(p->out_text, "backend-1\nready\n");
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_same_run(run_natively(stand, lines[i]), run_under_etc(stand, stand->s->dir, NOBODY, lines[i]));
	assert_nothing_left(stand);
}

static void privileged_program_that_is_entered_all_the_same_is_left_alone(void **state)
{
	(void)state;
	need_root();
	for (size_t i = 0; i < PRIVILEGED; i++) {
		struct stand *stand = stand_open();

		printf("%s\n", privileged[i].what);
		kind_build(stand, &privileged[i]);
		assert_shimmed_and_idle(stand);
		end_of_test(NULL);
	}
}

/* So the file does what it is there for. */
static void unprivileged_program_is_spread_through_that_file(void **state)
{
	static const struct kind kind = { .what = "unprivileged" };
	struct stand *stand = stand_open();
	struct process *p;

	(void)state;
	need_root();
	kind_build(stand, &kind);
	make_etc(stand);
	p = run_under_etc(stand, stand->s->dir, 0, "$P --count 6 web $PORT");
	assert_null(strstr(p->out_text, "backend-1"));
	assert_int_equal(lines_of(p->out_text), 6);
	assert_int_equal(access(format("%s/trace", stand->work), F_OK), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(privileged_program_is_not_entered),
		TEST(unprivileged_program_of_another_user_is_spread),
		TEST(privileged_program_that_is_entered_all_the_same_is_left_alone),
		TEST(unprivileged_program_is_spread_through_that_file),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
