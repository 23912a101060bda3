/* SPDX-License-Identifier: Apache-2.0 */
/* Services files: what is taken, what is refused and in which words; and where texts come from. */
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "model/policy.h"
#include "services/json_lines.h"
#include "services/source.h"
#include "support/models.h"

static char *data_path(const char *folder, const char *name)
{
	static char path[4096];
	const char *root = getenv("FAIRDIAL_TEST_ROOT");

	snprintf(path, sizeof(path), "%s/tests/data/%s/%s", root ? root : ".", folder, name);
	return path;
}

/* The caller frees it. */
static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 16);
	FILE *file = fopen(path, "r");

	if (!file)
		fail_msg("cannot open %s", path);
	assert_true(fread(text, 1, (1 << 16) - 1, file) < (1 << 16) - 1);
	fclose(file);
	return text;
}

static int load(struct model *model, const char *text, struct report *report)
{
	memset(report, 0, sizeof(*report));
	return source_load_text(model, "x.json", text, strlen(text), report);
}

static void load_good(struct model *model, const char *text)
{
	struct report report;

	if (load(model, text, &report) < 0)
		fail_msg("%s", report.text);
}

static const char sample[] = "{\"mode\": \"observe\", \"services\": [{\"name\": \"kept\", \"ports\": [{\"port\": 80}],"
			     " \"endpoints\": [\"10.0.0.9:80\"]}]}";
static const char sample_spec[] = "kept bare ~v4\n  80/TCP 10.0.0.9:80*\n";

/* ---- files of the format ---- */

static void check_bad(struct model *model, const char *name, const char *expected)
{
	struct report report = { "" };
	int err = source_load_file(model, data_path("bad-services", name), &report);

	if (err != -EINVAL)
		fail_msg("%s: returned %d (%s)", name, err, report.text);
	if (!strstr(report.text, expected))
		fail_msg("%s:\n  expected %s\n  got      %s", name, expected, report.text);
	assert_null(strchr(report.text, '\n'));
	assert_int_equal(resolve(model)->mode, MODE_OBSERVE);
	assert_spec(model, sample_spec);
}

static size_t count_files(const char *folder, const char *end)
{
	DIR *dir = opendir(data_path(folder, ""));
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += strlen(entry->d_name) > strlen(end) &&
		     strcmp(entry->d_name + strlen(entry->d_name) - strlen(end), end) == 0;
	closedir(dir);
	return n;
}

static void every_bad_file_is_refused_with_line_and_key(void **state)
{
	char *table = read_text(data_path("bad-services", "expected.txt")), *rest = table, *line;
	struct model *model = new_model();
	size_t n = 0;

	(void)state;
	load_good(model, sample);
	while ((line = strsep(&rest, "\n"))) {
		char *name = strsep(&line, "\t");

		if (!name[0] || name[0] == '#')
			continue;
		assert_non_null(line);
		check_bad(model, name, line);
		n++;
	}
	assert_true(n >= 60);
	assert_int_equal(n, count_files("bad-services", ".json"));
	model_free(model);
	free(table);
}

static void check_good(const char *name)
{
	struct model *model = new_model();
	struct report report = { "" };
	char file[128], *expected;

	snprintf(file, sizeof(file), "%.*s.txt", (int)strlen(name) - 5, name);
	expected = read_text(data_path("good-services", file));
	if (source_load_file(model, data_path("good-services", name), &report) < 0)
		fail_msg("%s: %s", name, report.text);
	assert_spec(model, expected);
	free(expected);
	model_free(model);
}

static void every_good_file_is_taken(void **state)
{
	DIR *dir = opendir(data_path("good-services", ""));
	struct dirent *entry;
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		check_good(entry->d_name);
		n++;
	}
	closedir(dir);
	assert_true(n >= 5);
}

static void assert_policy(const struct table_policy *policy, const char *name, const char *text,
			  enum policy_origin origin)
{
	const struct policy_key *key = policy_find(name, strlen(name));
	char buf[POLICY_TEXT];

	assert_string_equal(policy_print(policy, key, buf), text);
	assert_int_equal(policy_origin_of(policy, key), origin);
}

static void policy_keys_are_taken_from_service_and_defaults(void **state)
{
	struct model *model = new_model();
	const struct table_policy *policy;

	(void)state;
	load_good(model,
		  "{\"defaults\": {\"balance\": \"p2c\", \"attempts\": 5, \"keepalive\": 0, \"max_age\": \"1h\"},"
		  "\"services\": [{\"name\": \"web\", \"ports\": [{\"port\": 80}], \"endpoints\": [],"
		  "\"attempts\": 9, \"drain\": \"deadline:30s\", \"slow_start\": \"30s\"}]}");
	policy = &resolve(model)->services[0].policy;
	assert_policy(policy, "balance", "p2c", ORIGIN_FILE);
	assert_policy(policy, "attempts", "9", ORIGIN_FILE);
	assert_policy(policy, "keepalive", "off", ORIGIN_FILE);
	assert_policy(policy, "max_age", "1h", ORIGIN_FILE);
	assert_policy(policy, "drain", "deadline:30s", ORIGIN_FILE);
	assert_policy(policy, "slow_start", "30s", ORIGIN_FILE);
	assert_policy(policy, "quiet", "10s", ORIGIN_DEFAULT);
	model_free(model);
}

static void the_mode_of_a_file_is_for_all_and_that_of_a_service_its_own(void **state)
{
	struct model *model = new_model();

	(void)state;
	load_good(model, "{\"mode\": \"off\", \"services\": [{\"name\": \"web\", \"mode\": \"observe\","
			 "\"ports\": [{\"port\": 80}], \"endpoints\": []}]}");
	assert_int_equal(resolve(model)->mode, MODE_OFF);
	assert_int_equal(resolve(model)->services[0].policy.mode, MODE_OBSERVE);
	load_good(model, "{\"services\": []}");
	assert_int_equal(resolve(model)->mode, MODE_ON);
	model_free(model);
}

static void the_zone_of_an_endpoint_is_kept(void **state)
{
	struct model *model = new_model();

	(void)state;
	load_good(model, "{\"services\": [{\"name\": \"web\", \"ports\": [{\"port\": 80}], \"endpoints\": ["
			 "{\"address\": \"10.0.0.1\", \"port\": 80, \"zone\": \"b\"}]}]}");
	assert_string_equal(resolve(model)->services[0].ports[0].endpoints[0].zone, "b");
	model_free(model);
}

static void ten_thousand_services_of_a_file_load_and_resolve(void **state)
{
	struct model *model = new_model();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct report report;
	const struct spec *spec;

	(void)state;
	fputs("{\"services\": [", out);
	for (unsigned i = 0; i < 10000; i++) {
		fprintf(out, "%s\n{\"name\": \"s%u\", \"ports\": [{\"port\": 80}], \"endpoints\": [", i ? "," : "", i);
		for (unsigned j = 0; j < 10; j++)
			fprintf(out, "%s\"10.%u.%u.%u:8080\"", j ? "," : "", j, i >> 8, i & 255);
		fputs("]}", out);
	}
	fputs("]}", out);
	fclose(out);
	assert_int_equal(source_load_text(model, "x.json", text, size, &report), 0);
	free(text);
	spec = resolve(model);
	assert_int_equal(spec->service_count, 10000);
	for (size_t i = 0; i < spec->service_count; i++) {
		assert_int_equal(spec->services[i].ports[0].endpoint_count, 10);
		assert_int_equal(spec->services[i].address_count, 1);
	}
	model_free(model);
}

/* ---- where texts come from ---- */

static void a_file_that_cannot_be_opened_is_named(void **state)
{
	struct model *model = new_model();
	struct report report;

	(void)state;
	assert_int_equal(source_load_file(model, "/nowhere/services.json", &report), -ENOENT);
	assert_string_equal(report.text, "cannot open /nowhere/services.json: No such file or directory");
	assert_int_equal(source_load_file(model, "/tmp", &report), -EISDIR);
	assert_string_equal(report.text, "cannot read /tmp: Is a directory");
	model_free(model);
}

static void a_text_that_is_too_large_is_refused(void **state)
{
	struct model *model = new_model();
	char path[] = "/tmp/fairdial-test-XXXXXX";
	int fd = mkstemp(path);
	struct report report;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (64 << 20) + 1), 0);
	close(fd);
	assert_int_equal(source_load_file(model, path, &report), -EFBIG);
	assert_non_null(strstr(report.text, "larger than 64 MiB"));
	assert_int_equal(source_load_text(model, "x", "", (64 << 20) + 1, &report), -EFBIG);
	unlink(path);
	model_free(model);
}

static void a_dash_is_standard_input(void **state)
{
	struct model *model = new_model();
	struct report report;
	int saved = dup(STDIN_FILENO), ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], sample, strlen(sample)), strlen(sample));
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(source_load_file(model, "-", &report), 0);
	assert_spec(model, sample_spec);
	assert_int_equal(source_load_file(model, "-", &report), -EINVAL); /* at its end */
	assert_non_null(strstr(report.text, "standard input is empty: expected a services file"));
	if (saved >= 0) {
		dup2(saved, STDIN_FILENO);
		close(saved);
	}
	model_free(model);
}

static void any_text_is_a_file_where_it_looks_like_one(void **state)
{
	struct model *model = new_model();
	struct report report;

	(void)state;
	assert_int_equal(source_load_any(model, "env", data_path("good-services", "empty.json"), &report), 0);
	assert_int_equal(source_load_any(model, "env", "./nowhere", &report), -ENOENT);
	assert_int_equal(source_load_any(model, "env", "web:80=10.0.0.1:80", &report), 0);
	assert_spec(model, "web bare ~v4\n  80/TCP 10.0.0.1:80*\n");
	assert_int_equal(source_load_any(model, "env", "nowhere", &report), -EINVAL);
	assert_non_null(strstr(report.text, "env: \"nowhere\": expected NAME:PORT"));
	model_free(model);
}

/* ---- lines ---- */

static const char lines_text[] = "{ \"a\": 1,\n"
				 "  \"b\": [ true,\n"
				 "         { \"c\": \"x\\\"}]\\\\\",\n"
				 "           \"d\":\n"
				 "             [] , \"\\u0065\": -1.5e3 },\n"
				 "         null\n"
				 "  ], \"f\" : {}}\n";

static size_t line_of(const char *first, long index, const char *last)
{
	struct json_path one = { NULL, first, 0 }, two = { &one, NULL, (size_t)index }, three = { &two, last, 0 };

	return json_lines_find(lines_text, strlen(lines_text), last ? &three : index >= 0 ? &two : &one);
}

static void a_path_leads_to_its_line(void **state)
{
	(void)state;
	assert_int_equal(json_lines_find(lines_text, strlen(lines_text), NULL), 1);
	assert_int_equal(line_of("a", -1, NULL), 1);
	assert_int_equal(line_of("b", -1, NULL), 2);
	assert_int_equal(line_of("b", 0, NULL), 2);
	assert_int_equal(line_of("b", 1, NULL), 3);
	assert_int_equal(line_of("b", 2, NULL), 6);
	assert_int_equal(line_of("b", 1, "c"), 3);
	assert_int_equal(line_of("b", 1, "d"), 4);
	assert_int_equal(line_of("b", 1, "e"), 5);
	assert_int_equal(line_of("f", -1, NULL), 7);
}

static void a_path_that_leads_nowhere_ends_at_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(line_of("z", -1, NULL), 1);
	assert_int_equal(line_of("b", 7, NULL), 2);
	assert_int_equal(line_of("b", 1, "z"), 3);
	assert_int_equal(line_of("a", 1, "z"), 1);
}

static void paths_print_as_people_write_them(void **state)
{
	struct json_path a = { NULL, "services", 0 }, b = { &a, NULL, 12 }, c = { &b, "a b", 0 }, d = { &c, "port", 0 };
	char buf[64];

	(void)state;
	assert_string_equal(json_path_print(NULL, buf, sizeof(buf)), "");
	assert_string_equal(json_path_print(&d, buf, sizeof(buf)), "services[12][\"a b\"].port");
	assert_string_equal(json_path_print(&d, buf, 10), "services[");
}

/* Whatever the text, a scan of it ends. */
static void a_scan_of_any_text_ends(void **state)
{
	struct json_path a = { NULL, "b", 0 }, b = { &a, NULL, 1 }, c = { &b, "e", 0 };

	(void)state;
	for (size_t len = 0; len < strlen(lines_text); len++) {
		char *copy = malloc(len ? len : 1);

		memcpy(copy, lines_text, len);
		assert_in_range(json_lines_find(copy, len, &c), 1, 7);
		for (size_t i = 0; i < len; i++) {
			copy[i] = "{}[]\",:\\"[i % 8];
			assert_in_range(json_lines_find(copy, len, &c), 1, 7);
		}
		free(copy);
	}
}

/* A services file cut anywhere is refused, and leaves the model. */
static void a_text_cut_anywhere_is_refused(void **state)
{
	struct model *model = new_model();
	struct report report;

	(void)state;
	load_good(model, sample);
	for (size_t len = 0; len < strlen(sample); len++) {
		assert_int_equal(source_load_text(model, "x", sample, len, &report), -EINVAL);
		assert_spec(model, sample_spec);
	}
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bad_file_is_refused_with_line_and_key),
		cmocka_unit_test(every_good_file_is_taken),
		cmocka_unit_test(policy_keys_are_taken_from_service_and_defaults),
		cmocka_unit_test(the_mode_of_a_file_is_for_all_and_that_of_a_service_its_own),
		cmocka_unit_test(the_zone_of_an_endpoint_is_kept),
		cmocka_unit_test(ten_thousand_services_of_a_file_load_and_resolve),
		cmocka_unit_test(a_file_that_cannot_be_opened_is_named),
		cmocka_unit_test(a_text_that_is_too_large_is_refused),
		cmocka_unit_test(a_dash_is_standard_input),
		cmocka_unit_test(any_text_is_a_file_where_it_looks_like_one),
		cmocka_unit_test(a_path_leads_to_its_line),
		cmocka_unit_test(a_path_that_leads_nowhere_ends_at_what_there_is),
		cmocka_unit_test(paths_print_as_people_write_them),
		cmocka_unit_test(a_scan_of_any_text_ends),
		cmocka_unit_test(a_text_cut_anywhere_is_refused),
	};

	return RUN_TESTS(tests);
}
