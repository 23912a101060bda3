/* SPDX-License-Identifier: Apache-2.0 */
/* What `make chaos` once found: each seed of tests/chaos/seeds again, for a while. */
#include "support/testing.h"

#include <stdio.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"

enum { LIMIT_MS = 300000 };

static void play(const char *seed, const char *seconds)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("chaos/chaos")),
		.env = ARGV(format("SEED=%s", seed), format("TIME=%s", seconds), "TEST_FILTER", "CMOCKA_MESSAGE_OUTPUT=stdout") });

	process_wait(p, LIMIT_MS);
	if (p->exit_status) {
		printf("%s%s\n", p->out_text, p->err_text); /* more than a message of cmocka has room for */
		fail_msg("seed %s: exit status %d, signal %d", seed, p->exit_status, p->signal);
	}
	if (strstr(p->out_text, "skip: "))
		skip_because("%s", strstr(p->out_text, "skip: ") + 6);
}

static void seeds_that_failed_once_fail_no_more(void **state)
{
	FILE *seeds = fopen(repository("tests/chaos/seeds"), "re");
	char line[256], seed[24], seconds[24];
	unsigned played = 0;

	(void)state;
	assert_non_null(seeds);
	while (fgets(line, sizeof(line), seeds)) {
		if (line[0] == '#' || sscanf(line, "%23s %23s", seed, seconds) != 2)
			continue;
		play(seed, seconds);
		played++;
	}
	fclose(seeds);
	assert_true(played > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seeds_that_failed_once_fail_no_more),
	};

	return RUN_TESTS(tests);
}
