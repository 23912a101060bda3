/* SPDX-License-Identifier: Apache-2.0 */
#include "support/schema.h"

#include "support/testing.h"

#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 120000 };

/* The one with the module: the distribution's own need not be the first in PATH. */
static const char *find_python(void)
{
	static const char *const pythons[] = { "python3", "/usr/bin/python3" };

	for (size_t i = 0; i < sizeof(pythons) / sizeof(*pythons); i++) {
		struct process *p = run_shell(NULL, "%s -c 'import jsonschema'", pythons[i]);

		if (p->exit_status == 0)
			return pythons[i];
	}
	fail_msg("no python3 here has the module jsonschema: make deps");
	return NULL;
}

const char *schema_refusal(const char *name, const char *json_text)
{
	static const char *python;
	const char *file = format("%s/%s.json", scratch_dir(), name);
	const char *schema = repository(format("tests/data/schemas/%s.json", name));
	struct process *p;

	if (!python)
		python = find_python();
	write_file(file, json_text, strlen(json_text));
	p = process_start(&(struct start){ .argv = ARGV(python, "-B", repository("tests/support/schema.py"), schema, file) });
	process_wait(p, LIMIT_MS);
	if (p->exit_status == 0)
		return NULL;
	if (p->exit_status != 1 || p->err_length)
		fail_msg("%s: cannot be used: %s", schema, p->err_text);
	return p->out_text;
}

void assert_fits_schema(const char *name, const char *json_text)
{
	const char *refusal = schema_refusal(name, json_text);

	if (refusal)
		fail_msg("does not fit tests/data/schemas/%s.json:\n%s%.2000s", name, refusal, json_text);
}
