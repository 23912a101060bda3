/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS of a cluster, for programs that ask through their C library: a small server on UDP, in a network namespace where
 * /etc/resolv.conf leads to nobody else. The domain is cluster.local, and the tests live in the namespace shop.
 */
#ifndef FAIRDIAL_TESTS_DNS_H
#define FAIRDIAL_TESTS_DNS_H

/*
 * For main, before any test: moves the test program into a network and mount namespace of its own, with loopback up and an
 * /etc like a pod's. Where that is not allowed, dns_start skips its test.
 */
void dns_need_namespaces(char **argv);

struct dns;

/* Listens on 127.0.0.1 until the test ends; knows no name yet. */
struct dns *dns_start(void);

/* NAME.shop.svc.cluster.local, or another full name with a dot: these addresses of both families, always in this order. */
void dns_set(struct dns *d, const char *name, const char *addresses);

/* Another text for /etc/hosts, /etc/resolv.conf or /etc/nsswitch.conf in these namespaces. It stays when the test ends. */
void dns_put(const char *path, const char *text);

/* Queries that were answered with addresses. */
unsigned dns_answered(const struct dns *d);

#endif
