/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the anchors of a YAML document stand for (YAML 1.1, section 7.1: an alias is what was anchored last before it). Each
 * alias gets a copy of its own, so that what reads the tree may change it in one place; how much all of them together copy is
 * bounded, and how deep, because a few lines can stand for more than there is memory ("a billion laughs").
 */
#ifndef FAIRDIAL_YAML_ANCHORS_H
#define FAIRDIAL_YAML_ANCHORS_H

#include <jansson.h>
#include <stddef.h>

struct yaml_anchors {
	json_t *values; /* by name */
	size_t copied;  /* bytes of text and values, about, in all aliases so far */
};

/* -ENOMEM. A zeroed struct is an empty one to yaml_anchors_done. */
int yaml_anchors_init(struct yaml_anchors *anchors);
void yaml_anchors_done(struct yaml_anchors *anchors);

/* Notes what a name stands for from here on; keeps a reference. -ENOMEM. */
int yaml_anchors_set(struct yaml_anchors *anchors, const char *name, json_t *value);

/* A document has anchors of its own. */
void yaml_anchors_forget(struct yaml_anchors *anchors);

/* A copy, the caller's to free, no deeper than `depth`. -ENOENT: no such anchor; -E2BIG: too much, or too deep; -ENOMEM. */
int yaml_anchors_get(struct yaml_anchors *anchors, const char *name, unsigned depth, json_t **ret);

#endif
