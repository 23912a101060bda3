/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of every day that dial nobody, run under the shim because everything in a container is: what they print, how
 * they end and what they leave is the same. One row a program.
 */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kinds.h"
#include "support/process.h"

/* Without what is there for the shim's sake. */
#define ENV "sh -c 'env | grep -v -e ^LD_PRELOAD= -e ^FAIRDIAL | sort'"

static const struct row {
	const char *program, *line;
} rows[] = {
	{ "true", "true" },
	{ "false", "false" },
	{ "env", ENV },
	{ "sh", "sh -c 'echo $0 $$ | cut -d\" \" -f1; exit 7'" },
	{ "sh", "sh -c 'kill -SEGV $$'" },
	{ "bash", "bash -c 'set -o pipefail; false | cat; echo $? ${PIPESTATUS[@]} $BASHOPTS'" },
	{ "ls", "ls -l /etc/passwd /nowhere" },
	{ "find", "find $HELPERS -name \"*.c\" -newermt 2000-01-01 -exec basename {} +" },
	{ "tar", "sh -c 'tar -cf - -C $HELPERS . | tar -tvf -'" },
	{ "gzip", "sh -c 'gzip -9nc $HELPERS/dialer.c | gzip -dc | cksum'" },
	{ "grep", "grep -rn static $HELPERS/dialer.c /nowhere" },
	{ "sed", "sed -n 1,5p $HELPERS/dialer.c" },
	{ "awk", "awk \"BEGIN { print ENVIRON[\\\"HOST\\\"]; exit 3 }\"" },
	{ "sort", "sort -R --random-source=$HELPERS/dialer.c $HELPERS/traits.c" },
	{ "xargs", "sh -c 'ls $HELPERS | xargs -P 4 -n 1 -I X sh -c \"test -e $HELPERS/X\"; echo $?'" },
	{ "dd", "dd if=$HELPERS/dialer.c of=/dev/null bs=1k status=none" },
	{ "id", "id" },
	{ "getent", "getent hosts localhost nobody.invalid" },
	{ "git", "git -C $HELPERS --no-pager log -1 --format=%s -- dialer.c" },
	{ "git", "git -C / status" },
	{ "gcc", "gcc -Wall -x c -fsyntax-only $HELPERS/dialer.c" },
	{ "make", "make -s -f /dev/null nothing" },
	{ "perl",
	  "perl -MSocket -e \"print join(q(,), map { inet_ntoa(\\$_) } (gethostbyname(q(localhost)))[4]), qq(\\n); exit 5\"" },
	{ "python3", "python3 -S -c pass" },
	{ "python3",
	  "python3 -c \"import os, sys, threading; print(len(os.listdir('/proc/self/fd')), threading.active_count()); "
	  "sys.exit(4)\"" },
	{ "python3",
	  "python3 -c \"import subprocess, multiprocessing as m; "
	  "print(subprocess.run(['sh', '-c', 'exit 9']).returncode, m.Pool(2).map(abs, [-1, -2]))\"" },
	{ "python3", "python3 -c \"import os; os.abort()\"" },
	{ "node", "node -e 0" },
	{ "node",
	  "node -e \"console.log(require('child_process').spawnSync('sh', ['-c', 'exit 9']).status); "
	  "process.exitCode = 6\"" },
	{ "java", "java -Xshare:auto -version" },
	{ "ssh", "ssh -V" },
	{ "curl", "curl --version" },
	{ "openssl", "openssl version" },
	{ "mysql", "mysql --no-defaults --version" },
	{ "psql", "psql --version" },
	{ "redis-cli", "redis-cli --version" },
	{ "busybox", "busybox sh -c 'echo $0; exit 8'" },
	{ "go", "go version" },
	{ "strace", "strace -V" },
	{ "qemu-aarch64-static", "qemu-aarch64-static --version" },
};

static void assert_bystander(const struct stand *stand, const struct row *row)
{
	const struct kind kind = { .what = row->program };

	if (program_exists(row->program))
		assert_is_the_same(stand, &kind, row->line);
	else
		printf("skip: a row: %s is not installed\n", row->program);
}

static void program_that_dials_nobody_is_the_same(void **state)
{
	struct stand *stand = stand_open();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_bystander(stand, &rows[i]);
}

/* ldd asks the loader, which lists the shim: and nothing else is another. */
static void loader_lists_the_shim_and_nothing_more(void **state)
{
	static const char line[] = "sh -c 'ldd /bin/ls | grep -v libfairdial.so | cut -d\"(\" -f1'";
	struct stand *stand = stand_open();

	(void)state;
	assert_is_the_same(stand, &(struct kind){ .what = "ldd" }, line);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(program_that_dials_nobody_is_the_same),
		TEST(loader_lists_the_shim_and_nothing_more),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
