/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life in somebody else's process: what calls return, what sockets look like afterwards and what names answer is the
 * same under the shim as without it, where the Service's address is that of a server as well.
 */
#include "support/testing.h"

#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 60000 };

/* Without the lines about IPv6: where a name has no such address, another source of names is asked in vain. */
static char *without_ipv6(const char *text)
{
	char *kept = format("%s", ""), *copy = format("%s", text), *line;

	while ((line = strsep(&copy, "\n")))
		if (!strstr(line, "IPv6:"))
			kept = format("%s%s\n", kept, line);
	return kept;
}

static void service_name_answers_as_a_name_in_etc_hosts_does(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *hosts = "127.0.0.1 localhost\n" SERVICE_ADDRESS " web\n";
	struct process *native = run_with_hosts(NULL, hosts, format("%s web", built("helpers/resolver")));
	struct process *p = run(s->env, built("helpers/resolver"), "web", NULL);

	(void)state;
	assert_clean(native);
	assert_clean(p);
	assert_string_equal(without_ipv6(native->out_text), without_ipv6(p->out_text));
	assert_non_null(strstr(p->out_text, "\nIPv6: error -2\n")); /* EAI_NONAME */
}

static void other_names_answer_as_without(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *const names[] = { "localhost", "127.0.0.1", "::1", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_same_run(run(NULL, built("helpers/resolver"), names[i], NULL),
				  run(s->env, built("helpers/resolver"), names[i], NULL));
}

static void etc_hosts_goes_before_a_service(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();

	(void)state;
	services_publish(s, service_entry("localhost", SERVICE_ADDRESS, 80, backends_places(b), 1, NULL));
	assert_same_run(run(NULL, built("helpers/resolver"), "localhost", NULL),
			  run(s->env, built("helpers/resolver"), "localhost", NULL));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(service_name_answers_as_a_name_in_etc_hosts_does),
		TEST(other_names_answer_as_without),
		TEST(etc_hosts_goes_before_a_service),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
