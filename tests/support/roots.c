/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/process.h"
#include "support/roots.h"

enum { UNPACK_LIMIT_MS = 300000, CANNOT = 77 };

const char *root_of(const char *name)
{
	const char *dir = built(format("roots/%s", name));
	struct start start = { .argv = ARGV("sh", repository("tests/roots.sh"), dir, name) };
	struct process *p = process_start(&start);

	process_wait(p, UNPACK_LIMIT_MS);
	if (p->exit_status == CANNOT)
		skip_because("%s", p->err_text);
	if (p->exit_status != 0)
		fail_msg("tests/roots.sh %s: exit status %d, signal %d\n%s", name, p->exit_status, p->signal, p->err_text);
	return dir;
}
