/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `inject`: objects through a pipe, exit statuses, what goes to standard error, and what never goes to standard
 * output. */
#include "support/testing.h"

#include <jansson.h>
#include <signal.h>

#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

#define POD(name, spec) "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\"},\"spec\":" spec "}"
#define GOOD            POD("good", "{\"containers\":[{\"name\":\"c\"}]}")
#define BAD             POD("bad", "{\"containers\":[]}")

static struct process *inject(const char *input, const char *const *options)
{
	const char *argv[16] = { built("fairdial"), "inject" };
	struct process *p;

	for (size_t i = 0; options[i]; i++)
		argv[2 + i] = options[i];
	p = process_start(&(struct start){ .argv = argv, .input = input });
	process_wait(p, LIMIT_MS);
	return p;
}

static void needs_yaml(void)
{
	if (!strstr(run(NULL, built("fairdial"), "--version", NULL)->out_text, "libyaml"))
		skip_because("the tool is built without libyaml");
}

static void an_object_goes_in_and_out_through_pipes(void **state)
{
	size_t size, count = 0;

	(void)state;
	for (char **file = object_files(); *file; file++, count++) {
		struct process *p = run_shell(NULL, "%s inject < %s 2>/dev/null | %s inject --remove 2>/dev/null",
					      built("fairdial"), *file, built("fairdial"));
		char *text = read_file(*file, &size);

		assert_int_equal(p->exit_status, 0);
		assert_string_equal(p->out_text, strstr(text, "dev/inject\": \"false") ? text : stripped(text));
	}
	assert_true(count >= 20);
}

static void options_reach_the_containers(void **state)
{
	struct process *p =
		inject(GOOD, ARGV("--image", "r/f:1", "--image-pull-policy", "Always", "--existing-preload", "/lib/i.so",
				  "--mode", "observe"));
	json_t *agent, *env;

	(void)state;
	assert_clean(p);
	agent = value_at(p->out_text, "spec/initContainers/1");
	env = value_at(p->out_text, "spec/containers/0/env/0/value");
	assert_string_equal(json_string_value(json_object_get(agent, "image")), "r/f:1");
	assert_string_equal(json_string_value(json_object_get(agent, "imagePullPolicy")), "Always");
	assert_string_equal(json_string_value(env), "/lib/i.so:/opt/fairdial/libfairdial.so");
	assert_string_equal(json_string_value(value_at(p->out_text, "spec/initContainers/1/command/8")), "observe");
}

static void the_image_is_that_of_this_version(void **state)
{
	struct process *p = inject(GOOD, ARGV(NULL));

	(void)state;
	assert_clean(p);
	assert_string_equal(json_string_value(value_at(p->out_text, "spec/initContainers/0/image")),
			    "fairdial:" FAIRDIAL_VERSION);
}

static void several_objects_are_done_one_by_one(void **state)
{
	struct process *p = inject(GOOD "\n" GOOD, ARGV(NULL));
	char *second;

	(void)state;
	assert_clean(p);
	second = strstr(p->out_text, "\n}\n{\n");
	assert_non_null(second);
	assert_non_null(value_at(second + 3, "spec/initContainers/0"));
}

/* As `helm template` prints it: what a chart leaves empty, comments, kinds without pods. */
static void a_stream_of_yaml_stays_one_that_helm_cuts_again(void **state)
{
	static const char chart[] = "---\n# Source: shop/templates/service.yaml\napiVersion: v1\nkind: Service\n"
				    "metadata: {name: web}\nspec:\n  ports: [{port: 80}]\n"
				    "---\n# Source: shop/templates/empty.yaml\n"
				    "---\n# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\n"
				    "metadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n"
				    "      - name: web\n        env:\n        - {name: PORT, value: \"80\"}\n"
				    "      volumes:\n      - name: s\n        secret: {secretName: s, defaultMode: 0440}\n";
	struct process *p;
	char *web;

	(void)state;
	needs_yaml();
	p = inject(chart, ARGV(NULL));
	assert_clean(p);
	assert_int_equal(strncmp(p->out_text, "---\n{\n    \"apiVersion\": \"v1\",\n", 28), 0);
	web = strstr(p->out_text, "\n}\n---\n{\n");
	assert_non_null(web);
	assert_null(strstr(web + 2, "\n---\n{\n    \"apiVersion\": \"v1\""));
	web += strlen("\n}\n---\n");
	assert_string_equal(json_string_value(value_at(web, "spec/template/spec/initContainers/1/name")), "fairdial-agent");
	assert_string_equal(json_string_value(value_at(web, "spec/template/spec/containers/0/env/0/value")), "80");
	assert_int_equal(json_integer_value(value_at(web, "spec/template/spec/volumes/0/secret/defaultMode")), 0440);
	p = inject(p->out_text, ARGV("--remove"));
	assert_clean(p);
	assert_null(strstr(p->out_text, "fairdial"));
}

static void one_object_in_yaml_is_one_in_json(void **state)
{
	struct process *p;

	(void)state;
	needs_yaml();
	p = inject("apiVersion: v1\nkind: Pod\nmetadata:\n  name: good\nspec:\n  containers:\n  - name: c\n", ARGV(NULL));
	assert_clean(p);
	assert_string_equal(p->out_text, inject(GOOD, ARGV(NULL))->out_text);
	p = inject("kind: Pod\napiVersion: v1\nspec: {containers: [{name: c}]}\n---\n" GOOD, ARGV("--role"));
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(json_string_value(value_at(p->out_text, "kind")), "List");
}

static void what_yaml_says_otherwise_than_meant_is_said(void **state)
{
	struct process *p;

	(void)state;
	needs_yaml();
	p = inject("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    env:\n"
		   "    - {name: DEBUG, value: yes}\n",
		   ARGV(NULL));
	assert_int_equal(p->exit_status, 1);
	assert_string_equal(p->err_text, "fairdial inject: Pod/p: container c: the value of variable DEBUG is no text: put it "
					 "in quotes\n");
	p = inject("kind: Pod\nspec:\n\tcontainers: []\n", ARGV(NULL));
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "standard input:3:1: "));
	p = inject("---\n# nothing\n", ARGV(NULL));
	assert_error(p, 1);
}

static void where_one_is_refused_the_others_are_done_and_the_status_is_1(void **state)
{
	struct process *p = inject(BAD GOOD, ARGV(NULL));
	char *second;

	(void)state;
	assert_int_equal(p->exit_status, 1);
	assert_string_equal(p->err_text, "fairdial inject: Pod/bad: has no containers: there is nothing to inject\n");
	second = strstr(p->out_text, "\n}\n{\n");
	assert_non_null(second);
	assert_null(value_at(p->out_text, "spec/volumes"));
	assert_non_null(value_at(second + 3, "spec/volumes"));
}

static void what_is_only_said_leaves_the_status_0(void **state)
{
	struct process *p = inject(POD("p", "{\"hostNetwork\":true,\"containers\":[{\"name\":\"c\"}]}"), ARGV(NULL));

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(lines_of(p->err_text), 1);
	p = inject(GOOD, ARGV("--remove"));
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(p->err_text, "fairdial inject: Pod/good: was not injected: it stays as it is\n");
}

static void without_a_pod_the_input_comes_out_and_the_status_is_1(void **state)
{
	static const char *const inputs[] = { "{\n    \"kind\": \"Service\",\n    \"apiVersion\": \"v1\"\n}\n",
					      "{\n    \"kind\": \"List\",\n    \"apiVersion\": \"v1\",\n    \"items\": []\n}\n",
					      "{}\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
		struct process *p = inject(inputs[i], ARGV(NULL));

		assert_int_equal(p->exit_status, 1);
		assert_string_equal(p->out_text, inputs[i]);
		assert_int_equal(strncmp(p->err_text, "fairdial inject: no object has pods: ", 37), 0);
		assert_int_equal(lines_of(p->err_text), 1);
	}
}

static void stream_without_a_pod_comes_out_and_the_status_is_0(void **state)
{
	static const char input[] = "kind: Service\napiVersion: v1\n---\nkind: ConfigMap\napiVersion: v1\n";
	struct process *p = inject(input, ARGV(NULL));

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_non_null(strstr(p->out_text, "\"Service\""));
	assert_non_null(strstr(p->out_text, "\"ConfigMap\""));
	assert_int_equal(strncmp(p->err_text, "fairdial inject: no object has pods: ", 37), 0);
}

static void bad_input_is_one_line_and_no_output(void **state)
{
	(void)state;
	assert_error(inject("", ARGV(NULL)), 1);
	assert_error(inject("apiVersion: v1\nkind: [Pod\n", ARGV(NULL)), 1);
	assert_error(inject(GOOD "{", ARGV(NULL)), 1);
	assert_error(inject("[]", ARGV("--remove")), 1);
	assert_error(inject("{\"a\":", ARGV("--role")), 1);
	assert_error(run_shell(NULL, "%s inject <&-", built("fairdial")), 1);
	assert_error(run_shell(NULL, "%s inject </", built("fairdial")), 1);
}

static void on_a_terminal_it_says_that_it_reads(void **state)
{
	struct process *p = process_start(&(struct start){ .argv = ARGV(built("fairdial"), "inject"), .on_terminal = true });

	(void)state;
	process_expect(p, "fairdial inject: reads objects in YAML or JSON from this terminal", LIMIT_MS);
	process_say(p, GOOD "\n\x04");
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
}

static void usage_is_checked_before_anything_is_read(void **state)
{
	const char *const *const lines[] = {
		ARGV("--nonsense"),
		ARGV("surplus"),
		ARGV("--image"),
		ARGV("--image", ""),
		ARGV("--remove", "--role"),
		ARGV("--image-pull-policy", "Sometimes"),
		ARGV("--existing-preload", ""),
		ARGV("--image", "\xff"),
		ARGV("--mode", "maybe"),
		ARGV("--mode", "onward"),
		ARGV("--role", "--image", "r/f:1"),
		ARGV("--existing-preload", "/a.so", "--role"),
		ARGV("--role", "--mode", "on"),
		ARGV("--remove", "--image-pull-policy", "Always"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_error(inject(GOOD, lines[i]), 2);
}

static void help_tells_annotations_and_options(void **state)
{
	static const char *const words[] = { "fairdial.dev/inject",
					     "fairdial.dev/skip-containers",
					     "fairdial.dev/services",
					     "fairdial.dev/mode",
					     "--existing-preload PATH",
					     "--image IMAGE",
					     "--image-pull-policy",
					     "--remove",
					     "--role ",
					     "the Roles and RoleBindings",
					     "--mode MODE",
					     "YAML",
					     "static",
					     "kubectl apply -f -" };
	struct process *p = inject("", ARGV("--help"));

	(void)state;
	assert_clean(p);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		assert_non_null(strstr(p->out_text, words[i]));
	for (const char *line = p->out_text; *line; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > 100)
			fail_msg("%.*s", (int)strcspn(line, "\n"), line);
	assert_non_null(strstr(run(NULL, built("fairdial"), "--help", NULL)->out_text, "\n  inject "));
}

static void roles_are_for_the_accounts_of_the_objects(void **state)
{
	struct process *p =
		inject(POD("p", "{\"serviceAccountName\":\"a\",\"containers\":[{\"name\":\"c\"}]}"), ARGV("--role"));

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_string_equal(p->err_text,
			    "fairdial inject: Pod/p: says no namespace: its account is taken to be in \"default\"\n");
	assert_string_equal(json_string_value(value_at(p->out_text, "items/0/kind")), "Role");
	assert_string_equal(json_string_value(value_at(p->out_text, "items/1/kind")), "RoleBinding");
	assert_string_equal(json_string_value(value_at(p->out_text, "items/1/subjects/0/name")), "a");
	assert_int_equal(inject("{}", ARGV("--role"))->exit_status, 1);
}

static void output_that_cannot_be_written_is_said(void **state)
{
	struct process *p = run_shell(NULL, "echo '%s' | %s inject >/dev/full", GOOD, built("fairdial"));

	(void)state;
	assert_error(p, 1);
	assert_string_equal(p->err_text, "fairdial inject: cannot write to standard output: No space left on device\n");
}

/* More than a pipe holds, to a reader that has gone: it ends, as any filter does, and says nothing. */
static void a_pipe_that_breaks_ends_it(void **state)
{
	size_t count = 400;
	char *text = calloc(count, sizeof(GOOD));
	const char *path = format("%s/objects", scratch_dir());
	struct process *p;

	(void)state;
	after_test(free, text);
	for (size_t i = 0; i < count; i++)
		strcat(text, GOOD);
	write_file(path, text, strlen(text));
	p = run_shell(NULL, "{ %s inject < %s; echo $? >&2; } | head -c 1", built("fairdial"), path);
	assert_string_equal(p->err_text, format("%d\n", 128 + SIGPIPE));
	p = run_shell(NULL, "{ trap '' PIPE; %s inject < %s; echo $? >&2; } | head -c 1", built("fairdial"), path);
	assert_string_equal(p->err_text, "1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_object_goes_in_and_out_through_pipes),
		TEST(options_reach_the_containers),
		TEST(the_image_is_that_of_this_version),
		TEST(several_objects_are_done_one_by_one),
		TEST(a_stream_of_yaml_stays_one_that_helm_cuts_again),
		TEST(one_object_in_yaml_is_one_in_json),
		TEST(what_yaml_says_otherwise_than_meant_is_said),
		TEST(where_one_is_refused_the_others_are_done_and_the_status_is_1),
		TEST(what_is_only_said_leaves_the_status_0),
		TEST(without_a_pod_the_input_comes_out_and_the_status_is_1),
		TEST(stream_without_a_pod_comes_out_and_the_status_is_0),
		TEST(bad_input_is_one_line_and_no_output),
		TEST(on_a_terminal_it_says_that_it_reads),
		TEST(usage_is_checked_before_anything_is_read),
		TEST(help_tells_annotations_and_options),
		TEST(roles_are_for_the_accounts_of_the_objects),
		TEST(output_that_cannot_be_written_is_said),
		TEST(a_pipe_that_breaks_ends_it),
	};

	return RUN_TESTS(tests);
}
