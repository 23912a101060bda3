/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print_json.h"

#include <errno.h>
#include <stdio.h>

int print_json(json_t *root)
{
	if (!root)
		return -ENOMEM;
	json_dumpf(root, stdout, PRINT_JSON_FLAGS);
	putchar('\n');
	json_decref(root);
	return 0;
}
