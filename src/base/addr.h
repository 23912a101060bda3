/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One type for every network address: IPv4, IPv6 and IPv4 mapped into IPv6 (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2). The bytes are always sixteen; an IPv4 address is kept in its mapped form, so that
 * comparing and hashing know no families.
 *
 * Every function here is pure, needs no C library and may be called from a signal handler.
 */
#ifndef FAIRDIAL_BASE_ADDR_H
#define FAIRDIAL_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

struct addr {
	uint8_t ip[16];	  /* network byte order; IPv4 as ::ffff:a.b.c.d */
	uint16_t port_be; /* network byte order */
	uint8_t is_v4;	  /* 1: IPv4, whichever way it was written */
	uint8_t zero;
};

/* Room for the longest text that addr_print writes, "[v6]:port" and the final NUL included. */
#define ADDR_TEXT 64

/* What a program handed to connect(2). False for another family, a NULL pointer or a short length. */
bool addr_from_sockaddr(struct addr *ret_addr, const struct sockaddr *sa, uint32_t len);

/* The bytes of an in_addr (AF_INET) or in6_addr (AF_INET6), as the kernel lists them. False for another family. */
bool addr_from_bytes(struct addr *ret_addr, int family, const void *bytes, uint16_t port_be);

/*
 * `addr` written in the family of `like`: AF_INET, or AF_INET6 (mapped where `addr` is IPv4) with the flow
 * label of `like`. Returns the length, or 0 where `like` is AF_INET and `addr` is not IPv4.
 * `ret_sa` has room for a struct sockaddr_in6.
 */
uint32_t addr_to_sockaddr(const struct addr *addr, const struct sockaddr *like, void *ret_sa);

/* "10.0.0.1", "::1"; strict inet_pton(3) forms. Sets the port to 0. 0, or -EINVAL. */
int addr_parse_ip(const char *text, size_t len, struct addr *ret_addr);

/* "10.0.0.1:80", "[::1]:80". 0, or -EINVAL. */
int addr_parse(const char *text, size_t len, struct addr *ret_addr);

/* The address alone, without brackets, as RFC 5952 writes it. Returns `buf`. */
char *addr_print_ip(const struct addr *addr, char buf[ADDR_TEXT]);

/* "10.0.0.1:80", "[::1]:80". Returns `buf`. */
char *addr_print(const struct addr *addr, char buf[ADDR_TEXT]);

/* IPv4 before IPv6, then by address, then by port: the same order in every process and pod. */
int addr_compare(const struct addr *a, const struct addr *b);

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

/* Of address, port and `seed`; never the same by construction for two seeds. */
uint64_t addr_hash(const struct addr *addr, uint64_t seed);

static inline uint16_t addr_port(const struct addr *addr)
{
	return (uint16_t)__builtin_bswap16(addr->port_be);
}

static inline void addr_set_port(struct addr *addr, uint16_t port)
{
	addr->port_be = (uint16_t)__builtin_bswap16(port);
}

#endif
