/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "explain/near.h"

#define NAMED_MAX 4
#define NAME_TEXT (2 * TABLE_NAME_SIZE)

/* Returns `buf`. */
static const char *name_of(const struct snapshot_service *s, char buf[NAME_TEXT])
{
	snprintf(buf, NAME_TEXT, "%s%s%s", s->name, s->namespace[0] ? "." : "", s->namespace);
	return buf;
}

/* "80, 443", cut to what fits; "none". */
static const char *ports_of(const struct snapshot_service *s, char *buf, size_t size)
{
	struct text text = text_into(buf, size);

	for (size_t i = 0; i < s->port_count && i < NAMED_MAX; i++) {
		text_add(&text, i ? ", " : "");
		text_add_number(&text, s->ports[i].port, 10);
	}
	text_add(&text, s->port_count > NAMED_MAX ? ", ..." : s->port_count ? "" : "none");
	return buf;
}

/* Of TCP first: a dial of another protocol is not ours. */
static const struct snapshot_port *port_numbered(const struct snapshot_service *s, uint16_t number)
{
	const struct snapshot_port *found = NULL;

	for (size_t i = 0; i < s->port_count; i++)
		if (s->ports[i].port == number && (!found || strcmp(s->ports[i].protocol, "TCP") == 0))
			found = &s->ports[i];
	return found;
}

/* 1 to 65535, in digits alone; 0: it is none. */
static uint16_t port_number(const char *text)
{
	unsigned long number = 0;

	for (; text_is_digit(*text); text++) {
		number = number * 10 + (unsigned long)(*text - '0');
		if (number > UINT16_MAX)
			return 0;
	}
	return *text ? 0 : (uint16_t)number;
}

static const struct snapshot_port *port_called(const struct snapshot_service *s, const char *text)
{
	uint16_t number = port_number(text);

	if (number)
		return port_numbered(s, number);
	for (size_t i = 0; i < s->port_count; i++)
		if (s->ports[i].name[0] && strcmp(s->ports[i].name, text) == 0)
			return &s->ports[i];
	return NULL;
}

/* ---- by address ---- */

static bool has_address(const struct snapshot_service *s, const struct addr *addr)
{
	for (size_t i = 0; i < s->address_count; i++)
		if (memcmp(s->addresses[i].ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	return false;
}

static const struct snapshot_service *service_with_endpoint(const struct snapshot *snapshot, const struct addr *addr)
{
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++)
			for (size_t k = 0; k < snapshot->services[i].ports[j].endpoint_count; k++)
				if (addr_equal(&snapshot->services[i].ports[j].endpoints[k].addr, addr))
					return &snapshot->services[i];
	return NULL;
}

/* Nobody has it: the nearest thing that there is. */
static int refuse_address(const struct addr *addr, const struct snapshot *snapshot, const struct snapshot_service *same, char *why,
			  size_t size)
{
	const struct snapshot_service *of = same ? NULL : service_with_endpoint(snapshot, addr);
	char text[ADDR_TEXT], ip[ADDR_TEXT], name[NAME_TEXT], ports[64];

	addr_print(addr, text);
	addr_print_ip(addr, ip);
	if (same)
		snprintf(why, size, "%s is Service %s, but it has no port %u: a dial passes through; its ports: %s", ip,
			 name_of(same, name), addr_port(addr), ports_of(same, ports, sizeof(ports)));
	else if (of)
		snprintf(why, size, "%s is no Service but an endpoint of %s: a dial passes through, straight to it; explain %s",
			 text, name_of(of, name), name);
	else
		snprintf(why, size,
			 "%s: no Service has this address, so a dial passes through: `fairdial status` lists those there are",
			 text);
	return -ENOENT;
}

static int find_address(const struct addr *addr, const struct snapshot *snapshot, struct explain_question *ret, char *why,
			size_t size)
{
	const struct snapshot_service *same = NULL;

	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct snapshot_service *s = &snapshot->services[i];
		const struct snapshot_port *port;

		if (!has_address(s, addr))
			continue;
		same = same ? same : s;
		port = port_numbered(s, addr_port(addr));
		if (port) {
			*ret = (struct explain_question){ s, port, true, addr->is_v4 };
			return 0;
		}
	}
	return refuse_address(addr, snapshot, same, why, size);
}

/* ---- by name ---- */

/* NAME, NAME.NAMESPACE, or that with more of the domain, as DNS has it: web.shop.svc.cluster.local. */
static bool is_named(const struct snapshot_service *s, struct slice name)
{
	struct slice rest = name, head = slice_cut(&rest, '.'), namespace;

	if (!slice_equal_nocase(head, slice_of(s->name)))
		return false;
	if (!rest.at)
		return true;
	namespace = slice_cut(&rest, '.');
	return slice_equal_nocase(namespace, slice_of(s->namespace)) &&
	       (!rest.at || slice_equal_nocase(slice_cut(&rest, '.'), slice_of("svc")));
}

/* Those of that name, the first few, for who has to choose; how many there are. */
static size_t list_named(const struct snapshot *snapshot, struct slice name, char *buf, size_t size)
{
	struct text text = text_into(buf, size);
	char one[NAME_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < snapshot->service_count; i++) {
		if (!is_named(&snapshot->services[i], name) || n++ >= NAMED_MAX)
			continue;
		text_add(&text, n > 1 ? ", " : "");
		text_add(&text, name_of(&snapshot->services[i], one));
	}
	text_add(&text, n > NAMED_MAX ? ", ..." : "");
	return n;
}

/* "web.shop, wed.shop": those that it may have been meant for; false: nobody. */
static bool list_near(const struct snapshot *snapshot, struct slice name, char *buf, size_t size)
{
	const struct snapshot_service *near[NEAR_MAX];
	struct text text = text_into(buf, size);
	size_t n = near_find(snapshot, name, near);
	char one[NAME_TEXT];

	for (size_t i = 0; i < n; i++) {
		text_add(&text, i ? ", " : "");
		text_add(&text, name_of(near[i], one));
	}
	return n;
}

static int refuse_name(const struct snapshot *snapshot, struct slice name, char *why, size_t size)
{
	struct slice rest = name, head = slice_cut(&rest, '.');
	char asked[NAME_TEXT], named[NAMED_MAX * NAME_TEXT];

	snprintf(asked, sizeof(asked), "%.*s", (int)(name.len < 100 ? name.len : 100), name.at);
	if (list_named(snapshot, name, named, sizeof(named)) > 1)
		snprintf(why, size, "'%s': several Services have this name: name one of %.300s", asked, named);
	else if (rest.at && list_named(snapshot, head, named, sizeof(named)))
		snprintf(why, size, "no Service '%s', but there is %.300s", asked, named);
	else if (list_near(snapshot, name, named, sizeof(named)))
		snprintf(why, size, "no Service '%s', so a dial to it is not ours: is %.300s meant?", asked, named);
	else
		snprintf(why, size, "no Service '%s', so a dial to it is not ours: `fairdial status` lists those there are",
			 asked);
	return -ENOENT;
}

/* One without a namespace has no other name than that: it goes before those that have one. */
static const struct snapshot_service *only_named(const struct snapshot *snapshot, struct slice name)
{
	const struct snapshot_service *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct snapshot_service *s = &snapshot->services[i];

		if (!is_named(s, name))
			continue;
		if (!s->namespace[0])
			return s;
		found = s;
		n++;
	}
	return n == 1 ? found : NULL;
}

static int find_name(struct slice name, const char *port, const struct snapshot *snapshot, struct explain_question *ret, char *why,
		     size_t size)
{
	const struct snapshot_service *found = only_named(snapshot, name);
	char text[NAME_TEXT], ports[64];

	if (!found)
		return refuse_name(snapshot, name, why, size);
	*ret = (struct explain_question){ .service = found, .port = port ? port_called(found, port) : NULL };
	if (!port || ret->port)
		return 0;
	snprintf(why, size, "Service %s has no port %.64s: its ports: %s", name_of(found, text), port,
		 ports_of(found, ports, sizeof(ports)));
	return -ENOENT;
}

/* ---- either ---- */

int target_find(const char *operand, const struct snapshot *snapshot, struct explain_question *ret_question, char *why,
		size_t why_size)
{
	const char *colon = strrchr(operand, ':');
	size_t len = colon ? (size_t)(colon - operand) : strlen(operand);
	struct addr addr;

	if (addr_parse(operand, strlen(operand), &addr) == 0)
		return find_address(&addr, snapshot, ret_question, why, why_size);
	if (addr_parse_ip(operand, strlen(operand), &addr) == 0) {
		snprintf(why, why_size, "'%s': which port? %s%s%s:PORT", operand, addr.is_v4 ? "" : "[", operand,
			 addr.is_v4 ? "" : "]");
		return -EINVAL;
	}
	if (operand[0] == '[' || (colon && addr_parse_ip(operand, len, &addr) == 0)) {
		snprintf(why, why_size, "'%.100s': expected ADDR:PORT, with a port from 1 to 65535", operand);
		return -EINVAL;
	}
	if (len == 0 || (colon && colon[1] == '\0')) {
		snprintf(why, why_size, "'%.100s': expected NAME[.NAMESPACE][:PORT] or ADDR:PORT", operand);
		return -EINVAL;
	}
	return find_name((struct slice){ operand, len }, colon ? colon + 1 : NULL, snapshot, ret_question, why, why_size);
}
