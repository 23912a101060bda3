/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/ledgers.h"

#include <stdlib.h>
#include <string.h>

#include "table/table.h"

static const uint8_t boot_id[16] = { 1, 2, 3 };

struct ledgers_file ledgers_good_file(void)
{
	struct ledger_head head = { .magic = LEDGER_MAGIC, .major = LEDGER_MAJOR, .minor = LEDGER_MINOR, .head_size = sizeof(head),
				    .cursors = LEDGERS_ROWS, .rows = LEDGERS_ROWS, .cursor_size = sizeof(struct ledger_cursor),
				    .row_size = sizeof(struct ledger_row) };
	struct ledgers_file file;

	memcpy(head.boot_id, boot_id, sizeof(boot_id));
	head.cursors_offset = sizeof(head);
	head.rows_offset = (head.cursors_offset + LEDGERS_ROWS * sizeof(struct ledger_cursor) + 127) / 128 * 128;
	head.file_size = file.size = head.rows_offset + LEDGERS_ROWS * sizeof(struct ledger_row);
	file.bytes = calloc(1, file.size);
	if (!file.bytes)
		abort();
	memcpy(file.bytes, &head, sizeof(head));
	ledgers_mend_head(&file);
	return file;
}

void ledgers_change(struct ledgers_file *file, struct fuzz_input *in, size_t count, uint32_t tag)
{
	for (size_t i = 0; i < count && in->left; i++) {
		size_t where = (size_t)fuzz_number(in, 2), at = (where & 0x7fff) * 8;
		uint64_t value = where & 0x8000 ? (uint64_t)tag << 32 | fuzz_number(in, 4) : fuzz_number(in, 8);

		if (at + 8 <= file->size)
			memcpy(file->bytes + at, &value, 8);
	}
}

void ledgers_mend_head(struct ledgers_file *file)
{
	struct ledger_head *head = (void *)file->bytes;

	if (file->size >= sizeof(*head))
		head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
}

int ledgers_attach(struct ledger *ret_ledger, const struct ledgers_file *file)
{
	return ledger_attach(ret_ledger, file->bytes, file->size, boot_id);
}
