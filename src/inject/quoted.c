/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/quoted.h"

#include <assert.h>
#include <string.h>

json_t *quoted_json(const char *text)
{
	char json[2048];
	json_t *value;

	assert(strlen(text) < sizeof(json));
	strcpy(json, text);
	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	value = json_loads(json, 0, NULL);
	assert(value);
	return value;
}
