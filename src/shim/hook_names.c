/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo(3) and its elders. A name of ours is answered without a DNS query, but for a headless Service's, whose addresses
 * are only put in order; the libc itself makes every list that the
 * program will free, because no two libcs make them alike: it is asked for a number, and the numbers are then overwritten in
 * place. So service names, socket types, errors and memory are its own.
 *
 * The number is written in octal with leading zeros (inet_aton(3) takes as many as there are), because both libcs copy
 * the text they were asked for to where the canonical name goes: so there is room for the real one.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "shim/names.h"
#include "shim/next.h"

#define HOOK __attribute__((visibility("default")))

extern int *__h_errno_location(void) __attribute__((weak));

/* "0000…0012.0.0.01", as long as `name` at least. */
static const char *padded_number(const struct addr *addr, size_t name_len, char buf[NAMES_MAX + 16])
{
	char digits[32];
	struct text number = text_into(digits, sizeof(digits)), out = text_into(buf, NAMES_MAX + 16);

	for (int i = 0; i < 4; i++) {
		if (i)
			text_add_char(&number, '.');
		text_add_char(&number, '0');
		if (addr->ip[12 + i])
			text_add_number(&number, addr->ip[12 + i], 8);
	}
	for (size_t n = number.len; n < name_len; n++)
		text_add_char(&out, '0');
	text_add(&out, digits);
	return buf;
}

/* ---- getaddrinfo ---- */

static void overwrite_addresses(struct addrinfo *list, const struct answer *answer)
{
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET6 && answer->has_v6)
			memcpy(&((struct sockaddr_in6 *)ai->ai_addr)->sin6_addr, answer->v6.ip, 16);
		if (ai->ai_family == AF_INET && answer->has_v4)
			memcpy(&((struct sockaddr_in *)ai->ai_addr)->sin_addr, answer->v4.ip + 12, 4);
	}
}

static void overwrite_name(char *name, const char *canonical)
{
	if (name && text_len(name) >= text_len(canonical))
		memcpy(name, canonical, text_len(canonical) + 1);
}

/* ::1 and 127.0.0.1 in one block under both libcs: two addresses to overwrite. */
static int ask_for_both(const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo own = *hints;

	own.ai_flags &= ~(AI_CANONNAME | AI_PASSIVE | AI_NUMERICHOST);
	return next_functions()->getaddrinfo(NULL, service ? service : "0", &own, res);
}

/*
 * One address. An IPv6 one is asked for as a mapped IPv4 one, which leaves room for any name and is overwritten too.
 */
static int ask_for_one(const struct answer *answer, int family, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	char number[NAMES_MAX + 16];
	struct addrinfo own = *hints;
	struct addr any = answer->v4;

	if (!answer->has_v4) {
		memset(&any, 0, sizeof(any));
		any.ip[12] = 127; /* overwritten; what it is does not matter */
	}
	own.ai_family = family;
	own.ai_flags |= AI_NUMERICHOST;
	if (family == AF_INET6)
		own.ai_flags |= AI_V4MAPPED;
	return next_functions()->getaddrinfo(padded_number(&any, text_len(answer->canonical), number), service, &own, res);
}

/* Which families the answer has for these hints. False: none, and EAI_NONAME is what a name without them gives. */
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

	if (!narrow(answer, &own))
		return EAI_NONAME;
	/* None of these means anything for a number, and AI_ADDRCONFIG would have a lone loopback answer nothing. */
	own.ai_flags &= ~(AI_PASSIVE | AI_ADDRCONFIG | AI_ALL);
	if (own.ai_family == AF_UNSPEC && answer->has_v4 && answer->has_v6 && !(own.ai_flags & AI_CANONNAME) &&
	    (service || own.ai_socktype != SOCK_RAW)) { /* which knows no services, not even "0" */
		r = ask_for_both(service, &own, res);
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
	char number[NAMES_MAX + 16];
};

/* The answer as a number to ask for. False where there is none of that family. */
static bool write_number(struct host_question *q, int family)
{
	if (family == AF_INET) {
		if (q->answer.has_v4)
			padded_number(&q->answer.v4, text_len(q->answer.canonical), q->number);
		return q->answer.has_v4;
	}

	/* An IPv6 address in full has 39 characters: room for a name that is no longer. */
	struct text out = text_into(q->number, sizeof(q->number));

	for (int i = 0; i < 16; i++) {
		if (i && i % 2 == 0)
			text_add_char(&out, ':');
		text_add_char(&out, "0123456789abcdef"[q->answer.v6.ip[i] >> 4]);
		text_add_char(&out, "0123456789abcdef"[q->answer.v6.ip[i] & 15]);
	}
	return q->answer.has_v6 && text_len(q->answer.canonical) <= out.len;
}

/* What to ask the libc for: the name, or a number instead of it. */
static const char *ask_for_host(struct host_question *q, const char *name, int family)
{
	q->result = NAMES_LIBC;
	if (name && (family == AF_INET || family == AF_INET6))
		q->result = names_answer(name, &q->answer);
	if (q->result != NAMES_ADDRESSES)
		return name;
	if (write_number(q, family))
		return q->number;
	q->result = NAMES_LIBC;
	return name;
}

/* Makes what it said the answer to the name. */
static struct hostent *finish_host(const struct host_question *q, struct hostent *host)
{
	if (host && q->result == NAMES_ADDRESSES)
		overwrite_name(host->h_name, q->answer.canonical);
	if (host && q->result == NAMES_ORDER)
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
	int r;

	if (!next->gethostbyname_r) {
		*result = NULL;
		*h_error = NO_RECOVERY;
		return ENOSYS;
	}
	r = next->gethostbyname_r(ask_for_host(&q, name, AF_INET), host, buf, size, result, h_error);
	if (r == 0)
		finish_host(&q, *result);
	return r;
}

HOOK int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict host, char *restrict buf,
			  size_t size, struct hostent **restrict result, int *restrict h_error)
{
	const struct next *next = next_functions();
	struct host_question q;
	int r;

	if (!next->gethostbyname2_r) {
		*result = NULL;
		*h_error = NO_RECOVERY;
		return ENOSYS;
	}
	r = next->gethostbyname2_r(ask_for_host(&q, name, family), family, host, buf, size, result, h_error);
	if (r == 0)
		finish_host(&q, *result);
	return r;
}
