/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kube_json.h"

#include <errno.h>
#include <string.h>

#include "agent/addresses.h"
#include "agent/arena.h"
#include "agent/policy.h"
#include "base/text.h"

#define ANNOTATION         "fairdial.dev/"
#define LABEL_SERVICE      "kubernetes.io/service-name"
#define LABEL_OTHER_PROXY  "service.kubernetes.io/service-proxy-name"
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

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
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
	const char *name = json_string_value(value);

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
	const char *text = json_string_value(value);

	return text && parse_ip_sloppily(text, ret_addr) == 0 && address_is_unicast(ret_addr);
}

/* Objects without a namespace are kubectl's "default"; the API itself always says it. */
static const char *namespace_of(const json_t *meta)
{
	const char *namespace = text_of(meta, "namespace");

	return namespace ? namespace : "default";
}

/* ---- Services ---- */

static void read_annotations(const json_t *meta, struct table_policy *policy, struct report *warning)
{
	json_t *annotations = json_object_get(meta, "annotations");
	const char *name;
	json_t *value;

	json_object_foreach(annotations, name, value)
	{
		const char *key_name = name + strlen(ANNOTATION), *text = json_string_value(value);
		const struct policy_key *key;

		if (strncmp(name, ANNOTATION, strlen(ANNOTATION)) != 0)
			continue;
		key = policy_find(key_name, strlen(key_name));
		if (key && text && policy_set(policy, key, text, strlen(text), ORIGIN_ANNOTATION) == 0)
			continue;
		if (warning)
			report(warning, -EINVAL, "service %s/%s: annotation %s is passed over: %s%s",
			       namespace_of(meta), text_of(meta, "name"), name, key ? "expected " : "no such key",
			       key ? key->expects : "");
	}
}

static int read_cluster_ips(const json_t *spec, struct arena *arena, struct kube_service *ret)
{
	const json_t *list = json_object_get(spec, "clusterIPs"), *one = json_object_get(spec, "clusterIP");
	size_t n = json_array_size(list);

	ret->headless = text_equal(json_string_value(n ? json_array_get(list, 0) : one), "None");
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

	if (!text_equal(text_of(spec, "sessionAffinity"), "ClientIP"))
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
			.name = text_of(item, "name"),
			.app_protocol = text_of(item, "appProtocol"),
			.port = port_of(item, "port"),
			.protocol = protocol_of(item),
		};

		if (!port.name)
			port.name = "";
		if (port.port && port.protocol)
			ret->ports[ret->port_count++] = port;
	}
	return 0;
}

static int set_service(struct model *model, const json_t *object, struct arena *arena, struct report *warning)
{
	const json_t *meta = json_object_get(object, "metadata"), *spec = json_object_get(object, "spec");
	struct kube_service service = {
		.namespace = namespace_of(meta),
		.name = text_of(meta, "name"),
		.type = text_of(spec, "type"),
		.other_proxy = json_object_get(json_object_get(meta, "labels"), LABEL_OTHER_PROXY) != NULL,
		.local = text_equal(text_of(spec, "internalTrafficPolicy"), "Local"),
		.affinity_s = read_affinity(spec),
		.annotations = policy_defaults(),
	};

	if (!service.name)
		return -EINVAL;
	read_annotations(meta, &service.annotations, warning);
	if (read_cluster_ips(spec, arena, &service) < 0 || read_service_ports(spec, arena, &service) < 0)
		return -ENOMEM;
	return model_set_service(model, &service);
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
	json_array_foreach(list, i, item) if (text_of(item, "name")) names[n++] = text_of(item, "name");
	*ret_names = names;
	*ret_count = n;
	return 0;
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
		endpoint->node = text_of(item, "nodeName");
		endpoint->zone = text_of(item, "zone");
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
	json_array_foreach(list, i, item) ret->ports[ret->port_count++] = (struct kube_slice_port){
		.name = text_of(item, "name"),
		.port = port_of(item, "port"),
		.protocol = protocol_of(item),
	};
	return 0;
}

static int set_slice(struct model *model, const json_t *object, struct arena *arena)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *type = text_of(object, "addressType");
	struct kube_slice slice = {
		.namespace = namespace_of(meta),
		.name = text_of(meta, "name"),
		.service = text_of(json_object_get(meta, "labels"), LABEL_SERVICE),
		.is_v4 = text_equal(type, "IPv4"),
	};

	if (!slice.name)
		return -EINVAL;
	if (!slice.is_v4 && !text_equal(type, "IPv6"))
		slice.service = NULL; /* FQDN, or one that is not known: of nobody */
	if (read_endpoints(object, arena, &slice) < 0 || read_slice_ports(object, arena, &slice) < 0)
		return -ENOMEM;
	return model_set_slice(model, &slice);
}

/* ---- objects ---- */

int kube_json_kind(const json_t *object)
{
	const char *name = text_of(object, "kind"), *version = text_of(object, "apiVersion");

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct slice rest = slice_of(version), group = slice_cut(&rest, '/');

		if (!text_equal(name, kinds[kind].name))
			continue;
		if (!version || (rest.at ? slice_is(group, kinds[kind].group) : kinds[kind].group[0] == '\0'))
			return kind;
	}
	return -ENOENT;
}

int kube_json_set(struct model *model, enum kube_kind kind, const json_t *object, struct report *warning)
{
	struct arena arena = { 0 };
	int err = kind == KUBE_SERVICE ? set_service(model, object, &arena, warning) : set_slice(model, object, &arena);

	arena_free(&arena);
	return err;
}

void kube_json_delete(struct model *model, enum kube_kind kind, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *name = text_of(meta, "name");

	if (!name)
		return;
	if (kind == KUBE_SERVICE)
		model_delete_service(model, namespace_of(meta), name);
	else
		model_delete_slice(model, namespace_of(meta), name);
}

/* ---- lists ---- */

/* The kind of all items; KUBE_KINDS where each tells its own; -ENOENT. */
static int list_kind(const json_t *text)
{
	const char *name = text_of(text, "kind");

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		if (text_equal(name, kinds[kind].list))
			return kind;
	return text_equal(name, "List") ? KUBE_KINDS : -ENOENT;
}

/* Sets all; notes which kinds there were. */
static int set_items(struct model *model, int kind, const json_t *items, bool seen[KUBE_KINDS], struct report *warning)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		int item_kind = kind == KUBE_KINDS ? kube_json_kind(item) : kind;

		if (item_kind < 0 && !text_of(item, "kind"))
			return -EINVAL; /* of a mixed list, which then says nothing of anything */
		if (item_kind < 0)
			continue;
		seen[item_kind] = true;
		if (kube_json_set(model, (enum kube_kind)item_kind, item, warning) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int load_list(struct model *model, int kind, const json_t *text, struct report *warning)
{
	const json_t *items = json_object_get(text, "items");
	const char *more = text_of(json_object_get(text, "metadata"), "continue");
	bool seen[KUBE_KINDS] = { false }, mixed = kind == KUBE_KINDS, empty = json_array_size(items) == 0;
	uint32_t begun = model_list_begin(model);
	int err;

	if (!json_is_array(items) && !json_is_null(items))
		return -EINVAL;
	err = set_items(model, kind, items, seen, warning);
	if (err < 0 || (more && more[0]))
		return err;
	for (int i = 0; i < KUBE_KINDS; i++) {
		if (mixed || i == kind)
			model_list_end(model, (enum kube_kind)i, NULL, begun);
		seen[i] = i == kind || (mixed && (empty || seen[i]));
	}
	model_set_synced(model, seen[KUBE_SERVICE], seen[KUBE_SLICE]);
	return 0;
}

int kube_json_load(struct model *model, const json_t *text, struct report *warning)
{
	int kind = list_kind(text);
	json_t *list, *items;
	int err;

	if (kind >= 0)
		return load_list(model, kind, text, warning);
	if (kube_json_kind(text) < 0)
		return -ENOENT;
	items = json_pack("[O]", text);
	list = json_pack("{s:s, s:o}", "kind", "List", "items", items);
	err = list ? load_list(model, KUBE_KINDS, list, warning) : -ENOMEM;
	json_decref(list);
	return err;
}
