/* SPDX-License-Identifier: Apache-2.0 */
#include "top/rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "view/snapshot.h"

struct rates_slot {
	struct ledger_key key; /* tag 0: empty; no endpoint has that one */
	uint32_t dials;
};

static struct rates_slot *find(const struct rates *rates, struct ledger_key key)
{
	size_t mask = rates->capacity - 1;

	/* At most half of them are taken. */
	for (size_t i = (size_t)hash_mix(key.tag, key.slot);; i++) {
		struct rates_slot *slot = &rates->slots[i & mask];

		if (slot->key.tag == 0 || (slot->key.tag == key.tag && slot->key.slot == key.slot))
			return slot;
	}
}

static int make_room(struct rates *rates, size_t count)
{
	size_t capacity = 64;

	while (capacity < 2 * count)
		capacity *= 2;
	if (capacity != rates->capacity) {
		rates_free(rates);
		rates->slots = malloc(capacity * sizeof(*rates->slots));
		if (!rates->slots)
			return -ENOMEM;
		rates->capacity = capacity;
	}
	memset(rates->slots, 0, capacity * sizeof(*rates->slots));
	return 0;
}

static void keep(struct rates *rates, const struct snapshot_port *port)
{
	for (size_t i = 0; i < port->endpoint_count; i++) {
		const struct snapshot_endpoint *e = &port->endpoints[i];

		if (e->key.tag)
			*find(rates, e->key) = (struct rates_slot){ e->key, e->score.dials };
	}
}

int rates_keep(struct rates *rates, const struct snapshot *snapshot, uint64_t taken_ns)
{
	int r = make_room(rates, snapshot_endpoints(snapshot->services, snapshot->service_count));

	if (r < 0)
		return r;
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++)
			keep(rates, &snapshot->services[i].ports[j]);
	rates->taken_ns = taken_ns;
	rates->elapsed_s = 0;
	return 0;
}

void rates_until(struct rates *rates, uint64_t taken_ns)
{
	rates->elapsed_s = rates->capacity && taken_ns > rates->taken_ns ? (double)(taken_ns - rates->taken_ns) / 1e9 : 0;
}

double rates_of(const struct rates *rates, struct ledger_key key, uint32_t dials)
{
	const struct rates_slot *before;

	if (rates->elapsed_s <= 0 || key.tag == 0)
		return RATE_UNKNOWN;
	before = find(rates, key);
	if (before->key.tag == 0 || dials < before->dials)
		return RATE_UNKNOWN;
	return (double)(dials - before->dials) / rates->elapsed_s;
}

void rates_free(struct rates *rates)
{
	free(rates->slots);
	*rates = (struct rates){ 0 };
}
