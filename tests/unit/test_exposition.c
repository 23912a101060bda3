/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats, byte by byte; which of them a request gets; and that nobody's name can break the answer. */
#include "support/testing.h"

#include <stdbool.h>

#include "metrics/exposition.h"
#include "metrics/histogram.h"
#include "support/cleanup.h"
#include "support/process.h"

static const struct metric dials = { "test_dials_total", METRIC_COUNTER, NULL, "service",
				     "Dials of \"it\", back\\slash\nand line" };
static const struct metric age = { "test_age_seconds", METRIC_GAUGE, "seconds", NULL, "Age" };
static const struct metric build = { "test_build_info", METRIC_INFO, NULL, "version", "Build" };
static const struct metric delay = { "test_delay_seconds", METRIC_HISTOGRAM, "seconds", NULL, "Delay" };

static const char *text_of(struct exposition *e)
{
	const char *text;

	assert_true(exposition_end(e));
	text = format("%.*s", (int)e->len, e->at);
	free(e->at);
	return text;
}

static const char *sample_of(const char *value)
{
	struct exposition e;

	exposition_begin(&e, EXPOSITION_TEXT);
	exposition_family(&e, &age);
	e.len = 0;
	exposition_count(&e, &(struct label){ "x", value }, 1, 1);
	return text_of(&e);
}

static void write_all(struct exposition *e, enum exposition_format format)
{
	exposition_begin(e, format);
	exposition_family(e, &build);
	exposition_count(e, &(struct label){ "version", "1.2" }, 1, 1);
	exposition_family(e, &dials);
	exposition_count(e, (struct label[]){ { "namespace", "shop" }, { "service", "a\"b\\c\nd" } }, 2, UINT64_MAX);
	exposition_count(e, NULL, 0, 0);
	exposition_family(e, &age);
	exposition_number(e, NULL, 0, 0.25);
}

static void plain_text_is_that_of_version_0_0_4(void **state)
{
	struct exposition e;

	(void)state;
	write_all(&e, EXPOSITION_TEXT);
	assert_string_equal(text_of(&e), "# HELP test_build_info Build\n"
					 "# TYPE test_build_info gauge\n"
					 "test_build_info{version=\"1.2\"} 1\n"
					 "# HELP test_dials_total Dials of \"it\", back\\\\slash\\nand line\n"
					 "# TYPE test_dials_total counter\n"
					 "test_dials_total{namespace=\"shop\",service=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n"
					 "test_dials_total 0\n"
					 "# HELP test_age_seconds Age\n"
					 "# TYPE test_age_seconds gauge\n"
					 "test_age_seconds 0.25\n");
	assert_string_equal(exposition_content_type(EXPOSITION_TEXT), "text/plain; version=0.0.4; charset=utf-8");
}

static void open_metrics_names_families_without_their_endings_and_has_units_and_an_end(void **state)
{
	struct exposition e;

	(void)state;
	write_all(&e, EXPOSITION_OPENMETRICS);
	assert_string_equal(text_of(&e), "# HELP test_build Build\n"
					 "# TYPE test_build info\n"
					 "test_build_info{version=\"1.2\"} 1\n"
					 "# HELP test_dials Dials of \\\"it\\\", back\\\\slash\\nand line\n"
					 "# TYPE test_dials counter\n"
					 "test_dials_total{namespace=\"shop\",service=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n"
					 "test_dials_total 0\n"
					 "# HELP test_age_seconds Age\n"
					 "# TYPE test_age_seconds gauge\n"
					 "# UNIT test_age_seconds seconds\n"
					 "test_age_seconds 0.25\n"
					 "# EOF\n");
	assert_string_equal(exposition_content_type(EXPOSITION_OPENMETRICS),
			    "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

static void histogram_counts_what_is_at_a_bound_below_it_and_sums_up(void **state)
{
	struct histogram h = { 0 };
	struct exposition e;

	(void)state;
	histogram_add(&h, 0);
	histogram_add(&h, 1);
	histogram_add(&h, 2);
	histogram_add(&h, 60000);
	histogram_add(&h, 60001);
	exposition_begin(&e, EXPOSITION_TEXT);
	exposition_family(&e, &delay);
	exposition_histogram(&e, &h);
	assert_string_equal(text_of(&e), "# HELP test_delay_seconds Delay\n"
					 "# TYPE test_delay_seconds histogram\n"
					 "test_delay_seconds_bucket{le=\"0.001\"} 2\n"
					 "test_delay_seconds_bucket{le=\"0.005\"} 3\n"
					 "test_delay_seconds_bucket{le=\"0.01\"} 3\n"
					 "test_delay_seconds_bucket{le=\"0.05\"} 3\n"
					 "test_delay_seconds_bucket{le=\"0.1\"} 3\n"
					 "test_delay_seconds_bucket{le=\"0.5\"} 3\n"
					 "test_delay_seconds_bucket{le=\"1.0\"} 3\n"
					 "test_delay_seconds_bucket{le=\"5.0\"} 3\n"
					 "test_delay_seconds_bucket{le=\"10.0\"} 3\n"
					 "test_delay_seconds_bucket{le=\"60.0\"} 4\n"
					 "test_delay_seconds_bucket{le=\"+Inf\"} 5\n"
					 "test_delay_seconds_sum 120.004\n"
					 "test_delay_seconds_count 5\n");
}

static void written_bounds_are_those_that_are_compared(void **state)
{
	(void)state;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
		assert_true((uint64_t)(strtod(histogram_bounds[i], NULL) * 1000 + 0.5) == histogram_bounds_ms[i]);
}

/* RFC 3629: what is too long, a surrogate, too large, cut short, or begins in the middle is none. */
static void label_keeps_utf8_and_loses_what_is_none_or_what_a_terminal_obeys(void **state)
{
	static const struct {
		const char *value, *written;
	} cases[] = {
		{ "", "" },
		{ "web", "web" },
		{ "tab\there", "tab?here" },
		{ "two\nlines", "two\\nlines" },
		{ "\033[31mred\177", "?[31mred?" },
		{ "\xc2\x9b" "2J\xe2\x80\xae", "?2J?" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff", "?" },
		{ "\x80x", "?x" },
		{ "\xc3", "?" },
		{ "\xc3\"", "?\\\"" },
		{ "\xc0\xaf", "??" },
		{ "\xe0\x80\xaf", "???" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf0\x80\x80\x80", "????" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xe2\x82", "??" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(sample_of(cases[i].value), format("test_age_seconds{x=\"%s\"} 1\n", cases[i].written));
}

static void answer_of_many_samples_is_whole(void **state)
{
	struct exposition e;
	const char *at;
	char *text;

	(void)state;
	exposition_begin(&e, EXPOSITION_TEXT);
	exposition_family(&e, &age);
	e.len = 0;
	for (unsigned i = 0; i < 20000; i++)
		exposition_count(&e, NULL, 0, i);
	assert_true(exposition_end(&e));
	text = strndup(e.at, e.len);
	free(e.at);
	assert_non_null(text);
	at = text;
	for (unsigned i = 0; i < 20000; i++) {
		char line[64];
		size_t n = (size_t)snprintf(line, sizeof(line), "test_age_seconds %u\n", i);

		assert_memory_equal(at, line, n);
		at += n;
	}
	assert_string_equal(at, "");
	free(text);
}

static void open_metrics_is_for_those_who_want_it_as_much(void **state)
{
	static const struct {
		const char *accept;
		bool is_open;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "text/html,application/xhtml+xml,*/*;q=0.8", false },
		{ "application/openmetrics-text", true },
		{ "application/openmetrics-text; version=1.0.0; charset=utf-8", true },
		{ "APPLICATION/OpenMetrics-Text", true },
		/* of Prometheus 2.42, and of 2.49 */
		{ "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
		  "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", true },
		{ "application/openmetrics-text;version=0.0.1", false },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text;q=0.3,text/plain;q=0.9", false },
		{ "text/plain;q=0.25 , application/openmetrics-text ; q=0.255", true },
		{ "text/*;q=0.5,application/openmetrics-text;q=0.4", false },
		{ ";;;,,,=q;q=,application/openmetrics-text;q=x", true },
		{ ",", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if ((exposition_accepts(cases[i].accept) == EXPOSITION_OPENMETRICS) != cases[i].is_open)
			fail_msg("\"%s\" gets the wrong format", cases[i].accept ? cases[i].accept : "(none)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_text_is_that_of_version_0_0_4),
		TEST(open_metrics_names_families_without_their_endings_and_has_units_and_an_end),
		TEST(histogram_counts_what_is_at_a_bound_below_it_and_sums_up),
		TEST(written_bounds_are_those_that_are_compared),
		TEST(label_keeps_utf8_and_loses_what_is_none_or_what_a_terminal_obeys),
		TEST(answer_of_many_samples_is_whole),
		TEST(open_metrics_is_for_those_who_want_it_as_much),
	};

	return RUN_TESTS(tests);
}
