/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, what is said, and what a service account needs. */
#include "support/testing.h"

#include <jansson.h>

#include "inject/inject.h"
#include "support/cleanup.h"
#include "support/objects.h"
#include "support/process.h"

#define HEAD(kind)                                                                                                             \
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"},\"spec\":"

/* A Deployment of this pod template. */
static char *deployment(const char *template)
{
	return format(HEAD("Deployment") "{\"template\":%s}}", template);
}

static char *with_spec(const char *spec)
{
	return deployment(format("{\"spec\":%s}", spec));
}

/* ' for " */
static char *quoted(const char *text)
{
	char *copy = format("%s", text);

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}

/* Exactly as it was, with one line that has this in it. */
static void assert_refused(const char *text, const char *expected)
{
	struct injection in = injected(text, NULL);

	if (in.refused != 1 || lines_of(in.said) != 1 || !strstr(in.said, expected) || !strchr(in.said, '/'))
		fail_msg("%s\n  expected: %s\n  said: %s", text, expected, in.said);
	assert_string_equal(in.text, printed(text));
}

static void assert_said(const char *text, const char *expected)
{
	struct injection in = injected(text, NULL);

	if (in.refused || strcmp(in.said, expected) != 0)
		fail_msg("%s\n  expected: %s\n  said: %s", text, expected, in.said);
}

/* ---- refused ---- */

static void what_cannot_be_injected_stays_and_is_said(void **state)
{
	static const char *const specs[][2] = {
		{ "{'containers':[{'name':'c','env':[{'name':'LD_PRELOAD','value':'/a.so\\u0000b'}]}]}",
		  "container c: the value of variable LD_PRELOAD is no text" },
		{ "{'os':{'name':'windows'},'containers':[{'name':'c'}]}", "Deployment/shop/web: is for Windows" },
		{ "{'nodeSelector':{'kubernetes.io/os':'windows'},'containers':[{'name':'c'}]}", "is for Windows" },
		{ "{'containers':[]}", "has no containers" },
		{ "{}", "has no containers" },
		{ "{'containers':[{'name':'c'},{'name':'c'}]}", "two containers have the name c" },
		{ "{'containers':[{'name':'c'}],'initContainers':[{'name':'c'}]}", "two containers have the name c" },
		{ "{'containers':[{'image':'i'}]}", "a container in spec.containers has no name" },
		{ "{'containers':[{'name':'fairdial-agent'}]}",
		  "a container or volume fairdial-agent that fairdial inject did not put" },
		{ "{'containers':[{'name':'c'}],'initContainers':[{'name':'fairdial-install'}]}",
		  "volume fairdial-install that" },
		{ "{'containers':[{'name':'c'}],'ephemeralContainers':[{'name':'fairdial-agent'}]}",
		  "volume fairdial-agent that" },
		{ "{'containers':[{'name':'c'}],'volumes':[{'name':'fairdial-run'}]}", "volume fairdial-run that" },
		{ "{'containers':[{'name':'c'}],'volumes':[{'name':'fairdial-config'}]}", "volume fairdial-config that" },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/opt/fairdial'}]}]}",
		  "mounts volume v at /opt/fairdial," },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/opt/fairdial/'}]}]}",
		  "mounts volume v at" },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/run/fairdial/x'}]}]}",
		  "mounts volume v at" },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/var/run/fairdial'}]}]}",
		  "mounts volume v at" },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/opt','readOnly':true}]}]}",
		  "read-only at /opt," },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':'/run/','readOnly':true}]}]}",
		  "read-only at /run/," },
		{ "{'containers':[{'name':'c','volumeMounts':[{'name':'fairdial-run','mountPath':'/x'}]}]}",
		  "mounts a volume fairdial-run" },
		{ "{'containers':[{'name':'c','env':[{'name':'LD_PRELOAD','valueFrom':{}},{'name':'LD_PRELOAD_BEFORE_FAIRDIAL'}"
		  "]}]}",
		  "sets a variable LD_PRELOAD_BEFORE_FAIRDIAL" },
		{ "{'containers':[{'name':'c','env':[{'name':'PORT','value':80}]}]}", "variable PORT is no text" },
		{ "{'containers':[{'name':'c','env':{}}]}", "container c: env or volumeMounts is no list" },
		{ "{'containers':[{'name':'c','volumeMounts':['/x']}]}", "container c: env or volumeMounts is no list" },
		{ "{'containers':{}}", "spec.containers is no list" },
		{ "{'containers':['c']}", "spec.containers is no list" },
		{ "{'containers':[{'name':'c'}],'volumes':{}}", "spec.volumes is no list" },
		{ "[]", "has no pod: the pod's template, or its spec, is missing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++)
		assert_refused(with_spec(quoted(specs[i][0])), specs[i][1]);
	assert_refused(HEAD("Deployment") "{}}", "has no pod");
	assert_refused("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"p-\"}}",
		       "Pod/p-: has no pod: spec is missing");
	assert_refused("{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}", "Pod/(no name): has no pod");
}

static void a_mount_beside_ours_is_none_of_our_business(void **state)
{
	static const char *const mounts[] = { "'/opt'", "'/opt/fairdial2'", "'/run/fair'", "'/opt/other','readOnly':true",
					      "'/'" };

	(void)state;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		assert_said(with_spec(quoted(format(
				    "{'containers':[{'name':'c','volumeMounts':[{'name':'v','mountPath':%s}]}]}", mounts[i]))),
			    "");
}

static void a_container_that_is_left_out_may_mount_what_it_likes(void **state)
{
	(void)state;
	assert_said(
		deployment(quoted(
			"{'metadata':{'annotations':{'fairdial.dev/skip-containers':'b'}},'spec':{'containers':[{'name':'a'},"
			"{'name':'b','volumeMounts':[{'name':'v','mountPath':'/opt/fairdial'}]}]}}")),
		"");
}

static void a_wrong_annotation_is_refused_with_key_and_value(void **state)
{
	static const char *const annotations[][2] = {
		{ "'fairdial.dev/inject':'maybe'",
		  "Deployment/shop/web: annotation fairdial.dev/inject is \"maybe\": expected true" },
		{ "'fairdial.dev/inject':false", "annotation fairdial.dev/inject is no text" },
		{ "'fairdial.dev/mode':'loud'", "annotation fairdial.dev/mode is \"loud\": expected on, observe or off" },
		{ "'fairdial.dev/mode':''", "annotation fairdial.dev/mode is \"\"" },
		{ "'fairdial.dev/metrics':'80'", "annotation fairdial.dev/metrics is \"80\": expected a port, 1024 to 65535" },
		{ "'fairdial.dev/metrics':'65536'", "annotation fairdial.dev/metrics is \"65536\"" },
		{ "'fairdial.dev/metrics':':9898'", "annotation fairdial.dev/metrics is \":9898\"" },
		{ "'fairdial.dev/metrics':''", "annotation fairdial.dev/metrics is \"\"" },
		{ "'fairdial.dev/metrics':9898", "annotation fairdial.dev/metrics is no text: put its value in quotes" },
		{ "'fairdial.dev/services':' , '", "annotation fairdial.dev/services is \" , \": name 1 to 64" },
		{ "'fairdial.dev/services':'$(POD_NAME)'", "annotation fairdial.dev/services is" },
		{ "'fairdial.dev/services':'web,--dir'", "annotation fairdial.dev/services is" },
		{ "'fairdial.dev/services':'web.'", "annotation fairdial.dev/services is" },
		{ "'fairdial.dev/services':'a b'", "annotation fairdial.dev/services is" },
	};
	char *many = format("%s", "s0");

	(void)state;
	for (size_t i = 0; i < sizeof(annotations) / sizeof(*annotations); i++)
		assert_refused(
			deployment(quoted(format("{'metadata':{'annotations':{%s}},'spec':{'containers':[{'name':'c'}]}}",
						 annotations[i][0]))),
			annotations[i][1]);
	for (int i = 1; i <= 64; i++)
		many = format("%s,s%d", many, i);
	assert_refused(deployment(quoted(format("{'metadata':{'annotations':{'fairdial.dev/services':'%s'}},"
						"'spec':{'containers':[{'name':'c'}]}}",
						many))),
		       "name 1 to 64 Services");
	assert_refused(deployment("{\"metadata\":[],\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"),
		       "metadata or its annotations");
	assert_refused(deployment("{\"metadata\":{\"annotations\":[]},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"),
		       "are no object");
}

static void beside_one_that_is_refused_the_others_are_done(void **state)
{
	char *bad = with_spec("{}"), *good = with_spec("{\"containers\":[{\"name\":\"c\"}]}");
	struct injection in =
		injected(format("{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[%s,%s,%s]}", good, bad, good), NULL);

	(void)state;
	assert_int_equal(in.refused, 1);
	assert_non_null(value_at(in.text, "items/0/spec/template/spec/volumes"));
	assert_null(value_at(in.text, "items/1/spec/template/spec/volumes"));
	assert_non_null(value_at(in.text, "items/2/spec/template/spec/volumes"));
}

/* Of a pod that an earlier injection changed, the refusal does not take out half. */
static void a_pod_that_is_refused_later_keeps_what_it_had(void **state)
{
	char *in = injected(with_spec("{\"containers\":[{\"name\":\"c\",\"image\":\"linux\"}]}"), NULL).text;
	char *at = strstr(in, "\"image\": \"linux\"");

	(void)state;
	assert_non_null(at);
	assert_refused(format("%.*s\"image\": \"i\", \"x\": 1.0}], \"os\": {\"name\": \"windows\"}, \"was\": [{%s",
			      (int)(at - in), in, at + strlen("\"image\": \"linux\",")),
		       "is for Windows");
}

/* ---- said ---- */

static void what_one_should_know_is_said(void **state)
{
	(void)state;
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\"}]}"), "");
	assert_said(with_spec("{\"hostNetwork\":true,\"containers\":[{\"name\":\"c\"}]}"),
		    "Deployment/shop/web: has hostNetwork: the sockets it sees are the node's, so that only connections which "
		    "its own programs "
		    "claimed are counted\n");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"envFrom\":[{\"secretRef\":{\"name\":\"s\"}}]}]}"),
		    "Deployment/shop/web: container c has variables by envFrom, which cannot be seen here: if LD_PRELOAD is "
		    "one, set it to "
		    "$(LD_PRELOAD) in its env first\n");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"envFrom\":[{\"prefix\":\"DB_\"}]}]}"), "");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"envFrom\":[{}],\"env\":[{\"name\":\"LD_PRELOAD\"}]}]}"), "");
	assert_said(
		with_spec("{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"LD_PRELOAD\",\"valueFrom\":{}}]}]}"),
		"Deployment/shop/web: container c has its LD_PRELOAD by valueFrom, which cannot be seen here: it is kept as "
		"LD_PRELOAD_BEFORE_FAIRDIAL, and has to be there also where it is optional\n");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"LD_PRELOAD\",\"value\":\"/"
			      "libfairdial.so\"}]}]}"),
		    "Deployment/shop/web: container c preloads a libfairdial.so of its own already, which stays\n");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"FAIRDIAL_DIR\",\"value\":\"/x\"}]}]}"),
		    "Deployment/shop/web: container c sets FAIRDIAL_DIR itself, so that it does not use this pod's table, in "
		    "/run/fairdial/pod: "
		    "take the variable out\n");
	assert_said(with_spec("{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"FAIRDIAL_DIR\",\"value\":\"/run/fairdial/"
			      "pod\"}]}]}"),
		    "");
	assert_said(deployment("{\"metadata\":{\"annotations\":{\"fairdial.dev/skip-containers\":\"c\"}},"
			       "\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"),
		    "Deployment/shop/web: annotation fairdial.dev/skip-containers leaves no container to spread\n");
}

static void an_annotation_in_the_wrong_place_is_said(void **state)
{
	(void)state;
	assert_said(
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\"metadata\":{\"name\":\"d\",\"annotations\":"
		"{\"fairdial.dev/mode\":\"observe\"}},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}}}",
		"DaemonSet/d: annotation fairdial.dev/mode counts only where the pod's are, in the template's metadata: move "
		"it there\n");
}

static char *annotated(const char *name)
{
	return deployment(format("{\"metadata\":{\"annotations\":{\"%s\":\"x\"}},"
				 "\"spec\":{\"containers\":[{\"name\":\"c\"}]}}",
				 name));
}

static void an_annotation_that_no_pod_has_is_said_with_what_may_be_meant(void **state)
{
	static const char *const meant[][2] = {
		{ "skip-container", "skip-containers" }, { "skipContainers", "skip-containers" },
		{ "skip", "skip-containers" },		 { "service", "services" },
		{ "servcies", "services" },		 { "mdoe", "mode" },
		{ "Mode", "mode" },			 { "modes", "mode" },
		{ "metric", "metrics" },			 { "injection", "inject" },		 { "Inject", "inject" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(meant) / sizeof(*meant); i++)
		assert_said(annotated(format("fairdial.dev/%s", meant[i][0])),
			    format("Deployment/shop/web: annotation fairdial.dev/%s: no such annotation; did you mean %s?\n",
				   meant[i][0], meant[i][1]));
	assert_said(annotated("fairdial.dev/colour"),
		    "Deployment/shop/web: annotation fairdial.dev/colour: no such annotation; a pod has inject, "
		    "skip-containers, services, mode and metrics\n");
	assert_said(annotated("fairdial.dev/"), "Deployment/shop/web: annotation fairdial.dev/: no such annotation; a pod has "
						"inject, skip-containers, services, mode and metrics\n");
	assert_said(annotated(format("fairdial.dev/%0300d", 0)),
		    format("Deployment/shop/web: annotation fairdial.dev/%0300d: no such annotation; a pod has inject, "
			   "skip-containers, services, mode and metrics\n",
			   0));
	assert_said(annotated("fairdial.dev"), "");
	assert_said(annotated("example.com/mdoe"), "");
}

static void a_policy_of_a_service_is_said_to_belong_there(void **state)
{
	(void)state;
	assert_said(annotated("fairdial.dev/balance"),
		    "Deployment/shop/web: annotation fairdial.dev/balance does nothing here: it belongs on a Service\n");
	assert_said(annotated("fairdial.dev/slow_start"),
		    "Deployment/shop/web: annotation fairdial.dev/slow_start does nothing here: it belongs on a Service\n");
	assert_said("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"annotations\":{"
		    "\"fairdial.dev/drain\":\"idle\",\"fairdial.dev/mod\":\"on\"}},"
		    "\"spec\":{\"containers\":[{\"name\":\"c\"}]}}",
		    "Pod/p: annotation fairdial.dev/drain does nothing here: it belongs on a Service\n"
		    "Pod/p: annotation fairdial.dev/mod: no such annotation; did you mean mode?\n");
	/* Of the DaemonSet itself. */
	assert_said("{\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\"metadata\":{\"name\":\"d\",\"annotations\":"
		    "{\"fairdial.dev/balance\":\"p2c\"}},"
		    "\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}}}",
		    "DaemonSet/d: annotation fairdial.dev/balance does nothing here: it belongs on a Service\n");
}

static void where_a_change_does_not_arrive_is_said(void **state)
{
	static const char pod[] = "\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\"}]}";

	(void)state;
	assert_said(format("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},%s}", pod),
		    "Pod/p: runs already, and the API takes no change of its containers: use kubectl replace --force\n");
	assert_said(format("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"ownerReferences\":[{"
			   "\"kind\":\"ReplicaSet\","
			   "\"name\":\"r\"}]},%s}",
			   pod),
		    "Pod/p: belongs to ReplicaSet/r, which makes it anew or puts it back: inject that\n");
	assert_said("{\"apiVersion\":\"batch/"
		    "v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"uid\":\"u\"},\"spec\":{\"template\":{\"spec\":"
		    "{\"containers\":[{\"name\":\"c\"}]}}}}",
		    "Job/j: exists already, and the API takes no change of a Job's template: inject the manifest it was made "
		    "of, or make it "
		    "anew\n");
}

#define LIVE(applied)                                                                                                          \
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','uid':'u','annotations':{"                       \
	"'kubectl.kubernetes.io/last-applied-configuration':'" applied "'}},'spec':{'replicas':30,'template':{"                \
	"'spec':{'containers':[{'name':'c'}]}}}}"

static void replicas_that_were_not_applied_are_said_to_be_in_danger(void **state)
{
	(void)state;
	assert_said(quoted(LIVE("{\\'spec\\':{\\'replicas\\':3}}")), "");
	assert_said(quoted(LIVE("nonsense")), "");
	assert_said(quoted(LIVE("{\\'spec\\':{}}")),
		    "Deployment/web: was applied without replicas, which an autoscaler may set: if this is applied, the next "
		    "kubectl apply without them makes it 1; inject the manifest that was applied, not what the cluster has\n");
}

#define INJECTED(metadata)                                                                                                     \
	"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p'," metadata "'fairdial.dev/injected':'{}'}},"                   \
	"'spec':{'containers':[{'name':'c'}]}}"

static void a_preload_from_elsewhere_that_was_not_applied_has_to_be_replaced(void **state)
{
	static const char pod[] = "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','uid':'u','annotations':{%s}},"
				  "'spec':{'containers':[{'name':'c','env':[{'name':'LD_PRELOAD','valueFrom':{}}]}]}}";
	static const char applied[] = "'kubectl.kubernetes.io/last-applied-configuration':'{}'";

	(void)state;
	assert_non_null(strstr(injected(quoted(format(pod, "")), NULL).said, "use kubectl replace\n"));
	assert_null(strstr(injected(quoted(format(pod, applied)), NULL).said, "kubectl replace"));
}

static void what_apply_would_not_take_out_is_said(void **state)
{
	static const char said[] =
		"Pod/p: was not injected by kubectl apply, which therefore takes nothing out of it: use kubectl replace\n";

	(void)state;
	assert_string_equal(removed(quoted(INJECTED("'annotations':{"))).said, "");
	assert_string_equal(removed(quoted(INJECTED("'uid':'u','annotations':{"))).said, said);
	assert_string_equal(
		removed(quoted(INJECTED("'uid':'u','annotations':{'kubectl.kubernetes.io/last-applied-configuration':'{}',")))
			.said,
		said);
	assert_string_equal(removed(quoted(INJECTED("'uid':'u','annotations':{'kubectl.kubernetes.io/"
						    "last-applied-configuration':'{\\'fairdial.dev/injected\\':1}',")))
				    .said,
			    "");
}

static void a_guaranteed_pod_is_said_to_be_one_no_longer(void **state)
{
	static const char said[] =
		"Deployment/shop/web: has the QoS class Guaranteed, and Burstable with fairdial's containers, whose limits are "
		"above their requests: it gets no CPUs of its own any more, and is evicted before others\n";
	static const struct {
		const char *resources, *more, *said;
	} pods[] = {
		{ "{'limits':{'cpu':'2','memory':'1Gi'}}", "", said },
		{ "{'limits':{'cpu':'2','memory':'1Gi'},'requests':{'cpu':'2','memory':'1Gi'}}", "", said },
		{ "{'limits':{'cpu':'2','memory':'1Gi'},'requests':{'cpu':'1'}}", "", "" },
		{ "{'limits':{'memory':'1Gi'}}", "", "" },
		{ "{'limits':{'cpu':'2','memory':'1Gi'}}", ",'initContainers':[{'name':'i'}]", "" },
		{ "{'limits':{'cpu':'2','memory':'1Gi'}}", ",'resources':{'limits':{'cpu':'4','memory':'2Gi'}}", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pods) / sizeof(*pods); i++)
		assert_said(with_spec(quoted(format("{'containers':[{'name':'c','resources':%s}]%s}", pods[i].resources,
						    pods[i].more))),
			    pods[i].said);
}

static void a_name_with_control_characters_makes_no_second_line(void **state)
{
	struct injection in =
		injected("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\\nb\\u001b[2J\"}}", NULL);

	(void)state;
	assert_string_equal(in.said, "Pod/a?b?[2J: has no pod: spec is missing\n");
}

/* ---- roles ---- */

/* Of these objects, a list of their texts; as compact JSON with ' for ". */
static char *roles(const char *objects, char **said)
{
	json_t *documents = json_loads(objects, 0, NULL), *roles;
	struct troubles troubles;
	char *text;

	assert_non_null(documents);
	troubles_init(&troubles);
	roles = inject_roles(documents, &troubles);
	text = json_dumps(roles, JSON_COMPACT);
	after_test(free, text);
	for (char *c = text; *c; c++)
		if (*c == '"')
			*c = '\'';
	*said = format("%s", "");
	for (size_t i = 0; i < json_array_size(troubles.lines); i++)
		*said = format("%s%s\n", *said, json_string_value(json_array_get(troubles.lines, i)));
	troubles_done(&troubles);
	json_decref(roles);
	json_decref(documents);
	return text;
}

#define ROLE(namespace)                                                                                                        \
	"{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'Role',"                                                          \
	"'metadata':{'name':'fairdial','namespace':'" namespace "'},"                                                          \
	"'rules':[{'apiGroups':[''],'resources':['services'],'verbs':['list','watch']},"                                      \
	"{'apiGroups':['discovery.k8s.io'],'resources':['endpointslices'],'verbs':['list','watch']}]}"
#define BINDING(namespace, name, account)                                                                                      \
	"{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'RoleBinding',"                                                   \
	"'metadata':{'name':'" name "','namespace':'" namespace "'},"                                                          \
	"'roleRef':{'apiGroup':'rbac.authorization.k8s.io','kind':'Role','name':'fairdial'},'subjects':[" account "]}"
#define ACCOUNT(namespace, name) "{'kind':'ServiceAccount','name':'" name "','namespace':'" namespace "'}"

#define ROLES(items) "{'apiVersion':'v1','kind':'List','items':[" items "]}"

static char *pod_of(const char *namespace, const char *spec)
{
	return format("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"%s},\"spec\":{%s\"containers\":[{"
		      "\"name\":\"c\"}]}}",
		      namespace, spec);
}

static void each_namespace_gets_a_role_for_its_accounts(void **state)
{
	const char *shop = ",\"namespace\":\"shop\"", *batch = ",\"namespace\":\"batch\"";
	char *said, *text = roles(format("[%s,{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[%s,%s,%s,%s]}]",
					 pod_of(shop, "\"serviceAccountName\":\"web\","), pod_of(batch, ""),
					 pod_of(shop, "\"serviceAccount\":\"old\","),
					 pod_of(shop, "\"serviceAccountName\":\"web\","),
					 pod_of(shop, "\"serviceAccountName\":\"\",")),
				  &said);

	(void)state;
	assert_string_equal(text, ROLES(ROLE("shop") "," BINDING("shop", "fairdial:web", ACCOUNT("shop", "web")) ","
				  BINDING("shop", "fairdial:old", ACCOUNT("shop", "old")) ","
				  BINDING("shop", "fairdial:default", ACCOUNT("shop", "default")) ","
				  ROLE("batch") "," BINDING("batch", "fairdial:default", ACCOUNT("batch", "default"))));
	assert_string_equal(said, "");
}

static void an_object_without_a_namespace_is_said_to_be_in_default(void **state)
{
	char *said, *text = roles(format("[%s]", pod_of("", "")), &said);

	(void)state;
	assert_string_equal(text, ROLES(ROLE("default") ","
				  BINDING("default", "fairdial:default", ACCOUNT("default", "default"))));
	assert_string_equal(said, "Pod/p: says no namespace: its account is taken to be in \"default\"\n");
}

/* Applied one after the other: the second replaces the subjects of a RoleBinding that it names too. */
static void roles_of_two_workloads_do_not_undo_each_other(void **state)
{
	const char *shop = ",\"namespace\":\"shop\"";
	char *said, *one = roles(format("[%s]", pod_of(shop, "\"serviceAccountName\":\"web\",")), &said);
	char *two = roles(format("[%s]", pod_of(shop, "\"serviceAccountName\":\"api\",")), &said);

	(void)state;
	assert_non_null(strstr(one, "'fairdial:web'"));
	assert_null(strstr(two, "'fairdial:web'"));
}

static void services_of_other_namespaces_are_read_there(void **state)
{
	static const char web[] = ",\"namespace\":\"web\",\"annotations\":{\"fairdial.dev/services\":\"%s\"}";
	char *said, *text = roles(format("[%s]", pod_of(format(web, "near, mysql.shop,redis.shop"), "")), &said);

	(void)state;
	assert_string_equal(text, ROLES(ROLE("web") "," BINDING("web", "fairdial:default", ACCOUNT("web", "default")) ","
				  ROLE("shop") "," BINDING("shop", "fairdial:web:default", ACCOUNT("web", "default"))));
	text = roles(format("[%s]", pod_of(format(web, "mysql.shop"), "")), &said);
	assert_string_equal(text, ROLES(ROLE("shop") ","
				  BINDING("shop", "fairdial:web:default", ACCOUNT("web", "default"))));
}

static void what_is_left_alone_needs_no_role(void **state)
{
	char *said, *text = roles(format("[%s]", pod_of(",\"annotations\":{\"fairdial.dev/inject\":\"false\"}", "")), &said);

	(void)state;
	assert_string_equal(text, "{'apiVersion':'v1','kind':'List','items':[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_cannot_be_injected_stays_and_is_said),
		TEST(a_mount_beside_ours_is_none_of_our_business),
		TEST(a_container_that_is_left_out_may_mount_what_it_likes),
		TEST(a_wrong_annotation_is_refused_with_key_and_value),
		TEST(beside_one_that_is_refused_the_others_are_done),
		TEST(a_pod_that_is_refused_later_keeps_what_it_had),
		TEST(what_one_should_know_is_said),
		TEST(an_annotation_in_the_wrong_place_is_said),
		TEST(an_annotation_that_no_pod_has_is_said_with_what_may_be_meant),
		TEST(a_policy_of_a_service_is_said_to_belong_there),
		TEST(where_a_change_does_not_arrive_is_said),
		TEST(replicas_that_were_not_applied_are_said_to_be_in_danger),
		TEST(a_preload_from_elsewhere_that_was_not_applied_has_to_be_replaced),
		TEST(what_apply_would_not_take_out_is_said),
		TEST(a_guaranteed_pod_is_said_to_be_one_no_longer),
		TEST(a_name_with_control_characters_makes_no_second_line),
		TEST(each_namespace_gets_a_role_for_its_accounts),
		TEST(an_object_without_a_namespace_is_said_to_be_in_default),
		TEST(roles_of_two_workloads_do_not_undo_each_other),
		TEST(services_of_other_namespaces_are_read_there),
		TEST(what_is_left_alone_needs_no_role),
	};

	return RUN_TESTS(tests);
}
