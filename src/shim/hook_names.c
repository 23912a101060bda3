/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo(3) and its elders. A name of ours is answered without a DNS query, but for a headless Service's, whose addresses are
 * only put in order. The libc itself makes every list that the program will free, because no two libcs make them alike: it is
 * asked for a number, and the numbers are then overwritten in place. So service names, socket types, errors and memory are
 * its own.
 *
 * The number is all zeros, as many as the name has letters (inet_aton(3) takes any count): both libcs copy the text they
 * were asked for to where the canonical name goes, so there is room for the real one, and not more of a caller's buffer is
 * used than that takes.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/sys.h"
#include "shim/names.h"
#include "shim/next.h"

#define HOOK __attribute__((visibility("default")))

extern int *__h_errno_location(void) __attribute__((weak));

/* "000", as long as a name of `name_len` letters. */
static const char *ipv4_number(size_t name_len, char buf[NAMES_MAX])
{
	struct text out = text_into(buf, NAMES_MAX);

	do
		text_add_char(&out, '0');
	while (out.len < name_len);
	return buf;
}

/* "::00:0000", as long as a name of `name_len` letters, or a little longer. NULL where none is. */
static const char *ipv6_number(size_t name_len, char buf[NAMES_MAX])
{
	static const char groups[] = "0000:0000:0000:0000:0000:0000:0000:0000";
	const size_t whole = sizeof(groups) - 1;
	struct text out = text_into(buf, NAMES_MAX);
	size_t from = 0;

	if (name_len > whole)
		return NULL;
	if (name_len + 3 <= whole) { /* what "::" stands for is one group at least */
		from = whole - (name_len > 2 ? name_len - 2 : 0);
		if (groups[from] == ':')
			text_add_char(&out, '0'); /* "0:" and ":0000" */
		text_add(&out, groups[from] == ':' ? ":" : "::");
	}
	text_add(&out, groups + from);
	return buf;
}

/* ---- getaddrinfo ---- */

static void overwrite_addresses(struct addrinfo *list, const struct answer *answer)
{
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET6)
			memcpy(&((struct sockaddr_in6 *)ai->ai_addr)->sin6_addr,
			       answer->has_v6 ? answer->v6.ip : answer->v4.ip, 16); /* the mapped form is how it is kept */
		if (ai->ai_family == AF_INET && answer->has_v4)
			memcpy(&((struct sockaddr_in *)ai->ai_addr)->sin_addr, answer->v4.ip + 12, 4);
	}
}

static void overwrite_name(char *name, const char *canonical)
{
	if (name && text_len(name) >= text_len(canonical))
		memcpy(name, canonical, text_len(canonical) + 1);
}

/* Whether there is a way to it. No packet is sent. */
static bool has_route(const struct addr *addr)
{
	const struct sockaddr_in6 like = { .sin6_family = addr->is_v4 ? AF_INET : AF_INET6 };
	struct sockaddr_in6 to;
	int fd = sys_socket(like.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	has = sys_connect(fd, &to, addr_to_sockaddr(addr, (const struct sockaddr *)&like, &to)) == 0;
	sys_close(fd);
	return has;
}

/* Entries of IPv4 before those of IPv6, each in their order. Any order can be freed. */
static struct addrinfo *ipv4_first(struct addrinfo *list)
{
	struct addrinfo *head[2] = { NULL, NULL }, **end[2] = { &head[0], &head[1] };

	for (; list; list = list->ai_next) {
		int i = list->ai_family != AF_INET;

		*end[i] = list;
		end[i] = &list->ai_next;
	}
	*end[1] = NULL;
	*end[0] = head[1];
	return head[0];
}

/* Raw sockets do not, not even "0"; nor do those that only some libc knows. */
static bool knows_services(int type)
{
	return type == 0 || type == SOCK_STREAM || type == SOCK_DGRAM;
}

/* ::1 and 127.0.0.1 in one block under both libcs: two addresses to overwrite, IPv6 in front. */
__attribute__((noinline))
static int ask_for_both(const struct answer *answer, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo own = *hints;
	int r;

	own.ai_flags &= ~(AI_CANONNAME | AI_PASSIVE | AI_NUMERICHOST);
	r = next_functions()->getaddrinfo(NULL, service ? service : "0", &own, res);
	if (r == EAI_SERVICE && !service && !knows_services(own.ai_socktype)) {
		own.ai_socktype = SOCK_STREAM;
		own.ai_protocol = 0;
		r = next_functions()->getaddrinfo(NULL, "0", &own, res);
	}
	if (r != 0)
		return r;
	for (struct addrinfo *ai = *res; ai && own.ai_socktype != hints->ai_socktype; ai = ai->ai_next) {
		ai->ai_socktype = hints->ai_socktype;
		ai->ai_protocol = hints->ai_protocol;
	}
	/* As the libc puts last what cannot be reached (RFC 6724, rule 1): many a program tries the first one alone. */
	if (!has_route(&answer->v6) && has_route(&answer->v4))
		*res = ipv4_first(*res);
	return 0;
}

/*
 * One address. An IPv6 one is asked for as a mapped IPv4 one, which leaves room for any name.
 */
__attribute__((noinline)) /* the number is on the stack of those alone who need it */
static int ask_for_one(const struct answer *answer, int family, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	char number[NAMES_MAX];
	struct addrinfo own = *hints;

	own.ai_family = family;
	own.ai_flags |= AI_NUMERICHOST;
	if (family == AF_INET6)
		own.ai_flags |= AI_V4MAPPED;
	return next_functions()->getaddrinfo(ipv4_number(text_len(answer->canonical), number), service, &own, res);
}

static bool is_full_name(const char *name)
{
	struct slice rest = slice_of(name);

	slice_cut(&rest, '.');
	return rest.at != NULL;
}

/*
 * No address of that family. What is wrong with the other arguments counts before that, and what it is called is the libc's:
 * so it is asked for a number of the other family. glibc has an error of its own for numbers, and for names two: one
 * that the DNS knows has no data, and another does not exist.
 */
static int ask_for_none(const struct answer *answer, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo own = *hints;
	int r;

	own.ai_flags = (own.ai_flags | AI_NUMERICHOST) & ~AI_V4MAPPED;
	r = next_functions()->getaddrinfo(own.ai_family == AF_INET ? "::1" : "127.0.0.1", service, &own, res);
	if (r == 0) /* no libc says so; and the program must not dial this number */
		return EAI_NONAME;
	if (r == EAI_ADDRFAMILY)
		return is_full_name(answer->canonical) ? EAI_NODATA : EAI_NONAME;
	return r;
}

/* Which families the answer has for these hints. False: none. */
static bool narrow(struct answer *answer, const struct addrinfo *hints)
{
	bool mapped = hints->ai_family == AF_INET6 && !answer->has_v6 && (hints->ai_flags & AI_V4MAPPED);

	if (hints->ai_family == AF_INET)
		answer->has_v6 = false;
	if (hints->ai_family == AF_INET6 && !mapped)
		answer->has_v4 = false;
	return answer->has_v4 || answer->has_v6;
}

static int answer_list(struct answer *answer, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	static const struct addrinfo no_hints;
	struct addrinfo own = hints ? *hints : no_hints;
	int r;

	/* None of these means anything for a number, and AI_ADDRCONFIG would have a lone loopback answer nothing. */
	own.ai_flags &= ~(AI_PASSIVE | AI_ADDRCONFIG | AI_ALL);
	if (!narrow(answer, &own))
		return ask_for_none(answer, service, &own, res);
	if (own.ai_family == AF_UNSPEC && answer->has_v4 && answer->has_v6 && !(own.ai_flags & AI_CANONNAME)) {
		r = ask_for_both(answer, service, &own, res);
	} else {
		if (own.ai_family == AF_UNSPEC && answer->has_v4)
			answer->has_v6 = false; /* a canonical name has room beside one address only */
		r = ask_for_one(answer, own.ai_family == AF_INET6 || !answer->has_v4 ? AF_INET6 : AF_INET, service, &own, res);
	}
	if (r != 0)
		return r;
	overwrite_addresses(*res, answer);
	/* glibc fills it in where AI_CANONNAME asks for it, musl wherever there was a name. */
	for (struct addrinfo *ai = *res; ai; ai = ai->ai_next)
		overwrite_name(ai->ai_canonname, answer->canonical);
	return 0;
}

__attribute__((noinline))
static bool answer_addrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
			    int *ret_result)
{
	int family = hints ? hints->ai_family : AF_UNSPEC;
	int before = errno_get();
	struct answer answer;

	if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
		return false;
	if (hints && (hints->ai_flags & AI_NUMERICHOST))
		return false;
	switch (names_answer(node, &answer)) {
	case NAMES_ADDRESSES:
		*ret_result = answer_list(&answer, service, hints, res);
		if (*ret_result != EAI_SYSTEM)
			errno_set(before);
		return true;
	case NAMES_ORDER:
	case NAMES_OBSERVED:
		*ret_result = next_functions()->getaddrinfo(node, service, hints, res);
		if (*ret_result == 0)
			names_order_list(&answer, *res);
		return true;
	default:
		return false;
	}
}

HOOK int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
		     struct addrinfo **restrict res)
{
	const struct next *next = next_functions();
	int result;

	if (!next->getaddrinfo)
		return EAI_FAIL;
	if (node && answer_addrinfo(node, service, hints, res, &result))
		return result;
	return next->getaddrinfo(node, service, hints, res);
}

/* ---- gethostbyname and its elders' forms ---- */

struct host_question {
	enum names_result result;
	struct answer answer;
	int before; /* errno */
	char number[NAMES_MAX];
};

/* The answer as a number to ask for. NULL where there is none of that family. */
static const char *write_number(struct host_question *q, int family)
{
	size_t len = text_len(q->answer.canonical);

	if (family == AF_INET)
		return q->answer.has_v4 ? ipv4_number(len, q->number) : NULL;
	return q->answer.has_v6 ? ipv6_number(len, q->number) : NULL;
}

/* What to ask the libc for: the name, or a number instead of it. */
static const char *ask_for_host(struct host_question *q, const char *name, int family)
{
	const char *number;

	q->result = NAMES_LIBC;
	q->before = errno_get();
	if (name && (family == AF_INET || family == AF_INET6))
		q->result = names_answer(name, &q->answer);
	if (q->result != NAMES_ADDRESSES)
		return name;
	number = write_number(q, family);
	if (!number)
		q->result = NAMES_LIBC;
	return number ? number : name;
}

static void overwrite_host(const struct answer *answer, struct hostent *host)
{
	const uint8_t *ip = host->h_addrtype == AF_INET ? answer->v4.ip + 12 : answer->v6.ip;

	memcpy(host->h_addr_list[0], ip, host->h_addrtype == AF_INET ? 4 : 16);
	overwrite_name(host->h_name, answer->canonical);
}

/*
 * How much of a caller's buffer to leave out: when it is asked for a number, glibc puts pointers where the buffer begins; for
 * names it aligns them.
 */
static size_t gap_before(const struct host_question *q, const char *buf, size_t size)
{
	size_t gap = -(uintptr_t)buf % sizeof(char *);

	if (q->result != NAMES_ADDRESSES)
		return 0;
	return gap < size ? gap : size;
}

/* Makes what it said the answer to the name. */
static struct hostent *finish_host(const struct host_question *q, struct hostent *host)
{
	if (host && q->result == NAMES_ADDRESSES) {
		overwrite_host(&q->answer, host);
		errno_set(q->before);
	}
	if (host && (q->result == NAMES_ORDER || q->result == NAMES_OBSERVED))
		names_order_host(&q->answer, host);
	return host;
}

static struct hostent *no_resolver(void)
{
	if (__h_errno_location)
		*__h_errno_location() = NO_RECOVERY;
	return NULL;
}

HOOK struct hostent *gethostbyname(const char *name)
{
	const struct next *next = next_functions();
	struct host_question q;

	if (!next->gethostbyname)
		return no_resolver();
	name = ask_for_host(&q, name, AF_INET);
	return finish_host(&q, next->gethostbyname(name));
}

HOOK struct hostent *gethostbyname2(const char *name, int family)
{
	const struct next *next = next_functions();
	struct host_question q;

	if (!next->gethostbyname2)
		return no_resolver();
	name = ask_for_host(&q, name, family);
	return finish_host(&q, next->gethostbyname2(name, family));
}

HOOK int gethostbyname_r(const char *restrict name, struct hostent *restrict host, char *restrict buf, size_t size,
			 struct hostent **restrict result, int *restrict h_error)
{
	const struct next *next = next_functions();
	struct host_question q;
	size_t gap;
	int r;

	if (!next->gethostbyname_r) {
		*result = NULL;
		*h_error = NO_RECOVERY;
		return ENOSYS;
	}
	name = ask_for_host(&q, name, AF_INET);
	gap = gap_before(&q, buf, size);
	r = next->gethostbyname_r(name, host, buf + gap, size - gap, result, h_error);
	if (r == 0)
		finish_host(&q, *result);
	return r;
}

HOOK int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict host, char *restrict buf,
			  size_t size, struct hostent **restrict result, int *restrict h_error)
{
	const struct next *next = next_functions();
	struct host_question q;
	size_t gap;
	int r;

	if (!next->gethostbyname2_r) {
		*result = NULL;
		*h_error = NO_RECOVERY;
		return ENOSYS;
	}
	name = ask_for_host(&q, name, family);
	gap = gap_before(&q, buf, size);
	r = next->gethostbyname2_r(name, family, host, buf + gap, size - gap, result, h_error);
	if (r == 0)
		finish_host(&q, *result);
	return r;
}
