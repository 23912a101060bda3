/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/pod.h"

#include "inject/names.h"
#include "inject/preload.h"
#include "inject/quoted.h"
#include "inject/record.h"

/* The user of the image, for pods that would have root instead, which runAsNonRoot refuses. */
#define OUR_USER 65532

/* The token and the CA as the API server itself mounts them, but for us alone: also without automountServiceAccountToken. */
static const char volumes_text[] =
	"[ { 'name': '" VOLUME_BIN "', 'emptyDir': { 'sizeLimit': '64Mi' } },"
	"  { 'name': '" VOLUME_RUN "', 'emptyDir': { 'medium': 'Memory', 'sizeLimit': '64Mi' } },"
	"  { 'name': '" VOLUME_TOKEN "', 'projected': { 'defaultMode': 292, 'sources': ["
	"      { 'serviceAccountToken': { 'path': 'token', 'expirationSeconds': 3600 } },"
	"      { 'configMap': { 'name': 'kube-root-ca.crt', 'items': [ { 'key': 'ca.crt', 'path': 'ca.crt' } ] } },"
	"      { 'downwardAPI': { 'items': ["
	"          { 'path': 'namespace', 'fieldRef': { 'fieldPath': 'metadata.namespace' } } ] } } ] } },"
	"  { 'name': '" VOLUME_CONFIG "', 'configMap': { 'name': 'fairdial', 'optional': true } } ]";

#define MOUNT_BIN "{ 'name': '" VOLUME_BIN "', 'mountPath': '" PATH_BIN "' }"
#define MOUNT_RUN "{ 'name': '" VOLUME_RUN "', 'mountPath': '" PATH_RUN "' }"

#define SECURITY                                                                                          \
	"{ 'allowPrivilegeEscalation': false, 'capabilities': { 'drop': [ 'ALL' ] },"                     \
	"  'readOnlyRootFilesystem': true, 'runAsNonRoot': true, 'seccompProfile': { 'type': 'RuntimeDefault' } }"

/* For whoever looks at the table from there: kubectl exec POD -c fairdial-agent -- /bin/fairdial status. */
#define DIR "{ 'name': 'FAIRDIAL_DIR', 'value': '" TABLE_DIR "' }"

static const char install_text[] =
	"{ 'name': '" NAME_INSTALL "', 'image': null,"
	"  'command': [ '/bin/fairdial', 'install', '" PATH_BIN "' ],"
	"  'resources': { 'requests': { 'cpu': '10m', 'memory': '32Mi' }, 'limits': { 'cpu': '500m', 'memory': '64Mi' } },"
	"  'securityContext': " SECURITY ","
	"  'volumeMounts': [ " MOUNT_BIN " ] }";

static const char agent_text[] =
	"{ 'name': '" NAME_AGENT "', 'image': null, 'restartPolicy': 'Always',"
	"  'command': [ '/bin/fairdial', 'agent', '--dir', '" TABLE_DIR "', '--share-ledger',"
	"               '--services', '-" PATH_CONFIG "/services.json' ],"
	"  'env': [ " DIR ","
	"           { 'name': 'POD_NAME', 'valueFrom': { 'fieldRef': { 'fieldPath': 'metadata.name' } } },"
	"           { 'name': 'POD_NAMESPACE', 'valueFrom': { 'fieldRef': { 'fieldPath': 'metadata.namespace' } } },"
	"           { 'name': 'POD_IPS', 'valueFrom': { 'fieldRef': { 'fieldPath': 'status.podIPs' } } },"
	"           { 'name': 'NODE_NAME', 'valueFrom': { 'fieldRef': { 'fieldPath': 'spec.nodeName' } } },"
	"           { 'name': 'POD_IP', 'valueFrom': { 'fieldRef': { 'fieldPath': 'status.podIP' } } },"
	"           { 'name': 'HOST_IP', 'valueFrom': { 'fieldRef': { 'fieldPath': 'status.hostIP' } } } ],"
	"  'resources': { 'requests': { 'cpu': '10m', 'memory': '32Mi' }, 'limits': { 'cpu': '500m', 'memory': '256Mi' } },"
	"  'securityContext': " SECURITY ","
	"  'volumeMounts': [ " MOUNT_RUN ","
	"                    { 'name': '" VOLUME_TOKEN "', 'mountPath': '" PATH_TOKEN "', 'readOnly': true },"
	"                    { 'name': '" VOLUME_CONFIG "', 'mountPath': '" PATH_CONFIG "', 'readOnly': true } ] }";

/* Of each of the pod's own containers; the ledger is in the second. */
static const char mounts_text[] =
	"[ { 'name': '" VOLUME_BIN "', 'mountPath': '" PATH_BIN "', 'readOnly': true }, " MOUNT_RUN " ]";

static const char dir_text[] = DIR;

static void append_all(json_t *array, json_t *more)
{
	json_array_extend(array, more);
	json_decref(more);
}

/* ---- our containers ---- */

static bool runs_as_root(const json_t *pod)
{
	const json_t *context = json_object_get(json_object_get(pod, "spec"), "securityContext");
	const json_t *user = json_object_get(context, "runAsUser");

	return json_is_integer(user) && json_integer_value(user) == 0;
}

static json_t *our_container(const char *text, const json_t *pod, const struct inject_options *options)
{
	json_t *container = quoted_json(text), *context = json_object_get(container, "securityContext");

	json_object_set_new(container, "image", json_string(options->image));
	if (options->pull_policy)
		json_object_set_new(container, "imagePullPolicy", json_string(options->pull_policy));
	if (runs_as_root(pod)) {
		json_object_set_new(context, "runAsUser", json_integer(OUR_USER));
		json_object_set_new(context, "runAsGroup", json_integer(OUR_USER));
	}
	return container;
}

static json_t *agent_container(const json_t *pod, const struct wishes *wishes, const struct inject_options *options)
{
	json_t *agent = our_container(agent_text, pod, options), *command = json_object_get(agent, "command");
	const char *mode = wishes->mode ? wishes->mode : options->mode;
	unsigned metrics = wishes->metrics ? wishes->metrics : options->metrics;

	if (wishes->services)
		append_all(command, json_pack("[s, O]", "--service", wishes->services));
	if (mode)
		append_all(command, json_pack("[s, s]", "--mode", mode));
	if (metrics) {
		json_array_append_new(command, json_string("--listen"));
		json_array_append_new(command, json_sprintf(":%u", metrics));
		json_object_set_new(agent, "ports", json_pack("[{s:s, s:i}]", "name", PORT_METRICS, "containerPort", (int)metrics));
	}
	return agent;
}

/* ---- the pod's containers ---- */

static void add_to_container(json_t *container, const struct inject_options *options, json_t *record)
{
	json_t *env = record_open(record, container, "env", json_array());
	json_t *mounts = record_open(record, container, "volumeMounts", json_array());

	preload_add(env, options->existing_preload, record);
	if (preload_entry(env, "FAIRDIAL_DIR", NULL))
		json_object_set_new(record, "dir", json_string("kept"));
	else
		json_array_append_new(env, quoted_json(dir_text));
	append_all(mounts, quoted_json(mounts_text));
}

void pod_add(json_t *pod, const struct wishes *wishes, const struct inject_options *options)
{
	json_t *spec = json_object_get(pod, "spec"), *containers = json_object_get(spec, "containers");
	json_t *record = json_pack("{s:s}", "version", FAIRDIAL_VERSION), *parts = json_object();
	json_t *first;

	for (size_t i = 0; i < json_array_size(containers); i++) {
		json_t *container = json_array_get(containers, i), *part;
		const char *name = kinds_text(container, "name");

		if (wishes_skip(wishes, name))
			continue;
		part = json_object();
		json_object_set_new(parts, name, part);
		add_to_container(container, options, part);
	}
	json_object_set_new(record, "containers", parts);
	first = record_open(record, spec, "initContainers", json_array());
	json_array_insert_new(first, 0, our_container(install_text, pod, options));
	json_array_insert_new(first, 1, agent_container(pod, wishes, options));
	append_all(record_open(record, spec, "volumes", json_array()), quoted_json(volumes_text));
	record_write(record, pod);
	json_decref(record);
}
