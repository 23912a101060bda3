/* SPDX-License-Identifier: Apache-2.0 */
/* Real programs under the shim, with tables that another version wrote. */
#include "support/testing.h"

#include <sys/stat.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/layouts.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

/* curl dials the first backend; the table, where it is believed, sends it to the second. */
static void assert_curl_reaches(const struct layout *layout, const char *expected)
{
	struct backends *b = backends_start(2, ONE_ADDRESS);
	struct services *s = services_open();
	const struct addr second = addr_of(format("127.0.0.1:%d", backends_port(b, 1)));
	const struct layout_service service = { addr_of(format("127.0.0.1:%d", backends_port(b, 0))), &second, 1 };
	struct process *p;

	if (!program_exists("curl"))
		skip_because("curl is not installed");
	mkdir(s->dir, 0755);
	write_layout(s->dir, layout, &service);
	p = run(s->env, "curl", "-sS", "--max-time", "20", format("http://127.0.0.1:%d/", backends_port(b, 0)), NULL);
	assert_clean(p);
	assert_string_equal(p->out_text, expected);
}

static void curl_is_sent_by_a_table_of_1_0(void **state)
{
	(void)state;
	assert_curl_reaches(&layout_1_0, "backend-2\n");
}

static void curl_is_sent_by_a_table_of_a_newer_minor_version(void **state)
{
	(void)state;
	assert_curl_reaches(&layout_newer, "backend-2\n");
}

static void curl_dials_by_itself_where_the_table_is_of_another_major_version(void **state)
{
	(void)state;
	assert_curl_reaches(&layout_2_0, "backend-1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_is_sent_by_a_table_of_1_0),
		TEST(curl_is_sent_by_a_table_of_a_newer_minor_version),
		TEST(curl_dials_by_itself_where_the_table_is_of_another_major_version),
	};

	return RUN_TESTS(tests);
}
