/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod gets, to the last field; what each container's variables become; what is taken out for good. */
#include "support/testing.h"

#include <jansson.h>

#include "inject/inject.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"
#include "support/services.h"

#define HEAD "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"template\":"
#define WEB  HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"nginx\"}]}}}}"
#define SPEC "spec/template/spec/"

/* The value there, as JSON with sorted keys; its text uses ' for ". */
static void assert_value(const char *text, const char *path, const char *expected)
{
	json_t *value = value_at(text, path);
	char *got = value ? json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY) : strdup("nothing");

	assert_non_null(got);
	after_test(free, got);
	for (char *c = got; *c; c++)
		if (*c == '"')
			*c = '\'';
	assert_string_equal(got, expected);
}

/* ---- the two containers ---- */

#define SECURITY                                                                                                               \
	"{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'readOnlyRootFilesystem':true,"                     \
	"'runAsNonRoot':true,'seccompProfile':{'type':'RuntimeDefault'}}"

static void the_installer_comes_first(void **state)
{
	char *text = injected(WEB, NULL).text;

	(void)state;
	assert_value(text, SPEC "initContainers/0",
		     "{'command':['/bin/fairdial','install','/opt/fairdial'],'image':'fairdial:test','name':'fairdial-install',"
		     "'resources':{'limits':{'cpu':'500m','memory':'64Mi'},'requests':{'cpu':'10m','memory':'32Mi'}},"
		     "'securityContext':" SECURITY ",'volumeMounts':[{'mountPath':'/opt/fairdial','name':'fairdial-bin'}]}");
}

static void the_agent_comes_second_and_goes_on(void **state)
{
	char *text = injected(WEB, NULL).text;

	(void)state;
	assert_value(text, SPEC "initContainers/1",
		     "{'command':['/bin/fairdial','agent','--dir','/run/fairdial/pod','--share-ledger',"
		     "'--services','-/etc/fairdial/services.json'],"
		     "'env':[{'name':'FAIRDIAL_DIR','value':'/run/fairdial/pod'},"
		     "{'name':'POD_NAME','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}},"
		     "{'name':'POD_NAMESPACE','valueFrom':{'fieldRef':{'fieldPath':'metadata.namespace'}}},"
		     "{'name':'POD_IPS','valueFrom':{'fieldRef':{'fieldPath':'status.podIPs'}}},"
		     "{'name':'NODE_NAME','valueFrom':{'fieldRef':{'fieldPath':'spec.nodeName'}}},"
		     "{'name':'POD_IP','valueFrom':{'fieldRef':{'fieldPath':'status.podIP'}}},"
		     "{'name':'HOST_IP','valueFrom':{'fieldRef':{'fieldPath':'status.hostIP'}}}],"
		     "'image':'fairdial:test','name':'fairdial-agent',"
		     "'resources':{'limits':{'cpu':'500m','memory':'256Mi'},'requests':{'cpu':'10m','memory':'32Mi'}},"
		     "'restartPolicy':'Always','securityContext':" SECURITY ",'volumeMounts':["
		     "{'mountPath':'/run/fairdial','name':'fairdial-run'},"
		     "{'mountPath':'/var/run/secrets/kubernetes.io/serviceaccount','name':'fairdial-token','readOnly':true},"
		     "{'mountPath':'/etc/fairdial','name':'fairdial-config','readOnly':true}]}");
	assert_value(text, SPEC "initContainers/2", "nothing");
}

static void the_pods_own_init_containers_come_after(void **state)
{
	char *text = injected(HEAD "{\"spec\":{\"initContainers\":[{\"name\":\"own\",\"env\":[]}],"
				   "\"containers\":[{\"name\":\"web\"}]}}}}",
			      NULL)
			     .text;

	(void)state;
	assert_value(text, SPEC "initContainers/2", "{'env':[],'name':'own'}");
}

static void the_volumes_are_four(void **state)
{
	(void)state;
	assert_value(injected(WEB, NULL).text, SPEC "volumes",
		     "[{'emptyDir':{'sizeLimit':'64Mi'},'name':'fairdial-bin'},"
		     "{'emptyDir':{'medium':'Memory','sizeLimit':'64Mi'},'name':'fairdial-run'},"
		     "{'name':'fairdial-token','projected':{'defaultMode':292,'sources':["
		     "{'serviceAccountToken':{'expirationSeconds':3600,'path':'token'}},"
		     "{'configMap':{'items':[{'key':'ca.crt','path':'ca.crt'}],'name':'kube-root-ca.crt'}},"
		     "{'downwardAPI':{'items':[{'fieldRef':{'fieldPath':'metadata.namespace'},'path':'namespace'}]}}]}},"
		     "{'configMap':{'name':'fairdial','optional':true},'name':'fairdial-config'}]");
}

static void options_name_the_image(void **state)
{
	struct inject_options options = { .image = "r.example.com/f:2", .pull_policy = "Never" };
	char *text = injected(WEB, &options).text;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_value(text, format(SPEC "initContainers/%d/image", i), "'r.example.com/f:2'");
		assert_value(text, format(SPEC "initContainers/%d/imagePullPolicy", i), "'Never'");
	}
}

static void only_where_the_pod_would_be_root_is_there_a_user(void **state)
{
	static const char *const contexts[][2] = {
		{ "{\"runAsUser\":0}", "65532" },
		{ "{\"runAsUser\":1000}", "nothing" },
		{ "{\"runAsNonRoot\":false}", "nothing" },
		{ "{}", "nothing" },
		{ "null", "nothing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(contexts) / sizeof(*contexts); i++) {
		char *text = injected(format(HEAD "{\"spec\":{\"securityContext\":%s,\"containers\":[{\"name\":\"web\"}]}}}}",
					     contexts[i][0]),
				      NULL)
				     .text;

		for (int c = 0; c < 2; c++) {
			assert_value(text, format(SPEC "initContainers/%d/securityContext/runAsUser", c), contexts[i][1]);
			assert_value(text, format(SPEC "initContainers/%d/securityContext/runAsGroup", c), contexts[i][1]);
		}
	}
}

/* ---- the Pod Security Standard "restricted" ---- */

static bool is_one_of(const char *text, const char *list)
{
	return text && strstr(list, format("|%s|", text));
}

/* What the standard wants of a container; what of it may be the pod's is looked for there too. */
static bool container_passes(json_t *container, json_t *pod_context)
{
	json_t *context = json_object_get(container, "securityContext"),
	       *capabilities = json_object_get(context, "capabilities");
	json_t *non_root = json_object_get(context, "runAsNonRoot"), *seccomp = json_object_get(context, "seccompProfile");
	json_t *user = json_object_get(context, "runAsUser"),
	       *dropped = json_array_get(json_object_get(capabilities, "drop"), 0);

	if (!non_root)
		non_root = json_object_get(pod_context, "runAsNonRoot");
	if (!seccomp)
		seccomp = json_object_get(pod_context, "seccompProfile");
	return json_is_false(json_object_get(context, "allowPrivilegeEscalation")) && !json_object_get(capabilities, "add") &&
	       is_one_of(json_string_value(dropped), "|ALL|") && json_is_true(non_root) &&
	       !json_is_true(json_object_get(context, "privileged")) && !(user && json_integer_value(user) == 0) &&
	       is_one_of(json_string_value(json_object_get(seccomp, "type")), "|RuntimeDefault|Localhost|");
}

/* A volume is its name and one thing more, what it is. */
static bool volume_passes(json_t *volume)
{
	const char *key;
	json_t *value;

	json_object_foreach(volume, key, value) if (!is_one_of(key, "|name|configMap|csi|downwardAPI|emptyDir|ephemeral|"
								    "persistentVolumeClaim|projected|secret|")) return false;
	return true;
}

static bool passes_restricted(json_t *spec)
{
	static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
	json_t *context = json_object_get(spec, "securityContext"), *user = json_object_get(context, "runAsUser"), *item;
	bool passes = !json_is_true(json_object_get(spec, "hostNetwork")) && !json_is_true(json_object_get(spec, "hostPID")) &&
		      !(user && json_integer_value(user) == 0);
	size_t i;

	for (size_t l = 0; l < 3; l++)
		json_array_foreach(json_object_get(spec, lists[l]), i, item) passes &= container_passes(item, context);
	json_array_foreach(json_object_get(spec, "volumes"), i, item) passes &= volume_passes(item);
	return passes;
}

static void what_passes_restricted_passes_it_still(void **state)
{
	size_t size, passed = 0, failed = 0;

	(void)state;
	for (char **file = object_files(); *file; file++) {
		char *text = read_file(*file, &size);
		bool before = passes_restricted(value_at(text, "spec/template/spec"));

		if (!value_at(text, "spec/template/spec"))
			continue;
		if (before && !passes_restricted(value_at(injected(text, NULL).text, "spec/template/spec")))
			fail_msg("%s passes no more", *file);
		passed += before;
		failed += !before;
	}
	assert_true(passed >= 3);
	assert_true(failed >= 3);
}

/* ---- the pod's containers ---- */

static void every_container_gets_the_shim(void **state)
{
	char *text =
		injected(HEAD "{\"spec\":{\"initContainers\":[{\"name\":\"first\"}],\"ephemeralContainers\":[{\"name\":\"e\"}],"
			      "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}}}",
			 NULL)
			.text;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_value(text, format(SPEC "containers/%d/env", i),
			     "[{'name':'LD_PRELOAD','value':'/opt/fairdial/libfairdial.so'},"
			     "{'name':'FAIRDIAL_DIR','value':'/run/fairdial/pod'}]");
		assert_value(text, format(SPEC "containers/%d/volumeMounts", i),
			     "[{'mountPath':'/opt/fairdial','name':'fairdial-bin','readOnly':true},"
			     "{'mountPath':'/run/fairdial','name':'fairdial-run'}]");
	}
	assert_value(text, SPEC "initContainers/2", "{'name':'first'}");
	assert_value(text, SPEC "ephemeralContainers", "[{'name':'e'}]");
}

static char *given_env(const char *env, const struct inject_options *options)
{
	return injected(format(HEAD "{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":%s}]}}}}", env), options).text;
}

#define OURS "/opt/fairdial/libfairdial.so"
#define DIR  ",{'name':'FAIRDIAL_DIR','value':'/run/fairdial/pod'}]"

static void a_preload_list_grows_at_its_end(void **state)
{
	static const char *const lists[][2] = {
		{ "/lib/a.so", "/lib/a.so:" OURS },
		{ "/lib/a.so /lib/b.so", "/lib/a.so /lib/b.so:" OURS },
		{ "$(HOME)/a.so", "$(HOME)/a.so:" OURS },
		{ "", OURS },
		{ OURS, OURS },
		{ "/lib/a.so " OURS ":/lib/b.so", "/lib/a.so " OURS ":/lib/b.so" },
		{ "/usr/lib/libfairdial.so", "/usr/lib/libfairdial.so" },
		{ "/usr/lib/notlibfairdial.so", "/usr/lib/notlibfairdial.so:" OURS },
		{ "libfairdial.so", "libfairdial.so" },
		{ "/libfairdial.so.1", "/libfairdial.so.1:" OURS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		assert_value(given_env(format("[{\"name\":\"LD_PRELOAD\",\"value\":\"%s\"}]", lists[i][0]), NULL),
			     SPEC "containers/0/env", format("[{'name':'LD_PRELOAD','value':'%s'}" DIR, lists[i][1]));
	assert_value(given_env("[{\"name\":\"LD_PRELOAD\"}]", NULL), SPEC "containers/0/env",
		     "[{'name':'LD_PRELOAD','value':'" OURS "'}" DIR);
}

static void of_two_entries_the_last_counts(void **state)
{
	(void)state;
	assert_value(given_env("[{\"name\":\"LD_PRELOAD\",\"value\":\"/a\"},{\"name\":\"LD_PRELOAD\",\"value\":\"/b\"}]", NULL),
		     SPEC "containers/0/env",
		     "[{'name':'LD_PRELOAD','value':'/a'},{'name':'LD_PRELOAD','value':'/b:" OURS "'}" DIR);
}

static void a_preload_from_elsewhere_is_referred_to(void **state)
{
	(void)state;
	/* What comes later may refer to LD_PRELOAD, so that ours has its place. */
	assert_value(given_env("[{\"name\":\"LD_PRELOAD\",\"valueFrom\":{\"configMapKeyRef\":{\"key\":\"k\",\"name\":\"c\"}}},"
			       "{\"name\":\"SEEN\",\"value\":\"$(LD_PRELOAD)\"}]",
			       NULL),
		     SPEC "containers/0/env",
		     "[{'name':'LD_PRELOAD_BEFORE_FAIRDIAL','valueFrom':{'configMapKeyRef':{'key':'k','name':'c'}}},"
		     "{'name':'LD_PRELOAD','value':'$(LD_PRELOAD_BEFORE_FAIRDIAL):" OURS "'},"
		     "{'name':'SEEN','value':'$(LD_PRELOAD)'}" DIR);
}

static void the_images_own_preload_comes_before_ours(void **state)
{
	struct inject_options options = { .image = "f", .existing_preload = "/lib/image.so" };

	(void)state;
	assert_value(given_env("[]", &options), SPEC "containers/0/env",
		     "[{'name':'LD_PRELOAD','value':'/lib/image.so:" OURS "'}" DIR);
	/* What the object sets is what the image's own is hidden by. */
	assert_value(given_env("[{\"name\":\"LD_PRELOAD\",\"value\":\"/a\"}]", &options), SPEC "containers/0/env",
		     "[{'name':'LD_PRELOAD','value':'/a:" OURS "'}" DIR);
}

static void a_directory_of_their_own_stays(void **state)
{
	(void)state;
	assert_value(given_env("[{\"name\":\"FAIRDIAL_DIR\",\"value\":\"/mine\"}]", NULL), SPEC "containers/0/env",
		     "[{'name':'FAIRDIAL_DIR','value':'/mine'},{'name':'LD_PRELOAD','value':'" OURS "'}]");
}

/* ---- annotations ---- */

static struct injection with_annotations(const char *annotations)
{
	return injected(format(HEAD "{\"metadata\":{\"annotations\":%s},"
				    "\"spec\":{\"containers\":[{\"name\":\"web\"},{\"name\":\"log\"}]}}}}",
			       annotations),
			NULL);
}

static void annotations_reach_the_agent(void **state)
{
	struct injection in =
		with_annotations("{\"fairdial.dev/services\":\" mysql, web.shop ,\",\"fairdial.dev/mode\":\"observe\","
				 "\"fairdial.dev/inject\":\"true\"}");

	(void)state;
	assert_string_equal(in.said, "");
	assert_value(in.text, SPEC "initContainers/1/command",
		     "['/bin/fairdial','agent','--dir','/run/fairdial/pod','--share-ledger',"
		     "'--services','-/etc/fairdial/services.json','--service','mysql,web.shop','--mode','observe']");
}

static void the_mode_is_an_option_for_pods_that_do_not_say(void **state)
{
	static const struct inject_options options = { .image = "fairdial:test", .mode = "observe" };
	const char *plain = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"name\":\"c\"}]}}";
	const char *off = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
			  "\"metadata\":{\"annotations\":{\"fairdial.dev/mode\":\"off\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}";
	char *text = injected(plain, &options).text;

	(void)state;
	assert_value(text, "spec/initContainers/1/command",
		     "['/bin/fairdial','agent','--dir','/run/fairdial/pod','--share-ledger',"
		     "'--services','-/etc/fairdial/services.json','--mode','observe']");
	assert_string_equal(removed(text).text, printed(plain));
	assert_value(injected(off, &options).text, "spec/initContainers/1/command/8", "'off'");
}

static void the_port_of_the_metrics_is_an_annotation_or_an_option(void **state)
{
	static const struct inject_options options = { .image = "fairdial:test", .metrics = 9000 };
	const char *plain = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"name\":\"c\"}]}}";
	struct injection in = with_annotations("{\"fairdial.dev/metrics\":\"9898\"}");
	char *text = injected(plain, &options).text;

	(void)state;
	assert_string_equal(in.said, "");
	assert_value(in.text, SPEC "initContainers/1/command",
		     "['/bin/fairdial','agent','--dir','/run/fairdial/pod','--share-ledger',"
		     "'--services','-/etc/fairdial/services.json','--listen',':9898']");
	assert_value(in.text, SPEC "initContainers/1/ports", "[{'containerPort':9898,'name':'fd-metrics'}]");
	assert_value(text, "spec/initContainers/1/ports/0/containerPort", "9000");
	assert_string_equal(removed(text).text, printed(plain));
}

static void containers_are_left_out_by_name(void **state)
{
	struct injection in = with_annotations("{\"fairdial.dev/skip-containers\":\"log , proxy\"}");

	(void)state;
	assert_value(in.text, SPEC "containers/1", "{'name':'log'}");
	assert_value(in.text, SPEC "containers/0/env/1/value", "'/run/fairdial/pod'");
	assert_string_equal(in.said,
			    "Deployment/web: annotation fairdial.dev/skip-containers names \"proxy\", and the pod has no "
			    "such container\n");
}

static void left_alone_is_exactly_as_it_was(void **state)
{
	static const char *const values[] = { "false", "disabled" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text =
			format("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"resourceVersion\":\"1\","
			       "\"annotations\":{\"fairdial.dev/inject\":\"%s\",\"fairdial.dev/mode\":\"wrong\"}},"
			       "\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{}}",
			       values[i]);
		struct injection in = injected(text, NULL);

		assert_string_equal(in.text, printed(text));
		assert_string_equal(in.said, "Pod/p: left alone: annotation fairdial.dev/inject says so\n");
		assert_int_equal(in.refused, 0);
	}
}

static void left_alone_with_what_was_injected_before_is_said(void **state)
{
	char *text = with_annotations("{}").text, *at = strstr(text, "\"annotations\": {");

	(void)state;
	text = format("%.*s\"annotations\": {\"fairdial.dev/inject\":\"false\",%s", (int)(at - text), text,
		      at + strlen("\"annotations\": {"));
	assert_string_equal(injected(text, NULL).text, printed(text));
	assert_string_equal(injected(text, NULL).said,
			    "Deployment/web: left alone: annotation fairdial.dev/inject says so, and it was "
			    "injected before: --remove takes that out\n");
}

/* ---- what a fetched object says ---- */

#define LAST "\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\""

static void what_the_server_wrote_goes(void **state)
{
	char *text = injected("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"resourceVersion\":\"1\","
			      "\"uid\":\"u\","
			      "\"creationTimestamp\":\"t\",\"generation\":3,\"managedFields\":[{}],\"labels\":{},"
			      "\"annotations\":{\"a\":\"b\"," LAST "}},"
			      "\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Running\"}}",
			      NULL)
			     .text;

	(void)state;
	assert_value(text, "status", "nothing");
	assert_value(removed(text).text, "metadata", "{'annotations':{'a':'b'},'labels':{},'name':'p'}");
}

static void annotations_of_nothing_but_the_last_apply_go(void **state)
{
	static const char object[] =
		"{\"kind\":\"PodTemplate\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"annotations\":{" LAST
		"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}}";

	(void)state;
	assert_value(injected(object, NULL).text, "metadata", "{'name':'p'}");
}

static void in_a_list_each_is_done_and_others_stay(void **state)
{
	static const char service[] = "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"5\"},"
				      "\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}},\"status\":{}}";
	static const char foreign[] = "{\"kind\":\"Deployment\",\"apiVersion\":\"example.com/v1\","
				      "\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}},\"status\":{}}";
	char *text = injected(format("{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[%s,%s,"
				     "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[%s]},%s]}",
				     service, WEB, WEB, foreign),
			      NULL)
			     .text;

	(void)state;
	assert_value(text, "items/0/metadata", "{'resourceVersion':'5'}");
	assert_value(text, "items/0/spec/template/spec", "{'containers':[{'name':'c'}]}");
	assert_value(text, "items/1/spec/template/spec/initContainers/0/name", "'fairdial-install'");
	assert_value(text, "items/2/items/0/spec/template/spec/initContainers/0/name", "'fairdial-install'");
	assert_value(text, "items/3/spec/template/spec", "{'containers':[{'name':'c'}]}");
}

/* An operator may call its own kind as Kubernetes calls one of its. */
static void a_kind_of_another_group_is_another_kind(void **state)
{
	static const char *const kinds[][2] = { { "Pod", "example.com/v1" }, { "Deployment", "appsx/v1" },
						{ "Deployment", "app/v1" },  { "Deployment", "v1" },
						{ "CronJob", "apps/v1" },    { "Deployments", "apps/v1" },
						{ "Deploy", "apps/v1" },     { "", "apps/v1" } };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char *text = format("{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"spec\":{\"containers\":[]}}", kinds[i][0],
				    kinds[i][1]);

		assert_string_equal(injected(text, NULL).text, printed(text));
		assert_string_equal(injected(text, NULL).said, "");
	}
}

static void items_of_a_typed_list_need_no_kind(void **state)
{
	char *text = injected("{\"kind\":\"CronJobList\",\"apiVersion\":\"batch/"
			      "v1\",\"items\":[{\"metadata\":{\"name\":\"n\"},\"spec\":"
			      "{\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}}}}}]}",
			      NULL)
			     .text;

	(void)state;
	assert_value(text, "items/0/spec/jobTemplate/spec/template/spec/initContainers/0/name", "'fairdial-install'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_installer_comes_first),
		TEST(the_agent_comes_second_and_goes_on),
		TEST(the_pods_own_init_containers_come_after),
		TEST(the_volumes_are_four),
		TEST(options_name_the_image),
		TEST(only_where_the_pod_would_be_root_is_there_a_user),
		TEST(what_passes_restricted_passes_it_still),
		TEST(every_container_gets_the_shim),
		TEST(a_preload_list_grows_at_its_end),
		TEST(of_two_entries_the_last_counts),
		TEST(a_preload_from_elsewhere_is_referred_to),
		TEST(the_images_own_preload_comes_before_ours),
		TEST(a_directory_of_their_own_stays),
		TEST(annotations_reach_the_agent),
		TEST(the_mode_is_an_option_for_pods_that_do_not_say),
		TEST(the_port_of_the_metrics_is_an_annotation_or_an_option),
		TEST(containers_are_left_out_by_name),
		TEST(left_alone_is_exactly_as_it_was),
		TEST(left_alone_with_what_was_injected_before_is_said),
		TEST(what_the_server_wrote_goes),
		TEST(annotations_of_nothing_but_the_last_apply_go),
		TEST(in_a_list_each_is_done_and_others_stay),
		TEST(a_kind_of_another_group_is_another_kind),
		TEST(items_of_a_typed_list_need_no_kind),
	};

	return RUN_TESTS(tests);
}
