/* SPDX-License-Identifier: Apache-2.0 */
#include "support/musl.h"

#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

const char *for_musl(const char *name)
{
	char *program = format("%s/%s", scratch_dir(), name);
	const char *source = repository(format("tests/helpers/%s.c", name));

	if (!program_exists("musl-gcc"))
		skip_because("there is no musl-gcc");
	assert_clean(run(NULL, "musl-gcc", "-D_GNU_SOURCE", "-O2", "-o", program, source, NULL));
	return program;
}
