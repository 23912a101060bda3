/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label.h"

#include "table/layout.h"

bool label_is_valid(struct slice label)
{
	if (label.len == 0 || label.len >= TABLE_NAME_SIZE || label.at[0] == '-' || label.at[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!(label.at[i] >= 'a' && label.at[i] <= 'z') && !text_is_digit(label.at[i]) && label.at[i] != '-')
			return false;
	return true;
}
