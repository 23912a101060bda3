/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a headless Service's addresses. The libc has made the list, and DNS has said what is in it; here addresses change
 * places inside it, so that the one which the program dials first is the one whose turn it is.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/trace.h"
#include "shim/dial.h"
#include "shim/names.h"

#include <errno.h>

#define CLASSES_MAX 16 /* glibc makes nine at most: three types of sockets, each for IPv4, IPv6 and mapped */

/* Entries that may change places: those of one family, as written and as meant, for one kind of socket. */
struct class {
	int family, type, protocol;
	bool is_v4;
	struct addrinfo *first; /* that has not got its address yet */
};

struct order {
	struct dial dial;
	const struct answer *answer;
	struct class classes[CLASSES_MAX]; /* of an addrinfo list */
	int class_count;
	struct hostent *host; /* or NULL */
	int placed;	      /* of its addresses */
	bool has_v4, has_v6;
	bool first_v4;
	uint16_t port; /* that the list is for; 0: it does not say */
	int picks;
	struct addr first; /* the one in front now, or that would be */
	bool ordered;
	bool observed; /* nothing changes places */
};

/* ---- the list of getaddrinfo ---- */

static bool read_entry(const struct addrinfo *ai, struct addr *ret_addr)
{
	return addr_from_sockaddr(ret_addr, ai->ai_addr, ai->ai_addrlen);
}

static bool is_member(const struct class *class, const struct addrinfo *ai)
{
	struct addr addr;

	return ai->ai_family == class->family && ai->ai_socktype == class->type && ai->ai_protocol == class->protocol &&
	       read_entry(ai, &addr) && addr.is_v4 == class->is_v4;
}

/* The first of a class from `ai` on, or NULL. */
static struct addrinfo *member_from(const struct class *class, struct addrinfo *ai)
{
	while (ai && !is_member(class, ai))
		ai = ai->ai_next;
	return ai;
}

static bool has_ip(const struct addrinfo *ai, const struct addr *addr)
{
	struct addr own;

	return read_entry(ai, &own) && memcmp(own.ip, addr->ip, sizeof(own.ip)) == 0;
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

/* Of those that are left, the address goes in front and the others one place on. False where it is not among them. */
static bool place_in_class(struct class *class, const struct addr *addr, bool move)
{
	struct addrinfo *hit = class->first, *ai = class->first;
	struct sockaddr_in6 carried;

	while (hit && !has_ip(hit, addr))
		hit = member_from(class, hit->ai_next);
	if (!hit || !move)
		return hit != NULL;
	memcpy(&carried, hit->ai_addr, hit->ai_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(carried));
	for (;; ai = member_from(class, ai->ai_next)) {
		swap_bytes((uint8_t *)ai->ai_addr, (uint8_t *)&carried,
			   ai->ai_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(carried));
		if (ai == hit)
			break;
	}
	class->first = member_from(class, class->first->ai_next);
	return true;
}

static void note_class(struct order *o, struct addrinfo *ai)
{
	struct addr addr;

	if (!read_entry(ai, &addr))
		return;
	for (int i = 0; i < o->class_count; i++)
		if (is_member(&o->classes[i], ai))
			return;
	if (o->class_count == CLASSES_MAX)
		return;
	o->classes[o->class_count++] =
		(struct class){ ai->ai_family, ai->ai_socktype, ai->ai_protocol, addr.is_v4, ai };
	if (addr.is_v4)
		o->has_v4 = true;
	else
		o->has_v6 = true;
}

/* ---- that of gethostbyname ---- */

static bool is_at(const struct hostent *host, const char *bytes, const struct addr *addr)
{
	if (host->h_addrtype == AF_INET)
		return addr->is_v4 && memcmp(bytes, addr->ip + 12, 4) == 0;
	return memcmp(bytes, addr->ip, 16) == 0;
}

static bool place_in_host(struct order *o, const struct addr *addr, bool move)
{
	char **at = o->host->h_addr_list + o->placed, **hit = at;
	size_t size = o->host->h_addrtype == AF_INET ? 4 : 16;
	uint8_t carried[16];

	while (*hit && !is_at(o->host, *hit, addr))
		hit++;
	if (!*hit || !move)
		return *hit != NULL;
	memcpy(carried, addr->ip + 16 - size, size);
	for (; at <= hit; at++)
		swap_bytes((uint8_t *)*at, carried, size);
	o->placed++;
	return true;
}

/* ---- in order ---- */

/* False where the list does not have the address among those that are left. */
static bool place(struct order *o, const struct addr *addr, bool move)
{
	bool found = false;

	if (o->host)
		return place_in_host(o, addr, move);
	for (int i = 0; i < o->class_count; i++)
		if (place_in_class(&o->classes[i], addr, move))
			found = true;
	return found;
}

/* The row of the TCP port that the program has asked for; of the first one where that is none of the Service's; or -ENOENT. */
static int find_port(const struct table_view *view, const struct table_service *service, uint16_t wanted,
		     struct table_port *ret_port)
{
	int found = -ENOENT;

	for (uint32_t i = service->first_port; i < service->first_port + service->port_count; i++) {
		struct table_port port;

		if (table_port(view, i, &port) < 0)
			return -ENOENT;
		if (port.protocol != PROTOCOL_TCP || (found >= 0 && port.port != wanted))
			continue;
		*ret_port = port;
		found = (int)i;
		if (port.port == wanted)
			break;
	}
	return found;
}

static bool open_port(struct order *o, const struct table_view *view)
{
	struct dial *d = &o->dial;
	enum names_result result;
	struct table_service service;
	struct table_rules rules;
	struct table_port port;
	int row;

	result = names_headless(d->attachment, d->settings, view, o->answer, &service);
	row = result == NAMES_LIBC ? -1 : find_port(view, &service, o->port, &port);
	if (row < 0)
		return false;
	o->observed = result == NAMES_OBSERVED;
	rules = table_rules(view);
	dial_take_port(d, view, &rules, (uint32_t)row, &port);
	if (!d->pick.noise)
		d->pick.noise = dial_own_turn();
	memset(d->pick.tried, 0, sizeof(d->pick.tried));
	o->picks = 0;
	return table_endpoint_rows(view, d->pick.rows.first, d->pick.rows.count, &d->pick.rows) == 0;
}

/* The next endpoint by the policy that the list has. */
static bool next_listed(struct order *o, const struct table_view *view, struct candidate *ret_candidate, struct addr *ret_addr)
{
	struct pick *pick = &o->dial.pick;

	while (o->picks++ < PICK_MAX_TRIED && pick_next(pick, o->dial.balance, ret_candidate)) {
		struct table_endpoint row;

		if (table_endpoint(view, pick->rows.first + ret_candidate->index, &row) < 0)
			return false;
		*ret_addr = table_endpoint_addr(&row);
		pick_mark_tried(pick, ret_candidate->index);
		if (place(o, ret_addr, false))
			return true;
	}
	return false;
}

/* Should the table change meanwhile, the rest stays as DNS had it. */
static void place_others(struct order *o, const struct table_view *view)
{
	struct candidate candidate;
	struct addr addr;

	o->dial.pick.still = true;
	/* Another one each time, or the same endpoint would always stand behind the same other one. */
	for (;;) {
		o->dial.pick.noise = hash_finish(o->dial.pick.noise);
		if (!next_listed(o, view, &candidate, &addr) || !table_end(view))
			return;
		place(o, &addr, true);
	}
}

/* Who is only observed dials whom the DNS has in front: the place is given back, the count stays. */
static void end_claim(const struct order *o, const struct candidate *candidate)
{
	if (o->observed)
		ledger_release(o->dial.pick.ledger, candidate->key);
	else
		ledger_landed(o->dial.pick.ledger, candidate->key);
}

/*
 * The one in front counts as a connection at once: many lookups may come before the kernel knows of the first dial. The next
 * mend takes it back from a program that did not dial.
 */
static bool order_family(struct order *o, bool v4, bool counts)
{
	int torn = 0;

	o->dial.v4 = v4;
	o->dial.pick.still = !counts;
	for (int tries = 0; torn < TABLE_TRIES; tries++) {
		struct candidate candidate;
		struct table_view view;
		struct addr addr;
		bool found;

		if (!table_begin(&o->dial.attachment->table, &view)) {
			torn++;
			continue;
		}
		found = open_port(o, &view);
		if (found && counts) /* nobody else would: what is dialed by a pod's address is no dial of ours */
			dial_mend_if_due(&o->dial, &view, false);
		found = found && next_listed(o, &view, &candidate, &addr);
		if (!table_end(&view)) {
			torn++;
			continue;
		}
		if (!found)
			return false;
		if (counts && !dial_claim(&o->dial, &candidate, tries))
			continue; /* somebody took that place: count again */
		if (counts) {
			end_claim(o, &candidate);
			o->first = addr;
			o->ordered = true;
		}
		if (o->observed)
			return true;
		place(o, &addr, true);
		place_others(o, &view);
		return true;
	}
	return false;
}

__attribute__((noinline))
static void trace_order(const struct order *o)
{
	const struct balance_policy *policy = balance_policy(o->dial.balance);
	char buf[512], addr[ADDR_TEXT];
	struct text line;

	if (!(o->dial.settings->trace & TRACE_NAMES))
		return;
	line = trace_begin(buf, sizeof(buf), "names");
	text_add(&line, o->answer->canonical);
	text_add(&line, !o->ordered ? " passed: no endpoint can be dialed" :
			o->observed ? " passed: mode observe, first would be " : " -> in order, first ");
	if (o->ordered) {
		text_add(&line, addr_print_ip(&o->first, addr));
		text_add(&line, " ");
		text_add(&line, policy ? policy->name : "?");
	}
	trace_end(&line, o->dial.settings->trace_path);
}

/* The family of the list's first entry is dialed first, and its first address is the one that counts. */
static void put_in_order(struct order *o)
{
	bool counted;

	o->dial.blocking = true;
	counted = order_family(o, o->first_v4, true);
	if (o->first_v4 ? o->has_v6 : o->has_v4)
		order_family(o, !o->first_v4, !counted);
	trace_order(o);
}

/* ---- for the hooks, whose frames are below those of the libc: not in them ---- */

__attribute__((noinline))
void names_order_list(const struct answer *answer, struct addrinfo *list)
{
	struct order o;
	struct addr first;
	bool streams = false;

	memset(&o, 0, sizeof(o));
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		note_class(&o, ai);
		streams = streams || ai->ai_socktype == SOCK_STREAM;
	}
	if (!streams || !read_entry(list, &first) || !dial_init(&o.dial))
		return;
	o.answer = answer;
	o.first_v4 = first.is_v4;
	o.port = addr_port(&first);
	put_in_order(&o);
}

__attribute__((noinline))
void names_order_host(const struct answer *answer, struct hostent *host)
{
	struct order o;

	memset(&o, 0, sizeof(o));
	if (!host->h_addr_list || !host->h_addr_list[0] || !dial_init(&o.dial))
		return;
	o.answer = answer;
	o.host = host;
	o.first_v4 = host->h_addrtype == AF_INET;
	put_in_order(&o);
}
