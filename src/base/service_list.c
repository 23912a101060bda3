/* SPDX-License-Identifier: Apache-2.0 */
#include "base/service_list.h"

/* NAME, or NAME.NAMESPACE. */
static bool names_service(struct slice entry, struct slice name, struct slice namespace)
{
	struct slice rest = entry, head = slice_cut(&rest, '.');

	return slice_equal_nocase(head, name) && (!rest.at || slice_equal_nocase(rest, namespace));
}

static bool list_has(struct slice rest, struct slice name, struct slice namespace)
{
	while (rest.at) {
		struct slice entry = slice_cut(&rest, ',');

		while (entry.len && text_is_space(entry.at[0]))
			entry = (struct slice){ entry.at + 1, entry.len - 1 };
		while (entry.len && text_is_space(entry.at[entry.len - 1]))
			entry.len--;
		if (entry.len && names_service(entry, name, namespace))
			return true;
	}
	return false;
}

bool service_list_allow(struct slice only, struct slice except, struct slice name, struct slice namespace)
{
	if (only.len && !list_has(only, name, namespace))
		return false;
	return !except.len || !list_has(except, name, namespace);
}
