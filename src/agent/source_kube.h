/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes API as a source: which collections are followed, a reflector each, and how they stand together.
 *
 * Of each namespace, or of the cluster, two: Services and EndpointSlices. Where only some Services are wanted, the server is asked
 * for those alone: slices by their label kubernetes.io/service-name, Services by name.
 */
#ifndef FAIRDIAL_AGENT_SOURCE_KUBE_H
#define FAIRDIAL_AGENT_SOURCE_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "kube/reflector.h"

struct histogram;
struct pollfd;
struct source_kube;

struct source_kube_options {
	const char *const *namespaces; /* none: `own` alone */
	size_t namespace_count;
	bool all_namespaces;
	const char *own; /* the pod's namespace */
	const char *const *services; /* NAME or NAME.NAMESPACE; none: all */
	size_t service_count;
	struct kube_timing timing;
};

/* Config and model must last. 0, -EINVAL, -ENOMEM. */
int source_kube_new(const struct kube_config *config, struct model *model, const struct source_kube_options *options,
		    struct source_kube **ret_source, struct report *report);
void source_kube_free(struct source_kube *source);

/* Waits as kube_http_wait does, for no longer than until something is due. */
int source_kube_wait(struct source_kube *source, struct pollfd *fds, unsigned n, uint64_t now_ms, int timeout_ms);

/* Takes in what has come, and starts what is due. */
void source_kube_run(struct source_kube *source, uint64_t now_ms);

/* Each collection has been listed whole, or was refused: what is known now is what there is to know soon. */
bool source_kube_is_settled(const struct source_kube *source);

/* At least one namespace is known whole. */
bool source_kube_is_synced(const struct source_kube *source);

/*
 * What is known is true now, as far as anybody can tell: each collection that was ever taken is being followed. A collection that
 * never could be says nothing of the others.
 */
bool source_kube_vouches(const struct source_kube *source);

/* One line on the first thing that is wrong; "" where nothing is. */
const char *source_kube_trouble(const struct source_kube *source);

/* "https://10.96.0.1:443 (in-cluster), namespace shop" */
void source_kube_describe(const struct source_kube *source, char *buf, size_t size);

/* The collections of a kind together. */
struct kube_standing {
	struct kube_counts counts;
	bool watching;	     /* all are followed */
	uint64_t contact_ms; /* of the one of which the server has said nothing for longest; CLOCK_BOOTTIME */
};
struct kube_standing source_kube_standing(const struct source_kube *source, enum kube_kind kind);

/* All that was taken in is in the table now; and how long that took, of changes that tell their time. */
void source_kube_is_published(struct source_kube *source);
const struct histogram *source_kube_delays(const struct source_kube *source);

/* The youngest of reflector_delay_ms; UINT32_MAX: none. */
uint32_t source_kube_delay_ms(const struct source_kube *source);

#endif
