/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of Kubernetes in one line each, for tests of the model. Names may be given as "NAME.NAMESPACE"; else "shop".
 */
#ifndef FAIRDIAL_TESTS_KUBE_OBJECTS_H
#define FAIRDIAL_TESTS_KUBE_OBJECTS_H

#include <stdint.h>

struct kube_service;
struct model;
struct model_list;

/*
 * A Service with these addresses ("10.96.0.1 fd00::1"; "None": headless; "": none) and ports
 * ("http:80 :53/UDP", unnamed and TCP where nothing is said). What `change` does to it comes before it is set.
 */
void put_service(struct model *model, const char *name, const char *addresses, const char *ports,
		 void (*change)(struct kube_service *service));

/*
 * A slice of a Service ("" for none). Ports as above; "?:80" has no name, "http:?" no number. Endpoints are addresses,
 * each with what differs from its being absent:
 *	10.0.0.1,r0,s1,t1	ready, serving, terminating
 *	10.0.0.1,n=node-a,z=zone-a,hz=zone-a,hz=zone-b,hn=node-a	node, zone, hints for zones and nodes
 *	10.0.0.1,p=web-0,h=web-0	pod, hostname
 * The slice is of the family of its first address, or of IPv4.
 */
void put_slice(struct model *model, const char *name, const char *service, const char *ports, const char *endpoints);

/* Who says it, and where to; put_service and put_slice are of origin 0 and no version. */
struct teller {
	struct model *model;
	struct model_list *list; /* NULL: into the model at once */
	uint32_t origin;
	const char *version; /* resourceVersion; the uid is "uid". NULL: none */
};

void tell_service(const struct teller *teller, const char *name, const char *addresses, const char *ports,
		  void (*change)(struct kube_service *service));
void tell_slice(const struct teller *teller, const char *name, const char *service, const char *ports,
		const char *endpoints);

#endif
