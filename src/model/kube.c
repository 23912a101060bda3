/* SPDX-License-Identifier: Apache-2.0 */
/* Services of the API: which count, their slices, their ports. */
#include <errno.h>
#include <string.h>

#include "model/addresses.h"
#include "model/resolve.h"

/* ---- slices of a Service ---- */

/* A port of a slice without a name or a number is ignored, as kube-proxy does. */
static bool joins(const struct kube_slice_port *slice_port, const struct kube_service_port *port)
{
	return slice_port->name && slice_port->port && slice_port->protocol == port->protocol &&
	       strcmp(slice_port->name, port->name) == 0;
}

/* What the API refuses (CVE-2021-25737) does not get by here where it did not. */
static bool is_refused(const struct resolver *r, const struct addr *addr)
{
	return address_is_link_local(addr) || (r->model->no_loopback && address_is_loopback(addr));
}

static int add_slice(struct resolver *r, const struct kube_slice *slice, uint16_t port)
{
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		struct candidate *candidate;

		if (slice->endpoints[i].addr.is_v4 != slice->is_v4 || is_refused(r, &slice->endpoints[i].addr))
			continue;
		candidate = resolve_candidate(r);
		if (!candidate)
			return -ENOMEM;
		candidate_from_kube(candidate, &slice->endpoints[i], port);
	}
	return 0;
}

static int add_slices(struct resolver *r, const struct group *group, const struct kube_service_port *port)
{
	for (const struct stored *stored = group->slices; stored; stored = stored->next) {
		const struct kube_slice *slice = &stored->slice;

		for (size_t j = 0; j < slice->port_count; j++)
			if (joins(&slice->ports[j], port) && add_slice(r, slice, slice->ports[j].port) < 0)
				return -ENOMEM;
	}
	return 0;
}

static bool has_port(const struct spec_service *service, uint16_t port, uint8_t protocol)
{
	for (size_t i = 0; i < service->port_count; i++)
		if (service->ports[i].port == port && service->ports[i].protocol == protocol)
			return true;
	return false;
}

/* ---- a Service of the API ---- */

/* proxy/util: ShouldSkipService; and one without ports has nothing to dial, so its name is left to the DNS. */
static bool is_skipped(const struct kube_service *service)
{
	return (service->type && strcmp(service->type, "ExternalName") == 0) ||
	       (!service->headless && service->cluster_ip_count == 0) || service->port_count == 0;
}

static bool is_synced(const struct model *model, const char *namespace)
{
	const struct synced_namespace *synced = index_get(&model->synced_namespaces, namespace, strlen(namespace));

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		if (!model->synced[kind] && (!synced || !synced->kinds[kind]))
			return false;
	return true;
}

static enum stand_down stand_down_of(const struct model *model, const struct kube_service *service, bool has_address)
{
	if (strcmp(service->namespace, "default") == 0 && strcmp(service->name, "kubernetes") == 0)
		return STAND_DOWN_API;
	if (service->other_proxy)
		return STAND_DOWN_OTHER_PROXY;
	if (model->mesh_port && has_address)
		return STAND_DOWN_MESH;
	return is_synced(model, service->namespace) ? STAND_DOWN_NO : STAND_DOWN_UNSYNCED;
}

static int kube_ports(struct resolver *r, const struct stored *stored, const struct place *place,
		      struct spec_service *ret)
{
	const struct kube_service *service = &stored->service;

	ret->ports = arena_alloc(r->out, service->port_count, sizeof(*ret->ports));
	if (!ret->ports)
		return -ENOMEM;
	for (size_t i = 0; i < service->port_count; i++) {
		const struct kube_service_port *from = &service->ports[i];
		struct spec_port *port = &ret->ports[ret->port_count];

		if (!from->port || !from->protocol || has_port(ret, from->port, from->protocol))
			continue;
		port->name = from->name;
		port->app_protocol = from->app_protocol;
		port->port = from->port;
		port->protocol = from->protocol;
		if (add_slices(r, stored->group, from) < 0 || resolve_port(r, place, port) < 0)
			return -ENOMEM;
		ret->port_count++;
	}
	return 0;
}

static bool is_given(const struct resolver *r, const struct addr *addr, const struct spec_service *service)
{
	for (size_t i = 0; i < service->port_count; i++) {
		struct given given = given_of(addr, service->ports[i].port, service->ports[i].protocol);

		if (index_get(&r->model->given, &given, sizeof(given)))
			return true;
	}
	return false;
}

static bool has_address(const struct spec_address *addresses, size_t n, const struct addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(addresses[i].addr.ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	return false;
}

static int kube_addresses(struct resolver *r, const struct kube_service *service, struct spec_service *ret)
{
	struct spec_address *addresses = arena_alloc(r->out, service->cluster_ip_count, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < service->cluster_ip_count; i++) {
		const struct addr *addr = &service->cluster_ips[i];

		if (is_given(r, addr, ret) || has_address(addresses, ret->address_count, addr))
			continue;
		addresses[ret->address_count++] = (struct spec_address){ *addr, ADDRESS_CLUSTER };
	}
	ret->addresses = addresses;
	return 0;
}

int resolve_kube(struct resolver *r, const struct stored *stored)
{
	const struct kube_service *service = &stored->service;
	struct spec_service *ret = &r->model->spec.services[r->model->spec.service_count];
	struct place place = { r->model->node, r->zone, service->local, true };
	bool by_address;

	if (is_skipped(service))
		return 0;
	ret->name = service->name;
	ret->namespace = service->namespace;
	ret->affinity_s = service->affinity_s;
	ret->policy = resolve_policy(r->model, &service->annotations, NULL);
	by_address = service->headless && ret->policy.headless == HEADLESS_ADDRESS;
	/*
	 * The DNS answers all that are ready of a headless Service; only where it is dialed by an address is it one
	 * that kube-proxy's rules are for.
	 */
	if (service->headless && !by_address)
		place.local = place.hinted = false;
	if (kube_ports(r, stored, &place, ret) < 0 || kube_addresses(r, service, ret) < 0)
		return -ENOMEM;
	ret->stand_down = stand_down_of(r->model, service, ret->address_count > 0);
	ret->flags = (service->headless ? SERVICE_HEADLESS : 0) | (ret->address_count ? SERVICE_OWN_ADDRESS : 0) |
		     (service->local ? SERVICE_LOCAL : 0);
	if (ret->port_count == 0)
		memset(ret, 0, sizeof(*ret));
	else
		r->wanted[r->model->spec.service_count++] = by_address && !ret->stand_down ? WANT_ANY : 0;
	return 0;
}
