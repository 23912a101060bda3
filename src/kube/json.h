/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the Kubernetes API, as JSON, into a model. Lenient, because somebody else writes them: an address, a port,
 * a protocol or an annotation that makes no sense is passed over, never what stands beside it.
 */
#ifndef FAIRDIAL_KUBE_JSON_H
#define FAIRDIAL_KUBE_JSON_H

#include <jansson.h>

#include "model/model.h"

/* A text of an object; NULL where there is none, or one that holds a NUL, which would be cut there. Belongs to the object. */
const char *kube_json_text(const json_t *object, const char *key);

/* enum kube_kind of one object, by its "kind" and "apiVersion"; -ENOENT for one that does not count. */
int kube_json_kind(const json_t *object);

/*
 * Sets the one object, as `origin` says it. Its kind is the caller's to know: those within a list carry none. 0; -EINVAL
 * for one without a usable name; -ENOMEM. Each annotation that makes no sense is told to whom the model's options name; one
 * of the mode makes the Service off.
 */
int kube_json_apply(struct model *model, uint32_t origin, enum kube_kind kind, const json_t *object);

/* Takes it back, by the name and namespace that it carries. */
void kube_json_forget(struct model *model, uint32_t origin, enum kube_kind kind, const json_t *object);

/* The same as kube_json_apply, for an item of a list of its kind. */
int kube_json_list_add(struct model_list *list, const json_t *object);

/*
 * A whole text: a List, ServiceList, EndpointSliceList, or one object, all of origin 0. -ENOENT for another kind, -EINVAL
 * where "items" is no array or has an item of no kind: the model is then as it was. What is not in it is deleted, unless
 * it is one page of several. A kind of object counts as synced when the text is a list of it alone, or a List with one of
 * it, or an empty List.
 */
int kube_json_load(struct model *model, const json_t *text);

#endif
