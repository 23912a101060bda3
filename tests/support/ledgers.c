/* SPDX-License-Identifier: Apache-2.0 */
#include "support/ledgers.h"

#include "support/testing.h"

#include <unistd.h>

#include "base/host.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

int open_ledger(const char *path, uint32_t rows, enum ledger_opening opening, struct ledger *ret_ledger)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct ledger_options options = {
		.rows = rows, .cursors = rows, .mode = 0600, .trust = &trust, .opening = opening
	};

	return ledger_open(path, &options, ret_ledger);
}

static void close_ledger(void *what)
{
	ledger_close(what);
	free(what);
}

struct ledger *new_ledger(uint32_t rows, uint32_t cursors)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r;

	if (!ledger)
		abort();
	after_test(close_ledger, ledger);
	r = open_ledger(format("%s/ledger", scratch_dir()), rows > cursors ? rows : cursors, LEDGER_MAKE, ledger);
	if (r < 0)
		fail_msg("ledger_open: %s", strerror(-r));
	return ledger;
}

void open_older_ledger(const char *path, uint32_t rows, struct ledger *ret_ledger)
{
	struct ledger_head head, *bytes;

	assert_int_equal(open_ledger(path, rows, LEDGER_MAKE, ret_ledger), 0);
	memcpy(&head, ret_ledger->base, sizeof(head));
	ledger_close(ret_ledger);
	head.minor = 0;
	head.cursor_size = LEDGER_CURSOR_LEAST;
	head.rows_offset = (head.cursors_offset + (uint64_t)head.cursors * head.cursor_size + 127) / 128 * 128;
	head.file_size = head.rows_offset + (uint64_t)head.rows * head.row_size;
	head.sum = table_sum(0, &head, offsetof(struct ledger_head, sum) / 8);
	bytes = calloc(1, head.file_size);
	assert_non_null(bytes);
	*bytes = head;
	assert_int_equal(unlink(path), 0);
	write_file(path, bytes, head.file_size);
	free(bytes);
	assert_int_equal(open_ledger(path, rows, LEDGER_MAKE, ret_ledger), 0);
	assert_int_equal(ret_ledger->cursor_size, LEDGER_CURSOR_LEAST);
}

struct ledger *older_ledger(uint32_t rows, uint32_t cursors)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	assert_non_null(ledger);
	after_test(close_ledger, ledger);
	open_older_ledger(format("%s/ledger", scratch_dir()), rows > cursors ? rows : cursors, ledger);
	return ledger;
}

struct ledger *guarded_ledger(uint32_t rows, uint32_t cursors)
{
	struct ledger *made = new_ledger(rows, cursors), *copy = calloc(1, sizeof(*copy));
	struct guarded *g = guarded_new(made->size);
	uint8_t boot_id[16];

	after_test(free, copy);
	memcpy(g->bytes, made->base, g->size);
	host_boot_id(boot_id);
	assert_int_equal(ledger_attach(copy, g->bytes, g->size, boot_id), 0);
	return copy;
}

struct ledger_row *row_of(const struct ledger *ledger, uint32_t slot)
{
	return (struct ledger_row *)(ledger->base + ledger->rows_offset + (size_t)slot * ledger->row_size);
}

uint32_t claims_in(const char *path)
{
	struct ledger ledger;
	uint32_t claims = 0;

	assert_int_equal(open_ledger(path, 1, LEDGER_EXISTING, &ledger), 0);
	for (uint32_t i = 0; i < ledger.rows; i++)
		claims += (uint32_t)row_of(&ledger, i)->claims - (uint32_t)row_of(&ledger, i)->gone;
	ledger_close(&ledger);
	return claims;
}
