/* SPDX-License-Identifier: Apache-2.0 */
/* Programs in namespaces of their own. Root makes them, and who may be root in one. */
#ifndef FAIRDIAL_TESTS_NAMESPACES_H
#define FAIRDIAL_TESTS_NAMESPACES_H

struct process;

/* A command without quotes where /etc/hosts has these lines, and no name server is known. Skips the test where it cannot be. */
struct process *run_with_hosts(const char *const *env, const char *hosts, const char *command);

/*
 * Moves the test program into a network namespace of its own, for good, with loopback up; what it starts lives there too. Skips the
 * test where that is not allowed (see tun_need_root).
 */
void need_network_namespace(void);

#endif
