/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of a shimmed program: what each variable means, and what is too long or unknown. */
#include "support/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/trace.h"
#include "shim/settings.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

static const char *const variables[] = { "FAIRDIAL",	      "FAIRDIAL_ONLY",	  "FAIRDIAL_EXCEPT", "FAIRDIAL_DIR",
					 "FAIRDIAL_LEDGER",   "FAIRDIAL_BALANCE", "FAIRDIAL_TRACE",  "LD_PRELOAD",
					 "FAIRDIAL_SERVICES", "FAIRDIAL_WAIT",	  "FAIRDIAL_AUTOSTART",
					 "KUBERNETES_SERVICE_HOST" };

/* Of an environment that has just this variable (NULL: none); read over old bytes. */
static struct settings *read_with(const char *name, const char *value)
{
	static struct settings s;

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	if (name)
		setenv(name, value, 1);
	memset(&s, 0xaa, sizeof(s));
	settings_read(&s);
	return &s;
}

static bool allows(const struct settings *s, const char *name, const char *namespace)
{
	return settings_allow(s, slice_of(name), slice_of(namespace));
}

static const char *long_text(const char *start, size_t len)
{
	char *text = format("%s%*s", start, (int)(len - strlen(start)), "");

	for (size_t i = strlen(start); i < len; i++)
		text[i] = 'x';
	return text;
}

static void without_variables_all_is_as_the_table_says(void **state)
{
	struct settings *s = read_with(NULL, NULL);

	(void)state;
	assert_int_equal(s->mode, MODE_ON);
	assert_int_equal(s->balance, -1);
	assert_int_equal(s->trace, 0);
	assert_false(s->has_dir);
	assert_false(s->autostart);
	assert_int_equal(s->wait_ms, 0);
	assert_string_equal(s->ledger, "");
	assert_false(settings_choose(s));
	assert_true(allows(s, "web", "shop"));
	assert_true(allows(s, "web", ""));
}

static void fairdial_switches_off_or_observes(void **state)
{
	static const struct {
		const char *value;
		int mode;
	} known[] = {
		{ "off", MODE_OFF }, { "Off", MODE_OFF }, { " OFF\t", MODE_OFF }, { "0", MODE_OFF }, { "no", MODE_OFF },
		{ "False", MODE_OFF }, { "observe", MODE_OBSERVE }, { " observe", MODE_OBSERVE }, { "OBSERVE", MODE_OBSERVE },
		{ "on", MODE_ON }, { "On ", MODE_ON }, { "1", MODE_ON }, { "true", MODE_ON }, { "YES", MODE_ON },
		{ "", MODE_ON }, { " ", MODE_ON },
		/* A mistyped switch must not do more than was meant. */
		{ "of", MODE_OFF }, { "observed", MODE_OFF }, { "2", MODE_OFF }, { "o n", MODE_OFF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(read_with("FAIRDIAL", known[i].value)->mode, known[i].mode);
}

static void each_policy_is_known_by_its_name(void **state)
{
	static const char *const names[BALANCE_COUNT] = { "least_conn", "round_robin", "random", "p2c", "hash" };

	(void)state;
	for (int i = 0; i < BALANCE_COUNT; i++)
		assert_int_equal(read_with("FAIRDIAL_BALANCE", names[i])->balance, i);
	assert_int_equal(read_with("FAIRDIAL_BALANCE", "")->balance, -1);
	assert_int_equal(read_with("FAIRDIAL_BALANCE", "fastest")->balance, -1);
	assert_int_equal(read_with("FAIRDIAL_BALANCE", "round_robin ")->balance, -1);
	assert_int_equal(read_with("FAIRDIAL_BALANCE", "round")->balance, -1);
}

static void paths_are_copied(void **state)
{
	struct settings *s = read_with("FAIRDIAL_DIR", "/run/here");

	(void)state;
	assert_true(s->has_dir);
	setenv("FAIRDIAL_DIR", "/else", 1); /* the program may change its environment under us */
	assert_string_equal(s->dir, "/run/here");
	assert_string_equal(read_with("FAIRDIAL_LEDGER", "/run/ledger")->ledger, "/run/ledger");
	assert_false(read_with("FAIRDIAL_DIR", "")->has_dir);
}

static void half_a_path_is_none(void **state)
{
	struct settings *s;

	(void)state;
	s = read_with("FAIRDIAL_DIR", long_text("/run/", SETTINGS_PATH - 1));
	assert_int_equal(strlen(s->dir), SETTINGS_PATH - 1);
	for (size_t len = SETTINGS_PATH; len < 5000; len = len * 3 / 2) {
		s = read_with("FAIRDIAL_DIR", long_text("/run/", len));
		assert_string_equal(s->dir, "");
		assert_true(s->has_dir); /* and no other directory takes its place */
		assert_string_equal(read_with("FAIRDIAL_LEDGER", long_text("/run/", len))->ledger, "");
		assert_int_equal(read_with("FAIRDIAL_TRACE", long_text("all:/tmp/", len + 4))->trace, 0);
	}
}

static void go_back(void *unused)
{
	(void)unused;
	assert_int_equal(chdir("/"), 0);
}

static void relative_paths_are_seen_from_where_the_program_was_started(void **state)
{
	const char *dir = scratch_dir();
	char path[SETTINGS_PATH];

	(void)state;
	after_test(go_back, NULL);
	assert_int_equal(chdir(dir), 0);
	assert_string_equal(read_with("FAIRDIAL_DIR", "run/here")->dir, format("%s/run/here", dir));
	snprintf(path, sizeof(path), "%0*d", SETTINGS_PATH - 2, 0);
	settings_make_absolute(path);
	assert_string_equal(path, ""); /* half a path is none */
}

static void where_the_directory_is_gone_a_relative_path_leads_nowhere(void **state)
{
	const char *gone = format("%s/gone", scratch_dir()), *trace = "dial:trace";

	(void)state;
	after_test(go_back, NULL);
	assert_int_equal(mkdir(gone, 0755), 0);
	assert_int_equal(chdir(gone), 0);
	assert_int_equal(rmdir(gone), 0);
	assert_string_equal(read_with("FAIRDIAL_DIR", "run")->dir, "");
	assert_true(read_with("FAIRDIAL_DIR", "run")->has_dir);
	assert_int_equal(read_with("FAIRDIAL_TRACE", trace)->trace, 0); /* nor to the standard error */
	assert_string_equal(read_with("FAIRDIAL_DIR", "/run")->dir, "/run");
}

static void the_trace_has_parts_and_a_path(void **state)
{
	struct settings *s = read_with("FAIRDIAL_TRACE", "dial,names:/tmp/trace");

	(void)state;
	assert_int_equal(s->trace, TRACE_DIAL | TRACE_NAMES);
	assert_string_equal(s->trace_path, "/tmp/trace");
	s = read_with("FAIRDIAL_TRACE", "all");
	assert_int_equal(s->trace, TRACE_ALL);
	assert_string_equal(s->trace_path, "");
}

static void agent_is_started_only_where_it_is_asked_for_and_can_follow_something(void **state)
{
	static const char *const sources[] = { "KUBERNETES_SERVICE_HOST", "FAIRDIAL_SERVICES" };
	static const struct {
		const char *value;
		bool is_yes;
	} words[] = { { "1", true }, { "true", true }, { "Yes", true }, { " on", true }, { "0", false }, { "off", false },
		      { "", false }, { "2", false } };
	struct settings s;

	(void)state;
	assert_false(read_with("FAIRDIAL_AUTOSTART", "1")->autostart);
	for (size_t i = 0; i < 2; i++) {
		assert_false(read_with(sources[i], "10.96.0.1")->autostart);
		setenv("FAIRDIAL_AUTOSTART", "1", 1);
		settings_read(&s);
		assert_true(s.autostart);
		setenv(sources[i], "", 1);
		settings_read(&s);
		assert_false(s.autostart);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		read_with("FAIRDIAL_SERVICES", "web:80=10.0.0.1:80");
		setenv("FAIRDIAL_AUTOSTART", words[i].value, 1);
		settings_read(&s);
		assert_int_equal(s.autostart, words[i].is_yes);
	}
}

/* Nobody would come. */
static void where_no_agent_can_be_started_nobody_is_waited_for(void **state)
{
	struct settings s;

	(void)state;
	read_with("FAIRDIAL_AUTOSTART", "1");
	setenv("FAIRDIAL_WAIT", "2s", 1);
	settings_read(&s);
	assert_false(s.autostart);
	assert_int_equal(s.wait_ms, 0);
	setenv("FAIRDIAL_AUTOSTART", "0", 1); /* somebody else starts it */
	settings_read(&s);
	assert_int_equal(s.wait_ms, 2000);
	setenv("FAIRDIAL_AUTOSTART", "1", 1);
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	settings_read(&s);
	assert_true(s.autostart);
	assert_int_equal(s.wait_ms, 2000);
}

/* What the trace says of an environment with just this variable. */
static char *traced(const char *name, const char *value)
{
	char *path = format("%s/trace", scratch_dir());
	struct settings s;

	read_with(name, value);
	setenv("FAIRDIAL_TRACE", format("dial:%s", path), 1);
	settings_read(&s);
	unsetenv("FAIRDIAL_TRACE");
	return access(path, F_OK) == 0 ? read_file(path, NULL) : format("%s", "");
}

static void the_trace_tells_each_value_that_is_not_understood(void **state)
{
	static const char *const bad[][3] = {
		{ "FAIRDIAL", "of", "FAIRDIAL=of is not understood, and taken as off: expected on, observe or off\n" },
		{ "FAIRDIAL", "\033[31m", "FAIRDIAL=?[31m is not understood" },
		{ "FAIRDIAL_BALANCE", "fastest", "FAIRDIAL_BALANCE=fastest is not understood, and passed over: expected " },
		{ "FAIRDIAL_WAIT", "2", "FAIRDIAL_WAIT=2 is not understood, and nobody waits: expected a duration such as 2s" },
		{ "FAIRDIAL_AUTOSTART", "2", "FAIRDIAL_AUTOSTART=2 is not understood, and no agent is started: expected 1" },
		{ "FAIRDIAL_AUTOSTART", "1", "neither KUBERNETES_SERVICE_HOST nor FAIRDIAL_SERVICES is set\n" },
	};
	static const char *const good[][2] = {
		{ "FAIRDIAL", "Off" }, { "FAIRDIAL", "" }, { "FAIRDIAL_WAIT", "2s" }, { "FAIRDIAL_WAIT", "" },
		{ "FAIRDIAL_BALANCE", "" }, { "FAIRDIAL_AUTOSTART", "0" }, { "FAIRDIAL_AUTOSTART", "no" },
		{ "FAIRDIAL_AUTOSTART", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *trace = traced(bad[i][0], bad[i][1]);

		assert_non_null(strstr(trace, bad[i][2]));
		assert_int_equal(lines_of(trace), 1);
		assert_null(strchr(trace, '\033'));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(traced(good[i][0], good[i][1]), "");
	assert_int_equal(lines_of(traced("FAIRDIAL", long_text("x", 5000))), 1);
}

static void wait_is_a_duration_of_a_minute_at_most(void **state)
{
	static const struct {
		const char *value;
		uint32_t ms;
	} known[] = { { "500ms", 500 }, { "2s", 2000 }, { "1m", 60000 }, { "0", 0 },   { "61s", 60000 },
		      { "24h", 60000 }, { "", 0 },	{ "2", 0 },	  { "soon", 0 }, { "-1s", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(read_with("FAIRDIAL_WAIT", known[i].value)->wait_ms, known[i].ms);
}

static void only_names_all_that_is_spread(void **state)
{
	struct settings *s = read_with("FAIRDIAL_ONLY", "web,db.shop, Cache.Blog ,,");

	(void)state;
	assert_true(settings_choose(s));
	assert_true(allows(s, "web", "shop"));
	assert_true(allows(s, "web", "blog"));
	assert_true(allows(s, "WEB", ""));
	assert_true(allows(s, "db", "shop"));
	assert_false(allows(s, "db", "blog"));
	assert_false(allows(s, "db", ""));
	assert_true(allows(s, "cache", "blog"));
	assert_false(allows(s, "cache", "shop"));
	assert_false(allows(s, "other", "shop"));
	assert_false(allows(s, "we", "shop"));
	assert_false(allows(s, "webs", "shop"));
	assert_false(allows(s, "", ""));
}

static void except_names_what_is_not(void **state)
{
	struct settings *s = read_with("FAIRDIAL_EXCEPT", " db.shop,cache");

	(void)state;
	assert_true(settings_choose(s));
	assert_false(allows(s, "db", "shop"));
	assert_true(allows(s, "db", "blog"));
	assert_false(allows(s, "CACHE", "anywhere"));
	assert_true(allows(s, "web", "shop"));
	setenv("FAIRDIAL_ONLY", "db,web", 1);
	settings_read(s);
	assert_false(allows(s, "db", "shop")); /* both: of those named, without the exceptions */
	assert_true(allows(s, "db", "blog"));
	assert_true(allows(s, "web", "shop"));
	assert_false(allows(s, "other", "shop"));
}

static void an_empty_list_is_none(void **state)
{
	(void)state;
	assert_true(allows(read_with("FAIRDIAL_ONLY", ""), "web", "shop"));
	assert_true(allows(read_with("FAIRDIAL_EXCEPT", ""), "web", "shop"));
	assert_true(allows(read_with("FAIRDIAL_EXCEPT", ",, ,"), "web", "shop"));
}

static void a_list_too_long_to_keep_spreads_nothing(void **state)
{
	static const char *const lists[] = { "FAIRDIAL_ONLY", "FAIRDIAL_EXCEPT" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read_with(lists[i], long_text("web,", SETTINGS_LIST - 1))->mode, MODE_ON);
		for (size_t len = SETTINGS_LIST; len < 20000; len = len * 3 / 2) {
			const struct settings *s = read_with(lists[i], long_text("web,", len));

			assert_int_equal(s->mode, MODE_OFF);
			assert_true(memchr(s->only, '\0', sizeof(s->only)) &&
				    memchr(s->except, '\0', sizeof(s->except)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_variables_all_is_as_the_table_says),
		TEST(fairdial_switches_off_or_observes),
		TEST(each_policy_is_known_by_its_name),
		TEST(paths_are_copied),
		TEST(half_a_path_is_none),
		TEST(relative_paths_are_seen_from_where_the_program_was_started),
		TEST(where_the_directory_is_gone_a_relative_path_leads_nowhere),
		TEST(the_trace_has_parts_and_a_path),
		TEST(agent_is_started_only_where_it_is_asked_for_and_can_follow_something),
		TEST(where_no_agent_can_be_started_nobody_is_waited_for),
		TEST(the_trace_tells_each_value_that_is_not_understood),
		TEST(wait_is_a_duration_of_a_minute_at_most),
		TEST(only_names_all_that_is_spread),
		TEST(except_names_what_is_not),
		TEST(an_empty_list_is_none),
		TEST(a_list_too_long_to_keep_spreads_nothing),
	};

	return RUN_TESTS(tests);
}
