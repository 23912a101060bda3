/* SPDX-License-Identifier: Apache-2.0 */
/* What tells this machine's boot and this pod from others. System calls only; async-signal-safe. */
#ifndef FAIRDIAL_BASE_HOST_H
#define FAIRDIAL_BASE_HOST_H

#include <stdint.h>

/* The kernel's boot id (random(4)), all zero where /proc does not say. */
void host_boot_id(uint8_t ret_id[16]);

/* A number that follows from the host name, which in a pod is the pod's name; never 0. */
uint64_t host_identity(void);

#endif
