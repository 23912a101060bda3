/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/json.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "model/addresses.h"
#include "model/arena.h"
#include "model/policy.h"

#define ANNOTATION         "fairdial.dev/"
#define LABEL_SERVICE      "kubernetes.io/service-name"
#define LABEL_OTHER_PROXY  "service.kubernetes.io/service-proxy-name"
#define NAME_MAX_LEN       253 /* a DNS subdomain */
#define AFFINITY_DEFAULT_S 10800
#define AFFINITY_MAX_S     86400

/* What each kind is called, alone and in a list, and which group it must be of: others have Services too. */
static const struct kind {
	const char *name, *list;
	const char *group; /* "" is the core group, whose apiVersion has no '/' */
} kinds[KUBE_KINDS] = {
	[KUBE_SERVICE] = { "Service", "ServiceList", "" },
	[KUBE_SLICE] = { "EndpointSlice", "EndpointSliceList", "discovery.k8s.io" },
};

/* ---- pieces ---- */

/* One that holds a NUL would be cut there: it is as if it were absent. */
static const char *text_value(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *kube_json_text(const json_t *object, const char *key)
{
	return text_value(json_object_get(object, key));
}

/* A name of a node, a zone, a pod: nothing that is longer is one. */
static const char *name_of(const json_t *object, const char *key)
{
	const char *name = kube_json_text(object, key);

	return name && strlen(name) <= NAME_MAX_LEN ? name : NULL;
}

/* Of a port: a longer one joins none. */
static bool fits_port_name(const char *name)
{
	return !name || strlen(name) < TABLE_NAME_SIZE;
}

static bool text_equal(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* 0 where it is no port. */
static uint16_t port_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	json_int_t port = json_is_integer(value) ? json_integer_value(value) : 0;

	return port >= 1 && port <= 65535 ? (uint16_t)port : 0;
}

/* Absent is TCP; 0 where it is not known. */
static uint8_t protocol_of(const json_t *object)
{
	const json_t *value = json_object_get(object, "protocol");
	const char *name = text_value(value);

	if (!value || json_is_null(value) || text_equal(name, "TCP"))
		return PROTOCOL_TCP;
	return text_equal(name, "UDP") ? PROTOCOL_UDP : text_equal(name, "SCTP") ? PROTOCOL_SCTP : 0;
}

/*
 * Objects from before Kubernetes was strict may have leading zeros, which it takes for nothing (ParseIPSloppy):
 * they are left out here, of decimal and hexadecimal groups alike.
 */
static int parse_ip_sloppily(const char *written, struct addr *ret_addr)
{
	char buf[ADDR_TEXT];
	struct text text = text_into(buf, sizeof(buf));
	bool in_group = false;

	for (const char *c = written; *c; c++) {
		bool is_separator = *c == '.' || *c == ':', ends = c[1] == '\0' || c[1] == '.' || c[1] == ':';

		if (is_separator || *c != '0' || in_group || ends) {
			text_add_char(&text, *c);
			in_group = !is_separator;
		}
	}
	return text.full ? -EINVAL : addr_parse_ip(text.buf, text.len, ret_addr);
}

static bool ip_of(const json_t *value, struct addr *ret_addr)
{
	const char *text = text_value(value);

	return text && parse_ip_sloppily(text, ret_addr) == 0 && address_is_unicast(ret_addr);
}

/* Objects without a namespace are kubectl's "default"; the API itself always says it. */
static const char *namespace_of(const json_t *meta)
{
	const char *namespace = kube_json_text(meta, "namespace");

	return namespace ? namespace : "default";
}

/* Where objects go: into a list, or into the model at once. */
struct sink {
	struct model_list *list; /* NULL: into the model */
	struct model *model;
	uint32_t origin;
};

/* ---- Services ---- */

static const struct model *model_of(const struct sink *sink)
{
	return sink->list ? model_list_model(sink->list) : sink->model;
}

/* What comes of one that makes no sense. */
static void misread(const struct sink *sink, const json_t *meta, const char *annotation, const struct policy_key *key,
		    struct table_policy *policy)
{
	const struct model *model = model_of(sink);
	const char *namespace = namespace_of(meta), *name = kube_json_text(meta, "name");

	if (!key) {
		model_warn(model, "service %s/%s: annotation %.300s is passed over: no such key", namespace, name, annotation);
		return;
	}
	policy_misread(policy, key);
	model_warn(model, "service %s/%s: annotation %s is %s: expected %s", namespace, name, annotation,
		   key->form == FORM_MODE ? "not understood, so the Service is off" : "passed over", key->expects);
}

static void read_annotations(const struct sink *sink, const json_t *meta, struct table_policy *policy)
{
	json_t *annotations = json_object_get(meta, "annotations");
	const char *name;
	json_t *value;

	json_object_foreach(annotations, name, value)
	{
		const char *key_name = name + strlen(ANNOTATION), *text = text_value(value);
		const struct policy_key *key;

		if (strncmp(name, ANNOTATION, strlen(ANNOTATION)) != 0)
			continue;
		key = policy_find(key_name, strlen(key_name));
		if (!key || !text || policy_set(policy, key, text, strlen(text), ORIGIN_ANNOTATION) < 0)
			misread(sink, meta, name, key, policy);
	}
}

static int read_cluster_ips(const json_t *spec, struct arena *arena, struct kube_service *ret)
{
	const json_t *list = json_object_get(spec, "clusterIPs"), *one = json_object_get(spec, "clusterIP");
	size_t n = json_array_size(list);

	ret->headless = text_equal(text_value(n ? json_array_get(list, 0) : one), "None");
	ret->cluster_ips = arena_alloc(arena, n + 1, sizeof(*ret->cluster_ips));
	if (!ret->cluster_ips)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		ret->cluster_ip_count += ip_of(json_array_get(list, i), &ret->cluster_ips[ret->cluster_ip_count]);
	if (n == 0)
		ret->cluster_ip_count += ip_of(one, &ret->cluster_ips[0]);
	return 0;
}

static uint32_t read_affinity(const json_t *spec)
{
	const json_t *client_ip = json_object_get(json_object_get(spec, "sessionAffinityConfig"), "clientIP");
	const json_t *timeout = json_object_get(client_ip, "timeoutSeconds");
	json_int_t seconds = json_is_integer(timeout) ? json_integer_value(timeout) : AFFINITY_DEFAULT_S;

	if (!text_equal(kube_json_text(spec, "sessionAffinity"), "ClientIP"))
		return 0;
	return seconds >= 1 && seconds <= AFFINITY_MAX_S ? (uint32_t)seconds : AFFINITY_DEFAULT_S;
}

static int read_service_ports(const json_t *spec, struct arena *arena, struct kube_service *ret)
{
	const json_t *list = json_object_get(spec, "ports"), *item;
	size_t i;

	ret->ports = arena_alloc(arena, json_array_size(list), sizeof(*ret->ports));
	if (!ret->ports)
		return -ENOMEM;
	json_array_foreach(list, i, item)
	{
		struct kube_service_port port = {
			.name = kube_json_text(item, "name"),
			.app_protocol = name_of(item, "appProtocol"),
			.port = port_of(item, "port"),
			.protocol = protocol_of(item),
		};

		if (!fits_port_name(port.name))
			continue;
		if (!port.name)
			port.name = "";
		if (port.port && port.protocol)
			ret->ports[ret->port_count++] = port;
	}
	return 0;
}

static int tell_service(const struct sink *sink, const json_t *object, struct arena *arena)
{
	const json_t *meta = json_object_get(object, "metadata"), *spec = json_object_get(object, "spec");
	struct kube_service service = {
		.namespace = namespace_of(meta),
		.name = kube_json_text(meta, "name"),
		.type = kube_json_text(spec, "type"),
		.other_proxy = json_object_get(json_object_get(meta, "labels"), LABEL_OTHER_PROXY) != NULL,
		.local = text_equal(kube_json_text(spec, "internalTrafficPolicy"), "Local"),
		.affinity_s = read_affinity(spec),
		.annotations = policy_defaults(),
		.uid = kube_json_text(meta, "uid"),
		.version = kube_json_text(meta, "resourceVersion"),
	};

	if (!service.name)
		return -EINVAL;
	read_annotations(sink, meta, &service.annotations);
	if (read_cluster_ips(spec, arena, &service) < 0 || read_service_ports(spec, arena, &service) < 0)
		return -ENOMEM;
	return sink->list ? model_list_add_service(sink->list, &service) :
			    model_set_service(sink->model, sink->origin, &service);
}

/* ---- slices ---- */

static int8_t condition_of(const json_t *endpoint, const char *name)
{
	const json_t *value = json_object_get(json_object_get(endpoint, "conditions"), name);

	return json_is_boolean(value) ? (int8_t)json_is_true(value) : -1;
}

static int read_hints(const json_t *endpoint, const char *kind, struct arena *arena, const char *const **ret_names,
		      size_t *ret_count)
{
	const json_t *list = json_object_get(json_object_get(endpoint, "hints"), kind), *item;
	const char **names;
	size_t i, n = 0;

	names = arena_alloc(arena, json_array_size(list), sizeof(*names));
	if (!names)
		return -ENOMEM;
	json_array_foreach(list, i, item) if (name_of(item, "name")) names[n++] = name_of(item, "name");
	*ret_names = names;
	*ret_count = n;
	return 0;
}

/* NULL for what is no Pod. */
static const char *pod_of(const json_t *target)
{
	return text_equal(kube_json_text(target, "kind"), "Pod") ? name_of(target, "name") : NULL;
}

static int read_endpoints(const json_t *object, struct arena *arena, struct kube_slice *ret)
{
	const json_t *list = json_object_get(object, "endpoints"), *item;
	size_t i;

	ret->endpoints = arena_alloc(arena, json_array_size(list), sizeof(*ret->endpoints));
	if (!ret->endpoints)
		return -ENOMEM;
	json_array_foreach(list, i, item)
	{
		struct kube_endpoint *endpoint = &ret->endpoints[ret->endpoint_count];

		/* The API gives further addresses no meaning. */
		if (!ip_of(json_array_get(json_object_get(item, "addresses"), 0), &endpoint->addr))
			continue;
		endpoint->ready = condition_of(item, "ready");
		endpoint->serving = condition_of(item, "serving");
		endpoint->terminating = condition_of(item, "terminating");
		endpoint->node = name_of(item, "nodeName");
		endpoint->zone = name_of(item, "zone");
		endpoint->hostname = name_of(item, "hostname");
		endpoint->target = pod_of(json_object_get(item, "targetRef"));
		if (read_hints(item, "forZones", arena, &endpoint->hint_zones, &endpoint->hint_zone_count) < 0 ||
		    read_hints(item, "forNodes", arena, &endpoint->hint_nodes, &endpoint->hint_node_count) < 0)
			return -ENOMEM;
		ret->endpoint_count++;
	}
	return 0;
}

static int read_slice_ports(const json_t *object, struct arena *arena, struct kube_slice *ret)
{
	const json_t *list = json_object_get(object, "ports"), *item;
	size_t i;

	ret->ports = arena_alloc(arena, json_array_size(list), sizeof(*ret->ports));
	if (!ret->ports)
		return -ENOMEM;
	json_array_foreach(list, i, item)
	{
		struct kube_slice_port port = {
			.name = kube_json_text(item, "name"),
			.port = port_of(item, "port"),
			.protocol = protocol_of(item),
		};

		if (fits_port_name(port.name))
			ret->ports[ret->port_count++] = port;
	}
	return 0;
}

static int tell_slice(const struct sink *sink, const json_t *object, struct arena *arena)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *type = kube_json_text(object, "addressType");
	struct kube_slice slice = {
		.namespace = namespace_of(meta),
		.name = kube_json_text(meta, "name"),
		.service = kube_json_text(json_object_get(meta, "labels"), LABEL_SERVICE),
		.is_v4 = text_equal(type, "IPv4"),
		.uid = kube_json_text(meta, "uid"),
		.version = kube_json_text(meta, "resourceVersion"),
	};

	if (!slice.name)
		return -EINVAL;
	if (!slice.is_v4 && !text_equal(type, "IPv6"))
		slice.service = NULL; /* FQDN, or one that is not known: of nobody */
	if (read_endpoints(object, arena, &slice) < 0 || read_slice_ports(object, arena, &slice) < 0)
		return -ENOMEM;
	return sink->list ? model_list_add_slice(sink->list, &slice) :
			    model_set_slice(sink->model, sink->origin, &slice);
}

/* ---- objects ---- */

int kube_json_kind(const json_t *object)
{
	const char *name = kube_json_text(object, "kind"), *version = kube_json_text(object, "apiVersion");

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct slice rest = slice_of(version), group = slice_cut(&rest, '/');

		if (!text_equal(name, kinds[kind].name))
			continue;
		if (!version || (rest.at ? slice_is(group, kinds[kind].group) : kinds[kind].group[0] == '\0'))
			return kind;
	}
	return -ENOENT;
}

static int tell(const struct sink *sink, enum kube_kind kind, const json_t *object)
{
	struct arena arena = { 0 };
	int err = kind == KUBE_SERVICE ? tell_service(sink, object, &arena) : tell_slice(sink, object, &arena);

	arena_free(&arena);
	return err;
}

int kube_json_apply(struct model *model, uint32_t origin, enum kube_kind kind, const json_t *object)
{
	return tell(&(struct sink){ NULL, model, origin }, kind, object);
}

void kube_json_forget(struct model *model, uint32_t origin, enum kube_kind kind, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *name = kube_json_text(meta, "name");

	if (!name)
		return;
	if (kind == KUBE_SERVICE)
		model_delete_service(model, origin, namespace_of(meta), name);
	else
		model_delete_slice(model, origin, namespace_of(meta), name);
}

int kube_json_list_add(struct model_list *list, const json_t *object)
{
	return tell(&(struct sink){ .list = list }, model_list_kind(list), object);
}

/* ---- lists ---- */

/* The kind of all items; KUBE_KINDS where each tells its own; -ENOENT. */
static int list_kind(const json_t *text)
{
	const char *name = kube_json_text(text, "kind");

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		if (text_equal(name, kinds[kind].list))
			return kind;
	return text_equal(name, "List") ? KUBE_KINDS : -ENOENT;
}

/* An item of a mixed list without a kind: the list then says nothing of anything. */
static bool is_of_kinds(const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item) if (kube_json_kind(item) < 0 && !kube_json_text(item, "kind")) return false;
	return true;
}

/* One of a kind; NULL: the text says nothing of it. */
struct lists {
	struct model_list *of[KUBE_KINDS];
};

/* Adds all to their lists, or, without lists, to the model; notes which kinds there were. */
static int add_items(struct model *model, const struct lists *lists, int kind, const json_t *items,
		     bool seen[KUBE_KINDS])
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		int item_kind = kind == KUBE_KINDS ? kube_json_kind(item) : kind, err;

		if (item_kind < 0)
			continue;
		seen[item_kind] = true;
		err = lists ? kube_json_list_add(lists->of[item_kind], item) :
			      kube_json_apply(model, 0, (enum kube_kind)item_kind, item);
		if (err == -ENOMEM)
			return err;
	}
	return 0;
}

static int begin_lists(struct model *model, int kind, struct lists *lists)
{
	for (int i = 0; i < KUBE_KINDS; i++) {
		if (kind != KUBE_KINDS && kind != i)
			continue;
		lists->of[i] = model_list_begin(model, (enum kube_kind)i, 0);
		if (!lists->of[i])
			return -ENOMEM;
	}
	return 0;
}

/* The kinds of a mixed list are two lists: without memory for the second, the first has replaced what was. */
static int commit_lists(struct lists *lists)
{
	int err = 0;

	for (int i = 0; err == 0 && i < KUBE_KINDS; i++) {
		struct model_list *list = lists->of[i];

		lists->of[i] = NULL;
		err = list ? model_list_commit(list) : 0;
	}
	return err;
}

static int load_list(struct model *model, int kind, const json_t *text)
{
	const json_t *items = json_object_get(text, "items");
	const char *more = kube_json_text(json_object_get(text, "metadata"), "continue");
	bool seen[KUBE_KINDS] = { false }, mixed = kind == KUBE_KINDS, empty = json_array_size(items) == 0;
	struct lists lists = { 0 };
	int err;

	if ((!json_is_array(items) && !json_is_null(items)) || (mixed && !is_of_kinds(items)))
		return -EINVAL;
	if (more && more[0]) /* one page of several deletes nothing */
		return add_items(model, NULL, kind, items, seen);
	err = begin_lists(model, kind, &lists);
	if (err == 0)
		err = add_items(model, &lists, kind, items, seen);
	if (err == 0)
		err = commit_lists(&lists);
	for (int i = 0; i < KUBE_KINDS; i++) {
		model_list_abort(lists.of[i]);
		seen[i] = i == kind || (mixed && (empty || seen[i]));
	}
	if (err == 0)
		model_set_synced(model, seen[KUBE_SERVICE], seen[KUBE_SLICE]);
	return err;
}

int kube_json_load(struct model *model, const json_t *text)
{
	int kind = list_kind(text);
	json_t *list, *items;
	int err;

	if (kind >= 0)
		return load_list(model, kind, text);
	if (kube_json_kind(text) < 0)
		return -ENOENT;
	items = json_pack("[O]", text);
	list = json_pack("{s:s, s:o}", "kind", "List", "items", items);
	err = list ? load_list(model, KUBE_KINDS, list) : -ENOMEM;
	json_decref(list);
	return err;
}
