/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/ledger_copy.h"

#include <errno.h>
#include <stdlib.h>

#include "table/atomics.h"

static struct ledger empty_for(const struct table *table)
{
	const struct table_head *head = table_head(table);
	struct ledger made = { .cursors = head->cursors, .rows = head->rows, .cursor_size = sizeof(struct ledger_cursor),
			       .row_size = sizeof(struct ledger_row), .cursors_offset = sizeof(struct ledger_head) };

	made.rows_offset = made.cursors_offset + (uint64_t)made.cursors * made.cursor_size;
	made.size = made.rows_offset + (uint64_t)made.rows * made.row_size;
	return made;
}

int ledger_copy(const struct ledger *ledger, const struct table *table, struct ledger *ret_copy)
{
	struct ledger copy = ledger->base ? *ledger : empty_for(table);

	copy.base = calloc(1, copy.size);
	if (!copy.base)
		return -ENOMEM;
	if (ledger->base)
		load_words(copy.base, ledger->base, copy.size / sizeof(uint64_t));
	*ret_copy = copy;
	return 0;
}

void ledger_copy_free(struct ledger *copy)
{
	free(copy->base);
	copy->base = NULL;
}
