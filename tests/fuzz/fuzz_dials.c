/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dials and moves with a ledger whose words are anybody's, also while they are under way, as the shim takes them:
 * "NUMBER-OF-CHANGES CHANGES ENDPOINTS STEPS". Whatever others write, a dial finds each usable endpoint, each once, and an end; no
 * more connections leave than are counted; and what the kernel says, the counts are after a few mends. The kernel here is a list of
 * the input's.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "balance/move.h"
#include "balance/rules.h"
#include "base/socket_dump.h"
#include "fuzz/fuzz.h"
#include "fuzz/ledgers.h"
#include "ledger/mend.h"
#include "ledger/moves.h"

#define ENDPOINTS (LEDGERS_ROWS + 1) /* the last has no row */
#define TAG	  0xabcd
#define NETWORK	  0xc0000200u /* 192.0.2.0 */
#define PORT_BE	  0x5000

enum { HESITANT = 1, MAY_TRY = 2, PINNED = 4, RANKED = 8, SLOW_START = 16, MOVES = 128, MENDS = 64, CHANGED = 32 };
enum outcome { ANSWERED, ON_ITS_WAY, DROPPED, REFUSED, TIMED_OUT, OUTCOMES };

struct state {
	struct ledgers_file file;
	const struct ledger *ledger;
	struct ledger_key cursor;
	struct ledger_verdict verdict;
	struct table_endpoint rows[ENDPOINTS];
	struct table_tally tally;
	uint64_t now_ms;
};

static void make_rows(struct state *s, struct fuzz_input *in)
{
	uint8_t usable = (uint8_t)~fuzz_number(in, 1), weights = (uint8_t)fuzz_number(in, 1);

	memset(s->rows, 0, sizeof(s->rows));
	s->tally = (struct table_tally){ .newest_ms = s->now_ms };
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		struct table_endpoint *row = &s->rows[i];

		row->is_v4 = 1;
		row->ip[10] = row->ip[11] = 0xff;
		row->ip[12] = NETWORK >> 24, row->ip[14] = 2, row->ip[15] = (uint8_t)i;
		row->port_be = PORT_BE;
		row->slot = i;
		row->tag = TAG;
		row->weight = (uint16_t)(1 + (weights >> i & 3));
		row->added_ms = s->now_ms - i * 1000;
		if (!(usable >> i & 1))
			continue;
		row->flags = ENDPOINT_READY | ENDPOINT_USABLE;
		s->tally.usable++;
		s->tally.weight += row->weight;
		s->tally.heaviest = row->weight > s->tally.heaviest ? row->weight : s->tally.heaviest;
		s->tally.oldest_ms = row->added_ms;
	}
}

/* ---- a dial ---- */

static struct pick pick_of(const struct state *s, uint8_t flags, uint8_t percent)
{
	struct pick pick = { .ledger = s->ledger, .cursor = s->cursor, .now_ms = s->now_ms, .identity = 77, .eject_percent = percent,
			     .eject_limit_ms = ledger_ejection_limit_ms(&s->verdict), .noise = flags };

	pick.rows = (struct table_rows){ (const uint8_t *)s->rows, sizeof(s->rows[0]), ENDPOINTS, 0 };
	pick.hesitant = flags & HESITANT;
	pick.may_try = (flags & MAY_TRY) != 0;
	if (flags & RANKED) {
		pick.rank = flags >> 5;
		pick.peers = 8;
	}
	pick_take_tally(&pick, &s->tally, flags & SLOW_START ? 60000 : 0);
	return pick;
}

static bool choose(const struct state *s, struct pick *pick, uint8_t balance, bool pinned, struct candidate *ret_chosen)
{
	struct ledger_pin pin = { 0, 0 };

	if (!rules_next(pick, balance, pinned ? 10800 : 0, true, &pin, ret_chosen))
		return false;
	/* Nobody else writes here: what was chosen can be had. */
	if (pinned)
		FUZZ_HOLDS(ledger_set_pin(s->ledger, s->cursor, true, &pin, ret_chosen->key.tag, s->now_ms));
	if (!ret_chosen->trial)
		FUZZ_HOLDS(ledger_claim_if(s->ledger, ret_chosen->key, &ret_chosen->load));
	else {
		FUZZ_HOLDS(ledger_try(s->ledger, ret_chosen->key, &ret_chosen->load.ejection, &s->verdict, s->now_ms));
		ledger_claim(s->ledger, ret_chosen->key);
	}
	return true;
}

static void tell(const struct state *s, const struct candidate *chosen, enum outcome outcome)
{
	const enum ledger_outcome failure = outcome == REFUSED ? OUTCOME_REFUSED : OUTCOME_TIMED_OUT;

	if (outcome == ON_ITS_WAY || outcome == ANSWERED)
		ledger_landed(s->ledger, chosen->key);
	else
		ledger_release(s->ledger, chosen->key);
	if (outcome == ANSWERED)
		ledger_report_of(s->ledger, chosen->key, chosen->load.ejection, OUTCOME_SUCCESS, &s->verdict, s->now_ms);
	if (outcome >= REFUSED &&
	    ledger_report_of(s->ledger, chosen->key, chosen->load.ejection, failure, &s->verdict, s->now_ms))
		FUZZ_HOLDS(ledger_load(s->ledger, chosen->key, s->now_ms).ejected);
}

static void dial(struct state *s, struct fuzz_input *in)
{
	uint8_t balance = (uint8_t)fuzz_number(in, 1) % (BALANCE_COUNT + 1), flags = (uint8_t)fuzz_number(in, 1);
	struct pick pick = pick_of(s, flags, (uint8_t)fuzz_number(in, 1) % 101);
	enum outcome outcome = REFUSED;
	struct candidate chosen;
	uint32_t tried = 0, n = 0;
	uint8_t told;

	while (outcome >= REFUSED && choose(s, &pick, balance, flags & PINNED, &chosen)) {
		FUZZ_HOLDS(chosen.index < ENDPOINTS && (s->rows[chosen.index].flags & ENDPOINT_USABLE));
		FUZZ_HOLDS(!(tried >> chosen.index & 1) && chosen.load.active <= LEDGER_MAX_ACTIVE);
		FUZZ_HOLDS(chosen.share >= 1 && chosen.share <= SHARE_WHOLE);
		tried |= 1u << chosen.index;
		n++;
		pick_mark_tried(&pick, chosen.index);
		told = (uint8_t)fuzz_number(in, 1);
		if (told & CHANGED) /* while it dials */
			ledgers_change(&s->file, in, 1, TAG);
		outcome = (enum outcome)(told % CHANGED % OUTCOMES);
		tell(s, &chosen, outcome);
	}
	FUZZ_HOLDS(outcome < REFUSED || n == s->tally.usable);
}

/* ---- moves ---- */

static uint32_t active_of_row(const struct state *s, uint32_t i)
{
	struct ledger_load load = ledger_load(s->ledger, (struct ledger_key){ i, TAG }, s->now_ms);

	return load.ejected || !(s->rows[i].flags & ENDPOINT_USABLE) ? 0 : load.active;
}

static struct move_shares shares_of(const struct state *s, const struct ledger_window *window, uint32_t *ret_all)
{
	struct move_shares shares = { 0 };
	uint32_t all = 0, then;

	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		if (s->rows[i].flags & ENDPOINT_USABLE)
			move_weigh(&shares, s->rows[i].weight);
		all += active_of_row(s, i);
	}
	then = ledger_window_total(s->ledger, window, all);
	shares.total = then && then < all ? all : then;
	for (uint32_t i = 0; i < ENDPOINTS; i++)
		if (s->rows[i].flags & ENDPOINT_USABLE)
			move_count(&shares, s->rows[i].weight, active_of_row(s, i));
	*ret_all = all;
	return shares;
}

static bool move_one(const struct state *s, const struct ledger_window *window, uint32_t i)
{
	struct ledger_key key = { i, TAG };
	struct ledger_load load = ledger_load(s->ledger, key, s->now_ms);
	uint32_t moved = ledger_window_moved(s->ledger, window), all, surplus;
	struct move_shares shares = shares_of(s, window, &all);

	surplus = move_surplus(&shares, s->rows[i].weight, active_of_row(s, i));
	FUZZ_HOLDS(surplus <= active_of_row(s, i) && move_surplus_of_all(&shares) <= all);
	FUZZ_HOLDS(move_allowed(moved, s->now_ms - 1000, 60000, s->now_ms) <= moved);
	if (!surplus || !ledger_rate_take(s->ledger, window->cursor, s->now_ms) || !ledger_give_up_if(s->ledger, key, &load))
		return false;
	FUZZ_HOLDS(active_of_row(s, i) == load.active - 1u);
	if (ledger_window_take_if(s->ledger, window, moved))
		return true;
	ledger_take_back(s->ledger, key);
	return false;
}

/* As many as there are too many by their counts, in one second no more than the rate, and then no more. */
static void move(const struct state *s, struct fuzz_input *in)
{
	struct ledger_window window = { s->cursor, 1 + (uint32_t)fuzz_number(in, 1), true };
	unsigned moved = 0;

	for (unsigned i = 0; i < LEDGER_MOVES_PER_SECOND + 10; i++)
		moved += move_one(s, &window, i % ENDPOINTS);
	FUZZ_HOLDS(moved <= LEDGER_MOVES_PER_SECOND);
}

/* ---- mends ---- */

static bool mended_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	const struct state *s = of;

	*ret_addr = table_endpoint_addr(&s->rows[i]);
	*ret_key = (struct ledger_key){ s->rows[i].slot, s->rows[i].tag };
	return true;
}

/* The kernel, of which the input says what it lists. */
static uint8_t sockets[ENDPOINTS];

int socket_dump_open(struct socket_dump *dump)
{
	dump->fd = -1;
	return 0;
}

void socket_dump_close(struct socket_dump *dump)
{
	dump->fd = -1;
}

int socket_dump_run(struct socket_dump *dump)
{
	struct inet_diag_msg socket = { .idiag_family = AF_INET, .id.idiag_dport = PORT_BE };

	for (unsigned i = 0; i < ENDPOINTS; i++)
		for (unsigned j = 0; j < sockets[i]; j++) {
			socket.idiag_state = j % 4 ? TCP_ESTABLISHED : TCP_SYN_SENT;
			socket.id.idiag_sport = (uint16_t)(40000 + j);
			socket.id.idiag_dst[0] = htonl(NETWORK + i);
			dump->visit(dump->of, &socket);
		}
	return 0;
}

/* Where no dial is on its way, the counts are the kernel's after a few mends; in a shared network they are not raised. */
static void mend_all(struct state *s, struct fuzz_input *in)
{
	struct mend_list list = { s, ENDPOINTS, mended_at };

	for (unsigned i = 0; i < ENDPOINTS; i++)
		sockets[i] = (uint8_t)(fuzz_number(in, 1) % 8);
	for (int i = 0; i < 5; i++, s->now_ms += 2000)
		FUZZ_HOLDS(mend(s->ledger, &list, s->now_ms) == 0);
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		uint32_t active = ledger_load(s->ledger, (struct ledger_key){ i, TAG }, s->now_ms).active;

		FUZZ_HOLDS(active == (i < s->ledger->rows ? sockets[i] : 0) || (ledger_is_shared(s->ledger) && active < sockets[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t changes = (uint8_t)fuzz_number(&in, 1);
	struct state s = { .file = ledgers_good_file(), .cursor = { 1, TAG }, .verdict = { 1, 2, 5000, 300000, 1500 },
			   .now_ms = 1000000000 };
	struct ledger ledger;

	ledgers_change(&s.file, &in, changes, TAG);
	ledgers_mend_head(&s.file);
	if (ledgers_attach(&ledger, &s.file) == 0) {
		s.ledger = &ledger;
		make_rows(&s, &in);
		for (int i = 0; i < 64 && in.left; i++, s.now_ms += 1 << i % 16) {
			uint8_t what = (uint8_t)fuzz_number(&in, 1);

			if (what & CHANGED)
				ledgers_change(&s.file, &in, 1, TAG);
			if (what & MENDS)
				mend_all(&s, &in);
			else if (what & MOVES)
				move(&s, &in);
			else
				dial(&s, &in);
		}
	}
	free(s.file.bytes);
	return 0;
}
