/* SPDX-License-Identifier: Apache-2.0 */
/* tests/check_layers.sh names what is wrong with the sources, and fails. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

/* A line that is added to a source, and how the rule begins that it breaks. */
static const struct fault {
	const char *file, *line, *rule;
} faults[] = {
	{ "src/base/addr.c", "#include \"ledger/ledger.h\"", "src/base includes only base" },
	{ "src/shim/dial.h", "#include \"agent/agent.h\"", "src/shim includes only base" },
	{ "src/model/arena.c", "#include \"kube/json.h\"", "src/model includes only base table model" },
	{ "src/kube/json.c", "#include \"services/source.h\"", "src/kube includes only base metrics yaml model kube" },
	{ "src/launch/launch.c", "#include \"install/self.h\"", "src/launch includes only base launch" },
	{ "src/install/place.c", "#include \"agent/agent.h\"", "src/install includes only base launch install" },
	{ "src/ledger/mend.c", "#include <jansson.h>", "only src/yaml, src/kube, src/services, src/inject" },
	{ "src/elsewhere.c", "", "every source lies in a folder" },
	{ "src/shim/forgotten.c", "", "all of src/shim is in libfairdial.so" },
	{ "src/shim/dial.c", "#include <pthread.h>", "its sources include no <stdio.h>" },
};

enum { FAULTS = sizeof(faults) / sizeof(*faults) };

static const char *copy_of_the_sources(void)
{
	const char *dir = scratch_dir();

	assert_clean(run(NULL, "cp", "-r", repository("src"), repository("tests"), dir, NULL));
	return dir;
}

static struct process *check(const char *dir)
{
	return run_shell(NULL, "cd %s && sh tests/check_layers.sh %s", dir, repository("build"));
}

static void sources_as_they_are_break_no_rule(void **state)
{
	struct process *p = check(copy_of_the_sources());

	(void)state;
	assert_clean(p);
	assert_null(strstr(p->out_text, "FAIL"));
}

/* In the order of the script. */
static void each_rule_that_is_broken_is_named_and_no_other(void **state)
{
	const char *dir = copy_of_the_sources(), *rest;
	struct process *p;

	(void)state;
	for (size_t i = 0; i < FAULTS; i++)
		assert_clean(run_shell(NULL, "echo '%s' >>%s/%s", faults[i].line, dir, faults[i].file));
	p = check(dir);
	assert_int_equal(p->exit_status, 1);
	rest = p->out_text;
	for (size_t i = 0; i < FAULTS; i++) {
		rest = strstr(rest, "FAIL  ");
		if (!rest || strncmp(rest + 6, faults[i].rule, strlen(faults[i].rule)))
			fail_msg("\"%s\" is not named in its place:\n%s", faults[i].rule, p->out_text);
		rest++;
	}
	assert_null(strstr(rest, "FAIL  "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sources_as_they_are_break_no_rule),
		TEST(each_rule_that_is_broken_is_named_and_no_other),
	};

	return RUN_TESTS(tests);
}
