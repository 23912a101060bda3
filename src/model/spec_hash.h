/* SPDX-License-Identifier: Apache-2.0 */
/* What a spec says, as a number: two that differ in anything that a table shows differ in it, but for a chance of 2^-64. */
#ifndef FAIRDIAL_MODEL_SPEC_HASH_H
#define FAIRDIAL_MODEL_SPEC_HASH_H

#include <stdint.h>

struct spec;
struct spec_service;

/* One Service, its endpoints in the order that they have. */
uint64_t spec_hash_service(const struct spec_service *service);

/* All but the Services. */
uint64_t spec_hash_head(const struct spec *spec);

#endif
