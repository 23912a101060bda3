/* SPDX-License-Identifier: Apache-2.0 */
#include "support/kube_objects.h"

#include "support/testing.h"

#include "model/model.h"
#include "model/policy.h"

#define MAX 64

/* Texts of the objects at hand; the model copies them. */
static char texts[16384];
static size_t texts_used;

static const char *keep(const char *text, size_t len)
{
	char *copy = texts + texts_used;

	assert_true(texts_used + len + 1 <= sizeof(texts));
	memcpy(copy, text, len);
	copy[len] = '\0';
	texts_used += len + 1;
	return copy;
}

/* The next word up to `sep` or the end; NULL at the end. */
static const char *next(const char **rest, char sep)
{
	const char *start = *rest, *end;

	while (*start == sep)
		start++;
	if (!*start)
		return NULL;
	end = strchr(start, sep);
	if (!end)
		end = start + strlen(start);
	*rest = end;
	return keep(start, (size_t)(end - start));
}

static void split_name(const char *name, const char **ret_name, const char **ret_namespace)
{
	const char *dot = strchr(name, '.');

	*ret_name = dot ? keep(name, (size_t)(dot - name)) : name;
	*ret_namespace = dot ? dot + 1 : "shop";
}

static void split_port(const char *word, const char **ret_name, uint16_t *ret_port, uint8_t *ret_protocol)
{
	const char *colon = strchr(word, ':'), *slash = strchr(word, '/');

	assert_non_null(colon);
	*ret_name = word[0] == '?' ? NULL : keep(word, (size_t)(colon - word));
	*ret_port = (uint16_t)atoi(colon + 1);
	*ret_protocol = !slash                        ? PROTOCOL_TCP
			: strcmp(slash, "/UDP") == 0  ? PROTOCOL_UDP
			: strcmp(slash, "/SCTP") == 0 ? PROTOCOL_SCTP
						      : 0;
}

void tell_service(const struct teller *teller, const char *name, const char *addresses, const char *ports,
		  void (*change)(struct kube_service *service))
{
	struct kube_service_port port_room[MAX] = { 0 };
	struct addr address_room[MAX];
	struct kube_service service = {
		.type = "ClusterIP",
		.cluster_ips = address_room,
		.ports = port_room,
		.annotations = policy_defaults(),
		.uid = "uid",
		.version = teller->version,
	};
	const char *word;

	texts_used = 0;
	split_name(name, &service.name, &service.namespace);
	service.headless = strcmp(addresses, "None") == 0;
	while (!service.headless && (word = next(&addresses, ' ')))
		assert_int_equal(addr_parse_ip(word, strlen(word), &address_room[service.cluster_ip_count++]), 0);
	while ((word = next(&ports, ' '))) {
		struct kube_service_port *port = &port_room[service.port_count++];

		split_port(word, &port->name, &port->port, &port->protocol);
	}
	if (change)
		change(&service);
	assert_int_equal(teller->list ? model_list_add_service(teller->list, &service) :
					model_set_service(teller->model, teller->origin, &service),
			 0);
}

void put_service(struct model *model, const char *name, const char *addresses, const char *ports,
		 void (*change)(struct kube_service *service))
{
	tell_service(&(struct teller){ .model = model }, name, addresses, ports, change);
}

struct hints {
	const char *zones[8], *nodes[8];
};

static void set_detail(struct kube_endpoint *endpoint, struct hints *hints, const char *word)
{
	if (strncmp(word, "hz=", 3) == 0)
		hints->zones[endpoint->hint_zone_count++] = word + 3;
	else if (strncmp(word, "hn=", 3) == 0)
		hints->nodes[endpoint->hint_node_count++] = word + 3;
	else if (strncmp(word, "p=", 2) == 0)
		endpoint->target = word + 2;
	else if (strncmp(word, "h=", 2) == 0)
		endpoint->hostname = word + 2;
	else if (strncmp(word, "n=", 2) == 0)
		endpoint->node = word + 2;
	else if (strncmp(word, "z=", 2) == 0)
		endpoint->zone = word + 2;
	else
		*(word[0] == 'r'   ? &endpoint->ready
		  : word[0] == 's' ? &endpoint->serving
				   : &endpoint->terminating) = (int8_t)(word[1] - '0');
}

static void read_endpoint(const char *text, struct kube_endpoint *ret, struct hints *hints)
{
	const char *word = next(&text, ',');

	*ret = (struct kube_endpoint){ .ready = -1, .serving = -1, .terminating = -1 };
	assert_int_equal(addr_parse_ip(word, strlen(word), &ret->addr), 0);
	while ((word = next(&text, ',')))
		set_detail(ret, hints, word);
	ret->hint_zones = hints->zones;
	ret->hint_nodes = hints->nodes;
}

void tell_slice(const struct teller *teller, const char *name, const char *service, const char *ports,
		const char *endpoints)
{
	struct kube_slice_port port_room[MAX] = { 0 };
	struct kube_endpoint endpoint_room[MAX] = { 0 };
	struct hints hints[MAX] = { 0 };
	struct kube_slice slice = {
		.service = service,
		.ports = port_room,
		.endpoints = endpoint_room,
		.uid = "uid",
		.version = teller->version,
	};
	const char *word;

	texts_used = 0;
	split_name(name, &slice.name, &slice.namespace);
	while ((word = next(&ports, ' '))) {
		struct kube_slice_port *port = &port_room[slice.port_count++];

		split_port(word, &port->name, &port->port, &port->protocol);
	}
	while ((word = next(&endpoints, ' '))) {
		read_endpoint(word, &endpoint_room[slice.endpoint_count], &hints[slice.endpoint_count]);
		slice.endpoint_count++;
	}
	slice.is_v4 = slice.endpoint_count == 0 || endpoint_room[0].addr.is_v4;
	assert_int_equal(teller->list ? model_list_add_slice(teller->list, &slice) :
					model_set_slice(teller->model, teller->origin, &slice),
			 0);
}

void put_slice(struct model *model, const char *name, const char *service, const char *ports, const char *endpoints)
{
	tell_slice(&(struct teller){ .model = model }, name, service, ports, endpoints);
}
