/* SPDX-License-Identifier: Apache-2.0 */
/* How the writer is, for people: read by the tool alone, and so not in the shim. */
#include <errno.h>

#include "table/atomics.h"
#include "table/table.h"

int table_note(const struct table *table, struct table_note *ret_note)
{
	const struct table_head *head = table_head(table);
	const struct table_note *note = (const void *)(table->base + TABLE_NOTE_OFFSET);
	struct table_note copy;

	if (head->minor == 0 || head->head_size < TABLE_NOTE_OFFSET + sizeof(copy) ||
	    table->size < TABLE_NOTE_OFFSET + sizeof(copy))
		return -ENOENT;
	for (int i = 0; i < TABLE_TRIES; i++) {
		load_words(&copy, note, sizeof(copy) / sizeof(uint64_t));
		if ((copy.seq & 1) || load_acquire(&note->seq) != copy.seq)
			continue;
		copy.text[sizeof(copy.text) - 1] = '\0';
		*ret_note = copy;
		return 0;
	}
	return -EAGAIN;
}
