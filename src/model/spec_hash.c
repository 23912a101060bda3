/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spec_hash.h"

#include <string.h>

#include "base/hash.h"
#include "table/writer.h"

static uint64_t mix_text(uint64_t h, const char *text)
{
	return text ? hash_text(text, strlen(text), h) : hash_mix(h, UINT64_MAX);
}

static uint64_t mix_bytes(uint64_t h, const void *bytes, size_t size)
{
	return hash_text(bytes, size, h);
}

static uint64_t mix_addr(uint64_t h, const struct addr *addr)
{
	return hash_mix(mix_bytes(h, addr->ip, sizeof(addr->ip)), addr_port(addr) | (uint64_t)addr->is_v4 << 16);
}

static uint64_t mix_endpoint(uint64_t h, const struct spec_endpoint *endpoint)
{
	h = mix_addr(h, &endpoint->addr);
	h = hash_mix(h, endpoint->weight | (uint64_t)endpoint->flags << 16);
	h = mix_text(h, endpoint->zone);
	h = mix_text(h, endpoint->node);
	return hash_mix(h, endpoint->added_ms);
}

static uint64_t mix_port(uint64_t h, const struct spec_port *port)
{
	h = mix_text(h, port->name);
	h = mix_text(h, port->app_protocol);
	h = hash_mix(h, port->port | (uint64_t)port->protocol << 16);
	h = hash_mix(h, port->endpoint_count);
	for (size_t i = 0; i < port->endpoint_count; i++)
		h = mix_endpoint(h, &port->endpoints[i]);
	return h;
}

uint64_t spec_hash_service(const struct spec_service *service)
{
	uint64_t h = mix_text(mix_text(1, service->name), service->namespace);

	h = hash_mix(h, service->flags | (uint64_t)service->stand_down << 32);
	h = hash_mix(h, service->affinity_s);
	h = mix_bytes(h, &service->policy, sizeof(service->policy));
	h = hash_mix(h, service->address_count);
	for (size_t i = 0; i < service->address_count; i++)
		h = hash_mix(mix_addr(h, &service->addresses[i].addr), service->addresses[i].kind);
	h = hash_mix(h, service->port_count);
	for (size_t i = 0; i < service->port_count; i++)
		h = mix_port(h, &service->ports[i]);
	return h;
}

uint64_t spec_hash_head(const struct spec *spec)
{
	uint64_t h = mix_text(2, spec->source);

	h = hash_mix(h, spec->mode | (uint64_t)spec->stale_after_ms << 32);
	h = hash_mix(h, spec->client_rank | (uint64_t)spec->client_peers << 32);
	return hash_mix(h, spec->mesh_port);
}
