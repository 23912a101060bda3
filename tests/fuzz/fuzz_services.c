/* SPDX-License-Identifier: Apache-2.0 */
/* A services file, or what `kubectl get services,endpointslices -o json` prints: told apart by what it says. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "fuzz/models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, false);
	struct model *model = fuzz_model();
	struct report why = { .text = "" };

	fuzz_loaded(model, source_load_text(model, "file", text, size, &why), &why);
	model_free(model);
	free(text);
	return 0;
}
