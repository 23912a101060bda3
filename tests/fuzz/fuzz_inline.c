/* SPDX-License-Identifier: Apache-2.0 */
/* Inline services, as in --service and FAIRDIAL_SERVICES: what is taken can be published, what is refused is told in one line. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, true);
	struct model *model = fuzz_model();
	struct report why = { .text = "" };

	fuzz_loaded(model, source_load_inline(model, "--service", text, &why), &why);
	model_free(model);
	free(text);
	return 0;
}
