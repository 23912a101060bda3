/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that behave badly on purpose. In a network namespace of the test's own, a TUN device leads to a small responder
 * that plays every address of 10.99.0.0/24 but the first, which is the test's. Each follows its rule, can change it at
 * any time, and counts the SYNs it saw. Nothing leaves the machine.
 */
#ifndef FAIRDIAL_TESTS_TUN_H
#define FAIRDIAL_TESTS_TUN_H

enum tun_rule {
	TUN_DROP,        /* a black hole */
	TUN_REFUSE,      /* answers a SYN with RST, `delay_us` later */
	TUN_ACCEPT,      /* takes the connection; answers whatever comes with the line "tun-HOST\n" */
	TUN_DROP_FIRST,  /* loses the first SYN of each connection, then as TUN_ACCEPT */
	TUN_UNREACHABLE, /* answers a SYN with ICMP host unreachable */
	TUN_RESET,       /* takes the connection, and resets it in the same moment */
	TUN_VANISH,      /* answers nothing any more, not even on connections that stand */
};

struct tun;

/*
 * Moves the test into a new network namespace, with loopback up, until it ends; what it starts lives there too. Skips
 * the test where that is not allowed.
 */
struct tun *tun_open(void);

/*
 * For main, before any test: a program without root starts itself again in a user and network namespace where it has
 * it, if it may; its tests with a TUN device are skipped otherwise.
 */
void tun_need_root(char **argv);

/* The address of host 2 … 31, valid until the test ends. */
const char *tun_address(int host);

void tun_set(struct tun *t, int host, enum tun_rule rule, unsigned delay_us);

/* SYNs that came for this host, those sent again included; and from how many connections they came. */
unsigned tun_syns(const struct tun *t, int host);
unsigned tun_dials(const struct tun *t, int host);

/* An interface of the namespace that the test is in: up, with this IPv4 address unless NULL. 0, or -1 and errno. */
int bring_up(const char *name, const char *address);

#endif
