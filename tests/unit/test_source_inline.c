/* SPDX-License-Identifier: Apache-2.0 */
/* Inline services: --service and FAIRDIAL_SERVICES. */
#include "support/testing.h"

#include <errno.h>

#include "model/model.h"
#include "services/source.h"
#include "support/models.h"

static void check(const char *text, const char *expected)
{
	struct model *model = new_model();
	struct report report = { "" };

	if (source_load_inline(model, "--service", text, &report) < 0)
		fail_msg("%s", report.text);
	assert_spec(model, expected);
	model_free(model);
}

static void one_service_is_one_clause(void **state)
{
	(void)state;
	check("web:80=10.0.0.1:8080,10.0.0.2:8080", "web bare ~v4\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
}

static void clauses_are_separated_by_semicolons(void **state)
{
	(void)state;
	check("web:80=10.0.0.1:8080;db.shop:3306=10.0.0.3:3306",
	      "web bare ~v4\n  80/TCP 10.0.0.1:8080*\ndb.shop bare ~v4\n  3306/TCP 10.0.0.3:3306*\n");
}

static void spaces_and_empty_clauses_do_not_matter(void **state)
{
	(void)state;
	check(" web : 80 = 10.0.0.1:8080 ,\n10.0.0.2:8080 ; ;; ",
	      "web bare ~v4\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n");
}

static void clauses_of_one_service_add_ports(void **state)
{
	(void)state;
	check("web:80=10.0.0.1:8080,10.0.0.2:8080;api:1=10.0.0.9:1;web:81=10.0.0.1:8081,10.0.0.1:8082",
	      "api bare ~v4\n  1/TCP 10.0.0.9:1*\n"
	      "web bare ~v4\n  80/TCP 10.0.0.1:8080* 10.0.0.2:8080*\n  81/TCP 10.0.0.1:8081* 10.0.0.1:8082*\n");
}

static void services_of_one_name_in_two_namespaces_are_two(void **state)
{
	(void)state;
	check("web.a:80=10.0.0.1:80;web.b:80=10.0.0.2:80;web:80=10.0.0.3:80",
	      "web bare ~v4\n  80/TCP 10.0.0.3:80*\nweb.a bare ~v4\n  80/TCP 10.0.0.1:80*\n"
	      "web.b bare ~v4\n  80/TCP 10.0.0.2:80*\n");
}

static void ipv6_is_written_in_brackets(void **state)
{
	(void)state;
	check("web:80=[fd00::1]:8080,[::1]:8080,127.0.0.1:8080",
	      "web bare ~v4 ~v6\n  80/TCP 127.0.0.1:8080* [::1]:8080* [fd00::1]:8080*\n");
}

static void one_address_may_serve_on_many_ports(void **state)
{
	(void)state;
	check("web:80=127.0.0.1:8001,127.0.0.1:8002", "web bare ~v4\n  80/TCP 127.0.0.1:8001* 127.0.0.1:8002*\n");
}

static void what_makes_no_sense_is_refused_and_named(void **state)
{
	static const struct {
		const char *text, *expected;
	} bad[] = {
		{ "", "--service: expected NAME:PORT=ADDRESS:PORT,..." },
		{ " ; ;", "--service: expected NAME:PORT=" },
		{ "web", "--service: \"web\": expected NAME:PORT=" },
		{ "web:80", "--service: \"web:80\": expected NAME:PORT=" },
		{ "web=10.0.0.1:80", "--service: \"web=10.0.0.1:80\": expected NAME:PORT=" },
		{ "web:80=", "--service: \"\": expected an address and a port" },
		{ "web:80=10.0.0.1:80,", "--service: \"\": expected an address and a port" },
		{ "web:80=10.0.0.1", "--service: \"10.0.0.1\": expected an address and a port" },
		{ "web:80=10.0.0.1:0", "--service: \"10.0.0.1:0\": expected an address and a port" },
		{ "web:80=10.0.0.1:99999", "--service: \"10.0.0.1:99999\": expected an address and a port" },
		{ "web:80=localhost:80", "--service: \"localhost:80\": expected an address and a port" },
		{ "web:80=::1:80", "--service: \"::1:80\": expected an address and a port" },
		{ "web:80=0.0.0.0:80", "--service: \"0.0.0.0:80\": expected an address that can be dialed" },
		{ "web:80=[ff02::1]:80", "--service: \"[ff02::1]:80\": expected an address that can be dialed" },
		{ "web:0=10.0.0.1:80", "expected a port from 1 to 65535 before the '='" },
		{ "web:65536=10.0.0.1:80", "expected a port from 1 to 65535 before the '='" },
		{ "web:080=10.0.0.1:80", "expected a port from 1 to 65535 before the '='" },
		{ "web:http=10.0.0.1:80", "expected a port from 1 to 65535 before the '='" },
		{ "web:80:81=10.0.0.1:80", "expected a port from 1 to 65535 before the '='" },
		{ ":80=10.0.0.1:80", "expected a name of up to 63 lower-case letters" },
		{ "Web:80=10.0.0.1:80", "expected a name of up to 63 lower-case letters" },
		{ "-web:80=10.0.0.1:80", "expected a name of up to 63 lower-case letters" },
		{ "web.:80=10.0.0.1:80", "expected NAME or NAME.NAMESPACE" },
		{ "web.shop.svc:80=10.0.0.1:80", "expected NAME or NAME.NAMESPACE" },
		{ "web:80=10.0.0.1:80,10.0.0.1:80", "--service: \"10.0.0.1:80\": duplicate endpoint" },
		{ "web:80=10.0.0.1:80;web:80=10.0.0.2:80", "--service: duplicate port: web:80 is there twice" },
		{ "web:80=10.0.0.1:80;api", "--service: \"api\": expected NAME:PORT=" },
	};
	struct model *model = new_model();
	struct report report;

	(void)state;
	assert_int_equal(source_load_inline(model, "--service", "kept:80=10.0.0.9:80", &report), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&report, 0, sizeof(report));
		assert_int_equal(source_load_inline(model, "--service", bad[i].text, &report), -EINVAL);
		if (!strstr(report.text, bad[i].expected))
			fail_msg("%s:\n  expected %s\n  got      %s", bad[i].text, bad[i].expected, report.text);
		assert_spec(model, "kept bare ~v4\n  80/TCP 10.0.0.9:80*\n");
	}
	model_free(model);
}

static void a_long_line_is_shown_in_part(void **state)
{
	struct model *model = new_model();
	struct report report;
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(source_load_inline(model, "--service", text, &report), -EINVAL);
	assert_non_null(strstr(report.text, "expected NAME:PORT="));
	model_free(model);
}

static void inline_services_stand_beside_those_of_a_file(void **state)
{
	static const char file[] = "{\"services\": [{\"name\": \"db\", \"addresses\": [\"10.96.0.1\"], "
				   "\"ports\": [{\"port\": 3306}], \"endpoints\": [\"10.0.0.1:3306\"]}]}";
	struct model *model = new_model();
	struct report report;

	(void)state;
	assert_int_equal(source_load_text(model, "f", file, strlen(file), &report), 0);
	assert_int_equal(source_load_inline(model, "--service", "db:80=10.0.0.2:80", &report), -EEXIST);
	assert_non_null(strstr(report.text, "--service"));
	assert_int_equal(source_load_inline(model, "--service", "web:80=10.0.0.9:80", &report), 0);
	assert_spec(model, "db bare own 10.96.0.1\n  3306/TCP 10.0.0.1:3306*\nweb bare ~v4\n  80/TCP 10.0.0.9:80*\n");
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_service_is_one_clause),
		cmocka_unit_test(clauses_are_separated_by_semicolons),
		cmocka_unit_test(spaces_and_empty_clauses_do_not_matter),
		cmocka_unit_test(clauses_of_one_service_add_ports),
		cmocka_unit_test(services_of_one_name_in_two_namespaces_are_two),
		cmocka_unit_test(ipv6_is_written_in_brackets),
		cmocka_unit_test(one_address_may_serve_on_many_ports),
		cmocka_unit_test(what_makes_no_sense_is_refused_and_named),
		cmocka_unit_test(a_long_line_is_shown_in_part),
		cmocka_unit_test(inline_services_stand_beside_those_of_a_file),
	};

	return RUN_TESTS(tests);
}
