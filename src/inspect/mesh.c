/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/mesh.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stddef.h>

#include "base/socket_dump.h"

static const struct {
	uint16_t port;
	const char *name;
} meshes[] = {
	{ 4140, "Linkerd" }, /* outbound */
	{ 4143, "Linkerd" }, /* inbound */
	{ 15001, "Istio" },  /* outbound; ambient: ztunnel's, in the pod's namespace */
	{ 15006, "Istio" },  /* inbound */
	{ 15008, "Istio" },  /* HBONE */
};

const char *mesh_name(uint16_t port)
{
	for (size_t i = 0; i < sizeof(meshes) / sizeof(*meshes); i++)
		if (meshes[i].port == port)
			return meshes[i].name;
	return NULL;
}

static void take_listener(void *of, const struct inet_diag_msg *socket)
{
	uint16_t *lowest = of, port = ntohs(socket->id.idiag_sport);

	if (mesh_name(port) && (!*lowest || port < *lowest))
		*lowest = port;
}

int mesh_find(void)
{
	static struct socket_dump dump;
	uint16_t lowest = 0;
	int r = socket_dump_open(&dump);

	if (r < 0)
		return r;
	dump.states = 1u << TCP_LISTEN;
	dump.visit = take_listener;
	dump.of = &lowest;
	r = socket_dump_run(&dump);
	socket_dump_close(&dump);
	return r < 0 ? r : lowest;
}
