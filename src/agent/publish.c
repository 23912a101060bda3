/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/publish.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "model/model.h"
#include "table/table.h"
#include "table/writer.h"

/* A line of /proc/net/route: interface, destination and mask as little-endian hexadecimal numbers among others. */
static int avoid_v4(struct model *model, const char *line)
{
	unsigned destination, mask;
	struct addr network = { 0 };
	uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };

	if (sscanf(line, "%*s %x %*x %*x %*d %*d %*d %x", &destination, &mask) != 2 || mask == 0)
		return 0;
	memcpy(network.ip, mapped, 16);
	memcpy(network.ip + 12, &destination, 4);
	network.is_v4 = 1;
	return model_avoid(model, &network, (unsigned)__builtin_popcount(mask));
}

/* A line of /proc/net/ipv6_route: destination in 32 digits, its prefix length in hexadecimal. */
static int avoid_v6(struct model *model, const char *line)
{
	struct addr network = { 0 };
	unsigned prefix_len;
	char digits[33];

	if (sscanf(line, "%32[0-9a-f] %x", digits, &prefix_len) != 2 || strlen(digits) != 32 || prefix_len == 0)
		return 0;
	for (int i = 0; i < 16; i++) {
		unsigned byte;

		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return 0;
		network.ip[i] = (uint8_t)byte;
	}
	return model_avoid(model, &network, prefix_len);
}

static int avoid_each(struct model *model, const char *path, int (*avoid)(struct model *, const char *))
{
	FILE *file = fopen(path, "re");
	char line[512];
	int r = 0;

	if (!file)
		return 0;
	while (r == 0 && fgets(line, sizeof(line), file))
		r = avoid(model, line);
	fclose(file);
	return r;
}

int publish_avoid_routes(struct model *model)
{
	int r = avoid_each(model, "/proc/net/route", avoid_v4);

	return r < 0 ? r : avoid_each(model, "/proc/net/ipv6_route", avoid_v6);
}

static void count(const struct spec *spec, struct published *published)
{
	published->services = spec->service_count;
	for (size_t i = 0; i < spec->service_count; i++) {
		published->unsynced += spec->services[i].stand_down == STAND_DOWN_UNSYNCED;
		for (size_t j = 0; j < spec->services[i].port_count; j++)
			published->endpoints += spec->services[i].ports[j].endpoint_count;
	}
}

/* Not being able to is no failure: programs make one themselves, or do without. */
static void make_ledger(const char *dir, const struct table *table)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	const struct ledger_options options = { table_head(table)->rows, table_head(table)->cursors, 0600, &trust, LEDGER_MAKE };
	struct ledger ledger;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/ledger", dir) < (int)sizeof(path) && ledger_open(path, &options, &ledger) == 0)
		ledger_close(&ledger);
}

int publish_once(const char *dir, bool no_link, struct model *model, const char *source, struct published *ret_published,
		 struct report *why)
{
	const struct writer_options options = { .is_static = true, .no_link = no_link };
	struct published published = { 0 };
	struct table_writer *writer;
	struct spec *spec;
	int r = publish_avoid_routes(model);

	if (r < 0)
		return report(why, r, "out of memory");
	r = model_resolve(model, &spec, why);
	if (r < 0)
		return r;
	spec->source = source;
	count(spec, &published);
	r = writer_open(dir, &options, &writer, why);
	if (r < 0)
		return r;
	r = writer_publish(writer, spec, why);
	if (r == 0) {
		published.generation = table_head(writer_table(writer))->current >> 1;
		make_ledger(dir, writer_table(writer));
		*ret_published = published;
	}
	writer_close(writer);
	return r;
}
