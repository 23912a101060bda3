/* SPDX-License-Identifier: Apache-2.0 */
/* Services of the API: which count, their slices, their ports. */
#include <errno.h>
#include <string.h>

#include "agent/model_resolve.h"

/* ---- slices of a Service ---- */

/* The first slice of the Service; those of one Service follow each other. */
static size_t first_slice(const struct resolver *r, const struct stored *service)
{
	size_t low = 0, high = r->slice_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct stored *slice = r->slices[middle];

		if (resolve_compare(slice->namespace, slice->slice.service, service->namespace, service->name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_slice_of(const struct stored *slice, const struct stored *service)
{
	return resolve_compare(slice->namespace, slice->slice.service, service->namespace, service->name) == 0;
}

/* A port of a slice without a name or a number is ignored, as kube-proxy does. */
static bool joins(const struct kube_slice_port *slice_port, const struct kube_service_port *port)
{
	return slice_port->name && slice_port->port && slice_port->protocol == port->protocol &&
	       strcmp(slice_port->name, port->name) == 0;
}

static int add_slice(struct resolver *r, const struct kube_slice *slice, uint16_t port)
{
	for (size_t i = 0; i < slice->endpoint_count; i++) {
		struct candidate *candidate;

		if (slice->endpoints[i].addr.is_v4 != slice->is_v4)
			continue;
		candidate = resolve_candidate(r);
		if (!candidate)
			return -ENOMEM;
		candidate_from_kube(candidate, &slice->endpoints[i], port);
	}
	return 0;
}

static int add_slices(struct resolver *r, const struct stored *service, const struct kube_service_port *port)
{
	for (size_t i = first_slice(r, service); i < r->slice_count && is_slice_of(r->slices[i], service); i++) {
		const struct kube_slice *slice = &r->slices[i]->slice;

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

static enum stand_down stand_down_of(const struct model *model, const struct kube_service *service)
{
	if (service->other_proxy)
		return STAND_DOWN_OTHER_PROXY;
	if (strcmp(service->namespace, "default") == 0 && strcmp(service->name, "kubernetes") == 0)
		return STAND_DOWN_API;
	if (!model->synced[KUBE_SERVICE] || !model->synced[KUBE_SLICE])
		return STAND_DOWN_UNSYNCED;
	return STAND_DOWN_NO;
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
		if (add_slices(r, stored, from) < 0 || resolve_port(r, place, port) < 0)
			return -ENOMEM;
		ret->port_count++;
	}
	return 0;
}

struct given {
	uint8_t ip[16];
	uint16_t port;
	uint8_t protocol, zero;
};

static struct given given_of(const struct addr *addr, uint16_t port, uint8_t protocol)
{
	struct given given = { .port = port, .protocol = protocol };

	memcpy(given.ip, addr->ip, sizeof(given.ip));
	return given;
}

int resolve_index_given(struct resolver *r)
{
	for (size_t i = 0; i < r->file_count; i++) {
		const struct file_service *service = r->files[i];

		for (size_t k = 0; k < service->address_count * service->port_count; k++) {
			const struct file_port *port = &service->ports[k % service->port_count];
			struct given *given = arena_alloc(&r->scratch, 1, sizeof(*given));

			if (!given)
				return -ENOMEM;
			*given = given_of(&service->addresses[k / service->port_count], port->port, port->protocol);
			if (index_put(&r->given, given, sizeof(*given), given) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static bool is_given(const struct resolver *r, const struct addr *addr, const struct spec_service *service)
{
	for (size_t i = 0; i < service->port_count; i++) {
		struct given given = given_of(addr, service->ports[i].port, service->ports[i].protocol);

		if (index_get(&r->given, &given, sizeof(given)))
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
	ret->stand_down = stand_down_of(r->model, service);
	ret->policy = resolve_policy(&r->model->file, &service->annotations, NULL);
	by_address = service->headless && ret->policy.headless == HEADLESS_ADDRESS;
	/*
	 * The DNS answers all that are ready of a headless Service; only where it is dialed by an address is it one
	 * that kube-proxy's rules are for.
	 */
	if (service->headless && !by_address)
		place.local = place.hinted = false;
	if (kube_ports(r, stored, &place, ret) < 0 || kube_addresses(r, service, ret) < 0)
		return -ENOMEM;
	ret->flags = (service->headless ? SERVICE_HEADLESS : 0) | (ret->address_count ? SERVICE_OWN_ADDRESS : 0) |
		     (service->local ? SERVICE_LOCAL : 0);
	if (ret->port_count == 0)
		memset(ret, 0, sizeof(*ret));
	else
		r->wanted[r->model->spec.service_count++] = by_address && !ret->stand_down ? WANT_ANY : 0;
	return 0;
}
