/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a service mesh's proxy listens in this network namespace: it has to see the ClusterIP, so dials must stay as they are. */
#ifndef FAIRDIAL_INSPECT_MESH_H
#define FAIRDIAL_INSPECT_MESH_H

#include <stdint.h>

/*
 * The lowest port of a mesh on which TCP listens here, by the kernel's list; 0: none; a negative errno where the kernel does
 * not say. Does not block.
 */
int mesh_find(void);

/* Whose port that is, for people: "Istio"; NULL: none that is known. */
const char *mesh_name(uint16_t port);

#endif
