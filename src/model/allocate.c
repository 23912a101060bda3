/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses for services that have none. */
#include <errno.h>

#include "model/resolve.h"

/* The families of the endpoints; where there are none, those it had, or IPv4. */
static uint8_t families_of(const struct resolver *r, const struct spec_service *service)
{
	uint8_t families = 0;

	for (size_t i = 0; i < service->port_count; i++)
		for (size_t j = 0; j < service->ports[i].endpoint_count; j++)
			families |= service->ports[i].endpoints[j].addr.is_v4 ? WANT_V4 : WANT_V6;
	if (families == 0)
		families =
			(allocator_has(&r->model->allocator, service->name, service->namespace, true) ? WANT_V4 : 0) |
			(allocator_has(&r->model->allocator, service->name, service->namespace, false) ? WANT_V6 : 0);
	return families ? families : WANT_V4;
}

/* All that must not be given to anybody else: endpoints, addresses of Services, also of those that a file replaces. */
static int index_taken(const struct resolver *r, struct index *taken)
{
	const struct spec *spec = &r->model->spec;
	int err = 0;

	for (size_t i = 0; err == 0 && i < spec->service_count; i++) {
		const struct spec_service *service = &spec->services[i];

		for (size_t j = 0; err == 0 && j < service->address_count; j++)
			err = index_put(taken, service->addresses[j].addr.ip, 16, taken);
		for (size_t j = 0; err == 0 && j < service->port_count; j++)
			for (size_t k = 0; err == 0 && k < service->ports[j].endpoint_count; k++)
				err = index_put(taken, service->ports[j].endpoints[k].addr.ip, 16, taken);
	}
	for (size_t i = 0; err == 0 && i < r->service_count; i++)
		for (size_t j = 0; err == 0 && j < r->services[i]->service.cluster_ip_count; j++)
			err = index_put(taken, r->services[i]->service.cluster_ips[j].ip, 16, taken);
	return err;
}

static int allocate(struct resolver *r, struct spec_service *service, uint8_t wanted, const struct index *taken)
{
	struct spec_address *addresses = arena_alloc(r->out, 2, sizeof(*addresses));
	size_t n = 0;

	if (!addresses)
		return -ENOMEM;
	for (int is_v4 = 1; is_v4 >= 0; is_v4--) {
		int err;

		if (!(wanted & (is_v4 ? WANT_V4 : WANT_V6)))
			continue;
		err = allocator_get(&r->model->allocator, service->name, service->namespace, is_v4, taken,
				    &addresses[n].addr);
		if (err < 0)
			return err;
		addresses[n++].kind = ADDRESS_ALLOCATED;
	}
	service->addresses = addresses;
	service->address_count = n;
	return 0;
}

int resolve_addresses(struct resolver *r, struct report *report_)
{
	struct spec *spec = &r->model->spec;
	struct index taken = { 0 };
	bool any = false;
	int err = 0;

	allocator_begin(&r->model->allocator);
	for (size_t i = 0; i < spec->service_count; i++) {
		struct spec_service *service = &spec->services[i];

		if (!r->wanted[i])
			continue;
		any = true;
		r->wanted[i] = families_of(r, service);
		allocator_keep(&r->model->allocator, service->name, service->namespace);
	}
	if (any)
		err = index_taken(r, &taken);
	for (size_t i = 0; err == 0 && i < spec->service_count; i++) {
		if (r->wanted[i])
			err = allocate(r, &spec->services[i], r->wanted[i], &taken);
		if (err == -ENOSPC)
			report(report_, err, "no free address for service %s%s%s: give a larger --address-range",
			       spec->services[i].name, spec->services[i].namespace[0] ? "." : "",
			       spec->services[i].namespace);
	}
	index_free(&taken);
	return err;
}

bool resolve_concerns_allocated(const struct resolver *r)
{
	const struct spec *spec = &r->model->spec;

	for (size_t i = 0; i < spec->service_count; i++) {
		const struct spec_service *service = &spec->services[i];

		if (r->wanted[i])
			return true;
		for (size_t j = 0; j < service->port_count; j++)
			for (size_t k = 0; k < service->ports[j].endpoint_count; k++)
				if (allocator_is_given(&r->model->allocator, &service->ports[j].endpoints[k].addr))
					return true;
	}
	return false;
}
