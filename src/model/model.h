/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services and endpoints before publishing: what a source (a services file, a Kubernetes List, the API's watches) says
 * goes in, piece by piece; what shims may dial comes out, as a spec for the table's writer. Pure: no files, no
 * sockets, no clock.
 *
 * Rules of Kubernetes are those of kube-proxy (pkg/proxy/{topology,endpointslicecache,util}.go); each is named at the
 * function that keeps it.
 */
#ifndef FAIRDIAL_MODEL_MODEL_H
#define FAIRDIAL_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/report.h"
#include "table/layout.h"
#include "table/writer.h"

struct model; /* state.h */

struct model_options {
	const char *node;	   /* this pod's node; NULL: unknown */
	const char *zone;	   /* and its zone; NULL: that of any endpoint on the node, else unknown */
	const char *address_range; /* for Services without an address; NULL: 240.0.0.0/4, and fd0f:a12d:1a1::/64 for IPv6 */
	const char *namespace, *pod; /* this pod's; NULL: unknown. Both, or namespace and addresses, tell its rank */
	const struct addr *addresses; /* and its addresses; their ports do not count */
	size_t address_count;
	/* policy_defaults() with what the command line says (ORIGIN_OPTION), of keys that nobody else sets; NULL: none */
	const struct table_policy *policy;
	bool no_loopback; /* an endpoint of a slice that is on loopback is none: it would be this pod itself */
	/* Told of each annotation and event that makes no sense, as it is read: one line without its end. NULL: nobody is */
	void (*warn)(const char *line);
};

/*
 * The model owns copies of all that is handed to it. NULL where there is no memory, or where address_range is none
 * (address_ranges_parse tells beforehand).
 */
struct model *model_new(const struct model_options *options);
void model_free(struct model *model);

/* One line, as printf does, to whom the options name. */
void model_warn(const struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- services given by hand: a services file, or inline ---- */

struct file_endpoint {
	struct addr addr; /* its port is that of a service of one port; else port_numbers tells */
	uint16_t *port_numbers; /* by port of the service; 0: this endpoint lacks it. NULL for a service of one port */
	uint16_t weight;
	bool ready, terminating;
	const char *zone; /* NULL: unknown */
};

struct file_port {
	const char *name; /* "" where there is none */
	uint16_t port;
	uint8_t protocol; /* enum table_protocol */
};

struct file_service {
	const char *name, *namespace; /* namespace "": none */
	struct addr *addresses;
	size_t address_count;
	struct file_port *ports;
	size_t port_count;
	struct file_endpoint *endpoints;
	size_t endpoint_count;
	struct table_policy policy;
};

/* One whole file: replaces what an earlier one said. */
struct file_services {
	uint32_t mode; /* enum fairdial_mode, for all */
	bool has_mode; /* false: the file does not say */
	struct table_policy defaults; /* policy_defaults() with the file's "defaults", origin ORIGIN_FILE */
	bool accept_moves; /* "accept_moves": drain, rebalance and max_age may come from annotations */
	struct file_service *services;
	size_t count;
};

/* 0, -ENOMEM. What it says of names, addresses and ports has been checked: src/services */
int model_set_file(struct model *model, const struct file_services *file);

/* More services beside those of the file, whose mode and defaults stay. -EEXIST where one of the name is there already. */
int model_add_to_file(struct model *model, const struct file_services *more);

/* ---- objects of Kubernetes, as far as they count here ---- */

struct kube_service_port {
	const char *name; /* "" where there is none */
	const char *app_protocol; /* NULL: none */
	uint16_t port;
	uint8_t protocol; /* enum table_protocol; 0: one that is not known */
};

struct kube_service {
	const char *namespace, *name;
	const char *type; /* "ClusterIP", "ExternalName", ... */
	struct addr *cluster_ips; /* without "None" */
	size_t cluster_ip_count;
	bool headless; /* clusterIP: None */
	bool other_proxy; /* label service.kubernetes.io/service-proxy-name */
	bool local; /* internalTrafficPolicy: Local */
	uint32_t affinity_s; /* 0: none */
	struct kube_service_port *ports;
	size_t port_count;
	struct table_policy annotations; /* policy_defaults() with what fairdial.dev/KEY annotations set */
	const char *uid, *version; /* metadata.uid, .resourceVersion; NULL: unknown */
};

struct kube_slice_port {
	const char *name; /* NULL: the field is absent, and kube-proxy ignores the port */
	uint16_t port; /* 0: absent, likewise */
	uint8_t protocol; /* enum table_protocol; 0: one that is not known */
};

struct kube_endpoint {
	struct addr addr; /* addresses[0]; its port does not count */
	int8_t ready, serving, terminating; /* -1: absent (nil) */
	const char *node, *zone; /* NULL: absent */
	const char *hostname; /* NULL: absent. Only a Service that governs a StatefulSet has some */
	const char *target; /* the Pod's name: targetRef.name; NULL: absent, or no Pod */
	const char *const *hint_zones; /* hints.forZones */
	size_t hint_zone_count;
	const char *const *hint_nodes; /* hints.forNodes */
	size_t hint_node_count;
};

struct kube_slice {
	const char *namespace, *name;
	const char *service; /* label kubernetes.io/service-name; NULL or "": the slice is ignored */
	bool is_v4; /* addressType; FQDN and unknown types are not handed in */
	struct kube_slice_port *ports;
	size_t port_count;
	struct kube_endpoint *endpoints;
	size_t endpoint_count;
	const char *uid, *version; /* metadata.uid, .resourceVersion; NULL: unknown */
};

enum kube_kind { KUBE_SERVICE, KUBE_SLICE, KUBE_KINDS };

/*
 * Several watches may feed one model. Each has a number, its `origin`, and takes back only what it said itself: where
 * an object's labels change, the one watch tells of its coming and the other of its going, in any order. What was said
 * last counts; while another origin has an object too, taking it back leaves that one's word. 0 is for what is
 * published once; for others, an object of the uid and version that the origin has already said is passed over.
 */

/* 0; -EINVAL for an empty name or namespace, or one that no table can hold; -ENOMEM. Else as it was. */
int model_set_service(struct model *model, uint32_t origin, const struct kube_service *service);
void model_delete_service(struct model *model, uint32_t origin, const char *namespace, const char *name);
int model_set_slice(struct model *model, uint32_t origin, const struct kube_slice *slice);
void model_delete_slice(struct model *model, uint32_t origin, const char *namespace, const char *name);

/*
 * A list of one kind replaces all that its origin had of it, at its commit and not before. What the model has already, in
 * the same version, is not kept twice meanwhile. One list of a kind and origin at a time; between begin and commit
 * its origin sets and deletes nothing else of the kind. Objects of other kinds and origins come and go as ever.
 */
struct model_list;

struct model_list *model_list_begin(struct model *model, enum kube_kind kind, uint32_t origin); /* NULL: no memory */

/* As model_set_service and model_set_slice. The list is of that kind. */
int model_list_add_service(struct model_list *list, const struct kube_service *service);
int model_list_add_slice(struct model_list *list, const struct kube_slice *slice);

/* 0, or -ENOMEM with the model as it was. Frees the list either way. */
int model_list_commit(struct model_list *list);

/* The model stays as it is. NULL is accepted. */
void model_list_abort(struct model_list *list);

/* The kind it was begun with, and the model. */
enum kube_kind model_list_kind(const struct model_list *list);
const struct model *model_list_model(const struct model_list *list);

/*
 * Told when the first complete list of a kind is in; it stays so. Until both are, Services of the API stand
 * down (STAND_DOWN_UNSYNCED).
 */
void model_set_synced(struct model *model, bool services, bool slices);

/* The same for the Services of one namespace; NULL: of all. Where there is no memory they go on standing down. */
void model_set_namespace_synced(struct model *model, const char *namespace, enum kube_kind kind);

/*
 * A mesh sidecar listens on this port of the pod (0: none): Services of the API that have an address of their own stand
 * down (STAND_DOWN_MESH), because it must see that address.
 */
void model_set_mesh(struct model *model, uint16_t port);

/*
 * What to publish now. Where two speak of one Service (name and namespace), the file's wins whole. A policy key is
 * taken from the file's entry, else from the annotations (drain, rebalance and max_age only with accept_moves), else
 * from the file's "defaults", else from the options' policy, else from policy_defaults(). The file's mode for all is
 * no such key: shims take the most cautious of it and the Service's. The spec and all it points to belong to the model and
 * last until its next change, resolve or model_release. Allocated addresses stay with their Service (by name and namespace)
 * for the model's life, and follow from its name, so that two processes given the same services allocate alike.
 *
 * 0; -ENOSPC where the address range is used up; -ENOMEM.
 */
int model_resolve(struct model *model, struct spec **ret_spec, struct report *report);

/*
 * Only the Services whose endpoints may have changed since the last resolve of either kind, maybe none; the others are
 * as they were. Takes time by their number, not by that of all. 0; -ESTALE where all must be resolved: a Service came,
 * went, or changed otherwise, or something changed that counts for all; -ENOMEM.
 */
int model_resolve_changed(struct model *model, struct spec **ret_spec, struct report *report);

/* Frees the last spec. */
void model_release(struct model *model);

/* The next model_resolve_changed returns -ESTALE: what the last resolve said has not been published. */
void model_touch_all(struct model *model);

/* Whether there is anything to resolve since the last resolve. */
bool model_is_touched(const struct model *model);

/* Not to be allocated: this host routes them elsewhere than its default. 0, -EINVAL, -ENOMEM. */
int model_avoid(struct model *model, const struct addr *network, unsigned prefix_len);

#endif
