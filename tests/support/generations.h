/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables whose every row tells its generation: number g publishes a count of endpoints, ports and weights that follow
 * from g, so that a reader who mixes two generations is caught.
 */
#ifndef FAIRDIAL_TESTS_GENERATIONS_H
#define FAIRDIAL_TESTS_GENERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "table/table.h"
#include "table/writer.h"

enum { GENERATION_ENDPOINTS = 24 };

/* What generation `g` publishes; the arrays are static, so one thread at a time. `scale` multiplies its endpoints. */
const struct spec *spec_of_generation(uint64_t g, unsigned scale);

/* The same for writer_patch: generations that differ in their endpoints alone. A table has either this kind or that. */
const struct spec *patch_of_generation(uint64_t g);

/*
 * Reads everything once. The generation; 0 where it could not be read (written meanwhile); -EBADMSG where table_end
 * says yes to rows that do not belong together, or a sum fails in such a view.
 */
int64_t read_generation(const struct table *table);

#endif
