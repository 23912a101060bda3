/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that many objects share (names of nodes, zones, ports): each is kept once, and counted. */
#ifndef FAIRDIAL_MODEL_TEXTS_H
#define FAIRDIAL_MODEL_TEXTS_H

#include "model/index.h"

/* All zero holds none. */
struct texts {
	struct index index;
};

/*
 * The one copy of this text, to be given back with texts_put. NULL where there is no memory. While it is held, equal
 * texts are the same pointer.
 */
const char *texts_get(struct texts *texts, const char *text);

/* Holds a copy once more. NULL stays NULL. */
const char *texts_hold(const char *copy);

/* NULL is accepted. */
void texts_put(struct texts *texts, const char *copy);

/* All must have been given back. */
void texts_done(struct texts *texts);

#endif
