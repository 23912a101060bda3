/* SPDX-License-Identifier: Apache-2.0 */
/* What an object that was fetched must not say when it is applied again. */
#ifndef FAIRDIAL_INJECT_STRIP_H
#define FAIRDIAL_INJECT_STRIP_H

#include <jansson.h>

/* Takes it out, for good. */
void strip_fetched(json_t *object);

#endif
