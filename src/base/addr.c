/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: parse, print, compare, hash. The text forms are those of inet_pton(3) and RFC 5952. */
#include "base/bytes.h"
#include "base/addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/text.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* In two whole words, as it is read again at once: narrower stores would hold up the loads (little-endian hosts only). */
static void set_v4(struct addr *addr, const void *four_bytes)
{
	uint64_t high = 0, low;
	uint32_t v4;

	memcpy(&v4, four_bytes, 4);
	low = (uint64_t)v4 << 32 | 0xffff0000u;
	memcpy(addr->ip, &high, 8);
	memcpy(addr->ip + 8, &low, 8);
	addr->is_v4 = 1;
}

static void set_v6(struct addr *addr, const void *sixteen_bytes)
{
	memcpy(addr->ip, sixteen_bytes, 16);
	addr->is_v4 = memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool addr_from_sockaddr(struct addr *ret_addr, const struct sockaddr *sa, uint32_t len)
{
	union { /* copied: the kernel takes an address at any alignment */
		sa_family_t family;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;

	if (is_wild(sa) || len < sizeof(struct sockaddr_in) || len > sizeof(struct sockaddr_storage)) /* EINVAL, from the kernel */
		return false;
	memcpy(&u.in, sa, sizeof(u.in));
	ret_addr->zero = 0;
	if (u.family == AF_INET) {
		set_v4(ret_addr, &u.in.sin_addr);
		ret_addr->port_be = u.in.sin_port;
		return true;
	}
	/* The kernel takes 24 bytes too: RFC 2133's sockaddr_in6 had no scope (SIN6_LEN_RFC2133). */
	if (u.family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memcpy(&u.in6, sa, offsetof(struct sockaddr_in6, sin6_scope_id));
		set_v6(ret_addr, &u.in6.sin6_addr);
		ret_addr->port_be = u.in6.sin6_port;
		return true;
	}
	return false;
}

bool addr_from_bytes(struct addr *ret_addr, int family, const void *bytes, uint16_t port_be)
{
	if (family != AF_INET && family != AF_INET6)
		return false;
	ret_addr->zero = 0;
	ret_addr->port_be = port_be;
	if (family == AF_INET)
		set_v4(ret_addr, bytes);
	else
		set_v6(ret_addr, bytes);
	return true;
}

uint32_t addr_to_sockaddr(const struct addr *addr, const struct sockaddr *like, void *ret_sa)
{
	sa_family_t family;

	memcpy(&family, like, sizeof(family));
	if (family == AF_INET) {
		struct sockaddr_in *in = ret_sa;

		if (!addr->is_v4)
			return 0;
		memset(in, 0, sizeof(*in));
		in->sin_family = AF_INET;
		in->sin_port = addr->port_be;
		memcpy(&in->sin_addr, addr->ip + 12, 4);
		return sizeof(*in);
	}

	struct sockaddr_in6 *in6 = ret_sa;

	memset(in6, 0, sizeof(*in6));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = addr->port_be;
	memcpy(&in6->sin6_flowinfo, (const char *)like + offsetof(struct sockaddr_in6, sin6_flowinfo), 4);
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof(*in6);
}

static int parse_decimal(const char *text, size_t len, uint32_t max, uint32_t *ret_value)
{
	uint32_t value = 0;

	if (len == 0 || len > 5 || (len > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!text_is_digit(text[i]))
			return -EINVAL;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	if (value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int parse_v4(struct slice text, uint8_t ret_bytes[4])
{
	for (int i = 0; i < 4; i++) {
		struct slice part = slice_cut(&text, '.');
		uint32_t value;

		if (parse_decimal(part.at, part.len, 255, &value) < 0 || (i < 3) != (text.at != NULL))
			return -EINVAL;
		ret_bytes[i] = (uint8_t)value;
	}
	return 0;
}

static int hex_digit(char c)
{
	c = text_lower(c);
	if (text_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to four hexadecimal digits; returns how many were read. */
static size_t parse_group(struct slice text, uint32_t *ret_value)
{
	size_t n = 0;

	*ret_value = 0;
	while (n < text.len && n < 5 && hex_digit(text.at[n]) >= 0)
		*ret_value = *ret_value << 4 | (uint32_t)hex_digit(text.at[n++]);
	return n;
}

static int parse_v6(struct slice text, uint8_t ret_bytes[16])
{
	uint8_t bytes[16] = { 0 };
	size_t used = 0, gap = SIZE_MAX;

	if (text.len >= 2 && text.at[0] == ':' && text.at[1] == ':') {
		gap = 0;
		text.at += 2;
		text.len -= 2;
	}
	while (text.len > 0) {
		uint32_t value;
		size_t n = parse_group(text, &value);

		if (n > 0 && n < text.len && text.at[n] == '.') {
			if (used > 12 || parse_v4(text, bytes + used) < 0)
				return -EINVAL;
			used += 4;
			break;
		}
		if (n == 0 || n > 4 || used > 14)
			return -EINVAL;
		bytes[used++] = (uint8_t)(value >> 8);
		bytes[used++] = (uint8_t)value;
		text.at += n;
		text.len -= n;
		if (text.len == 0)
			break;
		if (text.at[0] != ':' || text.len == 1)
			return -EINVAL;
		text.at++;
		text.len--;
		if (text.at[0] == ':') {
			if (gap != SIZE_MAX)
				return -EINVAL;
			gap = used;
			text.at++;
			text.len--;
		}
	}
	if (gap == SIZE_MAX ? used != 16 : used > 14)
		return -EINVAL;

	memset(ret_bytes, 0, 16);
	if (gap == SIZE_MAX)
		gap = used;
	memcpy(ret_bytes, bytes, gap);
	memcpy(ret_bytes + 16 - (used - gap), bytes + gap, used - gap);
	return 0;
}

int addr_parse_ip(const char *text, size_t len, struct addr *ret_addr)
{
	struct slice s = { text, len };
	struct addr addr = { 0 };
	uint8_t bytes[16];

	if (parse_v4(s, bytes) == 0)
		set_v4(&addr, bytes);
	else if (parse_v6(s, bytes) == 0)
		set_v6(&addr, bytes);
	else
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

int addr_parse(const char *text, size_t len, struct addr *ret_addr)
{
	struct slice ip = { text, len };
	size_t colon = len;
	struct addr addr;
	uint32_t port;

	while (colon > 0 && text[colon - 1] != ':')
		colon--;
	if (colon == 0 || parse_decimal(text + colon, len - colon, 65535, &port) < 0 || port == 0)
		return -EINVAL;
	ip.len = colon - 1;
	if (ip.len >= 2 && ip.at[0] == '[' && ip.at[ip.len - 1] == ']') {
		ip.at++;
		ip.len -= 2;
	} else {
		for (size_t i = 0; i < ip.len; i++)
			if (ip.at[i] == ':') /* an IPv6 address and a port, without brackets: ambiguous */
				return -EINVAL;
	}
	if (addr_parse_ip(ip.at, ip.len, &addr) < 0)
		return -EINVAL;
	addr_set_port(&addr, (uint16_t)port);
	*ret_addr = addr;
	return 0;
}

static void print_v4(struct text *out, const uint8_t *bytes)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			text_add_char(out, '.');
		text_add_number(out, bytes[i], 10);
	}
}

static void print_v6(struct text *out, const uint8_t *bytes)
{
	int best = -1, best_len = 1; /* a single zero group is not shortened (RFC 5952 section 4.2.2) */

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && bytes[2 * (i + n)] == 0 && bytes[2 * (i + n) + 1] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			text_add(out, "::");
			i += best_len - 1;
			continue;
		}
		if (i > 0 && i != best + best_len)
			text_add_char(out, ':');
		text_add_number(out, (uint64_t)bytes[2 * i] << 8 | bytes[2 * i + 1], 16);
	}
}

static void print_ip(struct text *out, const struct addr *addr)
{
	if (addr->is_v4)
		print_v4(out, addr->ip + 12);
	else
		print_v6(out, addr->ip);
}

char *addr_print_ip(const struct addr *addr, char buf[ADDR_TEXT])
{
	struct text out = text_into(buf, ADDR_TEXT);

	print_ip(&out, addr);
	return buf;
}

char *addr_print(const struct addr *addr, char buf[ADDR_TEXT])
{
	struct text out = text_into(buf, ADDR_TEXT);

	if (!addr->is_v4)
		text_add_char(&out, '[');
	print_ip(&out, addr);
	text_add(&out, addr->is_v4 ? ":" : "]:");
	text_add_number(&out, addr_port(addr), 10);
	return buf;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	int order;

	if (a->is_v4 != b->is_v4)
		return a->is_v4 ? -1 : 1;
	order = memcmp(a->ip, b->ip, 16);
	if (order == 0)
		order = (int)addr_port(a) - (int)addr_port(b);
	return order;
}

uint64_t addr_hash(const struct addr *addr, uint64_t seed)
{
	uint64_t words[2];

	/* Three products that no address can make cancel out, and one finaliser: this is on the way of every dial. */
	memcpy(words, addr->ip, 16);
	return hash_finish(words[0] * 0x9e3779b97f4a7c15u + (words[1] ^ seed) * 0xc2b2ae3d27d4eb4fu +
			   addr->port_be * 0x165667b19e3779f9u);
}
