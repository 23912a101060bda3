/* SPDX-License-Identifier: Apache-2.0 */
#include "support/versions.h"

#include "support/process.h"
#include "support/testing.h"

const char *version_file(enum version version, const char *name)
{
	return built(format("%s%s", version == NEXT ? "next/" : "", name));
}

void version_install(enum version version, const char *path)
{
	assert_clean(run_shell(NULL, "cp %s %s.new && mv -f %s.new %s", version_file(version, "libfairdial.so"), path, path, path));
}
