/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger whose bytes are anybody's: "HOW NUMBER-OF-CHANGES SLOT CHANGES CALLS". The changes are made to a good ledger (or HOW
 * says that the rest is the file); the calls are what shims do. No number that comes back is beyond its bound, what is told is
 * found again as far as the protocol promises it, nothing hangs, and nothing beyond the end is read or written.
 */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "fuzz/ledgers.h"
#include "ledger/mend.h"
#include "ledger/moves.h"

enum { IS_WHOLE = 1, MEND_HEAD = 2 };

static const struct ledger_verdict verdict = { 1, 2, 5000, 300000, 1500 };

/* What a call works on. */
struct at {
	const struct ledger *ledger;
	struct ledger_key key;
	bool has_row, has_cursor, has_moves; /* an older ledger has cursors, and no words of moves in them */
	uint64_t now_ms;
};

static void look(const struct at *at)
{
	struct ledger_score score = ledger_score(at->ledger, at->key, at->now_ms);
	struct ledger_load load = ledger_load(at->ledger, at->key, at->now_ms);
	struct ledger_window window = { at->key, 5, true };

	FUZZ_HOLDS(load.active <= LEDGER_MAX_ACTIVE && score.active == load.active);
	FUZZ_HOLDS(score.ejected_ms <= LEDGER_MAX_EJECTION_MS && score.ejected == (score.ejected_ms > 0));
	FUZZ_HOLDS(ledger_overdue_ms(load.ejection, at->now_ms) == 0 || !load.ejected);
	FUZZ_HOLDS(ledger_window_moved(at->ledger, &window) <= LEDGER_MAX_SHARED);
	FUZZ_HOLDS(at->has_row || (!load.claims_word && !load.ejection && ledger_suspect(at->ledger, at->key, at->now_ms)));
	ledger_cursor(at->ledger, at->key);
	ledger_suspect(at->ledger, at->key, at->now_ms);
	ledger_doubted(at->ledger, at->key);
	ledger_timed_out(at->ledger, at->key);
	ledger_any_ejected(at->ledger, at->now_ms);
	ledger_failure_age(at->ledger, at->key, at->now_ms);
	ledger_moves(at->ledger, at->key);
	ledger_is_kept(at->ledger, at->now_ms);
	mend_has_settled(at->ledger, at->key);
}

static uint32_t active(const struct at *at)
{
	return ledger_load(at->ledger, at->key, at->now_ms).active;
}

/* A claim is one more, and its release one less, of a row that is this backend's and counts no nonsense. */
static void claim_and_release(const struct at *at, bool by_load)
{
	struct ledger_load load = ledger_load(at->ledger, at->key, at->now_ms);
	bool counts = at->has_row && load.claims_word >> 32 == at->key.tag && load.active && load.active < LEDGER_MAX_ACTIVE;

	if (by_load)
		FUZZ_HOLDS(ledger_claim_if(at->ledger, at->key, &load));
	else
		ledger_claim(at->ledger, at->key);
	FUZZ_HOLDS(!counts || active(at) == load.active + 1u);
	FUZZ_HOLDS(!at->has_row || !ledger_claim_if(at->ledger, at->key, &load));
	ledger_release(at->ledger, at->key);
	FUZZ_HOLDS(!counts || active(at) == load.active);
}

/* One that is given up is one less, and taken back it is there again; of none there is nothing to give up. */
static void give_up(const struct at *at, bool by_load)
{
	struct ledger_load load = ledger_load(at->ledger, at->key, at->now_ms);
	bool given = by_load ? ledger_give_up_if(at->ledger, at->key, &load) : ledger_give_up(at->ledger, at->key);

	FUZZ_HOLDS(!given || (at->has_row && load.active && active(at) == load.active - 1u));
	if (!given)
		return;
	ledger_take_back(at->ledger, at->key);
	FUZZ_HOLDS(active(at) == load.active);
}

static void report(const struct at *at, enum ledger_outcome outcome)
{
	uint32_t limit_ms = ledger_ejection_limit_ms(&verdict);
	bool ejected = ledger_report(at->ledger, at->key, outcome, &verdict, at->now_ms);
	struct ledger_score score = ledger_score(at->ledger, at->key, at->now_ms);

	FUZZ_HOLDS(!ejected || (score.ejected && score.ejected_ms <= limit_ms && ledger_any_ejected(at->ledger, at->now_ms)));
	if (outcome != OUTCOME_SUCCESS || !at->has_row)
		return;
	FUZZ_HOLDS(!ejected && !score.ejected && !ledger_timed_out(at->ledger, at->key));
	FUZZ_HOLDS(ledger_load(at->ledger, at->key, at->now_ms).ejection == 0);
}

/* The right to a trial is one caller's. */
static void try(const struct at *at)
{
	struct ledger_load load = ledger_load(at->ledger, at->key, at->now_ms);
	uint32_t mine = load.ejection, other = load.ejection;
	bool allowed = ledger_try(at->ledger, at->key, &mine, &verdict, at->now_ms);

	FUZZ_HOLDS(allowed);
	FUZZ_HOLDS(!load.ejection || (ledger_is_trial(mine) && ledger_left_ms(mine, at->now_ms) <= ledger_ejection_limit_ms(&verdict)));
	FUZZ_HOLDS(!load.ejection || mine == other || !ledger_try(at->ledger, at->key, &other, &verdict, at->now_ms));
}

static void pin(const struct at *at, uint32_t tag)
{
	struct ledger_pin before = ledger_pin(at->ledger, at->key, true, 10800, at->now_ms), after;
	bool pinned = ledger_set_pin(at->ledger, at->key, true, &before, tag, at->now_ms);

	after = ledger_pin(at->ledger, at->key, true, 10800, at->now_ms);
	FUZZ_HOLDS(pinned && after.tag == (at->has_cursor ? tag : 0));
}

static void take_turns(const struct at *at, uint32_t next)
{
	uint32_t turn, last;

	ledger_turn(at->ledger, at->key, &last);
	FUZZ_HOLDS(ledger_turn(at->ledger, at->key, &turn) == at->has_cursor && (!at->has_cursor || turn == last + 1));
	ledger_set_cursor(at->ledger, at->key, next);
	FUZZ_HOLDS(ledger_cursor(at->ledger, at->key) == (at->has_cursor ? next : 0));
}

static void take_window(const struct at *at)
{
	struct ledger_window window = { at->key, 5, false };
	uint32_t moved = ledger_window_moved(at->ledger, &window), total = ledger_window_total(at->ledger, &window, 12);

	FUZZ_HOLDS(total <= LEDGER_MAX_SHARED && total == ledger_window_total(at->ledger, &window, 13));
	if (!ledger_window_take_if(at->ledger, &window, moved))
		return;
	FUZZ_HOLDS(ledger_window_moved(at->ledger, &window) == moved + 1 && !ledger_window_take_if(at->ledger, &window, moved));
	ledger_window_give_back(at->ledger, &window);
	FUZZ_HOLDS(ledger_window_moved(at->ledger, &window) == moved);
}

/* Whatever the word says, no more than this leave in a second. */
static void take_rate(const struct at *at)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < LEDGER_MOVES_PER_SECOND + 8; i++)
		taken += ledger_rate_take(at->ledger, at->key, at->now_ms);
	FUZZ_HOLDS(taken <= LEDGER_MOVES_PER_SECOND && (at->has_moves || taken == 0));
	ledger_rate_give_back(at->ledger, at->key, at->now_ms);
}

static void see(const struct at *at)
{
	unsigned seen = 0;

	ledger_note_seen(at->ledger, at->key, at->now_ms);
	while (ledger_take_seen(at->ledger, at->key))
		seen++;
	FUZZ_HOLDS(seen <= LEDGER_SEEN_MAX);
}

static void keep(const struct at *at, bool shared)
{
	ledger_keep(at->ledger, shared, at->now_ms);
	FUZZ_HOLDS(ledger_is_kept(at->ledger, at->now_ms) && ledger_is_shared(at->ledger) == shared);
	ledger_unkeep(at->ledger);
	FUZZ_HOLDS(!ledger_is_kept(at->ledger, at->now_ms));
	ledger_forget_seen(at->ledger);
	FUZZ_HOLDS(!ledger_take_seen(at->ledger, at->key));
}

/* No time in the ledger stops mending for good: the sign of life, the pod's last mend and the port's hold it up once each. */
static void wait_for_mend(const struct at *at, uint8_t how)
{
	struct mend_caller caller = { at->key, how, how & 2, how & 1 };
	bool due = false;

	for (int i = 0; i < 4; i++)
		due |= mend_due(at->ledger, &caller, at->now_ms + i * 200000u);
	FUZZ_HOLDS(due == at->has_cursor);
}

static void call(const struct at *at, struct fuzz_input *in)
{
	uint16_t port;

	switch (fuzz_number(in, 1) % 20) {
	case 0: ledger_claim(at->ledger, at->key); break;
	case 1: claim_and_release(at, true); break;
	case 2: ledger_landed(at->ledger, at->key); break;
	case 3: ledger_release(at->ledger, at->key); break;
	case 4: report(at, OUTCOME_SUCCESS); break;
	case 5: report(at, OUTCOME_REFUSED); break;
	case 6: report(at, OUTCOME_TIMED_OUT); break;
	case 7: try(at); break;
	case 8:
		port = (uint16_t)fuzz_number(in, 2);
		ledger_await(at->ledger, at->key, port);
		FUZZ_HOLDS(ledger_awaits(at->ledger, at->key, port) == (at->has_row && port));
		break;
	case 9: see(at); break;
	case 10: take_turns(at, (uint32_t)fuzz_number(in, 4)); break;
	case 11: pin(at, (uint32_t)fuzz_number(in, 4)); break;
	case 12: give_up(at, false); break;
	case 13: take_window(at); break;
	case 14: take_rate(at); break;
	case 15: ledger_count_move(at->ledger, at->key, (unsigned)fuzz_number(in, 1), true); break;
	case 16: claim_and_release(at, false); break;
	case 17: give_up(at, true); break;
	case 18: keep(at, fuzz_number(in, 1) & 1); break;
	default: wait_for_mend(at, (uint8_t)fuzz_number(in, 1)); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1), changes = (uint8_t)fuzz_number(&in, 1);
	struct ledger_key key = { (uint32_t)fuzz_number(&in, 1) % (LEDGERS_ROWS + 1), 0xabcd };
	struct ledgers_file file = how & IS_WHOLE ? (struct ledgers_file){ fuzz_copy(in.at, in.left, false), in.left } :
						    ledgers_good_file();
	struct ledger ledger;

	if (!(how & IS_WHOLE))
		ledgers_change(&file, &in, changes, key.tag);
	if (how & MEND_HEAD || !(how & IS_WHOLE))
		ledgers_mend_head(&file);
	if (ledgers_attach(&ledger, &file) == 0) {
		struct at at = { &ledger, key, key.slot < ledger.rows, key.slot < ledger.cursors, ledger_has_moves(&ledger, key),
				 1000000000 };

		look(&at);
		for (int i = 0; i < 256 && in.left && !(how & IS_WHOLE); i++) {
			at.now_ms += i * 16;
			call(&at, &in);
			look(&at);
		}
	}
	free(file.bytes);
	return 0;
}
