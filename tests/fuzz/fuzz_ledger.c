/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger whose bytes are anybody's: "HOW NUMBER-OF-CHANGES CHANGES CALLS". The changes are made to a good ledger (or HOW says that the
 * rest is the file); the calls are what shims do. No number that comes back is beyond its bound, nothing hangs, and nothing beyond the
 * end is read or written.
 */
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "fuzz/fuzz.h"
#include "ledger/ledger.h"
#include "ledger/moves.h"
#include "table/table.h"

#define ROWS 4
enum { IS_WHOLE = 1, MEND_HEAD = 2 };

struct file {
	uint8_t *bytes;
	size_t size;
};

static const uint8_t boot_id[16] = { 1, 2, 3 };

static struct file good_file(void)
{
	struct ledger_head head = { .magic = LEDGER_MAGIC, .major = LEDGER_MAJOR, .minor = LEDGER_MINOR, .head_size = sizeof(head),
				    .cursors = ROWS, .rows = ROWS, .cursor_size = sizeof(struct ledger_cursor),
				    .row_size = sizeof(struct ledger_row) };
	struct file file;

	memcpy(head.boot_id, boot_id, sizeof(boot_id));
	head.cursors_offset = sizeof(head);
	head.rows_offset = (head.cursors_offset + ROWS * sizeof(struct ledger_cursor) + 127) / 128 * 128;
	head.file_size = file.size = head.rows_offset + ROWS * sizeof(struct ledger_row);
	file.bytes = calloc(1, file.size);
	if (!file.bytes)
		abort();
	memcpy(file.bytes, &head, sizeof(head));
	return file;
}

/* Words, in the first byte of whose place the highest bit says that they get the tag of `key`. */
static void change(struct file *file, struct fuzz_input *in, size_t count, struct ledger_key key)
{
	for (size_t i = 0; i < count && in->left; i++) {
		size_t where = (size_t)fuzz_number(in, 2), at = (where & 0x7fff) * 8;
		uint64_t value = where & 0x8000 ? (uint64_t)key.tag << 32 | fuzz_number(in, 4) : fuzz_number(in, 8);

		if (at + 8 <= file->size)
			memcpy(file->bytes + at, &value, 8);
	}
}

static void mend_head(struct file *file)
{
	struct ledger_head *head = (void *)file->bytes;

	if (file->size >= sizeof(*head))
		head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
}

static void look(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	struct ledger_score score = ledger_score(ledger, key, now_ms);
	struct ledger_load load = ledger_load(ledger, key, now_ms);
	struct ledger_window window = { key, 5, true };

	FUZZ_HOLDS(load.active <= LEDGER_MAX_ACTIVE && score.active <= LEDGER_MAX_ACTIVE);
	FUZZ_HOLDS(score.ejected_ms <= 2 * LEDGER_MAX_EJECTION_MS);
	FUZZ_HOLDS(ledger_window_moved(ledger, &window) <= LEDGER_MAX_SHARED);
	ledger_cursor(ledger, key);
	ledger_suspect(ledger, key, now_ms);
	ledger_doubted(ledger, key);
	ledger_timed_out(ledger, key);
	ledger_any_ejected(ledger, now_ms);
	ledger_failure_age(ledger, key, now_ms);
	ledger_moves(ledger, key);
	ledger_is_kept(ledger, now_ms);
}

static void call(const struct ledger *ledger, struct fuzz_input *in, struct ledger_key key, uint64_t now_ms)
{
	static const struct ledger_verdict verdict = { 1, 2, 5000, 300000, 1500 };
	struct ledger_load load = ledger_load(ledger, key, now_ms);
	struct ledger_window window = { key, 5, false };
	struct ledger_pin pin;
	uint32_t ejection = load.ejection, turn;

	switch (fuzz_number(in, 1) % 16) {
	case 0: ledger_claim(ledger, key); break;
	case 1: ledger_claim_if(ledger, key, &load); break;
	case 2: ledger_landed(ledger, key); break;
	case 3: ledger_release(ledger, key); break;
	case 4: ledger_report(ledger, key, OUTCOME_SUCCESS, &verdict, now_ms); break;
	case 5: ledger_report(ledger, key, OUTCOME_REFUSED, &verdict, now_ms); break;
	case 6: ledger_report(ledger, key, OUTCOME_TIMED_OUT, &verdict, now_ms); break;
	case 7: ledger_try(ledger, key, &ejection, &verdict, now_ms); break;
	case 8: ledger_await(ledger, key, (uint16_t)fuzz_number(in, 2)); break;
	case 9: ledger_note_seen(ledger, key, now_ms); ledger_take_seen(ledger, key); break;
	case 10: ledger_turn(ledger, key, &turn); ledger_set_cursor(ledger, key, (uint32_t)fuzz_number(in, 4)); break;
	case 11:
		pin = ledger_pin(ledger, key, true, 10800, now_ms);
		ledger_set_pin(ledger, key, true, &pin, (uint32_t)fuzz_number(in, 4), now_ms);
		break;
	case 12: ledger_give_up_if(ledger, key, &load); ledger_give_up(ledger, key); break;
	case 13:
		FUZZ_HOLDS(ledger_window_total(ledger, &window, 12) <= LEDGER_MAX_SHARED);
		ledger_window_take_if(ledger, &window, ledger_window_moved(ledger, &window));
		break;
	case 14: ledger_rate_take(ledger, key, now_ms); ledger_rate_give_back(ledger, key, now_ms); break;
	default: ledger_count_move(ledger, key, (unsigned)fuzz_number(in, 1), true); ledger_take_back(ledger, key); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1), changes = (uint8_t)fuzz_number(&in, 1);
	struct ledger_key key = { (uint32_t)fuzz_number(&in, 1) % (ROWS + 1), 0xabcd };
	struct file file = how & IS_WHOLE ? (struct file){ fuzz_copy(in.at, in.left, false), in.left } : good_file();
	uint64_t now_ms = 1000000000;
	struct ledger ledger;

	if (!(how & IS_WHOLE))
		change(&file, &in, changes, key);
	if (how & MEND_HEAD || !(how & IS_WHOLE))
		mend_head(&file);
	if (ledger_attach(&ledger, file.bytes, file.size, boot_id) == 0) {
		look(&ledger, key, now_ms);
		for (int i = 0; i < 256 && in.left && !(how & IS_WHOLE); i++) {
			call(&ledger, &in, key, now_ms += i * 16);
			look(&ledger, key, now_ms);
		}
	}
	free(file.bytes);
	return 0;
}
