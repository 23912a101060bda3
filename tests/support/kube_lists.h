/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes Lists, as `kubectl get services,endpointslices -o json` prints them, put together from one line an object and
 * published by `fairdial publish`. In all texts single quotes stand for double ones. Texts last until the test ends.
 */
#ifndef FAIRDIAL_TESTS_KUBE_LISTS_H
#define FAIRDIAL_TESTS_KUBE_LISTS_H

struct services;

/*
 * A Service "NAME" of the namespace shop, or "NAME.NAMESPACE", with these addresses ("127.96.0.20 ::1"; "None": headless) and
 * TCP ports ("http:80 :81"). `metadata` and `spec` are more members of those objects ("'sessionAffinity': 'ClientIP'"), or NULL.
 */
char *service_object(const char *name, const char *addresses, const char *ports, const char *metadata, const char *spec);

/*
 * Slice number `number` of a Service, of the family of its first endpoint. Ports as above. Endpoints are addresses, each with
 * what differs from its being absent:
 *	127.0.0.1,r0,s1,t1	ready, serving, terminating
 *	127.0.0.1,n=node-a,z=zone-a,hz=zone-a,hn=node-a	node, zone, a hint for a zone and for a node
 */
char *slice_object(const char *service, int number, const char *ports, const char *endpoints);

/* Publishes a List of them (NULL at the end), as a tool on this node and zone (NULL: unknown); the test fails where it refuses. */
void publish_objects(struct services *s, const char *node, const char *zone, ...) __attribute__((sentinel));

#endif
