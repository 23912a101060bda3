/* SPDX-License-Identifier: Apache-2.0 */
/* Models that targets fill, and what has to hold of them. */
#ifndef FAIRDIAL_TESTS_FUZZ_MODELS_H
#define FAIRDIAL_TESTS_FUZZ_MODELS_H

#include "base/report.h"
#include "model/model.h"
#include "services/source.h"
#include "table/writer.h"

struct model *fuzz_model(void);

/* What a load returned: a refusal has one line, and left the model empty; what was taken can be published. */
void fuzz_loaded(struct model *model, int r, const struct report *why);

/* Resolves, and builds the bytes of a generation of it, which the checker finds whole. */
void fuzz_publish(struct model *model);

#endif
